/**
 * Counts the words of this project's Markdown files: files are read as the
 * workers get on, each is counted by a worker, and the counts are added up here.
 *
 * Run it: deno run --allow-read=. examples/mapreduce_wordcount.ts
 */

import { ThreadPoolExecutor } from "@concurrent/futures";

/** Map: the words of one text. */
function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [word] of text.toLowerCase().matchAll(/\p{L}+/gu)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** Reduce: adds the second counts to the first. */
function add(total: Map<string, number>, counts: Map<string, number>) {
  for (const [word, count] of counts) {
    total.set(word, (total.get(word) ?? 0) + count);
  }
}

/** The texts of all Markdown files of a folder and the folders in it. */
async function* texts(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (name.startsWith(".") || name === "node_modules") continue;
    if (isDirectory) yield* texts(new URL(`${name}/`, folder));
    else if (isFile && name.endsWith(".md")) {
      yield await Deno.readTextFile(new URL(name, folder));
    }
  }
}

const total = new Map<string, number>();
await using executor = new ThreadPoolExecutor();

// With `buffersize` the input may be async: at most that many texts are read
// ahead, however many files there are.
const results = executor.map(
  countWords,
  texts(new URL("../", import.meta.url)),
  { buffersize: 16 },
);
for await (const counts of results) add(total, counts);

const top = [...total].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
for (const [word, count] of top.slice(0, 10)) {
  console.log(`${String(count).padStart(5)}  ${word}`);
}
