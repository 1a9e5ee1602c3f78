/** This library's executors, as the harness sees a pool. */

import type { Executor } from "@concurrent/futures";
import type { Pool } from "./harness.mjs";
import * as tasks from "./tasks.mjs";

export function poolOf(executor: Executor): Promise<Pool> {
  return Promise.resolve({
    call: (task, arg) => executor.submit(tasks[task], arg).result(),
    map: (task, args) => Array.fromAsync(executor.map(tasks[task], args)),
    submit: (task, arg) => executor.submit(tasks[task], arg),
    close: () => executor.shutdown(),
  });
}
