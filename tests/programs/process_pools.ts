/** Makes as many pools as it is told, a few at a time, and tells what they left. */

import { ProcessPoolExecutor } from "../../mod.ts";

const count = Number(Deno.args[0]);

async function use(): Promise<void> {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  if (await pool.submit(Math.sqrt, 4).result() !== 2) throw new Error("wrong");
  await pool.shutdown();
}

async function useAll(count: number): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await use();
  };
  await Promise.all([lane(), lane(), lane()]);
}

async function measure(): Promise<{ files: number; bytes: number }> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    (globalThis as unknown as { gc(): void }).gc();
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return {
    files: [...Deno.readDirSync("/proc/self/fd")].length,
    bytes: heapUsed + external,
  };
}

// What is made once is no growth.
await useAll(10);
const before = await measure();
await useAll(count);
const after = await measure();
/** Those that are dead and were not waited for included. */
function countChildren(): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    const path = `/proc/self/task/${name}/children`;
    count += Deno.readTextFileSync(path).split(" ").length - 1;
  }
  return count;
}

console.log(JSON.stringify({
  files: after.files - before.files,
  bytes: after.bytes - before.bytes,
  children: countChildren(),
}));
