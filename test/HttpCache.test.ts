import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Result, Schema, Stream } from "effect"
import { Swr } from "effect-swr"
import * as HttpCache from "effect-swr/HttpCache"
import * as Testing from "effect-swr/Testing"
import * as Arbitrary from "effect/Arbitrary"
import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { join, settle, start, within } from "./Origin.ts"

type Headers = Readonly<Record<string, string>>

/** An origin that answers as the test says, and remembers what it was asked. */
const origin = (
  answer: (n: number, request: HttpClientRequest.HttpClientRequest) => Effect.Effect<Response, unknown> | Response
) => {
  const asked: Array<HttpClientRequest.HttpClientRequest> = []
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const answered = answer(asked.push(request), request)
      return Effect.mapBoth(Effect.isEffect(answered) ? answered : Effect.succeed(answered), {
        onFailure: (cause) =>
          new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) }),
        onSuccess: (response) => HttpClientResponse.fromWeb(request, response)
      })
    })
  )
  return { asked, client }
}

const page = (body: string, control: string, headers: Headers = {}, status = 200) =>
  new Response(body, { status, headers: { "cache-control": control, ...headers } })

const read = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.map(response.text, (text) => [response.headers["x-cache"], text] as const)

const url = "http://h.test/a"

/** A reader of one URL. */
const reader = ({ client }: HttpCache.Cached) => (headers: Headers = {}) =>
  Effect.flatMap(client.get(url, { headers }), read)

const numbered = (control: string, headers: Headers = {}) => origin((n) => page(`v${n}`, control, headers))

describe("the client", () => {
  it.effect("RF-02, RF-03: keeps what it may: miss, hit, stale with one refresh, miss", () =>
    Effect.gen(function*() {
      const { asked, client } = numbered("max-age=10, stale-while-revalidate=10")
      const get = reader(yield* HttpCache.make(client))
      assert.deepStrictEqual(yield* get(), ["MISS", "v1"])
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* get(), ["HIT", "v1"])
      yield* TestClock.adjust("1 millis")
      const all = yield* Effect.all(Array.from({ length: 50 }, () => get()), { concurrency: "unbounded" })
      assert.deepStrictEqual(all, Array.from({ length: 50 }, () => ["STALE", "v1"] as const))
      yield* settle
      assert.strictEqual(asked.length, 2)
      assert.deepStrictEqual(yield* get(), ["HIT", "v2"])
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* get(), ["MISS", "v3"])
    }).pipe(within()))

  it.effect("RF-08, RFC 9111 5.1, RFC 9211: says how old an answer is and where it came from", () =>
    Effect.gen(function*() {
      const { client } = yield* HttpCache.make(
        numbered("max-age=10, stale-while-revalidate=10", { age: "3", "cache-status": "cdn; hit" }).client
      )
      const told = Effect.map(client.get(url), ({ headers }) => [headers["age"], headers["cache-status"]])
      assert.deepStrictEqual(yield* told, ["3", "cdn; hit, http; fwd=uri-miss; fwd-status=200; stored"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* told, ["5", "cdn; hit, http; hit; ttl=5"])
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* told, ["11", "cdn; hit, http; hit; ttl=-1"])
    }).pipe(within()))

  it.effect("RFC 9211: `stored` is told also of the first answer of a URI, which says by what it varies", () =>
    Effect.gen(function*() {
      const { client } = yield* HttpCache.make(numbered("max-age=10", { vary: "accept-language" }).client)
      const say = (language: string) =>
        Effect.map(
          client.get(url, { headers: { "accept-language": language } }),
          ({ headers }) => headers["cache-status"]
        )
      assert.deepStrictEqual([yield* say("en"), yield* say("fr"), yield* say("en")], [
        "http; fwd=uri-miss; fwd-status=200; stored",
        "http; fwd=vary-miss; fwd-status=200; stored",
        "http; hit; ttl=10"
      ])
    }).pipe(within()))

  it.effect("RFC 9211 2.2: a miss is told as one of the variant where another one of the URI is kept", () =>
    Effect.gen(function*() {
      const { client } = yield* HttpCache.make(numbered("max-age=10", { vary: "x-a" }).client)
      const told = (headers: Headers = {}, to = url) =>
        Effect.map(client.get(to, { headers }), (response) => response.headers["cache-status"])
      assert.strictEqual(yield* told({ "x-a": "1" }), "http; fwd=uri-miss; fwd-status=200; stored")
      assert.strictEqual(yield* told({ "x-a": "2" }), "http; fwd=vary-miss; fwd-status=200; stored")
      assert.strictEqual(yield* told({ "x-a": "3", range: "bytes=0-0" }), "http; fwd=vary-miss; fwd-status=200")
      assert.strictEqual(yield* told({ "x-a": "1" }, `${url}b`), "http; fwd=uri-miss; fwd-status=200; stored")
    }).pipe(within()))

  it.effect("RFC 9211 2.5: `stored` is told of nothing that memory did not take", () =>
    Effect.gen(function*() {
      const told = ({ client }: HttpCache.Cached, to = url) =>
        Effect.map(client.get(to), (response) => response.headers["cache-status"])
      const large = yield* HttpCache.make(numbered("max-age=10").client, { name: "large", maxBytes: 100 })
      const taken = yield* HttpCache.make(origin((n) => page(`v${n}`, n === 1 ? "private" : "max-age=10")).client)
      for (const cached of [large, taken]) {
        yield* told(cached)
        const status = yield* told(cached)
        assert.include(status, "fwd=uri-miss; fwd-status=200")
        assert.notInclude(status, "stored", "heavier than all that may be kept; or just after one that was private")
      }
      yield* TestClock.adjust("5 seconds")
      assert.include(yield* told(taken), "stored")
      assert.include(yield* told(taken), "hit")
    }).pipe(within()))

  it.effect("1.9: 50 concurrent misses are one request", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { asked, client } = origin((n) => Effect.as(Deferred.await(gate), page(`v${n}`, "max-age=10")))
      const get = reader(yield* HttpCache.make(client))
      const all = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 50 }, () => get()), { concurrency: "unbounded" })
      )
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* Fiber.join(all)).map(([, text]) => text), Array.from({ length: 50 }, () => "v1"))
      assert.strictEqual(asked.length, 1)
    }).pipe(within()))

  for (const control of ["private, max-age=60", "no-store", "max-age=60, private=\""]) {
    it.effect(`I22: 20 concurrent \`${control}\` are 20 answers, side by side, none kept`, () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const { asked, client } = origin((n) =>
          Effect.as(n === 1 ? settle : Deferred.await(gate), page(`v${n}`, control))
        )
        const get = reader(yield* HttpCache.make(client))
        const all = yield* Effect.forkChild(
          Effect.all(Array.from({ length: 20 }, () => get()), { concurrency: "unbounded" })
        )
        yield* settle
        yield* settle
        assert.strictEqual(asked.length, 20, "all others are on their way before any of them was answered")
        yield* Deferred.succeed(gate, undefined)
        const texts = (yield* Fiber.join(all)).map(([, text]) => text)
        assert.strictEqual(new Set(texts).size, 20)
        assert.deepStrictEqual(yield* get(), ["MISS", "v21"])
      }).pipe(within()))
  }

  it.effect("1.9: 50 concurrent misses on a failing origin are one request, its answer shared", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { asked, client } = origin((n) =>
        Effect.as(Deferred.await(gate), new Response(`sick ${n}`, { status: 503 }))
      )
      const { client: cached } = yield* HttpCache.make(client)
      const get = Effect.flatMap(cached.get(url), ({ status, text }) => Effect.map(text, (text) => `${status} ${text}`))
      const all = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 50 }, () => get), { concurrency: "unbounded" })
      )
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(new Set(yield* Fiber.join(all)), new Set(["503 sick 1"]))
      assert.strictEqual(asked.length, 1)
      assert.strictEqual(yield* get, "503 sick 2", "and not kept")
    }).pipe(within()))

  for (const status of [200, 204, 301, 404, 503]) {
    it.effect(`RFC 9111 3: a ${status} without a body is given, and kept`, () =>
      Effect.gen(function*() {
        const { asked, client } = origin(() =>
          new Response(null, { status, headers: { "cache-control": "max-age=10", location: "/b" } })
        )
        const { client: cached } = yield* HttpCache.make(client)
        const get = Effect.flatMap(cached.get(url), (response) =>
          Effect.map(response.text, (text) => [response.status, response.headers["x-cache"], text]))
        assert.deepStrictEqual(yield* get, [status, "MISS", ""])
        assert.deepStrictEqual(yield* get, [status, "HIT", ""])
        assert.strictEqual(asked.length, 1)
      }).pipe(within()))
  }

  it.effect("an outage without a body is given as it is, and not as no answer", () =>
    Effect.gen(function*() {
      const { client } = origin(() => new Response(null, { status: 503 }))
      const { client: cached } = yield* HttpCache.make(client)
      assert.strictEqual((yield* cached.get(url)).status, 503)
    }).pipe(within()))

  it.effect("1.5: an answer that must be asked for first is given only to who asked before it was", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { asked, client } = origin((n) =>
        Effect.as(Deferred.await(gate), page(`v${n}`, "no-cache", { etag: "\"a\"" }))
      )
      const get = reader(yield* HttpCache.make(client))
      const all = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 20 }, () => get()), { concurrency: "unbounded" })
      )
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      const texts = (yield* Fiber.join(all)).map(([, text]) => text)
      assert.deepStrictEqual(texts, ["v1", ...Array.from({ length: 19 }, () => "v2")])
      assert.strictEqual(asked.length, 2, "those who joined share one that began after they asked")
    }).pipe(within()))
})

describe("asking again", () => {
  it.effect("RFC 9111 4.3: with the validators of what is kept; a 304 renews it", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n, { headers }) =>
        headers["if-none-match"] === "\"a\""
          ? new Response(null, {
            status: 304,
            headers: { "cache-control": "max-age=20", etag: "\"a\"", "x-n": `${n}` }
          })
          : page("v1", "max-age=10", { etag: "\"a\"", "x-n": `${n}` })
      )
      const cached = yield* HttpCache.make(client)
      const get = reader(cached)
      assert.deepStrictEqual(yield* get(), ["MISS", "v1"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* get(), ["MISS", "v1"])
      assert.strictEqual(asked[1]?.headers["if-none-match"], "\"a\"")
      yield* TestClock.adjust("19 seconds")
      const hit = yield* cached.client.get(url)
      assert.containsSubset({ ...hit.headers }, {
        "x-cache": "HIT",
        "x-n": "2",
        "cache-control": "max-age=20",
        age: "19"
      })
      assert.strictEqual(asked.length, 2)
    }).pipe(within()))

  it.effect("1.7: a 304 of another tag is asked again, without conditions", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n, { headers }) =>
        headers["if-none-match"] !== undefined
          ? new Response(null, { status: 304, headers: { etag: "\"b\"" } })
          : page(`v${n}`, "max-age=10", { etag: "\"a\"" })
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* get(), ["MISS", "v3"])
      assert.strictEqual(asked.length, 3)
    }).pipe(within()))

  it.effect("1.7: a 304 that takes its leave back is answered, and what was kept is dropped", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n, { headers }) =>
        headers["if-none-match"] !== undefined
          ? new Response(null, { status: 304, headers: { "cache-control": "no-store" } })
          : page(`v${n}`, "max-age=10", { etag: "\"a\"" })
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* get(), ["MISS", "v1"])
      assert.deepStrictEqual(yield* get(), ["MISS", "v3"])
      assert.isUndefined(asked[2]?.headers["if-none-match"])
    }).pipe(within()))

  it.effect("1.5: the reader's own conditions and ranges are answered from what is kept", () =>
    Effect.gen(function*() {
      const { asked, client } = numbered("max-age=10", { etag: "\"a\"", "content-type": "text/plain" })
      const { client: cached } = yield* HttpCache.make(client)
      yield* cached.get(url)
      const get = (headers: Headers) =>
        Effect.flatMap(cached.get(url, { headers }), ({ headers, status, text }) =>
          Effect.map(text, (text) => [status, text, headers["content-range"], headers["x-cache"]]))
      assert.deepStrictEqual(yield* get({ "if-none-match": "\"a\"" }), [304, "", undefined, "HIT"])
      assert.deepStrictEqual(yield* get({ range: "bytes=1-" }), [206, "1", "bytes 1-1/2", "HIT"])
      assert.deepStrictEqual(yield* get({ range: "bytes=2-" }), [416, "", "bytes */2", "HIT"])
      const head = yield* cached.head(url)
      assert.deepStrictEqual([head.status, yield* head.text, head.headers["content-length"]], [200, "", "2"])
      assert.strictEqual(asked.length, 1)
    }).pipe(within()))

  it.effect("RFC 2046: no body can bear the border between the parts of a range, also one that knows those before it", () =>
    Effect.gen(function*() {
      const borders: Array<string> = []
      // As long as the one before, so that only the letters differ.
      const { client } = origin(() =>
        page(`\r\n--${borders.at(-1) ?? ""}--\r\n`.padEnd(200, "x"), "max-age=10", { "content-type": "text/plain" })
      )
      const cached = yield* HttpCache.make(client, { name: "of a name with spaces" })
      for (let i = 0; i < 3; i++) {
        yield* cached.client.get(url)
        const { headers, text } = yield* cached.client.get(url, { headers: { range: "bytes=0-99,100-149" } })
        const border = /^multipart\/byteranges; boundary=([\w-]{1,70})$/.exec(headers["content-type"] ?? "")?.[1] ?? ""
        assert.notStrictEqual(border, "")
        // What is before the first, two parts, and what is after the last.
        assert.lengthOf((yield* text).split(`--${border}`), 4)
        assert.notInclude(borders, border)
        borders.push(border)
        yield* cached.clear
      }
    }).pipe(within()))

  it.effect("1.5: on a miss they go to the origin, and nothing is kept of the answer", () =>
    Effect.gen(function*() {
      const { asked, client } = numbered("max-age=10")
      const get = reader(yield* HttpCache.make(client))
      assert.deepStrictEqual(yield* get({ range: "bytes=0-0" }), ["MISS", "v1"])
      assert.strictEqual(asked[0]?.headers["range"], "bytes=0-0")
      assert.deepStrictEqual(yield* get({ "if-none-match": "\"x\"" }), ["MISS", "v2"])
      assert.deepStrictEqual(yield* get(), ["MISS", "v3"])
      assert.deepStrictEqual(yield* get(), ["HIT", "v3"])
    }).pipe(within()))

  it.effect("1.5: what requests say: no-cache, no-store, only-if-cached, max-stale", () =>
    Effect.gen(function*() {
      const { client } = numbered("max-age=10")
      const cached = yield* HttpCache.make(client)
      const get = reader(cached)
      const say = (control: string) => get({ "cache-control": control })
      assert.strictEqual(
        (yield* cached.client.get(url, { headers: { "cache-control": "only-if-cached" } })).status,
        504
      )
      assert.deepStrictEqual(yield* say("no-store"), ["MISS", "v1"])
      assert.deepStrictEqual(yield* get(), ["MISS", "v2"])
      assert.deepStrictEqual(yield* say("no-store"), ["MISS", "v3"])
      assert.deepStrictEqual(yield* get(), ["HIT", "v2"])
      assert.deepStrictEqual(yield* say("no-cache"), ["MISS", "v4"])
      assert.deepStrictEqual(yield* get(), ["HIT", "v4"])
      assert.deepStrictEqual(yield* say("only-if-cached"), ["HIT", "v4"])
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(
        yield* say("max-stale=60"),
        ["MISS", "v5"],
        "past its end nothing is kept without validators"
      )
    }).pipe(within()))
})

describe("1.6: an origin that fails", () => {
  const sick = "max-age=10, stale-while-revalidate=10, stale-if-error=60"

  it.effect("RFC 5861: stale for everyone inside the window, few requests, and the good answer stays", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n) => n === 1 ? page("v1", sick) : new Response("sick", { status: 503 }))
      const get = reader(yield* HttpCache.make(client))
      const all = Effect.all(Array.from({ length: 50 }, () => get()), { concurrency: "unbounded" })
      yield* get()
      for (const later of [15, 10, 20, 24]) {
        yield* TestClock.adjust(`${later} seconds`)
        for (const answer of yield* all) assert.deepStrictEqual(answer, ["STALE", "v1"])
        yield* settle
      }
      assert.isAtMost(asked.length, 5)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(new Set((yield* all).map(([, text]) => text)), new Set(["sick"]))
    }).pipe(within()))

  it.effect("RFC 9211 2.1: who asked the origin in vain is told so, and not of a hit; who did not ask is", () =>
    Effect.gen(function*() {
      const { client } = yield* HttpCache.make(
        origin((n) => n === 1 ? page("v1", "max-age=10, stale-if-error=60") : new Response("sick", { status: 503 }))
          .client
      )
      const told = Effect.map(client.get(url), ({ headers }) => headers["cache-status"])
      yield* told
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual([yield* told, yield* told], ["http; fwd=stale; fwd-status=503", "http; hit; ttl=-5"])
    }).pipe(within()))

  it.effect("RF-05: also when it can't be reached; a 404 is an answer and takes the old one's place", () =>
    Effect.gen(function*() {
      const { client } = origin((n) =>
        n === 1
          ? page("v1", "max-age=10, stale-if-error=60")
          : n === 2
          ? Effect.fail("refused")
          : new Response("gone", { status: 404 })
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* settle
      assert.deepStrictEqual((yield* get())[1], "gone")
    }).pipe(within()))

  const hour = "max-age=10, stale-while-revalidate=3600, stale-if-error=3600"
  it.effect("RF-06: a request may bring its own stale-if-error, which holds for it and for no other", () =>
    Effect.gen(function*() {
      const { client } = origin((n) =>
        n === 1 ? page("v1", "max-age=10", { etag: "\"a\"" }) : new Response("sick", { status: 503 })
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("30 seconds")
      const own = (seconds: number) => get({ "cache-control": `stale-if-error=${seconds}` })
      assert.deepStrictEqual([yield* own(21), yield* get()], [["STALE", "v1"], ["MISS", "sick"]])
      assert.deepStrictEqual([yield* own(20), yield* own(21)], [["MISS", "sick"], ["STALE", "v1"]])
    }).pipe(within()))

  it.effect("RF-09: nothing is asked by itself: an old answer is refreshed when somebody asks for it, and once", () =>
    Effect.gen(function*() {
      const { asked, client } = numbered(hour)
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("30 minutes")
      assert.lengthOf(asked, 1)
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* settle
      assert.lengthOf(asked, 2)
      yield* TestClock.adjust("1 day")
      assert.lengthOf(asked, 2)
    }).pipe(within()))

  it.effect("RF-09: nor is an origin that failed tried again before somebody asks", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n) => n === 1 ? page("v1", hour) : Effect.fail("refused"))
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* settle
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(asked, 2)
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* settle
      assert.lengthOf(asked, 3)
    }).pipe(within()))

  // As `tests/stale.mjs` of http-tests/cache-tests asks: so long after the first answer, on an origin that then does so.
  const down = () => Effect.succeed(new Response("sick", { status: 503 }))
  const closed = () => Effect.fail("the connection was closed")
  const well = () => Effect.succeed(page("v2", "max-age=10"))
  for (
    const [id, control, later, then, given] of [
      ["stale-while-revalidate", "max-age=1, stale-while-revalidate=3600", 3, well, "v1"],
      ["stale-while-revalidate-window", "max-age=1, stale-while-revalidate=4", 6, well, "v2"],
      ["stale-sie-503", "max-age=2, stale-if-error=60", 3, down, "v1"],
      ["stale-sie-close", "max-age=2, stale-if-error=60", 3, closed, "v1"],
      ["stale-close-must-revalidate", "max-age=2, must-revalidate", 3, closed, "504"],
      ["stale-close-proxy-revalidate", "max-age=2, proxy-revalidate", 3, closed, "504"],
      ["stale-close-no-cache", "max-age=2, no-cache", 3, closed, "504"],
      ["stale-close-s-maxage=2", "s-maxage=2", 3, closed, "504"]
    ] as const
  ) {
    it.effect(`RF-12: ${id}`, () =>
      Effect.gen(function*() {
        const { client } = origin((n) => n === 1 ? page("v1", control, { etag: "\"a\"" }) : then())
        const { client: cached } = yield* HttpCache.make(client)
        yield* cached.get(url)
        yield* TestClock.adjust(`${later} seconds`)
        const { status, text } = yield* cached.get(url)
        assert.strictEqual(status === 200 ? yield* text : `${status}`, given)
      }).pipe(within()))
  }

  it.effect("RF-10: 504 where what is kept had to be asked for first, and nobody answers", () =>
    Effect.gen(function*() {
      const { client } = origin((n) =>
        n === 1 ? page("v1", `${sick}, must-revalidate`, { etag: "\"a\"" }) : Effect.fail("refused")
      )
      const { client: cached } = yield* HttpCache.make(client)
      const get = Effect.map(cached.get(url), ({ status }) => status)
      assert.strictEqual(yield* get, 200)
      yield* TestClock.adjust("15 seconds")
      const all = yield* Effect.all(Array.from({ length: 20 }, () => get), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(all), new Set([504]))
    }).pipe(within()))

  it.effect("without stale-if-error the failure is the reader's, and the old answer stays for asking", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n) =>
        n === 1
          ? page("v1", "max-age=10", { etag: "\"a\"" })
          : n === 2
          ? Effect.fail("refused")
          : n === 3
          ? new Response("sick", { status: 500 })
          : new Response(null, { status: 304 })
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("15 seconds")
      const error = yield* Effect.flip(get())
      assert.instanceOf(error, HttpClientError.HttpClientError)
      assert.strictEqual((yield* get())[1], "sick")
      assert.deepStrictEqual(yield* get(), ["MISS", "v1"])
      assert.strictEqual(asked[3]?.headers["if-none-match"], "\"a\"")
    }).pipe(within()))

  it.effect("RFC 9111 4.2.4: stale on disconnection, where an option says so, to its end", () =>
    Effect.gen(function*() {
      const { client } = origin((n) => n === 1 ? page("v1", "max-age=10") : Effect.fail("refused"))
      const get = reader(yield* HttpCache.make(client, { staleOnDisconnect: "30 seconds" }))
      yield* get()
      yield* TestClock.adjust("39 seconds")
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* TestClock.adjust("1 seconds")
      assert.instanceOf(yield* Effect.flip(get()), HttpClientError.HttpClientError)
    }).pipe(within()))

  it.effect("an origin that does not answer in time: stale, or 504", () =>
    Effect.gen(function*() {
      const { client } = origin((n) => n === 1 ? page("v1", "max-age=10, stale-if-error=60") : Effect.never)
      const { client: cached } = yield* HttpCache.make(client, { timeout: "5 seconds" })
      const get = Effect.map(cached.get(url), ({ headers, status }) => [status, headers["x-cache"]])
      yield* get
      yield* TestClock.adjust("15 seconds")
      const fiber = yield* Effect.forkChild(get)
      yield* settle
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [200, "STALE"])
      const cold = yield* Effect.forkChild(cached.get("http://h.test/b"))
      yield* settle
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(cold)).status, 504)
    }).pipe(within()))
})

describe("who is asked for what", () => {
  it.effect("1.3 RFC 9111 4.1: variants side by side", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n, { headers }) =>
        page(`${headers["accept-language"]}${n}`, "max-age=10", { vary: "Accept-Language" })
      )
      const get = reader(yield* HttpCache.make(client))
      const say = (language: string) => get({ "accept-language": language })
      assert.deepStrictEqual(yield* say("en"), ["MISS", "en1"])
      assert.deepStrictEqual(yield* say("fr"), ["MISS", "fr2"])
      assert.deepStrictEqual(yield* say("en"), ["HIT", "en1"])
      assert.deepStrictEqual(yield* say("fr"), ["HIT", "fr2"])
      assert.strictEqual((yield* get())[0], "MISS")
      assert.strictEqual(asked.length, 3)
    }).pipe(within()))

  it.effect("1.9: readers of different variants who wait for one request get their own", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { asked, client } = origin((_, { headers }) =>
        Effect.as(Deferred.await(gate), page(`${headers["x-user"]}`, "max-age=10", { vary: "x-user" }))
      )
      const get = reader(yield* HttpCache.make(client))
      const users = Array.from({ length: 30 }, (_, i) => `u${i % 3}`)
      const all = yield* Effect.forkChild(
        Effect.all(users.map((user) => get({ "x-user": user })), { concurrency: "unbounded" })
      )
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* Fiber.join(all)).map(([, text]) => text), users)
      assert.strictEqual(asked.length, 3)
    }).pipe(within()))

  it.effect("section 2: a flood of variants stays within its bound", () =>
    Effect.gen(function*() {
      const { client } = origin((_, { headers }) => page(`${headers["x-a"]}`, "max-age=10", { vary: "x-a" }))
      const cached = yield* HttpCache.make(client, { variants: 4 })
      const get = reader(cached)
      for (let i = 0; i < 50; i++) yield* get({ "x-a": `${i}` })
      assert.isAtMost((yield* cached.stats).size, 4)
      assert.deepStrictEqual(yield* get({ "x-a": "49" }), ["HIT", "49"])
      assert.deepStrictEqual(yield* get({ "x-a": "0" }), ["MISS", "0"])
    }).pipe(within()))

  it.effect("I22: who says who he is is never given, and never gives, a shared answer", () =>
    Effect.gen(function*() {
      const { client } = origin((n, { headers }) =>
        page(`${headers["authorization"] ?? headers["cookie"] ?? "nobody"}${n}`, "public, max-age=10")
      )
      const get = reader(yield* HttpCache.make(client))
      assert.deepStrictEqual(yield* get({ authorization: "ann" }), ["MISS", "ann1"])
      assert.deepStrictEqual(yield* get({ cookie: "u=bob" }), ["MISS", "u=bob2"])
      assert.deepStrictEqual(yield* get(), ["MISS", "nobody3"])
      assert.deepStrictEqual(yield* get({ authorization: "ann" }), ["MISS", "ann4"])
      assert.deepStrictEqual(yield* get({ cookie: "u=bob" }), ["MISS", "u=bob5"])
    }).pipe(within()))

  it.effect("I22: Set-Cookie is passed on to who asked, and not kept; unless an option says so", () =>
    Effect.gen(function*() {
      const answer = origin((n) => page(`v${n}`, "max-age=10", { "set-cookie": `n=${n}` }))
      const told = (client: HttpClient.HttpClient) =>
        Effect.map(client.get(url), ({ cookies }) => Object.values(cookies.cookies).map(({ value }) => value))
      const { client } = yield* HttpCache.make(answer.client)
      assert.deepStrictEqual([yield* told(client), yield* told(client)], [["1"], ["2"]])
      const lenient = yield* HttpCache.make(answer.client, { name: "lenient", setCookie: true })
      assert.deepStrictEqual([yield* told(lenient.client), yield* told(lenient.client)], [["3"], ["3"]])
    }).pipe(within()))

  it.effect("a private cache keeps what is its user's", () =>
    Effect.gen(function*() {
      const get = reader(yield* HttpCache.make(numbered("private, max-age=10").client, { shared: false }))
      assert.deepStrictEqual(yield* get({ authorization: "ann" }), ["MISS", "v1"])
      assert.deepStrictEqual(yield* get({ authorization: "ann" }), ["HIT", "v1"])
    }).pipe(within()))

  it.effect("1.8 RFC 9111 4.4: an unsafe request that went well voids what it named, also what is on its way", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { client } = origin((n, { method }) =>
        method === "GET"
          ? n === 1 ? page("v1", "max-age=99") : Effect.as(Deferred.await(gate), page(`v${n}`, "max-age=99"))
          : new Response(null, { status: method === "POST" ? 204 : 500 })
      )
      const cached = yield* HttpCache.make(client)
      const get = reader(cached)
      yield* get()
      yield* cached.client.put(url)
      assert.deepStrictEqual(yield* get(), ["HIT", "v1"], "it failed")
      yield* cached.client.post(url)
      const fiber = yield* Effect.forkChild(get())
      yield* settle
      yield* cached.client.post(url)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["MISS", "v4"])
      assert.deepStrictEqual(yield* get(), ["MISS", "v6"])
      assert.deepStrictEqual(yield* get(), ["HIT", "v6"])
      yield* cached.invalidate(url)
      assert.deepStrictEqual(yield* get(), ["MISS", "v7"])
    }).pipe(within()))
})

describe("what a client makes of URLs and bodies", () => {
  it.effect("RFC 9110 7.1: a fragment is its reader's own", () =>
    Effect.gen(function*() {
      const { client } = yield* HttpCache.make(numbered("max-age=10").client)
      const found = (fragment: string) => Effect.flatMap(client.get(`${url}${fragment}`), read)
      assert.deepStrictEqual([yield* found("#one"), yield* found("#two"), yield* found("")], [
        ["MISS", "v1"],
        ["HIT", "v1"],
        ["HIT", "v1"]
      ])
    }).pipe(within()))

  it.effect("RFC 9110 7.8: an upgrade goes past the cache", () =>
    Effect.gen(function*() {
      const get = reader(yield* HttpCache.make(numbered("max-age=10").client))
      yield* get()
      assert.deepStrictEqual(yield* get({ connection: "upgrade", upgrade: "websocket" }), [undefined, "v2"])
      assert.deepStrictEqual(yield* get(), ["HIT", "v1"])
    }).pipe(within()))

  it.effect("RFC 9110 8.4: what the wrapped client has decoded is told of as it is, and kept", () =>
    Effect.gen(function*() {
      const encoded = { "content-encoding": "gzip", "content-length": "7" }
      const { client } = yield* HttpCache.make(origin(() => page("decoded, and longer", "max-age=10", encoded)).client)
      for (const found of ["MISS", "HIT"]) {
        const { headers, text } = yield* client.get(url)
        assert.deepStrictEqual([headers["x-cache"], headers["content-encoding"], headers["content-length"]], [
          found,
          undefined,
          "19"
        ])
        assert.strictEqual(yield* text, "decoded, and longer")
      }
    }).pipe(within()))
})

describe("bodies", () => {
  const large = (chunks: number) =>
    Stream.toReadableStream(Stream.fromIterable(Array.from({ length: chunks }, () => new Uint8Array(1000).fill(65))))

  it.effect("what is longer than the limit is passed through whole, and not kept", () =>
    Effect.gen(function*() {
      const { asked, client } = origin(() => new Response(large(10), { headers: { "cache-control": "max-age=10" } }))
      const cached = yield* HttpCache.make(client, { maxBody: 4500 })
      for (const n of [1, 2]) {
        const [found, text] = yield* reader(cached)()
        assert.deepStrictEqual([found, text.length, asked.length], ["MISS", 10_000, n])
      }
    }).pipe(within()))

  it.effect("what is cut off is not kept", () =>
    Effect.gen(function*() {
      const { client } = origin((n) =>
        n < 3
          ? new Response(
            Stream.toReadableStream(
              n === 1
                ? Stream.concat(Stream.succeed(new Uint8Array(3)), Stream.fail("cut"))
                : Stream.succeed(new Uint8Array(3))
            ),
            { headers: { "cache-control": "max-age=10", "content-length": "4" } }
          )
          : page("good", "max-age=10")
      )
      const get = reader(yield* HttpCache.make(client))
      assert.instanceOf(yield* Effect.flip(get()), Object)
      assert.strictEqual((yield* get())[0], "MISS")
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* get(), ["MISS", "good"])
      assert.deepStrictEqual(yield* get(), ["HIT", "good"])
    }).pipe(within()))

  it.effect("all bodies together stay within the bound", () =>
    Effect.gen(function*() {
      const { client } = origin(() => page("x".repeat(1000), "max-age=10"))
      const cached = yield* HttpCache.make(client, { maxBytes: 20_000 })
      for (let i = 0; i < 50; i++) yield* cached.client.get(`http://h.test/${i}`)
      assert.isAtMost((yield* cached.stats).size, 13)
    }).pipe(within()))
})

describe("leaving", () => {
  it.effect("1.9: a leader that leaves fails nobody; a refresh outlives its reader", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { asked, client } = origin((n) =>
        n === 2
          ? page("v2", "max-age=10, stale-while-revalidate=10")
          : Effect.as(Deferred.await(gate), page(`v${n}`, "max-age=10, stale-while-revalidate=10"))
      )
      const get = reader(yield* HttpCache.make(client))
      const leader = yield* Effect.forkChild(get())
      yield* settle
      const follower = yield* Effect.forkChild(get())
      yield* settle
      yield* Fiber.interrupt(leader)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* Fiber.join(follower))[1], "v1")
      yield* TestClock.adjust("10 seconds")
      const stale = yield* Effect.forkChild(get())
      assert.deepStrictEqual(yield* Fiber.join(stale), ["STALE", "v1"])
      yield* settle
      assert.deepStrictEqual(yield* get(), ["HIT", "v2"])
      assert.strictEqual(asked.length, 2)
    }).pipe(within()))
})

describe("a store that processes share", () => {
  const ask = (cached: HttpCache.Cached, path: string) =>
    Effect.flatMap(cached.client.get(`http://h.test${path}`), read)

  it.effect("one process asks, the others are told; what is private stays with who asked", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const { asked, client } = origin((n, { url }) =>
        url.endsWith("/mine")
          ? page(`mine${n}`, "private, max-age=60")
          : page(`v${n}\u{1F600}`, "max-age=60, stale-while-revalidate=60", { etag: "\"a\"" })
      )
      const process = (name: string) =>
        Effect.flatMap(
          Layer.build(Layer.fresh(Swr.layerStore().pipe(Layer.provide(store.connect(name))))),
          (context) => Effect.provideContext(HttpCache.make(client), context)
        )
      const [one, two] = [yield* process("one"), yield* process("two")]
      assert.deepStrictEqual(yield* ask(one, "/a"), ["MISS", "v1\u{1F600}"])
      assert.deepStrictEqual(yield* ask(two, "/a"), ["HIT", "v1\u{1F600}"])
      assert.deepStrictEqual(yield* ask(one, "/mine"), ["MISS", "mine2"])
      assert.deepStrictEqual(yield* ask(two, "/mine"), ["MISS", "mine3"])
      yield* TestClock.adjust("70 seconds")
      assert.deepStrictEqual(yield* ask(two, "/a"), ["STALE", "v1\u{1F600}"])
      yield* settle
      assert.deepStrictEqual(yield* ask(two, "/a"), ["HIT", "v4\u{1F600}"])
      assert.deepStrictEqual(yield* ask(one, "/a"), ["STALE", "v1\u{1F600}"], "out of its own memory")
      yield* settle
      assert.deepStrictEqual(yield* ask(one, "/a"), ["HIT", "v4\u{1F600}"])
      yield* one.invalidate("http://h.test/a")
      yield* settle
      assert.deepStrictEqual(yield* ask(two, "/a"), ["MISS", "v5\u{1F600}"])
      assert.strictEqual(asked.length, 5)
    }).pipe(Effect.scoped))

  it.effect("R11: who invalidates while the store is away is told so; memory obeys, and the store as soon as it is back", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const { client } = origin((n) => page(`v${n}`, "max-age=600", { vary: "x-a" }))
      const layer = Layer.fresh(Swr.layerStore().pipe(Layer.provide(store.connect("one"))))
      const one = yield* Effect.provideContext(HttpCache.make(client), yield* Layer.build(layer))
      for (
        const [n, invalidate] of [
          one.invalidate("http://h.test/a"),
          one.invalidateTag("http://h.test/a"),
          one.clear
        ].entries()
      ) {
        yield* ask(one, "/a")
        yield* ask(one, "/a")
        yield* store.down("away")
        assert.strictEqual((yield* Effect.flip(invalidate)).reason, "away")
        assert.deepStrictEqual((yield* ask(one, "/a"))[0], "MISS", `${n}`)
        const write = yield* one.client.post("http://h.test/a")
        assert.strictEqual(write.status, 200, "a write is answered all the same")
        yield* store.up
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual((yield* ask(one, "/a"))[0], "MISS", "nothing of before comes back from the store")
      }
    }).pipe(Effect.scoped))
})

describe("what must not slip in", () => {
  for (const status of [400, 406, 408, 413, 414, 417, 421, 429, 431]) {
    it.effect(`section 2: a ${status} that one request brings about voids nothing, and keeps nothing from being kept`, () =>
      Effect.gen(function*() {
        const { client } = origin((n, { headers }) =>
          headers["x-large"] === undefined
            ? page(`v${n}`, "max-age=10, stale-while-revalidate=60")
            : n === 1
            ? new Response("no", { status })
            : page("no", "no-store", {}, status)
        )
        const get = reader(yield* HttpCache.make(client))
        const attack = get({ "x-large": "x", "cache-control": "no-cache" })
        assert.deepStrictEqual([yield* attack, yield* get(), yield* get()], [["MISS", "no"], ["MISS", "v2"], [
          "HIT",
          "v2"
        ]])
        assert.deepStrictEqual([yield* attack, yield* get()], [["MISS", "no"], ["HIT", "v2"]])
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(yield* get({ "x-large": "x" }), ["STALE", "v2"])
        yield* settle
        assert.deepStrictEqual(yield* get(), ["STALE", "v2"], "what it refreshed in vain is still there")
        yield* settle
        assert.deepStrictEqual(yield* get(), ["HIT", "v5"])
      }).pipe(within()))
  }

  for (const place of ["in memory", "over a store"]) {
    it.effect(`section 2: nor is it given to those who wait for the same page; they ask once, together, ${place}`, () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const { asked, client } = origin((n, { headers }) =>
          Effect.as(
            Deferred.await(gate),
            headers["x-large"] === undefined ? page(`v${n}`, "max-age=10") : new Response("your fault", { status: 431 })
          )
        )
        const store = yield* Testing.simulatedStore()
        const caches = place === "in memory"
          ? Swr.layer()
          : Swr.layerStore().pipe(Layer.provide(store.connect("one")))
        const get = reader(yield* Effect.provideContext(HttpCache.make(client), yield* Layer.build(caches)))
        const attack = yield* start(get({ "x-large": "x" }))
        const others = yield* Effect.forEach(Array.from({ length: 10 }), () => start(get()))
        yield* settle
        assert.strictEqual(asked.length, 1)
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* join(attack), ["MISS", "your fault"])
        for (const other of others) assert.deepStrictEqual(yield* join(other), ["MISS", "v2"])
        assert.strictEqual(asked.length, 2)
      }).pipe(Effect.scoped))
  }

  it.effect("section 2: where requests are not obeyed, no-store keeps no page out of the cache", () =>
    Effect.gen(function*() {
      const { asked, client } = numbered("max-age=10, stale-while-revalidate=60")
      const get = reader(yield* HttpCache.make(client, { obeyRequests: false }))
      const attack = get({ "cache-control": "no-store" })
      assert.deepStrictEqual([yield* attack, yield* get()], [["MISS", "v1"], ["HIT", "v1"]])
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* attack, ["STALE", "v1"])
      yield* settle
      assert.deepStrictEqual([yield* get(), yield* get()], [["HIT", "v2"], ["HIT", "v2"]])
      assert.strictEqual(asked.length, 2)
    }).pipe(within()))

  it.effect("1.8: an answer that is found to vary while its URI is invalidated is not kept under its new key", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { client } = origin((n) => Effect.as(Deferred.await(gate), page(`v${n}`, "max-age=60", { vary: "x-a" })))
      const cached = yield* HttpCache.make(client)
      const get = reader(cached)
      const first = yield* Effect.forkChild(get())
      yield* settle
      yield* cached.invalidate(url)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(first))[0], "MISS")
      assert.strictEqual((yield* get())[0], "MISS")
      assert.strictEqual((yield* get())[0], "HIT")
    }).pipe(within()))

  it.effect("1.6: an outage takes no good answer's place, whatever it says of itself", () =>
    Effect.gen(function*() {
      const { client } = origin((n) =>
        n === 1 ? page("v1", "max-age=10, stale-if-error=60") : page("sick", "public, max-age=60", {}, 503)
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* settle
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
    }).pipe(within()))

  it.effect("I22: nor is one that comes instead of an answer that is kept", () =>
    Effect.gen(function*() {
      const { client } = origin((n) =>
        n === 1
          ? page("v1", "max-age=10", { etag: "\"a\"" })
          : Effect.delay(Effect.sync(() => page(`sick ${n}`, "private", {}, 503)), "1 second")
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("30 seconds")
      const readers = yield* Effect.forEach(Array.from({ length: 5 }), () => start(get()))
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust("1 second")
        yield* settle
      }
      const given = yield* Effect.forEach(readers, join)
      assert.strictEqual(new Set(given.map(([, text]) => text)).size, 5)
    }).pipe(within()))

  it.effect("I22: a failure that is private is not shared", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { asked, client } = origin((n) => Effect.as(Deferred.await(gate), page(`sick${n}`, "private", {}, 503)))
      const get = reader(yield* HttpCache.make(client))
      const all = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 20 }, () => get()), { concurrency: "unbounded" })
      )
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(new Set((yield* Fiber.join(all)).map(([, text]) => text)).size, 20)
      assert.strictEqual(asked.length, 20)
    }).pipe(within()))

  it.effect("1.7: a HEAD of what is stale asks for all of it; what is private then has no body", () =>
    Effect.gen(function*() {
      const { asked, client } = origin((n) => page(`v${n}`, n === 1 ? "max-age=10" : "private", { etag: "\"a\"" }))
      const { client: cached } = yield* HttpCache.make(client)
      yield* cached.get(url)
      yield* TestClock.adjust("15 seconds")
      const head = yield* cached.head(url)
      assert.deepStrictEqual([yield* head.text, head.headers["cache-control"]], ["", "private"])
      assert.deepStrictEqual(asked.map(({ method }) => method), ["GET", "GET"])
    }).pipe(within()))

  it.effect("1.7: a refresh whose answer is for nobody lets go of it, and the old one is void", () =>
    Effect.gen(function*() {
      let ended = 0
      const endless = () =>
        Stream.toReadableStream(
          Stream.forever(Stream.succeed(new Uint8Array(10))).pipe(Stream.ensuring(Effect.sync(() => ended++)))
        )
      const { client } = origin((n) =>
        n === 2
          ? new Response(endless(), { headers: { "cache-control": "private" } })
          : page(`v${n}`, "max-age=10, stale-while-revalidate=60")
      )
      const get = reader(yield* HttpCache.make(client))
      yield* get()
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* get(), ["STALE", "v1"])
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* settle
      assert.strictEqual(ended, 1)
      assert.deepStrictEqual(yield* get(), ["MISS", "v3"])
    }).pipe(within()))

  it.effect("section 2: a request that names another host, or brings a body, goes past the cache", () =>
    Effect.gen(function*() {
      const { client } = numbered("max-age=10")
      const cached = yield* HttpCache.make(client)
      const get = reader(cached)
      assert.strictEqual((yield* get({ host: "evil.test" }))[1], "v1")
      yield* cached.client.execute(HttpClientRequest.get(url).pipe(HttpClientRequest.bodyText("evil")))
      assert.deepStrictEqual(yield* get(), ["MISS", "v3"])
    }).pipe(within()))
})

describe("whatever readers, times and an origin do", () => {
  const oneOf = <const A extends string | number>(...values: ReadonlyArray<A>) =>
    Arbitrary.schema(Schema.Literals(values))
  const controls = [
    "max-age=5",
    "max-age=5, stale-while-revalidate=5",
    "max-age=5, stale-while-revalidate=5, stale-if-error=20",
    "max-age=5, stale-while-revalidate=5, stale-if-error=20, must-revalidate",
    "s-maxage=5, stale-while-revalidate=5, stale-if-error=20",
    "max-age=60, no-cache, stale-if-error=20",
    "private, max-age=60",
    "no-store",
    "none"
  ] as const
  const Step = Arbitrary.all({
    does: oneOf(...controls, "sick", "refused"),
    vary: oneOf("no", "yes"),
    readers: Arbitrary.array(oneOf("ann", "bob", "eve"), { maxLength: 4 }),
    says: oneOf("", "", "", "no-cache", "max-stale=3", "max-age=2", "only-if-cached"),
    millis: oneOf(0, 0, 10, 2000, 4999, 5001, 12_000, 30_000)
  })

  it.effect.prop(
    "I22: nothing private reaches another, and nothing is given past what it allows",
    [Arbitrary.array(Step, { maxLength: 25 })],
    ([steps]) =>
      Effect.gen(function*() {
        let now = 0
        let does: (typeof steps)[number]["does"] = "none"
        let varies = false
        const { client } = origin((n, { headers }) =>
          Effect.suspend((): Effect.Effect<Response, unknown> => {
            const [said, at, user] = [does, now, headers["x-user"]]
            const answered = said === "refused"
              ? Effect.fail("refused")
              : Effect.succeed(
                new Response(JSON.stringify({ n, said, at, user, varies }), {
                  status: said === "sick" ? 503 : 200,
                  headers: {
                    ...said !== "none" && said !== "sick" && { "cache-control": said },
                    ...varies && { vary: "x-user" },
                    etag: `"${n}"`
                  }
                })
              )
            return Effect.andThen(settle, answered)
          })
        )
        const { client: cached } = yield* HttpCache.make(client)
        const owners = new Map<number, number>()
        for (const step of steps) {
          does = step.does
          varies = step.vary === "yes"
          yield* Effect.forEach(step.readers, (user, i) =>
            Effect.gen(function*() {
              const answer = yield* Effect.result(
                cached.get(url, { headers: { "x-user": user, ...step.says !== "" && { "cache-control": step.says } } })
              )
              if (Result.isFailure(answer) || answer.success.status === 504) return
              const told = JSON.parse(yield* answer.success.text)
              const age = now - told.at
              if (told.varies) assert.strictEqual(told.user, user, "another one's variant")
              if (told.said === "private, max-age=60" || told.said === "no-store") {
                const owner = owners.get(told.n)
                assert.isUndefined(owner, `${told.said} was given twice`)
                owners.set(told.n, i)
                assert.strictEqual(told.user, user)
              }
              const asks = step.says === "max-stale=3" ? 3001 : 0
              const most: number = {
                "max-age=5": 4999 + asks,
                "max-age=5, stale-while-revalidate=5": 9999,
                "max-age=5, stale-while-revalidate=5, stale-if-error=20": 24_999,
                "max-age=5, stale-while-revalidate=5, stale-if-error=20, must-revalidate": 4999,
                "s-maxage=5, stale-while-revalidate=5, stale-if-error=20": 4999,
                none: asks
              }[String(told.said)] ?? 0
              assert.isAtMost(age, most, told.said)
              if (step.says === "no-cache") assert.strictEqual(age, 0)
            }), { concurrency: "unbounded" })
          yield* settle
          yield* TestClock.adjust(step.millis)
          now += step.millis
        }
      }).pipe(within()),
    { arbitrary: { runs: 200 }, timeout: 60_000 }
  )
})
