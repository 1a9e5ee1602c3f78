/** Shuts down without waiting: the work still completes. */

import { ThreadPoolExecutor } from "../../mod.ts";

const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
for (const n of [1, 2, 3]) {
  pool.submit(Math.sqrt, n * n).addDoneCallback(async (future) => {
    console.log(`result ${await future.result()}`);
  });
}
await pool.shutdown({ wait: false });
console.log("shut down");
