/**
 * What the caches of fleets do that this one learns from, one by one under the ids of their behaviours, and what happens
 * here. EX: express-route-cache; RX: nestjs-redisx; W-EX, W-RX: their weaknesses, shown to be absent. "differs" in a
 * name: on purpose, and `docs/differences.md` says why.
 *
 * On the test clock: each process is a layer of its own over one simulated store.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Option, Result, Schedule, Schema, Scope } from "effect"
import { type Event, Policy, Swr } from "effect-swr"
import * as Testing from "effect-swr/Testing"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import {
  collect,
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
  second,
  settle,
  shown,
  tags,
  words
} from "./Origin.ts"

/** Ten seconds fresh, then stale until twenty. */
const ten = { freshFor: "10 seconds", maxAge: "20 seconds" } as const

type Lookup = (key: string) => Effect.Effect<string, Down | Gone>
interface Options extends Policy.Windows<Down | Gone> {
  readonly freshFor: Duration.Input
  readonly keep?: (value: string, key: string) => Swr.Keep
  readonly version?: string
  readonly backoff?: typeof second
}

/** A process: a layer over the store, and its cache. */
const processOf = Effect.fnUntraced(function*(
  store: Testing.Simulated,
  name: string,
  lookup: Lookup,
  options: Options = ten,
  layer: Parameters<typeof Swr.layerStore>[0] = {}
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(Swr.layerStore(layer).pipe(Layer.provide(store.connect(name))), scope)
  const make = Swr.make({ name: "c", lookup, schema: Schema.String, ...options })
  const cache = yield* Effect.provideContext(make, context)
  const { events } = yield* Effect.provideContext(Swr.Cache, context)
  const seen: ReadonlyArray<Event.Event> = (yield* collect(events)).seen
  return { cache, seen, close: Scope.close(scope, Exit.void) }
})

/** A store, an origin whose loads end when the test says so, and two processes. */
const fleet = Effect.fnUntraced(function*(
  options: Options = ten,
  layer: Parameters<typeof Swr.layerStore>[0] = {},
  simulated: Testing.SimulatedOptions = {}
) {
  const store = yield* Testing.simulatedStore(simulated)
  const origin = new Origin()
  const process = (name: string) => processOf(store, name, origin.lookup, options, layer)
  return { store, origin, process, a: yield* process("a"), b: yield* process("b") }
})
type Process = Effect.Success<ReturnType<typeof processOf>>

/** Begins now, as far as it gets without time passing. */
const start = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tap(Effect.forkChild(effect, { startImmediately: true }), () => settle)

/** So much time passes, and what it brings about has come about. */
const passed = (time: Duration.Input) => Effect.andThen(TestClock.adjust(time), settle)

/** The process loads a value, and lets it come to an age. */
const stock = (origin: Origin, { cache }: Process, age: Duration.Input, value = "old") =>
  Effect.gen(function*() {
    const reader = yield* start(cache.get("k"))
    yield* settle
    yield* origin.call(-1).succeed(value)
    assert.strictEqual(yield* join(reader), value)
    yield* settle
    yield* TestClock.adjust(age)
  })

const read = ({ cache }: Process, policy?: Policy.Windows<Down | Gone>) =>
  Effect.map(now(cache.read("k", policy)), shown)
const get = ({ cache }: Process) => now(cache.get("k"))

it("what differs has a row in docs/differences.md, and each row that names a test has one", () => {
  const file = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
  const ids = (text: string, places: RegExp) =>
    new Set(Array.from(text.matchAll(places), ([place]) => place.match(/(EX|RX)-\d+/g) ?? []).flat())
  const rows = ids(file("../docs/differences.md"), /[^|]+\|$/gm)
  assert.sameMembers([...rows], [...ids(file("fleetSeeds.test.ts"), /"(W-)?[ER]X-[^:"]* differs?\b/g)])
})

describe("express-route-cache", () => {
  for (const problem of ["json", "format", "key", "depth", "size"] as const) {
    it.effect(`EX-09: what stands in the store and can't be read (${problem}) is a miss, and is written over`, () =>
      Effect.gen(function*() {
        const { a, b, origin, process, store } = yield* fleet()
        yield* stock(origin, a, 0)
        yield* store.garble("c", "k", problem)
        const reader = yield* start(b.cache.read("k"))
        yield* origin.call(1).succeed("new")
        assert.deepStrictEqual(shown(yield* join(reader)), ["new", "miss", "lookup", undefined])
        yield* settle
        assert.lengthOf(only(b.seen, "DecodeFailed"), 1)
        assert.deepStrictEqual(yield* read(yield* process("c")), ["new", "fresh", "store", undefined])
      }).pipe(Effect.scoped))
  }

  it.effect("EX-18 differs: a key is its parts, exactly; what is long the store is given as a hash", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const context = yield* Layer.build(Swr.layerStore().pipe(Layer.provide(store.connect("a"))))
      const make = Swr.make({
        name: "c",
        lookup: (key: ReadonlyArray<string>) => Effect.succeed(JSON.stringify(key)),
        key: (key: ReadonlyArray<string>) => key,
        schema: Schema.String,
        ...ten
      })
      const { get } = yield* Effect.provideContext(make, context)
      const keys = [["tag", "data"], ["tagdata"], ["tag:data"], ["ta", "gdata"], ["tag", "x".repeat(2000)]]
      for (const key of keys) assert.strictEqual(yield* now(get(key)), JSON.stringify(key))
      const given = (yield* store.log).flatMap(({ input, operation }) =>
        operation === "open" && Array.isArray(input) ? input.map(({ key }) => key) : []
      )
      assert.strictEqual(new Set(given).size, keys.length)
      assert.match(given.at(-1), /^[0-9a-f]{64}$/)
    }).pipe(Effect.scoped))

  for (const [name, left, say] of words) {
    it.effect(`EX-23: a load from before ${name} never surfaces after it, in any process`, () =>
      Effect.gen(function*() {
        const { a, b, origin } = yield* fleet({ ...ten, keep: (value) => ({ tags: [value] }) })
        const before = yield* start(a.cache.get("k"))
        yield* settle
        yield* now(Effect.orDie(say(b.cache)))
        yield* origin.call(0).succeed("old")
        // Who asked before it is given what he asked for, where he began the load.
        assert.strictEqual(yield* join(before), "old")
        const after = [yield* start(a.cache.get("k")), yield* start(b.cache.get("k"))]
        yield* settle
        if (left !== "set") yield* origin.call(1).succeed("new")
        yield* passed("200 millis")
        for (const reader of after) assert.strictEqual(yield* join(reader), left === "set" ? "set" : "new")
        assert.lengthOf(origin.calls, left === "set" ? 1 : 2)
      }).pipe(Effect.scoped))
  }

  it.effect("EX-19: a tag is voided by one command, however many entries bear it", () =>
    Effect.gen(function*() {
      const { a, b, store } = yield* fleet()
      const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
      for (const key of keys) yield* now(a.cache.set(key, "v", { tags: ["t"] }))
      const before = (yield* store.counts("b")).roundTrips
      yield* now(b.cache.invalidateTag("t"))
      assert.strictEqual((yield* store.counts("b")).roundTrips - before, 1)
      yield* settle
      for (const key of keys) assert.isFalse(yield* a.cache.has(key))
    }).pipe(Effect.scoped))

  it.effect("EX-26 differs: who finds the lease held waits for its holder, and does not load beside it", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      const readers = [yield* start(a.cache.get("k")), yield* start(b.cache.get("k"))]
      yield* passed("4 seconds")
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("v")
      yield* passed("200 millis")
      for (const reader of readers) assert.strictEqual(yield* join(reader), "v")
      assert.lengthOf(origin.calls, 1)
    }).pipe(Effect.scoped))

  it.effect("EX-27: without leases in the store, each process loads once", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet(ten, {}, { powers: { leases: false } })
      yield* stock(origin, a, "15 seconds")
      for (const process of [a, a, b, b]) assert.deepStrictEqual((yield* read(process))[1], "stale")
      yield* settle
      assert.lengthOf(origin.calls, 3)
    }).pipe(Effect.scoped))

  it.effect("EX-28: ten stale reads in two processes: all stale, one refresh", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      yield* stock(origin, a, "15 seconds")
      for (let i = 0; i < 5; i++) {
        for (const process of [a, b]) assert.deepStrictEqual((yield* read(process)).slice(0, 2), ["old", "stale"])
      }
      assert.lengthOf(origin.calls, 2)
    }).pipe(Effect.scoped))

  it.effect("EX-29: the lease is free after a success; after a failure it cools, the entry stays, and it is logged", () =>
    Effect.gen(function*() {
      const log = logs()
      const { a, b, origin, store } = yield* Effect.provide(fleet({ ...ten, backoff: second }), log.layer)
      yield* stock(origin, a, "15 seconds")
      assert.strictEqual((yield* store.size).leases, 0)
      yield* read(a)
      yield* settle
      yield* origin.call(1).fail()
      yield* settle
      assert.strictEqual((yield* store.size).leases, 1)
      assert.lengthOf(log.lines.filter((line) => /^Warn.*Down/.test(line)), 1)
      assert.deepStrictEqual(yield* read(b), ["old", "stale", "store", "error"])
      assert.lengthOf(origin.calls, 2)
      yield* TestClock.adjust("1 second")
      yield* read(b)
      yield* settle
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).succeed("new")
      yield* settle
      assert.strictEqual((yield* store.size).leases, 0)
    }).pipe(Effect.scoped))

  it.effect("EX-31 differs: a key is never taken for one that has the prefix already", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      const plain = yield* start(a.cache.get("k"))
      const prefixed = yield* start(b.cache.get("1:\"c\"1:\"k\""))
      yield* origin.call(0).succeed("plain")
      yield* origin.call(1).succeed("prefixed")
      assert.strictEqual(yield* join(plain), "plain")
      assert.strictEqual(yield* join(prefixed), "prefixed")
    }).pipe(Effect.scoped))

  it.effect("EX-32 differs: a failed load is not tried again behind its reader's back", () =>
    Effect.gen(function*() {
      const { a, origin } = yield* fleet()
      const reader = yield* start(a.cache.get("k"))
      yield* origin.call(0).fail()
      assert.instanceOf(error(yield* Effect.exit(join(reader))), Down)
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(origin.calls, 1)
    }).pipe(Effect.scoped))

  it.effect("EX-32 differs: a lookup that tries again is one load, and the last error is its reader's", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      let tries = 0
      const lookup = () => Effect.suspend(() => Effect.fail(new Down({ by: `${++tries}` })))
      const { cache, seen } = yield* processOf(
        store,
        "a",
        () => Effect.retry(lookup(), { times: 2, schedule: Schedule.exponential("200 millis") })
      )
      const reader = yield* start(cache.get("k"))
      yield* passed("200 millis")
      assert.strictEqual(tries, 2)
      yield* passed("400 millis")
      assert.propertyVal(error(yield* Effect.exit(join(reader))), "by", "3")
      yield* settle
      assert.lengthOf(only(seen, "LoadFailed"), 1)
    }).pipe(Effect.scoped))

  it.effect("EX-33 differs: a store that fails to read or to write fails no read", () =>
    Effect.gen(function*() {
      const { a, origin, store } = yield* fleet()
      for (const operation of ["open", "commit"] as const) {
        yield* store.fail("away", [operation])
        const reader = yield* start(a.cache.get(operation))
        yield* settle
        yield* origin.call(-1).succeed(operation)
        assert.strictEqual(yield* join(reader), operation)
        yield* store.up
      }
    }).pipe(Effect.scoped))

  it.effect("EX-34: a failed refresh reaches no reader; it is one event", () =>
    Effect.gen(function*() {
      const { a, origin } = yield* Effect.provide(fleet(), logs().layer)
      yield* stock(origin, a, "15 seconds")
      yield* read(a)
      yield* settle
      yield* origin.call(1).fail()
      yield* settle
      assert.deepStrictEqual(yield* read(a), ["old", "stale", "memory", "error"])
      assert.lengthOf(only(a.seen, "LoadFailed"), 1)
    }).pipe(Effect.scoped))

  it.effect("EX-35 differs: what a store can't do it says, and a tag that can't be noted is refused", () =>
    Effect.gen(function*() {
      const { a } = yield* fleet(ten, {}, { powers: { tags: false } })
      const refused = error(yield* Effect.exit(now(a.cache.invalidateTag("t"))))
      assert.propertyVal(refused, "reason", "unsupported")
    }).pipe(Effect.scoped))

  it.effect("EX-36 differs: what its six counters count, `stats` and events count by other names", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* Effect.provide(fleet(), logs().layer)
      const readers = [yield* start(a.cache.get("k")), yield* start(a.cache.get("k")), yield* start(b.cache.get("k"))]
      yield* passed("1 second")
      yield* origin.call(0).succeed("old")
      yield* passed("200 millis")
      for (const reader of readers) yield* join(reader)
      yield* get(a)
      yield* TestClock.adjust("15 seconds")
      yield* get(a)
      yield* settle
      yield* origin.call(1).fail()
      yield* settle
      const { failures, hits, joined, misses, stale } = yield* a.cache.stats
      assert.deepStrictEqual(
        { hits, misses, swrHits: stale, swrFailures: failures, stampedeCoalesces: joined },
        { hits: 1, misses: 1, swrHits: 1, swrFailures: 1, stampedeCoalesces: 1 }
      )
      assert.isNotEmpty(only(b.seen, "Lease").filter(({ outcome }) => outcome === "held"), "stampedePolls")
    }).pipe(Effect.scoped))
})

describe("express-route-cache: weaknesses", () => {
  it.effect("W-EX-1: a refresh goes on when its reader has gone", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      yield* stock(origin, a, "15 seconds")
      assert.strictEqual(yield* get(a), "old")
      yield* TestClock.adjust("1 second")
      yield* origin.call(1).succeed("new")
      yield* settle
      assert.strictEqual(yield* get(a), "new")
      assert.strictEqual(yield* get(b), "new")
    }).pipe(Effect.scoped))

  it.effect("W-EX-2: after a refresh that failed the next one waits for the back-off and no longer", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* Effect.provide(fleet({ ...ten, backoff: second }), logs().layer)
      yield* stock(origin, a, "15 seconds")
      for (let i = 1; i <= 3; i++) {
        yield* read(i % 2 === 0 ? b : a)
        yield* settle
        assert.lengthOf(origin.calls, 1 + i)
        yield* origin.call(i).fail()
        yield* settle
        yield* TestClock.adjust("1 second")
      }
    }).pipe(Effect.scoped))

  it.effect("W-EX-3, W-EX-8: fifty stale reads while a refresh runs: one load", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      yield* stock(origin, a, "15 seconds")
      for (let i = 0; i < 25; i++) {
        yield* read(a)
        yield* read(b)
      }
      assert.lengthOf(origin.calls, 2)
    }).pipe(Effect.scoped))

  it.effect("W-EX-4: a lookup that dies behind its reader's back kills nobody, and is told", () =>
    Effect.gen(function*() {
      const log = logs()
      const { a, origin } = yield* Effect.provide(fleet(), log.layer)
      yield* stock(origin, a, "15 seconds")
      yield* read(a)
      yield* settle
      yield* origin.call(1).die(new Error("boom"))
      yield* settle
      assert.strictEqual(yield* get(a), "old")
      assert.lengthOf(log.lines.filter((line) => line.includes("boom")), 1)
    }).pipe(Effect.scoped))

  it.effect("W-EX-5: every entrance refreshes, also that of keys without a cache of their own", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = new Origin()
      const options = { schema: Schema.String, ...ten }
      const layer = Swr.layerStore().pipe(Layer.provide(store.connect("a")))
      yield* Effect.gen(function*() {
        const swr = Swr.swr("k", origin.lookup("k"), options)
        const first = yield* start(swr)
        yield* settle
        yield* origin.call(0).succeed("old")
        yield* join(first)
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual((yield* now(swr)).status, "stale")
        yield* settle
        yield* origin.call(1).succeed("new")
        yield* settle
        assert.strictEqual((yield* now(swr)).value, "new")
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.effect("W-EX-6: when the holder of a lease is dead, one of those who wait takes over as it ends", () =>
    Effect.gen(function*() {
      const { a, b, origin, process, store } = yield* fleet()
      yield* start(a.cache.get("k"))
      yield* store.partition("a")
      const c = yield* process("c")
      const readers = [yield* start(b.cache.get("k")), yield* start(c.cache.get("k"))]
      yield* passed("4900 millis")
      assert.lengthOf(origin.calls, 1)
      yield* passed("200 millis")
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("new")
      yield* passed("200 millis")
      for (const reader of readers) assert.strictEqual(yield* join(reader), "new")
      // Who was taken for dead frees nobody's lease, and puts nothing over what is there.
      yield* store.heal("a")
      yield* origin.call(0).succeed("late")
      yield* passed("200 millis")
      assert.strictEqual(yield* get(b), "new")
      assert.strictEqual(yield* get(yield* process("d")), "new")
      assert.lengthOf(origin.calls, 2)
    }).pipe(Effect.scoped))

  it.effect("W-EX-7: who waits for another process is given what is fresh for him, and nothing else", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      yield* stock(origin, a, "15 seconds")
      assert.strictEqual(yield* get(a), "old")
      yield* settle
      assert.lengthOf(origin.calls, 2, "the other one refreshes")
      const reader = yield* start(b.cache.get("k", { freshFor: "10 seconds", maxAge: "10 seconds" }))
      yield* passed("1 second")
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(1).succeed("new")
      yield* passed("200 millis")
      assert.strictEqual(yield* join(reader), "new")
      assert.lengthOf(origin.calls, 2)
    }).pipe(Effect.scoped))

  it.effect("W-EX-8: null is a value, in the store too", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      let loads = 0
      const nothing = (name: string) =>
        Effect.gen(function*() {
          const context = yield* Layer.build(Swr.layerStore().pipe(Layer.provide(store.connect(name))))
          const lookup = (_: string) => Effect.sync(() => ++loads > 0 ? null : "")
          const make = Swr.make({ name: "c", lookup, schema: Schema.NullOr(Schema.String), ...ten })
          return yield* Effect.provideContext(make, context)
        })
      assert.isNull(yield* now((yield* nothing("a")).get("k")))
      yield* settle
      assert.isNull(yield* now((yield* nothing("b")).get("k")))
      assert.strictEqual(loads, 1)
    }).pipe(Effect.scoped))

  it.effect("W-EX-16: the lease is held until the value is in the store", () =>
    Effect.gen(function*() {
      const { a, b, origin, store } = yield* fleet()
      const loading = yield* start(a.cache.get("k"))
      yield* store.latency({ request: "40 millis" })
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(loading), "v")
      yield* store.latency({ request: 0 })
      const reader = yield* start(b.cache.get("k"))
      assert.deepInclude(yield* store.size, { entries: 0, leases: 1 }, "the value is on its way")
      yield* passed("40 millis")
      assert.deepInclude(yield* store.size, { entries: 1, leases: 0 })
      yield* passed("200 millis")
      assert.strictEqual(yield* join(reader), "v")
      assert.lengthOf(origin.calls, 1)
      const said = (yield* store.log).filter(({ process }) => process === "a").map(({ operation }) => operation)
      assert.deepStrictEqual(said, ["open", "commit"], "one command does both")
    }).pipe(Effect.scoped))

  const losses: ReadonlyArray<readonly [what: string, lose: (store: Testing.Simulated) => Effect.Effect<void>]> = [
    ["the clock of the cache, with its notes", (store) => store.evictClock("c")],
    ["what says who may commit", (store) => store.evict("c", "k", "token")],
    ["everything", (store) => store.restart]
  ]
  for (const [what, lose] of losses) {
    it.effect(`W-EX-16: where the store loses ${what}, nothing comes back from before it`, () =>
      Effect.gen(function*() {
        const { a, b, origin, process, store } = yield* fleet({ ...ten, keep: () => ({ tags: ["t"] }) })
        yield* stock(origin, a, "15 seconds")
        assert.strictEqual(yield* get(a), "old")
        yield* settle
        yield* now(b.cache.invalidateTag("t"))
        yield* lose(store)
        const reader = yield* start((yield* process("c")).cache.get("k"))
        yield* settle
        yield* origin.call(1).succeed("older")
        yield* passed("6 seconds")
        yield* origin.call(2).succeed("new")
        assert.strictEqual(yield* join(reader), "new")
        yield* settle
        for (const each of [a, b, yield* process("d")]) assert.strictEqual(yield* get(each), "new")
      }).pipe(Effect.scoped))

    it.effect(`W-EX-16: a load that was under way while the store lost ${what} is kept nowhere in it`, () =>
      Effect.gen(function*() {
        const { a, origin, store } = yield* fleet()
        const loading = yield* start(a.cache.get("k"))
        yield* settle
        yield* lose(store)
        yield* origin.call(0).succeed("v")
        assert.strictEqual(yield* join(loading), "v")
        yield* settle
        assert.strictEqual((yield* store.size).entries, 0)
      }).pipe(Effect.scoped))
  }
})

describe("nestjs-redisx", () => {
  it.effect("RX-01: what a store keeps it keeps for the life of the entry, and no longer", () =>
    Effect.gen(function*() {
      const { a, b, origin, store } = yield* fleet({ ...ten, staleIfError: "1 minute" })
      yield* stock(origin, a, "69999 millis")
      assert.strictEqual((yield* store.size).entries, 1)
      const reader = yield* start(b.cache.get("k"))
      yield* origin.call(1).fail()
      assert.strictEqual(yield* join(reader), "old")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* store.size).entries, 0)
    }).pipe(Effect.scoped))

  it.effect("RX-02 differs: fresh until ten seconds, stale until twenty, and not a millisecond longer", () =>
    Effect.gen(function*() {
      const { a, origin, process } = yield* fleet()
      yield* stock(origin, a, "9999 millis")
      assert.deepStrictEqual(yield* read(yield* process("fresh")), ["old", "fresh", "store", undefined])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* read(yield* process("stale")), ["old", "stale", "store", "revalidating"])
      yield* origin.call(1).fail()
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* read(yield* process("still stale")))[1], "stale")
      yield* TestClock.adjust("1 millis")
      const late = yield* process("late")
      const reader = yield* start(late.cache.get("k"))
      yield* passed("5 seconds")
      yield* origin.call(-1).succeed("new")
      yield* passed("5 seconds")
      assert.strictEqual(yield* join(reader), "new")
    }).pipe(Effect.scoped, Effect.provide(logs().layer)))

  it.effect("RX-03: a stale value is given at once, and one refresh is behind it", () =>
    Effect.gen(function*() {
      const { a, origin } = yield* fleet()
      yield* stock(origin, a, "15 seconds")
      const reads = yield* Effect.all(Array.from({ length: 20 }, () => get(a)))
      assert.deepStrictEqual(new Set(reads), new Set(["old"]))
      assert.lengthOf(origin.calls, 2)
    }).pipe(Effect.scoped))

  it.effect("RX-04: a refresh is put in the store and in memory; a failed one leaves what is there", () =>
    Effect.gen(function*() {
      const { a, origin, process } = yield* Effect.provide(fleet({ ...ten, backoff: second }), logs().layer)
      yield* stock(origin, a, "15 seconds")
      yield* get(a)
      yield* settle
      yield* origin.call(1).fail()
      yield* settle
      assert.strictEqual(yield* get(a), "old")
      assert.strictEqual(yield* get(yield* process("c")), "old")
      yield* passed("1 second")
      yield* get(a)
      yield* settle
      yield* origin.call(2).succeed("new")
      yield* settle
      assert.deepStrictEqual(yield* read(a), ["new", "fresh", "memory", undefined])
      assert.deepStrictEqual(yield* read(yield* process("d")), ["new", "fresh", "store", undefined])
    }).pipe(Effect.scoped))

  it.effect("RX-05: a miss is loaded under the lease, and kept before the lease is free", () =>
    Effect.gen(function*() {
      const { a, b, origin, store } = yield* fleet()
      const first = yield* start(a.cache.get("k"))
      assert.deepStrictEqual(yield* store.size, { entries: 0, leases: 1, tokens: 1 })
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(first), "v")
      yield* settle
      assert.deepStrictEqual(yield* store.size, { entries: 1, leases: 0, tokens: 0 })
      assert.strictEqual(yield* get(b), "v")
      assert.lengthOf(origin.calls, 1)
    }).pipe(Effect.scoped))

  it.effect("RX-06 differs: windows have no defaults; a reader's own lie over the cache's, either way", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      yield* stock(origin, a, "5 seconds")
      assert.strictEqual((yield* read(b, { freshFor: "1 second" }))[1], "stale")
      yield* passed("10 seconds")
      assert.strictEqual((yield* read(b, { freshFor: "18 seconds" }))[1], "fresh")
    }).pipe(Effect.scoped))

  it.effect("RX-07 differs: memory is looked at first, also for what may be stale", () =>
    Effect.gen(function*() {
      const { a, origin, store } = yield* fleet()
      yield* stock(origin, a, 0)
      const { open } = yield* store.counts("a")
      for (let i = 0; i < 3; i++) assert.deepStrictEqual(yield* read(a), ["old", "fresh", "memory", undefined])
      assert.strictEqual((yield* store.counts("a")).open, open)
    }).pipe(Effect.scoped))

  it.effect("RX-08, RX-22: a store that fails is a miss to who reads, and an error to who writes", () =>
    Effect.gen(function*() {
      const { a, origin, store } = yield* fleet()
      yield* store.down("away")
      const reader = yield* start(a.cache.get("k"))
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
      for (const [, , say] of words) {
        const exit = yield* Effect.exit(now(say(a.cache)))
        assert.propertyVal(error(exit), "_tag", "StoreError")
      }
    }).pipe(Effect.scoped))

  it.effect("RX-09 differs, W-RX-7: what was loaded is given, whatever becomes of the write", () =>
    Effect.gen(function*() {
      const { a, origin, store } = yield* fleet({ ...ten, staleIfError: "1 hour" })
      yield* stock(origin, a, "30 seconds")
      yield* store.fail("full", ["commit"])
      const reader = yield* start(a.cache.get("k"))
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(reader), "new")
      yield* settle
      assert.strictEqual(yield* get(a), "new")
    }).pipe(Effect.scoped))

  it.effect("RX-10: how many loads are under way can be asked", () =>
    Effect.gen(function*() {
      const { a, origin } = yield* fleet()
      yield* stock(origin, a, "15 seconds")
      yield* get(a)
      yield* settle
      assert.strictEqual((yield* a.cache.stats).flights, 1)
      yield* origin.call(1).succeed("new")
      yield* settle
      assert.strictEqual((yield* a.cache.stats).flights, 0)
    }).pipe(Effect.scoped))

  it.effect("RX-11, RX-13: an old value stands in for a load that fails, in its window, also without a stale one", () =>
    Effect.gen(function*() {
      const when = (error: Down | Gone) => error._tag === "Down"
      const options = { freshFor: 10_000, maxAge: 10_000, staleIfError: { window: 60_000, when } }
      const { a, origin, process } = yield* Effect.provide(fleet(options), logs().layer)
      yield* stock(origin, a, "15 seconds")
      const failing = yield* start((yield* process("failing")).cache.read("k"))
      yield* origin.call(1).fail()
      assert.deepStrictEqual(shown(yield* join(failing)), ["old", "expired", "store", "error"])
      yield* passed("2 minutes")
      const gone = yield* start(a.cache.get("k"))
      yield* origin.call(2).fail()
      assert.instanceOf(error(yield* Effect.exit(join(gone))), Down)
    }).pipe(Effect.scoped))

  it.effect("RX-12 differs: the window counts from when the value goes stale", () =>
    Effect.gen(function*() {
      const { a, origin, process } = yield* fleet({ ...ten, staleIfError: "30 seconds" })
      yield* stock(origin, a, "40 seconds")
      const reader = yield* start((yield* process("c")).cache.get("k"))
      yield* origin.call(1).fail()
      assert.instanceOf(error(yield* Effect.exit(join(reader))), Down)
    }).pipe(Effect.scoped))

  it.effect("RX-13, W-RX-12: `when` is asked about the lookup's own error, and one that throws hides no error", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const when = (error: Down | Gone): boolean => {
        asked.push(error)
        throw new Error("when")
      }
      const { a, origin } = yield* fleet({ ...ten, staleIfError: { window: "1 hour", when } })
      yield* stock(origin, a, "30 seconds")
      const reader = yield* start(a.cache.get("k"))
      yield* origin.call(1).fail(new Gone())
      const exit = yield* Effect.exit(join(reader))
      assert.isTrue(Exit.isSuccess(exit) || error(exit) instanceof Gone)
      assert.isAbove(asked.length, 0)
      for (const error of asked) assert.instanceOf(error, Gone)
    }).pipe(Effect.scoped, Effect.provide(logs().layer)))

  it.effect("RX-14: windows that mean nothing are refused before anything is asked", () =>
    Effect.gen(function*() {
      for (const staleIfError of [-1, NaN, Infinity]) {
        const store = yield* Testing.simulatedStore()
        const exit = yield* Effect.exit(processOf(store, "a", () => Effect.succeed("v"), { ...ten, staleIfError }))
        assert.propertyVal(defect(exit), "option", "staleIfError")
      }
    }).pipe(Effect.scoped))

  it.effect("RX-15, RX-16: who waits for the holder asks again, and loads when there is nothing and nobody", () =>
    Effect.gen(function*() {
      const { a, b, origin, store } = yield* fleet()
      const first = yield* start(a.cache.get("k"))
      const second = yield* start(b.cache.get("k"))
      yield* passed("500 millis")
      assert.isAbove((yield* store.counts("b")).open, 3)
      yield* origin.call(0).fail()
      assert.instanceOf(error(yield* Effect.exit(join(first))), Down)
      yield* passed("200 millis")
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("v")
      assert.strictEqual(yield* join(second), "v")
    }).pipe(Effect.scoped))

  it.effect("RX-17 differs, W-RX-10: a load slower than its lease keeps it, and nobody loads beside it", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      const readers = [yield* start(a.cache.get("k")), yield* start(b.cache.get("k"))]
      yield* passed("1 second")
      for (let i = 0; i < 30; i++) yield* passed("1 second")
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("v")
      yield* passed("200 millis")
      for (const reader of readers) assert.strictEqual(yield* join(reader), "v")
      assert.lengthOf(origin.calls, 1)
    }).pipe(Effect.scoped))

  it.effect("RX-21 differs: what its methods do, by other names", () =>
    Effect.gen(function*() {
      const { a, b } = yield* fleet()
      const { cache } = a
      yield* now(cache.set("k", "v", { freshFor: "5 seconds", tags: ["t"] }))
      yield* now(cache.set("l", "w"))
      assert.deepStrictEqual(yield* now(b.cache.getMany(["k", "l"])), ["v", "w"])
      const [answer] = yield* now(cache.readMany(["k"]))
      assert.isDefined(answer)
      const { freshFor, servableFor } = Result.getOrThrow(answer)
      assert.deepStrictEqual([freshFor, servableFor].map(Duration.toSeconds), [5, 20])
      assert.isTrue(yield* cache.has("k"))
      yield* now(b.cache.invalidateTag("t"))
      yield* settle
      assert.isFalse(yield* cache.has("k"))
      yield* now(b.cache.invalidateMany(["l"]))
      yield* settle
      assert.isFalse(yield* cache.has("l"))
      yield* now(cache.clear)
    }).pipe(Effect.scoped))

  it.effect("RX-23 differs, RX-27 differs: every text is a key of its own, and a tag of its own", () =>
    Effect.gen(function*() {
      const { a, b } = yield* fleet()
      const texts = [
        "",
        " ",
        "a",
        "A",
        "a b",
        "a\r\nb",
        "*",
        "{a}",
        "a:b",
        "__proto__",
        "x".repeat(2000),
        "\ud800",
        "ü"
      ]
      for (const text of texts) yield* now(a.cache.set(text, `of ${text}`, { tags: [text] }))
      for (const text of texts) assert.strictEqual(yield* now(b.cache.get(text)), `of ${text}`)
      yield* now(a.cache.invalidateTag("a"))
      yield* settle
      assert.deepStrictEqual([yield* b.cache.has("a"), yield* b.cache.has("A")], [false, true])
    }).pipe(Effect.scoped))

  it.effect("RX-24 differs: windows of a `set` are judged as all others are", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      for (const maxAge of [0, -5, NaN]) {
        const exit = yield* Effect.exit(now(a.cache.set("k", "v", { maxAge })))
        assert.propertyVal(defect(exit), "option", "maxAge")
      }
      yield* now(a.cache.set("k", "v", { maxAge: "999999 seconds", freshFor: "999999 seconds" }))
      yield* passed("21 seconds")
      const reader = yield* start(b.cache.get("k"))
      yield* origin.call(0).succeed("new")
      assert.strictEqual(yield* join(reader), "new")
    }).pipe(Effect.scoped))

  it.effect("RX-25, W-RX-11: memory gives nothing past the life that the store's entry has", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet({ freshFor: "10 seconds", maxAge: "10 seconds" })
      yield* stock(origin, a, "9 seconds")
      assert.deepStrictEqual(yield* read(b), ["old", "fresh", "store", undefined])
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* get(b), "old")
      yield* TestClock.adjust("1 millis")
      const reader = yield* start(b.cache.get("k"))
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(reader), "new")
    }).pipe(Effect.scoped))

  it.effect("RX-26: a cache without a schema stays in memory, and the store hears nothing of its values", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = numbered()
      const local = (name: string) =>
        Effect.gen(function*() {
          const context = yield* Layer.build(Swr.layerStore().pipe(Layer.provide(store.connect(name))))
          return yield* Effect.provideContext(Swr.make({ name: "c", lookup: origin.lookup, ...ten }), context)
        })
      assert.strictEqual(yield* now((yield* local("a")).get("k")), "k1")
      assert.strictEqual(yield* now((yield* local("b")).get("k")), "k2")
      assert.strictEqual((yield* store.size).entries, 0)
    }).pipe(Effect.scoped, Effect.provide(logs().layer)))
})

describe("nestjs-redisx: weaknesses", () => {
  it.effect("W-RX-3: what a refresh brings bears its tags", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet({ ...ten, keep: (value) => ({ tags: [value] }) })
      yield* stock(origin, a, "15 seconds")
      yield* get(a)
      yield* settle
      yield* origin.call(1).succeed("new")
      yield* settle
      assert.strictEqual(yield* get(b), "new")
      yield* now(b.cache.invalidateTag("new"))
      yield* settle
      for (const { cache } of [a, b]) assert.isFalse(yield* cache.has("k"))
      yield* start(a.cache.get("k"))
      assert.lengthOf(origin.calls, 3)
    }).pipe(Effect.scoped))

  it.effect("W-RX-4: what is kept for failing loads alone is not there for who only looks", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const context = yield* Layer.build(Swr.layerStore().pipe(Layer.provide(store.connect("a"))))
      const options = { schema: Schema.String }
      yield* Effect.gen(function*() {
        yield* Swr.cacheSet("k", "v", { ...options, timeToLive: "10 seconds" })
        yield* TestClock.adjust("9999 millis")
        assert.deepStrictEqual(yield* now(Swr.cacheGet("k", options)), Option.some("v"))
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* now(Swr.cacheGet("k", options)), Option.none())
      }).pipe(Effect.provideContext(context))
      const { a, b, origin } = yield* fleet({ ...ten, staleIfError: "1 hour" })
      yield* stock(origin, a, "1 minute")
      assert.isFalse(yield* a.cache.has("k"))
      assert.isFalse(yield* b.cache.has("k"))
    }).pipe(Effect.scoped))

  it.effect("W-RX-5: what was set goes stale as what was loaded", () =>
    Effect.gen(function*() {
      const { a, b } = yield* fleet()
      yield* now(a.cache.set("k", "v"))
      yield* passed("10 seconds")
      assert.deepStrictEqual(yield* read(b), ["v", "stale", "store", "revalidating"])
    }).pipe(Effect.scoped))

  it.effect("W-RX-6: a load is overtaken by a set, and a refresh by an invalidation, of any process", () =>
    Effect.gen(function*() {
      const { a, b, origin, process } = yield* fleet()
      const loading = yield* start(a.cache.get("k"))
      yield* now(b.cache.set("k", "set"))
      yield* settle
      yield* origin.call(0).succeed("OLD")
      yield* join(loading)
      yield* settle
      for (const each of [a, b, yield* process("c")]) assert.strictEqual(yield* get(each), "set")
      yield* passed("15 seconds")
      yield* get(a)
      yield* settle
      yield* now(b.cache.invalidate("k"))
      yield* settle
      yield* origin.call(1).succeed("OLD-BG")
      yield* settle
      for (const { cache } of [a, b]) assert.isFalse(yield* cache.has("k"))
      yield* start(b.cache.get("k"))
      assert.lengthOf(origin.calls, 3)
    }).pipe(Effect.scoped))

  it.effect("W-RX-8: a refresh that hangs is given up at its limit, and the key is refreshed again", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet({ ...ten, maxAge: "1 hour", backoff: second })
      yield* stock(origin, a, "15 seconds")
      yield* get(a)
      yield* settle
      for (let i = 0; i < 62; i++) yield* passed("1 second")
      yield* get(b)
      yield* settle
      assert.lengthOf(origin.calls, 3)
      assert.isTrue(origin.call(1).interrupted)
    }).pipe(Effect.scoped, Effect.provide(logs().layer)))

  it.effect("W-RX-9: a failing origin is tried once per back-off, by whichever process", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet({ ...ten, maxAge: "1 hour", backoff: second })
      yield* stock(origin, a, "15 seconds")
      for (let i = 1; i <= 3; i++) {
        for (let j = 0; j < 10; j++) {
          yield* get(a)
          yield* get(b)
          yield* settle
          if (origin.running > 0) yield* origin.call(-1).fail()
          yield* settle
        }
        assert.lengthOf(origin.calls, 1 + i)
        yield* passed("1 second")
      }
    }).pipe(Effect.scoped, Effect.provide(logs().layer)))

  it.effect("W-RX-11: one key or many, the same is read", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      yield* stock(origin, a, 0)
      assert.strictEqual(yield* get(b), "old")
      yield* now(a.cache.set("k", "new"))
      yield* settle
      for (const process of [a, b]) {
        assert.strictEqual(yield* get(process), "new")
        assert.deepStrictEqual(yield* now(process.cache.getMany(["k"])), ["new"])
      }
    }).pipe(Effect.scoped))

  it.effect("W-RX-12: what is not to be kept is not kept by a refresh either", () =>
    Effect.gen(function*() {
      const { a, b, origin, store } = yield* fleet({ ...ten, keep: (value) => value === "bad" ? "share" : {} })
      yield* stock(origin, a, "15 seconds")
      yield* get(a)
      yield* settle
      yield* origin.call(1).succeed("bad")
      yield* settle
      for (const process of [a, b]) assert.strictEqual(yield* get(process), "old")
      assert.strictEqual((yield* store.size).entries, 1)
    }).pipe(Effect.scoped))

  it.effect("W-RX-13: reads, refreshes and joins tell of themselves, also where the store answered", () =>
    Effect.gen(function*() {
      const { a, b, origin } = yield* fleet()
      yield* stock(origin, a, "15 seconds")
      yield* get(b)
      yield* settle
      yield* origin.call(1).succeed("new")
      yield* settle
      yield* get(a)
      yield* settle
      const told = (process: Process) => tags(process.seen, "k").filter((tag) => tag !== "Lease")
      assert.deepStrictEqual(told(a), ["Miss", "Load", "Commit", "Served"])
      assert.deepStrictEqual(told(b), ["Miss", "Served", "Load", "Commit"])
    }).pipe(Effect.scoped))

  it.effect("W-RX-14: versions of a cache live side by side", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const [first, other] = [numbered(), numbered()]
      const one = yield* processOf(store, "a", first.lookup, { ...ten, version: "1" })
      const two = yield* processOf(store, "b", other.lookup, { ...ten, version: "2" })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(yield* get(one), "k1")
        assert.strictEqual(yield* get(two), "k1")
        yield* settle
      }
      assert.deepStrictEqual([first.calls, other.calls], [1, 1])
      yield* now(one.cache.invalidate("k"))
      yield* settle
      assert.strictEqual(yield* get(two), "k2")
    }).pipe(Effect.scoped))

  it.effect("W-RX-15: a value that is loaded while its tag is invalidated is not left behind", () =>
    Effect.gen(function*() {
      const { a, b, origin, store } = yield* fleet({ ...ten, keep: () => ({ tags: ["t"] }) })
      const reader = yield* start(a.cache.get("k"))
      yield* now(b.cache.invalidateTag("t"))
      yield* settle
      yield* origin.call(0).succeed("old")
      yield* join(reader)
      yield* settle
      assert.strictEqual((yield* store.size).entries, 0)
      for (const { cache } of [a, b]) assert.isFalse(yield* cache.has("k"))
    }).pipe(Effect.scoped))
})

describe("what the store alone has", () => {
  it.effect("R10: stands in for a load that is slower than the reader's patience", () =>
    Effect.gen(function*() {
      const { a, origin, process } = yield* fleet({ ...ten, staleIfError: "1 hour" })
      yield* stock(origin, a, "1 minute")
      const c = yield* process("c")
      const reader = yield* start(c.cache.read("k", { softTimeout: "1 second" }))
      yield* passed("1 second")
      assert.deepStrictEqual(shown(yield* join(reader)), ["old", "expired", "store", "timeout"])
      yield* origin.call(1).succeed("new")
      yield* settle
      assert.strictEqual(yield* get(c), "new")
    }).pipe(Effect.scoped))

  it.effect("R10: also where the store is slower than that", () =>
    Effect.gen(function*() {
      const { a, origin, process, store } = yield* fleet({ ...ten, staleIfError: "1 hour" })
      yield* stock(origin, a, "1 minute")
      const c = yield* process("c")
      yield* store.latency({ reply: "40 millis" })
      const reader = yield* start(c.cache.read("k", { softTimeout: "20 millis" }))
      yield* passed("40 millis")
      yield* store.latency({ reply: 0 })
      assert.deepStrictEqual(shown(yield* join(reader)), ["old", "expired", "store", "timeout"])
    }).pipe(Effect.scoped))
})

describe("leases", () => {
  it.effect("I13: who hears too late that the right to load is his gives it back when he has loaded", () =>
    Effect.gen(function*() {
      const { a, b, origin, store } = yield* fleet()
      yield* store.latency({ reply: "60 millis" })
      const first = yield* start(a.cache.get("k"))
      yield* passed("50 millis")
      assert.lengthOf(origin.calls, 1, "it loads without the store")
      yield* store.latency({ reply: 0 })
      yield* passed("10 millis")
      const second = yield* start(b.cache.get("k"))
      yield* passed("1 second")
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("mine")
      assert.strictEqual(yield* join(first), "mine")
      yield* passed("200 millis")
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("for all")
      assert.strictEqual(yield* join(second), "for all")
    }).pipe(Effect.scoped))
})

describe("announcements", () => {
  it.effect("I15: a line that has held is taken up again at once, however often it broke before", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const origin = numbered()
      const a = yield* processOf(store, "a", origin.lookup, ten, { trustFor: "1 hour" })
      const b = yield* processOf(store, "b", origin.lookup, ten, { trustFor: "1 hour" })
      for (let i = 0; i < 8; i++) {
        yield* store.disconnect
        yield* TestClock.adjust("2 seconds")
      }
      yield* store.disconnect
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* now(b.cache.get("k")), "k1")
      yield* now(a.cache.invalidate("k"))
      yield* settle
      assert.strictEqual(yield* now(b.cache.get("k")), "k2")
    }).pipe(Effect.scoped))
})
