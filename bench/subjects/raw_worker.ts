/** A floor: a Web Worker, and one `postMessage` a task. */

import { run } from "../lib/harness.mjs";
import { openRaw } from "../lib/raw.ts";

await run({
  name: "raw Worker",
  group: "threads",
  kind: "floor",
  open: (options) =>
    Promise.resolve(openRaw((onReply) => {
      const worker = new Worker(
        new URL("../lib/raw_worker.ts", import.meta.url),
        {
          type: "module",
        },
      );
      worker.onmessage = ({ data }) => onReply(data);
      return {
        send: (message) => worker.postMessage(message),
        close: () => worker.terminate(),
      };
    }, options)),
});
