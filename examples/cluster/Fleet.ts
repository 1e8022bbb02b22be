/**
 * Four processes behind one port: Node's own cluster, which hands connections to them in turn.
 */
import { Deferred, Effect, Schema } from "effect"
import { CliError } from "effect/cli"
import cluster, { type Worker } from "node:cluster"
import { fileURLToPath } from "node:url"

const entry = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./Worker.ts" : "./Worker.js", import.meta.url))

/** A worker ended that nobody has killed. */
export class WorkerEnded extends Schema.TaggedError<WorkerEnded>()("WorkerEnded", {
  pid: Schema.Int,
  code: Schema.Int
}) {
  override get [CliError.userMessage]() {
    return `the worker with pid ${this.pid} ended with exit code ${this.code}`
  }
}

export interface Fleet {
  /** One more. Done when it listens: its pid, and the port that all of them share. */
  readonly start: Effect.Effect<{ readonly pid: number; readonly port: number }, WorkerEnded>
  /** With SIGKILL, in this very step. */
  readonly kill: (pid: number) => void
  /** Never succeeds. */
  readonly ended: Effect.Effect<never, WorkerEnded>
}

/** All are killed with the scope. */
export const make = Effect.fnUntraced(function*(argument: string) {
  cluster.setupPrimary({ exec: entry, args: [argument] })
  const workers = new Map<number, Worker>()
  const ended = yield* Deferred.make<never, WorkerEnded>()
  const kill = (pid: number) => {
    workers.get(pid)?.process.kill("SIGKILL")
    workers.delete(pid)
  }
  const gone = (worker: Worker) =>
    Effect.callback<void>((resume) => {
      if (worker.isDead()) return resume(Effect.void)
      worker.once("exit", () => resume(Effect.void))
    })
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      const left = Array.from(workers.values())
      Array.from(workers.keys()).forEach(kill)
      return Effect.forEach(left, gone, { concurrency: "unbounded", discard: true })
    })
  )
  const started = Effect.callback<{ readonly pid: number; readonly port: number }>((resume) => {
    const worker = cluster.fork()
    const pid = worker.process.pid ?? 0
    workers.set(pid, worker)
    worker.once("exit", (code) => {
      if (workers.delete(pid)) Deferred.doneUnsafe(ended, Effect.fail(new WorkerEnded({ pid, code: code ?? -1 })))
    })
    worker.once("listening", ({ port }) => resume(Effect.succeed({ pid, port })))
  })
  const fleet: Fleet = { kill, ended: Deferred.await(ended), start: Effect.raceFirst(started, Deferred.await(ended)) }
  return fleet
})
