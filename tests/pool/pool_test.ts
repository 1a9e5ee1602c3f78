import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { stub } from "@std/testing/mock";
import {
  BrokenThreadPool,
  CancelledError,
  RuntimeError,
} from "../../errors.ts";
import type { Future } from "../../future.ts";
import type { Outcome } from "../../internal/call/protocol.ts";
import {
  type Any,
  callAll,
  type HandLink,
  HandPool,
  knownFn,
  nameOf,
  poolWithCallsBehind,
  record,
  returned,
  test,
  threw,
  unknownFn,
} from "../_hand.ts";
import {
  type FakeClock,
  isCollected,
  LONGEST_TIMER_MS,
  stateOf,
  turn,
  withoutGc,
} from "../_helpers.ts";

// ---- Who gets which call ---------------------------------------------------

test("a pool starts no worker before the first call", () => {
  assertEquals(new HandPool().links.length, 0);
});

test("a pool hands a call over at once when a worker may start", () => {
  const pool = new HandPool();
  pool.call(unknownFn(), "a");
  assertEquals(pool.held, [["a"]]);
});

test("a pool starts a worker for each call, up to maxWorkers", async () => {
  const pool = new HandPool({ maxWorkers: 3 });
  await callAll(pool, unknownFn(), "abcde");
  assertEquals(pool.held, [["a"], ["b"], ["c"]]);
  assertEquals(pool.links.map(({ index }) => index), [0, 1, 2]);
});

test("a pool uses an idle worker before it starts another", () => {
  const pool = new HandPool({ maxWorkers: 3 });
  const fn = unknownFn();
  for (let i = 0; i < 10; i++) {
    pool.call(fn, i);
    pool.links[0].answer();
  }
  assertEquals(pool.links.length, 1);
  assertEquals(pool.links[0].started, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a pool hands a call to the worker that was used last", () => {
  const pool = new HandPool({ maxWorkers: 3 });
  const fn = unknownFn();
  for (const name of "abc") pool.call(fn, name);
  for (const i of [1, 0, 2]) pool.links[i].answer();
  for (const name of "def") pool.call(fn, name);
  assertEquals(pool.held, [["e"], ["f"], ["d"]]);
});

test("a pool hands waiting calls to workers in the order of submit", () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const fn = unknownFn();
  for (const name of "abcdef") pool.call(fn, name);
  for (const i of [1, 0, 0, 1, 1, 0]) pool.links[i].answer();
  assertEquals(pool.links.map(({ started }) => started), [
    ["a", "d", "e"],
    ["b", "c", "f"],
  ]);
});

test("a pool gives a new call the last place, even from the callback of a call that ends", () => {
  const pool = new HandPool();
  const fn = unknownFn();
  const a = pool.call(fn, "a");
  pool.call(fn, "b");
  a.addDoneCallback(() => pool.call(fn, "c"));
  for (let i = 0; i < 3; i++) pool.links[0].answer();
  assertEquals(pool.links[0].started, ["a", "b", "c"]);
});

test("a pool copies the arguments of a call that has to wait, and not of one that is sent at once", async () => {
  const packed: [unknown, boolean][] = [];
  const pool = new HandPool({
    pack(_fn, args, now) {
      packed.push([args[0], now]);
      return args;
    },
  });
  await callAll(pool, unknownFn(), "ab");
  pool.links[0].answer();
  pool.links[0].answer();
  pool.call(unknownFn(), "c");
  assertEquals(packed, [["a", true], ["b", false], ["c", true]]);
});

test("a pool fails a call whose arguments cannot travel, and starts no worker for it", async () => {
  const error = new DOMException("args[0] is a Headers", "DataCloneError");
  const pool = new HandPool({
    pack() {
      throw error;
    },
  });
  const future = pool.call(unknownFn());
  assertStrictEquals(await future.exception(), error);
  assertEquals(pool.links.length, 0);
  await pool.shutdown();
});

test("a pool never leaves a call pending whose argument shuts the pool down while it is read", async () => {
  const pool: HandPool = new HandPool({
    pack(_fn, args) {
      pool.shutdown();
      return args;
    },
  });
  let future: Future<Any> | undefined;
  try {
    future = pool.call(unknownFn(), "a");
  } catch (error) {
    assertInstanceOf(error, RuntimeError);
  }
  await pool.finishAll();
  assert(future === undefined || future.done());
});

test("a pool sends the arguments of the time of submit, though reading them took the idle worker", async () => {
  let others = 0;
  const pool: HandPool = new HandPool({
    pack(_fn, args, now) {
      if (others++ === 0) pool.call(unknownFn(), "other");
      return now ? args : structuredClone(args);
    },
  });
  const list = ["as it was"];
  pool.call(unknownFn(), list);
  list[0] = "changed";
  await turn();
  await pool.finishAll();
  assertEquals(pool.links[0].started, ["other", ["as it was"]]);
});

test("a pool throws a TypeError for what is no function", () => {
  assertThrows(
    () => new HandPool().call("print"),
    TypeError,
    'submit takes a function first: received "print"',
  );
});

// ---- Handing ahead ---------------------------------------------------------

test("a pool hands calls that are known short ahead, in one message, about a millisecond's worth", async () => {
  const fn = await knownFn(0.125);
  const pool = new HandPool();
  pool.call(fn, 0);
  pool.links[0].ready();
  await callAll(pool, fn, Array.from({ length: 20 }, (_, i) => i + 1));
  assertEquals(pool.links[0].messages, [[0], [1, 2, 3, 4, 5, 6, 7]]);
});

test("a pool where short calls go together hands those of one turn to one worker, a quarter of a millisecond's worth", async () => {
  const fn = await knownFn(0.05);
  const pool = new HandPool({ maxWorkers: 3, together: true });
  await callAll(pool, fn, "abcdefg");
  assertEquals(pool.held, [["a", "b", "c", "d", "e"], ["f", "g"]]);
  for (const link of pool.links) link.ready();
  for (let i = 0; i < 5; i++) pool.links[0].answer(undefined, 0.05);
  // Nobody takes what waits behind another, as long as that is short.
  assertEquals(pool.held, [[], ["f", "g"]]);
  await pool.finishAll();
});

test("a pool where short calls go together hands each call that may be long to a worker of its own", async () => {
  const pool = new HandPool({ maxWorkers: 3, together: true });
  await callAll(pool, unknownFn(), "ab");
  await callAll(pool, await knownFn(0.5), "c");
  assertEquals(pool.held, [["a"], ["b"], ["c"]]);
  await pool.finishAll();
});

test("a pool where short calls go together takes those back that wait behind one that turned out long", async (clock) => {
  const fn = await knownFn(0.05);
  const pool = new HandPool({ maxWorkers: 3, together: true });
  await callAll(pool, fn, "abc");
  assertEquals(pool.held, [["a", "b", "c"]]);
  pool.links[0].ready().begin();
  await clock.pass(4);
  assertEquals(pool.held, [["a"], ["b", "c"]]);
  await pool.finishAll();
});

test("a pool hands more ahead once half of it is done", async () => {
  const fn = await knownFn(0.125);
  const pool = new HandPool();
  pool.call(fn, 0);
  pool.links[0].ready();
  await callAll(pool, fn, Array.from({ length: 20 }, (_, i) => i + 1));
  for (let i = 0; i < 4; i++) pool.links[0].answer(undefined, 0.125);
  assertEquals(pool.links[0].messages.length, 2);
  pool.links[0].answer(undefined, 0.125);
  assertEquals(pool.links[0].messages.slice(2), [[8, 9, 10, 11, 12]]);
});

test("a pool hands nothing ahead to a worker that has not yet started", async () => {
  const fn = await knownFn(0.01);
  const pool = new HandPool();
  await callAll(pool, fn, "abc");
  assertEquals(pool.held, [["a"]]);
});

test("a pool hands nothing ahead of which it does not know that it is short", async () => {
  const pool = new HandPool();
  const fn = await knownFn(0.01);
  pool.call(fn, "known");
  pool.links[0].ready();
  await callAll(pool, unknownFn(), "ab");
  assertEquals(pool.held, [["known"]]);
});

test("a pool hands nothing ahead behind a call of which it knows nothing", async () => {
  const fn = await knownFn(0.01);
  const pool = new HandPool();
  pool.call(unknownFn(), "unknown");
  pool.links[0].ready();
  await callAll(pool, fn, "ab");
  assertEquals(pool.held, [["unknown"]]);
});

test("a pool hands nothing ahead behind a call that is known to be long", async () => {
  const short = await knownFn(0.01);
  const long = await knownFn(50);
  const pool = new HandPool();
  pool.call(long, "long");
  pool.links[0].ready();
  await callAll(pool, short, "ab");
  assertEquals(pool.held, [["long"]]);
});

test("a pool hands nothing ahead behind a short call that already runs for long", async (clock) => {
  const fn = await knownFn(0.01);
  const pool = new HandPool();
  pool.call(fn, "hangs");
  pool.links[0].ready().begin();
  await clock.pass(3);
  await callAll(pool, fn, "ab");
  assertEquals(pool.held, [["hangs"]]);
});

test("a pool hands nothing ahead behind an unknown call, even calls that took no time at all", async () => {
  const instant = await knownFn(0);
  const pool = new HandPool();
  pool.call(instant, "instant");
  pool.links[0].ready();
  pool.call(unknownFn(), "unknown");
  await callAll(pool, instant, "ab");
  assertEquals(pool.held, [["instant"]]);
});

test("a pool hands a long call ahead of nobody: those after it keep their place", async () => {
  const short = await knownFn(0.01);
  const pool = new HandPool();
  pool.call(short, "running");
  pool.links[0].ready();
  pool.call(short, "a");
  pool.call(unknownFn(), "unknown");
  await callAll(pool, short, "b");
  assertEquals(pool.held, [["running", "a"]]);
  await pool.finishAll();
  assertEquals(pool.links[0].started, ["running", "a", "unknown", "b"]);
});

test("a pool hands ahead to every worker its share", async () => {
  const fn = await knownFn(0.001);
  const pool = new HandPool({ maxWorkers: 2 });
  for (const name of "ab") pool.call(fn, name);
  for (const link of pool.links) link.ready();
  await callAll(pool, fn, "cdef");
  assertEquals(pool.held, [["a", "c", "d"], ["b", "e", "f"]]);
});

test("a pool hands a worker no more calls than it has slots", async () => {
  const fn = await knownFn(0.001);
  const pool = new HandPool({ slots: 4 });
  pool.call(fn, 0);
  pool.links[0].ready();
  await callAll(pool, fn, Array.from({ length: 9 }, (_, i) => i + 1));
  assertEquals(pool.held, [[0, 1, 2, 3]]);
  // Topped up by halves: one message then carries several calls.
  pool.links[0].answer(undefined, 0.001);
  assertEquals(pool.held, [[1, 2, 3]]);
  pool.links[0].answer(undefined, 0.001);
  assertEquals(pool.held, [[2, 3, 4, 5]]);
  await pool.finishAll();
  assertEquals(pool.links[0].started, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a pool learns anew when a function's calls get long", async () => {
  const fn = await knownFn(0.01);
  const pool = new HandPool();
  pool.call(fn, "slow");
  pool.links[0].ready().answer(undefined, 1000);
  pool.call(fn, "running");
  await callAll(pool, fn, "ab");
  assertEquals(pool.held, [["running"]]);
});

// ---- Taking back, and sharing ----------------------------------------------

test("a pool takes calls back that wait behind one that turned out long", async (clock) => {
  const { pool, fn } = await poolWithCallsBehind("abc");
  assertEquals(pool.held, [["running", "a", "b", "c"]]);
  await clock.pass(3);
  await callAll(pool, fn, "d");
  assertEquals(pool.held, [["running"]]);
  pool.links[0].answer();
  await pool.finishAll();
  assertEquals(pool.links[0].started, ["running", "a", "b", "c", "d"]);
});

test("a pool takes no call back behind one that ends in time", async (clock) => {
  const { pool, fn } = await poolWithCallsBehind("abc");
  await clock.pass(2);
  pool.links[0].answer(undefined, 2);
  await clock.pass(2);
  await callAll(pool, fn, "d");
  assertEquals(pool.held, [["a", "b", "c", "d"]]);
});

test("a pool gives an idle worker a part of what waits behind another's call", async () => {
  const { pool } = await poolWithCallsBehind("abcd", 2);
  assertEquals(pool.held, [["running", "a", "b", "c", "d"], ["unknown 1"]]);
  pool.links[1].answer();
  assertEquals(pool.held, [["running", "a", "b"], pool.held[1]]);
  assertEquals(pool.held[1][0], "c");
});

test("a pool gives an idle worker all that waits behind a call that turned out long", async (clock) => {
  const { pool } = await poolWithCallsBehind("abcd", 2);
  await clock.pass(5);
  for (const name of "abcd") {
    pool.links[1].answer();
    assertEquals(pool.held[1][0], name);
  }
  pool.links[1].answer();
  assertEquals(pool.held, [["running"], []]);
});

test("a pool leaves a call that runs alone, however idle the others are", async () => {
  const { pool, futures } = await poolWithCallsBehind("", 2);
  pool.links[1].answer();
  assertEquals(pool.held, [["running"], []]);
  assert(futures[0].running());
});

test("a pool shares the waiting calls of a worker though another holds more cancelled ones", async () => {
  const fn = await knownFn(0.001);
  const pool = new HandPool({ maxWorkers: 3 });
  for (const name of "xyz") pool.call(fn, name);
  for (const link of pool.links) link.ready().begin();
  const futures = await callAll(pool, fn, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals(pool.held, [["x", 1, 2, 3], ["y", 4, 5, 6], ["z", 7, 8, 9]]);
  for (const i of [1, 2, 3, 6]) assert(futures[i - 1].cancel());
  // "x" and "y" hang from here on; the third worker has time.
  const [, , third] = pool.links;
  for (let i = 0; i < 6; i++) {
    if (third.holds.length > 0) third.answer(undefined, 0.001);
  }
  assertEquals(pool.held, [["x"], ["y"], []]);
  assertEquals(third.started.toSorted(), [4, 5, 7, 8, 9, "z"]);
});

/** Three workers: "x" and its calls are done but untold, "y" hangs with 4 behind it, "z" is idle. */
async function poolWithUntoldOutcomes(): Promise<{ pool: HandPool; fn: Any }> {
  const fn = await knownFn(0.001);
  const pool = new HandPool({ maxWorkers: 3 });
  for (const name of "xyz") pool.call(fn, name);
  for (const link of pool.links) link.ready().begin();
  const futures = await callAll(pool, fn, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals(pool.held, [["x", 1, 2, 3], ["y", 4, 5, 6], ["z", 7, 8, 9]]);
  for (const i of [5, 6, 7, 8, 9]) assert(futures[i - 1].cancel());
  for (let i = 0; i < 4; i++) pool.links[0].finish(returned(undefined), 0.001);
  pool.links[2].answer(undefined, 0.001);
  pool.links[2].skip();
  return { pool, fn };
}

test("a pool shares the waiting calls of a worker though another holds more that are done but untold", async () => {
  const { pool } = await poolWithUntoldOutcomes();
  assertEquals(pool.held, [[], ["y"], [4]]);
});

test("a pool sends the arguments of the time of submit though calls that were taken back go first", async (clock) => {
  const { pool, fn } = await poolWithUntoldOutcomes();
  await clock.pass(5);
  const list = ["as it was"];
  pool.call(fn, list);
  list[0] = "changed";
  await turn();
  await pool.finishAll();
  const started = pool.links.flatMap((link) => link.started);
  assertEquals(started.filter(Array.isArray), [["as it was"]]);
});

test("a pool shares waiting calls though cancelled ones are left in the queue", async () => {
  const { pool, futures } = await poolWithCallsBehind("a", 2);
  // Nothing is known of this one: it waits in the queue.
  const queued = pool.call(unknownFn(), "queued");
  await turn();
  assertEquals(pool.held, [["running", "a"], ["unknown 1"]]);
  queued.cancel();
  await turn();
  pool.links[1].answer();
  assertEquals(pool.held, [["running"], ["a"]]);
  assertEquals(futures[1].done(), false);
});

test("a pool sends the arguments of the time of submit again when a call is taken back from a worker", async (clock) => {
  const fn = await knownFn(0.001);
  const pool = new HandPool();
  pool.call(fn, "warm up");
  pool.links[0].ready().answer(undefined, 0.001);
  const list = ["as it was"];
  pool.call(fn, list);
  list[0] = "changed";
  // The worker's thread is slow to look at what it got.
  await callAll(pool, fn, "a");
  await clock.pass(10);
  await callAll(pool, fn, "b");
  pool.links[0].begin();
  await pool.finishAll();
  assertEquals(pool.links[0].started[1], ["as it was"]);
});

test("a pool sends the arguments of the time of submit wherever a call that others were sent behind is run", async () => {
  const fn = await knownFn(0.001);
  const pool = new HandPool({ maxWorkers: 2 });
  for (const name of "xy") pool.call(fn, name);
  for (const link of pool.links) link.ready();
  pool.links[0].answer(undefined, 0.001);
  const list = ["as it was"];
  pool.call(fn, list);
  list[0] = "changed";
  const [behind] = await callAll(pool, fn, "a");
  assertEquals(pool.links[0].inbox.length, 2);
  behind.cancel();
  pool.links[1].answer(undefined, 0.001);
  await pool.finishAll();
  const started = pool.links.flatMap((link) => link.started);
  assertEquals(started.filter(Array.isArray), [["as it was"]]);
});

// ---- Cancelling ------------------------------------------------------------

test("a pool never hands over a call that was cancelled in the queue", async () => {
  const pool = new HandPool();
  const fn = unknownFn();
  const [, b, c] = await callAll(pool, fn, "abc");
  assert(b.cancel());
  assert(b.cancelled());
  await pool.finishAll();
  assertEquals(pool.links[0].started, ["a", "c"]);
  assert(c.done());
});

test("a pool has a worker skip a call that was cancelled after it was handed over", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn(), "a");
  assertEquals(future.running(), false);
  assert(future.cancel());
  await pool.finishAll();
  assertEquals(pool.links[0].started, []);
  await assertRejects(() => future.result(), CancelledError);
});

test("a pool refuses to cancel a call that has started", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn(), "a");
  pool.links[0].begin();
  assertEquals(future.cancel(), false);
  assert(future.running());
  pool.links[0].answer("result");
  assertEquals(await future.result(), "result");
});

test("a pool refuses to cancel a call whose outcome is on its way", () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn(), "a");
  pool.links[0].finish();
  assertEquals(future.cancel(), false);
  assertEquals(future.done(), false);
  assert(future.running());
});

test("a pool tells whether a call runs at the moment it is asked", () => {
  const pool = new HandPool();
  const [a, b] = ["a", "b"].map((name) => pool.call(unknownFn(), name));
  assertEquals([a.running(), b.running()], [false, false]);
  pool.links[0].begin();
  assertEquals([a.running(), b.running()], [true, false]);
  pool.links[0].answer();
  assertEquals([a.running(), b.running()], [false, false]);
  pool.links[0].begin();
  assertEquals([a.running(), b.running()], [false, true]);
});

test("a pool says of a cancelled call again that it is cancelled, and of a finished one never", () => {
  const pool = new HandPool();
  const [a, b] = ["a", "b"].map((name) => pool.call(unknownFn(), name));
  assertEquals([b.cancel(), b.cancel(), b.running()], [true, true, false]);
  pool.links[0].answer();
  assertEquals([a.cancel(), a.cancelled()], [false, false]);
  assertEquals([b.cancel(), b.cancelled()], [true, true]);
});

test("a pool uses the slot of a cancelled call again only after the worker skipped it", async () => {
  const pool = new HandPool({ slots: 1 });
  const [a, b] = ["a", "b"].map((name) => pool.call(unknownFn(), name));
  a.cancel();
  await turn();
  assertEquals(pool.links[0].messages, [["a"]]);
  pool.links[0].ready().skip();
  assertEquals(pool.links[0].messages, [["a"], ["b"]]);
  pool.links[0].answer();
  assert(b.done());
});

test("a pool uses no slot of a call that was taken back until the worker skipped it", async (clock) => {
  const { pool, fn } = await poolWithCallsBehind("abc");
  const before = pool.links[0].slots.slice(1);
  await clock.pass(5);
  await callAll(pool, fn, "d");
  pool.links[0].answer(undefined, 0.001);
  const again = pool.links[0].slots.slice(4);
  assertEquals([before.length, again.length], [3, 4]);
  assertEquals(again.filter((slot) => before.includes(slot)), []);
});

test("a pool gives a worker whose calls were all cancelled another only when it has skipped them", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const fn = unknownFn();
  const a = pool.call(fn, "a");
  a.cancel();
  pool.call(fn, "b");
  assertEquals(pool.held, [[], ["b"]]);
  pool.links[0].ready().skip();
  pool.call(fn, "c");
  assertEquals(pool.held, [["c"], ["b"]]);
  await pool.finishAll();
});

test("a pool can have a call cancelled by the callback of another", async () => {
  const pool = new HandPool();
  const [a, b, c] = await callAll(pool, unknownFn(), "abc");
  a.addDoneCallback(() => assert(b.cancel()));
  b.addDoneCallback(() => assert(c.cancel()));
  pool.links[0].answer();
  await pool.finishAll();
  assertEquals(pool.links[0].started, ["a"]);
  await pool.shutdown();
});

test(
  "a pool forgets cancelled calls behind a worker that stays blocked",
  async () => {
    const pool = new HandPool();
    const fn = unknownFn();
    pool.call(fn, "blocks");
    pool.links[0].begin();
    // This one stays first in the queue.
    pool.call(fn, "waits");
    const refs: WeakRef<object>[] = [];
    (() => {
      const futures = [];
      for (let i = 0; i < 200_000; i++) {
        const future = pool.call(fn);
        futures.push(future);
        if (i % 100 === 0) refs.push(new WeakRef(future));
      }
      for (const future of futures) future.cancel();
    })();
    await isCollected(refs[0]);
    const alive = refs.filter((ref) => ref.deref() !== undefined).length;
    assert(alive <= 20, `${alive} percent of a thousand stay`);
    await pool.finishAll();
  },
  { ignore: withoutGc },
);

test(
  "a pool keeps nothing of the arguments of a call that is done",
  async () => {
    const pool = new HandPool();
    const fn = unknownFn();
    pool.call(fn, "blocks");
    pool.links[0].begin();
    const refs: WeakRef<object>[] = [];
    const futures = (() => {
      const big = { big: true };
      refs.push(new WeakRef(big));
      return [pool.call(fn, "queued", [big])];
    })();
    futures[0].cancel();
    assert(await isCollected(refs[0]));
    await pool.finishAll();
  },
  { ignore: withoutGc },
);

// ---- Outcomes --------------------------------------------------------------

test("a pool settles a future with what the call returned", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  pool.links[0].answer([1, 2]);
  assertEquals(await future.result(), [1, 2]);
});

test("a pool settles a future with what the call threw", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  pool.links[0].finish(threw(record("RangeError", "too big")));
  pool.links[0].deliver();
  await assertRejects(() => future.result(), RangeError, "too big");
});

test("a pool passes on a thrown value that is no error", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  pool.links[0].finish(threw({ thrown: { value: undefined }, errors: [] }));
  pool.links[0].deliver();
  const outcome = await future.result().then(() => "returned", (e) => [e]);
  assertEquals(outcome, [undefined]);
});

test("a pool fails a call whose module has no guarded main part with a RuntimeError", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  pool.links[0].finish({ is: "unguarded", message: "put it under if" });
  pool.links[0].deliver();
  await assertRejects(() => future.result(), RuntimeError, "put it under if");
});

test("a pool ignores the outcome of a call whose future somebody else has settled", async () => {
  const pool = new HandPool();
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  a.setResult("by hand");
  pool.links[0].answer("by worker");
  assertEquals(await a.result(), "by hand");
  pool.links[0].answer("b");
  assertEquals(await b.result(), "b");
  await pool.shutdown();
});

test("a pool passes over a queued call whose future somebody else has settled, and still ends", async () => {
  const pool = new HandPool();
  const [, b, c] = await callAll(pool, unknownFn(), "abc");
  b.setException(new Error("by hand"));
  c.setResult("by hand");
  const closed = pool.shutdown();
  pool.links[0].answer();
  assertEquals(pool.links[0].started, ["a"]);
  await closed;
});

test("a pool does not cancel a queued call whose future somebody else has settled", async () => {
  const pool = new HandPool();
  const [, b] = await callAll(pool, unknownFn(), "ab");
  b.setResult("by hand");
  assertEquals(b.cancel(), false);
  await pool.finishAll();
  await pool.shutdown();
});

test("a pool has the worker idle already when a future's callbacks run", () => {
  const pool = new HandPool({ maxWorkers: 4 });
  const fn = unknownFn();
  let left = 5;
  const again = () => {
    if (left-- > 0) pool.call(fn, left).addDoneCallback(again);
  };
  again();
  for (let i = 0; i < 5; i++) pool.links[0].answer();
  assertEquals(pool.links.length, 1);
  assertEquals(pool.links[0].started, [4, 3, 2, 1, 0]);
});

test("a pool goes on when a callback throws", async () => {
  using errors = stub(console, "error");
  const pool = new HandPool();
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  a.addDoneCallback(() => {
    throw new Error("in a callback");
  });
  pool.links[0].answer();
  pool.links[0].answer("b");
  assertEquals(await b.result(), "b");
  assertEquals(errors.calls.length, 1);
});

// ---- Breaking --------------------------------------------------------------

test("a pool that a worker's death breaks fails every pending future with an error of its own", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const fn = unknownFn("isPrime");
  const futures = await callAll(pool, fn, "abcd");
  pool.links[0].begin();
  pool.links[1].begin();
  pool.links[0].events.onDeath("ended by Deno.exit(3)");
  const errors = await Promise.all(futures.map((f) => f.exception()));
  const message =
    'Worker "hand_0" ended by Deno.exit(3) while it ran "isPrime": create a new pool';
  for (const [i, error] of errors.entries()) {
    assertInstanceOf(error, BrokenThreadPool);
    assertEquals(error.message, message);
    for (const other of errors.slice(0, i)) assertNotStrictEquals(error, other);
  }
});

test("a broken pool throws at every submit, and says why it broke", () => {
  const pool = new HandPool();
  const error = new TypeError("oops");
  pool.call(unknownFn("isPrime"));
  pool.links[0].begin();
  pool.links[0].events.onDeath("ended by an uncaught error", { error });
  for (let i = 0; i < 2; i++) {
    const thrown = assertThrows(
      () => pool.call(unknownFn("isOdd")),
      BrokenThreadPool,
    );
    assertMatch(
      thrown.message,
      /^Cannot submit "isOdd" to HandPool: worker "hand_0" ended by an uncaught error( \(TypeError: oops\))? while it ran "isPrime": create a new pool$/,
    );
    assertStrictEquals(thrown.cause, error);
  }
});

test("a broken pool's errors have what the worker died of as their cause", async () => {
  const pool = new HandPool();
  const error = new TypeError("oops");
  const future = pool.call(unknownFn());
  pool.links[0].events.onDeath("ended by an uncaught error", { error });
  assertStrictEquals(((await future.exception()) as Error).cause, error);
});

test("a broken pool's errors have no cause when none is known", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  pool.links[0].events.onDeath("ended by self.close()");
  assertEquals("cause" in (await future.exception() as Error), false);
});

test("a pool breaks by the death of a worker that was about to start", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  pool.links[0].events.onDeath("ended by self.close()");
  await assertRejects(
    () => future.result(),
    BrokenThreadPool,
    'Worker "hand_0" ended by self.close() before it ran a call: create a new pool',
  );
});

test("a pool breaks by the death of a worker that was idle", () => {
  const pool = new HandPool();
  pool.call(unknownFn("isPrime"));
  pool.links[0].answer();
  pool.links[0].events.onDeath("ended by self.close()");
  assertThrows(
    () => pool.call(unknownFn("isPrime")),
    BrokenThreadPool,
    'Cannot submit "isPrime" to HandPool: worker "hand_0" ended by self.close() while it was idle: create a new pool',
  );
});

test("a pool names the call that ran, of all that the dead worker held", async () => {
  const fn = await knownFn(0.001);
  const pool = new HandPool();
  pool.call(fn, "first");
  pool.links[0].ready();
  const [last] = await callAll(pool, fn, ["last"]);
  pool.links[0].finish();
  pool.links[0].begin();
  pool.links[0].events.onDeath("ended by Deno.exit()");
  const error = await last.exception() as Error;
  assertEquals(
    error.message,
    `Worker "hand_0" ended by Deno.exit() while it ran "${fn.name}": create a new pool`,
  );
});

test("a pool that breaks while it drains still ends its shutdown", async () => {
  const pool = new HandPool();
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  const closed = pool.shutdown();
  pool.links[0].begin();
  pool.links[0].events.onDeath("ended by Deno.exit(1)");
  await closed;
  for (const future of [a, b]) {
    assertInstanceOf(await future.exception(), BrokenThreadPool);
  }
});

test("a pool that is closed does not break by a death that is told late", async () => {
  const pool = new HandPool();
  pool.call(unknownFn());
  pool.links[0].answer();
  await pool.shutdown();
  pool.links[0].events.onDeath("ended by self.close()");
  const error = assertThrows(() => pool.call(unknownFn()));
  assertInstanceOf(error, RuntimeError);
  assertEquals(error instanceof BrokenThreadPool, false);
});

test("a broken pool ignores a second death", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const futures = await callAll(pool, unknownFn(), "ab");
  for (const link of pool.links) link.events.onDeath("ended by Deno.exit()");
  pool.links[0].events.onDeath("ended by self.close()");
  const message =
    'Worker "hand_0" ended by Deno.exit() before it ran a call: create a new pool';
  for (const future of futures) {
    assertEquals((await future.exception() as Error).message, message);
  }
  assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
});

test("a broken pool ignores whatever a worker still says", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const futures = await callAll(pool, unknownFn(), "ab");
  pool.links[1].finish(returned("too late"));
  pool.links[0].events.onDeath("ended by Deno.exit()");
  for (const { events } of pool.links) {
    events.onReady();
    events.onOutcome(255, 1, returned("too late"));
    events.onSkipped([255]);
    events.onInitializerFailed(threw(record("Error", "too late")));
  }
  for (const future of futures) {
    assertInstanceOf(await future.exception(), BrokenThreadPool);
  }
  await pool.shutdown();
});

test("a pool that breaks ends all workers before it fails a future", () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const seen: unknown[] = [];
  for (const name of "ab") {
    pool.call(unknownFn(), name).addDoneCallback(() => {
      seen.push(pool.links.map(({ ended }) => ended));
      assertThrows(() => pool.call(unknownFn()), BrokenThreadPool);
    });
  }
  pool.links[1].events.onDeath("ended by Deno.exit()");
  assertEquals(seen, [[1, 1], [1, 1]]);
});

test("a pool that breaks fails the calls that run first, then the queue in its order", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const order: unknown[] = [];
  for (const name of "abcd") {
    pool.call(unknownFn(), name).addDoneCallback(() => order.push(name));
  }
  await turn();
  pool.links[0].events.onDeath("ended by Deno.exit()");
  assertEquals(order, ["a", "b", "c", "d"]);
});

test("a pool that breaks lets no callback cancel a call that has run", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  for (const link of pool.links) link.begin();
  const answers: unknown[] = [];
  a.addDoneCallback(() => answers.push(b.running(), b.cancel()));
  pool.links[0].events.onDeath("ended by Deno.exit()");
  assertEquals(answers, [true, false]);
  assertInstanceOf(await b.exception(), BrokenThreadPool);
});

test("a pool that breaks leaves futures alone that are done", async () => {
  const pool = new HandPool();
  const [a, b, c] = await callAll(pool, unknownFn(), "abc");
  a.setResult("by hand");
  b.cancel();
  pool.links[0].begin();
  pool.links[0].events.onDeath("ended by Deno.exit()");
  assertEquals(await a.result(), "by hand");
  assert(b.cancelled());
  assertInstanceOf(await c.exception(), BrokenThreadPool);
});

test("a pool breaks when an initializer fails, and says with what", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const futures = await callAll(pool, unknownFn("isPrime"), "abc");
  const outcome = threw(record("RangeError", "no table"));
  pool.links[1].events.onInitializerFailed(outcome);
  for (const future of futures) {
    const error = await future.exception();
    assertInstanceOf(error, BrokenThreadPool);
    assertEquals(
      error.message,
      'The initializer failed in worker "hand_1" with RangeError: no table: create a new pool',
    );
    assertInstanceOf(error.cause, RangeError);
  }
  assertThrows(
    () => pool.call(unknownFn("isOdd")),
    BrokenThreadPool,
    'Cannot submit "isOdd" to HandPool: the initializer failed in worker "hand_1" with RangeError: no table: create a new pool',
  );
  assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
});

test("a pool shows what an initializer threw that is no error", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  pool.links[0].events.onInitializerFailed(
    threw({ thrown: { value: { code: 7 } }, errors: [] }),
  );
  const error = await future.exception() as Error;
  assertEquals(
    error.message,
    'The initializer failed in worker "hand_0" with { code: 7 }: create a new pool',
  );
  assertEquals(error.cause, { code: 7 });
});

test("a pool breaks when no worker can be started", async () => {
  const cause = new Error("too many threads");
  const pool = new HandPool({
    onOpen() {
      throw cause;
    },
  });
  const error = await pool.call(unknownFn("isPrime")).exception();
  assertInstanceOf(error, BrokenThreadPool);
  assertEquals(
    error.message,
    "No worker can be started (Error: too many threads)",
  );
  assertStrictEquals(error.cause, cause);
  assertThrows(
    () => pool.call(unknownFn("isPrime")),
    BrokenThreadPool,
    'Cannot submit "isPrime" to HandPool: no worker can be started (Error: too many threads)',
  );
  await pool.shutdown();
});

/** Has links of a pool not open while `refuses()` says so; counts how often it was tried. */
function refusing(refuses: () => boolean): { tries: number; onOpen(): void } {
  return {
    tries: 0,
    onOpen() {
      this.tries++;
      if (refuses()) throw new Error("too many open files");
    },
  };
}

test("calls wait for the other workers where one more cannot be started, and are not cheated of a copy", async () => {
  const pool = new HandPool({
    maxWorkers: 3,
    onOpen({ index }) {
      if (index > 0) throw new Error("too many threads");
    },
  });
  const fn = unknownFn();
  const futures = [pool.call(fn, "a")];
  const list = ["b"];
  futures.push(pool.call(fn, list), pool.call(fn, "c"));
  list.push("late");
  const [link] = pool.links;
  link.ready().answer(1);
  link.answer(2);
  await turn();
  assertEquals(link.holds, ["c"]);
  link.answer(3);
  assertEquals(link.messages, [["a"], [["b"]], ["c"]]);
  assertEquals(
    await Promise.all(futures.map((future) => future.result())),
    [1, 2, 3],
  );
  await pool.shutdown();
});

test("a worker that cannot be started is tried again after a while, when calls are handed out, and not before", async (clock) => {
  let refuses = false;
  const opening = refusing(() => refuses);
  const pool = new HandPool({ maxWorkers: 2, onOpen: () => opening.onOpen() });
  pool.call(unknownFn(), "a");
  refuses = true;
  for (let i = 0; i < 5; i++) pool.call(unknownFn(), i);
  await clock.pass(900);
  pool.call(unknownFn(), "b");
  assertEquals(opening.tries, 2);
  refuses = false;
  await clock.pass(200);
  pool.call(unknownFn(), "c");
  await turn();
  assertEquals(opening.tries, 3);
  assertEquals(pool.held, [["a"], [0]]);
  await pool.finishAll();
  await pool.shutdown();
});

test("a worker that cannot be started is tried again once another is gone", async () => {
  const gone = Promise.withResolvers<void>();
  const open: HandLink[] = [];
  const pool = new HandPool({
    maxWorkers: 2,
    maxTasks: 1,
    onOpen(link) {
      if (open.some(({ ended }) => ended === 0) || open.length === 1) {
        throw new Error("too many open files");
      }
      link.gone = gone.promise;
      open.push(link);
    },
  });
  // It fails for as long as anything is left of the first.
  const fn = unknownFn();
  const futures = [pool.call(fn, "a"), pool.call(fn, "b")];
  await turn();
  pool.links[0].ready().answer("a");
  await turn();
  assertEquals(futures.map((future) => future.done()), [true, false]);
  assertEquals(pool.links[0].ended, 1);
  open.length = 0;
  gone.resolve();
  await turn();
  assertEquals(pool.links.length, 2);
  pool.links[1].ready().answer("b");
  assertEquals(await futures[1].result(), "b");
  await pool.shutdown();
});

test("a pool breaks when the last worker is gone and none can be started", async () => {
  let refuses = false;
  const opening = refusing(() => refuses);
  const pool = new HandPool({
    maxWorkers: 2,
    maxTasks: 1,
    onOpen: () => opening.onOpen(),
  });
  const futures = [pool.call(unknownFn(), "a")];
  refuses = true;
  futures.push(pool.call(unknownFn(), "b"));
  pool.links[0].ready().answer("a");
  assertEquals(await futures[0].result(), "a");
  const error = await futures[1].exception();
  assertInstanceOf(error, BrokenThreadPool);
  assertEquals(
    error.message,
    "No worker can be started (Error: too many open files)",
  );
  await pool.shutdown();
});

// ---- What must not be lost -------------------------------------------------

/** Outcomes that nothing can be made of. */
const UNREADABLE: Record<string, unknown> = {
  "an exception that is none of its list": {
    is: "threw",
    what: { thrown: { error: 3 }, errors: "none" },
  },
  "nothing about what was thrown": { is: "threw", what: undefined },
  "what throws when it is read": {
    is: "threw",
    get what() {
      throw new TypeError("no");
    },
  },
};

for (const [what, outcome] of Object.entries(UNREADABLE)) {
  test(`an outcome with ${what} fails its call alone`, async () => {
    const pool = new HandPool();
    const fn = unknownFn();
    const [bad, good] = await callAll(pool, fn, ["bad", "good"]);
    const [link] = pool.links;
    link.ready().finish(outcome as Outcome);
    link.deliver();
    const error = await bad.exception();
    assertInstanceOf(error, Error);
    assertMatch(error.message, /^What the call threw can't be (read|told)/);
    link.answer(5);
    assertEquals(await good.result(), 5);
    await pool.shutdown();
  });
}

test("a pool that fails itself at an outcome settles that call, and then breaks", async () => {
  const pool = new HandPool({
    recycle() {
      throw new Error("no memory");
    },
  });
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  pool.links[0].ready().answer(1);
  assertEquals(await a.result(), 1);
  const error = await b.exception();
  assertInstanceOf(error, BrokenThreadPool);
  assertEquals(
    error.message,
    "The pool failed itself with Error: no memory: create a new pool",
  );
  assertEquals(pool.links[0].ended, 1);
  await pool.shutdown();
});

for (
  const [what, slot, item, ms] of [
    ["of a slot that has no call", 7, 0, 1],
    ["of what is no slot", -1, 0, 1],
    ["of what is no number", "0", 0, 1],
    ["of an item of what has none", 0, 1, 1],
    ["after a time that is none", 0, 0, NaN],
    ["after less than no time", 0, 0, -1],
    ["after endless time", 0, 0, Infinity],
    ["after a text", 0, 0, "1"],
  ] as [string, Any, Any, Any][]
) {
  test(`an outcome ${what} is what could not be read: it ends the worker, and nobody waits`, async () => {
    const pool = new HandPool({ slots: 2, maxWorkers: 1 });
    const [a] = await callAll(pool, await knownFn(0.001), "a");
    const [link] = pool.links;
    link.ready();
    const own = slot === 0 ? link.slots[0] : slot;
    link.events.onOutcome(own, ms, returned("forged"), false, item);
    const error = await a.exception() as Error;
    assertInstanceOf(error, BrokenThreadPool);
    assertEquals(error.message.includes("sent what could not be read"), true);
    assertEquals(link.ended, 1);
    await pool.shutdown();
  });
}

test("a call that has ended ends no second time: that is what could not be read", async () => {
  const pool = new HandPool({ slots: 2, maxWorkers: 1 });
  const [a, b] = await callAll(pool, await knownFn(0.001), "ab");
  const [link] = pool.links;
  link.ready().answer("a");
  assertEquals(await a.result(), "a");
  link.events.onOutcome(link.slots[0], 1, returned("again"));
  assertInstanceOf(await b.exception(), BrokenThreadPool);
  await pool.shutdown();
});

test("a worker whose end fails does not keep a shutdown from ending", async () => {
  const pool = new HandPool();
  const [a] = await callAll(pool, unknownFn(), "a");
  const [link] = pool.links;
  link.gone = Promise.reject(new Error("it would not"));
  link.gone.catch(() => {});
  link.ready().answer(1);
  assertEquals(await a.result(), 1);
  const { error } = console;
  const lines: unknown[][] = [];
  console.error = (...line) => lines.push(line);
  try {
    await pool.shutdown();
  } finally {
    console.error = error;
  }
  assertEquals(lines.map(([text]) => text), [
    'The end of worker "hand_0" failed:',
  ]);
});

// ---- What cannot be sent ---------------------------------------------------

/** Has a link refuse every message with this call in it. */
function refuse(link: HandLink, name: unknown, error: unknown): void {
  link.check = (calls) => {
    if (calls.some((call) => nameOf(call) === name)) throw error;
  };
}

test("a pool fails a call that cannot be sent, and goes on with the worker", async () => {
  const error = new DOMException("a is a function", "DataCloneError");
  const pool = new HandPool({ onOpen: (link) => refuse(link, "a", error) });
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  assertStrictEquals(await a.exception(), error);
  assertEquals(pool.held, [["b"]]);
  pool.links[0].answer("b");
  assertEquals(await b.result(), "b");
  await pool.shutdown();
});

test("a pool fails of several calls only the one that cannot be sent", async () => {
  const error = new DOMException("b is a function", "DataCloneError");
  const fn = await knownFn(0.001);
  const pool = new HandPool({ onOpen: (link) => refuse(link, "b", error) });
  pool.call(fn, "running");
  pool.links[0].ready();
  const [, b] = await callAll(pool, fn, "abc");
  assertStrictEquals(await b.exception(), error);
  assertEquals(pool.held, [["running", "a", "c"]]);
  await pool.finishAll();
  await pool.shutdown();
});

test("a pool knows a worker as busy after one of several calls could not be sent to it", async () => {
  const { pool } = await poolWithCallsBehind("abcd", 2);
  refuse(pool.links[1], "c", new DOMException("c", "DataCloneError"));
  pool.links[1].answer();
  assertEquals(pool.held[1], ["d"]);
  // Nothing is known of these: each waits for a worker of its own.
  await callAll(pool, unknownFn(), "xy");
  assertEquals(pool.held[1], ["d"]);
  pool.links[1].answer();
  assertEquals(pool.held[1].length, 1);
});

test("a pool ends when the last call could not be sent", async () => {
  const pool = new HandPool({
    onOpen: (link) => refuse(link, "a", new Error("unsendable")),
  });
  pool.call(unknownFn(), "a");
  await pool.shutdown();
  assertEquals(pool.links[0].ended, 1);
});

test("a pool ends its idle worker when the only call could not be sent", async (clock) => {
  const pool = new HandPool({
    idleTimeout: 50,
    onOpen: (link) => refuse(link, "a", new Error("unsendable")),
  });
  pool.call(unknownFn(), "a");
  await clock.pass(60);
  assertEquals(pool.links[0].ended, 1);
});

// ---- Shutdown --------------------------------------------------------------

test("a pool without calls shuts down at once", async () => {
  const pool = new HandPool();
  await pool.shutdown();
  assertThrows(
    () => pool.call(unknownFn("isPrime")),
    RuntimeError,
    'Cannot submit "isPrime" to HandPool: cannot schedule new futures after shutdown',
  );
  assertEquals(pool.links.length, 0);
});

test("a pool runs all calls before its shutdown ends", async () => {
  const pool = new HandPool();
  const futures = await callAll(pool, unknownFn(), "abc");
  const closed = pool.shutdown();
  for (let i = 0; i < 3; i++) {
    assertEquals(await stateOf(closed), "pending");
    assertEquals(pool.links[0].ended, 0);
    pool.links[0].answer(i);
  }
  await closed;
  assertEquals(pool.links[0].ended, 1);
  assertEquals(await Promise.all(futures.map((f) => f.result())), [0, 1, 2]);
});

test("a pool that drains still starts workers for its calls", async () => {
  const pool: HandPool = new HandPool({ maxWorkers: 1 });
  await callAll(pool, unknownFn(), "ab");
  const closed = pool.shutdown();
  pool.links[0].answer();
  assertEquals(pool.held, [["b"]]);
  pool.links[0].answer();
  await closed;
});

test("a pool's shutdown without wait resolves at once, and the work completes", async () => {
  const pool = new HandPool();
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  await pool.shutdown({ wait: false });
  assertEquals([a.done(), b.done()], [false, false]);
  pool.links[0].answer(1);
  pool.links[0].answer(2);
  assertEquals([await a.result(), await b.result()], [1, 2]);
  assertEquals(pool.links[0].ended, 1);
});

test("a pool's shutdown that cancels leaves only what runs", async () => {
  const fn = await knownFn(0.001);
  const pool = new HandPool();
  pool.call(fn, "warm up");
  pool.links[0].ready().answer(undefined, 0.001);
  const running = pool.call(fn, "running");
  pool.links[0].begin();
  const [ahead] = await callAll(pool, fn, ["ahead"]);
  assertEquals(pool.held, [["running", "ahead"]]);
  const queued = pool.call(unknownFn(), "queued");
  const closed = pool.shutdown({ cancelFutures: true });
  assertEquals([running, ahead, queued].map((f) => f.cancelled()), [
    false,
    true,
    true,
  ]);
  assertEquals(await stateOf(closed), "pending");
  pool.links[0].answer("done");
  await closed;
  assertEquals(await running.result(), "done");
  assertEquals(pool.links[0].started, ["warm up", "running"]);
});

test("a pool's shutdown that cancels everything ends at once", async () => {
  const pool = new HandPool({ maxWorkers: 2 });
  const futures = await callAll(pool, unknownFn(), "abcd");
  await pool.shutdown({ cancelFutures: true });
  assert(futures.every((future) => future.cancelled()));
  assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
});

test("a pool's second shutdown can cancel what the first left", async () => {
  const pool = new HandPool();
  const [a, b] = await callAll(pool, unknownFn(), "ab");
  pool.links[0].begin();
  const first = pool.shutdown();
  const second = pool.shutdown({ cancelFutures: true });
  assertEquals([a.cancelled(), b.cancelled()], [false, true]);
  pool.links[0].answer();
  await Promise.all([first, second]);
  await pool.shutdown();
  assertEquals(pool.links[0].ended, 1);
});

test("a pool's shutdown stays pending until nothing of a worker is left", async () => {
  const gone = Promise.withResolvers<void>();
  const pool = new HandPool({ onOpen: (link) => link.gone = gone.promise });
  pool.call(unknownFn());
  pool.links[0].answer();
  const closed = [pool.shutdown(), pool.shutdown()];
  assertEquals(await stateOf(Promise.race(closed)), "pending");
  assertEquals(await stateOf(pool.shutdown({ wait: false })), "fulfilled");
  gone.resolve();
  await Promise.all(closed);
});

test("a broken pool's shutdown stays pending until nothing of a worker is left", async () => {
  const gone = Promise.withResolvers<void>();
  const pool = new HandPool({ onOpen: (link) => link.gone = gone.promise });
  pool.call(unknownFn());
  pool.links[0].events.onDeath("ended by Deno.exit()");
  const closed = pool.shutdown();
  assertEquals(await stateOf(closed), "pending");
  gone.resolve();
  await closed;
  await pool.shutdown({ cancelFutures: true });
});

test("a pool's shutdown also waits for workers that ended for being idle", async (clock) => {
  const gone = Promise.withResolvers<void>();
  const pool = new HandPool({ onOpen: (link) => link.gone = gone.promise });
  pool.call(unknownFn());
  pool.links[0].answer();
  await clock.pass(300);
  assertEquals(pool.links[0].ended, 1);
  const closed = pool.shutdown();
  assertEquals(await stateOf(closed), "pending");
  gone.resolve();
  await closed;
});

test("a pool may be shut down by the callback of its last call", async () => {
  const pool = new HandPool();
  let closed: Promise<void> | undefined;
  pool.call(unknownFn()).addDoneCallback(() => closed = pool.shutdown());
  pool.links[0].answer();
  await closed;
  assertEquals(pool.links[0].ended, 1);
});

test("a pool ends when the call that it drained for is cancelled", async () => {
  const pool = new HandPool();
  const future = pool.call(unknownFn());
  const closed = pool.shutdown();
  future.cancel();
  await closed;
  assertEquals(pool.links[0].ended, 1);
});

test("a pool leaves no timer behind once it is shut down", async (clock) => {
  const pool = new HandPool();
  pool.call(unknownFn());
  pool.links[0].answer();
  await pool.shutdown();
  assertEquals(await clock.nextAsync(), false);
});

test("a broken pool leaves no timer behind", async (clock) => {
  const pool = new HandPool();
  pool.call(unknownFn());
  pool.links[0].answer();
  pool.links[0].events.onDeath("ended by Deno.exit()");
  assertEquals(await clock.nextAsync(), false);
});

// ---- Idle workers ----------------------------------------------------------

test("a pool ends its workers when there was nothing to do for idleTimeout", async (clock) => {
  const pool = new HandPool({ maxWorkers: 2, idleTimeout: 100 });
  for (const name of "ab") pool.call(unknownFn(), name);
  for (const link of pool.links) link.answer();
  await clock.pass(99);
  assertEquals(pool.links.map(({ ended }) => ended), [0, 0]);
  await clock.pass(1);
  assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
});

test("a pool keeps its workers while one call runs, however long the others are idle", async (clock) => {
  const pool = new HandPool({ maxWorkers: 2, idleTimeout: 100 });
  for (const name of "ab") pool.call(unknownFn(), name);
  pool.links[1].answer();
  await clock.pass(10_000);
  assertEquals(pool.links.map(({ ended }) => ended), [0, 0]);
  pool.links[0].answer();
  await clock.pass(100);
  assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
});

test("a pool counts idleTimeout from its last call", async (clock) => {
  const pool = new HandPool({ idleTimeout: 100 });
  const fn = unknownFn();
  for (let i = 0; i < 10; i++) {
    pool.call(fn);
    pool.links[0].answer();
    await clock.pass(90);
  }
  assertEquals([pool.links.length, pool.links[0].ended], [1, 0]);
  await clock.pass(10);
  assertEquals(pool.links[0].ended, 1);
});

test("a pool keeps its workers for a call that comes before idleTimeout, and ends them after it", async (clock) => {
  const pool = new HandPool({ idleTimeout: 100 });
  const fn = unknownFn();
  pool.call(fn);
  pool.links[0].answer();
  await clock.pass(50);
  pool.call(fn);
  await clock.pass(1000);
  assertEquals(pool.links[0].ended, 0);
  pool.links[0].answer();
  await clock.pass(99);
  assertEquals(pool.links[0].ended, 0);
  await clock.pass(1);
  assertEquals(pool.links[0].ended, 1);
});

test("a pool counts idleTimeout from a cancel, if that was the last", async (clock) => {
  const pool = new HandPool({ idleTimeout: 100 });
  const future = pool.call(unknownFn());
  await clock.pass(500);
  future.cancel();
  await clock.pass(99);
  assertEquals(pool.links[0].ended, 0);
  await clock.pass(1);
  assertEquals(pool.links[0].ended, 1);
});

test("a pool starts a new worker, with the same index, after the idle ones ended", async (clock) => {
  const pool = new HandPool({ idleTimeout: 100 });
  pool.call(unknownFn(), "a");
  pool.links[0].answer();
  await clock.pass(100);
  const future = pool.call(unknownFn(), "b");
  assertEquals(pool.links.map(({ index }) => index), [0, 0]);
  assertEquals(pool.held, [[], ["b"]]);
  pool.links[1].answer("b");
  assertEquals(await future.result(), "b");
  await pool.shutdown();
});

test("a pool ignores what a worker says that ended for being idle", async (clock) => {
  const pool = new HandPool({ idleTimeout: 100 });
  pool.call(unknownFn(), "a");
  pool.links[0].answer();
  await clock.pass(100);
  pool.links[0].events.onDeath("ended by self.close()");
  const future = pool.call(unknownFn(), "b");
  pool.links[0].events.onOutcome(255, 1, returned("of another worker"));
  assertEquals(future.done(), false);
  await pool.finishAll();
  await pool.shutdown();
});

test("a pool keeps its workers for as long as a timer can be", async (clock) => {
  const pool = new HandPool({ idleTimeout: LONGEST_TIMER_MS });
  pool.call(unknownFn());
  pool.links[0].answer();
  await clock.pass(LONGEST_TIMER_MS - 1);
  assertEquals(pool.links[0].ended, 0);
  await clock.pass(1);
  assertEquals(pool.links[0].ended, 1);
});

// ---- Any order -------------------------------------------------------------

/** Numbers that look random, the same for each seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * below);
  };
}

/** What the model knows of a call. */
interface Expected {
  readonly future: Future<Any>;
  state: "waiting" | "cancelled" | "started" | "finished";
  /** Set when the pool was told of the outcome. */
  told: boolean;
}

async function playRandomly(
  clock: FakeClock,
  fns: readonly Any[],
  seed: number,
): Promise<void> {
  const random = randomOf(seed);
  const maxWorkers = 1 + random(4);
  const pool = new HandPool({
    maxWorkers,
    slots: [2, 8, 256][random(3)],
    idleTimeout: 50,
  });
  const calls: Expected[] = [];
  const ready = new Set<HandLink>();
  const inOrder: number[] = [];
  let broken = false;
  let draining: Promise<void> | undefined;
  const alive = () => pool.links.filter((link) => link.ended === 0);

  const check = (ok: boolean, what: string) => {
    assert(ok, `${what} (seed ${seed})`);
  };

  const submit = () => {
    const id = calls.length;
    const args = { id };
    const fn = fns[random(fns.length)];
    let future;
    try {
      future = pool.call(fn, args);
    } catch (error) {
      check(broken || draining !== undefined, `submit throws ${error}`);
      return;
    }
    check(!broken && draining === undefined, "submit throws when it has to");
    // The caller may change its arguments at once.
    args.id = -1;
    calls.push({ future, state: "waiting", told: false });
  };

  const cancel = () => {
    if (calls.length === 0) return;
    const call = calls[Math.max(0, calls.length - 1 - random(20))];
    const may = call.state === "waiting" || call.state === "cancelled";
    if (broken) return;
    check(call.future.cancel() === may, `cancel() is ${may}`);
    if (may) call.state = "cancelled";
  };

  const ask = () => {
    if (calls.length === 0 || broken) return;
    const { future, state, told } = calls[random(calls.length)];
    const runs = !told && (state === "started" || state === "finished");
    check(future.running() === runs, `running() is ${runs}`);
    check(future.done() === (told || state === "cancelled"), "done()");
    check(future.cancelled() === (state === "cancelled"), "cancelled()");
  };

  const step = (link: HandLink) => {
    if (!ready.has(link)) {
      ready.add(link);
      link.ready();
      return;
    }
    if (!link.current) {
      const got = link.begin();
      if (!got) return;
      const { id } = got.name;
      const call = calls[id];
      check(call !== undefined, `call ${id} has the arguments of its submit`);
      check(call.state === "waiting", `call ${id}, ${call.state}, starts`);
      call.state = "started";
      inOrder.push(id);
      return;
    }
    const { id } = link.current.name;
    calls[id].state = "finished";
    link.finish(
      random(5) === 0 ? threw(record("RangeError", `${id}`)) : returned(id),
      random(10) === 0 ? 5 : 0.01,
    );
    const tell = link.outbox.pop()!;
    link.outbox.push(() => {
      if (!broken) calls[id].told = true;
      tell();
    });
  };

  /** What has to be true whenever the pool has had its turn. */
  const settled = () => {
    if (broken) return;
    const links = alive();
    const atLinks = links.reduce((sum, link) => sum + link.holds.length, 0);
    const waiting = calls.filter(({ state }) => state === "waiting").length;
    const running = links.filter((link) => link.current).length;
    const queued = waiting + running - atLinks;
    check(queued >= 0, "no call is held twice");
    const idle = links.filter((link) => link.flags.size === 0);
    if (idle.length > 0 || links.length < maxWorkers) {
      check(queued === 0, `${queued} calls wait while a worker is idle`);
    }
    if (idle.length > 0) {
      for (const link of links) {
        // The first call of a worker that runs none is as good as running.
        const behind = link.holds.length - 1;
        check(behind <= 0, `${behind} calls wait behind another`);
      }
    }
  };

  const steps = 400;
  const end = random(3) === 0 ? random(steps) : Infinity;
  for (let i = 0; i < steps; i++) {
    const links = alive();
    const link = links[random(Math.max(links.length, 1))] as
      | HandLink
      | undefined;
    const dice = random(100);
    if (dice < 30) submit();
    else if (dice < 40) cancel();
    else if (dice < 45) ask();
    else if (dice < 75) link && step(link);
    else if (dice < 92) link?.outbox.shift()?.();
    else if (dice < 96) await clock.tickAsync(random(5));
    else if (dice < 97) await clock.tickAsync(random(60));
    if (i === end && link && !broken) {
      if (random(2) === 0) {
        broken = true;
        link.events.onDeath("ended by Deno.exit()");
      } else {
        const cancelFutures = random(2) === 0;
        draining = pool.shutdown({ cancelFutures });
        if (cancelFutures) {
          for (const call of calls) {
            if (call.state === "waiting") call.state = "cancelled";
          }
        }
      }
    }
    for (let j = 0; j < 3; j++) await null;
    settled();
  }

  draining ??= pool.shutdown();
  for (let i = 0; i < 100_000 && alive().length > 0; i++) {
    for (const link of alive()) {
      step(link);
      link.outbox.shift()?.();
    }
    for (let j = 0; j < 3; j++) await null;
    settled();
  }
  check(alive().length === 0, "all workers end");
  await draining;
  const errors = new Set<unknown>();
  for (const [id, { future, state, told }] of calls.entries()) {
    check(future.done(), `call ${id} ends`);
    if (state === "cancelled") {
      check(future.cancelled(), `call ${id} stays cancelled`);
    } else if (told) {
      const outcome = await future.exception() as Error | undefined;
      if (outcome) check(outcome.message === `${id}`, "its own exception");
      else check(await future.result() === id, "its own result");
    } else {
      const error = await future.exception();
      check(error instanceof BrokenThreadPool, `call ${id} is told`);
      check(!errors.has(error), "an error of its own");
      errors.add(error);
    }
  }
  for (const link of pool.links) check(link.ended === 1, "ended once");
  if (maxWorkers === 1) {
    check(
      inOrder.every((id, i) => i === 0 || inOrder[i - 1] < id),
      "one worker runs calls in the order of submit",
    );
  }
}

test("a pool keeps its promises whatever happens in whatever order", async (clock) => {
  const fns = [
    await knownFn(0.001),
    await knownFn(0.001),
    await knownFn(0.1),
    await knownFn(10),
    unknownFn(),
  ];
  for (let seed = 1; seed <= 100; seed++) {
    await playRandomly(clock, fns, seed);
  }
});
