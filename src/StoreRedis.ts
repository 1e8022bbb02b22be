/**
 * A store in Redis, or in any server that speaks its protocol and runs its scripts, for a fleet of processes.
 *
 * | key in Redis | what it is |
 * |---|---|
 * | `{prefix:space}` | the clock of a space: epoch, counter, counter of the last clear, greatest TIME, notes of tags |
 * | `{prefix:space}:key` | all that is known of one key, in all versions: record, mark, generation, lease |
 * | `prefix:news` | the channel on which last words are announced |
 *
 * The braces are Redis Cluster's hash tag: all of a space is in one slot, so one script sees all of it. A key is one
 * hash, and not a key for each of record, lease and generation: so a last word is one `DEL`, and an eviction takes all
 * of it or nothing. A generation without its entry is what an eviction by policy would leave else.
 *
 * Each command is one constant script and one round trip, the clock and the time with it. (A script that the server
 * has not seen is loaded first; a process that had no answer for some seconds asks for the time before it writes.) The
 * scripts judge by Redis' TIME alone. What happened to a value before it came here is told as an age and turned into
 * Redis' time by an offset that the replies teach (`Offset`), never by the time at which a script happens to run: a
 * command whose caller has timed out is executed still, and would make an old value young.
 *
 * A user of Redis that is to have no other rights: `~{prefix:* &prefix:news +evalsha +script|load +subscribe +time
 * +hmget +hget +hset +hdel +hkeys +del +exists +pttl +pexpire +pexpireat +publish`, and what its client says to
 * open a connection. Who can write there can choose what readers get: records are judged, but not signed.
 *
 * @since 0.1.0
 */
import {
  Cause,
  Clock,
  Config,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Random,
  References,
  Result,
  Scope,
  Stream
} from "effect"
import * as Redis from "effect/persistence/Redis"
import * as Codec from "./Codec.ts"
import * as Store from "./Store.ts"

// ----- the scripts

/**
 * What every script begins with. It makes the clock where there is none or where it can't be relied on, says the time,
 * and refuses what comes too late. ARGV: 1 how a new epoch's name begins, 2 and 3 what the asker has heard, 4 and 5
 * since when and until when the command may run.
 *
 * In the clock: `e` epoch, `n` counter, `c` counter of the last clear, `t` TIME of the last command that wrote, `x` its
 * end, `s123` notes. Numbers are doubles, exact as long as they are whole and below 2^53.
 *
 * It is what a fresh hit costs, so it makes no function, and does nothing that is not needed by most.
 */
const head = ({ late = "false", renew = "''" } = {}) => `
local clock = KEYS[1]
local TIME = redis.call('TIME')
local now = TIME[1] * 1000 + TIME[2] / 1000
local ms = math.floor(now)
local found = redis.pcall('HMGET', clock, 'e', 'n', 'c', 't', 'x')
if found.err then
  if not string.find(found.err, 'WRONGTYPE', 1, true) then return found end
  found = {}
end
local epoch, counter, cleared = found[1], tonumber(found[2]), tonumber(found[3])
local last, till = tonumber(found[4]), tonumber(found[5])
-- Who may write to Redis may have written anything.
local sound = epoch and counter and cleared and last and till and epoch ~= ''
  and counter >= 0 and counter % 1 == 0 and counter < 9007199254740992 and cleared <= counter and ms >= last
if not sound or (epoch == ARGV[2] and counter < tonumber(ARGV[3])) or epoch == ${renew} then
  epoch, counter, cleared, last = ARGV[1] .. '-' .. TIME[1] .. TIME[2], 0, 0, ms
  if redis.call('EXISTS', clock) == 1 then redis.call('DEL', clock) end
  till = string.format('%.0f', ms + 86400000)
  redis.call('HSET', clock, 'e', epoch, 'n', '0', 'c', '0', 't', string.format('%.0f', ms), 'x', till)
  redis.call('PEXPIREAT', clock, till)
elseif till < ms + 43200000 then
  till = string.format('%.0f', ms + 86400000)
  redis.call('PEXPIREAT', clock, till)
  redis.call('HSET', clock, 'x', till)
end
if ARGV[4] ~= '' and (now < tonumber(ARGV[4]) or now >= tonumber(ARGV[5])) or ${late} then
  return { TIME[1], TIME[2], epoch, string.format('%.0f', counter), 'late' }
end
`

/** What scripts use that write, or judge more than freshness. */
const tools = `
local function digits(n) return string.format('%.0f', n) end
local function answer(...) return { TIME[1], TIME[2], epoch, digits(counter), 'ok', ... } end
-- A key of another type under our name holds nothing of ours.
local function read(command, key, ...)
  local got = redis.pcall(command, key, ...)
  if type(got) ~= 'table' or not got.err then return got, false end
  if string.find(got.err, 'WRONGTYPE', 1, true) then return {}, true end
  return {}, got
end
local function seen() if ms > last then redis.call('HSET', clock, 't', digits(ms)) end end
-- A key ends with the last of what is in it, and not before.
local function keep(key, till)
  local left = redis.call('PTTL', key)
  if left < 0 or ms + left < till then redis.call('PEXPIREAT', key, digits(till)) end
end
-- 'end cooling epoch token': one of another epoch counts as none where a right to load is asked for.
local function lease(text)
  if not text then return end
  local till, cooling, of, token = string.match(text, '^(%d+) ([01]) (%S+) (.*)$')
  if till and of == epoch and tonumber(till) > now then return token, tonumber(till), cooling == '1' end
end
-- 'end token'
local function generation(text)
  if not text then return end
  local till, token = string.match(text, '^(%d+) (.*)$')
  if till and tonumber(till) > now then return token end
end
`

/** A note of one of these slots, or of a clear, that is greater. No note is greater than the counter. */
const noted = `
local notes = {}
local function noted(slots, than)
  if counter <= than then return false end
  if cleared > than then return true end
  for slot in string.gmatch(slots, '%d+') do
    if not notes[slot] then notes[slot] = tonumber(redis.call('HGET', clock, 's' .. slot)) or 0 end
    if notes[slot] > than then return true end
  end
  return false
end
`

/**
 * In a key, for each version: `r` record, `f` facts, `l` lease, `g` generation. The facts are a few bytes by which
 * scripts judge a record, so that they never look into its JSON: when its age was 0, its life, its own `freshFor` and
 * `maxAge`, its jitter, the counter under which it was loaded, when it was marked (-1: never), the epoch, the slots of
 * its tags.
 */
const FACTS = "'<dddddddBc0Hc0'"

/**
 * Until which age a value is fresh: `Policy.freshUntil`, to the last bit. `life`, `freshFor` and `maxAge` are what the
 * entry itself allows.
 *
 * @internal
 */
export const freshUntil = `
local min, floor = math.min, math.floor
local function fresh_until(policy, life, freshFor, maxAge, jitter, marked)
  local by = 1 - policy.jitter * jitter
  local expired = min(policy.maxAge, maxAge, life)
  if policy.strict then
    if marked >= 0 then return 0 end
    return min(policy.freshFor, freshFor, floor(min(expired, freshFor) * by))
  end
  local least = min(policy.freshFor, freshFor, expired)
  if marked >= 0 and marked < least then least = marked end
  return floor(least * by)
end
`

/**
 * ARGV: 6 version, 7 how many bytes a record may have, 8 the number of plans, then the plans: how the asker judges
 * freshness and what he wants, in one text, since most keys share it. Then for each key its plan and token, `1:token`.
 *
 * Answers two texts for each key: what was found, the age at which it was marked, the lease and what is left of it; and
 * the record. For what is fresh and was not marked, the first is `f`: most are.
 */
const OPEN = head() + noted + freshUntil + `
local record, facts, longest, plans = 'r' .. ARGV[6], 'f' .. ARGV[6], tonumber(ARGV[7]), {}
for i = 1, tonumber(ARGV[8]) do
  local f, m, j, s, b, n, l, t =
    string.match(ARGV[8 + i], '^(%S+) (%S+) (%S+) ([01]) ([01]) ([01]) (%d+) (%d+)$')
  plans[i] = {
    freshFor = tonumber(f), maxAge = tonumber(m), jitter = tonumber(j), strict = s == '1',
    beside = b == '1', ignore = n == '1', leaseFor = tonumber(l), tokenFor = tonumber(t)
  }
end
local at = 7 + #plans

local out, size, given = { TIME[1], TIME[2], epoch, string.format('%.0f', counter), 'ok' }, 5, false
for i = 2, #KEYS do
  local key, asked, plan = KEYS[i], ARGV[at + i], plans[1]
  if plans[2] then plan = plans[tonumber(string.match(asked, '^%d+'))] end
  local got, value, state, mark = redis.pcall('HMGET', key, record, facts), '', 'none', -1
  if got.err then
    if not string.find(got.err, 'WRONGTYPE', 1, true) then return got end
    state = 'foreign'
  elseif got[1] and #got[1] > longest then
    state = 'size'
  elseif got[1] then
    local ok, stamp, life, freshFor, maxAge, jitter, of_counter, marked, of, slots =
      pcall(struct.unpack, ${FACTS}, got[2])
    if not ok then
      value, state = got[1], 'odd'
    else
      local age = ms - stamp
      if of ~= epoch or not (age >= 0 and age < life) or noted(slots, of_counter) then
        state = 'void'
      else
        if marked >= stamp then mark = marked - stamp elseif marked >= 0 then mark = 0 end
        value, state = got[1], age < fresh_until(plan, life, freshFor, maxAge, jitter, mark) and 'fresh' or 'stale'
      end
    end
  end
  if state == 'fresh' and mark < 0 and not plan.ignore then
    out[size + 1] = 'f'
  else
    local right, left, token = '-', '0', string.match(asked, '^%d+:(.*)$')
    if token ~= '' and (state ~= 'fresh' or plan.ignore) then
      ${tools.replaceAll("\n", "\n      ").trim()}
      local version = ARGV[6]
      local holder, till, cooling = nil, nil, nil
      if state ~= 'foreign' then holder, till, cooling = lease(redis.call('HGET', key, 'l' .. version)) end
      if not holder or (plan.beside and cooling) then
        local ends = ms + plan.tokenFor
        if state == 'foreign' then redis.call('DEL', key) end
        if holder then
          redis.call('HSET', key, 'g' .. version, digits(ends) .. ' ' .. token)
        else
          redis.call('HSET', key, 'g' .. version, digits(ends) .. ' ' .. token,
            'l' .. version, digits(ms + plan.leaseFor) .. ' 0 ' .. epoch .. ' ' .. token)
          if plan.leaseFor > plan.tokenFor then ends = ms + plan.leaseFor end
        end
        keep(key, ends)
        if not given then seen() end
        right, given = 'given', true
      else
        right, left = cooling and 'cooling' or 'held', digits(math.ceil(till - now))
      end
    end
    out[size + 1] = state .. ' ' .. string.format('%.0f', mark) .. ' ' .. right .. ' ' .. left
  end
  out[size + 2] = value
  size = size + 2
end
return out
`

/**
 * A record comes in two parts: between them belong epoch and counter, which of a `set` only the script knows. `i` is
 * where its arguments begin: the two parts, stamp, life, own `freshFor` and `maxAge` or '', jitter, slots.
 */
const put = `
local function put(key, version, i, at)
  local stamp, life, slots = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 7]
  if stamp + life <= now then return false end
  local freshFor, maxAge = tonumber(ARGV[i + 4]) or math.huge, tonumber(ARGV[i + 5]) or math.huge
  local facts = struct.pack(${FACTS}, stamp, life, freshFor, maxAge, tonumber(ARGV[i + 6]), at, -1,
    #epoch, epoch, #slots, slots)
  local clock_of = '"epoch":"' .. epoch .. '","counter":' .. digits(at)
  local done = redis.pcall('HSET', key, 'r' .. version, ARGV[i] .. clock_of .. ARGV[i + 1], 'f' .. version, facts)
  if type(done) == 'table' and done.err then return done end
  keep(key, stamp + life)
  return true
end
`

/**
 * ARGV: 6 version, 7 token, 8 and 9 the clock when the load began, from 10 on the record (10 is '' for none).
 *
 * A generation that is not there matches no token.
 */
const COMMIT = head() + tools + noted + put + `
local key, version, token = KEYS[2], ARGV[6], ARGV[7]
local got, trouble = read('HMGET', key, 'g' .. version, 'l' .. version)
if type(trouble) == 'table' then return trouble end
local bare = ARGV[10] == ''
local yes = generation(got[1]) == token
if not bare then yes = yes and epoch == ARGV[8] and not noted(ARGV[17], tonumber(ARGV[9])) end
local failed
if yes then
  local written = not bare and put(key, version, 10, tonumber(ARGV[9]))
  if type(written) == 'table' then
    failed = written
  elseif written then
    redis.call('HDEL', key, 'g' .. version)
  else
    redis.call('HDEL', key, 'g' .. version, 'r' .. version, 'f' .. version)
  end
end
-- Refused, or out of memory: its lease is free all the same.
if got[2] and string.match(got[2], '^%d+ [01] %S+ (.*)$') == token then redis.call('HDEL', key, 'l' .. version) end
if failed then return failed end
seen()
return answer(yes and '1' or '0')
`

/**
 * ARGV: 6 under which epoch alone it may run, or ''; 7 mode, 8 the announcement but for its end, 9 its channel; for a
 * set 10 version and from 11 on the record; for a tag 10 its slot.
 *
 * A server that is out of memory refuses a script whose first write needs some. A set has to be refused then, before it
 * has done anything; every other last word frees memory or needs next to none, and has to get through.
 */
const CHANGE = `
if ARGV[7] ~= 'set' then redis.call('PEXPIRE', KEYS[1], 86400000) end
` + head({ late: "ARGV[6] ~= '' and ARGV[6] ~= epoch" }) + tools + put + `
local mode = ARGV[7]
counter = counter + 1
redis.call('HSET', clock, 'n', digits(counter), 't', digits(ms))
if mode == 'set' then
  redis.call('DEL', KEYS[2])
  local done = put(KEYS[2], ARGV[10], 11, counter)
  if type(done) == 'table' then return done end
elseif mode == 'hard' then
  for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
elseif mode == 'soft' then
  for i = 2, #KEYS do
    local key = KEYS[i]
    local fields, foreign = read('HKEYS', key)
    if foreign then redis.call('DEL', key) end
    for _, field in ipairs(fields) do
      local kind = string.sub(field, 1, 1)
      if kind == 'l' or kind == 'g' then redis.call('HDEL', key, field) end
      if kind == 'f' then
        local ok, a, b, c, d, e, f, marked, of, slots = pcall(struct.unpack, ${FACTS}, redis.call('HGET', key, field))
        if not ok then
          redis.call('HDEL', key, field)
        elseif not (marked >= 0) then
          redis.call('HSET', key, field, struct.pack(${FACTS}, a, b, c, d, e, f, ms, #of, of, #slots, slots))
        end
      end
    end
  end
elseif mode == 'tag' then
  redis.call('HSET', clock, 's' .. ARGV[10], digits(counter))
elseif mode == 'clear' then
  redis.call('HSET', clock, 'c', digits(counter))
end
redis.call('PUBLISH', ARGV[9], ARGV[8] .. ',"epoch":"' .. epoch .. '","counter":' .. digits(counter) .. '}')
return answer()
`

/** ARGV: 6 version, 7 token, 8 what becomes of the lease, 9 for how long. */
const LEASE = head() + tools + `
local key, version, token, to = KEYS[2], ARGV[6], ARGV[7], ARGV[8]
local got, trouble = read('HMGET', key, 'l' .. version, 'g' .. version)
if type(trouble) == 'table' then return trouble end
local ends, cooling, of, holder = string.match(got[1] or '', '^(%d+) ([01]) (%S+) (.*)$')
if holder ~= token or tonumber(ends) <= now then return answer('0') end
if to == 'release' then
  redis.call('HDEL', key, 'l' .. version)
  if generation(got[2]) == token then redis.call('HDEL', key, 'g' .. version) end
else
  local till = ms + tonumber(ARGV[9])
  if to == 'cool' then cooling = '1' end
  redis.call('HSET', key, 'l' .. version, digits(till) .. ' ' .. cooling .. ' ' .. of .. ' ' .. token)
  keep(key, till)
end
return answer('1')
`

/** ARGV: 6 the epoch that is to end, or ''. */
const ASK = head({ renew: "ARGV[6]" }) + `
return { TIME[1], TIME[2], epoch, string.format('%.0f', counter), 'ok' }
`

type Command = "open" | "commit" | "change" | "lease" | "ask"
const LUA: Record<Command, string> = { open: OPEN, commit: COMMIT, change: CHANGE, lease: LEASE, ask: ASK }

const scriptOf = (lua: string) =>
  Redis.script((keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => [...keys, ...args], {
    lua,
    numberOfKeys: (keys) => keys.length
  }).withReturnType<unknown>()
const SCRIPTS = {
  open: scriptOf(LUA.open),
  commit: scriptOf(LUA.commit),
  change: scriptOf(LUA.change),
  lease: scriptOf(LUA.lease),
  ask: scriptOf(LUA.ask)
}

// ----- time

/**
 * Where Redis' TIME lies, counted from the clock of this process: not before `lo`, not after `hi`. It was so at `at`;
 * from then on the two clocks may drift. It belongs to the epoch of the first reply, which came at `from`.
 *
 * @internal
 */
export interface Offset {
  readonly epoch: string
  readonly lo: number
  readonly hi: number
  readonly at: number
  readonly from: number
}

/** By how much two disciplined clocks may drift apart: 500 ppm each. */
const DRIFT = 0.001
/** What rounding may cost, in milliseconds: less is no step. */
const ROUNDING = 1

const boundsAt = (offset: Offset, now: number) => {
  const drift = DRIFT * Math.abs(now - offset.at)
  return { lo: offset.lo - drift, hi: offset.hi + drift }
}

/**
 * What a reply teaches: TIME was read between sending and receiving. Outside of what was known, with what clocks drift
 * added, TIME has moved against this process' clock: `stepped`. A reply of another epoch than the offset's begins a new
 * one, unless it was asked for before the old one was known.
 *
 * @internal
 */
export const narrow = (
  known: Offset | undefined,
  reply: { readonly epoch: string; readonly time: number; readonly sent: number; readonly received: number }
): { readonly offset: Offset; readonly stepped: boolean } => {
  const { epoch, received, sent, time } = reply
  const told = { epoch, lo: time - received, hi: time - sent, at: received, from: received }
  if (known === undefined) return { offset: told, stepped: false }
  if (known.epoch !== epoch) return { offset: sent >= known.from ? told : known, stepped: false }
  const { hi, lo } = boundsAt(known, received)
  if (told.lo > hi + ROUNDING || told.hi < lo - ROUNDING) return { offset: told, stepped: true }
  const [least, most] = [Math.max(lo, told.lo), Math.min(hi, told.hi)]
  return {
    offset: { epoch, lo: Math.min(least, most), hi: Math.max(least, most), at: received, from: known.from },
    stepped: false
  }
}

// ----- names

/** A name can't end the hash tag, nor pass for a part of another; lone surrogates are as JSON writes them. */
const escape = (name: string): string =>
  JSON.stringify(name).slice(1, -1).replace(/[%:{}]/g, (unit) => `%${unit.charCodeAt(0).toString(16)}`)

const SLOTS = 1024

/** FNV-1a over UTF-16 units: spreads, and is the same in all releases. */
const slotOf = (tag: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < tag.length; i++) hash = Math.imul(hash ^ tag.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % SLOTS
}
const slotsOf = (tags: ReadonlyArray<string>): string =>
  Array.from(new Set(tags.map(slotOf)), (slot) => ` ${slot}`).join("")

// ----- records

/** In the envelope it can't be within a string, where quotes are escaped: it is the first that is found. */
const CLOCKLESS = `"epoch":"","counter":0`

/** The arguments that stand for a record: its two halves, what the script has to know of it, the slots of its tags. */
const written = (key: string, stamp: number, stored: Store.Stored): ReadonlyArray<string> => {
  const { jitter, tags, value, windows } = stored
  const text = Codec.writeRecord({ key, stamp, windows, jitter, tags, epoch: "", counter: 0 }, value)
  const at = text.indexOf(CLOCKLESS)
  const own = [windows.life, windows.freshFor ?? "", windows.maxAge ?? "", jitter].map(String)
  return [text.slice(0, at), text.slice(at + CLOCKLESS.length), String(stamp), ...own, slotsOf(tags)]
}

const isLonger = (text: string, bytes: number) =>
  text.length > bytes || (text.length * 3 > bytes && new TextEncoder().encode(text).length > bytes)

/** As scripts read it: whole, and no infinity. */
const finite = (millis: number) => Math.min(Math.ceil(millis), Number.MAX_SAFE_INTEGER)

// ----- what goes wrong

/** Every text that an error carries with it; for looking, not for showing: there may be a password in it. */
const textsOf = (cause: unknown, depth = 4): string => {
  if (depth === 0 || typeof cause !== "object" || cause === null) return typeof cause === "string" ? cause : ""
  const own = (name: string) => Reflect.get(cause, name)
  const errors = own("errors")
  return [own("message"), own("code"), ...Array.isArray(errors) ? errors : [], own("cause"), own("originalError")]
    .map((part) => textsOf(part, depth - 1)).join(" ")
}

const DENIED = /\b(?:NOAUTH|WRONGPASS|NOPERM|AUTH)\b|invalid password|user executing the script/
const FULL = /\b(?:OOM|READONLY|MISCONF)\b/
/** Words that are safe to say. */
const KNOWN = new RegExp(
  "\\b(?:NOAUTH|WRONGPASS|NOPERM|OOM|READONLY|MISCONF|LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|MOVED|CROSSSLOT|" +
    "ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)\\b"
)
const OURS = /user_script:\d+: [^\n]*/

interface Trouble {
  readonly reason: "away" | "denied" | "full"
  /** A word for it: never what the server or the client wrote, which may quote a password. */
  readonly cause: string
}

const troubleOf = (error: unknown): Trouble => {
  const text = textsOf(error)
  const reason = FULL.test(text) ? "full" : DENIED.test(text) ? "denied" : "away"
  const named: unknown = error instanceof Redis.RedisError ? error.cause : error
  const type = typeof named === "object" && named !== null ? named.constructor.name : typeof named
  return { reason, cause: KNOWN.exec(text)?.[0] ?? OURS.exec(text)?.[0] ?? type }
}

const failure = (space: string, { cause, reason }: Trouble) => new Store.StoreError({ reason, cache: space, cause })

// ----- the adapter

/** How to reach Redis; while nobody is there, why not. */
interface Link {
  client: Redis.Redis["Service"] | undefined
  trouble: Trouble
  /** That we are refused has been said. */
  told: boolean
  /** The client has given up for good. */
  readonly lost: (client: Redis.Redis["Service"]) => Effect.Effect<unknown>
}

/** Says once that we are refused, until we no longer are. */
const say = (link: Link, trouble: Trouble): Effect.Effect<void> => {
  if (trouble.reason !== "denied" || link.told) return Effect.void
  link.told = true
  return Effect.logError(
    `effect-swr: Redis refuses us (${trouble.cause}): see to the user, the password and its rights`
  )
}

/** What is known of a space in this process. */
interface Space {
  readonly clock: string
  offset: Offset | undefined
  /** The epoch in which TIME was seen to step: nothing of it is used. */
  spoilt: string | undefined
  renewing: boolean
}

interface Answer {
  readonly clock: Store.Clock
  readonly late: boolean
  readonly rest: ReadonlyArray<string>
  /** Redis' TIME, in milliseconds. */
  readonly time: number
  readonly sent: number
  readonly received: number
  /** Its entries must not be used. */
  readonly spoilt: boolean
}

const adapter = Effect.fnUntraced(function*(link: Link, { maxBytes = 16_777_216, prefix }: Settings) {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const start = clock.monotonicTimeNanosUnsafe()
  const now = () => Number(clock.monotonicTimeNanosUnsafe() - start) / 1e6
  // Names of epochs are random per process, and numbered in it: no call has to draw.
  const random = `${(yield* Random.next).toString(36).slice(2)}${(yield* Random.next).toString(36).slice(2)}-`
  let epochs = 0
  const channel = `${escape(prefix)}:news`

  const fields = new Map<string, string>()
  /** How a version ends the names of its fields. */
  const field = (version: string): string => {
    const known = fields.get(version)
    if (known !== undefined) return known
    const name = escape(version)
    fields.set(version, name)
    return name
  }

  const spaces = new Map<string, Space>()
  const spaceOf = (name: string): Space => {
    const known = spaces.get(name)
    if (known !== undefined) return known
    const clock = `{${escape(prefix)}:${escape(name)}}`
    const space = { clock, offset: undefined, spoilt: undefined, renewing: false }
    spaces.set(name, space)
    return space
  }

  const gone = (client: Redis.Redis["Service"], error: unknown) =>
    CLOSED.test(textsOf(error)) ? link.lost(client) : Effect.void

  const send = (
    asker: Store.Asker,
    command: Command,
    keys: ReadonlyArray<string>,
    time: { readonly since: string; readonly until: string },
    args: ReadonlyArray<string>
  ): Effect.Effect<Answer, Store.StoreError> =>
    Effect.suspend(() => {
      const { client, trouble } = link
      if (client === undefined) return Effect.fail(failure(asker.space, trouble))
      const space = spaceOf(asker.space)
      const names = keys.map((key) => `${space.clock}:${key}`)
      const { counter, epoch } = asker.heard ?? { epoch: "", counter: 0 }
      const sent = now()
      return client.eval(SCRIPTS[command])(
        [space.clock, ...names],
        [random + ++epochs, epoch, String(counter), time.since, time.until, ...args]
      ).pipe(Effect.matchEffect({
        onFailure: (error) => {
          const trouble = troubleOf(error)
          return say(link, trouble).pipe(
            Effect.andThen(gone(client, error)),
            Effect.andThen(Effect.fail(failure(asker.space, trouble)))
          )
        },
        onSuccess: (reply) => {
          link.told = false
          const answer = heard(space, reply, sent, now())
          if (answer === undefined) return Effect.fail(failure(asker.space, STRANGE))
          const result = answer.late
            ? Effect.fail(new Store.StoreError({ reason: "late", cache: asker.space, cause: command }))
            : Effect.succeed(answer)
          if (!answer.spoilt || space.renewing) return result
          return Effect.andThen(Effect.forkIn(renew(asker, space, answer.clock.epoch), scope), result)
        }
      }))
    })

  const heard = (space: Space, reply: unknown, sent: number, received: number): Answer | undefined => {
    if (!isTexts(reply)) return undefined
    const [seconds, micros, epoch, counter, state, ...rest] = reply
    const time = Number(seconds) * 1000 + Number(micros) / 1000
    const clock = { epoch: epoch ?? "", counter: Number(counter) }
    if (!Number.isFinite(time) || clock.epoch === "" || !Number.isSafeInteger(clock.counter)) return undefined
    const { offset, stepped } = narrow(space.offset, { epoch: clock.epoch, time, sent, received })
    space.offset = offset
    if (stepped) space.spoilt = clock.epoch
    return { clock, late: state !== "ok", rest, time, sent, received, spoilt: clock.epoch === space.spoilt }
  }

  /** Ends an epoch in which TIME stepped. Who else saw it has done so perhaps: the script compares. */
  const renew = (asker: Store.Asker, space: Space, epoch: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      space.renewing = true
      return Effect.ignore(send(asker, "ask", [], ANY_TIME, [epoch]))
    }).pipe(Effect.ensuring(Effect.sync(() => {
      space.renewing = false
    })))

  /** An offset by whose drift a deadline could be missed for nothing is none. */
  const isSharp = (asker: Store.Asker, { offset }: Space, at: number) =>
    offset !== undefined && DRIFT * (at - offset.at) <= Math.max(1, asker.within / 4)

  /** When a command that was called at `called` may run. What changes nothing for good may do without a limit. */
  const timeOf = (asker: Store.Asker, space: Space, called: number) => {
    const { offset } = space
    if (offset === undefined) return ANY_TIME
    const { hi, lo } = boundsAt(offset, called)
    const until = called + (isSharp(asker, space, called) ? lo : hi) + asker.within
    // Rounded down, so to be refused at equality.
    return { since: String(Math.floor(called + lo)), until: String(Math.floor(until)) }
  }

  const ask = (asker: Store.Asker): Effect.Effect<Answer, Store.StoreError> => send(asker, "ask", [], ANY_TIME, [""])

  /** What is written needs a stamp and a deadline, and these an offset. */
  const sharpened = <A>(
    asker: Store.Asker,
    then: (space: Space, called: number) => Effect.Effect<A, Store.StoreError>
  ) =>
    Effect.suspend(() => {
      const space = spaceOf(asker.space)
      const called = now()
      return isSharp(asker, space, called) ? then(space, called) : Effect.flatMap(ask(asker), () => then(space, called))
    })

  /** Redis' time when the age was 0. The least offset, and rounded down: an age can only grow. */
  const record = (space: Space, called: number, key: string, stored: Store.Stored) => {
    const lo = space.offset === undefined ? 0 : boundsAt(space.offset, called).lo
    return written(key, Math.max(0, Math.floor(called - stored.age + lo)), stored)
  }

  const tooLong = ([front = "", back = ""]: ReadonlyArray<string>) => isLonger(front + back, maxBytes)
  const long = (asker: Store.Asker) =>
    failure(asker.space, { reason: "full", cause: `a record of over ${maxBytes} bytes` })

  // ----- what the port asks

  const open = (
    asker: Store.Asker,
    keys: ReadonlyArray<Store.Open>,
    ignore = false
  ): Effect.Effect<Store.Reply<ReadonlyArray<Store.Opened>>, Store.StoreError> =>
    Effect.suspend(() => {
      const space = spaceOf(asker.space)
      const called = now()
      const plans = new Map<string, number>()
      const wanted = keys.map(({ beside, leaseFor, policy, token = "", tokenFor }) => {
        const windows = `${finite(policy.freshFor)} ${finite(policy.maxAge)} ${policy.jitter} ${Number(policy.strict)}`
        const terms = `${Number(beside)} ${Number(ignore)} ${finite(leaseFor)} ${finite(tokenFor)}`
        const plan = `${windows} ${terms}`
        if (!plans.has(plan)) plans.set(plan, plans.size + 1)
        return `${plans.get(plan)}:${token}`
      })
      const args = [field(asker.version), String(maxBytes), String(plans.size), ...plans.keys(), ...wanted]
      return Effect.flatMap(
        send(asker, "open", keys.map(({ key }) => key), timeOf(asker, space, called), args),
        (answer) => {
          const seen = keys.map((key, i) => opened(key, answer, answer.rest[2 * i], answer.rest[2 * i + 1]))
          const reply = { clock: answer.clock, value: seen }
          const isBlind = ({ lease, problem }: Store.Opened, i: number) =>
            problem !== undefined && lease === undefined && keys[i]?.token !== undefined
          if (ignore || !seen.some(isBlind)) return Effect.succeed(reply)
          // To the script, which saw the facts alone, they were fresh: nobody was given the right to replace them.
          const asked = keys.filter((_, i) => isBlind(seen[i]!, i))
          return Effect.map(
            open({ ...asker, within: asker.within - (now() - called) }, asked, true),
            ({ clock, value }) => {
              const leases = value.values()
              const mended = seen.map((was, i) => isBlind(was, i) ? { ...was, lease: leases.next().value?.lease } : was)
              return { clock, value: mended }
            }
          )
        }
      )
    })

  const opened = (
    { key }: Store.Open,
    { received, sent, spoilt, time }: Answer,
    verdict = "",
    value = ""
  ): Store.Opened => {
    const [state, mark, right, left] = verdict === "f" ? ["fresh", -1] : verdict.split(" ")
    const lease: Store.Opened["lease"] = right === "given"
      ? right
      : right === "held" || right === "cooling"
      ? { left: Number(left), cooling: right === "cooling" }
      : undefined
    const nothing: Store.Opened = { entry: undefined, problem: undefined, lease }
    if (spoilt || state === "none" || state === "void") return nothing
    if (state === "size") return { ...nothing, problem: "size" }
    if (state === "foreign") return { ...nothing, problem: "json" }
    const read = Codec.readRecord(value, key, { maxBytes })
    if (Result.isFailure(read)) return { ...nothing, problem: read.failure }
    if (state === "odd") return { ...nothing, problem: "json" }
    const { counter, epoch, jitter, json, stamp, tags, valueText, windows } = read.success
    // By its facts it was alive: a record that says something else is none of ours.
    const there = Math.floor(time) - stamp
    if (there < 0) return { ...nothing, problem: "stamp" }
    if (there >= windows.life) return { ...nothing, problem: "windows" }
    // Nobody knows how long the answer was on its way: all of the round trip.
    const age = Math.ceil(time - stamp + received - sent)
    if (age >= windows.life) return nothing
    const clock = { epoch, counter }
    return { ...nothing, entry: { value: valueText, json, age, clock, windows, jitter, tags, marked: Number(mark) } }
  }

  const commit = (asker: Store.Asker, { key, stored, token }: Store.Commit) =>
    sharpened(asker, (space, called) => {
      const text = stored === undefined ? NONE : record(space, called, key, stored)
      const over = tooLong(text)
      const { counter, epoch } = stored?.clock ?? { epoch: "", counter: 0 }
      const args = [field(asker.version), token, epoch, String(counter), ...over ? NONE : text]
      return Effect.flatMap(
        send(asker, "commit", [key], timeOf(asker, space, called), args),
        // The old entry is gone and the lease is free, as with any other commit.
        ({ clock, rest }) => over ? Effect.fail(long(asker)) : Effect.succeed({ clock, value: rest[0] === "1" })
      )
    })

  const change = (asker: Store.Asker, change: Store.Change) =>
    sharpened(asker, (space, called) => {
      const { mode, news } = change
      const told = JSON.stringify({ space: asker.space, news }).slice(0, -1)
      const keys = mode === "set" ? [change.key] : mode === "hard" || mode === "soft" ? change.keys : []
      const text = mode === "set" ? record(space, called, change.key, change.stored) : NONE
      if (tooLong(text)) return Effect.fail(long(asker))
      const rest = mode === "set"
        ? [field(asker.version), ...text]
        : mode === "tag"
        ? [String(slotOf(change.tag))]
        : []
      // A stamp by another epoch's offset says nothing.
      const epoch = mode === "set" ? space.offset?.epoch ?? "" : ""
      return Effect.map(
        send(asker, "change", keys, timeOf(asker, space, called), [epoch, mode, told, channel, ...rest]),
        ({ clock }) => ({ clock, value: undefined })
      )
    })

  const lease = (asker: Store.Asker, { key, millis, to, token }: Store.Lease) =>
    Effect.suspend(() =>
      Effect.map(
        send(asker, "lease", [key], timeOf(asker, spaceOf(asker.space), now()), [
          field(asker.version),
          token,
          to,
          String(Math.ceil(millis))
        ]),
        ({ clock, rest }) => ({ clock, value: rest[0] === "1" })
      )
    )

  const announcements = Stream.unwrap(Effect.suspend(() => {
    const { client, trouble } = link
    if (client === undefined) return Effect.fail(failure(prefix, trouble))
    return Effect.map(client.subscribe(channel), (queue) =>
      Stream.fromQueue(queue).pipe(
        // What cut this line has cut the other too, perhaps: the next reader need not be the one who finds out.
        Stream.tapError(() => Effect.forkIn(Effect.catch(client.send("TIME"), (error) => gone(client, error)), scope)),
        Stream.mapError((error) => failure(prefix, troubleOf(error))),
        Stream.filterMap(({ message }) => announcement(message, maxBytes))
      ))
  }))

  /** In parts: a script of very many keys would hold up everybody. */
  const inParts = <A, B>(
    asker: Store.Asker,
    all: ReadonlyArray<A>,
    each: (asker: Store.Asker, part: ReadonlyArray<A>) => Effect.Effect<Store.Reply<B>, Store.StoreError>
  ) => {
    const called = now()
    const parts = Array.from({ length: Math.ceil(all.length / PART) }, (_, i) => all.slice(i * PART, (i + 1) * PART))
    return Effect.forEach(parts, (part) => each({ ...asker, within: asker.within - (now() - called) }, part))
  }

  return Store.Store.of({
    powers: { fences: true, leases: true, announces: true, tags: true, ages: "server" },
    open: (asker, keys) =>
      keys.length <= PART ? open(asker, keys) : Effect.flatMap(inParts(asker, keys, open), (replies) => {
        // The oldest clock: what was said after it is judged as news.
        const clock = replies[0]?.clock
        return replies.every((reply) => reply.clock?.epoch === clock?.epoch)
          ? Effect.succeed({ clock, value: replies.flatMap(({ value }) => value) })
          : Effect.fail(failure(asker.space, { reason: "away", cause: "the epoch ended meanwhile" }))
      }),
    commit,
    change: (asker, word) =>
      !("keys" in word) || word.keys.length <= PART
        ? change(asker, word)
        : Effect.map(
          inParts(asker, word.keys, (asker, keys) => change(asker, { ...word, keys })),
          (replies) => ({ clock: replies.at(-1)?.clock, value: undefined })
        ),
    lease,
    ask: (asker) => Effect.map(ask(asker), ({ clock }) => ({ clock, value: undefined })),
    announcements
  })
})

const NONE: ReadonlyArray<string> = Array.from({ length: 8 }, () => "")
/** How many keys one command may have. */
const PART = 10_000
const ANY_TIME = { since: "", until: "" }
const STRANGE: Trouble = { reason: "away", cause: "not an answer of our scripts" }

const isTexts = (reply: unknown): reply is ReadonlyArray<string> =>
  Array.isArray(reply) && reply.length >= 5 && reply.every((part) => typeof part === "string")

/** What was heard on the channel, where it is what we write there: whoever can reach Redis may have written it. */
const announcement = (message: string, maxBytes: number): Result.Result<Store.Announcement, undefined> => {
  if (message.length > maxBytes) return Result.fail(undefined)
  const json = Result.getOrUndefined(Result.try((): unknown => JSON.parse(message)))
  if (typeof json !== "object" || json === null) return Result.fail(undefined)
  const { counter, epoch, news, space }: { readonly [K in "counter" | "epoch" | "news" | "space"]?: unknown } = json
  return typeof space === "string" && typeof epoch === "string" && typeof news === "string" &&
      typeof counter === "number" && Number.isSafeInteger(counter) && counter >= 0
    ? Result.succeed({ space, clock: { epoch, counter }, news })
    : Result.fail(undefined)
}

// ----- the client

/** Said by a client that will not connect again. */
const CLOSED = /\bclient is closed\b/i

/** How long one try to connect may take, and closing a connection: a client may wait for answers that never come. */
const PATIENCE = { connect: 5000, close: 200 }
/** How long a layer waits for its first try: so that what reads at the start, such as a warm-up, finds the store. */
const GREETING = 500
/** Between tries, in milliseconds. Half of it is left to chance, so that a fleet does not come at once. */
const PAUSE = { least: 50, most: 500, denied: 5000 }

/** Closes a client, but does not wait for one that does not close. */
const hangUp = (scope: Scope.Closeable): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true }),
    (closing) => Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Fiber.await(closing)), PATIENCE.close))
  )

/** Builds a client that answers, in a scope of its own below `scope`. */
const dial = <E, R>(client: Layer.Layer<Redis.Redis, E, R>, scope: Scope.Scope) =>
  Effect.gen(function*() {
    const line = yield* Scope.fork(scope)
    const inner = yield* Scope.make()
    yield* Scope.addFinalizer(line, hangUp(inner))
    return yield* Layer.buildWithScope(Layer.fresh(client), inner).pipe(
      Effect.map((context) => ({ redis: Context.get(context, Redis.Redis), line })),
      // Some clients connect without a word about a missing password.
      Effect.tap(({ redis }) => redis.send("TIME")),
      Effect.timeout(PATIENCE.connect),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.andThen(Scope.close(line, Exit.void), Effect.fail(Cause.squash(cause)))
      )
    )
  })

/**
 * Connects behind everybody's back, as often as it takes. The first try is waited for: to its end where Redis is
 * required, else until it fails or `GREETING` is over.
 */
const connect = Effect.fnUntraced(function*<E, R>(client: Layer.Layer<Redis.Redis, E, R>, required: boolean) {
  const scope = yield* Effect.scope
  const context = yield* Effect.context<R>()
  let lost: Effect.Effect<unknown> = Effect.void
  const link: Link = {
    client: undefined,
    trouble: { reason: "away", cause: "not connected yet" },
    told: false,
    lost: (client) => Effect.suspend(() => link.client === client ? lost : Effect.void)
  }
  const once = (tried: number) => {
    // Clients warn of each try: the first says it all. What happens later is told by events of the caches.
    const dialed = Effect.updateService(
      dial(client, scope),
      References.MinimumLogLevel,
      (level) => tried === 0 ? level : "Error"
    )
    return Effect.map(Effect.provideContext(dialed, context), ({ line, redis }) => {
      link.client = redis
      lost = Effect.suspend(() => {
        link.client = undefined
        link.trouble = { reason: "away", cause: "the connection is lost" }
        return Effect.andThen(Effect.forkIn(Scope.close(line, Exit.void), scope), Effect.forkIn(tries, scope))
      })
    })
  }
  const greeted = yield* Deferred.make<void>()
  const tries = Effect.gen(function*() {
    for (let tried = 0;; tried++) {
      const dialed = yield* Effect.result(once(tried))
      yield* Deferred.succeed(greeted, undefined)
      if (Result.isSuccess(dialed)) return
      const error = dialed.failure
      link.trouble = troubleOf(error)
      yield* say(link, link.trouble)
      const { cause, reason } = link.trouble
      if (tried === 0 && reason !== "denied") {
        yield* error instanceof Redis.RedisError || error instanceof Cause.TimeoutError
          ? Effect.logWarning(`effect-swr: Redis is not there (${cause}): tried again until it is`)
          : Effect.logError(`effect-swr: The client of Redis can't be built (${cause}): tried again until it can`)
      }
      const pause = reason === "denied" ? PAUSE.denied : Math.min(PAUSE.most, PAUSE.least * 2 ** tried)
      yield* Effect.sleep(pause * (0.5 + 0.5 * (yield* Random.next)))
    }
  })
  if (required) yield* once(0)
  else {
    yield* Effect.forkIn(tries, scope)
    yield* Effect.timeoutOption(Deferred.await(greeted), GREETING)
  }
  return link
})

/**
 * How records and names are kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  /** What all keys begin with. Programs with one prefix share what they cache under the same names. */
  readonly prefix: string
  /** A longer record, in bytes of UTF-8, is neither written nor read: 16 MiB if not given. */
  readonly maxBytes?: number | undefined
}

/**
 * Options of {@link layer}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<E, R> extends Settings {
  /**
   * Builds the client, for this store alone. It should fail commands while it is not connected instead of queueing
   * them (`disableOfflineQueue` of node-redis), and leave it to the store to connect anew (`reconnectStrategy: false`):
   * after an outage node-redis by itself is back within two seconds, the store within half of one.
   */
  readonly client: Layer.Layer<Redis.Redis, E, R>
  /** The layer waits for Redis, and fails where it is absent or refuses us. Default: it is built without. */
  readonly required?: boolean | undefined
}

/**
 * The store over a `Redis` that is there already, and stays there.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Store } from "effect-swr"
 * import * as StoreRedis from "effect-swr/StoreRedis"
 *
 * const client = NodeRedis.layer({ url: "redis://localhost:6379", disableOfflineQueue: true })
 * const store = Layer.provide(Layer.effect(Store.Store, StoreRedis.make({ prefix: "shop" })), client)
 * console.log(Layer.isLayer(store)) // true
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  settings: Settings
): Effect.Effect<Store.Store["Service"], never, Redis.Redis | Scope.Scope> =>
  Effect.flatMap(
    Redis.Redis,
    (client) => adapter({ client, trouble: STRANGE, told: false, lost: () => Effect.void }, settings)
  )

/**
 * A store in Redis. Its client is built in the background, and again until it answers. The layer waits for the first
 * try, so that what reads at the start finds the store, but half a second at most. An absent Redis fails nothing: calls
 * say that the store is `away`. Refused credentials are one Error in the log, without them. Everything is closed with
 * the layer.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import * as StoreRedis from "effect-swr/StoreRedis"
 *
 * const store = StoreRedis.layer({
 *   client: NodeRedis.layer({
 *     url: "redis://localhost:6379",
 *     disableOfflineQueue: true,
 *     socket: { reconnectStrategy: false }
 *   }),
 *   prefix: "shop"
 * })
 * console.log(Layer.isLayer(store)) // true
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  <E, R>(
    options: Options<E, R> & { readonly required?: false | undefined }
  ): Layer.Layer<Store.Store, never, Exclude<R, Scope.Scope>>
  <E, R>(options: Options<E, R>): Layer.Layer<Store.Store, Store.StoreError, Exclude<R, Scope.Scope>>
} = <E, R>({ client, required = false, ...settings }: Options<E, R>) => {
  const linked = Effect.mapError(connect(client, required), (error) => failure(settings.prefix, troubleOf(error)))
  // It fails only where it is required, as the overloads say.
  const made = Effect.flatMap(linked as typeof linked & Effect.Effect<Link>, (link) => adapter(link, settings))
  return Layer.effect(Store.Store, made)
}

/**
 * The same, its settings from `Config`.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Config, ConfigProvider, Effect, Layer } from "effect"
 * import * as StoreRedis from "effect-swr/StoreRedis"
 *
 * const store = StoreRedis.layerConfig({
 *   client: NodeRedis.layerConfig({
 *     url: Config.String("REDIS_URL"),
 *     disableOfflineQueue: Config.succeed(true),
 *     socket: Config.succeed({ reconnectStrategy: false })
 *   }),
 *   prefix: Config.String("REDIS_PREFIX"),
 *   required: Config.Boolean("REDIS_REQUIRED").pipe(Config.withDefault(false))
 * }).pipe(
 *   Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ REDIS_URL: "redis://localhost:6379" })))
 * )
 *
 * const program = Effect.flip(Effect.scoped(Layer.build(store)))
 *
 * Effect.runPromise(program).then((error) => console.log(error._tag)) // ConfigError
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <E, R>(
  { client, ...settings }:
    & { readonly client: Layer.Layer<Redis.Redis, E, R> }
    & Config.Wrap<Omit<Options<E, R>, "client">>
): Layer.Layer<Store.Store, Config.ConfigError | Store.StoreError, Exclude<R, Scope.Scope>> =>
  Layer.unwrap(Effect.map(Config.unwrap(settings), (settings) => layer({ client, ...settings })))
