/**
 * Outgrow one machine: the same program on threads, on processes, and on three
 * workers that are connected by a NATS server, here all on this machine; then
 * what the caller sees of a worker that is killed.
 *
 * Needs nats-server in the PATH: apt-get install nats-server
 *
 * Run it: deno run --allow-net=127.0.0.1 --allow-run --allow-read --allow-write examples/cluster/main.ts
 */

import {
  asCompleted,
  BrokenExecutor,
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "@concurrent/futures";
import { NatsExecutor } from "@concurrent/futures/nats";
import { startCluster } from "./cluster.ts";
import { countWords, isPrime, type Part, takeTime } from "./tasks.ts";

const TASKS = import.meta.resolve("./tasks.ts");
const PRIMES = [112272535095293, 112582705942171, 1099726899285419];

/** How much text a call is given, in bytes: little enough to make some hundred calls. */
const PART = 4096;

/** The files of this project. */
async function* files(folder: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (name.startsWith(".") || name === "node_modules") continue;
    if (isDirectory) yield* files(new URL(`${name}/`, folder));
    else if (isFile) yield new URL(name, folder);
  }
}

/** All parts of the files of this project. */
async function allParts(): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const file of files(new URL("../../", import.meta.url))) {
    const { size } = await Deno.stat(file);
    const of = Math.ceil(size / PART);
    for (let index = 0; index < of; index++) {
      parts.push({ path: file.pathname, index, of });
    }
  }
  return parts;
}

/** The program: it does not know what runs its calls. */
async function run(executor: Executor) {
  const { name } = executor.constructor;
  const primes = await Array.fromAsync(executor.map(isPrime, PRIMES));
  console.log(`${name}: prime are ${PRIMES.filter((_, i) => primes[i])}`);

  const total = new Map<string, number>();
  const parts = await allParts();
  for await (const counts of executor.map(countWords, parts)) {
    for (const [word, count] of counts) {
      total.set(word, (total.get(word) ?? 0) + count);
    }
  }
  const [[word, count]] = [...total].sort(([, m], [, n]) => n - m);
  console.log(
    `${name}: the most frequent word in ${parts.length} parts of files is "${word}", ${count} times`,
  );
}

/** Runs as many calls as the workers can at once, and kills a worker meanwhile. */
async function killOne(
  executor: Executor,
  count: number,
  worker: Deno.ChildProcess,
) {
  const folder = await Deno.makeTempDir({ prefix: "cluster-" });
  const end = `${folder}/end`;
  const futures = Array.from(
    { length: count },
    () => executor.submit(takeTime, end),
  );
  // None ends before all have begun, however long a worker takes to be there.
  while (!futures.every((future) => future.running() || future.done())) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  worker.kill("SIGKILL");
  await Deno.writeTextFile(end, "");
  let done = 0;
  for await (const future of asCompleted(futures)) {
    const error = await future.exception();
    if (!error) done++;
    else if (error instanceof BrokenExecutor) console.log(error.message);
    else throw error;
  }
  console.log(`${done} of ${futures.length} calls have a result`);
  await Deno.remove(folder, { recursive: true });
}

await using cluster = await startCluster(3, TASKS);
const { servers, queue, workers } = cluster;

// One line is another for each of them.
for (
  const executor of [
    new ThreadPoolExecutor({ module: TASKS }),
    new ProcessPoolExecutor({ module: TASKS, permissions: { read: true } }),
    new NatsExecutor({ servers, queue, module: TASKS, lease: 2000 }),
  ]
) {
  await run(executor);
  await executor.shutdown();
}

console.log("\nA worker is killed:");
{
  await using executor = new NatsExecutor({ servers, queue });
  await killOne(executor, 6, workers[0]);
}

console.log("\nAnother one, and its calls may be started once more:");
{
  await using executor = new NatsExecutor({ servers, queue, maxAttempts: 2 });
  await killOne(executor, 4, workers[1]);
}
