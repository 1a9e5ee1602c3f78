/** The functions that the workers of the cluster run. */

/** Whether a number is prime. */
export function isPrime(n: number): boolean {
  if (n < 2) return false;
  if (n % 2 === 0) return n === 2;
  for (let i = 3; i * i <= n; i += 2) if (n % i === 0) return false;
  return true;
}

/** Some lines of a file: the one with this index, of so many parts. */
export interface Part {
  readonly path: string;
  readonly index: number;
  readonly of: number;
}

/** The words in a part of a file. */
export async function countWords(
  { path, index, of }: Part,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const lines = (await Deno.readTextFile(path)).split("\n");
  const [begin, end] = [index, index + 1].map((i) =>
    Math.floor(i * lines.length / of)
  );
  const text = lines.slice(begin, end).join("\n");
  for (const [word] of text.toLowerCase().matchAll(WORD)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

// Workers have the whole module, so its functions may use what stands around them.
const WORD = /\p{L}+/gu;

/** Takes its time, until there is a file, and tells which worker it was on. */
export async function takeTime(file: string): Promise<number> {
  while (!await exists(file)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return Deno.ppid;
}

async function exists(file: string): Promise<boolean> {
  try {
    await Deno.stat(file);
    return true;
  } catch {
    return false;
  }
}
