/**
 * What is asked of an HTTP cache: its options, and what a server's routes say of their own responses. Shared by servers
 * of Effect and those of others, which load none of Effect's own.
 *
 * @since 0.1.0
 */
import type { Duration, Effect } from "effect"
import type * as HttpExchange from "./HttpExchange.ts"
import * as HttpHeaders from "./HttpHeaders.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import * as Policy from "./Policy.ts"
import type * as Store from "./Store.ts"
import type * as Swr from "./Swr.ts"

/**
 * How a cache keeps and gives responses. Where the rules leave something open, the defaults are on the safe side.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Of the cache, one per layer, and in `Cache-Status`. Default `"http"`, of a server's own `"responses"`. */
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
  /**
   * Whether requests may ask for something fresher, or forbid to keep the answer. Default true; a public proxy that
   * obeys can be made to miss.
   */
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
 * What can be done with what is kept, beside reading it. Where a store can't be told, the call fails after memory has
 * been changed, and the store is told as soon as it can be.
 *
 * @since 0.1.0
 * @category models
 */
export interface Table {
  /** All variants of a URL are gone; a request that is under way is not kept. */
  readonly invalidate: (url: string) => Effect.Effect<void, Store.StoreError>
  readonly invalidateTag: (tag: string) => Effect.Effect<void, Store.StoreError>
  readonly clear: Effect.Effect<void, Store.StoreError>
  readonly stats: Effect.Effect<Swr.Stats>
}

/**
 * Options as an exchange takes them. Throws `InvalidPolicy`.
 *
 * @internal
 */
export const decode = (options: Options): HttpExchange.Options => {
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
    makesTags: false,
    tags: options.tags ?? (() => [])
  }
}

// ----- a server's responses

/**
 * What a route says of its own responses. Where it says how long they are fresh, those that went well are kept for so
 * long, unless the handler says otherwise in `Cache-Control`; where it doesn't, that field decides alone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Route {
  /** Whether responses are kept at all. Default true. */
  readonly enabled?: boolean | undefined
  /** How long a response is fresh, in whole seconds. */
  readonly freshFor?: Duration.Input | undefined
  /** From this age on a reader waits for a new one; between the two it is given the old one. Default `freshFor`. */
  readonly maxAge?: Duration.Input | undefined
  /** How long beyond `freshFor` an old one may stand in for a handler that fails. Default 0: never. */
  readonly staleIfError?: Duration.Input | undefined
  /**
   * The request's fields that the handler looks at; each value is kept apart. A handler whose responses are kept sees
   * these, `Host` and the URL, and nothing else of the request. Not `cookie` and `authorization`: who sends them is
   * answered past a shared cache.
   */
  readonly vary?: ReadonlyArray<string> | undefined
}

/**
 * Options as an exchange of a server's own responses takes them. Throws `InvalidPolicy`.
 *
 * @internal
 */
export const decodeOwn = (options: Options & Route): HttpExchange.Options => {
  const decoded = decode({ ...options, name: options.name ?? "responses" })
  checked(options, decoded.rules)
  // How long its own answers are fresh, a server says; nobody guesses.
  return { ...decoded, rules: { ...decoded.rules, longestGuess: 0 }, makesTags: true }
}

// HTTP counts in seconds.
const seconds = (option: string, input: Duration.Input): number => {
  const millis = Policy.millis(option, input)
  return millis === 0 || millis >= 1000
    ? Math.floor(millis / 1000)
    : Policy.refuse(option, input, "0 or at least a second")
}

/**
 * What a route's windows say in `Cache-Control`. Throws `InvalidPolicy`.
 *
 * @internal
 */
export const controlOf = ({ freshFor, maxAge, staleIfError }: Route): string | undefined => {
  if (freshFor === undefined) return undefined
  const fresh = seconds("freshFor", freshFor)
  const stale = maxAge === undefined ? 0 : seconds("maxAge", maxAge) - fresh
  if (stale < 0) return Policy.refuse("freshFor", freshFor, "at most maxAge")
  const error = staleIfError === undefined ? 0 : seconds("staleIfError", staleIfError)
  return [
    `max-age=${fresh}`,
    ...stale > 0 ? [`stale-while-revalidate=${stale}`] : [],
    ...error > 0 ? [`stale-if-error=${error}`] : []
  ].join(", ")
}

/**
 * Refuses what a route can't mean, before anybody asks for it. Throws `InvalidPolicy`.
 *
 * @internal
 */
export const checked = <R extends Route>(route: R, { shared }: HttpPolicy.Rules): R => {
  controlOf(route)
  for (const name of visible(route)) {
    // What varies by them is kept nowhere, and nobody would be told why.
    const isPersonal = shared && HttpPolicy.personal.includes(name)
    if (isPersonal || name === "*" || !HttpHeaders.isToken(name)) {
      Policy.refuse("vary", name, "names of fields, and of those of a shared cache neither cookie nor authorization")
    }
  }
  return route
}

/**
 * The request's fields that a route's handler is given.
 *
 * @internal
 */
export const visible = (route: Route): ReadonlyArray<string> => (route.vary ?? []).map((name) => name.toLowerCase())

/**
 * What a route adds to the fields of a response. One that never ends can't be kept.
 *
 * @internal
 */
export const said = ({ headers, status }: Response, route: Route): Readonly<Record<string, string>> => {
  const { "cache-control": own, vary } = headers
  const isGood = status >= 200 && status <= 299 && !HttpPolicy.isEndless(headers)
  const control = own === undefined && isGood && route.enabled !== false ? controlOf(route) : undefined
  const fields = [...vary === undefined ? [] : [vary].flat(), ...visible(route)].join(", ")
  return { ...control !== undefined && { "cache-control": control }, ...fields !== "" && { vary: fields } }
}

// ----- by which they are found again

// Each of its parents too, so that what is below a pattern is found by it. Below the root is all there is.
const parents = (path: string): ReadonlyArray<string> => {
  const parts = (/^[^?#]*/.exec(path)?.[0] ?? "").split("/").filter((part) => part !== "").slice(0, 16)
  return parts.map((_, i) => ["route:", ...parts.slice(0, i + 1)].join("/"))
}

/**
 * All that is below a path or a pattern is gone.
 *
 * @internal
 */
export const invalidateRoute = (table: Table, path: string): Effect.Effect<void, Store.StoreError> => {
  const tag = parents(path).at(-1)
  return tag === undefined ? table.clear : table.invalidateTag(tag)
}

/**
 * By which a response is found: its path and its route's pattern, each with what is above it.
 *
 * @internal
 */
export const labels = (request: Request, pattern = "/"): ReadonlyArray<string> => [
  ...new Set([...parents(HttpPolicy.target(request, "http")?.[2] ?? "/"), ...parents(pattern)])
]
