/**
 * How stale are we? A sample of fresh hits is loaded anew behind the readers and compared with what they were given.
 *
 * @since 0.1.0
 */
import { type Context, Duration, Effect, Equal, Exit, Layer, Option, Result, Schema, type Scope } from "effect"
import * as Handle from "./Handle.ts"
import * as Options from "./Options.ts"
import * as Policy from "./Policy.ts"
import type * as Swr from "./Swr.ts"

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface AuditorOptions {
  /** Of how many fresh hits one is audited, on average. Default 100. */
  readonly oneIn?: number | undefined
}

/**
 * The same cache, audited: one in so many fresh hits of its `get` and `read` is loaded once more, behind the reader,
 * and compared with what was answered: by the schema's equivalence, else by `Equal`. What the audit loads is kept
 * nowhere, so it makes nothing fresher. One audit runs at a time; a hit meanwhile is left alone.
 *
 * The result is an `Audited` event, with the age of what was answered, and a metric.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Auditor from "effect-swr/Auditor"
 *
 * const program = Effect.gen(function*() {
 *   let price = 12
 *   const cache = yield* Swr.make({
 *     name: "prices",
 *     lookup: (_sku: string) => Effect.sync(() => price),
 *     freshFor: "1 minute"
 *   })
 *   const prices = yield* Auditor.make(cache, { oneIn: 1 })
 *   yield* prices.get("a")
 *   price = 13
 *   const { events } = yield* Swr.Cache
 *   const audited = events.pipe(Stream.filter((event) => event._tag === "Audited"), Stream.take(1), Stream.runCollect)
 *   const [results] = yield* Effect.all([audited, prices.get("a")], { concurrency: "unbounded" })
 *   return results.map(({ outcome }) => outcome)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Swr.layer()))).then(console.log) // [ 'differed' ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <K, A, E, P>(
  instance: Swr.Instance<K, A, E, P>,
  options: AuditorOptions = {}
): Effect.Effect<Swr.Instance<K, A, E, P>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const oneIn = Options.count("oneIn", options.oneIn ?? 100, 1)
    const handle = Handle.of(instance) ?? Policy.refuse("instance", instance, "what Swr.make or Swr.Service answers")
    const { spec } = handle
    const { host, name } = handle.instance.namespace
    const isSame = equivalence(spec.terms.schema)
    let busy = false

    // As a load of the cache runs, but for the cache.
    const load = (key: K) => {
      const value = Effect.suspend(() => handle.lookup(key, Option.none()))
      const { codec } = spec
      return (codec === undefined ? value : Effect.flatMap(value, codec.roundTrip)).pipe(
        Effect.timeout(Duration.millis(spec.hardTimeout)),
        Effect.scoped,
        Effect.withSpan(`${name}.audit`, { root: true, attributes: { "swr.cache": name } }),
        handle.context === undefined ? (self) => self : Effect.provideContext(handle.context)
      )
    }
    const audit = (key: K, answer: Swr.Snapshot<A>) =>
      Effect.map(Effect.exit(load(key)), (exit) => {
        if (host.listeners.size === 0) return
        const outcome = Exit.isFailure(exit) ? "failed" : isSame(answer.value, exit.value) ? "same" : "differed"
        const about = handle.instance.namespace.about(handle.nameOf(key))
        host.publish({ _tag: "Audited", ...about, outcome, age: Duration.toMillis(answer.age) })
      })
    const consider = (key: K) => (answer: Swr.Snapshot<A>) => {
      if (busy || answer.status !== "fresh" || answer.source !== "memory") return Effect.void
      busy = true
      const done = Effect.sync(() => {
        busy = false
      })
      return Effect.forkIn(Effect.ensuring(audit(key, answer), done), scope)
    }
    const read: typeof instance.read = (key, policy) =>
      Effect.suspend(() => {
        const answer = instance.read(key, policy)
        return host.random() * oneIn < 1 ? Effect.tap(answer, consider(key)) : answer
      })
    const get: typeof instance.get = (key, policy) =>
      Effect.suspend(() =>
        host.random() * oneIn < 1
          ? Effect.map(Effect.tap(instance.read(key, policy), consider(key)), ({ value }) => value)
          : instance.get(key, policy)
      )
    return Handle.as({ ...instance, get, read }, handle)
  })

const equivalence = (schema: unknown): (one: unknown, other: unknown) => boolean =>
  Schema.isSchema(schema)
    ? Result.getOrElse(Result.try(() => Schema.toEquivalence(schema)), () => Equal.equals)
    : Equal.equals

/**
 * Puts an auditor before a cache that is a service.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Auditor from "effect-swr/Auditor"
 *
 * class Lengths extends Swr.Service<Lengths>()("app/Lengths", {
 *   lookup: (word: string) => Effect.succeed(word.length),
 *   freshFor: "1 minute"
 * }) {}
 *
 * const layer = Auditor.layer(Lengths, { oneIn: 1000 }).pipe(
 *   Layer.provide(Lengths.layer),
 *   Layer.provide(Swr.layer())
 * )
 *
 * Effect.runPromise(Effect.provide(Lengths.use((lengths) => lengths.get("stale")), layer)).then(console.log) // 5
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <I, K, A, E, P>(
  service: Context.Service<I, Swr.Instance<K, A, E, P>>,
  options: AuditorOptions = {}
): Layer.Layer<I, never, I> => Layer.effect(service, Effect.flatMap(service, (instance) => make(instance, options)))
