/**
 * A peer: BullMQ on Redis, under Deno. Its program is run from the folder where
 * its packages are.
 */

import { cacheFolder } from "../peers.ts";
import { run } from "../lib/harness.mjs";
import { skipsWithout, start } from "../lib/servers.ts";

if (Deno.args[0] === "describe") {
  await run({
    name: "BullMQ (Deno)",
    group: "queues",
    kind: "peer",
    npm: "bullmq",
    npmToo: ["ioredis"],
    skips: skipsWithout("redis-server"),
    open: () => Promise.reject(new Error("not here")),
  });
} else {
  const redis = await start("redis-server", (port, folder) => [
    ...["--bind", "127.0.0.1", "--port", `${port}`, "--dir", folder],
    ...["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"],
  ]);
  const [, port] = redis.url.split(":");
  const program = `${cacheFolder()}/lib/bullmq_row.mjs`;
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--node-modules-dir=manual", program],
      ...[Deno.args[0], port],
    ],
  }).spawn().status;
  await redis.stop();
  Deno.exit(code);
}
