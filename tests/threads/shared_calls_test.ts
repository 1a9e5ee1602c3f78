/** The memory that pool and thread share: both ends, in one thread; then with a worker. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import type { CallMessage, FunctionRef } from "../../internal/call/protocol.ts";
import { type Lookout, makeLookout } from "../../internal/inside/spin.ts";
import { makeCells } from "../../internal/threads/cells.ts";
import {
  makeWorkerSharedCalls,
  SharedCalls,
} from "../../internal/threads/shared_calls.ts";
import { type Future, ThreadPoolExecutor } from "../../mod.ts";
import { turn } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- values of any type
type Any = any;

/** Both ends, and what came out of each. */
class Both {
  readonly results: [number, number, unknown, boolean][] = [];
  readonly posted: CallMessage[] = [];
  readonly pool: SharedCalls;
  /** How the worker looks out for calls, and the pool for results: not at all. */
  looksOut: Lookout = () => false;
  poolLooksOut: Lookout = () => false;
  readonly worker = makeWorkerSharedCalls(
    makeCells,
    () => (hasCome) => this.looksOut(hasCome),
  );
  wakes = 0;

  constructor(slots = 4) {
    this.pool = new SharedCalls(
      slots,
      (slot, ms, outcome, more) => {
        const { value } = outcome as { value: unknown };
        this.results.push([slot, ms, value, more ?? false]);
      },
      () => {},
      (hasCome) => this.poolLooksOut(hasCome),
    );
    this.worker.open(this.pool.shared, () => this.wakes++);
  }

  /** Whether plain calls need no message here. */
  get works(): boolean {
    return this.pool.shared.calls !== undefined;
  }

  send(...calls: CallMessage[]): void {
    this.pool.send(calls, (calls) => {
      assert(calls.length > 0, "no message is empty");
      this.posted.push(...calls);
    });
  }

  next(): CallMessage | undefined {
    const call = this.worker.next(() => this.posted.shift());
    // It is the same object each time.
    return call && { ...call };
  }

  leave(slot: number, ms: number, value: unknown): boolean {
    return this.worker.leave(slot, 0, ms, value, () => {});
  }

  [Symbol.dispose](): void {
    this.pool.close();
  }
}

/** Lets the event loop turn until something is true, or will not be any more. */
async function turnUntil(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !isTrue(); i++) await turn();
}

function functionRef(name = "f"): FunctionRef {
  return { by: "source", name, source: `() => "${name}"` };
}

function test(name: string, run: () => void | Promise<void>): void {
  Deno.test({ name: `lanes: ${name}`, permissions: "none", fn: run });
}

test("a function's first call goes by message, the next ones need none", () => {
  using both = new Both();
  if (!both.works) return;
  const fn = functionRef();
  both.send({ slot: 0, fn, args: [1] }, { slot: 1, fn, args: [2] });
  assertEquals(both.posted.length, 2);
  both.send({ slot: 2, fn, args: [3] }, { slot: 3, fn, args: [4, 5] });
  assertEquals(both.posted.length, 2);
  const calls = Array.from({ length: 4 }, () => both.next()!);
  assertEquals(calls.map(({ slot }) => slot), [0, 1, 2, 3]);
  assertEquals(calls.map(({ args }) => args), [[1], [2], [3], [4, 5]]);
  assertEquals(calls.map((call) => call.fn), [fn, fn, fn, fn]);
  assertEquals(both.next(), undefined);
});

test("plain arguments arrive as what they are, and the others go by message", () => {
  using both = new Both(64);
  if (!both.works) return;
  const fn = functionRef();
  both.send({ slot: 0, fn, args: [] });
  both.next();
  const plain: unknown[][] = [[], [-0], [NaN, -Infinity], [undefined, null], [
    true,
    false,
  ], [
    2 ** 53,
    0.1,
  ]];
  plain.push([""], ["text", "\ud800 \0 é"], ["x".repeat(64), "y".repeat(64)]);
  const others = [["x".repeat(65)], [1n], [{}], [1, 2, 3], [1, {}], [[1]]];
  for (const [i, args] of [...plain, ...others].entries()) {
    both.send({ slot: i, fn, args });
    assertEquals(both.posted.length, i < plain.length ? 0 : 1);
    const call = both.next()!;
    assertEquals(call.slot, i);
    assertEquals((call.args as unknown[]).length, args.length);
    for (const [j, arg] of args.entries()) {
      assertEquals(Object.is((call.args as unknown[])[j], arg), true);
    }
  }
  // One alone needs no list.
  both.send({ slot: 0, fn, args: 5 });
  assertEquals(both.next()!.args, [5]);
  both.send({ slot: 0, fn, args: [1], watched: 7 });
  assertEquals(both.posted.length, 1);
});

test("calls keep their order, by whichever way they come", () => {
  using both = new Both(8);
  if (!both.works) return;
  const fn = functionRef();
  both.send({ slot: 0, fn, args: [0] });
  both.next();
  both.send({ slot: 1, fn, args: [1] }, { slot: 2, fn, args: [[2]] });
  both.send({ slot: 3, fn, args: [3] });
  assertEquals(both.next()!.args, [1]);
  // What was posted is not there yet: nothing comes before it.
  const late = both.posted.splice(0);
  assertEquals(both.next(), undefined);
  assertEquals(both.worker.sleep(), true);
  both.posted.push(...late);
  assertEquals(both.next()!.args, [[2]]);
  assertEquals(both.next()!.args, [3]);
});

test("of a message that can't be sent, nothing is left", () => {
  using both = new Both(8);
  if (!both.works) return;
  const fn = functionRef();
  const known = functionRef("known");
  both.send({ slot: 0, fn: known, args: [] });
  both.next();
  assertThrows(() =>
    both.pool.send(
      [{ slot: 1, fn: known, args: [1] }, { slot: 2, fn, args: [2] }],
      () => {
        throw new TypeError("no");
      },
    ), TypeError);
  assertEquals(both.next(), undefined);
  both.send({ slot: 1, fn, args: [1] });
  assertEquals(both.posted.length, 1);
  assertEquals(both.next()!.fn, fn);
});

test("messages that can't be sent cost the functions beside them no number for good", () => {
  using both = new Both(8);
  if (!both.works) return;
  const fns = Array.from({ length: 256 }, (_, i) => functionRef(`f${i}`));
  for (const fn of fns) {
    both.send({ slot: 0, fn, args: [] });
    both.next();
  }
  for (const fn of fns) {
    assertThrows(() =>
      both.pool.send(
        [{ slot: 1, fn, args: [1] }, { slot: 2, fn, args: [{}] }],
        () => {
          throw new TypeError("no");
        },
      ), TypeError);
  }
  const newer = functionRef("newer");
  both.send({ slot: 0, fn: newer, args: [1] });
  assertEquals(both.next()!.fn, newer);
  both.send({ slot: 0, fn: newer, args: [2] });
  assertEquals(both.posted.length, 0);
  assertEquals(both.next()!.fn, newer);
});

test("a worker that knows many functions forgets the first, and mistakes none", () => {
  using both = new Both(8);
  if (!both.works) return;
  const fns = Array.from({ length: 600 }, (_, i) => functionRef(`f${i}`));
  let posts = 0;
  for (let round = 0; round < 3; round++) {
    for (const fn of fns) {
      for (const again of [fn, fn, fns[0]]) {
        both.send({ slot: 5, fn: again, args: [round] });
        posts += both.posted.length;
        assertEquals(both.next()!.fn, again);
      }
    }
  }
  // Each of them once a round, and the first each time that it was forgotten.
  assertEquals(posts >= 1800 && posts < 1900, true, `${posts} messages`);
});

test("a number that is taken while a message is sent means the new function alone", () => {
  using both = new Both(8);
  if (!both.works) return;
  const fns = Array.from({ length: 256 }, (_, i) => functionRef(`f${i}`));
  for (const fn of fns) {
    both.send({ slot: 0, fn, args: [] });
    both.next();
  }
  const newer = functionRef("newer");
  let isFirst = true;
  both.pool.send(
    [{ slot: 1, fn: newer, args: [{}] }, { slot: 2, fn: fns[0], args: [1] }],
    (calls) => {
      // A getter submits a call of a function that takes the first one's number.
      if (isFirst) {
        isFirst = false;
        both.send({ slot: 3, fn: newer, args: [2] });
      }
      both.posted.push(...calls);
    },
  );
  const got = Array.from({ length: 3 }, () => both.next()!);
  assertEquals(got.map(({ slot }) => slot), [3, 1, 2]);
  assertEquals(got.map(({ fn }) => fn), [newer, newer, fns[0]]);
});

test("a message that brings a call of a new function about is sent once", () => {
  using both = new Both(8);
  if (!both.works) return;
  const posts: number[][] = [];
  const fn = functionRef();
  both.pool.send([{ slot: 1, fn, args: [{}] }], (calls) => {
    if (posts.length === 0) {
      posts.push([]);
      both.send({ slot: 2, fn: functionRef("other"), args: [2] });
    }
    posts.push(calls.map(({ slot }) => slot));
  });
  assertEquals(posts, [[], [1]]);
});

test("both rings go round, and results come in order with their times", () => {
  using both = new Both(4);
  const fn = functionRef();
  for (let i = 0; i < 50; i++) {
    const slot = i % 4;
    both.send({ slot, fn, args: [i] });
    assertEquals(both.works ? both.next()!.args : [i], [i]);
    assertEquals(both.leave(slot, i / 4, i), true);
    if (i % 3 === 0) both.pool.look();
  }
  both.pool.look();
  assertEquals(
    both.results.map(([slot, ms, value]) => [slot, ms, value]),
    Array.from({ length: 50 }, (_, i) => [i % 4, i / 4, i]),
  );
});

test("plain results are left, with whether another follows, and others are not", () => {
  using both = new Both(8);
  const text = "x".repeat(128);
  const plain = [-0, NaN, undefined, null, true, false, "", text];
  for (const [i, value] of plain.entries()) {
    assertEquals(both.leave(i, 1, value), true);
  }
  for (const value of [`${text}x`, 1n, {}, Symbol.iterator]) {
    assertEquals(both.leave(7, 1, value), false);
  }
  both.pool.look();
  for (const [i, value] of plain.entries()) {
    assertEquals(Object.is(both.results[i][2], value), true);
  }
  assertEquals(both.results.map(([, , , more]) => more), [
    ...Array(7).fill(true),
    false,
  ]);
});

test("a worker that sleeps is woken once by whatever is left meanwhile", async () => {
  using both = new Both(8);
  if (!both.works) return;
  const fn = functionRef();
  both.send({ slot: 0, fn, args: [] });
  // There is something to do.
  assertEquals(both.worker.sleep(), true);
  both.next();
  assertEquals(both.worker.sleep(), true);
  both.send({ slot: 1, fn, args: [1] });
  both.send({ slot: 2, fn, args: [2] });
  assertEquals(both.worker.sleep(), false);
  // What waits for a notification alone keeps no program alive.
  const alive = setInterval(() => {}, 1000);
  while (both.wakes === 0) await both.worker.turn();
  await both.worker.turn();
  assertEquals(both.wakes, 1);
  clearInterval(alive);
});

test("a worker looks out for calls before it sleeps, and need not be told of them", () => {
  using both = new Both(8);
  if (!both.works) return;
  const fn = functionRef();
  both.send({ slot: 0, fn, args: [] });
  both.next();
  let looks = 0;
  both.looksOut = (hasCome) => {
    looks++;
    assertEquals(hasCome(), false);
    both.send({ slot: 1, fn, args: [1] });
    return hasCome();
  };
  assertEquals(both.worker.sleep(), false);
  assertEquals(both.next()!.slot, 1);
  assertEquals([looks, both.wakes], [1, 0]);
});

test("a pool looks out for the result of a short call, which it then hears of untold", async () => {
  const { notify } = Atomics;
  let told = 0;
  Atomics.notify = (...args: unknown[]) => {
    told++;
    return Reflect.apply(notify, Atomics, args);
  };
  // Made meanwhile, the worker's end takes this one.
  using both = new Both(8);
  Atomics.notify = notify;
  if (!both.works) return;
  const fn = functionRef();
  let looks = 0;
  both.poolLooksOut = (hasCome) => {
    looks++;
    assertEquals([hasCome(), both.results.length], [false, 0]);
    both.leave(both.next()!.slot, 0, "soon");
    return hasCome();
  };
  // Nor does it need one that a program may have faked.
  using _faked = stub(globalThis, "queueMicrotask", () => {});
  both.send({ slot: 0, fn, args: [] });
  both.next();
  both.send({ slot: 1, fn, args: [] });
  await turnUntil(() => both.results.length > 0);
  assertEquals(both.results, [[1, 0, "soon", false]]);
  assertEquals([looks, told], [1, 0]);
});

for (const isThere of [true, false]) {
  test(`a pool that looked out in vain hears of a result that ${isThere ? "was left just then" : "is left later"}`, async () => {
    using both = new Both(8);
    if (!both.works) return;
    const fn = functionRef();
    let looks = 0;
    both.poolLooksOut = () => {
      looks++;
      if (isThere) both.leave(1, 0, "left");
      return false;
    };
    both.send({ slot: 0, fn, args: [] });
    both.next();
    both.send({ slot: 1, fn, args: [] });
    await turnUntil(() => looks > 0);
    if (!isThere) both.leave(1, 0, "left");
    await turnUntil(() => both.results.length > 0);
    assertEquals(both.results, [[1, 0, "left", false]]);
    assertEquals(looks, 1);
  });
}

test("a pool does not look out for what may take long, or whose worker sleeps", async () => {
  using both = new Both(8);
  if (!both.works) return;
  const fn = functionRef();
  let looks = 0;
  both.poolLooksOut = () => {
    looks++;
    return false;
  };
  const ended = async (ms: number) => {
    const before = both.results.length;
    both.leave(0, ms, 1);
    await turnUntil(() => both.results.length > before);
    return looks;
  };
  both.send({ slot: 0, fn, args: [] });
  both.next();
  assertEquals(await ended(5), 0, "its first call goes by message");
  both.send({ slot: 0, fn, args: [] });
  both.next();
  assertEquals(await ended(0), 0, "the last call was long");
  both.worker.sleep();
  both.send({ slot: 0, fn, args: [] });
  both.next();
  assertEquals(await ended(0), 0, "the worker sleeps");
  both.send({ slot: 0, fn, args: [] });
  both.next();
  assertEquals(await ended(0), 1);
});

test("timers go on here, while results keep coming", async () => {
  const worker = makeWorkerSharedCalls(makeCells, makeLookout);
  let fired = false;
  const leave = () => worker.leave(0, 0, 1, 1, () => {});
  // Each result that is heard of brings another.
  const pool = new SharedCalls(4, () => {
    if (!fired) leave();
  });
  worker.open(pool.shared, () => {});
  leave();
  await new Promise<void>((resolve) =>
    setTimeout(() => {
      fired = true;
      resolve();
    }, 0)
  );
  pool.close();
});

// ---- With a worker -----------------------------------------------------------

Deno.test("lanes: a result that was left is heard of before what came later by message", async () => {
  await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
  const order: unknown[] = [];
  const give = (n: number): unknown => n % 2 === 0 ? n : [n];
  const futures: Future<unknown>[] = [];
  for (let n = 0; n < 500; n++) {
    const future = executor.submit(give, n);
    future.addDoneCallback(() => order.push(n));
    futures.push(future);
  }
  for (const [n, future] of futures.entries()) {
    assertEquals(await future.result(), give(n));
  }
  const places = new Map(order.map((n, place) => [n, place]));
  for (let n = 1; n < 500; n += 2) {
    assertEquals(places.get(n - 1)! < places.get(n)!, true, `${n} came first`);
  }
});

Deno.test("lanes: a worker's timers go on between calls that it has all at hand", async () => {
  using both = new Both();
  if (!both.works) return;
  await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
  const fn = (n: number): unknown => {
    const scope = globalThis as Any;
    if (n === 0) return false;
    if (n === 1) setTimeout(() => scope.timerFired = true, 0);
    const end = performance.now() + 0.2;
    while (performance.now() < end);
    return scope.timerFired;
  };
  // Known as short, many are handed over at once.
  for (let i = 0; i < 50; i++) await executor.submit(fn, 0).result();
  const futures = Array.from({ length: 600 }, (_, i) => executor.submit(fn, i));
  const results = await Promise.all(futures.map((future) => future.result()));
  assertEquals(results.slice(0, 40).includes(true), true);
});
