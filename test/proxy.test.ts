/**
 * The reverse proxy of the examples, over real sockets: what must hold under concurrency, which attacks it refuses, and
 * what it does with an origin that is slow, sick or dead.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type Scope, Stream } from "effect"
import { Swr } from "effect-swr"
import * as Http from "node:http"
import { connect } from "node:net"
import * as Proxy from "../examples/proxy/Proxy.ts"
import * as Rules from "../examples/proxy/Rules.ts"
import * as Upstream from "../examples/proxy/Upstream.ts"
import { get, type Got, type Handler, many, origin, rawOrigin, say, send, statuses, until } from "./Web.ts"

/** How long a slow origin takes, in milliseconds. */
const SLOW = 300

/** A proxy in front of an origin; answers its URL. */
const front = (origin: string, settings: Partial<Proxy.Settings> = {}) =>
  Effect.map(
    Layer.build(
      Proxy.layer({ ...Proxy.defaults, cache: {}, port: 0, origin, ...settings }).pipe(Layer.provide(Swr.layer()))
    ),
    (context) => Context.get(context, Proxy.Address).url
  )

/** Answers `v1`, `v2`, ... with these fields, after a while; later where it is not yet time for that one. */
const kept = (
  control: string,
  headers: Http.OutgoingHttpHeaders = {},
  after = 0,
  isTime: (n: number) => boolean = () => true
): Handler =>
(_, response, n) => {
  const end = () => {
    if (!isTime(n)) return void setTimeout(end, 10)
    response.writeHead(200, { "cache-control": control, ...headers }).end(`v${n}`)
  }
  setTimeout(end, after)
}

const host = (page: string) => `Host: ${new URL(page).host}`

const distinct = (answers: ReadonlyArray<Got>) => new Set(answers.map(({ text }) => text)).size
const brief = ({ found, status, text }: Got) => [status, found, text]

const live = (name: string, test: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(test()), 20_000)

describe("concurrency", { concurrent: false }, () => {
  live(
    "RFC 5861 3: 50 stale hits, one refresh; the next request on a connection waits for none",
    () =>
      Effect.gen(function*() {
        let areGiven = false
        const { log, url } = yield* origin(
          kept("max-age=1, stale-while-revalidate=60", {}, 0, (n) => n === 1 || areGiven)
        )
        const page = `${yield* front(url)}/a`
        yield* get(page)
        yield* Effect.sleep(1100)
        const all = yield* many(50, page)
        assert.isTrue(all.every(({ found, text }) => found === "STALE" && text === "v1"))
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
        for (let i = 0; i < 3; i++) assert.deepStrictEqual(brief(yield* get(page, {}, { agent })), [200, "STALE", "v1"])
        agent.destroy()
        assert.strictEqual(log.asked, 2, "all of that while the refresh is on its way")
        areGiven = true
        let answer = yield* get(page)
        while (answer.text === "v1") answer = yield* get(page)
        assert.strictEqual(answer.text, "v2")
      })
  )

  live("50 cold hits: one request", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin(kept("max-age=60", {}, SLOW))
      const all = yield* many(50, `${yield* front(url)}/a`)
      assert.deepStrictEqual([distinct(all), log.asked], [1, 1])
    }))

  for (const control of ["private", "no-store"]) {
    live(`20 answers that are ${control}: 20 distinct ones, no queue`, () =>
      Effect.gen(function*() {
        // The first of an unknown URI tells that it is not to be shared; the others go together then, or wait for ever.
        const isTime = (n: number): boolean => n === 1 || site.log.asked === 20
        const site = yield* origin(kept(control, {}, SLOW, isTime))
        const all = yield* many(20, `${yield* front(site.url)}/a`)
        assert.deepStrictEqual([distinct(all), site.log.asked], [20, 20])
      }))
  }

  live(
    "RFC 5861 4: an origin that fails: old answers for all, few refreshes; past the window the error",
    () =>
      Effect.gen(function*() {
        const well = kept("max-age=1, stale-while-revalidate=2, stale-if-error=3")
        let sick = false
        const { log, url } = yield* origin((request, response, n) =>
          sick ? response.writeHead(503).end("sick") : well(request, response, n)
        )
        const page = `${yield* front(url)}/a`
        yield* get(page)
        yield* Effect.sleep(1100)
        sick = true
        const since = performance.now()
        for (let i = 0; i < 5; i++) {
          const all = yield* many(10, page)
          assert.isTrue(all.every(({ found, text }) => found === "STALE" && text === "v1"))
          yield* Effect.sleep(50)
        }
        assert.isAtMost(log.asked, 2 + Math.ceil((performance.now() - since) / 1000))
        yield* Effect.sleep(3000)
        assert.deepStrictEqual(brief(yield* get(page)), [503, "MISS", "sick"])
        sick = false
        assert.deepInclude(yield* get(page), { status: 200, found: "MISS" })
      })
  )

  live("50 misses on a failing origin: one request, its answer shared", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin((_, response, n) =>
        void setTimeout(() => response.writeHead(503).end(`v${n}`), 4 * SLOW)
      )
      const all = yield* many(50, `${yield* front(url)}/a`)
      assert.isTrue(all.every(({ status, text }) => status === 503 && text === "v1"))
      assert.strictEqual(log.asked, 1)
    }))

  live(
    "a reader that hangs up: what is kept goes on, for who follows; an uncached transfer ends",
    () =>
      Effect.gen(function*() {
        let hasLeft = false
        const { log, url } = yield* origin((request, response, n) => {
          if (request.url === "/endless") return void response.write("first")
          kept("max-age=60", {}, SLOW, () => hasLeft)(request, response, n)
        })
        const page = yield* front(url)
        const leader = yield* Effect.forkChild(get(`${page}/a`))
        yield* until(() => log.asked === 1)
        const follower = yield* Effect.forkChild(get(`${page}/a`))
        yield* Effect.sleep(50)
        leader.interruptUnsafe()
        hasLeft = true
        while (follower.pollUnsafe() === undefined) yield* Effect.sleep(10)
        assert.deepStrictEqual(brief(yield* get(`${page}/a`)), [200, "HIT", "v1"])
        assert.deepStrictEqual([log.asked, log.left], [1, 0])
        const reader = yield* Effect.forkChild(get(`${page}/endless`))
        yield* until(() => log.asked === 2)
        reader.interruptUnsafe()
        yield* until(() => log.left === 1)
      })
  )
})

describe("the rules, through the proxy", () => {
  live(
    "RFC 9111 4.2.4: nobody is there: 504 where asking is mandatory, else as stale-on-drop says",
    () =>
      Effect.gen(function*() {
        const control: Record<string, string> = {
          "/must": "max-age=1, must-revalidate, stale-if-error=60",
          "/proxy": "max-age=1, proxy-revalidate, stale-if-error=60",
          "/shared": "s-maxage=1, stale-while-revalidate=60, stale-if-error=60",
          "/no-cache": "max-age=1, no-cache, stale-if-error=60",
          "/if-error": "max-age=1, stale-if-error=60",
          "/plain": "max-age=1"
        }
        const { server, url } = yield* origin((request, response, n) =>
          kept(control[request.url ?? ""] ?? "no-store", { etag: "\"a\"" })(request, response, n)
        )
        const [page, lenient] = [yield* front(url), yield* front(url, { cache: { staleOnDisconnect: "1 minute" } })]
        const paths = Object.keys(control)
        for (const path of paths) yield* Effect.all([get(page + path), get(lenient + path)])
        yield* Effect.sleep(1100)
        server.close()
        server.closeAllConnections()
        const seen = (page: string) =>
          Effect.forEach(paths, (path) => Effect.map(get(page + path), ({ status }) => status))
        assert.deepStrictEqual(yield* seen(page), [504, 504, 504, 504, 200, 502])
        assert.deepStrictEqual(yield* seen(lenient), [504, 504, 504, 504, 200, 200])
        assert.strictEqual((yield* get(`${page}/unknown`)).status, 502)
      })
  )

  live(
    "RFC 5861 4: stale-if-error covers 500, 502, 503, 504 and a late answer, and no 404",
    () =>
      Effect.gen(function*() {
        let status = 200
        const { url } = yield* origin((_, response, n) => {
          if (status === 0) return
          const control = status === 200 ? "max-age=1, stale-if-error=60" : "no-store"
          response.writeHead(status, { "cache-control": control }).end(`v${n}`)
        })
        const page = yield* front(url, { limits: { ...Proxy.defaults.limits, head: 1000 } })
        const failures = [500, 502, 503, 504, 0, 404]
        yield* Effect.forEach(failures, (failure) => get(`${page}/${failure}`))
        yield* Effect.sleep(1100)
        const seen: Array<unknown> = []
        for (status of failures) seen.push((yield* get(`${page}/${status}`)).found)
        assert.deepStrictEqual(seen, ["STALE", "STALE", "STALE", "STALE", "STALE", "MISS"])
      })
  )

  live(
    "RFC 9110 14, 9.3.2, 13: ranges, HEAD and conditions are answered from what is kept",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin((_, response) => {
          response.writeHead(200, { "cache-control": "max-age=60", etag: "\"e\"", "content-type": "text/plain" })
          response.end("0123456789")
        })
        const page = `${yield* front(url)}/a`
        yield* get(page)
        const part = yield* get(page, { range: "bytes=2-4" })
        assert.deepStrictEqual([...brief(part), part.headers["content-range"]], [206, "HIT", "234", "bytes 2-4/10"])
        assert.strictEqual((yield* get(page, { range: "bytes=99-" })).status, 416)
        assert.strictEqual((yield* get(page, { range: "bytes=2-4", "if-range": "\"other\"" })).text, "0123456789")
        const head = yield* send("HEAD", page)
        assert.deepStrictEqual([...brief(head), head.headers["content-length"]], [200, "HIT", "", "10"])
        const same = yield* get(page, { "if-none-match": "W/\"e\"" })
        assert.deepStrictEqual([...brief(same), same.headers["etag"]], [304, "HIT", "", "\"e\""])
        assert.strictEqual(same.headers["content-length"], undefined)
        assert.strictEqual(log.asked, 1)
      })
  )

  live(
    "RFC 9110 14.2: ranges and conditions of what is not kept go to the origin, and leave nothing",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin((request, response) => {
          const { range } = request.headers
          response.writeHead(range === undefined ? 304 : 206, {
            "cache-control": "max-age=60",
            etag: "\"e\"",
            ...range !== undefined && { "content-range": "bytes 0-1/10", "content-length": "2" }
          })
          response.end(range === undefined ? undefined : "01")
        })
        const page = `${yield* front(url)}/a`
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
        for (let i = 0; i < 2; i++) {
          assert.deepStrictEqual(brief(yield* get(page, { range: "bytes=0-1" }, { agent })), [206, "MISS", "01"])
          assert.deepStrictEqual(brief(yield* get(page, { "if-none-match": "\"e\"" }, { agent })), [304, "MISS", ""])
        }
        agent.destroy()
        assert.strictEqual(log.asked, 4)
      })
  )

  live("RFC 9111 4.1: what varies is kept apart, by the fields that Vary names", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin((request, response) => {
        response.writeHead(200, { "cache-control": "max-age=60", vary: "Accept-Language" })
        response.end(`${request.headers["accept-language"]}`)
      })
      const page = `${yield* front(url)}/a`
      for (const language of ["de", "fr", "de", "fr"]) {
        assert.strictEqual((yield* get(page, { "accept-language": language })).text, language)
      }
      assert.strictEqual(log.asked, 2)
    }))

  live(
    "RFC 9111 4.4: an unsafe method outdates its URI, and where Location points, if it went well",
    () =>
      Effect.gen(function*() {
        const { url } = yield* origin((request, response, n) => {
          if (request.method === "GET") return kept("max-age=60")(request, response, n)
          const location = `http://${request.headers.host}/other`
          response.writeHead(request.url === "/bad" ? 500 : 201, { location }).end()
        })
        const page = yield* front(url)
        const found = (path: string) => Effect.map(get(page + path), ({ found }) => found)
        for (const path of ["/a", "/other", "/bad", "/third"]) yield* found(path)
        yield* send("POST", `${page}/bad`, "x")
        assert.deepStrictEqual(yield* Effect.forEach(["/a", "/other", "/bad"], found), ["HIT", "HIT", "HIT"])
        yield* send("POST", `${page}/a`, "x")
        assert.deepStrictEqual(yield* Effect.forEach(["/a", "/other", "/third"], found), ["MISS", "MISS", "HIT"])
      })
  )

  live(
    "RFC 9111 5.1, RFC 9211: Age, Cache-Status and X-Cache say where an answer came from",
    () =>
      Effect.gen(function*() {
        const { url } = yield* origin((request, response, n) => {
          const control = request.url === "/a" ? "max-age=60" : "private"
          kept(control, { age: "7", "cache-status": "inner; hit" })(request, response, n)
        })
        const page = yield* front(url)
        yield* get(`${page}/a`)
        const hit = yield* get(`${page}/a`)
        assert.deepStrictEqual([hit.headers["age"], hit.found], ["7", "HIT"])
        assert.match(String(hit.headers["cache-status"]), /^inner; hit, proxy; hit; ttl=5\d$/)
        const live = yield* get(`${page}/b`)
        assert.deepStrictEqual(
          [live.found, live.headers["cache-status"]],
          ["MISS", "inner; hit, proxy; fwd=uri-miss; fwd-status=200"]
        )
      })
  )

  live(
    "RFC 9111 7.3: cookies go through untouched and are shared only where options say so",
    () =>
      Effect.gen(function*() {
        const lines = ["a=1; Path=/x; Priority=High", "a=2; Path=/y", "b=%20\"q\"; Secure"]
        const { log, url } = yield* origin(kept("max-age=60", { "set-cookie": lines }))
        const page = yield* front(url)
        for (let i = 0; i < 2; i++) {
          const { found, headers } = yield* get(page)
          assert.deepStrictEqual([found, headers["set-cookie"]], ["MISS", lines])
        }
        for (let i = 0; i < 2; i++) assert.strictEqual((yield* get(page, { cookie: "u=ann" })).found, "MISS")
        assert.deepStrictEqual(log.requests.map(({ headers }) => headers.cookie), [
          undefined,
          undefined,
          "u=ann",
          "u=ann"
        ])
        const lenient = yield* front(url, { cache: { setCookie: true, ignoreCookies: true } })
        yield* get(lenient)
        const { found, headers } = yield* get(lenient, { cookie: "u=ann" })
        assert.deepStrictEqual([found, headers["set-cookie"]], ["HIT", lines])
      })
  )
})

describe("fields on the way", () => {
  live("RFC 9110 7.6.1: what is of one connection goes no further, in either direction", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin((_, response) => {
        response.writeHead(200, {
          connection: "x-hop, keep-alive",
          "x-hop": "1",
          "proxy-authenticate": "Basic",
          "keep-alive": "timeout=99",
          "alt-svc": "h3=\":443\"",
          "x-end": "1"
        })
        response.end("a")
      })
      const page = yield* front(url)
      const mine = {
        connection: "x-mine, close",
        "x-mine": "1",
        te: "trailers",
        "proxy-authorization": "Basic eA==",
        "keep-alive": "timeout=9",
        upgrade: "h2c",
        "x-end": "2"
      }
      for (const method of ["GET", "POST"]) {
        const { headers } = yield* send(method, page, "", mine)
        const dropped = ["x-hop", "proxy-authenticate", "alt-svc"].filter((name) => name in headers)
        assert.deepStrictEqual([dropped, headers["x-end"], headers["connection"]], [[], "1", "close"])
        const asked = log.requests.at(-1)?.headers ?? {}
        const passed = ["x-mine", "te", "proxy-authorization", "keep-alive", "upgrade"]
        assert.deepStrictEqual(passed.filter((name) => name in asked), [])
        assert.deepStrictEqual([asked["x-end"], asked.connection], ["2", "keep-alive"])
      }
    }))

  live(
    "RFC 9110 7.6.3, RFC 7239: Via and Forwarded say what is known, whatever is claimed",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin(kept("no-store", { via: "1.0 inner" }))
        const page = yield* front(url)
        const claims = {
          "x-forwarded-for": "6.6.6.6",
          "x-forwarded-host": "evil",
          "x-forwarded-proto": "https",
          forwarded: "for=evil",
          "x-real-ip": "6.6.6.6",
          "x-original-url": "/evil",
          "x-rewrite-url": "/evil",
          "x-http-method-override": "DELETE",
          "x-method-override": "DELETE",
          "x-host": "evil",
          proxy: "http://evil.test",
          via: "1.1 outer"
        }
        const { headers } = yield* send("POST", page, "x", claims)
        const { host } = new URL(page)
        // By its port alone, another machine's would take it for itself.
        const [, name] = /^1\.0 inner, 1\.1 (effect-swr-[0-9a-f]{8})$/.exec(String(headers["via"])) ?? []
        const [asked] = log.requests
        assert.deepInclude(asked?.headers, {
          host: new URL(url).host,
          via: `1.1 outer, 1.1 ${name}`,
          "x-forwarded-for": "127.0.0.1",
          "x-forwarded-host": host,
          "x-forwarded-proto": "http",
          forwarded: `for="127.0.0.1";host="${host}";proto=http`
        })
        const evil = Object.values(asked?.headers ?? {}).filter((value) => /evil|6\.6|DELETE/.test(String(value)))
        assert.deepStrictEqual(evil, [])
        assert.strictEqual((yield* get(page, { via: headers["via"] })).status, 508, "it has seen that one")
        yield* say(page, `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`)
        assert.strictEqual(log.requests.at(-1)?.headers["via"], `1.0 ${name}`)
        assert.strictEqual((yield* get(page, { via: `1.0 ${name}` })).status, 508)
      })
  )

  it("RFC 7239 6: an address with colons is in brackets, and in quotes", () => {
    const rules: Rules.Rules = { name: "p", hosts: new Set(["h.test"]), origin: "http://o.test", keepsHost: false }
    const ruling = Rules.rule(
      { method: "POST", target: "/a", version: "1.1", headers: { host: "h.test" }, address: "::1" },
      rules
    )
    if (ruling._tag === "Refused") return assert.fail(ruling.refusal.reason)
    assert.strictEqual(Rules.told(ruling.request, true, rules)["forwarded"], "for=\"[::1]\";host=\"h.test\";proto=http")
  })

  live("RFC 9110 5.1: no name of a field is special, in either direction", () =>
    Effect.gen(function*() {
      const lines = "constructor: a\r\n__proto__: b\r\nX-A: 1\r\nx-a: 2"
      const url = yield* rawOrigin((socket) => void socket.end(`HTTP/1.1 204 None\r\n${lines}\r\n\r\n`))
      const page = yield* front(url)
      const text = yield* say(page, `GET / HTTP/1.1\r\n${host(page)}\r\n${lines}\r\n\r\n`)
      assert.match(text, /^HTTP\/1.1 204 [^]*\r\nconstructor: a\r\n[^]*x-a: 1, 2\r\n/)
    }))

  live("RFC 9110 8.6, 15.3.6: an answer without a body announces none", () =>
    Effect.gen(function*() {
      for (const status of [204, 205]) {
        const body = status === 205 ? "abc" : ""
        const answer = `HTTP/1.1 ${status} Done\r\nContent-Length: 3\r\n\r\n${body}`
        const page = yield* front(yield* rawOrigin((socket) => void socket.end(answer)))
        const ask = `GET /a HTTP/1.1\r\n${host(page)}\r\n\r\n`
        const text = yield* say(page, ask + ask)
        assert.deepStrictEqual(statuses(text), [status, status])
        assert.notInclude(text, "content-length: 3")
      }
    }))

  live("where the origin names itself, readers are sent to the proxy", () =>
    Effect.gen(function*() {
      const { url } = yield* origin((request, response) => {
        const location = request.url === "/a" ? `http://${request.headers.host}/b` : "http://elsewhere.test/"
        response.writeHead(302, { location, "content-location": location }).end()
      })
      const page = yield* front(url)
      const { headers } = yield* get(`${page}/a`)
      assert.deepStrictEqual([headers.location, headers["content-location"]], [`${page}/b`, `${page}/b`])
      assert.strictEqual((yield* get(`${page}/c`)).headers.location, "http://elsewhere.test/")
    }))

  live("RFC 9110 9: all methods and their bodies go through as they came", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin((request, response) =>
        response.writeHead(200, { allow: "X" }).end(`${request.method}`)
      )
      const page = `${yield* front(url)}/a?q=%20"'{}|`
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE", "QUERY"]) {
        assert.strictEqual((yield* send(method, page.replace(/["'{}|]/g, encodeURIComponent), "body")).text, method)
      }
      assert.isTrue(log.requests.every(({ body }) => body === "body"))
      assert.deepStrictEqual(new Set(log.requests.map(({ line }) => line.split(" ")[1])).size, 1)
    }))
})

describe("attacks", () => {
  live("RFC 9112 6: what two servers could frame differently reaches no origin", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin(kept("no-store"))
      const page = yield* front(url)
      const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
      const post = (fields: string, body: string, version = "1.1") =>
        `POST /a HTTP/${version}\r\n${host(page)}\r\n${fields}\r\n\r\n${body}`
      const attacks = [
        post("Content-Length: 4\r\nTransfer-Encoding: chunked", `0\r\n\r\n${smuggled}`),
        post("Transfer-Encoding: chunked\r\nContent-Length: 4", `0\r\n\r\n${smuggled}`),
        post("Content-Length: 1\r\nContent-Length: 2", `x${smuggled}`),
        post("Content-Length: 1, 2", `x${smuggled}`),
        post("Content-Length: +1", `x${smuggled}`),
        post("Content-Length: 0x1", `x${smuggled}`),
        post("Content-Length : 1", `x${smuggled}`),
        post("Transfer-Encoding: xchunked", `0\r\n\r\n${smuggled}`),
        post("Transfer-Encoding: chunked, identity", `0\r\n\r\n${smuggled}`),
        post("Transfer-Encoding: gzip, chunked", `0\r\n\r\n`),
        post("Transfer-Encoding : chunked", `0\r\n\r\n${smuggled}`),
        post("Transfer-Encoding:\r\n chunked", `0\r\n\r\n${smuggled}`),
        post("Transfer-Encoding: chunked", `0\r\n\r\n`, "1.0"),
        `GET /a HTTP/1.1\r\n${host(page)}\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        `GET /a HTTP/1.1\r\n${host(page)}\r\nX: a\0b\r\n\r\n`
      ]
      for (const attack of attacks) {
        const [first, ...rest] = statuses(yield* say(page, attack))
        assert.include([400, 501], first, attack)
        assert.deepStrictEqual(rest, [], attack)
      }
      // Those whose head was in order may have begun, and are broken off.
      const bad = ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcdef\r\n0\r\n\r\n", "-1\r\n\r\n", "fffffffffffffffff\r\n"]
      for (const chunk of bad) yield* Effect.ignore(say(page, post("Transfer-Encoding: chunked", chunk + smuggled)))
      assert.deepStrictEqual(log.requests, [])
    }))

  live(
    "RFC 9112 6.3: a body of any method keeps its frame, so that it is no request of its own",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin(kept("max-age=60"))
        const page = yield* front(url)
        const inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        const chunked = `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`
        for (const method of ["GET", "DELETE", "OPTIONS"]) {
          yield* say(page, `${method} /a HTTP/1.1\r\n${host(page)}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`)
          yield* say(page, `${method} /a HTTP/1.1\r\n${host(page)}\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`)
        }
        assert.deepStrictEqual(
          log.requests.map(({ line }) => line.split(" ")[1]),
          Array.from({ length: 6 }, () => "/a")
        )
        assert.isTrue(log.requests.every(({ body }) => body === inner))
        assert.strictEqual((yield* get(`${page}/a`)).found, "MISS", "a GET with a body gives nobody else an answer")
      })
  )

  live("RFC 9112 3.2: one Host, that is served; an absolute target says it alone", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin(kept("max-age=60"))
      const page = yield* front(url, { hosts: ["Shop.test", "other.test:81"] })
      const ask = (target: string, ...lines: ReadonlyArray<string>) =>
        Effect.map(say(page, [`GET ${target} HTTP/1.1`, ...lines, "", ""].join("\r\n")), (text) => statuses(text)[0])
      assert.strictEqual(yield* ask("/"), 400)
      assert.strictEqual(yield* ask("/", host(page), "Host: evil.test"), 400)
      assert.strictEqual(yield* ask("/", host(page), host(page)), 400)
      assert.include([400, 421], yield* ask("/", "Host: shop.test/x"))
      for (const evil of ["evil.test", "shop.test:81", "u@shop.test", "shop.test.", ""]) {
        assert.include([400, 421], yield* ask("/", `Host: ${evil}`), evil)
        assert.include([400, 421], yield* ask(`http://${evil}/`, host(page)), evil)
      }
      assert.strictEqual(yield* ask("https://shop.test/", host(page)), 421)
      assert.strictEqual(log.asked, 0)
      for (const good of ["Host: SHOP.test", "Host: shop.test:80", "Host: other.test:81", host(page)]) {
        assert.strictEqual(yield* ask("/", good), 200)
      }
      assert.strictEqual(log.asked, 3, "the first two are one")
      for (const named of ["http://shop.test/", "http://shop.test"]) {
        assert.strictEqual(yield* ask(named, "Host: evil.test"), 200)
      }
      assert.strictEqual(log.asked, 3, "and that is the same again")
      assert.strictEqual(yield* ask("http://shop.test?x", host(page)), 200)
      assert.strictEqual(log.requests.at(-1)?.line, "GET /?x")
    }))

  live(
    "section 2, path confusion: what only one side would take for another path is refused",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin(kept("max-age=60"))
        const page = yield* front(url)
        const paths = [
          "/../a",
          "/a/..",
          "/./a",
          "/a/%2e%2E/b",
          "/.%2e/a",
          "/a%2fb",
          "/a%5Cb",
          "/a\\b",
          "/a#b",
          "/a?b#c"
        ]
        for (const path of [...paths, "/a%00b", "/a\x80", "/a?\x80", "a", "*", "//../a"]) {
          const text = yield* say(page, `GET ${path} HTTP/1.1\r\n${host(page)}\r\n\r\n`)
          assert.deepStrictEqual(statuses(text), [400], path)
        }
        assert.strictEqual(log.asked, 0)
        for (const path of ["/a", "/a/", "//a", "/a;b", "/a..b", "/.a", "/a?x=../..\\", "/A", "/%61"]) {
          assert.match(yield* say(page, `GET ${path} HTTP/1.1\r\n${host(page)}\r\n\r\n`), /x-cache: MISS/, path)
        }
        assert.strictEqual(log.asked, 9, "each is a page of its own")
      })
  )

  live(
    "RFC 9110 7.8, 9.3, 10.1.1: no upgrades, no CONNECT, no TRACE, no strange expectations",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin(kept("no-store"))
        const page = yield* front(url)
        const ask = (first: string, ...lines: ReadonlyArray<string>) =>
          say(page, [first, ...lines, "", ""].join("\r\n"))
        const upgrade = yield* ask("GET / HTTP/1.1", host(page), "Connection: upgrade", "Upgrade: websocket")
        assert.deepStrictEqual(statuses(upgrade), [501])
        assert.include(upgrade, "does not upgrade")
        // Java's client offers it with each request.
        const offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
        assert.deepStrictEqual(statuses(yield* ask("GET / HTTP/1.1", host(page), ...offer)), [200])
        assert.deepStrictEqual(
          Object.keys(log.requests.pop()?.headers ?? {}).filter((name) => /upgrade|settings/.test(name)),
          []
        )
        const connect = yield* ask("CONNECT 127.0.0.1:1 HTTP/1.1", "Host: 127.0.0.1:1")
        const trace = yield* ask("TRACE / HTTP/1.1", host(page), "Cookie: secret")
        for (const refused of [connect, trace]) {
          assert.deepStrictEqual(statuses(refused), [405])
          assert.match(refused, /\r\nallow: /i)
          assert.notInclude(refused, "secret")
        }
        assert.deepStrictEqual(
          statuses(yield* ask("POST / HTTP/1.1", host(page), "Expect: tea", "Content-Length: 0")),
          [
            417
          ]
        )
        assert.strictEqual(log.asked, 1, "but for the offer")
        const waits = yield* say(
          page,
          `POST / HTTP/1.1\r\n${host(page)}\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx`
        )
        assert.deepStrictEqual(statuses(waits), [100, 200])
        assert.strictEqual(log.requests[0]?.headers["expect"], undefined)
      })
  )

  live(
    "RFC 9110 9.3.6: who is refused a tunnel can't keep the connection open by its half",
    () =>
      Effect.gen(function*() {
        const page = yield* front("http://127.0.0.1:1")
        const ended = yield* Effect.callback<string>((resume) => {
          const socket = connect({ port: Number(new URL(page).port), host: "127.0.0.1", allowHalfOpen: true })
          socket.write("CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:1\r\n\r\n")
          const more = setInterval(() => socket.write("more"), 50)
          socket.on("error", () => {}).resume().on("close", () => {
            clearInterval(more)
            resume(Effect.succeed("by the proxy"))
          })
          return Effect.sync(() => socket.destroy())
        }).pipe(Effect.timeoutOrElse({ duration: 1000, orElse: () => Effect.succeed("by nobody") }))
        assert.strictEqual(ended, "by the proxy")
      })
  )

  live(
    "section 2, a public proxy: --ignore-reloads answers a flood of no-cache from the cache",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin(kept("max-age=60"))
        const page = yield* front(url, { cache: { obeyRequests: false } })
        yield* get(page)
        for (const control of ["no-cache", "max-age=0", "no-store"]) yield* get(page, { "cache-control": control })
        assert.strictEqual(log.asked, 1)
      })
  )
})

describe("an address", () => {
  live("of all interfaces is told as one that is served", () =>
    Effect.gen(function*() {
      const { url } = yield* origin(kept("max-age=60"))
      const page = yield* front(url, { host: "0.0.0.0" })
      assert.strictEqual((yield* get(page)).status, 200, page)
    }))
})

describe("a reader that is", { concurrent: true }, () => {
  const limits = { connect: 1000, head: 600, idle: 200 }

  live("slow to say its fields: the connection is closed, however steadily they come", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin(kept("max-age=60"))
      const page = yield* front(url, { limits })
      yield* Effect.callback<void>((resume) => {
        const socket = connect(Number(new URL(page).port), "127.0.0.1").resume()
        socket.write(`GET / HTTP/1.1\r\n${host(page)}\r\nX-Slow: `)
        const more = setInterval(() => socket.write("x"), 100)
        socket.on("error", () => {}).on("close", () => {
          clearInterval(more)
          resume(Effect.void)
        })
      }).pipe(Effect.timeout("15 seconds"))
      assert.strictEqual(log.asked, 0)
    }))

  live("slow to send its body: 504, and the request to the origin ends", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin(kept("max-age=60"))
      const page = yield* front(url, { limits })
      const text = yield* say(page, `POST / HTTP/1.1\r\n${host(page)}\r\nContent-Length: 9\r\n\r\nabc`)
      assert.deepStrictEqual(statuses(text), [504])
      yield* until(() => log.left === 1)
    }))

  live("slow to read what is kept: the connection is closed", () =>
    Effect.gen(function*() {
      const size = 2 ** 21
      const { url } = yield* origin((_, response) => {
        response.writeHead(200, { "cache-control": "max-age=60" }).end(Buffer.alloc(size, "x"))
      })
      const page = yield* front(url, { limits })
      yield* get(page)
      const socket = connect(Number(new URL(page).port), "127.0.0.1").on("error", () => {}).pause()
      socket.write(`GET / HTTP/1.1\r\n${host(page)}\r\n\r\n`.repeat(20))
      yield* Effect.sleep(3000)
      let read = 0
      socket.on("data", (chunk) => read += chunk.length).resume()
      yield* until(() => socket.closed).pipe(Effect.timeout("10 seconds"))
      assert.isBelow(read, 20 * size, "it was not all there")
    }))

  live("slow to read: what it was to be given is let go", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin((_, response) => {
        response.writeHead(200, { "content-length": 2 ** 26 }).write(Buffer.alloc(2 ** 25, "x"))
      })
      const page = yield* front(url, { limits })
      const socket = connect(Number(new URL(page).port), "127.0.0.1").on("error", () => {}).pause()
      socket.write(`GET / HTTP/1.1\r\n${host(page)}\r\n\r\n`)
      yield* until(() => log.left === 1).pipe(Effect.timeout("15 seconds"))
      socket.destroy()
    }))
})

describe("an origin that is", () => {
  live("generous: what is too long to keep streams, and no faster than its reader reads", () =>
    Effect.gen(function*() {
      const [size, piece] = [50 * 2 ** 20, Buffer.alloc(2 ** 16, "x")]
      let written = 0
      const { url } = yield* origin((request, response) => {
        const length = request.url === "/announced" ? { "content-length": size } : {}
        response.writeHead(200, { "cache-control": "max-age=60", ...length })
        const more = () => {
          while (written < size) {
            written += piece.length
            if (!response.write(piece)) return void response.once("drain", more)
          }
          response.end()
        }
        more()
      })
      const page = yield* front(url)
      for (const path of ["/announced", "/chunked", "/announced"]) {
        written = 0
        const response = yield* Effect.callback<Http.IncomingMessage>((resume) => {
          Http.get(page + path, { agent: false }, (response) => resume(Effect.succeed(response)))
        })
        yield* Effect.sleep(400)
        assert.isBelow(written, 16 * 2 ** 20, "nobody has read anything yet")
        assert.strictEqual(response.headers["x-cache"], "MISS")
        let read = 0
        for (const chunk of yield* Effect.promise(() => response.toArray())) read += Buffer.byteLength(chunk)
        assert.strictEqual(read, size)
      }
    }))

  live("cut short: its answer is not passed off as whole, and not kept", () =>
    Effect.gen(function*() {
      const url = yield* rawOrigin((socket) =>
        void socket.end("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nabc")
      )
      const long = yield* rawOrigin((socket) =>
        void socket.end("HTTP/1.1 200 OK\r\nCache-Control: private\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
      )
      const [page, streaming] = [yield* front(url), yield* front(long)]
      for (let i = 0; i < 2; i++) assert.strictEqual((yield* get(page)).status, 502)
      const text = yield* say(streaming, `GET / HTTP/1.1\r\n${host(streaming)}\r\n\r\n`)
      assert.deepStrictEqual(statuses(text), [200])
      assert.notInclude(text, "\r\n0\r\n", "no end where there was none")
      // For HTTP/1.0 the end of the connection is the end of the body, unless it is broken.
      const old = yield* Effect.callback<string | undefined>((resume) => {
        const socket = connect(Number(new URL(streaming).port), "127.0.0.1").resume()
        socket.write(`GET / HTTP/1.0\r\n${host(streaming)}\r\n\r\n`)
        socket.on("error", ({ message }) => resume(Effect.succeed(message)))
        socket.on("end", () => resume(Effect.succeed("a body that ended")))
      })
      assert.include(old, "ECONNRESET")
      const forward = yield* Upstream.make(Proxy.defaults.limits, {
        name: "p",
        hosts: new Set(),
        origin: long,
        keepsHost: false
      })
      const asked = {
        method: "GET",
        url: "http://h.test/",
        headers: {},
        hasBody: false,
        version: "1.1",
        host: "h.test",
        address: "::1"
      }
      const { body } = yield* forward(asked, undefined, undefined)
      yield* Effect.sleep(100)
      if (body instanceof Uint8Array) return assert.fail("it was to come in pieces")
      // Nobody listened when it was cut off.
      assert.deepInclude(yield* Effect.flip(Stream.runDrain(body)), { status: 502 })
    }))

  live("malformed: 502", () =>
    Effect.gen(function*() {
      const answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "nonsense",
        ""
      ]
      for (const answer of answers) {
        const page = yield* front(yield* rawOrigin((socket) => void socket.end(answer)))
        assert.strictEqual((yield* get(page)).status, 502, answer)
      }
    }))

  live(
    "repeating fields: two of Expires or ETag count as none, as the cache must see them",
    () =>
      Effect.gen(function*() {
        const later = new Date(Date.now() + 60_000).toUTCString()
        const fields = `Expires: ${later}\r\nExpires: ${later}\r\nETag: "a"\r\nETag: "b"\r\nContent-Length: 1`
        const url = yield* rawOrigin((socket) => void socket.end(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\na`))
        const page = yield* front(url)
        for (let i = 0; i < 2; i++) assert.strictEqual((yield* get(page)).found, "MISS")
      })
  )

  live("slow: 504 when no head, and an end when no more of a body comes", () =>
    Effect.gen(function*() {
      const { log, url } = yield* origin((request, response) => {
        if (request.url === "/body") response.writeHead(200, { "content-length": 9 }).write("abc")
      })
      const page = yield* front(url, { limits: { connect: 100, head: 300, idle: 600 } })
      const late = yield* get(`${page}/head`)
      assert.deepStrictEqual([late.status, late.text], [504, "no answer of the origin within 300 ms\n"])
      const cut = yield* Effect.flip(get(`${page}/body`))
      assert.include(cut.message, "aborted")
      assert.strictEqual(log.left, 2)
    }))

  live(
    "asked by TLS: it is named to the other end of the connection as its certificate names it",
    () =>
      Effect.gen(function*() {
        let hello = ""
        const url = yield* rawOrigin((socket, asked) => {
          hello = asked.toString("latin1")
          socket.destroy()
        })
        const secure = url.replace("http://127.0.0.1", "https://localhost")
        const page = yield* front(secure, { hosts: ["shop.test"], keepsHost: true })
        assert.strictEqual((yield* get(page, { host: "shop.test" })).status, 502)
        assert.deepStrictEqual(["localhost", "shop.test"].filter((name) => hello.includes(name)), ["localhost"])
      })
  )

  live("slow, within what its head may take: answered, however short bodies may stop", () =>
    Effect.gen(function*() {
      const slow = kept("no-store", {}, 500)
      const { url } = yield* origin((request, response, n) => {
        if (request.url === "/stops") response.writeHead(200, { "content-length": 9 }).write("abc")
        else slow(request, response, n)
      })
      const page = yield* front(url, { limits: { connect: 100, head: 5000, idle: 200 } })
      const all = yield* Effect.all([get(page), send("POST", page, "x")], { concurrency: 2 })
      assert.deepStrictEqual(all.map(({ status }) => status), [200, 200])
      const cut = yield* Effect.flip(Effect.timeout(get(`${page}/stops`), 3000))
      assert.include(cut.message, "aborted", "a body is not given the time of a head")
    }))

  live("dead: 502 and why; what is fresh is still answered", () =>
    Effect.gen(function*() {
      const { server, url } = yield* origin(kept("max-age=60"))
      const page = yield* front(url)
      yield* get(`${page}/a`)
      server.close()
      server.closeAllConnections()
      assert.strictEqual((yield* get(`${page}/a`)).found, "HIT")
      const { headers, status, text } = yield* get(`${page}/b`)
      assert.deepStrictEqual([status, text], [502, "no answer of the origin: ECONNREFUSED\n"])
      assert.deepStrictEqual([headers["cache-control"], headers["cache-status"]], ["no-store", undefined])
    }))

  live("asked for what has no body: its connection is given back", () =>
    Effect.gen(function*() {
      let connections = 0
      const { server, url } = yield* origin((request, response) =>
        void response.writeHead(request.url === "/" ? 200 : Number(request.url?.slice(1)), { etag: "\"a\"" }).end()
      )
      server.on("connection", () => connections++)
      const page = yield* front(url)
      for (let i = 0; i < 5; i++) {
        yield* send("HEAD", `${page}/`)
        yield* get(`${page}/204`)
        yield* get(`${page}/304`, { "if-none-match": "\"a\"" })
        yield* send("POST", `${page}/205`)
      }
      assert.isBelow(connections, 10, "of 20, some of which were asked before the last one was back")
    }))

  live("closing kept connections: what may be asked twice is, once", () =>
    Effect.gen(function*() {
      let close = false
      const { log, url } = yield* origin((request, response, n) => {
        if (close) {
          close = false
          return void request.socket.destroy()
        }
        kept("no-store")(request, response, n)
      })
      const page = yield* front(url)
      yield* get(page)
      close = true
      assert.strictEqual((yield* get(page)).status, 200)
      // Who knows what it has done already.
      for (const body of ["x", ""]) {
        close = true
        assert.strictEqual((yield* send("POST", page, body)).status, 502)
        yield* get(page)
      }
      assert.strictEqual(log.asked, 3 + 2 * 2)
    }))

  live(
    "slow while the proxy is closed: who waits is answered, and nothing waits for kept or silent connections",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin(kept("max-age=60", {}, SLOW))
        const agent = new Http.Agent({ keepAlive: true })
        const reader = yield* Effect.scoped(Effect.gen(function*() {
          const page = yield* front(url)
          // Browsers open a connection more than they need, and say nothing on it.
          const silent = connect(Number(new URL(page).port), "127.0.0.1").on("error", () => {})
          yield* until(() => !silent.connecting)
          const reader = yield* Effect.forkDetach(get(page, {}, { agent }))
          yield* until(() => log.asked === 1)
          return reader
        })).pipe(Effect.timeout(2500))
        assert.strictEqual((yield* Fiber.join(reader)).text, "v1")
        agent.destroy()
      })
  )

  live(
    "alive while the proxy is closed: kept connections and transfers end, and the port is free",
    () =>
      Effect.gen(function*() {
        const { log, url } = yield* origin((request, response) => {
          if (request.url === "/endless") response.write("first")
          else response.end("all")
        })
        const agent = new Http.Agent({ keepAlive: true })
        const [page, transfer] = yield* Effect.scoped(Effect.gen(function*() {
          const page = yield* front(url)
          yield* get(page, {}, { agent })
          const transfer = yield* Effect.forkChild(Effect.flip(get(`${page}/endless`)))
          yield* until(() => log.asked === 2)
          return [page, transfer] as const
        }))
        assert.include((yield* Fiber.join(transfer)).message, "aborted")
        assert.include((yield* Effect.flip(get(page))).message, "ECONNREFUSED")
        yield* until(() => log.left === 1)
        assert.strictEqual(log.asked, 2)
        agent.destroy()
      })
  )
})
