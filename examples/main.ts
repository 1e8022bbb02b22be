import { NodeRuntime } from "@effect/platform-node"
import type { Effect } from "effect"
import { fileURLToPath } from "node:url"

/** Runs the program of the file that node was started with, and not that of a file which is only imported. */
export const main = (url: string, program: Effect.Effect<unknown, unknown>): void => {
  if (process.argv[1] === fileURLToPath(url)) NodeRuntime.runMain(program)
}
