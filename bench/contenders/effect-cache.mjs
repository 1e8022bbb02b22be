/** Effect's own `Cache`. */
import { Cache, Effect } from "effect"
import { lookupOf } from "./effect-swr.mjs"

const config = "Cache.make, capacity, timeToLive"

const openCache = (options) =>
  Effect.runPromise(Cache.make({
    lookup: lookupOf(options),
    capacity: options.capacity,
    timeToLive: options.fresh
  }))

/** @type {import("../contenders.mjs").Contender} */
export const inFiber = {
  name: "Effect Cache, in a fiber",
  edge: "fiber",
  config: `${config}; yield* Cache.get(cache, key)`,
  waits: true,
  open: async (options) => {
    const cache = await openCache(options)
    return { read: (key) => Cache.get(cache, key), close: () => Effect.runPromise(Cache.invalidateAll(cache)) }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const runSync = {
  name: "Effect Cache, runSync",
  edge: "sync",
  config: `${config}; Effect.runSync(Cache.get(cache, key))`,
  only: ["hit"],
  open: async (options) => {
    const cache = await openCache(options)
    return {
      read: (key) => Effect.runSync(Cache.get(cache, key)),
      close: () => Effect.runPromise(Cache.invalidateAll(cache))
    }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const runPromise = {
  name: "Effect Cache, runPromise",
  edge: "promise",
  config: `${config}; await Effect.runPromise(Cache.get(cache, key))`,
  waits: true,
  open: async (options) => {
    const cache = await openCache(options)
    return {
      read: (key) => Effect.runPromise(Cache.get(cache, key)),
      close: () => Effect.runPromise(Cache.invalidateAll(cache))
    }
  }
}
