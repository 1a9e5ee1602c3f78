/** Calls behind what never ends: their limits hold, and what is said of them is true. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
} from "@std/assert";
import type { Executor } from "../../executor.ts";
import {
  BrokenProcessPool,
  type Future,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
  TimeoutError,
} from "../../mod.ts";
import { FakeClock, within } from "../_helpers.ts";
import { until } from "../contract.ts";

// deno-lint-ignore no-explicit-any -- arguments of whatever type
type Any = any;
type Options = ThreadPoolExecutorOptions<Any> & ProcessPoolExecutorOptions<Any>;

// ---- What never ends ---------------------------------------------------------

/** What a thread in a loop is told by the test: to end; and tells: that it loops. */
type Told = Int32Array<SharedArrayBuffer>;

/**
 * A loop that lets nothing else happen, and spares the processor. A thread ends it
 * in the end, for the sake of the tests after this one. Self-contained.
 */
function loop(told: Told | undefined): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (!told || Atomics.load(told, 0) === 0) Atomics.wait(cell, 0, 0, 20);
}

/** Leaves a loop behind that begins after the call has ended. Self-contained. */
function leaveLoop(loop: string, folder: string, told: Told | undefined): void {
  setTimeout(() => {
    if (told) Atomics.store(told, 1, 1);
    else Deno.writeTextFileSync(`${folder}/loops`, "");
    (0, eval)(`(${loop})`)(told);
  });
}

/**
 * What no test runs to its end: of a function that was seen to be short, calls are
 * handed ahead, and what a child was handed can't be cancelled. Self-contained.
 */
function neverRun(n: number): number {
  return -n;
}

/** A module whose import does not end. */
function moduleThat(statement: string): string {
  const source = `${loop}\n${statement}\nexport {};`;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** What a call is behind: the options of its pool, and what is done before it. */
interface HeldUp {
  options(told: Told | undefined): Options;
  before?(
    pool: Executor,
    folder: string,
    told: Told | undefined,
  ): Promise<void>;
}

const behind: Record<string, HeldUp> = {
  "an initializer that waits for ever": {
    options: () => ({ initializer: () => new Promise(() => {}) }),
  },
  "an initializer that loops for ever": {
    options: (told) => ({ initializer: loop, initargs: [told] }),
  },
  "a module whose import waits for ever": {
    options: () => ({ module: moduleThat("await new Promise(() => {});") }),
  },
  "a module whose import loops for ever": {
    options: () => ({ module: moduleThat("loop();") }),
  },
  "a loop that an earlier call left in a timer": {
    options: () => ({}),
    async before(pool, folder, told) {
      await pool.submit(leaveLoop, String(loop), folder, told).result();
      await until(() => {
        if (told) return Atomics.load(told, 1) === 1;
        try {
          return Deno.statSync(`${folder}/loops`).isFile;
        } catch {
          return false;
        }
      });
    },
  },
};

// ---- The pools ---------------------------------------------------------------

const kinds = {
  thread: (_folder: string, options: Options) =>
    new ThreadPoolExecutor({ maxWorkers: 1, closures: false, ...options }),
  process: (folder: string, options: Options) =>
    new ProcessPoolExecutor({
      maxWorkers: 1,
      closures: false,
      permissions: { write: [folder] },
      ...options,
    }),
};

/** Moves the clock on until a future is done. */
async function passUntilDone(
  clock: FakeClock,
  future: Future<unknown>,
): Promise<void> {
  await until(() => {
    clock.tick(250);
    return future.done();
  });
}

for (const [kind, make] of Object.entries(kinds)) {
  for (const onWorkerLost of ["break", "replace"] as const) {
    for (const [what, { options, before }] of Object.entries(behind)) {
      const test = (
        sentence: string,
        fn: (pool: Executor) => Promise<void>,
      ) =>
        Deno.test(`${kind} pool (${onWorkerLost}): behind ${what}, ${sentence}`, () =>
          within((async () => {
            const told = kind === "thread"
              ? new Int32Array(new SharedArrayBuffer(8))
              : undefined;
            const folder = await Deno.makeTempDir();
            try {
              const pool = make(folder, { onWorkerLost, ...options(told) });
              await before?.(pool, folder, told);
              await fn(pool);
              // A pool ends, whatever it is behind.
              await pool.shutdown({ cancelFutures: true });
            } finally {
              if (told) Atomics.store(told, 0, 1);
              await Deno.remove(folder, { recursive: true });
            }
          })()));
      /** Whether the call is in a child that has begun nothing since it was ready. */
      const isInChild = kind === "process" && before !== undefined;

      test("a time limit holds", async (pool) => {
        using clock = new FakeClock();
        const future = pool.with({ timeLimit: 200 })
          .submit((text: string) => text.length, "held up");
        const waits = pool.with({ timeLimit: 200 }).submit((n: number) => n, 4);
        await passUntilDone(clock, future);
        const error = await future.exception();
        assertInstanceOf(error, TimeoutError);
        assertMatch(
          error.message,
          /did not end within its time limit of 200 ms: it could not begin/,
        );
        await passUntilDone(clock, waits);
        if (!before) {
          assertInstanceOf(await waits.exception(), TimeoutError);
        } else {
          // What an earlier call left running went with its worker.
          assertEquals(await pool.submit(Math.sqrt, 9).result(), 3);
        }
      });

      test("a time limit holds in the queue, behind a call that has none", async (pool) => {
        using clock = new FakeClock();
        const first = pool.submit((text: string) => text.length, "held up");
        const future = pool.with({ timeLimit: 200 })
          .submit((n: number) => n, 4);
        await passUntilDone(clock, future);
        assertInstanceOf(await future.exception(), TimeoutError);
        // It goes on, on another worker, or is still held up.
        if (before) assertEquals(await first.result(), 7);
        else assertEquals(first.done(), false);
      });

      test("a signal holds", async (pool) => {
        const controller = new AbortController();
        const future = pool.with(controller).submit(Math.sqrt, 4);
        assertEquals(future.done(), false);
        const reason = new Error("enough");
        controller.abort(reason);
        const error = await future.result().catch((error) => error);
        assert(error === reason, `the reason: ${error}`);
      });

      test("cancel() and running() tell the truth", async (pool) => {
        const futures = [1, 4].map((n) => pool.submit(neverRun, n));
        await new Promise((resolve) => setTimeout(resolve));
        // Of what a child was sent it is not known whether it has started.
        assertEquals(
          futures.map((future) => [future.running(), future.cancel()]),
          [[isInChild, !isInChild], [false, true]],
        );
        assertEquals(
          futures.map((future) => future.cancelled()),
          [!isInChild, true],
        );
      });

      test("a shutdown that cancels ends the pool", async (pool) => {
        using clock = new FakeClock();
        const futures = [1, 4].map((n) => pool.submit(neverRun, n));
        let over = false;
        const shutdown = pool.shutdown({ cancelFutures: true })
          .then(() => over = true);
        assertEquals(futures[1].cancelled(), true);
        await until(() => {
          clock.tick(250);
          return over;
        });
        await shutdown;
        assertEquals(futures.map((future) => future.cancelled()), [true, true]);
      });

      if (kind === "process") {
        for (const end of ["terminateWorkers", "killWorkers"] as const) {
          test(`${end}() ends the pool, and cancels what has not started`, async (pool) => {
            const futures = [1, 4].map((n) => pool.submit(neverRun, n));
            (pool as ProcessPoolExecutor)[end]();
            assertEquals(futures.map((future) => future.done()), [true, true]);
            assertEquals(
              futures.map((future) => future.cancelled()),
              [!isInChild, true],
            );
            if (isInChild) {
              assertInstanceOf(
                await futures[0].exception(),
                BrokenProcessPool,
              );
            }
            await pool.shutdown();
          });
        }
      }
    }
  }
}
