/**
 * The origin, in the main process: the truth about each key, and a ledger of who asked for it when.
 */
import { Clock, Effect, Layer, Random } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import * as Loopback from "../pricing/Loopback.ts"
import { Quote } from "./Quote.ts"

export const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** One lookup. It has no end while it runs, and never one if who asked was killed. */
export interface Lookup {
  readonly key: string
  readonly pid: number
  readonly begun: number
  ended: number | undefined
}

export class Origin {
  readonly lookups: Array<Lookup> = []
  private readonly versions = new Map<string, number>()
  /** Told of each lookup as it begins. */
  watcher: (lookup: Lookup) => void = () => {}

  version(key: string): number {
    return this.versions.get(key) ?? 0
  }

  /** The truth changes. */
  write(key: string): number {
    const version = this.version(key) + 1
    this.versions.set(key, version)
    return version
  }
}

/** `GET /quote/:key`: the truth as it was when it was asked for, after a while. So a load is as old as it can be. */
export const serve = (origin: Origin, latency: number) => {
  const respond = HttpServerResponse.schemaJson(Quote)
  const quote = Effect.gen(function*() {
    const { key = "" } = yield* HttpRouter.params
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const lookup: Lookup = { key, pid: Number(headers["x-pid"]), begun: yield* now, ended: undefined }
    const version = origin.version(key)
    origin.lookups.push(lookup)
    origin.watcher(lookup)
    yield* Effect.sleep(latency * (0.5 + (yield* Random.next) / 2))
    lookup.ended = yield* now
    return yield* respond({ key, version })
  })
  return HttpRouter.serve(HttpRouter.add("GET", "/quote/:key", quote), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(Layer.provideMerge(Loopback.layer(() => createServer({ keepAliveTimeout: 120_000 }), 0)))
}
