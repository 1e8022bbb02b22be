/**
 * The origin: a slow server of prices in a process of its own, that can be told to be ill.
 */
import { Clock, Effect, Layer, Ref, Schedule, Schema, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createServer, type Server } from "node:http"
import { seeded } from "./Arrivals.ts"
import * as Child from "./Child.ts"
import * as Loopback from "./Loopback.ts"
import { Health } from "./Outage.ts"
import { Price, priceAt } from "./Price.ts"
import { products } from "./Products.ts"
import type { Settings } from "./Settings.ts"

/** What the origin is told: how to be from now on. */
export const Told = Schema.Struct({ health: Health })

/** What the origin says: the port it listens on. */
export const Said = Schema.Struct({ port: Schema.Int })

/** The route `/price/:sku`, as ill as `health` says. */
export const routes = (
  settings: Pick<Settings, "seed" | "originLatency" | "failureShare">,
  health: Ref.Ref<Health>
) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const bySku = new Map(products.map((product) => [product.sku, product]))
    const random = seeded(settings.seed)
    const respond = HttpServerResponse.schemaJson(Price)
    const opened = yield* Clock.currentTimeMillis

    const price = Effect.gen(function*() {
      const { sku = "" } = yield* HttpRouter.params
      if ((yield* Ref.get(health)) === "hang") return yield* Effect.never
      const latency = settings.originLatency * (0.9 + 0.2 * random())
      const unlucky = random() < settings.failureShare
      yield* Effect.sleep(latency)
      if (unlucky || (yield* Ref.get(health)) === "error") return HttpServerResponse.empty({ status: 503 })
      const product = bySku.get(sku)
      if (product === undefined) return HttpServerResponse.empty({ status: 404 })
      return yield* respond(priceAt(product, (yield* Clock.currentTimeMillis) - opened))
    })
    yield* router.add("GET", "/price/:sku", price)
  }))

/** Nothing listens any more, and open connections are cut. */
const refuseConnections = (server: Server) =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

const acceptConnections = (server: Server, port: number) =>
  Effect.callback<void, Error>((resume) => {
    const refused = (error: Error) => resume(Effect.fail(error))
    server.once("error", refused)
    server.listen(port, Loopback.host, () => {
      server.off("error", refused)
      resume(Effect.void)
    })
  }).pipe(Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 40 }))))

/** The child process. */
export const run = Effect.fnUntraced(function*(settings: Settings) {
  const health = yield* Ref.make<Health>("up")
  const server = createServer({ keepAliveTimeout: 120_000 })

  const serve = Effect.gen(function*() {
    const port = yield* Loopback.port
    yield* Child.sayWith(Said)({ port })
    yield* Stream.runForEach(
      Child.told(Told),
      Effect.fnUntraced(function*(told) {
        const before = yield* Ref.getAndSet(health, told.health)
        if (before !== "refuse" && told.health === "refuse") yield* refuseConnections(server)
        if (before === "refuse" && told.health !== "refuse") yield* acceptConnections(server, port)
      })
    )
  })

  yield* serve.pipe(
    Effect.provide(
      HttpRouter.serve(routes(settings, health), { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(Loopback.layer(() => server, settings.originPort))
      )
    ),
    Child.main
  )
})
