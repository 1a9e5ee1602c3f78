/** A task takes away what its child speaks with. */

import { ProcessPoolExecutor } from "../../mod.ts";

// deno-lint-ignore no-explicit-any -- what a task can reach
type Any = any;

const executor = new ProcessPoolExecutor({ maxWorkers: 1, closures: false });
const future = executor.submit((way: string) => {
  const refuse = () => {
    throw new Error("there is no stdout");
  };
  if (way === "closeSync") {
    (globalThis as Any).process.getBuiltinModule("node:fs").closeSync(1);
  } else if (way === "writeSync") {
    Deno.stdout.writeSync = refuse;
    Object.getPrototypeOf(Deno.stdout).writeSync = refuse;
  } else if (way === "Deno.stdout") {
    Deno.stdout.close();
    Object.defineProperty(Deno, "stdout", { get: refuse });
  } else {
    for (const name of Object.keys(console)) (console as Any)[name] = refuse;
    Object.defineProperty(globalThis, "console", { get: refuse });
  }
  return 7;
}, Deno.args[0]);
console.log(
  await future.result().catch((error) => (error as Error).constructor.name),
);
await executor.shutdown();
