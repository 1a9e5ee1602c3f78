/** Futures that settle each other in their done callbacks: in which order, and however many. */

import { assertEquals, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import fc from "fast-check";
import {
  asCompleted,
  EventLoopExecutor,
  FIRST_COMPLETED,
  Future,
  InvalidStateError,
  wait,
} from "../mod.ts";
import { turn, within } from "./_helpers.ts";

const LONG = 100_000;

const SETTLE: Record<string, (future: Future<number>, n: number) => void> = {
  setResult: (future, n) => future.setResult(n),
  setException: (future, n) => future.setException(n),
  cancel: (future) => future.cancel(),
  "an abort": (future) => {
    const controller = new AbortController();
    controller.signal.addEventListener("abort", () => future.cancel());
    controller.abort();
  },
};

for (const [way, settle] of Object.entries(SETTLE)) {
  Deno.test(`Future: ${LONG} in a row that settle each other by ${way} are all done before the first call returns`, () => {
    using logged = stub(console, "error");
    const futures = Array.from({ length: LONG }, () => new Future<number>());
    const order: number[] = [];
    futures.forEach((future, i) => {
      future.addDoneCallback(() => {
        order.push(i);
        if (i + 1 < LONG) settle(futures[i + 1], i + 1);
      });
    });
    settle(futures[0], 0);
    assertEquals(futures.findIndex((future) => !future.done()), -1);
    assertEquals(order.length, LONG);
    assertEquals(order.findIndex((n, i) => n !== i), -1);
    assertEquals(logged.calls.length, 0);
  });
}

Deno.test(`Future: ${LONG} in a row, each with a callback that another is done behind, are all done`, () => {
  const futures = Array.from({ length: LONG }, () => new Future<number>());
  const order: number[] = [];
  futures.forEach((future, i) => {
    future.addDoneCallback(() => futures[i + 1]?.setResult(i + 1));
    future.addDoneCallback(() => order.push(i));
  });
  futures[0].setResult(0);
  // The first of each runs on the way down, the second on the way back.
  assertEquals(order.findIndex((n, i) => n !== LONG - 1 - i), -1);
  assertEquals(order.length, LONG);
});

Deno.test(`Future: ${LONG} in a row are told to wait() and asCompleted()`, async () => {
  const futures = Array.from({ length: LONG }, () => new Future<number>());
  for (let i = 0; i + 1 < LONG; i++) {
    futures[i].addDoneCallback(() => futures[i + 1].setResult(i));
  }
  const all = wait(futures);
  const first = wait(futures, { returnWhen: FIRST_COMPLETED });
  const each = asCompleted(futures);
  futures[0].setResult(0);
  assertEquals((await within(all)).done.size, LONG);
  assertEquals((await within(first)).done.size, LONG);
  let count = 0;
  for await (const _ of each) count++;
  assertEquals(count, LONG);
});

Deno.test(`Future: ${LONG} calls of an executor that cancel each other in their callbacks are all cancelled`, async () => {
  await using executor = new EventLoopExecutor({ maxWorkers: 1 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = executor.submit(() => promise);
  const futures = Array.from(
    { length: LONG },
    () => executor.submit(Math.sqrt, 4),
  );
  for (let i = 0; i + 1 < LONG; i++) {
    futures[i].addDoneCallback(() => futures[i + 1].cancel());
  }
  futures[0].cancel();
  assertEquals(futures.findIndex((future) => !future.cancelled()), -1);
  resolve();
  await held.result();
  assertEquals(executor.stats().calls.cancelled, LONG);
});

Deno.test("Future: what a callback settles has its callbacks run right after that callback, in the order in which it was settled", () => {
  const order: string[] = [];
  const [a, b, c, d] = Array.from({ length: 4 }, () => new Future<void>());
  a.addDoneCallback(() => {
    order.push("a1");
    c.setResult();
    b.cancel();
    order.push("a1 ends", `${b.done()} ${c.done()}`);
  });
  a.addDoneCallback(() => order.push("a2"));
  b.addDoneCallback(() => order.push("b1"));
  c.addDoneCallback(() => {
    order.push("c1");
    d.setException(1);
    // One that is done calls at once, whatever is left of its callbacks.
    d.addDoneCallback(() => order.push("d2"));
  });
  c.addDoneCallback(() => order.push("c2"));
  d.addDoneCallback(() => order.push("d1"));
  a.setResult();
  assertEquals(
    order,
    ["a1", "a1 ends", "true true", "c1", "d2", "d1", "c2", "b1", "a2"],
  );
});

Deno.test("Future: what a callback throws in the middle of a chain is logged, and the chain goes on", () => {
  using logged = stub(console, "error");
  const [a, b] = [new Future<number>(), new Future<number>()];
  const order: string[] = [];
  a.addDoneCallback(() => {
    b.setResult(2);
    throw new Error("first");
  });
  a.addDoneCallback(() => a.setResult(3));
  b.addDoneCallback(() => {
    order.push("b");
    throw new Error("second");
  });
  a.addDoneCallback(() => order.push("a"));
  a.setResult(1);
  assertEquals(order, ["b", "a"]);
  assertEquals(
    logged.calls.map(({ args }) => (args.at(-1) as Error).message),
    [
      "first",
      "second",
      "Cannot set a result: the future is finished already",
    ],
  );
  assertThrows(() => b.setResult(1), InvalidStateError);
});

Deno.test("Future: callbacks run though a console.error of the program's own throws", () => {
  using _broken = stub(console, "error", () => {
    throw new Error("no console");
  });
  const future = new Future<number>();
  let runs = 0;
  for (let i = 0; i < 3; i++) {
    future.addDoneCallback(() => {
      runs++;
      throw new Error("no");
    });
  }
  future.setResult(1);
  assertEquals(runs, 3);
});

Deno.test("Future: no callback is lost where the stack ends while callbacks run", async () => {
  using _logged = stub(console, "error");
  for (let left = 0; left < 60; left++) {
    const futures = Array.from({ length: 4 }, () => new Future<number>());
    let last = false;
    for (let i = 0; i < 3; i++) {
      futures[i].addDoneCallback(() => futures[i + 1].cancel());
    }
    futures[3].addDoneCallback(() => last = true);
    // As deep as there is stack, then some frames back.
    const deep = (): number => {
      let free: number;
      try {
        free = deep();
      } catch {
        free = 0;
      }
      if (free === left) {
        try {
          futures[0].cancel();
        } catch { /* the stack's end may come before anything is done */ }
      }
      return free + 1;
    };
    deep();
    await turn();
    // Where the stack was too short for cancel() itself, nothing has happened.
    if (futures[0].done() && futures[1].done()) {
      futures[2].cancel();
      futures[3].cancel();
      await turn();
      assertEquals(last, true, `${left} frames from the end`);
    }
    // And the next chain runs at once.
    const [a, b] = [new Future<number>(), new Future<number>()];
    a.addDoneCallback(() => b.cancel());
    a.cancel();
    assertEquals(b.done(), true);
  }
});

Deno.test("Future: the callbacks of any web of futures run in the order that the rule gives", () => {
  // Each callback settles some futures, the numbers of which are drawn.
  const web = fc.array(
    fc.array(fc.array(fc.nat(11), { maxLength: 3 }), { maxLength: 3 }),
    { minLength: 12, maxLength: 12 },
  );
  fc.assert(fc.property(web, (callbacks) => {
    const expected: string[] = [];
    const settled = new Set<number>();
    const settle = (i: number) => {
      if (settled.has(i)) return;
      settled.add(i);
      return i;
    };
    const run = (i: number) => {
      callbacks[i].forEach((others, j) => {
        expected.push(`${i}.${j}`);
        const meanwhile = others.map(settle).filter((n) => n !== undefined);
        meanwhile.forEach(run);
      });
    };
    run(settle(0)!);

    const actual: string[] = [];
    const futures = callbacks.map(() => new Future<void>());
    callbacks.forEach((list, i) =>
      list.forEach((others, j) =>
        futures[i].addDoneCallback(() => {
          actual.push(`${i}.${j}`);
          for (const n of others) {
            if (!futures[n].done()) futures[n].setResult();
          }
        })
      )
    );
    futures[0].setResult();
    assertEquals(actual, expected);
  }));
});
