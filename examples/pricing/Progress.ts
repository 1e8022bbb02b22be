/**
 * What is seen while the run goes on: one line, drawn again and again in a terminal; a plain line now and then elsewhere.
 */
import { Console, Effect, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { host } from "./Loopback.ts"
import { labels, plan } from "./Outage.ts"
import { percentile } from "./Report.ts"
import { hasFailed, type Route, type Sample } from "./Sample.ts"
import { showLatency } from "./Screen.ts"
import { type Settings, showMillis } from "./Settings.ts"

const address = (port: number): string => `http://${host}:${port}`

/** Who is there, in four lines. Pure. */
export const header = (
  settings: Settings,
  ports: { readonly service: number; readonly origin: number },
  pids: { readonly origin: number; readonly load: number }
): ReadonlyArray<string> => {
  const { duration, outageLength, outageStart } = settings
  const share = `${Number((settings.failureShare * 100).toFixed(2))} %`
  const ill = outageLength === 0
    ? ""
    : `, ill from ${showMillis(outageStart)} to ${showMillis(outageStart + outageLength)}`
  return [
    ` pricing service  ${address(ports.service)}  /ttl/price/:sku and /swr/price/:sku`,
    ` inspector        ${address(ports.service)}/inspector  shows its caches, in a browser`,
    ` origin           ${address(ports.origin)}  /price/:sku in ${
      showMillis(settings.originLatency)
    }, ${share} fail${ill}` +
    `  (pid ${pids.origin})`,
    ` load generator   ${settings.rate} arrivals a second for ${
      showMillis(duration)
    }, each asks both routes  (pid ${pids.load})`
  ]
}

/** What happened in the last two seconds, as one line. Pure. */
export const line = (settings: Settings, samples: ReadonlyArray<Sample>, elapsed: number): string => {
  const window = 2000
  const recent = samples.slice(-Math.ceil(settings.rate * 4 * window / 1000)).filter(({ at }) => at >= elapsed - window)
  const lately = (route: Route): string => {
    const some = recent.filter((sample) => sample.route === route)
    const latencies = some.map(({ latency }) => latency).toSorted((a, b) => a - b)
    const failed = some.filter(hasFailed).length
    return `${route.toUpperCase()} p99 ${showLatency(percentile(latencies, 0.99)).padStart(7)}` +
      (failed > 0 ? `, ${Math.round(100 * failed / some.length)} % failed` : "")
  }
  const part = plan(settings).find(({ from, to }) => elapsed >= from && elapsed < to)
  const second = Math.floor(Math.min(elapsed, settings.duration) / 1000)
  return ` ${String(second).padStart(3)} of ${settings.duration / 1000} s   ${lately("swr")}   ${lately("ttl")}` +
    (part === undefined ? "" : `   origin: ${labels[part.health]}`)
}

/** Where the progress goes. */
export interface Progress {
  /** A line that stays. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Draws, until it is interrupted, what `current` gives. */
  readonly draw: (current: Effect.Effect<string>) => Effect.Effect<void>
}

/** Plain lines through `write`, one every so often. */
const plain = (write: (text: string) => Effect.Effect<void>, settings: Settings): Progress => ({
  say: write,
  draw: (current) =>
    Effect.flatMap(current, write).pipe(
      Effect.delay(Math.max(1000, Math.min(5000, settings.duration / 8))),
      Effect.forever
    )
})

const clearLine = "\r\u001b[2K"

/** A line drawn again and again, and wiped in the end. */
const redrawn = (terminal: Terminal.Terminal): Progress => {
  const write = (text: string) => Effect.ignore(terminal.display(text))
  return {
    say: (text) => write(`${clearLine}${text}\n`),
    draw: (current) =>
      Effect.all([current, terminal.columns]).pipe(
        Effect.flatMap(([text, columns]) => write(`${clearLine}${text.slice(0, Math.max(20, columns - 1))}`)),
        Effect.delay("250 millis"),
        Effect.forever,
        Effect.ensuring(write(clearLine))
      )
  }
}

/** With `json`, stdout is for the report alone. */
export const make = Effect.fnUntraced(function*(options: { readonly json: boolean; readonly settings: Settings }) {
  if (options.json) return plain(Console.error, options.settings)
  const { canAnimate } = yield* TerminalCapabilities.TerminalCapabilities
  return canAnimate ? redrawn(yield* Terminal.Terminal) : plain(Console.log, options.settings)
})
