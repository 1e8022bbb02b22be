/**
 * Hit ratios of the library's eviction beside LRU and Belady's optimum, which knows the future and so bounds them all.
 *
 * ```
 * node eviction.mjs [--requests 1000000] [--json FILE]
 * ```
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { Eviction, visit } from "../dist/Eviction.js"
import { random, shuffled, zipf } from "./draws.mjs"

const { values: flags } = parseArgs({
  options: { requests: { type: "string", default: "1000000" }, json: { type: "string" } }
})
const requests = Number(flags.requests)
const population = 100_000

// ----- the traces: keys as numbers, in the order in which they are asked for

const popular = (exponent, seed = 11) => {
  const next = random(seed)
  const places = shuffled(population, next)
  const draw = zipf(population, exponent, next)
  return Uint32Array.from({ length: requests }, () => places[draw()])
}

/** A fifth of the requests walk through keys that nobody else asks for, 10,000 at a time. */
const scanned = () => {
  const keys = popular(0.99)
  let cold = population
  for (let from = 40_000; from < keys.length; from += 50_000) {
    const end = Math.min(from + 10_000, keys.length)
    for (let at = from; at < end; at++) keys[at] = cold++
  }
  return keys
}

/** A tenth more keys than places, round and round. */
const looped = (capacity) => {
  const length = Math.ceil(capacity * 1.1)
  return Uint32Array.from({ length: requests }, (_, at) => at % length)
}

/** Every 100,000 requests other keys are the popular ones. */
const shifting = () => {
  const next = random(13)
  const draw = zipf(population, 0.99, next)
  let places = shuffled(population, next)
  return Uint32Array.from({ length: requests }, (_, at) => {
    if (at % 100_000 === 99_999) places = shuffled(population, next)
    return places[draw()]
  })
}

// ----- the policies: how many of the requests are hits

const ours = (keys, capacity) => {
  const eviction = new Eviction(capacity)
  const nodes = new Map()
  const never = () => false
  let hits = 0
  for (const key of keys) {
    const known = nodes.get(key)
    if (known !== undefined) {
      hits++
      visit(known)
      continue
    }
    const node = { key, prev: undefined, next: undefined, queue: 0, visits: 0 }
    nodes.set(key, node)
    eviction.add(node)
    // As the library does: what was just put stays.
    if (eviction.size > capacity) nodes.delete(eviction.evict((one) => one === node, never).key)
  }
  return hits
}

const lru = (keys, capacity) => {
  // A ring through two arrays; recency by `delete` and `set` of a Map would take minutes.
  const places = new Map()
  const held = new Float64Array(capacity + 1)
  const before = new Int32Array(capacity + 1)
  const after = new Int32Array(capacity + 1)
  let hits = 0
  let used = 0
  const unlink = (at) => {
    after[before[at]] = after[at]
    before[after[at]] = before[at]
  }
  const toFront = (at) => {
    after[at] = after[0]
    before[at] = 0
    before[after[0]] = at
    after[0] = at
  }
  for (const key of keys) {
    let at = places.get(key)
    if (at !== undefined) {
      hits++
      unlink(at)
    } else {
      if (used < capacity) at = ++used
      else {
        at = before[0]
        unlink(at)
        places.delete(held[at])
      }
      held[at] = key
      places.set(key, at)
    }
    toFront(at)
  }
  return hits
}

/** Keeps what is asked for again soonest; a new key that is asked for later than all that is held is not kept. */
const belady = (keys, capacity) => {
  const next = new Uint32Array(keys.length)
  const seen = new Map()
  for (let at = keys.length - 1; at >= 0; at--) {
    next[at] = seen.get(keys[at]) ?? keys.length
    seen.set(keys[at], at)
  }
  // A heap of the times of next use, the latest on top; a time is also the place in the trace, and so names its key.
  const heap = []
  const push = (time) => {
    let at = heap.push(time) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent] >= time) break
      heap[at] = heap[parent]
      at = parent
    }
    heap[at] = time
  }
  const pop = () => {
    const top = heap[0]
    const last = heap.pop()
    if (heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1] > heap[child]) child++
      if (heap[child] <= last) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return top
  }
  const held = new Set()
  let hits = 0
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at]
    const again = next[at]
    if (held.has(key)) {
      hits++
      // The time that was in the heap for it is past, so below all that are to come, and never met again.
      if (again === keys.length) held.delete(key)
      else push(again)
      continue
    }
    if (again === keys.length) continue
    held.add(key)
    push(again)
    if (held.size > capacity) held.delete(keys[pop()])
  }
  return hits
}

// ----- the table

const traces = [
  ["Zipf 0.7", () => popular(0.7)],
  ["Zipf 0.99", () => popular(0.99)],
  ["Zipf 1.2", () => popular(1.2)],
  ["Zipf 0.99 with scans", scanned],
  ["a loop of 110 % of the places", looped],
  ["Zipf 0.99, shifting", shifting]
]

const percent = (hits) => `${(hits * 100 / requests).toFixed(1).padStart(5)} %`
const rows = []
console.log(`${requests.toLocaleString("en")} requests, ${population.toLocaleString("en")} keys`)
console.log(
  `${"trace".padEnd(32)}${"places".padStart(8)}${
    ["LRU", "ours", "optimum", "ours - LRU"].map((name) => name.padStart(12)).join("")
  }`
)
for (const [trace, keysOf] of traces) {
  for (const share of [0.001, 0.01, 0.1]) {
    const capacity = population * share
    const keys = keysOf(capacity)
    const row = {
      trace,
      capacity,
      lru: lru(keys, capacity),
      ours: ours(keys, capacity),
      optimum: belady(keys, capacity)
    }
    const cells = [percent(row.lru), percent(row.ours), percent(row.optimum), percent(row.ours - row.lru)]
    rows.push(row)
    console.log(`${trace.padEnd(32)}${String(capacity).padStart(8)}${cells.map((cell) => cell.padStart(12)).join("")}`)
  }
}
if (flags.json !== undefined) {
  writeFileSync(flags.json, `${JSON.stringify({ requests, population, rows }, undefined, 1)}\n`)
}
