/**
 * How a function travels, 3: by reference. The workers import the modules that
 * the `module` option names, and find the functions that these export with all
 * that stands around them. Here the module is the program itself.
 *
 * Run it: deno run --allow-read=. --allow-run examples/by_module.ts
 *
 * A worker's import of local files is what needs the permission.
 */

import {
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "@concurrent/futures";

const VOWELS = new Set("aeiou");

function isVowel(letter: string): boolean {
  return VOWELS.has(letter);
}

/** Exported, so a worker can find it, and with it the helper and the constant. */
export function countVowels(word: string): number {
  return [...word].filter(isVowel).length;
}

async function show(pool: Executor) {
  await using executor = pool;
  console.log(executor.constructor.name);

  const words = ["oboe", "rhythm", "ouagadougou"];
  let i = 0;
  for await (const count of executor.map(countVowels, words)) {
    console.log(`${words[i++]}: ${count}`);
  }
}

// The workers import this module too, and must not start pools of their own:
// the program's main part is guarded, as it is in Python.
if (import.meta.main) {
  await show(
    new ThreadPoolExecutor({ maxWorkers: 2, module: import.meta.url }),
  );
  await show(
    new ProcessPoolExecutor({ maxWorkers: 2, module: import.meta.url }),
  );
}
