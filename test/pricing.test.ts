/**
 * The main job, `examples/pricing`: its pure parts, its routes, and runs of the whole as a user starts it.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref, Result, Schema } from "effect"
import { Swr } from "effect-swr"
import { HttpClient, HttpRouter } from "effect/http"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { arrivals, seeded, zipf } from "../examples/pricing/Arrivals.ts"
import { chart, type Frame, rowOf, ruler, timeAxis } from "../examples/pricing/Chart.ts"
import { parseMillis } from "../examples/pricing/Flags.ts"
import * as Origin from "../examples/pricing/Origin.ts"
import { type Health, plan } from "../examples/pricing/Outage.ts"
import { type Price, priceAt } from "../examples/pricing/Price.ts"
import { OriginUnavailable, Pricing, UnknownSku } from "../examples/pricing/Pricing.ts"
import { products } from "../examples/pricing/Products.ts"
import * as Progress from "../examples/pricing/Progress.ts"
import * as Recording from "../examples/pricing/Recording.ts"
import { figures, make, percentile, Report } from "../examples/pricing/Report.ts"
import type { Route, Sample } from "../examples/pricing/Sample.ts"
import { render, showLatency, verdict, wrap } from "../examples/pricing/Screen.ts"
import { Caches, Routes } from "../examples/pricing/Server.ts"
import { full, quick, resolve, type Settings, showMillis } from "../examples/pricing/Settings.ts"
import { mainOf } from "./MainJob.ts"

const plain = (text: string) => text

describe("arrivals", () => {
  it("random numbers are the same for the same seed, and spread over [0, 1)", () => {
    const [a, b, other] = [seeded(7), seeded(7), seeded(8)]
    const numbers = Array.from({ length: 10_000 }, a)
    assert.deepStrictEqual(numbers, Array.from({ length: 10_000 }, b))
    assert.notStrictEqual(numbers[0], other())
    assert.isTrue(numbers.every((number) => number >= 0 && number < 1))
    for (const tenth of Array(10).keys()) {
      const share = numbers.filter((number) => Math.floor(number * 10) === tenth).length / numbers.length
      assert.closeTo(share, 0.1, 0.015)
    }
  })

  it("zipf: rank n has the weight 1 / (n + 1)", () => {
    const choose = zipf(3) // weights 6, 3, 2 of 11
    assert.deepStrictEqual([0, 5.9 / 11, 6.1 / 11, 8.9 / 11, 9.1 / 11, 0.9999999].map(choose), [0, 0, 1, 1, 2, 2])
    assert.strictEqual(zipf(1)(0.5), 0)
  })

  it("come in order, within the duration, at the rate, the most wanted first", () => {
    const skus = ["a", "b", "c", "d"]
    const all = Array.from(arrivals({ seed: 1, rate: 200, duration: 20_000, skus }))
    assert.closeTo(all.length, 4000, 200)
    assert.isTrue(all.every(({ at }, index) => at < 20_000 && at >= (all[index - 1]?.at ?? 0)))
    const counts = skus.map((wanted) => all.filter(({ sku }) => sku === wanted).length)
    assert.deepStrictEqual(counts, counts.toSorted((x, y) => y - x))
    assert.closeTo((counts[0] ?? 0) / all.length, 12 / 25, 0.03)
    assert.deepStrictEqual(all, Array.from(arrivals({ seed: 1, rate: 200, duration: 20_000, skus })))
  })
})

describe("prices", () => {
  it("200 products, each SKU once", () => {
    assert.strictEqual(products.length, 200)
    assert.strictEqual(new Set(products.map(({ sku }) => sku)).size, 200)
    assert.isTrue(products.every(({ listPrice }) => Number.isInteger(listPrice) && listPrice > 0))
  })

  it("move a little, the same way each time", () => {
    for (const product of products) {
      const amounts = Array.from({ length: 90 }, (_, second) => priceAt(product, second * 1000).amount)
      assert.isTrue(amounts.every((amount) => Math.abs(amount / product.listPrice - 1) < 0.05))
      assert.isAbove(new Set(amounts).size, 5)
      assert.deepStrictEqual(priceAt(product, 1500), priceAt(product, 1000))
    }
  })
})

describe("settings", () => {
  const refused = (named: Partial<Settings>): string => {
    const result = resolve(named, full)
    return Result.isFailure(result) ? result.failure.message : "accepted"
  }

  it("the defaults go together", () => {
    assert.deepStrictEqual(resolve({}, full), Result.succeed(full))
    assert.deepStrictEqual(resolve({}, quick), Result.succeed(quick))
  })

  it("some defaults follow from what was named", () => {
    const { outageLength, outageStart, originTimeout } = Result.getOrThrow(
      resolve({ duration: 10_000, originLatency: 200 }, full)
    )
    assert.deepStrictEqual([outageStart, outageLength, originTimeout], [3500, 3000, 500])
  })

  it("what does not go together is refused by the names of the flags", () => {
    assert.include(refused({ duration: 500 }), "--duration: got 500ms, allowed is 1s to 1h")
    assert.include(refused({ rate: 2000, duration: 600_000 }), "500,000 arrivals")
    assert.include(refused({ originTimeout: 500 }), "--origin-timeout: got 500ms")
    assert.include(refused({ outageStart: 35_000 }), "--outage-start, --outage-length: got 35s to 47s")
    assert.include(refused({ freshFor: 2000, maxAge: 1000 }), "--fresh-for: got 2000 ms, allowed is at most --max-age")
    assert.include(refused({ staleIfError: 5000 }), "--stale-if-error: got 5000 ms")
  })

  it("times are read and shown as people write them", () => {
    for (const text of ["1ms", "400ms", "1s", "1.5s", "90s", "1m", "5m"]) {
      const millis = parseMillis(text)
      assert.strictEqual(millis._tag === "Some" ? showMillis(millis.value) : "", text === "90s" ? "90s" : text)
    }
    assert.deepStrictEqual(parseMillis("2 seconds"), parseMillis("2s"))
    for (const text of ["", "2", "2x", "s", "-1s", "-1 second", "Infinity", "1 s s", "NaNs"]) {
      assert.strictEqual(parseMillis(text)._tag, "None", text)
    }
  })

  it("an outage of all kinds has three parts without gaps", () => {
    const parts = plan(full)
    assert.deepStrictEqual(parts.map(({ health }) => health), ["error", "hang", "refuse"])
    assert.deepStrictEqual([parts[0]?.from, parts[1]?.from, parts[2]?.from, parts[2]?.to], [14e3, 18e3, 22e3, 26e3])
    assert.deepStrictEqual(plan({ ...full, outageKind: "hang" }), [{ from: 14e3, to: 26e3, health: "hang" }])
    assert.deepStrictEqual(plan({ ...full, outageLength: 0 }), [])
  })
})

const sample = (route: Route, at: number, latency: number, rest: Partial<Sample> = {}): Sample => ({
  route,
  at,
  latency,
  status: 200,
  cache: "HIT",
  age: 0,
  ...rest
})

/** One request of each route every 100 ms, as they should go. */
const wellBehaved = (): Recording.Recording => ({
  complete: true,
  measured: full.duration,
  samples: Array.from({ length: 400 }, (_, index) => index * 100).flatMap((at) => {
    const isDown = at >= 14_000 && at < 26_000
    return [
      sample("ttl", at, at % 500 === 0 ? 400 : 1, isDown ? { status: 503, cache: null } : {}),
      sample("swr", at, 1, isDown ? { cache: "STALE", age: Math.floor((at - 14_000) / 1000) } : {})
    ]
  }),
  marks: [[0, 10], [14_000, 30], [26_000, 35], [40_000, 60]].map(([at = 0, loads = 0]) => ({
    at,
    lookups: { ttl: loads * 2, swr: loads }
  })),
  late: { p99: 1.5, max: 3 }
})

describe("the report", () => {
  it("percentiles are of the nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
    assert.deepStrictEqual([0, 0.5, 0.99, 0.999, 1].map((share) => percentile(hundred, share)), [1, 50, 99, 100, 100])
    assert.strictEqual(percentile([7], 0.5), 7)
    assert.isNull(percentile([], 0.5))
  })

  it("figures are of one route and one phase", () => {
    const recording = wellBehaved()
    assert.deepStrictEqual(figures(recording, "ttl", 0, Infinity), {
      requests: 400,
      failed: 120,
      p50: 1,
      p99: 400,
      p999: 400,
      max: 400,
      stale: 0,
      oldest: 0,
      lookups: 100
    })
    assert.deepStrictEqual(figures(recording, "swr", 14_000, 26_000), {
      requests: 120,
      failed: 0,
      p50: 1,
      p99: 1,
      p999: 1,
      max: 1,
      stale: 120,
      oldest: 11,
      lookups: 5
    })
  })

  it("has no problem with a run as it should be, and survives JSON", () => {
    const report = make(wellBehaved(), full)
    assert.deepStrictEqual(report.problems, [])
    const json = Schema.fromJsonString(Report)
    assert.deepStrictEqual(Schema.decodeSync(json)(Schema.encodeSync(json)(report)), report)
  })

  it("names what went wrong on the SWR route, and a busy machine", () => {
    const recording = wellBehaved()
    recording.samples.push(sample("swr", 15_000, 1, { status: 0, cache: null }))
    assert.deepStrictEqual(make(recording, full).problems, [
      "1 request of the SWR route failed in the run",
      "1 request of the SWR route failed in the outage"
    ])
    const slow = wellBehaved()
    slow.samples.push(...Array.from({ length: 2000 }, (_, index) => sample("swr", 1000 + index, 200)))
    slow.late = { p99: 90, max: 120 }
    assert.deepStrictEqual(make(slow, full).problems, [
      "the median of the SWR route in the run was 200 ms, not below half of the origin's 400 ms",
      "the load generator itself was late by 90 ms at p99: is the machine busy with other work?"
    ])
    assert.deepStrictEqual(make(Recording.make(), full).problems, ["nothing was measured"])
  })

  it("of a run stopped before the outage says nothing of it", () => {
    const recording = { ...wellBehaved(), complete: false, measured: 3000 }
    assert.isNull(make(recording, full).swr.outage)
  })
})

describe("the picture", () => {
  const frame: Frame = { columns: 20, duration: 20_000, stretches: [{ from: 5000, to: 15_000, label: "hangs" }] }

  it("latencies are on a logarithmic scale, three rows a decade", () => {
    assert.deepStrictEqual([0, 0.05, 0.1, 0.2, 0.22, 1, 10, 100, 999, 1000, 60_000].map(rowOf), [
      0,
      0,
      0,
      0,
      1,
      3,
      6,
      9,
      11,
      12,
      12
    ])
  })

  it("a cell is as dark as its share of the column, and a cross where a request failed", () => {
    const dots = [
      ...Array.from({ length: 9 }, () => ({ at: 0, latency: 1, failed: false })),
      { at: 0, latency: 450, failed: false },
      { at: 19_999, latency: 1, failed: true }
    ]
    const lines = chart(frame, dots, plain)
    assert.strictEqual(lines.length, 13)
    assert.isTrue(lines.every((line) => line.length === 29))
    assert.strictEqual(lines.find((line) => line.includes(" 1 ms")), "   1 ms │█    ┊         ┊   ×")
    assert.strictEqual(lines.filter((line) => line.charAt(9) === "▒").length, 1)
  })

  it("pieces of one tone are painted together", () => {
    const [top = ""] = chart(frame, [], (text, tone) => `<${tone}:${text}>`)
    assert.strictEqual(top, "<dim:  1 s + │     ┊         ┊    >")
  })

  it("stretches are named where there is room", () => {
    assert.strictEqual(ruler(frame, "outage"), " outage       ├ hangs ─┤")
    const narrow = (to: number) => ruler({ ...frame, stretches: [{ from: 0, to, label: "hangs" }] }, "")
    assert.strictEqual(narrow(7000).trim(), "├hangs┤")
    assert.strictEqual(narrow(6000).trim(), "├────┤")
    assert.strictEqual(narrow(1000).trim(), "├┤")
  })

  it("the time axis has its labels under its ticks", () => {
    const [rule = "", labels = ""] = timeAxis(frame)
    assert.strictEqual(rule, "        └┬─────────┬─────────")
    assert.strictEqual(labels, "         0 s       10 s")
  })

  it("the screen holds both timelines, the table and the verdict, at any width", () => {
    const recording = wellBehaved()
    const report = make(recording, full)
    for (const columns of [20, 80, 100, 300]) {
      const lines = render(report, recording.samples, full, { columns, paint: plain })
      assert.isTrue(lines.every((line) => line.length <= Math.max(80, Math.min(columns, 140))), `${columns} columns`)
    }
    const screen = render(report, recording.samples, full, { columns: 120, paint: plain }).join("\n")
    assert.match(screen, / failed {2,}120 {2,}0 {2,}120 {2,}0\n/)
    assert.match(screen, / lookups \(origin calls\) +100 +50 +10 +5\n/)
    assert.match(screen, /├─+ 503s ─+┤├─+ hangs ─+┤├─+ down ─+┤/)
    assert.include(screen, "no coordinated omission")
    assert.include(screen, "late by 1.50 ms at p99")
    assert.deepStrictEqual(verdict(report), [
      "No reader of the SWR route noticed the outage: none of 120 requests failed, p99 1.00 ms. " +
      "TTL: 120 failed, p99 400 ms."
    ])
  })

  it("latencies are shown with two or three digits", () => {
    assert.deepStrictEqual([null, 0.842, 8.42, 42.15, 421.5, 1015].map(showLatency), [
      "-",
      "0.84 ms",
      "8.42 ms",
      "42.1 ms",
      "422 ms",
      "1.01 s"
    ])
  })

  it("text is wrapped between words", () => {
    assert.deepStrictEqual(wrap("one two three", 9), [" one two", " three"])
    assert.deepStrictEqual(wrap("incomprehensible", 5), [" incomprehensible"])
  })

  it("the progress tells of the last two seconds", () => {
    const samples = wellBehaved().samples.filter(({ at }) => at < 16_000)
    assert.strictEqual(
      Progress.line(full, samples, 16_000),
      "  16 of 40 s   SWR p99 1.00 ms   TTL p99  400 ms, 100 % failed   origin: 503s"
    )
    assert.strictEqual(Progress.line(full, [], 0), "   0 of 40 s   SWR p99       -   TTL p99       -")
  })
})

describe("the service", () => {
  const price: Price = { sku: "a", name: "A", currency: "EUR", amount: 100, second: 0 }

  const service = (health: Ref.Ref<Health>) =>
    HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(Caches.layer(full)),
      Layer.provide(Layer.succeed(Pricing, {
        quote: Effect.fnUntraced(function*(sku) {
          if ((yield* Ref.get(health)) !== "up") return yield* new OriginUnavailable({ message: "down" })
          if (sku !== price.sku) return yield* new UnknownSku({ sku })
          return price
        })
      })),
      Layer.provide(Swr.layer()),
      Layer.provideMerge(NodeHttpServer.layerTest)
    )

  const get = Effect.fnUntraced(function*(path: string) {
    const response = yield* HttpClient.get(path)
    return [response.status, response.headers["x-cache"], response.headers["age"]]
  })

  it.effect("TTL: fresh, then a wait for the origin, then an error while it is down", () =>
    Effect.gen(function*() {
      const health = yield* Ref.make<Health>("up")
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* get("/ttl/price/a"), [200, "MISS", "0"])
        yield* TestClock.adjust("1999 millis")
        assert.deepStrictEqual(yield* get("/ttl/price/a"), [200, "HIT", "1"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* get("/ttl/price/a"), [200, "MISS", "0"])
        yield* TestClock.adjust("2 seconds")
        yield* Ref.set(health, "error")
        assert.deepStrictEqual((yield* get("/ttl/price/a"))[0], 503)
      }).pipe(Effect.provide(service(health)))
    }))

  it.effect("SWR: fresh, then stale at once and refreshed, then stale while the origin is down", () =>
    Effect.gen(function*() {
      const health = yield* Ref.make<Health>("up")
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* get("/swr/price/a"), [200, "MISS", "0"])
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* get("/swr/price/a"), [200, "STALE", "2"])
        assert.deepStrictEqual(yield* get("/swr/price/a"), [200, "HIT", "0"])
        yield* Ref.set(health, "error")
        for (const age of ["10", "20", "59", "60", "90", "301"]) {
          yield* TestClock.setTime((Number(age) + 2) * 1000)
          assert.deepStrictEqual(yield* get("/swr/price/a"), [200, "STALE", age])
        }
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual((yield* get("/swr/price/a"))[0], 503)
      }).pipe(Effect.provide(service(health)))
    }))

  it.effect("a product that the origin does not know is not found, up or stale", () =>
    Effect.gen(function*() {
      const health = yield* Ref.make<Health>("up")
      yield* Effect.gen(function*() {
        assert.deepStrictEqual((yield* get("/swr/price/b"))[0], 404)
        assert.deepStrictEqual((yield* get("/ttl/price/b"))[0], 404)
        yield* Ref.set(health, "error")
        assert.deepStrictEqual((yield* get("/swr/price/b"))[0], 503)
      }).pipe(Effect.provide(service(health)))
    }))
})

describe("the origin", () => {
  const origin = (health: Ref.Ref<Health>) =>
    HttpRouter.serve(Origin.routes({ seed: 1, originLatency: 1, failureShare: 0 }, health), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

  it.live("answers prices, and is as ill as it is told", () =>
    Effect.gen(function*() {
      const health = yield* Ref.make<Health>("up")
      const statusOf = (sku: string) => Effect.map(HttpClient.get(`/price/${sku}`), ({ status }) => status)
      yield* Effect.gen(function*() {
        assert.strictEqual(yield* statusOf("COF-1001"), 200)
        assert.strictEqual(yield* statusOf("COF-9999"), 404)
        yield* Ref.set(health, "error")
        assert.strictEqual(yield* statusOf("COF-1001"), 503)
        yield* Ref.set(health, "hang")
        const waited = yield* Effect.timeoutOption(statusOf("COF-1001"), "100 millis")
        assert.strictEqual(waited._tag, "None")
      }).pipe(Effect.provide(origin(health)))
    }))
})

// ----- the whole, compiled and run as a user runs it

const main = mainOf("test-pricing")

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs it to its end; with `stopAt`, sends SIGINT as soon as stderr has that text. */
const job = (args: ReadonlyArray<string>, stopAt?: RegExp) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, [main.path, ...args], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => stdout += String(chunk))
    child.stderr.on("data", (chunk) => {
      const before = stderr
      stderr += String(chunk)
      if (stopAt !== undefined && !stopAt.test(before) && stopAt.test(stderr)) child.kill("SIGINT")
    })
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const pidsIn = (text: string): ReadonlyArray<number> =>
  Array.from(text.matchAll(/\(pid (\d+)\)/g), ([, pid]) => Number(pid))

describe("the job", { timeout: 60_000 }, () => {
  beforeAll(main.build, 60_000)

  it.live("shows the difference", () =>
    Effect.gen(function*() {
      const small = [
        "--duration",
        "3s",
        "--rate",
        "60",
        "--skus",
        "20",
        "--fresh-for",
        "400ms",
        "--origin-latency",
        "300ms"
      ]
      const { code, stderr, stdout } = yield* job(["--json", ...small])
      assert.strictEqual(code, 0, stderr)
      const report = yield* Schema.decodeEffect(Schema.fromJsonString(Report))(stdout)
      const { outage, run } = report.swr
      assert.isTrue(report.complete)
      // The same arrivals on both routes.
      assert.strictEqual(run.requests, report.ttl.run.requests)
      assert.closeTo(run.requests, 180, 60)
      // The origin was down, and only readers of the TTL route noticed.
      assert.strictEqual(run.failed, 0)
      assert.isAbove(report.ttl.outage?.failed ?? 0, 0)
      assert.isAbove(outage?.stale ?? 0, 0)
      // On a busy machine as well.
      assert.isBelow(run.p50 ?? Infinity, 150)
      assert.isAbove(report.ttl.run.max ?? 0, 200)
      assert.isBelow(run.lookups, report.ttl.run.lookups)
      assert.deepStrictEqual(pidsIn(stderr).filter(isAlive), [])
    }))

  it.live("stops at Ctrl-C with a report of what was measured and without leaving a process", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* job(["--json", "--skus", "5", "--duration", "20s"], / of 20 s /)
      assert.strictEqual(code, 130)
      const report = yield* Schema.decodeEffect(Schema.fromJsonString(Report))(stdout)
      assert.isFalse(report.complete)
      assert.isAbove(report.swr.run.requests, 0)
      assert.isBelow(report.measured, 15_000)
      const pids = pidsIn(stderr)
      assert.strictEqual(pids.length, 2)
      assert.deepStrictEqual(pids.filter(isAlive), [])
      assert.notInclude(stderr, "    at ")
    }))

  it.live("names what is wrong on the command line, on stderr", () =>
    Effect.gen(function*() {
      for (
        const [args, message] of [
          [["--rate", "0"], `Invalid value for flag --rate: "0". Expected 0.1 to 2000`],
          [["--max-age", "1s"], "--fresh-for: got 2000 ms, allowed is at most --max-age (1000 ms)"]
        ] as const
      ) {
        const { code, stderr, stdout } = yield* job(args)
        assert.deepStrictEqual([code, stdout], [1, ""])
        assert.include(stderr, message)
        assert.notInclude(stderr, "    at ")
      }
    }))
})
