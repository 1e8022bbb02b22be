/**
 * A fleet of real processes over a real Redis, some of which are killed or frozen while they hold the right to load.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import type * as Redis from "effect/persistence/Redis"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { absent, installed, raw, server, until } from "./Redis.ts"
import type { Report, Said, Setting, Task } from "./Worker.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const built = `${root}build/test-processes`

/** Compiles `src` into a package of its own, and the program of the processes with it. */
const build = () => {
  mkdirSync(built, { recursive: true })
  const exports = { ".": "./src/index.js", "./*": "./src/*.js" }
  writeFileSync(`${built}/package.json`, JSON.stringify({ name: "effect-swr", type: "module", exports }))
  const compilerOptions = { noEmit: false, noCheck: true, allowJs: false, checkJs: false, rootDir: root, outDir: built }
  const include = [`${root}src`, `${root}test/Worker.ts`]
  writeFileSync(`${built}/tsconfig.json`, JSON.stringify({ extends: `${root}tsconfig.json`, compilerOptions, include }))
  execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${built}/tsconfig.json`])
}

/** Ten times what a write takes at most until it is seen elsewhere. */
const SEEN = 500
/** The second within which processes agree when all is well again, and what a busy machine adds. */
const AGREED = 2_000

// Nothing is wrong with the store here, and a busy machine is not to be taken for that.
const storeDeadline = 10_000
/** A lease is short where holders are frozen; else long enough for a busy machine. */
const LEASE = { short: 800, long: 30_000 }

/** A process, and what it is told and says. */
class Worker {
  readonly setting: Setting
  private child: ChildProcess | undefined
  private input: Writable | undefined
  private pid = 0
  private asked = 0
  private readonly answers = new Map<number, (said: Extract<Said, { readonly said: "done" }>) => void>()
  private ready: () => void = () => {}
  /** Called when a load begins. */
  onLoading: (value: number) => void = () => {}
  stderr = ""
  /** Stopped, and not for good. */
  frozen = false

  constructor(setting: Setting) {
    this.setting = setting
  }

  readonly start = Effect.callback<void>((resume) => {
    this.ready = () => resume(Effect.void)
    // The shell holds our end of a pipe: when this process dies, however it dies, the other does too, frozen or not.
    const watch = "\"$0\" \"$@\" <&3 & read _; kill -9 $!"
    const program = [process.execPath, `${built}/test/Worker.js`, JSON.stringify(this.setting)]
    const child = spawn("sh", ["-c", watch, ...program], { stdio: ["pipe", "pipe", "pipe", "pipe"] })
    this.child = child
    child.stderr?.on("data", (chunk) => this.stderr += String(chunk))
    const [, output, , input] = child.stdio
    if (!(output instanceof Readable && input instanceof Writable)) throw new Error("pipes were asked for")
    input.on("error", () => {})
    this.input = input
    createInterface({ input: output }).on("line", (line) => this.hear(JSON.parse(line)))
  })

  private hear(said: Said): void {
    if (said.said === "ready") {
      this.pid = said.pid
      this.ready()
    } else if (said.said === "loading") this.onLoading(said.value)
    else {
      this.answers.get(said.id)?.(said)
      this.answers.delete(said.id)
    }
  }

  private ask(task: Task) {
    return Effect.callback<Extract<Said, { readonly said: "done" }>>((resume) => {
      const id = ++this.asked
      this.answers.set(id, (said) => resume(Effect.succeed(said)))
      this.input?.write(`${JSON.stringify({ id, task })}\n`)
    })
  }

  tell(task: Task): Effect.Effect<ReadonlyArray<number>> {
    return Effect.map(this.ask(task), ({ values }) => values)
  }

  get(key: string) {
    return Effect.map(this.tell({ do: "get", keys: [key], within: 0 }), ([value = -1]) => value)
  }

  readonly report: Effect.Effect<Report> = Effect.flatMap(
    Effect.suspend(() => this.ask({ do: "report" })),
    ({ report }) => report ? Effect.succeed(report) : Effect.die(this.stderr)
  )

  freeze() {
    this.frozen = true
    process.kill(this.pid, "SIGSTOP")
  }
  thaw() {
    this.frozen = false
    process.kill(this.pid, "SIGCONT")
  }

  /** Without a word, whatever it is doing. */
  readonly kill = Effect.callback<void>((resume) => {
    const { child } = this
    if (child === undefined || child.exitCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.stdin?.end()
  })
}

/** The server and the processes of the whole file: to start a process costs more than to use it. */
const SIZE = 8
const scope = Scope.makeUnsafe()
let redis: Redis.Redis["Service"]
const workers: Array<Worker> = []
const begin = Effect.gen(function*() {
  const up = yield* server()
  redis = yield* raw(up.url)
  for (let i = 0; i < SIZE; i++) workers.push(new Worker({ storeDeadline, url: up.url, name: `p${i}` }))
  yield* all(workers, ({ kill, start }) => Effect.acquireRelease(start, () => kill))
}).pipe(Scope.provide(scope))

/** A cache of its own for a test, in all processes. */
const caches = (
  options: { readonly freshFor: number; readonly leaseFor?: number; readonly trustFor?: number },
  takes: readonly [least: number, most: number]
) => {
  const task = {
    do: "make",
    cache: `cache${++made}`,
    leaseFor: LEASE.long,
    trustFor: 400,
    ...options,
    takes
  } as const
  return Effect.as(all(workers, (worker) => worker.tell(task)), task)
}
let made = 0

const all = <A, R>(workers: ReadonlyArray<Worker>, each: (worker: Worker) => Effect.Effect<A, never, R>) =>
  Effect.forEach(workers, each, { concurrency: "unbounded" })

/** When the loads of a key began, in order. */
const begun = ({ cache }: { readonly cache: string }, key: string) =>
  Effect.map(
    redis.send<ReadonlyArray<string>>("LRANGE", `began:${cache}:${key}`, "0", "-1"),
    (lines) => lines.map((line) => Number(line.split(" ")[0])).toSorted((a, b) => a - b)
  )

/** Loads that followed another one within the same window. */
const extra = (begun: ReadonlyArray<number>, freshFor: number) =>
  begun.filter((at, i) => i > 0 && at - (begun[i - 1] ?? 0) < freshFor / 2).length

/** Nobody was failed, nor given what he should not have been; and what they have seen in sum. */
const sound = (workers: ReadonlyArray<Worker>) =>
  Effect.map(all(workers, ({ report }) => report), (reports) => {
    assert.deepStrictEqual(reports.flatMap(({ wrong }) => wrong), [])
    assert.deepStrictEqual(reports.flatMap(({ failed }) => failed), [])
    const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
    // A process that the store has not answered in time loads for itself: on a busy machine.
    return { reads: sum(({ reads }) => reads), away: sum(({ away }) => away) }
  })

const anyone = () => workers[Math.floor(Math.random() * workers.length)] ?? assert.fail()

/** All are given this value, or a newer one: how long it took. */
const agree = (workers: ReadonlyArray<Worker>, key: string, value: number) => {
  const began = performance.now()
  const agrees = (worker: Worker) =>
    Effect.orDie(until(Effect.map(worker.get(key), (given) => given >= value), `${worker.setting.name} agrees`))
  return Effect.map(all(workers, agrees), () => performance.now() - began)
}

const live = (name: string, test: Effect.Effect<unknown, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(test), 60_000)

describe.skipIf(!installed)(`processes over Redis${installed ? "" : `: ${absent}`}`, () => {
  beforeAll(() => {
    build()
    return Effect.runPromise(begin)
  }, 120_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  live(
    "I3: eight processes read one hot key: one load per window",
    Effect.gen(function*() {
      const cache = yield* caches({ freshFor: 300 }, [0, 5])
      const hammer = { do: "hammer", key: "k", burst: 50, pause: 8 } as const
      const began = Date.now()
      yield* all(workers, (worker) => Effect.delay(worker.tell(hammer), Math.random() * 300))
      yield* Effect.sleep(5_000)
      yield* all(workers, (worker) => worker.tell({ do: "rest" }))
      const millis = Date.now() - began
      const loads = yield* begun(cache, "k")
      const { away, reads } = yield* sound(workers)
      assert.isAtMost(extra(loads, 300), away)
      assert.isAtMost(loads.length, millis / 300 + 1 + away)
      // The key is kept fresh while it is read.
      assert.isAtLeast(loads.length, millis / 300 / 3)
      assert.isAbove(reads / loads.length, 500, "reads per window")
    })
  )

  live(
    "I3: a hundred and fifty cold keys, asked for by eight processes at random moments: one load each",
    Effect.gen(function*() {
      const cache = yield* caches({ freshFor: 60_000 }, [0, 5])
      const keys = Array.from({ length: 150 }, (_, i) => `cold${i}`)
      const values = yield* all(workers, (worker) => worker.tell({ do: "get", keys, within: 12 }))
      const { away } = yield* sound(workers)
      const loads = yield* Effect.forEach(keys, (key) => begun(cache, key))
      assert.isAtMost(loads.flat().length, keys.length + away * keys.length)
      if (away === 0) { for (const given of values) assert.deepStrictEqual(given, values[0]) }
    })
  )

  live(
    "I14: a holder that was frozen puts nothing over what is newer, and frees nobody's lease",
    Effect.gen(function*() {
      yield* caches({ freshFor: 600, leaseFor: LEASE.short }, [50, 50])
      const [a, b, c] = workers
      if (a === undefined || b === undefined || c === undefined) return assert.fail()
      for (let i = 0; i < 4; i++) {
        const key = `k${i}`
        const froze = yield* Effect.callback<number>((resume) => {
          a.onLoading = (value) => {
            a.freeze()
            resume(Effect.succeed(value))
          }
          Effect.runFork(a.get(key))
        })
        a.onLoading = () => {}
        // Within a lease, and what asking again takes.
        const began = performance.now()
        const newer = yield* b.get(key)
        assert.isBelow(performance.now() - began, LEASE.short + 600)
        assert.isAbove(newer, froze)
        a.thaw()
        for (let j = 0; j < 20; j++) {
          assert.isAtLeast(yield* c.get(key), newer)
          assert.isAtLeast(yield* b.get(key), newer)
          yield* Effect.sleep(10)
        }
        assert.isAtLeast(yield* a.get(key), newer)
      }
      yield* sound(workers)
    })
  )

  live(
    "I4: no load from before overtakes an acknowledged set",
    Effect.gen(function*() {
      yield* caches({ freshFor: 40 }, [0, 20])
      yield* all(workers, (worker) => worker.tell({ do: "hammer", key: "set:k", burst: 5, pause: 4 }))
      for (let i = 0; i < 20; i++) {
        const [value] = yield* anyone().tell({ do: "set", key: "set:k" })
        assert.isBelow(yield* agree(workers, "set:k", value ?? NaN), AGREED)
        yield* Effect.sleep(Math.random() * 100)
      }
      yield* Effect.sleep(SEEN)
      yield* all(workers, (worker) => worker.tell({ do: "rest" }))
      yield* sound(workers)
    })
  )

  live(
    "I15: what one has set all others see at once, by announcement alone",
    Effect.gen(function*() {
      // Nothing goes stale, and nobody asks.
      yield* caches({ freshFor: 60_000, trustFor: 60_000 }, [0, 5])
      yield* all(workers, (worker) => worker.get("set:k"))
      const took: Array<number> = []
      for (let i = 0; i < 15; i++) {
        const [value] = yield* anyone().tell({ do: "set", key: "set:k" })
        took.push(yield* agree(workers, "set:k", value ?? NaN))
      }
      const [least, middle] = [Math.min(...took), took.toSorted((a, b) => a - b)[took.length >> 1] ?? NaN]
      assert.isBelow(middle, SEEN, `at least ${least} ms, at most ${Math.max(...took)} ms`)
      assert.isBelow(Math.max(...took), AGREED)
      yield* sound(workers)
    })
  )

  live(
    "I3, I12, I14: holders are killed and frozen at random: one load per window and fault, and agreement after it",
    Effect.gen(function*() {
      const cache = yield* caches({ freshFor: 300, leaseFor: LEASE.short }, [0, 60])
      const hammer = { do: "hammer", key: "k", burst: 20, pause: 10 } as const
      yield* all(workers, (worker) => worker.tell(hammer))
      let faults = 0
      const thaws: Array<Effect.Effect<void>> = []
      for (let i = 0; i < 8; i++) {
        yield* Effect.sleep(100 + Math.random() * 300)
        const alive = workers.filter(({ frozen }) => !frozen)
        // Whoever of them begins to load next.
        const holder = yield* Effect.callback<Worker>((resume) => {
          for (const worker of alive) {
            worker.onLoading = () => {
              for (const each of alive) each.onLoading = () => {}
              worker.freeze()
              resume(Effect.succeed(worker))
            }
          }
        })
        faults++
        if (i % 2 === 0) {
          const end = performance.now() + 1_200
          thaws.push(
            Effect.suspend(() => Effect.delay(Effect.sync(() => holder.thaw()), Math.max(0, end - performance.now())))
          )
          yield* Effect.forkScoped(thaws.at(-1) ?? Effect.void)
        } else {
          yield* holder.kill
          holder.frozen = false
          yield* holder.start
          yield* holder.tell(cache)
          yield* holder.tell(hammer)
        }
      }
      yield* Effect.all(thaws, { concurrency: "unbounded" })
      yield* all(workers, (worker) => worker.tell({ do: "rest" }))
      // All is well again.
      const [writer] = workers
      const [value] = yield* writer?.tell({ do: "set", key: "set:x" }) ?? Effect.succeed([])
      assert.isBelow(yield* agree(workers, "set:x", value ?? NaN), AGREED)
      const loads = yield* begun(cache, "k")
      const { away } = yield* sound(workers)
      assert.isAtMost(extra(loads, 300), 1 + faults + away)
      assert.isAbove(loads.length, 8)
    })
  )
})
