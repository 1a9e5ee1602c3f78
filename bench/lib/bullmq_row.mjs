/** Measures a row with BullMQ: the arguments are the row, and the port of Redis. */

import process from "node:process";
import { openBullmq } from "./bullmq.mjs";
import { run } from "./harness.mjs";

await run({
  name: "BullMQ",
  group: "queues",
  kind: "peer",
  open: () => openBullmq(Number(process.argv[3]), () => {}),
});
process.exit(0);
