/** Lets the exception of a call end the program. */

import { ThreadPoolExecutor } from "../../mod.ts";

await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
await pool.submit(function fails() {
  throw new RangeError("of a call", { cause: new TypeError("of its cause") });
}).result();
