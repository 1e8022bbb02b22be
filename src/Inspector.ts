/**
 * A page that shows the caches of a layer alive: which entries are fresh, stale and expired, what loads, what fails,
 * and why a value was old. One layer mounts it on any `HttpRouter` of Effect.
 *
 * It is for the operator alone (`docs/inspector.md`). Nothing is shown to a page of another origin, values are hidden
 * and nothing can be changed unless the options say so, and on an address that others reach it does not mount without a
 * guard.
 *
 * @since 0.1.0
 */
import { ByteSize, Context, Data, Effect, Exit, Layer, Option, Redacted, type Scope, Semaphore } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import type * as Engine from "./Engine.ts"
import type * as Event from "./Event.ts"
import * as Handle from "./Handle.ts"
import * as InspectorPage from "./InspectorPage.ts"
import * as Journal from "./Journal.ts"
import * as Key from "./Key.ts"
import type * as Memory from "./Memory.ts"
import * as Portrait from "./Portrait.ts"
import * as Swr from "./Swr.ts"

/**
 * Options of the inspector.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where the page is. Default `/inspector`. */
  readonly path?: HttpRouter.PathInput | undefined
  /** The page may invalidate, mark stale and revalidate. Default false: it only looks. */
  readonly writable?: boolean | undefined
  /**
   * Whether values are shown: `"schema"` those of caches with a schema, `"all"` every one. What is `Redacted` stays so.
   * Default `"hidden"`: only their type and size are.
   */
  readonly values?: "hidden" | "schema" | "all" | undefined
  /**
   * Host names by which the page may be reached, beside those of this machine alone (`localhost`, `127.0.0.1`,
   * `[::1]`). With any other `Host` a request is refused: it may come from a page that resolved its own name to here.
   */
  readonly hosts?: ReadonlyArray<string> | undefined
  /**
   * A guard: the page asks for this token, or takes it from its address, `/inspector#token=…`, and sends it along. It
   * keeps out the other users of this machine; on other addresses it needs TLS.
   */
  readonly token?: Redacted.Redacted<string> | undefined
  /**
   * `"always"` remembers what happens from the moment it is mounted, so that the page can tell of an outage that is
   * over; every read then makes an event. `"watched"` only while a page is open. Default `"always"`.
   */
  readonly listen?: "always" | "watched" | undefined
}

/**
 * The same with a guard of your own, run for every request: `false` or a failure refuses it, a response is answered as
 * it is, to ask for a password or to send to a login.
 *
 * @since 0.1.0
 * @category models
 */
export interface Guarded<E, R> extends Options {
  readonly authorise: Effect.Effect<boolean | HttpServerResponse.HttpServerResponse, E, R>
}

/**
 * The server listens on an address that others may reach, and no guard was given.
 *
 * @since 0.1.0
 * @category errors
 */
export class PublicAddress extends Data.TaggedError("PublicAddress")<{ readonly address: string }> {
  override get message(): string {
    return `The inspector does not mount on ${this.address}, which others may reach: listen on 127.0.0.1, or give it ` +
      "`authorise` or `token`"
  }
}

/**
 * Mounts the page on the router.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Inspector from "effect-swr/Inspector"
 * import { HttpRouter, HttpServer } from "effect/http"
 *
 * // On a server: HttpRouter.serve(Layer.merge(Routes, Inspector.layer())), which listens on 127.0.0.1.
 * const page = Inspector.layer({ authorise: Effect.succeed(true) }).pipe(Layer.provide(Swr.layer()))
 * const { dispose, handler } = HttpRouter.toWebHandler(Layer.provide(page, HttpServer.layerServices), {
 *   disableLogger: true
 * })
 *
 * const program = Effect.promise(async () => {
 *   const own = await handler(new Request("http://localhost/inspector", { headers: { host: "localhost" } }))
 *   const rebound = await handler(new Request("http://evil.test/inspector", { headers: { host: "evil.test" } }))
 *   await dispose()
 *   return [own.status, rebound.status]
 * })
 *
 * Effect.runPromise(program).then(console.log) // [ 200, 403 ]
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  <E, R>(
    options: Guarded<E, R>
  ): Layer.Layer<
    never,
    never,
    HttpRouter.HttpRouter | Swr.Cache | Exclude<R, HttpServerRequest.HttpServerRequest | Scope.Scope>
  >
  (options?: Options): Layer.Layer<never, PublicAddress, HttpRouter.HttpRouter | HttpServer.HttpServer | Swr.Cache>
} = (options?: Options | Guarded<unknown, never>): Layer.Layer<never> =>
  // What the types above ask for is in the context that `mount` is run with.
  HttpRouter.use((router) => mount(router, options ?? {})) as never

const mount = Effect.fnUntraced(function*(
  router: HttpRouter.HttpRouter,
  options: Options & Partial<Guarded<unknown, never>>
) {
  const context = yield* Effect.context<never>()
  const rules: Rules = {
    hosts: (options.hosts ?? []).map((host) => host.toLowerCase()),
    token: options.token,
    guarded: options.authorise !== undefined || options.token !== undefined,
    writable: options.writable ?? false,
    // Not guessable, which Effect's `Random` need not be.
    csrf: globalThis.crypto.randomUUID()
  }
  if (!rules.guarded) {
    const { address } = Context.getUnsafe(context as Context.Context<HttpServer.HttpServer>, HttpServer.HttpServer)
    if (!isOfThisMachine(address)) {
      return yield* new PublicAddress({ address: NetAddress.formatSocketAddress(address) })
    }
  }
  const engine = Swr.behind(yield* Swr.Cache)
  const watch = yield* makeWatch(engine, options, rules)
  const page = InspectorPage.html
  const pageHeaders = { ...headers, "content-security-policy": policy(), "content-type": "text/html; charset=utf-8" }
  const limits = { view: bucket(60, engine.host.now), act: bucket(20, engine.host.now) }
  const authorise = options.authorise === undefined
    ? undefined
    // Beside those of the request, which are its own.
    : Effect.updateContext(options.authorise, (request: Context.Context<never>) => Context.merge(context, request))

  const guarded = (kind: Kind, answer: Effect.Effect<HttpServerResponse.HttpServerResponse, never, Request>) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const refused = refusal(kind, request, rules)
      if (refused !== undefined) return refuse(refused)
      if (authorise !== undefined) {
        const allowed = yield* Effect.exit(authorise)
        if (Exit.isSuccess(allowed) && HttpServerResponse.isHttpServerResponse(allowed.value)) return allowed.value
        if (!Exit.isSuccess(allowed) || allowed.value !== true) return refuse([403, "not authorised"])
      }
      if (kind !== "page" && !limits[kind]()) return refuse([429, "too many requests"])
      return yield* answer
    })

  const path = options.path ?? "/inspector"
  const base = path.replace(/\/+$/, "")
  // The rest of the path is known to begin with a slash.
  const at = (rest: string) => `${base}${rest}` as `/${string}`
  const open = guarded("page", Effect.succeed(HttpServerResponse.text(page, { headers: pageHeaders })))
  yield* router.add("GET", base === "" ? "/" : at(""), open)
  yield* router.add("GET", at("/view"), guarded("view", watch.view))
  yield* router.add("POST", at("/act"), guarded("act", watch.act))
})

// ----- who may ask

type Request = HttpServerRequest.HttpServerRequest | HttpServerRequest.ParsedSearchParams | Scope.Scope
type Kind = "page" | "view" | "act"

interface Rules {
  readonly hosts: ReadonlyArray<string>
  readonly token: Redacted.Redacted<string> | undefined
  readonly guarded: boolean
  readonly writable: boolean
  readonly csrf: string
}

type Refusal = readonly [status: number, why: string]

const isLoopback = (host: string): boolean => {
  if (host === "localhost") return true
  const ip = NetAddress.ipFromString(host)
  if (ip._tag === "Failure") return false
  const mapped = NetAddress.isIpv6Address(ip.success) ? NetAddress.fromIpv4Mapped(ip.success) : Option.none()
  return NetAddress.isLoopback(Option.getOrElse(mapped, () => ip.success))
}

const isOfThisMachine = (address: NetAddress.SocketAddress): boolean =>
  NetAddress.isUnixPathAddress(address) || isLoopback(NetAddress.formatIp(address.address))

/** Without its port and brackets. */
const nameOf = (host: string): string => host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1")

const forwarding = /^(forwarded|x-forwarded-.*|x-real-ip)$/

/** Why a request is not answered; a pure judgement of what it says of itself. */
const refusal = (kind: Kind, request: HttpServerRequest.HttpServerRequest, rules: Rules): Refusal | undefined => {
  const header = (name: string) => request.headers[name]
  const host = (header("host") ?? "").toLowerCase()
  const name = nameOf(host)
  if (!isLoopback(name) && !rules.hosts.includes(name) && !rules.hosts.includes(host)) {
    return [403, "this host name is not allowed: add it to `hosts`"]
  }
  if (!rules.guarded) {
    // Behind a proxy an address of this machine says nothing of who asks.
    if (Object.keys(request.headers).some((name) => forwarding.test(name))) {
      return [403, "through a proxy it needs a guard"]
    }
    if (Option.exists(request.remoteAddress, (address) => !isLoopback(address))) return [403, "it needs a guard"]
  }
  if (kind === "page") return undefined
  const site = header("sec-fetch-site")
  const origin = header("origin")
  const isOwn = origin === `http://${host}` || origin === `https://${host}`
  if ((site !== undefined && site !== "same-origin") || (origin !== undefined && !isOwn)) {
    return [403, "another origin may not ask"]
  }
  // A header that no page of another origin can send without asking first, which nobody answers.
  if (header("x-effect-swr") !== "inspector") return [403, "only the page may ask"]
  if (rules.token !== undefined && !isSame(header("authorization") ?? "", `Bearer ${Redacted.value(rules.token)}`)) {
    return [401, "the token is missing or wrong"]
  }
  if (kind === "view") return undefined
  if (!isOwn) return [403, "a change needs an origin"]
  if (!/^application\/json\b/.test(header("content-type") ?? "")) return [415, "a change is JSON"]
  if (!isSame(header("x-csrf-token") ?? "", rules.csrf)) return [403, "the page is of another time: load it again"]
  return rules.writable ? undefined : [403, "it only looks: `writable` is off"]
}

/** In a time that does not tell where they differ. */
const isSame = (a: string, b: string): boolean => {
  const [x, y] = [Key.sha256Hex(a), Key.sha256Hex(b)]
  let difference = 0
  for (let i = 0; i < x.length; i++) difference |= x.charCodeAt(i) ^ y.charCodeAt(i)
  return difference === 0
}

const headers = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin"
}

const refuse = ([status, why]: Refusal) =>
  HttpServerResponse.text(`effect-swr inspector: ${why}\n`, { status, headers })

/** Nothing runs but the page's own script, and it speaks to nobody but its server. */
const policy = (): string => {
  const hash = (text: string) => {
    const bytes = Key.sha256Hex(text).match(/../g) ?? []
    return `'sha256-${btoa(String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))))}'`
  }
  return [
    "default-src 'none'",
    `script-src ${hash(InspectorPage.script)}`,
    `style-src ${hash(InspectorPage.style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'"
  ].join("; ")
}

/** So many requests a second, and as many at once. */
const bucket = (size: number, now: () => number): () => boolean => {
  let left = size
  let at = now()
  return () => {
    left = Math.min(size, left + (now() - at) / 1000 * size)
    at = now()
    return left >= 1 && left-- >= 1
  }
}

// ----- what is shown

/** A walk over a cache that pages are cut from, so that a list that is scrolled does not jump. */
interface Roll {
  readonly about: string
  readonly madeAt: number
  /** How long it took: it is not made again before twenty times that. */
  readonly cost: number
  readonly names: ReadonlyArray<Key.Name>
  readonly counts: Record<Exclude<Portrait.Filter, "all">, number>
}

/** How much is done at once and given at once, and kept. */
const bounds = { rows: 200, step: 4096, rolls: 4, renew: 1000, ids: 20_000, caches: 500, watched: 10_000, body: 4096 }

const orders: ReadonlyArray<Portrait.Order> = ["kept", "key", "oldest", "reads", "due", "heaviest", "failing"]
const filters: ReadonlyArray<Portrait.Filter> = ["all", "fresh", "stale", "expired", "loading", "failing"]
const actions = ["invalidate", "mark", "revalidate"] as const

/** What was asked for, or the first where it is none of these. */
const oneOf = <A extends string>(all: ReadonlyArray<A>, given: unknown, otherwise: A): A =>
  all.find((each) => each === given) ?? otherwise

const nameOfCache = (handle: Handle.Handle): string => handle.instance.namespace.name

const cellOf = (handle: Handle.Handle, name: Key.Name): Memory.Cell<unknown> | undefined =>
  handle.instance.namespace.memory.find(name)

/** The key behind a name, where it is the same and the lookup needs no reader. */
const keyOf = (handle: Handle.Handle, name: Key.Name): Key.Name | undefined =>
  handle.plain && (typeof name === "number" || !name.startsWith("\0")) ? name : undefined

/** Listens, answers what the page asks for, and does what it is told; all of it ends with the scope. */
const makeWatch = Effect.fnUntraced(function*(engine: Engine.Engine, options: Options, rules: Rules) {
  const { host } = engine
  const scope = yield* Effect.scope
  const isAlways = (options.listen ?? "always") === "always"
  const journal = new Journal.Journal()
  const walking = Semaphore.makeUnsafe(1)
  let rolls: ReadonlyArray<Roll> = []
  // Rows are known by numbers given when they are first shown: a key as it is shown may stand for two.
  const rowsById = new Map<string, readonly [handle: Handle.Handle, name: Key.Name]>()
  const ids = new Map<Handle.Handle, Map<Key.Name, string>>()
  let lastId = 0
  let watchedAt = host.now()
  let closed = false

  const tell = (event: Event.Event) => {
    const now = host.now()
    // Nobody watches any more: no timer is needed to see that.
    if (!isAlways && now - watchedAt > bounds.watched) forget()
    else journal.tell(event, now)
  }
  const listen = () => {
    watchedAt = host.now()
    host.listeners.add(tell)
  }
  const forget = () => {
    host.listeners.delete(tell)
    journal.clear()
    rolls = []
    rowsById.clear()
    ids.clear()
  }
  if (isAlways) listen()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
      forget()
    })
  )

  const idOf = (handle: Handle.Handle, name: Key.Name): string => {
    const known = ids.get(handle) ?? new Map<Key.Name, string>()
    ids.set(handle, known)
    let id = known.get(name)
    if (id !== undefined) return id
    known.set(name, id = String(++lastId))
    rowsById.set(id, [handle, name])
    const oldest = rowsById.size > bounds.ids ? rowsById.entries().next().value : undefined
    if (oldest !== undefined) {
      rowsById.delete(oldest[0])
      ids.get(oldest[1][0])?.delete(oldest[1][1])
    }
    return id
  }

  const rowOf = (handle: Handle.Handle, name: Key.Name, now: number) => {
    const cell = cellOf(handle, name)
    const id = idOf(handle, name)
    return cell === undefined ? { id } : Portrait.row(handle, cell, id, journal, now)
  }

  // The caches of a layer's own doors are there from the start.
  const isUsed = (handle: Handle.Handle): boolean => {
    const { hits, joined, misses, size, stale } = handle.instance.stats
    return (handle !== engine.swr && handle !== engine.plain) || size + hits + stale + misses + joined > 0
  }

  const summary = (handle: Handle.Handle, now: number) => {
    const name = nameOfCache(handle)
    const { backoffs, flights, loads, size, weight } = handle.instance.stats
    const lately = { fresh: 0, stale: 0, waited: 0, failed: 0 }
    for (const second of journal.seconds(name, Math.floor(now / 1000) - 60, now)) {
      lately.fresh += second.fresh
      lately.stale += second.stale
      lately.waited += second.waited
      lately.failed += second.failed
    }
    return { name, size, weight, flights, backoffs, loads, lately }
  }

  const describe = (handle: Handle.Handle) => {
    const { backoff, hardTimeout, policy, terms } = handle.spec
    const { freshFor, jitter, maxAge, softTimeout, staleIfError, strict } = policy
    return {
      name: nameOfCache(handle),
      windows: { freshFor, maxAge, staleIfError, softTimeout, hardTimeout, jitter, strict, backoff },
      perCall: handle === engine.swr,
      schema: terms.schema !== undefined
    }
  }

  /** One key: its log, and what may be seen of its value. */
  const opened = (id: string, now: number) => {
    const known = rowsById.get(id)
    if (known === undefined) return undefined
    const [handle, name] = known
    const cell = cellOf(handle, name)
    const entry = cell?.current.entry
    const isShown = options.values === "all" || (options.values === "schema" && entry?.terms.schema !== undefined)
    const key = cell === undefined ? Journal.cut(Key.show(name)) : Portrait.keyOf(cell)
    return {
      id,
      key,
      cache: nameOfCache(handle),
      loadable: keyOf(handle, name) !== undefined,
      row: cell === undefined ? null : Portrait.row(handle, cell, id, journal, now),
      tags: entry?.terms.tags.slice(0, 20).map((tag) => tag.slice(0, 80)) ?? [],
      shape: entry === undefined ? null : Portrait.shape(entry.value),
      value: entry === undefined || !isShown ? null : Portrait.print(entry.value),
      lines: journal.lines(nameOfCache(handle), key).map(({ at, count, facts, last, tag }) => ({
        tag,
        facts,
        count,
        ago: now - at,
        last: now - last
      }))
    }
  }

  /** The keys that were asked for, in order: one walk at a time, which lets others run in between. */
  const walk = Effect.fnUntraced(
    function*(handle: Handle.Handle, query: string, filter: Portrait.Filter, order: Portrait.Order) {
      const about = JSON.stringify([nameOfCache(handle), query, filter, order])
      const madeAt = host.now()
      const known = rolls.find((roll) =>
        roll.about === about && madeAt - roll.madeAt < Math.max(bounds.renew, 20 * roll.cost)
      )
      if (known !== undefined) return known
      const counts = { fresh: 0, stale: 0, expired: 0, loading: 0, failing: 0 }
      const found: Array<{ readonly name: Key.Name; readonly rank: number | string }> = []
      let steps = 0
      for (const cell of handle.instance.namespace.memory.all()) {
        if (++steps % bounds.step === 0) yield* Effect.yieldNow
        const status = Portrait.statusOf(handle, cell, madeAt)
        if (status !== "none") counts[status]++
        if (cell.current.flight !== undefined) counts.loading++
        if (Portrait.isFailing(cell, madeAt)) counts.failing++
        if (!Portrait.isAmong(filter, status, cell, madeAt)) continue
        if (query !== "" && !Portrait.keyOf(cell).toLowerCase().includes(query)) continue
        found.push({ name: cell.key, rank: Portrait.rank(order, handle, cell, journal, madeAt) })
      }
      if (order !== "kept") found.sort((a, b) => a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0)
      const roll = { about, madeAt, cost: host.now() - madeAt, names: found.map(({ name }) => name), counts }
      if (!closed) rolls = [roll, ...rolls.filter((roll) => roll.about !== about)].slice(0, bounds.rolls)
      return roll
    },
    (walked) => walking.withPermit(walked)
  )

  /** All that the page shows, in one answer: it asks again and again, and holds no connection open. */
  const view = Effect.gen(function*() {
    const asked = yield* HttpServerRequest.ParsedSearchParams
    if (closed || host.closed) return refuse([503, "the cache has closed"])
    if (!isAlways) listen()
    const text = (name: string) => {
      const given = asked[name]
      return typeof given === "string" ? given.slice(0, Journal.bounds.keyLength) : ""
    }
    const count = (name: string) => Math.max(0, Math.floor(Number(text(name))) || 0)
    const handles = Array.from(engine.caches.values(), ({ handle }) => handle).filter(isUsed)
    const handle = handles.find((handle) => nameOfCache(handle) === text("cache")) ?? handles[0]
    const shown = handle && (yield* walk(
      handle,
      text("query").toLowerCase(),
      oneOf(filters, text("state"), "all"),
      oneOf(orders, text("order"), "kept")
    ))
    const now = host.now()
    const offset = count("offset")
    const names = shown?.names.slice(offset, offset + Math.min(bounds.rows, count("limit"))) ?? []
    return HttpServerResponse.jsonUnsafe({
      now,
      csrf: rules.csrf,
      writable: rules.writable,
      caches: handles.slice(0, bounds.caches).map((handle) => summary(handle, now)),
      cache: handle && describe(handle),
      counts: shown?.counts,
      total: shown?.names.length ?? 0,
      offset,
      rows: handle === undefined ? [] : names.map((name) => rowOf(handle, name, now)),
      seconds: handle && journal.seconds(nameOfCache(handle), count("since"), now).map(point),
      opened: opened(text("id"), now)
    }, { headers })
  })

  /** A button was pressed. */
  const act = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* Effect.option(
      Effect.provideService(request.json, HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bounds.body))
    )
    const { action, id } = fields(Option.getOrUndefined(body))
    const named = actions.find((each) => each === action)
    if (named === undefined || typeof id !== "string") return refuse([400, "no such change"])
    if (closed || host.closed) return refuse([503, "the cache has closed"])
    const known = rowsById.get(id)
    if (known === undefined) return refuse([410, "that row is no longer known"])
    const [handle, name] = known
    const key = keyOf(handle, name)
    if (named === "revalidate" && key === undefined) return refuse([409, "this key can't be loaded without its reader"])
    yield* Effect.logInfo(`effect-swr inspector: ${named}`).pipe(
      Effect.annotateLogs({ cache: nameOfCache(handle), key: Journal.cut(Key.show(name)) })
    )
    // The load goes on when the page is gone; how it ends is told in the log of the key.
    if (named === "revalidate") yield* Effect.forkIn(Effect.exit(Handle.typed(handle).revalidate(key)), scope)
    else {
      const changed = yield* Effect.exit(handle.instance.invalidate(name, named === "mark" ? "soft" : "hard"))
      if (Exit.isFailure(changed)) return refuse([502, "the store did not confirm it"])
    }
    rolls = []
    return HttpServerResponse.jsonUnsafe({ done: named }, { headers })
  })

  return { view, act }
})

const fields = (json: unknown): { readonly action?: unknown; readonly id?: unknown } =>
  typeof json === "object" && json !== null ? json : {}

/** One second, for a chart. */
const point = ({ durations, failed, fresh, loaded, second, stale, waited }: Journal.Second) => {
  const sorted = durations.toSorted((a, b) => a - b)
  return [second, fresh, stale, waited, loaded, failed, sorted[sorted.length >> 1] ?? 0, sorted.at(-1) ?? 0]
}
