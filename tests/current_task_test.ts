/** `currentTask()` and `transfer()` of modules that tasks come from. */

import { assertEquals, assertMatch } from "@std/assert";
import {
  currentTask,
  EventLoopExecutor,
  ProcessPoolExecutor,
  taskModule,
  ThreadPoolExecutor,
} from "../mod.ts";
import { FakeClock, within } from "./_helpers.ts";
import * as known from "./modules/knows_itself.ts";
import { until } from "./contract.ts";

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

Deno.test("currentTask() inside of an executor inside of a task is the inner one's", () =>
  within((async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const names = pool.submit(async (url: string) => {
      const { EventLoopExecutor, currentTask } = await import(url);
      const outer = currentTask().workerName;
      const inner = new EventLoopExecutor({ maxWorkers: 1 });
      const name = await inner.submit(() => currentTask().workerName).result();
      await inner.shutdown();
      return [outer, name, currentTask().workerName];
    }, import.meta.resolve("../mod.ts"));
    const [outer, inner, after] = await names.result();
    assertMatch(outer, /^ThreadPoolExecutor-\d+_0$/);
    assertEquals([inner, after], ["EventLoopExecutor_0", outer]);
  })()));
