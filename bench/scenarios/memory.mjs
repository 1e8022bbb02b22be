/** A million keys. Runs in a process of its own: `node --expose-gc scenarios/memory.mjs NAME WHAT`. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { load, takesPart } from "../contenders.mjs"
import { names, order, padded } from "../draws.mjs"
import { interleave, rowsOf } from "../measure.mjs"
import { hold, hour } from "./opening.mjs"

const million = 2 ** 20

/** One value for all: what an entry weighs beyond its key and its value. */
const value = { id: "", price: 1 }

const used = () => {
  for (let times = 0; times < 4; times++) globalThis.gc()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

/** Bytes per entry, all that comes with it counted, also what lies outside of the heap. */
const weigh = async (contender) => {
  // What it needs once, code compiled included, is not an entry's.
  const rehearsal = await hold(contender, { capacity: 1_000, fresh: hour, stale: hour, load: () => value })
  await rehearsal.loop(rehearsal.read, names(1_024, "rehearsal"), 0, 1_000)
  const keys = names(million)
  const before = used()
  let loads = 0
  const load = () => {
    loads++
    return value
  }
  const held = await hold(contender, { capacity: million, fresh: hour, stale: hour, load })
  // In parts, so that what each leaves behind can be collected.
  for (let from = 0; from < million; from += 8_192) await held.loop(held.read, keys, from, 8_192)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const bytes = (used() - before) / million
  const first = loads
  await held.loop(held.read, keys, 0, 8_192)
  return { bytes, kept: first === million && loads === million, keys: keys.length }
}

/** Hits over 10,000 and over a million keys, each beside a floor with as many. */
const grow = async (contender, floor, settings) => {
  const rows = {}
  for (const count of [10_000, million]) {
    const keys = names(count)
    const all = padded(keys)
    const entries = []
    for (const one of contender === floor ? [floor] : [floor, contender]) {
      const held = await hold(one, { capacity: count, fresh: hour, stale: hour, load: () => value })
      for (let from = 0; from < all.length; from += 8_192) await held.loop(held.read, all, from, 8_192)
      for (const exponent of [0, 0.99]) {
        const inOrder = order(keys, exponent, 2 ** 18)
        let from = 0
        entries.push({
          name: `${one.name} ${exponent}`,
          run: async (reads) => {
            held.sink(await held.loop(held.read, inOrder, from, reads))
            from = (from + reads) % inOrder.length
          }
        })
      }
    }
    const measured = await interleave(entries, settings)
    for (const [exponent, draws] of [[0, "uniform"], [0.99, "Zipf 0.99"]]) {
      const row = rowsOf(measured, `${floor.name} ${exponent}`).find(({ name }) =>
        name === `${contender.name} ${exponent}`
      )
      rows[`${count === million ? "1,000,000" : "10,000"} ${draws}`] = { ns: row.ns, xFloor: row.xFloor }
    }
  }
  return rows
}

const self = fileURLToPath(import.meta.url)

/** Runs `what` for a contender in a process of its own. */
export const inChild = async (name, what, settings) => {
  const args = ["--expose-gc", "--max-old-space-size=4096", self, name, what, JSON.stringify(settings)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 })
  return JSON.parse(stdout)
}

if (process.argv[1] === self) {
  const [name, what, settings] = process.argv.slice(2)
  const { all, ...rest } = JSON.parse(settings)
  const contenders = await load(all)
  const contender = contenders.find((one) => one.name === name)
  const floor = contenders.find((one) => one.name === "floor")
  const found = what === "weigh" ? await weigh(contender) : await grow(contender, floor, rest)
  process.stdout.write(JSON.stringify(found))
  process.exit(0)
}

/** A cache is as large whichever way it is read. */
const isOneOf = (contender) => takesPart(contender, "memory") && !/runPromise|SwrPromise/.test(contender.name)

export const f = {
  title: "bytes per entry at 1,048,576 entries, beyond key and value",
  kind: "memory",
  takesPart: isOneOf,
  child: "weigh"
}

export const bMillion = {
  title: "fresh hits over 1,000,000 keys and over 10,000, each x the floor with as many",
  kind: "keys",
  takesPart: isOneOf,
  child: "grow"
}
