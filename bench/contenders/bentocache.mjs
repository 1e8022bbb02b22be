import { BentoCache, bentostore } from "bentocache"
import { memoryDriver } from "bentocache/drivers/memory"

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
