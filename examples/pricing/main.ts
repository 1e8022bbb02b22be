/**
 * The pricing job: a live server with a slow and ailing origin, read through a plain TTL cache and through effect-swr
 * side by side. `npm start`, or `npm start -- --help`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer, References, Runtime, Schema, Terminal } from "effect"
import { Argument, CliConfig, CliError, CliOutput, Command, Flag, GlobalFlag, TerminalCapabilities } from "effect/cli"
import * as Flags from "./Flags.ts"
import * as Job from "./Job.ts"
import * as Load from "./Load.ts"
import * as Origin from "./Origin.ts"
import * as Progress from "./Progress.ts"
import * as Recording from "./Recording.ts"
import * as Report from "./Report.ts"
import { render } from "./Screen.ts"
import * as Settings from "./Settings.ts"

/** `--quick` found the SWR route wanting. */
class NotAsPromised extends Schema.TaggedError<NotAsPromised>()("NotAsPromised", {
  problems: Schema.Array(Schema.String)
}) {
  override get [CliError.userMessage]() {
    return this.problems.join("; ")
  }
}

const encodeReport = Schema.encodeEffect(Schema.fromJsonString(Report.Report))

const tones = { good: "\u001b[32m", slow: "\u001b[33m", bad: "\u001b[31m", dim: "\u001b[2m" }

/** Prints what has been recorded, as far as the run went. */
const show = Effect.fnUntraced(function*(settings: Settings.Settings, recording: Recording.Recording, json: boolean) {
  const report = Report.make(recording, settings)
  if (json) {
    yield* Effect.flatMap(Effect.orDie(encodeReport(report)), Console.log)
  } else if (recording.samples.length === 0) {
    yield* Console.log(" Stopped before anything was measured.")
  } else {
    const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
    const { columns } = yield* Terminal.Terminal
    const screen = render(report, recording.samples, settings, {
      columns: (yield* columns) || 100,
      paint: canColor ? (text, tone) => `${tones[tone]}${text}\u001b[0m` : (text) => text
    })
    yield* Console.log(`\n${screen.join("\n")}\n`)
  }
  return report
})

const pricing = Command.make(
  "pricing",
  {
    ...Flags.flags,
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the report as JSON on stdout, progress on stderr"),
      Flag.withDefault(false)
    ),
    quick: Flag.Boolean("quick").pipe(
      Flag.withDescription("A short run that fails unless the SWR route kept its promise, for CI"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ json, quick, ...given }) {
    const settings = yield* Effect.fromResult(
      Settings.resolve(Flags.named(given), quick ? Settings.quick : Settings.full)
    )
    const recording = Recording.make()
    const progress = yield* Progress.make({ json, settings })
    yield* Job.run(settings, recording, progress).pipe(
      Effect.onInterrupt(() => show(settings, recording, json))
    )
    const { problems } = yield* show(settings, recording, json)
    yield* quick && problems.length > 0 ? new NotAsPromised({ problems }) : Effect.void
  })
).pipe(
  Command.withDescription(
    "Runs a pricing service over a slow origin that breaks down for a while, and shows what readers of a plain TTL " +
      "cache and readers of effect-swr get."
  ),
  Command.withExamples([
    { command: "npm start", description: "The whole picture, in about 45 seconds" },
    { command: "npm start -- --quick --json", description: "A check for CI" },
    { command: "npm start -- --outage-kind hang --origin-latency 200ms", description: "An origin that hangs" }
  ])
)

const child = <A, E, R>(
  name: string,
  argument: Schema.Codec<A, string>,
  run: (argument: A) => Effect.Effect<void, E, R>
) =>
  Command.make(
    name,
    { argument: Argument.String("argument").pipe(Argument.withSchema(argument)) },
    (given) => run(given.argument)
  ).pipe(Command.unlisted)

/** A mistake on the command line is named, on stderr; the whole help is for who asks for it. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.flatMap(CliOutput.Formatter, (formatter) =>
        Console.error(`${formatter.formatErrors(event.errors)}\n\n  See --help.`))
      : CliOutput.defaultPresenter.present(event)
}

pricing.pipe(
  Command.withSubcommands([
    child("origin", Schema.fromJsonString(Settings.Settings), Origin.run),
    child("load", Schema.fromJsonString(Load.Argument), Load.run)
  ]),
  Command.run({ version: "1" }),
  Effect.provide(Layer.mergeAll(
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.LogLevel] }),
    // The library warns of each price it could not refresh; the picture says it, too.
    Layer.succeed(References.MinimumLogLevel, "Error"),
    CliOutput.layerPresenter(presenter),
    TerminalCapabilities.layer
  )),
  Effect.provide(NodeServices.layer),
  // Ends the process also while a connection is open.
  NodeRuntime.runMain({ teardown: (exit) => Runtime.defaultTeardown(exit, (code) => process.exit(code)) })
)
