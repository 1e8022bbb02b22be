import { TTLCache } from "@isaacs/ttlcache"

/** @type {import("../contenders.mjs").Contender} */
export const get = {
  name: "@isaacs/ttlcache",
  edge: "sync",
  config:
    "max, ttl; get, and by hand a load and a set on a miss; evicts what expires first, so in the order of writing",
  only: ["hit", "keys", "miss", "evict", "memory"],
  open: ({ capacity, fresh, load }) => {
    const cache = new TTLCache({ max: capacity, ttl: fresh })
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
