/**
 * Gives all objects a name in its turn, with something of no use, and runs calls:
 * what they give is as without it, or an error says what is wrong. Prints what is
 * not. The arguments: which kind, and the names.
 */

import {
  EventLoopExecutor,
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "../../mod.ts";

const kinds: Record<string, () => Executor> = {
  thread: () => new ThreadPoolExecutor({ maxWorkers: 1 }),
  process: () => new ProcessPoolExecutor({ maxWorkers: 1 }),
  "event loop": () => new EventLoopExecutor({ maxWorkers: 1 }),
};
const [kind, ...names] = Deno.args;
const useless: Record<string, unknown> = {
  "a number": 7,
  "a text": "junk",
  "a function": () => 3,
  "a list": [1],
};
const { clearTimeout, setTimeout } = globalThis;
/** Longer than anything here may take, in milliseconds. */
const BOUND = 20_000;

/** What comes of a promise, as text; whether or not it is ever done. */
async function textOf(promise: Promise<unknown>): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("nothing comes of it"), BOUND);
  });
  const told = promise.then(
    (value) => Deno.inspect(value),
    (error) => `throws ${Deno.inspect(error?.message)}`,
  );
  const text = await Promise.race([told, late]);
  clearTimeout(timer);
  return text;
}

async function listOf(all: AsyncIterable<unknown>): Promise<unknown[]> {
  const list = [];
  for await (const one of all) list.push(one);
  return list;
}

const table = {
  map: new Map([["a", 1]]),
  get five() {
    return 5;
  },
};

const calls: Record<string, (executor: Executor) => Promise<unknown>> = {
  plain: (executor) => executor.submit((n: number) => n + 1, 5).result(),
  objects: (executor) =>
    executor.submit((list: unknown) => [list, 1n], { b: [-0] }).result(),
  captured: (executor) =>
    executor.submit((n: number) => table.map.size + table.five + n, 5).result(),
  native: (executor) => executor.submit(Math.sqrt, 9).result(),
  thrown: (executor) =>
    executor.submit(() => {
      throw new RangeError("thrown", { cause: 5 });
    }).exception().then((error) =>
      error instanceof RangeError && [error.message, error.cause]
    ),
  mapped: (executor) =>
    listOf(executor.map((n: number) => n * 2, [1, 2, 3, 4, 5])),
  "mapped with what was captured": (executor) =>
    listOf(executor.map((n: number) => n * table.five, [1, 2, 3])),
  limited: (executor) =>
    executor.with({ timeLimit: BOUND }).submit((n: number) => n, 1).result(),
  nothing: (executor) => executor.submit(() => {}).result(),
};

async function outcomes(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let executor: Executor;
  try {
    executor = kinds[kind]();
  } catch (error) {
    return found.set("made", `throws ${(error as Error).message}`);
  }
  for (const [what, call] of Object.entries(calls)) {
    if (!Object.hasOwn(calls, what)) continue;
    found.set(what, await textOf((async () => await call(executor))()));
  }
  found.set("shut down", await textOf(executor.shutdown()));
  return found;
}

const right = await outcomes();
for (const name of names) {
  for (const what of Object.keys(useless)) {
    Object.defineProperty(Object.prototype, name, {
      value: useless[what],
      writable: true,
      configurable: true,
    });
    const found = await outcomes();
    Reflect.deleteProperty(Object.prototype, name);
    for (const [call, text] of found) {
      if (text === right.get(call) || /^throws "?./.test(text)) continue;
      console.log(`${what} as ${JSON.stringify(name)}, ${call}: ${text}`);
    }
  }
}
console.log(`all of ${names.length} names were tried`);
