/** What the inspector remembers, within bounds. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data } from "effect"
import * as Event from "../src/Event.ts"
import { bounds, cut, Journal } from "../src/Journal.ts"

const about = (key: string, cache = "c") => ({ cache, key })
const hit = (key: string, cache = "c") => new Event.Hit(cache, key, 1)
const load = (key: string, cache = "c"): Event.Event => ({
  _tag: "Load",
  ...about(key, cache),
  load: 1,
  cause: "refresh"
})
const commit = (key: string, duration = 5): Event.Event => ({
  _tag: "Commit",
  ...about(key),
  load: 1,
  cause: "refresh",
  duration,
  waiters: 0
})
const served = (key: string, waited = false): Event.Event => ({
  _tag: "Served",
  ...about(key),
  status: "stale",
  reason: "error",
  age: 9,
  waited
})
const skipped = (key: string): Event.Event => ({ _tag: "RefreshSkipped", ...about(key), reason: "held" })

class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}
const failed = (key: string, failure: Cause.Cause<unknown>): Event.Event => ({
  _tag: "LoadFailed",
  ...about(key),
  load: 1,
  cause: "refresh",
  duration: 7,
  waiters: 0,
  failure,
  retryIn: 1000
})

const told = (events: ReadonlyArray<Event.Event>, now = 0) => {
  const journal = new Journal()
  for (const event of events) journal.tell(event, now)
  return journal
}
const log = (journal: Journal, key: string) => journal.lines("c", key).map(({ count, tag }) => [tag, count])

describe("Journal", () => {
  it("between two loads each kind of read is one line, however they are mixed", () => {
    const sick = [served("k"), skipped("k")]
    const journal = told([hit("k"), hit("k"), load("k"), ...sick, ...sick, ...sick, commit("k"), hit("k")])
    assert.deepStrictEqual(log(journal, "k"), [
      ["Hit", 2],
      ["Load", 1],
      ["Served", 3],
      ["RefreshSkipped", 3],
      ["Commit", 1],
      ["Hit", 1]
    ])
    assert.deepInclude(journal.tally("c", "k"), { fresh: 3, stale: 3, waited: 0, loads: 1, failures: 0 })
  })

  it("a reader that waited counts once", () => {
    const journal = told([{ _tag: "Miss", ...about("k"), status: "expired" }, served("k", true)], 1000)
    assert.deepInclude(journal.seconds("c", 0, 1000)[0], { second: 1, fresh: 0, stale: 0, waited: 1 })
  })

  it("I23: of a failure only the name is kept", () => {
    const secret = "postgres://user:hunter2@db"
    const journal = told([
      failed("a", Cause.fail(new Refused({ message: secret }))),
      failed("b", Cause.fail(secret)),
      failed("c", Cause.die(new TypeError(secret))),
      failed("d", Cause.interrupt(1)),
      { _tag: "DecodeFailed", ...about("e"), error: secret },
      { _tag: "StoreFailed", ...about(""), reason: "timeout", error: new Error(secret) }
    ])
    const names = ["a", "b", "c", "d"].map((key) => journal.tally("c", key)?.lastError?.name)
    assert.deepStrictEqual(names, ["Refused", "string", "defect: TypeError", "interrupted"])
    assert.notInclude(JSON.stringify(["a", "b", "c", "d", "e", ""].map((key) => journal.lines("c", key))), "hunter2")
  })

  it("what befalls a whole cache is in the log of each key, in its place, and counts for none", () => {
    const journal = new Journal()
    journal.tell(commit("k"), 1)
    journal.tell({ _tag: "Invalidate", ...about(""), mode: "hard", tag: "t" }, 2)
    journal.tell({ _tag: "StoreFailed", ...about(""), reason: "timeout", error: undefined }, 3)
    journal.tell(load("k"), 4)
    assert.deepStrictEqual(log(journal, "k").map(([tag]) => tag), ["Commit", "Invalidate", "StoreFailed", "Load"])
    assert.isUndefined(journal.tally("c", ""))
  })

  it("keeps so many lines of a key, so many lines, and so many keys", () => {
    const one = told(Array.from({ length: 200 }, (_, i) => i % 2 ? commit("k") : load("k")))
    assert.strictEqual(one.lines("c", "k").length, bounds.linesOfKey)
    const many = told(Array.from({ length: bounds.lines + 10 }, (_, i) => load(String(i % 15_000))))
    const all = Array.from({ length: 15_000 }, (_, i) => many.lines("c", String(i)).length)
    assert.isAtMost(all.reduce((sum, n) => sum + n, 0), bounds.lines)
    const keys = told(Array.from({ length: bounds.keys + 100 }, (_, i) => hit(String(i))))
    assert.isUndefined(keys.tally("c", "0"))
    assert.deepInclude(keys.tally("c", String(bounds.keys + 99)), { fresh: 1 })
    keys.tell(hit("0"), 0)
    assert.deepInclude(keys.tally("c", "0"), { fresh: 1 }, "forgotten, it begins anew")
  })

  it("a large cache does not make a small one forget", () => {
    const journal = told([load("k"), ...Array.from({ length: bounds.keys + 100 }, (_, i) => hit(String(i), "large"))])
    journal.tell(hit("other"), 0)
    assert.deepStrictEqual(log(journal, "k"), [["Load", 1]])
  })

  it("the last minutes, second by second, and no further", () => {
    const journal = new Journal()
    for (let second = 0; second < 1000; second++) {
      journal.tell(commit("k", second), second * 1000)
      journal.tell(hit("k"), second * 1000 + 999)
    }
    const seconds = journal.seconds("c", 0, 999_999)
    assert.deepStrictEqual(seconds.map(({ second }) => second), Array.from({ length: 300 }, (_, i) => 700 + i))
    assert.deepInclude(seconds[0], { fresh: 1, loaded: 1, durations: [700] })
    assert.deepStrictEqual(journal.seconds("c", 998, 999_999).length, 2)
  })

  it("a long key is cut, and says how long it was", () => {
    const key = "x".repeat(10_000_000)
    assert.match(cut(key), /^x{1000}… \(10000000 characters\)$/)
    assert.deepStrictEqual(log(told([hit(key)]), cut(key)), [["Hit", 1]])
  })

  it("the memory of hits is within the bound of keys, over all caches, and keeps no long key", () => {
    const journal = new Journal()
    for (let cache = 0; cache < 3; cache++) {
      for (let key = 0; key < bounds.keys; key++) journal.tell(new Event.Hit(`c${cache}`, `k${key}`, 1), key)
    }
    journal.tell(new Event.Hit("c0", "x".repeat(10_000), 1), 1)
    const names = Array.from(journal["caches"].values()).flatMap(({ hits }) => Array.from(hits.keys()))
    assert.isAtMost(names.length, bounds.keys)
    assert.isTrue(names.every((name) => String(name).length <= bounds.keyLength))
  })
})
