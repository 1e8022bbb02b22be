import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import * as Answer from "../src/HttpAnswer.ts"
import * as Headers from "../src/HttpHeaders.ts"
import * as Http from "../src/HttpPolicy.ts"

const now = Date.UTC(2026, 10, 21, 12, 0, 0)
const at = (seconds: number) => Headers.formatDate(now + seconds * 1000)
const arrival: Http.Times = { requestedAt: now, receivedAt: now }
const shared = Http.rules()
const own = Http.rules({ shared: false })

const get = (headers: Headers.Headers = {}, url = "http://h.test/a"): Http.Request => ({ method: "GET", url, headers })
const ok = (headers: Headers.Headers, status = 200) => ({ status, headers: { date: at(0), ...headers }, length: 10 })
const cached = (control: string, headers: Headers.Headers = {}) => ok({ "cache-control": control, ...headers })

const keep = (
  response: Http.Response & { readonly length: number },
  { request = get(), rules = shared, times = arrival } = {}
) => Http.store(request, response, times, rules)

/** What a shared cache does with a request so many seconds after the response came. */
const decide = (control: string, seconds: number, asked: Headers.Headers = {}, rules = shared) =>
  Http.evaluate(get(asked), keep(cached(control), { rules }), now + seconds * 1000, rules)
const tag = (...args: Parameters<typeof decide>) => decide(...args)._tag

const seconds = (control: string, headers: Headers.Headers = {}, rules = shared) =>
  Http.freshness(cached(control, headers), arrival, rules).lifetime / 1000

const refusal = (response: Parameters<typeof Http.refusal>[1], request = get(), rules = shared) =>
  Http.refusal(request, response, arrival, rules)

describe("1.1.1 RFC 9111 5.2: directives", () => {
  const parsed = (...lines: ReadonlyArray<string>) => Object.fromEntries(Headers.directives({ "cache-control": lines }))

  it("names have no case, quotes hide commas, what is malformed grants nothing", () => {
    assert.deepStrictEqual(parsed("MAX-AGE=1, No-Store"), { "max-age": "1", "no-store": true })
    assert.deepStrictEqual(parsed(`private="a, max-age=9", x="\\"", public`), {
      private: "a, max-age=9",
      x: `"`,
      public: true
    })
    assert.deepStrictEqual(parsed(" , ,,max-age=1\t,"), { "max-age": "1" })
    assert.deepStrictEqual(parsed("max-age = 5, =, \"x\", public x"), { "max-age": false, public: false })
    assert.deepStrictEqual(parsed("max-age=1", "public"), { "max-age": "1", public: true })
  })

  it("a quote that never closes hides nothing", () => {
    assert.deepStrictEqual(parsed(`x="a, no-store`), { x: false, "no-store": true })
    assert.deepStrictEqual(parsed(`x="a`, `no-store`), { x: false, "no-store": true })
  })

  it("upper case forbids as lower case does", () => {
    for (const control of ["PRIVATE", "NO-STORE", "No-Store, MAX-AGE=60"]) assert.isDefined(refusal(cached(control)))
    assert.strictEqual(tag("NO-CACHE, max-age=60", 1), "Validate")
  })

  it("what forbids does so however it is written", () => {
    for (const word of ["private", "no-store"]) {
      for (const end of ["=", "=\"", "=\"\"", " =x", "=\"a b\"", "=\"a", "=, "]) {
        assert.isDefined(refusal(cached(`max-age=60, ${word}${end}`)), word + end)
      }
    }
    for (const end of ["=", "=\"", "=\"\"", " =x", "=\"a b\""]) {
      assert.strictEqual(tag(`max-age=60, no-cache${end}`, 1), "Validate", end)
      assert.strictEqual(tag(`max-age=1, stale-while-revalidate=60, must-revalidate${end}`, 2), "Validate", end)
    }
  })
})

describe("1.1.2 RFC 9111 4.2.1: what is there twice", () => {
  it("the first max-age counts; two lines of Expires are expired", () => {
    assert.strictEqual(seconds("max-age=100, max-age=1"), 100)
    assert.strictEqual(seconds("max-age=1, max-age=100"), 1)
    assert.strictEqual(Http.freshness(ok({ expires: at(60) }), arrival, shared).lifetime, 60_000)
    assert.strictEqual(Http.freshness(ok({ expires: [at(60), at(60)] }), arrival, shared).lifetime, 0)
    assert.strictEqual(Http.freshness(ok({ expires: `${at(60)}, ${at(60)}` }), arrival, shared).lifetime, 0)
  })

  it("no `private` and no `no-cache` goes unheard", () => {
    assert.strictEqual(refusal(cached("max-age=60, private=\"a\", private")), "private")
    assert.strictEqual(tag("max-age=60, no-cache=\"a\", no-cache", 1), "Validate")
    assert.deepStrictEqual(keep(cached("max-age=60, no-cache=\"a\", no-cache=\"b\"")).hidden, ["a", "b"])
  })
})

describe("1.1.3 RFC 9111 1.2.2: delta-seconds", () => {
  it("whole numbers, quoted or not, up to 2^31; what can't be read is 0, not absent", () => {
    const table = { "60": 60, "\"60\"": 60, "060": 60, "0": 0, "99999999999999999999": 2 ** 31, "2147483649": 2 ** 31 }
    for (const [value, expected] of Object.entries(table)) assert.strictEqual(seconds(`max-age=${value}`), expected)
    const wrong = ["-1", "3600.0", "'3600'", "abc", "", "1e3", "\"\"", "+5", "60;x", "60 60", "\u0661"]
    for (const value of wrong) {
      for (const name of ["max-age", "s-maxage"]) {
        assert.strictEqual(seconds(`${name}=${value}`, { expires: at(99), "last-modified": at(-9999) }), 0, value)
      }
    }
    assert.strictEqual(seconds("max-age", { expires: at(99) }), 0)
  })
})

describe("1.1.4 RFC 9110 5.6.7: dates", () => {
  it("three forms, without case, in GMT, of days that exist; nothing else", () => {
    const time = Date.UTC(1994, 10, 6, 8, 49, 37)
    const forms = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    for (const form of forms) {
      assert.strictEqual(Headers.date(form, now), time)
      assert.strictEqual(Headers.date(form.toLowerCase(), now), time)
      assert.strictEqual(Headers.date(` ${form.toUpperCase()} `, now), time)
    }
    const wrong = [
      "0",
      "-1",
      "",
      "1994-11-06T08:49:37Z",
      "784111777",
      "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 06 Nov 1994 08:49:37 +0000",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun, 06  Nov 1994 08:49:37 GMT",
      "06 Nov 1994 08:49:37 GMT",
      "Sun, 31 Feb 1994 08:49:37 GMT",
      "Sun, 29 Feb 2025 08:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:00:00 GMT",
      "Sun, 06 Nov 1994 8:49:37 GMT",
      "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Foo 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT x"
    ]
    for (const text of wrong) assert.isUndefined(Headers.date(text, now), text)
    assert.strictEqual(Headers.date("Thu, 29 Feb 2024 00:00:60 GMT", now), Date.UTC(2024, 1, 29, 0, 1))
  })

  it("a year of two digits is at most 50 years ahead", () => {
    const year = (yy: string) => {
      const found = Headers.date(`Sunday, 06-Nov-${yy} 08:49:37 GMT`, now)
      return found === undefined ? undefined : 1970 + Math.round(found / 31_556_952_000 - 0.8)
    }
    assert.deepStrictEqual(["26", "76", "77", "99", "00"].map(year), [2026, 2076, 1977, 1999, 2000])
  })

  it("an Expires that is none is past; a Date that is none is the time of arrival", () => {
    for (const expires of ["0", "", "x", at(60).replace("GMT", "UTC")]) {
      assert.strictEqual(Http.freshness(ok({ expires, "last-modified": at(-9999) }), arrival, shared).lifetime, 0)
    }
    assert.strictEqual(Http.freshness(ok({ date: "x", expires: at(60) }), arrival, shared).lifetime, 60_000)
    assert.strictEqual(Http.freshness(ok({ date: "x" }), arrival, shared).age, 0)
  })

  it("writes what it reads", () => {
    assert.strictEqual(Headers.formatDate(now), "Sat, 21 Nov 2026 12:00:00 GMT")
    for (const time of [0, 1, -1, 951_782_400_000, 4_102_444_799_000, -62_135_596_800_000, now]) {
      assert.strictEqual(Headers.formatDate(time), new Date(time).toUTCString())
    }
  })
})

describe("1.1.5 RFC 9111 5.1: Age", () => {
  it("its first member, where that is a whole number", () => {
    const table: Record<string, number> = { "5": 5, "5, 7": 5, "x, 7": 0, "-5": 0, "5.5": 0, "\"5\"": 0, "": 0 }
    for (const [age, expected] of Object.entries(table)) {
      assert.strictEqual(Headers.age({ age }), expected * 1000, age)
    }
    assert.strictEqual(Headers.age({ age: ["5", "7"] }), 5000)
  })
})

describe("1.1.6 RFC 9213: targeted fields", () => {
  const targeted = (field: string) =>
    seconds("max-age=5", { "cdn-cache-control": field, expires: at(7), "last-modified": at(-1000) })

  it("one that can be read stands in place of Cache-Control and Expires", () => {
    assert.strictEqual(targeted("max-age=60"), 60)
    assert.strictEqual(targeted("max-age=60;x=1, a=(1 2;y \"z\");q, b=:aGk=:, c=?0, d=-1.5, e=tok/en, f"), 60)
    assert.strictEqual(targeted("max-age=1, max-age=60"), 60, "of a dictionary's members the last counts")
    assert.strictEqual(targeted("max-age=-1"), 0)
    assert.strictEqual(targeted("must-revalidate"), 100, "no lifetime: neither max-age nor Expires is looked at")
    assert.strictEqual(refusal(cached("max-age=60", { "cdn-cache-control": "no-store" })), "no-store")
    assert.strictEqual(refusal(cached("no-store", { "cdn-cache-control": "max-age=60" })), undefined)
    assert.strictEqual(refusal(cached("max-age=60", { "cdn-cache-control": "private" })), "private")
    assert.strictEqual(refusal(cached("private", { "cdn-cache-control": "max-age=6, private=?0" })), undefined)
  })

  it("one that can't, or is empty, is as if it were absent", () => {
    const wrong = [
      "",
      " ",
      "max-age=\"10\"",
      "max-age=10.5",
      "max-age",
      "max-age=abc",
      "Max-Age=60",
      "max-age=60,",
      "max-age=60,,a",
      "max-age=60 a",
      "max-age = 60",
      "max-age=60, &",
      "max-age=(60)",
      "max-age=60, a=\"",
      "max-age=60, a=\"é\"",
      "max-age=60, no-store=1",
      "max-age=60, no-store=(a)",
      "max-age=60;",
      "max-age=1234567890123456",
      `max-age=60, a="${"a".repeat(8192)}"`
    ]
    for (const field of wrong) assert.strictEqual(targeted(field), 5, field)
  })

  it("is for shared caches, the first of the list that can be read, and is passed on", () => {
    assert.strictEqual(seconds("max-age=5", { "cdn-cache-control": "max-age=60" }, own), 5)
    const rules = Http.rules({ targets: ["a-cache-control", "cdn-cache-control"] })
    const both = { "a-cache-control": "max-age=7", "cdn-cache-control": "max-age=60" }
    assert.strictEqual(seconds("max-age=5", both, rules), 7)
    assert.strictEqual(seconds("max-age=5", { ...both, "a-cache-control": "" }, rules), 60)
    assert.containsSubset(keep(cached("max-age=5", both)).headers, both)
  })
})

describe("1.1.7 RFC 9111 5.4: Pragma", () => {
  it("is a request's no-cache where there is no Cache-Control, and nothing in a response", () => {
    assert.strictEqual(tag("max-age=60", 1, { pragma: "no-cache" }), "Validate")
    assert.strictEqual(tag("max-age=60", 1, { pragma: "No-Cache" }), "Validate")
    assert.strictEqual(tag("max-age=60", 1, { pragma: "no-cache", "cache-control": "max-age=9" }), "Fresh")
    assert.strictEqual(refusal(ok({ pragma: "no-cache", expires: at(60) })), undefined)
  })
})

describe("1.2 RFC 9111 3: what may be stored", () => {
  it("answers to GET", () => {
    assert.isUndefined(refusal(cached("max-age=60")))
    for (const method of ["HEAD", "POST", "PUT", "QUERY", "get", "FOO"]) {
      assert.strictEqual(refusal(cached("max-age=60"), { ...get(), method }), "method")
    }
  })

  it("final and whole ones, of a status that is understood where that is asked", () => {
    for (const status of [100, 103, 206, 304]) {
      assert.strictEqual(refusal({ ...cached("max-age=60"), status }), "status")
    }
    for (const status of [200, 302, 404, 418, 500, 599]) {
      assert.isUndefined(refusal({ ...cached("max-age=60"), status }))
    }
    assert.strictEqual(refusal({ ...cached("max-age=60, must-understand"), status: 418 }), "status")
    assert.isUndefined(refusal(cached("max-age=60, must-understand, no-store")))
    assert.strictEqual(refusal({ ...cached("max-age=60, must-understand, no-store"), status: 418 }), "status")
  })

  it("no no-store, of either side", () => {
    assert.strictEqual(refusal(cached("max-age=60, no-store")), "no-store")
    assert.strictEqual(refusal(cached("max-age=60"), get({ "cache-control": "no-store" })), "no-store")
    // A stranger whose no-store is not obeyed would keep a page from being kept for all others.
    const deaf = Http.rules({ obeyRequests: false })
    assert.isUndefined(refusal(cached("max-age=60"), get({ "cache-control": "no-store" }), deaf))
    assert.strictEqual(refusal(cached("max-age=60, no-store"), get(), deaf), "no-store")
  })

  it("private is for private caches, or its fields are not kept", () => {
    assert.strictEqual(refusal(cached("max-age=60, private")), "private")
    assert.isUndefined(refusal(cached("max-age=60, private"), get(), own))
    const partly = cached("max-age=60, private=\"X-User, x-b\"", { "x-user": "ann", "x-b": "1", "x-c": "2" })
    assert.isUndefined(refusal(partly))
    assert.hasAllKeys(keep(partly).headers, ["cache-control", "date", "x-c"])
    assert.strictEqual(keep(partly, { rules: own }).headers["x-user"], "ann")
  })

  it("Vary: * and what can't be read as Vary vary by what nobody knows", () => {
    for (const vary of ["*", "a, *", "a b", "\"a\""]) {
      assert.strictEqual(refusal(cached("max-age=60", { vary })), "vary")
    }
    assert.strictEqual(refusal(cached("max-age=60", { vary: ["a", "*"] })), "vary")
    assert.isUndefined(refusal(cached("max-age=60", { vary: "accept, x-a" })))
    assert.isUndefined(refusal(cached("max-age=60", { vary: "" })))
  })

  it("section 2: what varies by who asks is not for a shared cache", () => {
    for (const vary of ["Cookie", "accept, AUTHORIZATION"]) {
      assert.strictEqual(refusal(cached("max-age=60", { vary })), "vary")
      assert.isUndefined(refusal(cached("max-age=60", { vary }), get(), own))
    }
  })

  it("RFC 9111 3.5: Authorization only with leave", () => {
    const request = get({ authorization: "Bearer x" })
    assert.strictEqual(refusal(cached("max-age=60"), request), "authorization")
    for (const leave of ["public", "must-revalidate", "s-maxage=60"]) {
      assert.isUndefined(refusal(cached(`max-age=60, ${leave}`), request))
    }
    assert.isUndefined(refusal(cached("max-age=60"), request, own))
  })

  it("some word that it may, or a status that is cacheable by itself", () => {
    const validated = { "last-modified": at(-1000) }
    for (const status of [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]) {
      assert.isUndefined(refusal(ok(validated, status)))
    }
    for (const status of [201, 302, 307, 400, 403, 418, 500, 502, 503, 504]) {
      assert.strictEqual(refusal(ok(validated, status)), "implicit")
    }
    for (const word of ["public", "max-age=60", "s-maxage=60"]) {
      assert.isUndefined(refusal(cached(word, validated), get(), shared))
    }
    assert.isUndefined(refusal(ok({ expires: at(60) }, 302)))
    assert.strictEqual(refusal({ ...cached("proxy-revalidate", validated), status: 302 }), "implicit")
    assert.isUndefined(refusal({ ...cached("private", validated), status: 302 }, get(), own))
  })

  it("our rules: Set-Cookie, the length of the body, its end, what is of no use, and a list of statuses", () => {
    assert.strictEqual(refusal(cached("max-age=60", { "content-type": "text/event-stream;charset=utf-8" })), "endless")
    assert.strictEqual(refusal(cached("max-age=60", { "set-cookie": "a=b" })), "set-cookie")
    assert.isUndefined(refusal(cached("max-age=60", { "set-cookie": "a=b" }), get(), Http.rules({ setCookie: true })))
    assert.isUndefined(refusal(cached("max-age=60", { "set-cookie": "a=b" }), get(), own))
    assert.strictEqual(refusal({ ...cached("max-age=60"), length: 11 }, get(), Http.rules({ maxBody: 10 })), "size")
    assert.isUndefined(refusal({ ...cached("max-age=60"), length: 10 }, get(), Http.rules({ maxBody: 10 })))
    assert.strictEqual(refusal(cached("max-age=60", { "content-length": "11" })), "incomplete")
    assert.strictEqual(refusal(cached("max-age=0")), "useless")
    assert.strictEqual(refusal(cached("max-age=60", { age: "60" })), "useless")
    assert.strictEqual(refusal(cached("max-age=60, no-cache, stale-while-revalidate=60")), "useless")
    assert.strictEqual(refusal(cached("max-age=0, stale-while-revalidate=60, must-revalidate")), "useless")
    assert.isUndefined(refusal(cached("max-age=0, stale-while-revalidate=60")))
    assert.isUndefined(refusal(cached("max-age=0, stale-if-error=60")))
    assert.isUndefined(refusal(cached("max-age=0", { etag: "\"a\"" })))
    assert.isUndefined(refusal(cached("no-cache", { "last-modified": at(-5) })))
    assert.strictEqual(
      refusal({ ...cached("max-age=60"), status: 404 }, get(), Http.rules({ statuses: [200] })),
      "status"
    )
  })

  it("RFC 9111 3.1: without the fields of the connection, with all others and the Date it came with", () => {
    const stored = keep(ok({
      "cache-control": "max-age=60",
      connection: "close, X-Hop, Cache-Control",
      "x-hop": "1",
      "keep-alive": "1",
      "proxy-authenticate": "1",
      te: "1",
      trailer: "1",
      "transfer-encoding": "chunked",
      upgrade: "1",
      "x-unknown": ["1", "2"],
      date: at(-3)
    }))
    assert.deepStrictEqual(stored.headers, {
      "cache-control": "max-age=60",
      "x-unknown": ["1", "2"],
      date: at(-3)
    })
    assert.strictEqual(keep({ status: 200, headers: {}, length: 0 }).headers["date"], at(0), "RFC 9110 6.6.1")
    const strange = keep(cached("max-age=60", JSON.parse(`{ "__proto__": ["x-evil"] }`)))
    assert.strictEqual(Object.getPrototypeOf(strange.headers), Object.prototype)
  })
})

describe("1.3 RFC 9111 2, 4.1: keys and variants", () => {
  const key = (url: string, host?: string | ReadonlyArray<string>, scheme = "http") =>
    Http.target({ method: "GET", url, headers: { host } }, scheme)?.join(" ")

  it("scheme, authority, and path with query as they came", () => {
    assert.strictEqual(key("/a/%2e%2E/b;x//?q=%C3%A9&b&a#c", "H.test"), "http h.test /a/%2e%2E/b;x//?q=%C3%A9&b&a#c")
    assert.strictEqual(key("HTTPS://H.test:443/A?B"), "https h.test /A?B")
    assert.strictEqual(key("http://h.test"), "http h.test /")
    assert.strictEqual(key("http://h.test?q"), "http h.test /?q")
    assert.strictEqual(key("/", "h.test:80"), "http h.test /")
    assert.strictEqual(key("/", "h.test:443"), "http h.test:443 /")
    assert.strictEqual(key("/", "h.test:443", "https"), "https h.test /")
    assert.strictEqual(key("/", "[::1]:8080"), "http [::1]:8080 /")
    assert.strictEqual(key("http://a.test/", "b.test"), "http a.test /", "an absolute URL says it alone")
  })

  it("section 2: what names no single place has no key", () => {
    for (const host of [undefined, "", "a b", "a,b", "u@h", "h/x", "h#", "h:x", "h:", ":80", "[::1", "h\n"]) {
      if (host !== "h:") assert.isUndefined(key("/", host), host)
    }
    assert.isUndefined(key("/", ["a", "b"]))
    for (
      const url of ["a", "*", "", "//h", "/a b", "/\n", "/\0", "ftp://h/", "http://u:p@h/", "http:///", "http://h\\x/"]
    ) {
      if (url !== "" && url !== "//h") assert.isUndefined(key(url, "h"), JSON.stringify(url))
    }
    assert.strictEqual(key("//h", "h"), "http h //h", "a path of a path, not another host")
  })

  const variant = (vary: string, headers: Headers.Headers) =>
    Http.variant(Http.vary({ vary }) as Array<string>, headers)
  const isSame = (vary: string, left: Headers.Headers, right: Headers.Headers) =>
    JSON.stringify(variant(vary, left)) === JSON.stringify(variant(vary, right))

  it("RFC 9111 4.1: absent matches absent only; lines are joined, space around commas is none", () => {
    assert.isFalse(isSame("x-a", {}, { "x-a": "" }))
    assert.isTrue(isSame("x-a", {}, {}))
    assert.isTrue(isSame("X-A", { "x-a": "1,2" }, { "x-a": "1 ,\t2" }))
    assert.isTrue(isSame("x-a", { "x-a": ["1", "2"] }, { "x-a": "1, 2" }))
    assert.isFalse(isSame("x-a", { "x-a": "1, 2" }, { "x-a": "2, 1" }))
    assert.isFalse(isSame("x-a", { "x-a": "a" }, { "x-a": "A" }))
    assert.isFalse(isSame("x-a, x-b", { "x-a": "1" }, { "x-b": "1" }))
    assert.isTrue(isSame("__proto__, constructor", {}, {}))
  })

  it("of what is accepted, order and case mean nothing where nothing is weighed", () => {
    assert.isTrue(isSame("accept-encoding", { "accept-encoding": "gzip, BR" }, { "accept-encoding": "br,gzip" }))
    assert.isFalse(
      isSame("accept-encoding", { "accept-encoding": "gzip;q=1,br" }, { "accept-encoding": "br,gzip;q=1" })
    )
    assert.isFalse(isSame("accept-encoding", {}, { "accept-encoding": "identity" }))
  })

  const english = keep(cached("max-age=60", { vary: "Accept-Language", date: at(-9), etag: "\"en\"" }), {
    request: get({ "accept-language": "en" })
  })
  const french = keep(cached("max-age=60", { vary: "accept-language", date: at(-5), etag: "W/\"fr\"" }), {
    request: get({ "accept-language": "fr" })
  })
  const plain = keep(cached("max-age=60", { date: at(-7) }))

  it("of those that fit a request, the newest by Date", () => {
    const choose = (language: string) =>
      Http.select([english, french, plain], language === "" ? {} : { "accept-language": language })
    assert.strictEqual(choose("EN"), plain)
    assert.strictEqual(choose("fr"), french)
    assert.strictEqual(choose(""), plain)
    assert.isUndefined(Http.select([english, french], { "accept-language": "de" }))
    const without = keep(cached("max-age=60", { vary: "x-a" }))
    assert.strictEqual(Http.select([without], {}), without)
    assert.isUndefined(Http.select([without], { "x-a": "" }), "absent matches only absent")
  })

  it("RFC 9111 4.1: on a miss of the variant all known tags are sent; the one that a 304 names gets a copy", () => {
    assert.deepStrictEqual(Http.conditions([english, french]), { "if-none-match": "\"en\", W/\"fr\"" })
    const copy = Http.update(
      get({ "accept-language": "fr-CA" }),
      french,
      { status: 304, headers: { etag: "W/\"fr\"" } },
      arrival,
      shared
    )
    assert.deepStrictEqual(copy?.variant, [["accept-language", "fr-ca"]])
  })
})

describe("1.4 RFC 9111 4.2: age and freshness", () => {
  it("s-maxage, else max-age, else Expires - Date, else a guess", () => {
    const all = { expires: at(7), "last-modified": at(-1000) }
    assert.strictEqual(seconds("s-maxage=5, max-age=6", all), 5)
    assert.strictEqual(seconds("s-maxage=5, max-age=6", all, own), 6)
    assert.strictEqual(seconds("max-age=6", all), 6)
    assert.strictEqual(seconds("public", all), 7)
    assert.strictEqual(seconds("public", { ...all, date: at(-3) }), 10)
    assert.strictEqual(seconds("public", { expires: at(-7) }), 0)
    assert.strictEqual(seconds("public", { "last-modified": at(-1000) }), 100)
    assert.strictEqual(seconds("public", {}), 0)
  })

  it("RFC 9111 4.2.2: a guess is a tenth, at most a day, and never where something explicit is said", () => {
    const guess = (headers: Headers.Headers, status = 200) =>
      Http.freshness({ status, headers: { date: at(0), ...headers } }, arrival, shared).lifetime / 1000
    const modified = { "last-modified": at(-1000) }
    assert.strictEqual(guess(modified), 100)
    assert.strictEqual(guess({ "last-modified": at(-10_000_000) }), 86_400)
    assert.strictEqual(guess({ "last-modified": at(1000) }), 0)
    assert.strictEqual(guess(modified, 302), 0)
    assert.strictEqual(guess({ ...modified, "cache-control": "public" }, 302), 100)
    assert.strictEqual(guess({ ...modified, expires: "0" }), 0)
    assert.strictEqual(guess({ ...modified, "cache-control": "max-age=x" }), 0)
  })

  it("RFC 9111 4.2.3: the greater of what Date and Age say, the way included", () => {
    const years = (headers: Headers.Headers, delay = 0, later = 0) => {
      const times = { requestedAt: now - delay * 1000, receivedAt: now }
      const found = Http.freshness({ status: 200, headers }, times, shared)
      return Http.age(found, now + later * 1000) / 1000
    }
    assert.strictEqual(years({ date: at(-10) }), 10)
    assert.strictEqual(years({ date: at(-10), age: "20" }), 20)
    assert.strictEqual(years({ date: at(-10), age: "8" }, 3), 11)
    assert.strictEqual(years({ date: at(100), age: "8" }, 3), 11, "the origin's clock is ahead")
    assert.strictEqual(years({ date: at(-10) }, 0, 5), 15)
    assert.strictEqual(years({ date: at(-10) }, -5, -5), 10, "our clock stepped back")
    assert.strictEqual(years({}), 0)
  })

  it("fresh while lifetime > age", () => {
    assert.strictEqual(tag("max-age=10", 9.999), "Fresh")
    assert.strictEqual(tag("max-age=10", 10), "Validate")
    assert.strictEqual(tag("max-age=0", 0), "Validate")
  })

  it("RFC 9111 5.1: an answer carries its Age in whole seconds, and Date and Expires as they came", () => {
    const stored = keep(cached("max-age=10", { age: "3", expires: at(9), "x-a": "1" }))
    assert.deepStrictEqual(Answer.given(stored, 4999), {
      "cache-control": "max-age=10",
      date: at(0),
      expires: at(9),
      "x-a": "1",
      age: "4"
    })
  })
})

describe("1.5 RFC 9111 4: what is done with a request", () => {
  const swr = "max-age=10, stale-while-revalidate=10"

  it("1. no-cache of the entry: validate; of some fields: without them", () => {
    assert.deepStrictEqual(decide("max-age=60, no-cache", 0), { _tag: "Validate", forward: "stale" })
    const partly = keep(cached("max-age=60, no-cache=\"X-A, x-b\"", { "x-a": "1", "x-b": "1", "x-c": "1" }))
    assert.strictEqual(Http.evaluate(get(), partly, now, shared)._tag, "Fresh")
    assert.hasAllKeys(Answer.given(partly, 0), ["age", "cache-control", "date", "x-c"])
  })

  it("2. the request's no-cache, max-age, min-fresh: validate; no-store: neither use nor keep", () => {
    const asked = (control: string, seconds = 5) => decide("max-age=10", seconds, { "cache-control": control })
    const refused: Http.Decision = { _tag: "Validate", forward: "request" }
    assert.deepStrictEqual(asked("no-cache"), refused)
    assert.deepStrictEqual(asked("max-age=0", 0), refused)
    assert.deepStrictEqual(asked("max-age=x", 0), refused)
    assert.deepStrictEqual(asked("max-age=4"), refused)
    assert.strictEqual(asked("max-age=5")._tag, "Fresh")
    assert.deepStrictEqual(asked("min-fresh=6"), refused)
    assert.strictEqual(asked("min-fresh=5")._tag, "Fresh")
    assert.deepStrictEqual(asked("no-store"), { _tag: "Bypass", forward: "request" })
    const deaf = Http.rules({ obeyRequests: false })
    for (const control of ["no-cache", "max-age=0", "min-fresh=60", "no-store", "only-if-cached"]) {
      assert.strictEqual(decide("max-age=10", 5, { "cache-control": control }, deaf)._tag, "Fresh", control)
    }
  })

  it("3. fresh: a hit", () => {
    assert.deepStrictEqual(decide("max-age=10", 4), { _tag: "Fresh", age: 4000, left: 6000 })
  })

  it("4. stale: max-stale of the request, else stale-while-revalidate and one refresh", () => {
    assert.deepStrictEqual(decide(swr, 12), { _tag: "Stale", age: 12_000, left: -2000, refresh: true })
    assert.deepStrictEqual(decide(swr, 20), { _tag: "Validate", forward: "stale" })
    const stale = (control: string, seconds: number) => decide("max-age=10", seconds, { "cache-control": control })
    assert.deepStrictEqual(stale("max-stale", 9e6), { _tag: "Stale", age: 9e9, left: 1e4 - 9e9, refresh: false })
    assert.strictEqual(stale("max-stale=5", 15)._tag, "Stale")
    assert.strictEqual(stale("max-stale=5", 15.001)._tag, "Validate")
    assert.strictEqual(stale("max-stale=x", 11)._tag, "Validate")
  })

  it("5. only-if-cached: 504 wherever it would go forward", () => {
    const only = { "cache-control": "only-if-cached" }
    assert.deepStrictEqual(decide("max-age=10", 10, only), { _tag: "Unavailable" })
    assert.deepStrictEqual(decide("no-cache", 0, only), { _tag: "Unavailable" })
    assert.deepStrictEqual(Http.evaluate(get(only), undefined, now, shared), { _tag: "Unavailable" })
    assert.strictEqual(tag("max-age=10", 9, only), "Fresh")
    assert.strictEqual(tag(swr, 12, only), "Stale")
    assert.strictEqual(tag("max-age=10", 0, { "cache-control": "only-if-cached, no-cache" }), "Unavailable")
  })

  it("nothing stored, another method, and what only the origin can judge: forward", () => {
    const stored = keep(cached("max-age=60"))
    assert.deepStrictEqual(Http.evaluate(get(), undefined, now, shared), { _tag: "Validate", forward: "uri-miss" })
    assert.deepStrictEqual(Http.evaluate({ ...get(), method: "POST" }, stored, now, shared), {
      _tag: "Bypass",
      forward: "method"
    })
    assert.strictEqual(Http.evaluate({ ...get(), method: "HEAD" }, stored, now, shared)._tag, "Fresh")
    for (const name of ["if-match", "if-unmodified-since"]) {
      assert.strictEqual(Http.evaluate(get({ [name]: "*" }), stored, now, shared)._tag, "Bypass")
    }
  })

  it("RFC 8246: a reload asks in vain while an immutable response is fresh, a forced one does not", () => {
    const asked = (control: string, seconds = 5) =>
      tag("max-age=10, immutable, stale-while-revalidate=60", seconds, { "cache-control": control })
    assert.strictEqual(asked("max-age=0"), "Fresh")
    assert.strictEqual(asked("max-age=0", 10), "Validate")
    assert.strictEqual(asked("no-cache"), "Validate")
    assert.strictEqual(asked("min-fresh=6"), "Validate")
  })

  const tagged = keep(
    cached("max-age=60", { etag: "W/\"a,b\"", "last-modified": at(-100), vary: "x", expires: at(60) })
  )
  const unmodified = (headers: Headers.Headers, stored = tagged) => Answer.isNotModified(get(headers), stored)

  it("RFC 9110 13.1.2: If-None-Match is compared weakly, and hides If-Modified-Since", () => {
    for (const given of ["*", "\"a,b\"", "W/\"a,b\"", "\"x\", W/\"a,b\" , \"y\""]) {
      assert.isTrue(unmodified({ "if-none-match": given }), given)
    }
    for (const given of ["\"a\"", "a,b", "", "w/\"a,b\"", "\"a,b", "\"x\" \"y"]) {
      assert.isFalse(unmodified({ "if-none-match": given }), given)
      assert.isFalse(unmodified({ "if-none-match": given, "if-modified-since": at(0) }), given)
    }
    assert.isTrue(unmodified({ "if-none-match": ["\"x\"", "\"a,b\""] }))
    assert.isFalse(unmodified({ "if-none-match": "\"a\"" }, keep(cached("max-age=60", { etag: ["\"a\"", "\"a\""] }))))
  })

  it("RFC 9110 13.1.3: If-Modified-Since against Last-Modified, else Date; only what went well is unmodified", () => {
    assert.isTrue(unmodified({ "if-modified-since": at(-100) }))
    assert.isFalse(unmodified({ "if-modified-since": at(-101) }))
    assert.isFalse(unmodified({ "if-modified-since": "x" }))
    assert.isTrue(unmodified({ "if-modified-since": at(0) }, keep(cached("max-age=60"))))
    assert.isFalse(unmodified({ "if-modified-since": at(-1) }, keep(cached("max-age=60"))))
    assert.isFalse(unmodified({ "if-none-match": "*" }, keep({ ...cached("max-age=60"), status: 404 })))
  })

  it("RFC 9110 15.4.5: a 304 tells what guides caches, and Last-Modified where there is no tag", () => {
    const given = { ...tagged.headers, age: "1", "content-type": "text/html", "x-a": "1", "content-length": "10" }
    const told = Answer.notModified(given)
    assert.hasAllKeys(told, ["age", "cache-control", "date", "etag", "expires", "vary"])
    assert.property(Answer.notModified({ "last-modified": at(0) }), "last-modified")
  })
})

describe("1.5 RFC 9110 14: ranges of a whole body", () => {
  const body = keep(
    ok({ etag: "\"a\"", "last-modified": at(-100), "content-type": "text/plain", "content-length": "10" })
  )
  const parts = (range: string, more: Headers.Headers = {}, stored = body) => {
    const found = Answer.ranges(get({ range, ...more }), stored)
    return found._tag === "Parts" ? found.parts.map(({ end, start }) => [start, end]) : found._tag
  }

  it("from, to, and of the end; what is not there is no part", () => {
    assert.deepStrictEqual(parts("bytes=0-3"), [[0, 4]])
    assert.deepStrictEqual(parts("BYTES=4-"), [[4, 10]])
    assert.deepStrictEqual(parts("bytes=-3"), [[7, 10]])
    assert.deepStrictEqual(parts("bytes=-30"), [[0, 10]])
    assert.deepStrictEqual(parts("bytes=9-99999999999999999999"), [[9, 10]])
    assert.deepStrictEqual(parts("bytes=0-1, 4-5 ,-1"), [[0, 2], [4, 6], [9, 10]])
    assert.deepStrictEqual(parts("bytes=0-1,99-"), [[0, 2]])
    for (const range of ["bytes=10-", "bytes=10-11,20-30", "bytes=-0"]) {
      assert.strictEqual(parts(range), "Unsatisfiable", range)
    }
  })

  it("what can't be read, asks too much, or is of something else: the whole", () => {
    const wrong = ["", "bytes", "bytes=", "bytes=a-", "bytes=3-2", "bytes=1", "bytes=1-2,", "lines=0-1", "bytes=0-1;x"]
    for (const range of wrong) assert.strictEqual(parts(range), "Whole", range)
    assert.strictEqual(parts("bytes=0-6,0-6"), "Whole")
    const long = keep({ ...body, length: 1000 })
    const many = (count: number) => parts(`bytes=${Array.from({ length: count }, () => "0-0").join()}`, {}, long)
    assert.strictEqual(many(17), "Whole")
    assert.notStrictEqual(many(16), "Whole")
    assert.strictEqual(parts("bytes=0-1", {}, keep({ ...body, status: 203 })), "Whole")
    assert.strictEqual(Answer.ranges({ ...get({ range: "bytes=0-1" }), method: "HEAD" }, body)._tag, "Whole")
    assert.strictEqual(Answer.ranges(get({ range: ["bytes=0-1", "bytes=2-3"] }), body)._tag, "Whole")
  })

  it("RFC 9110 13.1.5: If-Range compares strongly", () => {
    const whole = (given: string, stored = body) => parts("bytes=0-1", { "if-range": given }, stored) === "Whole"
    assert.isFalse(whole("\"a\""))
    assert.isFalse(whole(at(-100)))
    for (const given of ["\"b\"", "W/\"a\"", "*", "\"a\", \"b\"", at(-99), at(-101), "x", ""]) {
      assert.isTrue(whole(given), given)
    }
    assert.isTrue(whole("\"a\"", keep(ok({ etag: "W/\"a\"" }))))
    assert.isTrue(whole(at(0), keep(ok({ "last-modified": at(0) }))), "it may have changed within that second")
  })

  it("RFC 9110 15.3.7: one part, many parts, none", () => {
    assert.containsSubset(Answer.partial(body, [{ start: 2, end: 5 }], "B"), {
      headers: { etag: "\"a\"", "content-range": "bytes 2-4/10", "content-length": "3", "content-type": "text/plain" },
      pieces: [{ start: 2, end: 5 }]
    })
    const text = "0123456789"
    const many = Answer.partial(body, [{ start: 0, end: 1 }, { start: 8, end: 10 }], "B")
    const written = many.pieces.map((piece) => typeof piece === "string" ? piece : text.slice(piece.start, piece.end))
    assert.strictEqual(
      written.join(""),
      "--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-0/10\r\n\r\n0" +
        "\r\n--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 8-9/10\r\n\r\n89\r\n--B--\r\n"
    )
    assert.containsSubset(many.headers, {
      "content-type": "multipart/byteranges; boundary=B",
      "content-length": String(written.join("").length)
    })
    assert.containsSubset(Answer.unsatisfiable(body), { "content-range": "bytes */10", "content-length": "0" })
  })
})

describe("1.6 RFC 9111 4.2.4, RFC 5861: stale use", () => {
  const windows = ["max-stale", "max-stale=999", "stale-if-error=999"]
  const both = "max-age=10, stale-while-revalidate=60, stale-if-error=60"
  const fail = (
    control: string,
    seconds: number,
    failure: number | "unreachable" = 503,
    asked: Headers.Headers = {},
    rules = shared
  ) => Http.onFailure(get(asked), keep(cached(control), { rules }), failure, now + seconds * 1000, rules)

  it("RF-10: what must be revalidated is never given stale, whoever asks, whatever fails", () => {
    for (const word of ["no-cache", "must-revalidate", "proxy-revalidate", "s-maxage=10"]) {
      for (const control of windows) {
        assert.strictEqual(tag(`${both}, ${word}`, 11, { "cache-control": control }), "Validate", word)
        assert.strictEqual(fail(`${both}, ${word}`, 11, 503, { "cache-control": control }), "failure", word)
        assert.strictEqual(fail(`${both}, ${word}`, 11, "unreachable", { "cache-control": control }), "unavailable")
      }
      assert.strictEqual(
        fail(`${both}, ${word}`, 11, "unreachable", {}, Http.rules({ staleOnDisconnect: 9e9 })),
        "unavailable"
      )
    }
    for (const word of ["proxy-revalidate", "s-maxage=10"]) {
      assert.strictEqual(tag(`${both}, ${word}`, 11, {}, own), "Stale", word)
    }
  })

  it("a fresh must-revalidate is a hit", () => {
    for (const word of ["must-revalidate", "proxy-revalidate", "s-maxage=10"]) {
      assert.strictEqual(tag(`max-age=10, ${word}`, 9), "Fresh")
    }
  })

  it("s-maxage forbids stale use unless an option says otherwise", () => {
    const lenient = Http.rules({ sMaxageAllowsStale: true })
    assert.strictEqual(tag("s-maxage=10, stale-while-revalidate=60", 11), "Validate")
    assert.strictEqual(tag("s-maxage=10, stale-while-revalidate=60", 11, {}, lenient), "Stale")
    assert.strictEqual(tag("s-maxage=10, stale-while-revalidate=60, proxy-revalidate", 11, {}, lenient), "Validate")
    assert.strictEqual(fail("s-maxage=10, stale-if-error=60", 11, 503, {}, lenient), "stale")
  })

  it("RF-02, RF-03: [lifetime, lifetime + swr)", () => {
    assert.strictEqual(tag("max-age=600, stale-while-revalidate=600", 599.999), "Fresh")
    assert.strictEqual(tag("max-age=600, stale-while-revalidate=600", 600), "Stale")
    assert.strictEqual(tag("max-age=600, stale-while-revalidate=600", 1199.999), "Stale")
    assert.strictEqual(tag("max-age=600, stale-while-revalidate=600", 1200), "Validate")
  })

  it("RF-01, RF-11: quoted, clamped; without a value, with a bad one and 0 are none; independent of each other", () => {
    assert.strictEqual(tag("max-age=10, Stale-While-Revalidate=\"60\"", 11), "Stale")
    assert.strictEqual(tag("max-age=10, stale-while-revalidate=99999999999", 2 ** 31), "Stale")
    for (const value of ["", "=", "=-1", "=1.5", "=x", "=0"]) {
      assert.strictEqual(tag(`max-age=10, stale-while-revalidate${value}`, 10), "Validate", value)
      assert.strictEqual(fail(`max-age=10, stale-if-error${value}`, 10), "failure", value)
    }
    assert.strictEqual(tag("max-age=10, stale-if-error=60", 11), "Validate")
    assert.strictEqual(fail("max-age=10, stale-while-revalidate=60", 11), "failure")
  })

  it("RF-04, RF-05, RF-07, RF-08: [lifetime, lifetime + sie), on 500, 502, 503, 504 or no answer", () => {
    const control = "max-age=600, stale-if-error=1200"
    for (const failure of [500, 502, 503, 504, "unreachable"] as const) {
      assert.strictEqual(fail(control, 900, failure), "stale")
      assert.strictEqual(fail(control, 1799.999, failure), "stale")
      assert.strictEqual(fail(control, 1800, failure), "failure")
    }
    for (const failure of [400, 403, 404, 410, 429, 501, 505]) {
      assert.strictEqual(fail(control, 900, failure), "failure", String(failure))
    }
    assert.strictEqual(Answer.given(keep(cached(control)), 900_000)["age"], "900", "RF-08")
  })

  it("RF-06: also from the request; but one that says no-cache is not given what it refused", () => {
    assert.strictEqual(fail("max-age=10", 20, 503, { "cache-control": "stale-if-error=60" }), "stale")
    assert.strictEqual(fail("max-age=10", 70, 503, { "cache-control": "stale-if-error=60" }), "failure")
    assert.strictEqual(fail(both, 20, 503, { "cache-control": "max-age=0" }), "stale")
    assert.strictEqual(fail(both, 20, 503, { "cache-control": "no-cache" }), "failure")
    assert.strictEqual(fail(both, 20, 503, { pragma: "no-cache" }), "failure")
  })

  it("RFC 9111 4.2.4: stale on disconnection is off, and has an end where it is on", () => {
    const cap = Http.rules({ staleOnDisconnect: 30_000 })
    assert.strictEqual(fail("max-age=10", 11, "unreachable"), "failure")
    assert.strictEqual(fail("max-age=10", 39.999, "unreachable", {}, cap), "stale")
    assert.strictEqual(fail("max-age=10", 40, "unreachable", {}, cap), "failure")
    assert.strictEqual(fail("max-age=10", 11, 503, {}, cap), "failure")
    assert.strictEqual(Http.onFailure(get(), undefined, "unreachable", now, cap), "failure")
  })

  it("R19: the windows a cache is asked for, in milliseconds", () => {
    const wishes = (control: string, headers: Headers.Headers = {}, rules = shared, later = 0) =>
      Http.windows(keep(cached(control, headers), { rules }), now + later * 1000)
    assert.deepStrictEqual(wishes(both, { age: "4" }, shared, 3), {
      freshFor: 10_000,
      maxAge: 70_000,
      staleIfError: 60_000,
      age: 7000
    })
    for (const word of ["must-revalidate", "proxy-revalidate", "s-maxage=10"]) {
      assert.deepStrictEqual(wishes(`${both}, ${word}`), { freshFor: 10_000, maxAge: 10_000, staleIfError: 0, age: 0 })
    }
    assert.deepStrictEqual(wishes(`${both}, no-cache`), { freshFor: 0, maxAge: 1, staleIfError: 0, age: 1 })
    assert.deepStrictEqual(wishes("max-age=0"), { freshFor: 0, maxAge: 1, staleIfError: 0, age: 1 })
    assert.deepStrictEqual(wishes("max-age=0, stale-while-revalidate=5"), {
      freshFor: 0,
      maxAge: 5000,
      staleIfError: 0,
      age: 0
    })
  })
})

describe("1.7 RFC 9111 4.3: after asking", () => {
  const stored = keep(cached("max-age=10", {
    etag: "\"a\"",
    "last-modified": at(-100),
    age: "5",
    "content-length": "10",
    "content-type": "text/plain",
    "x-a": "old"
  }))
  const later = { requestedAt: now + 20_000, receivedAt: now + 21_000 }
  const update = (headers: Headers.Headers, base = stored, request = get()) =>
    Http.update(request, base, { status: 304, headers }, later, shared)

  it("RFC 9111 4.3.1: the conditions are what the stored response says", () => {
    assert.deepStrictEqual(Http.conditions([stored]), { "if-none-match": "\"a\"", "if-modified-since": at(-100) })
    assert.deepStrictEqual(Http.conditions([keep(cached("max-age=1", { etag: "W/\"b\"" }))]), {
      "if-none-match": "W/\"b\""
    })
    assert.deepStrictEqual(Http.conditions([keep(cached("max-age=1", { etag: "b", "last-modified": "x" }))]), {})
    assert.deepStrictEqual(Http.conditions([]), {})
  })

  it("RFC 9111 3.2: a 304's fields stand in place of the stored ones, but for those of the body", () => {
    const after = update({
      "cache-control": "max-age=99",
      date: at(20),
      etag: "W/\"a\"",
      "x-a": "new",
      "x-b": "new",
      "content-length": "0",
      "content-encoding": "br",
      "content-range": "x",
      "set-cookie": "u=ann",
      connection: "x-hop",
      "x-hop": "1"
    })
    assert.deepStrictEqual(after?.headers, {
      "cache-control": "max-age=99",
      date: at(20),
      etag: "W/\"a\"",
      "last-modified": at(-100),
      "content-type": "text/plain",
      "x-a": "new",
      "x-b": "new"
    })
    assert.strictEqual(after?.length, 10, "its body is as long as it was")
    assert.strictEqual(after?.freshness.lifetime, 99_000)
    assert.strictEqual(after?.freshness.age, 1000, "the age is that of the new answer")
  })

  it("a 304 of another tag is refused; one without validators speaks of what was asked", () => {
    assert.isUndefined(update({ etag: "\"b\"" }))
    assert.isUndefined(update({ etag: "a" }))
    assert.isUndefined(update({ etag: "\"a\"" }, keep(cached("max-age=10", { "last-modified": at(-100) }))))
    assert.strictEqual(update({})?.freshness.age, 1000)
  })

  it("one that says no-store or private: answer, and drop", () => {
    for (const control of ["no-store", "private"]) {
      const after = update({ "cache-control": control })
      assert.isDefined(after && refusal(after))
    }
  })

  it("a refresh is a GET of nobody in particular", () => {
    const request = {
      method: "HEAD",
      url: "/a",
      headers: {
        accept: "text/html",
        host: "h",
        "accept-language": "en",
        cookie: "a=b",
        authorization: "x",
        "if-none-match": "\"z\"",
        "if-range": "\"z\"",
        range: "bytes=0-1",
        "cache-control": "max-stale",
        pragma: "no-cache",
        "x-forwarded-for": "1.2.3.4",
        connection: "x-hop",
        "x-hop": "1"
      }
    }
    assert.deepStrictEqual(Http.refresh(request, [stored], shared), {
      method: "GET",
      url: "/a",
      headers: {
        accept: "text/html",
        host: "h",
        "accept-language": "en",
        "if-none-match": "\"a\"",
        "if-modified-since": at(-100)
      }
    })
    assert.containsSubset(Http.refresh(request, [], own).headers, { cookie: "a=b", authorization: "x" })
  })
})

describe("1.8 RFC 9111 4.4: invalidation", () => {
  const gone = (method: string, status: number, headers: Headers.Headers = {}, url = "http://h.test/a/b?c") =>
    Http.invalidated({ method, url, headers: {} }, { status, headers }, "http").map(Http.url)

  it("by methods that are unsafe or unknown, when they went well", () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "FOO", "get"]) {
      for (const status of [200, 201, 204, 303, 399]) {
        assert.deepStrictEqual(gone(method, status), ["http://h.test/a/b?c"])
      }
      for (const status of [199, 400, 404, 500]) assert.deepStrictEqual(gone(method, status), [])
    }
    for (const method of ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"]) assert.deepStrictEqual(gone(method, 200), [])
  })

  it("Location and Content-Location too, within the same origin", () => {
    const found = gone("POST", 201, { location: "../x#y", "content-location": "HTTP://H.TEST:80/z" })
    assert.deepStrictEqual(found, ["http://h.test/a/b?c", "http://h.test/x", "http://h.test/z"])
    for (
      const location of [
        "https://h.test/x",
        "http://o.test/x",
        "//o.test/x",
        "http://h.test:81/x",
        "http://[",
        "data:x"
      ]
    ) {
      assert.deepStrictEqual(gone("POST", 201, { location }), ["http://h.test/a/b?c"], location)
    }
  })
})

describe("1.9 collapsing", () => {
  it("GET without Authorization, conditions or ranges", () => {
    assert.isTrue(Http.isShareable(get(), shared))
    assert.isFalse(Http.isShareable({ ...get(), method: "HEAD" }, shared))
    for (const name of ["authorization", "range", "if-none-match", "if-modified-since", "if-range", "if-match"]) {
      assert.isFalse(Http.isShareable(get({ [name]: "x" }), shared), name)
    }
    assert.isTrue(Http.isShareable(get({ authorization: "x" }), own))
  })
})

describe("1.10 RFC 9211: Cache-Status", () => {
  it("a hit with what is left, else why it went forward; after those before", () => {
    const table: ReadonlyArray<readonly [Answer.Handling, string]> = [
      [{ hit: true, left: 9999 }, "swr; hit; ttl=9"],
      [{ hit: true, left: -1 }, "swr; hit; ttl=-1"],
      [{ forward: "uri-miss", stored: true }, "swr; fwd=uri-miss; stored"],
      [{ forward: "stale", forwardStatus: 304, collapsed: true }, "swr; fwd=stale; fwd-status=304; collapsed"],
      [{ forward: "bypass", stored: false, collapsed: false }, "swr; fwd=bypass; collapsed=?0"]
    ]
    for (const [handling, said] of table) assert.strictEqual(Answer.cacheStatus(undefined, "swr", handling), said)
    const hit = { hit: true, left: 0 } as const
    assert.strictEqual(Answer.cacheStatus("cdn; hit", "swr", hit), "cdn; hit, swr; hit; ttl=0")
    assert.strictEqual(Answer.cacheStatus("", "a b\"", hit), "\"a b\\\"\"; hit; ttl=0")
    assert.strictEqual(Answer.cacheStatus("", "swr", hit, "k\"\n"), "swr; hit; ttl=0; key=\"k\\\"?\"")
  })
})

// ----- whatever a stranger sends

// Few words, all of them dangerous, so that generated fields are often nearly right.
const directives = "max-age s-maxage no-cache no-store private public must-revalidate proxy-revalidate immutable " +
  "stale-while-revalidate stale-if-error max-stale min-fresh only-if-cached MAX-AGE"
const letters =
  "= = , , \" \\ 0 1 5 60 -1 99999999999 * W/ \"a\" ; ( ) : bytes= - / http://h/ # é GMT x-a accept cookie"
const words = [
  ...directives.split(" "),
  ...letters.split(" "),
  at(0),
  at(60),
  at(-3600),
  " ",
  "\0",
  "\r\n",
  "\uD800"
]
const field = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals([...words, "__proto__", "constructor"])), { maxLength: 8 }),
  (all) => all.join("")
)
const often = "cache-control cache-control cache-control expires date age etag last-modified vary cdn-cache-control"
const seldom = "pragma connection content-length set-cookie authorization host range if-range if-none-match " +
  "if-modified-since location __proto__ x-a"
const name = Arbitrary.schema(Schema.Literals([...often.split(" "), ...seldom.split(" ")]))
const yes = Arbitrary.schema(Schema.Boolean)
const headers = Arbitrary.map(
  Arbitrary.array(Arbitrary.all({ name, field, other: field, many: yes }), { maxLength: 6 }),
  (all): Headers.Headers =>
    Object.fromEntries(all.map(({ field, many, name, other }) => [name, many ? [field, other] : field]))
)
const oneOf = <const A extends string | number>(...values: ReadonlyArray<A>) =>
  Arbitrary.schema(Schema.Literals(values))
const Exchange = Arbitrary.map(
  Arbitrary.all({
    asked: headers,
    answered: headers,
    again: headers,
    method: oneOf("GET", "HEAD", "POST", "x y"),
    url: field,
    status: oneOf(200, 200, 200, 204, 206, 301, 304, 404, 503, 0, 999),
    delay: oneOf(-5, 0, 3),
    later: oneOf(-50, 0, 1, 4, 5, 6, 59, 60, 61, 3000, 1e10),
    shared: yes,
    sMaxageAllowsStale: yes,
    staleOnDisconnect: oneOf(0, 1e13)
  }),
  ({ again, answered, asked, delay, later, method, status, url, ...options }) => ({
    request: { method, url, headers: asked },
    response: { status, headers: answered, length: 10 },
    again: { status: 304, headers: again },
    times: { requestedAt: now - delay * 1000, receivedAt: now },
    later: now + later * 1000,
    rules: Http.rules(options)
  })
)
const often3000 = { arbitrary: { runs: 3000 } }

describe("whatever comes", () => {
  it.prop("nothing throws, and what is stored is plain data", [Exchange], ([given]) => {
    const { again, later, request, response, rules, times } = given
    Http.refusal(request, response, times, rules)
    const stored = Http.store(request, response, times, rules)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(stored)), stored)
    for (const known of [stored, Http.update(request, stored, again, times, rules), undefined]) {
      Http.evaluate(request, known, later, rules)
      Http.onFailure(request, known, response.status, later, rules)
      if (known === undefined) continue
      const windows = Http.windows(known, later)
      assert.isTrue(Object.values(windows).every((value) => Number.isSafeInteger(value) && value >= 0))
      assert.isAtLeast(windows.maxAge, Math.max(1, windows.freshFor))
      Answer.isNotModified(request, known)
      Answer.notModified(Answer.given(known, Http.age(known.freshness, later)))
      const ranges = Answer.ranges(request, known)
      if (ranges._tag === "Parts") {
        for (const { end, start } of ranges.parts) assert.isTrue(start >= 0 && start < end && end <= known.length)
        Answer.partial(known, ranges.parts, "B")
      }
      Http.refresh(request, [known], rules)
    }
    Http.invalidated(request, response, "http")
    Http.select([stored], again.headers)
    Answer.cacheStatus(request.url, request.url, { hit: true, left: 0 }, request.url)
  }, often3000)

  const mandatory = oneOf(
    "must-revalidate",
    "no-cache",
    "proxy-revalidate",
    "s-maxage=5",
    "MUST-REVALIDATE=x",
    "no-cache=\""
  )
  it.prop(
    "never stale where revalidation is mandatory, whatever else is said by whom",
    { given: Exchange, mandatory, before: yes, by304: yes },
    ({ before, by304, given, mandatory }) => {
      const { again, later, request, response, times } = given
      const rules = Http.rules({ ...given.rules, shared: true, sMaxageAllowsStale: false, targets: [] })
      const forced = (headers: Headers.Headers): Headers.Headers => {
        const said = Headers.lines(headers, "cache-control")
        return { ...headers, "cache-control": before ? [mandatory, ...said] : [...said, mandatory] }
      }
      const first = by304 ? response : { ...response, headers: forced(response.headers) }
      const stored = Http.store(request, first, times, rules)
      const known = by304
        ? Http.update(request, stored, { ...again, headers: forced(again.headers) }, times, rules)
        : stored
      if (known === undefined) return
      const { _tag } = Http.evaluate(request, known, later, rules)
      assert.notStrictEqual(_tag, "Stale")
      if (mandatory.startsWith("no-cache")) assert.notStrictEqual(_tag, "Fresh")
      for (const failure of [503, "unreachable"] as const) {
        assert.notStrictEqual(Http.onFailure(request, known, failure, later, rules), "stale")
      }
      const { freshFor, maxAge, staleIfError } = Http.windows(known, later)
      assert.deepStrictEqual([maxAge, staleIfError], [Math.max(1, freshFor), 0])
    },
    often3000
  )

  it.prop("an age never decreases, and is never less than what Age says", [Exchange, oneOf(0, 1, 1000, 1e9)], (
    [{ later, request, response, rules, times }, more]
  ) => {
    const { freshness } = Http.store(request, response, times, rules)
    const age = Http.age(freshness, later)
    assert.isAtLeast(age, Headers.age(response.headers))
    assert.isAtLeast(Http.age(freshness, later + more), age)
    assert.strictEqual(
      Http.age(freshness, Math.max(later, now) + more),
      Http.age(freshness, Math.max(later, now)) + more
    )
  }, often3000)

  it.prop("nothing that is past all its windows is given, unless the request asks for it", [Exchange], (
    [{ later, request, response, rules, times }]
  ) => {
    const stored = Http.store(request, response, times, rules)
    const { age, freshFor, maxAge } = Http.windows(stored, later)
    const { _tag } = Http.evaluate({ ...request, headers: {} }, stored, later, rules)
    if (_tag === "Fresh") assert.isBelow(age, freshFor)
    if (_tag === "Stale") assert.isBelow(age, maxAge)
  }, often3000)

  const some = oneOf("h", "H", "h:80", "h:8080", "h.", "[::1]", "a%2eb")
  const path = oneOf("/", "", "/a", "/a?", "/a?b", "/A", "/a/", "/a//", "/%61", "/a;b", "/a/../a", "?b", "/a#b")
  const Target = Arbitrary.all({ scheme: oneOf("http", "https"), some, path, isAbsolute: yes })
  it.prop("one key if and only if one scheme, host, port, path and query", [Target, Target], (pair) => {
    const [left, right] = pair.map(({ isAbsolute, path, scheme, some }) =>
      Http.target(
        isAbsolute ? get({ host: "other" }, `${scheme}://${some}${path}`) : get({ host: some }, path),
        scheme
      )
    )
    const [a, b] = pair.map(({ path, scheme, some }) => {
      const [, host, port = ""] = /^(.*?)(?::(\d+))?$/.exec(some) ?? []
      const isDefault = port === "" || (scheme === "http" && port === "80")
      return [scheme, host?.toLowerCase(), isDefault ? "" : port, path.startsWith("/") ? path : `/${path}`]
    })
    assert.strictEqual(
      left !== undefined && right !== undefined && left.join("\0") === right.join("\0"),
      JSON.stringify(a) === JSON.stringify(b)
    )
  }, often3000)

  it.prop("one variant only if the fields say the same", [headers, headers, Schema.Boolean], ([left, right, known]) => {
    const fields = ["x-a", "accept", ...known ? ["__proto__", "cookie"] : []]
    const plain = (headers: Headers.Headers) =>
      JSON.stringify(fields.map((field) => Headers.text(headers, field)?.replace(/[ \t]*,[ \t]*/g, ",").trim() ?? null))
    const [a, b] = [Http.variant(fields, left), Http.variant(fields, right)]
    assert.strictEqual(JSON.stringify(a) === JSON.stringify(b), plain(left) === plain(right))
  }, often3000)
})
