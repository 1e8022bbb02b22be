/**
 * The memory of one cache and the loads under way for it: what the machine answers is put here, and in the same step
 * the load that it newly names begins. Also the end of a load: what becomes of its value.
 *
 * @since 0.1.0
 */
import { Cause, Context, Duration, Effect, Exit, type Fiber, Option, Result, Scope, Tracer } from "effect"
import * as Codec from "./Codec.ts"
import * as Entry from "./Entry.ts"
import * as Event from "./Event.ts"
import * as Flight from "./Flight.ts"
import * as Job from "./Job.ts"
import * as Key from "./Key.ts"
import * as Memory from "./Memory.ts"
import * as Policy from "./Policy.ts"
import * as State from "./State.ts"
import type * as Store from "./Store.ts"

/**
 * Counters since the cache began. Each read counts once, as what it found in memory: `hits`, `stale`, `misses` or
 * `joined`. What the store then has is a miss without one of the `loads`.
 */
export interface Counters {
  hits: number
  stale: number
  misses: number
  joined: number
  loads: number
  failures: number
  evictions: number
}

/** How long a key whose value is for one reader alone is left to load side by side. */
const PASS = 5_000

/** The scope of a load: what `Scope.makeUnsafe` answers, without writing the same keys anew for each. */
interface LoadScope extends Scope.Closeable {}
class LoadScope {
  static {
    Object.assign(this.prototype, Scope.makeUnsafe())
  }
  declare state: Scope.State.Empty | Scope.State.Open | Scope.State.Closed

  constructor() {
    this.state = LoadScope.prototype.state
  }
}

/** What a read of memory is to know of the tier below: the state it may use, and whether that is unconfirmed. */
export interface Look<A> {
  readonly state: State.State<A>
  readonly away: boolean
}

/** What the tier below memory does for one cache. */
export interface Tier<A, E> {
  /** Whether memory may give this entry just so: of a fresh hit, nothing else is asked. */
  readonly vouches: (entry: Entry.Entry<A>, at: number) => boolean
  /** What a read may use of what memory knows; `"ask"`: it has to ask first. */
  readonly look: (
    name: Key.Name,
    at: number,
    policy: Policy.Policy<E>,
    asked: "yes" | "away" | undefined,
    /** The load failed, or is slow: an expired entry may stand in. */
    isFallback?: boolean
  ) => Look<A> | "ask"
  /** How long anybody waits for an answer, in milliseconds. */
  readonly deadline: number
  /** Asks whether memory may be used: whether there was an answer. */
  readonly ask: Effect.Effect<boolean>
  /**
   * Takes flights to their loads: what the store has is recalled; who has the right to load is loaded by `load`. What
   * takes more than the store's answer is given to `fork`, once.
   */
  readonly fly: (
    flights: ReadonlyArray<Flight.Flight<A, E>>,
    load: (flights: ReadonlyArray<Flight.Flight<A, E>>) => Effect.Effect<void, E>,
    fork: (flown: Effect.Effect<void>, ended: () => void) => void
  ) => void
  /** One load and its end: the readers are answered, then the store is told, then memory. */
  readonly finish: (flight: Flight.Flight<A, E>, load: Effect.Effect<A, E>) => Effect.Effect<void>
  /** Tells the store a last word, then does `step` in memory, whether it got there or not. */
  readonly change: <B>(change: Change<A>, step: (heard: Heard) => B) => Effect.Effect<B, Store.StoreError>
  /** Takes what the store has of a key into memory; loads nothing. */
  readonly recall: (name: Key.Name, key: unknown, spec: Job.Spec<A, E>) => Effect.Effect<void>
}

/** A last word on its way to the store. */
export type Change<A> =
  | { readonly mode: "set"; readonly name: Key.Name; readonly entry: Entry.Entry<A>; readonly text: string }
  | { readonly mode: "hard" | "soft"; readonly names: ReadonlyArray<Key.Name> }
  | { readonly mode: "tag"; readonly tag: string }
  | { readonly mode: "clear" }

/** How a last word counts in memory. */
export interface Heard {
  /** What has an older reading of the clock goes; `Infinity`: everything. */
  readonly before: number
  /** Its own reading. */
  readonly clock: number
  /** Nothing later was heard, so that a value of its own is kept. */
  readonly isLast: boolean
}

/** A load's value, judged: what is to become of it. */
export interface Judged<A> {
  readonly entry: Entry.Entry<A>
  readonly wish: "share" | "pass" | "keep" | "encode" | undefined
  readonly at: number
}

/** The memory of one cache and its flights. */
export class Namespace<A = unknown, E = unknown> {
  readonly memory: Memory.Memory<A>
  /** Below memory, where there is one. */
  readonly tier: Tier<A, E> | undefined
  readonly counters: Counters = { hits: 0, stale: 0, misses: 0, joined: 0, loads: 0, failures: 0, evictions: 0 }
  flying = 0
  /** Flights under way that no state names. */
  private readonly strays = new Set<Flight.Flight<A, E>>()
  private gathering: Array<Flight.Flight<A, E>> | undefined = undefined

  readonly name: string
  readonly host: Flight.Host
  private readonly weight: ((value: A, key: unknown) => number) | undefined

  constructor(host: Flight.Host, name: string, options: {
    readonly capacity: number
    readonly weightLimit: number
    readonly weight: ((value: A, key: unknown) => number) | undefined
    readonly tier: ((namespace: Namespace<A, E>) => Tier<A, E>) | undefined
  }) {
    this.host = host
    this.name = name
    this.weight = options.weight
    this.memory = new Memory.Memory<A>(options.capacity, options.weightLimit, (cell, entry, isFull) => {
      this.counters.evictions++
      if (host.listeners.size > 0) {
        const now = host.now()
        const cause = Entry.isDead(entry, now) ? "dead" : isFull ? "capacity" : "weight"
        host.publish({ _tag: "Evict", ...this.about(cell.key), age: Entry.age(entry, now), cause })
      }
    })
    this.tier = options.tier?.(this)
  }

  /** The fields that every event has. */
  about(name: Key.Name): { readonly cache: string; readonly key: string } {
    return { cache: this.name, key: Key.show(name) }
  }

  /**
   * Puts a state that the machine answered. A flight that it no longer names is forgotten; one that it newly names
   * begins. This is one synchronous step: nothing can come between what is known and what is running.
   */
  apply(name: Key.Name, next: State.State<A>, now = this.host.now(), weight?: number): void {
    const before = this.memory.put(name, next, now, weight)
    // The pass is over: what was loaded in it renews no other.
    if (before.passUntil !== 0 && next.passUntil === 0) {
      this.strays.forEach((flight) => {
        if (flight.name === name) flight.forgotten = true
      })
    }
    // The machine names only what this class gave it.
    const old = before.flight as Flight.Flight<A, E> | undefined
    const flight = next.flight as Flight.Flight<A, E> | undefined
    if (old === flight) return
    if (old !== undefined) old.forgotten = true
    if (old !== undefined && !old.landed) {
      old.background = false
      this.strays.add(old)
      if (old.waiters === 0) this.stop(old)
    }
    if (flight === undefined || flight.begun) return
    // Counted when it is named: those of a batch begin together, later.
    if (flight.cause === "refresh") this.host.refreshing++
    if (flight.waiters === 0 && !flight.background) this.stop(flight)
    else if (this.gathering === undefined) this.begin(flight, now)
    else this.gathering.push(flight)
  }

  /**
   * Several keys change in one step: the flights that the states then name begin when all have changed, as one batch
   * where there is one. Answers them.
   */
  gather(batch: Job.Batch<A, E> | undefined, f: () => void): ReadonlyArray<Flight.Flight<A, E>> {
    const flights: Array<Flight.Flight<A, E>> = []
    this.gathering = flights
    try {
      f()
    } finally {
      this.gathering = undefined
    }
    if (batch === undefined) {
      for (const flight of flights) if (!flight.landed) this.begin(flight, this.host.now())
      return flights
    }
    for (const isRefresh of [true, false]) {
      const some = flights.filter((flight) => (flight.cause === "refresh") === isRefresh)
      if (some[0] !== undefined) this.beginMany(some, some[0], batch)
    }
    return flights
  }

  /** Starts the load, in this very step; a refresh starts with a yield, out of its reader's way. */
  begin(flight: Flight.Flight<A, E>, now: number): void {
    this.depart(flight, now)
    if (flight.landed) return
    const load = this.fit(flight, Effect.suspend(() => flight.job.lookup(this.previous(flight))))
    if (this.tier === undefined || flight.alone) {
      this.fork(flight.crew, flight, load, (exit) => this.land(flight, exit))
      this.limit([flight])
    } else this.start([flight], flight, () => this.finish(flight, load))
  }

  /** The entry that is known when a lookup begins. */
  private previous(flight: Flight.Flight<A, E>): Option.Option<Job.Previous<A>> {
    const entry = this.memory.state(flight.name).entry
    const now = this.tier === undefined ? flight.begunAt : this.host.now()
    return entry === undefined || Entry.isDead(entry, now)
      ? Option.none()
      : Option.some({ value: entry.value, age: Duration.millis(Entry.age(entry, now)) })
  }

  /** Runs a load and lands its flight. */
  private finish(flight: Flight.Flight<A, E>, load: Effect.Effect<A, E>): Effect.Effect<void> {
    return this.tier === undefined
      ? Effect.map(Effect.exit(load), (exit) => this.land(flight, exit))
      : this.tier.finish(flight, load)
  }

  /** Takes a crew to its loads, by way of the store where there is one. */
  private start(
    flights: ReadonlyArray<Flight.Flight<A, E>>,
    first: Flight.Flight<A, E>,
    load: (flights: ReadonlyArray<Flight.Flight<A, E>>) => Effect.Effect<void, E>
  ): void {
    const { tier } = this
    const fork = (flown: Effect.Effect<void, E>, ended?: () => void) =>
      this.fork(first.crew, first, flown, (exit) => {
        ended?.()
        // Whoever has not landed shares its failure.
        if (Exit.isFailure(exit)) { for (const flight of flights) this.land(flight, Exit.failCause(exit.cause)) }
      })
    if (tier === undefined) fork(load(flights))
    else tier.fly(flights, load, fork)
    // Over a store the timer is set once that has answered, unless the limit may end before.
    if (tier === undefined || first.job.spec.hardTimeout <= tier.deadline) this.limit(flights)
  }

  private beginMany(
    flights: ReadonlyArray<Flight.Flight<A, E>>,
    first: Flight.Flight<A, E>,
    batch: Job.Batch<A, E>
  ): void {
    const crew: Flight.Crew = {
      ...first.crew,
      aloft: flights.length,
      waitsFor: undefined,
      timer: undefined,
      names: flights.map(({ name }) => name)
    }
    const now = this.host.now()
    for (const flight of flights) {
      flight.crew = crew
      this.depart(flight, now)
    }
    const load = (flights: ReadonlyArray<Flight.Flight<A, E>>) =>
      Effect.flatMap(
        Effect.suspend(() => batch.lookup(flights.map(({ job }) => job.key))),
        (values) =>
          Effect.forEach(flights, (flight) => {
            const value = values.has(flight.name)
              ? Effect.succeed(values.get(flight.name) as A)
              : Effect.suspend(() => batch.omitted(flight.job.key))
            return this.finish(flight, this.fit(flight, value))
          }, { concurrency: "unbounded", discard: true })
      )
    this.start(flights, first, load)
  }

  /** From now on the flight counts. After the layer has closed it lands at once. */
  private depart(flight: Flight.Flight<A, E>, now: number): void {
    flight.begun = true
    flight.begunAt = now
    flight.clock = this.memory.clock
    flight.passing = now < this.memory.state(flight.name).passUntil
    flight.crew.waitsFor = undefined
    this.flying++
    if (flight.alone) this.strays.add(flight)
    if (this.tier === undefined || flight.alone) this.loads(flight)
    if (this.host.closed) this.stop(flight)
  }

  /** A lookup begins. */
  loads(flight: Flight.Flight<A, E>): void {
    flight.loading = true
    this.counters.loads++
    if (this.host.listeners.size > 0) {
      const { cause, id, job: { span }, name } = flight
      const by = span && { by: { traceId: span.traceId, spanId: span.spanId } }
      this.host.publish({ _tag: "Load", ...this.about(name), load: id, cause, ...by })
    }
  }

  /** With a schema: encoded and decoded once, so that what is answered is what any later reader will get. */
  fit(flight: Flight.Flight<A, E>, load: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const codec = flight.job.spec.codec
    if (codec === undefined) return load
    return Effect.flatMap(load, (value) =>
      Effect.matchEffect(Codec.trip(codec, value), {
        onSuccess: ({ text, value }) => {
          flight.text = text
          return Effect.succeed(value)
        },
        onFailure: (problem) => {
          flight.problem = problem
          return Effect.succeed(value)
        }
      }))
  }

  /**
   * Runs what lands the flights of a crew in a fiber of the layer's and a scope of its own, with the services of the
   * first one.
   */
  private fork<B>(
    crew: Flight.Crew,
    first: Flight.Flight<A, E>,
    effect: Effect.Effect<B, E>,
    ended: (exit: Exit.Exit<B, E>) => void
  ): void {
    const host = this.host
    const { context, span } = first.job
    const scope = new LoadScope()
    // Without a tracer nobody would see the span, and making it costs more than the rest of a load.
    const load = Context.getOrUndefined(context, Tracer.Tracer) === undefined
      ? effect
      : Effect.withSpan(effect, `${this.name}.load`, {
        root: true,
        links: span === undefined ? [] : [{ span, attributes: {} }],
        attributes: { "swr.cache": this.name }
      })
    const yields = first.cause === "refresh" || host.depth >= Flight.DEEP
    host.depth++
    // A load's spans are no part of a span that will have ended.
    const rootless = Context.getOrUndefined(context, Tracer.ParentSpan) === undefined
      ? context
      : Context.omit(Tracer.ParentSpan)(context)
    const run = Effect.runForkWith(Context.add(Context.add(rootless, Flight.Current, crew), Scope.Scope, scope))
    const fiber = run(yields ? Effect.andThen(Effect.yieldNow, load) : load)
    host.depth--
    fiber.addObserver((exit) => {
      // `Effect.scoped` would cost a load that needs no scope as much as the load.
      const closing = Scope.closeUnsafe(scope, exit)
      if (closing === undefined) return ended(exit)
      this.attach(
        run(Effect.uninterruptible(closing)),
        (closed) => ended(Exit.isFailure(closed) ? Exit.failCause(closed.cause) : exit)
      )
    })
    if (fiber.pollUnsafe() !== undefined) return
    crew.fiber = fiber
    this.attach(fiber, () => {})
    // The lookup itself may have made everybody leave.
    if (crew.aloft === 0) fiber.interruptUnsafe()
  }

  /** A closing layer waits for it. */
  private attach<B, E2>(fiber: Fiber.Fiber<B, E2>, ended: (exit: Exit.Exit<B, E2>) => void): void {
    const { began, fibers } = this.host
    fibers.add(fiber)
    began?.(fiber)
    fiber.addObserver((exit) => {
      fibers.delete(fiber)
      ended(exit)
    })
  }

  /** Abandons the loads of a crew at their limit, whatever they are doing: they began together. */
  limit(flights: ReadonlyArray<Flight.Flight<A, E>>): void {
    const [first] = flights
    if (first === undefined || first.crew.aloft === 0 || first.crew.timer !== undefined) return
    const limit = first.job.spec.hardTimeout
    const left = this.tier === undefined ? limit : Math.max(0, first.begunAt + limit - this.host.now())
    first.crew.timer = this.sleep(left, () => {
      for (const flight of flights) {
        if (flight.landed) continue
        const timeout = new Job.LoadTimeout({ ...this.about(flight.name), limit })
        // The types say LoadTimeout where the options name the limit.
        this.land(flight, flight.job.spec.named ? Exit.fail(timeout as E) : Exit.die(timeout), true)
      }
    })
  }

  /** Calls back after so many milliseconds, unless it is interrupted before. */
  sleep(millis: number, then: () => void): Fiber.Fiber<unknown, unknown> {
    const timer = Effect.runForkWith(this.host.context)(this.host.clock.sleep(Duration.millis(millis)))
    timer.addObserver((exit) => {
      if (Exit.isSuccess(exit)) then()
    })
    return timer
  }

  /** The end of a load: commit, then answer who waits. Once; whatever comes later is not heard. */
  land(flight: Flight.Flight<A, E>, exit: Exit.Exit<A, E>, timedOut = false): void {
    if (flight.landed) return
    this.end(flight, timedOut)
    flight.resolve(this.outcome(flight, exit), this.host)
  }

  private outcome(flight: Flight.Flight<A, E>, exit: Exit.Exit<A, E>): Flight.Landed<A, E> {
    try {
      if (Exit.isFailure(exit)) return this.fail(flight, exit.cause)
      const judged = this.judge(flight, exit.value)
      const noted = this.noted(flight, judged)
      this.put(flight, judged, true)
      return Exit.succeed({ entry: judged.entry, at: judged.at, pass: judged.wish === "pass", noted })
    } catch (defect) {
      // Whatever goes wrong here, the key is free again and nobody waits for ever.
      this.apply(flight.name, State.abandoned(this.memory.state(flight.name), flight))
      return Exit.die(defect)
    }
  }

  /** Over a store: answers who waits, while the state still names the flight. */
  answer(flight: Flight.Flight<A, E>, judged: Judged<A>): void {
    this.end(flight, false)
    const noted = this.noted(flight, judged)
    // Nobody may join it now: its value is for one reader alone, or for those who asked in time.
    if (judged.wish === "pass") this.put(flight, judged, true)
    else if (noted) this.apply(flight.name, State.abandoned(this.memory.state(flight.name), flight))
    const landing = { entry: judged.entry, at: judged.at, pass: judged.wish === "pass", noted }
    flight.resolve(Exit.succeed(landing), this.host)
  }

  /** Over a store: lands without a load. Who waits looks again, as memory says more now. */
  settle(flight: Flight.Flight<A, E>, next: State.State<A>, weight?: number): void {
    if (flight.landed) return
    this.end(flight, false)
    this.apply(flight.name, next, this.host.now(), weight)
    flight.resolve(Exit.succeed(undefined), this.host)
  }

  /** Whether a tag of the value was invalidated while it loaded. */
  private noted(flight: Flight.Flight<A, E>, { entry }: Judged<A>): boolean {
    return this.memory.noted(entry.terms.tags) > flight.clock
  }

  /** Stops a load that nobody waits for. */
  stop(flight: Flight.Flight<A, E>): void {
    if (flight.landed) return
    if (flight.begun) {
      this.end(flight, true)
      if (flight.loading && this.host.listeners.size > 0) {
        this.host.publish({ _tag: "LoadStopped", ...this.about(flight.name), ...told(flight, this.host.now()) })
      }
    } else flight.landed = true
    this.apply(flight.name, State.abandoned(this.memory.state(flight.name), flight))
    flight.resolve(Exit.interrupt(), this.host)
  }

  /** The layer closes: every load is stopped, and nothing is kept. */
  close(): void {
    for (const { key } of this.memory.all()) {
      // The machine names only what this class gave it.
      const flight = this.memory.state(key).flight as Flight.Flight<A, E> | undefined
      if (flight !== undefined) this.stop(flight)
    }
    this.strays.forEach((flight) => this.stop(flight))
    this.memory.close()
  }

  private end(flight: Flight.Flight<A, E>, interrupt: boolean): void {
    flight.landed = true
    flight.audience = flight.waiters
    this.flying--
    if (flight.forgotten || flight.alone) this.strays.delete(flight)
    if (flight.cause === "refresh") this.host.refreshing--
    if (--flight.crew.aloft > 0) return
    flight.crew.timer?.interruptUnsafe()
    // Told to stop, with the last one of its crew; nobody waits until it has.
    if (interrupt) flight.crew.fiber?.interruptUnsafe()
  }

  /** What is to become of a loaded value. */
  judge(flight: Flight.Flight<A, E>, value: A): Judged<A> {
    const { clock, job: { key, spec } } = flight
    const at = this.host.now()
    const wish = flight.problem === undefined ? Job.wish(spec, value, key) : "encode"
    const { age, terms } = typeof wish === "string" ? { age: 0, terms: spec.terms } : wish
    return { entry: this.entry(value, at - age, clock, terms), wish: typeof wish === "string" ? wish : undefined, at }
  }

  /** Commits a value to memory, unless it is not to be kept, or was refused: by the state, a note, or the store. */
  put(flight: Flight.Flight<A, E>, judged: Judged<A>, granted: boolean): void {
    const { host, memory } = this
    const { alone, job: { key }, name } = flight
    const { entry, wish } = judged
    const now = host.now()
    const state = memory.state(name)
    let dropped: Event.DropReason | undefined
    let next = state
    let weight: number | undefined
    if (wish === "pass" && (state.flight === flight || (alone && !flight.forgotten && state.passUntil !== 0))) {
      dropped = "pass"
      next = State.passed(state, now + PASS)
    } else if (state.flight !== flight || !granted || this.noted(flight, judged)) {
      dropped = alone ? "pass" : "forgotten"
      next = State.refused(state, flight)
    } else if (wish !== undefined || flight.passing) {
      dropped = wish ?? "pass"
      next = State.answered(state, flight)
    } else {
      weight = this.weigh(entry.value, key)
      if (!memory.fits(weight)) dropped = "weight"
      next = dropped ? State.answered(state, flight) : State.loaded(state, flight, entry)
    }
    // Told before it is done: a load that was due begins in `apply`.
    if (host.listeners.size > 0) {
      const about = this.about(name)
      const of = told(flight, judged.at)
      if (dropped === undefined) host.publish({ _tag: "Commit", ...about, ...of })
      else host.publish({ _tag: "CommitDropped", ...about, ...of, reason: dropped })
      if (flight.problem !== undefined) host.publish({ _tag: "EncodeFailed", ...about, error: flight.problem })
    }
    this.apply(name, next, now, weight)
  }

  private fail(flight: Flight.Flight<A, E>, cause: Cause.Cause<E>): Exit.Exit<never, E> {
    const { host, memory } = this
    const { name, job: { policy, spec } } = flight
    const now = host.now()
    const state = memory.state(name)
    this.counters.failures++
    const isAnswer = !Job.isOutage(policy, cause, true)
    const lives = !isAnswer && state.flight === flight && state.entry !== undefined && !Entry.isDead(state.entry, now)
    const retryIn = lives ? Policy.delay(spec.backoff, (state.hold?.failures ?? 0) + 1, host.random()) : 0
    flight.failed = { retryIn, isAnswer }
    // A load that began during a back-off was started by a reader with nothing to fall back on, who hears of it.
    const isNews = flight.waiters === 0 || (lives && !State.isHeld(state, flight.begunAt))
    if (host.listeners.size > 0 || isNews) {
      const event = { _tag: "LoadFailed", ...this.about(name), ...told(flight, now), failure: cause, retryIn } as const
      if (host.listeners.size > 0) host.publish(event)
      if (isNews) Effect.runForkWith(host.context)(Event.logFailure(event))
    }
    this.apply(
      name,
      State.failed(state, flight, now, {
        retryAt: now + retryIn,
        isAnswer,
        // An interruption says nothing of the origin.
        failure: spec.failureTimeToLive > 0 && !Cause.hasInterruptsOnly(cause)
          ? { cause, until: now + spec.failureTimeToLive }
          : undefined
      }),
      now
    )
    return Exit.failCause(cause)
  }

  /**
   * The last word about a key, of this process or another: what is older goes, or is marked. `before` is its reading of
   * the clock, `Infinity` where there is none to go by. A flight that is asking the store is judged when it has asked.
   */
  overtake(name: Key.Name, mode: "hard" | "soft", before: number): void {
    const { host, memory } = this
    const state = memory.state(name)
    // The machine names only what this class gave it.
    const flight = state.flight as Flight.Flight<A, E> | undefined
    const isOlder = (clock: number) => before === Infinity || clock < before
    const hasOld = state.entry !== undefined && isOlder(state.entry.clock)
    const goes = flight !== undefined && isOlder(flight.clock)
    if ((hasOld || state.entry === undefined) && (goes || flight === undefined)) {
      this.apply(name, mode === "hard" ? State.voided(state) : State.marked(state, host.now()))
    } else if (goes) this.apply(name, State.abandoned(state, flight))
    else if (hasOld && mode === "hard") this.apply(name, State.disowned(state))
    else if (hasOld) this.apply(name, State.doubted(state, host.now(), state.entry?.clock ?? 0))
  }

  /** The same for all that bear a tag, and for loads under way, whose tags nobody knows yet. */
  overtakeTag(tag: string, before: number, clock: number): void {
    this.memory.note(tag, clock)
    this.overtakeAll(this.memory.withTag(tag), before)
  }

  overtakeAll(cells: ReadonlyArray<Memory.Cell<A>>, before: number): void {
    this.gather(undefined, () => {
      for (const { key } of cells) this.overtake(key, "hard", before)
    })
  }

  /** An entry of this cache, its jitter drawn. */
  entry(value: A, bornAt: number, clock: number, terms: Entry.Terms): Entry.Entry<A> {
    return new Entry.Entry(value, bornAt, clock, Math.floor(this.host.random() * Entry.JITTER_STEPS), -1, terms)
  }

  /** What an entry weighs; `Infinity` for what can't be weighed. */
  weigh(value: A, key: unknown): number {
    const weight = this.weight
    if (weight === undefined) return 1
    const weighed = Result.getOrElse(Result.try(() => weight(value, key)), () => Infinity)
    return weighed >= 0 ? weighed : Infinity
  }
}

/** What the events of a load's end tell of it. */
const told = <A, E>(flight: Flight.Flight<A, E>, now: number) => ({
  load: flight.id,
  cause: flight.cause,
  duration: now - flight.begunAt,
  waiters: flight.landed ? flight.audience : flight.waiters
})

/**
 * Counts the reader as waiting until the flight lands or the reader leaves. One that leaves with an answer turns the
 * load into a refresh, which finishes; one that is interrupted, being the last, stops it. `undefined` where waiting
 * could never end.
 */
export const wait = <A, E>(
  namespace: Namespace<A, E>,
  flight: Flight.Flight<A, E>,
  fiber: Fiber.Fiber<unknown, unknown>,
  landed: (landing: Flight.Landed<A, E>) => void
): { readonly leave: (answered: boolean) => void } | undefined => {
  const crew = fiber.getRef(Flight.Current)
  const target = flight as unknown as Flight.Flight
  if (crew !== undefined && crew.aloft > 0) {
    if (Flight.reaches(target, crew, new Set())) {
      if (flight.waiters === 0 && !flight.background) namespace.stop(flight)
      return undefined
    }
    crew.waitsFor ??= new Map()
    crew.waitsFor.set(target, (crew.waitsFor.get(target) ?? 0) + 1)
  }
  flight.waiters++
  let waits = true
  const end = () => {
    waits = false
    const times = crew?.waitsFor?.get(target) ?? 0
    if (times > 1) crew?.waitsFor?.set(target, times - 1)
    else crew?.waitsFor?.delete(target)
    flight.waiters--
  }
  const forget = flight.await((landing) => {
    // Who was called back before may have interrupted this one.
    if (!waits) return
    end()
    landed(landing)
  })
  return {
    leave: (answered) => {
      if (!waits) return
      forget()
      end()
      if (answered && !flight.forgotten) flight.background = true
      if (flight.waiters === 0 && !flight.background) namespace.stop(flight)
    }
  }
}
