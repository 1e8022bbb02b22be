/**
 * A caching reverse proxy. `npm run example:proxy -- --origin http://localhost:3000`, or `-- --help`.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer, Option, Runtime } from "effect"
import { Swr } from "effect-swr"
import * as StoreRedis from "effect-swr/StoreRedis"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import { parseMillis } from "../pricing/Flags.ts"
import { showMillis } from "../pricing/Settings.ts"
import * as Proxy from "./Proxy.ts"

const time = (name: string, text: string, usual: number) =>
  Flag.String(name).pipe(
    Flag.filterMap(parseMillis, () => "Expected a time such as 400ms, 2s or 5m"),
    Flag.withMetavar("TIME"),
    Flag.withDescription(`${text} (${showMillis(usual)})`),
    Flag.withDefault(usual)
  )

const yes = (name: string, text: string) => Flag.Boolean(name).pipe(Flag.withDescription(text), Flag.withDefault(false))

const url = (flag: Flag.Flag<string>, schemes: ReadonlyArray<string>) =>
  flag.pipe(
    Flag.filterMap(
      (text) => {
        const given = URL.canParse(text) ? new URL(text) : undefined
        return given !== undefined && schemes.includes(given.protocol) ? Option.some(given) : Option.none()
      },
      () => `Expected ${schemes.map((scheme) => `${scheme}//…`).join(" or ")}`
    ),
    Flag.withMetavar("URL")
  )

const { limits } = Proxy.defaults

const flags = {
  origin: url(Flag.String("origin"), ["http:", "https:"]).pipe(
    Flag.filter(
      ({ hash, pathname, search, username }) => pathname === "/" && search + hash + username === "",
      () => "Expected a scheme, a host and a port, nothing after them"
    ),
    Flag.withDescription("Whom to ask: scheme, host and port")
  ),
  port: Flag.Int("port").pipe(
    Flag.filter((port) => port >= 0 && port <= 65_535, () => "Expected 0 to 65535"),
    Flag.withDescription("Where to listen, 0 takes a free port (8080)"),
    Flag.withDefault(8080)
  ),
  bind: Flag.String("bind").pipe(
    Flag.withDescription("The address to listen on (127.0.0.1)"),
    Flag.withDefault(Proxy.defaults.host)
  ),
  host: Flag.String("host").pipe(
    Flag.filter((host) => /^[^\s/?#@,]+$/.test(host), () => "Expected a host, with its port where that is not 80"),
    Flag.atLeast(0),
    Flag.withDescription("A Host that is served, as browsers send it; may be repeated. Loopback ones always are")
  ),
  keepHost: yes("keep-host", "Tell the origin the Host that was asked for, and not its own"),
  store: url(Flag.String("store"), ["redis:", "rediss:"]).pipe(
    Flag.withDescription("A Redis that proxies share"),
    Flag.optional
  ),
  storeSetCookie: yes("store-set-cookie", "Keep responses with Set-Cookie, as RFC 9111 allows: all get the same one"),
  staleOnDrop: time("stale-on-drop", "How stale a page may be when the origin can't be reached, unasked", 0),
  ignoreCookies: yes("ignore-cookies", "Answer requests with cookies from the cache as well: nothing is personal"),
  ignoreReloads: yes(
    "ignore-reloads",
    "Let no request ask for something fresher, or forbid to keep it: for a public proxy"
  ),
  connectTimeout: time("connect-timeout", "For a connection to the origin", limits.connect),
  headTimeout: time("head-timeout", "For the origin's status and fields", limits.head),
  idleTimeout: time("idle-timeout", "Between two pieces of a body, either way", limits.idle)
}

const proxy = Command.make(
  "proxy",
  flags,
  Effect.fnUntraced(function*(given) {
    const settings: Proxy.Settings = {
      origin: given.origin.origin,
      host: given.bind,
      port: given.port,
      hosts: given.host,
      keepsHost: given.keepHost,
      limits: { connect: given.connectTimeout, head: given.headTimeout, idle: given.idleTimeout },
      cache: {
        setCookie: given.storeSetCookie,
        staleOnDisconnect: given.staleOnDrop,
        ignoreCookies: given.ignoreCookies,
        obeyRequests: !given.ignoreReloads
      }
    }
    const swr = Option.match(given.store, {
      onNone: () => Swr.layer(),
      onSome: ({ href }) =>
        Swr.layerStore().pipe(
          Layer.provide(StoreRedis.layer({
            client: NodeRedis.layer({ url: href, disableOfflineQueue: true }),
            prefix: "proxy"
          }))
        )
    })
    const started = Layer.effectDiscard(
      Effect.flatMap(Proxy.Address, ({ url }) => Console.log(`${url} -> ${settings.origin}; ctrl-c ends it`))
    )
    yield* Layer.launch(started.pipe(Layer.provide(Proxy.layer(settings)), Layer.provide(swr)))
  })
).pipe(
  Command.withDescription(
    "A caching reverse proxy: it keeps what RFC 9111 allows, refreshes it behind the readers' backs (RFC 5861), and " +
      "passes on everything else as it comes. X-Cache and Cache-Status tell which."
  ),
  Command.withExamples([
    { command: "npm run example:proxy -- --origin http://localhost:3000", description: "In front of a server here" },
    {
      command: "npm run example:proxy -- --origin https://example.com --store redis://localhost",
      description: "In front of a site, over a store that proxies share"
    }
  ])
)

proxy.pipe(
  Command.run({ version: "1" }),
  Effect.provide(CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.LogLevel] })),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ teardown: (exit) => Runtime.defaultTeardown(exit, (code) => process.exit(code)) })
)
