/**
 * What the README says about speed, from one whole run: the picture docs/speed.svg and the part between the marks.
 *
 * ```
 * node bench/report.mjs bench/results.json
 * ```
 */
import { readFileSync, writeFileSync } from "node:fs"
import { ratioOf } from "./judge.mjs"

/** Edit by hand: the numbers don't know the reasons. */
const why =
  `Where it loses, and why: \`lru-cache\` and \`ttlcache\` are synchronous tables; the first reads the clock at most once
per millisecond, the second never. effect-swr reads a monotonic clock at each read. It runs each load in a fiber of its
own, with a scope, limits and a fence against writes that come in between, so a miss and a refresh cost more than
calling a function and storing its promise; at the Promise face whoever waits runs a fiber besides.`

const ours = "effect-swr, in a fiber"
const isOurs = (name) => name.startsWith("effect-swr")
const herdFloor = "stored promise"

/** They show what a loop or a wait costs by itself; nobody would use them as a cache. */
const aids = new Set(["fiber loop", "stored Deferred", herdFloor])

/** The floor has no single flight, so a herd is compared with a promise kept in a Map. */
const xStored = (row, rows) => {
  const floor = rows.find(({ name }) => name === herdFloor)
  return floor?.samples && row.samples && ratioOf(row, floor)
}

const columns = [
  { id: "a", head: "fresh hit", drawn: "Fresh hit", unit: "× floor", of: (row) => row.xFloor },
  { id: "b", head: "10,000 keys, Zipf", of: (row) => row.xFloor },
  { id: "c", head: "stale hit and refresh", drawn: "Stale hit, refresh", unit: "× floor", of: (row) => row.xFloor },
  { id: "d", head: "miss", drawn: "Miss", unit: "× floor", of: (row) => row.xFloor },
  { id: "e", head: "a stampede's reader", drawn: "Stampede", unit: "× stored promise", of: xStored },
  { id: "f", head: "bytes per entry", drawn: "Memory", unit: "bytes per entry", of: (row) => row.bytes },
  { id: "h", head: "p99, ms", of: (row) => row.p99 }
]

const file = process.argv[2]
if (file === undefined) throw new Error("Usage: node bench/report.mjs FILE, of npm run bench -- --json FILE")
const run = JSON.parse(readFileSync(file, "utf8"))
const missing = columns.filter(({ id }) => run.scenarios[id] === undefined).map(({ id }) => id)
if (missing.length > 0) throw new Error(`${file} is not of a whole run: it lacks ${missing.join(", ")}`)

const values = Object.fromEntries(columns.map(({ id, of }) => {
  const { rows } = run.scenarios[id]
  return [id, new Map(rows.map((row) => [row.name, typeof row.failed === "string" ? "failed" : of(row, rows)]))]
}))
const valueOf = (id, name) => values[id].get(name)
const isNumber = (value) => typeof value === "number"

const rank = (name) => isNumber(valueOf("a", name)) ? valueOf("a", name) : Infinity
const names = [...values.a.keys()].filter((name) => !aids.has(name)).toSorted((one, other) => rank(one) - rank(other))

const digits = (value) =>
  value >= 9.95 ? Math.round(value).toLocaleString("en") : value >= 0.995 ? value.toFixed(1) : value.toFixed(2)

// The picture. Presentation is by classes and without variables, which not every renderer of SVG knows.

const width = 800
const left = 184
const top = 52
const line = 22
const gap = 12
const label = 30

const text = (x, y, content, kind, anchor = "start") =>
  `<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}">${
    content.replace(/&/g, "&amp;").replace(/</g, "&lt;")
  }</text>`

const colours = ({ bar, ground, grid, own, quiet, word }) =>
  [
    `.ground { fill: ${ground} }`,
    `.word, .own-word { fill: ${word} }`,
    `.quiet { fill: ${quiet} }`,
    `.bar { fill: ${bar} }`,
    `.own { fill: ${own} }`,
    `.grid { stroke: ${grid} }`,
    `.floor { stroke: ${quiet} }`
  ].join(" ")

const light = { bar: "#afb8c1", ground: "#ffffff", grid: "#e4e8ec", own: "#0969da", quiet: "#59636e", word: "#1f2328" }
const dark = { bar: "#59626d", ground: "#0d1117", grid: "#21262d", own: "#4493f8", quiet: "#9198a1", word: "#e6edf3" }

const picture = () => {
  const panels = columns.filter(({ drawn }) => drawn !== undefined)
  // An edge that is measured in one scenario only, as runSync, would be an empty line.
  const drawn = names.filter((name) =>
    name !== "floor" && panels.filter(({ id }) => isNumber(valueOf(id, name))).length > 1
  )
  const room = (width - left) / panels.length
  const bottom = top + drawn.length * line
  const numbers = (some) => some.flatMap(({ id }) => drawn.map((name) => valueOf(id, name)).filter(isNumber))
  // All ratios share one scale, so that panels can be compared; bytes have their own.
  const isRatio = ({ id }) => id !== "f"
  const scale = (some, floor) => {
    const [least, most] = [Math.min(floor, ...numbers(some)), Math.max(floor, ...numbers(some))]
    return (value) => Math.log(value / least) / Math.log(most / least) * (room - gap - label)
  }
  const ratio = scale(panels.filter(isRatio), 1)
  const shapes = drawn.map((name, at) =>
    text(left - 10, top + at * line + 15, name, isOurs(name) ? "own-word" : "word", "end")
  )
  panels.forEach((panel, at) => {
    const start = left + at * room
    const floor = isRatio(panel) ? 1 : valueOf(panel.id, "floor")
    const place = isRatio(panel) ? ratio : scale([panel], floor)
    const x = (value) => Number((start + place(value)).toFixed(1))
    shapes.push(text(start, 18, panel.drawn, "word head"), text(start, 35, panel.unit, "quiet"))
    for (const tick of isRatio(panel) ? [1, 10, 100] : [floor, 200, 800]) {
      if (place(tick) > room - gap) continue
      const kind = tick === floor ? "floor" : "grid"
      shapes.push(`<line x1="${x(tick)}" x2="${x(tick)}" y1="${top - 4}" y2="${bottom + 4}" class="${kind}"/>`)
      shapes.push(text(x(tick), bottom + 18, String(Math.round(tick)), "quiet", "middle"))
    }
    drawn.forEach((name, row) => {
      const value = valueOf(panel.id, name)
      if (!isNumber(value)) return
      const [from, to] = [Math.min(x(value), x(floor)), Math.max(x(value), x(floor))]
      const y = top + row * line
      const size = Number(Math.max(to - from, 1).toFixed(1))
      shapes.push(
        `<rect x="${from}" y="${y + 5}" width="${size}" height="12" class="${isOurs(name) ? "own" : "bar"}"/>`,
        text(Number((to + 4).toFixed(1)), y + 15, digits(value), isOurs(name) ? "own-word" : "word")
      )
    })
  })
  const height = bottom + 50
  const said =
    "Log scale, shorter is better. Bars begin at the floor, a Map you would write yourself. Empty: takes no part."
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">
<title id="title">What effect-swr costs beside other caches</title>
<desc id="desc">${panels.map(({ drawn }) => drawn).join(", ")}, of ${drawn.length} caches. ${said}</desc>
<style>
text { font: 12px -apple-system, BlinkMacSystemFont, "Segoe UI", Helvetica, Arial, sans-serif }
.head, .own-word { font-weight: 600 }
${colours(light)}
@media (prefers-color-scheme: dark) { ${colours(dark)} }
</style>
<rect width="${width}" height="${height}" class="ground"/>
${shapes.join("\n")}
${text(8, height - 8, said, "quiet")}
</svg>
`
}

// The words.

const cell = (id, name) => {
  const value = valueOf(id, name)
  if (value === undefined) return "–"
  if (!isNumber(value)) return value
  const isAhead = name !== "floor" && !isOurs(name) && value < valueOf(id, ours)
  return isAhead ? `**${digits(value)}**` : digits(value)
}

const words = () => {
  const { cores, cpu, date, node, platform, settings, versions } = run
  const machine = cpu === undefined ? run.machine : `${cores} cores of ${cpu}, ${platform}`
  const of = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
  return `![Fresh hits, stale hits, misses, stampedes and memory of effect-swr and other caches](docs/speed.svg)

Measured ${date} with Node ${node} on ${machine}, medians of ${settings.rounds} rounds: ${of}.

| | ${columns.map(({ head, id }) => `${head} (${id})`).join(" | ")} |
|---|${columns.map(() => "--:|").join("")}
${names.map((name) => `| ${name} | ${columns.map(({ id }) => cell(id, name)).join(" | ")} |`).join("\n")}

(a) to (d) are times the floor, \`Map.get\` and \`Date.now\`; (e) is times the wait for a promise kept in a \`Map\`; (h) is
what readers wait for an origin of 400 ms with a TTL of 2 s. Bold is less than effect-swr in a fiber; – takes no
part, or is the same as another row. [bench/](bench/README.md) tells how it is measured, and where it may be unfair.

${why}`
}

const write = (path, change) => {
  const url = new URL(`../${path}`, import.meta.url)
  writeFileSync(url, change(url))
  console.log(`wrote ${path}`)
}

write("docs/speed.svg", picture)
write("README.md", (url) => {
  const readme = readFileSync(url, "utf8")
  const part = /(<!-- speed -->\n)[^]*?(<!-- \/speed -->)/
  if (!part.test(readme)) throw new Error("README.md has no <!-- speed --> and <!-- /speed -->")
  return readme.replace(part, (_, begin, end) => `${begin}${words()}\n${end}`)
})
