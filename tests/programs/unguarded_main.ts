/** A script without a guard, that calls an async main function. */

import { ThreadPoolExecutor } from "../../mod.ts";

const factor = 3;

export function work(n: number): number {
  return n * factor;
}

async function main() {
  console.error("loaded");
  await using pool = new ThreadPoolExecutor({
    maxWorkers: 2,
    module: import.meta.url,
  });
  const futures = [1, 2, 3].map((n) => pool.submit(work, n));
  for (const future of futures) console.log(await future.result());
}

main();
