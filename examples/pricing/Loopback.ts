/**
 * A Node HTTP server on 127.0.0.1, and nowhere else.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Schema } from "effect"
import { CliError } from "effect/cli"
import { HttpServer } from "effect/http"
import type { Server } from "node:http"

export const host = "127.0.0.1"

/** The port cannot be had. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  port: Schema.Int,
  code: Schema.String
}) {
  override get message() {
    const why: Record<string, string> = { EADDRINUSE: "it is already in use", EACCES: "not allowed" }
    return `cannot listen on ${host}:${this.port}: ${why[this.code] ?? this.code}`
  }
  override get [CliError.userMessage]() {
    return this.message
  }
}

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)

/** Listens on a port, 0 for a free one. */
export const layer = (evaluate: () => Server, port: number) =>
  NodeHttpServer.layer(evaluate, { host, port, gracefulShutdownTimeout: 0 }).pipe(
    Layer.catchTag(
      "ServeError",
      ({ cause }) => Layer.effectContext(Effect.fail(new CannotListen({ port, code: codeOf(cause) })))
    )
  )

/** The port that was taken. */
export const port = Effect.map(HttpServer.HttpServer, ({ address }) => "port" in address ? address.port : 0)
