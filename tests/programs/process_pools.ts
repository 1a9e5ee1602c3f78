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

function countFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Measures once there are no more than so many files: a thread of the runtime's closes them. */
async function measure(
  most = Infinity,
): Promise<{ files: number; bytes: number }> {
  for (let i = 0; i < 3 || i < 300 && countFiles() > most; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (i < 3) (globalThis as unknown as { gc(): void }).gc();
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return { files: countFiles(), bytes: heapUsed + external };
}

// What is made once is no growth.
await useAll(10);
const before = await measure();
await useAll(count);
const after = await measure(before.files);
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
  files: Math.max(after.files - before.files, 0),
  bytes: after.bytes - before.bytes,
  children: countChildren(),
}));
