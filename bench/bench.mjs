/**
 * What effect-swr costs beside the caches people know.
 *
 * ```
 * node bench.mjs [--only a,c] [--contenders lru,effect] [--rounds 15] [--slice 20] [--seconds 10] [--json FILE]
 * node bench.mjs --list
 * node bench.mjs --quick
 * ```
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import { load } from "./contenders.mjs"
import { judge } from "./judge.mjs"
import { quick } from "./quick.mjs"
import { run } from "./run.mjs"
import { scenarios } from "./scenarios.mjs"
import { tableOf } from "./table.mjs"

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    contenders: { type: "string" },
    rounds: { type: "string", default: "15" },
    slice: { type: "string", default: "20" },
    seconds: { type: "string", default: "10" },
    json: { type: "string" },
    quick: { type: "boolean", default: false },
    list: { type: "boolean", default: false }
  }
})

if (flags.quick) process.exit(await quick() ? 0 : 1)

const settings = {
  rounds: Number(flags.rounds),
  slice: Number(flags.slice),
  warmup: 300,
  seconds: Number(flags.seconds),
  all: true
}
const wanted = flags.contenders?.toLowerCase().split(",")
const isWanted = ({ name }) =>
  wanted === undefined || name === "floor" || wanted.some((part) => name.toLowerCase().includes(part))
const contenders = (await load(true)).filter(isWanted)
const chosen = flags.only?.split(",") ?? Object.keys(scenarios)

if (flags.list) {
  for (const [id, { title }] of Object.entries(scenarios)) console.log(`${id.padEnd(12)} ${title}`)
  console.log()
  for (const { config, name } of contenders) console.log(`${name.padEnd(32)} ${config}`)
  process.exit(0)
}

// A rival's refresh that fails behind its readers must not end the run either; it is counted and told.
let unhandled = 0
process.on("unhandledRejection", () => void unhandled++)

const results = {}
for (const id of chosen) {
  const scenario = scenarios[id]
  if (scenario === undefined) throw new Error(`No scenario ${id}: ${Object.keys(scenarios).join(", ")}`)
  const rows = await run(scenario, contenders, settings)
  results[id] = { title: scenario.title, unit: scenario.unit, rows }
  console.log(`\n(${id}) ${scenario.title}\n${tableOf(rows)}`)
}
if (unhandled > 0) console.log(`\n${unhandled} promises were rejected with nobody to hear it`)

const targets = judge(results)
if (targets.length > 0) console.log(`\nTargets\n${tableOf(targets)}`)

const packageAt = (url) => JSON.parse(readFileSync(url, "utf8"))

/** What is installed, which may differ from what is asked for; by path, as some don't export their package.json. */
const versionOf = (name) => {
  const folder = createRequire(import.meta.url).resolve.paths(name)
    .find((one) => existsSync(`${one}/${name}/package.json`))
  return folder === undefined ? undefined : packageAt(`${folder}/${name}/package.json`).version
}

if (flags.json !== undefined) {
  const { dependencies } = packageAt(new URL("package.json", import.meta.url))
  const { name, version } = packageAt(new URL("../package.json", import.meta.url))
  const rivals = ["effect", ...Object.keys(dependencies)]
  const record = {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    versions: { [name]: version, ...Object.fromEntries(rivals.map((rival) => [rival, versionOf(rival)])) },
    settings,
    configurations: Object.fromEntries(contenders.map(({ config, name }) => [name, config])),
    scenarios: results,
    targets
  }
  // Each round's sample is in it to be looked at; more digits than mean something are not.
  const text = JSON.stringify(record, (_, value) => typeof value === "number" ? Number(value.toPrecision(4)) : value, 1)
  writeFileSync(flags.json, `${text.replace(/\[[\s\d.,e+-]*\]/g, (list) => list.replace(/\s+/g, ""))}\n`)
}
process.exit(0)
