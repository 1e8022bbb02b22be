import { assert, describe, it } from "@effect/vitest"
import { Cause, Schema } from "effect"
import * as Entry from "../src/Entry.ts"
import * as Policy from "../src/Policy.ts"
import * as State from "../src/State.ts"

const now = 10_000
const until = 15_000

/** Fresh before 100, stale before 200, a fallback before 400; then dead. */
const reader: Policy.Policy = Policy.decode({ freshFor: 100, maxAge: 200, staleIfError: 300 }, {}, Infinity)
const terms: Entry.Terms = { ...Policy.bounds(reader), tags: [], schema: undefined }
const other: Entry.Terms = { ...terms, schema: "another" }

const aged = (value: string, age: number) => new Entry.Entry(value, now - age, 0, 0, -1, terms)
const entries = {
  fresh: aged("fresh", 99),
  stale: aged("stale", 100),
  expired: aged("expired", 200),
  dead: aged("dead", 400),
  new: aged("new", 0)
}
const flights = { F: {}, G: {}, stranger: {} }
const backoff: State.Hold = { until, failures: 3, lease: false }
const kept: State.Failure = { cause: Cause.fail("kept"), until }
const newer: State.Failure = { cause: Cause.fail("newer"), until }

/** What the words of the table stand for; a state is the sum of its words. */
const words: Record<string, Partial<State.State<string>>> = {
  nothing: {},
  F: { flight: flights.F },
  G: { flight: flights.G },
  "G-due": { next: flights.G },
  fresh: { entry: entries.fresh },
  stale: { entry: entries.stale },
  expired: { entry: entries.expired },
  dead: { entry: entries.dead },
  new: { entry: entries.new },
  marked: { entry: new Entry.Entry("fresh", now - 99, 0, 0, 99, terms) },
  rebound: { entry: new Entry.Entry("fresh", now - 99, 0, 0, -1, other) },
  lease: { hold: { until, failures: 0, lease: true } },
  "lease-3": { hold: { until, failures: 3, lease: true } },
  "failed-1": { hold: { until, failures: 1, lease: false } },
  "failed-3": { hold: backoff },
  "failed-4": { hold: { until, failures: 4, lease: false } },
  kept: { failure: kept },
  newer: { failure: newer },
  pass: { passUntil: until }
}

const nothing: State.State<string> = {
  entry: undefined,
  flight: undefined,
  next: undefined,
  hold: undefined,
  failure: undefined,
  passUntil: 0
}

const fields = (text: string): State.State<string> =>
  text.split(" ").reduce((state, word) => {
    const part = words[word]
    if (part === undefined) throw new Error(`no word of the table: ${word}`)
    return { ...state, ...part }
  }, nothing)

const known = (state: State.State<string>) =>
  (["entry", "flight", "next", "hold", "failure", "passUntil"] as const)
    .filter((field) => state[field] !== nothing[field])

/** The state that the words stand for, as the machine holds it: an entry alone is the state, nothing at all is `empty`. */
const stateOf = (text: string): State.State<string> => {
  const state = fields(text)
  const [field, ...more] = known(state)
  return field === undefined ? State.empty : field === "entry" && more.length === 0 ? state.entry ?? state : state
}

/** The words for a state: what events make is known by content, all else by identity; `?` is what no word stands for. */
const say = (state: State.State<string>): string => {
  const shown = known(state).map((field) => {
    const actual = state[field]
    const found = Object.entries(words).find(([word, part]) =>
      field in part && (part[field] === actual ||
        (/marked|rebound|lease|failed/.test(word) && JSON.stringify(part[field]) === JSON.stringify(actual)))
    )
    return found === undefined ? `${field}?` : found[0]
  })
  if (shown.length === 0) return state === State.empty ? "nothing" : "nothing, but not State.empty"
  return state.entry !== undefined && shown.length === 1 && state !== state.entry
    ? `${shown.join()}, in an object of its own`
    : shown.join(" ")
}

type Event = (state: State.State<string>, flight: State.Flight) => State.State<string>

const outage: State.Outcome = { retryAt: until, isAnswer: false, failure: undefined }

// What a read of the fresh entry asks for so much later, done.
const read = (later: number): Event => (state, flight) => {
  const decision = State.read(state, now + later, reader)
  return decision === "load" || decision === "refresh" ? State.departed(state, flight) : state
}

const byFlight = {
  "recalled, fresh": (state, flight) => State.recalled(state, flight, entries.new, now, reader),
  "recalled, stale": (state, flight) => State.recalled(state, flight, entries.stale, now, reader),
  "recalled, expired": (state, flight) => State.recalled(state, flight, entries.expired, now, reader),
  "recalled, dead": (state, flight) => State.recalled(state, flight, entries.dead, now, reader),
  yielded: (state, flight) => State.yielded(state, flight, until),
  loaded: (state, flight) => State.loaded(state, flight, entries.new),
  answered: (state, flight) => State.answered(state, flight),
  failed: (state, flight) => State.failed(state, flight, now, outage),
  "failed, kept": (state, flight) => State.failed(state, flight, now, { ...outage, failure: newer }),
  "failed, an answer": (state, flight) => State.failed(state, flight, now, { ...outage, isAnswer: true }),
  "failed, dead": (state, flight) => State.failed(state, flight, now + 301, outage),
  refused: (state, flight) => State.refused(state, flight),
  abandoned: (state, flight) => State.abandoned(state, flight)
} satisfies Record<string, Event>

const byAnyone = {
  "read, fresh": read(0),
  "read, stale": read(1),
  "read, expired": read(101),
  revalidated: (state) => State.revalidated(state, flights.G),
  written: (state) => State.written(state, entries.new),
  marked: (state) => State.marked(state, now),
  voided: (state) => State.voided(state),
  passed: (state) => State.passed(state, until),
  evicted: (state) => State.evicted(state),
  rebound: (state) => State.rebound(state, other)
} satisfies Record<string, Event>

const events: Record<string, Event> = { ...byFlight, ...byAnyone }

/** The table in the head of State.ts, cell by cell. `·`: no change, not even another object. */
const head = `
                  | Empty | Loading   | Idle    | Refreshing
                  | nothing | F       | fresh   | fresh F
read, fresh       | F     | ·         | ·       | ·
read, stale       | F     | ·         | fresh F | ·
read, expired     | F     | ·         | fresh F | ·
revalidated       | G     | F G-due   | fresh G | fresh F G-due
recalled, fresh   | ·     | new       | ·       | new
recalled, stale   | ·     | stale F   | ·       | stale F
recalled, expired | ·     | expired F | ·       | expired F
recalled, dead    | ·     | ·         | ·       | ·
yielded           | ·     | lease     | ·       | fresh lease
loaded            | ·     | new       | ·       | new
answered          | ·     | nothing   | ·       | fresh
failed            | ·     | nothing   | ·       | fresh failed-1
failed, kept      | ·     | newer     | ·       | fresh failed-1 newer
failed, an answer | ·     | nothing   | ·       | nothing
failed, dead      | ·     | nothing   | ·       | nothing
refused           | ·     | nothing   | ·       | nothing
abandoned         | ·     | nothing   | ·       | fresh
written           | new   | new       | new     | new
marked            | ·     | nothing   | marked  | marked
voided            | ·     | nothing   | nothing | nothing
passed            | pass  | pass      | pass    | pass
evicted           | ·     | ·         | nothing | ·
rebound           | ·     | ·         | rebound | rebound F`

/** What the head says below its table: every event that ends or forgets the current flight makes the due one current. */
const below = `
                  | Loading, one due | Refreshing, one due    | Refreshing while failing
                  | F G-due          | fresh F G-due          | fresh F failed-3 kept
read, fresh       | ·                | ·                      | ·
read, stale       | ·                | ·                      | ·
read, expired     | ·                | ·                      | ·
revalidated       | ·                | ·                      | fresh F G-due failed-3 kept
recalled, fresh   | new G            | new G                  | new
recalled, stale   | stale F G-due    | stale F G-due          | stale F failed-3 kept
recalled, expired | expired F G-due  | expired F G-due        | expired F failed-3 kept
recalled, dead    | ·                | ·                      | ·
yielded           | G lease          | fresh G lease          | fresh lease-3 kept
loaded            | new G            | new G                  | new
answered          | G                | fresh G                | fresh
failed            | G                | fresh G failed-1       | fresh failed-4 kept
failed, kept      | G newer          | fresh G failed-1 newer | fresh failed-4 newer
failed, an answer | G                | G                      | kept
failed, dead      | G                | G                      | kept
refused           | G                | G                      | nothing
abandoned         | G                | fresh G                | fresh failed-3 kept
written           | new G            | new G                  | new
marked            | G                | marked G               | marked failed-3
voided            | G                | G                      | nothing
passed            | G pass           | G pass                 | pass
evicted           | ·                | ·                      | ·
rebound           | ·                | rebound F G-due        | rebound F failed-3 kept`

const cells = [head, below].flatMap((table) => {
  const [names = [], states = [], ...rows] = table.trim().split("\n").map((line) =>
    line.split("|").map((cell) => cell.trim())
  )
  return rows.flatMap(([event = "", ...tos]) =>
    tos.map((to, at) => ({ event, to, from: states[at + 1] ?? "", name: names[at + 1] ?? "" }))
  )
})
const columns = new Map(cells.map(({ from, name }) => [from, name]))

describe("the table", () => {
  it("has a cell for every event and column", () => {
    assert.strictEqual(columns.size, 7)
    const expected = Object.keys(events).flatMap((event) => Array.from(columns.keys(), (from) => `${event}: ${from}`))
    assert.deepStrictEqual(cells.map(({ event, from }) => `${event}: ${from}`).toSorted(), expected.toSorted())
  })

  for (const { event, from, name, to } of cells) {
    it(`${event} ${to === "·" ? `leaves ${name} as it is` : `makes ${name} "${to}"`}`, () => {
      const before = stateOf(from)
      const copy = { ...before }
      const after = events[event]?.(before, flights.F) ?? assert.fail(event)
      if (to === "·") assert.strictEqual(after, before)
      else assert.strictEqual(say(after), to)
      assert.deepStrictEqual({ ...before }, copy, "the state before is never changed")
    })
  }
})

describe("a flight that the state does not name changes nothing", () => {
  for (const [event, apply] of Object.entries(byFlight)) {
    for (const [from, name] of columns) {
      it(`${event} by a stranger leaves ${name} as it is`, () => {
        const before = stateOf(from)
        assert.strictEqual(apply(before, flights.stranger), before)
      })
    }
    if (event === "abandoned") continue
    it(`${event} by the flight that is only due leaves the state as it is`, () => {
      const before = stateOf("fresh F G-due")
      assert.strictEqual(apply(before, flights.G), before)
    })
  }

  it("abandoned takes back a flight that is only due, and no other", () => {
    assert.strictEqual(say(State.abandoned(stateOf("fresh F G-due"), flights.G)), "fresh F")
    assert.strictEqual(say(State.abandoned(stateOf("F G-due kept"), flights.G)), "F kept")
  })

  for (const word of ["written", "marked", "voided", "passed"] as const) {
    it(`R11: a load that ${word} made the state forget is heard no more`, () => {
      for (const from of columns.keys()) {
        const after = byAnyone[word](stateOf(from))
        for (const [event, apply] of Object.entries(byFlight)) {
          assert.strictEqual(apply(after, flights.F), after, `${event} after "${from}"`)
        }
      }
    })
  }

  it("R6: a flight that ended is heard no more", () => {
    for (const end of ["recalled, fresh", "yielded", "loaded", "answered", "failed", "refused", "abandoned"] as const) {
      const after = byFlight[end](stateOf("fresh F G-due"), flights.F)
      assert.strictEqual(after.flight, flights.G)
      for (const [event, apply] of Object.entries(byFlight)) {
        assert.strictEqual(apply(after, flights.F), after, `${event} after ${end}`)
      }
    }
  })
})

describe("rest", () => {
  it("nothing known is State.empty, and only that is empty", () => {
    assert.isTrue(State.isEmpty(State.empty))
    assert.deepStrictEqual({ ...State.empty }, nothing)
    for (const word of Object.keys(words).filter((word) => word !== "nothing")) {
      assert.isFalse(State.isEmpty(stateOf(word)), word)
    }
  })

  it("an entry at rest is its own state, without an object around it", () => {
    const idle: State.State<string> = entries.new
    assert.strictEqual(idle.entry, entries.new)
    assert.deepStrictEqual(known(idle), ["entry"])
    assert.strictEqual(idle.passUntil, 0)
  })

  it("a mark that is there already changes nothing", () => {
    const once = State.marked(stateOf("fresh"), now)
    assert.strictEqual(State.marked(once, now + 50), once)
    assert.strictEqual(once.entry?.marked, 99)
  })

  it("a mark lets a lease and a pass go on", () => {
    assert.strictEqual(say(State.marked(stateOf("fresh lease"), now)), "marked lease")
    assert.strictEqual(say(State.marked(stateOf("pass"), now)), "pass")
  })

  it("R15: eviction forgets hold, failure and pass with the entry", () => {
    for (const from of ["fresh failed-3 kept", "kept", "pass", "lease", "fresh pass"]) {
      assert.strictEqual(State.evicted(stateOf(from)), State.empty, from)
    }
  })

  it("R19: set and hard invalidation end a pass, another pass renews it", () => {
    assert.strictEqual(say(State.written(stateOf("pass"), entries.new)), "new")
    assert.strictEqual(say(State.voided(stateOf("pass"))), "nothing")
    assert.strictEqual(State.passed(stateOf("pass"), until + 5).passUntil, until + 5)
  })

  it("R15: the first load after a pass leaves the entry at rest, the pass forgotten", () => {
    const departed = State.departed(stateOf("pass"), flights.F)
    assert.strictEqual(State.loaded(departed, flights.F, entries.new), entries.new)
  })

  it("R15: a failed load after a pass leaves nothing behind", () => {
    const departed = State.departed(stateOf("pass"), flights.F)
    assert.strictEqual(State.failed(departed, flights.F, until, outage), State.empty)
  })

  it("R19: a load that is kept ends the pass, also one that was due when it began", () => {
    const passed = State.passed(stateOf("F G-due"), until)
    assert.strictEqual(State.loaded(passed, flights.G, entries.new), entries.new)
    assert.strictEqual(say(State.loaded(passed, flights.stranger, entries.new)), "G pass")
  })

  it("R15: revalidate after a pass ends it too", () => {
    assert.strictEqual(say(State.revalidated(stateOf("pass"), flights.G)), "G")
  })
})

describe("revalidated", () => {
  it("R11: callers that find a flight share one next flight", () => {
    const first = State.revalidated(stateOf("F"), flights.G)
    assert.strictEqual(State.revalidated(first, flights.stranger), first)
    assert.strictEqual(first.next, flights.G)
  })

  it("R9: begins during a back-off, and leaves it", () => {
    assert.strictEqual(say(State.revalidated(stateOf("fresh failed-3"), flights.G)), "fresh G failed-3")
  })
})

// ----- what a read decides

const strict = Policy.strict(100)
const noFallback: Policy.Policy = Policy.decode({ freshFor: 100, maxAge: 200 }, {}, Infinity)

/** Every situation a read can find. */
const situations = (["miss", "fresh", "stale", "expired"] as const).flatMap((status) =>
  (["reader", "noFallback", "strict"] as const).flatMap((who) =>
    [
      { hold: "none", failures: 0, lease: false, until: 0 },
      { hold: "lease", failures: 0, lease: true, until: now + 1 },
      { hold: "lease over", failures: 0, lease: true, until: now },
      { hold: "failing, held", failures: 2, lease: false, until: now + 1 },
      { hold: "failing, over", failures: 2, lease: false, until: now },
      { hold: "failing, lease", failures: 2, lease: true, until: now + 1 }
    ].flatMap(({ hold, ...held }) =>
      [undefined, now + 1, now].flatMap((failureUntil) =>
        [0, now + 1, now].flatMap((passUntil) =>
          [undefined, flights.F].map((flight) => ({
            status,
            who,
            holdName: hold,
            state: {
              entry: status === "miss" ? undefined : entries[status],
              flight,
              next: undefined,
              hold: hold === "none" ? undefined : held,
              failure: failureUntil === undefined ? undefined : { cause: Cause.fail("no"), until: failureUntil },
              passUntil
            } satisfies State.State<string>
          }))
        )
      )
    )
  )
  // To a strict reader nothing is stale.
).filter(({ status, who }) => !(who === "strict" && status === "stale"))

/** The last load failed, and this reader may be given the expired value. */
type Standing = "stands in" | "does not"

/**
 * Of these rows exactly one fits each situation; `*` fits all. `status`: what the reader finds. `stands`: whether the
 * last load failed and the entry may stand in. `failure`: one is kept. `held`: no refresh may start.
 */
const decisions: ReadonlyArray<
  readonly [
    pass: "pass" | "-",
    status: Policy.Status | "miss or expired",
    stands: Standing | "*",
    failure: "failure" | "-" | "*",
    held: "held" | "-" | "*",
    flight: "flight" | "-" | "*",
    decision: State.Decision
  ]
> = [
  ["-", "fresh", "*", "*", "*", "*", "answer"],
  ["-", "stale", "*", "*", "held", "*", "answer"],
  ["-", "stale", "*", "*", "-", "flight", "answer"],
  ["-", "stale", "*", "*", "-", "-", "refresh"],
  ["-", "expired", "stands in", "*", "held", "*", "answer"],
  ["-", "expired", "stands in", "*", "-", "flight", "answer"],
  ["-", "expired", "stands in", "*", "-", "-", "refresh"],
  ["-", "miss or expired", "does not", "failure", "*", "*", "fail"],
  ["-", "miss or expired", "does not", "-", "*", "flight", "join"],
  ["-", "miss or expired", "does not", "-", "*", "-", "load"]
]

describe("read", () => {
  it("R6, R9, R12, R19: decides every situation by one row of the table", () => {
    assert.strictEqual(situations.length, (4 + 4 + 3) * 6 * 3 * 3 * 2)
    const used = new Set<number>()
    for (const { holdName, state, status, who } of situations) {
      const policy = { reader, noFallback, strict }[who]
      const stands = holdName.startsWith("failing") && status === "expired" && who === "reader"
      const found = {
        pass: state.passUntil === now + 1 ? "pass" : "-",
        stands: stands ? "stands in" : "does not",
        failure: state.failure?.until === now + 1 ? "failure" : "-",
        held: state.hold?.until === now + 1 ? "held" : "-",
        flight: state.flight === undefined ? "-" : "flight"
      }
      const fits = (wanted: string, actual: string) => wanted === "*" || wanted === actual
      const rows = decisions.map((_, index) => index).filter((index) => {
        const [pass, finds, standing, failure, held, flight] = decisions[index] ?? assert.fail()
        return fits(pass, found.pass) && finds.split(" or ").includes(status) && fits(standing, found.stands) &&
          fits(failure, found.failure) && fits(held, found.held) && fits(flight, found.flight)
      })
      const about = JSON.stringify({ who, status, hold: holdName, ...found })
      const expected = found.pass === "pass" ? "pass" : decisions[rows[0] ?? -1]?.[6]
      assert.strictEqual(rows.length, found.pass === "pass" ? 0 : 1, about)
      assert.strictEqual(State.read(state, now, policy), expected, about)
      for (const row of rows) used.add(row)
    }
    assert.strictEqual(used.size, decisions.length, "every row is met")
  })

  it("R1: finds a miss where nothing is known, else what the age says", () => {
    assert.strictEqual(State.status(State.empty, now, reader), "miss")
    assert.strictEqual(State.status(stateOf("F lease"), now, reader), "miss")
    for (const status of ["fresh", "stale", "expired"] as const) {
      assert.strictEqual(State.status(stateOf(status), now, reader), status)
      assert.strictEqual(State.status(stateOf(`${status} F failed-3`), now, reader), status)
    }
  })

  it("R9: a back-off, a kept failure and a pass are over at their very moment", () => {
    assert.strictEqual(State.read(stateOf("expired failed-3"), until - 9801, reader), "answer")
    const old = { ...fields("failed-3"), entry: new Entry.Entry("old", until - 250, 0, 0, -1, terms) }
    assert.strictEqual(State.read(old, until - 1, reader), "answer")
    assert.strictEqual(State.read(old, until, reader), "refresh")
    assert.isTrue(State.isHeld(old, until - 1))
    assert.isFalse(State.isHeld(old, until))
    assert.isFalse(State.isHeld(State.empty, 0))
    assert.strictEqual(State.read(stateOf("kept"), until - 1, reader), "fail")
    assert.strictEqual(State.read(stateOf("kept"), until, reader), "load")
    assert.strictEqual(State.read(stateOf("pass"), until - 1, reader), "pass")
    assert.strictEqual(State.read(stateOf("pass"), until, reader), "load")
  })

  it("R9: only a reader with nothing to fall back on loads in spite of a back-off", () => {
    const state = stateOf("expired failed-3")
    assert.strictEqual(State.read(state, now, reader), "answer")
    assert.strictEqual(State.read(state, now, noFallback), "load")
    assert.strictEqual(State.read(state, now, strict), "load")
    assert.strictEqual(State.read(stateOf("dead failed-3"), now, reader), "load")
  })

  it("R10: an expired value does not stand in before a load has failed", () => {
    assert.strictEqual(State.read(stateOf("expired"), now, reader), "load")
    assert.strictEqual(State.read(stateOf("expired lease"), now, reader), "load")
    assert.strictEqual(State.read(stateOf("expired F"), now, reader), "join")
  })

  it("R17: a strict reader is never given a marked entry, and waits", () => {
    assert.strictEqual(State.read(stateOf("fresh"), now, strict), "answer")
    assert.strictEqual(State.read(stateOf("marked"), now, strict), "load")
    assert.strictEqual(State.read(stateOf("marked failed-3"), now, strict), "load")
    assert.strictEqual(State.read(stateOf("marked F"), now, strict), "join")
    assert.strictEqual(State.read(stateOf("marked"), now, reader), "refresh")
  })
})

describe("fallback", () => {
  it("R3: is the entry while this reader may still be given it", () => {
    const at = (age: number, policy: Policy.Policy) =>
      State.fallback({ ...nothing, entry: aged("old", age) }, now, policy)?.value
    const cases: ReadonlyArray<readonly [number, Policy.Policy, string | undefined]> = [
      [0, reader, "old"],
      [199, reader, "old"],
      [200, reader, "old"],
      [399, reader, "old"],
      [400, reader, undefined],
      [199, noFallback, "old"],
      [200, noFallback, undefined],
      [99, strict, "old"],
      [100, strict, undefined]
    ]
    for (const [age, policy, expected] of cases) assert.strictEqual(at(age, policy), expected, `age ${age}`)
    assert.isUndefined(State.fallback(stateOf("F failed-3"), now, reader))
  })
})

describe("reason", () => {
  it("R18: error wherever the last load failed, then lease, marked, revalidating", () => {
    const cases: ReadonlyArray<readonly [string, number, State.Reason]> = [
      ["stale", now, "revalidating"],
      ["stale F", now, "revalidating"],
      ["marked", now, "marked"],
      ["marked F", now, "marked"],
      ["stale lease", until - 1, "lease"],
      ["marked lease", until - 1, "lease"],
      ["stale lease", until, "revalidating"],
      ["marked lease", until, "marked"],
      ["stale failed-1", now, "error"],
      ["expired failed-1", until, "error"],
      ["marked failed-3 F", now, "error"],
      ["stale lease-3", now, "error"]
    ]
    for (const [state, at, expected] of cases) {
      assert.strictEqual(State.reason(stateOf(state), at), expected, `${state} at ${at}`)
    }
  })
})

// ----- any sequence of events

describe("any sequence of events", () => {
  const Step = Schema.Struct({
    event: Schema.Literals([...Object.keys(events), "abandoned, due"]),
    stranger: Schema.Boolean
  })
  it.prop("keeps a due flight behind a current one, what rests at rest, and what ended ended", [Schema.Array(Step)], ([
    steps
  ]) => {
    let state: State.State<string> = State.empty
    const gone = new Set<State.Flight>()
    for (const { event, stranger } of steps) {
      const before = state
      const flight = event.startsWith("read") ? {} : stranger ? flights.stranger : before.flight ?? {}
      state = event === "abandoned, due"
        ? State.abandoned(before, before.next ?? {})
        : event === "revalidated"
        ? State.revalidated(before, {})
        : events[event]?.(before, flight) ?? assert.fail(event)
      if (stranger && event in byFlight) assert.strictEqual(state, before, event)
      for (const old of [before.flight, before.next]) {
        if (old !== undefined && old !== state.flight && old !== state.next) gone.add(old)
      }
      if (before.next !== undefined && before.flight !== state.flight) assert.strictEqual(state.flight, before.next)
      if (state.next !== undefined) assert.isDefined(state.flight)
      if ((state.hold?.failures ?? 0) > 0) assert.isDefined(state.entry, "R15: only a key with an entry backs off")
      for (const flight of [state.flight, state.next]) if (flight !== undefined) assert.isFalse(gone.has(flight))
      const rest = known(state)
      if (rest.length === 0) assert.strictEqual(state, State.empty)
      if (rest.join() === "entry") assert.strictEqual(state, state.entry)
    }
  }, { arbitrary: { runs: 1000 } })
})

// ----- a store

/** A store of one key: leases that end, and a generation that the load that may commit must still find. */
class FakeStore {
  entry: Entry.Entry<string> | undefined = undefined
  lease: { readonly until: number } | undefined = undefined
  generation: object | undefined = undefined

  /** The entry; and, if the asker would not find it fresh, the generation, or until when another process holds the lease. */
  open(at: number, policy: Policy.Policy) {
    const entry = this.entry
    if (entry !== undefined && Entry.status(entry, at, policy) === "fresh") return { entry }
    if (this.lease !== undefined && at < this.lease.until) return { entry, heldUntil: this.lease.until }
    this.lease = { until: at + 30 }
    this.generation = {}
    return { entry, generation: this.generation }
  }

  /** Only for who finds its generation. */
  commit(generation: object | undefined, entry: Entry.Entry<string>): boolean {
    // Absence never matches.
    if (generation === undefined || generation !== this.generation) return false
    this.entry = entry
    this.generation = this.lease = undefined
    return true
  }

  invalidate(): void {
    this.entry = this.generation = this.lease = undefined
  }
}

/** A process over it, by functions of the machine alone: no fiber, no clock. */
class Process {
  state: State.State<string> = State.empty
  /** The loads that the lookup runs, with what each may commit by. */
  readonly loads = new Map<State.Flight, object>()
  readonly store: FakeStore
  readonly policy: Policy.Policy

  constructor(store: FakeStore, policy = reader) {
    this.store = store
    this.policy = policy
  }

  /** What a reader meets who comes now, and what the read begins. */
  read(at: number): readonly [decision: State.Decision, value?: string, reason?: State.Reason] {
    const { policy, state } = this
    const decision = State.read(state, at, policy)
    if (decision === "load" || decision === "refresh") this.begin(at)
    return decision !== "answer" && decision !== "refresh"
      ? [decision]
      : State.status(state, at, policy) === "fresh"
      ? [decision, state.entry?.value ?? "none"]
      : [decision, state.entry?.value ?? "none", State.reason(state, at)]
  }

  private begin(at: number): void {
    const flight = {}
    this.state = State.departed(this.state, flight)
    const { entry, generation, heldUntil } = this.store.open(at, this.policy)
    if (entry !== undefined) this.state = State.recalled(this.state, flight, entry, at, this.policy)
    if (generation !== undefined) this.loads.set(flight, generation)
    else if (heldUntil !== undefined) this.state = State.yielded(this.state, flight, heldUntil)
  }

  /** The one load under way ends; answers whether the store took its value. */
  load(value: string, at: number): boolean {
    const [[flight, generation] = assert.fail("no load")] = this.loads
    this.loads.delete(flight)
    const entry = new Entry.Entry(value, at, 0, 0, -1, terms)
    const committed = this.store.commit(generation, entry)
    this.state = committed ? State.loaded(this.state, flight, entry) : State.refused(this.state, flight)
    return committed
  }

  fail(at: number, retryAt: number): void {
    const [[flight] = assert.fail("no load")] = this.loads
    this.loads.delete(flight)
    this.state = State.failed(this.state, flight, at, { retryAt, isAnswer: false, failure: undefined })
  }
}

const warm = (value: string, bornAt: number): FakeStore => {
  const store = new FakeStore()
  store.entry = new Entry.Entry(value, bornAt, 0, 0, -1, terms)
  return store
}

describe("over a store", () => {
  it("a restarted process over a warm store answers stale at once, while the same flight goes on", () => {
    const process = new Process(warm("old", 0))
    assert.deepStrictEqual(process.read(150), ["load"])
    const flight = process.state.flight
    // Who began the flight and who comes now are given the old value; nobody waits, nobody begins a second load.
    assert.strictEqual(State.fallback(process.state, 150, reader)?.value, "old")
    assert.deepStrictEqual(process.read(150), ["answer", "old", "revalidating"])
    assert.isDefined(flight)
    assert.strictEqual(process.state.flight, flight)
    assert.strictEqual(process.loads.size, 1)
    assert.isTrue(process.load("new", 160))
    assert.deepStrictEqual(process.read(160), ["answer", "new"])
    assert.strictEqual(process.state, process.state.entry)
  })

  it("a fresh entry of the store ends the flight: no load, no lease", () => {
    const store = warm("old", 0)
    const process = new Process(store)
    assert.deepStrictEqual(process.read(99), ["load"])
    assert.strictEqual(process.state, store.entry)
    assert.strictEqual(process.loads.size, 0)
    assert.isUndefined(store.lease)
    assert.deepStrictEqual(process.read(99), ["answer", "old"])
    assert.deepStrictEqual(process.read(100), ["refresh", "old", "revalidating"])
  })

  it("an expired entry of the store is not answered, but kept as the fallback of a load that fails", () => {
    const process = new Process(warm("old", 0))
    assert.deepStrictEqual(process.read(250), ["load"])
    assert.deepStrictEqual(process.read(250), ["join"])
    process.fail(260, 300)
    assert.deepStrictEqual(process.read(299), ["answer", "old", "error"])
    assert.strictEqual(process.loads.size, 0)
    // Its own lease is over by then; the probe goes behind the readers.
    assert.deepStrictEqual(process.read(300), ["refresh", "old", "error"])
    assert.deepStrictEqual(process.read(300), ["answer", "old", "error"])
    process.load("new", 310)
    assert.deepStrictEqual(process.read(310), ["answer", "new"])
    assert.strictEqual(process.state, process.state.entry, "a success ends the back-off")
  })

  it("a dead entry of the store is ignored: a failing load has nothing to fall back on", () => {
    const process = new Process(warm("old", 0))
    assert.deepStrictEqual(process.read(400), ["load"])
    assert.isUndefined(process.state.entry)
    assert.deepStrictEqual(process.read(400), ["join"])
    process.fail(410, 900)
    assert.strictEqual(process.state, State.empty)
  })

  it("a process that has no lease yields until then, and meanwhile answers with the reason lease", () => {
    const store = warm("old", 0)
    const [one, two] = [new Process(store), new Process(store)]
    assert.deepStrictEqual(one.read(150), ["load"])
    assert.deepStrictEqual(two.read(150), ["load"])
    assert.strictEqual(one.loads.size, 1)
    assert.strictEqual(two.loads.size, 0)
    assert.isUndefined(two.state.flight)
    assert.deepStrictEqual(two.read(150), ["answer", "old", "lease"])
    assert.deepStrictEqual(two.read(179), ["answer", "old", "lease"])
    assert.strictEqual(two.loads.size, 0)
    // The holder is dead: its lease ends, and another takes over.
    assert.deepStrictEqual(two.read(180), ["refresh", "old", "revalidating"])
    assert.strictEqual(two.loads.size, 1)
    assert.isFalse(one.load("late", 185))
    assert.isTrue(two.load("new", 190))
  })

  it("the lease over, who yielded takes over, and finds what the holder committed instead of loading", () => {
    const store = warm("old", 0)
    const [one, two] = [new Process(store), new Process(store)]
    one.read(120)
    two.read(120)
    one.load("new", 145)
    assert.deepStrictEqual(two.read(149), ["answer", "old", "lease"])
    assert.deepStrictEqual(two.read(150), ["refresh", "old", "revalidating"])
    assert.deepStrictEqual(two.read(150), ["answer", "new"])
    assert.strictEqual(two.loads.size, 0)
    assert.strictEqual(two.state, store.entry)
  })

  it("a process that has no lease and no value asks again, and loads when the lease is over", () => {
    const store = new FakeStore()
    const [one, two] = [new Process(store), new Process(store)]
    assert.deepStrictEqual([one.read(0), two.read(0)], [["load"], ["load"]])
    assert.deepStrictEqual(two.state.hold, { until: 30, failures: 0, lease: true })
    assert.deepStrictEqual(two.read(29), ["load"])
    assert.strictEqual(two.loads.size, 0)
    assert.deepStrictEqual(two.read(30), ["load"])
    assert.strictEqual(two.loads.size, 1)
    assert.isFalse(one.load("late", 60), "the generation is the other's now")
    assert.isTrue(two.load("new", 60))
  })

  it("a commit that the fence refuses drops the entry too", () => {
    const store = warm("old", 0)
    const process = new Process(store)
    process.read(150)
    store.invalidate()
    assert.isFalse(process.load("overtaken", 160))
    assert.strictEqual(process.state, State.empty)
    assert.isUndefined(store.entry)
    assert.deepStrictEqual(process.read(160), ["load"])
  })

  it("R11: a set in this process is the last word over what the store answers afterwards", () => {
    const process = new Process(warm("old", 0))
    process.read(150)
    const flight = process.state.flight ?? assert.fail()
    const mine = new Entry.Entry("mine", 155, 0, 0, -1, terms)
    process.state = State.written(process.state, mine)
    const late = new Entry.Entry("late", 160, 0, 0, -1, terms)
    for (
      const next of [
        State.recalled(process.state, flight, late, 160, reader),
        State.yielded(process.state, flight, 900),
        State.loaded(process.state, flight, late),
        State.refused(process.state, flight)
      ]
    ) assert.strictEqual(next, mine)
  })

  it("a fresh entry of the store ends a back-off and a kept failure", () => {
    const state = State.recalled(stateOf("expired F failed-3 kept"), flights.F, entries.new, now, reader)
    assert.strictEqual(state, entries.new)
  })

  it("to a strict reader a stale entry of the store is no answer and no fallback", () => {
    const process = new Process(warm("old", 0), strict)
    assert.deepStrictEqual(process.read(150), ["load"])
    assert.deepStrictEqual(process.read(150), ["join"])
    process.fail(160, 900)
    assert.deepStrictEqual(process.read(161), ["load"])
  })

  it("R9: yielding keeps the count of failures, so that the reason stays error", () => {
    const state = State.yielded(stateOf("expired F failed-3"), flights.F, now + 50)
    assert.deepStrictEqual(state.hold, { until: now + 50, failures: 3, lease: true })
    assert.strictEqual(State.read(state, now, reader), "answer")
    assert.strictEqual(State.reason(state, now), "error")
  })
})
