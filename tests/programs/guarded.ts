/** A script that brings its own functions, as it should be written. */

import { ThreadPoolExecutor } from "../../mod.ts";

const factor = await Promise.resolve(3);

function helper(n: number): number {
  return n * factor;
}

export function work(n: number): number {
  return helper(n) + 1;
}

if (import.meta.main) {
  await using pool = new ThreadPoolExecutor({
    maxWorkers: 2,
    module: import.meta.url,
  });
  console.log(await pool.submit(work, 5).result());
  for await (const n of pool.map(work, [1, 2, 3])) console.log(n);
}
