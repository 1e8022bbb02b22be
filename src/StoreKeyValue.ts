/**
 * A store over a `KeyValueStore`: files in a folder, or a table of a database. For one process, which begins warm after
 * a restart; nothing to install.
 *
 * What it does not do: share. Two processes over one folder would not hear each other's last words. Within the process
 * it fences all the same, so that no load that was overtaken is there after a restart.
 *
 * Its time is the wall clock, since nothing else outlives a restart. A step of that clock makes entries as much older
 * or younger; what bears a stamp in the future counts as expired.
 *
 * | what | name, behind the prefix |
 * |---|---|
 * | the entries of a key, in all versions | hash of the space, hash of the key |
 * | the clock of a space: epoch, counter, notes of tags and of the last clear | hash of the space, `clock` |
 *
 * Names are hexadecimal, so that any key is a safe name of a file, also where upper and lower case are one. What can't
 * be read is a miss; a clock that can't be read voids all of its space.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Fiber, Layer, Random, Result, Scope, Semaphore, Stream } from "effect"
import { KeyValueStore, type KeyValueStoreError } from "effect/persistence/KeyValueStore"
import * as Codec from "./Codec.ts"
import * as Key from "./Key.ts"
import * as Policy from "./Policy.ts"
import * as Record from "./Record.ts"
import * as Store from "./Store.ts"

/**
 * Options of the store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What all its names begin with, as others may use the `KeyValueStore`: letters, digits, dashes. Default `swr`. */
  readonly prefix?: string | undefined
  /** Larger records are not read. Default 1 MiB. */
  readonly maxBytes?: number | undefined
}

/**
 * The store, over a `KeyValueStore`. When it is built, and after a `clear`, it removes in the background what is dead.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 * import { Swr } from "effect-swr"
 * import * as StoreKeyValue from "effect-swr/StoreKeyValue"
 *
 * const files = KeyValueStore.layerMemory // `KeyValueStore.layerFileSystem("cache")` with a platform
 * const layer = Swr.layerStore().pipe(Layer.provide(StoreKeyValue.layer()), Layer.provide(files))
 *
 * const program = Effect.gen(function*() {
 *   const lengths = yield* Swr.make({
 *     name: "lengths",
 *     lookup: (word: string) => Effect.succeed(word.length),
 *     schema: Schema.Finite,
 *     freshFor: "1 minute"
 *   })
 *   return yield* lengths.get("stale")
 * })
 *
 * Effect.runPromise(Effect.provide(program, layer)).then(console.log) // 5
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Store.Store, never, KeyValueStore> =>
  Layer.effect(
    Store.Store,
    Effect.gen(function*() {
      const files = yield* KeyValueStore
      const scope = yield* Scope.Scope
      const clock = yield* Clock.Clock
      const random = yield* Random.Random
      const { maxBytes, prefix = "swr" } = options
      if (!/^[\w-]+$/.test(prefix)) Policy.refuse("prefix", prefix, "letters, digits and dashes")
      const shelf = new Shelf(files, scope, () => clock.currentTimeMillisUnsafe(), () => random.nextDoubleUnsafe(), {
        maxBytes,
        prefix
      })
      yield* Effect.forkIn(shelf.sweep, scope)
      return shelf.store
    })
  )

// ----- what stands in a file

/** One version of a key: its record, and the age at which it was marked, -1 for never. */

/** By version. */
type Page = ReadonlyMap<string, Record.Kept>

const FORMAT = 1

const writePage = (page: Page): string =>
  JSON.stringify([FORMAT, ...Array.from(page, ([version, kept]) => [version, ...kept])])

const readPage = (text: string): Result.Result<Page, Codec.DecodeProblem> => {
  const json = parse(text)
  if (!Array.isArray(json)) return Result.fail("json")
  const [format, ...versions]: ReadonlyArray<unknown> = json
  if (format !== FORMAT) return Result.fail("format")
  const page = new Map<string, Record.Kept>()
  for (const part of versions) {
    if (!Array.isArray(part)) return Result.fail("json")
    const [version, record, marked]: ReadonlyArray<unknown> = part
    if (typeof version !== "string" || typeof record !== "string" || !isAge(marked)) return Result.fail("json")
    page.set(version, [record, marked])
  }
  return Result.succeed(page)
}

/** The clock of a space. An entry bears the counter from when its load began; a greater note voids it. */
interface SpaceClock {
  readonly epoch: string
  counter: number
  cleared: number
  /** By slot; a collision only voids too much. */
  readonly notes: Map<number, number>
}

const writeClock = ({ cleared, counter, epoch, notes }: SpaceClock): string =>
  JSON.stringify([FORMAT, epoch, counter, cleared, Array.from(notes)])

const readClock = (text: string): SpaceClock | undefined => {
  const json = parse(text)
  if (!Array.isArray(json)) return undefined
  const [format, epoch, counter, cleared, slots]: ReadonlyArray<unknown> = json
  if (format !== FORMAT || typeof epoch !== "string" || !isCount(counter) || !isCount(cleared)) return undefined
  if (!Array.isArray(slots)) return undefined
  const notes = new Map<number, number>()
  for (const slot of slots) {
    if (!Array.isArray(slot) || !isCount(slot[0]) || !isCount(slot[1])) return undefined
    notes.set(slot[0], slot[1])
  }
  return { epoch, counter, cleared, notes }
}

const parse = (text: string): unknown => Result.getOrUndefined(Result.try((): unknown => JSON.parse(text)))
const isCount = (json: unknown): json is number => Number.isSafeInteger(json) && Number(json) >= 0
const isAge = (json: unknown): json is number => isCount(json) || json === -1

const SLOTS = 1024

const slotOf = (tag: string): number => {
  let hash = 7
  for (let i = 0; i < tag.length; i++) hash = (Math.imul(hash, 31) + tag.charCodeAt(i)) | 0
  return hash & (SLOTS - 1)
}

const isVoid = (clock: SpaceClock, { counter, epoch, tags }: Codec.Fields): boolean =>
  epoch !== clock.epoch || clock.cleared > counter ||
  tags.some((tag) => (clock.notes.get(slotOf(tag)) ?? 0) > counter)

// ----- the store

/** The right to commit, and the counter from when its load began. */
interface Token {
  readonly token: string
  readonly counter: number
  readonly until: number
}

class Shelf {
  private readonly files: KeyValueStore
  private readonly scope: Scope.Scope
  private readonly now: () => number
  private readonly random: () => number
  private readonly prefix: string
  private readonly maxBytes: number | undefined
  /** Known from the first question on: nobody else writes them. */
  private readonly clocks = new Map<string, SpaceClock>()
  /** By name of the key, then by version. Gone with the process, as its loads are. */
  private readonly tokens = new Map<string, Map<string, Token>>()
  /** Who changes a page reads it first: one at a time. */
  private readonly turns = Array.from({ length: 64 }, () => Semaphore.makeUnsafe(1))
  private readonly sweeping = Semaphore.makeUnsafe(1)

  constructor(
    files: KeyValueStore,
    scope: Scope.Scope,
    now: () => number,
    random: () => number,
    { maxBytes, prefix }: { readonly prefix: string; readonly maxBytes: number | undefined }
  ) {
    this.files = files
    this.scope = scope
    this.now = now
    this.random = random
    this.prefix = prefix
    this.maxBytes = maxBytes
  }

  private spaceName(space: string): string {
    return `${this.prefix}-${Key.sha256Hex(JSON.stringify(space)).slice(0, 16)}`
  }
  private pageName(space: string, key: string): string {
    return `${this.spaceName(space)}-${Key.sha256Hex(JSON.stringify(key))}`
  }

  /** One at a time for all pages that share a turn. */
  private turn<A, E>(name: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const turn = this.turns[Number.parseInt(name.slice(-2), 16) % this.turns.length]
    return turn === undefined ? effect : turn.withPermits(1)(effect)
  }

  private clockOf(space: string): Effect.Effect<SpaceClock, KeyValueStoreError> {
    const known = this.clocks.get(space)
    if (known !== undefined) return Effect.succeed(known)
    const name = `${this.spaceName(space)}-clock`
    return this.turn(
      name,
      Effect.suspend(() => {
        const known = this.clocks.get(space)
        if (known !== undefined) return Effect.succeed(known)
        return Effect.flatMap(this.files.get(name), (text) => {
          const found = text === undefined ? undefined : readClock(text)
          const clock = found ?? { epoch: this.epoch(), counter: 0, cleared: 0, notes: new Map() }
          const written = found === undefined ? this.files.set(name, writeClock(clock)) : Effect.void
          return Effect.map(written, () => {
            this.clocks.set(space, clock)
            return clock
          })
        })
      })
    )
  }

  private epoch(): string {
    return Array.from({ length: 2 }, () => Math.floor(this.random() * 2 ** 48).toString(36)).join("")
  }

  private page(name: string): Effect.Effect<Result.Result<Page, Codec.DecodeProblem>, KeyValueStoreError> {
    return Effect.map(this.files.get(name), (text) => text === undefined ? Result.succeed(new Map()) : readPage(text))
  }

  private put(name: string, page: Page): Effect.Effect<void, KeyValueStoreError> {
    return page.size === 0 ? this.files.remove(name) : this.files.set(name, writePage(page))
  }

  /** The page with this version written into it, unless it is dead. */
  private written(
    page: Page,
    key: string,
    { asker: { version }, sent }: Timed,
    { age, jitter, tags, value, windows }: Store.Stored,
    { epoch }: SpaceClock,
    counter: number
  ): Page {
    const next = new Map(page)
    const stamp = Math.floor(sent - age)
    const fields = { key, stamp, windows, jitter, tags, epoch, counter }
    // A record can't say that a value is older than the clock.
    if (stamp < 0 || Record.isOver(fields, this.now())) next.delete(version)
    else next.set(version, [Codec.writeRecord(fields, value), -1])
    return next
  }

  private open(timed: Timed, open: Store.Open): Effect.Effect<Store.Opened, KeyValueStoreError> {
    const { asker: { space, version } } = timed
    const { key, token, tokenFor } = open
    const name = this.pageName(space, key)
    return Effect.flatMap(this.clockOf(space), (clock) => {
      // What is noted while the file is read is after the question.
      const counter = clock.counter
      return Effect.map(this.page(name), (page): Store.Opened => {
        const now = this.now()
        const { entry, isFresh, problem } = Result.isFailure(page)
          ? { entry: undefined, isFresh: false, problem: page.failure }
          : Record.look(page.success.get(version), open, this.maxBytes, now, (fields) => isVoid(clock, fields))
        if (token === undefined || isFresh) return { entry, problem, lease: undefined }
        const tokens = this.tokens.get(name) ?? new Map<string, Token>()
        this.tokens.set(name, tokens.set(version, { token, counter, until: now + tokenFor }))
        return { entry, problem, lease: "given" }
      })
    })
  }

  private commit(timed: Timed, { key, stored, token }: Store.Commit): Effect.Effect<boolean, Problem> {
    const { asker: { space, version } } = timed
    const name = this.pageName(space, key)
    return Effect.flatMap(this.clockOf(space), (clock) =>
      this.turn(
        name,
        Effect.flatMap(this.page(name), (page): Effect.Effect<boolean, Problem> => {
          if (this.now() >= timed.deadline) return late
          const own = this.taken(name, version, token)
          if (own === undefined) return Effect.succeed(false)
          const tags = stored?.tags ?? []
          const noted = clock.cleared > own.counter ||
            tags.some((tag) => (clock.notes.get(slotOf(tag)) ?? 0) > own.counter)
          if (noted) return Effect.succeed(false)
          const others = Result.getOrElse(page, (): Page => new Map())
          const next = new Map(others)
          if (stored === undefined) next.delete(version)
          return Effect.as(
            this.put(name, stored === undefined ? next : this.written(next, key, timed, stored, clock, own.counter)),
            true
          )
        })
      ))
  }

  /** Takes the token of a key away, if it is this one. */
  private taken(name: string, version: string, token: string): Token | undefined {
    const own = this.tokens.get(name)?.get(version)
    if (own?.token !== token) return undefined
    this.tokens.get(name)?.delete(version)
    if (this.tokens.get(name)?.size === 0) this.tokens.delete(name)
    return own.until > this.now() ? own : undefined
  }

  private change(timed: Timed, change: Store.Change): Effect.Effect<void, Problem> {
    const { asker: { space } } = timed
    return Effect.flatMap(this.clockOf(space), (clock) => {
      if (change.mode === "tag" || change.mode === "clear") return this.note(timed, clock, change)
      const keys = change.mode === "set" ? [change.key] : change.keys
      return Effect.forEach(keys, (key) => {
        const name = this.pageName(space, key)
        return this.turn(
          name,
          Effect.suspend((): Effect.Effect<void, Problem> => {
            if (this.now() >= timed.deadline) return late
            this.tokens.delete(name)
            if (change.mode === "hard") return this.files.remove(name)
            if (change.mode === "set") {
              return this.put(name, this.written(new Map(), key, timed, change.stored, clock, clock.counter))
            }
            return Effect.flatMap(this.page(name), (page) => {
              // What can't be read is not there: nothing to mark.
              if (Result.isFailure(page) || page.success.size === 0) return Effect.void
              return this.put(name, this.marked(page.success, key))
            })
          })
        )
      }, { discard: true })
    })
  }

  private marked(page: Page, key: string): Page {
    const now = this.now()
    return new Map(Array.from(page, ([version, [record, marked]]) => {
      const fields = Codec.readRecord(record, key, { maxBytes: this.maxBytes })
      const age = Result.isSuccess(fields) ? Math.max(0, now - fields.success.stamp) : marked
      return [version, [record, marked < 0 ? age : marked]]
    }))
  }

  /** The note is written before it counts here: what was acknowledged holds after a restart. */
  private note(
    timed: Timed,
    clock: SpaceClock,
    change: Extract<Store.Change, { readonly mode: "tag" | "clear" }>
  ): Effect.Effect<void, Problem> {
    const { asker: { space } } = timed
    const name = `${this.spaceName(space)}-clock`
    return this.turn(
      name,
      Effect.suspend((): Effect.Effect<void, Problem> => {
        if (this.now() >= timed.deadline) return late
        // Also where writing fails: what was to go is void at least until the next start.
        const counter = ++clock.counter
        if (change.mode === "clear") clock.cleared = counter
        else clock.notes.set(slotOf(change.tag), counter)
        return this.files.set(name, writeClock(clock))
      })
    ).pipe(
      Effect.tap(() => change.mode === "clear" ? Effect.forkIn(this.sweep, this.scope) : Effect.void)
    )
  }

  /** Removes what is dead: files have no life of their own. */
  get sweep(): Effect.Effect<void> {
    const pages = new RegExp(`^(${this.prefix}-[0-9a-f]{16})-[0-9a-f]{64}$`)
    const sweep = Effect.flatMap(this.files.keys, (names) =>
      Effect.forEach(names, (name) => {
        const space = pages.exec(name)?.[1]
        return space === undefined ? Effect.void : Effect.ignore(this.turn(name, this.swept(name, space)))
      }, { discard: true }))
    return Effect.ignore(this.sweeping.withPermits(1)(sweep))
  }

  private swept(name: string, spaceName: string): Effect.Effect<void, KeyValueStoreError> {
    return Effect.flatMap(this.page(name), (page) => {
      // A later release's is left to it.
      if (Result.isFailure(page)) return page.failure === "format" ? Effect.void : this.files.remove(name)
      const now = this.now()
      // Of a space that nobody has asked for there is no clock yet: its entries are judged by their age alone.
      const clock = Array.from(this.clocks).find(([space]) => this.spaceName(space) === spaceName)?.[1]
      const alive = new Map(
        Array.from(page.success).filter(([, [record]]) => {
          const fields = peek(record)
          return fields !== undefined && !Record.isOver(fields, now) && (clock === undefined || !isVoid(clock, fields))
        })
      )
      return alive.size === page.success.size ? Effect.void : this.put(name, alive)
    })
  }

  /** What is under way goes on when its caller leaves: a file that is half written would be lost. */
  private call<A>(
    asker: Store.Asker,
    run: (timed: Timed) => Effect.Effect<A, Problem>
  ): Effect.Effect<Store.Reply<A>, Store.StoreError> {
    const work = Effect.suspend(() => {
      const sent = this.now()
      return sent >= sent + asker.within ? late : run({ asker, sent, deadline: sent + asker.within })
    })
    return Effect.forkIn(work, this.scope, { startImmediately: true }).pipe(
      Effect.flatMap(Fiber.join),
      Effect.mapError((problem) =>
        problem === "late"
          ? new Store.StoreError({ reason: "late", cache: asker.space, cause: "past its deadline" })
          : new Store.StoreError({ reason: "away", cache: asker.space, cause: problem })
      ),
      Effect.map((value) => ({ clock: undefined, value }))
    )
  }

  readonly store: Store.Store["Service"] = {
    powers: { fences: false, leases: false, announces: false, tags: true, ages: "wall" },
    open: (asker, keys) =>
      this.call(asker, (timed) => Effect.forEach(keys, (open) => this.open(timed, open), { concurrency: 16 })),
    commit: (asker, commit) => this.call(asker, (timed) => this.commit(timed, commit)),
    change: (asker, change) => this.call(asker, (timed) => this.change(timed, change)),
    lease: (asker, { key, to, token }) =>
      this.call(asker, () =>
        Effect.sync(() => {
          if (to !== "renew") this.taken(this.pageName(asker.space, key), asker.version, token)
          return false
        })),
    ask: (asker) => this.call(asker, () => Effect.void),
    announcements: Stream.never
  }
}

/** A command, when it was given and until when it may be done. */
interface Timed {
  readonly asker: Store.Asker
  readonly sent: number
  readonly deadline: number
}

type Problem = KeyValueStoreError | "late"

const late: Effect.Effect<never, Problem> = Effect.fail("late")

/** The fields of a record whose key is not known: of a file that is swept. */
const peek = (record: string): Codec.Fields | undefined => {
  const json = parse(record)
  const key = typeof json === "object" && json !== null && "key" in json ? json.key : undefined
  return typeof key === "string"
    ? Result.getOrUndefined(Codec.readRecord(record, key, { maxBytes: Infinity }))
    : undefined
}
