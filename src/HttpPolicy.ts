/**
 * What a cache may do with an HTTP response: RFC 9111 (caching), 5861 (stale-while-revalidate, stale-if-error), 8246
 * (immutable) and 9213 (targeted fields), as arithmetic over a time that is handed in.
 *
 * ```
 * response -> refusal? -> store -> Stored -> evaluate -> Fresh | Stale | Validate | Bypass | Unavailable
 *                           ^                               |
 *                           +-------- update (304) <--------+
 * ```
 *
 * All times and spans are in milliseconds.
 *
 * @since 0.1.0
 */
import * as Headers from "./HttpHeaders.ts"

/** A request, as far as caches look at it. */
export interface Request {
  readonly method: string
  /** As it was received: absolute, or a path. */
  readonly url: string
  readonly headers: Headers.Headers
}

/** A response without its body. */
export interface Response {
  readonly status: number
  readonly headers: Headers.Headers
}

/** When a response was asked for and when its head arrived. */
export interface Times {
  readonly requestedAt: number
  readonly receivedAt: number
}

/** How a cache reads the rules. */
export interface Rules {
  /** Whether its responses are for more than one user. Default true. */
  readonly shared: boolean
  /** Targeted fields it obeys, the first that can be read before all others. Default `cdn-cache-control`, if shared. */
  readonly targets: ReadonlyArray<string>
  /** Whether responses with `Set-Cookie` are stored, as the RFC allows. Default: only by a private cache. */
  readonly setCookie: boolean
  /** Whether beside `s-maxage` stale-while-revalidate and stale-if-error mean something; by RFC 9111 they don't. */
  readonly sMaxageAllowsStale: boolean
  /** How stale a response may be given when no origin can be reached (RFC 9111, 4.2.4). Default 0: never. */
  readonly staleOnDisconnect: number
  /** Whether requests may say how fresh an answer has to be, or forbid to keep it. Who obeys can be made to miss. */
  readonly obeyRequests: boolean
  /** The longest freshness that is guessed from `Last-Modified`. Default a day. */
  readonly longestGuess: number
  /** The only statuses that are stored; by default all that may be. */
  readonly statuses: ReadonlyArray<number> | undefined
  /** The longest body that is stored, in bytes. */
  readonly maxBody: number
}

const DAY = 86_400_000

/** Rules, with the safe side of what is left open. */
export const rules = (given: Partial<Rules> = {}): Rules => {
  const { shared = true } = given
  return {
    shared,
    targets: shared ? ["cdn-cache-control"] : [],
    setCookie: !shared,
    sMaxageAllowsStale: false,
    staleOnDisconnect: 0,
    obeyRequests: true,
    longestGuess: DAY,
    statuses: undefined,
    maxBody: 2 ** 21,
    ...given
  }
}

// ----- what a response says

// The directives that hold for this cache, and whether they stand in for `Expires` as well.
const directivesOf = (headers: Headers.Headers, rules: Rules) => {
  for (const name of rules.targets) {
    const found = Headers.targeted(headers, name)
    if (found !== undefined) return { directives: found, isTargeted: true }
  }
  return { directives: Headers.directives(headers), isTargeted: false }
}

const heuristic = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]
const understood = [...heuristic, 302, 303, 307, 400, 401, 403, 451, 500, 502, 503, 504]

// Absent, or there with a length of life; one that can't be read is none at all.
const span = (directives: Headers.Directives, name: string): number | undefined => {
  const found = Headers.millis(directives, name)
  return found !== undefined && Number.isNaN(found) ? 0 : found
}

/** How long a response may be used, and from when that counts. */
export interface Freshness {
  /** How long it is fresh, from age 0. */
  readonly lifetime: number
  /** Its age when it was received. */
  readonly age: number
  readonly receivedAt: number
  /** Never used without asking first. */
  readonly validates: boolean
  /** Never used stale, for no reason. */
  readonly strict: boolean
  /** How long beyond its lifetime it may be used while it is refreshed, or while its origin fails. */
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly immutable: boolean
}

/**
 * How fresh a response is (RFC 9111, 4.2). Its age is the greater of what its `Date` and its `Age` say; a clock that
 * runs behind the origin's makes nothing younger.
 */
export const freshness = (response: Response, times: Times, rules: Rules): Freshness => {
  const { headers, status } = response
  const { directives, isTargeted } = directivesOf(headers, rules)
  const { receivedAt } = times
  const date = Headers.dateOf(headers, "date", receivedAt) ?? receivedAt
  const apparent = Math.max(0, receivedAt - date)
  const corrected = Headers.age(headers) + Math.max(0, receivedAt - times.requestedAt)
  const sMaxage = rules.shared ? span(directives, "s-maxage") : undefined
  const explicit = sMaxage ?? span(directives, "max-age") ??
    (!isTargeted && Headers.has(headers, "expires")
      ? (Headers.dateOf(headers, "expires", receivedAt) ?? -Infinity) - date
      : undefined)
  const isGuessed = explicit === undefined && (heuristic.includes(status) || directives.has("public"))
  const modified = isGuessed ? Headers.dateOf(headers, "last-modified", receivedAt) : undefined
  const guess = modified === undefined ? 0 : Math.min((date - modified) / 10, rules.longestGuess)
  const validates = directives.has("no-cache") && Headers.qualified(directives, "no-cache") === undefined
  const beyond = (name: string) => Headers.millis(directives, name) || 0
  return {
    lifetime: Math.min(Math.max(0, Math.floor(explicit ?? guess)), Headers.MOST_SECONDS * 1000),
    age: Math.max(apparent, corrected),
    receivedAt,
    validates,
    strict: validates || directives.has("must-revalidate") ||
      (rules.shared && directives.has("proxy-revalidate")) ||
      (sMaxage !== undefined && !rules.sMaxageAllowsStale),
    staleWhileRevalidate: beyond("stale-while-revalidate"),
    staleIfError: beyond("stale-if-error"),
    immutable: directives.has("immutable")
  }
}

/** The age of a response now. A clock that steps back makes it no younger than it came. */
export const age = (freshness: Freshness, now: number): number =>
  freshness.age + Math.max(0, now - freshness.receivedAt)

/** When a response is that old, by the clock that its age is counted with: no step of a wall clock makes it younger. */
export const timeAt = (freshness: Freshness, age: number): number => freshness.receivedAt + age - freshness.age

// ----- may it be stored

/** Why a response is not stored. */
export type Refusal =
  | "method"
  | "status"
  | "no-store"
  | "private"
  | "vary"
  | "authorization"
  | "set-cookie"
  | "implicit"
  | "useless"
  | "incomplete"
  | "size"
  | "endless"

/** Why a response may not be stored (RFC 9111, 3); `undefined` where it may. `length` is that of the body, in bytes. */
export const refusal = (
  request: Request,
  response: Response & { readonly length?: number | undefined },
  times: Times,
  rules: Rules
): Refusal | undefined => {
  const { headers, length, status } = response
  const { directives, isTargeted } = directivesOf(headers, rules)
  const said = (...names: ReadonlyArray<string>) => names.some((name) => directives.has(name))
  if (request.method !== "GET") return "method"
  if (!(status >= 200 && status <= 599) || status === 206 || status === 304) return "status"
  if (rules.statuses !== undefined && !rules.statuses.includes(status)) return "status"
  if (said("must-understand") && !understood.includes(status)) return "status"
  if (said("no-store") && !said("must-understand")) return "no-store"
  // One that is not obeyed must not void a page for all others either.
  if (rules.obeyRequests && Headers.directives(request.headers).has("no-store")) return "no-store"
  if (rules.shared && said("private") && Headers.qualified(directives, "private") === undefined) return "private"
  const fields = vary(headers)
  if (fields === "*" || (rules.shared && fields.some((field) => personal.includes(field)))) return "vary"
  const isShared = said("public", "must-revalidate") || said("s-maxage")
  if (rules.shared && Headers.has(request.headers, "authorization") && !isShared) return "authorization"
  if (!rules.setCookie && Headers.has(headers, "set-cookie")) return "set-cookie"
  const isExplicit = said("public", "max-age", "s-maxage") || (!rules.shared && said("private")) ||
    (!isTargeted && Headers.has(headers, "expires"))
  if (!isExplicit && !heuristic.includes(status)) return "implicit"
  if (isEndless(headers)) return "endless"
  if (length !== undefined && length > rules.maxBody) return "size"
  const announced = Headers.text(headers, "content-length")
  if (length !== undefined && announced !== undefined && announced !== String(length)) return "incomplete"
  const found = freshness(response, times, rules)
  const isValid = Headers.etag(headers) !== undefined ||
    Headers.dateOf(headers, "last-modified", times.receivedAt) !== undefined
  return isValid || life(found, rules) > found.age ? undefined : "useless"
}

/** Whether a body is one that never ends. */
export const isEndless = (headers: Headers.Headers): boolean =>
  /^\s*text\/event-stream/i.test(Headers.text(headers, "content-type") ?? "")

/** Of whom they are is in no shared answer. */
export const personal: ReadonlyArray<string> = ["cookie", "authorization"]

/** The age from which a response is of no use without its validators. */
const life = (freshness: Freshness, rules: Rules): number => {
  const { lifetime, staleIfError, staleWhileRevalidate, strict, validates } = freshness
  const beyond = strict ? 0 : Math.max(staleWhileRevalidate, staleIfError, rules.staleOnDisconnect)
  return validates ? 0 : lifetime + beyond
}

/** A response that was stored, beside its body. Plain data. */
export interface Stored extends Response {
  readonly headers: Headers.Fields
  readonly freshness: Freshness
  /** What the request said of the fields that `Vary` names, in the order of their names. */
  readonly variant: Variant
  /** Fields that may not be used again without asking (`no-cache="field"`). */
  readonly hidden: ReadonlyArray<string>
  /** Of its body, in bytes. */
  readonly length: number
}

const none: ReadonlyArray<never> = []

/**
 * A response as it is stored: without the fields of its connection and those that are private, with its `Date`. How
 * long it is, its body tells.
 */
export const store = (
  request: Request,
  response: Response & { readonly length: number },
  times: Times,
  rules: Rules
): Stored => {
  const { directives } = directivesOf(response.headers, rules)
  const secret = rules.shared ? Headers.qualified(directives, "private") ?? none : none
  const fields = vary(response.headers)
  const headers = Headers.endToEnd(response.headers)
  const date = Headers.has(headers, "date") ? {} : { date: Headers.formatDate(times.receivedAt) }
  return {
    status: response.status,
    headers: { ...Headers.without(headers, (name) => name === "content-length" || secret.includes(name)), ...date },
    freshness: freshness(response, times, rules),
    variant: fields === "*" || fields.length === 0 ? none : variant(fields, request.headers),
    hidden: Headers.qualified(directives, "no-cache") ?? none,
    length: response.length
  }
}

// ----- which of the stored ones

/** The fields that `Vary` names, sorted; `"*"` where nothing tells what the response varies by. */
export const vary = (headers: Headers.Headers): ReadonlyArray<string> | "*" => {
  const names = Headers.list(headers, "vary").map((name) => name.toLowerCase())
  return names.every((name) => name !== "*" && Headers.isToken(name)) ? [...new Set(names)].toSorted() : "*"
}

/** Fields and what a request says of them; `null` where it says nothing. */
export type Variant = ReadonlyArray<readonly [field: string, value: string | null]>

const negotiated = ["accept", "accept-charset", "accept-encoding", "accept-language"]

/**
 * What a request says of some fields (RFC 9111, 4.1). What means the same is the same: lines are joined, the space
 * around commas is gone, and where nothing is weighed, the order and case of what is accepted.
 */
export const variant = (fields: ReadonlyArray<string>, headers: Headers.Headers): Variant =>
  fields.map((field) => {
    const value = Headers.text(headers, field)
    if (value === undefined) return [field, null]
    if (!negotiated.includes(field)) {
      // Within quotes a space is a letter like others.
      const parts = value.includes(`"`) ? [value] : value.split(",")
      return [field, parts.map((part) => Headers.trim(part)).join(",")]
    }
    const members = Headers.list(headers, field)
    const isWeighed = members.some((member) => member.includes(";"))
    return [field, isWeighed ? members.join(",") : members.map((member) => member.toLowerCase()).toSorted().join(",")]
  })

/** Whether a request says of the fields what another one said. */
export const isVariant = (said: Variant, headers: Headers.Headers): boolean => {
  if (said.length === 0) return true
  const asked = variant(said.map(([field]) => field), headers)
  return said.every(([, value], i) => asked[i]?.[1] === value)
}

/** Which of the stored responses of a URI answers a request: of those that fit, the newest by `Date`. */
export const select = <S extends Stored>(candidates: ReadonlyArray<S>, headers: Headers.Headers): S | undefined => {
  const born = ({ freshness: { receivedAt }, headers }: S) => Headers.dateOf(headers, "date", receivedAt) ?? receivedAt
  return candidates.filter(({ variant }) => isVariant(variant, headers))
    .reduce<S | undefined>((best, next) => best === undefined || born(next) >= born(best) ? next : best, undefined)
}

// ----- may it be used

/** What a cache does with a request. */
export type Decision =
  /** Give it. */
  | { readonly _tag: "Fresh"; readonly age: number; readonly left: number }
  /** Give it, and where `refresh` is set, ask behind the reader's back. `left` is negative. */
  | { readonly _tag: "Stale"; readonly age: number; readonly left: number; readonly refresh: boolean }
  /** Go forward, with {@link conditions} of what is stored, and wait. */
  | { readonly _tag: "Validate"; readonly forward: "uri-miss" | "stale" | "request" }
  /** Go forward; neither use what is stored nor store what comes. */
  | { readonly _tag: "Bypass"; readonly forward: "method" | "request" }
  /** Going forward is forbidden: 504. */
  | { readonly _tag: "Unavailable" }

// What only an origin can judge (RFC 9111, 4.3.2).
const origins = ["if-match", "if-unmodified-since"]

const noDirectives: Headers.Directives = new Map()

const asked = (request: Request, rules: Rules): Headers.Directives => {
  if (!rules.obeyRequests) return noDirectives
  if (Headers.has(request.headers, "cache-control")) return Headers.directives(request.headers)
  if (!Headers.has(request.headers, "pragma")) return noDirectives
  return Headers.list(request.headers, "pragma").some((word) => word.toLowerCase() === "no-cache")
    ? new Map([["no-cache", true]])
    : noDirectives
}

/** What to do with a request for which this was selected, or nothing (RFC 9111, 4; in the order of http's rules). */
export const evaluate = (request: Request, stored: Stored | undefined, now: number, rules: Rules): Decision => {
  const said = asked(request, rules)
  const forward = (to: Decision): Decision => said.has("only-if-cached") ? { _tag: "Unavailable" } : to
  if (request.method !== "GET" && request.method !== "HEAD") return forward({ _tag: "Bypass", forward: "method" })
  if (origins.some((name) => Headers.has(request.headers, name)) || said.has("no-store")) {
    return forward({ _tag: "Bypass", forward: "request" })
  }
  if (stored === undefined) return forward({ _tag: "Validate", forward: "uri-miss" })
  const { freshness } = stored
  const years = age(freshness, now)
  const left = freshness.lifetime - years
  if (freshness.validates) return forward({ _tag: "Validate", forward: "stale" })
  if (isRefused(said, freshness, years)) return forward({ _tag: "Validate", forward: "request" })
  if (left > 0) return { _tag: "Fresh", age: years, left }
  if (!freshness.strict) {
    const refresh = -left < freshness.staleWhileRevalidate
    if (refresh || isContent(said, -left)) return { _tag: "Stale", age: years, left, refresh }
  }
  return forward({ _tag: "Validate", forward: "stale" })
}

// RFC 8246: while an immutable response is fresh, a reload asks in vain; a forced one (`no-cache`) does not.
const isRefused = (said: Headers.Directives, freshness: Freshness, age: number): boolean => {
  if (said.has("no-cache")) return true
  const most = span(said, "max-age")
  const isLasting = freshness.immutable && freshness.lifetime > age
  if (!isLasting && most !== undefined && (most === 0 || age > most)) return true
  const least = Headers.millis(said, "min-fresh")
  return least !== undefined && freshness.lifetime - age < least
}

const isContent = (said: Headers.Directives, staleness: number): boolean => {
  const most = said.get("max-stale") === true ? Infinity : Headers.millis(said, "max-stale")
  return most !== undefined && staleness <= most
}

/** The answers that are to who asked, and how, and not about what was asked for: they say nothing of what is kept. */
export const isReproach = (status: number): boolean => [400, 406, 408, 413, 414, 417, 421, 429, 431].includes(status)

/** The answers that are outages (RFC 5861, 4). */
export const isOutage = (status: number): boolean => [500, 502, 503, 504].includes(status)

/**
 * How long beyond its lifetime a response may stand in for its origin (RFC 5861, 4; RFC 9111, 4.2.4), when that
 * answered with an outage's status, or not at all.
 */
export const tolerance = (
  request: Request,
  { freshness }: Stored,
  failure: number | "unreachable",
  rules: Rules
): number => {
  const said = asked(request, rules)
  if (freshness.strict || said.has("no-cache") || said.has("no-store")) return 0
  if (failure !== "unreachable" && !isOutage(failure)) return 0
  return Math.max(
    freshness.staleIfError,
    Headers.millis(said, "stale-if-error") || 0,
    failure === "unreachable" ? rules.staleOnDisconnect : 0
  )
}

/**
 * What a reader is given when going forward failed: the stale response, the failure itself, or 504 where no answer came
 * and a stale one must not be given.
 */
export const onFailure = (
  request: Request,
  stored: Stored | undefined,
  failure: number | "unreachable",
  now: number,
  rules: Rules
): "stale" | "failure" | "unavailable" => {
  if (stored === undefined) return "failure"
  const window = tolerance(request, stored, failure, rules)
  if (window > 0 && age(stored.freshness, now) < stored.freshness.lifetime + window) return "stale"
  return stored.freshness.strict && failure === "unreachable" ? "unavailable" : "failure"
}

/** What a response asks of a cache for itself, in milliseconds, now. */
export interface Windows {
  readonly freshFor: number
  readonly maxAge: number
  readonly staleIfError: number
  readonly age: number
}

/**
 * The windows of a stored response, counted from its age 0. Where nothing may be given without asking, it comes with an
 * age at which it has expired.
 */
export const windows = ({ freshness }: Stored, now: number): Windows => {
  const { lifetime, staleIfError, staleWhileRevalidate, strict, validates } = freshness
  const freshFor = validates ? 0 : lifetime
  const maxAge = Math.max(1, strict ? freshFor : freshFor + staleWhileRevalidate)
  const years = age(freshness, now)
  return {
    freshFor,
    maxAge,
    staleIfError: strict ? 0 : staleIfError,
    age: freshFor === 0 && maxAge === 1 ? Math.max(1, years) : years
  }
}

// ----- asking again

/** What makes a request conditional on what is stored (RFC 9111, 4.3.1). */
export const conditions = (candidates: ReadonlyArray<Stored>): Headers.Headers => {
  const tags = candidates.filter(({ headers }) => Headers.etag(headers) !== undefined)
    .map(({ headers }) => Headers.text(headers, "etag"))
  const [stored] = candidates
  const modified = candidates.length === 1 && stored !== undefined &&
      Headers.dateOf(stored.headers, "last-modified", stored.freshness.receivedAt) !== undefined
    ? Headers.text(stored.headers, "last-modified")
    : undefined
  return {
    ...tags.length > 0 && { "if-none-match": tags.join(", ") },
    ...modified !== undefined && { "if-modified-since": modified }
  }
}

/** Fields that make a request conditional, or ask for a part. */
export const conditional: ReadonlyArray<string> = [
  "if-none-match",
  "if-modified-since",
  "if-range",
  "range",
  ...origins
]

/** Whether a request may wait for, and be given, what another one asked for. */
export const isShareable = (request: Request, rules: Rules): boolean =>
  request.method === "GET" && !conditional.some((name) => Headers.has(request.headers, name)) &&
  !(rules.shared && Headers.has(request.headers, "authorization"))

// Of one reader, or said to this cache and not to the origin.
const addresses = ["forwarded", "x-forwarded-for", "x-real-ip"]
const immediate = ["cache-control", "pragma", "content-length", "content-type", "expect"]

/**
 * The request that asks for a response on behalf of whoever reads it next: a `GET` without what is only this reader's,
 * conditional on what is stored.
 */
export const refresh = (request: Request, stored: ReadonlyArray<Stored>, rules: Rules): Request => {
  const drop = [...conditional, ...immediate, ...addresses, ...rules.shared ? personal : []]
  const fields = Headers.without(Headers.endToEnd(request.headers), (name) => drop.includes(name))
  return { method: "GET", url: request.url, headers: { ...fields, ...conditions(stored) } }
}

// What describes the body that is stored, and not the one that was not sent; and what is another reader's.
const unchanged = ["content-length", "content-encoding", "content-range", "set-cookie"]

const merge = (stored: Stored, response: Response): Headers.Headers => ({
  ...stored.headers,
  ...Headers.without(Headers.endToEnd(response.headers), (name) => unchanged.includes(name))
})

/**
 * A stored response after a 304 (RFC 9111, 4.3.4); `undefined` where that speaks of another one, so that the request
 * has to be repeated without conditions. Whether the result may stay stored is {@link refusal}'s to say.
 */
export const update = (
  request: Request,
  stored: Stored,
  response: Response,
  times: Times,
  rules: Rules
): Stored | undefined => {
  if (Headers.has(response.headers, "etag")) {
    const [ours, theirs] = [Headers.etag(stored.headers), Headers.etag(response.headers)]
    if (ours === undefined || theirs === undefined || !Headers.agrees(ours, theirs)) return undefined
  }
  return renewed(request, stored, response, times, rules)
}

const renewed = (request: Request, stored: Stored, response: Response, times: Times, rules: Rules): Stored => {
  // An age, and a date, are those of the answer that just came, or none.
  const before = Headers.without(stored.headers, (name) => name === "age" || name === "date")
  const headers = merge({ ...stored, headers: before }, response)
  return store(request, { status: stored.status, headers, length: stored.length }, times, rules)
}

// ----- which request

const safe = ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"]

/** Whether a method changes nothing. What is not known does. */
export const isSafe = (method: string): boolean => safe.includes(method)

/** What a request asks for: scheme, authority, and path with query as they were received. */
export type Target = readonly [scheme: string, authority: string, path: string]

const absolute = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^]*)$/i
const host = /^((?:[a-z0-9._~!$&'()*+;=-]|%[0-9a-f]{2})+|\[[0-9a-f:.]+\])(?::(\d{0,5}))?$/i
const ports: { readonly [scheme: string]: string } = { http: "80", https: "443" }

/** Whether a text is a host, with or without a port. */
export const isHost = (text: string): boolean => host.test(text)

/**
 * What a request asks for, which is what names its responses: scheme and host in lower case, the default port left out,
 * everything else exactly as it came. `undefined` where that can't be told. An absolute URL says it alone, else `Host`
 * does.
 */
export const target = (request: Request, scheme: string): Target | undefined => {
  const [, named = scheme, authority = Headers.text(request.headers, "host") ?? "", rest = request.url] =
    absolute.exec(request.url) ?? []
  const [, name, port = ""] = host.exec(authority) ?? []
  const path = rest === "" || rest.startsWith("?") ? `/${rest}` : rest
  const kind = named.toLowerCase()
  if (name === undefined || !Object.hasOwn(ports, kind) || !/^\/[\x21-\x7e\x80-\uffff]*$/.test(path)) return undefined
  const suffix = port === "" || Number(port) === Number(ports[kind]) ? "" : `:${Number(port)}`
  return [kind, `${name.toLowerCase()}${suffix}`, path]
}

/** The URL of a target. */
export const url = ([scheme, authority, path]: Target): string => `${scheme}://${authority}${path}`

/**
 * What a response makes outdated (RFC 9111, 4.4): after an unsafe method that went well, its target, and where
 * `Location` and `Content-Location` point within the same origin.
 */
export const invalidated = (request: Request, response: Response, scheme: string): ReadonlyArray<Target> => {
  const about = target(request, scheme)
  if (about === undefined || isSafe(request.method) || response.status < 200 || response.status > 399) return []
  const base = url(about)
  const others = ["location", "content-location"].flatMap((name): ReadonlyArray<Target> => {
    const given = Headers.text(response.headers, name)
    if (given === undefined || !URL.canParse(given, base)) return []
    const found = new URL(given, base)
    found.hash = ""
    const other = target({ method: "GET", url: found.href, headers: {} }, scheme)
    return other !== undefined && other[0] === about[0] && other[1] === about[1] ? [other] : []
  })
  return [about, ...others]
}
