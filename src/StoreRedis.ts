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
 * Each command is one constant script and one round trip, the clock and the time with it. The scripts judge by Redis'
 * TIME alone. What happened to a value before it came here is told as an age and turned into Redis' time by an offset
 * that the replies teach (`Offset`), never by the time at which a script happens to run: a command whose caller has
 * timed out is executed still, and would make an old value young.
 *
 * A user of Redis that is to have no other rights: `~{prefix:* &prefix:news +evalsha +script|load +subscribe +time
 * +hmget +hget +hset +hsetnx +hdel +hkeys +del +exists +pttl +pexpire +pexpireat +publish`, and what its client says to
 * open a connection. Who can write there can choose what readers get: records are judged, but not signed.
 *
 * @since 0.1.0
 */
import { Cause, Clock, Config, Context, Effect, Exit, Fiber, Layer, Random, Result, Scope, Stream } from "effect"
import * as Redis from "effect/persistence/Redis"
import * as Codec from "./Codec.ts"
import * as Store from "./Store.ts"

// ----- the scripts

/**
 * What every script begins with. It makes the clock where there is none or where it can't be relied on, says the time,
 * and refuses what comes too late. ARGV: 1 a name for a new epoch, 2 and 3 what the asker has heard, 4 and 5 since when
 * and until when the command may run, 6 the epoch under which it must.
 *
 * `e` epoch, `n` counter, `c` counter of the last clear, `t` TIME of the last command that wrote, `s123` notes.
 */
const head = (renew: string, late: string) => `
local clock = KEYS[1]
local TIME = redis.call('TIME')
local now = TIME[1] * 1000 + TIME[2] / 1000
local ms = math.floor(now)
local DAY = 86400000

-- Who may write to Redis may have written anything.
local function whole(text)
  local n = tonumber(text)
  if n and n >= 0 and n <= 9007199254740991 and n % 1 == 0 then return n end
end
local function digits(n) return string.format('%.0f', n) end
-- A key of another type under our name holds nothing of ours.
local function read(command, key, ...)
  local found = redis.pcall(command, key, ...)
  if type(found) ~= 'table' or not found.err then return found, nil end
  if string.find(found.err, 'WRONGTYPE', 1, true) then return {}, 'foreign' end
  return {}, found
end

local found, trouble = read('HMGET', clock, 'e', 'n', 'c', 't')
if type(trouble) == 'table' then return trouble end
local epoch, counter, cleared, last = found[1], whole(found[2]), whole(found[3]), whole(found[4])
local renew = ${renew}
if not (epoch and counter and cleared and last) or #epoch > 64 or not string.find(epoch, '^[%w-]+$')
  or ms < last or (epoch == ARGV[2] and counter < tonumber(ARGV[3])) or epoch == renew then
  epoch, counter, cleared, last = ARGV[1], 0, 0, ms
  if redis.call('EXISTS', clock) == 1 then redis.call('DEL', clock) end
  redis.call('HSET', clock, 'e', epoch, 'n', '0', 'c', '0', 't', digits(ms))
  redis.call('PEXPIRE', clock, DAY)
elseif redis.call('PTTL', clock) < DAY / 2 then
  redis.call('PEXPIRE', clock, DAY)
end

local function answer(state, ...) return { TIME[1], TIME[2], epoch, digits(counter), state, ... } end
if ARGV[4] ~= '' and (now < tonumber(ARGV[4]) or now >= tonumber(ARGV[5])) or ${late} then return answer('late') end

local function seen() if ms > last then redis.call('HSET', clock, 't', digits(ms)) end end
-- A key ends with the last of what is in it, and not before.
local function keep(key, till)
  local left = redis.call('PTTL', key)
  if left < 0 or ms + left < till then redis.call('PEXPIREAT', key, digits(till)) end
end
-- A note of one of these slots, or of a clear, that is greater. Nothing is greater than the counter.
local notes = {}
local function noted(slots, than)
  if cleared > than then return true end
  if counter <= than then return false end
  for slot in string.gmatch(slots, '%d+') do
    if not notes[slot] then notes[slot] = whole(redis.call('HGET', clock, 's' .. slot)) or 0 end
    if notes[slot] > than then return true end
  end
  return false
end
-- 'end cooling epoch token': one of another epoch counts as none.
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

/**
 * Until which age a value is fresh: `Policy.freshUntil`, to the last bit. `own` is what the entry itself allows.
 *
 * @internal
 */
export const freshUntil = `
local function fresh_until(policy, own, jitter, marked)
  local function shorten(age)
    if policy.jitter == 0 then return age end
    return math.floor(age * (1 - policy.jitter * jitter))
  end
  local expired = math.min(policy.maxAge, own.maxAge, own.life)
  if policy.strict then expired = shorten(math.min(expired, own.freshFor)) end
  local least = math.min(policy.freshFor, own.freshFor, expired)
  if marked >= 0 and (policy.strict or marked < least) then
    if policy.strict then return 0 end
    return shorten(marked)
  end
  if policy.strict then return least end
  return shorten(least)
end
`

/**
 * ARGV: 7 version, 8 how many bytes a record may have, then a plan and a token for each key. A plan is how the asker
 * judges freshness and what he asks for, in one text: keys that are asked for together share it.
 *
 * Answers state, record, age at which it was marked, lease and what is left of it, one after the other for all keys.
 */
const OPEN = head("''", "false") + freshUntil + `
local version, longest = ARGV[7], tonumber(ARGV[8])
local plans = {}
local function plan_of(text)
  if not plans[text] then
    local f, m, j, s, b, i, l, t = string.match(text, '^(%S+) (%S+) (%S+) ([01]) ([01]) ([01]) (%d+) (%d+)$')
    plans[text] = {
      freshFor = tonumber(f), maxAge = tonumber(m), jitter = tonumber(j), strict = s == '1',
      beside = b == '1', ignore = i == '1', leaseFor = tonumber(l), tokenFor = tonumber(t)
    }
  end
  return plans[text]
end

local function judge(plan, record, facts, marked)
  if not record then return 'none', '', '-1' end
  if #record > longest then return 'size', '', '-1' end
  local stamp, life, freshFor, maxAge, jitter, of, at, slots =
    string.match(facts or '', '^(%d+) (%d+) (%S+) (%S+) (%S+) (%S+) (%d+)(.*)$')
  if not stamp or not tonumber(jitter) then return 'odd', record, '-1' end
  local age = ms - tonumber(stamp)
  local own = {
    life = tonumber(life), freshFor = tonumber(freshFor) or math.huge, maxAge = tonumber(maxAge) or math.huge
  }
  if of ~= epoch or age < 0 or age >= own.life or noted(slots, tonumber(at)) then return 'void', '', '-1' end
  local mark = whole(marked)
  if mark then mark = math.max(0, mark - tonumber(stamp)) else mark = -1 end
  local fresh = age < fresh_until(plan, own, tonumber(jitter), mark)
  return fresh and 'fresh' or 'stale', record, digits(mark)
end

local out, given = answer('ok'), false
for i = 2, #KEYS do
  local key, plan, token = KEYS[i], plan_of(ARGV[2 * i + 5]), ARGV[2 * i + 6]
  local got, trouble = read('HMGET', key, 'r' .. version, 'f' .. version, 'm' .. version, 'l' .. version)
  if type(trouble) == 'table' then return trouble end
  local state, record, mark = judge(plan, got[1], got[2], got[3])
  if trouble then state = 'foreign' end
  local right, left = '', '0'
  if token ~= '' and (state ~= 'fresh' or plan.ignore) then
    local holder, till, cooling = lease(got[4])
    if not holder or (plan.beside and cooling) then
      local g = digits(ms + plan.tokenFor) .. ' ' .. token
      if trouble then redis.call('DEL', key) end
      if holder then
        redis.call('HSET', key, 'g' .. version, g)
        keep(key, ms + plan.tokenFor)
      else
        local l = digits(ms + plan.leaseFor) .. ' 0 ' .. epoch .. ' ' .. token
        redis.call('HSET', key, 'g' .. version, g, 'l' .. version, l)
        keep(key, ms + math.max(plan.leaseFor, plan.tokenFor))
      end
      right, given = 'given', true
    else
      right, left = cooling and 'cooling' or 'held', digits(math.ceil(till - now))
    end
  end
  local at = #out
  out[at + 1], out[at + 2], out[at + 3], out[at + 4], out[at + 5] = state, record, mark, right, left
end
if given then seen() end
return out
`

/** A record comes in two parts: between them belong epoch and counter, which of a `set` only the script knows. */
const put = `
local function put(key, version, front, back, facts, slots, at)
  local stamp, life = string.match(facts, '^(%d+) (%d+) ')
  local till = tonumber(stamp) + tonumber(life)
  if till <= now then return false end
  local clock_of = '"epoch":"' .. epoch .. '","counter":' .. digits(at)
  local done = redis.pcall('HSET', key, 'r' .. version, front .. clock_of .. back,
    'f' .. version, facts .. ' ' .. epoch .. ' ' .. digits(at) .. slots)
  if type(done) == 'table' and done.err then return done end
  keep(key, till)
  return true
end
`

/**
 * ARGV: 7 version, 8 token, 9 and 10 the clock when the load began, 11 to 14 the record (11 is '' for none).
 *
 * A generation that is not there matches no token.
 */
const COMMIT = head("''", "false") + put + `
local key, version, token = KEYS[2], ARGV[7], ARGV[8]
local got, trouble = read('HMGET', key, 'g' .. version, 'l' .. version)
if type(trouble) == 'table' then return trouble end
local bare = ARGV[11] == ''
local yes = generation(got[1]) == token
if not bare then yes = yes and epoch == ARGV[9] and not noted(ARGV[14], tonumber(ARGV[10])) end
local failed, mine = nil, got[2] and select(4, string.match(got[2], '^(%d+) ([01]) (%S+) (.*)$')) == token
if yes then
  local written = not bare and put(key, version, ARGV[11], ARGV[12], ARGV[13], ARGV[14], tonumber(ARGV[10]))
  if type(written) == 'table' then
    failed = written
  elseif written then
    redis.call('HDEL', key, 'g' .. version, 'm' .. version)
  else
    redis.call('HDEL', key, 'g' .. version, 'm' .. version, 'r' .. version, 'f' .. version)
  end
end
if mine then redis.call('HDEL', key, 'l' .. version) end
if failed then return failed end
seen()
return answer('ok', yes and '1' or '0')
`

/**
 * ARGV: 7 mode, 8 the announcement but for its end, 9 its channel; for a set 10 version and 11 to 14 the record; for a
 * tag 10 its slot.
 *
 * A server that is out of memory refuses a script whose first write needs some. A set has to be refused then, before it
 * has done anything; every other last word frees memory or needs next to none, and has to get through.
 */
const CHANGE = `
if ARGV[7] ~= 'set' then redis.call('PEXPIRE', KEYS[1], 86400000) end
` + head("''", "ARGV[6] ~= '' and ARGV[6] ~= epoch") + put + `
local mode = ARGV[7]
counter = counter + 1
redis.call('HSET', clock, 'n', digits(counter), 't', digits(ms))
if mode == 'set' then
  redis.call('DEL', KEYS[2])
  local done = put(KEYS[2], ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14], counter)
  if type(done) == 'table' then return done end
elseif mode == 'hard' then
  for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
elseif mode == 'soft' then
  for i = 2, #KEYS do
    local fields, trouble = read('HKEYS', KEYS[i])
    if trouble then redis.call('DEL', KEYS[i]) end
    for _, field in ipairs(fields) do
      local kind = string.sub(field, 1, 1)
      if kind == 'r' then redis.call('HSETNX', KEYS[i], 'm' .. string.sub(field, 2), digits(ms)) end
      if kind == 'l' or kind == 'g' then redis.call('HDEL', KEYS[i], field) end
    end
  end
elseif mode == 'tag' then
  redis.call('HSET', clock, 's' .. ARGV[10], digits(counter))
elseif mode == 'clear' then
  redis.call('HSET', clock, 'c', digits(counter))
end
redis.call('PUBLISH', ARGV[9], ARGV[8] .. ',"epoch":"' .. epoch .. '","counter":' .. digits(counter) .. '}')
return answer('ok')
`

/** ARGV: 7 version, 8 token, 9 what becomes of the lease, 10 for how long. */
const LEASE = head("''", "false") + `
local key, version, to = KEYS[2], ARGV[7], ARGV[9]
local got, trouble = read('HMGET', key, 'l' .. version, 'g' .. version)
if type(trouble) == 'table' then return trouble end
local holder, _, cooling = lease(got[1])
if holder ~= ARGV[8] then return answer('ok', '0') end
if to == 'release' then
  redis.call('HDEL', key, 'l' .. version)
  if generation(got[2]) == holder then redis.call('HDEL', key, 'g' .. version) end
else
  local till = ms + tonumber(ARGV[10])
  local flag = (to == 'cool' or cooling) and '1' or '0'
  redis.call('HSET', key, 'l' .. version, digits(till) .. ' ' .. flag .. ' ' .. epoch .. ' ' .. holder)
  keep(key, till)
end
return answer('ok', '1')
`

/** ARGV: 7 the epoch that is to end, or ''. */
const ASK = head("ARGV[7]", "false") + `
return answer('ok')
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

const boundsAt = (offset: Offset, now: number) => ({
  lo: offset.lo - DRIFT * (now - offset.at),
  hi: offset.hi + DRIFT * (now - offset.at)
})

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
const written = (key: string, stamp: number, stored: Store.Stored): readonly [string, string, string, string] => {
  const { jitter, tags, value, windows } = stored
  const text = Codec.writeRecord({ key, stamp, windows, jitter, tags, epoch: "", counter: 0 }, value)
  const at = text.indexOf(CLOCKLESS)
  const facts = [stamp, windows.life, windows.freshFor ?? "-", windows.maxAge ?? "-", jitter].join(" ")
  return [text.slice(0, at), text.slice(at + CLOCKLESS.length), facts, slotsOf(tags)]
}

const isLonger = (text: string, bytes: number) =>
  text.length > bytes || (text.length * 3 > bytes && new TextEncoder().encode(text).length > bytes)

const finite = (millis: number) => Math.min(millis, Number.MAX_SAFE_INTEGER)

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
const KNOWN = /\b(?:NOAUTH|WRONGPASS|NOPERM|OOM|READONLY|MISCONF|LOADING|BUSY|CLUSTERDOWN|MOVED|CROSSSLOT|E[A-Z]{4,})\b/
const OURS = /user_script:\d+: [^\n]*/

interface Trouble {
  readonly reason: "away" | "denied" | "full"
  /** A word for it: never what the server or the client wrote, which may quote a password. */
  readonly cause: string
}

const troubleOf = (error: unknown): Trouble => {
  const text = textsOf(error)
  const reason = FULL.test(text) ? "full" : DENIED.test(text) ? "denied" : "away"
  const named = typeof error === "object" && error !== null ? Reflect.get(error, "cause") ?? error : error
  const cause = KNOWN.exec(text)?.[0] ?? OURS.exec(text)?.[0] ?? (named instanceof Error ? named.constructor.name : "?")
  return { reason, cause }
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
  readonly lost: (client: Redis.Redis["Service"]) => Effect.Effect<void>
}

/** Says once that we are refused, until we no longer are. */
const say = (link: Link, trouble: Trouble): Effect.Effect<void> => {
  if (trouble.reason !== "denied" || link.told) return Effect.void
  link.told = true
  return Effect.logError(`Redis refuses us (${trouble.cause}): see to the user, the password and its rights`)
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
  // Names of epochs: random per process, numbered in it, so that no call has to draw.
  const random = Array.from([yield* Random.next, yield* Random.next], (n) => Math.floor(n * 2 ** 52).toString(36))
  let epochs = 0
  const channel = `${escape(prefix)}:news`

  const spaces = new Map<string, Space>()
  const spaceOf = (name: string): Space => {
    const known = spaces.get(name)
    if (known !== undefined) return known
    const clock = `{${escape(prefix)}:${escape(name)}}`
    const space = { clock, offset: undefined, spoilt: undefined, renewing: false }
    spaces.set(name, space)
    return space
  }

  const send = (
    asker: Store.Asker,
    command: Command,
    keys: ReadonlyArray<string>,
    time: { readonly since: string; readonly until: string; readonly epoch: string },
    args: ReadonlyArray<string>
  ): Effect.Effect<Answer, Store.StoreError> =>
    Effect.suspend(() => {
      const { client, trouble } = link
      if (client === undefined) return Effect.fail(failure(asker.space, trouble))
      const space = spaceOf(asker.space)
      const names = keys.map((key) => `${space.clock}:${key}`)
      const { counter, epoch } = asker.heard ?? { epoch: "", counter: 0 }
      const candidate = `${random.join("")}-${(++epochs).toString(36)}`
      const sent = now()
      return client.eval(SCRIPTS[command])(
        [space.clock, ...names],
        [candidate, epoch, String(counter), time.since, time.until, time.epoch, ...args]
      ).pipe(Effect.matchEffect({
        onFailure: (error) => {
          const trouble = troubleOf(error)
          return say(link, trouble).pipe(
            Effect.andThen(CLOSED.test(textsOf(error)) ? link.lost(client) : Effect.void),
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
          space.renewing = true
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
    send(asker, "ask", [], { since: "", until: "", epoch: "" }, [epoch]).pipe(
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => {
        space.renewing = false
      }))
    )

  /** An offset by whose drift a deadline could be missed for nothing is none. */
  const isSharp = (asker: Store.Asker, { offset }: Space) =>
    offset !== undefined && DRIFT * (now() - offset.at) <= Math.max(1, asker.within / 4)

  /** When a command that was called at `called` may run. What changes nothing for good may do without a limit. */
  const timeOf = (asker: Store.Asker, space: Space, called: number, epoch = "") => {
    const { offset } = space
    if (offset === undefined) return { since: "", until: "", epoch }
    const { hi, lo } = boundsAt(offset, now())
    const until = called + (isSharp(asker, space) ? lo : hi) + asker.within
    return { since: String(Math.floor(called + lo)), until: String(until), epoch }
  }

  const ask = (asker: Store.Asker): Effect.Effect<Answer, Store.StoreError> =>
    send(asker, "ask", [], { since: "", until: "", epoch: "" }, [""])

  /** What is written needs a stamp and a deadline, and these an offset. */
  const sharpened = <A>(
    asker: Store.Asker,
    then: (space: Space, called: number) => Effect.Effect<A, Store.StoreError>
  ) =>
    Effect.suspend(() => {
      const space = spaceOf(asker.space)
      const called = now()
      return isSharp(asker, space) ? then(space, called) : Effect.flatMap(ask(asker), () => then(space, called))
    })

  /** Redis' time when the age was 0. The least offset, and rounded down: an age can only grow. */
  const record = (space: Space, called: number, key: string, stored: Store.Stored) => {
    const lo = space.offset === undefined ? 0 : boundsAt(space.offset, now()).lo
    return written(key, Math.max(0, Math.floor(called - stored.age + lo)), stored)
  }

  const tooLong = ([front, back]: readonly [string, string, ...ReadonlyArray<string>]) =>
    isLonger(front + back, maxBytes)
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
      const args = keys.flatMap((
        { beside, leaseFor, policy: { freshFor, jitter, maxAge, strict }, token, tokenFor }
      ) => [
        [
          finite(freshFor),
          finite(maxAge),
          jitter,
          Number(strict),
          Number(beside),
          Number(ignore),
          Math.ceil(leaseFor),
          Math.ceil(tokenFor)
        ].join(" "),
        token ?? ""
      ])
      return Effect.flatMap(
        send(asker, "open", keys.map(({ key }) => key), timeOf(asker, space, called), [
          escape(asker.version),
          String(maxBytes),
          ...args
        ]),
        (answer) => {
          const seen = keys.map((key, i) => opened(key, answer, answer.rest.slice(i * 5, i * 5 + 5)))
          const reply = { clock: answer.clock, value: seen }
          // The script saw no more than the outside of the record, and gave nobody the right to replace it.
          const blind = keys.filter((key, i) => {
            const { lease, problem } = seen[i]!
            return !ignore && key.token !== undefined && problem !== undefined &&
              (lease === undefined || (lease !== "given" && lease.cooling && key.beside))
          })
          if (blind.length === 0) return Effect.succeed(reply)
          return Effect.map(
            open({ ...asker, within: asker.within - (now() - called) }, blind, true),
            (again) => ({
              clock: again.clock,
              value: seen.map((was, i) => {
                const at = blind.indexOf(keys[i]!)
                return at < 0 ? was : { ...was, lease: again.value[at]!.lease }
              })
            })
          )
        }
      )
    })

  const opened = (
    { key }: Store.Open,
    { received, sent, spoilt, time }: Answer,
    [state = "none", text = "", mark, right = "", left]: ReadonlyArray<string>
  ): Store.Opened => {
    const lease: Store.Opened["lease"] = right === "given"
      ? right
      : right === ""
      ? undefined
      : { left: Number(left), cooling: right === "cooling" }
    const nothing: Store.Opened = { entry: undefined, problem: undefined, lease }
    if (state === "none" || state === "void") return nothing
    if (state === "size") return { ...nothing, problem: "size" }
    if (state === "foreign") return { ...nothing, problem: "json" }
    const read = Codec.readRecord(text, key, { maxBytes })
    if (Result.isFailure(read)) return { ...nothing, problem: read.failure }
    if (state === "odd") return { ...nothing, problem: "json" }
    const { counter, epoch, jitter, stamp, tags, valueText: value, windows } = read.success
    // Nobody knows how long the answer was on its way: all of the round trip.
    const age = Math.ceil(time - stamp + received - sent)
    if (spoilt || age < 0 || age >= windows.life) return nothing
    return { ...nothing, entry: { value, age, clock: { epoch, counter }, windows, jitter, tags, marked: Number(mark) } }
  }

  const commit = (asker: Store.Asker, { key, stored, token }: Store.Commit) =>
    sharpened(asker, (space, called) => {
      const text = stored === undefined ? NONE : record(space, called, key, stored)
      const over = tooLong(text)
      const { counter, epoch } = stored?.clock ?? { epoch: "", counter: 0 }
      const args = [escape(asker.version), token, epoch, String(counter), ...over ? NONE : text]
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
        ? [escape(asker.version), ...text]
        : mode === "tag"
        ? [String(slotOf(change.tag))]
        : []
      // A stamp by another epoch's offset says nothing.
      const time = timeOf(asker, space, called, mode === "set" ? space.offset?.epoch : "")
      return Effect.map(
        send(asker, "change", keys, time, [mode, told, channel, ...rest]),
        ({ clock }) => ({ clock, value: undefined })
      )
    })

  const lease = (asker: Store.Asker, { key, millis, to, token }: Store.Lease) =>
    Effect.suspend(() =>
      Effect.map(
        send(asker, "lease", [key], timeOf(asker, spaceOf(asker.space), now()), [
          escape(asker.version),
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
        Stream.mapError((error) => failure(prefix, troubleOf(error))),
        Stream.filterMap(({ message }) => announcement(message, maxBytes))
      ))
  }))

  return Store.Store.of({
    powers: { fences: true, leases: true, announces: true, tags: true, ages: "server" },
    open: (asker, keys) => open(asker, keys),
    commit,
    change,
    lease,
    ask: (asker) => Effect.map(ask(asker), ({ clock }) => ({ clock, value: undefined })),
    announcements
  })
})

const NONE = ["", "", "", ""] as const
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
const PATIENCE = { connect: 5000, close: 500 }
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

/** Connects behind everybody's back, as often as it takes; the first time before their eyes where it is required. */
const connect = Effect.fnUntraced(function*<E, R>(client: Layer.Layer<Redis.Redis, E, R>, required: boolean) {
  const scope = yield* Effect.scope
  const context = yield* Effect.context<R>()
  let lost = Effect.void
  const link: Link = {
    client: undefined,
    trouble: { reason: "away", cause: "not connected yet" },
    told: false,
    lost: (client) => Effect.suspend(() => link.client === client ? lost : Effect.void)
  }
  const once = Effect.map(Effect.provideContext(dial(client, scope), context), ({ line, redis }) => {
    link.client = redis
    lost = Effect.suspend(() => {
      link.client = undefined
      return Effect.asVoid(Effect.forkIn(Effect.andThen(Scope.close(line, Exit.void), tries), scope))
    })
  })
  const tries = Effect.gen(function*() {
    for (let tried = 0;; tried++) {
      const dialed = yield* Effect.result(once)
      if (Result.isSuccess(dialed)) return
      const error = dialed.failure
      link.trouble = troubleOf(error)
      yield* say(link, link.trouble)
      const { cause, reason } = link.trouble
      if (tried === 0 && reason !== "denied") {
        yield* error instanceof Redis.RedisError || error instanceof Cause.TimeoutError
          ? Effect.logWarning(`Redis is not there (${cause}): tried again until it is`)
          : Effect.logError(`The client of Redis can't be built (${cause}): tried again until it can`)
      }
      const pause = reason === "denied" ? PAUSE.denied : Math.min(PAUSE.most, PAUSE.least * 2 ** tried)
      yield* Effect.sleep(pause * (0.5 + 0.5 * (yield* Random.next)))
    }
  })
  yield* required ? once : Effect.forkIn(tries, scope)
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
 * A store in Redis. Its client is built in the background, and again until it answers: an absent Redis delays, fails
 * nothing; calls say that the store is `away`. Refused credentials are one Error in the log, without them. Everything
 * is closed with the layer.
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
