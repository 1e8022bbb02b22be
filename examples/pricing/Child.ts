/**
 * This program started once more as a child process, and what the two say to each other: lines of JSON.
 *
 * A child ends when its standard input ends, so it never outlives its parent, however that one ended.
 */
import { Console, Effect, Queue, Runtime, Schema, Stdio, Stream } from "effect"
import { CliError } from "effect/cli"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"

/** A child process could not do its work. */
export class ChildFailed extends Schema.TaggedError<ChildFailed>()("ChildFailed", {
  name: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the ${this.name} process ${this.reason}`
  }
  override get [CliError.userMessage]() {
    return this.message
  }
}

/** A child's last words. */
const Failed = Schema.TaggedStruct("Failed", { reason: Schema.String })

const entry = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./main.ts" : "./main.js", import.meta.url))

/** Starts a child, which is stopped with the scope. */
export const start = Effect.fnUntraced(function*<In, InJson, Out, OutJson>(options: {
  /** The subcommand of the child, and its argument. */
  readonly name: string
  readonly argument: string
  /** What it is told. */
  readonly tells: Schema.Codec<In, InJson>
  /** What it says. */
  readonly hears: Schema.Codec<Out, OutJson>
}) {
  const failed = (reason: string) => new ChildFailed({ name: options.name, reason })
  const told = yield* Queue.unbounded<In>()
  const encode = Schema.encodeEffect(Schema.fromJsonString(options.tells))
  const decode = Schema.decodeEffect(Schema.fromJsonString(Schema.Union([Failed, options.hears])))

  const child = yield* ChildProcess.make(process.execPath, [entry, options.name, options.argument], {
    stdin: Stream.fromQueue(told).pipe(
      Stream.mapEffect((message) => Effect.orDie(encode(message))),
      Stream.map((line) => `${line}\n`),
      Stream.encodeText
    ),
    stderr: "inherit",
    forceKillAfter: "2 seconds"
  }).pipe(Effect.mapError((error) => failed(`did not start: ${error.message}`)))

  return {
    pid: child.pid,
    tell: (message: In) => Queue.offer(told, message),
    /** What it says. Ends with it: in failure, if it failed. */
    heard: child.stdout.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.mapEffect((line) => decode(line)),
      Stream.mapError((error) => failed(`said something unexpected: ${error.message}`)),
      Stream.mapEffect((message) =>
        Schema.is(Failed)(message) ? Effect.fail(failed(`failed: ${message.reason}`)) : Effect.succeed(message)
      )
    ),
    /** Never succeeds: fails when the child has ended. */
    ended: child.exitCode.pipe(
      Effect.mapError(() => failed("was killed")),
      Effect.flatMap((code) => Effect.fail(failed(`ended unexpectedly, with exit code ${code}`)))
    )
  }
})

/** In a child: what the parent tells it. Ends with the parent. */
export const told = <In, InJson>(schema: Schema.Codec<In, InJson>) => {
  const decode = Schema.decodeEffect(Schema.fromJsonString(schema))
  return Stream.unwrap(Effect.map(Stdio.Stdio, (stdio) => stdio.stdin)).pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.mapEffect((line) => decode(line))
  )
}

/** In a child: says something to the parent. */
export const sayWith = <Out, OutJson>(schema: Schema.Codec<Out, OutJson>) => {
  const encode = Schema.encodeEffect(Schema.fromJsonString(schema))
  return (message: Out) => Effect.flatMap(Effect.orDie(encode(message)), (line) => Console.log(line))
}

class HasSaidWhy extends Schema.TaggedError<HasSaidWhy>()("HasSaidWhy", {}) {
  override readonly [Runtime.errorReported] = false
}

/** In a child: what goes wrong in its work is told to the parent. */
export const main = <A, E extends Error, R>(work: Effect.Effect<A, E, R>) => {
  const say = sayWith(Failed)
  return work.pipe(
    Effect.catch((error) => Effect.andThen(say({ _tag: "Failed", reason: error.message }), new HasSaidWhy()))
  )
}
