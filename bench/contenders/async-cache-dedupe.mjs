import { createCache } from "async-cache-dedupe"

/** @type {import("../contenders.mjs").Contender} */
export const define = {
  name: "async-cache-dedupe",
  edge: "promise",
  config:
    "memory storage with size; ttl and stale in whole seconds (where others have less than one, it is always stale)",
  stale: true,
  error: true,
  waits: true,
  open: ({ capacity, fresh, load, stale = 0, waits }) => {
    const cache = createCache({
      // Counted in seconds. As a function it may be 0, and the value is stale from the start.
      ttl: fresh >= 1000 ? Math.round(fresh / 1000) : () => 0,
      stale: Math.round(stale / 1000),
      storage: { type: "memory", options: { size: capacity } }
    })
    cache.define("read", { serialize: (key) => key }, waits ? load : async (key) => load(key))
    return { read: (key) => cache.read(key), close: () => cache.clear() }
  }
}
