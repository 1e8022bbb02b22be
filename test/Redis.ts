/**
 * Real servers for the tests: found, started on free ports with nothing on disk, stopped whatever happens.
 *
 * `REDIS_SERVER` (or `VALKEY_SERVER`) names another binary, `REDIS_URL` a server that runs already: what needs no server
 * of its own is tested against that. Without any of them the tests are skipped, and fail where `CI` is set.
 */
import { NodeRedis } from "@effect/platform-node"
import { afterAll, beforeAll } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Redacted, Schedule } from "effect"
import { Redis } from "effect/persistence"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createConnection, createServer, type Server as Listener, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const binary = process.env["REDIS_SERVER"] ?? process.env["VALKEY_SERVER"] ?? "redis-server"
const given = process.env["REDIS_URL"]
const found = spawnSync(binary, ["--version"], { encoding: "utf8" })

/** Whether tests can start servers of their own. */
export const installed = found.status === 0
/** Whether there is one at all. */
export const reachable = installed || given !== undefined
/** What is said where there is none. */
export const absent = `${binary} was not found: install it, or name one in REDIS_SERVER`

/** How a server is started, beside what all have in common: `["maxmemory", "2mb"]`. */
export type Settings = ReadonlyArray<readonly [name: string, value: string]>

const freePort = Effect.promise(() =>
  new Promise<number>((resolve, reject) => {
    const server = createServer().on("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => typeof address === "object" && address !== null ? resolve(address.port) : reject(address))
    })
  })
)

/** Whether somebody answers; a server that wants a password does. */
const answers = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = createConnection({ port, host: "127.0.0.1" })
    const end = (yes: boolean) => {
      socket.destroy()
      resume(Effect.succeed(yes))
    }
    socket.on("error", () => end(false)).on("data", (data) => end(/PONG|NOAUTH/.test(data.toString())))
    socket.write("PING\r\n")
    return Effect.sync(() => socket.destroy())
  })

/** Asks until it is so, for ten seconds at most. */
export const until = <E, R>(asked: Effect.Effect<boolean, E, R>, what: string, millis = 10_000) =>
  asked.pipe(
    Effect.flatMap((yes) => yes ? Effect.void : Effect.fail("not yet" as const)),
    Effect.retry({ while: (error) => error === "not yet", schedule: Schedule.spaced("5 millis") }),
    Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.die(new Error(`never: ${what}`)) })
  )

/** One server; killed, paused and started again by the test. */
export class Server {
  private shell: ChildProcess | undefined
  private pid = 0
  private readonly folder = mkdtempSync(join(tmpdir(), "effect-swr-redis-"))
  readonly port: number
  private readonly settings: Settings

  constructor(port: number, settings: Settings) {
    this.port = port
    this.settings = settings
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Empty, and on the same port as before. */
  readonly start = Effect.suspend(() => {
    const settings: Settings = [
      ["port", String(this.port)],
      ["bind", "127.0.0.1"],
      ["save", ""],
      ["appendonly", "no"],
      ["dir", this.folder],
      ["logfile", join(this.folder, "log")],
      ...this.settings
    ]
    const args = settings.flatMap(([name, value]) => [`--${name}`, value])
    // The shell holds our end of a pipe: when this process dies, however it dies, the server does too.
    const watch = "\"$0\" \"$@\" >/dev/null 2>&1 & echo $!; read _; kill -9 $!"
    const shell = spawn("sh", ["-c", watch, binary, ...args], { stdio: ["pipe", "pipe", "ignore"] })
    this.shell = shell
    return Effect.andThen(
      Effect.callback<void>((resume) => {
        shell.stdout.once("data", (pid) => {
          this.pid = Number(String(pid))
          resume(Effect.void)
        })
      }),
      until(answers(this.port), "the server answers")
    )
  })

  readonly kill = Effect.suspend(() => {
    const { shell } = this
    if (shell === undefined) return Effect.void
    this.shell = undefined
    if (shell.exitCode !== null) return Effect.void
    return Effect.callback<void>((resume) => {
      shell.once("exit", () => resume(Effect.void))
      shell.stdin?.end()
    })
  })

  readonly pause = Effect.sync(() => process.kill(this.pid, "SIGSTOP"))
  readonly resume = Effect.sync(() => process.kill(this.pid, "SIGCONT"))

  readonly end = Effect.andThen(this.kill, Effect.sync(() => rmSync(this.folder, { recursive: true, force: true })))
}

/** A server of its own for one test. */
export const server = (...settings: Settings) =>
  Effect.acquireRelease(
    Effect.flatMap(freePort, (port) => {
      const server = new Server(port, settings)
      return Effect.as(server.start, server)
    }),
    (server) => server.end
  )

/** The wire between processes and a server: slow, cut, or silent, when the test says so. */
export class Wire {
  /** Milliseconds that everything takes, each way. */
  delay = 0
  /** What the server says to those who listen to announcements is lost, and nobody is told. */
  deaf = false
  /** The next command is cut off in its middle, as many times. */
  cuts = 0
  private readonly sockets = new Set<Socket>()
  private readonly server: Listener
  readonly port: number

  private constructor(server: Listener, port: number) {
    this.server = server
    this.port = port
  }

  static to(target: number): Effect.Effect<Wire> {
    return Effect.callback((resume) => {
      const server = createServer((socket) => wire.join(socket, target))
      const listen = () => {
        const address = server.address()
        if (typeof address === "object" && address !== null) {
          resume(Effect.succeed(wire = new Wire(server, address.port)))
        }
      }
      let wire: Wire
      server.listen(0, "127.0.0.1", listen)
    })
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`
  }

  private join(near: Socket, target: number): void {
    const far = createConnection({ port: target, host: "127.0.0.1" })
    let listens = false
    const cut = () => {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    for (const socket of [near, far]) {
      this.sockets.add(socket)
      socket.setNoDelay(true)
      socket.on("error", cut).on("close", () => {
        this.sockets.delete(socket)
        cut()
      })
    }
    near.on(
      "data",
      this.carry((data) => {
        const text = data.toString("latin1")
        listens ||= /\bSUBSCRIBE\r\n/i.test(text)
        if (this.cuts > 0 && /EVALSHA/i.test(text)) {
          this.cuts--
          // What has arrived so far is half a command.
          far.write(data.subarray(0, data.length >> 1), cut)
        } else far.write(data)
      })
    )
    far.on(
      "data",
      this.carry((data) => {
        if (!listens || !this.deaf) near.write(data)
      })
    )
  }

  /** In order, also where the delay changes. */
  private carry(send: (data: Buffer) => void) {
    let free = 0
    return (data: Buffer) => {
      const now = performance.now()
      free = Math.max(free, now + this.delay)
      if (free <= now) send(data)
      else setTimeout(() => send(data), free - now)
    }
  }

  readonly reset = Effect.sync(() => this.sockets.forEach((socket) => socket.resetAndDestroy()))
  readonly end = Effect.andThen(
    this.reset,
    Effect.callback<void>((resume) => {
      this.server.close(() => resume(Effect.void))
    })
  )
}

/** A wire of its own for one test. */
export const wire = (target: Server) => Effect.acquireRelease(Wire.to(target.port), (wire) => wire.end)

/** A client as users build one for a store. */
export const client = (url: string, password?: Redacted.Redacted<string>) =>
  NodeRedis.layer({
    url,
    disableOfflineQueue: true,
    // The store connects anew by itself, and sooner.
    socket: { reconnectStrategy: false },
    ...password && { password: Redacted.value(password) }
  })

/** A client for the test itself. */
export const raw = (url: string) =>
  Effect.map(
    Layer.build(NodeRedis.layer({ url, disableOfflineQueue: true })),
    (context) => Context.get(context, Redis.Redis)
  ).pipe(
    Effect.provide(Logger.layer([]))
  )

/** The server of a whole file, begun with its first test; `REDIS_URL` names another. */
export const shared = () => {
  let own: Server | undefined
  beforeAll(() =>
    Effect.runPromise(Effect.gen(function*() {
      if (given !== undefined) return
      own = new Server(yield* freePort, [])
      yield* own.start
    }))
  )
  afterAll(() => own && Effect.runPromise(own.end))
  return () => given ?? own?.url ?? "redis://nowhere"
}
