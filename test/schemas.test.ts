import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Option, Schema, SchemaGetter, SchemaIssue } from "effect"
import { Store, Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  counted,
  defect,
  Down,
  ended,
  error,
  interrupted,
  join,
  now,
  numbered,
  only,
  Origin,
  record,
  settle,
  shown,
  sick,
  stale,
  start,
  stock,
  tags,
  within
} from "./Origin.ts"

/** A schema of texts that trims what it decodes, and counts what is done with it. */
const trimming = () => {
  const done = { encoded: 0, decoded: 0 }
  const schema = Schema.String.pipe(Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transform((text: string) => (done.decoded++, text.trim())),
    encode: SchemaGetter.transform((text: string) => (done.encoded++, text))
  }))
  return { schema, done }
}

/** A schema that takes its time to encode: until the gate is open. */
const gated = (gate: Deferred.Deferred<void>) =>
  Schema.String.pipe(Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transform((text: string) => text.trim()),
    encode: SchemaGetter.transformEffect((text: string) => Effect.as(Deferred.await(gate), text))
  }))

class Unit extends Context.Service<Unit, { readonly factor: number }>()("test/Unit") {}

/** A schema that rounds to a unit, which is a service. */
const Rounded = Schema.Finite.pipe(Schema.decodeTo(Schema.Finite, {
  decode: SchemaGetter.transformEffect((n: number) => Unit.use(({ factor }) => Effect.succeed(n * factor))),
  encode: SchemaGetter.transformEffect((n: number) => Unit.use(({ factor }) => Effect.succeed(Math.round(n / factor))))
}))

/** Encodes what it does not decode again. */
const OneWay = Schema.String.pipe(Schema.decodeTo(Schema.String, {
  decode: SchemaGetter.transformEffect(() => Effect.fail(new SchemaIssue.InvalidValue({ message: "one way" }))),
  encode: SchemaGetter.transform((text: string) => text)
}))

/** Throws what it was given. */
const Throwing = Schema.String.pipe(Schema.decodeTo(Schema.String, {
  decode: SchemaGetter.transform((text: string) => text),
  encode: SchemaGetter.transform((text: string): string => {
    throw new Error(text)
  })
}))

describe("R13: a schema", () => {
  it.effect("R13: encodes and decodes once per load, never per hit, and readers get the same on miss and hit", () =>
    Effect.gen(function*() {
      const { done, schema } = trimming()
      const source = counted((n, key) => Effect.succeed(` ${key}${n} `))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, schema, ...stale })
      const readers = yield* Effect.forEach([1, 2, 3], () => start(cache.get("k")))
      for (const reader of readers) assert.strictEqual(yield* join(reader), "k1")
      for (let i = 0; i < 10; i++) assert.strictEqual(yield* cache.get("k"), "k1")
      assert.deepStrictEqual(yield* cache.getMany(["k", "k"]), ["k1", "k1"])
      assert.isTrue(yield* cache.has("k"))
      yield* cache.peek("k")
      assert.deepStrictEqual(done, { encoded: 1, decoded: 1 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* cache.get("k"), "k1")
      yield* settle
      assert.strictEqual(yield* cache.get("k"), "k2")
      assert.strictEqual((yield* cache.revalidate("k")).value, "k3")
      assert.deepStrictEqual(done, { encoded: 3, decoded: 3 })
    }).pipe(within()))

  it.effect("R13: so does it in Swr.swr, fn and a batch, and hits answer the very same object", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ at: Schema.Date })
      const loaded = { at: new Date(0), unknown: 1 }
      const same = (miss: unknown, hit: unknown) => {
        assert.deepStrictEqual(miss, { at: new Date(0) })
        assert.strictEqual(hit, miss)
      }
      const read = Swr.swr("k", Effect.succeed(loaded), { ...stale, schema })
      same((yield* read).value, (yield* read).value)
      const quote = Swr.fn("quote", { ...stale, schema })((_: string) => Effect.succeed(loaded))
      same(yield* quote("k"), yield* quote("k"))
      const batch = yield* Swr.make({
        name: "batch",
        lookupMany: (keys: ReadonlyArray<string>) => Effect.succeed(new Map(keys.map((key) => [key, loaded]))),
        schema,
        ...stale
      })
      const [miss] = yield* batch.getMany(["k"])
      same(miss, yield* batch.get("k"))
    }).pipe(within()))

  it.effect("R13: what set, mutate and cacheSet are given goes through it once", () =>
    Effect.gen(function*() {
      const { done, schema } = trimming()
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, schema, ...stale })
      yield* cache.set("k", " set ")
      assert.strictEqual(yield* cache.get("k"), "set")
      const answer = yield* cache.mutate("k", (value) => Effect.succeed(` ${Option.getOrThrow(value)}, changed `))
      assert.strictEqual(answer.value, "set, changed")
      assert.strictEqual((yield* answer.mutate(" again ")).value, "again")
      assert.strictEqual(yield* cache.get("k"), "again")
      assert.deepStrictEqual(done, { encoded: 3, decoded: 3 })
      yield* Swr.cacheSet("k", " plain ", { schema })
      assert.deepStrictEqual(yield* Swr.cacheGet("k", { schema }), Option.some("plain"))
      assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.some("plain"))
      assert.deepStrictEqual(done, { encoded: 4, decoded: 4 })
    }).pipe(within()))

  it.effect("R13: `keep`, `weight` and `previous` are told what comes out of it", () =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      const tell = (value: unknown) => void told.push(value)
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string, previous: Option.Option<Swr.Previous<string>>) => {
          tell(Option.getOrUndefined(Option.map(previous, ({ value }) => value)))
          return Effect.succeed(" v ")
        },
        schema: trimming().schema,
        keep: (value) => (tell(value), {}),
        weight: { of: (value) => (tell(value), 1), max: 10 },
        ...stale
      })
      yield* cache.get("k")
      yield* cache.revalidate("k")
      assert.deepStrictEqual(told, [undefined, "v", "v", "v", "v", "v"])
    }).pipe(within()))

  for (
    const [what, schema, value] of [
      ["does not encode", Schema.String.check(Schema.isMinLength(9)), "canary"],
      ["encodes and does not decode", OneWay, "canary"],
      ["makes the schema throw", Throwing, "canary"]
    ] as const
  ) {
    it.effect(`R13: a value that ${what} is answered as it is, not kept, and told of`, () =>
      Effect.gen(function*() {
        const events = yield* record
        const source = counted(() => Effect.succeed(value))
        const cache = yield* Swr.make({ name: "c", lookup: source.lookup, schema, ...stale })
        const readers = yield* Effect.forEach([1, 2], () => start(cache.read("k")))
        for (const reader of readers) {
          assert.deepStrictEqual(shown(yield* join(reader)), [value, "miss", "lookup", undefined])
        }
        assert.isFalse(yield* cache.has("k"))
        assert.strictEqual(yield* cache.get("k"), value)
        assert.strictEqual((yield* Swr.swr("k", source.lookup("k"), { ...stale, schema })).value, value)
        assert.isFalse(yield* (yield* Swr.Cache).has("k"))
        yield* settle
        assert.lengthOf(only(events, "EncodeFailed"), source.calls)
        assert.deepStrictEqual(new Set(only(events, "CommitDropped").map(({ reason }) => reason)), new Set(["encode"]))
        assert.notInclude(tags(events), "LoadFailed")
        for (const { error } of only(events, "EncodeFailed")) assert.notInclude(String(error), "canary")
      }).pipe(within()))

    it.effect(`R13: a refresh with such a value (it ${what}) leaves the old one where it is`, () =>
      Effect.gen(function*() {
        const source = counted((n) => Effect.succeed(n === 1 ? "long enough" : value))
        // The old value comes from a schema that takes it; `is` says that it fits this one too.
        const read = (schema: Schema.Codec<string, string>) => Swr.swr("k", source.lookup("k"), { ...stale, schema })
        yield* read(Schema.String)
        yield* TestClock.adjust("1 minute")
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* read(schema)).value, "long enough")
          yield* settle
        }
        assert.strictEqual(source.calls, 3)
        assert.strictEqual((yield* (yield* Swr.Cache).stats).backoffs, 0)
      }).pipe(within()))

    it.effect(`R13: set, mutate and cacheSet with a value that ${what}: StoreError, and the key is empty`, () =>
      Effect.gen(function*() {
        const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, schema, ...stale })
        const plain = Option.isSome(yield* Swr.cacheGet("k"))
        assert.isFalse(plain)
        for (
          const writing of [
            cache.set("k", value),
            cache.mutate("k", () => Effect.succeed(value)),
            Swr.cacheSet("k", value, { schema })
          ]
        ) {
          yield* Swr.cacheSet("k", "known")
          const refused = error(yield* Effect.exit<unknown, Store.StoreError, Swr.Cache>(writing))
          assert.instanceOf(refused, Store.StoreError)
          assert.strictEqual(refused.reason, "encode")
          assert.notInclude(String(refused), "canary")
          assert.isFalse(yield* cache.has("k"))
        }
        assert.isTrue(Option.isNone(yield* Swr.cacheGet("k")))
      }).pipe(within()))
  }

  it.effect("R13: one that does not encode ends a set's key also where an old value was", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: () => Effect.succeed(1),
        key: String,
        schema: Schema.Int,
        ...stale
      })
      yield* cache.get("k")
      const answer = yield* cache.read("k")
      assert.instanceOf(error(yield* Effect.exit(answer.mutate(0.5))), Store.StoreError)
      assert.isFalse(yield* cache.has("k"))
      assert.strictEqual(answer.value, 1)
    }).pipe(within()))

  it.effect("R13: a class: its instances are kept, what only looks like one is answered and not kept", () =>
    Effect.gen(function*() {
      class User extends Schema.Class<User>("test/User")({ id: Schema.Int }) {}
      const user = new User({ id: 1 })
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string): Effect.Effect<User> => Effect.succeed(key === "user" ? user : { id: 1 }),
        schema: User,
        ...stale
      })
      for (const key of ["user", "user"]) assert.instanceOf(yield* cache.get(key), User)
      assert.notInstanceOf(yield* cache.get("alike"), User)
      assert.deepStrictEqual([yield* cache.has("user"), yield* cache.has("alike")], [true, false])
    }).pipe(within()))
})

describe("R13: a schema that takes its time", () => {
  it.effect("R13: all who wait get what comes out of it, and age counts from its end", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const cache = yield* Swr.make({
        name: "c",
        lookup: () => Effect.succeed(" v "),
        key: String,
        schema: gated(gate),
        ...stale
      })
      const readers = yield* Effect.forEach([1, 2], () => start(cache.read("k")))
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(yield* ended(readers[0]!))
      assert.strictEqual((yield* cache.stats).flights, 1)
      yield* Deferred.succeed(gate, undefined)
      for (const reader of readers) assert.strictEqual((yield* join(reader)).value, "v")
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* cache.read("k")).status, "fresh")
    }).pipe(within()))

  for (const word of ["set", "hard", "soft", "clear"] as const) {
    it.effect(`R13, R11: ${word} while it works is the last word`, () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const options = { ...stale, schema: gated(gate) }
        const cache = yield* Swr.Cache
        const reader = yield* start(Swr.swr("k", Effect.succeed("late"), options))
        assert.isUndefined(yield* ended(reader))
        yield* {
          set: cache.set("k", "set"),
          hard: cache.invalidate("k"),
          soft: cache.invalidate("k", { mode: "soft" }),
          clear: cache.clear
        }[word]
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* join(reader)).value, "late")
        assert.deepStrictEqual(
          Option.map(yield* cache.peek("k"), ({ value }) => value),
          word === "set" ? Option.some("set") : Option.none()
        )
      }).pipe(within()))
  }

  it.effect("R13, R10: hardTimeout bounds it too, and a reader who leaves ends it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const options = { ...stale, schema: gated(gate), hardTimeout: "1 second" } as const
      const reader = yield* start(Swr.swr("k", Effect.succeed("v"), options))
      yield* TestClock.adjust("1 second")
      assert.instanceOf(error(yield* ended(reader)), Swr.LoadTimeout)
      const leaving = yield* start(Swr.swr("k", Effect.succeed("v"), options))
      leaving.interruptUnsafe()
      yield* settle
      assert.strictEqual((yield* (yield* Swr.Cache).stats).flights, 0)
      yield* Deferred.succeed(gate, undefined)
      assert.isFalse(yield* (yield* Swr.Cache).has("k"))
    }).pipe(within()))

  it.effect("R13, R5: the age of a set counts from its call", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, schema: gated(gate), ...stale })
      const setting = yield* start(cache.set("k", " set "))
      yield* TestClock.adjust("20 seconds")
      assert.isFalse(yield* cache.has("k"))
      yield* Deferred.succeed(gate, undefined)
      yield* join(setting)
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["set", "stale", "memory", "revalidating"])
    }).pipe(within()))
})

describe("R13, R8: a schema with services", () => {
  const make = Swr.make({
    name: "c",
    lookup: (n: number) => Effect.succeed(n),
    schema: Rounded,
    ...stale
  }).pipe(Effect.provideService(Unit, { factor: 10 }))

  it.effect("R13, R8: of make has those that make was run with, in every load", () =>
    Effect.gen(function*() {
      const cache = yield* make
      assert.strictEqual(yield* cache.get(17), 20)
      assert.deepStrictEqual(yield* cache.getMany([24, 26]), [20, 30])
      yield* TestClock.adjust("1 minute")
      yield* cache.get(17)
      yield* settle
      assert.strictEqual((yield* cache.read(17)).status, "fresh")
      assert.strictEqual((yield* cache.revalidate(17)).value, 20)
    }).pipe(within()))

  it.effect("R13, R8: of make has them in set, mutate and an answer's mutate too: their callers have none", () =>
    Effect.gen(function*() {
      const cache = yield* make
      yield* cache.set(1, 17)
      assert.strictEqual(yield* cache.get(1), 20)
      assert.strictEqual((yield* cache.mutate(1, () => Effect.succeed(26))).value, 30)
      const answer = yield* cache.read(1)
      assert.strictEqual((yield* answer.mutate(44)).value, 40)
    }).pipe(within()))

  it.effect("R13, R8: of make never has its caller's", () =>
    Effect.gen(function*() {
      const cache = yield* make
      const mine = Effect.provideService(Unit, { factor: 1000 })
      assert.strictEqual(yield* mine(cache.get(17)), 20)
      yield* mine(cache.set(1, 17))
      assert.strictEqual(yield* cache.get(1), 20)
    }).pipe(within()))

  it.effect("R13, R8: an answer's mutate of Swr.swr has its caller's, as its type says", () =>
    Effect.gen(function*() {
      const read = Swr.swr("k", Effect.succeed(17), { ...stale, schema: Rounded })
      const answer = yield* Effect.provideService(read, Unit, { factor: 10 })
      const mutate = Effect.provideService(answer.mutate(26), Unit, { factor: 20 })
      assert.strictEqual((yield* mutate).value, 20)
    }).pipe(within()))

  it.effect("R13, R8: of Swr.swr, fn and cacheSet has its reader's", () =>
    Effect.gen(function*() {
      const options = { ...stale, schema: Rounded }
      const answer = yield* Swr.swr("k", Effect.succeed(17), options)
      assert.strictEqual(answer.value, 20)
      assert.strictEqual((yield* answer.mutate(26)).value, 30)
      assert.strictEqual((yield* answer.revalidate).value, 20)
      const quote = Swr.fn("quote", options)((n: number) => Effect.succeed(n))
      assert.strictEqual(yield* quote(17), 20)
      yield* Swr.cacheSet("k", 17, { schema: Rounded })
      assert.deepStrictEqual(yield* Swr.cacheGet("k", { schema: Rounded }), Option.some(20))
    }).pipe(within(), Effect.provideService(Unit, { factor: 10 })))
})

describe("R13: two schemas for one key of Swr.swr", () => {
  const Wide = Schema.Struct({ id: Schema.Int, name: Schema.optionalKey(Schema.String) })
  const Narrow = Schema.Struct({ id: Schema.Int })
  const Other = Schema.Struct({ other: Schema.String })
  const wide = { ...stale, schema: Wide }
  const other = { ...stale, schema: Other }

  it.effect("R13: a value that fits the reader's schema is his, looked at once", () =>
    Effect.gen(function*() {
      let looks = 0
      const schema = Narrow.check(Schema.makeFilter(() => {
        looks++
        return true
      }))
      const { value } = yield* Swr.swr("k", Effect.succeed({ id: 1, name: "Ada" }), wide)
      for (let i = 0; i < 5; i++) {
        const answer = yield* Swr.swr("k", Effect.succeed({ id: 2 }), { ...stale, schema })
        assert.strictEqual(answer.value, value)
        assert.strictEqual(answer.status, "fresh")
      }
      assert.strictEqual(looks, 1)
    }).pipe(within()))

  it.effect("R13: one that does not fit is a miss and DecodeFailed, to either side, never an error", () =>
    Effect.gen(function*() {
      const events = yield* record
      for (const n of [1, 2]) {
        const one = yield* Swr.swr("k", Effect.succeed({ id: n }), wide)
        assert.deepStrictEqual(shown(one), [{ id: n }, "miss", "lookup", undefined])
        const two = yield* Swr.swr("k", Effect.succeed({ other: `${n}` }), other)
        assert.deepStrictEqual(shown(two), [{ other: `${n}` }, "miss", "lookup", undefined])
      }
      yield* settle
      assert.lengthOf(only(events, "DecodeFailed"), 3)
      assert.notInclude(tags(events), "LoadFailed")
    }).pipe(within()))

  it.effect("R13: who only looks takes nothing from those whose value it is", () =>
    Effect.gen(function*() {
      yield* Swr.cacheSet("k", { id: 1 }, { schema: Wide })
      assert.isTrue(Option.isNone(yield* Swr.cacheGet("k", { schema: Other })))
      assert.deepStrictEqual(yield* Swr.cacheGet("k", { schema: Wide }), Option.some({ id: 1 }))
    }).pipe(within()))

  it.effect("R13: one that failed to load does not fall back on a value that does not fit", () =>
    Effect.gen(function*() {
      yield* Swr.swr("k", Effect.succeed({ id: 1 }), { ...sick, schema: Wide })
      const exit = yield* Effect.exit(Swr.swr("k", Effect.fail(new Down({})), { ...sick, schema: Other }))
      assert.instanceOf(error(exit), Down)
    }).pipe(within()))

  it.effect("R13: who joins a load whose value does not fit loads for himself", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<{ readonly id: number }>()
      const starter = yield* start(Swr.swr("k", Deferred.await(gate), wide))
      const joiner = yield* start(Swr.swr("k", Effect.succeed({ other: "mine" }), other))
      const untyped = yield* start(Swr.swr("k", Effect.succeed("unused"), stale))
      assert.isUndefined(yield* ended(joiner))
      yield* Deferred.succeed(gate, { id: 1 })
      assert.deepStrictEqual((yield* join(starter)).value, { id: 1 })
      assert.deepStrictEqual((yield* join(joiner)).value, { other: "mine" })
      assert.deepStrictEqual<unknown>((yield* join(untyped)).value, { id: 1 })
      assert.strictEqual((yield* (yield* Swr.Cache).stats).loads, 2)
    }).pipe(within()))

  it.effect("R13: a value kept without a schema is looked at too; a cacheGet that finds none that fits finds none", () =>
    Effect.gen(function*() {
      yield* Swr.swr("k", Effect.succeed("text"), stale)
      assert.strictEqual((yield* Swr.swr("k", Effect.succeed({ id: 1 }), wide)).status, "miss")
      yield* Swr.cacheSet("k", "text")
      assert.isTrue(Option.isNone(yield* Swr.cacheGet("k", { schema: Wide })))
      yield* Swr.cacheSet("k", { id: 1 })
      assert.deepStrictEqual(yield* Swr.cacheGet("k", { schema: Wide }), Option.some({ id: 1 }))
    }).pipe(within()))
})

describe("R15: capacity", () => {
  const many = Array.from({ length: 1000 }, (_, i) => `k${i}`)

  it.effect("R15: a full memory evicts and never refuses a read, however it is written", () =>
    Effect.gen(function*() {
      const events = yield* record
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, capacity: 10, ...stale })
      for (const [i, key] of many.entries()) {
        assert.match(yield* cache.get(key), new RegExp(`^${key}`))
        assert.isTrue(yield* cache.has(key))
        assert.isAtMost((yield* cache.stats).size, 10)
        if (i % 3 === 0) yield* cache.set(`set${i}`, "v")
        if (i % 100 === 0) assert.lengthOf(yield* cache.getMany(many.slice(0, 50)), 50)
        yield* settle
      }
      const { evictions, size } = yield* cache.stats
      assert.strictEqual(size, 10)
      assert.strictEqual(evictions, only(events, "Commit").length + 334 - 10)
      assert.lengthOf(only(events, "Evict"), evictions)
    }).pipe(within()))

  it.effect("R15: the layer's is the default of each cache, also of Swr.swr and of plain keys", () =>
    Effect.gen(function*() {
      const one = yield* Swr.make({ name: "one", lookup: numbered().lookup, ...stale })
      const two = yield* Swr.make({ name: "two", lookup: numbered().lookup, capacity: 7, ...stale })
      for (const key of many.slice(0, 20)) {
        yield* one.get(key)
        yield* two.get(key)
        yield* Swr.swr(key, Effect.succeed(1), stale)
        yield* Swr.cacheSet(key, 1)
      }
      const sizes = yield* Effect.forEach([one, two, yield* Swr.Cache], (cache) => cache.stats)
      assert.deepStrictEqual(sizes.map(({ size }) => size), [5, 7, 5])
      const plain = yield* Effect.filter(many.slice(0, 20), (key) => Effect.map(Swr.cacheGet(key), Option.isSome))
      assert.lengthOf(plain, 5)
    }).pipe(within({ capacity: 5 })))

  it.effect("R15: loads under way are not evicted, each answers, and what is kept shrinks when they end", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, capacity: 1, ...stale })
      const readers = yield* Effect.forEach(["a", "b", "c"], (key) => start(cache.get(key)))
      for (const call of origin.calls) yield* call.succeed(call.key)
      assert.deepStrictEqual(yield* Effect.forEach(readers, join), ["a", "b", "c"])
      assert.strictEqual((yield* cache.stats).size, 1)
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("R15: keys whose loads fail, or answer what is not kept, leave nothing behind", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => key.endsWith("1") ? Effect.fail(new Down({})) : Effect.succeed(key),
        keep: (value) => value.endsWith("2") ? "share" : {},
        capacity: 5,
        ...sick
      })
      for (const key of many) yield* Effect.exit(cache.get(key))
      assert.strictEqual((yield* cache.stats).size, 5)
      yield* cache.clear
      for (const key of many.filter((key) => /[12]$/.test(key))) yield* Effect.exit(cache.get(key))
      const { backoffs, flights, size, weight } = yield* cache.stats
      assert.deepStrictEqual({ backoffs, flights, size, weight }, { backoffs: 0, flights: 0, size: 0, weight: 0 })
    }).pipe(within()))
})

describe("R15: weight", () => {
  /** Values weigh what they say. */
  const weighing = (of: (value: string, key: string) => number) => {
    const origin = new Origin()
    return Effect.map(
      Swr.make({ name: "c", lookup: origin.lookup, weight: { of, max: 10 }, ...stale }),
      (cache) => ({ cache, origin })
    )
  }

  it.effect("R15: the sum stays within max, each value up to max is kept, and none is refused", () =>
    Effect.gen(function*() {
      const { cache } = yield* weighing(Number)
      for (const value of ["3", "4", "10", "1", "0", "9", "2.5"]) {
        yield* cache.set(value, value)
        assert.strictEqual(yield* cache.get(value), value)
        assert.isAtMost((yield* cache.stats).weight, 10)
      }
      yield* cache.clear
      assert.strictEqual((yield* cache.stats).weight, 0)
    }).pipe(within()))

  for (
    const [what, of] of [
      ["above max", () => 10.1],
      ["infinite", () => Infinity],
      ["NaN", () => NaN],
      ["negative", () => -1],
      ["not to be found, as the function throws", () => {
        throw new Error("bug")
      }]
    ] as const
  ) {
    it.effect(`R15: a value whose weight is ${what} is answered and not kept, and nothing else happens`, () =>
      Effect.gen(function*() {
        const events = yield* record
        const { cache, origin } = yield* weighing((value) => value === "bad" ? of() : 1)
        yield* cache.set("other", "v")
        const readers = yield* Effect.forEach([1, 2], () => start(cache.read("k")))
        yield* origin.call(0).succeed("bad")
        for (const reader of readers) {
          assert.deepStrictEqual(shown(yield* join(reader)), ["bad", "miss", "lookup", undefined])
        }
        assert.deepStrictEqual([yield* cache.has("k"), yield* cache.has("other")], [false, true])
        yield* stock(origin, cache, "1 minute")
        yield* now(cache.get("k"))
        yield* origin.call(2).succeed("bad")
        assert.strictEqual((yield* now(cache.read("k"))).value, "old")
        // The last word leaves no older value behind.
        yield* cache.set("k", "bad")
        assert.isFalse(yield* cache.has("k"))
        const changed = yield* cache.mutate("other", () => Effect.succeed("bad"))
        assert.strictEqual(changed.value, "bad")
        assert.isFalse(yield* cache.has("other"))
        yield* settle
        assert.deepStrictEqual(new Set(only(events, "CommitDropped").map(({ reason }) => reason)), new Set(["weight"]))
        assert.notInclude(tags(events), "LoadFailed")
        const { size, weight } = yield* cache.stats
        assert.deepStrictEqual({ size, weight }, { size: 0, weight: 0 })
      }).pipe(within()))
  }
})

describe("R9, R10: what a lookup may do", () => {
  const bug = new Error("bug")
  /** A lookup's end, and how it is told from others. */
  const ends: ReadonlyArray<
    readonly [what: string, end: () => Effect.Effect<string, Down>, is: (exit: Exit.Exit<unknown, unknown>) => boolean]
  > = [
    ["dies", () => Effect.die(bug), (exit) => defect(exit) === bug],
    ["throws at once", () => {
      throw bug
    }, (exit) => defect(exit) === bug],
    ["throws later", () =>
      Effect.sync(() => {
        throw bug
      }), (exit) => defect(exit) === bug],
    // Programs without types meet this.
    ["answers no effect", () => undefined as never, (exit) => defect(exit) !== undefined],
    ["fails", () => Effect.fail(new Down({})), (exit) => error(exit) instanceof Down],
    [
      "fails with nothing",
      // The error of a program that does not look at it.
      () => Effect.fail(undefined as never),
      (exit) => Exit.isFailure(exit) && Cause.hasFails(exit.cause)
    ],
    ["interrupts itself", () => Effect.interrupt, interrupted],
    ["hangs", () => Effect.never, (exit) => defect(exit) instanceof Swr.LoadTimeout]
  ]

  for (const [what, end, is] of ends) {
    for (const first of ["at once", "after a while"]) {
      it.effect(`R9: a lookup that ${what}, ${first}, ends all who wait the same way, keeps nothing and frees the key`, () =>
        Effect.gen(function*() {
          const gate = yield* Deferred.make<void>()
          const source = counted((n): Effect.Effect<string, Down> =>
            n > 1 ? Effect.succeed("new") : first === "at once" ? end() : Effect.flatMap(Deferred.await(gate), end)
          )
          const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick })
          // What ends at once has ended before anybody joins.
          const readers = yield* Effect.forEach(first === "at once" ? [1] : [1, 2, 3], () => start(cache.get("k")))
          yield* Deferred.succeed(gate, undefined)
          yield* TestClock.adjust("1 minute")
          for (const reader of readers) {
            const exit = yield* ended(reader)
            assert.isTrue(exit !== undefined && is(exit), String(exit))
          }
          const { backoffs, failures, flights, size } = yield* cache.stats
          assert.deepStrictEqual({ backoffs, failures, flights, size }, {
            backoffs: 0,
            failures: 1,
            flights: 0,
            size: 0
          })
          assert.strictEqual(yield* now(cache.get("k")), "new")
        }).pipe(within()))
    }

    it.effect(`R9: a refresh whose lookup ${what} is one event, backs off, and the old value is given`, () =>
      Effect.gen(function*() {
        const events = yield* record
        const source = counted((n): Effect.Effect<string, Down> => n === 1 ? Effect.succeed("old") : end())
        const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick })
        yield* cache.get("k")
        yield* TestClock.adjust("1 minute")
        yield* cache.get("k")
        yield* TestClock.adjust("1 minute")
        yield* settle
        assert.isTrue(is(Exit.failCause(only(events, "LoadFailed")[0]!.failure)))
        assert.lengthOf(only(events, "LoadFailed"), 1)
        assert.strictEqual((yield* cache.read("k")).value, "old")
        const { backoffs, flights } = yield* cache.stats
        assert.deepStrictEqual([backoffs, flights <= 1], [1, true])
      }).pipe(within()))
  }

  it.effect("R9: a `when` that throws does not hide the lookup's own error, and voids nothing", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({
        name: "c",
        lookup: origin.lookup,
        ...stale,
        staleIfError: {
          window: "1 day",
          when: () => {
            throw bug
          }
        }
      })
      yield* stock(origin, cache, "6 minutes")
      const reader = yield* start(cache.get("k"))
      yield* origin.call(1).fail()
      assert.instanceOf(error(yield* ended(reader)), Down)
      assert.isUndefined(defect(yield* ended(reader)))
      assert.isTrue(Option.isSome(yield* cache.peek("k")))
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  it.effect("R11: a change by mutate that throws at once changes nothing and lets the next one in", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      const throwing = cache.mutate("k", (): Effect.Effect<string> => {
        throw bug
      })
      assert.strictEqual(defect(yield* Effect.exit(throwing)), bug)
      assert.strictEqual(yield* cache.get("k"), "k1")
      assert.strictEqual((yield* cache.mutate("k", () => Effect.succeed("changed"))).value, "changed")
    }).pipe(within()))
})
