// 8. Time travel: a day in the life of an entry, in no time. In tests `it.effect` brings the clock.
import { Console, Duration, Effect, Option, Ref } from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import { main } from "./main.ts"

export const program = Effect.gen(function*() {
  const origin = yield* Ref.make<Effect.Effect<string, "down">>(Effect.succeed("v1"))
  const pages = yield* Swr.make({
    name: "pages",
    lookup: (_path: string) => Effect.flatten(Ref.get(origin)),
    freshFor: "1 minute",
    maxAge: "6 minutes",
    staleIfError: "1 day"
  })
  const read = Effect.gen(function*() {
    const { age, reason, status, value } = yield* pages.read("/")
    const why = Option.getOrElse(reason, () => "as it should be")
    yield* Console.log(`${value}, ${Duration.format(age)} old: ${status}, ${why}`)
  })

  yield* read
  yield* TestClock.adjust("59 seconds")
  yield* read
  yield* Ref.set(origin, Effect.succeed("v2"))
  yield* TestClock.adjust("1 second")
  yield* read // the old value, and a refresh behind it
  yield* TestClock.adjust("1 second")
  yield* read
  yield* Ref.set(origin, Effect.fail("down"))
  yield* TestClock.adjust("23 hours")
  yield* read
  yield* TestClock.adjust("2 hours")
  yield* Console.log(yield* Effect.flip(pages.get("/"))) // past every bound: nothing to fall back on
}).pipe(Effect.provide(Swr.layer()), Effect.provide(TestClock.layer()))

main(import.meta.url, program)

// prints
// v1, 0 old: miss, as it should be
// v1, 59s old: fresh, as it should be
// v1, 1m old: stale, revalidating
// v2, 1s old: fresh, as it should be
// v2, 23h 1s old: expired, error
// down
