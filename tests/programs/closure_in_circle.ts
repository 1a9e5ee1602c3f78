/** Uses a function of a module that imports this one: a worker runs it again. */

import { ThreadPoolExecutor } from "../../mod.ts";
import { scaled } from "../modules/in_circle.ts";

export const scale = 3;

await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
try {
  console.log(await pool.submit((n: number) => scaled(n), 1).result());
} catch (error) {
  console.log(`${error}`);
}
