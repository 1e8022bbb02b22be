/** The Promise face: what it adds to the cache, on the test clock. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, ManagedRuntime, Schema } from "effect"
import { Policy, Swr } from "effect-swr"
import * as SwrPromise from "effect-swr/SwrPromise"
import { TestClock } from "effect/testing"

const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => assert.fail("resolved"), (e) => e)

/** Caches on a clock that only `pass` moves. */
const open = async (options?: Swr.LayerOptions) => {
  const runtime = ManagedRuntime.make(Swr.layer(options).pipe(Layer.provideMerge(TestClock.layer())))
  const caches = await SwrPromise.over(runtime)
  return {
    caches,
    close: () => runtime.dispose(),
    pass: (time: Duration.Input) => runtime.runPromise(TestClock.adjust(time))
  }
}

const numbered = () => {
  const calls: Array<string> = []
  return { calls, lookup: (key: string) => Promise.resolve(`${key}${calls.push(key)}`) }
}

describe("SwrPromise", () => {
  it("R6: fresh, stale, expired", async () => {
    const { caches, close, pass } = await open()
    const { calls, lookup } = numbered()
    const cache = caches.make({ name: "c", lookup, freshFor: "1 minute", maxAge: "6 minutes" })
    assert.strictEqual(await cache.get("k"), "k1")
    assert.strictEqual(await cache.get("k"), "k1")
    await pass("1 minute")
    const { age, reason, status, value } = await cache.read("k")
    assert.deepStrictEqual([value, status, reason, age], ["k1", "stale", "revalidating", 60_000])
    await pass(0)
    assert.strictEqual(await cache.get("k"), "k2")
    await pass("6 minutes")
    assert.strictEqual((await cache.read("k")).value, "k3")
    assert.lengthOf(calls, 3)
    await close()
  })

  it("a fresh hit starts no fiber: its promise is settled before any other work", async () => {
    const { caches, close } = await open()
    const cache = caches.make({ name: "c", lookup: numbered().lookup, freshFor: "1 minute" })
    await cache.get("k")
    const order: Array<string> = []
    const hit = cache.get("k").then(() => order.push("hit"))
    const tick = Promise.resolve().then(() => order.push("tick"))
    await Promise.all([hit, tick])
    assert.deepStrictEqual(order, ["hit", "tick"])
    await close()
  })

  it("rejects with what the lookup threw or rejected with, untouched", async () => {
    const { caches, close } = await open()
    const error = new Error("down")
    const rejects = caches.make({ name: "r", lookup: (_: string) => Promise.reject<number>(error), freshFor: 1 })
    const throws = caches.make({
      name: "t",
      lookup: (_: string): number => {
        throw error
      },
      freshFor: 1
    })
    assert.strictEqual(await failure(rejects.get("k")), error)
    assert.strictEqual(await failure(throws.get("k")), error)
    await close()
  })

  it("R2: refuses options at once, with InvalidPolicy", async () => {
    const { caches, close } = await open()
    assert.throws(
      () => caches.make({ name: "c", lookup: numbered().lookup, freshFor: -1 }),
      "freshFor: got -1, allowed is a finite duration of at least 0 ms"
    )
    const cache = caches.make({ name: "d", lookup: numbered().lookup, freshFor: 1 })
    assert.instanceOf(await failure(cache.get("k", { policy: { maxAge: 0 } })), Policy.InvalidPolicy)
    await close()
  })

  it("R7: a reader's signal lets the reader leave; the last one's aborts the load", async () => {
    const { caches, close } = await open()
    let load: AbortSignal | undefined
    const cache = caches.make({
      name: "c",
      lookup: (_: string, { signal }) => {
        load = signal
        return new Promise<string>(() => {})
      },
      freshFor: 1
    })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = failure(cache.get("k", { signal: one.signal }))
    const second = failure(cache.get("k", { signal: two.signal }))
    one.abort()
    assert.strictEqual(await first, one.signal.reason)
    assert.isFalse(load?.aborted)
    two.abort()
    await second
    assert.isTrue(load?.aborted)
    assert.strictEqual(cache.stats().flights, 0)
    await close()
  })

  it("R7: a signal that is aborted already: nothing is loaded, and nothing answered", async () => {
    const { caches, close } = await open()
    const { calls, lookup } = numbered()
    const cache = caches.make({ name: "c", lookup, freshFor: "1 minute" })
    const signal = AbortSignal.abort("left")
    assert.strictEqual(await failure(cache.get("k", { signal })), "left")
    assert.lengthOf(calls, 0)
    await cache.get("k")
    assert.strictEqual(await failure(cache.get("k", { signal })), "left")
    await close()
  })

  it("tells the lookup of the entry before, and takes schemas, batches and per-read policies", async () => {
    const { caches, close, pass } = await open()
    const seen: Array<unknown> = []
    const dates = caches.make({
      name: "dates",
      schema: Schema.DateFromString,
      lookup: (_: string, { previous }) => {
        seen.push(previous?.age)
        return new Date(0)
      },
      freshFor: "1 minute"
    })
    assert.strictEqual((await dates.get("k")).getTime(), 0)
    await pass("1 second")
    await dates.get("k", { policy: { freshFor: 0, maxAge: 1 } })
    assert.deepStrictEqual(seen, [undefined, 1000])

    const batches: Array<ReadonlyArray<string>> = []
    const many = caches.make({
      name: "many",
      lookupMany: (keys: ReadonlyArray<string>) => {
        batches.push(keys)
        return Promise.resolve(new Map(keys.map((key) => [key, key.length])))
      },
      freshFor: "1 minute"
    })
    assert.deepStrictEqual(await many.getMany(["a", "bb", "a"]), [1, 2, 1])
    assert.deepStrictEqual(batches, [["a", "bb"]])

    const sick = caches.make({
      name: "sick",
      lookup: (key: string) => key === "bad" ? Promise.reject<string>(key) : key,
      freshFor: "1 minute"
    })
    const [good, bad] = await sick.readMany(["good", "bad"])
    assert.strictEqual(good?.status === "fulfilled" && good.value.value, "good")
    assert.deepStrictEqual(bad, { status: "rejected", reason: "bad" })
    await close()
  })

  it("writes, forgets, peeks", async () => {
    const { caches, close } = await open()
    const cache = caches.make({ name: "c", lookup: numbered().lookup, freshFor: "1 minute" })
    assert.isUndefined(cache.peek("k"))
    await cache.set("k", "set", { tags: ["t"] })
    assert.strictEqual(cache.peek("k")?.value, "set")
    assert.strictEqual((await cache.mutate("k", (current) => Promise.resolve(`${current}!`))).value, "set!")
    assert.strictEqual((await cache.revalidate("k")).value, "k1")
    await cache.invalidate("k")
    assert.isFalse(cache.has("k"))
    await cache.set("k", "again", { tags: ["t"] })
    await cache.invalidateTag("t")
    assert.isFalse(cache.has("k"))
    await close()
  })

  it("two calls with one options object are one cache, and another object of that name is refused", async () => {
    const { caches, close } = await open()
    const options = { name: "c", lookup: numbered().lookup, freshFor: "1 minute" } as const
    const cache = caches.make(options)
    await cache.get("k")
    assert.isTrue(caches.make(options).has("k"))
    assert.throws(() => caches.make({ ...options }), /name: got "c"/)
    await close()
  })

  it("R7: closing rejects who waits, and every later call", async () => {
    const caches = SwrPromise.make()
    const cache = caches.make({ name: "c", lookup: (_: string) => new Promise<string>(() => {}), freshFor: 1 })
    const waiting = failure(cache.get("k"))
    await caches.close()
    assert.instanceOf(await waiting, SwrPromise.CachesClosed)
    assert.instanceOf(await failure(cache.get("k")), SwrPromise.CachesClosed)
    assert.instanceOf(await failure(cache.set("k", "v")), SwrPromise.CachesClosed)
    assert.isFalse(cache.has("k"))
  })

  it("tells of changes and events by async iterables", async () => {
    const { caches, close } = await open()
    const cache = caches.make({ name: "c", lookup: numbered().lookup, freshFor: "1 minute" })
    const seen: Array<string | undefined> = []
    const changes = (async () => {
      for await (const change of cache.changes("k")) {
        seen.push(change?.value)
        if (seen.length === 2) break
      }
    })()
    const events = (async () => {
      for await (const { _tag } of caches.events) if (_tag === "Invalidate") return _tag
      return undefined
    })()
    await Promise.resolve()
    await cache.set("k", "set")
    await changes
    assert.deepStrictEqual(seen, [undefined, "set"])
    assert.strictEqual(await events, "Invalidate")
    for await (const { done, total } of cache.warm(["a", "b"])) assert.isAtMost(done, total)
    await close()
  })

  it("shares what the Effect face of the same runtime keeps", async () => {
    const runtime = ManagedRuntime.make(Swr.layer())
    const caches = await SwrPromise.over(runtime)
    caches.make({ name: "c", lookup: numbered().lookup, freshFor: 1 })
    const taken = Swr.make({ name: "c", lookup: (key: string) => Effect.succeed(key), freshFor: 1 })
    assert.instanceOf(await failure(runtime.runPromise(taken)), Policy.InvalidPolicy)
    await runtime.dispose()
  })
})
