/**
 * What users write, and what a load needs to know of it.
 *
 * @since 0.1.0
 */
import type { Duration, Effect, Option, Schema } from "effect"
import type * as Codec from "./Codec.ts"
import type * as Job from "./Job.ts"
import type * as Key from "./Key.ts"
import * as Policy from "./Policy.ts"

/**
 * What a reader may say about windows: some of them, laid over those of the cache, or a whole policy in their place. A
 * strict cache takes only a strict policy.
 *
 * @since 0.1.0
 * @category models
 */
export type Reader<E, P = undefined> = P extends Policy.Strict ? Policy.Strict
  : Policy.Windows<E> & NoPolicy | Policy.Policy<E>

/**
 * Windows alone: a policy has all of them, and would pass for windows with its `when` unchecked.
 *
 * @since 0.1.0
 * @category models
 */
export interface NoPolicy {
  readonly when?: never
}

/**
 * Options of a load, which belong to who starts it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Load<in out A, in out K, out H> {
  /**
   * Bounds a load as a whole. Default 1 minute, where reaching it is a defect; named, `LoadTimeout` is in the error
   * channel.
   */
  readonly hardTimeout?: H
  /**
   * How long a key with an old value is left alone after a failed load: from `from` (default 1 second), doubling per
   * failure with full jitter, up to `to` (default 1 minute).
   */
  readonly backoff?: {
    readonly from?: Duration.Input | undefined
    readonly to?: Duration.Input | undefined
  } | undefined
  /** How long a failure answers readers who would otherwise wait. Default 0: it is not kept. */
  readonly failureTimeToLive?: Duration.Input | undefined
  /** What becomes of a loaded value. By default it is kept under the windows of the policy. */
  readonly keep?: ((value: A, key: K) => Job.Keep) | undefined
}

/**
 * Windows, or a whole policy in their place.
 *
 * @since 0.1.0
 * @category models
 */
export type Windows<E, P> =
  & { readonly policy?: P }
  & NoPolicy
  & Policy.Windows<E>
  & ([P] extends [undefined] ? unknown : { readonly [K in keyof Policy.Windows<E>]?: undefined })

/**
 * The type of a kept value: the schema's, or what the lookup answers.
 *
 * @since 0.1.0
 * @category models
 */
export type Value<S, A> = S extends Schema.Constraint ? S["Type"] : A

/**
 * What a schema asks of the lookup: nothing, where there is none.
 *
 * @since 0.1.0
 * @category models
 */
export type Fitting<S> = S extends Schema.Constraint ? S["Type"] : unknown

/**
 * Services of a schema.
 *
 * @since 0.1.0
 * @category models
 */
export type Services<S> = S extends Schema.Constraint ? S["DecodingServices"] | S["EncodingServices"] : never

/**
 * `LoadTimeout`, exactly where the options name `hardTimeout`.
 *
 * @since 0.1.0
 * @category models
 */
export type Timeout<H> = [H] extends [undefined] ? never : Job.LoadTimeout

/**
 * What one cache is, beside its windows and its lookup.
 *
 * @since 0.1.0
 * @category models
 */
export interface Memory<in A, in K> {
  /** How many entries it holds. Default: the layer's. */
  readonly capacity?: number | undefined
  /** Bounds the sum of what its entries weigh, in a unit of yours. A value that weighs more than `max` is not kept. */
  readonly weight?: { readonly of: (value: A, key: K) => number; readonly max: number } | undefined
  /** Of the values' shape: in a store, caches of different versions live side by side. Memory ignores it. */
  readonly version?: string | number | undefined
}

/**
 * Names keys. Required where keys are neither strings nor numbers: two keys with the same parts are one key.
 *
 * @since 0.1.0
 * @category models
 */
export type Naming<K> = [K] extends [string | number] ? { readonly key?: ((key: K) => Key.Key) | undefined }
  : { readonly key: (key: K) => Key.Key }

/**
 * How values are loaded: one by one, many at once, or both ways. A key that `lookupMany` omits goes to `lookup`;
 * without one it is a defect.
 *
 * @since 0.1.0
 * @category models
 */
export type Lookup<K, A, E, R, Known> =
  | {
    /**
     * `previous` is the entry that was known when the load began, for conditional requests: of the schema's type, else
     * `unknown` until you annotate it. A lookup that takes it stands before `key`, `keep` and `weight`, to be inferred.
     */
    readonly lookup: (key: K, previous: Option.Option<Job.Previous<Known>>) => Effect.Effect<A, E, R>
    readonly lookupMany?: ((keys: ReadonlyArray<K>) => Effect.Effect<ReadonlyMap<K, A>, E, R>) | undefined
  }
  | {
    readonly lookup?: undefined
    readonly lookupMany: (keys: ReadonlyArray<K>) => Effect.Effect<ReadonlyMap<K, A>, E, R>
  }

/** All that {@link spec} reads, its types forgotten: the entrances have checked them. */
export interface Written extends Policy.Windows<never>, Load<never, never, Duration.Input | undefined> {
  readonly policy?: Policy.Policy<never> | undefined
  readonly schema?: Schema.Constraint | undefined
}

const MINUTE = 60_000

/** Options decoded once. Throws `InvalidPolicy`. */
export const spec = <A, E>(
  written: Written,
  base: Partial<Policy.Policy<E>>,
  { codec: codecOf, longest }: { readonly longest: number; readonly codec: CodecOf }
): Job.Spec<A, E> => {
  const policy = read<E>(written.policy ?? written, base, longest)
  const codec = written.schema && codecOf(written.schema)
  const load = written as Load<A, unknown, Duration.Input | undefined>
  return {
    policy,
    terms: { ...Policy.bounds(policy), tags: [], schema: written.schema },
    // The schema's services are among those that the entrance asks for, and its type is that of the values.
    codec: codec as Job.Spec<A, E>["codec"],
    hardTimeout: load.hardTimeout === undefined ? MINUTE : Policy.millis("hardTimeout", load.hardTimeout, 1),
    named: load.hardTimeout !== undefined,
    backoff: Policy.backoff(load.backoff),
    failureTimeToLive: Math.min(Policy.millis("failureTimeToLive", load.failureTimeToLive ?? 0), longest),
    keep: load.keep
  }
}

/** The codec of a schema: its own two sides in memory, text over a store. */
export type CodecOf = (schema: Schema.Constraint) => Codec.Codec<unknown, unknown>

/** Built once per schema object: programs that make their options anew share the compiled parsers. */
export const codecOf = (make: CodecOf): CodecOf => {
  const codecs = new WeakMap<Schema.Constraint, Codec.Codec<unknown, unknown>>()
  return (schema) => {
    const codec = codecs.get(schema) ?? make(schema)
    codecs.set(schema, codec)
    return codec
  }
}

/** A reader's policy: a whole one replaces the base, windows lie over it. */
export const read = <E>(
  given: Policy.Windows<never> | Policy.Policy<never>,
  base: Partial<Policy.Policy<E>>,
  longest: number
): Policy.Policy<E> => {
  // The entrances' types say that `when` takes this cache's errors.
  const policy = given as Policy.Windows<E> | Policy.Policy<E>
  if (!Policy.isPolicy(policy)) return Policy.decode<E>(policy, base, longest)
  if (base.strict && !policy.strict) Policy.refuse("policy", policy, "Policy.strict, in a strict cache")
  return Policy.clamp<E>(policy, longest)
}

/** A count that bounds something. */
export const count = (option: string, value: number, least: number): number =>
  Number.isSafeInteger(value) && value >= least
    ? value
    : Policy.refuse(option, value, `a whole number from ${least} up`)

/** The heaviest sum that `weight` allows. */
export const weightLimit = (weight: { readonly max: number } | undefined): number =>
  weight === undefined
    ? Infinity
    : weight.max > 0 && weight.max < Infinity
    ? weight.max
    : Policy.refuse("weight.max", weight.max, "a finite number above 0")
