/**
 * An Express server with a cache. `npm run example:express`, then `curl -i localhost:3000/users` a few times.
 */
import * as SwrPromise from "effect-swr/SwrPromise"
import express from "express"
import { createCache } from "./Cache.ts"

const caches = SwrPromise.make({ capacity: 10_000 })
const cache = createCache({ caches, freshFor: "5 seconds", maxAge: "1 minute", staleIfError: "10 minutes" })

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
const users = new Map([["1", { name: "Ada" }], ["2", { name: "Grace" }]])

const app = express()

// Five seconds fresh; up to a minute old it is given at once and refreshed behind the reader's back.
app.get("/users", cache.route(), async (_, res) => {
  await pause(500)
  res.json({ users: [...users.values()], at: new Date().toISOString() })
})

// Each language is kept apart; the order of the query's parameters is not.
app.get("/greeting", cache.route({ freshFor: "1 minute", vary: ["accept-language"], sortQuery: true }), (req, res) => {
  res.send(
    `${req.acceptsLanguages("en", "fr") === "fr" ? "Salut" : "Hello"}, ${
      typeof req.query["name"] === "string" ? req.query["name"] : "you"
    }`
  )
})

// A write voids what is below `/users`, before its reader is answered.
app.put("/users/:id", express.json(), cache.invalidates("/users"), (req, res) => {
  const { name } = req.body as { readonly name: string }
  users.set(String(req.params["id"]), { name })
  res.json({ name })
})

// Values that are no responses.
app.get("/rate", async (_, res) => {
  const rate = await cache.fetch("rate:eur", async () => {
    await pause(500)
    return Math.random()
  }, { freshFor: "10 seconds", maxAge: "1 minute" })
  res.json({ rate })
})

const port = Number(process.env["PORT"] ?? 3000)
const server = app.listen(port, () => console.log(`http://localhost:${port}/users`))
process.once("SIGINT", () => server.close(() => void caches.close()))
