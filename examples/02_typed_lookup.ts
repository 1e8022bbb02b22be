// 2. A typed cached lookup: many keys in one batch, and an old price when the origin is down.
import { Console, Effect, Option, Ref, Schema } from "effect"
import { Swr } from "effect-swr"
import { main } from "./main.ts"

const Price = Schema.Struct({ sku: Schema.String, cents: Schema.Int })

class Down extends Schema.TaggedError<Down>()("Down", {}) {}

export const program = Effect.gen(function*() {
  const up = yield* Ref.make(true)
  const quote = Effect.fnUntraced(function*(skus: ReadonlyArray<string>) {
    yield* Console.log(`  (asked for ${skus.join(", ")})`)
    if (!(yield* Ref.get(up))) return yield* new Down()
    return new Map(skus.map((sku) => [sku, { sku, cents: 100 * sku.length }]))
  })

  const prices = yield* Swr.make({
    name: "prices",
    lookupMany: quote, // serves `get` as well; beside it or in its place: `lookup`, for one key
    schema: Price,
    freshFor: "1 minute",
    maxAge: "6 minutes",
    staleIfError: "1 day"
  })

  yield* prices.get("tea")
  const basket = yield* prices.getMany(["tea", "cocoa", "milk"])
  yield* Console.log(basket.map(({ cents, sku }) => `${sku} ${cents}`).join(", "))

  // The checkout takes no price older than a second, unless there is no other.
  yield* Ref.set(up, false)
  yield* Effect.sleep("1 second")
  const last = yield* prices.read("tea", { freshFor: 0, maxAge: "1 second" })
  yield* Console.log(`${last.status}, ${Option.getOrElse(last.reason, () => "fresh")}: ${last.value.cents}`)
}).pipe(Effect.provide(Swr.layer()))

main(import.meta.url, program)

// prints
//   (asked for tea)
//   (asked for cocoa, milk)
// tea 300, cocoa 500, milk 400
//   (asked for tea)
// expired, error: 300
