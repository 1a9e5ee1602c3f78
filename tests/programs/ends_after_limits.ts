/** Ends by itself: nothing of a limit is left that was used, or was not. */

import { EventLoopExecutor, ThreadPoolExecutor } from "../../mod.ts";

const threads = new ThreadPoolExecutor({ maxWorkers: 2 });
const loop = new EventLoopExecutor({ maxWorkers: 2 });
for (const pool of [threads, loop]) {
  const controller = new AbortController();
  const far = { signal: controller.signal, timeLimit: 3_600_000 };
  console.log(await pool.with(far).submit(Math.sqrt, 4).result());
  const never = () => new Promise(() => {});
  const late = pool.with({ timeLimit: 1 }).submit(never);
  console.log((await late.exception() as Error).name);
  const stopped = pool.with(far).submit(never);
  pool.with({ timeLimit: 1 }).submit(never);
  controller.abort("enough");
  await stopped.exception().catch(() => {});
  console.log(await pool.submit(Math.sqrt, 9).result());
}
