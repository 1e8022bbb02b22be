/**
 * One load on its way: how it ends, who waits for it, and what its lookup waits for.
 *
 * @since 0.1.0
 */
import { type Clock, Context, Data, Deferred, Effect, Exit, type Fiber, type Redacted } from "effect"
import type * as Entry from "./Entry.ts"
import type * as Event from "./Event.ts"
import type * as Job from "./Job.ts"
import type * as Key from "./Key.ts"

/**
 * A lookup waits, directly or through others, for its own key. A defect: it could never end.
 *
 * @since 0.1.0
 * @category errors
 */
export class LookupCycle extends Data.TaggedError("LookupCycle")<{
  readonly cache: string
  readonly key: string
}> {
  override get message() {
    return `${this.cache}: the lookup of ${JSON.stringify(this.key)} waits for its own key`
  }
}

/** What all caches of a layer share. */
export interface Host {
  readonly clock: Clock.Clock
  /** Milliseconds since the layer was built, floored; monotonic. */
  readonly now: () => number
  /** From 0 to 1, exclusive. */
  readonly random: () => number
  readonly context: Context.Context<never>
  readonly secret: Redacted.Redacted<string> | undefined
  /** How many refreshes may run at once. */
  readonly refreshes: number
  /** Fibers of loads that have not ended. */
  readonly fibers: Set<Fiber.Fiber<unknown, unknown>>
  /** Told of each of them. */
  readonly began: ((fiber: Fiber.Fiber<unknown, unknown>) => void) | undefined
  readonly publish: (event: Event.Event) => void
  /** Called when the layer closes. */
  readonly closing: Set<() => void>
  /** Who listens to events: nothing is computed for none. */
  readonly listeners: Set<(event: Event.Event) => void>
  refreshing: number
  /** How many loads there have been: the number of the last one. */
  loads: number
  /** How many loads have begun, and how many have landed, inside one another in this very step. */
  depth: number
  landings: number
  closed: boolean
}

/** A load that succeeded: the entry it made, and whom it is for. */
export interface Landing<A = unknown> {
  readonly entry: Entry.Entry<A>
  /** When it ended. */
  readonly at: number
  /** For who started the load alone. */
  readonly pass: boolean
  /** A tag of its value was invalidated while it loaded: who asked after that is not given it. */
  readonly noted: boolean
}

/** What a flight may find before it lands: an entry in the store, or that the store is away. */
export type News = "recalled" | "away"

/** How a load ended. `undefined`: without one, and memory says more. */
export type Landed<A = unknown, E = unknown> = Exit.Exit<Landing<A> | undefined, E>

/** How many loads begin, or land, inside one another before one is put off: more would run out of stack. */
export const DEEP = 16

/** The flights that one fiber flies: one, or those of a batch. */
export interface Crew {
  /** How many have not landed. */
  aloft: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Ends at the limit of its loads. */
  timer: Fiber.Fiber<unknown, unknown> | undefined
  /** The flights that its lookup waits for just now, and how many times over. */
  waitsFor: Map<Flight, number> | undefined
  /** The crew whose lookup waits for this one, and what this one loads: names of keys, of a namespace. */
  parent: Crew | undefined
  readonly namespace: object
  readonly names: Array<Key.Name>
}

/** Of the lookup that is running in this fiber. */
export const Current = Context.Reference<Crew | undefined>("~effect-swr/Flight/Current", {
  defaultValue: () => undefined
})

/** A load on its way. */
export class Flight<A = unknown, E = unknown> {
  /** How it ended. */
  landing: Landed<A, E> | undefined = undefined
  /** Made for the first who has to wait. */
  private gate: Deferred.Deferred<Landed<A, E>> | undefined = undefined
  /** How many readers wait. */
  waiters = 0
  /** How many waited when it landed. */
  audience = 0
  /** Its lookup has begun. */
  loading = false
  /** Goes on although nobody waits. */
  background: boolean
  /** Begun; else it is due. */
  begun = false
  /** Ended, or told to stop. */
  landed = false
  /** The state no longer names it. */
  forgotten = false
  /** Began during a pass: it commits nothing. */
  passing = false
  /** The memory's clock and the time when it began. */
  clock = 0
  begunAt = 0
  /** A value that does not encode. */
  problem: unknown = undefined
  /** Over a store: the value as it is stored, and the right to commit it. */
  text: string | undefined = undefined
  token: string | undefined = undefined
  /** A right that the store may have given, without our having heard of it. */
  unheard: string | undefined = undefined
  /** Its reader has just found the store away, and does not wait for it again. */
  away = false
  /** How the load failed: for how long the key is left alone, and whether that was an answer. */
  failed: { readonly retryIn: number; readonly isAnswer: boolean } | undefined = undefined
  /** Readers that may be answered before it lands. */
  private onlookers: Array<(news: News) => void> | undefined = undefined
  crew: Crew
  /** Renews the lease. */
  renewal: Fiber.Fiber<unknown, unknown> | undefined = undefined

  readonly name: Key.Name
  readonly job: Job.Job<A, E>
  readonly cause: Event.LoadCause
  /** For one reader alone: the state never names it. */
  readonly alone: boolean
  /** Events tell of it by this number. */
  readonly id: number

  constructor(
    namespace: { readonly host: Host },
    name: Key.Name,
    job: Job.Job<A, E>,
    cause: Event.LoadCause,
    alone = false
  ) {
    const parent = undefined
    this.crew = { aloft: 1, fiber: undefined, timer: undefined, waitsFor: undefined, parent, namespace, names: [name] }
    this.name = name
    this.job = job
    this.cause = cause
    this.alone = alone
    this.id = ++namespace.host.loads
    this.background = cause === "refresh"
  }

  /** Calls back when something is known before it lands, until the returned function is called. */
  look(told: (news: News) => void): () => void {
    const onlookers = this.onlookers ??= []
    onlookers.push(told)
    return () => {
      // Once it has landed nobody is told any more.
      if (!this.landed && onlookers.includes(told)) onlookers.splice(onlookers.indexOf(told), 1)
    }
  }

  tell(news: News): void {
    if (this.onlookers !== undefined) Array.from(this.onlookers).forEach((told) => told(news))
  }

  /** Calls back in the step in which it lands, until the returned function is called. */
  await(landed: (landing: Landed<A, E>) => void): () => void {
    if (this.landing !== undefined) {
      landed(this.landing)
      return () => {}
    }
    const resume = () => this.landing && landed(this.landing)
    const gate = this.gate ??= Deferred.makeUnsafe()
    const resumes = gate.resumes ??= []
    resumes.push(resume)
    return () => {
      // Once it has landed nothing is left to take back.
      if (gate.resumes === resumes) resumes.splice(resumes.indexOf(resume), 1)
    }
  }

  /** Answers who waits. They go on in this very step, and may land the next. */
  resolve(landing: Landed<A, E>, host: Host): void {
    this.landing = landing
    const gate = this.gate
    if (gate === undefined) return
    const done = () => Deferred.doneUnsafe(gate, Exit.succeed(landing))
    if (host.landings >= DEEP) {
      Effect.runForkWith(host.context)(Effect.andThen(Effect.yieldNow, Effect.sync(done)))
      return
    }
    host.landings++
    try {
      done()
    } finally {
      host.landings--
    }
  }
}

/** Whether a lookup that this fiber runs in, or one that waits for it, loads the key by itself. */
export const isLoading = (fiber: Fiber.Fiber<unknown, unknown>, namespace: object, name: Key.Name): boolean => {
  let crew = fiber.getRef(Current)
  while (crew !== undefined && crew.aloft > 0) {
    if (crew.namespace === namespace && crew.names.includes(name)) return true
    crew = crew.parent
  }
  return false
}

/** Whether who waits for the one would wait, through others, for the other. */
export const reaches = (from: Flight, to: Crew, seen: Set<Crew>): boolean => {
  if (from.landed || seen.has(from.crew)) return false
  if (from.crew === to) return true
  seen.add(from.crew)
  return Array.from(from.crew.waitsFor?.keys() ?? []).some((next) => reaches(next, to, seen))
}
