/**
 * The table at the end, and what is wrong with it. Pure.
 */
import type { Lookup } from "./Origin.ts"
import { type Phase, phases, type Recording, staleOf, windowsOf } from "./Recording.ts"
import type { Work } from "./RedisServer.ts"
import { type Settings, watched } from "./Settings.ts"

export interface Row {
  readonly name: string
  /** One for each phase, then the whole run. */
  readonly cells: ReadonlyArray<string>
}

export interface Report {
  readonly rows: ReadonlyArray<Row>
  /** What should have been and was not. */
  readonly problems: ReadonlyArray<string>
}

const percentile = (sorted: ReadonlyArray<number>, share: number): string => {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return value === undefined ? "-" : `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
const count = (n: number): string => n.toLocaleString("en")

export const make = (recording: Recording, lookups: ReadonlyArray<Lookup>, settings: Settings): Report => {
  const { away, begun, reads, takeover, work, writes } = recording
  const windows = windowsOf(lookups, watched, settings.caching.freshFor)
  const stale = staleOf(reads, writes, settings.bound, away)
  const ends = [...phases.map((phase) => begun[phase] ?? Infinity), begun.end ?? Infinity]
  const spans = [
    ...phases.map((_, i) => [ends[i] ?? 0, ends[i + 1] ?? Infinity] as const),
    [-Infinity, Infinity] as const
  ]

  /** A row: of what lies in each phase, and in all. */
  const row = <A>(
    name: string,
    all: ReadonlyArray<A>,
    at: (one: A) => number,
    show: (some: ReadonlyArray<A>) => string
  ) => ({
    name,
    cells: spans.map(([from, to]) => show(all.filter((one) => at(one) >= from && at(one) < to)))
  })
  const asked = ({ asked }: (typeof reads)[number]) => asked
  const opened = ({ begun }: (typeof windows)[number]) => begun
  const failed = reads.filter(({ status }) => status !== 200)
  const took = (some: typeof reads) => some.map(({ answered, asked }) => answered - asked).toSorted((a, b) => a - b)
  const looked = (some: typeof windows) => some.reduce((sum, { lookups }) => sum + lookups, 0)
  const older = (kind: (typeof stale)[number]["where"]) => stale.filter(({ where }) => where === kind)
  const perSecond = (of: keyof Work) => (phase: Phase) => {
    const done = work[phase]
    return done === undefined ? "-" : count(Math.round(done.work[of] * 1000 / done.millis))
  }

  const rows: ReadonlyArray<Row> = [
    row("reads", reads, asked, (some) => count(some.length)),
    row("reads failed", failed, asked, (some) => count(some.length)),
    row(
      "cut off by the kill, asked again",
      reads.filter(({ isAgain }) => isAgain),
      asked,
      (some) => count(some.length)
    ),
    row("a read takes, median", reads, asked, (some) => percentile(took(some), 0.5)),
    row("a read takes, p99", reads, asked, (some) => percentile(took(some), 0.99)),
    row("stale windows of the watched keys", windows, opened, (some) => count(some.length)),
    row(
      "lookups per key and window",
      windows,
      opened,
      (some) => some.length === 0 ? "-" : (looked(some) / some.length).toFixed(2)
    ),
    row(
      "lookups per key and window, most",
      windows,
      opened,
      (some) => count(Math.max(0, ...some.map(({ lookups }) => lookups)))
    ),
    row(
      "writes acknowledged",
      writes.filter(({ status }) => status === 204),
      ({ at }) => at,
      (some) => count(some.length)
    ),
    row(
      "writes not acknowledged",
      writes.filter(({ status }) => status !== 204),
      ({ at }) => at,
      (some) => count(some.length)
    ),
    row(
      "stale after invalidation, same process",
      older("same process"),
      ({ read }) => read.sent,
      (some) => count(some.length)
    ),
    row(
      `stale after invalidation, another after ${settings.bound} ms`,
      older("another process"),
      ({ read }) => read.sent,
      (some) => count(some.length)
    ),
    {
      name: "takeover time",
      cells: ["", takeover === undefined ? "never" : `${(takeover / 1000).toFixed(2)} s`, "", ""]
    },
    { name: "Redis commands per second", cells: [...phases.map(perSecond("given")), ""] },
    { name: "called by scripts besides", cells: [...phases.map(perSecond("called")), ""] }
  ]
  const problems = [
    ...failed.length > 0 ? [`${count(failed.length)} reads failed`] : [],
    ...stale.length > 0 ? [`${count(stale.length)} reads gave what had been invalidated`] : [],
    ...reads.length === 0 || windows.length === 0 || writes.length === 0 ? ["nothing was measured"] : [],
    ...takeover === undefined ? ["nobody took over from the worker that was killed"] : []
  ]
  return { rows, problems }
}

/** The table as lines. */
export const render = ({ problems, rows }: Report): ReadonlyArray<string> => {
  const head: Row = { name: "", cells: [...phases, "whole run"] }
  const wide = Math.max(...rows.map(({ name }) => name.length))
  const widths = head.cells.map((_, i) => Math.max(...[head, ...rows].map(({ cells }) => cells[i]?.length ?? 0)))
  const line = ({ cells, name }: Row) =>
    ` ${name.padEnd(wide)}  ${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("   ")}`.trimEnd()
  return [
    ...[head, ...rows].map(line),
    "",
    ...problems.length > 0
      ? problems.map((problem) => ` PROBLEM: ${problem}.`)
      : [" No read failed, and none gave what had been invalidated."]
  ]
}
