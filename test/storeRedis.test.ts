/** The store in Redis, against a real server, on the real clock. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Store } from "effect-swr"
import * as StoreRedis from "effect-swr/StoreRedis"
import { absent, client, reachable, shared } from "./Redis.ts"

let spaces = 0
/** One process' view of a store. */
const storeAt = (url: string, settings: Partial<StoreRedis.Settings> = {}) =>
  Effect.map(
    Layer.build(StoreRedis.layer({ client: client(url), prefix: "test", required: true, ...settings })),
    (context) => Context.get(context, Store.Store)
  )

const asker = (options: Partial<Store.Asker> = {}): Store.Asker => ({
  space: `space${++spaces}`,
  version: "1",
  heard: undefined,
  within: 5000,
  ...options
})

const windows = { freshFor: 60_000, maxAge: 360_000, jitter: 0, strict: false }
const wanted = (options: Partial<Store.Open> = {}): Store.Open => ({
  key: "k",
  policy: windows,
  token: "t1",
  beside: false,
  leaseFor: 5000,
  tokenFor: 65_000,
  ...options
})
const valued = (value: string, clock: Store.Clock | undefined, options: Partial<Store.Stored> = {}): Store.Stored => ({
  value: JSON.stringify(value),
  age: 0,
  clock,
  windows: { life: 360_000 },
  jitter: 0,
  tags: [],
  ...options
})

it("there is a Redis to test against", (test) => {
  assert.isTrue(reachable || process.env["CI"] === undefined, absent)
  if (!reachable) test.skip(absent)
})

describe.skipIf(!reachable)("StoreRedis", () => {
  const url = shared()

  describe("a load", () => {
    it.live("is given the right to it, commits, and is found", () =>
      Effect.gen(function*() {
        const store = yield* storeAt(url())
        const us = asker()
        const first = yield* store.open(us, [wanted()])
        assert.deepStrictEqual(first.value, [{ entry: undefined, problem: undefined, lease: "given" }])
        assert.strictEqual(first.clock?.counter, 0)
        const done = yield* store.commit(us, { key: "k", token: "t1", stored: valued("v", first.clock) })
        assert.deepStrictEqual(done, { clock: first.clock, value: true })
        const second = yield* store.open(us, [wanted({ token: "t2" })])
        assert.strictEqual(second.value[0]?.entry?.value, `"v"`)
        assert.isUndefined(second.value[0]?.lease)
        const change = yield* store.change(us, { mode: "hard", keys: ["k"], news: "n" })
        assert.strictEqual(change.clock?.counter, 1)
        const third = yield* store.open(us, [wanted({ token: undefined })])
        assert.deepStrictEqual(third.value, [{ entry: undefined, problem: undefined, lease: undefined }])
      }))
  })
})
