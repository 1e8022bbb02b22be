/** Servers over sockets. What asks is a process of its own: `node scenarios/http.mjs client`. */
import { execFile, fork } from "node:child_process"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const self = fileURLToPath(import.meta.url)

/** Asks `count` times, on connections that stay open, one request at a time on each. */
const asks = ({ connections = 16, count, paths, port }) =>
  new Promise((resolve, reject) => {
    let [asked, answered] = [0, 0]
    // Who sleeps has to be woken, at the cost of the server that answers: a slower one would pay twice for it.
    const watch = () => answered < count && setImmediate(watch)
    watch()
    const head = "HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
    for (let i = 0; i < Math.min(connections, count); i++) {
      const socket = connect(port, "127.0.0.1").setNoDelay()
      let got = ""
      const next = () => asked < count ? socket.write(`GET /p/${asked++ % paths} ${head}`) : socket.end()
      socket.setEncoding("latin1")
      socket.on("error", reject)
      socket.on("connect", next)
      socket.on("data", (data) => {
        got += data
        const end = got.indexOf("\r\n\r\n")
        if (end < 0) return
        if (!got.startsWith("HTTP/1.1 200")) return reject(new Error(got.slice(0, 40)))
        const fields = got.slice(0, end)
        const length = /\r\ncontent-length: (\d+)/i.exec(fields)?.[1]
        const isWhole = length === undefined ? got.endsWith("\r\n0\r\n\r\n") : got.length >= end + 4 + Number(length)
        if (!isWhole) return
        got = ""
        next()
        if (++answered === count) resolve()
      })
    }
  })

/** What asks, and is told what. */
export const client = () => {
  const child = fork(self, ["client"], { execArgv: [] })
  return {
    ask: (wanted) =>
      new Promise((resolve, reject) => {
        child.once("message", ({ failed }) => failed === undefined ? resolve() : reject(new Error(failed)))
        child.send(wanted)
      }),
    close: () => void child.kill()
  }
}

let [one, users] = [undefined, 0]

/** What a request costs the server, by the time its process had a CPU where that is less than the clock's. */
export const p = {
  title: "HTTP: 1,024 bytes, 16 connections; a server by itself, and a hit",
  kind: "http",
  floor: "bare Effect server",
  unit: "a request",
  entry: async (contender) => {
    const server = await contender.open({})
    users++
    one ??= client()
    const { port } = server
    const run = (count) => one.ask({ count, paths: 16, port })
    await run(160)
    await run(160)
    const before = server.runs()
    await run(160)
    if (contender.only.includes("http cache") && server.runs() > before) throw new Error("its hits are none")
    return {
      name: contender.name,
      run,
      close: async () => {
        await server.close()
        if (--users === 0) one.close()
      }
    }
  }
}

// ----- what a response weighs

const used = () => {
  for (let times = 0; times < 4; times++) globalThis.gc()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

const weigh = async (name) => {
  const contender = Object.values(await import("../contenders/http.mjs")).find((one) => one.name === name)
  const { length } = await import("../contenders/http.mjs")
  const server = await contender.open({})
  const asking = client()
  const paths = 20_000
  const { port } = server
  // What it needs once is not a response's.
  await asking.ask({ count: 2000, paths: 1, port })
  const before = used()
  await asking.ask({ count: paths, paths, port })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const bytes = (used() - before) / paths
  const runs = server.runs()
  await asking.ask({ count: paths, paths, port })
  asking.close()
  return { bytes, beyond: bytes - length, kept: server.runs() === runs }
}

export const pMemory = {
  title: "HTTP: bytes per response of 1,024 bytes that is kept, at 20,000 of them",
  kind: "http cache",
  alone: async ({ name }) => {
    const args = ["--expose-gc", self, "weigh", name]
    return JSON.parse((await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 })).stdout)
  }
}

if (process.argv[1] === self) {
  if (process.argv[2] === "client") {
    process.on(
      "message",
      (wanted) => asks(wanted).then(() => process.send({}), (error) => process.send({ failed: error.message }))
    )
  } else {
    process.stdout.write(JSON.stringify(await weigh(process.argv[3])))
    process.exit(0)
  }
}
