/**
 * What must hold under concurrency, in real time and over real sockets: an origin that takes its time, a server with a
 * caching client in front of it, and readers on connections of their own.
 */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { Swr } from "effect-swr"
import * as HttpCache from "effect-swr/HttpCache"
import { HttpClient, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { until } from "./Web.ts"

/** How long the origin takes, in milliseconds. */
const SLOW = 1000

type Answer = (n: number, request: Http.IncomingMessage) => {
  readonly status?: number
  readonly headers?: Http.OutgoingHttpHeaders
  readonly after?: number
}

/** What an origin was asked, what was left before it had answered, and what has come to the server before it. */
class Log {
  asked = 0
  answered = 0
  left = 0
  seen = 0
  sick = false
  gone = false
  /** It takes longer where this is not yet so: no slow machine tells its readers apart. */
  ready: (n: number) => boolean = () => true
}

/** An origin on a socket. */
const origin = (answer: Answer) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Http.Server; readonly log: Log }>(
        (resume) => {
          const log = new Log()
          const server = Http.createServer((request, response) => {
            const n = ++log.asked
            if (log.gone) {
              request.socket.destroy()
              return
            }
            const { after = SLOW, headers, status = 200 } = answer(n, request)
            request.socket.once("close", () => response.writableEnded || log.left++)
            const end = () => {
              if (!log.ready(n)) {
                setTimeout(end, 10)
                return
              }
              response.writeHead(log.sick ? 503 : status, log.sick ? {} : headers)
              response.end(`v${n}`)
              log.answered++
            }
            setTimeout(end, after)
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, log })))
        }
      ),
      ({ server }) => Effect.sync(() => server.closeAllConnections())
    ),
    // A server that listens on a port has an address that says so.
    ({ log, server }) => ({ log, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  )

/** A server in front of an origin; answers its URL. */
const front = (
  { log, url }: { readonly log: Log; readonly url: string },
  options?: HttpCache.Options
): Effect.Effect<
  string,
  never,
  HttpServer.HttpServer | HttpClient.HttpClient | Swr.Cache | Scope.Scope
> =>
  Effect.gen(function*() {
    const { client } = yield* HttpCache.make(yield* HttpClient.HttpClient, options)
    yield* HttpServer.serveEffect(
      Effect.gen(function*() {
        log.seen++
        const { headers, method, url: path } = yield* HttpServerRequest.HttpServerRequest
        const rest = Object.fromEntries(
          Object.entries(headers).filter(([name]) => name !== "connection" && name !== "host")
        )
        const asking = method === "POST" ? client.post(`${url}${path}`) : client.get(`${url}${path}`, { headers: rest })
        return HttpServerResponse.fromClientResponse(yield* asking)
      })
    )
    return HttpServer.formatAddress((yield* HttpServer.HttpServer).address)
  })

const Live = Layer.mergeAll(
  NodeHttpServer.layer(Http.createServer, { port: 0 }),
  NodeHttpClient.layerNodeHttp,
  Swr.layer()
)

interface Got {
  readonly status: number | undefined
  readonly found: string | undefined
  readonly text: string
}

/** One request, on the agent's connections or one of its own. */
const get = (url: string, options: Http.RequestOptions = {}) =>
  Effect.callback<Got, Error>((resume) => {
    const request = Http.request(url, { agent: false, ...options }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => text += chunk)
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () => {
        const found = response.headers["x-cache"]
        resume(Effect.succeed({
          status: response.statusCode,
          found: typeof found === "string" ? found : undefined,
          text
        }))
      })
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end()
    return Effect.sync(() => request.destroy())
  })

const many = (count: number, url: string) =>
  Effect.all(Array.from({ length: count }, () => get(url)), { concurrency: "unbounded" })

const distinct = (answers: ReadonlyArray<Got>) => new Set(answers.map(({ text }) => text)).size
const kept = (control: string, headers: Http.OutgoingHttpHeaders = {}): Answer => () => ({
  headers: { "cache-control": control, ...headers }
})

// Side by side, as they mostly wait: each has servers of its own.
describe("over sockets", { concurrent: true }, () => {
  it.live(
    "50 stale hits: one refresh, 50 old answers at once, and the next request on a connection is not delayed",
    () =>
      Effect.gen(function*() {
        const site = yield* origin(kept("max-age=3, stale-while-revalidate=60"))
        const { log } = site
        const page = `${yield* front(site)}/a`
        yield* get(page)
        // Its way took a second already, which counts as age.
        yield* Effect.sleep(2100)
        log.ready = () => log.seen >= 1 + 50 + 2
        const all = yield* many(50, page)
        assert.isTrue(all.every(({ found, text }) => found === "STALE" && text === "v1"))
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
        assert.deepInclude(yield* get(page, { agent }), { found: "STALE", text: "v1" })
        assert.deepInclude(yield* get(page, { agent }), { found: "STALE", text: "v1" })
        agent.destroy()
        assert.deepStrictEqual([log.asked, log.answered], [2, 1], "all of that while the refresh is on its way")
        yield* until(() => log.answered === 2)
        let answer = yield* get(page)
        while (answer.text === "v1") answer = yield* get(page)
        assert.strictEqual(answer.text, "v2")
      }).pipe(Effect.scoped, Effect.provide(Live)),
    15_000
  )

  it.live("50 cold hits: one request", () =>
    Effect.gen(function*() {
      const site = yield* origin(kept("max-age=60"))
      const { log } = site
      log.ready = () => log.seen === 50
      const all = yield* many(50, `${yield* front(site)}/a`)
      assert.deepStrictEqual([distinct(all), log.asked], [1, 1])
    }).pipe(Effect.scoped, Effect.provide(Live)), 15_000)

  for (const control of ["private", "no-store"]) {
    it.live(`20 answers that are ${control}: 20 distinct ones, no queue`, () =>
      Effect.gen(function*() {
        const site = yield* origin(kept(control))
        const { log } = site
        // The first of an unknown URI tells that it is not to be shared; the others go together then, or wait for ever.
        log.ready = (n) => n === 1 || log.asked === 20
        const all = yield* many(20, `${yield* front(site)}/a`)
        assert.deepStrictEqual([distinct(all), log.asked], [20, 20])
      }).pipe(Effect.scoped, Effect.provide(Live)), 15_000)
  }

  it.live(
    "an origin that fails in the window: old answers for all, refreshes held off, the good one stays",
    () =>
      Effect.gen(function*() {
        const site = yield* origin(kept("max-age=2, stale-while-revalidate=2, stale-if-error=5"))
        const { log } = site
        const page = `${yield* front(site)}/a`
        const began = performance.now()
        yield* get(page)
        // The first load began between these two, however slow the machine was to ask.
        const loading = performance.now() - SLOW
        const past = (millis: number) => until(() => performance.now() - loading > millis)
        yield* past(2100)
        log.sick = true
        for (let i = 0; i < 10; i++) {
          for (const got of yield* many(5, page)) {
            assert.deepStrictEqual(got, { status: 200, found: "STALE", text: "v1" })
          }
          yield* Effect.sleep(50)
        }
        assert.isAtMost(log.asked, 2 + Math.ceil((performance.now() - began - 2100) / 1000))
        yield* past(6800)
        let answer = yield* get(page)
        while (answer.status === 200) answer = yield* get(page)
        assert.isAtLeast(performance.now() - began, 7000, "old answers to the end of the window")
        const later = yield* many(5, page)
        assert.isTrue(later.every(({ status }) => status === 503))
        log.sick = false
        assert.deepInclude(yield* get(page), { status: 200, found: "MISS" })
      }).pipe(Effect.scoped, Effect.provide(Live)),
    15_000
  )

  it.live(
    "past its life: 504 where asking first was mandatory and nobody is there; an old one where an option allows it",
    () =>
      Effect.gen(function*() {
        const site = yield* origin((_, { url }) => ({
          after: 0,
          headers: { "cache-control": url === "/must" ? "max-age=1, must-revalidate" : "max-age=1", etag: "\"a\"" }
        }))
        const { log } = site
        const page = yield* front(site, { staleOnDisconnect: "1 minute" })
        yield* get(`${page}/must`)
        yield* get(`${page}/may`)
        yield* Effect.sleep(1100)
        log.gone = true
        assert.strictEqual((yield* get(`${page}/must`)).status, 504)
        assert.deepInclude(yield* get(`${page}/may`), { status: 200, found: "STALE" })
      }).pipe(Effect.scoped, Effect.provide(Live)),
    15_000
  )

  it.live("50 misses on a failing origin: one request, its answer shared", () =>
    Effect.gen(function*() {
      const site = yield* origin(() => ({ status: 503 }))
      const { log } = site
      log.ready = () => log.seen === 50
      const all = yield* many(50, `${yield* front(site)}/a`)
      assert.isTrue(all.every(({ status, text }) => status === 503 && text === "v1"))
      assert.strictEqual(log.asked, 1)
    }).pipe(Effect.scoped, Effect.provide(Live)), 15_000)

  it.live("a 304 gives its connection back", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin((n) => ({
        after: 0,
        status: n === 1 ? 200 : 304,
        headers: { "cache-control": "no-cache", etag: "\"a\"" }
      }))
      const { client } = yield* HttpCache.make(yield* HttpClient.HttpClient)
      for (let i = 0; i < 4; i++) assert.strictEqual(yield* Effect.flatMap(client.get(url), ({ text }) => text), "v1")
      assert.strictEqual(log.asked, 4)
    }).pipe(
      Effect.scoped,
      Effect.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true, maxSockets: 1 })),
      Effect.provide(Live)
    ), 5000)

  it.live("a reader that hangs up: the refresh goes on, and who follows is answered", () =>
    Effect.gen(function*() {
      const site = yield* origin(kept("max-age=60"))
      const { log } = site
      let hasLeft = false
      log.ready = () => hasLeft
      const page = `${yield* front(site)}/a`
      const leader = yield* Effect.forkChild(get(page))
      yield* until(() => log.asked === 1)
      const follower = yield* Effect.forkChild(get(page))
      yield* until(() => log.seen === 2)
      leader.interruptUnsafe()
      hasLeft = true
      const answer = yield* Effect.promise(() =>
        new Promise<Got>((resolve) => follower.addObserver((exit) => exit._tag === "Success" && resolve(exit.value)))
      )
      assert.strictEqual(answer.text, "v1")
      assert.deepStrictEqual([log.asked, log.left], [1, 0])
      assert.deepInclude(yield* get(page), { found: "HIT", text: "v1" })
    }).pipe(Effect.scoped, Effect.provide(Live)), 15_000)
})
