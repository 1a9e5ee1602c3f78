/**
 * What it costs that functions take along what is around them:
 *
 *     deno run -A bench/closures.ts
 *
 * "Off" is the same with `closures: false`. The rounds are interleaved, so that
 * a busy moment of the machine meets both; a figure is the median of them.
 */

import {
  type Future,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "@concurrent/futures";
import { median } from "./table.ts";

const ROUNDS = 15;
const CALLS = 2000;
const ITEMS = 10_000;

const factor = 3;
const names = ["a", "b", "c"];
const options = { deep: { level: 2 } };

function helper(n: number): number {
  return n * 2;
}

const alone = (n: number) => n * 3;
const capturing = (n: number) => n * factor + names.length + options.deep.level;
const calling = (n: number) => helper(n) * factor;

const pools = { threads: ThreadPoolExecutor, processes: ProcessPoolExecutor };

/** How long it takes, in microseconds for each of `count`. */
async function timed(
  count: number,
  fn: () => void | Promise<void>,
): Promise<number> {
  const start = performance.now();
  await fn();
  return (performance.now() - start) * 1000 / count;
}

for (const [kind, Pool] of Object.entries(pools)) {
  await using on = new Pool({ maxWorkers: 2, idleTimeout: 60_000 });
  await using off = new Pool({
    maxWorkers: 2,
    idleTimeout: 60_000,
    closures: false,
  });
  const submit =
    (pool: typeof on, fn: (n: number) => number, count: number) => async () => {
      const futures: Future<number>[] = [];
      const us = await timed(count, () => {
        for (let i = 0; i < count; i++) futures.push(pool.submit(fn, i));
      });
      for (const future of futures) await future.result();
      return us;
    };
  const map = (pool: typeof on, fn: (n: number) => number) => () =>
    timed(ITEMS, async () => {
      const inputs = Array.from({ length: ITEMS }, (_, i) => i);
      await Array.fromAsync(pool.map(fn, inputs));
    });
  // A literal in a loop is a new function each time.
  const literal = async () => {
    const futures: Future<number>[] = [];
    const us = await timed(CALLS, () => {
      for (let i = 0; i < CALLS; i++) {
        futures.push(on.submit((n: number) => n * factor + i, i));
      }
    });
    for (const future of futures) await future.result();
    return us;
  };
  const rows: Record<string, () => Promise<number>> = {
    "submit, nothing captured, off": submit(off, alone, CALLS),
    "submit, nothing captured": submit(on, alone, CALLS),
    "submit, three values": submit(on, capturing, CALLS),
    "submit, a helper and a value": submit(on, calling, CALLS),
    "submit, a literal made anew": literal,
    "map of 10,000, nothing captured, off": map(off, alone),
    "map of 10,000, nothing captured": map(on, alone),
    "map of 10,000, three values": map(on, capturing),
    "map of 10,000, a helper and a value": map(on, calling),
  };
  const figures = new Map<string, number[]>();
  for (let round = 0; round <= ROUNDS; round++) {
    // In another order each time: what one leaves behind meets another.
    const names = Object.keys(rows);
    const first = round * 4 % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const us = await rows[name]();
      // The first warms up.
      if (round > 0) figures.set(name, [...figures.get(name) ?? [], us]);
    }
  }
  console.log(`\n| ${kind} | µs a call |\n| --- | ---: |`);
  for (const name of Object.keys(rows)) {
    console.log(`| ${name} | ${median(figures.get(name)!).toFixed(2)} |`);
  }
}
