/** This library: `ProcessPoolExecutor`. */

import { ProcessPoolExecutor } from "@concurrent/futures";
import { run } from "../lib/harness.mjs";
import { poolOf } from "../lib/library.ts";

await run({
  name: "ProcessPoolExecutor",
  group: "processes",
  kind: "library",
  open: ({ workers, row }) =>
    poolOf(
      new ProcessPoolExecutor({
        maxWorkers: workers,
        // To be weighed, idle workers must still be there.
        ...(row === "i" && { idleTimeout: 60_000 }),
      }),
    ),
});
