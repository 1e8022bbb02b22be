/** Many keys at once, and what else looks at many: changes, warm, stats. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Result, Schema, Stream } from "effect"
import { Policy, Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  collect,
  counted,
  defect,
  Down,
  ended,
  error,
  join,
  now,
  numbered,
  Origin,
  record,
  second,
  settle,
  shape,
  shown,
  sick,
  stale,
  start,
  stock,
  type Strings,
  within
} from "./Origin.ts"

describe("getMany, readMany", () => {
  /** A batch per call, each with a gate; `lookup`, if asked, for what it omits. */
  const batches = (options: { readonly omit?: string; readonly single?: boolean } = {}) => {
    const origin = new Origin()
    const singles = new Origin()
    const make: Effect.Effect<Strings, never, Swr.Cache> = Swr.make({
      name: "c",
      lookup: options.single ? singles.lookup : undefined as never,
      lookupMany: (keys: ReadonlyArray<string>) =>
        Effect.map(
          origin.lookup(keys.join()),
          (value) => new Map(keys.filter((key) => key !== options.omit).map((key) => [key, key + value]))
        ),
      backoff: second,
      ...sick
    })
    return { origin, singles, make }
  }

  it.effect("what is missing is loaded in one batch, in order, duplicates once; what is fresh is not", () =>
    Effect.gen(function*() {
      const { make, origin } = batches()
      const cache = yield* make
      const first = yield* start(cache.getMany(["a", "b", "a"]))
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a,b"])
      yield* origin.call(0).succeed("1")
      assert.deepStrictEqual(yield* join(first), ["a1", "b1", "a1"])
      const second = yield* start(cache.getMany(["c", "a", "d", "b"]))
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a,b", "c,d"])
      yield* origin.call(1).succeed("2")
      assert.deepStrictEqual(yield* join(second), ["c2", "a1", "d2", "b1"])
      assert.deepStrictEqual(yield* now(cache.getMany([])), [])
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("each key has its own flight, shared with get and with other batches", () =>
    Effect.gen(function*() {
      const { make, origin } = batches({ single: true })
      const cache = yield* make
      const many = yield* start(cache.getMany(["a", "b"]))
      const single = yield* start(cache.get("a"))
      const other = yield* start(cache.getMany(["b", "c"]))
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a,b", "c"])
      yield* origin.call(1).succeed("2")
      assert.isUndefined(yield* ended(other))
      yield* origin.call(0).succeed("1")
      assert.deepStrictEqual(yield* join(many), ["a1", "b1"])
      assert.strictEqual(yield* join(single), "a1")
      assert.deepStrictEqual(yield* join(other), ["b1", "c2"])
    }).pipe(within()))

  it.effect("joins the loads of get that are under way", () =>
    Effect.gen(function*() {
      const { make, origin, singles } = batches({ single: true })
      const cache = yield* make
      const single = yield* start(cache.get("a"))
      const many = yield* start(cache.getMany(["a", "b"]))
      assert.deepStrictEqual([singles.calls.length, origin.calls.map(({ key }) => key)], [1, ["b"]])
      yield* singles.call(0).succeed("single")
      yield* origin.call(0).succeed("1")
      assert.deepStrictEqual(yield* join(many), ["single", "b1"])
      assert.strictEqual(yield* join(single), "single")
    }).pipe(within()))

  it.effect("the status of each key is what the read found, also when the batch ends at once", () =>
    Effect.gen(function*() {
      const source = counted((n) => Effect.succeed(n))
      const cache = yield* Swr.make({
        name: "c",
        lookupMany: (keys: ReadonlyArray<string>) =>
          Effect.map(source.lookup(keys.join()), (n) => new Map(keys.map((key) => [key, n]))),
        ...stale
      })
      const answers = (results: ReadonlyArray<Result.Result<Swr.Answer<number>, never>>) =>
        results.map((result) => Result.isSuccess(result) ? shown(result.success) : undefined)
      assert.deepStrictEqual(answers(yield* cache.readMany(["a", "b"])), [
        [1, "miss", "lookup", undefined],
        [1, "miss", "lookup", undefined]
      ])
      assert.deepStrictEqual(answers(yield* cache.readMany(["b", "c"])), [
        [1, "fresh", "memory", undefined],
        [2, "miss", "lookup", undefined]
      ])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(answers(yield* cache.readMany(["c", "b"])), [
        [2, "stale", "memory", "revalidating"],
        [1, "stale", "memory", "revalidating"]
      ])
    }).pipe(within()))

  it.effect("a batch that ends at once, in failure, in values that are not kept or never fresh, is called once", () =>
    Effect.gen(function*() {
      const ends = {
        failure: Effect.fail(new Down({})),
        defect: Effect.die("defect"),
        share: Effect.succeed("share" as const),
        "freshFor 0": Effect.succeed("" as const)
      }
      for (const [name, end] of Object.entries(ends)) {
        const source = counted(() => end as Effect.Effect<string, Down>)
        const cache = yield* Swr.make({
          name,
          lookupMany: (keys: ReadonlyArray<string>) =>
            Effect.map(source.lookup(keys.join()), (value) => new Map(keys.map((key) => [key, value]))),
          freshFor: 0,
          keep: (value: string) => value === "share" ? "share" : {}
        })
        yield* now(Effect.exit(cache.getMany(["a", "b"])))
        yield* settle
        assert.deepStrictEqual(source.keys, ["a,b"], name)
      }
    }).pipe(within()))

  it.effect("stale keys are given as they are and refreshed in one batch, missing ones are waited for in another", () =>
    Effect.gen(function*() {
      const { make, origin } = batches()
      const cache = yield* make
      const first = yield* start(cache.getMany(["a", "b"]))
      yield* origin.call(0).succeed("1")
      yield* join(first)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* now(cache.getMany(["a", "b"])), ["a1", "b1"])
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a,b", "a,b"])
      yield* origin.call(1).succeed("2")
      assert.deepStrictEqual(yield* now(cache.getMany(["a", "b"])), ["a2", "b2"])
      yield* TestClock.adjust("1 minute")
      const mixed = yield* start(cache.getMany(["a", "x", "b", "y"]))
      yield* settle
      assert.sameMembers(origin.calls.slice(2).map(({ key }) => key), ["a,b", "x,y"])
      yield* origin.calls.find(({ key }) => key === "x,y")!.succeed("3")
      assert.deepStrictEqual(yield* join(mixed), ["a2", "x3", "b2", "y3"])
      assert.strictEqual((yield* cache.stats).flights, 2)
    }).pipe(within()))

  it.effect("fails with the first failure in key order; the others are kept; readMany tells each", () =>
    Effect.gen(function*() {
      const { make, origin, singles } = batches({ single: true, omit: "x" })
      const cache = yield* make
      const many = yield* start(cache.getMany(["a", "x", "b"]))
      const results = yield* start(cache.readMany(["b", "x"]))
      yield* origin.call(0).succeed("1")
      assert.deepStrictEqual(singles.calls.map(({ key }) => key), ["x"])
      assert.strictEqual(yield* now(cache.get("a")), "a1")
      yield* singles.call(0).fail(new Down({ by: "x" }))
      assert.deepStrictEqual(error(yield* ended(many)), new Down({ by: "x" }))
      const [b, x] = yield* join(results)
      assert.deepStrictEqual(b && Result.map(b, ({ value }) => value), Result.succeed("b1"))
      assert.deepStrictEqual(x && Result.isFailure(x) ? x.failure : undefined, new Down({ by: "x" }))
      assert.deepStrictEqual(yield* shape(cache), { size: 2, flights: 0, backoffs: 0 })
    }).pipe(within()))

  it.effect("a batch that fails fails each of its keys; where an old value stands in, it does", () =>
    Effect.gen(function*() {
      const { make, origin } = batches()
      const cache = yield* make
      const first = yield* start(cache.getMany(["a"]))
      yield* origin.call(0).succeed("1")
      yield* join(first)
      yield* TestClock.adjust("10 minutes")
      const results = yield* start(cache.readMany(["a", "b"]))
      yield* origin.call(1).fail(new Down({ by: "batch" }))
      const [a, b] = yield* join(results)
      assert.deepStrictEqual(a && Result.isSuccess(a) ? shown(a.success) : a, ["a1", "expired", "memory", "error"])
      assert.deepStrictEqual(b && Result.isFailure(b) ? b.failure : undefined, new Down({ by: "batch" }))
      assert.deepStrictEqual(yield* shape(cache), { size: 1, flights: 0, backoffs: 1 })
      // The key that backs off is answered at once, and is in no batch.
      const again = yield* start(cache.readMany(["a", "b"]))
      assert.strictEqual(origin.call(2).key, "b")
      yield* Fiber.interrupt(again)
    }).pipe(within()))

  it.effect("a key that lookupMany omits goes to lookup, without one it dies, and the others are kept", () =>
    Effect.gen(function*() {
      const { make, origin } = batches({ omit: "x" })
      const cache = yield* make
      const many = yield* start(cache.getMany(["a", "x"]))
      yield* origin.call(0).succeed("1")
      assert.include(String(defect(yield* ended(many))), "x")
      assert.strictEqual(yield* now(cache.get("a")), "a1")
      const single = yield* start(cache.get("x"))
      yield* origin.call(1).succeed("1")
      assert.isDefined(defect(yield* ended(single)))
    }).pipe(within()))

  it.effect("a lookupMany that throws, or answers keys nobody asked for, is contained", () =>
    Effect.gen(function*() {
      const throwing = yield* Swr.make({
        name: "throwing",
        lookupMany: (_: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, string>> => {
          throw "thrown"
        },
        ...stale
      })
      assert.strictEqual(defect(yield* now(Effect.exit(throwing.getMany(["a"])))), "thrown")
      assert.strictEqual((yield* throwing.stats).flights, 0)
      const generous = yield* Swr.make({
        name: "generous",
        lookupMany: (_: ReadonlyArray<string>) => Effect.succeed(new Map([["a", 1], ["b", 2]])),
        ...stale
      })
      assert.deepStrictEqual(yield* now(generous.getMany(["a"])), [1])
      assert.isFalse(yield* generous.has("b"))
    }).pipe(within()))

  it.effect("interrupted, it ends at once, harms no other reader, and loads that nobody waits for end", () =>
    Effect.gen(function*() {
      const { make, origin } = batches({ single: true })
      const cache = yield* make
      const many = yield* start(cache.getMany(["a", "b"]))
      const single = yield* start(cache.get("a"))
      yield* now(Fiber.interrupt(many))
      assert.isFalse(origin.call(0).interrupted)
      assert.strictEqual((yield* cache.stats).flights, 1)
      yield* origin.call(0).succeed("1")
      assert.strictEqual(yield* join(single), "a1")
      assert.isFalse(yield* cache.has("b"))
      const again = yield* start(cache.getMany(["x", "y"]))
      yield* now(Fiber.interrupt(again))
      yield* settle
      assert.isTrue(origin.call(1).interrupted)
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("R11: the last word over one key of a batch forgets that key's load alone", () =>
    Effect.gen(function*() {
      const { make, origin } = batches()
      const cache = yield* make
      const many = yield* start(cache.getMany(["a", "b"]))
      yield* cache.set("a", "set")
      yield* origin.call(0).succeed("1")
      assert.deepStrictEqual(yield* join(many), ["a1", "b1"])
      assert.deepStrictEqual(yield* now(cache.getMany(["a", "b"])), ["set", "b1"])
    }).pipe(within()))

  it.effect("keys that are objects are one key by their name", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const cache = yield* Swr.make({
        name: "c",
        lookupMany: (keys: ReadonlyArray<{ readonly id: number }>) => {
          seen.push(keys)
          return Effect.succeed(new Map(keys.map((key) => [{ ...key }, key.id])))
        },
        key: ({ id }) => id,
        ...stale
      })
      assert.deepStrictEqual(yield* cache.getMany([{ id: 1 }, { id: 2 }, { id: 1 }]), [1, 2, 1])
      assert.deepStrictEqual(seen, [[{ id: 1 }, { id: 2 }]])
    }).pipe(within()))

  it.effect("without lookupMany the keys are loaded side by side", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const many = yield* start(cache.getMany(["a", "b", "c"]))
      assert.lengthOf(origin.calls, 3)
      for (const call of origin.calls.toReversed()) yield* call.succeed(call.key)
      assert.deepStrictEqual(yield* join(many), ["a", "b", "c"])
    }).pipe(within()))
})

describe("changes, warm, has, stats, names", () => {
  const values = <A>(seen: ReadonlyArray<Option.Option<Swr.Snapshot<A>>>) =>
    seen.map((answer) => Option.getOrUndefined(Option.map(answer, ({ value }) => value)))

  it.effect("changes: the present answer, then each commit and void, nothing for a mark or the passing of time", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const { seen } = yield* collect(cache.changes("k"))
      assert.deepStrictEqual(values(seen), [undefined])
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* origin.call(1).succeed("new")
      yield* cache.invalidate("k", { mode: "soft" })
      yield* cache.set("other", "other")
      yield* cache.set("k", "set")
      yield* settle
      yield* cache.invalidate("k")
      yield* settle
      yield* cache.mutate("k", () => Effect.succeed("mutated"))
      yield* settle
      yield* TestClock.adjust("1 hour")
      yield* settle
      yield* cache.clear
      yield* settle
      assert.deepStrictEqual(values(seen), [undefined, "old", "new", "set", undefined, "mutated", undefined])
      const { seen: late } = yield* collect(cache.changes("k"))
      assert.deepStrictEqual(values(late), [undefined])
    }).pipe(within()))

  it.effect("changes: an entry that leaves to make room says nothing: what was told stays true", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, capacity: 1, ...stale })
      const { seen } = yield* collect(cache.changes("a"))
      yield* cache.get("a")
      yield* settle
      yield* cache.get("b")
      yield* settle
      assert.isFalse(yield* cache.has("a"))
      assert.deepStrictEqual(values(seen), [undefined, "a1"])
    }).pipe(within()))

  it.effect("changes: a value that another schema was found to fit is no change", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      const { seen } = yield* collect(service.changes<string>("k"))
      yield* Swr.swr("k", Effect.succeed("v"), { ...stale, schema: Schema.String })
      yield* settle
      yield* Swr.swr("k", Effect.succeed("v"), { ...stale, schema: Schema.NonEmptyString })
      yield* settle
      assert.deepStrictEqual(values(seen), [undefined, "v"])
    }).pipe(within()))

  it.effect("changes: a slow listener delays nobody and sees the newest", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: (_: string) => Effect.succeed(0), ...stale })
      const gate = yield* Deferred.make<void>()
      const seen: Array<number> = []
      yield* Effect.forkScoped(Stream.runForEach(cache.changes("k"), (answer) =>
        Effect.andThen(
          Deferred.await(gate),
          Effect.sync(() => seen.push(Option.match(answer, { onNone: () => -1, onSome: ({ value }) => value })))
        )))
      yield* settle
      for (let i = 1; i <= 1000; i++) yield* cache.set("k", i)
      yield* Deferred.succeed(gate, void 0)
      for (let i = 0; i < 20; i++) yield* settle
      assert.isBelow(seen.length, 100)
      assert.strictEqual(seen.at(-1), 1000)
    }).pipe(within()))

  it.effect("warm: so many at once, each told, failures too, and nothing is fatal", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* cache.set("have", "v")
      const { seen } = yield* collect(cache.warm(["a", "b", "have", "c", "d"], { concurrency: 2 }))
      assert.strictEqual(origin.running, 2)
      yield* origin.call(1).succeed("B")
      assert.strictEqual(origin.running, 2)
      yield* origin.call(0).fail(new Down({ by: "a" }))
      yield* settle
      assert.strictEqual(origin.running, 2)
      for (const call of origin.calls.slice(2)) yield* call.succeed(call.key)
      yield* settle
      assert.deepStrictEqual(seen.map(({ done, total }) => [done, total]), [[1, 5], [2, 5], [3, 5], [4, 5], [5, 5]])
      assert.sameDeepMembers(
        seen.map(({ exit, key }) => [key, Exit.isSuccess(exit)]),
        [["a", false], ["b", true], ["c", true], ["d", true], ["have", true]]
      )
      assert.isTrue(yield* cache.has("d"))
    }).pipe(within()))

  it.effect("warm: a lookup that dies is told, and harms no other key; a concurrency that is none is refused", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => key === "bad" ? Effect.die("bug") : Effect.succeed(key),
        ...stale
      })
      const told = yield* Stream.runCollect(cache.warm(["bad", "good"], { concurrency: 1 }))
      assert.deepStrictEqual(told.map(({ exit }) => Exit.isSuccess(exit)), [false, true])
      assert.strictEqual(defect(told[0]?.exit ?? Exit.void), "bug")
      for (const concurrency of [Number.NaN, 0, 1.5]) {
        const exit = yield* Effect.exit(Stream.runDrain(cache.warm(["good"], { concurrency })))
        assert.instanceOf(defect(exit), Policy.InvalidPolicy)
      }
    }).pipe(within()))

  it.effect("invalidateMany: a key that is refused leaves the others as they are", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: (n: number) => Effect.succeed(n), ...stale })
      yield* cache.get(1)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(cache.invalidateMany([1, Number.NaN]))))
      assert.isTrue(yield* cache.has(1))
    }).pipe(within()))

  it.effect("has: fresh or stale in memory; peek: expired ones too; neither loads nor counts", () =>
    Effect.gen(function*() {
      const source = numbered()
      const events = yield* record
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale, staleIfError: "10 minutes" })
      const look = Effect.gen(function*() {
        return [
          yield* cache.has("k"),
          Option.getOrUndefined(Option.map(yield* cache.peek("k"), ({ status }) => status))
        ]
      })
      assert.deepStrictEqual(yield* look, [false, undefined])
      yield* cache.get("k")
      yield* settle
      const before = events.length
      assert.deepStrictEqual(yield* look, [true, "fresh"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* look, [true, "stale"])
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* look, [false, "expired"])
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* look, [false, undefined])
      yield* settle
      assert.strictEqual(source.calls, 1)
      assert.lengthOf(events, before)
    }).pipe(within()))

  it.effect("stats: plain counters since start, and what is held now", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, capacity: 1, ...sick })
      const miss = yield* start(cache.get("k"))
      const joined = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("v")
      yield* join(miss)
      yield* join(joined)
      yield* cache.get("k")
      yield* TestClock.adjust("1 minute")
      yield* now(cache.get("k"))
      assert.strictEqual((yield* cache.stats).flights, 1)
      yield* origin.call(1).fail()
      assert.deepStrictEqual(yield* cache.stats, {
        hits: 1,
        stale: 1,
        misses: 1,
        joined: 1,
        loads: 2,
        failures: 1,
        evictions: 0,
        size: 1,
        weight: 1,
        flights: 0,
        backoffs: 1
      })
      yield* cache.set("other", "v")
      const { backoffs, evictions, size } = yield* cache.stats
      assert.deepStrictEqual({ backoffs, evictions, size }, { backoffs: 0, evictions: 1, size: 1 })
    }).pipe(within()))

  it.effect("one name, one cache: the same options object is the same cache, others are refused by `name`", () =>
    Effect.gen(function*() {
      const options = { name: "c", lookup: numbered().lookup, ...stale }
      const one = yield* Swr.make(options)
      const two = yield* Swr.make(options)
      yield* one.get("k")
      assert.isTrue(yield* two.has("k"))
      const other = yield* Effect.exit(Swr.make({ ...options }))
      assert.deepInclude(defect(other), { _tag: "InvalidPolicy", option: "name", value: "c" })
      const fn = yield* Effect.exit(Swr.fn("c", stale)((key: string) => Effect.succeed(key))("k"))
      assert.deepInclude(defect(fn), { _tag: "InvalidPolicy", option: "name", value: "c" })
    }).pipe(within()))

  it.effect("the same name in two layers is two caches", () =>
    Effect.gen(function*() {
      const options = { name: "c", lookup: numbered().lookup, ...stale }
      const one = yield* Effect.andThen(Swr.make(options), (cache) => cache.get("k")).pipe(within())
      const two = yield* Effect.andThen(Swr.make(options), (cache) => cache.get("k")).pipe(within())
      assert.deepStrictEqual([one, two], ["k1", "k2"])
    }))
})
