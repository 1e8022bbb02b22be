/**
 * What a cache must do, told a second time: slowly, from the rules (R1 to R12, R15, R17, R19) of the design, without a
 * look at `src`. A list of facts per key, a clock that somebody else turns, and one method per thing a user can do.
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

const isOutage = ({ when }: Windows, { _tag }: Ending): boolean =>
  _tag === "Answer" ? when === "all" : _tag === "Outage" ? when !== "none" : true

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
export interface Load {
  readonly key: string
  kind: "miss" | "refresh" | "revalidate" | "alone"
  /** The key and the number of the call of the lookup; "" until then. */
  name: string
  begun: boolean
  ending: Ending | undefined
  /** Told to stop. */
  stopped: boolean
  /** A last word came after it began. */
  forgotten: boolean
  /** Also without waiters. */
  goesOn: boolean
  starter: Reader | undefined
  waiters: Array<Reader>
  /** How many `invalidateTag` there had been when it began. */
  tagWords: number
  /** Of its value's tags, the count right after the last `invalidateTag` since it began. */
  overruledAt: number | undefined
  /** What the lookup is told of the entry. */
  previous: string
  /** The stretch of passing it began in. */
  passing: object | undefined
  readonly seq: number
}

/** Somebody who wants an answer. */
export interface Reader {
  readonly key: string
  readonly windows: Windows
  readonly wants: "read" | "revalidate"
  /** What the read found first. */
  found: Status | undefined
  load: Load | undefined
  tagWords: number
  hasPatience: boolean
  outcome: string | undefined
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

interface Known {
  readonly key: string
  entry: Entry | undefined
  load: Load | undefined
  due: Load | undefined
  backoff: { readonly failures: number; readonly until: number } | undefined
  failure: { readonly text: string; readonly until: number } | undefined
  passUntil: number
  passing: object | undefined
  calls: number
  writers: Array<Writer>
}

const PASS = 5000

export class Oracle {
  now = 0
  readonly stats = { hits: 0, stale: 0, misses: 0, joined: 0, loads: 0, failures: 0 }
  /** Loads whose lookup has been called, by name. */
  readonly called = new Map<string, Load>()
  /** How the lookup of a key ends at once; `undefined`: it waits to be told. */
  readonly origin = new Map<string, Ending>()
  private readonly world: World
  private readonly hit: (transition: string) => void
  private readonly keys = new Map<string, Known>()
  private readonly flying = new Set<Load>()
  private readonly tagWord = new Map<string, number>()
  private tagWords = 0
  private refreshing = 0
  private seq = 0
  private later: Array<() => void> = []
  private timers: Array<{ readonly at: number; readonly alive: () => boolean; readonly fire: () => void }> = []

  constructor(world: World, hit: (transition: string) => void) {
    this.world = world
    this.hit = hit
  }

  private known(key: string): Known {
    const known = this.keys.get(key) ?? {
      key,
      entry: undefined,
      load: undefined,
      due: undefined,
      backoff: undefined,
      failure: undefined,
      passUntil: 0,
      passing: undefined,
      calls: 0,
      writers: []
    }
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
    return Math.max(
      Math.min(maxAge, wishes.maxAge ?? Infinity),
      Math.min(freshFor, wishes.freshFor ?? Infinity) + Math.min(staleIfError, wishes.staleIfError ?? Infinity)
    )
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
    if (windows.strict) return this.expiredFrom(entry, windows)
    const least = Math.min(
      windows.freshFor,
      entry.wishes.freshFor ?? Infinity,
      this.expiredFrom(entry, windows),
      entry.markedAt ?? Infinity
    )
    return jittered(least, entry, windows)
  }

  private status(entry: Entry | undefined, windows: Windows): Status {
    if (entry === undefined) return "miss"
    if (this.age(entry) < this.staleFrom(entry, windows)) return "fresh"
    return this.age(entry) < this.expiredFrom(entry, windows) ? "stale" : "expired"
  }

  private fallbackUntil(entry: Entry, windows: Windows): number {
    const window = Math.min(windows.staleIfError, entry.wishes.staleIfError ?? Infinity)
    return window === 0 ? 0 : Math.min(this.staleFrom(entry, windows) + window, this.life(entry))
  }

  /** Whether the entry may stand in for a load that failed or is slow. */
  private standsIn(entry: Entry | undefined, windows: Windows): entry is Entry {
    if (entry === undefined) return false
    const status = this.status(entry, windows)
    return status === "fresh" || status === "stale" || this.age(entry) < this.fallbackUntil(entry, windows)
  }

  // ----- reading (R6, R9, R10, R12, R19)

  read(key: string, windows: Windows): Reader {
    const reader = newReader(key, windows, "read")
    this.look(reader)
    this.settle()
    return reader
  }

  private look(reader: Reader): void {
    if (reader.wants === "revalidate") return this.reload(reader)
    const known = this.known(reader.key)
    const { entry } = known
    const status = this.status(entry, reader.windows)
    const again = reader.found !== undefined
    if (again) this.hit("looks again")
    if (this.now < known.passUntil) {
      if (!again) this.stats.misses++
      this.hit("read: passes")
      reader.found ??= status
      return this.wait(reader, this.begin(known, "alone", reader))
    }
    if (entry !== undefined && status === "fresh") {
      this.stats.hits++
      this.hit(reader.windows.strict ? "read: fresh, strict" : "read: fresh")
      // Choice: who looks again and finds a fresh value found it fresh.
      return this.answer(reader, "fresh", entry, "memory", undefined)
    }
    if (
      entry !== undefined &&
      (status === "stale" || known.backoff !== undefined && this.standsIn(entry, reader.windows))
    ) {
      this.stats.stale++
      const reason = this.reason(known)
      this.hit(`read: ${status}, ${reason}`)
      this.maybeRefresh(known)
      // Choice: who looks again and finds an old value is told what he found first.
      return this.answer(reader, reader.found ?? status, entry, "memory", reason)
    }
    if (known.failure !== undefined && this.now < known.failure.until) {
      this.hit("read: kept failure")
      reader.outcome = known.failure.text
      return
    }
    reader.found ??= status
    if (known.load !== undefined) {
      if (!again) this.stats.joined++
      this.hit(known.load.kind === "refresh" ? "read: joins a refresh" : "read: joins")
      return this.wait(reader, known.load)
    }
    if (!again) this.stats.misses++
    this.hit(`read: ${status}, loads${reader.windows.strict ? ", strict" : ""}`)
    this.wait(reader, this.begin(known, "miss", reader))
  }

  /** R18: why an answer is not fresh. */
  private reason(known: Known): Reason {
    if (known.backoff !== undefined) return "error"
    return known.entry?.markedAt !== undefined ? "marked" : "revalidating"
  }

  private maybeRefresh(known: Known): void {
    if (known.load !== undefined) return this.hit("refresh: one is under way")
    if (known.backoff !== undefined && this.now < known.backoff.until) return this.hit("refresh: backs off")
    if (this.refreshing >= this.world.refreshes) return this.hit("refresh: limit")
    this.hit(known.backoff === undefined ? "refresh" : "refresh: probes")
    this.begin(known, "refresh", undefined)
  }

  /** R11: a load that begins from now on. */
  revalidate(key: string): Reader {
    const reader = newReader(key, this.world.windows, "revalidate")
    this.reload(reader)
    this.settle()
    return reader
  }

  private reload(reader: Reader): void {
    const known = this.known(reader.key)
    if (this.now < known.passUntil) {
      this.hit("revalidate: passes")
      return this.wait(reader, this.begin(known, "alone", reader))
    }
    if (known.due !== undefined) {
      this.hit("revalidate: shares the due load")
      return this.wait(reader, known.due)
    }
    if (known.load !== undefined) {
      this.hit("revalidate: is due")
      known.due = this.newLoad(known, "revalidate", reader)
      return this.wait(reader, known.due)
    }
    this.hit("revalidate: begins")
    this.wait(reader, this.begin(known, "revalidate", reader))
  }

  private wait(reader: Reader, load: Load): void {
    reader.load = load
    reader.tagWords = this.tagWords
    reader.hasPatience = false
    if (load.ending !== undefined) return this.deliver(reader, load)
    load.waiters.push(reader)
    const { softTimeout } = reader.windows
    if (reader.wants === "revalidate" || softTimeout === undefined) return
    if (!this.standsIn(this.known(reader.key).entry, reader.windows)) return
    reader.hasPatience = true
    this.timer(this.now + softTimeout, () => reader.load === load, () => this.loseNoTime(reader, load))
  }

  /** R10: slower than `softTimeout`. R7: the load goes on. */
  private loseNoTime(reader: Reader, load: Load): void {
    const { entry } = this.known(reader.key)
    if (!this.standsIn(entry, reader.windows)) return this.hit("softTimeout: nothing to fall back on")
    this.hit(load.forgotten ? "softTimeout: of a forgotten load" : "softTimeout")
    if (!load.forgotten) load.goesOn = true
    this.leave(reader)
    this.stats.stale++
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
    const { ending } = load
    if (ending === undefined) return
    if (ending._tag === "Value") {
      const forStarterOnly = ending.keep === "pass" && load.starter !== reader
      const overruled = load.overruledAt !== undefined && reader.tagWords >= load.overruledAt
      if (forStarterOnly || overruled) {
        this.hit(overruled ? "waiter: came after the tag's last word" : "waiter: released by a pass")
        return this.look(reader)
      }
      if (load.forgotten) this.hit("waiter: of a forgotten load")
      const wishes = typeof ending.keep === "string" ? {} : ending.keep
      const entry = this.newEntry(load.name, wishes)
      const status = reader.wants === "revalidate" ? "fresh" : reader.found ?? "miss"
      return this.answer(reader, status, entry, "lookup", undefined)
    }
    const { entry } = this.known(reader.key)
    if (reader.wants === "read" && isOutage(reader.windows, ending) && this.standsIn(entry, reader.windows)) {
      this.hit("waiter: falls back")
      this.stats.stale++
      return this.answer(reader, reader.found ?? "miss", entry, "memory", "error")
    }
    this.hit(`waiter: is told of ${ending._tag}`)
    reader.outcome = failure(load, ending)
  }

  private answer(
    reader: Reader,
    status: Status,
    entry: Entry,
    source: "memory" | "lookup",
    reason: Reason | undefined
  ): void {
    reader.outcome = this.evidence(status, entry, reader.windows, source, reason)
  }

  private evidence(
    status: Status,
    entry: Entry,
    windows: Windows,
    source: "memory" | "lookup",
    reason: Reason | undefined
  ): string {
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
    const { load } = reader
    const alone = load?.waiters.length === 1
    this.hit(
      `interrupt: ${
        alone ? load.goesOn ? "of a refresh" : load.begun ? "the last waiter" : "of a due load" : "one of many"
      }`
    )
    this.leave(reader)
    reader.outcome = "Interrupt"
    this.settle()
  }

  // ----- loading (R6, R8, R9, R10, R11, R19)

  private newLoad(known: Known, kind: Load["kind"], starter: Reader | undefined): Load {
    return {
      key: known.key,
      kind,
      name: "",
      begun: false,
      ending: undefined,
      stopped: false,
      forgotten: false,
      goesOn: kind === "refresh",
      starter,
      waiters: [],
      tagWords: 0,
      overruledAt: undefined,
      previous: "",
      passing: undefined,
      seq: this.seq++
    }
  }

  private begin(known: Known, kind: Load["kind"], starter: Reader | undefined): Load {
    const load = this.newLoad(known, kind, starter)
    if (kind !== "alone") known.load = load
    this.depart(known, load)
    return load
  }

  private depart(known: Known, load: Load): void {
    load.begun = true
    load.tagWords = this.tagWords
    load.passing = known.passing
    this.stats.loads++
    this.flying.add(load)
    if (load.kind === "refresh") this.refreshing++
    const { entry } = known
    load.previous = entry === undefined || this.isDead(entry) ? "none" : `${entry.value} ${this.age(entry)}`
    const call = () => {
      if (load.stopped || load.ending !== undefined) return
      load.name = `${load.key}${++known.calls}`
      this.called.set(load.name, load)
      const ending = this.origin.get(load.key)
      if (ending !== undefined) this.end(load, ending)
    }
    this.timer(
      this.now + this.world.hardTimeout,
      () => this.flying.has(load),
      () => {
        this.hit(load.forgotten ? "hardTimeout: of a forgotten load" : "hardTimeout")
        this.end(load, { _tag: "Timeout" })
      }
    )
    // R7: a refresh begins with a yield.
    if (load.kind === "refresh") this.later.push(call)
    else call()
  }

  /** Those whose lookup waits to be told, in the order of the calls. */
  get open(): ReadonlyArray<Load> {
    return Array.from(this.called.values()).filter((load) => this.flying.has(load))
  }

  get flights(): number {
    return this.flying.size
  }

  finish(load: Load, ending: Ending): void {
    this.end(load, ending)
    this.settle()
  }

  private end(load: Load, ending: Ending): void {
    const known = this.known(load.key)
    load.ending = ending
    this.land(load)
    if (ending._tag === "Value") this.commit(known, load, ending.keep)
    else this.fail(known, load, ending)
    const { waiters } = load
    load.waiters = []
    for (const reader of waiters) {
      // Choice: of those who look again, the ones without a clock of their own come first.
      if (reader.hasPatience) this.later.push(() => reader.load === load && this.deliver(reader, load))
      else this.deliver(reader, load)
    }
  }

  private land(load: Load): void {
    this.flying.delete(load)
    if (load.kind === "refresh") this.refreshing--
  }

  private stop(load: Load): void {
    const known = this.known(load.key)
    load.stopped = true
    if (known.due === load) known.due = undefined
    if (!load.begun) return
    this.land(load)
    if (known.load === load) this.next(known)
  }

  /** The current load is over, or forgotten: the due one begins. */
  private next(known: Known): void {
    const old = known.load
    known.load = known.due
    known.due = undefined
    if (old !== undefined && this.flying.has(old)) {
      this.hit(`forgets: ${old.kind}${old.waiters.length > 0 ? ", waited for" : ""}`)
      old.forgotten = true
      old.goesOn = false
      if (old.waiters.length === 0) this.stop(old)
    }
    if (known.load !== undefined) {
      this.hit("due load begins")
      this.depart(known, known.load)
    }
  }

  private commit(known: Known, load: Load, keep: Wishes | "share" | "pass"): void {
    const isCurrent = known.load === load
    if (keep === "pass") {
      if (isCurrent) {
        this.hit("loaded: pass")
        this.pass(known)
      } else if (load.kind === "alone" && load.passing === known.passing && known.passing !== undefined) {
        this.hit("loaded: renews the pass")
        this.pass(known)
      } else this.hit("loaded: pass of a forgotten load")
      return
    }
    const tags = keep === "share" ? [] : keep.tags ?? []
    const words = Math.max(0, ...tags.map((tag) => this.tagWord.get(tag) ?? 0))
    if (words > load.tagWords) load.overruledAt = words
    if (load.kind === "alone") return this.hit("loaded: alone")
    if (!isCurrent) return this.hit("loaded: forgotten")
    known.backoff = undefined
    known.failure = undefined
    if (load.overruledAt !== undefined) {
      this.hit("loaded: overruled by its tag")
      // Section 5: on no, drop the memory entry and forget.
      known.entry = undefined
    } else if (keep === "share") this.hit("loaded: share")
    else {
      this.hit(known.entry === undefined ? "loaded" : "loaded: in place of an old value")
      known.entry = this.newEntry(load.name, keep)
      if (this.isDead(known.entry)) this.hit("loaded: dead on arrival")
      known.passing = undefined
    }
    this.next(known)
  }

  private pass(known: Known): void {
    known.entry = undefined
    known.backoff = undefined
    known.failure = undefined
    known.passUntil = this.now + PASS
    known.passing ??= {}
    const { due } = known
    known.due = undefined
    this.next(known)
    // R19: loads during it go side by side and commit nothing.
    if (due !== undefined) {
      this.hit("due load begins alone")
      due.kind = "alone"
      this.depart(known, due)
    }
  }

  private fail(known: Known, load: Load, ending: Ending): void {
    this.stats.failures++
    if (known.load !== load) return this.hit("failed: forgotten or alone")
    if (this.world.failureTimeToLive > 0) {
      known.failure = { text: failure(load, ending), until: this.now + this.world.failureTimeToLive }
    }
    const isAnswer = !isOutage(this.world.windows, ending)
    if (isAnswer || known.entry === undefined || this.isDead(known.entry)) {
      this.hit(
        isAnswer ? `failed: an answer${known.entry ? ", voids" : ""}` : known.entry ? "failed: dead" : "failed: free"
      )
      known.entry = undefined
      known.backoff = undefined
    } else {
      const { from, to } = this.world.backoff
      const failures = (known.backoff?.failures ?? 0) + 1
      this.hit(`failed: backs off${failures > 2 ? ", more than twice" : failures > 1 ? ", twice" : ""}`)
      // Choice: full jitter above `from`.
      const delay = from + Math.floor(this.world.random * (Math.min(to, from * 2 ** failures) - from))
      known.backoff = { failures, until: this.now + delay }
    }
    this.next(known)
  }

  private newEntry(value: string, wishes: Wishes): Entry {
    return { value, bornAt: this.now - (wishes.age ?? 0), wishes, jitter: this.world.random, markedAt: undefined }
  }

  // ----- the last word (R11)

  set(key: string, value: string, wishes: Wishes): void {
    this.write(this.known(key), value, wishes)
    this.settle()
  }

  private write(known: Known, value: string, wishes: Wishes): void {
    this.hit(known.load === undefined ? "set" : "set: over a load")
    if (known.backoff !== undefined) this.hit("set: ends a back-off")
    this.voidIt(known, this.newEntry(value, wishes))
  }

  invalidate(key: string, mode: "hard" | "soft"): void {
    const known = this.known(key)
    if (mode === "hard") {
      this.hit(known.load === undefined ? "voided" : "voided: over a load")
      this.voidIt(known, undefined)
    } else {
      this.hit(
        `marked${known.load ? ": over a load" : known.backoff ? ": in a back-off" : known.entry ? "" : ": nothing"}`
      )
      if (known.entry !== undefined) known.entry.markedAt ??= this.age(known.entry)
      known.failure = undefined
      this.next(known)
    }
    this.settle()
  }

  invalidateTag(tag: string): void {
    this.tagWord.set(tag, ++this.tagWords)
    for (const known of this.keys.values()) {
      if (!known.entry?.wishes.tags?.includes(tag)) continue
      this.hit("voided: by tag")
      this.voidIt(known, undefined)
    }
    this.settle()
  }

  clear(): void {
    for (const known of this.keys.values()) this.voidIt(known, undefined)
    this.settle()
  }

  private voidIt(known: Known, entry: Entry | undefined): void {
    known.entry = entry
    known.backoff = undefined
    known.failure = undefined
    known.passUntil = 0
    known.passing = undefined
    this.next(known)
  }

  // ----- mutate: one at a time per key

  mutate(key: string, value: string, ending: Writer["ending"]): Writer {
    const writer: Writer = { key, value, ending, current: undefined, outcome: undefined }
    const { writers } = this.known(key)
    writers.push(writer)
    if (writers.length > 1) this.hit("mutate: waits for its turn")
    this.turn(key)
    this.settle()
    return writer
  }

  private turn(key: string): void {
    const known = this.known(key)
    const [writer] = known.writers
    if (writer === undefined || writer.current !== undefined) return
    const { entry } = known
    writer.current = entry === undefined || this.isDead(entry) ? "none" : entry.value
    if (writer.ending !== undefined) this.conclude(writer, writer.ending)
  }

  finishMutation(value: string, ending: "value" | "failure"): void {
    for (const { writers: [writer] } of this.keys.values()) {
      if (writer?.value === value) this.conclude(writer, ending)
    }
    this.settle()
  }

  private conclude(writer: Writer, ending: "value" | "failure"): void {
    const { value } = writer
    this.hit(ending === "failure" ? "mutate: fails" : "mutate: writes")
    if (ending === "failure") writer.outcome = `Outage ${value}`
    else {
      this.write(this.known(writer.key), value, {})
      writer.outcome = this.evidence("fresh", this.newEntry(value, {}), this.world.windows, "lookup", undefined)
    }
    this.over(writer)
  }

  interruptMutation(writer: Writer): void {
    if (writer.outcome !== undefined) return
    this.hit("mutate: interrupted")
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
  close(readers: Iterable<Reader>): void {
    this.hit(this.flying.size > 0 ? "closed: with loads" : "closed")
    for (const reader of readers) reader.outcome ??= "Interrupt"
    this.flying.clear()
  }

  // ----- looking without touching

  peek(key: string): string {
    const known = this.known(key)
    const { windows } = this.world
    const { entry } = known
    if (entry === undefined || this.isDead(entry)) return "none"
    const status = this.status(entry, windows)
    return this.evidence(status, entry, windows, "memory", status === "fresh" ? undefined : this.reason(known))
  }

  has(key: string): boolean {
    const { entry } = this.known(key)
    const status = this.status(entry, this.world.windows)
    return status === "fresh" || status === "stale"
  }

  get backoffs(): number {
    return Array.from(this.keys.values()).filter(({ backoff }) => backoff !== undefined).length
  }

  // ----- the clock

  private timer(at: number, alive: () => boolean, fire: () => void): void {
    this.timers.push({ at, alive, fire })
  }

  private get nextTimer(): { readonly at: number; readonly fire: () => void } | undefined {
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
    for (const { backoff, entry, failure, passUntil } of this.keys.values()) {
      moments.push(passUntil, backoff?.until ?? 0, failure?.until ?? 0)
      if (entry === undefined) continue
      for (const windows of readers) {
        moments.push(
          entry.bornAt + this.staleFrom(entry, windows),
          entry.bornAt + this.expiredFrom(entry, windows),
          entry.bornAt + this.fallbackUntil(entry, windows),
          entry.bornAt + this.life(entry)
        )
      }
    }
    return Array.from(new Set(moments)).filter((at) => at > this.now).sort((a, b) => a - b)
  }
}

const jittered = (age: number, entry: Entry, windows: Windows): number =>
  Math.floor(age * (1 - windows.jitter * entry.jitter))

const newReader = (key: string, windows: Windows, wants: Reader["wants"]): Reader => ({
  key,
  windows,
  wants,
  found: undefined,
  load: undefined,
  tagWords: 0,
  hasPatience: false,
  outcome: undefined
})

const failure = (load: Load, ending: Ending): string =>
  ending._tag === "Timeout" || ending._tag === "Interrupt" ? ending._tag : `${ending._tag} ${load.name}`

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
