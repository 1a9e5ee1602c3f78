/**
 * What this realm is: the program itself, or a worker of a pool; and what only one of
 * the two has. A worker's runtime marks its global object before it imports anything.
 */

import { RuntimeError } from "../../errors.ts";
import type { CurrentTask, WorkerMarker } from "./protocol.ts";

/** Pools inside of workers inside of pools: deeper is a mistake. */
const DEEPEST = 6;

/** What this thread is marked with, if it is a worker. */
export const workerMarker: WorkerMarker | undefined =
  (globalThis as unknown as Record<symbol, WorkerMarker>)[
    Symbol.for("@concurrent/futures worker")
  ];

/** Which call runs, where calls run on the event loop of their caller. */
export const localTask: { current: () => CurrentTask | undefined } = {
  // The first executor of that kind puts its own there.
  current: () => undefined,
};

/** Functions of this library that each worker has as a global, by the name it has there. */
export const workerGlobals: WeakMap<object, string> = new WeakMap();

/** The main module of the program, in a worker too. */
export function mainModule(): string | undefined {
  if (workerMarker?.mainModule !== undefined) return workerMarker.mainModule;
  try {
    return Deno.mainModule;
  } catch {
    return undefined;
  }
}

/**
 * Keeps a module that workers import from starting workers that import it.
 *
 * @returns How many pools the workers of one that is made here are inside of.
 * @throws {RuntimeError} when it does, or when there are too many.
 */
export function depthInside(
  { name, modules }: {
    readonly name: string;
    readonly modules: readonly string[];
  },
): number {
  if (!workerMarker) return 1;
  // A module may also come to start workers when its import is over.
  const late = workerMarker.inTask()
    ? undefined
    : workerMarker.modules.find((module) => modules.includes(module));
  const module = workerMarker.importing[0] ?? late;
  if (module !== undefined) {
    workerMarker.unguarded = new RuntimeError(
      `Cannot start workers of ${name} from ${module} itself, or from what it imports, while a worker imports it: put the main part of the module that does under "if (import.meta.main)"`,
    );
    throw workerMarker.unguarded;
  }
  if (workerMarker.depth >= DEEPEST) {
    throw new RuntimeError(
      `Cannot start workers of ${name} inside of ${DEEPEST} others: put the main part of a module that workers import under "if (import.meta.main)"`,
    );
  }
  return workerMarker.depth + 1;
}

/**
 * Refuses a call that a module submits while a worker imports it: each worker
 * would submit it once more. What tasks submit is fine.
 *
 * @param executor The executor's class.
 * @throws {RuntimeError} when that is so.
 */
export function checkGuard(executor: string): void {
  const module = workerMarker?.importing[0];
  if (!workerMarker || module === undefined) return;
  workerMarker.unguarded = new RuntimeError(
    `Cannot submit calls to ${executor} from ${module} itself, or from what it imports, while a worker imports it: put the main part of the module that does under "if (import.meta.main)"`,
  );
  throw workerMarker.unguarded;
}
