// 7. Conditional requests: an unchanged page is confirmed, not sent again.
import { Console, Effect, Option, Schema } from "effect"
import { Swr } from "effect-swr"
import { main } from "./main.ts"

const Page = Schema.Struct({ etag: Schema.String, body: Schema.String })

// An origin as HTTP knows it: it answers nothing where the caller has the present version (304).
const request = Effect.fnUntraced(function*(path: string, ifNoneMatch: Option.Option<string>) {
  const page = { etag: "v1", body: `the page at ${path}` }
  const known = Option.contains(ifNoneMatch, page.etag)
  yield* Console.log(known ? "  (304, no body)" : "  (200)")
  return known ? Option.none() : Option.some(page)
})
