/**
 * The proxy itself: a server that asks the cache, and a cache that asks the origin.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Layer, Stream } from "effect"
import * as HttpCache from "effect-swr/HttpCache"
import { Headers, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
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

const listening = ({ host, limits, port }: Settings) =>
  NodeHttpServer.layerServer(
    () => {
      const server = createServer({
        // Two lines of Host are a lie about one of them, so both are to be seen. The parser stays as strict as it is.
        joinDuplicateHeaders: true,
        insecureHTTPParser: false,
        requireHostHeader: true,
        headersTimeout: Math.min(limits.head, 60_000),
        keepAliveTimeout: 30_000,
        connectionsCheckingInterval: 5000
      })
      // A reader that stops reading, or a body that stops coming. The origin's own time comes first.
      server.timeout = limits.idle + limits.head
      server.on("connect", (_, socket) => {
        socket.on("error", () => {})
        const fields = `Allow: ${Rules.methods}\r\nConnection: close\r\nContent-Length: 0`
        socket.end(`HTTP/1.1 405 Method Not Allowed\r\n${fields}\r\n\r\n`)
      })
      return server
    },
    { host, port, gracefulShutdownTimeout: "3 seconds" }
  )

const plain = (status: number, reason: string) =>
  HttpServerResponse.text(`${reason}\n`, { status, headers: { "cache-control": "no-store" } })

// As it came, whatever the platform would make of it. Lines of `Set-Cookie` are not one text, as its fields are.
const respond = (request: HttpServerRequest.HttpServerRequest, { body, headers, status }: HttpCache.Message) => {
  const { "set-cookie": cookies, ...rest } = headers
  if (cookies !== undefined) NodeHttpServerRequest.toServerResponse(request).setHeader("set-cookie", cookies)
  const fields: Record<string, string> = {}
  for (const name of Object.keys(rest)) {
    const value = Rules.field(rest, name)
    if (value !== undefined) fields[name] = value
  }
  const options = { status, headers: Headers.fromRecordUnsafe(fields) }
  if (!(body instanceof Uint8Array)) {
    // A stream without a type would be given one.
    return rest["content-type"] === undefined
      ? HttpServerResponse.raw(NodeStream.toReadableNever(body), options)
      : HttpServerResponse.stream(body, options)
  }
  if (body.length === 0) return HttpServerResponse.empty(options)
  return rest["content-type"] === undefined
    ? HttpServerResponse.raw(body, options)
    : HttpServerResponse.uint8Array(body, options)
}

const serving = (settings: Settings) =>
  Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    const port = "port" in address ? address.port : settings.port
    const loopback = ["localhost", "127.0.0.1", "[::1]"].map((name) => `${name}:${port}`)
    const rules: Rules.Rules = {
      name: `effect-swr:${port}`,
      hosts: new Set([...loopback, ...settings.hosts].map(Rules.authority)),
      origin: settings.origin,
      keepsHost: settings.keepsHost
    }
    const forward = yield* Upstream.make(settings.limits, rules)
    const { answer } = yield* HttpCache.exchange({ name: "proxy", ...settings.cache })

    yield* HttpServer.serveEffect(Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const { headers, httpVersion: version, method = "", socket, url: target = "" } = NodeHttpServerRequest
        .toIncomingMessage(request)
      const ruling = Rules.rule({ method, target, version, headers, address: socket.remoteAddress ?? "unknown" }, rules)
      if (ruling._tag === "Refused") {
        const { reason, status } = ruling.refusal
        const close = { connection: "close", ...status === 405 && { allow: Rules.methods } }
        return Effect.succeed(HttpServerResponse.setHeaders(plain(status, reason), close))
      }
      const body = ruling.request.hasBody ? request.stream : Stream.empty
      return Effect.match(answer(ruling.request, (wanted) => forward(ruling.request, wanted, body)), {
        onFailure: ({ reason, status }) => plain(status, reason),
        onSuccess: (message) => respond(request, message)
      })
    }))
  })

/** Serves until it is closed; the address is told by the server that it gives. */
export const layer = (settings: Settings) =>
  Layer.provideMerge(Layer.effectDiscard(serving(settings)), listening(settings))
