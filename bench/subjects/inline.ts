/** A floor: the same work without any worker. */

import { run } from "../lib/harness.mjs";
import * as tasks from "../lib/tasks.mjs";

const copies = "nothing is copied";

await run({
  name: "inline",
  group: "both",
  kind: "floor",
  skips: { f: copies, g: copies, i: "nothing waits" },
  open: () =>
    Promise.resolve({
      call: (task, arg) => {
        // Nothing else runs meanwhile, so there is no use in holding it up.
        return Promise.resolve(task === "block" ? arg : tasks[task](arg));
      },
      close() {},
    }),
});
