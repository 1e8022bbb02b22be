/** A Redis of the bench's own: on a free port, with nothing on disk, gone with the process. */
import { spawn, spawnSync } from "node:child_process"
import { connect, createServer } from "node:net"

const program = process.env.REDIS_SERVER ?? "redis-server"
const host = "127.0.0.1"

/** One that nobody listens on just now. */
export const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, host, () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

/** What it says to one command; "" where nobody listens. */
const ask = (port, command) =>
  new Promise((resolve) => {
    let said = ""
    const socket = connect({ port, host })
    const end = () => resolve(said)
    socket.on("data", (data) => void (said += data)).on("error", end).on("close", end)
    socket.write(`${command}\r\nQUIT\r\n`)
  })

const start = async () => {
  if (spawnSync(program, ["--version"]).status !== 0) throw new Error(`${program} was not found`)
  const port = await freePort()
  const args = ["--port", port, "--bind", host, "--save", "", "--appendonly", "no"].map(String)
  // The shell holds our end of a pipe: however this process ends, the server does too.
  const shell = spawn("sh", ["-c", "\"$0\" \"$@\" >/dev/null 2>&1 & read _; kill -9 $!", program, ...args], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/"
  })
  shell.unref()
  while (!(await ask(port, "PING")).startsWith("+PONG")) await new Promise((resolve) => setTimeout(resolve, 10))
  return port
}

let started

/** One for all; begun when it is first wanted. */
export const redis = () => started ??= start().then((port) => ({ host, port, url: `redis://${host}:${port}` }))

/**
 * How many commands came from clients so far, by name. What a script calls is counted by Redis too: where there are
 * scripts, they alone are what came.
 */
export const commands = async () => {
  const { port } = await redis()
  const info = await ask(port, "INFO commandstats")
  const calls = Object.fromEntries(
    Array.from(info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm), ([, name, count]) => [name, Number(count)])
  )
  for (const own of ["info", "ping", "quit"]) delete calls[own]
  return calls
}

/** The difference, as a text and a sum per operation. */
export const spent = (before, after, operations) => {
  const names = Object.keys(after).filter((name) => after[name] !== (before[name] ?? 0))
  const came = names.includes("evalsha") ? names.filter((name) => /^(evalsha|eval|script\|load)$/.test(name)) : names
  const each = came.map((name) => [name, (after[name] - (before[name] ?? 0)) / operations])
  return {
    roundTrips: each.reduce((sum, [, count]) => sum + count, 0),
    commands: each.map(([name, count]) => `${Number(count.toFixed(3))} ${name.toUpperCase()}`).join(" + ")
  }
}

/** How much CPU it has used so far, in milliseconds. */
export const cpu = async () => {
  const { port } = await redis()
  const info = await ask(port, "INFO cpu")
  const seconds = (name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1])
  return (seconds("used_cpu_sys") + seconds("used_cpu_user")) * 1e3
}
