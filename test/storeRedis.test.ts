/** The store in Redis against real servers, on the real clock. */
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Config,
  ConfigProvider,
  Context,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Redacted,
  Scope,
  Stream
} from "effect"
import { Policy, Store } from "effect-swr"
import * as StoreRedis from "effect-swr/StoreRedis"
import * as Testing from "effect-swr/Testing"
import { Redis } from "effect/persistence"
import { readFileSync } from "node:fs"
import { inspect } from "node:util"
import * as Codec from "../src/Codec.ts"
import { logs } from "./Origin.ts"
import { absent, client, installed, raw, reachable, server, shared, until } from "./Redis.ts"

// ----- words for what is asked

let spaces = 0
const asker = (options: Partial<Store.Asker> = {}): Store.Asker => ({
  space: `space ${++spaces}`,
  version: "1",
  heard: undefined,
  within: 5000,
  ...options
})

const minute = { freshFor: 60_000, maxAge: 360_000, jitter: 0, strict: false }

const stored = (value: unknown, options: Partial<Store.Stored> = {}): Store.Stored => ({
  value: JSON.stringify(value),
  age: 0,
  clock: undefined,
  windows: { life: 360_000 },
  jitter: 0,
  tags: [],
  ...options
})

/** One process' view of a space. */
class View {
  readonly store: Store.Store["Service"]
  readonly asker: Store.Asker

  constructor(store: Store.Store["Service"], options: Partial<Store.Asker> = {}) {
    this.store = store
    this.asker = asker(options)
  }
  /** Another process', or release's. */
  as(options: Partial<Store.Asker>, store = this.store) {
    return new View(store, { ...this.asker, ...options })
  }
  openAll(keys: ReadonlyArray<string>, token?: string, options: Partial<Store.Open> = {}) {
    return this.store.open(
      this.asker,
      keys.map((key) => ({
        key,
        policy: minute,
        token,
        beside: false,
        leaseFor: 5000,
        tokenFor: 65_000,
        ...options
      }))
    )
  }
  open(key: string, token?: string, options?: Partial<Store.Open>) {
    return Effect.map(this.openAll([key], token, options), ({ clock, value }) => ({ clock, ...value[0]! }))
  }
  value(key: string) {
    return Effect.map(this.open(key), ({ entry }): unknown => entry && JSON.parse(entry.value))
  }
  /** Begins a load; its end commits. */
  load(key: string, token: string, options?: Partial<Store.Open>) {
    return Effect.map(this.open(key, token, options), ({ clock, lease }) => {
      assert.strictEqual(lease, "given")
      return (value: unknown, options: Partial<Store.Stored> = {}) =>
        Effect.map(
          this.store.commit(this.asker, {
            key,
            token,
            stored: value === undefined ? undefined : stored(value, { clock, ...options })
          }),
          (reply) => reply.value
        )
    })
  }
  set(key: string, value: unknown, options?: Partial<Store.Stored>) {
    return this.store.change(this.asker, { mode: "set", key, stored: stored(value, options), news: "set" })
  }
  hard(...keys: ReadonlyArray<string>) {
    return this.store.change(this.asker, { mode: "hard", keys, news: "hard" })
  }
  soft(...keys: ReadonlyArray<string>) {
    return this.store.change(this.asker, { mode: "soft", keys, news: "soft" })
  }
  tag(tag: string) {
    return this.store.change(this.asker, { mode: "tag", tag, news: "tag" })
  }
  readonly clear = Effect.suspend(() => this.store.change(this.asker, { mode: "clear", news: "clear" }))
  lease(key: string, token: string, to: Store.Lease["to"], millis = 0) {
    return Effect.map(this.store.lease(this.asker, { key, token, to, millis }), ({ value }) => value)
  }
  readonly epoch = Effect.suspend(() => Effect.map(this.store.ask(this.asker), ({ clock }) => clock?.epoch))
}

/** The store of one process, over a connection of its own. */
const storeAt = <E, R>(
  redis: Layer.Layer<Redis.Redis, E, R>,
  options: Partial<StoreRedis.Options<E, R>> = {}
) =>
  Effect.map(
    Layer.build(StoreRedis.layer({ client: redis, prefix: "test", required: true, ...options })),
    (context) => Context.get(context, Store.Store)
  )
const viewAt = (url: string, options?: Partial<StoreRedis.Settings>) =>
  Effect.map(storeAt(client(url), options), (store) => new View(store))

const quiet = Effect.provide(Logger.layer([]))

/** The reason and the cause of a failure. */
const reason = <A, R>(call: Effect.Effect<A, Store.StoreError, R>) =>
  Effect.map(Effect.flip(call), ({ reason }) => reason)
/** The same where it may not have failed yet. */
const said = <A, R>(call: Effect.Effect<A, Store.StoreError, R>) =>
  Effect.match(call, { onFailure: ({ reason }): string => reason, onSuccess: () => "done" })

/** A client between which and the store a test stands. */
const through = (
  url: string,
  change: (reply: ReadonlyArray<string>) => Effect.Effect<unknown, Redis.RedisError>
) =>
  Layer.effect(
    Redis.Redis,
    Effect.map(Layer.build(client(url)), (context) => {
      const redis = Context.get(context, Redis.Redis)
      return Redis.Redis.of({
        ...redis,
        eval: (script) => (...params) =>
          // What our scripts answer.
          Effect.flatMap(redis.eval(script)(...params), (reply) => change(reply as ReadonlyArray<string>))
      })
    })
  )

/** Numbers from 0 to 1, the same each time. */
const dice = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

/** What a store says of its powers. */
const powers: Store.Powers = { fences: true, leases: true, announces: true, tags: true, ages: "server" }

it("there is a Redis to test against", (test) => {
  assert.isTrue(reachable || process.env["CI"] === undefined, absent)
  if (!reachable) test.skip(absent)
})

// ----- without a server

describe("where Redis' TIME lies", () => {
  it("I19: is known to within a round trip, whatever clocks drift by 500 ppm each, and no drift is a step", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = dice(seed)
      const [ours, theirs] = [1 + (random() - 0.5) / 1000, 1 + (random() - 0.5) / 1000]
      const ahead = (random() - 0.5) * 1e12
      let known: StoreRedis.Offset | undefined
      let real = 0
      for (let i = 0; i < 100; i++) {
        real += random() < 0.1 ? random() * 3_600_000 : random() * 1000
        const sent = real * ours
        real += random() * 5
        const time = real * theirs + ahead
        real += random() * 5
        const { offset, stepped } = StoreRedis.narrow(known, { epoch: "e", time, sent, received: real * ours })
        assert.isFalse(stepped)
        const now = real * theirs + ahead - real * ours
        assert.isTrue(offset.lo <= now + 0.01 && now - 0.01 <= offset.hi, `${offset.lo} <= ${now} <= ${offset.hi}`)
        assert.isAtMost(offset.hi - offset.lo, 11)
        known = offset
      }
    }
  })

  const asked = (epoch: string, time: number, sent: number, received: number) => ({ epoch, time, sent, received })

  it("a step of more than the round trips is seen, either way, and what is known begins anew", () => {
    const { offset } = StoreRedis.narrow(undefined, asked("e", 1000, 0, 4))
    for (const step of [-10, 10]) {
      const seen = StoreRedis.narrow(offset, asked("e", 1100 + step, 100, 104))
      assert.isTrue(seen.stepped)
      assert.deepStrictEqual([seen.offset.lo, seen.offset.hi], [996 + step, 1000 + step])
    }
    assert.isFalse(StoreRedis.narrow(offset, asked("e", 1104, 100, 104)).stepped)
  })

  it("another epoch begins anew, but not by a reply to a question from before", () => {
    const { offset } = StoreRedis.narrow(undefined, asked("new", 1000, 0, 4))
    assert.strictEqual(StoreRedis.narrow(offset, asked("old", 9000, 3, 8)).offset, offset)
    assert.strictEqual(StoreRedis.narrow(offset, asked("newer", 9000, 5, 8)).offset.epoch, "newer")
  })
})

// ----- with one

describe.skipIf(!reachable)("a store in Redis", () => {
  const url = shared()
  const view = Effect.suspend(() => viewAt(url()))

  describe("keeps the laws", () => {
    for (const { check, name } of Testing.laws({ powers, wait: Effect.sleep })) {
      it.live(name, () => Effect.flatMap(view, ({ store }) => Effect.provideService(check, Store.Store, store)))
    }

    it.live("of the powers that it has", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* view).store.powers, powers)
      }))
  })

  it.live(
    "does what the simulated store does, which keeps to the model: 200 random programs of 30 commands",
    () =>
      Effect.gen(function*() {
        const simulated = yield* Testing.simulatedStore()
        const modelled = Context.get(yield* Layer.build(simulated.connect("a")), Store.Store)
        const { store } = yield* view
        const redis = yield* raw(url())
        const random = dice(42)
        const upTo = (most: number) => Math.floor(random() * (most + 1))
        const one = <A>(of: ReadonlyArray<A>): A => of[upTo(of.length - 1)]!

        for (let program = 0; program < 200; program++) {
          const base = asker()
          const both = [modelled, store].map((store) => ({
            store,
            epochs: [] as Array<string>,
            tokens: new Map<string, Store.Clock>()
          }))
          const trace: Array<string> = []
          let tokens = 0
          for (let step = 0; step < 30; step++) {
            const version = one(["1", "2"])
            const key = one(["a", "b"])
            const policy = { ...minute, freshFor: one([0, 60_000]), strict: one([false, true]) }
            const token = one([undefined, `t${++tokens}`])
            const beside = one([false, true])
            const old = `t${upTo(tokens)}`
            const tags = one([[], ["x"], ["x", "y"]])
            const to = one(["renew", "cool", "release"] as const)
            const ahead = upTo(40) === 0 ? 3 : 0
            const evicts = upTo(60) === 0
            const kind = one(
              ["open", "open", "open", "commit", "commit", "set", "hard", "soft", "tag", "clear", "lease"] as const
            )
            trace.push([kind, version, key, token, old, tags, beside, policy.freshFor, to, ahead, evicts].join(" "))
            if (evicts) {
              yield* simulated.evictClock(base.space)
              yield* redis.send("DEL", `{test:${base.space}}`)
            }
            const told = yield* Effect.forEach(both, (side) =>
              Effect.gen(function*() {
                const { store, tokens } = side
                /** Epochs by the order in which they came. */
                const plain = (clock: Store.Clock | undefined) => {
                  if (clock === undefined) return undefined
                  if (!side.epochs.includes(clock.epoch)) side.epochs.push(clock.epoch)
                  return [side.epochs.indexOf(clock.epoch), clock.counter]
                }
                // It has heard of the eviction: else its set would be late, and that is tested elsewhere.
                const { clock } = yield* store.ask(base)
                const us = { ...base, version, heard: clock && { ...clock, counter: clock.counter + ahead } }
                if (ahead > 0) yield* store.ask(us)
                const value = stored(step, { tags, windows: { life: 360_000 } })
                switch (kind) {
                  case "open": {
                    const open = { key, policy, token, beside, leaseFor: 300_000, tokenFor: 300_000 }
                    const { clock, value: [found] } = yield* store.open({ ...us, heard: undefined }, [open])
                    if (found?.lease === "given" && token !== undefined && clock) tokens.set(token, clock)
                    const { entry, lease } = found!
                    return [
                      plain(clock),
                      entry && [entry.value, entry.tags, entry.marked >= 0, plain(entry.clock)],
                      typeof lease === "object" ? lease.cooling : lease
                    ]
                  }
                  case "commit": {
                    const clock = tokens.get(old)
                    const reply = yield* store.commit({ ...us, heard: undefined }, {
                      key,
                      token: old,
                      stored: { ...value, clock: clock ?? { epoch: "none", counter: 0 } }
                    })
                    return [plain(reply.clock), reply.value]
                  }
                  case "lease": {
                    const reply = yield* store.lease({ ...us, heard: undefined }, {
                      key,
                      token: old,
                      to,
                      millis: 300_000
                    })
                    return [plain(reply.clock), reply.value]
                  }
                  default: {
                    const change: Store.Change = kind === "set"
                      ? { mode: kind, key, stored: value, news: "" }
                      : kind === "tag"
                      ? { mode: kind, tag: one(["x"]), news: "" }
                      : kind === "clear"
                      ? { mode: kind, news: "" }
                      : { mode: kind, keys: [key], news: "" }
                    return [plain((yield* store.change({ ...us, heard: undefined }, change)).clock)]
                  }
                }
              }))
            assert.deepStrictEqual<unknown>(told[1], told[0], `program ${program}:\n${trace.join("\n")}`)
          }
        }
      }),
    60_000
  )

  describe("loads, by one token at a time", () => {
    it.live("the first that asks is given the right, the others are told for how long", () =>
      Effect.gen(function*() {
        const us = yield* view
        const opened = yield* us.open("k", "one")
        assert.deepStrictEqual([opened.entry, opened.problem, opened.lease], [undefined, undefined, "given"])
        const { lease } = yield* us.open("k", "two")
        assert.isTrue(typeof lease === "object" && !lease.cooling && lease.left > 0 && lease.left <= 5000)
        assert.isUndefined((yield* us.open("k")).lease, "who only looks is told nothing of it")
      }))

    it.live("what is committed is read as it was, its age grown, and nobody is given the right while it is fresh", () =>
      Effect.gen(function*() {
        const us = yield* view
        const end = yield* us.load("k", "one")
        const own = {
          age: 1000,
          windows: { freshFor: 50_000, maxAge: 100_000, staleIfError: 5, life: 360_000 },
          jitter: 0.1,
          tags: ["a", "\ud800", "\"epoch\":\"\",\"counter\":0},\"value\":1"]
        }
        assert.isTrue(yield* end({ v: [1] }, own))
        const { clock, entry, lease } = yield* us.open("k", "two")
        assert.isUndefined(lease)
        assert.deepStrictEqual({ ...entry, age: 1000 }, {
          ...own,
          value: `{"v":[1]}`,
          json: { v: [1] },
          clock,
          marked: -1
        })
        assert.isTrue(entry!.age >= 1000 && entry!.age < 3000, String(entry?.age))
        yield* Effect.sleep(50)
        assert.isAtLeast((yield* us.open("k")).entry!.age, 1045)
      }))

    it.live("I14: who lost the lease commits nothing over the next holder, and frees nothing of his", () =>
      Effect.gen(function*() {
        const us = yield* view
        const slow = yield* us.load("k", "slow", { leaseFor: 30 })
        yield* Effect.sleep(40)
        const next = yield* us.load("k", "next")
        assert.isFalse(yield* slow("slow"))
        assert.notStrictEqual((yield* us.open("k", "third")).lease, "given")
        assert.isTrue(yield* next("next"))
        assert.strictEqual(yield* us.value("k"), "next")
      }))

    it.live("I14: a generation that is not there matches no token", () =>
      Effect.gen(function*() {
        const us = yield* view
        const end = yield* us.load("k", "one")
        assert.isTrue(yield* end("v"))
        assert.isFalse(yield* end("again"), "a token commits once")
        yield* us.hard("k")
        assert.isFalse(yield* end("after"))
        const { value } = yield* us.store.commit(us.asker, {
          key: "k",
          token: "",
          stored: stored("x", { clock: { epoch: "", counter: 0 } })
        })
        assert.isFalse(value)
        assert.isUndefined(yield* us.value("k"))
      }))

    it.live("a token ends, though nobody took it", () =>
      Effect.gen(function*() {
        const us = yield* view
        const end = yield* us.load("k", "one", { leaseFor: 20, tokenFor: 30 })
        yield* Effect.sleep(40)
        assert.isFalse(yield* end("late"))
      }))

    it.live("a commit of nothing takes the old entry away", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.set("k", "old", { age: 100_000 })
        const end = yield* us.load("k", "one")
        assert.isTrue(yield* end(undefined))
        assert.isUndefined(yield* us.value("k"))
        assert.strictEqual((yield* us.open("k", "two")).lease, "given")
      }))

    it.live("a value that is dead when it comes takes the old one's place, and is nowhere", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.set("k", "old", { age: 100_000 })
        const end = yield* us.load("k", "one")
        assert.isTrue(yield* end("dead", { age: 360_000 }))
        assert.isUndefined(yield* us.value("k"))
        yield* us.set("k", "old")
        yield* us.set("k", "dead", { age: 360_000 })
        assert.isUndefined(yield* us.value("k"))
      }))
  })

  describe("leases", () => {
    it.live("are renewed and released by their holder alone", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.load("k", "one", { leaseFor: 400 })
        assert.deepStrictEqual([yield* us.lease("k", "two", "renew", 500), yield* us.lease("k", "two", "release")], [
          false,
          false
        ])
        assert.isTrue(yield* us.lease("k", "one", "renew", 5000))
        yield* Effect.sleep(410)
        assert.notStrictEqual((yield* us.open("k", "two")).lease, "given")
        assert.isTrue(yield* us.lease("k", "one", "release"))
        assert.isFalse(yield* us.lease("k", "one", "renew", 5000))
        yield* us.load("k", "two")
      }))

    it.live("cool: nobody refreshes until then, and a reader with nothing to fall back on loads beside", () =>
      Effect.gen(function*() {
        const us = yield* view
        const failed = yield* us.load("k", "failed")
        assert.isTrue(yield* us.lease("k", "failed", "cool", 5000))
        const { lease } = yield* us.open("k", "two")
        assert.isTrue(typeof lease === "object" && lease.cooling && lease.left > 3000)
        const end = yield* us.load("k", "beside", { beside: true })
        assert.isFalse(yield* failed("failed after all"), "the load beside is the key's generation now")
        assert.isTrue(yield* end("v"))
        assert.strictEqual(yield* us.value("k"), "v")
      }))

    it.live("cool also where there is an old entry, and who has nothing to fall back on loads beside", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.set("k", "old", { age: 100_000 })
        yield* us.load("k", "failed")
        yield* us.lease("k", "failed", "cool", 400)
        assert.notStrictEqual((yield* us.open("k", "two")).lease, "given")
        const { entry, lease } = yield* us.open("k", "two", { beside: true })
        assert.deepStrictEqual([entry?.value, lease], [`"old"`, "given"])
        yield* Effect.sleep(410)
        yield* us.load("k", "two")
      }))

    it.live("beside does not mean beside a load that is under way", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.load("k", "one")
        assert.notStrictEqual((yield* us.open("k", "two", { beside: true })).lease, "given")
      }))
  })

  describe("I4: the last word", () => {
    const words: ReadonlyArray<readonly [string, (us: View) => Effect.Effect<unknown, Store.StoreError>, unknown]> = [
      ["set", (us) => us.set("k", "last"), "last"],
      ["hard", (us) => us.hard("other", "k"), undefined],
      ["soft", (us) => us.soft("k", "other"), "old"]
    ]
    for (const [name, say, left] of words) {
      it.live(`${name}: loads from before commit nothing, the right is free again, the counter goes up by one`, () =>
        Effect.gen(function*() {
          const us = yield* view
          yield* us.set("k", "old", { age: 100_000 })
          const end = yield* us.load("k", "one")
          const before = yield* us.store.ask(us.asker)
          yield* say(us)
          assert.isFalse(yield* end("overtaken"))
          const { clock, entry, lease } = yield* us.open("k", "two")
          assert.deepStrictEqual(clock, { epoch: before.clock!.epoch, counter: before.clock!.counter + 1 })
          assert.strictEqual(entry && JSON.parse(entry.value), left)
          assert.strictEqual(lease, name === "set" ? undefined : "given")
        }))
    }

    it.live("of a set is the clock under which it was set", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.hard("other")
        const { clock } = yield* us.set("k", "v")
        assert.strictEqual(clock?.counter, 2)
        assert.deepStrictEqual((yield* us.open("k")).entry?.clock, clock)
      }))

    it.live("soft marks at the age that the entry has, once; a strict reader finds it no longer fresh", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.set("k", "v", { age: 1000 })
        yield* us.soft("k", "nothing")
        const { entry, lease } = yield* us.open("k", "one", { policy: { ...minute, strict: true } })
        assert.isTrue(entry!.marked >= 1000 && entry!.marked <= entry!.age)
        assert.strictEqual(lease, "given")
        yield* Effect.sleep(20)
        yield* us.soft("k")
        assert.strictEqual((yield* us.open("k")).entry?.marked, entry?.marked)
        const end = yield* us.load("k", "two")
        yield* end("new")
        assert.strictEqual((yield* us.open("k")).entry?.marked, -1)
      }))

    it.live("a tag and a clear void what is older, and refuse the commits of older loads, whose leases are free", () =>
      Effect.gen(function*() {
        for (const say of ["tag", "clear"]) {
          const us = yield* view
          const speak = say === "tag" ? us.tag("t") : us.clear
          yield* us.set("tagged", "v", { tags: ["s", "t"] })
          yield* us.set("other", "v", { tags: ["s"] })
          const end = yield* us.load("k", "one")
          yield* speak
          assert.isUndefined(yield* us.value("tagged"))
          assert.strictEqual(yield* us.value("other"), say === "tag" ? "v" : undefined)
          assert.isFalse(yield* end("v", { tags: ["t"] }))
          const again = yield* us.load("k", "two")
          assert.isTrue(yield* again("v", { tags: ["t"] }), "it began after the note")
          assert.strictEqual(yield* us.value("k"), "v")
        }
      }))

    it.live("I21: versions live side by side, and a last word meets all", () =>
      Effect.gen(function*() {
        const one = yield* view
        const two = one.as({ version: "2" })
        const both = Effect.gen(function*() {
          yield* one.hard("k")
          const ends = [yield* one.load("k", "1"), yield* two.load("k", "2")]
          for (const [i, end] of ends.entries()) assert.isTrue(yield* end(i + 1))
        })
        const values = Effect.all([one.value("k"), two.value("k")])
        yield* both
        assert.deepStrictEqual(yield* values, [1, 2])
        yield* one.soft("k")
        assert.isAtLeast((yield* two.open("k")).entry!.marked, 0)
        yield* both
        yield* two.set("k", "set")
        assert.deepStrictEqual(yield* values, [undefined, "set"])
        yield* both
        yield* two.hard("k")
        assert.deepStrictEqual(yield* values, [undefined, undefined])
        const end = yield* one.load("k", "3")
        yield* two.hard("k")
        assert.isFalse(yield* end("overtaken by another release"))
      }))
  })

  describe("epochs", () => {
    /** What ends an epoch, and what the next that asks has heard. */
    const ends: ReadonlyArray<
      readonly [
        string,
        (clock: string, us: View) => Effect.Effect<View, Redis.RedisError | Store.StoreError, Redis.Redis>
      ]
    > = [
      ["the clock is evicted", (clock, us) => Effect.as(send("DEL", clock), us)],
      [
        "the clock is another program's",
        (clock, us) => Effect.as(Effect.andThen(send("DEL", clock), send("SET", clock, "x")), us)
      ],
      ["the clock is garbage", (clock, us) => Effect.as(send("HSET", clock, "n", "-1"), us)],
      ["the clock is no number", (clock, us) => Effect.as(send("HSET", clock, "n", "nan"), us)],
      ["TIME steps back", (clock, us) => Effect.as(send("HSET", clock, "t", String(Date.now() + 60_000)), us)],
      [
        "the store knows less than was heard",
        (_, us) =>
          Effect.map(
            us.store.ask(us.asker),
            ({ clock }) => us.as({ heard: { ...clock!, counter: clock!.counter + 1 } })
          )
      ]
    ]
    const send = (command: string, ...args: ReadonlyArray<string>) =>
      Redis.Redis.use((redis) => redis.send(command, ...args))

    for (const [name, end] of ends) {
      it.live(`${name}: the epoch is new, and nothing of the old one is used`, () =>
        Effect.gen(function*() {
          const us = yield* view
          yield* us.set("entry", "v")
          yield* us.tag("t")
          const commit = yield* us.load("leased", "one")
          const epoch = yield* us.epoch
          const now = yield* end(`{test:${us.asker.space}}`, us)
          const opened = yield* now.open("entry")
          assert.isUndefined(opened.entry)
          assert.notStrictEqual(opened.clock?.epoch, epoch)
          assert.strictEqual(opened.clock?.counter, 0)
          assert.isFalse(yield* commit("of the old epoch"))
          const again = yield* us.load("leased", "two")
          assert.isTrue(yield* again("v", { tags: ["t"] }))
          assert.strictEqual(yield* us.value("leased"), "v")
          assert.strictEqual(yield* us.epoch, opened.clock?.epoch, "it stays")
        }).pipe(Effect.provide(client(url()))))
    }

    it.live("a lease of another epoch counts as none", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.load("k", "one")
        yield* send("DEL", `{test:${us.asker.space}}`)
        assert.isTrue(yield* us.lease("k", "one", "renew", 5000), "its holder may keep it")
        yield* us.load("k", "two")
      }).pipe(Effect.provide(client(url()))))

    it.live("a set whose stamp comes from another epoch is late, and the next is not", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.set("k", "one")
        yield* send("DEL", `{test:${us.asker.space}}`)
        assert.strictEqual(yield* reason(us.set("k", "two")), "late")
        assert.isUndefined(yield* us.value("k"))
        yield* us.set("k", "three")
        assert.strictEqual(yield* us.value("k"), "three")
      }).pipe(Effect.provide(client(url()))))
  })

  describe("time", () => {
    it.live("nothing is done at the deadline", () =>
      Effect.gen(function*() {
        const us = yield* view
        yield* us.set("k", "v")
        const end = yield* us.load("other", "one")
        const late = us.as({ within: 0 })
        for (const call of [late.set("k", "late"), late.hard("k"), late.soft("k"), late.tag("t"), late.clear]) {
          assert.strictEqual(yield* reason(call), "late")
        }
        assert.strictEqual(yield* reason(late.open("k", "two", { policy: { ...minute, freshFor: 0 } })), "late")
        assert.strictEqual(yield* reason(late.lease("other", "one", "release")), "late")
        const { clock, entry, lease } = yield* us.open("k", "three", { policy: { ...minute, freshFor: 0 } })
        assert.deepStrictEqual([clock?.counter, entry?.value, entry?.marked, lease], [1, `"v"`, -1, "given"])
        assert.isTrue(yield* end("v"))
      }))

    it.live("an age counts the whole way of the answer", () =>
      Effect.gen(function*() {
        const store = yield* storeAt(through(url(), (reply) => Effect.delay(Effect.succeed(reply), 100)))
        const us = new View(store)
        // 100 ms each: of the question that taught the offset, by which it is older; of it; of the set; of the answer.
        yield* us.set("k", "v")
        assert.isAtLeast((yield* us.open("k")).entry!.age, 395)
      }))

    for (const step of [-60, 60]) {
      it.live(`I19: a process that sees TIME step by ${step} s uses nothing of that epoch, and ends it`, () =>
        Effect.gen(function*() {
          let ahead = 0
          const shifted = through(
            url(),
            ([seconds, ...rest]) => Effect.succeed([`${Number(seconds) + ahead}`, ...rest])
          )
          // So long that no deadline hides what the offset does.
          const us = new View(yield* storeAt(shifted), { within: 600_000 })
          const them = us.as({}, yield* Effect.map(view, ({ store }) => store))
          yield* us.set("k", "v")
          const epoch = yield* them.epoch
          ahead = step
          const { entry, problem } = yield* us.open("k")
          assert.deepStrictEqual([entry, problem], [undefined, undefined])
          yield* until(Effect.map(them.epoch, (now) => now !== epoch), "the epoch ends")
          const now = yield* them.epoch
          yield* said(us.open("k"))
          assert.strictEqual(yield* them.epoch, now, "and not once more")
        }))
    }

    it.live("a command is late where TIME is before it was sent", () =>
      Effect.gen(function*() {
        let ahead = 60
        const shifted = through(
          url(),
          ([seconds, ...rest]) => Effect.succeed([String(Number(seconds) + ahead), ...rest])
        )
        const us = new View(yield* storeAt(shifted))
        yield* us.epoch
        assert.strictEqual(yield* reason(us.hard("k")), "late")
      }))

    it.live("R5: the clock is the one of the fiber that built the store, and a step of it is one of TIME", () =>
      Effect.gen(function*() {
        const real = yield* Clock.Clock
        let ahead = 0n
        const clock: Clock.Clock = {
          ...real,
          sleep: (duration) => real.sleep(duration),
          currentTimeMillisUnsafe: () => 0,
          monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe() + ahead
        }
        const store = yield* Effect.provideService(storeAt(client(url())), Clock.Clock, clock)
        const us = new View(store)
        yield* us.set("k", "v")
        const epoch = yield* us.epoch
        ahead = 60_000_000_000n
        assert.strictEqual(yield* reason(us.open("k")), "late", "TIME is before the command was sent")
        yield* until(Effect.map(us.epoch, (now) => now !== epoch), "the epoch ends")
        assert.isUndefined((yield* us.open("k")).entry)
      }))
  })

  it.live("R1: the script finds fresh what the policy finds fresh", () =>
    Effect.gen(function*() {
      let seed = 7
      const upTo = (most: number) => {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
        return Math.floor(seed / 2 ** 32 * (most + 1))
      }
      const some = (most: number) => upTo(2) === 0 ? upTo(most) : undefined
      const cases = Array.from({ length: 5000 }, () => {
        const policy = { freshFor: upTo(100), maxAge: 1 + upTo(100), jitter: upTo(2) / 2 * upTo(1000) / 1000 }
        return {
          policy: { ...Policy.strict(1), ...policy, strict: upTo(2) === 0 },
          own: { freshFor: some(100), maxAge: some(100), life: upTo(100) },
          jitter: upTo(65_535) / 65_536,
          marked: upTo(1) === 0 ? -1 : upTo(100)
        }
      })
      const redis = yield* raw(url())
      const lua = StoreRedis.freshUntil + `
        local out = {}
        for i, case in ipairs(cjson.decode(ARGV[1])) do
          local own = case.own
          local freshFor, maxAge = own.freshFor or math.huge, own.maxAge or math.huge
          out[i] = fresh_until(case.policy, own.life, freshFor, maxAge, case.jitter, case.marked)
        end
        return out
      `
      const found = yield* redis.send<ReadonlyArray<number>>("EVAL", lua, "0", JSON.stringify(cases))
      const ends = cases.map(({ jitter, marked, own: { freshFor = Infinity, life, maxAge = Infinity }, policy }) =>
        Policy.freshUntil(policy, { freshFor, maxAge, staleIfError: Infinity, life }, jitter, marked)
      )
      assert.deepStrictEqual(found.map(Number), ends)
    }))

  describe("I10: what is not ours", () => {
    const record = (fields: Partial<Codec.Fields> = {}, value = `"v"`) =>
      Codec.writeRecord({
        key: "k",
        stamp: Date.now(),
        windows: { life: 360_000 },
        jitter: 0,
        tags: [],
        epoch: "e",
        counter: 0,
        ...fields
      }, value)
    const records: ReadonlyArray<readonly [string, string, Codec.DecodeProblem]> = [
      ["nothing", "", "json"],
      ["another program's text", "hello", "json"],
      ["bytes that are no text", "\0\x01\ufffd{", "json"],
      ["a truncated record", record().slice(0, -3), "json"],
      ["half an envelope", record().slice(0, 40), "json"],
      ["JSON of another shape", "[1,2,3]", "json"],
      ["an older format", record().replace(`"format":1`, `"format":0`), "format"],
      ["a newer format", record().replace(`"format":1`, `"format":2`), "format"],
      ["another key's record", record({ key: "other" }), "key"],
      ["a stamp that is no time", record().replace(/"stamp":\d+/, `"stamp":"now"`), "stamp"],
      ["a stamp in the future", record({ stamp: Date.now() + 3_600_000 }), "stamp"],
      ["a life that is over", record({ stamp: Date.now() - 400_000 }), "windows"],
      ["windows of another shape", record().replace(`{"life":360000}`, "null"), "windows"],
      ["no value", record().replace(`,"value":"v"`, ""), "value"],
      ["a value that is too deep", record({}, `${"[".repeat(300)}${"]".repeat(300)}`), "depth"],
      ["__proto__", `{"__proto__":{"format":1},"key":"k"}`, "format"]
    ]
    /** The script finds fresh what it judges by the facts beside. */
    const plant = (redis: Redis.Redis["Service"], us: View, text: string) =>
      redis.send("HSET", `{test:${us.asker.space}}:k`, "r1", text)
    for (const [name, text, problem] of records) {
      it.live(`${name}: is a miss with a reason, the key can be loaded, and is well again`, () =>
        Effect.gen(function*() {
          const us = yield* view
          const redis = yield* raw(url())
          // All that the script judges by says that it is fresh: only who reads the record can tell.
          yield* us.set("k", "v")
          yield* plant(redis, us, text)
          assert.deepStrictEqual({ ...yield* us.open("k"), clock: 0 }, {
            entry: undefined,
            problem,
            lease: undefined,
            clock: 0
          })
          const opened = yield* us.open("k", "one")
          assert.deepStrictEqual([opened.entry, opened.problem, opened.lease], [undefined, problem, "given"])
          const { lease } = yield* us.open("k", "two")
          assert.isObject(lease, "and one at a time")
          const { value } = yield* us.store.commit(us.asker, {
            key: "k",
            token: "one",
            stored: stored("well", { clock: opened.clock })
          })
          assert.isTrue(value)
          assert.strictEqual(yield* us.value("k"), "well")
        }))
    }

    it.live("where its lease cools, a reader with nothing to fall back on loads beside", () =>
      Effect.gen(function*() {
        const us = yield* view
        const redis = yield* raw(url())
        yield* us.set("k", "v", { age: 100_000 })
        yield* us.load("k", "failed")
        yield* us.lease("k", "failed", "cool", 5000)
        yield* plant(redis, us, "garbage")
        assert.strictEqual((yield* us.open("k", "one", { beside: true })).lease, "given")
      }))

    it.live("what stands beside a record may be garbage too", () =>
      Effect.gen(function*() {
        const us = yield* view
        const redis = yield* raw(url())
        const fields: ReadonlyArray<readonly [field: string, lua: string]> = [
          ["f1", "'?'"],
          ["f1", "string.rep('\\255', 300)"],
          ["f1", "string.rep('\\0', 300)"],
          ["f1", "struct.pack('<dddddddBc0Hc0', 0/0, 1/0, 0/0, 0/0, 0/0, 0/0, 0/0, 1, 'x', 1, 'x')"],
          ["l1", "'nan'"],
          ["l1", "'1e999 0 x y'"],
          ["g1", "'inf x'"]
        ]
        for (const [field, lua] of fields) {
          yield* us.set("k", "v", { age: 100_000 })
          yield* redis.send(
            "EVAL",
            `redis.call('HSET', KEYS[1], '${field}', ${lua})`,
            "1",
            `{test:${us.asker.space}}:k`
          )
          yield* us.soft("k")
          const end = yield* us.load("k", "one")
          assert.isTrue(yield* end("well"))
          assert.strictEqual(yield* us.value("k"), "well")
        }
      }))

    it.live("facts that say of a time to come are as good as none", () =>
      Effect.gen(function*() {
        const us = yield* view
        const redis = yield* raw(url())
        yield* us.set("k", "v")
        const lua =
          `local a, b, c, d, e, f, g, of, slots = struct.unpack('<dddddddBc0Hc0', redis.call('HGET', KEYS[1], 'f1'))
          redis.call('HSET', KEYS[1], 'f1', struct.pack('<dddddddBc0Hc0', a + 1e6, b, c, d, e, f, g, #of, of, #slots, slots))`
        yield* redis.send("EVAL", lua, "1", `{test:${us.asker.space}}:k`)
        const { entry, lease } = yield* us.open("k", "one")
        assert.deepStrictEqual([entry, lease], [undefined, "given"])
      }))

    for (const [type, ...command] of [["string", "SET", "x"], ["list", "RPUSH", "x"], ["set", "SADD", "x"]] as const) {
      it.live(`a ${type} under our key: is a miss with a reason, and in nobody's way`, () =>
        Effect.gen(function*() {
          const us = yield* view
          const redis = yield* raw(url())
          const [name, ...args] = command
          const plant = redis.send("DEL", `{test:${us.asker.space}}:k`).pipe(
            Effect.andThen(redis.send(name, `{test:${us.asker.space}}:k`, ...args))
          )
          yield* plant
          assert.strictEqual((yield* us.open("k")).problem, "json")
          assert.isFalse(yield* us.lease("k", "one", "renew", 5000))
          const end = yield* us.load("k", "one")
          assert.isTrue(yield* end("v"))
          yield* plant
          assert.isFalse(yield* end("no token is there"))
          yield* plant
          yield* us.set("k", "set")
          assert.strictEqual(yield* us.value("k"), "set")
          yield* plant
          yield* us.soft("k")
          assert.isUndefined((yield* us.open("k")).problem)
          yield* plant
          yield* us.hard("k")
          assert.isUndefined((yield* us.open("k")).problem)
        }))
    }

    it.live("a store that answers something else is away", () =>
      Effect.gen(function*() {
        const answers: ReadonlyArray<unknown> = [null, "OK", [], ["1", "2", "3"], ["x", "0", "e", "1", "ok"], [
          1,
          2,
          3,
          4,
          5
        ]]
        for (const answer of answers) {
          const us = new View(yield* storeAt(through(url(), () => Effect.succeed(answer))))
          assert.strictEqual(yield* reason(us.open("k")), "away")
        }
      }))
  })

  describe("names", () => {
    it.live("I16: no two of prefix, space, key and version meet", () =>
      Effect.gen(function*() {
        const odd = ["", "a", "a:b", "b", "{a}", "}", "{", "%7d", ":", "a}:{b", "*", "\0", "\ud800", "\ud801", "é", " "]
        const stores = yield* Effect.forEach(odd.slice(0, 9), (prefix) =>
          storeAt(client(url()), { prefix: `p${prefix}` }))
        const all = stores.flatMap((store) =>
          odd.slice(0, 9).flatMap((space) =>
            odd.slice(0, 9).flatMap((version) => [new View(store, { space, version })])
          )
        )
        for (const [i, us] of all.entries()) {
          for (const key of ["", "a", ":a", "{a}"]) yield* (yield* us.load(key, "t", { leaseFor: 1 }))([i, key])
        }
        for (const [i, us] of all.entries()) {
          for (const key of ["", "a", ":a", "{a}"]) assert.deepStrictEqual(yield* us.value(key), [i, key])
        }
        for (const prefix of odd) {
          const us = new View(yield* storeAt(client(url()), { prefix }), { space: prefix, version: prefix })
          yield* us.set("k", prefix)
          assert.strictEqual(yield* us.value("k"), prefix)
        }
      }), 30_000)
  })

  describe("what it costs Redis", () => {
    const calls = (redis: Redis.Redis["Service"]) =>
      Effect.map(
        redis.send<string>("INFO", "commandstats"),
        (text) =>
          new Map(Array.from(text.matchAll(/cmdstat_([^:]+):calls=(\d+)/g), ([, name, calls]) => [name, Number(calls)]))
      )

    it.live("one round trip for each call, of however many keys; scripts that were lost are loaded again", () =>
      Effect.gen(function*() {
        const us = yield* view
        const redis = yield* raw(url())
        const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
        const all = Effect.gen(function*() {
          yield* us.openAll(keys, "one")
          yield* us.store.commit(us.asker, { key: "k0", token: "one", stored: stored("v") })
          yield* us.set("k", "v")
          yield* us.hard(...keys)
          yield* us.lease("k", "one", "renew")
          yield* us.store.ask(us.asker)
        })
        yield* us.store.ask(us.asker)
        yield* all
        yield* redis.send("CONFIG", "RESETSTAT")
        yield* all
        const stats = yield* calls(redis)
        assert.strictEqual(stats.get("evalsha"), 6)
        const dear = ["keys", "scan", "flushdb", "flushall", "eval", "hgetall", "script|load"]
        assert.deepStrictEqual(dear.filter((name) => stats.has(name)), [])
        yield* redis.send("SCRIPT", "FLUSH")
        yield* all
      }))

    it.live("I9: every key has an end, no later than the last of what is in it; a released one leaves nothing", () =>
      Effect.gen(function*() {
        const us = yield* view
        const redis = yield* raw(url())
        const ttl = (key: string) => redis.send<number>("PTTL", `{test:${us.asker.space}}${key}`)
        yield* us.set("set", "v", { age: 60_000 })
        assert.isTrue((yield* ttl(":set")) > 290_000 && (yield* ttl(":set")) <= 300_000)
        const end = yield* us.load("k", "one", { leaseFor: 5000, tokenFor: 65_000 })
        assert.isTrue((yield* ttl(":k")) > 60_000 && (yield* ttl(":k")) <= 65_000)
        yield* end("v", { windows: { life: 100_000 } })
        assert.isTrue((yield* ttl(":k")) > 95_000 && (yield* ttl(":k")) <= 100_000)
        yield* us.set("both", "v", { age: 60_000 })
        yield* us.soft("both")
        yield* us.load("both", "one")
        assert.isAbove(yield* ttl(":both"), 290_000)
        yield* us.load("released", "one")
        yield* us.lease("released", "one", "release")
        assert.strictEqual(yield* ttl(":released"), -2)
        assert.isTrue((yield* ttl("")) > 86_000_000 && (yield* ttl("")) <= 86_400_000)
        // As if half a day had passed.
        const clock = `{test:${us.asker.space}}`
        yield* redis.send("PEXPIRE", clock, "40000000")
        yield* redis.send("HSET", clock, "x", String(Date.now() + 40_000_000))
        const epoch = yield* us.epoch
        assert.isAbove(yield* ttl(""), 86_000_000)
        assert.strictEqual(yield* us.epoch, epoch)
      }))

    it.live("so many keys that no command could take them", () =>
      Effect.gen(function*() {
        const us = yield* view
        const keys = Array.from({ length: 150_000 }, (_, i) => `k${i}`)
        yield* us.set("k149999", "v")
        const { value } = yield* us.as({ within: 60_000 }).openAll(keys)
        assert.deepStrictEqual([value.length, value.at(-1)?.entry?.value], [150_000, `"v"`])
        yield* us.store.change({ ...us.asker, within: 60_000 }, { mode: "hard", keys, news: "" })
        assert.isUndefined(yield* us.value("k149999"))
      }), 60_000)

    it.live("a value of 10 MB is written, opened and left alone by the scripts", () =>
      Effect.gen(function*() {
        const us = yield* view
        const value = "x".repeat(10_000_000)
        yield* us.set("k", value)
        yield* us.soft("k")
        assert.strictEqual(yield* us.value("k"), value)
        yield* us.hard("k")
      }))

    it.live("a record over the limit is not written, and not read: the old entry goes, and the lease is free", () =>
      Effect.gen(function*() {
        const us = yield* viewAt(url(), { maxBytes: 1000 })
        const wide = us.as({}, yield* Effect.map(view, ({ store }) => store))
        yield* us.set("k", "old", { age: 100_000 })
        const end = yield* us.load("k", "one")
        assert.strictEqual(yield* reason(end("é".repeat(500))), "full")
        assert.isUndefined(yield* us.value("k"))
        yield* us.load("k", "two")
        assert.strictEqual(yield* reason(us.set("k", "x".repeat(1000))), "full")
        yield* wide.set("k", "x".repeat(1000))
        const { entry, lease, problem } = yield* us.open("k", "three")
        assert.deepStrictEqual([entry, lease, problem], [undefined, "given", "size"])
      }))
  })

  describe("announcements", () => {
    it.live("I15: what was said, by whomever, with its clock; nothing of other prefixes, and no loads", () =>
      Effect.gen(function*() {
        const prefix = `p${++spaces}`
        const us = yield* viewAt(url(), { prefix })
        const them = us.as({}, yield* Effect.map(viewAt(url(), { prefix }), ({ store }) => store))
        const heard: Array<Store.Announcement> = []
        yield* Effect.forkScoped(
          Stream.runForEach(us.store.announcements, (news) => Effect.sync(() => heard.push(news)))
        )
        yield* until(Effect.map(Effect.delay(them.tag("t"), 10), () => heard.length > 0), "it listens")
        heard.length = 0
        const redis = yield* raw(url())
        const hostile = ["", "{", "null", "[]", "{}", `{"space":1,"epoch":"e","counter":1,"news":""}`]
        for (const message of hostile) yield* redis.send("PUBLISH", `${prefix}:news`, message)
        yield* (yield* them.load("k", "one"))("v")
        yield* (yield* viewAt(url(), { prefix: `${prefix}x` })).set("k", "v")
        const odd = "\"},\n\ud800{}"
        const { clock } = yield* them.store.change(them.asker, { mode: "hard", keys: ["k"], news: odd })
        const others = () => heard.filter(({ news }) => news !== "tag")
        yield* until(Effect.sync(() => others().length > 0), "it is heard")
        assert.deepStrictEqual(others(), [{ space: us.asker.space, clock: clock!, news: odd }])
      }))
  })
})

describe.skipIf(!installed)("a store in a Redis with troubles", () => {
  /** Away until then. */
  const works = (us: View, millis = 2000) =>
    until(Effect.map(said(us.set("works", "v")), (said) => said === "done"), "the store is used again", millis)

  it.live("I7: absent at the start: the layer is there at once, calls fail at once, and it is used within a second", () =>
    Effect.gen(function*() {
      const own = yield* server()
      yield* own.kill
      const log = logs()
      const began = yield* Clock.currentTimeMillis
      const us = new View(yield* Effect.provide(storeAt(client(own.url), { required: false }), log.layer))
      assert.strictEqual(yield* reason(us.open("k")), "away")
      assert.strictEqual(yield* reason(Stream.runDrain(us.store.announcements)), "away")
      assert.isBelow((yield* Clock.currentTimeMillis) - began, 2000)
      yield* until(Effect.sync(() => log.lines.some((line) => line.includes("is not there"))), "it is said")
      yield* Effect.sleep(300)
      assert.strictEqual(yield* reason(us.set("k", "v")), "away")
      const words = log.lines.map((line) =>
        /NodeRedis client error|effect-swr: Redis is not there \(ECONNREFUSED\)/.exec(line)?.[0]
      )
      assert.deepStrictEqual(words, ["NodeRedis client error", "effect-swr: Redis is not there (ECONNREFUSED)"])
      yield* own.start
      yield* works(us)
    }))

  it.live("who reads at the start finds a store that is there, and waits half a second for one that says nothing", () =>
    Effect.gen(function*() {
      const own = yield* server()
      yield* viewAt(own.url)
      for (let i = 0; i < 3; i++) {
        const us = new View(yield* storeAt(client(own.url), { required: false }))
        assert.strictEqual(yield* said(us.set("k", "v")), "done")
      }
      const began = yield* Clock.currentTimeMillis
      const mute = new View(yield* storeAt(Layer.effect(Redis.Redis, Effect.never), { required: false }))
      assert.strictEqual(yield* reason(mute.open("k")), "away")
      const waited = (yield* Clock.currentTimeMillis) - began
      assert.isTrue(waited >= 490 && waited < 2000, `${waited} ms`)
    }))

  it.live("required: a layer whose Redis is absent, or refuses us, fails", () =>
    Effect.gen(function*() {
      const own = yield* server(["requirepass", "right"])
      assert.strictEqual(yield* reason(storeAt(client(own.url, Redacted.make("wrong")))), "denied")
      assert.strictEqual(yield* reason(storeAt(client(own.url))), "denied")
      yield* storeAt(client(own.url, Redacted.make("right")))
      yield* own.kill
      assert.strictEqual(yield* reason(storeAt(client(own.url))), "away")
    }).pipe(quiet))

  it.live("a wrong password is one Error in the log, which tells it as little as any error does", () =>
    Effect.gen(function*() {
      const own = yield* server(["requirepass", "right"])
      for (const [secret, word] of [["hunter2", "WRONGPASS"], ["", "NOAUTH"]] as const) {
        const log = logs()
        const where = own.url.replace("//", secret === "" ? "//" : `//:${secret}@`)
        const us = new View(yield* Effect.provide(storeAt(client(where), { required: false }), log.layer))
        yield* until(Effect.map(said(us.set("k", "v")), (reason) => reason === "denied"), "we are refused")
        const error = yield* Effect.flip(us.set("k", "v"))
        yield* Effect.sleep(100)
        assert.lengthOf(log.lines.filter((line) => line.startsWith("Error") && line.includes(word)), 1)
        assert.include(inspect(error), word)
        if (secret !== "") assert.notInclude(inspect([error, log.lines], { depth: 9, showHidden: true }), secret)
      }
    }))

  it.live("a user of Redis with the rights that the docs name can do all of it, and a word less is denied", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const redis = yield* raw(own.url)
      const doc = readFileSync("src/StoreRedis.ts", "utf8").replace(/\n \* /g, " ")
      const rights = (/`(~\{prefix:[^`]*)`/.exec(doc)?.[1] ?? "").replaceAll("prefix", "test").split(" ")
      // What node-redis says besides.
      const greeting = ["+hello", "+client"]
      yield* redis.send("ACL", "SETUSER", "app", "reset", "on", ">pw", ...rights, ...greeting)
      const as = own.url.replace("//", "//app:pw@")
      const us = yield* viewAt(as)
      const heard = yield* Effect.forkChild(Stream.runHead(us.store.announcements), { startImmediately: true })
      yield* until(
        Effect.map(redis.send<ReadonlyArray<unknown>>("PUBSUB", "CHANNELS"), (names) => names.length > 0),
        "it listens"
      )
      yield* us.set("k", "v", { age: 100_000, tags: ["t"] })
      yield* us.soft("k")
      yield* us.tag("t")
      yield* us.clear
      yield* (yield* us.load("k", "one"))("v", { tags: ["t"] })
      yield* us.load("other", "one")
      yield* us.lease("other", "one", "cool", 100)
      yield* redis.send("DEL", `{test:${us.asker.space}}`)
      yield* us.epoch
      yield* redis.send("SET", `{test:${us.asker.space}}`, "x")
      yield* us.hard("k")
      assert.isTrue(Option.isSome(yield* Fiber.join(heard)))
      yield* redis.send("ACL", "SETUSER", "app", "-hmget")
      assert.strictEqual(yield* reason(us.open("k")), "denied")
    }).pipe(quiet))

  it.live("killed: calls fail at once; restarted empty: a new epoch within a second, and no commit of the old", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const us = yield* viewAt(own.url)
      yield* us.set("k", "v")
      const end = yield* us.load("loading", "one")
      const epoch = yield* us.epoch
      yield* own.kill
      const began = yield* Clock.currentTimeMillis
      assert.strictEqual(yield* reason(us.open("k")), "away")
      assert.strictEqual(yield* reason(us.hard("k")), "away")
      assert.isBelow((yield* Clock.currentTimeMillis) - began, 1000)
      yield* own.start
      yield* until(Effect.map(said(us.store.ask(us.asker)), (said) => said === "done"), "it is used", 2000)
      assert.notStrictEqual(yield* us.epoch, epoch)
      assert.isUndefined(yield* us.value("k"))
      assert.isFalse(yield* end("of the old one"))
    }).pipe(quiet))

  it.live("paused: what its caller no longer waits for is not done when it goes on", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const patient = yield* viewAt(own.url)
      const us = patient.as({ within: 100 })
      yield* patient.set("k", "before")
      const { clock } = yield* patient.open("loading", "one")
      yield* own.pause
      const calls = [
        us.set("k", "late"),
        us.hard("k"),
        us.soft("k"),
        us.clear,
        us.open("other", "late"),
        us.lease("loading", "one", "release"),
        us.store.commit(us.asker, { key: "loading", token: "one", stored: stored("late", { clock }) })
      ]
      const begun = yield* Effect.forEach(calls, (call) =>
        Effect.forkChild(said<unknown, never>(call), { startImmediately: true }))
      yield* Effect.sleep(150)
      yield* own.resume
      assert.deepStrictEqual(
        yield* Effect.forEach(begun, Fiber.join),
        calls.map(() =>
          "late"
        )
      )
      assert.strictEqual(yield* patient.value("k"), "before")
      assert.strictEqual((yield* patient.store.ask(patient.asker)).clock?.counter, 1)
      yield* patient.load("other", "in time")
      assert.isObject((yield* patient.open("loading", "two")).lease)
    }).pipe(quiet))

  it.live("I8: paused: the layer closes all the same", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const scope = yield* Scope.make()
      const us = new View(yield* Scope.provide(storeAt(client(own.url)), scope))
      yield* us.epoch
      yield* own.pause
      const call = yield* Effect.forkChild(said(us.open("k")), { startImmediately: true })
      yield* Effect.timeout(Scope.close(scope, Exit.void), 3000)
      yield* own.resume
      yield* Fiber.interrupt(call)
    }).pipe(quiet))

  it.live("out of memory: what needs memory is full and does nothing, a commit frees its lease, last words get through", () =>
    Effect.gen(function*() {
      const own = yield* server(["maxmemory-policy", "noeviction"])
      const redis = yield* raw(own.url)
      const us = yield* viewAt(own.url)
      yield* us.set("k", "old", { age: 100_000 })
      yield* us.set("tagged", "old", { tags: ["t"] })
      yield* us.set("fresh", "fresh")
      const end = yield* us.load("k", "one")
      yield* redis.send("CONFIG", "SET", "maxmemory", "1")
      assert.strictEqual(yield* reason(us.set("k", "new")), "full")
      assert.strictEqual(yield* us.value("k"), "old")
      assert.strictEqual(yield* us.value("fresh"), "fresh")
      assert.strictEqual(yield* reason(end("new")), "full")
      assert.strictEqual(yield* reason(us.open("k", "two")), "full", "the lease was free: it would have been given")
      yield* us.soft("k")
      assert.isAtLeast((yield* us.open("k")).entry!.marked, 100_000)
      yield* us.tag("t")
      assert.isUndefined(yield* us.value("tagged"))
      yield* us.hard("k")
      assert.isUndefined(yield* us.value("k"))
      yield* us.clear
      assert.isUndefined(yield* us.value("fresh"))
      yield* redis.send("DEL", `{test:${us.asker.space}}`)
      yield* us.hard("k")
      yield* redis.send("CONFIG", "SET", "maxmemory", "0")
      yield* us.set("k", "new")
      assert.strictEqual(yield* us.value("k"), "new")
    }).pipe(quiet))

  it.live("evictions, of the clock too: what is read is what was written, or nothing", () =>
    Effect.gen(function*() {
      const own = yield* server(["maxmemory", "3mb"], ["maxmemory-policy", "allkeys-random"])
      const us = yield* viewAt(own.url)
      const epochs = new Set<string | undefined>()
      let found = 0
      let i = 0
      for (; i < 20_000 && (found === i || epochs.size < 3); i++) {
        const done = yield* said(us.set(`k${i}`, `${i}${"x".repeat(4000)}`))
        assert.include(["done", "late"], done)
        const value = yield* us.value(`k${i >> 1}`)
        if (value !== undefined) assert.strictEqual(value, `${i >> 1}${"x".repeat(4000)}`)
        found += Number(value !== undefined)
        epochs.add(yield* us.epoch)
      }
      assert.isTrue(found > 0 && found < i && epochs.size > 2, `${found} of ${i} found in ${epochs.size} epochs`)
    }).pipe(quiet))

  it.live("a replica takes no writes: it is full, and what it has is read", () =>
    Effect.gen(function*() {
      const main = yield* server(["repl-diskless-sync-delay", "0"])
      const copy = yield* server(["replicaof", `127.0.0.1 ${main.port}`])
      const there = yield* viewAt(main.url)
      yield* there.set("k", "v", { age: 100_000 })
      const here = there.as({}, yield* Effect.map(viewAt(copy.url), ({ store }) => store))
      yield* until(
        Effect.map(here.value("k"), (value) => value === "v").pipe(Effect.orElseSucceed(() => false)),
        "it is copied"
      )
      for (const call of [here.set("k", "x"), here.hard("k"), here.open("k", "one"), here.tag("t")]) {
        assert.strictEqual(yield* reason<unknown, never>(call), "full")
      }
    }).pipe(quiet))

  it.live("connections that are cut in mid-command: calls are away or done, and the store is used again", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const redis = yield* raw(own.url)
      const us = yield* viewAt(own.url)
      yield* us.set("k", "v")
      for (let i = 0; i < 5; i++) {
        const call = yield* Effect.forkChild(said(us.openAll(["k", "none"])), { startImmediately: true })
        yield* redis.send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert.include(["done", "away"], yield* Fiber.join(call))
        yield* works(us)
        assert.strictEqual(yield* us.value("k"), "v")
      }
    }).pipe(quiet))

  it.live("a subscription that was cut fails, and the next one hears what is said later", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const redis = yield* raw(own.url)
      const us = yield* viewAt(own.url)
      let heard = 0
      const listens = Stream.runForEach(us.store.announcements, () => Effect.sync(() => heard++))
      const first = yield* Effect.forkScoped(Effect.flip(listens))
      const speaks = (what: string) => {
        const before = heard
        return until(Effect.map(Effect.delay(us.clear, 10), () => heard > before), what)
      }
      yield* speaks("it hears")
      yield* redis.send("CLIENT", "KILL", "TYPE", "pubsub")
      assert.strictEqual((yield* Fiber.join(first)).reason, "away")
      yield* Effect.forkScoped(listens)
      yield* speaks("it hears again")
    }).pipe(quiet))

  it.live("who listens finds out that the connection is lost, and no reader has to", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const redis = yield* raw(own.url)
      const us = yield* viewAt(own.url)
      const line = yield* Effect.forkChild(Effect.flip(Stream.runDrain(us.store.announcements)))
      const heard = Effect.map(us.store.change(us.asker, { mode: "clear", news: "" }), () => true)
      yield* until(
        Effect.map(redis.send<ReadonlyArray<unknown>>("PUBSUB", "CHANNELS"), (names) => names.length > 0),
        "it listens"
      )
      yield* heard
      for (const type of ["normal", "pubsub"]) yield* redis.send("CLIENT", "KILL", "TYPE", type, "SKIPME", "yes")
      yield* Fiber.join(line)
      yield* until(
        Effect.map(
          redis.send<string>("CLIENT", "LIST", "TYPE", "normal"),
          (list) => list.trim().split("\n").length > 1
        ),
        "the store is there again"
      )
      yield* Effect.sleep(50)
      yield* us.set("k", "v")
    }).pipe(quiet))

  it.live("a client that has given up for good is built anew", () =>
    Effect.gen(function*() {
      const own = yield* server()
      let built = 0
      const mortal = Layer.effect(
        Redis.Redis,
        Effect.map(Layer.build(client(own.url)), (context) => {
          const redis = Context.get(context, Redis.Redis)
          if (++built > 1) return redis
          const closed = Effect.fail(new Redis.RedisError({ cause: new Error("The client is closed") }))
          return Redis.Redis.of({ ...redis, eval: () => () => closed })
        })
      )
      const us = new View(yield* storeAt(mortal, { required: false }))
      yield* until(Effect.map(said(us.epoch), (said) => said === "done"), "it is used", 2000)
      assert.strictEqual(built, 2)
    }).pipe(quiet))

  it.live("a client that can't be built is one Error in the log, and the store is away", () =>
    Effect.gen(function*() {
      const log = logs()
      const us = new View(
        yield* Effect.provide(storeAt(client("redis://user:hunter2@host:port:port"), { required: false }), log.layer)
      )
      yield* Effect.sleep(50)
      assert.strictEqual(yield* reason(us.open("k")), "away")
      assert.lengthOf(log.lines.filter((line) => line.startsWith("Error")), 1)
      assert.notInclude(inspect([log.lines, yield* Effect.flip(us.open("k"))], { depth: 9 }), "hunter2")
    }))

  it.live("a Redis that is there already, and settings from outside", () =>
    Effect.gen(function*() {
      const own = yield* server()
      const us = new View(
        yield* Effect.provide(StoreRedis.make({ prefix: "test" }), yield* Layer.build(client(own.url)))
      )
      yield* us.set("k", "v")
      const settings = ConfigProvider.fromUnknown({ PREFIX: "test", REQUIRED: "true" })
      const layer = StoreRedis.layerConfig({
        client: client(own.url),
        prefix: Config.String("PREFIX"),
        required: Config.Boolean("REQUIRED")
      }).pipe(Layer.provide(ConfigProvider.layer(settings)))
      const them = us.as({}, Context.get(yield* Layer.build(layer), Store.Store))
      assert.strictEqual(yield* them.value("k"), "v")
    }).pipe(quiet))

  it.live("a cluster of one node: all of a space is in one slot, and other spaces are in others", () =>
    Effect.gen(function*() {
      const own = yield* server(["cluster-enabled", "yes"])
      const redis = yield* raw(own.url)
      yield* redis.send("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
      yield* until(
        Effect.map(redis.send<string>("CLUSTER", "INFO"), (text) => text.includes("cluster_state:ok")),
        "the cluster is up"
      )
      const store = yield* Effect.map(viewAt(own.url, { prefix: "a}{b" }), ({ store }) => store)
      const slots = new Set<number>()
      for (const space of ["a", "}", "{", "{}", "a}b{c"]) {
        const us = new View(store, { space })
        const keys = ["", "k", "{k}", "}{"]
        yield* us.openAll(keys, "one")
        yield* us.hard(...keys)
        yield* us.set("k", "v", { tags: ["t"] })
        const end = yield* us.load("}{", "two")
        yield* end("v", { tags: ["t"] })
        yield* us.soft(...keys)
        yield* us.tag("t")
        yield* us.clear
        const found = yield* redis.send<ReadonlyArray<string>>("KEYS", "*")
        const mine = yield* Effect.forEach(found, (key) => redis.send<number>("CLUSTER", "KEYSLOT", key))
        assert.isAtLeast(found.length, 3)
        assert.strictEqual(new Set(mine).size, 1)
        slots.add(mine[0]!)
        yield* redis.send("FLUSHALL")
      }
      assert.isAtLeast(slots.size, 4)
    }).pipe(quiet))
})
