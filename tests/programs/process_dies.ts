/** Dies in the way that it is told, with children that are busy, idle or starting. */

import { ProcessPoolExecutor } from "../../mod.ts";

const [state, way] = Deno.args;
const pool = new ProcessPoolExecutor({ maxWorkers: 3, idleTimeout: 60_000 });
const pids = state === "starting"
  ? []
  : await Promise.all([1, 2, 3].map(() =>
    pool.submit(async () => {
      // So that each has a child of its own.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return Deno.pid;
    }).result()
  ));
if (state !== "idle") {
  for (let i = 0; i < 3; i++) {
    pool.submit(() => {
      for (;;);
    });
  }
}
// Whatever was to be written goes out first.
await new Promise((resolve) =>
  setTimeout(resolve, state === "starting" ? 0 : 20)
);
console.log(JSON.stringify(pids));
if (way === "Deno.exit()") Deno.exit(7);
if (way === "an uncaught error") throw new Error("on purpose");
if (way === "SIGTERM") Deno.kill(Deno.pid, "SIGTERM");
if (way === "SIGKILL") Deno.kill(Deno.pid, "SIGKILL");
await new Promise(() => {});
