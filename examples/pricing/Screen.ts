/**
 * The final screen: both timelines, one above the other, and the table. Pure.
 */
import { chart, type Dot, type Frame, labelWidth, type Paint, ruler, timeAxis } from "./Chart.ts"
import { labels, plan } from "./Outage.ts"
import type { Figures, Report } from "./Report.ts"
import { hasFailed, type Route, type Sample } from "./Sample.ts"
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

/** What the run has shown, in a sentence; or what it should have shown and did not. */
export const verdict = ({ problems, swr, ttl }: Report): ReadonlyArray<string> => {
  if (problems.length > 0) return problems.map((problem) => `PROBLEM: ${problem}.`)
  if (swr.outage === null || ttl.outage === null) {
    return [`SWR: p99 ${showLatency(swr.run.p99)}; TTL: p99 ${showLatency(ttl.run.p99)}.`]
  }
  return [
    `No reader of the SWR route noticed the outage: none of ${showCount(swr.outage.requests)} requests failed, p99 ` +
    `${showLatency(swr.outage.p99)}. TTL: ${showCount(ttl.outage.failed)} failed, p99 ${showLatency(ttl.outage.p99)}.`
  ]
}

/** Breaks a text into lines of at most so many letters, each indented by one. */
export const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width - 1) {
      lines.push(` ${line}`)
      line = ""
    }
    line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, ` ${line}`]
}

const notes = (report: Report): string =>
  "Both routes were asked for the same products at the same moments, after each product had been read once on each. " +
  "Latency counts from the moment a request was due, not from when it was sent (no coordinated omission), and failed " +
  "requests count too." +
  (report.late === null ?
    "" :
    ` The load generator itself was late by ${showLatency(report.late.p99)} at p99 and ${
      showLatency(report.late.max)
    } at most, which is in the figures.`) +
  " What SWR costs: an answer can be as old as the last time its product was asked for, up to --max-age, and in an outage up to --stale-if-error more than its TTL."

/** The whole screen. */
export const render = (
  report: Report,
  samples: ReadonlyArray<Sample>,
  settings: Settings,
  look: Look
): ReadonlyArray<string> => {
  const { paint } = look
  const width = Math.max(60, Math.min(look.columns, 140))
  const frame: Frame = {
    columns: width - labelWidth - 2,
    duration: settings.duration,
    stretches: plan(settings).map(({ from, health, to }) => ({ from, to, label: labels[health] }))
  }
  const timeline = (route: Route): ReadonlyArray<string> =>
    chart(
      frame,
      samples.filter((sample) => sample.route === route).map((sample): Dot => ({
        at: sample.at,
        latency: sample.latency,
        failed: hasFailed(sample)
      })),
      paint
    )
  const [fresh, age, onError] = [settings.freshFor, settings.maxAge, settings.staleIfError].map(showMillis)
  const stopped = ` Stopped after ${(report.measured / 1000).toFixed(1)} s: what was answered by then.`
  return [
    ...(report.complete ? [] : [stopped, ""]),
    ` TTL   fresh for ${fresh}, then readers wait for the origin`,
    ...timeline("ttl"),
    ...(frame.stretches.length > 0 ? [paint(ruler(frame, "outage"), "bad")] : []),
    ` SWR   fresh for ${fresh}, then refreshed behind the reader; max age ${age}, on error ${onError}`,
    ...timeline("swr"),
    ...timeAxis(frame).map((line) => paint(line, "dim")),
    paint(`${" ".repeat(labelWidth + 1)}· ░ ▒ ▓ █ few to most requests of the moment, × a failed one`, "dim"),
    "",
    ...table(report, look),
    "",
    ...wrap(notes(report), width).map((line) => paint(line, "dim")),
    "",
    ...verdict(report).flatMap((sentence) => wrap(sentence, width)).map((line) =>
      paint(line, report.problems.length > 0 ? "bad" : "good")
    )
  ]
}
