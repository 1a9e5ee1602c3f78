/** A peer under Node: tinypool with threads. */

import { runTinypool } from "../lib/tinypool.mjs";

await runTinypool({ name: "tinypool", group: "threads" }, {});
