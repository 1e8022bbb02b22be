/**
 * The store over files: a process begins warm, and whatever stands in a file is a value or a miss. What it keeps of the
 * laws is in `laws.test.ts`. Real files, on the real clock, without waiting.
 */
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { Store, Swr } from "effect-swr"
import * as StoreKeyValue from "effect-swr/StoreKeyValue"
import { KeyValueStore } from "effect/persistence"
import { TestClock } from "effect/testing"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { counted } from "./Origin.ts"

/** A folder that is gone when the test has ended. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-swr-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const files = (path: string) =>
  KeyValueStore.layerFileSystem(path).pipe(Layer.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer)))

const windows = { freshFor: "1 minute", maxAge: "1 hour" } as const

/** A cache over a folder, its values bearing the tag `all`. */
const make = (lookup: (key: string) => Effect.Effect<string>, version?: string) =>
  Swr.make({ name: "words", lookup, schema: Schema.String, keep: () => ({ tags: ["all"] }), version, ...windows })

/** A process from its start to its end. */
const process = <A, E>(path: string, life: Effect.Effect<A, E, Swr.Cache>, deadline: number = 5_000) =>
  Effect.provide(
    life,
    Swr.layerStore({ storeDeadline: deadline }).pipe(Layer.provide(StoreKeyValue.layer()), Layer.provide(files(path)))
  )

/** What a process reads of a key, and how often it loaded. */
const read = (path: string, word: string, key = "k", version?: string) => {
  const origin = counted(() => Effect.succeed(word))
  return process(
    path,
    Effect.gen(function*() {
      const cache = yield* make(origin.lookup, version)
      const { source, value } = yield* cache.read(key)
      return [value, source, origin.calls]
    })
  )
}

const pages = (path: string) => readdirSync(path).filter((name) => !name.endsWith("clock"))

/** Does something to the file of the only key. */
const edit = (path: string, change: (text: string) => string) => {
  const [name, ...others] = pages(path)
  assert.deepStrictEqual(others, [])
  const file = join(path, name ?? "")
  writeFileSync(file, change(readFileSync(file, "utf8")))
}

describe("a store over files", () => {
  it.live("I15: a process begins warm", () =>
    Effect.gen(function*() {
      const path = yield* folder
      assert.deepStrictEqual(yield* read(path, "first"), ["first", "lookup", 1])
      assert.deepStrictEqual(yield* read(path, "second"), ["first", "store", 0])
    }))

  it.live("R11: what was set is there after a restart, and what was invalidated is not", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const lookup = (key: string) => Effect.succeed(`loaded ${key}`)
      yield* process(
        path,
        Effect.gen(function*() {
          const cache = yield* make(lookup)
          yield* cache.set("a", "set", { tags: ["all"] })
          yield* cache.get("b")
          yield* cache.invalidate("b")
        })
      )
      assert.deepStrictEqual(yield* read(path, "new", "a"), ["set", "store", 0])
      assert.deepStrictEqual(yield* read(path, "new", "b"), ["new", "lookup", 1])
    }))

  for (const word of ["invalidateTag", "clear"] as const) {
    it.live(`R11: ${word} holds after a restart`, () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* read(path, "first")
        yield* process(
          path,
          Effect.gen(function*() {
            const cache = yield* make(() => Effect.succeed("unused"))
            yield* word === "clear" ? cache.clear : cache.invalidateTag("all")
          })
        )
        assert.deepStrictEqual(yield* read(path, "second"), ["second", "lookup", 1])
        assert.deepStrictEqual(yield* read(path, "third"), ["second", "store", 0])
      }))
  }

  it.live("R11: a load that a last word overtook is not there after a restart", () =>
    Effect.gen(function*() {
      const path = yield* folder
      yield* process(
        path,
        Effect.gen(function*() {
          const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const cache = yield* make(() =>
            Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gate)), "old")
          )
          const reading = yield* Effect.forkChild(cache.get("k"), { startImmediately: true })
          yield* Deferred.await(begun)
          yield* cache.set("k", "new")
          yield* Deferred.succeed(gate, undefined)
          assert.strictEqual(yield* Fiber.join(reading), "old")
        })
      )
      assert.deepStrictEqual(yield* read(path, "unused"), ["new", "store", 0])
    }))

  const damages: Record<string, (text: string) => string> = {
    "empty": () => "",
    "cut in the middle": (text) => text.slice(0, text.length / 2),
    "other text": () => "hello",
    "other JSON": () => `{"a":1}`,
    "null": () => "null",
    "bytes of no text": () => "\0\u0001\ufffd",
    "a later release's": (text) => text.replace("[1,", "[2,"),
    "a record of a later format": (text) => text.replace(`\\"format\\":1`, `\\"format\\":9`),
    "another key's": (text) => text.replace("words", "sword"),
    "a value of another type": (text) => text.replace(`\\"value\\":\\"first\\"`, `\\"value\\":7`),
    "without its stamp": (text) => text.replace("stamp", "stomp"),
    "an own __proto__": () => `[1,["",{"__proto__":{"polluted":1}},-1]]`,
    "a stamp in the future": (text) => text.replace(/\\"stamp\\":\d+/, `\\"stamp\\":${2 ** 45}`)
  }
  for (const [name, damage] of Object.entries(damages)) {
    it.live(`I10: a file that is ${name} is a miss, and is written over`, () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* read(path, "first")
        edit(path, damage)
        assert.deepStrictEqual(yield* read(path, "second"), ["second", "lookup", 1])
        assert.deepStrictEqual(yield* read(path, "third"), ["second", "store", 0])
        assert.notProperty({}, "polluted")
      }))
  }

  it.live("I10: a clock that can't be read voids what was there, as nobody knows what was invalidated", () =>
    Effect.gen(function*() {
      for (const damage of ["", "{}", "[1]", `[1,"e",1,1,[["a",1]]]`, "[2]"]) {
        const path = yield* folder
        yield* read(path, "first")
        const clock = readdirSync(path).find((name) => name.endsWith("clock"))
        writeFileSync(join(path, clock ?? ""), damage)
        assert.deepStrictEqual(yield* read(path, "second"), ["second", "lookup", 1])
        assert.deepStrictEqual(yield* read(path, "third"), ["second", "store", 0])
      }
    }))

  it.live("R13: versions live side by side in one file", () =>
    Effect.gen(function*() {
      const path = yield* folder
      yield* read(path, "one", "k", "1")
      assert.deepStrictEqual(yield* read(path, "two", "k", "2"), ["two", "lookup", 1])
      assert.deepStrictEqual(yield* read(path, "unused", "k", "1"), ["one", "store", 0])
      assert.deepStrictEqual(yield* read(path, "unused", "k", "2"), ["two", "store", 0])
      assert.strictEqual(pages(path).length, 1)
    }))

  it.live("I16: any key is a safe name, and no other's", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const keys = [
        "",
        "a",
        "A",
        "../../a",
        "/etc/passwd",
        "a\0b",
        "\ud800",
        "\ud801",
        "é",
        "e\u0301",
        "x".repeat(10_000)
      ]
      yield* process(
        path,
        Effect.gen(function*() {
          const cache = yield* make((key) => Effect.succeed(`value of ${key}`))
          yield* cache.getMany(keys)
        })
      )
      for (const name of readdirSync(path)) assert.match(name, /^swr-[0-9a-f]{16}-([0-9a-f]{64}|clock)$/)
      assert.strictEqual(pages(path).length, keys.length)
      for (const key of keys) assert.deepStrictEqual(yield* read(path, "unused", key), [`value of ${key}`, "store", 0])
    }))

  it.live("I9: what is dead is removed at the next start, and nothing of others is", () =>
    Effect.gen(function*() {
      const path = yield* folder
      writeFileSync(join(path, "swr-mine.txt"), "not yours")
      yield* process(
        path,
        Effect.gen(function*() {
          const cache = yield* make(() => Effect.succeed("unused"))
          yield* cache.set("dead", "value", { maxAge: "50 millis" })
          yield* cache.set("alive", "value")
          yield* Effect.sleep(60)
        })
      )
      assert.strictEqual(pages(path).length, 3)
      yield* process(path, Effect.sleep(100))
      assert.strictEqual(pages(path).length, 2)
      assert.include(readdirSync(path), "swr-mine.txt")
      assert.deepStrictEqual(yield* read(path, "unused", "alive"), ["value", "store", 0])
    }))

  it.live("R14: files that fail fail no read", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const seen = yield* process(
        path,
        Effect.gen(function*() {
          rmSync(path, { recursive: true })
          writeFileSync(path, "no folder any more")
          const cache = yield* make(() => Effect.succeed("loaded"))
          const error = yield* Effect.flip(cache.set("k", "value"))
          return [yield* cache.get("a"), error.reason]
        })
      )
      assert.deepStrictEqual(seen, ["loaded", "away"])
    }))

  it.effect("R5: on virtual time, an age goes on over a restart, and a clock that steps back makes nothing young", () =>
    Effect.gen(function*() {
      const memory = yield* Layer.build(KeyValueStore.layerMemory)
      const use = <A, E>(effect: Effect.Effect<A, E, Store.Store>) =>
        Effect.provide(effect, StoreKeyValue.layer()).pipe(Effect.provideContext(memory))
      const asker: Store.Asker = { space: "c", version: "", heard: undefined, within: 50 }
      const policy = { freshFor: 1000, maxAge: 60_000, jitter: 0, strict: false }
      const open: Store.Open = { key: "k", policy, token: undefined, beside: false, leaseFor: 1, tokenFor: 1 }
      const age = use(Store.Store.use((store) => store.open(asker, [open]))).pipe(
        Effect.map(({ value: [opened] }) => opened?.entry?.age)
      )
      yield* TestClock.adjust("1 hour")
      const stored = { value: "1", age: 100, windows: { life: 60_000 }, jitter: 0, tags: [], clock: undefined }
      yield* use(Store.Store.use((store) => store.change(asker, { mode: "set", key: "k", stored, news: "" })))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* age, 10_100)
      yield* TestClock.setTime(3_590_000)
      assert.isUndefined(yield* age)
      yield* TestClock.setTime(3_600_000 + 59_899)
      assert.strictEqual(yield* age, 59_999)
      yield* TestClock.adjust(1)
      assert.isUndefined(yield* age)
    }))
})
