/** Fresh hits: of one key, of many, with a schema, with a listener. */
import { names, order, padded } from "../draws.mjs"
import { hold, hour, valueOf } from "./opening.mjs"

/** Reads in an order without end; all keys are loaded before. */
const hits = (title, kind, keys, inOrder, also = () => false) => ({
  title,
  kind,
  also,
  unit: "a read",
  entry: async (contender) => {
    const held = await hold(contender, { capacity: 10_000, fresh: hour, stale: hour, load: valueOf })
    await held.loop(held.read, padded(keys), 0, keys.length)
    let from = 0
    return {
      ...held,
      run: async (count) => {
        held.sink(await held.loop(held.read, inOrder, from, count))
        from = (from + count) % inOrder.length
      }
    }
  }
})

const one = names(1)
const many = names(10_000)

export const a = hits("fresh hit of one key", "hit", one, one)
export const b = hits("fresh hits over 10,000 keys, Zipf 0.99", "keys", many, order(many, 0.99))
export const bUniform = hits("fresh hits over 10,000 keys, uniform", "keys", many, order(many, 0))

const isOurs = ({ name }) => name === "effect-swr, in a fiber" || name === "floor"
export const i = hits("typed with a schema, fresh hit", "typed", one, one, isOurs)
export const j = hits("one listener, fresh hit", "observed", one, one, isOurs)
