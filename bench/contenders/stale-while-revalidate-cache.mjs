import { LRUCache } from "lru-cache"
import { createStaleWhileRevalidateCache } from "stale-while-revalidate-cache"

/** @type {import("../contenders.mjs").Contender} */
export const swr = {
  name: "stale-while-revalidate-cache",
  edge: "promise",
  config: "over lru-cache with twice the max (it keeps two items per key); minTimeToStale, maxTimeToLive",
  value: ".value",
  stale: true,
  error: true,
  waits: true,
  open: ({ capacity, fresh, load, stale = 0, waits }) => {
    const items = new LRUCache({ max: capacity * 2 })
    const cache = createStaleWhileRevalidateCache({
      storage: {
        getItem: (key) => items.get(key),
        setItem: (key, value) => void items.set(key, value),
        removeItem: (key) => void items.delete(key)
      },
      minTimeToStale: fresh,
      maxTimeToLive: fresh + stale
    })
    const taskOf = waits ? (key) => () => load(key) : (key) => async () => load(key)
    return { read: (key) => cache(key, taskOf(key)), close: () => items.clear() }
  }
}
