/**
 * The way to the origin: kept connections, bounds on how long anything may take, and responses line by line as they
 * came. The platform's own client joins lines and parses cookies, which a proxy has no business with.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Schema, type Scope, type Stream } from "effect"
import type * as HttpCache from "effect-swr/HttpCache"
import * as Http from "node:http"
import * as Https from "node:https"
import { isIP } from "node:net"
import { pipeline, type Readable } from "node:stream"
import { urlToHttpOptions } from "node:url"
import * as Rules from "./Rules.ts"

/** The origin gave no answer, or none that can be passed on. */
export class Unanswered extends Schema.TaggedError<Unanswered>()("Unanswered", {
  status: Schema.Literals([502, 504]),
  reason: Schema.String,
  /** It closed a kept connection in the moment in which that was used again. */
  isReset: Schema.Boolean
}) {
  override get message() {
    return this.reason
  }
}

/** In milliseconds. */
export interface Limits {
  /** Until there is a connection. */
  readonly connect: number
  /** Until the head of a response is there. */
  readonly head: number
  /** Between two pieces of anything. */
  readonly idle: number
}

const late = (reason: string) => new Unanswered({ status: 504, reason, isReset: false })

/** Sends a request, and waits for the head of its answer. */
const send = (start: () => Http.ClientRequest, body: Readable | undefined, limits: Limits) =>
  Effect.callback<Http.IncomingMessage, Unanswered>((resume) => {
    const request = start()
    const within = (millis: number, what: string) =>
      setTimeout(() => request.destroy(late(`${what} within ${millis} ms`)), millis)
    const connecting = within(limits.connect, "no connection to the origin")
    // How long a body takes to send is for its sender, and for the bound on idleness, to say.
    const answering = body === undefined ? within(limits.head, "no answer of the origin") : undefined
    // Until its head is there the origin may be at work for as long as that may take.
    request.setTimeout(
      Math.max(limits.idle, limits.head),
      () => request.destroy(late("nothing of the origin for long"))
    )
    request.on("socket", (socket) => {
      if (!socket.connecting) return clearTimeout(connecting)
      socket.once("encrypted" in socket ? "secureConnect" : "connect", () => clearTimeout(connecting))
    })
    request.on("close", () => {
      clearTimeout(connecting)
      clearTimeout(answering)
      // The origin changed to another protocol, which nobody asked for: that is no answer, and no error to Node.
      resume(Effect.failSync(() => new Unanswered({ status: 502, reason: "no answer of the origin", isReset: false })))
    })
    request.on("error", (error: NodeJS.ErrnoException) => {
      const isReset = request.reusedSocket && ["ECONNRESET", "EPIPE"].includes(error.code ?? "")
      const reason = `no answer of the origin: ${error.code ?? error.message}`
      resume(Effect.fail(error instanceof Unanswered ? error : new Unanswered({ status: 502, reason, isReset })))
    })
    request.on("response", (response) => {
      clearTimeout(answering)
      request.setTimeout(limits.idle)
      resume(Effect.succeed(response))
    })
    if (body === undefined) request.end()
    else pipeline(body, request, () => {})
    return Effect.sync(() => request.destroy())
  })

// Only these may be asked twice without harm.
const repeatable = ["GET", "HEAD", "OPTIONS"]

const linesOf = ({ rawHeaders }: Http.IncomingMessage): Record<string, string | Array<string>> => {
  // A field may have any name, also one that all objects have.
  const headers: Record<string, string | Array<string>> = Object.create(null)
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = "", line = ""] = [rawHeaders[i]?.toLowerCase(), rawHeaders[i + 1]]
    const before = headers[name]
    headers[name] = name === "set-cookie"
      ? [...before ?? [], line]
      : before === undefined
      ? line
      : `${String(before)}, ${line}`
  }
  return headers
}

const cut = new Unanswered({ status: 502, reason: "the answer of the origin was cut short", isReset: false })

const bodyOf = (response: Http.IncomingMessage): Stream.Stream<Uint8Array, Unanswered> =>
  NodeStream.fromReadable({
    evaluate: () => response,
    onError: (error) => error instanceof Unanswered ? error : cut
  })

/** Asks the origin: what the cache wants to know, or what the reader asked, with the body that came with it. */
export type Forward = (
  request: Rules.Forwarded,
  wanted: HttpCache.Request | undefined,
  body: Readable | undefined
) => Effect.Effect<HttpCache.Message, Unanswered>

/** Connections to the origin; they are closed with the scope. */
export const make = (limits: Limits, rules: Rules.Rules): Effect.Effect<Forward, never, Scope.Scope> => {
  const given = urlToHttpOptions(new URL(rules.origin))
  const name = given.hostname ?? ""
  // Its certificate is for its own name, whichever `Host` it is told. An address is none.
  const origin = isIP(name) === 0 ? { ...given, servername: name } : given
  const { Agent, request: start } = origin.protocol === "https:" ? Https : Http
  const agents = Effect.acquireRelease(
    Effect.sync(() => new Agent({ keepAlive: true })),
    (agent) => Effect.sync(() => agent.destroy())
  )
  return Effect.map(agents, (agent): Forward =>
    Effect.fnUntraced(function*(request, wanted, body) {
      const { headers, method, url } = wanted ?? request
      const hasBody = wanted === undefined && request.hasBody
      const fields: Http.OutgoingHttpHeaders = {}
      for (const [name, value] of Object.entries({ ...headers, ...Rules.told(request, wanted === undefined, rules) })) {
        if (value !== undefined) fields[name] = typeof value === "string" ? value : [...value]
      }
      const options = { ...origin, agent, method, path: url.slice(new URL(url).origin.length), headers: fields }
      const response = yield* send(() => start(options), hasBody ? body : undefined, limits).pipe(
        Effect.retry({ times: 1, while: ({ isReset }) => isReset && !hasBody && repeatable.includes(method) })
      )
      const { httpVersion: version, statusCode: status = 0 } = response
      const isBare = method === "HEAD" || [204, 205, 304].includes(status)
      // Nothing will come, so nobody would read it, and its connection would stay taken.
      if (isBare || status > 599) response.resume()
      if (status < 200 || status > 599) {
        return yield* new Unanswered({ status: 502, reason: `the origin answered ${status}`, isReset: false })
      }
      const lines = linesOf(response)
      // Nobody asked for one, and without its name its bytes are not what they seem.
      if (!/^(?:chunked)?$/i.test(String(lines["transfer-encoding"] ?? ""))) {
        response.destroy()
        return yield* new Unanswered({
          status: 502,
          reason: "a coding of the origin's that is unknown",
          isReset: false
        })
      }
      return {
        status,
        headers: Rules.answered({ status, headers: lines, version }, request, rules),
        body: isBare ? new Uint8Array() : bodyOf(response)
      }
    }))
}
