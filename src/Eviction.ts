/**
 * Which key leaves when the memory is full.
 *
 * A relative of S3-FIFO. A new key goes on probation; one that earned two visits there moves on to the main queue,
 * where every round without a visit brings it nearer to leaving. So a scan, or a loop too long for the memory, passes
 * through probation and leaves the main queue alone. A key that failed probation is remembered as a ghost of 4 bytes,
 * and goes straight to the main queue if it soon returns. A hit costs one counter; a key's cell is its own list node.
 *
 * ```
 *   add --------> [ probation ] -- two visits --> [ main ] <--.
 *                       |                          ^ |  |     | a visit: another round
 *                       '--> left, a ghost -- add -' |  '-----'
 *                                                    '--> left
 * ```
 *
 * @since 0.1.0
 */

/** The queues as the nodes name them; 0 is no queue. */
const onProbation = 1
const inMain = 2

/** The share of what is held that is on probation: a larger one costs loops and scans, a smaller one new favourites. */
const probationShare = 0.05

/** After so many pinned nodes in a row a sweep gives up, or a flood of pins would make every call walk all of them. */
const patience = 256

/**
 * What the policy keeps with a key. The caller makes the fields `undefined` and 0 and then leaves them alone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Node<N> {
  readonly key: string | number
  prev: N | undefined
  next: N | undefined
  queue: number
  visits: number
}

type Test<N> = (node: N) => boolean

/**
 * Counts a visit, up to 3: all that the policy asks of a hit.
 *
 * @since 0.1.0
 * @category combinators
 */
export const visit = (node: { visits: number }): void => {
  if (node.visits < 3) node.visits++
}

/**
 * The keys that are held, in the order in which they leave. A node belongs to one `Eviction`.
 *
 * @since 0.1.0
 * @category models
 */
export class Eviction<N extends Node<N>> {
  private readonly capacity: number
  private readonly probation = new Queue<N>(onProbation)
  private readonly main = new Queue<N>(inMain)
  private ghosts = new Ghosts()

  /** `Infinity` where something other than the number of keys says when memory is full. */
  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.probation.size + this.main.size
  }

  has(node: N): boolean {
    return node.queue !== 0
  }

  /** Holds a node; does nothing if it is held. */
  add(node: N): void {
    if (this.has(node)) return
    const queue = this.ghosts.recall(node.key) ? this.main : this.probation
    queue.push(node)
  }

  /** Lets go of a node, without a ghost; does nothing if it is not held. */
  remove(node: N): void {
    if (!this.has(node)) return
    const queue = node.queue === inMain ? this.main : this.probation
    queue.unlink(node)
  }

  /**
   * Lets go of the node whose turn it is and returns it. Of the nodes it meets, a pinned one stays and an expired one
   * leaves whatever its visits. `undefined`: all are pinned, or 256 in a row were and the next call goes on from there.
   * All other steps are paid for by an earlier `add` or `visit`.
   */
  evict(pinned: Test<N>, expired: Test<N>): N | undefined {
    const { main, probation } = this
    // What is held beyond the capacity is there because of pins; it must not widen the share.
    const room = Math.min(this.capacity, this.size)
    const share = Math.max(1, room * probationShare)
    const node = this.sweep(probation, share, pinned, expired) ??
      this.sweep(main, 0, pinned, expired) ??
      this.sweep(probation, 0, pinned, expired) ??
      this.sweep(main, 0, pinned, expired)
    // No ghosts of the main queue: they would lead a whole loop back into it, and no part of the loop could stay.
    if (node?.queue === onProbation) this.ghosts.remember(node.key, room)
    if (node !== undefined) this.remove(node)
    return node
  }

  /** Forgets all nodes and ghosts. It walks the nodes: one that is still in use must not keep its neighbours alive. */
  clear(): void {
    for (const queue of [this.probation, this.main]) while (queue.tail !== undefined) queue.unlink(queue.tail)
    this.ghosts = new Ghosts()
  }

  /** The oldest that may leave a queue above its share. Pinned ones move back, saved ones to the main queue. */
  private sweep(queue: Queue<N>, share: number, pinned: Test<N>, expired: Test<N>): N | undefined {
    for (let skipped = 0;;) {
      const node = queue.tail
      if (node === undefined || queue.size <= share || skipped >= Math.min(queue.size, patience)) return undefined
      const stays = pinned(node)
      // Probation is the longer queue only while the memory first fills; two visits would then ask too much.
      const needed = queue.size < this.main.size ? 2 : 1
      if (!stays && (node.visits < needed || expired(node))) return node
      queue.unlink(node)
      skipped = stays ? skipped + 1 : 0
      if (!stays) node.visits >>= 1
      const next = stays ? queue : this.main
      next.push(node)
    }
  }
}

/** A list through the nodes themselves, oldest at the tail. */
class Queue<N extends Node<N>> {
  readonly name: number
  size = 0
  tail: N | undefined = undefined
  private head: N | undefined = undefined

  constructor(name: number) {
    this.name = name
  }

  push(node: N): void {
    node.queue = this.name
    node.next = this.head
    if (this.head === undefined) this.tail = node
    else this.head.prev = node
    this.head = node
    this.size++
  }

  unlink(node: N): void {
    if (node.prev === undefined) this.head = node.next
    else node.prev.next = node.next
    if (node.next === undefined) this.tail = node.prev
    else node.next.prev = node.prev
    node.prev = node.next = undefined
    node.queue = 0
    this.size--
  }
}

/** The keys that failed probation of late: hashes in a table where newer overwrite older, so no key is kept alive. */
class Ghosts {
  private slots = new Int32Array(0)

  remember(key: string | number, room: number): void {
    // A power of two, so that a mask makes the hash a slot; a table that becomes too small starts again empty.
    if (this.slots.length < room) this.slots = new Int32Array(2 ** (32 - Math.clz32(room - 1)))
    const ghost = hash(key)
    this.slots[ghost & (this.slots.length - 1)] = ghost
  }

  /** Whether the key is a ghost; after this it is none. */
  recall(key: string | number): boolean {
    if (this.slots.length === 0) return false
    const ghost = hash(key)
    const slot = ghost & (this.slots.length - 1)
    if (this.slots[slot] !== ghost) return false
    this.slots[slot] = 0
    return true
  }
}

/** FNV-1a over code units, its high bits folded into the low ones that choose the slot; never 0, the empty slot. */
const hash = (key: string | number): number => {
  const text = String(key)
  let mixed = 0x811c9dc5
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x01000193)
  return (mixed ^ (mixed >>> 13)) || 1
}
