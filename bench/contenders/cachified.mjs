import { cachified } from "@epic-web/cachified"
import { LRUCache } from "lru-cache"

/** @type {import("../contenders.mjs").Contender} */
export const overLru = {
  name: "cachified + lru-cache",
  edge: "promise",
  config: "cachified over lru-cache with max; ttl, swr, fallbackToCache; no validator",
  stale: true,
  error: true,
  waits: true,
  open: ({ capacity, fresh, load, stale = 0, waits }) => {
    const cache = new LRUCache({ max: capacity })
    const freshOf = waits ? (key) => () => load(key) : (key) => async () => load(key)
    return {
      read: (key) => cachified({ key, cache, ttl: fresh, swr: stale, getFreshValue: freshOf(key) }),
      close: () => cache.clear()
    }
  }
}
