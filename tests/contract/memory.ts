/** The contract of what is kept alive, here and in the workers: nothing that is done. */

import { assert, assertEquals } from "@std/assert";
import type { Future } from "../../future.ts";
import { heapUsed, isCollected, withoutGc } from "../_helpers.ts";
import { learn } from "./chunks.ts";
import { contractTest, type ExecutorKind } from "./kind.ts";

export function testMemory(kind: ExecutorKind): void {
  const test: ReturnType<typeof contractTest> = (sentence, fn) =>
    contractTest(kind)(sentence, fn, { ignore: withoutGc });

  for (const buffersize of [undefined, 1, 4]) {
    const how = buffersize
      ? `with buffersize ${buffersize}`
      : "without buffersize";

    test(`map() ${how} keeps no result alive that it gave`, async () => {
      await using pool = kind.make({ maxWorkers: 2 });
      const results = pool.map(
        (n: number) => ({ n, list: [n] }),
        [0, 1, 2, 3, 4, 5],
        { buffersize },
      );
      // What it gave is in no frame that is still there.
      const take = async (n: number) => {
        const { value } = await results.next();
        assertEquals(value, { n, list: [n] });
        return new WeakRef<object>(value);
      };
      for (let n = 0; n < 6; n++) {
        assert(await isCollected(await take(n)), `result ${n}`);
      }
      assertEquals((await results.next()).done, true);
    });

    test(`map() ${how} keeps no argument alive of a call that is done, read or not`, async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const refs: WeakRef<object>[] = [];
      const make = (n: number) => {
        const input = { n, list: [n] };
        refs.push(new WeakRef(input));
        return input;
      };
      function* inputs() {
        for (let n = 0; n < 4; n++) yield make(n);
      }
      const add = (a: { n: number }, b: { n: number }) => a.n + b.n;
      // An array is let go once it is read, which with buffersize it is not yet.
      const results = pool.map(
        add,
        inputs(),
        buffersize ? inputs() : [0, 1, 2, 3].map(make),
        { buffersize },
      );
      // Calls on one worker end in their order: all those before are done.
      await pool.submit(Math.sqrt, 4).result();
      for (const [i, ref] of refs.entries()) {
        assert(await isCollected(ref), `argument ${i} of ${refs.length}`);
      }
      assertEquals(await Array.fromAsync(results), [0, 2, 4, 6]);
      for (const ref of refs) assert(await isCollected(ref));
    });
  }

  test("a call that is done keeps its arguments alive no longer, whatever came of it", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    const refs: WeakRef<object>[] = [];
    const make = (): { list: number[] } => {
      const input = { list: [1] };
      refs.push(new WeakRef(input));
      return input;
    };
    await using gate = kind.makeGate();
    const futures: Record<string, Future<unknown>> = {
      "sent at once": pool.submit((input: unknown) => typeof input, make()),
    };
    const held = pool.submit(gate.pass, gate.handle, 0);
    Object.assign(futures, {
      "that waited": pool.submit((input: unknown) => typeof input, make()),
      "that threw": pool.submit((input: unknown) => {
        throw new TypeError(typeof input);
      }, make()),
      "that was cancelled": pool.submit((input: unknown) => input, make()),
      "that JSON has no words for": pool.submit(
        (input: unknown) => typeof input,
        Object.assign(make(), { nothing: undefined }),
      ),
    });
    if (kind.can.copy) {
      futures["that could not travel"] = pool.submit(
        (input: unknown) => input,
        Object.assign(make(), { fn() {} }),
      );
    }
    await gate.entered(0);
    futures["that was cancelled"].cancel();
    gate.open();
    await held.result();
    await Promise.allSettled(Object.values(futures).map((f) => f.result()));
    await pool.submit(Math.sqrt, 4).result();
    for (const [i, [how, future]] of Object.entries(futures).entries()) {
      await t.step(how, async () => {
        assert(await isCollected(refs[i]));
        assertEquals(future.done(), true);
      });
    }
  });

  test("a function whose calls are done is kept alive no longer", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const refs: WeakRef<object>[] = [];
    const call = (n: number): Future<number> => {
      const increment = (m: number) => m + 1;
      refs.push(new WeakRef(increment));
      return pool.submit(increment, n);
    };
    const futures = Array.from({ length: 10 }, (_, n) => call(n));
    for (const [n, future] of futures.entries()) {
      assertEquals(await future.result(), n + 1);
    }
    for (const [n, ref] of refs.entries()) {
      assert(await isCollected(ref), `function ${n}`);
    }
  });

  // What waits for a child is bytes, which are not of the heap.
  if (kind.can.shareMemory) {
    test("map() keeps no copy of what was an argument of an item that is done, read or not", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const lengthOf = (list: string[]) => list.length;
      await learn(pool, lengthOf, ["1"]);
      function* lists() {
        for (let n = 0; n < 50; n++) {
          yield Array.from({ length: 5_000 }, (_, i) => `item ${i} of ${n}`);
        }
      }
      const before = await heapUsed();
      const results = pool.map(lengthOf, lists());
      await pool.submit(lengthOf, ["1"]).result();
      const kept = await heapUsed() - before;
      assert(kept < 2_000_000, `${kept} bytes of many millions are kept`);
      assertEquals((await Array.fromAsync(results)).length, 50);
    });
  }

  if (!kind.can.workers) return;

  test("a map over short items that is dropped leaves nothing once they are done", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const fn = (n: number) => ({ n });
    await learn(pool, fn, 1);
    const numbers = Array.from({ length: 500 }, (_, i) => i);
    // What is dropped is in no frame that is still there.
    const drop = () => new WeakRef(pool.map(fn, numbers));
    const ref = drop();
    const rest = drop();
    const last = pool.map(fn, numbers);
    for await (const { n } of last) assert(n < 500);
    await pool.submit(fn, 1).result();
    assert(await isCollected(ref));
    assert(await isCollected(rest));
  });

  test("a worker keeps nothing alive of an item that is done while others of its map run", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const step = async (input: { n: number }) => {
      const scope = globalThis as unknown as {
        refs?: WeakRef<object>[];
        gc(): void;
      };
      if (input.n < 100) (scope.refs ??= []).push(new WeakRef(input));
      if (input.n !== 100) return { n: input.n };
      let left = scope.refs!.length;
      for (let i = 0; i < 10 && left > 0; i++) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        scope.gc();
        left = scope.refs!.filter((ref) => ref.deref() !== undefined).length;
      }
      return { n: left };
    };
    await learn(pool, step, { n: 101 });
    const inputs = Array.from({ length: 200 }, (_, i) => ({ n: i + 1 }));
    const results = await Array.fromAsync(pool.map(step, inputs));
    assertEquals(results[99], { n: 0 });
  });

  test("a worker keeps neither arguments nor result alive of a call that is done", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const calls = [1, 2, 3].map((n) =>
      pool.submit((input: { n: number }) => {
        const scope = globalThis as unknown as { refs?: WeakRef<object>[] };
        // With and without what JSON has no words for.
        const result = { n: input.n, more: input.n > 1 ? undefined : null };
        (scope.refs ??= []).push(new WeakRef(input), new WeakRef(result));
        return result;
      }, { n })
    );
    for (const [i, call] of calls.entries()) {
      const more = i > 0 ? undefined : null;
      assertEquals(await call.result(), { n: i + 1, more });
    }
    const left = await pool.submit(async () => {
      const { refs, gc } = globalThis as unknown as {
        refs: WeakRef<object>[];
        gc(): void;
      };
      let left = refs.length;
      for (let i = 0; i < 10 && left > 0; i++) {
        // A WeakRef keeps what it gave until the end of the turn.
        await new Promise((resolve) => setTimeout(resolve, 0));
        gc();
        left = refs.filter((ref) => ref.deref() !== undefined).length;
      }
      return left;
    }).result();
    assertEquals(left, 0);
  });
}
