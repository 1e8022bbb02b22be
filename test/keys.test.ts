import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Layer, Option, Redacted, Schema, Stream } from "effect"
import { Swr } from "effect-swr"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import {
  counted,
  defect,
  Down,
  ended,
  error,
  logs,
  now,
  Origin,
  record,
  settle,
  stale,
  start,
  tracer,
  within
} from "./Origin.ts"

type Parts = ReadonlyArray<string | number | boolean | Redacted.Redacted<string>>

/** Which key it is, said in another way than the library does: two keys are one where this text is. */
const identity = (parts: Parts) =>
  JSON.stringify(parts.map((part) => Redacted.isRedacted(part) ? { sensitive: Redacted.value(part) } : part))

// Few letters, all of them dangerous, so that generated keys often are nearly alike.
const letters = ["", "a", ":", "\0", "#", "*", "1", "3", `"`, ",", "\\", "\uD800", "\uDC00", "é", "__proto__", "true"]
const text = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals(letters)), { maxLength: 3 }),
  (all) => all.join("")
)
const part = Arbitrary.map(
  Arbitrary.all({
    kind: Arbitrary.schema(Schema.Literals(["text", "number", "boolean", "secret"])),
    text,
    number: Arbitrary.schema(Schema.Literals([0, -0, 1, 3, -1, 1.5, 1e21])),
    boolean: Arbitrary.schema(Schema.Boolean)
  }),
  (all): Parts[number] => all.kind === "secret" ? Redacted.make(all.text) : all[all.kind]
)
const parts = Arbitrary.array(part, { maxLength: 4 })

/** Texts that others have taken for something else. */
const texts = [
  ...letters,
  "\0\0",
  "\0#",
  "\0#" + "0".repeat(64),
  "\x001:1",
  `3:"a"`,
  "constructor",
  "toString",
  "hasOwnProperty",
  "null",
  "undefined",
  "NaN",
  "[]",
  `["a"]`,
  "a,a",
  "\n",
  " ",
  "e\u0301",
  "\uDFFF",
  "\u2028",
  "x".repeat(1_000_000),
  "x".repeat(999_999) + "y"
]

describe("R16: keys are compared exactly", () => {
  it.effect.prop(
    "R16: of any length with any characters: one value for one key, another for another",
    [Arbitrary.array(parts, { maxLength: 12 })],
    ([keys]) =>
      Effect.gen(function*() {
        const source = counted((_, key) => Effect.succeed(key))
        const cache = yield* Swr.make({
          name: "c",
          lookup: (key: Parts) => source.lookup(identity(key)),
          key: (key) => key,
          ...stale
        })
        for (const key of keys) assert.strictEqual(yield* cache.get(key), identity(key))
        assert.strictEqual(source.calls, new Set(keys.map(identity)).size)
        assert.deepStrictEqual(yield* cache.getMany(keys), keys.map(identity))
        for (const [i, key] of keys.entries()) {
          const before = (yield* cache.stats).size
          const isFirst = keys.findIndex((other) => identity(other) === identity(key)) === i
          yield* cache.invalidate(key)
          assert.strictEqual((yield* cache.stats).size, isFirst ? before - 1 : before)
        }
      }).pipe(within())
  )

  it.effect.prop(
    "R16: any two texts are two keys of Swr.swr, cacheSet and fn",
    [Schema.String, Schema.String],
    ([a, b]) =>
      Effect.gen(function*() {
        const pair = Swr.fn("pair", stale)((left: string, right: string) => Effect.succeed([left, right]))
        for (const key of [a, b]) {
          yield* Swr.swr(key, Effect.succeed(key), stale)
          yield* Swr.cacheSet(key, key)
        }
        for (const key of [a, b]) {
          assert.strictEqual((yield* Swr.swr(key, Effect.succeed("another"), stale)).value, key)
          assert.deepStrictEqual(yield* Swr.cacheGet(key), Option.some(key))
        }
        const keys = [[a, b], [b, a], [a + b, ""], ["", a + b]] as const
        // Twice: loaded, and found.
        for (const [left, right] of [...keys, ...keys]) assert.deepStrictEqual(yield* pair(left, right), [left, right])
      }).pipe(within())
  )

  it.effect("R16: texts that look like something else are keys like any other, in every entrance", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({ name: "c", lookup: (key: string) => Effect.succeed({ key }), ...stale })
      const echo = Swr.fn("echo", stale)((key: string) => Effect.succeed({ key }))
      const read = (key: string, value: string) =>
        Effect.map(Swr.swr(key, Effect.succeed({ key: value }), stale), (answer) => answer.value)
      for (const key of texts) {
        for (const loaded of [yield* cache.get(key), yield* echo(key), yield* read(key, key)]) {
          assert.isTrue(loaded.key === key)
        }
        yield* Swr.cacheSet(key, { key })
      }
      for (const [i, key] of texts.entries()) {
        assert.strictEqual((yield* cache.stats).size, texts.length - i)
        for (const found of [yield* cache.get(key), yield* echo(key), yield* read(key, "another")]) {
          assert.isTrue(found.key === key)
        }
        assert.deepStrictEqual(yield* Swr.cacheGet(key), Option.some({ key }))
        yield* cache.invalidate(key)
        yield* Swr.cacheRemove(key)
        assert.isTrue(Option.isNone(yield* Swr.cacheGet(key)))
      }
    }).pipe(within()))

  it.effect("R16: 1 is not its text, true is not its text, one part is that part alone, -0 is 0", () =>
    Effect.gen(function*() {
      const source = counted((n) => Effect.succeed(n))
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string | number | Parts) => source.lookup(""),
        key: (key) => key,
        ...stale
      })
      const keys = [1, "1", [], [""], [[]].flat(), ["a", true], ["a", "true"], ["a", 1], ["a", "1"], ["a,1"], [
        "a",
        "",
        1
      ]]
      const found = yield* Effect.forEach(keys, (key) => cache.get(key))
      assert.deepStrictEqual(found, [1, 2, 3, 4, 3, 5, 6, 7, 8, 9, 10])
      assert.deepStrictEqual(yield* cache.getMany([["1"], [1], "", -0, 0]), [2, 1, 4, 11, 11])
    }).pipe(within()))

  it.effect("R16: which part is sensitive makes another key, and so does what a key would be written as", () =>
    Effect.gen(function*() {
      const source = counted((n) => Effect.succeed(n))
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: string | Parts) => source.lookup(""),
        key: (key) => key,
        ...stale
      })
      const [a, b] = [Redacted.make("a"), Redacted.make("b")]
      const keys = [["a", "b"], [a, "b"], ["a", b], [a, b], [a], "a", `3:"a"3:"b"`, "\x003:\"a\"3:\"b\"", `["a","b"]`]
      assert.deepStrictEqual(yield* Effect.forEach(keys, (key) => cache.get(key)), [...keys.keys()].map((i) => i + 1))
    }).pipe(within()))

  it.effect("R16: the name of a cache and its keys do not run into each other; swr, plain and made keys are apart", () =>
    Effect.gen(function*() {
      const made = yield* Effect.forEach(
        ["a", "a:b", "a\0", ""],
        (name) => Swr.make({ name, lookup: (key: string) => Effect.succeed(`${name}/${key}`), ...stale })
      )
      for (const cache of made) {
        for (const key of ["b:c", "c", ""]) assert.strictEqual(yield* cache.get(key), `${cache.name}/${key}`)
      }
      for (const cache of made) {
        for (const key of ["b:c", "c", ""]) assert.strictEqual(yield* cache.get(key), `${cache.name}/${key}`)
      }
      yield* Swr.cacheSet("c", "plain")
      yield* Swr.swr("c", Effect.succeed("swr"), stale)
      assert.deepStrictEqual(yield* Swr.cacheGet("c"), Option.some("plain"))
      yield* Swr.cacheRemove("c")
      assert.strictEqual((yield* Swr.swr("c", Effect.succeed("new"), stale)).value, "swr")
    }).pipe(within()))
})

describe("R16: what is no key is refused, before anything is touched", () => {
  /** All that can be done with a key. */
  const doings = <K>(
    cache: Swr.Instance<K, number, never, never>,
    key: K
  ): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
    cache.get(key),
    cache.read(key),
    cache.peek(key),
    cache.has(key),
    cache.getMany([key]),
    cache.readMany([key]),
    cache.set(key, 1),
    cache.mutate(key, () => Effect.succeed(1)),
    cache.revalidate(key),
    cache.invalidate(key),
    cache.invalidateMany([key]),
    Stream.runCollect(Stream.take(cache.changes(key), 1)),
    // It tells of each key instead.
    Effect.flatMap(Stream.runCollect(cache.warm([key])), (told) => told[0]?.exit ?? Effect.void)
  ]

  it.effect("R16: numbers that are not finite, wherever a key is taken", () =>
    Effect.gen(function*() {
      const events = yield* record
      const source = counted(() => Effect.succeed(1))
      const cache = yield* Swr.make({ name: "c", lookup: (_: number) => source.lookup(""), ...stale })
      const inParts = yield* Swr.make({
        name: "parts",
        lookup: (_: number) => source.lookup(""),
        key: (key) => ["a", key],
        ...stale
      })
      const echo = Swr.fn("echo", stale)((_: string, _n: number) => source.lookup(""))
      for (const key of [NaN, Infinity, -Infinity]) {
        const all: ReadonlyArray<Effect.Effect<unknown, unknown, Swr.Cache>> = [
          ...doings(cache, key),
          ...doings(inParts, key),
          echo("a", key),
          echo.read("a", key),
          echo.revalidate("a", key),
          echo.invalidate("a", key)
        ]
        for (const [i, doing] of all.entries()) {
          const refused = defect(yield* Effect.exit(doing))
          assert.instanceOf(refused, Swr.InvalidKey, `${i}`)
          assert.strictEqual(refused.given, "a number that is not finite")
        }
      }
      yield* settle
      assert.strictEqual(source.calls, 0)
      assert.lengthOf(events, 0)
      assert.strictEqual((yield* cache.stats).size, 0)
    }).pipe(within()))

  it.effect("R16: what the types refuse is refused by its type, its content untold", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (_: unknown) => Effect.succeed(1),
        // Programs without types meet this.
        key: (key) => key as string,
        ...stale
      })
      const given: ReadonlyArray<readonly [unknown, string]> = [
        [undefined, "undefined"],
        [null, "null"],
        [true, "boolean"],
        [1n, "bigint"],
        [Symbol("canary"), "symbol"],
        [{ canary: "canary" }, "object"],
        [() => "canary", "function"],
        [new Date(0), "object"],
        [["canary", undefined], "undefined"],
        [["canary", ["canary"]], "an array within an array"],
        [["canary", { canary: 1 }], "object"],
        [Redacted.make(1), "a Redacted that holds no string"]
      ]
      for (const [key, type] of given) {
        const refused = defect(yield* Effect.exit(cache.get(key)))
        assert.instanceOf(refused, Swr.InvalidKey, type)
        assert.strictEqual(refused.given, type)
        assert.notInclude(inspect(refused), "canary", type)
      }
    }).pipe(within()))
})

describe("R16: a `key` function that throws", () => {
  const bug = new Error("bug")
  /** Names all keys but one. */
  const naming = (key: string) => {
    if (key === "bad") throw bug
    return key
  }

  it.effect("R16: is a defect of the call that it was called for, and of nobody else", () =>
    Effect.gen(function*() {
      const origin = new Origin()
      const cache = yield* Swr.make({ name: "c", lookup: origin.lookup, key: naming, ...stale })
      const waiting = yield* start(cache.get("good"))
      const all: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        cache.get("bad"),
        cache.read("bad"),
        cache.peek("bad"),
        cache.has("bad"),
        cache.getMany(["other", "bad"]),
        cache.readMany(["other", "bad"]),
        cache.set("bad", "v"),
        cache.mutate("bad", () => Effect.succeed("v")),
        cache.revalidate("bad"),
        cache.invalidate("bad"),
        cache.invalidateMany(["bad", "good"]),
        Stream.runCollect(cache.changes("bad"))
      ]
      for (const [i, doing] of all.entries()) assert.strictEqual(defect(yield* Effect.exit(doing)), bug, `${i}`)
      const warmed = yield* Stream.runCollect(cache.warm(["bad"]))
      assert.strictEqual(defect(warmed[0]?.exit ?? Exit.void), bug)
      assert.deepStrictEqual(origin.calls.map(({ key }) => key), ["good"])
      yield* origin.call(0).succeed("v")
      assert.deepStrictEqual(yield* ended(waiting), Exit.succeed("v"))
      assert.strictEqual(yield* now(cache.get("good")), "v")
      const { flights, size } = yield* cache.stats
      assert.deepStrictEqual({ flights, size }, { flights: 0, size: 1 })
    }).pipe(within()))

  it.effect("R16: in fn too", () =>
    Effect.gen(function*() {
      const source = counted((_, key) => Effect.succeed(key))
      const quote = Swr.fn("quote", stale)(source.lookup, naming)
      assert.strictEqual(defect(yield* Effect.exit(quote("bad"))), bug)
      assert.strictEqual(yield* quote("good"), "good")
      assert.deepStrictEqual(source.keys, ["good"])
    }).pipe(within()))

  it.effect("R16: at what lookupMany answers, fails the loads of the batch and leaves nothing behind", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookupMany: (keys: ReadonlyArray<string>) => Effect.succeed(new Map([...keys, "bad"].map((key) => [key, key]))),
        key: naming,
        ...stale
      })
      assert.strictEqual(defect(yield* Effect.exit(cache.getMany(["a", "b"]))), bug)
      const { flights, size } = yield* cache.stats
      assert.deepStrictEqual({ flights, size }, { flights: 0, size: 0 })
    }).pipe(within()))
})

describe("R16: sensitive keys are shown to nobody", () => {
  const clear = "canary"
  /** Everything that can be seen of a thing by printing it. */
  const seen = (thing: unknown) => {
    const json = () => {
      const met = new Set<unknown>()
      return JSON.stringify(thing, (_, value: unknown) => {
        if (typeof value === "bigint") return String(value)
        if (typeof value !== "object" || value === null) return value
        return met.has(value) ? "met" : (met.add(value), value)
      })
    }
    return [
      String(thing),
      String(Exit.succeed(thing)),
      inspect(thing, { depth: Infinity, showHidden: true, getters: true }),
      json()
    ].join("\n")
  }
  const hides = (thing: unknown, what: string) => assert.notInclude(seen(thing), clear, what)

  const keyings: ReadonlyArray<readonly [string, (key: string) => Redacted.Redacted<string> | Parts]> = [
    ["a Redacted", (key) => Redacted.make(key)],
    ["a part that is one", (key) => ["user", Redacted.make(key)]]
  ]
  for (const [how, key] of keyings) {
    it.effect(`R16: ${how}: not in events, logs, spans, stats and errors, whatever happens`, () => {
      const log = logs()
      const trace = tracer()
      return Effect.gen(function*() {
        const events = yield* record
        const sick = { ...stale, staleIfError: "1 day", softTimeout: "1 second", hardTimeout: "1 minute" } as const
        let mode: "value" | "fail" | "die" | "hang" | "own" | "pass" = "value"
        const cache: Swr.Instance<string, string, Down | Swr.LoadTimeout> = yield* Swr.make({
          name: "c",
          lookup: (key: string): Effect.Effect<string, Down | Swr.LoadTimeout> =>
            ({
              value: Effect.succeed("v"),
              fail: Effect.fail(new Down({})),
              die: Effect.die("bug"),
              hang: Effect.never,
              own: Effect.suspend(() => cache.get(key)),
              pass: Effect.succeed("pass")
            })[mode],
          keep: (value) => value === "pass" ? "pass" : { tags: ["all"] },
          key,
          capacity: 3,
          ...sick
        })
        const exits: Array<Exit.Exit<unknown, unknown>> = []
        const run = Effect.fnUntraced(
          function*(doing: Effect.Effect<unknown, unknown>, time: "2 minutes" | "0 millis") {
            const fiber = yield* start(doing)
            yield* TestClock.adjust(time)
            const exit = yield* ended(fiber)
            assert.isDefined(exit)
            exits.push(exit)
          }
        )
        for (mode of ["hang", "own", "fail", "die", "value"] as const) yield* run(cache.get(clear), "2 minutes")
        // Behind the reader's back.
        for (mode of ["fail", "die", "hang", "own", "value"] as const) yield* run(cache.get(clear), "2 minutes")
        // In front of it, with an old value.
        for (mode of ["fail", "hang", "value"] as const) {
          yield* TestClock.adjust("1 hour")
          yield* run(cache.get(clear), "2 minutes")
        }
        yield* run(cache.get(clear, { freshFor: NaN }), "0 millis")
        yield* run(cache.revalidate(clear), "0 millis")
        yield* run(cache.set(clear, "set"), "0 millis")
        yield* run(cache.getMany([clear]), "0 millis")
        yield* run(cache.mutate(clear, () => Effect.as(cache.mutate(clear, () => Effect.succeed("")), "")), "0 millis")
        yield* run(cache.invalidate(clear, { mode: "soft" }), "0 millis")
        yield* run(cache.invalidateTag("all"), "0 millis")
        for (let i = 0; i < 8; i++) yield* run(cache.get(`${clear}${i}`), "0 millis")
        for (mode of ["pass", "own"] as const) yield* run(cache.get(clear), "0 millis")
        yield* run(cache.clear, "0 millis")
        yield* settle

        const tagsSeen = new Set(events.map(({ _tag }) => _tag))
        for (
          const tag of ["Hit", "Miss", "Served", "Load", "LoadFailed", "Commit", "CommitDropped", "Invalidate", "Evict"]
        ) {
          assert.isTrue([...tagsSeen].some((seen) => seen === tag), `nothing of ${tag} was shown`)
        }
        const failures = exits.map((exit) => seen(error(exit) ?? defect(exit)))
        for (const name of ["LoadTimeout", "LookupCycle", "Down", "InvalidPolicy"]) {
          assert.isTrue(failures.some((failure) => failure.includes(name)), `nothing of ${name} was shown`)
        }
        assert.isAbove(log.lines.length, 1)
        assert.isAbove(trace.spans.length, 5)
        for (const event of events) hides(event, event._tag)
        for (const exit of exits) hides(Exit.isFailure(exit) ? exit.cause : "", "an exit")
        hides(log.lines, "logs")
        for (const { attributes, events, links, name, status } of trace.spans) {
          hides([name, [...attributes], events, links.length, status], "a span")
        }
        hides(yield* cache.stats, "stats")
        // One key, one name for people, and no other's.
        const shown = new Set(events.filter(({ key }) => key !== "").map(({ key }) => key))
        assert.strictEqual(shown.size, 9)
        for (const key of shown) assert.match(key, /^#[0-9a-f]{12}$/)
      }).pipe(
        Effect.provide(
          Layer.mergeAll(Swr.layer({ secret: Redacted.make("pepper") }), log.layer, trace.layer).pipe(
            Layer.provideMerge(Layer.mergeAll(log.layer, trace.layer))
          )
        )
      )
    })
  }

  it.effect("R16: nor in what a batch says of a key that it omits", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookupMany: (_: ReadonlyArray<string>) => Effect.succeed(new Map<string, string>()),
        key: (key) => Redacted.make(key),
        ...stale
      })
      for (const exit of [yield* Effect.exit(cache.getMany([clear])), yield* Effect.exit(cache.get(clear))]) {
        assert.instanceOf(defect(exit), Error)
        hides(defect(exit), "the defect")
      }
    }).pipe(within()))

  it.effect("R16: nor by printing a read, an answer or the cache, by any means, while other keys load", () =>
    Effect.gen(function*() {
      const cache = yield* Swr.make({
        name: "c",
        lookup: (key: string) => key === clear ? Effect.succeed("v") : Effect.never,
        key: (key) => Redacted.make(key),
        ...stale
      })
      const answer = yield* cache.read(clear)
      yield* start(cache.get(`another ${clear}`))
      hides(cache.get(clear), "a read")
      hides(cache, "the cache")
      hides(answer, "an answer")
    }).pipe(within()))

  it.effect("R16: an argument of fn that is a Redacted makes its key sensitive", () =>
    Effect.gen(function*() {
      const events = yield* record
      const quote = Swr.fn("quote", stale)((sku: string, token: Redacted.Redacted<string>) =>
        Effect.succeed(`${sku} for ${Redacted.value(token)}`)
      )
      for (const token of ["canary", "other", "canary"]) {
        assert.strictEqual(yield* quote("a", Redacted.make(token)), `a for ${token}`)
      }
      yield* quote.invalidate("a", Redacted.make(clear))
      yield* settle
      for (const event of events) hides(event, event._tag)
      assert.deepStrictEqual(events.filter(({ _tag }) => _tag === "Commit" || _tag === "Hit").map(({ _tag }) => _tag), [
        "Commit",
        "Commit",
        "Hit"
      ])
    }).pipe(within()))

  it.effect("R16: with the layer's secret the name is another", () =>
    Effect.gen(function*() {
      const named = (secret: string | undefined) =>
        Effect.gen(function*() {
          const events = yield* record
          const cache = yield* Swr.make({
            name: "c",
            lookup: (_: string) => Effect.succeed("v"),
            key: (key) => Redacted.make(key),
            ...stale
          })
          yield* cache.get(clear)
          yield* settle
          return events[0]?.key
        }).pipe(within({ secret: secret === undefined ? undefined : Redacted.make(secret) }))
      const names = [yield* named(undefined), yield* named("pepper"), yield* named("salt"), yield* named("pepper")]
      assert.strictEqual(new Set(names).size, 3)
      assert.strictEqual(names[1], names[3])
    }))
})
