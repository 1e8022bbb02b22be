/**
 * What a proxy refuses, and which fields it changes on the way there and back (RFC 9110, 7; RFC 9112, 3 and 6). Pure.
 */
import * as HttpCache from "effect-swr/HttpCache"

/** Who the proxy is, and for whom it stands. */
export interface Rules {
  /** Its name in `Via`; of two that are chained, each needs one of its own. */
  readonly name: string
  /** The authorities it answers for, in lower case and without the default port. */
  readonly hosts: ReadonlySet<string>
  /** Scheme and authority of the origin. */
  readonly origin: string
  /** Whether the origin is told the `Host` that was asked for, and not its own. */
  readonly keepsHost: boolean
}

/** A request as it was received; repeated fields are joined by commas. */
export interface Incoming {
  readonly method: string
  readonly target: string
  /** Of HTTP: `1.1`. */
  readonly version: string
  readonly headers: HttpCache.Request["headers"]
  readonly address: string
}

/** Why a request is not served. */
export interface Refusal {
  readonly status: number
  readonly reason: string
}

/** A request as it goes on: its URL is that of the proxy, which names what is kept. */
export interface Forwarded extends HttpCache.Request {
  /** Of HTTP, as it was received. */
  readonly version: string
  readonly hasBody: boolean
  readonly host: string
  /** Whose it is. */
  readonly address: string
}

export type Ruling = { readonly _tag: "Refused"; readonly refusal: Refusal } | {
  readonly _tag: "Forwarded"
  readonly request: Forwarded
}

/** What is told to who asks with another one. All but CONNECT and TRACE are passed on. */
export const methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY"

/** One field, however many lines it had. */
export const field = (headers: HttpCache.Request["headers"], name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "object" ? value.join(", ") : value
}

/** An authority as it is compared: in lower case, without the port that goes without saying. */
export const authority = (host: string): string => host.toLowerCase().replace(/:80$/, "")

// Only one of two sides would take these for something else, and so cache one page under the name of another.
const dots = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i
const odd = /[\\#]|%2f|%5c|%2e|%00|[^\x21-\x7e]/i

const pathProblem = (target: string): string | undefined => {
  // Most have none of what the others are looked through for.
  if (/^\/[\w/-]*$/.test(target)) return undefined
  const [path = ""] = target.split("?")
  if (dots.test(path)) return "dot segments in the path"
  if (odd.test(path)) return "an encoded dot, slash or control byte, a backslash or a fragment in the path"
  // A backslash is what browsers send there as it is.
  return /#|[^\x21-\x7e]/.test(target) ? "a fragment or a bare byte in the query" : undefined
}

// Said of the way that a request came; from strangers they are lies, or reach past what the cache knows.
const untrusted =
  /^(?:forwarded|x-forwarded-.*|x-real-ip|x-host|x-(?:http-)?method(?:-override)?|x-original-url|x-rewrite-url|proxy)$/

const absolute = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^]*)$/i

const refused = (status: number, reason: string): Ruling => ({ _tag: "Refused", refusal: { status, reason } })

/** Whether to serve a request, and as what. */
export const rule = ({ address, headers, method, target, version }: Incoming, rules: Rules): Ruling => {
  const said = (name: string) => field(headers, name)
  const protocol = said("upgrade")?.toLowerCase()
  // HTTP/2 is only offered, by some clients with each request: they get an answer in what they asked in.
  if (protocol !== undefined && protocol !== "h2c" && /(?:^|[\s,])upgrade(?:[\s,]|$)/i.test(said("connection") ?? "")) {
    return refused(501, "this proxy does not upgrade connections")
  }
  if (method === "TRACE" || method === "CONNECT") return refused(405, `this proxy does not serve ${method}`)
  const [, scheme, named, rest] = target.startsWith("/") ? [] : absolute.exec(target) ?? []
  if (scheme !== undefined && scheme.toLowerCase() !== "http") return refused(421, `no ${scheme} is served here`)
  // What a request names outright counts, and `Host` beside it does not (RFC 9112, 3.2.2).
  const host = authority(named ?? said("host") ?? "")
  // An empty path is the root (RFC 9112, 3.2.1).
  const path = rest === undefined ? target : rest.replace(/^(?!\/)/, "/")
  if (said("host") === undefined || host.includes(",")) return refused(400, "exactly one Host is needed")
  if (!rules.hosts.has(host)) return refused(421, "this host is not served here")
  if (!path.startsWith("/")) return refused(400, "no such form of a target")
  const problem = pathProblem(path)
  if (problem !== undefined) return refused(400, problem)
  const coding = said("transfer-encoding")
  if (coding !== undefined && version !== "1.1") return refused(400, "Transfer-Encoding in a request before HTTP/1.1")
  if (coding !== undefined && coding.toLowerCase() !== "chunked") return refused(501, "no coding but chunked is known")
  if (said("via")?.split(",").some((member) => member.trim().endsWith(` ${rules.name}`))) {
    return refused(508, "this proxy has seen it before")
  }
  const kept: Record<string, string | ReadonlyArray<string> | undefined> = {}
  const given = HttpCache.endToEnd(headers)
  for (const name of Object.keys(given)) {
    // This server says itself that it goes on, and the URL tells the host.
    if (name !== "host" && name !== "expect" && !untrusted.test(name)) kept[name] = given[name]
  }
  const length = said("content-length")
  return {
    _tag: "Forwarded",
    request: {
      method,
      url: `http://${host}${path}`,
      hasBody: coding !== undefined || (length !== undefined && length !== "0"),
      host,
      address,
      version,
      // A body keeps its frame: without one, its bytes would be another request to the origin.
      headers: coding === undefined ? kept : { ...kept, "transfer-encoding": coding }
    }
  }
}

/** What the origin is told besides: by which way it is asked, and where it is asked for one reader alone, by whom. */
export const told = (
  { address, headers, host, version }: Forwarded,
  isOwn: boolean,
  rules: Rules
): HttpCache.Request["headers"] => {
  const before = field(headers, "via")
  const via = `${version} ${rules.name}`
  const whose = address.includes(":") ? `[${address}]` : address
  return {
    host: rules.keepsHost ? host : undefined,
    via: before === undefined ? via : `${before}, ${via}`,
    "x-forwarded-host": host,
    "x-forwarded-proto": "http",
    ...isOwn && { "x-forwarded-for": address, forwarded: `for="${whose}";host="${host}";proto=http` }
  }
}

/** A response as it goes back: without what was said to the proxy alone, and pointing to the proxy where it can. */
export const answered = (
  response: HttpCache.Response & { readonly version: string },
  request: Forwarded,
  rules: Rules
): HttpCache.Response["headers"] => {
  const { origin: here } = new URL(request.url)
  const moved = (name: string) => {
    const to = field(response.headers, name)
    return to !== undefined && (to === rules.origin || to.startsWith(`${rules.origin}/`))
      ? { [name]: here + to.slice(rules.origin.length) }
      : {}
  }
  const before = field(response.headers, "via")
  const via = `${response.version} ${rules.name}`
  return {
    ...HttpCache.endToEnd(response.headers),
    ...moved("location"),
    ...moved("content-location"),
    // Of the origin's own address.
    "alt-svc": undefined,
    // No bytes follow, so a reader that waited for them would take the next answer for them.
    ...[204, 205].includes(response.status) && { "content-length": undefined },
    via: before === undefined ? via : `${before}, ${via}`
  }
}
