/**
 * What a process does beyond its memory: it asks the store before it loads, shares the right to load with the others,
 * tells them its last words and hears theirs.
 *
 * How far memory may be trusted is decided in `Trust.ts`; what a store promises stands in `Store.ts`. The protocol is
 * the same for one key and for many, for readers that wait and for a refresh behind them.
 *
 * @since 0.1.0
 */
import { Cause, Duration, Effect, Exit, Option, Result, Stream } from "effect"
import type * as Codec from "./Codec.ts"
import * as Entry from "./Entry.ts"
import type * as Flight from "./Flight.ts"
import type * as Job from "./Job.ts"
import * as Key from "./Key.ts"
import type * as Memory from "./Memory.ts"
import type * as Namespace from "./Namespace.ts"
import type * as Policy from "./Policy.ts"
import * as State from "./State.ts"
import * as Store from "./Store.ts"
import * as Trust from "./Trust.ts"

/** All in milliseconds. */
export interface Options {
  readonly storeDeadline: number
  readonly trustFor: number
  readonly leaseFor: number
}

/** After how long the readers of a key that another process loads ask again: at first, then doubling, and at most. */
const POLL = { from: 10, to: 100 }

/** How long a refresh is left to the process that holds the lease, before the next reader looks what came of it. */
const YIELD = 200

/** How often what the store says may be overtaken by a last word, before a load goes on without it. */
const DROPS = 2

/** After how long a broken line of announcements is taken up again: at first, then doubling, and at most. */
const LINE = { from: 50, most: 500 }

/** For how many turns a reply that is ahead of the announcements waits for them: they come by another connection. */
const TURNS = 8

/** How many keys of a debt are told at once. */
const PAYMENT = 500

type Service = Store.Store["Service"]

/** What the store said of one key; `undefined`: it is away. */
type Opening = {
  readonly opened: Store.Opened
  readonly question: Trust.Question
  /** Its reading of the clock, and whether the reply counts at all. */
  readonly reading: number
  readonly counts: boolean
  readonly at: number
} | undefined

/** Keys that are asked for together, and who is told what the store said of each. */
interface Asked {
  readonly keys: ReadonlyArray<Store.Open>
  readonly heard: (openings: ReadonlyArray<Opening>) => void
}

/** What a flight does next: its load; it asks again; nothing, it has landed. */
type Said = "load" | "wait" | "done"

/** How far a flight has come with the store. */
class Approach {
  /** How often what the store said was overtaken. */
  drops = 0
  /** What the store has will not do: a load is needed. */
  isForced = false
  /** The lease cools, and somebody has nothing to fall back on. */
  isBeside = false
  /** How long to wait before the next question, and how long the other one's lease lasts. */
  private wait: number = POLL.from
  left: number | undefined = undefined

  next(random: number): number {
    if (this.left === undefined) return 0
    const wait = Math.min(this.left, this.wait * (0.5 + random / 2))
    this.wait = Math.min(this.wait * 2, POLL.to)
    this.left = undefined
    return Math.max(1, Math.ceil(wait))
  }
}

/** A flight on its way. */
interface Waiting<A, E> {
  readonly flight: Flight.Flight<A, E>
  readonly approach: Approach
}

/** Flights of one fiber, and where they stand among all. */
interface Squadron<A, E> {
  readonly flights: ReadonlyArray<Flight.Flight<A, E>>
  at: number
}

/** A reply, and when it was asked for. */
interface Reply<A> {
  readonly reply: Store.Reply<A>
  readonly question: Trust.Question
}

/** All caches of a layer over one store. */
export class Fleet {
  readonly tiers = new Map<string, Tier<unknown, unknown>>()
  readonly store: Service
  readonly options: Options
  private readonly now: () => number
  /** Tokens are random per process and numbered in it: a draw per key would cost more than the rest of an `open`. */
  private readonly random: string
  private tokens = 0

  constructor(store: Service, host: Flight.Host, options: Options) {
    this.options = options
    const part = () => Math.floor(host.random() * 2 ** 48).toString(36)
    this.random = `${part()}${part()}-`
    this.now = host.now
    let wasResting = false
    // Not floored, as the layer's clock is: a store answers within a millisecond.
    const time = () => Number(host.clock.monotonicTimeNanosUnsafe()) / 1e6
    this.store = Store.guard(store, {
      deadline: options.storeDeadline,
      now: host.now,
      sleep: (millis) => host.clock.sleep(Duration.millis(millis)),
      time,
      called: (cache, operation, isAnswered, since) => {
        if (host.listeners.size === 0) return
        const outcome = isAnswered ? "answered" : "failed"
        host.publish({ _tag: "StoreCalled", cache, key: "", operation, outcome, duration: time() - since })
      },
      told: (cache, failure, rests) => {
        const isResting = rests > 0
        if (isResting !== wasResting) {
          const news = failure === undefined ? "the store answers again" : `the store is left alone: ${failure.message}`
          Effect.runForkWith(host.context)(Effect.logWarning(`effect-swr: ${news}`))
        }
        wasResting = isResting
        if (host.listeners.size === 0) return
        const about = { cache, key: "" }
        if (failure === undefined) host.publish({ _tag: "StoreBack", ...about })
        else host.publish({ _tag: "StoreFailed", ...about, reason: failure.reason, error: failure.cause })
      }
    })
  }

  token(): string {
    return this.random + (++this.tokens).toString(36)
  }

  /** One cache of it. */
  tier(namespace: Namespace.Namespace, version: string): Tier<unknown, unknown> {
    const tier = new Tier(this, namespace, version)
    this.tiers.set(namespace.name, tier)
    return tier
  }

  /** Hears the others, for as long as it runs. A line that breaks is taken up again. */
  get listen(): Effect.Effect<never> {
    const { store, tiers } = this
    if (!store.powers.announces) return Effect.never
    const heard = Stream.runForEach(
      store.announcements,
      (announcement) => Effect.sync(() => tiers.get(announcement.space)?.hear(announcement))
    )
    const line = (wait: number): Effect.Effect<never> =>
      Effect.suspend(() => {
        const since = this.now()
        return Effect.flatMap(Effect.exit(heard), () => {
          // Whatever was said meanwhile is lost.
          tiers.forEach((tier) => tier.trust.distrust())
          // One that has held for a while is waited for no longer than the first one.
          const pause = this.now() - since > LINE.most ? LINE.from : wait
          return Effect.andThen(Effect.sleep(pause), Effect.suspend(() => line(Math.min(pause * 2, LINE.most))))
        })
      })
    return line(LINE.from)
  }
}

/** One cache over a store. */
export class Tier<A, E> implements Namespace.Tier<A, E> {
  readonly trust: Trust.Trust
  private readonly fleet: Fleet
  private readonly namespace: Namespace.Namespace<A, E>
  private readonly memory: Memory.Memory<A>
  private readonly host: Flight.Host
  private readonly version: string
  /**
   * Flights that may have to be forgotten together. No `Set`: where it shrinks, the old table of V8 keeps the new one
   * and the flights alive until they are old, and collecting these costs as much as all else in a batch.
   */
  private readonly aloft: Array<Squadron<A, E>> = []
  /** Who asks without a flight, which a last word of this process would forget. */
  private readonly recalls = new Set<{ readonly name: Key.Name; isOver: boolean }>()
  /** Keys that are asked for in the next round trip. */
  private opening: Array<Asked> = []
  private asking: Array<(answered: boolean) => void> | undefined = undefined
  private paying = false

  constructor(fleet: Fleet, namespace: Namespace.Namespace<A, E>, version: string) {
    this.fleet = fleet
    this.namespace = namespace
    this.memory = namespace.memory
    this.host = namespace.host
    this.version = version
    const { announces, fences } = fleet.store.powers
    this.trust = new Trust.Trust(fleet.options.trustFor, announces ? "counter" : fences ? "time" : "alone")
  }

  // ----- what memory may give

  vouches(entry: Entry.Entry<A>, at: number): boolean {
    return at < this.trust.renewFrom && entry.clock >= this.trust.floor(at)
  }

  look(
    name: Key.Name,
    at: number,
    policy: Policy.Policy<E>,
    asked: "yes" | "away" | undefined,
    isFallback = (this.memory.state(name).hold?.failures ?? 0) > 0
  ): Namespace.Look<A> | "ask" {
    const { memory, namespace, trust } = this
    let state = memory.state(name)
    // The machine names only what the namespace gave it.
    const flight = state.flight as Flight.Flight<A, E> | undefined
    // A value without a schema never was in the store.
    const isLocal = state.entry?.terms.schema === undefined
    const isTrusted = trust.isTrusted(at)
    const uses = state.entry !== undefined && !isLocal &&
      (isFallback ? State.fallback(state, at, policy) !== undefined : State.status(state, at, policy) !== "expired")
    // To join a load is to use memory, once it is older than the trust would be.
    const joins = flight !== undefined && at - flight.begunAt >= this.fleet.options.trustFor
    if (!isTrusted && asked !== "away") {
      if (uses || joins) return "ask"
    } else if (isTrusted && at >= trust.renewFrom) this.question()
    else if (!isTrusted && joins && policy.strict) {
      // Nobody can say what it missed.
      this.forget(flight)
      state = memory.state(name)
    }
    if (state.entry === undefined || isLocal) return { state, away: false }
    if (state.entry.clock < trust.base) {
      // A new epoch proves nothing about a value.
      namespace.apply(name, State.doubted(state, at, trust.base))
      state = memory.state(name)
    }
    const isUnsure = !isTrusted || (state.entry !== undefined && state.entry.clock < trust.floor(at))
    if (!isUnsure) return { state, away: false }
    if (asked === "away" && !policy.strict) return { state, away: true }
    return { state: { ...state, entry: undefined }, away: false }
  }

  get deadline(): number {
    return this.fleet.options.storeDeadline
  }

  get ask(): Effect.Effect<boolean> {
    return Effect.callback<boolean>((resume) => this.question((answered) => resume(Effect.succeed(answered))))
  }

  /** One question at a time: who comes meanwhile shares the answer. */
  private question(told?: (answered: boolean) => void): void {
    if (this.asking !== undefined) {
      if (told !== undefined) this.asking.push(told)
      return
    }
    this.asking = told === undefined ? [] : [told]
    this.run(
      this.asked((store, asker) => store.ask(asker)),
      (exit) => {
        const told = this.asking ?? []
        this.asking = undefined
        // What teaches nothing, being of an epoch that is over, is no sign of an absent store: who asked asks again.
        if (Exit.isSuccess(exit)) this.learn(exit.value)
        told.forEach((tell) => tell(Exit.isSuccess(exit)))
      }
    )
  }

  // ----- the store

  private get asker(): Store.Asker {
    return {
      space: this.namespace.name,
      version: this.version,
      heard: this.trust.seen,
      within: this.fleet.options.storeDeadline
    }
  }

  private keyOf(name: Key.Name): string {
    return Key.storedKey(this.namespace.name, name)
  }

  /** One round trip. Any reply is the occasion to pay what is owed. */
  private send<B>(
    call: (store: Service, asker: Store.Asker) => Effect.Effect<Store.Reply<B>, Store.StoreError>
  ): Effect.Effect<Reply<B>, Store.StoreError> {
    return Effect.suspend(() => {
      const question = this.trust.ask(this.host.now())
      return Effect.map(call(this.fleet.store, this.asker), (reply) => {
        if (reply.clock !== undefined) this.trust.see(reply.clock)
        if (this.trust.isIndebted) this.pay()
        return { reply, question }
      })
    })
  }

  /** A question. What is only on its way would be taken for lost: loads would be forgotten for nothing. */
  private asked<B>(
    call: (store: Service, asker: Store.Asker) => Effect.Effect<Store.Reply<B>, Store.StoreError>
  ): Effect.Effect<Reply<B>, Store.StoreError> {
    const caughtUp = (answer: Reply<B>, turns: number): Effect.Effect<Reply<B>> =>
      answer.reply.clock === undefined || turns === 0 || !this.trust.isAhead(answer.reply.clock)
        ? Effect.succeed(answer)
        : Effect.andThen(Effect.yieldNow, Effect.suspend(() => caughtUp(answer, turns - 1)))
    return Effect.flatMap(this.send(call), (answer) => caughtUp(answer, TURNS))
  }

  /** Behind everybody's back; a closing layer waits for it. */
  private run<B, E2>(effect: Effect.Effect<B, E2>, ended: (exit: Exit.Exit<B, E2>) => void): void {
    const { fibers } = this.host
    const fiber = Effect.runForkWith(this.host.context)(effect)
    fibers.add(fiber)
    fiber.addObserver((exit) => {
      fibers.delete(fiber)
      ended(exit)
    })
  }

  /** What a reply to a question teaches. False where it counts for nothing. */
  private learn({ question, reply: { clock } }: Reply<unknown>): boolean {
    const { memory, trust } = this
    if (clock === undefined) return true
    const { base, gap } = trust
    if (!trust.learn(clock, question)) return false
    memory.clock = Math.max(memory.clock, trust.heard)
    if (trust.gap > gap) {
      // Before the first word of the store there is nothing to lose.
      if (gap > 0 && this.host.listeners.size > 0) {
        this.host.publish({
          _tag: "Gap",
          cache: this.namespace.name,
          key: "",
          cause: trust.base > base ? "epoch" : "lost"
        })
      }
      this.forgetAll((flight) => flight.clock < trust.gap)
    }
    return true
  }

  private forget(flight: Flight.Flight<A, E>): void {
    this.namespace.apply(flight.name, State.abandoned(this.memory.state(flight.name), flight))
  }

  /** A change of unknown order: no load from before it may be kept. */
  private forgetAll(which: (flight: Flight.Flight<A, E>) => boolean = () => true): void {
    // Those that are forgotten may land, and others begin.
    for (const flight of this.aloft.flatMap(({ flights }) => flights)) if (which(flight)) this.forget(flight)
  }

  // ----- flights

  fly(
    flights: ReadonlyArray<Flight.Flight<A, E>>,
    load: (flights: ReadonlyArray<Flight.Flight<A, E>>) => Effect.Effect<void, E>,
    fork: (flown: Effect.Effect<void>, ended: () => void) => void
  ): void {
    // Until the store has answered there is no reading that they could be older than.
    for (const flight of flights) flight.clock = Infinity
    const squadron = { flights, at: this.aloft.length }
    this.aloft.push(squadron)
    const goes = (flights: ReadonlyArray<Flight.Flight<A, E>>): Effect.Effect<void> =>
      Effect.suspend(() => {
        for (const flight of flights) if (!flight.landed) this.namespace.loads(flight)
        // A lookup of many that fails, fails those it was asked for.
        return Effect.catchCause(load(flights), (cause) =>
          Effect.sync(() => flights.forEach((flight) => this.namespace.land(flight, Exit.failCause(cause)))))
      })
    const follow = (waiting: ReadonlyArray<Waiting<A, E>>, said: ReadonlyArray<Said>): Effect.Effect<unknown> => {
      const ready = waiting.filter((_, i) => said[i] === "load").map(({ flight }) => flight)
      const rest = waiting.filter((_, i) => said[i] === "wait")
      const later = Effect.suspend(() => again(rest))
      return all<unknown, never>([...ready.length === 0 ? [] : [goes(ready)], ...rest.length === 0 ? [] : [later]])
    }
    const opened = (waiting: ReadonlyArray<Waiting<A, E>>) =>
      Effect.callback<ReadonlyArray<Said>>((resume) => this.open(waiting, resume))
    // Who waits for another process asks again together with the others of its batch, and loads together with them.
    const again = (waiting: ReadonlyArray<Waiting<A, E>>): Effect.Effect<unknown> => {
      const wait = this.pause(waiting)
      const pause = wait > 0 ? this.host.clock.sleep(Duration.millis(wait)) : Effect.yieldNow
      return Effect.flatMap(Effect.andThen(pause, opened(waiting)), (said) => follow(waiting, said))
    }
    let isOver = false
    const end = () => {
      if (isOver) return []
      isOver = true
      const last = this.aloft.pop()
      if (last !== undefined && last !== squadron) {
        last.at = squadron.at
        this.aloft[last.at] = last
      }
      return flights.flatMap((flight) => this.free(flight) ?? [])
    }
    // Also where the fiber was interrupted before it began.
    const ended = () => {
      const freed = end()
      if (freed.length > 0) this.run(Effect.uninterruptible(all(freed)), () => {})
    }
    const waiting = flights.map((flight) => ({ flight, approach: new Approach() }))
    const goOn = (said: Effect.Effect<ReadonlyArray<Said>>) =>
      fork(
        Effect.asVoid(
          Effect.ensuring(Effect.flatMap(said, (said) => follow(waiting, said)), Effect.suspend(() => all(end())))
        ),
        ended
      )
    // A refresh begins later than it is begun: only then is it asked who owes what, and for whom.
    if (flights[0]?.cause === "refresh") return goOn(opened(waiting))
    this.open(waiting, (said) => {
      // Where the store had all of it, or nobody waits any more, no fiber is needed.
      if (Exit.isExit(said) && flights.every(({ landed }) => landed)) ended()
      else goOn(said)
    })
  }

  /** How long to wait before the next question: as long as the most impatient of them. */
  private pause(waiting: ReadonlyArray<Waiting<A, E>>): number {
    const random = this.host.random()
    return waiting.reduce((least, { approach }) => Math.min(least, approach.next(random)), Infinity)
  }

  /** Asks the store for the keys of flights: what it has is for who waits, and it says who may load. */
  private open(
    waiting: ReadonlyArray<Waiting<A, E>>,
    told: (said: Effect.Effect<ReadonlyArray<Said>>) => void
  ): void {
    const asks = waiting.map((one) => ({ ...one, asked: this.asks(one) }))
    const keys = asks.flatMap(({ asked }) => typeof asked === "string" ? [] : [asked])
    const heard = (openings: ReadonlyArray<Opening>) => {
      let at = 0
      const said = all(
        asks.map(({ approach, asked, flight }) =>
          typeof asked === "string" ? Effect.succeed(asked) : this.answered(flight, approach, openings[at++])
        )
      )
      // What the store has not settled takes its time. (A timer would be a sixth of what a hit of the store costs.)
      this.namespace.limit(waiting.map(({ flight }) => flight))
      told(said)
    }
    if (keys.length === 0) heard([])
    else this.queue(keys, heard)
  }

  /** What a flight asks the store, or what it does without. */
  private asks({ approach, flight }: Waiting<A, E>): Store.Open | Said {
    const { job: { policy, spec }, name } = flight
    // Of a batch that waits, this one's readers may have left.
    if (flight.landed) return "done"
    if (spec.codec === undefined || flight.away) return this.alone(flight)
    // What the store has is not what it was told.
    if (this.trust.owes(name)) {
      this.pay()
      return this.alone(flight)
    }
    const token = this.fleet.token()
    // From now on the right may be ours.
    flight.token = token
    const { leaseFor } = this.fleet.options
    return {
      key: this.keyOf(name),
      policy: isForced(flight, approach)
        ? { freshFor: 0, maxAge: policy.maxAge, jitter: 0, strict: false }
        : policy,
      token,
      beside: approach.isBeside,
      leaseFor,
      tokenFor: spec.hardTimeout + leaseFor
    }
  }

  /** It loads without the store. */
  private alone(flight: Flight.Flight<A, E>): Said {
    flight.token = undefined
    flight.clock = this.trust.stamp(this.host.now(), this.memory.clock)
    return "load"
  }

  /** What follows from what the store said of a key. */
  private answered(flight: Flight.Flight<A, E>, approach: Approach, opening: Opening): Effect.Effect<Said> {
    const { host, memory } = this
    const { job: { policy, spec }, name } = flight
    if (flight.landed) return Effect.succeed("done")
    if (opening === undefined) {
      flight.unheard = flight.token
      const said = this.alone(flight)
      flight.tell("away")
      if (flight.landed) return Effect.succeed("done")
      const { entry } = memory.state(name)
      // Who waited has been given what memory has: a hit is no load because the store is away.
      const isHit = flight.waiters === 0 && flight.cause === "miss" && entry !== undefined
      if (!isHit || Entry.status(entry, host.now(), policy) !== "fresh") return Effect.succeed(said)
      this.namespace.settle(flight, State.abandoned(memory.state(name), flight))
      return Effect.succeed("done")
    }
    return Effect.mapEager(
      this.decoded(name, spec, opening),
      (entry) => flight.landed ? "done" : this.hearOpened(flight, approach, opening, entry)
    )
  }

  recall(name: Key.Name, key: unknown, spec: Job.Spec<A, E>): Effect.Effect<void> {
    const { memory, namespace, trust } = this
    return Effect.suspend(() => {
      if (spec.codec === undefined) return Effect.void
      if (trust.owes(name)) return Effect.sync(() => this.pay())
      const asked = { key: this.keyOf(name), policy: spec.policy, beside: false, leaseFor: 0, tokenFor: 0 }
      const recall = { name, isOver: false }
      this.recalls.add(recall)
      const recalled = Effect.flatMap(this.opened([{ ...asked, token: undefined }]), ([opening]) => {
        if (opening === undefined) return Effect.void
        return Effect.map(this.decoded(name, spec, opening), (entry) => {
          if (recall.isOver || this.isOvertaken(name, opening, entry) || trust.owes(name)) return
          const state = memory.state(name)
          const weight = entry && namespace.weigh(entry.value, key)
          if (entry === undefined || weight === undefined || !memory.fits(weight)) this.disown(name)
          else namespace.apply(name, State.known(state, entry), this.host.now(), weight)
        })
      })
      return Effect.ensuring(recalled, Effect.sync(() => this.recalls.delete(recall)))
    })
  }

  /** The store's word counts: nothing there, nothing here. */
  private disown(name: Key.Name): void {
    const state = this.memory.state(name)
    if (state.entry !== undefined && state.entry.clock < this.trust.floor(this.host.now())) {
      this.namespace.apply(name, State.disowned(state))
    }
  }

  /** Asks for keys, together with all that are asked for in this step. */
  private opened(keys: ReadonlyArray<Store.Open>): Effect.Effect<ReadonlyArray<Opening>> {
    return Effect.callback((resume) => this.queue(keys, (openings) => resume(Effect.succeed(openings))))
  }

  private queue(keys: ReadonlyArray<Store.Open>, heard: Asked["heard"]): void {
    this.opening.push({ keys, heard })
    if (this.opening.length === 1) this.flush()
  }

  /** The entry that the store has, if it decodes. */
  private decoded(
    name: Key.Name,
    spec: Job.Spec<A, E>,
    opening: Exclude<Opening, undefined>
  ): Effect.Effect<Entry.Entry<A> | undefined> {
    const { host, memory, namespace } = this
    const { entry: stored, problem } = opening.opened
    const failed = (error: unknown) => {
      if (host.listeners.size > 0) host.publish({ _tag: "DecodeFailed", ...namespace.about(name), error })
      return undefined
    }
    if (problem !== undefined) return Effect.sync(() => failed(problem))
    if (stored === undefined) return Effect.succeed(undefined)
    // The schema of a cache over a store has a codec of text.
    const codec = spec.codec as Codec.Text<A>
    return Effect.matchEager(stored.json === undefined ? codec.decode(stored.value) : codec.decodeJson(stored.json), {
      onSuccess: (value) => this.entryOf(stored, value, opening, spec, memory.state(name).entry),
      onFailure: failed
    })
  }

  /** A last word may have overtaken this reply, also an announcement of another epoch. */
  private isOvertaken(
    name: Key.Name,
    { counts, question, reading }: Exclude<Opening, undefined>,
    entry: Entry.Entry<A> | undefined
  ): boolean {
    const { memory, trust } = this
    const latest = Math.max(trust.noted(name), memory.noted(entry?.terms.tags ?? []), trust.gap)
    return !counts || latest > reading || !trust.isCurrent(question)
  }

  /** What follows from what the store said of a key: one step. */
  private hearOpened(
    flight: Flight.Flight<A, E>,
    approach: Approach,
    opening: Exclude<Opening, undefined>,
    entry: Entry.Entry<A> | undefined
  ): Said {
    const { host, memory, namespace, trust } = this
    const wasForced = isForced(flight, approach)
    const { job: { key, policy }, name } = flight
    const { opened: { lease }, reading } = opening
    const given = lease === "given"
    const now = host.now()
    if (given) this.renew(flight)
    else flight.token = undefined
    const isOvertaken = this.isOvertaken(name, opening, entry)
    if (isOvertaken || trust.owes(name)) {
      const freed = given ? this.free(flight) : undefined
      if (freed !== undefined) this.run(freed, () => {})
      return isOvertaken && ++approach.drops <= DROPS ? "wait" : this.alone(flight)
    }
    flight.clock = reading
    if (lease !== undefined && host.listeners.size > 0) {
      const outcome = given ? "given" : lease.cooling ? "cooling" : "held"
      host.publish({ _tag: "Lease", ...namespace.about(name), outcome })
    }
    const state = memory.state(name)
    const isCurrent = state.flight === flight
    let news = false
    const weight = entry && namespace.weigh(entry.value, key)
    if (isCurrent && entry !== undefined && weight !== undefined && memory.fits(weight)) {
      const next = State.recalled(state, flight, entry, now, wasForced ? { ...policy, freshFor: 0 } : policy)
      if (next.flight !== flight) {
        namespace.settle(flight, next, weight)
        return "done"
      }
      namespace.apply(name, next, now, weight)
      news = true
    } else if (isCurrent) this.disown(name)
    const cools = !given && lease?.cooling === true
    if (cools) namespace.apply(name, State.cooling(memory.state(name), flight, now + lease.left))
    // Told when both are known: that there is an old value, and why it stays so.
    if (news || cools) flight.tell("recalled")
    if (flight.landed) return "done"
    if (given) return "load"
    if (!isCurrent) {
      // It was forgotten while it asked: who waits looks again.
      namespace.settle(flight, memory.state(name))
      return "done"
    }
    const goesOn = flight.waiters > 0 || flight.cause === "revalidate"
    if (lease === undefined) {
      // Fresh for the store's judgement, and somebody waits for more. A store that says so twice does not know.
      if (goesOn && wasForced && ++approach.drops > DROPS) return this.alone(flight)
      approach.isForced = true
      if (!goesOn) namespace.settle(flight, State.abandoned(memory.state(name), flight))
      return goesOn ? "wait" : "done"
    }
    const until = now + lease.left
    if (flight.waiters > 0 || flight.cause === "revalidate") {
      // A store that says so although the load is to be beside the lease does not know.
      if (lease.cooling && approach.isBeside) return this.alone(flight)
      if (lease.cooling) approach.isBeside = true
      else approach.left = lease.left
      return "wait"
    }
    // Who may be given an old value never waits for another process, and looks again when that may have loaded.
    const again = lease.cooling ? until : Math.min(until, now + YIELD)
    namespace.settle(flight, State.yielded(memory.state(name), flight, again))
    return "done"
  }

  /** Sends what was asked for since the last time: all keys of one step go together. */
  private flush(): void {
    let asked = this.opening
    this.run(
      Effect.andThen(
        Effect.yieldNow,
        Effect.suspend(() => {
          asked = this.opening
          this.opening = []
          const keys = asked.length === 1 ? asked[0]!.keys : asked.flatMap(({ keys }) => keys)
          return Effect.map(
            Effect.exit(this.asked((store, asker) => store.open(asker, keys))),
            (exit) => {
              const told = asked
              // Each is told once, also if the layer closes in this very step.
              asked = []
              if (Exit.isFailure(exit)) return told.forEach(({ heard }) => heard([]))
              const openings = this.openings(exit.value)
              let at = 0
              for (const { heard, keys } of told) heard(openings.slice(at, at += keys.length))
            }
          )
        })
      ),
      (exit) => {
        // The layer closes: also who asks without a flight waits no longer.
        if (Exit.isFailure(exit)) [...asked, ...this.opening.splice(0)].forEach(({ heard }) => heard([]))
      }
    )
  }

  /** What a reply says of each key, and what it teaches. */
  private openings(answer: Reply<ReadonlyArray<Store.Opened>>): ReadonlyArray<Opening> {
    const { question, reply: { clock, value } } = answer
    const learned = this.learn(answer)
    const known = clock === undefined
      ? this.trust.stamp(question.sentAt, this.memory.clock)
      : this.trust.reading(clock)
    // A reply of an epoch that is over says nothing of now.
    const counts = learned && known !== undefined
    const at = this.host.now()
    return value.map((opened) => ({ opened, question, counts, reading: known ?? -1, at }))
  }

  private entryOf(
    { age, jitter, marked, tags, windows }: Exclude<Store.Opened["entry"], undefined>,
    value: A,
    { at, reading }: Exclude<Opening, undefined>,
    spec: Job.Spec<A, E>,
    known: Entry.Entry<A> | undefined
  ): Entry.Entry<A> {
    const { freshFor = Infinity, life, maxAge = Infinity, staleIfError = Infinity } = windows
    const terms = { freshFor, maxAge, staleIfError, life, tags, schema: spec.terms.schema }
    const drawn = Math.floor(jitter * Entry.JITTER_STEPS)
    const bornAt = at - age
    // Of one value the age only grows, also where this round trip was faster than the last.
    const isKnown = known?.jitter === drawn && known.terms.life === life &&
      Math.abs(known.bornAt - bornAt) <= this.fleet.options.storeDeadline
    return new Entry.Entry(value, isKnown ? Math.min(known.bornAt, bornAt) : bornAt, reading, drawn, marked, terms)
  }

  finish(flight: Flight.Flight<A, E>, load: Effect.Effect<A, E>): Effect.Effect<void> {
    return Effect.flatMap(Effect.exit(load), (exit) => {
      if (flight.landed) return Effect.void
      // Who is answered may close the layer in this very step: the store is told all the same.
      if (Exit.isSuccess(exit) && flight.token !== undefined) {
        return Effect.uninterruptible(Effect.suspend(() => this.commit(flight, exit.value)))
      }
      this.namespace.land(flight, exit)
      return Effect.void
    })
  }

  /** Answers who waits, then tells the store, then memory. */
  private commit(flight: Flight.Flight<A, E>, value: A): Effect.Effect<void> {
    const { namespace, trust } = this
    const { name, text, token = "" } = flight
    const judged = namespace.judge(flight, value)
    const { entry, wish } = judged
    namespace.answer(flight, judged)
    // Shared, or not encoded: what the store has stays, and the lease is given back. So where a last word came, and the
    // store could not tell.
    const isLost = flight.forgotten && !this.fleet.store.powers.fences
    if (wish === "share" || wish === "keep" || wish === "encode" || flight.passing || isLost) {
      return Effect.sync(() => namespace.put(flight, judged, true))
    }
    // Begun under another epoch: nobody knows what the store has forgotten since.
    if (entry.clock < trust.base) return Effect.sync(() => namespace.put(flight, judged, false))
    const stored = wish === "pass" || text === undefined ? undefined : this.stored(entry, text)
    const told = this.send((store, asker) => store.commit(asker, { key: this.keyOf(name), token, stored }))
    return Effect.map(Effect.exit(told), (exit) => {
      const reply = Exit.isSuccess(exit) ? exit.value.reply : undefined
      if (reply !== undefined) flight.token = undefined
      if (reply?.clock !== undefined && trust.reading(reply.clock) === undefined) trust.distrust()
      // Where the store is away, memory has it.
      if (wish !== "pass") namespace.put(flight, judged, reply?.value ?? true)
    })
  }

  private stored({ bornAt, clock, jitter, terms }: Entry.Entry<A>, text: string): Store.Stored {
    const { freshFor, life, maxAge, staleIfError, tags } = terms
    return {
      value: text,
      age: Math.max(0, this.host.now() - bornAt),
      windows: {
        ...(freshFor < Infinity && { freshFor }),
        ...(maxAge < Infinity && { maxAge }),
        ...(staleIfError < Infinity && { staleIfError }),
        life
      },
      jitter: jitter / Entry.JITTER_STEPS,
      tags,
      clock: this.trust.clockOf(clock)
    }
  }

  /** Keeps the lease while the load runs. */
  private renew(flight: Flight.Flight<A, E>): void {
    const { options: { leaseFor }, store } = this.fleet
    const { name, token } = flight
    if (token === undefined || !store.powers.leases) return
    const lease = { key: this.keyOf(name), token, to: "renew", millis: leaseFor } as const
    flight.renewal = this.namespace.sleep(Math.ceil(leaseFor / 3), () => {
      if (flight.landed || flight.token !== token) return
      this.run(this.send((store, asker) => store.lease(asker, lease)), () => {})
      this.renew(flight)
    })
  }

  /** Gives the lease back, or leaves it to cool for as long as the key backs off; where there is one. */
  private free(flight: Flight.Flight<A, E>): Effect.Effect<void> | undefined {
    const { failed, token = flight.unheard } = flight
    flight.renewal?.interruptUnsafe()
    if (token === undefined) return undefined
    const isHeard = flight.token !== undefined
    flight.token = undefined
    flight.unheard = undefined
    const key = this.keyOf(flight.name)
    return Effect.ignore(this.send((store, asker) =>
      // The error is an answer: what the store has is wrong.
      failed?.isAnswer === true && isHeard
        ? store.commit(asker, { key, token, stored: undefined })
        : failed !== undefined && failed.retryIn > 0
        ? store.lease(asker, { key, token, to: "cool", millis: failed.retryIn })
        : store.lease(asker, { key, token, to: "release", millis: 0 })
    ))
  }

  // ----- last words

  change<B>(change: Namespace.Change<A>, step: (heard: Namespace.Heard) => B): Effect.Effect<B, Store.StoreError> {
    return Effect.uninterruptible(Effect.suspend(() => {
      const { memory, trust } = this
      const called = trust.ask(this.host.now())
      const clock = memory.clock
      const told = this.send((store, asker) => store.change(asker, this.told(change)))
      return Effect.flatMap(Effect.exit(told), (exit) => {
        const names = change.mode === "set" ? [change.name] : "names" in change ? change.names : undefined
        this.recalls.forEach((recall) => recall.isOver ||= names?.includes(recall.name) ?? true)
        if (Exit.isSuccess(exit)) {
          trust.settle(debtOf(change), exit.value.question)
          return Effect.succeed(step(this.accepted(change, exit.value.reply.clock, called)))
        }
        if (change.mode === "tag" || change.mode === "clear") this.forgetAll()
        // It counts from when it was called: whatever was heard since is later.
        const isLast = trust.isCurrent(called) && this.latest(change) <= clock
        step({ before: Infinity, clock: trust.stamp(called.sentAt, clock), isLast })
        const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
        // What the store can't do it does not owe.
        if (error?.reason !== "unsupported") trust.owe(debtOf(change))
        return Effect.failCause(exit.cause)
      })
    }))
  }

  /** The store has taken a last word: how it counts here. */
  private accepted(
    change: Namespace.Change<A>,
    clock: Store.Clock | undefined,
    called: Trust.Question
  ): Namespace.Heard {
    const { memory, trust } = this
    if (clock === undefined) {
      if (change.mode === "tag" || change.mode === "clear") this.forgetAll()
      return { before: Infinity, clock: trust.stamp(called.sentAt, memory.clock + 1), isLast: true }
    }
    const latest = this.latest(change)
    const reading = trust.hear(clock)
    if (reading === undefined) {
      this.forgetAll()
      return { before: Infinity, clock: memory.clock, isLast: false }
    }
    this.note(newsOf(change), reading)
    const kept = change.mode === "set" ? memory.state(change.name).entry?.clock ?? -1 : -1
    const isLast = trust.isCurrent(called) && latest <= reading && kept <= reading && reading >= trust.gap
    return { before: reading, clock: reading, isLast }
  }

  /** The latest that was heard of what a change writes. */
  private latest(change: Namespace.Change<A>): number {
    if (change.mode !== "set") return -1
    return Math.max(this.trust.noted(change.name), this.memory.noted(change.entry.terms.tags))
  }

  private note(news: News, reading: number): void {
    const { memory, trust } = this
    memory.clock = Math.max(memory.clock, trust.heard)
    if (news.mode === "clear") trust.note(undefined, reading)
    else if (news.mode !== "tag") news.names.forEach((name) => trust.note(name, reading))
  }

  /** What another process, or this one, has told all. Who can reach the store may have written it. */
  hear({ clock, news: text }: Store.Announcement): void {
    const { memory, namespace, trust } = this
    const news = readNews(text)
    if (news === undefined) return
    const reading = trust.hear(clock)
    if (reading === undefined) this.forgetAll()
    else this.note(news, reading)
    const before = reading ?? Infinity
    if (news.mode === "clear") namespace.overtakeAll(memory.all(), before)
    else if (news.mode === "tag") namespace.overtakeTag(news.tag, before, reading ?? memory.clock)
    else {
      const mode = news.mode === "soft" ? "soft" : "hard"
      namespace.gather(undefined, () => news.names.forEach((name) => namespace.overtake(name, mode, before)))
    }
  }

  /** Tells the store what it did not hear: always as an invalidation, as what it has by now may be newer. */
  private pay(): void {
    const { trust } = this
    const debt = this.paying ? undefined : trust.due(PAYMENT)
    if (debt === undefined) return
    this.paying = true
    this.run(this.send((store, asker) => store.change(asker, this.told(debt))), (exit) => {
      this.paying = false
      if (Exit.isFailure(exit)) {
        const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
        if (error?.reason === "unsupported") trust.settle(debt, trust.ask(this.host.now()))
        return
      }
      const { question, reply: { clock } } = exit.value
      trust.settle(debt, question)
      if (clock !== undefined) {
        const reading = trust.hear(clock)
        if (reading !== undefined) this.note(debt, reading)
      }
      this.pay()
    })
  }

  /** As the store is told. */
  private told(change: Namespace.Change<A> | Trust.Debt): Store.Change {
    const news = JSON.stringify(newsOf(change))
    switch (change.mode) {
      case "set":
        return { mode: "set", key: this.keyOf(change.name), stored: this.stored(change.entry, change.text), news }
      case "tag":
        return { mode: "tag", tag: change.tag, news }
      case "clear":
        return { mode: "clear", news }
      default:
        return { mode: change.mode, keys: change.names.map((name) => this.keyOf(name)), news }
    }
  }
}

/** What is there will not do. What `revalidate` waits for began after its call. */
const isForced = (flight: Pick<Flight.Flight, "cause">, approach: Approach): boolean =>
  approach.isForced || flight.cause === "revalidate"

/** Side by side; what is known already, or alone, needs no fiber of its own. */
const all = <B, E>(effects: ReadonlyArray<Effect.Effect<B, E>>): Effect.Effect<ReadonlyArray<B>, E> => {
  const [first] = effects
  if (first !== undefined && effects.length === 1) return Effect.mapEager(first, (one) => [one])
  return effects.every(Exit.isExit)
    ? Effect.forEach(effects, (exit) => exit)
    : Effect.all(effects, { concurrency: "unbounded" })
}

/** What is announced of a last word. */
type News = { readonly mode: "hard" | "soft"; readonly names: ReadonlyArray<Key.Name> } | {
  readonly mode: "tag"
  readonly tag: string
} | { readonly mode: "clear" }

const newsOf = <A>(change: Namespace.Change<A> | Trust.Debt): News =>
  change.mode === "set" ? { mode: "hard", names: [change.name] } : change

const debtOf = newsOf

const readNews = (text: string): News | undefined => {
  const news: unknown = Result.getOrUndefined(Result.try((): unknown => JSON.parse(text)))
  if (typeof news !== "object" || news === null || !("mode" in news)) return undefined
  if (news.mode === "clear") return { mode: "clear" }
  if (news.mode === "tag") {
    return "tag" in news && typeof news.tag === "string"
      ? { mode: "tag", tag: news.tag }
      : undefined
  }
  if ((news.mode !== "hard" && news.mode !== "soft") || !("names" in news) || !Array.isArray(news.names)) {
    return undefined
  }
  return { mode: news.mode, names: news.names.filter((name) => typeof name === "string" || typeof name === "number") }
}
