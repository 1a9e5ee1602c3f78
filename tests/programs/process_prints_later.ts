/** A call that leaves what it prints to be written later, and is the last. */

import { ProcessPoolExecutor } from "../../mod.ts";

await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
await pool.submit(() => {
  for (let i = 0; i < 60; i++) {
    Deno.stdout.write(new Uint8Array(1 << 18).fill(120));
  }
}).result();
