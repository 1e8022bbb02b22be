/**
 * What a run has shown: figures of both routes, over the whole run and over the outage alone. Pure.
 */
import { Schema } from "effect"
import type { Recording } from "./Recording.ts"
import { hasFailed, type Route } from "./Sample.ts"
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

export const Late = Schema.Struct({ p99: Schema.Finite, max: Schema.Finite })
export type Late = typeof Late.Type

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

/** The smallest value that at least this share of the sorted values does not exceed (nearest rank). */
export const percentile = (sorted: ReadonlyArray<number>, share: number): number | null =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null

const lookupsBy = (marks: ReadonlyArray<Mark>, route: Route, at: number): number =>
  marks.findLast((mark) => mark.at <= at)?.lookups[route] ?? 0

/** The figures of one route for the requests that were due in `[from, to)`. */
export const figures = (recording: Recording, route: Route, from: number, to: number): Figures => {
  const samples = recording.samples.filter((sample) => sample.route === route && sample.at >= from && sample.at < to)
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
    lookups: lookupsBy(recording.marks, route, to) - lookupsBy(recording.marks, route, from)
  }
}

const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? "" : "s"}`

const problemsOf = (swr: Figures, phase: string, originLatency: number): ReadonlyArray<string> => [
  ...(swr.failed > 0 ? [`${count(swr.failed, "request")} of the SWR route failed in ${phase}`] : []),
  // The median: on a busy machine the tail is the machine's.
  ...(swr.p50 !== null && swr.p50 >= originLatency / 2
    ? [
      `the median of the SWR route in ${phase} was ${
        swr.p50.toFixed(0)
      } ms, not below half of the origin's ${originLatency} ms`
    ]
    : [])
]

/** A machine too busy to send a request when it is due says little about the service. */
const doubtsOf = ({ late }: Recording, originLatency: number): ReadonlyArray<string> =>
  late !== null && late.p99 >= originLatency / 10
    ? [`the load generator itself was late by ${late.p99.toFixed(0)} ms at p99: is the machine busy with other work?`]
    : []

export const make = (
  recording: Recording,
  settings: Pick<Settings, "originLatency" | "outageStart" | "outageLength">
): Report => {
  const { originLatency, outageLength, outageStart } = settings
  const outageSeen = outageLength > 0 && recording.measured > outageStart
  const phases = (route: Route) => ({
    run: figures(recording, route, 0, Infinity),
    outage: outageSeen ? figures(recording, route, outageStart, outageStart + outageLength) : null
  })
  const [ttl, swr] = [phases("ttl"), phases("swr")]
  const problems = [
    ...(swr.run.requests === 0 ? ["nothing was measured"] : []),
    ...problemsOf(swr.run, "the run", originLatency),
    ...(swr.outage === null ? [] : problemsOf(swr.outage, "the outage", originLatency))
  ]
  return {
    complete: recording.complete,
    measured: recording.measured,
    ttl,
    swr,
    late: recording.late,
    problems: problems.length > 0 ? [...problems, ...doubtsOf(recording, originLatency)] : []
  }
}
