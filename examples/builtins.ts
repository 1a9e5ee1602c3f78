/**
 * How a function travels, 2: by name. What comes with the runtime, and can be
 * reached from `globalThis`, is submitted as it is.
 *
 * Run it: deno run --allow-run examples/builtins.ts
 */

import {
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "@concurrent/futures";

async function show(pool: Executor) {
  await using executor = pool;
  console.log(executor.constructor.name);

  // Python's first example: `executor.submit(pow, 323, 2)`.
  const future = executor.submit(Math.pow, 323, 2);
  console.log(await future.result());

  // `map` takes an iterable for each parameter, and stops with the shortest.
  const bases = [2, 2, 2, 2];
  const exponents = [8, 16, 32];
  console.log(await Array.fromAsync(executor.map(Math.pow, bases, exponents)));

  // Methods know what they belong to.
  const pages = ["one", "two"].map((text) => new TextEncoder().encode(text));
  const digests = pages.map((page) =>
    executor.submit(crypto.subtle.digest, "SHA-256", page)
  );
  for (const digest of digests) {
    console.log(new Uint8Array(await digest.result()).toHex());
  }

  // An exception arrives as the class that it was thrown as.
  const error = await executor.submit(JSON.parse, "{").exception();
  console.log(error instanceof SyntaxError);
}

await show(new ThreadPoolExecutor({ maxWorkers: 2 }));
await show(new ProcessPoolExecutor({ maxWorkers: 2 }));
