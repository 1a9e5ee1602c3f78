/** A peer under Node: workerpool with threads. */

import { runWorkerpool } from "../lib/workerpool.mjs";

await runWorkerpool(
  { name: "workerpool", group: "threads" },
  import.meta.url,
  { workerType: "thread" },
);
