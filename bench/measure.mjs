/** How things are measured: loops that can't be optimised away, rounds in turn, medians and ratios. */
import { Effect } from "effect"

export const median = (numbers) => quantile(numbers, 0.5)

export const quantile = (numbers, share) => {
  const sorted = Float64Array.from(numbers).toSorted()
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/** Runs what is ready to run: timers, immediates, refreshes behind the readers. */
export const breathe = (ms = 0) => new Promise((resolve) => ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve))

/**
 * Everything read goes in here and is looked at in the end, so that no read can be left out as useless.
 */
export const sink = { sum: 0 }

const bodies = {
  sync: (value) =>
    `return (read, keys, from, count) => {
    const mask = keys.length - 1
    let sum = 0
    for (let i = from; i < from + count; i++) sum += read(keys[i & mask])${value}.price
    return sum
  }`,
  promise: (value) =>
    `return async (read, keys, from, count) => {
    const mask = keys.length - 1
    let sum = 0
    for (let i = from; i < from + count; i++) sum += (await read(keys[i & mask]))${value}.price
    return sum
  }`,
  fiber: (value) =>
    `return (read, keys, from, count) => Effect.runPromise(Effect.gen(function*() {
    const mask = keys.length - 1
    let sum = 0
    for (let i = from; i < from + count; i++) sum += (yield* read(keys[i & mask]))${value}.price
    return sum
  }))`
}

/**
 * A loop of reads, as a user of that edge would write it: a plain loop, one that awaits, or one inside one long fiber.
 * Compiled anew for each contender: in a shared loop the call would be optimised for whoever came first, and the others
 * would pay for being second.
 *
 * @param {{ edge: "sync" | "promise" | "fiber", value?: string }} contender
 */
export const loopOf = ({ edge, value = "" }) => new Function("Effect", bodies[edge](value))(Effect)

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {(count: number) => unknown} run does that many operations
 * @property {number} [count] how many; found out when not said
 * @property {() => unknown} [before] before each round, not timed
 * @property {() => unknown} [after] after each round, not timed
 * @property {() => Promise<number>} [helper] milliseconds of CPU that a server has used for it so far
 */

/**
 * Runs once, and tells how many nanoseconds an operation took: by the clock on the wall, or by the time this process
 * (and the server that helps it) had a CPU where that is less, so that a moment in which others had it is not counted
 * against whoever was running.
 */
const once = async (entry, count) => {
  await entry.before?.()
  const helped = await entry.helper?.() ?? 0
  const used = process.cpuUsage()
  const begun = performance.now()
  await entry.run(count)
  const took = performance.now() - begun
  const { system, user } = process.cpuUsage(used)
  const help = (await entry.helper?.() ?? 0) - helped
  await entry.after?.()
  return Math.min(took, (system + user) / 1e3 + help) * 1e6 / count
}

/** Finds how many operations fill a slice, which also warms up. */
const warm = async (entry, slice, warmup) => {
  let count = entry.count ?? 16
  for (let spent = 0, runs = 0; spent < warmup || runs < 3; runs++) {
    const took = await once(entry, count) * count / 1e6
    spent += took
    if (entry.count === undefined && took < slice) count = Math.ceil(count * Math.min(4, slice / Math.max(took, 0.1)))
    if (runs > 200) break
  }
  return count
}

/**
 * Runs all entries in turn, round after round, each round in another order, so that a slow moment of the machine hits
 * all of them; answers the nanoseconds per operation of each round.
 *
 * @param {ReadonlyArray<Entry>} entries
 */
export const interleave = async (entries, { rounds, slice, warmup }) => {
  const counts = []
  // Twice, since what the second contender does can undo what was optimised for the first.
  for (let turn = 0; turn < 2; turn++) {
    for (const [at, entry] of entries.entries()) counts[at] = await warm(entry, slice, warmup / 2)
  }
  const samples = entries.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (let step = 0; step < entries.length; step++) {
      const at = (step + round) % entries.length
      await breathe()
      samples[at].push(await once(entries[at], counts[at]))
    }
  }
  return entries.map((entry, at) => ({ name: entry.name, samples: samples[at], count: counts[at] }))
}

/**
 * Medians, and the median over the rounds of the ratio to the floor of the same round.
 *
 * @param {ReadonlyArray<{ name: string, samples: ReadonlyArray<number> }>} measured
 * @param {string} floor
 */
export const rowsOf = (measured, floor) => {
  const base = measured.find(({ name }) => name === floor)
  return measured.map(({ name, samples, ...more }) => ({
    name,
    ns: median(samples),
    spread: (quantile(samples, 0.75) - quantile(samples, 0.25)) / median(samples),
    ...base && { xFloor: median(samples.map((sample, round) => sample / base.samples[round])) },
    ...more,
    samples
  }))
}
