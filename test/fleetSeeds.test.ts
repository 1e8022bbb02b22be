/**
 * What the caches of fleets do that this one learns from, one by one under the ids of their behaviours, and what happens
 * here. EX: express-route-cache; RX: nestjs-redisx; W-EX, W-RX: their weaknesses, shown to be absent. "differs" in a
 * name: on purpose, and `docs/differences.md` says why.
 *
 * On the test clock: each process is a layer of its own over one simulated store.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Exit, Layer, Schema, Scope } from "effect"
import { type Event, Policy, Swr } from "effect-swr"
import * as Testing from "effect-swr/Testing"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import {
  collect,
  Down,
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
      const reader = yield* start(b.cache.get("k", { freshFor: "10 seconds", maxAge: "10 seconds" }))
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(reader), "new")
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
