/**
 * A store in memory that can do all a store can do, and can go wrong in every way a store goes wrong, when told to.
 *
 * @since 0.1.0
 */
import { Clock, Context, Duration, Effect, Layer, Queue, Random, Stream } from "effect"
import type * as Codec from "./Codec.ts"
import * as Key from "./Key.ts"
import * as Record from "./Record.ts"
import * as Store from "./Store.ts"

/**
 * Options of a simulated store.
 *
 * @since 0.1.0
 * @category models
 */
export interface SimulatedOptions {
  /** Of its chance. Two stores of one seed do the same when they are asked the same. Default 0. */
  readonly seed?: string | number | undefined
  /** What it can do. Default: everything, its ages by one clock. */
  readonly powers?: Partial<Store.Powers> | undefined
  /** Nothing travels by itself: each message waits until it is delivered, in whatever order. */
  readonly scheduled?: boolean | undefined
}

/**
 * A command of the port.
 *
 * @since 0.1.0
 * @category models
 */
export type Operation = "open" | "commit" | "change" | "lease" | "ask"

/**
 * Something on its way between a process and the store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message {
  readonly kind: "request" | "reply" | "announcement"
  readonly process: string
  /** What a person reads in a trace. */
  readonly about: string
  /** What an announcement says. */
  readonly announcement?: Store.Announcement
}

/**
 * A command that the store was given, and what came of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Executed {
  /** In milliseconds since the store was built. */
  readonly at: number
  readonly process: string
  readonly operation: Operation
  readonly asker: Store.Asker
  readonly input: Input
  readonly result: "done" | Store.StoreError["reason"]
  /** The reply, where it was done. */
  readonly reply: Store.Reply<unknown> | undefined
}

/**
 * What a command was given beside its asker.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = ReadonlyArray<Store.Open> | Store.Commit | Store.Change | Store.Lease | undefined

/**
 * What a process has cost the store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts extends Readonly<Record<Operation, number>> {
  /** Every command is one. */
  readonly roundTrips: number
  /** Keys that were opened: several in one round trip. */
  readonly keys: number
  readonly announcements: number
}

/**
 * A store and the weather around it. Each control acts at once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Simulated {
  /** The store as one process sees it, over a connection of its own. */
  readonly connect: (process: string) => Layer.Layer<Store.Store>

  /** How long each way takes. Requests that are slow are executed after their callers have given up. */
  readonly latency: (
    each: { readonly [K in Message["kind"]]?: Duration.Input | undefined }
  ) => Effect.Effect<void>
  /**
   * `away`: every call fails at once, and who listens to announcements hears that the connection is lost. `hang`: calls
   * wait, and are executed when the store is up again, late as they may be.
   */
  readonly down: (how: "away" | "hang") => Effect.Effect<void>
  /** Commands, or only these, fail with the reason and do nothing. */
  readonly fail: (
    reason: Store.StoreError["reason"],
    operations?: ReadonlyArray<Operation>
  ) => Effect.Effect<void>
  /** Ends `down` and `fail`. */
  readonly up: Effect.Effect<void>
  /** Nothing passes to or from this process; announcements meanwhile are lost, and nobody is told. */
  readonly partition: (process: string) => Effect.Effect<void>
  /** What was on its way arrives. */
  readonly heal: (process: string) => Effect.Effect<void>
  /** Which part of the announcements is lost from now on: 1 is all, 0 is none. */
  readonly lose: (part: number) => Effect.Effect<void>
  /** Who listens to announcements hears that the connection is lost; the next who listens is connected. */
  readonly disconnect: Effect.Effect<void>

  /** All data is lost, as after a restart without persistence. */
  readonly restart: Effect.Effect<void>
  /** Part of what is known about a key is lost, in all versions. */
  readonly evict: (
    cache: string,
    key: Key.Name,
    what?: "entry" | "lease" | "token"
  ) => Effect.Effect<void>
  /** The clock of a cache is lost, with its notes. */
  readonly evictClock: (cache: string) => Effect.Effect<void>
  /** What stands under the key is no record any more. */
  readonly garble: (cache: string, key: Key.Name, problem?: Codec.DecodeProblem) => Effect.Effect<void>

  /** What is on its way and could arrive, the oldest first. Only in a store that is `scheduled`. */
  readonly pending: Effect.Effect<ReadonlyArray<Message>>
  /** It arrives; a second time, nothing happens. */
  readonly deliver: (message: Message) => Effect.Effect<void>
  /** An announcement is lost on its way. */
  readonly drop: (message: Message) => Effect.Effect<void>

  /** What the store was given, the oldest first. */
  readonly log: Effect.Effect<ReadonlyArray<Executed>>
  readonly counts: (process: string) => Effect.Effect<Counts>
  /** The clock of a cache as it is now; none before anything was asked, or after it was lost. */
  readonly clock: (cache: string) => Effect.Effect<Store.Clock | undefined>
  /** How many entries, leases and tokens are alive: what is left when all is done. */
  readonly size: Effect.Effect<{ readonly entries: number; readonly leases: number; readonly tokens: number }>
}

/**
 * Builds a simulated store. Its time is the clock of the fiber that builds it, so that `TestClock` drives it. By
 * default messages arrive in order and at once, each after a yield.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Store } from "effect-swr"
 * import * as Testing from "effect-swr/Testing"
 *
 * const program = Effect.gen(function*() {
 *   const simulated = yield* Testing.simulatedStore()
 *   yield* simulated.down("away")
 *   const ask = Store.Store.use((store) =>
 *     store.ask({ space: "prices", version: "", heard: undefined, within: 50 })
 *   )
 *   const error = yield* Effect.flip(Effect.provide(ask, simulated.connect("a")))
 *   return error.message
 * })
 *
 * Effect.runPromise(program).then(console.log) // prices: the store does not answer
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const simulatedStore = (options: SimulatedOptions = {}): Effect.Effect<Simulated> =>
  Effect.map(
    Effect.contextWith((context: Context.Context<never>) =>
      Effect.map(Random.withSeed(Random.Random, options.seed ?? 0), (random) => ({ context, random }))
    ),
    ({ context, random }) => new Simulation(context, random, options).control
  )

// ----- what the store keeps, and what each command does to it: no time passes here

interface Kept extends Pick<Store.Stored, "value" | "windows" | "jitter" | "tags"> {
  readonly stamp: number
  readonly epoch: string
  readonly counter: number
  readonly clock: Store.Clock | undefined
  marked: number
}

interface Held {
  readonly token: string
  readonly epoch: string
  until: number
  cooling: boolean
}

interface Token {
  readonly token: string
  /** Where asker's clocks tell nothing: what had been said when it was given. */
  readonly counter: number
  readonly until: number
}

interface SpaceClock {
  readonly epoch: string
  counter: number
  cleared: number
  /** By slot. They live and die with the epoch. */
  readonly notes: Map<number, number>
  last: number
}

/** Of one space: by key, then by version. */
interface Space {
  clock: SpaceClock | undefined
  readonly entries: Map<string, Map<string, Kept>>
  readonly leases: Map<string, Map<string, Held>>
  readonly tokens: Map<string, Map<string, Token>>
  readonly garbage: Map<string, Codec.DecodeProblem>
}

const SLOTS = 1024

// Two tags in one slot void too much, never too little.
const slotOf = (tag: string): number => {
  let hash = 7
  for (let i = 0; i < tag.length; i++) hash = (Math.imul(hash, 31) + tag.charCodeAt(i)) | 0
  return hash & (SLOTS - 1)
}

const inner = <A>(outer: Map<string, Map<string, A>>, key: string): Map<string, A> => {
  const found = outer.get(key) ?? new Map<string, A>()
  outer.set(key, found)
  return found
}

/** What a command answers, its ages those of the moment in which it was executed. */
type Outcome<A> = { readonly reply: Store.Reply<A> } | { readonly error: Store.StoreError["reason"] }

/** A command as the store gets it: when it was sent and until when it may be done, by the store's time. */
interface Timed {
  readonly asker: Store.Asker
  readonly sent: number
  readonly deadline: number
}

/** The store itself. Every command is one step, and is handed the time. */
class Keeper {
  private spaces = new Map<string, Space>()
  private epochs = 0
  private readonly powers: Store.Powers

  constructor(powers: Store.Powers) {
    this.powers = powers
  }

  space(name: string): Space {
    const found = this.spaces.get(name) ??
      { clock: undefined, entries: new Map(), leases: new Map(), tokens: new Map(), garbage: new Map() }
    this.spaces.set(name, found)
    return found
  }

  restart() {
    this.spaces = new Map()
  }

  private begin(space: Space, now: number): SpaceClock {
    return space.clock = { epoch: `epoch-${++this.epochs}`, counter: 0, cleared: 0, notes: new Map(), last: now }
  }

  /** What every command does first: a store that has lost something begins a new epoch. */
  private head(
    { heard, space: name }: Store.Asker,
    now: number
  ): { readonly space: Space; readonly clock: SpaceClock } {
    const space = this.space(name)
    let clock = space.clock ?? this.begin(space, now)
    if (now < clock.last) clock = this.begin(space, now)
    if (heard !== undefined && heard.epoch === clock.epoch && heard.counter > clock.counter) {
      clock = this.begin(space, now)
    }
    clock.last = now
    return { space, clock }
  }

  private reply<A>(clock: SpaceClock, value: A): Outcome<A> {
    const { counter, epoch } = clock
    return { reply: { clock: this.powers.announces ? { epoch, counter } : undefined, value } }
  }

  private live<A extends { readonly until: number }>(
    outer: Map<string, Map<string, A>>,
    key: string,
    version: string,
    now: number
  ): A | undefined {
    const found = outer.get(key)?.get(version)
    if (found === undefined || found.until > now) return found
    outer.get(key)?.delete(version)
    return undefined
  }

  private noted(clock: SpaceClock, tags: ReadonlyArray<string>, counter: number): boolean {
    return clock.cleared > counter || tags.some((tag) => (clock.notes.get(slotOf(tag)) ?? 0) > counter)
  }

  private kept(space: Space, clock: SpaceClock, key: string, version: string, now: number): Kept | undefined {
    const kept = space.entries.get(key)?.get(version)
    if (kept === undefined) return undefined
    if (now - kept.stamp < kept.windows.life) {
      return kept.epoch !== clock.epoch || this.noted(clock, kept.tags, kept.counter) ? undefined : kept
    }
    space.entries.get(key)?.delete(version)
    return undefined
  }

  private put(
    space: Space,
    clock: SpaceClock,
    { asker: { version }, sent }: Timed,
    key: string,
    stored: Store.Stored,
    began: { readonly counter: number; readonly clock: Store.Clock | undefined },
    now: number
  ) {
    const { age, jitter, tags, value, windows } = stored
    // The moment of its age 0, not the one in which this happens to run: a late write makes nothing young.
    const stamp = sent - age
    space.garbage.delete(key)
    space.entries.get(key)?.delete(version)
    if (now - stamp >= windows.life) return
    const { clock: said, counter } = began
    inner(space.entries, key).set(version, {
      value,
      windows,
      jitter,
      tags,
      stamp,
      epoch: clock.epoch,
      counter,
      clock: said,
      marked: -1
    })
  }

  ask({ asker }: Timed, now: number): Outcome<void> {
    return this.reply(this.head(asker, now).clock, undefined)
  }

  open(timed: Timed, keys: ReadonlyArray<Store.Open>, now: number): Outcome<ReadonlyArray<Store.Opened>> {
    const { clock, space } = this.head(timed.asker, now)
    if (now >= timed.deadline) return { error: "late" }
    return this.reply(clock, keys.map((open) => this.openOne(space, clock, timed.asker.version, open, now)))
  }

  private openOne(
    space: Space,
    clock: SpaceClock,
    version: string,
    open: Store.Open,
    now: number
  ): Store.Opened {
    const { beside, key, leaseFor, token, tokenFor } = open
    const problem = space.garbage.get(key)
    const kept = problem === undefined ? this.kept(space, clock, key, version, now) : undefined
    const entry = kept && this.stored(kept, now)
    if (token === undefined || (kept !== undefined && Record.isFresh(kept, kept.marked, open.policy, now))) {
      return { entry, problem, lease: undefined }
    }
    let held = this.powers.leases ? this.live(space.leases, key, version, now) : undefined
    if (held !== undefined && held.epoch !== clock.epoch) {
      space.leases.get(key)?.delete(version)
      held = undefined
    }
    if (held !== undefined && !(beside && held.cooling)) {
      return { entry, problem, lease: { left: held.until - now, cooling: held.cooling } }
    }
    if (held === undefined && this.powers.leases) {
      inner(space.leases, key).set(version, { token, epoch: clock.epoch, until: now + leaseFor, cooling: false })
    }
    inner(space.tokens, key).set(version, { token, counter: clock.counter, until: now + tokenFor })
    return { entry, problem, lease: "given" }
  }

  private stored(kept: Kept, now: number): NonNullable<Store.Opened["entry"]> {
    const { clock, jitter, marked, stamp, tags, value, windows } = kept
    return { value, windows, jitter, tags, clock, marked, age: now - stamp }
  }

  commit(timed: Timed, { key, stored, token: own }: Store.Commit, now: number): Outcome<boolean> {
    const { asker: { version }, deadline } = timed
    const { clock, space } = this.head(timed.asker, now)
    if (now >= deadline) return { error: "late" }
    const token = this.live(space.tokens, key, version, now)
    const counter = stored?.clock?.counter ?? token?.counter ?? clock.counter
    const isMine = !this.powers.fences || (
      token?.token === own &&
      (stored?.clock === undefined || stored.clock.epoch === clock.epoch) &&
      !this.noted(clock, stored?.tags ?? [], counter)
    )
    // Refused, it still frees its own lease.
    if (this.live(space.leases, key, version, now)?.token === own) space.leases.get(key)?.delete(version)
    if (isMine) {
      space.tokens.get(key)?.delete(version)
      if (stored === undefined) space.entries.get(key)?.delete(version)
      else this.put(space, clock, timed, key, stored, { counter, clock: stored.clock }, now)
    }
    return this.reply(clock, isMine)
  }

  change(timed: Timed, change: Store.Change, now: number): Outcome<void> {
    const { clock, space } = this.head(timed.asker, now)
    if (now >= timed.deadline) return { error: "late" }
    if (change.mode === "tag" && !this.powers.tags) return { error: "unsupported" }
    const counter = ++clock.counter
    const keys = change.mode === "set" ? [change.key] : "keys" in change ? change.keys : []
    for (const key of keys) {
      space.tokens.delete(key)
      space.leases.delete(key)
      if (change.mode === "soft") {
        for (const kept of space.entries.get(key)?.values() ?? []) {
          if (kept.marked < 0) kept.marked = Math.max(0, now - kept.stamp)
        }
      } else {
        space.entries.delete(key)
        space.garbage.delete(key)
      }
    }
    if (change.mode === "set") {
      const said = this.powers.announces ? { epoch: clock.epoch, counter } : undefined
      this.put(space, clock, timed, change.key, change.stored, { counter, clock: said }, now)
    } else if (change.mode === "tag") clock.notes.set(slotOf(change.tag), counter)
    else if (change.mode === "clear") clock.cleared = counter
    return this.reply(clock, undefined)
  }

  lease({ asker, deadline }: Timed, { key, millis, to, token }: Store.Lease, now: number): Outcome<boolean> {
    const { clock, space } = this.head(asker, now)
    if (now >= deadline) return { error: "late" }
    if (!this.powers.leases) return this.reply(clock, false)
    const held = this.live(space.leases, key, asker.version, now)
    if (held?.token !== token) return this.reply(clock, false)
    if (to === "release") space.leases.get(key)?.delete(asker.version)
    else {
      held.until = now + millis
      held.cooling ||= to === "cool"
    }
    return this.reply(clock, true)
  }

  evict(name: string, key: string, what: "entry" | "lease" | "token") {
    const { entries, leases, tokens } = this.space(name)
    const parts = { entry: entries, lease: leases, token: tokens }
    parts[what].delete(key)
  }

  size(now: number) {
    const count = (outer: Map<string, Map<string, unknown>>, alive: (version: string, key: string) => boolean) =>
      Array.from(
        outer,
        ([key, versions]) => Array.from(versions.keys()).filter((version) => alive(version, key)).length
      )
        .reduce((sum, some) => sum + some, 0)
    const sum = { entries: 0, leases: 0, tokens: 0 }
    for (const space of this.spaces.values()) {
      const { clock, entries, leases, tokens } = space
      if (clock !== undefined) {
        sum.entries += count(entries, (v, key) => this.kept(space, clock, key, v, now) !== undefined)
      }
      sum.leases += count(leases, (version, key) => this.live(leases, key, version, now) !== undefined)
      sum.tokens += count(tokens, (version, key) => this.live(tokens, key, version, now) !== undefined)
    }
    return sum
  }
}

// ----- what happens on the way

interface Travelling extends Message {
  readonly arrive: () => void
}

const operations = ["open", "commit", "change", "lease", "ask"] as const

/** The store, its connections and its weather. */
class Simulation {
  private readonly keeper: Keeper
  private readonly powers: Store.Powers
  private readonly now: () => number
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  private readonly random: Context.Service.Shape<typeof Random.Random>
  private readonly scheduled: boolean

  private readonly delays: Record<Message["kind"], number> = { request: 0, reply: 0, announcement: 0 }
  private weather: "up" | "away" | "hang" = "up"
  private failing:
    | { readonly reason: Store.StoreError["reason"]; readonly operations: ReadonlyArray<Operation> }
    | undefined
  private lost = 0
  private readonly cut = new Set<string>()
  /** What waits: for its process or the store to be there again, or to be delivered. */
  private waiting: Array<Travelling> = []
  private readonly listeners = new Map<string, Set<Listener>>()
  private readonly executed: Array<Executed> = []
  private readonly tally = new Map<string, { -readonly [K in keyof Counts]: number }>()

  constructor(
    context: Context.Context<never>,
    random: Context.Service.Shape<typeof Random.Random>,
    { powers, scheduled = false }: SimulatedOptions
  ) {
    const clock = Context.get(context, Clock.Clock)
    const origin = Number(clock.monotonicTimeNanosUnsafe())
    this.now = () => Math.floor((Number(clock.monotonicTimeNanosUnsafe()) - origin) / 1e6)
    this.context = context
    this.clock = clock
    this.random = random
    this.scheduled = scheduled
    this.powers = { fences: true, leases: true, announces: true, tags: true, ages: "server", ...powers }
    this.keeper = new Keeper(this.powers)
  }

  private counts(process: string) {
    const found = this.tally.get(process) ??
      { open: 0, commit: 0, change: 0, lease: 0, ask: 0, roundTrips: 0, keys: 0, announcements: 0 }
    this.tally.set(process, found)
    return found
  }

  private isBlocked({ kind, process }: Message): boolean {
    return this.cut.has(process) || (this.weather === "hang" && kind === "request")
  }

  private send(message: Travelling): void {
    if (this.scheduled) {
      this.waiting.push(message)
      return
    }
    const delay = this.delays[message.kind]
    const way = delay === 0 ? Effect.yieldNow : this.clock.sleep(Duration.millis(delay))
    Effect.runForkWith(this.context)(Effect.andThen(
      way,
      Effect.sync(() => {
        if (this.isBlocked(message)) this.waiting.push(message)
        else message.arrive()
      })
    ))
  }

  /** What waited for the weather goes on. */
  private resume(): void {
    if (this.scheduled) return
    const free = this.waiting.filter((message) => !this.isBlocked(message))
    this.waiting = this.waiting.filter((message) => this.isBlocked(message))
    const run = Effect.runForkWith(this.context)
    for (const message of free) run(Effect.andThen(Effect.yieldNow, Effect.sync(message.arrive)))
  }

  private call<A>(
    process: string,
    operation: Operation,
    asker: Store.Asker,
    input: Input,
    execute: (timed: Timed, now: number) => Outcome<A>,
    aged: (value: A, millis: number) => A = (value) => value
  ): Effect.Effect<Store.Reply<A>, Store.StoreError> {
    return Effect.callback((resume) => {
      const sent = this.now()
      const timed = { asker, sent, deadline: sent + asker.within }
      const counts = this.counts(process)
      counts.roundTrips++
      const about = `${process} ${operation} ${summary(input)}`
      const fail = (reason: Store.StoreError["reason"]) =>
        resume(Effect.fail(new Store.StoreError({ reason, cache: asker.space, cause: "simulated" })))
      const refused = (reason: Store.StoreError["reason"]) =>
        this.send({ kind: "reply", process, about: `${about}: ${reason}`, arrive: () => fail(reason) })
      if (this.weather === "away") return refused("away")
      const arrive = () => {
        counts[operation]++
        if (isOpens(input)) counts.keys += input.length
        const now = this.now()
        const { failing } = this
        const outcome: Outcome<A> = failing?.operations.includes(operation)
          ? { error: failing.reason }
          : execute(timed, now)
        const result = "error" in outcome ? outcome.error : "done"
        const reply = "error" in outcome ? undefined : outcome.reply
        this.executed.push({ at: now, process, operation, asker, input, result, reply })
        if ("error" in outcome) return refused(outcome.error)
        if (reply === undefined) return
        this.send({
          kind: "reply",
          process,
          about: `${about}: ${JSON.stringify(reply)}`,
          // The whole way counts: an age can only grow.
          arrive: () => resume(Effect.succeed({ ...reply, value: aged(reply.value, this.now() - sent) }))
        })
      }
      this.send({ kind: "request", process, about, arrive })
    })
  }

  private announce(announcement: Store.Announcement): void {
    for (const process of this.listeners.keys()) {
      if (this.cut.has(process) || (this.lost > 0 && this.random.nextDoubleUnsafe() < this.lost)) continue
      const { clock: { counter }, news } = announcement
      this.send({
        kind: "announcement",
        process,
        about: `${process} hears ${news}@${counter}`,
        announcement,
        arrive: () => {
          const listeners = this.listeners.get(process)
          if (listeners === undefined || listeners.size === 0) return
          this.counts(process).announcements++
          listeners.forEach((listener) => listener.tell(announcement))
        }
      })
    }
  }

  private announcements(process: string): Stream.Stream<Store.Announcement, Store.StoreError> {
    if (!this.powers.announces) return Stream.never
    return Stream.callback<Store.Announcement, Store.StoreError>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const lose = () => {
            const error = new Store.StoreError({ reason: "away", cache: "", cause: "the connection is lost" })
            Effect.runForkWith(this.context)(Queue.fail(queue, error))
          }
          const listener = {
            tell: (announcement: Store.Announcement) => void Queue.offerUnsafe(queue, announcement),
            lose
          }
          const listeners = this.listeners.get(process) ?? new Set()
          this.listeners.set(process, listeners.add(listener))
          if (this.weather === "away") lose()
          return () => void listeners.delete(listener)
        }),
        (release) => Effect.sync(release)
      ), { bufferSize: 4096, strategy: "sliding" })
  }

  private disconnect(): void {
    this.listeners.forEach((listeners) => listeners.forEach((listener) => listener.lose()))
  }

  private store(process: string): Context.Service.Shape<typeof Store.Store> {
    const { keeper } = this
    return {
      powers: this.powers,
      open: (asker, keys) =>
        this.call(
          process,
          "open",
          asker,
          keys,
          (timed, now) => keeper.open(timed, keys, now),
          (opened, millis) =>
            opened.map((one) =>
              one.entry === undefined ? one : { ...one, entry: { ...one.entry, age: one.entry.age + millis } }
            )
        ),
      commit: (asker, commit) =>
        this.call(process, "commit", asker, commit, (timed, now) => keeper.commit(timed, commit, now)),
      change: (asker, change) =>
        this.call(process, "change", asker, change, (timed, now) => {
          const outcome = keeper.change(timed, change, now)
          const clock = "reply" in outcome ? outcome.reply.clock : undefined
          if (clock !== undefined) this.announce({ space: asker.space, clock, news: change.news })
          return outcome
        }),
      lease: (asker, lease) =>
        this.call(process, "lease", asker, lease, (timed, now) => keeper.lease(timed, lease, now)),
      ask: (asker) => this.call(process, "ask", asker, undefined, (timed, now) => keeper.ask(timed, now)),
      announcements: this.announcements(process)
    }
  }

  readonly control: Simulated = {
    connect: (process) => Layer.sync(Store.Store, () => this.store(process)),
    latency: (each) =>
      Effect.sync(() => {
        for (const kind of ["request", "reply", "announcement"] as const) {
          const way = each[kind]
          if (way !== undefined) this.delays[kind] = Duration.toMillis(Duration.fromInputUnsafe(way))
        }
      }),
    down: (how) =>
      Effect.sync(() => {
        this.weather = how
        if (how === "away") this.disconnect()
      }),
    fail: (reason, some = operations) =>
      Effect.sync(() => {
        this.failing = { reason, operations: some }
      }),
    up: Effect.sync(() => {
      this.weather = "up"
      this.failing = undefined
      this.resume()
    }),
    partition: (process) => Effect.sync(() => void this.cut.add(process)),
    heal: (process) =>
      Effect.sync(() => {
        this.cut.delete(process)
        this.resume()
      }),
    lose: (part) =>
      Effect.sync(() => {
        this.lost = part
      }),
    disconnect: Effect.sync(() => this.disconnect()),
    restart: Effect.sync(() => this.keeper.restart()),
    evict: (cache, key, what = "entry") => Effect.sync(() => this.keeper.evict(cache, Key.storedKey(cache, key), what)),
    evictClock: (cache) =>
      Effect.sync(() => {
        this.keeper.space(cache).clock = undefined
      }),
    garble: (cache, key, problem = "json") =>
      Effect.sync(() => void this.keeper.space(cache).garbage.set(Key.storedKey(cache, key), problem)),
    pending: Effect.sync(() => this.scheduled ? this.waiting.filter((message) => !this.isBlocked(message)) : []),
    deliver: (message) => Effect.sync(() => this.take(message)?.arrive()),
    drop: (message) => Effect.sync(() => void this.take(message)),
    log: Effect.sync(() => this.executed.slice()),
    counts: (process) => Effect.sync(() => ({ ...this.counts(process) })),
    clock: (cache) =>
      Effect.sync(() => {
        const clock = this.keeper.space(cache).clock
        return clock && { epoch: clock.epoch, counter: clock.counter }
      }),
    size: Effect.sync(() => this.keeper.size(this.now()))
  }

  private take(message: Message): Travelling | undefined {
    const at = this.waiting.findIndex((waiting) => waiting === message)
    return at === -1 ? undefined : this.waiting.splice(at, 1)[0]
  }
}

interface Listener {
  readonly tell: (announcement: Store.Announcement) => void
  readonly lose: () => void
}

const isOpens = (input: Input): input is ReadonlyArray<Store.Open> => Array.isArray(input)

/** What a command is about, for a trace. */
const summary = (input: Input): string => {
  if (input === undefined) return ""
  if (isOpens(input)) return input.map(({ key }) => key).join()
  if ("to" in input) return `${input.to} ${input.key}`
  if (!("mode" in input)) return input.key
  if (input.mode === "tag") return `tag ${input.tag}`
  if (input.mode === "clear") return "clear"
  return `${input.mode} ${input.mode === "set" ? input.key : input.keys.join()}`
}
