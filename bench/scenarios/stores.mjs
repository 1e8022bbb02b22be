/** Memory over Redis: hits of the store, misses, many keys at once, and what the store costs a hit in memory. */
import { names, padded } from "../draws.mjs"
import { breathe, loopOf } from "../measure.mjs"
import { commands, cpu, spent } from "../redis.mjs"
import { hold, hour, valueOf } from "./opening.mjs"

/** As long as a record of ours of such a value. */
const bytes = 230

/** What each operation costs in commands, when nobody else sends any. */
const counted = async (run, operations) => {
  const before = await commands()
  await run(operations)
  return spent(before, await commands(), operations)
}

const stored = names(64, "stored")

/** There is room for one in memory, so the store is asked for each. */
export const l = {
  title: "hit in the store, not in memory",
  kind: "stored",
  floor: "bare GET, in a fiber",
  unit: "a read",
  entry: async (contender) => {
    const held = await hold(contender, { capacity: 1, fresh: hour, stale: hour, load: valueOf, keys: stored, bytes })
    await held.loop(held.read, stored, 0, stored.length)
    await breathe(50)
    let from = 0
    const run = async (count) => {
      held.sink(await held.loop(held.read, stored, from, count))
      from = (from + count) % stored.length
    }
    const cost = await counted(run, 640)
    return { ...held, run, helper: cpu, more: () => cost }
  }
}

/** The store has nothing; what is loaded is there when the read is answered, or soon after. */
export const m = {
  title: "miss: a load, and all that the store is told",
  kind: "unstored",
  floor: "BentoCache over Redis",
  unit: "a read",
  entry: async (contender) => {
    const held = await hold(contender, { capacity: 100, fresh: hour, stale: hour, load: valueOf })
    let batch = 0
    let keys = []
    const before = () => void (keys = names(256, `miss-${batch++}`))
    const run = async () => {
      held.sink(await held.loop(held.read, keys, 0, keys.length))
      await breathe()
    }
    before()
    await run()
    before()
    const cost = await counted(async () => {
      await run()
      // Until the last commit has come to the store.
      await breathe(100)
    }, keys.length)
    return { ...held, count: keys.length, before, run, helper: cpu, more: () => cost }
  }
}

const hundreds = Array.from({ length: 16 }, (_, at) => names(100, `many-${at}`))

/** A hundred keys at once, none of them in memory. */
export const n = {
  title: "100 keys of the store at once",
  kind: "stored",
  floor: "bare GET, in a fiber",
  unit: "100 keys",
  entry: async (contender) => {
    const keys = hundreds.flat()
    const options = { capacity: 1, fresh: hour, stale: hour, load: valueOf, keys, bytes }
    const { readMany, ...held } = await hold(contender, options)
    await held.loop(held.read, padded(keys), 0, 2_048)
    await breathe(50)
    const loop = loopOf({ edge: contender.edge, value: "[99]" })
    let from = 0
    const run = async (count) => {
      held.sink(await loop(readMany, hundreds, from, count))
      from = (from + count) % hundreds.length
    }
    const cost = await counted(run, 64)
    return { ...held, run, helper: cpu, more: () => cost }
  }
}

const one = names(1)

const isOurs = ({ name }) => name === "effect-swr, in a fiber" || name === "floor" || name === "BentoCache"

/** A hit that nobody else hears of. */
export const o = {
  title: "fresh hit in memory, over a store and without",
  kind: "hit over a store",
  also: isOurs,
  unit: "a read",
  entry: async (contender) => {
    const held = await hold(contender, { capacity: 10_000, fresh: hour, stale: hour, load: valueOf })
    await held.loop(held.read, one, 0, 1)
    await breathe(50)
    return { ...held, run: async (count) => held.sink(await held.loop(held.read, one, 0, count)) }
  }
}
