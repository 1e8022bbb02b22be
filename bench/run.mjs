/** One scenario against those who can take part in it. */
import { takesPart } from "./contenders.mjs"
import { interleave, rowsOf } from "./measure.mjs"
import { inChild } from "./scenarios/memory.mjs"

/** A contender that can't take part must not end the run. */
const attempt = async (name, failures, act) => {
  try {
    return await act()
  } catch (error) {
    failures.push({ name, failed: String(error?.message ?? error).split("\n")[0] })
    return undefined
  }
}

/**
 * @param {object} scenario one of `scenarios`
 * @param {ReadonlyArray<import("./contenders.mjs").Contender>} contenders
 * @param {object} settings
 */
export const run = async (scenario, contenders, settings) => {
  const failures = []
  const takers = contenders.filter(
    scenario.takesPart ??
      ((one) => takesPart(one, scenario.kind) || scenario.also?.(one) === true)
  )
  if (scenario.entry !== undefined) {
    const entries = []
    for (const one of takers) {
      const entry = await attempt(one.name, failures, async () => {
        const entry = await scenario.entry(one)
        await entry.before?.()
        await entry.run(entry.count ?? 16)
        await entry.after?.()
        return entry
      })
      if (entry !== undefined) entries.push(entry)
    }
    const measured = await interleave(entries, settings)
    const rows = rowsOf(measured.map((row, at) => ({ ...row, ...entries[at].more?.() })), scenario.floor ?? "floor")
    for (const entry of entries) await entry.close()
    return [...rows.toSorted((one, other) => one.ns - other.ns), ...failures]
  }
  const rows = []
  for (const one of takers) {
    const row = await attempt(one.name, failures, () =>
      scenario.child === undefined
        ? scenario.alone(one, settings)
        : inChild(one.name, scenario.child, { ...settings, rounds: Math.min(7, settings.rounds) }))
    if (row !== undefined) rows.push({ name: one.name, ...row })
  }
  return [...rows, ...failures]
}
