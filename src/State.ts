/**
 * What is known about one key and how it changes. This file is the algorithm; it has no effects and reads no clock.
 *
 * A key's state is the entry, the current flight, the flight that is due next, and what holds loads back. Four of the
 * combinations have names:
 *
 * ```
 *                       Empty          Loading           Idle (entry)       Refreshing (entry + flight)
 *   read                -> Loading     join              fresh: answer      fresh or stale: answer
 *                                                        stale: answer,     expired: join; answer the old
 *                                                          -> Refreshing      value while the last load failed
 *                                                        expired:
 *                                                          -> Refreshing
 *   revalidated         -> Loading     next is due       -> Refreshing      next is due
 *   recalled   (store)  ·              -> Idle if fresh, ·                  -> Idle if fresh,
 *                                        else Refreshing                      else Refreshing
 *   yielded    (store)  ·              -> Empty, held    ·                  -> Idle, held
 *   cooling    (store)  ·              held              ·                  held
 *   known      (store)  -> Idle        ·                 -> Idle            ·
 *   disowned   (store)  ·              ·                 -> Empty           -> Loading
 *   doubted    (store)  ·              ·                 marked             marked
 *   loaded              ·              -> Idle           ·                  -> Idle
 *   answered            ·              -> Empty          ·                  -> Idle, as it was
 *   failed              ·              -> Empty          ·                  -> Idle, backing off
 *   refused    (store)  ·              -> Empty          ·                  -> Empty
 *   abandoned           ·              -> Empty          ·                  -> Idle
 *   written             -> Idle        -> Idle           -> Idle            -> Idle
 *   marked              ·              -> Empty          -> Idle, marked    -> Idle, marked
 *   voided              ·              -> Empty          -> Empty           -> Empty
 *   passed              -> Empty, pass -> Empty, pass    -> Empty, pass     -> Empty, pass
 *   evicted             -> Empty       ·                 -> Empty           ·
 * ```
 *
 * **A load may change the state only while the state still names its flight.** `written`, `marked` and `voided` make
 * the state forget the flight, so a load that began before them can still end, but nobody sees it: the last word wins
 * without a special case. Every event that ends or forgets the current flight makes the due one current.
 *
 * @since 0.1.0
 */
import type { Cause } from "effect"
import * as Entry from "./Entry.ts"
import type * as Policy from "./Policy.ts"

/**
 * One load on its way. The machine compares flights, and looks inside none.
 *
 * @since 0.1.0
 * @category models
 */
export type Flight = object

/**
 * Why no refresh starts before a moment: the last loads failed, or another process holds the lease.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hold {
  readonly until: number
  /** Failed loads in a row. */
  readonly failures: number
  /** Another process is loading. */
  readonly lease: boolean
}

/**
 * A failure that answers readers who would otherwise wait.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly cause: Cause.Cause<unknown>
  readonly until: number
}

/**
 * What is known about a key. An {@link Entry.Entry} is the state of a key at rest.
 *
 * @since 0.1.0
 * @category models
 */
export interface State<out A = unknown> {
  readonly entry: Entry.Entry<A> | undefined
  /** The current flight: the one that readers join and that may commit. */
  readonly flight: Flight | undefined
  /** Begins when the current flight has ended or is forgotten. */
  readonly next: Flight | undefined
  readonly hold: Hold | undefined
  readonly failure: Failure | undefined
  /** Until then every reader loads for itself; 0 for never. */
  readonly passUntil: number
}

/**
 * Nothing is known.
 *
 * @since 0.1.0
 * @category models
 */
export const empty: State<never> = {
  entry: undefined,
  flight: undefined,
  next: undefined,
  hold: undefined,
  failure: undefined,
  passUntil: 0
}

/** Whether nothing is known, so that the key may be dropped. */
export const isEmpty = (state: State): boolean =>
  state.entry === undefined && state.flight === undefined && state.next === undefined && state.hold === undefined &&
  state.failure === undefined && state.passUntil === 0

// An entry alone is its own state, and nothing at all is `empty`.
const rest = <A>(state: State<A>): State<A> =>
  state.flight !== undefined || state.next !== undefined || state.hold !== undefined || state.failure !== undefined ||
    state.passUntil !== 0
    ? state
    : state.entry ?? empty

// Field by field: a spread costs ten times as much, and every load passes here twice.
const change = <A>(state: State<A>, part: Partial<State<A>>): State<A> =>
  rest({
    entry: "entry" in part ? part.entry : state.entry,
    flight: "flight" in part ? part.flight : state.flight,
    next: "next" in part ? part.next : state.next,
    hold: "hold" in part ? part.hold : state.hold,
    failure: "failure" in part ? part.failure : state.failure,
    passUntil: part.passUntil ?? state.passUntil
  })

// The current flight is over or forgotten: the due one takes its place.
const land = <A>(state: State<A>, part: Partial<State<A>>): State<A> =>
  change(change(state, { flight: state.next, next: undefined }), part)

/**
 * What a read leads to:
 *
 * - `answer` with the entry, start nothing; `refresh`: the same, and start a load that nobody waits for
 * - `join` the flight and wait; `load`: start one and wait
 * - `fail` with the failure that is kept; `pass`: load for this reader alone
 *
 * @since 0.1.0
 * @category models
 */
export type Decision = "answer" | "refresh" | "join" | "load" | "fail" | "pass"

/** What the read finds, to this reader. */
export const status = (state: State, now: number, policy: Policy.Policy<never>): Policy.Status =>
  state.entry === undefined ? "miss" : Entry.status(state.entry, now, policy)

/**
 * **read.** A stale reader never waits. A reader of an expired entry waits for a load, unless the last load failed and
 * the old value may stand in: then the next try happens behind the readers.
 *
 * @since 0.1.0
 * @category events
 */
export const read = (state: State, now: number, policy: Policy.Policy<never>): Decision => {
  if (now < state.passUntil) return "pass"
  const found = status(state, now, policy)
  if (found === "fresh") return "answer"
  if (found === "stale" || (failing(state) && fallback(state, now, policy) !== undefined)) {
    return state.flight !== undefined || isHeld(state, now) ? "answer" : "refresh"
  }
  if (state.failure !== undefined && now < state.failure.until) return "fail"
  return state.flight !== undefined ? "join" : "load"
}

const failing = (state: State): boolean => state.hold !== undefined && state.hold.failures > 0

/** Whether no refresh may start yet. */
export const isHeld = (state: State, now: number): boolean => state.hold !== undefined && now < state.hold.until

/** The old value that may stand in for a load that failed or is slow. */
export const fallback = <A>(
  state: State<A>,
  now: number,
  policy: Policy.Policy<never>
): Entry.Entry<A> | undefined => {
  const entry = state.entry
  if (entry === undefined) return undefined
  return Entry.status(entry, now, policy) !== "expired" || Entry.isFallback(entry, now, policy) ? entry : undefined
}

/**
 * Why an answer from the entry is not fresh.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = "revalidating" | "error" | "timeout" | "lease" | "marked" | "store"

/** The reason for a stale or expired answer that did not wait. */
export const reason = (state: State, now: number): Reason =>
  failing(state)
    ? "error"
    : state.hold?.lease && now < state.hold.until
    ? "lease"
    : state.entry !== undefined && state.entry.marked >= 0
    ? "marked"
    : "revalidating"

/** **departed.** The load that `read` asked for begins; if there was a pass, it is over. */
export const departed = <A>(state: State<A>, flight: Flight): State<A> => change(state, { flight, passUntil: 0 })

/**
 * **revalidated.** A load that begins from now on: the given flight, at once or as the next one. Callers that find a
 * flight share one next flight.
 */
export const revalidated = <A>(state: State<A>, flight: Flight): State<A> =>
  state.flight === undefined
    ? departed(state, flight)
    : state.next === undefined
    ? change(state, { next: flight })
    : state

/**
 * **recalled.** The store has an entry. Fresh to who started the flight, it ends the flight; else it is what readers
 * are given or fall back on while the same flight goes on.
 */
export const recalled = <A>(
  state: State<A>,
  flight: Flight,
  entry: Entry.Entry<A>,
  now: number,
  policy: Policy.Policy<never>
): State<A> =>
  state.flight !== flight || Entry.isDead(entry, now)
    ? state
    : Entry.status(entry, now, policy) === "fresh"
    ? land(state, { entry, hold: undefined, failure: undefined })
    : change(state, { entry })

/** **yielded until t.** Another process holds the lease: no load of ours before then. */
export const yielded = <A>(state: State<A>, flight: Flight, until: number): State<A> =>
  state.flight !== flight
    ? state
    : land(state, { hold: { until, failures: state.hold?.failures ?? 0, lease: true } })

/** **cooling until t.** The last load of another process failed, and the flight waits with its readers. */
export const cooling = <A>(state: State<A>, flight: Flight, until: number): State<A> =>
  state.flight !== flight
    ? state
    : change(state, { hold: { until, failures: Math.max(1, state.hold?.failures ?? 0), lease: true } })

/** **known.** The store has an entry, and nobody asked for a load. */
export const known = <A>(state: State<A>, entry: Entry.Entry<A>): State<A> =>
  state.flight === undefined ? change(state, { entry }) : state

/** **disowned.** The store knows nothing of the entry any more; a load under way goes on. */
export const disowned = <A>(state: State<A>): State<A> => change(state, { entry: undefined })

/** **doubted.** Marked, at a new reading of the clock; a load under way goes on. */
export const doubted = <A>(state: State<A>, now: number, clock: number): State<A> =>
  state.entry === undefined ? state : change(state, { entry: Entry.doubt(state.entry, now, clock) })

/** **loaded.** The load succeeded and its value is kept, which ends a pass. */
export const loaded = <A>(state: State<A>, flight: Flight, entry: Entry.Entry<A>): State<A> =>
  state.flight !== flight
    ? state
    : land(state, { entry, hold: undefined, failure: undefined, passUntil: 0 })

/** **answered.** The load succeeded and its value is not kept; what was known stays. */
export const answered = <A>(state: State<A>, flight: Flight): State<A> =>
  state.flight !== flight ? state : land(state, { hold: undefined, failure: undefined })

/**
 * What a failed load leaves behind.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  /** No load before then. */
  readonly retryAt: number
  /** The error is an answer, not an outage: the entry is wrong, and there is nothing to wait out. */
  readonly isAnswer: boolean
  readonly failure: Failure | undefined
}

/** **failed.** The entry stays, unless the error is an answer or the entry is dead; a key without one is free again. */
export const failed = <A>(state: State<A>, flight: Flight, now: number, outcome: Outcome): State<A> => {
  if (state.flight !== flight) return state
  const failure = outcome.failure ?? state.failure
  if (outcome.isAnswer || state.entry === undefined || Entry.isDead(state.entry, now)) {
    return land(state, { entry: undefined, hold: undefined, failure })
  }
  const hold = { until: outcome.retryAt, failures: (state.hold?.failures ?? 0) + 1, lease: false }
  return land(state, { hold, failure })
}

/** **rebound.** The entry's value was found to fit another schema. */
export const rebound = <A>(state: State<A>, terms: Entry.Terms): State<A> =>
  state.entry === undefined ? state : change(state, { entry: Entry.rebind(state.entry, terms) })

/** **refused.** The fence said no: somebody had the last word while this load ran, so what we have is void too. */
export const refused = <A>(state: State<A>, flight: Flight): State<A> =>
  state.flight !== flight ? state : land(state, { entry: undefined, hold: undefined, failure: undefined })

/** **abandoned.** Nobody waits any more, or the layer closes. Also takes back a flight that is only due. */
export const abandoned = <A>(state: State<A>, flight: Flight): State<A> =>
  state.flight === flight ? land(state, {}) : state.next === flight ? change(state, { next: undefined }) : state

/** **written.** `set` and `mutate`: this value from now on. */
export const written = <A>(state: State<A>, entry: Entry.Entry<A>): State<A> =>
  land(state, { entry, hold: undefined, failure: undefined, passUntil: 0 })

/** **marked.** Soft invalidation: stale from now on, still servable. A back-off goes on. */
export const marked = <A>(state: State<A>, now: number): State<A> =>
  land(state, { entry: state.entry && Entry.mark(state.entry, now), failure: undefined })

/** **voided.** Hard invalidation, tag, clear, announcement: nothing is known any more. */
export const voided = <A>(state: State<A>): State<A> =>
  land(state, { entry: undefined, hold: undefined, failure: undefined, passUntil: 0 })

/** **passed.** Its value is for one reader alone: until then everybody loads for himself. */
export const passed = <A>(state: State<A>, until: number): State<A> =>
  land(state, { entry: undefined, hold: undefined, failure: undefined, passUntil: until })

/** **evicted.** Left to make room. Never while a flight is under way. */
export const evicted = <A>(state: State<A>): State<A> => state.flight === undefined ? empty : state
