// 3. A cached lookup as a service: what it needs is paid once, where its layer is built.
import { Console, Context, Effect, Layer, Schema } from "effect"
import { Swr } from "effect-swr"
import { main } from "./main.ts"

class Price extends Schema.Class<Price>("Price")({ sku: Schema.String, cents: Schema.Int }) {
  get text() {
    return `${this.sku}: ${(this.cents / 100).toFixed(2)}`
  }
}

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}

class Pricing extends Context.Service<Pricing, {
  readonly quote: (sku: string) => Effect.Effect<Price, OutOfStock>
}>()("app/Pricing") {
  static readonly layer = Layer.succeed(Pricing, {
    quote: (sku) =>
      sku === "tea" ? Effect.succeed(new Price({ sku, cents: 250 })) : Effect.fail(new OutOfStock({ sku }))
  })
}

class Prices extends Swr.Service<Prices>()("app/Prices", {
  lookup: (sku: string) => Pricing.use((pricing) => pricing.quote(sku)),
  schema: Price,
  freshFor: "1 minute",
  maxAge: "6 minutes"
}) {}

export const program = Effect.gen(function*() {
  const prices = yield* Prices
  yield* Console.log((yield* prices.get("tea")).text)

  // The lookup's own error, and no other.
  const answer = yield* Effect.catchTag(prices.get("cocoa"), "OutOfStock", ({ sku }) => Effect.succeed(`no ${sku}`))
  yield* Console.log(answer)
}).pipe(Effect.provide(Prices.layer.pipe(Layer.provide([Pricing.layer, Swr.layer()]))))

main(import.meta.url, program)

// prints
// tea: 2.50
// no cocoa
