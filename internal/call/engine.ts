/**
 * What stands behind an executor: how `submit`, `map`, `with` and what else all
 * executors have reach what runs the calls.
 *
 * ## The options of a view
 *
 * A view calls the executor's own methods, so that a subclass which overrides one
 * of them is obeyed, and says with which options the calls are meant. These are
 * in force from there until the engine takes the call, and no longer: what a
 * getter of an argument submits meanwhile is another call.
 */

import type { Future } from "../../future.ts";
import { type CheckedSubmitOptions, NO_OPTIONS } from "./limits.ts";
import type { Backlog } from "./map_backlog.ts";
import type { PoolStats } from "./statistics.ts";

/** How the items of a `map` travel, and in which order their results are read. */
export interface MapShape {
  /** How many may travel together. */
  readonly most: number;
  readonly unordered: boolean;
}

/** What runs the calls of an executor. */
export interface Engine {
  submit(
    fn: unknown,
    args: readonly unknown[],
    options?: CheckedSubmitOptions,
  ): Future<unknown>;
  /**
   * What submits the items of a `map`.
   *
   * @throws what `submit` would throw, whatever the arguments.
   */
  map(
    fn: unknown,
    options: CheckedSubmitOptions,
    shape: MapShape,
  ): Backlog;
  stats(): PoolStats;
  warmUp(count: number | undefined): Promise<void>;
  room(limit: number): Promise<void>;
}

/** An executor, as far as its class is of no interest. */
interface Submitter {
  submit: unknown;
}

interface Entry {
  readonly engine: Engine;
  /** The `submit` that hands calls to the engine as they are. */
  readonly submit: unknown;
}

const entries = new WeakMap<object, Entry>();

/** Says what runs the calls of an executor. */
export function setEngine(
  executor: Submitter,
  engine: Engine,
  submit: unknown,
): void {
  entries.set(executor, { engine, submit });
}

/** What runs the calls of an executor, if it is one of this library's. */
export function engineOf(executor: Submitter): Engine | undefined {
  return entries.get(executor)?.engine;
}

/** The same; but nothing where a subclass submits in a way of its own. */
export function engineForMap(executor: Submitter): Engine | undefined {
  const entry = entries.get(executor);
  return entry && executor.submit === entry.submit ? entry.engine : undefined;
}

interface InForce {
  readonly executor: Submitter;
  readonly options: CheckedSubmitOptions;
  readonly outer: InForce | undefined;
}

/** The options that are in force, for the executor that they are meant for. */
let inForce: InForce | undefined;

/** Runs what submits to an executor, with options in force. */
export function withOptions<R>(
  executor: Submitter,
  options: CheckedSubmitOptions,
  run: () => R,
): R {
  const outer = inForce;
  inForce = { executor, options, outer };
  try {
    return run();
  } finally {
    inForce = outer;
  }
}

/** Runs what takes calls of an executor, with the options that are in force. */
export function takingOptions<R>(
  executor: Submitter,
  take: (options: CheckedSubmitOptions) => R,
): R {
  if (!inForce) return take(NO_OPTIONS);
  let found: InForce | undefined = inForce;
  while (found && found.executor !== executor) found = found.outer;
  const outer = inForce;
  inForce = undefined;
  try {
    return take(found?.options ?? NO_OPTIONS);
  } finally {
    inForce = outer;
  }
}

/** Submits for an executor whose `submit` does no more. */
export function submitTo(
  executor: Submitter,
  engine: Engine,
  fn: unknown,
  args: readonly unknown[],
): Future<unknown> {
  // Most calls have no options, and take the shortest way.
  return inForce
    ? takingOptions(executor, (options) => engine.submit(fn, args, options))
    : engine.submit(fn, args);
}
