// 7. Conditional requests: what did not change is confirmed, and not sent again.
import { Console, Effect, Option, Ref, Schema } from "effect"
import { Swr } from "effect-swr"
import { main } from "./main.ts"

const Page = Schema.Struct({ etag: Schema.String, body: Schema.String })

export const program = Effect.gen(function*() {
  // An origin that speaks HTTP.
  const page = yield* Ref.make({ etag: "v1", body: "hello" })
  const fetch = (_path: string) => Ref.get(page).pipe(Effect.tap(() => Console.log("  (200)")))
  const fetchUnless = Effect.fnUntraced(function*(path: string, etag: string) {
    if ((yield* Ref.get(page)).etag !== etag) return Option.some(yield* fetch(path))
    yield* Console.log("  (304)")
    return Option.none()
  })

  const pages = yield* Swr.make({
    name: "pages",
    lookup: (path: string, previous) =>
      Option.match(previous, {
        onNone: () => fetch(path),
        onSome: ({ value }) => Effect.map(fetchUnless(path, value.etag), Option.getOrElse(() => value))
      }),
    schema: Page,
    freshFor: "1 minute"
  })

  yield* Console.log((yield* pages.get("/")).body)
  yield* Console.log((yield* pages.revalidate("/")).value.body)
  yield* Ref.set(page, { etag: "v2", body: "hello, world" })
  yield* Console.log((yield* pages.revalidate("/")).value.body)
}).pipe(Effect.provide(Swr.layer()))

main(import.meta.url, program)

// prints
//   (200)
// hello
//   (304)
// hello
//   (200)
// hello, world
