import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Schema, Stream } from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"

class Boom {
  readonly _tag = "Boom"
}
describe("the entrances", () => {
  it.effect("miss fresh stale refresh expired", () =>
    Effect.gen(function*() {
      let n = 0
      const c = yield* Swr.make({
        name: "a",
        lookup: (k: string) => Effect.sync(() => `${k}${++n}`),
        freshFor: "1 minute",
        maxAge: "6 minutes"
      })
      assert.strictEqual(yield* c.get("k"), "k1")
      const a = yield* c.read("k")
      assert.deepStrictEqual([a.value, a.status, a.source, Option.isNone(a.reason)], ["k1", "fresh", "memory", true])
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* c.read("k")).status, "fresh")
      yield* TestClock.adjust("1 millis")
      const s = yield* c.read("k")
      assert.deepStrictEqual([s.value, s.status, Option.getOrUndefined(s.reason)], ["k1", "stale", "revalidating"])
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.deepStrictEqual([(yield* c.read("k")).value, n], ["k2", 2])
      yield* TestClock.adjust("6 minutes")
      const e = yield* c.read("k")
      assert.deepStrictEqual([e.value, e.status, e.source], ["k3", "expired", "lookup"])
    }).pipe(Effect.provide(Swr.layer())))

  it.effect("stale if error and backoff", () =>
    Effect.gen(function*() {
      let n = 0
      const c = yield* Swr.make({
        name: "a",
        lookup: (_: string): Effect.Effect<number, Boom> =>
          Effect.suspend(() => ++n === 1 ? Effect.succeed(1) : Effect.fail(new Boom())),
        freshFor: "1 minute",
        maxAge: "6 minutes",
        staleIfError: "1 day"
      })
      yield* c.get("k")
      yield* TestClock.adjust("10 minutes")
      const e = yield* c.read("k")
      assert.deepStrictEqual([e.value, e.status, Option.getOrUndefined(e.reason)], [1, "expired", "error"])
      for (let i = 0; i < 3600; i++) {
        yield* TestClock.adjust("1 second")
        yield* c.get("k")
      }
    }).pipe(Effect.provide(Swr.layer())))

  it.effect("1000 waiters, interruption, set wins", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<number>()
      let n = 0
      const c = yield* Swr.make({
        name: "a",
        lookup: (_: string) => {
          n++
          return Deferred.await(gate)
        },
        freshFor: "1 minute"
      })
      const fibers = yield* Effect.forEach(Array.from({ length: 1000 }), () =>
        Effect.forkChild(c.get("k"), { startImmediately: true }))
      assert.strictEqual(n, 1)
      yield* Fiber.interrupt(fibers[0]!)
      yield* c.set("k", 7)
      assert.strictEqual(yield* c.get("k"), 7)
      yield* Deferred.succeed(gate, 3)
      assert.strictEqual(yield* Fiber.join(fibers[1]!), 3)
      assert.strictEqual(yield* c.get("k"), 7)
    }).pipe(Effect.provide(Swr.layer())))

  it.effect("swr + schema + fn + cacheGet + getMany + changes + cycle", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ at: Schema.Date })
      const a = yield* Swr.swr("k", Effect.succeed({ at: new Date(0) }), { freshFor: "1 minute", schema })
      assert.strictEqual(a.status, "miss")
      const b = yield* a.mutate({ at: new Date(5) })
      assert.strictEqual(b.value.at.getTime(), 5)
      assert.strictEqual(
        (yield* Swr.swr("k", Effect.succeed({ at: new Date(0) }), { freshFor: "1 minute", schema })).value.at.getTime(),
        5
      )
      const q = Swr.fn("q", { freshFor: "1 minute" })((a: string, b: number) => Effect.succeed(a + b))
      assert.strictEqual(yield* q("x", 1), "x1")
      assert.strictEqual((yield* q.read("x", 1)).status, "fresh")
      yield* Swr.cacheSet("k", null)
      assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.some(null))
      let calls: Array<ReadonlyArray<string>> = []
      const m = yield* Swr.make({
        name: "m",
        freshFor: "1 minute",
        lookupMany: (ks: ReadonlyArray<string>) => {
          calls.push(ks)
          return Effect.succeed(new Map(ks.map((k) => [k, k.length])))
        }
      })
      assert.deepStrictEqual(yield* m.getMany(["a", "bb", "a"]), [1, 2, 1])
      assert.deepStrictEqual(calls, [["a", "bb"]])
      const cyc: Swr.Instance<string, number> = yield* Swr.make({
        name: "cyc",
        freshFor: "1 minute",
        lookup: (k: string): Effect.Effect<number> => cyc.get(k)
      })
      const cycle = yield* Effect.flip(Effect.sandbox(cyc.get("a")))
      assert.include(String(cycle), "LookupCycle")
      const seen = yield* Stream.take(m.changes("a"), 2).pipe(
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      yield* Effect.yieldNow
      yield* m.set("a", 9)
      const values = (yield* Fiber.join(seen)).map(Option.map((answer) => answer.value))
      assert.deepStrictEqual(values, [Option.some(1), Option.some(9)])
    }).pipe(Effect.provide(Swr.layer())))

  it.effect("R10: a change that changes its own key dies at once", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "own", lookup: () => Effect.succeed(1), key: String, freshFor: "1 minute" })
      const own = cache.mutate("k", () => Effect.as(Effect.orDie(cache.mutate("k", () => Effect.succeed(2))), 3))
      assert.include(String(yield* Effect.flip(Effect.sandbox(own))), "LookupCycle")
      assert.strictEqual((yield* cache.mutate("k", () => Effect.succeed(4))).value, 4)
    }).pipe(Effect.provide(Swr.layer())))

  it.effect("R10, R19: a lookup that reads its own key while its values pass dies at once", () =>
    Effect.gen(function*() {
      const self: Swr.Instance<string, number> = yield* Swr.make({
        name: "pass",
        lookup: (key: string): Effect.Effect<number> => key === "self" && deep ? self.get(key) : Effect.succeed(1),
        keep: () => "pass" as const,
        freshFor: "1 minute"
      })
      let deep = false
      assert.strictEqual(yield* self.get("self"), 1)
      deep = true
      assert.include(String(yield* Effect.flip(Effect.sandbox(self.get("self")))), "LookupCycle")
    }).pipe(Effect.provide(Swr.layer())))

  it.effect("R11: a lookup that revalidates its own key dies, and nothing loads for ever", () =>
    Effect.gen(function*() {
      let loads = 0
      const self: Swr.Instance<string, number> = yield* Swr.make({
        name: "revalidates",
        lookup: (key: string): Effect.Effect<number> => {
          loads++
          return Effect.map(self.revalidate(key), (answer) => answer.value)
        },
        freshFor: "1 minute"
      })
      assert.include(String(yield* Effect.flip(Effect.sandbox(self.get("k")))), "LookupCycle")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(loads, 1)
      assert.strictEqual((yield* self.stats).flights, 0)
    }).pipe(Effect.provide(Swr.layer())))
})
