/** Its workers would stay for a minute: shutdown() ends them at once. */

import { ThreadPoolExecutor } from "../../mod.ts";

const pool = new ThreadPoolExecutor({ maxWorkers: 2, idleTimeout: 3_600_000 });
console.log(await pool.submit(Math.sqrt, 25).result());
await pool.shutdown();
