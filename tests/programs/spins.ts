/** Ends though a call of its never will: by Deno.exit(), from outside. */

import { ThreadPoolExecutor } from "../../mod.ts";

const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
const told = new Int32Array(new SharedArrayBuffer(4));
pool.submit((told: Int32Array<SharedArrayBuffer>) => {
  Atomics.store(told, 0, 1);
  for (;;);
}, told);
while (Atomics.load(told, 0) === 0) {
  await new Promise((go) => setTimeout(go, 0));
}
console.log("exits");
Deno.exit(7);
