/**
 * How a stored response is given: whole, as 304, or in parts (RFC 9110, 13 and 14), with the fields that say where it
 * came from (RFC 9111, 5.1; RFC 9211).
 *
 * @since 0.1.0
 */
import * as Headers from "./HttpHeaders.ts"
import type * as HttpPolicy from "./HttpPolicy.ts"
import { joined, type Kept } from "./HttpRecord.ts"

/**
 * Whether the reader already has what would be given (RFC 9110, 13.2.2): `If-None-Match`, weakly, and only without it
 * `If-Modified-Since`.
 */
export const isNotModified = (request: HttpPolicy.Request, stored: HttpPolicy.Stored): boolean => {
  if (stored.status < 200 || stored.status > 299) return false
  const { freshness: { receivedAt }, headers } = stored
  if (Headers.has(request.headers, "if-none-match")) {
    const given = Headers.tags(request.headers, "if-none-match")
    const ours = Headers.etag(headers)
    return given === "*" || (ours !== undefined && given.some((tag) => Headers.agrees(tag, ours)))
  }
  const since = Headers.dateOf(request.headers, "if-modified-since", receivedAt)
  if (since === undefined) return false
  const modified = Headers.dateOf(headers, "last-modified", receivedAt) ??
    Headers.dateOf(headers, "date", receivedAt) ?? receivedAt
  return modified <= since
}

const telling = /^(?:age|cache-control|cache-status|cdn-cache-control|content-location|date|etag|expires|vary|x-cache)$/

/** The fields of a 304. Without an entity tag, `Last-Modified` is what the reader goes by. */
export const notModified = (headers: Headers.Headers): Headers.Fields =>
  Headers.without(headers, (name) => !telling.test(name) && (name !== "last-modified" || Headers.has(headers, "etag")))

// ----- parts

/** From `start` up to, not including, `end`. */
export interface Part {
  readonly start: number
  readonly end: number
}

/** Which parts of a body a request asks for: all of it, some, or none that exist. */
export type Ranges =
  | { readonly _tag: "Whole" }
  | { readonly _tag: "Parts"; readonly parts: readonly [Part, ...ReadonlyArray<Part>] }
  | { readonly _tag: "Unsatisfiable" }

const whole: Ranges = { _tag: "Whole" }

// More parts, or more bytes than there are, is an attack (RFC 9110, 17.15); such a reader gets the whole.
const MOST_PARTS = 16

/** Which parts of a stored body a request asks for (RFC 9110, 14.2). What can't be read asks for the whole. */
export const ranges = (request: HttpPolicy.Request, stored: HttpPolicy.Stored): Ranges => {
  const { headers, length, status } = stored
  if (!Headers.has(request.headers, "range")) return whole
  const [, given] = /^bytes=([\d\-, \t]+)$/i.exec(Headers.text(request.headers, "range") ?? "") ?? []
  if (request.method !== "GET" || status !== 200 || length === 0 || given === undefined) return whole
  if (Headers.has(request.headers, "if-range") && !isUnchanged(request, stored, headers)) return whole
  const asked = given.split(",").map((part) => /^[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/.exec(part))
  if (asked.length > MOST_PARTS) return whole
  const parts: Array<Part> = []
  for (const part of asked) {
    if (part === null) return whole
    const [, first, last = "", suffix] = part
    const start = first === undefined ? Math.max(0, length - Number(suffix)) : Number(first)
    const end = last === "" ? length : Math.min(Number(last) + 1, length)
    if (last !== "" && Number(last) < start) return whole
    if (start < length) parts.push({ start, end })
  }
  const [first, ...rest] = parts
  if (first === undefined) return { _tag: "Unsatisfiable" }
  const bytes = parts.reduce((sum, { end, start }) => sum + end - start, 0)
  return bytes > length ? whole : { _tag: "Parts", parts: [first, ...rest] }
}

// RFC 9110, 13.1.5: the same representation, byte for byte. A date says so only if nothing can have changed within it.
const isUnchanged = (
  request: HttpPolicy.Request,
  { freshness: { receivedAt } }: HttpPolicy.Stored,
  headers: Headers.Headers
): boolean => {
  const given = Headers.tags(request.headers, "if-range")
  const ours = Headers.etag(headers)
  const [tag] = given === "*" ? [] : given
  if (tag !== undefined) return given.length === 1 && ours !== undefined && Headers.isSame(tag, ours)
  const modified = Headers.dateOf(headers, "last-modified", receivedAt)
  const date = Headers.dateOf(headers, "date", receivedAt)
  return modified !== undefined && date !== undefined && modified + 1000 <= date &&
    Headers.dateOf(request.headers, "if-range", receivedAt) === modified
}

/** A response in parts: text and pieces of the body, in order. */
export interface Pieces {
  readonly headers: Headers.Headers
  readonly pieces: ReadonlyArray<string | Part>
}

/** A 206 (RFC 9110, 15.3.7). The boundary must be one that no body has. */
export const partial = (
  stored: { readonly headers: Headers.Headers; readonly length: number },
  parts: readonly [Part, ...ReadonlyArray<Part>],
  boundary: string
): Pieces => {
  const { headers, length } = stored
  const range = ({ end, start }: Part) => `bytes ${start}-${end - 1}/${length}`
  const [first, ...rest] = parts
  if (rest.length === 0) {
    const size = String(first.end - first.start)
    return { headers: { ...headers, "content-range": range(first), "content-length": size }, pieces: [first] }
  }
  const type = Headers.text(headers, "content-type")
  const kind = type === undefined ? "" : `content-type: ${type}\r\n`
  const pieces = [
    ...parts.flatMap((part, i): ReadonlyArray<string | Part> => [
      `${i === 0 ? "" : "\r\n"}--${boundary}\r\n${kind}content-range: ${range(part)}\r\n\r\n`,
      part
    ]),
    `\r\n--${boundary}--\r\n`
  ]
  // What goes between the parts is a field's text, hence a byte per letter.
  const bytes = pieces.reduce(
    (sum, piece) => sum + (typeof piece === "string" ? piece.length : piece.end - piece.start),
    0
  )
  return {
    headers: {
      ...headers,
      "content-type": `multipart/byteranges; boundary=${boundary}`,
      "content-length": String(bytes)
    },
    pieces
  }
}

/** The fields of a 416. */
export const unsatisfiable = (stored: HttpPolicy.Stored): Headers.Headers => ({
  ...notModified(stored.headers),
  "content-range": `bytes */${stored.length}`,
  "content-length": "0"
})

// ----- where it came from

/** How a cache handled a request (RFC 9211): by a hit, or by going forward. */
export type Handling =
  | { readonly hit: true; readonly left: number }
  | {
    readonly forward: "bypass" | "method" | "uri-miss" | "vary-miss" | "miss" | "request" | "stale" | "partial"
    readonly forwardStatus?: number | undefined
    readonly stored?: boolean | undefined
    readonly collapsed?: boolean | undefined
  }

const isPlain = (name: string): boolean => /^[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*$/.test(name)

const quote = (text: string): string => `"${text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&")}"`

/** The field `Cache-Status`, after those of the caches before this one. `key` is told only where it is given. */
export const cacheStatus = (
  before: string | undefined,
  name: string,
  handling: Handling,
  key?: string
): string => {
  const seconds = (millis: number) => Math.floor(millis / 1000)
  const told = "hit" in handling
    ? ["hit", `ttl=${seconds(handling.left)}`]
    : [
      `fwd=${handling.forward}`,
      ...handling.forwardStatus === undefined ? [] : [`fwd-status=${handling.forwardStatus}`],
      ...handling.stored === true ? ["stored"] : [],
      ...handling.collapsed === undefined ? [] : [handling.collapsed ? "collapsed" : "collapsed=?0"]
    ]
  const member = [isPlain(name) ? name : quote(name), ...told, ...key === undefined ? [] : [`key=${quote(key)}`]]
    .join("; ")
  return before === undefined || before.trim() === "" ? member : `${before}, ${member}`
}

/** What `X-Cache` says. */
export type Found = "HIT" | "STALE" | "MISS"

/**
 * The fields of an answer from the cache: those that are stored, but for what must be asked for first, and its age in
 * whole seconds. `Date` and `Expires` are the origin's.
 */
export const given = (stored: HttpPolicy.Stored, age: number): Headers.Fields => ({
  ...stored.hidden.length === 0
    ? stored.headers
    : Headers.without(stored.headers, (name) => stored.hidden.includes(name)),
  age: String(Math.floor(age / 1000))
})

/** The fields that tell how a cache of that name handled a request. */
export const told = (headers: Headers.Headers, name: string, handling: Handling, found: Found) => ({
  "cache-status": cacheStatus(Headers.text(headers, "cache-status"), name, handling),
  "x-cache": found
})

/** An answer, whole. */
export interface Given {
  readonly head: HttpPolicy.Response
  readonly body: Uint8Array
}

const empty = new Uint8Array()
const encoder = new TextEncoder()

/**
 * What is kept, as who asked is given it under these fields: as 304, in parts, or whole. The boundary between parts
 * must be one that nobody can guess, so that no body bears it.
 */
export const give = (
  request: HttpPolicy.Request,
  kept: Kept,
  headers: Headers.Fields,
  boundary: () => string
): Given => {
  const body = new Uint8Array(kept.body)
  if (isNotModified(request, kept)) return { head: { status: 304, headers: notModified(headers) }, body: empty }
  const found = ranges(request, kept)
  switch (found._tag) {
    case "Unsatisfiable":
      return { head: { status: 416, headers: unsatisfiable({ ...kept, headers }) }, body: empty }
    case "Parts": {
      const parts = partial({ headers, length: body.length }, found.parts, boundary())
      const pieces = parts.pieces.map((piece) =>
        typeof piece === "string" ? encoder.encode(piece) : body.subarray(piece.start, piece.end)
      )
      return { head: { status: 206, headers: parts.headers }, body: joined(pieces) }
    }
    case "Whole": {
      const length = kept.status === 204 ? {} : { "content-length": String(body.length) }
      return { head: { status: kept.status, headers: { ...headers, ...length } }, body }
    }
  }
}
