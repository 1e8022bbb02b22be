/** The cache of `examples/express` with the real framework. */
import { assert, describe, it } from "@effect/vitest"
import * as SwrPromise from "effect-swr/SwrPromise"
import express, { type NextFunction, type Request, type Response } from "express"
import { readFile } from "node:fs/promises"
import { Agent } from "node:http"
import type { AddressInfo } from "node:net"
import { pipeline, Readable } from "node:stream"
import { createCache } from "../examples/express/Cache.ts"
import {
  ask,
  behaves,
  crossed,
  forwarded,
  gate,
  type Handler,
  numbered,
  type Options,
  type Site,
  swr,
  until,
  visit
} from "./Website.ts"

const answering = (handler: Handler) => async ({ headers, originalUrl, params }: Request, res: Response) => {
  const { body = "", headers: fields = {}, status = 200 } = await handler({ url: originalUrl, headers, params })
  for (const [name, value] of Object.entries(fields)) res.setHeader(name, value)
  res.status(status)
  if (body instanceof Readable) pipeline(body, res, () => {})
  else res.end(body)
}

/** A site whose `app` may be built by hand. */
const open = (options: Options): Site & { readonly app: express.Express } & ReturnType<typeof createCache> => {
  const app = express()
  app.set("env", "test")
  app.enable("strict routing")
  app.enable("case sensitive routing")
  const { caches, ...rest } = options
  const cache = createCache({ ...rest, ...caches !== undefined && { caches } })
  let close = () => Promise.resolve()
  return {
    ...cache,
    app,
    cache,
    on: (method, path, handler, route) => {
      const chain = [...route === undefined ? [] : [cache.route(route)], answering(handler)]
      if (method === "GET") app.get(path, ...chain)
      else if (method === "POST") app.post(path, ...chain)
      else app.options(path, ...chain)
    },
    voids: (path, handler, ...patterns) => void app.post(path, cache.invalidates(...patterns), answering(handler)),
    around: (route) => void app.use(cache.route(route)),
    listen: () =>
      new Promise((resolve) => {
        const server = app.listen(0, "127.0.0.1", () => {
          close = () =>
            new Promise((resolve) => {
              server.close(() => resolve())
              server.closeAllConnections()
            })
          // A server that listens on a port has an address that says so.
          resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
        })
      }),
    close: () => close()
  }
}

behaves("Express", open)

/** A site built by hand. */
const built = async (
  build: (app: express.Express, cache: ReturnType<typeof createCache>) => void,
  options: Options = {}
) => {
  const fetches: Array<ReturnType<typeof createCache>> = []
  const site = await visit(
    (options) => {
      const site = open(options)
      fetches.push(site)
      build(site.app, site)
      return site
    },
    options,
    () => {}
  )
  const [cache] = fetches
  assert.isDefined(cache)
  return { ...site, ...cache }
}

describe("Express: what handlers do", () => {
  it("W-EX-1: json, send, writeHead, a pipe, several handlers, parameters, query, locals", async () => {
    const { get } = await built((app, cache) => {
      const router = express.Router({ mergeParams: true })
      router.get(
        "/posts/:post",
        cache.route(swr),
        (_, res, next) => {
          res.locals["seen"] = true
          next()
        },
        (req, res) => {
          const { baseUrl, hostname, params, path, query } = req
          res.json({ baseUrl, hostname, params, path, query, seen: res.locals["seen"], ip: req.ip === undefined })
        }
      )
      app.use("/users/:user", router)
      app.get("/head", cache.route(swr), (_, res) => {
        res.writeHead(201, { "x-one": "1" })
        res.write("a")
        res.end("b")
      })
      app.get("/pairs", cache.route(swr), (_, res) => {
        res.writeHead(200, "Fine", ["x-one", "1", "x-two", "2"]).end()
      })
      app.get("/pipe", cache.route(swr), (_, res) => Readable.from(["a", "b"]).pipe(res.type("text")))
      app.get("/later", cache.route(swr), (_, res) => {
        setImmediate(() => setTimeout(() => res.send("later"), 5))
      })
      const mounted = express()
      mounted.get("/deep", cache.route(swr), (_, res) => void res.send("deep"))
      app.use("/sub", mounted)
    })
    for (const found of ["MISS", "HIT"]) {
      const answer = await get("/users/1/posts/2?a=b")
      assert.strictEqual(answer.found, found)
      assert.deepStrictEqual(JSON.parse(answer.text), {
        baseUrl: "/users/1",
        hostname: "127.0.0.1",
        params: { user: "1", post: "2" },
        path: "/posts/2",
        query: { a: "b" },
        seen: true,
        ip: true
      })
      assert.containsSubset(await get("/head"), { found, status: 201, text: "ab", headers: { "x-one": "1" } })
      assert.containsSubset(await get("/pairs"), { found, headers: { "x-one": "1", "x-two": "2" } })
      assert.containsSubset(await get("/pipe"), { found, text: "ab" })
      assert.containsSubset(await get("/later"), { found, text: "later" })
      assert.containsSubset(await get("/sub/deep"), { found, text: "deep" })
    }
  })

  it("W-EX-4: what a handler throws goes to the error handlers of each who waits", async () => {
    const hanging = gate()
    const { count, handler } = numbered({}, async () => {
      await hanging.opened
      throw new Error("sick")
    })
    const { many, stats } = await built((app, cache) => {
      app.get("/a", cache.route(swr), answering(handler))
      app.use((error: Error, _: Request, res: Response, __: NextFunction) => void res.status(500).send(error.message))
    })
    const asking = many(20, "/a")
    await until(() => count.runs === 1 && stats().joined === 19)
    hanging.open()
    assert.isTrue((await asking).every(({ status, text }) => status === 500 && text === "sick"))
    assert.strictEqual(count.runs, 1)
  })

  it("R10: an error that says 404 is an answer: nothing old stands in for it, and error handlers are told", async () => {
    let runs = 0
    const { get, pass, see } = await built((app, cache) => {
      app.get("/a", cache.route(swr), (_, res) => {
        if (++runs > 1) throw Object.assign(new Error("no such page"), { status: 404 })
        res.send("v1")
      })
      app.use((error: Error, _: Request, res: Response, __: NextFunction) => void res.status(404).send(error.message))
    })
    assert.deepStrictEqual(await see("/a"), ["MISS", "v1"])
    await pass("15 seconds")
    assert.deepStrictEqual(await see("/a"), ["STALE", "v1"])
    await until(() => runs === 2)
    assert.containsSubset(await get("/a"), { status: 404, text: "no such page" })
  })

  it("W-EX-1: a handler that breaks off is a failure, and a reader that leaves a long body ends it", async () => {
    let left = 0
    const { get, url } = await built((app, cache) => {
      app.get("/broken", cache.route(swr), (_, res) => {
        res.write("a")
        res.destroy()
      })
      app.get("/endless", cache.route(swr), (_, res) => {
        const timer = setInterval(() => res.write(Buffer.alloc(4096)), 1)
        res.on("close", () => {
          left++
          clearInterval(timer)
        })
      })
    }, { maxBody: 8192 })
    assert.strictEqual((await get("/broken")).status, 500)
    const response = await fetch(`${url}/endless`)
    await response.body?.cancel()
    await until(() => left === 1)
  })

  it("W-EX-1: a file, one that is missing, a view that fails, trailers: as without a cache", async () => {
    const { get, see } = await built((app, cache) => {
      app.engine("html", (_, __, done) => done(new Error("no engine")))
      app.get("/file/:name", cache.route(swr), ({ path }, res) => {
        res.sendFile(path.slice("/file/".length), { root: import.meta.dirname, cacheControl: false })
      })
      app.get("/view", cache.route(swr), (_, res) => res.render("express.test.html", { settings: {} }))
      app.get("/trailers", cache.route(swr), (_, res) => {
        res.setHeader("trailer", "x-sum")
        res.write("a")
        res.addTrailers({ "x-sum": "1" })
        res.end("b")
      })
      app.use((error: Error & { readonly status?: number }, _: Request, res: Response, __: NextFunction) =>
        void res.status(error.status ?? 500).send("told")
      )
    })
    const file = await readFile(import.meta.filename, "utf8")
    for (const found of ["MISS", "HIT"]) {
      assert.deepStrictEqual(await see("/file/express.test.ts"), [found, file])
      assert.containsSubset(await get("/file/none.ts"), { status: 404, text: "told" })
      assert.containsSubset(await get("/view"), { status: 500, text: "told" })
      assert.deepStrictEqual(await see("/trailers"), [found, "ab"])
    }
  })

  it("W-EX-9: what reads cookies finds none behind its own route too, and may sign one", async () => {
    const { get } = await built((app, cache) => {
      // As `cookie-parser` does.
      app.use((req, _, next) => {
        Object.assign(req, { secret: "s", cookies: { user: req.headers.cookie }, signedCookies: {} })
        next()
      })
      app.get("/a", cache.route(swr), ({ cookies, signedCookies }, res) => {
        res.cookie("b", "1", { signed: true }).json([Object.keys(cookies), Object.keys(signedCookies)])
      })
    }, { ignoreCookies: true })
    const { headers, text } = await get("/a", { cookie: "user=ada" })
    assert.deepStrictEqual([text, String(headers["set-cookie"]).slice(0, 7)], ["[[],[]]", "b=s%3A1"])
  })

  it("EX-15 differs: a route of a RegExp, or of several paths, is voided by the paths it was asked by", async () => {
    const { cache, see } = await built((app, cache) => {
      app.get([/^\/user-(\d+)$/, "/one", "/two"], cache.route(swr), ({ path }, res) => void res.send(path))
    })
    const found = async () => {
      const answers: Array<unknown> = []
      for (const path of ["/user-1", "/user-2", "/one", "/two"]) answers.push((await see(path))[0])
      return answers
    }
    await found()
    await cache.invalidateRoute("/user-1", "/two")
    assert.deepStrictEqual(await found(), ["MISS", "HIT", "HIT", "MISS"])
  })

  it("a length announced wrong does not spoil what comes next on the connection", async () => {
    const { url } = await built((app, cache) => {
      app.get("/a/:length", cache.route(swr), ({ params }, res) => {
        res.setHeader("content-length", params["length"] ?? "")
        res.write("01234")
        res.end("56789")
      })
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (const length of [3, 20, 10]) {
      for (let i = 0; i < 2; i++) {
        assert.containsSubset(await ask(`${url}/a/${length}`, { agent }), { status: 200, text: "0123456789" })
      }
    }
    agent.destroy()
  })

  it("EX-10: a handler that leaves its route leaves it for its reader", async () => {
    const { see } = await built((app, cache) => {
      app.get("/a", cache.route(swr), (_, __, next) => next())
      app.get("/b", cache.route(swr), (_, __, next) => next("route"))
      app.get(["/a", "/b"], ({ headers }, res) => void res.send(headers["x-user"]))
    })
    for (const path of ["/a", "/b"]) assert.strictEqual((await see(path, { "x-user": "ada" }))[1], "ada")
  })

  it("EX-11, EX-22: a handler of an unsafe method may answer at once", async () => {
    const { see, url } = await built((app, cache) => {
      app.use(cache.route(swr))
      app.get("/a", (_, res) => void res.send("got"))
      app.post("/a", (_, res) => void res.send("posted"))
    })
    await see("/a")
    assert.containsSubset(await ask(`${url}/a`, { method: "POST" }), { status: 200, text: "posted" })
    assert.deepStrictEqual(await see("/a"), ["MISS", "got"])
  })

  it("EX-30: a cache around all routes of an app that is mounted runs from the root; others' handlers are passed over", async () => {
    const { see, url } = await built((app, cache) => {
      const inner = express()
      inner.use(cache.route(swr))
      inner.get("/a", ({ originalUrl }, res) => void res.send(originalUrl))
      app.use("/sub", inner)
      app.route("/b")
        .all(cache.route(swr))
        .post((_, res) => void res.send("posted"))
        .get((_, __, next) => next())
        .get((_: unknown, __: Request, res: Response, ___: NextFunction) => void res.send("an error"))
        .get((_, res) => void res.send("got"))
    })
    for (const found of ["MISS", "HIT"]) {
      assert.deepStrictEqual(await see("/sub/a?b=1"), [found, "/sub/a?b=1"])
      assert.deepStrictEqual(await see("/b"), [found, "got"])
    }
    assert.strictEqual((await ask(`${url}/b`, { method: "POST" })).text, "posted")
    assert.deepStrictEqual(await see("/b"), ["MISS", "got"])
  })

  it("EX-14: behind a proxy that is trusted, scheme and host are those that the reader asked by", async () => {
    const { see } = await built((app, cache) => {
      app.set("trust proxy", true)
      app.get(
        "/a",
        cache.route(swr),
        ({ host, originalUrl, protocol }, res) => void res.send(`${protocol}://${host}${originalUrl}`)
      )
    })
    assert.deepStrictEqual(await forwarded.ask(see), forwarded.seen)
  })

  it("RFC 9110 12.5.5: what was said before the cache stays: CORS of each reader, and its Vary", async () => {
    const { get } = await built((app, cache) => {
      app.use(({ headers: { origin = "" } }, res, next) => {
        res.vary("Origin")
        res.set("access-control-allow-origin", origin)
        next()
      })
      app.get("/a", cache.route({ ...swr, vary: ["accept-language"] }), (_, res) => void res.send("a"))
    })
    assert.deepStrictEqual(await crossed.ask(get), crossed.seen)
  })

  it("events that a server sends come as they are sent", async () => {
    const { get } = await built((app, cache) => {
      app.get("/events", cache.route(swr), (_, res) => {
        res.type("text/event-stream").flushHeaders()
        setTimeout(() => res.end("data: 1\n\n"), 5)
      })
    })
    for (let i = 0; i < 2; i++) assert.containsSubset(await get("/events"), { found: "MISS", text: "data: 1\n\n" })
  })
})

describe("Express: cache.fetch", () => {
  it("EX-31, EX-33, EX-34, W-EX-8: one load for 50, null is a value, an old value while it fails", async () => {
    let runs = 0
    let isSick = false
    const load = () =>
      isSick ? Promise.reject(new Error(`sick ${++runs}`)) : Promise.resolve(++runs === 1 ? null : runs)
    const { fetch, pass } = await built(() => {})
    const get = () => fetch("custom", load, { freshFor: "10 seconds", maxAge: "20 seconds" })
    const all = () => Promise.all(Array.from({ length: 50 }, get)).then((values) => [...new Set(values)])
    assert.deepStrictEqual(await all(), [null])
    assert.strictEqual(runs, 1)
    await pass("10 seconds")
    assert.deepStrictEqual(await all(), [null])
    await until(() => runs === 2)
    assert.deepStrictEqual(await all(), [2])
    isSick = true
    await pass("10 seconds")
    assert.deepStrictEqual(await all(), [2])
    await pass("20 seconds")
    assert.match(String(await get().catch((error: unknown) => error)), /sick/)
  })

  it("W-EX-12, W-EX-14: it has a key space of its own, and can be voided; two caches are apart", async () => {
    const caches = SwrPromise.make()
    const { cache, fetch, forget, get, see } = await built((app, cache) => {
      const second = createCache({ caches, name: "other" })
      app.get("/custom", cache.route(swr), (_, res) => void res.send("route"))
      app.get("/second", second.route(swr), (_, res) => void res.send("second"))
    }, { caches })
    await get("/custom")
    const windows = { freshFor: "1 minute" } as const
    assert.strictEqual(await fetch("/custom", () => "value", windows), "value")
    assert.strictEqual(await fetch("/custom", () => "other", windows), "value")
    await forget("/custom")
    assert.strictEqual(await fetch("/custom", () => "new", windows), "new")
    assert.match(String((await get("/second")).headers["cache-status"]), /^other;/)
    assert.strictEqual((await see("/custom"))[0], "HIT")
    await cache.invalidateRoute("/")
    assert.deepStrictEqual([await see("/custom"), await see("/second")], [["MISS", "route"], ["HIT", "second"]])
    assert.strictEqual(await fetch("/custom", () => "newer", windows), "new")
    await caches.close()
  })
})

it("R2: Express: a route that can't be meant is refused where it is written", () => {
  assert.throws(() => createCache().route({ freshFor: "1 millis" }), "freshFor: got")
})
