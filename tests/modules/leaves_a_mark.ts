/** Leaves a mark where it is loaded. */

Reflect.set(globalThis, "leavesAMarkWasLoaded", true);

export function wasLoaded(): boolean {
  return Reflect.get(globalThis, "leavesAMarkWasLoaded") === true;
}

export async function add(a: number, b: number): Promise<number> {
  return await Promise.resolve(a + b);
}

export default function shout(text: string): string {
  return text.toUpperCase();
}
