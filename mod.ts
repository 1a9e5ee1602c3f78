/**
 * Parallel work in Deno, as Python's `concurrent.futures` has it.
 *
 * @module
 */
export * from "./errors.ts";
export * from "./future.ts";
export * from "./wait.ts";
export * from "./executor.ts";
export * from "./thread_pool.ts";
export * from "./process_pool.ts";
export { type TaskModule, taskModule } from "./internal/travel.ts";
