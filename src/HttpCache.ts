/**
 * An HTTP cache on the caches of this library: RFC 9111 and 5861 as they are written, one request to the origin however
 * many ask, refreshes behind the readers' backs that no reader waits for, and old answers while the origin is sick.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Layer, Option, type Stream } from "effect"
import {
  Cookies,
  Headers,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
  HttpServerResponse
} from "effect/http"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import * as Policy from "./Policy.ts"
import type * as Swr from "./Swr.ts"

/**
 * How a cache keeps and gives responses. Where the rules leave something open, the defaults are on the safe side.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Of the cache, one per layer; also its name in `Cache-Status`. Default `"http"`. */
  readonly name?: string | undefined
  /** Whether what is kept is for more than one user. Default true: nothing private is kept. */
  readonly shared?: boolean | undefined
  /** Whether responses with `Set-Cookie` are kept, as the RFC allows. Default: only where not shared. */
  readonly setCookie?: boolean | undefined
  /** Whether requests with cookies are answered from a shared cache; by default they go to the origin. */
  readonly ignoreCookies?: boolean | undefined
  /**
   * Whether beside `s-maxage` stale-while-revalidate and stale-if-error mean something. Default false: by RFC 9111,
   * 5.2.2.10 they don't.
   */
  readonly sMaxageAllowsStale?: boolean | undefined
  /** How stale a response may be given when the origin can't be reached, without stale-if-error. Default 0: never. */
  readonly staleOnDisconnect?: Duration.Input | undefined
  /** Whether requests may ask for something fresher. Default true; a public proxy that obeys can be made to miss. */
  readonly obeyRequests?: boolean | undefined
  /** Targeted fields that stand in place of `Cache-Control`. Default `CDN-Cache-Control`, where shared. */
  readonly targets?: ReadonlyArray<string> | undefined
  /** The only statuses that are kept. Default: all that may be. */
  readonly statuses?: ReadonlyArray<number> | undefined
  /** The longest body that is kept, in bytes; a longer one is passed through as it comes. Default 2 MiB. */
  readonly maxBody?: number | undefined
  /** Of all bodies together, in bytes. Default 64 MiB. */
  readonly maxBytes?: number | undefined
  /** How many responses are kept. Default 10,000. */
  readonly capacity?: number | undefined
  /** How many variants of one URI are kept. Default 32. */
  readonly variants?: number | undefined
  /** How long what may no longer be given is kept, to ask whether it still holds. Default an hour. */
  readonly retain?: Duration.Input | undefined
  /** Bounds a request to the origin as a whole. Default a minute. */
  readonly timeout?: Duration.Input | undefined
  /** Labels by which `invalidateTag` finds a response. */
  readonly tags?: ((request: Request, response: Response) => ReadonlyArray<string>) | undefined
}

/**
 * A request, as far as caches look at it.
 *
 * @since 0.1.0
 * @category models
 */
export type Request = HttpPolicy.Request

/**
 * A response without its body.
 *
 * @since 0.1.0
 * @category models
 */
export type Response = HttpPolicy.Response

/**
 * What can be done with what is kept, beside reading it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Table {
  /** All variants of a URL are gone; a request that is under way is not kept. */
  readonly invalidate: (url: string) => Effect.Effect<void>
  readonly invalidateTag: (tag: string) => Effect.Effect<void>
  readonly clear: Effect.Effect<void>
  readonly stats: Effect.Effect<Swr.Stats>
}

const decode = (options: Options): HttpExchange.Options => {
  const { ignoreCookies = false, name = "http", setCookie, shared = true, statuses, targets, timeout = "1 minute" } =
    options
  const count = (option: "maxBody" | "maxBytes" | "capacity" | "variants", otherwise: number, least: number) => {
    const given = options[option] ?? otherwise
    return Number.isSafeInteger(given) && given >= least
      ? given
      : Policy.refuse(option, given, `a whole number from ${least} up`)
  }
  return {
    name,
    ignoreCookies,
    rules: HttpPolicy.rules({
      shared,
      ...setCookie !== undefined && { setCookie },
      ...targets !== undefined && { targets: targets.map((target) => target.toLowerCase()) },
      statuses,
      sMaxageAllowsStale: options.sMaxageAllowsStale ?? false,
      obeyRequests: options.obeyRequests ?? true,
      staleOnDisconnect: Policy.millis("staleOnDisconnect", options.staleOnDisconnect ?? 0),
      maxBody: count("maxBody", 2 ** 21, 0)
    }),
    scheme: "http",
    maxBytes: count("maxBytes", 2 ** 26, 1),
    capacity: count("capacity", 10_000, 1),
    variants: count("variants", 32, 1),
    retain: Policy.millis("retain", options.retain ?? "1 hour"),
    timeout,
    tags: options.tags ?? (() => [])
  }
}

// ----- a client's responses

const headOf = ({ cookies, headers, status }: {
  readonly status: number
  readonly headers: Headers.Headers
  readonly cookies: Cookies.Cookies
}): HttpPolicy.Response => ({
  status,
  headers: Cookies.isEmpty(cookies) ? headers : { ...headers, "set-cookie": Cookies.toSetCookieHeaders(cookies) }
})

const answerOf = (
  head: HttpPolicy.Response,
  body: Uint8Array | Stream.Stream<Uint8Array, unknown>,
  isBare: boolean
): HttpServerResponse.HttpServerResponse => {
  const { "set-cookie": setCookie = [], ...rest } = head.headers
  const cookies = Cookies.fromSetCookie(setCookie)
  const headers = Headers.fromInput(rest)
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
  body: (response) => response.stream,
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
    const { answer, ...table } = yield* HttpExchange.make(client, decode(options))
    const { postprocess, preprocess } = origin
    const cached = HttpClient.makeWith<
      HttpClientError.HttpClientError,
      never,
      HttpClientError.HttpClientError,
      never
    >((asking) =>
      Effect.flatMap(asking, (request) => {
        const url = HttpClientRequest.toUrl(request)
        // An upgrade is not an answer, and what has no URL has no key.
        if (Option.isNone(url) || request.headers["upgrade"] !== undefined) return postprocess(Effect.succeed(request))
        url.value.hash = ""
        return Effect.map(
          answer(
            { method: request.method, url: url.value.href, headers: request.headers },
            (wanted) => postprocess(Effect.succeed(wanted === undefined ? request : asked(request, wanted)))
          ),
          (response) => owned(request, response)
        )
      }), preprocess)
    return { ...table, client: cached }
  })

/**
 * {@link make} as a layer, around the client that it is provided with.
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
