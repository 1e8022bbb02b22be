/**
 * A fleet: four processes behind one port over one Redis, of which one is killed in mid-refresh; then Redis is.
 * `npm run example:cluster`, or `npm run example:cluster -- --quick`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, References, Runtime, Schema } from "effect"
import { CliConfig, CliError, Command, Flag, GlobalFlag } from "effect/cli"
import * as Job from "./Job.ts"
import { Origin } from "./Origin.ts"
import * as Recording from "./Recording.ts"
import * as Report from "./Report.ts"
import { full, quick } from "./Settings.ts"

/** A zero was not zero. */
class NotAsPromised extends Schema.TaggedError<NotAsPromised>()("NotAsPromised", {
  problems: Schema.Array(Schema.String)
}) {
  override get [CliError.userMessage]() {
    return this.problems.join("; ")
  }
}

const cluster = Command.make(
  "cluster",
  {
    quick: Flag.Boolean("quick").pipe(
      Flag.withDescription("A run of a quarter of a minute, for CI"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ quick: isQuick }) {
    const settings = isQuick ? quick : full
    const recording = Recording.make()
    const origin = new Origin()
    yield* Job.run(settings, recording, origin)
    const report = Report.make(recording, origin.lookups, settings)
    yield* Console.log(`\n${Report.render(report).join("\n")}\n`)
    yield* report.problems.length > 0 ? new NotAsPromised({ problems: report.problems }) : Effect.void
  })
).pipe(
  Command.withDescription(
    "Starts a Redis and four processes behind one port, reads and writes through them, kills a process in mid-refresh " +
      "and restarts Redis, and shows what readers got. It ends by itself; its exit code is 0 if no read failed and none " +
      "gave what had been invalidated."
  )
)

cluster.pipe(
  Command.run({ version: "1" }),
  Effect.provide(CliConfig.layer({ builtIns: [GlobalFlag.Help] })),
  Effect.provideService(References.MinimumLogLevel, "Error"),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ teardown: (exit) => Runtime.defaultTeardown(exit, (code) => process.exit(code)) })
)
