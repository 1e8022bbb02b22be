/**
 * A value through its schema and back, and the record that a store keeps; the only room that needs `Schema`.
 *
 * A record is the JSON text of a value in an envelope. Whatever comes back from a store, reading it gives a value that
 * fits the schema or a typed problem, never a throw (R13, I10).
 *
 * @since 0.1.0
 */
import { Data, Effect, Exit, Result, Schema, SchemaParser } from "effect"

/**
 * The value of a load does not encode: it is answered as it is and not kept. `cause` is the schema's issue or error; of
 * what a schema threw only the name is told, since the message may quote the value.
 *
 * @since 0.1.0
 * @category errors
 */
export class EncodeError extends Data.TaggedError("EncodeError")<{ readonly cause: unknown }> {
  override get message(): string {
    return reasonOf(this.cause, "The value does not encode by its schema")
  }
}

/**
 * The value of a load encodes, but does not decode again: no reader could be given it from a store.
 *
 * @since 0.1.0
 * @category errors
 */
export class DecodeError extends Data.TaggedError("DecodeError")<{ readonly cause: unknown }> {
  override get message(): string {
    return reasonOf(this.cause, "What the schema encoded does not decode")
  }
}

const reasonOf = (cause: unknown, otherwise: string): string =>
  cause instanceof Error || typeof cause === "string" ? String(cause) : otherwise

/**
 * What a schema does for a cache. Where the schema is synchronous, what is answered is done already: an `Exit`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Codec<A, R = never> {
  /** Whether a value, not its encoded form, fits the schema. */
  readonly is: (value: unknown) => value is A
  /** Encodes and decodes once: what comes out is what every reader gets, on a miss as on a hit. */
  readonly roundTrip: (value: A) => Effect.Effect<A, EncodeError | DecodeError, R>
}

/**
 * A codec whose encoded form is JSON text, for a store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Text<A, R = never> extends Codec<A, R> {
  readonly encode: (value: A) => Effect.Effect<string, EncodeError, R>
  readonly decode: (text: string) => Effect.Effect<A, DecodeError, R>
  /** The same of a text that is parsed already. */
  readonly decodeJson: (json: unknown) => Effect.Effect<A, DecodeError, R>
}

/** Whether values can go to a store. */
export const isText = <A, R>(codec: Codec<A, R>): codec is Text<A, R> => "encode" in codec

/**
 * A value there and back, and the text it is stored as, where there is a store.
 *
 * @since 0.1.0
 * @category models
 */
export const trip = <A, R>(
  codec: Codec<A, R>,
  value: A
): Effect.Effect<{ readonly value: A; readonly text: string | undefined }, EncodeError | DecodeError, R> =>
  isText(codec)
    ? Effect.flatMapEager(
      codec.encode(value),
      (text) => Effect.mapEager(codec.decode(text), (value) => ({ value, text }))
    )
    : Effect.mapEager(codec.roundTrip(value), (value) => ({ value, text: undefined }))

type ServicesOf<S extends Schema.Constraint> = S["DecodingServices"] | S["EncodingServices"]

/**
 * The codec of a schema between its own two sides, for memory. It needs a third of the code that JSON needs.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <S extends Schema.Constraint>(schema: S): Codec<S["Type"], ServicesOf<S>> => {
  const { is, roundTrip } = of(schema, SchemaParser.encodeEffect(schema), SchemaParser.decodeEffect(schema))
  return { is, roundTrip }
}

/**
 * The codec of a schema between its values and JSON text, for a store.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = <S extends Schema.Constraint>(schema: S): Text<S["Type"], ServicesOf<S>> => {
  const json = Schema.toCodecJson(schema)
  const string = Schema.fromJsonString(json)
  const decode = SchemaParser.decodeUnknownEffect(json)
  return {
    ...of<S, string>(schema, SchemaParser.encodeEffect(string), SchemaParser.decodeEffect(string)),
    decodeJson: (given) => guarded(() => decode(given), (cause) => new DecodeError({ cause }))
  }
}

const of = <S extends Schema.Constraint, I>(
  schema: S,
  to: (value: S["Type"]) => Effect.Effect<I, unknown, S["EncodingServices"]>,
  from: (encoded: I) => Effect.Effect<S["Type"], unknown, S["DecodingServices"]>
) => {
  const fits = SchemaParser.is(schema)
  const encode = (value: S["Type"]) => guarded(() => to(value), (cause) => new EncodeError({ cause }))
  const decode = (encoded: I) => guarded(() => from(encoded), (cause) => new DecodeError({ cause }))
  return {
    encode,
    decode,
    is: (value: unknown): value is S["Type"] => Result.getOrElse(Result.try(() => fits(value)), () => false),
    roundTrip: (value: S["Type"]) => Effect.flatMapEager(encode(value), decode)
  }
}

/** A throw (a transformation's, a stack that is too deep) is a refusal. */
const guarded = <A, E, R>(run: () => Effect.Effect<A, unknown, R>, refuse: (cause: unknown) => E) => {
  const threw = (defect: unknown) =>
    Effect.fail(`The schema threw: ${defect instanceof Error ? defect.name : typeof defect}`)
  const ran: Effect.Effect<A, unknown, R> = Result.getOrElse(Result.try(run), threw)
  return isDone(ran) ? ran : Effect.mapError(Effect.catchDefect(ran, threw), refuse)
}

const isDone = <A, R>(ran: Effect.Effect<A, unknown, R>): ran is Exit.Success<A> =>
  Exit.isExit(ran) && Exit.isSuccess(ran)

/**
 * The envelope of a value in a store. All times are whole milliseconds, none is negative.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fields {
  /** The key as the store knows it (`Key.storedKey`); never the clear text of a sensitive one. */
  readonly key: string
  /** When the age of the value was 0, by the clock of the store. */
  readonly stamp: number
  /** The entry's own windows, and its life: past that age it is nobody's. */
  readonly windows: {
    readonly freshFor?: number
    readonly maxAge?: number
    readonly staleIfError?: number
    readonly life: number
  }
  /** Drawn at commit, in [0, 1). */
  readonly jitter: number
  readonly tags: ReadonlyArray<string>
  /** Epoch and counter of the namespace's clock when the load began. */
  readonly epoch: string
  readonly counter: number
}

/**
 * A record as it is stored: one JSON object. Unknown fields are ignored; a change of a known one is a new format.
 *
 * @since 0.1.0
 * @category models
 */
export interface Record extends Fields {
  readonly format: typeof FORMAT
  readonly value: Schema.Json
}

/**
 * Why a text is not the record that was asked for: its `size`, no `json` object, the `depth` of its value, or the first
 * field that is not as it must be, `format` and `key` before all others.
 *
 * @since 0.1.0
 * @category errors
 */
export type DecodeProblem = "size" | "json" | "depth" | keyof Record

const FORMAT = 1
/** Within a string its quotes would be escaped. */
const VALUE = ",\"value\":"
const MAX_DEPTH = 256 // the stack ends beyond 2,000 levels of a recursive schema

/**
 * Writes a record. `valueText` is JSON, as {@link Codec} encodes it, and is taken as it is.
 *
 * @since 0.1.0
 * @category records
 */
export const writeRecord = (fields: Fields, valueText: string): string => {
  const { counter, epoch, jitter, key, stamp, tags, windows: { freshFor, life, maxAge, staleIfError } } = fields
  const windows = { freshFor, maxAge, staleIfError, life }
  const envelope = JSON.stringify({ format: FORMAT, key, stamp, windows, jitter, tags, epoch, counter })
  return `${envelope.slice(0, -1)}${VALUE}${valueText}}`
}

/**
 * Reads the record of `key`. The text is taken for hostile: more than `maxBytes` of UTF-8 (1 MiB if not given), a value
 * of more than 256 levels, another format or key, anything but what {@link Record} says is a problem.
 *
 * @since 0.1.0
 * @category records
 */
export const readRecord = (
  text: string,
  key: string,
  { maxBytes = 1_048_576 }: { readonly maxBytes?: number | undefined } = {}
): Result.Result<Fields & { readonly valueText: string; readonly json: unknown }, DecodeProblem> => {
  if (isLonger(text, maxBytes)) return Result.fail("size")
  const { envelope: json, value, valueText } = apart(text) ?? whole(text)
  if (!isObject<Record>(json)) return Result.fail("json")
  if (json.format !== FORMAT) return Result.fail("format")
  if (json.key !== key) return Result.fail("key")
  const { counter, epoch, jitter, stamp, tags } = json
  const windows = readWindows(json.windows)
  if (!isCount(stamp)) return Result.fail("stamp")
  if (windows === undefined) return Result.fail("windows")
  if (!isFraction(jitter)) return Result.fail("jitter")
  if (!isTexts(tags)) return Result.fail("tags")
  if (typeof epoch !== "string") return Result.fail("epoch")
  if (!isCount(counter)) return Result.fail("counter")
  if (value === undefined) return Result.fail("value")
  if (!isShallow(value, MAX_DEPTH)) return Result.fail("depth")
  return Result.succeed({ key, stamp, windows, jitter, tags, epoch, counter, valueText, json: value })
}

/** As we write it: the value's text is there, and need not be made again. Anything else is `undefined`. */
const apart = (text: string) => {
  const at = text.indexOf(VALUE)
  if (at < 0 || !text.endsWith("}")) return undefined
  const valueText = text.slice(at + VALUE.length, -1)
  const [envelope, value] = [parse(`${text.slice(0, at)}}`), parse(valueText)]
  return envelope === undefined || value === undefined ? undefined : { envelope, value, valueText }
}

const whole = (text: string) => {
  const envelope = parse(text)
  const value = isObject<Record>(envelope) ? envelope.value : undefined
  return { envelope, value, valueText: value === undefined ? "" : JSON.stringify(value) }
}

/** A unit of a string is one to three bytes of UTF-8: only between the two is there something to count. */
const isLonger = (text: string, bytes: number) =>
  text.length > bytes || (text.length * 3 > bytes && new TextEncoder().encode(text).length > bytes)

const parse = (text: string): unknown => Result.getOrUndefined(Result.try((): unknown => JSON.parse(text)))

const isObject = <T>(json: unknown): json is { readonly [K in keyof T]?: unknown } =>
  typeof json === "object" && json !== null && !Array.isArray(json)
const isCount = (json: unknown): json is number => Number.isSafeInteger(json) && Number(json) >= 0
const isFraction = (json: unknown): json is number => typeof json === "number" && json >= 0 && json < 1
const isTexts = (json: unknown): json is ReadonlyArray<string> =>
  Array.isArray(json) && json.every((item) => typeof item === "string")
const isShallow = (json: unknown, levels: number): boolean =>
  typeof json !== "object" || json === null ||
  (levels > 0 && Object.values(json).every((item) => isShallow(item, levels - 1)))

type Windows = Fields["windows"]
const readWindows = (json: unknown): Windows | undefined => {
  if (!isObject<Windows>(json) || !isCount(json.life)) return undefined
  const windows: { -readonly [K in keyof Windows]: Windows[K] } = { life: json.life }
  for (const name of ["freshFor", "maxAge", "staleIfError"] as const) {
    const window = json[name]
    if (isCount(window)) windows[name] = window
    else if (window !== undefined) return undefined
  }
  return windows
}
