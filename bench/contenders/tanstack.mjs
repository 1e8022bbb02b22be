import { QueryClient } from "@tanstack/query-core"

/** @type {import("../contenders.mjs").Contender} */
export const fetchQuery = {
  name: "TanStack fetchQuery",
  edge: "promise",
  config: "QueryClient; staleTime, gcTime Infinity (no timers), structuralSharing off, no retries; cannot be bounded",
  only: ["hit", "keys", "miss", "herd", "memory"],
  open: ({ fresh, load, waits }) => {
    const client = new QueryClient({
      defaultOptions: { queries: { gcTime: Infinity, structuralSharing: false, retry: false, networkMode: "always" } }
    })
    const functionOf = waits ? (key) => () => load(key) : (key) => async () => load(key)
    return {
      read: (key) => client.fetchQuery({ queryKey: [key], queryFn: functionOf(key), staleTime: fresh }),
      close: () => client.clear()
    }
  }
}
