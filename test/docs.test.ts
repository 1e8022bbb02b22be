/**
 * Each example of a doc comment and of the texts compiles as its reader would compile it, and prints what it says.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { format } from "node:util"
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { said } from "./Printed.ts"

interface Example {
  readonly name: string
  readonly file: string
  readonly code: string
}

// Below the package, so that `effect` is found; with `paths` of its own tsconfig, so that `effect-swr` is `src`.
const folder = "build/docs"

const examplesOf = (path: string, text: string): ReadonlyArray<Example> =>
  Array.from(text.matchAll(/^( \* |)```ts\n([^]*?)^\1```/gm), ({ index, 1: margin = "", 2: code = "" }) => {
    const line = text.slice(0, index).split("\n").length + 1
    return {
      name: `${path}:${line}`,
      file: `${path.replace(/\W/g, "_")}_${line}.ts`,
      // Awaited, so that all is printed when the module has been imported.
      code: (margin === "" ? code : code.replace(/^ \* ?/gm, "")).replace(/^[\w.]+\(/gm, "await $&")
    }
  })

const paths = [
  "README.md",
  ...readdirSync("docs").filter((file) => file.endsWith(".md")).map((file) => `docs/${file}`),
  ...readdirSync("src").filter((file) => file.endsWith(".ts")).map((file) => `src/${file}`)
]
const examples = paths.flatMap((path) => examplesOf(path, readFileSync(path, "utf8")))

// What is the same is left alone: a watcher would run the tests again, and again.
const write = (file: string, text: string) => {
  const path = `${folder}/${file}`
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeFileSync(path, text)
}

beforeAll(() => {
  mkdirSync(folder, { recursive: true })
  for (const { code, file } of examples) write(file, code)
  write(
    "tsconfig.json",
    JSON.stringify({ extends: "../../tsconfig.json", files: examples.map(({ file }) => file), include: [] })
  )
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe("the examples of the docs", () => {
  it("are found", () => {
    expect(examples.length).toBeGreaterThan(10)
  })

  it("compile", () => {
    const tsc = ["node_modules/typescript/bin/tsc", "--noEmit", "--pretty", "false", "-p", folder]
    expect(spawnSync(process.execPath, tsc, { encoding: "utf8" })).toMatchObject({ stdout: "", status: 0 })
  }, 30_000)

  for (const { code, file, name } of examples) {
    it(`${name} prints what it says`, async () => {
      const printed: Array<string> = []
      vi.spyOn(console, "log").mockImplementation((...args) => printed.push(format(...args)))
      await import(/* @vite-ignore */ resolve(folder, file))
      expect(said(code), "it says nothing, so it shows nothing").not.toEqual([])
      expect(printed).toEqual(said(code))
    })
  }
})
