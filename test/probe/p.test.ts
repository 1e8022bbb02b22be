import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Schema, Stream, Duration, Context, References, SchemaTransformation, SchemaGetter } from "effect"
import { TestClock } from "effect/testing"
import { Policy, Swr } from "effect-swr"
import * as O from "../Origin.ts"

describe("probe", () => {
  it.effect("revalidate cycle", () => Effect.gen(function*() {
    let n = 0
    const c: Swr.Instance<string, number> = yield* Swr.make({ name: "cyc", freshFor: "1 minute", lookup: (k: string): Effect.Effect<number> => Effect.suspend(() => ++n > 50 ? Effect.succeed(1) : Effect.map(c.revalidate(k), (a) => a.value)) })
    const exit = yield* Effect.exit(O.now(c.get("a")))
    yield* O.settle
    console.log("revalidate cycle", n, String(exit).slice(0, 200))
  }).pipe(Effect.provide(Swr.layer())))
  it.effect("getMany sync", () => Effect.gen(function*() {
    const events = yield* O.record
    let n = 0
    const c = yield* Swr.make({ name: "m", freshFor: "1 minute", lookupMany: (ks: ReadonlyArray<string>) => { n++; return Effect.succeed(new Map(ks.map((k) => [k, k.length]))) } })
    const r = yield* c.readMany(["a", "bb"])
    yield* O.settle
    console.log(r.map((x) => x._tag === "Success" ? O.shown(x.success) : x), O.tags(events), n)
    const d = yield* Swr.make({ name: "d", freshFor: "1 minute", lookupMany: (_: ReadonlyArray<string>): Effect.Effect<Map<string, number>, O.Down> => { n++; return Effect.fail(new O.Down({})) } })
    n = 0
    yield* Effect.exit(d.getMany(["a", "bb"]))
    console.log("failing batch calls", n)
  }).pipe(Effect.provide(Swr.layer())))
  it.effect("deep async", () => Effect.gen(function*() {
    const gate = yield* Deferred.make<number>()
    const depth = 5000
    const c: Swr.Instance<number, number> = yield* Swr.make({ name: "deep", freshFor: "1 minute", lookup: (k: number): Effect.Effect<number> => k === depth ? Deferred.await(gate) : Effect.map(c.get(k + 1), (n) => n + 1) })
    const f = yield* O.start(c.get(0))
    for (let i = 0; i < 20; i++) yield* O.settle
    console.log(yield* c.stats)
    yield* Deferred.succeed(gate, 0)
    for (let i = 0; i < 20; i++) yield* O.settle
    console.log(String(f.pollUnsafe()).slice(0, 300))
  }).pipe(Effect.provide(Swr.layer())))
  it.effect("deep interrupt", () => Effect.gen(function*() {
    const depth = 5000
    const c: Swr.Instance<number, number> = yield* Swr.make({ name: "deep", freshFor: "1 minute", lookup: (k: number): Effect.Effect<number> => k === depth ? Effect.never : Effect.map(c.get(k + 1), (n) => n + 1) })
    const f = yield* O.start(c.get(0))
    for (let i = 0; i < 20; i++) yield* O.settle
    yield* Fiber.interrupt(f)
    for (let i = 0; i < 20; i++) yield* O.settle
    console.log(String(f.pollUnsafe()).slice(0, 300), yield* c.stats)
  }).pipe(Effect.provide(Swr.layer())))
  it.effect("deep reaches", () => Effect.gen(function*() {
    const depth = 5000
    const c: Swr.Instance<number, number> = yield* Swr.make({ name: "deep", freshFor: "1 minute", lookup: (k: number): Effect.Effect<number> => k === depth ? Effect.never : Effect.map(c.get(k < 0 ? 0 : k + 1), (n) => n + 1) })
    const f = yield* O.start(c.get(0))
    for (let i = 0; i < 20; i++) yield* O.settle
    const g = yield* O.start(c.get(-1))
    yield* O.settle
    console.log("reaches", String(g.pollUnsafe()).slice(0, 300))
    yield* Fiber.interrupt(g)
  }).pipe(Effect.provide(Swr.layer())))
})
