/**
 * The load generator, in a process of its own: asks both routes for the same products at the same moments.
 *
 * Open loop: a request is sent when it is due, whether earlier ones have been answered or not, and its latency counts
 * from the moment it was due. So a slow answer hides nothing (no "coordinated omission"), and what the generator itself
 * is late counts too.
 */
import { Clock, Effect, FiberSet, Schema, Stream } from "effect"
import * as Http from "node:http"
import { arrivals } from "./Arrivals.ts"
import * as Child from "./Child.ts"
import { host } from "./Loopback.ts"
import { products } from "./Products.ts"
import { Late, percentile } from "./Report.ts"
import { Route, Sample } from "./Sample.ts"
import { Settings } from "./Settings.ts"

/** What the load generator is started with. */
export const Argument = Schema.Struct({ settings: Settings, port: Schema.Int })

/** What it says. */
export const Said = Schema.Union([
  /** Every product has been asked for once on both routes; the measured part begins. */
  Schema.TaggedStruct("Warm", {}),
  Schema.TaggedStruct("Samples", { samples: Schema.Array(Sample) }),
  Schema.TaggedStruct("Done", { late: Late })
])

export class WarmUpFailed extends Schema.TaggedError<WarmUpFailed>()("WarmUpFailed", { path: Schema.String }) {
  override get message() {
    return `no answer from ${this.path} while warming up`
  }
}

interface Reply {
  readonly status: number
  readonly cache: string | null
  readonly age: number
  /** When the last byte had arrived. */
  readonly at: number
}

const header = (response: Http.IncomingMessage, name: string): string | null => {
  const value = response.headers[name]
  return typeof value === "string" ? value : null
}

/** Milliseconds, without the digits that say nothing. */
const microseconds = (millis: number): number => Math.round(millis * 1000) / 1000

/** One GET, over a connection kept alive. Answers, with status 0, also when the connection breaks. */
const get = (agent: Http.Agent, port: number, path: string, now: () => number, patience: number) =>
  Effect.callback<Reply>((resume) => {
    const reply = (status: number, cache: string | null, age: number) =>
      resume(Effect.succeed({ status, cache, age, at: now() }))
    const request = Http.get({ agent, host, port, path, timeout: patience }, (response) => {
      response.resume()
      response.once("error", () => reply(0, null, 0))
      response.once(
        "end",
        () => reply(response.statusCode ?? 0, header(response, "x-cache"), Number(header(response, "age") ?? 0))
      )
    })
    request.once("timeout", () => request.destroy())
    request.once("error", () => reply(0, null, 0))
    request.once("close", () => reply(0, null, 0))
    return Effect.sync(() => request.destroy())
  })

/** The child process. */
export const run = Effect.fnUntraced(function*({ port, settings }: typeof Argument.Type) {
  const say = Child.sayWith(Said)
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const agents = {
    ttl: new Http.Agent({ keepAlive: true }),
    swr: new Http.Agent({ keepAlive: true })
  }
  const skus = products.slice(0, settings.skus).map(({ sku }) => sku)
  const patience = settings.originTimeout + 5000
  const ask = (route: Route, sku: string) => get(agents[route], port, `/${route}/price/${sku}`, now, patience)

  const warmUp = Effect.forEach(
    skus.flatMap((sku) => Route.literals.map((route) => ({ sku, route }))),
    ({ route, sku }) =>
      ask(route, sku).pipe(
        Effect.filterOrFail(({ status }) => status === 200, () => new WarmUpFailed({ path: `/${route}/price/${sku}` })),
        Effect.retry({ times: 20 })
      ),
    { concurrency: 100, discard: true }
  )

  /** Timers count whole milliseconds; the rest is a few turns of the event loop. */
  const sleepUntil = (time: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const rest = time - now()
      if (rest <= 0) return Effect.void
      return Effect.andThen(rest < 1 ? Effect.yieldNow : Effect.sleep(Math.ceil(rest)), sleepUntil(time))
    })

  const measure = Effect.gen(function*() {
    const samples: Array<Sample> = []
    const late: Array<number> = []
    const flush = Effect.suspend(() => {
      const batch = samples.splice(0)
      return batch.length === 0 ? Effect.void : say({ _tag: "Samples", samples: batch })
    })
    yield* Effect.forkChild(Effect.forever(Effect.delay(flush, "200 millis")))
    const requests = yield* FiberSet.make()
    const start = now()
    let order: readonly [Route, Route] = Route.literals
    for (const { at, sku } of arrivals({ ...settings, skus })) {
      yield* sleepUntil(start + at)
      late.push(now() - start - at)
      order = [order[1], order[0]]
      for (const route of order) {
        const request = Effect.map(ask(route, sku), (reply) => {
          samples.push({
            route,
            at,
            latency: microseconds(reply.at - start - at),
            status: reply.status,
            cache: reply.cache,
            age: reply.age
          })
        })
        yield* FiberSet.run(requests, request)
      }
    }
    yield* sleepUntil(start + settings.duration)
    yield* FiberSet.awaitEmpty(requests)
    yield* flush
    const sorted = late.toSorted((a, b) => a - b)
    return { p99: microseconds(percentile(sorted, 0.99) ?? 0), max: microseconds(sorted.at(-1) ?? 0) }
  }).pipe(Effect.scoped)

  yield* Effect.gen(function*() {
    yield* warmUp
    yield* say({ _tag: "Warm" })
    const late = yield* measure
    yield* say({ _tag: "Done", late })
  }).pipe(
    Effect.raceFirst(Stream.runDrain(Child.told(Schema.Never))),
    Child.main
  )
})
