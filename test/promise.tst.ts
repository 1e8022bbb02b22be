/**
 * Types of the Promise face. Compiled by `npm run types`, never run.
 */
import { Schema } from "effect"
import { Policy } from "effect-swr"
import * as SwrPromise from "effect-swr/SwrPromise"
import { expectTypeOf } from "vitest"

interface Query {
  readonly text: string
}
declare const caches: SwrPromise.Caches
declare const dateOf: (sku: string) => Promise<Date>
declare const search: (query: Query) => Promise<ReadonlyArray<string>>

const dates = caches.make({ name: "dates", lookup: dateOf, freshFor: 0 })
expectTypeOf(dates).toEqualTypeOf<SwrPromise.Instance<string, Date>>()
expectTypeOf(dates.get("tea")).toEqualTypeOf<Promise<Date>>()
expectTypeOf(dates.getMany(["tea"])).toEqualTypeOf<Promise<ReadonlyArray<Date>>>()
expectTypeOf(dates.peek("tea")).toEqualTypeOf<SwrPromise.Snapshot<Date> | undefined>()
expectTypeOf(caches.make({ name: "now", lookup: (n: number) => n, freshFor: 0 }))
  .toEqualTypeOf<SwrPromise.Instance<number, number>>()

// What a lookup is told is typed where it is not annotated.
const bySchema = caches.make({
  name: "dates",
  lookup: (sku: string, { previous, signal }) => {
    expectTypeOf(previous).toEqualTypeOf<{ readonly value: Date; readonly age: number } | undefined>()
    expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
    return dateOf(sku)
  },
  schema: Schema.DateFromString,
  freshFor: 0
})
expectTypeOf(bySchema).toEqualTypeOf<SwrPromise.Instance<string, Date>>()
const found = caches.make({
  name: "found",
  lookup: (query: Query, load) => {
    expectTypeOf(load).toEqualTypeOf<SwrPromise.Load<unknown>>()
    return search(query)
  },
  key: ({ text }) => text,
  keep: (...args) => expectTypeOf(args).toEqualTypeOf<[value: ReadonlyArray<string>, key: Query]>() ? {} : "share",
  freshFor: 0
})
expectTypeOf(found).toEqualTypeOf<SwrPromise.Instance<Query, ReadonlyArray<string>>>()

// @ts-expect-error R16: an object needs a `key`
caches.make({ name: "found", lookup: search, freshFor: 0 })
// @ts-expect-error R2: freshFor is required
caches.make({ name: "dates", lookup: dateOf })
// @ts-expect-error R13: a lookup answers the schema's Type
caches.make({ name: "dates", lookup: (sku: string) => sku, schema: Schema.DateFromString, freshFor: 0 })
// @ts-expect-error R17: a strict policy beside a stale window
caches.make({ name: "roles", lookup: dateOf, policy: Policy.strict("5 seconds"), maxAge: "1 hour" })

const roles = caches.make({ name: "roles", lookup: dateOf, policy: Policy.strict("5 seconds") })
expectTypeOf(roles).toEqualTypeOf<SwrPromise.Instance<string, Date, Policy.Strict>>()
// @ts-expect-error R17: a strict cache takes no reader's windows
void roles.get("ann", { policy: { maxAge: "1 hour" } })
