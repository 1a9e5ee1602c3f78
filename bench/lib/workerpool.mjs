/** workerpool, with threads or processes. */

import { run } from "./harness.mjs";
import * as tasks from "./tasks.mjs";

/** Runs a subject, or in a worker offers the tasks: both are the same file. */
export async function runWorkerpool(subject, url, options) {
  const { default: workerpool } = await import("workerpool").catch(() => ({}));
  if (workerpool && !workerpool.isMainThread) {
    workerpool.worker({ ...tasks });
    return;
  }
  await run({
    ...subject,
    kind: "peer",
    npm: "workerpool",
    open({ workers }) {
      const pool = workerpool.pool(new URL(url).pathname, {
        minWorkers: workers,
        maxWorkers: workers,
        ...options,
      });
      return Promise.resolve({
        call: (name, arg) => pool.exec(name, [arg]),
        close: () => pool.terminate(),
      });
    },
  });
}
