/**
 * What was heard of keys, remembered within bounds: a log per key, tallies, and the last minutes of a cache second by
 * second. It is handed events and the time, and keeps no value and no error: of a failure only the name.
 *
 * @since 0.1.0
 */
import type { Cause } from "effect"
import * as Event from "./Event.ts"
import type * as Key from "./Key.ts"

/** What a line tells beside its tag: words of this library, numbers, the name of an error, the user's tag. */
export type Facts = Readonly<Record<string, string | number>>

/** One thing that happened to a key, or the same thing several times. */
export interface Line {
  readonly tag: string
  readonly facts: Facts
  /** When it happened first, and last. */
  readonly at: number
  last: number
  count: number
}

/** What was counted of a key, since it is remembered. */
export interface Tally {
  readonly fresh: number
  readonly stale: number
  readonly waited: number
  readonly loads: number
  readonly failures: number
  readonly lastLoad: { readonly at: number; readonly duration: number } | undefined
  readonly lastError: { readonly at: number; readonly name: string } | undefined
}

/** One second of a cache: reads by how they were answered, loads that ended, and how long those took. */
export interface Second {
  readonly second: number
  fresh: number
  /** Old values that were given at once. */
  stale: number
  waited: number
  loaded: number
  failed: number
  /** A sample where there were many. */
  readonly durations: Array<number>
}

/** How much is remembered. */
export const bounds = { keys: 20_000, lines: 40_000, linesOfKey: 100, seconds: 300, durations: 64, keyLength: 1000 }

/** A key as it is remembered and shown: a long one is cut, and says how long it was. */
export const cut = (key: string): string =>
  key.length <= bounds.keyLength ? key : [key.slice(0, bounds.keyLength), `… (${key.length} characters)`].join("")

/** The name of a failure. Its message may hold what nobody should see. */
export const errorName = (error: unknown): string => {
  const field = (name: string) => {
    try {
      return typeof error === "object" && error !== null ? (error as Record<string, unknown>)[name] : undefined
    } catch {
      return undefined
    }
  }
  const name = [field("_tag"), field("name")].find((name) => typeof name === "string" && name !== "")
  return typeof name === "string" ? name.slice(0, 80) : typeof error
}

const causeName = (cause: Cause.Cause<unknown>): string => {
  const reason = cause.reasons.find(({ _tag }) => _tag !== "Interrupt") ?? cause.reasons[0]
  if (reason?._tag === "Fail") return errorName(reason.error)
  return reason?._tag === "Die" ? `defect: ${errorName(reason.defect)}` : "interrupted"
}

/** Reads: between two other events each kind is one line. */
const reads = new Set(["Hit", "Miss", "Joined", "Served", "RefreshSkipped"])

/** What may be told of a cache and no key. */
const ofCaches = new Set(["Invalidate", "StoreFailed", "StoreBack", "Gap"])

/** Fields of events that hold words of this library or numbers. Whatever else an event holds stays out. */
const told = [
  "status",
  "reason",
  "cause",
  "mode",
  "outcome",
  "source",
  "age",
  "duration",
  "retryIn",
  "waiters"
] as const

/** A field of an event, which is an open union. */
const fieldOf = (event: Event.Event, name: string): unknown =>
  (event as unknown as { readonly [name: string]: unknown })[name]

const factsOf = (event: Event.Event): Facts => {
  const facts: Record<string, string | number> = {}
  for (const name of told) {
    const value = fieldOf(event, name)
    if (typeof value === "number" || typeof value === "string") facts[name] = value
  }
  if (event._tag === "LoadFailed") facts["error"] = causeName(event.failure)
  else if (fieldOf(event, "error") !== undefined) facts["error"] = errorName(fieldOf(event, "error"))
  const tag = fieldOf(event, "tag")
  if (typeof tag === "string") facts["tag"] = tag.slice(0, 80)
  return facts
}

// What makes two lines the same: everything but the numbers.
const sameness = (tag: string, facts: Facts): string =>
  tag + Object.entries(facts).map(([name, value]) => typeof value === "string" ? `|${name}:${value}` : "").join("")

class Track {
  fresh = 0
  stale = 0
  waited = 0
  loads = 0
  failures = 0
  lastLoad: Tally["lastLoad"] = undefined
  lastError: Tally["lastError"] = undefined
  readonly lines: Array<Line> = []
  /** The lines that may still count up, and among them that of fresh hits: it is asked for most. */
  readonly open = new Map<string, Line>()
  hit: Line | undefined = undefined
  name: Key.Name | undefined = undefined
  forgotten = false
}

class Chronicle {
  /** What befell all its keys. */
  readonly whole = new Track()
  readonly tracks = new Map<string, Track>()
  /** Of keys that were hit: the most frequent event by far, whose key need not be written out then. */
  readonly hits = new Map<Key.Name, Track>()
  readonly seconds: Array<Second | undefined> = Array.from({ length: bounds.seconds }, () => undefined)

  at(now: number): Second {
    const second = Math.floor(now / 1000)
    const place = second % bounds.seconds
    const known = this.seconds[place]
    if (known?.second === second) return known
    return this.seconds[place] = { second, fresh: 0, stale: 0, waited: 0, loaded: 0, failed: 0, durations: [] }
  }
}

/** The memory of what was heard. */
export class Journal {
  private readonly caches = new Map<string, Chronicle>()
  /** All lines in the order they were written; the oldest is overwritten, and leaves its key. */
  private readonly ring: Array<readonly [Line, Track]> = []
  private place = 0
  private keys = 0

  /** Remembers an event. */
  tell(event: Event.Event, now: number): void {
    // Each call of the store: too many to be news.
    if (event._tag === "StoreCalled") return
    let chronicle = this.caches.get(event.cache)
    if (chronicle === undefined) this.caches.set(event.cache, chronicle = new Chronicle())
    const isPlain = event instanceof Event.Hit && event.source === undefined
    const known = isPlain ? chronicle.hits.get(event.name) : undefined
    if (known?.hit !== undefined && !known.forgotten) {
      chronicle.at(now).fresh++
      known.fresh++
      known.hit.last = now
      known.hit.count++
      return
    }
    // A tag, everything, or the store. An empty key that is invalidated looks the same.
    const isWhole = event.key === "" && ofCaches.has(event._tag) &&
      (event._tag !== "Invalidate" || event.mode === "hard")
    const track = isWhole ? chronicle.whole : this.track(chronicle, cut(event.key), event._tag === "Load")
    this.count(event, chronicle.at(now), track, now)
    if (isPlain) {
      const { name } = event
      if (typeof name === "number" || name.length <= bounds.keyLength) {
        if (track.name !== undefined) chronicle.hits.delete(track.name)
        chronicle.hits.set(track.name = name, track)
      }
    }
    const facts = isWhole ? { ...factsOf(event), whole: 1 } : factsOf(event)
    const same = sameness(event._tag, facts)
    const open = track.open.get(same)
    if (open !== undefined) {
      open.last = now
      open.count++
      return
    }
    const line: Line = { tag: event._tag, facts, at: now, last: now, count: 1 }
    if (isPlain) track.hit = line
    else if (!reads.has(event._tag)) {
      track.open.clear()
      track.hit = undefined
    }
    track.open.set(same, line)
    this.write(track, line)
  }

  /** The log of a key, as it is shown, the oldest first; with what befell the whole cache. */
  lines(cache: string, key: string): ReadonlyArray<Line> {
    const chronicle = this.caches.get(cache)
    const own = chronicle?.tracks.get(key)?.lines ?? []
    const whole = chronicle?.whole.lines ?? []
    return whole.length === 0 ? own : [...own, ...whole].toSorted((a, b) => a.at - b.at)
  }

  /** What was counted of a key, as it is shown. */
  tally(cache: string, key: string): Tally | undefined {
    return this.caches.get(cache)?.tracks.get(key)
  }

  /** The seconds of a cache in which something happened, the oldest first. */
  seconds(cache: string, since: number, now: number): ReadonlyArray<Second> {
    const oldest = Math.max(since, Math.floor(now / 1000) - bounds.seconds + 1)
    const all = this.caches.get(cache)?.seconds ?? []
    return all
      .filter((second): second is Second => second !== undefined && second.second >= oldest)
      .toSorted((a, b) => a.second - b.second)
  }

  /** Forgets everything. */
  clear(): void {
    this.caches.clear()
    this.ring.length = this.place = this.keys = 0
  }

  private track(chronicle: Chronicle, key: string, isNews: boolean): Track {
    const { tracks } = chronicle
    let track = tracks.get(key)
    if (track !== undefined) {
      // Those that are loaded stay longest.
      if (isNews && this.keys >= bounds.keys) {
        tracks.delete(key)
        tracks.set(key, track)
      }
      return track
    }
    tracks.set(key, track = new Track())
    if (++this.keys > bounds.keys) {
      // From the cache that has most, so that a large one does not make the others forget.
      let most = chronicle
      for (const other of this.caches.values()) if (other.tracks.size > most.tracks.size) most = other
      const oldest = most.tracks.keys().next().value
      const left = oldest === undefined ? undefined : most.tracks.get(oldest)
      if (oldest !== undefined && left !== undefined) {
        left.forgotten = true
        most.tracks.delete(oldest)
        if (left.name !== undefined) most.hits.delete(left.name)
        this.keys--
      }
    }
    return track
  }

  private count(event: Event.Event, second: Second, track: Track, now: number): void {
    switch (event._tag) {
      case "Hit":
        second.fresh++
        track.fresh++
        break
      case "Served":
        // Who waited first has been counted.
        if (event.waited) break
        second.stale++
        track.stale++
        break
      case "Miss":
      case "Joined":
        second.waited++
        track.waited++
        break
      case "Load":
        track.loads++
        break
      case "Commit":
      case "LoadFailed": {
        const { duration } = event
        const ended = second.loaded + second.failed
        second.durations[ended % bounds.durations] = duration
        track.lastLoad = { at: now, duration }
        if (event._tag === "Commit") second.loaded++
        else {
          second.failed++
          track.failures++
          track.lastError = { at: now, name: causeName(event.failure) }
        }
      }
    }
  }

  private write(track: Track, line: Line): void {
    const old = this.ring[this.place]
    if (old !== undefined && old[1].lines[0] === old[0]) old[1].lines.shift()
    this.ring[this.place] = [line, track]
    this.place = (this.place + 1) % bounds.lines
    track.lines.push(line)
    if (track.lines.length > bounds.linesOfKey) track.lines.shift()
  }
}
