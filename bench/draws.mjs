/** Keys, and the order in which they are asked for: the same in every run. */

/** A small generator with a seed (mulberry32): numbers in [0, 1). */
export const random = (seed = 1) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
}

/**
 * Draws of numbers below `count`; number 0 is drawn most often.
 *
 * @param {number} count
 * @param {number} exponent 0 is uniform
 * @param {() => number} next
 * @returns {() => number}
 */
export const zipf = (count, exponent, next) => {
  if (exponent === 0) return () => Math.floor(next() * count)
  const sums = new Float64Array(count)
  let sum = 0
  for (let rank = 0; rank < count; rank++) sums[rank] = sum += (rank + 1) ** -exponent
  return () => {
    const drawn = next() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle] < drawn) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The numbers below `count` in a random order, so that neighbours in rank are not neighbours in memory. */
export const shuffled = (count, next) => {
  const numbers = Uint32Array.from({ length: count }, (_, at) => at)
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(next() * (at + 1))
    const kept = numbers[at]
    numbers[at] = numbers[other]
    numbers[other] = kept
  }
  return numbers
}

/** @param {number} count */
export const names = (count, prefix = "key") => Array.from({ length: count }, (_, at) => `${prefix}:${at}`)

/** The keys, over again until they are a power of two, so that loops may wrap with a mask. */
export const padded = (keys) =>
  Array.from({ length: 2 ** Math.ceil(Math.log2(keys.length)) }, (_, at) => keys[at % keys.length])

/**
 * An order of reading: as many keys as asked for, a power of two.
 *
 * @param {ReadonlyArray<string>} keys
 */
export const order = (keys, exponent, length = 65_536, seed = 7) => {
  const next = random(seed)
  const places = shuffled(keys.length, next)
  const draw = zipf(keys.length, exponent, next)
  return Array.from({ length }, () => keys[places[draw()]])
}
