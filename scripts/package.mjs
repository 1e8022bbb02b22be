/** Checks the package as its users get it: packs, lints, installs, imports, type-checks, runs and weighs it. */
import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

/** Bytes, minified and gzipped. The plan wants 8,000 of ours; until that is met, this keeps it from growing. */
const bounds = { memory: 17_900, ours: 26_300, promise: 18_600, program: 45_000 }

const root = fileURLToPath(new URL("..", import.meta.url))
const work = mkdtempSync(join(tmpdir(), "effect-swr-"))
process.on("exit", () => rmSync(work, { recursive: true, force: true }))

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const entries = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => path.replace(/^\./, manifest.name))

/** @param {string} command @param {ReadonlyArray<string>} args @param {string} cwd */
const run = (command, args, cwd = work) => {
  try {
    return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
  } catch (error) {
    const { stderr, stdout } = /** @type {{ stderr: string, stdout: string }} */ (error)
    console.error(`${command} ${args.join(" ")}\n${stdout}${stderr}`)
    return process.exit(1)
  }
}

/** @param {string} name @param {ReadonlyArray<string>} args */
const tool = (name, ...args) => run(join(root, "node_modules", ".bin", name), args)

/** @param {string} name @param {string} text */
const write = (name, text) => writeFileSync(join(work, name), text)

/** @param {boolean} holds @param {string} claim */
const check = (holds, claim) => {
  console.log(`${holds ? "ok    " : "FAILED"}  ${claim}`)
  if (!holds) process.exitCode = 1
}

// ----- as packed

run("npm", ["pack", "--ignore-scripts", "--pack-destination", work], root)
const tarball = readdirSync(work).find((file) => file.endsWith(".tgz")) ?? ""
tool("publint", "run", tarball, "--strict")
check(true, "publint --strict")
tool("attw", tarball, "--profile", "esm-only")
check(true, "attw --profile esm-only")

// ----- as installed

write("package.json", JSON.stringify({ private: true, type: "module" }))
run("npm", ["install", "--prefer-offline", `./${tarball}`, `effect@${manifest.devDependencies.effect}`])
const installed = readdirSync(join(work, "node_modules")).filter((name) => !name.startsWith("."))
check(installed.join() === `effect,${manifest.name}`, `installs ${installed.join(", ")} and nothing else`)
const packed = join(work, "node_modules", manifest.name)
const guides = readFileSync(join(packed, "README.md"), "utf8").match(/(?<=\]\()docs\/[^)]*\.md(?=\))/g) ?? []
check(guides.length > 4 && guides.every((path) => existsSync(join(packed, path))), "the guides of the README are in it")

write("imports.js", entries.map((entry) => `await import("${entry}")`).join("\n"))
run("node", ["imports.js"])
check(true, `import ${entries.join(", ")}`)

write(
  "private.js",
  `await import("${manifest.name}/State").then(() => console.log("open"), (e) => console.log(e.code))`
)
check(run("node", ["private.js"]).includes("ERR_PACKAGE_PATH_NOT_EXPORTED"), "the other rooms are private")

copyFileSync(join(root, "scripts", "consumer.ts"), join(work, "consumer.ts"))
// Whatever a user imports.
write("declarations.ts", entries.map((entry) => `import "${entry}"`).join("\n"))
write(
  "tsconfig.json",
  JSON.stringify({
    compilerOptions: {
      target: "ES2023",
      lib: ["ES2023", "DOM", "DOM.Iterable"],
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      types: []
    },
    files: ["consumer.ts", "declarations.ts"]
  })
)
tool("tsc", "-p", work)
check(true, "a user's program type-checks, the libraries' declarations too")
const said = run("node", ["consumer.js"]).trim()
check(said === "hello: miss, lookup", `it runs and says "${said}"`)

// ----- as bundled

/** @param {string} what @param {string} input @param {ReadonlyArray<RegExp>} external @param {number} bound */
const weigh = async (what, input, external, bound) => {
  const bundle = await rolldown({ cwd: work, input, external: [...external], platform: "neutral" })
  const { output } = await bundle.generate({ format: "esm", minify: true })
  const code = output.map((chunk) => chunk.type === "chunk" ? chunk.code : "").join("\n")
  const [minified, zipped] = [Buffer.byteLength(code), gzipSync(code).length].map((size) => size / 1000)
  const size = `${minified?.toFixed(1)} kB minified, ${zipped?.toFixed(1)} kB gzipped`
  check(Number(zipped) <= bound / 1000, `${what}: ${size} (at most ${bound / 1000} kB)`)
}

const effect = [/^effect($|\/)/]
await weigh("ours in a memory-only program", "consumer.js", effect, bounds.memory)
write("ours.js", `export * from "${manifest.name}"`)
await weigh("ours alone, two tiers and all", "ours.js", effect, bounds.ours)
write("promise.js", `export * from "${manifest.name}/SwrPromise"`)
await weigh("the Promise face", "promise.js", effect, bounds.promise)
await weigh("a memory-only program with effect", "consumer.js", [], bounds.program)
