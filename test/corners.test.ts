/** Corners that an adversary found, and once were wrong. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Random, References } from "effect"
import { Swr } from "effect-swr"
import { settle, stale, start, within } from "./Origin.ts"

describe("corners", () => {
  it.effect("R19: a pass is given to its starter, not to a reader whom the lookup's first step woke", () =>
    Effect.gen(function*() {
      const [awake, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let calls = 0
      const cache = yield* Swr.make({
        name: "c",
        ...stale,
        lookup: (_: string) =>
          Effect.suspend(() => {
            const call = ++calls
            return Effect.as(
              Effect.andThen(Deferred.succeed(awake, undefined), Deferred.await(gate)),
              `private ${call}`
            )
          }),
        keep: () => "pass"
      })
      const other = yield* start(Effect.andThen(Deferred.await(awake), cache.get("k")))
      const starter = yield* start(cache.get("k"))
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual([yield* Fiber.join(starter), yield* Fiber.join(other)], ["private 1", "private 2"])
    }).pipe(within()))

  for (const tag of ["order:8", "list"]) {
    it.effect(`R6: a lookup that begins with invalidateTag("list") loads its value of tag ${tag} once`, () =>
      Effect.gen(function*() {
        let calls = 0
        const cache: Swr.Instance<string, string> = yield* Swr.make({
          name: "c",
          ...stale,
          lookup: (key: string): Effect.Effect<string> =>
            Effect.suspend(() =>
              ++calls > 5
                ? Effect.die("loads for ever")
                : Effect.as(Effect.andThen(Effect.orDie(cache.invalidateTag("list")), Effect.yieldNow), key)
            ),
          keep: () => ({ tags: [tag] }) // "order:8" and "list" share a note's slot
        })
        yield* cache.get("k")
        assert.strictEqual(calls, 1)
      }).pipe(within()))
  }

  it.effect("R11: who joined after a tag was invalidated loads anew, also when it is invalidated once more", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* Deferred.make<string>(), yield* Deferred.make<string>()]
      let calls = 0
      const cache = yield* Swr.make({
        name: "c",
        ...stale,
        lookup: (_: string) => Effect.suspend(() => Deferred.await(++calls === 1 ? one : two)),
        keep: () => ({ tags: ["t"] })
      })
      const first = yield* start(cache.get("k"))
      yield* cache.invalidateTag("t")
      const second = yield* start(cache.get("k"))
      yield* cache.invalidateTag("t")
      yield* Deferred.succeed(one, "old")
      yield* Deferred.succeed(two, "new")
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], ["old", "new"])
    }).pipe(within()))

  it.effect("R19, R9: a keep that gives a tag which is no string: share, and the key is not lost", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        ...stale,
        lookupMany: (keys: ReadonlyArray<string>) => Effect.succeed(new Map(keys.map((key) => [key, key]))),
        keep: () => ({ tags: [undefined as never] })
      })
      yield* cache.invalidateTag("any")
      const fiber = yield* start(cache.getMany(["k"]))
      yield* settle
      assert.isDefined(fiber.pollUnsafe(), "it waits, for ever")
    }).pipe(within()))

  it.effect("R9: 1,500 loads that wait for each other leave no key that never answers", () =>
    Effect.gen(function*() {
      const gate = Deferred.makeUnsafe<number>()
      const cache: Swr.Instance<number, number> = yield* Swr.make({
        name: "c",
        ...stale,
        lookup: (page: number): Effect.Effect<number> =>
          page === 0 ? Deferred.await(gate) : Effect.map(cache.get(page - 1), (before) => before + 1)
      })
      const top = yield* start(cache.get(1500))
      for (let i = 0; i < 5; i++) yield* settle
      yield* Effect.forkDetach(Deferred.succeed(gate, 0))
      for (let i = 0; i < 50; i++) yield* settle
      assert.deepStrictEqual(top.pollUnsafe(), yield* Effect.exit(Effect.succeed(1500)))
    }).pipe(within()))

  it.effect("R11: a load that clear begins sees nothing from before clear", () =>
    Effect.gen(function*() {
      let version = "old"
      let hangs = false
      const cache: Swr.Instance<string, string> = yield* Swr.make({
        name: "c",
        ...stale,
        lookup: (key: string): Effect.Effect<string> =>
          Effect.suspend(() => {
            if (key === "b") return Effect.succeed(version)
            if (!hangs) return Effect.map(cache.get("b"), (b) => `a of ${b}`)
            hangs = false
            return Effect.never
          })
      })
      yield* cache.get("a")
      hangs = true
      yield* start(cache.revalidate("a"))
      yield* start(cache.revalidate("a"))
      version = "new"
      yield* cache.clear
      yield* settle
      assert.strictEqual(yield* cache.get("a"), "a of new")
    }).pipe(within()))

  it.effect("R8: a Service's layer built again runs its lookups with what it was built with this time", () =>
    Effect.gen(function*() {
      class Db extends Context.Service<Db, { open: boolean }>()("Db") {}
      const db = Layer.effect(
        Db,
        Effect.acquireRelease(Effect.sync((): { open: boolean } => ({ open: true })), (db) =>
          Effect.sync(() => {
            db.open = false
          }))
      )
      class Rows extends Swr.Service<Rows>()("Rows", {
        freshFor: 0,
        lookup: (_: string) => Effect.map(Db, ({ open }) => open)
      }) {}
      const layer = Rows.layer.pipe(Layer.provide(db))
      const open = (key: string) => Effect.provide(Rows.use((rows) => rows.get(key)), Layer.fresh(layer))
      assert.deepStrictEqual([yield* open("a"), yield* open("b")], [true, true])
    }).pipe(within()))

  it.effect("R10: a refresh that begins inside a change is no part of it, and may wait for its turn", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* Swr.make({
        name: "c",
        lookup: (key: string) => Effect.succeed(key),
        ...stale
      })
      const refreshing = Effect.map(
        Effect.orDie(cache.mutate("k", () => Effect.succeed("changed by the refresh"))),
        ({ value }) => value
      )
      const old = { freshFor: 0 } as const
      yield* Swr.swr("other", Effect.succeed("other"), old)
      yield* cache.mutate("k", () => Effect.as(Swr.swr("other", refreshing, old), "changed"))
      yield* settle
      assert.strictEqual(yield* cache.get("k"), "changed by the refresh")
    }).pipe(within()))

  it.effect("R9: whatever throws while a load ends, who waits gets the defect, and the key is free again", () => {
    let breaks = true
    const nextDoubleUnsafe = () => {
      if (breaks) throw new Error("chance broke")
      return 0.5
    }
    return Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: (key: string) => Effect.succeed(key), ...stale })
      assert.strictEqual((yield* Effect.exit(cache.get("k")))._tag, "Failure")
      assert.strictEqual((yield* cache.stats).flights, 0)
      breaks = false
      assert.strictEqual(yield* cache.get("k"), "k")
    }).pipe(within(), Effect.provideService(Random.Random, { nextDoubleUnsafe, nextIntUnsafe: () => 0 }))
  })

  it.effect("R18: a read that pauses between its look and its wait, while the key changes, counts once", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: (_: string) => Effect.never, ...stale })
      const sum = Effect.map(cache.stats, ({ hits, joined, misses, stale }) => hits + stale + misses + joined)
      for (let ops = 3; ops <= 6; ops++) {
        for (let steps = 0; steps < 10; steps++) {
          const key = `${ops}/${steps}`
          const before = yield* sum
          const reading = Effect.provideService(cache.get(key), References.MaxOpsBeforeYield, ops)
          const reader = yield* Effect.forkChild(reading, { startImmediately: true })
          for (let i = 0; i < steps; i++) yield* Effect.yieldNow
          const other = yield* start(cache.get(key))
          yield* settle
          assert.strictEqual((yield* sum) - before, 2, key)
          for (const fiber of [reader, other]) yield* Fiber.interrupt(fiber)
        }
      }
    }).pipe(within()))
})
