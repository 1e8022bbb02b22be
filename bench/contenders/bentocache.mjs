import { BentoCache, bentostore } from "bentocache"
import { memoryDriver } from "bentocache/drivers/memory"
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis"
import { redis } from "../redis.mjs"

/** @type {import("../contenders.mjs").Contender} */
export const getOrSet = {
  name: "BentoCache",
  edge: "promise",
  config: "memory driver with maxItems, serialize: false (no clone); ttl, grace, timeout 0 (stale at once); getOrSet",
  stale: true,
  error: true,
  waits: true,
  open: ({ capacity, error, fresh, load, stale, waits }) => {
    const grace = Math.max(stale ?? 0, error ?? 0)
    const bento = new BentoCache({
      default: "memory",
      ttl: fresh,
      ...grace > 0 && { grace: fresh + grace, timeout: 0, graceBackoff: 1000 },
      stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: capacity, serialize: false })) }
    })
    const factoryOf = waits ? (key) => () => load(key) : (key) => async () => load(key)
    return { read: (key) => bento.getOrSet({ key, factory: factoryOf(key) }), close: () => bento.disconnect() }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const overRedis = {
  name: "BentoCache over Redis",
  edge: "promise",
  config: "memory, Redis and bus by its own drivers (ioredis); ttl; getOrSet, for many keys all at once",
  only: ["stored", "unstored", "hit over a store"],
  open: async ({ capacity, fresh, load, waits }) => {
    const { host, port } = await redis()
    const connection = { host, port }
    const bento = new BentoCache({
      default: "tiers",
      ttl: fresh,
      prefix: "bento",
      stores: {
        tiers: bentostore()
          .useL1Layer(memoryDriver({ maxItems: capacity, serialize: false }))
          .useL2Layer(redisDriver({ connection }))
          .useBus(redisBusDriver({ connection }))
      }
    })
    const factoryOf = waits ? (key) => () => load(key) : (key) => async () => load(key)
    const read = (key) => bento.getOrSet({ key, factory: factoryOf(key) })
    return { read, readMany: (keys) => Promise.all(keys.map(read)), close: () => bento.disconnect() }
  }
}
