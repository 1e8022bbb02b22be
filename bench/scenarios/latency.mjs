/** What readers wait: requests come by the clock, whether or not the ones before are answered. */
import { Effect } from "effect"
import { names, random } from "../draws.mjs"
import { breathe, quantile, sink } from "../measure.mjs"
import { hour } from "./opening.mjs"

const keys = names(100)

/**
 * 2,000 requests a second. `latencies` count from when a request was made; `delays` from when it was due, so that a
 * cache (or a machine) which holds up the process shows in all that had to wait.
 */
const traffic = async (contender, read, seconds, perSecond = 2_000) => {
  const latencies = []
  const delays = []
  const next = random(3)
  const path = contender.value?.slice(1)
  let failed = 0
  const request = async (due) => {
    const key = keys[Math.floor(next() * keys.length)]
    const made = performance.now()
    try {
      const answer = await read(key)
      sink.sum += (path === undefined ? answer : answer[path]).price
    } catch {
      failed++
    }
    const done = performance.now()
    latencies.push(done - made)
    delays.push(done - due)
  }
  const begun = performance.now()
  const pending = []
  for (let made = 0; made < seconds * perSecond;) {
    const due = Math.min(seconds * perSecond, (performance.now() - begun) / 1_000 * perSecond)
    for (; made < due; made++) pending.push(request(begun + made / perSecond * 1_000))
    await breathe()
  }
  await Promise.all(pending)
  return { latencies, delays, failed }
}

/** A read as a promise, whatever the edge. */
const asPromise = ({ edge }, read) => {
  if (edge === "fiber") return (key) => Effect.runPromise(read(key))
  return async (key) => read(key)
}

const rowOf = ({ delays, failed, latencies }) => ({
  p50: quantile(latencies, 0.5),
  p99: quantile(latencies, 0.99),
  p999: quantile(latencies, 0.999),
  max: quantile(latencies, 1),
  due99: quantile(delays, 0.99),
  due999: quantile(delays, 0.999),
  requests: latencies.length,
  failed
})

/** The floor has no origin that waits: it shows what the machine itself does to a request. */
export const h = {
  title: "origin 400 ms, TTL 2 s, 100 keys, 2,000 requests a second: milliseconds a reader waits",
  kind: "tail",
  alone: async (contender, { seconds }) => {
    let loads = 0
    const slow = async (key) => {
      loads++
      await breathe(400)
      return { id: key, price: 1 }
    }
    const isSync = contender.edge === "sync"
    const opened = await contender.open({
      capacity: 10_000,
      fresh: 2_000,
      ...contender.stale && { stale: hour },
      load: isSync ? (key) => ({ id: key, price: 1 }) : slow,
      waits: !isSync
    })
    const read = asPromise(contender, opened.read)
    await Promise.all(keys.map(read))
    const row = rowOf(await traffic(contender, read, seconds))
    await opened.close()
    return { ...row, loads }
  }
}

/** Loaded once; then every load fails after 20 ms, and all are past their time. */
export const k = {
  title:
    "a dead origin inside stale-if-error, 100 keys, 2,000 requests a second: calls, and milliseconds a reader waits",
  kind: "dead",
  alone: async (contender, { seconds }) => {
    let dead = false
    let calls = 0
    const load = async (key) => {
      calls++
      if (dead) {
        await breathe(20)
        throw new Error("dead")
      }
      return { id: key, price: 1 }
    }
    const opened = await contender.open({ capacity: 10_000, fresh: 50, stale: hour, error: hour, load, waits: true })
    const read = asPromise(contender, opened.read)
    await Promise.all(keys.map(read))
    await breathe(100)
    dead = true
    calls = 0
    const row = rowOf(await traffic(contender, read, seconds))
    await opened.close()
    return { ...row, callsPerKeyPerSecond: calls / keys.length / seconds }
  }
}
