/**
 * The port to a place where entries outlive the process: what such a place can do, what it is asked, and how it fails.
 *
 * A store is small on purpose. It keeps texts under keys of a *space* (the namespace of one cache), and knows nothing
 * of schemas, readers or memory. What it promises beyond that it declares as {@link Powers}; the laws in
 * `effect-swr/Testing` hold it to each. Deadlines, and leaving a failing store alone, are not a store's business: one
 * guard does that for all.
 *
 * @since 0.1.0
 */
import { Cause, Context, Data, Effect, Exit, Fiber, Option, Result, Stream } from "effect"
import type * as Codec from "./Codec.ts"

/**
 * A write that did not reach where it had to. It never fails a read.
 *
 * - `encode`: the value does not encode by the cache's schema, so it is kept nowhere and the key is empty
 * - `away`: the store did not answer within the deadline, or is left alone after failures
 * - `late`: the store got the command past its deadline, and did nothing
 * - `denied`: the store refuses our credentials, or what we ask
 * - `full`: the store takes no writes: out of memory, or a replica
 * - `unsupported`: this store can't do that
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly reason: "encode" | "away" | "late" | "denied" | "full" | "unsupported"
  readonly cache: string
  readonly cause: unknown
}> {
  override get message() {
    return `${this.cache}: ${messages[this.reason]}`
  }
}

const messages: Record<StoreError["reason"], string> = {
  encode: "the value does not encode",
  away: "the store does not answer",
  late: "the store got the command too late",
  denied: "the store refuses us",
  full: "the store takes no writes",
  unsupported: "the store can't do that"
}

/**
 * What a store can do. One that does not fence is for one process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Powers {
  /** A commit whose token a last word took away, or whose tags were invalidated since, is refused. */
  readonly fences: boolean
  /** Of all processes, one at a time is given the right to load a key. Without it every one that asks is. */
  readonly leases: boolean
  /** Last words are told to all processes, and replies carry the {@link Clock} of the space. */
  readonly announces: boolean
  /** Keeps notes of invalidated tags. */
  readonly tags: boolean
  /** `server`: ages are differences of one clock. `wall`: of the clocks of machines, which may step and disagree. */
  readonly ages: "server" | "wall"
}

/**
 * The clock of a space: a random epoch, new when the store has lost something, and how many last words it has seen.
 *
 * @since 0.1.0
 * @category models
 */
export interface Clock {
  readonly epoch: string
  readonly counter: number
}

/**
 * Who asks. A store whose counter is behind what its asker has `heard` of the same epoch has lost writes: it begins a
 * new epoch before it does anything else.
 *
 * @since 0.1.0
 * @category models
 */
export interface Asker {
  /** The name of the cache. */
  readonly space: string
  /** The version of its values' shape: entries, leases and tokens of versions are apart, last words meet all. */
  readonly version: string
  /** The greatest clock that the asker has seen. */
  readonly heard: Clock | undefined
  /** Milliseconds until the asker listens no more: from then on the store must do nothing (refused at equality). */
  readonly within: number
}

/**
 * An answer. Without the power to announce there is no clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply<out A> {
  readonly clock: Clock | undefined
  readonly value: A
}

/**
 * An entry on its way to a store or back. Ages are milliseconds: on the way in at the call, on the way out at the
 * reply, the whole round trip counted. They can only grow.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stored extends Pick<Codec.Fields, "windows" | "jitter" | "tags"> {
  /** JSON. */
  readonly value: string
  readonly age: number
  /** When its load began, or of its `set`. */
  readonly clock: Clock | undefined
}

/**
 * One key that is asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Open {
  /** As `Key.storedKey` writes it. */
  readonly key: string
  /** The windows by which the asker judges freshness: `Policy.freshUntil`. */
  readonly policy: {
    readonly freshFor: number
    readonly maxAge: number
    readonly jitter: number
    readonly strict: boolean
  }
  /** Wants the right to load where the entry is missing, void or no longer fresh; random. `undefined`: only looks. */
  readonly token: string | undefined
  /** Where the lease cools, loads beside it, without it: for who has nothing to fall back on. */
  readonly beside: boolean
  /** For how long, in milliseconds, the lease is given and the token may commit. */
  readonly leaseFor: number
  readonly tokenFor: number
}

/**
 * What a store says of a key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opened {
  /** Missing also where it is void or dead. `marked` is the age at which it was marked stale, -1 for never. */
  readonly entry:
    | (Stored & {
      readonly marked: number
      /** What the value's text parses to, from a store that had to parse it. Whoever has it may change it. */
      readonly json?: unknown
    })
    | undefined
  /** Something is there that is no record of ours: why. The entry is missing then. */
  readonly problem: Codec.DecodeProblem | undefined
  /** `given`: load, and commit by the token. Else who holds it, for how long yet; `undefined`: not asked, or fresh. */
  readonly lease: "given" | { readonly left: number; readonly cooling: boolean } | undefined
}

/**
 * The end of a load. Refused unless the token is still the key's, the epoch is the one of `clock`, and no note of its
 * tags or of a clear is greater. Either way the token's lease is free afterwards.
 *
 * @since 0.1.0
 * @category models
 */
export interface Commit {
  readonly key: string
  readonly token: string
  /** `undefined`: the entry, if there is one, goes. */
  readonly stored: Stored | undefined
}

/**
 * A last word. Tokens and leases of its keys, in all versions, are gone; a tag or a clear is noted; the counter goes up
 * by one; `news` is announced with the new clock.
 *
 * @since 0.1.0
 * @category models
 */
export type Change =
  & { readonly news: string }
  & (
    /** The entries of all versions go, and this one comes. */
    | { readonly mode: "set"; readonly key: string; readonly stored: Stored }
    /** The entries of all versions go, or are marked stale. */
    | { readonly mode: "hard" | "soft"; readonly keys: ReadonlyArray<string> }
    | { readonly mode: "tag"; readonly tag: string }
    | { readonly mode: "clear" }
  )

/**
 * What becomes of a lease: `renew` it for so long, `cool` it (nobody refreshes for so long), or `release` it. Nothing
 * happens where the token is not the holder's.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lease {
  readonly key: string
  readonly token: string
  readonly to: "renew" | "cool" | "release"
  /** In milliseconds. */
  readonly millis: number
}

/**
 * A last word that some process had in a space.
 *
 * @since 0.1.0
 * @category models
 */
export interface Announcement {
  readonly space: string
  readonly clock: Clock
  /** As it was given; whoever can reach the store may have written it. */
  readonly news: string
}

/**
 * The service. Every call is one round trip. A store may be absent when its layer is built: then calls fail.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Store from "effect-swr/Store"
 * import * as Testing from "effect-swr/Testing"
 *
 * const program = Effect.gen(function*() {
 *   const sim = yield* Testing.simulatedStore()
 *   const powers = Store.Store.use((store) => Effect.succeed(store.powers))
 *   return yield* Effect.provide(powers, sim.connect("a"))
 * })
 *
 * Effect.runPromise(program).then((powers) => console.log(powers.fences, powers.ages)) // true server
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class Store extends Context.Service<Store, {
  readonly powers: Powers
  /** What there is under these keys, and the right to load those that need it. Answers in the same order. */
  readonly open: (asker: Asker, keys: ReadonlyArray<Open>) => Effect.Effect<Reply<ReadonlyArray<Opened>>, StoreError>
  /** Whether it was taken. */
  readonly commit: (asker: Asker, commit: Commit) => Effect.Effect<Reply<boolean>, StoreError>
  readonly change: (asker: Asker, change: Change) => Effect.Effect<Reply<void>, StoreError>
  /** Whether the token was the holder's. */
  readonly lease: (asker: Asker, lease: Lease) => Effect.Effect<Reply<boolean>, StoreError>
  /** The clock alone. */
  readonly ask: (asker: Asker) => Effect.Effect<Reply<void>, StoreError>
  /** Begins anew when it is run again; fails when the connection is lost. Never ends where nothing is announced. */
  readonly announcements: Stream.Stream<Announcement, StoreError>
}>()("effect-swr/Store") {}

/**
 * What a store is asked for.
 *
 * @since 0.1.0
 * @category models
 */
export type Operation = "open" | "commit" | "change" | "lease" | "ask"

/** Failures in a row after which a store is left alone, and for how long: at first, and at most. */
const PATIENCE = { failures: 3, from: 100, to: 1_000 }

/**
 * One guard for all stores: nobody waits longer than the deadline, and a store that failed three times in a row is left
 * alone for 100 ms, doubling to a second; then one call probes.
 *
 * @internal
 */
export const guard = (
  store: Store["Service"],
  options: {
    /** In milliseconds. */
    readonly deadline: number
    readonly now: () => number
    readonly sleep: (millis: number) => Effect.Effect<void>
    /** Told of each call that the store has answered, or failed to; its reading of the time is in milliseconds. */
    readonly called: (space: string, operation: Operation, isAnswered: boolean, since: number) => void
    readonly time: () => number
    /** Told of each failure, how often it was left alone by now, and (`undefined`) when it answers again. */
    readonly told: (space: string, failure: StoreError | undefined, rests: number) => void
  }
): Store["Service"] => {
  let failures = 0
  // How often it was left alone since it last answered.
  let rests = 0
  let leftUntil = -1
  let isProbed = false
  const deadline = new Deadline(options)
  const guarded = <Args extends ReadonlyArray<unknown>, A>(
    operation: Operation,
    call: (asker: Asker, ...args: Args) => Effect.Effect<Reply<A>, StoreError>,
    /** What the reply can be believed to say; `undefined`: it says nothing. */
    sound?: (value: A, ...args: Args) => A | undefined
  ) =>
  (asker: Asker, ...args: Args): Effect.Effect<Reply<A>, StoreError> =>
    Effect.withFiber((caller) => {
      const away = (cause: unknown) => Exit.fail(new StoreError({ reason: "away", cache: asker.space, cause }))
      if (failures >= PATIENCE.failures && (isProbed || options.now() < leftUntil)) {
        return away("left alone after failures")
      }
      const probes = failures >= PATIENCE.failures
      isProbed = probes
      const since = options.time()
      // A store is a stranger's: what it throws is a failure of its own, and what is no reply counts as none.
      const judged = (exit: Exit.Exit<Reply<A>, StoreError>): Exit.Exit<Reply<A>, StoreError> => {
        if (Exit.isFailure(exit)) {
          const defect = Cause.findDefect(exit.cause)
          return Result.isSuccess(defect) ? away(defect.success) : exit
        }
        if (!isReply(exit.value, store.powers)) return away("no reply")
        if (sound === undefined) return exit
        const value = sound(exit.value.value, ...args)
        return value === undefined ? away("no reply") : Exit.succeed({ clock: exit.value.clock, value })
      }
      return deadline.within(
        caller.context,
        Effect.suspend(() => call(asker, ...args)),
        (exit) => {
          const end = exit === undefined ? away(`no answer within ${options.deadline} ms`) : judged(exit)
          if (Exit.isSuccess(end) || !Cause.hasInterrupts(end.cause)) {
            options.called(asker.space, operation, Exit.isSuccess(end), since)
          }
          ended(asker.space, probes, end)
          return end
        }
      )
    })
  const ended = (space: string, probes: boolean, exit: Exit.Exit<unknown, StoreError>): void => {
    if (probes) isProbed = false
    if (Exit.isSuccess(exit)) {
      if (rests > 0) options.told(space, undefined, 0)
      failures = 0
      rests = 0
      return
    }
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    // What it can't do is no failure, nor is a caller that went away.
    if (error?.reason === "unsupported" || (error === undefined && Cause.hasInterrupts(exit.cause))) return
    const failure = error ?? new StoreError({ reason: "away", cache: space, cause: Cause.squash(exit.cause) })
    // A store that takes no writes, or got a command too late, answers all the same.
    if (failure.reason === "full" || failure.reason === "late") return options.told(space, failure, rests)
    failures++
    // Of many that fail side by side one sends it to rest, and of those that rest only the probe makes it longer.
    if (probes || failures === PATIENCE.failures) {
      leftUntil = options.now() + Math.min(PATIENCE.from * 2 ** rests, PATIENCE.to)
      rests = Math.min(rests + 1, 10)
    }
    options.told(space, failure, rests)
  }
  return {
    powers: store.powers,
    announcements: Stream.filter(store.announcements, isAnnouncement),
    open: guarded("open", store.open, (value, keys) => {
      const sound = Array.isArray(value) ? value.flatMap((said) => opened(said) ?? []) : []
      return sound.length === keys.length && value.length === keys.length ? sound : undefined
    }),
    commit: guarded("commit", store.commit),
    change: guarded("change", store.change),
    lease: guarded("lease", store.lease),
    ask: guarded("ask", store.ask)
  }
}

/** The longest that a timer is left to run for nobody, in milliseconds: it would hold up the end of a program. */
const TICK = 100

/** A call, and what its deadline does. Of one that has ended nothing else is kept. */
interface Call {
  readonly until: number
  end: (() => void) | undefined
}

/**
 * One timer for all calls, as a timer for each would cost as much as the rest of a call: the deadline is the same for
 * all, so that who began first is over first.
 */
class Deadline {
  private calls: Array<Call> = []
  private readonly options: {
    readonly deadline: number
    readonly time: () => number
    readonly sleep: (millis: number) => Effect.Effect<void>
  }

  constructor(options: Deadline["options"]) {
    this.options = options
  }

  /** Whoever waits goes on at the deadline (`undefined`), also where the call hears no interruption. */
  within<A, E>(
    context: Context.Context<never>,
    call: Effect.Effect<A, E>,
    ended: (exit: Exit.Exit<A, E> | undefined) => Exit.Exit<A, E>
  ): Effect.Effect<A, E> {
    return Effect.callback((resume) => {
      const until = this.options.time() + this.options.deadline
      const fiber = Effect.runForkWith(context)(call)
      const one: Call = {
        until,
        end: () => {
          one.end = undefined
          fiber.interruptUnsafe()
          resume(ended(undefined))
        }
      }
      fiber.addObserver((exit) => {
        if (one.end === undefined) return
        one.end = undefined
        resume(ended(exit))
      })
      if (one.end === undefined) return
      this.calls.push(one)
      if (this.calls.length === 1) this.wait(context, until)
      return Effect.suspend(() => Fiber.interrupt(fiber))
    })
  }

  private wait(context: Context.Context<never>, until: number): void {
    const { sleep, time } = this.options
    const left = Math.max(1, Math.ceil(until - time()))
    Effect.runForkWith(context)(sleep(Math.min(left, TICK))).addObserver(() => {
      const now = time()
      const calls = this.calls.filter(({ end }) => end !== undefined)
      this.calls = calls.filter(({ until }) => until > now)
      const [next] = this.calls
      if (next !== undefined) this.wait(context, next.until)
      for (const { end, until } of calls) if (until <= now) end?.()
    })
  }
}

/** Beyond it the counters of a few epochs would no longer be told apart. */
const MOST = 2 ** 48

const isObject = (given: unknown): given is { readonly [name: string]: unknown } =>
  typeof given === "object" && given !== null

const isCount = (given: unknown): given is number => typeof given === "number" && given >= 0

const isClock = (clock: unknown): boolean =>
  isObject(clock) && typeof clock["epoch"] === "string" && Number.isSafeInteger(clock["counter"]) &&
  isCount(clock["counter"]) && clock["counter"] < MOST

const isReply = (reply: unknown, { announces }: Powers): boolean =>
  isObject(reply) && (announces ? isClock(reply["clock"]) : reply["clock"] === undefined)

const isAnnouncement = (said: unknown): boolean =>
  isObject(said) && typeof said["space"] === "string" && typeof said["news"] === "string" && isClock(said["clock"])

/** What a store says of a key, as far as it can be true; `undefined` for what says nothing. */
const opened = (said: Opened): Opened | undefined => {
  const { entry, lease } = isObject(said) ? said : { entry: undefined, lease: null }
  const isLease = lease === undefined || lease === "given" || (isObject(lease) && isCount(lease.left))
  if (!isLease) return undefined
  const problem = entry === undefined ? undefined : problemOf(entry)
  return problem === undefined ? said : { lease, entry: undefined, problem }
}

const problemOf = (entry: Exclude<Opened["entry"], undefined>): Codec.DecodeProblem | undefined => {
  if (!isObject(entry)) return "json"
  const { age, jitter, marked, tags, value, windows } = entry
  const isWindows = isObject(windows) && isCount(windows.life) &&
    [windows.freshFor, windows.maxAge, windows.staleIfError].every((window) => window === undefined || isCount(window))
  if (typeof value !== "string") return "value"
  if (!isCount(age) || !(marked >= -1)) return "stamp"
  if (!isWindows) return "windows"
  if (!isCount(jitter) || jitter >= 1) return "jitter"
  return Array.isArray(tags) && tags.every((tag) => typeof tag === "string") ? undefined : "tags"
}
