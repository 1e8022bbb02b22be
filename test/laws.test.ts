/**
 * The laws of a store: each store here keeps those of the powers it declares, and each broken one breaks a law.
 */
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Store } from "effect-swr"
import * as StoreKeyValue from "effect-swr/StoreKeyValue"
import * as StoreMemcached from "effect-swr/StoreMemcached"
import * as StoreRedis from "effect-swr/StoreRedis"
import * as Testing from "effect-swr/Testing"
import { KeyValueStore } from "effect/persistence"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Memcached from "./Memcached.ts"
import { client, reachable, shared, until } from "./Redis.ts"

type Shape = Store.Store["Service"]

const every: Store.Powers = { fences: true, leases: true, announces: true, tags: true, ages: "server" }

/** The laws that a store breaks, on virtual time. */
const broken = (powers: Store.Powers, harm: (store: Shape) => Shape = (store) => store) =>
  Effect.gen(function*() {
    const simulated = yield* Testing.simulatedStore({ powers })
    const layer = Layer.effect(Store.Store, Effect.map(Store.Store, harm)).pipe(Layer.provide(simulated.connect("a")))
    const laws = Testing.laws({ powers, wait: (millis) => TestClock.adjust(millis) })
    const found = yield* Effect.forEach(laws, ({ check, name }) =>
      Effect.match(Effect.provide(check, layer), { onFailure: () => [name], onSuccess: () => [] }))
    return found.flat()
  })

/** Each power taken away by itself, and all. */
const lesser: ReadonlyArray<readonly [string, Partial<Store.Powers>]> = [
  ["every power", {}],
  ["no fences", { fences: false }],
  ["no leases", { leases: false }],
  ["no announcements", { announces: false }],
  ["no tags", { tags: false }],
  ["no power at all", { fences: false, leases: false, announces: false, tags: false, ages: "wall" }]
]

describe("the simulated store", () => {
  for (const [name, powers] of lesser) {
    it.effect(`keeps the laws: ${name}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* broken({ ...every, ...powers }), [])
      }))
  }

  it("has the laws of its powers, and no others", () => {
    const of = (powers: Partial<Store.Powers>) => {
      const laws = Testing.laws({ powers: { ...every, ...powers }, wait: () => Effect.void })
      return Array.from(new Set(laws.map(({ power }) => power))).toSorted()
    }
    assert.deepStrictEqual(of({}), ["all", "announces", "fences", "leases", "tags"])
    assert.deepStrictEqual(of({ fences: false, leases: false, announces: false, tags: false }), ["all"])
  })
})

describe("the store over a KeyValueStore", () => {
  const powers: Store.Powers = { fences: false, leases: false, announces: false, tags: true, ages: "wall" }
  // It does not declare that it fences, since it does so for one process alone.
  const alone = { ...powers, fences: true }
  const found = (layer: Layer.Layer<Store.Store>, wait: (millis: number) => Effect.Effect<void>, unit?: number) =>
    Effect.map(
      Effect.forEach(
        Testing.laws({ powers: alone, wait, unit }),
        ({ check, name }) =>
          Effect.match(Effect.provide(check, layer), {
            onFailure: (broken) => [`${name}: ${broken.message}`],
            onSuccess: () => []
          })
      ),
      (broken) => broken.flat()
    )

  it.effect("keeps the laws", () =>
    Effect.gen(function*() {
      // An age reaches back to before its time 0.
      yield* TestClock.adjust("1 day")
      const layer = StoreKeyValue.layer().pipe(Layer.provide(KeyValueStore.layerMemory))
      const declared = yield* Effect.provide(Store.Store.use((store) => Effect.succeed(store.powers)), layer)
      assert.deepStrictEqual(declared, powers)
      assert.deepStrictEqual(yield* found(layer, (millis) => TestClock.adjust(millis)), [])
    }))

  it.live("keeps them with files, on the real clock", () =>
    Effect.gen(function*() {
      const path = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-swr-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const layer = StoreKeyValue.layer().pipe(
        Layer.provide(KeyValueStore.layerFileSystem(path)),
        Layer.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer)),
        Layer.orDie
      )
      assert.deepStrictEqual(yield* found(layer, Effect.sleep, 50), [])
    }))
})

describe.skipIf(!reachable)("the store in Redis", () => {
  const url = shared()
  for (const { check, name } of Testing.laws({ powers: every, wait: Effect.sleep, unit: 60 })) {
    it.live(name, () => {
      const layer = StoreRedis.layer({ client: client(url()), prefix: "laws" })
      const ready = Store.Store.use((store) =>
        until(
          Effect.isSuccess(store.ask({ space: "ready", version: "", heard: undefined, within: 1000 })),
          "the store is there"
        )
      )
      return Effect.provide(Effect.andThen(ready, check), layer)
    })
  }
})

describe.skipIf(!Memcached.installed)("the store in memcached", () => {
  const powers: Store.Powers = { fences: true, leases: true, announces: false, tags: false, ages: "wall" }

  it.live("keeps the laws", () =>
    Effect.gen(function*() {
      const { port } = yield* Memcached.server
      const layer = StoreMemcached.layer({ client: yield* Memcached.client(port) })
      assert.deepStrictEqual(
        yield* Effect.provide(Store.Store.use((store) => Effect.succeed(store.powers)), layer),
        powers
      )
      const found = yield* Effect.forEach(
        Testing.laws({ powers, wait: Effect.sleep, unit: 60 }),
        ({ check, name }) =>
          Effect.match(Effect.provide(check, layer), {
            onFailure: (broken) => [`${name}: ${broken.message}`],
            onSuccess: () => []
          })
      )
      assert.deepStrictEqual(found.flat(), [])
    }), 60_000)
})

// ----- stores that break their promises: each in one place

/** What is done to every asker. */
const asks = (change: (asker: Store.Asker) => Store.Asker) => (store: Shape): Shape => ({
  ...store,
  open: (asker, keys) => store.open(change(asker), keys),
  commit: (asker, commit) => store.commit(change(asker), commit),
  change: (asker, word) => store.change(change(asker), word),
  lease: (asker, lease) => store.lease(change(asker), lease),
  ask: (asker) => store.ask(change(asker))
})

/** What is done to every answer for a key. */
const answers = (change: (opened: Store.Opened) => Store.Opened) => (store: Shape): Shape => ({
  ...store,
  open: (asker, keys) => Effect.map(store.open(asker, keys), (reply) => ({ ...reply, value: reply.value.map(change) }))
})

const entries = (change: (entry: NonNullable<Store.Opened["entry"]>) => Store.Opened["entry"]) =>
  answers((opened) => ({ ...opened, entry: opened.entry && change(opened.entry) }))

/** What is done to every entry on its way in. */
const written = (change: (stored: Store.Stored) => Store.Stored) => (store: Shape): Shape => ({
  ...store,
  commit: (asker, commit) => store.commit(asker, { ...commit, stored: commit.stored && change(commit.stored) }),
  change: (asker, word) => store.change(asker, word.mode === "set" ? { ...word, stored: change(word.stored) } : word)
})

/** What is done to every last word; `undefined`: it is not said. */
const said = (change: (word: Store.Change) => Store.Change | undefined) => (store: Shape): Shape => ({
  ...store,
  change: (asker, word) => {
    const changed = change(word)
    return changed === undefined ? store.ask(asker) : store.change(asker, changed)
  }
})

const wants = (change: (open: Store.Open) => Store.Open) => (store: Shape): Shape => ({
  ...store,
  open: (asker, keys) => store.open(asker, keys.map(change))
})

/** Remembers to whom each lease was given last. */
const holders = (store: Shape, harm: (last: ReadonlyMap<string, string>, store: Shape) => Partial<Shape>): Shape => {
  const last = new Map<string, string>()
  const noting: Shape = {
    ...store,
    open: (asker, keys) =>
      Effect.tap(store.open(asker, keys), ({ value }) =>
        Effect.sync(() =>
          value.forEach(({ lease }, i) => {
            const open = keys[i]
            if (lease === "given" && open?.token !== undefined) last.set(open.key, open.token)
          })
        ))
  }
  return { ...noting, ...harm(last, noting) }
}

const harms: Record<string, (store: Shape) => Shape> = {
  "takes every commit": (store) => ({
    ...store,
    commit: (asker, commit) =>
      Effect.flatMap(store.commit(asker, commit), (reply) =>
        reply.value || commit.stored === undefined
          ? Effect.succeed(reply)
          : Effect.as(
            store.change(asker, { mode: "set", key: commit.key, stored: commit.stored, news: "" }),
            { ...reply, value: true }
          ))
  }),
  "takes no commit": (store) => ({
    ...store,
    commit: (asker, commit) => Effect.map(store.commit(asker, { ...commit, token: "?" }), (reply) => reply)
  }),
  "lets absence match": (store) => ({
    ...store,
    commit: (asker, commit) =>
      Effect.flatMap(store.commit(asker, commit), (reply) =>
        reply.value ? Effect.succeed(reply) : Effect.flatMap(
          store.open(asker, [{
            key: commit.key,
            policy: { freshFor: 0, maxAge: 1, jitter: 0, strict: false },
            token: commit.token,
            beside: false,
            leaseFor: 1,
            tokenFor: 1000
          }]),
          () => store.commit(asker, commit)
        ))
  }),
  "commits by the last token, whoever asks": (store) =>
    holders(store, (last, { commit }) => ({
      commit: (asker, end) => commit(asker, { ...end, token: last.get(end.key) ?? end.token })
    })),
  "takes what a refused commit wanted gone": (store) => ({
    ...store,
    commit: (asker, commit) =>
      Effect.tap(
        store.commit(asker, commit),
        ({ value }) => value ? Effect.void : store.change(asker, { mode: "hard", keys: [commit.key], news: "" })
      )
  }),
  "commits without tags": written((stored) => ({ ...stored, tags: [] })),
  "gives the right to everybody": answers((opened) => ({ ...opened, lease: opened.lease && "given" })),
  "gives the right to nobody": answers((opened) => ({
    ...opened,
    lease: opened.lease && { left: 1000, cooling: false }
  })),
  "gives the right also where it is not wanted": answers((opened) => ({ ...opened, lease: opened.lease ?? "given" })),
  "says nothing of cooling": answers((opened) => ({
    ...opened,
    lease: typeof opened.lease === "object" ? { ...opened.lease, cooling: false } : opened.lease
  })),
  "says that every lease has ended": answers((opened) => ({
    ...opened,
    lease: typeof opened.lease === "object" ? { ...opened.lease, left: 0 } : opened.lease
  })),
  "lets everybody in beside": wants((open) => ({ ...open, beside: true })),
  "lets nobody in beside": wants((open) => ({ ...open, beside: false })),
  "never ends a lease": wants((open) => ({ ...open, leaseFor: 1e9 })),
  "never ends a right": wants((open) => ({ ...open, tokenFor: 1e9 })),
  "ends each lease at once": wants((open) => ({ ...open, leaseFor: 0 })),
  "judges nothing by the reader": wants((open) => ({ ...open, policy: { ...open.policy, freshFor: 5000 } })),
  "forgets the reader's jitter": wants((open) => ({ ...open, policy: { ...open.policy, jitter: 0 } })),
  "answers in its own order": (store) => ({
    ...store,
    open: (asker, keys) =>
      Effect.map(store.open(asker, keys), (reply) => ({ ...reply, value: reply.value.toReversed() }))
  }),
  "lets everybody renew": (store) =>
    holders(store, (last, { lease }) => ({
      lease: (asker, change) => lease(asker, { ...change, token: last.get(change.key) ?? change.token })
    })),
  "renews nothing": (store) => ({
    ...store,
    lease: (asker, change) =>
      change.to === "renew" ? store.lease(asker, { ...change, millis: 0 }) : store.lease(asker, change)
  }),
  "releases where it should cool": (store) => ({
    ...store,
    lease: (asker, change) => store.lease(asker, { ...change, to: change.to === "cool" ? "release" : change.to })
  }),
  "makes all young": entries((entry) => ({ ...entry, age: 0 })),
  "stamps when it writes": written((stored) => ({ ...stored, age: 0 })),
  "never lets die": written((stored) => ({ ...stored, windows: { ...stored.windows, life: 1e9 } })),
  "loses windows": written((stored) => ({ ...stored, windows: { life: stored.windows.life } })),
  "loses the jitter": entries((entry) => ({ ...entry, jitter: 0 })),
  "loses marks": entries((entry) => ({ ...entry, marked: -1 })),
  "marks at the age of now": entries((entry) => ({ ...entry, marked: entry.marked < 0 ? -1 : entry.age })),
  "takes soft for hard": said((word) => word.mode === "soft" ? { ...word, mode: "hard" } : word),
  "takes hard for soft": said((word) => word.mode === "hard" ? { ...word, mode: "soft" } : word),
  "says one key of many": said((word) => "keys" in word ? { ...word, keys: word.keys.slice(0, 1) } : word),
  "clears nothing": said((word) => word.mode === "clear" ? undefined : word),
  "clears for a tag": said((word) => word.mode === "tag" ? { ...word, mode: "clear" } : word),
  "notes no tag": said((word) => word.mode === "tag" ? undefined : word),
  "mixes spaces": asks((asker) => ({ ...asker, space: "all" })),
  "mixes versions": asks((asker) => ({ ...asker, version: "all" })),
  "keeps versions apart also in last words": asks((asker) => ({ ...asker, space: asker.space + asker.version })),
  "knows no deadline": asks((asker) => ({ ...asker, within: 1e9 })),
  "hears nothing of what was heard": asks((asker) => ({ ...asker, heard: undefined })),
  "has no clock": (store) => ({
    ...store,
    ask: (asker) => Effect.map(store.ask(asker), (reply) => ({ ...reply, clock: undefined }))
  }),
  "gives entries the clock of now": (store) => ({
    ...store,
    open: (asker, keys) =>
      Effect.map(store.open(asker, keys), (reply) => ({
        ...reply,
        value: reply.value.map((opened) => ({
          ...opened,
          entry: opened.entry && { ...opened.entry, clock: reply.clock }
        }))
      }))
  }),
  "announces nothing": (store) => ({ ...store, announcements: Stream.never }),
  "announces twice": (store) => ({
    ...store,
    announcements: Stream.flatMap(store.announcements, (one) => Stream.make(one, one))
  }),
  "announces other news": (store) => ({
    ...store,
    announcements: Stream.map(store.announcements, (one) => ({ ...one, news: one.news.slice(1) }))
  }),
  "announces the wrong clock": (store) => ({
    ...store,
    announcements: Stream.map(
      store.announcements,
      (one) => ({ ...one, clock: { ...one.clock, counter: one.clock.counter - 1 } })
    )
  }),
  "announces commits": (store) => ({
    ...store,
    commit: (asker, commit) =>
      Effect.tap(store.commit(asker, commit), () => store.change(asker, { mode: "soft", keys: [], news: "commit" }))
  }),
  "reads other texts": entries((entry) => ({ ...entry, value: entry.value.replaceAll("\\u", "u") })),
  "reads short texts": (store) => entries((entry) => entry.value.length > 100_000 ? undefined : entry)(store),
  "knows keys by their last letters": (store) => {
    const short = (key: string) => key.slice(-4)
    return {
      ...wants((open) => ({ ...open, key: short(open.key) }))(store),
      change: (asker, word) =>
        store.change(
          asker,
          "keys" in word
            ? { ...word, keys: word.keys.map(short) }
            : "key" in word
            ? { ...word, key: short(word.key) }
            : word
        )
    }
  },
  "knows no upper case": (store) => ({
    ...wants((open) => ({ ...open, key: open.key.toLowerCase() }))(store),
    change: (asker, word) => store.change(asker, "key" in word ? { ...word, key: word.key.toLowerCase() } : word)
  })
}

describe("a store that", () => {
  for (const [name, harm] of Object.entries(harms)) {
    it.effect(`${name} breaks a law`, () =>
      Effect.gen(function*() {
        assert.isNotEmpty(yield* broken(every, harm))
      }))
  }

  it.effect("each law is broken by one of them", () =>
    Effect.gen(function*() {
      const found = yield* Effect.forEach(Object.values(harms), (harm) => broken(every, harm))
      const laws = Testing.laws({ powers: every, wait: () => Effect.void }).map(({ name }) => name)
      assert.deepStrictEqual(laws.filter((name) => !found.flat().includes(name)), [])
    }))
})
