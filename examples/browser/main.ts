/**
 * A small product list in a browser: old prices at once, then fresh ones, and again when somebody looks at the window.
 *
 * `npx vite examples/browser`
 */
import { Duration, Effect, Option, Schedule, type Scope, Stream } from "effect"
import { Swr } from "effect-swr"
import * as Triggers from "effect-swr/Triggers"

interface Product {
  readonly name: string
  readonly cents: number
}

const shelves: Readonly<Record<string, ReadonlyArray<string>>> = {
  fruit: ["apple", "pear", "plum"],
  tools: ["hammer", "pliers", "saw"]
}

const load = (sku: string) =>
  Effect.tryPromise(async (signal): Promise<Product> => {
    const response = await fetch(`/api/prices/${sku}`, { signal })
    if (!response.ok) throw new Error(`the shop says ${response.status}`)
    // The shop's own answer.
    return await response.json() as Product
  })

const options = {
  name: "prices",
  lookup: load,
  freshFor: "3 seconds",
  maxAge: "1 hour",
  staleIfError: "1 day"
} as const

type Prices = Swr.Instance<string, Product, unknown>
type Shown = Option.Option<Swr.Snapshot<Product>>

// ----- what is remembered when the page is loaded again

interface Kept {
  readonly product: Product
  readonly bornAt: number
}

const remember = (sku: string, { age, value }: Swr.Snapshot<Product>) => {
  const kept: Kept = { product: value, bornAt: Date.now() - Duration.toMillis(age) }
  localStorage.setItem(`price:${sku}`, JSON.stringify(kept))
}

/** With the age it has by now, so it is as stale as it is. */
const recall = (prices: Prices, sku: string) => {
  const text = localStorage.getItem(`price:${sku}`)
  if (text === null) return Effect.void
  // What `remember` has written.
  const { bornAt, product } = JSON.parse(text) as Kept
  return Effect.ignore(prices.set(sku, product, { age: Math.max(0, Date.now() - bornAt) }))
}

// ----- what is seen

const element = (selector: string): Element => {
  const found = document.querySelector(selector)
  if (found === null) throw new Error(`the page has no ${selector}`)
  return found
}

const rowOf = (sku: string) => {
  const row = document.createElement("li")
  const cells = ["name", "price", "state"].map((name) => {
    const cell = document.createElement("span")
    cell.className = name
    return cell
  })
  row.dataset["sku"] = sku
  row.append(...cells)
  const draw = (shown: Shown) => {
    const texts = Option.match(shown, {
      onNone: () => [sku, "…", "loading"],
      onSome: ({ age, reason, status, value }) => [
        value.name,
        (value.cents / 100).toFixed(2),
        `${status}, ${Math.floor(Duration.toMillis(age) / 1000)} s old${
          Option.isSome(reason) && reason.value === "error" ? ": no answer" : ""
        }`
      ]
    })
    row.dataset["status"] = Option.match(shown, { onNone: () => "loading", onSome: ({ status }) => status })
    cells.forEach((cell, i) => {
      cell.textContent = texts[i] ?? ""
    })
  }
  return { row, draw }
}

/** A product is in use while its row is shown. */
const show = (prices: Prices, sku: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { draw, row } = rowOf(sku)
    element("ul").append(row)
    const drawn = Stream.runForEach(prices.changes(sku), (shown) =>
      Effect.sync(() => {
        draw(shown)
        if (Option.isSome(shown)) remember(sku, shown.value)
      }))
    yield* Effect.forkScoped(drawn)
    // Reading makes the refresh; an old price is there already.
    yield* Effect.forkScoped(Effect.ignore(prices.get(sku)))
    // Time alone changes nothing but the words.
    const words = Effect.flatMap(prices.peek(sku), (shown) => Effect.sync(() => draw(shown)))
    yield* Effect.forkScoped(Effect.repeat(words, Schedule.spaced("250 millis")))
  })

const buttons = Object.keys(shelves).map((shelf) => {
  const button = document.createElement("button")
  button.textContent = shelf
  return button
})

const open = (prices: Prices, shelf: string) =>
  Effect.gen(function*() {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === shelf))
    element("ul").replaceChildren()
    yield* Effect.forEach(shelves[shelf] ?? [], (sku) => show(prices, sku))
    return yield* Effect.never
  })

const program = Effect.gen(function*() {
  const prices = yield* Swr.make(options)
  yield* Effect.forEach(Object.values(shelves).flat(), (sku) => recall(prices, sku))
  yield* Triggers.revalidateOn(prices, Triggers.focus())
  yield* Triggers.revalidateOn(prices, Triggers.reconnect)
  element("nav").append(...buttons)
  const clicks = Stream.fromEventListener<Event>(element("nav"), "click").pipe(
    Stream.map(({ target }) => target instanceof HTMLButtonElement ? target.textContent ?? "" : ""),
    Stream.filter((shelf) => shelf in shelves)
  )
  yield* Stream.concat(Stream.make("fruit"), clicks).pipe(
    Stream.switchMap((shelf) => Stream.fromEffect(Effect.scoped(open(prices, shelf)))),
    Stream.runDrain
  )
})

Effect.runFork(Effect.scoped(Effect.provide(program, Swr.layer())))
