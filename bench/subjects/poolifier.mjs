/** A peer under Node: poolifier with threads. */

import { isMainThread } from "node:worker_threads";
import { run } from "../lib/harness.mjs";
import * as tasks from "../lib/tasks.mjs";

if (isMainThread) {
  await run({
    name: "poolifier",
    group: "threads",
    kind: "peer",
    npm: "poolifier",
    async open({ workers }) {
      const { FixedThreadPool } = await import("poolifier");
      const pool = new FixedThreadPool(
        workers,
        new URL(import.meta.url).pathname,
      );
      return {
        call: (name, arg) => pool.execute(arg, name),
        map: (name, args) => pool.mapExecute(args, name),
        // Not waited for: at times this never ends, and the program does.
        close() {
          pool.destroy();
        },
      };
    },
  });
} else {
  const { ThreadWorker } = await import("poolifier");
  new ThreadWorker({ ...tasks });
}
