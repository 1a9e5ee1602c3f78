/**
 * Parallel work in Deno, as Python's `concurrent.futures` has it: submit calls
 * to a pool of threads or processes, and collect what comes of them through
 * futures.
 *
 * - {@linkcode ThreadPoolExecutor} runs calls on Web Workers, with no permission.
 * - {@linkcode ProcessPoolExecutor} runs them in child processes, with
 *   `--allow-run`.
 * - {@linkcode Future} is what comes of a call; {@linkcode wait} and
 *   {@linkcode asCompleted} collect several.
 * - {@linkcode taskModule} refers to functions of a module that only workers load.
 *
 * All times are milliseconds.
 *
 * @example Five squares in parallel
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor();
 * const squares = await Array.fromAsync(
 *   executor.map((n) => n * n, [1, 2, 3, 4, 5]),
 * );
 * assert.deepEqual(squares, [1, 4, 9, 16, 25]);
 * ```
 *
 * @module
 */

export * from "./errors.ts";
export * from "./future.ts";
export * from "./wait.ts";
export * from "./executor.ts";
export {
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
} from "./thread_pool.ts";
export {
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
} from "./process_pool.ts";
export * from "./event_loop_executor.ts";
export * from "./current_task.ts";
export * from "./transfer.ts";
export type { PoolStats, TimeStats } from "./internal/call/statistics.ts";
export { type TaskModule, taskModule } from "./internal/functions/describe.ts";
