/**
 * Draws requests as a picture for the terminal: time from left to right, latency upwards on a logarithmic scale.
 *
 * A cell is the darker the more of its column's requests it holds. A cell with a failed request is a cross, whatever
 * else it holds. Pure.
 */

export interface Dot {
  /** Milliseconds after the start. */
  readonly at: number
  /** Milliseconds. */
  readonly latency: number
  readonly failed: boolean
}

/** A stretch of time with a name, such as an outage. */
export interface Stretch {
  readonly from: number
  readonly to: number
  readonly label: string
}

/** What two charts have to share to be comparable. */
export interface Frame {
  /** Columns of the picture itself; labels come in addition. */
  readonly columns: number
  readonly duration: number
  readonly stretches: ReadonlyArray<Stretch>
}

/** How a piece of text is coloured; without colours, the identity. */
export type Paint = (text: string, tone: Tone) => string
export type Tone = "good" | "slow" | "bad" | "dim"

const rowsPerDecade = 3
const floor = 0.1
const ceiling = 1000
const rows = Math.round(Math.log10(ceiling / floor) * rowsPerDecade) + 1
export const labelWidth = 8

/** The row of a latency: 0 holds everything under the scale, the last one everything over it. */
export const rowOf = (latency: number): number =>
  Math.max(0, Math.min(rows - 1, Math.floor(Math.log10(Math.max(latency, floor) / floor) * rowsPerDecade + 1e-9)))

const columnOf = (frame: Frame, at: number): number =>
  Math.max(0, Math.min(frame.columns - 1, Math.floor(at / frame.duration * frame.columns)))

const shade = (share: number): string =>
  share >= 0.6 ? "█" : share >= 0.3 ? "▓" : share >= 0.1 ? "▒" : share >= 0.03 ? "░" : "·"

const rowLabel = (row: number): string => {
  if (row === rows - 1) return "1 s +"
  if (row % rowsPerDecade !== 0) return ""
  return `${Number((floor * 10 ** (row / rowsPerDecade)).toPrecision(1))} ms`
}

interface Cell {
  count: number
  failed: boolean
}

/** From here on an answer counts as slow. */
const slow = 100

/** The picture of one route, from the top row to the bottom row. */
export const chart = (frame: Frame, dots: ReadonlyArray<Dot>, paint: Paint): ReadonlyArray<string> => {
  const cells = Array.from(
    { length: rows },
    () => Array.from({ length: frame.columns }, (): Cell => ({ count: 0, failed: false }))
  )
  const totals = Array.from({ length: frame.columns }, () => 0)
  for (const dot of dots) {
    const column = columnOf(frame, dot.at)
    const cell = cells[rowOf(dot.latency)]?.[column]
    if (cell === undefined) continue
    cell.count++
    cell.failed ||= dot.failed
    totals[column] = (totals[column] ?? 0) + 1
  }
  const edges = new Set(frame.stretches.flatMap(({ from, to }) => [columnOf(frame, from), columnOf(frame, to)]))
  const draw = (cell: Cell, row: number, column: number): readonly [letter: string, tone: Tone] => {
    if (cell.failed) return ["×", "bad"]
    if (cell.count > 0) return [shade(cell.count / (totals[column] ?? 1)), row >= rowOf(slow) ? "slow" : "good"]
    return [edges.has(column) ? "┊" : " ", "dim"]
  }
  return cells.map((line, row) => {
    const label: readonly [string, Tone] = [`${rowLabel(row).padStart(labelWidth - 1)} │`, "dim"]
    return painted([label, ...line.map((cell, column) => draw(cell, row, column))], paint)
  }).toReversed()
}

/** Paints neighbours of one tone together. */
const painted = (pieces: ReadonlyArray<readonly [text: string, tone: Tone]>, paint: Paint): string => {
  let line = ""
  let pending = ""
  let tone: Tone = "dim"
  for (const [text, next] of pieces) {
    if (next !== tone && pending !== "") {
      line += paint(pending, tone)
      pending = ""
    }
    pending += text
    tone = next
  }
  return line + paint(pending, tone)
}

/** A line that names the stretches where they are: `├─ hangs ─┤`, or `├hangs┤`, or without the name where it is narrow. */
export const ruler = (frame: Frame, title: string): string => {
  const line = Array.from({ length: frame.columns }, () => " ")
  for (const { from, label, to } of frame.stretches) {
    const start = columnOf(frame, from)
    const room = columnOf(frame, to) - start - 2
    const text = room >= label.length + 2 ? ` ${label} ` : room >= label.length ? label : ""
    const padded = text.padStart((room + text.length) >> 1, "─").padEnd(Math.max(0, room), "─")
    line.splice(start, padded.length + 2, ..."├".concat(padded, "┤").split(""))
  }
  return `${title.padStart(labelWidth - 1)}  ${line.slice(0, frame.columns).join("")}`.trimEnd()
}

/** The time axis: a rule with a tick, and under it the seconds. */
export const timeAxis = (frame: Frame): ReadonlyArray<string> => {
  const seconds = frame.duration / 1000
  const step =
    [0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600].find((each) => each / seconds * frame.columns >= 8) ?? 3600
  const rule = Array.from({ length: frame.columns }, () => "─")
  const labels = Array.from({ length: frame.columns + 8 }, () => " ")
  for (let second = 0; second < seconds; second += step) {
    const column = columnOf(frame, second * 1000)
    rule[column] = "┬"
    const label = `${second} s`
    labels.splice(column, label.length, ...label.split(""))
  }
  return [
    `${" ".repeat(labelWidth)}└${rule.join("")}`,
    `${" ".repeat(labelWidth + 1)}${labels.join("").trimEnd()}`
  ]
}
