/**
 * What a request to an origin leaves in the cache: a response that is kept, in a form that a store can hold, or one
 * that is for its reader alone and goes nowhere.
 *
 * @since 0.1.0
 */
import { Schema, SchemaGetter } from "effect"

/** The form of a record. Another one is another cache. */
export const VERSION = 2

/** The bytes of a body, and nothing beside them: a view would keep all that it is a view of. */
export const bufferOf = ({ buffer, byteLength, byteOffset }: Uint8Array): ArrayBuffer =>
  buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? buffer
    : new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength)).buffer

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
