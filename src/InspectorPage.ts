/**
 * The page of the inspector: its style, its script and its document, written by hand and sent as they are. The script
 * puts text on the page as text alone, and speaks to nobody but its own server.
 *
 * @since 0.1.0
 */

/** Plain CSS. A state has a colour and a shape. */
export const style = String.raw`
:root {
  color-scheme: light dark;
  --ground: #f7f6f3; --paper: #ffffff; --raised: #fbfaf8; --line: #e5e2dc; --strong: #cfcac1;
  --ink: #1f1d1a; --soft: #625d55; --faint: #6f695f;
  --accent: #3550c8; --accent-soft: #e9edfb;
  --fresh: #1c8a57; --stale: #ad6b00; --expired: #c23b22; --waited: #5f6673;
  --fresh-track: #dcefe4; --stale-track: #f6e7c9; --expired-track: #f8ddd6;
  --shadow: 0 1px 2px rgb(31 29 26 / 6%), 0 8px 24px rgb(31 29 26 / 8%);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #111214; --paper: #18191c; --raised: #1d1f22; --line: #2a2c31; --strong: #3d4047;
    --ink: #eceae6; --soft: #a9a59d; --faint: #918d86;
    --accent: #93a6ff; --accent-soft: #23283d;
    --fresh: #45c98a; --stale: #e6ab45; --expired: #f4755d; --waited: #9aa1ad;
    --fresh-track: #1c3529; --stale-track: #3a2f1a; --expired-track: #3d231e;
    --shadow: 0 1px 2px rgb(0 0 0 / 40%), 0 8px 24px rgb(0 0 0 / 40%);
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html, body { height: 100%; margin: 0; }
body {
  display: grid; grid-template-rows: auto minmax(0, 1fr); background: var(--ground); color: var(--ink);
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-font-smoothing: antialiased;
}
h1, h2, h3, p, figure, dl, dd, ol { margin: 0; padding: 0; }
button, input, select { font: inherit; color: inherit; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; border-radius: 6px; }
.mono { font-family: var(--mono); font-size: 12px; }

.top {
  display: flex; align-items: center; gap: 12px; min-width: 0; padding: 0 16px; height: 48px;
  background: var(--paper); border-bottom: 1px solid var(--line);
}
.top h1 { display: flex; align-items: center; gap: 9px; font-size: 14px; font-weight: 650; letter-spacing: -.01em; }
.top h1 span { color: var(--soft); font-weight: 400; }
.logo { display: grid; gap: 2px; width: 18px; }
.logo i { height: 4px; border-radius: 2px; }
.logo i:nth-child(1) { background: var(--fresh); width: 18px; }
.logo i:nth-child(2) { background: var(--stale); width: 13px; }
.logo i:nth-child(3) { background: var(--expired); width: 8px; }
.badge {
  padding: 1px 8px; border: 1px solid var(--line); border-radius: 99px; color: var(--soft); font-size: 11.5px;
  white-space: nowrap;
}
.link { margin-left: auto; display: flex; align-items: center; gap: 7px; color: var(--soft); white-space: nowrap; }
.link::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--fresh); }
.link.off { color: var(--expired); }
.link.off::before { background: none; border: 2px solid var(--expired); }

.page { display: grid; grid-template-columns: 200px minmax(0, 1fr); min-height: 0; }
.page.open { grid-template-columns: 200px minmax(0, 1fr) 376px; }
nav { overflow: auto; padding: 12px 8px; border-right: 1px solid var(--line); background: var(--raised); }
nav h2 { padding: 0 8px 6px; font-size: 11.5px; font-weight: 500; color: var(--soft); }
nav button {
  display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 2px 8px; width: 100%; padding: 7px 8px 8px;
  border: 0; border-radius: 7px; background: none; text-align: left; cursor: pointer;
}
nav button:hover { background: color-mix(in srgb, var(--ink) 5%, transparent); }
nav button[aria-current="true"] { background: var(--accent-soft); }
nav .n { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 550; }
nav .c { color: var(--soft); }
nav .mix { grid-column: 1 / -1; display: flex; gap: 1px; height: 4px; margin-top: 3px; }
.mix i { border-radius: 2px; background: var(--strong); flex: 0 1 auto; }
.mix .fresh { background: var(--fresh); } .mix .stale { background: var(--stale); }
.mix .waited { background: var(--waited); }
nav .ill { color: var(--expired); }

main {
  container-type: inline-size; display: grid; grid-template-columns: minmax(0, 1fr);
    grid-template-rows: auto auto auto auto minmax(0, 1fr);
  gap: 12px; min-width: 0; min-height: 0; padding: 16px 16px 0;
}
.head h2 { font-size: 17px; font-weight: 650; letter-spacing: -.015em; overflow-wrap: anywhere; }
.head p { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 10px; }
.tile { padding: 9px 12px 10px; background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  min-width: 0; }
.tile h3 { font-size: 12px; font-weight: 500; color: var(--soft); }
.tile h3, .tile p { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.tile b { display: block; font-size: 20px; line-height: 1.3; font-weight: 620; letter-spacing: -.02em;
  white-space: nowrap; }
.tile p { color: var(--soft); font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.tile.ill b { color: var(--expired); }

.charts summary { display: none; padding: 2px 0; color: var(--soft); cursor: pointer; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; }
figure { padding: 9px 12px 7px; background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 12px; color: var(--soft); font-size: 12px;
  }
figcaption strong { color: var(--ink); font-weight: 600; font-size: 12.5px; margin-right: auto; }
.key-of { display: inline-flex; align-items: center; gap: 5px; white-space: nowrap; }
.line { width: 12px; height: 2px; background: var(--accent); } .line.pale { width: 3px; height: 10px; opacity: .35; }
.line.tick { width: 3px; height: 8px; background: var(--expired); }
.plot { position: relative; height: 96px; margin-top: 6px; }
.plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.plot .most { position: absolute; top: 0; left: 0; color: var(--faint); font-size: 11px; }
.times { display: flex; justify-content: space-between; color: var(--faint); font-size: 11px; }
svg .fresh { fill: var(--fresh); fill-opacity: .8; } svg .waited { fill: var(--waited); }
svg .base { stroke: var(--line); fill: none; vector-effect: non-scaling-stroke; }
svg .median { stroke: var(--accent); stroke-width: 1.75; fill: none; vector-effect: non-scaling-stroke; }
svg .longest { stroke: var(--accent); stroke-opacity: .28; stroke-width: 2; fill: none;
  vector-effect: non-scaling-stroke; }
svg .failed { stroke: var(--expired); stroke-width: 2.5; fill: none; vector-effect: non-scaling-stroke; }
svg .hatch { stroke: var(--stale); } svg .hatch-ground { fill: var(--stale-track); }

.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; }
.tools input, .tools select, #ask input {
  height: 30px; padding: 0 10px; background: var(--paper); border: 1px solid var(--strong); border-radius: 7px;
}
.tools input { flex: 1 1 150px; min-width: 0; max-width: 320px; }
.tools input::placeholder { color: var(--faint); }
.chips { display: flex; gap: 4px; overflow-x: auto; scrollbar-width: none; padding: 2px; }
.chips button {
  display: flex; align-items: center; gap: 6px; height: 28px; padding: 0 10px; border: 1px solid var(--line);
  border-radius: 99px; background: var(--paper); cursor: pointer; white-space: nowrap;
}
.chips button[aria-pressed="true"] { background: var(--accent-soft); border-color: var(--accent); }
.chips span { color: var(--soft); }
.tools label { display: flex; align-items: center; gap: 6px; margin-left: auto; color: var(--soft); white-space: nowrap;
  }

.shape { flex: none; display: inline-block; width: 10px; height: 10px; border-radius: 50%; }
.shape.fresh { background: var(--fresh); }
.shape.stale { border: 2px solid var(--stale); background: linear-gradient(90deg, var(--stale) 50%, transparent 50%); }
.shape.expired { border: 2px solid var(--expired); }
.shape.none, .shape.gone { border: 2px dotted var(--strong); }
.shape.waited { border-radius: 2px; background: var(--waited); }
.shape.loading {
  border: 2px solid var(--strong); border-top-color: var(--accent); animation: turn .9s linear infinite;
}
.shape.failing { width: 0; height: 0; border-radius: 0; border: 6px solid transparent; border-top: 0;
  border-bottom: 10px solid var(--expired); }
@keyframes turn { to { transform: rotate(1turn); } }

.list {
  display: grid; grid-template-rows: auto minmax(0, 1fr); min-height: 0; background: var(--paper);
  border: 1px solid var(--line); border-bottom: 0; border-radius: 10px 10px 0 0; overflow: hidden;
}
.row {
  display: grid; align-items: center; gap: 0 14px; padding: 0 14px; height: 40px;
  grid-template-columns: 96px minmax(110px, 1fr) minmax(150px, 1.5fr) 64px 66px 66px 104px 56px;
}
.heads { height: 32px; border-bottom: 1px solid var(--line); color: var(--soft); font-size: 12px;
  background: var(--raised); }
.heads .window { display: flex; gap: 12px; }
.num { text-align: right; white-space: nowrap; }
#scroll { position: relative; overflow: auto; contain: strict; }
#scroll:focus-visible { outline-offset: -2px; }
#space { position: relative; }
#space .row {
  position: absolute; left: 0; right: 0; top: 0; border-bottom: 1px solid var(--line); cursor: pointer;
}
#space .row:hover { background: var(--raised); }
#space .row[aria-selected="true"] { background: var(--accent-soft); }
#scroll:focus-visible .row.active { box-shadow: inset 3px 0 0 var(--accent); }
.state { display: flex; align-items: center; gap: 7px; min-width: 0; white-space: nowrap; }
.state .shape:nth-of-type(2) { order: 3; }
.k, #of { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.dim { color: var(--soft); } .bad { color: var(--expired); }
.blank { padding: 40px 16px; text-align: center; color: var(--soft); }

.bar { display: flex; gap: 2px; height: 10px; }
.bar.big { height: 16px; gap: 3px; }
.bar i { position: relative; overflow: hidden; min-width: 6px; border-radius: 3px; }
.bar i b { position: absolute; inset: 0; will-change: transform; box-shadow: -2px 0 0 var(--paper); }
.bar .fresh { flex: 5 1 0; background: var(--fresh); } .bar .fresh b { background: var(--fresh-track); }
.bar .stale { flex: 4 1 0;
  background: repeating-linear-gradient(-45deg, var(--stale) 0 4px, color-mix(in srgb, var(--stale) 62%,
    var(--paper)) 4px 7px); }
.bar .stale b { background: var(--stale-track); }
.bar .expired { flex: 3 1 0;
  background: repeating-linear-gradient(90deg, var(--expired) 0 3px, color-mix(in srgb, var(--expired) 45%,
    var(--paper)) 3px 6px); }
.bar .expired b { background: var(--expired-track); }
.bar .nothing { flex: 1; border: 1px dashed var(--strong); }

aside { display: grid; grid-template-columns: minmax(0, 1fr); grid-template-rows: auto minmax(0, 1fr); min-height: 0;
  background: var(--paper);
  border-left: 1px solid var(--line); }
aside header { display: flex; align-items: flex-start; gap: 10px; padding: 14px 14px 10px 16px; }
aside header div { min-width: 0; flex: 1; }
aside h2 { max-height: 6.2em; overflow: auto; font: 600 13px/1.5 var(--mono); overflow-wrap: anywhere; }
.close { width: 30px; height: 30px; border: 0; border-radius: 7px; background: none; cursor: pointer; font-size: 17px;
  line-height: 1; color: var(--soft); }
.close:hover { background: color-mix(in srgb, var(--ink) 6%, transparent); }
.body { overflow: auto; padding: 0 16px 24px; }
.body > * + * { margin-top: 14px; }
.ends { display: flex; gap: 3px; margin-top: 4px; color: var(--soft); font-size: 11.5px; }
.ends span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.why { padding: 10px 12px; border-radius: 8px; background: var(--raised); border: 1px solid var(--line); }
.acts { display: flex; flex-wrap: wrap; gap: 8px; }
.acts button, #ask button {
  height: 32px; padding: 0 13px; border: 1px solid var(--strong); border-radius: 7px; background: var(--paper);
  cursor: pointer; font-weight: 550;
}
.acts button:hover:not(:disabled) { border-color: var(--ink); }
.acts .danger:not(:disabled) { color: var(--expired); }
.acts button:disabled { color: var(--faint); border-color: var(--line); cursor: not-allowed; }
.acts p { flex-basis: 100%; color: var(--soft); font-size: 12px; }
dl { display: grid; grid-template-columns: 118px minmax(0, 1fr); gap: 4px 12px; }
dt { color: var(--soft); } dd { overflow-wrap: anywhere; }
.body h3 { font-size: 12.5px; font-weight: 600; margin-bottom: 6px; }
pre { max-height: 260px; margin: 6px 0 0; padding: 10px 12px; overflow: auto; border-radius: 8px;
  background: var(--ground);
  border: 1px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; }
.log { list-style: none; position: relative; }
.log li { position: relative; display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 10px;
  padding: 4px 0 5px 20px; }
.log li::before { content: ""; position: absolute; left: 4px; top: 0; bottom: 0; width: 1px; background: var(--line); }
.log li::after { content: ""; position: absolute; left: 0; top: 9px; width: 9px; height: 9px; border-radius: 50%;
  background: var(--paper); border: 2px solid var(--strong); }
.log .good::after { background: var(--fresh); border-color: var(--fresh); }
.log .old::after { border-color: var(--stale); background: linear-gradient(90deg, var(--stale) 50%, var(--paper) 50%); }
.log .wrong::after { border-radius: 1px; border-color: var(--expired); background: var(--expired); }
.log .load::after { border-color: var(--accent); }
.log .word::after { border-radius: 1px; border-color: var(--ink); background: var(--ink); }
.log small { grid-column: 1 / -1; color: var(--soft); font-size: 12px; overflow-wrap: anywhere; }
.log time { color: var(--soft); white-space: nowrap; }
.times-of { color: var(--soft); }

#toast { position: fixed; left: 50%; bottom: 20px; transform: translateX(-50%); padding: 8px 14px; border-radius: 8px;
  background: var(--ink); color: var(--paper); box-shadow: var(--shadow); max-width: calc(100vw - 32px); }
#toast:empty { display: none; }
#ask { border: 1px solid var(--line); border-radius: 12px; background: var(--paper); color: var(--ink); padding: 20px;
  width: min(380px, calc(100vw - 32px)); box-shadow: var(--shadow); }
#ask::backdrop { background: rgb(0 0 0 / 40%); }
#ask h2 { font-size: 15px; } #ask p { color: var(--soft); margin: 4px 0 12px; }
#ask div { display: flex; gap: 8px; } #ask input { flex: 1; min-width: 0; }
.away { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@container (max-width: 940px) {
  .row { grid-template-columns: 96px minmax(100px, 1fr) minmax(130px, 1.4fr) 60px 60px 96px; }
  .c-load, .c-weight { display: none; }
  .tiles { gap: 8px; } .tile h3 { font-size: 11.5px; letter-spacing: -.01em; } .tile { padding: 8px 10px 9px; }
  .tile b { font-size: 18px; }
  .tile p { white-space: normal; line-height: 1.3; font-size: 11.5px; height: 2.6em; }
}
@container (max-width: 800px) {
  .chips { order: 3; flex: 1 1 100%; }
  .tools input { flex: 1 1 0; max-width: none; }
}
@container (max-width: 520px) {
  .two { grid-template-columns: 1fr; }
  .tiles { grid-template-columns: repeat(5, 124px); overflow-x: auto; scrollbar-width: none; }
}
@container (max-width: 630px) {
  .heads { display: none; }
  .list { grid-template-rows: minmax(0, 1fr); }
  .row { height: 62px; gap: 4px 10px; align-content: center; grid-template-columns: minmax(0, 1fr) auto auto; }
  .row .k { grid-column: 1; grid-row: 1; } .row .state { grid-column: 2; grid-row: 1; }
  .row .c-age { grid-column: 3; grid-row: 1; min-width: 52px; } .row .window { grid-column: 1 / -1; grid-row: 2; }
  .c-reads, .c-next { display: none; }
}
@media (max-width: 860px) {
  .page, .page.open { grid-template-columns: minmax(0, 1fr); grid-template-rows: auto minmax(0, 1fr); }
  nav { display: flex; gap: 6px; padding: 8px 16px; border: 0; border-bottom: 1px solid var(--line); overflow-x: auto;
    scrollbar-width: none; }
  nav h2 { display: none; }
  nav button { width: auto; min-width: 116px; max-width: 60vw; flex: none; }
  main { padding: 12px 12px 0; gap: 10px; }
  .charts summary { display: list-item; }
  .tools input, .tools select { height: 36px; font-size: 16px; } .tools select { max-width: 124px; }
  .tools label { margin-left: 0; } .tools label span { display: none; }
  aside { position: fixed; inset: 0; z-index: 2; border: 0; }
  .close { width: 40px; height: 40px; } .acts button { height: 40px; flex: 1; }
}
@media (max-height: 860px) { .plot { height: 66px; } }
@media (prefers-reduced-motion: reduce) { .shape.loading { animation-duration: 4s; } }
@media (forced-colors: active) { .shape, .bar i, .bar i b, .mix i { forced-color-adjust: none; } }
`

/** Plain JavaScript, no framework, no markup from text. */
export const script = String.raw`
;(() => {
  "use strict"
  const $ = (id) => document.getElementById(id)
  const el = (tag, name, text) => {
    const element = document.createElement(tag)
    if (name) element.className = name
    if (text !== undefined) element.textContent = text
    return element
  }
  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text
  }
  const named = (element, name) => {
    if (element.className !== name) element.className = name
  }
  const svg = (parent, tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
    for (const name in attributes) element.setAttribute(name, attributes[name])
    parent.append(element)
    return element
  }

  // ----- words and numbers
  const span = (ms) => {
    if (ms < 1000) return Math.round(ms) + " ms"
    const s = ms / 1000
    if (s < 60) return s.toFixed(1) + " s"
    if (s < 3600) return Math.floor(s / 60) + "m " + Math.floor(s % 60) + "s"
    if (s < 86400) return Math.floor(s / 3600) + "h " + Math.floor(s % 3600 / 60) + "m"
    return Math.floor(s / 86400) + "d " + Math.floor(s % 86400 / 3600) + "h"
  }
  const window_ = (ms) =>
    ms < 1000 || ms % 1000 && ms < 60000 ? span(ms) : span(ms).replace(/\.0 s$/, " s").replace(/ 0[smh]$/, "")
  const many = (n) =>
    n < 10000 ? String(n) : n < 999500 ? (n / 1000).toFixed(n < 99950 ? 1 : 0) + "k" : (n / 1e6).toFixed(1) + "M"
  const full = (n) => n.toLocaleString("en-US")
  const share = (part, whole) =>
    whole === 0 ? "–" : (100 * part / whole).toFixed(part === whole || part === 0 ? 0 : 1) + " %"
  const counted = (n, one, more) => full(n) + " " + (n === 1 ? one : more)
  const causes = { miss: "a reader waits for it", refresh: "behind the readers", revalidate: "somebody asked for it" }
  const reasons = {
    revalidating: "a refresh is under way",
    error: "the last load failed",
    timeout: "the load was slow",
    lease: "another process is loading",
    marked: "it was marked stale",
    store: "the store is away"
  }
  const evictions = { capacity: "there are too many keys", weight: "they are too heavy", dead: "past its life" }
  const leases = {
    given: "this process has the lease",
    held: "another process loads it",
    cooling: "it failed elsewhere a moment ago"
  }
  const drops = {
    forgotten: "the last word came while it loaded",
    share: "keep said share",
    pass: "keep said pass",
    keep: "keep threw, or gave bad windows",
    weight: "it is too heavy",
    encode: "it does not encode"
  }

  // ----- what the page asks for
  const state = { cache: "", query: "", filter: "all", order: "kept", id: "", active: 0 }
  let epoch = 0, csrf = "", writable = false, total = 0, lastSecond = 0
  let rows = new Map(), points = new Map()
  const base = location.pathname.replace(/\/+$/, "")
  let token = ""
  const tokenName = "effect-swr inspector " + base
  try {
    const given = /[#&]token=([^&]*)/.exec(location.hash)
    if (given) {
      sessionStorage.setItem(tokenName, decodeURIComponent(given[1]))
      history.replaceState(null, "", location.pathname + location.search)
    }
    token = sessionStorage.getItem(tokenName) || ""
  } catch {}
  const headers = (more) =>
    Object.assign({ "x-effect-swr": "inspector" }, token ? { authorization: "Bearer " + token } : {}, more)

  let busy = false, again = false, timer = 0, misses = 0
  const soon = () => {
    if (busy) again = true
    else {
      clearTimeout(timer)
      ask()
    }
  }
  const ask = async () => {
    busy = true
    again = false
    const asked = epoch, id = state.id
    const [first, size] = visible()
    const search = new URLSearchParams({
      cache: state.cache,
      query: state.query,
      state: state.filter,
      order: state.order,
      id: state.id,
      offset: Math.max(0, first - 10),
      limit: Math.min(200, size + 20),
      since: lastSecond
    })
    try {
      const answer = await fetch(base + "/view?" + search, {
        headers: headers(),
        cache: "no-store",
        signal: AbortSignal.timeout(8000)
      })
      if (answer.status === 401) {
        if (!$("ask").open) $("ask").showModal()
        throw new Error("a token is needed")
      }
      if (!answer.ok) throw new Error((await answer.text()).trim().slice(0, 200) || "status " + answer.status)
      const told = await answer.json()
      misses = 0
      link("")
      if (asked === epoch) show(told, id)
    } catch (error) {
      misses++
      link(error instanceof TypeError || error.name === "TimeoutError" ? "no answer, trying again" : error.message)
    }
    busy = false
    const rest = again ? 0 : misses ? Math.min(5000, 500 * 2 ** misses) : 500
    if (!document.hidden) timer = setTimeout(ask, rest)
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) soon()
  })
  const link = (problem) => {
    put($("link"), problem || "live")
    named($("link"), problem ? "link off" : "link")
  }
  const anew = () => {
    epoch++
    rows = new Map()
    state.active = 0
    $("scroll").scrollTop = 0
    soon()
  }
  const change = (part) => {
    Object.assign(state, part)
    anew()
  }

  // ----- a bar: three windows, each uncovered as the age moves through it
  const bar = (name) => {
    const root = el("span", "bar" + (name || ""))
    root.setAttribute("aria-hidden", "true")
    const parts = ["fresh", "stale", "expired"].map((each) => {
      const part = el("i", each), cover = el("b")
      part.append(cover)
      return { part, cover, motion: null }
    })
    const nothing = el("i", "nothing")
    root.append(...parts.map(({ part }) => part), nothing)
    let shown = null
    const still = matchMedia("(prefers-reduced-motion: reduce)")
    return {
      root,
      draw(row) {
        const mark = row && row.stamp ? row.id + "/" + row.stamp + "/" + row.staleUntil + "/" + row.end : ""
        if (mark === shown) return
        shown = mark
        nothing.hidden = mark !== ""
        const edges = mark ? [0, row.freshUntil, row.staleUntil, row.end] : [0, 0, 0, 0]
        parts.forEach((each, i) => {
          const from = edges[i], length = edges[i + 1] - from
          if (each.motion) each.motion.cancel()
          each.motion = null
          each.part.hidden = length <= 0
          if (length <= 0) return
          each.motion = each.cover.animate(
            [{ transform: "translateX(0%)" }, { transform: "translateX(100%)" }],
            { duration: length, delay: from - row.age, fill: "both", easing: still.matches ? "steps(12)" : "linear" }
          )
        })
      }
    }
  }

  // ----- the list: only what is in sight is there
  const wordOf = (row) => {
    if (!row) return ["none", "…"]
    if (row.status === undefined) return ["gone", "gone"]
    if (row.status !== "none") return [row.status, row.status]
    if (row.loading) return ["loading", "loading"]
    if (row.failureFor > 0) return ["failing", "failed"]
    return ["none", row.passFor > 0 ? "pass" : "empty"]
  }
  const nextOf = (row) =>
    row.heldFor > 0 ? "in " + span(row.heldFor) : row.loading ? "loading" : row.status === "fresh" ? "–" : "now"
  const sum = ({ fresh, stale, waited }) => fresh + stale + waited
  let pool = []
  const height = () => $("list").clientWidth < 630 ? 62 : 40
  const visible = () => {
    const scroll = $("scroll"), h = height()
    return [Math.floor(scroll.scrollTop / h), Math.ceil(scroll.clientHeight / h) + 1]
  }
  const makeRow = () => {
    const root = el("div", "row")
    root.setAttribute("role", "row")
    const cell = (name) => {
      const each = el("span", name)
      each.setAttribute("role", "gridcell")
      root.append(each)
      return each
    }
    const of = { root, index: -1, row: null, state: cell("state"), key: cell("k mono"), window: cell("window") }
    of.shape = el("i", "shape")
    of.word = el("span")
    of.second = el("i", "shape")
    of.state.append(of.shape, of.word, of.second)
    of.bar = bar()
    of.window.append(of.bar.root)
    of.age = cell("num c-age")
    of.reads = cell("num c-reads")
    of.load = cell("num c-load dim")
    of.next = cell("num c-next")
    of.weight = cell("num c-weight dim")
    root.addEventListener("click", () => {
      state.active = of.index
      if (of.row) open(of.row)
    })
    return of
  }
  const drawRow = (of, index, row) => {
    const h = height()
    if (of.index !== index || of.h !== h) {
      of.index = index
      of.h = h
      of.root.style.transform = "translateY(" + index * h + "px)"
      of.root.id = "row" + index
      of.root.setAttribute("aria-rowindex", index + 2)
    }
    of.row = row || null
    named(of.root, index === state.active ? "row active" : "row")
    const selected = String(!!row && row.id === state.id)
    if (of.root.getAttribute("aria-selected") !== selected) of.root.setAttribute("aria-selected", selected)
    const [shape, word] = wordOf(row)
    named(of.shape, "shape " + shape)
    put(of.word, word)
    const known = !!row && row.status !== undefined
    const second = known && shape !== "loading" && row.loading ? "loading" : known && row.failures > 0 ? "failing" : ""
    of.second.hidden = second === ""
    named(of.second, "shape " + second)
    of.second.title = second === "failing" ? counted(row.failures, "failed load", "failed loads in a row") : ""
    if (known) {
      const key = row.key === "" ? "(the empty key)" : row.key.slice(0, 200)
      put(of.key, key)
      of.key.title = key
    } else put(of.key, row && of.key.textContent || "")
    of.bar.draw(row)
    put(of.age, known && row.stamp ? span(row.age) : "")
    put(of.reads, known ? many(sum(row.reads)) : "")
    put(of.load, known && row.lastLoad ? span(row.lastLoad.duration) : "")
    put(of.next, known ? nextOf(row) : "")
    named(of.next, "num c-next" + (known && row.heldFor > 0 ? " bad" : " dim"))
    put(of.weight, known ? many(row.weight) : "")
  }
  // Browsers give up on boxes of more than some 30 million pixels.
  const reach = () => Math.min(total, 400000)
  const draw = () => {
    const [first, size] = visible()
    const from = Math.max(0, first - 4), to = Math.min(reach(), first + size + 4)
    const wanted = Math.min(60, size + 8)
    while (pool.length < wanted) {
      const of = makeRow()
      pool.push(of)
      $("space").append(of.root)
    }
    const used = new Set()
    for (let index = from; index < to; index++) {
      const of = pool[index % pool.length]
      used.add(of)
      of.root.hidden = false
      drawRow(of, index, rows.get(index))
    }
    for (const of of pool) if (!used.has(of)) of.root.hidden = true
    $("space").style.height = reach() * height() + "px"
    $("list").setAttribute("aria-rowcount", total + 1)
    $("scroll").setAttribute("aria-activedescendant", total ? "row" + state.active : "")
  }
  let drawing = 0
  const redraw = () => {
    if (!drawing) {
      drawing = requestAnimationFrame(() => {
        drawing = 0
        draw()
      })
    }
  }
  $("scroll").addEventListener("scroll", () => {
    redraw()
    const [first, size] = visible()
    for (let i = first; i < Math.min(first + size, total); i++) if (!rows.has(i)) return soon()
  }, { passive: true })
  addEventListener("resize", redraw)
  $("scroll").addEventListener("keydown", (event) => {
    const page = Math.max(1, visible()[1] - 2)
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key]
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault()
      const row = rows.get(state.active)
      if (row) open(row, true)
    }
    if (move === undefined || total === 0) return
    event.preventDefault()
    state.active = Math.min(reach() - 1, Math.max(0, state.active + move))
    const scroll = $("scroll"), h = height(), top = state.active * h
    if (top < scroll.scrollTop) scroll.scrollTop = top
    else if (top + h > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + h - scroll.clientHeight
    draw()
  })

  // ----- charts: the last minutes, second by second, as far as there is something to show
  const W = 600, H = 96
  const chart = (id) => {
    const root = svg($(id), "svg", { viewBox: "0 0 " + W + " " + H, preserveAspectRatio: "none", role: "img" })
    svg(root, "path", { class: "base", d: "M0 " + H + "H" + W })
    return root
  }
  const readsChart = chart("reads-plot"), loadsChart = chart("loads-plot")
  const hatch = svg(svg(readsChart, "defs", {}), "pattern", {
    id: "hatch",
    width: 5,
    height: 5,
    patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)"
  })
  svg(hatch, "rect", { class: "hatch-ground", width: 5, height: 5 })
  svg(hatch, "path", { class: "hatch", d: "M1 0V5", "stroke-width": 2.4 })
  const areas = ["waited", "stale", "fresh"].map((name) =>
    svg(readsChart, "path", name === "stale" ? { fill: "url(#hatch)" } : { class: name })
  )
  const longest = svg(loadsChart, "path", { class: "longest" })
  const median = svg(loadsChart, "path", { class: "median" })
  const failed = svg(loadsChart, "path", { class: "failed" })
  const charts = (now) => {
    const end = Math.floor(now / 1000), age = end - Math.min(end, ...points.keys())
    const SECONDS = age <= 60 ? 60 : age <= 180 ? 180 : 300, begin = end - SECONDS
    for (const times of document.querySelectorAll(".times")) {
      put(times.children[0], SECONDS === 60 ? "1 min ago" : SECONDS / 60 + " min ago")
      put(times.children[1], SECONDS === 60 ? "30 s" : SECONDS / 120 + " min")
    }
    const at = (second) => (second - begin) / (SECONDS - 1) * W
    const all = []
    for (let second = begin; second < end; second++) all.push(points.get(second) || [second, 0, 0, 0, 0, 0, 0, 0])
    const most = Math.max(1, ...all.map((p) => p[1] + p[2] + p[3]))
    const y = (n) => (H - n / most * (H - 14)).toFixed(1)
    const layer = (of, under) => {
      const up = all.map((p) => at(p[0]).toFixed(1) + " " + y(of(p)))
      const down = all.map((p) => at(p[0]).toFixed(1) + " " + y(under(p))).reverse()
      return "M" + up.join("L") + "L" + down.join("L") + "Z"
    }
    areas[0].setAttribute("d", layer((p) => p[1] + p[2] + p[3], (p) => p[1] + p[2]))
    areas[1].setAttribute("d", layer((p) => p[1] + p[2], (p) => p[1]))
    areas[2].setAttribute("d", layer((p) => p[1], () => 0))
    put($("reads-most"), most + " a second")
    const total = all.reduce((t, p) => [t[0] + p[1], t[1] + p[2], t[2] + p[3], t[3] + p[4], t[4] + p[5]], [
      0,
      0,
      0,
      0,
      0
    ])
    readsChart.setAttribute(
      "aria-label",
      "Lately " + total[0] + " fresh, " + total[1] + " old, " + total[2] + " waited"
    )
    const slow = all.filter((p) => p[4] + p[5] > 0), top = Math.max(1, ...slow.map((p) => p[7]))
    const z = (ms) => (H - ms / top * (H - 14)).toFixed(1)
    longest.setAttribute("d", slow.map((p) => "M" + at(p[0]).toFixed(1) + " " + H + "V" + z(p[7])).join("") || "M0 0")
    median.setAttribute(
      "d",
      slow.length ? "M" + slow.map((p) => at(p[0]).toFixed(1) + " " + z(p[6])).join("L") : "M0 0"
    )
    failed.setAttribute(
      "d",
      slow.filter((p) => p[5] > 0).map((p) => {
        return "M" + at(p[0]).toFixed(1) + " 0v8"
      }).join("") || "M0 0"
    )
    put($("loads-most"), slow.length ? span(top) : "")
    loadsChart.setAttribute(
      "aria-label",
      "Lately " + total[3] + " loads and " + total[4] + " failed, the longest " + span(top)
    )
    const last = all.slice(-60).filter((p) => p[4] + p[5] > 0)
    const middle = last.map((p) => p[6]).sort((a, b) => a - b)[last.length >> 1]
    return { middle, top: Math.max(0, ...last.map((p) => p[7])) }
  }

  // ----- everything that an answer tells
  const tile = (name) => {
    const root = el("div", "tile"), value = el("b"), note = el("p")
    root.append(el("h3", "", name), value, note)
    $("tiles").append(root)
    return (text, more, ill) => {
      put(value, text)
      put(note, more)
      note.title = more
      named(root, ill ? "tile ill" : "tile")
    }
  }
  const tiles = {
    once: tile("Answered at once"),
    entries: tile("Entries"),
    loads: tile("Loads under way"),
    time: tile("Load time"),
    ill: tile("Backing off")
  }
  const navs = new Map()
  const drawCaches = (caches, current) => {
    for (const cache of caches) {
      let of = navs.get(cache.name)
      if (!of) {
        const root = el("button"), mix = el("span", "mix")
        root.type = "button"
        of = {
          root,
          name: el("span", "n", cache.name),
          count: el("span", "c"),
          parts: ["fresh", "stale", "waited"].map((n) => el("i", n))
        }
        mix.append(...of.parts)
        root.append(of.name, of.count, mix)
        root.addEventListener("click", () => {
          close()
          lastSecond = 0
          points = new Map()
          change({ cache: cache.name })
        })
        navs.set(cache.name, of)
        $("caches").append(root)
      }
      of.root.setAttribute("aria-current", String(cache.name === current))
      put(of.count, (cache.backoffs ? "▲ " : "") + many(cache.size))
      named(of.count, cache.backoffs ? "c ill" : "c")
      of.count.title = cache.backoffs
        ? counted(cache.backoffs, "key is", "keys are") + " left alone after a failed load"
        : ""
      const all = sum(cache.lately)
      of.parts.forEach((part, i) => {
        const n = [cache.lately.fresh, cache.lately.stale, cache.lately.waited][i]
        part.style.width = all ? Math.max(n ? 2 : 0, 100 * n / all) + "%" : i ? "0" : "100%"
        named(part, all ? ["fresh", "stale", "waited"][i] : "")
      })
    }
  }
  const windowsOf = ({ perCall, windows: w }) => {
    if (perCall) return "Each call of Swr.swr brings its own windows; the bars show the defaults."
    const parts = [w.freshFor > 0 ? "fresh for " + window_(w.freshFor) : "never fresh"]
    if (w.strict) parts.push("then readers wait (strict)")
    else parts.push("then stale until " + window_(w.maxAge))
    if (w.staleIfError > 0) parts.push("old values for a failing load until " + window_(w.freshFor + w.staleIfError))
    if (w.jitter > 0) parts.push("jitter " + Math.round(w.jitter * 100) + " %")
    return parts.join(" · ")
  }
  const show = (told, id) => {
    csrf = told.csrf
    writable = told.writable
    put($("mode"), writable ? "may change" : "read-only")
    $("mode").hidden = false
    const cache = told.cache
    $("blank").hidden = !!cache && told.total > 0
    put(
      $("blank"),
      !cache
        ? "No cache has been made yet."
        : state.query || state.filter !== "all"
        ? "No entry matches."
        : "Nothing is kept yet."
    )
    drawCaches(told.caches, cache && cache.name)
    if (!cache) return
    if (state.cache === "") state.cache = cache.name
    put($("name"), cache.name)
    put($("windows"), windowsOf(cache))
    total = told.total
    told.rows.forEach((row, i) => rows.set(told.offset + i, row))
    for (const index of rows.keys()) if (index >= total || Math.abs(index - told.offset) > 600) rows.delete(index)
    for (const point of told.seconds) {
      points.set(point[0], point)
      lastSecond = Math.max(lastSecond, point[0])
    }
    for (const second of points.keys()) if (second < told.now / 1000 - 300) points.delete(second)
    const of = told.caches.find((each) => each.name === cache.name)
    const { lately } = of, all = sum(lately), { middle, top } = charts(told.now)
    tiles.once(
      share(lately.fresh + lately.stale, all),
      all ? "fresh " + share(lately.fresh, all) + ", old " + share(lately.stale, all) : "no reads in the last minute"
    )
    tiles.entries(
      full(of.size),
      of.weight === of.size
        ? full(told.counts.fresh) + " fresh, " + full(told.counts.stale) + " stale"
        : "weight " + full(of.weight)
    )
    tiles.loads(full(of.flights), full(of.loads) + " since the start")
    tiles.time(
      middle === undefined ? "–" : span(middle),
      middle === undefined ? "no loads in the last minute" : "longest " + span(top)
    )
    tiles.ill(
      full(of.backoffs),
      lately.failed
        ? counted(lately.failed, "load", "loads") + " failed in the last minute"
        : "no failed load in the last minute",
      of.backoffs > 0
    )
    for (const chip of $("chips").children) {
      const n = told.counts[chip.value]
      put(chip.querySelector("span"), n === undefined ? "" : many(n))
    }
    draw()
    // Another one may have been opened since it was asked.
    if (id !== "" && id === state.id) drawOpened(told.opened)
  }

  // ----- one entry, opened
  const bigBar = bar(" big")
  $("bar").append(bigBar.root)
  let opener = null
  const open = (row, byKey) => {
    if (state.id === "") opener = document.activeElement
    state.id = row.id
    document.querySelector(".page").classList.add("open")
    $("drawer").hidden = false
    // At once with what the list knows; its log and value come with the next answer.
    if (row.status !== undefined) {
      const unknown = { loadable: true, tags: [], shape: null, value: null, lines: [] }
      drawOpened(Object.assign({ id: row.id, key: row.key, cache: state.cache, row }, unknown))
    }
    draw()
    if (byKey) $("close").focus()
    soon()
  }
  const close = () => {
    if (state.id === "") return
    state.id = ""
    $("drawer").hidden = true
    document.querySelector(".page").classList.remove("open")
    draw()
    if (opener && opener.isConnected && opener !== document.body) opener.focus()
    else $("scroll").focus()
  }
  const why = (row) => {
    if (!row) return "Nothing is kept for this key now. The log below tells how it went."
    const fails = row.lastError ? " (" + row.lastError.name + ")" : ""
    const inRow = row.failures > 0
      ? counted(row.failures, "load has", "loads in a row have") + " failed" + fails + ". "
      : ""
    const next = row.loading ?
      "A load has been under way for " + span(row.loadingFor) + ", " + causes[row.loading] + "."
      : row.heldFor > 0 ?
      (row.lease ? "Another process loads it; this one looks again in " : "The next try is allowed in ") +
      span(row.heldFor) + "."
      : ""
    if (row.passFor > 0) {
      return "Its value was for one reader alone: for another " + span(row.passFor) + " everybody loads for himself."
    }
    if (row.status === "none") {
      return row.loading ?
        next + " " + counted(row.waiters, "reader waits", "readers wait") + "."
        : row.failureFor > 0
        ? "The last load failed" + fails + "; readers are told so for another " + span(row.failureFor) + "."
        : "Nothing is kept. The next reader loads it."
    }
    if (row.status === "fresh") return "Fresh for another " + span(row.freshUntil - row.age) + ". " + inRow + next
    if (row.status === "stale") {
      return (row.marked ? "It was marked stale. " : "Stale for " + span(row.age - row.freshUntil) + ": ") +
        (row.marked ? "R" : "r") + "eaders get the old value at once. " + inRow +
        (next || "The next reader starts a refresh.")
    }
    if (row.age >= row.end) {
      return "Past all its windows: nobody is given it. " + inRow + (next || "The next reader waits for a load.")
    }
    return "Expired for " + span(row.age - row.staleUntil) + ". " + inRow + (row.failures > 0
      ? "The old value stands in for another " + span(row.end - row.age) + ". " +
        (next || "The next reader starts another try.")
      : next ||
        "The next reader waits for a load; if it fails, the old value may stand in for another " +
          span(row.end - row.age) + ".")
  }
  const sentence = (line) => {
    const f = line.facts
    switch (line.tag) {
      case "Hit":
        return ["good", "Fresh, answered at once", f.source ? "from the store" : ""]
      case "Served":
        return [
          "old",
          "Old value given",
          (reasons[f.reason] || f.reason) + "; found " + f.status + ", " + span(f.age) + " old"
        ]
      case "Miss":
        return ["", "Reader waits for a load", f.status === "miss" ? "nothing was kept" : "found " + f.status]
      case "Joined":
        return ["", "Reader joins", "a load was under way, or a failure is kept"]
      case "Load":
        return ["load", "Load begins", causes[f.cause] || f.cause]
      case "LoadFailed":
        return [
          "wrong",
          "Load failed after " + span(f.duration),
          f.error + (f.retryIn > 0 ? "; left alone for " + span(f.retryIn) : "")
        ]
      case "Commit":
        return ["good", "Kept", "loaded in " + span(f.duration)]
      case "CommitDropped":
        return ["wrong", "Loaded and not kept", drops[f.reason] || f.reason]
      case "RefreshSkipped":
        return [
          "",
          "No refresh started",
          f.reason === "held" ? "the key is left alone for now" : "the layer's limit of refreshes is reached"
        ]
      case "LoadStopped":
        return ["wrong", "Load stopped after " + span(f.duration), "nobody waits for it any more"]
      case "Evict":
        return ["word", "Left to make room", span(f.age) + " old, " + (evictions[f.cause] || f.cause)]
      case "Lease":
        return ["", f.outcome === "given" ? "May load, says the store" : "May not load", leases[f.outcome] || f.outcome]
      case "StoreFailed":
        return ["wrong", "The store failed", f.reason]
      case "StoreBack":
        return ["good", "The store answers again", ""]
      case "Gap":
        return [
          "word",
          "Last words of other processes were missed",
          f.cause === "epoch" ? "the store has begun anew" : "memory is confirmed key by key"
        ]
      case "Audited":
        return [
          f.outcome === "same" ? "good" : "wrong",
          "Compared with the origin",
          f.outcome + ", " + span(f.age) + " old"
        ]
      case "EncodeFailed":
        return ["wrong", "Does not encode", f.error]
      case "DecodeFailed":
        return ["wrong", "Does not fit the schema", f.error]
      case "Invalidate":
        return f.tag !== undefined ?
          ["word", "A tag invalidated", f.tag]
          : f.mode === "set" ?
          ["word", "Written", "set or mutate"]
          : f.mode === "soft"
          ? ["word", "Marked stale", ""]
          : ["word", f.whole ? "Everything invalidated" : "Invalidated", ""]
      default:
        return ["", line.tag, Object.entries(f).map(([name, value]) => name + " " + value).join(", ")]
    }
  }
  const facts = (pairs) => {
    const list = $("facts")
    pairs.forEach(([name, value, bad], i) => {
      if (!list.children[2 * i]) list.append(el("dt"), el("dd"))
      put(list.children[2 * i], name)
      put(list.children[2 * i + 1], value)
      named(list.children[2 * i + 1], bad ? "bad" : "")
    })
    while (list.children.length > 2 * pairs.length) list.lastChild.remove()
  }
  const drawOpened = (told) => {
    if (!told) {
      put($("why"), "This row is no longer known. Close it and look again.")
      for (const button of $("acts").querySelectorAll("button")) button.disabled = true
      return
    }
    const row = told.row
    put($("key"), told.key === "" ? "(the empty key)" : told.key)
    put($("of"), told.cache)
    bigBar.draw(row)
    const ends = !row || !row.stamp
      ? []
      : [["fresh", 0, row.freshUntil, 5], ["stale", row.freshUntil, row.staleUntil, 4], [
        "expired",
        row.staleUntil,
        row.end,
        3
      ]]
    const labels = ends.filter(([, from, to]) => to > from)
    labels.forEach(([name, , to, flex], i) => {
      const label = $("ends").children[i] || $("ends").appendChild(el("span"))
      label.style.flex = flex + " 1 0"
      put(label, name + " " + window_(to))
      label.title = name + " until the age of " + window_(to)
    })
    while ($("ends").children.length > labels.length) $("ends").lastChild.remove()
    put($("why"), why(row))
    const [shape, word] = wordOf(row || {})
    named($("opened-shape"), "shape " + shape)
    put($("opened-word"), word + (row && row.marked ? ", marked" : ""))
    facts(
      !row ? [] : [
        ["Age", row.stamp ? span(row.age) : "–"],
        ["Tier", row.tier],
        ["Size", (told.shape || "–") + (row.weight !== 1 ? ", weight " + full(row.weight) : "")],
        [
          "Reads",
          full(sum(row.reads)) + ": " + full(row.reads.fresh) + " fresh, " + full(row.reads.stale) + " old, " +
          full(row.reads.waited) + " waited"
        ],
        ["Last load", row.lastLoad ? span(row.lastLoad.duration) + ", " + span(row.lastLoad.ago) + " ago" : "not seen"],
        [
          "Last error",
          row.lastError ? row.lastError.name + ", " + span(row.lastError.ago) + " ago" : "none seen",
          row.lastError && row.failures > 0
        ],
        ["Next refresh", row.heldFor > 0 ? "allowed in " + span(row.heldFor) : "allowed", row.heldFor > 0]
      ].concat(told.tags.length ? [["Tags", told.tags.join(", ")]] : [])
    )
    $("value-box").hidden = told.value === null
    put($("value"), told.value === null ? "" : told.value)
    const reason = !writable
      ? "This page only looks. The option writable lets it change."
      : !told.loadable
      ? "Revalidate needs the key as its reader gave it. Mark it stale instead: the next reader refreshes it."
      : ""
    $("revalidate").disabled = !writable || !told.loadable
    $("mark").disabled = !writable || !row || !row.stamp || row.marked
    $("invalidate").disabled = !writable || !row
    put($("acts-note"), reason)
    $("acts-note").hidden = reason === ""
    const lines = told.lines.slice().reverse(), list = $("log")
    lines.forEach((line, i) => {
      let item = list.children[i]
      if (!item) {
        item = list.appendChild(el("li"))
        item.append(el("span"), el("time"), el("small"))
      }
      const [name, text, more] = sentence(line)
      named(item, name)
      const lasted = line.ago - line.last
      put(
        item.children[0],
        text + (line.count > 1 ? " × " + full(line.count) : "") + (lasted >= 100 ? " in " + span(lasted) : "")
      )
      put(item.children[1], span(line.last) + " ago")
      put(item.children[2], more)
    })
    while (list.children.length > lines.length) list.lastChild.remove()
    $("no-log").hidden = lines.length > 0
  }
  let toasting = 0
  const toast = (text) => {
    put($("toast"), text)
    clearTimeout(toasting)
    toasting = setTimeout(() => put($("toast"), ""), 4000)
  }
  const done = { revalidate: "A load has begun", mark: "Marked stale", invalidate: "Invalidated" }
  const act = async (action) => {
    const id = state.id
    try {
      const answer = await fetch(base + "/act", {
        method: "POST",
        headers: headers({ "content-type": "application/json", "x-csrf-token": csrf }),
        body: JSON.stringify({ action, id })
      })
      toast(answer.ok ? done[action] : (await answer.text()).trim().slice(0, 200))
    } catch {
      toast("No answer: nothing may have been changed")
    }
    soon()
  }
  for (const action of ["revalidate", "mark", "invalidate"]) $(action).addEventListener("click", () => act(action))
  $("close").addEventListener("click", close)

  // ----- tools
  let typing = 0
  $("search").addEventListener("input", () => {
    clearTimeout(typing)
    typing = setTimeout(() => change({ query: $("search").value }), 150)
  })
  $("order").addEventListener("change", () => change({ order: $("order").value }))
  $("chips").addEventListener("click", (event) => {
    const chip = event.target.closest("button")
    if (!chip) return
    for (const each of $("chips").children) each.setAttribute("aria-pressed", String(each === chip))
    change({ filter: chip.value })
  })
  $("token-use").addEventListener("click", () => {
    token = $("token").value.trim()
    try {
      sessionStorage.setItem(tokenName, token)
    } catch {}
    $("ask").close()
    soon()
  })
  $("token").addEventListener("keydown", (event) => {
    if (event.key === "Enter") $("token-use").click()
  })
  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      $("search").focus()
    } else if (event.key === "Escape" && !$("ask").open) {
      if (event.target === $("search") && $("search").value !== "") return
      close()
    }
  })
  if (innerWidth <= 860) $("charts").open = false
  $("charts").addEventListener("toggle", redraw)
  new ResizeObserver(redraw).observe($("scroll"))
  ask()
})()
`

const stripe = (y: number, width: number, color: string) =>
  `%3Crect y='${y}' width='${width}' height='4' rx='2' fill='%23${color}'/%3E`

const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E" +
  `${stripe(1, 18, "1c8a57")}${stripe(7, 13, "d08a17")}${stripe(13, 8, "c23b22")}%3C/svg%3E`

/** The document. What it shows comes later, by the script. */
export const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>effect-swr inspector</title>
<link rel="icon" href="${icon}">
<style>${style}</style>
</head>
<body>
<header class="top">
  <h1><i class="logo" aria-hidden="true"><i></i><i></i><i></i></i>effect-swr <span>inspector</span></h1>
  <span id="mode" class="badge" hidden></span>
  <span id="link" class="link" role="status">connecting</span>
</header>
<div class="page">
  <nav id="caches" aria-label="Caches"><h2>Caches</h2></nav>
  <main>
    <section class="head"><h2 id="name">&nbsp;</h2><p id="windows">&nbsp;</p></section>
    <section class="tiles" id="tiles" aria-label="The last minute"></section>
    <details class="charts" id="charts" open>
      <summary>Charts</summary>
      <div class="two">
        <figure>
          <figcaption><strong>Reads</strong>
            <span class="key-of"><i class="shape fresh"></i>fresh</span>
            <span class="key-of"><i class="shape stale"></i>old value</span>
            <span class="key-of"><i class="shape waited"></i>waited</span></figcaption>
          <div class="plot" id="reads-plot"><span class="most" id="reads-most"></span></div>
          <div class="times" aria-hidden="true"><span></span><span></span><span>now</span></div>
        </figure>
        <figure>
          <figcaption><strong>Load time</strong>
            <span class="key-of"><i class="line"></i>median</span>
            <span class="key-of"><i class="line pale"></i>longest</span>
            <span class="key-of"><i class="line tick"></i>failed</span></figcaption>
          <div class="plot" id="loads-plot"><span class="most" id="loads-most"></span></div>
          <div class="times" aria-hidden="true"><span></span><span></span><span>now</span></div>
        </figure>
      </div>
    </details>
    <section class="tools" aria-label="Find entries">
      <input id="search" type="search" placeholder="Search keys  ( / )" aria-label="Search keys" autocomplete="off"
        spellcheck="false">
      <div class="chips" id="chips" role="group" aria-label="Filter by state">
        <button type="button" value="all" aria-pressed="true">all <span></span></button>
        <button type="button" value="fresh" aria-pressed="false"><i class="shape fresh"></i>fresh <span></span></button>
        <button type="button" value="stale" aria-pressed="false"><i class="shape stale"></i>stale <span></span></button>
        <button type="button" value="expired" aria-pressed="false"><i class="shape expired"></i>expired
          <span></span></button>
        <button type="button" value="loading" aria-pressed="false"><i class="shape loading"></i>loading
          <span></span></button>
        <button type="button" value="failing" aria-pressed="false"><i class="shape failing"></i>failing
          <span></span></button>
      </div>
      <label><span>Order</span> <select id="order" aria-label="Order">
        <option value="kept">as kept</option><option value="key">by key</option><option value="reads">most read</option>
        <option value="oldest">oldest</option><option value="due">next to change</option>
        <option value="failing">failing first</option><option value="heaviest">heaviest</option>
      </select></label>
    </section>
    <div class="list" id="list" role="grid" aria-label="Entries">
      <div class="row heads" role="row" aria-rowindex="1">
        <span role="columnheader">State</span><span role="columnheader">Key</span>
        <span role="columnheader" class="window">Fresh, stale, expired</span>
        <span role="columnheader" class="num">Age</span><span role="columnheader" class="num c-reads">Reads</span>
        <span role="columnheader" class="num c-load">Load</span>
        <span role="columnheader" class="num c-next">Next refresh</span>
        <span role="columnheader" class="num c-weight">Weight</span>
      </div>
      <div id="scroll" role="rowgroup" tabindex="0" aria-label="Entries: arrow keys to move, Enter to open">
        <p class="blank" id="blank">Asking…</p>
        <div id="space" role="presentation"></div>
      </div>
    </div>
  </main>
  <aside id="drawer" aria-label="Entry" hidden>
    <header>
      <div><h2 id="key"></h2>
        <span class="state"><i class="shape" id="opened-shape"></i><span id="opened-word"></span>
          <span class="dim" id="of"></span></span></div>
      <button type="button" class="close" id="close" aria-label="Close (Escape)">×</button>
    </header>
    <div class="body">
      <div><div id="bar"></div><div class="ends" id="ends"></div></div>
      <p class="why" id="why" aria-live="off"></p>
      <div class="acts" id="acts">
        <button type="button" id="revalidate">Revalidate</button>
        <button type="button" id="mark">Mark stale</button>
        <button type="button" id="invalidate" class="danger">Invalidate</button>
        <p id="acts-note" hidden></p>
      </div>
      <dl id="facts"></dl>
      <div id="value-box" hidden><h3>Value</h3><pre id="value" class="mono" tabindex="0" aria-label="Value"></pre></div>
      <div><h3>What happened</h3><ol class="log" id="log"></ol>
        <p class="dim" id="no-log">Nothing since this page listens.</p></div>
    </div>
  </aside>
</div>
<div id="toast" role="status"></div>
<dialog id="ask" aria-labelledby="ask-title">
  <h2 id="ask-title">This page needs its token</h2>
  <p>It was given to the inspector where the program is built.</p>
  <div><input id="token" type="password" aria-label="Token" autocomplete="off">
    <button type="button" id="token-use">Use it</button></div>
</dialog>
<script>${script}</script>
</body>
</html>
`
