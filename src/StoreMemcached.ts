/**
 * A store in memcached, for a fleet that has one: it fences and leases by `gets` and `cas`. Nothing is announced, so a
 * process hears of another's last word when it asks, within `trustFor`; and there are no tags.
 *
 * It takes any client that has the four commands of {@link Client}, each a line of memcached's text protocol. The
 * clients on npm that are kept up (`memjs`, `memcache`) do not give the `cas` of a value to who asks.
 *
 * | item | what it is |
 * |---|---|
 * | hash of the space, `clock` | a random epoch. A `clear` is another one; if it is lost, what bears it is void |
 * | hash of the space, hash of the key | all there is of a key, in all versions: records, marks, tokens, leases |
 *
 * One item holds all of a key, so each change is one `cas` of what was read: whatever came between, the server says no,
 * and it is read again. So a command that is executed late changes nothing that has changed since. Times are those of
 * the machines' wall clocks, since memcached tells none: keep them together, to well below the windows of your caches.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer, Random, Result, Stream } from "effect"
import * as Codec from "./Codec.ts"
import * as Key from "./Key.ts"
import * as Policy from "./Policy.ts"
import * as Record from "./Record.ts"
import * as Store from "./Store.ts"

/**
 * What is asked of a client: memcached's `gets`, `cas`, `add` and `set`. A failure is anything; life is in seconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  /** In one round trip, what there is of these, each with its unique number for `cas`. */
  readonly gets: (
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, { readonly value: string; readonly cas: string }>, unknown>
  /** Whether it was stored: only where nothing has changed since `gets`. */
  readonly cas: (key: string, value: string, cas: string, seconds: number) => Effect.Effect<boolean, unknown>
  /** Whether it was stored: only where there is nothing. */
  readonly add: (key: string, value: string, seconds: number) => Effect.Effect<boolean, unknown>
  readonly set: (key: string, value: string, seconds: number) => Effect.Effect<boolean, unknown>
}

/**
 * Options of the store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly client: Client
  /** What all its keys begin with. Letters, digits and dashes, at most 100. Default `swr`. */
  readonly prefix?: string | undefined
  /** Larger records are not read. Default 1 MiB, which is memcached's own limit for an item. */
  readonly maxBytes?: number | undefined
}

/**
 * The store, over a client that the program has.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Store } from "effect-swr"
 * import * as StoreMemcached from "effect-swr/StoreMemcached"
 *
 * const none: StoreMemcached.Client = {
 *   gets: () => Effect.fail("not connected"),
 *   cas: () => Effect.fail("not connected"),
 *   add: () => Effect.fail("not connected"),
 *   set: () => Effect.fail("not connected")
 * }
 *
 * const program = Store.Store.use((store) =>
 *   Effect.flip(store.ask({ space: "prices", version: "", heard: undefined, within: 50 }))
 * ).pipe(Effect.provide(StoreMemcached.layer({ client: none })))
 *
 * Effect.runPromise(program).then((error) => console.log(error.message)) // prices: the store does not answer
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Store.Store> =>
  Layer.effect(
    Store.Store,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const random = yield* Random.Random
      const { client, maxBytes, prefix = "swr" } = options
      if (!/^[\w-]{1,100}$/.test(prefix)) Policy.refuse("prefix", prefix, "at most 100 letters, digits and dashes")
      return new Rack(client, () => clock.currentTimeMillisUnsafe(), () => random.nextDoubleUnsafe(), prefix, maxBytes)
        .store
    })
  )

// ----- what stands in an item

/** One version of a key: its record, and the age at which it was marked, -1 for never. */

/** Who may commit, and whose lease it is. Times are wall time. */
interface Right {
  readonly token: string
  readonly epoch: string
  readonly until: number
  readonly leasedUntil: number
  readonly cooling: boolean
  /** Who holds the lease, where the token is a load's beside it. */
  readonly holder: string
}

interface Item {
  readonly kept: ReadonlyMap<string, Record.Kept>
  readonly rights: ReadonlyMap<string, Right>
}

const FORMAT = 1
const empty: Item = { kept: new Map(), rights: new Map() }

const write = ({ kept, rights }: Item): string =>
  JSON.stringify([
    FORMAT,
    Array.from(kept, ([version, [record, marked]]) => [version, record, marked]),
    Array.from(
      rights,
      (
        [version, { cooling, epoch, holder, leasedUntil, token, until }]
      ) => [version, token, epoch, until, leasedUntil, cooling, holder]
    )
  ])

const read = (text: string): Result.Result<Item, Codec.DecodeProblem> => {
  const json = Result.getOrUndefined(Result.try((): unknown => JSON.parse(text)))
  if (!Array.isArray(json)) return Result.fail("json")
  const [format, records, tokens]: ReadonlyArray<unknown> = json
  if (format !== FORMAT) return Result.fail("format")
  if (!Array.isArray(records) || !Array.isArray(tokens)) return Result.fail("json")
  const kept = new Map<string, Record.Kept>()
  for (const part of records) {
    const [version, record, marked]: ReadonlyArray<unknown> = Array.isArray(part) ? part : []
    if (typeof version !== "string" || typeof record !== "string" || !isTime(marked)) return Result.fail("json")
    kept.set(version, [record, marked])
  }
  const rights = new Map<string, Right>()
  for (const part of tokens) {
    const [version, token, epoch, until, leasedUntil, cooling, holder]: ReadonlyArray<unknown> = Array.isArray(part)
      ? part
      : []
    if (typeof version !== "string" || typeof token !== "string" || typeof epoch !== "string") {
      return Result.fail("json")
    }
    if (!isTime(until) || !isTime(leasedUntil) || typeof holder !== "string") return Result.fail("json")
    rights.set(version, { token, epoch, until, leasedUntil, cooling: cooling === true, holder })
  }
  return Result.succeed({ kept, rights })
}

const isTime = (json: unknown): json is number => Number.isSafeInteger(json)

// ----- the store

/** What was read of a key. */
interface Seen {
  readonly item: Item
  readonly problem: Codec.DecodeProblem | undefined
  /** `undefined`: there is nothing. */
  readonly cas: string | undefined
}

interface Timed {
  readonly asker: Store.Asker
  readonly sent: number
  readonly deadline: number
}

/** What a change makes of an item, and what it answers; no item: it stays as it is. */
interface Decided<A> {
  readonly item: Item | undefined
  readonly value: A
}

type Problem = { readonly reason: Store.StoreError["reason"]; readonly cause: unknown }

/** For how long, in seconds, an item without an entry is kept: longer than any command is under way. */
const TOMBSTONE = 60
/** Beyond it memcached takes a life for a date. */
const MONTH = 30 * 24 * 3600

class Rack {
  private readonly client: Client
  private readonly now: () => number
  private readonly random: () => number
  private readonly prefix: string
  private readonly maxBytes: number | undefined

  constructor(
    client: Client,
    now: () => number,
    random: () => number,
    prefix: string,
    maxBytes: number | undefined
  ) {
    this.client = client
    this.now = now
    this.random = random
    this.prefix = prefix
    this.maxBytes = maxBytes
  }

  private clockName(space: string): string {
    return `${this.prefix}-${Key.sha256Hex(JSON.stringify(space)).slice(0, 16)}-clock`
  }
  private itemName(space: string, key: string): string {
    return this.clockName(space).replace(/clock$/, Key.sha256Hex(JSON.stringify(key)))
  }
  private epoch(): string {
    return Array.from({ length: 2 }, () => Math.floor(this.random() * 2 ** 48).toString(36)).join("")
  }

  private ask<A>(call: Effect.Effect<A, unknown>): Effect.Effect<A, Problem> {
    return Effect.mapError(call, (cause) => ({
      reason: /too large|out of memory/i.test(String(cause)) ? "full" : "away",
      cause
    }))
  }

  /** The epoch and these keys, in one round trip; an epoch where there was none. */
  private look(
    timed: Timed,
    keys: ReadonlyArray<string>
  ): Effect.Effect<{ readonly epoch: string; readonly seen: ReadonlyArray<Seen> }, Problem> {
    const { asker: { space } } = timed
    const clock = this.clockName(space)
    const items = keys.map((key) => this.itemName(space, key))
    return Effect.flatMap(this.ask(this.client.gets([clock, ...new Set(items)])), (found) => {
      const epoch = found.get(clock)?.value
      if (epoch === undefined) {
        // Two that begin one agree on whose came first.
        return Effect.flatMap(
          this.ask(this.client.add(clock, this.epoch(), MONTH)),
          () => this.look(timed, keys)
        )
      }
      const seen = items.map((name): Seen => {
        const one = found.get(name)
        if (one === undefined) return { item: empty, problem: undefined, cas: undefined }
        const item = read(one.value)
        return Result.isSuccess(item)
          ? { item: item.success, problem: undefined, cas: one.cas }
          : { item: empty, problem: item.failure, cas: one.cas }
      })
      return Effect.succeed({ epoch, seen })
    })
  }

  /** Reads, decides and writes, again and again until nothing came between or the deadline is there. */
  private modify<A>(
    timed: Timed,
    key: string,
    decide: (seen: Seen, epoch: string, now: number) => Decided<A>
  ): Effect.Effect<A, Problem> {
    return Effect.flatMap(this.look(timed, [key]), ({ epoch, seen: [seen] }) => {
      const now = this.now()
      if (now >= timed.deadline || seen === undefined) return late
      const { item, value } = decide(seen, epoch, now)
      if (item === undefined) return Effect.succeed(value)
      const name = this.itemName(timed.asker.space, key)
      const text = write(item)
      const life = this.life(item, key, now)
      const written = seen.cas === undefined
        ? this.client.add(name, text, life)
        : this.client.cas(name, text, seen.cas, life)
      return Effect.flatMap(
        this.ask(written),
        (isDone) => isDone ? Effect.succeed(value) : this.modify(timed, key, decide)
      )
    })
  }

  /** In seconds: until the last of it is dead. */
  private life({ kept, rights }: Item, key: string, now: number): number {
    const ends = [
      ...Array.from(kept.values(), ([record]) => {
        const fields = Codec.readRecord(record, key, { maxBytes: this.maxBytes })
        return Result.isSuccess(fields) ? fields.success.stamp + fields.success.windows.life : 0
      }),
      ...Array.from(rights.values(), ({ leasedUntil, until }) => Math.max(until, leasedUntil))
    ]
    return Math.min(MONTH, Math.max(TOMBSTONE, Math.ceil((Math.max(0, ...ends) - now) / 1000) + 1))
  }

  /** What is said of a key, and its item with the right given away, where it is. */
  private opened(
    seen: Seen,
    open: Store.Open,
    version: string,
    epoch: string,
    now: number
  ): Decided<Store.Opened> {
    const { beside, leaseFor, token, tokenFor } = open
    const { entry, isFresh, problem } = seen.problem === undefined
      ? Record.look(seen.item.kept.get(version), open, this.maxBytes, now, (fields) => fields.epoch !== epoch)
      : { entry: undefined, isFresh: false, problem: seen.problem }
    const said = (lease: Store.Opened["lease"]): Store.Opened => ({ entry, problem, lease })
    if (token === undefined || isFresh) return { item: undefined, value: said(undefined) }
    const right = seen.item.rights.get(version)
    const held = right !== undefined && right.epoch === epoch && right.leasedUntil > now ? right : undefined
    if (held !== undefined && !(beside && held.cooling)) {
      return { item: undefined, value: said({ left: held.leasedUntil - now, cooling: held.cooling }) }
    }
    const given: Right = held === undefined
      ? { token, epoch, until: now + tokenFor, leasedUntil: now + leaseFor, cooling: false, holder: token }
      : { ...held, token, until: now + tokenFor }
    return {
      item: { ...seen.item, rights: new Map(seen.item.rights).set(version, given) },
      value: said("given")
    }
  }

  private open(
    timed: Timed,
    keys: ReadonlyArray<Store.Open>
  ): Effect.Effect<ReadonlyArray<Store.Opened>, Problem> {
    const { asker: { version } } = timed
    return Effect.flatMap(
      this.look(timed, keys.map(({ key }) => key)),
      ({ epoch, seen }) =>
        Effect.forEach(keys, (open, i) => {
          const one = seen[i]
          const now = this.now()
          if (one === undefined || now >= timed.deadline) return late
          const { item, value } = this.opened(one, open, version, epoch, now)
          return item === undefined
            ? Effect.succeed(value)
            : this.modify(timed, open.key, (seen, epoch, now) => this.opened(seen, open, version, epoch, now))
        }, { concurrency: "unbounded" })
    )
  }

  private commit(timed: Timed, { key, stored, token }: Store.Commit): Effect.Effect<boolean, Problem> {
    const { asker: { version } } = timed
    return this.modify(timed, key, ({ item }, epoch, now): Decided<boolean> => {
      const right = item.rights.get(version)
      const isMine = right?.token === token && right.epoch === epoch && right.until > now
      const rights = new Map(item.rights)
      if (isMine || right?.holder === token) rights.delete(version)
      if (!isMine) return { item: right?.holder === token ? { ...item, rights } : undefined, value: false }
      // A load beside a lease that cools leaves the lease to who holds it.
      if (right.holder !== token) rights.set(version, { ...right, token: "", until: 0 })
      const kept = new Map(item.kept)
      kept.delete(version)
      this.put(kept, timed, key, stored, epoch)
      return { item: { kept, rights }, value: true }
    })
  }

  private put(
    kept: Map<string, Record.Kept>,
    { asker: { version }, sent }: Timed,
    key: string,
    stored: Store.Stored | undefined,
    epoch: string
  ): void {
    if (stored === undefined) return
    const { age, jitter, tags, value, windows } = stored
    // The moment of its age 0, not the one in which this happens to be written.
    const stamp = Math.floor(sent - age)
    const fields = { key, stamp, windows, jitter, tags, epoch, counter: 0 }
    if (stamp >= 0 && !Record.isOver(fields, this.now())) kept.set(version, [Codec.writeRecord(fields, value), -1])
  }

  private change(timed: Timed, change: Store.Change): Effect.Effect<void, Problem> {
    if (change.mode === "tag") return Effect.fail({ reason: "unsupported", cause: "memcached keeps no tags" })
    if (change.mode === "clear") {
      return Effect.suspend((): Effect.Effect<unknown, Problem> =>
        this.now() >= timed.deadline
          ? late
          : this.ask(this.client.set(this.clockName(timed.asker.space), this.epoch(), MONTH))
      ).pipe(Effect.asVoid)
    }
    const keys = change.mode === "set" ? [change.key] : change.keys
    return Effect.forEach(keys, (key) =>
      this.modify(timed, key, ({ cas, item }, epoch, now): Decided<void> => {
        if (change.mode === "set") {
          const kept = new Map<string, Record.Kept>()
          this.put(kept, timed, key, change.stored, epoch)
          return { item: { kept, rights: new Map() }, value: undefined }
        }
        // Nothing is there, no right either: absence never matches.
        if (cas === undefined) return { item: undefined, value: undefined }
        if (change.mode === "hard") return { item: empty, value: undefined }
        const kept = new Map(Array.from(item.kept, ([version, [record, marked]]): [string, Record.Kept] => {
          const fields = Codec.readRecord(record, key, { maxBytes: this.maxBytes })
          const age = Result.isSuccess(fields) ? Math.max(0, now - fields.success.stamp) : marked
          return [version, [record, marked < 0 ? age : marked]]
        }))
        return { item: { kept, rights: new Map() }, value: undefined }
      }), { concurrency: "unbounded", discard: true })
  }

  private lease(timed: Timed, { key, millis, to, token }: Store.Lease): Effect.Effect<boolean, Problem> {
    const { asker: { version } } = timed
    return this.modify(timed, key, ({ item }, epoch, now): Decided<boolean> => {
      const right = item.rights.get(version)
      const isMine = right?.holder === token && right.epoch === epoch && right.leasedUntil > now
      if (!isMine) return { item: undefined, value: false }
      const next = to === "release"
        ? { ...right, leasedUntil: 0 }
        : { ...right, leasedUntil: now + millis, cooling: right.cooling || to === "cool" }
      return { item: { ...item, rights: new Map(item.rights).set(version, next) }, value: true }
    })
  }

  private call<A>(
    asker: Store.Asker,
    run: (timed: Timed) => Effect.Effect<A, Problem>
  ): Effect.Effect<Store.Reply<A>, Store.StoreError> {
    return Effect.suspend(() => {
      const sent = this.now()
      return run({ asker, sent, deadline: sent + asker.within })
    }).pipe(
      Effect.mapError(({ cause, reason }) => new Store.StoreError({ reason, cache: asker.space, cause })),
      Effect.map((value) => ({ clock: undefined, value }))
    )
  }

  readonly store: Store.Store["Service"] = {
    powers: { fences: true, leases: true, announces: false, tags: false, ages: "wall" },
    open: (asker, keys) => this.call(asker, (timed) => this.open(timed, keys)),
    commit: (asker, commit) => this.call(asker, (timed) => this.commit(timed, commit)),
    change: (asker, change) => this.call(asker, (timed) => this.change(timed, change)),
    lease: (asker, lease) => this.call(asker, (timed) => this.lease(timed, lease)),
    ask: (asker) => this.call(asker, (timed) => Effect.asVoid(this.look(timed, []))),
    announcements: Stream.never
  }
}

const late: Effect.Effect<never, Problem> = Effect.fail({ reason: "late", cause: "past its deadline" })
