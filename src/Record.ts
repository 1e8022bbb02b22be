/**
 * A record as a store finds it whose server decides nothing: whether it is alive and fresh, and what is told of it.
 *
 * @since 0.1.0
 */
import { Result } from "effect"
import * as Codec from "./Codec.ts"
import * as Policy from "./Policy.ts"
import type * as Store from "./Store.ts"

/** A record, and the age at which it was marked stale; -1 for never. */
export type Kept = readonly [record: string, marked: number]

/** Past its life, or from the future: nobody knows how old it is. */
export const isOver = ({ stamp, windows }: Pick<Codec.Fields, "stamp" | "windows">, now: number): boolean =>
  stamp > now || now - stamp >= windows.life

/** Whether it is fresh to who asks. */
export const isFresh = (
  { jitter, stamp, windows }: Pick<Codec.Fields, "jitter" | "stamp" | "windows">,
  marked: number,
  policy: Store.Open["policy"],
  now: number
): boolean => {
  const { freshFor = Infinity, life, maxAge = Infinity, staleIfError = Infinity } = windows
  return now - stamp < Policy.freshUntil(policy, { freshFor, maxAge, staleIfError, life }, jitter, marked)
}

/** What is told of a key but for the right to load, and whether that is fresh to who asks. */
export interface Seen extends Pick<Store.Opened, "entry" | "problem"> {
  readonly isFresh: boolean
}

const nothing: Seen = { entry: undefined, problem: undefined, isFresh: false }

/** What a record is to who asks: nothing where it is over, or `isVoid` says so. */
export const look = (
  kept: Kept | undefined,
  { key, policy }: Pick<Store.Open, "key" | "policy">,
  maxBytes: number | undefined,
  now: number,
  isVoid: (fields: Codec.Fields) => boolean
): Seen => {
  if (kept === undefined) return nothing
  const [record, marked] = kept
  const read = Codec.readRecord(record, key, { maxBytes })
  if (Result.isFailure(read)) return { ...nothing, problem: read.failure }
  const { jitter, json, stamp, tags, valueText, windows } = read.success
  if (isVoid(read.success) || isOver(read.success, now)) return nothing
  return {
    entry: { value: valueText, json, windows, jitter, tags, age: now - stamp, marked, clock: undefined },
    problem: undefined,
    isFresh: isFresh(read.success, marked, policy, now)
  }
}
