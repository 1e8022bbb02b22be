/**
 * The lists against a naive model, the rules one by one, and hit ratios against LRU on generated traces.
 */
import { assert, describe, it } from "@effect/vitest"
import { Eviction, type Node, visit } from "../src/Eviction.ts"

type Key = string | number

class Cell implements Node<Cell> {
  readonly key: Key
  prev: Cell | undefined = undefined
  next: Cell | undefined = undefined
  queue = 0
  visits = 0
  pinned = false
  expired = false
  constructor(key: Key) {
    this.key = key
  }
}

const onProbation = 1
const inMain = 2

const isPinned = (cell: Cell) => cell.pinned
const isExpired = (cell: Cell) => cell.expired
const never = () => false
const always = () => true

const random = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0
    // The low bits of an LCG repeat early.
    return Math.floor(((state ^ state >>> 15) >>> 0) / 2 ** 32 * below)
  }
}

/** Holds a cell per key, as the memory does: add, then evict what is too much. */
const table = (capacity: number) => {
  const eviction = new Eviction<Cell>(capacity)
  const held = new Map<Key, Cell>()
  const get = (key: Key): Cell => {
    const known = held.get(key)
    if (known !== undefined) {
      visit(known)
      return known
    }
    const cell = new Cell(key)
    held.set(key, cell)
    eviction.add(cell)
    while (eviction.size > capacity) {
      const left = eviction.evict(isPinned, isExpired)
      if (left === undefined) break
      held.delete(left.key)
    }
    return cell
  }
  return { eviction, held, get }
}

/** The policy once more, over arrays (newest first) and with its own count of visits; it only trusts the ghosts. */
class Model {
  readonly probation: Array<Cell> = []
  readonly main: Array<Cell> = []
  readonly visits = new Map<Cell, number>()
  readonly ghosts = new Set<Key>()

  get cells(): ReadonlyArray<Cell> {
    return [...this.probation, ...this.main]
  }

  remove(cell: Cell): void {
    for (const queue of [this.probation, this.main]) {
      const at = queue.indexOf(cell)
      if (at >= 0) queue.splice(at, 1)
    }
  }

  sweep(queue: Array<Cell>, share: number): Cell | undefined {
    for (let skipped = 0; skipped < queue.length && queue.length > share;) {
      const needed = queue.length < this.main.length ? 2 : 1
      const cell = queue.pop()
      if (cell === undefined) break
      const visits = this.visits.get(cell) ?? 0
      if (cell.pinned) {
        queue.unshift(cell)
        skipped++
      } else if (visits < needed || cell.expired) {
        if (queue === this.probation) this.ghosts.add(cell.key)
        return cell
      } else {
        this.visits.set(cell, Math.floor(visits / 2))
        this.main.unshift(cell)
        skipped = 0
      }
    }
    return undefined
  }

  evict(capacity: number): Cell | undefined {
    const share = Math.max(1, 0.05 * Math.min(capacity, this.cells.length))
    return this.sweep(this.probation, share) ?? this.sweep(this.main, 0) ?? this.sweep(this.probation, 0) ??
      this.sweep(this.main, 0)
  }

  /** Every link of every cell is what the arrays say. */
  check(eviction: Eviction<Cell>): void {
    assert.strictEqual(eviction.size, this.probation.length + this.main.length)
    for (const [name, queue] of [[onProbation, this.probation], [inMain, this.main]] as const) {
      for (const [at, cell] of queue.entries()) {
        const right = cell.queue === name && cell.prev === queue[at - 1] && cell.next === queue[at + 1] &&
          cell.visits === (this.visits.get(cell) ?? 0) && eviction.has(cell)
        if (!right) assert.fail(`the cell of key ${cell.key} is not where the model has it`)
      }
    }
  }
}

const assertLoose = (cell: Cell) =>
  assert.deepStrictEqual([cell.prev, cell.next, cell.queue], [undefined, undefined, 0])

describe("Eviction: the lists", () => {
  for (const capacity of [1, 2, 3, 10, 40, 60, Infinity]) {
    it(`agrees with a naive model under random operations, capacity ${capacity}`, () => {
      const below = random(capacity === Infinity ? 99 : capacity)
      const eviction = new Eviction<Cell>(capacity)
      const model = new Model()
      // Far more than the capacity at times, as if pins were in the way.
      const keys = Math.min(capacity, 60) * 4
      const cells = Array.from({ length: keys }, (_, key) => new Cell(key))
      let ghosts = 0
      for (let step = 0; step < 6_000; step++) {
        const cell = cells[below(keys)] ?? assert.fail()
        const dice = below(100)
        if (dice < 40) {
          const before = eviction.has(cell)
          assert.strictEqual(before, model.cells.includes(cell))
          eviction.add(cell)
          if (!before) {
            // The ghosts forget some keys, which key depends on their hash; they must not make any up.
            if (cell.queue === inMain) {
              assert.isTrue(model.ghosts.delete(cell.key))
              ghosts++
            }
            const queue = cell.queue === inMain ? model.main : model.probation
            queue.unshift(cell)
          }
        } else if (dice < 70) {
          visit(cell)
          model.visits.set(cell, Math.min(3, (model.visits.get(cell) ?? 0) + 1))
        } else if (dice < 74) {
          eviction.remove(cell)
          model.remove(cell)
          assertLoose(cell)
        } else if (dice < 78) cell.pinned = !cell.pinned && below(2) === 0
        else if (dice < 82) cell.expired = !cell.expired && below(2) === 0
        else if (dice < 99 || step % 10 > 0) {
          const held = eviction.size
          const stuck = model.cells.every(isPinned)
          const left = eviction.evict(isPinned, isExpired)
          assert.strictEqual(left, model.evict(capacity))
          assert.strictEqual(left === undefined, stuck)
          if (left !== undefined) {
            assert.isFalse(left.pinned)
            assert.strictEqual(eviction.size, held - 1)
            assertLoose(left)
          }
        } else {
          eviction.clear()
          model.cells.forEach(assertLoose)
          model.main.length = model.probation.length = 0
          model.ghosts.clear()
        }
        model.check(eviction)
      }
      assert.isAbove(ghosts, 0)
    })
  }

  it("holds a node once, and lets go of it once", () => {
    const eviction = new Eviction<Cell>(10)
    const [a, b, c] = [new Cell("a"), new Cell("b"), new Cell("c")]
    for (const cell of [a, b, c, a, b, c]) eviction.add(cell)
    assert.strictEqual(eviction.size, 3)
    eviction.remove(b)
    eviction.remove(b)
    assert.isFalse(eviction.has(b))
    assert.strictEqual(eviction.size, 2)
    assert.strictEqual(c.next, a)
    assert.strictEqual(a.prev, c)
    assertLoose(b)
  })

  it("forgets nodes and ghosts when cleared, and no node keeps its neighbours", () => {
    const { eviction, get, held } = table(10)
    const cells = Array.from({ length: 30 }, (_, i) => get(i % 12))
    eviction.clear()
    assert.strictEqual(eviction.size, 0)
    cells.forEach(assertLoose)
    assert.isUndefined(eviction.evict(never, never))
    held.clear()
    for (let key = 0; key < 10; key++) assert.strictEqual(get(key).queue, onProbation)
  })
})

describe("Eviction: who leaves", () => {
  it("is the oldest of those nobody visited; the last on probation is given time", () => {
    const eviction = new Eviction<Cell>(4)
    const cells = [1, 2, 3, 4].map((key) => new Cell(key))
    for (const cell of cells) eviction.add(cell)
    for (const cell of cells.slice(0, 2)) visit(cell)
    assert.deepStrictEqual([1, 2, 3, 4].map(() => eviction.evict(never, never)?.key), [3, 1, 2, 4])
    assert.isUndefined(eviction.evict(never, never))
  })

  it("counts visits up to 3, which is two more rounds in the main queue", () => {
    const cell = new Cell("a")
    for (let i = 0; i < 10; i++) visit(cell)
    assert.strictEqual(cell.visits, 3)
  })

  it("is never a pinned one, however many keys come by", () => {
    const { eviction, get, held } = table(50)
    const kept = Array.from({ length: 20 }, (_, i) => get(`kept ${i}`))
    for (const cell of kept) cell.pinned = true
    for (let key = 0; key < 2_000; key++) get(key)
    for (const cell of kept) assert.isTrue(eviction.has(cell) && held.get(cell.key) === cell)
    assert.strictEqual(eviction.size, 50)
  })

  it("is nobody when all are pinned, and the first that is let go of after that", () => {
    const { eviction, get } = table(100)
    const cells = Array.from({ length: 100 }, (_, key) => get(key))
    for (let i = 0; i < 3; i++) for (const cell of cells) if (Number(cell.key) % 2 === 0) visit(cell)
    for (const cell of cells) cell.pinned = true
    for (let i = 0; i < 5; i++) assert.isUndefined(eviction.evict(isPinned, isExpired))
    assert.isUndefined(eviction.evict(isPinned, always), "nor when they are expired")
    assert.strictEqual(eviction.size, 100)
    for (const key of [42, 43]) {
      const cell = get(key)
      cell.pinned = false
      assert.strictEqual(eviction.evict(isPinned, isExpired), cell)
    }
  })

  it("is the expired one among those it meets, whatever its visits", () => {
    const eviction = new Eviction<Cell>(6)
    const cells = Array.from({ length: 6 }, (_, key) => new Cell(key))
    for (const cell of cells) {
      eviction.add(cell)
      for (let i = 0; i < 3; i++) visit(cell)
    }
    const [, , third] = cells
    assert.strictEqual(eviction.evict(never, (cell) => cell === third), third)
    assert.isTrue(cells.every((cell) => cell === third || cell.visits > 0), "the others are not worn down by it")
    assert.strictEqual(
      eviction.evict((cell) => cell === cells[3], (cell) => cell === cells[3] || cell === cells[4]),
      cells[4]
    )
  })

  it("meets each key once in a while: expired ones do not pile up behind visited ones", () => {
    const { eviction, get, held } = table(100)
    for (let key = 0; key < 100; key++) for (let i = 0; i < 4; i++) get(key)
    for (let key = 0; key < 100; key += 2) get(key).expired = true
    for (let key = 100; key < 250; key++) for (let i = 0; i < 4; i++) get(key)
    assert.isFalse([...held.values()].some(isExpired))
    assert.strictEqual(eviction.size, 100)
  })

  it("a flood of pins costs a call a bounded walk, and the next calls go on from there", () => {
    const eviction = new Eviction<Cell>(1_000)
    const cells = Array.from({ length: 20_000 }, (_, key) => new Cell(key))
    for (const cell of cells) eviction.add(cell)
    let asked = 0
    const last = cells.at(-1)
    const pinned = (cell: Cell) => {
      asked++
      return cell !== last
    }
    let calls = 0
    let left: Cell | undefined
    while (left === undefined && calls < 1_000) {
      left = eviction.evict(pinned, never)
      calls++
      assert.isAtMost(asked, 3 * 256 * calls)
    }
    assert.strictEqual(left, last)
    assert.isAtMost(calls, Math.ceil(20_000 / 256))
  })

  it("takes on average a few steps, also where nearly everything is visited", () => {
    const { eviction } = table(0)
    const below = random(5)
    const cells: Array<Cell> = []
    let asked = 0
    let paid = 0
    const pinned = () => {
      asked++
      return false
    }
    for (let key = 0; key < 50_000; key++) {
      const cell = new Cell(key)
      cells.push(cell)
      eviction.add(cell)
      paid++
      for (let i = 0; i < 3; i++) {
        const seen = cells[below(cells.length)]
        if (seen === undefined) continue
        visit(seen)
        paid++
      }
      if (eviction.size > 1_000) eviction.evict(pinned, never)
    }
    assert.isAtMost(asked, 2 * paid)
  })
})

describe("Eviction: ghosts", () => {
  /** Which queue a key goes to when it returns after another (or the same) left on probation. */
  const returnsTo = (left: Key, returned: Key) => {
    const eviction = new Eviction<Cell>(10)
    eviction.add(new Cell(left))
    assert.strictEqual(eviction.evict(never, never)?.key, left)
    const cell = new Cell(returned)
    eviction.add(cell)
    return cell.queue
  }

  const long = "k".repeat(10_000)
  const odd = ["", " ", "\0", "\ud800", "\udfff", "a\ud83d", "\ud83d\ude00", long, 0, -1, 1.5, 2 ** 53, -1e300, 5e-324]

  it("a key that left on probation goes to the main queue when it returns, whatever its text", () => {
    for (const key of odd) assert.strictEqual(returnsTo(key, key), inMain)
  })

  it("another key does not, however alike", () => {
    for (const one of odd) for (const two of odd) if (one !== two) assert.strictEqual(returnsTo(one, two), onProbation)
    assert.strictEqual(returnsTo("\ud800", "\ud801"), onProbation)
    assert.strictEqual(returnsTo(long, `${long}k`), onProbation)
    assert.strictEqual(returnsTo("ab", "ba"), onProbation)
  })

  it("is one once", () => {
    const eviction = new Eviction<Cell>(10)
    const cell = new Cell("a")
    for (const queue of [onProbation, inMain, onProbation]) {
      eviction.add(cell)
      assert.strictEqual(cell.queue, queue)
      assert.strictEqual(eviction.evict(never, never), cell)
    }
  })

  it("a key whose hash is 0 is not taken for one", () => {
    const eviction = new Eviction<Cell>(10)
    eviction.add(new Cell("a"))
    eviction.evict(never, never)
    const cells = ["a", "key:238864\u7ae3"].map((key) => new Cell(key))
    for (const cell of cells) eviction.add(cell)
    assert.deepStrictEqual(cells.map((cell) => cell.queue), [inMain, onProbation])
  })

  it("a removed key is none", () => {
    const eviction = new Eviction<Cell>(10)
    const cells = ["a", "b"].map((key) => new Cell(key))
    for (const cell of cells) eviction.add(cell)
    assert.strictEqual(eviction.evict(never, never)?.key, "a")
    for (const cell of cells) eviction.remove(cell)
    for (const cell of cells) eviction.add(cell)
    assert.deepStrictEqual(cells.map((cell) => cell.queue), [inMain, onProbation])
  })

  it("remembers about as many keys as are held, of every sort, and makes none up", () => {
    const sorts: ReadonlyArray<(i: number) => Key> = [
      (i) => i,
      (i) => i / 7,
      (i) => `namespace:product:${i}`,
      (i) => `${i}:price`,
      (i) => String.fromCharCode(0x4e00 + 256 * (i % 80), 0x4e00 + 256 * (Math.floor(i / 80) % 80), i >>> 15),
      (i) => "x".repeat(i)
    ]
    for (const sort of sorts) {
      const eviction = new Eviction<Cell>(Infinity)
      const count = 1_000
      for (let i = 0; i < count; i++) eviction.add(new Cell(sort(i)))
      for (let i = 0; i < count; i++) eviction.evict(never, never)
      const returning = (from: number) => {
        const cells = Array.from({ length: count }, (_, i) => new Cell(sort(from + i)))
        for (const cell of cells) eviction.add(cell)
        return cells.filter((cell) => cell.queue === inMain).length
      }
      // Of n keys thrown into n slots, 63 % are found again.
      assert.isAbove(returning(0), 0.55 * count)
      assert.strictEqual(returning(count), 0)
    }
  })
})

describe("Eviction: very small and very large", () => {
  for (const capacity of [1, 2]) {
    it(`works at capacity ${capacity}, whether a key is added before or after another leaves`, () => {
      const first = new Eviction<Cell>(capacity)
      const second = new Eviction<Cell>(capacity)
      const below = random(capacity)
      for (let i = 0; i < 1_000; i++) {
        const [one, other] = [new Cell(below(5)), new Cell(below(5))]
        first.add(one)
        if (first.size > capacity) assert.isDefined(first.evict((cell) => cell === one, never))
        if (second.size === capacity) assert.isDefined(second.evict(never, never))
        second.add(other)
        for (let visits = below(4); visits > 0; visits--) [one, other].forEach(visit)
        assert.isTrue(first.has(one) && second.has(other))
        assert.isTrue(first.size <= capacity && second.size <= capacity)
      }
    })
  }

  it("without a capacity, the shares are those of what is held: a scan leaves the favourites alone", () => {
    const eviction = new Eviction<Cell>(Infinity)
    const favourites = Array.from({ length: 100 }, (_, key) => new Cell(key))
    for (const cell of favourites) eviction.add(cell)
    for (let key = 100; key < 10_000; key++) {
      eviction.add(new Cell(key))
      if (key % 50 === 0) favourites.forEach(visit)
      if (eviction.size > 200) eviction.evict(never, never)
    }
    assert.isTrue(favourites.every((cell) => eviction.has(cell)))
    assert.strictEqual(eviction.size, 200)
  })
})

// ----- hit ratios

const keys = 100_000
const capacities = [100, 1_000, 10_000]

type Trace = Int32Array<ArrayBuffer>

const trace = (length: number, next: (at: number) => number): Trace => Int32Array.from({ length }, (_, at) => next(at))

/** Ranks 0, 1, 2, ... with probabilities as 1, 1 / 2 ** exponent, 1 / 3 ** exponent, ... */
const zipf = (exponent: number, seed: number) => {
  const below = random(seed)
  const sums = new Float64Array(keys)
  let sum = 0
  for (let rank = 0; rank < keys; rank++) sums[rank] = sum += (rank + 1) ** -exponent
  return (): number => {
    const drawn = below(2 ** 32) / 2 ** 32 * sum
    let [low, high] = [0, keys - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? 0) < drawn) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Zipf, and 40 % of the time one sequential pass over keys never asked for before, each `times` in a row. */
const scans = (length: number, times: number): Trace => {
  const next = zipf(0.99, 7)
  let scanned = keys * times
  return trace(length, (at) => at % 50_000 < 30_000 ? next() : Math.floor(scanned++ / times))
}

const shifting = (length: number, ranks: number): Trace => {
  const next = zipf(0.99, 9)
  return trace(length, (at) => (next() + ranks * Math.floor(at / 10_000)) % keys)
}

const loop = (length: number, size: number): Trace => trace(length, (at) => at % size)

const lru = (capacity: number, requests: Trace): number => {
  const last = new Int32Array(requests.reduce((a, b) => Math.max(a, b)) + 1).fill(-1)
  let [hits, held, oldest] = [0, 0, 0]
  for (const [now, key] of requests.entries()) {
    if ((last[key] ?? -1) >= 0) hits++
    else if (held < capacity) held++
    else {
      // The first request that is its key's last so far is that of the least recently used key.
      while (last[requests[oldest] ?? 0] !== oldest) oldest++
      last[requests[oldest] ?? 0] = -1
    }
    last[key] = now
  }
  return 100 * hits / requests.length
}

const ours = (capacity: number, requests: Trace): number => {
  const eviction = new Eviction<Cell>(capacity)
  const cells: Array<Cell | undefined> = []
  let hits = 0
  for (const key of requests) {
    const known = cells[key]
    if (known !== undefined) {
      visit(known)
      hits++
      continue
    }
    const cell = new Cell(key)
    cells[key] = cell
    eviction.add(cell)
    if (eviction.size <= capacity) continue
    const left = eviction.evict(never, never)
    if (left !== undefined) cells[Number(left.key)] = undefined
  }
  return 100 * hits / requests.length
}

describe("Eviction: hit ratio against LRU, 100,000 keys", () => {
  /** A trace, and by how many points we are ahead at each capacity. */
  const table: ReadonlyArray<readonly [string, () => Trace, ReadonlyArray<number>]> = [
    ["Zipf 0.7", () => trace(300_000, zipf(0.7, 1)), [6, 9, 6]],
    ["Zipf 0.99", () => trace(1_000_000, zipf(0.99, 2)), [12, 9, 4]],
    ["Zipf 1.2", () => trace(300_000, zipf(1.2, 3)), [8, 4, 0]],
    ["Zipf with scans", () => scans(300_000, 1), [6, 5, 4]],
    ["Zipf with scans that ask for each key twice", () => scans(300_000, 2), [6, 5, 3]],
    ["Zipf that shifts", () => shifting(300_000, 100), [9, 5, 1]],
    ["Zipf that shifts ten times as fast: the one where LRU is better", () => shifting(300_000, 1_000), [9, -2, -6]]
  ]
  for (const [name, make, points] of table) {
    it(`${name}, at 0.1 %, 1 % and 10 % of the keys`, () => {
      const requests = make()
      for (const [at, capacity] of capacities.entries()) {
        const [us, them] = [ours(capacity, requests), lru(capacity, requests)]
        assert.isAtLeast(us - them, points[at] ?? NaN, `capacity ${capacity}: ${us} against ${them}`)
      }
    })
  }

  for (const capacity of capacities) {
    it(`loops of 1.01, 1.1 and 1.5 times ${capacity} keys, where LRU has no hit`, () => {
      const loops = [1.01, 1.1, 1.5].map((times) => loop(300_000, capacity * times))
      assert.deepStrictEqual(loops.map((requests) => lru(capacity, requests)), [0, 0, 0])
      const [just = 0, tenth = 0, half = 0] = loops.map((requests) => ours(capacity, requests))
      assert.isTrue(just > 85 && tenth > 65 && half > 45, `${just}, ${tenth}, ${half}`)
    })
  }
})
