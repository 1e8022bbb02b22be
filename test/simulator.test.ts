/**
 * A fleet in one program, in thousands of orders: nothing that was invalidated comes back, nothing is answered past its
 * window, nothing waits for ever. Each run of the tests looks at the same simulations; `SIMULATIONS=10000` looks at more.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Schema, Stream } from "effect"
import { type Store, Swr } from "effect-swr"
import * as Testing from "effect-swr/Testing"
import { TestClock } from "effect/testing"
import { counted, join, now, settle, start } from "./Origin.ts"

const count = Number(process.env["SIMULATIONS"] ?? 500)

const seeds = (from: number, share: number) => Array.from({ length: Math.ceil(count * share) }, (_, i) => from + i)

/** The first broken promise of these simulations, with its seed and what led to it; and what the others have done. */
const simulations = (
  options: Omit<Testing.SimulationOptions, "seed">,
  seeds: ReadonlyArray<number>
): Effect.Effect<Testing.Simulation, Testing.PromiseBroken> =>
  Effect.map(
    Effect.forEach(seeds, (seed) => Testing.simulate({ ...options, seed })),
    (all) =>
      all.reduce((sum, one) => ({
        steps: sum.steps + one.steps,
        reads: sum.reads + one.reads,
        loads: sum.loads + one.loads,
        lastWords: sum.lastWords + one.lastWords,
        commands: sum.commands + one.commands,
        late: sum.late + one.late
      }))
  )

const MINUTES = 30 * 60_000

describe("a fleet keeps its promises", () => {
  it.effect("I1, I4, I13, I15: two processes, everything goes wrong", () =>
    Effect.gen(function*() {
      const { late, lastWords, loads } = yield* simulations({}, seeds(1, 0.5))
      // Else it looked at nothing.
      assert.isTrue(late > 0 && lastWords > count && loads > count)
    }), MINUTES)

  it.effect(
    "I1, I4, I13, I15: three processes, three keys, longer",
    () => simulations({ processes: 3, keys: ["a", "b", "c"], steps: 250 }, seeds(10_001, 0.2)),
    MINUTES
  )

  it.effect(
    "I15: messages are lost, and nothing else goes wrong",
    () => simulations({ faults: ["loss", "partition", "disconnect"] }, seeds(20_001, 0.15)),
    MINUTES
  )

  it.effect(
    "I15: no announcement ever comes",
    () => simulations({ between: (store) => ({ ...store, announcements: Stream.never }) }, seeds(40_001, 0.1)),
    MINUTES
  )

  it.effect(
    "I3: nobody loads without the right to where nothing goes wrong",
    () => simulations({ faults: [], acts: ["read", "strict", "many"], processes: 3, failures: 0 }, seeds(30_001, 0.15)),
    MINUTES
  )
})

describe("the simulator", () => {
  it.effect("does the same for the same seed, and something else for another", () =>
    Effect.gen(function*() {
      const options = { processes: 3, steps: 300 }
      const first = yield* Testing.simulate({ ...options, seed: 1 })
      assert.deepStrictEqual(yield* Testing.simulate({ ...options, seed: 1 }), first)
      assert.notDeepEqual(yield* Testing.simulate({ ...options, seed: 2 }), first)
    }))
})

type Shape = Store.Store["Service"]

/** Stores that break a promise of theirs: what a fleet over them breaks. */
const harms: Record<string, (store: Shape) => Shape> = {
  "takes every commit": (store) => ({
    ...store,
    commit: (asker, commit) =>
      Effect.flatMap(store.commit(asker, commit), (reply) =>
        reply.value || commit.stored === undefined
          ? Effect.succeed(reply)
          : Effect.as(
            store.change(asker, { mode: "set", key: commit.key, stored: commit.stored, news: "" }),
            { ...reply, value: true }
          ))
  }),
  "forgets its deadline": (store) => ({
    ...store,
    change: (asker, change) => store.change({ ...asker, within: 1e9 }, change)
  }),
  "makes all young": (store) => ({
    ...store,
    open: (asker, keys) =>
      Effect.map(store.open(asker, keys), (reply) => ({
        ...reply,
        value: reply.value.map((one) => ({ ...one, entry: one.entry && { ...one.entry, age: 0 } }))
      }))
  }),
  "tells of no tag": (store) => ({
    ...store,
    change: (asker, change) => change.mode === "tag" ? store.ask(asker) : store.change(asker, change)
  }),
  "gives the right to load to everybody": (store) => ({
    ...store,
    open: (asker, keys) =>
      Effect.map(store.open(asker, keys), (reply) => ({
        ...reply,
        value: reply.value.map((one) => ({ ...one, lease: one.lease && "given" }))
      }))
  })
}

describe("the simulator finds a store that", () => {
  for (const [name, harm] of Object.entries(harms)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const broken = yield* Effect.flip(simulations({ between: harm }, seeds(1, 1)))
        assert.include(broken.trace.at(-1), "BROKEN")
        const again = yield* Effect.flip(Testing.simulate({ between: harm, seed: broken.seed }))
        assert.deepStrictEqual(again.trace, broken.trace)
      }), MINUTES)
  }
})

class Cache extends Context.Service<Cache, Swr.Instance<string, number>>()("test/Cache") {}

/** Processes over one store; the value of the n-th load is n, and comes when the `gate` for it is open. */
const fleet = (gate: (n: number) => Effect.Effect<void> = () => Effect.void) =>
  Effect.gen(function*() {
    const simulated = yield* Testing.simulatedStore()
    const origin = counted((n) => Effect.as(gate(n), n))
    const cached = { name: "c", lookup: origin.lookup, schema: Schema.Finite, freshFor: "1 minute" } as const
    const process = (name: string) =>
      Layer.effect(Cache, Swr.make(cached)).pipe(
        Layer.provide(Swr.layerStore({ trustFor: "2 seconds", storeDeadline: "1 second" })),
        Layer.provide(simulated.connect(name)),
        Layer.build,
        Effect.map((context) => Context.get(context, Cache))
      )
    return { simulated, a: yield* process("a"), b: yield* process("b") }
  })

describe("what is never or seldom met by chance", () => {
  it.effect("I15: trust counts from when the question was sent, however late its answer comes", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      assert.deepStrictEqual([yield* now(a.get("k")), yield* now(b.get("k"))], [1, 1])
      yield* TestClock.adjust(1600)
      // Asks behind its reader's back: the store says now that nothing is missing, and is heard much later.
      yield* simulated.latency({ reply: 900 })
      assert.strictEqual(yield* now(a.get("k")), 1)
      yield* settle
      yield* simulated.latency({ reply: 0 })
      yield* simulated.lose(1)
      yield* now(b.invalidate("k"))
      yield* TestClock.adjust(900)
      yield* TestClock.adjust(1200)
      assert.strictEqual(yield* now(a.get("k")), 2)
    }))

  it.effect("I4: a load begun under an epoch that is over commits nothing under the next", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { a, b, simulated } = yield* fleet((n) => n === 1 ? Deferred.await(gate) : Effect.void)
      const old = yield* start(a.get("k"))
      yield* settle
      yield* now(b.clear)
      // With the clock the note of the clear is lost, and a hears of the new one.
      yield* simulated.evictClock("c")
      assert.strictEqual(yield* now(a.get("other")), 2)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* join(old), 1)
      assert.strictEqual(yield* now(b.get("k")), 3)
    }))

  it.effect("R11: a mark that reaches the store does not pay for what was to go and did not", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      yield* now(a.get("other"))
      yield* now(b.set("k", 100))
      yield* settle
      yield* simulated.fail("full", ["change"])
      yield* now(Effect.flip(a.invalidate("k")))
      // Paid first, so that the other one is still owed when the mark is acknowledged.
      yield* now(Effect.flip(a.invalidateTag("t")))
      yield* simulated.up
      yield* now(a.invalidate("k", { mode: "soft" }))
      yield* settle
      assert.strictEqual(yield* now(a.get("k")), 2)
    }))

  it.effect("R11: who joins after a tag's last word is not given the value, also when another one follows", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const tagged = Swr.make({
        name: "tagged",
        lookup: (n: string) => n === "k" ? Effect.as(Deferred.await(gate), ++loads) : Effect.succeed(0),
        keep: () => ({ tags: ["t"] }),
        freshFor: "1 minute"
      })
      let loads = 0
      yield* Effect.provide(
        Effect.gen(function*() {
          const cache = yield* tagged
          const first = yield* start(cache.get("k"))
          yield* cache.invalidateTag("t")
          const second = yield* start(cache.get("k"))
          yield* cache.invalidateTag("t")
          yield* Deferred.succeed(gate, undefined)
          assert.deepStrictEqual([yield* join(first), yield* join(second)], [1, 2])
        }),
        Swr.layer()
      )
    }))
})
