import { defineConfig } from "vitest/config"

/** Tests of real parts, on the real clock: sockets, servers, processes and browsers. */
const real = [
  "attacks",
  "browser",
  "cluster",
  "express",
  "fastify",
  "fleetRedis",
  "inspectorPage",
  "laws",
  "pricing",
  "processes",
  "proxy",
  "sockets",
  "storeMemcached",
  "storeRedis"
].map((name) => `test/${name}.test.ts`)

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: "virtual", include: ["test/**/*.test.ts"], exclude: real, sequence: { groupOrder: 0 } }
      },
      // By themselves: what keeps both cores busy beside them would be taken for a slow server.
      { extends: true, test: { name: "real", include: real, sequence: { groupOrder: 1 } } }
    ],
    // Vitest would leave one core of two idle; real parts mostly wait.
    maxWorkers: 2,
    testTimeout: 10_000,
    hookTimeout: 10_000
  },
  // `effect-swr` is `src` here, by the `paths` of tsconfig.json.
  resolve: { tsconfigPaths: true }
})
