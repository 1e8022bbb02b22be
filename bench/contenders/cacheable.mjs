import { Cacheable, KeyvCacheableMemory } from "cacheable"
import { Keyv } from "keyv"

/** @type {import("../contenders.mjs").Contender} */
export const getOrSet = {
  name: "cacheable",
  edge: "promise",
  config: "KeyvCacheableMemory with lruSize, useClone: false, no check interval, no (de)serialising; ttl; getOrSet",
  waits: true,
  open: ({ capacity, fresh, load, waits }) => {
    const store = new KeyvCacheableMemory({ lruSize: capacity, useClone: false, checkInterval: 0 })
    const primary = new Keyv({ store, serialize: undefined, deserialize: undefined, useKeyPrefix: false })
    const cache = new Cacheable({ primary, ttl: fresh, stats: false })
    const factoryOf = waits ? (key) => () => load(key) : (key) => async () => load(key)
    return { read: (key) => cache.getOrSet(key, factoryOf(key)), close: () => cache.disconnect() }
  }
}
