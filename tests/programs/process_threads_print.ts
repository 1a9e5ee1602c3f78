/** Threads of a task print all the time, while large results are sent. */

import { ProcessPoolExecutor } from "../../mod.ts";

// deno-lint-ignore no-explicit-any -- what a task can reach
type Any = any;

const executor = new ProcessPoolExecutor({ maxWorkers: 1, closures: false });
await executor.submit(async () => {
  const { Worker } = (globalThis as Any).process.getBuiltinModule(
    "node:worker_threads",
  );
  const flag = (globalThis as Any).flag = new Int32Array(
    new SharedArrayBuffer(4),
  );
  const source = `
    const { workerData } = require("node:worker_threads");
    const line = new TextEncoder().encode("x".repeat(60) + "\\n");
    Atomics.add(workerData, 0, 1);
    while (Atomics.load(workerData, 0) > 0) Deno.stdout.writeSync(line);
  `;
  for (let i = 0; i < 2; i++) {
    new Worker(source, { eval: true, workerData: flag });
  }
  while (Atomics.load(flag, 0) < 2) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}).result();
let wrong = 0;
for (let i = 0; i < 6; i++) {
  const size = (3 << 20) + i;
  const bytes = await executor.submit(
    (n: number) => new Uint8Array(n).fill(7),
    size,
  ).result();
  if (bytes.length !== size || bytes.some((byte) => byte !== 7)) wrong++;
}
await executor.submit(() => {
  Atomics.store((globalThis as Any).flag, 0, -100);
}).result();
await executor.shutdown();
console.error(wrong === 0 ? "all as they were" : `${wrong} results are wrong`);
