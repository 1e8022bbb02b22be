/**
 * The settings of a run: their defaults, their flags on the command line, and which of them go together.
 */
import { Duration, Option, Record, Result, Schema } from "effect"
import { Policy } from "effect-swr"
import { CliError, Flag } from "effect/cli"
import { OutageKind } from "./Outage.ts"
import { products } from "./Products.ts"

/** All times are milliseconds. */
export const Settings = Schema.Struct({
  port: Schema.Int,
  originPort: Schema.Int,
  rate: Schema.Finite,
  duration: Schema.Finite,
  skus: Schema.Int,
  seed: Schema.Int,
  originLatency: Schema.Finite,
  originTimeout: Schema.Finite,
  failureShare: Schema.Finite,
  outageStart: Schema.Finite,
  outageLength: Schema.Finite,
  outageKind: OutageKind,
  freshFor: Schema.Finite,
  maxAge: Schema.Finite,
  staleIfError: Schema.Finite
})
export type Settings = typeof Settings.Type

/** A run to look at. */
export const full: Settings = {
  port: 0,
  originPort: 0,
  rate: 200,
  duration: 40_000,
  skus: products.length,
  seed: 1,
  originLatency: 400,
  originTimeout: 1000,
  failureShare: 0.01,
  outageStart: 14_000,
  outageLength: 12_000,
  outageKind: "all",
  freshFor: 2000,
  maxAge: 60_000,
  staleIfError: 300_000
}

/** A run for CI, with `--quick`. */
export const quick: Settings = {
  ...full,
  rate: 100,
  duration: 6000,
  skus: 50,
  outageStart: 2000,
  outageLength: 2400,
  freshFor: 500
}

/** Settings that don't go together. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  message: Schema.String
}) {
  override get [CliError.userMessage]() {
    return this.message
  }
}

/** A time as people write it: `400ms`, `2s`, `1.5m`. */
export const showMillis = (millis: number): string =>
  millis >= 60_000 && millis % 60_000 === 0
    ? `${millis / 60_000}m`
    : millis >= 1000
    ? `${millis / 1000}s`
    : `${millis}ms`

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

export const parseMillis = (text: string): Option.Option<number> => {
  const short = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)$/.exec(text)
  if (short !== null) return Option.some(Number(short[1]) * units[short[2] as keyof typeof units])
  return Option.map(Duration.fromInput(text as Duration.Input), Duration.toMillis).pipe(
    Option.filter((millis) => Number.isFinite(millis) && millis >= 0)
  )
}

/** Adds the description, with the defaults, and makes the flag optional. */
const described = (text: string, key: keyof Settings, show: (value: string | number) => string = String) => {
  const [usual, short] = [show(full[key]), show(quick[key])]
  const defaults = usual === short ? usual : `${usual}, with --quick ${short}`
  return <A>(flag: Flag.Flag<A>) => flag.pipe(Flag.withDescription(`${text} (${defaults})`), Flag.optional)
}

const time = (name: string, text: string, key: keyof Settings) =>
  Flag.String(name).pipe(
    Flag.filterMap(parseMillis, (value) => `Expected a time such as 400ms, 2s or 5m, got "${value}"`),
    Flag.withMetavar("TIME"),
    described(text, key, (millis) => showMillis(Number(millis)))
  )

const number = (
  flag: Flag.Flag<number>,
  text: string,
  key: keyof Settings,
  fits: (value: number) => boolean,
  expected: string
) => flag.pipe(Flag.filter(fits, (value) => `Expected ${expected}, got ${value}`), described(text, key))

const isPort = (value: number) => value >= 0 && value <= 65_535

/** One flag for each setting. */
export const flags = {
  port: number(Flag.Int("port"), "Port of the pricing service, 0 takes a free one", "port", isPort, "0 to 65535"),
  originPort: number(Flag.Int("origin-port"), "Port of the origin", "originPort", isPort, "0 to 65535"),
  rate: number(
    Flag.Finite("rate"),
    "Arrivals a second; each asks both routes",
    "rate",
    (value) => value > 0 && value <= 2000,
    "more than 0, at most 2000"
  ),
  duration: time("duration", "How long the load lasts", "duration"),
  skus: number(
    Flag.Int("skus"),
    "How many products are asked for",
    "skus",
    (value) => value >= 1 && value <= products.length,
    `1 to ${products.length}`
  ),
  seed: number(Flag.Int("seed"), "Seed of arrivals, jitter and failures", "seed", () => true, "a number"),
  originLatency: time("origin-latency", "How long the origin takes for an answer", "originLatency"),
  originTimeout: time("origin-timeout", "How long the service waits for the origin", "originTimeout"),
  failureShare: number(
    Flag.Finite("failure-share"),
    "Share of the origin's answers that are a 503 on good days",
    "failureShare",
    (value) => value >= 0 && value <= 0.5,
    "0 to 0.5"
  ),
  outageStart: time("outage-start", "When the outage begins", "outageStart"),
  outageLength: time("outage-length", "How long it lasts, 0s for none", "outageLength"),
  outageKind: Flag.Literals("outage-kind", OutageKind.literals).pipe(
    described("What the origin does in the outage", "outageKind")
  ),
  freshFor: time("fresh-for", "How long a price is fresh, on both routes", "freshFor"),
  maxAge: time("max-age", "How old a price may be while the SWR route refreshes it", "maxAge"),
  staleIfError: time("stale-if-error", "How long after that moment the SWR route uses it on error", "staleIfError")
}

/** What the command line gives: the settings that were named. */
export type Given = { readonly [Key in keyof Settings]: Option.Option<Settings[Key]> }

const flagOf = (option: string): string => `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** The settings of a run, checked as a whole. */
export const resolve = (given: Given, defaults: Settings): Result.Result<Settings, InvalidSettings> => {
  const settings = { ...defaults, ...Record.getSomes<keyof Settings, string | number>(given) }
  const refuse = (message: string) => Result.fail(new InvalidSettings({ message }))
  const { duration, freshFor, originLatency, originTimeout, outageLength, outageStart, rate } = settings
  if (duration < 1000 || duration > 3_600_000) return refuse("--duration has to be 1s to 1h")
  if (duration / 1000 * rate > 500_000) return refuse("--duration times --rate has to be at most 500,000 arrivals")
  if (freshFor < 1) return refuse("--fresh-for has to be at least 1ms")
  if (originTimeout < originLatency * 1.5) {
    return refuse(
      `--origin-timeout (${showMillis(originTimeout)}) has to be at least one and a half times --origin-latency (${
        showMillis(originLatency)
      })`
    )
  }
  if (outageLength > 0 && outageStart + outageLength > duration) {
    return refuse(
      `the outage (${showMillis(outageStart)} to ${
        showMillis(outageStart + outageLength)
      }) has to lie within --duration (${showMillis(duration)})`
    )
  }
  const policy = Policy.make(settings)
  return Result.isFailure(policy)
    ? refuse(
      `${flagOf(policy.failure.option)}: got ${String(policy.failure.value)} ms, allowed is ${policy.failure.allowed}`
    )
    : Result.succeed(settings)
}
