/** What a store costs by itself: one command, through the client that ours uses. */
import { NodeRedis } from "@effect/platform-node"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import { redis } from "../redis.mjs"

const fill = async (client, keys, bytes) => {
  const value = "x".repeat(bytes)
  for (const key of keys) await client.set(key, value)
}

const open = async ({ bytes, keys }) => {
  const { url } = await redis()
  const scope = Scope.makeUnsafe()
  const layer = Layer.provideMerge(NodeRedis.layer({ url, disableOfflineQueue: true }), Logger.layer([]))
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  const client = Context.get(context, NodeRedis.NodeRedis).client
  await fill(client, keys, bytes)
  return {
    client,
    effect: Context.get(context, Redis.Redis),
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const measured = (text) => ({ price: text.length })

/** @type {import("../contenders.mjs").Contender} */
export const inFiber = {
  name: "bare GET, in a fiber",
  edge: "fiber",
  config: "GET and MGET of as many bytes by effect's Redis over node-redis, the client of ours; nothing is decoded",
  only: ["stored"],
  open: async (options) => {
    const { close, effect } = await open(options)
    return {
      read: (key) => Effect.map(effect.send("GET", key), measured),
      readMany: (keys) => Effect.map(effect.send("MGET", ...keys), (texts) => texts.map(measured)),
      close
    }
  }
}

/** @type {import("../contenders.mjs").Contender} */
export const byPromise = {
  ...inFiber,
  name: "bare GET, node-redis",
  edge: "promise",
  config: "GET and MGET of as many bytes by the same node-redis client, without Effect; nothing is decoded",
  open: async (options) => {
    const { client, close } = await open(options)
    return {
      read: async (key) => measured(await client.get(key)),
      readMany: async (keys) => (await client.mGet(keys)).map(measured),
      close
    }
  }
}
