/** The cache most of npm has installed. */
import { LRUCache } from "lru-cache"

/** @type {import("../contenders.mjs").Contender} */
export const get = {
  name: "lru-cache get",
  edge: "sync",
  config: "max, ttl; get, and by hand a load and a set on a miss; no single flight",
  only: ["hit", "keys", "miss", "evict", "memory"],
  open: ({ capacity, fresh, load }) => {
    const cache = new LRUCache({ max: capacity, ttl: fresh })
    return {
      read: (key) => {
        let value = cache.get(key)
        if (value === undefined) {
          value = load(key)
          cache.set(key, value)
        }
        return value
      },
      close: () => cache.clear()
    }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const fetch = {
  name: "lru-cache fetch",
  edge: "promise",
  config: "max, ttl, allowStale, noDeleteOnFetchRejection and allowStaleOnFetchRejection; fetch; stale without end",
  stale: true,
  error: true,
  waits: true,
  open: ({ capacity, fresh, load, stale, waits }) => {
    const cache = new LRUCache({
      max: capacity,
      ttl: fresh,
      allowStale: stale !== undefined,
      noDeleteOnFetchRejection: true,
      allowStaleOnFetchRejection: true,
      fetchMethod: waits ? load : async (key) => load(key)
    })
    return { read: (key) => cache.fetch(key), close: () => cache.clear() }
  }
}
