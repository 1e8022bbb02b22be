/** Ours, from the build, at each edge. */
import { Effect, Exit, Layer, Logger, ManagedRuntime, Schema, Scope, Stream } from "effect"
import { Swr } from "../../dist/index.js"
import * as SwrPromise from "../../dist/SwrPromise.js"
import { redis } from "../redis.mjs"

export const lookupOf = ({ load, waits }) =>
  waits
    ? (key) => Effect.tryPromise({ try: () => load(key), catch: (error) => error })
    : (key) => Effect.sync(() => load(key))

const optionsOf = (options) => ({
  name: "bench",
  lookup: lookupOf(options),
  freshFor: options.fresh,
  maxAge: options.fresh + (options.stale ?? 0),
  ...options.error && { staleIfError: options.error },
  ...options.schema && { schema: options.schema },
  ...options.lookupMany && { lookupMany: options.lookupMany },
  capacity: options.capacity
})

// Every refresh is wanted here: the limit of 64 would skip what the others do. Nobody else writes a log.
const layer = Layer.provideMerge(Swr.layer({ refreshes: 1_000_000 }), Logger.layer([]))

/** A layer of its own, open until closed. */
const openLayer = async (options, over = layer) => {
  const scope = Scope.makeUnsafe()
  const context = await Effect.runPromise(Layer.buildWithScope(over, scope))
  const run = Effect.runPromiseWith(context)
  const cache = await run(Swr.make(optionsOf(options)))
  return { cache, context, scope, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const config =
  "Swr.make, capacity, freshFor, maxAge (and staleIfError where there is an outage); refreshes unlimited, no logger"

/** @type {import("../contenders.mjs").Contender} */
export const inFiber = {
  name: "effect-swr, in a fiber",
  edge: "fiber",
  config: `${config}; yield* cache.get(key)`,
  stale: true,
  error: true,
  waits: true,
  open: async (options) => {
    const { cache, close } = await openLayer(options)
    return { read: (key) => cache.get(key), close }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const runSync = {
  name: "effect-swr, runSync",
  edge: "sync",
  config: `${config}; Effect.runSync(cache.get(key))`,
  only: ["hit"],
  open: async (options) => {
    const { cache, close } = await openLayer(options)
    return { read: (key) => Effect.runSync(cache.get(key)), close }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const runPromise = {
  name: "effect-swr, runPromise",
  edge: "promise",
  config: `${config}; await Effect.runPromise(cache.get(key))`,
  stale: true,
  error: true,
  waits: true,
  open: async (options) => {
    const { cache, close } = await openLayer(options)
    return { read: (key) => Effect.runPromise(cache.get(key)), close }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const promiseFace = {
  name: "effect-swr, SwrPromise",
  edge: "promise",
  config: "SwrPromise.over a runtime with the same layer, the same options; await cache.get(key)",
  stale: true,
  error: true,
  waits: true,
  open: async (options) => {
    const runtime = ManagedRuntime.make(layer)
    const caches = await SwrPromise.over(runtime)
    const lookup = options.waits ? options.load : async (key) => options.load(key)
    const cache = caches.make({ ...optionsOf(options), lookup })
    return { read: (key) => cache.get(key), close: () => runtime.dispose() }
  }
}

const Price = Schema.Struct({ id: Schema.String, price: Schema.Number })

/** @type {import("../contenders.mjs").Contender} */
export const typed = {
  ...inFiber,
  name: "effect-swr, with a schema",
  only: ["typed"],
  config: `${inFiber.config}; a schema of two fields`,
  open: (options) => inFiber.open({ ...options, schema: Price })
}

/** @type {import("../contenders.mjs").Contender} */
export const observed = {
  ...inFiber,
  name: "effect-swr, one listener",
  only: ["observed"],
  config: `${inFiber.config}; one fiber drains Swr.Cache.events`,
  open: async (options) => {
    const { cache, close, context } = await openLayer(options)
    const fiber = Effect.runForkWith(context)(Swr.Cache.use((all) => Stream.runDrain(all.events)))
    await Effect.runPromise(Effect.yieldNow)
    return {
      read: (key) => cache.get(key),
      close: async () => {
        fiber.interruptUnsafe()
        await close()
      }
    }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const unobserved = {
  ...inFiber,
  name: "effect-swr, listener gone",
  only: ["observed"],
  config: `${inFiber.config}; a listener came and went`,
  open: async (options) => {
    const { cache, close, context } = await openLayer(options)
    await Effect.runPromiseWith(context)(
      Swr.Cache.use((all) => Effect.timeoutOption(Stream.runDrain(all.events), "10 millis"))
    )
    return { read: (key) => cache.get(key), close }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const withoutStale = {
  ...inFiber,
  name: "effect-swr, no stale window",
  only: ["tail"],
  config: `${inFiber.config}; maxAge is freshFor`,
  open: (options) => inFiber.open({ ...options, stale: 0 })
}

let opened = 0

/** @type {import("../contenders.mjs").Contender} */
export const overRedis = {
  name: "effect-swr over Redis, in a fiber",
  edge: "fiber",
  config: `${config}; a schema of two fields; Swr.layerStore over StoreRedis and node-redis; getMany for many keys`,
  only: ["stored", "unstored", "hit over a store"],
  open: async (options) => {
    const { url } = await redis()
    // Only here: what needs no Redis runs without all of it.
    const { NodeRedis } = await import("@effect/platform-node")
    const StoreRedis = await import("../../dist/StoreRedis.js")
    const client = NodeRedis.layer({ url, disableOfflineQueue: true })
    const store = StoreRedis.layer({ client, prefix: `swr-${++opened}`, required: true })
    // A machine with other work is late now and then, and a load without the store would be something else.
    const caches = Swr.layerStore({ refreshes: 1_000_000, storeDeadline: "1 second" })
    const over = Layer.provideMerge(Layer.provide(caches, store), Logger.layer([]))
    const lookupMany = (keys) => Effect.sync(() => new Map(keys.map((key) => [key, options.load(key)])))
    const { cache, close } = await openLayer({ ...options, lookupMany, schema: Price }, over)
    return { read: (key) => cache.get(key), readMany: (keys) => cache.getMany(keys), close }
  }
}
