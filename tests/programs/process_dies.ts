/** Dies in the way that it is told, with children that are in the state that it is told. */

import { ProcessPoolExecutor } from "../../mod.ts";

const [state, way] = Deno.args;
const options = { maxWorkers: 3, idleTimeout: 60_000 };
const spins = () => {
  for (;;);
};
/** Each makes children, and gives the pids that it knows. */
const states: Record<string, () => number[] | Promise<number[]>> = {
  idle: () => pidsOf(new ProcessPoolExecutor(options)),
  async busy() {
    const pool = new ProcessPoolExecutor(options);
    const pids = await pidsOf(pool);
    for (let i = 0; i < 3; i++) pool.submit(spins);
    return pids;
  },
  starting() {
    const pool = new ProcessPoolExecutor(options);
    for (let i = 0; i < 3; i++) pool.submit(spins);
    return [];
  },
  importing() {
    const module = `data:text/javascript,(${encodeURIComponent(`${spins}`)})()`;
    const pool = new ProcessPoolExecutor({ ...options, module });
    for (let i = 0; i < 3; i++) pool.submit(spins);
    return [];
  },
  initializing() {
    const pool = new ProcessPoolExecutor({ ...options, initializer: spins });
    for (let i = 0; i < 3; i++) pool.submit(spins);
    return [];
  },
  async receiving() {
    const pool = new ProcessPoolExecutor(options);
    const pids = await pidsOf(pool);
    // Stopped, they read nothing of it: whoever goes on with them finds a part.
    for (const pid of pids) Deno.kill(pid, "SIGSTOP");
    for (let i = 0; i < 3; i++) {
      pool.submit((bytes: Uint8Array) => bytes.length, new Uint8Array(1 << 24));
    }
    return pids;
  },
  async nested() {
    const pool = new ProcessPoolExecutor({
      ...options,
      permissions: { read: true, run: true },
    });
    const inner = pool.submit(async (url: string) => {
      const { ProcessPoolExecutor }: typeof import("../../mod.ts") =
        await import(url);
      const inner = new ProcessPoolExecutor({ maxWorkers: 1 });
      const pid = await inner.submit(() => Deno.pid).result();
      inner.submit(() => {
        for (;;);
      });
      return [Deno.pid, pid];
    }, import.meta.resolve("../../mod.ts"));
    return await inner.result();
  },
};

function pidsOf(pool: ProcessPoolExecutor): Promise<number[]> {
  return Promise.all([1, 2, 3].map(() =>
    pool.submit(async () => {
      // So that each has a child of its own.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return Deno.pid;
    }).result()
  ));
}

const pids = await states[state]();
// Whatever was to be written goes out first.
await new Promise((resolve) =>
  setTimeout(resolve, state === "starting" ? 0 : 20)
);
console.log(JSON.stringify(pids));
if (way === "Deno.exit()") Deno.exit(7);
if (way === "an uncaught error") throw new Error("on purpose");
if (way === "SIGTERM") Deno.kill(Deno.pid, "SIGTERM");
if (way === "SIGKILL") Deno.kill(Deno.pid, "SIGKILL");
await new Promise(() => {});
