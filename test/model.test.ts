/**
 * Random sequences of everything that users, lookups and time can do, against the naive {@link Oracle}; and again with
 * evictions, and steps that do not wait for one another, against what must never happen.
 *
 * MODEL_RUNS: how many sequences (default 3000, and a quarter of that for the second property). MODEL_REPLAY: the token
 * of a failure. MODEL_SEED: a seed of your own. MODEL_COUNTS: tells how often each transition was hit.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Data,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Random,
  References,
  Result,
  Scheduler,
  Schema,
  Scope
} from "effect"
import { Policy, Swr } from "effect-swr"
import * as Arbitrary from "effect/Arbitrary"
import { TestClock } from "effect/testing"
import * as Oracle from "./Oracle.ts"

// ----- what can be done

const times = <A>(count: number, value: A): Array<A> => Array.from({ length: count }, () => value)

/** A choice with chances. */
const weighted = <const W extends Record<string, number>>(weights: W): Schema.Schema<keyof W & string> =>
  Schema.Union(
    Object.entries(weights).flatMap(([name, weight]) => times(weight, Schema.Literal(name as keyof W & string)))
  )

/** What a value asks for itself: values carry its name, and `keep` reads it off them. */
const wishes = {
  plain: {},
  brief: { freshFor: 40 },
  short: { freshFor: 20, maxAge: 120 },
  unlucky: { staleIfError: 350 },
  never: { staleIfError: 0 },
  x: { tags: ["x"] },
  xy: { tags: ["x", "y"], freshFor: 60 },
  aged: { age: 80 },
  old: { age: 350 },
  dead: { age: 5000 }
} satisfies Record<string, Oracle.Wishes>

const keeps = { ...wishes, share: "share", pass: "pass", throws: "share", bad: "share" } as const
type Keep = keyof typeof keeps

const Wish = weighted({ plain: 6, brief: 1, short: 1, unlucky: 1, never: 1, x: 2, xy: 1, aged: 1, old: 1, dead: 1 })

const values = { plain: 9, brief: 1, short: 1, unlucky: 1, never: 1, x: 3, xy: 1, aged: 1, old: 1, dead: 1 }
const others = { share: 2, pass: 3, throws: 1, bad: 1 }
const How = weighted({ ...values, ...others, Outage: 8, Answer: 3, Defect: 2, Interrupt: 1 })
type How = typeof How.Type

/** What readers ask for. */
const said = {
  own: {},
  brisk: { freshFor: 40 },
  patient: { freshFor: 250, maxAge: 400 },
  tight: { maxAge: 150 },
  exact: { staleIfError: 0 },
  lenient: { staleIfError: 500 },
  picky: { staleIfError: 500, when: "none" },
  hasty: { staleIfError: 500, when: "outages", softTimeout: 30 },
  eager: { staleIfError: 500, when: "outages", softTimeout: 0 },
  jittery: { jitter: 0.5 },
  whole: { freshFor: 60, maxAge: 200, whole: true }
} satisfies Record<string, Oracle.Said>

/** What strict readers ask for; a strict cache takes no others. */
const stricts: Partial<Record<By, { readonly maxAge: number; readonly jitter: number }>> = {
  brisk: { maxAge: 60, jitter: 0 },
  patient: { maxAge: 500, jitter: 0 },
  jittery: { maxAge: 120, jitter: 0.5 },
  strict: { maxAge: 120, jitter: 0 }
}

const By = weighted({
  own: 6,
  brisk: 1,
  patient: 1,
  tight: 2,
  exact: 1,
  lenient: 1,
  picky: 1,
  hasty: 3,
  eager: 1,
  jittery: 1,
  whole: 1,
  strict: 2
})
type By = typeof By.Type

const Key = weighted({ a: 4, b: 2, c: 1 })
const Which = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))

const Command = Schema.Union([
  ...times(14, Schema.TaggedStruct("Read", { key: Key, by: By })),
  ...times(2, Schema.TaggedStruct("Many", { keys: Schema.Literals(["ab", "ba", "abc", "aba"]), by: By })),
  ...times(4, Schema.TaggedStruct("Revalidate", { key: Key })),
  /** Tells a waiting lookup how to end. */
  ...times(14, Schema.TaggedStruct("Finish", { which: Which, how: How })),
  /** What lookups of the key do from now on: wait to be told, and let themselves be interrupted or not; or end at once. */
  ...times(
    3,
    Schema.TaggedStruct("Origin", { key: Key, how: Schema.Union([weighted({ waits: 4, stubborn: 2 }), How]) })
  ),
  ...times(3, Schema.TaggedStruct("Set", { key: Key, wish: Wish })),
  ...times(2, Schema.TaggedStruct("Mutate", { key: Key, how: weighted({ waits: 3, value: 1, failure: 1 }) })),
  ...times(2, Schema.TaggedStruct("FinishMutation", { which: Which, how: weighted({ value: 2, failure: 1 }) })),
  ...times(
    5,
    Schema.TaggedStruct("Invalidate", {
      keys: weighted({ a: 4, b: 2, c: 1, abc: 1 }),
      mode: weighted({ soft: 3, hard: 2 })
    })
  ),
  ...times(3, Schema.TaggedStruct("InvalidateTag", { tag: weighted({ x: 2, y: 1 }) })),
  Schema.TaggedStruct("Clear", {}),
  /** Who waits goes away. */
  ...times(4, Schema.TaggedStruct("Leave", { which: Which })),
  ...times(3, Schema.TaggedStruct("Advance", { ms: Schema.Literals([1, 10, 50, 100, 300, 5000]) })),
  /** To the next moment but `which` at which something changes for somebody, or one millisecond before or after it. */
  ...times(14, Schema.TaggedStruct("AdvanceTo", { which: Which, off: weighted({ "0": 4, "-1": 2, "1": 1 }) }))
])
type Command = typeof Command.Type

const Setup = Schema.Struct({
  /** With stale-if-error, without, with a `softTimeout` for everybody, strict. */
  cache: weighted({ resilient: 6, plain: 2, hasty: 2, strict: 2 }),
  /** Of loads; without, it is the default of a minute, and a defect. */
  hardTimeout: weighted({ "200": 2, none: 1 }),
  failureTimeToLive: weighted({ "0": 3, "70": 1 }),
  refreshes: weighted({ "64": 3, "1": 1 }),
  maxTimeToLive: weighted({ "1 day": 3, "250 millis": 1 }),
  random: weighted({ "0": 1, "0.5": 2, "0.75": 1 }),
  /** All that waits is ended first, or is closed with the layer. */
  end: weighted({ drain: 2, close: 1 })
})
type Setup = typeof Setup.Type

// ----- policies, as users write them and as the oracle counts

const caches: Record<Exclude<Setup["cache"], "strict">, Oracle.Said> = {
  resilient: { freshFor: 100, maxAge: 300, staleIfError: 500, when: "outages" },
  plain: { freshFor: 100, maxAge: 300 },
  hasty: { freshFor: 100, maxAge: 300, staleIfError: 500, when: "outages", softTimeout: 50 }
}

const outages = {
  all: undefined,
  outages: (error: Failure) => error._tag !== "Answer",
  none: () => false
}

const written = ({ staleIfError, when, whole, ...windows }: Oracle.Said) => {
  const options = {
    ...windows,
    ...staleIfError !== undefined && { staleIfError: { window: staleIfError, when: outages[when ?? "all"] } }
  }
  return whole === true ? Result.getOrThrow(Policy.make<Failure>({ freshFor: 0, ...options })) : options
}

const longestOf = (setup: Setup) => setup.maxTimeToLive === "1 day" ? 86_400_000 : 250

const cacheWindows = (setup: Setup): Oracle.Windows =>
  setup.cache === "strict"
    ? Oracle.strict(150, 0, longestOf(setup))
    : Oracle.lay(caches[setup.cache], {}, longestOf(setup))

// Decoded once per object.
const lenientPolicies = new Map(Object.entries(said).map(([by, options]) => [by, written(options)]))
const strictPolicies = new Map(
  Object.entries(stricts).map(([by, { jitter, maxAge }]) => [by, Policy.strict(maxAge, { jitter })])
)

const readerOf = (setup: Setup, by: By) => {
  const longest = longestOf(setup)
  if (setup.cache !== "strict" && by !== "strict") {
    return { policy: lenientPolicies.get(by), windows: Oracle.lay(caches[setup.cache], said[by], longest) }
  }
  const strict = stricts[by]
  return strict === undefined
    ? { policy: undefined, windows: cacheWindows(setup) }
    : { policy: strictPolicies.get(by), windows: Oracle.strict(strict.maxAge, strict.jitter, longest) }
}

// ----- the origin behind the cache

class Outage extends Data.TaggedError("Outage")<{ readonly name: string }> {}
class Answer extends Data.TaggedError("Answer")<{ readonly name: string }> {}
class Defect extends Data.TaggedError("Defect")<{ readonly name: string }> {}
type Failure = Outage | Answer | Swr.LoadTimeout

interface Value {
  readonly name: string
  readonly how: string
}

const endOf = (how: How, name: string): Exit.Exit<Value, Outage | Answer> => {
  switch (how) {
    case "Outage":
      return Exit.fail(new Outage({ name }))
    case "Answer":
      return Exit.fail(new Answer({ name }))
    case "Defect":
      return Exit.die(new Defect({ name }))
    case "Interrupt":
      return Exit.interrupt()
    default:
      return Exit.succeed({ name, how })
  }
}

const endingOf = (how: How): Oracle.Ending =>
  how === "Outage" || how === "Answer" || how === "Defect" || how === "Interrupt"
    ? { _tag: how }
    : { _tag: "Value", keep: keeps[how] }

const keep = ({ how }: Value) => {
  if (how === "throws") throw new Error("keep")
  return how === "bad" ? { freshFor: -1 } : keeps[how as Keep]
}

/** One call of the lookup. */
interface Call {
  readonly name: string
  readonly key: string
  readonly isStubborn: boolean
  readonly previous: string
  readonly gate: Deferred.Deferred<Value, Outage | Answer>
  state: "open" | "ended" | "interrupted"
}

/** One change under way. */
interface Change {
  readonly name: string
  readonly gate: Deferred.Deferred<Value, Outage>
  /** What it was told is there; `undefined`: it is not its turn yet. */
  current: string | undefined
}

/** An answer, and the same as text; of a failure the text alone. */
interface Got {
  readonly text: string
  readonly answer?: Swr.Answer<Value, Failure>
}

/** Somebody who waits, and what he should be told. */
interface Waiting {
  readonly label: string
  readonly since: number
  readonly fiber: Fiber.Fiber<ReadonlyArray<Got>>
  /** One per key that was asked for. */
  readonly keys: ReadonlyArray<string>
  readonly windows: Oracle.Windows | undefined
  readonly expected: () => string | undefined
  readonly leave: () => void
}

const textOf = ({ age, freshFor, reason, servableFor, source, status, value }: Swr.Answer<Value, Failure>) =>
  Oracle.show({
    value: value.name,
    status,
    source,
    reason: Option.getOrUndefined(reason),
    age: Duration.toMillis(age),
    freshFor: Duration.toMillis(freshFor),
    servableFor: Duration.toMillis(servableFor)
  })

// ----- what must never happen, whatever the oracle says

/** What is known of a value without looking into the cache. Moments are counted, not measured. */
interface Fact {
  readonly key: string
  readonly how: string
  readonly begun: number
  ended: number
  bornAt: number
  isWritten: boolean
  given: number
}

/** `set`, `mutate`, `invalidate`, ...: what was begun before it must not be seen by calls after it. */
interface Word {
  readonly says: string
  readonly about: (fact: Fact) => boolean
  readonly isSoft: boolean
  readonly before: number
  after: number
}

class Watch {
  readonly facts = new Map<string, Fact>()
  readonly words: Array<Word> = []
  private readonly cache: Oracle.Windows
  private moment = 0

  constructor(cache: Oracle.Windows) {
    this.cache = cache
  }

  get next(): number {
    return ++this.moment
  }

  say(says: string, about: Word["about"], isSoft = false): Word {
    const word = { says, about, isSoft, before: this.next, after: Infinity }
    this.words.push(word)
    return word
  }

  write(key: string, name: string, how: string, now: number): void {
    const begun = this.words.at(-1)?.before ?? 0
    this.facts.set(name, { key, how, begun, ended: begun, bornAt: now - ageOf(how), isWritten: true, given: 0 })
  }

  /** A reader who called at `since` was given an answer between two moments of the clock. */
  judge(key: string, since: number, reader: Oracle.Windows, answer: Swr.Answer<Value, Failure>, now: number): void {
    const { reason: { valueOrUndefined: reason }, source, status, value } = { ...pick(answer) }
    const text = textOf(answer)
    const fact = this.facts.get(value.name)
    const must = (holds: boolean, rule: string) => assert.isTrue(holds, `${rule}: ${text}`)
    if (fact === undefined) return assert.fail(`a value from nowhere: ${text}`)
    must(fact.key === key, `a value of ${fact.key} for a reader of ${key}`)
    const own: Oracle.Wishes = wishes[fact.how as keyof typeof wishes] ?? {}
    const least = (window: "freshFor" | "maxAge" | "staleIfError", of = reader) =>
      Math.min(of[window], own[window] ?? Infinity)
    const age = Duration.toMillis(answer.age)
    if (source === "memory") {
      must(fact.isWritten || fact.how in wishes, "a value that is kept nowhere came from memory")
      must(age <= now - fact.bornAt, "older than it is")
      must(
        age < Math.max(least("maxAge", this.cache), least("freshFor", this.cache) + least("staleIfError", this.cache)),
        "dead"
      )
      const bound = status === "fresh"
        ? reader.strict ? least("maxAge") : least("freshFor")
        : reason === "error" || reason === "timeout"
        ? Math.max(least("maxAge"), least("staleIfError") && least("freshFor") + least("staleIfError"))
        : least("maxAge")
      must(age < bound, "past its bound")
      must(!reader.strict || age < least("maxAge"), "past the strict bound")
      must(!reader.strict || status !== "stale", "stale for a strict reader")
    } else if (fact.how === "pass") must(++fact.given === 1, "passed on to a second reader")
    for (const word of this.words) {
      if (word.after >= since || fact.begun >= word.before || !word.about(fact)) continue
      if (!word.isSoft) must(false, `before ${word.says}, which the reader came after`)
      must(status !== "fresh" && fact.ended < word.after, `before ${word.says} (soft), which the reader came after`)
    }
  }
}
