/**
 * Plants bugs of the protocol in copies of `src`, one at a time, and looks whether the simulator finds each:
 * `node scripts/planted.mjs`, or with names. Needs a Node that runs TypeScript (22.18 or later).
 */
import { Effect, Result } from "effect"
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs"

// What no order meets by chance has a test of its own, at the end of `test/simulator.test.ts`. What has a second line of
// defence is not here: the barrier of another epoch's word and the forgetting of loads that missed a word, since the
// store refuses their commits and a join asks first; late replies of an old epoch, since the next question ends them; a
// refused commit that stays in memory, since trust bounds it. What a process has heard is told for stores that lose
// writes and not their clock, which the simulated one does not. A failed `set` that is kept over what was heard since
// is met too seldom.

/** @typedef {readonly [file: string, right: string, wrong: string]} Change */

/** @type {ReadonlyArray<readonly [name: string, ...changes: ReadonlyArray<Change>]>} */
const bugs = [
  ["memory before the store", [
    "Fleet",
    "      const told = this.send((store, asker) => store.change(asker, this.told(change)))\n      return",
    "      step({ before: Infinity, clock, isLast: true })\n"
    + "      const told = this.send((store, asker) => store.change(asker, this.told(change)))\n      return"
  ], [
    "Fleet",
    "return Effect.succeed(step(this.accepted(change, exit.value.reply.clock, called)))",
    "return Effect.sync(() => (this.accepted(change, exit.value.reply.clock, called), undefined as never))"
  ]],
  ["a gap counts as heard", [
    "Trust",
    "if (reading === this.heard + 1) this.heard = reading",
    "if (reading > this.heard) this.heard = reading"
  ]],
  ["a question fills a gap", ["Trust", "      this.gap = counter\n", ""]],
  ["an announcement renews trust", [
    "Trust",
    "if (reading === this.heard + 1) this.heard = reading",
    "if (reading === this.heard + 1) {\n      this.heard = reading\n      this.until += this.trustFor\n      this.renewFrom += this.trustFor\n    }"
  ]],
  ["another epoch's word forgets no load", [
    "Fleet",
    "if (reading === undefined) this.forgetAll()\n    else this.note(news, reading)",
    "if (reading !== undefined) this.note(news, reading)"
  ]],
  ["what the store says is not judged by what was heard since", [
    "Fleet",
    "this.isOvertaken(name, opening, entry)",
    "!opening.counts"
  ]],
  ["no deadline", ["Fleet", "within: this.fleet.options.storeDeadline", "within: 1e9"]],
  ["stamped when it is written", ["Fleet", "age: Math.max(0, this.host.now() - bornAt)", "age: 0"], [
    "SimulatedStore",
    "const stamp = sent - age",
    "const stamp = now - age"
  ]],
  ["debts are forgotten", ["Fleet", "if (error?.reason !== \"unsupported\") trust.owe(debtOf(change))", ""]],
  ["the store is read in spite of debts", [
    "Trust",
    "return this.all > 0 || this.tags.size > 0 || this.owed.has(name)",
    "return name === undefined"
  ]],
  ["a tag that is owed holds up no read", [
    "Trust",
    "return this.all > 0 || this.tags.size > 0 || this.owed.has(name)",
    "return this.all > 0 || this.owed.has(name)"
  ]],
  ["strict readers use memory that is not trusted", [
    "Fleet",
    "if (asked === \"away\" && !policy.strict) return { state, away: true }",
    "if (asked === \"away\") return { state, away: !policy.strict }"
  ]],
  ["an old load is joined without asking", [
    "Fleet",
    "const joins = flight !== undefined && at - flight.begunAt >= this.fleet.options.trustFor",
    "const joins = flight === null"
  ]],
  ["a load from before a tag's last word is joined after it", [
    "Instance",
    "const isMine = isStarter || value === undefined ||",
    "const isMine = isStarter || value === undefined || isNoted ||"
  ]],
  ["a set is kept whatever was heard since", [
    "Fleet",
    "const isLast = trust.isCurrent(called) && latest <= reading && kept <= reading && reading >= trust.gap",
    "const isLast = latest >= 0"
  ]],
  ["a set that is not kept leaves what was there", [
    "Instance",
    "else namespace.overtake(name, \"hard\", before)",
    "else namespace.overtake(name, \"hard\", entry.clock)"
  ]],
  ["memory that missed a word is used", [
    "Fleet",
    "const isUnsure = !isTrusted || (",
    "const isUnsure = !isTrusted || (at < 0 && "
  ], [
    "Fleet",
    "&& entry.clock >= this.trust.floor(at)",
    "&& entry.clock >= -1"
  ]],
  ["a new epoch marks nothing", [
    "Fleet",
    "namespace.apply(name, State.doubted(state, at, trust.base))",
    "if (state.entry) (state.entry as { clock: number }).clock = trust.base"
  ]],
  ["all processes draw the same tokens", [
    "Fleet",
    "this.random = `${part()}${part()}-`",
    "this.random = `${part()}`.slice(0, 0)"
  ]],
  ["loads in spite of another's lease", [
    "Fleet",
    "if (given) return \"load\"",
    "if (given || lease !== undefined) return \"load\""
  ]],
  ["the clock of a load is that of its end", [
    "Namespace",
    "const { clock, job: { key, spec } } = flight\n    const at",
    "const { job: { key, spec } } = flight\n    const clock = this.memory.clock\n    const at"
  ]]
]

// A bug that needs one fault twice is seldom met where everything goes wrong.
const kinds = [
  {},
  {},
  {},
  { faults: ["loss"] },
  { faults: ["loss", "partition"] },
  { faults: ["restart", "loss"] },
  { faults: ["restart", "evictClock"] },
  { faults: ["evictClock", "evictEntry", "evictLease"] },
  { faults: ["hang", "freeze", "loss"] },
  { faults: [] }
]

const names = process.argv.slice(2)
// Tokens that are all the same do harm in one simulation of some 10,000.
const most = Number(process.env.MOST ?? 16_000)
const missed = []
for (const [name, ...changes] of bugs) {
  if (names.length > 0 && !names.some((some) => name.includes(some))) continue
  const folder = new URL(`../build/planted/${name.replaceAll(/\W+/g, "-")}/`, import.meta.url)
  rmSync(folder, { recursive: true, force: true })
  cpSync(new URL("../src/", import.meta.url), folder, { recursive: true })
  for (const [file, right, wrong] of changes) {
    const path = new URL(`${file}.ts`, folder)
    const text = readFileSync(path, "utf8")
    // The library has changed: say it otherwise.
    if (!text.includes(right)) throw new Error(`${name}: ${file} does not say ${right}`)
    writeFileSync(path, text.replaceAll(right, () => wrong))
  }
  const { simulate } = await import(new URL("Simulator.ts", folder).href)
  let found
  let seed = 0
  while (found === undefined && seed < most) {
    seed++
    const kind = kinds[seed % kinds.length]
    const keys = seed % 3 === 0 ? ["a"] : ["a", "b"]
    const result = Effect.runSync(Effect.result(simulate({ ...kind, keys, seed, processes: seed % 5 === 0 ? 3 : 2 })))
    if (Result.isFailure(result)) found = result.failure
  }
  if (found === undefined) missed.push(name)
  console.log(
    found ? `found  ${name}: ${found.promise}, seed ${seed}, ${found.trace.length} lines` : `MISSED ${name} in ${seed}`
  )
}
console.log(missed.length === 0 ? "all found" : `${missed.length} missed`)
process.exitCode = missed.length === 0 ? 0 : 1
