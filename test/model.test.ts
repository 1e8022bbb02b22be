/**
 * Random sequences of everything that users, lookups and time can do, against the naive {@link Oracle}.
 *
 * MODEL_RUNS: how many sequences (default 5000). MODEL_REPLAY: the token of a failure. MODEL_SEED: a seed of your own.
 */
import { assert, describe, it } from "@effect/vitest"
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
    Object.entries(weights).flatMap(([name, weight]) =>
      // `Object.entries` forgets the names of the fields.
      times(weight, Schema.Literal(name as keyof W & string))
    )
  )

/** What a value asks for itself: values carry its name, and `keep` reads it off them. */
const wishes = {
  plain: {},
  brief: { freshFor: 40 },
  short: { maxAge: 60 },
  unlucky: { staleIfError: 350 },
  never: { staleIfError: 0 },
  x: { tags: ["x"] },
  xy: { tags: ["x", "y"], freshFor: 60 },
  aged: { age: 80 },
  old: { age: 350 },
  dead: { age: 5000 }
} satisfies Record<string, Oracle.Wishes>

const keeps = { ...wishes, share: "share", pass: "pass" } as const
type Keep = keyof typeof keeps

const values = { plain: 6, brief: 1, short: 1, unlucky: 1, never: 1, x: 5, xy: 1, aged: 1, old: 1, dead: 1 }
const Wish = weighted(values)
const How = weighted({ ...values, share: 2, pass: 3, Outage: 8, Answer: 3, Defect: 2, Interrupt: 1 })
type How = typeof How.Type

/** What all lookups do: wait to be told, and let themselves be interrupted or not; or end at once. */
const Always = weighted({ waits: 4, stubborn: 2, plain: 3, x: 1, pass: 2, Outage: 3, Answer: 1, Defect: 1 })
type Always = typeof Always.Type

/** What readers ask for. */
const said = {
  own: {},
  brisk: { freshFor: 40 },
  patient: { freshFor: 250, maxAge: 400 },
  tight: { maxAge: 150, staleIfError: 250 },
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
  brisk: { maxAge: 120, jitter: 0 },
  patient: { maxAge: 500, jitter: 0 },
  jittery: { maxAge: 120, jitter: 0.5 },
  strict: { maxAge: 60, jitter: 0 }
}

const By = weighted({
  own: 6,
  brisk: 1,
  patient: 1,
  tight: 3,
  exact: 1,
  lenient: 1,
  picky: 1,
  hasty: 5,
  eager: 1,
  jittery: 1,
  whole: 1,
  strict: 2
})
type By = typeof By.Type

const Key = weighted({ a: 6, b: 2, c: 1 })
const Which = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))

const Command = Schema.Union([
  ...times(14, Schema.TaggedStruct("Read", { key: Key, by: By })),
  ...times(2, Schema.TaggedStruct("Many", { keys: Schema.Literals(["ab", "ba", "abc", "aba"]), by: By })),
  ...times(7, Schema.TaggedStruct("Revalidate", { key: Key })),
  /** Tells a waiting lookup how to end. */
  ...times(14, Schema.TaggedStruct("Finish", { which: Which, how: How })),
  /** What lookups of the key do from now on. */
  ...times(5, Schema.TaggedStruct("Origin", { key: Key, how: Always })),
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
  ...times(3, Schema.TaggedStruct("Advance", { ms: Schema.Literals([1, 20, 50, 100, 200]) })),
  /** To the next moment but `which` at which something changes for somebody, or one millisecond before or after it. */
  ...times(
    14,
    Schema.TaggedStruct("AdvanceTo", {
      which: weighted({ "0": 8, "1": 4, "2": 2, "3": 1, "4": 1 }),
      off: weighted({ "0": 4, "-1": 2, "1": 1 })
    })
  )
])
type Command = typeof Command.Type

const Setup = Schema.Struct({
  /** With stale-if-error, without, with a `softTimeout` for everybody, strict. */
  cache: weighted({ resilient: 6, plain: 2, hasty: 3, strict: 2 }),
  /** Of loads; without, it is the default of a minute, and a defect. */
  hardTimeout: weighted({ "200": 3, none: 1 }),
  failureTimeToLive: weighted({ "0": 3, "70": 1 }),
  refreshes: weighted({ "64": 3, "1": 1 }),
  maxTimeToLive: weighted({ "1 day": 3, "250 millis": 1 }),
  random: weighted({ "0": 1, "0.5": 2, "0.75": 1 }),
  /** What lookups do at first. */
  origin: weighted({ waits: 6, plain: 2, Outage: 3, pass: 2 }),
  /** Whether something is known from the start. */
  begin: weighted({ warm: 2, cold: 1 }),
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

const written = ({ staleIfError, when, whole: _, ...windows }: Oracle.Said) => ({
  ...windows,
  ...staleIfError !== undefined && { staleIfError: { window: staleIfError, when: outages[when ?? "all"] } }
})

const longestOf = (setup: Setup) => setup.maxTimeToLive === "1 day" ? 86_400_000 : 250

const cacheWindows = (setup: Setup): Oracle.Windows =>
  setup.cache === "strict"
    ? Oracle.strict(150, 0, longestOf(setup))
    : Oracle.lay(caches[setup.cache], {}, longestOf(setup))

// Decoded once per object.
const lenientPolicies = new Map(
  Object.entries<Oracle.Said>(said).map(([by, said]) => {
    const options = written(said)
    return [by, said.whole ? Result.getOrThrow(Policy.make<Failure>({ freshFor: 0, ...options })) : options]
  })
)
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
  readonly how: Keep
}

const endOf = (how: How, name: string): Exit.Exit<Value, Outage | Answer> =>
  how === "Outage"
    ? Exit.fail(new Outage({ name }))
    : how === "Answer"
    ? Exit.fail(new Answer({ name }))
    : how === "Defect"
    ? Exit.die(new Defect({ name }))
    : how === "Interrupt"
    ? Exit.interrupt()
    : Exit.succeed({ name, how })

const endingOf = (how: How): Oracle.Ending =>
  how === "Outage" || how === "Answer" || how === "Defect" || how === "Interrupt"
    ? { _tag: how }
    : { _tag: "Value", keep: keeps[how] }

/** One call of the lookup. */
interface Call {
  readonly name: string
  readonly isStubborn: boolean
  readonly previous: string
  readonly gate: Deferred.Deferred<Value, Outage | Answer>
  state: "open" | "ended" | "interrupted"
}

/** One change by `mutate`. */
interface Change {
  readonly writer: Oracle.Writer
  readonly gate: Deferred.Deferred<Value, Outage>
  /** What it was told is there; `undefined`: it is not its turn yet. */
  readonly told: { readonly current: string | undefined }
}

/** Somebody who waits, and what the oracle says of him. */
interface Waiting {
  readonly label: string
  readonly fiber: Fiber.Fiber<string, unknown>
  /** What he should have been told by now. */
  readonly outcome: () => string | undefined
  readonly leave: () => void
}

const textOf = ({ age, freshFor, reason, servableFor, source, status, value }: Swr.Answer<Value, Failure>): string =>
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

// ----- a cache, its origin and who waits

const build = Effect.fnUntraced(function*(setup: Setup, scheduler: Counting) {
  const scope = yield* Scope.make()
  const calls: Array<Call> = []
  const counts = new Map<string, number>()
  const origin = new Map<string, Always>()
  const timers = { count: 0 }
  const clock = yield* Clock.Clock
  // `Object.create` answers `any`.
  const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
    sleep: (duration: Duration.Duration) =>
      Effect.suspend(() => {
        timers.count++
        return Effect.ensuring(clock.sleep(duration), Effect.sync(() => timers.count--))
      })
  })
  const random = Number(setup.random)
  const { maxTimeToLive } = setup
  const context = yield* Layer.buildWithScope(Swr.layer({ maxTimeToLive, refreshes: Number(setup.refreshes) }), scope)
    .pipe(
      Effect.provideService(Clock.Clock, counting),
      Effect.provideService(Random.Random, { nextDoubleUnsafe: () => random, nextIntUnsafe: () => 0 })
    )
  const lookup = (key: string, previous: Option.Option<Swr.Previous<Value>>) =>
    Effect.suspend(() => {
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      const how = origin.get(key) ?? "waits"
      const call: Call = {
        name: `${key}${count}`,
        isStubborn: how === "stubborn",
        previous: Option.match(previous, {
          onNone: () => "none",
          onSome: ({ age, value }) => `${value.name} ${Duration.toMillis(age)}`
        }),
        gate: Deferred.makeUnsafe(),
        state: "open"
      }
      calls.push(call)
      if (how !== "waits" && how !== "stubborn") finish(call, how)
      const gate = Deferred.await(call.gate)
      if (call.isStubborn) return Effect.uninterruptible(gate)
      return Effect.onInterrupt(gate, () => Effect.sync(() => call.state === "open" && (call.state = "interrupted")))
    })
  const options = {
    name: "model",
    lookup,
    keep: ({ how }: Value) => keeps[how],
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
    // `live` runs on a `Counting`.
    settle: scheduler.settle,
    calls,
    origin,
    now: () => clock.currentTimeMillisUnsafe(),
    timers,
    // A strict cache is given strict policies only.
    cache: cache as Swr.Instance<string, Value, Failure>,
    oracle: new Oracle.Oracle({
      windows: cacheWindows(setup),
      hardTimeout: setup.hardTimeout === "none" ? 60_000 : Number(setup.hardTimeout),
      failureTimeToLive: Number(setup.failureTimeToLive),
      backoff,
      refreshes: Number(setup.refreshes),
      random
    }),
    changes: new Array<Change>(),
    waiting: new Array<Waiting>()
  }
})
type World = Effect.Success<ReturnType<typeof build>>

const backoff = { from: 30, to: 200 }

/** What lookups of the key do from now on. */
const turn = ({ oracle, origin }: World, key: string, how: Always): void => {
  origin.set(key, how)
  if (how === "waits" || how === "stubborn") oracle.origin.delete(key)
  else oracle.origin.set(key, endingOf(how))
}

const finish = (call: Call, how: How): void => {
  if (isOpen(call)) call.state = "ended"
  Deferred.doneUnsafe(call.gate, endOf(how, call.name))
}

const endOfChange = (name: string, how: "value" | "failure"): Exit.Exit<Value, Outage> =>
  how === "value" ? Exit.succeed({ name, how: "plain" }) : Exit.fail(new Outage({ name }))

const conclude = ({ oracle }: World, { gate, writer }: Change, how: "value" | "failure"): void => {
  Deferred.doneUnsafe(gate, endOfChange(writer.value, how))
  oracle.finishMutation(writer, how)
}

/** Those whose turn it is. */
const openChanges = ({ changes }: World): ReadonlyArray<Change> =>
  changes.filter(({ told, writer }) => told.current !== undefined && writer.outcome === undefined)

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

/** Somebody begins to wait; `foretell` says what the oracle does then, and how to ask it for the outcome. */
const start = (
  world: World,
  label: string,
  effect: Effect.Effect<string, unknown>,
  foretell: () => { readonly outcome: () => string | undefined; readonly leave: () => void }
) =>
  // Fibers of nobody's: what hangs fails its test and holds up no other.
  Effect.map(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => {
    world.waiting.push({ label, fiber, ...foretell() })
  })

const set = ({ cache, oracle }: World, key: string, name: string, wish: keyof typeof wishes) =>
  Effect.map(cache.set(key, { name, how: wish }, wishes[wish]), () => oracle.set(key, name, wishes[wish]))

/** What the cache is told, the oracle is told. */
const act = Effect.fnUntraced(function*(world: World, step: number, command: Command) {
  const { cache, changes, oracle, setup } = world
  const label = `#${step} ${say(command)}`
  const ofReader = (reader: Oracle.Reader) => ({
    outcome: () => reader.outcome,
    leave: () => oracle.interrupt(reader)
  })
  switch (command._tag) {
    case "Read": {
      const { policy, windows } = readerOf(setup, command.by)
      return yield* start(
        world,
        label,
        Effect.map(cache.read(command.key, policy), textOf),
        () => ofReader(oracle.read(command.key, windows))
      )
    }
    case "Many": {
      const keys = Array.from(command.keys)
      const { policy, windows } = readerOf(setup, command.by)
      const effect = Effect.map(cache.readMany(keys, policy), (results) =>
        results.map(Result.match({
          onSuccess: textOf,
          onFailure: (error) => textOfCause(Cause.fail(error), setup)
        })).join(" | "))
      return yield* start(world, label, effect, () => {
        const parts = oracle.readMany(new Set(keys), windows)
        // A defect and an interruption are everybody's.
        const isAll = (outcome = "") =>
          outcome === "Interrupt" || outcome.startsWith("Defect") ||
          outcome === "Timeout" && setup.hardTimeout === "none"
        let left = false
        return {
          outcome: () => {
            if (left) return "Interrupt"
            const outcomes = keys.map((key) => parts.get(key)?.outcome)
            return outcomes.includes(undefined) ? undefined : outcomes.find(isAll) ?? outcomes.join(" | ")
          },
          leave: () => {
            left = true
            for (const part of parts.values()) oracle.interrupt(part)
          }
        }
      })
    }
    case "Revalidate":
      return yield* start(
        world,
        label,
        Effect.map(cache.revalidate(command.key), textOf),
        () => ofReader(oracle.revalidate(command.key))
      )
    case "Finish": {
      const call = at(world.calls.filter(isOpen), command.which)
      if (call === undefined) return
      finish(call, command.how)
      return oracle.finish(call.name, endingOf(command.how))
    }
    case "Origin":
      return turn(world, command.key, command.how)
    case "Set":
      return yield* set(world, command.key, `s${step}`, command.wish)
    case "Mutate": {
      const { how, key } = command
      const name = `m${step}`
      const gate = Deferred.makeUnsafe<Value, Outage>()
      const told = { current: undefined as string | undefined }
      const effect = cache.mutate(key, (current) => {
        told.current = Option.match(current, { onNone: () => "none", onSome: ({ name }) => name })
        if (how !== "waits") Deferred.doneUnsafe(gate, endOfChange(name, how))
        return Deferred.await(gate)
      })
      return yield* start(world, label, Effect.map(effect, textOf), () => {
        const writer = oracle.mutate(key, name, how === "waits" ? undefined : how)
        changes.push({ told, gate, writer })
        return { outcome: () => writer.outcome, leave: () => oracle.interruptMutation(writer) }
      })
    }
    case "FinishMutation": {
      const change = at(openChanges(world), command.which)
      return change && conclude(world, change, command.how)
    }
    case "Invalidate": {
      const { mode } = command
      const keys = Array.from(command.keys)
      yield* keys.length === 1 ? cache.invalidate(command.keys, { mode }) : cache.invalidateMany(keys, { mode })
      for (const key of keys) oracle.invalidate(key, mode)
      return
    }
    case "InvalidateTag":
      yield* cache.invalidateTag(command.tag)
      return oracle.invalidateTag(command.tag)
    case "Clear":
      yield* cache.clear
      return oracle.clear()
    case "Leave": {
      const waiting = at(world.waiting, command.which)
      waiting?.fiber.interruptUnsafe()
      return waiting?.leave()
    }
    case "Advance":
      return yield* advance(world, world.now() + command.ms)
    case "AdvanceTo": {
      const moment = at(
        oracle.boundaries([cacheWindows(setup), readerOf(setup, "tight").windows]),
        Number(command.which)
      )
      if (moment !== undefined) yield* advance(world, Math.max(world.now(), moment + Number(command.off)))
    }
  }
})

const say = ({ _tag, ...rest }: Command): string => [_tag, ...Object.values(rest)].join(" ")

/** Time goes by, from one thing that happens by itself to the next. */
const advance = Effect.fnUntraced(function*(world: World, to: number) {
  const { now, oracle, settle } = world
  while (now() < to) {
    const next = Math.min(to, oracle.nextAt)
    yield* TestClock.adjust(next - now())
    yield* settle
    oracle.advance(next)
    if (next < to) yield* compare(world)
  }
})

const settled = ({ setup }: World, { fiber }: Waiting): string | undefined => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined) return undefined
  return Exit.isSuccess(exit) ? exit.value : textOfCause(exit.cause, setup)
}

/** What can be seen of the cache against what the oracle says. */
const compare = Effect.fnUntraced(function*(world: World) {
  const { cache, calls, oracle, waiting } = world
  const wrong: Array<string> = []
  const same = (about: string, seen: unknown, foretold: unknown) => {
    if (seen !== foretold) wrong.push(`  ${about}: ${String(seen)}`, `  foretold: ${String(foretold)}`)
  }
  for (const one of waiting) same(one.label, settled(world, one) ?? "waits", one.outcome() ?? "waits")
  world.waiting = waiting.filter(({ fiber }) => fiber.pollUnsafe() === undefined)
  const names = calls.map(({ name }) => name)
  same("calls", names.toSorted().join(" "), Array.from(oracle.called.keys()).toSorted().join(" "))
  for (const call of calls) {
    const load = oracle.called.get(call.name)
    same(`${call.name} knew`, call.previous, load?.previous)
    const state = load?.stopped || load?.ending?._tag === "Timeout" ? "interrupted" : load?.ending ? "ended" : "open"
    // What can't be interrupted goes on, and is not heard.
    if (state !== "interrupted" || !call.isStubborn) same(call.name, call.state, state)
  }
  for (const { told, writer } of world.changes) same(`${writer.value} knew`, told.current, writer.current)
  for (const key of ["a", "b", "c"]) {
    same(
      `peek ${key}`,
      Option.match(yield* cache.peek(key), { onNone: () => "none", onSome: textOf }),
      oracle.peek(key)
    )
    same(`has ${key}`, yield* cache.has(key), oracle.has(key))
  }
  const { backoffs, failures, flights, hits, joined, loads, misses, stale } = yield* cache.stats
  same(
    "stats",
    JSON.stringify({ hits, stale, misses, joined, loads, failures, flights, backoffs }),
    JSON.stringify(oracle.stats)
  )
  if (wrong.length > 0) assert.fail(["not what the oracle says:", ...wrong].join("\n"))
})

// ----- the end

/** All waits end at once. What can't be interrupted keeps the layer, and nobody else. */
const close = Effect.fnUntraced(function*(world: World) {
  const { calls, changes, oracle, settle, timers } = world
  const closing = yield* Effect.forkDetach(Scope.close(world.scope, Exit.void), { startImmediately: true })
  oracle.close()
  yield* settle
  // Told to stop too; that they end now changes nothing.
  for (const { gate, writer } of changes) {
    Deferred.doneUnsafe(gate, endOfChange(writer.value, "value"))
    yield* settle
  }
  for (const one of world.waiting) assert.strictEqual(settled(world, one), one.outcome(), one.label)
  for (const call of calls) assert.isTrue(!isOpen(call) || call.isStubborn, `${call.name} goes on`)
  for (const ghost of calls.filter(isOpen)) finish(ghost, "plain")
  yield* settle
  assert.isDefined(closing.pollUnsafe(), "the layer does not close")
  assert.strictEqual(timers.count, 0, "timers")
})

/** Nobody waits for ever, and nothing is left. */
const drain = Effect.fnUntraced(function*(world: World) {
  const { cache, oracle, settle, timers } = world
  for (;;) {
    const [change] = openChanges(world)
    if (change !== undefined) conclude(world, change, "failure")
    else if ((yield* cache.stats).flights > 0) yield* advance(world, oracle.nextAt)
    else break
    yield* settle
    yield* compare(world)
  }
  for (const ghost of world.calls.filter(isOpen)) finish(ghost, "plain")
  yield* settle
  yield* compare(world)
  assert.deepStrictEqual(world.waiting.map(({ label }) => label), [], "they still wait")
  assert.strictEqual(timers.count, 0, "timers")
  yield* close(world)
})

/** Nothing is read, written or loaded any more. */
const stayClosed = Effect.fnUntraced(function*({ cache, calls, setup }: World) {
  const before = calls.length
  const value: Value = { name: "late", how: "plain" }
  const late: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
    cache.get("a"),
    cache.readMany(["a", "b"]),
    cache.revalidate("a"),
    cache.set("a", value),
    cache.mutate("a", () => Effect.succeed(value)),
    cache.invalidate("a"),
    cache.has("a"),
    cache.peek("a")
  ]
  for (const effect of late) {
    const exit = yield* Effect.exit(effect)
    assert.strictEqual(Exit.isFailure(exit) ? textOfCause(exit.cause, setup) : "success", "Interrupt", "after closing")
  }
  assert.strictEqual(calls.length, before)
})

// ----- the property

/** Two readers at the end: what the sequence has left behind shows in what becomes of them. */
const probe: ReadonlyArray<Command> = [
  { _tag: "Origin", key: "a", how: "waits" },
  { _tag: "Read", key: "a", by: "own" },
  { _tag: "Read", key: "a", by: "own" }
]

/** A whole life of a cache. */
const live = (setup: Setup, commands: ReadonlyArray<Command>) => {
  const history: Array<string> = []
  const life = (scheduler: Counting) =>
    Effect.gen(function*() {
      const world = yield* build(setup, scheduler)
      for (const key of ["a", "b", "c"]) turn(world, key, setup.origin)
      if (setup.begin === "warm") { for (const key of ["a", "b"]) yield* set(world, key, `${key}0`, "plain") }
      for (const [step, command] of [...commands, ...probe].entries()) {
        history.push(`  ${world.now()} ms  #${step} ${say(command)}`)
        yield* act(world, step, command)
        yield* world.settle
        yield* compare(world)
      }
      history.push(`  ${world.now()} ms  ${setup.end}`)
      yield* setup.end === "drain" ? drain(world) : close(world)
      yield* stayClosed(world)
    })
  const told = (scheduler: Counting) =>
    Effect.catchDefect(life(scheduler), (defect) => {
      const message = defect instanceof Error ? defect.message : String(defect)
      return Effect.die(new Error(`${message}\n${history.join("\n")}`))
    })
  return Effect.flatMap(Scheduler.Scheduler, (scheduler) => {
    const counting = new Counting(scheduler)
    return Effect.flatMap(Effect.forkChild(told(counting)), Fiber.join).pipe(
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.provideService(Scheduler.Scheduler, counting)
    )
  })
}

const { MODEL_REPLAY, MODEL_RUNS = "5000", MODEL_SEED } = process.env

/** For sequences written by hand. */
const calm: Setup = {
  cache: "resilient",
  hardTimeout: "none",
  failureTimeToLive: "0",
  refreshes: "64",
  maxTimeToLive: "1 day",
  random: "0",
  origin: "waits",
  begin: "cold",
  end: "drain"
}

describe("model", () => {
  it.effect.prop(
    "R1-R12, R17, R19: does what the oracle says",
    { setup: Setup, commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 1, maxLength: 40 }) },
    ({ commands, setup }) => live(setup, commands),
    {
      timeout: 600_000,
      arbitrary: { runs: Number(MODEL_RUNS), size: 200, maxShrinks: 3000, seed: MODEL_SEED, replay: MODEL_REPLAY }
    }
  )

  it.effect("R19: a load that begins after a pass is kept, also where it was due", () =>
    live(calm, [
      { _tag: "Revalidate", key: "a" },
      { _tag: "Revalidate", key: "a" },
      { _tag: "Finish", which: 0, how: "pass" },
      { _tag: "AdvanceTo", which: "0", off: "0" },
      { _tag: "Revalidate", key: "a" },
      { _tag: "Finish", which: 0, how: "Outage" },
      { _tag: "Finish", which: 0, how: "plain" }
    ]))

  it.effect("R11: a load of a pass that a last word has ended renews no later pass", () =>
    live(calm, [
      { _tag: "Read", key: "a", by: "own" },
      { _tag: "Finish", which: 0, how: "pass" },
      { _tag: "Read", key: "a", by: "own" },
      { _tag: "Set", key: "a", wish: "plain" },
      { _tag: "Revalidate", key: "a" },
      { _tag: "Finish", which: 1, how: "pass" },
      { _tag: "Advance", ms: 200 },
      { _tag: "Finish", which: 0, how: "pass" },
      { _tag: "AdvanceTo", which: "0", off: "0" }
    ]))
})
