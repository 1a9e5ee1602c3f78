/** Futures that failed in every way, and that nobody asks. */

import { ThreadPoolExecutor } from "../../mod.ts";

const broken = new ThreadPoolExecutor({ maxWorkers: 1 });
broken.submit(() => Deno.exit(5));
broken.submit(Math.sqrt, 4);

const unready = new ThreadPoolExecutor({
  maxWorkers: 1,
  initializer: () => {
    throw new Error("not ready");
  },
});
unready.submit(Math.sqrt, 4);

const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
pool.submit(() => {
  throw new Error("nobody asks");
});
pool.submit(() => Promise.reject());
pool.submit(() => () => "no result that can travel");
pool.submit((headers: Headers) => headers, new Headers());
pool.submit(Math.sqrt.bind(null, 4));
pool.map(() => {
  throw new Error("nobody reads");
}, [1, 2, 3]);
const last = pool.submit(Math.sqrt, 4);
last.cancel();
await pool.shutdown({ cancelFutures: false });
console.log("done");
