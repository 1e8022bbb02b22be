/** Servers that answer the same 1,024 bytes: by themselves, or from a cache in front of a handler. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import apicache from "apicache"
import { Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import express from "express"
import fastify from "fastify"
import { createServer } from "node:http"
import { pipeline } from "node:stream"
import { Agent, interceptors, request } from "undici"
import { createCache as expressCache } from "../../build/examples/express/Cache.js"
import { createCache as fastifyCache } from "../../build/examples/fastify/Cache.js"
import * as HttpCache from "../../dist/HttpCache.js"
import { Swr } from "../../dist/index.js"

const hour = 3_600_000
const host = "127.0.0.1"
const text = JSON.stringify({ price: 1, id: "x".repeat(1002) })
const body = new TextEncoder().encode(text)
const fields = { "content-type": "application/json", "content-length": String(body.length) }

/** How long a body is. */
export const length = body.length

const listening = (server, runs = () => 0) =>
  new Promise((resolve) =>
    server.listen(0, host, () =>
      resolve({
        port: server.address().port,
        runs,
        close: () =>
          new Promise((done) => {
            server.close(done)
            server.closeAllConnections()
          })
      }))
  )

const counter = () => {
  const count = { runs: 0 }
  return { count, runs: () => count.runs }
}

const nodeHttp = (config) =>
  listening(createServer((_, response) => {
    response.writeHead(200, { ...fields, ...config })
    response.end(body)
  }))

/** @type {import("../contenders.mjs").Contender} */
export const bare = {
  name: "bare node:http",
  edge: "promise",
  config: "writeHead, end",
  only: ["http"],
  open: () => nodeHttp({})
}

// What a hit says besides.
const said = {
  "cache-control": "max-age=3600",
  etag: `W/"sd-1843sih1dxv5rm"`,
  date: new Date().toUTCString(),
  age: "0",
  "cache-status": "responses; hit; ttl=3599",
  "x-cache": "HIT"
}

const effect = async (routesOf, headers = {}, bytes = () => body) => {
  const { count, runs } = counter()
  const scope = Scope.makeUnsafe()
  const server = createServer()
  const handler = Effect.sync(() => {
    count.runs++
    return HttpServerResponse.uint8Array(bytes(), { contentType: "application/json", headers })
  })
  const app = HttpRouter.serve(routesOf(HttpRouter.add("GET", "/p/:id", handler)), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host })))
  await Effect.runPromise(Layer.buildWithScope(app, scope))
  return { port: server.address().port, runs, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

/** @type {import("../contenders.mjs").Contender} */
export const bareEffect = {
  name: "bare Effect server",
  edge: "fiber",
  config: "HttpRouter.add, HttpServerResponse.uint8Array; logger off",
  only: ["http"],
  open: () => effect((routes) => routes)
}

/** @type {import("../contenders.mjs").Contender} */
export const saidEffect = {
  name: "bare Effect server, a hit's fields",
  edge: "fiber",
  config: "the same with the six fields that a hit has besides",
  only: ["http"],
  open: () => effect((routes) => routes, said)
}

/** @type {import("../contenders.mjs").Contender} */
export const effectSwr = {
  name: "effect-swr, HttpCache.route",
  edge: "fiber",
  config: "the same behind HttpCache.route({ freshFor: 1 hour }), HttpCache.layer({ capacity, maxBytes: 1 GiB })",
  only: ["http", "http cache"],
  open: () =>
    effect(
      (routes) =>
        routes.pipe(
          Layer.provide(HttpCache.route({ freshFor: hour }).layer),
          Layer.provide(HttpCache.layer({ capacity: 100_000, maxBytes: 2 ** 30 })),
          Layer.provide(Swr.layer())
        ),
      {},
      () => body.slice()
    )
}

const expressed = async (cacheOf) => {
  const { count, runs } = counter()
  const app = express()
  const handler = (_, response) => {
    count.runs++
    response.set(fields).send(Buffer.from(body))
  }
  const [cache, close] = cacheOf()
  app.get("/p/:id", ...cache, handler)
  const server = await listening(createServer(app), runs)
  return { ...server, close: () => Promise.resolve(close?.()).then(server.close) }
}

/** @type {import("../contenders.mjs").Contender} */
export const bareExpress = {
  name: "bare Express",
  edge: "promise",
  config: "app.get, response.send of a Buffer",
  only: ["http"],
  open: () => expressed(() => [[]])
}

/** @type {import("../contenders.mjs").Contender} */
export const expressSwr = {
  name: "Express, examples/express",
  edge: "promise",
  config: "the same behind cache.route({ freshFor: 1 hour })",
  only: ["http", "http cache"],
  open: () => expressed(() => [[expressCache({ freshFor: hour, capacity: 100_000, maxBytes: 2 ** 30 }).route()]])
}

/** @type {import("../contenders.mjs").Contender} */
export const api = {
  name: "Express, apicache",
  edge: "promise",
  config: "the same behind apicache.middleware(1 hour), in memory",
  only: ["http", "http cache"],
  open: () =>
    expressed(() => {
      const cache = apicache.newInstance({ defaultDuration: hour })
      return [[cache.middleware(hour)], () => cache.clear()]
    })
}

const fastified = async (hook) => {
  const { count, runs } = counter()
  const app = fastify({ forceCloseConnections: true })
  app.get("/p/:id", { ...hook !== undefined && { onRequest: hook } }, (_, reply) => {
    count.runs++
    void reply.headers(fields).send(Buffer.from(body))
  })
  await app.listen({ port: 0, host })
  return { port: app.server.address().port, runs, close: () => app.close() }
}

/** @type {import("../contenders.mjs").Contender} */
export const bareFastify = {
  name: "bare Fastify",
  edge: "promise",
  config: "app.get, reply.send of a Buffer",
  only: ["http"],
  open: () => fastified(undefined)
}

/** @type {import("../contenders.mjs").Contender} */
export const fastifySwr = {
  name: "Fastify, examples/fastify",
  edge: "promise",
  config: "the same behind cache.route({ freshFor: 1 hour })",
  only: ["http", "http cache"],
  open: () => fastified(fastifyCache({ freshFor: hour, capacity: 100_000, maxBytes: 2 ** 30 }).route())
}

/** @type {import("../contenders.mjs").Contender} */
export const undici = {
  name: "undici, caching proxy",
  edge: "promise",
  config: "node:http in front of an Agent with interceptors.cache(), an origin in the same process",
  only: ["http", "http cache"],
  open: async () => {
    const { count, runs } = counter()
    const origin = await listening(createServer((_, response) => {
      count.runs++
      response.writeHead(200, { ...fields, "cache-control": "public, max-age=3600" })
      response.end(body)
    }))
    const agent = new Agent().compose(interceptors.cache())
    const proxy = createServer((incoming, response) => {
      request(`http://${host}:${origin.port}${incoming.url}`, { dispatcher: agent }).then(
        ({ body, headers, statusCode }) => {
          response.writeHead(statusCode, headers)
          pipeline(body, response, () => {})
        },
        () => response.destroy()
      )
    })
    const server = await listening(proxy, runs)
    return { ...server, close: () => agent.close().then(server.close).then(origin.close) }
  }
}
