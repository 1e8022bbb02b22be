/** What the rest is measured by: no cache at all. */
import { Deferred, Effect, Exit } from "effect"

/** @type {import("../contenders.mjs").Contender} */
export const floor = {
  name: "floor",
  edge: "sync",
  config: "Map.get and Date.now; a miss loads and stores; nothing is ever evicted",
  only: ["hit", "keys", "miss", "memory", "tail"],
  open: ({ fresh, load }) => {
    const map = new Map()
    return {
      read: (key) => {
        const now = Date.now()
        const entry = map.get(key)
        if (entry !== undefined && now < entry.until) return entry.value
        const value = load(key)
        map.set(key, { value, until: now + fresh })
        return value
      },
      close: () => map.clear()
    }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const storedPromise = {
  name: "stored promise",
  edge: "promise",
  config: "await of a promise kept in a Map: what a Promise face can hope for",
  only: ["hit", "keys", "herd"],
  open: ({ load }) => {
    const map = new Map()
    return {
      read: (key) => {
        let promise = map.get(key)
        if (promise === undefined) {
          promise = Promise.resolve(load(key))
          map.set(key, promise)
        }
        return promise
      },
      close: () => map.clear()
    }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const fiberLoop = {
  name: "fiber loop",
  edge: "fiber",
  config: "yield* of a ready value: what the loop in a fiber costs by itself",
  only: ["hit", "keys"],
  open: ({ load }) => {
    const ready = Exit.succeed(load("ready"))
    return { read: () => ready, close: () => Effect.void }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const storedDeferred = {
  name: "stored Deferred",
  edge: "fiber",
  config: "Deferred.await of one kept in a Map: what a reader in a fiber that waits costs by itself",
  only: ["herd"],
  open: ({ load }) => {
    const map = new Map()
    return {
      read: (key) => {
        let deferred = map.get(key)
        if (deferred === undefined) {
          const made = Deferred.makeUnsafe()
          deferred = made
          map.set(key, made)
          load(key).then((value) => Deferred.doneUnsafe(made, Exit.succeed(value)))
        }
        return Deferred.await(deferred)
      },
      close: () => map.clear()
    }
  }
}
