/**
 * Who reads and writes, from the main process.
 */
import { Effect, FiberSet } from "effect"
import * as Http from "node:http"
import { seeded, zipf } from "../pricing/Arrivals.ts"
import { host } from "../pricing/Loopback.ts"
import { now, type Origin } from "./Origin.ts"
import type { Recording } from "./Recording.ts"
import { keys, type Settings } from "./Settings.ts"

interface Reply {
  /** 0: the connection broke. */
  readonly status: number
  readonly pid: number
  readonly body: string
}

const BROKEN: Reply = { status: 0, pid: 0, body: "" }

/** One request. Answers, with status 0, also when the connection breaks. */
const once = (agent: Http.Agent | false, port: number, method: "GET" | "POST", path: string) =>
  Effect.callback<Reply>((resume) => {
    const reply = (reply: Reply) => resume(Effect.succeed(reply))
    const request = Http.request({ agent, host, port, method, path, timeout: 5000 }, (response) => {
      let body = ""
      response.on("data", (data) => body += String(data)).once("error", () => reply(BROKEN))
      response.once(
        "end",
        () => reply({ status: response.statusCode ?? 0, pid: Number(response.headers["x-pid"]), body })
      )
    })
    request.once("timeout", () => request.destroy())
    request.once("error", () => reply(BROKEN))
    request.once("close", () => reply(BROKEN))
    request.end()
    return Effect.sync(() => request.destroy())
  })

const versionOf = (body: string): number => Number(/"version":(\d+)/.exec(body)?.[1] ?? -1)

export const make = (port: number, settings: Settings, origin: Origin, recording: Recording) => {
  const crowd = new Http.Agent({ keepAlive: true, maxSockets: 32 })

  /** As a proxy does it: what broke off with a killed process is asked for again, over another connection. */
  const read = Effect.fnUntraced(function*(key: string, agent: Http.Agent = crowd) {
    const asked = yield* now
    const path = `/quote/${key}`
    let sent = asked
    let reply = yield* once(agent, port, "GET", path)
    const isAgain = reply.status === 0
    if (isAgain) {
      yield* Effect.sleep(20)
      sent = yield* now
      reply = yield* once(false, port, "GET", path)
    }
    const { body, pid, status } = reply
    recording.read({ key, asked, sent, answered: yield* now, pid, status, version: versionOf(body), isAgain })
  })

  /** At random moments; the hot key most. */
  const reads = Effect.gen(function*() {
    const random = seeded(1)
    const choose = zipf(keys.length)
    const readers = yield* FiberSet.make()
    for (let due = yield* now;;) {
      due += -Math.log(1 - random()) * 1000 / settings.rate
      const wait = due - (yield* now)
      if (wait >= 1) yield* Effect.sleep(wait)
      yield* FiberSet.run(readers, read(keys[choose(random())] ?? "hot"))
    }
  })

  /** Writes its keys in turn, and reads each at once in the process that acknowledged it. */
  const writes = Effect.fnUntraced(function*(own: ReadonlyArray<string>, seed: number) {
    const random = seeded(seed)
    // One connection is one process, until it ends.
    const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
    for (let turn = 0;; turn++) {
      const key = own[turn % own.length] ?? "a1"
      yield* Effect.sleep(50 + 100 * random())
      const version = origin.write(key)
      const path = random() < 0.5 ? `/invalidate/${key}` : `/set/${key}/${version}`
      const { pid, status } = yield* once(agent, port, "POST", path)
      recording.write({ key, version, pid, status, at: yield* now })
      yield* read(key, agent)
    }
  })

  const warmUp = Effect.forEach(keys, (key) => read(key), { concurrency: "unbounded", discard: true })

  return { reads, writes, warmUp }
}
