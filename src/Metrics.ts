/**
 * What happens, counted: a layer that listens to the events and shows them as `effect`'s `Metric`s, for whatever
 * exports those.
 *
 * Names, units and tags are stable; `docs/observability.md` lists them. No tag is ever a key. Nothing is computed
 * before an exporter asks: an update through the registry costs more than a fresh hit.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Layer, Metric } from "effect"
import type * as Event from "./Event.ts"
import type * as Handle from "./Handle.ts"
import * as Swr from "./Swr.ts"

/**
 * Options of {@link layer}: where the buckets of its histograms end.
 *
 * @since 0.1.0
 * @category models
 */
export interface MetricsOptions {
  /** Of ages. Default from 100 ms to a day. */
  readonly ages?: ReadonlyArray<Duration.Input> | undefined
  /** Of loads. Default from 1 ms to a minute. */
  readonly durations?: ReadonlyArray<Duration.Input> | undefined
}

interface Definition {
  readonly id: string
  readonly description: string
  readonly tags: ReadonlyArray<string>
}

interface Histogram extends Definition {
  readonly unit: string
  readonly bounds: ReadonlyArray<number>
}

const define = (id: string, description: string, ...tags: ReadonlyArray<string>): Definition => ({
  id,
  description,
  tags: ["cache", ...tags]
})

const reads = define("swr_reads_total", "Reads, by what they found and how they were answered", "status", "outcome")
const served = define("swr_served_stale_total", "Old values answered, by the reason", "status", "reason")
const loads = define("swr_loads_total", "Loads that ended, by what began them and how", "cause", "outcome")
const skipped = define("swr_refreshes_skipped_total", "Refreshes that were due and did not start", "reason")
const dropped = define("swr_commits_dropped_total", "Values that were answered and not kept", "reason")
const invalidations = define("swr_invalidations_total", "Last words: invalidations and writes", "mode", "scope")
const evictions = define("swr_evictions_total", "Entries that left to make room", "cause")
const codec = define("swr_codec_failures_total", "Values that did not encode, or did not fit", "direction")
const storeFailures = define("swr_store_failures_total", "Calls that a store did not answer as asked", "reason")
const storeBack = define("swr_store_recoveries_total", "Times a store that was left alone has answered again")
const leases = define("swr_leases_total", "Rights to load that this process asked a store for", "outcome")
const gaps = define("swr_gaps_total", "Times last words of other processes were missed", "cause")
const audits = define("swr_audits_total", "Fresh hits that the auditor compared with the origin", "outcome")

/** What is read of a cache when an exporter asks. */
const levels: ReadonlyArray<readonly [Definition, (stats: Handle.Stats) => number]> = [
  [define("swr_entries", "Keys of which something is kept"), ({ size }) => size],
  [define("swr_weight", "The sum of the entries' weights"), ({ weight }) => weight],
  [define("swr_loads_running", "Loads under way"), ({ flights }) => flights],
  [define("swr_backoffs", "Keys that are left alone after a failed load"), ({ backoffs }) => backoffs]
]

const histograms = (options: MetricsOptions) => {
  const seconds = (bounds: ReadonlyArray<Duration.Input> | undefined, otherwise: ReadonlyArray<number>) =>
    bounds?.map((bound) => Duration.toMillis(bound) / 1000) ?? otherwise
  const ages = seconds(options.ages, [0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3600, 21_600, 86_400])
  const durations = seconds(options.durations, [
    0.001,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60
  ])
  return {
    age: {
      ...define(
        "swr_served_age_seconds",
        "How old the values are that readers were given from memory or a store",
        "status",
        "tier"
      ),
      unit: "seconds",
      bounds: ages
    },
    audited: {
      ...define("swr_audited_age_seconds", "How old the values were that the auditor compared", "outcome"),
      unit: "seconds",
      bounds: ages
    },
    duration: {
      ...define("swr_load_duration_seconds", "How long loads took", "cause", "outcome"),
      unit: "seconds",
      bounds: durations
    },
    store: {
      ...define("swr_store_duration_seconds", "How long a store took", "operation", "outcome"),
      unit: "seconds",
      bounds: durations
    },
    waiters: {
      ...define("swr_load_waiters", "How many readers waited for a load when it ended"),
      unit: "1",
      bounds: [0, 1, 2, 5, 10, 25, 50, 100, 250, 1000]
    }
  }
}

/** A number that grows. */
class Count {
  value = 0
}

/** How numbers are spread over buckets. */
class Spread {
  private readonly bounds: ReadonlyArray<number>
  private readonly counts: Array<number>
  private sum = 0
  private min = Number.MAX_VALUE
  private max = -Number.MAX_VALUE

  constructor(bounds: ReadonlyArray<number>) {
    this.bounds = Array.from(new Set(bounds)).toSorted((one, other) => one - other)
    this.counts = Array.from({ length: this.bounds.length + 1 }, () => 0)
  }

  add(value: number): void {
    let bucket = 0
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? Infinity)) bucket++
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sum += value
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
  }

  get state(): Metric.HistogramState {
    let count = 0
    const below = this.counts.map((n) => count += n)
    const buckets = this.bounds.map((bound, i): [number, number] => [bound, below[i] ?? 0])
    return { buckets, count, min: this.min, max: this.max, sum: this.sum }
  }
}

/** What several layers tell of the same thing, added up. */
class Level {
  readonly sources = new Set<() => number>()
  readonly registration: Metric.Registration

  constructor(register: (level: Level) => Metric.Registration) {
    this.registration = register(this)
  }
  get value(): number {
    return Array.from(this.sources, (read) => read()).reduce((sum, value) => sum + value, 0)
  }
}

/** The series of one registry. Layers that count into the same one share them, so that what they count adds up. */
class Book {
  private readonly series = new Map<string, Count | Spread | Level>()
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  count(of: Definition, values: ReadonlyArray<string>): Count {
    return this.entry(of, values, (attributes) => {
      const count = new Count()
      const metric = Metric.counter(of.id, { description: of.description, attributes, incremental: true })
      this.register(metric, () => ({ count: count.value, incremental: true }))
      return count
    })
  }

  spread(of: Histogram, values: ReadonlyArray<string>): Spread {
    return this.entry(of, values, (tags) => {
      const spread = new Spread(of.bounds)
      const attributes = { ...tags, unit: of.unit }
      const metric = Metric.histogram(of.id, { description: of.description, attributes, boundaries: of.bounds })
      this.register(metric, () => spread.state)
      return spread
    })
  }

  /** Is asked for the level until the returned function is called. */
  level(of: Definition, values: ReadonlyArray<string>, read: () => number): () => void {
    const level = this.entry(of, values, (attributes) => {
      const metric = Metric.gauge(of.id, { description: of.description, attributes })
      return new Level((level) => this.register(metric, () => ({ value: level.value })))
    })
    level.sources.add(read)
    return () => {
      level.sources.delete(read)
      if (level.sources.size > 0) return
      this.series.delete(nameOf(of, values))
      level.registration.remove()
    }
  }

  private register<State>(metric: Metric.Metric<number, State>, get: () => State): Metric.Registration {
    return Metric.registerUnsafe(metric, this.context, { get, update: () => {}, modify: () => {} })
  }

  // A definition is always of one kind.
  private entry<S extends Count | Spread | Level>(
    of: Definition,
    values: ReadonlyArray<string>,
    make: (attributes: Record<string, string>) => S
  ): S {
    const name = nameOf(of, values)
    const known = this.series.get(name) as S | undefined
    if (known !== undefined) return known
    const made = make(Object.fromEntries(of.tags.map((tag, i) => [tag, values[i] ?? ""])))
    this.series.set(name, made)
    return made
  }
}

const nameOf = (of: Definition, values: ReadonlyArray<string>): string => JSON.stringify([of.id, ...values])

const books = /*#__PURE__*/ new WeakMap<object, Map<string, Book>>()

const bookOf = (context: Context.Context<never>): Book => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const shelf = books.get(registry) ?? new Map<string, Book>()
  books.set(registry, shelf)
  // Attributes of the context are part of every series.
  const title = JSON.stringify(Context.get(context, Metric.CurrentMetricAttributes))
  const book = shelf.get(title) ?? new Book(context)
  shelf.set(title, book)
  return book
}

/** What is counted of one cache. */
class Tally {
  private readonly cache: string
  private readonly book: Book
  private readonly spreads: ReturnType<typeof histograms>
  private readonly known = new Map<string, Count | Spread>()
  private readonly hits: Count
  private readonly hitAges: Spread

  constructor(cache: string, book: Book, spreads: ReturnType<typeof histograms>) {
    this.cache = cache
    this.book = book
    this.spreads = spreads
    this.hits = this.count(reads, "fresh", "answered")
    this.hitAges = this.spread(spreads.age, "fresh", "memory")
  }

  hear(event: Event.Event): void {
    const { spreads } = this
    switch (event._tag) {
      case "Hit":
        if (event.source !== undefined) {
          // It waited for the store, and has been counted as what it found in memory.
          this.spread(spreads.age, "fresh", event.source).add(event.age / 1000)
          return
        }
        this.hits.value++
        this.hitAges.add(event.age / 1000)
        return
      case "Miss":
        this.count(reads, event.status, "waited").value++
        return
      case "Joined":
        this.count(reads, event.status, "joined").value++
        return
      case "Served":
        // One that waited has been counted as what it found.
        if (!event.waited) this.count(reads, event.status, "answered").value++
        this.count(served, event.status, event.reason).value++
        this.spread(spreads.age, event.status, event.source ?? "memory").add(event.age / 1000)
        return
      case "Commit":
        this.ended(event, "kept")
        return
      case "CommitDropped":
        this.count(dropped, event.reason).value++
        this.ended(event, "dropped")
        return
      case "LoadFailed":
        this.ended(event, "failed")
        return
      case "LoadStopped":
        this.ended(event, "stopped")
        return
      case "RefreshSkipped":
        this.count(skipped, event.reason).value++
        return
      case "Invalidate": {
        const scope = event.tag !== undefined ? "tag" : event.key === "" ? "cache" : "key"
        this.count(invalidations, event.mode, scope).value++
        return
      }
      case "Evict":
        this.count(evictions, event.cause).value++
        return
      case "EncodeFailed":
        this.count(codec, "encode").value++
        return
      case "DecodeFailed":
        this.count(codec, "decode").value++
        return
      case "StoreCalled":
        this.spread(spreads.store, event.operation, event.outcome).add(event.duration / 1000)
        return
      case "StoreFailed":
        this.count(storeFailures, event.reason).value++
        return
      case "StoreBack":
        this.count(storeBack).value++
        return
      case "Lease":
        this.count(leases, event.outcome).value++
        return
      case "Gap":
        this.count(gaps, event.cause).value++
        return
      case "Audited":
        this.count(audits, event.outcome).value++
        this.spread(spreads.audited, event.outcome).add(event.age / 1000)
        return
      default:
        return
    }
  }

  private ended(
    { cause, duration, waiters }: Partial<Pick<Event.Ended, "cause" | "duration" | "waiters">>,
    outcome: "kept" | "dropped" | "failed" | "stopped"
  ): void {
    if (cause === undefined || duration === undefined || waiters === undefined) return
    this.count(loads, cause, outcome).value++
    this.spread(this.spreads.duration, cause, outcome).add(duration / 1000)
    this.spread(this.spreads.waiters).add(waiters)
  }

  private count(of: Definition, one = "", other = ""): Count {
    return this.entry(of, one, other, (values) => this.book.count(of, values))
  }

  private spread(of: Histogram, one = "", other = ""): Spread {
    return this.entry(of, one, other, (values) => this.book.spread(of, values))
  }

  private entry<S extends Count | Spread>(
    of: Definition,
    one: string,
    other: string,
    find: (values: ReadonlyArray<string>) => S
  ): S {
    const name = `${of.id} ${one} ${other}`
    // A definition is always of one kind.
    const known = this.known.get(name) as S | undefined
    if (known !== undefined) return known
    const found = find([this.cache, one, other])
    this.known.set(name, found)
    return found
  }
}

/**
 * Counts what happens in every cache of the layer below it, from now on. Exporters read `effect`'s registry: see
 * `PrometheusMetrics` and `Otlp` of `effect/observability`.
 *
 * Counters stay in the registry when the layer closes, as those of `effect` do; gauges leave it.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Metric } from "effect"
 * import { Swr } from "effect-swr"
 * import * as Metrics from "effect-swr/Metrics"
 *
 * const layer = Metrics.layer().pipe(Layer.provideMerge(Swr.layer()))
 *
 * const program = Effect.gen(function*() {
 *   yield* Swr.swr("greeting", Effect.succeed("hello"))
 *   const series = yield* Metric.snapshot
 *   return series.find(({ id }) => id === "swr_entries")
 * })
 *
 * Effect.runPromise(Effect.provide(program, layer)).then((entries) => console.log(entries?.attributes, entries?.state))
 * // { cache: 'swr' } { value: 1 }
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: MetricsOptions = {}): Layer.Layer<never, never, Swr.Cache> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { caches, host } = Swr.behind(yield* Swr.Cache)
    const book = bookOf(yield* Effect.context<never>())
    const spreads = histograms(options)
    const tallies = new Map<string, Tally>()
    const closing: Array<() => void> = []
    const begin = (cache: string): Tally => {
      const tally = new Tally(cache, book, spreads)
      tallies.set(cache, tally)
      const instance = caches.get(cache)?.handle.instance
      if (instance !== undefined) {
        for (const [of, read] of levels) closing.push(book.level(of, [cache], () => read(instance.stats)))
      }
      return tally
    }
    const tell = (event: Event.Event) => (tallies.get(event.cache) ?? begin(event.cache)).hear(event)
    host.listeners.add(tell)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        host.listeners.delete(tell)
        closing.forEach((close) => close())
      })
    )
  }))
