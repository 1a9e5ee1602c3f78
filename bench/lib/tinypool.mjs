/** tinypool, with threads or processes. */

import { run } from "./harness.mjs";

export const runTinypool = (subject, options) =>
  run({
    ...subject,
    kind: "peer",
    npm: "tinypool",
    async open({ workers }) {
      const { Tinypool } = await import("tinypool");
      const pool = new Tinypool({
        filename: new URL("./tasks.mjs", import.meta.url).href,
        minThreads: workers,
        maxThreads: workers,
        ...options,
      });
      return {
        call: (name, arg) => pool.run(arg, { name }),
        close: () => pool.destroy(),
      };
    },
  });
