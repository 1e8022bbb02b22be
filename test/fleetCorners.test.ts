/**
 * Two tiers in their corners: a store that lies, what comes between a question and its answer, layers that close in
 * the middle of a step.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Queue, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Store from "../src/Store.ts"
import * as Swr from "../src/Swr.ts"
import * as Testing from "../src/Testing.ts"
import { collect, ended, interrupted, join, settle, start } from "./Origin.ts"

type Service = Store.Store["Service"]

/** A process whose store is the simulated one, as far as `change` leaves it so. */
const processOf = Effect.fnUntraced(function*(
  store: Testing.Simulated,
  name: string,
  options: Parameters<typeof Swr.layerStore>[0] = {},
  change: (store: Service) => Partial<Service> = () => ({})
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const lying = Layer.effect(
    Store.Store,
    Effect.map(Store.Store, (service) => Store.Store.of({ ...service, ...change(service) }))
  )
  const layer = Swr.layerStore(options).pipe(Layer.provide(lying), Layer.provide(store.connect(name)))
  const context = yield* Layer.buildWithScope(layer, scope)
  return { context, use: Effect.provideContext(context), close: Scope.close(scope, Exit.void) }
})

const windows = { freshFor: "10 seconds", maxAge: "1 minute", staleIfError: "1 hour" } as const
const schema = Schema.Finite

const numbers = <E = never>(lookup: (key: string) => Effect.Effect<number, E>) =>
  Swr.make({ name: "numbers", lookup, schema, ...windows })

/** Lets so many milliseconds pass, one by one. */
const pass = (millis: number) =>
  Effect.forEach(Array.from({ length: millis }), () => Effect.andThen(TestClock.adjust(1), settle), { discard: true })

describe("the layer closes", () => {
  it.effect("I8: cacheGet that waits for the store ends by interruption", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      yield* store.down("hang")
      const a = yield* processOf(store, "a")
      const reader = yield* start(a.use(Swr.cacheGet("k", { schema })))
      yield* settle
      const closing = yield* start(a.close)
      yield* settle
      yield* pass(60)
      assert.isDefined(yield* ended(closing), "it has closed")
      assert.isTrue(interrupted(yield* ended(reader)))
    }).pipe(Effect.scoped))
})

describe("a last word while the store is asked", () => {
  for (
    const powers of [{}, { announces: false, tags: false }, {
      announces: false,
      tags: false,
      leases: false,
      fences: false
    }] as const
  ) {
    it.effect(`R11: cacheRemove wins over the reply of an older cacheGet (${JSON.stringify(powers)})`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore({ powers })
        const gate = yield* Deferred.make<void>()
        const a = yield* processOf(store, "a", {}, ({ open }) => ({
          open: (asker, keys) => Effect.tap(open(asker, keys), () => Deferred.await(gate))
        }))
        const b = yield* processOf(store, "b")
        yield* b.use(Swr.cacheSet("k", 1, { schema }))
        yield* settle
        const reader = yield* start(a.use(Swr.cacheGet("k", { schema })))
        yield* settle
        yield* a.use(Swr.cacheRemove("k"))
        yield* Deferred.succeed(gate, undefined)
        yield* join(reader)
        assert.deepStrictEqual(yield* a.use(Swr.cacheGet("k", { schema })), Option.none())
      }).pipe(Effect.scoped))
  }

  it.effect("R11: a cacheSet that the store did not hear wins over the reply of an older cacheGet", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const gate = yield* Deferred.make<void>()
      const a = yield* processOf(store, "a", {}, ({ open }) => ({
        open: (asker, keys) => Effect.tap(open(asker, keys), () => Deferred.await(gate))
      }))
      const b = yield* processOf(store, "b")
      yield* b.use(Swr.cacheSet("k", 1, { schema }))
      yield* settle
      const reader = yield* start(a.use(Swr.cacheGet("k", { schema })))
      yield* settle
      yield* store.fail("denied", ["change"])
      assert.strictEqual((yield* Effect.flip(a.use(Swr.cacheSet("k", 2, { schema })))).reason, "denied")
      yield* Deferred.succeed(gate, undefined)
      yield* join(reader)
      assert.deepStrictEqual(yield* a.use(Swr.cacheGet("k", { schema })), Option.some(2))
    }).pipe(Effect.scoped))
})

describe("trust that runs out at once", () => {
  for (const [trustFor, latency] of [[1, 1], [10, 20]] as const) {
    it.effect(`R14: cacheGet and mutate end with trustFor ${trustFor} and a store that takes ${latency} ms`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore()
        let asked = 0
        const a = yield* processOf(store, "a", { trustFor }, ({ ask }) => ({
          ask: (asker) => ++asked > 50 ? Effect.never : ask(asker)
        }))
        yield* a.use(Swr.cacheSet("k", 1, { schema }))
        yield* a.use(Swr.cacheGet("k", { schema }))
        yield* pass(trustFor * 2)
        yield* store.latency({ request: latency })
        const reader = yield* start(a.use(Swr.cacheGet("k", { schema })))
        yield* pass(500)
        assert.deepStrictEqual(yield* ended(reader), Exit.succeed(Option.some(1)))
        assert.isBelow(asked, 10)
      }).pipe(Effect.scoped))
  }

  it.effect("R10: the old value stands in where the store answers later than trust lasts", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      let down = false
      const a = yield* processOf(store, "a", { trustFor: 10 })
      const cache = yield* a.use(
        numbers(() =>
          Effect.suspend(() => down ? Effect.andThen(Effect.sleep(100), Effect.fail("down")) : Effect.succeed(1))
        )
      )
      yield* cache.get("k")
      yield* settle
      yield* TestClock.adjust("2 minutes")
      down = true
      yield* store.latency({ request: 20 })
      const reader = yield* start(cache.get("k"))
      yield* pass(400)
      assert.deepStrictEqual(yield* ended(reader), Exit.succeed(1))
    }).pipe(Effect.scoped))
})

describe("many keys that another process loads", () => {
  it.effect("are asked for again together, and loaded together when it has gone", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const a = yield* processOf(store, "a")
      const b = yield* processOf(store, "b")
      const asked: Array<number> = []
      const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
      const spec = { name: "numbers", schema, ...windows }
      const many = Swr.make({
        ...spec,
        lookupMany: (keys: ReadonlyArray<string>) =>
          Effect.sync(() => {
            asked.push(keys.length)
            return new Map(keys.map((key) => [key, 1]))
          })
      })
      const cache = yield* a.use(many)
      const other = yield* b.use(Swr.make({ ...spec, lookup: () => Effect.never }))
      const holder = yield* start(other.getMany(keys))
      yield* settle
      const reader = yield* start(cache.getMany(keys))
      yield* pass(500)
      assert.isBelow((yield* store.counts("a")).roundTrips, 20)
      yield* Fiber.interrupt(holder)
      yield* pass(150)
      assert.deepStrictEqual(yield* join(reader), keys.map(() => 1))
      assert.deepStrictEqual(asked, [200])
    }).pipe(Effect.scoped))
})

describe("a store that begins a new epoch", () => {
  it.effect("R15: what was marked weighs what it weighed, and whoever watches hears nothing", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const a = yield* processOf(store, "a", { refreshes: 0 })
      const cache = yield* a.use(Swr.make({
        name: "numbers",
        lookup: () => Effect.succeed(1),
        schema,
        ...windows,
        weight: { of: () => 100, max: 1000 }
      }))
      for (const key of ["k", "l", "m"]) {
        yield* cache.get(key)
        yield* settle
        yield* cache.invalidate(key, { mode: "soft" })
      }
      const { seen } = yield* collect(cache.changes("k"))
      yield* store.restart
      yield* TestClock.adjust("5 seconds")
      for (const key of ["k", "l", "m"]) yield* cache.get(key)
      yield* settle
      const { size, weight } = yield* cache.stats
      assert.deepStrictEqual([size, weight], [3, 300])
      assert.strictEqual(seen.length, 1)
    }).pipe(Effect.scoped))
})

describe("debts", () => {
  for (const [what, count] of [["tags", 500], ["keys", 10_001]] as const) {
    it.effect(`R11: ${count} ${what} that the store did not hear are told when it is back, and none is left`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore()
        const a = yield* processOf(store, "a")
        const b = yield* processOf(store, "b")
        const cache = yield* a.use(numbers(() => Effect.succeed(1)))
        const other = yield* b.use(numbers(() => Effect.succeed(2)))
        yield* other.set("k7", 5)
        yield* store.down("away")
        for (let i = 0; i < count; i++) {
          yield* Effect.exit(what === "tags" ? cache.invalidateTag(`t${i}`) : cache.invalidate(`k${i}`))
        }
        yield* store.up
        yield* TestClock.adjust("5 seconds")
        yield* cache.get("other")
        for (let i = 0; i < 50; i++) yield* settle
        const before = (yield* store.counts("a")).change
        yield* other.set("z", 7)
        yield* settle
        assert.strictEqual(yield* cache.get("z"), 7, "from the store")
        yield* settle
        assert.strictEqual((yield* store.counts("a")).change, before)
        assert.strictEqual(yield* other.get("k7"), what === "tags" ? 5 : 2)
      }).pipe(Effect.scoped))
  }

  it.effect("R11, R14: a tag that a store without tags did not hear is no debt for ever", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore({ powers: { announces: false, tags: false } })
      const a = yield* processOf(store, "a")
      const b = yield* processOf(store, "b")
      const cache = yield* a.use(numbers(() => Effect.succeed(1)))
      const other = yield* b.use(numbers(() => Effect.succeed(2)))
      yield* store.down("away")
      yield* Effect.exit(cache.invalidateTag("t"))
      yield* store.up
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* other.get("k"), 2)
      yield* settle
      for (let i = 0; i < 3; i++) {
        yield* cache.get(`k${i}`)
        yield* settle
      }
      assert.strictEqual(yield* cache.get("k"), 2, "from the store")
    }).pipe(Effect.scoped))
})

describe("R14: a store that lies fails no read", () => {
  const entry = { value: "7", age: 0, windows: { life: 3_600_000 }, jitter: 0, tags: [], clock: undefined, marked: -1 }
  const opened = { entry, problem: undefined, lease: undefined }
  const held = { entry: undefined, problem: undefined }
  const lies: Record<string, unknown> = {
    "no value": undefined,
    "null": null,
    "no array": 7,
    "an empty array": [],
    "an array of null": [null],
    "age NaN": [{ ...opened, entry: { ...entry, age: NaN } }],
    "age -1e9": [{ ...opened, entry: { ...entry, age: -1e9 } }],
    "age Infinity": [{ ...opened, entry: { ...entry, age: Infinity } }],
    "no tags": [{ ...opened, entry: { ...entry, tags: undefined } }],
    "tags of numbers": [{ ...opened, entry: { ...entry, tags: [1, null] } }],
    "no windows": [{ ...opened, entry: { ...entry, windows: undefined } }],
    "windows NaN": [{ ...opened, entry: { ...entry, windows: { life: NaN, freshFor: NaN, maxAge: NaN } } }],
    "jitter -5": [{ ...opened, entry: { ...entry, jitter: -5 } }],
    "jitter NaN": [{ ...opened, entry: { ...entry, jitter: NaN } }],
    "no text": [{ ...opened, entry: { ...entry, value: 7 } }],
    "no json": [{ ...opened, entry: { ...entry, value: "{" } }],
    "left NaN": [{ ...held, lease: { left: NaN, cooling: false } }],
    "left -1": [{ ...held, lease: { left: -1, cooling: false } }],
    "cooling for ever": [{ ...held, lease: { left: 1e9, cooling: true } }],
    "neither": [{ ...held, lease: undefined }],
    "lease null": [{ ...held, lease: null }],
    "lease of another kind": [{ ...held, lease: "taken" }]
  }
  for (const [lie, value] of Object.entries(lies)) {
    it.effect(`opens: ${lie}`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore()
        let calls = 0
        const a = yield* processOf(store, "a", {}, ({ open }) => ({
          open: (asker, keys) =>
            ++calls > 500
              ? Effect.never
              : Effect.map(open(asker, keys), ({ clock }) => ({ clock, value: value as never }))
        }))
        const cache = yield* a.use(numbers(() => Effect.succeed(1)))
        const reader = yield* start(cache.read("k"))
        yield* pass(lie.startsWith("left") ? 1000 : 100)
        const exit = yield* ended(reader)
        assert.isTrue(exit !== undefined && Exit.isSuccess(exit))
        assert.isBelow(calls, 200)
        yield* start(a.use(Swr.cacheGet("k", { schema })))
      }).pipe(Effect.scoped))
  }
  const clocks: Record<string, unknown> = {
    "null": null,
    "empty": {},
    "NaN": { epoch: "e", counter: NaN },
    "-1": { epoch: "e", counter: -1 },
    "1e300": { epoch: "e", counter: 1e300 },
    "text": { epoch: "e", counter: "5" }
  }
  for (const [lie, clock] of Object.entries(clocks)) {
    it.effect(`its clock: ${lie}`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore()
        let lies = true
        const told = <A>(reply: Store.Reply<A>): Store.Reply<A> => lies ? { ...reply, clock: clock as never } : reply
        const a = yield* processOf(store, "a", {}, ({ ask, change, commit, open }) => ({
          open: (asker, keys) => Effect.map(open(asker, keys), told),
          ask: (asker) => Effect.map(ask(asker), told),
          commit: (asker, commit_) => Effect.map(commit(asker, commit_), told),
          change: (asker, change_) => Effect.map(change(asker, change_), told)
        }))
        const b = yield* processOf(store, "b")
        let n = 0
        const cache = yield* a.use(numbers(() => Effect.sync(() => ++n)))
        const other = yield* b.use(numbers(() => Effect.sync(() => 100 + ++n)))
        const reader = yield* start(cache.read("k"))
        yield* pass(200)
        const exit = yield* ended(reader)
        assert.isTrue(exit !== undefined && Exit.isSuccess(exit), "read")
        yield* Effect.exit(cache.set("k", 50))
        yield* pass(10)
        lies = false
        yield* TestClock.adjust("5 seconds")
        yield* cache.get("k")
        yield* settle
        for (let i = 0; i < 3; i++) {
          yield* other.set("k", 60 + i)
          yield* pass(10)
          const mine = yield* cache.read("k")
          assert.strictEqual(mine.value, 60 + i)
        }
      }).pipe(Effect.scoped))
  }
  it.effect("R11: an announcement of a huge counter does not make it deaf for the next ones", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      for (const counter of [2 ** 53 - 1, 2 ** 53 - 10]) {
        let say: (a: Store.Announcement) => void = () => {}
        const a = yield* processOf(store, `a${counter}`, {}, ({ announcements }) => ({
          announcements: Stream.merge(
            announcements,
            Stream.callback<Store.Announcement>((queue) =>
              Effect.sync(() => {
                say = (announcement) => void Queue.offerUnsafe(queue, announcement)
              })
            )
          )
        }))
        const b = yield* processOf(store, `b${counter}`)
        const cache = yield* a.use(numbers(() => Effect.succeed(1)))
        const other = yield* b.use(numbers(() => Effect.succeed(2)))
        yield* cache.get("k")
        yield* pass(5)
        const clock = yield* store.clock("numbers")
        say({ space: "numbers", clock: { epoch: clock?.epoch ?? "", counter }, news: `{"mode":"hard","names":["z"]}` })
        yield* pass(5)
        yield* TestClock.adjust("3 seconds")
        yield* cache.get("k")
        yield* pass(5)
        for (let i = 0; i < 4; i++) {
          yield* cache.get("k")
          yield* pass(5)
          yield* other.set("k", 60 + i)
          yield* pass(5)
          assert.strictEqual(yield* cache.get("k"), 60 + i, `after ${i}, of ${counter}`)
        }
      }
    }).pipe(Effect.scoped))

  for (const how of ["dies", "throws"] as const) {
    it.effect(`R14: a store that ${how}`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore()
        const bad = (): Effect.Effect<never> => {
          if (how === "throws") throw new Error("thrown")
          return Effect.die("dead")
        }
        const a = yield* processOf(
          store,
          "a",
          {},
          () => ({ open: bad, ask: bad, commit: bad, change: bad, lease: bad })
        )
        const cache = yield* a.use(numbers(() => Effect.succeed(1)))
        const reader = yield* start(cache.read("k"))
        yield* pass(60)
        assert.strictEqual((yield* ended(reader))?._tag, "Success", "read")
        const writer = yield* start(Effect.flip(cache.set("k", 2)))
        yield* pass(60)
        const exit = yield* ended(writer)
        assert.strictEqual(exit?._tag, "Success", "set")
        assert.strictEqual(yield* cache.get("k"), 2)
      }).pipe(Effect.scoped))
  }
})
