/**
 * The numbers of a run. All times are milliseconds.
 */
import { Schema } from "effect"

/** The windows of the cache and the options of its layer. */
const Caching = Schema.Struct({
  freshFor: Schema.Finite,
  maxAge: Schema.Finite,
  leaseFor: Schema.Finite,
  storeDeadline: Schema.Finite
})

/** What a worker is started with. */
export const Argument = Schema.Struct({
  origin: Schema.String,
  redis: Schema.String,
  port: Schema.Int,
  caching: Caching
})
export type Argument = typeof Argument.Type

export interface Settings {
  readonly workers: number
  /** Reads a second. */
  readonly rate: number
  /** The longest that the origin takes; the shortest is half of it. */
  readonly originLatency: number
  /** How long after an acknowledged write another process may still give what was before it. */
  readonly bound: number
  /** When a worker is killed, when another takes its place, when Redis is killed, when it is back, when all ends. */
  readonly killAt: number
  readonly replaceAt: number
  readonly goneAt: number
  readonly backAt: number
  readonly endAt: number
  readonly caching: typeof Caching.Type
}

/** A run to look at. */
export const full: Settings = {
  workers: 4,
  rate: 400,
  originLatency: 80,
  bound: 500,
  killAt: 15_000,
  replaceAt: 18_000,
  goneAt: 26_000,
  backAt: 29_000,
  endAt: 42_000,
  // Longer than the default of 50 ms: all of it runs on one machine here, and that may be busy.
  caching: { freshFor: 500, maxAge: 60_000, leaseFor: 2000, storeDeadline: 250 }
}

/** A run for CI, with `--quick`. */
export const quick: Settings = {
  ...full,
  rate: 200,
  killAt: 4000,
  replaceAt: 5000,
  goneAt: 7500,
  backAt: 8500,
  endAt: 12_000
}

/** Nobody writes these: on them the lookups of each stale window are counted. */
export const watched: ReadonlyArray<string> = ["hot", "warm-1", "warm-2", "warm-3"]

/** These are written all the time, each by one writer: a row for each writer. */
export const written: ReadonlyArray<ReadonlyArray<string>> = [["a1", "a2"], ["b1", "b2"], ["c1", "c2"]]

export const keys = [...watched, ...written.flat()]
