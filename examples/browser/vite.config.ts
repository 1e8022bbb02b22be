/**
 * Builds and serves the page, and plays the shop: its prices are others each time, and it takes its time.
 */
import { defineConfig, type Plugin, type PreviewServer, type ViteDevServer } from "vite"

const names: Readonly<Record<string, string>> = {
  apple: "Apple",
  pear: "Pear",
  plum: "Plum",
  hammer: "Hammer",
  pliers: "Pliers",
  saw: "Saw"
}

const open = ({ middlewares }: ViteDevServer | PreviewServer) => {
  middlewares.use("/api/prices", (request, response) => {
    const name = names[(request.url ?? "").slice(1)]
    response.statusCode = name === undefined ? 404 : 200
    response.setHeader("content-type", "application/json")
    const product = { name, cents: 100 + Math.floor(Math.random() * 900) }
    setTimeout(() => response.end(JSON.stringify(product)), 600)
  })
}

const shop: Plugin = { name: "shop", configureServer: open, configurePreviewServer: open }

export default defineConfig({
  root: import.meta.dirname,
  // `effect-swr` is `src` here, by the `paths` of tsconfig.json.
  resolve: { tsconfigPaths: true },
  plugins: [shop],
  build: { outDir: "../../build/browser", emptyOutDir: true }
})
