/**
 * The simulated store: what it keeps is `laws.test.ts`'s; here is the weather around it, and how it is looked at.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Fiber, Layer, Scope, Stream } from "effect"
import { Store } from "effect-swr"
import * as Testing from "effect-swr/Testing"
import { TestClock } from "effect/testing"
import { collect, ended, error, now, settle, start } from "./Origin.ts"

const asker: Store.Asker = { space: "c", version: "", heard: undefined, within: 50 }

const stored = (value: string, age = 0): Store.Stored => ({
  value: JSON.stringify(value),
  age,
  windows: { life: 60_000 },
  jitter: 0,
  tags: [],
  clock: undefined
})

const policy = { freshFor: 1000, maxAge: 60_000, jitter: 0, strict: false }
const key = `3:"c"3:"k"`
const look: Store.Open = { key, policy, token: undefined, beside: false, leaseFor: 5000, tokenFor: 60_000 }
const want = (token: string): Store.Open => ({ ...look, token })
const setTo = (value: string, age = 0): Store.Change => ({ mode: "set", key, stored: stored(value, age), news: value })

/** A store and two processes on it. */
const fleet = (options?: Testing.SimulatedOptions) =>
  Effect.gen(function*() {
    const simulated = yield* Testing.simulatedStore(options)
    const scope = yield* Scope.Scope
    const process = (name: string) =>
      Effect.map(
        Layer.buildWithScope(simulated.connect(name), scope),
        (context) => <A, E, R>(use: (store: Store.Store["Service"]) => Effect.Effect<A, E, R>) =>
          Effect.provide(Store.Store.use(use), context)
      )
    return { simulated, a: yield* process("a"), b: yield* process("b") }
  })

/** The value that a look finds. */
const found = (reply: Store.Reply<ReadonlyArray<Store.Opened>>) => reply.value[0]?.entry?.value

const reason = (fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.map(ended(fiber), (exit) => {
    const problem = error(exit)
    return problem instanceof Store.StoreError ? problem.reason : exit?._tag
  })

describe("the simulated store", () => {
  it.effect("is one store to all its processes", () =>
    Effect.gen(function*() {
      const { a, b } = yield* fleet()
      yield* now(a((store) => store.change(asker, setTo("one"))))
      assert.strictEqual(found(yield* now(b((store) => store.open(asker, [look])))), `"one"`)
    }))

  it.effect("R5: an age grows by the time on the way, both ways", () =>
    Effect.gen(function*() {
      const { a, simulated } = yield* fleet()
      yield* simulated.latency({ request: 7, reply: 5 })
      const set = yield* start(a((store) => store.change(asker, setTo("one", 100))))
      yield* TestClock.adjust(12)
      assert.strictEqual(yield* reason(set), "Success")
      const opening = yield* start(a((store) => store.open(asker, [look])))
      yield* TestClock.adjust(12)
      const exit = yield* ended(opening)
      assert.isTrue(exit?._tag === "Success" && exit.value.value[0]?.entry?.age === 100 + 12 + 7 + 12)
    }))

  it.effect("R14: a command that arrives at its deadline does nothing, and one just before it does", () =>
    Effect.gen(function*() {
      const { a, simulated } = yield* fleet()
      yield* simulated.latency({ request: 50 })
      const late = yield* start(a((store) => store.change(asker, setTo("late"))))
      yield* TestClock.adjust(50)
      assert.strictEqual(yield* reason(late), "late")
      yield* simulated.latency({ request: 49 })
      const early = yield* start(a((store) => store.change(asker, setTo("early"))))
      yield* TestClock.adjust(49)
      assert.strictEqual(yield* reason(early), "Success")
      const log = yield* simulated.log
      assert.deepStrictEqual(log.map(({ result }) => result), ["late", "done"])
    }))

  it.effect("R5: executes a command whose caller has gone, with the age its value has by then", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      yield* simulated.latency({ request: 40 })
      const given = yield* start(Effect.timeoutOption(a((store) => store.change(asker, setTo("one"))), 10))
      yield* TestClock.adjust(10)
      assert.strictEqual((yield* ended(given))?._tag, "Success")
      yield* TestClock.adjust(90)
      yield* simulated.latency({ request: 0 })
      const reply = yield* now(b((store) => store.open(asker, [look])))
      assert.strictEqual(reply.value[0]?.entry?.age, 100)
    }))

  it.effect("is away: calls fail at once, and who listens hears of it", () =>
    Effect.gen(function*() {
      const { a, simulated } = yield* fleet()
      const listening = yield* start(a((store) => Stream.runDrain(store.announcements)))
      yield* settle
      yield* simulated.down("away")
      assert.strictEqual(yield* reason(yield* start(a((store) => store.ask(asker)))), "away")
      assert.strictEqual(yield* reason(listening), "away")
      yield* simulated.up
      yield* now(a((store) => store.ask(asker)))
      assert.strictEqual((yield* simulated.counts("a")).ask, 1)
    }))

  it.effect("hangs: what was asked is executed when it goes on, unless that is too late", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      yield* simulated.down("hang")
      const slow = yield* start(a((store) => store.change({ ...asker, within: 10 }, setTo("slow"))))
      const patient = yield* start(a((store) => store.change({ ...asker, within: 1000 }, setTo("patient"))))
      yield* TestClock.adjust(100)
      assert.isUndefined(yield* ended(slow))
      yield* simulated.up
      assert.deepStrictEqual([yield* reason(slow), yield* reason(patient)], ["late", "Success"])
      assert.strictEqual(found(yield* now(b((store) => store.open(asker, [look])))), `"patient"`)
    }))

  it.effect("fails with a reason, and does nothing then", () =>
    Effect.gen(function*() {
      const { a, simulated } = yield* fleet()
      yield* simulated.fail("full", ["change", "commit"])
      assert.strictEqual(yield* reason(yield* start(a((store) => store.change(asker, setTo("one"))))), "full")
      assert.isUndefined(found(yield* now(a((store) => store.open(asker, [look])))))
      yield* simulated.up
      yield* now(a((store) => store.change(asker, setTo("one"))))
    }))

  it.effect("tells all processes of a last word, and loses what it is told to lose", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      const mine = yield* a((store) => collect(store.announcements))
      const theirs = yield* b((store) => collect(store.announcements))
      const say = (news: string) => now(a((store) => store.change(asker, { mode: "clear", news })))
      yield* say("one")
      yield* settle
      yield* simulated.partition("b")
      yield* say("two")
      yield* simulated.heal("b")
      yield* simulated.lose(1)
      yield* say("three")
      yield* simulated.lose(0)
      yield* say("four")
      yield* settle
      assert.deepStrictEqual(mine.seen.map(({ news }) => news), ["one", "two", "four"])
      assert.deepStrictEqual(theirs.seen.map(({ clock, news }) => [news, clock.counter]), [["one", 1], ["four", 4]])
    }))

  it.effect("cuts a process off, and takes what it asked when it is back", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      yield* simulated.partition("a")
      const asked = yield* start(a((store) => store.change({ ...asker, within: 1000 }, setTo("one"))))
      assert.isUndefined(yield* ended(asked))
      assert.isUndefined(found(yield* now(b((store) => store.open(asker, [look])))))
      yield* simulated.heal("a")
      assert.strictEqual(yield* reason(asked), "Success")
    }))

  it.effect("I15: loses a lease, an entry, its clock or everything", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      const open = (process: typeof a, token: string) =>
        Effect.map(now(process((store) => store.open(asker, [want(token)]))), ({ value: [opened] }) => opened)
      assert.strictEqual((yield* open(a, "t1"))?.lease, "given")
      assert.notStrictEqual((yield* open(b, "t2"))?.lease, "given")
      yield* simulated.evict("c", "k", "lease")
      assert.strictEqual((yield* open(b, "t3"))?.lease, "given")
      yield* now(a((store) => store.change(asker, setTo("one"))))
      const before = yield* simulated.clock("c")
      yield* simulated.evict("c", "k")
      assert.isUndefined((yield* open(a, "t4"))?.entry)
      yield* now(a((store) => store.change(asker, setTo("two"))))
      yield* simulated.evictClock("c")
      assert.isUndefined((yield* open(a, "t5"))?.entry)
      assert.notStrictEqual((yield* simulated.clock("c"))?.epoch, before?.epoch)
      yield* simulated.restart
      assert.deepStrictEqual(yield* simulated.size, { entries: 0, leases: 0, tokens: 0 })
    }))

  it.effect("I10: shows garbage as a problem, until it is written over", () =>
    Effect.gen(function*() {
      const { a, simulated } = yield* fleet()
      yield* now(a((store) => store.change(asker, setTo("one"))))
      yield* simulated.garble("c", "k", "depth")
      const { value: [opened] } = yield* now(a((store) => store.open(asker, [look])))
      assert.deepStrictEqual([opened?.entry, opened?.problem], [undefined, "depth"])
      yield* now(a((store) => store.change(asker, setTo("two"))))
      assert.strictEqual(found(yield* now(a((store) => store.open(asker, [look])))), `"two"`)
    }))

  it.effect("moves nothing by itself where it is scheduled", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet({ scheduled: true })
      const first = yield* start(a((store) => store.change(asker, setTo("first"))))
      const second = yield* start(b((store) => store.change(asker, setTo("second"))))
      yield* settle
      const requests = yield* simulated.pending
      assert.deepStrictEqual(requests.map(({ process }) => process), ["a", "b"])
      for (const message of requests.toReversed()) yield* simulated.deliver(message)
      assert.deepStrictEqual([yield* ended(first), yield* ended(second)], [undefined, undefined])
      assert.deepStrictEqual((yield* simulated.log).map(({ process }) => process), ["b", "a"])
      for (const message of yield* simulated.pending) yield* simulated.deliver(message)
      assert.deepStrictEqual([yield* reason(first), yield* reason(second)], ["Success", "Success"])
      assert.deepStrictEqual(yield* simulated.pending, [])
    }))

  it.effect("R14: counts what each process costs", () =>
    Effect.gen(function*() {
      const { a, b, simulated } = yield* fleet()
      yield* now(a((store) => store.open(asker, [look, { ...look, key: "other" }])))
      yield* now(b((store) => store.ask(asker)))
      const { keys, open, roundTrips } = yield* simulated.counts("a")
      assert.deepStrictEqual({ keys, open, roundTrips }, { keys: 2, open: 1, roundTrips: 1 })
    }))
})
