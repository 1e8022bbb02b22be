/**
 * What is seen of a run, judged as it comes in.
 */
import type { Lookup } from "./Origin.ts"
import type { Work } from "./RedisServer.ts"

export interface Read {
  readonly key: string
  /** When it was due, when it was sent (for the second time, perhaps), when its answer was there. */
  readonly asked: number
  readonly sent: number
  readonly answered: number
  /** Who answered. */
  readonly pid: number
  readonly status: number
  readonly version: number
  /** Its connection broke, and it was asked again. */
  readonly isAgain: boolean
}

export interface Write {
  readonly key: string
  readonly version: number
  /** Who did it. */
  readonly pid: number
  /** 204: acknowledged. */
  readonly status: number
  /** When the answer was there. */
  readonly at: number
}

/** The stretches of a run, one after the other. */
export const phases = ["quiet", "one killed", "Redis restarted"] as const
export type Phase = typeof phases[number]

export interface Recording {
  readonly reads: ReadonlyArray<Read>
  readonly writes: ReadonlyArray<Write>
  /** When each phase began, and when the last one ended. */
  readonly begun: Partial<Record<Phase | "end", number>>
  readonly work: Partial<Record<Phase, { readonly millis: number; readonly work: Work }>>
  /** From when to when Redis was away, and a second for the fleet to find together again. */
  away: { from: number; to: number } | undefined
  /** In mid-refresh of this key a process was killed; another took over. */
  killed: { readonly key: string; readonly pid: number; readonly at: number } | undefined
  takeover: number | undefined
  readonly read: (read: Read) => void
  readonly write: (write: Write) => void
}

export const make = (): Recording => {
  const reads: Array<Read> = []
  const writes: Array<Write> = []
  return {
    reads,
    writes,
    begun: {},
    work: {},
    away: undefined,
    killed: undefined,
    takeover: undefined,
    read: (read) => void reads.push(read),
    write: (write) => void writes.push(write)
  }
}

/** How a read may break the promise of a write that was acknowledged before it was sent. */
export interface StaleRead {
  readonly read: Read
  readonly write: Write
  readonly where: "same process" | "another process"
}

/**
 * What reads gave that was older than they may give. In the process that acknowledged a write, nothing older is given
 * from then on; in the others, after the bound. Who can't reach Redis can't hear of others' writes: that is not counted.
 */
export const staleOf = (
  reads: ReadonlyArray<Read>,
  writes: ReadonlyArray<Write>,
  bound: number,
  away: Recording["away"]
): ReadonlyArray<StaleRead> => {
  const byKey = new Map<string, Array<Write>>()
  for (const write of writes) {
    if (write.status !== 204) continue
    const known = byKey.get(write.key)
    if (known === undefined) byKey.set(write.key, [write])
    else known.push(write)
  }
  return reads.flatMap((read): ReadonlyArray<StaleRead> => {
    const newer = (byKey.get(read.key) ?? []).filter(({ version }) => version > read.version)
    const same = newer.find(({ at, pid }) => pid === read.pid && at <= read.sent)
    if (same !== undefined) return [{ read, write: same, where: "same process" }]
    if (away !== undefined && read.sent >= away.from && read.sent < away.to) return []
    const other = newer.find(({ at }) => at + bound <= read.sent)
    return other === undefined ? [] : [{ read, write: other, where: "another process" }]
  })
}

/** The lookups between the end of one freshness and the beginning of the next. */
export interface Window {
  readonly key: string
  readonly begun: number
  lookups: number
  /** When the first of its lookups was answered. */
  ended: number
}

/** The windows of each key. A lookup while the value was still fresh belongs to the window before it. */
export const windowsOf = (
  lookups: ReadonlyArray<Lookup>,
  keys: ReadonlyArray<string>,
  freshFor: number
): ReadonlyArray<Window> =>
  keys.flatMap((key) => {
    const windows: Array<Window> = []
    for (const { begun, ended = Infinity, key: of } of lookups) {
      if (of !== key) continue
      const last = windows.at(-1)
      if (last === undefined || begun >= last.ended + freshFor) windows.push({ key, begun, lookups: 1, ended })
      else {
        last.lookups++
        last.ended = Math.min(last.ended, ended)
      }
    }
    return windows
  })
