/**
 * How a function travels, 1: by value. A function that uses nothing from around
 * it is sent as its source, and runs in the worker's global scope.
 *
 * Run it: deno run --allow-run examples/by_value.ts
 */

import {
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "@concurrent/futures";

// All kinds of functions travel: declared ones …
function fibonacci(n: number): number {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

// … static methods of a class …
class Text {
  static reverse(text: string): string {
    return [...text].reverse().join("");
  }
}

// … and async ones, which may import what they need.
async function extension(path: string): Promise<string> {
  const { extname } = await import("node:path");
  return extname(path);
}

const greeting = "Hello";

async function show(pool: Executor) {
  await using executor = pool;
  console.log(executor.constructor.name);

  console.log(await executor.submit(fibonacci, 20).result());
  console.log(await executor.submit(Text.reverse, "stressed").result());
  console.log(await executor.submit(extension, "notes.txt").result());

  // Arguments and results are copied: not only JSON, but also maps, dates, …
  const byLength = await executor.submit(
    (words: Set<string>) => Map.groupBy(words, (word) => word.length),
    new Set(["one", "two", "three"]),
  ).result();
  console.log(byLength);

  // What stands around a function stays behind …
  try {
    await executor.submit((name: string) => `${greeting}, ${name}!`, "Ada")
      .result();
  } catch (error) {
    console.log(`${error}`);
  }

  // … so it is passed.
  console.log(
    await executor.submit(
      (greeting: string, name: string) => `${greeting}, ${name}!`,
      greeting,
      "Ada",
    ).result(),
  );
}

await show(new ThreadPoolExecutor({ maxWorkers: 2 }));
await show(new ProcessPoolExecutor({ maxWorkers: 2 }));
