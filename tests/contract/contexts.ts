/** The contract of async contexts: nobody ever sees another caller's. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { AsyncLocalStorage } from "node:async_hooks";
import { currentTask } from "../../current_task.ts";
import type { Executor } from "../../executor.ts";
import { Future } from "../../future.ts";
import { asCompleted, wait } from "../../wait.ts";
import { turn } from "../_helpers.ts";
import { contractTest, type ExecutorKind } from "./kind.ts";

const user = new AsyncLocalStorage<string>();
const place = new AsyncLocalStorage<number>();

/** Who is seen here, and where. */
function seen(): string {
  return `${user.getStore()} at ${place.getStore()}`;
}

const NOBODY = "undefined at undefined";

function as<R>(name: string, fn: () => R): R {
  return user.run(name, () => place.run(name.length, fn));
}

export function testContexts(kind: ExecutorKind): void {
  const test = contractTest(kind);
  const stays = !kind.can.travel && !kind.can.copy;

  test("a done callback runs in the async context in which it was added", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const seenBy: string[] = [];
    const first = as("ann", () => pool.submit(Math.sqrt, 4));
    const second = as("benjamin", () => pool.submit(Math.sqrt, 9));
    for (const name of ["benjamin", "cleo"]) {
      as(name, () => first.addDoneCallback(() => seenBy.push(seen())));
    }
    first.addDoneCallback(() => seenBy.push(seen()));
    as("dora", () =>
      second.addDoneCallback(async () => {
        await null;
        seenBy.push(seen());
      }));
    await Promise.all([first.result(), second.result()]);
    await null;
    as("emil", () => first.addDoneCallback(() => seenBy.push(seen())));
    assertEquals(seenBy, [
      "benjamin at 8",
      "cleo at 4",
      NOBODY,
      "dora at 4",
      "emil at 4",
    ]);
  });

  test("a done callback of a cancelled call runs in the async context in which it was added", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const controller = new AbortController();
    const seenBy: string[] = [];
    const futures = as("ann", () => [
      pool.submit(Math.sqrt, 4),
      pool.submit(Math.sqrt, 4),
      ...kind.can.control ? [pool.with(controller).submit(Math.sqrt, 4)] : [],
    ]);
    for (const [i, future] of futures.entries()) {
      as(
        "b".repeat(i + 1),
        () => future.addDoneCallback(() => seenBy.push(seen())),
      );
    }
    as("canceller", () => futures[0].cancel());
    as("aborter", () => controller.abort());
    gate.open();
    await held.result();
    as("closer", () => pool.shutdown({ cancelFutures: true, wait: false }));
    await wait(futures);
    assertEquals(
      seenBy.sort(),
      ["b at 1", "bb at 2", "bbb at 3"].slice(0, futures.length),
    );
  });

  test("a map with a buffer reads its inputs, and closes them, in the async context of its call", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const reads: string[] = [];
    function* numbers() {
      try {
        for (let n = 0;; n++) {
          reads.push(seen());
          yield n;
        }
      } finally {
        reads.push(`closed by ${seen()}`);
      }
    }
    async function* roots() {
      try {
        for (let n = 0;; n++) {
          await null;
          reads.push(seen());
          yield n * n;
        }
      } finally {
        reads.push(`closed by ${seen()}`);
      }
    }
    for (const inputs of [numbers, roots]) {
      reads.length = 0;
      const results = as(
        "ann",
        () => pool.map(Math.sqrt, inputs(), { buffersize: 2 }),
      );
      await as("benjamin", async () => {
        for (let i = 0; i < 5; i++) await results.next();
        // V8 forgets the context of what is asked of a generator that runs.
        await turn();
        await results.return!();
      });
      await null;
      assertEquals(
        [...new Set(reads)],
        ["ann at 3", "closed by ann at 3"],
        inputs.name,
      );
    }
  });

  test("whoever waits goes on in an async context of its own", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const futures = as(
      "ann",
      () => [4, 9, 16].map((n) => pool.submit(Math.sqrt, n)),
    );
    const waits: Record<string, () => Promise<unknown>> = {
      result: () => futures[0].result(),
      exception: () => futures[1].exception(60_000),
      wait: () => wait(futures),
      asCompleted: async () => {
        for await (const _ of asCompleted(futures)) {
          assertEquals(seen(), "asCompleted at 11");
        }
      },
      map: async () => {
        const results = pool.map(Math.sqrt, [1, 4, 9], { buffersize: 1 });
        for await (const _ of results) assertEquals(seen(), "map at 3");
      },
      shutdown: () => pool.shutdown(),
    };
    for (const [name, asked] of Object.entries(waits)) {
      await as(name, async () => {
        await asked();
        assertEquals(seen(), `${name} at ${name.length}`);
      });
    }
  });

  if (!stays) return;

  test("a call runs in the async context of its submit, to its end", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const whoami = async () => {
      const first = seen();
      await null;
      const { workerName } = currentTask()!;
      await new Promise((resolve) => setTimeout(resolve, 0));
      return [first, seen(), workerName === currentTask()!.workerName];
    };
    const futures = ["ann", "benjamin", "cleo"].map((name) =>
      as(name, () => pool.submit(whoami))
    );
    futures.push(pool.submit(whoami));
    const results = await Promise.all(futures.map((future) => future.result()));
    assertEquals(
      results,
      ["ann at 3", "benjamin at 8", "cleo at 4", NOBODY].map((
        who,
      ) => [who, who, true]),
    );
  });

  test("the calls of a map run in the async context of its call, whoever reads", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    for (const options of [undefined, { buffersize: 1 }]) {
      const results = as("ann", () => pool.map(() => seen(), "abcd", options));
      const all = await as("benjamin", () => Array.fromAsync(results));
      assertEquals([...new Set(all)], ["ann at 3"]);
    }
  });

  test("what listens to a call's signal runs in the call's async context", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const controller = new AbortController();
    const started = Promise.withResolvers<void>();
    let heard: unknown;
    const future = as("ann", () =>
      pool.with(controller).submit(() => {
        const { signal } = currentTask()!;
        const { promise, resolve } = Promise.withResolvers<void>();
        signal.addEventListener("abort", () => {
          heard = [seen(), currentTask()?.signal === signal];
          resolve();
        });
        started.resolve();
        return promise;
      }));
    await started.promise;
    as("benjamin", () => controller.abort());
    await future.exception();
    assertEquals(heard, ["ann at 3", true]);
  });

  test("calls, callbacks and inputs nested in whatever way see their own caller", async () => {
    interface Step {
      is: "call" | "callback" | "map" | "bare";
      who: string;
      inner: Step[];
    }
    const steps = (depth: number): fc.Arbitrary<Step[]> => {
      if (depth === 0) return fc.constant([]);
      const step = fc.record({
        is: fc.constantFrom("call", "callback", "map", "bare") as fc.Arbitrary<
          Step["is"]
        >,
        who: fc.constantFrom("ann", "benjamin", "cleo", "dora"),
        inner: steps(depth - 1),
      });
      return fc.array(step, { maxLength: 3 });
    };
    await fc.assert(
      fc.asyncProperty(steps(3), async (steps) => {
        await using pool = kind.make({ maxWorkers: 2 });
        const wrong: string[] = [];
        await Promise.all(steps.map((step) => walk(pool, step)));
        assertEquals(wrong, []);

        async function walk(pool: Executor, step: Step): Promise<void> {
          const { is, who, inner } = step;
          const check = () => {
            if (user.getStore() !== who) wrong.push(`${is}: ${seen()}, ${who}`);
          };
          const starts: Promise<void>[] = [];
          const here = async () => {
            check();
            for (const step of inner) starts.push(walk(pool, step));
            await null;
            check();
          };
          await as(who, () => act(is, here, check));
          await Promise.all(starts);
        }

        async function act(
          is: Step["is"],
          here: () => Promise<void>,
          check: () => void,
        ): Promise<void> {
          if (is === "call") return await pool.submit(here).result();
          if (is === "map") {
            const inputs = function* () {
              for (let i = 0; i < 3; i++) {
                check();
                yield i;
              }
            };
            const options = { buffersize: 1 };
            const results = pool.map(() => here(), inputs(), options);
            return await user.run("reader", async () => {
              for await (const _ of results) { /* read */ }
            });
          }
          const ended = Promise.withResolvers<void>();
          const future: Future<unknown> = is === "bare"
            ? new Future()
            : pool.submit(async () => await null);
          future.addDoneCallback(() =>
            here().then(ended.resolve, ended.reject)
          );
          if (is === "bare") user.run("settler", () => future.cancel());
          await ended.promise;
        }
      }),
      { numRuns: 60 },
    );
  });
}
