/** A peer under Node: workerpool with processes. */

import { runWorkerpool } from "../lib/workerpool.mjs";

await runWorkerpool(
  { name: "workerpool", group: "processes" },
  import.meta.url,
  {
    workerType: "process",
    // With JSON, which is the default, bytes would not arrive as bytes.
    forkOpts: { serialization: "advanced" },
  },
);
