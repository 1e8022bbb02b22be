/**
 * A Fastify server with a cache. `npm run example:fastify`, then `curl -i localhost:3000/users` a few times.
 */
import * as SwrPromise from "effect-swr/SwrPromise"
import fastify from "fastify"
import { setTimeout as pause } from "node:timers/promises"
import { createCache } from "./Cache.ts"

const caches = SwrPromise.make({ capacity: 10_000 })
const cache = createCache({ caches, freshFor: "5 seconds", maxAge: "1 minute", staleIfError: "10 minutes" })

const users = new Map([["1", { name: "Ada" }], ["2", { name: "Grace" }]])

// Values that are no responses: typed, one load for all who ask.
const rates = caches.make({
  name: "rates",
  lookup: (_: string) => pause(500).then(() => Math.random()),
  freshFor: "10 seconds",
  maxAge: "1 minute"
})

const app = fastify()

// Five seconds fresh; up to a minute old it is given at once and refreshed behind the reader's back.
app.get("/users", { onRequest: cache.route() }, async () => {
  await pause(500)
  return { users: [...users.values()], at: new Date().toISOString() }
})

// Each language is kept apart.
app.get(
  "/greeting",
  { onRequest: cache.route({ freshFor: "1 minute", vary: ["accept-language"] }) },
  ({ headers }) => Promise.resolve(headers["accept-language"]?.startsWith("fr") === true ? "Salut" : "Hello")
)

// A write voids what is below `/users`, before its reader is answered.
app.put<{ Params: { id: string }; Body: { name: string } }>(
  "/users/:id",
  { onRequest: cache.invalidates("/users") },
  ({ body: { name }, params: { id } }) => {
    users.set(id, { name })
    return Promise.resolve({ name })
  }
)

app.get("/rate", async () => ({ rate: await rates.get("eur") }))

app.addHook("onClose", () => caches.close())
process.once("SIGINT", () => void app.close())
console.log(await app.listen({ port: Number(process.env["PORT"] ?? 3000) }))
