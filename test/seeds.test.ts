/**
 * What the systems that this library learns from do, one by one under the ids of their behaviours, and what happens here.
 * LG: LangGraph's `swr`, `cache_get`, `cache_set`; W-LG: its weaknesses, shown to be absent; V: Vercel's SWR; Q: TanStack
 * Query. "differs" in a name: on purpose, and `docs/differences.md` says why.
 *
 * Not here: more than one process, parts that are still to come, and what other tests or no cache of a server has:
 * - LG-14, LG-16 as far as a store is concerned (its record is here), W-LG-9, W-LG-11 for a store that fails
 * - LG-40: the decorator is `Swr.fn`, tested with the entrances; W-LG-13: keys, tested in `Key.test.ts`
 * - EX-*, RX-*, RF-*, AR-*: HTTP, leases, announcements, adapters, metrics; their windows are in `Policy.test.ts`
 * - V-06 to V-08: triggers, in `triggers.test.ts`; RX-31, RX-33: warm-up and metrics, there and in `metrics.test.ts`
 * - V-01, V-09 to V-11, V-13 to V-20, Q-01 to: screens
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, type Duration, Effect, Exit, Fiber, Option, Redacted, Result, Schema } from "effect"
import { Policy, Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import * as Codec from "../src/Codec.ts"
import {
  counted,
  defect,
  Down,
  ended,
  error,
  Gone,
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
  stock
} from "./Origin.ts"

const HOUR = 3_600_000
const DAY = 24 * HOUR

type Options = Swr.SwrOptions<string, Down | Gone, undefined, undefined, undefined>

const ten = { freshFor: "10 seconds", maxAge: "20 seconds" } as const
const hour = { freshFor: "1 hour", maxAge: "1 hour" } as const

const within = (options?: Parameters<typeof Swr.layer>[0]) => Effect.provide(Swr.layer(options))

/** LangGraph's `swr`, over an origin whose loads end when the test says so. */
const swr = (origin: Origin, options?: Options, key = "k") => Swr.swr(key, origin.lookup(key), options)

/** Loads `old` and lets it come to an age. */
const stored = (origin: Origin, options?: Options, age: Duration.Input = 0) =>
  Effect.gen(function*() {
    const reader = yield* start(swr(origin, options))
    yield* origin.call(-1).succeed("old")
    const answer = yield* join(reader)
    yield* TestClock.adjust(age)
    return answer
  })

/** The option that an exit says was refused. */
const refused = (exit: Exit.Exit<unknown, unknown>) => {
  const problem = defect(exit)
  assert.instanceOf(problem, Policy.InvalidPolicy)
  return problem.option
}

const totals = Effect.flatMap(Swr.Cache, (cache) => cache.stats)

it("what differs has a row in docs/differences.md, and each row that names a test has one", () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
  const ids = (text: string, places: RegExp) =>
    new Set(Array.from(text.matchAll(places), ([place]) => place.match(/(LG|V|Q)-\d+/g) ?? []).flat())
  const rows = ids(read("../docs/differences.md"), /[^|]+\|$/gm)
  assert.isAbove(rows.size, 20)
  assert.sameMembers([...rows], [...ids(read("seeds.test.ts"), /["`][LVQ][^:"`]* differs?\b/g)])
})

describe("LangGraph: windows and status", () => {
  it.effect("LG-01: a miss waits for the lookup, keeps its value, says miss", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const reader = yield* start(swr(origin, ten))
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(0).succeed("v")
      assert.deepStrictEqual(shown(yield* join(reader)), ["v", "miss", "lookup", undefined])
      assert.deepStrictEqual(shown(yield* now(swr(origin, ten))), ["v", "fresh", "memory", undefined])
    }).pipe(within()))

  for (
    const [id, age, status] of [
      ["LG-02", 0, "fresh"],
      ["LG-02", 9_999, "fresh"],
      ["LG-03", 10_000, "stale"],
      ["LG-03", 19_999, "stale"],
      ["LG-04", 20_000, "expired"]
    ] as const
  ) {
    it.effect(`${id}: freshFor 10 s, maxAge 20 s: at ${age} ms ${status}`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        yield* stored(origin, ten, age)
        const reader = yield* start(swr(origin, ten))
        if (status === "expired") {
          assert.isUndefined(yield* ended(reader))
          yield* origin.call(1).succeed("new")
          assert.deepStrictEqual(shown(yield* join(reader)), ["new", "expired", "lookup", undefined])
          return
        }
        const reason = status === "stale" ? "revalidating" : undefined
        assert.deepStrictEqual(shown(yield* join(reader)), ["old", status, "memory", reason])
        assert.lengthOf(origin.calls, status === "stale" ? 2 : 1)
      }).pipe(within()))
  }

  it.effect("LG-05: expired and the lookup fails: the error, and the entry is neither given nor deleted", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin, { freshFor: 0, maxAge: "1 hour" }, "20 seconds")
      const reader = yield* start(swr(origin, ten))
      yield* origin.call(1).fail()
      assert.instanceOf(error(yield* Fiber.await(reader)), Down)
      assert.deepStrictEqual(shown(yield* now(swr(origin, hour))), ["old", "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("LG-05 differs: with `staleIfError` the old value stands in, and says so", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const options: Options = { ...ten, staleIfError: "1 day" }
      yield* stored(origin, options, "20 seconds")
      const reader = yield* start(swr(origin, options))
      yield* origin.call(1).fail()
      assert.deepStrictEqual(shown(yield* join(reader)), ["old", "expired", "memory", "error"])
    }).pipe(within()))

  it.effect("LG-06: without options every hit is stale and refreshes, up to a day", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin)
      assert.deepStrictEqual(shown(yield* now(swr(origin))), ["old", "stale", "memory", "revalidating"])
      yield* origin.call(1).succeed("second")
      yield* TestClock.adjust(DAY - 1)
      assert.deepStrictEqual(shown(yield* now(swr(origin))), ["second", "stale", "memory", "revalidating"])
      yield* TestClock.adjust(1)
      const reader = yield* start(swr(origin))
      yield* origin.call(2).succeed("third")
      assert.deepStrictEqual(shown(yield* join(reader)), ["third", "expired", "lookup", undefined])
    }).pipe(within()))

  for (
    const options of [{ freshFor: "30 hours" }, { freshFor: "48 hours", maxAge: "30 hours" }] satisfies Array<Options>
  ) {
    it.effect(`LG-07: windows above a day are a day before they are judged: ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        yield* stored(origin, options, DAY - 1)
        assert.strictEqual((yield* now(swr(origin, options))).status, "fresh")
        yield* TestClock.adjust(1)
        const reader = yield* start(swr(origin, options))
        yield* origin.call(1).succeed("new")
        assert.strictEqual((yield* join(reader)).status, "expired")
      }).pipe(within()))
  }

  for (
    const [id, options, option] of [
      ["LG-08", { freshFor: "-1 second" }, "freshFor"],
      ["LG-08", { maxAge: 0 }, "maxAge"],
      ["LG-08", { maxAge: "-1 second" }, "maxAge"],
      ["LG-08", { freshFor: "2 hours", maxAge: "1 hour" }, "freshFor"],
      ["LG-08", { freshFor: Number.NaN }, "freshFor"],
      ["LG-10 differs", { maxAge: "500 micros" }, "maxAge"]
    ] satisfies Array<[string, Options, string]>
  ) {
    it.effect(`${id}: refused at every call, before the cache is looked at: ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        yield* stored(origin, hour)
        const before = yield* totals
        for (let i = 0; i < 2; i++) {
          assert.strictEqual(refused(yield* Effect.exit(swr(origin, options))), option)
        }
        assert.deepStrictEqual(yield* totals, before)
        assert.lengthOf(origin.calls, 1)
      }).pipe(within()))
  }

  it.effect("LG-09: freshFor equal to maxAge leaves no stale window", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin, hour, HOUR - 1)
      assert.strictEqual((yield* now(swr(origin, hour))).status, "fresh")
      yield* TestClock.adjust(1)
      const reader = yield* start(swr(origin, hour))
      yield* origin.call(1).succeed("new")
      assert.strictEqual((yield* join(reader)).status, "expired")
    }).pipe(within()))

  it.effect("LG-10: parts of a millisecond are cut off", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const options: Options = { freshFor: "999 micros", maxAge: "1999 micros" }
      yield* stored(origin, options)
      assert.strictEqual((yield* now(swr(origin, options))).status, "stale")
      yield* TestClock.adjust(1)
      const reader = yield* start(swr(origin, options))
      yield* origin.call(1).succeed("new")
      assert.strictEqual((yield* join(reader)).status, "expired")
    }).pipe(within()))

  it.effect("LG-11 differs, W-LG-12: the wall clock set back makes nothing fresh", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* TestClock.setTime(DAY)
      yield* stored(origin, ten, "10 seconds")
      yield* TestClock.setTime(0)
      assert.strictEqual((yield* now(swr(origin, ten))).status, "stale")
    }).pipe(within()))

  it.effect("LG-12: windows are the reader's: one entry is fresh, stale and expired", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin, hour, "30 seconds")
      assert.strictEqual((yield* now(swr(origin, { freshFor: "1 minute" }))).status, "fresh")
      assert.strictEqual((yield* now(swr(origin, { freshFor: "30 seconds" }))).status, "stale")
      const reader = yield* start(swr(origin, { maxAge: "30 seconds" }))
      yield* origin.call(1).succeed("new")
      assert.strictEqual((yield* join(reader)).status, "expired")
    }).pipe(within()))

  it.effect("LG-13 differs: at its writer's maxAge an entry is nobody's; while memory has it, that reads as expired", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin, ten, 19_999)
      assert.strictEqual((yield* now(swr(origin, hour))).status, "fresh")
      yield* TestClock.adjust(1)
      const cache = yield* Swr.Cache
      assert.isTrue(Option.isNone(yield* cache.peek("k")))
      const reader = yield* start(swr(origin, { ...hour, staleIfError: "1 day" }))
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(reader)), ["new", "expired", "lookup", undefined])
    }).pipe(within()))
})

const fields = { key: "k", stamp: 5, windows: { life: 7 }, jitter: 0, tags: [], epoch: "e", counter: 0 }

describe("LangGraph: what is stored", () => {
  it("LG-14: a record is JSON with a format number, the time of storing and the value", () => {
    const record = JSON.parse(Codec.writeRecord(fields, `{"a":1}`))
    assert.deepStrictEqual([record.format, record.stamp, record.value], [1, 5, { a: 1 }])
  })

  it.effect("LG-14: keys of `swr` and of `cacheSet` are never one", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* Swr.cacheSet("k", "plain")
      yield* stored(origin, hour)
      assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.some("plain"))
      assert.strictEqual((yield* now(swr(origin, hour))).value, "old")
    }).pipe(within()))

  it.effect("LG-15: the age begins when the load has ended", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const reader = yield* start(swr(origin, ten))
      yield* TestClock.adjust("30 seconds")
      yield* origin.call(0).succeed("v")
      assert.deepStrictEqual(shown(yield* join(reader)), ["v", "miss", "lookup", undefined])
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* now(swr(origin, ten))).status, "fresh")
    }).pipe(within()))

  for (
    const [name, change, problem] of [
      ["no object", () => [], "json"],
      ["another format", (json) => ({ ...json, format: 2 }), "format"],
      ["a text as stamp", (json) => ({ ...json, stamp: "5" }), "stamp"],
      ["W-LG-12: a boolean as stamp", (json) => ({ ...json, stamp: true }), "stamp"],
      ["no value", (json) => ({ ...json, value: undefined }), "value"]
    ] satisfies Array<[string, (json: object) => object, Codec.DecodeProblem]>
  ) {
    it(`LG-16: a record that is not one is told apart, and never an error: ${name}`, () => {
      const text = JSON.stringify(change(JSON.parse(Codec.writeRecord(fields, "1"))))
      assert.deepStrictEqual(Codec.readRecord(text, "k"), Result.fail(problem))
    })
  }

  it.effect("LG-17 differs: undefined, null and none are values, also to `cacheGet`", () =>
    Effect.gen(function*() {
      for (const value of [undefined, null, Option.none()]) {
        const source = counted(() => Effect.succeed(value))
        const read = Swr.swr(String(value), source.lookup(""), { freshFor: "1 hour" })
        yield* read
        assert.deepStrictEqual(shown(yield* read), [value, "fresh", "memory", undefined])
        assert.strictEqual(source.calls, 1)
      }
      yield* Swr.cacheSet("null", null)
      assert.deepStrictEqual(yield* Swr.cacheGet("null"), Option.some(null))
      assert.deepStrictEqual(yield* Swr.cacheGet("nothing"), Option.none())
    }).pipe(within()))

  for (const [name, schema] of [["without", undefined], ["with", Schema.Tuple([Schema.Int, Schema.Date])]] as const) {
    it.effect(`LG-18 differs, W-LG-7: ${name} a schema a hit gives what the miss gave`, () =>
      Effect.gen(function*() {
        const read = Swr.swr("k", Effect.sync(() => [1, new Date(0)] as const), { freshFor: "1 hour", schema })
        const miss = yield* read
        const hit = yield* read
        assert.deepStrictEqual([miss.status, hit.status], ["miss", "fresh"])
        assert.deepStrictEqual(hit.value, [1, new Date(0)])
        assert.strictEqual(hit.value, miss.value)
      }).pipe(within()))
  }

  it.effect("LG-19 differs: a value that does not encode is answered as it is, kept nowhere, and told", () =>
    Effect.gen(function*() {
      const events = yield* record
      const source = counted((n) => Effect.succeed(n === 2 ? 2 : n + 0.5))
      const read = Swr.swr("k", source.lookup("k"), { schema: Schema.Int })
      assert.deepStrictEqual(shown(yield* read), [1.5, "miss", "lookup", undefined])
      assert.strictEqual((yield* totals).size, 0)
      assert.deepStrictEqual(shown(yield* read), [2, "miss", "lookup", undefined])
      yield* now(read)
      yield* settle
      assert.strictEqual(source.calls, 3)
      assert.deepStrictEqual(shown(yield* read), [2, "stale", "memory", "revalidating"])
      assert.lengthOf(only(events, "EncodeFailed"), 2)
    }).pipe(within()))

  for (
    const [timeToLive, lives] of [[undefined, DAY], ["30 hours", DAY], ["1 hour", HOUR]] satisfies Array<
      [Duration.Input | undefined, number]
    >
  ) {
    it.effect(`LG-20, W-LG-5: cacheSet for ${timeToLive} lives ${lives / HOUR} h, to the millisecond`, () =>
      Effect.gen(function*() {
        yield* Swr.cacheSet("k", 1, { timeToLive })
        yield* TestClock.adjust(lives - 1)
        assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.some(1))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.none())
      }).pipe(within()))
  }

  for (const timeToLive of [0, "-1 second"] satisfies Array<Duration.Input>) {
    it.effect(`LG-20 differs: cacheSet for ${timeToLive} is refused, and what was there stays`, () =>
      Effect.gen(function*() {
        yield* Swr.cacheSet("k", 1)
        assert.strictEqual(refused(yield* Effect.exit(Swr.cacheSet("k", 2, { timeToLive }))), "timeToLive")
        assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.some(1))
      }).pipe(within()))
  }

  it("LG-21 differs: works in any program", async () => {
    const program = Effect.gen(function*() {
      yield* Swr.cacheSet("k", 1)
      return [yield* Swr.cacheGet("k"), (yield* Swr.swr("k", Effect.succeed(2))).value]
    })
    assert.deepStrictEqual(await Effect.runPromise(program.pipe(within())), [Option.some(1), 2])
  })
})

describe("LangGraph: single flight and refresh", () => {
  it.effect("LG-22: one flight per key, whoever reads with which windows; another key has its own", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const readers = yield* Effect.forEach([ten, hour, undefined], (options) => start(swr(origin, options)))
      yield* start(swr(origin, ten, "other"))
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["k", "other"])
      yield* origin.call(0).succeed("v")
      for (const reader of readers) assert.strictEqual((yield* join(reader)).value, "v")
    }).pipe(within()))

  it.effect("LG-23: of two misses with two lookups the first one's runs; both get its value and say miss", () =>
    Effect.gen(function*() {
      const [one, two] = [new Origin(), new Origin()]
      const readers = [yield* start(swr(one, ten)), yield* start(swr(two, ten))]
      yield* one.call(0).succeed("one")
      for (const reader of readers) {
        assert.deepStrictEqual(shown(yield* join(reader)), ["one", "miss", "lookup", undefined])
      }
      assert.lengthOf(two.calls, 0)
    }).pipe(within()))

  it.effect("LG-24, LG-28: all waiters get the one failure, nothing is left of it, the next read loads", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const readers = [yield* start(swr(origin, ten)), yield* start(swr(origin, ten))]
      const down = new Down({})
      yield* origin.call(0).fail(down)
      for (const reader of readers) assert.strictEqual(error(yield* Fiber.await(reader)), down)
      const { backoffs, flights, size } = yield* totals
      assert.deepStrictEqual({ backoffs, flights, size }, { backoffs: 0, flights: 0, size: 0 })
      yield* stored(origin, ten)
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("LG-25: a reader who finds it expired joins the refresh under way", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin, ten, "10 seconds")
      yield* now(swr(origin, ten))
      yield* TestClock.adjust("10 seconds")
      const reader = yield* start(swr(origin, ten))
      assert.isUndefined(yield* ended(reader))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(reader)), ["new", "expired", "lookup", undefined])
    }).pipe(within()))

  it.effect("LG-26 differs, W-LG-3: a refresh that fails hurts no reader, is told, and the key backs off", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const options: Options = { freshFor: 0, maxAge: "1 hour", backoff: { from: "1 second", to: "1 second" } }
      yield* stored(origin, options, 1)
      yield* now(swr(origin, options))
      yield* origin.call(1).fail()
      for (let i = 0; i < 5; i++) {
        assert.deepStrictEqual(shown(yield* now(swr(origin, options))), ["old", "stale", "memory", "error"])
      }
      assert.lengthOf(origin.calls, 2)
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 5; i++) yield* now(swr(origin, options))
      assert.lengthOf(origin.calls, 3)
      assert.deepStrictEqual(only(events, "LoadFailed").map(({ retryIn }) => retryIn), [1000])
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /^Warn .*load failed/)
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("W-LG-3: 100 reads in 10 s, never fresh, of a dead origin are 1 try a second", () =>
    Effect.gen(function*() {
      const source = counted((n) => n === 1 ? Effect.succeed("old") : Effect.fail(new Down({})))
      const options: Options = { freshFor: 0, backoff: { from: "1 second", to: "1 second" } }
      const read = Swr.swr("k", source.lookup("k"), options)
      for (let i = 0; i < 100; i++) {
        assert.strictEqual((yield* read).value, "old")
        yield* TestClock.adjust("100 millis")
      }
      assert.strictEqual(source.calls, 11)
    }).pipe(within(), Effect.provide(logs().layer)))

  it.effect("LG-27: a refresh runs the lookup of the call that started it, and keeps the value for its maxAge", () =>
    Effect.gen(function*() {
      const [one, two] = [new Origin(), new Origin()]
      yield* stored(one, hour, "30 seconds")
      yield* now(swr(two, { freshFor: "10 seconds", maxAge: "40 seconds" }))
      yield* two.call(0).succeed("two")
      yield* TestClock.adjust(39_999)
      assert.deepStrictEqual(shown(yield* now(swr(one, hour))), ["two", "fresh", "memory", undefined])
      yield* TestClock.adjust(1)
      yield* start(swr(one, hour))
      assert.lengthOf(one.calls, 2)
    }).pipe(within()))

  it.effect("LG-29 differs, W-LG-2: an interrupted waiter harms no other", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const first = yield* start(swr(origin, ten))
      const second = yield* start(swr(origin, ten))
      yield* Fiber.interrupt(first)
      assert.isFalse(origin.call(0).interrupted)
      yield* origin.call(0).succeed("v")
      assert.deepStrictEqual(shown(yield* join(second)), ["v", "miss", "lookup", undefined])
      assert.lengthOf(origin.calls, 1)
    }).pipe(within()))
})

describe("LangGraph: the result", () => {
  it.effect("LG-30, LG-31: mutate writes through, fresh from now for this call's maxAge, and loads nothing", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin, ten, "15 seconds")
      const stale = yield* now(swr(origin, ten))
      const loads = origin.calls.length
      const changed = yield* stale.mutate("mine")
      assert.deepStrictEqual(shown(changed), ["mine", "fresh", "lookup", undefined])
      assert.strictEqual(stale.status, "stale")
      yield* TestClock.adjust(19_999)
      assert.deepStrictEqual(shown(yield* now(swr(origin, hour))), ["mine", "fresh", "memory", undefined])
      assert.lengthOf(origin.calls, loads)
      yield* TestClock.adjust(1)
      yield* start(swr(origin, hour))
      assert.lengthOf(origin.calls, loads + 1)
    }).pipe(within()))

  it.effect("LG-30 differs: the first answer keeps its value too", () =>
    Effect.gen(function*() {
      const first = yield* stored(new Origin(), ten)
      assert.strictEqual((yield* first.mutate("mine")).value, "mine")
      assert.deepStrictEqual(shown(first), ["old", "miss", "lookup", undefined])
    }).pipe(within()))

  it.effect("LG-32 differs: a load that began before mutate is not kept, but its waiters get its own value", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const first = yield* stored(origin, ten, "20 seconds")
      const waiting = yield* start(swr(origin, ten))
      yield* first.mutate("mine")
      yield* origin.call(1).succeed("late")
      assert.deepStrictEqual(shown(yield* join(waiting)), ["late", "expired", "lookup", undefined])
      assert.deepStrictEqual(shown(yield* now(swr(origin, ten))), ["mine", "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("LG-33 differs, W-LG-4: revalidate during a refresh answers a load that began after the call", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      yield* stored(origin, ten, "10 seconds")
      const stale = yield* now(swr(origin, ten))
      const forced = yield* start(stale.revalidate)
      yield* origin.call(1).succeed("before the call")
      assert.isUndefined(yield* ended(forced))
      yield* origin.call(2).succeed("after the call")
      assert.deepStrictEqual(shown(yield* join(forced)), ["after the call", "fresh", "lookup", undefined])
      assert.strictEqual((yield* now(swr(origin, ten))).value, "after the call")
    }).pipe(within()))

  it.effect("LG-34: a revalidation that fails fails; answer and entry stay", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const first = yield* stored(origin, ten)
      const forced = yield* start(first.revalidate)
      yield* origin.call(1).fail()
      assert.instanceOf(error(yield* Fiber.await(forced)), Down)
      assert.deepStrictEqual(shown(first), ["old", "miss", "lookup", undefined])
      assert.deepStrictEqual(shown(yield* now(swr(origin, ten))), ["old", "fresh", "memory", undefined])
    }).pipe(within(), Effect.provide(logs().layer)))

  it.effect("LG-35: null and undefined can be written; to load has a name of its own", () =>
    Effect.gen(function*() {
      const source = counted<string | null | undefined>(() => Effect.succeed("old"))
      const read = Swr.swr("k", source.lookup("k"), { freshFor: "1 hour" })
      for (const value of [null, undefined]) {
        assert.strictEqual((yield* (yield* read).mutate(value)).value, value)
        assert.deepStrictEqual(shown(yield* read), [value, "fresh", "memory", undefined])
      }
      assert.strictEqual(source.calls, 1)
    }).pipe(within()))
})

const User = Schema.Struct({ id: Schema.Int })

describe("LangGraph: the model", () => {
  it.effect("LG-36: on every path readers get what the schema encodes and decodes", () =>
    Effect.gen(function*() {
      const loaded = { id: 1, internal: true }
      const options = { ...ten, schema: User }
      const read = Swr.swr("k", Effect.succeed(loaded), options)
      const seen: Array<Swr.Snapshot<typeof User.Type>> = [yield* read, yield* read]
      yield* TestClock.adjust("10 seconds")
      seen.push(yield* read)
      yield* settle
      yield* TestClock.adjust("20 seconds")
      const expired = yield* read
      seen.push(expired, yield* expired.revalidate, yield* expired.mutate(loaded), yield* read)
      assert.deepStrictEqual(
        seen.map(({ status }) => status),
        ["miss", "fresh", "stale", "expired", "fresh", "fresh", "fresh"]
      )
      for (const { value } of seen) assert.deepStrictEqual(value, { id: 1 })
    }).pipe(within()))

  for (const [status, age] of [["fresh", 0], ["stale", 10_000], ["expired", 20_000]] as const) {
    it.effect(`LG-37 differs, W-LG-1, W-LG-8: a ${status} value of another shape is a miss and told, once`, () =>
      Effect.gen(function*() {
        const events = yield* record
        yield* Swr.swr("k", Effect.succeed({ id: "from an older release" }), hour)
        yield* TestClock.adjust(age)
        const source = counted(() => Effect.succeed({ id: 1 }))
        const read = Swr.swr("k", source.lookup("k"), { ...ten, schema: User })
        assert.deepStrictEqual(shown(yield* read), [{ id: 1 }, "miss", "lookup", undefined])
        assert.deepStrictEqual(shown(yield* read), [{ id: 1 }, "fresh", "memory", undefined])
        yield* settle
        assert.strictEqual(source.calls, 1)
        assert.lengthOf(only(events, "DecodeFailed"), 1)
      }).pipe(within()))
  }

  it.effect("LG-38 differs: a lookup that answers another shape does not compile; forced, it is as LG-19", () =>
    Effect.gen(function*() {
      // @ts-expect-error: it is not what the schema says
      const read: Effect.Effect<Swr.Snapshot<unknown>, never, Swr.Cache> = Swr.swr("k", Effect.succeed("no user"), {
        schema: User
      })
      assert.deepStrictEqual(shown(yield* read), ["no user", "miss", "lookup", undefined])
      assert.strictEqual((yield* totals).size, 0)
    }).pipe(within()))

  it.effect("LG-39 differs: what is no schema does not compile; forced, the call is refused before it loads", () =>
    Effect.gen(function*() {
      const source = numbered()
      // @ts-expect-error: it can't decode
      const read: Effect.Effect<unknown, never, Swr.Cache> = Swr.swr("k", source.lookup("k"), { schema: {} })
      assert.instanceOf(defect(yield* Effect.exit(read)), Error)
      assert.strictEqual(source.calls, 0)
    }).pipe(within()))
})

describe("LangGraph: weaknesses not met above", () => {
  it.effect("W-LG-6: what is invalidated or removed is a miss; soft, it is stale", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.Cache
      yield* stored(origin, hour)
      yield* cache.invalidate("k", { mode: "soft" })
      const marked = yield* now(swr(origin, { freshFor: "1 hour" }))
      assert.deepStrictEqual(shown(marked), ["old", "stale", "memory", "marked"])
      yield* cache.invalidate("k")
      assert.isFalse(yield* cache.has("k"))
      assert.strictEqual((yield* stored(origin, hour)).status, "miss")
      yield* Swr.cacheSet("k", 1)
      yield* Swr.cacheRemove("k")
      assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.none())
    }).pipe(within()))

  it.effect("W-LG-8: a typed cache has one name, one lookup and one set of options", () =>
    Effect.gen(function*() {
      const options = { name: "c", lookup: numbered().lookup, ...hour }
      const cache = yield* Swr.make(options)
      yield* cache.get("k")
      assert.strictEqual(yield* (yield* Swr.make(options)).get("k"), "k1")
      assert.strictEqual(refused(yield* Effect.exit(Swr.make({ ...options, lookup: numbered().lookup }))), "name")
    }).pipe(within()))

  it.effect("W-LG-10: a `Redacted` key is in no event and no log", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const events = yield* record
      const source = counted((n) => n === 1 ? Effect.succeed("user 7") : Effect.fail(new Down({})))
      const users = yield* Swr.make({ name: "users", lookup: source.lookup, key: Redacted.make<string>, freshFor: 0 })
      yield* users.get("s3cret-token")
      yield* users.get("s3cret-token")
      yield* settle
      assert.lengthOf(events, 6)
      for (const { key } of events) assert.match(key, /^#[0-9a-f]{12}$/)
      assert.lengthOf(lines, 1)
      assert.notInclude(lines.join() + JSON.stringify(events), "s3cret")
    }).pipe(within(), Effect.provide(layer))
  })

  it.effect("W-LG-10: under a strict policy nothing is ever given past its bound, and no reader can ask for it", () =>
    Effect.gen(function*() {
      const source = counted((n) => n === 1 ? Effect.succeed("admin") : Effect.fail(new Down({})))
      const roles = yield* Swr.make({ name: "roles", lookup: source.lookup, policy: Policy.strict("5 seconds") })
      yield* roles.get("u")
      yield* TestClock.adjust(4_999)
      assert.strictEqual(yield* roles.get("u"), "admin")
      // @ts-expect-error: a strict cache takes only Policy.strict
      const lax = roles.get("u", { maxAge: "1 hour", staleIfError: "1 day" })
      assert.strictEqual(refused(yield* Effect.exit(lax)), "maxAge")
      yield* TestClock.adjust(1)
      assert.instanceOf(yield* Effect.flip(roles.get("u")), Down)
    }).pipe(within()))

  for (
    const [name, broken] of [
      ["keep", { keep: () => assert.fail("keep") }],
      ["weight", { weight: { of: () => assert.fail("weight"), max: 1 } }],
      ["schema", { schema: Schema.Literal("never") }]
    ] as const
  ) {
    it.effect(`W-LG-11: a fault of the cache's own (${name}) loses no loaded value`, () =>
      Effect.gen(function*() {
        const source = numbered()
        // The types keep out the value that does not fit the schema.
        const lookup = source.lookup as () => Effect.Effect<never>
        const cache = yield* Swr.make({ name: "c", lookup, key: String, ...hour, ...broken })
        assert.strictEqual(yield* cache.get("k"), "k1")
        assert.strictEqual(yield* cache.get("k"), "k2")
        assert.strictEqual((yield* cache.stats).size, 0)
      }).pipe(within()))
  }

  it.effect("W-LG-12: a boolean is no duration", () =>
    Effect.gen(function*() {
      // @ts-expect-error: to the types it is none either
      const read = Swr.swr("k", Effect.void, { freshFor: true })
      assert.strictEqual(refused(yield* Effect.exit(read)), "freshFor")
    }).pipe(within()))
})

const stale = { freshFor: "2 seconds", maxAge: "1 minute" } as const

/** A typed cache over an origin. */
const cached = (
  origin: Origin,
  options: { readonly freshFor: Duration.Input; readonly maxAge?: Duration.Input } = stale
) => Swr.make({ name: "c", lookup: origin.lookup, ...options })

describe("Vercel SWR", () => {
  it.effect("V-02 differs: `freshFor` is the two seconds in which no one loads again; they begin when the load ends", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      const reader = yield* start(cache.get("k"))
      yield* TestClock.adjust("5 seconds")
      yield* start(cache.get("k"))
      yield* origin.call(0).succeed("v")
      yield* join(reader)
      yield* TestClock.adjust(1_999)
      yield* now(cache.get("k"))
      assert.lengthOf(origin.calls, 1)
      yield* TestClock.adjust(1)
      yield* now(cache.get("k"))
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("V-02: a failure ends them at once, and `revalidate` loads within them", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      const failing = yield* start(cache.get("k"))
      yield* origin.call(0).fail()
      assert.isDefined(yield* ended(failing))
      yield* stock(origin, cache, 0)
      assert.lengthOf(origin.calls, 2)
      yield* start(cache.revalidate("k"))
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  it.effect("V-03: two callers are one load, another key is another", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      for (const key of ["a", "a", "b"]) yield* start(cache.get(key))
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a", "b"])
    }).pipe(within()))

  it.effect("V-03 differs: an empty key is a key; a key function that throws loads nothing and is that call's defect", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({
        name: "c",
        lookup: source.lookup,
        key: (key: string) => key === "not ready" ? assert.fail(key) : key,
        ...stale
      })
      assert.match(String(defect(yield* Effect.exit(cache.get("not ready")))), /not ready/)
      assert.strictEqual(source.calls, 0)
      assert.strictEqual(yield* cache.get(""), "1")
    }).pipe(within()))

  it.effect("V-04: of two loads side by side the one that was started last stays, however they end", () =>
    Effect.gen(function*() {
      for (const order of [[0, 1], [1, 0]] as const) {
        const origin = new Origin()
        const cache = yield* Swr.make({ name: order.join(), lookup: origin.lookup, ...stale })
        yield* start(cache.get("k"))
        yield* cache.invalidate("k")
        yield* start(cache.get("k"))
        for (const i of order) yield* origin.call(i).succeed(`load ${i}`)
        assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["load 1", "fresh", "memory", undefined])
      }
    }).pipe(within()))

  for (const begins of ["before", "during"] as const) {
    for (const ends of ["during", "after"] as const) {
      it.effect(`V-05: a load that begins ${begins} a mutation and ends ${ends} it leaves nothing behind it`, () =>
        Effect.gen(function*() {
          const origin = new Origin()
          const cache = yield* cached(origin)
          const written = yield* Deferred.make<string>()
          const mutation = cache.mutate("k", () => Deferred.await(written))
          if (begins === "before") yield* start(cache.get("k"))
          const mutating = yield* start(mutation)
          if (begins === "during") yield* start(cache.get("k"))
          if (ends === "during") yield* origin.call(0).succeed("load")
          yield* Deferred.succeed(written, "mine")
          yield* join(mutating)
          if (ends === "after") yield* origin.call(0).succeed("load")
          assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["mine", "fresh", "memory", undefined])
          assert.lengthOf(origin.calls, 1)
        }).pipe(within()))
    }
  }

  it.effect("V-05 differs: a load that ends while a mutation is open is given until the mutation writes", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      yield* start(cache.mutate("k", () => Effect.never))
      yield* stock(origin, cache, 0)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("V-05, V-12 differ: after a written value nothing is loaded; `revalidate` is `mutate(key)`", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin, { freshFor: 0 })
      yield* stock(origin, cache, 0)
      const forced = yield* start(cache.revalidate("k"))
      yield* origin.call(1).succeed("new")
      assert.strictEqual((yield* join(forced)).value, "new")
      yield* now(cache.get("k"))
      yield* origin.call(2).fail()
      assert.strictEqual((yield* cache.stats).backoffs, 1)
      yield* cache.set("k", "mine")
      yield* settle
      assert.strictEqual((yield* cache.stats).backoffs, 0)
      assert.lengthOf(origin.calls, 3)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["mine", "stale", "memory", "revalidating"])
      assert.lengthOf(origin.calls, 4)
    }).pipe(within(), Effect.provide(logs().layer)))
})

describe("TanStack Query", () => {
  it.effect("Q-05 differs: `revalidate` cancels nothing: those who wait get the running load, it begins after it", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      yield* stock(origin, cache, "1 minute")
      const reader = yield* start(cache.get("k"))
      const forced = yield* start(cache.revalidate("k"))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("running")
      assert.strictEqual(yield* join(reader), "running")
      yield* origin.call(2).succeed("begun after")
      assert.strictEqual((yield* join(forced)).value, "begun after")
    }).pipe(within()))

  it.effect("Q-05 differs: a mark cancels the refresh under way, and the next reader begins another", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      yield* stock(origin, cache, "2 seconds")
      yield* now(cache.get("k"))
      yield* cache.invalidate("k", { mode: "soft" })
      yield* settle
      assert.isTrue(origin.call(1).interrupted)
      assert.lengthOf(origin.calls, 2)
      yield* now(cache.get("k"))
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  it.effect("Q-09: the last one who waits interrupts the lookup and aborts its signal; a refresh ends and is kept", () =>
    Effect.gen(function*() {
      const signals: Array<AbortSignal> = []
      const answers: Array<(value: string) => void> = []
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string) =>
          Effect.promise((signal) => {
            signals.push(signal)
            return new Promise<string>((resolve) => answers.push(resolve))
          }),
        ...stale
      })
      const readers = [yield* start(cache.get("k")), yield* start(cache.get("k"))] as const
      yield* Fiber.interrupt(readers[0])
      assert.isFalse(signals[0]?.aborted)
      yield* Fiber.interrupt(readers[1])
      assert.isTrue(signals[0]?.aborted)
      yield* cache.set("k", "old", { age: "2 seconds" })
      yield* now(cache.get("k"))
      yield* settle
      answers[1]?.("new")
      yield* Effect.promise(() => Promise.resolve())
      yield* settle
      assert.isFalse(signals[1]?.aborted)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["new", "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("Q-09 differs: a lookup that asks for no signal is interrupted all the same", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      yield* Fiber.interrupt(yield* start(cache.get("k")))
      yield* settle
      assert.isTrue(origin.call(0).interrupted)
    }).pipe(within()))

  it.effect("Q-12 differs: undefined is a value; a change that fails writes nothing; an age can be given", () =>
    Effect.gen(function*() {
      const lookup = (_: string): Effect.Effect<unknown> => Effect.never
      const cache = yield* Swr.make({ name: "c", lookup, ...stale })
      yield* cache.set("k", "old", { age: "1500 millis" })
      assert.strictEqual((yield* now(cache.read("k"))).status, "fresh")
      yield* TestClock.adjust("500 millis")
      assert.instanceOf(yield* Effect.flip(cache.mutate("k", () => Effect.fail(new Gone()))), Gone)
      assert.strictEqual((yield* now(cache.read("k"))).status, "stale")
      yield* cache.mutate("k", () => Effect.undefined)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), [undefined, "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("Q-12 differs: a write cancels the load under way, so that it is not overwritten", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* cached(origin)
      yield* stock(origin, cache, "2 seconds")
      yield* now(cache.get("k"))
      yield* cache.set("k", "mine")
      yield* settle
      assert.isTrue(origin.call(1).interrupted)
      yield* origin.call(1).succeed("server's")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["mine", "fresh", "memory", undefined])
    }).pipe(within()))
})
