/** A program that a call starts inherits the output, and prints on after the call and the child. */

import { ProcessPoolExecutor } from "../../mod.ts";

const pool = new ProcessPoolExecutor({
  maxWorkers: 1,
  permissions: { run: true },
});
const pid = await pool.submit(() => {
  const script =
    "echo out 1; echo err 1 >&2; read line; while true; do echo out 2 || exit 1; sleep 0.01; done";
  const child = new Deno.Command("sh", {
    args: ["-c", script],
    stdin: "piped",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  child.unref();
  const writer = child.stdin.getWriter();
  Reflect.set(
    globalThis,
    "goOn",
    () => writer.write(new TextEncoder().encode("\n")),
  );
  return child.pid;
}).result();
// The call is over: the program goes on.
await pool.submit(() => Reflect.get(globalThis, "goOn")()).result();
for (let i = 0; i < 20; i++) await pool.submit(Math.sqrt, i).result();
await pool.shutdown();
console.log("shut down");
try {
  Deno.kill(pid, "SIGKILL");
} catch {
  // It could no longer write.
}
