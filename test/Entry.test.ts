import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Entry from "../src/Entry.ts"
import * as Policy from "../src/Policy.ts"

/** Fresh before 100, stale before 200, a fallback before 400; then dead. */
const reader: Policy.Policy = Policy.decode({ freshFor: 100, maxAge: 200, staleIfError: 300 }, {}, Infinity)
const noFallback: Policy.Policy = Policy.decode({ freshFor: 100, maxAge: 200 }, {}, Infinity)
const strict = Policy.strict(100)
const terms: Entry.Terms = { ...Policy.bounds(reader), tags: ["a"], schema: undefined }

const entry = (options: { readonly bornAt?: number; readonly jitter?: number; readonly marked?: number } = {}) =>
  new Entry.Entry("value", options.bornAt ?? 1000, 7, options.jitter ?? 0, options.marked ?? -1, terms)

describe("age", () => {
  it("R5: is the time since birth, and never negative, also when the clock steps back", () => {
    assert.strictEqual(Entry.age(entry(), 1000), 0)
    assert.strictEqual(Entry.age(entry(), 1250), 250)
    assert.strictEqual(Entry.age(entry(), 999), 0)
    assert.strictEqual(Entry.age(entry(), -1e12), 0)
  })

  it("R19: counts from before the layer's start for a value that came aged", () => {
    assert.strictEqual(Entry.age(entry({ bornAt: -150 }), 0), 150)
    assert.strictEqual(Entry.status(entry({ bornAt: -150 }), 0, reader), "stale")
  })
})

describe("status", () => {
  it("R1: is the policy's, of the age, with the entry's mark, jitter and terms", () => {
    const cases: ReadonlyArray<readonly [number, Policy.Status]> = [
      [999, "fresh"],
      [1099, "fresh"],
      [1100, "stale"],
      [1199, "stale"],
      [1200, "expired"]
    ]
    for (const [now, expected] of cases) assert.strictEqual(Entry.status(entry(), now, reader), expected, `${now}`)
    const marked = entry({ marked: 40 })
    assert.deepStrictEqual([1039, 1040].map((now) => Entry.status(marked, now, reader)), ["fresh", "stale"])
    const own = Entry.rebind(entry(), { ...Policy.bounds(reader, { freshFor: 50 }), tags: [], schema: undefined })
    assert.deepStrictEqual([1049, 1050].map((now) => Entry.status(own, now, reader)), ["fresh", "stale"])
  })

  it("R4: the entry's jitter is a whole number of steps that stands for [0, 1)", () => {
    const jittery = Policy.decode({ jitter: 1 }, reader, Infinity)
    const least = (steps: number) => Entry.left(entry({ jitter: steps }), 1000, jittery).freshFor
    assert.strictEqual(least(0), 100)
    assert.strictEqual(least(Entry.JITTER_STEPS / 4), 75)
    assert.strictEqual(least(Entry.JITTER_STEPS / 2), 50)
    assert.strictEqual(least(Entry.JITTER_STEPS - 1), 0)
    assert.strictEqual(Entry.JITTER_STEPS, 65_536)
    const half = entry({ jitter: Entry.JITTER_STEPS / 2 })
    assert.deepStrictEqual([1049, 1050].map((now) => Entry.status(half, now, jittery)), ["fresh", "stale"])
    assert.deepStrictEqual([1349, 1350].map((now) => Entry.isFallback(half, now, jittery)), [true, false])
  })
})

describe("the end of an entry", () => {
  it("R3: it is dead at its life, not a millisecond before", () => {
    assert.isFalse(Entry.isDead(entry(), 1399))
    assert.isTrue(Entry.isDead(entry(), 1400))
    assert.isTrue(Entry.isDead(entry(), 1401))
    assert.isFalse(Entry.isDead(entry(), 0))
    assert.isFalse(Entry.isDead(entry({ marked: 0 }), 1399), "a mark does not kill")
  })

  it("R3: it may stand in until freshFor + staleIfError, for readers that have that window", () => {
    assert.deepStrictEqual([1000, 1399, 1400].map((now) => Entry.isFallback(entry(), now, reader)), [true, true, false])
    for (const now of [1000, 1150, 1250]) {
      assert.isFalse(Entry.isFallback(entry(), now, noFallback))
      assert.isFalse(Entry.isFallback(entry(), now, strict))
    }
  })

  it("R3: a mark brings the end of that forward", () => {
    const marked = entry({ marked: 40 })
    assert.deepStrictEqual([1339, 1340].map((now) => Entry.isFallback(marked, now, reader)), [true, false])
  })
})

describe("left", () => {
  it("tells how long it is fresh, and how long it is given without waiting, to this reader", () => {
    const left = (now: number, policy: Policy.Policy, of = entry()) => {
      const { freshFor, servableFor } = Entry.left(of, now, policy)
      return [freshFor, servableFor]
    }
    assert.deepStrictEqual(left(1000, reader), [100, 200])
    assert.deepStrictEqual(left(1099, reader), [1, 101])
    assert.deepStrictEqual(left(1100, reader), [0, 100])
    assert.deepStrictEqual(left(1199, reader), [0, 1])
    assert.deepStrictEqual(left(1200, reader), [0, 0])
    assert.deepStrictEqual(left(9999, reader), [0, 0])
    assert.deepStrictEqual(left(0, reader), [100, 200], "an age is never negative")
    assert.deepStrictEqual(left(1010, reader, entry({ marked: 40 })), [30, 190])
    assert.deepStrictEqual(left(1050, reader, entry({ marked: 40 })), [0, 150])
    assert.deepStrictEqual(left(1030, strict), [70, 70])
    assert.deepStrictEqual(left(1100, strict), [0, 0])
    assert.deepStrictEqual(
      left(1030, strict, entry({ marked: 40 })),
      [0, 0],
      "a strict reader is not given a marked one"
    )
    const generous = Policy.decode({ freshFor: 5000, maxAge: 5000 }, {}, Infinity)
    assert.deepStrictEqual(left(1300, generous), [100, 100], "not past its life")
  })

  const Millis = Schema.Int.check(Schema.isBetween({ minimum: -100, maximum: 600 }))
  it.prop("agrees with the status at every age", {
    later: Millis,
    marked: Schema.Int.check(Schema.isBetween({ minimum: -1, maximum: 300 })),
    jitter: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Entry.JITTER_STEPS - 1 })),
    who: Schema.Literals(["reader", "noFallback", "strict", "jittery"])
  }, ({ jitter, later, marked, who }) => {
    const jittery = Policy.strict(300, { jitter: 0.5 })
    const policy = { reader, noFallback, strict, jittery }[who]
    const one = entry({ marked, jitter })
    const now = 1000 + later
    const status = Entry.status(one, now, policy)
    const { freshFor, servableFor } = Entry.left(one, now, policy)
    assert.strictEqual(freshFor > 0, status === "fresh")
    assert.strictEqual(servableFor > 0, status !== "expired")
    assert.isAtMost(freshFor, servableFor)
    if (status === "fresh") assert.notStrictEqual(Entry.status(one, Math.max(now, 1000) + freshFor, policy), "fresh")
    if (Entry.isDead(one, now)) {
      assert.strictEqual(status, "expired")
      assert.isFalse(Entry.isFallback(one, now, policy))
    }
  }, { arbitrary: { runs: 500 } })
})

describe("mark", () => {
  it("R1: makes it stale from now on, and changes nothing else", () => {
    const before = entry({ jitter: 9 })
    const after = Entry.mark(before, 1040)
    assert.deepStrictEqual(after, new Entry.Entry("value", 1000, 7, 9, 40, terms))
    assert.strictEqual(after.terms, terms)
    assert.strictEqual(before.marked, -1, "an entry never changes")
    assert.strictEqual(Entry.status(before, 1040, reader), "fresh")
    assert.deepStrictEqual([1040, 1199, 1200].map((now) => Entry.status(after, now, reader)), [
      "stale",
      "stale",
      "expired"
    ])
  })

  it("is idempotent: the first mark stays, and no object is made", () => {
    const once = Entry.mark(entry(), 1040)
    assert.strictEqual(Entry.mark(once, 1040), once)
    assert.strictEqual(Entry.mark(once, 1300), once)
    const atBirth = Entry.mark(entry(), 1000)
    assert.strictEqual(atBirth.marked, 0)
    assert.strictEqual(Entry.mark(atBirth, 1001), atBirth)
  })

  it("with a clock that stepped back marks at age 0", () => {
    assert.strictEqual(Entry.mark(entry(), 500).marked, 0)
  })
})

describe("rebind", () => {
  it("R5: the same value under other terms, no younger, and still marked", () => {
    const other: Entry.Terms = { ...terms, schema: "another" }
    const before = entry({ jitter: 9, marked: 40 })
    const after = Entry.rebind(before, other)
    assert.deepStrictEqual(after, new Entry.Entry("value", 1000, 7, 9, 40, other))
    assert.strictEqual(after.terms, other)
    assert.strictEqual(before.terms, terms)
  })
})

describe("an entry as a state", () => {
  it("is the whole state of a key at rest: itself, and nothing else", () => {
    const one = entry()
    assert.strictEqual(one.entry, one)
    assert.deepStrictEqual([one.flight, one.next, one.hold, one.failure, one.passUntil], [
      undefined,
      undefined,
      undefined,
      undefined,
      0
    ])
  })

  it("has six fields of its own: what makes it a state takes no memory per entry", () => {
    assert.deepStrictEqual(Object.keys(entry()), ["value", "bornAt", "clock", "jitter", "marked", "terms"])
  })
})
