/**
 * Header fields, read with the tolerance the RFCs allow and nothing more. Total: whatever a stranger sends, nothing
 * throws, and what can't be read grants nothing.
 *
 * @since 0.1.0
 */

/** Fields by lowercase name; repeated lines as an array, or joined by commas. `Headers` of effect is one. */
export interface Headers {
  readonly [name: string]: string | ReadonlyArray<string> | undefined
}

/** Fields that are all there. */
export interface Fields {
  readonly [name: string]: string | ReadonlyArray<string>
}

type Field = string | ReadonlyArray<string>

/** The fields that are there, each as what is made of it; not those of which nothing is. */
export const collect = (headers: Headers, of: (value: Field, name: string) => Field | undefined): Fields => {
  const fields: Record<string, Field> = {}
  for (const name of Object.keys(headers)) {
    const value = headers[name]
    const made = value === undefined ? undefined : of(value, name)
    // A field is a stranger's, and this name is the one that is none in an object.
    if (made !== undefined && name !== "__proto__") fields[name] = made
  }
  return fields
}

/** The fields, which nobody can change: not the lines of one either. */
export const frozen = (headers: Headers): Headers =>
  Object.freeze(
    Object.values(headers).some((value) => typeof value === "object")
      ? collect(headers, (value) => typeof value === "string" ? value : Object.freeze(value.slice()))
      : headers
  )

const none: ReadonlyArray<string> = []

/** The lines of a field. */
export const lines = (headers: Headers, name: string): ReadonlyArray<string> => {
  const found: unknown = headers[name]
  return typeof found === "string"
    ? [found]
    : Array.isArray(found)
    ? found.filter((line): line is string => typeof line === "string")
    : none
}

/** The field in one line. */
export const text = (headers: Headers, name: string): string | undefined => {
  const found: unknown = headers[name]
  if (typeof found === "string") return found
  const all = lines(headers, name)
  return all.length === 0 ? undefined : all.join(", ")
}

/** Whether the field is there. */
export const has = (headers: Headers, name: string): boolean => text(headers, name) !== undefined

/** The fields without some of them. */
export const without = (headers: Headers, drop: (name: string) => boolean): Fields =>
  collect(headers, (value, name) => drop(name) ? undefined : value)

const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i

/** Whether a text is a token: the name of a field, a method, a directive. */
export const isToken = (text: string): boolean => token.test(text)

// A quote that never closes is a letter like others, so that it hides nothing behind it.
const members = (line: string): ReadonlyArray<string> => {
  const split = (quotes: boolean): ReadonlyArray<string> | undefined => {
    const found: Array<string> = []
    let [from, quoted] = [0, false]
    for (let at = 0; at < line.length; at++) {
      const letter = line[at]
      if (quoted && letter === "\\") at++
      else if (quotes && letter === `"`) quoted = !quoted
      else if (letter === "," && !quoted) {
        found.push(line.slice(from, at))
        from = at + 1
      }
    }
    return quoted ? undefined : [...found, line.slice(from)]
  }
  return (split(true) ?? split(false) ?? []).map((each) => trim(each)).filter((member) => member !== "")
}

/** Without spaces around it. Not by a pattern: one looks at a long run of spaces again from each of them. */
export const trim = (text: string, spaces = " \t"): string => {
  let [from, to] = [0, text.length]
  while (from < to && spaces.includes(text.charAt(from))) from++
  while (to > from && spaces.includes(text.charAt(to - 1))) to--
  return text.slice(from, to)
}

const unquote = (text: string): string => text.startsWith(`"`) ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text

/** The members of a list, over all its lines; commas in quoted strings are letters. */
export const list = (headers: Headers, name: string): ReadonlyArray<string> => lines(headers, name).flatMap(members)

// ----- numbers and dates

/** Seconds are clamped to it (RFC 9111, 1.2.2). */
export const MOST_SECONDS = 2 ** 31

const whole = (text: string): number | undefined =>
  /^\d+$/.test(text) ? Math.min(Number(text), MOST_SECONDS) : undefined

/** Milliseconds of the field `Age`: its first member; 0 where that is no whole number. */
export const age = (headers: Headers): number => (whole(list(headers, "age")[0] ?? "") ?? 0) * 1000

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

const month = months.join("|")
const clock = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`
const formats = [
  String.raw`(?:${days.join("|")}), (?<day>\d\d) (?<month>${month}) (?<year>\d{4}) ${clock} gmt`,
  String.raw`(?:sun|mon|tues|wednes|thurs|fri|satur)day, (?<day>\d\d)-(?<month>${month})-(?<year>\d\d) ${clock} gmt`,
  String.raw`(?:${days.join("|")}) (?<month>${month}) (?<day>[ \d]\d) ${clock} (?<year>\d{4})`
].map((format) => new RegExp(`^${format}$`, "i"))

// Years below 100 would be years of the last century, and the calendar repeats after 400 years.
const CYCLE = 146_097 * 86_400_000
const utc = (year: number, ...rest: [month: number, ...rest: Array<number>]): number =>
  Date.UTC(year + 400, ...rest) - CYCLE

// The year of a time, near enough to place a year of two digits.
const yearOf = (now: number): number => 1970 + Math.floor(now / 31_556_952_000)

/**
 * Milliseconds of an HTTP date in one of its three forms (RFC 9110, 5.6.7); `undefined` for anything else. A year of
 * two digits is the last such year that is no more than 50 years ahead of `now`.
 */
export const date = (text: string | undefined, now: number): number | undefined => {
  if (text === undefined || text.length > 40) return undefined
  for (const format of formats) {
    const found = format.exec(trim(text))?.groups
    if (found === undefined) continue
    const at = (part: string) => Number(found[part])
    let year = at("year")
    if (found["year"]?.length === 2) {
      const ahead = yearOf(now) + 50
      year = ahead - ((ahead - year) % 100 + 100) % 100
    }
    const monthAt = months.indexOf(found["month"]?.toLowerCase() ?? "")
    const isDay = at("day") >= 1 && at("day") <= utcDays(year, monthAt)
    const isTime = at("hour") < 24 && at("minute") < 60 && at("second") <= 60
    if (!isDay || !isTime) return undefined
    const millis = utc(year, monthAt, at("day"), at("hour"), at("minute"), at("second"))
    return Number.isFinite(millis) ? millis : undefined
  }
  return undefined
}

const utcDays = (year: number, month: number): number => (utc(year, month + 1, 1) - utc(year, month, 1)) / 86_400_000

/** A field that holds one date. Two lines are no date. */
export const dateOf = (headers: Headers, name: string, now: number): number | undefined =>
  date(text(headers, name), now)

/** A time as an HTTP date, for a response that came without one. */
export const formatDate = (millis: number): string => {
  const [day, rest] = [Math.floor(millis / 86_400_000), Math.floor(millis / 1000)]
  let year = yearOf(millis)
  while (utc(year, 0, 1) > millis) year--
  while (utc(year + 1, 0, 1) <= millis) year++
  let at = 11
  while (utc(year, at, 1) > millis) at--
  const two = (value: number) => String(value).padStart(2, "0")
  const part = (value: number, of: number) => two(((value % of) + of) % of)
  const name = (text: string | undefined) => `${text?.slice(0, 1).toUpperCase()}${text?.slice(1)}`
  const date = two(day - Math.floor(utc(year, at, 1) / 86_400_000) + 1)
  const time = `${part(Math.floor(rest / 3600), 24)}:${part(Math.floor(rest / 60), 60)}:${part(rest, 60)}`
  return `${name(days[((day + 4) % 7 + 7) % 7])}, ${date} ${name(months[at])} ${
    String(year).padStart(4, "0")
  } ${time} GMT`
}

// ----- directives

/**
 * The directives of `Cache-Control` or of a targeted field, by lowercase name: the argument, `true` where there is
 * none, `false` where it can't be read.
 */
export type Directives = ReadonlyMap<string, string | boolean>

const directive = /^([!#$%&'*+.^_`|~0-9a-z-]+)(?:=([!#$%&'*+.^_`|~0-9a-z-]+|"(?:[^"\\]|\\[^])*"))?$/i
const named = /^[!#$%&'*+.^_`|~0-9a-z-]+/i

// Of several, the strictest: unqualified before qualified, and of lists of fields the sum.
const sums = ["private", "no-cache"]

/**
 * The directives of a field (RFC 9111, 5.2). The first of a kind counts, but no `private` and no `no-cache` goes
 * unheard. What can't be read is there by name only.
 */
export const directives = (headers: Headers, name = "cache-control"): Directives => {
  const found = new Map<string, string | boolean>()
  for (const member of list(headers, name)) {
    const [, word = named.exec(member)?.[0] ?? "", argument] = directive.exec(member) ?? []
    const key = word.toLowerCase()
    if (key === "") continue
    const given = directive.test(member) ? argument === undefined || unquote(argument) : false
    const before = found.get(key)
    if (before === undefined) found.set(key, given)
    else if (sums.includes(key)) {
      found.set(key, typeof before === "string" && typeof given === "string" ? `${before},${given}` : true)
    }
  }
  return found
}

/** Milliseconds of a directive: `undefined` where it is absent, NaN where it is there and is no whole number. */
export const millis = (directives: Directives, name: string): number | undefined => {
  const given = directives.get(name)
  return given === undefined ? undefined : (typeof given === "string" ? whole(given) ?? Number.NaN : Number.NaN) * 1000
}

/** The fields a directive names, lowercase; none where it stands for the whole response. */
export const qualified = (directives: Directives, name: string): ReadonlyArray<string> | undefined => {
  const given = directives.get(name)
  const fields = typeof given === "string"
    ? given.split(",").map((field) => trim(field).toLowerCase()).filter((field) => field !== "")
    : []
  // A list with something else in it can't be obeyed in part.
  return fields.length > 0 && fields.every(isToken) ? fields : undefined
}

const key = String.raw`[a-z*][a-z0-9_.*-]*`
const bare = [
  String.raw`-?\d{1,12}\.\d{1,3}(?!\d)`,
  String.raw`-?\d{1,15}(?![\d.])`,
  String.raw`"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"`,
  String.raw`[A-Za-z*][!#$%&'*+.^_\`|~0-9A-Za-z:/-]*`,
  String.raw`:[A-Za-z0-9+/=]*:`,
  String.raw`\?[01]`,
  String.raw`@-?\d{1,15}`
].join("|")
const parameters = String.raw`(?:; *${key}(?:=(?:${bare}))?)*`
const inner = String.raw`\( *(?:(?:${bare})${parameters}(?: +|(?=\))))*\)`
const member = new RegExp(String.raw`(${key})(?:=(?:(${bare})|${inner}))?${parameters}[ \t]*(,[ \t]*(?!$)|$)`, "y")

const spans = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"]
const flags = ["must-revalidate", "proxy-revalidate", "no-store", "public", "immutable", "must-understand"]

/**
 * The directives of a targeted field (RFC 9213), a dictionary of structured fields and read as strictly as one:
 * `undefined` where it is empty, is none, or gives a directive a value of the wrong type.
 */
export const targeted = (headers: Headers, name: string): Directives | undefined => {
  const input = trim(text(headers, name) ?? "", " ")
  const found = new Map<string, string | boolean>()
  member.lastIndex = 0
  // A dictionary that is longer than this is an attack.
  if (input === "" || input.length > 8192) return undefined
  while (member.lastIndex < input.length) {
    const [matched, word = "", item] = member.exec(input) ?? []
    if (matched === undefined) return undefined
    const isList = item === undefined && /^[^;]*=/.test(matched)
    if (spans.includes(word) && !/^-?\d+$/.test(item ?? "")) return undefined
    if (flags.includes(word) && (isList || (item !== undefined && !item.startsWith("?")))) return undefined
    if (sums.includes(word) && (isList || (item !== undefined && !/^[?"]/.test(item)))) return undefined
    // Of several the last counts, in its place.
    found.delete(word)
    if (item !== "?0") found.set(word, isList || item === undefined || item === "?1" || unquote(item))
  }
  return found
}

// ----- validators

/** An entity tag. */
export interface Tag {
  readonly weak: boolean
  readonly opaque: string
}

const tag = /(W\/)?"([\x21\x23-\x7e\x80-\uffff]*)"/y

/** The entity tags of a list such as `If-None-Match`: `"*"` for any, none where one of them can't be read. */
export const tags = (headers: Headers, name: string): ReadonlyArray<Tag> | "*" => {
  const input = trim(text(headers, name) ?? "")
  if (input === "*") return "*"
  const found: Array<Tag> = []
  const gap = /[ \t,]*/y
  for (let at = 0; at < input.length;) {
    tag.lastIndex = at
    const [matched, weak, opaque = ""] = tag.exec(input) ?? []
    if (matched === undefined) return []
    found.push({ weak: weak !== undefined, opaque })
    gap.lastIndex = tag.lastIndex
    gap.exec(input)
    at = gap.lastIndex
  }
  return found
}

/** The entity tag of a response; two of them are none. */
export const etag = (headers: Headers): Tag | undefined => {
  const found = tags(headers, "etag")
  return found !== "*" && found.length === 1 ? found[0] : undefined
}

/** Weak comparison (RFC 9110, 8.8.3.2). */
export const agrees = (left: Tag, right: Tag): boolean => left.opaque === right.opaque

/** Strong comparison. */
export const isSame = (left: Tag, right: Tag): boolean => !left.weak && !right.weak && agrees(left, right)

// ----- fields of a connection

const hops = new Set(["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"])

// What the cache decides by stays, whatever `Connection` says of it.
const kept = /^(?:age|cache-control|cdn-cache-control|content-.*|date|etag|expires|last-modified|pragma|vary)$/

/** The fields without those that belong to one connection (RFC 9111, 3.1). */
export const endToEnd = (headers: Headers): Fields => {
  const named = headers["connection"] === undefined
    ? none
    : list(headers, "connection").map((name) => name.toLowerCase()).filter((name) => !kept.test(name))
  return without(headers, (name) => hops.has(name) || name.startsWith("proxy-") || named.includes(name))
}
