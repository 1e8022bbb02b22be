/** The page of examples/browser, built by Vite, in a real browser: what is old is seen at once, what is fresh after it. */
import { assert, describe, it } from "@effect/vitest"
import type { Browser, Page, Route } from "playwright-core"
import { build, preview, type PreviewServer } from "vite"
import { afterAll, beforeAll } from "vitest"
import { isAbsent, launch } from "./Chromium.ts"

const configFile = "examples/browser/vite.config.ts"

/** A shop whose answers the test gives. */
class Shop {
  readonly asked: Array<Route> = []

  readonly skus = () => this.asked.map((route) => new URL(route.request().url()).pathname.split("/").at(-1))

  /** All that were asked are answered with this price. */
  async answer(cents: number): Promise<void> {
    const routes = this.asked.splice(0)
    for (const route of routes) await route.fulfill({ json: { name: "Product", cents } })
  }
}

describe.skipIf(isAbsent)("examples/browser", { timeout: 60_000 }, () => {
  let browser: Browser
  let server: PreviewServer
  beforeAll(async () => {
    await build({ configFile, logLevel: "error", build: { outDir: "../../build/browser-test" } })
    server = await preview({ configFile, preview: { port: 0 }, build: { outDir: "../../build/browser-test" } })
    browser = await launch()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  const visit = async (run: (page: Page, shop: Shop) => Promise<void>) => {
    const context = await browser.newContext()
    try {
      const shop = new Shop()
      const page = await context.newPage()
      const complaints: Array<string> = []
      page.on("pageerror", (error) => complaints.push(String(error)))
      await page.clock.install()
      await page.route("**/api/prices/*", (route) => void shop.asked.push(route))
      await page.goto(server.resolvedUrls?.local[0] ?? "")
      await run(page, shop)
      assert.deepStrictEqual(complaints, [])
    } finally {
      await context.close()
    }
  }

  /** Waits until every row is in this state. */
  const all = (page: Page, status: string, price: string) =>
    page.waitForFunction(
      ([status, price]) => {
        const rows = Array.from(document.querySelectorAll("li"))
        return rows.length === 3 &&
          rows.every((row) => row.dataset["status"] === status && row.querySelector(".price")?.textContent === price)
      },
      [status, price] as const
    )

  const asks = async (shop: Shop, count: number) => {
    while (shop.asked.length < count) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.strictEqual(shop.asked.length, count)
  }

  const focus = (page: Page) => page.evaluate(() => window.dispatchEvent(new Event("focus")))

  it("shows what it loads, and what is old at once when it is looked at again", () =>
    visit(async (page, shop) => {
      await asks(shop, 3)
      await all(page, "loading", "…")
      await shop.answer(100)
      await all(page, "fresh", "1.00")
      await page.getByRole("button", { name: "tools" }).click()
      await asks(shop, 3)
      await shop.answer(500)
      await all(page, "fresh", "5.00")
      await page.clock.fastForward(3000)
      await page.getByRole("button", { name: "fruit" }).click()
      await all(page, "stale", "1.00")
      await asks(shop, 3)
      assert.deepStrictEqual(shop.skus(), ["apple", "pear", "plum"])
      await shop.answer(200)
      await all(page, "fresh", "2.00")
    }))

  it("V-06: loads what is on the screen when the window has the focus again, at most every 5 seconds", () =>
    visit(async (page, shop) => {
      await asks(shop, 3)
      await shop.answer(100)
      await all(page, "fresh", "1.00")
      await page.clock.fastForward(4000)
      await all(page, "stale", "1.00")
      await focus(page)
      await page.clock.fastForward(2000)
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)))
      assert.lengthOf(shop.asked, 0)
      await focus(page)
      await focus(page)
      await asks(shop, 3)
      assert.deepStrictEqual(shop.skus(), ["apple", "pear", "plum"])
      await shop.answer(200)
      await all(page, "fresh", "2.00")
    }))

  it("V-07: loads again when the network is back", () =>
    visit(async (page, shop) => {
      await asks(shop, 3)
      await shop.answer(100)
      await all(page, "fresh", "1.00")
      await page.context().setOffline(true)
      await page.clock.fastForward(10_000)
      await focus(page)
      await all(page, "stale", "1.00")
      assert.lengthOf(shop.asked, 0)
      await page.context().setOffline(false)
      await asks(shop, 3)
      await shop.answer(200)
      await all(page, "fresh", "2.00")
    }))

  it("shows old prices at once when it is loaded again, as old as they are", () =>
    visit(async (page, shop) => {
      await asks(shop, 3)
      await shop.answer(100)
      await all(page, "fresh", "1.00")
      await page.clock.fastForward(60_000)
      await page.reload()
      await all(page, "stale", "1.00")
      assert.match(await page.locator("li .state").first().innerText(), /^stale, 6\d s old$/)
      await asks(shop, 3)
      await shop.answer(200)
      await all(page, "fresh", "2.00")
    }))

  it("keeps showing old prices while the shop is down", () =>
    visit(async (page, shop) => {
      await asks(shop, 3)
      await shop.answer(100)
      await all(page, "fresh", "1.00")
      await page.clock.fastForward(6000)
      await focus(page)
      await asks(shop, 3)
      for (const route of shop.asked.splice(0)) await route.fulfill({ status: 500, body: "down" })
      await page.getByText("no answer").first().waitFor()
      await all(page, "stale", "1.00")
      assert.lengthOf(shop.asked, 0, "the keys are left alone for a while")
    }))
})
