/**
 * What has been seen of a run so far; filled while it goes on, so that a run that is stopped has something to show.
 */
import { Clock, Effect } from "effect"
import type { Mark, Observed } from "./Report.ts"
import type { Sample } from "./Sample.ts"

export interface Recording {
  readonly samples: Array<Sample>
  readonly marks: Array<Mark>
  late: Observed["late"]
  complete: boolean
  /** When the load began, by this process' clock. */
  startedAt: number | null
  /** Milliseconds since then. */
  readonly elapsed: Effect.Effect<number>
}

export const make = (): Recording => {
  const recording: Recording = {
    samples: [],
    marks: [],
    late: null,
    complete: false,
    startedAt: null,
    elapsed: Effect.map(
      Clock.currentTimeMillis,
      (now) => recording.startedAt === null ? 0 : Math.max(0, now - recording.startedAt)
    )
  }
  return recording
}

/** What the report is made of. */
export const observed = (recording: Recording, duration: number): Effect.Effect<Observed> =>
  Effect.map(recording.elapsed, (elapsed) => ({
    complete: recording.complete,
    measured: Math.min(elapsed, duration),
    samples: recording.samples,
    marks: recording.marks,
    late: recording.late
  }))
