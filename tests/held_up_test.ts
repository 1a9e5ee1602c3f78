/** Calls behind what never ends: their limits hold, and what is said of them is true. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
} from "@std/assert";
import type { Executor } from "../executor.ts";
import {
  BrokenProcessPool,
  type Future,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
  TimeoutError,
} from "../mod.ts";
import { FakeClock, within } from "./_helpers.ts";
import { until } from "./contract.ts";

// deno-lint-ignore no-explicit-any -- arguments of whatever type
type Any = any;
type Options = ThreadPoolExecutorOptions<Any> & ProcessPoolExecutorOptions<Any>;

// ---- What never ends ---------------------------------------------------------

/**
 * Loops until a file is there, for the sake of the tests after this one: nothing
 * else ends a thread that loops. Self-contained.
 */
function loop(end: string): void {
  for (;;) {
    try {
      Deno.statSync(end);
      return;
    } catch {
      // Not yet.
    }
  }
}

/** Leaves a loop behind that begins after the call has ended. Self-contained. */
function leaveLoop(loop: string, folder: string): void {
  setTimeout(() => {
    Deno.writeTextFileSync(`${folder}/loops`, "");
    (0, eval)(`(${loop})`)(`${folder}/end`);
  });
}

/** A module that is imported until a file is there, or for ever. */
function moduleOf(folder: string, statement: string): string {
  const source = `${loop}
const end = ${JSON.stringify(`${folder}/end`)};
${statement}
export {};`;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** What a call is behind: the options of its pool, and what is done before it. */
interface HeldUp {
  options(folder: string): Options;
  before?(pool: Executor, folder: string): Promise<void>;
}

const behind: Record<string, HeldUp> = {
  "an initializer that waits for ever": {
    options: () => ({ initializer: () => new Promise(() => {}) }),
  },
  "an initializer that loops for ever": {
    options: (folder) => ({ initializer: loop, initargs: [`${folder}/end`] }),
  },
  "a module whose import waits for ever": {
    options: (folder) => ({
      module: moduleOf(folder, "await new Promise(() => {});"),
    }),
  },
  "a module whose import loops for ever": {
    options: (folder) => ({ module: moduleOf(folder, "loop(end);") }),
  },
  "a loop that an earlier call left in a timer": {
    options: () => ({}),
    async before(pool, folder) {
      await pool.submit(leaveLoop, String(loop), folder).result();
      await until(() => {
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
      permissions: { read: [folder], write: [folder] },
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
            const folder = await Deno.makeTempDir();
            try {
              const pool = make(folder, { onWorkerLost, ...options(folder) });
              await before?.(pool, folder);
              await fn(pool);
              // A pool ends, whatever it is behind.
              await pool.shutdown({ cancelFutures: true });
            } finally {
              await Deno.writeTextFile(`${folder}/end`, "");
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
        const futures = [1, 4].map((n) => pool.submit((n: number) => n, n));
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
        const futures = [1, 4].map((n) => pool.submit((n: number) => n, n));
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
            const futures = [1, 4].map((n) => pool.submit((n: number) => n, n));
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
