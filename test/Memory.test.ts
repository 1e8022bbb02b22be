import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Ref, Schema } from "effect"
import * as Entry from "../src/Entry.ts"
import type * as Key from "../src/Key.ts"
import * as Memory from "../src/Memory.ts"
import * as Policy from "../src/Policy.ts"
import * as State from "../src/State.ts"

const policy: Policy.Policy = Policy.decode({ freshFor: 100, maxAge: 200, staleIfError: 300 }, {}, Infinity)
const bounds = Policy.bounds(policy)
const none: Entry.Terms = { ...bounds, tags: [], schema: undefined }
const life = 400

const tagged = (...tags: ReadonlyArray<string>): Entry.Terms => ({ ...bounds, tags, schema: undefined })
const entry = (value: string, options: { readonly bornAt?: number; readonly terms?: Entry.Terms } = {}) =>
  new Entry.Entry(value, options.bornAt ?? 0, 0, 0, -1, options.terms ?? none)

/** A memory that remembers what it evicted, with the verbs of a cache over it. */
class Table {
  readonly evicted: Array<readonly [Key.Name, string]> = []
  readonly memory: Memory.Memory<string>
  now = 0
  /** What was put last, which stays. */
  newcomer: Key.Name | undefined = undefined

  constructor(capacity: number, weightLimit = Infinity) {
    this.memory = new Memory.Memory(capacity, weightLimit, (cell, entry) => this.evicted.push([cell.key, entry.value]))
  }

  /** Applies an event of the machine. */
  apply(name: Key.Name, event: (state: State.State<string>) => State.State<string>, weight?: number): this {
    const next = event(this.memory.state(name))
    if (!State.isEmpty(next)) this.newcomer = name
    this.memory.put(name, next, this.now, weight)
    return this
  }

  write(name: Key.Name, weight?: number, terms = none, value = String(name)): this {
    return this.apply(name, (state) => State.written(state, entry(value, { bornAt: this.now, terms })), weight)
  }

  /** A flight begins; answers how it ends. */
  depart(name: Key.Name): (event: (state: State.State<string>, flight: object) => State.State<string>) => this {
    const flight = {}
    this.apply(name, (state) => State.departed(state, flight))
    return (event) => this.apply(name, (state) => event(state, flight))
  }

  mark(name: Key.Name): this {
    return this.apply(name, (state) => State.marked(state, this.now))
  }

  void(name: Key.Name): this {
    return this.apply(name, State.voided)
  }

  fail(name: Key.Name, until: number): this {
    const outcome = { retryAt: until, isAnswer: false, failure: undefined }
    return this.depart(name)((state, flight) => State.failed(state, flight, this.now, outcome))
  }

  keepFailure(name: Key.Name, until: number): this {
    const outcome = { retryAt: 0, isAnswer: false, failure: { cause: Cause.fail("no"), until } }
    return this.depart(name)((state, flight) => State.failed(state, flight, this.now, outcome))
  }

  pass(name: Key.Name, until: number): this {
    return this.apply(name, (state) => State.passed(state, until))
  }

  get names(): ReadonlyArray<Key.Name> {
    return this.memory.all().map(({ key }) => key)
  }

  has(name: Key.Name): boolean {
    return this.memory.find(name) !== undefined
  }

  /** What a key that is gone might leave behind. */
  get leftovers() {
    const { held, size, weight } = this.memory
    return {
      cells: this.memory.all().length,
      held,
      size,
      weight,
      tags: this.memory["tagged"].size,
      watched: this.memory["watchers"].size
    }
  }
}

const nothing = { cells: 0, held: 0, size: 0, weight: 0, tags: 0, watched: 0 }

describe("a cell", () => {
  it.effect("is the Ref of its key's state", () =>
    Effect.gen(function*() {
      const { memory } = new Table(10).write("a")
      const cell = memory.find("a") ?? assert.fail()
      assert.strictEqual(yield* Ref.get(cell), memory.state("a"))
      assert.strictEqual(Ref.getUnsafe(cell), memory.state("a"))
      assert.strictEqual((yield* Ref.get(cell)).entry?.value, "a")
      assert.strictEqual(memory.state("a"), memory.state("a").entry)
    }))

  it("of a key of which nothing is known does not exist", () => {
    const table = new Table(10)
    assert.isUndefined(table.memory.find("a"))
    assert.strictEqual(table.memory.state("a"), State.empty)
    table.void("a").mark("a")
    assert.isFalse(table.has("a"))
    table.write("a").void("a")
    assert.isFalse(table.has("a"))
    table.depart("a")(State.answered)
    assert.deepStrictEqual(table.leftovers, nothing)
  })

  it("R15: a commit goes through the map, and leaves a cell that was kept alone", () => {
    const table = new Table(10).write("a")
    const kept = table.memory.find("a") ?? assert.fail()
    table.void("a").write("a", 1, none, "again")
    assert.notStrictEqual(table.memory.find("a"), kept)
    assert.strictEqual(Ref.getUnsafe(kept), State.empty)
    const small = new Table(1).write("a")
    const evicted = small.memory.find("a") ?? assert.fail()
    small.write("b")
    assert.strictEqual(Ref.getUnsafe(evicted), State.empty)
    assert.strictEqual(evicted.weight, 0)
  })

  it("R16: keys that look alike have cells of their own", () => {
    const names = ["__proto__", "constructor", "", "1", 1, "0", 0, "undefined", "toString", "\0", "\uD800", "\uFFFD"]
    const table = new Table(100)
    for (const name of names) table.write(name, 1, none, `${typeof name} ${name}`)
    assert.strictEqual(table.memory.size, names.length)
    assert.deepStrictEqual(table.names, names)
    for (const name of names) assert.strictEqual(table.memory.state(name).entry?.value, `${typeof name} ${name}`)
    table.void("1")
    assert.isTrue(table.has(1))
    assert.isFalse(table.has("1"))
    assert.isFalse(table.has("hasOwnProperty"))
    assert.strictEqual(table.memory.find(-0), table.memory.find(0))
  })

  it("all cells are listed also while they change", () => {
    const table = new Table(10).write("a").write("b").write("c")
    for (const { key } of table.memory.all()) table.void(key)
    assert.deepStrictEqual(table.leftovers, nothing)
  })
})

describe("R15: capacity", () => {
  it("the oldest key without visits leaves, and is named with its entry", () => {
    const table = new Table(3).write("a").write("b").write("c").write("d")
    assert.deepStrictEqual(table.names, ["b", "c", "d"])
    assert.deepStrictEqual(table.evicted, [["a", "a"]])
    assert.deepStrictEqual([table.memory.size, table.memory.weight], [3, 3])
  })

  it("is kept by any number of writes", () => {
    const table = new Table(100)
    for (let i = 0; i < 10_000; i++) {
      table.write(i % 3 === 0 ? i % 500 : i)
      assert.isAtMost(table.memory.size, 100)
    }
    assert.strictEqual(table.memory.all().length, 100)
    assert.strictEqual(table.memory.size, 100)
  })

  it("writing a key again, marking or failing it takes no second place", () => {
    const table = new Table(2).write("a").write("b")
    table.write("a").write("b").mark("a").fail("b", 50).write("b")
    assert.deepStrictEqual(table.names, ["a", "b"])
    assert.deepStrictEqual(table.evicted, [])
  })

  it("a visited key stays, the next one leaves in its place", () => {
    const table = new Table(3).write("a").write("b").write("c")
    const cell = table.memory.find("a") ?? assert.fail()
    table.memory.visit(cell)
    table.memory.visit(cell)
    table.write("d")
    assert.deepStrictEqual(table.names, ["a", "c", "d"])
  })

  it("a dead entry leaves whatever its visits, before a live one behind it", () => {
    const visited = (table: Table) => {
      const cell = table.memory.find("a") ?? assert.fail()
      for (let i = 0; i < 3; i++) table.memory.visit(cell)
      return table
    }
    const table = visited(new Table(3).write("a"))
    table.now = life
    table.write("b").write("c").write("d")
    assert.deepStrictEqual(table.names, ["b", "c", "d"])
    const younger = visited(new Table(3).write("a"))
    younger.now = life - 1
    younger.write("b").write("c").write("d")
    assert.deepStrictEqual(younger.names, ["a", "c", "d"], "at its last millisecond it still stays")
  })

  it("what only keeps a failure or a pass that is over leaves whatever its visits; before, it stays", () => {
    for (const keep of ["keepFailure", "pass"] as const) {
      for (const [now, names] of [[50, ["b", "c", "d"]], [49, ["a", "c", "d"]]] as const) {
        const table = new Table(3)[keep]("a", 50)
        const cell = table.memory.find("a") ?? assert.fail(keep)
        for (let i = 0; i < 3; i++) table.memory.visit(cell)
        table.now = now
        table.write("b").write("c").write("d")
        assert.deepStrictEqual(table.names, names, `${keep} at ${now}`)
      }
    }
  })

  it("a kept failure and a pass count against the capacity, and leave without being told as entries", () => {
    const table = new Table(2).keepFailure("a", 50).pass("b", 50).keepFailure("c", 50).pass("d", 50)
    assert.deepStrictEqual(table.names, ["c", "d"])
    assert.strictEqual(table.memory.size, 2)
    assert.deepStrictEqual(table.evicted, [])
    assert.strictEqual(table.memory.weight, 0)
  })

  it("a cell with a flight is never evicted, and a flight alone takes no place", () => {
    const table = new Table(2).write("pinned")
    const land = table.depart("pinned")
    table.depart("loading")
    for (let i = 0; i < 1000; i++) table.write(i)
    assert.isTrue(table.has("pinned"))
    assert.isTrue(table.has("loading"))
    assert.strictEqual(table.memory.size, 2)
    land(State.answered)
    table.write("x").write("y")
    assert.isFalse(table.has("pinned"), "its flight over, it leaves like any other")
  })

  it("what was just put stays, though all others are pinned, until the next is put", () => {
    const table = new Table(1).write("pinned")
    const land = table.depart("pinned")
    table.write("a")
    assert.deepStrictEqual(table.names, ["pinned", "a"])
    table.write("b")
    assert.deepStrictEqual(table.names, ["pinned", "b"])
    land(State.answered)
    assert.deepStrictEqual(table.names, ["pinned"], "and no longer than that")
  })

  it("a key of which only a due flight is left takes no place, until it has a value again", () => {
    const table = new Table(1).write("a")
    table.depart("a")
    const due = {}
    table.apply("a", (state) => State.revalidated(state, due)).void("a").write("b")
    assert.deepStrictEqual([table.names, table.memory.size, table.evicted], [["a", "b"], 1, []])
    table.apply("a", (state) => State.loaded(state, due, entry("new")))
    assert.deepStrictEqual([table.names, table.memory.size, table.evicted], [["a"], 1, [["b", "b"]]])
  })

  it("with all pinned the memory grows, and shrinks when the flights end", () => {
    const table = new Table(2).write("a").write("b")
    const landings = ["a", "b"].map((name) => table.depart(name))
    const more = ["c", "d", "e"].map((name) => {
      const land = table.depart(name)
      table.apply(name, (state) => ({ ...state, entry: entry(name) }))
      return land
    })
    assert.strictEqual(table.memory.size, 5)
    assert.deepStrictEqual(table.evicted, [])
    for (const [index, land] of [...landings, ...more].entries()) {
      land(State.answered)
      assert.strictEqual(table.memory.size, Math.max(2, 5 - index))
    }
    assert.strictEqual(table.evicted.length, 3)
    assert.strictEqual(table.memory.all().length, 2)
    assert.strictEqual(table.memory.weight, 2)
  })

  it("a key that waits for another process' lease is one of those that are held", () => {
    const table = new Table(2).write("a")
    table.depart("b")((state, flight) => State.yielded(state, flight, 50))
    assert.deepStrictEqual([table.memory.size, table.memory.weight], [2, 1])
    table.void("b")
    assert.deepStrictEqual([table.memory.size, table.memory.held], [1, 0])
  })

  it("keys that only wait for another process' lease leave within capacity too", () => {
    const table = new Table(2)
    for (let i = 0; i < 100; i++) {
      table.now = i
      table.depart(i)((state, flight) => State.yielded(state, flight, i + 1))
    }
    assert.isAtMost(table.memory.all().length, 2)
  })
})

describe("R15: weight", () => {
  it("what no longer fits leaves until the rest does", () => {
    const table = new Table(100, 100).write("a", 40).write("b", 40).write("c", 20)
    assert.deepStrictEqual([table.names.length, table.memory.weight], [3, 100])
    table.write("d", 60)
    assert.deepStrictEqual(table.names, ["c", "d"])
    assert.strictEqual(table.memory.weight, 80)
    assert.deepStrictEqual(table.evicted, [["a", "a"], ["b", "b"]])
  })

  it("a value fits up to the limit", () => {
    const { memory } = new Table(100, 100)
    assert.isTrue(memory.fits(100))
    assert.isFalse(memory.fits(100.5))
    assert.isFalse(memory.fits(Infinity))
    assert.isTrue(new Table(100).memory.fits(Number.MAX_VALUE))
  })

  it("is 1 where none is given", () => {
    assert.strictEqual(new Table(10).write("a").write("b").memory.weight, 2)
  })

  it("a replaced entry weighs what the new one does", () => {
    const table = new Table(100, 100).write("a", 40).write("b", 10)
    assert.strictEqual(table.write("a", 30).memory.weight, 40)
    assert.strictEqual(table.write("a", 30).memory.weight, 40)
    assert.strictEqual(table.write("a", 0).memory.weight, 10)
    assert.strictEqual(table.memory.find("a")?.weight, 0)
    table.write("a", 95)
    assert.isAtMost(table.memory.weight, 100)
  })

  it("a mark changes no weight", () => {
    const table = new Table(100, 100).write("a", 40)
    assert.strictEqual(table.mark("a").memory.weight, 40)
    assert.strictEqual(table.mark("a").memory.weight, 40)
    assert.strictEqual(table.write("a", 7).memory.weight, 7)
  })

  it("another schema for the same value changes no weight", () => {
    const table = new Table(100, 100).write("a", 40)
    table.apply("a", (state) => State.rebound(state, { ...none, schema: "another" }))
    assert.strictEqual(table.memory.weight, 40)
  })

  it("another schema for a marked value changes no weight", () => {
    const table = new Table(100, 100).write("a", 40).mark("a")
    table.apply("a", (state) => State.rebound(state, { ...none, schema: "another" }))
    assert.strictEqual(table.memory.weight, 40)
  })

  it("the same value loaded again, under another schema, is a new entry", () => {
    const table = new Table(100, 100).write("a", 40)
    const seen: Array<string | undefined> = []
    table.memory.watch("a", (entry) => seen.push(entry?.value))
    table.now = 1
    table.write("a", 30, { ...none, schema: "another" })
    assert.deepStrictEqual([table.memory.weight, seen], [30, ["a"]])
    table.write("a", 20, none, "another value of the same moment")
    assert.deepStrictEqual([table.memory.weight, seen.length], [20, 2])
  })

  it("a marked value written again is a new entry", () => {
    const table = new Table(100, 100).write("a", 40).mark("a")
    const seen: Array<string | undefined> = []
    table.memory.watch("a", (entry) => seen.push(entry?.value))
    table.write("a", 30)
    assert.deepStrictEqual([table.memory.weight, seen], [30, ["a"]])
    // A store may answer an entry that is marked already.
    table.mark("a").apply("a", () => new Entry.Entry("a", 0, 1, 0, 5, none), 20)
    assert.deepStrictEqual([table.memory.weight, seen], [20, ["a", "a"]])
  })

  it("flights, failures and passes weigh nothing", () => {
    const table = new Table(100, 100).write("a", 40)
    table.fail("a", 50)
    assert.strictEqual(table.memory.weight, 40)
    table.depart("b")
    table.keepFailure("c", 50).pass("d", 50)
    assert.strictEqual(table.memory.weight, 40)
    table.pass("a", 50)
    assert.strictEqual(table.memory.weight, 0)
  })

  it("goes with the entry: voided, refused, evicted", () => {
    const table = new Table(2, 100).write("a", 40).void("a").write("b", 30)
    assert.strictEqual(table.memory.weight, 30)
    table.depart("b")(State.refused)
    assert.strictEqual(table.memory.weight, 0)
    table.write("c", 10).write("d", 20).write("e", 30)
    assert.deepStrictEqual(table.names, ["d", "e"])
    assert.strictEqual(table.memory.weight, 50)
  })

  it("a pinned entry stays however heavy, and leaves when its flight has ended", () => {
    const table = new Table(100, 100).write("a", 90)
    const land = table.depart("a")
    table.write("b", 90)
    assert.deepStrictEqual([table.names, table.memory.weight], [["a", "b"], 180])
    table.write("c", 10)
    assert.deepStrictEqual([table.names, table.memory.weight], [["a", "c"], 100])
    land(State.answered)
    table.write("d", 90)
    assert.deepStrictEqual([table.names, table.memory.weight], [["d"], 90])
  })
})

describe("R11: tags", () => {
  const bearing = (table: Table, tag: string) => table.memory.withTag(tag).map(({ key }) => key)

  it("find the keys whose entry bears them", () => {
    const table = new Table(10).write("a", 1, tagged("x", "y")).write("b", 1, tagged("y")).write("c")
    assert.deepStrictEqual([bearing(table, "x"), bearing(table, "y"), bearing(table, "z")], [["a"], ["a", "b"], []])
  })

  it("of a replaced entry are those of the new one", () => {
    const table = new Table(10).write("a", 1, tagged("x", "y"))
    table.write("a", 1, tagged("y", "z"))
    assert.deepStrictEqual([bearing(table, "x"), bearing(table, "y"), bearing(table, "z")], [[], ["a"], ["a"]])
    table.write("a")
    assert.strictEqual(table.leftovers.tags, 0)
  })

  it("stay through marks, flights and another schema", () => {
    const table = new Table(10).write("a", 1, tagged("x")).mark("a")
    const land = table.depart("a")
    assert.deepStrictEqual(bearing(table, "x"), ["a"])
    land(State.answered)
    table.apply("a", (state) => State.rebound(state, { ...tagged("x"), schema: "another" }))
    assert.deepStrictEqual(bearing(table, "x"), ["a"])
    const shared = tagged("x")
    table.write("a", 1, shared).write("a", 1, shared)
    assert.deepStrictEqual(bearing(table, "x"), ["a"])
  })

  it("leave nothing behind: voided, evicted, answered by a pass, named twice", () => {
    for (
      const end of [
        (table: Table) => table.void("a"),
        (table: Table) => table.write("b").write("c"),
        (table: Table) => table.pass("a", 50),
        (table: Table) => table.depart("a")(State.refused)
      ]
    ) {
      const table = end(new Table(1).write("a", 1, tagged("x", "y", "x")))
      assert.deepStrictEqual(bearing(table, "x"), [])
      assert.strictEqual(table.leftovers.tags, 0)
    }
  })

  it("one key gone, the others keep the tag", () => {
    const table = new Table(10).write("a", 1, tagged("x")).write("b", 1, tagged("x")).void("a")
    assert.deepStrictEqual(bearing(table, "x"), ["b"])
  })

  it("may be void while they are listed, and look like anything", () => {
    const table = new Table(10).write("a", 1, tagged("__proto__", "")).write("b", 1, tagged("__proto__"))
    for (const { key } of table.memory.withTag("__proto__")) table.void(key)
    assert.deepStrictEqual(table.leftovers, nothing)
    assert.deepStrictEqual(bearing(table, "constructor"), [])
  })
})

describe("R11: notes of tags", () => {
  it("tell the latest invalidation among some tags, 0 for none", () => {
    const { memory } = new Table(10)
    assert.strictEqual(memory.noted(["x"]), 0)
    assert.strictEqual(memory.noted([]), 0)
    memory.note("x")
    assert.deepStrictEqual([memory.noted(["x"]), memory.clock], [1, 1])
    memory.note("y")
    memory.note("x")
    memory.note("y")
    assert.deepStrictEqual([memory.noted(["x"]), memory.noted(["y"]), memory.noted(["x", "y"])], [3, 4, 4])
    assert.strictEqual(memory.noted(["y", "x"]), 4)
    assert.strictEqual(memory.noted(["z"]), 0)
    assert.strictEqual(memory.noted([]), 0)
  })

  it("count on from where the clock stands", () => {
    const { memory } = new Table(10)
    memory.clock = 41
    memory.note("x")
    assert.strictEqual(memory.noted(["x"]), 42)
  })

  it("go to 1,024 slots: two tags in one void too much, never too little", () => {
    const { memory } = new Table(10)
    memory.note("x")
    const tags = Array.from({ length: 20_000 }, (_, i) => `tag ${i}`)
    const sharing = tags.filter((tag) => memory.noted([tag]) !== 0)
    assert.isAbove(sharing.length, 0, "some share the slot of x")
    assert.isBelow(sharing.length, 100, "few do")
    for (const [index, tag] of tags.entries()) {
      memory.note(tag)
      assert.strictEqual(memory.noted([tag]), index + 2)
    }
    for (const [index, tag] of tags.entries()) assert.isAtLeast(memory.noted([tag]), index + 2)
    assert.strictEqual(memory["notes"]["slots"]?.length, 1024)
    assert.isAbove(new Set(tags.map((tag) => memory.noted([tag]))).size, 1000, "nearly all of them are used")
  })

  it("know tags of any text", () => {
    const { memory } = new Table(10)
    for (const tag of ["", "\0", "\uD800", "é😀", "x".repeat(10_000)]) {
      memory.note(tag)
      assert.strictEqual(memory.noted([tag]), memory.clock)
    }
  })
})

describe("watchers", () => {
  const watch = (table: Table, name: Key.Name) => {
    const seen: Array<string | undefined> = []
    return { seen, unwatch: table.memory.watch(name, (entry) => seen.push(entry?.value)) }
  }

  it("are told each commit and void of their key", () => {
    const table = new Table(10)
    const { seen } = watch(table, "a")
    table.write("a", 1, none, "one").write("b")
    table.depart("a")((state, flight) => State.loaded(state, flight, entry("two")))
    table.write("a", 1, none, "two").void("a").void("a").write("a", 1, none, "three")
    assert.deepStrictEqual(seen, ["one", "two", "two", undefined, "three"])
  })

  it("are told of no flight, failure, mark or eviction", () => {
    const table = new Table(1).write("a")
    const { seen } = watch(table, "a")
    table.mark("a").fail("a", 50)
    table.depart("a")(State.abandoned)
    table.keepFailure("a", 50).write("b")
    assert.isFalse(table.has("a"))
    assert.deepStrictEqual(seen, [])
  })

  it("are not told of another schema for the same value: nothing came or went", () => {
    const table = new Table(10).write("a")
    const { seen } = watch(table, "a")
    table.apply("a", (state) => State.rebound(state, { ...none, schema: "another" }))
    assert.deepStrictEqual(seen, [])
  })

  it("find the memory already changed", () => {
    const table = new Table(10)
    const seen: Array<string | undefined> = []
    table.memory.watch("a", () => seen.push(table.memory.state("a").entry?.value))
    table.write("a").void("a")
    assert.deepStrictEqual(seen, ["a", undefined])
  })

  it("are several to a key, each until it leaves", () => {
    const table = new Table(10)
    const [one, two] = [watch(table, "a"), watch(table, "a")]
    table.write("a", 1, none, "1")
    one.unwatch()
    table.write("a", 1, none, "2")
    assert.deepStrictEqual([one.seen, two.seen], [["1"], ["1", "2"]])
  })

  it("leave nothing behind, also when they leave twice", () => {
    const table = new Table(10)
    const [one, two] = [watch(table, "a"), watch(table, "a")]
    one.unwatch()
    assert.strictEqual(table.leftovers.watched, 1)
    two.unwatch()
    assert.deepStrictEqual(table.leftovers, nothing)
    const three = watch(table, "a")
    one.unwatch()
    two.unwatch()
    table.write("a")
    assert.deepStrictEqual(three.seen, ["a"])
  })

  it("may watch a key that is never known", () => {
    const table = new Table(10)
    const { seen, unwatch } = watch(table, "a")
    table.void("a").mark("a")
    assert.deepStrictEqual(seen, [])
    assert.isFalse(table.has("a"))
    unwatch()
    assert.deepStrictEqual(table.leftovers, nothing)
  })
})

describe("R15: how many keys back off", () => {
  it("is counted from the first failure to whatever ends it", () => {
    const ends: Record<string, (table: Table) => Table> = {
      written: (table) => table.write("a"),
      loaded: (table) => table.depart("a")((state, flight) => State.loaded(state, flight, entry("new"))),
      voided: (table) => table.void("a"),
      passed: (table) => table.pass("a", 50),
      evicted: (table) => table.write("b").write("c")
    }
    for (const [name, end] of Object.entries(ends)) {
      const table = new Table(1).write("a").fail("a", 50)
      assert.strictEqual(table.memory.held, 1)
      assert.strictEqual(table.fail("a", 90).mark("a").memory.held, 1, "the same key")
      assert.strictEqual(end(table).memory.held, 0, name)
    }
  })

  it("counts each key once", () => {
    const table = new Table(10).write("a").write("b").fail("a", 50).fail("b", 50)
    assert.strictEqual(table.memory.held, 2)
    assert.strictEqual(table.void("a").memory.held, 1)
  })
})

describe("close", () => {
  it("forgets everything without a word, and what comes late finds an empty memory", () => {
    const table = new Table(10, 100).write("a", 40, tagged("x")).fail("a", 50).write("b")
    const seen: Array<unknown> = []
    table.memory.watch("a", (entry) => seen.push(entry))
    table.memory.close()
    assert.deepStrictEqual(table.leftovers, nothing)
    assert.deepStrictEqual([seen, table.evicted], [[], []])
    assert.deepStrictEqual(table.memory.withTag("x"), [])
    table.write("a", 5, tagged("x")).void("a")
    assert.deepStrictEqual(table.leftovers, nothing)
  })
})

describe("any sequence of events", () => {
  const Step = Schema.Struct({
    verb: Schema.Literals([
      "write",
      "write",
      "mark",
      "void",
      "depart",
      "land",
      "fail",
      "keepFailure",
      "pass",
      "yield",
      "visit"
    ]),
    name: Schema.Literals(["a", "b", "c", "d", 1, "1"]),
    weight: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
    tags: Schema.Array(Schema.Literals(["x", "y"])),
    wait: Schema.Literals([0, 0, 1, 100])
  })
  it.prop("leaves size, weight, tags and back-offs as the cells say, within the bounds", [Schema.Array(Step)], ([
    steps
  ]) => {
    const table = new Table(3, 100)
    const weights = new Map<Key.Name, number>()
    for (const { name, tags, verb, wait, weight } of steps) {
      table.now += wait
      const { memory } = table
      const before = memory.state(name)
      if (verb === "write") {
        weights.set(name, weight)
        table.write(name, weight, tagged(...tags))
      } else if (verb === "land") {
        weights.set(name, weight)
        const { flight } = before
        if (flight !== undefined) {
          const value = entry("landed", { bornAt: table.now, terms: tagged(...tags) })
          table.apply(name, (state) => State.loaded(state, flight, value), weight)
        } else weights.set(name, memory.find(name)?.weight ?? 0)
      } else if (verb === "depart") {
        if (before.flight === undefined) table.depart(name)
      } else if (verb === "fail" || verb === "keepFailure") table[verb](name, table.now + 50)
      else if (verb === "pass") table.pass(name, table.now + 50)
      else if (verb === "yield") {
        table.depart(name)((state, flight) => State.yielded(state, flight, table.now + 50))
      } else if (verb === "visit") {
        const cell = memory.find(name)
        if (cell !== undefined) memory.visit(cell)
      } else table[verb](name)

      const cells = memory.all()
      const entries = cells.filter((cell) => Ref.getUnsafe(cell).entry !== undefined)
      const sum = entries.reduce((sum, { key }) => sum + (weights.get(key) ?? 0), 0)
      assert.strictEqual(memory.weight, sum, "the weight")
      const isPinned = (cell: Memory.Cell<string>) => Ref.getUnsafe(cell).flight !== undefined
      const kept = cells.filter((cell) => {
        const { entry, failure, hold, passUntil } = Ref.getUnsafe(cell)
        return entry !== undefined || failure !== undefined || hold !== undefined || passUntil !== 0
      })
      assert.strictEqual(memory.size, kept.length, "the size")
      const free = kept.filter((cell) => !isPinned(cell) && cell.key !== table.newcomer)
      if (free.length > 0) assert.isAtMost(memory.size, 3, "the capacity")
      if (free.length > 0) assert.isAtMost(memory.weight, 100, "the weight limit")
      const holds = cells.flatMap((cell) => Ref.getUnsafe(cell).hold ?? [])
      assert.isAtLeast(memory.held, holds.filter(({ failures }) => failures > 0).length, "the back-offs")
      assert.isAtMost(memory.held, holds.length, "the back-offs")
      for (const tag of ["x", "y"]) {
        const bearing = entries.filter((cell) => Ref.getUnsafe(cell).entry?.terms.tags.includes(tag))
        const names = (some: ReadonlyArray<Memory.Cell<string>>) => some.map(({ key }) => `${typeof key} ${key}`)
        assert.deepStrictEqual(names(memory.withTag(tag)).toSorted(), names(bearing).toSorted(), "the tags")
      }
      for (const cell of cells) assert.isFalse(State.isEmpty(Ref.getUnsafe(cell)), "no empty cell is kept")
    }
    for (const name of table.names) table.void(name)
    for (const name of table.names) table.apply(name, (state) => State.abandoned(state, state.flight ?? {}))
    assert.deepStrictEqual(table.leftovers, nothing)
  }, { arbitrary: { runs: 500 } })
})
