/**
 * The HTTP cache for servers that are not Effect's: Express, Fastify, `node:http`, a Web handler. The same rules as
 * `HttpCache`, and promises. `examples/express` and `examples/fastify` are what stands between it and a framework.
 *
 * @since 0.1.0
 */
import { Cause, Effect, Exit, Stream } from "effect"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpHeaders from "./HttpHeaders.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import * as HttpRoute from "./HttpRoute.ts"
import type * as Swr from "./Swr.ts"
import type * as SwrPromise from "./SwrPromise.ts"

/**
 * What a route says of its own responses.
 *
 * @since 0.1.0
 * @category models
 */
export interface Route extends HttpRoute.Route {
  /** Whether two orders of a query's parameters are one URL. The handler is given the sorted one. Default false. */
  readonly sortQuery?: boolean | undefined
}

/**
 * A response of a handler, or of the cache. Fields by lowercase name. The same one is given to many: its fields can't
 * be changed, and its bytes must not be.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply extends HttpRoute.Response {
  readonly body: Uint8Array | ReadableStream<Uint8Array>
}

/**
 * What a handler answered, and what was found out on the way to it: what routes further in say, their pattern.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ran extends Reply {
  readonly route?: HttpRoute.Route | undefined
  readonly pattern?: string | undefined
}

/**
 * What a handler whose responses are kept may see of a request: what the key covers. The method is `GET`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Narrowed {
  /** Path and query. */
  readonly path: string
  /** `host` and the fields in the route's `vary`. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * A request, and the two ways to have it answered without the cache.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exchange {
  /** As it came; fields by lowercase name. Where its URL is a path, the key's host is that of `Host`. */
  readonly request: HttpRoute.Request
  readonly route?: Route | undefined
  /** As `Ran.pattern`, where it is known already. */
  readonly pattern?: string | undefined
  /**
   * Runs the handler for whoever asks: now, or behind the readers' backs. Must not touch the reader's connection. A
   * rejection counts as 500, or as the `status` or `statusCode` of its error; those who wait, and have no old response
   * to be given, get it.
   */
  readonly run: (request: Narrowed) => PromiseLike<Ran>
  /** Lets the handler answer its reader by itself; resolves with what it answered once it has. */
  readonly pass: () => PromiseLike<HttpRoute.Response>
}

/**
 * A cache of a server's responses.
 *
 * @since 0.1.0
 * @category models
 */
export interface Responses {
  /** What to send; `undefined`: `pass` has answered. */
  readonly answer: (exchange: Exchange) => Promise<Reply | undefined>
  /** Refuses what a route can't mean, where it is written and not at its first request. Throws `InvalidPolicy`. */
  readonly check: (route: Route) => void
  /** By the pattern of a route, or a path: what is below it goes too, what is above it stays. */
  readonly invalidateRoute: (...patterns: ReadonlyArray<string>) => Promise<void>
  /** All variants of a URL are gone; a handler that runs is not kept. */
  readonly invalidate: (url: string) => Promise<void>
  readonly invalidateTag: (tag: string) => Promise<void>
  readonly clear: () => Promise<void>
  readonly stats: () => Swr.Stats
}

// The handler answered by itself, which can't be changed any more.
class Passed {
  readonly status: number
  readonly headers: HttpRoute.Response["headers"]
  readonly body = new Uint8Array()

  constructor({ headers, status }: HttpRoute.Response) {
    this.status = status
    this.headers = headers
  }
}

// A handler that fails is a server that answers 500, or what its error says by the names that frameworks look for.
const statusOf = (error: unknown): number => {
  if (typeof error !== "object" || error === null) return 500
  const status = "status" in error ? error.status : "statusCode" in error ? error.statusCode : undefined
  return typeof status === "number" && status >= 400 && status <= 599 ? status : 500
}

// Of routes whose responses are not kept: for the cache alone they say so.
const off = new WeakSet<Reply>()

const medium: HttpExchange.Medium<Reply> = {
  head: (reply) => off.has(reply) ? { ...reply, headers: { ...reply.headers, "cache-control": "no-store" } } : reply,
  body: ({ body }) =>
    body instanceof Uint8Array
      ? body
      : Stream.fromReadableStream({ evaluate: () => body, onError: (error) => error }),
  // The same one is given to many.
  make: (_, { headers, status }, body) =>
    Object.freeze({
      status,
      headers: HttpHeaders.frozen(headers),
      body: body instanceof Uint8Array ? body : Stream.toReadableStream(body)
    }),
  tell: (reply, told) => reply instanceof Passed ? reply : { ...reply, headers: { ...reply.headers, ...told } },
  kind: statusOf,
  release: () => Effect.void,
  isValue: true
}

/**
 * A cache of responses beside the caches of values. Options of a route are those of all routes that say nothing else.
 * Throws `InvalidPolicy`.
 *
 * @example
 * ```ts
 * import * as HttpCachePromise from "effect-swr/HttpCachePromise"
 * import * as SwrPromise from "effect-swr/SwrPromise"
 *
 * const responses = HttpCachePromise.make(SwrPromise.make(), { freshFor: "1 minute", maxAge: "6 minutes" })
 *
 * let runs = 0
 * const get = async () => {
 *   const reply = await responses.answer({
 *     request: { method: "GET", url: "/users", headers: { host: "localhost" } },
 *     run: async () => ({ status: 200, headers: {}, body: new TextEncoder().encode(`run ${++runs}`) }),
 *     pass: async () => ({ status: 404, headers: {} })
 *   })
 *   return [reply?.headers["x-cache"], new TextDecoder().decode(reply?.body as Uint8Array)]
 * }
 *
 * get().then(get).then(console.log) // [ 'HIT', 'run 1' ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (caches: SwrPromise.Caches, options: HttpRoute.Options & Route = {}): Responses => {
  const { context } = caches
  const decoded = HttpRoute.decodeOwn(options)
  const { answer, ...table } = Effect.runSyncWith(context)(HttpExchange.make(medium, decoded))
  const run = Effect.runPromiseWith(context)
  const runExit = Effect.runPromiseExitWith(context)

  const decided = new WeakMap<Route, Route>()
  const ownOf = (route: Route): Route => {
    const known = decided.get(route)
    if (known !== undefined) return known
    const own = HttpRoute.checked({ ...options, ...route }, decoded.rules)
    decided.set(route, own)
    return own
  }

  const answering = (exchange: Exchange): Effect.Effect<Reply, unknown> => {
    const own = ownOf(exchange.route ?? none)
    const passing = promised(() => Promise.resolve(exchange.pass()).then((head) => new Passed(head)))
    if (own.enabled === false) return passing
    const { request } = exchange
    const asking = own.sortQuery === true ? { ...request, url: sorted(request.url) } : request
    let { pattern } = exchange
    const running = () =>
      Effect.map(promised(() => exchange.run(narrowed(asking, own))), (ran): Reply => {
        const { body, headers, status } = ran
        const route = { ...own, ...ran.route }
        pattern = ran.pattern ?? pattern
        const reply = { status, headers: { ...headers, ...HttpRoute.said(ran, route) }, body }
        if (route.enabled === false) off.add(reply)
        return reply
      })
    return answer(
      asking,
      (wanted) => wanted === undefined ? passing : running(),
      () => HttpRoute.labels(asking, pattern)
    )
  }

  return {
    answer: (exchange) =>
      runExit(Effect.suspend(() => answering(exchange))).then((exit): PromiseLike<Reply | undefined> => {
        if (Exit.isSuccess(exit)) return Promise.resolve(exit.value instanceof Passed ? undefined : exit.value)
        if (!Cause.hasInterruptsOnly(exit.cause)) return Promise.reject(Cause.squash(exit.cause))
        // Its caches are closed. A server without a cache is a server still.
        return exchange.pass().then(() => undefined)
      }),
    check: (route) => void ownOf(route),
    invalidateRoute: (...patterns) =>
      run(HttpExchange.each(patterns.map((pattern) => HttpRoute.invalidateRoute(table, pattern)))),
    invalidate: (url) => run(table.invalidate(url)),
    invalidateTag: (tag) => run(table.invalidateTag(tag)),
    clear: () => run(table.clear),
    stats: () => Effect.runSyncWith(context)(table.stats)
  }
}

const none: Route = {}

// What was thrown or rejected is the error, as it is.
const promised = <A>(run: () => PromiseLike<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: () => run(), catch: (error) => error })

const narrowed = (request: HttpPolicy.Request, route: Route): Narrowed => {
  const [, host = "", path = "/"] = HttpPolicy.target(request, "http") ?? []
  const fields = HttpRoute.visible(route).flatMap((name) => {
    const value = request.headers[name]
    return value === undefined ? [] : [[name, [value].flat().join(", ")] as const]
  })
  return { path, headers: { ...Object.fromEntries(fields), host } }
}

// By name, as they were written; of one name, in the order in which they came.
const sorted = (url: string): string => {
  const [, path = "", query] = /^([^?#]*)\?([^]*)$/.exec(url) ?? []
  if (query === undefined) return url
  const nameOf = (pair: string) => /^[^=]*/.exec(pair)?.[0] ?? ""
  const pairs = query.split("&").toSorted((one, other) =>
    nameOf(one) < nameOf(other) ? -1 : nameOf(one) > nameOf(other) ? 1 : 0
  )
  return `${path}?${pairs.join("&")}`
}
