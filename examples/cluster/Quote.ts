/**
 * What is cached. Each write at the origin gives a key a greater version: so it shows which of two values is older.
 */
import { Schema } from "effect"

export const Quote = Schema.Struct({ key: Schema.String, version: Schema.Int })
export type Quote = typeof Quote.Type
