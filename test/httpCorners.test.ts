/**
 * The HTTP cache in its corners: over a store, what strangers send, and what a handler is shown.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Scheduler, Stream } from "effect"
import { Swr } from "effect-swr"
import * as HttpCache from "effect-swr/HttpCache"
import * as HttpCachePromise from "effect-swr/HttpCachePromise"
import * as SwrPromise from "effect-swr/SwrPromise"
import * as Testing from "effect-swr/Testing"
import {
  HttpClient,
  HttpClientResponse,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as HttpAnswer from "../src/HttpAnswer.ts"
import * as HttpPolicy from "../src/HttpPolicy.ts"
import { join, settle, start, within } from "./Origin.ts"

const url = "http://h.test/a"

const client = (answer: (n: number) => Effect.Effect<Response> | Response) => {
  let n = 0
  return HttpClient.make((request) =>
    Effect.suspend(() => {
      const answered = answer(++n)
      return Effect.map(
        Effect.isEffect(answered) ? answered : Effect.succeed(answered),
        (response) => HttpClientResponse.fromWeb(request, response)
      )
    })
  )
}

const page = (body: string, headers: Readonly<Record<string, string>> = {}) =>
  new Response(body, { headers: { "cache-control": "max-age=60", ...headers } })

/** A process with the cache of a client over a store. */
const processOf = Effect.fnUntraced(function*(
  store: Testing.Simulated,
  name: string,
  origin: HttpClient.HttpClient
) {
  const context = yield* Layer.build(Swr.layerStore().pipe(Layer.provide(store.connect(name))))
  const cached = yield* Effect.provideContext(HttpCache.make(origin), context)
  const get = (to: string, headers: Readonly<Record<string, string>> = {}) =>
    Effect.flatMap(cached.client.get(to, { headers }), (response) => response.text)
  return { ...cached, get }
})

describe("over a store", () => {
  it.effect("RFC 9211 2.5: who loads is told of `stored`", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const { client: cached } = yield* processOf(store, "a", client(() => page("v1")))
      const { headers } = yield* cached.get(url)
      assert.strictEqual(headers["cache-status"], "http; fwd=uri-miss; fwd-status=200; stored")
    }).pipe(Effect.scoped))

  for (const vary of [{}, { vary: "accept-language" }]) {
    it.effect(`R11: what was loaded before another process invalidated is not kept (${JSON.stringify(vary)})`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore()
        const gate = yield* Deferred.make<void>()
        const a = yield* processOf(
          store,
          "a",
          client((n) => n === 1 ? Effect.as(Deferred.await(gate), page("old", vary)) : page("new", vary))
        )
        const b = yield* processOf(store, "b", client(() => page("new", vary)))
        const reader = yield* start(a.get(url))
        yield* settle
        yield* b.invalidate(url)
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        yield* join(reader)
        yield* settle
        assert.strictEqual(yield* join(yield* start(a.get(url))), "new", "a")
        assert.strictEqual(yield* join(yield* start(b.get(url))), "new", "b")
      }).pipe(Effect.scoped))

    it.effect(`a second process is given what the first one loaded (${JSON.stringify(vary)})`, () =>
      Effect.gen(function*() {
        const store = yield* Testing.simulatedStore()
        let loads = 0
        const origin = client(() => page(`v${++loads}`, vary))
        const a = yield* processOf(store, "a", origin)
        const b = yield* processOf(store, "b", origin)
        for (let i = 0; i < 3; i++) {
          yield* join(yield* start(a.get(url)))
          yield* settle
          yield* join(yield* start(b.get(url)))
          yield* settle
        }
        // By what it varies each process learns for itself.
        assert.isAtMost(loads, "vary" in vary ? 3 : 1)
      }).pipe(Effect.scoped))
  }
})

describe("what another process has invalidated, where that was not heard", () => {
  // Past its life it is kept for asking, for requests that allow more, and for an origin that fails.
  const old = () =>
    new Response("old", { headers: { "cache-control": "max-age=1, stale-if-error=600", etag: "\"a\"" } })
  /** A process that has an old answer, and hears of nothing any more; `then` is what its origin says by now. */
  const deaf = Effect.fnUntraced(function*(then: () => Response, isVoided: boolean) {
    const store = yield* Testing.simulatedStore()
    const a = yield* processOf(store, "a", client(old))
    const b = yield* processOf(store, "b", client((n) => n === 1 ? old() : then()))
    assert.strictEqual(yield* join(yield* start(b.get(url))), "old")
    yield* settle
    yield* store.lose(1)
    if (isVoided) yield* a.invalidate(url)
    // Longer than what memory says is trusted.
    yield* TestClock.adjust("3 seconds")
    const get = (control: string) => Effect.flatMap(start(b.get(url, { "cache-control": control })), join)
    return { get, store }
  })
  const well = () => page("new")
  const sick = () => new Response("sick", { status: 503 })

  it.effect("R11: is not given to who says max-stale", () =>
    Effect.gen(function*() {
      const { get } = yield* deaf(well, true)
      assert.strictEqual(yield* get("max-stale=60"), "new")
    }).pipe(Effect.scoped))

  it.effect("R11: nor to who wants an answer of the cache alone", () =>
    Effect.gen(function*() {
      const { get } = yield* deaf(well, true)
      assert.strictEqual(yield* get("max-stale=60, only-if-cached"), "")
    }).pipe(Effect.scoped))

  for (const control of ["", "max-age=0", "max-age=0, stale-if-error=600"]) {
    it.effect(`R11: nor does it stand in for an origin that fails (${control})`, () =>
      Effect.gen(function*() {
        const { get } = yield* deaf(sick, true)
        assert.strictEqual(yield* get(control), "sick")
      }).pipe(Effect.scoped))
  }

  for (const isAway of [false, true]) {
    it.effect(`R14: what was not invalidated is given to all of them (${isAway ? "store away" : "store there"})`, () =>
      Effect.gen(function*() {
        for (const control of ["max-stale=60", "max-stale=60, only-if-cached"]) {
          const { get, store } = yield* deaf(well, false)
          if (isAway) yield* store.down("away")
          assert.strictEqual(yield* get(control), "old", control)
        }
        for (const control of ["", "max-age=0"]) {
          const { get, store } = yield* deaf(sick, false)
          if (isAway) yield* store.down("away")
          assert.strictEqual(yield* get(control), "old", control)
        }
      }).pipe(Effect.scoped))
  }
})

describe("what strangers send", () => {
  // Quadratic, it would be minutes.
  const long = 60_000
  const values: Readonly<Record<string, string>> = {
    spaces: `a${" ".repeat(long)}b`,
    "spaces and commas": `a${" \t,".repeat(long / 3)}`,
    quotes: `"`.repeat(long),
    backslashes: `"${"\\".repeat(long)}`,
    "equal signs": "a=".repeat(long / 2),
    digits: `max-age=${"9".repeat(long)}`,
    "spaces in a range": `bytes=${" ".repeat(long)}-`,
    "an entity tag's beginning": `W/"`.repeat(long / 3)
  }
  for (const [what, value] of Object.entries(values)) {
    it(`R14: a field of ${long} ${what} holds nobody up`, () => {
      const since = performance.now()
      for (
        const name of [
          "cache-control",
          "vary",
          "accept",
          "x-any",
          "age",
          "pragma",
          "range",
          "connection",
          "etag",
          "if-none-match",
          "if-range",
          "last-modified",
          "cdn-cache-control"
        ]
      ) {
        const rules = HttpPolicy.rules({ shared: true })
        const request = { method: "GET", url, headers: { [name]: value } }
        const headers = { "cache-control": "max-age=60", vary: name, [name]: value }
        const times = { requestedAt: 0, receivedAt: 0 }
        HttpPolicy.refusal(request, { status: 200, headers }, times, rules)
        const stored = HttpPolicy.store(request, { status: 200, headers, length: 10 }, times, rules)
        HttpPolicy.evaluate(request, stored, 10, rules)
        HttpPolicy.isVariant(stored.variant, request.headers)
        HttpPolicy.refresh(request, [stored], rules)
        HttpAnswer.isNotModified(request, stored)
        HttpAnswer.ranges(request, stored)
      }
      assert.isBelow(performance.now() - since, 20_000)
    })
  }
  for (
    const other of [
      "http://H.test/a",
      "http://h.test:80/a",
      "HTTP://h.test/a",
      "http://h.test/a#part",
      "http://h.test/b/../a"
    ]
  ) {
    it.effect(`invalidate finds a URL however it is spelt: ${other}`, () =>
      Effect.gen(function*() {
        const { client: cached, invalidate } = yield* HttpCache.make(client((n) => page(`v${n}`)))
        const get = Effect.flatMap(cached.get(url), (response) => response.text)
        yield* get
        yield* invalidate(other)
        assert.strictEqual(yield* get, "v2")
      }).pipe(within()))
  }
  it.effect("R15: long keys and fields count", () =>
    Effect.gen(function*() {
      const { client: cached, stats } = yield* HttpCache.make(
        client(() => page("x", { "x-long": "y".repeat(10_000) })),
        { maxBytes: 100_000 }
      )
      for (let i = 0; i < 200; i++) yield* Effect.flatMap(cached.get(`${url}?${"q".repeat(5_000)}${i}`), (r) => r.text)
      const { size, weight } = yield* stats
      assert.isAtMost(size, 10)
      assert.isAtMost(weight, 100_000)
    }).pipe(within()))
})

describe("a whole body whose length was announced wrong", () => {
  const bytes = new TextEncoder().encode("0123456789")
  for (const announced of ["3", "20", "x"]) {
    for (const [status, control] of [[200, { "cache-control": "max-age=60" }], [503, {}]] as const) {
      it.effect(`is given with its own length, and not kept (${announced}, ${status})`, () =>
        Effect.gen(function*() {
          const { answer, stats } = yield* HttpCache.exchange()
          const headers = { ...control, "content-length": announced }
          const origin = Effect.succeed<HttpCache.Message>({ status, headers, body: bytes })
          for (let i = 0; i < 2; i++) {
            const response = yield* answer({ method: "GET", url, headers: {} }, () => origin)
            assert.containsSubset(response, { status, headers: { "content-length": "10", "x-cache": "MISS" } })
            assert.deepStrictEqual(response.body, bytes)
          }
          assert.strictEqual((yield* stats).hits, 0)
        }).pipe(within()))
    }
  }
})

describe("a body that never ends", () => {
  it.effect("RFC 9111 3.3: events are passed through as they come, whatever is said of keeping them", () =>
    Effect.gen(function*() {
      const { answer } = yield* HttpCache.exchange()
      const body = Stream.concat(Stream.succeed(new TextEncoder().encode("data: 1\n\n")), Stream.never)
      const headers = { "content-type": "text/event-stream", "cache-control": "max-age=60" }
      const request = { method: "GET", url, headers: {} }
      const response = yield* answer(request, () => Effect.succeed({ status: 200, headers, body }))
      if (response.body instanceof Uint8Array) return assert.fail("it was to come in pieces")
      const [first] = yield* Stream.runCollect(Stream.take(response.body, 1))
      assert.strictEqual(new TextDecoder().decode(first), "data: 1\n\n")
    }).pipe(within()))
})

describe("what is kept, and under which name", () => {
  it.effect("RFC 9110 7.6.1: what Connection takes from the origin is not in the key either", () =>
    Effect.gen(function*() {
      const { answer } = yield* HttpCache.exchange()
      const ask = (headers: HttpCache.Request["headers"]) =>
        answer({ method: "GET", url, headers }, (wanted) =>
          Effect.succeed({
            status: 200,
            headers: { "cache-control": "max-age=60", vary: "accept-language" },
            body: new TextEncoder().encode(String(wanted?.headers["accept-language"]))
          })).pipe(Effect.map(({ body }) => body instanceof Uint8Array ? new TextDecoder().decode(body) : ""))
      yield* ask({ "accept-language": "fr", connection: "close, Accept-Language" })
      assert.strictEqual(yield* ask({ "accept-language": "fr", connection: "keep-alive" }), "fr")
      assert.strictEqual(yield* ask({}), "undefined")
      const fat = { connection: "x, transfer-encoding", "transfer-encoding": "chunked" }
      const { headers } = yield* answer(
        { method: "GET", url, headers: fat },
        () => Effect.succeed({ status: 200, headers: {}, body: new Uint8Array() })
      )
      assert.strictEqual(
        headers["cache-status"],
        "http; fwd=bypass; fwd-status=200",
        "a body goes past it all the same"
      )
    }).pipe(within()))

  const bytes = (text: string) => new TextEncoder().encode(text)
  /** How many of them are still held by something. */
  const living = (all: ReadonlyArray<WeakRef<object>>) =>
    Effect.promise(async () => {
      setFlagsFromString("--expose-gc")
      const collect: unknown = runInNewContext("gc")
      // What a reference was asked for in this turn is held until its end.
      await new Promise((resolve) => setImmediate(resolve))
      if (typeof collect === "function") collect()
      return all.filter((each) => each.deref() !== undefined).length
    })
  const textOf = ({ body }: HttpCache.Message) => body instanceof Uint8Array ? new TextDecoder().decode(body) : "?"

  it.effect("R11: a URL that stops to vary while it loads is found by its name, and invalidated", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const varies = { vary: "accept-language" }
      const { client: cached, invalidate } = yield* HttpCache.make(
        client((n) =>
          n === 1 || n === 4
            ? page(`v${n}`, varies)
            : n === 2
            ? Effect.as(Deferred.await(gate), page("v2"))
            : n === 3
            ? page("v3")
            : page(`v${n}`, varies)
        )
      )
      const get = (language: string) =>
        Effect.flatMap(cached.get(url, { headers: { "accept-language": language } }), ({ text }) => text)
      assert.strictEqual(yield* get("en"), "v1")
      const slow = yield* start(get("fr"))
      yield* settle
      assert.strictEqual(yield* get("de"), "v3")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* join(slow), "v2")
      yield* invalidate(url)
      assert.strictEqual(yield* get("es"), "v4")
      assert.strictEqual(yield* get("fr"), "v5")
    }).pipe(within()))

  it.effect("RFC 9111 4.1: what began to vary while it loaded is no other reader's, however it is asked for", () =>
    Effect.gen(function*() {
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()] as const
      let sick = false
      const control = { "cache-control": "max-age=10, stale-if-error=600" }
      const { client: cached, invalidate } = yield* HttpCache.make(
        client((n) => {
          if (sick) return new Response("sick", { status: 503 })
          const answer = page(`v${n}`, n === 3 ? control : { vary: "accept-language", ...control })
          return n === 2 || n === 4 ? Effect.as(Deferred.await(gates[n === 2 ? 0 : 1]), answer) : answer
        }),
        { capacity: 5 }
      )
      const get = (language: string, to = url, said: Readonly<Record<string, string>> = {}) =>
        Effect.flatMap(cached.get(to, { headers: { "accept-language": language, ...said } }), ({ text }) => text)
      yield* get("en")
      const italian = yield* start(get("it"))
      yield* settle
      yield* get("de")
      yield* TestClock.adjust("15 seconds")
      // Asked for under the name of what varies by nothing; before it comes, another one says by what it varies again.
      const french = yield* start(get("fr"))
      yield* settle
      yield* Deferred.succeed(gates[0], undefined)
      assert.strictEqual(yield* join(italian), "v2")
      yield* Deferred.succeed(gates[1], undefined)
      assert.strictEqual(yield* join(french), "v4")
      // And that it varies is forgotten, for what is known of others.
      for (let i = 0; i < 6; i++) {
        yield* get("en", `${url}/${i}`)
        yield* invalidate(`${url}/${i}`)
      }
      yield* TestClock.adjust("15 seconds")
      sick = true
      for (const said of [{}, { "cache-control": "max-stale=60" }]) {
        // The one that varied by nothing may stand in for all.
        assert.strictEqual(yield* get("de", url, said), "v3", JSON.stringify(said))
      }
    }).pipe(within()))

  it.effect("R11: who joins a load after a tag was invalidated is not given it where it is kept nowhere", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { answer, invalidateTag } = yield* HttpCache.exchange({ tags: () => ["t"] })
      let n = 0
      const origin = Effect.suspend(() => {
        // By what it varies nobody knows before it comes, nor hence its name and what it is found by.
        const answer = {
          status: 200,
          headers: { "cache-control": "max-age=60", vary: "accept-language" },
          body: bytes(`v${++n}`)
        }
        return n === 1 ? Effect.as(Deferred.await(gate), answer) : Effect.succeed(answer)
      })
      const get = Effect.map(answer({ method: "GET", url, headers: {} }, () => origin), textOf)
      const first = yield* start(get)
      yield* settle
      yield* invalidateTag("t")
      const late = yield* Effect.all(Array.from({ length: 10 }, () => start(get)))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* join(first), "v1")
      for (const fiber of late) assert.strictEqual(yield* join(fiber), "v2")
    }).pipe(within()))

  it.effect("R11: an invalidation that comes between any two steps of a load is the last word", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 240; round++) {
        const [steps, which, varies] = [Math.floor(round / 6), round % 3, round % 2 === 0]
        const gate = yield* Deferred.make<void>()
        let n = 0
        // Its loads give way every few steps.
        const { answer, clear, invalidate, invalidateTag } = yield* Effect.provideService(
          HttpCache.exchange({ name: `${round}`, tags: () => ["t"] }),
          Scheduler.MaxOpsBeforeYield,
          4
        )
        const origin = Effect.suspend(() => {
          const vary = varies ? { vary: "accept-language" } : {}
          const answer = { status: 200, headers: { "cache-control": "max-age=60", ...vary }, body: bytes(`v${++n}`) }
          return n === 1 ? Effect.as(Deferred.await(gate), answer) : Effect.succeed(answer)
        })
        const get = Effect.map(answer({ method: "GET", url, headers: {} }, () => origin), textOf)
        const first = yield* start(get)
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        for (let i = 0; i < steps; i++) yield* Effect.yieldNow
        yield* [invalidate(url), invalidateTag("t"), clear][which] ?? clear
        const about = `${steps} steps, ${which}, ${varies}`
        assert.strictEqual(yield* get, "v2", about)
        assert.strictEqual(yield* Fiber.join(first), "v1", about)
        assert.strictEqual(yield* get, "v2", about)
      }
    }).pipe(within()))

  it.effect("R15: what is at hand of late keeps nothing that has left", () =>
    Effect.gen(function*() {
      const { answer, stats } = yield* HttpCache.exchange({ maxBytes: 200_000 })
      const bodies: Array<WeakRef<ArrayBufferLike>> = []
      const origin = Effect.sync((): HttpCache.Message => {
        const body = new Uint8Array(100_000)
        bodies.push(new WeakRef(body.buffer))
        return { status: 200, headers: { "cache-control": "max-age=60" }, body }
      })
      for (let i = 0; i < 100; i++) {
        const request = { method: "GET", url: `${url}?${i}`, headers: {} }
        yield* answer(request, () => origin)
        yield* answer(request, () => origin)
      }
      assert.isAtMost((yield* stats).weight, 200_000)
      assert.isBelow(yield* living(bodies), 10)
    }).pipe(within()))

  it.effect("R15: nor does what was answered instead of it", () =>
    Effect.gen(function*() {
      const { answer } = yield* HttpCache.exchange({ maxBytes: 500_000 })
      const bodies: Array<WeakRef<ArrayBufferLike>> = []
      let isSick = false
      const origin = Effect.sync((): HttpCache.Message => {
        if (!isSick) return { status: 200, headers: { "cache-control": "max-age=1", etag: "\"a\"" }, body: bytes("x") }
        const body = new Uint8Array(100_000)
        bodies.push(new WeakRef(body.buffer))
        return { status: 503, headers: {}, body }
      })
      const all = Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => answer({ method: "GET", url: `${url}?${i}`, headers: {} }, () => origin),
        { discard: true }
      )
      yield* all
      yield* TestClock.adjust("5 seconds")
      isSick = true
      yield* all
      assert.lengthOf(bodies, 100)
      assert.isBelow(yield* living(bodies), 10)
    }).pipe(within()))

  it.effect("a reader can't change the fields that others are given", () =>
    Effect.gen(function*() {
      const { answer } = yield* HttpCache.exchange({ setCookie: true })
      const links = ["<a>", "<b>"]
      const origin = Effect.sync((): HttpCache.Message => ({
        status: 200,
        headers: { "cache-control": "max-age=60", "set-cookie": links },
        body: bytes("x")
      }))
      const get = answer({ method: "GET", url, headers: {} }, () => origin)
      for (let i = 0; i < 3; i++) {
        const { headers } = yield* get
        const lines = headers["set-cookie"]
        assert.deepStrictEqual(lines, ["<a>", "<b>"])
        // As a server's `appendHeader` does with what it was given.
        assert.throws(() => (lines as Array<string>).push("session=mine"))
      }
      // What its origin does with its own later on is no answer either.
      links.push("session=another")
      assert.deepStrictEqual((yield* get).headers["set-cookie"], ["<a>", "<b>"])
    }).pipe(within()))

  it("nor those of a server that is not Effect's", async () => {
    const responses = HttpCachePromise.make(SwrPromise.make(), { freshFor: "1 minute", setCookie: true })
    const get = async () => {
      const reply = await responses.answer({
        request: { method: "GET", url, headers: {} },
        run: async () => ({ status: 200, headers: { "set-cookie": ["a", "b"] }, body: bytes("x") }),
        pass: async () => ({ status: 404, headers: {} })
      })
      assert.isDefined(reply)
      return reply
    }
    await get()
    const { headers } = await get()
    assert.throws(() => Object.assign(headers, { "x-mine": "1" }))
    assert.throws(() => (headers["set-cookie"] as Array<string>).push("c"))
    assert.deepStrictEqual((await get()).headers["set-cookie"], ["a", "b"])
  })

  it.effect("a body that was given away is loaded again, and spoils nothing", () =>
    Effect.gen(function*() {
      const { answer } = yield* HttpCache.exchange()
      let n = 0
      const origin = Effect.sync((): HttpCache.Message => ({
        status: 200,
        headers: { "cache-control": "max-age=60", etag: "\"a\"" },
        body: bytes(`body ${++n}`)
      }))
      const get = (headers: Readonly<Record<string, string>> = {}) =>
        answer({ method: "GET", url, headers }, () => origin)
      for (const headers of [{}, { range: "bytes=0-1" }]) {
        const { body } = yield* get()
        // What a stream of bytes and a worker do with what they are given.
        if (body instanceof Uint8Array) structuredClone(body.buffer, { transfer: [body.buffer] })
        assert.notStrictEqual(textOf(yield* get(headers)), "")
      }
    }).pipe(within()))

  it.effect("a body that is given away while the origin is asked whether it still holds is loaded again", () =>
    Effect.gen(function*() {
      const { answer } = yield* HttpCache.exchange()
      const gate = yield* Deferred.make<void>()
      const headers = { "cache-control": "max-age=10", etag: "\"a\"" }
      const whole = (text: string): HttpCache.Message => ({ status: 200, headers, body: bytes(text) })
      const get = (forward: (wanted: HttpCache.Request | undefined) => Effect.Effect<HttpCache.Message>) =>
        answer({ method: "GET", url, headers: {} }, forward)
      const { body } = yield* get(() => Effect.succeed(whole("one")))
      yield* TestClock.adjust("15 seconds")
      const asking = yield* start(get((wanted) =>
        wanted?.headers["if-none-match"] === undefined
          ? Effect.succeed(whole("two"))
          : Effect.as(Deferred.await(gate), { status: 304, headers, body: new Uint8Array() })
      ))
      yield* settle
      if (body instanceof Uint8Array) structuredClone(body.buffer, { transfer: [body.buffer] })
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(textOf(yield* join(asking)), "two")
    }).pipe(within()))
})

const serve = (
  routes: Layer.Layer<never, never, HttpRouter.HttpRouter | HttpCache.HttpCache | HttpRouter.Request<"Error", string>>,
  options: HttpCache.Options = {}
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        HttpRouter.toWebHandler(
          routes.pipe(
            Layer.provide(HttpCache.layer(options)),
            Layer.provide(Swr.layer()),
            Layer.provideMerge(HttpServer.layerServices)
          ),
          { disableLogger: true }
        )
      ),
      ({ dispose }) => Effect.promise(dispose)
    ),
    ({ handler }) => (path: string, headers: Readonly<Record<string, string>> = {}, method = "GET") =>
      Effect.promise(async () => {
        const response = await handler(new Request(`http://h.test${path}`, { method, headers }))
        return [response.status, response.headers.get("x-cache"), await response.text()] as const
      })
  )

const echo = Effect.map(
  HttpServerRequest.HttpServerRequest,
  (request) =>
    HttpServerResponse.text(
      JSON.stringify({
        headers: { ...request.headers },
        cookies: request.cookies,
        method: request.method,
        url: request.url,
        original: request.originalUrl
      })
    )
)

describe("what a handler is shown", () => {
  it.live("a route that is left out sees its request whole", () =>
    Effect.gen(function*() {
      const out = HttpRouter.add("GET", "/out", echo).pipe(Layer.provide(HttpCache.route({ enabled: false }).layer))
      const get = yield* serve(
        Layer.mergeAll(
          out,
          HttpRouter.add("GET", "/in", echo),
          HttpCache.layerGlobal({ freshFor: "1 minute" })
        )
      )
      const [, , text] = yield* get("/out", { "x-api-key": "one" })
      assert.include(text, "one")
      const two = yield* Effect.all([get("/out", { "x-api-key": "one" }), get("/out", { "x-api-key": "two" })], {
        concurrency: 2
      })
      assert.include(two[0][2], "one")
      assert.include(two[1][2], "two")
      assert.notInclude((yield* get("/in", { "x-api-key": "one" }))[2], "one")
    }).pipe(Effect.scoped))

  it.live("a route that is left out fails for who asked alone", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const began = yield* Deferred.make<void>()
      const handler = Effect.gen(function*() {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        yield* Deferred.succeed(began, undefined)
        yield* Deferred.await(gate)
        return headers["x-api-key"] === "bad" ? yield* Effect.fail("denied") : HttpServerResponse.text("granted")
      })
      const out = HttpRouter.add("GET", "/out", handler).pipe(Layer.provide(HttpCache.route({ enabled: false }).layer))
      const get = yield* serve(Layer.mergeAll(out, HttpCache.layerGlobal({ freshFor: "1 minute" })))
      const bad = yield* start(get("/out", { "x-api-key": "bad" }))
      yield* Deferred.await(began)
      const good = yield* start(get("/out", { "x-api-key": "good" }))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(bad))[0], 500)
      assert.strictEqual((yield* Fiber.join(good))[2], "granted")
    }).pipe(Effect.scoped))

  it.live("of cookies that are ignored it sees none", () =>
    Effect.gen(function*() {
      const get = yield* serve(
        HttpRouter.add("GET", "/in", echo).pipe(
          Layer.provide(HttpCache.route({ freshFor: "1 minute" }).layer)
        ),
        { ignoreCookies: true }
      )
      const [, , text] = yield* get("/in", {
        cookie: "session=secret",
        authorization2: "x",
        "x-forwarded-host": "evil",
        "x-original-url": "/admin"
      })
      assert.notInclude(text, "secret")
      assert.notInclude(text, "evil")
    }).pipe(Effect.scoped))
})
