/**
 * Keys that are loaded before anybody asks: when a layer starts, or on demand, with a bar in the terminal.
 *
 * @since 0.1.0
 */
import { Cause, type Context, Effect, Exit, Layer, Stream, Terminal } from "effect"
import type * as Swr from "./Swr.ts"

/**
 * Options of {@link run}.
 *
 * @since 0.1.0
 * @category models
 */
export interface WarmupOptions<K, E, R = never> {
  readonly keys: Iterable<K>
  /** How many are loaded side by side, or in one batch. Default 10. */
  readonly concurrency?: number | undefined
  /** Told of each key that is done, such as {@link bar}. */
  readonly report?: ((progress: Swr.Progress<K, E>) => Effect.Effect<void, never, R>) | undefined
}

/**
 * How a warm-up went.
 *
 * @since 0.1.0
 * @category models
 */
export interface Summary<K, E> {
  readonly total: number
  readonly failed: ReadonlyArray<{ readonly key: K; readonly cause: Cause.Cause<E> }>
}

/**
 * Loads the keys that are not there, and answers how it went. A failure is listed, and never fatal.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Warmup from "effect-swr/Warmup"
 *
 * const program = Effect.gen(function*() {
 *   const lengths = yield* Swr.make({
 *     name: "lengths",
 *     lookup: (word: string) => word === "" ? Effect.fail("no word") : Effect.succeed(word.length),
 *     freshFor: "1 minute"
 *   })
 *   const { failed, total } = yield* Warmup.run(lengths, { keys: ["stale", "", "while"] })
 *   return [total, failed.map(({ key }) => key)]
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // [ 3, [ '' ] ]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const run = <K, A, E, P, R = never>(
  instance: Swr.Instance<K, A, E, P>,
  options: WarmupOptions<K, E, R>
): Effect.Effect<Summary<K, E>, never, R> =>
  Effect.gen(function*() {
    const { concurrency, keys, report } = options
    const failed: Array<{ readonly key: K; readonly cause: Cause.Cause<E> }> = []
    let total = 0
    yield* Stream.runForEach(instance.warm(keys, { concurrency }), (progress) => {
      total = progress.total
      if (Exit.isFailure(progress.exit)) failed.push({ key: progress.key, cause: progress.exit.cause })
      return report === undefined ? Effect.void : report(progress)
    })
    return { total, failed }
  })

/**
 * Warms a cache that is a service when the layer starts: behind the program, or, with `wait`, before it begins. One
 * line of log says how it went: a warning where a load failed, with the first failure; else at the level of debug.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Warmup from "effect-swr/Warmup"
 *
 * class Lengths extends Swr.Service<Lengths>()("app/Lengths", {
 *   lookup: (word: string) => Effect.succeed(word.length),
 *   freshFor: "1 minute"
 * }) {}
 *
 * const layer = Warmup.layer(Lengths, { keys: ["stale", "while"], wait: true }).pipe(
 *   Layer.provideMerge(Lengths.layer),
 *   Layer.provide(Swr.layer())
 * )
 *
 * Effect.runPromise(Effect.provide(Lengths.use((lengths) => lengths.has("stale")), layer)).then(console.log) // true
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <I, K, A, E, P, R = never>(
  service: Context.Service<I, Swr.Instance<K, A, E, P>>,
  options: WarmupOptions<K, E, R> & { readonly wait?: boolean | undefined }
): Layer.Layer<never, never, I | R> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const instance = yield* service
    const warm = Effect.flatMap(run(instance, options), ({ failed, total }) => {
      const text = `effect-swr: ${total - failed.length} of ${total} keys are warm`
      const [first] = failed
      const log = first === undefined ? Effect.logDebug(text) : Effect.logWarning(text, first.cause)
      return Effect.annotateLogs(log, { cache: instance.name })
    })
    yield* options.wait === true ? warm : Effect.forkScoped(warm)
  }))

/**
 * The line that {@link bar} draws, of so many columns.
 *
 * @example
 * ```ts
 * import { Exit } from "effect"
 * import * as Warmup from "effect-swr/Warmup"
 *
 * console.log(Warmup.line({ key: "a", exit: Exit.void, done: 3, total: 4 }, 30)) // [##################------] 3/4
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const line = (progress: Swr.Progress<unknown, unknown>, columns: number): string => {
  const { done, total } = progress
  const count = ` ${String(done).padStart(String(total).length)}/${total}`
  const room = Math.max(0, Math.min(60, columns - count.length - 2))
  const filled = total === 0 ? room : Math.floor(room * done / total)
  return `[${"#".repeat(filled)}${"-".repeat(room - filled)}]${count}`
}

/**
 * Draws how far a warm-up has come, in one line of the terminal; nothing where the output is none.
 *
 * @example
 * ```ts
 * import { NodeTerminal } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Warmup from "effect-swr/Warmup"
 *
 * const program = Effect.gen(function*() {
 *   const lengths = yield* Swr.make({
 *     name: "lengths",
 *     lookup: (word: string) => Effect.succeed(word.length),
 *     freshFor: "1 minute"
 *   })
 *   return yield* Warmup.run(lengths, { keys: ["stale", "while"], report: Warmup.bar })
 * })
 *
 * Effect.runPromise(Effect.provide(program, [Swr.layer(), NodeTerminal.layer])).then(({ total }) => console.log(total))
 * // 2
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const bar = (progress: Swr.Progress<unknown, unknown>): Effect.Effect<void, never, Terminal.Terminal> =>
  Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const columns = yield* terminal.columns
    if (columns === 0) return
    const end = progress.done === progress.total ? "\n" : ""
    yield* Effect.ignore(terminal.display(`\r${line(progress, columns)}${end}`))
  })
