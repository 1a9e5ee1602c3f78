/** What a bundler renames and wraps works as before: prints what came of calls. */

import { ProcessPoolExecutor, ThreadPoolExecutor } from "../../mod.ts";

const factor = 2;
class Counter {
  static #start = 4;
  step = 1;
  get next() {
    const sum = () => Counter.#start + this.step * factor;
    return sum();
  }
  static bump() {
    return ++this.#start;
  }
}
const counter = new Counter();
Counter.bump();
const table = { double: (n: number) => n * factor, of: counter };

/** It needs nothing from around it. */
function alone(n: number): number[] {
  const plus = (m: number) => m + n;
  function twice() {
    return plus(plus(1));
  }
  class Local {
    value = () => twice();
  }
  return [new Local().value(), plus.length, twice.name.length > 0 ? 1 : 0];
}

for (const closures of [true, false]) {
  for (const Pool of [ThreadPoolExecutor, ProcessPoolExecutor]) {
    await using pool = new Pool({ maxWorkers: 1, closures });
    const found: unknown[] = [
      await pool.submit(Math.sqrt, 9).result(),
      await pool.submit(alone, 9).result(),
      await pool.submit(() => {
        throw new RangeError("told");
      }).exception().then((error) => (error as Error).message),
    ];
    if (closures) {
      const read = () => [counter.next, table.double(4), table.of === counter];
      found.push(await pool.submit(read).result());
    }
    console.log(JSON.stringify(found));
  }
}
