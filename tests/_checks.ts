/** Properties that hold for whatever fast-check comes up with. */

import * as fc from "fast-check";

/** How many values each property is tried with: `FAST_CHECK_RUNS`, or 300. */
const runs = Number(Deno.env.get("FAST_CHECK_RUNS") ?? 300);

/** Registers a test of a property. */
export function property<T>(
  sentence: string,
  values: fc.Arbitrary<T>,
  holds: (value: T) => void,
  { ignore, runs: own = runs }: { ignore?: boolean; runs?: number } = {},
): void {
  Deno.test({
    name: sentence,
    ignore,
    fn: () => fc.assert(fc.property(values, holds), { numRuns: own }),
  });
}
