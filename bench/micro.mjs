import { Effect } from "effect"
import * as HttpCache from "../dist/HttpCache.js"
import * as HttpCachePromise from "../dist/HttpCachePromise.js"
import * as HttpExchange from "../dist/HttpExchange.js"
import * as SwrPromise from "../dist/SwrPromise.js"
const caches = SwrPromise.make()
const dec = HttpCache.decode({})
const medium = {
  head: (r) => r,
  body: ({ body }) => body,
  make: (_, { headers, status }, body) => ({ status, headers, body }),
  tell: (r) => r,
  kind: () => 500,
  release: () => Effect.void
}
const run = Effect.runSyncWith(caches.context)
const ex = run(HttpExchange.make(medium, { ...dec, makesTags: true }))
const body = new Uint8Array(1024)
const fwd = () =>
  Effect.succeed({
    status: 200,
    headers: { "content-type": "application/json", "cache-control": "max-age=3600" },
    body
  })
const headers = { host: "localhost", accept: "*/*" }
await Effect.runPromiseWith(caches.context)(ex.answer({ method: "GET", url: "/p/1", headers }, fwd))
const go = (n) =>
  run(Effect.gen(function*() {
    for (let i = 0; i < n; i++) yield* ex.answer({ method: "GET", url: "/p/1", headers }, fwd)
  }))
go(50000)
for (let r = 0; r < 5; r++) {
  const b = process.cpuUsage()
  go(100000)
  const u = process.cpuUsage(b)
  console.log(((u.user + u.system) / 100000).toFixed(2), "us")
}
process.exit(0)
