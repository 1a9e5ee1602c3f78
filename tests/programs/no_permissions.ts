/** All that needs no permission. */

import { ThreadPoolExecutor } from "../../mod.ts";

await using pool = new ThreadPoolExecutor({
  maxWorkers: 2,
  initializer: (greeting: string) => {
    Reflect.set(globalThis, "greeting", greeting);
  },
  initargs: ["Hello"],
});
const greet = (name: string) =>
  `${Reflect.get(globalThis, "greeting")} ${name}`;
console.log(await pool.submit(greet, "world").result());
console.log(await Array.fromAsync(pool.map(Math.pow, [2, 3], [3, 2])));
const failed = pool.submit(() => {
  throw new TypeError("no harm");
});
console.log(`${await failed.exception()}`);
const refused = pool.submit(Deno.readTextFile, "/etc/hostname");
console.log((await refused.exception() as Error).name);
