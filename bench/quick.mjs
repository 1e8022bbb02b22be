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
const takers = [ours, "floor", "Effect Cache, in a fiber", "lru-cache get", "lru-cache fetch"]

/** [what, scenario, measured of its rows]; the limits stand in limits.json by the same words. */
const guards = [
  ["fresh hit / floor", "a", (row) => ratioOf(row(ours), row("floor"))],
  ["fresh hit / Effect Cache", "a", (row) => ratioOf(row(ours), row("Effect Cache, in a fiber"))],
  ["fresh hit of 10,000 keys / floor", "b", (row) => ratioOf(row(ours), row("floor"))],
  ["stale hit and refresh / lru-cache fetch", "c", (row) => ratioOf(row(ours), row("lru-cache fetch"))],
  ["miss, load, store / Effect Cache", "d", (row) => ratioOf(row(ours), row("Effect Cache, in a fiber"))],
  ["loads per stampede", "e", (row) => row(ours).loadsPerHerd],
  ["reader of a stampede / Effect Cache", "e", (row) => ratioOf(row(ours), row("Effect Cache, in a fiber"))],
  ["hit ratio below lru-cache", "g", (row) => row("lru-cache get").hitRatio - row(ours).hitRatio],
  ["bytes per entry", "f", (row) => row(ours).bytes]
]

/** Answers whether all limits hold. What does not is measured once more: a machine has its moments. */
export const quick = async () => {
  const limits = JSON.parse(readFileSync(new URL("limits.json", import.meta.url), "utf8"))
  const contenders = (await load(false)).filter(({ name }) => takers.includes(name))
  const guard = async (ids) => {
    const found = []
    for (const id of ids) {
      // Bytes are compared with a number, so the others need not be weighed.
      const rows = await run(
        scenarios[id],
        id === "f" ? contenders.filter(({ name }) => name === ours) : contenders,
        settings
      )
      const failed = rows.find((row) => row.failed?.length > 0)
      if (failed !== undefined) throw new Error(`(${id}) ${failed.name}: ${failed.failed}`)
      const row = (name) => rows.find((one) => one.name === name)
      for (const [what, scenario, measured] of guards) {
        if (scenario !== id) continue
        const value = measured(row)
        found.push({ target: `(${id}) ${what}`, id, measured: value, atMost: limits[what], met: value <= limits[what] })
      }
    }
    return found
  }
  const first = await guard([...new Set(guards.map(([, id]) => id))])
  const doubtful = [...new Set(first.filter(({ met }) => !met).map(({ id }) => id))]
  const again = await guard(doubtful)
  const verdict = first.map((one) => again.find(({ target }) => target === one.target) ?? one)
  console.log(tableOf(verdict))
  return verdict.every(({ met }) => met)
}
