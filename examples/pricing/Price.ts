/**
 * What a price is, and how prices move.
 */
import { Schema } from "effect"
import type { Product } from "./Products.ts"

export const Currency = Schema.Literals(["EUR", "GBP", "USD"])
export type Currency = typeof Currency.Type

export const Price = Schema.Struct({
  sku: Schema.NonEmptyString,
  name: Schema.NonEmptyString,
  currency: Currency,
  /** In minor units: cents, pence. */
  amount: Schema.Int,
  /** The second of the market at which this price was quoted. */
  second: Schema.Int
})
export interface Price extends Schema.Schema.Type<typeof Price> {}

/** Prices swing by this share around the list price, */
const swing = 0.04

/** once in so many seconds. */
const period = 90

/** The price of a product so many milliseconds after the market opened. Each product has its own place in the swing. */
export const priceAt = (product: Product, millis: number): Price => {
  const second = Math.floor(millis / 1000)
  const phase = product.sku.split("").reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 997, 7) / 997
  const factor = 1 + swing * Math.sin(2 * Math.PI * (second / period + phase))
  return {
    sku: product.sku,
    name: product.name,
    currency: product.currency,
    amount: Math.round(product.listPrice * factor),
    second
  }
}
