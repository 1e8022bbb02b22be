/** The store in memcached against a real server, on the real clock. What it keeps of the laws is in `laws.test.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { type Store, Swr } from "effect-swr"
import * as StoreMemcached from "effect-swr/StoreMemcached"
import * as Memcached from "./Memcached.ts"
import { counted } from "./Origin.ts"

class Cache extends Context.Service<Cache, Swr.Instance<string, string>>()("test/Cache") {}

/** Processes over one server; the value of the n-th load is `loaded n`. */
const fleet = Effect.gen(function*() {
  const { child, port } = yield* Memcached.server
  const client = yield* Memcached.client(port)
  const origin = counted((n) => Effect.succeed(`loaded ${n}`))
  const words = { name: "c", lookup: origin.lookup, schema: Schema.String, freshFor: "1 minute" } as const
  const process = (between: (client: StoreMemcached.Client) => StoreMemcached.Client = (client) => client) =>
    Layer.effect(Cache, Swr.make(words)).pipe(
      Layer.provide(Swr.layerStore({ trustFor: "150 millis", storeDeadline: "1 second" })),
      Layer.provide(StoreMemcached.layer({ client: between(client) })),
      Layer.build,
      Effect.map((context) => Context.get(context, Cache))
    )
  return { child, client, origin, process }
})

const reason = <A>(call: Effect.Effect<A, Store.StoreError>) => Effect.map(Effect.flip(call), ({ reason }) => reason)

/** The keys that the store has asked for. */
const watched = (names: Set<string>) => (client: StoreMemcached.Client): StoreMemcached.Client => ({
  ...client,
  gets: (keys) => {
    for (const key of keys) names.add(key)
    return client.gets(keys)
  }
})

it("there is a memcached to test against", (test) => {
  const absent = "memcached was not found: install it, or name one in MEMCACHED"
  assert.isTrue(Memcached.installed || process.env["CI"] === undefined, absent)
  if (!Memcached.installed) test.skip(absent)
})

describe.skipIf(!Memcached.installed)("a store in memcached", () => {
  it.live("I3: a second process is given what the first one loaded", () =>
    Effect.gen(function*() {
      const { origin, process } = yield* fleet
      const a = yield* process()
      const b = yield* process()
      assert.strictEqual(yield* a.get("k"), "loaded 1")
      const { source, value } = yield* b.read("k")
      assert.deepStrictEqual([value, source, origin.calls], ["loaded 1", "store", 1])
    }))

  it.live("I15: another's last word is seen within trustFor, though nothing is announced", () =>
    Effect.gen(function*() {
      const { process } = yield* fleet
      const a = yield* process()
      const b = yield* process()
      yield* a.get("k")
      assert.strictEqual(yield* b.get("k"), "loaded 1")
      yield* a.set("k", "set")
      yield* Effect.sleep(200)
      assert.strictEqual(yield* b.get("k"), "set")
      yield* a.clear
      yield* Effect.sleep(200)
      assert.strictEqual(yield* b.get("k"), "loaded 2")
    }))

  it.live("R11: a tag is refused clearly, and memory has forgotten it all the same", () =>
    Effect.gen(function*() {
      const { process } = yield* fleet
      const a = yield* process()
      yield* a.set("k", "tagged", { tags: ["t"] })
      assert.strictEqual(yield* reason(a.invalidateTag("t")), "unsupported")
    }))

  it.live("I10: garbage under our keys is a miss, and is written over", () =>
    Effect.gen(function*() {
      const { client, process } = yield* fleet
      const names = new Set<string>()
      const a = yield* process(watched(names))
      yield* a.get("k")
      const item = Array.from(names).find((name) => !name.endsWith("clock")) ?? ""
      for (
        const garbage of ["", "hello", "[1]", "[2,[],[]]", `[1,[["1","{}",-1]],[]]`, `[1,[[1]],[]]`, `[1,[],[[]]]`]
      ) {
        yield* client.set(item, garbage, 0)
        const b = yield* process()
        const { source, value } = yield* b.read("k")
        assert.strictEqual(source, "lookup", garbage)
        const c = yield* process()
        assert.strictEqual(yield* c.get("k"), value, garbage)
      }
    }))

  const clockOf = (names: ReadonlySet<string>) => Array.from(names).find((name) => name.endsWith("clock")) ?? ""

  for (const [how, seconds] of [["evicted", -1], ["another", 0]] as const) {
    for (const isCleared of [false, true]) {
      const before = isCleared ? "a clear" : "it"
      it.live(`I4, W-EX-16: after the clock was lost (${how}) nothing comes back from before ${before}`, () =>
        Effect.gen(function*() {
          const { client, process } = yield* fleet
          const names = new Set<string>()
          const a = yield* process(watched(names))
          yield* a.get("k")
          const b = yield* process()
          assert.strictEqual((yield* b.read("k")).source, "store", "it is written")
          if (isCleared) yield* a.clear
          // A life in the past: it is gone at once.
          yield* client.set(clockOf(names), "another", seconds)
          const c = yield* process()
          assert.strictEqual(yield* c.get("k"), "loaded 2")
        }))
    }
  }

  it.live("W-EX-16: a clear that fails says so, and brings nothing back", () =>
    Effect.gen(function*() {
      const { process } = yield* fleet
      const a = yield* process((client) => ({ ...client, set: () => Effect.fail("out of order") }))
      yield* a.get("k")
      assert.strictEqual(yield* reason(a.clear), "away")
      assert.strictEqual(yield* a.get("k"), "loaded 2")
    }))

  it.live("W-EX-16: the lease is held until the value is in the store", () =>
    Effect.gen(function*() {
      const { origin, process } = yield* fleet
      const gate = yield* Deferred.make<void>()
      let writes = 0
      const a = yield* process((client) => ({
        ...client,
        // The lease was an `add`, as nothing was there: this is the value.
        cas: (...item) =>
          Effect.suspend(() => {
            writes++
            return Effect.andThen(Deferred.await(gate), client.cas(...item))
          })
      }))
      const b = yield* process()
      assert.strictEqual(yield* a.get("k"), "loaded 1")
      const reader = yield* Effect.forkChild(b.get("k"))
      yield* Effect.sleep(200)
      assert.deepStrictEqual([writes, origin.calls], [1, 1], "the value is on its way, and nobody loads beside it")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(reader), "loaded 1")
      assert.strictEqual(origin.calls, 1)
    }))

  it.live("I16: any key is a safe key", () =>
    Effect.gen(function*() {
      const { process } = yield* fleet
      const names = new Set<string>()
      const a = yield* process(watched(names))
      const keys = ["", "a b", "a\r\nset x 0 0 1\r\ny", "\0", "x".repeat(10_000), "日本"]
      for (const key of keys) yield* a.set(key, `value of ${key.length}`)
      const b = yield* process()
      for (const key of keys) assert.strictEqual(yield* b.get(key), `value of ${key.length}`)
      for (const name of names) assert.match(name, /^swr-[0-9a-f]{16}-([0-9a-f]{64}|clock)$/)
    }))

  it.live("R14: a value that is too large, and a server that has gone, fail no read", () =>
    Effect.gen(function*() {
      const { child, origin, process } = yield* fleet
      const a = yield* process()
      assert.strictEqual(yield* reason(a.set("large", "x".repeat(2_000_000))), "full")
      assert.strictEqual((yield* a.get("large")).length, 2_000_000)
      yield* a.get("k")
      child.kill("SIGKILL")
      yield* Effect.sleep(200)
      assert.strictEqual(yield* a.get("k"), "loaded 1")
      assert.strictEqual(yield* a.get("other"), "loaded 2", origin.keys.join())
      assert.strictEqual(yield* reason(a.invalidate("k")), "away")
    }))
})
