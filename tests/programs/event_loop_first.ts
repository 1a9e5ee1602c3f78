/**
 * The first call of a program, which loads what the runtime loads late: in an
 * event of the runtime's, where that lets microtasks run.
 */

import { EventLoopExecutor } from "../../mod.ts";

addEventListener("load", async () => {
  const pool = new EventLoopExecutor({ maxWorkers: 1 });
  const events: string[] = [];
  const future = pool.submit(() => events.push("runs"));
  events.push("submitted");
  const cancelled = pool.submit(() => events.push("was cancelled")).cancel();
  const running = future.running();
  await pool.shutdown();
  console.log(events.join(), running, cancelled);
});
