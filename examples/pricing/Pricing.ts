/**
 * The client of the origin: asks it for a price.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { Price } from "./Price.ts"

/** The origin is up and has no such product: an answer, not an outage. */
export class UnknownSku extends Schema.TaggedError<UnknownSku>()("UnknownSku", { sku: Schema.String }) {}

/** The origin did not answer in time, or not with a price. */
export class OriginUnavailable extends Schema.TaggedError<OriginUnavailable>()("OriginUnavailable", {
  message: Schema.String
}) {}

export class Pricing extends Context.Service<Pricing, {
  readonly quote: (sku: string) => Effect.Effect<Price, UnknownSku | OriginUnavailable>
}>()("pricing/Pricing") {
  static readonly layer = (options: { readonly origin: string; readonly timeout: number }) =>
    Layer.effect(
      Pricing,
      Effect.gen(function*() {
        const client = yield* HttpClient.HttpClient
        const unavailable = (error: Error) => Effect.fail(new OriginUnavailable({ message: error.message }))
        return Pricing.of({
          quote: Effect.fn("Pricing.quote")(
            function*(sku: string) {
              const response = yield* client.get(`${options.origin}/price/${encodeURIComponent(sku)}`)
              if (response.status === 404) return yield* new UnknownSku({ sku })
              yield* HttpClientResponse.filterStatusOk(response)
              return yield* HttpClientResponse.schemaBodyJson(Price)(response)
            },
            Effect.timeout(options.timeout),
            Effect.catchTags({ HttpClientError: unavailable, SchemaError: unavailable, TimeoutError: unavailable })
          )
        })
      })
    ).pipe(Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true })))
}
