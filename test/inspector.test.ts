/** The inspector: who may ask, what is shown, what may be changed; over real sockets. `inspectorPage` has the browser. */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Layer, Redacted, Schema } from "effect"
import { Swr } from "effect-swr"
import * as Inspector from "effect-swr/Inspector"
import * as Testing from "effect-swr/Testing"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { type Answered, serve } from "./Inspected.ts"

class Down extends Data.TaggedError("Down")<{ readonly message: string }> {}

const letters = Swr.make({
  name: "letters",
  lookup: (key: string) => Effect.succeed(`the value of ${key}`),
  freshFor: "1 hour"
})

const statuses = (answers: ReadonlyArray<Answered>) => answers.map(({ status }) => status)

describe("I23: only the operator on this machine", () => {
  it.live("I23: without a guard it does not mount where others reach it", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(serve(Inspector.layer(), "0.0.0.0"))
      assert.isTrue(
        Exit.isFailure(exit) && exit.cause.reasons.some((reason) =>
          reason._tag === "Fail" && reason.error instanceof Inspector.PublicAddress &&
          /0\.0\.0\.0/.test(reason.error.message)
        )
      )
      const guarded = yield* serve(Inspector.layer({ authorise: Effect.succeed(true) }), "0.0.0.0")
      assert.strictEqual((yield* guarded.open()).status, 200)
    }))

  it.live("I23: a name that is not this machine's is refused, as after DNS rebinding", () =>
    Effect.gen(function*() {
      const { act, open, port, view } = yield* serve(Inspector.layer({ hosts: ["cache.test"] }))
      for (const host of ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "cache.test"]) {
        assert.strictEqual((yield* open({ host: `${host}:${port}` })).status, 200, host)
      }
      for (
        const host of ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "0.0.0.0", "[::]", "cache.test.evil"]
      ) {
        const headers = { host: `${host}:${port}`, origin: `http://${host}:${port}` }
        assert.deepStrictEqual(
          statuses([yield* open(headers), yield* view("", headers), yield* act({}, headers)]),
          [403, 403, 403],
          host
        )
      }
    }))

  it.live("I23: another origin may open the page and read nothing", () =>
    Effect.gen(function*() {
      const { open, view } = yield* serve()
      assert.strictEqual((yield* open({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" })).status, 200)
      for (
        const headers of [
          { origin: "http://evil.test" },
          { origin: "null" },
          { origin: "http://localhost:1" },
          { "sec-fetch-site": "cross-site" },
          { "sec-fetch-site": "same-site" },
          { "sec-fetch-site": "none" },
          { "x-effect-swr": undefined }
        ]
      ) {
        const answer = yield* view("", headers)
        assert.strictEqual(answer.status, 403, JSON.stringify(headers))
        assert.notProperty(answer.headers, "access-control-allow-origin")
      }
      assert.strictEqual((yield* view("", { "sec-fetch-site": "same-origin" })).status, 200)
    }))

  it.live("I23: through a proxy it needs a guard", () =>
    Effect.gen(function*() {
      const plain = yield* serve()
      for (const name of ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"]) {
        assert.strictEqual((yield* plain.view("", { [name]: "203.0.113.7" })).status, 403, name)
      }
      const guarded = yield* serve(Inspector.layer({ token: Redacted.make("t") }))
      assert.strictEqual(
        (yield* guarded.view("", { "x-forwarded-for": "203.0.113.7", "authorization": "Bearer t" })).status,
        200
      )
    }))

  it.live("I23: a token guards what is shown and what is changed", () =>
    Effect.gen(function*() {
      const { act, open, view } = yield* serve(Inspector.layer({ token: Redacted.make("s3cret"), writable: true }))
      const page = yield* open()
      assert.strictEqual(page.status, 200)
      assert.notInclude(page.text, "s3cret")
      const given = [undefined, "", "Bearer", "Bearer s3cre", "Bearer s3cret2", "s3cret", "Basic s3cret"]
      for (const authorization of given) {
        assert.deepStrictEqual(statuses([yield* view("", { authorization }), yield* act({}, { authorization })]), [
          401,
          401
        ])
      }
      assert.strictEqual((yield* view("token=s3cret")).status, 401, "never from the address")
      assert.strictEqual((yield* view("", { authorization: "Bearer s3cret" })).status, 200)
    }))

  it.live("I23: a guard of one's own judges every request", () =>
    Effect.gen(function*() {
      const asked = HttpServerRequest.HttpServerRequest.use((request) =>
        Effect.succeed(request.headers["x-user"] === "ann")
      )
      const own = yield* serve(Inspector.layer({ authorise: asked }))
      const user = { "x-user": "ann" }
      assert.deepStrictEqual(
        statuses([yield* own.open(user), yield* own.view("", user), yield* own.open(), yield* own.view()]),
        [200, 200, 403, 403]
      )
      for (const authorise of [Effect.fail("no"), Effect.die("no"), Effect.succeed(false)]) {
        assert.strictEqual((yield* (yield* serve(Inspector.layer({ authorise }))).view()).status, 403)
      }
      const login = HttpServerResponse.empty({ status: 401, headers: { "www-authenticate": "Basic" } })
      const answer = yield* (yield* serve(Inspector.layer({ authorise: Effect.succeed(login) }))).open()
      assert.deepStrictEqual([answer.status, answer.headers["www-authenticate"]], [401, "Basic"])
    }))
})

describe("I23: changes", () => {
  it.live("I23: it only looks unless it may write", () =>
    Effect.gen(function*() {
      const { act, told, use } = yield* serve()
      const cache = yield* use(letters)
      yield* cache.get("a")
      const { csrf, rows } = yield* told("limit=10")
      assert.strictEqual((yield* act({ id: rows[0]?.id, action: "invalidate" }, {}, csrf)).status, 403)
      assert.isTrue(yield* cache.has("a"))
    }))

  it.live("I23: a change without its token, its origin or its type is refused", () =>
    Effect.gen(function*() {
      const { act, told, use, view } = yield* serve(Inspector.layer({ writable: true }))
      const cache = yield* use(letters)
      yield* cache.get("a")
      const { csrf, rows } = yield* told("limit=10")
      const change = { id: rows[0]?.id, action: "invalidate" }
      for (
        const [status, headers, token] of [
          [403, {}, undefined],
          [403, {}, "guess"],
          [403, { origin: undefined }, csrf],
          [403, { origin: "http://evil.test" }, csrf],
          [403, { "sec-fetch-site": "cross-site" }, csrf],
          [403, { "x-effect-swr": undefined }, csrf],
          [415, { "content-type": "text/plain" }, csrf],
          [415, { "content-type": "application/x-www-form-urlencoded" }, csrf]
        ] as const
      ) {
        assert.strictEqual((yield* act(change, headers, token)).status, status, JSON.stringify(headers))
      }
      assert.strictEqual((yield* view(`action=invalidate&id=${rows[0]?.id}`)).status, 200)
      assert.isTrue(yield* cache.has("a"))
      for (
        const [status, body] of [[400, null], [400, {}], [400, { ...change, action: "drop" }], [410, {
          ...change,
          id: "x"
        }]] as const
      ) {
        assert.strictEqual((yield* act(body, {}, csrf)).status, status, JSON.stringify(body))
      }
      assert.strictEqual((yield* act({ ...change, more: "x".repeat(10_000) }, {}, csrf)).status, 400)
      assert.strictEqual((yield* act(change, {}, csrf)).status, 200)
      assert.isFalse(yield* cache.has("a"))
    }))

  it.live("I23: invalidate, mark stale and revalidate do what they say, to that key alone", () =>
    Effect.gen(function*() {
      const { act, told, use } = yield* serve(Inspector.layer({ writable: true }))
      let loads = 0
      const cache = yield* use(
        Swr.make({ name: "numbers", lookup: (_: string) => Effect.sync(() => ++loads), freshFor: "1 hour" })
      )
      yield* cache.getMany(["a", "b", "c"])
      const press = (key: string, action: string) =>
        Effect.gen(function*() {
          const { csrf, rows } = yield* told("limit=10")
          const answer = yield* act({ id: rows.find((row) => row.key === key)?.id, action }, {}, csrf)
          assert.strictEqual(answer.status, 200)
          const { opened } = yield* told(`id=${rows.find((row) => row.key === key)?.id}`)
          return opened
        })
      const marked = yield* press("a", "mark")
      assert.deepInclude(marked?.row, { status: "stale", marked: true })
      assert.isNull((yield* press("b", "invalidate"))?.row)
      const loaded = yield* press("a", "revalidate")
      assert.deepInclude(loaded?.row, { status: "fresh", loads: 2 })
      assert.deepStrictEqual(loaded?.lines.map(({ tag }) => tag), [
        "Miss",
        "Load",
        "Commit",
        "Invalidate",
        "Load",
        "Commit"
      ])
      assert.strictEqual(loads, 4)
      assert.strictEqual(yield* cache.get("c"), 3)
    }))

  it.live("I23: a key that only its reader knows is not loaded by its name", () =>
    Effect.gen(function*() {
      const { act, told, use } = yield* serve(Inspector.layer({ writable: true }))
      const cache = yield* use(
        Swr.make({
          name: "c",
          key: (id: number) => `user:${id}`,
          lookup: (id: number) => Effect.succeed(id),
          freshFor: 1
        })
      )
      yield* cache.get(7)
      const { csrf, rows } = yield* told("limit=10")
      assert.strictEqual((yield* told(`id=${rows[0]?.id}`)).opened?.loadable, false)
      assert.strictEqual((yield* act({ id: rows[0]?.id, action: "revalidate" }, {}, csrf)).status, 409)
    }))

  it.live("I23: over a store a change is the store's first, and one that it did not confirm is told", () =>
    Effect.gen(function*() {
      const store = yield* Testing.simulatedStore()
      const caches = Swr.layerStore().pipe(Layer.provide(store.connect("a")))
      const { act, told, use } = yield* serve(Inspector.layer({ writable: true }), "127.0.0.1", caches)
      const cache = yield* use(
        Swr.make({ name: "c", lookup: (key: string) => Effect.succeed(key), freshFor: "1 hour", schema: Schema.String })
      )
      yield* cache.get("k")
      const { csrf, rows } = yield* told("limit=1")
      const id = rows[0]?.id
      assert.strictEqual(rows[0]?.tier, "memory, store")
      assert.strictEqual((yield* store.size).entries, 1)
      assert.strictEqual((yield* act({ id, action: "invalidate" }, {}, csrf)).status, 200)
      assert.strictEqual((yield* store.size).entries, 0)
      yield* cache.get("k")
      yield* store.down("away")
      assert.strictEqual((yield* act({ id, action: "mark" }, {}, csrf)).status, 502)
      const tags = (yield* told(`id=${id}`)).opened?.lines.map(({ tag }) => tag)
      assert.includeMembers([...tags ?? []], ["Lease", "Commit", "Invalidate", "StoreFailed"])
    }))

  it.live("I23: changes are limited", () =>
    Effect.gen(function*() {
      const { act, told } = yield* serve(Inspector.layer({ writable: true }))
      const { csrf } = yield* told()
      const answers = yield* Effect.all(Array.from({ length: 60 }, () => act({}, {}, csrf)), { concurrency: 8 })
      assert.include(statuses(answers), 429)
    }))
})

describe("I23: the page", () => {
  it.live("I23: runs its own script and nothing else, and asks no other host", () =>
    Effect.gen(function*() {
      const { open, view } = yield* serve()
      const { headers, text } = yield* open()
      const csp = String(headers["content-security-policy"])
      for (const tag of ["script", "style"]) {
        const inline = Array.from(text.matchAll(new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, "g")), ([, code = ""]) =>
          code)
        assert.strictEqual(inline.length, 1)
        assert.include(csp, `${tag}-src 'sha256-${createHash("sha256").update(inline[0] ?? "").digest("base64")}'`)
      }
      for (
        const part of [
          "default-src 'none'",
          "connect-src 'self'",
          "base-uri 'none'",
          "form-action 'none'",
          "frame-ancestors 'none'"
        ]
      ) {
        assert.include(csp, part)
      }
      assert.notInclude(csp, "unsafe")
      assert.notMatch(text, /\son\w+\s*=\s*["']/, "no inline handlers")
      assert.notMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/)
      assert.notMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//)
      for (const answer of [yield* open(), yield* view()]) {
        assert.deepInclude(answer.headers, {
          "cache-control": "no-store",
          "x-content-type-options": "nosniff",
          "referrer-policy": "no-referrer",
          "cross-origin-opener-policy": "same-origin",
          "x-frame-options": "DENY"
        })
        assert.notProperty(answer.headers, "access-control-allow-origin")
      }
    }))
})

describe("I23: values", () => {
  const User = Schema.Struct({ name: Schema.String, password: Schema.Redacted(Schema.String) })
  const user = { name: "ann", password: Redacted.make("hunter2") }

  const shown = (values: "hidden" | "schema" | "all" | undefined, schema: boolean) =>
    Effect.gen(function*() {
      const { told, use, view } = yield* serve(Inspector.layer({ values }))
      const options = { name: "users", lookup: (_: string) => Effect.succeed(user), freshFor: "1 hour" } as const
      const { get } = schema
        ? yield* use(Swr.make({ ...options, schema: User }))
        : yield* use(Swr.make(options))
      yield* get("k")
      const { rows } = yield* told("limit=10")
      const { text } = yield* view(`id=${rows[0]?.id}`)
      assert.notInclude(text, "hunter2")
      return (yield* told(`id=${rows[0]?.id}`)).opened
    })

  it.live("I23: are hidden by default: a type and a size", () =>
    Effect.gen(function*() {
      const opened = yield* shown(undefined, true)
      assert.deepInclude(opened, { value: null, shape: "an object with 2 fields" })
    }))

  it.live("I23: are shown by schema, what is sensitive redacted", () =>
    Effect.gen(function*() {
      const text = `{\n  "name": "ann"\n  "password": <redacted>\n}`
      assert.strictEqual((yield* shown("schema", true))?.value, text)
      assert.isNull((yield* shown("schema", false))?.value)
      assert.strictEqual((yield* shown("all", false))?.value, text)
    }))

  it.live("I23: neither an error's message nor a sensitive key is ever told", () =>
    Effect.gen(function*() {
      const { told, use, view } = yield* serve(Inspector.layer({ values: "all" }))
      const cache = yield* use(
        Swr.make({
          name: "c",
          key: (key: string) => Redacted.make(key),
          lookup: (_: string) => new Down({ message: "postgres://user:hunter2@db" }),
          freshFor: "1 hour",
          failureTimeToLive: "1 minute"
        })
      )
      yield* Effect.exit(cache.get("ann@example.com"))
      const { rows } = yield* told("limit=10")
      assert.match(rows[0]?.key ?? "", /^#[0-9a-f]{12}$/)
      assert.strictEqual(rows[0]?.lastError?.name, "Down")
      const { text } = yield* view(`limit=10&id=${rows[0]?.id}`)
      assert.include(text, "LoadFailed")
      assert.notMatch(text, /hunter2|ann@example/)
    }))

  it.live("I23: hostile keys and values are small and harmless text", () =>
    Effect.gen(function*() {
      const { told, use, view } = yield* serve(Inspector.layer({ values: "all" }))
      const keys = [
        "<script>alert(1)</script>",
        "\u0000\u0007\n\u001b[31m",
        "\ud800",
        "x".repeat(10_000_000),
        "",
        "__proto__"
      ]
      const values = new Map<string, unknown>([
        ["\ud800", {
          get boom() {
            throw new Error("called")
          }
        }],
        [
          "",
          new Proxy({}, {
            ownKeys: () => {
              throw new Error("called")
            }
          })
        ],
        ["__proto__", "\ud800</script><img src=x onerror=alert(1)>" + "y".repeat(10_000_000)]
      ])
      const circle: Array<unknown> = []
      circle.push(circle)
      const cache = yield* use(
        Swr.make({
          name: "<b>c</b>",
          lookup: (key: string) => Effect.succeed(values.get(key) ?? circle),
          freshFor: "1 hour"
        })
      )
      for (const key of keys) yield* cache.get(key)
      const { rows } = yield* told("limit=200")
      assert.strictEqual(rows.length, keys.length)
      for (const row of rows) {
        const { status, text } = yield* view(`limit=200&id=${row.id}`)
        assert.strictEqual(status, 200)
        assert.isBelow(text.length, 100_000)
        const opened = JSON.parse(text).opened
        assert.strictEqual(opened.key, row.key)
        assert.strictEqual(opened.lines.length, 3, "its own log")
        assert.notMatch(opened.key + opened.value.replaceAll("\n", ""), /[\p{Cc}\p{Cs}]/u)
      }
    }))
})

describe("the list", () => {
  it.live("I23: 100,000 entries: pages of at most 200, search and order on the server", () =>
    Effect.gen(function*() {
      const { told, use } = yield* serve(Inspector.layer({ listen: "watched" }))
      const cache = yield* use(
        Swr.make({ name: "many", lookup: (n: number) => Effect.succeed(n), freshFor: "1 hour", capacity: 100_000 })
      )
      for (let n = 0; n < 100_000; n++) yield* cache.set(n, n)
      yield* cache.invalidate(77_777, { mode: "soft" })
      const page = yield* told("limit=100000&offset=99900")
      yield* cache.get(5)
      assert.deepInclude(page, {
        total: 100_000,
        counts: { fresh: 99_999, stale: 1, expired: 0, loading: 0, failing: 0 }
      })
      assert.deepStrictEqual(page.rows.map(({ key }) => key), Array.from({ length: 100 }, (_, i) => String(99_900 + i)))
      assert.strictEqual((yield* told("limit=100000")).rows.length, 200)
      const keys = (query: string) =>
        Effect.map(told(query), ({ rows, total }) => [total, ...rows.map(({ key }) => key)])
      assert.deepStrictEqual(yield* keys("limit=2&query=9999"), [19, "9999", "19999"])
      assert.deepStrictEqual(yield* keys("limit=5&state=stale"), [1, "77777"])
      assert.deepStrictEqual(yield* keys("limit=1&order=reads"), [100_000, "5"])
      assert.deepStrictEqual(yield* keys("limit=3&order=key&offset=1"), [100_000, "1", "10", "100"])
      assert.deepStrictEqual(yield* keys("limit=-1&offset=NaN"), [100_000])
    }), { timeout: 30_000 })

  it.live("I23: two keys that look the same are two rows", () =>
    Effect.gen(function*() {
      const { act, told, use } = yield* serve(Inspector.layer({ writable: true }))
      const cache = yield* use(letters)
      yield* cache.getMany(["\n", "\\u000a"])
      const { csrf, rows } = yield* told("limit=10")
      assert.deepStrictEqual(rows.map(({ key }) => key), ["\\u000a", "\\u000a"])
      yield* act({ id: rows[1]?.id, action: "invalidate" }, {}, csrf)
      assert.deepStrictEqual([yield* cache.has("\n"), yield* cache.has("\\u000a")], [true, false])
    }))
})

describe("it ends with its scope", () => {
  const listening = (used: Swr.Cache["Service"]) => Swr.behind(used).host.listeners.size

  it.live("I23: nothing listens, nothing is answered, and a page that looks on holds nothing up", () =>
    Effect.gen(function*() {
      const { close, told, use, view } = yield* serve()
      const cache = yield* use(Swr.Cache)
      yield* (yield* use(letters)).get("a")
      assert.strictEqual((yield* told()).cache.name, "letters")
      assert.strictEqual(listening(cache), 1)
      const begun = performance.now()
      yield* close
      assert.isBelow(performance.now() - begun, 2000)
      assert.strictEqual(listening(cache), 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(view())))
    }))

  it.live("I23: watched, it listens only while it is looked at", () =>
    Effect.gen(function*() {
      const { told, use } = yield* serve(Inspector.layer({ listen: "watched" }))
      const cache = yield* use(Swr.Cache)
      const known = yield* use(letters)
      yield* known.get("a")
      assert.strictEqual(listening(cache), 0)
      yield* told()
      assert.strictEqual(listening(cache), 1)
      yield* known.get("a")
      assert.deepInclude((yield* told("limit=1")).rows[0]?.reads, { fresh: 1, waited: 0 })
    }))

  it.live("R9: an error whose `_tag` throws fails its reader as it would without the page", () =>
    Effect.gen(function*() {
      const evil = {
        get _tag(): string {
          throw new Error("boom")
        }
      }
      const { use } = yield* serve(Inspector.layer())
      const cache = yield* use(Swr.make({ name: "e", lookup: (_: string) => Effect.fail(evil), freshFor: "1 hour" }))
      assert.strictEqual(yield* Effect.flip(cache.get("k")), evil)
    }))

  it.live("I23: every x-forwarded-* is a proxy", () =>
    Effect.gen(function*() {
      const { view } = yield* serve()
      for (const name of ["x-forwarded-proto", "x-forwarded-port", "x-forwarded-server"]) {
        assert.strictEqual((yield* view("", { [name]: "x" })).status, 403, name)
      }
    }))
})
