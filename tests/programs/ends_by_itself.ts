/** Never calls shutdown(). */

import { ThreadPoolExecutor } from "../../mod.ts";

const pool = new ThreadPoolExecutor({ maxWorkers: 2 });
const results = await Promise.all(
  [1, 2, 3].map((n) => pool.submit((n: number) => n * 2, n).result()),
);
console.log(results.join());
new ThreadPoolExecutor(); // one that is never used
