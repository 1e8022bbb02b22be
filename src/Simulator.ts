/**
 * A fleet in one program: real caches over a simulated store, on virtual time, in an order that a seed decides. Beside
 * them an oracle that knows what each of them may answer.
 *
 * Every message, every timer and the end of every load is an event of its own. In each step one of those that could
 * happen does, or time passes, or somebody reads or has a last word, or something breaks. Whatever a step sets free
 * runs before the next.
 *
 * @since 0.1.0
 */
import {
  Cause,
  Clock,
  Context,
  Data,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Random,
  References,
  Scheduler,
  Schema,
  Scope
} from "effect"
import * as Key from "./Key.ts"
import * as Policy from "./Policy.ts"
import * as Simulated from "./SimulatedStore.ts"
import * as Store from "./Store.ts"
import * as Swr from "./Swr.ts"

/**
 * What may go wrong in a simulation.
 *
 * - `loss`: an announcement is lost
 * - `partition`: a process is cut off, or reachable again
 * - `hang`: the store executes nothing for a while
 * - `refuse`: the store fails what it is asked for a while
 * - `freeze`: a process does nothing for a while
 * - `crash`: a process dies, and another begins with an empty memory
 * - `leave`: a process closes as it should, and another begins
 * - `evictEntry`, `evictLease`, `evictClock`: the store drops something to make room
 * - `restart`: the store loses everything
 * - `disconnect`: the lines on which announcements come are cut
 *
 * @since 0.1.0
 * @category models
 */
export type Fault =
  | "loss"
  | "partition"
  | "hang"
  | "refuse"
  | "freeze"
  | "crash"
  | "leave"
  | "evictEntry"
  | "evictLease"
  | "evictClock"
  | "restart"
  | "disconnect"

const FAULTS: ReadonlyArray<Fault> = [
  "loss",
  "partition",
  "hang",
  "refuse",
  "freeze",
  "crash",
  "leave",
  "evictEntry",
  "evictLease",
  "evictClock",
  "restart",
  "disconnect"
]

/**
 * What processes do in a simulation.
 *
 * @since 0.1.0
 * @category models
 */
export type Act = "read" | "strict" | "many" | "set" | "hard" | "soft" | "tag" | "clear"

const ACTS: ReadonlyArray<Act> = ["read", "strict", "many", "set", "hard", "soft", "tag", "clear"]

/**
 * What a cache promised and did not keep.
 *
 * - `own`: after a last word returned, its own process read something older
 * - `heard`: a process read something older than a last word that it had heard of
 * - `bound`: the same, later than `trustFor` after the last word, whatever was lost
 * - `age`: a value was answered past its window
 * - `strict`: a strict reader was given what it may not be given
 * - `lease`: a process loaded without the right to, or wrote an older load over a newer one
 * - `rest`: after the faults something waits for ever, loads for ever or is left behind
 * - `failure`: a read failed though no lookup had
 *
 * @since 0.1.0
 * @category models
 */
export type Promise = "own" | "heard" | "bound" | "age" | "strict" | "lease" | "rest" | "failure"

/**
 * A broken promise.
 *
 * @since 0.1.0
 * @category errors
 */
export class PromiseBroken extends Data.TaggedError("PromiseBroken")<{
  readonly promise: Promise
  readonly found: string
  /** Run the same simulation with it, and the same happens. */
  readonly seed: number
  /** What happened, step by step; the shortest that was found. */
  readonly trace: ReadonlyArray<string>
}> {
  override get message() {
    return `${this.promise}: ${this.found} (seed ${this.seed})\n${this.trace.join("\n")}`
  }
}

/**
 * Options of a simulation.
 *
 * @since 0.1.0
 * @category models
 */
export interface SimulationOptions {
  /** Decides everything: the same seed and options, the same simulation. */
  readonly seed: number
  /** Default 2. */
  readonly processes?: number | undefined
  /** Default 150. */
  readonly steps?: number | undefined
  /** Of `a`, `b` and `c`, which bear no, one or two tags. Default `a` and `b`. */
  readonly keys?: ReadonlyArray<"a" | "b" | "c"> | undefined
  /** Default: all. */
  readonly faults?: ReadonlyArray<Fault> | undefined
  /** Default: all. */
  readonly acts?: ReadonlyArray<Act> | undefined
  /** One load in so many fails; 0 for none. Default 8. */
  readonly failures?: number | undefined
  /** Stands between each process and the store: to see what a store that breaks its promises does to a fleet. */
  readonly between?: ((store: Store.Store["Service"]) => Store.Store["Service"]) | undefined
}

/**
 * What a simulation has come to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Simulation {
  readonly steps: number
  readonly reads: number
  readonly loads: number
  readonly lastWords: number
  /** What the store was asked, and refused as too late. */
  readonly commands: number
  readonly late: number
}

/**
 * Runs one simulation. It needs no clock and no waiting: time is its own. Where a promise is broken it shortens what
 * led to it, and fails with that.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Testing from "effect-swr/Testing"
 *
 * const program = Effect.gen(function*() {
 *   for (let seed = 1; seed <= 10; seed++) yield* Testing.simulate({ seed, processes: 3 })
 *   return "no promise was broken"
 * })
 *
 * Effect.runPromise(program).then(console.log) // no promise was broken
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const simulate = (options: SimulationOptions): Effect.Effect<Simulation, PromiseBroken> =>
  Effect.suspend(() => {
    const random = seeded(options.seed)
    const run = new Run(options, (bound) => Math.floor(random() * bound))
    const broken = run.all()
    if (broken === undefined) return Effect.succeed(run.outcome)
    const { found, promise } = broken
    const shortest = shrink(options, run.choices, promise)
    const again = new Run(options, from(shortest))
    const last = again.all()
    return Effect.fail(
      new PromiseBroken({
        promise,
        found: last?.found ?? found,
        seed: options.seed,
        trace: last ? again.trace : run.trace
      })
    )
  })

const seeded = (seed: number | string): () => number => {
  const random = Effect.runSync(Random.withSeed(Random.Random, seed))
  return () => random.nextDoubleUnsafe()
}

// ----- a shorter way to the same end

/** Chooses as before; `undefined`: the list is over. */
const from = (choices: ReadonlyArray<number>) => {
  let at = 0
  return (bound: number): number | undefined => {
    const choice = choices[at++]
    return choice === undefined ? undefined : choice % bound
  }
}

const shrink = (
  options: SimulationOptions,
  choices: ReadonlyArray<number>,
  promise: Promise
): ReadonlyArray<number> => {
  let best = choices
  let budget = 600
  for (let size = best.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= best.length && budget > 0;) {
      budget--
      const shorter = [...best.slice(0, at), ...best.slice(at + size)]
      if (new Run(options, from(shorter)).all()?.promise === promise) best = shorter
      else at += size
    }
  }
  return best
}

// ----- time, and whose turn it is

/** Runs what fibers have to do when it is told to, in order. */
class Turns implements Scheduler.Scheduler {
  readonly executionMode = "async"
  private tasks: Array<() => void> = []

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>) {
    return fiber.currentOpCount >= 2048
  }
  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task) => void this.tasks.push(task),
      flush: () => this.flush()
    }
  }
  flush(): void {
    for (let ran = 0; this.tasks.length > 0; ran++) {
      if (ran > 100_000) throw new Broken("rest", "a fiber goes round without waiting for anything")
      this.tasks.shift()?.()
    }
  }
}

/** A clock of one life of a process. Its sleeps are events. */
class Watch implements Clock.Clock {
  private readonly world: Run
  private readonly life: Life | undefined

  constructor(world: Run, life: Life | undefined) {
    this.world = world
    this.life = life
  }
  currentTimeMillisUnsafe() {
    return this.world.time
  }
  currentTimeNanosUnsafe() {
    return BigInt(this.world.time) * 1_000_000n
  }
  monotonicTimeNanosUnsafe() {
    return this.currentTimeNanosUnsafe()
  }
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = this.currentTimeNanos

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const { life, world } = this
      const millis = Math.ceil(Duration.toMillis(duration))
      const at = world.time + millis
      return world.event({
        about: `${life?.process.name ?? "nobody"} wakes after ${millis} ms`,
        at,
        can: () => at <= world.time && life?.process.frozen !== true && life?.dead !== true,
        happen: () => resume(Effect.void)
      })
    })
  }
}

/** Something that can happen. */
interface Happening {
  readonly about: string
  /** When, where it waits for a time. */
  readonly at: number | undefined
  readonly can: () => boolean
  readonly happen: () => void
}

class Broken {
  readonly promise: Promise
  readonly found: string
  constructor(promise: Promise, found: string) {
    this.promise = promise
    this.found = found
  }
}

// ----- what the oracle knows

/** A value that was made: by a load, or by a set. */
interface Made {
  readonly id: number
  readonly key: string
  /** The step in which its load began; of a set, in which the store took it. */
  began: number
  /** When its age was 0. */
  readonly ended: number
  readonly word: Word | undefined
}

/** A last word. */
interface Word {
  readonly life: Life
  readonly act: Act
  readonly key: string | undefined
  readonly tag: string | undefined
  readonly invoked: number
  /** When it returned. */
  done: number | undefined
  failed: boolean
  /** When the store did it, and as what. */
  executed: { readonly step: number; readonly time: number; readonly clock: Store.Clock | undefined } | undefined
  readonly heard: Map<Life, number>
  readonly made: Made | undefined
}

/** A read under way. */
interface Reading {
  readonly id: number
  readonly life: Life
  readonly key: string
  readonly strict: boolean
  /** Not one of many. */
  readonly alone: boolean
  readonly began: number
  readonly time: number
}

const TAGS: Record<string, ReadonlyArray<string>> = { a: ["t0"], b: ["t0", "t1"], c: [] }
const OTHER_TAGS = ["t0", "t1", "x1", "x2"]

/** In milliseconds. Times pass in tenths of a second. */
const TICK = 100
const FRESH = 6_000
const MAX = 12_000
const LIFE = 18_000
const STRICT = 5_000
const TRUST = 2_000

const strictly = Policy.strict(STRICT)
const CACHE = "c"

/** The origin is down. */
class Down extends Data.TaggedError("Down")<{}> {}

/** One process from its start to its end. */
class Life {
  dead = false
  readonly process: Process
  readonly scope = Scope.makeUnsafe()
  readonly born: number
  context: Context.Context<never>
  cache: Swr.Instance<string, number, Down> | undefined
  /** Calls of the store that failed, or were not waited for. */
  failures = 0
  /** Rights to load that were given and not yet used, by key. */
  readonly rights = new Map<string, number>()
  /** Last words that may have overtaken what the store said: then a load may do without it. */
  overtaken = 0

  constructor(world: Run, process: Process) {
    this.process = process
    this.born = world.step
    this.context = world.contextOf(this)
  }
}

class Process {
  readonly name: string
  frozen = false
  life: Life | undefined

  constructor(name: string) {
    this.name = name
  }
}

/** One simulation. */
class Run {
  time = 1_000_000
  /** Counts everything that happens, so that two things are never at once. */
  step = 0
  readonly trace: Array<string> = []
  readonly choices: Array<number> = []
  private count = { steps: 0, reads: 0, loads: 0, lastWords: 0, commands: 0, late: 0 }
  private readonly turns = new Turns()
  private readonly happenings = new Set<Happening>()
  private readonly store: Simulated.Simulated
  private readonly processes: ReadonlyArray<Process>
  private readonly made = new Map<number, Made>()
  private readonly words: Array<Word> = []
  private readonly said = new Map<unknown, Word>()
  private readonly stored = new Map<string, Made>()
  /** The steps in which the store began anew. */
  private readonly epochs: Array<number> = []
  private epoch: string | undefined = undefined
  private readonly reading = new Set<Reading>()
  private executed = 0
  private ids = 0
  private hanging = false
  private refusing = false
  private readonly partitioned = new Set<Process>()
  private healing = false
  /** Nothing is left to choose. */
  private isOver = false
  private readonly choose: (bound: number) => number
  private readonly options: Required<{ [K in keyof SimulationOptions]: Exclude<SimulationOptions[K], undefined> }>

  constructor(options: SimulationOptions, choose: (bound: number) => number | undefined) {
    const { acts = ACTS, between = (store) => store, failures = 8, faults = FAULTS } = options
    const { keys = ["a", "b"], processes = 2, seed, steps = 150 } = options
    this.options = { acts, between, failures, faults, keys, processes, seed, steps }
    this.choose = (bound) => {
      const choice = choose(bound)
      this.isOver ||= choice === undefined
      this.choices.push(choice ?? 0)
      return choice ?? 0
    }
    this.store = Effect.runSync(
      Effect.provideContext(Simulated.simulatedStore({ seed, scheduled: true }), this.contextOf(undefined))
    )
    this.processes = Array.from({ length: processes }, (_, i) => new Process(`p${i}`))
  }

  get outcome(): Simulation {
    return this.count
  }

  contextOf(life: Life | undefined): Context.Context<never> {
    const random = Effect.runSync(
      Random.withSeed(Random.Random, `${this.options.seed} ${life?.process.name} ${this.step}`)
    )
    return Context.make(Clock.Clock, new Watch(this, life)).pipe(
      Context.add(Scheduler.Scheduler, this.turns),
      // Loads that fail are part of the plan.
      Context.add(References.MinimumLogLevel, "None"),
      Context.add(Random.Random, random)
    )
  }

  event(happening: Happening): Effect.Effect<void> {
    this.happenings.add(happening)
    return Effect.sync(() => void this.happenings.delete(happening))
  }

  private note(line: string): void {
    this.trace.push(`${((this.time - 1_000_000) / 1000).toFixed(1)}s ${line}`)
  }

  private break(promise: Promise, found: string): never {
    this.note(`BROKEN ${promise}: ${found}`)
    throw new Broken(promise, found)
  }

  private pick<A>(from: ReadonlyArray<A>): A {
    // Never asked of an empty list.
    return from[this.choose(from.length)] as A
  }

  /** The whole: steps, then an end to all faults. What was broken, if anything was. */
  all(): Broken | undefined {
    try {
      for (const process of this.processes) this.boot(process)
      this.random()
      this.heal()
      return undefined
    } catch (broken) {
      if (broken instanceof Broken) return broken
      throw broken
    } finally {
      for (const { life } of this.processes) if (life !== undefined) this.kill(life)
    }
  }

  private random(): void {
    const { faults, steps } = this.options
    for (; this.count.steps < steps; this.count.steps++) {
      this.step++
      const dice = this.choose(100)
      if (this.isOver) return
      if (dice < 72) {
        const able = this.able()
        if (able.length === 0) this.time += TICK
        else this.happen(this.pick(able))
      } else if (dice < 84) this.time += TICK * this.pick([1, 1, 2, 3, 5, 12])
      else if (dice < 94) this.act()
      else if (dice < 99 && faults.length > 0) this.fault()
      this.check()
    }
  }

  // ----- what happens

  /** What could happen now, the oldest first. */
  private able(): ReadonlyArray<Happening> {
    const frozen = (name: string) => this.processes.some((process) => process.name === name && process.frozen)
    const messages = Effect.runSync(this.store.pending)
      .filter(({ kind, process }) => kind === "request" || !frozen(process))
      .map((message): Happening => ({
        about: message.about,
        at: undefined,
        can: () => true,
        happen: () => this.deliver(message)
      }))
    return [...messages, ...Array.from(this.happenings).filter((happening) => happening.can())]
  }

  private happen(happening: Happening): void {
    this.step++
    this.note(`- ${happening.about}`)
    this.happenings.delete(happening)
    happening.happen()
    this.turns.flush()
  }

  private deliver(message: Simulated.Message): void {
    const { announcement, process } = message
    const heard = announcement && Effect.runSync(this.store.counts(process)).announcements
    Effect.runSync(this.store.deliver(message))
    if (announcement !== undefined) {
      const life = this.processes.find(({ name }) => name === process)?.life
      if (Effect.runSync(this.store.counts(process)).announcements === heard || life === undefined) return
      life.overtaken++
      const { counter, epoch } = announcement.clock
      for (const word of this.words) {
        const clock = word.executed?.clock
        if (clock?.epoch === epoch && clock.counter === counter && !word.heard.has(life)) {
          word.heard.set(life, this.step)
        }
      }
    } else if (message.kind === "request") this.look()
  }

  /** What the store has done since it was looked at last. */
  private look(): void {
    const log = Effect.runSync(this.store.log)
    for (const done of log.slice(this.executed)) {
      this.count.commands++
      if (done.result === "late") this.count.late++
      const clock = done.reply?.clock
      if (clock !== undefined && clock.epoch !== this.epoch) {
        // A question that was under way says nothing of the new one, and its reader goes on without the store.
        if (this.epoch !== undefined) {
          for (const { life } of this.processes) if (life !== undefined) life.overtaken = Infinity
        }
        this.epoch = clock.epoch
        this.epochs.push(this.step)
        this.stored.clear()
      }
      const { input } = done
      if (done.result !== "done" || input === undefined) continue
      if (done.operation === "change") this.changed(this.said.get(input), clock, input as Store.Change)
      if (done.operation === "commit" && done.reply?.value === true) this.committed(input as Store.Commit)
    }
    this.executed = log.length
  }

  private changed(word: Word | undefined, clock: Store.Clock | undefined, change: Store.Change): void {
    if (word !== undefined && word.executed === undefined) {
      word.executed = { step: this.step, time: this.time, clock }
      if (word.made !== undefined && !word.failed) word.made.began = this.step
    }
    if (change.mode === "set") {
      this.stored.delete(change.key)
      const made = this.made.get(Number(change.stored.value))
      if (made !== undefined) this.stored.set(change.key, made)
    } else if (change.mode === "hard") change.keys.forEach((key) => this.stored.delete(key))
  }

  private committed({ key, stored }: Store.Commit): void {
    const made = stored && this.made.get(Number(stored.value))
    const before = this.stored.get(key)
    if (made !== undefined && before !== undefined && before.began > made.began) {
      this.break(
        "lease",
        `the load of v${made.id} (begun #${made.began}) was written over v${before.id} (#${before.began})`
      )
    }
    if (made === undefined) this.stored.delete(key)
    else this.stored.set(key, made)
  }

  // ----- processes

  private boot(process: Process): void {
    const life = new Life(this, process)
    process.life = life
    const store = Layer.effect(
      Store.Store,
      Effect.map(Store.Store, (store) => this.options.between(this.watched(life, store)))
    ).pipe(
      Layer.provide(this.store.connect(process.name))
    )
    const layer = layerOf(store)
    const built = Effect.flatMap(Layer.buildWithScope(layer, life.scope), (context) =>
      Effect.map(
        Effect.provideContext(
          Swr.make({
            name: CACHE,
            schema: Schema.Finite,
            lookup: (key: string) => this.lookup(life, key),
            keep: (_: number, key: string) => ({ tags: TAGS[key] ?? [] }),
            freshFor: FRESH,
            maxAge: MAX,
            staleIfError: LIFE - FRESH,
            hardTimeout: "10 seconds",
            backoff: { from: "2 seconds", to: "2 seconds" }
          }),
          context
        ),
        (cache) => ({ cache, context })
      ))
    const fiber = Effect.runForkWith(life.context)(built)
    this.turns.flush()
    const exit = fiber.pollUnsafe()
    if (exit === undefined || Exit.isFailure(exit)) {
      this.break(
        "rest",
        `${process.name} does not start: ${exit === undefined ? "it waits" : Cause.pretty(exit.cause)}`
      )
    }
    // The options name `hardTimeout`: reads fail with `LoadTimeout` besides.
    life.cache = exit.value.cache as Swr.Instance<string, number, Down>
    life.context = Context.merge(life.context, exit.value.context)
  }

  /** What the process asks and is told, seen by the oracle; a dead one asks nothing. */
  private watched(life: Life, store: Store.Store["Service"]): Store.Store["Service"] {
    const through = <A>(call: Effect.Effect<A, Store.StoreError>, asker: Store.Asker) =>
      Effect.suspend(() =>
        life.dead
          ? Effect.fail(new Store.StoreError({ reason: "away", cache: asker.space, cause: "the process is dead" }))
          : call
      ).pipe(Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) life.failures++
        })
      ))
    return {
      powers: store.powers,
      announcements: store.announcements,
      open: (asker, keys) =>
        Effect.map(through(store.open(asker, keys), asker), (reply) => {
          reply.value.forEach(({ lease }, i) => {
            const key = keys[i]?.key ?? ""
            if (lease === "given") life.rights.set(key, (life.rights.get(key) ?? 0) + 1)
          })
          return reply
        }),
      commit: (asker, commit) => through(store.commit(asker, commit), asker),
      change: (asker, change) =>
        Effect.suspend(() => {
          const word = this.wordOf(life, change)
          if (word !== undefined) this.said.set(change, word)
          return through(store.change(asker, change), asker)
        }),
      lease: (asker, lease) => through(store.lease(asker, lease), asker),
      ask: (asker) => through(store.ask(asker), asker)
    }
  }

  /** Which last word this change is; a debt that is paid is none. */
  private wordOf(life: Life, change: Store.Change): Word | undefined {
    const told = new Set(this.said.values())
    return this.words.find((word) => {
      if (word.life !== life || word.done !== undefined || told.has(word) || word.act !== change.mode) return false
      if (change.mode === "tag") return word.tag === change.tag
      if (change.mode === "set") return Number(change.stored.value) === word.made?.id
      if (change.mode === "clear") return true
      return change.keys.some((key) => key === keyOf(word.key ?? ""))
    })
  }

  private kill(life: Life): void {
    life.dead = true
    this.end(life)
  }

  private end(life: Life): void {
    for (const reading of this.reading) if (reading.life === life) this.reading.delete(reading)
    Effect.runForkWith(this.contextOf(undefined))(Scope.close(life.scope, Exit.void))
    this.turns.flush()
  }

  private lookup(life: Life, key: string): Effect.Effect<number, Down> {
    return Effect.callback((resume) => {
      const began = ++this.step
      this.count.loads++
      this.right(life, key)
      this.note(`${life.process.name} loads ${key} (#${began})`)
      return this.event({
        about: `${life.process.name} has loaded ${key} (#${began})`,
        at: undefined,
        can: () => !life.process.frozen && !life.dead,
        happen: () => {
          if (!this.healing && this.options.failures > 0 && this.choose(this.options.failures) === 0) {
            this.note(`${life.process.name} failed to load ${key}`)
            return resume(Effect.fail(new Down()))
          }
          const made: Made = { id: ++this.ids, key, began, ended: this.time, word: undefined }
          this.made.set(made.id, made)
          this.note(`${life.process.name} has v${made.id} of ${key}`)
          resume(Effect.succeed(made.id))
        }
      })
    })
  }

  /** One load per right, where nothing has failed and the store's word was not dropped. */
  private right(life: Life, key: string): void {
    const stored = keyOf(key)
    const rights = life.rights.get(stored) ?? 0
    if (rights > 0) life.rights.set(stored, rights - 1)
    else if (life.failures === 0 && life.overtaken < 3) {
      this.broken ??= new Broken("lease", `${life.process.name} loads ${key} without the right to`)
    }
  }

  // ----- what processes do

  private act(): void {
    const process = this.pick(this.processes)
    const { cache, life } = { life: process.life, cache: process.life?.cache }
    if (process.frozen || life === undefined || cache === undefined) return
    const act = this.pick(this.options.acts)
    const key = this.pick(this.options.keys)
    if (act === "read" || act === "strict") this.read(life, cache, key, act === "strict")
    else if (act === "many") this.readMany(life, cache)
    else this.say(life, cache, act, key)
    this.turns.flush()
  }

  private begin(life: Life, key: string, strict: boolean, alone: boolean): Reading {
    const reading = { id: ++this.count.reads, life, key, strict, alone, began: ++this.step, time: this.time }
    this.reading.add(reading)
    this.note(`${life.process.name} reads ${key}${strict ? " strictly" : ""} (read ${reading.id}, #${reading.began})`)
    return reading
  }

  private read(life: Life, cache: Swr.Instance<string, number, Down>, key: string, strict: boolean): Reading {
    const reading = this.begin(life, key, strict, true)
    const fiber = Effect.runForkWith(life.context)(cache.read(key, strict ? strictly : undefined))
    fiber.addObserver((exit) => this.told(reading, exit))
    return reading
  }

  private readMany(life: Life, cache: Swr.Instance<string, number, Down>): void {
    const readings = this.options.keys.map((key) => this.begin(life, key, false, false))
    const fiber = Effect.runForkWith(life.context)(cache.readMany(readings.map(({ key }) => key)))
    fiber.addObserver((exit) => {
      readings.forEach((reading, i) => {
        const one = Exit.isSuccess(exit) ? exit.value[i] : undefined
        if (Exit.isFailure(exit)) this.told(reading, Exit.failCause(exit.cause))
        else if (one !== undefined) {
          this.told(reading, one._tag === "Success" ? Exit.succeed(one.success) : Exit.fail(one.failure))
        }
      })
    })
  }

  private say(life: Life, cache: Swr.Instance<string, number, Down>, act: Act, key: string): void {
    const invoked = ++this.step
    this.count.lastWords++
    const isKey = act === "set" || act === "hard" || act === "soft"
    const tag = act === "tag" ? this.pick(OTHER_TAGS) : undefined
    const name = `${life.process.name} ${act} ${isKey ? key : tag ?? ""}`
    const made: { -readonly [K in keyof Made]: Made[K] } | undefined = act === "set"
      ? { id: ++this.ids, key, began: invoked, ended: this.time, word: undefined }
      : undefined
    const word: Word = {
      life,
      act,
      key: isKey ? key : undefined,
      tag,
      invoked,
      done: undefined,
      failed: false,
      executed: undefined,
      heard: new Map(),
      made
    }
    if (made !== undefined) {
      made.word = word
      this.made.set(made.id, made)
    }
    this.words.push(word)
    this.note(`${name}${made ? ` to v${made.id}` : ""} is called (#${invoked})`)
    const call = made !== undefined
      ? cache.set(key, made.id, { tags: TAGS[key] ?? [] })
      : act === "tag"
      ? cache.invalidateTag(tag ?? "")
      : act === "clear"
      ? cache.clear
      : cache.invalidate(key, { mode: act === "soft" ? "soft" : "hard" })
    const fiber = Effect.runForkWith(life.context)(call)
    fiber.addObserver((exit) => {
      if (life.dead) return
      life.overtaken++
      word.done = ++this.step
      word.failed = Exit.isFailure(exit)
      if (word.failed && made !== undefined && word.executed !== undefined) {
        made.began = Math.min(made.began, word.executed.step)
      }
      this.note(`${name} ${word.failed ? "fails" : "is done"} (#${word.done})`)
      if (
        Exit.isFailure(exit) && !(Option.getOrUndefined(Cause.findErrorOption(exit.cause)) instanceof Store.StoreError)
      ) {
        this.broken = new Broken("failure", `${name}: ${Cause.pretty(exit.cause)}`)
      }
    })
  }

  // ----- what was answered

  /** What an observer found: it must not throw into the fiber that it observes. */
  private broken: Broken | undefined = undefined

  private told(reading: Reading, exit: Exit.Exit<Swr.Snapshot<number>, unknown>): void {
    if (!this.reading.delete(reading)) return
    try {
      if (Exit.isSuccess(exit)) this.judge(reading, exit.value)
      else this.failed(reading, exit.cause)
    } catch (broken) {
      if (!(broken instanceof Broken)) throw broken
      this.broken ??= broken
    }
  }

  private failed({ id, life }: Reading, cause: Cause.Cause<unknown>): void {
    const [reason] = cause.reasons
    const error = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
    this.note(`${life.process.name} read ${id} fails: ${String(error)}`)
    if (error instanceof Down || error instanceof Swr.LoadTimeout) return
    this.break("failure", `read ${id}: ${Cause.pretty(cause)}`)
  }

  private judge(reading: Reading, answer: Swr.Snapshot<number>): void {
    const { id, key, life, strict } = reading
    const { source, status, value } = answer
    const reason = Option.getOrUndefined(answer.reason)
    const made = this.made.get(value)
    if (made === undefined || made.key !== key) {
      return this.break("failure", `read ${id} of ${key} got v${value} of ${made?.key}`)
    }
    // Read together with others, it was found before it was answered; its age can only be told too great.
    const age = Duration.toMillis(answer.age)
    const what = `read ${id} in ${life.process.name} got v${value} (#${made.began}, age ${age})`
    this.note(`${what} from ${source}, ${status}${reason ? `, ${reason}` : ""}`)
    const isFresh = status === "fresh"
    const least = (reading.alone ? this.time : reading.time) - made.ended
    if (source !== "lookup" && age < least) this.break("age", `${what} that is ${least}`)
    if (source !== "lookup") {
      const isSick = reason === "error" || reason === "timeout"
      const bound = strict ? STRICT : isSick ? LIFE : isFresh ? FRESH : MAX
      if (age >= bound) this.break("age", `${what} of at most ${bound}`)
      // After a load that failed the entry may be fresh again all the same.
      if (strict && (status === "stale" || (reason !== undefined && reason !== "error"))) {
        this.break("strict", `${what}: ${status} ${reason ?? ""}`)
      }
    }
    for (const word of this.words) this.compare(reading, made, word, { isFresh, source, reason }, what)
  }

  private compare(
    reading: Reading,
    made: Made,
    word: Word,
    { isFresh, reason, source }: {
      readonly isFresh: boolean
      readonly source: string
      readonly reason: Swr.Reason | undefined
    },
    what: string
  ): void {
    const { life, strict } = reading
    const { act, done, executed, failed, invoked } = word
    const meets = act === "clear" || word.key === made.key ||
      (word.tag !== undefined && TAGS[made.key]?.includes(word.tag))
    if (made.word === word || !meets) return
    const point = done !== undefined && failed ? invoked : executed?.step ?? (done === undefined ? undefined : invoked)
    if (point === undefined || made.began >= point) return
    const other = made.word
    const bothDone = (other === undefined || (other.done !== undefined && !other.failed)) && done !== undefined &&
      !failed
    // Calls side by side of which one failed: either order.
    if (other !== undefined && !bothDone && !(other.done !== undefined && other.done < invoked)) return
    const isSoft = act === "soft"
    if (isSoft && ((!strict && !isFresh) || source === "lookup")) return
    const though = `${what} though ${act} ${word.key ?? word.tag ?? ""} by ${word.life.process.name}`
    if (word.life === life && done !== undefined && done < reading.began) {
      this.break("own", `${though} ${failed ? "failed" : "was done"} at #${done}`)
    }
    if (executed === undefined || made.began >= executed.step) return
    const heard = word.heard.get(life)
    if (word.life !== life && heard !== undefined && heard < reading.began) {
      this.break("heard", `${though} was heard at #${heard}`)
    }
    if (reading.time <= executed.time + TRUST) return
    // Memory in an outage; and a new epoch proves nothing, so that it marks.
    if (!strict && (reason === "store" || reason === "error") && life.failures > 0) return
    const isMarked = reason === "marked" || reason === "error" || reason === "lease"
    if (!strict && isMarked && this.epochs.some((step) => step >= executed.step)) return
    this.break("bound", `${though} was done ${reading.time - executed.time} ms before it began`)
  }

  // ----- what breaks

  private fault(): void {
    const fault = this.pick(this.options.faults)
    const process = this.pick(this.processes)
    const { store } = this
    const key = this.pick(this.options.keys)
    const run = (control: Effect.Effect<void>, about: string) => {
      this.note(`FAULT ${about}`)
      Effect.runSync(control)
      this.turns.flush()
    }
    if (fault === "loss") {
      const announcements = Effect.runSync(store.pending).filter(({ kind }) => kind === "announcement")
      if (announcements.length === 0) return
      const lost = this.pick(announcements)
      run(store.drop(lost), `lost: ${lost.about}`)
    } else if (fault === "partition") {
      if (this.partitioned.delete(process)) return run(store.heal(process.name), `${process.name} is reachable`)
      this.partitioned.add(process)
      run(store.partition(process.name), `${process.name} is cut off`)
    } else if (fault === "hang" || fault === "refuse") {
      if (this.hanging || this.refusing) {
        this.hanging = false
        this.refusing = false
        run(store.up, "the store is up")
      } else if (fault === "hang") {
        this.hanging = true
        run(store.down("hang"), "the store hangs")
      } else {
        this.refusing = true
        run(store.fail("full"), "the store refuses")
      }
    } else if (fault === "freeze") {
      process.frozen = !process.frozen
      this.note(`FAULT ${process.name} ${process.frozen ? "is frozen" : "goes on"}`)
    } else if (fault === "crash" || fault === "leave") {
      if (process.life === undefined || process.frozen) return
      this.note(`FAULT ${process.name} ${fault === "crash" ? "dies" : "closes"}, and begins anew`)
      if (fault === "crash") this.kill(process.life)
      else this.end(process.life)
      this.boot(process)
    } else if (fault === "evictEntry") run(store.evict(CACHE, key), `${key} is evicted`)
    else if (fault === "evictLease") {
      const what = this.pick(["lease", "token"] as const)
      run(store.evict(CACHE, key, what), `the ${what} of ${key} is evicted`)
    } else if (fault === "evictClock") run(store.evictClock(CACHE), "the clock is evicted")
    else if (fault === "restart") run(store.restart, "the store restarts, empty")
    else run(store.disconnect, "all lines are cut")
  }

  private check(): void {
    if (this.broken !== undefined) {
      this.note(`BROKEN ${this.broken.promise}: ${this.broken.found}`)
      throw this.broken
    }
  }

  // ----- the end

  /** Everything happens, in order, until nothing can. */
  private drain(): void {
    for (let i = 0; i < 20_000; i++) {
      const [first] = this.able()
      if (first !== undefined) this.happen(first)
      else {
        // What waits for a time that is over belongs to a process that is.
        const times = Array.from(this.happenings).flatMap(({ at }) => at !== undefined && at > this.time ? at : [])
        if (times.length === 0) return
        this.time = Math.min(...times)
      }
      this.check()
    }
    this.break("rest", `it does not come to rest: ${this.able().slice(0, 4).map(({ about }) => about).join("; ")}`)
  }

  private heal(): void {
    this.note("all faults end")
    this.healing = true
    Effect.runSync(this.store.up)
    for (const process of this.processes) {
      process.frozen = false
      Effect.runSync(this.store.heal(process.name))
    }
    this.turns.flush()
    this.drain()
    this.answered()
    for (let round = 0; round < 4; round++) {
      if (round < 2) this.time += round === 0 ? TRUST + TICK : 45 * TICK
      const loads = this.count.loads
      for (const { life } of this.processes) {
        if (life?.cache === undefined) continue
        for (const key of this.options.keys) {
          this.read(life, life.cache, key, false)
          this.turns.flush()
          if (round > 0) this.drain()
        }
      }
      this.drain()
      this.answered()
      if (round === 3 && this.count.loads > loads) this.break("rest", "what was loaded is loaded again and again")
    }
    for (const { life, name } of this.processes) {
      if (life?.cache === undefined) continue
      const { flights } = Effect.runSync(life.cache.stats)
      if (flights > 0) this.break("rest", `${name} has ${flights} loads left`)
    }
  }

  private answered(): void {
    this.check()
    for (const { id, life } of this.reading) this.break("rest", `read ${id} in ${life.process.name} never ends`)
  }
}

const keyOf = (key: string): string => Key.storedKey(CACHE, key)

const layerOf = (store: Layer.Layer<Store.Store>): Layer.Layer<Swr.Cache> =>
  Swr.layerStore({ storeDeadline: "1 second", trustFor: TRUST, leaseFor: "3 seconds" }).pipe(Layer.provide(store))
