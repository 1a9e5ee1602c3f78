/** A module that a promise takes for a promise. */

export function then(n: number): number {
  return n + 1;
}

export function half(n: number): number {
  return then(n) / 2;
}
