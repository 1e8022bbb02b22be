/** One load per key: who starts it, who waits, who leaves, and how it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Random, References } from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  counted,
  defect,
  Down,
  ended,
  error,
  Gone,
  interrupted,
  join,
  logs,
  now,
  numbered,
  only,
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
  tagged,
  within,
  words
} from "./Origin.ts"

describe("R6, I2, I20: one flight per key", () => {
  it.effect("200 readers of a miss share one load", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const readers = yield* Effect.forEach(Array.from({ length: 200 }), () => start(cache.read("k")))
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("v")
      for (const reader of readers) {
        assert.deepStrictEqual(shown(yield* join(reader)), ["v", "miss", "lookup", undefined])
      }
      assert.lengthOf(origin.calls, 1)
    }).pipe(within()))

  it.effect("a fresh value is given and nothing is started, to the last millisecond", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      yield* cache.get("k")
      yield* TestClock.adjust("59999 millis")
      assert.deepStrictEqual(shown(yield* cache.read("k")), ["k1", "fresh", "memory", undefined])
      yield* settle
      assert.strictEqual(source.calls, 1)
    }).pipe(within()))

  it.effect("1,000 stale readers are answered at once and start one refresh", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      const answers = yield* now(Effect.all(Array.from({ length: 1000 }, () => cache.read("k")), { concurrency: 50 }))
      for (const answer of answers) assert.deepStrictEqual(shown(answer), ["old", "stale", "memory", "revalidating"])
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["new", "fresh", "memory", undefined])
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("all readers of an expired value wait for one load", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "6 minutes")
      const readers = yield* Effect.forEach(Array.from({ length: 20 }), () => start(cache.read("k")))
      assert.isUndefined(yield* ended(readers[0]!))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("new")
      for (const reader of readers) {
        assert.deepStrictEqual(shown(yield* join(reader)), ["new", "expired", "lookup", undefined])
      }
    }).pipe(within()))

  it.effect("a refresh that is under way when the value expires is joined", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "1 hour", ...stale })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      assert.lengthOf(origin.calls, 2)
      yield* TestClock.adjust("5 minutes")
      const reader = yield* start(cache.read("k"))
      assert.isUndefined(yield* ended(reader))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(reader)), ["new", "expired", "lookup", undefined])
    }).pipe(within()))

  it.effect("a reader to whom the value is stale never waits, also while others wait for a load", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "2 minutes")
      const waiting = yield* start(cache.get("k", { maxAge: "2 minutes" }))
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "revalidating"])
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(waiting), "new")
    }).pipe(within()))

  it.effect("R7: the synchronous part of a refresh does not run in the reader's call", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      yield* cache.get("k")
      yield* TestClock.adjust("1 minute")
      const seen = yield* Effect.map(cache.get("k"), (value) => [value, source.calls])
      assert.deepStrictEqual(seen, ["k1", 1])
      yield* settle
      assert.strictEqual(source.calls, 2)
    }).pipe(within()))

  it.effect("I20: a slow load delays no other key", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => key === "slow" ? origin.lookup(key) : Effect.succeed(key),
        ...stale
      })
      yield* start(cache.get("slow"))
      for (let i = 0; i < 50; i++) assert.strictEqual(yield* now(cache.get(`k${i}`)), `k${i}`)
    }).pipe(within()))

  it.effect("a refresh whose synchronous lookup is done finds its way into memory", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      yield* cache.get("k")
      for (let i = 2; i < 20; i++) {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* cache.get("k"), `k${i - 1}`)
        yield* settle
        assert.strictEqual(yield* cache.get("k"), `k${i}`)
      }
    }).pipe(within()))
})

describe("R6: the limit of refreshes", () => {
  it.effect("above it refreshes are skipped with an event, not queued, and nobody waits", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      for (const key of ["a", "b", "c"]) yield* stock(origin, cache, 0, key, key)
      yield* TestClock.adjust("1 minute")
      for (const key of ["a", "b", "c"]) assert.strictEqual((yield* now(cache.read(key))).status, "stale")
      assert.lengthOf(origin.calls, 5)
      assert.deepStrictEqual(only(events, "RefreshSkipped").map(({ key, reason }) => [key, reason]), [["c", "limit"]])
      yield* origin.call(3).succeed("A")
      assert.lengthOf(origin.calls, 5)
      yield* now(cache.read("c"))
      assert.deepStrictEqual(origin.calls.slice(3).map(({ key }) => key), ["a", "b", "c"])
    }).pipe(within({ refreshes: 2 })))

  it.effect("counts the refreshes of all caches of the layer, and frees the place of a failed or forgotten one", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const one = yield* Swr.make({ name: "one", lookup: origin.lookup, ...stale })
      const two = yield* Swr.make({ name: "two", lookup: origin.lookup, ...stale })
      yield* stock(origin, one, 0)
      yield* stock(origin, two, "1 minute")
      yield* now(one.get("k"))
      yield* now(two.get("k"))
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).fail()
      yield* now(two.get("k"))
      assert.lengthOf(origin.calls, 4)
      yield* two.invalidate("k", { mode: "soft" })
      yield* now(two.get("k"))
      assert.lengthOf(origin.calls, 5)
    }).pipe(within({ refreshes: 1 })))

  it.effect("0 means none; readers of a miss load all the same", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      yield* cache.get("k")
      yield* TestClock.adjust("1 minute")
      yield* cache.get("k")
      yield* settle
      assert.strictEqual(source.calls, 1)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* cache.get("k"), "k2")
    }).pipe(within({ refreshes: 0 })))

  it.effect("holds for the stale keys of one getMany too", () =>
    Effect.gen(function*() {
      const events = yield* record
      const gate = yield* Deferred.make<void>()
      const batches: Array<ReadonlyArray<string>> = []
      const cache = yield* Swr.make({
        name: "c",
        lookupMany: (keys: ReadonlyArray<string>) => {
          batches.push(keys)
          return Effect.as(batches.length === 1 ? Effect.void : Deferred.await(gate), new Map(keys.map((k) => [k, k])))
        },
        ...stale
      })
      const keys = ["a", "b", "c", "d", "e"]
      yield* cache.getMany(keys)
      yield* TestClock.adjust("1 minute")
      yield* now(cache.getMany(keys))
      yield* settle
      assert.strictEqual((yield* cache.stats).flights, 2)
      assert.lengthOf(only(events, "RefreshSkipped"), 3)
      yield* Deferred.succeed(gate, void 0)
    }).pipe(within({ refreshes: 2 })))
})

describe("R7, I5: interruption", () => {
  it.effect("of the reader that started the load harms no other", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const leader = yield* start(cache.get("k"))
      const follower = yield* start(cache.get("k"))
      yield* now(Fiber.interrupt(leader))
      const late = yield* start(cache.get("k"))
      assert.isFalse(origin.call(0).interrupted)
      yield* origin.call(0).succeed("v")
      assert.deepStrictEqual([yield* join(follower), yield* join(late)], ["v", "v"])
      assert.lengthOf(origin.calls, 1)
    }).pipe(within()))

  it.effect("of all readers interrupts the load and frees the key at once; who comes next does not join what dies", () =>
    Effect.gen(function*() {
      const slow = yield* Deferred.make<void>()
      const origin = new Origin()
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => Effect.onInterrupt(origin.lookup(key), () => Deferred.await(slow)),
        ...stale
      })
      const readers = [yield* start(cache.get("k")), yield* start(cache.get("k"))]
      for (const reader of readers) {
        assert.isTrue(Exit.hasInterrupts(yield* now(Effect.exit(interruptAndAwait(reader)))))
      }
      yield* settle
      assert.isTrue(origin.call(0).interrupted)
      assert.strictEqual((yield* cache.stats).flights, 0)
      const newcomer = yield* start(cache.get("k"))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("v")
      assert.strictEqual(yield* join(newcomer), "v")
      yield* Deferred.succeed(slow, void 0)
      yield* settle
      assert.strictEqual(yield* now(cache.get("k")), "v")
    }).pipe(within()))

  it.effect("returns at once although the lookup can't be interrupted, and its late value is not kept", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      origin.deaf = true
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      yield* now(Fiber.interrupt(reader))
      assert.isFalse(yield* cache.has("k"))
      const newcomer = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("late")
      assert.isUndefined(yield* ended(newcomer))
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(newcomer), "new")
    }).pipe(within()))

  it.effect("of a reader whose value was stale does not touch the refresh it started", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      const reader = yield* start(Effect.andThen(cache.get("k"), Effect.never))
      yield* settle
      yield* Fiber.interrupt(reader)
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* now(cache.get("k")), "new")
    }).pipe(within()))

  it.effect("of all who joined a refresh lets the refresh finish", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "1 hour", ...stale })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* TestClock.adjust("5 minutes")
      const reader = yield* start(cache.get("k"))
      yield* now(Fiber.interrupt(reader))
      assert.isFalse(origin.call(1).interrupted)
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* now(cache.get("k")), "new")
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("of the reader by its own lookup, in the very step in which the load begins, leaves nothing", () =>
    Effect.gen(function*() {
      const self: { fiber: Fiber.Fiber<unknown, unknown> | undefined } = { fiber: undefined }
      let runs = 0
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string) =>
          Effect.suspend(() => {
            if (runs++ > 0) return Effect.succeed("v")
            self.fiber?.interruptUnsafe()
            return Effect.never
          }),
        ...stale
      })
      const reader = yield* Effect.forkChild(Effect.withFiber((fiber) => {
        self.fiber = fiber
        return cache.get("k")
      }))
      yield* settle
      assert.isTrue(interrupted(yield* ended(reader)))
      assert.strictEqual((yield* cache.stats).flights, 0)
      assert.strictEqual(yield* now(cache.get("k")), "v")
    }).pipe(within()))

  it.effect("in a storm of 600 readers ends nobody else, and every load has an end", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const readers: Array<readonly [doomed: boolean, key: string, fiber: Fiber.Fiber<string, Down | Gone>]> = []
      for (let i = 0; i < 600; i++) {
        const key = `k${(yield* Random.nextInt) % 7}`
        readers.push([(yield* Random.next) < 0.6, key, yield* start(cache.get(key))])
        if ((yield* Random.next) < 0.5) {
          const victims = readers.filter(([doomed, , fiber]) => doomed && fiber.pollUnsafe() === undefined)
          const victim = victims[Math.floor((yield* Random.next) * victims.length)]
          if (victim !== undefined) yield* Fiber.interrupt(victim[2])
        }
        if ((yield* Random.next) < 0.1) {
          const open = origin.calls.filter(({ exit }) => exit === undefined)
          const one = open[Math.floor((yield* Random.next) * open.length)]
          if (one !== undefined) yield* one.succeed(one.key)
          if ((yield* Random.next) < 0.5) yield* cache.invalidate(key)
        }
      }
      for (const [doomed, , fiber] of readers) if (doomed) yield* Fiber.interrupt(fiber)
      for (const call of origin.calls.slice()) if (call.exit === undefined) yield* call.succeed(call.key)
      for (const [doomed, key, fiber] of readers) if (!doomed) assert.strictEqual(yield* join(fiber), key)
      assert.strictEqual((yield* cache.stats).flights, 0)
      assert.strictEqual(origin.running, 0)
    }).pipe(Random.withSeed("storm"), within()))
})

const interruptAndAwait = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.andThen(Fiber.interrupt(fiber), Effect.flatMap(Fiber.await(fiber), (exit) => exit))

describe("R7, guide section 3: an interruption after any number of steps leaves no dead flight", () => {
  type Entrance = (
    cache: Swr.Instance<string, string, Down | Gone>,
    many: Strings,
    origin: Origin,
    key: string
  ) => Effect.Effect<unknown, unknown, Swr.Cache>
  const entrances: ReadonlyArray<readonly [string, Entrance]> = [
    ["get", (cache, _many, _origin, key) => cache.get(key)],
    [
      "get with a softTimeout",
      (cache, _many, _origin, key) => cache.get(key, { staleIfError: "1 day", softTimeout: 5 })
    ],
    ["revalidate", (cache, _many, _origin, key) => cache.revalidate(key)],
    [
      "two revalidate",
      (cache, _many, _origin, key) => Effect.all([cache.revalidate(key), cache.revalidate(key)], { concurrency: 2 })
    ],
    ["getMany", (cache, _many, _origin, key) => cache.getMany([key, `${key}'`])],
    ["getMany in a batch", (_cache, many, _origin, key) => many.getMany([key, `${key}'`])],
    [
      "mutate",
      (cache, _many, _origin, key) => cache.mutate(key, () => Effect.andThen(cache.get(`${key}''`), cache.get(key)))
    ],
    ["swr", (_cache, _many, origin, key) => Swr.swr(key, origin.lookup(key), stale)]
  ]
  for (const [name, entrance] of entrances) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const service = yield* Swr.Cache
        const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
        const many: Strings = yield* Swr.make({
          name: "many",
          lookupMany: (keys: ReadonlyArray<string>) =>
            Effect.map(origin.lookup(keys[0]!), (value) => new Map(keys.map((key) => [key, value]))),
          ...stale
        })
        for (let ops = 2; ops <= 5; ops++) {
          for (let steps = 0; steps < 40; steps++) {
            const key = `${ops}/${steps}`
            const reader = yield* Effect.forkChild(
              Effect.provideService(entrance(cache, many, origin, key), References.MaxOpsBeforeYield, ops),
              { startImmediately: true }
            )
            for (let i = 0; i < steps; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(reader)
            yield* settle
            for (const { stats } of [service, cache, many]) assert.strictEqual((yield* stats).flights, 0, key)
            assert.strictEqual(origin.running, 0, key)
            const newcomer = yield* start(name === "getMany in a batch" ? many.get(key) : cache.get(key))
            yield* origin.call(-1).succeed(key)
            assert.strictEqual(yield* join(newcomer), key)
          }
        }
      }).pipe(within()))
  }
})

describe("R10: softTimeout", () => {
  const soft = { ...sick, softTimeout: "1 second" } as const

  it.effect("passing, the old value is given, the load goes on as a refresh and is kept", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...soft })
      yield* stock(origin, cache, "10 minutes")
      const reader = yield* start(cache.read("k"))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(yield* ended(reader))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(shown(yield* join(reader)), ["old", "expired", "memory", "timeout"])
      assert.isFalse(origin.call(1).interrupted)
      // Another reader joins, and being interrupted does not end it either.
      const second = yield* start(cache.read("k"))
      yield* Fiber.interrupt(second)
      yield* settle
      assert.isFalse(origin.call(1).interrupted)
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["new", "fresh", "memory", undefined])
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("each reader's patience is its own, and counts from its own call", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...soft })
      yield* stock(origin, cache, "10 minutes")
      const first = yield* start(cache.read("k"))
      const patient = yield* start(cache.read("k", { softTimeout: "5 seconds" }))
      yield* TestClock.adjust("500 millis")
      const second = yield* start(cache.read("k"))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual((yield* join(first)).value, "old")
      assert.isUndefined(yield* ended(second))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual((yield* join(second)).value, "old")
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(patient)), ["new", "expired", "lookup", undefined])
    }).pipe(within()))

  it.effect("without an old value, or past its window, a reader waits", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...soft, staleIfError: "10 minutes" })
      const first = yield* start(cache.get("k"))
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(yield* ended(first))
      yield* origin.call(0).succeed("old")
      yield* TestClock.adjust("11 minutes")
      const second = yield* start(cache.get("k"))
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(yield* ended(second))
    }).pipe(within()))

  it.effect("the window ending while it passes, the reader keeps waiting", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...soft, staleIfError: "10 minutes" })
      yield* stock(origin, cache, "11 minutes")
      yield* cache.invalidate("k")
      yield* stock(origin, cache, Duration.millis(11 * 60_000 - 500))
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(2).succeed("new")
      assert.strictEqual(yield* join(reader), "new")
    }).pipe(within()))

  it.effect("the value invalidated meanwhile, the reader keeps waiting for the load it waits for", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...soft })
      yield* stock(origin, cache, "10 minutes")
      const reader = yield* start(cache.get("k"))
      yield* cache.invalidate("k")
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(1).succeed("late")
      assert.strictEqual(yield* join(reader), "late")
      assert.isFalse(yield* cache.has("k"))
    }).pipe(within()))

  it.effect("the value marked meanwhile still stands in, and the forgotten load ends when nobody waits", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...soft })
      yield* stock(origin, cache, "10 minutes")
      const reader = yield* start(cache.get("k"))
      yield* cache.invalidate("k", { mode: "soft" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* join(reader), "old")
      assert.isTrue(origin.call(1).interrupted)
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("in getMany too the load of the batch goes on as a refresh", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({
        name: "c",
        lookupMany: (keys: ReadonlyArray<string>) =>
          Effect.map(origin.lookup(keys.join()), (value) => new Map(keys.map((key) => [key, key + value]))),
        ...soft
      })
      const first = yield* start(cache.getMany(["a", "b"]))
      yield* origin.call(0).succeed("1")
      yield* join(first)
      yield* TestClock.adjust("10 minutes")
      const reader = yield* start(cache.getMany(["a", "b"]))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* join(reader), ["a1", "b1"])
      assert.isFalse(origin.call(1).interrupted, "the load was interrupted")
      yield* origin.call(1).succeed("2")
      assert.deepStrictEqual(yield* now(cache.getMany(["a", "b"])), ["a2", "b2"])
    }).pipe(within()))

  it.effect("a load that then fails backs the key off, and nobody hears of it", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, backoff: second, ...soft })
      yield* stock(origin, cache, "10 minutes")
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* join(reader), "old")
      yield* origin.call(1).fail()
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "expired", "memory", "error"])
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))
})

describe("R9, I6, I12: failures", () => {
  it.effect("reach everybody who waits and has nothing else, as the lookup's own error, and free the key", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      const readers = [yield* start(cache.get("k")), yield* start(cache.get("k"))]
      yield* origin.call(0).fail(new Down({ by: "k" }))
      for (const reader of readers) assert.deepStrictEqual(error(yield* ended(reader)), new Down({ by: "k" }))
      assert.deepStrictEqual(yield* shape(cache), { size: 0, flights: 0, backoffs: 0 })
      const next = yield* start(cache.get("k"))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("v")
      assert.strictEqual(yield* join(next), "v")
    }).pipe(within()))

  it.effect("of a refresh reach nobody, are one event and one Warning, and the old value is given with its reason", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, backoff: second, ...sick })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* origin.call(1).fail(new Down({ by: "refresh" }))
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "error"])
      const [failed, ...more] = only(events, "LoadFailed")
      assert.lengthOf(more, 0)
      assert.deepStrictEqual(failed?.failure, Cause.fail(new Down({ by: "refresh" })))
      assert.strictEqual(failed?.retryIn, 1000)
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /^Warn /)
      assert.include(lines[0]!, "Down")
      assert.strictEqual((yield* cache.stats).backoffs, 1)
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("back the key off: no refresh starts, then one load probes behind the readers; a success ends it", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, backoff: second, ...sick })
      yield* stock(origin, cache, "10 minutes")
      const reader = yield* start(cache.read("k"))
      yield* origin.call(1).fail()
      assert.deepStrictEqual(shown(yield* join(reader)), ["old", "expired", "memory", "error"])
      yield* TestClock.adjust("999 millis")
      for (let i = 0; i < 5; i++) {
        assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "expired", "memory", "error"])
      }
      assert.lengthOf(origin.calls, 2)
      yield* settle
      assert.deepStrictEqual(
        only(events, "RefreshSkipped").map(({ reason }) => reason),
        Array.from({ length: 5 }, () => "held")
      )
      yield* TestClock.adjust("1 millis")
      for (let i = 0; i < 5; i++) assert.strictEqual((yield* now(cache.read("k"))).value, "old")
      assert.lengthOf(origin.calls, 3)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "expired", "memory", "error"])
      yield* origin.call(2).succeed("new")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["new", "fresh", "memory", undefined])
      assert.deepStrictEqual(yield* shape(cache), { size: 1, flights: 0, backoffs: 0 })
    }).pipe(within()))

  it.effect("of a stale value's refresh let the expired value be given at once later on", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, backoff: second, ...sick })
      yield* stock(origin, cache, "5 minutes")
      yield* now(cache.get("k"))
      yield* origin.call(1).fail()
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "expired", "memory", "error"])
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  it.effect("a reader with nothing to fall back on loads in spite of a back-off, and its failure prolongs it", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, backoff: second, ...sick })
      yield* stock(origin, cache, "10 minutes")
      const first = yield* start(cache.get("k"))
      yield* origin.call(1).fail()
      yield* join(first)
      yield* TestClock.adjust("500 millis")
      const bare = yield* start(cache.get("k", { staleIfError: 0 }))
      assert.lengthOf(origin.calls, 3)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "expired", "memory", "error"])
      yield* origin.call(2).fail(new Down({ by: "bare" }))
      assert.deepStrictEqual(error(yield* ended(bare)), new Down({ by: "bare" }))
      yield* TestClock.adjust("500 millis")
      yield* now(cache.get("k"))
      assert.lengthOf(origin.calls, 3)
      yield* TestClock.adjust("500 millis")
      yield* now(cache.get("k"))
      assert.lengthOf(origin.calls, 4)
    }).pipe(within()))

  it.effect("double the limit of the back-off, never under `from`, never over `to`", () =>
    Effect.gen(function*() {
      const events = yield* record
      const source = counted((n) => n === 1 ? Effect.succeed("old") : Effect.fail(new Down({})))
      const cache = yield* Swr.make({
        name: "c",
        lookup: source.lookup,
        backoff: { from: "1 second", to: "16 seconds" },
        ...sick
      })
      yield* cache.get("k")
      yield* TestClock.adjust("10 minutes")
      for (let i = 0; i < 400; i++) {
        yield* cache.get("k")
        yield* TestClock.adjust("1 second")
      }
      const delays = only(events, "LoadFailed").map(({ retryIn }) => retryIn)
      assert.isAbove(delays.length, 20)
      delays.forEach((delay, i) => {
        assert.isAtLeast(delay, 1000)
        assert.isAtMost(delay, Math.min(16_000, 2 ** (i + 1) * 1000))
      })
      assert.isAbove(Math.max(...delays), 8000)
      assert.isAbove(new Set(delays).size, delays.length / 2)
    }).pipe(Random.withSeed("back-off"), within()))

  it.effect("gone with the key: an invalidated key loads at once", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* origin.call(1).fail()
      yield* cache.invalidate("k")
      assert.deepStrictEqual(yield* shape(cache), { size: 0, flights: 0, backoffs: 0 })
      yield* start(cache.get("k"))
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  for (const [word, left, say] of words) {
    if (left === "nothing") continue
    it.effect(`R11: ${word} ${left === "set" ? "ends" : "does not end"} a back-off`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        yield* stock(origin, cache, "1 minute")
        yield* now(cache.get("k"))
        yield* origin.call(1).fail()
        yield* say(cache)
        assert.strictEqual((yield* cache.stats).backoffs, left === "set" ? 0 : 1)
        if (left === "set") yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(
          shown(yield* now(cache.read("k"))),
          left === "set" ? ["set", "stale", "memory", "revalidating"] : ["old", "stale", "memory", "error"]
        )
        assert.lengthOf(origin.calls, left === "set" ? 3 : 2)
      }).pipe(within()))
  }

  it.effect("an outage of an hour with a hot key: nobody waits, the origin is tried once per back-off, one Warning each", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const events = yield* record
      let sound = true
      const begun: Array<number> = []
      let time = 0
      const cache = yield* Swr.make({
        name: "c",
        // A connect timeout: it takes 2 seconds to fail.
        lookup: (_: string): Effect.Effect<string, Down> =>
          Effect.suspend(() => {
            begun.push(time)
            return sound ? Effect.succeed("old") : Effect.delay(Effect.fail(new Down({})), "2 seconds")
          }),
        ...sick
      })
      yield* cache.get("k")
      sound = false
      for (; time < 3600; time++) {
        assert.strictEqual(yield* now(cache.get("k")), "old", `at second ${time}`)
        yield* TestClock.adjust("1 second")
      }
      const failed = only(events, "LoadFailed")
      const loads = begun.slice(1)
      // The first is due when the value is stale; each next one at the first read after the back-off.
      assert.strictEqual(loads[0], 60)
      failed.slice(0, -1).forEach(({ duration, retryIn }, i) => {
        assert.strictEqual(duration, 2000)
        assert.strictEqual(loads[i + 1], loads[i]! + 2 + Math.ceil(retryIn / 1000))
      })
      assert.isBelow(loads.length, 200)
      assert.isAtLeast(loads.length, 3540 / 62)
      assert.lengthOf(lines, failed.length)
      assert.isTrue(lines.every((line) => line.startsWith("Warn ")))
      sound = true
      yield* TestClock.adjust("1 minute")
      yield* now(cache.get("k"))
      yield* settle
      assert.strictEqual((yield* now(cache.read("k"))).status, "fresh")
    }).pipe(Random.withSeed("outage"), within(), Effect.provide(layer))
  })

  it.effect("an outage that begins while nobody reads: who comes in the first two seconds waits, nobody after", () =>
    Effect.gen(function*() {
      let calls = 0
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string): Effect.Effect<string, Down> =>
          Effect.suspend(() =>
            ++calls === 1 ? Effect.succeed("old") : Effect.delay(Effect.fail(new Down({})), "2 seconds")
          ),
        ...sick
      })
      yield* cache.get("k")
      yield* TestClock.adjust("10 minutes")
      const first = yield* start(cache.read("k"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(shown(yield* join(first)), ["old", "expired", "memory", "error"])
      for (let i = 0; i < 300; i++) {
        assert.strictEqual(yield* now(cache.get("k")), "old")
        yield* TestClock.adjust("1 second")
      }
    }).pipe(within()))

  it.effect("readers with nothing to fall back on are logged by who hears of it, not here", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      const reader = yield* start(cache.get("k"))
      yield* origin.call(0).fail()
      yield* ended(reader)
      assert.lengthOf(lines, 0)
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("an error that is an answer, heard of by nobody because a refresh got it, is logged once", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const origin = new Origin()
      const when = (error: Down | Gone) => error._tag === "Down"
      const cache = yield* Swr.make({
        name: "c",
        lookup: origin.lookup,
        ...stale,
        staleIfError: { window: "1 day", when }
      })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* origin.call(1).fail(new Gone())
      assert.lengthOf(lines, 1)
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("a lookup that interrupts itself ends its waiters with the same cause, and the key is free", () =>
    Effect.gen(function*() {
      const source = counted((n) => n === 1 ? Effect.interrupt : Effect.succeed("v"))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      assert.isTrue(interrupted(yield* now(Effect.exit(cache.get("k")))))
      assert.strictEqual(yield* now(cache.get("k")), "v")
    }).pipe(within()))
})

describe("R10, I13: hardTimeout", () => {
  it.effect("named, it is LoadTimeout in the error channel, at its very moment, and the load is interrupted", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "5 seconds", ...stale })
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(yield* ended(reader))
      yield* TestClock.adjust("1 millis")
      const timeout = error(yield* ended(reader))
      assert.instanceOf(timeout, Swr.LoadTimeout)
      assert.deepInclude(timeout, { cache: "c", key: "k", limit: 5000 })
      assert.isTrue(origin.call(0).interrupted)
    }).pipe(within()))

  it.effect("not named, it is a minute and a defect", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("59999 millis")
      assert.isUndefined(yield* ended(reader))
      yield* TestClock.adjust("1 millis")
      assert.instanceOf(defect(yield* ended(reader)), Swr.LoadTimeout)
    }).pipe(within()))

  it.effect("counts from the load's begin, not from the joining", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "5 seconds", ...stale })
      yield* start(cache.get("k"))
      yield* TestClock.adjust("4 seconds")
      const late = yield* start(cache.get("k"))
      yield* TestClock.adjust("1 second")
      assert.instanceOf(error(yield* ended(late)), Swr.LoadTimeout)
    }).pipe(within()))

  it.effect("a lookup that hangs and can't be interrupted is abandoned, the key is free, and what it answers late is not kept", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      origin.deaf = true
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "5 seconds", ...stale })
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("5 seconds")
      assert.instanceOf(error(yield* ended(reader)), Swr.LoadTimeout)
      assert.deepStrictEqual(yield* shape(cache), { size: 0, flights: 0, backoffs: 0 })
      const next = yield* start(cache.get("k"))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(0).succeed("late")
      assert.isUndefined(yield* ended(next))
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(next), "new")
    }).pipe(within()))

  it.effect("a refresh that never settles does not pin the key: it counts as an outage", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      origin.deaf = true
      const cache = yield* Swr.make({
        name: "c",
        lookup: origin.lookup,
        hardTimeout: "5 seconds",
        backoff: second,
        ...sick
      })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "error"])
      assert.strictEqual(only(events, "LoadFailed")[0]?.retryIn, 1000)
      yield* TestClock.adjust("1 second")
      yield* now(cache.get("k"))
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).succeed("new")
      yield* origin.call(1).succeed("late")
      assert.strictEqual(yield* now(cache.get("k")), "new")
    }).pipe(within()))

  it.effect("a lookup's finalizer that hangs is within the limit", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string) => Effect.as(Effect.addFinalizer(() => Deferred.await(gate)), "v"),
        hardTimeout: "5 seconds",
        ...stale
      })
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("5 seconds")
      assert.isDefined(yield* ended(reader))
      assert.strictEqual((yield* cache.stats).flights, 0)
      yield* Deferred.succeed(gate, void 0)
    }).pipe(within()))

  it.effect("bounds each key of a batch", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({
        name: "c",
        lookupMany: (keys: ReadonlyArray<string>) =>
          Effect.map(origin.lookup(keys.join()), (value) => new Map(keys.map((key) => [key, value]))),
        hardTimeout: "5 seconds",
        ...stale
      })
      const reader = yield* start(cache.getMany(["a", "b"]))
      yield* TestClock.adjust("5 seconds")
      assert.instanceOf(error(yield* ended(reader)), Swr.LoadTimeout)
      assert.isTrue(origin.call(0).interrupted)
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("leaves no timer behind a load that ends in time", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "5 seconds", ...stale })
      const events = yield* record
      yield* stock(origin, cache, "10 seconds")
      assert.strictEqual((yield* now(cache.read("k"))).value, "old")
      assert.lengthOf(only(events, "LoadFailed"), 0)
    }).pipe(within()))
})
