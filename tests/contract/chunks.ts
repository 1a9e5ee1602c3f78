/**
 * The contract of `map` where an executor may have items travel together: that
 * nothing but the speed shows it. Functions are learnt to be short before.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { currentTask } from "../../current_task.ts";
import { CancelledError, TimeoutError } from "../../errors.ts";
import type { Executor } from "../../executor.ts";
import type { ThreadPoolExecutor } from "../../thread_pool.ts";
import { transfer } from "../../transfer.ts";
import {
  type AnyFn,
  contractTest,
  type ExecutorKind,
  rejection,
  until,
} from "./kind.ts";

/** What `step` returns for its ids. */
const VALUES = [
  0,
  1.5,
  "two",
  { three: [3] },
  undefined,
  NaN,
  -0,
  Infinity,
  -Infinity,
  10n,
  null,
  false,
  true,
  "",
  1e300,
  ["a", "b"],
];
const THROWS = -1;

/** Self-contained: passes a gate, if it is given one, and returns a value of its own kind. */
function step(gate: unknown, id: number): unknown {
  const values = [
    0,
    1.5,
    "two",
    { three: [3] },
    undefined,
    NaN,
    -0,
    Infinity,
    -Infinity,
    10n,
    null,
    false,
    true,
    "",
    1e300,
    ["a", "b"],
  ];
  if (id === -1) throw new RangeError("thrown");
  const value = values[id % values.length];
  if (gate === null) return value;
  if (gate instanceof SharedArrayBuffer) {
    const view = new Int32Array(gate);
    Atomics.store(view, 1 + id, 1);
    Atomics.wait(view, 0, 0);
    return value;
  }
  return (async () => {
    const conn = await Deno.connect({
      hostname: "127.0.0.1",
      port: gate as number,
    });
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, id);
    await conn.write(bytes);
    await conn.read(bytes);
    conn.close();
    return value;
  })();
}

/** Has a pool take a function for a short one, by many calls with these arguments. */
export async function learn(
  pool: Executor,
  fn: AnyFn,
  ...args: unknown[]
): Promise<void> {
  const inputs = args.map((arg) => Array.from({ length: 100 }, () => arg));
  await Array.fromAsync(
    pool.map(fn, ...inputs as [unknown[]]),
  );
}

function assertSame(actual: unknown, expected: unknown): void {
  if (typeof expected === "object") assertEquals(actual, expected);
  else assert(Object.is(actual, expected), `${String(actual)}`);
}

async function* endless(): AsyncGenerator<number> {
  for (let n = 0;; n++) yield await Promise.resolve(n);
}

/** Numbers from 0 up to one. */
function upTo(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

export function testChunks(kind: ExecutorKind): void {
  const test = contractTest(kind);

  /** Maps over items of which some wait until the one before was read. */
  async function readOneByOne(
    pool: Executor,
    waits: (id: number) => boolean,
  ): Promise<void> {
    await using stack = new AsyncDisposableStack();
    const gates = VALUES.map((_, id) =>
      waits(id) ? stack.use(kind.makeGate()) : undefined
    );
    const handles = gates.map((gate) => gate?.handle ?? null);
    const results = pool.map(step, handles, upTo(VALUES.length));
    for (const [id, value] of VALUES.entries()) {
      await gates[id]?.entered(id);
      gates[id]?.open();
      assertSame((await results.next()).value, value);
    }
    assertEquals((await results.next()).done, true);
  }

  test("a map over short items gives each result while the item after it waits for what the reader does with it", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await learn(pool, step, null, 0);
    await readOneByOne(pool, (id) => id % 2 === 1);
  });

  test("a map over short items gives each result while one later item waits, wherever that is", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    for (const [last] of VALUES.entries()) {
      await learn(pool, step, null, 0);
      await readOneByOne(pool, (id) => id === last);
    }
  });

  test("a map over short items gives results of every kind, exact and in order", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const length = Math.min(10_000, kind.many ?? Infinity);
    let id = 0;
    for await (
      const value of pool.map(step, Array(length).fill(null), upTo(length))
    ) {
      assertSame(value, VALUES[id++ % VALUES.length]);
    }
    assertEquals(id, length);
  });

  test("items behind one that turns out long go to another worker, and wait for it where there is none", async () => {
    for (const maxWorkers of [1, 2]) {
      await using pool = kind.make({ maxWorkers });
      await learn(pool, step, null, 0);
      await using gate = kind.makeGate();
      await using open = kind.makeGate();
      open.open();
      const handles = upTo(40).map((id) =>
        id === 3 ? gate.handle : id === 39 ? open.handle : null
      );
      const results = pool.map(step, handles, upTo(40));
      await gate.entered(3);
      if (maxWorkers === 2) await open.entered(39);
      else assertEquals(open.ids.size, 0);
      gate.open();
      const all = await Array.fromAsync(results);
      all.forEach((value, id) => assertSame(value, VALUES[id % VALUES.length]));
    }
  });

  test("maps and submits that are mixed start in their order, and each gets its own results", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await learn(pool, step, null, 0);
    const double = (n: number) => n * 2;
    await learn(pool, double, 1);
    const calls: Promise<unknown>[] = [];
    const ended: string[] = [];
    const wanted: string[] = [];
    for (let i = 0; i < 20; i++) {
      wanted.push(`map ${i}`, `submit ${i}`);
      const results = pool.map(double, upTo(i));
      calls.push(
        Array.fromAsync(results).then((all) => {
          assertEquals(all, upTo(i).map(double));
          ended.push(`map ${i}`);
        }),
      );
      calls.push(
        pool.submit(step, null, i).result().then((value) => {
          assertSame(value, VALUES[i % VALUES.length]);
          ended.push(`submit ${i}`);
        }),
      );
    }
    await Promise.all(calls);
    assertEquals(ended.toSorted(), wanted.toSorted());
  });

  test("inputs of every length and of unequal ones, and every buffersize, give what a loop gives", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const add = (a: number, b: number) => a + b;
    await learn(pool, add, 1, 2);
    for (const buffersize of [undefined, 1, 2, 10, 1000]) {
      for (const length of kind.many ? [0, 1, 3] : [0, 1, 2, 3, 300]) {
        for (const chunksize of [undefined, 1, 3, 1000]) {
          const options = { buffersize, chunksize };
          const expected = upTo(length).map((n) => n * 2);
          const results = pool.map(add, upTo(length), upTo(301), options);
          assertEquals(await Array.fromAsync(results), expected);
        }
      }
      if (buffersize === undefined) continue;
      const got: number[] = [];
      for await (
        const n of pool.map(add, endless(), endless(), { buffersize })
      ) {
        if (got.push(n) === 300) break;
      }
      assertEquals(got, upTo(300).map((n) => n * 2));
    }
  });

  test("a map submits by a submit() of a subclass's own", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await learn(pool, Math.sqrt, 1);
    const submit = pool.submit.bind(pool);
    const seen: unknown[] = [];
    // As the method of a subclass would be.
    pool.submit = (fn, ...args) => {
      seen.push(...args);
      return submit(fn, ...args);
    };
    const roots = pool.map(Math.sqrt, [1, 4, 9]);
    assertEquals(await Array.fromAsync(roots), [1, 2, 3]);
    assertEquals(seen, [1, 4, 9]);
  });

  test("a chunksize that is no whole number of items is refused", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    for (const chunksize of [Infinity, NaN, 1.5]) {
      assertThrows(() => pool.map(Math.sqrt, [1], { chunksize }), TypeError);
    }
    assertThrows(() => pool.map(Math.sqrt, [1], { chunksize: 0 }), RangeError);
  });

  // ---- Leaving ---------------------------------------------------------------

  if (kind.can.control) {
    type Way = (
      results: AsyncIterableIterator<unknown>,
      controller: AbortController,
    ) => Promise<void>;
    const ways: Record<string, Way> = {
      "break": async (results) => {
        let left = 3;
        for await (const _ of results) if (--left === 0) break;
      },
      "return()": async (results) => {
        for (let i = 0; i < 3; i++) await results.next();
        await results.return!();
        assertEquals((await results.next()).done, true);
      },
      "its signal": async (results, controller) => {
        for (let i = 0; i < 3; i++) await results.next();
        controller.abort(new RangeError("enough"));
        await assertRejects(() => results.next(), RangeError, "enough");
      },
      "its timeout": async (results) => {
        await assertRejects(() => Array.fromAsync(results), TimeoutError);
      },
      "what an item threw": async (results) => {
        const read = Array.fromAsync(results);
        await assertRejects(() => read, RangeError, "thrown");
      },
    };
    for (const [way, leave] of Object.entries(ways)) {
      test(`a map over short items that is left by ${way} starts nothing more, and leaves a pool that works`, async () => {
        await using pool = kind.make({ maxWorkers: 1 });
        const { stats } = pool as ThreadPoolExecutor;
        const calls = () => stats.call(pool as ThreadPoolExecutor).calls;
        await learn(pool, step, null, 0);
        const before = calls();
        await using gate = kind.makeGate();
        await using open = kind.makeGate();
        open.open();
        const ids = upTo(200);
        if (way === "what an item threw") ids[2] = THROWS;
        const handles = ids.map((id) =>
          id < 3 ? null : id === 3 ? gate.handle : open.handle
        );
        const controller = new AbortController();
        const results = pool.map(step, handles, ids, {
          signal: controller.signal,
          timeout: way === "its timeout" ? 1 : undefined,
        });
        await gate.entered(3);
        await leave(results, controller);
        // A child is asked, and answers.
        await until(() => calls().waiting === 0);
        assertEquals(calls().cancelled - before.cancelled, 196);
        gate.open();
        assertSame(await pool.submit(step, null, 1).result(), 1.5);
        await pool.shutdown();
        assertEquals([...open.ids], []);
        assertEquals(calls().running, 0);
      });
    }

    test("each item of a map counts as a call, at every moment", async () => {
      await using pool = kind.make({ maxWorkers: 2 }) as ThreadPoolExecutor;
      await learn(pool, step, null, 0);
      const total = () => {
        const { calls } = pool.stats();
        const { waiting, running, finished, failed, cancelled } = calls;
        assert(waiting >= 0 && running >= 0, JSON.stringify(calls));
        assert(running <= 2, JSON.stringify(calls));
        return waiting + running + finished + failed + cancelled;
      };
      const before = total();
      const ids = upTo(1_000);
      ids[500] = THROWS;
      const results = pool.map(step, Array(1_000).fill(null), ids);
      assertEquals(total() - before, 1_000);
      await assertRejects(async () => {
        for await (const _ of results) assertEquals(total() - before, 1_000);
      }, RangeError);
      assertEquals(total() - before, 1_000);
      await pool.shutdown();
      assertEquals(total() - before, 1_000);
      const { waiting, running, failed } = pool.stats().calls;
      assertEquals([waiting, running, failed], [0, 0, 1]);
    });
  }

  test("a map over short items whose pool is shut down gives all results", async () => {
    const pool = kind.make({ maxWorkers: 2 });
    await learn(pool, step, null, 0);
    const results = pool.map(step, Array(500).fill(null), upTo(500));
    await pool.shutdown();
    assertEquals((await Array.fromAsync(results)).length, 500);
  });

  test("shutdown({ cancelFutures: true }) in the middle of a map lets the item that runs complete", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await learn(pool, step, null, 0);
    await using gate = kind.makeGate();
    await using open = kind.makeGate();
    open.open();
    // A child may run what it was handed: a millisecond's work, of which an item
    // counts as half a microsecond at least. Some more are never handed to it.
    const [count, rest] = kind.can.cancelHandedOver
      ? [200, open.handle]
      : [4_000, null];
    const results = pool.map(
      step,
      upTo(count).map((id) => id < 3 ? null : id === 3 ? gate.handle : rest),
      upTo(count),
    );
    await gate.entered(3);
    const over = pool.shutdown({ cancelFutures: true });
    gate.open();
    const got: unknown[] = [];
    const error = await rejection((async () => {
      for await (const value of results) got.push(value);
    })());
    await over;
    assertInstanceOf(error, CancelledError);
    got.forEach((value, id) => assertSame(value, VALUES[id % VALUES.length]));
    if (kind.can.cancelHandedOver) assertEquals(got.length, 4);
    else assert(got.length >= 4, `${got.length}`);
    assertEquals([...open.ids], []);
  });

  // ---- Copies ------------------------------------------------------------------

  if (kind.can.copy) {
    test("each item of a map gets a copy of its own of what items share", async () => {
      await using pool = kind.make({ maxWorkers: 2 });
      const shared = { n: 0, list: [0] };
      const change = (
        a: { n: number; list: number[] },
        b: { n: number; list: number[] },
        list: number[],
      ) => {
        a.n++;
        a.list.push(1);
        return [a === b, a.n, list === a.list, list.length];
      };
      await learn(pool, change, shared, shared, shared.list);
      const many = Array(100).fill(shared);
      const results = pool.map(
        change,
        many,
        many,
        many.map(({ list }) => list),
      );
      for await (const result of results) {
        assertEquals(result, [true, 1, true, 2]);
      }
      assertEquals(shared, { n: 0, list: [0] });
      // One argument alone, which may travel in another form.
      const push = (list: number[]) => list.push(1);
      await learn(pool, push, shared.list);
      const lengths = pool.map(push, many.map(({ list }) => list));
      assertEquals(await Array.fromAsync(lengths), Array(100).fill(2));
    });

    test("the arguments of a map are as they were at its call, and are read no more often than those of submit()", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const sum = ({ n, list }: { n: number; list: number[] }) => n + list[0];
      await learn(pool, sum, { n: 1, list: [1] });
      let reads = 0;
      const make = (i: number) => ({
        get n() {
          reads++;
          return i;
        },
        list: [i],
      });
      await using gate = kind.makeGate();
      const held = pool.submit(gate.pass, gate.handle, 0);
      assertEquals(reads, 0);
      const one = pool.submit(sum, make(1));
      const each = reads;
      const inputs = upTo(100).map(make);
      const results = pool.map(sum, inputs);
      assertEquals(reads, 101 * each);
      for (const { list } of inputs) list[0] = NaN;
      gate.open();
      assertEquals([await held.result(), await one.result()], [0, 2]);
      assertEquals(
        await Array.fromAsync(results),
        upTo(100).map((i) => i * 2),
      );
      assertEquals(reads, 101 * each);
    });
  }

  test("items of whatever kind among short ones arrive, and come back, as they are", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const give = (value: unknown) => value;
    await learn(pool, give, 1);
    const inputs = upTo(300).map((i) => {
      if (i % 7 !== 0) return i;
      return [
        new Map([[1, { two: 2 }]]),
        BigInt(i),
        undefined,
        new Date(i),
        "x".repeat(2 ** 20),
        new Uint8Array([1, 2, 3]),
        { deep: [{ er: -0 }] },
        '\u2028\ud800"',
        transfer({ bytes: new Uint8Array([i % 256]) }, []),
      ][i / 7 % 9];
    });
    const expected = kind.can.copy ? structuredClone(inputs) : inputs;
    assertEquals(await Array.fromAsync(pool.map(give, inputs)), expected);
  });

  if (!kind.can.workers) return;

  test("each item of a map gets what its function captured anew", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const state = { n: 1, seen: new Set<number>() };
    const change = (n: number) => {
      state.n += n;
      state.seen.add(n);
      return [state.n, state.seen.size];
    };
    await learn(pool, change, 1);
    const results = pool.map(change, upTo(100));
    state.n = 1000;
    assertEquals(
      await Array.fromAsync(results),
      upTo(100).map((n) => [n + 1, 1]),
    );
    assertEquals(state.seen.size, 0);
  });

  test("each item of a map is a task of its own", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const ask = async (_: number) => {
      const scope = globalThis as unknown as {
        currentTask: typeof currentTask;
        signals?: Set<unknown>;
      };
      const task = scope.currentTask()!;
      (scope.signals ??= new Set()).add(task.signal);
      const same = scope.currentTask()!.signal === task.signal;
      await Promise.resolve();
      return [same, task.signal.aborted, scope.signals.size];
    };
    await learn(pool, ask, 0);
    const got = await Array.fromAsync(pool.map(ask, upTo(50)));
    got.forEach((value, i) => assertEquals(value, [true, false, 100 + i + 1]));
  });

  test("an item of a map may have a pool of its own", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const nest = async (url: string, n: number) => {
      if (n === 0) return [];
      const { ThreadPoolExecutor } = await import(url);
      await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
      return await Array.fromAsync(pool.map((a: number) => a * 2, [1, 2, n]));
    };
    const url = import.meta.resolve("../../mod.ts");
    await learn(pool, nest, url, 0);
    assertEquals(
      await Array.fromAsync(pool.map(nest, Array(4).fill(url), [0, 1, 2, 0])),
      [[], [2, 4, 2], [2, 4, 4], []],
    );
  });

  if (!kind.can.die) return;

  const dies = (how: string | number): unknown => {
    if (how === "exit") Deno.exit(3);
    if (how === "close") self.close();
    if (how === "reject") {
      Promise.reject(new RangeError("nobody caught it"));
      return new Promise(() => {});
    }
    return how;
  };
  for (const how of ["exit", "close", "reject"]) {
    test(`a worker that ends by ${how} in the middle of many short items breaks the pool behind all results that there were`, async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      await learn(pool, dies, 1);
      const inputs: (string | number)[] = upTo(100);
      inputs[60] = how;
      const results = pool.map(dies, inputs);
      const other = pool.submit(dies, 1);
      const got: unknown[] = [];
      const error = await rejection((async () => {
        for await (const value of results) got.push(value);
      })());
      assertInstanceOf(error, kind.broken);
      assertEquals(got, upTo(60));
      assertInstanceOf(await other.exception(), kind.broken);
      assertEquals((await results.next()).done, true);
      assertThrows(() => pool.submit(dies, 1), kind.broken);
      assertThrows(() => pool.map(dies, [1]), kind.broken);
      await pool.shutdown();
    });
  }
}
