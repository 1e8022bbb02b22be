/**
 * Attacks on a real server, byte by byte over its socket: one test for each class of what went wrong elsewhere.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { Swr } from "effect-swr"
import * as HttpCache from "effect-swr/HttpCache"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { connect } from "node:net"
import { settle } from "./Origin.ts"

const log = { runs: 0, gate: undefined as Deferred.Deferred<void> | undefined }

/** Says all it is told, so that what is in an answer and not in its key shows. */
const echo = Effect.gen(function*() {
  const n = ++log.runs
  const { headers, url } = yield* HttpServerRequest.HttpServerRequest
  const body = yield* Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => text)
  if (log.gate !== undefined) yield* Deferred.await(log.gate)
  const seen = Object.entries(headers).filter(([name]) => name !== "connection").map(([name, value]) =>
    `${name}=${value}`
  )
  return HttpServerResponse.text(`n=${n} ${url} ${seen.join(" ")} ${body}`)
})

const App = (options: HttpCache.Options = {}) =>
  HttpRouter.serve(
    HttpRouter.add("GET", "/*", echo).pipe(
      Layer.provide(HttpCache.route({ freshFor: "1 minute", vary: ["accept-encoding"] }).layer)
    ),
    { disableLogger: true, disableListenLog: true }
  ).pipe(
    Layer.provideMerge(HttpCache.layer(options)),
    Layer.provide(Swr.layer()),
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0 }))
  )

interface Said {
  readonly status: number
  readonly found: string | undefined
  readonly body: string
}

/** Writes what it is told to the server's socket, and reads to the end. */
const say = (head: string, body = "") =>
  Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
    Effect.callback<Said, Error>((resume) => {
      let text = ""
      const socket = connect("port" in address ? address.port : 0, "127.0.0.1", () => {
        socket.write(`${head}\r\nConnection: close\r\n\r\n${body}`, "latin1")
      })
      socket.setEncoding("latin1")
      socket.on("data", (chunk: string) => text += chunk)
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.on("close", () =>
        resume(Effect.succeed({
          status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]),
          found: /\r\nx-cache: (\w+)/i.exec(text)?.[1],
          body: text.slice(text.indexOf("\r\n\r\n") + 4)
        })))
      return Effect.sync(() => socket.destroy())
    }))

const get = (path: string, ...fields: ReadonlyArray<string>) =>
  say(
    [`GET ${path} HTTP/1.1`, ...fields.some((field) => field.startsWith("Host")) ? [] : ["Host: h.test"], ...fields]
      .join("\r\n")
  )

const attack = (
  name: string,
  test: Effect.Effect<void, Error, HttpServer.HttpServer | HttpCache.HttpCache>,
  options?: HttpCache.Options
) =>
  it.live(name, () =>
    Effect.suspend(() => {
      log.runs = 0
      log.gate = undefined
      return test
    }).pipe(Effect.provide(App(options))))

describe("I22, section 2", () => {
  attack(
    "fields that are not in the key change nothing",
    Effect.gen(function*() {
      const evil = [
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 6.6.6.6",
        "X-Original-URL: /evil",
        "X-Rewrite-URL: /evil",
        "X-HTTP-Method-Override: DELETE",
        "Origin: evil",
        "Referer: evil",
        "User-Agent: evil",
        "X-Nextjs-Data: evil",
        "Forwarded: host=evil"
      ]
      const first = yield* get("/a", ...evil)
      assert.deepStrictEqual([first.found, first.body], ["MISS", "n=1 /a host=h.test "])
      assert.deepInclude(yield* get("/a"), { found: "HIT", body: first.body })
    })
  )

  attack(
    "what one user is told no other one is",
    Effect.gen(function*() {
      for (const who of ["Authorization: Bearer AbC", "Authorization: Bearer aBc", "Cookie: u=ann", "cookie: u=bob"]) {
        const { body, found } = yield* get("/a", who)
        assert.strictEqual(found, "MISS")
        assert.include(body, who.slice(who.indexOf(" ") + 1))
      }
      const nobody = yield* get("/a")
      assert.deepStrictEqual([nobody.found, nobody.body], ["MISS", "n=5 /a host=h.test "])
    })
  )

  attack(
    "an error that one request brings about is not kept for the next",
    Effect.gen(function*() {
      assert.strictEqual((yield* get("/a", `X-Large: ${"x".repeat(20_000)}`)).status, 431)
      assert.strictEqual((yield* get("/a", "X-Meta: a\0b")).status, 400)
      assert.deepInclude(yield* get("/a"), { status: 200, found: "MISS" })
    })
  )

  attack(
    "paths that only one side would take for the same are apart",
    Effect.gen(function*() {
      const paths = [
        "/a",
        "/%61",
        "/a/",
        "//a",
        "/a;b",
        "/b/../a",
        "/./a",
        "/a%00",
        "/a%23",
        "/a?",
        "/a?#",
        "/A",
        "/a%2f"
      ]
      for (const path of paths) {
        const { body, found, status } = yield* get(path)
        if (status !== 200) continue
        assert.strictEqual(found, "MISS", path)
        assert.include(body, ` ${path} `)
      }
      for (const path of paths) {
        const { body, found, status } = yield* get(path)
        if (status === 200 && found === "HIT") assert.include(body, ` ${path} `)
      }
      assert.strictEqual((yield* get("/a"))["found"], "HIT")
    })
  )

  attack(
    "the authority is in the key, and an absolute form says it alone",
    Effect.gen(function*() {
      assert.strictEqual((yield* get("/a")).found, "MISS")
      assert.strictEqual((yield* get("/a", "Host: evil.test")).found, "MISS")
      assert.strictEqual((yield* get("http://evil.test/a")).found, "HIT", "it is evil.test's, whatever Host says")
      assert.strictEqual((yield* get("http://other.test/a")).found, "MISS")
      assert.strictEqual((yield* get("/a", "Host: H.TEST:80")).found, "HIT")
      assert.include((yield* get("/a")).body, "host=h.test")
      yield* get("http://h.test/b", "Host: evil.test")
      assert.include((yield* get("/b")).body, "host=h.test", "Host counts for nothing beside it")
    })
  )

  attack(
    "a Host that is none is answered, and nothing is kept",
    Effect.gen(function*() {
      for (const host of ["h.test/a?x", "h.test, evil", "u@h.test", "h test", "h.test#", "[::1", ""]) {
        for (let i = 0; i < 2; i++) {
          const { found, status } = yield* get("/a", `Host: ${host}`)
          if (status === 200) assert.strictEqual(found, "MISS", host)
        }
      }
      assert.strictEqual((yield* get("/a")).found, "MISS")
    })
  )

  attack(
    "a GET with a body is its sender's",
    Effect.gen(function*() {
      const fat = (body: string) => say(`GET /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: ${body.length}`, body)
      assert.include((yield* fat("evil")).body, "evil")
      const chunked = yield* say(
        "GET /a HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked",
        "4\r\nevil\r\n0\r\n\r\n"
      )
      assert.include(chunked.body, "evil")
      const clean = yield* get("/a")
      assert.strictEqual(clean.found, "MISS")
      assert.notInclude(clean.body, "evil")
    })
  )

  attack(
    "a length and chunks at once are refused",
    Effect.gen(function*() {
      const both = "GET /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked"
      assert.strictEqual((yield* say(both, "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h.test\r\n\r\n")).status, 400)
      assert.strictEqual((yield* get("/a")).found, "MISS")
    })
  )

  attack(
    "delimiters in what makes the key confuse nothing",
    Effect.gen(function*() {
      const tricks = [
        "/a?[\"x\",null]",
        "/a?\",\"",
        "/a,[[accept-encoding",
        "/a?%22%5D",
        "/a\\",
        "/a|b",
        "/a:b",
        "/a?a=1;b=2"
      ]
      for (const path of tricks) assert.notStrictEqual((yield* get(path)).found, "HIT", path)
      assert.strictEqual((yield* get("/a", "Accept-Encoding: a\",\"b")).found, "MISS")
      assert.strictEqual((yield* get("/a", "Accept-Encoding: a", "Accept-Encoding: b")).found, "MISS")
      assert.strictEqual((yield* get("/a", "Accept-Encoding: b,a")).found, "HIT", "the same, said otherwise")
    })
  )

  attack(
    "a flood of variants, of queries or of no-cache stays within its bounds",
    Effect.gen(function*() {
      const size = HttpCache.HttpCache.use(({ stats }) => Effect.map(stats, ({ size }) => size))
      for (let i = 0; i < 60; i++) yield* get("/a", `Accept-Encoding: x${i}`)
      assert.strictEqual(yield* size, 8, "of one URL, no more than its variants")
      for (let i = 0; i < 60; i++) yield* get(`/a?${i}`)
      assert.strictEqual(yield* size, 50, "of all, no more than there is room for")
      yield* get("/b")
      log.runs = 0
      log.gate = yield* Deferred.make<void>()
      const flood = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 50 }, () => get("/b", "Cache-Control: no-cache")), { concurrency: "unbounded" })
      )
      yield* Effect.sleep(300)
      yield* settle
      yield* Deferred.succeed(log.gate, undefined)
      for (const { status } of yield* Fiber.join(flood)) {
        assert.strictEqual(status, 200)
      }
      assert.isAtMost(log.runs, 3)
    }),
    { variants: 8, capacity: 50 }
  )

  attack(
    "where requests are not obeyed, no-cache does not get past the cache",
    Effect.gen(function*() {
      yield* get("/a")
      for (const control of ["no-cache", "max-age=0", "no-store", "min-fresh=999"]) {
        assert.strictEqual((yield* get("/a", `Cache-Control: ${control}`)).found, "HIT", control)
      }
      assert.strictEqual((yield* get("/a", "Pragma: no-cache")).found, "HIT")
    }),
    { obeyRequests: false }
  )

  attack(
    "fields that can't be read never break an answer",
    Effect.gen(function*() {
      const names = [
        "Cache-Control",
        "Range",
        "If-Range",
        "If-None-Match",
        "If-Modified-Since",
        "Pragma",
        "Accept-Encoding"
      ]
      const junk = [
        "\"",
        ",,,",
        "=",
        "max-age=\"",
        "bytes=,",
        "bytes=9-1",
        "\x80\xff",
        "W/",
        "Sun, 99",
        "(".repeat(999)
      ]
      yield* get("/a")
      for (const name of names) {
        for (const value of junk) {
          const { status } = yield* get("/a", `${name}: ${value}`)
          assert.include([200, 304], status, `${name}: ${value}`)
        }
      }
      assert.strictEqual((yield* get("/a")).found, "HIT")
    })
  )
})
