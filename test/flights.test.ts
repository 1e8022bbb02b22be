import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Option, Random, References } from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  Down,
  ended,
  error,
  Gone,
  interrupted,
  join,
  now,
  numbered,
  only,
  Origin,
  record,
  settle,
  shown,
  start,
  stock,
  tags
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

    it.effect(`${word}: readers who joined the refresh when the value expired get its own value`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* Swr.make({
          name: "c",
          lookup: origin.lookup,
          keep: (value: string) => ({ tags: [value] }),
          hardTimeout: "1 hour",
          ...stale
        })
        yield* stock(origin, cache, "1 minute")
        yield* now(cache.get("k"))
        yield* TestClock.adjust("5 minutes")
        const reader = yield* start(cache.get("k"))
        // The cache's error is wider by LoadTimeout; the calls under test do not load.
        yield* say(cache as never)
        assert.isUndefined(yield* ended(reader))
        yield* origin.call(1).succeed("late")
        assert.strictEqual(yield* join(reader), "late")
        assert.deepStrictEqual(
          Option.map(yield* cache.peek("k"), ({ value }) => value),
          // Marked or not, the old entry has reached its end.
          left === "set" ? Option.some("set") : Option.none()
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
