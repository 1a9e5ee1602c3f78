/** Keeps modules that workers import from starting over what the program does. */

import { RuntimeError } from "../errors.ts";
import type { WorkerMarker } from "./protocol.ts";

/** Pools inside of workers inside of pools: deeper is a mistake. */
const DEEPEST = 6;

/** What this thread is marked with, if it is a worker: before it imports anything. */
const marker = (globalThis as unknown as Record<symbol, WorkerMarker>)[
  Symbol.for("@concurrent/futures worker")
] as WorkerMarker | undefined;

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
  if (!marker) return 1;
  // A module may also come to start workers when its import is over.
  const late = marker.inTask()
    ? undefined
    : marker.modules.find((module) => modules.includes(module));
  const module = marker.importing[0] ?? late;
  if (module !== undefined) {
    marker.unguarded = new RuntimeError(
      `Cannot start workers of ${name} from ${module} itself, or from what it imports, while a worker imports it: put the main part of the module that does under "if (import.meta.main)"`,
    );
    throw marker.unguarded;
  }
  if (marker.depth >= DEEPEST) {
    throw new RuntimeError(
      `Cannot start workers of ${name} inside of ${DEEPEST} others: put the main part of a module that workers import under "if (import.meta.main)"`,
    );
  }
  return marker.depth + 1;
}

/**
 * Refuses a call that a module submits while a worker imports it: each worker
 * would submit it once more. What tasks submit is fine.
 *
 * @param executor The executor's class.
 * @throws {RuntimeError} when that is so.
 */
export function checkGuard(executor: string): void {
  const module = marker?.importing[0];
  if (!marker || module === undefined) return;
  marker.unguarded = new RuntimeError(
    `Cannot submit calls to ${executor} from ${module} itself, or from what it imports, while a worker imports it: put the main part of the module that does under "if (import.meta.main)"`,
  );
  throw marker.unguarded;
}
