/**
 * A value, its age and what it is bound to.
 *
 * @since 0.1.0
 */
import * as Policy from "./Policy.ts"

/**
 * What binds an entry beside its value. One object serves all entries of a cache that have no wishes of their own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Terms extends Policy.Bounds {
  readonly tags: ReadonlyArray<string>
  /** The schema object the value was decoded with; `undefined` for none. */
  readonly schema: unknown
}

/**
 * A stored value with its stamps. Immutable. An entry is also the whole state of a key at rest (see `State.ts`): at a
 * million keys an object around it would cost a quarter of the memory.
 *
 * @since 0.1.0
 * @category models
 */
export class Entry<out A> {
  declare readonly value: A
  /** When its age was 0, in milliseconds of the layer's clock; before the layer's start for a value that came aged. */
  declare readonly bornAt: number
  /** The namespace's clock when its load began. */
  declare readonly clock: number
  /** Drawn once at commit: 0 to 65535 stands for [0, 1). A small integer takes no memory of its own. */
  declare readonly jitter: number
  /** The age at which it was marked stale; -1 for never. */
  declare readonly marked: number
  declare readonly terms: Terms

  constructor(value: A, bornAt: number, clock: number, jitter: number, marked: number, terms: Terms) {
    this.value = value
    this.bornAt = bornAt
    this.clock = clock
    this.jitter = jitter
    this.marked = marked
    this.terms = terms
  }

  // An entry at rest is the state of its key: nothing else is known.
  get entry(): this {
    return this
  }
  declare readonly flight: undefined
  declare readonly next: undefined
  declare readonly hold: undefined
  declare readonly failure: undefined
  declare readonly passUntil: 0
  static {
    Object.assign(this.prototype, {
      flight: undefined,
      next: undefined,
      hold: undefined,
      failure: undefined,
      passUntil: 0
    })
  }
}

/** How many values `jitter` can take. */
export const JITTER_STEPS = 65_536

/** Age in milliseconds. A clock that would step back makes nothing younger than it was born. */
export const age = (entry: Entry<unknown>, now: number): number => Math.max(0, now - entry.bornAt)

/** What a reader with this policy finds. */
export const status = (entry: Entry<unknown>, now: number, policy: Policy.Policy<never>) =>
  Policy.status(policy, entry.terms, entry.jitter / JITTER_STEPS, entry.marked, age(entry, now))

/** Past its life: given to nobody, no fallback for anybody. */
export const isDead = (entry: Entry<unknown>, now: number): boolean => age(entry, now) >= entry.terms.life

/** Whether it may stand in for a load that failed or is slow. */
export const isFallback = (entry: Entry<unknown>, now: number, policy: Policy.Policy<never>): boolean =>
  age(entry, now) < Policy.fallbackUntil(policy, entry.terms, entry.jitter / JITTER_STEPS, entry.marked)

/** Milliseconds for which it is still fresh, and for which it may still be given without waiting, to this reader. */
export const left = (entry: Entry<unknown>, now: number, policy: Policy.Policy<never>) => {
  const jitter = entry.jitter / JITTER_STEPS
  const years = age(entry, now)
  const fresh = Policy.freshUntil(policy, entry.terms, jitter, entry.marked)
  const expired = Policy.expiredFrom(policy, entry.terms, jitter)
  return {
    freshFor: Math.max(0, fresh - years),
    servableFor: Math.max(0, (policy.strict ? fresh : expired) - years)
  }
}

/** Marked stale from now on: still servable, never for longer than before. */
export const mark = <A>(entry: Entry<A>, now: number): Entry<A> =>
  entry.marked >= 0
    ? entry
    : new Entry(entry.value, entry.bornAt, entry.clock, entry.jitter, age(entry, now), entry.terms)

/** The same, known as of this reading of the namespace's clock. */
export const doubt = <A>(entry: Entry<A>, now: number, clock: number): Entry<A> => {
  const marked = entry.marked >= 0 ? entry.marked : age(entry, now)
  return new Entry(entry.value, entry.bornAt, clock, entry.jitter, marked, entry.terms)
}

/** The same, at another reading of the namespace's clock. */
export const confirm = <A>(entry: Entry<A>, clock: number): Entry<A> =>
  clock === entry.clock
    ? entry
    : new Entry(entry.value, entry.bornAt, clock, entry.jitter, entry.marked, entry.terms)

/** The same value under other terms. */
export const rebind = <A>(entry: Entry<A>, terms: Terms): Entry<A> =>
  new Entry(entry.value, entry.bornAt, entry.clock, entry.jitter, entry.marked, terms)
