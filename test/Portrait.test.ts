/** A value as text: bounded, nothing sensitive, none of its own code run. */
import { assert, describe, it } from "@effect/vitest"
import { Option, Redacted } from "effect"
import { print, shape } from "../src/Portrait.ts"

describe("Portrait", () => {
  it("I23: what is Redacted stays so, wherever it is", () => {
    const secret = Redacted.make("hunter2")
    const value = [secret, { secret }, new Map([[secret, secret]]), new Set([secret]), Option.some(secret), [[[[[[[
      secret
    ]]]]]]]]
    for (const each of [secret, ...value, value]) {
      assert.notInclude(print(each) + shape(each), "hunter2")
    }
    assert.strictEqual(print({ a: secret }), `{\n  "a": <redacted>\n}`)
  })

  it("I23: runs no code of a value's", () => {
    const boom = () => {
      throw new Error("called")
    }
    class Trap {
      kept = 1
      get inherited() {
        return boom()
      }
      toJSON = boom
      toString = boom
    }
    const own = Object.defineProperty({}, "own", { get: boom, enumerable: true })
    assert.strictEqual(print(new Trap()), `Trap {\n  "kept": 1\n  "toJSON": <function>\n  "toString": <function>\n}`)
    assert.strictEqual(print(own), `{\n  "own": <getter>\n}`)
    const proxy = new Proxy({}, { ownKeys: boom, getPrototypeOf: boom, get: boom, has: boom })
    assert.strictEqual(print(proxy), "a value that can't be shown")
    assert.strictEqual(shape(proxy), "a value that can't be looked at")
  })

  it("I23: is bounded, however deep, wide or long the value", () => {
    const deep = Array.from({ length: 10_000 }).reduce((inner: unknown) => [inner], "end")
    const circle: Record<string, unknown> = {}
    circle["again"] = circle
    const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key${i}`, "x".repeat(1000)]))
    for (const value of [deep, circle, wide, "x".repeat(10_000_000), Array.from({ length: 1_000_000 }, () => wide)]) {
      assert.isBelow(print(value).length, 30_000)
      assert.isBelow(shape(value).length, 100)
    }
    assert.strictEqual(print(circle), `{\n  "again": <the same again>\n}`)
    assert.include(print(wide), "… (99")
  })

  it("tells values apart", () => {
    const told = [
      1,
      -0,
      Number.NaN,
      1n,
      true,
      undefined,
      null,
      "a\ud800",
      Symbol("s"),
      new Date(0),
      new Date(Number.NaN)
    ]
    assert.deepStrictEqual(told.map(print), [
      "1",
      "0",
      "NaN",
      "1n",
      "true",
      "undefined",
      "null",
      `"a\\ud800"`,
      "Symbol(s)",
      "1970-01-01T00:00:00.000Z",
      "an invalid date"
    ])
    assert.strictEqual(print(new Error("hunter2")), "<Error>")
    assert.strictEqual(print([new Uint8Array(3), {}, []]), "[\n  <Uint8Array of 3 bytes>\n  {}\n  []\n]")
    assert.deepStrictEqual([{ a: 1 }, [1], "abc", new Map([[1, 2]]), null].map(shape), [
      "an object with one field",
      "an array of 1",
      "a string of 3 characters",
      "Map of 1",
      "null"
    ])
  })
})
