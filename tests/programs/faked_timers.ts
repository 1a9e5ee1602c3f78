/** A pool that is made and used while a test framework has the clock, and is left open. */

import {
  EventLoopExecutor,
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "../../mod.ts";

const make: Record<string, () => Executor> = {
  thread: () => new ThreadPoolExecutor({ maxWorkers: 2 }),
  process: () => new ProcessPoolExecutor({ maxWorkers: 2 }),
  "event loop": () => new EventLoopExecutor({ maxWorkers: 2 }),
};
const [kind, then] = Deno.args;
const names = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"];
const real = names.map((name) => [name, Reflect.get(globalThis, name)]);
for (const name of names) {
  Object.defineProperty(globalThis, name, {
    value: () => 1,
    configurable: true,
    writable: true,
  });
}
Object.defineProperty(performance, "now", {
  value: () => 5,
  configurable: true,
});
if (then === "throw") {
  Object.assign(globalThis, {
    setTimeout() {
      throw new Error("no timers here");
    },
  });
}

const pool = make[kind]();
console.log(await pool.submit(Math.sqrt, 16).result());
console.log(await Array.fromAsync(pool.map(Math.sqrt, [1, 4])));
if (then === "give back") {
  delete (performance as { now?: unknown }).now;
  Object.assign(globalThis, Object.fromEntries(real));
}
