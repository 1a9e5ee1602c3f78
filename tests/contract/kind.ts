/** What the contract suite asks of an executor that wants to be put through it. */

import type { Executor } from "../../executor.ts";
import { turn, UPPER_BOUND_MS, within } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- a function of whatever type
export type AnyFn = (...args: any[]) => unknown;

/** The options that every kind takes; one without workers ignores what is about them. */
export interface ContractOptions {
  maxWorkers?: number;
  initializer?: AnyFn;
  initargs?: unknown[];
  module?: string | URL | readonly (string | URL)[];
  closures?: boolean;
  maxTasksPerChild?: number;
  idleTimeout?: number;
}

/** What a kind can do beyond the interface that all share. */
export interface Capabilities {
  /** Arguments and results are copied, so some can't travel and classes get lost. */
  readonly copy: boolean;
  /** A function goes without what stands around it. */
  readonly travel: boolean;
  /** Functions can be imported where they run: `module`, `taskModule()`. */
  readonly importModules: boolean;
  /** There are workers: they start on demand, are initialized, are told apart. */
  readonly workers: boolean;
  /** Its workers are its own: `warmUp()` starts them, and they are no more than `maxWorkers`. */
  readonly ownWorkers: boolean;
  /** `Deno.exit()` in a call ends the worker alone. */
  readonly die: boolean;
  /** A call that was handed to a worker and has not started can be cancelled. */
  readonly cancelHandedOver: boolean;
  /** A `SharedArrayBuffer` argument is the caller's own memory. */
  readonly shareMemory: boolean;
  /** Calls can be limited and watched: `with()`, `stats()`. */
  readonly control: boolean;
}

/** A kind of executor. */
export interface ExecutorKind {
  /** What its tests' names begin with. */
  readonly name: string;
  make(options?: ContractOptions): Executor;
  readonly can: Capabilities;
  /** What pending futures get when a worker dies. */
  readonly broken: new (message: string, options?: ErrorOptions) => Error;
  /** A way to hold its calls, closed at first. */
  makeGate(): Gate;
  /** Runs as a call: tells which worker it is on. */
  readonly whoAmI: () => unknown;
  /** How many calls are many, where each takes a way over a network; 100,000 else. */
  readonly many?: number;
}

/**
 * Holds calls where they run: a call says that it is in, and waits to be let
 * go. A test thereby puts events in order, where it would else have to sleep.
 */
export interface Gate extends AsyncDisposable {
  /** Runs as a call: enters, waits until the gate is open, returns its id. */
  // deno-lint-ignore no-explicit-any -- each gate's handle has its own type
  readonly pass: (handle: any, id: number) => number | Promise<number>;
  /** What `pass` needs to find the gate; that of any gate of the same kind will do. */
  readonly handle: unknown;
  /** The calls that have begun, in no particular order. */
  readonly ids: ReadonlySet<number>;
  /** Resolves once all of these calls have begun. */
  entered(...ids: number[]): Promise<void>;
  /** Lets everyone pass from here on. Leaving its block does that too. */
  open(): void;
}

/** Ids go up to this. */
export const MOST_IDS = 5_000;

/** Resolves once the condition holds: what it is about has no event to wait for. */
export async function until(condition: () => boolean): Promise<void> {
  // Sooner than the test itself, so that it can clean up.
  const end = performance.now() + UPPER_BOUND_MS / 2;
  while (!condition()) {
    if (performance.now() > end) {
      throw new Error(`hangs: not so after ${UPPER_BOUND_MS / 2} ms`);
    }
    await turn();
  }
}

/** Registers a test of the contract, that fails where it would hang. */
export type ContractTest = (
  sentence: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
  options?: { ignore?: boolean },
) => void;

export function contractTest(kind: ExecutorKind): ContractTest {
  return (sentence, fn, { ignore = false } = {}) => {
    Deno.test({
      name: `${kind.name} pool: ${sentence}`,
      ignore,
      fn: (t) => within(Promise.resolve(fn(t))),
    });
  };
}

/** What a promise rejects with, of whatever type; fails if it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`does not reject: resolves to ${Deno.inspect(value)}`);
}

/** Random numbers that are the same in every run: mulberry32. */
export function generator(seed: number): () => number {
  return () => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}
