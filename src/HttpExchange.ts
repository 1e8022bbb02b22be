/**
 * One request through the cache, whatever asks and whoever answers: what the client and the middleware share.
 *
 * A load is a request to the origin, so everything that caches do with loads holds for requests: one at a time,
 * detached from who asked, refreshed behind the readers' backs, held off while the origin fails. What HTTP adds is
 * judged by `HttpPolicy`: what may be kept, who may be given it, and when the origin has to be asked first.
 *
 * @since 0.1.0
 */
import { Clock, Context, Data, Duration, Effect, Exit, Option, Scheduler, Stream } from "effect"
import * as Entry from "./Entry.ts"
import * as Handle from "./Handle.ts"
import * as HttpAnswer from "./HttpAnswer.ts"
import * as Headers from "./HttpHeaders.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import { bufferOf, type Kept, Live, schema, VERSION } from "./HttpRecord.ts"
import type * as Store from "./Store.ts"
import * as Swr from "./Swr.ts"

/** The kind of responses that are exchanged: a client's or a server's. */
export interface Medium<L> {
  readonly head: (response: L) => HttpPolicy.Response
  readonly body: (response: L) => Uint8Array | Stream.Stream<Uint8Array, unknown>
  readonly make: (
    request: HttpPolicy.Request,
    head: HttpPolicy.Response,
    body: Uint8Array | Stream.Stream<Uint8Array, unknown>
  ) => L
  /** The same response with more fields, its body untouched. */
  readonly tell: (response: L, headers: Readonly<Record<string, string>>) => L
  /** What a failure counts as: an outage of that status, or no answer. */
  readonly kind: (error: unknown) => number | "unreachable"
  /** Whether it is for who asked alone. */
  readonly isOwn?: (error: unknown) => boolean
  /** Its body has been read, or never will be. */
  readonly release: (response: L) => Effect.Effect<void>
  /** Whether a response is a value, of which the same may be given to many. */
  readonly isValue: boolean
}

/** Asks the origin: for what the cache wants to know, or for what the reader asked, as it came. */
export type Forward<L, E> = (wanted: HttpPolicy.Request | undefined) => Effect.Effect<L, E>

/** Options of an exchange, decoded. */
export interface Options {
  /** Of the cache: in `Cache-Status`, and among the caches of a layer. */
  readonly name: string
  readonly rules: HttpPolicy.Rules
  /** The scheme of requests that do not say theirs. */
  readonly scheme: string
  /** Whether requests with cookies may be given shared answers. */
  readonly ignoreCookies: boolean
  readonly capacity: number
  /** Of all bodies together, in bytes. */
  readonly maxBytes: number
  /** How many variants of a URI are kept. */
  readonly variants: number
  /** In milliseconds: how long what is of no more use by itself is kept for asking whether it still holds. */
  readonly retain: number
  readonly timeout: Duration.Input
  /** Whether whole answers without an entity tag are given one. */
  readonly makesTags: boolean
  /** Labels by which `invalidateTag` finds a response. */
  readonly tags: (request: HttpPolicy.Request, response: HttpPolicy.Response) => ReadonlyArray<string>
}

const YEAR = 31_536_000_000

// How many hits are at hand as they were given last, and how many URLs as they were read.
const LATELY = 256

// What a response takes beside its text and its body, in bytes.
const BESIDE = 896

// A URL that is longer is read each time.
const LONG = 512

const none: ReadonlyArray<string> = []

// What asks for something else than all of it.
const whole = ["if-none-match", "if-modified-since", "range"]

// What asks for something else than what is fresh, or of somebody else than a cache.
const demanding = ["cache-control", "pragma", "if-match", "if-unmodified-since"]

// ----- what a load gives

/** The origin failed: with a response, or with none. */
class Failed extends Data.TaggedError("Failed")<{
  readonly began: number
  readonly kind: number | "unreachable"
  /** What it answered, whole: for who asked alone, or for all who wait and say the same of some fields. */
  readonly reply:
    | {
      readonly head: HttpPolicy.Response
      readonly body: Uint8Array
      readonly readers: HttpPolicy.Variant | undefined
    }
    | undefined
  readonly error: { readonly value: unknown } | undefined
  /** The same for logs, where the failure of a refresh is seen by nobody else. */
  readonly cause: unknown
}> {
  // Where in this library it was made helps nobody who reads a log.
  override readonly stack = `${this._tag}: ${this.message}`
  override get message() {
    return this.kind === "unreachable" ? "the origin gave no answer" : `the origin failed with ${this.kind}`
  }
}

/** Where a request goes, read once for all that go there. */
interface Place {
  readonly host: string | undefined
  readonly target: HttpPolicy.Target
  readonly uri: string
  /** What names a response that varies by nothing. */
  readonly key: string
}

const placeOf = (target: HttpPolicy.Target, host?: string): Place => ({
  host,
  target,
  uri: HttpPolicy.url(target),
  // No part of a target has a space in it.
  key: `${target.join(" ")} `
})

/** One request that wants an answer. Its key tells what it asks for. */
class Asked<L> {
  /** Somebody waits for the answer. */
  waits = true
  /** The last load that it began, if it did, and what is to become of what that gave. */
  began = 0
  keep: Swr.Keep = "share"
  readonly key: string
  readonly place: Place
  readonly request: HttpPolicy.Request
  readonly forward: Forward<L, unknown>
  readonly labels: () => ReadonlyArray<string>

  constructor(
    place: Place,
    fields: ReadonlyArray<string>,
    request: HttpPolicy.Request,
    forward: Forward<L, unknown>,
    labels: () => ReadonlyArray<string> = () => []
  ) {
    this.place = place
    this.key = fields.length === 0
      ? place.key
      : `${place.key}${JSON.stringify(HttpPolicy.variant(fields, request.headers))}`
    this.request = request.method === "GET" ? request : { ...request, method: "GET" }
    this.forward = forward
    this.labels = labels
  }

  /** The same key, without the reader it came from. */
  bare(fields: ReadonlyArray<string>): Asked<never> {
    const headers = Object.fromEntries(fields.map((field) => [field, this.request.headers[field]]))
    return new Asked(this.place, fields, { method: "GET", url: this.place.uri, headers }, () => Effect.never)
  }
}

/** What is known of a URI: by which fields its answers vary, and which variants there are, the oldest first. */
interface Page {
  readonly fields: ReadonlyArray<string>
  readonly variants: Map<string, Asked<never>>
}

/** What was kept, and the time by which it is judged. */
interface Past {
  readonly kept: Kept
  readonly now: number
}

const wall = Effect.withFiber((fiber) => Effect.succeed(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()))

// Nothing comes between what is looked at and what is done.
const atOnce = <A>(effect: Effect.Effect<A>) => Effect.provideService(effect, Scheduler.PreventSchedulerYield, true)

/** A cache that stands between who asks and who answers. */
export interface Exchange<L> {
  /** Answers from what is kept, or asks the origin. Fails only where the origin does and nothing may stand in. */
  readonly answer: <E>(
    request: HttpPolicy.Request,
    forward: Forward<L, E>,
    labels?: () => ReadonlyArray<string>
  ) => Effect.Effect<L, E>
  readonly invalidate: (url: string) => Effect.Effect<void, Store.StoreError>
  readonly invalidateTag: (tag: string) => Effect.Effect<void, Store.StoreError>
  readonly clear: Effect.Effect<void, Store.StoreError>
  readonly stats: Effect.Effect<Swr.Stats>
}

/** An exchange on the caches of the layer. */
export const make = <L>(medium: Medium<L>, options: Options): Effect.Effect<Exchange<L>, never, Swr.Cache> =>
  Effect.gen(function*() {
    const { rules } = options
    const isAlone = Swr.behind(yield* Swr.Cache).limits.tier === undefined
    const pages = new Map<string, Page>()
    // How the last load failed, with what was answered: no more of that than of bodies.
    let failures = new WeakMap<Kept, Failed>()
    let bytes = 0
    // Counts what was invalidated, so that no answer from before is kept past it under a key it was not asked by.
    let generation = 0
    // Orders what arrives and what is asked: an answer that was asked for after a request arrived is an answer to it.
    let order = 0

    // What strangers ask by is remembered with their own words: no more of it than of bodies.
    let letters = 0
    const lengthOf = (uri: string, { variants }: Page): number =>
      Array.from(variants.keys()).reduce((sum, name) => sum + name.length, uri.length)
    const unlist = (uri: string): void => {
      const page = pages.get(uri)
      if (page !== undefined) letters -= lengthOf(uri, page)
      pages.delete(uri)
    }

    const fieldsOf = (uri: string) => (pages.size === 0 ? undefined : pages.get(uri)?.fields) ?? none

    const words = new Map<string, string>()
    /** The same text for all who keep it: a `Date`, a `Cache-Control` and a route are of many responses. */
    const same = (text: string): string => {
      const known = words.get(text)
      if (known !== undefined || text.length > LONG) return known ?? text
      if (words.size >= LATELY) words.clear()
      words.set(text, text)
      return text
    }

    const places = new Map<string, Place>()
    const placeFor = (request: HttpPolicy.Request): Place | undefined => {
      const host = Headers.text(request.headers, "host")
      const known = places.get(request.url)
      if (known !== undefined && known.host === host) return known
      const target = HttpPolicy.target(request, options.scheme)
      if (target === undefined) return undefined
      const place = placeOf(target, host)
      if (places.size >= LATELY) places.clear()
      if (request.url.length <= LONG) places.set(request.url, place)
      return place
    }

    const drop = (asked: Asked<L>): Effect.Effect<void> => Effect.ignore(cache.invalidate(asked))

    /** Notes by what a URI varies; the oldest of too many variants is dropped. */
    const note = (asked: Asked<L>, fields: ReadonlyArray<string>): Effect.Effect<void> =>
      Effect.suspend(() => {
        const known = pages.get(asked.place.uri)
        const page = known !== undefined && known.fields.join() === fields.join()
          ? known
          : { fields, variants: new Map() }
        unlist(asked.place.uri)
        const name = asked.key
        page.variants.delete(name)
        if (fields.length > 0) page.variants.set(name, asked.bare(fields))
        const [oldest] = page.variants
        const isOver = oldest !== undefined && page.variants.size > options.variants
        if (isOver) page.variants.delete(oldest[0])
        if (fields.length > 0 || known !== undefined) {
          pages.set(asked.place.uri, page)
          letters += lengthOf(asked.place.uri, page)
        }
        for (const uri of pages.keys()) {
          if (pages.size <= options.capacity && letters <= options.maxBytes) break
          unlist(uri)
        }
        return isOver ? drop(oldest[1]) : Effect.void
      })

    /** Gives a body whole, or what has been read and the rest of it, where it is longer than what is kept. */
    const read = (
      response: L,
      limit: number
    ): Effect.Effect<Uint8Array | Stream.Stream<Uint8Array, unknown>, unknown> =>
      Effect.suspend(() => {
        const body = medium.body(response)
        if (body instanceof Uint8Array) return Effect.succeed(body)
        return Effect.contextWith((context: Context.Context<never>) => {
          const reader = Stream.toReadableStreamWith(body, context).getReader()
          const chunks: Array<Uint8Array> = []
          let size = 0
          const next = Effect.tryPromise({ try: () => reader.read(), catch: (error) => error })
          const more: Effect.Effect<Uint8Array | Stream.Stream<Uint8Array, unknown>, unknown> = Effect.flatMap(
            next,
            ({ done, value }) => {
              if (done) return Effect.succeed(joined(chunks, size))
              chunks.push(value)
              size += value.length
              return size > limit ? Effect.succeed(continued(chunks, reader)) : more
            }
          )
          return Effect.onInterrupt(more, () => Effect.promise(() => reader.cancel().catch(() => {})))
        })
      })

    /** Lets go of a body that nobody is there to read: after one chunk, so that its connection is given back. */
    const discard = (response: L): Effect.Effect<void> =>
      Effect.suspend(() => {
        const body = medium.body(response)
        const read = body instanceof Uint8Array
          ? Effect.void
          : Effect.ignore(Effect.timeout(Stream.runHead(body), "1 second"))
        return Effect.andThen(read, medium.release(response))
      })

    const lookup = (
      asked: Asked<L>,
      previous: Option.Option<Swr.Previous<Kept | Live<L>>>
    ): Effect.Effect<Kept | Live<L>, Failed> => {
      const known = Option.isSome(previous) && previous.value.value._tag === "Kept" ? previous.value.value : undefined
      return load(asked, known, known !== undefined)
    }

    const load = Effect.fnUntraced(function*(
      asked: Asked<L>,
      known: Kept | undefined,
      isConditional: boolean
    ): Effect.fn.Return<Kept | Live<L>, Failed> {
      const { request } = asked
      const before = generation
      const began = asked.began = ++order
      const fail = (failed: Pick<Failed, "kind" | "reply" | "error">) => {
        const failure = new Failed({ began, ...failed, cause: failed.error?.value })
        if (known === undefined) return failure
        bytes += failed.reply?.body.length ?? 0
        if (bytes > options.maxBytes) {
          failures = new WeakMap()
          bytes = 0
        }
        failures.set(known, failure)
        return failure
      }
      const unanswered = (error: unknown) =>
        fail({ kind: medium.kind(error), reply: undefined, error: { value: error } })
      const cut = (response: L) => (error: unknown) =>
        Effect.andThen(
          medium.release(response),
          fail({ kind: "unreachable", reply: undefined, error: { value: error } })
        )
      const requestedAt = yield* wall
      const wanted = HttpPolicy.refresh(request, isConditional && known !== undefined ? [known] : [], rules)
      const response = yield* Effect.mapError(asked.forward(wanted), unanswered)
      const times = { requestedAt, receivedAt: yield* wall }
      const head = medium.head(response)
      const live = (response: L) => new Live(response, head.status, began)

      if (head.status === 304 && isConditional && known !== undefined) {
        yield* discard(response)
        const renewed = HttpPolicy.update(request, known, head, times, rules)
        // Of another one, or of one whose body a reader has given away meanwhile.
        if (renewed === undefined || !isThere(known)) return yield* load(asked, known, false)
        const refused = HttpPolicy.refusal(request, renewed, times, rules)
        return yield* keep(asked, renewed, known.body, 304, refused !== undefined, { began, before })
      }

      const why = HttpPolicy.refusal(request, head, times, rules)
      const isOutage = HttpPolicy.isOutage(head.status)
      const isForAll = why === undefined || why === "implicit" || why === "useless"
      if (isOutage && (known !== undefined || (why !== undefined && isForAll))) {
        const body = yield* Effect.catch(read(response, rules.maxBody), cut(response))
        yield* medium.release(response)
        const fields = HttpPolicy.vary(head.headers)
        const readers = isForAll && fields !== "*" ? HttpPolicy.variant(fields, request.headers) : undefined
        const reply = body instanceof Uint8Array
          ? { head: { ...head, headers: measured(head.headers, body.length) }, body, readers }
          : undefined
        return yield* fail({ kind: head.status, reply, error: undefined })
      }
      const announced = Number(head.headers["content-length"] ?? 0)
      if (why !== undefined || announced > rules.maxBody) {
        if (!asked.waits) yield* discard(response)
        return live(response)
      }
      const body = yield* Effect.catch(read(response, rules.maxBody), cut(response))
      if (!(body instanceof Uint8Array)) {
        const end = Stream.ensuring(body, medium.release(response))
        return live(medium.make(request, { ...head, headers: Headers.endToEnd(head.headers) }, end))
      }
      yield* medium.release(response)
      const headers = { ...fitting(head.headers, body.length), ...options.makesTags ? tagged(head, body) : {} }
      const whole = { status: head.status, headers, length: body.length }
      if (HttpPolicy.refusal(request, whole, times, rules) !== undefined) {
        return live(medium.make(request, { ...head, headers: measured(head.headers, body.length) }, body))
      }
      const stored = HttpPolicy.store(request, whole, times, rules)
      return yield* keep(asked, stored, bufferOf(body), head.status, false, { began, before })
    })

    const keep = Effect.fnUntraced(function*(
      asked: Asked<L>,
      stored: HttpPolicy.Stored,
      body: ArrayBuffer,
      answered: number,
      isLast: boolean,
      { began, before }: { readonly began: number; readonly before: number }
    ) {
      const windows = HttpPolicy.windows(stored, yield* wall)
      const conditions = HttpPolicy.conditions([stored])
      const fields = stored.variant.map(([field]) => field)
      const { uri } = asked.place
      const wishes: Swr.Wishes = {
        ...windows,
        // Kept for longer than it may be used: to ask whether it still holds, and for requests that allow more.
        staleIfError: Math.max(
          windows.staleIfError,
          rules.staleOnDisconnect,
          Object.keys(conditions).length > 0 ? options.retain : 0
        ),
        // Its URI names the only response of one that varies by nothing.
        tags: [...fields.length === 0 ? [] : [uri], ...asked.labels(), ...options.tags(asked.request, stored)].map(same)
      }
      const kept = (keep: Swr.Keep, stays = typeof keep === "object"): Kept => {
        if (asked.began === began) asked.keep = keep
        const { freshness, hidden, length, status, variant } = stored
        const headers = Headers.collect(
          stored.headers,
          (value) => typeof value === "string" ? same(value) : value.map(same)
        )
        return { _tag: "Kept", status, headers, freshness, variant, hidden, length, body, began, answered, stays }
      }
      if (isLast) return kept("pass")
      // Its key is that of what it varies by, which may be something else than was known when it was asked for.
      const right = new Asked(asked.place, fields, asked.request, asked.forward, asked.labels)
      yield* note(right, fields)
      if (right.key === asked.key) return kept(wishes)
      // Over a store another process may have invalidated it since, and a `set` would have the last word: what comes
      // now was asked for before. The next one to ask finds the key.
      const isMoved = yield* atOnce(Effect.suspend(() =>
        isAlone && generation === before
          ? Effect.as(Effect.ignore(cache.set(right, kept(wishes), wishes)), true)
          : Effect.succeed(false)
      ))
      return kept("share", isMoved)
    })

    const cache = yield* Swr.make({
      name: options.name,
      version: VERSION,
      schema: schema<L>(),
      lookup,
      key: (asked: Asked<L>) => asked.key,
      // What an earlier load of the same request gave is not kept: what was said is of the last one.
      keep: (value: Kept | Live<L>, { began, keep }) =>
        value._tag === "Live"
          // One stranger's bad request must not void a page for all others. It is not shared either: see below.
          ? HttpPolicy.isReproach(value.status) ? "share" : "pass"
          : value.began === began
          ? keep
          : "share",
      weight: {
        of: (value: Kept | Live<L>, { key }: Asked<L>) =>
          value._tag === "Kept" ? value.body.byteLength + key.length + sizeOf(value.headers) + BESIDE : 1,
        max: options.maxBytes
      },
      capacity: options.capacity,
      hardTimeout: options.timeout,
      freshFor: YEAR,
      maxAge: YEAR,
      staleIfError: YEAR
    })

    const handle = Handle.of(cache)

    const inMemory = (asked: Asked<never>): Kept | undefined => {
      const { memory } = handle?.instance.namespace ?? {}
      // It is this cache's.
      const value = memory?.state(handle?.nameOf(asked) ?? "").entry?.value as Kept | Live<L> | undefined
      return value?._tag === "Kept" ? value : undefined
    }

    /**
     * Whether it was taken: not just after an answer that was one reader's, nor where it weighs too much. Over a store
     * that comes out after its reader was answered.
     */
    const isTaken = (asked: Asked<L>, { began, stays, variant }: Kept): boolean =>
      stays && (!isAlone || handle === undefined ||
        inMemory(asked.bare(variant.map(([field]) => field)))?.began === began)

    /** What a miss is called (RFC 9211, 2.2): of the URI, or only of its variant. */
    const missOf = (uri: string): "uri-miss" | "vary-miss" =>
      Array.from(pages.get(uri)?.variants.values() ?? []).some((known) => inMemory(known) !== undefined)
        ? "vary-miss"
        : "uri-miss"

    // ----- answers

    const told = (headers: Headers.Headers, handling: HttpAnswer.Handling, found: HttpAnswer.Found) => ({
      "cache-status": HttpAnswer.cacheStatus(Headers.text(headers, "cache-status"), options.name, handling),
      "x-cache": found
    })

    const unavailable = (request: HttpPolicy.Request): L =>
      medium.make(request, { status: 504, headers: { "cache-control": "no-store" } }, new Uint8Array())

    // Whole hits of the last moments. Ages and lives are told in seconds, so within one the same is given to all.
    // What has left is not held by it.
    let lately = new WeakMap<Kept, { readonly age: number; readonly left: number; readonly response: L }>()
    let hits = 0

    /** A hit, from memory. */
    const hit = (request: HttpPolicy.Request, kept: Kept, age: number, left: number): L => {
      const isPlain = medium.isValue && request.method === "GET" &&
        !whole.some((name) => request.headers[name] !== undefined)
      const handling = { hit: true, left } as const
      if (!isPlain) return give(request, kept, age, handling, "HIT")
      const [years, rest] = [Math.floor(age / 1000), Math.floor(left / 1000)]
      const last = lately.get(kept)
      if (last !== undefined && last.age === years && last.left === rest) return last.response
      const response = give(request, kept, age, handling, "HIT")
      if (++hits % LATELY === 0) lately = new WeakMap()
      lately.set(kept, { age: years, left: rest, response })
      return response
    }

    /** Gives what is kept: as 304, in parts, or whole. */
    const give = (
      request: HttpPolicy.Request,
      kept: Kept,
      age: number,
      handling: HttpAnswer.Handling,
      found: HttpAnswer.Found
    ): L => {
      const body = new Uint8Array(kept.body)
      const given = HttpAnswer.given(kept, age)
      const headers: Headers.Fields = { ...given, ...told(given, handling, found) }
      if (HttpAnswer.isNotModified(request, kept)) {
        return medium.make(request, { status: 304, headers: HttpAnswer.notModified(headers) }, new Uint8Array())
      }
      const ranges = HttpAnswer.ranges(request, kept)
      if (ranges._tag === "Unsatisfiable") {
        return medium.make(
          request,
          { status: 416, headers: HttpAnswer.unsatisfiable({ ...kept, headers }) },
          new Uint8Array()
        )
      }
      if (ranges._tag === "Parts") {
        // Not guessable, so that no body bears it.
        const boundary = globalThis.crypto.randomUUID()
        const partial = HttpAnswer.partial({ headers, length: body.length }, ranges.parts, boundary)
        const pieces = partial.pieces.map((piece) =>
          typeof piece === "string" ? encoder.encode(piece) : body.subarray(piece.start, piece.end)
        )
        const bytes = joined(pieces, pieces.reduce((sum, { length }) => sum + length, 0))
        return medium.make(request, { status: 206, headers: partial.headers }, bytes)
      }
      const length = kept.status === 204 ? {} : { "content-length": String(body.length) }
      return medium.make(request, { status: kept.status, headers: { ...headers, ...length } }, body)
    }

    // The time by the clock that ages are counted with, so that no step of the wall clock makes anything younger.
    const timeAt = ({ freshness }: Kept, age: number): number => freshness.receivedAt + age - freshness.age
    const timeOf = (kept: Kept, age: Duration.Duration): number => timeAt(kept, Duration.toMillis(age))

    const pass = <E>(
      request: HttpPolicy.Request,
      forward: Forward<L, E>,
      handling: "bypass" | "method" | "request" | "uri-miss" | "vary-miss"
    ): Effect.Effect<L, E> =>
      Effect.flatMap(forward(undefined), (response) => {
        const head = medium.head(response)
        const handled = { forward: handling, forwardStatus: head.status }
        const answer = medium.tell(response, told(head.headers, handled, "MISS"))
        const outdated = HttpPolicy.invalidated(request, head, options.scheme)
        return outdated.length === 0
          ? Effect.succeed(answer)
          : Effect.as(
            // Where a store is away this process obeys at once, and the store is told as soon as it can be.
            Effect.ignore(each(outdated.map(invalidate))),
            answer
          )
      })

    const isPersonal = (request: HttpPolicy.Request): boolean =>
      rules.shared && (request.headers["authorization"] !== undefined ||
        (!options.ignoreCookies && request.headers["cookie"] !== undefined))

    const answer = <E>(
      request: HttpPolicy.Request,
      forward: Forward<L, E>,
      labels: () => ReadonlyArray<string> = () => []
    ): Effect.Effect<L, E> =>
      Effect.suspend(() => {
        if (request.method !== "GET" && request.method !== "HEAD") return pass(request, forward, "method")
        const place = placeFor(request)
        // A body of a GET is nobody's business (section 2: "fat GET").
        const length = request.headers["content-length"]
        const isFat = request.headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0")
        return place === undefined || isFat || isPersonal(request)
          ? pass(request, forward, "bypass")
          : attempt(request, forward, place, { arrived: ++order, force: false, left: 3, labels })
      })

    /** What may be given past its windows: what is still kept, and was invalidated by nobody. */
    const past = (asked: Asked<L>): Effect.Effect<Past | undefined> =>
      Effect.map(handle?.past(asked) ?? Effect.undefined, (entry) => {
        // It is this cache's.
        const kept = entry?.value as Kept | Live<L> | undefined
        return handle === undefined || entry === undefined || kept?._tag !== "Kept" || !isThere(kept)
          ? undefined
          : { kept, now: timeAt(kept, Entry.age(entry, handle.instance.namespace.host.now())) }
      })

    /** Looks, judges, and does what was judged; again where in the meantime something else came to be known. */
    const attempt = <E>(
      request: HttpPolicy.Request,
      forward: Forward<L, E>,
      place: Place,
      turn: {
        readonly arrived: number
        readonly force: boolean
        /** What memory has is as good as nothing. */
        readonly unsure?: boolean
        readonly left: number
        readonly labels: () => ReadonlyArray<string>
      }
    ): Effect.Effect<L, E> =>
      Effect.suspend(() => {
        const { arrived, force, labels, left, unsure = false } = turn
        if (left === 0) return pass(request, forward, "bypass")
        const asked = new Asked<L>(place, fieldsOf(place.uri), request, forward, labels)
        // Most are this: something fresh, which nothing in the request forbids to give.
        if (!force && !demanding.some((name) => request.headers[name] !== undefined)) {
          const entry = handle?.fresh(asked, undefined)
          // It is this cache's.
          const kept = entry?.value as Kept | Live<L> | undefined
          if (handle !== undefined && entry !== undefined && kept?._tag === "Kept" && isThere(kept)) {
            const age = Entry.age(entry, handle.instance.namespace.host.now())
            const judged = HttpPolicy.evaluate(request, kept, timeAt(kept, age), rules)
            if (judged._tag === "Fresh" && HttpPolicy.isVariant(kept.variant, request.headers)) {
              return Effect.succeed(hit(request, kept, judged.age, judged.left))
            }
          }
        }
        const again = (force = false) =>
          attempt(request, forward, place, { ...turn, force, unsure: false, left: left - 1 })
        return Effect.flatMap(cache.peek(asked), (found) => {
          if (Option.isSome(found) && found.value.value._tag === "Kept" && !isThere(found.value.value)) {
            return Effect.andThen(drop(asked), again())
          }
          const known = !unsure && Option.isSome(found) && found.value.value._tag === "Kept"
            ? found.value.value
            : undefined
          const now = known === undefined || Option.isNone(found) ? 0 : timeOf(known, found.value.age)
          const decision = HttpPolicy.evaluate(request, known, now, rules)
          if (decision._tag === "Unavailable") return Effect.succeed(unavailable(request))
          if (decision._tag === "Bypass") return pass(request, forward, decision.forward)
          if (decision._tag === "Stale" && !decision.refresh && known !== undefined) {
            return Effect.flatMap(past(asked), (past) =>
              past?.kept === known
                ? Effect.succeed(give(request, known, decision.age, { hit: true, left: decision.left }, "STALE"))
                : attempt(request, forward, place, { ...turn, unsure: past === undefined, left: left - 1 }))
          }
          if (decision._tag === "Validate" && known === undefined && !HttpPolicy.isShareable(request, rules)) {
            return pass(request, forward, missOf(place.uri))
          }
          const why = decision._tag !== "Validate"
            ? "stale"
            : decision.forward === "uri-miss"
            ? missOf(place.uri)
            : decision.forward
          const loads = force || (decision._tag === "Validate" && decision.forward === "request")
          const failed = (
            failure: Failed | Swr.LoadTimeout,
            stored: Kept | undefined,
            now: number
          ): Effect.Effect<L, E> => {
            const kind = failure._tag === "Failed" ? failure.kind : "unreachable"
            const what = HttpPolicy.onFailure(request, stored, kind, now, rules)
            if (what === "stale" && stored !== undefined) {
              const age = HttpPolicy.age(stored.freshness, now)
              // Of who asked the origin in vain, RFC 9211, 2.1 does not speak of a hit.
              const isMine = asked.began > 0 && (failure._tag === "LoadTimeout" || failure.began === asked.began)
              const handling: HttpAnswer.Handling = isMine
                ? { forward: why, forwardStatus: kind === "unreachable" ? undefined : kind }
                : { hit: true, left: stored.freshness.lifetime - age }
              return Effect.succeed(give(request, stored, age, handling, "STALE"))
            }
            if (what === "unavailable" || failure._tag === "LoadTimeout") return Effect.succeed(unavailable(request))
            if (
              failure.error !== undefined && failure.began !== asked.began &&
              medium.isOwn?.(failure.error.value) === true
            ) {
              return pass(request, forward, "bypass")
            }
            if (failure.error !== undefined) {
              // What `forward` failed with; readers who share a load share its failure.
              return Effect.fail(failure.error.value as E)
            }
            const isMine = failure.began === asked.began
            const readers = failure.reply?.readers
            const isFor = isMine || (readers !== undefined && HttpPolicy.isVariant(readers, request.headers))
            if (failure.reply === undefined || !isFor) return pass(request, forward, "bypass")
            const { body, head } = failure.reply
            const handling = { forward: why, forwardStatus: head.status, collapsed: !isMine }
            return Effect.succeed(
              medium.make(
                request,
                { ...head, headers: { ...head.headers, ...told(head.headers, handling, "MISS") } },
                body
              )
            )
          }
          const window = () =>
            known === undefined ? 0 : Math.max(
              HttpPolicy.tolerance(request, known, "unreachable", rules),
              HttpPolicy.tolerance(request, known, 503, rules)
            )
          const reading = loads
            ? cache.revalidate(asked)
            : decision._tag === "Validate"
            ? cache.read(asked, { staleIfError: window() })
            : cache.read(asked)
          return Effect.matchEffect(
            Effect.onExit(reading, () => Effect.sync(() => asked.waits = false)),
            {
              onFailure: (failure) =>
                known === undefined
                  ? failed(failure, undefined, now)
                  : Effect.flatMap(past(asked), (past) => failed(failure, past?.kept, past?.now ?? now)),
              onSuccess: (answer): Effect.Effect<L, E> => {
                const { value } = answer
                if (value._tag === "Live") {
                  if (value.began !== asked.began) return again(force)
                  const head = medium.head(value.response)
                  const fields = told(head.headers, { forward: why, forwardStatus: value.status }, "MISS")
                  if (request.method === "GET") return Effect.succeed(medium.tell(value.response, fields))
                  const headers = { ...Headers.endToEnd(head.headers), ...fields }
                  return Effect.as(
                    discard(value.response),
                    medium.make(request, { ...head, headers }, new Uint8Array())
                  )
                }
                const now = timeOf(value, answer.age)
                const { freshness } = value
                const age = HttpPolicy.age(freshness, now)
                const isMine = value.began === asked.began
                const hasFallen = answer.status === "expired" && Option.isSome(answer.reason)
                const went = {
                  forward: why,
                  forwardStatus: value.answered,
                  stored: isTaken(asked, value),
                  ...isMine ? {} : { collapsed: true }
                }
                if (isMine && answer.source === "lookup") {
                  return Effect.succeed(give(request, value, age, went, "MISS"))
                }
                // What is kept nowhere bears no tags, by which to tell whether it was invalidated before this one came.
                const isLost = !value.stays && value.began <= arrived
                if (isLost || !HttpPolicy.isVariant(value.variant, request.headers)) return again()
                if (hasFallen) {
                  const failure = failures.get(value) ??
                    new Failed({ began: asked.began, kind: 503, reply: undefined, error: undefined, cause: undefined })
                  return failed(failure, value, now)
                }
                if (answer.source === "lookup" && value.began > arrived) {
                  return Effect.succeed(give(request, value, age, went, "MISS"))
                }
                const judged = HttpPolicy.evaluate(request, value, now, rules)
                switch (judged._tag) {
                  case "Fresh":
                    return Effect.succeed(
                      answer.source === "lookup"
                        ? give(request, value, age, went, "MISS")
                        : hit(request, value, age, judged.left)
                    )
                  case "Stale":
                    return Effect.succeed(give(request, value, age, { hit: true, left: judged.left }, "STALE"))
                  case "Unavailable":
                    return Effect.succeed(unavailable(request))
                  default:
                    // What another one's load gave may not be used without asking: ask, all who wait together.
                    return again(judged._tag === "Validate" && judged.forward === "request")
                }
              }
            }
          )
        })
      })

    const changed = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() => {
        generation++
        return effect
      })
    // The key of what varies by nothing, and the tag of what does.
    const invalidate = (target: HttpPolicy.Target) => {
      const place = placeOf(target)
      const asked = new Asked<never>(place, none, { method: "GET", url: place.uri, headers: {} }, () => Effect.never)
      return changed(each([cache.invalidate(asked), cache.invalidateTag(place.uri)]))
    }
    // As a stranger spells it: its letters first, and then as a client would send it.
    const spelt = (given: string): ReadonlyArray<HttpPolicy.Target> =>
      [given, ...URL.canParse(given) ? [new URL(given).href] : []].flatMap((url) => {
        const [bare = ""] = url.split("#", 1)
        const target = HttpPolicy.target({ method: "GET", url: bare, headers: {} }, options.scheme)
        return target === undefined ? [] : [target]
      })

    return {
      answer,
      invalidate: (url) => each(spelt(url).map(invalidate)),
      invalidateTag: (tag: string) => changed(cache.invalidateTag(tag)),
      clear: changed(cache.clear),
      stats: cache.stats
    }
  })

/** All of them, whether one fails or not. */
export const each = <E>(effects: ReadonlyArray<Effect.Effect<void, E>>): Effect.Effect<void, E> =>
  Effect.flatMap(Effect.forEach(effects, Effect.exit), (exits) => Exit.asVoidAll(exits))

const encoder = new TextEncoder()

// Of a reader who gave away what it was given, with its buffer, nothing is left for the others.
const isThere = ({ body, length }: Kept): boolean => body.byteLength === length

const sizeOf = (headers: Headers.Fields): number =>
  Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + String(value).length, 0)

// Says of two bodies whether they are the same, and of a body nothing: two sums of its bytes, mixed.
const tagged = (head: HttpPolicy.Response, body: Uint8Array): Headers.Headers => {
  if (head.status !== 200 || head.headers["etag"] !== undefined) return {}
  let [one, two] = [0xdeadbeef, 0x41c6ce57]
  for (const byte of body) {
    one = Math.imul(one ^ byte, 2_654_435_761)
    two = Math.imul(two ^ byte, 1_597_334_677)
  }
  one = Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(two ^ (two >>> 13), 3_266_489_909)
  two = Math.imul(two ^ (two >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909)
  return { etag: `W/"${body.length.toString(36)}-${(one >>> 0).toString(36)}${(two >>> 0).toString(36)}"` }
}

const joined = (chunks: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const [first] = chunks
  if (chunks.length === 1 && first !== undefined) return first
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

// What was read, and then the rest, which is let go when who reads it leaves.
const continued = (
  chunks: ReadonlyArray<Uint8Array>,
  reader: ReadableStreamDefaultReader<Uint8Array>
): Stream.Stream<Uint8Array, unknown> => {
  const rest = new ReadableStream<Uint8Array>({
    pull: (controller) =>
      reader.read().then(({ done, value }) => done ? controller.close() : controller.enqueue(value)),
    cancel: () => reader.cancel()
  })
  return Stream.concat(
    Stream.fromIterable(chunks),
    Stream.fromReadableStream({ evaluate: () => rest, onError: (error) => error })
  )
}

// A client that decodes bodies leaves the fields of the encoded one.
const fitting = (headers: Headers.Headers, length: number): Headers.Headers => {
  if (headers["content-encoding"] === undefined || headers["content-length"] === String(length)) return headers
  if (headers["content-length"] === undefined) return headers
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name !== "content-encoding" && name !== "content-length")
  )
}

// A whole body is as long as it is: announced otherwise, it would spoil what comes next on its reader's connection.
const measured = (headers: Headers.Headers, length: number): Headers.Headers => {
  const own = Headers.endToEnd(headers)
  return own["content-length"] === undefined ? own : { ...own, "content-length": String(length) }
}
