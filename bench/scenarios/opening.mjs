/** A contender, open and with its own loop. */
import { loopOf, sink } from "../measure.mjs"

export const hour = 3_600_000

/** What the origin answers. */
export const valueOf = (key) => ({ id: key, price: 1 })

/**
 * @param {import("../contenders.mjs").Contender} contender
 * @param {import("../contenders.mjs").Options} options
 */
export const hold = async (contender, options) => {
  const opened = await contender.open(options)
  return {
    name: contender.name,
    read: opened.read,
    readMany: opened.readMany,
    loop: loopOf(contender),
    sink: (sum) => {
      if (!(sum > 0)) throw new Error(`${contender.name} answered something else: ${sum}`)
      sink.sum += sum
    },
    close: async () => void await opened.close()
  }
}
