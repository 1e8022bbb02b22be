import * as H from "./contenders/http.mjs"
import { client } from "./scenarios/http.mjs"
const names = process.argv[2].split(",")
const c = client()
const servers = []
for (const n of names) servers.push([n, await H[n].open({})])
for (const [, s] of servers) await c.ask({ count: 6000, paths: 16, port: s.port })
const N = 3000
const all = servers.map(() => ({ user: [], sys: [], wall: [], cpu: [] }))
for (let r = 0; r < Number(process.argv[3] ?? 9); r++) {
  for (const [i, [n, s]] of servers.entries()) {
    const b = process.cpuUsage(), t = performance.now()
    await c.ask({ count: N, paths: 16, port: s.port, connections: Number(process.argv[4] ?? 16) })
    const u = process.cpuUsage(b)
    all[i].user.push(u.user / N)
    all[i].sys.push(u.system / N)
    all[i].cpu.push((u.user + u.system) / N)
    all[i].wall.push((performance.now() - t) * 1000 / N)
  }
}
const med = (a) => a.toSorted((x, y) => x - y)[a.length >> 1]
servers.forEach(([n], i) => {
  let row = n.padEnd(14)
  for (const k of ["user", "sys", "cpu", "wall"]) {
    row += ` ${k} ${med(all[i][k]).toFixed(1)} (x${med(all[i][k].map((v, r) => v / all[0][k][r])).toFixed(2)}, least ${
      Math.min(...all[i][k]).toFixed(1)
    })`
  }
  console.log(row)
})
process.exit(0)
