/**
 * What the caches of fleets do that this one learns from, one by one under the ids of their behaviours, and what happens
 * here. EX: express-route-cache; RX: nestjs-redisx; W-EX, W-RX: their weaknesses, shown to be absent. "differs" in a
 * name: on purpose, and `docs/differences.md` says why.
 *
 * On the test clock: each process is a layer of its own over one simulated store.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Exit, Layer, Schema, Scope } from "effect"
import { type Event, type Policy, Swr } from "effect-swr"
import * as Testing from "effect-swr/Testing"
import { TestClock } from "effect/testing"
import { collect, type Down, type Gone, now, numbered, settle } from "./Origin.ts"

/** Ten seconds fresh, then stale until twenty. */
const ten = { freshFor: "10 seconds", maxAge: "20 seconds" } as const

type Lookup = (key: string) => Effect.Effect<string, Down | Gone>
interface Options extends Policy.Windows<Down | Gone> {
  readonly freshFor: Duration.Input
  readonly keep?: (value: string, key: string) => Swr.Keep
  readonly version?: string
  readonly hardTimeout?: Duration.Input
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
