/**
 * How a function travels, 4: by reference, unloaded. The functions of a module
 * are submitted, fully typed, while only the workers ever load the module. Good
 * for what is slow to load, or must not run here.
 *
 * Run it: deno run --allow-read=examples/tasks.ts --allow-run examples/task_module.ts
 *
 * A worker's import of a local file is what needs the permission.
 */

import {
  type Executor,
  ProcessPoolExecutor,
  taskModule,
  ThreadPoolExecutor,
} from "@concurrent/futures";

// Only the type is imported, and of that nothing is left when the program runs.
const tasks = taskModule<typeof import("./tasks.ts")>(
  import.meta.resolve("./tasks.ts"),
);

async function show(pool: Executor) {
  await using executor = pool;
  console.log(executor.constructor.name);

  const text = "over and ".repeat(1000);
  const compressed = await executor.submit(tasks.compress, text).result();
  console.log(`${text.length} bytes became ${compressed.length}`);

  const restored = await executor.submit(tasks.restore, compressed).result();
  console.log(`the same again: ${restored === text}`);
}

await show(new ThreadPoolExecutor({ maxWorkers: 1 }));
await show(new ProcessPoolExecutor({ maxWorkers: 1 }));
