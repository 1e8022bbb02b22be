/**
 * One cache as users hold it: its keys named, its types given back.
 *
 * @since 0.1.0
 */
import { Context, Effect, Effectable, Exit, type Fiber, Option, Queue, type Result, Stream, Tracer } from "effect"
import * as Answer from "./Answer.ts"
import * as Codec from "./Codec.ts"
import type * as Entry from "./Entry.ts"
import type * as Flight from "./Flight.ts"
import * as Core from "./Instance.ts"
import type * as Job from "./Job.ts"
import * as Key from "./Key.ts"
import * as Namespace from "./Namespace.ts"
import * as Options from "./Options.ts"
import * as Policy from "./Policy.ts"
import type * as Store from "./Store.ts"

/**
 * Counters since the cache began, and what it holds now.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats extends Namespace.Counters {
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
  /** How its read ended: a failure, and a defect too, is told and harms no other key. */
  readonly exit: Exit.Exit<void, E>
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
  readonly read: (key: K, policy?: P | undefined) => Effect.Effect<Answer.Answer<A, E>, E>
  /** What memory has, expired entries too, until the end of their life. Never loads. */
  readonly peek: (key: K) => Effect.Effect<Option.Option<Answer.Answer<A, E>>>
  /** In order. What is missing is loaded in one batch, where there is a `lookupMany`. Fails with the first failure. */
  readonly getMany: (keys: Iterable<K>, policy?: P | undefined) => Effect.Effect<ReadonlyArray<A>, E>
  /** The same, with each key's own result. */
  readonly readMany: (
    keys: Iterable<K>,
    policy?: P | undefined
  ) => Effect.Effect<ReadonlyArray<Result.Result<Answer.Answer<A, E>, E>>>
  /** This value from now on. A load that began before is not kept. */
  readonly set: (key: K, value: A, wishes?: Job.Wishes | undefined) => Effect.Effect<void, Store.StoreError>
  /** Changes the value by an effect, one at a time per key. Until it succeeds reads see the old value. */
  readonly mutate: <E2, R2>(
    key: K,
    change: (current: Option.Option<A>) => Effect.Effect<A, E2, R2>
  ) => Effect.Effect<Answer.Answer<A, E>, E2 | Store.StoreError, R2>
  /** Waits for a load that begins after the call. */
  readonly revalidate: (key: K) => Effect.Effect<Answer.Answer<A, E>, E>
  /** The present answer, then each commit and void; `none`: it is gone. Nothing for the mere passing of time. */
  readonly changes: (key: K) => Stream.Stream<Option.Option<Answer.Answer<A, E>>>
  /**
   * Reads many keys and tells of each: `concurrency` side by side (default 10), or, where there is a `lookupMany`, in
   * batches of so many. A failure is told, never fatal.
   */
  readonly warm: (
    keys: Iterable<K>,
    options?: { readonly concurrency?: number | undefined }
  ) => Stream.Stream<Progress<K, E>>
}

/** What a layer says about its caches. */
export interface Limits {
  /** The longest window, in milliseconds. */
  readonly longest: number
  /** Windows for those that give none. */
  readonly defaults: Partial<Policy.Policy>
  readonly capacity: number
  readonly codec: Options.CodecOf
  /** The tier below memory. */
  readonly tier: ((namespace: Namespace.Namespace, version: string) => Namespace.Tier<unknown, unknown>) | undefined
}

/** What makes a cache, its types forgotten. */
export interface Opening {
  readonly name: string
  /** One name, one cache: the object that tells whether it is the same one. */
  readonly options: object
  readonly spec: (limits: Limits) => Job.Spec
  readonly memory: Options.Memory<unknown, unknown>
  /** Each call has a schema of its own, or none. */
  readonly shared: boolean
  readonly key: ((key: unknown) => Key.Key) | undefined
  readonly lookup:
    | ((key: unknown, previous: Option.Option<Job.Previous<unknown>>) => Effect.Effect<unknown, unknown>)
    | undefined
  readonly lookupMany:
    | ((keys: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyMap<unknown, unknown>, unknown>)
    | undefined
  /** Of the lookups; `undefined`: they run with their reader's. */
  readonly context: Context.Context<never> | undefined
}

/** One cache as the entrances see it, its types forgotten: {@link Instance} gives them back. */
export class Handle {
  readonly instance: Core.Instance
  readonly spec: Job.Spec
  readonly nameOf: (key: unknown) => Key.Name
  readonly lookup: (key: unknown, previous: Option.Option<Job.Previous<unknown>>) => Effect.Effect<unknown, unknown>
  readonly batch: Job.Batch<unknown, unknown> | undefined
  /** Of the lookups and the schema; `undefined`: they have their reader's. */
  context: Context.Context<never> | undefined
  /** Who knows only the name of a key knows the key, and the lookup needs no reader: the name may be loaded. */
  readonly plain: boolean
  private readonly longest: number
  private readonly readers = new WeakMap<object, Policy.Policy>()

  constructor(host: Flight.Host, limits: Limits, opening: Opening) {
    const { key, lookup, lookupMany, memory, name, shared } = opening
    const { capacity, tier } = limits
    const nameOf = Key.nameOf(name, host.secret)
    this.longest = limits.longest
    this.context = opening.context
    this.plain = key === undefined && opening.context !== undefined
    this.spec = this.served(opening.spec(limits))
    this.nameOf = key === undefined ? (k) => nameOf(k as Key.Key) : (k) => nameOf(key(k))
    this.instance = new Core.Instance(
      new Namespace.Namespace(host, name, {
        capacity: memory.capacity === undefined ? capacity : Options.count("capacity", memory.capacity, 1),
        weightLimit: Options.weightLimit(memory.weight),
        weight: memory.weight?.of,
        tier: tier && (shared || this.spec.codec !== undefined)
          ? (namespace) => tier(namespace, String(memory.version ?? ""))
          : undefined
      })
    )
    if (tier !== undefined && !shared && this.spec.codec === undefined) {
      const warning = `effect-swr: ${name} has no schema, so it stays in the memory of this process`
      Effect.runForkWith(host.context)(Effect.logWarning(warning))
    }
    const omitted = (key: unknown) =>
      Effect.die(new Error(`${name}: lookupMany omits the key ${Key.show(this.nameOf(key))}`))
    const many = lookupMany &&
      ((keys: ReadonlyArray<unknown>) =>
        Effect.map(
          lookupMany(keys),
          (values) => new Map(Array.from(values, ([key, value]) => [this.nameOf(key), value]))
        ))
    this.lookup = lookup ??
      ((key) =>
        Effect.flatMap(
          many?.([key]) ?? Effect.succeed(new Map()),
          (values) => values.has(this.nameOf(key)) ? Effect.succeed(values.get(this.nameOf(key))) : omitted(key)
        ))
    this.batch = many && { lookup: many, omitted: lookup ? (key) => lookup(key, Option.none()) : omitted }
  }

  // What `make` was run with serves its schema too, also in `set` and `mutate`, whose callers have none of it.
  private served(spec: Job.Spec): Job.Spec {
    const { codec } = spec
    if (this.context === undefined || codec === undefined) return spec
    const serve = <A, B, E>(run: (value: A) => Effect.Effect<B, E>) => (value: A) => {
      const ran = run(value)
      return Exit.isExit(ran) ? ran : Effect.provideContext(ran, this.context ?? Context.empty())
    }
    const { is } = codec
    const roundTrip = serve(codec.roundTrip)
    if (!Codec.isText(codec)) return { ...spec, codec: { is, roundTrip } }
    const text: Codec.Text<unknown> = {
      is,
      roundTrip,
      encode: serve(codec.encode),
      decode: serve(codec.decode),
      decodeJson: serve(codec.decodeJson)
    }
    return { ...spec, codec: text }
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

  /** A fresh hit, which needs no fiber. */
  fresh(key: unknown, reader: object | undefined): Entry.Entry<unknown> | undefined {
    const { instance, spec } = this
    const at = instance.namespace.host.now()
    return instance.fresh(this.nameOf(key), this.policy(reader), spec.terms.schema, at)
  }

  /** What there is of a key, whatever its windows say. */
  past(key: unknown): Effect.Effect<Entry.Entry<unknown> | undefined> {
    return this.instance.past(this.nameOf(key), this.policy(undefined))
  }

  job(key: unknown, fiber: Fiber.Fiber<unknown, unknown>, reader?: object): Job.Job {
    return {
      key,
      policy: this.policy(reader),
      spec: this.spec,
      lookup: (previous) => this.lookup(key, previous),
      context: this.context ?? fiber.context,
      span: Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
    }
  }
}

/** A read as an effect: one object, evaluated by one method. On a fresh hit nothing else is made. */
export abstract class Reading {
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
    return this.handle.job(this.key, fiber, this.reader)
  }
  abstract view(...found: Parameters<Answer.View<unknown, unknown, unknown>>): unknown
  abstract hit(name: Key.Name, entry: Entry.Entry<unknown>, at: number, policy: Policy.Policy): unknown
}

/** Answers the value. */
export class Value extends Reading {
  override view(_: Key.Name, entry: Entry.Entry<unknown>) {
    return entry.value
  }
  override hit(_: Key.Name, entry: Entry.Entry<unknown>) {
    return entry.value
  }
}

type Given = Answer.Given<unknown, unknown>

/** Answers the value with the evidence for it. */
export class Evidence extends Reading {
  override view(name: Key.Name, entry: Entry.Entry<unknown>, found: Answer.Found<unknown>): Given {
    return new Answer.Given(this.handle.instance, this, name, entry, found)
  }
  override hit(name: Key.Name, entry: Entry.Entry<unknown>, at: number, policy: Policy.Policy): Given {
    return this.view(name, entry, Answer.fresh(at, policy))
  }
}

/** Nothing is read or written once the layer is closed. */
const write = <A, E>(instance: Core.Instance, f: () => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => instance.namespace.host.closed ? Effect.interrupt : f())

const act = <A>(instance: Core.Instance, f: () => A): Effect.Effect<A> => write(instance, () => Effect.sync(f))

/** What every entrance without a lookup can do. */
export const table = (handle: Handle): Table<never> => {
  const { instance } = handle
  return {
    has: (key) =>
      act(instance, () =>
        Option.exists(
          instance.peek(handle.nameOf(key), new Evidence(handle, key)),
          (answer) => answer.status !== "expired"
        )),
    invalidate: (key, options) =>
      write(instance, () => instance.invalidate(handle.nameOf(key), options?.mode ?? "hard")),
    // All are named before the first goes: a key that is refused leaves the others as they are.
    invalidateMany: (keys, options) =>
      write(instance, () => instance.invalidateMany(Array.from(keys, handle.nameOf), options?.mode ?? "hard")),
    invalidateTag: (tag) => write(instance, () => instance.invalidateTag(tag)),
    clear: write(instance, () => instance.clear),
    stats: Effect.sync(() => instance.stats)
  }
}

// Beside the instances and not in them: who prints one sees nothing of what it keeps.
const handles = /*#__PURE__*/ new WeakMap<object, Handle>()

/** The handle behind an instance. */
export const of = (instance: object): Handle | undefined => handles.get(instance)

/** The cache with a lookup; the entrances say of which types. */
export const typed = (handle: Handle): Instance<unknown, unknown, unknown, object> => {
  const { instance, spec } = handle
  const value = (key: unknown, reader?: object) => new Value(handle, key, reader)
  const evidence = (key: unknown, reader?: object) => new Evidence(handle, key, reader)
  const many = <B>(
    keys: Iterable<unknown>,
    reader: object | undefined,
    request: (key: unknown, reader: object | undefined) => Answer.Request<unknown, unknown, B>
  ): Effect.Effect<ReadonlyArray<Exit.Exit<B, unknown>>> =>
    Effect.suspend(() => {
      const names = Array.from(keys, (key) => [handle.nameOf(key), key] as const)
      const requests = new Map(names.map(([name, key]) => [name, request(key, reader)]))
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
    peek: (key) => act(instance, () => instance.peek(handle.nameOf(key), evidence(key))),
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
      Effect.suspend(() =>
        instance.revalidate(handle.nameOf(key), evidence(key), Answer.view(instance, evidence(key)))
      ),
    changes: (key) => Stream.suspend(() => instance.changes(handle.nameOf(key), evidence(key))),
    warm: (keys, options) =>
      Stream.suspend(() => {
        const all = Array.from(keys)
        const concurrency = Options.count("concurrency", options?.concurrency ?? 10, 1)
        // Where many are loaded at once, so many go together; else each by itself, so many side by side.
        const [size, abreast] = handle.batch === undefined ? [1, concurrency] : [concurrency, 1]
        const groups = Array.from(
          { length: Math.ceil(all.length / size) },
          (_, i) => all.slice(i * size, (i + 1) * size)
        )
        let done = 0
        // Not `Stream.mapEffect`: it would be a twentieth of what a program in memory ships.
        return Stream.callback((queue) =>
          Effect.forEach(groups, (group) =>
            Effect.flatMap(Effect.exit(many(group, undefined, value)), (exits) =>
              Queue.offerAll(
                queue,
                group.map((key, i) => ({
                  key,
                  exit: Exit.asVoid(Exit.isFailure(exits) ? exits : exits.value[i] ?? Exit.interrupt()),
                  done: ++done,
                  total: all.length
                }))
              )), { concurrency: abreast, discard: true }).pipe(Effect.andThen(Queue.end(queue)), Effect.forkScoped)
        )
      })
  }
  return as(self, handle)
}

/** An instance that stands before a cache. */
export const as = <I extends object>(instance: I, handle: Handle): I => {
  handles.set(instance, handle)
  return instance
}

/** `Reading`'s prototype is an effect's. */
export const asEffect = <A>(reading: Reading): Effect.Effect<A, unknown> =>
  reading as unknown as Effect.Effect<A, unknown>
