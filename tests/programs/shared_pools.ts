// Pools at the top of a test file: used by all tests, ended by none.
import { ProcessPoolExecutor, ThreadPoolExecutor } from "../../mod.ts";

const threads = new ThreadPoolExecutor({ maxWorkers: 2 });
const children = new ProcessPoolExecutor({
  maxWorkers: 2,
  idleTimeout: Infinity,
});
await children.warmUp();

for (const [name, pool] of Object.entries({ threads, children })) {
  for (let i = 0; i < 5; i++) {
    Deno.test(`${name} ${i}`, async () => {
      const futures = Array.from(
        { length: 20 },
        (_, n) => pool.submit(Math.sqrt, n * n),
      );
      await Promise.all(futures.map((future) => future.result()));
      await Array.fromAsync(pool.map(Math.abs, [-1, -2, -3]));
    });
  }
}
