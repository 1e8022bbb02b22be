/** Rows as a table of text, its columns those that any row has. */

const columns = {
  name: "",
  target: "",
  measured: "measured",
  atMost: "allowed",
  met: "met",
  ns: "ns",
  xFloor: "x floor",
  spread: "spread",
  loadsPerHerd: "loads per herd",
  hitRatio: "hit ratio",
  bytes: "bytes",
  kept: "kept",
  "10,000 uniform": "10,000 uniform",
  "1,000,000 uniform": "1,000,000 uniform",
  "10,000 Zipf 0.99": "10,000 Zipf",
  "1,000,000 Zipf 0.99": "1,000,000 Zipf",
  p50: "p50",
  p99: "p99",
  p999: "p99.9",
  max: "max",
  due99: "p99 since due",
  due999: "p99.9 since due",
  failed: "failed",
  loads: "loads",
  callsPerKeyPerSecond: "calls / key / s",
  roundTrips: "round trips",
  commands: "",
  note: ""
}

const digits = (value) =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toFixed(2)

const shown = (column, value) => {
  if (value === undefined) return ""
  if (column === "hitRatio" || column === "spread") return `${(value * 100).toFixed(1)} %`
  if (typeof value === "object") return `${digits(value.xFloor)} x`
  if (typeof value === "boolean") return value ? "yes" : "NO"
  if (typeof value !== "number") return String(value)
  return Number.isInteger(value) ? value.toLocaleString("en") : digits(value)
}

/** @param {ReadonlyArray<object>} rows */
export const tableOf = (rows) => {
  const present = Object.keys(columns).filter((column) => rows.some((row) => row[column] !== undefined))
  const cells = [
    present.map((column) => columns[column]),
    ...rows.map((row) => present.map((one) => shown(one, row[one])))
  ]
  const widths = present.map((_, at) => Math.max(...cells.map((line) => line[at].length)))
  const text = (line) =>
    line.map((cell, at) => at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at])).join("  ").trimEnd()
  return cells.map(text).join("\n")
}
