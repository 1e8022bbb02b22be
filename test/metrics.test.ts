/** What happens is counted, and reaches an operator's Prometheus or collector as the docs say. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, type Duration, Effect, Exit, Fiber, Layer, Metric, Option, Queue, Schema, Scope } from "effect"
import { Swr } from "effect-swr"
import * as Auditor from "effect-swr/Auditor"
import * as Metrics from "effect-swr/Metrics"
import * as Testing from "effect-swr/Testing"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Otlp, PrometheusMetrics } from "effect/observability"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { collect, join, now, numbered, Origin, second, settle, sick, stale, start, stock } from "./Origin.ts"

/** A registry of the test's own. */
const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

const metered = (options?: Metrics.MetricsOptions) => Metrics.layer(options).pipe(Layer.provideMerge(Swr.layer()))

const within = (options?: Metrics.MetricsOptions) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  alone(Effect.provide(effect, metered(options)))

/** The lines that Prometheus reads, of one metric. */
const lines = (id: string) =>
  Effect.map(PrometheusMetrics.format(), (text) => text.split("\n").filter((line) => line.startsWith(id)))

describe("R18: metrics", () => {
  it.effect("count each read once, by what it found and how it was answered", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* start(cache.get("k"))
      yield* start(cache.get("k"))
      yield* origin.call(0).succeed("v")
      yield* now(cache.get("k"))
      yield* now(cache.get("k"))
      yield* TestClock.adjust("2 minutes")
      yield* now(cache.get("k"))
      yield* origin.call(1).succeed("w")
      yield* TestClock.adjust("10 minutes")
      const late = yield* start(cache.get("k"))
      yield* origin.call(2).fail()
      yield* join(late)
      yield* now(cache.get("k"))
      assert.deepStrictEqual(yield* lines("swr_reads_total"), [
        "swr_reads_total{cache=\"c\",status=\"fresh\",outcome=\"answered\"} 2",
        "swr_reads_total{cache=\"c\",status=\"miss\",outcome=\"waited\"} 1",
        "swr_reads_total{cache=\"c\",status=\"miss\",outcome=\"joined\"} 1",
        "swr_reads_total{cache=\"c\",status=\"stale\",outcome=\"answered\"} 1",
        "swr_reads_total{cache=\"c\",status=\"expired\",outcome=\"waited\"} 1",
        "swr_reads_total{cache=\"c\",status=\"expired\",outcome=\"answered\"} 1"
      ])
      assert.deepStrictEqual(yield* lines("swr_served_stale_total"), [
        "swr_served_stale_total{cache=\"c\",status=\"stale\",reason=\"revalidating\"} 1",
        "swr_served_stale_total{cache=\"c\",status=\"expired\",reason=\"error\"} 2"
      ])
    }).pipe(within()))

  it.effect("show how old what was served was, in seconds, in the buckets that were asked for", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      yield* cache.get("k")
      yield* TestClock.adjust("10 seconds")
      yield* cache.get("k")
      yield* TestClock.adjust("40 seconds")
      yield* cache.get("k")
      yield* TestClock.adjust("40 seconds")
      yield* cache.get("k")
      assert.deepStrictEqual(
        (yield* lines("swr_served_age_seconds")).map((line) => line.replace("swr_served_age_seconds", "")),
        [
          "_bucket{cache=\"c\",status=\"fresh\",tier=\"memory\",le=\"10\"} 2",
          "_bucket{cache=\"c\",status=\"fresh\",tier=\"memory\",le=\"60\"} 3",
          "_bucket{cache=\"c\",status=\"fresh\",tier=\"memory\",le=\"+Inf\"} 3",
          "_sum{cache=\"c\",status=\"fresh\",tier=\"memory\"} 60",
          "_count{cache=\"c\",status=\"fresh\",tier=\"memory\"} 3",
          "_bucket{cache=\"c\",status=\"stale\",tier=\"memory\",le=\"10\"} 0",
          "_bucket{cache=\"c\",status=\"stale\",tier=\"memory\",le=\"60\"} 0",
          "_bucket{cache=\"c\",status=\"stale\",tier=\"memory\",le=\"+Inf\"} 1",
          "_sum{cache=\"c\",status=\"stale\",tier=\"memory\"} 90",
          "_count{cache=\"c\",status=\"stale\",tier=\"memory\"} 1"
        ]
      )
    }).pipe(within({ ages: ["10 seconds", "1 minute"] })))

  it.effect("count loads by what began them and how they ended, how long they took, and who waited", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const keep = (value: string) => value === "shared" ? "share" as const : {}
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, keep, backoff: second, ...sick })
      for (let i = 0; i < 3; i++) yield* start(cache.get("k"))
      yield* TestClock.adjust("3 seconds")
      yield* origin.call(0).succeed("v")
      yield* TestClock.adjust("1 minute")
      yield* now(cache.get("k"))
      yield* origin.call(1).fail()
      yield* now(cache.get("k"))
      yield* start(cache.revalidate("k"))
      yield* origin.call(2).succeed("shared")
      yield* Fiber.interrupt(yield* start(cache.get("other")))
      assert.deepStrictEqual(yield* lines("swr_loads_total"), [
        "swr_loads_total{cache=\"c\",cause=\"miss\",outcome=\"kept\"} 1",
        "swr_loads_total{cache=\"c\",cause=\"refresh\",outcome=\"failed\"} 1",
        "swr_loads_total{cache=\"c\",cause=\"revalidate\",outcome=\"dropped\"} 1",
        "swr_loads_total{cache=\"c\",cause=\"miss\",outcome=\"stopped\"} 1"
      ])
      const sums = (yield* lines("swr_load_duration_seconds_sum")).map((line) => line.split(" ").at(-1))
      assert.deepStrictEqual(sums, ["3", "0", "0", "0"])
      assert.deepStrictEqual((yield* lines("swr_load_waiters_")).slice(0, 4), [
        "swr_load_waiters_bucket{cache=\"c\",le=\"0\"} 2",
        "swr_load_waiters_bucket{cache=\"c\",le=\"1\"} 3",
        "swr_load_waiters_bucket{cache=\"c\",le=\"2\"} 3",
        "swr_load_waiters_bucket{cache=\"c\",le=\"5\"} 4"
      ])
      assert.deepStrictEqual(yield* lines("swr_commits_dropped_total"), [
        "swr_commits_dropped_total{cache=\"c\",reason=\"share\"} 1"
      ])
      assert.deepStrictEqual(yield* lines("swr_refreshes_skipped_total"), [
        "swr_refreshes_skipped_total{cache=\"c\",reason=\"held\"} 1"
      ])
    }).pipe(within()))

  it.effect("count last words, evictions, and values that do not fit their schema", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, capacity: 1, ...stale })
      yield* cache.set("a", "v")
      yield* cache.set("b", "v")
      yield* cache.invalidate("b", { mode: "soft" })
      yield* cache.invalidateTag("t")
      yield* cache.clear
      yield* Swr.cacheSet("n", 1)
      yield* Swr.cacheGet("n", { schema: Schema.String })
      yield* Swr.swr("bad", Effect.succeed(" "), { schema: Schema.NonEmptyString.check(Schema.isTrimmed()) })
      assert.deepStrictEqual((yield* lines("swr_invalidations_total{cache=\"c\"")).map((line) => line.slice(34)), [
        "mode=\"set\",scope=\"key\"} 2",
        "mode=\"soft\",scope=\"key\"} 1",
        "mode=\"hard\",scope=\"tag\"} 1",
        "mode=\"hard\",scope=\"cache\"} 1"
      ])
      assert.deepStrictEqual(yield* lines("swr_evictions_total"), [
        "swr_evictions_total{cache=\"c\",cause=\"capacity\"} 1"
      ])
      assert.deepStrictEqual(yield* lines("swr_codec_failures_total"), [
        "swr_codec_failures_total{cache=\"cache\",direction=\"decode\"} 1",
        "swr_codec_failures_total{cache=\"swr\",direction=\"encode\"} 1"
      ])
    }).pipe(within()))

  it.effect("read levels when they are asked, and give them back when the layer closes; what was counted stays", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(metered(), scope)
      const origin = new Origin()
      const weight = { of: (value: string) => value.length, max: 100 }
      const levels = Effect.gen(function*() {
        const ids = ["swr_entries", "swr_weight", "swr_loads_running", "swr_backoffs"]
        const found = yield* Effect.forEach(ids, lines)
        return found.flat().map((line) => line.split(" ").at(-1))
      })
      yield* Effect.gen(function*() {
        const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, weight, ...sick })
        yield* stock(origin, cache, "1 minute", "value")
        yield* now(cache.get("k"))
        assert.deepStrictEqual(yield* levels, ["1", "5", "1", "0"])
        yield* origin.call(1).fail()
        assert.deepStrictEqual(yield* levels, ["1", "5", "0", "1"])
      }).pipe(Effect.provide(context))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* levels, [])
      assert.lengthOf(yield* lines("swr_loads_total"), 2)
    }).pipe(alone))

  it.effect("of two layers that count into one registry add up", () =>
    Effect.gen(function*() {
      const read = Effect.andThen(Swr.swr("k", Effect.succeed(1), stale), lines("swr_entries"))
      const both = yield* Effect.provide(
        Effect.andThen(read, Effect.provide(read, Layer.fresh(metered()))),
        metered()
      )
      assert.deepStrictEqual(both, ["swr_entries{cache=\"swr\"} 2"])
      assert.deepStrictEqual(yield* lines("swr_reads_total{cache=\"swr\",status=\"miss\""), [
        "swr_reads_total{cache=\"swr\",status=\"miss\",outcome=\"waited\"} 2"
      ])
    }).pipe(alone))

  it.effect("bear the attributes of their context", () =>
    Effect.gen(function*() {
      yield* Swr.swr("k", Effect.succeed(1), stale)
      assert.deepStrictEqual(yield* lines("swr_entries"), ["swr_entries{cache=\"swr\",region=\"eu\"} 1"])
    }).pipe(within(), Effect.provideService(Metric.CurrentMetricAttributes, { region: "eu" })))

  it.effect("of a store: which tier answered, how long it took, leases, failures, and what was missed", () =>
    Effect.gen(function*() {
      const simulated = yield* Testing.simulatedStore()
      const process = (name: string) => Layer.build(Layer.provide(Swr.layerStore(), simulated.connect(name)))
      const options = { schema: Schema.Finite, ...sick } as const
      const read = Swr.swr("k", Effect.succeed(12), options)
      yield* Effect.provide(read, yield* process("other"))
      const ours = yield* process("ours")
      yield* Layer.build(Layer.provide(Metrics.layer(), Layer.succeedContext(ours)))
      const waits = (time: Duration.Input) =>
        Effect.gen(function*() {
          const reader = yield* start(Effect.provide(read, ours))
          yield* TestClock.adjust(time)
          return yield* join(reader)
        })
      yield* simulated.latency({ request: "3 millis" })
      assert.strictEqual((yield* waits("3 millis")).source, "store")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* waits("1 second")).source, "lookup")
      yield* simulated.restart
      yield* TestClock.adjust("1 second")
      yield* waits("1 second")
      yield* simulated.down("away")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(Option.getOrUndefined((yield* waits("1 second")).reason), "store")
      const shown = (id: string) =>
        Effect.map(lines(id), (all) => all.map((line) => line.replace(`${id}{cache="swr",`, "")))
      assert.include(yield* shown("swr_served_age_seconds_count"), "status=\"fresh\",tier=\"store\"} 1")
      assert.include(yield* shown("swr_store_duration_seconds_sum"), "operation=\"commit\",outcome=\"answered\"} 0.006")
      assert.include(yield* shown("swr_store_duration_seconds_count"), "operation=\"ask\",outcome=\"failed\"} 1")
      assert.deepStrictEqual(yield* shown("swr_leases_total"), ["outcome=\"given\"} 2"])
      assert.deepStrictEqual(yield* shown("swr_gaps_total"), ["cause=\"epoch\"} 1"])
      assert.deepStrictEqual(yield* shown("swr_store_failures_total"), ["reason=\"away\"} 1"])
    }).pipe(Effect.scoped, alone))

  it.effect("no tag is ever a key", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, capacity: 1, ...stale })
      for (const key of ["secret-1", "secret-2"]) {
        yield* cache.get(key)
        yield* cache.get(key)
        yield* cache.invalidate(key)
      }
      assert.notInclude(yield* PrometheusMetrics.format(), "secret")
    }).pipe(within()))

  it.effect("listen no longer when the layer is closed", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(Swr.layer())
      yield* Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(Metrics.layer(), scope)
        yield* Swr.swr("k", Effect.succeed(1), stale)
        yield* Scope.close(scope, Exit.void)
        yield* Swr.swr("k", Effect.succeed(1), stale)
      }).pipe(Effect.provide(context))
      assert.deepStrictEqual(yield* lines("swr_reads_total{cache=\"swr\",status=\"fresh\""), [
        "swr_reads_total{cache=\"swr\",status=\"fresh\",outcome=\"answered\"} 0"
      ])
    }).pipe(alone))

  it("are listed in the docs, each with its tags", () => {
    const rows = Array.from(
      readFileSync("docs/observability.md", "utf8").matchAll(/^\| `(swr_\w+)` \| [^|]* \| ([^|]*) \|/gm),
      ([, id = "", tags = ""]) => `${id}: ${Array.from(tags.matchAll(/`(\w+)`/g), ([, tag]) => tag).join(", ")}`
    )
    const source = readFileSync("src/Metrics.ts", "utf8").replace(/\s+/g, " ")
    const defined = Array.from(
      source.matchAll(/define\( ?"(swr_\w+)", "[^"]*"((?:, "\w+")*) ?\)/g),
      ([, id = "", tags = ""]) => `${id}: ${["cache", ...Array.from(tags.matchAll(/\w+/g), ([tag]) => tag)].join(", ")}`
    )
    assert.isAbove(defined.length, 10)
    assert.deepStrictEqual(rows.toSorted(), defined.toSorted())
  })
})

/** What an OTLP collector was sent. */
interface Sent {
  readonly path: string
  readonly body: Record<string, unknown>
}

/** A collector on a port of its own, and what it was sent. */
const collector = Effect.gen(function*() {
  const sent = yield* Queue.unbounded<Sent>()
  const route = HttpRouter.add(
    "POST",
    "/v1/:signal",
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      // The bodies of OTLP are JSON objects.
      Queue.offerUnsafe(sent, { path: request.url, body: (yield* request.json) as Record<string, unknown> })
      return HttpServerResponse.empty()
    })
  )
  const context = yield* Layer.build(
    Layer.provideMerge(
      HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }),
      NodeHttpServer.layer(createServer, { port: 0 })
    )
  )
  const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
  return { sent, url }
})

/** All objects in a JSON value that have this field. */
const having = (value: unknown, field: string): ReadonlyArray<Record<string, unknown>> => {
  if (typeof value !== "object" || value === null) return []
  const inside = Object.values(value).flatMap((part) => having(part, field))
  return field in value ? [value as Record<string, unknown>, ...inside] : inside
}

describe("R18: to a collector by OTLP", () => {
  it.live("go the metrics, with their units, and the span of a load, linked to the read that caused it", () =>
    Effect.gen(function*() {
      const { sent, url } = yield* collector
      const otlp = Otlp.layerJson({
        baseUrl: url,
        resource: { serviceName: "shop" },
        metricsExportInterval: "1 hour",
        tracerExportInterval: "1 hour"
      }).pipe(Layer.provide(FetchHttpClient.layer))
      yield* Effect.gen(function*() {
        const cache = yield* Swr.make({ name: "prices", lookup: numbered().lookup, ...stale })
        yield* Effect.withSpan(cache.get("k"), "request")
        yield* cache.get("k")
      }).pipe(Effect.provide(Layer.provideMerge(metered(), otlp)))
      // The exporter sends what it has when its layer closes.
      const all = yield* Queue.takeAll(sent)
      const metrics = having(all.filter(({ path }) => path.endsWith("/v1/metrics")), "name")
      const named = (name: string) => metrics.find((metric) => metric["name"] === name)
      assert.containsSubset(named("swr_reads_total"), {
        sum: {
          isMonotonic: true,
          dataPoints: [
            { asDouble: 1, attributes: [{ key: "cache", value: { stringValue: "prices" } }] },
            { asDouble: 1 }
          ]
        }
      })
      assert.containsSubset(named("swr_served_age_seconds"), { unit: "s", histogram: { dataPoints: [{ count: 1 }] } })
      const spans = having(all.filter(({ path }) => path.endsWith("/v1/traces")), "spanId")
      const request = spans.find(({ name }) => name === "request")
      const load = spans.find(({ name }) => name === "prices.load")
      assert.isDefined(request)
      assert.containsSubset(load, { links: [{ traceId: request?.["traceId"], spanId: request?.["spanId"] }] })
      assert.notStrictEqual(load?.["traceId"], request?.["traceId"])
    }).pipe(alone))
})

describe("R18: the auditor", () => {
  const audits = lines("swr_audits_total")

  it.effect("tells whether a fresh hit was still what the origin says, and how old it was", () =>
    Effect.gen(function*() {
      let price = 12
      const lookup = (_: string) => Effect.sync(() => ({ price }))
      const cache = yield* Swr.make({ name: "c", lookup, ...stale })
      const audited = yield* Auditor.make(cache, { oneIn: 1 })
      const { seen } = yield* collect((yield* Swr.Cache).events)
      yield* audited.get("k")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* audited.get("k"), { price: 12 })
      yield* settle
      price = 13
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual((yield* audited.read("k")).value, { price: 12 })
      yield* settle
      assert.deepStrictEqual(
        seen.flatMap((event) => event._tag === "Audited" ? [[event.key, event.outcome, event.age]] : []),
        [["k", "same", 10_000], ["k", "differed", 30_000]]
      )
      assert.deepStrictEqual(yield* audits, [
        "swr_audits_total{cache=\"c\",outcome=\"same\"} 1",
        "swr_audits_total{cache=\"c\",outcome=\"differed\"} 1"
      ])
      assert.deepStrictEqual((yield* lines("swr_audited_age_seconds_sum")).map((line) => line.split(" ").at(-1)), [
        "10",
        "30"
      ])
      assert.deepStrictEqual(yield* cache.get("k"), { price: 12 }, "what the audit loads is kept nowhere")
    }).pipe(within()))

  it.effect("compares by the schema's equivalence", () =>
    Effect.gen(function*() {
      let n = 0
      const lookup = (_: string) => Effect.sync(() => ({ price: 12, at: n++ }))
      // Two prices are the same whenever they were asked for.
      const Price = Schema.Struct({ price: Schema.Number, at: Schema.Number }).annotate({
        toEquivalence: () => (one: { price: number }, other: { price: number }) => one.price === other.price
      })
      const audited = yield* Auditor.make(yield* Swr.make({ name: "c", lookup, schema: Price, ...stale }), { oneIn: 1 })
      yield* audited.get("k")
      yield* audited.get("k")
      yield* settle
      assert.deepStrictEqual(yield* audits, ["swr_audits_total{cache=\"c\",outcome=\"same\"} 1"])
    }).pipe(within()))

  it.effect("delays no reader, runs one audit at a time, and ends with its scope", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const scope = yield* Scope.make()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const audited = yield* Scope.provide(Auditor.make(cache, { oneIn: 1 }), scope)
      yield* stock(origin, cache, 0)
      yield* now(audited.get("k"))
      yield* now(audited.get("k"))
      yield* settle
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).fail()
      assert.deepStrictEqual(yield* audits, ["swr_audits_total{cache=\"c\",outcome=\"failed\"} 1"])
      yield* now(audited.get("k"))
      yield* settle
      assert.strictEqual(origin.running, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(origin.running, 0)
    }).pipe(within()))

  it.effect("leaves alone what is not a fresh hit, and all hits but one in so many", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const every = yield* Auditor.make(cache, { oneIn: 1 })
      const miss = yield* start(every.get("k"))
      yield* origin.call(0).succeed("v")
      yield* join(miss)
      yield* TestClock.adjust("1 minute")
      yield* now(every.get("k"))
      yield* origin.call(1).succeed("w")
      yield* settle
      assert.lengthOf(origin.calls, 2)
      const source = numbered()
      const few = yield* Auditor.make(yield* Swr.make({ name: "few", lookup: source.lookup, ...stale }), { oneIn: 10 })
      yield* few.get("k")
      for (let i = 0; i < 1000; i++) {
        yield* few.get("k")
        yield* Effect.yieldNow
      }
      assert.isAbove(source.calls, 50)
      assert.isBelow(source.calls, 150)
    }).pipe(within()))

  it.effect("stands before a service as a layer", () =>
    Effect.gen(function*() {
      const source = numbered()
      class Names extends Swr.Service<Names>()("test/Names", { lookup: source.lookup, ...stale }) {}
      yield* Effect.gen(function*() {
        const names = yield* Names
        yield* names.get("k")
        assert.strictEqual(yield* names.get("k"), "k1")
        yield* settle
        assert.strictEqual(source.calls, 2)
      }).pipe(Effect.provide(Auditor.layer(Names, { oneIn: 1 }).pipe(Layer.provide(Names.layer))))
    }).pipe(within()))

  it.effect("runs with the services the cache was built with", () =>
    Effect.gen(function*() {
      class Text extends Context.Service<Text, string>()("test/Text") {}
      const cache = yield* Effect.provideService(
        Swr.make({ name: "c", lookup: (_: string) => Text, ...stale }),
        Text,
        "built with"
      )
      const audited = yield* Auditor.make(cache, { oneIn: 1 })
      yield* Effect.provideService(Effect.andThen(audited.get("k"), audited.get("k")), Text, "a reader's")
      yield* settle
      assert.deepStrictEqual(yield* audits, ["swr_audits_total{cache=\"c\",outcome=\"same\"} 1"])
    }).pipe(within()))
})
