/**
 * What is remembered of the URIs that strangers ask for: how they read, by which fields their answers vary, and which
 * variants there are. All of it is bounded, as strangers choose the words.
 *
 * @since 0.1.0
 */
import * as Headers from "./HttpHeaders.ts"
import * as HttpPolicy from "./HttpPolicy.ts"

/** Where a request goes, read once for all that go there. */
export interface Place {
  readonly host: string | undefined
  readonly target: HttpPolicy.Target
  readonly uri: string
  /** What names a response that varies by nothing. */
  readonly key: string
}

/** The place of a target. */
export const placeOf = (target: HttpPolicy.Target, host?: string): Place => ({
  host,
  target,
  uri: HttpPolicy.url(target),
  // No part of a target has a space in it.
  key: `${target.join(" ")} `
})

// How many URLs are at hand as they were read, and how many texts.
const LATELY = 256

// What is longer is read each time.
const LONG = 512

/** Reads where requests go; nowhere, where what is asked for is no URL. */
export const places = (scheme: string): (request: HttpPolicy.Request) => Place | undefined => {
  const known = new Map<string, Place>()
  return (request) => {
    const host = Headers.text(request.headers, "host")
    const last = known.get(request.url)
    if (last !== undefined && last.host === host) return last
    const target = HttpPolicy.target(request, scheme)
    if (target === undefined) return undefined
    const place = placeOf(target, host)
    if (known.size >= LATELY) known.clear()
    if (request.url.length <= LONG) known.set(request.url, place)
    return place
  }
}

/** Gives the same text for all who keep it: a `Date`, a `Cache-Control` and a route are of many responses. */
export const words = (): (text: string) => string => {
  const texts = new Map<string, string>()
  return (text) => {
    const same = texts.get(text)
    if (same !== undefined || text.length > LONG) return same ?? text
    if (texts.size >= LATELY) texts.clear()
    texts.set(text, text)
    return text
  }
}

/** What is known of a URI: by which fields its answers vary, and which variants there are, the oldest first. */
interface Page<A> {
  readonly fields: ReadonlyArray<string>
  readonly variants: Map<string, A>
}

const none: ReadonlyArray<string> = []

const lengthOf = <A>(uri: string, { variants }: Page<A>): number =>
  Array.from(variants.keys()).reduce((sum, name) => sum + name.length, uri.length)

/** How much is remembered: URIs, letters of all of them and their variants, and variants of each. */
interface Limits {
  readonly pages: number
  readonly letters: number
  readonly variants: number
}

/** The URIs whose answers vary. */
export class Pages<A> {
  private readonly limits: Limits
  private readonly pages = new Map<string, Page<A>>()
  private letters = 0

  constructor(limits: Limits) {
    this.limits = limits
  }

  /** By which fields the answers of a URI vary, as far as is known. */
  fieldsOf(uri: string): ReadonlyArray<string> {
    return (this.pages.size === 0 ? undefined : this.pages.get(uri)?.fields) ?? none
  }

  /** The variants of a URI that are known. */
  variantsOf(uri: string): ReadonlyArray<A> {
    return Array.from(this.pages.get(uri)?.variants.values() ?? [])
  }

  /** Notes a variant; what varies by nothing has none. Gives the oldest of too many, which is to be dropped. */
  note(uri: string, fields: ReadonlyArray<string>, name: string, variant: () => A): A | undefined {
    const known = this.pages.get(uri)
    this.forget(uri)
    if (fields.length === 0) return undefined
    const page: Page<A> = known !== undefined && known.fields.join() === fields.join()
      ? known
      : { fields, variants: new Map() }
    page.variants.delete(name)
    page.variants.set(name, variant())
    const [oldest] = page.variants
    const isOver = oldest !== undefined && page.variants.size > this.limits.variants
    if (isOver) page.variants.delete(oldest[0])
    this.pages.set(uri, page)
    this.letters += lengthOf(uri, page)
    for (const uri of this.pages.keys()) {
      if (this.pages.size <= this.limits.pages && this.letters <= this.limits.letters) break
      this.forget(uri)
    }
    return isOver ? oldest[1] : undefined
  }

  private forget(uri: string): void {
    const page = this.pages.get(uri)
    if (page !== undefined) this.letters -= lengthOf(uri, page)
    this.pages.delete(uri)
  }
}
