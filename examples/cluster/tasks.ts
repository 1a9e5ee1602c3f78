/** The functions that the workers of the cluster run. */

/** Whether a number is prime. */
export function isPrime(n: number): boolean {
  if (n < 2) return false;
  if (n % 2 === 0) return n === 2;
  for (let i = 3; i * i <= n; i += 2) if (n % i === 0) return false;
  return true;
}

/** The words of a file. */
export async function countWords(path: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const text = await Deno.readTextFile(path);
  for (const [word] of text.toLowerCase().matchAll(WORD)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

// Workers have the whole module, so its functions may use what stands around them.
const WORD = /\p{L}+/gu;

/** Takes its time, and tells which worker it was on. */
export async function takeTime(ms: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return Deno.ppid;
}
