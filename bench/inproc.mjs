import http from "node:http"
import { Duplex } from "node:stream"
const servers = []
const orig = http.Server.prototype.listen
http.Server.prototype.listen = function(...a) {
  servers.push(this)
  return orig.apply(this, a)
}
const H = await import("./contenders/http.mjs")
const names = process.argv[2].split(",")
const list = []
for (const n of names) {
  const at = servers.length
  const s = await H[n].open({})
  list.push([n, servers.at(-1)])
}
const raw = Buffer.from("GET /p/1 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
const open = (server) => {
  let done
  const sock = new Duplex({
    read() {},
    write(c, e, cb) {
      cb()
      done?.()
    },
    writev(cs, cb) {
      cb()
      done?.()
    }
  })
  sock.setTimeout = () => sock
  sock.setNoDelay = () => sock
  sock.setKeepAlive = () => sock
  sock.ref = sock.unref = () => sock
  server.emit("connection", sock)
  return (n) =>
    new Promise((resolve) => {
      let left = n
      done = () => {
        if (--left === 0) return resolve()
        setImmediate(() => sock.push(raw))
      }
      sock.push(raw)
    })
}
const gos = list.map(([n, s]) => [n, open(s)])
for (const [, go] of gos) await go(20000)
const N = 10000
const all = gos.map(() => [])
for (let r = 0; r < Number(process.argv[3] ?? 9); r++) {
  for (const [i, [, go]] of gos.entries()) {
    const b = process.cpuUsage()
    await go(N)
    const u = process.cpuUsage(b)
    all[i].push((u.user + u.system) / N)
  }
}
const med = (a) => a.toSorted((x, y) => x - y)[a.length >> 1]
gos.forEach(([n], i) =>
  console.log(
    n.padEnd(14),
    med(all[i]).toFixed(2),
    "us",
    Math.min(...all[i]).toFixed(2),
    "x" + med(all[i].map((v, r) => v / all[0][r])).toFixed(2)
  )
)
process.exit(0)
