/**
 * A guard for CI, in less than a minute and with nothing but what the library's own `npm ci` brings: are the hot paths
 * still about as fast as they were, beside what is measured in the same moment? By ratio only, and with wide margins.
 */
import { readFileSync } from "node:fs"
import { load } from "./contenders.mjs"
import { ratioOf } from "./judge.mjs"
import { run } from "./run.mjs"
import { scenarios } from "./scenarios.mjs"
import { tableOf } from "./table.mjs"

const settings = { rounds: 11, slice: 8, warmup: 100, all: false }

const ours = "effect-swr, in a fiber"
const face = "effect-swr, SwrPromise"
const effect = "Effect Cache, in a fiber"
const rivals = [ours, "floor", effect, "lru-cache get", "lru-cache fetch"]

/**
 * What is measured, of whom, and what of it is judged; the limits stand in limits.json by the same words. The Promise
 * face comes last: a program has one face, and in one that has both V8 optimises neither as well.
 */
const guards = [
  ["a", rivals, {
    "fresh hit / floor": (row) => ratioOf(row(ours), row("floor")),
    "fresh hit / Effect Cache": (row) => ratioOf(row(ours), row(effect))
  }],
  ["b", rivals, { "fresh hit of 10,000 keys / floor": (row) => ratioOf(row(ours), row("floor")) }],
  ["c", rivals, { "stale hit and refresh / lru-cache fetch": (row) => ratioOf(row(ours), row("lru-cache fetch")) }],
  ["d", rivals, { "miss, load, store / Effect Cache": (row) => ratioOf(row(ours), row(effect)) }],
  ["e", rivals, {
    "loads per stampede": (row) => row(ours).loadsPerHerd,
    "reader of a stampede / Effect Cache": (row) => ratioOf(row(ours), row(effect))
  }],
  ["f", [ours], { "bytes per entry": (row) => row(ours).bytes }],
  ["g", rivals, { "hit ratio below lru-cache": (row) => row("lru-cache get").hitRatio - row(ours).hitRatio }],
  ["a", [face, "floor"], { "fresh hit by promise / floor": (row) => ratioOf(row(face), row("floor")) }],
  ["e", [face], { "loads per stampede by promise": (row) => row(face).loadsPerHerd }]
]

/** Answers whether all limits hold. What does not is measured once more: a machine has its moments. */
export const quick = async () => {
  const limits = JSON.parse(readFileSync(new URL("limits.json", import.meta.url), "utf8"))
  const contenders = await load(false)
  const measure = async ([id, names, judged]) => {
    const rows = await run(scenarios[id], contenders.filter(({ name }) => names.includes(name)), settings)
    const broken = rows.find(({ failed }) => typeof failed === "string")
    if (broken !== undefined) throw new Error(`(${id}) ${broken.name}: ${broken.failed}`)
    const row = (name) => rows.find((one) => one.name === name)
    return Object.entries(judged).map(([what, of]) => {
      const measured = of(row)
      return { target: `(${id}) ${what}`, measured, atMost: limits[what], met: measured <= limits[what] }
    })
  }
  const verdict = []
  for (const guard of guards) {
    const found = await measure(guard)
    verdict.push(...found.every(({ met }) => met) ? found : await measure(guard))
  }
  console.log(tableOf(verdict))
  return verdict.every(({ met }) => met)
}
