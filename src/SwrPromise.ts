/**
 * The cache for code that is not Effect: the same policies, the same typed values, and promises. A fresh hit starts no
 * fiber.
 *
 * @since 0.1.0
 */
import {
  Cause,
  Context,
  Data,
  Duration,
  Effect,
  Exit,
  ManagedRuntime,
  Option,
  Result,
  type Schema,
  Stream
} from "effect"
import type * as Answer from "./Answer.ts"
import type * as Event from "./Event.ts"
import * as Handle from "./Handle.ts"
import type * as Job from "./Job.ts"
import type * as Options from "./Options.ts"
import type * as Policy from "./Policy.ts"
import type * as State from "./State.ts"
import * as Swr from "./Swr.ts"

/**
 * What calls reject with once the caches are closed, and what readers who wait get when they close.
 *
 * @since 0.1.0
 * @category errors
 */
export class CachesClosed extends Data.TaggedError("CachesClosed")<{ readonly cache: string }> {
  override get message() {
    return `${this.cache}: its caches are closed`
  }
}

/**
 * What a lookup is told besides its key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Load<out A> {
  /** Aborted when nobody waits any more, when the load takes longer than `hardTimeout`, or when the cache closes. */
  readonly signal: AbortSignal
  /** The entry that was known when the load began, its age in milliseconds; for conditional requests. */
  readonly previous: { readonly value: A; readonly age: number } | undefined
}

/**
 * A value and the evidence for it, taken when the read ended. Ages and durations are milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot<out A> {
  readonly value: A
  /** What the read found. */
  readonly status: Policy.Status
  readonly source: Answer.Source
  /** Why the value is not fresh; `undefined` when it is. */
  readonly reason: State.Reason | undefined
  readonly age: number
  /** How long it is still fresh. */
  readonly freshFor: number
  /** How long it may still be given without waiting. */
  readonly servableFor: number
}

/**
 * How a read may differ from the cache's own.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadOptions<P> {
  /** Windows laid over those of the cache, or a whole policy in their place. Decoded once per object. */
  readonly policy?: P | undefined
  /** The reader leaves, and its promise rejects with the signal's reason; the load goes on while others wait for it. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A cached lookup. Promises reject with what the lookup threw or rejected with, untouched.
 *
 * @since 0.1.0
 * @category models
 */
export interface Instance<K, A, P = Options.Reader<unknown>> {
  readonly name: string
  /** The value. Rejects only where there is nothing to fall back on. */
  readonly get: (key: K, options?: ReadOptions<P>) => Promise<A>
  /** The value with the evidence for it. */
  readonly read: (key: K, options?: ReadOptions<P>) => Promise<Snapshot<A>>
  /** What memory has, expired entries too. Never loads. */
  readonly peek: (key: K) => Snapshot<A> | undefined
  /** Whether memory has the key, fresh or stale. */
  readonly has: (key: K) => boolean
  /** In order; what is missing in one batch, where there is a `lookupMany`. Rejects with the first failure. */
  readonly getMany: (keys: Iterable<K>, options?: ReadOptions<P>) => Promise<ReadonlyArray<A>>
  /** The same, with each key's own result. */
  readonly readMany: (
    keys: Iterable<K>,
    options?: ReadOptions<P>
  ) => Promise<ReadonlyArray<PromiseSettledResult<Snapshot<A>>>>
  /** This value from now on. A load that began before is not kept. */
  readonly set: (key: K, value: A, wishes?: Job.Wishes) => Promise<void>
  /** Changes the value, one change at a time per key. Until it succeeds reads see the old value. */
  readonly mutate: (key: K, change: (current: A | undefined) => A | PromiseLike<A>) => Promise<Snapshot<A>>
  /** Waits for a load that begins after the call. */
  readonly revalidate: (key: K) => Promise<Snapshot<A>>
  /** The entry is gone (`"hard"`, the default), or stale from now on and still servable (`"soft"`). */
  readonly invalidate: (key: K, options?: { readonly mode?: "hard" | "soft" | undefined }) => Promise<void>
  /** The same for many keys. */
  readonly invalidateMany: (
    keys: Iterable<K>,
    options?: { readonly mode?: "hard" | "soft" | undefined }
  ) => Promise<void>
  /** Every entry that bears the tag is gone. */
  readonly invalidateTag: (tag: string) => Promise<void>
  /** Every entry is gone. */
  readonly clear: () => Promise<void>
  /** The present answer, then each commit and void; `undefined`: it is gone. */
  readonly changes: (key: K) => AsyncIterable<Snapshot<A> | undefined>
  /** Reads many keys, `concurrency` at once (default 10), and tells of each. A failure is told, never fatal. */
  readonly warm: (
    keys: Iterable<K>,
    options?: { readonly concurrency?: number | undefined }
  ) => AsyncIterable<Handle.Progress<K, unknown>>
  readonly stats: () => Handle.Stats
}

/**
 * How values are loaded: one by one, many at once, or both ways. What a lookup throws is a rejection too. A lookup that
 * waits for its own key is not found out here: it waits until `hardTimeout`.
 *
 * @since 0.1.0
 * @category models
 */
export type Lookup<K, A, Known> =
  | {
    readonly lookup: (key: K, load: Load<Known>) => A | PromiseLike<A>
    readonly lookupMany?:
      | ((keys: ReadonlyArray<K>, load: { readonly signal: AbortSignal }) => PromiseLike<ReadonlyMap<K, A>>)
      | undefined
  }
  | {
    readonly lookup?: undefined
    readonly lookupMany: (
      keys: ReadonlyArray<K>,
      load: { readonly signal: AbortSignal }
    ) => PromiseLike<ReadonlyMap<K, A>>
  }

/**
 * A schema that needs no services.
 *
 * @since 0.1.0
 * @category models
 */
export type Codec = Schema.Constraint & { readonly DecodingServices: never; readonly EncodingServices: never }

/**
 * Options of {@link Caches.make}: those of `Swr.make`, with a lookup that answers a promise.
 *
 * @since 0.1.0
 * @category models
 */
export type MakeOptions<K, A, S, P, Known = A> =
  & { readonly name: string; readonly schema?: S | undefined }
  & Lookup<K, A, Options.Value<S, Known>>
  & Options.Windows<unknown, P>
  & ([P] extends [undefined] ? { readonly freshFor: Duration.Input } : unknown)
  & Options.Load<Options.Value<S, A>, NoInfer<K>, Duration.Input | undefined>
  & Options.Memory<Options.Value<S, A>, NoInfer<K>>
  & Options.Naming<NoInfer<K>>

/**
 * The caches of a program.
 *
 * @since 0.1.0
 * @category models
 */
export interface Caches {
  /**
   * A typed cached lookup. Throws `InvalidPolicy` for options that can't be honoured. Two calls with one options object
   * are one cache.
   */
  readonly make: <
    A extends Options.Fitting<S> & Known,
    // What K is until it is inferred: with `unknown` a `key` would be missing.
    K = string,
    Known = unknown,
    S extends Codec | undefined = undefined,
    P extends Policy.Policy | undefined = undefined
  >(options: MakeOptions<K, A, S, P, Known>) => Instance<K, Options.Value<S, A>, Options.Reader<unknown, P>>
  /** Everything that happens in every cache. A slow listener loses the oldest. */
  readonly events: AsyncIterable<Event.Event>
  /**
   * What they live on, for other faces of the same.
   *
   * @internal
   */
  readonly context: Context.Context<Swr.Cache>
}

/**
 * Caches with an end of their own.
 *
 * @since 0.1.0
 * @category models
 */
export interface OwnCaches extends Caches {
  /** Stops every load. Who waits, and every later call, is rejected with {@link CachesClosed}. */
  readonly close: () => Promise<void>
}

/**
 * Caches in memory. Needs nothing.
 *
 * @example
 * ```ts
 * import * as SwrPromise from "effect-swr/SwrPromise"
 *
 * const caches = SwrPromise.make()
 *
 * const lengths = caches.make({
 *   name: "lengths",
 *   lookup: (word: string) => Promise.resolve(word.length),
 *   freshFor: "1 minute",
 *   maxAge: "6 minutes"
 * })
 *
 * lengths.get("stale").then(console.log) // 5
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Swr.LayerOptions): OwnCaches => {
  const runtime = ManagedRuntime.make(Swr.layer(options))
  return { ...from(runtime.runSync(Effect.context<Swr.Cache>())), close: () => runtime.dispose() }
}

/**
 * The caches of a runtime that a program has already, which ends when that is disposed.
 *
 * @example
 * ```ts
 * import { ManagedRuntime } from "effect"
 * import { Swr } from "effect-swr"
 * import * as SwrPromise from "effect-swr/SwrPromise"
 *
 * const runtime = ManagedRuntime.make(Swr.layer({ capacity: 1000 }))
 *
 * SwrPromise.over(runtime).then(async (caches) => {
 *   const lengths = caches.make({ name: "lengths", lookup: (word: string) => word.length, freshFor: "1 minute" })
 *   console.log(await lengths.get("stale")) // 5
 *   await runtime.dispose()
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const over = <E>(runtime: ManagedRuntime.ManagedRuntime<Swr.Cache, E>): Promise<Caches> =>
  runtime.context().then(from)

// One options object, one cache: the object that `Swr.make` is given tells.
const known = /*#__PURE__*/ new WeakMap<object, object>()

const from = (context: Context.Context<Swr.Cache>): Caches => ({
  make: (options) => {
    const effects = known.get(options) ?? asEffects(options as unknown as Untyped)
    known.set(options, effects)
    // The types of `make` above are those of the options.
    const cache = Effect.runSyncWith(context)(Swr.make<unknown, unknown, never, unknown>(effects as never))
    const handle = Handle.of(cache)
    return (handle && face(cache, handle, context)) as never
  },
  events: Stream.toAsyncIterable(Context.get(context, Swr.Cache).events),
  context
})

interface Untyped {
  readonly lookup?: (key: unknown, load: Load<unknown>) => unknown
  readonly lookupMany?: (keys: ReadonlyArray<unknown>, load: { readonly signal: AbortSignal }) => unknown
}

/** What was thrown or rejected is the error, as it is. */
const attempt = (run: (signal: AbortSignal) => unknown): Effect.Effect<unknown, unknown> =>
  Effect.tryPromise({ try: (signal) => Promise.resolve(run(signal)), catch: (error) => error })

const asEffects = (options: Untyped): object => {
  const { lookup, lookupMany } = options
  return {
    ...options,
    lookup: lookup &&
      ((key: unknown, previous: Option.Option<Job.Previous<unknown>>) =>
        attempt((signal) => lookup(key, { signal, previous: Option.getOrUndefined(Option.map(previous, aged)) }))),
    lookupMany: lookupMany && ((keys: ReadonlyArray<unknown>) => attempt((signal) => lookupMany(keys, { signal })))
  }
}

const aged = ({ age, value }: Job.Previous<unknown>) => ({ value, age: Duration.toMillis(age) })

const snapshot = (answer: Answer.Snapshot<unknown>): Snapshot<unknown> => ({
  value: answer.value,
  status: answer.status,
  source: answer.source,
  reason: Option.getOrUndefined(answer.reason),
  age: Duration.toMillis(answer.age),
  freshFor: Duration.toMillis(answer.freshFor),
  servableFor: Duration.toMillis(answer.servableFor)
})

const face = (
  cache: Handle.Instance<unknown, unknown, unknown>,
  handle: Handle.Handle,
  context: Context.Context<never>
): Instance<unknown, unknown, object> => {
  const runExit = Effect.runPromiseExitWith(context)
  const run = <B>(effect: Effect.Effect<B, unknown>, signal?: AbortSignal): Promise<B> =>
    signal?.aborted === true ? Promise.reject(signal.reason) : runExit(effect, { signal }).then((exit) => {
      if (Exit.isSuccess(exit)) return exit.value
      const why = !Cause.hasInterruptsOnly(exit.cause)
        ? Cause.squash(exit.cause)
        : signal?.aborted === true
        ? signal.reason
        : new CachesClosed({ cache: cache.name })
      return Promise.reject(why)
    })
  const now = Effect.runSyncWith(context)
  // Once closed it has nothing.
  const peek = (key: unknown) =>
    Option.getOrUndefined(
      Option.map(handle.instance.peek(handle.nameOf(key), new Handle.Evidence(handle, key)), snapshot)
    )
  const get = (key: unknown, options?: ReadOptions<object>): Promise<unknown> => {
    // A fresh hit is here already; anything else, a key or policy that is refused too, is the fiber's to tell.
    try {
      const entry = options?.signal?.aborted === true ? undefined : handle.fresh(key, options?.policy)
      if (entry !== undefined) return Promise.resolve(entry.value)
    } catch {}
    return run(Handle.asEffect(new Handle.Value(handle, key, options?.policy)), options?.signal)
  }
  return {
    name: cache.name,
    get,
    read: (key, options) => run(cache.read(key, options?.policy as never), options?.signal).then(snapshot),
    peek,
    has: (key) => (peek(key)?.status ?? "expired") !== "expired",
    getMany: (keys, options) => run(cache.getMany(keys, options?.policy as never), options?.signal),
    readMany: (keys, options) =>
      run(cache.readMany(keys, options?.policy as never), options?.signal).then((results) =>
        results.map((result) =>
          Result.isSuccess(result)
            ? { status: "fulfilled", value: snapshot(result.success) }
            : { status: "rejected", reason: result.failure }
        )
      ),
    set: (key, value, wishes) => run(cache.set(key, value, wishes)),
    mutate: (key, change) =>
      run(cache.mutate(key, (current) => attempt(() => change(Option.getOrUndefined(current))))).then(snapshot),
    revalidate: (key) => run(cache.revalidate(key)).then(snapshot),
    invalidate: (key, options) => run(cache.invalidate(key, options)),
    invalidateMany: (keys, options) => run(cache.invalidateMany(keys, options)),
    invalidateTag: (tag) => run(cache.invalidateTag(tag)),
    clear: () => run(cache.clear),
    changes: (key) =>
      Stream.toAsyncIterable(
        Stream.map(cache.changes(key), (answer) => Option.getOrUndefined(Option.map(answer, snapshot)))
      ),
    warm: (keys, options) => Stream.toAsyncIterable(cache.warm(keys, options)),
    stats: () => now(cache.stats)
  }
}
