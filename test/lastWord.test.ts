/** Every interleaving of a load with a last word. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Option } from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import {
  defect,
  Down,
  ended,
  error,
  join,
  now,
  numbered,
  only,
  Origin,
  record,
  settle,
  shape,
  shown,
  sick,
  stale,
  start,
  stock,
  tagged,
  tags,
  within,
  words
} from "./Origin.ts"

describe("R11, I4: the last word during a foreground load", () => {
  for (const [word, left, say] of words) {
    for (const entry of ["nothing", "an expired value"]) {
      if (word === "invalidateTag" && entry === "nothing") continue
      for (const first of ["old", "new"]) {
        it.effect(`${word}, ${entry} kept, the ${first} load ends first: who waited gets its own value, nothing of it stays`, () =>
          Effect.gen(function*() {
            const origin = new Origin()
            const cache = yield* tagged(origin)
            if (entry !== "nothing") yield* stock(origin, cache, "6 minutes")
            const before = origin.calls.length
            const waited = yield* start(cache.get("k"))
            const late = origin.call(before)
            yield* say(cache)
            assert.isUndefined(yield* ended(waited))
            assert.isFalse(late.interrupted)
            const newcomer = yield* start(cache.get("k"))
            if (left === "set") {
              assert.strictEqual(yield* join(newcomer), "set")
              yield* late.succeed("late")
              assert.lengthOf(origin.calls, before + 1)
            } else {
              assert.isUndefined(yield* ended(newcomer))
              assert.lengthOf(origin.calls, before + 2)
              if (first === "old") yield* late.succeed("late")
              assert.isUndefined(yield* ended(newcomer))
              yield* origin.call(-1).succeed("new")
              assert.strictEqual(yield* join(newcomer), "new")
              yield* late.succeed("late")
            }
            assert.strictEqual(yield* join(waited), "late")
            assert.deepStrictEqual(
              shown(yield* now(cache.read("k"))),
              [left === "set" ? "set" : "new", "fresh", "memory", undefined]
            )
            assert.strictEqual((yield* cache.stats).flights, 0)
          }).pipe(within()))
      }
    }

    it.effect(`${word}: the load that nobody waits for any more is interrupted`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        yield* stock(origin, cache, "6 minutes")
        const reader = yield* start(cache.get("k"))
        yield* say(cache)
        yield* Fiber.interrupt(reader)
        yield* settle
        assert.isTrue(origin.call(1).interrupted)
        assert.strictEqual((yield* cache.stats).flights, 0)
      }).pipe(within()))

    it.effect(`${word}: a load that fails afterwards changes nothing`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        yield* stock(origin, cache, "6 minutes")
        const reader = yield* start(cache.get("k"))
        yield* say(cache)
        yield* origin.call(1).fail()
        assert.isDefined(yield* ended(reader))
        assert.strictEqual((yield* cache.stats).backoffs, 0)
        if (left === "set") assert.strictEqual(yield* now(cache.get("k")), "set")
        else {
          const newcomer = yield* start(cache.get("k"))
          yield* origin.call(2).succeed("new")
          assert.strictEqual(yield* join(newcomer), "new")
        }
      }).pipe(within()))
  }

  it.effect("a failure of an overtaken load reaches who waited for it, where nothing stands in", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      const waited = yield* start(cache.get("k"))
      yield* cache.invalidate("k")
      const newcomer = yield* start(cache.get("k"))
      yield* origin.call(0).fail(new Down({ by: "late" }))
      assert.deepStrictEqual(error(yield* ended(waited)), new Down({ by: "late" }))
      assert.isUndefined(yield* ended(newcomer))
      yield* origin.call(1).succeed("new")
      assert.strictEqual(yield* join(newcomer), "new")
    }).pipe(within()))
})

describe("R11, I4: the last word during a refresh", () => {
  for (const [word, left, say] of words) {
    for (const deaf of [false, true]) {
      it.effect(`${word}: the refresh is ${deaf ? "not heard, though it can't be interrupted" : "interrupted"}`, () =>
        Effect.gen(function*() {
          const origin = new Origin()
          const cache = yield* tagged(origin)
          yield* stock(origin, cache, "1 minute")
          origin.deaf = deaf
          yield* now(cache.get("k"))
          const late = origin.call(1)
          yield* say(cache)
          yield* settle
          assert.strictEqual(late.interrupted, !deaf)
          assert.strictEqual((yield* cache.stats).flights, 0)
          const newcomer = yield* start(cache.read("k"))
          yield* settle
          if (left === "nothing") assert.isUndefined(yield* ended(newcomer))
          if (left === "marked") {
            assert.deepStrictEqual(shown(yield* join(newcomer)), ["old", "stale", "memory", "marked"])
          }
          if (left === "set") {
            assert.deepStrictEqual(shown(yield* join(newcomer)), ["set", "fresh", "memory", undefined])
          }
          assert.lengthOf(origin.calls, left === "set" ? 2 : 3)
          yield* late.succeed("late")
          const peeked = yield* cache.peek("k")
          assert.deepStrictEqual(
            Option.map(peeked, ({ value }) => value),
            left === "nothing" ? Option.none() : Option.some(left === "set" ? "set" : "old")
          )
          if (left !== "set") yield* origin.call(2).succeed("new")
          assert.strictEqual(yield* now(cache.get("k")), left === "set" ? "set" : "new")
        }).pipe(within()))
    }

    it.effect(`${word}: readers who joined the refresh get its own value`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        yield* stock(origin, cache, "2 minutes")
        yield* now(cache.get("k"))
        const reader = yield* start(cache.get("k", { maxAge: "2 minutes" }))
        yield* say(cache)
        assert.isUndefined(yield* ended(reader))
        yield* origin.call(1).succeed("late")
        assert.strictEqual(yield* join(reader), "late")
        assert.deepStrictEqual(
          Option.map(yield* cache.peek("k"), ({ value }) => value),
          left === "set" ? Option.some("set") : left === "marked" ? Option.some("old") : Option.none()
        )
      }).pipe(within()))
  }
})

describe("R11, I4: a tag that is only learnt when the load ends", () => {
  it.effect("who joined before the invalidation gets the value, who joined after it loads anew, nothing stays", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* tagged(origin)
      const before = yield* start(cache.read("k"))
      yield* cache.invalidateTag("late")
      const after = yield* start(cache.read("k"))
      yield* settle
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("late")
      assert.strictEqual((yield* join(before)).value, "late")
      assert.isUndefined(yield* ended(after))
      assert.isTrue(Option.isNone(yield* cache.peek("k")))
      assert.lengthOf(origin.calls, 2)
      const third = yield* start(cache.read("k"))
      yield* origin.call(1).succeed("late")
      assert.deepStrictEqual(shown(yield* join(after)), ["late", "miss", "lookup", undefined])
      assert.deepStrictEqual(shown(yield* join(third)), ["late", "miss", "lookup", undefined])
      assert.lengthOf(origin.calls, 2)
      assert.strictEqual((yield* now(cache.read("k"))).status, "fresh")
      assert.deepStrictEqual(
        tags(events),
        ["Miss", "Load", "Invalidate", "Joined", "CommitDropped", "Load", "Joined", "Commit", "Hit"]
      )
    }).pipe(within()))

  it.effect("another tag changes nothing", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* start(cache.get("k"))
      yield* cache.invalidateTag("another")
      const after = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("late")
      assert.strictEqual(yield* join(after), "late")
      assert.strictEqual(yield* now(cache.get("k")), "late")
      assert.lengthOf(origin.calls, 1)
    }).pipe(within()))

  it.effect("a refresh with such a value is not kept", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      yield* cache.invalidateTag("late")
      yield* origin.call(1).succeed("late")
      assert.notStrictEqual(
        Option.getOrUndefined(Option.map(yield* cache.peek("k"), ({ value }) => value)),
        "late"
      )
      const reader = yield* start(cache.get("k"))
      yield* settle
      assert.lengthOf(origin.calls, 3)
      yield* origin.call(2).succeed("late")
      yield* ended(reader)
      assert.strictEqual(yield* now(cache.get("k")), "late")
    }).pipe(within()))

  it.effect("a reader who joined a revalidation after the invalidation loads anew", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      const caller = yield* start(cache.revalidate("k"))
      yield* cache.invalidateTag("late")
      const after = yield* start(cache.get("k"))
      yield* origin.call(0).succeed("late")
      assert.strictEqual((yield* join(caller)).value, "late")
      assert.isUndefined(yield* ended(after))
      yield* origin.call(1).succeed("late")
      assert.strictEqual(yield* join(after), "late")
    }).pipe(within()))

  it.effect("an invalidation between two loads of a key does not touch the second", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* stock(origin, cache, 0, "late")
      yield* cache.invalidateTag("late")
      yield* stock(origin, cache, 0, "late")
      assert.strictEqual((yield* now(cache.read("k"))).status, "fresh")
      assert.lengthOf(origin.calls, 2)
    }).pipe(within()))

  it.effect("the tags of set count, and the tag of a value that was replaced does not", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* tagged(origin)
      yield* cache.set("k", "v", { tags: ["a"] })
      yield* cache.set("k", "w", { tags: ["b"] })
      yield* cache.invalidateTag("a")
      assert.isTrue(yield* cache.has("k"))
      yield* cache.invalidateTag("b")
      assert.isFalse(yield* cache.has("k"))
    }).pipe(within()))
})

describe("R11: the last word of the other entrances", () => {
  it.effect("invalidate on Swr.Cache overtakes a load of Swr.swr", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.Cache
      const read = Swr.swr("k", origin.lookup("k"), stale)
      const waited = yield* start(read)
      yield* cache.invalidate("k")
      const newcomer = yield* start(read)
      yield* origin.call(0).succeed("late")
      yield* origin.call(1).succeed("new")
      assert.strictEqual((yield* join(waited)).value, "late")
      assert.strictEqual((yield* join(newcomer)).value, "new")
      assert.strictEqual((yield* now(read)).value, "new")
    }).pipe(within()))

  it.effect("Answer.mutate overtakes a refresh, and the first answer stays as it is (LG-30)", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const read = Swr.swr("k", origin.lookup("k"), stale)
      const first = yield* start(read)
      yield* origin.call(0).succeed("old")
      yield* TestClock.adjust("1 minute")
      const answer = yield* now(read)
      yield* settle
      const written = yield* answer.mutate("set")
      assert.deepStrictEqual(shown(written), ["set", "fresh", "lookup", undefined])
      assert.deepStrictEqual(shown(answer), ["old", "stale", "memory", "revalidating"])
      assert.deepStrictEqual(shown(yield* join(first)), ["old", "miss", "lookup", undefined])
      yield* settle
      assert.isTrue(origin.call(1).interrupted)
      assert.deepStrictEqual(shown(yield* now(read)), ["set", "fresh", "memory", undefined])
    }).pipe(within()))

  it.effect("fn.invalidate overtakes a load of its own arguments only", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const quote = Swr.fn("quote", stale)((sku: string, n: number) => origin.lookup(`${sku}${n}`))
      const one = yield* start(quote("a", 1))
      const two = yield* start(quote("a", 2))
      yield* quote.invalidate("a", 1)
      yield* origin.call(0).succeed("one")
      yield* origin.call(1).succeed("two")
      assert.deepStrictEqual([yield* join(one), yield* join(two)], ["one", "two"])
      assert.strictEqual(yield* now(quote("a", 2)), "two")
      yield* start(quote("a", 1))
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  it.effect("cacheRemove touches the plain key alone, never the key of swr, its value or its load", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const read = Swr.swr("k", origin.lookup("k"), stale)
      yield* Swr.cacheSet("k", "plain")
      const waited = yield* start(read)
      yield* Swr.cacheRemove("k")
      assert.isTrue(Option.isNone(yield* Swr.cacheGet("k")))
      const joined = yield* start(read)
      assert.lengthOf(origin.calls, 1)
      yield* origin.call(0).succeed("v")
      assert.strictEqual((yield* join(waited)).value, "v")
      assert.strictEqual((yield* join(joined)).value, "v")
      yield* Swr.cacheRemove("k")
      assert.strictEqual((yield* now(read)).status, "fresh")
    }).pipe(within()))

  it.effect("a lookup that sets its own key: its waiters get what it answers, what it set stays", () =>
    Effect.gen(function*() {
      const cache: Swr.Instance<string, string> = yield* Swr.make({
        name: "c",
        lookup: (key: string): Effect.Effect<string> => Effect.orDie(Effect.as(cache.set(key, "set"), "answer")),
        ...stale
      })
      assert.strictEqual(yield* now(cache.get("k")), "answer")
      assert.strictEqual(yield* now(cache.get("k")), "set")
      assert.strictEqual((yield* cache.stats).flights, 0)
    }).pipe(within()))
})

describe("R11, LG-33: revalidate", () => {
  it.effect("waits for a load that begins after the call, and answers it as fresh", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, 0)
      const caller = yield* start(cache.revalidate("k"))
      assert.lengthOf(origin.calls, 2)
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "fresh", "memory", undefined])
      yield* origin.call(1).succeed("new")
      assert.deepStrictEqual(shown(yield* join(caller)), ["new", "fresh", "lookup", undefined])
      assert.strictEqual(yield* now(cache.get("k")), "new")
    }).pipe(within()))

  for (const running of ["a foreground load", "a refresh"]) {
    it.effect(`never joins ${running}: callers share one next load, so at most one runs and one is due`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
        if (running === "a refresh") yield* stock(origin, cache, "1 minute")
        const reader = yield* start(cache.get("k"))
        yield* settle
        const calls = origin.calls.length
        const callers = yield* Effect.forEach([1, 2, 3], () => start(cache.revalidate("k")))
        yield* settle
        assert.lengthOf(origin.calls, calls)
        assert.strictEqual((yield* cache.stats).flights, 1)
        yield* origin.call(-1).succeed("first")
        yield* join(reader)
        assert.lengthOf(origin.calls, calls + 1)
        for (const caller of callers) assert.isUndefined(yield* ended(caller))
        const later = yield* start(cache.revalidate("k"))
        assert.lengthOf(origin.calls, calls + 1)
        yield* origin.call(-1).succeed("second")
        for (const caller of callers) assert.strictEqual((yield* join(caller)).value, "second")
        assert.isUndefined(yield* ended(later))
        assert.lengthOf(origin.calls, calls + 2)
        yield* origin.call(-1).succeed("third")
        assert.strictEqual((yield* join(later)).value, "third")
        assert.deepStrictEqual(yield* shape(cache), { size: 1, flights: 0, backoffs: 0 })
      }).pipe(within()))
  }

  for (const [word, left, say] of words) {
    if (word === "invalidateTag") continue
    it.effect(`the due load begins at once when ${word} forgets the running one, and is current`, () =>
      Effect.gen(function*() {
        const origin = new Origin()
        const cache = yield* tagged(origin)
        const reader = yield* start(cache.get("k"))
        const caller = yield* start(cache.revalidate("k"))
        assert.lengthOf(origin.calls, 1)
        yield* say(cache)
        yield* settle
        assert.lengthOf(origin.calls, 2)
        const joined = yield* start(cache.get("k"))
        if (left === "set") assert.strictEqual(yield* join(joined), "set")
        assert.lengthOf(origin.calls, 2)
        yield* origin.call(1).succeed("new")
        assert.strictEqual((yield* join(caller)).value, "new")
        if (left !== "set") assert.strictEqual(yield* join(joined), "new")
        yield* origin.call(0).succeed("late")
        assert.strictEqual(yield* join(reader), "late")
        assert.strictEqual(yield* now(cache.get("k")), "new")
      }).pipe(within()))
  }

  it.effect("the due load begins at once when the running one loses its last reader", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      const caller = yield* start(cache.revalidate("k"))
      yield* Fiber.interrupt(reader)
      yield* settle
      assert.isTrue(origin.call(0).interrupted)
      assert.lengthOf(origin.calls, 2)
      yield* origin.call(1).succeed("v")
      assert.strictEqual((yield* join(caller)).value, "v")
    }).pipe(within()))

  it.effect("the due load begins after one that failed or timed out", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, hardTimeout: "5 seconds", ...stale })
      const reader = yield* start(cache.get("k"))
      const caller = yield* start(cache.revalidate("k"))
      yield* origin.call(0).fail()
      assert.instanceOf(error(yield* ended(reader)), Down)
      const last = yield* start(cache.revalidate("k"))
      yield* TestClock.adjust("5 seconds")
      assert.instanceOf(error(yield* ended(caller)), Swr.LoadTimeout)
      yield* origin.call(2).succeed("v")
      assert.strictEqual((yield* join(last)).value, "v")
    }).pipe(within()))

  it.effect("the due load never begins when nobody waits for it any more", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      const callers = [yield* start(cache.revalidate("k")), yield* start(cache.revalidate("k"))]
      for (const caller of callers) yield* now(Fiber.interrupt(caller))
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
      assert.lengthOf(origin.calls, 1)
      assert.strictEqual((yield* cache.stats).flights, 0)
      const again = yield* start(cache.revalidate("k"))
      yield* origin.call(1).succeed("w")
      assert.strictEqual((yield* join(again)).value, "w")
    }).pipe(within()))

  it.effect("one caller of two interrupted, the due load still comes", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const reader = yield* start(cache.get("k"))
      const one = yield* start(cache.revalidate("k"))
      const two = yield* start(cache.revalidate("k"))
      yield* Fiber.interrupt(one)
      yield* origin.call(0).succeed("v")
      yield* origin.call(1).succeed("w")
      assert.strictEqual((yield* join(two)).value, "w")
      assert.strictEqual(yield* join(reader), "v")
    }).pipe(within()))

  it.effect("fails with the load's error, also where an old value stands by, which stays", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...sick })
      yield* stock(origin, cache, "1 minute")
      const caller = yield* start(cache.revalidate("k"))
      yield* origin.call(1).fail(new Down({ by: "revalidate" }))
      assert.deepStrictEqual(error(yield* ended(caller)), new Down({ by: "revalidate" }))
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "error"])
      // R9: whoever started it, the key backs off; revalidate does not care.
      assert.strictEqual((yield* cache.stats).backoffs, 1)
      yield* start(cache.revalidate("k"))
      assert.lengthOf(origin.calls, 3)
    }).pipe(within()))

  it.effect("is a load that readers of a miss join", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const caller = yield* start(cache.revalidate("k"))
      const reader = yield* start(cache.get("k"))
      yield* Fiber.interrupt(caller)
      assert.isFalse(origin.call(0).interrupted)
      yield* origin.call(0).succeed("v")
      assert.strictEqual(yield* join(reader), "v")
      assert.lengthOf(origin.calls, 1)
    }).pipe(within()))

  it.effect("of an answer loads with the answer's own lookup", () =>
    Effect.gen(function*() {
      const source = numbered()
      const answer = yield* Swr.swr("k", source.lookup("k"), stale)
      assert.deepStrictEqual(shown(yield* answer.revalidate), ["k2", "fresh", "lookup", undefined])
      assert.strictEqual(answer.value, "k1")
      const quote = Swr.fn("quote", stale)(source.lookup)
      yield* quote("x")
      assert.strictEqual((yield* quote.revalidate("x")).value, "x4")
      assert.strictEqual(yield* quote("x"), "x4")
    }).pipe(within()))
})

describe("R11: mutate", () => {
  it.effect("runs one at a time per key, in order, each seeing the last; other keys do not wait", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      const log: Array<string> = []
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const mutations = yield* Effect.forEach(gates, (gate, i) =>
        start(cache.mutate("k", (current) => {
          log.push(`${i} sees ${Option.getOrElse(current, () => "nothing")}`)
          return Effect.as(Deferred.await(gate), `m${i}`)
        })))
      assert.strictEqual((yield* now(cache.mutate("other", () => Effect.succeed("o")))).value, "o")
      yield* Deferred.succeed(gates[2]!, void 0)
      yield* Deferred.succeed(gates[0]!, void 0)
      assert.deepStrictEqual(shown(yield* join(mutations[0]!)), ["m0", "fresh", "lookup", undefined])
      assert.isUndefined(yield* ended(mutations[2]!))
      yield* Deferred.succeed(gates[1]!, void 0)
      for (const mutation of mutations) yield* join(mutation)
      assert.deepStrictEqual(log, ["0 sees nothing", "1 sees m0", "2 sees m1"])
      assert.strictEqual(yield* now(cache.get("k")), "m2")
    }).pipe(within()))

  it.effect("reads see the old value until it succeeds, and a load may go on meanwhile", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      const gate = yield* Deferred.make<string>()
      const mutation = yield* start(cache.mutate("k", () => Deferred.await(gate)))
      assert.deepStrictEqual(shown(yield* now(cache.read("k"))), ["old", "stale", "memory", "revalidating"])
      yield* origin.call(1).succeed("loaded")
      assert.strictEqual(yield* now(cache.get("k")), "loaded")
      const reload = yield* start(cache.revalidate("k"))
      yield* Deferred.succeed(gate, "mutated")
      assert.strictEqual((yield* join(mutation)).value, "mutated")
      yield* origin.call(2).succeed("late")
      assert.strictEqual((yield* join(reload)).value, "late")
      assert.strictEqual(yield* now(cache.get("k")), "mutated")
    }).pipe(within()))

  it.effect("a failed, dead or interrupted change changes nothing and lets the next one in", () =>
    Effect.gen(function*() {
      const events = yield* record
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, ...stale })
      yield* stock(origin, cache, "1 minute")
      yield* now(cache.get("k"))
      assert.deepStrictEqual(error(yield* Effect.exit(cache.mutate("k", () => Effect.fail("no")))), "no")
      assert.strictEqual(defect(yield* Effect.exit(cache.mutate("k", () => Effect.die("dead")))), "dead")
      assert.strictEqual(
        defect(
          yield* Effect.exit(cache.mutate("k", (): Effect.Effect<string> => {
            throw "thrown"
          }))
        ),
        "thrown"
      )
      const hanging = yield* start(cache.mutate("k", () => Effect.never))
      const waiting = yield* start(cache.mutate("k", () => Effect.never))
      const next = yield* start(cache.mutate("k", (current) => Effect.succeed(`${Option.getOrThrow(current)}!`)))
      yield* now(Fiber.interrupt(waiting))
      assert.isFalse(origin.call(1).interrupted)
      yield* settle
      assert.lengthOf(only(events, "Invalidate"), 0)
      yield* now(Fiber.interrupt(hanging))
      assert.strictEqual((yield* join(next)).value, "old!")
      assert.deepStrictEqual(only(events, "Invalidate").map(({ mode }) => mode), ["set"])
    }).pipe(within()))

  it.effect("sees an expired value while it lives, and none past its life or after an invalidation", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale, staleIfError: "10 minutes" })
      const seen: Array<string | undefined> = []
      const look = cache.mutate("k", (current) => {
        seen.push(Option.getOrUndefined(current))
        return Effect.fail("only looking")
      }).pipe(Effect.ignore)
      yield* look
      yield* cache.get("k")
      yield* TestClock.adjust("10 minutes")
      yield* look
      yield* cache.invalidate("k", { mode: "soft" })
      yield* look
      yield* TestClock.adjust("1 minute")
      yield* look
      yield* cache.set("k", "set")
      yield* cache.invalidate("k")
      yield* look
      assert.deepStrictEqual(seen, [undefined, "k1", "k1", undefined, undefined])
    }).pipe(within()))

  it.effect("a change that waits for its own turn dies at once, and the turn goes on", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const nested = cache.mutate("k", () => Effect.as(cache.mutate("k", () => Effect.succeed("inner")), "outer"))
      assert.instanceOf(defect(yield* now(Effect.exit(nested))), Swr.LookupCycle)
      const other = cache.mutate("k", () => Effect.as(cache.mutate("l", () => Effect.succeed("inner")), "outer"))
      assert.strictEqual((yield* now(other)).value, "outer")
      assert.strictEqual(yield* now(cache.get("l")), "inner")
    }).pipe(within()))

  it.effect("is interrupted at once although its turn has not come", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const gate = yield* Deferred.make<void>()
      const first = yield* start(cache.mutate("k", () => Effect.as(Effect.uninterruptible(Deferred.await(gate)), "v")))
      const second = yield* start(cache.mutate("k", () => Effect.succeed("w")))
      yield* now(Fiber.interrupt(second))
      yield* Deferred.succeed(gate, void 0)
      assert.strictEqual((yield* join(first)).value, "v")
    }).pipe(within()))

  it.effect("the value and its services are those of the caller", () =>
    Effect.gen(function*() {
      class Editor extends Context.Service<Editor, string>()("test/Editor") {}
      const cache = yield* Swr.make({ name: "c", lookup: numbered().lookup, ...stale })
      const answer = yield* Effect.provideService(cache.mutate("k", () => Editor), Editor, "me")
      assert.strictEqual(answer.value, "me")
    }).pipe(within()))
})
