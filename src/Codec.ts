/**
 * A value to record text and back; the only room that needs `Schema`.
 *
 * A codec turns a value into JSON text by its schema. A record is what a store keeps of an entry: that text in an
 * envelope. Whatever comes back from a store, reading it gives a value that fits the schema or a typed problem, never a
 * throw (R13, I10).
 *
 * @since 0.1.0
 */
import { Data, Effect, Result, Schema, SchemaIssue } from "effect"

/**
 * The value of a load does not encode: it is answered as it is and not kept.
 *
 * @since 0.1.0
 * @category errors
 */
export class EncodeError extends Data.TaggedError("EncodeError")<{ readonly cause: Schema.SchemaError }> {
  override get message(): string {
    return this.cause.message
  }
}

/**
 * The value of a load encodes, but its text does not decode again: no reader could be given it from a store.
 *
 * @since 0.1.0
 * @category errors
 */
export class DecodeError extends Data.TaggedError("DecodeError")<{ readonly cause: Schema.SchemaError }> {
  override get message(): string {
    return this.cause.message
  }
}

/**
 * What a schema does for a cache. Where the schema is synchronous, so are these effects. A schema that throws counts as
 * one that refuses; of what it threw only the name is told: the message may quote the value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Codec<A, R = never> {
  /** The value as JSON text. */
  readonly encode: (value: A) => Effect.Effect<string, Schema.SchemaError, R>
  /** The value of a JSON text. */
  readonly decode: (text: string) => Effect.Effect<A, Schema.SchemaError, R>
  /** Whether a value, not its text, fits the schema. */
  readonly is: (value: unknown) => value is A
  /** Encodes and decodes once: what comes out is what every reader gets, on a miss as on a hit. */
  readonly roundTrip: (value: A) => Effect.Effect<A, EncodeError | DecodeError, R>
}

const codecs = /*#__PURE__*/ new WeakMap<Schema.Constraint, unknown>()

/**
 * The codec of a schema, built once per schema object.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <S extends Schema.Constraint>(
  schema: S
): Codec<S["Type"], S["DecodingServices"] | S["EncodingServices"]> => {
  const known = codecs.get(schema)
  // The cast: what is kept under a schema was built below from that very schema.
  if (known !== undefined) return known as ReturnType<typeof make<S>>
  const json = Schema.fromJsonString(Schema.toCodecJson(schema))
  const toText = Schema.encodeEffect(json)
  const fromText = Schema.decodeEffect(json)
  const fits = Schema.is(schema)
  const encode = (value: S["Type"]) => guarded(() => toText(value))
  const decode = (text: string) => guarded(() => fromText(text))
  const codec: ReturnType<typeof make<S>> = {
    encode,
    decode,
    is: (value): value is S["Type"] => Result.getOrElse(Result.try(() => fits(value)), () => false),
    roundTrip: (value) =>
      Effect.flatMap(
        Effect.mapError(encode(value), (cause) => new EncodeError({ cause })),
        (text) => Effect.mapError(decode(text), (cause) => new DecodeError({ cause }))
      )
  }
  codecs.set(schema, codec)
  return codec
}

/** Nothing runs before the effect does, and a throw (a transformation's, a stack that is too deep) is a refusal. */
const guarded = <A, R>(run: () => Effect.Effect<A, Schema.SchemaError, R>): Effect.Effect<A, Schema.SchemaError, R> =>
  Effect.catchDefect(Effect.suspend(run), (defect) => {
    const name = defect instanceof Error ? defect.name : typeof defect
    return Effect.fail(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message: `The schema threw: ${name}` })))
  })

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
  return `${envelope.slice(0, -1)},"value":${valueText}}`
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
): Result.Result<Fields & { readonly valueText: string }, DecodeProblem> => {
  if (isLonger(text, maxBytes)) return Result.fail("size")
  const json = parse(text)
  if (!isObject<Record>(json)) return Result.fail("json")
  if (json.format !== FORMAT) return Result.fail("format")
  if (json.key !== key) return Result.fail("key")
  const { counter, epoch, jitter, stamp, tags, value } = json
  const windows = readWindows(json.windows)
  if (!isCount(stamp)) return Result.fail("stamp")
  if (windows === undefined) return Result.fail("windows")
  if (!isFraction(jitter)) return Result.fail("jitter")
  if (!isTexts(tags)) return Result.fail("tags")
  if (typeof epoch !== "string") return Result.fail("epoch")
  if (!isCount(counter)) return Result.fail("counter")
  if (value === undefined) return Result.fail("value")
  if (!isShallow(value, MAX_DEPTH)) return Result.fail("depth")
  return Result.succeed({ key, stamp, windows, jitter, tags, epoch, counter, valueText: JSON.stringify(value) })
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
