// 5. Permissions: never stale, and no token in any log.
import { Console, Effect, Fiber, Redacted, Schema, Stream } from "effect"
import { Policy, Swr } from "effect-swr"
import { main } from "./main.ts"

class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}) {}

const rolesOf = (token: Redacted.Redacted<string>) =>
  Redacted.value(token) === "t0p-secret" ? Effect.succeed(["admin"]) : Effect.fail(new Unauthorized())

export const program = Effect.gen(function*() {
  // No stale window and no stale-if-error: a `staleIfError` here does not compile.
  const roles = yield* Swr.make({
    name: "roles",
    lookup: rolesOf,
    key: (token) => token, // Redacted: only a hash of it is kept
    policy: Policy.strict("5 seconds")
  })

  const cache = yield* Swr.Cache
  const log = yield* cache.events.pipe(
    Stream.take(4),
    Stream.runForEach((event) => Console.log(`${event._tag} ${event.cache} ${event.key}`)),
    Effect.forkChild({ startImmediately: true })
  )

  const token = Redacted.make("t0p-secret")
  yield* Console.log((yield* roles.get(token)).join())
  yield* roles.get(token)
  yield* Fiber.join(log)
  yield* Console.log((yield* Effect.flip(roles.get(Redacted.make("guess"))))._tag)
}).pipe(Effect.provide(Swr.layer({ secret: Redacted.make("from your vault") })))

main(import.meta.url, program)

// prints
// admin
// Miss roles #f0d59f210d11
// Load roles #f0d59f210d11
// Commit roles #f0d59f210d11
// Hit roles #f0d59f210d11
// Unauthorized
