/**
 * BullMQ: its queue here, and, with the argument `work`, one of its workers.
 * Under Node and Deno alike; the packages are those of the folder that it is
 * copied to.
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import * as tasks from "./tasks.mjs";

const HERE = fileURLToPath(import.meta.url);

/** Eight calls at once, in the event loop of this process. */
async function work(port) {
  const { Worker } = await import("bullmq");
  const worker = new Worker(
    "bench",
    (job) => Promise.resolve(tasks[job.name](job.data)),
    { connection: { host: "127.0.0.1", port }, concurrency: 8 },
  );
  await worker.waitUntilReady();
  console.log("ready");
}

/** A worker that is ready. */
function startWorker(port) {
  const flags = globalThis.Deno
    ? ["run", "-A", "--quiet", "--node-modules-dir=manual"]
    : [];
  const child = spawn(process.execPath, [...flags, HERE, "work", `${port}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  return new Promise((resolve, reject) => {
    lines.once("line", () => resolve(child));
    child.once("exit", () => reject(new Error("a worker has ended")));
  });
}

/** A pool, as the harness sees one, of two workers at a server on this port. */
export async function openBullmq(port, stop) {
  const { Queue, QueueEvents } = await import("bullmq");
  const connection = { host: "127.0.0.1", port };
  const workers = await Promise.all([startWorker(port), startWorker(port)]);
  const queue = new Queue("bench", { connection });
  const events = new QueueEvents("bench", { connection });
  events.setMaxListeners(0);
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  return {
    async call(task, arg) {
      const job = await queue.add(task, arg);
      return await job.waitUntilFinished(events);
    },
    async close() {
      for (const worker of workers) worker.kill("SIGKILL");
      await Promise.all([queue.close(), events.close()]);
      await stop();
    },
  };
}

if (process.argv[2] === "work") await work(Number(process.argv[3]));
