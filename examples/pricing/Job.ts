/**
 * One run: the origin and the load generator as child processes, the pricing service in this one.
 */
import { Deferred, Effect, Layer, Schema, Stream } from "effect"
import { Swr } from "effect-swr"
import * as Inspector from "effect-swr/Inspector"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import * as Child from "./Child.ts"
import * as Load from "./Load.ts"
import * as Loopback from "./Loopback.ts"
import * as Origin from "./Origin.ts"
import { plan } from "./Outage.ts"
import { Pricing } from "./Pricing.ts"
import { header, line, type Progress } from "./Progress.ts"
import { type Recording, watch } from "./Recording.ts"
import { Caches, Routes } from "./Server.ts"
import { Settings } from "./Settings.ts"

const encodeSettings = Schema.encodeSync(Schema.fromJsonString(Settings))
const encodeLoad = Schema.encodeSync(Schema.fromJsonString(Load.Argument))

// It is refused where others could reach it: the service listens on 127.0.0.1.
const Page = Layer.orDie(Inspector.layer({ writable: true, values: "schema" }))

/** The pricing service over an origin, and the page that shows its caches. */
const service = (settings: Settings, originPort: number) =>
  HttpRouter.serve(Layer.merge(Routes, Page), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(Loopback.layer(() => createServer({ keepAliveTimeout: 120_000 }), settings.port)),
    Layer.provideMerge(Caches.layer(settings)),
    Layer.provide(Pricing.layer({ origin: `http://${Loopback.host}:${originPort}`, timeout: settings.originTimeout })),
    Layer.provide(Swr.layer())
  )

/** Makes the origin ill and well again, and marks what the caches had asked it by then. */
const outage = Effect.fnUntraced(function*(
  settings: Settings,
  elapsed: Effect.Effect<number>,
  tell: (told: typeof Origin.Told.Type) => Effect.Effect<unknown>,
  mark: (at: number) => Effect.Effect<void>
) {
  const until = (time: number) => Effect.flatMap(elapsed, (now) => Effect.sleep(Math.max(0, time - now)))
  const parts = plan(settings)
  for (const { from, health } of parts) {
    yield* until(from)
    yield* tell({ health })
    yield* mark(from)
  }
  const end = parts.at(-1)?.to
  if (end === undefined) return
  yield* until(end)
  yield* tell({ health: "up" })
  yield* mark(end)
})

/** Runs to the end; fails when a process or a port fails. */
export const run = Effect.fnUntraced(function*(settings: Settings, recording: Recording, progress: Progress) {
  const origin = yield* Child.start({
    name: "origin",
    argument: encodeSettings(settings),
    tells: Origin.Told,
    hears: Origin.Said
  })
  const originPort = yield* Deferred.make<number>()
  const listen = Effect.andThen(
    Stream.runForEach(origin.heard, ({ port }) => Deferred.succeed(originPort, port)),
    origin.ended
  )

  const serve = Effect.gen(function*() {
    const caches = yield* Caches
    const port = yield* Loopback.port
    const load = yield* Child.start({
      name: "load",
      argument: encodeLoad({ settings, port }),
      tells: Schema.Never,
      hears: Load.Said
    })
    const ports = { service: port, origin: yield* Deferred.await(originPort) }
    yield* progress.say(header(settings, ports, { origin: origin.pid, load: load.pid }).join("\n"))

    const mark = (at: number) =>
      Effect.map(Effect.all([caches.ttl.stats, caches.swr.stats]), ([ttl, swr]) => {
        recording.marks.push({ at, lookups: { ttl: ttl.loads, swr: swr.loads } })
      })
    /** From the first request that counts. */
    const begin = Effect.gen(function*() {
      const elapsed = yield* watch
      yield* mark(0)
      yield* Effect.addFinalizer(() =>
        Effect.flatMap(elapsed, (now) => {
          recording.measured = Math.min(now, settings.duration)
          return mark(now)
        })
      )
      yield* Effect.forkScoped(outage(settings, elapsed, origin.tell, mark))
      yield* Effect.forkScoped(progress.draw(Effect.map(elapsed, (now) => line(settings, recording.samples, now))))
    })
    const hear = (said: typeof Load.Said.Type) => {
      if (said._tag === "Warm") return begin
      return Effect.sync(() => {
        if (said._tag === "Samples") {
          recording.samples.push(...said.samples)
        } else {
          recording.late = said.late
          recording.complete = true
        }
      })
    }
    yield* Stream.runForEach(Stream.takeUntil(load.heard, ({ _tag }) => _tag === "Done"), hear)
    yield* recording.complete ? Effect.void : load.ended
  })

  yield* Deferred.await(originPort).pipe(
    Effect.flatMap((port) => Effect.provide(Effect.scoped(serve), service(settings, port))),
    Effect.raceFirst(listen)
  )
}, Effect.scoped)
