/**
 * What happened to each key of late, for who asks why a value was old.
 *
 * @since 0.1.0
 */
import { Effect, type Scope } from "effect"
import type * as Event from "./Event.ts"
import * as Options from "./Options.ts"
import * as Swr from "./Swr.ts"

/**
 * One thing that happened, or the same thing several times in a row.
 *
 * @since 0.1.0
 * @category models
 */
export interface Moment {
  /** When it happened first and last: milliseconds of the wall clock. */
  readonly from: number
  readonly until: number
  readonly times: number
  /** The last of them. */
  readonly event: Event.Event
}

/**
 * The recent past of every key, from when it was asked for until its scope closes.
 *
 * @since 0.1.0
 * @category models
 */
export interface History {
  /** Oldest first. The key as events show it; with what happened to the cache as a whole. */
  readonly of: (cache: string, key: string) => ReadonlyArray<Moment>
}

/**
 * How much is kept, in all and of each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Default 1,000: the key to which nothing but hits has happened for longest is forgotten first. */
  readonly keys?: number | undefined
  /** Default 32. Hits in a row are one moment, and so are old values served for the same reason. */
  readonly events?: number | undefined
}

/** Events of which many come in a row. */
const frequent = ["Hit", "Served", "Joined", "RefreshSkipped"]

const isSame = (one: Event.Event, other: Event.Event): boolean =>
  one._tag === other._tag && frequent.includes(one._tag) && reasonOf(one) === reasonOf(other)

const reasonOf = (event: Event.Event) => "reason" in event ? event.reason : undefined

/**
 * Keeps what happens to each key, from now on and until the scope closes.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 * import * as History from "effect-swr/History"
 *
 * const program = Effect.gen(function*() {
 *   const history = yield* History.make()
 *   yield* Swr.swr("greeting", Effect.succeed("hello"), { freshFor: "1 minute" })
 *   yield* Swr.swr("greeting", Effect.succeed("hello"), { freshFor: "1 minute" })
 *   return history.of("swr", "greeting").map(({ event }) => event._tag)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Swr.layer()))).then(console.log)
 * // [ 'Miss', 'Load', 'Commit', 'Hit' ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (limits: Limits = {}): Effect.Effect<History, never, Swr.Cache | Scope.Scope> =>
  Effect.gen(function*() {
    const source = Swr.behind(yield* Swr.Cache).host
    const most = Options.count("keys", limits.keys ?? 1000, 1)
    const longest = Options.count("events", limits.events ?? 32, 1)
    const kept = new Map<string, Array<Moment>>()
    const tell = (event: Event.Event) => {
      const name = nameOf(event.cache, event.key)
      const moments = kept.get(name) ?? []
      const at = source.clock.currentTimeMillisUnsafe()
      const last = moments.at(-1)
      if (last !== undefined && isSame(last.event, event)) {
        moments[moments.length - 1] = { ...last, until: at, times: last.times + 1, event }
        return
      }
      moments.push({ from: at, until: at, times: 1, event })
      if (moments.length > longest) moments.shift()
      // A map remembers the order in which its keys came: this one comes last now.
      kept.delete(name)
      kept.set(name, moments)
      if (kept.size > most) kept.delete(kept.keys().next().value ?? name)
    }
    source.listeners.add(tell)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        source.listeners.delete(tell)
        kept.clear()
      })
    )
    const of = (cache: string, key: string) => kept.get(nameOf(cache, key)) ?? []
    return {
      of: (cache, key) =>
        key === ""
          ? of(cache, key).slice()
          : [...of(cache, ""), ...of(cache, key)].toSorted((one, other) => one.from - other.from)
    }
  })

const nameOf = (cache: string, key: string): string => JSON.stringify([cache, key])
