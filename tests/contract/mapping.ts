/** The contract of `map` where calls really run elsewhere. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CancelledError, RuntimeError, TimeoutError } from "../../errors.ts";
import { stateOf } from "../_helpers.ts";
import { contractTest, type ExecutorKind } from "./kind.ts";

export function testMapping(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("map() gives the results in the order of the inputs", async () => {
    await using pool = kind.make({ maxWorkers: 3 });
    await using gate = kind.makeGate();
    await using open = kind.makeGate();
    open.open();
    const gates = [gate.handle, open.handle, gate.handle, open.handle];
    const results = pool.map(gate.pass, gates, [0, 1, 2, 3]);
    const read = Array.fromAsync(results);
    await open.entered(1, 3); // the others are done before the first
    await gate.entered(0, 2);
    gate.open();
    assertEquals(await read, [0, 1, 2, 3]);
  });

  test("map() of several iterables ends with the shortest", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const results = pool.map(
      (a: string, b: number, c: boolean) => `${a}${b}${c}`,
      "abc",
      new Set([1, 2]),
      [true, false, true, false],
    );
    assertEquals(await Array.fromAsync(results), ["a1true", "b2false"]);
    assertEquals(await Array.fromAsync(pool.map(Math.sqrt, [])), []);
  });

  test("map() with unordered gives results as they come, chunks and buffers or not", async () => {
    for (const options of [{}, { chunksize: 1 }, { buffersize: 4 }]) {
      await using pool = kind.make({ maxWorkers: 2 });
      await using gate = kind.makeGate();
      await using open = kind.makeGate();
      open.open();
      const gates = [gate.handle, open.handle, open.handle, open.handle];
      const results = pool.map(gate.pass, gates, [0, 1, 2, 3], {
        unordered: true,
        ...options,
      });
      const first = [await results.next(), await results.next()];
      const others = first.map(({ value }) => value);
      assert(!others.includes(0), `${others}`);
      gate.open();
      const all = [...others, ...await Array.fromAsync(results)];
      assertEquals(all.toSorted(), [0, 1, 2, 3]);
    }
  });

  test("map() with unordered gives each of many results once", async () => {
    await using pool = kind.make({ maxWorkers: 3 });
    const numbers = Array.from({ length: 400 }, (_, i) => i);
    const fn = async (n: number) => {
      if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve));
      return n;
    };
    for (const options of [{}, { buffersize: 10 }, { chunksize: 50 }]) {
      const results = pool.map(fn, numbers, { unordered: true, ...options });
      const all = await Array.fromAsync(results);
      assertEquals(all.toSorted((a, b) => a - b), numbers);
    }
  });

  test("map() with unordered throws what a call threw when it comes to it, and ends", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const fn = (n: number) => {
      if (n === 2) throw new RangeError("two");
      return n;
    };
    const results = pool.map(fn, [0, 1, 2, 3], {
      unordered: true,
      chunksize: 1,
    });
    const got: number[] = [];
    await assertRejects(
      async () => {
        for await (const n of results) got.push(n);
      },
      RangeError,
      "two",
    );
    assert(!got.includes(2));
    assertEquals(await results.next(), { done: true, value: undefined });
  });

  test("map() with settled gives what came of each item, with its number", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const fn = (n: number) => {
      if (n === 1) throw new RangeError("one");
      if (n === 3) throw undefined;
      return n * 10;
    };
    for (const options of [{}, { chunksize: 1 }, { buffersize: 2 }]) {
      const settled = { settled: true, ...options } as const;
      const all = await Array.fromAsync(pool.map(fn, [0, 1, 2, 3, 4], settled));
      assertEquals(all.map(({ index }) => index), [0, 1, 2, 3, 4]);
      assertEquals(all[0], { index: 0, status: "fulfilled", value: 0 });
      assertEquals(all[4], { index: 4, status: "fulfilled", value: 40 });
      assertEquals(all[3], { index: 3, status: "rejected", reason: undefined });
      const [, second] = all;
      assert(second.status === "rejected");
      assert(second.reason instanceof RangeError);
      assertEquals(second.reason.message, "one");
      const both = { ...settled, unordered: true } as const;
      const unordered = await Array.fromAsync(
        pool.map(fn, [0, 1, 2, 3, 4], both),
      );
      for (const each of unordered) {
        assertEquals(each.status, all[each.index].status);
        if (each.status === "fulfilled") {
          assertEquals(each.value, each.index * 10);
        }
      }
      assertEquals(unordered.map(({ index }) => index).toSorted(), [
        0,
        1,
        2,
        3,
        4,
      ]);
    }
  });

  test("map() with settled goes on after arguments that can't travel, and calls that are cancelled", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const results = pool.map(gate.pass, [gate.handle, gate.handle], [0, 1], {
      settled: true,
      chunksize: 1,
    });
    await gate.entered(0);
    const over = pool.shutdown({ cancelFutures: true });
    gate.open();
    const all = await Array.fromAsync(results);
    await over;
    assertEquals(all[0], { index: 0, status: "fulfilled", value: 0 });
    assert(all[1].status === "rejected");
    assert(all[1].reason instanceof CancelledError);
  });

  test("map() with settled still ends with its own timeout, signal, and an input that throws", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const controller = new AbortController();
    const results = pool.map(gate.pass, [gate.handle, gate.handle], [0, 1], {
      settled: true,
      signal: controller.signal,
    });
    const first = results.next();
    controller.abort(new RangeError("enough"));
    await assertRejects(() => first, RangeError, "enough");
    const late = pool.map(gate.pass, [gate.handle], [2], {
      settled: true,
      timeout: 0,
    });
    await assertRejects(() => late.next(), TimeoutError);
    function* inputs() {
      yield 4;
      throw new RangeError("no more");
    }
    const read = pool.map(Math.sqrt, inputs(), {
      settled: true,
      buffersize: 1,
    });
    gate.open();
    assertEquals((await read.next()).value, {
      index: 0,
      status: "fulfilled",
      value: 2,
    });
    await assertRejects(() => read.next(), RangeError, "no more");
  });

  test("map() refuses settled and unordered that are no booleans", async () => {
    await using pool = kind.make();
    for (const name of ["settled", "unordered"]) {
      assertThrows(
        () => pool.map(Math.sqrt, [4], { [name]: 1 }),
        TypeError,
        `${name} must be a boolean: received 1`,
      );
    }
  });

  const length = Math.min(1_000, kind.many ?? Infinity);
  test(`map() gives ${length} results, whatever the chunksize`, async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const numbers = Array.from({ length }, (_, i) => i);
    for (const chunksize of [1, 7, 5_000, "auto", undefined] as const) {
      const results = pool.map((n: number) => n * 2, numbers, { chunksize });
      assertEquals(
        await Array.fromAsync(results),
        numbers.map((n) => n * 2),
      );
    }
  });

  test("map() submits at the call, not at the first next()", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    await using gate = kind.makeGate();
    const results = pool.map(gate.pass, [gate.handle, gate.handle], [0, 1]);
    await gate.entered(0, 1);
    gate.open();
    assertEquals(await Array.fromAsync(results), [0, 1]);
  });

  test("map() throws what a call threw when it is reached, and ends", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const results = pool.map((n: number) => {
      if (n === 0) throw new RangeError("zero");
      return 1 / n;
    }, [1, 2, 0, 4]);
    assertEquals((await results.next()).value, 1);
    assertEquals((await results.next()).value, 0.5);
    await assertRejects(() => results.next(), RangeError, "zero");
    assertEquals((await results.next()).done, true);
    assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
  });

  test("map() gives an item that can't travel its error when it is reached", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const results = pool.map((value: unknown) => {
      if (typeof value !== "number") {
        throw new DOMException("no", "DataCloneError");
      }
      return value;
    }, [1, new Headers(), 3]);
    assertEquals((await results.next()).value, 1);
    await assertRejects(() => results.next(), DOMException);
  });

  test("map() rejects with TimeoutError when its time is over", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const results = pool.map(gate.pass, [gate.handle, gate.handle], [0, 1], {
      timeout: 1,
    });
    await gate.entered(0);
    await assertRejects(() => results.next(), TimeoutError);
    assertEquals((await results.next()).done, true);
    gate.open();
    await pool.shutdown();
    assertEquals([...gate.ids], [0]); // the waiting call was cancelled
  });

  test("map() left early cancels the calls that have not started", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const ids = Array.from({ length: 20 }, (_, i) => i);
    const results = pool.map(gate.pass, ids.map(() => gate.handle), ids);
    const last = pool.submit(gate.pass, gate.handle, 20);
    await gate.entered(0);
    await results.return!();
    gate.open();
    await last.result();
    assertEquals([...gate.ids].sort((a, b) => a - b), [0, 20]);
  });

  test("a map() loop that breaks cancels the calls that have not started", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const results = pool.map((n: number) => n, [1, 2, 3]);
    const held = pool.submit(gate.pass, gate.handle, 0);
    for await (const n of results) {
      assertEquals(n, 1);
      break;
    }
    gate.open();
    assertEquals(await held.result(), 0);
    assertEquals((await results.next()).done, true);
  });

  test("map() with buffersize reads an endless input only as results are taken", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    let read = 0;
    function* naturals() {
      for (;;) yield read++;
    }
    const got: number[] = [];
    for await (
      const n of pool.map((n: number) => n * n, naturals(), { buffersize: 3 })
    ) {
      got.push(n);
      assert(read <= got.length + 3, `${read} were read for ${got.length}`);
      if (got.length === 50) break;
    }
    assertEquals(got, Array.from({ length: 50 }, (_, n) => n * n));
  });

  test("map() with buffersize reads an async input", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    async function* words() {
      for (const word of ["a", "b", "c"]) yield await Promise.resolve(word);
    }
    const results = pool.map(
      (word: string, n: number) => word.repeat(n),
      words(),
      [1, 2, 3],
      { buffersize: 2 },
    );
    assertEquals(await Array.fromAsync(results), ["a", "bb", "ccc"]);
  });

  test("map() whose signal aborts rejects with the reason, and cancels what has not started", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const controller = new AbortController();
    const results = pool.map(
      gate.pass,
      [gate.handle, gate.handle, gate.handle],
      [0, 1, 2],
      { signal: controller.signal },
    );
    await gate.entered(0);
    const next = results.next();
    controller.abort(new RangeError("enough"));
    await assertRejects(() => next, RangeError, "enough");
    gate.open();
    await pool.shutdown();
    assertEquals([...gate.ids], [0]);
  });

  test("map() read after a shutdown gives what was submitted, then RuntimeError", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const results = pool.map(Math.sqrt, [1, 4, 9, 16], { buffersize: 2 });
    await pool.shutdown();
    assertEquals((await results.next()).value, 1);
    assertEquals((await results.next()).value, 2);
    await assertRejects(() => results.next(), RuntimeError);
  });

  test("map() rejects with CancelledError when a shutdown cancels its calls", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const results = pool.map(gate.pass, [gate.handle, gate.handle], [1, 2]);
    const next = results.next();
    next.catch(() => {});
    assertEquals(await stateOf(next), "pending");
    const over = pool.shutdown({ cancelFutures: true });
    await assertRejects(() => next, CancelledError);
    gate.open();
    await over;
    assertEquals(await held.result(), 0);
    assertEquals([...gate.ids], [0]);
  });

  test("map() that has nothing to submit at the call throws RuntimeError after a shutdown, too", async () => {
    const pool = kind.make({ maxWorkers: 1 });
    await pool.shutdown();
    async function* nothing(): AsyncGenerator<number> {}
    assertThrows(() => pool.map(Math.sqrt, []), RuntimeError);
    assertThrows(
      () => pool.map(Math.sqrt, nothing(), { buffersize: 1 }),
      RuntimeError,
    );
  });

  test("map() after a shutdown throws RuntimeError at the call", async () => {
    const pool = kind.make({ maxWorkers: 1 });
    await pool.shutdown();
    const error = assertThrows(
      () => pool.map(Math.sqrt, [1, 2]),
      RuntimeError,
    );
    assertStringIncludes(
      error.message,
      "cannot schedule new futures after shutdown",
    );
  });
}
