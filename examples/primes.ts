/**
 * Which of six large numbers are prime? Python's `ProcessPoolExecutor` example:
 * `map` has the calls run in parallel, and gives the results in order.
 *
 * Run it: deno run --allow-run examples/primes.ts
 */

import {
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "@concurrent/futures";

const PRIMES = [
  112272535095293,
  112582705942171,
  112272535095293,
  115280095190773,
  115797848077099,
  1099726899285419,
];
const MAX_WORKERS = navigator.hardwareConcurrency;
const ROUNDS = 5;

// Uses nothing from around it, so it can travel to a worker as its source.
function isPrime(n: number): boolean {
  if (n < 2) return false;
  if (n === 2) return true;
  if (n % 2 === 0) return false;

  const sqrt = Math.floor(Math.sqrt(n));
  for (let i = 3; i <= sqrt; i += 2) {
    if (n % i === 0) return false;
  }
  return true;
}

function checkInline() {
  return PRIMES.map(isPrime);
}

function checkWith(executor: Executor) {
  return Array.fromAsync(executor.map(isPrime, PRIMES));
}

/** How long `fn` takes, in milliseconds: first, and in the median of later rounds. */
async function measure(fn: () => unknown) {
  const times: number[] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    const start = performance.now();
    await fn();
    times.push(performance.now() - start);
  }
  const [first, ...more] = times;
  return { first, median: more.sort((a, b) => a - b)[ROUNDS >> 1] };
}

function report(name: string, ms: number, inline: number) {
  const speedUp = `${(inline / ms).toFixed(2)} times as fast`;
  console.log(`${name.padEnd(34)} ${ms.toFixed(0).padStart(5)} ms, ${speedUp}`);
}

/** Cold: the workers have to start first. Warm: they are there already. */
async function compare(pool: Executor, inline: number) {
  await using executor = pool;
  const { first, median } = await measure(() => checkWith(executor));
  const { name } = executor.constructor;
  report(`${name}, cold, once`, first, inline);
  report(`${name}, warm`, median, inline);
}

{
  await using executor = new ThreadPoolExecutor({ maxWorkers: MAX_WORKERS });
  let i = 0; // The results come in the order of the numbers.
  for await (const prime of executor.map(isPrime, PRIMES)) {
    console.log(`${PRIMES[i++]} is prime: ${prime}`);
  }
}

console.log(`\n${MAX_WORKERS} workers, median of ${ROUNDS} rounds:`);
const { median: inline } = await measure(checkInline);
report("Inline", inline, inline);
await compare(new ThreadPoolExecutor({ maxWorkers: MAX_WORKERS }), inline);
await compare(new ProcessPoolExecutor({ maxWorkers: MAX_WORKERS }), inline);
