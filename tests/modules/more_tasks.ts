/** A second module, which has an export of a name that the first one has too. */

const factor = 1000;

export function usesHelper(n: number): number {
  return n * factor;
}

export function usesFactor(n: number): number {
  return n + factor;
}
