/**
 * The place where entries outlive the process, and how it fails.
 *
 * @since 0.1.0
 */
import { Data } from "effect"

/**
 * A write that did not reach where it had to. It never fails a read. `encode`: the value does not encode by the cache's
 * schema, so it is kept nowhere and the key is empty.
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly reason: "encode"
  readonly cache: string
  readonly cause: unknown
}> {
  override get message() {
    return `${this.cache}: the value does not encode`
  }
}
