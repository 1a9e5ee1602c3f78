/** This library: `ThreadPoolExecutor`. */

import { ThreadPoolExecutor } from "@concurrent/futures";
import { run } from "../lib/harness.mjs";
import { poolOf } from "../lib/library.ts";

await run({
  name: "ThreadPoolExecutor",
  group: "threads",
  kind: "library",
  open: ({ workers, row }) =>
    poolOf(
      new ThreadPoolExecutor({
        maxWorkers: workers,
        // To be weighed, idle workers must still be there.
        ...(row === "i" && { idleTimeout: 60_000 }),
      }),
    ),
});
