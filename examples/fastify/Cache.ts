/**
 * A cache for Fastify, to copy: `onRequest: cache.route(...)` of a route, or as a hook around all of them.
 *
 * A handler whose responses are kept runs on a request that the cache injects: nobody's connection, and of the fields
 * only those that the key covers. So it may take its time, refreshes need no reader, and nothing of one reader can get
 * into the answer to another.
 */
import type * as HttpCache from "effect-swr/HttpCache"
import * as HttpCachePromise from "effect-swr/HttpCachePromise"
import * as SwrPromise from "effect-swr/SwrPromise"
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from "fastify"
import { randomUUID } from "node:crypto"
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http"
import { Readable } from "node:stream"

type Route = HttpCachePromise.Route

type Hook = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void

/** Of a request that the cache makes itself: who it was made for, and what routes on its way say. */
interface Inside {
  readonly original: FastifyRequest
  route: Route
  pattern: string | undefined
}

// Names a request of the cache's own to the hook it comes back to. Nobody can guess which are under way.
const MARK = "x-effect-swr-run"

export const createCache = (
  { caches = SwrPromise.make(), ...options }: HttpCache.Options & Route & { readonly caches?: SwrPromise.Caches } = {}
) => {
  const responses = HttpCachePromise.make(caches, options)
  const runs = new Map<string, Inside>()
  const inside = new WeakMap<IncomingMessage, Inside>()

  const insideOf = ({ raw }: FastifyRequest): Inside | undefined => {
    const box = inside.get(raw) ?? runs.get(String(raw.headers[MARK]))
    if (box === undefined) return undefined
    delete raw.headers[MARK]
    // Injecting says so; the reader did not.
    if (raw.headers["user-agent"] === "lightMyRequest") delete raw.headers["user-agent"]
    inside.set(raw, box)
    return box
  }

  const route = (own: Route = {}): Hook => {
    responses.check(own)
    return (request, reply, done) => {
      const box = insideOf(request)
      const pattern = request.routeOptions.url
      if (box !== undefined) {
        // What is said further in holds.
        const given = own.enabled === false ? Object.keys(box.original.headers) : own.vary ?? []
        for (const name of given) request.raw.headers[name.toLowerCase()] ??= box.original.headers[name.toLowerCase()]
        if (box.original.protocol === "https") Object.assign(request.raw.socket, { encrypted: true })
        box.route = { ...box.route, ...own }
        box.pattern = pattern
        done()
        return
      }
      // Injecting would tidy up such a URL, and run another handler.
      const { pathname, search } = new URL(request.originalUrl, "http://localhost")
      if (`${pathname}${search}` !== request.originalUrl) {
        done()
        return
      }
      const run = async ({ headers, path }: HttpCachePromise.Narrowed): Promise<HttpCachePromise.Ran> => {
        const id = randomUUID()
        const box: Inside = { original: request, route: {}, pattern }
        runs.set(id, box)
        try {
          const ran = await request.server.inject({
            method: "GET",
            url: path,
            headers: { ...headers, [MARK]: id },
            payloadAsStream: true
          })
          // Node's type of a Web stream is not the DOM's.
          const body = Readable.toWeb(ran.stream()) as ReadableStream<Uint8Array>
          return {
            status: ran.statusCode,
            headers: fieldsOf(ran.headers),
            body,
            route: box.route,
            pattern: box.pattern
          }
        } finally {
          runs.delete(id)
        }
      }
      const answered: Promise<void> = responses.answer({
        request: {
          method: request.method,
          // With `trustProxy`, scheme and host are those that the proxy was asked by.
          url: `${request.protocol}://${request.host}${request.originalUrl}`,
          headers: request.headers
        },
        route: own,
        pattern,
        run,
        pass: () =>
          new Promise((resolve) => {
            const told = () => resolve({ status: reply.statusCode, headers: fieldsOf(reply.raw.getHeaders()) })
            reply.header("x-cache", "MISS")
            reply.raw.once("close", told)
            if (request.method !== "GET" && request.method !== "HEAD") {
              beforeEnd(reply, () => {
                told()
                // By then it is known what it was, also where the handler answers at once.
                return Promise.resolve().then(() => answered)
              })
            }
            done()
          })
      }).then((found) => found && send(reply, found))
      answered.catch(done)
    }
  }

  return {
    ...responses,
    route,
    /** Voids routes when the handler after it has done well, before its reader is told. */
    invalidates: (...patterns: ReadonlyArray<string>): Hook => (_, reply, done) => {
      beforeEnd(reply, () =>
        reply.statusCode >= 200 && reply.statusCode <= 299
          ? responses.invalidateRoute(...patterns)
          : Promise.resolve())
      done()
    }
  }
}

const fieldsOf = (headers: OutgoingHttpHeaders): HttpCache.Response["headers"] =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === "number" ? `${value}` : value])
  )

const send = (reply: FastifyReply, { body, headers, status }: HttpCachePromise.Reply): void => {
  reply.code(status)
  // What was said before the cache varies for each reader, and still holds.
  const names = [reply.getHeader("vary"), headers["vary"]].flat().flatMap((line) => `${line ?? ""}`.split(","))
  const vary = new Set(names.map((name) => name.trim()).filter((name) => name !== ""))
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) reply.header(name, value)
  if (vary.size > 0) reply.header("vary", [...vary].join(", "))
  // Fastify takes bytes and Web streams, and lets go of a stream whose reader has left. To bytes without a type it gives
  // one, to a stream it doesn't.
  if (!(body instanceof Uint8Array)) void reply.send(body)
  else if (body.length === 0) void reply.send()
  else if (headers["content-type"] !== undefined) void reply.send(body)
  else void reply.header("content-length", body.length).send(Readable.from([body]))
}

/** Does something when the handler has answered, before its reader knows. */
const beforeEnd = ({ raw }: FastifyReply, act: () => Promise<unknown>): void => {
  const end = raw.end.bind(raw)
  const later = (...args: Parameters<typeof end>) => {
    raw.end = end
    act().catch(() => {}).finally(() => end(...args))
    return raw
  }
  raw.end = later as typeof end
}
