// 9. Seen: why a price was old, who refreshed it, and what Prometheus is told.
import { Console, Effect, Layer, Schedule, Stream } from "effect"
import { Swr } from "effect-swr"
import * as History from "effect-swr/History"
import * as Metrics from "effect-swr/Metrics"
import * as Triggers from "effect-swr/Triggers"
import * as Warmup from "effect-swr/Warmup"
import { PrometheusMetrics } from "effect/observability"
import { main } from "./main.ts"

// A supplier that is down from the third question on.
let asked = 0
const quote = (_sku: string) => Effect.suspend(() => ++asked > 2 ? Effect.fail("down") : Effect.succeed(1200))

class Prices extends Swr.Service<Prices>()("Prices", {
  lookup: quote,
  freshFor: "1 second"
}) {}

// Warm before the program begins; then again every two seconds, read or not.
const work = Layer.mergeAll(
  Warmup.layer(Prices, { keys: ["sku-1"], wait: true }),
  Layer.effectDiscard(
    Effect.flatMap(
      Prices,
      (prices) => Triggers.revalidateOn(prices, Stream.fromSchedule(Schedule.spaced("2 seconds")), { keys: ["sku-1"] })
    )
  )
)

export const program = Effect.gen(function*() {
  const prices = yield* Prices
  const history = yield* History.make()
  yield* prices.get("sku-1")
  yield* Effect.sleep("2500 millis")
  yield* prices.get("sku-1")
  yield* Effect.sleep("2 seconds")
  const answer = yield* prices.read("sku-1")
  yield* Console.log(`${answer.value} cents, ${answer.status}: why?`)

  for (const { event, times } of history.of("Prices", "sku-1")) {
    const why = "reason" in event ? `, ${event.reason}` : "cause" in event ? `, ${event.cause}` : ""
    yield* Console.log(`  ${event._tag}${why}${times > 1 ? ` x ${times}` : ""}`)
  }
  const told = yield* PrometheusMetrics.format()
  for (const line of told.split("\n")) if (line.startsWith("swr_loads_total")) yield* Console.log(line)
}).pipe(
  Effect.scoped,
  Effect.provide(
    work.pipe(Layer.provideMerge(Prices.layer), Layer.provideMerge(Metrics.layer()), Layer.provideMerge(Swr.layer()))
  )
)

main(import.meta.url, program)

// prints
// 1200 cents, stale: why?
//   Hit
//   Load, revalidate
//   Commit, revalidate
//   Hit
//   Load, revalidate
//   LoadFailed, revalidate
//   RefreshSkipped, held
//   Served, error
// swr_loads_total{cache="Prices",cause="miss",outcome="kept"} 1
// swr_loads_total{cache="Prices",cause="revalidate",outcome="kept"} 1
// swr_loads_total{cache="Prices",cause="revalidate",outcome="failed"} 1
