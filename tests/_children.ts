/** What the tests of the process pool share. */

import {
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
} from "../process_pool.ts";
import { UPPER_BOUND_MS } from "./_helpers.ts";

// deno-lint-ignore no-explicit-any -- arguments of whatever type
export type Any = any;

/** The longest that anything about a child may take: a bound, never a wait. */
const BOUND_MS = UPPER_BOUND_MS;

/** The pools of the test that runs. */
const pools = new Set<ProcessPoolExecutor<Any>>();

/** A pool that does not outlive its test, whatever comes of that. */
export function make<I extends unknown[]>(
  options: ProcessPoolExecutorOptions<I>,
): ProcessPoolExecutor {
  const pool = new ProcessPoolExecutor(options);
  pools.add(pool);
  return pool as ProcessPoolExecutor<Any>;
}

/** Rejects where a promise would hang. */
export async function soon<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`hangs: nothing after ${BOUND_MS} ms`)),
      BOUND_MS,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Registers a test that needs signals and processes as Linux has them. */
export function test(
  sentence: string,
  fn: () => Promise<void>,
  options: { ignore?: boolean } = {},
): void {
  Deno.test({
    name: `process pool: ${sentence}`,
    ignore: options.ignore ?? Deno.build.os !== "linux",
    async fn() {
      try {
        await soon(fn());
      } finally {
        const left = [...pools];
        pools.clear();
        for (const pool of left) pool.killWorkers();
        // Nothing of it is left for the tests after this one.
        await soon(Promise.all(left.map((pool) => pool.shutdown())));
      }
    },
  });
}
