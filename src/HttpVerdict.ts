/**
 * What one reader is given by what memory or a load gave: judged here, done by the exchange.
 *
 * ```
 *   answer ---> ofAnswer --> Hit | Give | Live | Again | Unavailable
 *                  | fallen back on
 *   failure -> ofFailure --> Give | Reply | Fail | Pass | Unavailable
 * ```
 *
 * @since 0.1.0
 */
import { Data, Duration, Option } from "effect"
import type * as Answer from "./Answer.ts"
import type * as HttpAnswer from "./HttpAnswer.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import type { Kept, Live } from "./HttpRecord.ts"
import type * as Swr from "./Swr.ts"

/** An origin's answer that is not kept, whole. */
export interface Reply {
  readonly head: HttpPolicy.Response
  readonly body: Uint8Array
  /** What readers have to say of some fields to be given it; undefined where it is for who asked alone. */
  readonly readers: HttpPolicy.Variant | undefined
}

/** The origin failed: with a response, or with none. */
export class Failed extends Data.TaggedError("Failed")<{
  /** Which load it was. */
  readonly began: number
  readonly kind: number | "unreachable"
  readonly reply: Reply | undefined
  readonly error: { readonly value: unknown } | undefined
  /** The same for logs, where the failure of a refresh is seen by nobody else. */
  readonly cause: unknown
}> {
  // Where in this library it was made helps nobody who reads a log.
  override readonly stack = `${this._tag}: ${this.message}`
  override get message() {
    return this.kind === "unreachable" ? "the origin gave no answer" : `the origin failed with ${this.kind}`
  }
}

/** Why looking did not do. */
export type Why = "uri-miss" | "vary-miss" | "stale" | "request"

/** A request that waited. Loads are numbered with arrivals: a later load answers it as its own would. */
export interface Reader {
  readonly request: HttpPolicy.Request
  readonly rules: HttpPolicy.Rules
  readonly why: Why
  readonly arrived: number
  /** The last load that it began; 0 where others did. */
  readonly began: number
  /** Whether a failure concerns who asked alone. */
  readonly isOwn: (error: unknown) => boolean
  /** Whether a load that has answered may be joined still: over a store it is under way until that has been told. */
  readonly lingers: boolean
  /** Whether what came was kept. */
  readonly isTaken: (kept: Kept) => boolean
}

/** What is done for a reader. */
export type Verdict<L> =
  /** It is given what is kept and fresh. */
  | { readonly _tag: "Hit"; readonly kept: Kept; readonly age: number; readonly left: number }
  /** It is given what is kept, and told how. */
  | {
    readonly _tag: "Give"
    readonly kept: Kept
    readonly age: number
    readonly handling: HttpAnswer.Handling
    readonly found: "STALE" | "MISS"
  }
  /** It is given the origin's answer as it comes. */
  | { readonly _tag: "Live"; readonly live: Live<L>; readonly handling: HttpAnswer.Handling }
  /** It is given an answer of the origin that was read. */
  | { readonly _tag: "Reply"; readonly reply: Reply; readonly handling: HttpAnswer.Handling }
  /** It fails as the request to the origin did. */
  | { readonly _tag: "Fail"; readonly error: unknown }
  /** It is told that there is nothing to be given. */
  | { readonly _tag: "Unavailable" }
  /** It asks the origin for itself. */
  | { readonly _tag: "Pass" }
  /** It looks again, or has the origin asked. */
  | { readonly _tag: "Again"; readonly force: boolean }

/** What a reader is given where the origin failed, over what may still stand in. */
export const ofFailure = (
  { began, isOwn, request, rules, why }: Reader,
  failure: Failed | Swr.LoadTimeout,
  stored: Kept | undefined,
  now: number
): Verdict<never> => {
  const isMine = began > 0 && (failure._tag === "LoadTimeout" || failure.began === began)
  const kind = failure._tag === "Failed" ? failure.kind : "unreachable"
  const what = HttpPolicy.onFailure(request, stored, kind, now, rules)
  if (what === "stale" && stored !== undefined) {
    const age = HttpPolicy.age(stored.freshness, now)
    // Of who asked the origin in vain, RFC 9211, 2.1 does not speak of a hit.
    const handling: HttpAnswer.Handling = isMine
      ? { forward: why, forwardStatus: kind === "unreachable" ? undefined : kind }
      : { hit: true, left: stored.freshness.lifetime - age }
    return { _tag: "Give", kept: stored, age, handling, found: "STALE" }
  }
  if (what === "unavailable" || failure._tag === "LoadTimeout") return { _tag: "Unavailable" }
  const { error, reply } = failure
  if (error !== undefined) {
    return !isMine && isOwn(error.value) ? { _tag: "Pass" } : { _tag: "Fail", error: error.value }
  }
  const isFor = isMine || (reply?.readers !== undefined && HttpPolicy.isVariant(reply.readers, request.headers))
  return reply === undefined || !isFor
    ? { _tag: "Pass" }
    : { _tag: "Reply", reply, handling: { forward: why, forwardStatus: reply.head.status, collapsed: !isMine } }
}

/** What a reader is given of what memory, a store or a load gave; `failure` is what it was fallen back on for. */
export const ofAnswer = <L>(
  reader: Reader,
  { age: aged, reason, source, status, value }: Answer.Snapshot<Kept | Live<L>>,
  failure: Failed | undefined
): Verdict<L> => {
  const { arrived, began, isTaken, lingers, request, rules, why } = reader
  if (value._tag === "Live") {
    return value.began === began
      ? { _tag: "Live", live: value, handling: { forward: why, forwardStatus: value.status } }
      : { _tag: "Again", force: lingers }
  }
  const now = HttpPolicy.timeAt(value.freshness, Duration.toMillis(aged))
  const age = HttpPolicy.age(value.freshness, now)
  const isLoaded = source === "lookup"
  const isMine = value.began === began
  const loaded: Verdict<L> = {
    _tag: "Give",
    kept: value,
    age,
    handling: {
      forward: why,
      forwardStatus: value.answered,
      stored: isTaken(value),
      ...isMine ? {} : { collapsed: true }
    },
    found: "MISS"
  }
  if (isLoaded && isMine) return loaded
  // What is kept nowhere bears no tags, by which to tell whether it was invalidated before this one came.
  const isLost = !value.stays && value.began <= arrived
  if (isLost || !HttpPolicy.isVariant(value.variant, request.headers)) return { _tag: "Again", force: false }
  if (status === "expired" && Option.isSome(reason)) {
    const outage = failure ?? new Failed({ began, kind: 503, reply: undefined, error: undefined, cause: undefined })
    return ofFailure(reader, outage, value, now)
  }
  if (isLoaded && value.began > arrived) return loaded
  const judged = HttpPolicy.evaluate(request, value, now, rules)
  switch (judged._tag) {
    case "Fresh":
      return isLoaded ? loaded : { _tag: "Hit", kept: value, age, left: judged.left }
    case "Stale":
      return { _tag: "Give", kept: value, age, handling: { hit: true, left: judged.left }, found: "STALE" }
    case "Unavailable":
      return { _tag: "Unavailable" }
    default:
      // What another one's load gave may not be used without asking: ask, all who wait together.
      return { _tag: "Again", force: judged._tag === "Validate" && judged.forward === "request" }
  }
}
