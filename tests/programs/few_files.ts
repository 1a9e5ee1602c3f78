/** Pools that may have more children than there can be: run with few open files. */

import { ProcessPoolExecutor } from "../../mod.ts";

/** Waits for a while: those that can have a child of their own all have one by then. */
const twice = async (n: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 200));
  return 2 * n;
};

for (const onWorkerLost of ["break", "replace"] as const) {
  const pool = new ProcessPoolExecutor({ maxWorkers: 32, onWorkerLost });
  const futures = Array.from({ length: 48 }, (_, n) => pool.submit(twice, n));
  let right = 0;
  for (const [n, future] of futures.entries()) {
    if (await future.result() === 2 * n) right++;
  }
  const { live } = pool.stats().workers;
  console.log(onWorkerLost, right, live > 0 && live < 32);
  await pool.shutdown();
}
