/** Keys are loaded although nobody reads them: on a trigger, on a schedule, before the first reader. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Queue, Schedule, Scope, Stream, Terminal } from "effect"
import { Swr } from "effect-swr"
import * as Auditor from "effect-swr/Auditor"
import * as History from "effect-swr/History"
import * as Triggers from "effect-swr/Triggers"
import * as Warmup from "effect-swr/Warmup"
import { TestClock } from "effect/testing"
import {
  collect,
  counted,
  Down,
  ended,
  join,
  living,
  logs,
  now,
  numbered,
  only,
  Origin,
  record,
  second,
  settle,
  sick,
  stale,
  start,
  stock,
  within
} from "./Origin.ts"

/** A trigger that the test pulls. */
const lever = Effect.map(Queue.unbounded<void>(), (queue) => ({
  stream: Stream.fromQueue(queue),
  pull: Effect.andThen(Queue.offer(queue, undefined), settle)
}))

describe("revalidateOn", () => {
  it.effect("V-06: loads the keys in use that are stale, and no other", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const { pull, stream } = yield* lever
      yield* Triggers.revalidateOn(cache, stream)
      for (const key of ["used", "unused"]) yield* cache.get(key)
      yield* TestClock.adjust("1 minute")
      yield* cache.get("fresh")
      const used = yield* collect(cache.changes("used"))
      yield* collect(cache.changes("fresh"))
      source.keys.length = 0
      yield* pull
      assert.deepStrictEqual(source.keys, ["used"])
      assert.lengthOf(used.seen, 2, "who watches is told")
      yield* pull
      assert.deepStrictEqual(source.keys, ["used"], "it is fresh by now")
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(used.fiber)
      source.keys.length = 0
      yield* pull
      assert.deepStrictEqual(source.keys, ["fresh"], "the other is watched no more")
    }).pipe(within()))

  it.effect("a key that somebody watches and that is gone, or never was there, is loaded", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const { pull, stream } = yield* lever
      yield* Triggers.revalidateOn(cache, stream)
      yield* collect(cache.changes("k"))
      yield* pull
      assert.isTrue(yield* cache.has("k"))
    }).pipe(within()))

  it.effect("a key that two watch is loaded once, and until both have left", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const { pull, stream } = yield* lever
      yield* Triggers.revalidateOn(cache, stream, { mode: "all" })
      const one = yield* collect(cache.changes("k"))
      const other = yield* collect(cache.changes("k"))
      yield* pull
      assert.strictEqual(source.calls, 1)
      yield* Fiber.interrupt(one.fiber)
      yield* pull
      assert.strictEqual(source.calls, 2)
      yield* Fiber.interrupt(other.fiber)
      yield* pull
      assert.strictEqual(source.calls, 2)
    }).pipe(within()))

  it.effect("loads given keys, and with mode all the fresh ones too", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const { pull, stream } = yield* lever
      yield* Triggers.revalidateOn(cache, stream, { keys: ["a", "b"], mode: "all" })
      yield* pull
      yield* pull
      assert.deepStrictEqual(source.keys, ["a", "b", "a", "b"])
    }).pipe(within()))

  it.effect("R9: leaves alone a key that backs off, and a failure ends nothing", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, backoff: second, ...sick })
      const { pull, stream } = yield* lever
      yield* stock(origin, cache, "1 minute")
      yield* Triggers.revalidateOn(cache, stream, { keys: ["k"], mode: "all" })
      yield* pull
      yield* origin.call(1).fail()
      yield* pull
      assert.lengthOf(origin.calls, 2)
      yield* TestClock.adjust("1 second")
      yield* pull
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).die("bug")
      yield* TestClock.adjust("1 second")
      yield* pull
      assert.lengthOf(origin.calls, 4)
    }).pipe(within()))

  it.effect("R6: joins a load that is under way, and runs so many side by side", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const { pull, stream } = yield* lever
      yield* start(cache.get("a"))
      yield* Triggers.revalidateOn(cache, stream, { keys: ["a", "b", "c", "d"], concurrency: 2 })
      yield* pull
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a", "b", "c"])
      yield* origin.call(1).succeed("v")
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["a", "b", "c", "d"])
    }).pipe(within()))

  it.effect("ends with its scope, and what it was loading is stopped", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const scope = yield* Scope.make()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const { pull, stream } = yield* lever
      yield* Scope.provide(Triggers.revalidateOn(cache, stream, { keys: ["k"] }), scope)
      yield* pull
      assert.strictEqual(origin.running, 1)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.strictEqual(origin.running, 0)
    }).pipe(within()))

  it.effect("works on a cache that is audited", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Auditor.make(yield* Swr.make({ name: "c", lookup: source.lookup, ...stale }))
      const { pull, stream } = yield* lever
      yield* Triggers.revalidateOn(cache, stream, { keys: ["k"] })
      yield* pull
      assert.strictEqual(source.calls, 1)
    }).pipe(within()))

  it.effect("refreshes on any schedule", () =>
    Effect.gen(function*() {
      const source = numbered()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const hourly = Stream.fromSchedule(Schedule.cron("0 * * * *"))
      yield* Triggers.revalidateOn(cache, hourly, { keys: ["k"], mode: "all" })
      yield* TestClock.setTime(59 * 60_000)
      assert.strictEqual(source.calls, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(source.calls, 1)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(source.calls, 3)
    }).pipe(within()))

  it.effect("V-08: the next interval begins when the round is over", () =>
    Effect.gen(function*() {
      const source = counted((n) => Effect.as(Effect.sleep("3 seconds"), n))
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      yield* Triggers.revalidateOn(cache, Triggers.interval("10 seconds"), { keys: ["k"], mode: "all" })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(source.calls, 1)
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual(source.calls, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(source.calls, 2)
    }).pipe(within()))
})

/** A browser, as far as the triggers look. */
const browser = Effect.gen(function*() {
  const window = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" })
  const navigator = { onLine: true }
  const listening = { count: 0 }
  for (const target of [window, document]) {
    const add = target.addEventListener.bind(target)
    const remove = target.removeEventListener.bind(target)
    target.addEventListener = (...args) => (listening.count++, add(...args))
    target.removeEventListener = (...args) => (listening.count--, remove(...args))
  }
  vi.stubGlobal("window", window)
  vi.stubGlobal("document", document)
  vi.stubGlobal("navigator", navigator)
  yield* Effect.addFinalizer(() => Effect.sync(() => vi.unstubAllGlobals()))
  const happens = (target: EventTarget, type: string) =>
    Effect.andThen(Effect.sync(() => target.dispatchEvent(new Event(type))), settle)
  return {
    document,
    navigator,
    listening,
    focus: happens(window, "focus"),
    show: happens(document, "visibilitychange"),
    online: happens(window, "online")
  }
})

describe("in a browser", () => {
  it.effect("V-06: focus counts while the page is visible and online, at most once in 5 seconds, the first ones too", () =>
    Effect.gen(function*() {
      const page = yield* browser
      const { seen } = yield* collect(Triggers.focus())
      const after = (counts: ReadonlyArray<number>) => assert.deepStrictEqual([seen.length], counts)
      yield* page.focus
      yield* TestClock.adjust("5 seconds")
      yield* page.focus
      after([0])
      yield* TestClock.adjust("1 millis")
      yield* page.focus
      yield* page.show
      after([1])
      yield* TestClock.adjust("6 seconds")
      page.navigator.onLine = false
      yield* page.focus
      after([1])
      page.navigator.onLine = true
      page.document.visibilityState = "hidden"
      yield* page.show
      after([1])
      page.document.visibilityState = "visible"
      yield* page.show
      after([2])
    }))

  it.effect("V-07: the network's return counts while the page is visible, as often as it comes", () =>
    Effect.gen(function*() {
      const page = yield* browser
      const { seen } = yield* collect(Triggers.reconnect)
      yield* page.online
      yield* page.online
      assert.lengthOf(seen, 2)
      page.document.visibilityState = "hidden"
      yield* page.online
      assert.lengthOf(seen, 2)
    }))

  it.effect("V-08: an interval is passed over while the page is hidden or offline, and goes on", () =>
    Effect.gen(function*() {
      const page = yield* browser
      const { seen } = yield* collect(Triggers.interval("10 seconds"))
      yield* TestClock.adjust("10 seconds")
      page.document.visibilityState = "hidden"
      yield* TestClock.adjust("10 seconds")
      page.document.visibilityState = "visible"
      page.navigator.onLine = false
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(seen, 1)
      page.navigator.onLine = true
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(seen, 2)
    }))

  it.effect("events that come while a round runs are one round more", () =>
    Effect.gen(function*() {
      const page = yield* browser
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* Triggers.revalidateOn(cache, Triggers.reconnect, { keys: ["k"], mode: "all" })
      yield* settle
      for (let i = 0; i < 4; i++) yield* page.online
      yield* origin.call(0).succeed("v")
      yield* origin.call(1).succeed("w")
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("nothing listens once the scope is closed", () =>
    Effect.gen(function*() {
      const page = yield* browser
      const both = yield* collect(Stream.merge(Triggers.focus(), Triggers.reconnect))
      assert.strictEqual(page.listening.count, 3)
      yield* Fiber.interrupt(both.fiber)
      assert.strictEqual(page.listening.count, 0)
    }))

  it.effect("elsewhere focus and reconnect end at once, and an interval is never passed over", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* now(Stream.runCollect(Stream.merge(Triggers.focus(), Triggers.reconnect))), [])
      const { seen } = yield* collect(Triggers.interval("10 seconds"))
      yield* TestClock.adjust("20 seconds")
      assert.lengthOf(seen, 2)
    }))
})

describe("RX-31: warm-up", () => {
  const even = () =>
    counted((_, key) => Number(key) % 2 === 0 ? Effect.succeed(key) : Effect.fail(new Down({ by: key })))

  it.effect("loads every key, lists the failures, and tells how far it is", () =>
    Effect.gen(function*() {
      const source = even()
      const cache = yield* Swr.make({ name: "c", lookup: source.lookup, ...stale })
      const told: Array<readonly [number, number]> = []
      const { failed, total } = yield* Warmup.run(cache, {
        keys: ["1", "2", "3", "4"],
        report: ({ done, total }) => Effect.sync(() => told.push([done, total]))
      })
      assert.deepStrictEqual([total, failed.map(({ key }) => key)], [4, ["1", "3"]])
      assert.deepStrictEqual(failed.map(({ cause }) => Cause.squash(cause)), [
        new Down({ by: "1" }),
        new Down({ by: "3" })
      ])
      assert.deepStrictEqual(told, [[1, 4], [2, 4], [3, 4], [4, 4]])
    }).pipe(within()))

  it.effect("runs behind the program when its layer starts, and one line of log says how it went", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const { layer, lines } = logs()
      class Names extends Swr.Service<Names>()("test/Names", { lookup: origin.lookup, ...stale }) {}
      const warm = Warmup.layer(Names, { keys: ["a", "b"] })
      yield* Effect.gen(function*() {
        yield* settle
        assert.lengthOf(origin.calls, 2)
        yield* origin.call(0).succeed("v")
        yield* origin.call(1).fail()
        assert.isTrue(yield* Names.use((names) => names.has("a")))
      }).pipe(Effect.provide(warm.pipe(Layer.provideMerge(Names.layer), Layer.provide(layer))))
      const said = lines.filter((line) => line.includes("keys are warm"))
      assert.lengthOf(said, 1)
      assert.match(said[0] ?? "", /^Warn .*1 of 2 keys are warm.*test\/Names/s)
    }).pipe(within()))

  it.effect("or before the program begins, which no failure holds up", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      class Names extends Swr.Service<Names>()("test/Names", { lookup: origin.lookup, ...stale }) {}
      const warm = Warmup.layer(Names, { keys: ["a"], wait: true })
      const program = yield* start(Effect.provide(Effect.succeed("runs"), Layer.provide(warm, Names.layer)))
      assert.isUndefined(yield* ended(program))
      yield* origin.call(0).fail()
      assert.strictEqual(yield* join(program), "runs")
    }).pipe(within(), Effect.provide(logs().layer)))

  it.effect("draws a bar where there is a terminal", () =>
    Effect.gen(function*() {
      const drawn: Array<string> = []
      const terminal = (columns: number) =>
        // Only what a bar needs of a terminal.
        Layer.succeed(Terminal.Terminal, {
          columns: Effect.succeed(columns),
          display: (text: string) => Effect.sync(() => drawn.push(text))
        } as Partial<Terminal.Terminal> as Terminal.Terminal)
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      yield* Effect.provide(Warmup.run(cache, { keys: ["a", "b"], report: Warmup.bar }), terminal(16))
      assert.deepStrictEqual(drawn, ["\r[#####-----] 1/2", "\r[##########] 2/2\n"])
      yield* Effect.provide(Warmup.run(cache, { keys: ["a", "b"], report: Warmup.bar }), terminal(0))
      assert.lengthOf(drawn, 2)
    }).pipe(within()))

  it("the bar fits its columns, however narrow", () => {
    for (let columns = 1; columns < 100; columns++) {
      const line = Warmup.line({ key: "k", exit: Exit.void, done: 3, total: 4 }, columns)
      assert.isAtMost(line.length, Math.max(columns, "[] 3/4".length))
    }
  })
})

it.effect("I23: triggers, warm-up, auditor and a history leave no fiber, timer or listener behind", () =>
  Effect.gen(function*() {
    const { count, watch } = living()
    const { listeners } = Swr.behind(yield* Swr.Cache).host
    const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
    const scope = yield* Scope.make()
    yield* Effect.gen(function*() {
      const audited = yield* Auditor.make(cache, { oneIn: 1 })
      yield* History.make()
      yield* Triggers.revalidateOn(audited, Triggers.interval("10 seconds"), { keys: ["k"] })
      yield* Effect.forkScoped(Warmup.run(audited, { keys: ["k"] }))
      yield* audited.get("k")
      yield* audited.get("k")
    }).pipe(watch, Scope.provide(scope))
    yield* TestClock.adjust("15 seconds")
    assert.isAbove(count.fibers, 0)
    assert.strictEqual(listeners.size, 1)
    yield* Scope.close(scope, Exit.void)
    yield* settle
    assert.strictEqual(count.fibers, 0)
    assert.strictEqual(listeners.size, 0)
  }).pipe(within()))

describe("waitUntil", () => {
  it.effect("is told of a refresh in the step of its reader, with a promise of its end", () =>
    Effect.gen(function*() {
      const work: Array<Promise<void>> = []
      yield* Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
        yield* stock(origin, cache, "1 minute")
        work.length = 0
        yield* now(cache.get("k"))
        assert.lengthOf(work, 1)
        const over = yield* start(Effect.promise(() => Promise.all(work)))
        yield* settle
        assert.isUndefined(over.pollUnsafe())
        yield* origin.call(1).fail()
        yield* Fiber.join(over)
        yield* now(cache.get("k"))
        assert.lengthOf(work, 1, "while the key backs off nothing runs")
      }).pipe(within({ waitUntil: (promise) => void work.push(promise) }))
    }))

  it.effect("is not told of a load that ends at once, and hears the end of one that is interrupted", () =>
    Effect.gen(function*() {
      const work: Array<Promise<void>> = []
      yield* Effect.gen(function*() {
        const events = yield* record
        yield* Swr.swr("k", Effect.succeed(1), stale)
        assert.lengthOf(work, 0)
        yield* Fiber.interrupt(yield* start(Swr.swr("never", Effect.never, stale)))
        yield* Effect.promise(() => Promise.all(work))
        assert.lengthOf(work, 1)
        yield* settle
        assert.lengthOf(only(events, "LoadStopped"), 1)
      }).pipe(within({ waitUntil: (promise) => void work.push(promise) }))
    }))

  it.effect("harms no read where it throws", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      assert.strictEqual(yield* now(cache.get("k")), "old")
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* now(cache.get("k")), "new")
    }).pipe(within({
      waitUntil: () => {
        throw new Error("outside of a request")
      }
    })))
})
