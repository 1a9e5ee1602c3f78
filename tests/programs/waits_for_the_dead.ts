/** Waits for a call whose worker dies. */

import { ThreadPoolExecutor } from "../../mod.ts";

const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
const future = pool.submit(function exits() {
  Deno.exit(0);
});
console.log(await future.result());
