/**
 * What can be wrong with the origin, and when. Pure.
 */
import { Schema } from "effect"
import type { Settings } from "./Settings.ts"

export const Health = Schema.Literals(["up", "error", "hang", "refuse"])
export type Health = typeof Health.Type

/** How the origin fails in the outage: in one way, or in all three, one after the other. */
export const OutageKind = Schema.Literals(["all", "error", "hang", "refuse"])
export type OutageKind = typeof OutageKind.Type

/** One part of the outage; milliseconds after the start. */
export interface OutagePart {
  readonly from: number
  readonly to: number
  readonly health: Exclude<Health, "up">
}

export const labels: Record<Health, string> = { up: "well", error: "503s", hang: "hangs", refuse: "down" }

/** The parts of an outage, in the order of time; none when the outage has no length. */
export const plan = (
  { outageKind, outageLength, outageStart }: Pick<Settings, "outageKind" | "outageLength" | "outageStart">
): ReadonlyArray<OutagePart> => {
  if (outageLength === 0) return []
  const kinds = outageKind === "all" ? ["error", "hang", "refuse"] as const : [outageKind]
  const each = outageLength / kinds.length
  return kinds.map((health, index) => ({
    from: outageStart + index * each,
    to: outageStart + (index + 1) * each,
    health
  }))
}
