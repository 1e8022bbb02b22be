/**
 * What a cache in front of a framework's handlers must do, whatever the framework: real servers, real sockets, and a
 * clock that only the test moves.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Layer, ManagedRuntime } from "effect"
import { Swr } from "effect-swr"
import type * as HttpCache from "effect-swr/HttpCache"
import type * as HttpCachePromise from "effect-swr/HttpCachePromise"
import * as SwrPromise from "effect-swr/SwrPromise"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import { Readable } from "node:stream"
import { afterEach } from "vitest"

export interface Asked {
  readonly url: string
  readonly headers: Http.IncomingHttpHeaders
  readonly params: Readonly<Record<string, unknown>>
}

export interface Told {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string>>>
  readonly body?: string | Uint8Array | Readable
}

export type Handler = (asked: Asked) => Told | Promise<Told>

export interface Options extends HttpCache.Options, HttpCachePromise.Route {
  readonly caches?: SwrPromise.Caches
}

/** A framework's server. */
export interface Site {
  readonly cache: HttpCachePromise.Responses
  /** A handler, behind the cache where windows are given. */
  readonly on: (
    method: "GET" | "POST" | "OPTIONS",
    path: string,
    handler: Handler,
    route?: HttpCachePromise.Route
  ) => void
  /** One that voids routes. */
  readonly voids: (path: string, handler: Handler, ...patterns: ReadonlyArray<string>) => void
  /** The cache around all handlers that come after. */
  readonly around: (route: HttpCachePromise.Route) => void
  readonly listen: () => Promise<string>
  readonly close: () => Promise<unknown>
}

export interface Got {
  readonly status: number | undefined
  readonly headers: Http.IncomingHttpHeaders
  readonly found: unknown
  readonly text: string
  readonly bytes: Buffer
}

/** One request, on the agent's connections or one of its own. */
export const ask = (url: string, options: Http.RequestOptions = {}): Promise<Got> =>
  new Promise((resolve, reject) => {
    const request = Http.request(url, { agent: false, ...options }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", reject)
      response.on("end", () => {
        const bytes = Buffer.concat(chunks)
        const { headers, statusCode } = response
        resolve({ status: statusCode, headers, found: headers["x-cache"], text: bytes.toString(), bytes })
      })
    })
    request.on("error", reject)
    request.end()
  })

/** Waits, in real time, for what will be so. */
export const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 500; i++) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  assert.fail("it never came about")
}

/** Opens when the test says so. */
export const gate = () => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => open = resolve)
  return { opened, open }
}

/** Answers `v1`, `v2`, ..., each after something has come about. */
export const numbered = (headers: Told["headers"] = {}, before: (n: number) => unknown = () => {}) => {
  const count = { runs: 0 }
  const handler: Handler = async () => {
    const n = ++count.runs
    await before(n)
    return { headers, body: `v${n}` }
  }
  return { count, handler }
}

const closing: Array<() => Promise<unknown>> = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** A site that listens, and how to look at it. */
export const visit = async (open: (options: Options) => Site, options: Options, build: (site: Site) => void) => {
  const runtime = ManagedRuntime.make(Swr.layer().pipe(Layer.provideMerge(TestClock.layer())))
  const site = open({ caches: await SwrPromise.over(runtime), ...options })
  build(site)
  const url = await site.listen()
  closing.push(() => site.close(), () => runtime.dispose())
  const get = (path: string, headers: Http.OutgoingHttpHeaders = {}, method = "GET") =>
    ask(`${url}${path}`, { headers, method })
  return {
    ...site,
    url,
    get,
    runtime,
    /** X-Cache and body. */
    see: (path: string, headers: Http.OutgoingHttpHeaders = {}) =>
      get(path, headers).then(({ found, text }) => [found, text]),
    many: (count: number, path: string) => Promise.all(Array.from({ length: count }, () => get(path))),
    pass: (time: Duration.Input) => runtime.runPromise(TestClock.adjust(time))
  }
}

export const swr = { freshFor: "10 seconds", maxAge: "20 seconds" } as const
export const sie = { ...swr, staleIfError: "1 minute" } as const

const distinct = (answers: ReadonlyArray<Got>) => new Set(answers.map(({ text }) => text)).size

/** Asked through a proxy by two hosts and two schemes, and what a handler that answers its URL gives where it is trusted. */
export const forwarded = {
  ask: async (see: (path: string, headers: Http.OutgoingHttpHeaders) => Promise<unknown>) => {
    const seen: Array<unknown> = []
    for (const [scheme, host] of [["http", "a"], ["http", "b"], ["https", "a"], ["https", "a"]] as const) {
      const headers = { "x-forwarded-host": `${host}.test`, "x-forwarded-proto": scheme }
      seen.push(await see("/a", { "x-forwarded-for": "192.0.2.1", ...headers }))
    }
    return seen
  },
  seen: [["MISS", "http://a.test/a"], ["MISS", "http://b.test/a"], ["MISS", "https://a.test/a"], [
    "HIT",
    "https://a.test/a"
  ]]
}

/** Asked by the scripts of two origins, and what is told where CORS is outside the cache. */
export const crossed = {
  ask: async (get: (path: string, headers: Http.OutgoingHttpHeaders) => Promise<Got>) => {
    const seen: Array<unknown> = []
    for (const origin of ["http://a.test", "http://b.test"]) {
      const { found, headers } = await get("/a", { origin })
      seen.push([found, headers["access-control-allow-origin"], headers["vary"]])
    }
    return seen
  },
  seen: [["MISS", "http://a.test", "Origin, accept-language"], ["HIT", "http://b.test", "Origin, accept-language"]]
}

/** The cases that hold for every framework. */
export const behaves = (framework: string, open: (options: Options) => Site): void => {
  const visiting = (build: (site: Site) => void, options: Options = {}) => visit(open, options, build)

  describe(`${framework}: windows`, () => {
    it("EX-01, EX-03, EX-04, EX-05: MISS, HIT, STALE and one refresh, MISS; Age; Cache-Control", async () => {
      const { handler } = numbered()
      const { get, pass, see } = await visiting((site) => site.on("GET", "/a", handler, swr))
      assert.containsSubset(await get("/a"), {
        found: "MISS",
        text: "v1",
        headers: { age: "0", "cache-control": "max-age=10, stale-while-revalidate=10" }
      })
      await pass("9999 millis")
      assert.containsSubset(await get("/a"), { found: "HIT", text: "v1", headers: { age: "9" } })
      await pass("1 millis")
      assert.deepStrictEqual(await see("/a"), ["STALE", "v1"])
      await until(async () => (await see("/a")).join() === "HIT,v2")
      await pass("20 seconds")
      assert.deepStrictEqual(await see("/a"), ["MISS", "v3"])
    })

    it("EX-02 differs: without windows the handler's Cache-Control decides, and where it says nothing nothing is kept", async () => {
      const [silent, told] = [numbered(), numbered({ "cache-control": "max-age=10" })]
      const { pass, see } = await visiting((site) => {
        site.on("GET", "/silent", silent.handler, {})
        site.on("GET", "/told", told.handler, {})
      })
      assert.deepStrictEqual([await see("/silent"), await see("/silent")], [["MISS", "v1"], ["MISS", "v2"]])
      assert.deepStrictEqual([await see("/told"), await see("/told")], [["MISS", "v1"], ["HIT", "v1"]])
      await pass("10 seconds")
      assert.deepStrictEqual(await see("/told"), ["MISS", "v2"])
    })

    it("EX-06 differs: what did not go well is kept where its own Cache-Control says so", async () => {
      const { handler } = numbered({ "cache-control": "max-age=10" })
      const { see } = await visiting((site) =>
        site.on("GET", "/a", async (asked) => ({ ...await handler(asked), status: 404 }), swr)
      )
      assert.deepStrictEqual([await see("/a"), await see("/a")], [["MISS", "v1"], ["HIT", "v1"]])
    })

    it("EX-06: only what went well is kept", async () => {
      for (const status of [301, 404, 410, 500]) {
        const { count, handler } = numbered()
        const { get } = await visiting((site) =>
          site.on("GET", "/a", async (asked) => ({ ...await handler(asked), status }), swr)
        )
        assert.containsSubset([await get("/a"), await get("/a")], [{ status, text: "v1" }, { status, text: "v2" }])
        assert.strictEqual(count.runs, 2)
      }
    })

    it("EX-12, EX-13, W-EX-5: a cache around all routes refreshes too; a route says otherwise, or no", async () => {
      const off = numbered({ "cache-control": "max-age=60" })
      const [all, own, varied] = [numbered(), numbered(), numbered()]
      const { get, pass, see } = await visiting((site) => {
        site.around(swr)
        site.on("GET", "/all/:id", all.handler)
        site.on("GET", "/own", own.handler, { freshFor: "5 seconds", maxAge: "5 seconds" })
        site.on(
          "GET",
          "/off",
          async (asked) => ({ ...await off.handler(asked), body: String(asked.headers["x-key"]) }),
          {
            enabled: false
          }
        )
        site.on("GET", "/vary", varied.handler, { vary: ["X-Kind"] })
      })
      assert.deepStrictEqual([await see("/all/1"), await see("/all/1")], [["MISS", "v1"], ["HIT", "v1"]])
      assert.deepStrictEqual([await see("/own"), await see("/off", { "x-key": "k" })], [["MISS", "v1"], ["MISS", "k"]])
      assert.deepStrictEqual(await see("/off", { "x-key": "l" }), ["MISS", "l"])
      assert.strictEqual((await get("/vary", { "x-kind": "a" })).headers.vary, "x-kind")
      assert.deepStrictEqual(await see("/vary", { "x-kind": "b" }), ["MISS", "v2"])
      assert.deepStrictEqual(await see("/vary", { "x-kind": "a" }), ["HIT", "v1"])
      await pass("10 seconds")
      assert.deepStrictEqual([await see("/all/1"), await see("/own")], [["STALE", "v1"], ["MISS", "v2"]])
      await until(async () => (await see("/all/1")).join() === "HIT,v2")
    })
  })

  describe(`${framework}: bodies and fields`, () => {
    it("EX-07: a body above the limit comes through and is not kept", async () => {
      const count = { runs: 0 }
      const handler: Handler = () => {
        count.runs++
        return { body: Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(1024, "x"))) }
      }
      const whole: Handler = ({ url }) => ({ body: "x".repeat(url === "/most" ? 10_000 : 10_001) })
      const { get } = await visiting((site) => {
        site.on("GET", "/a", handler, swr)
        site.on("GET", "/most", whole, swr)
        site.on("GET", "/more", whole, swr)
      }, { maxBody: 10_000 })
      for (const runs of [1, 2]) {
        assert.containsSubset(await get("/a"), { found: "MISS", bytes: { length: 65_536 } })
        assert.strictEqual(count.runs, runs)
      }
      for (const found of ["MISS", "HIT"]) {
        assert.containsSubset(await get("/most"), { found, bytes: { length: 10_000 } })
        assert.containsSubset(await get("/more"), { found: "MISS", bytes: { length: 10_001 } })
      }
    })

    it("EX-08: bytes, streams, the type and fields of several lines are the handler's", async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
      const { get } = await visiting((site) => {
        site.on(
          "GET",
          "/bytes",
          () => ({ headers: { "content-type": "image/x", link: ["<a>", "<b>"] }, body: bytes }),
          swr
        )
        site.on("GET", "/stream", () => ({ body: Readable.from([Buffer.from("a"), Buffer.from("b")]) }), swr)
        site.on("GET", "/empty", () => ({ status: 204 }), swr)
      })
      for (const found of ["MISS", "HIT"]) {
        const answer = await get("/bytes")
        assert.containsSubset(answer, { found, headers: { "content-type": "image/x", link: "<a>, <b>" } })
        assert.deepStrictEqual(new Uint8Array(answer.bytes), bytes)
        assert.containsSubset(await get("/stream"), { found, text: "ab", headers: { "content-length": "2" } })
        assert.containsSubset(await get("/empty"), { found, status: 204, text: "" })
      }
    })

    it("EX-08, I22: an answer that sets a cookie is its reader's alone", async () => {
      const { handler } = numbered({ "set-cookie": ["a=1", "b=2"] })
      const { get } = await visiting((site) => site.on("GET", "/a", handler, swr))
      assert.containsSubset(await get("/a"), { text: "v1", headers: { "set-cookie": ["a=1", "b=2"] } })
      assert.containsSubset(await get("/a"), { found: "MISS", text: "v2" })
    })

    it("W-EX-15: 304, HEAD from GET, ranges", async () => {
      const { count, handler } = numbered()
      const { get } = await visiting((site) => site.on("GET", "/a", handler, swr))
      const { headers: { etag = "" } } = await get("/a")
      assert.notStrictEqual(etag, "")
      assert.containsSubset(await get("/a", { "if-none-match": etag }), { status: 304, text: "", found: "HIT" })
      assert.containsSubset(await get("/a", {}, "HEAD"), { text: "", found: "HIT", headers: { "content-length": "2" } })
      assert.containsSubset(await get("/a", { range: "bytes=1-" }), { status: 206, text: "1" })
      assert.strictEqual(count.runs, 1)
    })
  })

  describe(`${framework}: keys`, () => {
    it("EX-14, W-EX-10: vary is exact, and told; what no key covers the handler does not see", async () => {
      const seen: Array<Http.IncomingHttpHeaders> = []
      const { handler } = numbered()
      const { get, see } = await visiting((site) =>
        site.on("GET", "/a", (asked) => {
          seen.push(asked.headers)
          return handler(asked)
        }, { ...swr, vary: ["X-Kind"] })
      )
      assert.deepStrictEqual(await see("/a", { "x-kind": "AbC", "x-user": "alice" }), ["MISS", "v1"])
      assert.deepStrictEqual(await see("/a", { "x-kind": "aBc" }), ["MISS", "v2"])
      assert.containsSubset(await get("/a", { "x-kind": "AbC" }), {
        found: "HIT",
        text: "v1",
        headers: { vary: "x-kind" }
      })
      assert.strictEqual(seen[0]?.["x-kind"], "AbC")
      assert.isUndefined(seen[0]?.["x-user"])
    })

    it("EX-14, EX-17 differs: host, path and query name an entry, and nothing runs into the next", async () => {
      const { handler } = numbered()
      const { see } = await visiting((site) => site.on("GET", "/*rest", handler, swr))
      const paths = ["/a?b=1", "/a?b=1&", "/a", "/a/", "/A", "/a%2f", "/a?b=1|vary:x=1", "//a"]
      const answers: Array<unknown> = []
      for (const path of paths) answers.push((await see(path))[1])
      answers.push((await see("/a", { host: "b.example" }))[1])
      assert.strictEqual(new Set(answers).size, paths.length + 1)
    })

    it("EX-16, W-EX-11: sortQuery joins orders and nothing else; the handler is given the sorted URL", async () => {
      const handler: Handler = ({ url }) => ({ body: url })
      const { see } = await visiting((site) => {
        site.on("GET", "/sorted", handler, { ...swr, sortQuery: true })
        site.on("GET", "/exact", handler, swr)
      })
      assert.deepStrictEqual(await see("/sorted?b=2&a=1&a=0"), ["MISS", "/sorted?a=1&a=0&b=2"])
      assert.strictEqual((await see("/sorted?a=1&b=2&a=0"))[0], "HIT")
      for (
        const path of ["/sorted?a=0&a=1&b=2", "/sorted?f[a]=1", "/sorted?f[b]=2", "/exact?a=1&b=2", "/exact?b=2&a=1"]
      ) {
        assert.deepStrictEqual(await see(path), ["MISS", path])
      }
    })

    it("W-EX-9, I22: who says who he is gets his own answer, and nobody else gets that", async () => {
      const handler: Handler = ({ headers }) => ({ body: headers.authorization ?? headers.cookie ?? "nobody" })
      const { count, handler: secret } = numbered({ "cache-control": "private, no-store" })
      const { see } = await visiting((site) => {
        site.on("GET", "/a", handler, swr)
        site.on("GET", "/secret", secret, swr)
      })
      assert.deepStrictEqual(await see("/a", { authorization: "alice" }), ["MISS", "alice"])
      assert.deepStrictEqual(await see("/a", { cookie: "id=bob" }), ["MISS", "id=bob"])
      assert.deepStrictEqual([await see("/a"), await see("/a")], [["MISS", "nobody"], ["HIT", "nobody"]])
      assert.deepStrictEqual(await see("/a", { cookie: "id=bob" }), ["MISS", "id=bob"])
      assert.deepStrictEqual([await see("/secret"), await see("/secret")], [["MISS", "v1"], ["MISS", "v2"]])
      assert.strictEqual(count.runs, 2)
    })

    it("EX-11: another method than GET and HEAD goes to its handler", async () => {
      const { handler } = numbered()
      const { url } = await visiting((site) => site.on("POST", "/a", handler, swr))
      const post = () => ask(`${url}/a`, { method: "POST" })
      assert.containsSubset([await post(), await post()], [{ text: "v1" }, { text: "v2" }])
    })
  })

  describe(`${framework}: invalidation`, () => {
    it("EX-15, EX-19, EX-20, W-EX-12: by pattern and by path, what is below goes and what is above stays", async () => {
      const { handler } = numbered()
      const { cache, see } = await visiting((site) => {
        for (const path of ["/api", "/api/users", "/api/users/:id", "/apix"]) site.on("GET", path, handler, swr)
      })
      const paths = ["/api", "/api/users", "/api/users/1", "/api/users/2", "/apix"]
      const found = async () => {
        const answers: Array<unknown> = []
        for (const path of paths) answers.push((await see(path))[0])
        return answers
      }
      await found()
      await cache.invalidateRoute("/api/users/1")
      assert.deepStrictEqual(await found(), ["HIT", "HIT", "MISS", "HIT", "HIT"])
      await cache.invalidateRoute("/api/users/:id")
      assert.deepStrictEqual(await found(), ["HIT", "HIT", "MISS", "MISS", "HIT"])
      await cache.invalidateRoute("/api/users", "/apix")
      assert.deepStrictEqual(await found(), ["HIT", "MISS", "MISS", "MISS", "MISS"])
      await cache.invalidateRoute("/")
      assert.deepStrictEqual(await found(), ["MISS", "MISS", "MISS", "MISS", "MISS"])
    })

    it("EX-21: a handler voids routes when it has done well, before its reader is told", async () => {
      const { handler } = numbered()
      const { get, see } = await visiting((site) => {
        site.on("GET", "/users/:id", handler, swr)
        site.voids("/good", () => ({ body: "good" }), "/users")
        site.voids("/bad", () => ({ status: 400 }), "/users")
      })
      await see("/users/1")
      await get("/bad", {}, "POST")
      assert.deepStrictEqual(await see("/users/1"), ["HIT", "v1"])
      assert.strictEqual((await get("/good", {}, "POST")).text, "good")
      assert.deepStrictEqual(await see("/users/1"), ["MISS", "v2"])
    })

    it("EX-22, W-EX-13: an unsafe method that went well voids its URL; OPTIONS, HEAD and a failure don't", async () => {
      const { handler } = numbered()
      const told = { status: 200 }
      const { get, see } = await visiting((site) => {
        site.around(swr)
        site.on("GET", "/a", handler)
        site.on("POST", "/a", () => told)
        site.on("OPTIONS", "/a", () => ({ status: 204 }))
      })
      await see("/a")
      await get("/a", {}, "HEAD")
      await get("/a", {}, "OPTIONS")
      told.status = 500
      await get("/a", {}, "POST")
      assert.deepStrictEqual(await see("/a"), ["HIT", "v1"])
      told.status = 200
      await get("/a", {}, "POST")
      assert.deepStrictEqual(await see("/a"), ["MISS", "v2"])
    })

    it("EX-23: what a handler began to answer before an invalidation is not kept past it", async () => {
      const first = gate()
      const { count, handler } = numbered({}, (n) => n === 1 && first.opened)
      const { cache, see } = await visiting((site) => site.on("GET", "/a", handler, swr))
      const early = see("/a")
      await until(() => count.runs === 1)
      await cache.invalidateRoute("/a")
      const late = see("/a")
      await until(() => cache.stats().joined === 1)
      first.open()
      assert.deepStrictEqual([await early, await late], [["MISS", "v1"], ["MISS", "v2"]])
      assert.deepStrictEqual(await see("/a"), ["HIT", "v2"])
    })
  })

  describe(`${framework}: many at once`, () => {
    it("EX-28, EX-30, W-EX-1, W-EX-3: 50 stale hits: one refresh, and nobody waits for it", async () => {
      const hanging = gate()
      const { count, handler } = numbered({}, (n) => n === 2 && hanging.opened)
      const { many, pass, see, url } = await visiting((site) => site.on("GET", "/a", handler, swr))
      await see("/a")
      await pass("10 seconds")
      const all = await many(50, "/a")
      assert.isTrue(all.every(({ found, text }) => found === "STALE" && text === "v1"))
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      for (let i = 0; i < 2; i++) {
        assert.containsSubset(await ask(`${url}/a`, { agent }), { found: "STALE", text: "v1" })
      }
      agent.destroy()
      await until(() => count.runs === 2)
      hanging.open()
      await until(async () => (await see("/a")).join() === "HIT,v2")
      assert.strictEqual(count.runs, 2)
    })

    it("EX-24: 50 cold hits: one run; who waited is told so in Cache-Status", async () => {
      const hanging = gate()
      const { count, handler } = numbered({}, () => hanging.opened)
      const { cache, many } = await visiting((site) => site.on("GET", "/a", handler, swr))
      const asking = many(50, "/a")
      await until(() => count.runs === 1 && cache.stats().joined === 49)
      hanging.open()
      const all = await asking
      assert.strictEqual(distinct(all), 1)
      assert.isTrue(all.every(({ found }) => found === "MISS"))
      assert.lengthOf(all.filter(({ headers }) => /collapsed(?!=)/.test(String(headers["cache-status"]))), 49)
    })

    it("EX-25: 50 misses while the handler fails: one run, its answer for all", async () => {
      const hanging = gate()
      const { count, handler } = numbered({}, () => hanging.opened)
      const { cache, many } = await visiting((site) =>
        site.on("GET", "/a", async (asked) => ({ ...await handler(asked), status: 503 }), swr)
      )
      const asking = many(50, "/a")
      await until(() => count.runs === 1 && cache.stats().joined === 49)
      hanging.open()
      const all = await asking
      assert.isTrue(all.every(({ status, text }) => status === 503 && text === "v1"))
      assert.strictEqual(count.runs, 1)
    })

    for (const control of ["private", "no-store"]) {
      it(`W-EX-9: 20 answers that are ${control}: 20 distinct ones, side by side`, async () => {
        const hanging = gate()
        const { count, handler } = numbered({ "cache-control": control }, (n) => n > 1 && hanging.opened)
        const { many } = await visiting((site) => site.on("GET", "/a", handler, swr))
        const asking = many(20, "/a")
        await until(() => count.runs === 20)
        hanging.open()
        assert.strictEqual(distinct(await asking), 20)
      })
    }

    it("W-EX-2, W-EX-4, W-EX-17, EX-29: a handler that fails behind the readers: old answers, held off, then well", async () => {
      let isSick = false
      const { count, handler } = numbered({}, () => {
        if (isSick) throw new Error("sick")
      })
      const { many, pass, see } = await visiting((site) => site.on("GET", "/a", handler, sie))
      await see("/a")
      isSick = true
      await pass("10 seconds")
      for (let i = 0; i < 10; i++) {
        assert.isTrue((await many(5, "/a")).every(({ found, text }) => found === "STALE" && text === "v1"))
      }
      assert.isAtMost(count.runs, 2)
      await pass("30 seconds")
      assert.deepStrictEqual(await see("/a"), ["STALE", "v1"])
      await pass("1 minute")
      assert.isTrue((await many(5, "/a")).every(({ status }) => status === 500))
      isSick = false
      assert.strictEqual((await see("/a"))[0], "MISS")
    })

    it("a reader that hangs up: who follows is answered, and the answer is kept", async () => {
      const hanging = gate()
      const { count, handler } = numbered({}, () => hanging.opened)
      const { cache, see, url } = await visiting((site) => site.on("GET", "/a", handler, swr))
      const leader = Http.get(`${url}/a`, { agent: false }).on("error", () => {})
      await until(() => count.runs === 1)
      const follower = see("/a")
      await until(() => cache.stats().joined === 1)
      leader.destroy()
      hanging.open()
      assert.deepStrictEqual([await follower, await see("/a")], [["MISS", "v1"], ["HIT", "v1"]])
      assert.strictEqual(count.runs, 1)
    })

    it("EX-10: when its caches are closed, the server goes on without them", async () => {
      const { handler } = numbered()
      const { runtime, see } = await visiting((site) => site.on("GET", "/a", handler, swr))
      await see("/a")
      await runtime.dispose()
      assert.strictEqual((await see("/a"))[1], "v2")
    })
  })
}
