import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Option, Result, Schema, SchemaGetter, SchemaIssue } from "effect"
import { readFileSync } from "node:fs"
import * as Codec from "../src/Codec.ts"

class User extends Schema.Class<User>("test/User")({
  id: Schema.Int,
  name: Schema.String,
  since: Schema.Date,
  ttl: Schema.Duration,
  nick: Schema.optionalKey(Schema.String),
  parent: Schema.Option(Schema.Int)
}) {}

const user = new User({ id: 1, name: "Ada", since: new Date(0), ttl: Duration.minutes(1), parent: Option.some(7) })

/** Throws on both sides, as careless transformations do. */
const Throwing = Schema.String.pipe(Schema.decodeTo(Schema.BigInt, {
  decode: SchemaGetter.transform((text: string) => BigInt(text)),
  encode: SchemaGetter.transform((value: bigint) => {
    if (value < 0n) throw new RangeError(`hunter2: ${value}`)
    return String(value)
  })
}))

/** Encodes what it does not decode again. */
const OneWay = Schema.String.pipe(Schema.decodeTo(Schema.Int, {
  decode: SchemaGetter.transformEffect(() => Effect.fail(new SchemaIssue.InvalidValue({ message: "one way" }))),
  encode: SchemaGetter.transform(String)
}))

class Unit extends Context.Service<Unit, { readonly factor: number }>()("test/Unit") {}

/** Needs a service on both sides, and time. */
const Scaled = Schema.Finite.pipe(Schema.decodeTo(Schema.Finite, {
  decode: SchemaGetter.transformEffect((n: number) => Unit.use((unit) => Effect.as(Effect.yieldNow, n / unit.factor))),
  encode: SchemaGetter.transformEffect((n: number) => Unit.use((unit) => Effect.as(Effect.yieldNow, n * unit.factor)))
}))

describe("R13: codecs", () => {
  it.effect("in memory use the schema's own two sides, and ask the same of a value", () =>
    Effect.gen(function*() {
      const codec = Codec.make(User)
      const value = yield* codec.roundTrip(user)
      assert.deepStrictEqual(value, user)
      assert.notStrictEqual(value, user)
      assert.isTrue(codec.is(value))
      assert.strictEqual(yield* Codec.make(Schema.NumberFromString).roundTrip(7), 7)
      assert.instanceOf(yield* Effect.flip(Codec.make(Schema.Int).roundTrip(0.5)), Codec.EncodeError)
      assert.instanceOf(yield* Effect.flip(Codec.make(OneWay).roundTrip(1)), Codec.DecodeError)
      assert.instanceOf(yield* Effect.flip(Codec.make(Throwing).roundTrip(-1n)), Codec.EncodeError)
    }))

  it("run synchronously where the schema does: class, Date, Duration, Option", () => {
    const codec = Codec.text(User)
    const text = Effect.runSync(codec.encode(user))
    assert.deepStrictEqual(JSON.parse(text), {
      id: 1,
      name: "Ada",
      since: "1970-01-01T00:00:00.000Z",
      ttl: { _tag: "Millis", value: 60_000 },
      parent: { _tag: "Some", value: 7 }
    })
    const back = Effect.runSync(codec.decode(text))
    assert.instanceOf(back, User)
    assert.deepStrictEqual(back, user)
  })

  it("are done when they are asked, where the schema takes no time: a batch needs no fiber per key", () => {
    const codec = Codec.text(Schema.Struct({ id: Schema.Int }))
    assert.deepStrictEqual(codec.decode(`{"id":1}`), Exit.succeed({ id: 1 }))
    assert.deepStrictEqual(codec.decodeJson({ id: 1 }), Exit.succeed({ id: 1 }))
  })

  it("`is` judges the value, not its text", () => {
    const { is } = Codec.text(User)
    assert.isTrue(is(user))
    assert.isFalse(is({ id: 1, name: "Ada", since: user.since, ttl: user.ttl, parent: user.parent }))
    assert.isFalse(is(JSON.parse(Effect.runSync(Codec.text(User).encode(user)))))
    assert.isTrue(Codec.text(Schema.Date).is(new Date(0)))
    assert.isFalse(Codec.text(Schema.Date).is("1970-01-01T00:00:00.000Z"))
  })

  it.effect("ask for the services of both sides, and may take their time", () =>
    Effect.gen(function*() {
      const codec: Codec.Text<number, Unit> = Codec.text(Scaled)
      assert.strictEqual(yield* codec.encode(3), "300")
      assert.strictEqual(yield* codec.decode("300"), 3)
      assert.strictEqual(yield* codec.roundTrip(3), 3)
    }).pipe(Effect.provideService(Unit, { factor: 100 })))

  it.effect("what comes out of a round trip is what every reader gets", () =>
    Effect.gen(function*() {
      const codec = Codec.text(Schema.Struct({ a: Schema.Number }))
      const loaded = { a: -0, unknown: 1 }
      const answered = yield* codec.roundTrip(loaded)
      assert.deepStrictEqual(answered, { a: 0 })
      assert.deepStrictEqual(yield* codec.decode(yield* codec.encode(answered)), answered)
    }))

  it.effect("undefined, null and none are values (R12)", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Codec.text(Schema.Undefined).roundTrip(undefined), undefined)
      assert.strictEqual(yield* Codec.text(Schema.Null).roundTrip(null), null)
      assert.deepStrictEqual(yield* Codec.text(Schema.Option(Schema.Int)).roundTrip(Option.none()), Option.none())
    }))

  it.effect("a round trip tells which side failed", () =>
    Effect.gen(function*() {
      const encode = yield* Effect.flip(Codec.text(Schema.Date).roundTrip(new Date(NaN)))
      assert.instanceOf(encode, Codec.EncodeError)
      const decode = yield* Effect.flip(Codec.text(OneWay).roundTrip(1))
      assert.instanceOf(decode, Codec.DecodeError)
      assert.strictEqual(decode.message, "What the schema encoded does not decode")
    }))

  it.effect("a schema that throws refuses, and what it threw is not quoted", () =>
    Effect.gen(function*() {
      const codec = Codec.text(Throwing)
      assert.strictEqual(yield* codec.roundTrip(7n), 7n)
      const encode = yield* Effect.flip(codec.encode(-1n))
      assert.strictEqual(encode._tag, "EncodeError")
      assert.include(encode.message, "RangeError")
      assert.notInclude(encode.message, "hunter2")
      assert.instanceOf(yield* Effect.flip(codec.roundTrip(-1n)), Codec.EncodeError)
      const decode = yield* Effect.flip(codec.decode(`"hunter2"`))
      assert.include(decode.message, "SyntaxError")
      assert.notInclude(decode.message, "hunter2")
      const long = Schema.Any.check(Schema.makeFilter((value: { readonly length: number }) => value.length > 1))
      assert.isTrue(Codec.text(long).is("ab"))
      assert.isFalse(Codec.text(long).is(null))
    }))

  it.effect("an interruption stays one", () =>
    Effect.gen(function*() {
      const codec = Codec.text(Schema.String.pipe(Schema.decodeTo(Schema.String, {
        decode: SchemaGetter.transformEffect(() => Effect.interrupt),
        encode: SchemaGetter.transform((text: string) => text)
      })))
      const exit = yield* Effect.exit(codec.roundTrip("a"))
      assert.isTrue(exit._tag === "Failure" && exit.cause.reasons.every((reason) => reason._tag === "Interrupt"))
    }))

  it.effect("I10: texts that are no value of the schema are refused, deep or long ones too", () =>
    Effect.gen(function*() {
      interface List {
        readonly next: List | null
      }
      const List: Schema.Codec<List> = Schema.Struct({
        next: Schema.NullOr(Schema.suspend((): Schema.Codec<List> => List))
      })
      const codec = Codec.text(List)
      const deep = `{"next":`.repeat(20_000) + "null" + "}".repeat(20_000)
      for (const text of ["", "{", "null", "1", "[]", "{}", `{"next":1}`, `{"next":`, deep, "\0", "\uD800"]) {
        assert.strictEqual((yield* Effect.flip(codec.decode(text)))._tag, "DecodeError")
      }
    }))

  it.effect("I10: a decoded value has the keys the schema knows, and Object.prototype stays as it is", () =>
    Effect.gen(function*() {
      const hostile = `{"a":1,"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"b":2}`
      const struct = yield* Codec.text(Schema.Struct({ a: Schema.Int })).decode(hostile)
      assert.deepStrictEqual(Reflect.ownKeys(struct), ["a"])
      const record = yield* Codec.text(Schema.Record(Schema.String, Schema.Unknown)).decode(hostile)
      assert.strictEqual(Object.getPrototypeOf(record), Object.prototype)
      for (const value of [struct, record, {}]) assert.isUndefined(Reflect.get(value, "admin"))
    }))

  it.prop("a round trip keeps any value, and a second changes nothing", [User], ([value]) => {
    const codec = Codec.text(User)
    const once = Effect.runSync(codec.roundTrip(value))
    assert.isTrue(codec.is(once))
    assert.strictEqual(Effect.runSync(codec.encode(once)), Effect.runSync(codec.encode(value)))
    assert.deepStrictEqual(Effect.runSync(codec.roundTrip(once)), once)
  })
})

const fields: Codec.Fields = {
  key: `5:"users"3:"a"`,
  stamp: 1_760_000_000_000,
  windows: { freshFor: 1_000, maxAge: 60_000, staleIfError: 90_000, life: 91_000 },
  jitter: 0.25,
  tags: ["t", "a\"b"],
  epoch: "e1",
  counter: 3
}
const written = Codec.writeRecord(fields, `{"a":[1,2]}`)
const read = (text: string, options?: { readonly maxBytes?: number }) => Codec.readRecord(text, fields.key, options)
const problem = (text: string, options?: { readonly maxBytes?: number }) => Result.getFailure(read(text, options))

/** The written record with some fields replaced; `undefined` takes a field away. */
const altered = (changes: { readonly [Field in keyof Codec.Record]?: unknown }) =>
  JSON.stringify({ ...JSON.parse(written), ...changes })

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const AnyFields = Schema.Struct({
  key: Schema.String,
  stamp: Count,
  windows: Schema.Struct({
    freshFor: Schema.optionalKey(Count),
    maxAge: Schema.optionalKey(Count),
    staleIfError: Schema.optionalKey(Count),
    life: Count
  }),
  jitter: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true })),
  tags: Schema.Array(Schema.String),
  epoch: Schema.String,
  counter: Count
})

describe("R13: records", () => {
  it("are one JSON text with fixed order, the value's text last and untouched", () => {
    assert.strictEqual(
      Codec.writeRecord({ ...fields, windows: { life: 5 }, tags: [] }, "[ 1 ]"),
      String.raw`{"format":1,"key":"5:\"users\"3:\"a\"","stamp":1760000000000,"windows":{"life":5},"jitter":0.25,` +
        `"tags":[],"epoch":"e1","counter":3,"value":[ 1 ]}`
    )
  })

  it("write no field that is not theirs", () => {
    const more = { ...fields, secret: "hunter2", windows: { ...fields.windows, secret: "hunter2" } }
    assert.strictEqual(Codec.writeRecord(more, `{"a":[1,2]}`), written)
  })

  it.prop("come back as they were written", [AnyFields, Schema.Json], ([fields, value]) => {
    const valueText = JSON.stringify(value)
    const back = Codec.readRecord(Codec.writeRecord(fields, valueText), fields.key)
    // JSON has no -0: what was written is compared after a trip through it.
    assert.deepStrictEqual(back, Result.succeed(JSON.parse(JSON.stringify({ ...fields, valueText, json: value }))))
  }, { arbitrary: { runs: 500 } })

  it("fields they do not know are ignored, wherever they stand", () => {
    const late = `${written.slice(0, -1)},"later":{"value":1}}`
    const early = written.replace("{", `{"earlier":{"a":1,"value":2},"__proto__":{"stamp":1},`)
    const within = written.replace(`"life"`, `"__proto__":{"maxAge":1},"later":1,"life"`)
    for (const text of [late, early, within]) {
      assert.deepStrictEqual(read(text), Result.succeed({ ...fields, valueText: `{"a":[1,2]}`, json: { a: [1, 2] } }))
    }
    assert.isUndefined(Reflect.get({}, "stamp"))
  })
})

describe("I10: hostile records are a problem, never a throw", () => {
  it("no JSON object", () => {
    const texts = ["", " ", "null", "1", "true", `"a"`, "[]", "{", "{}}", "\0", "\uD800", "NaN"]
    for (const text of [...texts, `[${written}]`, written + written]) {
      assert.deepStrictEqual(problem(text), Option.some("json"))
    }
  })

  it("cut anywhere", () => {
    for (let length = 0; length < written.length; length++) {
      assert.deepStrictEqual(problem(written.slice(0, length)), Option.some("json"))
    }
  })

  it("any character replaced by any of the dangerous: a problem, or fields of the right types", () => {
    for (let at = 0; at < written.length; at++) {
      for (const wrong of ["", "\"", "\\", "{", "}", "[", "]", ",", ":", "-", ".", "e", "9", "\0", "\uD800"]) {
        const result = read(written.slice(0, at) + wrong + written.slice(at + 1))
        if (Result.isFailure(result)) continue
        const { json, valueText, ...rest } = result.success
        assert.isTrue(Schema.is(AnyFields)(rest), JSON.stringify(rest))
        assert.deepStrictEqual(JSON.parse(valueText), json)
      }
    }
  })

  it("another format, before anything else is looked at", () => {
    for (const format of [0, 2, 1.5, -1, "1", true, null, undefined, [1]]) {
      assert.deepStrictEqual(problem(altered({ format, key: 5, stamp: null })), Option.some("format"))
    }
    assert.deepStrictEqual(problem("{}"), Option.some("format"))
    assert.deepStrictEqual(problem(`{"__proto__":{"format":1}}`), Option.some("format"))
  })

  it("the record of another key (I17)", () => {
    for (const key of ["", fields.key + " ", fields.key.toUpperCase(), 1, null, undefined, [fields.key]]) {
      assert.deepStrictEqual(problem(altered({ key })), Option.some("key"))
    }
  })

  it("fields of other types", () => {
    const noCount = [-1, 0.5, 2 ** 53, "1", true, null, undefined, [], {}]
    const noText = [1, true, null, undefined, [], {}]
    const wrong: { readonly [Field in keyof Codec.Fields]?: ReadonlyArray<unknown> } = {
      stamp: noCount,
      counter: noCount,
      jitter: [-0.1, 1, 2, "0", true, null, undefined, [], {}],
      tags: [null, undefined, "a", {}, { length: 0 }, [1], ["a", null], [["a"]]],
      epoch: noText,
      windows: [
        null,
        undefined,
        1,
        "a",
        [],
        {},
        ...noCount.map((life) => ({ life })),
        ...noCount.filter((wrong) => wrong !== undefined).flatMap((wrong) => [
          { life: 1, freshFor: wrong },
          { life: 1, maxAge: wrong },
          { life: 1, staleIfError: wrong }
        ])
      ]
    }
    for (const [field, values] of Object.entries(wrong)) {
      for (const value of values) {
        assert.deepStrictEqual<unknown>(problem(altered({ [field]: value })), Option.some(field), JSON.stringify(value))
      }
    }
    assert.deepStrictEqual(problem(altered({ value: undefined })), Option.some("value"))
    for (const number of ["NaN", "Infinity", "01", "+1", "0x1"]) {
      assert.deepStrictEqual(problem(written.replace("1760000000000", number)), Option.some("json"))
    }
    assert.deepStrictEqual(problem(written.replace("1760000000000", "1e999")), Option.some("stamp"))
  })

  it("more bytes than allowed: 1 MiB if nothing is said, counted in UTF-8", () => {
    const sized = (bytes: number, filler: string) => {
      const left = bytes - Codec.writeRecord(fields, `""`).length
      const width = Buffer.byteLength(filler)
      return Codec.writeRecord(fields, `"${filler.repeat(Math.floor(left / width))}${"x".repeat(left % width)}"`)
    }
    for (const filler of ["x", "é", "€", "😀"]) {
      assert.isTrue(Result.isSuccess(read(sized(1024 * 1024, filler))))
      assert.deepStrictEqual(problem(sized(1024 * 1024 + 1, filler)), Option.some("size"))
    }
    assert.isTrue(Result.isSuccess(read(written, { maxBytes: written.length })))
    assert.deepStrictEqual(problem(written, { maxBytes: written.length - 1 }), Option.some("size"))
  })

  it("a value nested too deep, whatever it is made of", () => {
    const nested = (open: string, close: string, levels: number) =>
      Codec.writeRecord(fields, open.repeat(levels) + "0" + close.repeat(levels))
    for (const [open, close] of [["[", "]"], [`{"a":`, "}"], [`{"__proto__":`, "}"]] as const) {
      assert.isTrue(Result.isSuccess(read(nested(open, close, 256))))
      assert.deepStrictEqual(problem(nested(open, close, 257)), Option.some("depth"))
      assert.deepStrictEqual(problem(nested(open, close, 50_000)), Option.some("depth"))
    }
  })

  it("a field that is ignored may be deep", () => {
    const deep = "[".repeat(50_000) + "]".repeat(50_000)
    assert.isTrue(Result.isSuccess(read(written.replace("{", `{"later":${deep},`))))
  })
})

const Golden = Schema.Struct({
  neverEdit: Schema.String,
  records: Schema.Array(Schema.Struct({
    name: Schema.String,
    text: Schema.String,
    fields: AnyFields,
    valueText: Schema.String
  })),
  refused: Schema.Array(Schema.Struct({
    name: Schema.String,
    text: Schema.String,
    key: Schema.String,
    problem: Schema.String
  }))
})
const golden = Schema.decodeUnknownSync(Schema.fromJsonString(Golden))(
  readFileSync(new URL("./fixtures/record-v1.json", import.meta.url), "utf8")
)

describe("R13: records of format 1 decode for ever (fixtures/record-v1.json)", () => {
  it.each(golden.records)("$name", ({ fields, text, valueText }) => {
    const json = JSON.parse(valueText)
    assert.deepStrictEqual(Codec.readRecord(text, fields.key), Result.succeed({ ...fields, valueText, json }))
    assert.strictEqual(Codec.writeRecord(fields, valueText), text)
  })

  it.each(golden.refused)("$name is refused", ({ key, problem, text }) => {
    assert.deepStrictEqual<unknown>(Codec.readRecord(text, key), Result.fail(problem))
  })

  it("and so do the values in them, by their schema", () => {
    const Price = Schema.Struct({ sku: Schema.String, at: Schema.Date, was: Schema.Option(Schema.Int) })
    const values = golden.records.flatMap(({ name, valueText }) =>
      name.startsWith("a price") ? [Effect.runSync(Codec.text(Price).decode(valueText))] : []
    )
    assert.deepStrictEqual(values, [
      { sku: "é-1", at: new Date("2026-01-02T03:04:05.678Z"), was: Option.some(1299) },
      { sku: "é-1", at: new Date("2026-01-02T03:04:05.678Z"), was: Option.none() }
    ])
  })
})
