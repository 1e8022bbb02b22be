/**
 * What the tests of the inspector share: a server of its own, and requests as no browser would send them.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { Swr } from "effect-swr"
import * as Inspector from "effect-swr/Inspector"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer, request } from "node:http"

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: string
}

/** Sends exactly these headers, `Host` too, which `fetch` keeps to itself. */
export const send = (port: number, path: string, { body, headers = {}, method = "GET" }: Sent = {}) =>
  Effect.callback<Answered, Error>((resume) => {
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
    const sent = request(
      { host: "127.0.0.1", port, path, method, headers: { connection: "close", ...given } },
      (answer) => {
        const parts: Array<Buffer> = []
        answer.on("data", (part: Buffer) => parts.push(part))
        answer.on("end", () =>
          resume(Effect.succeed({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            text: Buffer.concat(parts).toString()
          })))
      }
    )
    sent.on("error", (error) => resume(Effect.fail(error)))
    sent.end(body)
  })

/** A server with the page, until the scope ends or the test closes it. */
export const serve = (
  page: Layer.Layer<never, Inspector.PublicAddress, HttpRouter.HttpRouter | HttpServer.HttpServer | Swr.Cache> =
    Inspector.layer(),
  host = "127.0.0.1",
  caches: Layer.Layer<Swr.Cache> = Swr.layer()
) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    // Graceful for as long as the default, so that a page that holds a connection would be seen.
    const app = HttpRouter.serve(page, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host })),
      Layer.provideMerge(caches),
      Layer.provide(Logger.layer([]))
    )
    const context = yield* Layer.buildWithScope(app, scope)
    const { address } = Context.get(context, HttpServer.HttpServer)
    const port = "port" in address ? address.port : 0
    const own = { "x-effect-swr": "inspector" }
    const view = (query = "", headers: Sent["headers"] = {}) =>
      send(port, `/inspector/view?${query}`, { headers: { ...own, ...headers } })
    const act = (body: unknown, headers: Sent["headers"] = {}, csrf?: string) =>
      send(port, "/inspector/act", {
        method: "POST",
        headers: {
          ...own,
          "host": `127.0.0.1:${port}`,
          "origin": `http://127.0.0.1:${port}`,
          "content-type": "application/json",
          "x-csrf-token": csrf,
          ...headers
        },
        body: JSON.stringify(body)
      })
    return {
      port,
      view,
      act,
      open: (headers: Sent["headers"] = {}) => send(port, "/inspector", { headers }),
      /** What the page would be told. */
      told: (query = "") => Effect.map(view(query), ({ text }): Told => JSON.parse(text)),
      use: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, context),
      close: Scope.close(scope, Exit.void)
    }
  })

/** As much of an answer as the tests look at. */
export interface Told {
  readonly csrf: string
  readonly total: number
  readonly counts: Readonly<Record<string, number>>
  readonly caches: ReadonlyArray<{ readonly name: string; readonly size: number }>
  readonly cache: { readonly name: string }
  readonly rows: ReadonlyArray<Row>
  readonly opened?: {
    readonly key: string
    readonly loadable: boolean
    readonly row: Row | null
    readonly shape: string | null
    readonly value: string | null
    readonly lines: ReadonlyArray<{ readonly tag: string; readonly count: number; readonly facts: object }>
  }
}

interface Row {
  readonly id: string
  readonly key: string
  readonly status: string
  readonly marked: boolean
  readonly failures: number
  readonly heldFor: number
  readonly tier: string
  readonly reads: { readonly fresh: number; readonly stale: number; readonly waited: number }
  readonly loads: number
  readonly lastError: { readonly name: string } | null
}
