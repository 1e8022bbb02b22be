/** Everything that happens is told, once and in order. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { type Event, Swr } from "effect-swr"
import * as History from "effect-swr/History"
import { TestClock } from "effect/testing"
import {
  collect,
  join,
  now,
  numbered,
  only,
  Origin,
  record,
  second,
  settle,
  sick,
  stale,
  start,
  stock,
  tagged,
  tags,
  within,
  words
} from "./Origin.ts"

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

  it.effect("a slow listener delays nobody, loses the oldest, and is told how many: once, in their place", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      const gate = yield* Deferred.make<void>()
      const seen: Array<Event.Event> = []
      yield* Effect.forkScoped(
        Stream.runForEach(
          service.events,
          (event) => Effect.andThen(Deferred.await(gate), Effect.sync(() => seen.push(event)))
        )
      )
      yield* settle
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, capacity: 100_000, ...stale })
      yield* cache.get("first")
      yield* settle
      // It has the three of the first key and waits; of the 6,000 that follow 1,024 have room.
      for (let i = 0; i < 2000; i++) {
        yield* cache.get(`k${i}`)
      }
      yield* Deferred.succeed(gate, void 0)
      for (let i = 0; i < 100; i++) {
        yield* settle
      }
      yield* cache.get("last")
      yield* settle
      const told = ["first", ...Array.from({ length: 2000 }, (_, i) => `k${i}`), "last"]
        .flatMap((key) => ["Miss", "Load", "Commit"].map((tag) => `${tag} ${key}`))
      assert.deepStrictEqual(seen.map(({ _tag, key }) => `${_tag} ${key}`), [
        ...told.slice(0, 3),
        "Lost ",
        ...told.slice(-3 - 1024)
      ])
      assert.deepStrictEqual(only(seen, "Lost").map(({ count }) => count), [6000 - 1024])
    }).pipe(within()))

  it.effect("tell of one load by one number, from the readers it keeps waiting to its end", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* start(cache.get("k"))
      yield* start(cache.get("k"))
      yield* start(cache.get("other"))
      yield* origin.call(0).succeed("v")
      yield* TestClock.adjust("1 minute")
      yield* now(cache.get("k"))
      yield* now(cache.get("k"))
      yield* origin.call(2).fail()
      const numbers = events.filter(({ key }) => key === "k").map((event) =>
        "load" in event ? [event._tag, event.load] : [event._tag]
      )
      const [first, , second] = only(events, "Load").map(({ load }) => load)
      assert.notStrictEqual(first, second)
      assert.deepStrictEqual(numbers, [
        ["Miss"],
        ["Load", first],
        ["Joined", first],
        ["Commit", first],
        ["Load", second],
        ["Served", second],
        ["Served", second],
        ["LoadFailed", second]
      ])
    }).pipe(within()))

  it.effect("tell how many readers a load kept waiting, and whether who was given an old value had waited", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      for (let i = 0; i < 3; i++) yield* start(cache.get("k"))
      yield* origin.call(0).succeed("v")
      yield* TestClock.adjust("1 minute")
      yield* now(cache.get("k"))
      yield* origin.call(1).succeed("w")
      yield* TestClock.adjust("10 minutes")
      const late = yield* start(cache.get("k"))
      yield* origin.call(2).fail()
      yield* join(late)
      yield* now(cache.get("k"))
      assert.deepStrictEqual(only(events, "Commit").map(({ cause, waiters }) => [cause, waiters]), [
        ["miss", 3],
        ["refresh", 0]
      ])
      assert.deepStrictEqual(only(events, "LoadFailed").map(({ cause, waiters }) => [cause, waiters]), [["miss", 1]])
      assert.deepStrictEqual(only(events, "Served").map(({ status, waited }) => [status, waited]), [
        ["stale", false],
        ["expired", true],
        ["expired", false]
      ])
    }).pipe(within()))

  it.effect("a load that is told to stop is told of", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interrupt(reader)
      yield* settle
      assert.deepStrictEqual(tags(events), ["Miss", "Load", "LoadStopped"])
      const [{ cause, duration, waiters } = assert.fail("it was told")] = only(events, "LoadStopped")
      assert.deepStrictEqual([cause, duration, waiters], ["miss", 3000, 0])
    }).pipe(within()))

  it.effect("tell why an entry had to leave", () =>
    Effect.gen(function*() {
      const events = yield* record
      const causes = () => only(events.splice(0), "Evict").map(({ cause, key }) => [key, cause])
      const few = yield* Swr.make({ name: "few", lookup: numbered().lookup, capacity: 1, ...stale })
      yield* few.get("a")
      yield* few.get("b")
      yield* settle
      assert.deepStrictEqual(causes(), [["a", "capacity"]])
      yield* TestClock.adjust("6 minutes")
      yield* few.get("c")
      yield* settle
      assert.deepStrictEqual(causes(), [["b", "dead"]])
      const weight = { of: (value: string) => value.length, max: 4 }
      const light = yield* Swr.make({ name: "light", lookup: numbered().lookup, weight, ...stale })
      yield* light.get("ab")
      yield* light.get("cd")
      yield* settle
      assert.deepStrictEqual(causes(), [["ab", "weight"]])
    }).pipe(within()))

  it.effect("tell in which span the reader was that a load began for", () =>
    Effect.gen(function*() {
      const events = yield* record
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const span = yield* Effect.withSpan(Effect.andThen(cache.get("k"), Effect.currentSpan), "request")
      yield* cache.get("outside")
      yield* settle
      assert.deepStrictEqual(
        only(events, "Load").map(({ by }) => by),
        [{ traceId: span.traceId, spanId: span.spanId }, undefined]
      )
    }).pipe(within()))

  it.effect("tell of a value that is too heavy to be set, without a load", () =>
    Effect.gen(function*() {
      const events = yield* record
      const weight = { of: (value: string) => value.length, max: 4 }
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, weight, ...stale })
      yield* cache.set("k", "heavy")
      yield* settle
      assert.deepStrictEqual(only(events, "CommitDropped"), [
        { _tag: "CommitDropped", cache: "c", key: "k", reason: "weight" }
      ])
    }).pipe(within()))

  it.effect("nobody listens any more once a listener has left, or a history's scope is closed", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      const { listeners } = Swr.behind(service).host
      const { fiber } = yield* collect(service.events)
      yield* Effect.scoped(Effect.andThen(History.make(), Effect.sync(() => assert.strictEqual(listeners.size, 2))))
      assert.strictEqual(listeners.size, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(listeners.size, 0)
    }).pipe(within()))

  it.effect("nothing is computed for nobody: without a listener the key of an event is not written", () =>
    Effect.gen(function*() {
      const service = yield* Swr.Cache
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k\u0007")
      const replaced = vi.spyOn(String.prototype, "replace")
      yield* Effect.addFinalizer(() => Effect.sync(() => replaced.mockRestore()))
      const written = () =>
        replaced.mock.calls.filter(([pattern]) => pattern instanceof RegExp && pattern.source.includes("\\p{Cc}"))
          .length
      const hits = Effect.forEach([1, 2, 3], () => cache.get("k\u0007"))
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

describe("R18: a key's history", () => {
  const told = (moments: ReadonlyArray<History.Moment>) => moments.map(({ event, times }) => [event._tag, times])

  it.effect("is kept from when it is asked for, hits in a row as one moment", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      const history = yield* History.make()
      yield* TestClock.setTime(5000)
      yield* cache.get("k")
      yield* TestClock.adjust("1 second")
      yield* cache.get("k")
      yield* cache.get("other")
      yield* cache.invalidate("k", { mode: "soft" })
      yield* cache.get("k")
      yield* settle
      const moments = history.of("c", "k")
      assert.deepStrictEqual(told(moments), [["Hit", 2], ["Invalidate", 1], ["Load", 1], ["Served", 1], ["Commit", 1]])
      assert.deepStrictEqual(moments.slice(0, 2).map(({ from, until }) => [from, until]), [[5000, 6000], [6000, 6000]])
      assert.deepStrictEqual(history.of("c", "unknown"), [])
    }).pipe(within()))

  it.effect("has what happened to its whole cache, in order", () =>
    Effect.gen(function*() {
      const history = yield* History.make()
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      yield* TestClock.adjust("1 second")
      yield* cache.clear
      yield* TestClock.adjust("1 second")
      yield* cache.get("k")
      assert.deepStrictEqual(told(history.of("c", "k")).map(([tag]) => tag), [
        "Miss",
        "Load",
        "Commit",
        "Invalidate",
        "Miss",
        "Load",
        "Commit"
      ])
    }).pipe(within()))

  it.effect("is bounded, in events of a key and in keys", () =>
    Effect.gen(function*() {
      const history = yield* History.make({ events: 2, keys: 2 })
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      for (const key of ["a", "b", "a", "c"]) yield* cache.get(key)
      yield* settle
      const left = ["a", "b", "c"].map((key) => told(history.of("c", key)).map(([tag]) => tag))
      assert.deepStrictEqual(left, [["Commit", "Hit"], [], ["Load", "Commit"]])
    }).pipe(within()))

  it.effect("ends with its scope", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const history = yield* Effect.scoped(Effect.tap(History.make(), () => cache.get("k")))
      yield* cache.get("k")
      assert.deepStrictEqual(history.of("c", "k"), [])
    }).pipe(within()))
})
