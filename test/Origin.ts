/**
 * What the behaviour tests share: an origin whose loads end when the test says so, and ways to look on.
 */
import { assert } from "@effect/vitest"
import {
  Data,
  Deferred,
  type Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Scope,
  Stream,
  Tracer
} from "effect"
import { type Event, Swr } from "effect-swr"
import { TestClock } from "effect/testing"

/** The layer of a test. */
export const within = (options: Parameters<typeof Swr.layer>[0] = {}) => Effect.provide(Swr.layer(options))

/** Fresh, then stale; and an old value for a failing lookup. */
export const stale = { freshFor: "1 minute", maxAge: "6 minutes" } as const
export const sick = { ...stale, staleIfError: "1 day" } as const

/** A back-off without chance in it. */
export const second = { from: "1 second", to: "1 second" } as const

/** An outage. */
export class Down extends Data.TaggedError("Down")<{ readonly by?: string }> {}

/** An error that is an answer. */
export class Gone extends Data.TaggedError("Gone")<{}> {}

/** One run of the lookup; it hangs until the test ends it. */
export class Call<A> {
  readonly gate = Deferred.makeUnsafe<A, Down | Gone>()
  /** How the run ended. */
  exit: Exit.Exit<A, Down | Gone> | undefined
  readonly key: string
  readonly previous: Option.Option<Swr.Previous<unknown>>

  constructor(key: string, previous: Option.Option<Swr.Previous<unknown>>) {
    this.key = key
    this.previous = previous
  }
  get interrupted() {
    return this.exit !== undefined && Exit.hasInterrupts(this.exit)
  }
  /** Ends the run, and lets everybody who hears of it act. */
  end(exit: Exit.Exit<A, Down | Gone>) {
    return Effect.andThen(Deferred.done(this.gate, exit), settle)
  }
  succeed(value: A) {
    return this.end(Exit.succeed(value))
  }
  fail(error: Down | Gone = new Down({})) {
    return this.end(Exit.fail(error))
  }
  die(defect: unknown) {
    return this.end(Exit.die(defect))
  }
}

/** An origin with a gate per call. */
export class Origin<A = string> {
  readonly calls: Array<Call<A>> = []
  /** Runs that have begun and not ended. */
  running = 0
  /** Runs hear of no interruption before the test ends them. */
  deaf = false

  readonly lookup = (
    key: string,
    previous: Option.Option<Swr.Previous<unknown>> = Option.none()
  ): Effect.Effect<A, Down | Gone> =>
    Effect.suspend(() => {
      const call = new Call<A>(key, previous)
      this.calls.push(call)
      this.running++
      const run = Deferred.await(call.gate)
      return Effect.onExit(this.deaf ? Effect.uninterruptible(run) : run, (exit) =>
        Effect.sync(() => {
          this.running--
          call.exit = exit
        }))
    })

  /** The `i`th run; negative counts from the last. */
  call(i: number): Call<A> {
    const call = this.calls.at(i)
    assert.isDefined(call, `call ${i} of ${this.calls.length}`)
    return call
  }
}

/** A lookup that ends at once, as the function says, which is told the number of the call (from 1). */
export const counted = <A, E = never, R = never>(each: (n: number, key: string) => Effect.Effect<A, E, R>) => {
  const self = {
    calls: 0,
    keys: [] as Array<string>,
    lookup: (key: string): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        self.keys.push(key)
        return each(++self.calls, key)
      })
  }
  return self
}

/** A lookup that answers `k1`, `k2`, ... for the key `k`. */
export const numbered = () => counted((n, key) => Effect.succeed(`${key}${n}`))

/** Everything that can run without time passing runs. */
export const settle: Effect.Effect<void> = Effect.forEach(Array.from({ length: 64 }), () => Effect.yieldNow, {
  discard: true
})

/** Begins now, as far as it gets. */
export const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** What a fiber has come to, after everything that can run has run; `undefined`: it waits. */
export const ended = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.as(settle, fiber).pipe(Effect.map((f) => f.pollUnsafe()))

/** Fails the test where the fiber still waits, instead of hanging. */
export const join = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(ended(fiber), (exit) => {
    assert.isDefined(exit, "it still waits")
    return exit
  })

/** The same for an effect that has to end without time passing. */
export const now = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flatMap(start(effect), join)

/** Value, status, source and reason of an answer. */
export const shown = <A>(answer: Swr.Snapshot<A>) => [
  answer.value,
  answer.status,
  answer.source,
  Option.getOrUndefined(answer.reason)
]

/** The defect of an exit. */
export const defect = (exit: Exit.Exit<unknown, unknown> | undefined) =>
  exit !== undefined && Exit.isFailure(exit)
    ? exit.cause.reasons.find((reason) => reason._tag === "Die")?.defect
    : undefined

/** The error of an exit. */
export const error = (exit: Exit.Exit<unknown, unknown> | undefined) =>
  exit !== undefined && Exit.isFailure(exit)
    ? exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
    : undefined

/** Whether an exit is an interruption and nothing else. */
export const interrupted = (exit: Exit.Exit<unknown, unknown> | undefined) =>
  exit !== undefined && Exit.isFailure(exit) && exit.cause.reasons.every((reason) => reason._tag === "Interrupt")

/** Loads a key and lets the value come to an age. */
export const stock = <E>(
  origin: Origin,
  cache: { readonly get: (key: string) => Effect.Effect<string, E> },
  age: Duration.Input,
  value = "old",
  key = "k"
) =>
  Effect.gen(function*() {
    const fiber = yield* start(cache.get(key))
    yield* origin.call(-1).succeed(value)
    assert.strictEqual(yield* join(fiber), value)
    yield* TestClock.adjust(age)
  })

/** A layer that the test closes; `false`: it has not closed after everything that can run has run. */
export const opened = (options: Parameters<typeof Swr.layer>[0] = {}) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(Swr.layer(options), scope)
    const use = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, context)
    // In a fiber of nobody's: a close that hangs fails its test and holds up no other.
    const closing = Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
    const close = Effect.flatMap(closing, (fiber) => Effect.map(ended(fiber), (exit) => exit !== undefined))
    return { use, closing, close }
  })

/** What a stream has given so far. Call `yield* settle` before looking. */
export const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.gen(function*() {
    const seen: Array<A> = []
    const fiber = yield* Effect.forkScoped(Stream.runForEach(stream, (item) => Effect.sync(() => seen.push(item))))
    yield* settle
    return { seen, fiber }
  })

/** The events of the layer, as they come. Call `yield* settle` before looking. */
export const record: Effect.Effect<Array<Event.Event>, never, Swr.Cache | Scope.Scope> = Effect.gen(function*() {
  const cache = yield* Swr.Cache
  return (yield* collect(cache.events)).seen
})

/** Tags of events, of one key if it is given. */
export const tags = (events: ReadonlyArray<Event.Event>, key?: string) =>
  events.filter((event) => key === undefined || event.key === key).map(({ _tag }) => _tag)

/** Events of one kind. */
export const only = <Tag extends Event.Event["_tag"]>(
  events: ReadonlyArray<Event.Event>,
  tag: Tag
): ReadonlyArray<Extract<Event.Event, { readonly _tag: Tag }>> =>
  events.filter((event): event is Extract<Event.Event, { readonly _tag: Tag }> => event._tag === tag)

/** A logger that keeps what it is told, as text. */
export const logs = () => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>((options) => {
    lines.push(`${options.logLevel} ${Logger.formatLogFmt.log(options)}`)
  })
  return { lines, layer: Logger.layer([logger]) }
}

/** A tracer that keeps its spans. */
export const tracer = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const layer = Layer.succeed(
    Tracer.Tracer,
    Tracer.make({
      span(options) {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
  )
  return { spans, layer }
}

export const shape = (cache: { readonly stats: Effect.Effect<Swr.Stats> }) =>
  Effect.map(cache.stats, ({ backoffs, flights, size }) => ({ size, flights, backoffs }))

/** What a call of the last word leaves behind. */
type Left = "nothing" | "marked" | "set"
export type Strings = Swr.Instance<string, string, Down | Gone>

export const words: ReadonlyArray<
  readonly [name: string, left: Left, say: (cache: Strings) => Effect.Effect<unknown, unknown>]
> = [
  ["hard invalidate", "nothing", (cache) => cache.invalidate("k")],
  ["invalidateMany", "nothing", (cache) => cache.invalidateMany(["other", "k"])],
  ["soft invalidate", "marked", (cache) => cache.invalidate("k", { mode: "soft" })],
  ["clear", "nothing", (cache) => cache.clear],
  ["set", "set", (cache) => cache.set("k", "set")],
  ["mutate", "set", (cache) => cache.mutate("k", () => Effect.succeed("set"))],
  ["invalidateTag", "nothing", (cache) => cache.invalidateTag("old")]
]

/** Values bear their own name as a tag. */
export const tagged = (origin: Origin) =>
  Swr.make({ name: "c", lookup: origin.lookup, keep: (value: string) => ({ tags: [value] }), ...sick })
