/** Where ours stands: each target is a ratio of two rows of one run. */

const fiber = "effect-swr, in a fiber"
const perCall = "effect-swr, runPromise"
const synchronous = "effect-swr, runSync"
const face = "effect-swr, SwrPromise"
const effect = "Effect Cache, in a fiber"
const middleware = "effect-swr, HttpCache.route"
const fleet = "effect-swr over Redis, in a fiber"
const bento = "BentoCache over Redis"

/** [scenario, ours, at most, times what] */
const ratios = [
  ["a", fiber, 0.5, effect],
  ["a", fiber, 6.5, "floor"],
  ["a", synchronous, 0.65, "Effect Cache, runSync"],
  ["a", perCall, 0.65, "Effect Cache, runPromise"],
  ["a", face, 1.1, "stored promise"],
  ["a", face, 1.15, "lru-cache fetch"],
  ["b", fiber, 4, "floor"],
  ["b", fiber, 0.15, effect],
  ["c", fiber, 1, "@unkey/cache"],
  ["c", fiber, 0.25, "lru-cache fetch"],
  ["c", fiber, 0.05, "BentoCache"],
  ["d", fiber, 0.9, effect],
  ["d", fiber, 0.2, "lru-cache fetch"],
  ["e", fiber, 0.5, effect],
  ["e", face, 1.5, "lru-cache fetch"],
  ["g", fiber, 0.25, effect],
  ["i", "effect-swr, with a schema", 1.05, fiber],
  ["j", "effect-swr, one listener", 1.5, fiber],
  ["j", "effect-swr, listener gone", 1.1, fiber],
  ["l", fleet, 1.5, "bare GET, in a fiber"],
  ["l", fleet, 1, bento],
  ["m", fleet, 1, bento],
  ["n", fleet, 2, "bare GET, in a fiber"],
  ["n", fleet, 1, bento],
  ["o", fleet, 1.05, fiber],
  ["o", fleet, 1, bento],
  ["p", middleware, 1.25, "bare Effect server"],
  ["p", middleware, 1, "Express, apicache"],
  ["p", middleware, 1, "undici, caching proxy"]
]

/** The ratio of two rows: per round where there are samples, since a slow moment is slow for both. */
export const ratioOf = (one, other) => {
  const each = one.samples.map((sample, round) => sample / other.samples[round]).toSorted((a, b) => a - b)
  return each[Math.floor(each.length / 2)]
}

/** @returns {ReadonlyArray<{ target: string, measured: number, atMost: number, met: boolean }>} */
export const judge = (results) => {
  const row = (id, name) => results[id]?.rows.find((one) => one.name === name && one.failed?.length === undefined)
  const found = []
  const say = (target, measured, atMost) => found.push({ target, measured, atMost, met: measured <= atMost })
  for (const [id, ours, atMost, than] of ratios) {
    const one = row(id, ours)
    const other = row(id, than)
    if (one !== undefined && other !== undefined) say(`(${id}) ${ours} / ${than}`, ratioOf(one, other), atMost)
  }
  const million = row("b-million", fiber)
  if (million !== undefined) {
    for (const draws of ["uniform", "Zipf 0.99"]) {
      const grown = million[`1,000,000 ${draws}`].xFloor / million[`10,000 ${draws}`].xFloor
      say(`(b) ${fiber}, ${draws}: x floor at 1,000,000 keys / at 10,000`, grown, 1.2)
    }
  }
  const herd = row("e", fiber)
  if (herd !== undefined) say(`(e) ${fiber}: loads per herd`, herd.loadsPerHerd, 1)
  const weight = row("f", fiber)
  if (weight !== undefined) say(`(f) ${fiber}: bytes per entry`, weight.bytes, 200)
  const [ours, lru] = [row("g", fiber), row("g", "lru-cache get")]
  if (ours !== undefined && lru !== undefined) {
    say("(g) hit ratio: LRU + 0.04 - ours", lru.hitRatio + 0.04 - ours.hitRatio, 0)
  }
  const tail = row("h", fiber)
  if (tail !== undefined) {
    say(`(h) ${fiber}: p99, ms`, tail.p99, 1)
    say(`(h) ${fiber}: p99.9, ms`, tail.p999, 5)
  }
  for (const [id, trips] of [["l", 1], ["m", 2], ["n", 1]]) {
    const one = row(id, fleet)
    if (one !== undefined) say(`(${id}) ${fleet}: round trips`, one.roundTrips, trips)
  }
  const response = row("p-memory", middleware)
  if (response !== undefined) say(`(p) ${middleware}: bytes beside the body`, response.beyond, 1024)
  const dead = row("k", fiber)
  if (dead !== undefined) say(`(k) ${fiber}: calls per key and second`, dead.callsPerKeyPerSecond, 1)
  return found
}
