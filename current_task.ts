/**
 * What a task can know of itself.
 *
 * @module
 */

import type { CurrentTask } from "./internal/call/protocol.ts";
import {
  localTask,
  workerGlobals,
  workerMarker,
} from "./internal/call/realm.ts";

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
  return localTask.current() ?? workerMarker?.currentTask();
}

workerGlobals.set(currentTask, "currentTask");
