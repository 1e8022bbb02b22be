// 4. A cached function: called as before, remembered by its arguments.
import { Console, Effect } from "effect"
import { Swr } from "effect-swr"
import { main } from "./main.ts"

const rate = Swr.fn("rate", { freshFor: "1 hour", maxAge: "1 day" })((from: string, to: string) =>
  Console.log(`  (asked for ${from} to ${to})`).pipe(Effect.as(from === to ? 1 : 1.25))
)

// Arguments that are not strings, numbers or booleans need a key.
const total = Swr.fn("total", { freshFor: "1 minute" })(
  (basket: ReadonlyArray<number>) => Effect.succeed(basket.reduce((sum, price) => sum + price, 0)),
  (basket) => basket
)

export const program = Effect.gen(function*() {
  yield* Console.log(`${yield* rate("EUR", "USD")}`)
  yield* Console.log(`${yield* rate("EUR", "USD")}, remembered`)
  yield* Console.log(`${yield* rate("EUR", "EUR")}, another entry`)

  yield* rate.revalidate("EUR", "USD")
  yield* rate.invalidate("EUR", "USD")
  const answer = yield* rate.read("EUR", "USD")
  yield* Console.log(`${answer.value}, a ${answer.status}`)

  yield* Console.log(`${yield* total([1, 2, 3])}`)
}).pipe(Effect.provide(Swr.layer()))

main(import.meta.url, program)

// prints
//   (asked for EUR to USD)
// 1.25
// 1.25, remembered
//   (asked for EUR to EUR)
// 1, another entry
//   (asked for EUR to USD)
//   (asked for EUR to USD)
// 1.25, a miss
// 6
