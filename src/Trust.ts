/**
 * What a process has heard of a space in a store, and how far that lets it trust its memory.
 *
 * The store counts last words. A process *heard* everything up to some counter: by announcements while they come
 * without a gap, or because a question told how far the store is. Memory may be used without asking until `trustFor`
 * after the last question was sent. A counter ahead of what was heard is a *gap*: what memory has from before it is
 * unconfirmed.
 *
 * Counters of one epoch say nothing of another's. So a counter is turned into a *reading*, a number that only grows:
 * every reading of a new epoch is greater than all before. That is the clock that entries and flights carry.
 *
 * @since 0.1.0
 */
import type * as Key from "./Key.ts"
import * as Memory from "./Memory.ts"
import type * as Store from "./Store.ts"

/** What was asked when: replies are judged by it. */
export interface Question {
  readonly sentAt: number
  readonly turn: number
}

/** A last word that did not reach the store. */
export type Debt = { readonly mode: "hard" | "soft"; readonly names: ReadonlyArray<Key.Name> } | {
  readonly mode: "tag"
  readonly tag: string
} | { readonly mode: "clear" }

/**
 * What trust goes by: the `counter` of last words; the `time` since an entry was asked for, where nothing is announced;
 * or, where no other process writes, nothing: this one is `alone`.
 */
export type Measure = "counter" | "time" | "alone"

/** How many failed last words are remembered one by one; beyond it the whole space is owed. */
const DEBTS = 10_000

/** So many last words nobody misses: who tells of more lies, and would leave no room for the readings of new epochs. */
const FAR = 2 ** 32

/** Of one space. Handed the time; acts on nothing. */
export class Trust {
  /** As the last question taught it; `undefined` before the first. */
  private epoch: string | undefined = undefined
  /** The reading of counter 0 of this epoch: what is older comes from another. */
  base = 0
  /** Every last word up to this reading was heard. */
  heard = 0
  /** Last words up to this reading may have been missed. */
  gap = 0
  /** Until then memory may be used without asking; from `renewFrom` on the next read asks behind its reader's back. */
  until = -1
  renewFrom = -1
  /** The greatest clock that was seen in any message: by it the store learns that it has lost writes. */
  seen: Store.Clock | undefined = undefined
  /** Nothing that was asked before this turn enters memory. */
  private barrier = 0
  private turn = 0
  private learnedIn = 0
  /** The greatest reading that was ever given. */
  private top = 0
  /** Last words about keys, and about the whole space. */
  private readonly keys = new Memory.Notes()
  private cleared = 0

  /** Failed last words, with the turn in which they failed: about keys, tags, the whole space. */
  private readonly owed = new Map<Key.Name, { readonly mode: "hard" | "soft"; readonly turn: number }>()
  private readonly tags = new Map<string, number>()
  private all = 0

  private readonly trustFor: number
  private readonly measure: Measure

  constructor(trustFor: number, measure: Measure) {
    this.trustFor = trustFor
    this.measure = measure
    if (measure !== "counter") {
      this.until = Infinity
      this.renewFrom = Infinity
    }
  }

  /** A question is sent now. */
  ask(sentAt: number): Question {
    return { sentAt, turn: ++this.turn }
  }

  isTrusted(at: number): boolean {
    return at < this.until
  }

  /** What memory has from before this reading is unconfirmed. */
  floor(at: number): number {
    return this.measure === "time" ? at - this.trustFor : this.gap
  }

  /** The reading of what is known as of a moment, where the store has no clock; `heard` is the memory's. */
  stamp(at: number, heard: number): number {
    return this.measure === "time" ? at : heard
  }

  /** The reading that a clock stands for; `undefined` for one of another epoch. */
  reading(clock: Store.Clock): number | undefined {
    return clock.epoch === this.epoch ? this.base + clock.counter : undefined
  }

  /** Whether there are last words that it counts and that were not heard. */
  isAhead(clock: Store.Clock): boolean {
    return (this.reading(clock) ?? -1) > this.heard
  }

  /** The clock that a reading stands for, to tell the store. */
  clockOf(reading: number): Store.Clock | undefined {
    return this.epoch === undefined ? undefined : { epoch: this.epoch, counter: Math.max(0, reading - this.base) }
  }

  /** Any message with a clock. */
  see(clock: Store.Clock): void {
    if (this.seen?.epoch !== clock.epoch || this.seen.counter < clock.counter) this.seen = clock
  }

  /**
   * The reply to a question: the only thing that renews trust or teaches an epoch. False for a reply that is older than
   * the epoch: it counts for nothing.
   */
  learn(clock: Store.Clock, question: Question): boolean {
    if (clock.epoch !== this.epoch) {
      if (question.turn <= this.learnedIn) return false
      this.epoch = clock.epoch
      this.learnedIn = this.turn
      this.distrust()
      this.base = this.top + 1
      this.heard = this.base
      this.gap = this.base
      this.cleared = 0
      this.keys.clear()
    }
    const counter = this.base + clock.counter
    if (counter > this.heard) {
      this.heard = counter
      this.gap = counter
    }
    this.top = Math.max(this.top, this.heard)
    this.until = Math.max(this.until, question.sentAt + this.trustFor)
    this.renewFrom = this.until - this.trustFor / 4
    return true
  }

  /** Somebody's last word: its reading, and whether the ones before it were heard too. `undefined`: another epoch's. */
  hear(clock: Store.Clock): number | undefined {
    const reading = this.reading(clock)
    const isFar = reading !== undefined && !(reading - this.heard < FAR)
    if (!isFar) this.see(clock)
    if (reading === undefined || isFar) {
      this.distrust()
      this.barrier = this.turn
      return undefined
    }
    this.top = Math.max(this.top, reading)
    if (reading === this.heard + 1) this.heard = reading
    return reading
  }

  /** Memory is not to be used until the store has been asked. */
  distrust(): void {
    if (this.measure !== "counter") return
    this.until = -1
    this.renewFrom = -1
  }

  /** Remembers a last word about a key, or (without one) about the whole space. */
  note(name: Key.Name | undefined, reading: number): void {
    if (name === undefined) this.cleared = Math.max(this.cleared, reading)
    else this.keys.note(String(name), reading)
  }

  /** The latest last word about a key. */
  noted(name: Key.Name): number {
    return Math.max(this.cleared, this.keys.of(String(name)))
  }

  /** Whether what was asked then may still enter memory. */
  isCurrent(question: Question): boolean {
    return question.turn > this.barrier
  }

  // ----- debts

  /** Whether the store may not be read for this key. */
  owes(name: Key.Name): boolean {
    return this.all > 0 || this.tags.size > 0 || this.owed.has(name)
  }

  get isIndebted(): boolean {
    return this.all > 0 || this.tags.size > 0 || this.owed.size > 0
  }

  /** The store did not hear this. */
  owe(debt: Debt): void {
    const turn = ++this.turn
    if (debt.mode === "clear") this.all = turn
    else if (debt.mode === "tag") this.tags.set(debt.tag, turn)
    else {
      for (const name of debt.names) {
        // What was to go does not come back as stale.
        const mode = this.owed.get(name)?.mode === "hard" ? "hard" : debt.mode
        this.owed.set(name, { mode, turn })
      }
    }
    if (this.owed.size + this.tags.size > DEBTS) this.all = turn
    if (this.all > 0) {
      this.owed.clear()
      this.tags.clear()
    }
  }

  /** What is to be told next, so many keys at a time. */
  due(most: number): Debt | undefined {
    if (this.all > 0) return { mode: "clear" }
    for (const tag of this.tags.keys()) return { mode: "tag", tag }
    for (const mode of ["hard", "soft"] as const) {
      const names: Array<Key.Name> = []
      for (const [name, debt] of this.owed) if (debt.mode === mode && names.length < most) names.push(name)
      if (names.length > 0) return { mode, names }
    }
    return undefined
  }

  /** The store has heard this, told in that turn: what failed since is still owed. */
  settle(debt: Debt, { turn }: Question): void {
    if (debt.mode === "clear") this.all = this.all > turn ? this.all : 0
    else if (debt.mode === "tag") {
      if ((this.tags.get(debt.tag) ?? 0) < turn) this.tags.delete(debt.tag)
    } else {
      for (const name of debt.names) {
        const owed = this.owed.get(name)
        // A mark does not pay for what was to go.
        if (owed !== undefined && owed.turn < turn && (debt.mode === "hard" || owed.mode === "soft")) {
          this.owed.delete(name)
        }
      }
    }
  }
}
