/**
 * A cache for Express, to copy: `cache.route` before a handler, or before all of them.
 *
 * A handler whose responses are kept runs on a request of the cache's own: nobody's connection, and of the fields only
 * those that the key covers. So it may take its time, refreshes need no reader, and nothing of one reader can get into
 * the answer to another.
 */
import type { Duration } from "effect"
import type * as HttpCache from "effect-swr/HttpCache"
import * as HttpCachePromise from "effect-swr/HttpCachePromise"
import * as SwrPromise from "effect-swr/SwrPromise"
import type { Application, NextFunction, Request, RequestHandler, Response } from "express"
import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { PassThrough, Readable } from "node:stream"
import { pipeline } from "node:stream/promises"

type Route = HttpCachePromise.Route
type Ran = HttpCachePromise.Ran

/** Windows of one value. */
export interface Windows {
  readonly freshFor: Duration.Input
  readonly maxAge?: Duration.Input
  readonly staleIfError?: Duration.Input
}

interface Fetch extends Windows {
  readonly key: string
  readonly fetcher: (load: SwrPromise.Load<unknown>) => unknown
}

/** Of a request that the cache makes itself: who it was made for, and what routes on its way say. */
interface Inside {
  readonly original: Request
  route: Route
  pattern: string | undefined
}

export const createCache = (
  { caches = SwrPromise.make(), ...options }: HttpCache.Options & Route & { readonly caches?: SwrPromise.Caches } = {}
) => {
  const responses = HttpCachePromise.make(caches, options)
  const inside = new WeakMap<IncomingMessage, Inside>()

  const route = (own: Route = {}): RequestHandler => {
    responses.check(own)
    const middleware: RequestHandler = (req, res, next) => {
      const box = inside.get(req)
      const here = placeOf(req, middleware)
      if (box !== undefined) {
        // The middleware around all routes made this request. What is said here holds.
        const given = own.enabled === false ? Object.keys(box.original.headers) : own.vary ?? []
        for (const name of given) req.headers[name.toLowerCase()] ??= box.original.headers[name.toLowerCase()]
        box.route = { ...box.route, ...own }
        box.pattern = here?.pattern
        next()
        return
      }
      const run = ({ headers, path }: HttpCachePromise.Narrowed) =>
        new Promise<Ran>((resolve, reject) => {
          const detached = detach(req, path, headers)
          const box: Inside = { original: req, route: {}, pattern: here?.pattern }
          inside.set(detached, box)
          const response = captured(
            detached,
            (reply) => resolve({ ...reply, route: box.route, pattern: box.pattern }),
            reject
          )
          if (here === undefined) rootOf(req.app)(detached, response)
          else proceed(here.rest, adopt(req, res, detached, path), adoptResponse(res, detached, response), reject)
        })
      const answered: Promise<void> = responses.answer({
        request: { method: req.method, url: urlOf(req), headers: req.headers },
        route: own,
        pattern: here?.pattern,
        run,
        pass: () =>
          new Promise((resolve) => {
            const done = () => resolve({ status: res.statusCode, headers: fieldsOf(res.getHeaders()) })
            if (!res.headersSent) res.setHeader("x-cache", "MISS")
            res.once("close", done)
            if (req.method !== "GET" && req.method !== "HEAD") {
              beforeEnd(res, () => {
                done()
                // By then it is known what it was, also where the handler answers at once.
                return Promise.resolve().then(() => answered)
              })
            }
            next()
          })
      }).then((reply) => reply && send(res, reply))
      answered.catch(next)
    }
    return middleware
  }

  // The seed's `fetch`: each call brings its own loader and windows. `caches.make` is typed, and better where it fits.
  const fetched = caches.make({
    name: `${options.name ?? "responses"}:fetch`,
    key: ({ key }: Fetch) => key,
    lookup: ({ fetcher }: Fetch, load: SwrPromise.Load<unknown>) => fetcher(load),
    keep: (_, { freshFor, maxAge = freshFor, staleIfError = 0 }) => ({ freshFor, maxAge, staleIfError }),
    freshFor: "1 day",
    maxAge: "1 day",
    staleIfError: "1 day"
  })

  return {
    ...responses,
    route,
    /** The value of a key, loaded by whoever comes first. The type is the caller's word. */
    fetch: <A>(key: string, fetcher: (load: SwrPromise.Load<unknown>) => A | PromiseLike<A>, windows: Windows) =>
      fetched.get({ key, fetcher, ...windows }) as Promise<A>,
    /** Voids a value of `fetch`. */
    forget: (key: string) => fetched.invalidate({ key, fetcher: () => {}, freshFor: 0 }),
    /** Voids routes when the handlers after it have done well, before their reader is told. */
    invalidates: (...patterns: ReadonlyArray<string>): RequestHandler => (_, res, next) => {
      beforeEnd(res, () =>
        res.statusCode >= 200 && res.statusCode <= 299
          ? responses.invalidateRoute(...patterns)
          : Promise.resolve())
      next()
    }
  }
}

// ----- what Express has

interface Layer {
  readonly handle: (req: Request, res: Response, next: NextFunction) => unknown
  readonly method: string | undefined
}

/** Where a middleware is in the route that has matched: the pattern, and the handlers behind it. */
const placeOf = (
  req: Request,
  middleware: RequestHandler
): { readonly pattern: string | undefined; readonly rest: ReadonlyArray<Layer> } | undefined => {
  const route: { readonly path: unknown; readonly stack: ReadonlyArray<Layer> } | undefined = req.route
  const at = route?.stack.findIndex(({ handle }) => handle === middleware) ?? -1
  if (route === undefined || at < 0) return undefined
  return {
    pattern: typeof route.path === "string" ? `${req.baseUrl}${route.path}` : undefined,
    // With four parameters it is for errors, which are the reader's route's to handle.
    rest: route.stack.slice(at + 1).filter(({ handle, method }) =>
      (method === undefined || method === "get") && handle.length < 4
    )
  }
}

const proceed = (
  [layer, ...rest]: ReadonlyArray<Layer>,
  req: Request,
  res: Response,
  reject: (error: unknown) => void
): void => {
  // Out of the route, which each who waits leaves by himself then.
  if (layer === undefined) return reject("route")
  const next = (error?: unknown) =>
    error === undefined || error === null ? proceed(rest, req, res, reject) : reject(error)
  // What Express does by itself, such as to send a file, fails by this one.
  req.next = next
  // What it throws is a rejection too.
  new Promise((done) => done(layer.handle(req, res, next))).catch(reject)
}

// An app that is mounted has the one above it as its parent, which the types don't say.
const rootOf = (app: Application & { readonly parent?: Application }): Application =>
  app.parent === undefined ? app : rootOf(app.parent)

// Where `trust proxy` is set, scheme and host are those that the proxy was asked by. HTTP/1.0 may name no host.
const urlOf = (
  { host, originalUrl, protocol }: Omit<Request, "host"> & { readonly host: string | undefined }
): string => originalUrl.startsWith("/") ? `${protocol}://${host ?? ""}${originalUrl}` : originalUrl

// ----- requests and responses of nobody

const detach = (req: Request, path: string, headers: Readonly<Record<string, string>>): IncomingMessage => {
  const detached = new IncomingMessage(Object.assign(new Socket(), { encrypted: req.protocol === "https" }))
  Object.assign(detached, {
    method: "GET",
    url: path,
    headers: { ...headers },
    rawHeaders: Object.entries(headers).flat(),
    httpVersion: "1.1",
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    complete: true
  })
  detached.push(null)
  return detached
}

/** What the router has found out belongs to the URL, and not to its reader. */
const adopt = (req: Request, res: Response, detached: IncomingMessage, path: string): Request => {
  const { baseUrl, params, route, url } = req
  const query = /\?[^]*$/.exec(path)?.[0] ?? ""
  const own = { baseUrl, originalUrl: path, params, res, route, url: `${url.replace(/\?[^]*$/, "")}${query}` }
  // Where cookies are read it has none, and the application's secret.
  const cookies = "cookies" in req ? { cookies: {}, signedCookies: {} } : {}
  const secret = "secret" in req ? { secret: req.secret } : {}
  // It is what Express makes of a request: its prototype is the application's.
  return Object.assign(Object.setPrototypeOf(detached, Object.getPrototypeOf(req)), own, cookies, secret) as Request
}

const adoptResponse = (res: Response, req: IncomingMessage, response: ServerResponse): Response => {
  const adopted = Object.assign(Object.setPrototypeOf(response, Object.getPrototypeOf(res)), { req, locals: {} })
  Object.assign(req, { res: adopted })
  // As above.
  return adopted as Response
}

/** A response that goes nowhere but to `settle`: its head as soon as it is known, its body as it comes. */
const captured = (
  req: IncomingMessage,
  settle: (reply: HttpCachePromise.Reply) => void,
  fail: (error: unknown) => void
): ServerResponse => {
  const response = new ServerResponse(req)
  const writeHead = response.writeHead.bind(response)
  const body = new PassThrough()
  const begin = (whole?: Uint8Array) => {
    if (!response.headersSent) response.writeHead(response.statusCode)
    settle({
      status: response.statusCode,
      headers: fieldsOf(response.getHeaders()),
      // Node's type of a Web stream is not the DOM's.
      body: whole ?? Readable.toWeb(body) as ReadableStream<Uint8Array>
    })
  }
  const bytes = (chunk: string | Uint8Array, encoding: unknown) =>
    typeof chunk === "string"
      ? Buffer.from(chunk, typeof encoding === "string" ? encoding as BufferEncoding : "utf8")
      : chunk
  let hasBegun = false
  const write = (chunk: string | Uint8Array, ...rest: ReadonlyArray<unknown>): boolean => {
    if (!hasBegun) begin()
    hasBegun = true
    const after = rest.find((one) => typeof one === "function") as (() => void) | undefined
    return body.write(bytes(chunk, rest[0]), () => after?.())
  }
  const end = (...args: ReadonlyArray<unknown>): ServerResponse => {
    if (response.finished) return response
    const [first] = args
    const chunk = typeof first === "string" || first instanceof Uint8Array ? bytes(first, args[1]) : undefined
    if (!hasBegun) begin(chunk ?? new Uint8Array())
    else body.end(chunk)
    hasBegun = true
    response.finished = true
    const after = args.find((one) => typeof one === "function") as (() => void) | undefined
    process.nextTick(() => {
      response.emit("finish")
      response.emit("close")
      after?.()
    })
    return response
  }
  body.on("drain", () => response.emit("drain"))
  body.on("error", () => {})
  // Who read it has left: the handler is told as it would be by a connection.
  body.on("close", () => response.finished || response.emit("close"))
  Object.assign(response, {
    write,
    end,
    flushHeaders: () => {
      if (!hasBegun) begin()
      hasBegun = true
    },
    writeHead: (status: number, ...rest: ReadonlyArray<unknown>) => {
      const given = rest.find((one) => typeof one === "object" && one !== null) ?? {}
      const pairs = Array.isArray(given)
        ? given.flatMap((name, at): Array<[string, string]> => at % 2 === 0 ? [[name, given[at + 1]]] : [])
        : Object.entries(given)
      for (const [name, value] of pairs) if (value !== undefined) response.setHeader(name, value)
      return writeHead(status)
    },
    destroy: (error: unknown = new Error("the handler gave up its response")) => {
      fail(error)
      body.destroy(error as Error)
      return response
    }
  })
  return response
}

// ----- to the reader

const fieldsOf = (headers: OutgoingHttpHeaders): HttpCache.Response["headers"] =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === "number" ? `${value}` : value])
  )

const send = async (res: Response, { body, headers, status }: HttpCachePromise.Reply): Promise<void> => {
  res.statusCode = status
  for (const [name, value] of Object.entries(headers)) {
    // What was said before the cache varies for each reader, and still holds.
    if (name === "vary" && value !== undefined) res.vary([value].flat().join(", "))
    // Lines of its own: `appendHeader` adds to them.
    else if (value !== undefined) res.setHeader(name, typeof value === "string" ? value : [...value])
  }
  if (body instanceof Uint8Array) {
    res.end(body)
    return
  }
  // As above. Where it breaks off, so does the connection, which is how its reader learns of it.
  await pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), res).catch(() => {})
}

/** Does something when the handler has answered, before its reader knows. */
const beforeEnd = (res: Response, act: () => Promise<unknown>): void => {
  const end = res.end.bind(res)
  const later = (...args: Parameters<typeof end>) => {
    res.end = end
    act().catch(() => {}).finally(() => end(...args))
    return res
  }
  res.end = later as typeof end
}
