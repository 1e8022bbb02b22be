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

/** One change by `mutate`. */
interface Change {
  readonly name: string
  readonly key: string
  readonly gate: Deferred.Deferred<Value, Outage>
  /** What it was told is there; `undefined`: it is not its turn yet. */
  current: string | undefined
  state: "open" | "ended" | "interrupted"
}

/** An answer, and the same as text; of a failure the text alone. */
interface Got {
  readonly text: string
  readonly key?: string
  readonly answer?: Given
}
type Given = Swr.Answer<Value, Failure>

/** Somebody who waits, and what he should be told. */
interface Waiting {
  readonly label: string
  readonly since: number
  readonly windows: Oracle.Windows
  readonly fiber: Fiber.Fiber<ReadonlyArray<Got>, Failure>
  readonly expected: () => string | undefined
  readonly leave: () => void
}

const textOf = ({ age, freshFor, reason, servableFor, source, status, value }: Given): string =>
  Oracle.show({
    value: value.name,
    status,
    source,
    reason: Option.getOrUndefined(reason),
    age: Duration.toMillis(age),
    freshFor: Duration.toMillis(freshFor),
    servableFor: Duration.toMillis(servableFor)
  })

/** As the oracle says it. */
const textOfCause = (cause: Cause.Cause<unknown>, setup: Setup): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const defect = cause.reasons.find(Cause.isDieReason)?.defect
  if (error instanceof Outage || error instanceof Answer) return `${error._tag} ${error.name}`
  if (error instanceof Swr.LoadTimeout && setup.hardTimeout !== "none") return "Timeout"
  if (defect instanceof Swr.LoadTimeout && setup.hardTimeout === "none") return "Timeout"
  if (defect instanceof Defect) return `Defect ${defect.name}`
  return Cause.hasInterruptsOnly(cause) ? "Interrupt" : `unexpected: ${Cause.pretty(cause)}`
}

// ----- what must never happen, whatever the oracle says

/** What is known of a value without a look into the cache. Moments are counted, not measured. */
interface Fact {
  readonly key: string
  how: string
  readonly isWritten: boolean
  readonly begun: number
  ended: number
  bornAt: number
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

  begin(name: string, key: string, begun: number, isWritten = false): void {
    this.facts.set(name, { key, how: "", isWritten, begun, ended: Infinity, bornAt: Infinity, given: 0 })
  }

  end(name: string, how: string, now: number): void {
    const fact = this.facts.get(name)
    if (fact === undefined) return
    fact.how = how
    fact.ended = this.next
    fact.bornAt = now - (wishesOf(how).age ?? 0)
  }

  /** A reader who called at `since` has been given this. */
  judge(key: string, since: number, reader: Oracle.Windows, answer: Given, now: number): void {
    const must = (holds: boolean, rule: string) => holds || assert.fail(`${rule}: ${textOf(answer)}`)
    const fact = this.facts.get(answer.value.name)
    if (fact === undefined) return assert.fail(`a value from nowhere: ${textOf(answer)}`)
    const { source, status } = answer
    const reason = Option.getOrUndefined(answer.reason)
    const own = wishesOf(fact.how)
    const least = (window: "freshFor" | "maxAge" | "staleIfError", of = reader) =>
      Math.min(of[window], own[window] ?? Infinity)
    const forError = (of = reader) => least("staleIfError", of) && least("freshFor", of) + least("staleIfError", of)
    const age = Duration.toMillis(answer.age)
    must(fact.key === key, "of another key")
    must(fact.ended < Infinity, "never loaded")
    if (source === "memory") {
      must(fact.isWritten || fact.how in wishes, "kept although it said no")
      must(age <= now - fact.bornAt, "older than it is")
      must(age < Math.max(least("maxAge", this.cache), forError(this.cache)), "dead")
      must(age < Math.max(least("maxAge"), reason === "error" || reason === "timeout" ? forError() : 0), "past its bound")
      must(status !== "fresh" || age < least("freshFor"), "not fresh any more")
      must(!reader.strict || status !== "stale", "stale to a strict reader")
    } else if (fact.how === "pass") must(++fact.given === 1, "passed on to a second reader")
    for (const { about, after, before, isSoft, says } of this.words) {
      if (after > since || fact.begun >= before || !about(fact)) continue
      must(isSoft && status !== "fresh" && fact.ended <= after, `from before "${says}", which the reader came after`)
    }
  }
}

const wishesOf = (how: string): Oracle.Wishes => how in wishes ? wishes[how as keyof typeof wishes] : {}

// ----- a cache, its origin and its readers

const build = Effect.fnUntraced(function*(setup: Setup, capacity: number) {
  const scope = yield* Scope.make()
  const settle = yield* Effect.map(Scheduler.Scheduler, (scheduler) => (scheduler as Counting).settle)
  const watch = new Watch(cacheWindows(setup))
  const calls: Array<Call> = []
  const counts = new Map<string, number>()
  const origin = new Map<string, How | "waits" | "stubborn">()
  const now = yield* Effect.clockWith((clock) => Effect.succeed(() => clock.currentTimeMillisUnsafe()))
  const sleepers = { count: 0 }
  const context = yield* Effect.clockWith((clock) => {
    const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
      sleep: (duration: Duration.Duration) =>
        Effect.suspend(() => {
          sleepers.count++
          return Effect.ensuring(clock.sleep(duration), Effect.sync(() => sleepers.count--))
        })
    })
    const random = Number(setup.random)
    const { maxTimeToLive } = setup
    return Layer.buildWithScope(Swr.layer({ capacity, maxTimeToLive, refreshes: Number(setup.refreshes) }), scope).pipe(
      Effect.provideService(Clock.Clock, counting),
      Effect.provideService(Random.Random, { nextDoubleUnsafe: () => random, nextIntUnsafe: () => 0 })
    )
  })
  const lookup = (key: string, previous: Option.Option<Swr.Previous<Value>>) =>
    Effect.suspend(() => {
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      const how = origin.get(key) ?? "waits"
      const call: Call = {
        name: `${key}${count}`,
        key,
        isStubborn: how === "stubborn",
        previous: Option.match(previous, {
          onNone: () => "none",
          onSome: ({ age, value }) => `${value.name} ${Duration.toMillis(age)}`
        }),
        gate: Deferred.makeUnsafe(),
        state: "open"
      }
      calls.push(call)
      watch.begin(call.name, key, watch.next)
      if (how !== "waits" && how !== "stubborn") return finish(call, how)
      const gate = Deferred.await(call.gate)
      if (call.isStubborn) return Effect.uninterruptible(gate)
      return Effect.onInterrupt(gate, () =>
        Effect.sync(() => {
          if (call.state === "open") call.state = "interrupted"
        }))
    })
  const finish = (call: Call, how: How) => {
    call.state = "ended"
    watch.end(call.name, how, now())
    const exit = endOf(how, call.name)
    Deferred.doneUnsafe(call.gate, exit)
    return exit
  }
  const options = {
    name: "model",
    lookup,
    keep,
    backoff,
    failureTimeToLive: Number(setup.failureTimeToLive),
    hardTimeout: setup.hardTimeout === "none" ? undefined : Number(setup.hardTimeout)
  }
  const cache = yield* Effect.provide(
    setup.cache === "strict"
      ? Swr.make({ ...options, policy: Policy.strict(150) })
      : Swr.make({ ...options, freshFor: 0, ...written(caches[setup.cache]) }),
    context
  )
  return {
    setup,
    scope,
    settle,
    watch,
    calls,
    origin,
    now,
    sleepers,
    finish,
    // A strict cache is given strict policies only.
    cache: cache as Swr.Instance<string, Value, Failure>,
    changes: new Array<Change>(),
    waiting: new Array<Waiting>(),
    /** Those of which more is to be heard. */
    unsettled: new Set<Call>(),
    history: new Array<string>()
  }
})
type World = Effect.Success<ReturnType<typeof build>>

const backoff = { from: 100, to: 350 }

/** Knows when nothing can go on by itself. */
class Counting implements Scheduler.Scheduler {
  readonly executionMode
  private readonly scheduler: Scheduler.Scheduler
  private tasks = 0

  constructor(scheduler: Scheduler.Scheduler) {
    this.scheduler = scheduler
    this.executionMode = scheduler.executionMode
  }
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>) {
    return this.scheduler.shouldYield(fiber)
  }
  makeDispatcher() {
    const dispatcher = this.scheduler.makeDispatcher()
    return {
      scheduleTask: (task: () => void, priority: number) => {
        this.tasks++
        dispatcher.scheduleTask(() => {
          this.tasks--
          task()
        }, priority)
      },
      flush: () => dispatcher.flush()
    }
  }
  settle: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(Effect.yieldNow, () => this.tasks > 0 ? this.settle : Effect.void)
  )
}

// ----- one step

const at = <A>(list: ReadonlyArray<A>, which: number): A | undefined => list[which % list.length]

const isOpen = ({ state }: { readonly state: string }) => state === "open"

const got = (answer: Given, key: string): Got => ({ text: textOf(answer), key, answer })

/** Somebody begins to wait; `expected` is asked when he should have been answered. */
const start = (
  world: World,
  label: string,
  windows: Oracle.Windows,
  effect: Effect.Effect<ReadonlyArray<Got>, Failure>,
  expected: () => string | undefined,
  leave: () => void
) => {
  const since = world.watch.next
  return Effect.map(Effect.forkChild(effect, { startImmediately: true }), (fiber) => {
    world.waiting.push({ label, since, windows, fiber, expected, leave })
  })
}

const write = (world: World, name: string, key: string, how: string): Word => {
  const { now, watch } = world
  const word = watch.say(`write ${name}`, (fact) => fact.key === key)
  watch.begin(name, key, word.before, true)
  watch.end(name, how, now())
  return word
}

/** What the oracle is told is what the cache is told. Without an oracle nobody is told what to expect. */
const act = Effect.fnUntraced(function*(
  world: World,
  oracle: Oracle.Oracle | undefined,
  step: number,
  command: Command
) {
  const { cache, changes, setup, watch } = world
  const label = `#${step} ${say(command)}`
  const none = () => undefined
  switch (command._tag) {
    case "Read": {
      const { key } = command
      const { policy, windows } = readerOf(setup, command.by)
      const effect = Effect.map(cache.read(key, policy), (answer) => [got(answer, key)])
      const reader = { current: undefined as Oracle.Reader | undefined }
      yield* start(world, label, windows, effect, () => reader.current?.outcome, () =>
        reader.current && oracle?.interrupt(reader.current))
      reader.current = oracle?.read(key, windows)
      return
    }
    case "Many": {
      const keys = Array.from(command.keys)
      const { policy, windows } = readerOf(setup, command.by)
      const effect = Effect.map(cache.readMany(keys, policy), (results) =>
        results.map((result, index) =>
          Result.match(result, {
            onSuccess: (answer) => got(answer, keys[index] ?? ""),
            onFailure: (error) => ({ text: textOfCause(Cause.fail(error), setup) })
          })
        ))
      const parts = new Map<string, Oracle.Reader>()
      let left = false
      const expected = () => {
        const outcomes = keys.map((key) => parts.get(key)?.outcome)
        if (left) return "Interrupt"
        if (outcomes.includes(undefined)) return undefined
        const ends = (outcome = "") =>
          outcome === "Interrupt" || outcome.startsWith("Defect") || outcome === "Timeout" && setup.hardTimeout === "none"
        return outcomes.find(ends) ?? outcomes.join(" | ")
      }
      yield* start(world, label, windows, effect, expected, () => {
        left = true
        for (const part of parts.values()) oracle?.interrupt(part)
      })
      if (oracle) for (const key of new Set(keys)) parts.set(key, oracle.read(key, windows))
      return
    }
    case "Revalidate": {
      const { key } = command
      const effect = Effect.map(cache.revalidate(key), (answer) => [got(answer, key)])
      const reader = { current: undefined as Oracle.Reader | undefined }
      yield* start(world, label, cacheWindows(setup), effect, () => reader.current?.outcome, () =>
        reader.current && oracle?.interrupt(reader.current))
      reader.current = oracle?.revalidate(key)
      return
    }
    case "Finish": {
      const call = at(world.calls.filter(isOpen), command.which)
      if (call === undefined) return
      world.finish(call, command.how)
      const load = oracle?.open.find(({ name }) => name === call.name)
      if (load !== undefined) oracle?.finish(load, endingOf(command.how))
      return
    }
    case "Origin": {
      const { how, key } = command
      world.origin.set(key, how)
      if (how === "waits" || how === "stubborn") oracle?.origin.delete(key)
      else oracle?.origin.set(key, endingOf(how))
      return
    }
    case "Set": {
      const { key, wish } = command
      const name = `s${step}`
      const word = write(world, name, key, wish)
      yield* cache.set(key, { name, how: wish }, wishes[wish])
      word.after = watch.next
      oracle?.set(key, name, wishes[wish])
      return
    }
    case "Mutate": {
      const { how, key } = command
      const change: Change = { name: `m${step}`, key, gate: Deferred.makeUnsafe(), current: undefined, state: "open" }
      changes.push(change)
      const effect = cache.mutate(key, (current) => {
        change.current = Option.match(current, { onNone: () => "none", onSome: ({ name }) => name })
        if (how !== "waits") conclude(world, change, how)
        return Deferred.await(change.gate)
      })
      const writer = { current: undefined as Oracle.Writer | undefined }
      yield* start(
        world,
        label,
        cacheWindows(setup),
        Effect.onInterrupt(Effect.map(effect, (answer) => [got(answer, key)]), () =>
          Effect.sync(() => {
            change.state = "interrupted"
          })),
        () => writer.current?.outcome === undefined ? undefined : `${writer.current.outcome}`,
        () => writer.current && oracle?.interruptMutation(writer.current)
      )
      writer.current = oracle?.mutate(key, change.name, how === "waits" ? undefined : how)
      return
    }
    case "FinishMutation": {
      const change = at(changes.filter((change) => isOpen(change) && change.current !== undefined), command.which)
      if (change === undefined) return
      conclude(world, change, command.how)
      oracle?.finishMutation(change.name, command.how)
      return
    }
    case "Invalidate": {
      const { mode } = command
      const keys = Array.from(command.keys)
      const words = keys.map((key) => watch.say(label, (fact) => fact.key === key, mode === "soft"))
      const [key = ""] = keys
      yield* keys.length === 1 ? cache.invalidate(key, { mode }) : cache.invalidateMany(keys, { mode })
      for (const word of words) word.after = watch.next
      for (const key of keys) oracle?.invalidate(key, mode)
      return
    }
    case "InvalidateTag": {
      const { tag } = command
      const word = watch.say(label, ({ how }) => wishesOf(how).tags?.includes(tag) === true)
      yield* cache.invalidateTag(tag)
      word.after = watch.next
      oracle?.invalidateTag(tag)
      return
    }
    case "Clear": {
      const word = watch.say(label, () => true)
      yield* cache.clear
      word.after = watch.next
      oracle?.clear()
      return
    }
    case "Leave": {
      const waiting = at(world.waiting, command.which)
      waiting?.fiber.interruptUnsafe()
      waiting?.leave()
      return
    }
    case "Advance":
      return yield* advance(world, oracle, world.now() + command.ms)
    case "AdvanceTo": {
      const moments = oracle?.boundaries(watched(setup)) ?? [20, 40, 60, 100, 120, 300].map((ms) => world.now() + ms)
      const moment = at(moments, command.which)
      return yield* advance(world, oracle, Math.max(world.now(), (moment ?? world.now()) + Number(command.off)))
    }
  }
})

const conclude = (world: World, change: Change, how: "value" | "failure") => {
  const { name } = change
  change.state = "ended"
  if (how === "value") write(world, name, change.key, "plain")
  Deferred.doneUnsafe(change.gate, how === "value" ? Exit.succeed({ name, how: "plain" }) : Exit.fail(new Outage({ name })))
}

const say = ({ _tag, ...rest }: Command): string => [_tag, ...Object.values(rest)].join(" ")

const watched = (setup: Setup) => [cacheWindows(setup), readerOf(setup, "tight").windows]
