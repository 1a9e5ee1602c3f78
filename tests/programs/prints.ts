/** What calls print is the program's own output. */

import { ThreadPoolExecutor } from "../../mod.ts";

await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
await pool.submit((text: string) => {
  console.log(`out ${text}`);
  console.error(`err ${text}`);
}, "of a call").result();
await pool.submit(() => {
  Deno.stdout.writeSync(new TextEncoder().encode("written\n"));
}).result();
