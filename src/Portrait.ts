/**
 * What may be shown of a cache: the state of a key in numbers, and a value with nothing sensitive in it. It is handed
 * the time.
 *
 * @since 0.1.0
 */
import { Redacted } from "effect"
import * as Entry from "./Entry.ts"
import type * as Event from "./Event.ts"
import type * as Flight from "./Flight.ts"
import type * as Handle from "./Handle.ts"
import * as Journal from "./Journal.ts"
import * as Key from "./Key.ts"
import type * as Memory from "./Memory.ts"
import * as Policy from "./Policy.ts"
import * as State from "./State.ts"

/** What a reader with the cache's own windows would find; `none`: no entry, yet something is known. */
export type Status = "fresh" | "stale" | "expired" | "none"

/** What is asked for by state: `loading` and `failing` besides. */
export type Filter = "all" | Exclude<Status, "none"> | "loading" | "failing"

/** How rows are ordered. */
export type Order = "kept" | "key" | "oldest" | "reads" | "due" | "heaviest" | "failing"

/** One key, in numbers. Times are milliseconds, ages count from age 0. */
export interface Row {
  readonly id: string
  readonly key: string
  /** Changes when the entry or its windows do. */
  readonly stamp: string
  readonly status: Status
  readonly age: number
  /** The ages at which it is no longer fresh, no longer stale, and no fallback any more. */
  readonly freshUntil: number
  readonly staleUntil: number
  readonly end: number
  readonly marked: boolean
  readonly loading: Event.LoadCause | null
  readonly loadingFor: number
  readonly waiters: number
  /** How long no refresh may start, and why. */
  readonly heldFor: number
  readonly failures: number
  readonly lease: boolean
  /** How long a failure answers readers; how long everybody loads for himself. */
  readonly failureFor: number
  readonly passFor: number
  readonly weight: number
  readonly tags: number
  /** Where it is kept. */
  readonly tier: "memory" | "memory, store"
  readonly reads: { readonly fresh: number; readonly stale: number; readonly waited: number }
  readonly loads: number
  readonly lastLoad: { readonly ago: number; readonly duration: number } | null
  readonly lastError: { readonly ago: number; readonly name: string; readonly times: number } | null
}

// Only long names: what is asked for at every walk is then cut once.
const longNames = /*#__PURE__*/ new WeakMap<object, string>()

/** The key of a cell as people see it. */
export const keyOf = (cell: Memory.Cell<unknown>): string => {
  const { key } = cell
  if (typeof key === "number" || key.length <= Journal.bounds.keyLength) return Journal.cut(Key.show(key))
  let shown = longNames.get(cell)
  if (shown === undefined) longNames.set(cell, shown = Journal.cut(Key.show(key)))
  return shown
}

/** What a reader with the cache's own windows would find. */
export const statusOf = (handle: Handle.Handle, cell: Memory.Cell<unknown>, now: number): Status => {
  const status = State.status(cell.current, now, handle.spec.policy)
  return status === "miss" ? "none" : status
}

/** Whether its last load failed, or a failure is kept. */
export const isFailing = ({ current }: Memory.Cell<unknown>, now: number): boolean =>
  (current.hold !== undefined && current.hold.failures > 0) ||
  (current.failure !== undefined && now < current.failure.until)

/** Whether a cell is among those asked for. */
export const isAmong = (filter: Filter, status: Status, cell: Memory.Cell<unknown>, now: number): boolean =>
  filter === "all" || filter === status || (filter === "loading" && cell.current.flight !== undefined) ||
  (filter === "failing" && isFailing(cell, now))

const windowsOf = (handle: Handle.Handle, entry: Entry.Entry<unknown>) => {
  const { policy } = handle.spec
  const jitter = entry.jitter / Entry.JITTER_STEPS
  const freshUntil = Policy.freshUntil(policy, entry.terms, jitter, entry.marked)
  const staleUntil = Math.max(freshUntil, policy.strict ? 0 : Policy.expiredFrom(policy, entry.terms, jitter))
  const end = Math.max(staleUntil, Policy.fallbackUntil(policy, entry.terms, jitter, entry.marked))
  return { freshUntil, staleUntil, end }
}

/** Where a cell stands in an order: the least first. */
export const rank = (
  order: Order,
  handle: Handle.Handle,
  cell: Memory.Cell<unknown>,
  journal: Journal.Journal,
  now: number
): number | string => {
  const { entry, hold } = cell.current
  switch (order) {
    case "kept":
      return 0
    case "key":
      return keyOf(cell)
    case "oldest":
      return entry?.bornAt ?? Infinity
    case "heaviest":
      return -cell.weight
    case "failing":
      return hold === undefined ? 0 : -hold.failures
    case "reads": {
      const tally = journal.tally(handle.instance.namespace.name, keyOf(cell))
      return tally === undefined ? 0 : -(tally.fresh + tally.stale + tally.waited)
    }
    case "due": {
      if (entry === undefined) return Infinity
      const { end, freshUntil, staleUntil } = windowsOf(handle, entry)
      const age = Entry.age(entry, now)
      return ([freshUntil, staleUntil, end].find((until) => age < until) ?? Infinity) - age
    }
  }
}

/** A cell as a row. */
export const row = (
  handle: Handle.Handle,
  cell: Memory.Cell<unknown>,
  id: string,
  journal: Journal.Journal,
  now: number
): Row => {
  const { entry, failure, hold, next, passUntil } = cell.current
  // The machine names only what the namespace gave it.
  const flight = (cell.current.flight ?? next) as Flight.Flight | undefined
  const key = keyOf(cell)
  const tally = journal.tally(handle.instance.namespace.name, key)
  const windows = entry === undefined ? { freshUntil: 0, staleUntil: 0, end: 0 } : windowsOf(handle, entry)
  const left = (until: number | undefined) => Math.max(0, (until ?? 0) - now)
  return {
    id,
    key,
    stamp: entry === undefined ? "" : `${entry.bornAt}:${entry.jitter}:${windows.freshUntil}`,
    status: statusOf(handle, cell, now),
    age: entry === undefined ? 0 : Entry.age(entry, now),
    ...windows,
    marked: entry !== undefined && entry.marked >= 0,
    loading: flight?.cause ?? null,
    loadingFor: flight?.begun === true ? now - flight.begunAt : 0,
    waiters: flight?.waiters ?? 0,
    heldFor: left(hold?.until),
    failures: hold?.failures ?? 0,
    lease: hold?.lease ?? false,
    failureFor: left(failure?.until),
    passFor: left(passUntil),
    weight: cell.weight,
    tags: entry?.terms.tags.length ?? 0,
    tier: handle.instance.namespace.tier === undefined ? "memory" : "memory, store",
    reads: { fresh: tally?.fresh ?? 0, stale: tally?.stale ?? 0, waited: tally?.waited ?? 0 },
    loads: tally?.loads ?? 0,
    lastLoad: tally?.lastLoad === undefined
      ? null
      : { ago: now - tally.lastLoad.at, duration: tally.lastLoad.duration },
    lastError: tally?.lastError === undefined
      ? null
      : { ago: now - tally.lastError.at, name: tally.lastError.name, times: tally.failures }
  }
}

/** How much of a value is shown. */
const limits = { depth: 6, items: 100, text: 2000, all: 20_000 }

/** What a value is, and how large, and nothing of what is in it. */
export const shape = (value: unknown): string => {
  try {
    if (Redacted.isRedacted(value)) return "redacted"
    if (typeof value === "string") return `a string of ${value.length} characters`
    if (Array.isArray(value)) return `an array of ${value.length}`
    if (ArrayBuffer.isView(value)) return `${className(value)} of ${value.byteLength} bytes`
    if (value instanceof Map || value instanceof Set) return `${className(value)} of ${value.size}`
    if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value
    const fields = Object.keys(value).length
    return `${className(value)} with ${fields === 1 ? "one field" : `${fields} fields`}`
  } catch {
    return "a value that can't be looked at"
  }
}

/**
 * A value as text: bounded in depth, width and length, with `<redacted>` for what is `Redacted`. No code of the value's
 * runs: getters of objects are named, not called.
 */
export const print = (value: unknown): string => {
  let left = limits.all
  const within: Array<object> = []
  const say = (text: string): string => {
    const said = text.length <= left ? text : `${text.slice(0, Math.max(0, left))}…`
    left -= said.length
    return said
  }
  const quoted = (text: string) =>
    text.length <= limits.text
      ? JSON.stringify(text)
      : `${JSON.stringify(text.slice(0, limits.text))}… (${text.length} characters)`
  const many = (
    open: string,
    close: string,
    depth: number,
    size: number,
    items: Iterable<() => string>
  ): string => {
    if (size === 0) return say(open + close)
    const pad = "  ".repeat(depth + 1)
    const lines: Array<string> = []
    for (const item of items) {
      if (lines.length >= limits.items || left <= 0) break
      lines.push(pad + item())
    }
    if (lines.length < size) lines.push(`${pad}… (${size - lines.length} more)`)
    return `${say(open)}\n${lines.join("\n")}\n${"  ".repeat(depth)}${close}`
  }
  const fields = function*(value: object, keys: ReadonlyArray<string>, depth: number) {
    for (const key of keys) {
      const property = Object.getOwnPropertyDescriptor(value, key)
      yield () =>
        say(`${quoted(key)}: `) +
        (property === undefined || "value" in property ? go(property?.value, depth) : "<getter>")
    }
  }
  const inside = (value: object, depth: number): string => {
    if (Redacted.isRedacted(value)) return say("<redacted>")
    if (value instanceof Date) return say(Number.isNaN(value.getTime()) ? "an invalid date" : value.toISOString())
    if (value instanceof Error) return say(`<${Journal.errorName(value)}>`)
    if (ArrayBuffer.isView(value)) return say(`<${shape(value)}>`)
    if (depth >= limits.depth) return say(`<${shape(value)}>`)
    const items = function*(all: Iterable<unknown>) {
      for (const item of all) yield () => go(item, depth + 1)
    }
    if (Array.isArray(value)) return many("[", "]", depth, value.length, items(value))
    if (value instanceof Set) return many("Set {", "}", depth, value.size, items(value))
    if (value instanceof Map) {
      const pairs = function*() {
        for (const [key, item] of value) yield () => `${go(key, depth + 1)} => ${go(item, depth + 1)}`
      }
      return many("Map {", "}", depth, value.size, pairs())
    }
    const keys = Object.keys(value)
    const name = className(value)
    return many(name === "an object" ? "{" : `${name} {`, "}", depth, keys.length, fields(value, keys, depth + 1))
  }
  const go = (value: unknown, depth: number): string => {
    if (left <= 0) return ""
    if (typeof value === "string") return say(quoted(value))
    if (typeof value === "function") return say("<function>")
    if (typeof value !== "object" || value === null) return say(typeof value === "bigint" ? `${value}n` : String(value))
    if (within.includes(value)) return say("<the same again>")
    within.push(value)
    try {
      return inside(value, depth)
    } finally {
      within.pop()
    }
  }
  try {
    return go(value, 0)
  } catch {
    return "a value that can't be shown"
  }
}

const className = (value: object): string => {
  const prototype: unknown = Object.getPrototypeOf(value)
  const made = typeof prototype === "object" && prototype !== null
    ? Object.getOwnPropertyDescriptor(prototype, "constructor")?.value
    : undefined
  const name = typeof made === "function" ? Object.getOwnPropertyDescriptor(made, "name")?.value : undefined
  return typeof name === "string" && name !== "" && name !== "Object" ? name.slice(0, 80) : "an object"
}
