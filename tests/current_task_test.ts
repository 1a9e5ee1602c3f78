/** `currentTask()` and `transfer()` of modules that tasks come from. */

import { assertEquals, assertMatch } from "@std/assert";
import type { FromWorker, ToWorker } from "../internal/call/protocol.ts";
import { describe } from "../internal/functions/describe.ts";
import { SharedCalls } from "../internal/threads/shared_calls.ts";
import { workerProgram } from "../internal/threads/thread_program.ts";
import {
  currentTask,
  EventLoopExecutor,
  ProcessPoolExecutor,
  taskModule,
  ThreadPoolExecutor,
  type transfer,
} from "../mod.ts";
import { FakeClock, within } from "./_helpers.ts";
import { deno } from "./_programs.ts";
import { until } from "./contract.ts";
import * as known from "./modules/knows_itself.ts";

/** What a worker has as globals. */
interface Globals {
  currentTask: typeof currentTask;
  transfer: typeof transfer;
}

const url = import.meta.resolve("./modules/knows_itself.ts");
const late = taskModule<typeof known>(url);

const kinds = {
  thread: (options: { module?: string } = {}) =>
    new ThreadPoolExecutor({
      maxWorkers: 1,
      threadNamePrefix: "named",
      ...options,
    }),
  process: (options: { module?: string } = {}) =>
    new ProcessPoolExecutor({ maxWorkers: 1, ...options }),
};

for (const [name, make] of Object.entries(kinds)) {
  for (const way of ["module", "taskModule()"]) {
    const tasks = way === "module" ? known : late;
    const options = way === "module" ? { module: url } : {};

    Deno.test(`${name} pool: currentTask() that a task imports knows the task, by ${way}`, () =>
      within((async () => {
        await using pool = make(options);
        const { workerName, ...rest } = await pool.submit(tasks.whatIKnow)
          .result();
        // One that is loaded late is imported by the task that needs it.
        assertEquals(rest, { atImport: way === "module", aborted: false });
        assertEquals(
          workerName,
          await pool.submit(() => globalThis.name).result(),
        );
        if (name === "thread") assertEquals(workerName, "named_0");
        else assertMatch(workerName!, /^ProcessPoolExecutor-\d+_0$/);
        assertEquals(currentTask(), undefined);
      })()));

    Deno.test({
      name:
        `${name} pool: currentTask() that a task imports hears of an abort, by ${way}`,
      // Of a child nobody can tell from here whether the task has started.
      ignore: name === "process",
      fn: () =>
        within((async () => {
          await using pool = make(options);
          using _clock = new FakeClock();
          const controller = new AbortController();
          const future = pool.with(controller).submit(tasks.listens);
          await until(() => future.running());
          controller.abort();
          assertEquals(await pool.submit(tasks.why).result(), "AbortError");
        })()),
    });

    Deno.test(`${name} pool: transfer() that a task imports moves its result, by ${way}`, () =>
      within((async () => {
        await using pool = make(options);
        const bytes = await pool.submit(tasks.makesBytes, 1000).result();
        assertEquals([bytes.length, bytes[999]], [1000, 7]);
        assertEquals(
          await pool.submit(tasks.whatIsLeft).result(),
          name === "thread" ? 0 : 1000,
        );
      })()));
  }
}

Deno.test("event loop executor: currentTask() of a module is the caller's own", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 1 });
  for (const tasks of [known, late]) {
    assertEquals(await pool.submit(tasks.whatIKnow).result(), {
      atImport: true,
      workerName: "EventLoopExecutor_0",
      aborted: false,
    });
  }
});

Deno.test("event loop executor: a function finds currentTask() and transfer() as globals, as on a worker", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 1 });
  const [name, same] = await pool.submit(() => {
    const { currentTask, transfer } = globalThis as unknown as Globals;
    const bytes = new Uint8Array(1);
    return [
      currentTask()!.workerName,
      transfer(bytes, [bytes.buffer]) === bytes,
    ];
  }).result();
  assertEquals([name, same], ["EventLoopExecutor_0", true]);
  assertEquals(Object.keys(globalThis).includes("currentTask"), false);
  assertEquals((globalThis as unknown as Globals).currentTask(), undefined);
});

Deno.test("event loop executor: a program's own global of that name stays", async () => {
  const script = `
    globalThis.currentTask = 5;
    const { EventLoopExecutor } = await import(${
    JSON.stringify(import.meta.resolve("../mod.ts"))
  });
    const pool = new EventLoopExecutor();
    console.log(await pool.submit(() => currentTask).result());
  `;
  const { stdout } = await deno(["eval", script]);
  assertEquals(stdout, "5\n");
});

Deno.test("currentTask() inside of an executor inside of a task is the inner one's", () =>
  within((async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const names = pool.submit(async (url: string) => {
      const { EventLoopExecutor, currentTask } = await import(url);
      const outer = currentTask().workerName;
      const inner = new EventLoopExecutor({ maxWorkers: 1 });
      const name = await inner.submit(() => currentTask().workerName).result();
      const global = await inner.submit(() =>
        Reflect.get(globalThis, "currentTask")().workerName
      ).result();
      await inner.shutdown();
      return [outer, name, global, currentTask().workerName];
    }, import.meta.resolve("../mod.ts"));
    const [outer, inner, global, after] = await names.result();
    assertMatch(outer, /^ThreadPoolExecutor-\d+_0$/);
    assertEquals([inner, after], ["EventLoopExecutor_0", outer]);
    assertEquals(global, inner);
  })()));

Deno.test("a worker that is asked to stop a call which has ended stops no other that has its slot now", () =>
  within((async () => {
    const fn = describe(async () => {
      const { signal } = currentTask()!;
      await new Promise((resolve) => signal.onabort = resolve);
      return signal.reason.message;
    }, "submit");
    const done = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    const lanes = new SharedCalls(
      8,
      (_slot, _ms, outcome) => done.resolve(outcome),
    );
    const url = URL.createObjectURL(
      new Blob([workerProgram()], { type: "text/javascript" }),
    );
    const worker = new Worker(url, { type: "module" });
    const post = (message: ToWorker) => worker.postMessage(message);
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === "started") started.resolve();
      else lanes.look();
    };
    try {
      post({
        type: "start",
        flags: new SharedArrayBuffer(8 * 4),
        lanes: lanes.shared,
        modules: [],
        ownModule: false,
        initializer: undefined,
        depth: 1,
      });
      lanes.send(
        [{ slot: 3, fn, args: [], watched: 8 }],
        (calls) => post({ type: "calls", calls }),
      );
      await started.promise;
      const abort = { type: "abort", slot: 3, name: "AbortError" } as const;
      post({ ...abort, call: 7, message: "of the call before" });
      post({ ...abort, call: 8, message: "its own" });
      assertEquals(await done.promise, { is: "returned", value: "its own" });
    } finally {
      lanes.close();
      worker.terminate();
      URL.revokeObjectURL(url);
    }
  })()));
