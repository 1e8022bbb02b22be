/**
 * What a read gives: a value, and the evidence for it.
 *
 * @since 0.1.0
 */
import { Duration, Effect, type Fiber, Inspectable, Option } from "effect"
import * as Entry from "./Entry.ts"
import type * as Job from "./Job.ts"
import type * as Key from "./Key.ts"
import type * as Policy from "./Policy.ts"
import type * as State from "./State.ts"
import type * as Store from "./Store.ts"

/**
 * Where an answer came from.
 *
 * @since 0.1.0
 * @category models
 */
export type Source = "memory" | "store" | "lookup"

/**
 * A value and the evidence for it, taken when the read ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot<out A> {
  readonly value: A
  /** What the read found. */
  readonly status: Policy.Status
  readonly source: Source
  /** Why the value is not fresh; none when it is. */
  readonly reason: Option.Option<State.Reason>
  readonly age: Duration.Duration
  /** How long it is still fresh. */
  readonly freshFor: Duration.Duration
  /** How long it may still be given without waiting. */
  readonly servableFor: Duration.Duration
}

/**
 * What a read gives: the value, the evidence, and the two ways to move on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer<A, E = never, R = never> extends Snapshot<A> {
  /**
   * Writes a value through, as `set` does, and answers it. This answer stays as it is. Needs what the load needs, since
   * the services of a schema are among it.
   */
  readonly mutate: (value: A) => Effect.Effect<Answer<A, E, R>, Store.StoreError, R>
  /** A load that begins now. */
  readonly revalidate: Effect.Effect<Answer<A, E, R>, E, R>
}

/** What a read needs when it has to do more than look. One object may be read many times, side by side. */
export interface Request<A, E, B> {
  /** As the user gave it. */
  readonly key: unknown
  readonly spec: Job.Spec<A, E>
  readonly job: (fiber: Fiber.Fiber<unknown, unknown>) => Job.Job<A, E>
  readonly view: View<A, E, B>
  /** The same for a fresh hit, whose evidence is made only where it is asked for. */
  readonly hit: (name: Key.Name, entry: Entry.Entry<A>, at: number, policy: Policy.Policy<E>) => B
}

/** Turns what was found into what the entrance answers. */
export type View<A, E, B> = (name: Key.Name, entry: Entry.Entry<A>, found: Found<E>) => B

/** The evidence of an answer. */
export interface Found<E> {
  readonly status: Policy.Status
  readonly source: Source
  readonly reason: State.Reason | undefined
  readonly at: number
  readonly policy: Policy.Policy<E>
}

/** The evidence of a fresh hit. */
export const fresh = <E>(at: number, policy: Policy.Policy<E>): Found<E> => ({
  status: "fresh",
  source: "memory",
  reason: undefined,
  at,
  policy
})

/** The cache that an answer came from, to move on with. */
export interface Origin<A, E> {
  readonly set: (
    name: Key.Name,
    key: unknown,
    value: A,
    spec: Job.Spec<A, E>,
    wishes: Job.Wishes
  ) => Effect.Effect<Entry.Entry<A>, Store.StoreError>
  readonly revalidate: <B>(name: Key.Name, request: Request<A, E, unknown>, view: View<A, E, B>) => Effect.Effect<B, E>
  /** The evidence of a value that was just written. */
  readonly written: (policy: Policy.Policy<E>) => Found<E>
}

/** Views what was found as an {@link Answer}. */
export const view =
  <A, E>(origin: Origin<A, E>, request: Request<A, E, unknown>): View<A, E, Answer<A, E>> => (name, entry, found) =>
    new Given(origin, request, name, entry, found)

/** An {@link Answer}, computed where it is asked. */
export class Given<A, E> implements Answer<A, E> {
  declare private readonly origin: Origin<A, E>
  declare private readonly request: Request<A, E, unknown>
  declare private readonly name: Key.Name
  declare private readonly entry: Entry.Entry<A>
  declare private readonly found: Found<E>

  constructor(
    origin: Origin<A, E>,
    request: Request<A, E, unknown>,
    name: Key.Name,
    entry: Entry.Entry<A>,
    found: Found<E>
  ) {
    this.origin = origin
    this.request = request
    this.name = name
    this.entry = entry
    this.found = found
  }
  get value() {
    return this.entry.value
  }
  get status() {
    return this.found.status
  }
  get source() {
    return this.found.source
  }
  get reason() {
    return Option.fromUndefinedOr(this.found.reason)
  }
  get age() {
    return Duration.millis(Entry.age(this.entry, this.found.at))
  }
  get freshFor() {
    return Duration.millis(Entry.left(this.entry, this.found.at, this.found.policy).freshFor)
  }
  get servableFor() {
    return Duration.millis(Entry.left(this.entry, this.found.at, this.found.policy).servableFor)
  }
  /** The evidence alone: an answer that is printed shows nothing of the cache it came from. */
  toJSON() {
    const { age, freshFor, reason, servableFor, source, status, value } = this
    return { _id: "Answer", value, status, source, reason, age, freshFor, servableFor }
  }
  toString() {
    return Inspectable.toStringUnknown(this.toJSON())
  }
  [Inspectable.NodeInspectSymbol]() {
    return this.toJSON()
  }
  get mutate() {
    const { found: { policy }, name, origin, request } = this
    return (value: A): Effect.Effect<Answer<A, E>, Store.StoreError> =>
      Effect.map(
        origin.set(name, request.key, value, request.spec, {}),
        (entry) => new Given(origin, request, name, entry, origin.written(policy))
      )
  }
  get revalidate(): Effect.Effect<Answer<A, E>, E> {
    const { found: { policy }, name, origin, request } = this
    // By the windows it was read with, as `mutate` is.
    return origin.revalidate(
      name,
      request,
      (name, entry, found) => new Given(origin, request, name, entry, { ...found, policy })
    )
  }
}
