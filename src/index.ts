/**
 * The public rooms under their names.
 *
 * @since 0.1.0
 */

/**
 * What happened to a key, as data.
 *
 * @since 0.1.0
 */
export * as Event from "./Event.ts"

/**
 * How long a value may be used.
 *
 * @since 0.1.0
 */
export * as Policy from "./Policy.ts"

/**
 * The port to a place where entries outlive the process, and how it fails.
 *
 * @since 0.1.0
 */
export * as Store from "./Store.ts"

/**
 * The cache service and its entrances.
 *
 * @since 0.1.0
 */
export * as Swr from "./Swr.ts"
