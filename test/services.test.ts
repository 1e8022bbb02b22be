/**
 * What the types say of services, as it runs: `make` and `Service` have been paid all of them when they were built.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Schema, SchemaGetter } from "effect"
import { Swr } from "effect-swr"

class Suffix extends Context.Service<Suffix, string>()("test/Suffix") {
  static readonly layer = Layer.succeed(Suffix, "!")
}

/** A schema that can't work without a service: what it decodes, and so each kept value, ends with the suffix. */
const Word = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transformEffect((word: string) => Effect.map(Suffix, (suffix) => word + suffix)),
    encode: SchemaGetter.passthrough()
  })
)

const lookup = (key: string) => Effect.succeed(key)
const options = { lookup, schema: Word, freshFor: "1 minute" } as const

class Words extends Swr.Service<Words>()("test/Words", options) {}

const layer = Words.layer.pipe(Layer.provide(Suffix.layer), Layer.provideMerge(Swr.layer()))

/** Paid here, and nowhere after. */
const words = Effect.provide(Swr.make({ name: "words", ...options }), Suffix.layer)

describe("services", () => {
  it.effect("R8: a reader of `make` and `Service` brings none of the schema's services", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* (yield* words).get("a"), "a!")
      assert.strictEqual((yield* (yield* words).revalidate("a")).value, "a!")
      assert.strictEqual(yield* Words.use((words) => words.get("a")), "a!")
    }).pipe(Effect.provide(layer)))

  it.effect("R8: nor does who sets a value", () =>
    Effect.gen(function*() {
      const cache = yield* words
      yield* cache.set("a", "b")
      assert.strictEqual(yield* cache.get("a"), "b!")
      yield* Words.use((words) => words.set("a", "c"))
      assert.strictEqual(yield* Words.use((words) => words.get("a")), "c!")
    }).pipe(Effect.provide(layer)))

  it.effect("R8: nor who changes one", () =>
    Effect.gen(function*() {
      const cache = yield* words
      const changed = yield* cache.mutate("a", () => Effect.succeed("b"))
      assert.strictEqual(changed.value, "b!")
      assert.strictEqual((yield* changed.mutate("c")).value, "c!")
    }).pipe(Effect.provide(Swr.layer())))

  it.effect("R8: an answer of `swr` is moved on with the services of who does it", () =>
    Effect.gen(function*() {
      const answer = yield* Swr.swr("word", Effect.succeed("a"), { schema: Word })
      const written = yield* answer.mutate("b")
      assert.deepStrictEqual([written.value, (yield* written.revalidate).value], ["b!", "a!"])
    }).pipe(Effect.provide([Swr.layer(), Suffix.layer])))

  it.effect("R8: a lookup that reads the cache is paid its cache by `make`", () =>
    Effect.gen(function*() {
      const inner = (key: string) => Effect.map(Swr.swr(key, Effect.succeed(`inner ${key}`)), ({ value }) => value)
      const outer = yield* Swr.make({ name: "outer", lookup: inner, freshFor: "1 minute" })
      const cache = yield* Swr.Cache
      // The reader has a fiber without any service.
      assert.strictEqual(yield* Effect.promise(() => Effect.runPromise(outer.get("a"))), "inner a")
      assert.strictEqual(Option.isSome(yield* cache.peek("a")), true)
    }).pipe(Effect.provide(Swr.layer())))
})
