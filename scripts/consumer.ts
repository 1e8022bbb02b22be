/** A program of a user's. `package.mjs` type-checks, runs and weighs it against the packed package. */
import { Effect } from "effect"
import { Swr } from "effect-swr"

const program = Swr.swr("greeting", Effect.succeed("hello")).pipe(
  Effect.map((answer) => `${answer.value}: ${answer.status}, ${answer.source}`),
  Effect.provide(Swr.layer())
)

console.log(await Effect.runPromise(program))
