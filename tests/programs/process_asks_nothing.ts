/** A pool looks for nothing where it may not: that would ask the user. */

import { ProcessPoolExecutor } from "../../mod.ts";

const asked: string[] = [];
for (
  const name of [
    "statSync",
    "stat",
    "lstatSync",
    "readTextFileSync",
    "readFileSync",
    "openSync",
    "realPathSync",
    "readDirSync",
    "cwd",
    "hostname",
    "osRelease",
    "systemMemoryInfo",
  ] as const
) {
  Object.defineProperty(Deno, name, {
    value: () => {
      asked.push(name);
      throw new Deno.errors.NotCapable(name);
    },
  });
}
await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
console.log(await pool.submit(Math.sqrt, 9).result(), asked);
