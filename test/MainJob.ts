/**
 * The main job, compiled as a user compiles it, for the tests that run it.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** `src` and the example, in a package of their own that is called `effect-swr`: whatever `dist` is at the moment. */
export const mainOf = (name: string) => {
  const built = `${root}build/${name}`
  return {
    path: `${built}/examples/pricing/main.js`,
    build: () => {
      mkdirSync(built, { recursive: true })
      const exports = { ".": "./src/index.js", "./*": "./src/*.js" }
      writeFileSync(`${built}/package.json`, JSON.stringify({ name: "effect-swr", type: "module", exports }))
      const compilerOptions = {
        noEmit: false,
        noCheck: true,
        allowJs: false,
        checkJs: false,
        rootDir: root,
        outDir: built
      }
      writeFileSync(
        `${built}/tsconfig.json`,
        JSON.stringify({
          extends: `${root}tsconfig.json`,
          compilerOptions,
          include: [`${root}src`, `${root}examples/pricing`]
        })
      )
      execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${built}/tsconfig.json`])
    }
  }
}
