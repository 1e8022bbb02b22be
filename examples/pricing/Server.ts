/**
 * The pricing service: one origin behind two routes, with the same code. They differ in the policy alone.
 *
 * - `/ttl/price/:sku` keeps a price for a while; when that is over, readers wait for the origin.
 * - `/swr/price/:sku` answers at once with the price it has and asks the origin behind the reader's back; while the
 *   origin is ill, it goes on with the price it has.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { Swr } from "effect-swr"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Price } from "./Price.ts"
import { type OriginUnavailable, Pricing, type UnknownSku } from "./Pricing.ts"
import type { Settings } from "./Settings.ts"

type QuoteError = UnknownSku | OriginUnavailable

/** Both caches. */
export class Caches extends Context.Service<Caches, {
  readonly ttl: Swr.Instance<string, Price, QuoteError>
  readonly swr: Swr.Instance<string, Price, QuoteError>
}>()("pricing/Caches") {
  static readonly layer = ({ freshFor, maxAge, staleIfError }: Settings) =>
    Layer.effect(
      Caches,
      Effect.gen(function*() {
        const pricing = yield* Pricing
        const ttl = yield* Swr.make({
          name: "prices/ttl",
          lookup: pricing.quote,
          schema: Price,
          freshFor,
          maxAge: freshFor
        })
        const swr = yield* Swr.make({
          name: "prices/swr",
          lookup: pricing.quote,
          schema: Price,
          freshFor,
          maxAge,
          staleIfError: { window: staleIfError, when: (error: QuoteError) => error._tag === "OriginUnavailable" }
        })
        return Caches.of({ ttl, swr })
      })
    )
}

/** `X-Cache` and `Age` of an answer. */
const headers = (answer: Swr.Snapshot<Price>) => ({
  "x-cache": answer.source === "lookup" ? "MISS" : answer.status === "fresh" ? "HIT" : "STALE",
  "age": String(Math.floor(Duration.toSeconds(answer.age)))
})

const respond = HttpServerResponse.schemaJson(Price)

/** Both routes. */
export const Routes = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const caches = yield* Caches
  for (const name of ["ttl", "swr"] as const) {
    const price = Effect.gen(function*() {
      const { sku = "" } = yield* HttpRouter.params
      const answer = yield* caches[name].read(sku)
      return yield* respond(answer.value, { headers: headers(answer) })
    })
    yield* router.add(
      "GET",
      `/${name}/price/:sku`,
      price.pipe(
        Effect.catchTags({
          UnknownSku: () => Effect.succeed(HttpServerResponse.empty({ status: 404 })),
          OriginUnavailable: () => Effect.succeed(HttpServerResponse.empty({ status: 503 }))
        })
      )
    )
  }
}))
