import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Redacted, Schema } from "effect"
import { createHash, createHmac } from "node:crypto"
import * as Key from "../src/Key.ts"

const secret = Redacted.make("pepper")
const name = Key.nameOf("users", undefined)
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")
const hmac = (key: string, text: string) => createHmac("sha256", key).update(text).digest("hex")

/** What makes two keys one, said without any encoding: the same parts in the same order, a key alone being one part. */
const same = (left: Key.Key, right: Key.Key): boolean => {
  const flat = (key: Key.Key): ReadonlyArray<unknown> =>
    (Array.isArray(key) ? key : [key]).flatMap((part) =>
      Redacted.isRedacted(part) ? ["sensitive", Redacted.value(part)] : ["plain", part]
    )
  const [a, b] = [flat(left), flat(right)]
  return a.length === b.length && a.every((item, i) => item === b[i])
}

// Few letters, all of them dangerous, so that generated keys often are nearly alike.
const letters = ["", "a", ":", "\0", "#", "*", "1", "3", `"`, ",", "\\", "\uD800", "\uDC00", "é", "__proto__", "true"]
const texts = Arbitrary.array(Arbitrary.schema(Schema.Literals(letters)), { maxLength: 3 })
const text = Arbitrary.map(texts, (all) => all.join(""))
const part = Arbitrary.map(
  Arbitrary.all({
    kind: Arbitrary.schema(Schema.Literals(["text", "number", "boolean", "secret"])),
    text,
    number: Arbitrary.schema(Schema.Literals([0, 1, 3, 11, -1, 1.5, 1e21])),
    boolean: Arbitrary.schema(Schema.Boolean)
  }),
  (all): Key.Part => all.kind === "secret" ? Redacted.make(all.text) : all[all.kind]
)
const parts = Arbitrary.array(part, { maxLength: 3 })
const key = Arbitrary.map(
  Arbitrary.all({ parts, alone: Arbitrary.schema(Schema.Boolean) }),
  ({ alone, parts }): Key.Key => {
    const [first] = parts
    return alone && first !== undefined && typeof first !== "boolean" ? first : parts
  }
)

describe("R16 / I16: names in memory", () => {
  it("plain strings and finite numbers stand for themselves, alone or as the only part", () => {
    const long = "x".repeat(10_000)
    for (const plain of ["", "a", "a,b", "__proto__", "constructor", "a\r\nb", "*", "a\0", "\uD800", long]) {
      assert.strictEqual(name(plain), plain)
      assert.strictEqual(name([plain]), plain)
    }
    for (const plain of [0, 1, -1, 1.5, 1e21, Number.MAX_VALUE, Number.MIN_VALUE]) {
      assert.strictEqual(name(plain), plain)
      assert.strictEqual(name([plain]), plain)
    }
  })

  it("-0 is 0", () => {
    assert.isTrue(Object.is(name(-0), 0))
    assert.isTrue(Object.is(name([-0]), 0))
    assert.strictEqual(name([-0, "a"]), name([0, "a"]))
  })

  it("what looks alike stays apart", () => {
    const pairs: ReadonlyArray<readonly [Key.Key, Key.Key]> = [
      [1, "1"],
      [[true], "true"],
      [["a", "b"], "a,b"],
      [["a:b", "c"], ["a", "b:c"]],
      [["a", ""], ["a"]],
      [[], ""],
      [[], "\0"],
      [["", ""], [""]],
      [["a", 1], ["a", "1"]],
      [["a", true], ["a", "true"]],
      ["\uD800", "\uFFFD"],
      [["\uD800", "a"], ["\uD801", "a"]],
      [Redacted.make("a"), "a"],
      [[Redacted.make("a"), "b"], ["a", Redacted.make("b")]],
      [[Redacted.make("a"), "b"], [Redacted.make("a"), Redacted.make("b")]]
    ]
    for (const [left, right] of pairs) assert.notStrictEqual(name(left), name(right))
  })

  it("no string passes for the name of another key, not even that name itself", () => {
    for (const key of [["a", "b"], [], [true], "\0", Redacted.make("a")]) {
      const forged = String(name(key))
      assert.notStrictEqual(name(forged), forged)
    }
  })

  it("all keys of up to three dangerous parts are apart in memory, and with their namespace in a store", () => {
    const plain = ["", "a", "\0", "\0#", "1", "1:1", `3:"a"`, `"`, 1, 0, true, "true", "\uD800"]
    const some: ReadonlyArray<Key.Part> = [...plain, Redacted.make("a"), Redacted.make("")]
    const all: ReadonlyArray<Key.Key> = [
      [],
      ...some.map((a) => [a]),
      ...some.flatMap((a) => some.map((b) => [a, b])),
      ...some.flatMap((a) => some.flatMap((b) => some.map((c) => [a, b, c])))
    ]
    assert.strictEqual(new Set(all.map(name)).size, all.length)
    const spaces = ["", "a", "1:1", `a"1:1`, "users"]
    const stored = spaces.flatMap((space) => all.map((key) => Key.storedKey(space, Key.nameOf(space, undefined)(key))))
    assert.strictEqual(new Set(stored).size, spaces.length * all.length)
  })

  const pair = { left: key, right: key, from: text, to: text }
  it.prop("one name if and only if one key, in memory and in a store", pair, ({ from, left, right, to }) => {
    const one = Key.nameOf(from, secret)
    assert.strictEqual(one(left) === one(right), same(left, right))
    assert.strictEqual(
      Key.storedKey(from, one(left)) === Key.storedKey(to, Key.nameOf(to, secret)(right)),
      from === to && same(left, right)
    )
  }, { arbitrary: { runs: 2000 } })

  it.prop("any two strings are two keys", [Schema.String, Schema.String], ([left, right]) => {
    assert.strictEqual(name([left, "x"]) === name([right, "x"]), left === right)
    assert.strictEqual(name([left, right]) === name([right, left]), left === right)
    assert.strictEqual(Key.storedKey("n", name(left)) === Key.storedKey("n", name(right)), left === right)
  }, { arbitrary: { runs: 500 } })

  it("what is no key is refused by its type, its content untold", () => {
    const holed = Object.assign(Array.from({ length: 0 }), { 1: "b" })
    const given: ReadonlyArray<readonly [unknown, string]> = [
      [NaN, "a number that is not finite"],
      [Infinity, "a number that is not finite"],
      [["a", -Infinity], "a number that is not finite"],
      [[NaN], "a number that is not finite"],
      [undefined, "undefined"],
      [null, "null"],
      [true, "boolean"],
      [1n, "bigint"],
      [Symbol("hunter2"), "symbol"],
      [{ password: "hunter2" }, "object"],
      [["a", { password: "hunter2" }], "object"],
      [[["hunter2"]], "an array within an array"],
      [[undefined], "undefined"],
      [holed, "undefined"],
      [Redacted.make(42), "a Redacted that holds no string"],
      [["a", Redacted.make(["hunter2"])], "a Redacted that holds no string"]
    ]
    for (const [key, kind] of given) {
      try {
        name(key as Key.Key) // what JavaScript lets through
        assert.fail(`accepted: ${kind}`)
      } catch (error) {
        assert.instanceOf(error, Key.InvalidKey)
        assert.strictEqual(error.given, kind)
        assert.include(error.message, "a string, a finite number, a Redacted string, or an array")
        assert.notInclude(error.message, "hunter2")
      }
    }
  })
})

describe("R16: sensitive keys", () => {
  it("are the SHA-256 of namespace and parts, the HMAC where there is a secret", () => {
    const key = ["acme", Redacted.make("alice")]
    assert.strictEqual(name(key), "\0#" + sha256(`7:"users"6:"acme"*7:"alice"`))
    assert.strictEqual(Key.nameOf("users", secret)(key), "\0#" + hmac("pepper", `7:"users"6:"acme"*7:"alice"`))
  })

  it("a Redacted and an array of it are one key, of its value and not of the object", () => {
    assert.strictEqual(name(Redacted.make("a")), name([Redacted.make("a", { label: "token" })]))
  })

  it("differ by namespace and by secret", () => {
    const key = Redacted.make("alice")
    const names = [
      Key.nameOf("users", undefined),
      Key.nameOf("teams", undefined),
      Key.nameOf("users", secret),
      Key.nameOf("users", Redacted.make("salt"))
    ].map((name) => name(key))
    assert.strictEqual(new Set(names).size, 4)
  })

  it.prop("show nothing of the clear text, and their stored key is the hash", [text, parts], ([clear, others]) => {
    const sensitive = Key.nameOf("users", secret)([...others, Redacted.make(clear)])
    assert.match(String(sensitive), /^\0#[0-9a-f]{64}$/)
    assert.strictEqual(Key.storedKey("users", sensitive), String(sensitive).slice(2))
    assert.strictEqual(Key.show(sensitive), String(sensitive).slice(1, 14))
  })
})

describe("R16 / I16: names in a store", () => {
  it("are for ever: processes and releases must agree on them", () => {
    const stored = (key: Key.Key) => Key.storedKey("users", name(key))
    assert.strictEqual(stored("alice"), `7:"users"7:"alice"`)
    assert.strictEqual(stored(""), `7:"users"2:""`)
    assert.strictEqual(stored(7), `7:"users"1:7`)
    assert.strictEqual(stored("7"), `7:"users"3:"7"`)
    assert.strictEqual(stored(["acme", 7, true]), `7:"users"6:"acme"1:74:true`)
    assert.strictEqual(stored([]), `7:"users"`)
    assert.strictEqual(stored("\0"), `7:"users"8:"\\u0000"`)
    assert.strictEqual(stored("\uD800"), `7:"users"8:"\\ud800"`)
    assert.strictEqual(stored("a\r\nb"), `7:"users"8:"a\\r\\nb"`)
    const hash = "ad63629a9c3dfcb4dfcd34e68adf7b4eae75690bc975fd2a13c8a5bd784ab379"
    assert.strictEqual(stored(Redacted.make("alice")), hash)
  })

  it("longer than 200 bytes of UTF-8 are the SHA-256 of the text", () => {
    const stored = (key: string) => Key.storedKey("n", name(key))
    const fits = "x".repeat(200 - `3:"n"`.length - `190:""`.length)
    assert.strictEqual(Buffer.byteLength(stored(fits)), 200)
    assert.strictEqual(stored(fits + "x"), sha256(`3:"n"192:"${fits}x"`))
    assert.strictEqual(Buffer.byteLength(stored("é".repeat(95))), 200)
    assert.strictEqual(stored("é".repeat(96)), sha256(`3:"n"98:"${"é".repeat(96)}"`))
    assert.strictEqual(stored("x".repeat(10_000)), sha256(`3:"n"10002:"${"x".repeat(10_000)}"`))
  })
})

describe("R16: names for people", () => {
  it("arrays are JSON, plain keys themselves, sensitive ones twelve digits", () => {
    assert.strictEqual(Key.show(name("alice")), "alice")
    assert.strictEqual(Key.show(name(7)), "7")
    assert.strictEqual(Key.show(name(["a:b", 1, true, ""])), `["a:b",1,true,""]`)
    assert.strictEqual(Key.show(name([])), "[]")
    assert.match(Key.show(name(Redacted.make("alice"))), /^#[0-9a-f]{12}$/)
  })

  it("nothing in them breaks a line or reaches a terminal", () => {
    assert.strictEqual(Key.show(name("a\r\nb\0\x1b[2J\u2028é😀")), "a\\u000d\\u000ab\\u0000\\u001b[2J\\u2028é😀")
    assert.strictEqual(Key.show(name("\0a")), `["\\u0000a"]`)
    assert.strictEqual(Key.show(name(["\x7f", "b"])), `["\\u007f","b"]`)
    assert.strictEqual(Key.show("\uD800"), "\\ud800")
  })

  it("a key of very many parts is shown too", () => {
    assert.strictEqual(JSON.parse(Key.show(name(Array.from({ length: 100_000 }, (_, i) => i)))).length, 100_000)
  })
})

describe("R16: hashes", () => {
  it("SHA-256 answers NIST's vectors", () => {
    const vectors: ReadonlyArray<readonly [string, string]> = [
      ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
      ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
      [
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ],
      ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"]
    ]
    for (const [text, hash] of vectors) assert.strictEqual(Key.sha256Hex(text), hash)
  })

  it("HMAC-SHA-256 answers RFC 4231's second vector", () => {
    assert.strictEqual(
      Key.hmacSha256Hex("Jefe", "what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
  })

  it("agree with node:crypto on every length from 0 to 300", () => {
    for (let length = 0; length <= 300; length++) {
      const text = Array.from({ length }, (_, i) => String.fromCharCode(32 + (i * 7 + length) % 90)).join("")
      assert.strictEqual(Key.sha256Hex(text), sha256(text))
      assert.strictEqual(Key.hmacSha256Hex(text, "message"), hmac(text, "message"))
      assert.strictEqual(Key.hmacSha256Hex("secret", text), hmac("secret", text))
    }
  })

  it.prop("agree with node:crypto on any text", [Schema.String, Schema.String], ([left, right]) => {
    for (const text of [left, "é" + left, JSON.stringify(left + "\uD800"), left + "\uDC00😀"]) {
      assert.strictEqual(Key.sha256Hex(text), sha256(text))
      assert.strictEqual(Key.hmacSha256Hex(right, text), hmac(right, text))
    }
  })
})
