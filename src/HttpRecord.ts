/**
 * What a request to an origin leaves in the cache: a response that is kept, in a form that a store can hold, or one
 * that is for its reader alone and goes nowhere.
 *
 * @since 0.1.0
 */
import { Schema, SchemaGetter } from "effect"
import * as Headers from "./HttpHeaders.ts"
import type * as HttpPolicy from "./HttpPolicy.ts"

/** The form of a record. Another one is another cache. */
export const VERSION = 2

/** The bytes of a body, and nothing beside them: a view would keep all that it is a view of. */
export const bufferOf = ({ buffer, byteLength, byteOffset }: Uint8Array): ArrayBuffer =>
  buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? buffer
    : new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength)).buffer

/** Chunks as one; one alone is itself. */
export const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const [first] = chunks
  if (chunks.length === 1 && first !== undefined) return first
  const whole = new Uint8Array(chunks.reduce((size, { length }) => size + length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

const count = Schema.Finite

// What comes from a store becomes fields again: nothing in it may end a line.
const value = Schema.String.check(Schema.isPattern(/^[^\r\n\0]*$/))
const name = Schema.String.check(Schema.isPattern(/^[!#$%&'*+.^_`|~0-9a-z-]+$/))
const headers = Schema.Record(name, Schema.Union([value, Schema.Array(value)]))

// A view of it would weigh as much again as all that is said of a response; who reads makes one.
const bytes = Schema.declare((u: unknown): u is ArrayBuffer => u instanceof ArrayBuffer, {
  toCodecJson: () =>
    Schema.link<ArrayBuffer>()(Schema.toCodecJson(Schema.Uint8Array), {
      encode: SchemaGetter.transform((buffer: ArrayBuffer) => new Uint8Array(buffer)),
      decode: SchemaGetter.transform(bufferOf)
    })
})

const form = Schema.Struct({
  _tag: Schema.Literal("Kept"),
  status: count.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
  headers,
  freshness: Schema.Struct({
    lifetime: count,
    age: count,
    receivedAt: count,
    validates: Schema.Boolean,
    strict: Schema.Boolean,
    staleWhileRevalidate: count,
    staleIfError: count,
    immutable: Schema.Boolean
  }),
  variant: Schema.Array(Schema.Tuple([Schema.String, Schema.NullOr(Schema.String)])),
  hidden: Schema.Array(Schema.String),
  length: count,
  body: bytes,
  /** Which load it was of the process that loaded it. */
  began: count,
  /** What the origin answered: 304 for what was renewed. */
  answered: count,
  /** Whether it was put into the cache. */
  stays: Schema.Boolean
})

/** A response that is kept, or was to be. */
export type Kept = typeof form.Type

const isKept = Schema.is(form)

// In memory it is looked at and left as it is: a copy, field by field, would take twice the room.
const Kept = Schema.declare((u: unknown): u is Kept => isKept(u), {
  toCodecJson: () =>
    Schema.link<Kept>()(Schema.toCodecJson(form), {
      encode: SchemaGetter.passthrough(),
      decode: SchemaGetter.passthrough()
    })
})

/** A response for the reader who asked, and for nobody else. */
export class Live<L> {
  readonly _tag = "Live"
  readonly response: L
  readonly status: number
  /** Which load it was. */
  readonly began: number

  constructor(response: L, status: number, began: number) {
    this.response = response
    this.status = status
    this.began = began
  }
}

/**
 * The schema of what a load gives. A live response has no text: where one is asked for, it waits under its name until
 * it is read back, which is at once.
 */
export const schema = <L>() => {
  const waiting = new Map<number, Live<L>>()
  const link = Schema.link<Live<L>>()(Schema.Finite, {
    encode: SchemaGetter.transform((live: Live<L>) => {
      waiting.set(live.began, live)
      return live.began
    }),
    decode: SchemaGetter.transform((began: number) => {
      const live = waiting.get(began)
      waiting.delete(began)
      if (live === undefined) throw new Error("a live response is in no store")
      return live
    })
  })
  // Nothing else makes one, so it is of this kind of responses.
  const live = Schema.declare((u: unknown): u is Live<L> => u instanceof Live, { toCodecJson: () => link })
  return Schema.Union([Kept, live])
}

// What a response takes beside its text and its body, in bytes.
const BESIDE = 896

/** What a response takes in memory, in bytes. */
export const weightOf = ({ body, headers }: Kept, key: string): number =>
  Object.entries(headers).reduce(
    (sum, [name, value]) => sum + name.length + String(value).length,
    body.byteLength + key.length + BESIDE
  )

/** Whether its body is there: of a reader who gave away what it was given, nothing is left for the others. */
export const isThere = ({ body, length }: Kept): boolean => body.byteLength === length

// ----- what was answered, as it may be kept

/** A weak entity tag where there is none: two sums of the bytes, mixed, which of a body tell nothing but that. */
export const tagged = (head: HttpPolicy.Response, body: Uint8Array): Headers.Headers => {
  if (head.status !== 200 || head.headers["etag"] !== undefined) return {}
  let [one, two] = [0xdeadbeef, 0x41c6ce57]
  for (const byte of body) {
    one = Math.imul(one ^ byte, 2_654_435_761)
    two = Math.imul(two ^ byte, 1_597_334_677)
  }
  one = Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(two ^ (two >>> 13), 3_266_489_909)
  two = Math.imul(two ^ (two >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909)
  return { etag: `W/"${body.length.toString(36)}-${(one >>> 0).toString(36)}${(two >>> 0).toString(36)}"` }
}

/** The fields of the body that was read: a client that decodes bodies leaves those of the encoded one. */
export const fitting = (headers: Headers.Headers, length: number): Headers.Headers => {
  const { "content-encoding": encoding, "content-length": announced, ...others } = headers
  return encoding === undefined || announced === undefined || announced === String(length) ? headers : others
}

/**
 * The fields of a whole body that is passed on. It is as long as it is: announced otherwise, it would spoil what comes
 * next on its reader's connection.
 */
export const measured = (headers: Headers.Headers, length: number): Headers.Headers => {
  const own = Headers.endToEnd(headers)
  return own["content-length"] === undefined ? own : { ...own, "content-length": String(length) }
}
