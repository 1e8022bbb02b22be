/**
 * Debian's Chromium, for the tests that need a real browser.
 */
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path))

/** Whether its tests are skipped. Where `CI` is set they are not: they fail. */
export const isAbsent = executablePath === undefined && process.env["CI"] === undefined

// Nothing that the browser does by itself, and nothing it might ask of others.
const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

export const launch = () => chromium.launch({ executablePath: executablePath ?? "chromium: apt-get install it", args })
