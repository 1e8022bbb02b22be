/**
 * One request as the load generator saw it.
 */
import { Schema } from "effect"

export const Route = Schema.Literals(["ttl", "swr"])
export type Route = typeof Route.Type

export const Sample = Schema.Struct({
  route: Route,
  /** When the request was meant to be sent, in milliseconds after the start. */
  at: Schema.Finite,
  /** Milliseconds from then until the answer had arrived as a whole. */
  latency: Schema.Finite,
  /** The HTTP status; 0 when no answer came. */
  status: Schema.Int,
  /** The header `X-Cache`, if there was one. */
  cache: Schema.NullOr(Schema.String),
  /** The header `Age` in seconds; 0 when there was none. */
  age: Schema.Int
})
export interface Sample extends Schema.Schema.Type<typeof Sample> {}

export const hasFailed = (sample: Sample): boolean => sample.status !== 200
