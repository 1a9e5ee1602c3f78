/** Ends by itself, with no permission and no shutdown. */

import { currentTask, EventLoopExecutor } from "../../mod.ts";

const pool = new EventLoopExecutor({ maxWorkers: 2 });
const prefix = "call";
const limited = pool.with({
  signal: new AbortController().signal,
  timeLimit: 3_600_000,
});
const names = await Array.fromAsync(
  limited.map(
    async (n: number) => `${prefix} ${await n} on ${currentTask()!.workerName}`,
    [1, 2],
  ),
);
console.log(names.join("\n"));
pool.submit(() => console.log("nobody waits for this one"));
