/** A script without a guard, by top-level await. */

import { ThreadPoolExecutor } from "../../mod.ts";

const factor = 3;

export function work(n: number): number {
  return n * factor;
}

console.error("loaded");
await using pool = new ThreadPoolExecutor({
  maxWorkers: 2,
  module: import.meta.url,
});
for await (const n of pool.map(work, [1, 2, 3])) console.log(n);
