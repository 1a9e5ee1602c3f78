/** Items of a `map` that travel together, event by event. */

import { assertEquals, assertRejects } from "@std/assert";
import { BrokenThreadPool, CancelledError } from "../../errors.ts";
import type { PoolKind } from "../../internal/pool/pool_link.ts";
import {
  makeItemResults,
  type ResultText,
  valueOf,
} from "../../internal/processes/item_results.ts";
import { transfer } from "../../transfer.ts";
import { type Any, knownFn, returned, test, unknownFn } from "../_hand.ts";
import {
  type ChunkChild,
  ChunkChildPool,
  ChunkPool,
  type ChunkThread,
} from "../_hand_chunks.ts";
import { stateOf, turn } from "../_helpers.ts";

/** So long takes an item of which a worker is given ten at once, in milliseconds. */
const TENTH = 0.1;

/** A pool whose workers are past their start, and have nothing to do. */
async function warm<P extends ChunkPool>(pool: P, workers: number): Promise<P> {
  for (let i = 0; i < workers; i++) pool.call(unknownFn());
  for (const link of pool.links) link.ready().answer();
  await turn();
  return pool;
}

async function threads(workers = 1, options: Partial<PoolKind> = {}) {
  return await warm(
    new ChunkPool({ maxWorkers: workers, ...options }),
    workers,
  );
}

async function children(workers = 1, options: Partial<PoolKind> = {}) {
  return await warm(
    new ChunkChildPool({ maxWorkers: workers, ...options }),
    workers,
  );
}

/** What a worker was sent since it was warm: each message, the items of a chunk in one. */
function sent(link: ChunkThread): string[][] {
  return link.messages.slice(1);
}

/** What each worker has started since it was warm. */
function startedOf(link: ChunkThread): string {
  return link.started.slice(1).join("");
}

/** What all workers have, those of the first before those of the second. */
function started(pool: ChunkPool): string {
  return pool.links.map(startedOf).join("");
}

/** A map of items "a", "b" … whose first runs, and whose others the worker has. */
async function mapBehind(
  pool: ChunkPool,
  items = "abcdef",
  ms = TENTH,
): Promise<{ fn: Any; results: AsyncIterableIterator<Any> }> {
  const fn = await knownFn(ms);
  const results = pool.map(fn, items);
  await turn();
  for (const link of pool.links) link.begin();
  return { fn, results };
}

// ---- What travels together ---------------------------------------------------

test("items of a map travel together, about a millisecond's work", async () => {
  const pool = await threads();
  const results = pool.map(await knownFn(TENTH), "abcdefghijklmnopqrstuvwxyz");
  const [link] = pool.links;
  // The first at once, as a caller may go on to block; half of what is left is
  // for others.
  assertEquals(sent(link), [["a"]]);
  await turn();
  assertEquals(sent(link), [["a"], ["bcdefghij"]]);
  await pool.finishAll();
  assertEquals((await Array.fromAsync(results)).length, 26);
  assertEquals(started(pool), "abcdefghijklmnopqrstuvwxyz");
  await pool.shutdown();
});

test("no more items travel together than chunksize says", async () => {
  const pool = await threads();
  const fn = await knownFn(0.001);
  const results = pool.map(fn, "abcdefghij", { chunksize: 3 });
  await pool.finishAll();
  await Array.fromAsync(results);
  const sizes = sent(pool.links[0]).flat().map(({ length }) => length);
  assertEquals(Math.max(...sizes), 3);
  await pool.shutdown();
});

test("items whose time is not known travel by themselves", async () => {
  const pool = await threads(2);
  const results = pool.map(unknownFn(), "abcd");
  await pool.finishAll();
  await Array.fromAsync(results);
  for (const link of pool.links) {
    for (const calls of sent(link)) assertEquals(calls.join().length, 1);
  }
  await pool.shutdown();
});

test("calls start in the order in which they were submitted, items of maps among them", async () => {
  const pool = await threads();
  const fn = await knownFn(0.001);
  const other = await knownFn(0.001);
  const first = pool.map(fn, "abc");
  const d = pool.call(other, "d");
  const second = pool.map(fn, "ef");
  const third = pool.map(other, "gh");
  const i = pool.call(fn, "i");
  await turn();
  await pool.finishAll();
  assertEquals(started(pool), "abcdefghi");
  for (const results of [first, second, third]) await Array.fromAsync(results);
  assertEquals([d.done(), i.done()], [true, true]);
  await pool.shutdown();
});

// ---- Results -------------------------------------------------------------------

test("a result is given as soon as its item is done, whatever follows it in its chunk", async () => {
  const pool = await threads();
  const { results } = await mapBehind(pool);
  const [link] = pool.links;
  for (const name of "abcdef") {
    const next = results.next();
    assertEquals(await stateOf(next), "pending");
    link.answer(name.toUpperCase(), TENTH);
    assertEquals(await next, { done: false, value: name.toUpperCase() });
    link.begin();
  }
  assertEquals((await results.next()).done, true);
  await pool.shutdown();
});

test("an item that throws ends the map when it is reached, and what has not started never does", async () => {
  const pool = await threads();
  const { results } = await mapBehind(pool);
  const [link] = pool.links;
  link.run(2);
  link.finish({ is: "raised", error: "c threw" });
  link.deliver();
  link.begin();
  assertEquals((await results.next()).value, "a");
  assertEquals((await results.next()).value, "b");
  assertEquals(await results.next().catch((error) => error), "c threw");
  assertEquals((await results.next()).done, true);
  assertEquals(pool.counts, "0 1 3 1 2");
  link.answer();
  link.skip();
  assertEquals(started(pool), "abcd");
  assertEquals(pool.counts, "0 0 4 1 2");
  await pool.shutdown();
});

// ---- What is cut off -----------------------------------------------------------

test("a worker with nothing to do gets what has not started behind another's item", async () => {
  const pool = await threads(2);
  const [one, two] = pool.links;
  const { results } = await mapBehind(pool, "abcdefghijkl");
  // The one runs its chunk, the other ends all it has.
  while (two.holds.length > 0) two.run(1, TENTH);
  const left = one.holds.length + two.holds.length;
  while (two.holds.length > 0) two.run(1, TENTH);
  assertEquals(startedOf(one).length, 1, `${left} were left`);
  assertEquals([...started(pool)].toSorted().join(""), "abcdefghijkl");
  const { current } = one;
  one.answer(current!.name);
  one.skip();
  const all = await Array.fromAsync(results);
  assertEquals(all.length, 12);
  assertEquals(pool.counts, "0 0 14 0 0");
  await pool.shutdown();
});

test("what waits behind an item that turned out long waits in the queue, and runs in its order", async (clock) => {
  const pool = await threads();
  const { fn, results } = await mapBehind(pool);
  const [link] = pool.links;
  link.run(2);
  link.begin();
  const other = pool.call(fn, "x");
  await clock.pass(10);
  assertEquals(link.holds, ["c"]);
  link.answer("c");
  link.begin();
  await pool.finishAll();
  assertEquals(started(pool), "abcdefx");
  assertEquals(other.done(), true);
  assertEquals((await Array.fromAsync(results)).length, 6);
  await pool.shutdown();
});

test("a slot is not used again before what was cut off it is passed over", async (clock) => {
  const pool = await threads(1, { slots: 2 });
  const { results } = await mapBehind(pool, "abcdefghij");
  const [link] = pool.links;
  for (let i = 0; i < 9; i++) {
    // The hand fails the test when a slot is used that is not free.
    await clock.pass(10);
    link.answer(undefined, TENTH);
    await turn();
    link.begin();
    link.deliver();
    await turn();
    link.current ?? link.begin();
  }
  await pool.finishAll();
  assertEquals(started(pool), "abcdefghij");
  assertEquals((await Array.fromAsync(results)).length, 10);
  await pool.shutdown();
});

test("a map that is left cancels exactly what has not started", async () => {
  for (let ran = 0; ran < 6; ran++) {
    const pool = await threads();
    const { results } = await mapBehind(pool);
    const [link] = pool.links;
    link.run(ran);
    if (!link.current) link.begin();
    await results.return!();
    assertEquals(pool.counts, `0 1 ${ran + 1} 0 ${5 - ran}`);
    link.answer();
    link.begin();
    link.deliver();
    assertEquals(started(pool), "abcdef".slice(0, ran + 1));
    assertEquals(pool.counts, `0 0 ${ran + 2} 0 ${5 - ran}`);
    const next = pool.call(unknownFn(), "next");
    link.answer(5);
    assertEquals(await next.result(), 5);
    await pool.shutdown();
  }
});

test("a map that is left between two items of a chunk leaves a pool that ends", async () => {
  const pool = await threads();
  const { results } = await mapBehind(pool);
  const [link] = pool.links;
  link.run(3);
  await results.return!();
  assertEquals(pool.counts, "0 0 4 0 3");
  const over = pool.shutdown();
  assertEquals(await stateOf(over), "fulfilled");
  assertEquals(link.ended, 1);
});

test("shutdown({ cancelFutures: true }) cancels what of a chunk has not started", async () => {
  const pool = await threads();
  const { results } = await mapBehind(pool);
  const [link] = pool.links;
  link.run(2);
  link.begin();
  const over = pool.shutdown({ cancelFutures: true });
  assertEquals(pool.counts, "0 1 3 0 3");
  assertEquals((await results.next()).value, "a");
  assertEquals((await results.next()).value, "b");
  const next = results.next();
  assertEquals(await stateOf(next), "pending");
  assertEquals(await stateOf(over), "pending");
  link.answer("c");
  assertEquals((await next).value, "c");
  await assertRejects(() => results.next(), CancelledError);
  await over;
  assertEquals(started(pool), "abc");
});

test("shutdown() waits for every item of a chunk", async () => {
  const pool = await threads();
  const { results } = await mapBehind(pool);
  const over = pool.shutdown();
  for (let i = 0; i < 6; i++) {
    assertEquals(await stateOf(over), "pending");
    pool.links[0].run(1);
  }
  await over;
  assertEquals((await Array.fromAsync(results)).length, 6);
});

// ---- What is counted -------------------------------------------------------------

test("each item counts as a call at every moment", async () => {
  const pool = await threads();
  const fn = await knownFn(TENTH);
  const [link] = pool.links;
  const results = pool.map(fn, "abcdef");
  assertEquals(pool.counts, "6 0 1 0 0");
  link.begin();
  assertEquals(pool.counts, "5 1 1 0 0");
  link.answer("a");
  await turn();
  assertEquals(pool.counts, "5 0 2 0 0");
  link.begin();
  assertEquals(pool.counts, "4 1 2 0 0");
  link.finish({ is: "raised", error: "b" });
  link.deliver();
  link.begin();
  assertEquals(pool.counts, "3 1 2 1 0");
  await results.return!();
  assertEquals(pool.counts, "0 1 2 1 3");
  link.answer();
  assertEquals(pool.counts, "0 0 3 1 3");
  await pool.shutdown();
});

test("items that were lost with their worker count as failed", async () => {
  const pool = await threads();
  const { results } = await mapBehind(pool, "abcdefghijklmnopqrstuvwxyz");
  const [link] = pool.links;
  link.run(3);
  link.begin();
  link.die();
  assertEquals(pool.counts, "0 0 4 23 0");
  for (const value of "abc") {
    assertEquals((await results.next()).value, value);
  }
  await assertRejects(() => results.next(), BrokenThreadPool);
  assertEquals((await results.next()).done, true);
  await pool.shutdown();
});

// ---- What can't be sent -----------------------------------------------------------

/** Has a link refuse messages that hold something. */
function refuse(link: ChunkThread, refused: (name: Any) => boolean): void {
  link.check = (calls) => {
    for (const { args, count } of calls) {
      const names = (count === undefined ? [args] : args as Any[]).map((
        [name]: Any,
      ) => name);
      if (names.some(refused)) throw new RangeError("can't be sent");
    }
  };
}

test("an item that can't be sent fails alone, whatever it was to travel with", async () => {
  const pool = await threads();
  const [link] = pool.links;
  refuse(link, (name) => name === "d");
  const results = pool.map(await knownFn(TENTH), "abcdefgh");
  const other = pool.call(unknownFn(), "x");
  await pool.finishAll();
  assertEquals(started(pool), "abcefghx");
  assertEquals(pool.counts, "0 0 9 1 0");
  for (let i = 0; i < 3; i++) assertEquals((await results.next()).done, false);
  await assertRejects(() => results.next(), RangeError, "can't be sent");
  assertEquals(other.done(), true);
  await pool.shutdown();
});

test("items that are too many to be sent together are sent apart", async () => {
  const pool = await threads();
  const [link] = pool.links;
  link.check = (calls) => {
    for (const { count = 1 } of calls) {
      if (count > 2) throw new RangeError("too long");
    }
  };
  const results = pool.map(await knownFn(TENTH), "abcdefghijklmnop");
  await pool.finishAll();
  assertEquals(started(pool), "abcdefghijklmnop");
  assertEquals((await Array.fromAsync(results)).length, 16);
  assertEquals(pool.counts, "0 0 17 0 0");
  await pool.shutdown();
});

// ---- Arguments that run code --------------------------------------------------------

/** An object whose only member is read by code. */
function reading(read: () => unknown): object {
  return Object.defineProperty({}, "value", { get: read, enumerable: true });
}

test("an argument that has the map left while it is read is not run", async () => {
  const pool = await threads();
  const [link] = pool.links;
  const fn = await knownFn(TENTH);
  const leave = reading(() => {
    results.return!();
    return "left";
  });
  const results: AsyncIterableIterator<Any> = pool.map(
    fn,
    ["a", "b", leave, "c"],
    { buffersize: 2 },
  );
  link.run(1);
  await results.next();
  assertEquals((await results.next()).done, true);
  await pool.finishAll();
  assertEquals(started(pool).includes("left"), false);
  assertEquals(pool.counts, "0 0 2 0 2");
  await pool.shutdown();
});

test("an argument that is moved, and has the map left while it is read, is not run", async () => {
  const pool = await threads();
  const [link] = pool.links;
  const leave = reading(() => {
    results.return!();
    return "left";
  });
  const results: AsyncIterableIterator<Any> = pool.map(
    await knownFn(TENTH),
    ["a", "b", transfer(leave, [new ArrayBuffer(1)]), "c"],
    { buffersize: 2 },
  );
  link.run(1);
  await results.next();
  await pool.finishAll();
  assertEquals(link.started.slice(1), ["a"]);
  assertEquals(pool.counts, "0 0 2 0 2");
  await pool.shutdown();
});

test("an argument that has the map left and then fails to be read is told to nobody", async () => {
  const pool = await threads();
  const [link] = pool.links;
  const fn = await knownFn(TENTH);
  const leave = reading(() => {
    results.return!();
    throw new RangeError("not to be read");
  });
  const results: AsyncIterableIterator<Any> = pool.map(
    fn,
    ["a", "b", leave, "c"],
    { buffersize: 2 },
  );
  link.run(1);
  assertEquals((await results.next()).done, false);
  assertEquals((await results.next()).done, true);
  await pool.finishAll();
  await pool.shutdown();
});

test("an input that asks for the next result while it is read keeps the order", async () => {
  const pool = await threads();
  const [link] = pool.links;
  const fn = await knownFn(TENTH);
  const inputs = [..."abcdefgh"];
  const asked: Promise<IteratorResult<Any>>[] = [];
  const results: AsyncIterableIterator<Any> = pool.map(fn, {
    [Symbol.iterator]: () => ({
      next() {
        const value = inputs.shift();
        if (value === "e") asked.push(results.next());
        return { done: value === undefined, value };
      },
    }),
  }, { buffersize: 3 });
  await turn();
  link.run(3);
  const first = [await results.next(), await results.next()];
  assertEquals(first.map(({ value }) => value), ["a", "b"]);
  // As "e" was read.
  assertEquals((await asked[0]).value, "c");
  for (const name of "defgh") {
    await turn();
    link.run(1);
    assertEquals((await results.next()).value, name);
  }
  assertEquals((await results.next()).done, true);
  assertEquals(started(pool), "abcdefgh");
  await pool.shutdown();
});

// ---- Children -----------------------------------------------------------------------

for (const first of ["is skipped", "is given back", "is done"]) {
  test(`what a child gives back of a chunk runs once, if the pool hears first that it ${first}`, async (clock) => {
    const pool = await children();
    const { fn, results } = await mapBehind(pool);
    const child: ChunkChild = pool.links[0];
    child.run(2);
    child.begin();
    await clock.pass(10);
    assertEquals(child.recalls.length, 1);
    child.answerRecalls();
    child.finish(returned("c"));
    if (first === "is skipped") {
      // The main thread has the outcome, and is slower than the worker.
      const answers = child.answers.splice(0);
      child.takeOver();
      child.answers.push(...answers);
      child.begin();
      child.deliver();
      child.deliverMain();
    } else if (first === "is given back") {
      child.deliverMain();
      child.begin();
      child.deliver();
    } else {
      child.begin();
      child.deliver();
      child.deliverMain();
    }
    await pool.runAll();
    assertEquals(startedOf(pool.links[0]), "abcdef");
    assertEquals((await Array.fromAsync(results)).length, 6);
    assertEquals(pool.counts, "0 0 7 0 0");
    const next = pool.call(fn, "next");
    child.answer(5);
    assertEquals(await next.result(), 5);
    await pool.shutdown();
  });
}

test("a call that came into the slot of a chunk that is done is not taken for what was asked back", async (clock) => {
  const pool = await children(1, { slots: 1 });
  const { results } = await mapBehind(pool, "ab");
  const child: ChunkChild = pool.links[0];
  child.run(1);
  const late = pool.call(unknownFn(), "x");
  const [slot] = child.slots;
  const last = pool.map(await knownFn(TENTH), "cde");
  await turn();
  child.run(1);
  await turn();
  child.run(1);
  // The chunk of "c", "d" and "e".
  child.begin();
  await clock.pass(10);
  assertEquals(child.recalls.length, 1);
  const other = pool.call(unknownFn(), "y");
  child.run(2);
  child.run(1);
  await turn();
  // All of it was done before the main thread came to it.
  child.answerRecalls();
  child.begin();
  assertEquals([child.current?.name, child.slots.at(-1)], ["y", slot]);
  child.deliverMain();
  await turn();
  child.answer("y");
  await pool.runAll();
  assertEquals(startedOf(pool.links[0]), "abxcdey");
  assertEquals([late.done(), await other.result()], [true, "y"]);
  await Array.fromAsync(results);
  await Array.fromAsync(last);
  assertEquals(pool.counts, "0 0 8 0 0");
  await pool.shutdown();
});

test("what several children give back runs in the order in which it was submitted", async (clock) => {
  const pool = await children(2, { slots: 8 });
  const [one, two]: ChunkChild[] = pool.links as Any;
  const fn = await knownFn(TENTH);
  const results = pool.map(fn, "abcdefghijklmnop");
  await turn();
  for (const child of [one, two]) {
    child.begin();
    assertEquals(child.holds.length > 2, true);
  }
  await clock.pass(10);
  for (const child of [one, two]) child.answerRecalls();
  for (const child of [one, two]) {
    child.deliverMain();
    assertEquals(child.holds.length, 1);
  }
  const held = [one, two].map(({ holds }) => holds[0]);
  const rest = [..."abcdefghijklmnop"].filter((name) => !held.includes(name));
  one.run(1);
  one.begin();
  assertEquals(one.current?.name ?? one.holds[0], rest[0]);
  await pool.runAll();
  // The others run one after the other: what was given back has its order again.
  const order = (child: ChunkChild) => startedOf(child as Any).slice(1);
  for (const child of [one, two]) {
    assertEquals(order(child), [...order(child)].toSorted().join(""));
  }
  assertEquals((await Array.fromAsync(results)).length, 16);
  await pool.shutdown();
});

test("what a child gives back of a map that was left is not run", async (clock) => {
  const pool = await children();
  const { results } = await mapBehind(pool);
  const child: ChunkChild = pool.links[0];
  child.run(2);
  child.begin();
  await clock.pass(10);
  await results.return!();
  child.answerRecalls().deliverMain();
  assertEquals(pool.counts, "0 1 3 0 3");
  const over = pool.shutdown();
  child.answer();
  child.begin();
  child.deliver();
  await over;
  assertEquals(startedOf(pool.links[0]), "abc");
});

test("what a child has of a map that was left while another was asked back is not run", async () => {
  const pool = await children();
  const { results } = await mapBehind(pool, "abc");
  const child: ChunkChild = pool.links[0];
  const behind = pool.map(await knownFn(TENTH), "def");
  await turn();
  assertEquals(child.holds.join(""), "abcde");
  await results.return!();
  await behind.return!();
  assertEquals(child.recalls.length, 1);
  child.answerRecalls().deliverMain();
  assertEquals(child.recalls.length, 1);
  child.answerRecalls().deliverMain();
  // What runs is of the first; nothing more is asked for.
  assertEquals([child.recalls.length, child.holds.join("")], [0, "a"]);
  assertEquals(pool.counts, "0 1 1 0 5");
  const over = pool.shutdown();
  child.answer();
  child.begin();
  child.deliver();
  await over;
  assertEquals(startedOf(pool.links[0]), "a");
});

// ---- Results in memory that two threads share ------------------------------------------

Deno.test("results that were left are taken once each, exact, across the wraps of the ring and of its counter", () => {
  const SIZE = 4;
  const shared = {
    ring: new SharedArrayBuffer((2 + SIZE) * 4),
    values: new SharedArrayBuffer(SIZE * 16),
  };
  const threads = [0, 1].map(() => makeItemResults(shared));
  const all = [
    undefined,
    null,
    false,
    true,
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    1e300,
    5e-324,
    -1.5,
    2 ** 53,
  ];
  // As the counter stands after very many.
  new Int32Array(shared.ring).fill(2 ** 31 - 6, 0, 2);
  for (let round = 0; round < all.length; round++) {
    const left = [0, 1, 2, 3].map((i) => all[(round + i) % all.length]);
    for (const [i, value] of left.entries()) {
      assertEquals(
        threads[0].leave(250 + i, 4092 + i, 0.12345, value),
        true,
      );
    }
    // There is no more room until these are taken; and some things are not plain.
    assertEquals(threads[0].leave(0, 0, 0, 1), false);
    assertEquals(threads.map((one) => one.hasSome()), [true, true]);
    const { type, results } = JSON.parse(threads[round % 2].take()!);
    assertEquals(threads.map((one) => one.hasSome()), [false, false]);
    assertEquals(threads[0].leave(0, 0, 0, "text"), false);
    assertEquals(type, "results");
    const got: unknown[] = [];
    for (let i = 0; i < results.length; i += 4) {
      assertEquals(results.slice(i, i + 3), [
        250 + i / 4,
        4092 + i / 4,
        0.1235,
      ]);
      got.push(valueOf(results[i + 3] as ResultText));
    }
    assertEquals(got.length, 4);
    got.forEach((value, i) => assertEquals(Object.is(value, left[i]), true));
    for (const { take } of threads) assertEquals(take(), undefined);
  }
});
