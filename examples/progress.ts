/**
 * A bar for long work: how many are done, how fast, how long still. On stderr,
 * so that stdout has the results alone: try `> results.txt`, or `2>&1 | cat`.
 *
 * Run it: deno run examples/progress.ts
 */

import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";

/** The number up to `limit` whose way down to 1 has the most steps. */
function longestWay(from: number, limit: number) {
  let longest = { n: from, steps: 0 };
  for (let n = from; n < limit; n++) {
    let steps = 0;
    for (let m = n; m !== 1; steps++) m = m % 2 === 0 ? m / 2 : 3 * m + 1;
    if (steps > longest.steps) longest = { n, steps };
  }
  return longest;
}

const SIZE = 3_000;
const starts = Array.from({ length: 100 }, (_, i) => 1 + i * SIZE);
const ends = starts.map((start) => start + SIZE);

await using executor = new ThreadPoolExecutor();

// Over the results of map() …
const results = executor.map(longestWay, starts, ends);
let longest = { n: 1, steps: 0 };
for await (
  const found of progress(results, { total: starts.length, label: "In order" })
) {
  if (found.steps > longest.steps) longest = found;
}
console.log(`${longest.n} takes ${longest.steps} steps`);

// … and over futures as they end. What is printed meanwhile stands above the bar.
const futures = starts.map((start, i) =>
  executor.submit(longestWay, start, ends[i])
);
let record = 0;
for await (
  const future of progress(asCompleted(futures), {
    total: futures.length,
    label: "As they end",
  })
) {
  const { n, steps } = await future.result();
  if (steps > record) {
    console.log(`${n} takes ${steps} steps`);
    record = steps;
  }
}
