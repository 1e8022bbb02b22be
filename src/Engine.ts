/**
 * What all caches of a layer share: the clock, the events, the limits, the register of names; and how it closes.
 *
 * @since 0.1.0
 */
import {
  Clock,
  Context,
  type Duration,
  Effect,
  Fiber,
  Random,
  type Redacted,
  Result,
  type Schema,
  type Stream
} from "effect"
import * as Codec from "./Codec.ts"
import * as Event from "./Event.ts"
import type * as Flight from "./Flight.ts"
import * as Handle from "./Handle.ts"
import type * as Job from "./Job.ts"
import * as Options from "./Options.ts"
import * as Policy from "./Policy.ts"

/**
 * Options of a layer.
 *
 * @since 0.1.0
 * @category models
 */
export interface LayerOptions {
  /** Every longer window is clamped to it, without a word. Default 1 day. */
  readonly maxTimeToLive?: Duration.Input | undefined
  /** How many entries a cache holds that does not say. Default 10,000, each. */
  readonly capacity?: number | undefined
  /**
   * How long a closing layer lets the loads under way go on, before it interrupts them. Default 0. As a closing scope
   * does, it waits until they have ended: a lookup that can't be interrupted holds it up.
   */
  readonly shutdownGrace?: Duration.Input | undefined
  /**
   * Told of each load that has not ended at once, in the step in which it begins, with a promise of its end that never
   * rejects: for platforms that stop a program once it has answered.
   */
  readonly waitUntil?: ((work: Promise<void>) => void) | undefined
  /** How many refreshes may run at once; more are skipped, not queued. Default 64. */
  readonly refreshes?: number | undefined
  /** Sensitive keys are hashed with it (HMAC-SHA-256). Without it by SHA-256. */
  readonly secret?: Redacted.Redacted<string> | undefined
  /** Windows for caches that do not name them; `freshFor` for `Swr.swr` alone, as the other doors always name it. */
  readonly defaults?: Policy.Windows | undefined
}

/**
 * Options of a layer over a store.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoreOptions extends LayerOptions {
  /** How long anybody waits for the store, each time. Default 50 ms. */
  readonly storeDeadline?: Duration.Input | undefined
  /**
   * How long memory is used after the store was asked whether something was missed. It bounds how long a process can be
   * wrong after it lost an announcement. Default 2 seconds.
   */
  readonly trustFor?: Duration.Input | undefined
  /** How long the right to load a key lasts, unless its holder renews it. Default 5 seconds. */
  readonly leaseFor?: Duration.Input | undefined
}

/** What is below memory. */
export interface Below {
  readonly codec: (schema: Schema.Constraint) => Codec.Codec<unknown, unknown>
  readonly tier: Handle.Limits["tier"]
  /** Runs as long as the layer. */
  readonly listen: Effect.Effect<never>
}

/** What is behind the service. */
export interface Engine {
  readonly host: Flight.Host
  readonly limits: Handle.Limits
  readonly open: (opening: Handle.Opening) => Handle.Handle
  /** All caches, by name. */
  readonly caches: ReadonlyMap<string, { readonly handle: Handle.Handle }>
  /** The cache of `swr`. */
  readonly swr: Handle.Handle
  /** The cache of `cacheGet` and `cacheSet`. */
  readonly plain: Handle.Handle
  /** Options of calls, decoded. */
  readonly specs: WeakMap<object, Job.Spec>
  readonly events: Stream.Stream<Event.Event>
}

// The caches that a layer has from the start: `swr` with windows per call, and plain `cacheGet` and `cacheSet`.
const opening = (name: string, spec: Handle.Opening["spec"]): Handle.Opening => ({
  name,
  options: {},
  spec,
  memory: {},
  shared: true,
  key: undefined,
  lookup: () => Effect.die(`${name} has no lookup of its own`),
  lookupMany: undefined,
  context: undefined
})

// As it is, whatever a test puts in its place later.
const { performance } = globalThis
const machine = performance?.now.bind(performance)

/**
 * Monotonic milliseconds. Of the machine's own clock `performance` tells them for half the price, without a bigint.
 */
const millisOf = (clock: Clock.Clock): () => number =>
  (clock === Context.get(Context.empty(), Clock.Clock) ? machine : undefined) ??
    (() => Number(clock.monotonicTimeNanosUnsafe()) / 1e6)

/** Builds what a layer shares; its scope closes it. Options that can't be honoured are a defect. */
export const make = Effect.fnUntraced(function*(
  options: LayerOptions,
  below?: (host: Flight.Host) => Below
) {
  const context = yield* Effect.context<never>()
  const clock = Context.get(context, Clock.Clock)
  const random = Context.get(context, Random.Random)
  const monotonic = millisOf(clock)
  const origin = monotonic()
  const longest = Policy.millis("maxTimeToLive", options.maxTimeToLive ?? "1 day", 1)
  const grace = Policy.millis("shutdownGrace", options.shutdownGrace ?? 0)
  const capacity = Options.count("capacity", options.capacity ?? 10_000, 1)
  const given = options.defaults ?? {}
  const defaults = Policy.isPolicy(given) ? Policy.clamp(given, longest) : Policy.parse(given, longest)
  const { waitUntil } = options
  const host: Flight.Host = {
    clock,
    context,
    now: () => Math.floor(monotonic() - origin),
    random: () => random.nextDoubleUnsafe(),
    secret: options.secret,
    refreshes: Options.count("refreshes", options.refreshes ?? 64, 0),
    fibers: new Set(),
    // A stranger's function: what it throws is no read's business.
    began: waitUntil && ((fiber) =>
      void Result.try(() =>
        waitUntil(
          new Promise((resolve) => {
            fiber.addObserver(() => resolve())
          })
        )
      )),
    closing: new Set(),
    listeners: new Set(),
    publish: (event) => host.listeners.forEach((tell) => tell(event)),
    refreshing: 0,
    loads: 0,
    depth: 0,
    landings: 0,
    closed: false
  }
  const tier = below?.(host)
  const limits = {
    longest,
    defaults,
    capacity,
    codec: Options.codecOf(tier?.codec ?? Codec.make),
    tier: tier?.tier
  }
  const handles = new Map<string, { readonly options: object; readonly handle: Handle.Handle }>()
  const open = (opening: Handle.Opening): Handle.Handle => {
    const known = handles.get(opening.name)
    if (known !== undefined) {
      if (known.options !== opening.options) {
        Policy.refuse("name", opening.name, "a name that no other cache of this layer has: one name, one cache")
      }
      // Made again: the services of the time before may have been closed since.
      known.handle.context = opening.context
      return known.handle
    }
    const handle = new Handle.Handle(host, limits, opening)
    handles.set(opening.name, { options: opening.options, handle })
    return handle
  }
  // Those that end may leave finalizers of their lookup behind.
  const ended: Effect.Effect<void> = Effect.suspend(() =>
    host.fibers.size === 0 ? Effect.void : Effect.andThen(Fiber.interruptAll(Array.from(host.fibers)), ended)
  )
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      host.closed = true
      const drained = Fiber.awaitAll(Array.from(host.fibers))
      return grace === 0 ? Effect.void : Effect.raceFirst(Effect.interruptible(drained), Effect.sleep(grace))
    }).pipe(
      Effect.andThen(Effect.suspend(() => {
        host.closing.forEach((close) => close())
        handles.forEach(({ handle }) => handle.instance.namespace.close())
        return ended
      }))
    )
  )
  const swr = open(opening("swr", () => Options.spec({}, { freshFor: 0, ...limits.defaults }, limits)))
  const plain = open(opening("cache", () => Options.spec({ freshFor: longest, maxAge: longest }, {}, limits)))
  if (tier !== undefined) yield* Effect.forkScoped(tier.listen)
  const engine: Engine = {
    host,
    limits,
    open,
    caches: handles,
    swr,
    plain,
    specs: new WeakMap(),
    events: Event.stream(host)
  }
  return engine
})
