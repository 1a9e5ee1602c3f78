/** Keeps modules that workers import from starting over what the program does. */

import { RuntimeError } from "../errors.ts";
import type { WorkerMarker } from "./protocol.ts";

/**
 * Refuses a call that a module submits while a worker imports it: each worker
 * would submit it once more. What tasks submit is fine.
 *
 * @param executor The executor's class.
 * @throws {RuntimeError} when that is so.
 */
export function checkGuard(executor: string): void {
  const marker = (globalThis as unknown as Record<symbol, WorkerMarker>)[
    Symbol.for("@concurrent/futures worker")
  ] as WorkerMarker | undefined;
  const module = marker?.importing[0];
  if (!marker || module === undefined) return;
  marker.unguarded = new RuntimeError(
    `Cannot submit calls to ${executor} from ${module} itself, or from what it imports, while a worker imports it: put the main part of the module that does under "if (import.meta.main)"`,
  );
  throw marker.unguarded;
}
