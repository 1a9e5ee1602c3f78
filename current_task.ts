/**
 * What a task can know of itself.
 *
 * @module
 */

import { localTask } from "./internal/local_task.ts";
import { workerGlobals } from "./internal/worker_globals.ts";
import type { CurrentTask, WorkerMarker } from "./internal/protocol.ts";

export type { CurrentTask };

/**
 * Tells the task that runs what it can know of itself.
 *
 * A function that travels as its source finds `currentTask` as a global of its
 * worker; one that comes with a module can import it. The first call of an
 * `EventLoopExecutor` makes it a global of the program, unless there is one.
 *
 * @returns The task; `undefined` outside of one.
 *
 * @example A task that stops when it is asked to
 * ```ts
 * import { currentTask, ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
 * const limited = executor.with({ timeLimit: 50 });
 * const future = limited.submit(() =>
 *   new Promise((_, reject) => {
 *     const { signal } = currentTask()!;
 *     signal.addEventListener("abort", () => reject(signal.reason));
 *   })
 * );
 * assert.equal((await future.exception() as Error).name, "TimeoutError");
 * assert.equal(currentTask(), undefined);
 * ```
 */
export function currentTask(): CurrentTask | undefined {
  const marker = (globalThis as unknown as Record<symbol, unknown>)[
    Symbol.for("@concurrent/futures worker")
  ] as WorkerMarker | undefined;
  return localTask.current() ?? marker?.currentTask();
}

workerGlobals.set(currentTask, "currentTask");
