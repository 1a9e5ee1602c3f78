/** A child that dies in the middle of a line, at a byte that a frame begins with. */

import { ProcessPoolExecutor } from "../../mod.ts";

await using pool = new ProcessPoolExecutor({
  maxWorkers: 1,
  permissions: { run: true },
});
const future = pool.submit(() => {
  Deno.stdout.writeSync(new TextEncoder().encode("printed\x1e"));
  Deno.stderr.writeSync(new TextEncoder().encode("told"));
  Deno.kill(Deno.pid, "SIGKILL");
});
await future.exception();
