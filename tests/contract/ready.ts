/** The contract of `warmUp()` and `room()`, and of an executor's map of nothing. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { RuntimeError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { turn } from "../_helpers.ts";
import { contractTest, type ExecutorKind } from "./kind.ts";

export function testReady(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("map() without an iterable ends at once, as zip() does", async () => {
    await using pool = kind.make();
    assertEquals(await Array.fromAsync(pool.map(() => 1)), []);
    assertEquals(await Array.fromAsync(pool.map(() => 1, {} as never)), []);
    const lazy = pool.map(() => 1, { buffersize: 2 } as never);
    assertEquals(await lazy.next(), { done: true, value: undefined });
  });

  if (!kind.can.control) return;

  test("warmUp() resolves when all workers are up, or so many, and starts none twice", async () => {
    if (!kind.can.ownWorkers) return;
    await using pool = kind.make({ maxWorkers: 3 });
    await pool.warmUp(1);
    assertEquals(pool.stats().workers, { live: 1, busy: 0 });
    await Promise.all([pool.warmUp(2), pool.warmUp(2)]);
    assertEquals(pool.stats().workers.live, 2);
    await pool.with({}).warmUp();
    await pool.warmUp();
    assertEquals(pool.stats().workers, { live: 3, busy: 0 });
    assertEquals(await pool.submit(Math.sqrt, 9).result(), 3);
  });

  test("warmUp() resolves where workers end as soon as they are idle", async () => {
    if (!kind.can.ownWorkers) return;
    await using pool = kind.make({ maxWorkers: 2, idleTimeout: 0 });
    await pool.warmUp();
    assertEquals(await pool.submit(Math.sqrt, 9).result(), 3);
  });

  test("warmUp() takes a worker that is busy for one that is up", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const future = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    await pool.warmUp();
    assertEquals(future.done(), false);
    gate.open();
    await future.result();
  });

  test("warmUp() refuses a count that can't be", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    for (const count of kind.can.ownWorkers ? [0, -1, 3, 1e9] : [0, -1]) {
      const error = await assertRejects(() => pool.warmUp(count), RangeError);
      assert(error.message.includes(`${count}`), error.message);
    }
    for (const count of [1.5, NaN, "2", null]) {
      await assertRejects(() => pool.warmUp(count as number), TypeError);
    }
    assertEquals(pool.stats().workers.live, 0);
  });

  test("warmUp() and room() reject after a shutdown, and when it comes meanwhile", async () => {
    const pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const futures = [0, 1, 2].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await gate.entered(0);
    const room = assertRejects(() => pool.room(1), RuntimeError, "shutdown");
    const over = pool.shutdown();
    await room;
    gate.open();
    await over;
    for (const future of futures) assert(future.done());
    await assertRejects(() => pool.room(1), RuntimeError, "shutdown");
    await assertRejects(() => pool.warmUp(), RuntimeError, "shutdown");
  });

  test("room() resolves when fewer calls wait, and not before", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    await pool.room(1);
    const futures = [0, 1, 2].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await gate.entered(0);
    assertEquals(pool.stats().calls.waiting, 2);
    await pool.room(3);
    let hasRoom = false;
    const room = pool.room(2).then(() => hasRoom = true);
    await turn();
    assertEquals(hasRoom, false);
    gate.open();
    await room;
    assert(pool.stats().calls.waiting < 2);
    await futures[2].result();
  });

  test("room() answers those who wait one after the other, each when the one before has had its turn", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const futures: Future<unknown>[] = [];
    const submit = () =>
      futures.push(pool.submit(gate.pass, gate.handle, futures.length));
    submit();
    await gate.entered(0);
    submit();
    submit();
    const order: string[] = [];
    const producers = ["a", "b", "c"].map(async (name) => {
      for (let i = 0; i < 3; i++) {
        await pool.room(2);
        order.push(`${name} ${pool.stats().calls.waiting < 2}`);
        submit();
      }
    });
    gate.open();
    await Promise.all(producers);
    assertEquals(order.length, 9);
    assertEquals(order.slice(0, 3), ["a true", "b true", "c true"]);
    assert(order.every((each) => each.endsWith("true")), `${order}`);
  });

  test("room() refuses a limit that is no number of calls", async () => {
    await using pool = kind.make();
    for (const limit of [0, -1]) {
      await assertRejects(() => pool.room(limit), RangeError);
    }
    for (const limit of [1.5, NaN, "2", undefined]) {
      await assertRejects(() => pool.room(limit as number), TypeError);
    }
  });

  if (!kind.can.workers) return;

  test("warmUp() has workers initialized, and rejects with what the initializer threw", async () => {
    await using pool = kind.make({
      maxWorkers: 2,
      initializer: () => Object.assign(globalThis, { isWarm: true }),
    });
    await pool.warmUp();
    assertEquals(
      await pool.submit(() => Reflect.get(globalThis, "isWarm")).result(),
      true,
    );
    const broken = kind.make({
      maxWorkers: 2,
      initializer: () => {
        throw new RangeError("too cold");
      },
    });
    const error = await assertRejects(() => broken.warmUp());
    assertInstanceOf(error, RangeError);
    assertEquals(error.message, "too cold");
    await broken.shutdown();
  });

  test("warmUp() rejects with what keeps a module from being imported", async () => {
    await using pool = kind.make({
      maxWorkers: 1,
      module: "data:text/javascript,throw new TypeError('no module')",
    });
    const error = await assertRejects(() => pool.warmUp(), Error);
    assert(error.message.includes("no module"), error.message);
    assertEquals(await pool.submit(Math.sqrt, 9).result(), 3);
  });
}
