/** This library's `NatsExecutor`, its server and two of its workers. */

import { NatsExecutor } from "@concurrent/futures/nats";
import { run } from "./harness.mjs";
import { poolOf } from "./library.ts";
import { skipsWithout, start } from "./servers.ts";

/** A worker that is ready. */
async function work(
  server: string,
  flags: readonly string[],
): Promise<Deno.ChildProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "worker.ts", "--servers", server],
      ...["--queue", "bench", "--module", "bench/lib/tasks.mjs"],
      ...["--max-workers", "8", ...flags],
    ],
    cwd: new URL("../../", import.meta.url),
    stdin: "null",
    stderr: "piped",
  }).spawn();
  const reader = child.stderr.getReader();
  let said = "";
  while (!said.includes("ready")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`a worker has ended: ${said}`);
    said += new TextDecoder().decode(value);
  }
  await reader.cancel();
  return child;
}

/** Measures it with workers that are started with these flags. */
export function runNats(
  name: string,
  kind: "library" | "peer",
  ...flags: string[]
): Promise<void> {
  return run({
    name,
    group: "queues",
    kind,
    skips: skipsWithout("nats-server"),
    async open() {
      const server = await start("nats-server", (port, folder) => [
        ...["-a", "127.0.0.1", "-p", `${port}`, "-js", "-sd", folder],
      ]);
      const url = `nats://${server.url}`;
      const workers = await Promise.all([work(url, flags), work(url, flags)]);
      const pool = await poolOf(
        new NatsExecutor({ servers: url, queue: "bench" }),
      );
      return {
        ...pool,
        async close() {
          await pool.close();
          for (const worker of workers) worker.kill("SIGTERM");
          await Promise.all(workers.map(({ status }) => status));
          await server.stop();
        },
      };
    },
  });
}
