/**
 * What makes keys be loaded again although nobody reads them: a stream, such as the window's focus, the network's
 * return, or a schedule.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Queue, Schedule, type Scope, Stream } from "effect"
import * as Handle from "./Handle.ts"
import * as Options from "./Options.ts"
import * as Policy from "./Policy.ts"
import type * as Swr from "./Swr.ts"

/**
 * Options of {@link revalidateOn}.
 *
 * @since 0.1.0
 * @category models
 */
export interface TriggerOptions<K> {
  /** Default: the keys in use, which are those whose `changes` somebody watches. */
  readonly keys?: Iterable<K> | undefined
  /** `"stale"`, the default: what a reader who came now would load; `"all"`: what is fresh as well. */
  readonly mode?: "stale" | "all" | undefined
  /** How many are loaded side by side. Default 10. */
  readonly concurrency?: number | undefined
}

/**
 * Loads keys again whenever the trigger says so, until the scope closes or the trigger ends. A key that is loading, or
 * that is left alone after a failed load, is passed over. Failures are told by events and harm nothing. While one round
 * runs the trigger is not asked for the next.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Triggers from "effect-swr/Triggers"
 *
 * const program = Effect.gen(function*() {
 *   let price = 12
 *   const prices = yield* Swr.make({
 *     name: "prices",
 *     lookup: (_sku: string) => Effect.sync(() => price++),
 *     freshFor: "1 minute"
 *   })
 *   yield* prices.get("a")
 *   const trigger = Stream.make("the supplier said so")
 *   yield* Triggers.revalidateOn(prices, trigger, { keys: ["a"], mode: "all" })
 *   return yield* prices.changes("a").pipe(Stream.take(2), Stream.runCount)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Swr.layer()))).then(console.log) // 2
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const revalidateOn = <K, A, E, P, X, E2, R>(
  instance: Swr.Instance<K, A, E, P>,
  trigger: Stream.Stream<X, E2, R>,
  options: TriggerOptions<K> = {}
): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.suspend(() => {
    const handle = Handle.of(instance) ?? Policy.refuse("instance", instance, "what Swr.make or Swr.Service answers")
    const concurrency = Options.count("concurrency", options.concurrency ?? 10, 1)
    const cache = handle.instance
    const keys = options.keys === undefined ? undefined : Array.from(options.keys)
    const round = Effect.suspend(() => {
      const requests = keys?.map((key) => new Handle.Evidence(handle, key)) ??
        Array.from(cache.watched.values(), ({ request }) => request)
      return Effect.forEach(requests, (request) =>
        Effect.suspend(() => {
          const name = handle.nameOf(request.key)
          return cache.isDue(name, request.spec.policy, options.mode ?? "stale")
            ? Effect.exit(cache.revalidate(name, request, () => undefined))
            : Effect.void
        }), { concurrency, discard: true })
    })
    return Effect.asVoid(Effect.forkScoped(Stream.runForEach(trigger, () => round)))
  })

/** What there is of a browser here. */
interface Page {
  readonly window?: EventTarget
  readonly document?: EventTarget & { readonly visibilityState?: string }
  readonly navigator?: { readonly onLine?: boolean }
}

const page = (): Page => globalThis

const isVisible = () => page().document?.visibilityState !== "hidden"

/** Somebody may be looking, and the network may answer: true where there is no browser. */
const isActive = () => isVisible() && page().navigator?.onLine !== false

/** One element per event that counts; events that come while the last one is still waiting are one with it. */
const heard = (
  targets: (page: Page) => ReadonlyArray<readonly [EventTarget | undefined, string]>,
  throttle: number
): Stream.Stream<void> =>
  Stream.callback<void>((queue) =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      // What was just loaded is as good: the first moments count as throttled too.
      let last = now()
      const tell = () => {
        if (!isActive() || (throttle > 0 && now() - last <= throttle)) return
        last = now()
        Queue.offerUnsafe(queue, undefined)
      }
      const found = targets(page())
      if (found.every(([target]) => target === undefined)) return Queue.endUnsafe(queue)
      for (const [target, type] of found) target?.addEventListener(type, tell)
      return yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const [target, type] of found) target?.removeEventListener(type, tell)
        })
      )
    }), { bufferSize: 1, strategy: "sliding" })

/**
 * The window is looked at again: it comes to the front, or its tab is shown, while the network is there. At most once
 * in so long (`throttle`, default 5 seconds), the first time included. Empty where there is no window.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import * as Triggers from "effect-swr/Triggers"
 *
 * // No window here.
 * Effect.runPromise(Stream.runCollect(Triggers.focus())).then(console.log) // []
 * ```
 *
 * @since 0.1.0
 * @category triggers
 */
export const focus = (options: { readonly throttle?: Duration.Input | undefined } = {}): Stream.Stream<void> =>
  Stream.suspend(() =>
    heard(
      ({ document, window }) => [[window, "focus"], [document, "visibilitychange"]],
      Policy.millis("throttle", options.throttle ?? "5 seconds")
    )
  )

/**
 * The network is back, and the page is visible. Empty where there is no window.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import * as Triggers from "effect-swr/Triggers"
 *
 * const both = Stream.merge(Triggers.focus(), Triggers.reconnect)
 *
 * Effect.runPromise(Stream.runCollect(both)).then(console.log) // []
 * ```
 *
 * @since 0.1.0
 * @category triggers
 */
export const reconnect: Stream.Stream<void> = /*#__PURE__*/ heard(({ window }) => [[window, "online"]], 0)

/**
 * So long after each round is over, the next one; passed over while a browser's page is hidden or offline. For any
 * other rhythm there is `Stream.fromSchedule`.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import * as Triggers from "effect-swr/Triggers"
 *
 * const ticks = Triggers.interval("10 millis").pipe(Stream.take(2), Stream.runCollect)
 *
 * Effect.runPromise(ticks).then((ticks) => console.log(ticks.length)) // 2
 * ```
 *
 * @since 0.1.0
 * @category triggers
 */
export const interval = (every: Duration.Input): Stream.Stream<void> =>
  Stream.suspend(() => Stream.fromSchedule(Schedule.spaced(Duration.millis(Policy.millis("every", every, 1))))).pipe(
    Stream.filter(isActive),
    Stream.map(() => undefined)
  )
