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
