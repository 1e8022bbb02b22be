/** Reads that load: behind the reader, before the reader, for a thousand readers, and where memory is full. */
import { Effect } from "effect"
import { names, order } from "../draws.mjs"
import { breathe } from "../measure.mjs"
import { hold, hour, valueOf } from "./opening.mjs"

const some = names(1_024)

/** Each key once while it is stale; done when all are refreshed. */
export const c = {
  title: "stale hit and its refresh",
  kind: "stale",
  also: ({ name }) => name === "floor",
  unit: "a read and its refresh",
  entry: async (contender) => {
    let loads = 0
    const load = (key) => {
      loads++
      return valueOf(key)
    }
    const held = await hold(contender, { capacity: 10_000, fresh: 20, stale: hour, load })
    await held.loop(held.read, some, 0, some.length)
    let lost = 0
    return {
      ...held,
      count: some.length,
      before: async () => {
        await breathe(30)
        loads = 0
      },
      run: async () => {
        // A few at a time, as requests come: their refreshes run before the next.
        for (let from = 0; from < some.length; from += 64) {
          held.sink(await held.loop(held.read, some, from, 64))
          await breathe()
        }
        for (let patience = 0; loads < some.length && patience < 1_000; patience++) await breathe()
        lost += Math.max(0, some.length - loads)
      },
      more: () => lost === 0 ? {} : { note: `${lost} refreshes never came` }
    }
  }
}

const distinct = names(8_192)

/** A cache opened anew for each round, that has room for all: nothing is evicted. */
export const d = {
  title: "miss, load and store",
  kind: "miss",
  unit: "a read",
  entry: async (contender) => {
    const options = { capacity: 10_000, fresh: hour, stale: hour, load: valueOf }
    const held = await hold(contender, options)
    await held.close()
    let opened
    return {
      ...held,
      count: distinct.length,
      before: async () => {
        opened = await contender.open(options)
      },
      run: async () => held.sink(await held.loop(opened.read, distinct, 0, distinct.length)),
      after: () => opened.close(),
      close: () => {}
    }
  }
}

const readers = 1_000

/** All readers ask before the origin answers, which it does as soon as they have. */
export const e = {
  title: "1,000 concurrent readers of a cold key",
  kind: "herd",
  unit: "a reader",
  entry: async (contender) => {
    let loads = 0
    let herds = 0
    const load = (key) => {
      loads++
      return new Promise((resolve) => setImmediate(() => resolve(valueOf(key))))
    }
    const held = await hold(contender, { capacity: 10_000, fresh: hour, stale: hour, load, waits: true })
    const crowd = Array.from({ length: readers })
    const herd = contender.edge === "fiber"
      ? (key) => Effect.runPromise(Effect.forEach(crowd, () => held.read(key), { concurrency: "unbounded" }))
      : (key) => Promise.all(crowd.map(() => held.read(key)))
    return {
      ...held,
      count: 5 * readers,
      run: async (count) => {
        for (let done = 0; done < count; done += readers) {
          const answers = await herd(`cold:${herds++}`)
          const path = contender.value?.slice(1)
          held.sink(answers.reduce((sum, answer) => sum + (path === undefined ? answer : answer[path]).price, 0))
        }
      },
      more: () => ({ loadsPerHerd: loads / herds })
    }
  }
}

const crowded = names(100_000)
const popular = order(crowded, 0.99, 2 ** 19)

/** Read-through with room for a tenth of the keys. */
export const g = {
  title: "10,000 places for 100,000 keys, Zipf 0.99: hits, misses, writes and evictions",
  kind: "evict",
  unit: "a read",
  entry: async (contender) => {
    let loads = 0
    let reads = 0
    const load = (key) => {
      loads++
      return valueOf(key)
    }
    const held = await hold(contender, { capacity: 10_000, fresh: hour, stale: hour, load })
    held.sink(await held.loop(held.read, popular, 0, 131_072))
    let from = 131_072
    loads = 0
    return {
      ...held,
      run: async (count) => {
        held.sink(await held.loop(held.read, popular, from, count))
        from = (from + count) % popular.length
        reads += count
      },
      more: () => ({ hitRatio: 1 - loads / reads, reads })
    }
  }
}
