/** A function that uses what is around it, and one that does not need to. */

import { ThreadPoolExecutor } from "../../mod.ts";

await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
const limit = 10;
const uses = pool.submit((n: number) => n < limit, 5);
console.log(`${await uses.exception() ?? await uses.result()}`);
const plain = pool.submit((n: number, limit: number) => n < limit, 5, limit);
console.log(await plain.result());
