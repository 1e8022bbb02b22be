/**
 * What happened to a key, as data; and the log that listens.
 *
 * @since 0.1.0
 */
import { type Cause, Effect } from "effect"
import type * as Policy from "./Policy.ts"
import type * as State from "./State.ts"

interface Of<Tag extends string> {
  readonly _tag: Tag
  /** The name of the cache. */
  readonly cache: string
  /** The key, as a person may see it: a sensitive one is shown as the beginning of its hash. */
  readonly key: string
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
  /** The same, and a load was already under way, or the failure of one is kept. */
  | Of<"Joined"> & { readonly status: Policy.Status }
  /** An old value was answered. A reader that waited for a load first has told `Miss` or `Joined` before. */
  | Of<"Served"> & {
    readonly status: Policy.Status
    readonly reason: State.Reason
    readonly age: number
    readonly source?: "store"
  }
  /** A load began. */
  | Of<"Load"> & { readonly cause: LoadCause }
  /** A load failed; `retryIn` is how long the key is left alone, 0 where there is nothing to wait out. */
  | Of<"LoadFailed"> & { readonly failure: Cause.Cause<unknown>; readonly duration: number; readonly retryIn: number }
  /** A refresh was due and did not start. */
  | Of<"RefreshSkipped"> & { readonly reason: "limit" | "held" }
  /** A value was kept. */
  | Of<"Commit"> & { readonly duration: number }
  /** A loaded value was answered and not kept. */
  | Of<"CommitDropped"> & { readonly reason: DropReason }
  /** The last word: a key, a tag or (without either) the whole cache. */
  | Of<"Invalidate"> & { readonly mode: "hard" | "soft" | "set"; readonly tag?: string }
  /** An entry left to make room. */
  | Of<"Evict"> & { readonly age: number }
  /** A value did not encode; it was answered as it is, and not kept. */
  | Of<"EncodeFailed"> & { readonly error: unknown }
  /** A kept value does not fit the reader's schema; the read went on as a miss. */
  | Of<"DecodeFailed"> & { readonly error: unknown }
  /** What the store said when this process asked for the right to load. */
  | Of<"Lease"> & { readonly outcome: "given" | "held" | "cooling" }
  /** The store did not do what it was asked; no key. */
  | Of<"StoreFailed"> & { readonly reason: string; readonly error: unknown }
  /** The store answers again; no key. */
  | Of<"StoreBack">
  /** Last words of other processes were missed: memory is confirmed key by key; no key. */
  | Of<"Gap"> & { readonly cause: "lost" | "epoch" }

/**
 * What made a load begin: a reader that waits, a refresh behind readers, or a call of `revalidate`.
 *
 * @since 0.1.0
 * @category models
 */
export type LoadCause = "miss" | "refresh" | "revalidate"

/**
 * Why a loaded value was not kept: the last word came while it loaded; `keep` said so, threw or gave bad windows; it
 * weighs more than the memory holds, or could not be weighed; or it does not encode.
 *
 * @since 0.1.0
 * @category models
 */
export type DropReason = "forgotten" | "share" | "pass" | "keep" | "weight" | "encode"

/**
 * The log of a load that failed behind somebody's back.
 *
 * @internal
 */
export const logFailure = (event: Extract<Event, { readonly _tag: "LoadFailed" }>): Effect.Effect<void> =>
  Effect.logWarning(`effect-swr: load failed, next try in ${event.retryIn} ms`, event.failure).pipe(
    Effect.annotateLogs({ cache: event.cache, key: event.key })
  )
