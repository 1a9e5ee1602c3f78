/** A peer under Node: piscina. */

import { run } from "../lib/harness.mjs";

await run({
  name: "piscina",
  group: "threads",
  kind: "peer",
  npm: "piscina",
  async open({ workers }) {
    const { Piscina } = await import("piscina");
    const pool = new Piscina({
      filename: new URL("../lib/tasks.mjs", import.meta.url).href,
      minThreads: workers,
      maxThreads: workers,
    });
    return {
      call: (name, arg) => pool.run(arg, { name }),
      close: () => pool.destroy(),
    };
  },
});
