/**
 * A stale-while-revalidate cache as a service: give it a key and an effect, and it answers with what it has, refreshes
 * behind the reader's back, never serves past a bound, and keeps answering while the origin is sick.
 *
 * @since 0.1.0
 */
import {
  Clock,
  Config,
  Context,
  Duration,
  Effect,
  Effectable,
  Exit,
  Fiber,
  Layer,
  Option,
  PubSub,
  Random,
  type Redacted,
  Result,
  type Schema,
  type Scope,
  Stream,
  Tracer
} from "effect"
import type * as Entry from "./Entry.ts"
import type * as Event from "./Event.ts"
import * as Flight from "./Flight.ts"
import * as Core from "./Instance.ts"
import * as Key from "./Key.ts"
import * as Options from "./Options.ts"
import * as Policy from "./Policy.ts"
import type * as Store from "./Store.ts"

export type { Keep, Previous, Wishes } from "./Flight.ts"
export { LoadTimeout, LookupCycle } from "./Flight.ts"
export type { Answer, Snapshot, Source } from "./Instance.ts"
export { InvalidKey } from "./Key.ts"

/**
 * Counters since the cache began, and what it holds now.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats extends Flight.Counters {
  /** Keys of which something is kept. */
  readonly size: number
  /** The sum of their weights; without `weight` every entry weighs 1. */
  readonly weight: number
  /** Loads under way. */
  readonly flights: number
  /** Keys that are left alone after a failed load. */
  readonly backoffs: number
}

/**
 * One key of a warm-up, done.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress<out K, out E> {
  readonly key: K
  readonly result: Result.Result<void, E>
  readonly done: number
  readonly total: number
}

/**
 * What can be done with a cache without a lookup.
 *
 * @since 0.1.0
 * @category models
 */
export interface Table<K> {
  /** Whether memory has the key, fresh or stale. */
  readonly has: (key: K) => Effect.Effect<boolean>
  /** The entry is gone (`"hard"`, the default), or stale from now on and still servable (`"soft"`). */
  readonly invalidate: (
    key: K,
    options?: { readonly mode?: "hard" | "soft" | undefined }
  ) => Effect.Effect<void, Store.StoreError>
  /** The same for many keys. */
  readonly invalidateMany: (
    keys: Iterable<K>,
    options?: { readonly mode?: "hard" | "soft" | undefined }
  ) => Effect.Effect<void, Store.StoreError>
  /** Every entry that bears the tag is gone. Tags come from `keep` and `set`. */
  readonly invalidateTag: (tag: string) => Effect.Effect<void, Store.StoreError>
  /** Every entry is gone. */
  readonly clear: Effect.Effect<void, Store.StoreError>
  readonly stats: Effect.Effect<Stats>
}

/**
 * A typed cached lookup.
 *
 * @since 0.1.0
 * @category models
 */
export interface Instance<K, A, E = never, P = Options.Reader<E>> extends Table<K> {
  readonly name: string
  /** The value. Fails with the lookup's own error, and only where there is nothing to fall back on. */
  readonly get: (key: K, policy?: P | undefined) => Effect.Effect<A, E>
  /** The value with the evidence for it. */
  readonly read: (key: K, policy?: P | undefined) => Effect.Effect<Core.Answer<A, E>, E>
  /** What memory has, expired entries too. Never loads. */
  readonly peek: (key: K) => Effect.Effect<Option.Option<Core.Answer<A, E>>>
  /** In order. What is missing is loaded in one batch, where there is a `lookupMany`. Fails with the first failure. */
  readonly getMany: (keys: Iterable<K>, policy?: P | undefined) => Effect.Effect<ReadonlyArray<A>, E>
  /** The same, with each key's own result. */
  readonly readMany: (
    keys: Iterable<K>,
    policy?: P | undefined
  ) => Effect.Effect<ReadonlyArray<Result.Result<Core.Answer<A, E>, E>>>
  /** This value from now on. A load that began before is not kept. */
  readonly set: (key: K, value: A, wishes?: Flight.Wishes | undefined) => Effect.Effect<void, Store.StoreError>
  /** Changes the value by an effect, one at a time per key. Until it succeeds reads see the old value. */
  readonly mutate: <E2, R2>(
    key: K,
    change: (current: Option.Option<A>) => Effect.Effect<A, E2, R2>
  ) => Effect.Effect<Core.Answer<A, E>, E2 | Store.StoreError, R2>
  /** Waits for a load that begins after the call. */
  readonly revalidate: (key: K) => Effect.Effect<Core.Answer<A, E>, E>
  /** The present answer, then each commit and void; `none`: it is gone. Nothing for the mere passing of time. */
  readonly changes: (key: K) => Stream.Stream<Option.Option<Core.Answer<A, E>>>
  /** Reads many keys, `concurrency` at once (default 10), and tells of each. A failure is told, never fatal. */
  readonly warm: (
    keys: Iterable<K>,
    options?: { readonly concurrency?: number | undefined }
  ) => Stream.Stream<Progress<K, E>>
}

const TypeId = "~effect-swr/Swr/Cache"

/**
 * The cache of a program: the instance over string keys that {@link swr} uses, and the owner of all caches made with it.
 *
 * @since 0.1.0
 * @category services
 */
export class Cache extends Context.Service<Cache, Cache.Service>()("effect-swr/Swr/Cache") {}

/**
 * @since 0.1.0
 */
export declare namespace Cache {
  /**
   * @since 0.1.0
   * @category models
   */
  export interface Service extends Table<string> {
    readonly [TypeId]: Engine
    /** What memory has of a key. The type is the reader's word. */
    readonly peek: <A = unknown>(key: string) => Effect.Effect<Option.Option<Core.Snapshot<A>>>
    readonly set: (
      key: string,
      value: unknown,
      wishes?: Flight.Wishes | undefined
    ) => Effect.Effect<void, Store.StoreError>
    readonly mutate: <A, E2, R2>(
      key: string,
      change: (current: Option.Option<A>) => Effect.Effect<A, E2, R2>
    ) => Effect.Effect<Core.Snapshot<A>, E2 | Store.StoreError, R2>
    readonly changes: <A = unknown>(key: string) => Stream.Stream<Option.Option<Core.Snapshot<A>>>
    /** Everything that happens in every cache of this layer. A slow listener loses the oldest. */
    readonly events: Stream.Stream<Event.Event>
  }
}

/**
 * Options of a layer.
 *
 * @since 0.1.0
 * @category models
 */
export interface LayerOptions {
  /** Every longer window is clamped to it. Default 1 day. */
  readonly maxTimeToLive?: Duration.Input | undefined
  /** How many entries a cache holds that does not say. Default 10,000, each. */
  readonly capacity?: number | undefined
  /** How long a closing layer waits for the loads under way. Default 0. */
  readonly shutdownGrace?: Duration.Input | undefined
  /** How many refreshes may run at once; more are skipped, not queued. Default 64. */
  readonly refreshes?: number | undefined
  /** Sensitive keys are hashed with it (HMAC-SHA-256). Without it by SHA-256. */
  readonly secret?: Redacted.Redacted<string> | undefined
  /** Windows for caches that give none. */
  readonly defaults?: Policy.Windows | undefined
}

/** What a layer says about its caches: the longest window, in milliseconds, and windows for caches that give none. */
interface Limits {
  readonly longest: number
  readonly defaults: Partial<Policy.Policy>
}

/** What is behind the service. */
interface Engine {
  readonly host: Flight.Host
  readonly limits: Limits
  readonly open: (opening: Opening) => Handle
  /** The cache of `swr`. */
  readonly swr: Handle
  /** The cache of `cacheGet` and `cacheSet`. */
  readonly plain: Handle
  /** Options of calls, decoded. */
  readonly specs: WeakMap<object, Flight.Spec>
}

interface Opening {
  readonly name: string
  /** One name, one cache: the object that tells whether it is the same one. */
  readonly options: object
  readonly spec: (limits: Limits) => Flight.Spec
  readonly memory: Options.Memory<unknown, unknown>
  readonly key: ((key: unknown) => Key.Key) | undefined
  readonly lookup: ((key: unknown, previous: Option.Option<Flight.Previous<unknown>>) => Effect.Effect<unknown, unknown>)
    | undefined
  readonly lookupMany: ((keys: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyMap<unknown, unknown>, unknown>)
    | undefined
  /** Of the lookups; `undefined`: they run with their reader's. */
  readonly context: Context.Context<never> | undefined
}

// One cache as the entrances see it, its types forgotten: `Instance` gives them back.
class Handle {
  readonly instance: Core.Instance
  readonly spec: Flight.Spec
  readonly nameOf: (key: unknown) => Key.Name
  readonly lookup: (key: unknown, previous: Option.Option<Flight.Previous<unknown>>) => Effect.Effect<unknown, unknown>
  readonly batch: Flight.Batch<unknown, unknown> | undefined
  readonly context: Context.Context<never> | undefined
  private readonly longest: number
  private readonly readers = new WeakMap<object, Policy.Policy>()

  constructor(host: Flight.Host, limits: Limits, capacity: number, opening: Opening) {
    const { key, lookup, lookupMany, memory, name } = opening
    const nameOf = Key.nameOf(name, host.secret)
    this.longest = limits.longest
    this.spec = opening.spec(limits)
    this.context = opening.context
    this.nameOf = key === undefined ? (k) => nameOf(k as Key.Key) : (k) => nameOf(key(k))
    this.instance = new Core.Instance(
      new Flight.Namespace(host, name, {
        capacity: memory.capacity === undefined ? capacity : Options.count("capacity", memory.capacity, 1),
        weightLimit: Options.weightLimit(memory.weight),
        weight: memory.weight?.of
      })
    )
    const omitted = (key: unknown) => Effect.die(new Error(`${name}: lookupMany omits the key ${Key.show(this.nameOf(key))}`))
    const many = lookupMany && ((keys: ReadonlyArray<unknown>) =>
      Effect.map(lookupMany(keys), (values) => new Map(Array.from(values, ([key, value]) => [this.nameOf(key), value]))))
    this.lookup = lookup ?? ((key) =>
      Effect.flatMap(many?.([key]) ?? Effect.succeed(new Map()), (values) =>
        values.has(this.nameOf(key)) ? Effect.succeed(values.get(this.nameOf(key))) : omitted(key)))
    this.batch = many && { lookup: many, omitted: lookup ? (key) => lookup(key, Option.none()) : omitted }
  }

  policy(reader: object | undefined): Policy.Policy {
    if (reader === undefined) return this.spec.policy
    let policy = this.readers.get(reader)
    if (policy === undefined) {
      policy = Options.read(reader, this.spec.policy, this.longest)
      this.readers.set(reader, policy)
    }
    return policy
  }

  job(key: unknown, fiber: Fiber.Fiber<unknown, unknown>): Flight.Job {
    return {
      key,
      spec: this.spec,
      lookup: (previous) => this.lookup(key, previous),
      context: this.context ?? fiber.context,
      span: Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    }
  }
}

// A read as an effect: one object, evaluated by one method. On a fresh hit nothing else is made.
abstract class Reading {
  static {
    Object.setPrototypeOf(
      this.prototype,
      Effectable.Prototype<Effect.Effect<unknown, unknown> & Reading>({
        label: "Swr.read",
        evaluate(fiber) {
          const { handle, key, reader } = this
          return handle.instance.read(fiber, handle.nameOf(key), handle.policy(reader), this)
        }
      })
    )
  }
  declare readonly handle: Handle
  declare readonly key: unknown
  declare readonly reader: object | undefined

  constructor(handle: Handle, key: unknown, reader?: object) {
    this.handle = handle
    this.key = key
    this.reader = reader
  }
  get spec() {
    return this.handle.spec
  }
  job(fiber: Fiber.Fiber<unknown, unknown>) {
    return this.handle.job(this.key, fiber)
  }
  abstract view(...found: Parameters<Core.View<unknown, unknown, unknown>>): unknown
}

class Value extends Reading {
  override view(_: Key.Name, entry: Entry.Entry<unknown>) {
    return entry.value
  }
}

class Evidence extends Reading {
  override view(name: Key.Name, entry: Entry.Entry<unknown>, found: Core.Found<unknown>) {
    return new Core.AnswerImpl(this.handle.instance, this, name, entry, found)
  }
}

// What every entrance without a lookup can do.
const table = (handle: Handle): Table<never> => {
  const { instance } = handle
  // Nothing is read or written once the layer is closed.
  const act = <A>(f: () => A): Effect.Effect<A> =>
    Effect.suspend(() => instance.namespace.host.closed ? Effect.interrupt : Effect.succeed(f()))
  return {
    has: (key) =>
      act(() =>
        Option.exists(
          instance.peek(handle.nameOf(key), new Evidence(handle, key)),
          (answer) => answer.status !== "expired"
        )
      ),
    invalidate: (key, options) => act(() => instance.invalidate(handle.nameOf(key), options?.mode ?? "hard")),
    invalidateMany: (keys, options) =>
      act(() => {
        for (const key of keys) instance.invalidate(handle.nameOf(key), options?.mode ?? "hard")
      }),
    invalidateTag: (tag) => act(() => instance.invalidateTag(tag)),
    clear: act(() => instance.clear()),
    stats: Effect.sync(() => instance.stats)
  }
}

const typed = (handle: Handle): Instance<unknown, unknown, unknown, object> => {
  const { instance, spec } = handle
  const value = (key: unknown, reader?: object) => new Value(handle, key, reader)
  const evidence = (key: unknown, reader?: object) => new Evidence(handle, key, reader)
  const many = <B>(
    keys: Iterable<unknown>,
    reader: object | undefined,
    request: (key: unknown) => Core.Request<unknown, unknown, B>
  ): Effect.Effect<ReadonlyArray<Exit.Exit<B, unknown>>> =>
    Effect.suspend(() => {
      const names = Array.from(keys, (key) => [handle.nameOf(key), key] as const)
      const requests = new Map(names.map(([name, key]) => [name, request(key)]))
      return Effect.map(
        instance.readMany(requests, handle.policy(reader), handle.batch),
        (exits) => names.map(([name]) => exits.get(name) ?? Exit.interrupt())
      )
    })
  const self: Instance<unknown, unknown, unknown, object> = {
    ...table(handle) as Table<unknown>,
    name: instance.namespace.name,
    get: (key, reader) => asEffect(value(key, reader)),
    read: (key, reader) => asEffect(evidence(key, reader)),
    peek: (key) => Effect.sync(() => instance.peek(handle.nameOf(key), evidence(key))),
    getMany: (keys, reader) =>
      Effect.flatMap(many(keys, reader, value), (exits) => Effect.forEach(exits, (exit) => exit)),
    readMany: (keys, reader) =>
      Effect.flatMap(many(keys, reader, evidence), (exits) => Effect.forEach(exits, (exit) => Effect.result(exit))),
    set: (key, value, wishes) =>
      Effect.suspend(() => Effect.asVoid(instance.set(handle.nameOf(key), key, value, spec, wishes ?? {}))),
    mutate: (key, change) =>
      Effect.suspend(() => {
        const name = handle.nameOf(key)
        return Effect.map(
          instance.mutate(name, key, spec, change),
          (entry) => evidence(key).view(name, entry, instance.written(spec.policy))
        )
      }),
    revalidate: (key) =>
      Effect.suspend(() => instance.revalidate(handle.nameOf(key), evidence(key), instance.answer(evidence(key)))),
    changes: (key) => Stream.suspend(() => instance.changes(handle.nameOf(key), evidence(key))),
    warm: (keys, options) =>
      Stream.suspend(() => {
        const all = Array.from(keys)
        let done = 0
        return Stream.fromIterable(all).pipe(Stream.mapEffect((key) =>
          Effect.map(Effect.result(Effect.asVoid(self.get(key))), (result) => ({
            key,
            result,
            done: ++done,
            total: all.length
          })), { concurrency: options?.concurrency ?? 10, unordered: true }))
      })
  }
  return self
}

// `Reading`'s prototype is an effect's.
const asEffect = <A>(reading: Reading): Effect.Effect<A, unknown> => reading as unknown as Effect.Effect<A, unknown>

const makeEngine = Effect.fnUntraced(function*(options: LayerOptions) {
  const context = yield* Effect.context<never>()
  const clock = Context.get(context, Clock.Clock)
  const random = Context.get(context, Random.Random)
  const origin = clock.monotonicTimeNanosUnsafe()
  const hub = yield* PubSub.sliding<Event.Event>(1024)
  const longest = Policy.millis("maxTimeToLive", options.maxTimeToLive ?? "1 day", 1)
  const grace = Policy.millis("shutdownGrace", options.shutdownGrace ?? 0)
  const capacity = Options.count("capacity", options.capacity ?? 10_000, 1)
  const limits = { longest, defaults: Policy.parse(options.defaults ?? {}, longest) }
  const host: Flight.Host = {
    clock,
    context,
    now: () => Math.floor(Number(clock.monotonicTimeNanosUnsafe() - origin) / 1e6),
    random: () => random.nextDoubleUnsafe(),
    secret: options.secret,
    refreshes: Options.count("refreshes", options.refreshes ?? 64, 0),
    flights: new Map(),
    fibers: new Set(),
    closing: new Set(),
    publish: (event) => PubSub.publishUnsafe(hub, event),
    listeners: 0,
    refreshing: 0,
    depth: 0,
    closed: false
  }
  const handles = new Map<string, { readonly options: object; readonly handle: Handle }>()
  const open = (opening: Opening): Handle => {
    const known = handles.get(opening.name)
    if (known !== undefined) {
      return known.options === opening.options ? known.handle : Policy.refuse(
        "name",
        opening.name,
        "a name that no other cache of this layer has: one name, one cache"
      )
    }
    const handle = new Handle(host, limits, capacity, opening)
    handles.set(opening.name, { options: opening.options, handle })
    return handle
  }
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      host.closed = true
      const drained = Fiber.awaitAll(host.fibers)
      return grace === 0 ? Effect.void : Effect.timeoutOption(Effect.interruptible(drained), grace)
    }).pipe(
      Effect.andThen(Effect.suspend(() => {
        host.closing.forEach((close) => close())
        host.flights.forEach((stop) => stop())
        handles.forEach(({ handle }) => handle.instance.namespace.memory.close())
        return Fiber.interruptAll(host.fibers)
      })),
      Effect.andThen(PubSub.shutdown(hub))
    )
  )
  const events = Stream.unwrap(Effect.gen(function*() {
    yield* Effect.acquireRelease(
      Effect.sync(() => host.listeners++),
      () => Effect.sync(() => host.listeners--)
    )
    return Stream.fromSubscription(yield* PubSub.subscribe(hub))
  }))
  return { host, limits, open, events }
})

// The caches that a layer has from the start: `swr` with windows per call, and plain `cacheGet` and `cacheSet`.
const opening = (name: string, spec: Opening["spec"]): Opening => ({
  name,
  options: {},
  spec,
  memory: {},
  key: undefined,
  lookup: () => Effect.die(`${name} has no lookup of its own`),
  lookupMany: undefined,
  context: undefined
})

const makeCache = Effect.fnUntraced(function*(options: LayerOptions) {
  const { events, ...parts } = yield* makeEngine(options)
  const swr = parts.open(opening("swr", (limits) => Options.spec({}, { freshFor: 0, ...limits.defaults }, limits.longest)))
  const plain = parts.open(opening("cache", ({ longest }) =>
    Options.spec({ freshFor: longest, maxAge: longest }, {}, longest)))
  const engine: Engine = { ...parts, swr, plain, specs: new WeakMap() }
  const instance = typed(swr)
  return Cache.of({
    ...table(swr) as Table<string>,
    [TypeId]: engine,
    set: instance.set,
    // The types of this instance are the reader's word.
    peek: instance.peek as Cache.Service["peek"],
    mutate: instance.mutate as Cache.Service["mutate"],
    changes: instance.changes as Cache.Service["changes"],
    events
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
export const layer = (options: LayerOptions = {}): Layer.Layer<Cache> => Layer.effect(Cache, makeCache(options))

/**
 * The same, its options from `Config`. Options that can't be honoured are an error here, and not a defect: they come
 * from outside.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Wrap<LayerOptions>
): Layer.Layer<Cache, Config.ConfigError | Policy.InvalidPolicy> =>
  Layer.effect(
    Cache,
    Effect.flatMap(Config.unwrap(options), (options) =>
      Effect.catchDefect(makeCache(options), (defect) =>
        defect instanceof Policy.InvalidPolicy ? Effect.fail(defect) : Effect.die(defect)))
  )

const engineOf = (fiber: Fiber.Fiber<unknown, unknown>): Engine =>
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
  Core.Answer<Options.Value<S, A>, E | Options.Timeout<H>, Exclude<R, Scope.Scope> | Options.Services<S>>,
  E | Options.Timeout<H>,
  Exclude<R, Scope.Scope> | Options.Services<S> | Cache
> =>
  Effect.withFiber((fiber) => {
    const engine = engineOf(fiber)
    const spec = specOf(engine, engine.swr, options)
    const name = engine.swr.nameOf(key)
    // What the types above say is what the reader's fiber has.
    return engine.swr.instance.read(fiber, name, spec.policy, new Call(engine.swr, key, spec, lookup as never)) as never
  })

const specOf = (engine: Engine, handle: Handle, options: object | undefined): Flight.Spec => {
  if (options === undefined) return handle.spec
  let spec = engine.specs.get(options)
  if (spec === undefined) {
    spec = Options.spec(options, handle.spec.policy, engine.limits.longest)
    engine.specs.set(options, spec)
  }
  return spec
}

// A read with a lookup and options of its own.
class Call implements Core.Request<unknown, unknown, unknown> {
  readonly handle: Handle
  readonly key: unknown
  readonly spec: Flight.Spec
  readonly lookup: Effect.Effect<unknown, unknown>

  constructor(handle: Handle, key: unknown, spec: Flight.Spec, lookup: Effect.Effect<unknown, unknown>) {
    this.handle = handle
    this.key = key
    this.spec = spec
    this.lookup = lookup
  }
  job(fiber: Fiber.Fiber<unknown, unknown>): Flight.Job {
    return { ...this.handle.job(this.key, fiber), spec: this.spec, lookup: () => this.lookup }
  }
  view: Core.View<unknown, unknown, unknown> = (name, entry, found) =>
    new Core.AnswerImpl(this.handle.instance, this, name, entry, found)
}

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export type MakeOptions<K, A, E, R, S, H, P> =
  & {
    /** Of the cache, one per layer; part of every stored key. */
    readonly name: string
    /** Of the values. Each load is encoded and decoded once, so that readers get the same on a miss and on a hit. */
    readonly schema?: S | undefined
  }
  & ServiceOptions<K, A, E, R, S, H, P>

/**
 * Options of {@link Service}.
 *
 * @since 0.1.0
 * @category models
 */
export type ServiceOptions<K, A, E, R, S, H, P> =
  & { readonly schema?: S | undefined }
  & Options.Lookup<K, A, E, R, Options.Value<S, A>>
  & Options.Windows<E, P>
  & ([P] extends [undefined] ? { readonly freshFor: Duration.Input } : unknown)
  & Options.Load<Options.Value<S, A>, NoInfer<K>, H>
  & Options.Memory<Options.Value<S, A>, NoInfer<K>>
  & Options.Naming<NoInfer<K>>

/**
 * A typed cached lookup.
 *
 * Its lookup runs with the services that `make` was run with, never a reader's. Two calls with one options object are
 * one cache.
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
  K,
  A extends Options.Fitting<S>,
  E,
  R,
  S extends Schema.Constraint | undefined = undefined,
  H extends Duration.Input | undefined = undefined,
  P extends Policy.Policy<E> | undefined = undefined
>(
  options: MakeOptions<K, A, E, R, S, H, P>
): Effect.Effect<
  Instance<K, Options.Value<S, A>, E | Options.Timeout<H>, Options.Reader<E, P>>,
  never,
  Cache | Exclude<R, Scope.Scope> | Options.Services<S>
> =>
  Effect.withFiber((fiber) => {
    const engine = engineOf(fiber)
    // The types above are those of the options; a handle forgets them, and the instance has them again.
    const written = options as never as Untyped
    return Effect.succeed(typed(open(engine, written.name, written, fiber.context)) as never)
  })

interface Untyped extends Options.Memory<unknown, unknown>, Options.Written {
  readonly name: string
  readonly key?: Opening["key"]
  readonly lookup?: Opening["lookup"]
  readonly lookupMany?: Opening["lookupMany"]
}

const open = (engine: Engine, name: string, options: Omit<Untyped, "name">, context: Opening["context"]): Handle =>
  engine.open({
    name,
    options,
    spec: (limits) => Options.spec(options, limits.defaults, limits.longest),
    memory: options,
    key: options.key,
    lookup: options.lookup,
    lookupMany: options.lookupMany,
    context
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
  K,
  A extends Options.Fitting<S>,
  E,
  R,
  S extends Schema.Constraint | undefined = undefined,
  H extends Duration.Input | undefined = undefined,
  P extends Policy.Policy<E> | undefined = undefined
>(id: Id, options: ServiceOptions<K, A, E, R, S, H, P>) => {
  const named = { ...options, name: id } as MakeOptions<K, A, E, R, S, H, P>
  return class extends Context.Service<
    Self,
    Instance<K, Options.Value<S, A>, E | Options.Timeout<H>, Options.Reader<E, P>>
  >()(id) {
    static readonly layer: Layer.Layer<Self, never, Cache | Exclude<R, Scope.Scope> | Options.Services<S>> = Layer.effect(
      this,
      make(named)
    )
  }
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
  readonly read: (...args: Args) => Effect.Effect<Core.Answer<A, E, R>, E, R | Cache>
  /** Waits for a load that begins after the call. */
  readonly revalidate: (...args: Args) => Effect.Effect<Core.Answer<A, E, R>, E, R | Cache>
  /** The entry is gone. */
  readonly invalidate: (...args: Args) => Effect.Effect<void, Store.StoreError, Cache>
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
<Args extends ReadonlyArray<unknown>, A extends Options.Fitting<S>, E extends Failure, R>(
  f: (...args: Args) => Effect.Effect<A, E, R>,
  ...naming: Args extends ReadonlyArray<Key.Part> ? [key?: (...args: Args) => Key.Key] : [key: (...args: Args) => Key.Key]
): Cached<Args, Options.Value<S, A>, E | Options.Timeout<H>, Exclude<R, Scope.Scope> | Options.Services<S>> => {
  const [key] = naming
  const opened = {
    ...options,
    // Without a `key` the arguments are parts, says the type of `naming`.
    key: (args: Args) => key === undefined ? args : (key as (...args: Args) => Key.Key)(...args),
    lookup: (args: Args) => f(...args)
  } as never as Untyped
  const using = <B>(use: (handle: Handle) => Effect.Effect<B, unknown>) =>
    Effect.withFiber((fiber) => use(open(engineOf(fiber), name, opened, undefined)))
  const cached = {
    read: (...args: Args) => using((handle) => asEffect(new Evidence(handle, args))),
    revalidate: (...args: Args) => using((handle) => typed(handle).revalidate(args)),
    invalidate: (...args: Args) => using((handle) => typed(handle).invalidate(args))
  }
  // The types above are those of `f` and the options.
  return Object.assign((...args: Args) => using((handle) => asEffect(new Value(handle, args))), cached) as never
}

/**
 * Reads a plain value; `none` where there is none, or none that fits the schema. Loads nothing.
 *
 * @since 0.1.0
 * @category entrances
 */
export const cacheGet = <S extends Schema.Constraint | undefined = undefined>(
  key: string,
  options?: { readonly schema?: S }
): Effect.Effect<Option.Option<Options.Value<S, unknown>>, never, Cache> =>
  Effect.withFiber((fiber) => {
    const engine = engineOf(fiber)
    const { instance } = engine.plain
    if (engine.host.closed) return Effect.interrupt
    const spec = plainSpec(engine, options?.schema)
    const name = engine.plain.nameOf(key)
    // With a schema the value was checked; without one the type says unknown.
    return Effect.succeed(
      instance.peek(name, new Call(engine.plain, key, spec, Effect.never)).pipe(
        Option.filter((answer) => (answer as Core.Snapshot<unknown>).status !== "expired"),
        Option.map((answer) => (answer as Core.Snapshot<unknown>).value as never)
      )
    )
  })

/**
 * Writes a plain value, for `timeToLive` (at least 1 ms, default 1 day). Its keys are never those of {@link swr}.
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
 * @since 0.1.0
 * @category entrances
 */
export const cacheRemove = (key: string): Effect.Effect<void, Store.StoreError, Cache> =>
  Effect.withFiber((fiber) => typed(engineOf(fiber).plain).invalidate(key))

const plainSpec = (engine: Engine, schema: Schema.Constraint | undefined): Flight.Spec => {
  if (schema === undefined) return engine.plain.spec
  let spec = engine.specs.get(schema)
  if (spec === undefined) {
    spec = Options.spec({ schema }, engine.plain.spec.policy, engine.limits.longest)
    engine.specs.set(schema, spec)
  }
  return spec
}
