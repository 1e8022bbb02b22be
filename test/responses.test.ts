import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Data,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Logger,
  Option,
  Redacted,
  Schema,
  Stream,
  Tracer
} from "effect"
import { Policy, Swr } from "effect-swr"
import * as HttpCache from "effect-swr/HttpCache"
import * as HttpCachePromise from "effect-swr/HttpCachePromise"
import * as SwrPromise from "effect-swr/SwrPromise"
import {
  HttpClient,
  HttpClientRequest,
  HttpEffect,
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity
} from "effect/http-api"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { defect, settle } from "./Origin.ts"

type Headers = Readonly<Record<string, string>>

const sleepLive = (millis: number) => TestClock.withLive(Effect.sleep(millis))

const serve = <R>(routes: Layer.Layer<never, never, R>, options?: HttpCache.Options & HttpCache.Route) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(HttpCache.layer(options)),
    Layer.provide(Swr.layer()),
    Layer.provideMerge(HttpServer.layerTestClient),
    // Not fetch, which says more than it is told.
    Layer.provide(NodeHttpClient.layerNodeHttp),
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0 }))
  )

const fetched = (path: string, headers: Headers = {}) =>
  Effect.flatMap(HttpClient.get(path, { headers }), (response) =>
    Effect.map(response.text, (text): Headers => ({
      ...Object.fromEntries(Object.entries(response.headers)),
      status: `${response.status}`,
      text
    })))
const get = (path: string, headers: Headers = {}) =>
  Effect.map(fetched(path, headers), (all) => [all["x-cache"], all["text"]] as const)

/** A handler that counts its runs. */
const counter = <E = never, R = never>(
  answer: (n: number) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => {
  const counts = { runs: 0 }
  const handler = Effect.suspend(() => answer(++counts.runs))
  return { counts, handler }
}
const numbered = (headers: Headers = {}) =>
  counter((n) => Effect.succeed(HttpServerResponse.text(`v${n}`, { headers })))

const swr = { freshFor: "10 seconds", maxAge: "20 seconds", staleIfError: "1 minute" } as const

describe("a route says how long its responses are kept", () => {
  const { handler } = numbered()
  it.effect("EX-01, EX-03, EX-04, EX-05: MISS, HIT, STALE and one refresh, MISS; Age; Cache-Control", () =>
    Effect.gen(function*() {
      const first = yield* fetched("/a")
      assert.containsSubset(first, {
        "x-cache": "MISS",
        age: "0",
        text: "v1",
        "cache-control": "max-age=10, stale-while-revalidate=10, stale-if-error=60"
      })
      assert.match(first["etag"] ?? "", /^W\/".+"$/)
      yield* TestClock.adjust("9 seconds")
      assert.containsSubset(yield* fetched("/a"), { "x-cache": "HIT", age: "9", text: "v1" })
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
      yield* settle
      assert.deepStrictEqual(yield* get("/a"), ["HIT", "v2"])
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "v3"])
    }).pipe(Effect.provide(serve(
      HttpRouter.add("GET", "/a", handler).pipe(
        Layer.provide(HttpCache.route(swr).layer)
      )
    ))))

  const gate = Deferred.makeUnsafe<void>()
  const slow = counter((n) => Effect.as(n === 1 ? Effect.void : Deferred.await(gate), HttpServerResponse.text(`v${n}`)))
  it.effect("W-EX-1, W-EX-3: a handler that takes its time is run again behind the reader, once for all", () =>
    Effect.gen(function*() {
      yield* get("/a")
      yield* TestClock.adjust("10 seconds")
      const all = yield* Effect.all(Array.from({ length: 50 }, () => get("/a")), { concurrency: "unbounded" })
      for (const answer of all) assert.deepStrictEqual(answer, ["STALE", "v1"])
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(yield* get("/a"), ["HIT", "v2"])
      assert.strictEqual(slow.counts.runs, 2)
    }).pipe(Effect.provide(serve(
      HttpRouter.add("GET", "/a", slow.handler).pipe(
        Layer.provide(HttpCache.route(swr).layer)
      )
    ))))

  const failing = counter((n) =>
    n === 1
      ? Effect.succeed(HttpServerResponse.text("v1"))
      : n === 2
      ? Effect.die("bug")
      : Effect.succeed(HttpServerResponse.text("sick", { status: 503 }))
  )
  it.effect("W-EX-4, RF-04: a handler that fails behind the reader harms nobody, and stale-if-error bridges it", () =>
    Effect.gen(function*() {
      yield* get("/a")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
      yield* TestClock.adjust("39 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
      yield* settle
      yield* TestClock.adjust("1 seconds")
      assert.containsSubset(yield* fetched("/a"), { status: "503", text: "sick" })
      assert.isAtMost(failing.counts.runs, 5)
    }).pipe(Effect.provide(serve(
      HttpRouter.add("GET", "/a", failing.handler).pipe(
        Layer.provide(HttpCache.route(swr).layer)
      )
    ))))

  const broken = counter((n) =>
    n === 1 ? Effect.succeed(HttpServerResponse.text("v1")) : Effect.fail(new Error("the table is gone"))
  )
  it.effect("what a handler failed with behind the reader is in the log: nobody else is told", () => {
    const lines: Array<string> = []
    const logger = Logger.make((line) => {
      lines.push(Logger.formatSimple.log(line))
    })
    return Effect.gen(function*() {
      yield* get("/a")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
      yield* settle
      assert.lengthOf(lines, 1)
      assert.include(lines[0], "the origin failed with 500")
      assert.include(lines[0], "the table is gone")
    }).pipe(
      Effect.provide(serve(
        HttpRouter.add("GET", "/a", broken.handler).pipe(
          Layer.provide(HttpCache.route(swr).layer)
        )
      )),
      Effect.provide(Logger.layer([logger]))
    )
  })

  class Missing extends Data.TaggedError("Missing") implements HttpServerRespondable.Respondable {
    [HttpServerRespondable.symbol]() {
      return Effect.succeed(HttpServerResponse.text("missing", { status: 404 }))
    }
  }
  const statuses = counter((n) =>
    n === 1 ? Effect.succeed(HttpServerResponse.text("odd", { status: 404 })) : Effect.fail(new Missing())
  )
  it.effect("EX-06: only what went well is kept; an error that is a response is one", () =>
    Effect.gen(function*() {
      assert.containsSubset(yield* fetched("/a"), { status: "404", "x-cache": "MISS", text: "odd" })
      assert.containsSubset(yield* fetched("/a"), { status: "404", "x-cache": "MISS", text: "missing" })
      assert.strictEqual(statuses.counts.runs, 2)
    }).pipe(Effect.provide(serve(
      HttpRouter.add("GET", "/a", statuses.handler).pipe(
        Layer.provide(HttpCache.route(swr).layer)
      )
    ))))

  const own = numbered({ "cache-control": "private, no-store" })
  it.effect("W-EX-9: what the handler says in Cache-Control counts before what the route says", () =>
    Effect.gen(function*() {
      assert.containsSubset(yield* fetched("/a"), {
        "x-cache": "MISS",
        "cache-control": "private, no-store",
        text: "v1"
      })
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "v2"])
    }).pipe(Effect.provide(serve(
      HttpRouter.add("GET", "/a", own.handler).pipe(
        Layer.provide(HttpCache.route(swr).layer)
      )
    ))))
})

const cachedRoute = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  route: HttpCache.Route = swr,
  options?: HttpCache.Options & HttpCache.Route
) => serve(HttpRouter.add("GET", "/a", handler).pipe(Layer.provide(HttpCache.route(route).layer)), options)

describe("R2: what a route can't mean is refused, with what is allowed", () => {
  const refused: ReadonlyArray<readonly [option: string, route: HttpCache.Route]> = [
    ["freshFor", { freshFor: "400 millis" }],
    ["freshFor", { freshFor: "2 minutes", maxAge: "1 minute" }],
    ["freshFor", { freshFor: Number.NaN }],
    ["maxAge", { freshFor: 0, maxAge: "1 millis" }],
    ["staleIfError", { freshFor: 0, staleIfError: -1000 }],
    ["vary", { vary: ["accept", "Cookie"] }],
    ["vary", { vary: ["authorization"] }],
    ["vary", { vary: ["*"] }],
    ["vary", { vary: ["a, b"] }]
  ]
  for (const [option, route] of refused) {
    it.effect(`${option} of ${JSON.stringify(route)}`, () =>
      Effect.gen(function*() {
        const died = [
          yield* Effect.exit(Layer.build(HttpCache.layer(route))),
          yield* Effect.exit(Effect.provide(
            Effect.map(HttpCache.HttpCache, ({ cached }) => cached(route)),
            HttpCache.layer()
          ))
        ].map(defect)
        for (const refusal of died) {
          assert.instanceOf(refusal, Policy.InvalidPolicy)
          assert.strictEqual(refusal.option, option)
        }
        const caches = SwrPromise.make()
        assert.throws(() => HttpCachePromise.make(caches, route), `${option}: got`)
        const responses = HttpCachePromise.make(caches)
        assert.throws(() => responses.check(route), `${option}: got`)
        const asked = responses.answer({
          request: { method: "GET", url: "http://h.test/", headers: {} },
          route,
          run: () => Promise.reject(new Error("it ran")),
          pass: () => Promise.reject(new Error("it passed"))
        })
        const error = yield* Effect.promise(() => asked.catch((error: unknown) => error))
        assert.instanceOf(error, Policy.InvalidPolicy)
      }).pipe(Effect.scoped, Effect.provide(Swr.layer())))
  }

  it.effect("a cache of one user's may vary by who he is", () =>
    Effect.scoped(Layer.build(HttpCache.layer({ shared: false, vary: ["cookie"] }))).pipe(Effect.provide(Swr.layer())))
})

describe("by headers", () => {
  const own = numbered({ "cache-control": "max-age=5" })
  it.effect("EX-05: the handler's own Cache-Control decides, and is told as it is", () =>
    Effect.gen(function*() {
      for (const found of ["MISS", "HIT"]) {
        assert.containsSubset(yield* fetched("/a"), { "x-cache": found, text: "v1", "cache-control": "max-age=5" })
      }
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "v2"])
    }).pipe(Effect.provide(cachedRoute(own.handler, {}))))

  const silent = numbered({ "last-modified": "Sat, 21 Nov 2020 12:00:00 GMT" })
  it.effect("EX-02 differs: without windows, and without a word of the handler, nobody guesses a lifetime", () =>
    Effect.gen(function*() {
      yield* get("/a")
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "v2"])
    }).pipe(Effect.provide(cachedRoute(silent.handler, {}))))
})

describe("what the key does not cover, the handler does not see", () => {
  const echo = counter(() =>
    Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ cookies, headers, method, remoteAddress, url }) =>
        HttpServerResponse.text(
          JSON.stringify([method, url, Object.keys(headers), cookies, Option.isSome(remoteAddress)])
        )
    )
  )
  it.effect("section 2: fields that are not in the key, the address, and the method of a HEAD", () =>
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      yield* client.head("/a?b=%2e", {
        headers: {
          "x-forwarded-host": "evil",
          "x-forwarded-for": "1.2.3.4",
          "x-original-url": "/b",
          "x-http-method-override": "POST",
          "accept-language": "en"
        }
      })
      const [found, seen] = yield* get("/a?b=%2e", { "accept-language": "en", "x-forwarded-host": "evil" })
      assert.strictEqual(found, "MISS")
      assert.deepStrictEqual(JSON.parse(seen ?? ""), ["GET", "/a?b=%2e", ["accept-language", "host"], {}, false])
    }).pipe(Effect.provide(cachedRoute(echo.handler, { ...swr, vary: ["Accept-Language"] }))))

  const language = counter((n) =>
    Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ headers }) => HttpServerResponse.text(`${headers["accept-language"]}${n}`, { headers: { vary: "origin" } })
    )
  )
  it.effect("EX-14, W-EX-10: what it does see is in the key, exactly, and in Vary", () =>
    Effect.gen(function*() {
      const say = (language: string) => get("/a", { "accept-language": language })
      assert.deepStrictEqual(yield* say("en"), ["MISS", "en1"])
      assert.deepStrictEqual(yield* say("fr"), ["MISS", "fr2"])
      assert.deepStrictEqual(yield* say("en"), ["HIT", "en1"])
      assert.strictEqual((yield* fetched("/a", { "accept-language": "fr" }))["vary"], "origin, accept-language")
    }).pipe(Effect.provide(cachedRoute(language.handler, { ...swr, vary: ["accept-language"] }))))

  const whose = counter((n) =>
    Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ headers }) => HttpServerResponse.text(`${headers["authorization"] ?? headers["cookie"] ?? "nobody"}${n}`)
    )
  )
  it.effect("W-EX-9, I22: who says who he is is answered by the handler, and nobody else is given that", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* get("/a", { authorization: "ann" }), ["MISS", "ann1"])
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "nobody2"])
      assert.deepStrictEqual(yield* get("/a", { cookie: "u=bob" }), ["MISS", "u=bob3"])
      assert.deepStrictEqual(yield* get("/a"), ["HIT", "nobody2"])
    }).pipe(Effect.provide(cachedRoute(whose.handler))))

  const cookie = counter((n) =>
    Effect.succeed(HttpServerResponse.setCookieUnsafe(HttpServerResponse.text(`v${n}`), "n", `${n}`))
  )
  it.effect("EX-08, I22: an answer that sets a cookie is its reader's", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* fetched("/a"))["set-cookie"], "n=1")
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "v2"])
    }).pipe(Effect.provide(cachedRoute(cookie.handler))))

  const plain = numbered()
  it.effect("section 2: paths that look alike are apart", () =>
    Effect.gen(function*() {
      const paths = ["/a", "/a?b", "/a?b=1&c=2", "/a?c=2&b=1", "/a?f[a]=1", "/a?f[b]=2", "/a?%62"]
      for (const path of paths) assert.strictEqual((yield* get(path))[0], "MISS", path)
      for (const path of paths) assert.strictEqual((yield* get(path))[0], "HIT", path)
    }).pipe(Effect.provide(cachedRoute(plain.handler))))
})

describe("what is answered from the cache", () => {
  const text = counter((n) => Effect.succeed(HttpServerResponse.text(`0123456789${n}`)))
  it.effect("W-EX-15: 304, HEAD, ranges", () =>
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const { etag = "" } = yield* fetched("/a")
      const same = yield* fetched("/a", { "if-none-match": etag })
      assert.containsSubset(same, { status: "304", "x-cache": "HIT", etag, text: "" })
      const head = yield* client.head("/a")
      assert.deepStrictEqual([head.status, head.headers["content-length"], head.headers["x-cache"]], [200, "11", "HIT"])
      assert.containsSubset(yield* fetched("/a", { range: "bytes=2-3" }), {
        status: "206",
        text: "23",
        "content-range": "bytes 2-3/11"
      })
      const many = yield* fetched("/a", { range: "bytes=0-0,-1" })
      assert.match(many["content-type"] ?? "", /^multipart\/byteranges; boundary=/)
      assert.strictEqual(many["content-length"], `${many["text"]?.length}`)
      assert.containsSubset(yield* fetched("/a", { range: "bytes=20-" }), {
        status: "416",
        "content-range": "bytes */11"
      })
      assert.strictEqual(text.counts.runs, 1)
    }).pipe(Effect.provide(cachedRoute(text.handler))))

  const types = counter((n) =>
    Effect.succeed(n === 1 ? HttpServerResponse.jsonUnsafe({ a: "é" }) : HttpServerResponse.empty({ status: 204 }))
  )
  it.effect("the type and the bytes are the handler's", () =>
    Effect.gen(function*() {
      yield* get("/a")
      assert.containsSubset(yield* fetched("/a"), {
        "x-cache": "HIT",
        "content-type": "application/json",
        "content-length": "10",
        text: "{\"a\":\"é\"}"
      })
      yield* get("/a?2")
      assert.containsSubset(yield* fetched("/a?2"), { "x-cache": "HIT", status: "204", text: "" })
    }).pipe(Effect.provide(cachedRoute(types.handler))))

  it.effect("a form's type names the border between its parts", () =>
    Effect.gen(function*() {
      for (const found of ["MISS", "HIT"]) {
        const { "content-type": type = "", text = "", "x-cache": cache } = yield* fetched("/a")
        const [, border = "none"] = /^multipart\/form-data; boundary=(.+)$/.exec(type) ?? []
        assert.deepStrictEqual([cache, text.startsWith(`--${border}\r\n`)], [found, true], type)
      }
    }).pipe(Effect.provide(cachedRoute(Effect.sync(() => {
      const form = new FormData()
      form.append("a", "b")
      return HttpServerResponse.formData(form)
    })))))

  let open = 0
  const chunk = new Uint8Array(1000).fill(65)
  const streamed = counter((n) =>
    Effect.as(
      Effect.acquireRelease(Effect.sync(() => open++), () => Effect.sync(() => open--)),
      HttpServerResponse.stream(
        Stream.fromIterable(Array.from({ length: n === 1 ? 3 : 10 }, () => chunk)).pipe(
          // A body that is read after what it lives on is gone is cut.
          Stream.mapEffect((chunk) => open > 0 ? Effect.succeed(chunk) : Effect.fail("closed"))
        )
      )
    )
  )
  it.effect("EX-07: a streamed body is kept up to the limit; a longer one comes through, and lives as long as it needs", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* get("/a"))[1]?.length, 3000)
      assert.strictEqual((yield* get("/a"))[0], "HIT")
      for (let i = 0; i < 3; i++) {
        const [found, text] = yield* get("/a?long")
        assert.deepStrictEqual([found, text?.length], ["MISS", 10_000])
      }
      yield* settle
      yield* sleepLive(20)
      assert.strictEqual(open, 0)
    }).pipe(Effect.provide(cachedRoute(streamed.handler, swr, { maxBody: 5000 }))))
})

describe("I9: what a handler holds is let go", () => {
  const kilobyte = new Uint8Array(1000)
  const holding = (body: (n: number) => Stream.Stream<Uint8Array>) => {
    const held = { open: 0 }
    const { handler } = counter((n) =>
      Effect.as(
        Effect.acquireRelease(Effect.sync(() => held.open++), () => Effect.sync(() => held.open--)),
        HttpServerResponse.stream(body(n))
      )
    )
    return { handler, held }
  }

  for (const where of ["of a route", "around all routes"]) {
    const endless = holding(() => Stream.concat(Stream.succeed(kilobyte), Stream.never))
    const app = where === "of a route"
      ? cachedRoute(endless.handler)
      : serve(Layer.merge(HttpCache.layerGlobal(swr), HttpRouter.add("GET", "/a", endless.handler)))
    it.effect(`R7: when its reader leaves while its body is read, by a cache ${where}`, () =>
      Effect.gen(function*() {
        const reader = yield* Effect.forkChild(get("/a"))
        yield* sleepLive(20)
        assert.strictEqual(endless.held.open, 1)
        yield* Fiber.interrupt(reader)
        yield* sleepLive(20)
        assert.strictEqual(endless.held.open, 0)
      }).pipe(Effect.provide(app)))
  }

  const growing = holding((n) => Stream.fromIterable(Array.from({ length: n === 1 ? 1 : 10 }, () => kilobyte)))
  it.effect("when its body is too long to be kept, and there is nobody to read it", () =>
    Effect.gen(function*() {
      yield* get("/a")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* get("/a"))[0], "STALE")
      yield* settle
      yield* sleepLive(20)
      assert.strictEqual(growing.held.open, 0)
    }).pipe(Effect.provide(cachedRoute(growing.handler, swr, { maxBody: 5000 }))))
})

describe("what never ends", () => {
  const events = counter((n) =>
    Effect.succeed(
      HttpServerResponse.stream(Stream.succeed(new TextEncoder().encode(`data: ${n}\n\n`)), {
        contentType: "text/event-stream"
      })
    )
  )
  it.effect("RFC 9111 3.3: is passed through, and no cache behind is told to keep it", () =>
    Effect.gen(function*() {
      for (const n of [1, 2]) {
        const { "cache-control": control, text, "x-cache": found } = yield* fetched("/a")
        assert.deepStrictEqual([found, text, control], ["MISS", `data: ${n}\n\n`, undefined])
      }
    }).pipe(Effect.provide(cachedRoute(events.handler))))
})

describe("what a refresh leaves behind", () => {
  let open = 0
  const endless = counter((n) =>
    Effect.as(
      Effect.acquireRelease(Effect.sync(() => open++), () => Effect.sync(() => open--)),
      n === 1
        ? HttpServerResponse.text("v1")
        : HttpServerResponse.stream(Stream.forever(Stream.succeed(new Uint8Array(10))), {
          headers: { "cache-control": "private" }
        })
    )
  )
  it.effect("I9: nothing, also where its answer is for nobody", () =>
    Effect.gen(function*() {
      yield* get("/a")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
      yield* settle
      assert.deepStrictEqual([endless.counts.runs, open], [2, 0])
    }).pipe(Effect.provide(cachedRoute(endless.handler))))
})

describe("invalidation", () => {
  const routes = (path: "/users" | "/users/:id" | "/users/:id/posts" | "/other") =>
    HttpRouter.add("GET", path, Effect.sync(() => HttpServerResponse.text("v")))
  const all = Layer.mergeAll(routes("/users"), routes("/users/:id"), routes("/users/:id/posts"), routes("/other"))
  const paths = ["/users", "/users/1?q", "/users/2", "/users/1/posts", "/other"]
  const found = Effect.forEach(paths, (path) => Effect.map(get(path), ([found]) => found))

  const ways = [
    ["around each route", all.pipe(Layer.provide(HttpCache.route(swr).layer))],
    ["around all of them", Layer.mergeAll(all, HttpCache.layerGlobal(swr))]
  ] as const
  for (const [way, routes] of ways) {
    it.effect(`EX-19, EX-20, W-EX-12: by the pattern of a route and by a path: what is below goes too, ${way}`, () =>
      Effect.gen(function*() {
        const { clear, invalidateRoute } = yield* HttpCache.HttpCache
        const after = <E>(act: Effect.Effect<void, E>) => Effect.andThen(found, Effect.andThen(act, found))
        assert.deepStrictEqual(yield* after(invalidateRoute("/users")), ["MISS", "MISS", "MISS", "MISS", "HIT"])
        assert.deepStrictEqual(yield* after(invalidateRoute("/users/:id")), ["HIT", "MISS", "MISS", "MISS", "HIT"])
        assert.deepStrictEqual(yield* after(invalidateRoute("/users/1")), ["HIT", "MISS", "HIT", "MISS", "HIT"])
        assert.deepStrictEqual(yield* after(clear), ["MISS", "MISS", "MISS", "MISS", "MISS"])
      }).pipe(Effect.provide(serve(routes))))
  }

  const handler = numbered()
  it.effect("1.8, W-EX-13: by an unsafe method that went well, not by HEAD or OPTIONS", () =>
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      yield* get("/a")
      yield* client.head("/a")
      yield* client.options("/a")
      yield* client.put("/a")
      assert.deepStrictEqual(yield* get("/a"), ["HIT", "v1"])
      yield* client.post("/a")
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "v2"])
    }).pipe(Effect.provide(serve(
      Layer.mergeAll(
        HttpRouter.add("GET", "/a", handler.handler),
        HttpRouter.add("POST", "/a", HttpServerResponse.empty()),
        HttpRouter.add("PUT", "/a", HttpServerResponse.empty({ status: 500 })),
        HttpRouter.add("OPTIONS", "/a", HttpServerResponse.empty())
      ).pipe(Layer.provide(HttpCache.route(swr).layer))
    ))))
})

describe("behind a proxy that is trusted", () => {
  const seen = Effect.map(
    HttpServerRequest.HttpServerRequest,
    ({ headers, originalUrl }) => HttpServerResponse.text(`${headers["host"]} ${originalUrl}`)
  )
  const App = serve(Layer.merge(
    HttpRouter.middleware(HttpMiddleware.xForwardedHeaders({ trustedProxies: () => true }), { global: true }),
    HttpRouter.add("GET", "/a", seen).pipe(Layer.provide(HttpCache.route(swr).layer))
  ))
  it.effect("section 2: scheme and host are those that the reader asked by, in the key and to the handler", () =>
    Effect.gen(function*() {
      const ask = (host: string, scheme: string) =>
        get("/a", { "x-forwarded-for": "192.0.2.1", "x-forwarded-host": host, "x-forwarded-proto": scheme })
      assert.deepStrictEqual(yield* ask("a.test", "http"), ["MISS", "a.test http://a.test/a"])
      assert.deepStrictEqual(yield* ask("b.test", "http"), ["MISS", "b.test http://b.test/a"])
      assert.deepStrictEqual(yield* ask("a.test", "https"), ["MISS", "a.test https://a.test/a"])
      assert.deepStrictEqual(yield* ask("a.test", "http"), ["HIT", "a.test http://a.test/a"])
    }).pipe(Effect.provide(App)))
})

describe("what is added to each answer by itself", () => {
  const cors = HttpRouter.cors({ allowedOrigins: ["http://a.test", "http://b.test"] })
  const route = HttpRouter.add("GET", "/a", HttpServerResponse.text("a"))
  const apps = {
    "around a cached route": Layer.merge(route.pipe(Layer.provide(HttpCache.route(swr).layer)), cors),
    "before the cache around all routes": Layer.mergeAll(cors, HttpCache.layerGlobal(swr), route)
  }
  for (const [where, app] of Object.entries(apps)) {
    it.effect(`CORS, ${where}: each origin is told of itself, by a hit too`, () =>
      Effect.gen(function*() {
        for (const [i, origin] of ["http://a.test", "http://b.test", "http://a.test"].entries()) {
          const told = yield* fetched("/a", { origin })
          assert.deepStrictEqual(
            [told["x-cache"], told["access-control-allow-origin"], told["vary"]],
            [i === 0 ? "MISS" : "HIT", origin, "Origin"]
          )
        }
      }).pipe(Effect.provide(serve(app))))
  }
})

describe("what a handler asks to be done before its response is sent", () => {
  const asking = (change: (response: HttpServerResponse.HttpServerResponse) => HttpServerResponse.HttpServerResponse) =>
    counter((n) =>
      HttpEffect.appendPreResponseHandler((_, response) => Effect.succeed(change(response))).pipe(
        Effect.as(HttpServerResponse.text(`v${n}`))
      )
    )
  const named = asking(HttpServerResponse.setHeader("x-name", "Ada"))
  it.effect("is done once, to what is kept: a hit bears it too", () =>
    Effect.gen(function*() {
      for (const found of ["MISS", "HIT"]) {
        assert.containsSubset(yield* fetched("/a"), { "x-cache": found, "x-name": "Ada", text: "v1" })
      }
    }).pipe(Effect.provide(cachedRoute(named.handler))))

  const greeted = asking(HttpServerResponse.setCookieUnsafe("session", "1"))
  it.effect("and where that sets a cookie, nothing is kept", () =>
    Effect.gen(function*() {
      for (const text of ["v1", "v2"]) {
        const response = yield* HttpClient.get("/a")
        assert.deepStrictEqual(
          [response.headers["x-cache"], yield* response.text, Object.keys(response.cookies.cookies)],
          ["MISS", text, ["session"]]
        )
      }
      assert.strictEqual(greeted.counts.runs, 2)
    }).pipe(Effect.provide(cachedRoute(greeted.handler))))
})

describe("a failure that Effect answers otherwise than with 500", () => {
  const gone = HttpServerResponse.text("gone", { status: 410 })
  const failures: Readonly<Record<string, readonly [string, Effect.Effect<never, unknown>]>> = {
    "nothing found": ["404", Effect.fail(new Cause.NoSuchElementError())],
    "a response, as a defect": ["410", Effect.die(gone)],
    "an error that is a response, as a defect": [
      "410",
      Effect.die({ [HttpServerRespondable.symbol]: () => Effect.succeed(gone) })
    ]
  }
  for (const [what, [status, failure]] of Object.entries(failures)) {
    const { handler } = counter((n) => n === 1 ? Effect.succeed(HttpServerResponse.text("v1")) : failure)
    it.effect(`R10: ${what}: it is an answer, and nothing old stands in for it`, () =>
      Effect.gen(function*() {
        yield* get("/a")
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
        yield* settle
        assert.strictEqual((yield* fetched("/a"))["status"], status)
      }).pipe(Effect.provide(cachedRoute(handler))))
  }

  const { handler: strict } = counter((n) =>
    Effect.as(Schema.decodeUnknownEffect(Schema.Int)(n === 1 ? n : "x"), HttpServerResponse.text(`v${n}`))
  )
  it.effect("section 4: a bad request is told of who asked, and takes nothing from others", () =>
    Effect.gen(function*() {
      yield* get("/a")
      assert.strictEqual((yield* fetched("/a", { "cache-control": "no-cache" }))["status"], "400")
      assert.deepStrictEqual(yield* get("/a"), ["HIT", "v1"])
    }).pipe(Effect.provide(cachedRoute(strict))))

  it.effect("it stays the failure it is, for a middleware around the cache", () => {
    const outside = HttpRouter.middleware(
      Effect.catchIf(Cause.isNoSuchElementError, () => Effect.succeed(HttpServerResponse.text("no such page"))),
      { global: true }
    )
    return Effect.gen(function*() {
      const told = [undefined, "no such page"] as const
      assert.deepStrictEqual([yield* get("/a"), yield* get("/a")], [told, told])
    }).pipe(Effect.provide(serve(Layer.mergeAll(
      outside,
      HttpCache.layerGlobal(swr),
      HttpRouter.add("GET", "/a", Effect.fail(new Cause.NoSuchElementError()))
    ))))
  })
})

describe("a router with a prefix", () => {
  const seen = Effect.map(
    HttpServerRequest.HttpServerRequest,
    ({ method, originalUrl, url }) => HttpServerResponse.text(`${method} ${url} ${new URL(originalUrl).pathname}`)
  )
  const below = HttpRouter.use((router) => router.prefixed("/v1").add("*", "/a", seen))
  const kept = HttpCache.route(swr).layer
  const apps = {
    "a cached route": below.pipe(Layer.provide(kept)),
    "the cache around all routes": Layer.merge(HttpCache.layerGlobal(swr), below),
    "both": Layer.merge(HttpCache.layerGlobal(swr), below.pipe(Layer.provide(kept))),
    "a route that is left out": Layer.merge(
      HttpCache.layerGlobal(swr),
      below.pipe(Layer.provide(HttpCache.route({ enabled: false }).layer))
    )
  }
  for (const [where, app] of Object.entries(apps)) {
    it.effect(`${where}: the handler is shown what is left of its path`, () =>
      Effect.gen(function*() {
        const left = where === "a route that is left out"
        assert.deepStrictEqual(yield* get("/v1/a"), ["MISS", "GET /a /v1/a"])
        yield* TestClock.adjust("15 seconds")
        // Refreshed for a HEAD, it is run as for a GET.
        yield* HttpClient.head("/v1/a")
        yield* settle
        assert.deepStrictEqual(yield* get("/v1/a"), [left ? "MISS" : "HIT", "GET /a /v1/a"])
      }).pipe(Effect.provide(serve(app))))
  }
})

describe("the spans of a handler", () => {
  const handler = Effect.succeed(HttpServerResponse.text("a")).pipe(Effect.withSpan("query"))
  it.effect("R8: belong to the load that ran it, and not to the reader, whose span may have ended", () => {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return Effect.gen(function*() {
      yield* get("/a")
      yield* TestClock.adjust("15 seconds")
      yield* get("/a")
      yield* settle
      const queries = spans.filter(({ name }) => name === "query")
      assert.lengthOf(queries, 2)
      for (const { parent } of queries) {
        const load = spans.find(({ spanId }) => spanId === Option.getOrUndefined(parent)?.spanId)
        assert.strictEqual(load?.name, "responses.load")
        assert.lengthOf(load?.links ?? [], 1)
      }
    }).pipe(
      Effect.provide(cachedRoute(handler)),
      Effect.provideService(Tracer.Tracer, tracer)
    )
  })
})

describe("HttpApi", () => {
  class User extends Schema.Class<User>("User")({ id: Schema.Int, name: Schema.String }) {}
  class NoUser extends Schema.TaggedError<NoUser>()("NoUser", { id: Schema.Int }, { httpApiStatus: 404 }) {}
  const key = HttpApiSecurity.apiKey({ in: "cookie", key: "session" })
  const params = { id: Schema.FiniteFromString }
  const api = HttpApi.make("api").add(
    HttpApiGroup.make("users").add(
      HttpApiEndpoint.get("one", "/:id", { params, success: User, error: NoUser }),
      HttpApiEndpoint.patch("rename", "/:id", { params, payload: Schema.Struct({ name: Schema.String }) }),
      HttpApiEndpoint.get("login", "/login/now", { success: Schema.String })
    ).prefix("/users")
  )
  const app = Effect.sync(() => {
    const names = new Map([[1, "Ada"]])
    const counts = { runs: 0 }
    const users = HttpApiBuilder.group(api, "users", (handlers) =>
      handlers
        .handle("one", ({ params: { id } }) =>
          Effect.suspend(() => {
            counts.runs++
            const name = names.get(id)
            return name === undefined ? Effect.fail(new NoUser({ id })) : Effect.succeed(new User({ id, name }))
          }))
        .handle("rename", ({ params: { id }, payload: { name } }) => Effect.sync(() => void names.set(id, name)))
        .handle("login", () => Effect.as(HttpApiBuilder.securitySetCookie(key, "s1"), "welcome")))
    const routes = HttpApiBuilder.layer(api).pipe(
      Layer.provide(users),
      Layer.provide(HttpCache.route(swr).layer)
    )
    return { counts, names, routes }
  })
  const ada = JSON.stringify({ id: 1, name: "Ada" })
  const eve = JSON.stringify({ id: 1, name: "Eve" })

  it.effect("an endpoint is kept by its path; an error is told with its status, and its page is not kept", () =>
    Effect.gen(function*() {
      const { counts, names, routes } = yield* app
      yield* Effect.gen(function*() {
        assert.deepStrictEqual([yield* get("/users/1"), yield* get("/users/1")], [["MISS", ada], ["HIT", ada]])
        const none = { status: "404", "x-cache": "MISS", text: `{"_tag":"NoUser","id":2}` }
        assert.containsSubset([yield* fetched("/users/2"), yield* fetched("/users/2")], [none, none])
        assert.strictEqual((yield* fetched("/users/x"))["status"], "400")
        assert.strictEqual(counts.runs, 3)
        names.delete(1)
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(yield* get("/users/1"), ["STALE", ada])
        yield* settle
        assert.strictEqual((yield* fetched("/users/1"))["status"], "404")
      }).pipe(Effect.provide(serve(routes)))
    }))

  it.effect("EX-19, EX-22: a write voids its URL, and `invalidateRoute` all of an endpoint by its path", () =>
    Effect.gen(function*() {
      const { names, routes } = yield* app
      yield* Effect.gen(function*() {
        const { invalidateRoute } = yield* HttpCache.HttpCache
        yield* get("/users/1")
        const patch = HttpClientRequest.patch("/users/1").pipe(HttpClientRequest.bodyJsonUnsafe({ name: "Eve" }))
        assert.strictEqual((yield* HttpClient.execute(patch)).status, 204)
        assert.deepStrictEqual([yield* get("/users/1"), yield* get("/users/1")], [["MISS", eve], ["HIT", eve]])
        names.set(1, "Ada")
        yield* invalidateRoute("/users/:id")
        assert.deepStrictEqual(yield* get("/users/1"), ["MISS", ada])
      }).pipe(Effect.provide(serve(routes)))
    }))

  it.effect("W-EX-9: an endpoint that sets a cookie does so for each reader", () =>
    Effect.gen(function*() {
      const { routes } = yield* app
      yield* Effect.gen(function*() {
        for (const reader of ["one", "another"]) {
          const { cookies, headers } = yield* HttpClient.get("/users/login/now")
          assert.deepStrictEqual([headers["x-cache"], Object.keys(cookies.cookies)], ["MISS", ["session"]], reader)
        }
      }).pipe(Effect.provide(serve(routes)))
    }))

  class Refused extends Schema.TaggedError<Refused>()("Refused", {}, { httpApiStatus: 401 }) {}
  class Keyed extends HttpApiMiddleware.Service<Keyed>()("test/Keyed", {
    error: Refused,
    security: { key: HttpApiSecurity.apiKey({ key: "x-key" }) }
  }) {}
  const keyed = HttpApi.make("keyed").add(
    HttpApiGroup.make("a").add(HttpApiEndpoint.get("a", "/a", { success: Schema.String }).middleware(Keyed))
  )
  const Guarded = (route: HttpCache.Route) =>
    HttpApiBuilder.layer(keyed).pipe(
      Layer.provide(HttpApiBuilder.group(keyed, "a", (handlers) => handlers.handle("a", () => Effect.succeed("in")))),
      Layer.provide(
        Layer.succeed(Keyed)({
          key: (app, { credential }) => Redacted.value(credential) === "good" ? app : Effect.fail(new Refused())
        })
      ),
      Layer.provide(HttpCache.route(route).layer)
    )
  for (const vary of [[], ["x-key"]]) {
    it.effect(`W-EX-9: a key in a field of its own is seen where it is in vary: ${JSON.stringify(vary)}`, () =>
      Effect.gen(function*() {
        const ask = (key: string) =>
          Effect.map(fetched("/a", { "x-key": key }), (all) => [all["status"], all["x-cache"]])
        const [good, again] = vary.length === 0 ? [["401", "MISS"], ["401", "MISS"]] : [["200", "MISS"], ["200", "HIT"]]
        assert.deepStrictEqual(yield* ask("bad"), ["401", "MISS"])
        assert.deepStrictEqual([yield* ask("good"), yield* ask("good")], [good, again])
        assert.deepStrictEqual(yield* ask("bad"), ["401", "MISS"])
      }).pipe(Effect.provide(serve(Guarded({ ...swr, vary })))))
  }
})

describe("what is provided outside the cache for each request", () => {
  class User extends Context.Service<User, string>()("test/User") {}
  const known = HttpRouter.middleware<{ provides: User }>()(
    Effect.succeed((app) =>
      Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) => Effect.provideService(app, User, headers["x-user"] ?? headers["authorization"] ?? "nobody")
      )
    )
  )
  const told = HttpRouter.add("GET", "/a", Effect.map(User, (user) => HttpServerResponse.text(user))).pipe(
    Layer.provide(HttpCache.route(swr).combine(known).layer)
  )
  it.effect("is, for a handler, what it was for its first reader; who says `Authorization` goes past the cache", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* get("/a", { "x-user": "ada" }), ["MISS", "ada"])
      assert.deepStrictEqual(yield* get("/a", { "x-user": "bob" }), ["HIT", "ada"])
      assert.deepStrictEqual(yield* get("/a", { authorization: "eve" }), ["MISS", "eve"])
      assert.deepStrictEqual(yield* get("/a"), ["HIT", "ada"])
    }).pipe(Effect.provide(serve(told))))
})

describe("one cache around all routes", () => {
  const plain = numbered()
  const off = numbered()
  const brief = counter((n) =>
    Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => HttpServerResponse.text(`${headers["x-a"]}${n}`))
  )
  const App = serve(
    Layer.mergeAll(
      HttpRouter.add("GET", "/a", plain.handler),
      HttpRouter.add("GET", "/off", off.handler).pipe(Layer.provide(HttpCache.route({ enabled: false }).layer)),
      HttpRouter.add("GET", "/brief", brief.handler).pipe(
        Layer.provide(HttpCache.route({ freshFor: "1 second", maxAge: "1 second", vary: ["x-a"] }).layer)
      ),
      HttpCache.layerGlobal()
    ),
    swr
  )
  it.effect("W-EX-5, EX-12, EX-13: refreshes too; a route says otherwise, or no", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* get("/a"), ["MISS", "v1"])
      assert.deepStrictEqual([yield* get("/off"), yield* get("/off")], [["MISS", "v1"], ["MISS", "v2"]])
      assert.deepStrictEqual(yield* get("/brief", { "x-a": "x" }), ["MISS", "x1"])
      assert.deepStrictEqual(yield* get("/brief", { "x-a": "y" }), ["MISS", "y2"])
      assert.deepStrictEqual(yield* get("/brief", { "x-a": "x" }), ["HIT", "x1"])
      assert.strictEqual((yield* fetched("/nowhere"))["status"], "404")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* get("/brief", { "x-a": "x" }), ["MISS", "x3"])
      assert.deepStrictEqual(yield* get("/a"), ["STALE", "v1"])
      yield* settle
      assert.deepStrictEqual(yield* get("/a"), ["HIT", "v2"])
    }).pipe(Effect.provide(App)))
})
