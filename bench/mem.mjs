import { Effect } from "effect"
import * as HttpCache from "../dist/HttpCache.js"
import * as HttpExchange from "../dist/HttpExchange.js"
import { Swr } from "../dist/index.js"
import * as SwrPromise from "../dist/SwrPromise.js"
const caches = SwrPromise.make()
const dec = HttpCache.decode({ capacity: 100000, maxBytes: 2 ** 30 })
const medium = {
  head: (r) => r,
  body: ({ body }) => body,
  make: (_, { headers, status }, body) => ({ status, headers, body }),
  tell: (r) => r,
  kind: () => 500,
  release: () => Effect.void,
  isValue: true
}
const run = Effect.runSyncWith(caches.context)
const ex = run(HttpExchange.make(medium, { ...dec, makesTags: process.argv[2] !== "notag" }))
const one = new Uint8Array(1024)
const fwd = () =>
  Effect.succeed({
    status: 200,
    headers: { "content-type": "application/json", "content-length": "1024", "cache-control": "max-age=3600" },
    body: process.argv[4] === "own" ? new Uint8Array(1024) : one
  })
const labels = (i) =>
  process.argv[3] === "none"
    ? () => []
    : () => HttpCache.labels({ method: "GET", url: `http://localhost/p/${i}`, headers: {} }, "/p/:id")
const used = () => {
  for (let t = 0; t < 4; t++) gc()
  const m = process.memoryUsage()
  return m.heapUsed + m.external
}
const go = (a, b) =>
  Effect.runPromiseWith(caches.context)(Effect.gen(function*() {
    for (let i = a; i < b; i++) {
      yield* ex.answer({ method: "GET", url: `/p/${i}`, headers: { host: "localhost", accept: "*/*" } }, fwd, labels(i))
    }
  }))
await go(0, 1000)
if (process.argv[5]) {
  const r = await Effect.runPromiseWith(caches.context)(
    ex.answer({ method: "GET", url: "/p/5", headers: { host: "localhost" } }, fwd)
  )
  console.log("same body", r.body === one, r.body.constructor.name, r.body.byteLength, r.body.buffer.byteLength)
}
const b = used()
await go(1000, 21000)
await new Promise((r) => setTimeout(r, 3000))
console.log(process.argv.slice(2).join(" "), ((used() - b) / 20000).toFixed(0))
process.exit(0)
