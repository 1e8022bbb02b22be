// 1. A key and an effect: the value comes with the evidence for it.
import { Console, Effect, Option, Schema } from "effect"
import { Swr } from "effect-swr"
import { main } from "./main.ts"

const Settings = Schema.Struct({ theme: Schema.Literals(["dark", "light"]) })

const load = Console.log("  (the origin is asked)").pipe(Effect.as({ theme: "dark" } as const))

// Fresh for 5 minutes, then answered while it is refreshed behind the reader, and never older than an hour.
const settings = Swr.swr("settings", load, { freshFor: "5 minutes", maxAge: "1 hour", schema: Settings })

export const program = Effect.gen(function*() {
  const first = yield* settings
  yield* Console.log(`${first.status}: ${first.value.theme}, from ${first.source}`)

  const again = yield* settings
  yield* Console.log(`${again.status}: ${again.value.theme}, from ${again.source}`)

  yield* again.mutate({ theme: "light" })
  yield* Console.log(`written: ${(yield* settings).value.theme}`)

  yield* again.revalidate
  yield* Console.log(`loaded again: ${(yield* settings).value.theme}`)

  // Plain values have keys of their own.
  yield* Swr.cacheSet("greeted", true, { schema: Schema.Boolean, timeToLive: "1 hour" })
  const greeted = yield* Swr.cacheGet("greeted", { schema: Schema.Boolean })
  yield* Console.log(`greeted: ${Option.getOrElse(greeted, () => false)}`)
}).pipe(Effect.provide(Swr.layer()))

main(import.meta.url, program)

// prints
//   (the origin is asked)
// miss: dark, from lookup
// fresh: dark, from memory
// written: light
//   (the origin is asked)
// loaded again: dark
// greeted: true
