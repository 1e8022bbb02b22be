/**
 * The final screen: both timelines, one above the other, and the table. Pure.
 */
import { chart, type Dot, type Frame, labelWidth, type Paint, ruler, timeAxis } from "./Chart.ts"
import { labels, plan } from "./Outage.ts"
import type { Figures, Observed, Report } from "./Report.ts"
import { hasFailed, type Route } from "./Sample.ts"
import { type Settings, showMillis } from "./Settings.ts"

export interface Look {
  /** Columns of the terminal. */
  readonly columns: number
  readonly paint: Paint
}

/** A latency with two or three digits: `0.84 ms`, `412 ms`, `1.02 s`. */
export const showLatency = (millis: number | null): string =>
  millis === null
    ? "-"
    : millis >= 1000
    ? `${(millis / 1000).toFixed(2)} s`
    : millis >= 100
    ? `${millis.toFixed(0)} ms`
    : millis >= 10
    ? `${millis.toFixed(1)} ms`
    : `${millis.toFixed(2)} ms`

const showCount = (count: number): string => count.toLocaleString("en-US")

const tableRows: ReadonlyArray<readonly [title: string, show: (figures: Figures) => string]> = [
  ["requests", ({ requests }) => showCount(requests)],
  ["failed", ({ failed }) => showCount(failed)],
  ["p50", ({ p50 }) => showLatency(p50)],
  ["p99", ({ p99 }) => showLatency(p99)],
  ["p99.9", ({ p999 }) => showLatency(p999)],
  ["max", ({ max }) => showLatency(max)],
  ["answered stale", ({ stale }) => showCount(stale)],
  ["oldest answer", ({ oldest }) => `${oldest} s`],
  ["lookups (origin calls)", ({ lookups }) => showCount(lookups)]
]

/** The figures of both routes side by side, over the run and over the outage alone. */
export const table = (report: Report, { paint }: Look): ReadonlyArray<string> => {
  const line = (title: string, cells: ReadonlyArray<string>) => ` ${title.padEnd(24)}${cells.join("")}`
  const cell = (text: string) => text.padStart(11)
  const groups = [
    { title: "whole run", ttl: report.ttl.run, swr: report.swr.run },
    ...(report.ttl.outage === null || report.swr.outage === null
      ? []
      : [{ title: "outage alone", ttl: report.ttl.outage, swr: report.swr.outage }])
  ]
  return [
    paint(line("", groups.map(({ title }) => title.padStart(25))), "dim"),
    paint(line("", groups.map(() => `   ${cell("TTL")}${cell("SWR")}`)), "dim"),
    ...tableRows.map(([title, show]) =>
      line(
        title,
        groups.map(({ swr, ttl }) =>
          title === "failed"
            ? `   ${paint(cell(show(ttl)), ttl.failed > 0 ? "bad" : "good")}${
              paint(cell(show(swr)), swr.failed > 0 ? "bad" : "good")
            }`
            : `   ${cell(show(ttl))}${cell(show(swr))}`
        )
      )
    )
  ]
}

/** One sentence: what the run has shown. */
export const verdict = (report: Report, { paint }: Look): string => {
  if (report.problems.length > 0) {
    return report.problems.map((problem) => paint(`PROBLEM: ${problem}.`, "bad")).join("\n ")
  }
  const { outage, run } = report.swr
  const { ttl } = report
  if (outage === null || ttl.outage === null) {
    return paint(`SWR: p99 ${showLatency(run.p99)}; TTL: p99 ${showLatency(ttl.run.p99)}.`, "good")
  }
  return paint(
    `No reader of the SWR route noticed the outage: none of ${showCount(outage.requests)} requests failed, p99 ` +
      `${showLatency(outage.p99)}. TTL: ${showCount(ttl.outage.failed)} failed, p99 ${showLatency(ttl.outage.p99)}.`,
    "good"
  )
}

/** The whole screen. */
export const render = (report: Report, observed: Observed, settings: Settings, look: Look): ReadonlyArray<string> => {
  const { paint } = look
  const frame: Frame = {
    columns: Math.max(40, Math.min(look.columns, 140) - labelWidth - 2),
    duration: settings.duration,
    stretches: plan(settings).map(({ from, health, to }) => ({ from, to, label: labels[health] }))
  }
  const dots = (route: Route): ReadonlyArray<Dot> =>
    observed.samples.filter((sample) => sample.route === route).map((sample) => ({
      at: sample.at,
      latency: sample.latency,
      failed: hasFailed(sample)
    }))
  const { freshFor, maxAge, staleIfError } = settings
  return [
    ...(report.complete
      ? []
      : [` Stopped after ${(report.measured / 1000).toFixed(1)} s: this is what was measured so far.`, ""]),
    ` TTL  /ttl/price/:sku   fresh for ${showMillis(freshFor)}, then readers wait for the origin`,
    ...chart(frame, dots("ttl"), paint),
    ...(frame.stretches.length > 0 ? [paint(ruler(frame, "outage"), "bad")] : []),
    ` SWR  /swr/price/:sku   fresh for ${showMillis(freshFor)}, then refreshed behind the reader's back until ${
      showMillis(maxAge)
    }; stale on error for ${showMillis(staleIfError)}`,
    ...chart(frame, dots("swr"), paint),
    ...timeAxis(frame).map((line) => paint(line, "dim")),
    paint(`${" ".repeat(labelWidth + 1)}· ░ ▒ ▓ █ few to most requests of the moment, × a failed one`, "dim"),
    "",
    ...table(report, look),
    "",
    paint(
      " Both routes were asked for the same products at the same moments. Latency counts from the moment a request was\n" +
        " due, not from when it was sent, failed requests included (no coordinated omission)" +
        (report.late === null
          ? "."
          : `; the generator itself was late\n by ${showLatency(report.late.p99)} at p99, ${
            showLatency(report.late.max)
          } at most, which is in the figures. Before, each product was read once on each route.`),
      "dim"
    ),
    "",
    ` ${verdict(report, look)}`
  ]
}
