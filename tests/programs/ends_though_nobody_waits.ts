/** Neither shuts down nor waits: the work still completes. */

import { ThreadPoolExecutor } from "../../mod.ts";

const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
for (const n of [1, 2, 3]) {
  pool.submit(async (n: number) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    console.log(`call ${n}`);
  }, n);
}
console.log("submitted");
