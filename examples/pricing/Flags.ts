/**
 * The settings as flags of the command line.
 */
import { Duration, Option, Record } from "effect"
import { Flag } from "effect/cli"
import { OutageKind } from "./Outage.ts"
import { products } from "./Products.ts"
import { full, quick, type Settings, showMillis } from "./Settings.ts"

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of `400ms`, `2s`, `1.5m`, and of what `Duration` reads: `2 seconds`. */
export const parseMillis = (text: string): Option.Option<number> => {
  const short = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  if (short !== null) return Option.some(Number(short[1]) * units[short[2] as keyof typeof units])
  // `fromInput` answers none for a text that it can't read.
  return Option.map(Duration.fromInput(text as Duration.Input), Duration.toMillis).pipe(
    Option.filter((millis) => Number.isFinite(millis) && millis >= 0)
  )
}

/** Adds the description, with the defaults, and makes the flag optional. */
const described = (text: string, name: keyof Settings, show: (value: string | number) => string = String) => {
  const [usual, short] = [show(full[name]), show(quick[name])]
  const defaults = usual === short ? usual : `${usual}, with --quick ${short}`
  return <A>(flag: Flag.Flag<A>) => flag.pipe(Flag.withDescription(`${text} (${defaults})`), Flag.optional)
}

const time = (flag: string, text: string, name: keyof Settings) =>
  Flag.String(flag).pipe(
    Flag.filterMap(parseMillis, () => "Expected a time such as 400ms, 2s or 5m"),
    Flag.withMetavar("TIME"),
    described(text, name, (millis) => showMillis(Number(millis)))
  )

const within = (least: number, most: number) =>
  Flag.filter((value: number) => value >= least && value <= most, () => `Expected ${least} to ${most}`)

/** One for each setting. */
export const flags = {
  port: Flag.Int("port").pipe(
    within(0, 65_535),
    described("Port of the pricing service, 0 takes a free one", "port")
  ),
  originPort: Flag.Int("origin-port").pipe(
    within(0, 65_535),
    described("Port of the origin", "originPort")
  ),
  rate: Flag.Finite("rate").pipe(
    within(0.1, 2000),
    described("Arrivals a second; each asks both routes", "rate")
  ),
  duration: time("duration", "How long the load lasts", "duration"),
  skus: Flag.Int("skus").pipe(
    within(1, products.length),
    described("How many products are asked for", "skus")
  ),
  seed: Flag.Int("seed").pipe(described("Seed of arrivals, jitter and failures", "seed")),
  originLatency: time("origin-latency", "How long the origin takes for an answer", "originLatency"),
  originTimeout: time(
    "origin-timeout",
    "How long the service waits for the origin; 2.5 times as long",
    "originTimeout"
  ),
  failureShare: Flag.Finite("failure-share").pipe(
    within(0, 0.5),
    described("Share of 503s among the origin's answers while it is well", "failureShare")
  ),
  outageStart: time("outage-start", "When the outage begins; 35 % into the run", "outageStart"),
  outageLength: time("outage-length", "How long it lasts, 0s for none; 30 % of the run", "outageLength"),
  outageKind: Flag.Literals("outage-kind", OutageKind.literals).pipe(
    described("What the origin does in the outage", "outageKind")
  ),
  freshFor: time("fresh-for", "How long a price is fresh, on both routes", "freshFor"),
  maxAge: time("max-age", "How old a price the SWR route answers while it refreshes it", "maxAge"),
  staleIfError: time("stale-if-error", "How long after it was fresh the SWR route answers it on error", "staleIfError")
}

/** What the command line gives. */
export type Given = { readonly [Name in keyof Settings]: Option.Option<Settings[Name]> }

/** Those that were named. */
export const named = (given: Given): Partial<Settings> => Record.getSomes<keyof Settings, string | number>(given)
