/**
 * What a reader is given by what a load gave: each case by itself. That the exchange does it is seen in
 * `HttpCache.test.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import { Swr } from "effect-swr"
import type * as Answer from "../src/Answer.ts"
import * as HttpPolicy from "../src/HttpPolicy.ts"
import { type Kept, Live } from "../src/HttpRecord.ts"
import * as HttpVerdict from "../src/HttpVerdict.ts"

const SECOND = 1000

const rules = HttpPolicy.rules({ staleOnDisconnect: 5 * SECOND })

const get = (headers: HttpPolicy.Request["headers"] = {}): HttpPolicy.Request => ({
  method: "GET",
  url: "http://a.test/",
  headers
})

/** Kept by load 4 at time 0, for as long as its fields say. */
const kept = (control: string, more: Partial<Kept> = {}, vary?: string): Kept => {
  const request = get(vary === undefined ? {} : { [vary]: "b" })
  const head = { status: 200, headers: { "cache-control": control, ...vary !== undefined && { vary } }, length: 1 }
  const stored = HttpPolicy.store(request, head, { requestedAt: 0, receivedAt: 0 }, rules)
  return { _tag: "Kept", ...stored, body: new ArrayBuffer(1), began: 4, answered: 200, stays: true, ...more }
}

/** Arrived after load 4 had begun, and began none. */
const reader = (more: Partial<HttpVerdict.Reader> = {}): HttpVerdict.Reader => ({
  request: get(),
  rules,
  why: "uri-miss",
  arrived: 5,
  began: 0,
  isOwn: (error) => error === "own",
  lingers: false,
  isTaken: ({ stays }) => stays,
  ...more
})

const answer = (
  value: Kept | Live<string>,
  seconds = 0,
  more: Partial<Answer.Snapshot<never>> = {}
): Answer.Snapshot<Kept | Live<string>> => ({
  value,
  status: "fresh",
  source: "memory",
  reason: Option.none(),
  age: Duration.seconds(seconds),
  freshFor: Duration.zero,
  servableFor: Duration.zero,
  ...more
})

const failed = (more: Partial<HttpVerdict.Failed> = {}) =>
  new HttpVerdict.Failed({ began: 4, kind: 503, reply: undefined, error: undefined, cause: undefined, ...more })

const reply = (readers?: HttpPolicy.Variant): HttpVerdict.Reply => ({
  head: { status: 503, headers: {} },
  body: new Uint8Array(),
  readers
})

/** What was decided, in a line. */
const brief = (verdict: HttpVerdict.Verdict<string>): string => {
  switch (verdict._tag) {
    case "Give":
      return `${verdict.found} ${JSON.stringify(verdict.handling)}`
    case "Hit":
      return `Hit ${verdict.age} ${verdict.left}`
    case "Live":
    case "Reply":
      return `${verdict._tag} ${JSON.stringify(verdict.handling)}`
    case "Fail":
      return `Fail ${String(verdict.error)}`
    case "Again":
      return verdict.force ? "Again and ask" : "Again"
    default:
      return verdict._tag
  }
}

describe("of an answer", () => {
  const lookup = { status: "miss", source: "lookup" } as const
  type Row = readonly [HttpVerdict.Reader, Answer.Snapshot<Kept | Live<string>>, string, HttpVerdict.Failed?]
  const rows: Record<string, Row> = {
    "fresh from memory: a hit, with its age and what is left": [
      reader(),
      answer(kept("max-age=9"), 2),
      "Hit 2000 7000"
    ],
    "RFC 5861 3: stale in its window: the old one, at once": [
      reader(),
      answer(kept("max-age=1, stale-while-revalidate=9"), 2),
      "STALE {\"hit\":true,\"left\":-1000}"
    ],
    "RFC 9211 2.2: of its own load, also what is stale as it comes": [
      reader({ began: 4 }),
      answer(kept("max-age=1"), 2, lookup),
      "MISS {\"forward\":\"uri-miss\",\"forwardStatus\":200,\"stored\":true}"
    ],
    "RFC 9211 2.7: of a load that began after it came, whose it is": [
      reader({ arrived: 3 }),
      answer(kept("no-cache"), 0, lookup),
      "MISS {\"forward\":\"uri-miss\",\"forwardStatus\":200,\"stored\":true,\"collapsed\":true}"
    ],
    "RFC 9111 4: of another's load from before, what is fresh": [
      reader(),
      answer(kept("max-age=9"), 0, lookup),
      "MISS {\"forward\":\"uri-miss\",\"forwardStatus\":200,\"stored\":true,\"collapsed\":true}"
    ],
    "RFC 9111 5.2.2.4: of another's load from before, nothing that is to be asked for": [
      reader(),
      answer(kept("no-cache"), 0, lookup),
      "Again"
    ],
    "RFC 9111 5.2.1.4: what a request does not content itself with is asked for": [
      reader({ request: get({ "cache-control": "no-cache" }) }),
      answer(kept("max-age=9")),
      "Again and ask"
    ],
    "RFC 9111 5.2.1.7: where asking is forbidden, nothing": [
      reader({ request: get({ "cache-control": "only-if-cached" }) }),
      answer(kept("max-age=1"), 2),
      "Unavailable"
    ],
    "RFC 9111 4.1: of another variant, nothing": [reader(), answer(kept("max-age=9", {}, "a")), "Again"],
    "what is kept nowhere is nobody's who came after it was asked for": [
      reader(),
      answer(kept("max-age=9", { stays: false }), 0, lookup),
      "Again"
    ],
    "what is not kept goes to its reader as it comes": [
      reader({ began: 4 }),
      answer(new Live("response", 404, 4), 0, lookup),
      "Live {\"forward\":\"uri-miss\",\"forwardStatus\":404}"
    ],
    "what is not kept goes to nobody else": [reader(), answer(new Live("response", 400, 4), 0, lookup), "Again"],
    "what is not kept goes to nobody else, over a store where its load is not over either": [
      reader({ lingers: true }),
      answer(new Live("response", 400, 4), 0, lookup),
      "Again and ask"
    ],
    "RFC 5861 4: fallen back on while the origin is out: the old one, of who asked told as asked in vain": [
      reader({ began: 6, why: "stale" }),
      answer(kept("max-age=1, stale-if-error=9"), 2, { status: "expired", reason: Option.some("error") }),
      "STALE {\"forward\":\"stale\",\"forwardStatus\":503}",
      failed({ began: 6 })
    ],
    "RFC 5861 4: fallen back on where no stale-if-error says so: not given": [
      reader(),
      answer(kept("max-age=1"), 2, { status: "expired", reason: Option.some("error") }),
      "Reply {\"forward\":\"uri-miss\",\"forwardStatus\":503,\"collapsed\":true}",
      failed({ reply: reply([]) })
    ]
  }
  it.for(Object.entries(rows))("%s", ([, [who, what, expected, failure]]) => {
    assert.strictEqual(brief(HttpVerdict.ofAnswer(who, what, failure)), expected)
  })
})

describe("of a failure", () => {
  type Row = readonly [HttpVerdict.Reader, HttpVerdict.Failed | Swr.LoadTimeout, Kept | undefined, string]
  const rows: Record<string, Row> = {
    "RFC 9111 4.2.4: nobody is there: the old one, as far as an option says": [
      reader(),
      failed({ kind: "unreachable" }),
      kept("max-age=1"),
      "STALE {\"hit\":true,\"left\":-1000}"
    ],
    "RFC 9111 5.2.2.2: nobody is there, where asking is mandatory: 504": [
      reader(),
      failed({ kind: "unreachable" }),
      kept("max-age=1, must-revalidate"),
      "Unavailable"
    ],
    "an origin that takes too long: 504": [
      reader(),
      new Swr.LoadTimeout({ key: "k", cache: "c", limit: 1 }),
      undefined,
      "Unavailable"
    ],
    "the error of a request is its readers'": [
      reader(),
      failed({ error: { value: "refused" } }),
      undefined,
      "Fail refused"
    ],
    "another's own error is nobody else's": [reader(), failed({ error: { value: "own" } }), undefined, "Pass"],
    "one's own error is one's own": [reader({ began: 4 }), failed({ error: { value: "own" } }), undefined, "Fail own"],
    "an answer that was too long to keep: each asks": [reader(), failed(), undefined, "Pass"],
    "RFC 9111 4.1: an outage's answer, to who says the same": [
      reader(),
      failed({ reply: reply([["a", null]]) }),
      undefined,
      "Reply {\"forward\":\"uri-miss\",\"forwardStatus\":503,\"collapsed\":true}"
    ],
    "RFC 9111 4.1: an outage's answer, to who says something else": [
      reader(),
      failed({ reply: reply([["a", "b"]]) }),
      undefined,
      "Pass"
    ],
    "an outage's answer that is for one: to who asked": [
      reader({ began: 4 }),
      failed({ reply: reply() }),
      undefined,
      "Reply {\"forward\":\"uri-miss\",\"forwardStatus\":503,\"collapsed\":false}"
    ],
    "an outage's answer that is for one: to nobody else": [reader(), failed({ reply: reply() }), undefined, "Pass"]
  }
  it.for(Object.entries(rows))("%s", ([, [who, failure, stored, expected]]) => {
    assert.strictEqual(brief(HttpVerdict.ofFailure(who, failure, stored, 2 * SECOND)), expected)
  })
})
