/**
 * A Redis of our own: on a free port of the loopback, with nothing on disk, gone when this process is gone.
 */
import { Effect, Runtime, Schema } from "effect"
import { CliError } from "effect/cli"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { host } from "../pricing/Loopback.ts"

/** `REDIS_SERVER` names another program: `valkey-server` will do. */
const program = process.env["REDIS_SERVER"] ?? "redis-server"

/** There is none to start. */
export class NoRedis extends Schema.TaggedError<NoRedis>()("NoRedis", { program: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  override get [CliError.userMessage]() {
    return `${this.program} was not found. This example starts a Redis of its own: install it ` +
      `(apt-get install redis-server, brew install redis), or name one in REDIS_SERVER.`
  }
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, host, () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** What the server says to a command, over a connection of its own; "" when it is not there. */
const ask = (port: number, command: string) =>
  Effect.callback<string>((resume) => {
    let said = ""
    const socket = connect({ port, host })
    const end = () => resume(Effect.succeed(said))
    socket.on("data", (data) => said += String(data)).on("error", end).on("close", end)
    socket.write(`${command}\r\nQUIT\r\n`)
    return Effect.sync(() => socket.destroy())
  })

/** How many commands it was given, and how many scripts called besides. */
export interface Work {
  readonly given: number
  readonly called: number
}

/** Reads `INFO commandstats`. Pure. */
export const workOf = (info: string): Work => {
  const calls = (pattern: RegExp) => Array.from(info.matchAll(pattern), ([, n]) => Number(n)).reduce((a, b) => a + b, 0)
  const given = calls(/^cmdstat_(?:evalsha|script\|load|subscribe):calls=(\d+)/gm)
  const own = calls(/^cmdstat_(?:info|ping|quit|hello|client\|\w+):calls=(\d+)/gm)
  return { given, called: calls(/^cmdstat_\S+?:calls=(\d+)/gm) - given - own }
}

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Empty, and on the same port as before. Done when it answers. */
  readonly start: Effect.Effect<void>
  /** With SIGKILL. */
  readonly kill: Effect.Effect<void>
  readonly work: Effect.Effect<Work>
}

/** Started, and killed with the scope. */
export const make = Effect.gen(function*() {
  if (spawnSync(program, ["--version"]).status !== 0) return yield* new NoRedis({ program })
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-swr-cluster-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const port = yield* freePort
  let shell: ChildProcess | undefined

  const spawned = Effect.sync(() => {
    const settings = { port, bind: host, save: "", appendonly: "no", dir: folder, logfile: join(folder, "log") }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
    // The shell holds our end of a pipe: however this process ends, the server does too.
    const watch = "\"$0\" \"$@\" >/dev/null 2>&1 & read _; kill -9 $!"
    shell = spawn("sh", ["-c", watch, program, ...args], { stdio: ["pipe", "ignore", "ignore"] })
  })
  const answers: Effect.Effect<void> = Effect.flatMap(
    ask(port, "PING"),
    (said) => said.startsWith("+PONG") ? Effect.void : Effect.andThen(Effect.sleep(10), answers)
  )
  const kill = Effect.callback<void>((resume) => {
    if (shell === undefined || shell.exitCode !== null) return resume(Effect.void)
    shell.once("exit", () => resume(Effect.void))
    shell.stdin?.end()
  })
  const server: RedisServer = {
    port,
    url: `redis://${host}:${port}`,
    start: Effect.andThen(spawned, answers),
    kill,
    work: Effect.map(ask(port, "INFO commandstats"), workOf)
  }
  yield* Effect.acquireRelease(server.start, () => kill)
  return server
})
