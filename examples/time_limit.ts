/**
 * A time limit for what users type in: a regular expression may take longer
 * than anyone lives, and nothing inside of its own thread can stop it. A child
 * process can be stopped: the call fails, and the pool goes on with a new child.
 *
 * Run it: deno run --allow-run examples/time_limit.ts
 */

import { ProcessPoolExecutor, TimeoutError } from "@concurrent/futures";

// Uses nothing from around it, so it can travel to a child as its source.
function search(pattern: string, text: string): boolean {
  return new RegExp(pattern).test(text);
}

const text = `${"a".repeat(50)}!`;
const patterns = [
  "a{50}!$",
  "^(a+)+$", // tries each way to cut 50 letters into words: 2 to the 49th
  "^[a-z]+$",
];

await using executor = new ProcessPoolExecutor({ maxWorkers: 2 });
const limited = executor.with({ timeLimit: 500 }); // milliseconds, each
const futures = patterns.map((pattern) =>
  limited.submit(search, pattern, text)
);

for (const [i, future] of futures.entries()) {
  try {
    console.log(`${patterns[i]} is found: ${await future.result()}`);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    console.log(`${patterns[i]}: ${error.message}`);
  }
}

const { finished, failed } = executor.stats().calls;
console.log(`${finished} returned, ${failed} failed`);
