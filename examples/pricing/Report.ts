/**
 * What a run has shown: figures of both routes, over the whole run and over the outage alone. Pure.
 */
import { Schema } from "effect"
import { hasFailed, type Route, type Sample } from "./Sample.ts"
import type { Settings } from "./Settings.ts"

/** Figures of one route over one phase. Latencies are milliseconds over all its requests, failed ones too. */
export const Figures = Schema.Struct({
  requests: Schema.Int,
  failed: Schema.Int,
  p50: Schema.NullOr(Schema.Finite),
  p99: Schema.NullOr(Schema.Finite),
  p999: Schema.NullOr(Schema.Finite),
  max: Schema.NullOr(Schema.Finite),
  /** Answers with `X-Cache: STALE`. */
  stale: Schema.Int,
  /** The greatest `Age` in seconds. */
  oldest: Schema.Int,
  /** Calls of the origin. */
  lookups: Schema.Int
})
export interface Figures extends Schema.Schema.Type<typeof Figures> {}

const Phases = Schema.Struct({ run: Figures, outage: Schema.NullOr(Figures) })

const Late = Schema.Struct({ p99: Schema.Finite, max: Schema.Finite })
type Late = typeof Late.Type

export const Report = Schema.Struct({
  /** False when the run was stopped before its end. */
  complete: Schema.Boolean,
  /** Milliseconds of load that were measured. */
  measured: Schema.Finite,
  ttl: Phases,
  swr: Phases,
  /** How late the load generator itself was, in milliseconds; that is part of every latency. Null while unknown. */
  late: Schema.NullOr(Late),
  /** What the SWR route should have done and did not; empty when all is well. */
  problems: Schema.Array(Schema.String)
})
export interface Report extends Schema.Schema.Type<typeof Report> {}

/** How often each cache had called the origin by a moment of the run. */
export interface Mark {
  readonly at: number
  readonly lookups: Record<Route, number>
}

/** All that was seen of a run. */
export interface Observed {
  readonly complete: boolean
  readonly measured: number
  readonly samples: ReadonlyArray<Sample>
  /** In the order of time. */
  readonly marks: ReadonlyArray<Mark>
  readonly late: Late | null
}

/** The smallest value that at least this share of the sorted values does not exceed (nearest rank). */
export const percentile = (sorted: ReadonlyArray<number>, share: number): number | null =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null

const lookupsBy = (marks: ReadonlyArray<Mark>, route: Route, at: number): number =>
  marks.findLast((mark) => mark.at <= at)?.lookups[route] ?? 0

/** The figures of one route for the requests that were due in `[from, to)`. */
export const figures = (observed: Observed, route: Route, from: number, to: number): Figures => {
  const samples = observed.samples.filter((sample) => sample.route === route && sample.at >= from && sample.at < to)
  const latencies = samples.map(({ latency }) => latency).toSorted((a, b) => a - b)
  return {
    requests: samples.length,
    failed: samples.filter(hasFailed).length,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    p999: percentile(latencies, 0.999),
    max: latencies.at(-1) ?? null,
    stale: samples.filter(({ cache }) => cache === "STALE").length,
    oldest: samples.reduce((oldest, { age }) => Math.max(oldest, age), 0),
    lookups: lookupsBy(observed.marks, route, to) - lookupsBy(observed.marks, route, from)
  }
}

const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? "" : "s"}`

const problemsOf = (swr: Figures, phase: string, originLatency: number): ReadonlyArray<string> => [
  ...(swr.failed > 0 ? [`${count(swr.failed, "request")} of the SWR route failed in ${phase}`] : []),
  // The median: on a busy machine the tail is the machine's.
  ...(swr.p50 !== null && swr.p50 >= originLatency / 2
    ? [
      `the SWR route's median in ${phase} was ${
        Math.round(swr.p50)
      } ms, not below half of the origin's ${originLatency} ms`
    ]
    : [])
]

export const make = (
  observed: Observed,
  settings: Pick<Settings, "originLatency" | "outageStart" | "outageLength">
): Report => {
  const { originLatency, outageLength, outageStart } = settings
  const outageSeen = outageLength > 0 && observed.measured > outageStart
  const phases = (route: Route) => ({
    run: figures(observed, route, 0, Infinity),
    outage: outageSeen ? figures(observed, route, outageStart, outageStart + outageLength) : null
  })
  const [ttl, swr] = [phases("ttl"), phases("swr")]
  return {
    complete: observed.complete,
    measured: observed.measured,
    ttl,
    swr,
    late: observed.late,
    problems: [
      ...(swr.run.requests === 0 ? ["nothing was measured"] : []),
      ...problemsOf(swr.run, "the run", originLatency),
      ...(swr.outage === null ? [] : problemsOf(swr.outage, "the outage", originLatency))
    ]
  }
}
