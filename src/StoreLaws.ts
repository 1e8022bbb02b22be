/**
 * What a store promises, as laws that can be checked: some for every store, some for each power that it declares.
 *
 * @since 0.1.0
 */
import { Clock, Data, Effect, Equal, Exit, Fiber, Random, Stream } from "effect"
import * as Key from "./Key.ts"
import * as Store from "./Store.ts"

/**
 * A store does not do what it promises.
 *
 * @since 0.1.0
 * @category errors
 */
export class LawBroken extends Data.TaggedError("LawBroken")<{
  readonly law: string
  /** What was found, and what should have been. */
  readonly found: string
  readonly cause?: unknown
}> {
  override get message() {
    return `${this.law}: ${this.found}`
  }
}

/**
 * One promise.
 *
 * @since 0.1.0
 * @category models
 */
export interface Law {
  /** What the law says. */
  readonly name: string
  /** Which stores promise it: all, or those that declare the power. */
  readonly power: "all" | "fences" | "leases" | "announces" | "tags"
  /** Uses a space of its own and leaves it behind: a store that outlives the test should be one for tests. */
  readonly check: Effect.Effect<void, LawBroken, Store.Store>
}

/**
 * How laws are checked.
 *
 * @since 0.1.0
 * @category models
 */
export interface LawOptions {
  /** What the store declares. Laws of other powers are left out. */
  readonly powers: Store.Powers
  /** Lets so many milliseconds pass: `Effect.sleep` for a real store, `TestClock.adjust` for a simulated one. */
  readonly wait: (millis: number) => Effect.Effect<void>
  /** The least time that the store can tell apart, and far more than a round trip takes. Default 100 milliseconds. */
  readonly unit?: number | undefined
}

/**
 * The laws of a store with these powers.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Store } from "effect-swr"
 * import * as Testing from "effect-swr/Testing"
 * import { TestClock } from "effect/testing"
 *
 * const program = Effect.gen(function*() {
 *   const simulated = yield* Testing.simulatedStore()
 *   const store = simulated.connect("a")
 *   const powers = yield* Effect.provide(Store.Store.use((store) => Effect.succeed(store.powers)), store)
 *   const laws = Testing.laws({ powers, wait: (millis) => TestClock.adjust(millis) })
 *   yield* Effect.forEach(laws, ({ check }) => Effect.provide(check, store))
 *   return "it keeps them"
 * })
 *
 * Effect.runPromise(Effect.provide(program, TestClock.layer()).pipe(Effect.scoped)).then(console.log) // it keeps them
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const laws = (options: LawOptions): ReadonlyArray<Law> =>
  all.filter(({ needs }) => needs.every((power) => options.powers[power])).map(({ name, needs, prove }) => ({
    name,
    power: needs[0] ?? "all",
    check: Effect.flatMap(
      Bench.make(name, options),
      (bench) =>
        Effect.mapError(
          prove(bench),
          (error) =>
            error._tag === "LawBroken" ? error : new LawBroken({ law: name, found: error.message, cause: error })
        )
    )
  }))

// ----- the bench: a space of its own, and short words for what is done there

type Power = Exclude<Law["power"], "all">
type Proof = Effect.Effect<void, LawBroken | Store.StoreError>

const HOUR = 3_600_000

interface Given {
  readonly age?: number
  readonly life?: number
  readonly tags?: ReadonlyArray<string>
  readonly clock?: Store.Clock | undefined
}

class Bench {
  readonly store: Store.Store["Service"]
  readonly unit: number
  readonly wait: (millis: number) => Effect.Effect<void>
  private readonly law: string
  private readonly space: string
  private readonly version: string

  private constructor(
    law: string,
    store: Store.Store["Service"],
    { unit = 100, wait }: LawOptions,
    space: string,
    version: string
  ) {
    this.law = law
    this.store = store
    this.unit = unit
    this.wait = (units) => wait(units * unit)
    this.space = space
    this.version = version
    this.options = { powers: store.powers, unit, wait }
  }
  private readonly options: LawOptions

  static make(law: string, options: LawOptions) {
    return Effect.gen(function*() {
      const store = yield* Store.Store
      const place = yield* Random.nextIntBetween(0, 2 ** 48)
      return new Bench(law, store, options, `law-${place.toString(36)}`, "1")
    })
  }

  /** The same space under another version; another space. */
  as(version: string): Bench {
    return new Bench(this.law, this.store, this.options, this.space, version)
  }
  beside(): Bench {
    return new Bench(this.law, this.store, this.options, `${this.space}-beside`, this.version)
  }

  asker(more: Partial<Store.Asker> = {}): Store.Asker {
    // Long enough for every store: what is late is said where it is meant.
    return { space: this.space, version: this.version, heard: undefined, within: HOUR, ...more }
  }
  key(name: string): string {
    return Key.storedKey(this.space, name)
  }

  stored(value: string, { age = 0, clock, life = HOUR, tags = [] }: Given = {}): Store.Stored {
    return { value: JSON.stringify(value), age, windows: { life }, jitter: 0.25, tags, clock }
  }

  /** Wants to load a key for `lease` units, and may commit for `token` units. */
  wanted(name: string, token?: string, more: Partial<Store.Open> = {}): Store.Open {
    const policy = { freshFor: HOUR, maxAge: HOUR, jitter: 0, strict: false }
    return { key: this.key(name), policy, token, beside: false, leaseFor: HOUR, tokenFor: HOUR, ...more }
  }
  openAll(opens: ReadonlyArray<Store.Open>, more?: Partial<Store.Asker>) {
    return this.store.open(this.asker(more), opens)
  }
  open(name: string, token?: string, more?: Partial<Store.Open>) {
    return Effect.gen({ self: this }, function*() {
      const { clock, value } = yield* this.openAll([this.wanted(name, token, more)])
      const [opened] = value
      if (opened === undefined || value.length !== 1) {
        return yield* this.broken(`one key was asked, ${value.length} answered`)
      }
      return { ...opened, clock }
    })
  }
  /** The value of a key; `undefined` for none. */
  value(name: string) {
    return Effect.map(this.open(name), ({ entry }): unknown => entry && JSON.parse(entry.value))
  }
  lease(name: string, token: string, to: Store.Lease["to"], units = 1) {
    const millis = units * this.unit
    return Effect.map(this.store.lease(this.asker(), { key: this.key(name), token, to, millis }), ({ value }) => value)
  }
  commit(name: string, token: string, value: string | undefined, given?: Given) {
    const stored = value === undefined ? undefined : this.stored(value, given)
    return Effect.map(this.store.commit(this.asker(), { key: this.key(name), token, stored }), ({ value }) => value)
  }
  change(change: Store.Change, more?: Partial<Store.Asker>) {
    return this.store.change(this.asker(more), change)
  }
  set(name: string, value: string, given?: Given) {
    return this.change({ mode: "set", key: this.key(name), stored: this.stored(value, given), news: `set ${name}` })
  }
  hard(...names: ReadonlyArray<string>) {
    return this.change({ mode: "hard", keys: names.map((name) => this.key(name)), news: `hard ${names.join()}` })
  }
  soft(...names: ReadonlyArray<string>) {
    return this.change({ mode: "soft", keys: names.map((name) => this.key(name)), news: `soft ${names.join()}` })
  }
  tag(tag: string) {
    return this.change({ mode: "tag", tag, news: `tag ${tag}` })
  }
  readonly clear = Effect.suspend(() => this.change({ mode: "clear", news: "clear" }))

  /** A load under way: the clock of its entry is that of the reply. */
  load(name: string, token: string, more?: Partial<Store.Open>) {
    return Effect.gen({ self: this }, function*() {
      const { clock, lease } = yield* this.open(name, token, more)
      yield* this.same(lease, "given", `the right to load ${name}`)
      return {
        end: (value: string | undefined, given?: Given) => this.commit(name, token, value, { ...given, clock })
      }
    })
  }

  broken(found: string): Effect.Effect<never, LawBroken> {
    return Effect.fail(new LawBroken({ law: this.law, found }))
  }
  same(got: unknown, wanted: unknown, what: string): Effect.Effect<void, LawBroken> {
    return Equal.equals(got, wanted)
      ? Effect.void
      : this.broken(`${what}: got ${JSON.stringify(got)}, should be ${JSON.stringify(wanted)}`)
  }
  within(got: number | undefined, least: number, most: number, what: string): Effect.Effect<void, LawBroken> {
    return got !== undefined && got >= least && got <= most
      ? Effect.void
      : this.broken(`${what}: got ${got}, should be from ${least} to ${most}`)
  }
  holds(isSo: boolean, what: string): Effect.Effect<void, LawBroken> {
    return isSo ? Effect.void : this.broken(`${what}: it is not so`)
  }
  /** The reason of a call that has to fail. */
  reason(call: Effect.Effect<unknown, Store.StoreError>, what: string) {
    return Effect.matchEffect(call, {
      onFailure: ({ reason }) => Effect.succeed(reason),
      onSuccess: () => this.broken(`${what}: it was done`)
    })
  }
}

// ----- the laws

interface Stated {
  readonly name: string
  readonly needs: ReadonlyArray<Power>
  readonly prove: (bench: Bench) => Proof
}

const law = (
  needs: ReadonlyArray<Power>,
  name: string,
  prove: (bench: Bench) => Generator<Effect.Effect<unknown, LawBroken | Store.StoreError>, void>
): Stated => ({ name, needs, prove: (bench) => Effect.gen(() => prove(bench)) })

/** Each of the three words about a key. */
const words: ReadonlyArray<readonly [string, (bench: Bench, key: string) => Effect.Effect<unknown, Store.StoreError>]> =
  [
    ["set", (bench, key) => bench.set(key, "last word")],
    ["hard", (bench, key) => bench.hard("another", key)],
    ["soft", (bench, key) => bench.soft(key)]
  ]

const names = [
  "",
  "a",
  "A",
  ".",
  "..",
  "a/b",
  "../a",
  "a b",
  "a%2Fb",
  "a:b",
  "{a}",
  "a\n",
  "a\0",
  "\ud800",
  "\ud801",
  "é",
  "日本",
  "*",
  "x".repeat(300)
]

const values = [
  "",
  " ",
  "0",
  "null",
  "\"",
  "\\",
  "\n\r\t\0",
  "\u2028\u2029",
  "é日本🙂",
  "\ud800",
  "</script>",
  "x".repeat(200_000)
]

const all: ReadonlyArray<Stated> = [
  // ----- every store
  law([], "nothing is where nothing was written", function*(bench) {
    const { entry, lease, problem } = yield* bench.open("a")
    yield* bench.same([entry, problem, lease], [undefined, undefined, undefined], "entry, problem and lease")
  }),

  law([], "what was set is read as it was written", function*(bench) {
    const windows = { freshFor: 1000, maxAge: 2000, staleIfError: 3000, life: HOUR }
    const written = { ...bench.stored("value"), windows, tags: ["t", "é 日本"], jitter: 0.75 }
    yield* bench.change({ mode: "set", key: bench.key("a"), stored: written, news: "" })
    const { entry } = yield* bench.open("a")
    yield* bench.same(
      entry && [JSON.parse(entry.value), entry.windows, entry.jitter, entry.tags, entry.marked],
      ["value", windows, 0.75, written.tags, -1],
      "value, windows, jitter, tags and mark"
    )
    yield* bench.set("b", "plain")
    const plain = (yield* bench.open("b")).entry
    yield* bench.same(plain && [plain.windows, plain.tags], [{ life: HOUR }, []], "windows and tags of a plain one")
  }),

  law([], "what was committed is read as it was written", function*(bench) {
    const load = yield* bench.load("a", "mine")
    yield* bench.same(yield* load.end("value", { tags: ["t"] }), true, "the commit")
    const { entry } = yield* bench.open("a")
    yield* bench.same(
      entry && [JSON.parse(entry.value), entry.windows, entry.jitter, entry.tags, entry.marked],
      ["value", { life: HOUR }, 0.25, ["t"], -1],
      "value, windows, jitter, tags and mark"
    )
  }),

  law([], "a value is any text", function*(bench) {
    for (const [i, value] of values.entries()) {
      yield* bench.set(`key ${i}`, value)
      const got = yield* bench.value(`key ${i}`)
      yield* bench.holds(got === value, `value ${i} is read as it was written`)
    }
  }),

  law([], "a key is any text, and no other", function*(bench) {
    for (const name of names) yield* bench.set(name, name)
    const { value } = yield* bench.openAll(names.map((name) => bench.wanted(name)))
    yield* bench.same(
      value.map(({ entry }): unknown => entry && JSON.parse(entry.value)),
      names,
      "the values of the keys"
    )
  }),

  law([], "keys are answered in the order in which they are asked, missing and repeated ones too", function*(bench) {
    yield* bench.set("a", "A")
    yield* bench.set("b", "B")
    const { value } = yield* bench.openAll(["b", "none", "a", "b"].map((name) => bench.wanted(name)))
    const got = value.map(({ entry }): unknown => entry && JSON.parse(entry.value))
    yield* bench.same(got, ["B", undefined, "A", "B"], "the values")
  }),

  law([], "an age goes on from what it was, and counts the way", function*(bench) {
    const before = yield* Clock.currentTimeMillis
    yield* bench.set("a", "value", { age: 1000 })
    const first = (yield* bench.open("a")).entry?.age
    yield* bench.within(first, 1000, 1000 + (yield* Clock.currentTimeMillis) - before + bench.unit, "the age")
    yield* bench.wait(2)
    const second = (yield* bench.open("a")).entry?.age
    // Each counts a way of its own: the first may have been slow.
    yield* bench.within(second, (first ?? 0) + bench.unit, Infinity, "the age two units later")
    const load = yield* bench.load("b", "mine")
    yield* load.end("value", { age: 2000 })
    yield* bench.within((yield* bench.open("b")).entry?.age, 2000, Infinity, "the age of what was committed")
  }),

  law([], "an entry is gone at the end of its life, also one that is dead when it comes", function*(bench) {
    yield* bench.set("a", "value", { life: 4 * bench.unit })
    yield* bench.set("dead", "value", { life: 4 * bench.unit, age: 4 * bench.unit })
    yield* bench.same([yield* bench.value("a"), yield* bench.value("dead")], ["value", undefined], "the values")
    yield* bench.wait(5)
    yield* bench.same(yield* bench.value("a"), undefined, "the value at the end of its life")
  }),

  law([], "what is dead when it comes takes the place of what was there", function*(bench) {
    yield* bench.set("a", "old")
    yield* bench.set("a", "dead", { life: 1000, age: 1000 })
    yield* bench.same(yield* bench.value("a"), undefined, "the value")
  }),

  law([], "a set takes the place of what was there", function*(bench) {
    yield* bench.set("a", "old", { age: HOUR / 2, tags: ["old"] })
    yield* bench.soft("a")
    yield* bench.set("a", "new", { tags: ["new"] })
    const { entry } = yield* bench.open("a")
    yield* bench.same(entry && [JSON.parse(entry.value), entry.tags, entry.marked], ["new", ["new"], -1], "the new one")
    yield* bench.within(entry?.age, 0, HOUR / 4, "its age")
  }),

  law([], "hard: the entries of the keys are gone, and no others", function*(bench) {
    for (const key of ["a", "b", "c"]) yield* bench.set(key, key)
    yield* bench.hard("a", "b", "none")
    const got = [yield* bench.value("a"), yield* bench.value("b"), yield* bench.value("c")]
    yield* bench.same(got, [undefined, undefined, "c"], "the values")
  }),

  law([], "soft: the entries are marked at the age they have, the first time", function*(bench) {
    yield* bench.set("a", "value", { age: 1000 })
    yield* bench.set("b", "value")
    yield* bench.soft("a", "none")
    const first = (yield* bench.open("a")).entry
    yield* bench.within(first?.marked, 1000, first?.age ?? 0, "the mark")
    yield* bench.same(first && JSON.parse(first.value), "value", "the value")
    yield* bench.wait(2)
    yield* bench.soft("a")
    yield* bench.same((yield* bench.open("a")).entry?.marked, first?.marked, "the mark after a second one")
    yield* bench.same((yield* bench.open("b")).entry?.marked, -1, "the mark of another key")
    yield* bench.same((yield* bench.open("none")).entry, undefined, "the entry of a key that has none")
  }),

  law([], "clear: the entries of the space are gone, and what comes after stays", function*(bench) {
    yield* bench.set("a", "value")
    yield* bench.set("b", "value")
    yield* bench.clear
    yield* bench.same([yield* bench.value("a"), yield* bench.value("b")], [undefined, undefined], "the values")
    yield* bench.set("a", "new")
    yield* (yield* bench.load("b", "mine")).end("new")
    yield* bench.same([yield* bench.value("a"), yield* bench.value("b")], ["new", "new"], "the values of afterwards")
  }),

  law([], "spaces are apart", function*(bench) {
    const other = bench.beside()
    yield* other.set("a", "theirs")
    yield* bench.same(yield* bench.value("a"), undefined, "the value here")
    yield* bench.set("a", "ours")
    yield* bench.hard("a")
    yield* bench.clear
    yield* bench.same(yield* other.value("a"), "theirs", "the value there")
    const ours = yield* bench.open("b", "ours")
    const theirs = yield* other.open("b", "theirs")
    yield* bench.same([ours.lease, theirs.lease], ["given", "given"], "the rights to load")
  }),

  law([], "versions live side by side, and last words meet all", function*(bench) {
    const next = bench.as("2")
    const both = Effect.gen(function*() {
      yield* bench.hard("a")
      yield* (yield* bench.load("a", "one")).end("one")
      yield* (yield* next.load("a", "two")).end("two")
    })
    yield* both
    yield* bench.same([yield* bench.value("a"), yield* next.value("a")], ["one", "two"], "the values")
    yield* next.soft("a")
    yield* bench.holds(((yield* bench.open("a")).entry?.marked ?? -1) >= 0, "soft marks the other version's")
    yield* both
    yield* next.set("a", "last")
    yield* bench.same([yield* bench.value("a"), yield* next.value("a")], [undefined, "last"], "the values after set")
    yield* both
    yield* next.hard("a")
    yield* bench.same(
      [yield* bench.value("a"), yield* next.value("a")],
      [undefined, undefined],
      "the values after hard"
    )
    yield* both
    yield* next.clear
    yield* bench.same(
      [yield* bench.value("a"), yield* next.value("a")],
      [undefined, undefined],
      "the values after clear"
    )
  }),

  law(
    [],
    "a load is granted where it is wanted and the entry is missing or no longer fresh to who asks",
    function*(bench) {
      const policy = { freshFor: 2000, maxAge: HOUR, jitter: 0, strict: false }
      const lease = (key: string, more: Partial<Store.Open["policy"]> = {}) =>
        Effect.map(bench.open(key, "mine", { policy: { ...policy, ...more } }), ({ lease }) => lease)
      yield* bench.same(yield* lease("none"), "given", "of a key without an entry")
      for (const key of ["fresh", "aged", "marked", "strict"]) yield* bench.set(key, "value", { age: 1000 })
      yield* bench.same(yield* lease("fresh", { freshFor: HOUR }), undefined, "of a fresh one")
      yield* bench.same((yield* bench.open("aged")).lease, undefined, "of one that is only looked at")
      yield* bench.same(yield* lease("aged", { freshFor: 1000 }), "given", "of one at the end of its freshness")
      yield* bench.same(
        yield* lease("strict", { freshFor: 1000, maxAge: 1000, strict: true }),
        "given",
        "to a strict one"
      )
      yield* bench.soft("marked")
      yield* bench.same(yield* lease("marked", { freshFor: HOUR }), "given", "of a marked one")
      const windows = { freshFor: 1000, life: HOUR }
      const own = { ...bench.stored("value", { age: 1000 }), windows }
      yield* bench.change({ mode: "set", key: bench.key("own"), stored: own, news: "" })
      yield* bench.same(yield* lease("own", { freshFor: HOUR }), "given", "of one past its own freshness")
      // Drawn 0.25: half of that is off.
      yield* bench.set("jitter", "value", { age: 1000 })
      yield* bench.same(yield* lease("jitter", { freshFor: 1100, jitter: 0.5 }), "given", "of one that its jitter ends")
    }
  ),

  law([], "a commit of nothing takes the entry away", function*(bench) {
    yield* bench.set("a", "value")
    const load = yield* bench.load("a", "mine", { policy: { freshFor: 0, maxAge: HOUR, jitter: 0, strict: false } })
    yield* bench.same(yield* load.end(undefined), true, "the commit")
    yield* bench.same(yield* bench.value("a"), undefined, "the value")
  }),

  law([], "nothing is done once the deadline is there", function*(bench) {
    const late = { within: 0 }
    yield* bench.set("a", "value")
    const stored = bench.stored("late")
    const changes: ReadonlyArray<Store.Change> = [
      { mode: "set", key: bench.key("a"), stored, news: "" },
      { mode: "hard", keys: [bench.key("a")], news: "" },
      { mode: "soft", keys: [bench.key("a")], news: "" },
      { mode: "clear", news: "" }
    ]
    const expected = (reason: string) => reason === "late" || reason === "away"
    for (const change of changes) {
      const reason = yield* bench.reason(bench.change(change, late), `a late ${change.mode}`)
      yield* bench.holds(expected(reason), `a late ${change.mode} is late, and not ${reason}`)
    }
    const { entry } = yield* bench.open("a")
    yield* bench.same(entry && [JSON.parse(entry.value), entry.marked], ["value", -1], "value and mark")
    yield* bench.load("b", "mine")
    const commit = bench.store.commit(bench.asker(late), { key: bench.key("b"), token: "mine", stored })
    yield* bench.holds(expected(yield* bench.reason(commit, "a late commit")), "a late commit is late")
    yield* bench.same(yield* bench.value("b"), undefined, "the value of a late commit")
    const open = bench.openAll([bench.wanted("c", "late")], late)
    yield* bench.holds(expected(yield* bench.reason(open, "a late open")), "a late open is late")
    yield* bench.same((yield* bench.open("c", "mine")).lease, "given", "the right that nobody was given")
  }),

  law([], "what a store does not declare it does not pretend", function*(bench) {
    const { announces, leases, tags } = bench.store.powers
    const { clock } = yield* bench.store.ask(bench.asker())
    yield* bench.same(clock === undefined, !announces, "there is no clock")
    if (!tags) yield* bench.same(yield* bench.reason(bench.tag("t"), "a tag"), "unsupported", "the reason")
    if (!leases) {
      yield* bench.load("a", "one")
      yield* bench.load("a", "two")
    }
  }),

  // ----- leases
  law(
    ["leases"],
    "one of those who ask is given the right to load, and the others are told for how long",
    function*(bench) {
      const asked = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => `token ${i}`),
        (token) => bench.open("a", token),
        { concurrency: "unbounded" }
      )
      const given = asked.filter(({ lease }) => lease === "given")
      yield* bench.same(given.length, 1, "how many are given it")
      for (const { lease } of asked) {
        if (lease === "given") continue
        yield* bench.within(lease?.left, 1, HOUR, "how long it is held")
        yield* bench.same(lease?.cooling, false, "whether it cools")
      }
    }
  ),

  law(["leases"], "a lease is of one key and one version", function*(bench) {
    yield* bench.load("a", "one")
    yield* bench.load("b", "two")
    yield* bench.as("2").load("a", "three")
    yield* bench.holds((yield* bench.open("a", "four")).lease !== "given", "the lease is held")
  }),

  law(["leases"], "a lease ends by itself", function*(bench) {
    yield* bench.load("a", "one", { leaseFor: 3 * bench.unit })
    yield* bench.wait(1)
    yield* bench.holds((yield* bench.open("a", "two")).lease !== "given", "it is held before its end")
    yield* bench.wait(3)
    yield* bench.same((yield* bench.open("a", "two")).lease, "given", "the right after its end")
  }),

  law(["leases"], "its holder renews it, and nobody else", function*(bench) {
    yield* bench.load("a", "one", { leaseFor: 2 * bench.unit })
    yield* bench.same(yield* bench.lease("a", "two", "renew", 5), false, "another's renewal")
    yield* bench.same(yield* bench.lease("b", "one", "renew", 5), false, "a renewal of a lease that is not there")
    yield* bench.same(yield* bench.lease("a", "one", "renew", 5), true, "the holder's renewal")
    yield* bench.wait(3)
    yield* bench.holds((yield* bench.open("a", "two")).lease !== "given", "it is held")
    yield* bench.wait(3)
    yield* bench.same((yield* bench.open("a", "two")).lease, "given", "the right after its end")
    yield* bench.same(yield* bench.lease("a", "one", "renew", 5), false, "a renewal of a lease that is another's now")
  }),

  law(["leases"], "its holder releases it, and nobody else", function*(bench) {
    yield* bench.load("a", "one")
    yield* bench.same(yield* bench.lease("a", "two", "release"), false, "another's release")
    yield* bench.holds((yield* bench.open("a", "two")).lease !== "given", "it is held")
    yield* bench.same(yield* bench.lease("a", "one", "release"), true, "the holder's release")
    yield* bench.same((yield* bench.open("a", "two")).lease, "given", "the right afterwards")
  }),

  law(["leases"], "a lease cools: nobody loads, but beside it who has nothing to fall back on", function*(bench) {
    yield* bench.set("a", "value")
    const policy = { freshFor: 0, maxAge: HOUR, jitter: 0, strict: false }
    for (const key of ["a", "b"]) {
      yield* bench.load(key, "one", { policy })
      yield* bench.same(yield* bench.lease(key, "two", "cool", 4), false, "another's cooling")
      yield* bench.same(yield* bench.lease(key, "one", "cool", 4), true, "the holder's cooling")
      const { lease } = yield* bench.open(key, "two", { policy })
      if (lease === undefined || lease === "given") return yield* bench.broken("it is not held while it cools")
      yield* bench.same(lease.cooling, true, "whether it cools")
      yield* bench.within(lease.left, 1, 4 * bench.unit, "for how long")
    }
    const beside = { policy, beside: true }
    for (const key of ["a", "b"]) {
      const load = yield* bench.load(key, "two", beside)
      yield* bench.holds((yield* bench.open(key, "three", { policy })).lease !== "given", "it goes on to cool")
      yield* bench.same(yield* load.end("beside"), true, "the commit of the load beside it")
    }
    yield* bench.wait(5)
    yield* bench.same((yield* bench.open("a", "three", { policy })).lease, "given", "the right when it has cooled")
  }),

  law(["leases"], "nobody loads beside a lease that does not cool", function*(bench) {
    yield* bench.load("a", "one")
    const { lease } = yield* bench.open("a", "two", { beside: true })
    yield* bench.holds(lease !== "given" && lease?.cooling === false, "it is held")
  }),

  law(["leases"], "a commit frees the lease", function*(bench) {
    const load = yield* bench.load("a", "one", { policy: { freshFor: 0, maxAge: HOUR, jitter: 0, strict: false } })
    yield* load.end("value")
    yield* bench.load("a", "two", { policy: { freshFor: 0, maxAge: HOUR, jitter: 0, strict: false } })
  }),

  law(["leases"], "a last word frees the leases of its keys, in all versions, and of no others", function*(bench) {
    const policy = { freshFor: 0, maxAge: HOUR, jitter: 0, strict: false }
    for (const [word, say] of words) {
      const key = `key of ${word}`
      yield* bench.load(key, "one", { policy })
      yield* bench.as("2").load(key, "two", { policy })
      yield* bench.load(`${key} beside`, "three", { policy })
      yield* say(bench.as("3"), key)
      yield* bench.load(key, "four", { policy })
      yield* bench.as("2").load(key, "five", { policy })
      const { lease } = yield* bench.open(`${key} beside`, "six", { policy })
      yield* bench.holds(lease !== "given", `${word} leaves the lease of another key`)
      yield* bench.same(yield* bench.lease(key, "one", "release"), false, "the release of a lease that was taken away")
    }
  }),

  // ----- fences
  law(["fences"], "absence never matches: who was given no right commits nothing", function*(bench) {
    yield* bench.same(yield* bench.commit("a", "none", "value"), false, "the commit")
    yield* bench.set("b", "kept")
    yield* bench.same(yield* bench.commit("b", "", "value"), false, "the commit by an empty token")
    yield* bench.same(yield* bench.commit("b", "none", undefined), false, "the commit of nothing")
    yield* bench.same([yield* bench.value("a"), yield* bench.value("b")], [undefined, "kept"], "the values")
  }),

  law(["fences"], "a right to load is for one commit", function*(bench) {
    const load = yield* bench.load("a", "one")
    yield* bench.same(yield* load.end("first"), true, "the first commit")
    yield* bench.same(yield* load.end("second"), false, "the second commit")
    yield* bench.same(yield* bench.value("a"), "first", "the value")
  }),

  law(["fences"], "a right to load is for one key and one version", function*(bench) {
    yield* bench.load("a", "mine")
    yield* bench.load("b", "other")
    yield* bench.same(yield* bench.commit("b", "mine", "value"), false, "the commit of another key")
    yield* bench.same(yield* bench.as("2").commit("a", "mine", "value"), false, "the commit of another version")
    yield* bench.same([yield* bench.value("b"), yield* bench.as("2").value("a")], [undefined, undefined], "the values")
  }),

  law(["fences"], "a last word refuses the loads begun before it, in all versions, and stays", function*(bench) {
    const policy = { freshFor: 0, maxAge: HOUR, jitter: 0, strict: false }
    for (const [word, say] of words) {
      const key = `key of ${word}`
      yield* bench.set(key, "before")
      const one = yield* bench.load(key, "one", { policy })
      const two = yield* bench.as("2").load(key, "two", { policy })
      yield* say(bench, key)
      const left = yield* bench.value(key)
      yield* bench.same(left, { set: "last word", hard: undefined, soft: "before" }[word], `the value after ${word}`)
      yield* bench.same([yield* one.end("late"), yield* two.end("late")], [false, false], `the commits after ${word}`)
      yield* bench.same(yield* bench.value(key), left, `the value after commits that were refused after ${word}`)
      const next = yield* bench.load(key, "three", { policy })
      yield* bench.same(yield* next.end("next"), true, `the commit of a load begun after ${word}`)
    }
  }),

  law(["fences"], "a clear refuses the loads begun before it, and their lease is free", function*(bench) {
    const load = yield* bench.load("a", "one")
    yield* bench.clear
    yield* bench.same(yield* load.end("late"), false, "the commit")
    yield* bench.same(yield* bench.value("a"), undefined, "the value")
    const next = yield* bench.load("a", "two")
    yield* bench.same(yield* next.end("next"), true, "the commit of a load begun after it")
  }),

  law(["fences"], "who is given the right later takes it from who had it", function*(bench) {
    const first = yield* bench.load("a", "one", { leaseFor: bench.unit })
    yield* bench.wait(2)
    const second = yield* bench.load("a", "two")
    yield* bench.same(yield* first.end("first"), false, "the commit of the first")
    if (bench.store.powers.leases) {
      yield* bench.holds((yield* bench.open("a", "three")).lease !== "given", "the second's lease is held still")
    }
    yield* bench.same(yield* second.end("second"), true, "the commit of the second")
    yield* bench.same(yield* bench.value("a"), "second", "the value")
  }),

  law(["fences"], "who is given no right takes none", function*(bench) {
    const first = yield* bench.load("a", "one", { leaseFor: bench.unit })
    if (bench.store.powers.leases) yield* bench.open("a", "two")
    yield* bench.wait(2)
    // Its lease has ended, its right has not: nobody came.
    yield* bench.same(yield* first.end("first"), true, "the commit of the first")
  }),

  law(["fences"], "a right to load ends", function*(bench) {
    const load = yield* bench.load("a", "one", { leaseFor: bench.unit, tokenFor: 2 * bench.unit })
    yield* bench.wait(3)
    yield* bench.same(yield* load.end("late"), false, "the commit")
    yield* bench.same(yield* bench.value("a"), undefined, "the value")
  }),

  law(["fences", "tags"], "a note of its tags refuses a load begun before it, and its lease is free", function*(bench) {
    const load = yield* bench.load("a", "one")
    const other = yield* bench.load("b", "two")
    yield* bench.tag("noted")
    yield* bench.same(yield* load.end("late", { tags: ["t", "noted"] }), false, "the commit")
    yield* bench.same(yield* other.end("other", { tags: ["t"] }), true, "the commit of a value without the tag")
    yield* bench.same([yield* bench.value("a"), yield* bench.value("b")], [undefined, "other"], "the values")
    const next = yield* bench.load("a", "three")
    yield* bench.same(yield* next.end("next", { tags: ["noted"] }), true, "the commit of a load begun after it")
    yield* bench.same(yield* bench.value("a"), "next", "the value")
  }),

  // ----- tags
  law(["tags"], "a tag voids the entries that bear it, in all versions, and no others", function*(bench) {
    yield* bench.set("a", "value", { tags: ["t", "é 日本"] })
    yield* bench.set("b", "value", { tags: ["t"] })
    yield* bench.set("c", "value")
    yield* (yield* bench.as("2").load("a", "two")).end("value", { tags: ["é 日本"] })
    yield* bench.tag("é 日本")
    const got = [
      yield* bench.value("a"),
      yield* bench.value("b"),
      yield* bench.value("c"),
      yield* bench.as("2").value("a")
    ]
    yield* bench.same(got, [undefined, "value", "value", undefined], "the values")
    yield* bench.set("a", "new", { tags: ["é 日本"] })
    yield* bench.same(yield* bench.value("a"), "new", "the value of afterwards")
  }),

  law(["tags"], "a tag is of one space", function*(bench) {
    yield* bench.beside().set("a", "theirs", { tags: ["t"] })
    yield* bench.tag("t")
    yield* bench.same(yield* bench.beside().value("a"), "theirs", "the value there")
  }),

  law(["tags"], "many tags are noted", function*(bench) {
    const tags = Array.from({ length: 30 }, (_, i) => `tag ${i}`)
    for (const tag of tags) yield* bench.set(tag, tag, { tags: [tag] })
    for (const tag of tags) yield* bench.tag(tag)
    const { value } = yield* bench.openAll(tags.map((tag) => bench.wanted(tag)))
    yield* bench.same(value.filter(({ entry }) => entry !== undefined).length, 0, "how many are left")
  }),

  // ----- announcements
  law(["announces"], "replies carry the clock, and each last word moves it by one", function*(bench) {
    const asked = (yield* bench.store.ask(bench.asker())).clock
    const { clock: opened } = yield* bench.open("a", "one")
    yield* bench.commit("a", "one", "value", { clock: opened })
    yield* bench.lease("a", "one", "release")
    const before = (yield* bench.store.ask(bench.asker())).clock
    yield* bench.same([opened, before], [asked, asked], "the clocks of what is no last word")
    const counters = [
      (yield* bench.set("a", "value")).clock,
      (yield* bench.hard("a", "b", "c")).clock,
      (yield* bench.soft("a")).clock,
      (yield* bench.clear).clock
    ]
    if (bench.store.powers.tags) counters.push((yield* bench.tag("t")).clock)
    const wanted = counters.map((_, i) => before && { epoch: before.epoch, counter: before.counter + i + 1 })
    yield* bench.same(counters, wanted, "the clocks of last words")
    yield* bench.same((yield* bench.store.ask(bench.asker())).clock, wanted.at(-1), "the clock afterwards")
  }),

  law(["announces"], "an entry has the clock of its set, or of when its load began", function*(bench) {
    const load = yield* bench.load("a", "one")
    const { clock: began } = yield* bench.store.ask(bench.asker())
    yield* bench.soft("b")
    yield* load.end("value")
    yield* bench.same((yield* bench.open("a")).entry?.clock, began, "the clock of what was committed")
    const { clock } = yield* bench.set("a", "value")
    yield* bench.same((yield* bench.open("a")).entry?.clock, clock, "the clock of what was set")
  }),

  law(["announces"], "last words are told to all who listen, and nothing else is", function*(bench) {
    const ours = bench.asker().space
    const listen = Effect.gen(function*() {
      const heard: Array<readonly [string, number]> = []
      const listening = Stream.runForEach(
        bench.store.announcements,
        ({ clock, news, space }) => Effect.sync(() => space === ours && heard.push([news, clock.counter]))
      )
      return { heard, fiber: yield* Effect.forkChild(listening) }
    })
    const one = yield* listen
    const two = yield* listen
    // A subscription takes its time.
    yield* bench.wait(3)
    const { clock } = yield* bench.set("a", "value")
    yield* bench.load("b", "one")
    yield* bench.commit("b", "one", "value", { clock })
    yield* bench.reason(bench.change({ mode: "clear", news: "late" }, { within: 0 }), "a late clear")
    yield* bench.hard("a", "b")
    yield* bench.clear
    yield* bench.wait(3)
    const first = clock?.counter ?? 0
    const wanted = [["set a", first], ["hard a,b", first + 1], ["clear", first + 2]]
    yield* bench.same([one.heard, two.heard], [wanted, wanted], "what the two have heard")
    yield* Fiber.interrupt(one.fiber)
    const again = yield* listen
    yield* bench.wait(3)
    yield* bench.soft("a")
    yield* bench.wait(3)
    yield* bench.same([one.heard.length, again.heard], [3, [["soft a", first + 3]]], "what is heard after that")
    const ends = yield* Effect.forEach(
      [two.fiber, again.fiber],
      (fiber) => Effect.as(Fiber.interrupt(fiber), fiber.pollUnsafe())
    )
    yield* bench.holds(ends.every((end) => end === undefined || Exit.hasInterrupts(end)), "nobody stops listening")
  }),

  law(
    ["announces", "fences"],
    "a store that is behind what was heard begins anew, and what it has is void",
    function*(bench) {
      const { clock: before } = yield* bench.set("a", "value")
      const load = yield* bench.load("b", "one")
      const heard = before && { epoch: before.epoch, counter: before.counter + 1 }
      yield* bench.same(
        (yield* bench.store.ask(bench.asker({ heard: before }))).clock,
        before,
        "the clock that was heard"
      )
      const { clock: after } = yield* bench.store.ask(bench.asker({ heard }))
      yield* bench.holds(after !== undefined && after.epoch !== before?.epoch, "the epoch is another")
      yield* bench.same(yield* bench.value("a"), undefined, "the value of before")
      yield* bench.same(yield* load.end("late"), false, "the commit of a load of before")
      yield* bench.same((yield* bench.open("c", "two")).lease, "given", "the right to load")
      yield* bench.load("b", "three")
      yield* bench.same(
        (yield* bench.store.ask(bench.asker({ heard }))).clock,
        after,
        "the clock when it is said again"
      )
    }
  ),

  law(["announces", "leases"], "a lease of another epoch is none", function*(bench) {
    yield* bench.load("a", "one")
    const { clock } = yield* bench.store.ask(bench.asker())
    yield* bench.store.ask(bench.asker({ heard: clock && { epoch: clock.epoch, counter: clock.counter + 1 } }))
    yield* bench.load("a", "two")
  })
]
