import { assert, describe, it, vi } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Random,
  References,
  Result,
  Schema,
  Stream
} from "effect"
import { type Event, Policy, Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  collect,
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
  settle,
  shown,
  start,
  stock,
  tags,
  tracer
} from "./Origin.ts"

const stale = { freshFor: "1 minute", maxAge: "6 minutes" } as const
const sick = { ...stale, staleIfError: "1 day" } as const
/** A back-off without chance in it. */
const second = { from: "1 second", to: "1 second" } as const

const within = (options: Parameters<typeof Swr.layer>[0] = {}) => Effect.provide(Swr.layer(options))

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

/** What a call of the last word leaves behind. */
type Left = "nothing" | "marked" | "set"
type Cache = Swr.Instance<string, string, Down | Gone>

const words: ReadonlyArray<
  readonly [name: string, left: Left, say: (cache: Cache) => Effect.Effect<unknown, unknown>]
> = [
  ["hard invalidate", "nothing", (cache) => cache.invalidate("k")],
  ["invalidateMany", "nothing", (cache) => cache.invalidateMany(["other", "k"])],
  ["soft invalidate", "marked", (cache) => cache.invalidate("k", { mode: "soft" })],
  ["clear", "nothing", (cache) => cache.clear],
  ["set", "set", (cache) => cache.set("k", "set")],
  ["mutate", "set", (cache) => cache.mutate("k", () => Effect.succeed("set"))],
  ["invalidateTag", "nothing", (cache) => cache.invalidateTag("old")]
]

/** Values bear their own name as a tag. */
const tagged = (origin: Origin) =>
  Swr.make({ name: "c", lookup: origin.lookup, keep: (value: string) => ({ tags: [value] }), ...sick })

describe("R11, I4: the last word during a foreground load", () => {
  for (const [word, left, say] of words) {
    for (const entry of ["nothing", "an expired value"]) {
      if (word === "invalidateTag" && entry === "nothing") continue
      for (const first of ["old", "new"]) {
        it.effect(`${word}, ${entry} kept, the ${first} load ends first: who waited gets its own value, nothing of it stays`, () =>
          Effect.gen(function*() {
            const origin = new Origin()
            const cache = yield* tagged(origin)
            if (entry !== "nothing") yield* stock(origin, cache, "6 minutes")
            const before = origin.calls.length
            const waited = yield* start(cache.get("k"))
            const late = origin.call(before)
            yield* say(cache)
            assert.isUndefined(yield* ended(waited))
            assert.isFalse(late.interrupted)
            const newcomer = yield* start(cache.get("k"))
            if (left === "set") {
              assert.strictEqual(yield* join(newcomer), "set")
              yield* late.succeed("late")
              assert.lengthOf(origin.calls, before + 1)
            } else {
              assert.isUndefined(yield* ended(newcomer))
              assert.lengthOf(origin.calls, before + 2)
              if (first === "old") yield* late.succeed("late")
              assert.isUndefined(yield* ended(newcomer))
              yield* origin.call(-1).succeed("new")
              assert.strictEqual(yield* join(newcomer), "new")
              yield* late.succeed("late")
            }
            assert.strictEqual(yield* join(waited), "late")
            assert.deepStrictEqual(
              shown(yield* now(cache.read("k"))),
              [left === "set" ? "set" : "new", "fresh", "memory", undefined]
            )
            assert.strictEqual((yield* cache.stats).flights, 0)
          }).pipe(within()))
      }
    }

    it.effect(`${word}: the load that nobody waits for any more is interrupted`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        yield* stock(origin, cache, "6 minutes")
        const reader = yield* start(cache.get("k"))
        yield* say(cache)
        yield* Fiber.interrupt(reader)
        yield* settle
        assert.isTrue(origin.call(1).interrupted)
        assert.strictEqual((yield* cache.stats).flights, 0)
      }).pipe(within()))

    it.effect(`${word}: a load that fails afterwards changes nothing`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        yield* stock(origin, cache, "6 minutes")
        const reader = yield* start(cache.get("k"))
        yield* say(cache)
        yield* origin.call(1).fail()
        assert.isDefined(yield* ended(reader))
        assert.strictEqual((yield* cache.stats).backoffs, 0)
        if (left === "set") assert.strictEqual(yield* now(cache.get("k")), "set")
        else {
          const newcomer = yield* start(cache.get("k"))
          yield* origin.call(2).succeed("new")
          assert.strictEqual(yield* join(newcomer), "new")
        }
      }).pipe(within()))
  }

  it.effect("a failure of an overtaken load reaches who waited for it, where nothing stands in", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      const waited = yield* start(cache.get("k"))
      yield* cache.invalidate("k")
      const newcomer = yield* start(cache.get("k"))
      yield* origin.call(0).fail(new Down({ by: "late" }))
      assert.deepStrictEqual(error(yield* ended(waited)), new Down({ by: "late" }))
      assert.isUndefined(yield* ended(newcomer))
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(newcomer), "new")
    }).pipe(within()))
})

describe("R11, I4: the last word during a refresh", () => {
  for (const [word, left, say] of words) {
    for (const deaf of [false, true]) {
      it.effect(`${word}: the refresh is ${deaf ? "not heard, though it can't be interrupted" : "interrupted"}`, () =>
        Effect.gen(function*() {
          const origin = new Origin()
          const cache = yield* tagged(origin)
          yield* stock(origin, cache, "1 minute")
          origin.deaf = deaf
          yield* now(cache.get("k"))
          const late = origin.call(1)
          yield* say(cache)
          yield* settle
          assert.strictEqual(late.interrupted, !deaf)
          assert.strictEqual((yield* cache.stats).flights, 0)
          const newcomer = yield* start(cache.read("k"))
          yield* settle
          if (left === "nothing") assert.isUndefined(yield* ended(newcomer))
          if (left === "marked") {
            assert.deepStrictEqual(shown(yield* join(newcomer)), ["old", "stale", "memory", "marked"])
          }
          if (left === "set") {
            assert.deepStrictEqual(shown(yield* join(newcomer)), ["set", "fresh", "memory", undefined])
          }
          assert.lengthOf(origin.calls, left === "set" ? 2 : 3)
          yield* late.succeed("late")
          const peeked = yield* cache.peek("k")
          assert.deepStrictEqual(
            Option.map(peeked, ({ value }) => value),
            left === "nothing" ? Option.none() : Option.some(left === "set" ? "set" : "old")
          )
          if (left !== "set") yield* origin.call(2).succeed("new")
          assert.strictEqual(yield* now(cache.get("k")), left === "set" ? "set" : "new")
        }).pipe(within()))
    }

    it.effect(`${word}: readers who joined the refresh get its own value`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        yield* stock(origin, cache, "2 minutes")
        yield* now(cache.get("k"))
        const reader = yield* start(cache.get("k", { maxAge: "2 minutes" }))
        yield* say(cache)
        assert.isUndefined(yield* ended(reader))
        yield* origin.call(1).succeed("late")
        assert.strictEqual(yield* join(reader), "late")
        assert.deepStrictEqual(
          Option.map(yield* cache.peek("k"), ({ value }) => value),
          left === "set" ? Option.some("set") : left === "marked" ? Option.some("old") : Option.none()
        )
      }).pipe(within()))
  }
})

describe("R11, I4: a tag that is only learnt when the load ends", () => {
  it.effect("who joined before the invalidation gets the value, who joined after it loads anew, nothing stays", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* tagged(origin)
      const before = yield* start(cache.read("k"))
      yield* cache.invalidateTag("late")
      const after = yield* start(cache.read("k"))
      yield* settle
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("late")
      assert.strictEqual((yield* join(before)).value, "late")
      assert.isUndefined(yield* ended(after))
      assert.isTrue(Option.isNone(yield* cache.peek("k")))
      assert.lengthOf(origin.calls, 2)
      const third = yield* start(cache.read("k"))
      yield* origin.call(1).succeed("late")
      assert.deepStrictEqual(shown(yield* join(after)), ["late", "miss", "lookup", undefined])
      assert.deepStrictEqual(shown(yield* join(third)), ["late", "miss", "lookup", undefined])
      assert.lengthOf(origin.calls, 2)
      assert.strictEqual((yield* now(cache.read("k"))).status, "fresh")
      assert.deepStrictEqual(
        tags(events),
        ["Miss", "Load", "Invalidate", "Joined", "CommitDropped", "Load", "Joined", "Commit", "Hit"]
      )
    }).pipe(within()))

  it.effect("another tag changes nothing", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* start(cache.get("k"))
      yield* cache.invalidateTag("another")
      const after = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("late")
      assert.strictEqual(yield* join(after), "late")
      assert.strictEqual(yield* now(cache.get("k")), "late")
      assert.lengthOf(origin.calls, 1)
    }).pipe(within()))

  it.effect("a refresh with such a value is not kept", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* cache.invalidateTag("late")
      yield* origin.call(1).succeed("late")
      assert.notStrictEqual(
        Option.getOrUndefined(Option.map(yield* cache.peek("k"), ({ value }) => value)),
        "late"
      )
      const reader = yield* start(cache.get("k"))
      yield* settle
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).succeed("late")
      yield* ended(reader)
      assert.strictEqual(yield* now(cache.get("k")), "late")
    }).pipe(within()))

  it.effect("a reader who joined a revalidation after the invalidation loads anew", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      const caller = yield* start(cache.revalidate("k"))
      yield* cache.invalidateTag("late")
      const after = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("late")
      assert.strictEqual((yield* join(caller)).value, "late")
      assert.isUndefined(yield* ended(after))
      yield* origin.call(1).succeed("late")
      assert.strictEqual(yield* join(after), "late")
    }).pipe(within()))

  it.effect("an invalidation between two loads of a key does not touch the second", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* stock(origin, cache, 0, "late")
      yield* cache.invalidateTag("late")
      yield* stock(origin, cache, 0, "late")
      assert.strictEqual((yield* now(cache.read("k"))).status, "fresh")
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("the tags of set count, and the tag of a value that was replaced does not", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* cache.set("k", "v", { tags: ["a"] })
      yield* cache.set("k", "w", { tags: ["b"] })
      yield* cache.invalidateTag("a")
      assert.isTrue(yield* cache.has("k"))
      yield* cache.invalidateTag("b")
      assert.isFalse(yield* cache.has("k"))
    }).pipe(within()))
})

describe("R11: the last word of the other entrances", () => {
  it.effect("invalidate on Swr.Cache overtakes a load of Swr.swr", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.Cache
      const read = Swr.swr("k", origin.lookup("k"), stale)
      const waited = yield* start(read)
      yield* cache.invalidate("k")
      const newcomer = yield* start(read)
      yield* origin.call(0).succeed("late")
      yield* origin.call(1).succeed("new")
      assert.strictEqual((yield* join(waited)).value, "late")
      assert.strictEqual((yield* join(newcomer)).value, "new")
      assert.strictEqual((yield* now(read)).value, "new")
    }).pipe(within()))

  it.effect("Answer.mutate overtakes a refresh, and the first answer stays as it is (LG-30)", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const read = Swr.swr("k", origin.lookup("k"), stale)
      const first = yield* start(read)
      yield* origin.call(0).succeed("old")
      yield* TestClock.adjust("1 minute")
      const answer = yield* now(read)
      yield* settle
      const written = yield* answer.mutate("set")
      assert.deepStrictEqual(shown(written), ["set", "fresh", "lookup", undefined])
      assert.deepStrictEqual(shown(answer), ["old", "stale", "memory", "revalidating"])
      assert.deepStrictEqual(shown(yield* join(first)), ["old", "miss", "lookup", undefined])
      yield* settle
      assert.isTrue(origin.call(1).interrupted)
      assert.deepStrictEqual(shown(yield* now(read)), ["set", "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("fn.invalidate overtakes a load of its own arguments only", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const quote = Swr.fn("quote", stale)((sku: string, n: number) => origin.lookup(`${sku}${n}`))
      const one = yield* start(quote("a", 1))
      const two = yield* start(quote("a", 2))
      yield* quote.invalidate("a", 1)
      yield* origin.call(0).succeed("one")
      yield* origin.call(1).succeed("two")
      assert.deepStrictEqual([yield* join(one), yield* join(two)], ["one", "two"])
      assert.strictEqual(yield* now(quote("a", 2)), "two")
      yield* start(quote("a", 1))
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  it.effect("cacheRemove touches the plain key alone, never the key of swr, its value or its load", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const read = Swr.swr("k", origin.lookup("k"), stale)
      yield* Swr.cacheSet("k", "plain")
      const waited = yield* start(read)
      yield* Swr.cacheRemove("k")
      assert.isTrue(Option.isNone(yield* Swr.cacheGet("k")))
      const joined = yield* start(read)
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("v")
      assert.strictEqual((yield* join(waited)).value, "v")
      assert.strictEqual((yield* join(joined)).value, "v")
      yield* Swr.cacheRemove("k")
      assert.strictEqual((yield* now(read)).status, "fresh")
    }).pipe(within()))

  it.effect("a lookup that sets its own key: its waiters get what it answers, what it set stays", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* Swr.make({
        name: "c",
        lookup: (key: string): Effect.Effect<string> => Effect.orDie(Effect.as(cache.set(key, "set"), "answer")),
        ...stale
      })
      assert.strictEqual(yield* now(cache.get("k")), "answer")
      assert.strictEqual(yield* now(cache.get("k")), "set")
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))
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
    many: Cache,
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
        const many: Cache = yield* Swr.make({
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

const shape = (cache: { readonly stats: Effect.Effect<Swr.Stats> }) =>
  Effect.map(cache.stats, ({ backoffs, flights, size }) => ({ size, flights, backoffs }))

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

describe("R11, LG-33: revalidate", () => {
  it.effect("waits for a load that begins after the call, and answers it as fresh", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, 0)
      const caller = yield* start(cache.revalidate("k"))
      assert.lengthOf(origin.calls, 2)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "fresh", "memory", undefined])
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(caller)), ["new", "fresh", "lookup", undefined])
      assert.strictEqual(yield* now(cache.get("k")), "new")
    }).pipe(within()))

  for (const running of ["a foreground load", "a refresh"]) {
    it.effect(`never joins ${running}: callers share one next load, so at most one runs and one is due`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
        if (running === "a refresh") yield* stock(origin, cache, "1 minute")
        const reader = yield* start(cache.get("k"))
        yield* settle
        const calls = origin.calls.length
        const callers = yield* Effect.forEach([1, 2, 3], () => start(cache.revalidate("k")))
        yield* settle
        assert.lengthOf(origin.calls, calls)
        assert.strictEqual((yield* cache.stats).flights, 1)
        yield* origin.call(-1).succeed("first")
        yield* join(reader)
        assert.lengthOf(origin.calls, calls + 1)
        for (const caller of callers) assert.isUndefined(yield* ended(caller))
        const later = yield* start(cache.revalidate("k"))
        assert.lengthOf(origin.calls, calls + 1)
        yield* origin.call(-1).succeed("second")
        for (const caller of callers) assert.strictEqual((yield* join(caller)).value, "second")
        assert.isUndefined(yield* ended(later))
        assert.lengthOf(origin.calls, calls + 2)
        yield* origin.call(-1).succeed("third")
        assert.strictEqual((yield* join(later)).value, "third")
        assert.deepStrictEqual(yield* shape(cache), { size: 1, flights: 0, backoffs: 0 })
      }).pipe(within()))
  }

  for (const [word, left, say] of words) {
    if (word === "invalidateTag") continue
    it.effect(`the due load begins at once when ${word} forgets the running one, and is current`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        const reader = yield* start(cache.get("k"))
        const caller = yield* start(cache.revalidate("k"))
        assert.lengthOf(origin.calls, 1)
        yield* say(cache)
        yield* settle
        assert.lengthOf(origin.calls, 2)
        const joined = yield* start(cache.get("k"))
        if (left === "set") assert.strictEqual(yield* join(joined), "set")
        assert.lengthOf(origin.calls, 2)
        yield* origin.call(1).succeed("new")
        assert.strictEqual((yield* join(caller)).value, "new")
        if (left !== "set") assert.strictEqual(yield* join(joined), "new")
        yield* origin.call(0).succeed("late")
        assert.strictEqual(yield* join(reader), "late")
        assert.strictEqual(yield* now(cache.get("k")), "new")
      }).pipe(within()))
  }

  it.effect("the due load begins at once when the running one loses its last reader", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      const caller = yield* start(cache.revalidate("k"))
      yield* Fiber.interrupt(reader)
      yield* settle
      assert.isTrue(origin.call(0).interrupted)
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("v")
      assert.strictEqual((yield* join(caller)).value, "v")
    }).pipe(within()))

  it.effect("the due load begins after one that failed or timed out", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "5 seconds", ...stale })
      const reader = yield* start(cache.get("k"))
      const caller = yield* start(cache.revalidate("k"))
      yield* origin.call(0).fail()
      assert.instanceOf(error(yield* ended(reader)), Down)
      const last = yield* start(cache.revalidate("k"))
      yield* TestClock.adjust("5 seconds")
      assert.instanceOf(error(yield* ended(caller)), Swr.LoadTimeout)
      yield* origin.call(2).succeed("v")
      assert.strictEqual((yield* join(last)).value, "v")
    }).pipe(within()))

  it.effect("the due load never begins when nobody waits for it any more", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      const callers = [yield* start(cache.revalidate("k")), yield* start(cache.revalidate("k"))]
      for (const caller of callers) yield* now(Fiber.interrupt(caller))
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
      assert.lengthOf(origin.calls, 1)
      assert.strictEqual((yield* cache.stats).flights, 0)
      const again = yield* start(cache.revalidate("k"))
      yield* origin.call(1).succeed("w")
      assert.strictEqual((yield* join(again)).value, "w")
    }).pipe(within()))

  it.effect("one caller of two interrupted, the due load still comes", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      const one = yield* start(cache.revalidate("k"))
      const two = yield* start(cache.revalidate("k"))
      yield* Fiber.interrupt(one)
      yield* origin.call(0).succeed("v")
      yield* origin.call(1).succeed("w")
      assert.strictEqual((yield* join(two)).value, "w")
      assert.strictEqual(yield* join(reader), "v")
    }).pipe(within()))

  it.effect("fails with the load's error, also where an old value stands by, which stays", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, "1 minute")
      const caller = yield* start(cache.revalidate("k"))
      yield* origin.call(1).fail(new Down({ by: "revalidate" }))
      assert.deepStrictEqual(error(yield* ended(caller)), new Down({ by: "revalidate" }))
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "error"])
      // R9: whoever started it, the key backs off; revalidate does not care.
      assert.strictEqual((yield* cache.stats).backoffs, 1)
      yield* start(cache.revalidate("k"))
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  it.effect("is a load that readers of a miss join", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const caller = yield* start(cache.revalidate("k"))
      const reader = yield* start(cache.get("k"))
      yield* Fiber.interrupt(caller)
      assert.isFalse(origin.call(0).interrupted)
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
      assert.lengthOf(origin.calls, 1)
    }).pipe(within()))

  it.effect("of an answer loads with the answer's own lookup", () =>
    Effect.gen(function*() {
      const source = numbered()
      const answer = yield* Swr.swr("k", source.lookup("k"), stale)
      assert.deepStrictEqual(shown(yield* answer.revalidate), ["k2", "fresh", "lookup", undefined])
      assert.strictEqual(answer.value, "k1")
      const quote = Swr.fn("quote", stale)(source.lookup)
      yield* quote("x")
      assert.strictEqual((yield* quote.revalidate("x")).value, "x4")
      assert.strictEqual(yield* quote("x"), "x4")
    }).pipe(within()))
})

describe("R11: mutate", () => {
  it.effect("runs one at a time per key, in order, each seeing the last; other keys do not wait", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const log: Array<string> = []
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const mutations = yield* Effect.forEach(gates, (gate, i) =>
        start(cache.mutate("k", (current) => {
          log.push(`${i} sees ${Option.getOrElse(current, () => "nothing")}`)
          return Effect.as(Deferred.await(gate), `m${i}`)
        })))
      assert.strictEqual((yield* now(cache.mutate("other", () => Effect.succeed("o")))).value, "o")
      yield* Deferred.succeed(gates[2]!, void 0)
      yield* Deferred.succeed(gates[0]!, void 0)
      assert.deepStrictEqual(shown(yield* join(mutations[0]!)), ["m0", "fresh", "lookup", undefined])
      assert.isUndefined(yield* ended(mutations[2]!))
      yield* Deferred.succeed(gates[1]!, void 0)
      for (const mutation of mutations) yield* join(mutation)
      assert.deepStrictEqual(log, ["0 sees nothing", "1 sees m0", "2 sees m1"])
      assert.strictEqual(yield* now(cache.get("k")), "m2")
    }).pipe(within()))

  it.effect("reads see the old value until it succeeds, and a load may go on meanwhile", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      const gate = yield* Deferred.make<string>()
      const mutation = yield* start(cache.mutate("k", () => Deferred.await(gate)))
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "revalidating"])
      yield* origin.call(1).succeed("loaded")
      assert.strictEqual(yield* now(cache.get("k")), "loaded")
      const reload = yield* start(cache.revalidate("k"))
      yield* Deferred.succeed(gate, "mutated")
      assert.strictEqual((yield* join(mutation)).value, "mutated")
      yield* origin.call(2).succeed("late")
      assert.strictEqual((yield* join(reload)).value, "late")
      assert.strictEqual(yield* now(cache.get("k")), "mutated")
    }).pipe(within()))

  it.effect("a failed, dead or interrupted change changes nothing and lets the next one in", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      assert.deepStrictEqual(error(yield* Effect.exit(cache.mutate("k", () => Effect.fail("no")))), "no")
      assert.strictEqual(defect(yield* Effect.exit(cache.mutate("k", () => Effect.die("dead")))), "dead")
      assert.strictEqual(
        defect(
          yield* Effect.exit(cache.mutate("k", (): Effect.Effect<string> => {
            throw "thrown"
          }))
        ),
        "thrown"
      )
      const hanging = yield* start(cache.mutate("k", () => Effect.never))
      const waiting = yield* start(cache.mutate("k", () => Effect.never))
      const next = yield* start(cache.mutate("k", (current) => Effect.succeed(`${Option.getOrThrow(current)}!`)))
      yield* now(Fiber.interrupt(waiting))
      assert.isFalse(origin.call(1).interrupted)
      yield* settle
      assert.lengthOf(only(events, "Invalidate"), 0)
      yield* now(Fiber.interrupt(hanging))
      assert.strictEqual((yield* join(next)).value, "old!")
      assert.deepStrictEqual(only(events, "Invalidate").map(({ mode }) => mode), ["set"])
    }).pipe(within()))

  it.effect("sees an expired value while it lives, and none past its life or after an invalidation", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale, staleIfError: "10 minutes" })
      const seen: Array<string | undefined> = []
      const look = cache.mutate("k", (current) => {
        seen.push(Option.getOrUndefined(current))
        return Effect.fail("only looking")
      }).pipe(Effect.ignore)
      yield* look
      yield* cache.get("k")
      yield* TestClock.adjust("10 minutes")
      yield* look
      yield* cache.invalidate("k", { mode: "soft" })
      yield* look
      yield* TestClock.adjust("1 minute")
      yield* look
      yield* cache.set("k", "set")
      yield* cache.invalidate("k")
      yield* look
      assert.deepStrictEqual(seen, [undefined, "k1", "k1", undefined, undefined])
    }).pipe(within()))

  it.effect("a change that waits for its own turn dies at once, and the turn goes on", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const nested = cache.mutate("k", () => Effect.as(cache.mutate("k", () => Effect.succeed("inner")), "outer"))
      assert.instanceOf(defect(yield* now(Effect.exit(nested))), Swr.LookupCycle)
      const other = cache.mutate("k", () => Effect.as(cache.mutate("l", () => Effect.succeed("inner")), "outer"))
      assert.strictEqual((yield* now(other)).value, "outer")
      assert.strictEqual(yield* now(cache.get("l")), "inner")
    }).pipe(within()))

  it.effect("is interrupted at once although its turn has not come", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const gate = yield* Deferred.make<void>()
      const first = yield* start(cache.mutate("k", () => Effect.as(Effect.uninterruptible(Deferred.await(gate)), "v")))
      const second = yield* start(cache.mutate("k", () => Effect.succeed("w")))
      yield* now(Fiber.interrupt(second))
      yield* Deferred.succeed(gate, void 0)
      assert.strictEqual((yield* join(first)).value, "v")
    }).pipe(within()))

  it.effect("the value and its services are those of the caller", () =>
    Effect.gen(function*() {
      class Editor extends Context.Service<Editor, string>()("test/Editor") {}
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const answer = yield* Effect.provideService(cache.mutate("k", () => Editor), Editor, "me")
      assert.strictEqual(answer.value, "me")
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

describe("R18: events", () => {
  const read = ["Hit", "Miss", "Joined", "Served"]
  const reads = (events: ReadonlyArray<Event.Event>) => tags(events).filter((tag) => read.includes(tag))

  it.effect("a read that does not wait gives exactly one of Hit and Served, one that waits Miss or Joined", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      const one = Effect.gen(function*() {
        yield* settle
        return reads(events.splice(0))
      })
      const miss = yield* start(cache.get("k"))
      assert.deepStrictEqual(yield* one, ["Miss"])
      const joined = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("v")
      yield* join(miss)
      yield* join(joined)
      assert.deepStrictEqual(yield* one, ["Joined"])
      yield* cache.get("k")
      assert.deepStrictEqual(yield* one, ["Hit"])
      yield* TestClock.adjust("1 minute")
      yield* cache.get("k")
      assert.deepStrictEqual(yield* one, ["Served"])
      yield* cache.get("k")
      assert.deepStrictEqual(yield* one, ["Served"])
      yield* origin.call(1).fail()
      yield* cache.get("k")
      assert.deepStrictEqual(yield* one, ["Served"])
      yield* TestClock.adjust("10 minutes")
      yield* cache.get("k")
      assert.deepStrictEqual(yield* one, ["Served"])
    }).pipe(within()))

  it.effect("and, where it waited and was given the old value after all, Served as well", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, "10 minutes")
      events.splice(0)
      const reader = yield* start(cache.read("k"))
      yield* origin.call(1).fail()
      assert.strictEqual((yield* join(reader)).status, "expired")
      assert.deepStrictEqual(reads(events), ["Miss", "Served"])
      const { hits, joined, misses, stale } = yield* cache.stats
      assert.deepStrictEqual([hits, stale, misses, joined], [0, 0, 2, 0], "each read is counted once, as what it found")
    }).pipe(within()))

  it.effect("so does each read that has to load anew, because it joined after its tag was invalidated", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* start(cache.get("k"))
      yield* cache.invalidateTag("late")
      const after = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("late")
      yield* origin.call(1).succeed("late")
      yield* join(after)
      assert.deepStrictEqual(reads(events), ["Miss", "Joined"])
    }).pipe(within()))

  for (const batch of [true, false]) {
    it.effect(`so does each key of a getMany ${batch ? "in a batch" : "without a batch"}, also when it ends at once`, () =>
      Effect.gen(function*() {
        const events = yield* record
        const cache: Swr.Instance<string, string> = yield* Swr.make({
          name: "c",
          lookup: (key: string) => Effect.succeed(key),
          lookupMany: batch ? (keys) => Effect.succeed(new Map(keys.map((key) => [key, key]))) : undefined,
          ...stale
        })
        yield* cache.getMany(["a", "b", "a"])
        yield* settle
        assert.deepStrictEqual(reads(events), ["Miss", "Miss"])
        const { hits, misses } = yield* cache.stats
        assert.deepStrictEqual({ hits, misses }, { hits: 0, misses: 2 })
      }).pipe(within()))
  }

  it.effect("R18: the reason is error wherever the last load failed, else marked, else revalidating", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, backoff: second, ...sick })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* cache.invalidate("k", { mode: "soft" })
      yield* now(cache.get("k"))
      yield* origin.call(-1).fail()
      yield* now(cache.get("k"))
      yield* TestClock.adjust("1 second")
      yield* now(cache.get("k"))
      yield* settle
      assert.deepStrictEqual(
        only(events, "Served").map(({ age, reason, status }) => [reason, status, age]),
        [
          ["revalidating", "stale", 60_000],
          ["marked", "stale", 60_000],
          ["error", "stale", 60_000],
          ["error", "stale", 61_000]
        ]
      )
    }).pipe(within()))

  it.effect("come in the order of what happened", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, capacity: 1, ...stale })
      yield* stock(origin, cache, 0)
      yield* cache.invalidate("k", { mode: "soft" })
      yield* now(cache.get("k"))
      yield* origin.call(1).fail()
      yield* cache.set("k", "set")
      yield* cache.clear
      yield* stock(origin, cache, 0, "a", "a")
      yield* stock(origin, cache, 0, "b", "b")
      yield* settle
      const happened = (key: string) => tags(events, key).filter((tag) => !read.includes(tag))
      assert.deepStrictEqual(happened("k"), ["Load", "Commit", "Invalidate", "Load", "LoadFailed", "Invalidate"])
      assert.deepStrictEqual(happened("a"), ["Load", "Commit", "Evict"])
      assert.deepStrictEqual(happened("b"), ["Load", "Commit"])
      assert.strictEqual(tags(events)[0], "Miss")
      assert.deepStrictEqual(
        only(events, "Invalidate").map(({ key, mode }) => [key, mode]),
        [["k", "soft"], ["k", "set"], ["", "hard"]]
      )
      assert.isTrue(events.every(({ cache }) => cache === "c"))
    }).pipe(within()))

  it.effect("a load that was due begins, in the events too, after the end of the one before it", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* start(cache.get("k"))
      yield* start(cache.revalidate("k"))
      yield* start(Effect.exit(cache.get("k")))
      yield* origin.call(0).succeed("v")
      yield* start(cache.revalidate("k"))
      yield* origin.call(1).fail()
      yield* origin.call(2).succeed("w")
      assert.deepStrictEqual(
        tags(events).filter((tag) => !read.includes(tag)),
        ["Load", "Commit", "Load", "LoadFailed", "Load", "Commit"]
      )
    }).pipe(within()))

  it.effect("a load that the last word makes begin begins, in the events too, after it", () =>
    Effect.gen(function*() {
      for (const [word, , say] of words) {
        if (word === "invalidateTag" || word === "invalidateMany") continue
        yield* Effect.gen(function*() {
          const events = yield* record
          const origin = new Origin()
          const cache = yield* tagged(origin)
          yield* start(Effect.exit(cache.get("k")))
          yield* start(Effect.exit(cache.revalidate("k")))
          yield* say(cache)
          yield* settle
          assert.deepStrictEqual(tags(events), ["Miss", "Load", "Invalidate", "Load"], word)
        }).pipe(within(), Effect.scoped)
      }
    }))

  it.effect("a forgotten load is told of when it ends", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* start(cache.get("k"))
      yield* cache.invalidate("k")
      yield* origin.call(0).succeed("v")
      assert.deepStrictEqual(tags(events), ["Miss", "Load", "Invalidate", "CommitDropped"])
      assert.strictEqual(only(events, "CommitDropped")[0]?.reason, "forgotten")
    }).pipe(within()))

  it.effect("tell what made a load begin, and how long it took", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* start(cache.get("k"))
      yield* TestClock.adjust("3 seconds")
      yield* origin.call(0).succeed("v")
      yield* TestClock.adjust("1 minute")
      yield* now(cache.get("k"))
      yield* TestClock.adjust("2 seconds")
      yield* origin.call(1).succeed("w")
      yield* start(Effect.exit(cache.revalidate("k")))
      yield* TestClock.adjust("1 second")
      yield* origin.call(2).fail()
      assert.deepStrictEqual(only(events, "Load").map(({ cause }) => cause), ["miss", "refresh", "revalidate"])
      assert.deepStrictEqual(only(events, "Commit").map(({ duration }) => duration), [3000, 2000])
      assert.deepStrictEqual(only(events, "LoadFailed").map(({ duration }) => duration), [1000])
    }).pipe(within()))

  it.effect("are those of every cache of the layer, for each listener, and end for one that leaves", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      const one = yield* collect(service.events)
      const two = yield* collect(service.events)
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      yield* settle
      yield* Fiber.interrupt(two.fiber)
      yield* Swr.swr("s", Effect.succeed(1), stale)
      yield* Swr.cacheSet("p", 1)
      yield* settle
      assert.deepStrictEqual(
        one.seen.filter(({ _tag }) => _tag === "Commit" || _tag === "Invalidate").map(({ cache, key }) => [cache, key]),
        [["c", "k"], ["swr", "s"], ["cache", "p"]]
      )
      assert.lengthOf(two.seen, 3)
    }).pipe(within()))

  it.effect("a listener that dies harms nobody", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      yield* Effect.forkScoped(Stream.runForEach(service.events, () => Effect.die("listener")))
      yield* settle
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      assert.strictEqual(yield* now(cache.get("k")), "k1")
      assert.strictEqual(yield* now(cache.get("k")), "k1")
    }).pipe(within()))

  it.effect("a slow listener loses the oldest and delays nobody", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      const gate = yield* Deferred.make<void>()
      const seen: Array<Event.Event> = []
      yield* Effect.forkScoped(
        Stream.runForEach(service.events, (event) =>
          Effect.andThen(Deferred.await(gate), Effect.sync(() => seen.push(event))))
      )
      yield* settle
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, capacity: 100_000, ...stale })
      for (let i = 0; i < 2000; i++) {
        yield* cache.get(`k${i}`)
      }
      yield* Deferred.succeed(gate, void 0)
      for (let i = 0; i < 100; i++) {
        yield* settle
      }
      assert.isBelow(seen.length, 4000)
      assert.strictEqual(seen.at(-1)?.key, "k1999")
    }).pipe(within()))

  it.effect("nothing is computed for nobody: without a listener the key of an event is not written", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      const replaced = vi.spyOn(String.prototype, "replace")
      yield* Effect.addFinalizer(() => Effect.sync(() => replaced.mockRestore()))
      const written = () =>
        replaced.mock.calls.filter(([pattern]) => pattern instanceof RegExp && pattern.source.includes("\\p{Cc}"))
          .length
      const hits = Effect.forEach([1, 2, 3], () => cache.get("k"))
      yield* hits
      assert.strictEqual(written(), 0)
      const listener = yield* collect(service.events)
      yield* hits
      yield* settle
      assert.strictEqual(written(), 3)
      assert.lengthOf(listener.seen, 3)
      yield* Fiber.interrupt(listener.fiber)
      yield* hits
      assert.strictEqual(written(), 3)
    }).pipe(within()))
})

describe("getMany, readMany", () => {
  /** A batch per call, each with a gate; `lookup`, if asked, for what it omits. */
  const batches = (options: { readonly omit?: string; readonly single?: boolean } = {}) => {
    const origin = new Origin()
    const singles = new Origin()
    const make: Effect.Effect<Cache, never, Swr.Cache> = Swr.make({
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
