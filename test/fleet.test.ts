/**
 * Two tiers and several processes, on the test clock: each process is a layer of its own over one simulated store.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Ref, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Swr from "../src/Swr.ts"
import * as Testing from "../src/Testing.ts"

/** A process: a layer over the store, with its cache of numbers. */
const processOf = Effect.fnUntraced(function*<E = never>(
  store: Testing.Simulated,
  name: string,
  lookup: (key: string) => Effect.Effect<number, E>,
  options: Parameters<typeof Swr.layerStore>[0] = {}
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const layer = Swr.layerStore(options).pipe(Layer.provide(store.connect(name)))
  const context = yield* Layer.buildWithScope(layer, scope)
  const cache = yield* Effect.provideContext(
    Swr.make({
      name: "numbers",
      lookup,
      schema: Schema.Finite,
      freshFor: "10 seconds",
      maxAge: "1 minute",
      staleIfError: "1 hour",
      keep: (_, key) => ({ tags: [`tag:${key}`] })
    }),
    context
  )
  return { cache, context, close: Scope.close(scope, Exit.void) }
})

/** An origin that counts: the value of the n-th load is n. */
const counting = Effect.map(Ref.make(0), (loads) => ({
  lookup: () => Ref.updateAndGet(loads, (n) => n + 1),
  loads: Ref.get(loads)
}))

/** Whatever is under way and needs no time comes to rest. */
const settle = Effect.repeat(Effect.yieldNow, { times: 200 })

describe("two tiers", () => {
  it.effect("a second process is given what the first one loaded", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup)
      const b = yield* processOf(store, "b", origin.lookup)
      const first = yield* a.cache.read("k")
      assert.deepStrictEqual([first.value, first.status, first.source], [1, "miss", "lookup"])
      const second = yield* b.cache.read("k")
      assert.deepStrictEqual([second.value, second.status, second.source], [1, "fresh", "store"])
      const third = yield* b.cache.read("k")
      assert.deepStrictEqual([third.value, third.status, third.source], [1, "fresh", "memory"])
      assert.strictEqual(yield* origin.loads, 1)
    }).pipe(Effect.scoped))

  it.effect("R6: a stale entry of the store is answered at once, and one process refreshes it", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup)
      yield* a.cache.get("k")
      yield* settle
      yield* TestClock.adjust("20 seconds")
      const b = yield* processOf(store, "b", origin.lookup)
      const read = yield* b.cache.read("k")
      assert.deepStrictEqual([read.value, read.status, read.source], [1, "stale", "store"])
      yield* settle
      assert.strictEqual(yield* origin.loads, 2)
      assert.strictEqual((yield* b.cache.read("k")).value, 2)
      const other = yield* a.cache.read("k")
      assert.deepStrictEqual([other.value, other.status], [1, "stale"])
      yield* settle
      assert.strictEqual((yield* a.cache.read("k")).value, 2)
      assert.strictEqual(yield* origin.loads, 2)
    }).pipe(Effect.scoped))

  it.effect("R11: set and invalidate are seen by the others", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup)
      const b = yield* processOf(store, "b", origin.lookup)
      yield* a.cache.get("k")
      yield* b.cache.get("k")
      yield* a.cache.set("k", 100)
      yield* settle
      assert.strictEqual(yield* a.cache.get("k"), 100)
      assert.strictEqual(yield* b.cache.get("k"), 100)
      yield* b.cache.invalidate("k")
      yield* settle
      assert.strictEqual(yield* a.cache.get("k"), 2)
      assert.strictEqual(yield* b.cache.get("k"), 2)
      yield* b.cache.invalidateTag("tag:k")
      yield* settle
      assert.strictEqual(yield* a.cache.get("k"), 3)
      yield* a.cache.clear
      yield* settle
      assert.strictEqual(yield* b.cache.get("k"), 4)
    }).pipe(Effect.scoped))

  it.effect("R14: a store that is away fails no read", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      yield* store.down("away")
      const a = yield* processOf(store, "a", origin.lookup)
      assert.strictEqual(yield* a.cache.get("k"), 1)
      assert.strictEqual(yield* a.cache.get("k"), 1)
      const error = yield* Effect.flip(a.cache.set("k", 7))
      assert.strictEqual(error.reason, "away")
      assert.strictEqual(yield* a.cache.get("k"), 7)
      yield* store.up
      yield* TestClock.adjust("3 seconds")
      // What was written while the store was away is paid as an invalidation.
      yield* a.cache.get("k")
      yield* settle
    }).pipe(Effect.scoped))
})
