/** The main module, as the whole program has it. */

import type { WorkerMarker } from "./protocol.ts";

/** The main module of the program, in a worker too. */
export function mainModule(): string | undefined {
  const marker = (globalThis as unknown as Record<symbol, unknown>)[
    Symbol.for("@concurrent/futures worker")
  ] as WorkerMarker | undefined;
  if (marker?.mainModule !== undefined) return marker.mainModule;
  try {
    return Deno.mainModule;
  } catch {
    return undefined;
  }
}
