/** The contract on the event loop, and what is its own. */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  BrokenExecutor,
  currentTask,
  EventLoopExecutor,
  type Future,
  taskModule,
} from "../mod.ts";
import { isCollected, turn, within, withoutGc } from "./_helpers.ts";
import { contractSuite, type ExecutorKind, socketGate } from "./contract.ts";

const loop: ExecutorKind = {
  name: "event loop",
  make: ({ maxWorkers } = {}) => new EventLoopExecutor({ maxWorkers }),
  can: {
    copy: false,
    travel: false,
    importModules: false,
    workers: false,
    ownWorkers: true,
    die: false,
    cancelHandedOver: true,
    shareMemory: true,
    control: true,
  },
  broken: BrokenExecutor,
  makeGate: socketGate,
  whoAmI: () => undefined,
};

contractSuite(loop);

contractSuite({
  ...loop,
  name: "copying event loop",
  make: ({ maxWorkers } = {}) =>
    new EventLoopExecutor({ maxWorkers, copy: true }),
  can: { ...loop.can, copy: true },
});

function test(
  sentence: string,
  fn: () => void | Promise<void>,
  { ignore = false } = {},
): void {
  Deno.test({
    name: `event loop executor: ${sentence}`,
    ignore,
    fn: () => within(Promise.resolve(fn())),
  });
}

/** A call that waits to be let go, and says what it is then. */
function holding<T>() {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { call: () => promise, letGo: resolve };
}

test("a call is a closure, and its arguments, result and exception are the very same objects", async () => {
  await using pool = new EventLoopExecutor();
  const argument = { fn: () => 5, headers: new Headers() };
  const seen: unknown[] = [];
  const future = pool.submit((value: typeof argument) => {
    seen.push(value);
    return value;
  }, argument);
  assertStrictEquals(await future.result(), argument);
  assertStrictEquals(seen[0], argument);
  class Own extends Error {}
  for (const thrown of [new Own("own"), argument, undefined]) {
    const failed = pool.submit(() => {
      throw thrown;
    });
    assertStrictEquals(await failed.exception(), thrown);
  }
});

test("a call starts in a microtask, and never within submit or a callback that submits", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 1 });
  const events: string[] = [];
  const first = pool.submit(() => events.push("first"));
  events.push("submitted");
  assertEquals([events, first.running()], [["submitted"], false]);
  first.addDoneCallback(() => {
    pool.submit(() => events.push("second"));
    events.push("callback");
  });
  await turn();
  assertEquals(events, ["submitted", "first", "callback", "second"]);
});

test("a call can be cancelled until the microtask in which it starts", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 1 });
  let ran = false;
  const future = pool.submit(() => ran = true);
  assertEquals(future.cancel(), true);
  assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  assertEquals(ran, false);
});

test("at most maxWorkers calls run at a time, and the next starts when one ends", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 2 });
  const holds = [1, 2, 3].map(() => holding<string>());
  const futures = holds.map(({ call }) => pool.submit(call));
  await turn();
  assertEquals(futures.map((future) => future.running()), [true, true, false]);
  holds[1].letGo("second");
  assertEquals(await futures[1].result(), "second");
  await turn();
  assertEquals(futures.map((future) => future.running()), [true, false, true]);
  holds[0].letGo("first");
  holds[2].letGo("third");
});

test("currentTask() is that of each call, after each await, with several at a time", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 3 });
  const holds = [1, 2, 3].map(() => holding<void>());
  const futures = holds.map(({ call }) =>
    pool.submit(async () => {
      const { signal, workerName } = currentTask()!;
      const names = [workerName];
      const same: boolean[] = [];
      for (let i = 0; i < 3; i++) {
        await (i === 0 ? call() : i === 1 ? turn() : null);
        const task = currentTask()!;
        names.push(task.workerName);
        same.push(task.signal === signal);
      }
      await new Promise<void>((resolve) =>
        setTimeout(() => {
          names.push(currentTask()!.workerName);
          resolve();
        }, 0)
      );
      return { names, same };
    })
  );
  assertEquals(currentTask(), undefined);
  await turn();
  assertEquals(currentTask(), undefined);
  for (const { letGo } of holds.toReversed()) letGo();
  for (const [i, future] of futures.entries()) {
    const { names, same } = await future.result();
    assertEquals(names, Array(5).fill(`EventLoopExecutor_${i}`));
    assertEquals(same, [true, true, true]);
  }
  assertEquals(currentTask(), undefined);
});

test("a signal stops one call of several, which hears of it as itself", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 2 });
  const controller = new AbortController();
  const heard: unknown[] = [];
  const wait = async (name: string) => {
    const { signal } = currentTask()!;
    await new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => {
        heard.push(name, signal.reason.name, currentTask()?.signal === signal);
        resolve();
      })
    );
  };
  const stopped = pool.with(controller).submit(wait, "stopped");
  const other = holding<string>();
  const goesOn = pool.submit(other.call);
  await turn();
  controller.abort("enough");
  assertEquals(await stopped.exception(), "enough");
  assertEquals(heard, ["stopped", "AbortError", true]);
  assertEquals(goesOn.running(), true);
  other.letGo("fine");
  assertEquals(await goesOn.result(), "fine");
});

test("what listens to a signal may abort, submit, cancel and shut down", async () => {
  const pool = new EventLoopExecutor({ maxWorkers: 2 });
  const controller = new AbortController();
  const other = new AbortController();
  let over: Promise<void> | undefined;
  let waits: Future<number> | undefined;
  const futures = [1, 2].map(() =>
    pool.with(controller).with(other).submit(() =>
      new Promise<void>((resolve) =>
        currentTask()!.signal.addEventListener("abort", () => {
          other.abort("other");
          waits ??= pool.submit(Math.sqrt, 4);
          over ??= pool.shutdown({ cancelFutures: true });
          resolve();
        })
      )
    )
  );
  await turn();
  controller.abort("first");
  assert(futures.every((future) => future.done()));
  assertEquals(waits!.cancelled(), true);
  await over;
  const reasons = await Promise.all(futures.map((f) => f.exception()));
  assert(reasons.includes("first"), `${reasons}`);
});

test("a call that waits and is cancelled keeps nothing either", async () => {
  await using pool = new EventLoopExecutor({ maxWorkers: 1 });
  const cancel = async () => {
    const argument = { large: [1, 2, 3] };
    pool.submit((value: object) => ({ value }), argument).cancel();
    await turn();
    return new WeakRef(argument);
  };
  assertEquals(await isCollected(await cancel()), true);
}, { ignore: withoutGc });

test("a function of taskModule() is imported, and built-ins are called on what they belong to", async () => {
  await using pool = new EventLoopExecutor();
  const tasks = taskModule<typeof import("./modules/more_tasks.ts")>(
    import.meta.resolve("./modules/more_tasks.ts"),
  );
  assertEquals(await pool.submit(tasks.usesHelper, 5).result(), 5000);
  const missing = (tasks as unknown as Record<string, () => void>).missing;
  const error = await pool.submit(missing).exception() as Error;
  assertStringIncludes(error.message, "the module does not export it");
  assertEquals(await pool.submit(Promise.resolve.bind(Promise), 5).result(), 5);
  assertEquals(await pool.submit(performance.now).result() > 0, true);
});

test("a module that can't be imported fails the calls that need it, with that error as cause", async () => {
  await using pool = new EventLoopExecutor();
  for (const name of ["throws_on_import", "nowhere"]) {
    const url = import.meta.resolve(`./modules/${name}.ts`);
    const { neverThere } = taskModule<{ neverThere(): void }>(url);
    const error = await pool.submit(neverThere).exception() as Error;
    const { cause } = error;
    assert(cause instanceof Error);
    assertEquals(
      error.message,
      `Cannot import ${url}, which "neverThere" needs: ${
        cause.message.split("\n")[0]
      }`,
    );
  }
  assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
});

test(
  "nothing keeps the argument and the result of a call that is done",
  async () => {
    await using pool = new EventLoopExecutor({ maxWorkers: 1 });
    const run = async () => {
      const argument = { large: [1, 2, 3] };
      const result = await pool.submit((value: object) => ({ value }), argument)
        .result();
      return [new WeakRef(argument), new WeakRef(result)];
    };
    for (const ref of await run()) assertEquals(await isCollected(ref), true);
  },
  { ignore: withoutGc },
);
