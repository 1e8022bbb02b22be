/**
 * One process of a fleet, for `processes.test.ts`: a cache over Redis that is read without pause, and told what to do
 * beside it, one JSON text per line. It answers in the same way, and ends when its input does.
 *
 * What it loads is a number that Redis counts, drawn when the load begins: what is greater was asked for later.
 */
import { NodeRedis } from "@effect/platform-node"
import { Context, Effect, Exit, Fiber, Layer, Logger, ManagedRuntime, Schema, Scope, Stream } from "effect"
import { type Store, Swr } from "effect-swr"
import * as StoreRedis from "effect-swr/StoreRedis"
import { Redis } from "effect/persistence"
import { createInterface } from "node:readline"

/** How the process is set up; all in milliseconds. */
export interface Setting {
  readonly url: string
  readonly name: string
  readonly storeDeadline: number
}

/** What it is told. */
export type Task =
  /** From now on this cache is used: of a layer of its own, and the least and the most that a load of it takes. */
  | {
    readonly do: "make"
    readonly cache: string
    readonly freshFor: number
    readonly leaseFor: number
    readonly trustFor: number
    readonly takes: readonly [least: number, most: number]
  }
  /** Reads the key over and over, `burst` times without pause, then pauses for up to so long. */
  | { readonly do: "hammer"; readonly key: string; readonly burst: number; readonly pause: number }
  | { readonly do: "rest" }
  /** Reads each of these once, at random moments within so long. */
  | { readonly do: "get"; readonly keys: ReadonlyArray<string>; readonly within: number }
  | { readonly do: "set"; readonly key: string }
  | { readonly do: "invalidate"; readonly key: string }
  | { readonly do: "report" }

/** What it has seen. */
export interface Report {
  readonly reads: number
  /** How often the store did not answer in time, or was not asked because of that. */
  readonly away: number
  readonly failed: ReadonlyArray<string>
  /** Reads that were given something older than what they had to be given. */
  readonly wrong: ReadonlyArray<string>
}

/** What it says. */
export type Said =
  | { readonly said: "ready"; readonly pid: number }
  | { readonly said: "loading"; readonly value: number }
  | { readonly said: "done"; readonly id: number; readonly values: ReadonlyArray<number>; readonly report?: Report }

const setting: Setting = JSON.parse(process.argv[2] ?? "{}")
const { name, storeDeadline, url } = setting
const say = (said: Said) => process.stdout.write(`${JSON.stringify(said)}\n`)

const client = NodeRedis.layer({ url, disableOfflineQueue: true, socket: { reconnectStrategy: false } })
const layer = Layer.merge(StoreRedis.layer({ client, prefix: "fleet", required: true }), client)
const runtime = ManagedRuntime.make(Layer.provide(layer, Logger.layer([])))

const program = Effect.gen(function*() {
  const redis = yield* Redis.Redis
  const scope = yield* Scope.make()
  const make = (
    { cache, freshFor, leaseFor, takes: [least, most], trustFor }: Extract<Task, { readonly do: "make" }>
  ) => {
    const lookup = (key: string) =>
      Effect.gen(function*() {
        const value = yield* redis.send<number>("INCR", "drawn")
        say({ said: "loading", value })
        yield* redis.send("RPUSH", `began:${cache}:${key}`, `${Date.now()} ${name} ${value}`)
        if (most > 0) yield* Effect.sleep(least + Math.random() * (most - least))
        return value
      }).pipe(Effect.orDie)
    return Effect.gen(function*() {
      const context = yield* Layer.buildWithScope(Swr.layerStore({ storeDeadline, trustFor, leaseFor }), scope)
      const { events } = Context.get(context, Swr.Cache)
      yield* Effect.forkDetach(
        Stream.runForEach(events, ({ _tag }) => Effect.sync(() => away += Number(_tag === "StoreFailed")))
      )
      const windows = { freshFor, maxAge: Math.max(3_000, freshFor) }
      return yield* Effect.provideContext(
        Swr.make({ name: cache, lookup, schema: Schema.Finite, ...windows }),
        context
      )
    })
  }
  let away = 0
  let cache = yield* make({ do: "make", cache: "none", freshFor: 1, leaseFor: 1_000, trustFor: 1_000, takes: [0, 0] })

  let reads = 0
  let failed: Array<string> = []
  let wrong: Array<string> = []
  /**
   * Per key, the greatest value that a read that has ended was given. Not of keys that are set: a load that began
   * between the drawing of a value and its `set` has the greater number, and who waits for it is given that.
   */
  const seen = new Map<string, number>()

  /** A read is given nothing older than what was seen here, or known to all, before it began. */
  const read = (key: string, known = 0) =>
    Effect.suspend(() => {
      const least = Math.max(known, seen.get(key) ?? 0)
      return Effect.map(Effect.exit(cache.get(key)), (exit) => {
        reads++
        if (Exit.isFailure(exit)) {
          failed.push(String(exit.cause))
          return -1
        }
        const { value } = exit
        if (value < least) wrong.push(`${name} was given ${value} of ${key}, which was ${least} before`)
        if (!key.startsWith("set:")) seen.set(key, Math.max(seen.get(key) ?? 0, value))
        return value
      })
    })

  /** What every process has to know by now of a key: it was acknowledged half a second ago. */
  const audit = (key: string) =>
    Effect.flatMap(redis.send<string | null>("GET", `known:${key}`), (known) => read(key, Number(known ?? 0)))

  let hammers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = []
  const hammer = (key: string, burst: number, pause: number) =>
    Effect.gen(function*() {
      for (let i = 0; i < burst; i++) yield* read(key)
      yield* audit(key)
      yield* Effect.sleep(Math.random() * pause)
    })

  const obey = (task: Task): Effect.Effect<ReadonlyArray<number>, unknown, Store.Store> => {
    switch (task.do) {
      case "make":
        return Effect.map(make(task), (made) => {
          cache = made
          reads = away = 0
          failed = []
          wrong = []
          seen.clear()
          return []
        })
      case "hammer":
        return Effect.map(Effect.forkDetach(Effect.forever(hammer(task.key, task.burst, task.pause))), (fiber) => {
          hammers = [...hammers, fiber]
          return []
        })
      case "rest":
        return Effect.suspend(() => Effect.as(Fiber.interruptAll(hammers), []))
      case "get":
        return Effect.forEach(
          task.keys,
          (key) => Effect.delay(Effect.suspend(() => read(key)), Math.random() * task.within),
          { concurrency: "unbounded" }
        )
      case "set":
        return Effect.gen(function*() {
          const value = yield* redis.send<number>("INCR", "drawn")
          yield* cache.set(task.key, value)
          yield* Effect.forkDetach(Effect.delay(redis.send("SET", `known:${task.key}`, String(value)), 500))
          return [value]
        })
      case "invalidate":
        return Effect.as(cache.invalidate(task.key), [])
      case "report":
        return Effect.succeed([])
    }
  }

  const lines = createInterface({ input: process.stdin })
  lines.on("line", (line) => {
    // Written by the test.
    const { id, task } = JSON.parse(line) as { readonly id: number; readonly task: Task }
    void runtime.runPromise(Effect.exit(obey(task))).then((exit) => {
      if (Exit.isFailure(exit)) failed.push(String(exit.cause))
      const values = Exit.isSuccess(exit) ? exit.value : []
      say({ said: "done", id, values, ...task.do === "report" && { report: { reads, away, failed, wrong } } })
    })
  })
  lines.on("close", () => void runtime.dispose().then(() => process.exit(0)))
  say({ said: "ready", pid: process.pid })
})

await runtime.runPromise(program)
