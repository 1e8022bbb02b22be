/**
 * An HTTP cache on the caches of this library: RFC 9111 and 5861 as they are written, one request to the origin however
 * many ask, refreshes behind the readers' backs that no reader waits for, and old answers while the origin is sick.
 *
 * @since 0.1.0
 */
import { Cause, Context, Effect, Exit, Layer, Option, Predicate, Scope, Stream, Tracer } from "effect"
import {
  Cookies,
  Headers,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
  type HttpEffect,
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpHeaders from "./HttpHeaders.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import * as HttpRoute from "./HttpRoute.ts"
import type { Options, Request, Response, Route, Table } from "./HttpRoute.ts"
import type * as Store from "./Store.ts"
import type * as Swr from "./Swr.ts"

export type { Options, Request, Response, Route, Table } from "./HttpRoute.ts"

// ----- a client's responses

const headOf = ({ cookies, headers, status }: {
  readonly status: number
  readonly headers: Headers.Headers
  readonly cookies: Cookies.Cookies
}): HttpPolicy.Response => ({
  status,
  headers: Cookies.isEmpty(cookies) ? headers : { ...headers, "set-cookie": Cookies.toSetCookieHeaders(cookies) }
})

// The names are in lower case. A field of one line, which almost all are, is taken as it is.
const fieldsOf = (fields: HttpPolicy.Response["headers"]): Headers.Headers => {
  const headers: Record<string, string> = {}
  for (const name in fields) {
    const value = fields[name]
    if (value !== undefined) headers[name] = typeof value === "string" ? value : value.join(", ")
  }
  return Headers.fromRecordUnsafe(headers)
}

const answerOf = (
  head: HttpPolicy.Response,
  body: Uint8Array | Stream.Stream<Uint8Array, unknown>,
  isBare: boolean
): HttpServerResponse.HttpServerResponse => {
  const { "set-cookie": setCookie, ...rest } = head.headers
  const cookies = setCookie === undefined ? Cookies.empty : Cookies.fromSetCookie(setCookie)
  const headers = fieldsOf(rest)
  const options = { status: head.status, headers, cookies }
  // A body without a type of its own is given none.
  const type = { contentType: headers["content-type"] }
  if (isBare || [204, 205, 304].includes(head.status)) return HttpServerResponse.empty(options)
  if (!(body instanceof Uint8Array)) return HttpServerResponse.stream(body, options)
  return type.contentType === undefined
    ? HttpServerResponse.raw(body, { ...options, contentLength: body.length })
    : HttpServerResponse.uint8Array(body, options)
}

const requestOf = (request: HttpPolicy.Request): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.get(request.url)

const client: HttpExchange.Medium<HttpClientResponse.HttpClientResponse> = {
  head: headOf,
  // One that has none, as of a 204, fails to be read.
  body: (response) => Stream.catchReason(response.stream, "HttpClientError", "EmptyBodyError", () => Stream.empty),
  kind: () => "unreachable",
  release: () => Effect.void,
  // It names its request, and its body may have been read.
  isValue: false,
  make: (request, head, body) =>
    HttpServerResponse.toClientResponse(answerOf(head, body, request.method === "HEAD"), {
      request: requestOf(request)
    }),
  tell: (response, told) =>
    // The rest of it, its connection too, is the response's own.
    Object.create(response, {
      headers: { value: Headers.setAll(response.headers, told), enumerable: true }
    }) as HttpClientResponse.HttpClientResponse
}

/**
 * A client that answers from a cache, and what can be done with the cache.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cached extends Table {
  readonly client: HttpClient.HttpClient
}

/**
 * A client that keeps the responses of another one and obeys what they say. Wrap the bare client: one that fails for
 * statuses would hide 304 and 503 from the cache.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { Swr } from "effect-swr"
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * let asked = 0
 * const origin = HttpClient.make((request) =>
 *   Effect.sync(() => {
 *     asked++
 *     return HttpClientResponse.fromWeb(request, new Response("hello", { headers: { "cache-control": "max-age=60" } }))
 *   })
 * )
 *
 * const program = Effect.gen(function*() {
 *   const { client } = yield* HttpCache.make(origin)
 *   yield* client.get("http://example.com/")
 *   const response = yield* client.get("http://example.com/")
 *   return [yield* response.text, response.headers["x-cache"], asked]
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // [ 'hello', 'HIT', 1 ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  origin: HttpClient.HttpClient,
  options: Options = {}
): Effect.Effect<Cached, never, Swr.Cache> =>
  Effect.gen(function*() {
    const { answer, ...table } = yield* HttpExchange.make(client, HttpRoute.decode(options))
    const { postprocess, preprocess } = origin
    const cached = HttpClient.makeWith<
      HttpClientError.HttpClientError,
      never,
      HttpClientError.HttpClientError,
      never
    >((asking) =>
      Effect.flatMap(asking, (request) => {
        const url = HttpClientRequest.toUrl(request)
        // What has no URL has no key, an upgrade is not an answer, and a body, or a host of its own, is in no key.
        const hasBody = request.method === "GET" && request.body._tag !== "Empty"
        const isOdd = hasBody || request.headers["upgrade"] !== undefined || request.headers["host"] !== undefined
        if (Option.isNone(url) || isOdd) {
          return postprocess(Effect.succeed(request))
        }
        url.value.hash = ""
        return Effect.map(
          answer(
            reaching({ method: request.method, url: url.value.href, headers: request.headers }),
            (wanted) => postprocess(Effect.succeed(wanted === undefined ? request : asked(request, wanted)))
          ),
          (response) => owned(request, response)
        )
      }), preprocess)
    return { ...table, client: cached }
  })

/**
 * The client of {@link make} as a layer, around the client that it is provided with.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { Swr } from "effect-swr"
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * const origin = HttpClient.make((request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, new Response("hello")))
 * )
 *
 * const layer = HttpCache.layerClient({ shared: false }).pipe(
 *   Layer.provide([Layer.succeed(HttpClient.HttpClient, origin), Swr.layer()])
 * )
 *
 * const program = Effect.flatMap(HttpClient.get("http://example.com/"), (response) => response.text)
 *
 * Effect.runPromise(Effect.provide(program, layer)).then(console.log) // hello
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (
  options: Options = {}
): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | Swr.Cache> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.flatMap(HttpClient.HttpClient, (origin) => Effect.map(make(origin, options), ({ client }) => client))
  )

const asked = (
  request: HttpClientRequest.HttpClientRequest,
  wanted: HttpPolicy.Request
): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.makeWith(
    "GET",
    request.url,
    request.urlParams,
    Option.none(),
    Headers.fromInput(wanted.headers),
    HttpBody.empty
  )

// A response says what it answers: this reader's request, and not the one it was loaded by.
const owned = (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpClientResponse.HttpClientResponse
): HttpClientResponse.HttpClientResponse =>
  response.request === request
    ? response
    : Object.create(response, {
      request: { value: request, enumerable: true }
    }) as HttpClientResponse.HttpClientResponse

// ----- anybody's responses

/**
 * A response with its body: all of it, or as it comes. Fields are kept and given as they are; of one that came in
 * several lines that can't be joined, such as `Set-Cookie`, all lines in an array. The same one is given to many: its
 * fields can't be changed, and its bytes must not be, neither by who is given them nor by who answered with them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message extends Response {
  readonly body: Uint8Array | Stream.Stream<Uint8Array, unknown>
}

/**
 * A cache of what anything answers to anything: for a proxy, or for a server or client that is not Effect's.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exchange extends Table {
  /**
   * Answers from the cache, or asks. `forward` is told what to ask for: once for all who ask meanwhile, conditional on
   * what is kept, and without what is one reader's; or `undefined`, which is this reader's request as it came. The URL
   * is absolute, or `Host` is among the fields.
   */
  readonly answer: <E>(
    request: Request,
    forward: (wanted: Request | undefined) => Effect.Effect<Message, E>
  ) => Effect.Effect<Message, E>
}

const message: HttpExchange.Medium<Message> = {
  head: (response) => response,
  body: (response) => response.body,
  kind: () => "unreachable",
  release: () => Effect.void,
  // The same one is given to many: who adds a field to it makes another one.
  isValue: true,
  make: (request, { headers, status }, body) =>
    Object.freeze({
      status,
      headers: HttpHeaders.frozen(headers),
      body: request.method === "HEAD" ? new Uint8Array() : body
    }),
  tell: (response, told) => ({ ...response, headers: { ...response.headers, ...told } })
}

/**
 * Builds a cache that stands between who asks and who answers, whoever they are.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * const origin = Effect.sync((): HttpCache.Message => ({
 *   status: 200,
 *   headers: { "cache-control": "max-age=60" },
 *   body: new TextEncoder().encode("hello")
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const { answer } = yield* HttpCache.exchange()
 *   const request = { method: "GET", url: "http://example.com/", headers: {} }
 *   yield* answer(request, () => origin)
 *   const response = yield* answer(request, () => origin)
 *   return response.headers["x-cache"]
 * })
 *
 * Effect.runPromise(Effect.provide(program, Swr.layer())).then(console.log) // HIT
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const exchange = (options: Options = {}): Effect.Effect<Exchange, never, Swr.Cache> =>
  Effect.map(HttpExchange.make(message, HttpRoute.decode(options)), ({ answer, ...table }) => ({
    ...table,
    answer: (request, forward) => answer(reaching(request), forward)
  }))

// What `Connection` takes from a request does not reach the origin. In the key it would name what nobody was asked for.
const reaching = (request: Request): Request => {
  const { connection, "transfer-encoding": coding } = request.headers
  return connection === undefined || connection === "keep-alive" || connection === "close"
    ? request
    // That it brings a body is still to be seen.
    : { ...request, headers: { ...HttpHeaders.endToEnd(request.headers), "transfer-encoding": coding } }
}

/**
 * The fields without those that are said to the next one and no further (RFC 9110, 7.6.1): `Connection`, what it names,
 * `Keep-Alive`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`, `Proxy-*`.
 *
 * @example
 * ```ts
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * console.log(HttpCache.endToEnd({ connection: "close, x-hop", "x-hop": "1", "x-end": "2" })) // { 'x-end': '2' }
 * ```
 *
 * @since 0.1.0
 * @category fields
 */
export const endToEnd = (headers: Response["headers"]): Response["headers"] => HttpHeaders.endToEnd(headers)

// ----- a server's responses

/**
 * A cache of a server's own responses.
 *
 * @since 0.1.0
 * @category models
 */
export interface Responses extends Table {
  /**
   * Answers from the cache, or runs the application: once for all who ask meanwhile, detached from who asked first, and
   * again behind the readers' backs.
   */
  readonly cached: (
    route?: Route
  ) => <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ) => Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    E,
    R | HttpServerRequest.HttpServerRequest | Scope.Scope
  >
  /** By the pattern of a route, or a path: what is below it goes too, what is above it stays. */
  readonly invalidateRoute: (pattern: string) => Effect.Effect<void, Store.StoreError>
}

/**
 * The cache of a server's own responses.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
 * import { Swr } from "effect-swr"
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * let runs = 0
 * const Routes = HttpRouter.add("GET", "/price", Effect.sync(() => HttpServerResponse.text(`price ${++runs}`))).pipe(
 *   Layer.provide(HttpCache.route({ freshFor: "1 minute", maxAge: "5 minutes" }).layer)
 * )
 * const App = Routes.pipe(Layer.provide(HttpCache.layer()), Layer.provide(Swr.layer()))
 *
 * const program = Effect.gen(function*() {
 *   const { handler } = HttpRouter.toWebHandler(Layer.provide(App, HttpServer.layerServices), { disableLogger: true })
 *   const get = Effect.promise(() => handler(new Request("http://localhost/price")))
 *   yield* get
 *   const response = yield* get
 *   return [response.headers.get("x-cache"), yield* Effect.promise(() => response.text())]
 * })
 *
 * Effect.runPromise(program).then(console.log) // [ 'HIT', 'price 1' ]
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class HttpCache extends Context.Service<HttpCache, Responses>()("effect-swr/HttpCache") {}

// The cache around a handler hears what is said further in, where the route is known.
interface Around {
  route: Route
  readonly request: HttpServerRequest.HttpServerRequest
  pattern: string | undefined
}

const Around = Context.Reference<Around | undefined>("effect-swr/HttpCache/Around", { defaultValue: () => undefined })

// What a handler does to its response just before it is sent. Effect finds it by this name, and has no other for it.
interface Sending {
  preResponseHandler: HttpEffect.PreResponseHandler | undefined
  loggerDisabled: boolean
}

const Sending = Context.Service<Sending>("effect/http/HttpEffect/CurrentRequestState")

// A response may live on what its handler acquired, until it has been read.
const scopes = new WeakMap<HttpServerResponse.HttpServerResponse, Scope.Closeable>()

// How a handler failed that saw the request whole: a failure of that reader's, and of nobody else's.
class Own {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

// Of routes whose responses are not kept.
const off = new WeakSet<HttpServerResponse.HttpServerResponse>()

const server: HttpExchange.Medium<HttpServerResponse.HttpServerResponse> = {
  head: (response) => {
    const head = headOf(response)
    return off.has(response) ? { ...head, headers: { ...head.headers, "cache-control": "no-store" } } : head
  },
  body: (response) => {
    switch (response.body._tag) {
      case "Empty":
        return new Uint8Array()
      case "Uint8Array":
        return response.body.body
      case "Stream":
        return response.body.stream
      default:
        return HttpServerResponse.toClientResponse(response).stream
    }
  },
  make: (_, head, body) => answerOf(head, body, false),
  tell: (response, told) => {
    const answer = HttpServerResponse.setHeaders(response, told)
    const scope = scopes.get(response)
    if (scope !== undefined) scopes.set(answer, scope)
    return answer
  },
  // A handler that fails is a server that answers 500, but for what Effect takes for something else.
  kind: (error) => Cause.isNoSuchElementError(error) ? 404 : Predicate.isTagged(error, "SchemaError") ? 400 : 500,
  isOwn: (error) => error instanceof Own,
  release: (response) => {
    const scope = scopes.get(response)
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  },
  // What is around all routes runs uninterruptibly, as Effect's server has it. A reader that has left does not wait.
  wait: Effect.interruptible,
  isValue: true
}

// The `Host` that came over the wire; nothing where that can't be told from what middleware made of it.
const hostSent = ({ headers, source }: HttpServerRequest.HttpServerRequest): unknown => {
  if (!("headers" in source) || typeof source.headers !== "object" || source.headers === null) return headers["host"]
  if (source.headers instanceof globalThis.Headers) return source.headers.get("host") ?? undefined
  return "host" in source.headers ? source.headers.host : undefined
}

const authority = /^(https?:)(\/\/[^/?#]*)/i

// What a request asks for. Where its URL is put together from `Host`, by whoever received it, that has to be a host.
const askingOf = (request: HttpServerRequest.HttpServerRequest): HttpPolicy.Request => {
  const { headers, method, originalUrl, protocol } = request
  const { host } = headers
  if (host !== undefined && !HttpPolicy.isHost(host)) return { method, url: "", headers }
  // Behind a proxy that is trusted, scheme and host are those that it was asked by.
  const isMoved = host !== undefined && host !== hostSent(request)
  if (!isMoved && protocol === undefined) return { method, url: originalUrl, headers }
  const [named = "", scheme = "http:", at = ""] = authority.exec(originalUrl) ?? []
  if (!isMoved && named === "") return { method, url: originalUrl, headers }
  const to = `${protocol === undefined ? scheme : `${protocol}:`}${isMoved ? `//${host}` : at}`
  return { method, url: `${to}${originalUrl.slice(named.length)}`, headers }
}

// What the key does not cover, the handler does not see. An absolute URL says the host, whatever `Host` says.
const narrowed = (
  request: HttpServerRequest.HttpServerRequest,
  route: Route
): HttpServerRequest.HttpServerRequest => {
  const fields = HttpRoute.visible(route)
  const { url } = askingOf(request)
  const host = HttpPolicy.target({ method: "GET", url, headers: request.headers }, "http")?.[1]
  const headers = Headers.fromInput({
    ...Object.fromEntries(Object.entries(request.headers).filter(([name]) => fields.includes(name))),
    host
  })
  // A HEAD is answered from the answer to a GET.
  const asGet = (narrow: HttpServerRequest.HttpServerRequest): HttpServerRequest.HttpServerRequest =>
    Object.create(narrow, {
      method: { value: "GET", enumerable: true },
      originalUrl: { value: url, enumerable: true },
      headers: { value: narrow.headers, enumerable: true },
      // A router that takes a prefix off makes another one.
      modify: { value: (options: Parameters<typeof narrow.modify>[0]) => asGet(narrow.modify(options)) }
    }) as HttpServerRequest.HttpServerRequest
  const narrow = request.modify({ headers, remoteAddress: Option.none() })
  return request.method === "GET" && url === request.originalUrl ? narrow : asGet(narrow)
}

const finished = (
  response: HttpServerResponse.HttpServerResponse,
  route: Route
): HttpServerResponse.HttpServerResponse => {
  // A form is given its type, with the border between its parts, where it becomes bytes: once.
  const told = response.body._tag === "FormData"
    ? HttpServerResponse.fromClientResponse(HttpServerResponse.toClientResponse(response))
    : response
  const answer = HttpServerResponse.setHeaders(told, HttpRoute.said(told, route))
  if (route.enabled === false) off.add(answer)
  return answer
}

/**
 * Builds the cache of a server's own responses. The options of a route are those of all routes that say nothing else.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Swr } from "effect-swr"
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * const program = HttpCache.HttpCache.use(({ invalidateRoute }) => invalidateRoute("/price"))
 *
 * Effect.runPromise(
 *   program.pipe(Effect.provide(HttpCache.layer()), Effect.provide(Swr.layer()), Effect.as("gone"))
 * ).then(console.log) // gone
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options & Route = {}): Layer.Layer<HttpCache, never, Swr.Cache> =>
  Layer.effect(
    HttpCache,
    Effect.gen(function*() {
      const decoded = HttpRoute.decodeOwn(options)
      const { answer, ...table } = yield* HttpExchange.make(server, decoded)

      const cached = (route: Route = {}) => {
        const own = HttpRoute.checked({ ...options, ...route }, decoded.rules)
        return <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
          Effect.contextWith((
            context: Context.Context<R | HttpServerRequest.HttpServerRequest | Scope.Scope>
          ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> => {
            const request = Context.get(context, HttpServerRequest.HttpServerRequest)
            const around = Context.get(context, Around)
            if (around !== undefined) {
              around.route = { ...around.route, ...route }
              // Where the router took a prefix off, it stays off.
              const whole = around.request.modify({ url: request.url })
              return Effect.provideService(app, HttpServerRequest.HttpServerRequest, shown(whole, around.route))
            }
            if (own.enabled === false) return app
            const asking = askingOf(request)
            const box: Around = { route: own, request, pattern: undefined }
            const outer = Context.get(context, Scope.Scope)
            const forward = (wanted: HttpPolicy.Request | undefined) =>
              wanted === undefined
                ? Effect.provideContext(app, context)
                : detached(app, context, box)
            const answered = Effect.mapError(
              answer(asking, forward, () => HttpRoute.labels(asking, box.pattern)),
              // It was put into one for who shares the load.
              (error) => error instanceof Own ? error.error as E : error
            )
            return Effect.flatMap(answered, (response) => {
              const scope = scopes.get(response)
              return scope === undefined
                ? Effect.succeed(response)
                : Effect.as(Scope.addFinalizer(outer, Scope.close(scope, Exit.void)), response)
            })
          })
      }

      return HttpCache.of({
        ...table,
        cached,
        invalidateRoute: (pattern) => HttpRoute.invalidateRoute(table, pattern)
      })
    })
  )

// Of a route that is left out nothing is kept, and nobody else is given it.
const shown = (
  request: HttpServerRequest.HttpServerRequest,
  route: Route
): HttpServerRequest.HttpServerRequest => route.enabled === false ? request : narrowed(request, route)

// Runs the application for whoever asks, and not for one reader: in a scope of its own, on a narrowed request.
const detached = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  context: Context.Context<R | HttpServerRequest.HttpServerRequest | Scope.Scope>,
  box: Around
): Effect.Effect<HttpServerResponse.HttpServerResponse, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) => {
      const sending: Sending = { preResponseHandler: undefined, loggerDisabled: false }
      const inner = context.pipe(
        Context.add(Scope.Scope, scope),
        Context.add(HttpServerRequest.HttpServerRequest, narrowed(box.request, box.route)),
        Context.add(Sending, sending),
        Context.add(Around, box)
      )
      const send = (response: HttpServerResponse.HttpServerResponse) =>
        Effect.catch(
          sending.preResponseHandler?.(shown(box.request, box.route), response) ?? Effect.succeed(response),
          HttpServerRespondable.toResponse
        )
      const answering = Effect.flatMap(responding(routed(app, box)), send)
      // In the span of the load: the reader's will have ended when it is a refresh.
      const running = Effect.contextWith((own: Context.Context<never>) => {
        const span = Context.getOrUndefined(own, Tracer.ParentSpan)
        const traced = span === undefined ? inner : Context.add(inner, Tracer.ParentSpan, span)
        return Effect.provideContext(answering, traced)
      })
      return Effect.matchCauseEffect(restore(running), {
        onFailure: (cause) => {
          const told = box.route.enabled === false ? Cause.map(cause, (error) => new Own(error) as E) : cause
          return Effect.andThen(Scope.close(scope, Exit.failCause(cause)), Effect.failCause(told))
        },
        onSuccess: (response) => {
          const answer = finished(response, box.route)
          scopes.set(answer, scope)
          return Effect.succeed(answer)
        }
      })
    })
  )

// Which route it was: a cache that is around a router learns it only when that has found one.
const routed = <A, E, R>(app: Effect.Effect<A, E, R>, box: Around): Effect.Effect<A, E, R> =>
  Effect.flatMap(app, (answer) =>
    Effect.contextWith((context: Context.Context<never>) => {
      box.pattern = Context.getOrUndefined(context, HttpRouter.RouteContext)?.route.path
      return Effect.succeed(answer)
    }))

// A failure that says which response it is, is one.
const responding = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> =>
  Effect.catchCause(
    app,
    (cause) =>
      cause.reasons.some((reason) =>
          reason._tag !== "Interrupt" && isResponse(reason._tag === "Fail" ? reason.error : reason.defect)
        )
        ? Effect.map(HttpServerError.causeResponse(cause), ([response]) => response)
        : Effect.failCause(cause)
  )

const isResponse = (thrown: unknown): boolean =>
  HttpServerResponse.isHttpServerResponse(thrown) || HttpServerRespondable.isRespondable(thrown)

/**
 * Keeps the responses of the routes that its `layer` is provided to.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * const Routes = HttpRouter.add("GET", "/price", HttpServerResponse.text("12")).pipe(
 *   Layer.provide(HttpCache.route({ freshFor: "1 minute", vary: ["accept-language"] }).layer)
 * )
 * console.log(Layer.isLayer(Routes)) // true
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const route = (route: Route = {}) => HttpRouter.middleware(Effect.map(HttpCache, ({ cached }) => cached(route)))

/**
 * Keeps the responses of all routes. What {@link route} says further in holds for its own; there, `enabled: false`
 * leaves a route out.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import * as HttpCache from "effect-swr/HttpCache"
 *
 * console.log(Layer.isLayer(HttpCache.layerGlobal({ freshFor: "10 seconds" }))) // true
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerGlobal = (route: Route = {}) =>
  HttpRouter.middleware(Effect.map(HttpCache, ({ cached }) => cached(route)), { global: true })
