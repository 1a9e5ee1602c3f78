/**
 * Random functions over random surroundings give in a pool what they give on the
 * event loop, or are refused by an error that names what can't travel.
 */

import { assert } from "@std/assert";
import * as fc from "fast-check";
import { EventLoopExecutor } from "../event_loop_executor.ts";
import type { Executor } from "../executor.ts";
import type { Future } from "../future.ts";
import { ProcessPoolExecutor } from "../process_pool.ts";
import { ThreadPoolExecutor } from "../thread_pool.ts";
import { Choices, writeCase, writeModule } from "./_surroundings.ts";

// deno-lint-ignore no-explicit-any -- functions and values of whatever type
type Any = any;

const RUNS = Number(Deno.env.get("FAST_CHECK_RUNS") ?? 2000);
/** One case of so many has a pool of its own, with an initializer. */
const POOLS = 40;
/** How many cases stand in one module. */
const BATCH = POOLS;
/**
 * How many cases one program runs, of many: the more modules there were in it, the
 * longer it takes the inspector to begin, which tells of each.
 */
const PIECE = 2000;

const SHAPES = import.meta.resolve("./modules/shapes.ts");

/** Submits as somebody does who times, or counts, each call. */
function wrapping<E extends new (...args: Any[]) => Executor>(Base: E): E {
  return class Wrapping extends (Base as Any) {
    submit(fn: Any, ...args: Any[]): Future<Any> {
      return super.submit((...given: Any[]) => fn(...given), ...args);
    }
  } as Any;
}

interface Kind {
  readonly pool: Executor;
  readonly wrapping: Executor;
  make(options: { initializer: Any }): Executor;
}

const kinds: Record<string, () => Kind> = {
  "event loop": () => ({
    pool: new EventLoopExecutor(),
    wrapping: new (wrapping(EventLoopExecutor as Any))(),
    // It has no initializer: what there is to run runs here.
    make: () => new EventLoopExecutor(),
  }),
  thread: () => ({
    pool: new ThreadPoolExecutor({ maxWorkers: 2 }),
    wrapping: new (wrapping(ThreadPoolExecutor as Any))({ maxWorkers: 1 }),
    make: (options) => new ThreadPoolExecutor({ maxWorkers: 1, ...options }),
  }),
  process: () => ({
    pool: new ProcessPoolExecutor({
      maxWorkers: 2,
      permissions: { read: true, sys: true },
    }),
    wrapping: new (wrapping(ProcessPoolExecutor as Any))({
      maxWorkers: 1,
      permissions: { read: true, sys: true },
    }),
    make: (options) =>
      new ProcessPoolExecutor({
        maxWorkers: 1,
        permissions: { read: true, sys: true },
        ...options,
      }),
  }),
};

const WAYS = ["submit", "map", "view", "subclass"];

/** What came of a call, as text. */
async function outcome(run: () => Promise<unknown>): Promise<string> {
  try {
    return `gave ${JSON.stringify(await run())}`;
  } catch (error) {
    return error instanceof Error
      ? `threw ${error.constructor.name} ${error.name} ${error.message} ${
        JSON.stringify((error as Any).told)
      }`
      : `threw ${JSON.stringify(error)}`;
  }
}

async function run(kind: Kind, way: string, task: Any): Promise<unknown> {
  switch (way) {
    case "initializer":
      return await runInitializer(kind, task);
    case "map": {
      for await (const value of kind.pool.map(task, [0])) return value;
      return undefined;
    }
    case "view":
      return await kind.pool.with({ timeLimit: 60_000 }).submit(task).result();
    case "subclass":
      return await kind.wrapping.submit(task).result();
  }
  return await kind.pool.submit(task).result();
}

/** Has an initializer run a task, and asks afterwards what came of it. */
async function runInitializer(kind: Kind, task: Any): Promise<unknown> {
  const initializer = async () => {
    const holder = globalThis as Any;
    try {
      holder.told = ["gave", await task()];
    } catch (error) {
      holder.told = [
        "threw",
        (error as Error)?.name,
        (error as Error)?.message,
      ];
    }
  };
  const pool = kind.make({ initializer });
  try {
    if (pool instanceof EventLoopExecutor) await initializer();
    return await pool.submit(() => (globalThis as Any).told).result();
  } finally {
    await pool.shutdown();
  }
}

/** Whether an outcome is a refusal that says what can't travel, and where it stands. */
function isRefusal(there: string): boolean {
  return /^threw DOMException DataCloneError Cannot send (?:"\w*"|an anonymous function) to a worker: (?:captured "[^]+" |it (?:uses|is|has|captured) )/
    .test(there);
}

/** Runs cases there, and on the event loop; gives how many were refused. */
async function compare(
  kind: Kind,
  model: Kind,
  batch: readonly (readonly [numbers: number[], way: number])[],
): Promise<number> {
  const texts = batch.map(([numbers]) => writeCase(new Choices(numbers)));
  const text = writeModule(texts, SHAPES);
  const { cases } = await import(
    `data:text/javascript;base64,${btoa(text)}`
  ) as { cases: (() => Any)[] };
  let refused = 0;
  const compareOne = async (make: () => Any, i: number) => {
    const way = i % POOLS === 0 ? "initializer" : WAYS[batch[i][1]];
    let task: Any;
    try {
      task = make();
    } catch {
      return; // There are no such surroundings.
    }
    const there = await outcome(() => run(kind, way, task));
    if (isRefusal(there)) {
      refused++;
      return;
    }
    // On surroundings of its own: a call may change them.
    const here = await outcome(() => run(model, way, make()));
    assert(
      here === there,
      `${texts[i]}\nby ${way}\nhere:  ${here}\nthere: ${there}`,
    );
  };
  await Promise.all(
    cases.map((make, i) => i % POOLS === 0 ? undefined : compareOne(make, i)),
  );
  // On the event loop all initializers share one global object.
  for (let i = 0; i < cases.length; i += POOLS) await compareOne(cases[i], i);
  return refused;
}

const batches = fc.array(
  fc.tuple(
    fc.array(fc.nat(5000), { minLength: 3, maxLength: 70 }),
    fc.nat(WAYS.length - 1),
  ),
  { minLength: BATCH, maxLength: BATCH },
);

/** Runs a test of this file in programs of its own, until all cases were run. */
async function runInPieces(filter: string): Promise<void> {
  for (let left = RUNS; left > 0; left -= PIECE) {
    const count = Math.min(left, PIECE);
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args: [
          ...["test", "-A", "--no-check", "--v8-flags=--expose-gc"],
          ...["--filter", filter, import.meta.filename!],
        ],
        env: { FAST_CHECK_RUNS: `${count}`, NO_COLOR: "1" },
      },
    ).output();
    const [out, err] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    assert(success, `${out}\n${err}`);
    console.log(/\d+ of \d+ refused/.exec(out)?.[0]);
  }
}

for (const name of ["thread", "process"]) {
  const filter = `${name} pool: functions over`;
  Deno.test(`${name} pool: functions over surroundings of any kind give what they give on the event loop, or are refused by name`, async () => {
    if (RUNS > PIECE) return await runInPieces(filter);
    const kind = kinds[name]();
    const model = kinds["event loop"]();
    let refused = 0;
    let all = 0;
    try {
      await fc.assert(
        fc.asyncProperty(batches, async (batch) => {
          all += batch.length;
          refused += await compare(kind, model, batch);
        }),
        { numRuns: Math.ceil(RUNS / BATCH), endOnFailure: true },
      );
    } finally {
      await kind.pool.shutdown();
      await kind.wrapping.shutdown();
    }
    assert(refused < all * 0.7, `${refused} of ${all} were refused`);
    if (Deno.env.has("FAST_CHECK_RUNS")) {
      console.log(`${refused} of ${all} refused`);
    }
  });
}
