import { assert, describe, it } from "@effect/vitest"
import { Clock, Config, ConfigProvider, Duration, Effect, Exit, Fiber, Layer, Option, Random, Result } from "effect"
import { Policy, Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import { vi } from "vitest"
import {
  counted,
  defect,
  Down,
  ended,
  error,
  Gone,
  join,
  now,
  numbered,
  only,
  Origin,
  record,
  settle,
  shown,
  stale,
  start,
  stock,
  tags,
  within
} from "./Origin.ts"

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 1440 * MINUTE

/** An old value may stand in until age 11 minutes. */
const sick = { ...stale, staleIfError: "10 minutes" } as const

/** Every chance is this one. */
const chance = (number: number) =>
  Effect.provideService(Random.Random, { nextDoubleUnsafe: () => number, nextIntUnsafe: () => 0 })

/** The clock of the test, which began at 0: what was loaded at once has this age. */
const at = TestClock.setTime

/** A lookup that answers `old`, and from then on fails. */
const dying = (failure: () => Effect.Effect<never, Down | Gone> = () => Effect.fail(new Down({}))) =>
  counted((n): Effect.Effect<string, Down | Gone> => n === 1 ? Effect.succeed("old") : failure())

/** Milliseconds of what is left, as an answer tells it. */
const left = (answer: Swr.Snapshot<unknown>): ReadonlyArray<number> => [
  Duration.toMillis(answer.freshFor),
  Duration.toMillis(answer.servableFor)
]

/** What memory has of a key, to a reader of this cache. */
const kept = (cache: { readonly peek: (key: string) => Effect.Effect<Option.Option<Swr.Snapshot<unknown>>> }) =>
  Effect.map(cache.peek("k"), (answer) => Option.isSome(answer) ? answer.value.status : "nothing")

describe("R1: fresh, stale, expired, miss", () => {
  it.effect("R1: an age equal to a window is past it, and an answer tells what is left", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, 0)
      assert.deepStrictEqual(left(yield* cache.read("k")), [MINUTE, 6 * MINUTE])
      yield* at(MINUTE - 1)
      assert.deepStrictEqual(left(yield* cache.read("k")), [1, 5 * MINUTE + 1])
      yield* at(MINUTE)
      const answer = yield* now(cache.read("k"))
      assert.deepStrictEqual(shown(answer), ["old", "stale", "memory", "revalidating"])
      assert.deepStrictEqual(left(answer), [0, 5 * MINUTE])
      yield* at(6 * MINUTE - 1)
      assert.strictEqual((yield* now(cache.read("k"))).status, "stale")
      yield* at(6 * MINUTE)
      const reader = yield* start(cache.read("k"))
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(-1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(reader)), ["new", "expired", "lookup", undefined])
    }).pipe(within()))

  for (
    const [windows, statuses] of [
      [{ freshFor: 0, maxAge: 2 }, ["stale", "stale", "expired"]],
      [{ freshFor: 2, maxAge: 2 }, ["fresh", "fresh", "expired"]],
      [{ freshFor: "1999 micros", maxAge: "2999 micros" }, ["fresh", "stale", "expired"]]
    ] as const
  ) {
    it.effect(`R1, R2: ${JSON.stringify(windows)} at 0, 1 and 2 ms: ${statuses.join(", ")}`, () =>
      Effect.gen(function*() {
        const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...windows })
        yield* cache.get("k")
        for (const [age, status] of statuses.entries()) {
          yield* at(age)
          // A dead entry is given to nobody.
          assert.strictEqual(yield* kept(cache), status === "expired" ? "nothing" : status)
          assert.strictEqual(yield* cache.has("k"), status !== "expired")
        }
      }).pipe(within()))
  }

  it.effect("R1: a mark ends freshness, moves the stale-if-error window with it, and never lengthens a life", () =>
    Effect.gen(function*() {
      const source = counted((n, key): Effect.Effect<string, Down> =>
        n <= 3 ? Effect.succeed(`${key}${n}`) : Effect.fail(new Down({}))
      )
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick })
      yield* Effect.forEach(["early", "late", "never"], (key) => cache.get(key))
      yield* at(MINUTE / 2)
      yield* cache.invalidate("early", { mode: "soft" })
      yield* at(2 * MINUTE)
      yield* cache.invalidate("late", { mode: "soft" })
      yield* at(10.5 * MINUTE - 1)
      for (const key of ["early", "late", "never"]) assert.strictEqual((yield* now(cache.read(key))).status, "expired")
      yield* at(10.5 * MINUTE)
      assert.instanceOf(error(yield* Effect.exit(now(cache.get("early")))), Down)
      yield* at(11 * MINUTE - 1)
      for (const key of ["late", "never"]) assert.strictEqual((yield* now(cache.read(key))).status, "expired")
      yield* at(11 * MINUTE)
      for (const key of ["late", "never"]) assert.instanceOf(error(yield* Effect.exit(now(cache.get(key)))), Down)
    }).pipe(within()))

  it.effect("R1: a marked value is stale to a reader with a longer freshFor too, and stays servable as long as before", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "10 seconds")
      yield* cache.invalidate("k", { mode: "soft" })
      const answer = yield* now(cache.read("k", { freshFor: "6 minutes" }))
      assert.deepStrictEqual(shown(answer), ["old", "stale", "memory", "marked"])
      assert.deepStrictEqual(left(answer), [0, 6 * MINUTE - 10 * SECOND])
    }).pipe(within()))
})

describe("R5: one clock", () => {
  it.effect("R5: ages, patience and limits are of the layer's clock, whatever clock a reader brings", () =>
    Effect.gen(function*() {
      const real = yield* TestClock.withLive(Effect.clockWith(Effect.succeed))
      const mine = Effect.provideService(Clock.Clock, real)
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "1 minute", ...sick })
      yield* stock(origin, { get: (key) => mine(cache.get(key)) }, "59 seconds")
      assert.deepStrictEqual(left(yield* mine(cache.read("k"))), [SECOND, 301 * SECOND])
      yield* at(6 * MINUTE)
      const impatient = yield* start(mine(cache.read("k", { softTimeout: "1 second" })))
      const patient = yield* start(mine(cache.get("k", { staleIfError: 0 })))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shown(yield* join(impatient)), ["old", "expired", "memory", "timeout"])
      yield* TestClock.adjust("59 seconds")
      assert.instanceOf(error(yield* ended(patient)), Swr.LoadTimeout)
    }).pipe(within()))

  it.live("R5: of the machine's own clock, nothing is younger or older for what is put in its place", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, freshFor: "1 hour" })
      yield* cache.get("k")
      for (const millis of [-1e9, 1e9]) {
        const fake = vi.spyOn(performance, "now").mockReturnValue(millis)
        assert.deepStrictEqual(shown(yield* cache.read("k")), ["k1", "fresh", "memory", undefined])
        fake.mockRestore()
      }
    }).pipe(within()))
})

describe("R2: windows nobody gave, and windows above the limit", () => {
  it.effect("R2: Swr.swr is never fresh and servable for a day", () =>
    Effect.gen(function*() {
      const read = Swr.swr("k", Effect.sync(() => n++), undefined)
      let n = 0
      assert.deepStrictEqual(left(yield* read), [0, DAY])
      yield* at(DAY - 1)
      assert.deepStrictEqual(shown(yield* read), [0, "stale", "memory", "revalidating"])
      yield* settle
      yield* at(2 * DAY - 1)
      assert.deepStrictEqual(shown(yield* read), [2, "expired", "lookup", undefined])
    }).pipe(within()))

  it.effect("R2: maxAge is a day where it is not given", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, freshFor: "1 minute" })
      assert.deepStrictEqual(left(yield* cache.read("k")), [MINUTE, DAY])
      const quote = Swr.fn("quote", { freshFor: "1 minute" })((sku: string) => Effect.succeed(sku))
      assert.deepStrictEqual(left(yield* quote.read("a")), [MINUTE, DAY])
    }).pipe(within()))

  it.effect("R2: each window above maxTimeToLive is clamped to it, by itself, wherever it is given", () =>
    Effect.gen(function*() {
      const long = { freshFor: "2 hours", maxAge: "3 hours" } as const
      const limit = [MINUTE, MINUTE]
      const whole = Result.getOrThrow(Policy.make(long))
      const made = yield* Swr.make({ name: "made", lookup: numbered().lookup, ...long })
      assert.deepStrictEqual(left(yield* made.read("k")), limit)
      assert.deepStrictEqual(left(yield* made.read("k", long)), limit)
      assert.deepStrictEqual(left(yield* made.read("k", whole)), limit)
      const byPolicy = yield* Swr.make({ name: "policy", lookup: numbered().lookup, policy: whole })
      assert.deepStrictEqual(left(yield* byPolicy.read("k")), limit)
      const strict = yield* Swr.make({ name: "strict", lookup: numbered().lookup, policy: Policy.strict("1 hour") })
      assert.deepStrictEqual(left(yield* strict.read("k")), limit)
      assert.deepStrictEqual(left(yield* Swr.swr("k", Effect.succeed(1), long)), limit)
      assert.deepStrictEqual(left(yield* Swr.swr("k2", Effect.succeed(1))), [0, MINUTE])
      const quote = Swr.fn("quote", long)((sku: string) => Effect.succeed(sku))
      assert.deepStrictEqual(left(yield* quote.read("a")), limit)
      yield* made.set("k", "set", long)
      assert.deepStrictEqual(left(yield* made.read("k")), limit)
      yield* Swr.cacheSet("k", 1, { timeToLive: "1 hour" })
      yield* at(MINUTE - 1)
      assert.isTrue(Option.isSome(yield* Swr.cacheGet("k")))
      yield* at(MINUTE)
      assert.isTrue(Option.isNone(yield* Swr.cacheGet("k")))
    }).pipe(within({ maxTimeToLive: "1 minute" })))

  it.effect("R2: staleIfError is clamped too, and ends where the limit says", () =>
    Effect.gen(function*() {
      const windows = { freshFor: 0, maxAge: 1, staleIfError: "1 day" } as const
      const policy = Result.getOrThrow(Policy.make(windows))
      const caches = [
        yield* Swr.make({ name: "windows", lookup: dying().lookup, ...windows }),
        yield* Swr.make({ name: "policy", lookup: dying().lookup, policy })
      ]
      for (const cache of caches) yield* cache.get("k")
      yield* at(MINUTE - 1)
      for (const cache of caches) assert.strictEqual((yield* cache.read("k")).value, "old")
      yield* at(MINUTE)
      for (const cache of caches) assert.instanceOf(error(yield* Effect.exit(cache.get("k"))), Down)
    }).pipe(within({ maxTimeToLive: "1 minute" })))

  it.effect("R2, LG-07: the order is judged after clamping: 48 hours fresh of 30 is a day of a day", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, freshFor: "48 hours", maxAge: "30 hours" })
      assert.deepStrictEqual(left(yield* cache.read("k")), [DAY, DAY])
    }).pipe(within()))

  it.effect("R2: the layer's defaults are for caches that give none, and each option given lies over them", () =>
    Effect.gen(function*() {
      const lookup = numbered().lookup
      assert.deepStrictEqual(left(yield* Swr.swr("k", Effect.succeed(1))), [20 * SECOND, MINUTE])
      const shorter = { freshFor: "5 seconds" } as const
      assert.deepStrictEqual(left(yield* Swr.swr("k", Effect.succeed(1), shorter)), [5 * SECOND, MINUTE])
      const inherits = yield* Swr.make({ name: "inherits", lookup, freshFor: "1 second" })
      assert.deepStrictEqual(left(yield* inherits.read("k")), [SECOND, MINUTE])
      const own = yield* Swr.make({ name: "own", lookup, ...stale })
      assert.deepStrictEqual(left(yield* own.read("k")), [MINUTE, 6 * MINUTE])
      const whole = yield* Swr.make({ name: "whole", lookup, policy: Policy.strict("1 hour") })
      assert.deepStrictEqual(left(yield* whole.read("k")), [60 * MINUTE, 60 * MINUTE])
    }).pipe(within({ defaults: { freshFor: "20 seconds", maxAge: "1 minute" } })))

  it.effect("R2, R4: a policy is accepted where windows are: as the layer's defaults with all it says", () =>
    Effect.gen(function*() {
      yield* Swr.swr("k", Effect.succeed("old"))
      yield* at(1)
      const refresh = yield* Effect.exit(Swr.swr("k", Effect.fail(new Gone())))
      assert.instanceOf(error(refresh), Gone)
    }).pipe(within({
      defaults: Result.getOrThrow(
        Policy.make({ freshFor: 0, maxAge: 1, staleIfError: { window: "1 hour", when: (e) => e instanceof Down } })
      )
    })))
})

/** Bad options of a cache, by the option that is to blame, with its value and what is allowed. */
interface Bad extends Policy.Windows {
  readonly hardTimeout?: Duration.Input
  readonly backoff?: { readonly from?: Duration.Input; readonly to?: Duration.Input }
  readonly failureTimeToLive?: Duration.Input
  readonly capacity?: number
  readonly weight?: { readonly of: () => number; readonly max: number }
}
type Refused<T> = ReadonlyArray<readonly [option: string, value: unknown, written: T, allowed: string]>

const finite = (least: number) => `a finite duration of at least ${least} ms`
const fraction = "a number from 0 to 1"

const windows: Refused<Policy.Windows> = [
  ...([-1, NaN, Infinity, "-1 millis"] as const).flatMap((value): Refused<Policy.Windows> => [
    ["freshFor", value, { freshFor: value }, finite(0)],
    ["maxAge", value, { maxAge: value }, finite(1)],
    ["staleIfError", value, { staleIfError: value }, finite(0)],
    ["staleIfError", value, { staleIfError: { window: value } }, finite(0)],
    ["softTimeout", value, { softTimeout: value, staleIfError: "1 hour" }, finite(0)]
  ]),
  ["maxAge", 0, { maxAge: 0 }, finite(1)],
  ["maxAge", "999 micros", { maxAge: "999 micros" }, finite(1)],
  ["jitter", -0.1, { jitter: -0.1 }, fraction],
  ["jitter", 1.1, { jitter: 1.1 }, fraction],
  ["jitter", NaN, { jitter: NaN }, fraction]
]

const order: Refused<Policy.Windows> = [
  ["freshFor", "2 hours", { freshFor: "2 hours", maxAge: "1 hour" }, "at most maxAge (3600000 ms)"],
  [
    "staleIfError",
    "58 minutes",
    { freshFor: "1 minute", maxAge: "1 hour", staleIfError: "58 minutes" },
    "0 or at least maxAge - freshFor (3540000 ms): less does nothing"
  ],
  [
    "softTimeout",
    "1 second",
    { softTimeout: "1 second" },
    "nothing without staleIfError: there is no value to fall back on"
  ]
]

const loads: Refused<Bad> = [
  ...([-1, NaN, Infinity] as const).flatMap((value): Refused<Bad> => [
    ["hardTimeout", value, { hardTimeout: value }, finite(1)],
    ["backoff.from", value, { backoff: { from: value } }, finite(1)],
    ["backoff.to", value, { backoff: { to: value } }, finite(1)],
    ["failureTimeToLive", value, { failureTimeToLive: value }, finite(0)]
  ]),
  ["hardTimeout", 0, { hardTimeout: 0 }, finite(1)],
  ["backoff.from", 0, { backoff: { from: 0 } }, finite(1)],
  ["backoff.to", "1 second", { backoff: { from: 1001, to: "1 second" } }, "at least backoff.from (1001 ms)"]
]

const memories: Refused<Bad> = [
  ...([0, -1, 1.5, NaN, Infinity] as const).map((value) =>
    ["capacity", value, { capacity: value }, "a whole number from 1 up"] as const
  ),
  ...([0, -1, NaN, Infinity] as const).map((value) =>
    ["weight.max", value, { weight: { of: () => 1, max: value } }, "a finite number above 0"] as const
  )
]

/** Options that are complete but for what is bad in them. */
const completed = <T extends Policy.Windows>(bad: T) => ({ ...bad, freshFor: bad.freshFor ?? "1 minute" })

/** A refusal is a defect and nothing else, which names option, value and what is allowed. */
const refuses = (exit: Exit.Exit<unknown, unknown>, [option, value, , allowed]: Refused<unknown>[number]) => {
  const died = defect(exit)
  assert.instanceOf(died, Policy.InvalidPolicy, `${option}: ${String(value)}`)
  assert.deepStrictEqual([died.option, died.value, died.allowed], [option, value, allowed])
  assert.isUndefined(error(exit))
}

describe("R2: what is refused, before anything is touched", () => {
  it.effect("R2: by make, which then has made nothing", () =>
    Effect.gen(function*() {
      const source = numbered()
      for (const row of [...windows, ...order, ...loads, ...memories]) {
        const making = Swr.make({ name: "c", lookup: source.lookup, ...completed(row[2]) })
        refuses(yield* Effect.exit(making), row)
      }
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      assert.strictEqual(yield* cache.get("k"), "k1")
    }).pipe(within()))

  it.effect("R2: by make, where freshFor is missing", () =>
    Effect.gen(function*() {
      const source = numbered()
      // The types refuse it; programs without types meet this.
      const options = { name: "c", lookup: source.lookup } as never
      refuses(yield* Effect.exit(Swr.make<string, string, never, never>(options)), [
        "freshFor",
        undefined,
        options,
        "a duration: it is required"
      ])
    }).pipe(within()))

  it.effect("R2: by the layer of a Service", () =>
    Effect.gen(function*() {
      const source = numbered()
      for (const row of [...windows, ...order, ...loads, ...memories]) {
        class Service extends Swr.Service<Service>()("app/Service", {
          lookup: source.lookup,
          ...completed(row[2])
        }) {}
        refuses(yield* Effect.exit(Layer.build(Service.layer)), row)
      }
      assert.strictEqual(source.calls, 0)
    }).pipe(within()))

  it.effect("R2: by a call of fn, before its function runs", () =>
    Effect.gen(function*() {
      const source = numbered()
      for (const row of [...windows, ...order, ...loads, ...memories]) {
        const quote = Swr.fn("quote", completed(row[2]))(source.lookup)
        for (const call of [quote("k"), quote.read("k"), quote.revalidate("k"), quote.invalidate("k")]) {
          refuses(yield* Effect.exit<unknown, unknown, Swr.Cache>(call), row)
        }
      }
      assert.strictEqual(source.calls, 0)
    }).pipe(within()))

  it.effect("R2: by Swr.swr, whatever it has", () =>
    Effect.gen(function*() {
      const events = yield* record
      const source = numbered()
      for (const known of [false, true]) {
        if (known) yield* Swr.swr("k", Effect.succeed("known"), { freshFor: "1 hour" })
        yield* settle
        const before = events.length
        for (const row of [...windows, ...order, ...loads]) {
          refuses(yield* Effect.exit(Swr.swr("k", source.lookup("k"), row[2])), row)
        }
        yield* settle
        assert.lengthOf(events, before)
      }
      assert.strictEqual(source.calls, 0)
      assert.strictEqual((yield* Swr.swr("k", Effect.succeed("new"), { freshFor: "1 hour" })).value, "known")
    }).pipe(within()))

  it.effect("R2: by every read with windows of its own, fresh value or none", () =>
    Effect.gen(function*() {
      const events = yield* record
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, freshFor: "1 minute" })
      yield* cache.set("k", "known")
      yield* settle
      const before = events.length
      for (const row of [...windows, ...order]) {
        for (const key of ["k", "none"]) {
          const reads = [
            cache.get(key, row[2]),
            cache.read(key, row[2]),
            cache.getMany([key], row[2]),
            cache.readMany([key], row[2])
          ]
          for (const read of reads) refuses(yield* Effect.exit<unknown, never, never>(read), row)
        }
      }
      yield* settle
      assert.lengthOf(events, before)
      assert.strictEqual(source.calls, 0)
      assert.strictEqual((yield* cache.stats).size, 1)
    }).pipe(within()))

  it.effect("R2, R19: by set, and what is known stays", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.get("k")
      const { set } = yield* Swr.Cache
      for (const value of [-1, NaN, Infinity] as const) {
        for (const option of ["freshFor", "maxAge", "staleIfError", "age"] as const) {
          const row = [option, value, {}, finite(option === "maxAge" ? 1 : 0)] as const
          refuses(yield* Effect.exit(cache.set("k", "set", { [option]: value })), row)
          refuses(yield* Effect.exit(set("k", "set", { [option]: value })), row)
        }
      }
      refuses(yield* Effect.exit(cache.set("k", "set", { maxAge: 0 })), ["maxAge", 0, {}, finite(1)])
      assert.deepStrictEqual(shown(yield* cache.read("k")), ["k1", "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("R2: by cacheSet, and what is known stays; 0 is refused, not a day", () =>
    Effect.gen(function*() {
      yield* Swr.cacheSet("k", "known")
      for (const timeToLive of [0, -1, NaN, Infinity, "999 micros"] as const) {
        const row = ["timeToLive", timeToLive, {}, finite(1)] as const
        refuses(yield* Effect.exit(Swr.cacheSet("k", "set", { timeToLive })), row)
      }
      assert.deepStrictEqual(yield* Swr.cacheGet("k"), Option.some("known"))
    }).pipe(within()))

  const layers: Refused<Parameters<typeof Swr.layer>[0]> = [
    ...windows.map(([option, value, defaults, allowed]) => [option, value, { defaults }, allowed] as const),
    ...([0, -1, NaN, Infinity] as const).map((value) =>
      ["maxTimeToLive", value, { maxTimeToLive: value }, finite(1)] as const
    ),
    ...([-1, NaN, Infinity] as const).map((value) =>
      ["shutdownGrace", value, { shutdownGrace: value }, finite(0)] as const
    ),
    ...([0, -1, 0.5, NaN, Infinity] as const).map((value) =>
      ["capacity", value, { capacity: value }, "a whole number from 1 up"] as const
    ),
    ...([-1, 0.5, NaN, Infinity] as const).map((value) =>
      ["refreshes", value, { refreshes: value }, "a whole number from 0 up"] as const
    )
  ]

  it.effect("R2: by layer, as a defect", () =>
    Effect.gen(function*() {
      for (const row of layers) refuses(yield* Effect.exit(Layer.build(Swr.layer(row[2]))), row)
    }))

  it.effect("R2: by layer, windows whose order is wrong as they stand", () =>
    Effect.gen(function*() {
      const [row] = order
      assert.isDefined(row)
      refuses(yield* Effect.exit(Layer.build(Swr.layer({ defaults: row[2] }))), row)
    }))

  it.effect("R2: by layerConfig, as an error: they come from outside", () =>
    Effect.gen(function*() {
      for (const [option, value, options = {}, allowed] of layers) {
        const refused = yield* Effect.flip(Layer.build(Swr.layerConfig(Config.succeed(options))))
        assert.instanceOf(refused, Policy.InvalidPolicy)
        assert.deepStrictEqual([refused.option, refused.value, refused.allowed], [option, value, allowed])
      }
    }))

  it.effect("R2: layerConfig reads each option from where configuration comes from", () =>
    Effect.gen(function*() {
      const layer = Swr.layerConfig({
        maxTimeToLive: Config.Duration("TTL"),
        defaults: { freshFor: Config.Duration("FRESH") },
        secret: Config.Redacted("SECRET")
      })
      const using = (values: Record<string, string>) =>
        Effect.provideService(
          Effect.provide(Swr.swr("k", Effect.succeed(1)), layer),
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown(values)
        )
      const answer = yield* using({ TTL: "1 minute", FRESH: "1 second", SECRET: "pepper" })
      assert.deepStrictEqual(left(answer), [SECOND, MINUTE])
      assert.strictEqual((yield* Effect.flip(using({ TTL: "soon" })))._tag, "ConfigError")
      const refused = yield* Effect.flip(using({ TTL: "0 millis", FRESH: "1 second", SECRET: "pepper" }))
      assert.strictEqual(refused._tag, "InvalidPolicy")
    }))

  it.effect("R2: options from outside are judged as a value by Policy.make, and taken wherever windows are", () =>
    Effect.gen(function*() {
      for (const [option, value, written] of [...windows, ...order]) {
        const made = Policy.make(completed(written))
        assert.isTrue(Result.isFailure(made), option)
        if (Result.isFailure(made)) assert.deepStrictEqual([made.failure.option, made.failure.value], [option, value])
      }
      const policy = Result.getOrThrow(Policy.make({ freshFor: "1 second", maxAge: "2 seconds" }))
      const windowsOf = [SECOND, 2 * SECOND]
      const lookup = numbered().lookup
      const cache = yield* Swr.make({ name: "c", lookup, policy })
      assert.deepStrictEqual(left(yield* cache.read("k")), windowsOf)
      const other = yield* Swr.make({ name: "other", lookup, ...sick })
      assert.deepStrictEqual(left(yield* other.read("k", policy)), windowsOf)
      assert.deepStrictEqual(left(yield* Swr.swr("k", Effect.succeed(1), { policy })), windowsOf)
      const quote = Swr.fn("quote", { policy })((sku: string) => Effect.succeed(sku))
      assert.deepStrictEqual(left(yield* quote.read("a")), windowsOf)
    }).pipe(within()))
})

describe("R3: stale-if-error", () => {
  it.effect("R3: counts from the moment the value goes stale, and its end is past it", () =>
    Effect.gen(function*() {
      const source = dying()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick })
      yield* cache.get("k")
      yield* at(11 * MINUTE - 1)
      assert.deepStrictEqual(shown(yield* cache.read("k")), ["old", "expired", "memory", "error"])
      yield* at(11 * MINUTE)
      assert.instanceOf(error(yield* Effect.exit(cache.get("k"))), Down)
      assert.strictEqual(yield* kept(cache), "nothing")
    }).pipe(within()))

  it.effect("R3: without it a failing load fails its reader, and the old value is not given", () =>
    Effect.gen(function*() {
      const source = dying()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      yield* cache.get("k")
      yield* at(6 * MINUTE)
      for (let i = 0; i < 3; i++) assert.instanceOf(error(yield* Effect.exit(cache.get("k"))), Down)
      assert.strictEqual(source.calls, 4)
    }).pipe(within()))

  it.effect("R3: a life is its writer's: a reader with longer windows is given nothing past it", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: dying().lookup, ...stale })
      yield* cache.get("k")
      const long = { freshFor: "1 hour", maxAge: "1 hour", staleIfError: "1 day" } as const
      yield* at(6 * MINUTE - 1)
      assert.strictEqual((yield* cache.read("k", long)).status, "fresh")
      yield* at(6 * MINUTE)
      assert.instanceOf(error(yield* Effect.exit(cache.get("k", long))), Down)
    }).pipe(within()))

  it.effect("R3: in Swr.swr the writer is the call", () =>
    Effect.gen(function*() {
      const short = { freshFor: 0, maxAge: "1 minute" } as const
      const long = { freshFor: 0, maxAge: "1 hour", staleIfError: "1 day" } as const
      const down = Effect.fail(new Down({}))
      yield* Swr.swr("short", Effect.succeed("old"), short)
      yield* Swr.swr("long", Effect.succeed("old"), long)
      yield* at(MINUTE)
      assert.instanceOf(error(yield* Effect.exit(Swr.swr("short", down, long))), Down)
      assert.strictEqual((yield* Swr.swr("long", down, long)).status, "stale")
    }).pipe(within()))
})

describe("R4: the reader's policy", () => {
  it.effect("R4: windows of a call lie over the cache's option by option; a whole policy replaces all", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: dying().lookup, ...sick })
      yield* cache.get("k")
      yield* at(6 * MINUTE)
      const whole = Result.getOrThrow(Policy.make(stale))
      assert.instanceOf(error(yield* Effect.exit(cache.get("k", whole))), Down)
      assert.instanceOf(error(yield* Effect.exit(cache.get("k", { staleIfError: 0 }))), Down)
      assert.strictEqual((yield* cache.read("k", { freshFor: "1 second" })).status, "expired")
      assert.deepStrictEqual(left(yield* cache.read("k", { maxAge: "7 minutes" })), [0, MINUTE])
    }).pipe(within()))

  it.effect("R4: two readers of one value, each by his own windows", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      assert.strictEqual((yield* cache.read("k", { freshFor: "2 minutes" })).status, "fresh")
      assert.lengthOf(origin.calls, 1)
      const impatient = yield* start(cache.read("k", { freshFor: "1 second", maxAge: "30 seconds" }))
      assert.strictEqual((yield* now(cache.read("k"))).status, "stale")
      yield* origin.call(1).succeed("new")
      assert.strictEqual((yield* join(impatient)).status, "expired")
    }).pipe(within()))

  it.effect("R4: getMany, readMany and peek: the reader's windows, and the cache's where he has none", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* cache.getMany(["k"])
      yield* at(MINUTE)
      assert.deepStrictEqual(yield* cache.getMany(["k"], { freshFor: "2 minutes" }), ["k1"])
      const [answer] = yield* cache.readMany(["k"], { freshFor: "2 minutes" })
      assert.strictEqual(answer && Result.getOrThrow(answer).status, "fresh")
      assert.strictEqual(yield* kept(cache), "stale")
    }).pipe(within()))

  it.effect("R4: what an answer gives anew, by mutate or revalidate, is judged by the windows it was read with", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const windows = { freshFor: "10 seconds", maxAge: "1 minute" } as const
      const swr = Swr.swr("k", Effect.succeed("v"), windows)
      for (const answer of [yield* cache.read("k", windows), yield* swr]) {
        assert.deepStrictEqual(left(answer), [10 * SECOND, MINUTE])
        assert.deepStrictEqual(left(yield* answer.mutate("set")), [10 * SECOND, MINUTE])
        assert.deepStrictEqual(left(yield* answer.revalidate), [10 * SECOND, MINUTE])
      }
    }).pipe(within()))

  it.effect("R4: in Swr.swr options are decoded once per object, and an object of other windows counts anew", () =>
    Effect.gen(function*() {
      let decoded = 0
      const options = {
        get freshFor() {
          decoded++
          return 1000
        }
      }
      const read = Swr.swr("k", Effect.succeed(1), options)
      assert.deepStrictEqual(left(yield* read), [SECOND, DAY])
      const once = decoded
      assert.deepStrictEqual(left(yield* read), [SECOND, DAY])
      assert.deepStrictEqual(left(yield* Swr.swr("other", Effect.succeed(1), options)), [SECOND, DAY])
      assert.strictEqual(decoded, once)
      assert.deepStrictEqual(left(yield* Swr.swr("k", Effect.succeed(1), stale)), [MINUTE, 6 * MINUTE])
    }).pipe(within()))

  it.effect("R4: in Swr.swr who starts the load owns its limit and back-off; who joins brings only windows", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const starter = { ...sick, hardTimeout: "1 second", backoff: { from: "3 seconds", to: "3 seconds" } } as const
      const joiner = { ...stale, hardTimeout: "1 hour", backoff: { from: "1 hour", to: "1 hour" } } as const
      yield* Swr.swr("k", Effect.succeed("old"), sick)
      yield* at(6 * MINUTE)
      const first = yield* start(Swr.swr("k", origin.lookup("k"), starter))
      const second = yield* start(Swr.swr("k", origin.lookup("k"), joiner))
      yield* TestClock.adjust("1 second")
      assert.lengthOf(origin.calls, 1)
      assert.deepStrictEqual(shown(yield* join(first)), ["old", "expired", "memory", "error"])
      assert.instanceOf(error(yield* ended(second)), Swr.LoadTimeout)
      yield* settle
      assert.deepStrictEqual(only(events, "LoadFailed").map(({ retryIn }) => retryIn), [3000])
    }).pipe(within()))

  it.effect("R4, R10: each waiter's own `when` decides whether he is given the old value", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, "6 minutes")
      const any = yield* start(cache.read("k"))
      const picky = yield* start(cache.read("k", { staleIfError: { window: "10 minutes", when: () => false } }))
      yield* origin.call(1).fail(new Gone())
      assert.strictEqual((yield* join(any)).value, "old")
      assert.instanceOf(error(yield* ended(picky)), Gone)
      assert.strictEqual(yield* kept(cache), "expired")
    }).pipe(within()))

  it.effect("R4: the `when` of who starts the load, given per call, decides whether a failure voids the entry", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, "6 minutes")
      const picky = yield* start(cache.read("k", { staleIfError: { window: "10 minutes", when: () => false } }))
      yield* origin.call(1).fail(new Gone())
      assert.instanceOf(error(yield* ended(picky)), Gone)
      assert.strictEqual(yield* kept(cache), "nothing")
      assert.strictEqual((yield* cache.stats).backoffs, 0)
    }).pipe(within()))
})

describe("R4: jitter", () => {
  it.effect("R4: shortens freshFor by the entry's share of the reader's fraction, and nothing else", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, jitter: 0.2, ...stale })
      assert.deepStrictEqual(left(yield* cache.read("k")), [54 * SECOND, 6 * MINUTE])
      assert.deepStrictEqual(left(yield* cache.read("k", { jitter: 1 })), [30 * SECOND, 6 * MINUTE])
      assert.deepStrictEqual(left(yield* cache.read("k", { jitter: 0 })), [MINUTE, 6 * MINUTE])
      yield* at(54 * SECOND - 1)
      assert.strictEqual(yield* kept(cache), "fresh")
      yield* at(54 * SECOND)
      assert.strictEqual(yield* kept(cache), "stale")
      yield* cache.set("k", "set")
      assert.deepStrictEqual(left(yield* cache.read("k")), [54 * SECOND, 6 * MINUTE])
    }).pipe(within(), chance(0.5)))

  it.effect("R4: keys loaded together expire apart, none later than freshFor and none earlier than the fraction says", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, jitter: 0.5, ...stale })
      const answers = yield* Effect.forEach(Array.from({ length: 100 }, (_, i) => `k${i}`), (key) => cache.read(key))
      const ends = answers.map((answer) => Duration.toMillis(answer.freshFor))
      for (const end of ends) assert.isTrue(end > MINUTE / 2 && end <= MINUTE, String(end))
      assert.isAbove(new Set(ends).size, 90)
      // One number, drawn once: reading again draws none.
      const again = yield* Effect.forEach(answers.keys(), (i) => cache.read(`k${i}`))
      assert.deepStrictEqual(again.map((answer) => Duration.toMillis(answer.freshFor)), ends)
    }).pipe(within(), Random.withSeed("jitter")))
})

describe("R9: failures and back-off, as a reader sees them", () => {
  it.effect("R9: who has nothing to fall back on hears the lookup's own error each time, and nothing is stored", () =>
    Effect.gen(function*() {
      const source = counted((): Effect.Effect<string, Down> => Effect.fail(new Down({})))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick })
      for (let i = 1; i <= 3; i++) {
        assert.instanceOf(error(yield* Effect.exit(cache.get("k"))), Down)
        assert.strictEqual(source.calls, i)
      }
      assert.strictEqual(yield* kept(cache), "nothing")
      const { backoffs, failures, size } = yield* cache.stats
      assert.deepStrictEqual({ backoffs, failures, size }, { backoffs: 0, failures: 3, size: 0 })
    }).pipe(within()))

  for (
    const [number, delays] of [
      [0, [1, 1, 1, 1, 1, 1, 1, 1]],
      [1 - 2 ** -53, [2, 4, 8, 16, 32, 60, 60, 60]]
    ] as const
  ) {
    it.effect(`R9: by default a key is left alone for ${delays.join(", ")} seconds when chance is ${number}`, () =>
      Effect.gen(function*() {
        const events = yield* record
        const source = dying()
        const cache = yield* Swr.make({ name: "c", lookup: source.lookup, freshFor: 0, staleIfError: "1 day" })
        yield* cache.get("k")
        for (const [i, delay] of delays.entries()) {
          assert.strictEqual((yield* cache.read("k")).value, "old")
          yield* settle
          assert.strictEqual(source.calls, i + 2)
          const { retryIn } = only(events, "LoadFailed")[i]!
          assert.closeTo(retryIn, delay * SECOND, 1)
          yield* TestClock.adjust(retryIn - 1)
          assert.deepStrictEqual(shown(yield* cache.read("k")), ["old", "stale", "memory", "error"])
          yield* settle
          assert.strictEqual(source.calls, i + 2)
          yield* TestClock.adjust(1)
        }
      }).pipe(within(), chance(number)))
  }

  it.effect("R9: back-off is a key's own: others load", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      for (const key of ["a", "b"]) yield* stock(origin, cache, 0, "old", key)
      yield* at(MINUTE)
      yield* now(cache.get("a"))
      yield* origin.call(2).fail()
      yield* now(cache.get("a"))
      yield* now(cache.get("b"))
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a", "b", "a", "b"])
    }).pipe(within()))

  it.effect("R9: in Swr.swr a key backs off whoever reads it next, with whatever lookup", () =>
    Effect.gen(function*() {
      const source = numbered()
      yield* Swr.swr("k", Effect.succeed("old"), sick)
      yield* at(MINUTE)
      yield* Swr.swr("k", Effect.fail(new Down({})), sick)
      yield* settle
      const answer = yield* Swr.swr("k", source.lookup("k"), { ...sick, backoff: { from: 1, to: 1 } })
      assert.deepStrictEqual(shown(answer), ["old", "stale", "memory", "error"])
      yield* settle
      assert.strictEqual(source.calls, 0)
      yield* TestClock.adjust("2 seconds")
      yield* Swr.swr("k", source.lookup("k"), sick)
      yield* settle
      assert.strictEqual((yield* Swr.swr("k", source.lookup("k"), sick)).value, "k1")
    }).pipe(within()))
})

describe("R10: what lets an old value stand in", () => {
  const onlyDown = { window: "10 minutes", when: (e: Down | Gone) => e._tag === "Down" } as const

  for (const [age, how] of [[6 * MINUTE, "a load that readers wait for"], [MINUTE, "a refresh"]] as const) {
    it.effect(`R10: an error for which \`when\` is false voids the entry from ${how}, and backs off nothing`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale, staleIfError: onlyDown })
        yield* stock(origin, cache, age)
        const reader = yield* start(cache.read("k"))
        yield* settle
        yield* origin.call(1).fail(new Gone())
        const exit = yield* ended(reader)
        if (how === "a refresh") assert.strictEqual((yield* join(reader)).value, "old")
        else assert.instanceOf(error(exit), Gone)
        assert.strictEqual(yield* kept(cache), "nothing")
        assert.strictEqual((yield* cache.stats).backoffs, 0)
        const next = yield* start(cache.read("k"))
        yield* origin.call(2).succeed("new")
        assert.deepStrictEqual(shown(yield* join(next)), ["new", "miss", "lookup", undefined])
      }).pipe(within()))
  }

  for (
    const [failure, end] of [
      ["an error that is an outage", Effect.fail(new Down({}))],
      ["a defect", Effect.die("bug")],
      ["a load that hangs", Effect.never]
    ] as const
  ) {
    it.effect(`R10: ${failure} does not void it: the old value stands in`, () =>
      Effect.gen(function*() {
        const source = dying(() => end)
        const cache = yield* Swr.make({
          name: "c",
          lookup: source.lookup,
          hardTimeout: "1 second",
          ...stale,
          // A timeout is asked of nobody.
          staleIfError: { window: "10 minutes", when: (e) => e._tag === "Down" }
        })
        yield* cache.get("k")
        yield* at(6 * MINUTE)
        const reader = yield* start(cache.read("k"))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(shown(yield* join(reader)), ["old", "expired", "memory", "error"])
        assert.strictEqual((yield* cache.stats).backoffs, 1)
        assert.strictEqual((yield* now(cache.read("k"))).value, "old")
        assert.strictEqual(source.calls, 2)
      }).pipe(within()))
  }

  it.effect("R10: softTimeout 0 waits for nobody, also given per call and in Swr.swr", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, 0)
      yield* Swr.swr("k", Effect.succeed("old"), sick)
      yield* at(6 * MINUTE)
      const patience = { softTimeout: 0 } as const
      for (const read of [cache.read("k", patience), Swr.swr("k", origin.lookup("k"), { ...sick, ...patience })]) {
        const reader = yield* start(Effect.map(read, shown))
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* join(reader), ["old", "expired", "memory", "timeout"])
      }
      assert.strictEqual(origin.running, 2)
    }).pipe(within()))

  it.effect("R10: hardTimeout counts in Swr.swr and fn too: an error where it is named, else a defect", () =>
    Effect.gen(function*() {
      const named = Swr.fn("named", { freshFor: 0, hardTimeout: "1 second" })((_: string) => Effect.never)
      const unnamed = Swr.fn("unnamed", { freshFor: 0 })((_: string) => Effect.never)
      const readers = yield* Effect.forEach([
        Swr.swr("named", Effect.never, { hardTimeout: "1 second" }),
        Swr.swr("unnamed", Effect.never),
        named("k"),
        unnamed("k")
      ], (read) => start(Effect.exit<unknown, unknown, Swr.Cache>(read)))
      yield* TestClock.adjust("1 minute")
      const exits = yield* Effect.forEach(readers, join)
      assert.deepStrictEqual(exits.map((exit) => [error(exit) ?? "-", defect(exit) ?? "-"].map(String)), [
        ["LoadTimeout: swr: the load of \"named\" took longer than 1000 ms", "-"],
        ["-", "LoadTimeout: swr: the load of \"unnamed\" took longer than 60000 ms"],
        ["LoadTimeout: named: the load of \"k\" took longer than 1000 ms", "-"],
        ["-", "LoadTimeout: unnamed: the load of \"k\" took longer than 60000 ms"]
      ])
    }).pipe(within()))

  for (const [starter, joiner] of [["1 second", undefined], [undefined, "1 hour"]] as const) {
    const who = (named: string | undefined) => named === undefined ? "does not name it" : "names it"
    it.effect(`R10: LoadTimeout is in E exactly where the reader's options name it: he ${who(joiner)}, the starter ${who(starter)}`, () =>
      Effect.gen(function*() {
        const readers = [
          yield* start(Effect.exit(Swr.swr("k", Effect.never, { hardTimeout: starter }))),
          yield* start(Effect.exit(Swr.swr("k", Effect.never, { hardTimeout: joiner })))
        ]
        yield* TestClock.adjust("1 minute")
        const [first, second] = yield* Effect.forEach(readers, join)
        assert.instanceOf(starter === undefined ? defect(first) : error(first), Swr.LoadTimeout)
        assert.instanceOf(joiner === undefined ? defect(second) : error(second), Swr.LoadTimeout)
      }).pipe(within()))
  }
})

describe("R12: values and failures that are kept", () => {
  it.effect("R12: undefined, null and none are values: loaded once, and given by every entrance", () =>
    Effect.gen(function*() {
      for (const value of [undefined, null, Option.none<number>()]) {
        const name = String(value)
        const source = counted(() => Effect.succeed(value))
        const many = counted(() => Effect.succeed(new Map([["k", value]])))
        const cache = yield* Swr.make({ name, lookup: source.lookup, ...stale })
        const batched = yield* Swr.make({
          name: `${name}s`,
          lookupMany: (keys: ReadonlyArray<string>) => many.lookup(keys.join()),
          ...stale
        })
        const quote = Swr.fn(`${name} of`, stale)(source.lookup)
        for (const status of ["miss", "fresh"]) {
          assert.deepStrictEqual(shown(yield* cache.read("k")), [
            value,
            status,
            status === "miss" ? "lookup" : "memory",
            undefined
          ])
          assert.deepStrictEqual(yield* batched.getMany(["k"]), [value])
          assert.strictEqual(yield* quote("k"), value)
          assert.strictEqual((yield* Swr.swr(name, source.lookup("k"), stale)).value, value)
        }
        assert.deepStrictEqual([source.calls, many.calls], [3, 1])
        assert.isTrue(yield* cache.has("k"))
        yield* cache.set("set", value)
        assert.strictEqual(yield* cache.get("set"), value)
        assert.deepStrictEqual((yield* cache.mutate("k", Effect.fromOption)).value, value)
        yield* Swr.cacheSet(name, value)
        assert.deepStrictEqual(yield* Swr.cacheGet(name), Option.some(value))
        assert.strictEqual(source.calls, 3)
      }
    }).pipe(within()))

  const failing = () => counted((n): Effect.Effect<string, Down> => Effect.fail(new Down({ by: String(n) })))
  const by = (exit: Exit.Exit<unknown, Down>) => error(exit) instanceof Down ? String(error(exit)) : exit

  it.effect("R12: a failure is kept only where there is a window, and to its end", () =>
    Effect.gen(function*() {
      const source = failing()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, failureTimeToLive: "10 seconds", ...stale })
      const first = by(yield* Effect.exit(cache.get("k")))
      yield* at(10 * SECOND - 1)
      assert.strictEqual(by(yield* Effect.exit(cache.get("k"))), first)
      const [other] = yield* cache.readMany(["k"])
      assert.isTrue(other && Result.isFailure(other))
      assert.strictEqual(source.calls, 1)
      assert.strictEqual(yield* kept(cache), "nothing")
      assert.isFalse(yield* cache.has("k"))
      yield* at(10 * SECOND)
      yield* Effect.exit(cache.get("k"))
      assert.strictEqual(source.calls, 2)
    }).pipe(within()))

  it.effect("R12, R2: its window is clamped to the layer's limit like every other", () =>
    Effect.gen(function*() {
      const source = failing()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, failureTimeToLive: "1 hour", freshFor: 0 })
      yield* Effect.exit(cache.get("k"))
      yield* at(MINUTE)
      yield* Effect.exit(cache.get("k"))
      assert.strictEqual(source.calls, 2)
    }).pipe(within({ maxTimeToLive: "1 minute" })))

  it.effect("R12: a defect is kept too; a key's failure is its own", () =>
    Effect.gen(function*() {
      const source = counted((n): Effect.Effect<string> => Effect.die(`bug ${n}`))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, failureTimeToLive: "1 second", ...stale })
      for (const key of ["a", "a", "b", "a"]) yield* Effect.exit(cache.get(key))
      assert.deepStrictEqual(source.keys, ["a", "b"])
      assert.strictEqual(defect(yield* Effect.exit(cache.get("a"))), "bug 1")
    }).pipe(within()))

  it.effect("R12: it answers only who would otherwise wait: an old value goes first", () =>
    Effect.gen(function*() {
      const source = dying()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, failureTimeToLive: "1 hour", ...sick })
      yield* cache.get("k")
      yield* at(MINUTE)
      assert.strictEqual((yield* cache.read("k")).value, "old")
      yield* settle
      assert.deepStrictEqual(shown(yield* cache.read("k")), ["old", "stale", "memory", "error"])
      yield* at(11 * MINUTE - 1)
      assert.deepStrictEqual(shown(yield* cache.read("k")), ["old", "expired", "memory", "error"])
      yield* settle
      const { calls } = source
      assert.instanceOf(error(yield* Effect.exit(cache.get("k", { staleIfError: 0 }))), Down)
      assert.strictEqual(source.calls, calls)
    }).pipe(within()))

  for (const word of ["set", "mutate", "hard", "soft", "clear", "revalidate"] as const) {
    it.effect(`R12, R11: ${word} ends it`, () =>
      Effect.gen(function*() {
        const source = counted((n): Effect.Effect<string, Down> =>
          n === 1 ? Effect.fail(new Down({})) : Effect.succeed("new")
        )
        const cache = yield* Swr.make({ name: "c", lookup: source.lookup, failureTimeToLive: "1 hour", ...stale })
        yield* Effect.exit(cache.get("k"))
        yield* {
          set: cache.set("k", "new"),
          mutate: cache.mutate("k", () => Effect.succeed("new")),
          hard: cache.invalidate("k"),
          soft: cache.invalidate("k", { mode: "soft" }),
          clear: cache.clear,
          revalidate: cache.revalidate("k")
        }[word]
        assert.strictEqual(yield* cache.get("k"), "new")
      }).pipe(within()))
  }

  it.effect("R12: a lookup that interrupts itself is not kept: it says nothing of the origin", () =>
    Effect.gen(function*() {
      const source = counted((n) => n === 1 ? Effect.interrupt : Effect.succeed("new"))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, failureTimeToLive: "1 hour", ...stale })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(cache.get("k"))))
      assert.strictEqual(yield* cache.get("k"), "new")
    }).pipe(within()))

  it.effect("R12: it counts against the capacity and leaves nothing behind", () =>
    Effect.gen(function*() {
      const source = failing()
      const cache = yield* Swr.make({
        name: "c",
        lookup: source.lookup,
        failureTimeToLive: "1 hour",
        capacity: 10,
        ...stale
      })
      for (let i = 0; i < 100; i++) yield* Effect.exit(cache.get(`k${i}`))
      assert.isAtMost((yield* cache.stats).size, 10)
      yield* cache.clear
      assert.strictEqual((yield* cache.stats).size, 0)
    }).pipe(within()))
})

describe("R17: Policy.strict", () => {
  const policy = Policy.strict("1 minute")

  it.effect("R17: no stale window: fresh before maxAge, and then everybody waits", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, policy })
      yield* stock(origin, cache, MINUTE - 1)
      const answer = yield* now(cache.read("k"))
      assert.deepStrictEqual(shown(answer), ["old", "fresh", "memory", undefined])
      assert.deepStrictEqual(left(answer), [1, 1])
      yield* at(MINUTE)
      const reader = yield* start(cache.read("k"))
      assert.isUndefined(yield* ended(reader))
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(reader)), ["new", "expired", "lookup", undefined])
    }).pipe(within()))

  it.effect("R17: no stale-if-error: a failing load fails its reader, each one anew", () =>
    Effect.gen(function*() {
      const source = dying()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, policy })
      yield* cache.get("k")
      yield* at(MINUTE)
      for (let i = 2; i < 5; i++) {
        assert.instanceOf(error(yield* Effect.exit(cache.get("k"))), Down)
        assert.strictEqual(source.calls, i)
      }
    }).pipe(within()))

  it.effect("R17: a soft mark voids", () =>
    Effect.gen(function*() {
      const source = dying()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, policy })
      yield* cache.get("k")
      yield* cache.invalidate("k", { mode: "soft" })
      assert.isFalse(yield* cache.has("k"))
      assert.instanceOf(error(yield* Effect.exit(cache.get("k"))), Down)
    }).pipe(within()))

  it.effect("R17: jitter shortens maxAge, and a value's own freshFor counts as its maxAge", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => Effect.succeed(key),
        keep: (_, key) => key === "short" ? { freshFor: "10 seconds" } : {},
        policy: Policy.strict("1 minute", { jitter: 0.2 })
      })
      assert.deepStrictEqual(left(yield* cache.read("long")), [54 * SECOND, 54 * SECOND])
      assert.deepStrictEqual(left(yield* cache.read("short")), [9 * SECOND, 9 * SECOND])
      yield* at(9 * SECOND)
      assert.deepStrictEqual([yield* cache.has("long"), yield* cache.has("short")], [true, false])
      yield* at(54 * SECOND)
      assert.isFalse(yield* cache.has("long"))
    }).pipe(within(), chance(0.5)))

  it.effect("R17: one strict reader of a cache that is not: he waits, others do not, and the outage is his", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, MINUTE)
      const other = yield* now(cache.read("k"))
      assert.strictEqual(other.status, "stale")
      const strict = yield* start(cache.read("k", policy))
      assert.isUndefined(yield* ended(strict))
      yield* origin.call(1).fail()
      assert.instanceOf(error(yield* ended(strict)), Down)
      // The key backs off; a strict reader loads in spite of it.
      assert.strictEqual((yield* now(cache.read("k"))).value, "old")
      const again = yield* start(cache.read("k", policy))
      yield* origin.call(2).succeed("new")
      assert.deepStrictEqual(shown(yield* join(again)), ["new", "expired", "lookup", undefined])
    }).pipe(within()))

  it.effect("R17, R4: a strict cache takes only a strict policy, tighter or not", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, policy })
      yield* cache.get("k")
      yield* at(30 * SECOND)
      assert.strictEqual((yield* cache.read("k", Policy.strict("20 seconds"))).status, "expired")
      const only = "nothing: a strict cache takes only Policy.strict"
      for (const option of ["freshFor", "maxAge", "staleIfError", "softTimeout"] as const) {
        // The types refuse it; programs without types meet this.
        const windows = { [option]: "1 second" } as never
        refuses(yield* Effect.exit(cache.get("k", windows)), [option, "1 second", windows, only])
      }
      // The types refuse this too.
      const loose = Result.getOrThrow(Policy.make(stale)) as never
      refuses(yield* Effect.exit(cache.get("k", loose)), ["policy", loose, loose, "Policy.strict, in a strict cache"])
    }).pipe(within()))

  it.effect("R17: in Swr.swr, fn and a Service", () =>
    Effect.gen(function*() {
      class Roles extends Swr.Service<Roles>()("app/Roles", { lookup: numbered().lookup, policy }) {}
      const roles = Swr.fn("roles", { policy })(numbered().lookup)
      const swr = numbered()
      const reads = [
        Swr.swr("k", Effect.suspend(() => swr.lookup("k")), { policy }),
        roles.read("k"),
        Effect.flatMap(Roles, (cache) => cache.read("k"))
      ]
      yield* Effect.gen(function*() {
        for (const read of reads) assert.strictEqual((yield* read).value, "k1")
        yield* at(MINUTE)
        for (const read of reads) assert.deepStrictEqual(shown(yield* read), ["k2", "expired", "lookup", undefined])
      }).pipe(Effect.provide(Roles.layer))
    }).pipe(within()))

  it.effect("R17: as the layer's defaults it is strict in every cache that gives none", () =>
    Effect.gen(function*() {
      yield* Swr.swr("k", Effect.succeed("old"))
      yield* (yield* Swr.Cache).invalidate("k", { mode: "soft" })
      assert.strictEqual((yield* Swr.swr("k", Effect.succeed("new"))).value, "new")
      const own = yield* Swr.make({ name: "own", lookup: numbered().lookup, ...stale })
      assert.deepStrictEqual(left(yield* own.read("k")), [MINUTE, 6 * MINUTE])
    }).pipe(within({ defaults: policy })))
})

describe("R19: keep", () => {
  /** A cache whose values say themselves what becomes of them. */
  const keeping = (origin: Origin, keep: (value: string, key: string) => Swr.Keep) =>
    Swr.make({ name: "c", lookup: origin.lookup, keep, ...sick })

  for (
    const [wishes, windows] of [
      [{}, [MINUTE, 6 * MINUTE]],
      [{ freshFor: "10 seconds" }, [10 * SECOND, 6 * MINUTE]],
      [{ freshFor: 0 }, [0, 6 * MINUTE]],
      [{ maxAge: "2 minutes" }, [MINUTE, 2 * MINUTE]],
      [{ maxAge: "30 seconds" }, [30 * SECOND, 30 * SECOND]],
      [{ freshFor: "1 hour", maxAge: "1 hour" }, [MINUTE, 6 * MINUTE]],
      [{ age: "20 seconds" }, [40 * SECOND, 340 * SECOND]],
      [{ age: "6 minutes" }, [0, 0]]
    ] as const
  ) {
    it.effect(`R19, R4: ${JSON.stringify(wishes)} only tightens, on load and on set`, () =>
      Effect.gen(function*() {
        const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, keep: () => wishes, ...stale })
        assert.deepStrictEqual(left(yield* cache.read("k")), windows)
        yield* cache.set("k", "set", wishes)
        const expected: Option.Option<ReadonlyArray<number>> = windows[1] === 0 ? Option.none() : Option.some(windows)
        assert.deepStrictEqual(Option.map(yield* cache.peek("k"), left), expected)
      }).pipe(within()))
  }

  it.effect("R19, R3: a value's own staleIfError ends its stand-in, counted from where it is stale to the reader", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: dying().lookup,
        keep: () => ({ staleIfError: "6 minutes" }),
        ...sick
      })
      yield* cache.get("k")
      const sooner = { freshFor: "30 seconds" } as const
      yield* at(6.5 * MINUTE - 1)
      assert.strictEqual((yield* cache.read("k", sooner)).status, "expired")
      yield* at(6.5 * MINUTE)
      assert.instanceOf(error(yield* Effect.exit(cache.get("k", sooner))), Down)
      yield* at(7 * MINUTE - 1)
      assert.strictEqual((yield* cache.read("k")).status, "expired")
      yield* at(7 * MINUTE)
      assert.instanceOf(error(yield* Effect.exit(cache.get("k"))), Down)
    }).pipe(within()))

  it.effect("R19: it is told value and key, and each value has its own", () =>
    Effect.gen(function*() {
      const told: Array<ReadonlyArray<string>> = []
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => Effect.succeed(`value of ${key}`),
        keep: (value, key) => {
          told.push([value, key])
          return key === "brief" ? { freshFor: "1 second" } : {}
        },
        ...stale
      })
      yield* cache.getMany(["brief", "k"])
      yield* at(SECOND)
      yield* cache.get("k")
      assert.deepStrictEqual(told, [["value of brief", "brief"], ["value of k", "k"]])
      const [brief, k] = yield* cache.readMany(["brief", "k"])
      assert.deepStrictEqual([brief, k].map((answer) => answer && Result.getOrThrow(answer).status), ["stale", "fresh"])
    }).pipe(within()))

  it.effect("R19: tags are what invalidateTag finds a value by", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => Effect.succeed(key),
        keep: (value) => ({ tags: [`supplier:${value.slice(0, 1)}`, "all"] }),
        ...stale
      })
      const has = Effect.forEach(["a1", "a2", "b1", "set"], (key) => cache.has(key))
      yield* cache.getMany(["a1", "a2", "b1"])
      yield* cache.set("set", "value", { tags: ["supplier:a"] })
      yield* cache.invalidateTag("nobody's")
      assert.deepStrictEqual(yield* has, [true, true, true, true])
      yield* cache.invalidateTag("supplier:a")
      assert.deepStrictEqual(yield* has, [false, false, true, false])
      yield* cache.invalidateTag("all")
      assert.deepStrictEqual(yield* has, [false, false, false, false])
    }).pipe(within()))

  it.effect("R19: share is given to all who wait and kept nowhere; an old entry stays", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* keeping(origin, (value) => value === "shared" ? "share" : {})
      for (const round of [1, 2]) {
        const readers = yield* Effect.forEach([1, 2, 3], () => start(cache.get("k")))
        yield* origin.call(-1).succeed("shared")
        for (const reader of readers) assert.strictEqual(yield* join(reader), "shared")
        assert.lengthOf(origin.calls, round)
        assert.deepStrictEqual((yield* cache.stats).size, 0)
      }
      assert.deepStrictEqual(only(events, "CommitDropped").map(({ reason }) => reason), ["share", "share"])
      yield* stock(origin, cache, MINUTE)
      yield* now(cache.get("k"))
      yield* origin.call(-1).succeed("shared")
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "revalidating"])
    }).pipe(within()))

  it.effect("R19: pass is given to the starter alone; the others load for themselves, side by side", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* keeping(origin, () => "pass")
      const readers = yield* Effect.forEach([1, 2, 3], () => start(cache.read("k")))
      yield* origin.call(0).succeed("first")
      assert.deepStrictEqual(shown(yield* join(readers[0]!)), ["first", "miss", "lookup", undefined])
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).succeed("third")
      yield* origin.call(1).succeed("second")
      assert.strictEqual((yield* join(readers[1]!)).value, "second")
      assert.strictEqual((yield* join(readers[2]!)).value, "third")
      assert.strictEqual(yield* kept(cache), "nothing")
      assert.deepStrictEqual(only(events, "CommitDropped").map(({ reason }) => reason), ["pass", "pass", "pass"])
      assert.lengthOf(only(events, "Commit"), 0)
    }).pipe(within()))

  it.effect("R19: for 5 seconds after a pass reads go straight to the lookup and commit nothing; a pass renews them", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* keeping(origin, (value) => value === "mine" ? "pass" : {})
      const pair = Effect.forEach([1, 2], () => start(cache.get("k")))
      yield* start(cache.get("k"))
      yield* origin.call(0).succeed("mine")
      yield* at(5 * SECOND - 1)
      yield* pair
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(1).succeed("mine")
      yield* origin.call(2).succeed("anybody's")
      assert.strictEqual(yield* kept(cache), "nothing")
      yield* at(10 * SECOND - 2)
      yield* pair
      assert.lengthOf(origin.calls, 5)
      yield* origin.call(3).succeed("anybody's")
      yield* origin.call(4).succeed("anybody's")
      assert.strictEqual(yield* kept(cache), "nothing")
      yield* at(10 * SECOND - 1)
      const readers = yield* pair
      assert.lengthOf(origin.calls, 6)
      yield* origin.call(5).succeed("anybody's")
      for (const reader of readers) assert.strictEqual(yield* join(reader), "anybody's")
      assert.strictEqual(yield* kept(cache), "fresh")
    }).pipe(within()))

  it.effect("R19: pass voids an old entry, also from a refresh; set ends a pass", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* keeping(origin, (value) => value === "mine" ? "pass" : {})
      yield* stock(origin, cache, MINUTE)
      yield* now(cache.get("k"))
      yield* origin.call(1).succeed("mine")
      assert.strictEqual(yield* kept(cache), "nothing")
      const reader = yield* start(cache.get("k"))
      yield* cache.set("k", "set")
      assert.strictEqual(yield* now(cache.get("k")), "set")
      yield* origin.call(2).succeed("late")
      assert.strictEqual(yield* join(reader), "late")
      assert.strictEqual(yield* now(cache.get("k")), "set")
    }).pipe(within()))

  it.effect("R19: where the starter has left, or nobody is one, a pass is given to nobody", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* keeping(origin, (value) => value === "mine" ? "pass" : {})
      yield* stock(origin, cache, 5 * MINUTE)
      // A refresh is started by nobody; it is joined once the value has expired.
      yield* now(cache.get("k", { staleIfError: 0 }))
      yield* TestClock.adjust("59 seconds")
      const joining = yield* start(cache.get("k", { maxAge: "1 minute", freshFor: 0 }))
      yield* origin.call(1).succeed("mine")
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).succeed("own")
      assert.strictEqual(yield* join(joining), "own")
      yield* TestClock.adjust("5 seconds")
      const starter = yield* start(cache.get("k"))
      const joiner = yield* start(cache.get("k"))
      yield* Fiber.interrupt(starter)
      yield* origin.call(3).succeed("mine")
      assert.isUndefined(yield* ended(joiner))
      yield* origin.call(4).succeed("own")
      assert.strictEqual(yield* join(joiner), "own")
    }).pipe(within()))

  it.effect("R19: a reader of a pass that fails or is interrupted harms no other", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* keeping(origin, () => "pass")
      yield* start(cache.get("k"))
      yield* origin.call(0).succeed("mine")
      const [leaving, failing, staying] = yield* Effect.forEach([1, 2, 3], () => start(cache.get("k")))
      assert.isDefined(leaving)
      yield* Fiber.interrupt(leaving)
      yield* settle
      assert.isTrue(origin.call(1).interrupted)
      yield* origin.call(2).fail()
      assert.instanceOf(error(yield* ended(failing!)), Down)
      yield* origin.call(3).succeed("mine too")
      assert.strictEqual(yield* join(staying!), "mine too")
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))

  for (
    const [what, keep] of [
      ["throws", () => {
        throw new Error("bug")
      }],
      ["wants a negative window", () => ({ freshFor: -1 })],
      ["wants no window at all", () => ({ maxAge: 0 })],
      ["wants an age that is none", () => ({ age: NaN })],
      ["wants for ever", () => ({ staleIfError: Infinity })]
    ] as const
  ) {
    it.effect(`R19: a keep that ${what}: the value is shared, told with the reason, and an old entry stays`, () =>
      Effect.gen(function*() {
        const events = yield* record
        const origin = new Origin()
        const cache = yield* keeping(origin, (value) => value === "old" ? {} : keep())
        const readers = yield* Effect.forEach([1, 2], () => start(cache.get("k")))
        yield* origin.call(0).succeed("v")
        for (const reader of readers) assert.strictEqual(yield* join(reader), "v")
        assert.strictEqual((yield* cache.stats).size, 0)
        yield* stock(origin, cache, MINUTE)
        yield* now(cache.get("k"))
        yield* origin.call(2).succeed("v")
        assert.strictEqual((yield* now(cache.read("k"))).value, "old")
        assert.deepStrictEqual(only(events, "CommitDropped").map(({ reason }) => reason), ["keep", "keep"])
        assert.notInclude(tags(events), "LoadFailed")
      }).pipe(within()))
  }

  it.effect("R19: in Swr.swr and fn", () =>
    Effect.gen(function*() {
      const keep = () => ({ freshFor: "1 second" }) as const
      const answer = yield* Swr.swr("k", Effect.succeed(1), { ...stale, keep })
      assert.deepStrictEqual(left(answer), [SECOND, 6 * MINUTE])
      const told: Array<unknown> = []
      const quote = Swr.fn("quote", {
        ...stale,
        keep: (value, args) => {
          told.push([value, args])
          return keep()
        }
      })((sku: string, currency: string) => Effect.succeed(sku + currency))
      assert.deepStrictEqual(left(yield* quote.read("a", "EUR")), [SECOND, 6 * MINUTE])
      assert.deepStrictEqual(told, [["aEUR", ["a", "EUR"]]])
    }).pipe(within()))
})
