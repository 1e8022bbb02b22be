/**
 * Each example prints what its last lines say.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { readdirSync, readFileSync } from "node:fs"
import { said } from "./Printed.ts"

const files = readdirSync("examples").filter((file) => /^\d\d_.*\.ts$/.test(file))

describe("examples", () => {
  for (const file of files) {
    it.effect(file, () =>
      Effect.gen(function*() {
        const expected = said(readFileSync(`examples/${file}`, "utf8"))
        assert.notDeepEqual(expected, [], "it says nothing, so it shows nothing")
        const { program }: { readonly program: Effect.Effect<unknown, unknown> } = yield* Effect.promise(() =>
          import(`../examples/${file}`)
        )
        // The warnings of a failing origin carry stack traces.
        const fiber = yield* Effect.forkChild(Effect.provide(program, Logger.layer([])))
        while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
        yield* Fiber.join(fiber)
        const printed = yield* TestConsole.logLines
        assert.deepStrictEqual(printed, expected)
      }))
  }
})
