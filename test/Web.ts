/**
 * Origins, readers and attackers on real sockets.
 */
import { Effect } from "effect"
import * as Http from "node:http"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

/** What an origin was asked, and what it did. */
export interface Log {
  asked: number
  /** Each request as it came: method, target, and its fields line by line. */
  readonly requests: Array<{ readonly line: string; readonly headers: Http.IncomingHttpHeaders; readonly body: string }>
  /** Answers that nobody waited for until their end. */
  left: number
}

export type Handler = (request: Http.IncomingMessage, response: Http.ServerResponse, n: number) => void

// A server that listens on a port has an address that says so.
const urlOf = (server: { readonly address: () => unknown }) =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}`

/** An origin that does what its handler says, once it has all of a request. */
export const origin = (handler: Handler) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Http.Server; readonly log: Log; readonly url: string }>((resume) => {
      const log: Log = { asked: 0, requests: [], left: 0 }
      const server = Http.createServer({ joinDuplicateHeaders: true }, (request, response) => {
        const n = ++log.asked
        let body = ""
        response.once("close", () => response.writableFinished || log.left++)
        request.setEncoding("latin1")
        request.on("data", (chunk: string) => body += chunk)
        request.on("end", () => {
          log.requests.push({ line: `${request.method} ${request.url}`, headers: request.headers, body })
          handler(request, response, n)
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, log, url: urlOf(server) })))
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** An origin that writes what it likes, whatever it was asked. */
export const rawOrigin = (answer: (socket: Socket, asked: Buffer) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
        const sockets = new Set<Socket>()
        const server = createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => {}).once("data", (asked) => answer(socket, asked))
        })
        const close = () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ url: urlOf(server), close })))
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ url }) => url
  )

/** An answer as a reader sees it. */
export interface Got {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  /** What `X-Cache` says. */
  readonly found: string | undefined
  readonly text: string
  /** Milliseconds. */
  readonly took: number
}

/** One request, on a connection of its own unless an agent is given. */
export const get = (url: string, headers: Http.OutgoingHttpHeaders = {}, more: Http.RequestOptions = {}, body = "") =>
  Effect.callback<Got, Error>((resume) => {
    const began = performance.now()
    // Without a length some methods would send their bodies without a frame.
    const framed = body === "" ? headers : { "content-length": body.length, ...headers }
    const request = Http.request(url, { agent: false, headers: framed, ...more }, (response) => {
      let text = ""
      response.setEncoding("latin1")
      response.on("data", (chunk: string) => text += chunk)
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () => {
        const { headers, statusCode: status = 0 } = response
        const found = typeof headers["x-cache"] === "string" ? headers["x-cache"] : undefined
        resume(Effect.succeed({ status, headers, found, text, took: performance.now() - began }))
      })
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end(body)
    return Effect.sync(() => request.destroy())
  })

export const send = (method: string, url: string, body = "", headers: Http.OutgoingHttpHeaders = {}) =>
  get(url, headers, { method }, body)

/** Waits, in real time, for what will be so. */
export const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => isSo() ? Effect.void : Effect.andThen(Effect.sleep(10), until(isSo)))

/** As many at once. */
export const many = (count: number, url: string) =>
  Effect.all(Array.from({ length: count }, () => get(url)), { concurrency: "unbounded" })

/** Writes bytes to a server's socket, and reads until it is closed. */
export const say = (url: string, bytes: string) =>
  Effect.callback<string, Error>((resume) => {
    let text = ""
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(bytes, "latin1"))
    socket.setEncoding("latin1")
    socket.setTimeout(5000, () => socket.destroy())
    socket.on("data", (chunk: string) => {
      text += chunk
      // What comes in two writes comes in two chunks: the end is when nothing more has come for a while.
      socket.setTimeout(400)
    })
    socket.on("error", (error) => text === "" ? resume(Effect.fail(error)) : undefined)
    socket.on("close", () => resume(Effect.succeed(text)))
    return Effect.sync(() => socket.destroy())
  })

/** The statuses in what was read of a socket. */
export const statuses = (text: string): ReadonlyArray<number> =>
  Array.from(text.matchAll(/^HTTP\/1\.1 (\d+)/gm), ([, status]) => Number(status))
