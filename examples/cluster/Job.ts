/**
 * One run: Redis, the workers, the load, and what happens to them.
 */
import { Console, Deferred, Effect, Fiber, Schema } from "effect"
import { host, port as portOf } from "../pricing/Loopback.ts"
import * as Fleet from "./Fleet.ts"
import * as Load from "./Load.ts"
import { now, Origin, serve } from "./Origin.ts"
import type { Phase, Recording } from "./Recording.ts"
import { staleOf, windowsOf } from "./Recording.ts"
import * as RedisServer from "./RedisServer.ts"
import { Argument, type Settings, watched, written } from "./Settings.ts"

const seconds = (millis: number) => `${(millis / 1000).toFixed(1).padStart(5)} s`

const drive = Effect.fnUntraced(function*(settings: Settings, recording: Recording, origin: Origin) {
  const redis = yield* RedisServer.make
  const argument = { origin: `http://${host}:${yield* portOf}`, redis: redis.url, port: 0, caching: settings.caching }
  const fleet = yield* Fleet.make(Schema.encodeSync(Schema.fromJsonString(Argument))(argument))
  const [first, ...others] = yield* Effect.all(Array.from({ length: settings.workers }, () => fleet.start), {
    concurrency: "unbounded"
  })
  const port = first?.port ?? 0
  const pids = [first, ...others].map((worker) => worker?.pid)
  yield* Console.log(` Redis    ${redis.url}`)
  yield* Console.log(` workers  ${pids.join(", ")}, all at http://${host}:${port}/quote/hot`)

  const load = Load.make(port, settings, origin, recording)
  yield* load.warmUp
  const begun = yield* now
  const elapsed = Effect.map(now, (at) => at - begun)
  const until = (at: number) => Effect.flatMap(elapsed, (time) => Effect.sleep(Math.max(0, at - time)))
  const say = (text: string) => Effect.flatMap(elapsed, (time) => Console.log(`${seconds(time)}  ${text}`))

  /** Ends a phase of Redis' work and begins the next. */
  let mark = { at: begun, work: yield* redis.work }
  const worked = (phase: Phase) =>
    Effect.gen(function*() {
      const [at, work] = [yield* now, yield* redis.work]
      const given = work.given - mark.work.given
      recording.work[phase] = { millis: at - mark.at, work: { given, called: work.called - mark.work.called } }
      mark = { at, work }
    })
  const begin = (phase: Phase) => Effect.map(now, (at) => void (recording.begun[phase] = at))

  /** Kills who begins the next load of the hot key, in the middle of it; and waits until another loads it. */
  const kill = Effect.gen(function*() {
    const isKilled = yield* Deferred.make<{ readonly pid: number; readonly at: number }>()
    const isTaken = yield* Deferred.make<number>()
    let victim: number | undefined = undefined
    origin.watcher = ({ begun, key, pid }) => {
      if (key !== "hot") return
      if (victim === undefined) {
        victim = pid
        setTimeout(() => {
          fleet.kill(pid)
          Deferred.doneUnsafe(isKilled, Effect.map(now, (at) => ({ at, pid })))
        }, 10)
      } else if (pid !== victim) Deferred.doneUnsafe(isTaken, Effect.succeed(begun))
    }
    const killed = yield* Deferred.await(isKilled)
    yield* say(`worker ${killed.pid} is killed with SIGKILL while it loads "hot"`)
    const taken = yield* Deferred.await(isTaken)
    recording.takeover = taken - killed.at
    yield* say(`another worker loads "hot", ${seconds(recording.takeover).trim()} after the kill`)
  })
  const replace = Effect.andThen(fleet.start, ({ pid }) => say(`worker ${pid} takes its place`))

  const restart = Effect.gen(function*() {
    const from = yield* now
    yield* redis.kill
    yield* say("Redis is killed with SIGKILL")
    yield* until(settings.backAt)
    yield* redis.start
    const back = yield* now
    recording.away = { from, to: back + 1000 }
    mark = { at: back, work: { given: 0, called: 0 } }
    yield* say("Redis is back, empty")
  })

  const story = Effect.gen(function*() {
    yield* begin("quiet")
    yield* until(settings.killAt)
    yield* worked("quiet")
    yield* begin("one killed")
    const killing = yield* Effect.forkChild(kill)
    yield* until(settings.replaceAt)
    yield* replace
    yield* until(settings.goneAt)
    yield* Fiber.interrupt(killing)
    yield* worked("one killed")
    yield* begin("Redis restarted")
    yield* restart
    yield* until(settings.endAt)
    yield* worked("Redis restarted")
    recording.begun.end = yield* now
  })

  /** A line now and then: what came in since the last. */
  const progress = Effect.gen(function*() {
    for (let seen = 0, at = yield* now;;) {
      yield* Effect.sleep(2000)
      const [some, to] = [recording.reads.slice(seen), yield* now]
      const lookups = origin.lookups.filter(({ begun, key }) => begun >= at && watched.includes(key))
      const stale = staleOf(some, recording.writes, settings.bound, recording.away ?? { from: at, to })
      const windows = windowsOf(lookups, watched, settings.caching.freshFor)
      yield* say(
        `${Math.round(some.length * 1000 / (to - at))} reads a second, ` +
          `${some.filter(({ status }) => status !== 200).length} failed, ${stale.length} stale after invalidation; ` +
          `${lookups.length} lookups in ${windows.length} stale windows`
      )
      seen += some.length
      at = to
    }
  })

  const busy = Effect.all([load.reads, ...written.map(load.writes), progress], { concurrency: "unbounded" })
  yield* story.pipe(Effect.raceFirst(busy), Effect.raceFirst(fleet.ended))
})

/** Runs to the end. */
export const run = (settings: Settings, recording: Recording, origin: Origin) =>
  drive(settings, recording, origin).pipe(
    Effect.provide(serve(origin, settings.originLatency)),
    Effect.scoped
  )
