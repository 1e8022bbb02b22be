/**
 * Keeps the plan of the house true: one room per file of `src`, in the order in which data flows.
 */
import { readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"

/** Each room, and what it may import of the others; `type X`: types only. A room imports only from rooms above it. */
const house: Record<string, string> = {
  Policy: "",
  Key: "",
  Entry: "Policy",
  State: "Entry, type Policy",
  Eviction: "",
  Memory: "State, Entry, Eviction, type Key",
  Codec: "",
  Store: "type Codec",
  Record: "Codec, Policy, type Store",
  Event: "Key, type State, type Policy, type Store",
  Job: "type Codec, type Entry, type Key, Policy",
  Flight: "type Event, type Entry, type Job, type Key",
  Namespace: "Flight, State, Memory, Job, Codec, Event, Entry, Policy, Key, type Store",
  Trust: "Memory, type Key, type Store",
  Fleet: "Trust, Store, State, Entry, Key, type Codec, type Flight, type Job, type Memory, type Namespace, type Policy",
  Answer: "Entry, type Job, type Key, type Policy, type State, type Store",
  Instance:
    "Namespace, Flight, Job, Codec, type Answer, State, Store, Entry, Event, type Memory, type Policy, type Key",
  Options: "type Codec, Policy, type Job, type Key",
  Handle: "Answer, Codec, Instance, Namespace, type Flight, Options, Policy, Key, type Job, type Entry, type Store",
  Engine: "Handle, Codec, Options, Policy, type Flight, type Job, Event",
  StoreRedis: "Store, Codec",
  StoreKeyValue: "Store, Record, Codec, Policy, Key",
  StoreMemcached: "Store, Record, Codec, Policy, Key",
  Swr: "*",
  HttpHeaders: "",
  HttpPolicy: "HttpHeaders",
  HttpRecord: "HttpHeaders, type HttpPolicy",
  HttpAnswer: "HttpHeaders, HttpRecord, type HttpPolicy",
  HttpBody: "HttpRecord",
  HttpPages: "HttpHeaders, HttpPolicy",
  HttpVerdict: "HttpPolicy, type HttpAnswer, type HttpRecord, type Answer, type Swr",
  HttpExchange:
    "HttpVerdict, HttpPages, HttpBody, HttpAnswer, HttpRecord, HttpPolicy, HttpHeaders, Handle, Entry, Swr, type Store",
  HttpRoute: "HttpHeaders, HttpPolicy, Policy, type HttpExchange, type Swr, type Store",
  HttpCache: "HttpRoute, HttpExchange, HttpPolicy, HttpHeaders, type Swr, type Store",
  SwrPromise: "Swr, Handle, type Answer, type Event, type Job, type Options, type Policy, type State",
  HttpCachePromise: "HttpRoute, HttpExchange, HttpHeaders, HttpPolicy, type Swr, type SwrPromise",
  SimulatedStore: "Store, Record, type Codec, Key",
  StoreLaws: "Store, Key",
  Simulator: "Swr, SimulatedStore, Store, Policy, Key",
  Testing: "SimulatedStore, StoreLaws, Simulator",
  Journal: "Event, type Key",
  Portrait: "Journal, Policy, Key, Entry, State, type Memory, type Event, type Flight, type Handle",
  InspectorPage: "",
  Inspector: "InspectorPage, Portrait, Journal, Swr, Handle, Key, type Engine, type Event, type Memory",
  History: "Swr, Options, type Event",
  Metrics: "Swr, type Handle, type Event",
  Auditor: "Handle, Options, Policy, type Swr",
  Triggers: "Handle, Options, Policy, type Swr",
  Warmup: "type Swr",
  index: "*"
}

/** Rooms that are handed the time and return what should happen: nothing of effect that acts, waits or reads a clock. */
const pure = ["Policy", "Key", "Entry", "State", "Eviction", "HttpHeaders", "HttpPolicy", "HttpAnswer", "HttpVerdict"]
const impure = ["Effect", "Ref", "Deferred", "Clock", "Layer", "Fiber"]

const banned = {
  "Date.now": /\bDate\.now\b/,
  "new Date": /\bnew Date\b/,
  setTimeout: /\bsetTimeout\b/,
  setInterval: /\bsetInterval\b/,
  async: /\basync\s/,
  "Math.random": /\bMath\.random\b/,
  "console.": /(?<!\.)\bconsole\./,
  "process.": /(?<!\.)\bprocess\.(?:argv|cwd|emit\w*|env|exit\w*|hrtime|kill|memoryUsage|nextTick|on|once|pid|std\w+)\b/
}

/** What a browser runs, as text: it has no Effect. */
const pages = ["InspectorPage"]

const longest = { line: 120, state: 400 }

const order = Object.keys(house)
const allowed = Object.fromEntries(order.map((room, place) => {
  const list = house[room] ?? ""
  return [room, list === "*" ? order.slice(0, place) : list.split(", ").filter((entry) => entry !== "")]
}))

// ----- reading the sources

interface Import {
  readonly from: string
  readonly names: ReadonlyArray<string>
  readonly typeOnly: boolean
}

interface Room {
  readonly name: string
  readonly text: string
  readonly code: string
  readonly imports: ReadonlyArray<Import>
}

const tokens = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[^]*?\*\//g
const withoutComments = (text: string): string => text.replace(tokens, (token) => token.startsWith("/") ? " " : token)
const withoutStrings = (code: string): string => code.replace(/"(?:\\.|[^"\\\n])*"/g, `""`)

const clauses = /^(?:import|export)(\s+type)?\s([^;"'()=]*?)\bfrom\s*["']([^"']+)["']/gm
const bare = /\bimport\s*\(?\s*["']([^"']+)["']/g

/** `import … from "x"`, `export … from "x"`, `import "x"` and `import("x")`. */
const importsOf = (code: string): ReadonlyArray<Import> => [
  ...Array.from(code.matchAll(clauses), ([, type, clause = "", from = ""]) => ({
    from,
    names: clause.match(/\w+/g) ?? [],
    typeOnly: type !== undefined
  })),
  ...Array.from(code.matchAll(bare), ([, from = ""]) => ({ from, names: [], typeOnly: false }))
]

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
const rooms = files.filter((file) => file.endsWith(".ts")).map((file): Room => {
  const text = readFileSync(`src/${file}`, "utf8")
  const code = withoutComments(text)
  return { name: file.replace(/\.ts$/, ""), text, code: withoutStrings(code), imports: importsOf(code) }
})

interface Export {
  readonly name: string
  readonly kind: string
  readonly doc: string
}

const declared =
  /(?:(\/\*\*(?:(?!\*\/)[^])*\*\/)\n *|^ *)export (?:declare )?(const|class|function|interface|type|namespace) (\w+)/gm
const passedOn = /^export (?:type )?\{([^}]*)\} from "\.\/(\w+)\.ts"/gm

/** What a room declares, and what it passes on of others. */
const exportsOf = (name: string): ReadonlyArray<Export> => {
  const text = rooms.find((room) => room.name === name)?.text ?? ""
  return [
    ...Array.from(text.matchAll(declared), ([, doc = "", kind = "", name = ""]) => ({ name, kind, doc })),
    ...Array.from(text.matchAll(passedOn)).flatMap(([, names = "", from = ""]) =>
      exportsOf(from).filter(({ name }) => names.replace(/\btype\s/g, "").split(/[\s,]+/).includes(name))
    )
  ]
}

/** What is wrong, in one list, so that a failure names every place at once. */
const wrong = (complaints: (room: Room) => Iterable<string>): ReadonlyArray<string> =>
  rooms.flatMap((room) => Array.from(complaints(room), (complaint) => `${room.name}: ${complaint}`))

// ----- the rules

describe("the table", () => {
  it("lists a room only after the rooms it may import, so that there are no circles", () => {
    const early = order.flatMap((room, place) =>
      (allowed[room] ?? []).map((entry) => entry.replace("type ", ""))
        .filter((other) => !order.slice(0, place).includes(other))
        .map((other) => `${room} may import ${other}, which is not above it`)
    )
    expect(early).toEqual([])
  })

  it("names only rooms that exist as pure", () => {
    expect(order).toEqual(expect.arrayContaining(pure))
  })
})

describe("the rooms", () => {
  it("are files of src, and each is in the table", () => {
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((file) => !order.some((room) => file === `${room}.ts`))).toEqual([])
  })

  it("are named by a noun of the field", () => {
    expect(files.filter((file) => /^(utils?|types?|helpers?|common|shared)\b/i.test(file))).toEqual([])
  })

  it("import only the rooms the table allows, and nobody imports index", () => {
    expect(
      wrong(({ imports, name }) =>
        imports.filter(({ from }) => from.startsWith(".")).filter(({ from, typeOnly }) => {
          const room = /^\.\/(\w+)\.ts$/.exec(from)?.[1]
          const entries = allowed[name] ?? []
          return room === undefined || !(entries.includes(room) || (typeOnly && entries.includes(`type ${room}`)))
        }).map(({ from }) => `may not import ${from}`)
      )
    ).toEqual([])
  })

  it("need effect and nothing else", () => {
    expect(
      wrong(({ imports }) => imports.map(({ from }) => from).filter((from) => !/^(\.|effect$|effect\/)/.test(from)))
    ).toEqual([])
  })

  it("take the time, chance and output from Effect", () => {
    expect(wrong(({ code, name }) =>
      pages.includes(name)
        ? []
        : Object.keys(banned).filter((word) => banned[word as keyof typeof banned].test(code))
    )).toEqual([])
  })

  it("begin with a doc comment", () => {
    expect(wrong(({ text }) => text.startsWith("/**") ? [] : ["no doc comment"])).toEqual([])
  })

  it("have no line that is too long", () => {
    expect(
      wrong(({ text }) =>
        text.split("\n").flatMap((line, at) =>
          line.length > longest.line ? [`line ${at + 1}: ${line.length} columns`] : []
        )
      )
    ).toEqual([])
  })

  it("are without effects where they are pure", () => {
    expect(wrong(({ imports, name }) =>
      pure.includes(name)
        ? imports.flatMap(({ from, names }) =>
          [from.replace("effect/", ""), ...names].filter((word) => impure.includes(word))
        )
        : []
    )).toEqual([])
  })
})

describe("what users can import", () => {
  const shown = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).exports).flatMap((path) =>
    rooms.some(({ name }) => path === `./${name}`) ? exportsOf(path.slice(2)) : []
  ).filter(({ doc }) => !doc.includes("@internal"))
  const without = (right: (shown: Export) => boolean) => shown.filter((shown) => !right(shown)).map(({ name }) => name)

  it("is found", () => {
    expect(shown.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["make", "Event", "StoreError", "LoadTimeout"])
    )
  })

  it("begins its doc comment with a sentence", () => {
    expect(without(({ doc }) => /^\/\*\*\s+\* ["`A-Z](?:(?!\n \*\n| \* @)[^])*\.\s/.test(doc))).toEqual([])
  })

  it("says since when it is there, and under what it is filed", () => {
    expect(without(({ doc }) => /@since \d+\.\d+\.\d+\n/.test(doc) && /@category [a-z]+\n/.test(doc))).toEqual([])
  })

  it("has an example where it is called; test/docs.test.ts runs it", () => {
    expect(
      without(({ doc, kind }) =>
        !["const", "class", "function"].includes(kind) || doc.includes("@category errors") ||
        doc.includes("@example\n * ```ts\n")
      )
    ).toEqual([])
  })
})

describe("what the seeds of this library do", () => {
  // EX: express-route-cache, and W-EX what it got wrong; RF: RFC 5861.
  const promised = Object.entries({ "EX-": 36, "RF-": 12, "W-EX-": 17 }).flatMap(([family, count]) =>
    Array.from({ length: count }, (_, i) => `${family}${String(i + 1).padStart(family === "W-EX-" ? 1 : 2, "0")}`)
  )
  const read = (folder: string, kind: string) =>
    readdirSync(folder).filter((file) => file.endsWith(kind)).map((file) => readFileSync(`${folder}/${file}`, "utf8"))
  const idsOf = (text: string) => text.match(/\b(?:W-)?(?:EX|RF)-\d+\b/g) ?? []
  const names = read("test", ".ts").flatMap((text) =>
    Array.from(text.matchAll(/^\s*(?:it|describe)(?:\.\w+)*\(\s*["`]([^"`]+)/gm), ([, name = ""]) => name)
  )
  const tested = names.flatMap(idsOf)
  const rows = read("docs", ".md").flatMap((text) => text.match(/^\|.*\|$/gm) ?? [])

  it("is held, one by one, by tests that bear its name", () => {
    expect(promised.filter((id) => !tested.includes(id))).toEqual([])
  })

  it("is in the docs only where a test shows it", () => {
    expect(rows.flatMap(idsOf).filter((id) => !tested.includes(id))).toEqual([])
  })

  it("is in the docs where it is not done here, on purpose", () => {
    const different = names.flatMap((name) =>
      /^[^:]*\bdiffers?:/.test(name) ? idsOf(name.replace(/\bW-EX-\d+/g, "")) : []
    )
    expect(different.length).toBeGreaterThan(0)
    expect(different.filter((id) => !rows.flatMap(idsOf).includes(id))).toEqual([])
  })
})

describe("State", () => {
  it("is read in one sitting", () => {
    const lines = rooms.find(({ name }) => name === "State")?.text.split("\n").length ?? 0
    expect(lines).toBeLessThan(longest.state)
  })
})
