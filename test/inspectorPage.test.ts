/** The page of the inspector in a real browser, beside a cache whose origin does what the test says. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, Redacted, Schedule } from "effect"
import { Swr } from "effect-swr"
import * as Inspector from "effect-swr/Inspector"
import { spawn } from "node:child_process"
import { createServer, type Server } from "node:http"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { isAbsent, launch } from "./Chromium.ts"
import { serve } from "./Inspected.ts"
import { mainOf } from "./MainJob.ts"

class OriginUnavailable extends Data.TaggedError("OriginUnavailable")<{}> {}

/** An origin that is up, down, or holds every load until it is let go. */
class PriceOrigin {
  health: "up" | "down" | "held" = "up"
  private gate = Deferred.makeUnsafe<void>()

  readonly lookup = (sku: string): Effect.Effect<string, OriginUnavailable> =>
    Effect.suspend(() => {
      if (this.health === "down") return new OriginUnavailable()
      const price = Effect.succeed(`the price of ${sku}`)
      return this.health === "held" ? Effect.andThen(Deferred.await(this.gate), price) : price
    })

  hold() {
    this.health = "held"
    this.gate = Deferred.makeUnsafe()
  }

  readonly letGo = Effect.suspend(() => {
    this.health = "up"
    return Deferred.succeed(this.gate, undefined)
  })
}

describe.skipIf(isAbsent)("I23: the page, in a browser", { timeout: 60_000 }, () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launch()
  }, 60_000)
  afterAll(() => browser?.close())

  /** Opens the page; in the end it must have asked nobody else, and complained of nothing. */
  const visit = (port: number, options: BrowserContextOptions = {}, path = "/inspector") =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
        const page = await context.newPage()
        const complaints: Array<string> = []
        page.on("pageerror", (error) => complaints.push(String(error)))
        page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
        page.on("dialog", (dialog) => {
          complaints.push(`dialog: ${dialog.message()}`)
          return dialog.dismiss()
        })
        page.on("request", (request) => {
          const { protocol, port: asked } = new URL(request.url())
          if (protocol !== "data:" && asked !== String(port)) complaints.push(request.url())
        })
        await page.goto(`http://127.0.0.1:${port}${path}`)
        return { context, page, complaints }
      }),
      ({ context }) => Effect.promise(() => context.close())
    )
  const does = <A>(act: () => Promise<A>) => Effect.promise(act)
  const row = (page: Page, key: string) => page.locator("#space .row", { has: page.getByText(key, { exact: true }) })
  const sees = (page: Page, key: string, text: string) => does(() => row(page, key).getByText(text).waitFor())
  const reads = (page: Page, what: string | RegExp) =>
    does(() => page.locator("#drawer").getByText(what).first().waitFor())

  /** Prices with somebody who reads the first of them all the time. */
  const priced = Effect.gen(function*() {
    const own = new PriceOrigin()
    const served = yield* serve(Inspector.layer({ writable: true }))
    const prices = yield* served.use(Swr.make({
      name: "prices",
      lookup: own.lookup,
      freshFor: "2 seconds",
      maxAge: "4 seconds",
      staleIfError: "1 minute",
      backoff: { from: "2 seconds", to: "2 seconds" }
    }))
    const read = Effect.ignore(prices.get("SKU-1"))
    yield* Effect.forkScoped(Effect.repeat(read, Schedule.spaced("100 millis")))
    yield* prices.get("SKU-2")
    return { ...served, prices, origin: own }
  })

  it.live("I23: an entry goes fresh, stale, fresh again; an outage shows with its reasons", () =>
    Effect.gen(function*() {
      const { origin, port } = yield* priced
      const { complaints, page } = yield* visit(port)
      yield* sees(page, "SKU-1", "fresh")
      origin.hold()
      yield* sees(page, "SKU-1", "stale")
      yield* does(() => row(page, "SKU-1").click())
      yield* reads(page, "A load has been under way for")
      yield* origin.letGo
      yield* sees(page, "SKU-1", "fresh")
      yield* reads(page, "Fresh for another")
      origin.health = "down"
      yield* reads(page, "failed (OriginUnavailable). The next try is allowed in")
      yield* sees(page, "SKU-1", "expired")
      yield* reads(page, "The old value stands in for another")
      yield* reads(page, "the last load failed; found")
      yield* reads(page, "OriginUnavailable; left alone for 2.0 s")
      origin.health = "up"
      yield* sees(page, "SKU-1", "fresh")
      assert.deepStrictEqual(complaints, [])
    }))

  it.live("I23: each button does what it says", () =>
    Effect.gen(function*() {
      const { port, prices } = yield* priced
      const { complaints, page } = yield* visit(port)
      yield* does(() => row(page, "SKU-2").click())
      yield* does(() => page.getByRole("button", { name: "Revalidate" }).click())
      yield* reads(page, "somebody asked for it")
      yield* reads(page, "Fresh for another")
      yield* does(() => page.getByRole("button", { name: "Mark stale" }).click())
      yield* reads(page, "It was marked stale")
      yield* does(() => page.getByRole("button", { name: "Invalidate", exact: true }).click())
      yield* reads(page, "Nothing is kept for this key now")
      assert.isFalse(yield* prices.has("SKU-2"))
      assert.deepStrictEqual(complaints, [])
    }))

  it.live("I23: beside the main job: fresh, stale, fresh again; its outage and the reasons; each button", () =>
    Effect.gen(function*() {
      const main = mainOf("test-inspector")
      main.build()
      const settings = "--skus 20 --rate 60 --duration 50s --outage-start 10s --outage-length 30s".split(" ")
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [main.path, "--json", ...settings])),
        (child) => Effect.sync(() => child.kill("SIGINT"))
      )
      const port = yield* Effect.callback<number>((resume) => {
        let said = ""
        child.stderr.on("data", (text) => {
          said += String(text)
          const address = /inspector +http:\/\/127\.0\.0\.1:(\d+)\/inspector/.exec(said)
          if (address !== null) resume(Effect.succeed(Number(address[1])))
        })
      })
      const { complaints, page } = yield* visit(port)
      const key = yield* does(async () => {
        await page.getByRole("button", { name: /prices\/swr/ }).click()
        await page.selectOption("#order", "reads")
        await page.locator("#space .row", { hasText: "fresh" }).first().click()
        return page.locator("#key").innerText()
      })
      for (const status of ["fresh", "stale", "fresh"]) yield* sees(page, key, status)
      yield* reads(page, "OriginUnavailable; left alone for")
      yield* reads(page, "the last load failed; found stale")
      yield* reads(page, /failed \(OriginUnavailable\)\. The next try is allowed in/)
      for (
        const [button, said] of [
          ["Revalidate", "somebody asked for it"],
          ["Mark stale", "Marked stale"],
          ["Invalidate", "Invalidated"]
        ] as const
      ) {
        yield* does(() => page.getByRole("button", { name: button, exact: true }).click())
        yield* reads(page, said)
      }
      assert.deepStrictEqual(complaints, [])
    }))

  it.live("I23: it is used by keyboard alone", () =>
    Effect.gen(function*() {
      const { port } = yield* priced
      const { complaints, page } = yield* visit(port)
      yield* sees(page, "SKU-2", "fresh")
      yield* does(async () => {
        const press = (key: string) => page.keyboard.press(key)
        await press("/")
        await page.keyboard.type("sku-2")
        await row(page, "SKU-1").waitFor({ state: "hidden" })
        for (let i = 0; i < 10 && !(await page.locator("#scroll:focus").count()); i++) await press("Tab")
        await press("ArrowDown")
        await press("Home")
        await press("Enter")
        await page.locator("#drawer").getByText("SKU-2").first().waitFor()
        await press("Escape")
        await page.locator("#drawer").waitFor({ state: "hidden" })
        assert.isTrue(await page.locator("#scroll:focus").count() === 1, "the focus is back where it was")
      })
      assert.deepStrictEqual(complaints, [])
    }))

  it.live("I23: hostile keys and values neither run nor break the page", () =>
    Effect.gen(function*() {
      const served = yield* serve(Inspector.layer({ writable: true, values: "all" }))
      const script = `<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">`
      const cache = yield* served.use(
        Swr.make({
          name: script,
          lookup: (key: string) => Effect.succeed({ [key.slice(0, 99)]: key }),
          freshFor: "1 hour"
        })
      )
      const keys = [
        script,
        "\"'></span>" + script,
        "\u0000\u0007\u001b[2J\u202e\n",
        "\ud800",
        "x".repeat(10_000_000),
        "",
        "__proto__"
      ]
      for (const key of keys) yield* cache.get(key)
      const { complaints, page } = yield* visit(served.port)
      for (let i = 0; i < keys.length; i++) {
        yield* does(() => page.locator(`#row${i}`).click())
        yield* does(() => page.locator("#value").filter({ hasText: "{" }).waitFor())
        yield* reads(page, "Fresh for another")
      }
      assert.isUndefined(yield* does(() => page.evaluate(() => Reflect.get(window, "hacked"))))
      assert.strictEqual(yield* does(() => page.locator("script").count()), 1)
      assert.strictEqual(yield* does(() => page.locator("img").count()), 0)
      assert.isTrue(yield* does(() => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)))
      assert.deepStrictEqual(complaints, [])
    }))

  it.live("I23: 100,000 entries: only what is in sight is on the page", () =>
    Effect.gen(function*() {
      const served = yield* serve(Inspector.layer({ listen: "watched" }))
      const cache = yield* served.use(
        Swr.make({ name: "many", lookup: (n: number) => Effect.succeed(n), freshFor: "1 hour", capacity: 100_000 })
      )
      for (let n = 0; n < 100_000; n++) yield* cache.set(n, n)
      const { complaints, page } = yield* visit(served.port)
      yield* sees(page, "7", "fresh")
      yield* does(() => page.locator("#scroll").press("End"))
      yield* sees(page, "99999", "fresh")
      assert.isBelow(yield* does(() => page.locator("#space .row").count()), 61)
      yield* does(() => page.locator("#search").fill("54321"))
      yield* sees(page, "54321", "fresh")
      assert.deepStrictEqual(complaints, [])
    }))

  it.live("I23: a page of another origin reads nothing and changes nothing, whatever it tries", () =>
    Effect.gen(function*() {
      const served = yield* serve(Inspector.layer({ writable: true, values: "all" }))
      const cache = yield* served.use(
        Swr.make({ name: "c", lookup: (key: string) => Effect.succeed(`secret ${key}`), freshFor: "1 hour" })
      )
      yield* cache.get("k")
      const { csrf, rows } = yield* served.told("limit=10")
      // The worst case: it knows the token and the row.
      const evil = yield* foreign(`http://127.0.0.1:${served.port}/inspector`, csrf, rows[0]?.id ?? "")
      const context = yield* Effect.acquireRelease(
        does(() => browser.newContext()),
        (context) => does(() => context.close())
      )
      const page = yield* does(() => context.newPage())
      // By both names of this machine: another port is another origin, another name another site.
      for (const host of ["127.0.0.1", "localhost"]) {
        yield* does(() => page.goto(`http://${host}:${evil}/`))
        yield* does(() => page.locator("#done").waitFor({ state: "attached" }))
        assert.deepStrictEqual(yield* does(() => page.evaluate(() => Reflect.get(window, "learned"))), [])
        assert.isTrue(yield* cache.has("k"))
      }
      const framed = page.frames().find((frame) => frame !== page.mainFrame())
      assert.notInclude(yield* does(async () => (await framed?.content()) ?? ""), "inspector</span>")
    }))

  it.live("I23: without its token the page asks for it, and takes it from its address", () =>
    Effect.gen(function*() {
      const served = yield* serve(Inspector.layer({ token: Redacted.make("s3 cret") }))
      yield* served.use(Effect.flatMap(
        Swr.make({ name: "c", lookup: (key: string) => Effect.succeed(key), freshFor: "1 hour" }),
        (cache) => cache.get("a")
      ))
      const asking = yield* visit(served.port)
      yield* does(() => asking.page.locator("#token").fill("s3 cret"))
      yield* does(() => asking.page.locator("#token").press("Enter"))
      yield* sees(asking.page, "a", "fresh")
      const given = yield* visit(served.port, {}, "/inspector#token=s3%20cret")
      yield* sees(given.page, "a", "fresh")
      assert.notInclude(given.page.url(), "cret")
    }))

  it.live("I23: light, dark and phone width: nothing runs out of the page, and it reads well", () =>
    Effect.gen(function*() {
      const { port } = yield* priced
      const phone = { viewport: { width: 390, height: 780 }, hasTouch: true }
      for (
        const options of [{ colorScheme: "light" }, { colorScheme: "dark" }, { colorScheme: "dark", ...phone }] as const
      ) {
        const { complaints, page } = yield* visit(port, options)
        yield* sees(page, "SKU-1", "fresh")
        yield* does(() => row(page, "SKU-2").click())
        yield* reads(page, "Next refresh")
        assert.isTrue(yield* does(() => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)))
        assert.isAtLeast(yield* does(() => page.evaluate(contrast)), 4.5)
        assert.deepStrictEqual(complaints, [])
      }
    }))
})

/** A server with a page that tries what a page of another origin can try. */
const foreign = (target: string, csrf: string, id: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = createServer((_, response) => {
          response.setHeader("content-type", "text/html").end(`<!doctype html>
            <iframe name=sink></iframe><iframe src="${target}"></iframe>
            <form method=post action="${target}/act" enctype="text/plain" target=sink>
              <input name='{"action":"invalidate","id":"${id}","x":"' value='"}'></form>
            <script>
              window.learned = []
              const body = JSON.stringify({ action: "invalidate", id: "${id}" })
              const headers = { "x-effect-swr": "inspector", "x-csrf-token": "${csrf}", "content-type": "application/json" }
              const attempts = [
                fetch("${target}/view"),
                fetch("${target}/view", { headers }),
                fetch("${target}/view", { mode: "no-cors" }),
                fetch("${target}/act", { method: "POST", headers, body }),
                fetch("${target}/act", { method: "POST", mode: "no-cors", body }),
                new Promise((done) => {
                  const script = document.createElement("script")
                  script.src = "${target}/view"
                  script.onload = () => done({ text: () => "a script ran" })
                  script.onerror = () => done({ text: () => "" })
                  document.head.append(script)
                })
              ]
              document.forms[0].submit()
              navigator.sendBeacon("${target}/act", new Blob([body], { type: "text/plain" }))
              Promise.allSettled(attempts.map(async (attempt) => {
                const text = await (await attempt).text()
                if (text !== "") learned.push(text)
              })).then(() => setTimeout(() => {
                const done = document.createElement("i")
                done.id = "done"
                document.body.append(done)
              }, 300))
            </script>`)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close().closeAllConnections())
    ),
    (server) => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : 0
    }
  )

/** The least contrast of text to what is behind it, by WCAG 2; runs in the page. */
const contrast = (): number => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const rgb = (color: string) => {
    canvas?.clearRect(0, 0, 1, 1)
    if (canvas) canvas.fillStyle = color
    canvas?.fillRect(0, 0, 1, 1)
    return Array.from(canvas?.getImageData(0, 0, 1, 1).data ?? [])
  }
  const light = (color: ReadonlyArray<number>) => {
    const [r = 0, g = 0, b = 0] = color.map((part) =>
      (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    )
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = (element: Element | null): ReadonlyArray<number> => {
    if (element === null) return [255, 255, 255]
    const color = rgb(getComputedStyle(element).backgroundColor)
    return color[3] === 255 ? color : ground(element.parentElement)
  }
  const texts = Array.from(document.querySelectorAll("body *")).filter((element) =>
    element.checkVisibility() && element.getBoundingClientRect().width > 1 && !element.matches(":disabled, option") &&
    Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.textContent?.trim())
  )
  return Math.min(...texts.map((element) => {
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  }))
}
