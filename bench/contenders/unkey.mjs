import { Namespace } from "@unkey/cache"
import { MemoryStore } from "@unkey/cache/stores"
import { LRUCache } from "lru-cache"

/** @type {import("../contenders.mjs").Contender} */
export const swr = {
  name: "@unkey/cache",
  edge: "promise",
  config: "MemoryStore over lru-cache with max (its own bound walks the whole map on a set); fresh, stale; swr",
  value: ".val",
  stale: true,
  error: true,
  waits: true,
  open: ({ capacity, fresh, load, stale = 0, waits }) => {
    const stores = [new MemoryStore({ persistentMap: new LRUCache({ max: capacity }) })]
    // A failed refresh rejects here, and nobody else hears of it.
    const context = { waitUntil: (promise) => void promise.catch(() => {}) }
    const cache = new Namespace(context, { stores, fresh, stale: fresh + stale })
    const origin = waits ? load : async (key) => load(key)
    return { read: (key) => cache.swr("bench", key, origin), close: () => {} }
  }
}
