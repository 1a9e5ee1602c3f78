/** Calls in children of a program that may run children, and no more. */

import { ProcessPoolExecutor, taskModule } from "../../mod.ts";

const tasks = taskModule<typeof import("../modules/tasks.ts")>(
  import.meta.resolve("../modules/tasks.ts"),
);

await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
console.log(
  await pool.submit((name: string) => `Hello ${name}`, "world").result(),
);
console.log(await Array.fromAsync(pool.map(Math.abs, [-8, -9])));
const states = await pool.submit(async () => {
  const names = [
    "read",
    "write",
    "net",
    "env",
    "run",
    "sys",
    "ffi",
    "import",
  ] as const;
  const found: string[] = [];
  for (const name of names) {
    found.push(`${name} ${(await Deno.permissions.query({ name })).state}`);
  }
  return found;
}).result();
console.log(states.join(", "));
console.log("before", await pool.submit(tasks.arrowUsesHelper, 1).result());

// Named only after the children have started.
const late = taskModule<typeof import("../modules/more_tasks.ts")>(
  import.meta.resolve("../modules/more_tasks.ts"),
);
console.log("late", await pool.submit(late.usesHelper, 2).result());

await using named = new ProcessPoolExecutor({
  maxWorkers: 1,
  module: import.meta.resolve("../modules/leaves_a_mark.ts"),
});
console.log(
  "module",
  await named.submit(() => Reflect.get(globalThis, "leavesAMarkWasLoaded"))
    .result(),
);
console.log(
  await named.submit(
    (url: string) => import(url),
    import.meta.resolve("../modules/throws_on_import.ts"),
  )
    .exception().then((error) => (error as Error).name),
);

for (
  const permissions of [
    { read: true },
    { net: ["example.com"] },
    { write: ["."] },
    { env: ["HOME"] },
    { sys: true },
    { run: true },
  ] as Deno.PermissionOptionsObject[]
) {
  const [key] = Object.keys(permissions);
  try {
    new ProcessPoolExecutor({ permissions });
    console.log(`${key} made`);
  } catch (error) {
    console.log(
      `${key} ${(error as Error).name} ${
        /--allow-\w+/.exec((error as Error).message)?.[0]
      }`,
    );
  }
}
await using inherits = new ProcessPoolExecutor({
  maxWorkers: 1,
  permissions: "inherit",
});
console.log(
  "inherit",
  await inherits.submit(() => Deno.permissions.querySync({ name: "run" }).state)
    .result(),
  await inherits.submit(() =>
    Deno.permissions.querySync({ name: "read" }).state
  ).result(),
);
