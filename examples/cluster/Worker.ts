/**
 * One of the processes behind the port: an HTTP server with the cache, memory over Redis. All of them are the same.
 */
import { NodeHttpClient, NodeRedis, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, References, Schema } from "effect"
import { Swr } from "effect-swr"
import * as StoreRedis from "effect-swr/StoreRedis"
import { HttpClient, HttpClientResponse, HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import * as Loopback from "../pricing/Loopback.ts"
import { Quote } from "./Quote.ts"
import { Argument } from "./Settings.ts"

class OriginUnavailable extends Schema.TaggedError<OriginUnavailable>()("OriginUnavailable", {
  message: Schema.String
}) {}

const quotes = Effect.fnUntraced(function*({ caching, origin }: Argument) {
  const client = yield* HttpClient.HttpClient
  const unavailable = (error: Error) => Effect.fail(new OriginUnavailable({ message: error.message }))
  return yield* Swr.make({
    name: "quotes",
    lookup: (key: string) =>
      client.get(`${origin}/quote/${key}`, { headers: { "x-pid": String(process.pid) } }).pipe(
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        Effect.flatMap(HttpClientResponse.schemaBodyJson(Quote)),
        Effect.catchTags({ HttpClientError: unavailable, SchemaError: unavailable })
      ),
    schema: Quote,
    freshFor: caching.freshFor,
    maxAge: caching.maxAge
  })
})

/** Who answered, and what was found. */
const from = (found: string) => ({ headers: { "x-pid": String(process.pid), "x-cache": found } })

const routes = (argument: Argument) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const cache = yield* quotes(argument)
    const respond = HttpServerResponse.schemaJson(Quote)
    const done = HttpServerResponse.empty({ status: 204, ...from("written") })
    // The store did not hear of it. It is told later; whoever wrote knows that others may not know yet.
    const unheard = () => Effect.succeed(HttpServerResponse.empty({ status: 503, ...from("unheard") }))

    const read = Effect.gen(function*() {
      const { key = "" } = yield* HttpRouter.params
      const answer = yield* cache.read(key)
      return yield* respond(answer.value, from(answer.source === "lookup" ? "lookup" : answer.status))
    })
    const invalidate = Effect.gen(function*() {
      const { key = "" } = yield* HttpRouter.params
      yield* cache.invalidate(key)
      return done
    })
    const set = Effect.gen(function*() {
      const { key = "", version } = yield* HttpRouter.params
      yield* cache.set(key, { key, version: Number(version) })
      return done
    })
    const failed = () => Effect.succeed(HttpServerResponse.empty({ status: 502, ...from("failed") }))
    yield* router.add("GET", "/quote/:key", Effect.catchTag(read, "OriginUnavailable", failed))
    yield* router.add("POST", "/invalidate/:key", Effect.catchTag(invalidate, "StoreError", unheard))
    yield* router.add("POST", "/set/:key/:version", Effect.catchTag(set, "StoreError", unheard))
  }))

const server = (argument: Argument) => {
  const client = NodeRedis.layer({
    url: argument.redis,
    disableOfflineQueue: true,
    // The client's own patience grows to 2 seconds: as long would the fleet be apart after a restart.
    socket: { reconnectStrategy: false }
  })
  return HttpRouter.serve(routes(argument), { disableLogger: true, disableListenLog: true }).pipe(
    // A connection ends after so many requests: so those who came later get their share.
    Layer.provide(Loopback.layer(() => Object.assign(createServer(), { maxRequestsPerSocket: 50 }), argument.port)),
    Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true })),
    Layer.provide(Swr.layerStore(argument.caching)),
    Layer.provide(StoreRedis.layer({ client, prefix: "cluster" }))
  )
}

Schema.decodeUnknownEffect(Schema.fromJsonString(Argument))(process.argv[2]).pipe(
  Effect.flatMap((argument) => Layer.launch(server(argument))),
  // That Redis is away is told by the answers here.
  Effect.provideService(References.MinimumLogLevel, "Error"),
  NodeRuntime.runMain
)
