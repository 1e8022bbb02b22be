/**
 * How a layer closes, and what a cache leaves behind: nothing.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Schema,
  SchemaGetter,
  Scope,
  Stream
} from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import { execFileSync, spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import {
  collect,
  counted,
  Down,
  ended,
  type Gone,
  interrupted,
  join,
  living,
  now,
  numbered,
  opened,
  Origin,
  settle,
  shown,
  sick,
  stale,
  start,
  stock,
  within
} from "./Origin.ts"

type Cache = Swr.Instance<string, string, Down | Gone | Swr.LoadTimeout>
type Waiting = Effect.Effect<ReadonlyArray<Fiber.Fiber<unknown, unknown>>, never, Swr.Cache>

/** An origin whose runs hold something that their finalizers give back. */
class Holding extends Origin {
  held = 0
  readonly holding = (key: string) =>
    Effect.andThen(
      Effect.acquireRelease(Effect.sync(() => this.held++), () => Effect.sync(() => this.held--)),
      this.lookup(key)
    )
}

const caches = (origin: Holding) =>
  Effect.gen(function*() {
    const cache: Cache = yield* Swr.make({ name: "c", lookup: origin.holding, hardTimeout: "1 day", ...sick })
    const many: Cache = yield* Swr.make({
      name: "many",
      lookupMany: (keys: ReadonlyArray<string>) =>
        Effect.map(origin.holding(keys.join()), (value) => new Map(keys.map((key) => [key, value]))),
      hardTimeout: "1 day",
      ...sick
    })
    const passing: Cache = yield* Swr.make({
      name: "passing",
      lookup: origin.holding,
      keep: () => "pass",
      hardTimeout: "1 day",
      ...sick
    })
    return { cache, many, passing }
  })

/** What goes on when the layer closes, and how many loads of it are running then. */
const activities: ReadonlyArray<
  readonly [
    name: string,
    loads: number,
    begin: (on: { cache: Cache; many: Cache; passing: Cache; origin: Holding }) => Waiting
  ]
> = [
  ["a foreground load", 1, ({ cache }) => Effect.all([start(cache.get("k")), start(cache.read("k"))])],
  [
    "a load of an expired value, which would stand in for a failed one",
    1,
    ({ cache, origin }) =>
      Effect.gen(function*() {
        yield* stock(origin, cache, "10 minutes").pipe(Effect.orDie)
        return [yield* start(cache.get("k")), yield* start(cache.get("k", { softTimeout: "1 hour" }))]
      })
  ],
  ["a refresh", 1, ({ cache, origin }) =>
    Effect.gen(function*() {
      yield* stock(origin, cache, "1 minute").pipe(Effect.orDie)
      assert.strictEqual(yield* Effect.orDie(now(cache.get("k"))), "old")
      return []
    })],
  ["a refresh that readers joined", 1, ({ cache, origin }) =>
    Effect.gen(function*() {
      yield* stock(origin, cache, "1 minute").pipe(Effect.orDie)
      yield* Effect.orDie(now(cache.get("k")))
      return [yield* start(cache.get("k", { maxAge: "1 minute" }))]
    })],
  ["a revalidation", 1, ({ cache }) => Effect.all([start(cache.revalidate("k"))])],
  [
    "a due revalidation",
    1,
    ({ cache }) => Effect.all([start(cache.get("k")), start(cache.revalidate("k")), start(cache.revalidate("k"))])
  ],
  ["a load that was forgotten and is still waited for, and the one after it", 2, ({ cache }) =>
    Effect.gen(function*() {
      const before = yield* start(cache.get("k"))
      yield* Effect.orDie(cache.invalidate("k"))
      return [before, yield* start(cache.get("k"))]
    })],
  ["a batch", 1, ({ many }) => Effect.all([start(many.getMany(["a", "b"])), start(many.get("b"))])],
  ["a batch of refreshes", 1, ({ many, origin }) =>
    Effect.gen(function*() {
      const reader = yield* start(many.getMany(["a", "b"]))
      yield* origin.call(0).succeed("old")
      yield* Effect.orDie(join(reader))
      yield* TestClock.adjust("1 minute")
      yield* Effect.orDie(now(many.getMany(["a", "b"])))
      return []
    })],
  ["getMany without a batch", 2, ({ cache }) => Effect.all([start(cache.readMany(["a", "b"]))])],
  ["loads of a key that passes, side by side", 2, ({ origin, passing }) =>
    Effect.gen(function*() {
      const reader = yield* start(passing.get("k"))
      yield* origin.call(0).succeed("mine")
      yield* Effect.orDie(join(reader))
      return [yield* start(passing.get("k")), yield* start(passing.get("k"))]
    })],
  [
    "a mutate whose change reads",
    1,
    ({ cache }) =>
      Effect.all([
        start(cache.mutate("k", () => cache.get("other"))),
        start(cache.mutate("k", () => Effect.succeed("v")))
      ])
  ],
  [
    "Swr.swr and Swr.fn",
    2,
    ({ origin }) =>
      Effect.all([start(Swr.swr("k", origin.holding("k"))), start(Swr.fn("f", stale)(origin.holding)("k"))])
  ]
]

describe("R7, I8: the layer closes during", () => {
  for (const [name, loads, begin] of activities) {
    it.effect(`${name}: who waits is interrupted, lookups end with their finalizers, no fiber is left`, () => {
      const { count, watch } = living()
      return Effect.gen(function*() {
        const { close, use } = yield* opened()
        const origin = new Holding()
        const on = yield* use(caches(origin))
        const waiting = yield* use(begin({ ...on, origin }))
        yield* settle
        assert.strictEqual(origin.running, loads)
        assert.strictEqual(origin.held, loads)
        const begun = origin.calls.length
        for (const fiber of waiting) assert.isUndefined(fiber.pollUnsafe())
        assert.isTrue(yield* close, "it closes at once")
        for (const fiber of waiting) assert.isTrue(interrupted(yield* ended(fiber)))
        assert.strictEqual(origin.running, 0)
        assert.strictEqual(origin.held, 0)
        assert.lengthOf(origin.calls, begun)
        for (const cache of [on.cache, on.many, on.passing]) {
          const { backoffs, flights, size, weight } = yield* cache.stats
          assert.deepStrictEqual({ backoffs, flights, size, weight }, { backoffs: 0, flights: 0, size: 0, weight: 0 })
        }
        assert.strictEqual(count.fibers, 0)
      }).pipe(watch)
    })
  }

  it.effect("a warm-up: it ends, having told of each key that it was interrupted, and begins no other load", () => {
    const { count, watch } = living()
    return Effect.scoped(Effect.gen(function*() {
      const { close, use } = yield* opened()
      const origin = new Holding()
      const { cache } = yield* use(caches(origin))
      const { fiber, seen } = yield* collect(cache.warm(["a", "b", "c", "d"], { concurrency: 3 }))
      assert.strictEqual(origin.held, 3)
      assert.isTrue(yield* close)
      assert.isDefined(yield* ended(fiber))
      assert.strictEqual(seen.filter(({ exit }) => interrupted(exit)).length, 4)
      assert.lengthOf(origin.calls, 3)
      assert.strictEqual(origin.held, 0)
      assert.strictEqual(count.fibers, 0)
    })).pipe(watch)
  })

  it.effect("changes and events: the streams end, having told all that came before", () => {
    const { count, watch } = living()
    return Effect.scoped(Effect.gen(function*() {
      const { close, use } = yield* opened()
      const cache = yield* use(Swr.make({ name: "c", lookup: numbered().lookup, ...stale }))
      const changes = yield* collect(cache.changes("k"))
      const events = yield* use(Effect.flatMap(Swr.Cache, (all) => collect(all.events)))
      yield* cache.get("k")
      assert.isTrue(yield* close)
      for (const { fiber } of [changes, events]) assert.isDefined(yield* ended(fiber))
      assert.deepStrictEqual(changes.seen.map(Option.map(({ value }) => value)), [Option.none(), Option.some("k1")])
      assert.deepStrictEqual(events.seen.map(({ _tag }) => _tag), ["Miss", "Load", "Commit"])
      assert.strictEqual(count.fibers, 0)
    })).pipe(watch)
  })

  it.effect("a mutate whose change is the caller's own: it ends when the change does, interrupted, and writes nothing", () =>
    Effect.gen(function*() {
      const { close, use } = yield* opened()
      const cache = yield* use(Swr.make({ name: "c", lookup: numbered().lookup, ...stale }))
      const gate = yield* Deferred.make<string>()
      const first = yield* start(cache.mutate("k", () => Deferred.await(gate)))
      let changed = 0
      const second = yield* start(cache.mutate("k", () => Effect.sync(() => `${++changed}`)))
      assert.isTrue(yield* close)
      yield* Deferred.succeed(gate, "late")
      assert.isTrue(interrupted(yield* ended(first)))
      assert.isTrue(interrupted(yield* ended(second)))
      assert.strictEqual(changed, 0)
      assert.strictEqual((yield* cache.stats).size, 0)
    }))

  it.effect("a mutate that waits for its turn: it is interrupted, also while the change before it hangs", () =>
    Effect.gen(function*() {
      const { close, use } = yield* opened()
      const cache = yield* use(Swr.make({ name: "c", lookup: numbered().lookup, ...stale }))
      yield* start(cache.mutate("k", () => Effect.never))
      const second = yield* start(cache.mutate("k", () => Effect.succeed("v")))
      assert.isTrue(yield* close)
      assert.isTrue(interrupted(yield* ended(second)))
    }))

  // A text that takes a while to encode.
  const slow = (gate: Deferred.Deferred<void>) =>
    Schema.String.pipe(Schema.decodeTo(Schema.String, {
      decode: SchemaGetter.passthrough(),
      encode: SchemaGetter.transformEffect((text: string) => Effect.as(Deferred.await(gate), text))
    }))

  it.effect("a set whose schema takes its time: it is interrupted and writes nothing into a memory that is closed", () =>
    Effect.gen(function*() {
      const { close, use } = yield* opened()
      const gate = yield* Deferred.make<void>()
      const cache = yield* use(
        Swr.make({ name: "c", lookup: numbered().lookup, schema: slow(gate), keep: () => ({ tags: ["t"] }), ...stale })
      )
      const set = yield* start(cache.set("k", "v", { tags: ["t"] }))
      assert.isUndefined(yield* ended(set))
      assert.isTrue(yield* close)
      yield* Deferred.succeed(gate, void 0)
      assert.isTrue(interrupted(yield* ended(set)))
      const { size, weight } = yield* cache.stats
      assert.deepStrictEqual({ size, weight }, { size: 0, weight: 0 })
    }))

  it.effect("a load whose schema takes its time", () =>
    Effect.gen(function*() {
      const { close, use } = yield* opened()
      const gate = yield* Deferred.make<void>()
      const cache = yield* use(Swr.make({ name: "c", lookup: numbered().lookup, schema: slow(gate), ...stale }))
      const reader = yield* start(cache.get("k"))
      assert.isUndefined(yield* ended(reader))
      assert.isTrue(yield* close)
      assert.isTrue(interrupted(yield* ended(reader)))
      yield* Deferred.succeed(gate, void 0)
      yield* settle
      assert.strictEqual((yield* cache.stats).size, 0)
    }))

  it.effect("a lookup that can't be interrupted: its readers are gone at once, the close waits for it, nothing is kept", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* opened()
      const origin = new Origin()
      origin.deaf = true
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      const reader = yield* start(cache.get("k"))
      const closed = yield* closing
      assert.isTrue(interrupted(yield* ended(reader)))
      assert.isUndefined(yield* ended(closed))
      yield* origin.call(0).succeed("late")
      assert.isDefined(yield* ended(closed))
      assert.strictEqual((yield* cache.stats).size, 0)
    }))

  it.effect("a lookup whose finalizer takes its time: the close waits for it, the readers do not", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* opened()
      const gate = yield* Deferred.make<void>()
      const cache = yield* use(
        Swr.make({
          name: "c",
          lookup: (_: string) => Effect.onInterrupt(Effect.never, () => Deferred.await(gate)),
          ...stale
        })
      )
      const reader = yield* start(cache.get("k"))
      const closed = yield* closing
      assert.isTrue(interrupted(yield* ended(reader)))
      assert.isUndefined(yield* ended(closed))
      yield* Deferred.succeed(gate, void 0)
      assert.isDefined(yield* ended(closed))
    }))

  it.effect("a lookup that was abandoned and still runs: the close waits for it too, no fiber is left", () => {
    const { count, watch } = living()
    return Effect.gen(function*() {
      const { close, closing, use } = yield* opened()
      const origin = new Origin()
      origin.deaf = true
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      const reader = yield* start(cache.get("k"))
      yield* now(Fiber.interrupt(reader))
      const closed = yield* closing
      assert.isUndefined(yield* ended(closed))
      yield* origin.call(0).succeed("late")
      assert.isTrue(yield* close)
      assert.isDefined(yield* ended(closed))
      assert.strictEqual(count.fibers, 0)
    }).pipe(watch)
  })
})

describe("R7, I8: a closed layer", () => {
  it.effect("reads and writes of it are interrupted, and nothing is loaded", () =>
    Effect.gen(function*() {
      const { close, use } = yield* opened()
      const source = numbered()
      const cache = yield* use(Swr.make({ name: "c", lookup: source.lookup, ...stale }))
      const many = yield* use(
        Swr.make({ name: "many", lookupMany: (_: ReadonlyArray<string>) => Effect.die("it loads"), ...stale })
      )
      const answer = yield* cache.read("k")
      assert.isTrue(yield* close)
      const calls: Record<string, Effect.Effect<unknown, unknown, Swr.Cache>> = {
        get: cache.get("k"),
        read: cache.read("k"),
        "get of a miss": cache.get("another"),
        getMany: cache.getMany(["k", "another"]),
        readMany: cache.readMany(["k", "another"]),
        "getMany in a batch": many.getMany(["k"]),
        peek: cache.peek("k"),
        has: cache.has("k"),
        set: cache.set("k", "v"),
        mutate: cache.mutate("k", () => Effect.succeed("v")),
        revalidate: cache.revalidate("k"),
        invalidate: cache.invalidate("k"),
        "soft invalidate": cache.invalidate("k", { mode: "soft" }),
        invalidateMany: cache.invalidateMany(["k"]),
        invalidateTag: cache.invalidateTag("t"),
        clear: cache.clear,
        "mutate of an answer": answer.mutate("v"),
        "revalidate of an answer": answer.revalidate,
        swr: Swr.swr("k", source.lookup("k")),
        fn: Swr.fn("f", stale)(source.lookup)("k"),
        cacheGet: Swr.cacheGet("k"),
        cacheSet: Swr.cacheSet("k", "v"),
        cacheRemove: Swr.cacheRemove("k")
      }
      const survived: Array<string> = []
      for (const [name, call] of Object.entries(calls)) {
        if (!interrupted(yield* now(Effect.exit(use(call))))) survived.push(name)
      }
      assert.deepStrictEqual(survived, [])
      assert.strictEqual(source.calls, 1)
      assert.strictEqual((yield* cache.stats).size, 0)
    }))

  it.effect("its streams end at once, and what a reader was given stays readable", () =>
    Effect.gen(function*() {
      const { close, use } = yield* opened()
      const cache = yield* use(Swr.make({ name: "c", lookup: numbered().lookup, ...stale }))
      const answer = yield* cache.read("k")
      assert.isTrue(yield* close)
      yield* now(Effect.exit(Stream.runDrain(cache.changes("k"))))
      yield* now(Effect.exit(use(Effect.flatMap(Swr.Cache, ({ events }) => Stream.runDrain(events)))))
      assert.deepStrictEqual(shown(answer), ["k1", "miss", "lookup", undefined])
    }))

  it.effect("closing twice, the second time during the first or after it, is closing once", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Swr.layer({ shutdownGrace: "5 seconds" }), scope)
      const origin = new Holding()
      const cache = yield* Effect.provide(Swr.make({ name: "c", lookup: origin.holding, ...stale }), context)
      const reader = yield* start(cache.get("k"))
      const closings = [yield* start(Scope.close(scope, Exit.void)), yield* start(Scope.close(scope, Exit.void))]
      assert.isUndefined(yield* ended(closings[0]!))
      yield* TestClock.adjust("5 seconds")
      for (const closing of closings) assert.isDefined(yield* ended(closing))
      assert.isTrue(interrupted(yield* ended(reader)))
      assert.strictEqual(origin.held, 0)
      yield* now(Scope.close(scope, Exit.void))
      assert.strictEqual(origin.held, 0)
    }))

  it.effect("another layer is not touched", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* opened(), yield* opened()]
      const origin = new Origin()
      const options = { name: "c", lookup: origin.lookup, ...stale }
      yield* start(yield* Effect.map(one.use(Swr.make(options)), (cache) => cache.get("k")))
      const cache = yield* two.use(Swr.make(options))
      const reader = yield* start(cache.get("k"))
      assert.isTrue(yield* one.close)
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(1).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
    }))

  it.effect("a TestClock test that ends during a refresh ends", () =>
    Effect.gen(function*() {
      const source = counted((n) => n === 1 ? Effect.succeed("v") : Effect.as(Effect.sleep("1 hour"), "late"))
      const done = yield* Deferred.make<void>()
      const test = yield* start(
        Effect.gen(function*() {
          const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
          yield* cache.get("k")
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(yield* cache.get("k"), "v")
          yield* settle
          assert.strictEqual(source.calls, 2)
        }).pipe(Effect.ensuring(Deferred.succeed(done, void 0)), within())
      )
      yield* Deferred.await(done)
      yield* join(test)
    }))
})

describe("R7: shutdownGrace", () => {
  const graceful = opened({ shutdownGrace: "5 seconds" })

  it.effect("lets a running load finish: who waits gets its value, then the layer closes at once", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* graceful
      const origin = new Origin()
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      const reader = yield* start(cache.get("k"))
      const closed = yield* closing
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(yield* ended(closed))
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
      assert.isDefined(yield* ended(closed))
    }))

  it.effect("lets a refresh finish", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* graceful
      const origin = new Origin()
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      const closed = yield* closing
      assert.isUndefined(yield* ended(closed))
      yield* origin.call(1).succeed("new")
      assert.isFalse(origin.call(1).interrupted)
      assert.isDefined(yield* ended(closed))
    }))

  it.effect("a load that does not finish is interrupted when it is over, to the millisecond", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* graceful
      const origin = new Origin()
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      const reader = yield* start(cache.get("k"))
      const closed = yield* closing
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(yield* ended(closed))
      assert.strictEqual(origin.running, 1)
      yield* TestClock.adjust("1 millis")
      assert.isDefined(yield* ended(closed))
      assert.isTrue(interrupted(yield* ended(reader)))
      assert.isTrue(origin.call(0).interrupted)
    }))

  it.effect("meanwhile nothing new is loaded or written; a due revalidation never begins", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* graceful
      const origin = new Origin()
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      yield* stock(origin, cache, "1 minute", "kept", "kept")
      const reader = yield* start(cache.get("k"))
      const due = yield* start(cache.revalidate("k"))
      const closed = yield* closing
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        cache.get("another"),
        cache.getMany(["another"]),
        cache.revalidate("k"),
        cache.set("kept", "v"),
        cache.mutate("kept", () => Effect.succeed("v")),
        cache.invalidate("kept")
      ]
      for (const call of calls) assert.isTrue(interrupted(yield* now(Effect.exit(call))))
      yield* now(Effect.exit(cache.get("kept")))
      yield* origin.call(1).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
      assert.isTrue(interrupted(yield* ended(due)))
      assert.isDefined(yield* ended(closed))
      assert.lengthOf(origin.calls, 2)
    }))

  it.effect("a load that fails meanwhile: the old value still stands in (R10)", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* graceful
      const origin = new Origin()
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...sick }))
      yield* stock(origin, cache, "10 minutes")
      const reader = yield* start(cache.read("k"))
      const closed = yield* closing
      yield* origin.call(1).fail()
      assert.deepStrictEqual(shown(yield* join(reader)), ["old", "expired", "memory", "error"])
      assert.isDefined(yield* ended(closed))
    }))

  it.effect("a load that loses its last reader meanwhile is interrupted, and the layer closes at once", () =>
    Effect.gen(function*() {
      const { closing, use } = yield* graceful
      const origin = new Origin()
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      const reader = yield* start(cache.get("k"))
      const closed = yield* closing
      yield* now(Fiber.interrupt(reader))
      assert.isDefined(yield* ended(closed))
      assert.isTrue(origin.call(0).interrupted)
    }))

  it.effect("without a load under way the layer closes at once", () =>
    Effect.gen(function*() {
      const { close, use } = yield* graceful
      const cache = yield* use(Swr.make({ name: "c", lookup: numbered().lookup, ...stale }))
      yield* cache.get("k")
      assert.isTrue(yield* close)
    }))
})

setFlagsFromString("--expose-gc")
// A context made after the flag was set has the function.
const gc: () => void = runInNewContext("gc")

/** Bytes of the heap after all that can go has gone. A turn of the event loop lets go of what this step has looked at. */
const heap = Effect.gen(function*() {
  for (let i = 0; i < 3; i++) {
    yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
    gc()
  }
  return process.memoryUsage().heapUsed
})

// The console of a test keeps what is logged.
const quiet = Effect.provide(Logger.layer([]))

describe("R15, I9: nothing is left", () => {
  it.effect("after 100,000 keys loaded, refreshed, failed and evicted", () => {
    const { count, watch } = living()
    return Effect.gen(function*() {
      const capacity = 1_000
      const some = 250
      let ok = true
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => ok ? Effect.succeed({ key }) : Effect.fail(new Down({})),
        keep: ({ key }) => ({ tags: [`tag:${key}`] }),
        capacity,
        ...sick
      })
      const round = Effect.fnUntraced(function*(first: number) {
        const keys = Array.from({ length: some }, (_, i) => `key:${first + i}`)
        // A key that has already made room is a miss, and fails while the origin does.
        const reads = Effect.forEach(keys, (key) => Effect.exit(cache.get(key)), { discard: true })
        ok = true
        yield* reads
        yield* TestClock.adjust("1 minute")
        ok = first % (2 * some) === 0
        yield* reads
        yield* settle
        // Misses that fail, changes that do, and readers that only watch.
        ok = false
        const watching: Array<Fiber.Fiber<unknown, unknown>> = []
        for (const key of keys.slice(0, 25)) {
          yield* Effect.exit(cache.get(`${key}/failed`))
          yield* Effect.exit(cache.mutate(`${key}/changed`, () => Effect.fail("no")))
          watching.push(yield* start(Stream.runDrain(cache.changes(`${key}/watched`))))
        }
        yield* settle
        yield* Fiber.interruptAll(watching)
      })
      let base = 0
      for (let first = 0; first < 100_000; first += some) {
        if (first === 20_000) base = yield* heap
        yield* round(first)
      }
      const growth = (yield* heap) - base
      const { backoffs, failures, flights, loads, size } = yield* cache.stats
      assert.deepStrictEqual({ flights, size }, { flights: 0, size: capacity })
      assert.isTrue(backoffs > 0 && backoffs <= capacity)
      assert.isAtLeast(loads, 200_000)
      assert.isAtLeast(failures, 50_000)
      // 80,000 keys came and went in between: one pointer left by each would be more than this.
      assert.isBelow(growth, 500 * capacity)
      // What is left is read once more, and its origin is well again.
      ok = true
      yield* TestClock.adjust("1 minute")
      for (let i = 0; i < 100_000; i++) {
        if (Option.isSome(yield* cache.peek(`key:${i}`))) yield* cache.get(`key:${i}`)
      }
      yield* settle
      const well = yield* cache.stats
      assert.deepStrictEqual([well.size, well.backoffs, well.flights], [capacity, 0, 0])
      yield* cache.clear
      const after = yield* cache.stats
      assert.deepStrictEqual([after.size, after.weight, after.backoffs, after.flights], [0, 0, 0, 0])
      assert.strictEqual(count.fibers, 0)
    }).pipe(within({ refreshes: 1_000 }), quiet, watch)
  }, 120_000)

  it.effect("a back-off is gone with its key, by its last word, by its end, and by a load", () =>
    Effect.gen(function*() {
      const source = counted((_, key) => healthy ? Effect.succeed(key) : Effect.fail(new Down({})))
      let healthy = true
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, capacity: 3, ...sick })
      const keys = ["a", "b", "c"]
      yield* cache.getMany(keys)
      yield* TestClock.adjust("1 minute")
      healthy = false
      yield* cache.getMany(keys)
      yield* settle
      assert.strictEqual((yield* cache.stats).backoffs, 3)
      yield* cache.invalidate("a")
      yield* cache.set("b", "v")
      assert.strictEqual((yield* cache.stats).backoffs, 1)
      healthy = true
      yield* TestClock.adjust("1 minute")
      yield* cache.get("c")
      yield* settle
      assert.strictEqual((yield* cache.stats).backoffs, 0)
    }).pipe(within()))

  it.effect("of 20,000 loads that were interrupted, forgotten, too slow or left by softTimeout", () => {
    const { count, watch } = living()
    return Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string): Effect.Effect<string, Down> => Effect.never,
        hardTimeout: "10 seconds",
        ...sick
      })
      const storm = Effect.fnUntraced(function*(first: number) {
        for (let i = first; i < first + 100; i++) {
          const reader = yield* start(cache.get(`${i}/interrupted`))
          yield* start(cache.revalidate(`${i}/interrupted`)).pipe(Effect.flatMap(Fiber.interrupt))
          yield* Fiber.interrupt(reader)
          const late = yield* start(cache.get(`${i}/forgotten`))
          yield* cache.invalidate(`${i}/forgotten`)
          yield* Fiber.interrupt(late)
          yield* start(Effect.exit(cache.get(`${i}/slow`)))
        }
        yield* cache.set("left", "v")
        yield* TestClock.adjust("7 minutes")
        assert.strictEqual(yield* join(yield* start(cache.get("left", { softTimeout: 0 }))), "v")
        yield* TestClock.adjust("10 seconds")
        yield* cache.clear
        const { backoffs, flights, size } = yield* cache.stats
        assert.deepStrictEqual({ backoffs, flights, size }, { backoffs: 0, flights: 0, size: 0 })
      })
      let base = 0
      for (let first = 0; first < 6_000; first += 100) {
        if (first === 1_000) base = yield* heap
        yield* storm(first)
      }
      assert.isBelow((yield* heap) - base, 256 * 1024)
      assert.strictEqual(count.fibers, 0)
    }).pipe(within(), quiet, watch)
  }, 60_000)

  it.effect("no reader's context is held by what it read, refreshed, subscribed to or failed at", () => {
    class Request extends Context.Service<Request, { readonly body: Uint8Array }>()("Request") {}
    return Effect.gen(function*() {
      const requests: Array<WeakRef<object>> = []
      const source = counted((n, key) => n % 5 === 0 ? Effect.fail(new Down({})) : Effect.succeed(`${key}${n}`))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const handle = Effect.gen(function*() {
        const request = { body: new Uint8Array(1000) }
        requests.push(new WeakRef(request))
        const key = `k${requests.length % 10}`
        yield* Effect.gen(function*() {
          yield* Effect.exit(cache.get(key))
          yield* Effect.exit(Swr.swr(key, Effect.andThen(Request, source.lookup(key)), stale))
          const watching = yield* start(Stream.runDrain(cache.changes(key)))
          yield* settle
          yield* Fiber.interrupt(watching)
        }).pipe(Effect.provideService(Request, request))
      })
      for (let i = 0; i < 300; i++) {
        yield* Effect.flatMap(start(handle), Fiber.join)
        yield* TestClock.adjust("20 seconds")
      }
      yield* settle
      yield* heap
      // V8 may hold the last it saw; one per key would be ten, one per read three hundred.
      assert.isAtMost(requests.filter((request) => request.deref() !== undefined).length, 2)
    }).pipe(within())
  })

  it.effect("a closed layer that is let go takes its values with it", () =>
    Effect.gen(function*() {
      const value = yield* Effect.gen(function*() {
        const { close, use } = yield* opened()
        const kept = { text: "v".repeat(1000) }
        const cache = yield* use(Swr.make({ name: "c", lookup: (_: string) => Effect.succeed(kept), ...stale }))
        yield* cache.get("k")
        assert.isTrue(yield* close)
        return new WeakRef(kept)
      })
      yield* heap
      assert.isUndefined(value.deref())
    }))
})

// ----- a process of its own, on the real clock

const root = fileURLToPath(new URL("..", import.meta.url))
const built = `${root}build/test-closing`

/** Compiles `src` into a package of its own, and beside it a program that comes to have nothing to do. */
const build = () => {
  mkdirSync(built, { recursive: true })
  writeFileSync(
    `${built}/package.json`,
    JSON.stringify({ name: "effect-swr", type: "module", exports: { ".": "./src/index.js" } })
  )
  const compilerOptions = { noEmit: false, noCheck: true, allowJs: false, checkJs: false, rootDir: root, outDir: built }
  writeFileSync(
    `${built}/tsconfig.json`,
    JSON.stringify({ extends: `${root}tsconfig.json`, compilerOptions, include: [`${root}src`] })
  )
  execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${built}/tsconfig.json`])
  writeFileSync(`${built}/idle.js`, idle)
}

const idle = `
import { Effect, ManagedRuntime, Stream } from "effect"
import { Swr } from "effect-swr"

const runtime = ManagedRuntime.make(Swr.layer())
let calls = 0
const program = Effect.gen(function*() {
  const cache = yield* Swr.make({
    name: "c",
    // It loads, it refreshes, then its origin is down.
    lookup: () => Effect.delay(Effect.suspend(() => ++calls < 3 ? Effect.succeed(calls) : Effect.die("down")), 1),
    freshFor: 1,
    maxAge: "1 minute",
    staleIfError: "1 day",
    backoff: { from: "1 hour", to: "1 hour" }
  })
  yield* Effect.forkDetach(Stream.runDrain(cache.changes("k")))
  while ((yield* cache.stats).backoffs === 0) {
    yield* cache.get("k")
    yield* Effect.sleep(5)
  }
  const { flights, backoffs, size } = yield* cache.stats
  console.log(JSON.stringify({ calls, flights, backoffs, size }))
})
runtime.runPromise(program)
`

describe("I8, I6: a process", { timeout: 60_000 }, () => {
  beforeAll(build, 60_000)

  it.live("that has nothing to do but an open, idle cache ends by itself, and no failed refresh ends it before", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* Effect.callback<
        { readonly code: number | null; readonly stdout: string; readonly stderr: string }
      >((resume) => {
        // Killed before the shortest limit of a load is over: a timer that is left shows.
        const child = spawn(process.execPath, [`${built}/idle.js`], {
          stdio: ["ignore", "pipe", "pipe"],
          timeout: 40_000
        })
        let stdout = ""
        let stderr = ""
        child.stdout.on("data", (chunk) => stdout += String(chunk))
        child.stderr.on("data", (chunk) => stderr += String(chunk))
        child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
        return Effect.sync(() => child.kill("SIGKILL"))
      })
      assert.strictEqual(code, 0, stderr)
      assert.include(stdout, JSON.stringify({ calls: 3, flights: 0, backoffs: 1, size: 1 }))
    }))
})
