/**
 * A memcached for the tests, begun on a free port and stopped whatever happens; and a client of its text protocol, as
 * small as the store needs it. `MEMCACHED` names another binary; without one the tests are skipped.
 */
import { Effect } from "effect"
import type { Client } from "effect-swr/StoreMemcached"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createConnection, createServer, type Socket } from "node:net"
import { until } from "./Redis.ts"

const binary = process.env["MEMCACHED"] ?? "memcached"

export const installed = spawnSync(binary, ["-V"]).status === 0

const running = new Set<ChildProcess>()
process.once("exit", () => {
  for (const server of running) server.kill("SIGKILL")
})

const freePort = Effect.promise(() =>
  new Promise<number>((resolve, reject) => {
    const server = createServer().on("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => typeof address === "object" && address !== null ? resolve(address.port) : reject(address))
    })
  })
)

const listens = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = createConnection({ port, host: "127.0.0.1" })
    const end = (yes: boolean) => {
      socket.destroy()
      resume(Effect.succeed(yes))
    }
    socket.on("error", () => end(false)).on("connect", () => end(true))
  })

/** A server, with its port. */
export const server = Effect.acquireRelease(
  Effect.gen(function*() {
    const port = yield* freePort
    const child = spawn(binary, ["-l", "127.0.0.1", "-p", String(port), "-U", "0", "-u", "nobody"], { stdio: "ignore" })
    running.add(child)
    yield* until(listens(port), "memcached listens")
    return { port, child }
  }),
  ({ child }) =>
    Effect.sync(() => {
      running.delete(child)
      child.kill("SIGKILL")
    })
)

interface Waiting {
  readonly resolve: (lines: ReadonlyArray<string>) => void
  readonly reject: (error: Error) => void
}

/** One connection: commands go out in order, and replies come back in order. */
class Connection {
  private readonly socket: Socket
  private text = Buffer.alloc(0)
  private lines: Array<string> = []
  private readonly waiting: Array<Waiting> = []

  constructor(port: number) {
    this.socket = createConnection({ port, host: "127.0.0.1" })
    this.socket.setNoDelay(true)
    this.socket.on("data", (data) => this.heard(data))
    this.socket.on("error", (error) => this.lost(error))
    this.socket.on("close", () => this.lost(new Error("closed")))
  }
  private lost(error: Error) {
    this.waiting.splice(0).forEach(({ reject }) => reject(error))
  }
  private heard(data: Buffer) {
    this.text = Buffer.concat([this.text, data])
    for (let end = this.text.indexOf("\r\n"); end >= 0; end = this.text.indexOf("\r\n")) {
      const line = this.text.toString("utf8", 0, end)
      const [word, , , bytes] = line.split(" ")
      let rest = end + 2
      if (word === "VALUE") {
        rest += Number(bytes) + 2
        if (this.text.length < rest) return
        this.lines.push(line, this.text.toString("utf8", end + 2, rest - 2))
      } else {
        this.lines.push(line)
        this.waiting.shift()?.resolve(this.lines)
        this.lines = []
      }
      this.text = this.text.subarray(rest)
    }
  }
  send(command: string) {
    return Effect.tryPromise(() =>
      new Promise<ReadonlyArray<string>>((resolve, reject) => {
        if (this.socket.destroyed) return reject(new Error("closed"))
        this.waiting.push({ resolve, reject })
        this.socket.write(command)
      })
    )
  }
  close() {
    this.socket.destroy()
  }
}

/** A client, as a program would bring one. */
export const client = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Connection(port)),
      (connection) => Effect.sync(() => connection.close())
    ),
    (connection): Client => {
      const store = (word: string, key: string, value: string, seconds: number, cas = "") =>
        Effect.flatMap(
          connection.send(`${word} ${key} 0 ${seconds} ${Buffer.byteLength(value)}${cas && ` ${cas}`}\r\n${value}\r\n`),
          ([line = ""]) => /ERROR/.test(line) ? Effect.fail(new Error(line)) : Effect.succeed(line === "STORED")
        )
      return {
        gets: (keys) =>
          Effect.map(connection.send(`gets ${keys.join(" ")}\r\n`), (lines) => {
            const found = new Map<string, { readonly value: string; readonly cas: string }>()
            for (let i = 0; i + 1 < lines.length; i += 2) {
              const [, key = "", , , cas = ""] = (lines[i] ?? "").split(" ")
              found.set(key, { value: lines[i + 1] ?? "", cas })
            }
            return found
          }),
        cas: (key, value, cas, seconds) => store("cas", key, value, seconds, cas),
        add: (key, value, seconds) => store("add", key, value, seconds),
        set: (key, value, seconds) => store("set", key, value, seconds)
      }
    }
  )
