/**
 * The settings of a run: their defaults, and which of them go together. Pure.
 */
import { Result, Schema } from "effect"
import { Policy } from "effect-swr"
import { CliError } from "effect/cli"
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

/** Defaults that follow from other settings. */
const following = ({ duration, originLatency }: Pick<Settings, "duration" | "originLatency">) => ({
  originTimeout: 2.5 * originLatency,
  outageStart: Math.round(0.35 * duration),
  outageLength: Math.round(0.3 * duration)
})

const size = { duration: 40_000, originLatency: 400 }

/** A run to look at. */
export const full: Settings = {
  ...size,
  ...following(size),
  port: 0,
  originPort: 0,
  rate: 200,
  skus: products.length,
  seed: 1,
  failureShare: 0.01,
  outageKind: "all",
  freshFor: 2000,
  maxAge: 60_000,
  staleIfError: 300_000
}

const quickSize = { duration: 5000, originLatency: 600 }

/** A run for CI, with `--quick`: the origin is slower, so that a hiccup of a busy machine isn't mistaken for it. */
export const quick: Settings = { ...full, ...quickSize, ...following(quickSize), rate: 100, skus: 50, freshFor: 500 }

/** Settings that don't go together. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  message: Schema.String
}) {
  override get [CliError.userMessage]() {
    return this.message
  }
}

/** A time as people write it: `400ms`, `2s`, `1.5s`, `5m`. */
export const showMillis = (millis: number): string =>
  millis >= 60_000 && millis % 60_000 === 0
    ? `${millis / 60_000}m`
    : millis >= 1000
    ? `${millis / 1000}s`
    : `${millis}ms`

/** The flag of a setting. */
const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** What is wrong with settings, if anything. */
const complaint = (settings: Settings): string | null => {
  const { duration, originLatency, originTimeout, outageLength, outageStart, rate } = settings
  const [length, start, end] = [duration, outageStart, outageStart + outageLength].map(showMillis)
  if (duration < 1000 || duration > 3_600_000) return `--duration: got ${length}, allowed is 1s to 1h`
  if (duration / 1000 * rate > 500_000) return "--duration times --rate: allowed are 500,000 arrivals"
  if (originTimeout < 1.5 * originLatency) {
    const [timeout, least] = [originTimeout, 1.5 * originLatency].map(showMillis)
    return `--origin-timeout: got ${timeout}, allowed is one and a half times --origin-latency (${least}) or more`
  }
  if (outageLength > 0 && outageStart + outageLength > duration) {
    return `--outage-start, --outage-length: got ${start} to ${end}, allowed is an end within --duration (${length})`
  }
  const policy = Policy.make(settings)
  if (Result.isSuccess(policy)) return null
  const { allowed, option, value } = policy.failure
  return `${flagOf(option)}: got ${String(value)} ms, allowed is ${allowed.replace(/freshFor|maxAge/g, flagOf)}`
}

/** The settings of a run, checked as a whole: those that were named over the defaults. */
export const resolve = (named: Partial<Settings>, defaults: Settings): Result.Result<Settings, InvalidSettings> => {
  const settings = { ...defaults, ...following({ ...defaults, ...named }), ...named }
  const message = complaint(settings)
  return message === null ? Result.succeed(settings) : Result.fail(new InvalidSettings({ message }))
}
