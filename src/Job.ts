/**
 * One load that is wanted: what to run, with whose services and limits, and what its value asks for.
 *
 * @since 0.1.0
 */
import { Cause, type Context, Data, Duration, type Effect, Option, Result, type Tracer } from "effect"
import type * as Codec from "./Codec.ts"
import type * as Entry from "./Entry.ts"
import type * as Key from "./Key.ts"
import * as Policy from "./Policy.ts"

/**
 * A load took longer than `hardTimeout`. In the error channel where the options name `hardTimeout`, else a defect.
 *
 * @since 0.1.0
 * @category errors
 */
export class LoadTimeout extends Data.TaggedError("LoadTimeout")<{
  readonly cache: string
  readonly key: string
  /** The limit, in milliseconds. */
  readonly limit: number
}> {
  override get message() {
    return `${this.cache}: the load of ${JSON.stringify(this.key)} took longer than ${this.limit} ms`
  }
}

/**
 * What a lookup is told of the entry that was known when it began, for conditional requests.
 *
 * @since 0.1.0
 * @category models
 */
export interface Previous<out A> {
  readonly value: A
  readonly age: Duration.Duration
}

/**
 * What a value may ask for itself. Windows only tighten those of the policy.
 *
 * @since 0.1.0
 * @category models
 */
export interface Wishes {
  readonly freshFor?: Duration.Input | undefined
  readonly maxAge?: Duration.Input | undefined
  readonly staleIfError?: Duration.Input | undefined
  /** What `invalidateTag` finds it by. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** The age the value already has. */
  readonly age?: Duration.Input | undefined
}

/**
 * What becomes of a loaded value: kept with its wishes; `"share"`: given to all who wait and kept nowhere; `"pass"`:
 * given to who started the load alone, and for 5 seconds every reader of the key loads for itself.
 *
 * @since 0.1.0
 * @category models
 */
export type Keep = Wishes | "share" | "pass"

/** Options of a load, decoded. One object for a cache, or for an options object of `Swr.swr`. */
export interface Spec<A = unknown, E = unknown> {
  readonly policy: Policy.Policy<E>
  /** For values without wishes of their own. */
  readonly terms: Entry.Terms
  readonly codec: Codec.Codec<A, never> | undefined
  /** In milliseconds. */
  readonly hardTimeout: number
  /** Whether the options name it, so that a timeout is an error and not a defect. */
  readonly named: boolean
  readonly backoff: Policy.Backoff
  /** In milliseconds; 0 is off. */
  readonly failureTimeToLive: number
  readonly keep: ((value: A, key: unknown) => Keep) | undefined
}

/** One load that is wanted: what to run, with whose services. */
export interface Job<A = unknown, E = unknown> {
  readonly key: unknown
  readonly spec: Spec<A, E>
  /** Of the reader that asked: his `when` decides whether a failure voids the entry. */
  readonly policy: Policy.Policy<E>
  readonly lookup: (previous: Option.Option<Previous<A>>) => Effect.Effect<A, E>
  readonly context: Context.Context<never>
  /** The span of the reader that asked. */
  readonly span: Tracer.AnySpan | undefined
}

/** A lookup of many keys at once. */
export interface Batch<A, E> {
  readonly lookup: (keys: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyMap<Key.Name, A>, E>
  /** For a key that the lookup omits. */
  readonly omitted: (key: unknown) => Effect.Effect<A, E>
}

/** The terms of an entry with wishes of its own, and its first age in milliseconds. Throws `InvalidPolicy`. */
export const bind = (
  spec: { readonly policy: Policy.Policy<never>; readonly terms: Entry.Terms },
  wishes: Wishes
): { readonly terms: Entry.Terms; readonly age: number } => {
  const tags: unknown = wishes.tags ?? spec.terms.tags
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string")) {
    return Policy.refuse("tags", tags, "an array of strings")
  }
  const { freshFor, life, maxAge, staleIfError } = Policy.bounds(spec.policy, wishes)
  return {
    // Kept for as long as the value: no wider than it has to be, and nobody else's array.
    terms: { freshFor, maxAge, staleIfError, life, tags: tags.slice(), schema: spec.terms.schema },
    age: wishes.age === undefined ? 0 : Policy.millis("age", wishes.age)
  }
}

/**
 * Whether a failure lets an old value stand in. Defects and timeouts do; of errors, `when` decides. A `when` that
 * throws answers `otherwise`.
 */
export const isOutage = <E>(policy: Policy.Policy<E>, cause: Cause.Cause<E>, otherwise: boolean): boolean => {
  const when = policy.when
  const error = Cause.findErrorOption(cause)
  return when === undefined || Option.isNone(error) || error.value instanceof LoadTimeout ||
    Result.getOrElse(Result.try(() => when(error.value)), () => otherwise)
}

/** A load's failure as this reader's options name its limit: an error where they do, else a defect. */
export const told = <E>(
  spec: { readonly named: boolean },
  cause: Cause.Cause<E>,
  about: { readonly cache: string; readonly key: string }
): Cause.Cause<E> => {
  const [reason] = cause.reasons
  const ended = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
  if (!(ended instanceof LoadTimeout) || ended.cache !== about.cache || ended.key !== about.key) return cause
  // The types say LoadTimeout where the options name the limit.
  return spec.named ? Cause.fail(ended as E) : Cause.die(ended)
}

/**
 * What becomes of a loaded value. `keep` is a stranger's function: what it throws, or bad windows, keep the value from
 * being kept, and nothing else.
 */
export const wish = <A, E>(
  spec: Spec<A, E>,
  value: A,
  key: unknown
): { readonly terms: Entry.Terms; readonly age: number } | "share" | "pass" | "keep" => {
  const keep = spec.keep
  if (keep === undefined) return { terms: spec.terms, age: 0 }
  const wishes = Result.try(() => {
    const wishes = keep(value, key)
    return typeof wishes === "string" ? wishes : bind(spec, wishes)
  })
  return Result.getOrElse(wishes, () => "keep" as const)
}
