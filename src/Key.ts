/**
 * Injective names for keys.
 *
 * A key has three names: in memory (`nameOf`), in a store (`storedKey`), for people (`show`). Two different keys never
 * share one of the first two (R16): a part is JSON with its length before it, so no text passes for a border.
 *
 * | key | name in memory |
 * |---|---|
 * | a string, a finite number, an array of one of them | itself |
 * | a string that begins with NUL, any other array | NUL, then each part as `length:JSON` |
 * | a `Redacted`, an array with a `Redacted` part | NUL, `#`, then the hash of namespace and parts |
 *
 * @since 0.1.0
 */
import { Data, Redacted } from "effect"

/**
 * One part of a key that is made of several.
 *
 * @since 0.1.0
 * @category models
 */
export type Part = string | number | boolean | Redacted.Redacted<string>

/**
 * What a `key` function may answer. Numbers are finite, -0 is 0. `["a"]` is `"a"`; `1` is not `"1"`, and `["a", "b"]`
 * is not `"a,b"`. A `Redacted` makes the whole key sensitive: only a hash of it is kept.
 *
 * @since 0.1.0
 * @category models
 */
export type Key = string | number | Redacted.Redacted<string> | ReadonlyArray<Part>

/**
 * The name of a key in memory: compared exactly, as the keys of a `Map` are.
 *
 * @since 0.1.0
 * @category models
 */
export type Name = string | number

/**
 * A key of a type that is not allowed. It tells the type of what was given, never the content: that may be a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidKey extends Data.TaggedError("InvalidKey")<{ readonly given: string }> {
  override get message(): string {
    const allowed = "a string, a finite number, a Redacted string, or an array of these and booleans"
    return `A key is ${allowed}; given was ${this.given}`
  }
}

/**
 * Builds the function that names the keys of one namespace in memory. Sensitive keys are hashed with SHA-256, with
 * HMAC-SHA-256 where there is a `secret`: without one, who sees the hash of a guessable value can confirm a guess. The
 * function throws {@link InvalidKey}.
 *
 * @since 0.1.0
 * @category naming
 */
export const nameOf = (namespace: string, secret: Redacted.Redacted<string> | undefined): (key: Key) => Name => {
  const space = written(namespace)
  const hash = (text: string) => secret === undefined ? sha256Hex(text) : hmacSha256Hex(Redacted.value(secret), text)
  return (key) => {
    if (typeof key === "string" && !key.startsWith(NUL)) return key
    const one = isParts(key) && key.length === 1 ? key[0] : key
    if (typeof one === "string" && !one.startsWith(NUL)) return one
    if (typeof one === "number" && Number.isFinite(one)) return one + 0
    // A boolean names nothing by itself: only TypeScript keeps it out, and `written` would let it pass as a part.
    if (typeof key === "boolean") throw new InvalidKey({ given: typeName(key) })
    const parts = isParts(key) ? key : [key]
    // Not `map`: it would skip the holes of a sparse array.
    const text = Array.from(parts, written).join("")
    return parts.some(Redacted.isRedacted) ? HASHED + hash(space + text) : NUL + text
  }
}

/**
 * Names a key in a store: the text of namespace and parts, or its SHA-256 when it is longer than 200 bytes of UTF-8. A
 * sensitive key is its hash there too: that covers the namespace already.
 *
 * @since 0.1.0
 * @category naming
 */
export const storedKey = (namespace: string, name: Name): string => {
  const plain = String(name)
  if (plain.startsWith(HASHED)) return plain.slice(HASHED.length)
  const text = written(namespace) + (plain.startsWith(NUL) ? plain.slice(NUL.length) : written(name))
  // A unit of a string is at most three bytes.
  return text.length * 3 > 200 && utf8.encode(text).length > 200 ? sha256Hex(text) : text
}

/**
 * Shows a key to a person, in logs and events: an array as JSON, a sensitive key as `#` and the first 12 digits of its
 * hash, control characters escaped. It is for reading, not for comparing.
 *
 * @since 0.1.0
 * @category naming
 */
export const show = (name: Name): string => {
  const plain = String(name)
  if (plain.startsWith(HASHED)) return plain.slice(1, 14)
  const text = plain.startsWith(NUL) ? `[${jsons(plain.slice(NUL.length)).join(",")}]` : plain
  const escape = (unit: string) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")
  // Line ends and terminal codes in a key must not write into a log what the program did not.
  return /^[ -~]*$/.test(text) ? text : text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, escape)
}

const NUL = "\0"
const HASHED = "\0#"

const isParts = (key: Key): key is ReadonlyArray<Part> => Array.isArray(key)

/** A part after its length. `Redacted` is marked, else `[Redacted("a"), "b"]` and `["a", Redacted("b")]` were one. */
const written = (part: Part): string => {
  const sensitive = Redacted.isRedacted(part)
  const clear = sensitive ? Redacted.value(part) : part
  const fits = typeof clear === "string" || (!sensitive && (typeof clear === "boolean" || Number.isFinite(clear)))
  if (!fits) throw new InvalidKey({ given: typeName(part) })
  const json = JSON.stringify(clear)
  return `${sensitive ? "*" : ""}${json.length}:${json}`
}

/** The JSON of each part, taken out of an encoded name. */
const jsons = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (let at = 0; at < text.length;) {
    const start = text.indexOf(":", at) + 1
    at = start + Number(text.slice(at, start - 1))
    found.push(text.slice(start, at))
  }
  return found
}

const typeName = (given: unknown): string => {
  if (Redacted.isRedacted(given)) return "a Redacted that holds no string"
  if (typeof given === "number") return "a number that is not finite"
  if (Array.isArray(given)) return "an array within an array"
  return given === null ? "null" : typeof given
}

const utf8 = /*#__PURE__*/ new TextEncoder()

/**
 * The SHA-256 of a text in UTF-8, in hex. Synchronous, which WebCrypto is not: a read of a sensitive key must not wait.
 * UTF-8 has no lone surrogates (they all become U+FFFD): callers escape them, as JSON does.
 *
 * @since 0.1.0
 * @category hashing
 */
export const sha256Hex = (text: string): string => hex(sha256(utf8.encode(text)))

/**
 * The HMAC-SHA-256 of a text in UTF-8, in hex (RFC 2104).
 *
 * @since 0.1.0
 * @category hashing
 */
export const hmacSha256Hex = (secret: string, text: string): string => {
  const key = utf8.encode(secret)
  const block = new Uint8Array(64)
  block.set(key.length > 64 ? sha256(key) : key)
  const keyed = (mask: number, message: Uint8Array) => {
    const bytes = new Uint8Array(64 + message.length)
    bytes.set(block.map((byte) => byte ^ mask))
    bytes.set(message, 64)
    return sha256(bytes)
  }
  return hex(keyed(0x5c, keyed(0x36, utf8.encode(text))))
}

const hex = (bytes: Uint8Array): string => bytes.reduce((text, byte) => text + (byte + 256).toString(16).slice(1), "")

/** FIPS 180-4. Words live in `DataView`s: big-endian on every machine, and an index is never `undefined`. */
const sha256 = (message: Uint8Array): Uint8Array => {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64)
  padded.set(message)
  padded[message.length] = 0x80
  const input = new DataView(padded.buffer)
  input.setUint32(padded.length - 8, message.length / 2 ** 29)
  input.setUint32(padded.length - 4, message.length * 8)
  const state = new DataView(SQUARE_ROOTS.buffer.slice(0))
  const w = new DataView(new ArrayBuffer(256))
  for (let block = 0; block < padded.length; block += 64) {
    let a = state.getInt32(0), b = state.getInt32(4), c = state.getInt32(8), d = state.getInt32(12)
    let e = state.getInt32(16), f = state.getInt32(20), g = state.getInt32(24), h = state.getInt32(28)
    for (let i = 0; i < 256; i += 4) {
      if (i < 64) w.setUint32(i, input.getInt32(block + i))
      else {
        const x = w.getInt32(i - 60)
        const y = w.getInt32(i - 8)
        const mixed = (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))
        w.setUint32(i, w.getInt32(i - 64) + w.getInt32(i - 28) + mixed)
      }
      const added = CUBE_ROOTS.getInt32(i) + w.getInt32(i)
      const t = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + added) | 0
      const u = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
      ;[a, b, c, d, e, f, g, h] = [(t + u) | 0, a, b, c, (d + t) | 0, e, f, g]
    }
    ;[a, b, c, d, e, f, g, h].forEach((word, i) => state.setUint32(i * 4, state.getInt32(i * 4) + word))
  }
  return new Uint8Array(state.buffer)
}

const turn = (word: number, by: number): number => (word >>> by) | (word << (32 - by))

/** The first 32 bits of the fractions of roots of primes: SHA-256's constants, by definition and not by table. */
const fractions = (count: number, root: (prime: number) => number): DataView => {
  const words = new DataView(new ArrayBuffer(count * 4))
  const primes: Array<number> = []
  for (let n = 2; primes.length < count; n++) {
    if (primes.some((prime) => n % prime === 0)) continue
    words.setUint32(primes.length * 4, (root(n) % 1) * 2 ** 32)
    primes.push(n)
  }
  return words
}
const CUBE_ROOTS = /*#__PURE__*/ fractions(64, Math.cbrt)
const SQUARE_ROOTS = /*#__PURE__*/ fractions(8, Math.sqrt)
