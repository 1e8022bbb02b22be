/**
 * A stale-while-revalidate cache as a service: give it a key and an effect, and it answers with what it has, refreshes
 * behind the reader's back, never serves past a bound, and keeps answering while the origin is sick.
 *
 * @since 0.1.0
 */
import {
  Config,
  Context,
  type Duration,
  Effect,
  type Fiber,
  Layer,
  Option,
  type Schema,
  type Scope,
  type Stream
} from "effect"
import * as Answer from "./Answer.ts"
import * as Codec from "./Codec.ts"
import * as Engine from "./Engine.ts"
import type * as Event from "./Event.ts"
import * as Fleet from "./Fleet.ts"
import type * as Flight from "./Flight.ts"
import * as Handle from "./Handle.ts"
import type * as Job from "./Job.ts"
import type * as Key from "./Key.ts"
import * as Options from "./Options.ts"
import * as Policy from "./Policy.ts"
import * as Store from "./Store.ts"

export type { Answer, Snapshot, Source } from "./Answer.ts"
export type { LayerOptions } from "./Engine.ts"
export { LookupCycle } from "./Flight.ts"
export type { Instance, Progress, Stats, Table } from "./Handle.ts"
export { type Keep, LoadTimeout, type Previous, type Wishes } from "./Job.ts"
export { InvalidKey } from "./Key.ts"
export type { Reason } from "./State.ts"

const TypeId = "~effect-swr/Swr/Cache"

/**
 * The cache of a program: the instance over string keys that {@link swr} uses, and the owner of all that are made. What
 * it invalidates and clears are the entries of `swr` alone; its `events` are those of every cache.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const program = Effect.gen(function*() {
 *   yield* Swr.swr("greeting", Effect.succeed("hello"))
 *   const cache = yield* Swr.Cache
 *   yield* cache.invalidate("greeting")
 *   return yield* cache.has("greeting")
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // false
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class Cache extends Context.Service<Cache, Cache.Service>()("effect-swr/Swr/Cache") {}

/**
 * The type of the service.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace Cache {
  /**
   * What can be done without a lookup, and what happens in every cache.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Service extends Handle.Table<string> {
    readonly [TypeId]: Engine.Engine
    /** What memory has of a key. The type is the reader's word. */
    readonly peek: <A = unknown>(key: string) => Effect.Effect<Option.Option<Answer.Snapshot<A>>>
    readonly set: (
      key: string,
      value: unknown,
      wishes?: Job.Wishes | undefined
    ) => Effect.Effect<void, Store.StoreError>
    readonly mutate: <A, E2, R2>(
      key: string,
      change: (current: Option.Option<A>) => Effect.Effect<A, E2, R2>
    ) => Effect.Effect<Answer.Snapshot<A>, E2 | Store.StoreError, R2>
    readonly changes: <A = unknown>(key: string) => Stream.Stream<Option.Option<Answer.Snapshot<A>>>
    /**
     * Everything that happens in every cache of this layer. Whoever is slower than 1,024 events loses the oldest, and a
     * `Lost` says how many.
     */
    readonly events: Stream.Stream<Event.Event>
  }
}

const makeCache = Effect.fnUntraced(function*(
  options: Engine.LayerOptions,
  below?: (host: Flight.Host) => Engine.Below
) {
  const engine = yield* Engine.make(options, below)
  const instance = Handle.typed(engine.swr)
  return Cache.of({
    ...Handle.table(engine.swr) as Handle.Table<string>,
    [TypeId]: engine,
    set: instance.set,
    // The types of this instance are the reader's word.
    peek: instance.peek as Cache.Service["peek"],
    mutate: instance.mutate as Cache.Service["mutate"],
    changes: instance.changes as Cache.Service["changes"],
    events: engine.events
  })
})

/**
 * A cache in memory. Needs nothing.
 *
 * Each call builds another cache: keep the layer in a constant.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const program = Effect.gen(function*() {
 *   const answer = yield* Swr.swr("greeting", Effect.succeed("hello"), { freshFor: "1 minute" })
 *   return [answer.value, answer.status]
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // [ 'hello', 'miss' ]
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Engine.LayerOptions = {}): Layer.Layer<Cache> => Layer.effect(Cache, makeCache(options))

/**
 * A cache in memory over a store that other processes share, or that outlives this one.
 *
 * Caches with a `schema` are in the store; without one a cache stays in memory. A store that is absent, slow or broken
 * fails no read: memory goes on, and lookups run.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Testing from "effect-swr/Testing"
 *
 * // Two processes over one store; in production it is `StoreRedis.layer`.
 * const program = Effect.gen(function*() {
 *   const store = yield* Testing.simulatedStore()
 *   const greet = (process: string, greeting: string) =>
 *     Swr.swr("greeting", Effect.succeed(greeting), { freshFor: "1 minute", schema: Schema.String }).pipe(
 *       Effect.provide(Swr.layerStore().pipe(Layer.provide(store.connect(process))))
 *     )
 *   const first = yield* greet("a", "hello")
 *   const second = yield* greet("b", "good evening")
 *   return [first.value, first.source, second.value, second.source]
 * })
 *
 * Effect.runPromise(program).then(console.log) // [ 'hello', 'lookup', 'hello', 'store' ]
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerStore = (options: Engine.StoreOptions = {}): Layer.Layer<Cache, never, Store.Store> =>
  Layer.effect(Cache, Effect.flatMap(Store.Store, (store) => makeCache(options, overStore(store, options))))

const overStore = (store: Store.Store["Service"], options: Engine.StoreOptions) => {
  const millis = (option: "storeDeadline" | "trustFor" | "leaseFor", otherwise: Duration.Input) =>
    Policy.millis(option, options[option] ?? otherwise, 1)
  const within = {
    storeDeadline: millis("storeDeadline", "50 millis"),
    trustFor: millis("trustFor", "2 seconds"),
    leaseFor: millis("leaseFor", "5 seconds")
  }
  return (host: Flight.Host): Engine.Below => {
    const fleet = new Fleet.Fleet(store, host, within)
    return { codec: Codec.text, tier: (namespace, version) => fleet.tier(namespace, version), listen: fleet.listen }
  }
}

/**
 * The same, its options from `Config`. Options that can't be honoured are an error here, and not a defect: they come
 * from outside.
 *
 * @example
 * ```ts
 * import { Config, ConfigProvider, Effect, Layer } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const layer = Swr.layerConfig({ capacity: Config.Int("CACHE_CAPACITY") }).pipe(
 *   Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ CACHE_CAPACITY: 0 })))
 * )
 *
 * const program = Effect.flip(Effect.provide(Swr.cacheGet("greeting"), layer))
 *
 * Effect.runPromise(program).then((error) => console.log(error.message))
 * // capacity: got 0, allowed is a whole number from 1 up
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Wrap<Engine.LayerOptions>
): Layer.Layer<Cache, Config.ConfigError | Policy.InvalidPolicy> =>
  Layer.effect(
    Cache,
    Effect.flatMap(Config.unwrap(options), (options) =>
      Effect.catchDefect(makeCache(options), (defect) =>
        defect instanceof Policy.InvalidPolicy ? Effect.fail(defect) : Effect.die(defect)))
  )

/**
 * What is behind the service, for the rooms that look on.
 *
 * @internal
 */
export const behind = (cache: Cache.Service): Engine.Engine => cache[TypeId]

const engineOf = (fiber: Fiber.Fiber<unknown, unknown>): Engine.Engine =>
  // The entrances ask for the service by type.
  Context.getUnsafe(fiber.context, Cache)[TypeId]

/**
 * Options of {@link swr}. Decoded once per object: keep them in a constant.
 *
 * @since 0.1.0
 * @category models
 */
export type SwrOptions<A, E, S, H, P> =
  & { readonly schema?: S | undefined }
  & Options.Windows<E, P>
  & Options.Load<Options.Value<S, A>, string, H>

/**
 * A key and an effect. Answers from memory, refreshing behind the reader when the value is stale. By default a value is
 * never fresh (`freshFor` 0) and servable for a day (`maxAge`).
 *
 * The lookup runs with its reader's services, also behind the reader's back: a transaction among them would publish
 * rows that are not committed. {@link make} has no such catch. Without a schema the type of the value is the reader's
 * word; with one, a value that another program kept under the key is checked.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const options = { freshFor: "5 minutes", maxAge: "1 hour", schema: Schema.Struct({ theme: Schema.String }) } as const
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* Swr.swr("config:global", Effect.succeed({ theme: "dark" }), options)
 *   const again = yield* Swr.swr("config:global", Effect.succeed({ theme: "light" }), options)
 *   return [first.status, again.status, again.value.theme]
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // [ 'miss', 'fresh', 'dark' ]
 * ```
 *
 * @since 0.1.0
 * @category entrances
 */
export const swr = <
  A extends Options.Fitting<S>,
  E,
  R,
  S extends Schema.Constraint | undefined = undefined,
  H extends Duration.Input | undefined = undefined,
  P extends Policy.Policy<E> | undefined = undefined
>(
  key: string,
  lookup: Effect.Effect<A, E, R>,
  options?: SwrOptions<A, E, S, H, P>
): Effect.Effect<
  Answer.Answer<Options.Value<S, A>, E | Options.Timeout<H>, Exclude<R, Scope.Scope> | Options.Services<S>>,
  E | Options.Timeout<H>,
  Exclude<R, Scope.Scope> | Options.Services<S> | Cache
> =>
  Effect.withFiber((fiber) => {
    const engine = engineOf(fiber)
    const spec = specOf(engine, engine.swr, options)
    const name = engine.swr.nameOf(key)
    // What the types above say is what the reader's fiber has.
    return engine.swr.instance.read(
      fiber,
      name,
      spec.policy,
      new Call(engine.swr, key, spec, lookup as never)
    ) as never
  })

const specOf = (engine: Engine.Engine, handle: Handle.Handle, options: object | undefined): Job.Spec => {
  if (options === undefined) return handle.spec
  let spec = engine.specs.get(options)
  if (spec === undefined) {
    spec = Options.spec(options, handle.spec.policy, engine.limits)
    engine.specs.set(options, spec)
  }
  return spec
}

// A read with a lookup and options of its own.
class Call implements Answer.Request<unknown, unknown, unknown> {
  readonly handle: Handle.Handle
  readonly key: unknown
  readonly spec: Job.Spec
  readonly lookup: Effect.Effect<unknown, unknown>

  constructor(handle: Handle.Handle, key: unknown, spec: Job.Spec, lookup: Effect.Effect<unknown, unknown>) {
    this.handle = handle
    this.key = key
    this.spec = spec
    this.lookup = lookup
  }
  job(fiber: Fiber.Fiber<unknown, unknown>): Job.Job {
    return { ...this.handle.job(this.key, fiber), spec: this.spec, policy: this.spec.policy, lookup: () => this.lookup }
  }
  view(...[name, entry, found]: Parameters<Answer.View<unknown, unknown, unknown>>): Answer.Given<unknown, unknown> {
    return new Answer.Given(this.handle.instance, this, name, entry, found)
  }
  hit(
    ...[name, entry, at, policy]: Parameters<Answer.Request<unknown, unknown, unknown>["hit"]>
  ): Answer.Given<unknown, unknown> {
    return this.view(name, entry, Answer.fresh(at, policy))
  }
}

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export type MakeOptions<K, A, E, R, S, H, P, Known = A> =
  & {
    /** Of the cache, one per layer; part of every stored key. */
    readonly name: string
    /** Of the values. Each load is encoded and decoded once, so that readers get the same on a miss and on a hit. */
    readonly schema?: S | undefined
  }
  & ServiceOptions<K, A, E, R, S, H, P, Known>

/**
 * Options of {@link Service}.
 *
 * @since 0.1.0
 * @category models
 */
export type ServiceOptions<K, A, E, R, S, H, P, Known = A> =
  & { readonly schema?: S | undefined }
  & Options.Lookup<K, A, E, R, Options.Value<S, Known>>
  & Options.Windows<E, P>
  & ([P] extends [undefined] ? { readonly freshFor: Duration.Input } : unknown)
  & Options.Load<Options.Value<S, A>, NoInfer<K>, H>
  & Options.Memory<Options.Value<S, A>, NoInfer<K>>
  & Options.Naming<NoInfer<K>>

/**
 * A typed cached lookup.
 *
 * Its lookup runs with the services that `make` was run with, never a reader's. Make a cache once, where the program is
 * built: two calls with one options object are one cache, and another object of the same name is refused.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const program = Effect.gen(function*() {
 *   const lengths = yield* Swr.make({
 *     name: "lengths",
 *     lookup: (word: string) => Effect.succeed(word.length),
 *     freshFor: "1 minute",
 *     maxAge: "6 minutes"
 *   })
 *   return yield* lengths.getMany(["stale", "while"])
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // [ 5, 5 ]
 * ```
 *
 * @since 0.1.0
 * @category entrances
 */
export const make = <
  A extends Options.Fitting<S> & Known,
  E,
  R,
  // What K is until it is inferred: with `unknown` a `key` would be missing. The same in `Service`.
  K = string,
  Known = unknown,
  S extends Schema.Constraint | undefined = undefined,
  H extends Duration.Input | undefined = undefined,
  P extends Policy.Policy<E> | undefined = undefined
>(
  options: MakeOptions<K, A, E, R, S, H, P, Known>
): Effect.Effect<
  Handle.Instance<K, Options.Value<S, A>, E | Options.Timeout<H>, Options.Reader<E, P>>,
  never,
  Cache | Exclude<R, Scope.Scope> | Options.Services<S>
> =>
  Effect.withFiber((fiber) => {
    const engine = engineOf(fiber)
    // The types above are those of the options; a handle forgets them, and the instance has them again.
    const written = options as never as Untyped
    return Effect.succeed(Handle.typed(open(engine, written.name, written, fiber.context)) as never)
  })

interface Untyped extends Options.Memory<unknown, unknown>, Options.Written {
  readonly name: string
  readonly key?: Handle.Opening["key"]
  readonly lookup?: Handle.Opening["lookup"]
  readonly lookupMany?: Handle.Opening["lookupMany"]
}

const open = (
  engine: Engine.Engine,
  name: string,
  options: Omit<Untyped, "name">,
  context: Handle.Opening["context"]
): Handle.Handle =>
  engine.open({
    name,
    options,
    // Nothing lies over a strict policy: a cache that gives windows has its own.
    spec: (limits) => Options.spec(options, limits.defaults.strict ? {} : limits.defaults, limits),
    memory: options,
    shared: false,
    key: options.key,
    lookup: options.lookup,
    lookupMany: options.lookupMany,
    // Flat: what a load adds to it is then never a copy of the whole.
    context: context && Context.makeUnsafe(context.mapUnsafe)
  })

/**
 * A cached lookup as a service with a layer, for programs made of layers.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Swr } from "effect-swr"
 *
 * class Lengths extends Swr.Service<Lengths>()("app/Lengths", {
 *   lookup: (word: string) => Effect.succeed(word.length),
 *   freshFor: "1 minute"
 * }) {}
 *
 * const program = Lengths.use((lengths) => lengths.get("stale"))
 *
 * Effect.runPromise(
 *   Effect.provide(program, Lengths.layer.pipe(Layer.provide(Swr.layer())))
 * ).then(console.log) // 5
 * ```
 *
 * @since 0.1.0
 * @category entrances
 */
export const Service = <Self>() =>
<
  const Id extends string,
  A extends Options.Fitting<S> & Known,
  E,
  R,
  K = string,
  Known = unknown,
  S extends Schema.Constraint | undefined = undefined,
  H extends Duration.Input | undefined = undefined,
  P extends Policy.Policy<E> | undefined = undefined
>(id: Id, options: ServiceOptions<K, A, E, R, S, H, P, Known>): ServiceClass<
  Self,
  Id,
  Handle.Instance<K, Options.Value<S, A>, E | Options.Timeout<H>, Options.Reader<E, P>>,
  Cache | Exclude<R, Scope.Scope> | Options.Services<S>
> => {
  const named = { ...options, name: id }
  return class extends Context.Service<
    Self,
    Handle.Instance<K, Options.Value<S, A>, E | Options.Timeout<H>, Options.Reader<E, P>>
  >()(id) {
    static readonly layer = Layer.effect(this, make<A, E, R, K, Known, S, H, P>(named))
  }
}

/**
 * What a class made by {@link Service} extends.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServiceClass<Self, Id extends string, Shape, R> extends Context.ServiceClass<Self, Id, Shape> {
  readonly layer: Layer.Layer<Self, never, R>
}

/**
 * A cached function.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cached<in Args extends ReadonlyArray<unknown>, A, E, R> {
  (...args: Args): Effect.Effect<A, E, R | Cache>
  /** The value with the evidence for it. */
  readonly read: (...args: Args) => Effect.Effect<Answer.Answer<A, E, R>, E, R | Cache>
  /** Waits for a load that begins after the call. */
  readonly revalidate: (...args: Args) => Effect.Effect<Answer.Answer<A, E, R>, E, R | Cache>
  /** The entry is gone. */
  readonly invalidate: (...args: Args) => Effect.Effect<void, Store.StoreError, Cache>
  /** Every entry of this function that bears the tag is gone. Tags come from `keep`. */
  readonly invalidateTag: (tag: string) => Effect.Effect<void, Store.StoreError, Cache>
  /** Every entry of this function is gone. */
  readonly clear: Effect.Effect<void, Store.StoreError, Cache>
}

/**
 * Options of {@link fn}.
 *
 * @since 0.1.0
 * @category models
 */
export type FnOptions<Args, A, E, S, H, P> =
  & { readonly schema?: S | undefined }
  & Options.Windows<E, P>
  & ([P] extends [undefined] ? { readonly freshFor: Duration.Input } : unknown)
  & Options.Load<Options.Value<S, A>, Args, H>
  & Options.Memory<Options.Value<S, A>, Args>

/**
 * Caches a function by its arguments. Arguments that are not strings, numbers or booleans need a `key`.
 *
 * Like {@link swr}, and unlike {@link make}, it runs with its reader's services.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const quote = Swr.fn("quote", { freshFor: "1 minute" })(
 *   (sku: string, currency: string) => Effect.succeed(`${sku}: 12 ${currency}`)
 * )
 *
 * Effect.runPromise(Effect.provide(quote("a", "EUR"), Swr.layer())).then(console.log) // a: 12 EUR
 * ```
 *
 * @since 0.1.0
 * @category entrances
 */
export const fn = <
  S extends Schema.Constraint | undefined = undefined,
  H extends Duration.Input | undefined = undefined,
  Failure = unknown,
  P extends Policy.Policy<Failure> | undefined = undefined,
  Known = unknown
>(name: string, options: FnOptions<ReadonlyArray<unknown>, Known, Failure, S, H, P>) =>
<Args extends ReadonlyArray<unknown>, A extends Options.Fitting<S> & Known, E extends Failure, R>(
  f: (...args: Args) => Effect.Effect<A, E, R>,
  ...naming: Args extends ReadonlyArray<Key.Part> ? [key?: (...args: Args) => Key.Key]
    : [key: (...args: Args) => Key.Key]
): Cached<Args, Options.Value<S, A>, E | Options.Timeout<H>, Exclude<R, Scope.Scope> | Options.Services<S>> => {
  const [key] = naming
  const opened = {
    ...options,
    // Without a `key` the arguments are parts, says the type of `naming`.
    key: (args: Args) => key === undefined ? args : (key as (...args: Args) => Key.Key)(...args),
    lookup: (args: Args) => f(...args)
  } as never as Untyped
  const using = <B>(use: (handle: Handle.Handle) => Effect.Effect<B, unknown>) =>
    Effect.withFiber((fiber) => use(open(engineOf(fiber), name, opened, undefined)))
  const cached = {
    read: (...args: Args) => using((handle) => Handle.asEffect(new Handle.Evidence(handle, args))),
    revalidate: (...args: Args) => using((handle) => Handle.typed(handle).revalidate(args)),
    invalidate: (...args: Args) => using((handle) => Handle.typed(handle).invalidate(args)),
    invalidateTag: (tag: string) => using((handle) => Handle.typed(handle).invalidateTag(tag)),
    clear: using((handle) => Handle.typed(handle).clear)
  }
  // The types above are those of `f` and the options.
  return Object.assign(
    (...args: Args) => using((handle) => Handle.asEffect(new Handle.Value(handle, args))),
    cached
  ) as never
}

/**
 * Reads a plain value; `none` where there is none, or none that fits the schema. Loads nothing.
 *
 * @example
 * ```ts
 * import { Effect, Option, Schema } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const program = Effect.gen(function*() {
 *   yield* Swr.cacheSet("visits", 7)
 *   const visits = yield* Swr.cacheGet("visits", { schema: Schema.Finite })
 *   const text = yield* Swr.cacheGet("visits", { schema: Schema.String })
 *   return [Option.getOrNull(visits), Option.getOrNull(text)]
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // [ 7, null ]
 * ```
 *
 * @since 0.1.0
 * @category entrances
 */
export const cacheGet = <S extends Schema.Constraint | undefined = undefined>(
  key: string,
  options?: { readonly schema?: S }
): Effect.Effect<Option.Option<Options.Value<S, unknown>>, never, Cache> =>
  Effect.withFiber((fiber) => {
    const { plain } = engineOf(fiber)
    const spec = plainSpec(engineOf(fiber), options?.schema)
    const found = plain.instance.find(plain.nameOf(key), new Call(plain, key, spec, Effect.never))
    // With a schema the value was checked; without one the type says unknown.
    return Effect.map(found, Option.map((answer) => (answer as Answer.Snapshot<unknown>).value as never))
  })

/**
 * Writes a plain value, for `timeToLive` (at least 1 ms, default 1 day). Its keys are never those of {@link swr}.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const program = Effect.gen(function*() {
 *   yield* Swr.cacheSet("code", "1234", { timeToLive: "5 minutes" })
 *   return Option.getOrNull(yield* Swr.cacheGet("code"))
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // 1234
 * ```
 *
 * @since 0.1.0
 * @category entrances
 */
export const cacheSet = <S extends Schema.Constraint | undefined = undefined>(
  key: string,
  value: Options.Value<S, unknown>,
  options?: { readonly schema?: S; readonly timeToLive?: Duration.Input | undefined }
): Effect.Effect<void, Store.StoreError, Cache | Options.Services<S>> =>
  Effect.withFiber((fiber) => {
    const engine = engineOf(fiber)
    const { instance, nameOf } = engine.plain
    const maxAge = Policy.millis("timeToLive", options?.timeToLive ?? "1 day", 1)
    return Effect.asVoid(instance.set(nameOf(key), key, value, plainSpec(engine, options?.schema), { maxAge }))
  })

/**
 * Removes a plain value.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Swr } from "effect-swr"
 *
 * const program = Effect.gen(function*() {
 *   yield* Swr.cacheSet("code", "1234")
 *   yield* Swr.cacheRemove("code")
 *   return Option.isSome(yield* Swr.cacheGet("code"))
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // false
 * ```
 *
 * @since 0.1.0
 * @category entrances
 */
export const cacheRemove = (key: string): Effect.Effect<void, Store.StoreError, Cache> =>
  Effect.withFiber((fiber) => Handle.typed(engineOf(fiber).plain).invalidate(key))

const plainSpec = (engine: Engine.Engine, schema: Schema.Constraint | undefined): Job.Spec => {
  if (schema === undefined) return engine.plain.spec
  let spec = engine.specs.get(schema)
  if (spec === undefined) {
    spec = Options.spec({ schema }, engine.plain.spec.policy, engine.limits)
    engine.specs.set(schema, spec)
  }
  return spec
}
