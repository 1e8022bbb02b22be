/**
 * The body of an answer on its way: read whole where it may be kept, carried on where it is longer than that, and let
 * go where nobody is there to read it.
 *
 * @since 0.1.0
 */
import { type Context, Effect, Stream } from "effect"
import { joined } from "./HttpRecord.ts"

/** A body, whole or on its way. */
export type Body = Uint8Array | Stream.Stream<Uint8Array, unknown>

/** Gives a body whole; where it is longer than the limit, what has been read of it and then the rest. */
export const read = (body: Body, limit: number): Effect.Effect<Body, unknown> =>
  body instanceof Uint8Array ? Effect.succeed(body) : Effect.contextWith((context: Context.Context<never>) => {
    const reader = Stream.toReadableStreamWith(body, context).getReader()
    const chunks: Array<Uint8Array> = []
    let size = 0
    const next = Effect.tryPromise({ try: () => reader.read(), catch: (error) => error })
    const more: Effect.Effect<Body, unknown> = Effect.flatMap(next, ({ done, value }) => {
      if (done) return Effect.succeed(joined(chunks))
      chunks.push(value)
      size += value.length
      return size > limit ? Effect.succeed(continued(chunks, reader)) : more
    })
    return Effect.onInterrupt(more, () => Effect.promise(() => reader.cancel().catch(() => {})))
  })

/** Lets go of a body that nobody is there to read: after one chunk, so that its connection is given back. */
export const discard = (body: Body): Effect.Effect<void> =>
  body instanceof Uint8Array ? Effect.void : Effect.ignore(Effect.timeout(Stream.runHead(body), "1 second"))

// What was read, and then the rest, which is let go when who reads it leaves.
const continued = (
  chunks: ReadonlyArray<Uint8Array>,
  reader: ReadableStreamDefaultReader<Uint8Array>
): Stream.Stream<Uint8Array, unknown> => {
  const rest = new ReadableStream<Uint8Array>({
    pull: (controller) =>
      reader.read().then(({ done, value }) => done ? controller.close() : controller.enqueue(value)),
    cancel: () => reader.cancel()
  })
  return Stream.concat(
    Stream.fromIterable(chunks),
    Stream.fromReadableStream({ evaluate: () => rest, onError: (error) => error })
  )
}
