/** What is remembered of URIs, and that strangers can't make it more than that. */
import { assert, describe, it } from "@effect/vitest"
import { Pages, places, words } from "../src/HttpPages.ts"

const made = (limits: { readonly pages?: number; readonly letters?: number; readonly variants?: number } = {}) => {
  const pages = new Pages<string>({ pages: 100, letters: 1000, variants: 3, ...limits })
  return { pages, note: (uri: string, name: string, fields = ["a"]) => pages.note(uri, fields, name, () => name) }
}

describe("the variants of a URI (section 2: variant explosion)", () => {
  it("are by what its last answer varied by", () => {
    const { note, pages } = made()
    note("/", "one")
    assert.deepStrictEqual([pages.fieldsOf("/"), pages.variantsOf("/")], [["a"], ["one"]])
    note("/", "two", ["a", "b"])
    assert.deepStrictEqual([pages.fieldsOf("/"), pages.variantsOf("/")], [["a", "b"], ["two"]])
    note("/", "all", [])
    assert.deepStrictEqual([pages.fieldsOf("/"), pages.variantsOf("/")], [[], []])
    note("/never", "all", [])
    assert.deepStrictEqual([pages.fieldsOf("/never"), pages.variantsOf("/never")], [[], []])
  })

  it("are no more than allowed: the one that was noted longest ago leaves", () => {
    const { note, pages } = made()
    const left = ["1", "2", "3", "1", "4", "5"].map((name) => note("/", name))
    assert.deepStrictEqual(left, [undefined, undefined, undefined, undefined, "2", "3"])
    assert.deepStrictEqual(pages.variantsOf("/"), ["1", "4", "5"])
  })

  it("are of no more URIs than allowed: the one that was noted longest ago is forgotten", () => {
    const { note, pages } = made({ pages: 2 })
    for (const uri of ["/1", "/2", "/1", "/3"]) note(uri, "v")
    assert.deepStrictEqual(["/1", "/2", "/3"].map((uri) => pages.fieldsOf(uri).length), [1, 0, 1])
  })

  it("are of no more letters than allowed, however often they are noted", () => {
    const { note, pages } = made({ letters: 50, variants: 100 })
    for (let i = 0; i < 100; i++) note("/same", "v")
    note("/1", "x".repeat(20))
    assert.deepStrictEqual(["/same", "/1"].map((uri) => pages.fieldsOf(uri).length), [1, 1])
    note("/2", "x".repeat(30))
    assert.deepStrictEqual(["/same", "/1", "/2"].map((uri) => pages.fieldsOf(uri).length), [0, 0, 1])
    note("/3", "x".repeat(60))
    assert.deepStrictEqual(pages.fieldsOf("/3"), [], "alone it is too much")
    note("/4", "x")
    assert.deepStrictEqual(pages.fieldsOf("/4"), ["a"], "and then there is room again")
  })
})

it("a URL is read once for all who ask by it of the same host", () => {
  const place = places("http")
  const ask = (url: string, host: string) => place({ method: "GET", url, headers: { host } })
  assert.strictEqual(ask("/a", "h.test"), ask("/a", "h.test"))
  assert.deepStrictEqual(["h.test", "other.test", "h.test"].map((host) => ask("/a", host)?.uri), [
    "http://h.test/a",
    "http://other.test/a",
    "http://h.test/a"
  ])
  assert.isUndefined(ask("/a", "no host"))
})

it("of the same text there is one, as long as it is no stranger's book", () => {
  const same = words()
  const long = "x".repeat(10_000)
  for (const text of ["a", "", "b", "a", long]) assert.strictEqual(same(text), text)
})
