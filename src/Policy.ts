/**
 * How long a value may be used: windows decoded once, and pure arithmetic over an age.
 *
 * ```
 * age 0             freshFor                  maxAge                 freshFor + staleIfError
 *  |---- fresh ------|---- stale (SWR) --------|---- expired: kept only for a failing lookup ----|
 * ```
 *
 * All windows count from age 0, in milliseconds, and are half-open: equality is past.
 *
 * @since 0.1.0
 */
import { Data, Duration, Option, Result } from "effect"

const TypeId = "~effect-swr/Policy"

const DAY = 86_400_000

/**
 * An option that cannot be honoured. Options written in a program are the programmer's, so there it is a defect;
 * {@link make} answers it as a value, for options that come from outside.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidPolicy extends Data.TaggedError("InvalidPolicy")<{
  /** The option that was refused. */
  readonly option: string
  /** What was given. */
  readonly value: unknown
  /** What is allowed instead. */
  readonly allowed: string
}> {
  override get message() {
    return `${this.option}: got ${show(this.value)}, allowed is ${this.allowed}`
  }
}

const show = (value: unknown): string =>
  Duration.isDuration(value)
    ? Duration.format(value)
    : typeof value === "object" && value !== null
    ? Object.prototype.toString.call(value)
    : typeof value === "string"
    ? JSON.stringify(value)
    : String(value)

/**
 * Throws; the entrances evaluate options inside an effect, where that is a defect.
 *
 * @internal
 */
export const refuse = (option: string, value: unknown, allowed: string): never => {
  throw new InvalidPolicy({ option, value, allowed })
}

/**
 * The windows a reader may set, for a cache or for one call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Windows<in E = unknown> {
  /** How long a value is fresh: answered as it is, nothing started. At most `maxAge`. */
  readonly freshFor?: Duration.Input | undefined
  /** From this age on a value is expired: readers wait for a load. At least 1 ms, default 1 day. */
  readonly maxAge?: Duration.Input | undefined
  /**
   * How long beyond `freshFor` an old value may stand in for a failing lookup (RFC 5861, section 4). Default 0: never.
   * `when` says which errors are outages; one it answers `false` for goes to the reader and voids the entry.
   */
  readonly staleIfError?: Duration.Input | {
    readonly window: Duration.Input
    readonly when?: ((error: E) => boolean) | undefined
  } | undefined
  /** How long a reader waits for a load while an old value stands ready. Needs `staleIfError`. Default: no limit. */
  readonly softTimeout?: Duration.Input | undefined
  /** By which fraction (0 to 1) an entry's `freshFor` may be shortened, so that keys expire apart. Default 0. */
  readonly jitter?: number | undefined
}

/**
 * Decoded windows, all in milliseconds. Accepted wherever {@link Windows} are.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy<in E = unknown> {
  readonly [TypeId]: typeof TypeId
  readonly freshFor: number
  readonly maxAge: number
  /** 0 is off. */
  readonly staleIfError: number
  readonly when: ((error: E) => boolean) | undefined
  readonly softTimeout: number | undefined
  readonly jitter: number
  readonly strict: boolean
}

/**
 * A policy without any stale window, for permissions and the like.
 *
 * @since 0.1.0
 * @category models
 */
export interface Strict extends Policy<unknown> {
  readonly strict: true
}

/**
 * What an entry itself allows, whoever reads it. Only tightens; `Infinity` where it has no wish.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bounds {
  readonly freshFor: number
  readonly maxAge: number
  readonly staleIfError: number
  /** Past this age nobody is given the value. */
  readonly life: number
}

/**
 * What a read finds.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = "miss" | "fresh" | "stale" | "expired"

const numbersOf = (input: unknown): ReadonlyArray<unknown> =>
  typeof input === "number"
    ? [input]
    : typeof input === "object" && input !== null && !Duration.isDuration(input)
    ? Object.values(input).filter((part) => part !== undefined)
    : []

/**
 * Milliseconds, floored. Checked as written: `Duration` reads NaN as zero.
 *
 * @internal
 */
export const millis = (option: string, input: Duration.Input, least = 0): number => {
  const allowed = `a finite duration of at least ${least} ms`
  if (!numbersOf(input).every(Number.isFinite)) refuse(option, input, allowed)
  const ms = Math.floor(
    Option.match(Duration.fromInput(input), { onNone: () => Number.NaN, onSome: Duration.toMillis })
  )
  return ms >= least && ms < Infinity ? ms : refuse(option, input, allowed)
}

const unit = (option: string, value: number): number =>
  typeof value === "number" && value >= 0 && value <= 1 ? value : refuse(option, value, "a number from 0 to 1")

const errorWindow = <E>(input: Exclude<Windows<E>["staleIfError"], undefined>) =>
  typeof input === "object" && input !== null && "window" in input ? input : { window: input, when: undefined }

/**
 * Each window by itself, clamped to `longest`, and the order of the two that must be in order where both are given.
 * Throws {@link InvalidPolicy}.
 *
 * @internal
 */
export const parse = <E>(windows: Windows<E>, longest: number): Partial<Policy<E>> => {
  const read = (option: "freshFor" | "maxAge" | "softTimeout", least: number) => {
    const input = windows[option]
    return input === undefined ? {} : { [option]: Math.min(millis(option, input, least), longest) }
  }
  const error = windows.staleIfError === undefined ? undefined : errorWindow(windows.staleIfError)
  const life: Partial<Pick<Policy, "freshFor" | "maxAge">> = { ...read("freshFor", 0), ...read("maxAge", 1) }
  const { freshFor, maxAge } = life
  if (freshFor !== undefined && maxAge !== undefined && freshFor > maxAge) {
    refuse("freshFor", windows.freshFor, `at most maxAge (${maxAge} ms)`)
  }
  return {
    ...life,
    ...read("softTimeout", 0),
    ...error && { staleIfError: Math.min(millis("staleIfError", error.window), longest), when: error.when },
    ...windows.jitter !== undefined && { jitter: unit("jitter", windows.jitter) }
  }
}

/**
 * Lays windows over a base; throws {@link InvalidPolicy}. The order is judged on what was written, after clamping: what
 * is inherited is tightened rather than refused.
 *
 * @internal
 */
export const decode = <E>(windows: Windows<E>, base: Partial<Policy<E>>, longest: number): Policy<E> => {
  if (base.strict) {
    const option = Object.entries(windows).find(([, value]) => value !== undefined)
    if (option) refuse(option[0], option[1], "nothing: a strict cache takes only Policy.strict")
  }
  const given = parse(windows, longest)
  const { freshFor, jitter = 0, maxAge = Math.min(DAY, longest), softTimeout, staleIfError = 0, strict = false, when } =
    {
      ...base,
      ...given
    }
  if (freshFor === undefined) return refuse("freshFor", undefined, "a duration: it is required")
  const isDefault = given.maxAge === undefined && base.maxAge === undefined
  if (given.freshFor !== undefined && freshFor > maxAge) {
    refuse(
      "freshFor",
      windows.freshFor,
      `at most maxAge (${maxAge} ms${isDefault ? ", the default" : ""})`
    )
  }
  if (given.staleIfError && freshFor + given.staleIfError < maxAge) {
    const least = maxAge - freshFor
    refuse("staleIfError", windows.staleIfError, `0 or at least maxAge - freshFor (${least} ms): less does nothing`)
  }
  if (given.softTimeout !== undefined && staleIfError === 0) {
    refuse("softTimeout", windows.softTimeout, "nothing without staleIfError: there is no value to fall back on")
  }
  return {
    [TypeId]: TypeId,
    freshFor: Math.min(freshFor, maxAge),
    maxAge,
    staleIfError,
    when,
    softTimeout,
    jitter,
    strict
  }
}

/**
 * Decodes windows that come from outside the program. Judges their order as written; a layer's `maxTimeToLive` still
 * clamps them where they are used.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 * import { Policy } from "effect-swr"
 *
 * const policy = Policy.make({ freshFor: "1 minute", maxAge: "5 minutes" })
 * console.log(Result.isSuccess(policy)) // true
 *
 * const refused = Policy.make({ freshFor: "1 hour", maxAge: "5 minutes" })
 * console.log(Result.isFailure(refused) && refused.failure.message)
 * // freshFor: got "1 hour", allowed is at most maxAge (300000 ms)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E = unknown>(
  windows: Windows<E> & { readonly freshFor: Duration.Input }
): Result.Result<Policy<E>, InvalidPolicy> => attempt(() => decode(windows, {}, Infinity))

/**
 * `staleTime` and `gcTime` as client-side caches count them: the second begins where the first ends.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 * import { Policy } from "effect-swr"
 *
 * const policy = Result.getOrThrow(Policy.fromStaleTime({ staleTime: "1 minute", gcTime: "5 minutes" }))
 * console.log(policy.maxAge) // 360000
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromStaleTime = (options: {
  readonly staleTime: Duration.Input
  readonly gcTime: Duration.Input
}): Result.Result<Policy, InvalidPolicy> =>
  attempt(() => {
    const freshFor = millis("staleTime", options.staleTime)
    return decode({ freshFor, maxAge: freshFor + millis("gcTime", options.gcTime) }, {}, Infinity)
  })

// `decode` throws nothing but InvalidPolicy.
const attempt = <A>(evaluate: () => A): Result.Result<A, InvalidPolicy> =>
  Result.try({ try: evaluate, catch: (error) => error as InvalidPolicy })

/**
 * A policy for permissions and the like: a reader is never given a value older than `maxAge` (plus the one load that
 * made it), there is no stale window and no stale-if-error, and a soft mark voids. Throws {@link InvalidPolicy}.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Policy, Swr } from "effect-swr"
 *
 * const program = Effect.gen(function*() {
 *   const roles = yield* Swr.make({
 *     name: "roles",
 *     lookup: (user: string) => Effect.succeed(user === "ann" ? ["admin"] : []),
 *     policy: Policy.strict("5 seconds") // a stale window beside it does not compile
 *   })
 *   return yield* roles.get("ann")
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // [ 'admin' ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const strict = (maxAge: Duration.Input, options?: { readonly jitter?: number | undefined }): Strict => {
  const bound = millis("maxAge", maxAge, 1)
  return { ...decode({ freshFor: bound, maxAge: bound, jitter: options?.jitter }, {}, Infinity), strict: true }
}

/**
 * Whether something is a decoded policy, and not just windows.
 *
 * @example
 * ```ts
 * import { Policy } from "effect-swr"
 *
 * console.log(Policy.isPolicy(Policy.strict("5 seconds")), Policy.isPolicy({ freshFor: "5 seconds" })) // true false
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const isPolicy = (u: unknown): u is Policy => typeof u === "object" && u !== null && TypeId in u

/**
 * Clamps each window, by itself; what is in order stays so.
 *
 * @internal
 */
export const clamp = <E>(policy: Policy<E>, longest: number): Policy<E> => ({
  ...policy,
  freshFor: Math.min(policy.freshFor, longest),
  maxAge: Math.min(policy.maxAge, longest),
  staleIfError: Math.min(policy.staleIfError, longest)
})

/**
 * The bounds of an entry: its writer's life, tightened by the entry's own windows.
 *
 * @internal
 */
export const bounds = (
  policy: Policy<never>,
  own: { readonly [K in "freshFor" | "maxAge" | "staleIfError"]?: Duration.Input | undefined } = {}
): Bounds => {
  const read = (option: "freshFor" | "maxAge" | "staleIfError", least: number) =>
    own[option] === undefined ? Infinity : millis(option, own[option], least)
  const freshFor = read("freshFor", 0)
  const maxAge = read("maxAge", 1)
  const staleIfError = read("staleIfError", 0)
  return {
    freshFor,
    maxAge,
    staleIfError,
    life: Math.max(
      Math.min(policy.maxAge, maxAge),
      Math.min(policy.freshFor, freshFor, maxAge) + Math.min(policy.staleIfError, staleIfError)
    )
  }
}

/** What decides on freshness: all that a store is told of a policy. */
type Freshness = Pick<Policy<never>, "freshFor" | "maxAge" | "jitter" | "strict">

/**
 * The age at which a reader finds the value no longer fresh. `marked` is -1 for an entry that was never marked.
 *
 * @internal
 */
export const freshUntil = (policy: Freshness, bounds: Bounds, jitter: number, marked: number): number => {
  const least = Math.min(policy.freshFor, bounds.freshFor, expiredFrom(policy, bounds, jitter))
  if (marked >= 0 && (policy.strict || marked < least)) return policy.strict ? 0 : shorten(marked, policy, jitter)
  return policy.strict ? least : shorten(least, policy, jitter)
}

/**
 * The age at which a reader finds the value expired.
 *
 * @internal
 */
export const expiredFrom = (policy: Freshness, bounds: Bounds, jitter: number): number => {
  const least = Math.min(policy.maxAge, bounds.maxAge, bounds.life)
  return policy.strict ? shorten(Math.min(least, bounds.freshFor), policy, jitter) : least
}

/**
 * The age at which the value may no longer stand in for a failing lookup; 0 where it never may.
 *
 * @internal
 */
export const fallbackUntil = (policy: Policy<never>, bounds: Bounds, jitter: number, marked: number): number => {
  const window = Math.min(policy.staleIfError, bounds.staleIfError)
  return window === 0 ? 0 : Math.min(freshUntil(policy, bounds, jitter, marked) + window, bounds.life)
}

const shorten = (age: number, policy: Freshness, jitter: number): number =>
  policy.jitter === 0 ? age : Math.floor(age * (1 - policy.jitter * jitter))

/**
 * What a reader finds at an age. To a strict reader a marked entry is expired.
 *
 * @internal
 */
export const status = (
  policy: Policy<never>,
  bounds: Bounds,
  jitter: number,
  marked: number,
  age: number
): Exclude<Status, "miss"> =>
  age < freshUntil(policy, bounds, jitter, marked)
    ? "fresh"
    : !policy.strict && age < expiredFrom(policy, bounds, jitter)
    ? "stale"
    : "expired"

/**
 * How a key is left alone after a failed load.
 *
 * @since 0.1.0
 * @category models
 */
export interface Backoff {
  readonly from: number
  readonly to: number
}

/**
 * Default `{ from: "1 second", to: "1 minute" }`.
 *
 * @internal
 */
export const backoff = (options?: {
  readonly from?: Duration.Input | undefined
  readonly to?: Duration.Input | undefined
}): Backoff => {
  const from = millis("backoff.from", options?.from ?? 1000, 1)
  const to = millis("backoff.to", options?.to ?? Math.max(from, 60_000), 1)
  return to >= from ? { from, to } : refuse("backoff.to", options?.to, `at least backoff.from (${from} ms)`)
}

/**
 * Milliseconds until the next try: never less than `from`, never more than `to`, and in between anywhere up to `from`
 * doubled per failure ("full jitter", so that a fleet's tries spread).
 *
 * @internal
 */
export const delay = (backoff: Backoff, failures: number, random: number): number =>
  backoff.from + Math.floor(random * (Math.min(backoff.to, backoff.from * 2 ** failures) - backoff.from))
