/**
 * Types as users meet them. Compiled by `npm run types`, never run.
 */
import {
  type Config,
  Context,
  Data,
  type Duration,
  Effect,
  type Exit,
  type Layer,
  Option,
  Redacted,
  type Result,
  Schema,
  SchemaGetter,
  type Scope,
  type Stream
} from "effect"
import { type Event, Policy, type Store, Swr } from "effect-swr"
import { expectTypeOf } from "vitest"

// ----- what the tests are made of

class Sick extends Data.TaggedError("Sick")<{ readonly code: number }> {}
class Gone extends Data.TaggedError("Gone")<{ readonly sku: string }> {}
class Db extends Context.Service<Db, { readonly url: string }>()("test/Db") {}
class Dictionary extends Context.Service<Dictionary, { readonly words: ReadonlyArray<string> }>()("test/Dictionary") {}
class Price extends Schema.Class<Price>("Price")({ sku: Schema.String, cents: Schema.Int }) {}

interface Query {
  readonly page: number
  readonly text: string
}

declare const priceOf: (sku: string) => Effect.Effect<Price, Gone | Sick, Db>
declare const pricesOf: (skus: ReadonlyArray<string>) => Effect.Effect<Map<string, Price>, Gone | Sick, Db>
declare const search: (query: Query) => Effect.Effect<ReadonlyArray<string>, Sick, Db>
declare const dateOf: (sku: string) => Effect.Effect<Date, Sick>
declare const windows: Policy.Windows
declare const judging: Policy.Policy<Sick>
declare const policy: Policy.Policy

type Made<M> = Effect.Success<M>
/** The errors of a method, or of what an effect is. */
type Fails<F extends (...args: never) => Effect.Effect<unknown, unknown, unknown>> = Effect.Error<ReturnType<F>>
type Needs<F extends (...args: never) => Effect.Effect<unknown, unknown, unknown>> = Effect.Services<ReturnType<F>>

/** A schema that can't work without a service. */
const Word = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transformEffect((word: string) => Effect.map(Dictionary, ({ words }) => words[0] ?? word)),
    encode: SchemaGetter.passthrough()
  })
)

// ----- R9: the lookup's errors are its own

const prices = Swr.make({ name: "prices", lookup: priceOf, freshFor: "1 minute" })
type Prices = Made<typeof prices>
declare const cache: Prices

expectTypeOf(prices).toEqualTypeOf<
  Effect.Effect<Swr.Instance<string, Price, Gone | Sick>, never, Swr.Cache | Db>
>()
expectTypeOf(cache.get("tea")).toEqualTypeOf<Effect.Effect<Price, Gone | Sick>>()

const sure = Swr.make({ name: "sure", lookup: (n: number) => Effect.succeed(n), freshFor: 1000 })
expectTypeOf(sure).toEqualTypeOf<Effect.Effect<Swr.Instance<number, number>, never, Swr.Cache>>()
expectTypeOf<Fails<Made<typeof sure>["get"]>>().toEqualTypeOf<never>()

expectTypeOf(Swr.swr("k", Effect.succeed(1))).toEqualTypeOf<Effect.Effect<Swr.Answer<number>, never, Swr.Cache>>()
expectTypeOf(Swr.swr("k", priceOf("tea")))
  .toEqualTypeOf<Effect.Effect<Swr.Answer<Price, Gone | Sick, Db>, Gone | Sick, Swr.Cache | Db>>()

const quote = Swr.fn("quote", { freshFor: "1 minute" })(priceOf)
expectTypeOf(quote("tea")).toEqualTypeOf<Effect.Effect<Price, Gone | Sick, Swr.Cache | Db>>()
expectTypeOf(Swr.fn("sure", { freshFor: 0 })((n: number) => Effect.succeed(n))(1))
  .toEqualTypeOf<Effect.Effect<number, never, Swr.Cache>>()

// ----- R10: `LoadTimeout` is among them exactly where `hardTimeout` is named

const bounded = Swr.make({ name: "bounded", lookup: priceOf, freshFor: "1 minute", hardTimeout: "2 seconds" })
expectTypeOf<Made<typeof bounded>>().toExtend<Swr.Instance<string, Price, Gone | Sick | Swr.LoadTimeout>>()
expectTypeOf<Fails<Made<typeof bounded>["get"]>>().toEqualTypeOf<Gone | Sick | Swr.LoadTimeout>()
expectTypeOf<Fails<Made<typeof bounded>["revalidate"]>>().toEqualTypeOf<Gone | Sick | Swr.LoadTimeout>()
expectTypeOf<Effect.Error<typeof bounded>>().toEqualTypeOf<never>()

const sureIn2 = Swr.fn("sure", { freshFor: 0, hardTimeout: 2000 })((n: number) => Effect.succeed(n))
expectTypeOf<Fails<typeof sureIn2>>().toEqualTypeOf<Swr.LoadTimeout>()
expectTypeOf<Fails<typeof sureIn2.revalidate>>().toEqualTypeOf<Swr.LoadTimeout>()

const swrIn2 = Swr.swr("k", dateOf("tea"), { hardTimeout: "2 seconds" })
expectTypeOf<Effect.Error<typeof swrIn2>>().toEqualTypeOf<Sick | Swr.LoadTimeout>()
expectTypeOf<Effect.Error<Made<typeof swrIn2>["revalidate"]>>().toEqualTypeOf<Sick | Swr.LoadTimeout>()

class Bounded extends Swr.Service<Bounded>()("test/Bounded", { lookup: priceOf, freshFor: 0, hardTimeout: 1 }) {}
expectTypeOf<Fails<Bounded["Service"]["get"]>>().toEqualTypeOf<Gone | Sick | Swr.LoadTimeout>()

// Said to be unknown: then it may be there.
declare const limit: Duration.Input | undefined
const perhaps = Swr.make({ name: "perhaps", lookup: dateOf, freshFor: 0, hardTimeout: limit })
expectTypeOf<Fails<Made<typeof perhaps>["get"]>>().toEqualTypeOf<Sick | Swr.LoadTimeout>()

// ----- R8: services are paid once in `make` and `Service`, kept by `swr` and `fn`; a lookup's scope is its own

expectTypeOf<Needs<Prices["get"]>>().toEqualTypeOf<never>()
expectTypeOf<Effect.Services<Made<ReturnType<Prices["read"]>>["revalidate"]>>().toEqualTypeOf<never>()

declare const open: (path: string) => Effect.Effect<string, Sick, Db | Scope.Scope>
const openMake = Swr.make({ name: "open", lookup: open, freshFor: 0 })
expectTypeOf<Effect.Services<typeof openMake>>().toEqualTypeOf<Swr.Cache | Db>()
const openSwr = Swr.swr("k", open("/"))
expectTypeOf<Effect.Services<typeof openSwr>>().toEqualTypeOf<Swr.Cache | Db>()
expectTypeOf<Effect.Services<Made<typeof openSwr>["revalidate"]>>().toEqualTypeOf<Db>()
expectTypeOf(Swr.fn("open", { freshFor: 0 })(open)).toEqualTypeOf<Swr.Cached<[path: string], string, Sick, Db>>()

class Service extends Swr.Service<Service>()("test/Prices", { lookup: priceOf, freshFor: "1 minute" }) {}
expectTypeOf(Service.layer).toEqualTypeOf<Layer.Layer<Service, never, Swr.Cache | Db>>()
expectTypeOf<Service["Service"]>().toEqualTypeOf<Swr.Instance<string, Price, Gone | Sick>>()
expectTypeOf(Service.use((prices) => prices.get("tea"))).toEqualTypeOf<Effect.Effect<Price, Gone | Sick, Service>>()

// One cache may stand on another: it is paid like any other service.
class Upper extends Swr.Service<Upper>()("test/Upper", {
  lookup: (sku: string) => Service.use((prices) => prices.get(sku)),
  freshFor: 0
}) {}
expectTypeOf(Upper.layer).toEqualTypeOf<Layer.Layer<Upper, never, Swr.Cache | Service>>()
const inner = (sku: string) => Effect.map(Swr.swr(sku, dateOf(sku)), ({ value }) => value)
expectTypeOf(Swr.make({ name: "outer", lookup: inner, freshFor: 0 }))
  .toEqualTypeOf<Effect.Effect<Swr.Instance<string, Date, Sick>, never, Swr.Cache>>()
const outer = Swr.swr("outer", inner("tea"))
expectTypeOf(outer).toEqualTypeOf<Effect.Effect<Swr.Answer<Date, Sick, Swr.Cache>, Sick, Swr.Cache>>()
const outerFn = Swr.fn("outer", { freshFor: 0 })(inner)
expectTypeOf(outerFn("tea")).toEqualTypeOf<Effect.Effect<Date, Sick, Swr.Cache>>()
// Only a lookup that needs the cache makes an answer need it.
expectTypeOf<Effect.Services<Made<typeof outer>["revalidate"]>>().toEqualTypeOf<Swr.Cache>()
expectTypeOf<Effect.Services<Made<typeof swrIn2>["revalidate"]>>().toEqualTypeOf<never>()

// ----- R13: values are the schema's `Type`, and what the lookup answers fits it

const dates = Swr.make({ name: "dates", lookup: dateOf, schema: Schema.DateFromString, freshFor: 0 })
expectTypeOf<Made<typeof dates>>().toEqualTypeOf<Swr.Instance<string, Date, Sick>>()
expectTypeOf(Swr.make({ name: "classes", lookup: priceOf, schema: Price, freshFor: 0 }))
  .toEqualTypeOf<Effect.Effect<Swr.Instance<string, Price, Gone | Sick>, never, Swr.Cache | Db>>()
const Settings = Schema.Struct({ theme: Schema.String })
const readSettings = Swr.swr("settings", Effect.succeed({ theme: "dark", more: 1 }), { schema: Settings })
expectTypeOf<Made<typeof readSettings>["value"]>().toEqualTypeOf<{ readonly theme: string }>()
expectTypeOf<Made<Made<typeof readSettings>["revalidate"]>>().toEqualTypeOf<Made<typeof readSettings>>()

// @ts-expect-error a lookup answers the schema's Type, not its Encoded
Swr.make({ name: "dates", lookup: (_: string) => Effect.succeed("1970"), schema: Schema.DateFromString, freshFor: 0 })
// @ts-expect-error a lookup answers instances of the class, not what they are made of
Swr.make({ name: "p", lookup: (sku: string) => Effect.succeed({ sku, dollars: 1 }), schema: Price, freshFor: 0 })
// @ts-expect-error the same in swr
Swr.swr("k", Effect.succeed("1970"), { schema: Schema.DateFromString })
// @ts-expect-error the same in fn
Swr.fn("date", { schema: Schema.DateFromString, freshFor: 0 })((year: string) => Effect.succeed(year))
// @ts-expect-error the same in lookupMany
Swr.make({ name: "prices", lookupMany: pricesOf, schema: Schema.Finite, freshFor: 0 })

const word = Swr.swr("word", Effect.succeed("a"), { schema: Word })
expectTypeOf<Effect.Services<typeof word>>().toEqualTypeOf<Swr.Cache | Dictionary>()
expectTypeOf<Needs<Made<typeof word>["mutate"]>>().toEqualTypeOf<Dictionary>()
const spell = (word: string) => Effect.succeed(word)
const wordFn = Swr.fn("word", { schema: Word, freshFor: 0 })(spell)
expectTypeOf<Needs<typeof wordFn>>().toEqualTypeOf<Swr.Cache | Dictionary>()
class Words extends Swr.Service<Words>()("test/Words", { lookup: spell, schema: Word, freshFor: 0 }) {}
expectTypeOf(Words.layer).toEqualTypeOf<Layer.Layer<Words, never, Swr.Cache | Dictionary>>()

// ----- R2, R4, R17: `freshFor` is required, a `policy` stands in their place, a strict one allows no stale window

// @ts-expect-error freshFor is required in make
Swr.make({ name: "prices", lookup: priceOf, maxAge: "1 hour" })
// @ts-expect-error freshFor is required in fn
Swr.fn("quote", { maxAge: "1 hour" })
// @ts-expect-error freshFor is required in Service
Swr.Service<Service>()("test/None", { lookup: priceOf, maxAge: "1 hour" })
Swr.swr("k", priceOf("tea"), { maxAge: "1 hour" })
Swr.swr("k", priceOf("tea"), windows)
Swr.make({ name: "prices", lookup: priceOf, policy })
// @ts-expect-error a unit that is none
Swr.make({ name: "prices", lookup: priceOf, freshFor: "1 fortnight" })
// @ts-expect-error an option that is none
Swr.make({ name: "prices", lookup: priceOf, freshFor: 0, timeToLive: "1 minute" })

// @ts-expect-error a policy and a window, in make
Swr.make({ name: "prices", lookup: priceOf, policy, maxAge: "1 hour" })
// @ts-expect-error a policy and a window, in swr
Swr.swr("k", priceOf("tea"), { policy, freshFor: 0 })
// @ts-expect-error a policy and a window, in fn
Swr.fn("quote", { policy, jitter: 0.1 })
// @ts-expect-error a policy and a window, in Service
Swr.Service<Service>()("test/Both", { lookup: priceOf, policy, staleIfError: "1 day" })

const strict = Policy.strict("5 seconds")
expectTypeOf(strict).toEqualTypeOf<Policy.Strict>()
expectTypeOf(Policy.make({ freshFor: 0 })).toEqualTypeOf<Result.Result<Policy.Policy, Policy.InvalidPolicy>>()
// @ts-expect-error a policy without freshFor
Policy.make({ maxAge: "1 hour" })
// @ts-expect-error strict takes no staleIfError
Policy.strict("5 seconds", { staleIfError: "1 day" })
// @ts-expect-error a strict policy beside a stale-if-error window
Swr.make({ name: "roles", lookup: priceOf, policy: strict, staleIfError: "1 day" })
// @ts-expect-error a strict policy beside a stale window
Swr.make({ name: "roles", lookup: priceOf, policy: strict, maxAge: "1 hour" })

const roles = Swr.make({ name: "roles", lookup: dateOf, policy: strict })
expectTypeOf<Made<typeof roles>>().toEqualTypeOf<Swr.Instance<string, Date, Sick, Policy.Strict>>()
declare const role: Made<typeof roles>
role.get("ann", Policy.strict("1 second"))
// @ts-expect-error a strict cache takes no reader's windows
role.get("ann", { maxAge: "1 hour" })
// @ts-expect-error a strict cache takes no plain policy of a reader
role.read("ann", policy)
// @ts-expect-error the same for many
role.getMany(["ann"], { freshFor: 0 })

cache.get("tea", { maxAge: "30 seconds" })
cache.read("tea", policy)
cache.getMany(["tea"], strict)
// @ts-expect-error not a window
cache.get("tea", { hardTimeout: "1 second" })
// @ts-expect-error a policy is no options object
Swr.swr("k", priceOf("tea"), judging)

// ----- R10: `when` gets the lookup's errors, all of them and no others

Swr.make({
  name: "prices",
  lookup: priceOf,
  freshFor: 0,
  hardTimeout: 1,
  staleIfError: { window: 1, when: (error) => expectTypeOf(error).toEqualTypeOf<Gone | Sick>() }
})
Swr.swr("k", dateOf("tea"), { staleIfError: { window: 1, when: (e) => expectTypeOf(e).toEqualTypeOf<Sick>() } })
const sickly = Swr.fn("date", { freshFor: 0, staleIfError: { window: 1, when: (error: Sick) => error.code === 503 } })
sickly(dateOf)
// @ts-expect-error the function fails with what `when` does not know
sickly(priceOf)
cache.get("tea", { staleIfError: { window: 1, when: (error) => expectTypeOf(error).toEqualTypeOf<Gone | Sick>() } })
Swr.make({ name: "dates", lookup: dateOf, policy: judging })
// @ts-expect-error the lookup fails with what the policy's `when` does not know
Swr.make({ name: "prices", lookup: priceOf, policy: judging })
// @ts-expect-error the reader's policy does not know all errors
cache.get("tea", judging)

// ----- R16: keys are named by a function where they are neither strings nor numbers

declare const Sku: Schema.brand<typeof Schema.String, "Sku">
declare const branded: (sku: typeof Sku.Type) => Effect.Effect<number>
const byBrand = Swr.make({ name: "branded", lookup: branded, freshFor: 0 })
expectTypeOf<Made<typeof byBrand>>().toEqualTypeOf<Swr.Instance<typeof Sku.Type, number>>()
const byLiteral = Swr.make({ name: "l", lookup: (_: "a" | "b") => Effect.succeed(1), freshFor: 0 })
expectTypeOf<Made<typeof byLiteral>>().toEqualTypeOf<Swr.Instance<"a" | "b", number>>()

const found = Swr.make({ name: "found", lookup: search, key: (q) => [q.text, q.page], freshFor: 0 })
expectTypeOf<Made<typeof found>>().toEqualTypeOf<Swr.Instance<Query, ReadonlyArray<string>, Sick>>()
// @ts-expect-error an object needs a `key`
Swr.make({ name: "found", lookup: search, freshFor: 0 })
// @ts-expect-error so does a key that may be anything
Swr.make({ name: "any", lookup: (_: unknown) => Effect.succeed(1), freshFor: 0 })
// @ts-expect-error a Redacted needs a `key` that says so
Swr.make({ name: "tokens", lookup: (_: Redacted.Redacted) => Effect.succeed(1), freshFor: 0 })
// @ts-expect-error an object needs a `key`, in Service
Swr.Service<Service>()("test/Found", { lookup: search, freshFor: 0 })
// @ts-expect-error a key of another type than the lookup's
cache.get(1)
// @ts-expect-error a literal that is none of them
byLiteral.pipe(Effect.flatMap((cache) => cache.get("c")))

declare const key: (key: Swr.MakeOptions<Query, number, Sick, Db, undefined, undefined, undefined>["key"]) => void
key((q) => q.text)
key((q) => q.page)
key((q) => Redacted.make(q.text))
key((q) => ["search", q.page, true, Redacted.make(q.text)])
// @ts-expect-error an object is no key
key((q) => q)
// @ts-expect-error nor is a boolean
key((q) => q.page === 0)
// @ts-expect-error nor null among its parts
key((q) => [q.text, null])
// @ts-expect-error nor a date among its parts
key((q) => [q.text, new Date(0)])
// @ts-expect-error nor a Redacted that holds no string
key((q) => Redacted.make(q.page))

// ----- R19, R8: `keep`, `weight`, `previous` know the cache's values and keys

Swr.make({
  name: "prices",
  lookup: priceOf,
  freshFor: 0,
  keep: (...args) => {
    expectTypeOf(args).toEqualTypeOf<[value: Price, key: string]>()
    return { freshFor: args[0].cents, maxAge: "1 hour", staleIfError: 0, tags: [args[1]], age: "1 second" }
  },
  weight: { of: (...args) => Number(expectTypeOf(args).toEqualTypeOf<[value: Price, key: string]>()), max: 1000 },
  backoff: { from: "1 second", to: "1 minute" }
})
Swr.swr("k", dateOf("tea"), {
  schema: Schema.DateFromString,
  keep: (...args) => expectTypeOf(args).toEqualTypeOf<[value: Date, key: string]>() ? "pass" : "share"
})
// @ts-expect-error not a verdict
Swr.make({ name: "prices", lookup: priceOf, freshFor: 0, keep: () => "never" })
// @ts-expect-error the values are no numbers
Swr.make({ name: "prices", lookup: priceOf, freshFor: 0, keep: (price: number) => ({ freshFor: price }) })
const kept = Swr.fn("kept", { freshFor: 0, keep: (date: Date) => ({ age: date.getTime() }) })
kept(dateOf)
// @ts-expect-error nor are the function's values dates
kept(priceOf)

// Not annotated, `previous` is of the schema's type; without one it is unknown. All else is inferred as ever.
const bySchema = Swr.make({
  name: "dates",
  lookup: (sku: string, previous) => {
    expectTypeOf(previous).toEqualTypeOf<Option.Option<Swr.Previous<Date>>>()
    return Effect.andThen(Db, dateOf(sku))
  },
  schema: Schema.DateFromString,
  freshFor: 0
})
expectTypeOf(bySchema).toEqualTypeOf<Effect.Effect<Swr.Instance<string, Date, Sick>, never, Swr.Cache | Db>>()
class Unsaid extends Swr.Service<Unsaid>()("test/Unsaid", {
  lookup: (query: Query, previous) => {
    expectTypeOf(previous).toEqualTypeOf<Option.Option<Swr.Previous<unknown>>>()
    return search(query)
  },
  key: (query) => query.text,
  keep: (...args) => expectTypeOf(args).toEqualTypeOf<[value: ReadonlyArray<string>, key: Query]>() ? {} : "pass",
  staleIfError: { window: 1, when: (error) => expectTypeOf(error).toEqualTypeOf<Sick>() },
  freshFor: 0
}) {}
expectTypeOf<Unsaid["Service"]>().toEqualTypeOf<Swr.Instance<Query, ReadonlyArray<string>, Sick>>()
expectTypeOf(Unsaid.layer).toEqualTypeOf<Layer.Layer<Unsaid, never, Swr.Cache | Db>>()
expectTypeOf<Swr.Previous<Date>>().toEqualTypeOf<{ readonly value: Date; readonly age: Duration.Duration }>()
declare const confirm: (sku: string, previous: Option.Option<Swr.Previous<Date>>) => Effect.Effect<Date>
expectTypeOf<Made<typeof confirmed>>().toEqualTypeOf<Swr.Instance<string, Date>>()
const confirmed = Swr.make({ name: "dates", lookup: confirm, freshFor: 0 })
declare const dated: (sku: string, previous: Option.Option<Swr.Previous<Date>>) => Effect.Effect<number>
// @ts-expect-error the previous value is one of this cache's
Swr.make({ name: "counts", lookup: dated, freshFor: 0 })
// @ts-expect-error also where a schema says what that is
Swr.make({ name: "counts", lookup: dated, schema: Schema.Finite, freshFor: 0 })
// @ts-expect-error an object needs a `key` all the same
Swr.make({ name: "found", lookup: (query: Query, _previous) => search(query), freshFor: 0 })

// ----- one by one, many at once, both

const many = Swr.make({ name: "many", lookupMany: pricesOf, freshFor: 0 })
expectTypeOf(many).toEqualTypeOf<typeof prices>()
const both = Swr.make({ name: "both", lookup: priceOf, lookupMany: pricesOf, freshFor: 0 })
expectTypeOf(both).toEqualTypeOf<typeof prices>()
// @ts-expect-error one of them is required
Swr.make({ name: "none", freshFor: 0 })
// @ts-expect-error a map, not an array
Swr.make({ name: "list", lookupMany: (skus: ReadonlyArray<string>) => Effect.succeed(skus), freshFor: 0 })
// @ts-expect-error an effect, not a promise
Swr.make({ name: "promise", lookup: (sku: string) => Promise.resolve(sku), freshFor: 0 })

// ----- what an instance can do

type Entry = Swr.Answer<Price, Gone | Sick>
expectTypeOf(cache.read("tea")).toEqualTypeOf<Effect.Effect<Entry, Gone | Sick>>()
expectTypeOf(cache.peek("tea")).toEqualTypeOf<Effect.Effect<Option.Option<Entry>>>()
expectTypeOf(cache.getMany(new Set(["tea"]))).toEqualTypeOf<Effect.Effect<ReadonlyArray<Price>, Gone | Sick>>()
expectTypeOf(cache.readMany(["t"])).toEqualTypeOf<Effect.Effect<ReadonlyArray<Result.Result<Entry, Gone | Sick>>>>()
expectTypeOf(cache.revalidate("tea")).toEqualTypeOf<Effect.Effect<Entry, Gone | Sick>>()
expectTypeOf(cache.stats).toEqualTypeOf<Effect.Effect<Swr.Stats>>()
expectTypeOf(cache.changes("tea")).toEqualTypeOf<Stream.Stream<Option.Option<Entry>>>()
expectTypeOf(cache.warm(["tea"], { concurrency: 2 })).toEqualTypeOf<Stream.Stream<Swr.Progress<string, Gone | Sick>>>()
expectTypeOf<Swr.Progress<string, Sick>["exit"]>().toEqualTypeOf<Exit.Exit<void, Sick>>()

declare const tea: Price
type Written = Effect.Effect<void, Store.StoreError>
expectTypeOf(cache.set("tea", tea)).toEqualTypeOf<Written>()
expectTypeOf(cache.set("tea", tea, { freshFor: 1, maxAge: 2, tags: ["t"], age: 1 })).toEqualTypeOf<Written>()
expectTypeOf(cache.invalidate("tea", { mode: "soft" })).toEqualTypeOf<Written>()
expectTypeOf(cache.invalidateTag("supplier:7")).toEqualTypeOf<Written>()
expectTypeOf(cache.clear).toEqualTypeOf<Written>()
expectTypeOf(cache.mutate("tea", (current) => {
  expectTypeOf(current).toEqualTypeOf<Option.Option<Price>>()
  return Effect.andThen(Dictionary, Effect.fail("no" as const))
})).toEqualTypeOf<Effect.Effect<Entry, "no" | Store.StoreError, Dictionary>>()
expectTypeOf(cache.mutate("tea", () => Effect.succeed(tea))).toEqualTypeOf<Effect.Effect<Entry, Store.StoreError>>()
// @ts-expect-error a value of another type
cache.set("tea", 1)
// @ts-expect-error a change to another type
cache.mutate("tea", () => Effect.succeed(1))
// @ts-expect-error a mode that is none
cache.invalidate("tea", { mode: "gentle" })

declare const answer: Entry
expectTypeOf<Omit<Entry, "mutate" | "revalidate">>().toEqualTypeOf<{
  readonly value: Price
  readonly status: "miss" | "fresh" | "stale" | "expired"
  readonly source: "memory" | "store" | "lookup"
  readonly reason: Option.Option<"revalidating" | "error" | "timeout" | "lease" | "marked" | "store">
  readonly age: Duration.Duration
  readonly freshFor: Duration.Duration
  readonly servableFor: Duration.Duration
}>()
expectTypeOf(answer.mutate(tea)).toEqualTypeOf<Effect.Effect<Entry, Store.StoreError>>()
expectTypeOf(answer.revalidate).toEqualTypeOf<Effect.Effect<Entry, Gone | Sick>>()

// ----- a cached function

expectTypeOf(quote).toEqualTypeOf<Swr.Cached<[sku: string], Price, Gone | Sick, Db>>()
expectTypeOf(quote.read("tea")).toEqualTypeOf(Swr.swr("k", priceOf("tea")))
expectTypeOf(quote.revalidate("tea")).toEqualTypeOf<ReturnType<typeof quote.read>>()
expectTypeOf(quote.invalidate("tea")).toEqualTypeOf<Effect.Effect<void, Store.StoreError, Swr.Cache>>()
// @ts-expect-error the function's arguments
quote.invalidate()

const cached = Swr.fn("cached", { freshFor: 0 })
cached(() => Effect.succeed(1))
cached((_sku: string, _n: number, _flag: boolean, _token: Redacted.Redacted) => Effect.succeed(1))
cached(search, (query) => [query.text, query.page])
// @ts-expect-error an object among the arguments needs a key
cached(search)
// @ts-expect-error so does an argument that may be missing: what it stands for is the function's to say
cached((_sku: string, _currency?: string) => Effect.succeed(1))

// ----- plain values

expectTypeOf(Swr.cacheGet("k")).toEqualTypeOf<Effect.Effect<Option.Option<unknown>, never, Swr.Cache>>()
expectTypeOf(Swr.cacheGet("k", { schema: Price }))
  .toEqualTypeOf<Effect.Effect<Option.Option<Price>, never, Swr.Cache>>()
expectTypeOf(Swr.cacheRemove("k")).toEqualTypeOf<Effect.Effect<void, Store.StoreError, Swr.Cache>>()
expectTypeOf(Swr.cacheSet("k", { anything: 1 })).toEqualTypeOf(Swr.cacheRemove("k"))
expectTypeOf(Swr.cacheSet("k", new Date(0), { schema: Schema.DateFromString, timeToLive: "1 hour" }))
  .toEqualTypeOf(Swr.cacheRemove("k"))
expectTypeOf(Swr.cacheSet("k", "a", { schema: Word }))
  .toEqualTypeOf<Effect.Effect<void, Store.StoreError, Swr.Cache | Dictionary>>()
// @ts-expect-error not the schema's Type
Swr.cacheSet("k", "1970", { schema: Schema.DateFromString })

// ----- the service and its layers

declare const service: Swr.Cache["Service"]
expectTypeOf(service.events).toEqualTypeOf<Stream.Stream<Event.Event>>()
expectTypeOf(service.peek("k")).toEqualTypeOf<Effect.Effect<Option.Option<Swr.Snapshot<unknown>>>>()
expectTypeOf(service.mutate("k", (n: Option.Option<number>) => Effect.succeed(Option.getOrElse(n, () => 0))))
  .toEqualTypeOf<Effect.Effect<Swr.Snapshot<number>, Store.StoreError>>()
expectTypeOf(service).not.toHaveProperty("get")
expectTypeOf(service).not.toHaveProperty("revalidate")

expectTypeOf(Swr.layer({ capacity: 1, defaults: { freshFor: 0 } })).toEqualTypeOf<Layer.Layer<Swr.Cache>>()
declare const count: Config.Config<number>
expectTypeOf(Swr.layerConfig({ capacity: count }))
  .toEqualTypeOf<Layer.Layer<Swr.Cache, Config.ConfigError | Policy.InvalidPolicy>>()

// ----- variance: a cache may stand where one is expected that fails with more, and nowhere else

expectTypeOf<Prices>().toExtend<Swr.Instance<string, Price, Gone | Sick | "more">>()
expectTypeOf<Prices>().toExtend<Swr.Instance<string, Price, Gone | Sick, Policy.Strict>>()
expectTypeOf<Prices>().not.toExtend<Swr.Instance<string, Price, Gone>>()
expectTypeOf<Prices>().not.toExtend<Swr.Instance<string, Price | undefined, Gone | Sick>>()
expectTypeOf<Prices>().not.toExtend<Swr.Instance<string | number, Price, Gone | Sick>>()
expectTypeOf<Made<typeof roles>>().not.toExtend<Swr.Instance<string, Date, Sick>>()
expectTypeOf<Swr.Answer<1>>().toExtend<Swr.Answer<1, Sick, Db>>()
expectTypeOf<Policy.Policy>().toExtend<Policy.Policy<Sick>>()
expectTypeOf<Policy.Policy<Sick>>().not.toExtend<Policy.Policy>()
expectTypeOf<Policy.Strict>().toExtend<Policy.Policy>()
expectTypeOf<Policy.Policy>().not.toExtend<Policy.Strict>()

// ----- no `any`, anywhere

type IsAny<T> = 0 extends T & 1 ? true : false
type HasAny<T> = IsAny<T> extends true ? true
  : T extends Effect.Effect<infer A, infer E, infer R> ? HasAny<A> | IsAny<E> | IsAny<R>
  : T extends Stream.Stream<infer A, infer E, infer R> ? HasAny<A> | IsAny<E> | IsAny<R>
  : T extends Layer.Layer<infer Out, infer E, infer R> ? IsAny<Out> | IsAny<E> | IsAny<R>
  : T extends Option.Option<infer A> ? HasAny<A>
  : T extends Result.Result<infer A, infer E> ? HasAny<A> | IsAny<E>
  : T extends ReadonlyArray<infer A> ? HasAny<A>
  : T extends Swr.Answer<infer A, infer E, infer R> ? IsAny<A> | IsAny<E> | IsAny<R>
  : T extends (...args: infer Args) => infer B ? HasAny<Args[number]> | HasAny<B>
  : false
type Leaks<T> = { [P in keyof T]-?: true extends HasAny<T[P]> ? P : never }[keyof T]

// The helper sees them.
expectTypeOf<Leaks<{ a: (a: string) => Effect.Effect<Option.Option<any>>; b: any; c: string }>>().toEqualTypeOf<
  "a" | "b"
>()
expectTypeOf<Leaks<Prices>>().toEqualTypeOf<never>()
expectTypeOf<Leaks<Swr.Cache["Service"]>>().toEqualTypeOf<never>()
expectTypeOf<Leaks<Entry>>().toEqualTypeOf<never>()
expectTypeOf<Leaks<typeof quote>>().toEqualTypeOf<never>()
expectTypeOf<Leaks<Swr.Stats & Swr.Previous<1> & Swr.Wishes & Swr.LayerOptions>>().toEqualTypeOf<never>()
expectTypeOf<Leaks<Policy.Policy & Policy.Windows>>().toEqualTypeOf<never>()
expectTypeOf<Leaks<typeof Policy>>().toEqualTypeOf<never>()
expectTypeOf<Leaks<Pick<typeof Swr, "cacheGet" | "cacheRemove" | "cacheSet" | "layer" | "layerConfig">>>()
  .toEqualTypeOf<never>()
expectTypeOf<HasAny<[typeof dates, typeof readSettings, typeof quote, typeof wordFn, typeof swrIn2, Event.Event]>>()
  .toEqualTypeOf<false>()
expectTypeOf<HasAny<[typeof Service.layer, typeof Words.layer, typeof Unsaid.layer]>>().toEqualTypeOf<false>()
