/** What is measured, in the order of the table. */
import { a, b, bUniform, i, j } from "./scenarios/hits.mjs"
import { p, pMemory } from "./scenarios/http.mjs"
import { h, k } from "./scenarios/latency.mjs"
import { c, d, e, g } from "./scenarios/loads.mjs"
import { bMillion, f } from "./scenarios/memory.mjs"
import { l, m, n, o } from "./scenarios/stores.mjs"

/**
 * A scenario is measured in one of three ways: interleaved with all contenders open (`entry`), each contender in a
 * process of its own (`child`), or one after the other by the clock (`alone`).
 */
export const scenarios = {
  a,
  b,
  "b-uniform": bUniform,
  "b-million": bMillion,
  c,
  d,
  e,
  f,
  g,
  h,
  i,
  j,
  k,
  l,
  m,
  n,
  o,
  p,
  "p-memory": pMemory
}
