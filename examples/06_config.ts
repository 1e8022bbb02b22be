// 6. Windows from the environment: what can't be honoured is a value, not a crash.
import { Config, ConfigProvider, Console, Effect } from "effect"
import { Policy, Swr } from "effect-swr"
import { main } from "./main.ts"

const windows = Config.all({
  freshFor: Config.Duration("FRESH_FOR"),
  maxAge: Config.Duration("MAX_AGE").pipe(Config.withDefault("1 hour"))
})

const lengths = Effect.gen(function*() {
  const policy = yield* Effect.fromResult(Policy.make(yield* windows))
  return yield* Swr.make({ name: "lengths", lookup: (word: string) => Effect.succeed(word.length), policy })
})

const cache = Swr.layerConfig({
  capacity: Config.Int("CAPACITY"),
  maxTimeToLive: Config.Duration("MAX_TTL")
})

const run = (env: Record<string, string>) =>
  lengths.pipe(
    Effect.flatMap((lengths) => lengths.read("stale")),
    Effect.map((answer) => `${answer.value}, ${answer.status}`),
    Effect.catch((refused) => Effect.succeed(`${refused._tag}: ${refused.message}`)),
    Effect.flatMap((line) => Console.log(line)),
    Effect.provide(cache),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
  )

export const program = Effect.gen(function*() {
  yield* run({ CAPACITY: "100", MAX_TTL: "1 hour", FRESH_FOR: "5 minutes" })
  yield* run({ CAPACITY: "100", MAX_TTL: "1 hour", FRESH_FOR: "2 hours" })
})

main(import.meta.url, program)

// prints
// 5, miss
// InvalidPolicy: freshFor: got 2h, allowed is at most maxAge (3600000 ms)
