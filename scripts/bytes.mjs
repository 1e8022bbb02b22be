/** Weighs a cache of a million entries: bytes per entry beyond its key and value. Run with `node --expose-gc`. */
import { Effect } from "effect"
import { Swr } from "effect-swr"

/** The bound: `ARCHITECTURE.md` says what it is made of. */
const bound = 200
const count = 1_000_000

const keys = Array.from({ length: count }, (_, at) => `key:${at}`)
const value = { price: 1 }

const heap = () => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const program = Effect.gen(function*() {
  const cache = yield* Swr.make({
    name: "bytes",
    lookup: () => Effect.succeed(value),
    freshFor: "1 hour",
    capacity: count
  })
  const before = heap()
  for (const key of keys) yield* cache.get(key)
  const after = heap()
  return { bytes: (after - before) / count, stats: yield* cache.stats }
})

const { bytes, stats } = await Effect.runPromise(Effect.provide(program, Swr.layer()))
const holds = bytes <= bound && stats.size === count
console.log(
  `${holds ? "ok    " : "FAILED"}  ${bytes.toFixed(0)} bytes per entry at ${stats.size} entries (at most ${bound})`
)
if (!holds) process.exitCode = 1
