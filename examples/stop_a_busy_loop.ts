/**
 * What only a process can do: be stopped in the middle of a loop that never
 * ends. The call that runs fails, those that wait are cancelled, and the
 * program goes on with a new pool.
 *
 * Run it: deno run --allow-run examples/stop_a_busy_loop.ts
 */

import {
  BrokenProcessPool,
  ProcessPoolExecutor,
  TimeoutError,
} from "@concurrent/futures";

// The Collatz problem: are there numbers from which this never comes to 1?
function stepsToOne(n: number): number {
  let steps = 0;
  for (; n !== 1; steps++) n = n % 2 === 0 ? n / 2 : 3 * n + 1;
  return steps;
}

{
  await using executor = new ProcessPoolExecutor({ maxWorkers: 1 });
  console.log(`27: ${await executor.submit(stepsToOne, 27).result()} steps`);

  // Zero is one: half of it is zero again. Nothing comes of waiting …
  const stuck = executor.submit(stepsToOne, 0);
  try {
    await stuck.result(500);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    console.log("0: no end in sight");
  }
  // … and this one would wait for the child for ever.
  const next = executor.submit(stepsToOne, 97);

  executor.killWorkers();
  const error = await stuck.exception();
  console.log(`0: stopped: ${error instanceof BrokenProcessPool}`);
  console.log((error as Error).message);
  console.log(`97: cancelled: ${next.cancelled()}`);
} // Here the child is gone.

await using executor = new ProcessPoolExecutor({ maxWorkers: 1 });
console.log(`97: ${await executor.submit(stepsToOne, 97).result()} steps`);
