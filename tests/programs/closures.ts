/** What Python's documentation has, word for word: neither guard nor module option. */

import { ProcessPoolExecutor, ThreadPoolExecutor } from "../../mod.ts";
import { area } from "../modules/shapes.ts";

console.log("begins");

const NUMBERS = [112272535095293, 115797848077098];
const STEPS = { wheel: [2, 4, 2, 4, 6] };

class Result {
  constructor(readonly n: number, readonly prime: boolean) {}
  toString(): string {
    return `${this.n} is prime: ${this.prime}`;
  }
}

function divides(divisor: number, n: number): boolean {
  return n % divisor === 0;
}

function isPrime(n: number): boolean {
  if (n < 2) return false;
  if (divides(2, n)) return n === 2;
  const most = Math.floor(Math.sqrt(n));
  for (let i = 3; i <= most; i += 2) if (divides(i, n)) return false;
  return true;
}

const show = (n: number) => `${new Result(n, isPrime(n))}`;
const steps = () => Math.max(...STEPS.wheel);

for (
  const [kind, Pool] of Object.entries({
    process: ProcessPoolExecutor,
    thread: ThreadPoolExecutor,
  })
) {
  await using executor = new Pool({ maxWorkers: 2 });
  const shown = await Array.fromAsync(executor.map(show, NUMBERS));
  const most = await executor.submit(steps).result();
  // A module that nobody knew of when the workers were started.
  const size = await executor.submit(() => area(most, 2)).result();
  console.log(`${kind}: ${shown.join(", ")}, ${most} steps, ${size}`);
}
