/**
 * Measures what control costs, and prints a table of Markdown:
 *
 *     deno run -A bench/control.ts
 *
 * Rounds are interleaved; a figure is the median of all.
 */

import { ThreadPoolExecutor, transfer } from "@concurrent/futures";
import { Times } from "../internal/call/statistics.ts";

const ROUNDS = 15;
const SIZE = 64 * 2 ** 20;

const median = (times: number[]) =>
  times.toSorted((a, b) => a - b)[times.length >> 1];

async function timed(run: () => unknown): Promise<number> {
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

const empty = () => {};
const back = (bytes: Uint8Array<ArrayBuffer>) => {
  // `transfer` is a global of each worker.
  const { transfer } = globalThis as unknown as {
    transfer: (value: object, moved: Transferable[]) => object;
  };
  return transfer(bytes, [bytes.buffer]) as Uint8Array<ArrayBuffer>;
};

await using executor = new ThreadPoolExecutor({
  maxWorkers: 1,
  closures: false,
});
let bytes = new Uint8Array(SIZE).fill(7);
const rows: Record<string, number[]> = {
  "an empty call": [],
  "64 MiB transferred to a thread and back": [],
  "an empty call with a time limit": [],
};
const limited = executor.with({ timeLimit: 60_000 });
for (let i = -3; i < ROUNDS; i++) {
  const round: Record<string, number> = {
    "an empty call": await timed(() => executor.submit(empty).result()),
    "64 MiB transferred to a thread and back": await timed(async () => {
      const moved = transfer(bytes, [bytes.buffer]);
      bytes = await executor.submit(back, moved).result();
    }),
    "an empty call with a time limit": await timed(() =>
      limited.submit(empty).result()
    ),
  };
  if (bytes.length !== SIZE || bytes[SIZE - 1] !== 7) throw new Error("lost");
  // The first rounds warm up.
  if (i >= 0) { for (const name in round) rows[name].push(round[name]); }
}

const times = new Times();
const MANY = 1_000_000;
const adding = await timed(() => {
  for (let i = 0; i < MANY; i++) times.add(i % 1000 / 7);
});
const asking = await timed(() => {
  for (let i = 0; i < 1000; i++) executor.stats();
});

console.log("| what | ms |\n| --- | ---: |");
for (const [name, all] of Object.entries(rows)) {
  console.log(`| ${name} | ${median(all).toFixed(3)} |`);
}
console.log(
  `| statistics of one call: two times added | ${
    (adding / MANY * 2).toFixed(6)
  } |`,
);
console.log(`| one \`stats()\` | ${(asking / 1000).toFixed(4)} |`);
