/**
 * The proxy itself: a server that asks the cache, and a cache that asks the origin. The server is Node's own: what comes
 * and goes is passed on line by line, and most requests are over before anything has to wait.
 */
import * as NodeSink from "@effect/platform-node/NodeSink"
import { Cause, Context, Effect, Fiber, Layer, Option, Schema, Scope, Stream } from "effect"
import type { Swr } from "effect-swr"
import * as HttpCache from "effect-swr/HttpCache"
import { CliError } from "effect/cli"
import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Rules from "./Rules.ts"
import * as Upstream from "./Upstream.ts"

export interface Settings {
  /** Scheme and authority, nothing else. */
  readonly origin: string
  readonly host: string
  readonly port: number
  /** The authorities that are served, beside those of the loopback interface. */
  readonly hosts: ReadonlyArray<string>
  readonly keepsHost: boolean
  readonly limits: Upstream.Limits
  readonly cache: HttpCache.Options
}

export const defaults: Pick<Settings, "host" | "hosts" | "keepsHost" | "limits"> = {
  host: "127.0.0.1",
  hosts: [],
  keepsHost: false,
  limits: { connect: 5000, head: 30_000, idle: 60_000 }
}

/** The address, or its port, can't be had. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", { message: Schema.String }) {
  override get [CliError.userMessage]() {
    return this.message
  }
}

/** Where a proxy is to be found. */
export class Address extends Context.Service<Address, { readonly port: number; readonly url: string }>()(
  "proxy/Address"
) {}

const started = ({ limits }: Settings): Server => {
  const server = createServer({
    // Two lines of Host are a lie about one of them, so both are to be seen. The parser stays as strict as it is.
    joinDuplicateHeaders: true,
    insecureHTTPParser: false,
    requireHostHeader: true,
    headersTimeout: Math.min(limits.head, 60_000),
    // A large upload takes its time; that its pieces come is seen to below.
    requestTimeout: 0,
    keepAliveTimeout: 30_000,
    connectionsCheckingInterval: 5000
  })
  // A reader that stops reading, or a body that stops coming. The origin's own time comes first.
  server.timeout = limits.idle + limits.head
  server.on("connect", (_, socket) => {
    socket.on("error", () => {})
    const fields = `Allow: ${Rules.methods}\r\nConnection: close\r\nContent-Length: 0`
    // It is no request to Node any more, so nothing else would close what the client leaves open.
    socket.end(`HTTP/1.1 405 Method Not Allowed\r\n${fields}\r\n\r\n`, () => socket.destroy())
  })
  return server
}

const listening = (settings: Settings) =>
  Effect.acquireRelease(
    Effect.callback<Server, CannotListen>((resume) => {
      const server = started(settings)
      const refuse = ({ message }: Error) => resume(Effect.fail(new CannotListen({ message })))
      server.once("error", refuse)
      server.listen(settings.port, settings.host, () => {
        server.off("error", refuse)
        resume(Effect.succeed(server))
      })
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** Ends connections of which nothing is awaited: of those on which nothing was ever said, Node thinks otherwise. */
const idle = (server: Server) => {
  const sockets = new Set<Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  return Effect.sync(() => {
    server.closeIdleConnections()
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  })
}

/** Takes no more requests; whoever is being answered has a while. */
const ending = (server: Server, endIdle: Effect.Effect<void>) =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
  }).pipe(
    // Who was answered would keep the connection for another request.
    Effect.raceFirst(Effect.forever(Effect.delay(endIdle, "50 millis"))),
    Effect.timeoutOrElse({ duration: "3 seconds", orElse: () => Effect.void })
  )

const plain = (
  status: number,
  reason: string,
  fields: HttpCache.Response["headers"] = {}
): HttpCache.Message => {
  const body = new TextEncoder().encode(`${reason}\n`)
  const length = String(body.length)
  return {
    status,
    headers: { "cache-control": "no-store", "content-type": "text/plain", "content-length": length, ...fields },
    body
  }
}

// The lines of `Set-Cookie` are not one text, as those of others are.
const linesOf = (headers: HttpCache.Response["headers"]): Record<string, string | Array<string>> => {
  const lines: Record<string, string | Array<string>> = {}
  for (const name of Object.keys(headers)) {
    const value = headers[name]
    if (typeof value === "string") lines[name] = value
    else if (value !== undefined) lines[name] = name === "set-cookie" ? [...value] : value.join(", ")
  }
  return lines
}

const write = (outgoing: ServerResponse, { body, headers, status }: HttpCache.Message): Effect.Effect<void> => {
  outgoing.writeHead(status, linesOf(headers))
  if (body instanceof Uint8Array) {
    outgoing.end(body)
    return Effect.void
  }
  // What is cut short must not look as if it had ended, which for HTTP/1.0 it does where the connection just ends.
  const cut = () => {
    if (outgoing.req.httpVersion === "1.0") outgoing.socket?.resetAndDestroy()
    outgoing.destroy()
  }
  const sink = NodeSink.fromWritable({ evaluate: () => outgoing, onError: cut, endOnDone: false })
  return Effect.matchCause(Stream.run(body, sink), { onFailure: cut, onSuccess: () => void outgoing.end() })
}

const serving = Effect.fnUntraced(function*(
  settings: Settings,
  { answer }: HttpCache.Exchange,
  server: Server,
  { port }: Address["Service"]
) {
  const loopback = ["localhost", "127.0.0.1", "[::1]"].map((name) => `${name}:${port}`)
  const rules: Rules.Rules = {
    // Of two machines' the ports are often the same.
    name: `effect-swr-${randomUUID().slice(0, 8)}`,
    hosts: new Set([...loopback, ...settings.hosts].map(Rules.authority)),
    origin: settings.origin,
    keepsHost: settings.keepsHost
  }
  const forward = yield* Upstream.make(settings.limits, rules)
  const context = yield* Effect.context<Scope.Scope>()
  const start = Effect.runForkWith(context)
  // Closed in the reverse order: an end is waited for, and then whoever is still there is interrupted.
  const fibers = yield* Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope))
  const endIdle = idle(server)
  yield* Effect.addFinalizer(() => ending(server, endIdle))

  const reply = (incoming: IncomingMessage): Effect.Effect<HttpCache.Message, Upstream.Unanswered> => {
    const { headers, httpVersion: version, method = "", socket, url: target = "" } = incoming
    const ruling = Rules.rule({ method, target, version, headers, address: socket.remoteAddress ?? "unknown" }, rules)
    if (ruling._tag === "Refused") {
      const { reason, status } = ruling.refusal
      const fields = { connection: "close", ...status === 405 && { allow: Rules.methods } }
      return Effect.succeed(plain(status, reason, fields))
    }
    const { request } = ruling
    return answer(request, (wanted) => forward(request, wanted, request.hasBody ? incoming : undefined))
  }

  const failed = (outgoing: ServerResponse, cause: Cause.Cause<Upstream.Unanswered>): Effect.Effect<void> => {
    const { reason, status } = Option.getOrElse(
      Cause.findErrorOption(cause),
      () => ({ status: 500, reason: "a defect" })
    )
    if (status !== 500) return write(outgoing, plain(status, reason))
    // Nobody is there any more, or this program is wrong.
    outgoing.destroy()
    return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(cause)
  }

  server.on("request", (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const fiber = start(Effect.matchCauseEffect(reply(incoming), {
      onFailure: (cause) => failed(outgoing, cause),
      onSuccess: (message) => write(outgoing, message)
    }))
    if (fiber.pollUnsafe() !== undefined) return
    Fiber.runIn(fiber, fibers)
    outgoing.on("close", () => {
      if (!outgoing.writableFinished) fiber.interruptUnsafe()
    })
  })
})

/** Serves until it is closed. */
export const layer = (settings: Settings): Layer.Layer<Address, CannotListen, Swr.Cache> =>
  Layer.effect(
    Address,
    Effect.gen(function*() {
      const { connect, head, idle } = settings.limits
      // The limits end each step that takes too long. A load is a few of those: a head, and a body that is not long.
      const exchange = yield* HttpCache.exchange({
        name: "proxy",
        timeout: connect + head + 5 * idle,
        ...settings.cache
      })
      const server = yield* listening(settings)
      // It listens on a port.
      const { address, family, port } = server.address() as AddressInfo
      const host = family === "IPv6" ? `[${address}]` : address
      // All interfaces are no host that anybody asks for.
      const at = { port, url: `http://${["0.0.0.0", "[::]"].includes(host) ? "localhost" : host}:${port}` }
      yield* serving(settings, exchange, server, at)
      return at
    })
  )
