/** The contract of `submit`, and of a call's future from start to end. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CancelledError, TimeoutError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { asCompleted, wait } from "../../wait.ts";
import { fileGate } from "./gates.ts";
import {
  contractTest,
  type ExecutorKind,
  generator,
  rejection,
} from "./kind.ts";

export function testCalls(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("submit() gives what the function returns, async or not", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const sum = pool.submit((a: number, b: number) => a + b, 1, 2);
    const later = pool.submit(async (text: string) => {
      await Promise.resolve();
      return text.toUpperCase();
    }, "later");
    const nothing = pool.submit(() => {});
    const nested = pool.submit(() => Promise.resolve(Promise.resolve(5)));

    assertStrictEquals(await sum.result(), 3);
    assertStrictEquals(await later.result(), "LATER");
    assertStrictEquals(await nothing.result(), undefined);
    assertStrictEquals(await nested.result(), 5);
    assertStrictEquals(await sum.exception(), undefined);
  });

  test("submit() awaits a thenable as it awaits a promise", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const kept = pool.submit(() => ({
      then: (resolve: (value: string) => void) => resolve("kept"),
    }));
    const broken = pool.submit(() => ({
      then: (_: unknown, reject: (error: Error) => void) =>
        reject(new RangeError("broken")),
    }));
    assertEquals<unknown>(await kept.result(), "kept");
    await assertRejects(() => broken.result(), RangeError, "broken");
  });

  test("submit() passes no arguments, and as many as a function takes", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const none = pool.submit((...args: unknown[]) => args.length);
    const many = pool.submit(
      (...args: number[]) => args.length + args[999],
      ...Array.from({ length: 1000 }, (_, i) => i),
    );
    assertEquals(await none.result(), 0);
    assertEquals(await many.result(), 1999);
  });

  test("submit() and map() throw TypeError for what is no function", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const values = [undefined, null, 5, "parseInt", {}];
    const shown = ["undefined", "null", "5", '"parseInt"', ""];
    for (const [i, value] of values.entries()) {
      const fn = value as unknown as () => void;
      const error = assertThrows(() => pool.submit(fn), TypeError);
      assertStringIncludes(error.message, shown[i]);
      assertThrows(() => pool.map(fn, []), TypeError);
    }
  });

  test("a call that throws has result() reject and exception() resolve to the same error", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const futures = [
      pool.submit(() => {
        throw new RangeError("no such place");
      }),
      pool.submit(async () => {
        await Promise.resolve();
        throw new RangeError("no such place");
      }),
    ];
    for (const future of futures) {
      const error = await rejection(future.result());
      assertInstanceOf(error, RangeError);
      assertEquals(error.message, "no such place");
      assertStrictEquals(await future.exception(), error);
      assert(future.done() && !future.running() && !future.cancelled());
    }
    assertEquals(await pool.submit(Math.abs, -1).result(), 1);
  });

  test("result() and exception() that time out leave the call as it was", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const future = pool.submit(gate.pass, gate.handle, 7);
    await gate.entered(7);
    await assertRejects(() => future.result(0), TimeoutError);
    await assertRejects(() => future.exception(1), TimeoutError);
    gate.open();
    assertEquals(await future.result(), 7);
  });

  test("running() and done() tell the truth before, during and after a call", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const first = pool.submit(gate.pass, gate.handle, 0);
    const second = pool.submit(gate.pass, gate.handle, 1);
    const states = () =>
      [first, second].map((future) => [future.running(), future.done()]);

    await gate.entered(0);
    assertEquals(states(), [[true, false], [false, false]]);
    gate.open();
    await second.result();
    assertEquals(states(), [[false, true], [false, true]]);
  });

  test("a future shows what its call does when it is printed, unasked", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const first = pool.submit(gate.pass, gate.handle, 0);
    const second = pool.submit(gate.pass, gate.handle, 1);
    await gate.entered(0);
    const shown = () => [first, second].map((future) => Deno.inspect(future));
    assertEquals(shown(), ["<Future state=running>", "<Future state=pending>"]);
    second.cancel();
    gate.open();
    await first.result();
    assertEquals(shown(), [
      "<Future state=finished returned number>",
      "<Future state=cancelled>",
    ]);
  });

  test("as many calls run at once as there are workers, and no more", async () => {
    await using pool = kind.make({ maxWorkers: 3 });
    await using gate = kind.makeGate();
    const futures = [0, 1, 2, 3, 4].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await gate.entered(0, 1, 2);
    assertEquals(futures.map((future) => future.running()), [
      true,
      true,
      true,
      false,
      false,
    ]);
    assertEquals([...gate.ids].sort(), [0, 1, 2]);
    gate.open();
    for (const [id, future] of futures.entries()) {
      assertEquals(await future.result(), id);
    }
  });

  test("an async call occupies its worker until it ends", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const log = await Array.fromAsync(pool.map(async (name: string) => {
      const scope = globalThis as unknown as { inside?: number };
      scope.inside = (scope.inside ?? 0) + 1;
      for (let i = 0; i < 10; i++) await Promise.resolve();
      return `${name}${scope.inside--}`;
    }, ["a", "b", "c"]));
    assertEquals(log, ["a1", "b1", "c1"]);
  });

  test("cancel() on a queued call keeps it from ever starting", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const [first, second, third] = [0, 1, 2].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await gate.entered(0);
    assertEquals(second.cancel(), true);
    assertEquals([second.cancelled(), second.done()], [true, true]);
    assertEquals(second.cancel(), true);
    gate.open();
    assertEquals([await first.result(), await third.result()], [0, 2]);
    await pool.shutdown();
    assertEquals([...gate.ids].sort(), [0, 2]);
  });

  test("a cancelled call is done at once for everyone who waits", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    pool.submit(gate.pass, gate.handle, 0);
    const future = pool.submit(gate.pass, gate.handle, 1);
    await gate.entered(0);
    let called: unknown;
    future.addDoneCallback((done) => called = done);
    const waiters = Promise.all([
      rejection(future.result()),
      rejection(future.exception()),
      wait([future]).then(({ done }) => done.has(future)),
      asCompleted([future]).next().then(({ value }) => value === future),
    ]);
    future.cancel();
    assertStrictEquals(called, future);
    const [result, exception, waited, yielded] = await waiters;
    assertInstanceOf(result, CancelledError);
    assertInstanceOf(exception, CancelledError);
    assert(waited && yielded);
  });

  test("cancel() on a call that runs, or has ended, is false and changes nothing", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const future = pool.submit(gate.pass, gate.handle, 3);
    await gate.entered(3);
    assertEquals(future.cancel(), false);
    assertEquals(future.running(), true);
    gate.open();
    assertEquals(await future.result(), 3);
    assertEquals(future.cancel(), false);
    assertEquals(future.cancelled(), false);
  });

  if (kind.can.cancelHandedOver) {
    test("cancel() on a call that was handed to a worker keeps it from ever starting", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      await using open = kind.makeGate();
      await using gate = kind.makeGate();
      open.open();
      // Known as short, a call may be handed over ahead of its turn.
      for (let id = 0; id < 50; id++) {
        await pool.submit(open.pass, open.handle, id).result();
      }
      const first = pool.submit(open.pass, gate.handle, 0);
      const others = Array.from(
        { length: 20 },
        (_, i) => pool.submit(open.pass, gate.handle, 1 + i),
      );
      await gate.entered(0);
      for (const [i, future] of others.entries()) {
        assertEquals(future.running(), false);
        if (i % 2 === 0) assertEquals(future.cancel(), true);
      }
      gate.open();
      await first.result();
      await wait(others);
      await pool.shutdown();
      assertEquals(
        [...gate.ids].sort((a, b) => a - b),
        [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20],
      );
    });
  }

  test("a call whose cancel() was true has never run, in 2,000 random tries", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    await using gate = kind.makeGate();
    gate.open();
    const random = generator(42);
    const cancelled = new Set<number>();
    const waiting = new Map<number, Future<number>>();
    const results = new Map<number, Promise<unknown>>();
    for (let id = 0; id < 2_000; id++) {
      const future = pool.submit(gate.pass, gate.handle, id);
      waiting.set(id, future);
      results.set(id, future.result().catch((error) => error));
      if (random() < 0.5) continue;
      // Sometimes a call gets a moment to start, sometimes a worker's time.
      if (random() < 0.3) await Promise.resolve();
      if (random() < 0.1) await results.get(Math.floor(random() * id));
      for (const [id, future] of waiting) {
        if (random() < 0.5) continue;
        waiting.delete(id);
        // Half of them are asked first, which must change nothing.
        const ran = random() < 0.5 && (future.running() || future.done());
        if (future.cancel()) {
          assertEquals(ran, false);
          cancelled.add(id);
        }
      }
    }
    await pool.shutdown();
    assert(cancelled.size > 0 && cancelled.size < 2_000, `${cancelled.size}`);
    for (const [id, result] of results) {
      assertEquals(gate.ids.has(id), !cancelled.has(id), `call ${id}`);
      if (cancelled.has(id)) assertInstanceOf(await result, CancelledError);
      else assertEquals(await result, id);
    }
  });

  test("a done callback can submit again", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const { promise, resolve } = Promise.withResolvers<number>();
    const submit = (n: number) => {
      pool.submit((n: number) => n + 1, n).addDoneCallback(async (future) => {
        const next = await future.result();
        if (next < 50) submit(next);
        else resolve(next);
      });
    };
    submit(0);
    assertEquals(await promise, 50);
  });

  test("wait() and asCompleted() mix the futures of several executors", async () => {
    await using one = kind.make({ maxWorkers: 1 });
    await using two = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const held = one.submit(gate.pass, gate.handle, 0);
    const free = two.submit(Math.max, 1, 2);
    const { done, notDone } = await wait([held, free], {
      returnWhen: "FIRST_COMPLETED",
    });
    assertEquals([done.has(free), notDone.has(held)], [true, true]);
    const order: Future<number>[] = [];
    for await (const future of asCompleted([held, free])) {
      order.push(future);
      gate.open();
    }
    assert(order[0] === free && order[1] === held);
  });

  for (const looks of ["unknown", "short, as known from before"]) {
    test(`a long call that looks ${looks} does not hold up 200 short ones`, async () => {
      await using pool = kind.make({ maxWorkers: 2 });
      await using open = kind.makeGate();
      await using gate = kind.makeGate();
      open.open();
      if (looks !== "unknown") {
        for (let id = 0; id < 50; id++) {
          await pool.submit(open.pass, open.handle, id).result();
        }
      }
      const short = (from: number) =>
        Array.from(
          { length: 100 },
          (_, i) => pool.submit(open.pass, open.handle, from + i),
        );
      const futures = short(100);
      // What is known of a function holds for all of its calls.
      const pass = looks === "unknown" ? gate.pass : open.pass;
      const long = pool.submit(pass, gate.handle, 0);
      futures.push(...short(200));
      await Promise.all(futures.map((future) => future.result()));
      // The long one may not even have begun before; it has to now.
      await gate.entered(0);
      assertEquals(long.done(), false);
      futures.push(...short(300));
      await Promise.all(futures.map((future) => future.result()));
      assertEquals(long.done(), false);
      gate.open();
      assertEquals(await long.result(), 0);
    });
  }

  if (kind.can.workers) {
    for (const place of [0, 1, 100, 199]) {
      test(`a call that blocks its worker does not hold up 200 short ones of the same function, as number ${place}`, async () => {
        await using pool = kind.make({ maxWorkers: 2 });
        await using open = fileGate();
        await using gate = fileGate();
        const { pass } = open;
        open.open();
        const short = (id: number) => pool.submit(pass, open.handle, id);
        // From now on it is known as short.
        for (let id = 0; id < 50; id++) await short(id).result();
        const futures: Future<number>[] = [];
        let long: Future<number> | undefined;
        for (let id = 0; id < 200; id++) {
          if (id === place) long = pool.submit(pass, gate.handle, 0);
          futures.push(short(id));
        }
        await Promise.all(futures.map((future) => future.result()));
        await gate.entered(0);
        assertEquals(long!.done(), false);
        const more = Array.from({ length: 100 }, (_, id) => short(id));
        await Promise.all(more.map((future) => future.result()));
        assertEquals(long!.done(), false);
        gate.open();
        assertEquals(await long!.result(), 0);
      });
    }
  }

  test("calls that wait for each other get a worker each", async () => {
    await using pool = kind.make({ maxWorkers: 4 });
    await using open = kind.makeGate();
    open.open();
    // Known as short, they could be handed to one worker together.
    for (let id = 0; id < 50; id++) {
      await pool.submit(open.pass, open.handle, id).result();
    }
    for (let round = 0; round < 5; round++) {
      await using gate = kind.makeGate();
      const futures = [0, 1, 2, 3].map((id) =>
        pool.submit(gate.pass, gate.handle, id)
      );
      await gate.entered(0, 1, 2, 3);
      gate.open();
      await wait(futures);
    }
  });

  test("calls on one worker start in the order of their submission", async () => {
    // On the event loop the calls of all kinds have one global scope.
    Reflect.deleteProperty(globalThis, "started");
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const held = pool.submit(gate.pass, gate.handle, 0);
    const numbers = Array.from({ length: 500 }, (_, i) => i);
    const futures = numbers.map((n) =>
      pool.submit((n: number) => {
        const scope = globalThis as unknown as { started?: number[] };
        (scope.started ??= []).push(n);
        return scope.started.length - 1;
      }, n)
    );
    gate.open();
    await held.result();
    assertEquals(
      await Promise.all(futures.map((future) => future.result())),
      numbers,
    );
  });

  if (kind.can.copy) {
    test("an argument that is changed after submit() arrives as it was", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      await using gate = kind.makeGate();
      const join = (list: number[], map: Map<string, number[]>) =>
        [...list, ...map.get("list")!].join();
      const results: Promise<string>[] = [];
      const submit = () => {
        const list = [1, 2];
        const map = new Map([["list", [3]]]);
        const future = pool.submit(join, list, map);
        list.push(9);
        map.get("list")!.push(9);
        map.clear();
        results.push(future.result());
      };
      submit(); // to a worker that starts
      await Promise.all(results);
      submit(); // to an idle worker
      await Promise.all(results);
      pool.submit(gate.pass, gate.handle, 0);
      await gate.entered(0);
      for (let i = 0; i < 10; i++) submit(); // to the queue
      gate.open();
      assertEquals(
        await Promise.all(results),
        Array.from({ length: 12 }, () => "1,2,3"),
      );
    });

    test("a large argument that is changed after submit() arrives as it was", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      await using gate = kind.makeGate();
      const sumOf = (bytes: Uint8Array) =>
        bytes.reduce((sum, byte) => sum + byte, 0);
      const submit = (fill: number) => {
        const bytes = new Uint8Array(100_000).fill(fill);
        const future = pool.submit(sumOf, bytes);
        bytes.fill(9);
        return future.result();
      };
      assertEquals(await submit(1), 100_000); // to a worker that starts
      assertEquals(await submit(2), 200_000); // to an idle worker
      const held = pool.submit(gate.pass, gate.handle, 0);
      await gate.entered(0);
      // To the queue, all of the same size, after one that is done.
      const results = [3, 4, 5].map(submit);
      gate.open();
      assertEquals(await Promise.all(results), [300_000, 400_000, 500_000]);
      assertEquals(await held.result(), 0);
    });

    test("an argument that is changed by the done callback that submitted it arrives as it was", async () => {
      await using pool = kind.make({ maxWorkers: 2 });
      await using open = kind.makeGate();
      await using gate = kind.makeGate();
      await using other = kind.makeGate();
      open.open();
      // Two workers, and a function that is known as short.
      const warm = [0, 1].map((id) =>
        pool.submit(other.pass, other.handle, id)
      );
      await other.entered(0, 1);
      other.open();
      await wait(warm);
      for (let id = 0; id < 50; id++) {
        await pool.submit(open.pass, open.handle, id).result();
      }
      // One turns out long and has another behind it; the other worker gets
      // free, and with that a call that its done callback submits.
      const held = pool.submit(gate.pass, gate.handle, 0);
      const freed = pool.submit(
        async (n: number) => {
          const end = performance.now() + 10;
          while (performance.now() < end) await Promise.resolve();
          return n;
        },
        1,
      );
      const behind = pool.submit(open.pass, open.handle, 2);
      const { promise, resolve } = Promise.withResolvers<string>();
      freed.addDoneCallback(() => {
        const list = [1, 2];
        const future = pool.submit((list: number[]) => list.join(), list);
        list.push(9);
        resolve(future.result());
      });
      assertEquals(await promise, "1,2");
      assertEquals(await behind.result(), 2);
      gate.open();
      assertEquals(await held.result(), 0);
    });
  }

  if (kind.can.workers) {
    test("a call starts after what the one before has left to microtasks", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const futures = Array.from({ length: 300 }, () =>
        pool.submit(() => {
          const scope = globalThis as unknown as { left?: number };
          const before = scope.left ?? 0;
          Promise.resolve().then(() => scope.left = before + 1);
          return before;
        }));
      for (const [i, future] of futures.entries()) {
        assertEquals(await future.result(), i);
      }
    });
  }
}
