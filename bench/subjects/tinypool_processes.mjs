/** A peer under Node: tinypool with processes. */

import { runTinypool } from "../lib/tinypool.mjs";

await runTinypool(
  {
    name: "tinypool",
    group: "processes",
    // Its messages are JSON.
    skips: { f: "bytes don't arrive as bytes" },
  },
  { runtime: "child_process" },
);
