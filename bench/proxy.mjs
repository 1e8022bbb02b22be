/**
 * The reverse proxy beside nginx and Varnish, where they are installed, and a bare `node:http` server that answers a
 * constant. On Linux, as CPU time is read from `/proc`.
 *
 * Read the CPU time per request: requests a second are the server's own only where it was busy all the time, and not the
 * reader or other programs.
 *
 * ```
 * npm run build && node bench/proxy.mjs [--rounds 9]    what a hit costs
 * npm run build && node bench/proxy.mjs --stale         who waits while a stale page is fetched anew
 * ```
 */
import { Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { Swr } from "../dist/index.js"
import { freePort } from "./redis.mjs"

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "9" }, stale: { type: "boolean", default: false } }
})
const settings = { millis: 1000, connections: flags.stale ? 50 : 32, size: 1024, delay: 1000 }
const host = "127.0.0.1"
const self = fileURLToPath(import.meta.url)

// ----- the servers, each a process of its own

/** A constant, and how often it was asked for. */
const constant = (port) => {
  const body = Buffer.alloc(settings.size, "x")
  const life = flags.stale ? "max-age=2, stale-while-revalidate=60" : "max-age=3600"
  const fields = { "content-type": "text/plain", "content-length": body.length, "cache-control": life }
  let count = 0
  createServer((request, response) => {
    if (request.url === "/count") return response.end(String(count))
    count++
    const answer = () => response.writeHead(200, fields).end(body)
    return flags.stale ? setTimeout(answer, settings.delay) : answer()
  }).listen(port, host)
}

const ours = async (port, origin) => {
  const Proxy = await import("../build/examples/proxy/Proxy.js")
  const served = Proxy.layer({ ...Proxy.defaults, cache: {}, port, origin: `http://${host}:${origin}` })
  Effect.runFork(Layer.launch(served.pipe(Layer.provide(Swr.layer()))))
}

// A file kept open saves it a third. `sendfile` is off, as it is unless told: for a small page it is a call more.
const nginx = (port, origin) => `
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {}
http {
  access_log off;
  keepalive_requests 1000000000;
  proxy_cache_path cache keys_zone=pages:10m;
  open_file_cache max=1000;
  server {
    listen ${host}:${port};
    location / {
      proxy_pass http://${host}:${origin};
      proxy_cache pages;
      proxy_cache_use_stale updating;
      proxy_cache_background_update on;
      add_header X-Cache-Status $upstream_cache_status;
    }
  }
}`

const found = (program) =>
  [...(process.env.PATH ?? "").split(":"), "/usr/sbin"].map((folder) => join(folder, program)).find(existsSync)

const node = (kind) => ({
  program: process.execPath,
  args: (port, origin) => [self, kind, port, origin, ...flags.stale ? ["--stale"] : []]
})

/** What to start, given the port to listen on, that of the origin, and a folder; and how an answer tells of a hit. */
const contenders = {
  "node:http": { ...node("constant"), hit: /^/ },
  "effect-swr": { ...node("ours"), hit: /^x-cache: hit/im },
  nginx: {
    program: found("nginx"),
    args: (port, origin, folder) => {
      writeFileSync(join(folder, "nginx.conf"), nginx(port, origin))
      return ["-e", "stderr", "-p", folder, "-c", "nginx.conf"]
    },
    hit: /^x-cache-status: (?:hit|stale|updating)/im
  },
  Varnish: {
    program: found("varnishd"),
    args: (port, origin, folder) => {
      const addresses = ["-a", `${host}:${port}`, "-b", `${host}:${origin}`, "-T", "none"]
      return ["-F", "-j", "none", "-n", join(folder, "varnish"), "-s", "malloc,64m", ...addresses]
    },
    hit: /^x-varnish: \d+ \d+/im
  }
}

const start = async ({ args, program }, origin) => {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), "proxy-"))
  // Whose master is root has workers who are not.
  chmodSync(folder, 0o755)
  // The shell holds our end of a pipe: however this process ends, the server and its folder do too.
  const script = "\"$@\" >\"$0/log\" 2>&1 & read _; kill $!; wait; rm -rf \"$0\""
  const child = spawn("sh", ["-c", script, folder, program, ...args(port, origin, folder).map(String)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true
  })
  const stop = async () => {
    child.stdin.end()
    await once(child, "exit")
  }
  for (let tries = 0; await answerOf(port).catch(() => undefined) === undefined; tries++) {
    if (tries === 100) {
      console.error(readFileSync(join(folder, "log"), "utf8"))
      await stop()
      throw new Error("a server did not come up")
    }
    await sleep(50)
  }
  return { pid: child.pid, port, stop }
}

/** The CPU time of a process and those it started, in nanoseconds. */
const cpu = (pid) => {
  let sum = 0
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const read = (file) => readFileSync(`/proc/${pid}/task/${task}/${file}`, "utf8").trim().split(" ")
    sum += Number(read("schedstat")[0])
    for (const child of read("children")) if (child !== "") sum += cpu(child)
  }
  return sum
}

// ----- the readers, with connections that are kept

const dial = (port, answered, failed) => {
  const asked = `GET /page HTTP/1.1\r\nHost: ${host}:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`
  let text = ""
  const socket = connect(port, host).setEncoding("latin1").setNoDelay()
    .on("error", failed)
    .on("end", () => failed(new Error("a server hung up")))
    .on("data", (chunk) => {
      text += chunk
      const head = text.indexOf("\r\n\r\n")
      if (head === -1 || text.length < head + 4 + settings.size) return
      const fields = text.slice(0, head)
      text = ""
      if (fields.startsWith("HTTP/1.1 200")) answered(fields)
      else failed(new Error(fields))
    })
  return { ask: () => socket.write(asked), close: () => socket.destroy() }
}

/** The head of one answer. */
const answerOf = (port) =>
  new Promise((resolve, reject) => {
    const ended = (end) => (what) => {
      connection.close()
      end(what)
    }
    const connection = dial(port, ended(resolve), ended(reject))
    connection.ask()
  })

/** Each reader asks again when it has an answer. */
const load = (port) =>
  new Promise((resolve, reject) => {
    const end = performance.now() + settings.millis
    let [count, open] = [0, settings.connections]
    for (let i = 0; i < settings.connections; i++) {
      const { ask, close } = dial(port, () => {
        count++
        if (performance.now() < end) return ask()
        close()
        if (--open === 0) resolve(count)
      }, reject)
      ask()
    }
  })

/** How long each reader waits for its first answer, and on the same connection for its second; in milliseconds. */
const waits = (port) =>
  Promise.all(Array.from({ length: settings.connections }, () =>
    new Promise((resolve, reject) => {
      const times = []
      let began = performance.now()
      const { ask, close } = dial(port, () => {
        times.push(performance.now() - began)
        began = performance.now()
        if (times.length === 1) return ask()
        close()
        resolve(times)
      }, reject)
      ask()
    })))

// ----- what is measured

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
const countOf = async (origin) => Number(await (await fetch(`http://${host}:${origin.port}/count`)).text())

const hits = async (servers, origin) => {
  let before
  for (let round = -2; round < Number(flags.rounds); round++) {
    if (round === 0) before = await countOf(origin)
    for (const { pid, port, rows } of round % 2 === 0 ? servers : servers.toReversed()) {
      const [cpuBefore, readerBefore, began] = [cpu(pid), process.cpuUsage(), performance.now()]
      const count = await load(port)
      const micros = (performance.now() - began) * 1000
      const [reader, spent] = [process.cpuUsage(readerBefore), (cpu(pid) - cpuBefore) / 1000]
      const row = { rate: count / micros * 1e6, cost: spent / count, server: spent / micros }
      if (round >= 0) rows.push({ ...row, reader: (reader.user + reader.system) / micros })
    }
  }
  const [floor, ours] = servers
  console.table(Object.fromEntries(servers.map(({ name, rows }) => {
    const of = (field) => median(rows.map((row) => row[field]))
    const beside = (field, other) => Number(median(rows.map((row, i) => row[field] / other.rows[i][field])).toFixed(2))
    return [name, {
      "requests/s": Math.round(of("rate")),
      "x node:http": beside("rate", floor),
      "CPU µs each": Number(of("cost").toFixed(1)),
      "CPU x node:http": beside("cost", floor),
      "CPU x effect-swr": beside("cost", ours),
      "server busy %": Math.round(of("server") * 100),
      "reader busy %": Math.round(of("reader") * 100)
    }]
  })))
  console.log(`the origin got ${await countOf(origin) - before} requests in these rounds`)
}

const stale = async (servers, origin) => {
  const late = settings.delay / 2
  const rows = {}
  for (const { name, port } of servers) {
    await answerOf(port)
    await sleep(settings.delay + 3000)
    const before = await countOf(origin)
    const times = await waits(port)
    await sleep(settings.delay * 2)
    rows[name] = {
      readers: times.length,
      waited: times.filter(([first]) => first > late).length,
      "waited with the next request": times.filter(([, second]) => second > late).length,
      "requests to the origin": await countOf(origin) - before
    }
  }
  console.table(rows)
}

const main = async () => {
  const [origin, ...servers] = [await start(contenders["node:http"])]
  try {
    for (const [name, contender] of Object.entries(contenders).slice(flags.stale ? 1 : 0)) {
      if (contender.program === undefined) {
        console.log(`${name} is not installed, and so not measured`)
        continue
      }
      const server = { name, rows: [], ...await start(contender, origin.port) }
      servers.push(server)
      const head = await answerOf(server.port)
      if (!contender.hit.test(head)) throw new Error(`${name} gave no hit:\n${head}`)
    }
    await (flags.stale ? stale : hits)(servers, origin)
  } finally {
    await Promise.all([origin, ...servers].map(({ stop }) => stop()))
  }
}

const [kind, ...ports] = positionals
await (kind === undefined ? main() : { constant, ours }[kind](...ports.map(Number)))
