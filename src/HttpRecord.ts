/**
 * What a request to an origin leaves in the cache: a response that is kept, in a form that a store can hold, or one
 * that is for its reader alone and goes nowhere.
 *
 * @since 0.1.0
 */
import { Schema, SchemaGetter } from "effect"

/** The form of a record. Another one is another cache. */
export const VERSION = 1

const count = Schema.Finite

// What comes from a store becomes fields again: nothing in it may end a line.
const value = Schema.String.check(Schema.isPattern(/^[^\r\n\0]*$/))
const name = Schema.String.check(Schema.isPattern(/^[!#$%&'*+.^_`|~0-9a-z-]+$/))
const headers = Schema.Record(name, Schema.Union([value, Schema.Array(value)]))

const stored = Schema.Struct({
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
  length: count
})

const form = Schema.Struct({
  _tag: Schema.Literal("Kept"),
  stored,
  body: Schema.Uint8Array,
  /** Whose load it was, and when it began, in the process that loaded it. */
  id: Schema.String,
  began: count,
  /** What the origin answered: 304 for what was renewed. */
  status: count,
  wishes: Schema.Union([
    Schema.Literals(["share", "pass"]),
    Schema.Struct({
      freshFor: count,
      maxAge: count,
      staleIfError: count,
      age: count,
      tags: Schema.Array(Schema.String)
    })
  ])
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
  readonly id: string

  constructor(response: L, status: number, id: string) {
    this.response = response
    this.status = status
    this.id = id
  }
}

/**
 * The schema of what a load gives. A live response has no text: where one is asked for, it waits under its name until
 * it is read back, which is at once.
 */
export const schema = <L>() => {
  const waiting = new Map<string, Live<L>>()
  const link = Schema.link<Live<L>>()(Schema.String, {
    encode: SchemaGetter.transform((live: Live<L>) => {
      waiting.set(live.id, live)
      return live.id
    }),
    decode: SchemaGetter.transform((id: string) => {
      const live = waiting.get(id)
      waiting.delete(id)
      if (live === undefined) throw new Error("a live response is in no store")
      return live
    })
  })
  // Nothing else makes one, so it is of this kind of responses.
  const live = Schema.declare((u: unknown): u is Live<L> => u instanceof Live, { toCodecJson: () => link })
  return Schema.Union([Kept, live])
}
