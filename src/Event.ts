/**
 * What happened to a key, as data; and the log that listens.
 *
 * @since 0.1.0
 */
import { type Cause, Effect, Queue, Stream } from "effect"
import * as Key from "./Key.ts"
import type * as Policy from "./Policy.ts"
import type * as State from "./State.ts"
import type * as Store from "./Store.ts"

interface Of<Tag extends string> {
  readonly _tag: Tag
  /** The name of the cache. */
  readonly cache: string
  /** The key, as a person may see it: a sensitive one is shown as the beginning of its hash. */
  readonly key: string
}

interface OfLoad {
  /** Which load of this layer: the same number in all that is told of it. */
  readonly load: number
  readonly cause: LoadCause
}

/**
 * What the event of a load's end tells of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ended extends OfLoad {
  readonly duration: number
  /** How many readers waited for it when it ended: all but one of them were spared a load of their own. */
  readonly waiters: number
}

/**
 * Everything that happens, one record each. An open union: match with a default.
 *
 * @since 0.1.0
 * @category models
 */
export type Event =
  /** A fresh value was answered. Ages and durations are milliseconds. */
  | Of<"Hit"> & { readonly age: number; readonly source?: "store" }
  /** A reader found nothing usable and started a load. */
  | Of<"Miss"> & { readonly status: Policy.Status }
  /** The same, and a load was already under way (`load`), or the failure of one is kept. */
  | Of<"Joined"> & { readonly status: Policy.Status; readonly load?: number }
  /**
   * An old value was answered; `load` is the one under way behind it. A reader that `waited` for a load first has told
   * `Miss` or `Joined` before.
   */
  | Of<"Served"> & {
    readonly status: Policy.Status
    readonly reason: State.Reason
    readonly age: number
    readonly source?: "store"
    readonly waited: boolean
    readonly load?: number
  }
  /** A load began. `by` is the span of the reader that asked for it, where it has one. */
  | Of<"Load"> & OfLoad & { readonly by?: { readonly traceId: string; readonly spanId: string } }
  /** A load failed; `retryIn` is how long the key is left alone, 0 where there is nothing to wait out. */
  | Of<"LoadFailed"> & Ended & { readonly failure: Cause.Cause<unknown>; readonly retryIn: number }
  /** A load was told to stop: nobody waits for it any more, or the layer closes. */
  | Of<"LoadStopped"> & Ended
  /** A refresh was due and did not start. */
  | Of<"RefreshSkipped"> & { readonly reason: "limit" | "held" }
  /** A value was kept. */
  | Of<"Commit"> & Ended
  /** A loaded value was answered and not kept; one that was too heavy for `set` has no load. */
  | Of<"CommitDropped"> & Partial<Ended> & { readonly reason: DropReason }
  /** The last word: a key, a tag or (without either) the whole cache. */
  | Of<"Invalidate"> & { readonly mode: "hard" | "soft" | "set"; readonly tag?: string }
  /** An entry left to make room. */
  | Of<"Evict"> & { readonly age: number; readonly cause: EvictCause }
  /** A value did not encode; it was answered as it is, and not kept. */
  | Of<"EncodeFailed"> & { readonly error: unknown }
  /** A kept value does not fit the reader's schema; the read went on as a miss. */
  | Of<"DecodeFailed"> & { readonly error: unknown }
  /** What the store said when this process asked for the right to load. */
  | Of<"Lease"> & { readonly outcome: "given" | "held" | "cooling" }
  /** The store has answered, or failed to; no key. */
  | Of<"StoreCalled"> & {
    readonly operation: Store.Operation
    readonly outcome: "answered" | "failed"
    readonly duration: number
  }
  /** The store did not do what it was asked; no key. */
  | Of<"StoreFailed"> & { readonly reason: string; readonly error: unknown }
  /** The store answers again; no key. */
  | Of<"StoreBack">
  /** Last words of other processes were missed: memory is confirmed key by key; no key. */
  | Of<"Gap"> & { readonly cause: "lost" | "epoch" }
  /** The auditor loaded a key anew that had just been answered fresh, and compared. */
  | Of<"Audited"> & { readonly outcome: "same" | "differed" | "failed"; readonly age: number }
  /** This listener was too slow: here so many events are missing. It is of no cache and no key. */
  | Of<"Lost"> & { readonly count: number }

/**
 * What made a load begin: a reader that waits, a refresh behind readers, or a call of `revalidate`.
 *
 * @since 0.1.0
 * @category models
 */
export type LoadCause = "miss" | "refresh" | "revalidate"

/**
 * Why an entry had to leave: there are more keys than `capacity`, they weigh more than `weight` allows, or it was past
 * its life anyway.
 *
 * @since 0.1.0
 * @category models
 */
export type EvictCause = "capacity" | "weight" | "dead"

/**
 * Why a loaded value was not kept: the last word came while it loaded; `keep` said so, threw or gave bad windows; it
 * weighs more than the memory holds, or could not be weighed; or it does not encode.
 *
 * @since 0.1.0
 * @category models
 */
export type DropReason = "forgotten" | "share" | "pass" | "keep" | "weight" | "encode"

/**
 * A hit: the most frequent event by far, so its key is written out only for who asks.
 *
 * @internal
 */
export class Hit {
  declare readonly _tag: "Hit"
  static {
    Object.assign(this.prototype, { _tag: "Hit" })
  }
  readonly cache: string
  readonly name: Key.Name
  readonly age: number
  declare readonly source?: "store"

  constructor(cache: string, name: Key.Name, age: number, source?: "store") {
    this.cache = cache
    this.name = name
    this.age = age
    // A hit of memory, the rule, has no such field.
    if (source !== undefined) this.source = source
  }
  get key(): string {
    return Key.show(this.name)
  }
}

/**
 * What a source of events has to be: the layer, to those of its own who listen. They are told in the step in which
 * something happens.
 *
 * @internal
 */
export interface Source {
  readonly listeners: Set<(event: Event) => void>
  readonly closing: Set<() => void>
  readonly closed: boolean
}

/** How many events wait for a slow listener. */
const PATIENCE = 1024

/**
 * What happens from now on. Whoever is slower than 1,024 events loses the oldest, and is told how many: once, in their
 * place.
 *
 * @internal
 */
export const stream = (source: Source): Stream.Stream<Event> =>
  Stream.suspend(() => {
    // Events are numbered: where numbers are missing, so many were lost.
    let told = 0
    let heard = 0
    return Stream.callback<readonly [number: number, event: Event]>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const tell = (event: Event) => void Queue.offerUnsafe(queue, [told++, event])
          const end = () => void Queue.endUnsafe(queue)
          if (source.closed) end()
          source.listeners.add(tell)
          source.closing.add(end)
          return () => {
            source.listeners.delete(tell)
            source.closing.delete(end)
          }
        }),
        (release) => Effect.sync(release)
      ), { bufferSize: PATIENCE, strategy: "sliding" }).pipe(
        Stream.map(([number, event]): readonly [Event, ...ReadonlyArray<Event>] => {
          const count = number - heard
          heard = number + 1
          return count > 0 ? [{ _tag: "Lost", cache: "", key: "", count }, record(event)] : [record(event)]
        }),
        Stream.flattenArray
      )
  })

const record = (event: Event): Event => {
  if (!(event instanceof Hit)) return event
  const { _tag, age, cache, key, source } = event
  return { _tag, cache, key, age, ...(source && { source }) }
}

/**
 * The log of a load that failed behind somebody's back.
 *
 * @internal
 */
export const logFailure = (event: Extract<Event, { readonly _tag: "LoadFailed" }>): Effect.Effect<void> =>
  Effect.logWarning(`effect-swr: load failed, next try in ${event.retryIn} ms`, event.failure).pipe(
    Effect.annotateLogs({ cache: event.cache, key: event.key })
  )
