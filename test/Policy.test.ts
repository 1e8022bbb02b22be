import { assert, describe, it } from "@effect/vitest"
import { Duration, Result, Schema } from "effect"
import * as Policy from "../src/Policy.ts"

const DAY = 86_400_000
const HOUR = 3_600_000
const MINUTE = 60_000

const decode = (
  windows: Policy.Windows,
  base: Partial<Policy.Policy> = {},
  longest = Infinity
): Policy.Policy => Policy.decode(windows, base, longest)

/** What a thunk refuses, as a value. */
const refusal = (evaluate: () => unknown): Policy.InvalidPolicy => {
  try {
    evaluate()
  } catch (error) {
    assert.instanceOf(error, Policy.InvalidPolicy)
    return error
  }
  return assert.fail("accepted")
}

const reader = decode({ freshFor: 100, maxAge: 200, staleIfError: 300 })
const free = Policy.bounds(reader)

const at = (policy: Policy.Policy, age: number, options: {
  readonly bounds?: Policy.Bounds
  readonly jitter?: number
  readonly marked?: number
} = {}) => Policy.status(policy, options.bounds ?? free, options.jitter ?? 0, options.marked ?? -1, age)

describe("R1: the limits", () => {
  it("fresh before freshFor, stale before maxAge, then expired: an age equal to a window is past it", () => {
    const cases: ReadonlyArray<readonly [number, Policy.Status]> = [
      [0, "fresh"],
      [99, "fresh"],
      [100, "stale"],
      [101, "stale"],
      [199, "stale"],
      [200, "expired"],
      [201, "expired"],
      [1e12, "expired"]
    ]
    for (const [age, expected] of cases) assert.strictEqual(at(reader, age), expected, `age ${age}`)
  })

  it("freshFor 0 is never fresh, freshFor equal to maxAge is never stale", () => {
    const stale = decode({ freshFor: 0, maxAge: 200 })
    assert.deepStrictEqual([at(stale, 0), at(stale, 199), at(stale, 200)], ["stale", "stale", "expired"])
    const narrow = decode({ freshFor: 200, maxAge: 200 })
    assert.deepStrictEqual([at(narrow, 199), at(narrow, 200)], ["fresh", "expired"])
  })

  it("a fallback ends staleIfError after freshFor, at equality, and never without a window", () => {
    assert.strictEqual(Policy.fallbackUntil(reader, free, 0, -1), 400)
    assert.strictEqual(Policy.fallbackUntil(decode({ freshFor: 100, maxAge: 200 }), free, 0, -1), 0)
  })

  it("the entry's own windows tighten the reader's, and the reader's theirs", () => {
    const own = Policy.bounds(reader, { freshFor: 50, maxAge: 150, staleIfError: 200 })
    const limits = [49, 50, 149, 150].map((age) => at(reader, age, { bounds: own }))
    assert.deepStrictEqual(limits, ["fresh", "stale", "stale", "expired"])
    assert.strictEqual(Policy.fallbackUntil(reader, own, 0, -1), 250)
    const wide = Policy.bounds(reader, { freshFor: 1000, maxAge: 2000, staleIfError: 3000 })
    assert.deepStrictEqual([99, 100, 199, 200].map((age) => at(reader, age, { bounds: wide })), [
      "fresh",
      "stale",
      "stale",
      "expired"
    ])
    assert.strictEqual(Policy.fallbackUntil(reader, wide, 0, -1), 400)
  })

  it("an entry's own staleIfError counts from where the reader finds it stale", () => {
    const own = Policy.bounds(reader, { staleIfError: 150 })
    const impatient = decode({ freshFor: 10, maxAge: 20, staleIfError: 1000 })
    assert.strictEqual(Policy.fallbackUntil(impatient, own, 0, -1), 160)
    assert.strictEqual(Policy.fallbackUntil(impatient, Policy.bounds(reader, { staleIfError: 0 }), 0, -1), 0)
    assert.strictEqual(Policy.fallbackUntil(impatient, free, 0, -1), 400)
  })

  it("an entry's own maxAge below freshFor ends freshness too", () => {
    const own = Policy.bounds(reader, { maxAge: 60 })
    assert.deepStrictEqual([59, 60].map((age) => at(reader, age, { bounds: own })), ["fresh", "expired"])
    assert.strictEqual(Policy.fallbackUntil(reader, own, 0, -1), 360)
  })

  it("jitter shortens freshFor by the entry's share of the reader's fraction, and leaves maxAge alone", () => {
    const jittery = decode({ jitter: 0.5 }, reader)
    assert.strictEqual(Policy.freshUntil(jittery, free, 0, -1), 100)
    assert.strictEqual(Policy.freshUntil(jittery, free, 0.5, -1), 75)
    assert.strictEqual(Policy.freshUntil(jittery, free, 0.999, -1), 50)
    assert.strictEqual(Policy.expiredFrom(jittery, free, 0.5), 200)
    assert.strictEqual(Policy.fallbackUntil(jittery, free, 0.5, -1), 375)
    assert.strictEqual(Policy.freshUntil(reader, free, 0.999, -1), 100, "without a fraction")
    assert.deepStrictEqual([74, 75].map((age) => at(jittery, age, { jitter: 0.5 })), ["fresh", "stale"])
  })

  it("a mark ends freshness at the age it was made, and moves the fallback window with it", () => {
    assert.deepStrictEqual([39, 40, 199, 200].map((age) => at(reader, age, { marked: 40 })), [
      "fresh",
      "stale",
      "stale",
      "expired"
    ])
    assert.strictEqual(Policy.fallbackUntil(reader, free, 0, 40), 340)
    assert.strictEqual(at(reader, 0, { marked: 0 }), "stale", "marked at birth")
  })

  it("a mark never lengthens: made after freshFor it changes nothing", () => {
    for (const marked of [100, 101, 250, 399]) {
      assert.strictEqual(Policy.freshUntil(reader, free, 0, marked), 100)
      assert.strictEqual(Policy.expiredFrom(reader, free, 0), 200)
      assert.strictEqual(Policy.fallbackUntil(reader, free, 0, marked), 400)
    }
    const jittery = decode({ jitter: 1 }, reader)
    assert.isAtMost(Policy.freshUntil(jittery, free, 0.5, 80), Policy.freshUntil(jittery, free, 0.5, -1))
  })
})

describe("R2: what is refused", () => {
  const finite = (least: number) => `a finite duration of at least ${least} ms`
  // What JavaScript, JSON and environment variables let through.
  const given = (windows: object): Policy.Windows => windows

  const windows: ReadonlyArray<readonly [value: unknown, shown: string]> = [
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    [-Infinity, "-Infinity"],
    [-1, "-1"],
    [-0.5, "-0.5"],
    [-1n, "-1"],
    ["-5 seconds", `"-5 seconds"`],
    ["-1 nanos", `"-1 nanos"`],
    ["Infinity", `"Infinity"`],
    ["-Infinity", `"-Infinity"`],
    ["soon", `"soon"`],
    ["", `""`],
    ["5", `"5"`],
    ["5 fortnights", `"5 fortnights"`],
    ["NaN seconds", `"NaN seconds"`],
    [null, "null"],
    [true, "true"],
    [Duration.infinity, "Infinity"],
    [Duration.negativeInfinity, "-Infinity"],
    [Duration.seconds(-1), "-1s"],
    [{ seconds: NaN }, "[object Object]"],
    [{ hours: 1, seconds: Infinity }, "[object Object]"],
    [{ seconds: -1 }, "[object Object]"],
    [{ seconds: "5" }, "[object Object]"],
    [[NaN, 0], "[object Array]"],
    [[1, NaN], "[object Array]"],
    [[Infinity, 0], "[object Array]"],
    [[-1, 0], "[object Array]"],
    [[1], "[object Array]"],
    [[], "[object Array]"]
  ]

  for (const option of ["freshFor", "maxAge", "softTimeout", "staleIfError"] as const) {
    it(`${option}: what is no finite duration, by option, value and what is allowed`, () => {
      const base = { ...reader, freshFor: 0 }
      const allowed = finite(option === "maxAge" ? 1 : 0)
      for (const [value, shown] of windows) {
        if (option === "staleIfError" && value === null) continue
        const error = refusal(() => decode(given({ [option]: value }), base))
        assert.strictEqual(error.option, option)
        assert.isTrue(Object.is(error.value, value))
        assert.strictEqual(error.message, `${option}: got ${shown}, allowed is ${allowed}`)
      }
    })
  }

  it("staleIfError: the same within { window }", () => {
    for (const [value] of windows) {
      const error = refusal(() => decode(given({ staleIfError: { window: value } }), reader))
      assert.deepStrictEqual([error.option, error.value, error.allowed], ["staleIfError", value, finite(0)])
    }
  })

  it("staleIfError: null is refused like any other value", () => {
    const result = Policy.make({ ...given({ staleIfError: null }), freshFor: 1 })
    assert.isTrue(Result.isFailure(result))
    if (Result.isFailure(result)) {
      assert.instanceOf(result.failure, Policy.InvalidPolicy)
      assert.strictEqual(result.failure.option, "staleIfError")
    }
  })

  it("maxAge: under 1 ms, also when it is given in part", () => {
    for (const value of [0, 0.9, "999 micros", 999_999n, { microseconds: 999 }] as const) {
      const error = refusal(() => decode({ freshFor: 0, maxAge: value }))
      assert.deepStrictEqual([error.option, error.value, error.allowed], ["maxAge", value, finite(1)])
    }
  })

  it("jitter: what is no number from 0 to 1", () => {
    for (const value of [NaN, -0.1, 1.1, Infinity, -Infinity]) {
      const error = refusal(() => decode({ freshFor: 1, jitter: value }))
      assert.strictEqual(error.message, `jitter: got ${value}, allowed is a number from 0 to 1`)
    }
    for (const value of [0, 0.5, 1]) assert.strictEqual(decode({ freshFor: 1, jitter: value }).jitter, value)
  })

  it("jitter: from outside, text, booleans and null are no numbers", () => {
    for (const value of ["0.5", "", true, null]) {
      assert.isTrue(Result.isFailure(Policy.make({ ...given({ jitter: value }), freshFor: 1 })), String(value))
    }
  })

  it("freshFor: where it is missing, and above maxAge", () => {
    assert.strictEqual(
      refusal(() => decode({ maxAge: "1 hour" })).message,
      "freshFor: got undefined, allowed is a duration: it is required"
    )
    assert.strictEqual(
      refusal(() => decode({ freshFor: "1 hour", maxAge: "5 minutes" })).message,
      `freshFor: got "1 hour", allowed is at most maxAge (300000 ms)`
    )
    assert.strictEqual(
      refusal(() => decode({ freshFor: Duration.millis(201) }, { ...reader, freshFor: 1 })).message,
      "freshFor: got 201ms, allowed is at most maxAge (200 ms)"
    )
    assert.strictEqual(decode({ freshFor: 200, maxAge: 200 }).freshFor, 200)
  })

  it("staleIfError: one that ends before maxAge would do nothing; 0 is off", () => {
    const error = refusal(() => decode({ freshFor: 100, maxAge: 200, staleIfError: 99 }))
    assert.strictEqual(
      error.message,
      "staleIfError: got 99, allowed is 0 or at least maxAge - freshFor (100 ms): less does nothing"
    )
    assert.strictEqual(decode({ freshFor: 100, maxAge: 200, staleIfError: 100 }).staleIfError, 100)
    assert.strictEqual(decode({ freshFor: 100, maxAge: 200, staleIfError: 0 }).staleIfError, 0)
    assert.strictEqual(decode({ freshFor: 100, maxAge: 200, staleIfError: 0.9 }).staleIfError, 0)
    const inherited = refusal(() => decode({ staleIfError: 99 }, { freshFor: 100, maxAge: 200 }))
    assert.strictEqual(inherited.option, "staleIfError")
  })

  it("softTimeout: without staleIfError there is nothing to fall back on", () => {
    const expected = "softTimeout: got 50, allowed is nothing without staleIfError: there is no value to fall back on"
    assert.strictEqual(refusal(() => decode({ freshFor: 100, maxAge: 200, softTimeout: 50 })).message, expected)
    assert.strictEqual(refusal(() => decode({ softTimeout: 50, staleIfError: 0 }, reader)).message, expected)
    assert.strictEqual(decode({ softTimeout: 50 }, reader).softTimeout, 50)
    assert.strictEqual(decode({ softTimeout: 0 }, reader).softTimeout, 0)
  })

  it("the error is tagged, and its message is readable whatever was given", () => {
    assert.strictEqual(refusal(() => Policy.refuse("o", "v", "a"))._tag, "InvalidPolicy")
    const shown: ReadonlyArray<readonly [unknown, string]> = [
      ["a\nb", `"a\\nb"`],
      [Duration.minutes(90), "1h 30m"],
      [Symbol("s"), "Symbol(s)"],
      [undefined, "undefined"],
      [Object.create(null), "[object Object]"]
    ]
    for (const [value, text] of shown) {
      assert.strictEqual(refusal(() => Policy.refuse("o", value, "a")).message, `o: got ${text}, allowed is a`)
    }
  })
})

describe("R2: what is accepted", () => {
  it("every way to write a duration, sub-millisecond parts floored", () => {
    const cases: ReadonlyArray<readonly [Duration.Input, number]> = [
      [0, 0],
      [1.9, 1],
      ["5 seconds", 5000],
      ["1.5 seconds", 1500],
      ["1999 micros", 1],
      [1_999_999n, 1],
      [[1, 999_999], 1000],
      [[0, 1_000_000], 1],
      [{ minutes: 1, seconds: 1 }, 61_000],
      [{}, 0],
      [Duration.micros(2500n), 2],
      [Duration.hours(1), HOUR]
    ]
    for (const [input, expected] of cases) {
      assert.strictEqual(decode({ freshFor: input }).freshFor, expected)
      assert.strictEqual(decode({ freshFor: 0, staleIfError: { window: input } }, { maxAge: 1 }).staleIfError, expected)
    }
  })

  it("an object of parts of which some are undefined, as its type allows", () => {
    assert.strictEqual(decode({ freshFor: { seconds: 1, minutes: undefined } }).freshFor, 1000)
  })

  it("maxAge is 1 day where it is not given, and at most maxTimeToLive", () => {
    assert.strictEqual(decode({ freshFor: 0 }).maxAge, DAY)
    assert.strictEqual(decode({ freshFor: 0 }, {}, HOUR).maxAge, HOUR)
    assert.strictEqual(decode({ freshFor: 0 }, {}, 7 * DAY).maxAge, DAY)
    assert.strictEqual(Result.getOrThrow(Policy.make({ freshFor: 0 })).maxAge, DAY)
  })

  it("each window above maxTimeToLive is clamped to it by itself, and then the order is judged", () => {
    const all = decode({ freshFor: "2 days", maxAge: "3 days", staleIfError: "9 days", softTimeout: "4 days" }, {}, DAY)
    assert.deepStrictEqual([all.freshFor, all.maxAge, all.staleIfError, all.softTimeout], [DAY, DAY, DAY, DAY])
    const one = decode({ freshFor: "1 minute", maxAge: "3 days", staleIfError: "2 days" }, {}, DAY)
    assert.deepStrictEqual([one.freshFor, one.maxAge, one.staleIfError], [MINUTE, DAY, DAY])
    // Out of order as written, in order when clamped.
    const clamped = decode({ freshFor: "3 days", maxAge: "2 days" }, {}, DAY)
    assert.deepStrictEqual([clamped.freshFor, clamped.maxAge], [DAY, DAY])
    const short = decode({ freshFor: 0, maxAge: "9 days", staleIfError: "2 days" }, {}, DAY)
    assert.deepStrictEqual([short.maxAge, short.staleIfError], [DAY, DAY])
    assert.strictEqual(refusal(() => decode({ freshFor: "2 hours", maxAge: "1 hour" }, {}, DAY)).option, "freshFor")
  })

  it("what is inherited is tightened, not refused", () => {
    const base = decode({ freshFor: "1 hour", maxAge: "2 hours", staleIfError: "3 hours", softTimeout: 50 })
    const narrow = decode({ maxAge: "5 minutes" }, base)
    assert.deepStrictEqual([narrow.freshFor, narrow.maxAge], [5 * MINUTE, 5 * MINUTE])
    const wide = decode({ maxAge: "1 day" }, base)
    assert.deepStrictEqual([wide.maxAge, wide.staleIfError], [DAY, 3 * HOUR])
    const off = decode({ staleIfError: 0 }, base)
    assert.deepStrictEqual([off.staleIfError, off.softTimeout], [0, 50])
  })
})

describe("R2: Policy.make", () => {
  it("answers the policy, or the refusal as a value", () => {
    const good = Policy.make({ freshFor: "1 minute", maxAge: "5 minutes", staleIfError: "1 hour", jitter: 0.1 })
    assert.isTrue(Result.isSuccess(good))
    const { freshFor, jitter, maxAge, softTimeout, staleIfError, strict, when } = Result.getOrThrow(good)
    assert.deepStrictEqual([freshFor, maxAge, staleIfError, jitter], [MINUTE, 5 * MINUTE, HOUR, 0.1])
    assert.deepStrictEqual([softTimeout, when, strict], [undefined, undefined, false])
    const bad = Policy.make({ freshFor: NaN })
    assert.isTrue(Result.isFailure(bad) && bad.failure instanceof Policy.InvalidPolicy)
  })

  it("judges the order as written: no clamp mends it", () => {
    const bad = Policy.make({ freshFor: "3 days", maxAge: "2 days" })
    assert.strictEqual(Result.isFailure(bad) && bad.failure.option, "freshFor")
    // maxAge is a day where it is not given.
    assert.isTrue(Result.isFailure(Policy.make({ freshFor: "2 days" })))
    assert.isTrue(Result.isSuccess(Policy.make({ freshFor: "1 day" })))
    assert.isTrue(Result.isSuccess(Policy.make({ freshFor: "20 days", maxAge: "40 days" })))
  })

  it("makes what isPolicy knows, and windows are none", () => {
    assert.isTrue(Policy.isPolicy(Result.getOrThrow(Policy.make({ freshFor: 1 }))))
    assert.isTrue(Policy.isPolicy(Policy.strict(1)))
    for (const not of [{ freshFor: 1 }, null, undefined, 1, "policy"]) assert.isFalse(Policy.isPolicy(not))
  })
})

const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))
const Fraction = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))

describe("R2: Policy.make and clamp", () => {
  const Windows = {
    fresh: Millis,
    stale: Millis,
    error: Millis,
    longest: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 600 }))
  }
  it.prop("what make takes stays in order when clamped, as if decoded there", Windows, (all) => {
    const windows = { freshFor: all.fresh, maxAge: all.fresh + all.stale, staleIfError: all.error }
    const made = Policy.make(windows)
    const ordered = windows.maxAge >= 1 && (all.error === 0 || all.error >= all.stale)
    assert.strictEqual(Result.isSuccess(made), ordered)
    if (Result.isFailure(made)) return
    const { freshFor, maxAge, staleIfError } = Policy.clamp(made.success, all.longest)
    assert.isAtMost(freshFor, maxAge)
    assert.isAtMost(Math.max(maxAge, staleIfError), all.longest)
    assert.isTrue(staleIfError === 0 || freshFor + staleIfError >= maxAge)
    const there = decode(windows, {}, all.longest)
    assert.deepStrictEqual([freshFor, maxAge, staleIfError], [there.freshFor, there.maxAge, there.staleIfError])
  }, { arbitrary: { runs: 500 } })

  it("clamping leaves what is below the limit, and everything else, alone", () => {
    const when = () => true
    const policy = decode({
      freshFor: 100,
      maxAge: 200,
      staleIfError: { window: 300, when },
      softTimeout: 5,
      jitter: 0.5
    })
    assert.deepStrictEqual(Policy.clamp(policy, 300), policy)
    assert.deepStrictEqual(Policy.clamp(policy, 150), { ...policy, maxAge: 150, staleIfError: 150 })
    assert.isTrue(Policy.isPolicy(Policy.clamp(policy, 150)))
  })
})

describe("R3: what an entry itself allows", () => {
  const life = (own?: Parameters<typeof Policy.bounds>[1], policy = reader) => Policy.bounds(policy, own).life

  it("its life is the greater of maxAge and freshFor + staleIfError of its writer", () => {
    assert.strictEqual(life(), 400)
    assert.strictEqual(life({}, decode({ freshFor: 100, maxAge: 200 })), 200)
    assert.strictEqual(life({}, decode({ freshFor: 0, maxAge: 200, staleIfError: 200 })), 200)
    assert.strictEqual(life({}, decode({ freshFor: 0, maxAge: 200, staleIfError: 201 })), 201)
  })

  it("its own windows tighten that life, and never lengthen it", () => {
    assert.strictEqual(life({ staleIfError: 0 }), 200)
    assert.strictEqual(life({ staleIfError: 150 }), 250)
    assert.strictEqual(life({ freshFor: 50 }), 350)
    assert.strictEqual(life({ maxAge: 150, staleIfError: 0 }), 150)
    assert.strictEqual(life({ freshFor: 9000, maxAge: 9000, staleIfError: 9000 }), 400)
  })

  it("its own maxAge below freshFor brings its fallback window forward too", () => {
    assert.strictEqual(life({ maxAge: 60 }), 360)
  })

  it("a wish it does not have is no limit", () => {
    assert.deepStrictEqual(Policy.bounds(reader), {
      freshFor: Infinity,
      maxAge: Infinity,
      staleIfError: Infinity,
      life: 400
    })
    assert.deepStrictEqual(Policy.bounds(reader, { freshFor: 0, maxAge: "1 second", staleIfError: 9 }), {
      freshFor: 0,
      maxAge: 1000,
      staleIfError: 9,
      life: 200
    })
  })

  it("R19: bad windows are refused by their option", () => {
    for (const option of ["freshFor", "maxAge", "staleIfError"] as const) {
      for (const value of [NaN, -1, Infinity]) {
        assert.strictEqual(refusal(() => Policy.bounds(reader, { [option]: value })).option, option)
      }
    }
    assert.strictEqual(refusal(() => Policy.bounds(reader, { maxAge: 0 })).option, "maxAge")
    assert.strictEqual(Policy.bounds(reader, { freshFor: 0, staleIfError: 0 }).freshFor, 0)
  })

  it("past its life it is expired and no fallback to the most generous reader", () => {
    const generous = decode({ freshFor: 5000, maxAge: 5000, staleIfError: 5000 })
    assert.deepStrictEqual([at(generous, 399), at(generous, 400)], ["fresh", "expired"])
    assert.strictEqual(Policy.fallbackUntil(generous, free, 0, -1), 400)
    const jittery = decode({ jitter: 1 }, generous)
    assert.isAtMost(Policy.fallbackUntil(jittery, free, 0.25, -1), 400)
  })
})

describe("R4: windows lie over others option by option", () => {
  const when = () => true
  const base = decode({
    freshFor: 100,
    maxAge: 200,
    staleIfError: { window: 300, when },
    softTimeout: 50,
    jitter: 0.25
  })

  it("nothing given is the base, and undefined is nothing", () => {
    assert.deepStrictEqual(decode({}, base), base)
    const undefineds = {
      freshFor: undefined,
      maxAge: undefined,
      staleIfError: undefined,
      softTimeout: undefined,
      jitter: undefined
    }
    assert.deepStrictEqual(decode(undefineds, base), base)
  })

  const other = () => false
  const overlays: ReadonlyArray<readonly [name: string, Policy.Windows, Partial<Policy.Policy>]> = [
    ["freshFor", { freshFor: 150 }, { freshFor: 150 }],
    ["freshFor 0", { freshFor: 0 }, { freshFor: 0 }],
    ["maxAge", { maxAge: 250 }, { maxAge: 250 }],
    ["staleIfError, its `when` with it,", { staleIfError: 400 }, { staleIfError: 400, when: undefined }],
    ["staleIfError, as an object without `when`,", { staleIfError: { window: 400 } }, {
      staleIfError: 400,
      when: undefined
    }],
    ["staleIfError, as an object with its `when`,", { staleIfError: { window: 400, when: other } }, {
      staleIfError: 400,
      when: other
    }],
    ["staleIfError 0", { staleIfError: 0 }, { staleIfError: 0, when: undefined }],
    ["softTimeout", { softTimeout: 0 }, { softTimeout: 0 }],
    ["jitter", { jitter: 0 }, { jitter: 0 }],
    ["freshFor and maxAge together", { freshFor: 10, maxAge: 20 }, { freshFor: 10, maxAge: 20 }]
  ]
  for (const [name, windows, part] of overlays) {
    it(`${name} changes that alone`, () => {
      assert.deepStrictEqual(decode(windows, base), { ...base, ...part })
    })
  }

  it("R17: a strict base takes no windows, and stays strict", () => {
    const strict = Policy.strict("5 seconds", { jitter: 0.5 })
    assert.deepStrictEqual(decode({}, strict), strict)
    assert.deepStrictEqual(decode({ freshFor: undefined }, strict), strict)
    for (const option of ["freshFor", "maxAge", "staleIfError", "softTimeout", "jitter"] as const) {
      assert.strictEqual(
        refusal(() => decode({ [option]: 1 }, strict)).message,
        `${option}: got 1, allowed is nothing: a strict cache takes only Policy.strict`
      )
    }
  })
})

describe("R9: back-off", () => {
  it("is 1 second to 1 minute by default, or to from where that is longer", () => {
    assert.deepStrictEqual(Policy.backoff(), { from: 1000, to: MINUTE })
    assert.deepStrictEqual(Policy.backoff({ from: "2 minutes" }), { from: 2 * MINUTE, to: 2 * MINUTE })
    assert.deepStrictEqual(Policy.backoff({ from: 5, to: 5 }), { from: 5, to: 5 })
    assert.deepStrictEqual(Policy.backoff({ to: "1 hour" }), { from: 1000, to: HOUR })
  })

  it("is refused where it ends before it begins, or is no time at all", () => {
    assert.strictEqual(
      refusal(() => Policy.backoff({ from: 10, to: 9 })).message,
      "backoff.to: got 9, allowed is at least backoff.from (10 ms)"
    )
    assert.strictEqual(refusal(() => Policy.backoff({ to: 999 })).option, "backoff.to")
    for (const value of [0, NaN, -1, Infinity, 0.5]) {
      assert.strictEqual(refusal(() => Policy.backoff({ from: value })).option, "backoff.from")
      assert.strictEqual(refusal(() => Policy.backoff({ from: 1, to: value })).option, "backoff.to")
    }
  })

  it("is from at least, and by chance up to from doubled per failure, capped at to", () => {
    const backoff = Policy.backoff({ from: 1000, to: 60_000 })
    const most = 1 - 2 ** -53
    const cases: ReadonlyArray<readonly [failures: number, least: number, half: number, greatest: number]> = [
      [0, 1000, 1000, 1000],
      [1, 1000, 1500, 1999],
      [2, 1000, 2500, 3999],
      [3, 1000, 4500, 7999],
      [5, 1000, 16_500, 31_999],
      [6, 1000, 30_500, 59_999],
      [60, 1000, 30_500, 59_999],
      [5000, 1000, 30_500, 59_999]
    ]
    for (const [failures, least, half, greatest] of cases) {
      assert.strictEqual(Policy.delay(backoff, failures, 0), least, `${failures} failures`)
      assert.strictEqual(Policy.delay(backoff, failures, 0.5), half, `${failures} failures`)
      assert.strictEqual(Policy.delay(backoff, failures, most), greatest, `${failures} failures`)
    }
  })

  it.prop("is a whole number between from and to, whatever the chance", {
    from: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5000 })),
    extra: Millis,
    failures: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2000 })),
    random: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9999 }))
  }, ({ extra, failures, from, random }) => {
    const delay = Policy.delay({ from, to: from + extra }, failures, random / 10_000)
    assert.isTrue(Number.isInteger(delay))
    assert.isAtLeast(delay, from)
    assert.isAtMost(delay, from + extra)
  })
})

describe("R17: Policy.strict", () => {
  const strict = Policy.strict(100)

  it("has no stale window, no stale-if-error, and refuses what maxAge refuses", () => {
    const { freshFor, jitter, maxAge, softTimeout, staleIfError, strict: isStrict } = Policy.strict("5 seconds")
    assert.deepStrictEqual([freshFor, maxAge, staleIfError, jitter], [5000, 5000, 0, 0])
    assert.deepStrictEqual([softTimeout, isStrict], [undefined, true])
    for (const value of [0, NaN, -1, Infinity, "0.5 millis"] as const) {
      assert.strictEqual(refusal(() => Policy.strict(value)).option, "maxAge")
    }
    assert.strictEqual(refusal(() => Policy.strict(1, { jitter: 2 })).option, "jitter")
  })

  it("finds fresh before maxAge and expired from it, never stale", () => {
    assert.deepStrictEqual([0, 99, 100, 101].map((age) => at(strict, age)), ["fresh", "fresh", "expired", "expired"])
  })

  it("jitter shortens maxAge, once", () => {
    const jittery = Policy.strict(100, { jitter: 0.5 })
    assert.deepStrictEqual([74, 75].map((age) => at(jittery, age, { jitter: 0.5 })), ["fresh", "expired"])
    assert.strictEqual(Policy.expiredFrom(jittery, free, 0.5), 75)
    assert.strictEqual(Policy.freshUntil(jittery, free, 0.5, -1), 75)
  })

  it("an entry's own freshFor counts as its maxAge", () => {
    const own = Policy.bounds(reader, { freshFor: 40 })
    assert.deepStrictEqual([39, 40].map((age) => at(strict, age, { bounds: own })), ["fresh", "expired"])
    assert.strictEqual(Policy.expiredFrom(strict, own, 0), 40)
    const jittery = Policy.strict(100, { jitter: 0.5 })
    assert.strictEqual(Policy.expiredFrom(jittery, own, 0.5), 30)
  })

  it("a marked entry is expired, at any age, and no fallback", () => {
    for (const marked of [0, 50, 99, 500]) {
      for (const age of [0, 49, 50, 99]) assert.strictEqual(at(strict, age, { marked }), "expired")
    }
    assert.strictEqual(Policy.fallbackUntil(strict, free, 0, 50), 0)
    assert.strictEqual(Policy.fallbackUntil(strict, free, 0, -1), 0)
  })
})

describe("fromStaleTime", () => {
  it("is additive: gcTime begins where staleTime ends", () => {
    const policy = Result.getOrThrow(Policy.fromStaleTime({ staleTime: "1 minute", gcTime: "5 minutes" }))
    assert.deepStrictEqual([policy.freshFor, policy.maxAge, policy.staleIfError], [MINUTE, 6 * MINUTE, 0])
    const never = Result.getOrThrow(Policy.fromStaleTime({ staleTime: 5, gcTime: 0 }))
    assert.deepStrictEqual([never.freshFor, never.maxAge], [5, 5])
  })

  it("refuses bad times by the names it was given", () => {
    for (const value of [NaN, -1, Infinity, "-5 seconds"] as const) {
      for (const option of ["staleTime", "gcTime"] as const) {
        const bad = Policy.fromStaleTime({ staleTime: 1, gcTime: 1, [option]: value })
        assert.strictEqual(Result.isFailure(bad) && bad.failure.option, option)
      }
    }
    assert.isTrue(Result.isFailure(Policy.fromStaleTime({ staleTime: 0, gcTime: 0 })))
  })
})

describe("status, for any policy and bounds", () => {
  const rank = { fresh: 0, stale: 1, expired: 2 } as const
  const anyOf = {
    fresh: Millis,
    stale: Millis,
    error: Millis,
    strict: Schema.Boolean,
    writerFresh: Millis,
    writerStale: Millis,
    writerError: Millis,
    ownFresh: Schema.UndefinedOr(Millis),
    ownMaxAge: Schema.UndefinedOr(Millis),
    ownError: Schema.UndefinedOr(Millis),
    fraction: Fraction,
    jitter: Fraction,
    marked: Schema.UndefinedOr(Millis),
    age: Millis
  }
  const windows = (fresh: number, stale: number, error: number) => ({
    freshFor: fresh,
    maxAge: fresh + stale + 1,
    staleIfError: error === 0 ? 0 : stale + 1 + error
  })

  it.prop("is a function of the age, goes from fresh over stale to expired and never back", anyOf, (all) => {
    const written = decode(windows(all.fresh, all.stale, all.error))
    const policy = all.strict
      ? Policy.strict(written.maxAge, { jitter: all.fraction / 8 })
      : { ...written, jitter: all.fraction / 8 }
    const writer = decode(windows(all.writerFresh, all.writerStale, all.writerError))
    const none = Policy.bounds(writer)
    const bounds = Policy.bounds(writer, {
      freshFor: all.ownFresh,
      maxAge: all.ownMaxAge === undefined ? undefined : all.ownMaxAge + 1,
      staleIfError: all.ownError
    })
    const jitter = all.jitter / 9
    const marked = all.marked ?? -1
    const status = (age: number) => Policy.status(policy, bounds, jitter, marked, age)

    // Around every limit, and anywhere.
    const until = Policy.fallbackUntil(policy, bounds, jitter, marked)
    const limits = [
      Policy.freshUntil(policy, bounds, jitter, marked),
      Policy.expiredFrom(policy, bounds, jitter),
      until,
      bounds.life,
      all.age
    ]
    const ages = [0, ...limits.flatMap((limit) => [limit - 1, limit, limit + 1]), 5000].filter((age) => age >= 0)
      .toSorted((a, b) => a - b)
    let before = 0
    for (const age of ages) {
      const found = rank[status(age)]
      assert.isAtLeast(found, before, `age ${age}`)
      before = found
      // What is tighter never makes a value younger.
      assert.isAtLeast(found, rank[Policy.status(policy, none, 0, -1, age)], `age ${age}, wider`)
      assert.isAtLeast(found, rank[Policy.status(policy, bounds, jitter, -1, age)], `age ${age}, unmarked`)
      assert.isAtLeast(found, rank[Policy.status(policy, bounds, 0, marked, age)], `age ${age}, no jitter`)
      if (all.strict) assert.notStrictEqual(found, rank.stale)
      if (age >= bounds.life) assert.strictEqual(found, rank.expired, `age ${age}, dead`)
      if (age >= policy.maxAge) assert.strictEqual(found, rank.expired, `age ${age}, past maxAge`)
      if (age >= policy.freshFor) assert.isAtLeast(found, rank.stale, `age ${age}, past freshFor`)
      if (marked >= 0 && age >= marked) assert.isAtLeast(found, rank.stale, `age ${age}, marked`)
    }
    assert.strictEqual(before, rank.expired)

    // With nothing that tightens, exactly the windows.
    const plain = decode(windows(all.fresh, all.stale, all.error))
    const expected = all.age < plain.freshFor ? "fresh" : all.age < plain.maxAge ? "stale" : "expired"
    assert.strictEqual(Policy.status(plain, Policy.bounds(plain), jitter, -1, all.age), expected)

    // The fallback: inside the life, inside the reader's window, brought forward by whatever tightens.
    assert.isAtMost(until, bounds.life)
    assert.isAtMost(until, policy.freshFor + policy.staleIfError)
    assert.isAtMost(until, Policy.fallbackUntil(policy, none, 0, -1))
    assert.isAtMost(until, Policy.fallbackUntil(policy, bounds, jitter, -1))
    assert.isAtMost(bounds.life, none.life)
    if (policy.staleIfError === 0) assert.strictEqual(until, 0)
  }, { arbitrary: { runs: 1000 } })
})
