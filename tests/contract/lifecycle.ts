/** The contract of an executor's own life: its options, its shutdown, its workers, its end. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { BrokenExecutor, CancelledError, RuntimeError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { asCompleted, wait } from "../../wait.ts";
import { FakeClock, stateOf } from "../_helpers.ts";
import { contractTest, type ExecutorKind, rejection } from "./kind.ts";

export function testLifecycle(kind: ExecutorKind): void {
  testOptions(kind);
  testShutdown(kind);
  if (kind.can.workers) testWorkers(kind);
  if (kind.can.die) testDeath(kind);
}

function testOptions(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("maxWorkers must be greater than 0, and an integer", () => {
    for (const maxWorkers of [0, -1, -0.0]) {
      const error = assertThrows(() => kind.make({ maxWorkers }), RangeError);
      assertEquals(
        error.message,
        `maxWorkers must be greater than 0: received ${maxWorkers}`,
      );
    }
    for (const maxWorkers of [1.5, NaN, "2", null, 1n]) {
      assertThrows(
        () => kind.make({ maxWorkers: maxWorkers as number }),
        TypeError,
        "maxWorkers",
      );
    }
  });

  test("all options may be left out", async () => {
    await using pool = kind.make();
    assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
  });
}

function testShutdown(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("shutdown() of one that was never used resolves", async () => {
    await kind.make().shutdown();
    await kind.make().shutdown({ cancelFutures: true });
    await using _pool = kind.make();
  });

  test("shutdown() resolves when every call is done, those that wait included", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const futures = [0, 1, 2].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await gate.entered(0);
    const over = pool.shutdown();
    assertEquals(await stateOf(over), "pending");
    assertEquals(futures.some((future) => future.done()), false);
    gate.open();
    await over;
    assertEquals(futures.map((future) => future.done()), [true, true, true]);
    assertEquals(await futures[2].result(), 2);
  });

  test("shutdown({ wait: false }) resolves at once, and the work still completes", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const futures = [0, 1, 2].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await pool.shutdown({ wait: false });
    assertEquals(futures.some((future) => future.done()), false);
    gate.open();
    for (const [id, future] of futures.entries()) {
      assertEquals(await future.result(), id);
    }
  });

  test("shutdown({ cancelFutures: true }) cancels what waits, wakes everyone at once, and lets finish what runs", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const [first, ...others] = [0, 1, 2, 3].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await gate.entered(0);
    const waiters = Promise.all([
      rejection(others[0].result()),
      wait(others).then(({ done }) => done.size),
      Array.fromAsync(asCompleted(others)).then((done) => done.length),
    ]);
    const over = pool.shutdown({ cancelFutures: true });
    assert(others.every((future) => future.cancelled()));
    const [error, waited, completed] = await waiters;
    assertInstanceOf(error, CancelledError);
    assertEquals([waited, completed], [3, 3]);
    assertEquals([await stateOf(over), first.running()], ["pending", true]);
    gate.open();
    await over;
    assertEquals(await first.result(), 0);
    assertEquals([...gate.ids], [0]);
  });

  test("shutdown() may be called again, with other options, while the first goes on", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const first = pool.submit(gate.pass, gate.handle, 0);
    const second = pool.submit(gate.pass, gate.handle, 1);
    await gate.entered(0);
    const overs = [pool.shutdown(), pool.shutdown({ wait: false })];
    overs.push(pool.shutdown({ cancelFutures: true }));
    assertEquals([first.cancelled(), second.cancelled()], [false, true]);
    gate.open();
    await Promise.all(overs);
    await pool.shutdown();
    assertEquals(await first.result(), 0);
  });

  test("submit() after shutdown() throws RuntimeError, while calls still run too", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const held = pool.submit(gate.pass, gate.handle, 0);
    const over = pool.shutdown();
    const refused = () =>
      assertThrows(() => pool.submit(Math.sqrt, 4), RuntimeError);
    const error = refused();
    assertStringIncludes(
      error.message,
      "cannot schedule new futures after shutdown",
    );
    assertStringIncludes(error.message, '"Math.sqrt"');
    assert(!(error instanceof BrokenExecutor));
    gate.open();
    await over;
    refused();
    assertEquals(await held.result(), 0);
  });

  test("a done callback of the last call finds the executor shut down, and may shut it down", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const future = pool.submit(gate.pass, gate.handle, 0);
    let error: unknown;
    let again: Promise<void> | undefined;
    future.addDoneCallback(() => {
      try {
        pool.submit(Math.sqrt, 4);
      } catch (caught) {
        error = caught;
      }
      again = pool.shutdown({ cancelFutures: true });
    });
    const over = pool.shutdown();
    gate.open();
    await over;
    assertInstanceOf(error, RuntimeError);
    await again;
  });

  test("a done callback may shut down an executor that has calls waiting", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const first = pool.submit(gate.pass, gate.handle, 0);
    const others = Array.from(
      { length: 20 },
      () => pool.submit(Math.sqrt, 4),
    );
    first.addDoneCallback(() => pool.shutdown({ cancelFutures: true }));
    gate.open();
    await wait(others);
    await pool.shutdown();
    assertEquals(await first.result(), 0);
    assert(others.every((future) => future.done()));
  });

  test("await using waits for every call", async () => {
    let future: Future<number>;
    {
      await using pool = kind.make({ maxWorkers: 1 });
      future = pool.submit(async (n: number) => {
        for (let i = 0; i < 100; i++) await Promise.resolve();
        return n;
      }, 5);
    }
    assertEquals(future.done(), true);
    assertEquals(await future.result(), 5);
  });
}

function testWorkers(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("an idle worker is used again before a new one starts", async () => {
    await using pool = kind.make({ maxWorkers: 3 });
    const first = await pool.submit(kind.whoAmI).result();
    for (let i = 0; i < 10; i++) {
      assertEquals(await pool.submit(kind.whoAmI).result(), first);
    }
    // A done callback finds the worker idle, too.
    const { promise, resolve } = Promise.withResolvers<unknown>();
    pool.submit(kind.whoAmI).addDoneCallback(() =>
      resolve(pool.submit(kind.whoAmI).result())
    );
    assertEquals(await promise, first);
  });

  test("an idle worker stays for a while, in case of calls that come later, and ends then", async () => {
    using clock = new FakeClock();
    await using pool = kind.make({ maxWorkers: 1 });
    const count = () => {
      const scope = globalThis as unknown as { uses?: number };
      return scope.uses = (scope.uses ?? 0) + 1;
    };
    assertEquals(await pool.submit(count).result(), 1);
    await clock.pass(100);
    assertEquals(await pool.submit(count).result(), 2);
    await clock.pass(100);
    assertEquals(await pool.submit(count).result(), 3);
    await clock.pass(10_000);
    assertEquals(await pool.submit(count).result(), 1);
  });

  test("workers start on demand, one for each call that finds none idle", async () => {
    await using pool = kind.make({ maxWorkers: 3 });
    await using gate = kind.makeGate();
    const held = [0, 1].map((id) => pool.submit(gate.pass, gate.handle, id));
    await gate.entered(0, 1);
    const third = await pool.submit(kind.whoAmI).result();
    gate.open();
    await wait(held);
    const who = new Set<unknown>([third]);
    for (let i = 0; i < 20; i++) {
      const two = [1, 2].map(() => pool.submit(kind.whoAmI).result());
      for (const one of await Promise.all(two)) who.add(one);
    }
    assert(who.size <= 3, `${who.size} workers`);
  });

  test("an initializer runs in each worker, once, before its first call", async () => {
    await using pool = kind.make({
      maxWorkers: 2,
      initializer: async (name: string, list: number[]) => {
        await Promise.resolve();
        const scope = globalThis as unknown as { log?: unknown[] };
        (scope.log ??= []).push(name, ...list);
      },
      initargs: ["initialized", [1, 2]],
    });
    await using gate = kind.makeGate();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const read = () => Reflect.get(globalThis, "log");
    const logs = [pool.submit(read), pool.submit(read)];
    gate.open();
    await held.result();
    logs.push(pool.submit(read), pool.submit(read));
    for (const log of logs) {
      assertEquals(await log.result(), ["initialized", 1, 2]);
    }
  });

  test("the arguments of an initializer are copied when the pool is made", async () => {
    const list = [1];
    await using pool = kind.make({
      maxWorkers: 1,
      initializer: (list: number[]) => {
        Reflect.set(globalThis, "list", list);
      },
      initargs: [list],
    });
    list.push(2);
    const read = pool.submit(() => Reflect.get(globalThis, "list"));
    assertEquals(await read.result(), [1]);
  });

  test("what an initializer returns may be anything", async () => {
    await using pool = kind.make({
      maxWorkers: 1,
      initializer: () => () => new Headers(),
    });
    assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
  });

  test("an initializer that is no function, and initargs that are no array or can't travel, are refused", () => {
    for (const initializer of [5, "parseInt", null, {}]) {
      assertThrows(
        () => kind.make({ initializer: initializer as unknown as () => void }),
        TypeError,
        "initializer",
      );
    }
    const initializer = (..._: unknown[]) => {};
    assertThrows(
      () => kind.make({ initializer, initargs: 5 as unknown as [] }),
      TypeError,
      "initargs",
    );
    const error = assertThrows(
      () => kind.make({ initializer, initargs: [{ a: new Headers() }] }),
      DOMException,
    );
    assertEquals(error.name, "DataCloneError");
    assertStringIncludes(error.message, "initargs[0].a");
  });

  for (const when of ["at once", "later"]) {
    test(`an initializer that throws ${when} breaks the pool, with an error for each future`, async () => {
      await using pool = kind.make({
        maxWorkers: 2,
        initializer: when === "later"
          ? async (why: string) => {
            await Promise.resolve();
            throw new TypeError(why);
          }
          : (why: string) => {
            throw new TypeError(why);
          },
        initargs: ["not today"],
      });
      const futures = [1, 2, 3, 4, 5].map((n) => pool.submit(Math.sqrt, n));
      const errors = await assertAllBroken(kind, futures);
      for (const error of errors) {
        assertMatch(error.message, /initializer.*not today/);
        assertInstanceOf(error.cause, TypeError);
      }
      const later = assertThrows(() => pool.submit(Math.sqrt, 4), kind.broken);
      assertStringIncludes(later.message, "not today");
      assertThrows(() => pool.map(Math.sqrt, [4]), kind.broken);
      await pool.shutdown();
    });
  }

  test("an initializer that throws undefined breaks the pool, too", async () => {
    await using pool = kind.make({
      maxWorkers: 1,
      initializer: () => {
        throw undefined;
      },
    });
    await assertAllBroken(kind, [pool.submit(Math.sqrt, 4)]);
  });

  test("an initializer that misses something says what, and how to bring it", async () => {
    const level = 5;
    await using pool = kind.make({
      maxWorkers: 1,
      closures: false,
      initializer: () => {
        Reflect.set(globalThis, "level", level);
      },
    });
    const [error] = await assertAllBroken(kind, [pool.submit(Math.sqrt, 4)]);
    assertMatch(error.message, /level is not defined/);
    assertInstanceOf(error.cause, ReferenceError);
  });
}

function testDeath(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("a worker that dies in a call breaks the pool, with an error for each future", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    await using gate = kind.makeGate();
    const done = pool.submit(Math.sqrt, 4);
    await done.result();
    const futures: Future<unknown>[] = [
      pool.submit(gate.pass, gate.handle, 0),
      pool.submit(function exits() {
        Deno.exit(3);
      }),
      ...[1, 2, 3].map((id) => pool.submit(gate.pass, gate.handle, id)),
    ];
    const cancelled = pool.submit(gate.pass, gate.handle, 4);
    cancelled.cancel();
    const callbacks: unknown[] = [];
    for (const future of futures) {
      future.addDoneCallback((future) => {
        callbacks.push(future);
        // The pool is broken before the first future says so.
        assertThrows(() => pool.submit(Math.sqrt, 4), kind.broken);
      });
    }
    const errors = await assertAllBroken(kind, futures);
    assertMatch(errors[0].message, /exits/);
    assertEquals(callbacks.length, futures.length);
    assertEquals(await done.result(), 2);
    assertEquals(cancelled.cancelled(), true);

    const later = assertThrows(() => pool.submit(Math.sqrt, 4), kind.broken);
    assertInstanceOf(later, RuntimeError);
    assertThrows(() => pool.map(Math.sqrt, [4]), kind.broken);
    assertThrows(() => pool.map(Math.sqrt, []), kind.broken);
    await Promise.all([pool.shutdown(), pool.shutdown({ wait: false })]);
    assertThrows(() => pool.submit(Math.sqrt, 4), kind.broken);
  });

  test("a worker that dies rejects the map() that is read", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const results = pool.map((n: number) => {
      if (n === 2) Deno.exit();
      return n;
    }, [1, 2, 3]);
    assertEquals((await results.next()).value, 1);
    await assertRejects(() => results.next(), kind.broken);
    assertEquals((await results.next()).done, true);
  });

  test("a worker that dies while the pool is shut down lets the shutdown end", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const futures = [
      pool.submit(gate.pass, gate.handle, 0),
      pool.submit(() => Deno.exit()),
      pool.submit(Math.sqrt, 4),
    ];
    const over = pool.shutdown();
    gate.open();
    await over;
    assertEquals(await futures[0].result(), 0);
    await assertAllBroken(kind, futures.slice(1));
  });

  test("a pool that broke leaves others alone", async () => {
    await using broken = kind.make({ maxWorkers: 1 });
    await using pool = kind.make({ maxWorkers: 1 });
    const who = await pool.submit(kind.whoAmI).result();
    await assertAllBroken(kind, [broken.submit(() => Deno.exit())]);
    assertEquals(await pool.submit(kind.whoAmI).result(), who);
  });

  test("a done callback of a future that a death fails may cancel and shut down", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const fatal = pool.submit(() => Deno.exit());
    const others = [1, 2, 3].map((n) => pool.submit(Math.sqrt, n));
    const { promise, resolve } = Promise.withResolvers<void>();
    fatal.addDoneCallback(() => {
      for (const future of others) future.cancel();
      resolve(pool.shutdown({ cancelFutures: true }));
    });
    await wait([fatal, ...others]);
    await promise;
    assertInstanceOf(await fatal.exception(), kind.broken);
  });
}

/** Fails unless each future has failed with a "broken" error of its own. */
export async function assertAllBroken(
  kind: Pick<ExecutorKind, "broken">,
  futures: readonly Future<unknown>[],
): Promise<Error[]> {
  const errors: Error[] = [];
  for (const future of futures) {
    const error = await rejection(future.result());
    assertInstanceOf(error, kind.broken);
    assertInstanceOf(error, BrokenExecutor);
    assertEquals(error.name, kind.broken.name);
    assertStrictEquals(await future.exception(), error);
    for (const other of errors) assertNotStrictEquals(error, other);
    errors.push(error);
  }
  return errors;
}
