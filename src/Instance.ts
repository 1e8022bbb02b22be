/**
 * One cache at work: asks the machine, and does what it says. Every entrance reads, writes and invalidates through
 * these few functions, whatever its keys and types.
 *
 * @since 0.1.0
 */
import { Cause, Context, Effect, Exit, type Fiber, Option, Queue, Ref, Stream, SynchronizedRef } from "effect"
import type * as Answer from "./Answer.ts"
import * as Codec from "./Codec.ts"
import * as Entry from "./Entry.ts"
import * as Event from "./Event.ts"
import * as Flight from "./Flight.ts"
import * as Job from "./Job.ts"
import type * as Key from "./Key.ts"
import type * as Memory from "./Memory.ts"
import * as Namespace from "./Namespace.ts"
import type * as Policy from "./Policy.ts"
import * as State from "./State.ts"
import * as Store from "./Store.ts"

/** Ends a wait. */
type Resume<B, E> = (effect: Effect.Effect<B, E>) => void

/** Who reads a key. */
interface Reader<A, E, B> {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly name: Key.Name
  readonly policy: Policy.Policy<E>
  readonly request: Answer.Request<A, E, B>
  /** What it found at first, where it looks again. */
  readonly found: Policy.Status | undefined
  /** Whether it has asked the store how far memory may be trusted. */
  readonly asked?: "yes" | "away" | undefined
  /** The store has just been heard. */
  readonly source?: "memory" | "store" | undefined
}

interface Waiting<A, E, B> extends Reader<A, E, B> {
  readonly found: Policy.Status
}

/** It has to ask the store first. */
const ASK = "ask"

/** How often a reader asks, before it takes the store for away: what it learned was overtaken each time. */
const ASKS = 3

/** What a reader that has to wait has seen. */
interface Seen<A> {
  readonly decision: State.Decision
  readonly state: State.State<A>
  readonly status: Policy.Status
  readonly at: number
}

/** Of the changes by `mutate` that run in this fiber: whose turn it is. */
const Writing = Context.Reference<ReadonlyArray<object>>("~effect-swr/Instance/Writing", { defaultValue: () => [] })

/** One cache. */
export class Instance<A = unknown, E = unknown> implements Answer.Origin<A, E> {
  readonly namespace: Namespace.Namespace<A, E>
  private readonly host: Flight.Host
  private readonly memory: Memory.Memory<A>
  /** The keys whose changes somebody watches. */
  readonly watched = new Map<Key.Name, { readonly request: Answer.Request<A, E, unknown>; watchers: number }>()
  private readonly writers = new Map<
    Key.Name,
    { readonly lock: SynchronizedRef.SynchronizedRef<undefined>; users: number }
  >()

  constructor(namespace: Namespace.Namespace<A, E>) {
    this.namespace = namespace
    this.host = namespace.host
    this.memory = namespace.memory
  }

  /** The evidence of a value that was just written. */
  written(policy: Policy.Policy<E>): Answer.Found<E> {
    return { status: "fresh", source: "lookup", reason: undefined, at: this.host.now(), policy }
  }

  /** A fresh hit: one look at the table, nothing else. */
  fresh(
    name: Key.Name,
    policy: Policy.Policy<E>,
    schema: Entry.Terms["schema"],
    at: number
  ): Entry.Entry<A> | undefined {
    const cell = this.memory.find(name)
    const entry = cell === undefined ? undefined : Ref.getUnsafe(cell).entry
    if (cell === undefined || entry === undefined || entry.terms.schema !== schema || this.host.closed) return undefined
    if (Entry.status(entry, at, policy) !== "fresh") return undefined
    const { tier } = this.namespace
    if (tier !== undefined && !tier.vouches(entry, at)) return undefined
    this.hit(cell, entry, at)
    return entry
  }

  private hit(cell: Memory.Cell<A>, entry: Entry.Entry<A>, at: number): void {
    this.memory.visit(cell)
    this.namespace.counters.hits++
    if (this.host.listeners.size > 0) {
      this.host.publish(new Event.Hit(this.namespace.name, cell.key, Entry.age(entry, at)))
    }
  }

  /** **read.** */
  read<B>(
    fiber: Fiber.Fiber<unknown, unknown>,
    name: Key.Name,
    policy: Policy.Policy<E>,
    request: Answer.Request<A, E, B>
  ): Effect.Effect<B, E> {
    const at = this.host.now()
    const entry = this.fresh(name, policy, request.spec.terms.schema, at)
    if (entry !== undefined) return Exit.succeed(request.hit(name, entry, at, policy))
    return this.look({ fiber, name, policy, request, found: undefined }, 1, at)
  }

  /** Looks, and does what that decides. */
  private look<B>(reader: Reader<A, E, B>, times: number, at?: number): Effect.Effect<B, E> {
    const seen = this.glance(reader, at)
    if (seen === ASK) return this.question(reader, times)
    return Exit.isExit(seen) ? seen : this.attend({ ...reader, found: reader.found ?? seen.status }, seen)
  }

  /** Asks the store how far memory may be trusted, and looks again. */
  private question<B>(reader: Reader<A, E, B>, times = 1): Effect.Effect<B, E> {
    return Effect.flatMap(this.namespace.tier?.ask ?? Effect.succeed(false), (answered) => {
      return this.look({ ...reader, asked: answered && times < ASKS ? "yes" : "away" }, times + 1)
    })
  }

  /**
   * Joins the load that the machine named, or starts the one that it asked for, and waits: in one step, so that nothing
   * can come between a load and the reader it is for.
   */
  private attend<B>(reader: Waiting<A, E, B>, first?: Seen<A>): Effect.Effect<B, E> {
    const { fiber, name, request } = reader
    return Effect.callback((resume) => {
      // The fiber may have paused since it looked.
      const seen = first !== undefined && this.memory.state(name) === first.state ? first : this.glance(reader)
      if (seen === ASK) return resume(this.question(reader))
      if (Exit.isExit(seen)) return resume(seen)
      const { at, decision, state } = seen
      // The machine names only what the namespace gave it.
      if (decision === "join") return this.follow(reader, state.flight as Flight.Flight<A, E>, false, resume)
      const flight = new Flight.Flight<A, E>(this.namespace, name, request.job(fiber), "miss", decision === "pass")
      flight.away = reader.asked === "away"
      return this.begins(fiber, flight, State.departed(state, flight), at)
        ? this.follow(reader, flight, true, resume)
        : resume(this.cycle(name))
    })
  }

  private cycle(name: Key.Name): Effect.Effect<never> {
    return Effect.die(new Flight.LookupCycle(this.namespace.about(name)))
  }

  /** Begins a load that its reader is about to wait for, unless it could never end. */
  private begins(
    fiber: Fiber.Fiber<unknown, unknown>,
    flight: Flight.Flight<A, E>,
    next: State.State<A>,
    at: number
  ): boolean {
    if (flight.alone && Flight.isLoading(fiber, this.namespace, flight.name)) return false
    flight.crew.parent = fiber.getRef(Flight.Current)
    // Counted before it begins: its own lookup may make everybody else leave.
    flight.waiters++
    if (flight.alone) this.namespace.begin(flight, at)
    else this.namespace.apply(flight.name, next, at)
    flight.waiters--
    return true
  }

  /**
   * Waits for a load, or as long as the reader's patience lasts while an old value stands ready, and resumes with what
   * the load brought, or with what stands in for it. Answers what to do when the reader is interrupted.
   */
  private follow<B>(
    waiting: Waiting<A, E, B>,
    flight: Flight.Flight<A, E>,
    isStarter: boolean,
    resume: Resume<B, E>
  ): Effect.Effect<void> | void {
    const { fiber, name, policy } = waiting
    let reader = waiting
    // A patience of 0 is over in this very step.
    let timer: Fiber.Fiber<unknown, unknown> | undefined
    const { host, memory, namespace } = this
    const joinedAt = memory.clock
    // A lookup that answers at once has landed by now.
    const { landing } = flight
    if (landing !== undefined) {
      const value = Exit.isSuccess(landing) ? landing.value : undefined
      const isNoted = value !== undefined && memory.noted(value.entry.terms.tags) > flight.clock
      const isMine = isStarter || value === undefined ||
        !(value.pass || isNoted) && this.fits(value.entry, reader.request.spec)
      if (isMine) return resume(this.land(reader, landing, isStarter, joinedAt))
      // It is still on its way to the store, and nothing for who comes now.
      namespace.apply(name, State.abandoned(memory.state(name), flight))
      return resume(this.attend(reader))
    }
    const wait = Namespace.wait(namespace, flight, fiber, (landing) => {
      timer?.interruptUnsafe()
      unlook?.()
      resume(this.land(reader, landing, isStarter, joinedAt))
    })
    if (wait === undefined) return resume(this.cycle(name))
    // The store may have what this reader waits for, or be away, before the load has ended.
    const unlook = namespace.tier && flight.look((news) => {
      const seen = this.glance(news === "away" ? { ...reader, asked: news } : { ...reader, source: "store" })
      if (Exit.isExit(seen)) return leave(seen)
      if (news === "away" || seen === ASK || seen.state.entry === undefined) return
      // What the store has may stand in for the load.
      reader = { ...reader, source: "store", found: seen.status }
      if (isImpatient) give()
    })
    const leave = (exit: Effect.Effect<B, E>) => {
      unlook?.()
      timer?.interruptUnsafe()
      wait.leave(true)
      resume(exit)
    }
    let isImpatient = false
    const give = () => {
      isImpatient = true
      const old = this.standIn(reader, host.now())
      if (old === ASK) leave(this.standingIn(reader, "timeout", this.attend(reader)))
      else if (old !== undefined) leave(this.stands(reader, old, "timeout"))
    }
    const { softTimeout } = policy
    // Over a store there may be something to give by then.
    if (softTimeout !== undefined && (namespace.tier !== undefined || this.standIn(reader, host.now()) !== undefined)) {
      timer = namespace.sleep(softTimeout, give)
    }
    return Effect.sync(() => {
      unlook?.()
      timer?.interruptUnsafe()
      wait.leave(false)
    })
  }

  /** What a reader gets of a load that ended. */
  private land<B>(
    reader: Waiting<A, E, B>,
    landing: Flight.Landed<A, E>,
    isStarter: boolean,
    joinedAt: number
  ): Effect.Effect<B, E> {
    const { found, name, policy, request } = reader
    if (Exit.isSuccess(landing)) {
      // Memory says more now.
      if (landing.value === undefined) return this.look({ ...reader, source: "store" }, 1)
      const { at, entry, noted, pass } = landing.value
      const mine = (isStarter || (!pass && (!noted || joinedAt <= entry.clock))) && this.fits(entry, request.spec)
      // Nobody can say what a load that was joined has missed since it began.
      const reason = !isStarter && reader.asked === "away" && !policy.strict ? "store" : undefined
      return mine
        ? Exit.succeed(request.view(name, entry, { status: found, source: "lookup", reason, at, policy }))
        : this.attend(reader)
    }
    const { cause } = landing
    const closing = this.host.closed && Cause.hasInterrupts(cause)
    const old = Job.isOutage(policy, cause, false) && !closing ? this.standIn(reader, this.host.now()) : undefined
    const failed = Exit.failCause(this.told(name, request.spec, cause))
    if (old === ASK) return this.standingIn(reader, "error", failed)
    return old === undefined ? failed : this.stands(reader, old, "error")
  }

  /** The old value that may stand in for a load that failed or is slow; or the store has to be asked first. */
  private standIn<B>({ asked, name, policy }: Reader<A, E, B>, at: number): Entry.Entry<A> | typeof ASK | undefined {
    const entry = State.fallback(this.memory.state(name), at, policy)
    if (entry === undefined) return undefined
    const state = this.old(name, policy, at, asked)
    return state === ASK ? state : State.fallback(state, at, policy)
  }

  private stands<B>(reader: Waiting<A, E, B>, entry: Entry.Entry<A>, reason: "error" | "timeout"): Effect.Effect<B> {
    return Exit.succeed(this.serve(reader, entry, reader.found, reason, true))
  }

  /** Asks the store whether the old value may stand in. */
  private standingIn<B>(
    reader: Waiting<A, E, B>,
    reason: "error" | "timeout",
    otherwise: Effect.Effect<B, E>
  ): Effect.Effect<B, E> {
    return Effect.flatMap(this.vouched(reader.name, reader.policy), (state) => {
      const old = State.fallback(state, this.host.now(), reader.policy)
      return old === undefined ? otherwise : this.stands(reader, old, reason)
    })
  }

  /** What memory has of a key, for who may be given it whatever its windows say. */
  past(name: Key.Name, policy: Policy.Policy<E>): Effect.Effect<Entry.Entry<A> | undefined> {
    return Effect.suspend(() => {
      const state = this.old(name, policy, this.host.now())
      return Effect.map(
        state === ASK ? this.vouched(name, policy) : Effect.succeed(state),
        ({ entry }) => entry === undefined || Entry.isDead(entry, this.host.now()) ? undefined : entry
      )
    })
  }

  /** What memory has of a key, as far as it may be given past its windows; or the store has to be asked first. */
  private old(
    name: Key.Name,
    policy: Policy.Policy<E>,
    at: number,
    asked?: "yes" | "away"
  ): State.State<A> | typeof ASK {
    const look = this.namespace.tier?.look(name, at, policy, asked, true)
    return look === undefined ? this.memory.state(name) : look === ASK ? look : look.state
  }

  /** The same, after the store was asked. */
  private vouched(name: Key.Name, policy: Policy.Policy<E>): Effect.Effect<State.State<A>> {
    return Effect.map(this.namespace.tier?.ask ?? Effect.succeed(false), (answered) => {
      const state = answered ? this.old(name, policy, this.host.now(), "yes") : ASK
      if (state !== ASK) return state
      // Trust that is over before the answer is there is none: it is as if the store were away.
      const last = this.old(name, policy, this.host.now(), "away")
      return last === ASK ? State.empty : last
    })
  }

  /** What a read does without waiting: its answer, or what there is to wait for. */
  private glance<B>(reader: Reader<A, E, B>, at = this.host.now()): Exit.Exit<B, E> | Seen<A> | typeof ASK {
    const { asked, name, policy, request, source = "memory" } = reader
    const { host, namespace } = this
    if (host.closed) return Exit.interrupt()
    const fitting = this.fitting(name, request.spec)
    const look = namespace.tier?.look(name, at, policy, asked)
    if (look === ASK) return look
    // To look may put what memory has in doubt.
    const state = look === undefined ? fitting : this.memory.state(name)
    const known = look === undefined ? state : look.state
    const decision = State.read(known, at, policy)
    const entry = known.entry
    const seen = State.status(state, at, policy)
    // What may not be used is not there; but that it was too old is true all the same.
    const status = entry === undefined && seen !== "expired" ? "miss" : seen
    // Who waited for the store is told what it found there.
    const found = source === "store" ? status : reader.found
    if (entry !== undefined && (decision === "answer" || decision === "refresh")) {
      if (status === "fresh" && look?.away !== true) {
        const cell = this.memory.find(name)
        if (reader.found === undefined && cell !== undefined) this.hit(cell, entry, at)
        else if (source === "store") this.recalled(name, entry, at)
        return Exit.succeed(
          request.view(name, entry, { status: found ?? status, source, reason: undefined, at, policy })
        )
      }
      // Past its window it is given because the load failed.
      const reason = look?.away === true && status !== "expired" ? "store" : State.reason(known, at)
      // A hit of memory is no load because the store is away.
      if (decision === "refresh") this.refresh(reader, state)
      else if (State.isHeld(state, at)) this.skip(name, "held")
      if (reader.found === undefined) this.namespace.counters.stale++
      return Exit.succeed(
        this.serve(
          reader,
          entry,
          status === "fresh" ? "stale" : found ?? status,
          reason,
          reader.found !== undefined,
          at
        )
      )
    }
    if (reader.found === undefined) {
      const joins = decision === "join" || decision === "fail"
      if (joins) namespace.counters.joined++
      else namespace.counters.misses++
      if (host.listeners.size > 0) {
        const about = namespace.about(name)
        host.publish(
          joins ? { _tag: "Joined", ...about, status, ...underWay(state) } : { _tag: "Miss", ...about, status }
        )
      }
    }
    // A failure is kept for those who read with this cache's lookup, so it is one of theirs.
    if (decision === "fail") {
      return Exit.failCause(this.told(name, request.spec, state.failure?.cause as Cause.Cause<E>))
    }
    return { decision, state, status, at }
  }

  /** A fresh value out of the store. */
  private recalled(name: Key.Name, entry: Entry.Entry<A>, at: number): void {
    if (this.host.listeners.size > 0) {
      this.host.publish(new Event.Hit(this.namespace.name, name, Entry.age(entry, at), "store"))
    }
  }

  private told(name: Key.Name, spec: Job.Spec<A, E>, cause: Cause.Cause<E>): Cause.Cause<E> {
    return Job.told(spec, cause, this.namespace.about(name))
  }

  private refresh(reader: Reader<A, E, unknown>, state: State.State<A>): void {
    const { fiber, name, request } = reader
    if (this.host.refreshing >= this.host.refreshes) return this.skip(name, "limit")
    const job = request.job(fiber)
    // Nobody waits for it, not the change either that it may have begun in.
    const free = fiber.getRef(Writing).length === 0
      ? job
      : { ...job, context: Context.add(job.context, Writing, []) }
    this.namespace.apply(name, State.departed(state, new Flight.Flight(this.namespace, name, free, "refresh")))
  }

  private skip(name: Key.Name, reason: "held" | "limit"): void {
    if (this.host.listeners.size > 0) {
      this.host.publish({ _tag: "RefreshSkipped", ...this.namespace.about(name), reason })
    }
  }

  /** An old value, with the reason. */
  private serve<B>(
    { name, policy, request, source = "memory" }: Reader<A, E, B>,
    entry: Entry.Entry<A>,
    status: Policy.Status,
    reason: State.Reason,
    waited: boolean,
    at = this.host.now()
  ): B {
    const cell = this.memory.find(name)
    if (cell !== undefined) this.memory.visit(cell)
    if (this.host.listeners.size > 0) {
      const told = { status, reason, age: Entry.age(entry, at), waited, ...underWay(this.memory.state(name)) }
      const from = source === "store" ? { source } : {}
      this.host.publish({ _tag: "Served", ...this.namespace.about(name), ...told, ...from })
    }
    return request.view(name, entry, { status, source, reason, at, policy })
  }

  // Without a schema the type is the reader's word.
  private fits(entry: Entry.Entry<A>, spec: Job.Spec<A, E>): boolean {
    const schema = spec.terms.schema
    return schema === undefined || entry.terms.schema === schema || spec.codec?.is(entry.value) === true
  }

  /**
   * The state of a key whose value fits the schema of the reader. A value kept under another schema object is looked at
   * once: it is bound to this one, or it is a miss.
   */
  private fitting(name: Key.Name, spec: Job.Spec<A, E>, isLook = false): State.State<A> {
    const state = this.memory.state(name)
    const entry = state.entry
    if (entry === undefined || spec.terms.schema === undefined || entry.terms.schema === spec.terms.schema) return state
    if (this.fits(entry, spec)) {
      this.namespace.apply(name, State.rebound(state, { ...entry.terms, schema: spec.terms.schema }))
    } else {
      if (this.host.listeners.size > 0) {
        this.host.publish({ _tag: "DecodeFailed", ...this.namespace.about(name), error: "another schema's value" })
      }
      // Who only looks takes nothing from those whose value it is.
      if (isLook) return State.empty
      this.namespace.apply(name, State.voided(state))
    }
    return this.memory.state(name)
  }

  /** **revalidate.** Waits for a load that begins after the call. */
  revalidate<B>(
    name: Key.Name,
    request: Answer.Request<A, E, unknown>,
    view: Answer.View<A, E, B>
  ): Effect.Effect<B, E> {
    return Effect.withFiber((fiber) => this.reload(fiber, name, request, view))
  }

  private reload<B>(
    fiber: Fiber.Fiber<unknown, unknown>,
    name: Key.Name,
    request: Answer.Request<A, E, unknown>,
    view: Answer.View<A, E, B>
  ): Effect.Effect<B, E> {
    return Effect.callback((resume) => {
      if (this.host.closed) return resume(Effect.interrupt)
      const state = this.memory.state(name)
      const at = this.host.now()
      const alone = at < state.passUntil
      // The machine names only what the namespace gave it.
      const due = alone ? undefined : state.next as Flight.Flight<A, E> | undefined
      const flight = due ?? new Flight.Flight<A, E>(this.namespace, name, request.job(fiber), "revalidate", alone)
      if (due === undefined) {
        // Until it begins it waits for the flight before it.
        if (!alone && state.flight !== undefined) flight.crew.waitsFor = new Map([[state.flight as Flight.Flight, 1]])
        if (!this.begins(fiber, flight, State.revalidated(state, flight), at)) return resume(this.cycle(name))
      }
      const isStarter = due === undefined
      const joinedAt = this.memory.clock
      const wait = Namespace.wait(this.namespace, flight, fiber, (landing) => {
        if (Exit.isFailure(landing)) return resume(Effect.failCause(this.told(name, request.spec, landing.cause)))
        // It landed without a load: there is one more to wait for.
        if (landing.value === undefined) return resume(this.reload(fiber, name, request, view))
        const { entry, noted, pass } = landing.value
        const mine = isStarter || (!pass && (!noted || joinedAt <= entry.clock))
        resume(
          mine
            ? Effect.succeed(view(name, entry, this.written(request.spec.policy)))
            : this.reload(fiber, name, request, view)
        )
      })
      return wait === undefined ? resume(this.cycle(name)) : Effect.sync(() => wait.leave(false))
    })
  }

  /**
   * Reads many keys, each by its own flight. What has to be loaded is loaded by `batch`, if there is one: those flights
   * share a fiber.
   */
  readMany<B>(
    keys: ReadonlyMap<Key.Name, Answer.Request<A, E, B>>,
    policy: Policy.Policy<E>,
    batch: Job.Batch<A, E> | undefined
  ): Effect.Effect<ReadonlyMap<Key.Name, Exit.Exit<B, E>>> {
    const { namespace } = this
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const exits = new Map<Key.Name, Exit.Exit<B, E>>()
        const waiting: Array<readonly [Key.Name, (child: Fiber.Fiber<unknown, unknown>) => Effect.Effect<B, E>]> = []
        const flights = namespace.gather(batch, () => {
          for (const [name, request] of keys) {
            const reader = { fiber, name, policy, request, found: undefined }
            const seen = this.glance(reader)
            if (Exit.isExit(seen)) exits.set(name, seen)
            else if (seen === ASK) waiting.push([name, (child) => this.question({ ...reader, fiber: child })])
            else if (batch === undefined || seen.decision !== "load") {
              waiting.push([name, (child) => this.attend({ ...reader, fiber: child, found: seen.status })])
            } else {
              const flight = new Flight.Flight<A, E>(this.namespace, name, request.job(fiber), "miss")
              flight.crew.parent = fiber.getRef(Flight.Current)
              // Until the readers below have come, this call waits for them.
              flight.waiters++
              namespace.apply(name, State.departed(seen.state, flight), seen.at)
              waiting.push([
                name,
                (child) =>
                  Effect.callback((resume) =>
                    this.follow({ ...reader, fiber: child, found: seen.status }, flight, true, resume)
                  )
              ])
            }
          }
        })
        const reads = Effect.forEach(
          waiting,
          ([name, read]) =>
            Effect.map(Effect.exit(Effect.withFiber(read)), (exit) => {
              exits.set(name, exit)
            }),
          { concurrency: "unbounded", discard: true }
        )
        return Effect.as(
          Effect.onExit(restore(reads), () =>
            Effect.sync(() => {
              for (const flight of flights) {
                if (flight.cause === "miss" && --flight.waiters === 0 && !flight.background) namespace.stop(flight)
              }
            })),
          exits
        )
      })
    )
  }

  /** **set.** The last word: this value from now on, fresh. */
  set(
    name: Key.Name,
    key: unknown,
    value: A,
    spec: Job.Spec<A, E>,
    wishes: Job.Wishes
  ): Effect.Effect<Entry.Entry<A>, Store.StoreError> {
    return Effect.suspend(() => {
      const { age, terms } = Job.bind(spec, wishes)
      const { host, memory, namespace } = this
      if (host.closed) return Effect.interrupt
      const entry = (value: A, clock: number) => namespace.entry(value, bornAt, clock, terms)
      const bornAt = host.now() - age
      if (spec.codec === undefined) {
        const written = entry(value, memory.clock)
        // What has no schema is for this process alone; what others have of the key goes.
        return this.change({ mode: "hard", names: [name] }, (heard) => this.write(name, key, written, heard))
      }
      return Effect.matchEffect(Codec.trip(spec.codec, value), {
        onSuccess: ({ text, value }) => {
          if (host.closed) return Effect.interrupt
          const draft = entry(value, memory.clock)
          if (text === undefined) {
            return Effect.sync(() => this.write(name, key, draft, { before: Infinity, isLast: true }))
          }
          return this.change(
            { mode: "set", name, entry: draft, text },
            (heard) => this.write(name, key, Entry.confirm(draft, heard.clock), heard)
          )
        },
        onFailure: (cause) => {
          if (host.closed) return Effect.interrupt
          const failed = Effect.fail(new Store.StoreError({ reason: "encode", cache: namespace.name, cause }))
          return Effect.andThen(this.invalidate(name, "hard"), failed)
        }
      })
    })
  }

  /** A last word: first in the store, where there is one, then in memory. */
  private change<B>(
    change: Namespace.Change<A>,
    step: (heard: Namespace.Heard) => B
  ): Effect.Effect<B, Store.StoreError> {
    const { tier } = this.namespace
    if (tier !== undefined) return tier.change(change, step)
    // In memory a tag has a reading of its own, as the loads under way that bear it are not known.
    const next = change.mode === "tag" ? 1 : 0
    return Effect.sync(() => step({ before: Infinity, clock: this.memory.clock + next, isLast: true }))
  }

  private write(
    name: Key.Name,
    key: unknown,
    entry: Entry.Entry<A>,
    { before, isLast }: Pick<Namespace.Heard, "before" | "isLast">
  ): Entry.Entry<A> {
    const { host, memory, namespace } = this
    const state = memory.state(name)
    const weight = namespace.weigh(entry.value, key)
    const fits = memory.fits(weight)
    if (host.listeners.size > 0) {
      const about = namespace.about(name)
      host.publish({ _tag: "Invalidate", ...about, mode: "set" })
      if (!fits) host.publish({ _tag: "CommitDropped", ...about, reason: "weight" })
    }
    // Where somebody else has had the last word since, it is his that counts.
    if (isLast) namespace.apply(name, fits ? State.written(state, entry) : State.voided(state), host.now(), weight)
    else namespace.overtake(name, "hard", before)
    return entry
  }

  /** **mutate.** One at a time per key; reads see the old value until the new one is written. */
  mutate<E2, R2>(
    name: Key.Name,
    key: unknown,
    spec: Job.Spec<A, E>,
    change: (current: Option.Option<A>) => Effect.Effect<A, E2, R2>
  ): Effect.Effect<Entry.Entry<A>, E2 | Store.StoreError, R2> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const { host, writers } = this
        const writing = fiber.getRef(Writing)
        const writer = writers.get(name) ?? { lock: SynchronizedRef.makeUnsafe(undefined), users: 0 }
        // A change that waits for its own turn would wait for ever.
        if (writing.includes(writer)) return this.cycle(name)
        writers.set(name, writer)
        writer.users++
        const turn = Effect.suspend(() => {
          if (host.closed) return Effect.interrupt
          return Effect.flatMap(this.seek(name, key, spec), ({ state: { entry } }) => {
            const isKnown = entry !== undefined && !Entry.isDead(entry, host.now())
            const current = isKnown ? Option.some(entry.value) : Option.none()
            return Effect.flatMap(change(current), (value) => this.set(name, key, value, spec, {}))
          })
        })
        const closing = Effect.callback<never>((resume) => {
          const end = () => resume(Effect.interrupt)
          host.closing.add(end)
          return Effect.sync(() => host.closing.delete(end))
        })
        const alone = SynchronizedRef.modifyEffect(writer.lock, () => Effect.map(turn, (entry) => [entry, undefined]))
        return Effect.ensuring(
          restore(Effect.provideService(Effect.raceFirst(alone, closing), Writing, [...writing, writer])),
          Effect.sync(() => {
            if (--writer.users === 0) writers.delete(name)
          })
        )
      })
    )
  }

  /** **invalidate.** Hard: the entry is gone. Soft: it is stale from now on. */
  invalidate(name: Key.Name, mode: "hard" | "soft"): Effect.Effect<void, Store.StoreError> {
    return this.invalidateMany([name], mode)
  }

  /** The same for many keys: a load that this begins finds none of them as it was. */
  invalidateMany(names: ReadonlyArray<Key.Name>, mode: "hard" | "soft"): Effect.Effect<void, Store.StoreError> {
    const { host, namespace } = this
    if (names.length === 0) return Effect.void
    return this.change({ mode, names }, ({ before }) =>
      namespace.gather(undefined, () => {
        for (const name of names) {
          if (host.listeners.size > 0) host.publish({ _tag: "Invalidate", ...namespace.about(name), mode })
          namespace.overtake(name, mode, before)
        }
      }))
  }

  /** **invalidateTag.** Also for loads under way, whose tags nobody knows yet. */
  invalidateTag(tag: string): Effect.Effect<void, Store.StoreError> {
    return this.change({ mode: "tag", tag }, ({ before, clock }) => {
      if (this.host.listeners.size > 0) {
        this.host.publish({ _tag: "Invalidate", cache: this.namespace.name, key: "", mode: "hard", tag })
      }
      this.namespace.overtakeTag(tag, before, clock)
    })
  }

  /** **clear.** Every key. */
  get clear(): Effect.Effect<void, Store.StoreError> {
    return this.change({ mode: "clear" }, ({ before }) => {
      if (this.host.listeners.size > 0) {
        this.host.publish({ _tag: "Invalidate", cache: this.namespace.name, key: "", mode: "hard" })
      }
      this.namespace.overtakeAll(this.memory.all(), before)
    })
  }

  /** What memory has, expired entries too; loads nothing, counts nothing. */
  peek<B>(name: Key.Name, request: Answer.Request<A, E, B>): Option.Option<B> {
    const policy = request.spec.policy
    const state = this.fitting(name, request.spec, true)
    const at = this.host.now()
    if (state.entry === undefined || Entry.isDead(state.entry, at)) return Option.none()
    const status = Entry.status(state.entry, at, policy)
    const reason = status === "fresh" ? undefined : State.reason(state, at)
    return Option.some(request.view(name, state.entry, { status, source: "memory", reason, at, policy }))
  }

  /** What memory or the store has, not expired; loads nothing, counts nothing. */
  find<B>(name: Key.Name, request: Answer.Request<A, E, B>): Effect.Effect<Option.Option<B>> {
    const { key, spec: { policy } } = request
    return Effect.suspend(() =>
      this.host.closed ? Effect.interrupt : Effect.flatMap(this.seek(name, key, request.spec), ({ source, state }) => {
        if (this.host.closed) return Effect.interrupt
        const at = this.host.now()
        const status = State.status(state, at, policy)
        return Effect.succeed(
          state.entry === undefined || status === "expired"
            ? Option.none()
            : Option.some(request.view(name, state.entry, { status, source, reason: undefined, at, policy }))
        )
      })
    )
  }

  /** What is known of a key: by memory, as far as it is to be trusted, else by the store. */
  private seek(
    name: Key.Name,
    key: unknown,
    spec: Job.Spec<A, E>,
    asked?: "yes" | "away",
    source: "memory" | "store" = "memory",
    times = 1
  ): Effect.Effect<{ readonly state: State.State<A>; readonly source: "memory" | "store" }> {
    const { host, namespace: { tier } } = this
    const state = this.fitting(name, spec, true)
    if (tier === undefined) return Effect.succeed({ state, source })
    const look = state.entry === undefined ? { state } : tier.look(name, host.now(), spec.policy, asked)
    if (look === ASK) {
      return Effect.flatMap(
        tier.ask,
        (answered) => this.seek(name, key, spec, answered && times < ASKS ? "yes" : "away", source, times + 1)
      )
    }
    return look.state.entry !== undefined || source === "store"
      ? Effect.succeed({ state: look.state, source })
      : Effect.flatMap(tier.recall(name, key, spec), () => this.seek(name, key, spec, "away", "store"))
  }

  /** The present answer, then each commit and void. */
  changes<B>(name: Key.Name, request: Answer.Request<A, E, B>): Stream.Stream<Option.Option<B>> {
    return Stream.callback<Option.Option<B>>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const { host, memory } = this
          const tell = () => void Queue.offerUnsafe(queue, this.peek(name, request))
          const end = () => void Queue.endUnsafe(queue)
          tell()
          if (host.closed) end()
          host.closing.add(end)
          const unwatch = memory.watch(name, tell)
          const watched = this.watched.get(name) ?? { request, watchers: 0 }
          this.watched.set(name, watched)
          watched.watchers++
          return () => {
            unwatch()
            if (--watched.watchers === 0) this.watched.delete(name)
            host.closing.delete(end)
          }
        }),
        (release) => Effect.sync(release)
      ), { bufferSize: 16, strategy: "sliding" })
  }

  /** Whether a reader who came now would start a load; `"all"`: also where the value is fresh. */
  isDue(name: Key.Name, policy: Policy.Policy<E>, mode: "stale" | "all"): boolean {
    const state = this.memory.state(name)
    const at = this.host.now()
    if (mode === "all") return !State.isHeld(state, at)
    const decision = State.read(state, at, policy)
    return decision === "refresh" || decision === "load"
  }

  /** Counters since the cache began, and what it holds now. */
  get stats() {
    const { counters, flying } = this.namespace
    const { held, size, weight } = this.memory
    return { ...counters, size, weight, flights: flying, backoffs: held }
  }
}

/** The load under way, as events tell of it. */
const underWay = (state: State.State): { readonly load?: number } => {
  // The machine names only what the namespace gave it.
  const flight = state.flight as Flight.Flight | undefined
  return flight === undefined ? {} : { load: flight.id }
}
