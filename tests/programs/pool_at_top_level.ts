/** A script whose pool stands at the top level, and only its calls under the guard. */

import { ThreadPoolExecutor } from "../../mod.ts";

const pool = new ThreadPoolExecutor({
  maxWorkers: 2,
  module: import.meta.url,
});
const factor = 3;

export function work(n: number): number {
  return n * factor;
}

if (import.meta.main) {
  console.log(await pool.submit(work, 5).result());
  await pool.shutdown();
}
