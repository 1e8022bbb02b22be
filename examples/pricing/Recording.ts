/**
 * What has been seen of a run so far; filled while it goes on, so that a run that is stopped has something to show.
 */
import { Clock, Effect } from "effect"
import type { Late, Mark } from "./Report.ts"
import type { Sample } from "./Sample.ts"

export interface Recording {
  /** False when the run was stopped before its end. */
  complete: boolean
  /** Milliseconds of load so far. */
  measured: number
  readonly samples: Array<Sample>
  /** In the order of time. */
  readonly marks: Array<Mark>
  late: Late | null
}

export const make = (): Recording => ({ complete: false, measured: 0, samples: [], marks: [], late: null })

/** A watch that starts now: milliseconds since then. */
export const watch: Effect.Effect<Effect.Effect<number>> = Effect.map(
  Clock.monotonicTimeNanos,
  (start) => Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - start) / 1e6)
)
