/**
 * A fleet over a real Redis, on the real clock, and what can go wrong with the server, the wire and what is stored. Each
 * process is a layer of its own, with connections of its own.
 *
 * In all of it: no read fails whose lookup works, none hangs, none is given what its own process had invalidated before
 * it began; and when the server is back the processes agree within a second, without a herd at the origin.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Redacted, Schema, Scope } from "effect"
import { type Event, Swr } from "effect-swr"
import * as StoreRedis from "effect-swr/StoreRedis"
import type * as Redis from "effect/persistence/Redis"
import { collect, logs, only } from "./Origin.ts"
import { absent, client, installed, raw, type Server, server, type Settings, until, type Wire, wire } from "./Redis.ts"

const WINDOW = 300
const limits = { storeDeadline: 100, trustFor: 400, leaseFor: 800 } as const
const windows = { maxAge: "3 seconds", hardTimeout: "2 seconds" } as const
const KEYS = ["a", "b", "c", "d"]

/** Ten times as long as anybody waits for the store. */
const HANG = 10 * limits.storeDeadline
/** Ten times the second within which a fleet agrees would hide everything: three. */
const AGREED = 3_000

/** Loads have numbers, drawn when they begin: what is greater was asked for later. */
class Numbers {
  drawn = 0
  loads = 0
  /** Milliseconds that a load takes. */
  takes = 2
  readonly lookup = () =>
    Effect.suspend(() => {
      this.loads++
      const drawn = ++this.drawn
      return Effect.as(Effect.sleep(this.takes), drawn)
    })
}

/** What a process does, and everything that it should not have seen. */
class Process {
  readonly wrong: Array<string> = []
  readonly failed: Array<string> = []
  reads = 0
  /** What is not greater was invalidated here. */
  readonly floors = new Map<string, number>()
  private readonly numbers: Numbers
  readonly name: string
  readonly cache: Cache
  readonly events: ReadonlyArray<Event.Event>
  readonly close: Effect.Effect<void>

  constructor(
    name: string,
    numbers: Numbers,
    cache: Cache,
    events: ReadonlyArray<Event.Event>,
    close: Effect.Effect<void>
  ) {
    this.name = name
    this.numbers = numbers
    this.cache = cache
    this.events = events
    this.close = close
  }

  floor(key: string) {
    return this.floors.get(key) ?? 0
  }

  read(key: string): Effect.Effect<number> {
    return Effect.suspend(() => {
      const floor = this.floor(key)
      const began = performance.now()
      // Also of a read that the end of the test cuts off.
      const timed = Effect.onExit(this.cache.get(key), () =>
        Effect.sync(() => {
          const took = performance.now() - began
          this.reads++
          if (took > HANG) this.wrong.push(`${this.name}: a read of ${key} took ${took} ms`)
        }))
      return Effect.map(Effect.exit(timed), (exit) => {
        if (Exit.isFailure(exit)) {
          this.wrong.push(`${this.name}: a read of ${key} failed: ${String(exit.cause)}`)
          return 0
        }
        if (exit.value <= floor) this.wrong.push(`${this.name}: ${key} is ${exit.value}, invalidated at ${floor}`)
        return exit.value
      })
    })
  }

  /** From now on this process is given nothing that was asked for before. Whether the store has heard it. */
  invalidate(key: string): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const before = this.numbers.drawn
      const began = performance.now()
      return Effect.map(Effect.exit(this.cache.invalidate(key)), (exit) => {
        const took = performance.now() - began
        if (took > HANG) this.wrong.push(`${this.name}: an invalidation took ${took} ms`)
        if (Exit.isFailure(exit)) this.failed.push(String(exit.cause))
        this.floors.set(key, Math.max(this.floor(key), before))
        return Exit.isSuccess(exit)
      })
    })
  }
}

type Cache = Swr.Instance<string, number, Swr.LoadTimeout>

const processAt = Effect.fnUntraced(function*(
  url: string,
  name: string,
  numbers: Numbers,
  options: {
    readonly password?: Redacted.Redacted<string>
    readonly required?: boolean
    readonly freshFor?: number
  } = {}
) {
  const { freshFor = WINDOW, password, required } = options
  const scope = yield* Scope.fork(yield* Effect.scope)
  const store = StoreRedis.layer({ client: client(url, password), prefix: "test", required })
  const layer = Swr.layerStore(limits).pipe(Layer.provide(store))
  const context = yield* Effect.orDie(Layer.buildWithScope(layer, scope))
  const cache: Cache = yield* Effect.provideContext(
    Swr.make({ name: "numbers", lookup: numbers.lookup, schema: Schema.Finite, ...windows, freshFor }),
    context
  )
  const events = yield* Effect.provideContext(Effect.flatMap(Swr.Cache, ({ events }) => collect(events)), context)
  return new Process(name, numbers, cache, events.seen, Scope.close(scope, Exit.void))
})

/** Three processes, connected where the server is there. */
const fleetAt = Effect.fnUntraced(function*(url: string, options: Parameters<typeof processAt>[3] = {}) {
  const numbers = new Numbers()
  const processes = yield* Effect.forEach(
    ["p1", "p2", "p3"],
    (name) => processAt(url, name, numbers, { required: true, ...options })
  )
  return { numbers, processes }
})
type Fleet = Effect.Success<ReturnType<typeof fleetAt>>

/** Every process reads all keys over and over, at random moments; now and then one of them invalidates one. */
const traffic = ({ processes }: Fleet, changes = true) =>
  Effect.forEach(processes, (process) =>
    Effect.forEach(KEYS, (key, at) => {
      const pause = Effect.suspend(() => Effect.sleep(1 + Math.random() * 15))
      const reads = Effect.forever(Effect.andThen(process.read(key), pause))
      const words = Effect.forever(
        Effect.andThen(Effect.suspend(() => Effect.sleep(Math.random() * 200)), process.invalidate(key))
      )
      return changes && at < 2 ? Effect.all([reads, words], { concurrency: 2, discard: true }) : reads
    }, { concurrency: "unbounded", discard: true }), { concurrency: "unbounded", discard: true })

/** Runs for so long, and lets nothing of it be cut off in its middle. */
const during = (fleet: Fleet, millis: number, changes = true) =>
  Effect.gen(function*() {
    const busy = yield* Effect.forkScoped(traffic(fleet, changes))
    yield* Effect.sleep(millis)
    yield* Fiber.interrupt(busy)
  })

/** All processes see what the last of them has invalidated; how long that took. */
const agree = ({ processes }: Fleet, keys = KEYS) =>
  Effect.gen(function*() {
    const began = performance.now()
    for (const key of keys) {
      const floor = Math.max(...processes.map((process) => process.floor(key)))
      for (const process of processes) {
        yield* until(Effect.map(process.read(key), (value) => value > floor), `${process.name} agrees on ${key}`)
      }
    }
    return performance.now() - began
  })

/** As they say: nothing that should not have been, and the processes know it together. */
const sound = ({ processes }: Fleet) => {
  assert.deepStrictEqual(processes.flatMap(({ wrong }) => wrong), [])
  for (const { name, reads } of processes) assert.isAbove(reads, 0, `${name} has read`)
}

/** Each process for itself, once per window, as where nobody can ask the store; and once for each debt. */
const alone = ({ processes }: Fleet, millis: number) =>
  KEYS.length * processes.length * (Math.ceil(millis / WINDOW) + 1)
/** One for all, once per window. */
const together = (millis: number) => KEYS.length * (Math.ceil(millis / WINDOW) + 1)

/**
 * The server is back: the processes agree within a second. So long they may leave the store alone, and load each for
 * itself; once all of them use it, one of them loads for all.
 */
const recovers = (fleet: Fleet) =>
  Effect.gen(function*() {
    const { numbers, processes } = fleet
    const loads = numbers.loads
    const busy = yield* Effect.forkScoped(traffic(fleet, false))
    const took = yield* agree(fleet)
    assert.isBelow(took, AGREED)
    const first = Math.max(took, 1_100)
    yield* Effect.sleep(first - took)
    assert.isAtMost(numbers.loads - loads, alone(fleet, first), "no herd")
    // Whose connection came back last may leave the store alone for a while yet.
    for (const process of processes) yield* until(process.invalidate("a"), `${process.name} uses the store`, 3_000)
    yield* agree(fleet, ["a"])
    const calm = numbers.loads
    const failures = () => processes.flatMap(({ events }) => only(events, "StoreFailed")).length
    const failed = failures()
    const began = performance.now()
    yield* Effect.sleep(600)
    // A machine too busy for the deadline makes a process load for itself, and a load may have begun just before.
    const most = together(performance.now() - began) + KEYS.length * (1 + failures() - failed)
    assert.isAtMost(numbers.loads - calm, most, "one loads for all")
    yield* Fiber.interrupt(busy)
    // On a machine that is too busy for the deadline the store is used again after another second.
    for (const process of processes) yield* until(process.invalidate("a"), `${process.name} still uses the store`)
    yield* agree(fleet, ["a"])
    sound(fleet)
  })

/** A fault that comes, lasts for so long, and goes. */
const survives = (
  fleet: Fleet,
  { comes, goes, lasts = 500 }: {
    readonly comes: Effect.Effect<unknown, unknown>
    readonly goes: Effect.Effect<unknown, unknown>
    readonly lasts?: number
  }
) =>
  Effect.gen(function*() {
    yield* during(fleet, 300)
    sound(fleet)
    const busy = yield* Effect.forkScoped(traffic(fleet))
    yield* Effect.orDie(comes)
    yield* Effect.sleep(lasts)
    yield* Effect.orDie(goes)
    yield* Fiber.interrupt(busy)
    yield* recovers(fleet)
  })

/** A server, three processes on it, and the test's own connection. */
const over = <A, E>(
  test: (
    on: { readonly up: Server; readonly fleet: Fleet; readonly redis: Redis.Redis["Service"] }
  ) => Effect.Effect<A, E, Scope.Scope>,
  ...settings: Settings
) =>
  Effect.gen(function*() {
    const up = yield* server(...settings)
    const redis = yield* raw(up.url)
    const fleet = yield* fleetAt(up.url)
    return yield* test({ up, fleet, redis })
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

/** What is kept of a key: its record, and what is kept beside it. */
interface Kept {
  readonly name: string
  readonly text: string
  readonly facts: string
}

const kept = (redis: Redis.Redis["Service"], key: string): Effect.Effect<Kept, Redis.RedisError> =>
  Effect.gen(function*() {
    const [name = ""] = yield* redis.send<ReadonlyArray<string>>("KEYS", `*"${key}"`)
    const [text, facts] = yield* redis.send<ReadonlyArray<string | null>>("HMGET", name, "r", "f")
    return { name, text: text ?? "", facts: facts ?? "" }
  })

it("there is a Redis to start", (test) => {
  assert.isTrue(installed || process.env["CI"] === undefined, absent)
  if (!installed) test.skip(absent)
})

describe.skipIf(!installed)("a fleet over Redis", () => {
  describe("I7: the server", () => {
    it.live("is absent at start", () =>
      Effect.gen(function*() {
        const up = yield* server()
        yield* up.kill
        const fleet = yield* fleetAt(up.url, { required: false })
        yield* during(fleet, 400)
        sound(fleet)
        yield* up.start
        // Who tried in vain tries again after half a second at most.
        yield* Effect.forEach(fleet.processes, (process) => until(process.invalidate("a"), "the store is used"))
        yield* recovers(fleet)
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))

    it.live("is killed, and comes back empty", () =>
      over(({ fleet, up }) => survives(fleet, { comes: up.kill, goes: up.start })))

    it.live("is restarted at once, empty", () =>
      over(({ fleet, up }) => survives(fleet, { comes: Effect.andThen(up.kill, up.start), goes: Effect.void })))

    it.live("stops for longer than the deadline (SIGSTOP)", () =>
      over(({ fleet, up }) => survives(fleet, { comes: up.pause, goes: up.resume })))

    it.live("stops for longer than a lease (SIGSTOP)", () =>
      over(({ fleet, up }) => survives(fleet, { comes: up.pause, goes: up.resume, lasts: 1_500 })))

    it.live("is out of memory, and evicts nothing", () =>
      over(({ fleet, redis }) =>
        survives(fleet, {
          comes: redis.send("CONFIG", "SET", "maxmemory", "1"),
          goes: redis.send("CONFIG", "SET", "maxmemory", "0")
        }), ["maxmemory-policy", "noeviction"]))

    it.live("evicts keys (allkeys-lru), the clock of the cache among them", () =>
      over(
        ({ fleet, redis, up }) =>
          Effect.gen(function*() {
            const filler = yield* raw(up.url)
            const junk = "x".repeat(50_000)
            let written = 0
            const fill = Effect.forever(Effect.suspend(() => filler.send("SET", `junk${written++}`, junk)))
            const lose = Effect.forever(Effect.andThen(redis.send("DEL", "{test:numbers}"), Effect.sleep(150)))
            const filling = yield* Effect.forkScoped(Effect.all([fill, lose], { concurrency: 2 }))
            yield* survives(fleet, { comes: Effect.void, goes: Fiber.interrupt(filling), lasts: 1_000 })
            const stats = yield* redis.send<string>("INFO", "stats")
            assert.match(stats, /evicted_keys:[1-9]/)
          }),
        ["maxmemory", "4mb"],
        ["maxmemory-policy", "allkeys-lru"]
      ))

    it.live("I4: evicts the clock, and with it the word that all is void", () =>
      over(({ fleet, redis }) =>
        Effect.gen(function*() {
          const { numbers, processes: [p1, p2, p3] } = fleet
          if (p1 === undefined || p2 === undefined || p3 === undefined) return assert.fail()
          yield* p1.read("a")
          yield* until(Effect.map(kept(redis, "a"), ({ text }) => text !== ""), "it is kept")
          yield* p2.cache.clear
          assert.notStrictEqual((yield* kept(redis, "a")).text, "")
          const cleared = numbers.drawn
          assert.strictEqual(yield* redis.send("DEL", "{test:numbers}"), 1)
          for (const process of [p3, p2, p1]) assert.isAbove(yield* process.read("a"), cleared)
        })
      ))

    it.live("becomes a replica that takes no writes", () =>
      over(({ fleet, redis }) =>
        Effect.gen(function*() {
          const master = yield* server()
          const { port } = master
          yield* survives(fleet, {
            comes: redis.send("REPLICAOF", "127.0.0.1", String(port)),
            goes: redis.send("REPLICAOF", "NO", "ONE")
          })
        })
      ))
  })

  describe("I7: the wire", () => {
    const wired = <A, E>(
      test: (
        on: { readonly line: Wire; readonly up: Server; readonly fleet: Fleet }
      ) => Effect.Effect<A, E, Scope.Scope>
    ) =>
      Effect.gen(function*() {
        const up = yield* server()
        const line = yield* wire(up)
        return yield* test({ up, line, fleet: yield* fleetAt(line.url) })
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
    const set = (line: Wire, weather: Partial<Pick<Wire, "delay" | "deaf" | "cuts">>) =>
      Effect.sync(() => Object.assign(line, weather))

    it.live("is slow, within the deadline", () =>
      wired(({ fleet, line }) => survives(fleet, { comes: set(line, { delay: 15 }), goes: set(line, { delay: 0 }) })))

    it.live("is slower than the deadline", () =>
      wired(({ fleet, line }) => survives(fleet, { comes: set(line, { delay: 120 }), goes: set(line, { delay: 0 }) })))

    it.live("is reset, again and again", () =>
      wired(({ fleet, line }) =>
        Effect.gen(function*() {
          const resets = yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(60), line.reset)))
          yield* survives(fleet, { comes: Effect.void, goes: Fiber.interrupt(resets) })
        })
      ))

    it.live("is reset in the middle of commands", () =>
      wired(({ fleet, line }) => survives(fleet, { comes: set(line, { cuts: 12 }), goes: set(line, { cuts: 0 }) })))

    it.live("I15: carries no announcements any more, and nobody is told", () =>
      wired(({ line }) =>
        Effect.gen(function*() {
          // Nothing goes stale by itself so soon.
          const fleet = yield* fleetAt(line.url, { freshFor: 3_000 })
          yield* during(fleet, 300)
          yield* set(line, { deaf: true })
          for (let i = 0; i < 5; i++) {
            for (const process of fleet.processes) {
              yield* Effect.forEach(KEYS, (key) => process.read(key))
              assert.isTrue(yield* process.invalidate("a"))
              // Within `trustFor`, and what a busy machine adds.
              assert.isBelow(yield* agree(fleet, ["a"]), limits.trustFor + 600)
            }
          }
          sound(fleet)
        })
      ))

    it.live("I4: brings a write whose caller has given up, after a newer one", () =>
      Effect.gen(function*() {
        const up = yield* server()
        const line = yield* wire(up)
        const numbers = new Numbers()
        const slow = yield* processAt(line.url, "slow", numbers, { required: true })
        const quick = yield* processAt(up.url, "quick", numbers, { required: true })
        const redis = yield* raw(up.url)
        // The server knows the scripts by now: each command is one message.
        yield* slow.cache.set("k", 1_000_000)
        yield* quick.read("k")
        line.delay = 150
        const old = 1_000_001
        const error = yield* Effect.flip(slow.cache.set("k", old))
        assert.strictEqual(error.reason, "away")
        yield* quick.cache.set("k", 1_000_002)
        const seen: Array<number> = []
        const inStore = new Set<string | undefined>()
        for (let i = 0; i < 40; i++) {
          seen.push(yield* quick.read("k"))
          const { text } = yield* kept(redis, "k")
          inStore.add(/"value":(\d+)/.exec(text)?.[1])
          yield* Effect.sleep(10)
        }
        assert.notInclude(seen, old)
        assert.include([...inStore], "1000002")
        assert.notInclude([...inStore], String(old))
        assert.include(seen, 1_000_002)
        line.delay = 0
        // Its debt is paid as an invalidation, never with the value.
        yield* until(Effect.map(slow.read("k"), (value) => value !== old), "it takes back what it could not say")
        assert.notInclude(seen, old)
        assert.deepStrictEqual([...slow.wrong, ...quick.wrong], [])
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
  })

  describe("I10: what is stored", () => {
    /** How the record of a key comes to be something else. */
    const spoilers: ReadonlyArray<
      readonly [
        name: string,
        problem: string | undefined,
        spoil: (redis: Redis.Redis["Service"], key: Kept) => Effect.Effect<unknown, unknown>
      ]
    > = [
      ["another program's text under our key", "json", (redis, { name }) => redis.send("SET", name, "not ours")],
      [
        "another program's list under our key",
        "json",
        (redis, { name }) => Effect.andThen(redis.send("DEL", name), redis.send("RPUSH", name, "not", "ours"))
      ],
      [
        "garbage in place of the record",
        "json",
        (redis, { name, text }) => redis.send("HSET", name, "r", Array.from(text, () => "\u0000\u00ff{").join(""))
      ],
      [
        "a truncated record",
        "json",
        (redis, { name, text }) => redis.send("HSET", name, "r", text.slice(0, text.length >> 1))
      ],
      [
        "half of what is kept beside the record",
        "json",
        (redis, { facts, name }) => redis.send("HSET", name, "f", facts.slice(0, 5))
      ],
      [
        "the record of another key",
        "key",
        (redis, { name, text }) => redis.send("HSET", name, "r", text.replace("\\\"a\\\"", "\\\"b\\\""))
      ],
      [
        "a record of an older format",
        "format",
        (redis, { name, text }) => redis.send("HSET", name, "r", text.replace("\"format\":1", "\"format\":0"))
      ],
      [
        "a record of a newer format",
        "format",
        (redis, { name, text }) => redis.send("HSET", name, "r", text.replace("\"format\":1", "\"format\":2"))
      ],
      [
        "a value of another shape",
        undefined,
        (redis, { name, text }) =>
          redis.send("HSET", name, "r", text.replace(/"value":.*$/, `"value":{"__proto__":{"n":1}}}`))
      ],
      [
        "a value without end",
        "depth",
        (redis, { name, text }) =>
          redis.send("HSET", name, "r", text.replace(/"value":.*$/, `"value":${"[".repeat(5000)}${"]".repeat(5000)}}`))
      ]
    ]

    for (const [name, problem, spoil] of spoilers) {
      it.live(`is ${name}`, () =>
        over(({ fleet, redis }) =>
          Effect.gen(function*() {
            const { numbers, processes: [p1, p2] } = fleet
            if (p1 === undefined || p2 === undefined) return assert.fail()
            const first = yield* p1.read("a")
            // Who waits is answered before the store is told.
            yield* until(Effect.map(kept(redis, "a"), ({ text }) => text.includes(`"value":${first}`)), "it is kept")
            yield* spoil(redis, yield* kept(redis, "a"))
            // The first to look for it loads, all others are given what that one has put there.
            assert.strictEqual(yield* p2.read("a"), first + 1)
            assert.strictEqual(numbers.loads, 2)
            const [failed] = only(p2.events, "DecodeFailed")
            assert.isDefined(failed, "it is reported")
            if (problem !== undefined) assert.strictEqual(failed.error, problem)
            yield* Effect.sleep(WINDOW)
            yield* agree(fleet, ["a"])
            assert.isTrue(yield* p1.invalidate("a"))
            yield* agree(fleet, ["a"])
            assert.isUndefined(Reflect.get({}, "n"))
            assert.deepStrictEqual(fleet.processes.flatMap(({ wrong }) => wrong), [])
          })
        ))
    }

    it.live("is a value of 10 MB", () =>
      Effect.gen(function*() {
        const up = yield* server()
        const big = "x".repeat(10_000_000)
        let loads = 0
        const process = Effect.gen(function*() {
          const store = StoreRedis.layer({ client: client(up.url), prefix: "test", required: true })
          const layer = Swr.layerStore({ ...limits, storeDeadline: 10_000 }).pipe(Layer.provide(store))
          const context = yield* Layer.build(layer)
          return yield* Effect.provideContext(
            Swr.make({
              name: "texts",
              lookup: (key: string) => Effect.sync(() => `${++loads} ${key} ${key === "big" ? big : ""}`),
              schema: Schema.String,
              freshFor: "10 seconds",
              maxAge: "1 minute"
            }),
            context
          )
        })
        const [p1, p2] = [yield* process, yield* process]
        const began = performance.now()
        const value = yield* p1.get("big")
        assert.strictEqual(value, `1 big ${big}`)
        const small = yield* Effect.forEach([p1, p2], (cache) => cache.get("small"))
        assert.deepStrictEqual(small, ["2 small ", "2 small "])
        assert.isTrue((yield* p2.get("big")) === value, "the store has it for the others")
        yield* p2.invalidate("big")
        assert.isTrue((yield* p2.get("big")) === `3 big ${big}`)
        yield* until(Effect.map(p1.get("big"), (value) => value.startsWith("3")), "the other one hears of it", 20_000)
        assert.strictEqual(loads, 3)
        assert.isBelow(performance.now() - began, 20_000)
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))), 40_000)
  })

  it.live("a wrong password is said once, clearly, and never printed", () =>
    Effect.gen(function*() {
      const secret = "correct-horse-battery-staple"
      const up = yield* server(["requirepass", secret])
      const wrong = "Tr0ub4dor&3-wrong"
      const log = logs()
      const run = Effect.gen(function*() {
        const fleet = yield* fleetAt(up.url, { required: false, password: Redacted.make(wrong) })
        yield* during(fleet, 500)
        return fleet
      })
      const fleet = yield* Effect.provide(run, log.layer)
      sound(fleet)
      for (const { events, failed } of fleet.processes) {
        const reasons = new Set(only(events, "StoreFailed").map(({ reason }) => reason))
        assert.include([...reasons], "denied")
        assert.isAbove(failed.length, 0, "a last word says that it did not get there")
        assert.notInclude(JSON.stringify([events, failed]), wrong)
      }
      const said = log.lines.filter((line) => line.includes("Redis refuses us"))
      assert.lengthOf(said, fleet.processes.length, "once for each process")
      for (const line of said) assert.match(line, /^Error/)
      assert.notInclude(log.lines.join(), wrong)
      assert.notInclude(log.lines.join(), secret)
      const required = yield* Effect.exit(
        Layer.build(
          StoreRedis.layer({ client: client(up.url, Redacted.make(wrong)), prefix: "test", required: true })
        )
      ).pipe(Effect.provide(log.layer))
      assert.isTrue(Exit.isFailure(required))
      assert.notInclude(String(required) + JSON.stringify(required), wrong)
    }).pipe(Effect.scoped))
})
