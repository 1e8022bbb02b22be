/** What a lookup may do, and what it runs with. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Fiber, Layer, Option } from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  counted,
  defect,
  Down,
  ended,
  Gone,
  join,
  now,
  numbered,
  Origin,
  settle,
  shape,
  shown,
  sick,
  stale,
  start,
  stock,
  tracer,
  within
} from "./Origin.ts"

describe("R10, I13: a lookup that waits for its own key dies at once with LookupCycle", () => {
  /** A cache whose lookup is given later; more than 100 runs are a loop. */
  const looping = (name: string, lookup: (key: string) => Effect.Effect<string>) => {
    let runs = 0
    return Swr.make({
      name,
      lookup: (key: string) => Effect.suspend(() => ++runs > 100 ? Effect.succeed("loop") : lookup(key)),
      ...stale
    })
  }
  const dies = <R>(read: Effect.Effect<unknown, unknown, R>) =>
    Effect.gen(function*() {
      const exit = yield* now(Effect.exit(read))
      assert.instanceOf(defect(exit), Swr.LookupCycle)
    })

  it.effect("by get", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) => cache.get(key))
      yield* dies(cache.get("k"))
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("through another key", () =>
    Effect.gen(function*() {
      const next: Record<string, string> = { a: "b", b: "c", c: "a" }
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) => cache.get(next[key] ?? ""))
      yield* dies(cache.get("a"))
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("through two caches", () =>
    Effect.gen(function*() {
      const one: Swr.Instance<string, string> = yield* looping("one", (key) => two.get(key))
      const two: Swr.Instance<string, string> = yield* looping("two", (key) => one.get(key))
      yield* dies(one.get("k"))
      yield* dies(two.get("k"))
      for (const { stats } of [one, two]) assert.strictEqual((yield* stats).flights, 0)
    }).pipe(within()))

  it.effect("through Swr.swr and Swr.fn", () =>
    Effect.gen(function*() {
      let runs = 0
      const quote: Swr.Cached<[key: string], string, never, Swr.Cache> = Swr.fn("quote", stale)((key: string) =>
        Effect.suspend(() => ++runs > 100 ? Effect.succeed("loop") : Effect.map(read(key), ({ value }) => value))
      )
      const read = (key: string): Effect.Effect<Swr.Answer<string, never, Swr.Cache>, never, Swr.Cache> =>
        Swr.swr(key, quote(key), stale)
      yield* dies(read("k"))
      assert.isBelow(runs, 5)
    }).pipe(within()))

  it.effect("two loads that began by themselves and come to wait for each other", () =>
    Effect.gen(function*() {
      const gates: Record<string, Deferred.Deferred<string>> = {
        a: yield* Deferred.make<string>(),
        b: yield* Deferred.make<string>()
      }
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) =>
        Effect.flatMap(Deferred.await(gates[key]!), (next) =>
          next === "" ? Effect.succeed(key) : cache.get(next)))
      const a = yield* start(cache.get("a"))
      const b = yield* start(cache.get("b"))
      yield* Deferred.succeed(gates["a"]!, "b")
      assert.isUndefined(yield* ended(a))
      yield* Deferred.succeed(gates["b"]!, "a")
      assert.instanceOf(defect(yield* ended(b)), Swr.LookupCycle)
      assert.instanceOf(defect(yield* ended(a)), Swr.LookupCycle)
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("by revalidate, directly", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) =>
        Effect.map(cache.revalidate(key), ({ value }) => value))
      yield* dies(cache.get("k"))
      yield* dies(cache.revalidate("k"))
      const { flights, loads } = yield* cache.stats
      assert.deepStrictEqual({ flights, loads }, { flights: 0, loads: 2 })
    }).pipe(within()))

  it.effect("by revalidate, through another key", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) =>
        key === "a" ? cache.get("b") : Effect.map(cache.revalidate("a"), ({ value }) => value))
      yield* dies(cache.get("a"))
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("by getMany without a batch", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) =>
        Effect.map(cache.getMany(["other", key]), (values) => values.join()))
      yield* dies(cache.get("k"))
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("by lookupMany that reads one of its keys, singly or with others", () =>
    Effect.gen(function*() {
      let runs = 0
      for (const single of [true, false]) {
        const cache: Swr.Instance<string, string> = yield* Swr.make({
          name: `c${single}`,
          lookupMany: (keys: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, string>> =>
            Effect.suspend(() =>
              ++runs > 100 ? Effect.succeed(new Map(keys.map((key) => [key, key]))) : Effect.as(
                Effect.asVoid<unknown, never, never>(single ? cache.get("b") : cache.getMany(["x", "b"])),
                new Map(keys.map((key) => [key, key]))
              )
            ),
          ...stale
        })
        yield* dies(cache.getMany(["a", "b"]))
        assert.strictEqual((yield* cache.stats).flights, 0)
      }
    }).pipe(within()))

  for (const how of ["get", "revalidate"] as const) {
    it.effect(`by ${how}, in a key that passes, where every reader loads alone`, () =>
      Effect.gen(function*() {
        let runs = 0
        const cache: Swr.Instance<string, string> = yield* Swr.make({
          name: "c",
          lookup: (key: string): Effect.Effect<string> =>
            Effect.suspend(() =>
              ++runs === 1 || runs > 100
                ? Effect.succeed("v")
                : how === "get"
                ? cache.get(key)
                : Effect.map(cache.revalidate(key), ({ value }) => value)
            ),
          keep: () => "pass",
          ...stale
        })
        yield* now(cache.get("k"))
        yield* dies(cache.get("k"))
        assert.isBelow(runs, 5)
      }).pipe(within()))
  }

  it.effect("a refresh that reads its own key is given the stale value", () =>
    Effect.gen(function*() {
      let runs = 0
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) =>
        ++runs === 1 ? Effect.succeed("1") : Effect.map(cache.get(key), (value) => `${value}+`))
      yield* cache.get("k")
      yield* TestClock.adjust("1 minute")
      yield* cache.get("k")
      yield* settle
      assert.strictEqual(yield* now(cache.get("k")), "1+")
    }).pipe(within()))

  it.effect("a refresh hands nothing on from the reader that started it", () =>
    Effect.gen(function*() {
      // The lookup of `a` reads the stale `b`; the refresh of `b` reads `a`, which is loading: no cycle, `b` waits.
      const gate = yield* Deferred.make<void>()
      let loads = 0
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) =>
        key === "a"
          ? Effect.flatMap(cache.get("b"), (value) => Effect.as(Deferred.await(gate), `a${value}`))
          : ++loads === 1
          ? Effect.succeed("b1")
          : Effect.map(cache.get("a"), (value) => `b${value}`))
      yield* cache.get("b")
      yield* TestClock.adjust("1 minute")
      const reader = yield* start(cache.get("a"))
      yield* settle
      yield* Deferred.succeed(gate, void 0)
      assert.strictEqual(yield* join(reader), "ab1")
      yield* settle
      assert.strictEqual(yield* now(cache.get("b")), "bab1")
    }).pipe(within()))

  it.effect("who only reads what a cycle is made of, and no cycle, is served", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache: Swr.Instance<string, string, Down | Gone> = yield* Swr.make({
        name: "c",
        lookup: (key: string): Effect.Effect<string, Down | Gone> =>
          key === "top"
            ? Effect.map(Effect.all([cache.get("left"), cache.get("right")], { concurrency: 2 }), (two) => two.join())
            : key === "bottom"
            ? origin.lookup(key)
            : cache.get("bottom"),
        ...stale
      })
      const reader = yield* start(cache.get("top"))
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(reader), "v,v")
    }).pipe(within()))

  it.effect("a lookup that survives it is heard", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* looping("c", (key) =>
        Effect.catchDefect(cache.get(key), () => Effect.succeed("saved")))
      assert.strictEqual(yield* now(cache.get("k")), "saved")
      assert.strictEqual(yield* now(cache.get("k")), "saved")
    }).pipe(within()))
})

describe("R8: services, scopes and spans of a lookup", () => {
  class Tenant extends Context.Service<Tenant, { readonly name: string }>()("test/Tenant") {}
  const Locale = Context.Reference<string>("test/Locale", { defaultValue: () => "default" })
  const who = Effect.all([Effect.map(Tenant, ({ name }) => name), Locale])

  it.effect("the lookup of make runs with what it was built with, never with its reader's, also in a refresh", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: (_: string) => who, ...stale }).pipe(
        Effect.provideService(Tenant, { name: "built" }),
        Effect.provideService(Locale, "built")
      )
      const read = cache.get("k").pipe(
        Effect.provideService(Tenant, { name: "reader" }),
        Effect.provideService(Locale, "reader")
      )
      assert.deepStrictEqual(yield* read, ["built", "built"])
      yield* TestClock.adjust("1 minute")
      yield* read
      yield* settle
      assert.deepStrictEqual(yield* read, ["built", "built"])
      assert.strictEqual((yield* cache.stats).loads, 2)
    }).pipe(within()))

  it.effect("so does the lookup of a Service, and a batch", () =>
    Effect.gen(function*() {
      class Names extends Swr.Service<Names>()("test/Names", {
        lookupMany: (keys: ReadonlyArray<string>) => Effect.map(who, (name) => new Map(keys.map((key) => [key, name]))),
        ...stale
      }) {}
      yield* Effect.gen(function*() {
        const names = yield* Names
        const read = Effect.provideService(names.getMany(["a", "b"]), Tenant, { name: "reader" })
        assert.deepStrictEqual(yield* read, [["built", "default"], ["built", "default"]])
      }).pipe(Effect.provide(
        Names.layer.pipe(Layer.provide([Swr.layer(), Layer.succeed(Tenant, { name: "built" })]))
      ))
    }))

  it.effect("those of swr and fn run with their reader's", () =>
    Effect.gen(function*() {
      const quote = Swr.fn("quote", stale)((_: string) => who)
      const all = Effect.all([Effect.map(Swr.swr("k", who, stale), ({ value }) => value), quote("k")])
      const as = (name: string) =>
        all.pipe(Effect.provideService(Tenant, { name }), Effect.provideService(Locale, name))
      assert.deepStrictEqual(yield* as("first"), [["first", "first"], ["first", "first"]])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* as("second"), [["first", "first"], ["first", "first"]])
      yield* settle
      assert.deepStrictEqual(yield* as("third"), [["second", "second"], ["second", "second"]])
    }).pipe(within()))

  for (const entrance of ["make", "swr", "batch"]) {
    it.effect(`${entrance}: what a lookup acquires is released when the load ends, not when its reader's scope does`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const log: Array<string> = []
        const lookup = (key: string) =>
          Effect.andThen(Effect.addFinalizer(() => Effect.sync(() => log.push("released"))), origin.lookup(key))
        const cache = yield* Swr.make({
          name: "c",
          lookup,
          lookupMany: (keys: ReadonlyArray<string>) =>
            Effect.map(lookup("k"), (value) => new Map(keys.map((key) => [key, value]))),
          ...stale
        })
        const read: Effect.Effect<unknown, unknown, Swr.Cache> = entrance === "make"
          ? cache.get("k")
          : entrance === "batch"
          ? cache.getMany(["k"])
          : Swr.swr("k", Effect.scoped(Effect.void).pipe(Effect.andThen(lookup("k"))), stale)
        const first = yield* start(Effect.scoped(read))
        assert.deepStrictEqual(log, [])
        yield* origin.call(0).succeed("1")
        yield* join(first)
        assert.deepStrictEqual(log, ["released"])
        yield* TestClock.adjust("1 minute")
        yield* now(Effect.scoped(read))
        yield* settle
        assert.deepStrictEqual(log, ["released"])
        yield* origin.call(1).succeed("2")
        assert.deepStrictEqual(log, ["released", "released"])
      }).pipe(within()))
  }

  it.effect("what a lookup acquires is released when it fails and when it is interrupted", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      let released = 0
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) =>
          Effect.andThen(Effect.addFinalizer(() => Effect.sync(() => released++)), origin.lookup(key)),
        ...stale
      })
      yield* start(cache.get("k"))
      yield* origin.call(0).fail()
      assert.strictEqual(released, 1)
      yield* Fiber.interrupt(yield* start(cache.get("k")))
      yield* settle
      assert.strictEqual(released, 2)
    }).pipe(within()))

  it.effect("a load runs under a root span that is linked to its reader's; so does a refresh", () => {
    const { layer, spans } = tracer()
    return Effect.gen(function*() {
      const source = counted((n) => Effect.withSpan(Effect.succeed(n), `query${n}`))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const span = (name: string) => spans.find((span) => span.name === name)
      for (const n of [1, 2]) {
        yield* Effect.withSpan(cache.get("k"), `request${n}`)
        yield* settle
        const query = span(`query${n}`)
        const load = Option.getOrUndefined(query?.parent ?? Option.none())
        assert.strictEqual(load?._tag, "Span")
        const own = spans.find(({ spanId }) => spanId === load?.spanId)
        assert.isUndefined(own && Option.getOrUndefined(own.parent), "the load's span is a root")
        assert.deepStrictEqual(own?.links.map(({ span }) => span.spanId), [span(`request${n}`)?.spanId])
        assert.strictEqual(own?.status._tag, "Ended")
        yield* TestClock.adjust("1 minute")
      }
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("a load of swr is no part of its reader's span either", () => {
    const { layer, spans } = tracer()
    return Effect.gen(function*() {
      yield* Swr.swr("k", Effect.withSpan(Effect.succeed(1), "query"), stale).pipe(Effect.withSpan("request"))
      const request = spans.find(({ name }) => name === "request")
      assert.isTrue(spans.every(({ parent }) => Option.getOrUndefined(parent)?.spanId !== request?.spanId))
      assert.isTrue(spans.some(({ links }) => links.some(({ span }) => span.spanId === request?.spanId)))
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("a fresh hit makes no span", () => {
    const { layer, spans } = tracer()
    return Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      const before = spans.length
      yield* cache.get("k")
      assert.lengthOf(spans, before)
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("`previous` is the value known when the load began, with its age then", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      const previous = (i: number) =>
        Option.map(origin.call(i).previous, ({ age, value }) => [value, Duration.toMillis(age)])
      yield* stock(origin, cache, "90 seconds")
      assert.deepStrictEqual(previous(0), Option.none())
      yield* now(cache.get("k"))
      yield* TestClock.adjust("10 seconds")
      yield* origin.call(1).succeed("two")
      assert.deepStrictEqual(previous(1), Option.some(["old", 90_000]))
      yield* TestClock.adjust("7 minutes")
      yield* start(cache.get("k"))
      assert.deepStrictEqual(previous(2), Option.some(["two", 420_000]))
      yield* cache.invalidate("k", { mode: "soft" })
      yield* start(cache.get("k"))
      assert.deepStrictEqual(previous(3), Option.some(["two", 420_000]))
      yield* cache.invalidate("k")
      yield* start(cache.get("k"))
      assert.deepStrictEqual(previous(4), Option.none())
      yield* cache.set("k", "set", { age: "2 minutes" })
      yield* now(cache.get("k"))
      assert.deepStrictEqual(previous(5), Option.some(["set", 120_000]))
    }).pipe(within()))

  it.effect("R3: a value past its life is not `previous`", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "6 minutes")
      yield* start(cache.get("k"))
      assert.isTrue(Option.isNone(origin.call(1).previous))
    }).pipe(within()))
})

describe("R5, I1, I19: ages", () => {
  it.effect("a wall clock that is set back or forth changes no age", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_800_000_000_000)
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      yield* cache.get("k")
      yield* TestClock.adjust("30 seconds")
      yield* TestClock.setTime(1_000_000_000_000)
      const answer = yield* cache.read("k")
      assert.strictEqual(Duration.toMillis(answer.age), 30_000)
      assert.strictEqual(Duration.toMillis(answer.freshFor), 30_000)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* cache.read("k")).status, "stale")
      yield* settle
      assert.strictEqual((yield* cache.read("k")).status, "fresh")
      yield* TestClock.setTime(0)
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual((yield* cache.read("k")).status, "expired")
    }).pipe(within()))

  it.effect("count from the end of the load, and a set's from its call", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.read("k"))
      yield* TestClock.adjust("40 seconds")
      yield* origin.call(0).succeed("v")
      assert.strictEqual(Duration.toMillis((yield* join(reader)).age), 0)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(Duration.toMillis((yield* cache.read("k")).age), 59_000)
      yield* cache.set("k", "set")
      yield* TestClock.adjust("59 seconds")
      const answer = yield* cache.read("k")
      assert.deepStrictEqual(
        [answer.age, answer.freshFor, answer.servableFor].map(Duration.toMillis),
        [59_000, 1000, 301_000]
      )
    }).pipe(within()))

  it.effect("a failed refresh makes no value younger", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, "5 minutes")
      yield* now(cache.get("k"))
      yield* origin.call(1).fail()
      assert.strictEqual(Duration.toMillis((yield* now(cache.read("k"))).age), 300_000)
    }).pipe(within()))

  it.effect("a refresh whose value expires meanwhile is kept when it ends, and counts from then", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "1 hour", ...stale })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* TestClock.adjust("30 minutes")
      yield* origin.call(1).succeed("new")
      const answer = yield* now(cache.read("k"))
      assert.deepStrictEqual(shown(answer), ["new", "fresh", "memory", undefined])
      assert.strictEqual(Duration.toMillis(answer.age), 0)
    }).pipe(within()))

  it.effect("a refresh that fails after the value's end frees the key: nothing is kept, nothing backs off", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "1 hour", ...stale })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* TestClock.adjust("30 minutes")
      yield* origin.call(1).fail()
      assert.deepStrictEqual(yield* shape(cache), { size: 0, flights: 0, backoffs: 0 })
    }).pipe(within()))

  it.effect("I18: durations above 2^31 ms work", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, freshFor: "40 days", maxAge: "50 days" })
      yield* cache.get("k")
      yield* TestClock.adjust("39 days")
      assert.strictEqual((yield* cache.read("k")).status, "fresh")
      yield* TestClock.adjust("2 days")
      assert.strictEqual((yield* cache.read("k")).status, "stale")
    }).pipe(within({ maxTimeToLive: "100 days" })))
})
