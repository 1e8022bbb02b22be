/**
 * The reverse proxy's hits beside a bare `node:http` server that answers a constant: requests a second, and what a
 * request costs the server in CPU time. `npm run build && node bench/proxy.mjs`, on Linux, macOS or Windows.
 */
import { Effect, Layer } from "effect"
import { fork } from "node:child_process"
import { createServer } from "node:http"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"
import { Swr } from "../dist/index.js"

const settings = { rounds: 9, millis: 1000, connections: 32, size: 1024 }
const host = "127.0.0.1"

// ----- the servers, each a process of its own, which tell their CPU time when they are asked

const bare = (port) => {
  const body = Buffer.alloc(settings.size, "x")
  const fields = { "content-type": "text/plain", "content-length": body.length, "cache-control": "max-age=3600" }
  createServer((_, response) => response.writeHead(200, fields).end(body)).listen(port, host, () => process.send("up"))
}

const proxy = async (port, origin) => {
  const Proxy = await import("../build/examples/proxy/Proxy.js")
  const served = Proxy.layer({ ...Proxy.defaults, cache: {}, port, origin: `http://${host}:${origin}` })
  const up = Layer.effectDiscard(Effect.sync(() => process.send("up")))
  Effect.runFork(Layer.launch(up.pipe(Layer.provide(served), Layer.provide(Swr.layer()))))
}

const [kind, ...ports] = process.argv.slice(2)
if (kind !== undefined) {
  process.on("message", () => process.send(process.cpuUsage()))
  process.on("disconnect", () => process.exit())
  await { bare, proxy }[kind](...ports.map(Number))
}

// ----- the readers: each has a connection that is kept, and asks again when it has an answer

const read = (port) =>
  new Promise((resolve, reject) => {
    const asked = `GET /page HTTP/1.1\r\nHost: ${host}:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`
    const end = performance.now() + settings.millis
    let [count, open] = [0, settings.connections]
    for (let i = 0; i < settings.connections; i++) {
      let [text, length] = ["", 0]
      const socket = connect(port, host, () => socket.write(asked)).setEncoding("latin1").setNoDelay().on(
        "error",
        reject
      )
      socket.on("data", (chunk) => {
        text += chunk
        // All answers of a server are of one length, but for a digit of their age.
        const head = text.indexOf("\r\n\r\n")
        if (head === -1) return
        length = head + 4 + settings.size
        if (text.length < length) return
        if (!text.startsWith("HTTP/1.1 200")) return reject(new Error(text.slice(0, head)))
        text = ""
        count++
        if (performance.now() < end) return socket.write(asked)
        socket.destroy()
        if (--open === 0) resolve(count)
      })
    }
  })

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
const told = (child, what) =>
  new Promise((resolve) => {
    child.once("message", resolve)
    if (what !== undefined) child.send(what)
  })

if (kind === undefined) {
  const started = []
  for (const [name, ...args] of [["bare", 7811], ["proxy", 7812, 7811]]) {
    const child = fork(fileURLToPath(import.meta.url), [name, ...args])
    await told(child)
    started.push({ name, child, port: args[0], rates: [], costs: [] })
  }
  for (let round = -2; round < settings.rounds; round++) {
    for (const { child, costs, port, rates } of round % 2 === 0 ? started : started.toReversed()) {
      const before = await told(child, "cpu")
      const began = performance.now()
      const count = await read(port)
      const seconds = (performance.now() - began) / 1000
      const after = await told(child, "cpu")
      if (round < 0) continue
      rates.push(count / seconds)
      costs.push((after.user + after.system - before.user - before.system) / count)
    }
  }
  for (const { child, costs, name, rates } of started) {
    child.disconnect()
    console.log(`${name}: ${Math.round(median(rates))} requests/s, ${median(costs).toFixed(1)} µs of CPU each`)
  }
  const [floor, ours] = started
  const rate = median(ours.rates.map((rate, i) => rate / floor.rates[i]))
  const cost = median(floor.costs.map((cost, i) => cost / ours.costs[i]))
  console.log(`the proxy answers ${rate.toFixed(2)} times as many as the bare server; by CPU time ${cost.toFixed(2)}`)
}
