import { defineConfig } from "vitest/config"

export default defineConfig({
  // `effect-swr` is `src` here, by the `paths` of tsconfig.json.
  resolve: { tsconfigPaths: true },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 10_000,
    hookTimeout: 10_000
  }
})
