/**
 * Makes as many pools as it is told, a few at a time, and tells what they left:
 * that it is within the limits that it is given, or how much it is in the end.
 */

import { Session } from "node:inspector";
import { ProcessPoolExecutor, ThreadPoolExecutor } from "../../mod.ts";

const [kind, times, most] = Deno.args;
const count = Number(times);
const limits: Census = JSON.parse(most);

async function use(): Promise<void> {
  const options = { maxWorkers: 1 };
  const pool = kind === "thread"
    ? new ThreadPoolExecutor(options)
    : new ProcessPoolExecutor(options);
  const size = (map: Map<number, undefined>) => map.size;
  const one = pool.submit(size, new Map([[1, undefined]]));
  if (await one.result() !== 1) throw new Error("wrong");
  await pool.shutdown();
}

async function useAll(count: number): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await use();
  };
  await Promise.all([lane(), lane(), lane()]);
}

/** What there is of the kinds that a pool may leave. */
interface Census {
  /** Objects and functions that a collector leaves. */
  readonly objects: number;
  /** What they and their buffers take. */
  readonly bytes: number;
  readonly files: number;
  /** Those that run a worker. */
  readonly threads: number;
  /** Those that are dead and were not waited for included. */
  readonly children: number;
}

async function census(ask: Ask): Promise<Census> {
  const objects = await countObjects(ask);
  const { heapUsed, external } = Deno.memoryUsage();
  let threads = 0;
  let children = 0;
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    const read = (file: string) =>
      Deno.readTextFileSync(`/proc/self/task/${name}/${file}`);
    try {
      if (read("comm").startsWith("worker-")) threads++;
      children += read("children").split(" ").length - 1;
    } catch {
      // It has ended meanwhile.
    }
  }
  const files = [...Deno.readDirSync("/proc/self/fd")].length;
  return { objects, bytes: heapUsed + external, files, threads, children };
}

/** Asks the runtime's inspector. */
// deno-lint-ignore no-explicit-any -- each method has an answer of its own
type Ask = (method: string, params: object) => Promise<any>;

/**
 * Counts all that has the prototype of an object. It is an exact number, where
 * bytes are not: compiled code and what the runtime learns of it come and go.
 */
async function countObjects(ask: Ask): Promise<number> {
  const { result: { objectId } } = await ask("Runtime.evaluate", {
    expression: "Object.prototype",
  });
  // This collects garbage first.
  const { objects } = await ask("Runtime.queryObjects", {
    prototypeObjectId: objectId,
    objectGroup: "all",
  });
  const { result } = await ask("Runtime.callFunctionOn", {
    objectId: objects.objectId,
    functionDeclaration: "function () { return this.length; }",
    returnByValue: true,
  });
  await ask("Runtime.releaseObjectGroup", { objectGroup: "all" });
  return result.value;
}

/**
 * What there is, in the first of some looks that suits. What takes a while to
 * go, such as a file that a thread of the runtime's closes or a buffer that one
 * of the collector's frees, is waited for so; what has leaked stays.
 */
async function settled(
  suits: (found: Census) => boolean,
  looks: number,
): Promise<Census> {
  // Open no longer than it is needed: workers start slowly meanwhile.
  const session = new Session();
  session.connect();
  const ask: Ask = (method, params) =>
    new Promise((resolve, reject) => {
      session.post(
        method,
        params,
        (error: unknown, answer: unknown) =>
          error ? reject(error) : resolve(answer),
      );
    });
  try {
    while (true) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      const found = await census(ask);
      if (--looks <= 0 || suits(found)) return found;
    }
  } finally {
    session.disconnect();
  }
}

// What is made once is no growth.
await useAll(20);
const before = await settled(() => false, 5);
await useAll(count);

function growth(now: Census): Census {
  return {
    objects: now.objects - before.objects,
    bytes: now.bytes - before.bytes,
    files: now.files - before.files,
    threads: now.threads - before.threads,
    children: now.children - before.children,
  };
}

const kinds = Object.keys(limits) as (keyof Census)[];
const after = await settled((found) => {
  const more = growth(found);
  return kinds.every((kind) => more[kind] <= limits[kind]);
}, 100);
console.log(JSON.stringify(growth(after)));
