/** Pools that go on when a worker dies: in every way, at every time. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertThrows,
} from "@std/assert";
import {
  BrokenProcessPool,
  BrokenThreadPool,
  type Future,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
  TimeoutError,
} from "../../mod.ts";
import { within } from "../_helpers.ts";
import { childrenOf, isAlive } from "../_programs.ts";
import { sharedMemoryGate, socketGate, until } from "../contract.ts";
import {
  diesInResult,
  diesInside,
  moduleThatDies,
  neverEnds,
  ways,
} from "../deaths.ts";

// deno-lint-ignore no-explicit-any -- arguments of whatever type
type Any = any;
type Options = ThreadPoolExecutorOptions<Any> & ProcessPoolExecutorOptions<Any>;

const kinds = {
  thread: {
    broken: BrokenThreadPool,
    label: /worker "ThreadPoolExecutor-\d+_\d+"/i,
    make: (options: Options = {}) =>
      new ThreadPoolExecutor({
        maxWorkers: 2,
        onWorkerLost: "replace",
        ...options,
      }),
    gate: sharedMemoryGate,
  },
  process: {
    broken: BrokenProcessPool,
    label: /child \d+ \(pid \d+\)/i,
    make: (options: Options = {}) =>
      new ProcessPoolExecutor({
        maxWorkers: 2,
        onWorkerLost: "replace",
        permissions: { run: true, net: true },
        env: { NO_COLOR: "1" },
        ...options,
      }),
    gate: socketGate,
  },
};

/** The ways to die, and those that only a child has. */
function waysOf(name: string): [string, string][] {
  const all = Object.entries(ways).map(([way, fn]): [string, string] => [
    way,
    String(fn),
  ]);
  if (name === "process" && Deno.build.os !== "windows") {
    all.push(["SIGKILL", String(() => Deno.kill(Deno.pid, "SIGKILL"))]);
  }
  return all;
}

for (
  const [name, { broken, label, make, gate: makeGate }] of Object.entries(kinds)
) {
  const test = (sentence: string, fn: () => Promise<void>) =>
    Deno.test(`${name} pool that goes on: ${sentence}`, () => within(fn()));

  const lost = async (future: Future<unknown>): Promise<Error> => {
    const error = await future.exception();
    assertInstanceOf(error, broken);
    return error;
  };

  for (const [way, source] of waysOf(name)) {
    test(`${way} in a call fails that call alone, and says which worker and what it ran`, async () => {
      await using pool = make();
      await using gate = makeGate();
      const other = pool.submit(gate.pass as Any, gate.handle, 0);
      await gate.entered(0);
      const fatal = pool.submit(diesInside, source);
      const waits = [1, 2, 3].map((n) => pool.submit(Math.abs, -n));
      const { message } = await lost(fatal);
      assertMatch(message, label);
      assertMatch(message, /while it ran "diesInside"/);
      for (const [i, future] of waits.entries()) {
        assertEquals(await future.result(), i + 1);
      }
      gate.open();
      assertEquals(await other.result(), 0);
      assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
    });

    test(`${way} while a result is read fails at most that call`, async () => {
      await using pool = make({ maxWorkers: 1 });
      const fatal = pool.submit(diesInResult, source);
      const others = [1, 2].map((n) => pool.submit(Math.abs, -n));
      // The result may have been sent before the end comes, and others that came
      // behind it as well; but the worker ends once.
      let deaths = 0;
      const check = async (future: Future<unknown>, expected: unknown) => {
        const error = await future.exception();
        if (!error) return assertEquals(await future.result(), expected);
        assertInstanceOf(error, broken);
        deaths++;
      };
      await check(fatal, { value: 5 });
      for (const [i, future] of others.entries()) await check(future, i + 1);
      for (let n = 1; n <= 3; n++) {
        await check(pool.submit(Math.sqrt, n * n), n);
      }
      assert(deaths <= 1, `${deaths} calls failed`);
    });

    test(`${way} while a module is imported breaks the pool after three workers, and says so`, async () => {
      await using pool = make({
        module: moduleThatDies(source),
        maxWorkers: 1,
      });
      const futures = [1, 2, 3].map(() => pool.submit(neverEnds));
      const messages = [];
      for (const future of futures) messages.push((await lost(future)).message);
      assertMatch(messages[0], /before it ran a call/);
      assertMatch(
        messages[2],
        /3 workers in a row ended before they ran a call/,
      );
      assertThrows(
        () => pool.submit(Math.sqrt, 4),
        broken,
        "3 workers in a row",
      );
    });
  }

  test("of a hundred calls ten kill their worker: ninety results, ten errors, and the pool is usable", async () => {
    await using pool = make();
    const futures = Array.from(
      { length: 100 },
      (_, i) =>
        pool.submit((i: number) => {
          if (i % 10 === 3) Deno.exit(1);
          return i;
        }, i),
    );
    let results = 0;
    for (const [i, future] of futures.entries()) {
      if (i % 10 === 3) await lost(future);
      else {
        assertEquals(await future.result(), i);
        results++;
      }
    }
    assertEquals(results, 90);
    const { calls } = pool.stats();
    assertEquals([calls.finished, calls.failed], [90, 10]);
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  });

  test("map() fails where its call killed the worker, and the pool is usable", async () => {
    await using pool = make({ maxWorkers: 1 });
    const results = pool.map((i: number) => {
      if (i === 2) Deno.exit(1);
      return i;
    }, [0, 1, 2, 3]);
    const got: number[] = [];
    try {
      for await (const result of results) got.push(result);
    } catch (error) {
      assertInstanceOf(error, broken);
    }
    assertEquals(got, [0, 1]);
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  });

  test("a new worker is initialized as the first was", async () => {
    await using pool = make({
      maxWorkers: 1,
      initializer: (mark: string) => void Reflect.set(globalThis, "mark", mark),
      initargs: ["here"],
    });
    const mark = () => Reflect.get(globalThis, "mark");
    assertEquals(await pool.submit(mark).result(), "here");
    await lost(pool.submit(() => Deno.exit(1)));
    assertEquals(await pool.submit(mark).result(), "here");
  });

  test("an initializer that fails breaks the pool", async () => {
    await using pool = make({
      initializer: () => {
        throw new TypeError("bad");
      },
    });
    const { message } = await lost(pool.submit(neverEnds));
    assertMatch(message, /the initializer failed in .* with TypeError: bad/i);
    assertThrows(() => pool.submit(neverEnds), broken);
  });

  test("shutdown() goes on over a death, and leaves nothing", async () => {
    const pool = make({ maxWorkers: 1 });
    const fatal = pool.submit(() => Deno.exit(1));
    const others = [1, 2, 3].map((n) => pool.submit(Math.abs, -n));
    await pool.shutdown();
    await lost(fatal);
    for (const [i, future] of others.entries()) {
      assertEquals([future.done(), await future.result()], [true, i + 1]);
    }
  });

  test('onWorkerLost must be "break" or "replace"', async () => {
    for (const onWorkerLost of ["restart", "", null, true]) {
      assertThrows(
        () => make({ onWorkerLost: onWorkerLost as "break" }),
        TypeError,
        'onWorkerLost must be "break" or "replace": received',
      );
    }
    await make({ onWorkerLost: "break" }).shutdown();
  });
}

// ---- Children, killed from outside and stopped for good -----------------------

function onLinux(sentence: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `process pool: ${sentence}`,
    ignore: Deno.build.os !== "linux",
    fn: () => within(fn()),
  });
}

onLinux(
  "an idle child that is killed from outside is made up for, however often",
  async () => {
    await using pool = kinds.process.make({ maxWorkers: 1 });
    const seen = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const pid = await pool.submit(() => Deno.pid).result();
      assert(!seen.has(pid));
      seen.add(pid);
      Deno.kill(pid, "SIGKILL");
      // Until the pool has heard of it, a call may still be handed to it.
      await until(() => pool.stats().workers.live === 0);
    }
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  },
);

onLinux(
  "killWorkers() and terminateWorkers() end a pool that goes on otherwise",
  async () => {
    for (const end of ["killWorkers", "terminateWorkers"] as const) {
      const pool = kinds.process.make({ maxWorkers: 1 });
      const runs = pool.submit(neverEnds);
      const waits = pool.submit(Math.sqrt, 4);
      pool[end]();
      assertInstanceOf(await runs.exception(), BrokenProcessPool);
      assertEquals(waits.cancelled(), true);
      await pool.shutdown();
      assertThrows(() => pool.submit(Math.sqrt, 4), Error, "after shutdown");
    }
  },
);

onLinux(
  "a loop that never ends is stopped by its time limit: its child is gone, and the next call runs on a new one",
  async () => {
    const before = new Set(childrenOf(Deno.pid));
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const begin = performance.now();
    const future = pool.with({ timeLimit: 200 }).submit(() => {
      for (;;);
    });
    const error = await future.exception();
    assertInstanceOf(error, TimeoutError);
    assertMatch(error.message, /did not end within its time limit of 200 ms$/);
    assert(performance.now() - begin < 60_000);
    const [child, ...others] = childrenOf(Deno.pid).filter((pid) =>
      !before.has(pid)
    );
    assertEquals(others, []);
    await until(() => !isAlive(child));
    const fresh = pool.submit(Math.sqrt, 4);
    assertEquals(await fresh.result(), 2);
    const [next] = childrenOf(Deno.pid).filter((pid) => !before.has(pid));
    assert(next !== child);
    assertEquals(pool.stats().workers.live, 1);
  },
);

onLinux(
  "a signal stops loops that never end in all children, and the pool goes on",
  async () => {
    const before = new Set(childrenOf(Deno.pid));
    await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
    const controller = new AbortController();
    const view = pool.with(controller);
    const spins = [1, 2, 3].map(() =>
      view.submit(() => {
        for (;;);
      })
    );
    await until(() =>
      childrenOf(Deno.pid).filter((pid) => !before.has(pid)).length === 2
    );
    const old = childrenOf(Deno.pid).filter((pid) => !before.has(pid));
    const other = pool.submit(Math.sqrt, 4);
    controller.abort("enough");
    for (const future of spins) {
      assertEquals(await future.result().catch((reason) => reason), "enough");
    }
    assertEquals(await other.result(), 2);
    assert(old.length === 2);
  },
);

for (const by of ["its time limit", "its signal"]) {
  for (const way of ["loops", "awaits"]) {
    onLinux(
      `a call that ${way} and never asked for its signal has no effect any more once ${by} has failed it`,
      async () => {
        const folder = await Deno.makeTempDir();
        try {
          await using pool = new ProcessPoolExecutor({
            maxWorkers: 1,
            permissions: { write: [folder] },
          });
          const controller = new AbortController();
          const view = by === "its signal"
            ? pool.with(controller)
            : pool.with({ timeLimit: 150 });
          const path = `${folder}/written`;
          const sizeNow = () => Deno.statSync(path).size;
          const future = view.submit(
            async (path: string, loops: boolean) => {
              const file = Deno.openSync(path, { create: true, append: true });
              for (;;) {
                file.writeSync(new Uint8Array(1));
                if (!loops) await Promise.resolve();
              }
            },
            path,
            way === "loops",
          );
          let size = -1;
          future.addDoneCallback(() => size = sizeNow());
          await until(() => {
            try {
              return sizeNow() > 0;
            } catch {
              return false;
            }
          });
          controller.abort("enough");
          const error = await future.exception();
          if (by === "its signal") assertEquals(error, "enough");
          else assertInstanceOf(error, TimeoutError);
          assert(size > 0);
          // Another child is up, and had time enough.
          assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
          assertEquals(sizeNow(), size);
        } finally {
          await Deno.remove(folder, { recursive: true });
        }
      },
    );
  }
}

onLinux(
  "a call that has asked for its signal hears of its limit, cleans up, and keeps its child",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const pid = await pool.submit(() => Deno.pid).result();
    const future = pool.with({ timeLimit: 100 }).submit(async () => {
      const task = Reflect.get(globalThis, "currentTask")();
      const signal: AbortSignal = task.signal;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      Reflect.set(globalThis, "cleaned", signal.reason.name);
    });
    assertInstanceOf(await future.exception(), TimeoutError);
    const next = pool.submit(
      () => [Deno.pid, Reflect.get(globalThis, "cleaned")],
    );
    assertEquals(await next.result(), [pid, "TimeoutError"]);
  },
);

Deno.test("thread pool: a loop that never yields fails at its time limit, and what is said of its thread is true", () =>
  within((async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const told = new Int32Array(new SharedArrayBuffer(4));
    const future = pool.with({ timeLimit: 20 }).submit((told: Int32Array) => {
      // Lets itself be ended, at last, for the sake of the tests after this one.
      while (Atomics.load(told, 0) === 0);
    }, told);
    const error = await future.exception();
    assertInstanceOf(error, TimeoutError);
    assertMatch(error.message, /20 ms: .*ProcessPoolExecutor can stop it$/);
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
    Atomics.store(told, 0, 1);
  })()));
