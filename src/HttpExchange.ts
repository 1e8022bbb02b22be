/**
 * One request through the cache, whatever asks and whoever answers: what the client and the middleware share.
 *
 * A load is a request to the origin, so everything that caches do with loads holds for requests: one at a time,
 * detached from who asked, refreshed behind the readers' backs, held off while the origin fails. What HTTP adds is
 * judged by `HttpPolicy`: what may be kept, who may be given it, and when the origin has to be asked first.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Exit, Option, Scheduler, Stream } from "effect"
import * as Entry from "./Entry.ts"
import * as Handle from "./Handle.ts"
import * as HttpAnswer from "./HttpAnswer.ts"
import * as HttpBody from "./HttpBody.ts"
import * as Headers from "./HttpHeaders.ts"
import { Pages, type Place, placeOf, places, words } from "./HttpPages.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import * as HttpRecord from "./HttpRecord.ts"
import { isThere, type Kept, Live } from "./HttpRecord.ts"
import * as HttpVerdict from "./HttpVerdict.ts"
import type * as Store from "./Store.ts"
import * as Swr from "./Swr.ts"

/** The kind of responses that are exchanged: a client's or a server's. */
export interface Medium<L> {
  readonly head: (response: L) => HttpPolicy.Response
  readonly body: (response: L) => HttpBody.Body
  readonly make: (
    request: HttpPolicy.Request,
    head: HttpPolicy.Response,
    body: HttpBody.Body
  ) => L
  /** The same response with more fields, its body untouched. */
  readonly tell: (response: L, headers: Readonly<Record<string, string>>) => L
  /** What a failure counts as: an answer of that status, or none. */
  readonly kind: (error: unknown) => number | "unreachable"
  /** Whether it is for who asked alone. */
  readonly isOwn?: (error: unknown) => boolean
  /** Its body has been read, or never will be. */
  readonly release: (response: L) => Effect.Effect<void>
  /** How a reader waits for a load, where the one who asks doesn't say whether it may be interrupted. */
  readonly wait?: <A, E>(reading: Effect.Effect<A, E>) => Effect.Effect<A, E>
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

// How many hits are at hand as they were given last.
const LATELY = 256

const none: ReadonlyArray<string> = []

// What asks for something else than all of it.
const whole = ["if-none-match", "if-modified-since", "range"]

// What asks for something else than what is fresh, or of somebody else than a cache.
const demanding = ["cache-control", "pragma", "if-match", "if-unmodified-since"]

/** One request that wants an answer. Its key tells what it asks for. */
class Asked<L> {
  /** Somebody waits for the answer. */
  waits = true
  /** The last load that it began, if it did, and what is to become of what that gave. */
  began = 0
  fate: Swr.Keep = "share"
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
    // How the last load failed, with what was answered: no more of that than of bodies.
    let failures = new WeakMap<Kept, HttpVerdict.Failed>()
    let bytes = 0
    // Counts what was invalidated, so that no answer from before is kept past it under a key it was not asked by.
    let generation = 0
    // Orders what arrives and what is asked: an answer that was asked for after a request arrived is an answer to it.
    let order = 0

    const { variants } = options
    const pages = new Pages<Asked<never>>({ pages: options.capacity, letters: options.maxBytes, variants })
    const placeFor = places(options.scheme)
    const same = words()

    const drop = (asked: Asked<L>): Effect.Effect<void> => Effect.ignore(cache.invalidate(asked))

    /** Notes by what a URI varies; the oldest of too many variants is dropped. */
    const note = (asked: Asked<L>, fields: ReadonlyArray<string>): Effect.Effect<void> =>
      Effect.suspend(() => {
        const over = pages.note(asked.place.uri, fields, asked.key, () => asked.bare(fields))
        return over === undefined ? Effect.void : drop(over)
      })

    const discard = (response: L): Effect.Effect<void> =>
      Effect.suspend(() => Effect.andThen(HttpBody.discard(medium.body(response)), medium.release(response)))

    const lookup = (
      asked: Asked<L>,
      previous: Option.Option<Swr.Previous<Kept | Live<L>>>
    ): Effect.Effect<Kept | Live<L>, HttpVerdict.Failed> => {
      const known = Option.isSome(previous) && previous.value.value._tag === "Kept" ? previous.value.value : undefined
      return load(asked, known, known !== undefined)
    }

    const load = Effect.fnUntraced(function*(
      asked: Asked<L>,
      known: Kept | undefined,
      isConditional: boolean
    ): Effect.fn.Return<Kept | Live<L>, HttpVerdict.Failed> {
      const { request } = asked
      const before = generation
      const began = asked.began = ++order
      const fail = (failed: Pick<HttpVerdict.Failed, "kind" | "reply" | "error">) => {
        const failure = new HttpVerdict.Failed({ began, ...failed, cause: failed.error?.value })
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
      // Whole where it may be kept. Who is interrupted while it comes lets go of what it came with.
      const reading = (response: L) =>
        Effect.onInterrupt(
          Effect.catch(HttpBody.read(medium.body(response), rules.maxBody), cut(response)),
          () => medium.release(response)
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
        return yield* record(asked, renewed, known.body, 304, refused !== undefined, { began, before })
      }

      const why = HttpPolicy.refusal(request, head, times, rules)
      const isOutage = HttpPolicy.isOutage(head.status)
      const isForAll = why === undefined || why === "implicit" || why === "useless"
      if (isOutage && (known !== undefined || (why !== undefined && isForAll))) {
        const body = yield* reading(response)
        yield* medium.release(response)
        const fields = HttpPolicy.vary(head.headers)
        const readers = isForAll && fields !== "*" ? HttpPolicy.variant(fields, request.headers) : undefined
        const reply = body instanceof Uint8Array
          ? { head: { ...head, headers: HttpRecord.measured(head.headers, body.length) }, body, readers }
          : undefined
        return yield* fail({ kind: head.status, reply, error: undefined })
      }
      const announced = Number(head.headers["content-length"] ?? 0)
      if (why !== undefined || announced > rules.maxBody) {
        if (!asked.waits) yield* discard(response)
        return live(response)
      }
      const body = yield* reading(response)
      if (!(body instanceof Uint8Array)) {
        const end = Stream.ensuring(body, medium.release(response))
        if (!asked.waits) yield* HttpBody.discard(end)
        return live(medium.make(request, { ...head, headers: Headers.endToEnd(head.headers) }, end))
      }
      yield* medium.release(response)
      const headers = {
        ...HttpRecord.fitting(head.headers, body.length),
        ...options.makesTags ? HttpRecord.tagged(head, body) : {}
      }
      const whole = { status: head.status, headers, length: body.length }
      if (HttpPolicy.refusal(request, whole, times, rules) !== undefined) {
        return live(medium.make(request, { ...head, headers: HttpRecord.measured(head.headers, body.length) }, body))
      }
      const stored = HttpPolicy.store(request, whole, times, rules)
      return yield* record(asked, stored, HttpRecord.bufferOf(body), head.status, false, { began, before })
    })

    /** What is kept of a response, and says what is to become of it. */
    const record = Effect.fnUntraced(function*(
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
      const kept = (fate: Swr.Keep, stays = typeof fate === "object"): Kept => {
        if (asked.began === began) asked.fate = fate
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
      version: HttpRecord.VERSION,
      schema: HttpRecord.schema<L>(),
      lookup,
      key: (asked: Asked<L>) => asked.key,
      // What an earlier load of the same request gave is not kept: what was said is of the last one.
      keep: (value: Kept | Live<L>, { began, fate }) =>
        value._tag === "Live"
          // One stranger's bad request must not void a page for all others. Who waited for its answer asks again.
          ? HttpPolicy.isReproach(value.status) ? "share" : "pass"
          : value.began === began
          ? fate
          : "share",
      weight: {
        of: (value: Kept | Live<L>, { key }: Asked<L>) => value._tag === "Kept" ? HttpRecord.weightOf(value, key) : 1,
        max: options.maxBytes
      },
      capacity: options.capacity,
      hardTimeout: options.timeout,
      freshFor: YEAR,
      maxAge: YEAR,
      // A failure that amounts to an answer voids what is kept as that answer would.
      staleIfError: {
        window: YEAR,
        when: (failure) =>
          failure._tag !== "Failed" || failure.kind === "unreachable" || HttpPolicy.isOutage(failure.kind) ||
          HttpPolicy.isReproach(failure.kind)
      }
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
    const isTaken = (asked: Asked<L>) => ({ began, stays, variant }: Kept): boolean =>
      stays && (!isAlone || handle === undefined ||
        inMemory(asked.bare(variant.map(([field]) => field)))?.began === began)

    /** What a miss is called (RFC 9211, 2.2): of the URI, or only of its variant. */
    const missOf = (uri: string): "uri-miss" | "vary-miss" =>
      pages.variantsOf(uri).some((known) => inMemory(known) !== undefined) ? "vary-miss" : "uri-miss"

    // ----- answers

    const told = (headers: Headers.Headers, handling: HttpAnswer.Handling, found: HttpAnswer.Found) =>
      HttpAnswer.told(headers, options.name, handling, found)

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
      const given = HttpAnswer.given(kept, age)
      const headers = { ...given, ...told(given, handling, found) }
      const { body, head } = HttpAnswer.give(request, kept, headers, () => globalThis.crypto.randomUUID())
      return medium.make(request, head, body)
    }

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

    const isOwn = (error: unknown): boolean => medium.isOwn?.(error) === true

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
          : { kept, now: HttpPolicy.timeAt(kept.freshness, Entry.age(entry, handle.instance.namespace.host.now())) }
      })

    /** Gives a reader what was judged to be for it. */
    const show = (
      request: HttpPolicy.Request,
      verdict: Extract<HttpVerdict.Verdict<L>, { readonly _tag: "Hit" | "Give" | "Live" | "Reply" | "Unavailable" }>
    ): Effect.Effect<L> => {
      switch (verdict._tag) {
        case "Hit":
          return Effect.succeed(hit(request, verdict.kept, verdict.age, verdict.left))
        case "Give":
          return Effect.succeed(give(request, verdict.kept, verdict.age, verdict.handling, verdict.found))
        case "Live": {
          const { live: { response }, handling } = verdict
          const head = medium.head(response)
          const fields = told(head.headers, handling, "MISS")
          if (request.method === "GET") return Effect.succeed(medium.tell(response, fields))
          const headers = { ...Headers.endToEnd(head.headers), ...fields }
          return Effect.as(discard(response), medium.make(request, { ...head, headers }, new Uint8Array()))
        }
        case "Reply": {
          const { handling, reply: { body, head } } = verdict
          const headers = { ...head.headers, ...told(head.headers, handling, "MISS") }
          return Effect.succeed(medium.make(request, { ...head, headers }, body))
        }
        case "Unavailable":
          return Effect.succeed(unavailable(request))
      }
    }

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
        const asked = new Asked<L>(place, pages.fieldsOf(place.uri), request, forward, labels)
        // Most are this: something fresh, which nothing in the request forbids to give.
        if (!force && !demanding.some((name) => request.headers[name] !== undefined)) {
          const entry = handle?.fresh(asked, undefined)
          // It is this cache's.
          const kept = entry?.value as Kept | Live<L> | undefined
          if (handle !== undefined && entry !== undefined && kept?._tag === "Kept" && isThere(kept)) {
            const age = Entry.age(entry, handle.instance.namespace.host.now())
            const judged = HttpPolicy.evaluate(request, kept, HttpPolicy.timeAt(kept.freshness, age), rules)
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
          const now = known === undefined || Option.isNone(found)
            ? 0
            : HttpPolicy.timeAt(known.freshness, Duration.toMillis(found.value.age))
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
          const loads = force || why === "request"
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
          const reader = (): HttpVerdict.Reader => ({
            request,
            rules,
            why,
            arrived,
            began: asked.began,
            isOwn,
            lingers: !isAlone,
            isTaken: isTaken(asked)
          })
          const carryOut = (verdict: HttpVerdict.Verdict<L>): Effect.Effect<L, E> =>
            verdict._tag === "Again"
              ? again(verdict.force)
              : verdict._tag === "Pass"
              ? pass(request, forward, "bypass")
              : verdict._tag === "Fail"
              // What `forward` failed with; readers who share a load share its failure.
              ? Effect.fail(verdict.error as E)
              : show(request, verdict)
          return Effect.matchEffect(
            Effect.onExit(medium.wait?.(reading) ?? reading, () => Effect.sync(() => asked.waits = false)),
            {
              onFailure: (failure) =>
                known === undefined
                  ? carryOut(HttpVerdict.ofFailure(reader(), failure, undefined, now))
                  : Effect.flatMap(
                    past(asked),
                    (past) => carryOut(HttpVerdict.ofFailure(reader(), failure, past?.kept, past?.now ?? now))
                  ),
              onSuccess: (answer) => {
                const { value } = answer
                const failure = value._tag === "Kept" ? failures.get(value) : undefined
                return carryOut(HttpVerdict.ofAnswer(reader(), answer, failure))
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
