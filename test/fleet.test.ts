/**
 * Two tiers and several processes, on the test clock: each process is a layer of its own over one simulated store.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Ref, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Swr from "../src/Swr.ts"
import * as Testing from "../src/Testing.ts"

/** A process: a layer over the store, with its cache of numbers. */
const processOf = Effect.fnUntraced(function*<E = never>(
  store: Testing.Simulated,
  name: string,
  lookup: (key: string) => Effect.Effect<number, E>,
  options: Parameters<typeof Swr.layerStore>[0] = {},
  more: {
    readonly keep?: () => "share" | "pass"
    readonly version?: number
    readonly backoff?: { readonly from: "10 seconds"; readonly to: "10 seconds" }
  } = {}
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
      keep: (_, key) => ({ tags: [`tag:${key}`] }),
      ...more
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

describe("R19 over a store", () => {
  it.effect("pass: the starter alone is given it, also while the store is told, and the store forgets the key", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const gate = yield* Deferred.make<void>()
      let calls = 0
      const a = yield* processOf(store, "a", () => Effect.as(Deferred.await(gate), ++calls), {}, { keep: () => "pass" })
      yield* store.latency({ request: "10 millis" })
      const [one, two] = [yield* Effect.forkChild(a.cache.get("k")), yield* Effect.forkChild(a.cache.get("k"))]
      yield* settle
      yield* TestClock.adjust("20 millis")
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual([yield* Fiber.join(one), yield* Fiber.join(two)].toSorted((x, y) => x - y), [1, 2])
    }).pipe(Effect.scoped))

  it.effect("share: given to all who wait, kept nowhere, and the lease is free", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup, {}, { keep: () => "share" })
      const b = yield* processOf(store, "b", origin.lookup, {}, { keep: () => "share" })
      assert.strictEqual(yield* a.cache.get("k"), 1)
      yield* settle
      assert.strictEqual(yield* b.cache.get("k"), 2)
    }).pipe(Effect.scoped))
})

describe("R10 over a store", () => {
  it.effect("the old value stands in also where trust ran out while the load failed", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      let down = false
      const a = yield* processOf(
        store,
        "a",
        () =>
          Effect.suspend(() =>
            down ? Effect.andThen(Effect.sleep("5 seconds"), Effect.fail("down")) : Effect.succeed(1)
          )
      )
      yield* a.cache.get("k")
      yield* settle
      yield* TestClock.adjust("2 minutes")
      down = true
      const read = yield* Effect.forkChild(a.cache.read("k"))
      yield* settle
      yield* TestClock.adjust("5 seconds")
      yield* settle
      const answer = yield* Fiber.join(read)
      assert.deepStrictEqual([answer.value, answer.status, Option.getOrNull(answer.reason)], [1, "expired", "error"])
    }).pipe(Effect.scoped))

  it.effect("R9: another process leaves the key alone while it cools, and answers the old value", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      let calls = 0
      let down = false
      const lookup = () => Effect.suspend(() => ++calls && down ? Effect.fail("down") : Effect.succeed(calls))
      const a = yield* processOf(store, "a", lookup, {}, { backoff: { from: "10 seconds", to: "10 seconds" } })
      const b = yield* processOf(store, "b", lookup)
      yield* a.cache.get("k")
      yield* settle
      yield* TestClock.adjust("20 seconds")
      down = true
      yield* a.cache.get("k")
      yield* settle
      assert.strictEqual(calls, 2)
      const answer = yield* b.cache.read("k")
      yield* settle
      assert.deepStrictEqual([answer.value, answer.source], [1, "store"])
      assert.strictEqual(calls, 2)
    }).pipe(Effect.scoped))
})

describe("round trips", () => {
  it.effect("getMany of 100 keys is one", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup)
      const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
      yield* a.cache.getMany(keys)
      yield* settle
      const b = yield* processOf(store, "b", origin.lookup)
      const before = (yield* store.counts("b")).roundTrips
      yield* b.cache.getMany(keys)
      assert.strictEqual((yield* store.counts("b")).roundTrips - before, 1)
      assert.strictEqual(yield* origin.loads, 100)
    }).pipe(Effect.scoped))

  it.effect("a trusted hit is none, a hit when trust is out one, a miss two", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup)
      const cost = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.gen(function*() {
          const before = (yield* store.counts("a")).roundTrips
          yield* effect
          yield* settle
          return (yield* store.counts("a")).roundTrips - before
        })
      assert.strictEqual(yield* cost(a.cache.get("k")), 2)
      assert.strictEqual(yield* cost(a.cache.get("k")), 0)
      yield* TestClock.adjust("1700 millis")
      assert.strictEqual(yield* cost(a.cache.get("k")), 1, "asked behind the reader's back")
      assert.strictEqual(yield* cost(a.cache.get("k")), 0)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* cost(a.cache.get("k")), 1)
      assert.strictEqual(yield* cost(a.cache.set("k", 5)), 1)
      assert.strictEqual(yield* cost(a.cache.invalidate("k")), 1)
    }).pipe(Effect.scoped))
})

describe("what else a store is for", () => {
  it.effect("cacheGet finds what another process has set", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const a = yield* processOf(store, "a", () => Effect.succeed(0))
      const b = yield* processOf(store, "b", () => Effect.succeed(0))
      const schema = Schema.Finite
      yield* Effect.provideContext(Swr.cacheSet("visits", 7, { schema }), a.context)
      yield* settle
      const found = yield* Effect.provideContext(Swr.cacheGet("visits", { schema }), b.context)
      assert.strictEqual(Option.getOrNull(found), 7)
      yield* Effect.provideContext(Swr.cacheRemove("visits"), a.context)
      yield* settle
      assert.isTrue(Option.isNone(yield* Effect.provideContext(Swr.cacheGet("visits", { schema }), b.context)))
    }).pipe(Effect.scoped))

  it.effect("mutate changes what another process has set", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const a = yield* processOf(store, "a", () => Effect.succeed(0))
      const b = yield* processOf(store, "b", () => Effect.succeed(0))
      yield* a.cache.set("k", 41)
      yield* b.cache.mutate("k", (current) => Effect.succeed(Option.getOrElse(current, () => 0) + 1))
      yield* settle
      assert.strictEqual(yield* a.cache.get("k"), 42)
    }).pipe(Effect.scoped))

  it.effect("revalidate waits for a load of its own while another process holds the lease", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const gate = yield* Deferred.make<void>()
      let calls = 0
      const lookup = () =>
        Effect.suspend(() => ++calls === 1 ? Effect.as(Deferred.await(gate), 1) : Effect.succeed(calls))
      const a = yield* processOf(store, "a", lookup)
      const b = yield* processOf(store, "b", lookup)
      const first = yield* Effect.forkChild(a.cache.get("k"))
      yield* settle
      const second = yield* Effect.forkChild(b.cache.revalidate("k"))
      yield* settle
      yield* TestClock.adjust("50 millis")
      assert.isUndefined(second.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      for (let i = 0; i < 5; i++) yield* Effect.andThen(TestClock.adjust("100 millis"), settle)
      assert.deepStrictEqual([yield* Fiber.join(first), (yield* Fiber.join(second)).value], [1, 2])
    }).pipe(Effect.scoped))

  it.effect("versions live side by side, and a set of one removes the other's", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const a = yield* processOf(store, "a", () => Effect.succeed(1), {}, { version: 1 })
      const b = yield* processOf(store, "b", () => Effect.succeed(2), {}, { version: 2 })
      assert.deepStrictEqual([yield* a.cache.get("k"), yield* b.cache.get("k")], [1, 2])
      yield* settle
      const c = yield* processOf(store, "c", () => Effect.succeed(3), {}, { version: 1 })
      assert.strictEqual(yield* c.cache.get("k"), 1)
      yield* b.cache.set("k", 20)
      yield* settle
      const d = yield* processOf(store, "d", () => Effect.succeed(4), {}, { version: 1 })
      assert.strictEqual(yield* d.cache.get("k"), 4)
    }).pipe(Effect.scoped))

  it.effect("a failed set is paid as an invalidation with the first reply", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup)
      const b = yield* processOf(store, "b", origin.lookup)
      yield* a.cache.get("k")
      yield* settle
      yield* store.down("away")
      assert.strictEqual((yield* Effect.flip(a.cache.set("k", 100))).reason, "away")
      assert.strictEqual(yield* a.cache.get("k"), 100)
      yield* store.up
      yield* TestClock.adjust("1 second")
      yield* a.cache.get("other")
      yield* settle
      assert.strictEqual(yield* b.cache.get("k"), 3, "the old value is gone from the store")
    }).pipe(Effect.scoped))

  it.effect("an announcement that a reply overtakes on its way is not taken for lost", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore({ scheduled: true })
      const deliver = (kind: Testing.Message["kind"], process: string) =>
        Effect.flatMap(store.pending, (pending) =>
          Effect.forEach(
            pending.filter((one) => one.kind === kind && one.process === process),
            store.deliver
          ))
      /** All that is under way arrives. */
      const calm = Effect.repeat(
        Effect.andThen(settle, Effect.flatMap(store.pending, (pending) => Effect.forEach(pending, store.deliver))),
        { times: 5 }
      )
      const origin = yield* counting
      const a = yield* processOf(store, "a", origin.lookup)
      const b = yield* processOf(store, "b", origin.lookup)
      const gaps: Array<string> = []
      yield* Swr.Cache.use(({ events }) =>
        Stream.runForEach(events, ({ _tag }) => Effect.sync(() => _tag === "Gap" && gaps.push(_tag)))
      ).pipe(Effect.provideContext(b.context), Effect.forkScoped)
      for (const { cache } of [a, b]) {
        const read = yield* Effect.forkChild(cache.get("k"))
        yield* calm
        assert.strictEqual(yield* Fiber.join(read), 1)
      }
      yield* TestClock.adjust("2 seconds")
      const write = yield* Effect.forkChild(a.cache.set("k", 100))
      yield* settle
      yield* deliver("request", "a")
      yield* settle
      yield* deliver("reply", "a")
      yield* Fiber.join(write)
      const read = yield* Effect.forkChild(b.cache.get("k"))
      yield* settle
      yield* deliver("request", "b")
      yield* settle
      // Both are there now; the reply is looked at first.
      yield* deliver("reply", "b")
      yield* deliver("announcement", "b")
      yield* calm
      assert.strictEqual(yield* Fiber.join(read), 100)
      assert.deepStrictEqual(gaps, [])
    }).pipe(Effect.scoped))
})
