/** Who takes part. One file each: how it is configured stands there, and is printed by `--list`. */

/**
 * @typedef {object} Options what every contender is asked for
 * @property {number} capacity how many entries it may hold
 * @property {number} fresh milliseconds in which a value is fresh
 * @property {number} [stale] milliseconds after that in which it is given while it is refreshed
 * @property {number} [error] milliseconds after that in which it stands in for a failing load
 * @property {(key: string) => any} load the origin
 * @property {boolean} [waits] whether `load` answers a promise
 * @property {ReadonlyArray<string>} [keys] what a bare store is filled with, and how long its values are in `bytes`
 * @property {number} [bytes]
 */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {"sync" | "promise" | "fiber"} edge what a read gives: the value, a promise of it, or an effect
 * @property {string} config what is configured how
 * @property {string} [value] where in what it gives the value is
 * @property {boolean} [waits] awaits an origin, and shares a load under way among its readers
 * @property {boolean} [stale] refreshes behind its readers
 * @property {boolean} [error] has an old value stand in for a failing load
 * @property {ReadonlyArray<string>} [only] the kinds of scenarios that make sense for it; default: all
 * @property {(options: Options) => any} open answers `read` and `close`, or a promise of them
 */

/** Whether a kind of scenario makes sense for a contender. */
export const takesPart = ({ error, only, stale, waits }, kind) => {
  if (only !== undefined) return only.includes(kind)
  if (["typed", "observed", "stored", "unstored", "hit over a store", "http", "http cache"].includes(kind)) return false
  if (kind === "stale") return stale === true
  if (kind === "dead") return error === true
  if (kind === "herd") return waits === true
  return true
}

/** Those that need nothing but what the library's own `npm ci` installs. */
const near = ["./contenders/floor.mjs", "./contenders/effect-swr.mjs", "./contenders/effect-cache.mjs"]

const far = [
  "./contenders/ttlcache.mjs",
  "./contenders/async-cache-dedupe.mjs",
  "./contenders/unkey.mjs",
  "./contenders/stale-while-revalidate-cache.mjs",
  "./contenders/cachified.mjs",
  "./contenders/cacheable.mjs",
  "./contenders/bentocache.mjs",
  "./contenders/redis.mjs",
  "./contenders/tanstack.mjs",
  "./contenders/http.mjs"
]

/**
 * @param {boolean} all also the rivals that only `npm install` in this folder brings
 * @returns {Promise<ReadonlyArray<Contender>>}
 */
export const load = async (all) => {
  const files = [...near, "./contenders/lru-cache.mjs", ...all ? far : []]
  const modules = await Promise.all(files.map((file) => import(file)))
  return modules.flatMap((module) => Object.values(module)).filter((one) => typeof one?.open === "function")
}
