/** A script without a guard, whose main function makes its pool only after it has waited for something. */

import { ThreadPoolExecutor } from "../../mod.ts";

const factor = 3;
const over = Promise.withResolvers<void>();

/** Ends only once the copy of `main` that its worker runs has ended. */
export async function work(n: number): Promise<number> {
  await over.promise;
  return n * factor;
}

async function main() {
  console.error("loaded");
  await new Promise((resolve) => setTimeout(resolve, 0));
  await using pool = new ThreadPoolExecutor({
    maxWorkers: 1,
    module: import.meta.url,
  });
  console.log(await pool.submit(work, 1).result());
}

main().finally(over.resolve);
