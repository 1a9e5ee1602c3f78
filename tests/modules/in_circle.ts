/** A module that imports the program which imports it. */

import { scale } from "../programs/closure_in_circle.ts";

export function scaled(n: number): number {
  return n * scale;
}
