/** A script without a guard, that catches what its own import in a worker gets. */

import { ThreadPoolExecutor } from "../../mod.ts";

const factor = 3;

export function work(n: number): number {
  return n * factor;
}

console.error("loaded");
const pool = new ThreadPoolExecutor({ maxWorkers: 2, module: import.meta.url });
try {
  console.log(await pool.submit(work, 1).result());
} catch (error) {
  console.log(`${error}`);
}
