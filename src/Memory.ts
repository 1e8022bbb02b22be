/**
 * The table of cells of one cache: how many it holds and how heavy they are, who must stay, which key bears which tag,
 * and who watches.
 *
 * @since 0.1.0
 */
import { Ref } from "effect"
import * as Entry from "./Entry.ts"
import * as Eviction from "./Eviction.ts"
import type * as Key from "./Key.ts"
import * as State from "./State.ts"

/**
 * One key's place. It is the `Ref` of the key's state in one object, and its own node in the eviction's lists: at a
 * million keys every object around it would show.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cell<A> extends Ref.Ref<State.State<A>> {}
export class Cell<A> {
  static {
    // What `Ref.make` answers points to a box with `current`; a cell is its own box.
    Object.setPrototypeOf(this.prototype, Object.getPrototypeOf(Ref.makeUnsafe(undefined)))
    Object.defineProperty(this.prototype, "ref", {
      get() {
        return this
      }
    })
  }

  /** Its name: what the map knows it by. */
  declare readonly key: Key.Name
  /** Owned by {@link Memory.put}: everybody else reads. */
  declare current: State.State<A>
  /** What its entry weighs. */
  declare weight: number
  declare prev: Cell<A> | undefined
  declare next: Cell<A> | undefined
  declare queue: number
  declare visits: number

  constructor(key: Key.Name) {
    this.key = key
    this.current = State.empty
    this.weight = 0
    this.prev = undefined
    this.next = undefined
    this.queue = 0
    this.visits = 0
  }
}

/**
 * Told when an entry comes or goes; `undefined`: it is gone.
 *
 * @since 0.1.0
 * @category models
 */
export type Watcher<A> = (entry: Entry.Entry<A> | undefined) => void

const SLOTS = 1024

const slotOf = (text: string): number => {
  let hash = 7
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash, 31) + text.charCodeAt(i) | 0
  return hash & (SLOTS - 1)
}

/**
 * When something was last said of a text, in so many slots: two texts in one slot void too much, never too little.
 *
 * @since 0.1.0
 * @category models
 */
export class Notes {
  private slots: Array<number> | undefined = undefined

  note(text: string, at: number): void {
    const slots = this.slots ??= Array.from({ length: SLOTS }, () => 0)
    const slot = slotOf(text)
    slots[slot] = Math.max(slots[slot] ?? 0, at)
  }

  /** 0 for never. */
  of(text: string): number {
    return this.slots?.[slotOf(text)] ?? 0
  }

  clear(): void {
    this.slots = undefined
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export class Memory<A> {
  /**
   * Counts the last words that concern more than one key: a load carries the reading from when it began. Over a store
   * it is what was heard of the clock of the space.
   */
  clock = 0
  /** The weight of all entries. */
  weight = 0
  /** How many keys back off. */
  held = 0

  private readonly cells = new Map<Key.Name, Cell<A>>()
  /** Found last: a load looks at its key several times in one step. */
  private last: Cell<A> | undefined = undefined
  private readonly eviction: Eviction.Eviction<Cell<A>>
  /** A tag that one cell alone bears has no set: that would weigh as much as the cell. */
  private readonly tagged = new Map<string, Cell<A> | Set<Cell<A>>>()
  private readonly watchers = new Map<Key.Name, Set<Watcher<A>>>()
  private readonly notes = new Notes()
  private readonly capacity: number
  private readonly weightLimit: number
  private readonly onEvict: (cell: Cell<A>, entry: Entry.Entry<A>, isFull: boolean) => void

  constructor(
    capacity: number,
    weightLimit: number,
    onEvict: (cell: Cell<A>, entry: Entry.Entry<A>, isFull: boolean) => void
  ) {
    this.capacity = capacity
    this.weightLimit = weightLimit
    this.onEvict = onEvict
    this.eviction = new Eviction.Eviction(capacity)
  }

  /** Keys of which something is kept. */
  get size(): number {
    return this.eviction.size
  }

  /** The cell of a key of which something is known. */
  find(name: Key.Name): Cell<A> | undefined {
    return this.cells.get(name)
  }

  /** The state of a key. */
  state(name: Key.Name): State.State<A> {
    return this.cell(name)?.current ?? State.empty
  }

  private cell(name: Key.Name): Cell<A> | undefined {
    if (this.last?.key === name) return this.last
    const cell = this.cells.get(name)
    if (cell !== undefined) this.last = cell
    return cell
  }

  private drop(cell: Cell<A>): void {
    this.cells.delete(cell.key)
    if (this.last === cell) this.last = undefined
  }

  /** All cells, also while they change. */
  all(): ReadonlyArray<Cell<A>> {
    return Array.from(this.cells.values())
  }

  /** The cells whose entry bears a tag. */
  withTag(tag: string): ReadonlyArray<Cell<A>> {
    const cells = this.tagged.get(tag)
    return cells === undefined ? [] : cells instanceof Set ? Array.from(cells) : [cells]
  }

  /** Remembers when a tag was invalidated, for the loads under way whose tags nobody knows yet. */
  note(tag: string, at = this.clock + 1): void {
    this.clock = Math.max(this.clock, at)
    this.notes.note(tag, at)
  }

  /** The latest invalidation among these tags; 0 for none. */
  noted(tags: ReadonlyArray<string>): number {
    return tags.reduce((latest, tag) => Math.max(latest, this.notes.of(tag)), 0)
  }

  /** Whether a value of this weight can be kept at all. */
  fits(weight: number): boolean {
    return weight <= this.weightLimit
  }

  /** Counts a visit, for the eviction. */
  visit(cell: Cell<A>): void {
    Eviction.visit(cell)
  }

  /**
   * Puts the state of a key: the one place where a cell changes. Then whatever no longer fits leaves. `weight` is that
   * of a new entry. Answers the state before.
   */
  put(name: Key.Name, next: State.State<A>, now: number, weight = 1): State.State<A> {
    let cell = this.cell(name)
    if (cell === undefined) {
      if (State.isEmpty(next)) return State.empty
      cell = new Cell<A>(name)
      this.cells.set(name, cell)
      this.last = cell
    }
    const before = cell.current
    if (before === next) return before
    cell.current = next
    if (before.hold !== next.hold) this.held += (next.hold === undefined ? 0 : 1) - (before.hold === undefined ? 0 : 1)
    if (before.entry !== next.entry) this.replace(cell, before.entry, next.entry, weight)
    if (State.isEmpty(next)) {
      this.drop(cell)
      this.eviction.remove(cell)
      return before
    }
    const remembers = next.entry !== undefined || next.failure !== undefined || next.hold !== undefined ||
      next.passUntil !== 0
    if (remembers !== this.eviction.has(cell)) {
      if (remembers) this.eviction.add(cell)
      else this.eviction.remove(cell)
    }
    if (this.eviction.size > this.capacity || this.weight > this.weightLimit) this.shrink(now, cell)
    return before
  }

  /** Calls the watcher when the entry of a key comes or goes, until the returned function is called. */
  watch(name: Key.Name, watcher: Watcher<A>): () => void {
    const watchers = this.watchers.get(name) ?? new Set()
    this.watchers.set(name, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.watchers.get(name) === watchers) this.watchers.delete(name)
    }
  }

  /** Forgets everything, without a word to anybody. */
  close(): void {
    this.cells.clear()
    this.last = undefined
    this.eviction.clear()
    this.tagged.clear()
    this.watchers.clear()
    this.weight = 0
    this.held = 0
  }

  private replace(
    cell: Cell<A>,
    before: Entry.Entry<A> | undefined,
    next: Entry.Entry<A> | undefined,
    weight: number
  ): void {
    // Marked, doubted, or bound to another schema: nothing came or went. What a load or a `set` brings bears no mark.
    const same = before !== undefined && next !== undefined && next.value === before.value &&
      next.bornAt === before.bornAt &&
      ((next.marked >= 0 && (before.marked < 0 || next.marked === before.marked)) ||
        next.terms.schema !== before.terms.schema)
    const heavy = next === undefined ? 0 : same ? cell.weight : weight
    this.weight += heavy - cell.weight
    cell.weight = heavy
    if (before?.terms.tags !== next?.terms.tags) {
      for (const tag of before?.terms.tags ?? []) this.untag(tag, cell)
      for (const tag of next?.terms.tags ?? []) {
        const cells = this.tagged.get(tag)
        if (cells === undefined) this.tagged.set(tag, cell)
        else if (cells instanceof Set) cells.add(cell)
        else if (cells !== cell) this.tagged.set(tag, new Set([cells, cell]))
      }
    }
    if (!same && this.watchers.size > 0) this.watchers.get(cell.key)?.forEach((watcher) => watcher(next))
  }

  private untag(tag: string, cell: Cell<A>): void {
    const cells = this.tagged.get(tag)
    if (cells instanceof Set) cells.delete(cell)
    if (cells === cell || (cells instanceof Set && cells.size === 0)) this.tagged.delete(tag)
  }

  private shrink(now: number, newcomer: Cell<A>): void {
    // What was just put stays: else a `set` could be followed by a miss.
    const pinned = (cell: Cell<A>) => cell === newcomer || cell.current.flight !== undefined
    const useless = ({ current }: Cell<A>) =>
      current.entry !== undefined
        ? Entry.isDead(current.entry, now)
        : now >= current.passUntil && (current.failure === undefined || now >= current.failure.until)
    while (this.eviction.size > this.capacity || this.weight > this.weightLimit) {
      const isFull = this.eviction.size > this.capacity
      const cell = this.eviction.evict(pinned, useless)
      if (cell === undefined) return
      const { entry, hold } = cell.current
      this.drop(cell)
      cell.current = State.evicted(cell.current)
      if (hold !== undefined) this.held--
      this.weight -= cell.weight
      cell.weight = 0
      if (entry === undefined) continue
      for (const tag of entry.terms.tags) this.untag(tag, cell)
      this.onEvict(cell, entry, isFull)
    }
  }
}
