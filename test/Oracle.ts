/**
 * What a cache must do, told a second time: slowly, from the rules (R1 to R12, R17, R19) of the design, without a look
 * at `src`. A list of facts per key, a clock that somebody else turns, and one method per thing a user can do.
 *
 * Where the rules leave a choice, the comment says "choice".
 */

export type Status = "miss" | "fresh" | "stale" | "expired"
export type Reason = "revalidating" | "error" | "timeout" | "marked"

/** What a reader asks for, all in milliseconds. */
export interface Windows {
  readonly freshFor: number
  readonly maxAge: number
  readonly staleIfError: number
  readonly softTimeout: number | undefined
  readonly jitter: number
  readonly strict: boolean
  /** Which errors are outages: every one, all but those that the lookup means as an answer, none. */
  readonly when: "all" | "outages" | "none"
}

/** Windows as they are written. */
export interface Said extends Partial<Omit<Windows, "strict">> {
  /** A policy of its own, in place of the cache's. */
  readonly whole?: boolean
}

/** R2, R4: what a reader says lies over the cache's, option by option; each window is clamped by itself. */
export const lay = (base: Said, said: Said, longest: number): Windows => {
  const over = said.whole === true ? said : { ...base, ...said }
  const maxAge = Math.min(over.maxAge ?? 86_400_000, longest)
  return {
    freshFor: Math.min(over.freshFor ?? 0, maxAge),
    maxAge,
    staleIfError: Math.min(over.staleIfError ?? 0, longest),
    softTimeout: over.softTimeout,
    jitter: over.jitter ?? 0,
    strict: false,
    // It is one option with its window.
    when: (said.staleIfError === undefined ? over.when : said.when) ?? "all"
  }
}

/** R17 */
export const strict = (maxAge: number, jitter: number, longest: number): Windows => ({
  ...lay({}, { freshFor: maxAge, maxAge, jitter }, longest),
  strict: true
})

/** What a value may ask for itself. */
export interface Wishes {
  readonly freshFor?: number
  readonly maxAge?: number
  readonly staleIfError?: number
  readonly tags?: ReadonlyArray<string>
  readonly age?: number
}

/** The cache and its layer. */
export interface World {
  readonly windows: Windows
  readonly hardTimeout: number
  readonly failureTimeToLive: number
  readonly backoff: { readonly from: number; readonly to: number }
  readonly refreshes: number
  /** The one number that chance always answers. */
  readonly random: number
}

/** How a load ends. */
export type Ending =
  | { readonly _tag: "Value"; readonly keep: Wishes | "share" | "pass" }
  | { readonly _tag: "Outage" | "Answer" | "Defect" | "Interrupt" | "Timeout" }

interface Entry {
  readonly value: string
  readonly bornAt: number
  readonly wishes: Wishes
  readonly jitter: number
  /** The age at which it was marked stale. */
  markedAt: number | undefined
}

/** A run of the lookup. */
export class Load {
  /** The key and the number of the call of the lookup; "" until then. */
  name = ""
  ending: Ending | undefined
  /** Told to stop. */
  stopped = false
  /** A last word came after it began. */
  forgotten = false
  waiters: Array<Reader> = []
  /** How many `invalidateTag` there had been when it began. */
  tagWords = 0
  /** Of its value's tags, the count right after the last `invalidateTag` since it began. */
  overruledAt: number | undefined
  /** What the lookup is told of the entry. */
  previous = ""
  /** The pass it began in. */
  pass: object | undefined

  readonly kind: "shared" | "refresh" | "alone"
  readonly starter: Reader
  /** Also without waiters. */
  goesOn: boolean

  constructor(kind: Load["kind"], starter: Reader) {
    this.kind = kind
    this.starter = starter
    this.goesOn = kind === "refresh"
  }
}

/** Somebody who wants an answer. */
export class Reader {
  /** What the read found first. */
  found: Status | undefined
  load: Load | undefined
  /** How many `invalidateTag` there had been when it began to wait. */
  tagWords = 0
  outcome: string | undefined

  readonly key: string
  readonly windows: Windows
  readonly wants: "read" | "revalidate"

  constructor(key: string, windows: Windows, wants: Reader["wants"]) {
    this.key = key
    this.windows = windows
    this.wants = wants
  }
}

/** Somebody who changes a value by an effect. */
export interface Writer {
  readonly key: string
  readonly value: string
  /** How the effect ends at once; `undefined`: it waits to be told. */
  readonly ending: "value" | "failure" | undefined
  /** What the effect is told; `undefined` until its turn. */
  current: string | undefined
  outcome: string | undefined
}

class Known {
  entry: Entry | undefined
  load: Load | undefined
  due: Load | undefined
  backoff: { readonly failures: number; readonly until: number } | undefined
  failure: { readonly text: string; readonly until: number } | undefined
  pass: { until: number } | undefined
  calls = 0
  writers: Array<Writer> = []
}

interface Timer {
  readonly at: number
  readonly alive: () => boolean
  readonly fire: () => void
}

export class Oracle {
  now = 0
  /** Loads whose lookup has been called, by name. */
  readonly called = new Map<string, Load>()
  /** How the lookup of a key ends at once; `undefined`: it waits to be told. */
  readonly origin = new Map<string, Ending>()
  private readonly counters = { hits: 0, stale: 0, misses: 0, joined: 0, loads: 0, failures: 0 }
  private readonly world: World
  private readonly keys = new Map<string, Known>()
  private readonly flying = new Set<Load>()
  private readonly tagWord = new Map<string, number>()
  private tagWords = 0
  private later: Array<() => void> = []
  private timers: Array<Timer> = []

  constructor(world: World) {
    this.world = world
  }

  private known(key: string): Known {
    const known = this.keys.get(key) ?? new Known()
    this.keys.set(key, known)
    return known
  }

  // ----- time (R1, R3, R4, R17)

  private age(entry: Entry): number {
    return this.now - entry.bornAt
  }

  /** R3: past it nobody is given the value. */
  private life({ wishes }: Entry): number {
    const { freshFor, maxAge, staleIfError } = this.world.windows
    const least = Math.min(maxAge, wishes.maxAge ?? Infinity)
    const stale = Math.min(freshFor, wishes.freshFor ?? Infinity, least)
    return Math.max(least, stale + Math.min(staleIfError, wishes.staleIfError ?? Infinity))
  }

  private isDead(entry: Entry): boolean {
    return this.age(entry) >= this.life(entry)
  }

  private expiredFrom(entry: Entry, windows: Windows): number {
    const maxAge = Math.min(windows.maxAge, entry.wishes.maxAge ?? Infinity, this.life(entry))
    if (!windows.strict) return maxAge
    // R17: an entry's own `freshFor` counts as its `maxAge`, jitter shortens `maxAge`, a mark voids.
    if (entry.markedAt !== undefined) return 0
    return jittered(Math.min(maxAge, entry.wishes.freshFor ?? Infinity), entry, windows)
  }

  private staleFrom(entry: Entry, windows: Windows): number {
    const expired = this.expiredFrom(entry, windows)
    if (windows.strict) return expired
    const least = Math.min(windows.freshFor, entry.wishes.freshFor ?? Infinity, expired, entry.markedAt ?? Infinity)
    return jittered(least, entry, windows)
  }

  private fallbackUntil(entry: Entry, windows: Windows): number {
    const window = Math.min(windows.staleIfError, entry.wishes.staleIfError ?? Infinity)
    return window === 0 ? 0 : Math.min(this.staleFrom(entry, windows) + window, this.life(entry))
  }

  private status(entry: Entry | undefined, windows: Windows): Status {
    if (entry === undefined) return "miss"
    if (this.age(entry) < this.staleFrom(entry, windows)) return "fresh"
    return this.age(entry) < this.expiredFrom(entry, windows) ? "stale" : "expired"
  }

  /** Whether the entry may stand in for a load that failed or is slow. */
  private standsIn(entry: Entry | undefined, windows: Windows): entry is Entry {
    if (entry === undefined) return false
    return this.status(entry, windows) !== "expired" || this.age(entry) < this.fallbackUntil(entry, windows)
  }

  // ----- reading (R6, R9, R10, R12, R19)

  read(key: string, windows: Windows): Reader {
    const reader = new Reader(key, windows, "read")
    this.look(reader)
    this.settle()
    return reader
  }

  /** All in one step, before the lookup of a refresh is called. */
  readMany(keys: ReadonlySet<string>, windows: Windows): ReadonlyMap<string, Reader> {
    const readers = new Map(Array.from(keys, (key) => [key, new Reader(key, windows, "read")]))
    for (const reader of readers.values()) this.look(reader)
    this.settle()
    return readers
  }

  private look(reader: Reader): void {
    if (reader.wants === "revalidate") return this.reload(reader)
    const { counters, now } = this
    const known = this.known(reader.key)
    const { backoff, entry, failure, load, pass } = known
    const status = this.status(entry, reader.windows)
    // Choice: a read counts once, as what it found first, and that is what it is told; a kept failure is joined.
    const isFirst = reader.found === undefined
    const found = reader.found ?? status
    if (pass !== undefined && now < pass.until) {
      if (isFirst) counters.misses++
      reader.found = found
      return this.wait(reader, this.begin(known, "alone", reader))
    }
    if (entry !== undefined && status === "fresh") {
      if (isFirst) counters.hits++
      return this.answer(reader, found, entry, "memory", undefined)
    }
    if (entry !== undefined && (status === "stale" || backoff && this.standsIn(entry, reader.windows))) {
      if (isFirst) counters.stale++
      const reason = reasonOf(known)
      this.maybeRefresh(reader, known)
      return this.answer(reader, found, entry, "memory", reason)
    }
    if (failure !== undefined && now < failure.until) {
      if (isFirst) counters.joined++
      reader.outcome = failure.text
      return
    }
    if (isFirst) counters[load === undefined ? "misses" : "joined"]++
    reader.found = found
    this.wait(reader, load ?? this.begin(known, "shared", reader))
  }

  private maybeRefresh(reader: Reader, known: Known): void {
    if (known.load !== undefined || known.backoff !== undefined && this.now < known.backoff.until) return
    const refreshing = Array.from(this.flying).filter(({ kind }) => kind === "refresh").length
    if (refreshing < this.world.refreshes) this.begin(known, "refresh", reader)
  }

  /** R11: a load that begins from now on. */
  revalidate(key: string): Reader {
    const reader = new Reader(key, this.world.windows, "revalidate")
    this.reload(reader)
    this.settle()
    return reader
  }

  private reload(reader: Reader): void {
    const known = this.known(reader.key)
    if (known.pass !== undefined && this.now < known.pass.until) {
      return this.wait(reader, this.begin(known, "alone", reader))
    }
    if (known.load === undefined) return this.wait(reader, this.begin(known, "shared", reader))
    known.due ??= new Load("shared", reader)
    this.wait(reader, known.due)
  }

  private wait(reader: Reader, load: Load): void {
    reader.load = load
    reader.tagWords = this.tagWords
    if (load.ending !== undefined) return this.deliver(reader, load)
    load.waiters.push(reader)
    const { softTimeout } = reader.windows
    if (reader.wants === "revalidate" || softTimeout === undefined) return
    if (!this.standsIn(this.known(reader.key).entry, reader.windows)) return
    this.timer(this.now + softTimeout, () => reader.load === load, () => this.loseNoTime(reader, load))
  }

  /** R10: slower than `softTimeout`. R7: the load goes on. */
  private loseNoTime(reader: Reader, load: Load): void {
    const { entry } = this.known(reader.key)
    if (!this.standsIn(entry, reader.windows)) return
    if (!load.forgotten) load.goesOn = true
    this.leave(reader)
    this.answer(reader, reader.found ?? "miss", entry, "memory", "timeout")
  }

  private leave(reader: Reader): void {
    const { load } = reader
    reader.load = undefined
    if (load === undefined || load.ending !== undefined) return
    load.waiters = load.waiters.filter((other) => other !== reader)
    if (load.waiters.length === 0 && !load.goesOn) this.stop(load)
  }

  /** The load has ended. */
  private deliver(reader: Reader, load: Load): void {
    reader.load = undefined
    const { ending, overruledAt } = load
    if (ending === undefined) return
    if (ending._tag === "Value") {
      const forStarterOnly = ending.keep === "pass" && load.starter !== reader
      // R11: the value is from before its tag's last word, and he came after one: after which of them is not known.
      const overruled = overruledAt !== undefined && reader.tagWords > load.tagWords
      if (forStarterOnly || overruled) return this.look(reader)
      const entry = this.newEntry(load.name, typeof ending.keep === "string" ? {} : ending.keep)
      const status = reader.wants === "revalidate" ? "fresh" : reader.found ?? "miss"
      return this.answer(reader, status, entry, "lookup", undefined)
    }
    const { entry } = this.known(reader.key)
    if (reader.wants === "read" && isOutage(reader.windows, ending) && this.standsIn(entry, reader.windows)) {
      return this.answer(reader, reader.found ?? "miss", entry, "memory", "error")
    }
    reader.outcome = textOf(load, ending)
  }

  private answer(reader: Reader, ...found: Found): void {
    reader.outcome = this.evidence(reader.windows, ...found)
  }

  private evidence(windows: Windows, ...[status, entry, source, reason]: Found): string {
    const age = this.age(entry)
    return show({
      value: entry.value,
      status,
      source,
      reason,
      age,
      freshFor: Math.max(0, this.staleFrom(entry, windows) - age),
      servableFor: Math.max(0, this.expiredFrom(entry, windows) - age)
    })
  }

  /** R7: harms no other; the last one takes the load with him, unless it is a refresh. */
  interrupt(reader: Reader): void {
    if (reader.outcome !== undefined) return
    this.leave(reader)
    reader.outcome = "Interrupt"
    this.settle()
  }

  // ----- loading (R6, R8, R9, R10, R11, R19)

  private begin(known: Known, kind: Load["kind"], starter: Reader): Load {
    const load = new Load(kind, starter)
    if (kind !== "alone") known.load = load
    this.depart(known, load)
    return load
  }

  private depart(known: Known, load: Load): void {
    // Choice: the first load after a pass ends it.
    if (known.pass !== undefined && this.now >= known.pass.until) known.pass = undefined
    load.tagWords = this.tagWords
    load.pass = known.pass
    this.counters.loads++
    this.flying.add(load)
    const { entry } = known
    load.previous = entry === undefined || this.isDead(entry) ? "none" : `${entry.value} ${this.age(entry)}`
    this.timer(
      this.now + this.world.hardTimeout,
      () => this.flying.has(load),
      () => this.end(load, { _tag: "Timeout" })
    )
    const call = () => {
      if (load.stopped || load.ending !== undefined) return
      load.name = `${load.starter.key}${++known.calls}`
      this.called.set(load.name, load)
      const ending = this.origin.get(load.starter.key)
      if (ending !== undefined) this.end(load, ending)
    }
    // R7: a refresh begins with a yield.
    if (load.kind === "refresh") this.later.push(call)
    else call()
  }

  /** The lookup ends; of what is over nobody hears. */
  finish(name: string, ending: Ending): void {
    const load = this.called.get(name)
    if (load === undefined || !this.flying.has(load)) return
    this.end(load, ending)
    this.settle()
  }

  private end(load: Load, ending: Ending): void {
    const known = this.known(load.starter.key)
    load.ending = ending
    this.flying.delete(load)
    if (ending._tag === "Value") this.commit(known, load, ending.keep)
    else this.fail(known, load, ending)
    const { waiters } = load
    load.waiters = []
    for (const reader of waiters) this.deliver(reader, load)
  }

  private stop(load: Load): void {
    const known = this.known(load.starter.key)
    load.stopped = true
    this.flying.delete(load)
    if (known.due === load) known.due = undefined
    if (known.load === load) this.next(known)
  }

  /** The current load is over, or forgotten: the due one begins. */
  private next(known: Known): void {
    const old = known.load
    known.load = known.due
    known.due = undefined
    if (old !== undefined && this.flying.has(old)) {
      old.forgotten = true
      old.goesOn = false
      if (old.waiters.length === 0) this.stop(old)
    }
    if (known.load !== undefined) this.depart(known, known.load)
  }

  private commit(known: Known, load: Load, keep: Wishes | "share" | "pass"): void {
    const isCurrent = known.load === load
    if (keep === "pass") {
      const renews = load.kind === "alone" && load.pass !== undefined && load.pass === known.pass
      if (!isCurrent && !renews) return
      const pass = known.pass ?? { until: 0 }
      pass.until = this.now + PASS
      this.clean(known)
      known.pass = pass
      return this.next(known)
    }
    const tags = keep === "share" ? [] : keep.tags ?? []
    const word = Math.max(0, ...tags.map((tag) => this.tagWord.get(tag) ?? 0))
    if (word > load.tagWords) load.overruledAt = word
    if (!isCurrent) return
    known.backoff = undefined
    known.failure = undefined
    // Section 5: on no, drop the memory entry and forget.
    if (load.overruledAt !== undefined) known.entry = undefined
    // R19: loads during a pass commit nothing, also one that was due when it began.
    else if (keep !== "share" && load.pass === undefined) known.entry = this.newEntry(load.name, keep)
    this.next(known)
  }

  private fail(known: Known, load: Load, ending: Ending): void {
    this.counters.failures++
    if (known.load !== load) return
    const { backoff: { from, to }, failureTimeToLive, random } = this.world
    const failures = (known.backoff?.failures ?? 0) + 1
    // R4: of who started it.
    const isAnswer = !isOutage(load.starter.windows, ending)
    // Choice: an interruption is no failure that is kept.
    if (failureTimeToLive > 0 && ending._tag !== "Interrupt") {
      known.failure = { text: textOf(load, ending), until: this.now + failureTimeToLive }
    }
    if (isAnswer || known.entry === undefined || this.isDead(known.entry)) {
      known.entry = undefined
      known.backoff = undefined
    } else {
      // Choice: full jitter above `from`.
      const delay = from + Math.floor(random * (Math.min(to, from * 2 ** failures) - from))
      known.backoff = { failures, until: this.now + delay }
    }
    this.next(known)
  }

  private newEntry(value: string, wishes: Wishes): Entry {
    return { value, bornAt: this.now - (wishes.age ?? 0), wishes, jitter: this.world.random, markedAt: undefined }
  }

  // ----- the last word (R11)

  set(key: string, value: string, wishes: Wishes): void {
    this.put(this.known(key), this.newEntry(value, wishes))
    this.settle()
  }

  invalidate(key: string, mode: "hard" | "soft"): void {
    const known = this.known(key)
    if (mode === "hard") this.put(known, undefined)
    else {
      if (known.entry !== undefined) known.entry.markedAt ??= this.age(known.entry)
      known.failure = undefined
      this.next(known)
    }
    this.settle()
  }

  invalidateTag(tag: string): void {
    this.tagWord.set(tag, ++this.tagWords)
    for (const known of this.keys.values()) {
      if (known.entry?.wishes.tags?.includes(tag)) this.put(known, undefined)
    }
    this.settle()
  }

  clear(): void {
    for (const known of this.keys.values()) this.put(known, undefined)
    this.settle()
  }

  private put(known: Known, entry: Entry | undefined): void {
    this.clean(known)
    known.entry = entry
    this.next(known)
  }

  private clean(known: Known): void {
    known.entry = undefined
    known.backoff = undefined
    known.failure = undefined
    known.pass = undefined
  }

  // ----- mutate: one at a time per key

  mutate(key: string, value: string, ending: Writer["ending"]): Writer {
    const writer: Writer = { key, value, ending, current: undefined, outcome: undefined }
    this.known(key).writers.push(writer)
    this.turn(key)
    this.settle()
    return writer
  }

  private turn(key: string): void {
    const { entry, writers: [writer] } = this.known(key)
    if (writer === undefined || writer.current !== undefined) return
    writer.current = entry === undefined || this.isDead(entry) ? "none" : entry.value
    if (writer.ending !== undefined) this.conclude(writer, writer.ending)
  }

  finishMutation(writer: Writer, ending: "value" | "failure"): void {
    this.conclude(writer, ending)
    this.settle()
  }

  private conclude(writer: Writer, ending: "value" | "failure"): void {
    const { key, value } = writer
    if (ending === "failure") writer.outcome = `Outage ${value}`
    else {
      const entry = this.newEntry(value, {})
      this.put(this.known(key), entry)
      writer.outcome = this.evidence(this.world.windows, "fresh", entry, "lookup", undefined)
    }
    this.over(writer)
  }

  interruptMutation(writer: Writer): void {
    if (writer.outcome !== undefined) return
    writer.outcome = "Interrupt"
    this.over(writer)
    this.settle()
  }

  private over(writer: Writer): void {
    const known = this.known(writer.key)
    known.writers = known.writers.filter((other) => other !== writer)
    this.later.push(() => this.turn(writer.key))
  }

  /** R7: waits end by interruption. */
  close(): void {
    const keys = Array.from(this.keys.values())
    const loads = [...this.flying, ...keys.flatMap(({ due }) => due ?? [])]
    const waiting = [...loads.flatMap(({ waiters }) => waiters), ...keys.flatMap(({ writers }) => writers)]
    for (const one of waiting) one.outcome ??= "Interrupt"
  }

  // ----- looking without touching

  peek(key: string): string {
    const known = this.known(key)
    const { windows } = this.world
    const { entry } = known
    if (entry === undefined || this.isDead(entry)) return "none"
    const status = this.status(entry, windows)
    return this.evidence(windows, status, entry, "memory", status === "fresh" ? undefined : reasonOf(known))
  }

  has(key: string): boolean {
    const { entry } = this.known(key)
    const status = this.status(entry, this.world.windows)
    return status === "fresh" || status === "stale"
  }

  get stats() {
    const backoffs = Array.from(this.keys.values()).filter(({ backoff }) => backoff !== undefined).length
    return { ...this.counters, flights: this.flying.size, backoffs }
  }

  // ----- the clock

  private timer(at: number, alive: () => boolean, fire: () => void): void {
    this.timers.push({ at, alive, fire })
  }

  private get nextTimer(): Timer | undefined {
    this.timers = this.timers.filter(({ alive }) => alive())
    // Those of one moment fire in the order in which they were set.
    return this.timers.toSorted((a, b) => a.at - b.at)[0]
  }

  /** When something will happen by itself. */
  get nextAt(): number {
    return this.nextTimer?.at ?? Infinity
  }

  /** Time goes by, at most to {@link nextAt}. */
  advance(to: number): void {
    this.now = to
    this.settle()
  }

  private settle(): void {
    for (;;) {
      const task = this.later.shift()
      if (task !== undefined) {
        task()
        continue
      }
      const timer = this.nextTimer
      if (timer === undefined || timer.at > this.now) return
      this.timers = this.timers.filter((other) => other !== timer)
      timer.fire()
    }
  }

  /** The moments at which something changes for somebody, soonest first. */
  boundaries(readers: ReadonlyArray<Windows>): ReadonlyArray<number> {
    const moments = this.timers.filter(({ alive }) => alive()).map(({ at }) => at)
    for (const { backoff, entry, failure, pass } of this.keys.values()) {
      moments.push(backoff?.until ?? 0, failure?.until ?? 0, pass?.until ?? 0)
      if (entry === undefined) continue
      const ages = readers.flatMap((windows) => [
        this.staleFrom(entry, windows),
        this.expiredFrom(entry, windows),
        this.fallbackUntil(entry, windows),
        this.life(entry)
      ])
      moments.push(...ages.map((age) => entry.bornAt + age))
    }
    return Array.from(new Set(moments)).filter((at) => at > this.now).toSorted((a, b) => a - b)
  }
}

type Found = [status: Status, entry: Entry, source: "memory" | "lookup", reason: Reason | undefined]

const PASS = 5000

const isOutage = ({ when }: Windows, { _tag }: Ending): boolean =>
  _tag === "Answer" ? when === "all" : _tag === "Outage" ? when !== "none" : true

const jittered = (age: number, entry: Entry, windows: Windows): number =>
  Math.floor(age * (1 - windows.jitter * entry.jitter))

/** R18: why an answer is not fresh. */
const reasonOf = ({ backoff, entry }: Known): Reason =>
  backoff !== undefined ? "error" : entry?.markedAt !== undefined ? "marked" : "revalidating"

const textOf = ({ name }: Load, { _tag }: Ending): string =>
  _tag === "Timeout" || _tag === "Interrupt" ? _tag : `${_tag} ${name}`

/** An answer in one line, so that two of them can be compared and read. */
export const show = (answer: {
  readonly value: string
  readonly status: string
  readonly source: string
  readonly reason: string | undefined
  readonly age: number
  readonly freshFor: number
  readonly servableFor: number
}): string =>
  `${answer.value} ${answer.status}, ${answer.source}${answer.reason ? `, ${answer.reason}` : ""}, ` +
  `age ${answer.age}, fresh for ${answer.freshFor}, servable for ${answer.servableFor}`
