/** The cache of `examples/fastify` with the real framework. */
import { assert, describe, it } from "@effect/vitest"
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify"
import { createCache } from "../examples/fastify/Cache.ts"
import {
  ask,
  behaves,
  crossed,
  forwarded,
  type Handler,
  type Options,
  type Site,
  swr,
  until,
  visit
} from "./Website.ts"

const answering =
  (handler: Handler) => async ({ headers, originalUrl, params }: FastifyRequest, reply: FastifyReply) => {
    const told = await handler({ url: originalUrl, headers, params: params as Record<string, unknown> })
    const { body = "", headers: fields = {}, status = 200 } = told
    for (const [name, value] of Object.entries(fields)) reply.header(name, value)
    return reply.code(status).send(body)
  }

const open = (
  options: Options,
  settings: { readonly trustProxy?: boolean } = {}
): Site & { readonly app: FastifyInstance } & ReturnType<typeof createCache> => {
  const app = fastify({ forceCloseConnections: true, ...settings })
  const { caches, ...rest } = options
  const cache = createCache({ ...rest, ...caches !== undefined && { caches } })
  return {
    ...cache,
    app,
    cache,
    on: (method, path, handler, route) =>
      void app.route({
        method,
        url: path.replace(/\/\*\w+$/, "/*"),
        ...route !== undefined && { onRequest: cache.route(route) },
        handler: answering(handler)
      }),
    voids: (path, handler, ...patterns) =>
      void app.post(path, { onRequest: cache.invalidates(...patterns) }, answering(handler)),
    around: (route) => void app.addHook("onRequest", cache.route(route)),
    listen: () => app.listen({ port: 0, host: "127.0.0.1" }),
    close: () => app.close()
  }
}

behaves("Fastify", (options) => open(options))

describe("Fastify: its own", () => {
  it("W-EX-1: values, errors, encapsulated plugins, a parameter", async () => {
    const { get } = await visit(
      (options) => {
        const site = open(options)
        site.app.get("/json", { onRequest: site.route(swr) }, () => Promise.resolve({ a: 1 }))
        site.app.get("/broken", { onRequest: site.route(swr) }, () => Promise.reject(new Error("sick")))
        site.app.register((app, _, done) => {
          app.decorateReply("greeting", "hello")
          app.get<{ Params: { name: string } }>(
            "/:name",
            { onRequest: site.route(swr) },
            ({ params }) => Promise.resolve(`hello ${params.name}`)
          )
          done()
        }, { prefix: "/in" })
        return site
      },
      {},
      () => {}
    )
    for (const found of ["MISS", "HIT"]) {
      assert.containsSubset(await get("/json"), {
        found,
        text: `{"a":1}`,
        headers: { "content-type": "application/json; charset=utf-8" }
      })
      assert.containsSubset(await get("/in/ada"), { found, text: "hello ada" })
      assert.containsSubset(await get("/broken"), { found: "MISS", status: 500 })
    }
  })

  it("EX-11, EX-22: a handler of an unsafe method may answer at once", async () => {
    const { see, url } = await visit(
      (options) => {
        const site = open(options)
        site.app.addHook("onRequest", site.route(swr))
        site.app.get("/a", (_, reply) => void reply.send("got"))
        site.app.post("/a", (_, reply) => void reply.send("posted"))
        return site
      },
      {},
      () => {}
    )
    await see("/a")
    assert.containsSubset(await ask(`${url}/a`, { method: "POST" }), { status: 200, text: "posted" })
    assert.deepStrictEqual(await see("/a"), ["MISS", "got"])
  })

  it("section 2: a handler is told of no client of the injection's, and what has no type is given none", async () => {
    const { get } = await visit(
      (options) => {
        const site = open(options)
        site.app.get("/who", { onRequest: site.route(swr) }, ({ headers }) => Promise.resolve(Object.keys(headers)))
        site.app.get("/raw", { onRequest: site.route(swr) }, (_, reply) => {
          reply.hijack()
          reply.raw.end("raw")
        })
        return site
      },
      {},
      () => {}
    )
    for (const found of ["MISS", "HIT"]) {
      assert.containsSubset(await get("/who", { "user-agent": "curl" }), { found, text: `["host"]` })
      const { headers, text } = await get("/raw")
      assert.deepStrictEqual(
        [text, headers["x-cache"], headers["content-type"], headers["content-length"]],
        ["raw", found, undefined, "3"]
      )
    }
  })

  it("W-EX-1: hooks of `onSend` run for what is kept, and again for each reader: told apart by `x-cache`", async () => {
    const { see } = await visit(
      (options) => {
        const site = open(options)
        site.app.addHook("onSend", (_, reply, payload, done) => {
          done(null, reply.hasHeader("x-cache") || typeof payload !== "string" ? payload : `<${payload}>`)
        })
        site.app.get("/a", { onRequest: site.route(swr) }, () => Promise.resolve("a"))
        return site
      },
      {},
      () => {}
    )
    for (const found of ["MISS", "HIT"]) assert.deepStrictEqual(await see("/a"), [found, "<a>"])
  })

  it("EX-14: behind a proxy that is trusted, scheme and host are those that the reader asked by", async () => {
    const { see } = await visit(
      (options) => {
        const site = open(options, { trustProxy: true })
        site.app.get(
          "/a",
          { onRequest: site.route(swr) },
          ({ host, originalUrl, protocol }) => Promise.resolve(`${protocol}://${host}${originalUrl}`)
        )
        return site
      },
      {},
      () => {}
    )
    assert.deepStrictEqual(await forwarded.ask(see), forwarded.seen)
  })

  it("RFC 9110 12.5.5: what was said before the cache stays: CORS of each reader, and its Vary", async () => {
    const { get } = await visit(
      (options) => {
        const site = open(options)
        site.app.addHook("onRequest", ({ headers: { origin } }, reply, done) => {
          if (origin !== undefined) void reply.headers({ vary: "Origin", "access-control-allow-origin": origin })
          done()
        })
        site.app.get("/a", { onRequest: site.route({ ...swr, vary: ["accept-language"] }) }, () => Promise.resolve("a"))
        return site
      },
      {},
      () => {}
    )
    assert.deepStrictEqual(await crossed.ask(get), crossed.seen)
  })

  it("section 2: a URL that injecting would tidy up goes past the cache; the mark of a run is nobody's to set", async () => {
    const seen: Array<unknown> = []
    const { see, url } = await visit(
      (options) => open(options),
      {},
      (site) =>
        site.on("GET", "/*rest", ({ headers, url }) => {
          seen.push(headers["x-effect-swr-run"])
          return { body: url }
        }, swr)
    )
    for (let i = 0; i < 2; i++) {
      // As it is: made of a URL, it would be tidied up here already.
      assert.containsSubset(await ask(url, { path: "/a/../b" }), { found: undefined, text: "/a/../b" })
    }
    assert.deepStrictEqual(await see("/b", { "x-effect-swr-run": "1" }), ["MISS", "/b"])
    assert.isUndefined(seen.at(-1))
    await until(() => seen.length === 3)
  })
})

it("R2: Fastify: a route that can't be meant is refused where it is written", () => {
  assert.throws(() => createCache().route({ freshFor: "1 millis" }), "freshFor: got")
})
