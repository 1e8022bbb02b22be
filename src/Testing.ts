/**
 * What programs and stores are tested with: a store that goes wrong when it is told to, the laws that every store
 * keeps, and a fleet of real caches in thousands of orders.
 *
 * @since 0.1.0
 */

export {
  type Counts,
  type Executed,
  type Input,
  type Message,
  type Operation,
  type Simulated,
  type SimulatedOptions,
  simulatedStore
} from "./SimulatedStore.ts"
export {
  type Act,
  type Fault,
  type Promise,
  PromiseBroken,
  simulate,
  type Simulation,
  type SimulationOptions
} from "./Simulator.ts"
export { type Law, LawBroken, type LawOptions, laws } from "./StoreLaws.ts"
