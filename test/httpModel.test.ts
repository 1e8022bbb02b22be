/**
 * Random sequences of what readers, an origin, time and invalidations can do to an HTTP cache, in memory and over a
 * store, and what must be true of each answer. The origin writes into each answer which load it was and whose.
 *
 * HTTP_MODEL_RUNS: how many sequences (default 120), HTTP_MODEL_FROM: from which on. HTTP_MODEL_REPLAY: the number of
 * the one that failed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Scheduler, Stream } from "effect"
import { Swr } from "effect-swr"
import * as HttpCache from "effect-swr/HttpCache"
import * as Testing from "effect-swr/Testing"
import { TestClock } from "effect/testing"
import { settle, start } from "./Origin.ts"

// ----- what an origin answers

const kinds = {
  fresh: "max-age=5",
  swr: "max-age=5, stale-while-revalidate=10",
  sie: "max-age=5, stale-if-error=20",
  strict: "max-age=5, must-revalidate",
  "no-cache": "no-cache",
  nothing: undefined,
  private: "private, max-age=5",
  "no-store": "no-store",
  cookie: "max-age=5",
  star: "max-age=5",
  sick: undefined,
  own: "private",
  refused: undefined
} as const
type Kind = keyof typeof kinds

const personal: ReadonlyArray<Kind> = ["private", "no-store", "cookie", "star", "own"]
const failing: ReadonlyArray<Kind> = ["sick", "own", "refused"]

/** What a URL answers by now. */
interface Page {
  kind: Kind
  varies: boolean
  tagged: boolean
  version: number
}

/** A request to the origin. */
interface Load {
  readonly url: string
  readonly reader: string
  /** For who asked, and nobody else. */
  isOwn: boolean
  readonly kind: Kind
  readonly gate: Deferred.Deferred<void>
  ended: number | undefined
}

// ----- what readers ask

const hosts = ["h.test", "i.test"]
const paths = ["/a", "/b"]
const readers = [["ann", "en"], ["bob", "fr"], ["cy", "en"], ["dan", "de"]] as const
const fields = {
  plain: {},
  "no-cache": { "cache-control": "no-cache" },
  "max-stale": { "cache-control": "max-stale=30" },
  cached: { "cache-control": "only-if-cached" },
  "no-store": { "cache-control": "no-store" },
  auth: { authorization: "x" },
  cookie: { cookie: "a=b" },
  range: { range: "bytes=0-4" },
  known: {}
} as const
const hows = ["plain", "plain", "plain", "plain", "known", "known", ...Object.keys(fields)] as ReadonlyArray<
  keyof typeof fields
>

/** Numbers that look like chance and are the same each time. */
const chance = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const to = (count: number) => Math.floor(next() * count)
  const of = <A>(all: ReadonlyArray<A>): A => {
    const one = all[to(all.length)]
    assert.isDefined(one)
    return one
  }
  return { to, of }
}

const STEPS = 40

/**
 * One process, the same with room for little, two over a store; over one whose announcements are lost, or a slow one.
 * `pausing`: fibers give way after a few steps, so that others come between any two.
 */
const settings = ["memory", "small", "pausing", "fleet", "deaf", "slow"] as const

/** One sequence; its trace is what was done. */
const run = (seed: number, trace: Array<string>) =>
  Effect.gen(function*() {
    const { of, to } = chance(seed)
    const setting = settings[seed % settings.length] ?? "memory"
    const isFleet = ["fleet", "deaf", "slow"].includes(setting)
    const isFar = setting === "deaf" || setting === "slow"
    const loads: Array<Load> = []
    const pages = new Map<string, Page>()
    for (const host of hosts) {
      for (const path of paths) {
        const url = `http://${host}${path}`
        pages.set(url, { kind: "fresh", varies: to(2) === 0, tagged: to(2) === 0, version: 1 })
      }
    }
    const pageOf = (url: string): Page => {
      const page = pages.get(url)
      assert.isDefined(page, url)
      return page
    }

    const load = (reader: string, request: HttpCache.Request, wanted: HttpCache.Request | undefined) =>
      Effect.gen(function*() {
        const asked = wanted ?? request
        const url = asked.url.startsWith("/") ? `http://${String(asked.headers["host"])}${asked.url}` : asked.url
        const { kind, tagged, varies, version } = pageOf(url)
        const gate = yield* Deferred.make<void>()
        const mine: Load = {
          url,
          reader,
          kind,
          gate,
          isOwn: wanted === undefined || personal.includes(kind),
          ended: undefined
        }
        const number = loads.push(mine)
        trace.push(`  load ${number} of ${url} for ${reader} (${wanted === undefined ? "own" : "shared"}, ${kind})`)
        if (wanted !== undefined) {
          assert.strictEqual(wanted.method, "GET")
          for (const name of ["cookie", "authorization", "range"]) assert.isUndefined(wanted.headers[name], name)
        }
        const now = Effect.map(Clock.currentTimeMillis, (now) => {
          mine.ended = now
        })
        yield* Effect.ensuring(Deferred.await(gate), now)
        if (kind === "refused") return yield* Effect.fail("refused")
        const variant = varies ? String(asked.headers["accept-language"]) : "any"
        const etag = `"${version}-${variant}"`
        const control = kinds[kind]
        const headers = {
          "x-load": `${number}`,
          ...control !== undefined && { "cache-control": control },
          ...tagged && { etag },
          ...kind === "cookie" && { "set-cookie": ["a=1", `reader=${reader}`] },
          ...kind === "star" ? { vary: "*" } : varies ? { vary: "accept-language" } : {}
        }
        if (failing.includes(kind)) return { status: 503, headers, body: new Uint8Array() }
        if (tagged && asked.headers["if-none-match"] === etag) {
          // Its cookie is dropped, and the rest for all.
          if (kind === "cookie" && wanted !== undefined) mine.isOwn = false
          return { status: 304, headers, body: new Uint8Array() }
        }
        // A view of more than it is, as small bodies are in Node.
        const text = new TextEncoder().encode(`junk|${url} ${version} ${variant}|junk`)
        return {
          status: 200,
          headers,
          body: asked.method === "HEAD" ? new Uint8Array() : text.subarray(5, text.length - 5)
        }
      })

    const options = setting === "small" ? { capacity: 3, variants: 1 } : {}
    const store = yield* Testing.simulatedStore({ seed })
    if (setting === "deaf") yield* store.lose(1)
    if (setting === "slow") yield* store.latency({ request: "10 millis", reply: "10 millis", announcement: "1 second" })
    const processes: Array<HttpCache.Exchange> = []
    for (const name of isFleet ? ["a", "b"] : ["a"]) {
      const layer = isFleet ? Swr.layerStore().pipe(Layer.provide(store.connect(name))) : Swr.layer()
      processes.push(
        yield* Effect.provideContext(
          HttpCache.exchange({
            ...options,
            // One tag per path, whatever the host.
            tags: ({ url }) => [url.replace(/^http:\/\/[^/]*/, "")]
          }),
          yield* Layer.build(layer)
        )
      )
    }

    /** Loads up to this one may not be given any more to who comes now. */
    const bounds = new Map<string, number>()
    const tags = new Map<string, string>()
    const fibers: Array<Fiber.Fiber<void>> = []

    const read = (name: string, language: string, url: string, how: keyof typeof fields, method: string) =>
      Effect.gen(function*() {
        const { host, pathname } = new URL(url)
        const known = tags.get(`${name} ${url}`)
        const isPath = to(2) === 0
        const request: HttpCache.Request = {
          method,
          url: isPath ? pathname : url,
          headers: {
            "accept-language": language,
            ...isPath && { host },
            ...fields[how],
            ...how === "known" && known !== undefined && { "if-none-match": known }
          }
        }
        const arrived = loads.length
        const since = yield* Clock.currentTimeMillis
        const bound = bounds.get(url) ?? 0
        const exit = yield* Effect.exit(of(processes).answer(request, (wanted) => load(name, request, wanted)))
        if (Exit.isFailure(exit)) {
          if (Exit.hasInterrupts(exit)) return
          assert.isTrue(loads.some((load) => load.url === url && load.kind === "refused"), String(exit.cause))
          return
        }
        const { body, headers, status } = exit.value
        const about = `${name} ${method} ${url} (${how}), after load ${arrived}, bound ${bound}: ${status} ${
          JSON.stringify(headers)
        }`
        trace.push(`  ${about}`)
        if (status === 504) return
        if (status === 304) {
          assert.strictEqual(headers["etag"], known, `a tag it has: ${about}`)
          return
        }
        const number = Number(headers["x-load"])
        const given = loads[number - 1]
        assert.isDefined(given, about)
        const { ended = since, isOwn, kind } = given
        const isNew = number > arrived
        assert.strictEqual(given.url, url, `another URL's: ${about}`)
        if (headers["set-cookie"] !== undefined) assert.isTrue(isOwn, `a cookie: ${about}`)
        if (isOwn) {
          assert.strictEqual(given.reader, name, `another reader's: ${about}`)
          assert.isTrue(isNew, `kept: ${about}`)
        }
        if (kind === "sick" || kind === "own") {
          assert.strictEqual(status, 503)
          return
        }
        assert.isAbove(number, bound, `invalidated: ${about}`)
        // A 304 that says nothing of it leaves it as it was.
        const control = String(headers["cache-control"])
        const asks = how === "no-cache" || how === "no-store" || control === "no-cache"
        if (asks) assert.isTrue(isNew, `not asked: ${about}`)
        const hasFailed = loads.some((other) => other.url === url && failing.includes(other.kind))
        const beyond = Math.max(
          control.includes("revalidate=10") ? 10 : 0,
          control.includes("if-error") && hasFailed ? 20 : 0,
          how === "max-stale" && !control.includes("must") ? 30 : 0
        )
        const life = headers["x-cache"] === "HIT" ? 5000 : 5000 + beyond * 1000
        if (!isNew) assert.isBelow(since - ended, life + (how === "max-stale" ? 1 : 0), `too old: ${about}`)
        const tag = headers["etag"]
        if (typeof tag === "string") tags.set(`${name} ${url}`, tag)
        if (method === "HEAD") return
        const text = body instanceof Uint8Array
          ? new TextDecoder().decode(body)
          : yield* Stream.mkString(Stream.decodeText(body))
        if (status === 206) return assert.strictEqual(text, url.slice(0, 5), about)
        assert.strictEqual(status, 200, about)
        const [from, version, variant] = text.split(" ")
        assert.strictEqual(from, url, `another URL's body: ${text}: ${about}`)
        if (tag !== undefined) {
          assert.strictEqual(tag, `"${version}-${variant}"`, `another tag's body: ${text}: ${about}`)
        }
        if (headers["vary"] === "accept-language") assert.strictEqual(variant, language, `${text}: ${about}`)
      }).pipe(Effect.orDie)

    const waiting = () => loads.filter((load) => load.ended === undefined)
    const end = (one: Load) => Effect.andThen(Deferred.succeed(one.gate, undefined), settle)
    const voided = (what: string, urls: ReadonlyArray<string>, say: Effect.Effect<unknown, unknown>) =>
      Effect.gen(function*() {
        const before = loads.length
        yield* say
        // What was said is heard by the others, or they have asked.
        yield* isFar ? Effect.sleep("3 seconds") : settle
        trace.push(`  said: ${what}, up to load ${before}`)
        for (const url of urls) bounds.set(url, Math.max(bounds.get(url) ?? 0, before))
      })

    const all = Array.from(pages.keys())
    const step = Effect.gen(function*() {
      const url = of(all)
      const page = pageOf(url)
      const { pathname } = new URL(url)
      const { answer, clear, invalidate, invalidateTag } = of(processes)
      const what = to(22)
      if (what < 9) {
        const [name, language] = of(readers)
        const [how, method] = [of(hows), to(8) === 0 ? "HEAD" : "GET"]
        trace.push(`${name} asks ${method} ${url} (${how})`)
        fibers.push(yield* start(read(name, language, url, how, method)))
      } else if (what < 14) {
        const open = waiting()
        if (open.length > 0) {
          const one = of(open)
          trace.push(`load ${loads.indexOf(one) + 1} ends`)
          yield* end(one)
        }
      } else if (what < 17) {
        const millis = of([20, 500, 1000, 4000, 5000, 12_000])
        trace.push(`${millis} ms`)
        yield* TestClock.adjust(millis)
      } else if (what < 19) {
        const kind = to(2) === 0 ? "fresh" : of(Object.keys(kinds) as ReadonlyArray<Kind>)
        Object.assign(page, {
          kind,
          varies: to(2) === 0,
          tagged: to(2) === 0,
          version: page.version + to(2)
        })
        trace.push(`${url} is ${JSON.stringify(page)}`)
      } else if (what === 19) {
        const spelt = of([url, url.replace("http://h", "HTTP://H"), url.replace(".test", ".test:80"), `${url}#x`])
        trace.push(`invalidate ${spelt}`)
        fibers.push(yield* start(Effect.orDie(voided(url, [url], invalidate(spelt)))))
      } else if (what === 20) {
        const other = all.find((each) => each !== url && new URL(each).host === new URL(url).host) ?? url
        trace.push(`POST ${url}, of ${other}`)
        const post = answer(
          { method: "POST", url, headers: {} },
          () => Effect.succeed({ status: 201, headers: { location: new URL(other).pathname }, body: new Uint8Array() })
        )
        fibers.push(yield* start(Effect.orDie(voided("POST", [url, other], post))))
      } else if (to(3) === 0) {
        trace.push("clear")
        fibers.push(yield* start(Effect.orDie(voided("clear", all, clear))))
      } else {
        trace.push(`invalidateTag ${pathname}`)
        const urls = all.filter((each) => each.endsWith(pathname))
        fibers.push(yield* start(Effect.orDie(voided(`tag ${pathname}`, urls, invalidateTag(pathname)))))
      }
      if (to(12) === 0 && fibers.length > 0) {
        trace.push("a reader leaves")
        of(fibers).interruptUnsafe()
      }
      yield* settle
    })
    for (let i = 0; i < STEPS; i++) yield* step
    for (let i = 0; i < 20; i++) {
      yield* Effect.forEach(waiting(), end, { discard: true })
      yield* TestClock.adjust("1 second")
      yield* settle
    }
    yield* TestClock.adjust("2 minutes")
    yield* settle
    for (const fiber of fibers) {
      const exit = fiber.pollUnsafe()
      assert.isDefined(exit, "it still waits")
      if (!Exit.hasInterrupts(exit)) yield* exit
    }
  }).pipe(Effect.scoped)

describe("any sequence of what can happen", () => {
  const replay = process.env["HTTP_MODEL_REPLAY"]
  const runs = Number(process.env["HTTP_MODEL_RUNS"] ?? 120)
  const from = Number(process.env["HTTP_MODEL_FROM"] ?? 0)
  const seeds = replay === undefined ? Array.from({ length: runs }, (_, i) => from + i) : [Number(replay)]
  it.effect(
    "R11, I22: an answer is its reader's, its URL's, its variant's, whole, asked for since, and young enough",
    () =>
      Effect.forEach(seeds, (seed) => {
        const trace: Array<string> = []
        const pauses = settings[seed % settings.length] === "pausing" ? 4 + seed % 11 : 2048
        const running = Effect.provideService(run(seed, trace), Scheduler.MaxOpsBeforeYield, pauses)
        return Effect.tapCause(running, () =>
          Effect.sync(() => {
            // oxlint-disable-next-line no-console -- how to see it again, and what was done
            console.error(`HTTP_MODEL_REPLAY=${seed}\n${trace.join("\n")}`)
          }))
      }, { discard: true }),
    600_000
  )
})
