/**
 * What holds whatever happens, in one process over memory: first in storms of calls at random moments, then each
 * invariant at its edges.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Layer, Option, Random, Redacted } from "effect"
import { type Event, Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  counted,
  defect,
  Down,
  ended,
  error,
  interrupted,
  join,
  living,
  logs,
  now,
  numbered,
  only,
  opened,
  Origin,
  record,
  settle,
  shown,
  sick,
  stale,
  start,
  stock,
  within
} from "./Origin.ts"

/** A number from 0 to 1, the same ones for the same seed. */
const drawn = Effect.map(Random.Random, (random) => () => random.nextDoubleUnsafe())

// ----- storms

/** A value tells where it comes from: the step in which its load began, and the time at which it ended. */
interface Made {
  readonly key: string
  readonly from: number
  readonly bornAt: number
}

/** One run of the lookup. It was `stopped` by an interruption, or by its limit: `timeout`. */
interface Load {
  readonly key: string
  readonly from: number
  readonly begunAt: number
  to: number
  endedAt: number
  fate: "runs" | "value" | "failure" | "timeout" | "stopped"
}

type Given = Exit.Exit<Swr.Snapshot<Made>, Down>

/** One read, or one revalidation. */
interface Read {
  readonly key: string
  readonly kind: "read" | "revalidate"
  readonly from: number
  readonly begunAt: number
  waited: boolean
  doomed: boolean
  to: number
  endedAt: number
  exit: Given | undefined
  /** What memory had when it ended; none of a closed layer. */
  left: Option.Option<Option.Option<Swr.Snapshot<Made>>>
}

/** A last word: between its call and its end it holds. */
interface Word {
  readonly key: string
  readonly mode: "hard" | "soft" | "set"
  readonly called: number
  readonly done: number
  readonly at: number
}

interface History {
  readonly seed: string
  readonly loads: ReadonlyArray<Load>
  readonly reads: ReadonlyArray<Read>
  readonly words: ReadonlyArray<Word>
  readonly events: ReadonlyArray<Event.Event>
  /** The most that was kept at once. */
  readonly most: number
  readonly stats: Swr.Stats
  /** Fibers below the layer and its readers, in the end. */
  readonly fibers: number
}

/** In milliseconds, as short as the loads: what happens at the edges happens all the time. */
const windows = { freshFor: 10, maxAge: 30, staleIfError: 60 } as const
const life = 70
const limit = 40
const capacity = 3

const storm = (seed: string, closes: boolean): Effect.Effect<History> => {
  const { count, watch } = living()
  return Effect.scoped(Effect.gen(function*() {
    const draw = yield* drawn
    const clock = yield* Clock.Clock
    const ms = () => clock.currentTimeMillisUnsafe()
    let step = 0
    let ill = false
    const loads: Array<Load> = []
    const reads: Array<Read> = []
    const words: Array<Word> = []
    const changes: Array<Fiber.Fiber<unknown>> = []

    const lookup = (key: string): Effect.Effect<Made, Down> =>
      Effect.suspend(() => {
        const load: Load = { key, from: ++step, begunAt: ms(), to: Infinity, endedAt: Infinity, fate: "runs" }
        loads.push(load)
        const kind = draw()
        const work = kind < 0.2
          ? Effect.void
          : kind < 0.4
          ? Effect.repeat(Effect.yieldNow, { times: Math.floor(draw() * 8) })
          : kind < 0.9
          ? Effect.sleep(1 + Math.floor(draw() * 12))
          : Effect.never
        const fails = draw() < (ill ? 0.9 : 0.1)
        const end = Effect.suspend(() =>
          fails ? Effect.fail(new Down({})) : Effect.succeed({ key, from: load.from, bornAt: ms() })
        )
        return Effect.onExit(Effect.andThen(work, end), (exit) =>
          Effect.sync(() => {
            load.to = ++step
            load.endedAt = ms()
            const atLimit = load.endedAt - load.begunAt >= limit
            load.fate = Exit.isSuccess(exit)
              ? "value"
              : error(exit) === undefined
              ? atLimit ? "timeout" : "stopped"
              : "failure"
          }))
      })

    const { close, use } = yield* opened()
    const events = yield* use(record)
    const cache = yield* use(Swr.make({
      name: "c",
      lookup,
      ...windows,
      hardTimeout: limit,
      backoff: { from: 4, to: 16 },
      capacity
    }))

    const waiting: Array<readonly [Read, Fiber.Fiber<unknown, unknown>]> = []
    const begin = Effect.fnUntraced(function*(key: string, kind: Read["kind"], softTimeout: number | undefined) {
      const read: Read = {
        key,
        kind,
        from: ++step,
        begunAt: ms(),
        waited: true,
        doomed: false,
        to: Infinity,
        endedAt: Infinity,
        exit: undefined,
        left: Option.none()
      }
      reads.push(read)
      const call: Effect.Effect<Swr.Snapshot<Made>, Down | Swr.LoadTimeout> = kind === "read"
        ? cache.read(key, softTimeout === undefined ? undefined : { softTimeout })
        : cache.revalidate(key)
      const fiber = yield* start(
        Effect.onExit(
          Effect.catchTag(call, "LoadTimeout", () => Effect.fail(new Down({ by: "limit" }))),
          (exit) =>
            // A closed cache shows nothing.
            Effect.map(Effect.exit(cache.peek(key)), (left) => {
              Object.assign(read, { exit, left: Exit.getSuccess(left), to: ++step, endedAt: ms() })
            })
        )
      )
      read.waited = read.exit === undefined
      if (read.waited) waiting.push([read, fiber])
    })
    const say = (key: string, mode: Word["mode"], word: Effect.Effect<unknown, unknown>) =>
      Effect.suspend(() => {
        const called = ++step
        return Effect.map(word, () => void words.push({ key, mode, called, done: ++step, at: ms() }))
      })
    const set = (key: string) =>
      Effect.suspend(() => say(key, "set", cache.set(key, { key, from: step + 1, bornAt: ms() })))
    const change = (key: string) =>
      Effect.suspend(() => {
        let called = 0
        const value = Effect.delay(
          Effect.sync((): Made => ({ key, from: called = ++step, bornAt: ms() })),
          Math.floor(draw() * 8)
        )
        return Effect.map(cache.mutate(key, () => value), () =>
          void words.push({ key, mode: "set", called, done: ++step, at: ms() }))
      })

    for (let i = 0; i < 400; i++) {
      const key = ["a", "b", "c", "d"][Math.floor(draw() * draw() * 4)]!
      const what = draw()
      if (what < 0.42) yield* begin(key, "read", draw() < 0.2 ? Math.floor(draw() * 6) : undefined)
      else if (what < 0.48) yield* begin(key, "revalidate", undefined)
      else if (what < 0.51) yield* say(key, "hard", cache.invalidate(key))
      else if (what < 0.54) yield* say(key, "soft", cache.invalidate(key, { mode: "soft" }))
      else if (what < 0.56) yield* set(key)
      else if (what < 0.58) changes.push(yield* start(Effect.ignore(change(key))))
      else if (what < 0.66) {
        const [read, fiber] = waiting[Math.floor(draw() * waiting.length)] ?? []
        if (read === undefined || fiber === undefined || read.exit !== undefined) continue
        read.doomed = true
        yield* now(Fiber.interrupt(fiber))
      } else if (what < 0.72) ill = draw() < 0.4
      else if (what < 0.8) yield* Effect.repeat(Effect.yieldNow, { times: Math.floor(draw() * 4) })
      else yield* TestClock.adjust(Math.floor(draw() * 7))
    }
    const most = (yield* cache.stats).size
    if (closes) assert.isTrue(yield* close)
    else yield* TestClock.adjust("1 second")
    // What a change does is its caller's.
    yield* Fiber.interruptAll(changes)
    yield* settle
    return { seed, loads, reads, words, events, most, stats: yield* cache.stats, fibers: 0 }
  })).pipe(
    Effect.provide(logs().layer),
    Effect.orDie,
    watch,
    Random.withSeed(seed),
    Effect.map((history) => ({ ...history, fibers: count.fibers }))
  )
}

const seeds = Array.from({ length: 40 }, (_, i) => `storm ${i}`)
const isBad = ({ fate }: Load) => fate === "failure" || fate === "timeout"

describe("in storms of reads, last words, interruptions and outages", () => {
  let drained: ReadonlyArray<History> = []
  let closed: ReadonlyArray<History> = []
  const all = (closes: boolean) =>
    Effect.runPromise(
      Effect.forEach(seeds, (seed) => Effect.provide(storm(seed, closes), TestClock.layer()))
    )
  beforeAll(async () => {
    drained = await all(false)
    closed = await all(true)
  }, 60_000)

  /** Reads that ended with an answer. */
  const answered = ({ reads }: History) =>
    reads.flatMap((read) =>
      read.exit !== undefined && Exit.isSuccess(read.exit) ? [{ read, answer: read.exit.value }] : []
    )

  /** Each of a kind of thing, in all storms that came to their end; there must be many. */
  const each = <T>(
    least: number,
    things: (history: History) => ReadonlyArray<T>,
    holds: (thing: T, history: History) => void
  ) => {
    let seen = 0
    for (const history of drained) {
      for (const thing of things(history)) {
        seen++
        holds(thing, history)
      }
    }
    assert.isAtLeast(seen, least)
  }

  it("I1: no answer is older than its life, and an expired one is given only for a failing or slow load", () => {
    each(3000, answered, ({ answer, read }, { loads, seed }) => {
      const age = read.endedAt - answer.value.bornAt
      assert.strictEqual(Duration.toMillis(answer.age), age, seed)
      assert.isBelow(age, life, seed)
      if (age < windows.maxAge) return
      const reason = Option.getOrUndefined(answer.reason)
      assert.include(["error", "timeout"], reason, seed)
      // One since then, or one that was waited for while a last word brought the value.
      const mine = loads.filter(({ from, key, to }) =>
        key === read.key && from < read.to && (from > answer.value.from || to > read.from)
      )
      assert.isTrue(
        mine.some((load) => reason === "error" ? isBad(load) && load.to < read.to : load.to > read.from),
        seed
      )
    })
  })

  it("I2: a key has one load at a time, unless a last word came between", () => {
    each(1500, ({ loads }) => loads, (load, { loads, seed, words }) => {
      for (const other of loads) {
        if (other.key !== load.key || other.from <= load.from || other.from > load.to) continue
        assert.isTrue(
          words.some(({ called, key }) => key === load.key && load.from < called && called < other.from),
          `${seed}: ${load.from} and ${other.from}`
        )
      }
    })
  })

  it("I3b: a failing read had nothing inside its stale-if-error window to fall back on", () => {
    const failing = ({ reads }: History) =>
      reads.filter(({ doomed, exit, kind }) => kind === "read" && !doomed && exit !== undefined && Exit.isFailure(exit))
    each(200, failing, (read, { seed, words }) => {
      assert.instanceOf(error(read.exit), Down, seed)
      const left = Option.getOrUndefined(Option.flatten(read.left))
      if (left === undefined) return
      const { age, value } = left
      const marked = words.some(({ called, key, mode }) => key === read.key && mode === "soft" && called > value.from)
      if (!marked) assert.isAtLeast(Duration.toMillis(age), windows.freshFor + windows.staleIfError, seed)
    })
  })

  it("I4: nothing that began before a last word is seen by who comes after it", () => {
    each(3000, answered, ({ answer: { value }, read }, { loads, seed, words }) => {
      const load = loads.find(({ from, key }) => key === read.key && from === value.from)
      const before = words.filter(({ done, key }) => key === read.key && done <= read.from)
      // A value that a mark found may be served on; one that came after the mark began after it.
      const seen = before.filter(({ called, done, mode }) =>
        value.from < called && (mode !== "soft" || (load !== undefined && load.to > done))
      )
      assert.deepStrictEqual(seen, [], seed)
    })
  })

  it("I4, R11: a revalidation is a load that begins after the call", () => {
    const revalidated = (history: History) => answered(history).filter(({ read }) => read.kind === "revalidate")
    each(200, revalidated, ({ answer, read }, { seed }) => assert.isAbove(answer.value.from, read.from, seed))
  })

  it("I5: who is not interrupted is answered, or hears of a load that failed while it waited; who is, ends at once", () => {
    each(5000, ({ reads }) => reads, (read, { loads, seed }) => {
      assert.isDefined(read.exit, `${seed}: ${read.kind} of ${read.key} from ${read.from} waits for ever`)
      if (read.doomed) assert.isTrue(interrupted(read.exit), seed)
      else if (Exit.isFailure(read.exit)) {
        assert.isFalse(Cause.hasInterrupts(read.exit.cause), seed)
        const heard = loads.some((load) =>
          load.key === read.key && isBad(load) && load.to >= read.from && load.to <= read.to
        )
        assert.isTrue(heard, `${seed}: ${read.kind} of ${read.key} from ${read.from}`)
      }
    })
  })

  it("I6: each load that failed is one event, and is counted once", () => {
    each(40, (history) => [history], ({ events, loads, seed, stats }) => {
      const failed = loads.filter(isBad).length
      assert.isAtLeast(failed, 5, seed)
      assert.lengthOf(only(events, "LoadFailed"), failed, seed)
      assert.strictEqual(stats.failures, failed, seed)
    })
  })

  it("I8: closed in the middle, every wait ends by interruption, every load is interrupted, no fiber is left", () => {
    let ended = 0
    for (const { fibers, loads, reads, seed, stats } of closed) {
      for (const { exit } of reads) assert.isDefined(exit, seed)
      assert.isFalse(loads.some(({ fate }) => fate === "runs"), seed)
      ended += loads.filter(({ fate, to }) => fate === "stopped" && to > loads.at(-1)!.from).length
      assert.deepStrictEqual([stats.size, stats.flights, stats.backoffs], [0, 0, 0], seed)
      assert.strictEqual(fibers, 0, seed)
    }
    assert.isAtLeast(ended, 20)
  })

  it("I9: when all is quiet no flight, no fiber and no more than the capacity is left", () => {
    each(40, (history) => [history], ({ fibers, loads, most, seed, stats }) => {
      assert.isFalse(loads.some(({ fate }) => fate === "runs"), seed)
      assert.strictEqual(stats.flights, 0, seed)
      assert.isAtMost(Math.max(most, stats.size), capacity, seed)
      assert.strictEqual(fibers, 0, seed)
    })
  })

  it("I13: nobody waits longer than the limit of a load; for a load that has yet to begin, twice", () => {
    each(
      5000,
      ({ reads }) => reads,
      ({ begunAt, endedAt, kind }, { seed }) =>
        assert.isAtMost(endedAt - begunAt, kind === "read" ? limit : 2 * limit, seed)
    )
  })

  it("I18: fresh is an age below freshFor and no mark, and a stale answer never waited", () => {
    each(3000, answered, ({ answer, read }, { seed, words }) => {
      if (answer.source === "lookup") return assert.isTrue(Option.isNone(answer.reason), seed)
      const { bornAt, from } = answer.value
      const marked = words.some(({ at, called, done, key, mode }) =>
        key === read.key && mode === "soft" && called > from && done < read.to && at >= bornAt
      )
      const age = read.endedAt - bornAt
      if (answer.status === "fresh") assert.isTrue(age < windows.freshFor && !marked, seed)
      else if (answer.status === "stale") {
        assert.isTrue(age >= windows.freshFor || marked, seed)
        assert.isFalse(read.waited, seed)
      }
      assert.strictEqual(answer.status === "fresh", Option.isNone(answer.reason), seed)
    })
  })
})

// ----- each at its edges

/** A whole number from `least` to `most`, both included. */
const between = (draw: () => number, least: number, most: number) => least + Math.floor(draw() * (most - least + 1))

describe("I1, I3b: at the millisecond, under windows at random", () => {
  it.effect("fresh, then stale, then the old value for a failing load, then the load's own error", () =>
    Effect.gen(function*() {
      const draw = yield* drawn
      for (let i = 0; i < 200; i++) {
        const freshFor = between(draw, 0, 50)
        const maxAge = Math.max(1, freshFor + between(draw, 0, 50))
        const staleIfError = draw() < 0.3 ? 0 : maxAge - freshFor + between(draw, 0, 50)
        const end = Math.max(maxAge, freshFor + staleIfError)
        const source = counted((n) => n === 1 ? Effect.succeed("v") : Effect.fail(new Down({ by: `call ${n}` })))
        const cache = yield* Swr.make({ name: `c${i}`, lookup: source.lookup, freshFor, maxAge, staleIfError })
        yield* cache.get("k")
        const edges = [0, freshFor - 1, freshFor, maxAge - 1, maxAge, end - 1, end, end + between(draw, 1, 1000)]
        let age = 0
        for (const edge of edges.toSorted((x, y) => x - y)) {
          if (edge < age) continue
          yield* TestClock.adjust(edge - age)
          age = edge
          const at = `${freshFor}, ${maxAge}, ${staleIfError} at ${age}`
          const exit = yield* now(Effect.exit(cache.read("k")))
          yield* settle
          if (age >= end) assert.deepStrictEqual(error(exit), new Down({ by: `call ${source.calls}` }), at)
          else {
            const answer = yield* exit
            assert.strictEqual(answer.status, age < freshFor ? "fresh" : age < maxAge ? "stale" : "expired", at)
            assert.strictEqual(Duration.toMillis(answer.age), age, at)
          }
        }
      }
    }).pipe(within(), Random.withSeed("edges"), Effect.provide(logs().layer)))

  it.effect("I1: a failed refresh renews nothing, whatever it was: an error, a defect, a limit, an interruption", () =>
    Effect.gen(function*() {
      const ends: ReadonlyArray<(origin: Origin) => Effect.Effect<unknown>> = [
        (origin) => origin.call(-1).fail(),
        (origin) => origin.call(-1).die("defect"),
        () => TestClock.adjust("1 minute"),
        (origin) => origin.call(-1).end(Exit.interrupt())
      ]
      for (const [i, end] of ends.entries()) {
        const origin = new Origin()
        const cache = yield* Swr.make({ name: `c${i}`, lookup: origin.lookup, ...stale })
        yield* stock(origin, cache, "2 minutes")
        assert.strictEqual((yield* now(cache.read("k"))).status, "stale")
        yield* settle
        yield* end(origin)
        yield* settle
        const { age, freshFor } = yield* now(cache.read("k"))
        assert.isAtLeast(Duration.toMinutes(age), 2)
        assert.strictEqual(Duration.toMillis(freshFor), 0)
        yield* TestClock.adjust("4 minutes")
        const reader = yield* start(cache.get("k"))
        assert.isUndefined(yield* ended(reader), "it is expired")
        yield* Fiber.interrupt(reader)
      }
    }).pipe(within(), Effect.provide(logs().layer)))
})

describe("I2: one current load", () => {
  it.effect("of readers, batches and warm-ups that come at any step of loads that take no time", () =>
    Effect.gen(function*() {
      const draw = yield* drawn
      const running = new Map<string, number>()
      let loads = 0
      let most = 0
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) =>
          Effect.suspend(() => {
            const others = running.get(key) ?? 0
            most = Math.max(most, others + 1)
            running.set(key, others + 1)
            loads++
            return Effect.ensuring(
              Effect.as(Effect.repeat(Effect.yieldNow, { times: between(draw, 0, 5) }), key),
              Effect.sync(() => running.set(key, (running.get(key) ?? 0) - 1))
            )
          }),
        freshFor: 0,
        maxAge: 2
      })
      const readers: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let i = 0; i < 2_000; i++) {
        const key = `k${between(draw, 0, 2)}`
        const call: Effect.Effect<unknown> = draw() < 0.7
          ? cache.get(key)
          : draw() < 0.5
          ? cache.getMany([key, "k0"])
          : cache.revalidate(key)
        const reader = yield* start(call)
        readers.push(reader)
        if (draw() < 0.1) yield* Fiber.interrupt(reader)
        if (draw() < 0.5) yield* Effect.repeat(Effect.yieldNow, { times: between(draw, 0, 4) })
        if (draw() < 0.1) yield* TestClock.adjust(1)
      }
      yield* settle
      for (const reader of readers) assert.isDefined(reader.pollUnsafe())
      assert.isAtLeast(loads, 300)
      assert.strictEqual(most, 1)
    }).pipe(within(), Random.withSeed("one")))
})

describe("I4: a load and a last word, at every step of the load", () => {
  const words: ReadonlyArray<
    readonly [string, (cache: Swr.Instance<string, string>) => Effect.Effect<unknown, unknown>]
  > = [
    ["invalidate", (cache) => cache.invalidate("k")],
    ["soft invalidate", (cache) => cache.invalidate("k", { mode: "soft" })],
    ["clear", (cache) => cache.clear],
    ["invalidateTag", (cache) => cache.invalidateTag("t")],
    ["set", (cache) => cache.set("k", "set")],
    ["mutate", (cache) => cache.mutate("k", () => Effect.succeed("set"))]
  ]
  for (const [word, say] of words) {
    for (const begun of ["a miss", "a refresh", "a revalidation"]) {
      it.effect(`${word}, ${begun}: who comes after sees nothing that began before`, () =>
        Effect.gen(function*() {
          for (let steps = 0; steps < 12; steps++) {
            // A value tells whether its load began before the word or after it.
            let said = false
            const cache = yield* Swr.make({
              name: `c${steps}`,
              lookup: (_: string) =>
                Effect.suspend(() => {
                  const value = said ? "after" : "before"
                  return Effect.as(Effect.repeat(Effect.yieldNow, { times: 4 }), value)
                }),
              keep: () => ({ tags: ["t"] }),
              ...stale
            })
            if (begun !== "a miss") {
              yield* cache.set("k", "old", { tags: ["t"] })
              yield* TestClock.adjust("1 minute")
            }
            const call: Effect.Effect<unknown> = begun === "a revalidation" ? cache.revalidate("k") : cache.get("k")
            const first = yield* start(call)
            yield* Effect.forEach(Array.from({ length: steps }), () => Effect.yieldNow)
            const committed = Option.exists(yield* cache.peek("k"), ({ value }) => value === "before")
            said = true
            yield* say(cache)
            const next = yield* start(cache.read("k"))
            const last = yield* Effect.andThen(settle, cache.get("k"))
            const answer = yield* join(next)
            assert.isDefined(yield* ended(first))
            const setting = word === "set" || word === "mutate"
            assert.strictEqual(last, setting ? "set" : "after", `after ${steps} steps`)
            // A mark keeps what was there; a load that it overtook is not among it.
            const kept = word === "soft invalidate" ? committed ? ["before"] : ["old", "after"] : []
            assert.include([setting ? "set" : "after", ...kept], answer.value, `after ${steps} steps`)
          }
        }).pipe(within()))
    }
  }
})

describe("I5: interruption", () => {
  it.effect("of the last reader, and a newcomer at any step after it: it is served by a load of its own", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 12; steps++) {
        const origin = new Origin()
        const cache = yield* Swr.make({
          name: `c${steps}`,
          // What is stopped takes its time to stop.
          lookup: (key: string) =>
            Effect.onInterrupt(origin.lookup(key), () => Effect.repeat(Effect.yieldNow, { times: 6 })),
          ...stale
        })
        const last = yield* start(cache.get("k"))
        yield* Effect.forkChild(Fiber.interrupt(last), { startImmediately: true })
        yield* Effect.forEach(Array.from({ length: steps }), () => Effect.yieldNow)
        const newcomer = yield* start(cache.get("k"))
        yield* settle
        assert.lengthOf(origin.calls, 2)
        yield* origin.call(1).succeed("v")
        assert.strictEqual(yield* join(newcomer), "v")
        assert.isTrue(interrupted(yield* ended(last)))
      }
    }).pipe(within()))

  it.effect("a refresh does not belong to the reader that triggered it, nor to that reader's scope", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      const request = yield* start(Effect.scoped(Effect.andThen(cache.get("k"), Effect.never)))
      yield* Fiber.interrupt(request)
      yield* settle
      assert.isFalse(origin.call(1).interrupted)
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* now(cache.get("k")), "new")
    }).pipe(within()))
})

describe("I6: what fails behind the readers", () => {
  const failures: Record<string, Effect.Effect<string, Down>> = {
    "an error": Effect.fail(new Down({})),
    "a defect": Effect.die("defect"),
    "an interruption of itself": Effect.interrupt,
    "a throw": Effect.sync(() => {
      throw new Error("thrown")
    })
  }
  for (const [what, failure] of Object.entries(failures)) {
    it.effect(`${what} reaches no reader, and is one event, one count and one Warning`, () => {
      const { layer, lines } = logs()
      return Effect.gen(function*() {
        const events = yield* record
        const source = counted((n): Effect.Effect<string, Down> => n === 1 ? Effect.succeed("old") : failure)
        const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick })
        yield* cache.get("k")
        yield* TestClock.adjust("1 minute")
        for (let i = 0; i < 10; i++) assert.strictEqual(yield* now(cache.get("k")), "old")
        yield* settle
        assert.strictEqual(source.calls, 2)
        assert.lengthOf(only(events, "LoadFailed"), 1)
        assert.strictEqual((yield* cache.stats).failures, 1)
        assert.lengthOf(lines, 1)
      }).pipe(within(), Effect.provide(layer))
    })
  }

  const thrown = () => {
    throw new Error("thrown")
  }
  const hooks = {
    keep: { keep: thrown },
    "weight.of": { weight: { of: thrown, max: 10 } },
    "staleIfError.when": { staleIfError: { window: "1 day", when: thrown } }
  } as const
  for (const [what, hook] of Object.entries(hooks)) {
    it.effect(`${what} that throws harms no reader, on a miss and in a refresh, and leaves nothing behind`, () =>
      Effect.gen(function*() {
        const source = counted((n) => n % 2 === 1 ? Effect.succeed(`v${n}`) : Effect.fail(new Down({})))
        const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick, ...hook })
        for (let i = 0; i < 5; i++) {
          const exit = yield* now(Effect.exit(cache.get("k")))
          yield* settle
          assert.isUndefined(defect(exit))
          assert.strictEqual((yield* cache.stats).flights, 0)
          yield* TestClock.adjust("1 minute")
        }
        assert.isAtLeast(source.calls, 3)
      }).pipe(within(), Effect.provide(logs().layer)))
  }
})

describe("I8, I9", () => {
  it.effect("I8: after the close a read fails, and loads nothing", () =>
    Effect.gen(function*() {
      const { close, use } = yield* opened()
      const source = numbered()
      const cache = yield* use(Swr.make({ name: "c", lookup: source.lookup, ...stale }))
      yield* cache.get("k")
      assert.isTrue(yield* close)
      for (const key of ["k", "another"]) assert.isTrue(interrupted(yield* now(Effect.exit(cache.get(key)))))
      assert.strictEqual(source.calls, 1)
    }))

  it.effect("I9: 1,000 callers of a key leave no timer and no fiber, and while they wait there is one of each", () => {
    const { count, watch } = living()
    return Effect.gen(function*() {
      const origin = new Origin()
      const { use } = yield* watch(opened())
      const cache = yield* use(Swr.make({ name: "c", lookup: origin.lookup, ...stale }))
      const readers = yield* Effect.forEach(Array.from({ length: 1000 }), () => start(cache.get("k")))
      yield* settle
      assert.isAtMost(count.fibers, 2)
      yield* origin.call(0).succeed("v")
      for (const reader of readers) assert.strictEqual(yield* join(reader), "v")
      assert.strictEqual(count.fibers, 0)
    })
  })
})

describe("I11: failures are not kept", () => {
  it.effect("each call of a key that has nothing loads, and the first success is served", () =>
    Effect.gen(function*() {
      const source = counted((n) => n < 20 ? Effect.fail(new Down({ by: `${n}` })) : Effect.succeed("v"))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...sick })
      for (let n = 1; n < 20; n++) {
        assert.deepStrictEqual(error(yield* now(Effect.exit(cache.get("k")))), new Down({ by: `${n}` }))
        assert.deepStrictEqual([(yield* cache.stats).size, (yield* cache.stats).backoffs], [0, 0])
      }
      assert.strictEqual(yield* now(cache.get("k")), "v")
    }).pipe(within()))

  it.effect("unless asked for: then for their own window, to the millisecond, and never in the way of an old value", () =>
    Effect.gen(function*() {
      const source = counted((n, key) => n === 1 ? Effect.succeed("old") : Effect.fail(new Down({ by: `${key}${n}` })))
      const cache = yield* Swr.make({
        name: "c",
        lookup: source.lookup,
        failureTimeToLive: "10 seconds",
        ...sick
      })
      yield* cache.get("old")
      const heard = Effect.map(now(Effect.exit(cache.get("k"))), (exit) => error(exit))
      assert.deepStrictEqual(yield* heard, new Down({ by: "k2" }))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* heard, new Down({ by: "k2" }))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* heard, new Down({ by: "k3" }))
      yield* TestClock.adjust("1 minute")
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(yield* now(cache.get("old")), "old")
        yield* settle
      }
      assert.strictEqual(source.calls, 4)
    }).pipe(within(), Effect.provide(logs().layer)))

  it.effect("a failed load poisons no key: the next one begins anew, however the first ended", () =>
    Effect.gen(function*() {
      const ends = [Exit.fail(new Down({})), Exit.die("defect"), Exit.interrupt()]
      for (const [i, end] of ends.entries()) {
        const origin = new Origin()
        const cache = yield* Swr.make({ name: `c${i}`, lookup: origin.lookup, ...sick })
        const first = yield* start(cache.get("k"))
        yield* origin.call(0).end(end)
        const exit = yield* ended(first)
        assert.isTrue(exit !== undefined && Exit.isFailure(exit))
        const second = yield* start(cache.get("k"))
        yield* origin.call(1).succeed("v")
        assert.strictEqual(yield* join(second), "v")
      }
    }).pipe(within()))
})

describe("I12: a key in use", () => {
  it.effect("is kept fresh: read each second for an hour, it is never older than its window, one load and one second", () =>
    Effect.gen(function*() {
      const source = counted((n) => Effect.delay(Effect.succeed(n), "3 seconds"))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const first = yield* start(cache.get("k"))
      yield* TestClock.adjust("3 seconds")
      yield* join(first)
      for (let second = 0; second < 3600; second++) {
        const { age, status } = yield* now(cache.read("k"))
        assert.isAtMost(Duration.toSeconds(age), 63, `at second ${second}: ${status}`)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(source.calls, 1 + Math.floor(3600 / 63))
    }).pipe(within()))

  /** Reads a key each second while its origin takes 2 seconds to be found dead; tells when its calls began and ended. */
  const outage = Effect.fnUntraced(function*(seconds: number, asleep: Duration.Input) {
    const clock = yield* Clock.Clock
    const ms = () => clock.currentTimeMillisUnsafe()
    const events = yield* record
    const calls: Array<{ readonly begun: number; ended: number }> = []
    const health = { isSound: true, running: 0, most: 0 }
    const cache = yield* Swr.make({
      name: "c",
      lookup: (_: string): Effect.Effect<string, Down> =>
        Effect.suspend(() => {
          if (health.isSound) return Effect.succeed("old")
          const call = { begun: ms(), ended: Infinity }
          calls.push(call)
          health.most = Math.max(health.most, ++health.running)
          return Effect.ensuring(
            Effect.delay(Effect.fail(new Down({})), "2 seconds"),
            Effect.sync(() => {
              health.running--
              call.ended = ms()
            })
          )
        }),
      ...sick
    })
    yield* cache.get("hot")
    yield* TestClock.adjust(asleep)
    health.isSound = false
    // The first may have to find out.
    const first = yield* start(cache.get("hot"))
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(yield* join(first), "old")
    for (let second = 0; second < seconds; second++) {
      assert.strictEqual(yield* now(cache.get("hot")), "old", `at second ${second}`)
      yield* TestClock.adjust("1 second")
    }
    return { cache, calls, health, pauses: only(events, "LoadFailed").map(({ retryIn }) => retryIn) }
  })

  for (const [found, asleep] of [["stale", "2 minutes"], ["expired", "10 minutes"]] as const) {
    for (const seed of ["one", "two", "three"]) {
      it.effect(`an outage of an hour with one hot key, a 2 s connect timeout and a day of stale-if-error: no reader waits after the first, and origin calls follow the back-off (${found}, seed ${seed})`, () =>
        Effect.gen(function*() {
          const { calls, health, pauses } = yield* outage(3600, asleep)
          assert.strictEqual(health.most, 1)
          for (let i = 1; i < calls.length; i++) {
            const pause = pauses[i - 1]!
            assert.isAtLeast(pause, 1_000, `after call ${i}`)
            assert.isAtMost(pause, Math.min(1_000 * 2 ** i, 60_000), `after call ${i}`)
            // The first read that finds it over.
            assert.strictEqual(calls[i]!.begun - calls[i - 1]!.ended, Math.ceil(pause / 1_000) * 1_000)
          }
          // In the long run the pauses are half a minute, so there are about 3600 / 33 calls.
          assert.isAtLeast(calls.length, 3600 / 62)
          assert.isAtMost(calls.length, 160)
        }).pipe(within(), Random.withSeed(seed), Effect.provide(logs().layer)))
    }
  }

  it.effect("recovers by itself, within one back-off and one read", () =>
    Effect.gen(function*() {
      for (const seconds of [10, 100, 1000]) {
        yield* Effect.gen(function*() {
          const { cache, health } = yield* outage(seconds, "10 minutes")
          health.isSound = true
          for (let second = 0; second < 64; second++) {
            assert.strictEqual(yield* now(cache.get("hot")), "old")
            yield* settle
            yield* TestClock.adjust("1 second")
          }
          assert.notStrictEqual((yield* now(cache.read("hot"))).status, "expired")
          assert.strictEqual((yield* cache.stats).backoffs, 0)
        }).pipe(within())
      }
    }).pipe(Random.withSeed("recovery"), Effect.provide(logs().layer)))

  it.effect("is tried at most 11 times in 2 seconds at 200 ms, and no slower than twice that", () =>
    Effect.gen(function*() {
      const source = counted((n) => n === 1 ? Effect.succeed("old") : Effect.fail(new Down({})))
      const backoff = { from: "200 millis", to: "200 millis" } as const
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, backoff, ...sick })
      yield* cache.get("k")
      yield* TestClock.adjust("1 minute")
      for (let ms = 0; ms < 2000; ms += 10) {
        yield* now(cache.get("k"))
        yield* settle
        yield* TestClock.adjust("10 millis")
      }
      assert.isAtMost(source.calls - 1, 11)
      assert.isAtLeast(source.calls - 1, 5)
    }).pipe(within(), Effect.provide(logs().layer)))
})

describe("I13: no wait without an end", () => {
  it.effect("lookups that hang, deaf or not, in every entrance: who waits is told at the limit, and the key is free", () =>
    Effect.gen(function*() {
      for (const deaf of [false, true]) {
        const origin = new Origin()
        origin.deaf = deaf
        const cache = yield* Swr.make({ name: `c${deaf}`, lookup: origin.lookup, hardTimeout: "5 seconds", ...stale })
        const many = yield* Swr.make({
          name: `many${deaf}`,
          lookupMany: (keys: ReadonlyArray<string>) => Effect.as(origin.lookup(keys.join()), new Map<string, string>()),
          hardTimeout: "5 seconds",
          ...stale
        })
        const waiting: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
          yield* start(cache.get("k")),
          yield* start(cache.read("k")),
          yield* start(cache.getMany(["k", "other"])),
          yield* start(many.getMany(["k", "other"]))
        ]
        yield* TestClock.adjust("4999 millis")
        for (const fiber of waiting) assert.isUndefined(yield* ended(fiber))
        yield* TestClock.adjust("1 millis")
        for (const fiber of waiting) assert.instanceOf(error(yield* ended(fiber)), Swr.LoadTimeout)
        assert.strictEqual((yield* cache.stats).flights, 0)
        const next = yield* start(cache.get("k"))
        yield* origin.call(-1).succeed("v")
        assert.strictEqual(yield* join(next), "v")
        for (const call of origin.calls.slice()) if (call.exit === undefined) yield* call.succeed("late")
        assert.strictEqual(yield* now(cache.get("k")), "v")
      }
    }).pipe(within()))

  it.effect("a refresh that never settles does not pin its key: there is a next one", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      origin.deaf = true
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "5 seconds", ...sick })
      yield* stock(origin, cache, "1 minute")
      for (let second = 0; second < 600; second++) {
        assert.strictEqual(yield* now(cache.get("k")), "old")
        yield* TestClock.adjust("1 second")
      }
      assert.isAtLeast(origin.calls.length, 600 / 66)
      for (const call of origin.calls.slice()) if (call.exit === undefined) yield* call.succeed("late")
    }).pipe(within(), Random.withSeed("pinned"), Effect.provide(logs().layer)))

  it.effect("a lookup that reads its own key, alone or in a circle of any length, ends at once", () =>
    Effect.gen(function*() {
      for (let length = 1; length <= 8; length++) {
        const cache: Swr.Instance<number, number> = yield* Swr.make({
          name: `c${length}`,
          lookup: (key: number): Effect.Effect<number> => Effect.suspend(() => cache.get((key + 1) % length)),
          freshFor: "1 minute"
        })
        assert.instanceOf(defect(yield* now(Effect.exit(cache.get(0)))), Swr.LookupCycle)
        assert.strictEqual((yield* cache.stats).flights, 0)
      }
    }).pipe(within()))
})

describe("I16: every key is a key of its own", () => {
  const strange = [
    "",
    " ",
    "\0",
    "\0\0",
    "\r\n",
    "\n",
    "*",
    "a*",
    "?",
    "[a]",
    "a",
    "A",
    "b",
    "a:b",
    "a:b:k",
    "b:k",
    "k",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "undefined",
    "null",
    "NaN",
    "0",
    "1",
    "-0",
    "true",
    "\ud800",
    "\udfff",
    "\udfff\ud800",
    "\u00e9",
    "e\u0301",
    "\ufeff",
    "x".repeat(10_000),
    "x".repeat(9_999) + "y",
    `["a"]`,
    `"a"`,
    "1:1",
    `\u00001:"a"`,
    "\0#",
    "{k}",
    "%00",
    "..",
    "/",
    "\\",
    "'; --"
  ]

  it.effect("strings, in every entrance: what is set under one is found under no other", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.Cache
      const made = yield* Swr.make({ name: "c", lookup: (key: string) => Effect.succeed(`made ${key}`), ...stale })
      const read = (key: string) => Swr.swr(key, Effect.succeed(`swr ${key}`), stale)
      for (const key of strange) {
        assert.isFalse(yield* made.has(key))
        assert.isFalse(yield* cache.has(key))
        assert.isTrue(Option.isNone(yield* Swr.cacheGet(key)))
        yield* made.get(key)
        yield* read(key)
        yield* Swr.cacheSet(key, `plain ${key}`)
      }
      for (const key of strange) {
        assert.strictEqual(yield* made.get(key), `made ${key}`)
        assert.strictEqual((yield* read(key)).value, `swr ${key}`)
        assert.deepStrictEqual(yield* Swr.cacheGet(key), Option.some(`plain ${key}`))
      }
      assert.strictEqual((yield* made.stats).size, new Set(strange).size)
      // No pattern, no prefix, no other namespace.
      for (const [i, key] of strange.entries()) {
        yield* made.invalidate(key)
        assert.isFalse(yield* made.has(key))
        assert.strictEqual((yield* made.stats).size, strange.length - i - 1, JSON.stringify(key))
      }
      assert.strictEqual((yield* cache.stats).size, strange.length)
    }).pipe(within()))

  it.effect("parts: two lists are one key exactly when they are the same list", () =>
    Effect.gen(function*() {
      const draw = yield* drawn
      const parts: ReadonlyArray<string | number | boolean> = [
        ...strange.filter(({ length }) => length < 20),
        0,
        1,
        -1,
        1.5,
        1e21,
        true,
        false
      ]
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: ReadonlyArray<string | number | boolean>) => Effect.succeed(JSON.stringify(key)),
        key: (key) => key,
        capacity: 100_000,
        ...stale
      })
      const seen = new Set<string>()
      const read = Effect.fnUntraced(function*(key: ReadonlyArray<string | number | boolean>) {
        seen.add(JSON.stringify(key))
        assert.strictEqual(yield* cache.get(key), JSON.stringify(key))
      })
      for (const one of parts) {
        for (const two of parts) yield* read([one, two])
        yield* read([one])
        yield* read([one, ""])
        yield* read(["", one])
      }
      for (let i = 0; i < 5_000; i++) {
        yield* read(Array.from({ length: between(draw, 1, 4) }, () => parts[between(draw, 0, parts.length - 1)]!))
      }
      assert.strictEqual((yield* cache.stats).size, seen.size)
      assert.isAtLeast(seen.size, 5_000)
    }).pipe(within(), Random.withSeed("parts")))

  it.effect("sensitive ones too", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: ReadonlyArray<string>) => Effect.succeed(JSON.stringify(key)),
        key: (key) => key.map((part, i) => i === 0 ? Redacted.make(part) : part),
        ...stale
      })
      const keys = strange.flatMap((one) => [[one], [one, "a"], ["a", one], ["a", "b", one]])
      for (const key of keys) assert.strictEqual(yield* cache.get(key), JSON.stringify(key))
      assert.strictEqual((yield* cache.stats).size, new Set(keys.map((key) => JSON.stringify(key))).size)
    }).pipe(within()))

  it.effect("namespaces glue nothing: `a` with `b:k` is not `a:b` with `k`", () =>
    Effect.gen(function*() {
      for (const name of ["a", "a:b", "a:b:k", "__proto__"]) {
        const cache = yield* Swr.make({ name, lookup: (key: string) => Effect.succeed(`${name} ${key}`), ...stale })
        for (const key of ["b:k", "k", ""]) assert.strictEqual(yield* cache.get(key), `${name} ${key}`)
        assert.strictEqual((yield* cache.stats).loads, 3)
      }
    }).pipe(within()))
})

describe("I18: what the status says", () => {
  it.effect("holds for windows above 2^31 ms, and so do limits, back-offs and failure windows", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({
        name: "c",
        lookup: source.lookup,
        freshFor: "30 days",
        maxAge: "60 days",
        staleIfError: "90 days",
        softTimeout: "40 days",
        hardTimeout: "50 days",
        backoff: { from: "35 days", to: "70 days" },
        failureTimeToLive: "45 days"
      })
      yield* cache.get("k")
      yield* TestClock.adjust(30 * 86_400_000 - 1)
      assert.strictEqual((yield* cache.read("k")).status, "fresh")
      yield* settle
      assert.strictEqual(source.calls, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* now(cache.read("k"))).status, "stale")
      yield* settle
      assert.strictEqual(source.calls, 2)
      yield* TestClock.adjust("60 days")
      assert.strictEqual((yield* now(cache.read("k"))).status, "expired")
    }).pipe(within({ maxTimeToLive: "365 days" })))

  it.effect("a stale hit starts one refresh and waits for nothing, also while 64 lookups hang and the key's own one does", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "1 day", ...stale })
      const keys = Array.from({ length: 70 }, (_, i) => `k${i}`)
      for (const key of keys) yield* stock(origin, cache, 0, key, key)
      yield* TestClock.adjust("1 minute")
      for (let i = 0; i < 3; i++) {
        for (const key of keys) {
          const reader = yield* start(cache.read(key))
          assert.isDefined(reader.pollUnsafe())
          assert.deepStrictEqual(shown(yield* join(reader)), [key, "stale", "memory", "revalidating"])
        }
      }
      yield* settle
      assert.lengthOf(origin.calls, 70 + 64)
      assert.strictEqual(new Set(origin.calls.slice(70).map(({ key }) => key)).size, 64)
    }).pipe(within()))
})

describe("I19: wall clocks", () => {
  /** What reads of a key find, and how many loads there were, while the wall clock of layer and readers is set. */
  const run = (steps: boolean) =>
    Effect.gen(function*() {
      const draw = yield* drawn
      const clock = yield* Clock.Clock
      let ahead = 0
      const millis = () => clock.currentTimeMillisUnsafe() + ahead
      const nanos = () => clock.currentTimeNanosUnsafe() + BigInt(ahead) * 1_000_000n
      const wall: Clock.Clock = {
        currentTimeMillisUnsafe: millis,
        currentTimeMillis: Effect.sync(millis),
        currentTimeNanosUnsafe: nanos,
        currentTimeNanos: Effect.sync(nanos),
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        sleep: (duration) => clock.sleep(duration)
      }
      const source = counted((n) => n % 3 === 0 ? Effect.fail(new Down({})) : Effect.succeed(`v${n}`))
      return yield* Effect.gen(function*() {
        const cache = yield* Swr.make({ name: "c", lookup: source.lookup, jitter: 0.2, ...sick })
        const seen: Array<unknown> = []
        for (let i = 0; i < 1_000; i++) {
          const pause = between(draw, 1, 20) * 1000 + (draw() < 0.01 ? 400_000 : 0)
          const exit = yield* now(Effect.exit(Effect.provideService(cache.read("k"), Clock.Clock, wall)))
          yield* settle
          const found = Exit.isSuccess(exit) ? [...shown(exit.value), Duration.toMillis(exit.value.age)] : error(exit)
          seen.push([found, source.calls])
          const to = draw() < 0.01 ? 8e15 : between(draw, -600_000, 600_000)
          if (steps) ahead = to
          yield* TestClock.adjust(pause)
        }
        return seen
      }).pipe(Effect.provide(Layer.provide(Swr.layer(), Layer.succeed(Clock.Clock, wall))))
    }).pipe(Random.withSeed("clocks"), Effect.provide(logs().layer))

  it.effect("that step by up to ten minutes, both ways, change no age, no status and no number of loads", () =>
    Effect.gen(function*() {
      const straight = yield* run(false)
      assert.deepStrictEqual(yield* run(true), straight)
      assert.isAtLeast(new Set(straight.map((seen) => JSON.stringify(seen))).size, 500)
    }))

  it.effect("that are set back ten minutes after each load start no storm: one refresh per window", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_800_000_000_000)
      const clock = yield* Clock.Clock
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      for (let second = 0; second < 600; second++) {
        const before = source.calls
        yield* now(cache.get("k"))
        yield* settle
        if (source.calls > before) yield* TestClock.setTime(clock.currentTimeMillisUnsafe() - 600_000)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(source.calls, 10)
    }).pipe(within()))
})

describe("I20: keys are independent", () => {
  it.effect("50 of 50 load side by side, and end in any order", () =>
    Effect.gen(function*() {
      const draw = yield* drawn
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const readers = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => `k${i}`),
        (key) => start(cache.get(key))
      )
      assert.strictEqual(origin.running, 50)
      const left = new Set(readers.keys())
      while (left.size > 0) {
        const i = Array.from(left)[between(draw, 0, left.size - 1)]!
        left.delete(i)
        yield* origin.call(i).succeed(`k${i}`)
        assert.strictEqual(yield* join(readers[i]!), `k${i}`)
        assert.strictEqual(origin.running, left.size)
      }
    }).pipe(within(), Random.withSeed("any order")))

  it.effect("a load that hangs, fails, dies or is interrupted delays no other key's hit, refresh, load or last word", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => key === "slow" ? origin.lookup(key) : Effect.succeed(key),
        ...stale
      })
      const others = Effect.gen(function*() {
        for (let i = 0; i < 50; i++) {
          const key = `k${i}`
          assert.strictEqual(yield* now(cache.get(key)), key)
          yield* now(cache.set(key, "set"))
          assert.strictEqual(yield* now(cache.get(key)), "set")
          yield* now(cache.invalidate(key))
        }
        assert.lengthOf(yield* now(cache.getMany(["k0", "k1"])), 2)
        yield* now(cache.clear)
      })
      const ends = [Exit.succeed("v"), Exit.fail(new Down({})), Exit.die("defect"), Exit.interrupt()]
      for (const end of ends) {
        const reader = yield* start(cache.get("slow"))
        yield* others
        assert.isUndefined(yield* ended(reader))
        yield* origin.call(-1).end(end)
        yield* others
        assert.isDefined(yield* ended(reader))
      }
    }).pipe(within()))

  it.effect("lookups may read other keys, many at once and as deep as they like: each is loaded once", () =>
    Effect.gen(function*() {
      const loads = new Map<number, number>()
      const cache: Swr.Instance<number, number> = yield* Swr.make({
        name: "c",
        lookup: (key: number): Effect.Effect<number> =>
          Effect.suspend(() => {
            loads.set(key, (loads.get(key) ?? 0) + 1)
            const below = [key - 1, key - 2, key >> 1].filter((other) => other >= 0 && other < key)
            return Effect.map(
              Effect.forEach(new Set(below), (other) => cache.get(other), { concurrency: "unbounded" }),
              (depths) => 1 + Math.max(0, ...depths)
            )
          }),
        freshFor: "1 minute"
      })
      assert.strictEqual(yield* now(cache.get(200)), 201)
      assert.strictEqual(loads.size, 201)
      assert.isTrue(Array.from(loads.values()).every((n) => n === 1))
    }).pipe(within()))
})

describe("I24: jitter", () => {
  it.effect("spreads the ends of 10,000 keys that were loaded at once: at most half of them in one of 50 ms", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: number) => Effect.succeed(key),
        freshFor: "400 millis",
        maxAge: "3 seconds",
        jitter: 0.25
      })
      const ends = yield* Effect.forEach(
        Array.from({ length: 10_000 }, (_, key) => key),
        (key) => Effect.map(cache.read(key), ({ freshFor }) => Duration.toMillis(freshFor))
      )
      assert.isTrue(ends.every((end) => end >= 300 && end <= 400))
      for (let from = 300; from < 400; from += 10) {
        const share = ends.filter((end) => end >= from && end < from + 50).length / ends.length
        assert.isAtMost(share, 0.52, `from ${from}`)
      }
      assert.isAbove(new Set(ends).size, 95)
    }).pipe(within(), Random.withSeed("jitter")))

  it.effect("only shortens: a key is fresh to the end it was given, never past freshFor, and expires when it did before", () =>
    Effect.gen(function*() {
      const draw = yield* drawn
      for (let i = 0; i < 200; i++) {
        const jitter = draw()
        const freshFor = between(draw, 1, 1000)
        const maxAge = freshFor + between(draw, 0, 1000)
        const cache = yield* Swr.make({
          name: `c${i}`,
          lookup: (_: string) => Effect.succeed("v"),
          freshFor,
          maxAge,
          jitter
        })
        const answer = yield* cache.read("k")
        const end = Duration.toMillis(answer.freshFor)
        assert.isAtMost(end, freshFor)
        assert.isAtLeast(end, Math.floor(freshFor * (1 - jitter)))
        assert.strictEqual(Duration.toMillis(answer.servableFor), maxAge)
        const status = Effect.map(cache.peek("k"), Option.map((answer) => answer.status))
        if (end > 0) {
          yield* TestClock.adjust(end - 1)
          assert.deepStrictEqual(yield* status, Option.some("fresh"))
          yield* TestClock.adjust(1)
        }
        assert.deepStrictEqual(yield* status, end < maxAge ? Option.some("stale") : Option.none())
        yield* TestClock.adjust(maxAge - end)
        assert.deepStrictEqual(yield* status, Option.none())
      }
    }).pipe(within(), Random.withSeed("shorter")))

  it.effect("of 1,000 hot keys loaded at once, at most half refresh in one of 50 ms", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const refreshed: Array<number> = []
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: number) =>
          Effect.sync(() => refreshed.push(clock.currentTimeMillisUnsafe())).pipe(Effect.as(key)),
        freshFor: "400 millis",
        maxAge: "3 seconds",
        jitter: 0.25
      })
      const keys = Array.from({ length: 1000 }, (_, key) => key)
      yield* cache.getMany(keys)
      refreshed.length = 0
      for (let ms = 0; ms < 400; ms += 5) {
        yield* TestClock.adjust("5 millis")
        yield* cache.getMany(keys)
        yield* settle
      }
      assert.lengthOf(refreshed, 1000)
      for (let from = 300; from < 400; from += 5) {
        assert.isAtMost(refreshed.filter((at) => at > from && at <= from + 50).length, 550, `from ${from}`)
      }
    }).pipe(within({ refreshes: 1000 }), Random.withSeed("spread")))
})
