/**
 * Who asks for what, and when: seeded, so that a run can be repeated. Pure.
 */

/** A random number generator (mulberry32) that gives the same numbers in [0, 1) for the same seed. */
export const seeded = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Chooses one of `count` ranks by Zipf's law: rank `n` (from 0) has the weight `1 / (n + 1)`. */
export const zipf = (count: number): (random: number) => number => {
  const sums: Array<number> = []
  let sum = 0
  for (let rank = 0; rank < count; rank++) sums.push(sum += 1 / (rank + 1))
  return (random) => {
    const wanted = random * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? sum) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}

export interface Arrival {
  /** Milliseconds after the start. */
  readonly at: number
  readonly sku: string
}

/**
 * Independent readers (a Poisson process): `rate` arrivals a second on average, each for a product chosen by Zipf's law.
 */
export function* arrivals(options: {
  readonly seed: number
  readonly rate: number
  readonly duration: number
  readonly skus: ReadonlyArray<string>
}): Generator<Arrival> {
  const random = seeded(options.seed)
  const choose = zipf(options.skus.length)
  for (let at = 0;;) {
    at -= Math.log(1 - random()) * 1000 / options.rate
    const sku = options.skus[choose(random())]
    if (at >= options.duration || sku === undefined) return
    yield { at, sku }
  }
}
