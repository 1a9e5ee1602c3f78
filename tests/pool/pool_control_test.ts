/** Calls that are stopped, by a signal or their time limit, event by event. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  BrokenThreadPool,
  CancelledError,
  RuntimeError,
  TimeoutError,
} from "../../errors.ts";
import type { Future } from "../../future.ts";
import {
  type Any,
  callAll,
  knownFn,
  record,
  returned,
  test,
  threw,
  unknownFn,
} from "../_hand.ts";
import { ControlChildPool, ControlPool, GRACE_MS } from "../_hand_control.ts";
import {
  bound,
  CountingAbortController,
  type FakeClock,
  LONGEST_TIMER_MS,
  stateOf,
  turn,
} from "../_helpers.ts";

/** What a future that was cancelled rejects with, asked for either. */
async function cancellation(future: Future<unknown>): Promise<Any> {
  assert(future.cancelled(), "is cancelled");
  const [error, other] = await Promise.all(
    [future.result(), future.exception()].map((asked) =>
      asked.then(() => assert(false, "does not reject"), (error) => error)
    ),
  );
  // A CancelledError is made for each that asks; a reason is one thing.
  if (error instanceof CancelledError) assertInstanceOf(other, CancelledError);
  else assertStrictEquals(other, error);
  return error;
}

/** What a future fails with that has failed already. */
function failure(future: Future<unknown>): Promise<Any> {
  assert(future.done() && !future.cancelled(), "has failed");
  return future.exception();
}

/** Whether a pool takes calls, and runs them to their end. */
async function assertGoesOn(pool: ControlPool): Promise<void> {
  const future = pool.call(unknownFn(), "goes on");
  await pool.finishAll();
  assertEquals(await stateOf(future.result()), "fulfilled");
}

// ---- A signal, and when it aborts ------------------------------------------

test("a call whose signal has aborted at submit is cancelled, and starts no worker", async () => {
  const pool = new ControlPool();
  const reason = new Error("too late");
  const future = pool.with(
    { signal: AbortSignal.abort(reason) },
    unknownFn(),
    "a",
  );
  assertStrictEquals(await cancellation(future), reason);
  assertEquals(pool.links.length, 0);
  assertEquals(pool.stats().calls.cancelled, 1);
  await pool.shutdown();
});

test("a call whose signal has aborted at submit is refused by a pool that was shut down, as any", async () => {
  const pool = new ControlPool();
  await pool.shutdown();
  assertThrows(
    () => pool.with({ signal: AbortSignal.abort() }, unknownFn()),
    RuntimeError,
  );
});

test("a call that waits is cancelled when its signal aborts, and told why", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  pool.call(unknownFn(), "runs");
  const future = pool.with(controller, unknownFn(), "waits");
  const reason = { any: "value" };
  controller.abort(reason);
  assertStrictEquals(await cancellation(future), reason);
  await pool.finishAll();
  assertEquals(pool.links[0].started, ["runs"]);
  assertEquals(pool.links[0].asked, []);
});

test("a call that waits rejects with an AbortError when its signal gives no reason", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  pool.call(unknownFn(), "runs");
  const future = pool.with(controller, unknownFn(), "waits");
  controller.abort();
  const error = await cancellation(future);
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "AbortError");
  await pool.finishAll();
});

test("a call that was cancelled by hand rejects with a CancelledError, whatever its signal does then", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  pool.call(unknownFn(), "runs");
  const future = pool.with(controller, unknownFn(), "waits");
  future.cancel();
  controller.abort();
  assertInstanceOf(await cancellation(future), CancelledError);
  await pool.finishAll();
});

test("a call that was handed over and has not started is cancelled, and its worker goes on", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  controller.abort();
  await cancellation(future);
  pool.links[0].ready().skip();
  assertEquals(pool.links[0].started, []);
  assertEquals(pool.links[0].asked, []);
  await assertGoesOn(pool);
  assertEquals(pool.links.length, 1);
});

test("a call that runs fails at once with the signal's reason itself, and is asked to stop", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  pool.links[0].ready().start();
  const reason = new RangeError("enough");
  controller.abort(reason);
  assertStrictEquals(await failure(future), reason);
  assertEquals(pool.links[0].asked, [
    { call: "a", name: "AbortError", message: "enough" },
  ]);
  assertEquals(pool.links[0].ended, 0);
  await pool.finishAll();
});

test("a call that runs fails with a reason of whatever type, undefined by name", async () => {
  const odd = Object.create(null);
  const unprintable = {
    toString() {
      throw new Error("can't be printed");
    },
  };
  for (
    const reason of [
      "text",
      0,
      null,
      Symbol("why"),
      odd,
      unprintable,
      Object.assign(new Error(), { message: 5 }),
      Object.defineProperty(new Error(), "message", {
        get() {
          throw new Error("not to be read");
        },
      }),
    ]
  ) {
    const pool = new ControlPool({ maxWorkers: 2 });
    const controller = new AbortController();
    const futures = [
      pool.with(controller, unknownFn(), "a"),
      pool.with(controller, unknownFn(), "b"),
    ];
    for (const link of pool.links) link.ready().start();
    controller.abort(reason);
    for (const future of futures) {
      assertStrictEquals(await failure(future), reason);
    }
    for (const { asked: [{ name, message }] } of pool.links) {
      assertEquals([name, typeof message], ["AbortError", "string"]);
    }
    await assertGoesOn(pool);
  }
});

test("a call is stopped by the first of its signals, and keeps that reason", async () => {
  const pool = new ControlPool();
  const controllers = [1, 2, 3].map(() => new CountingAbortController());
  const signals = controllers.map(({ signal }) => signal);
  const future = pool.submit(unknownFn(), ["a"], {
    signals,
    timeLimit: undefined,
    transfer: [],
  });
  pool.links[0].ready().start();
  controllers[1].abort("second");
  controllers[0].abort("first");
  assertEquals(await failure(future), "second");
  assertEquals(pool.links[0].asked.length, 1);
  assertEquals(controllers[2].listeners, 0);
  await pool.finishAll();
});

test("a call whose signal aborts while its arguments are read never starts", async () => {
  const controller = new AbortController();
  const pool = new ControlPool({
    pack(_fn, args) {
      controller.abort("meanwhile");
      return args;
    },
  });
  const future = pool.with(controller, unknownFn(), "a");
  assertEquals(await cancellation(future), "meanwhile");
  assertEquals(pool.links.length, 0);
  await pool.shutdown();
  assertEquals(pool.stats().calls.cancelled, 1);
});

test("a call keeps nothing else of a view: the next one has no limits", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  pool.with({ signal: controller.signal, timeLimit: 10 }, unknownFn(), "a");
  pool.links[0].ready().start().answer();
  const plain = pool.call(unknownFn(), "b");
  pool.links[0].start();
  controller.abort();
  await clock.pass(1000);
  assertEquals([plain.running(), pool.links[0].asked], [true, []]);
  await pool.finishAll();
});

// ---- What becomes of its worker ----------------------------------------------

test("a call that ends soon after it was stopped keeps its worker", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  pool.with(controller, unknownFn(), "a");
  pool.links[0].ready().start();
  controller.abort();
  const next = pool.call(unknownFn(), "b");
  await clock.pass(GRACE_MS - 1);
  assertEquals(pool.links[0].ended, 0);
  pool.links[0].answer();
  assertEquals(pool.held, [["b"]]);
  await clock.pass(10 * GRACE_MS);
  assertEquals([pool.links.length, pool.links[0].ended], [1, 0]);
  pool.links[0].answer("fine");
  assertEquals(await next.result(), "fine");
  await pool.shutdown();
});

test("a call that does not end soon after it was stopped loses its worker, and another takes its place", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  pool.links[0].ready().start();
  controller.abort("enough");
  const next = pool.call(unknownFn(), "b");
  await clock.pass(GRACE_MS);
  assertEquals(pool.links[0].killedBy, "SIGKILL");
  assertEquals(pool.held.slice(1), [["b"]]);
  assertEquals(pool.links[1].index, 0);
  pool.links[1].ready().answer("fine");
  assertEquals(await next.result(), "fine");
  assertEquals(await failure(future), "enough");
  await pool.shutdown();
});

for (const isSlow of [false, true]) {
  const kind = isSlow ? "slow" : "quick";
  test(`a pool whose only worker, ${kind} to start, was ended for the call it ran leaves no timer behind`, async (clock) => {
    const pool = new ControlPool();
    const first = pool.with({ timeLimit: 50 }, unknownFn(), "a");
    if (isSlow) await clock.pass(10);
    pool.links[0].ready().start();
    await clock.pass(50);
    await clock.pass(GRACE_MS);
    assertEquals(pool.links[0].killedBy, "SIGKILL");
    assertInstanceOf(await failure(first), TimeoutError);
    assertEquals(await clock.nextAsync(), false);
    // It goes on with another, and watches that again.
    const second = pool.with({ timeLimit: 50 }, unknownFn(), "b");
    pool.links[1].ready().start();
    await clock.pass(50);
    assertInstanceOf(await failure(second), TimeoutError);
    pool.links[1].die();
    assertEquals(await clock.nextAsync(), false);
    await pool.shutdown();
  });
}

test("what a worker says that was replaced is about nothing any more", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  const [link] = pool.links;
  link.ready().start();
  controller.abort("enough");
  await clock.pass(GRACE_MS);
  const next = pool.call(unknownFn(), "b");
  link.answer("late");
  link.die();
  assertEquals([await failure(future), next.done()], ["enough", false]);
  await pool.finishAll();
  assertEquals(next.done(), true);
});

test("a call that was stopped has its own end, whether it returns or throws, ignored", async () => {
  for (const end of ["return", "throw"]) {
    const pool = new ControlPool();
    const controller = new AbortController();
    const future = pool.with(controller, unknownFn(), "a");
    pool.links[0].ready().start();
    controller.abort("enough");
    if (end === "return") pool.links[0].finish();
    else pool.links[0].finish(threw(record("TypeError", "own")));
    pool.links[0].deliver();
    assertEquals(await failure(future), "enough");
    const { calls, times } = pool.stats();
    assertEquals([calls.failed, calls.finished, calls.running], [1, 0, 0]);
    assertEquals(times.running.count, 0);
    await assertGoesOn(pool);
  }
});

test("a call that has ended, and the pool has not heard of it, still fails with the reason", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  pool.links[0].ready().start();
  pool.links[0].finish();
  controller.abort("enough");
  pool.links[0].deliver();
  assertEquals(await failure(future), "enough");
  await clock.pass(GRACE_MS);
  assertEquals(pool.links[0].ended, 0);
  await assertGoesOn(pool);
});

test("an abort after the call has ended changes nothing", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  pool.links[0].ready().start();
  pool.links[0].answer("fine");
  controller.abort("late");
  assertEquals(await future.result(), "fine");
  assertEquals(pool.links[0].asked, []);
  await pool.shutdown();
});

test("nothing else suffers from a call that is stopped", async (clock) => {
  const pool = new ControlPool({ maxWorkers: 3 });
  const controller = new AbortController();
  const others = ["b", "c"].map((name) => pool.call(unknownFn(), name));
  pool.with(controller, unknownFn(), "a");
  const waiting = ["d", "e"].map((name) => pool.call(unknownFn(), name));
  for (const link of pool.links) link.ready().start();
  controller.abort();
  await clock.pass(GRACE_MS);
  assertEquals(pool.links.map(({ ended }) => ended), [0, 0, 1, 0]);
  assertEquals(pool.held.toSpliced(2, 1), [["b"], ["c"], ["d"]]);
  await pool.finishAll();
  for (const future of [...others, ...waiting]) {
    assertEquals(await stateOf(future.result()), "fulfilled");
  }
});

test("a call with limits shares its worker with no other: nothing waits behind it, it waits behind none", async () => {
  const short = await knownFn(0.001);
  const { signal } = new AbortController();
  for (const options of [{ signal }, { timeLimit: 5 }]) {
    const pool = new ControlPool();
    pool.with(options, short, "limited");
    pool.links[0].ready().start();
    pool.call(short, "a");
    await turn();
    assertEquals(pool.held, [["limited"]]);
    pool.with(options, short, "limited too");
    pool.links[0].answer(undefined, 0.001);
    await turn();
    assertEquals(pool.held, [["a"]]);
    pool.links[0].answer(undefined, 0.001);
    assertEquals(pool.held, [["limited too"]]);
    pool.links[0].answer(undefined, 0.001);
    // And then all is as before.
    for (const name of "xyz") pool.call(short, name);
    await turn();
    assertEquals(pool.held, [["x", "y", "z"]]);
    await pool.finishAll();
  }
});

test("a call that returned while another's grace runs frees its own worker only", async (clock) => {
  const pool = new ControlPool({ maxWorkers: 2 });
  const controller = new AbortController();
  pool.with(controller, unknownFn(), "a");
  pool.with({ signal: new AbortController().signal }, unknownFn(), "b");
  for (const link of pool.links) link.ready().start();
  controller.abort();
  pool.links[1].answer();
  await clock.pass(GRACE_MS);
  assertEquals(pool.links.map(({ ended }) => ended), [1, 0]);
  await assertGoesOn(pool);
});

// ---- The time limit -----------------------------------------------------------

test("a time limit counts from the start of the call, not from its submission", async (clock) => {
  const pool = new ControlPool();
  pool.call(unknownFn(), "first");
  const future = pool.with({ timeLimit: 200 }, unknownFn(), "a");
  await clock.pass(500);
  pool.links[0].ready().answer();
  // Handed over, and not started.
  await clock.pass(500);
  assertEquals(future.done(), false);
  pool.links[0].start();
  await clock.pass(199);
  assertEquals([future.done(), pool.links[0].asked], [false, []]);
  await clock.pass(1);
  const error = await failure(future);
  assertInstanceOf(error, TimeoutError);
  assertEquals(pool.links[0].asked.map(({ call, name }) => [call, name]), [[
    "a",
    "TimeoutError",
  ]]);
  await pool.finishAll();
});

test("a time limit's error says what took too long, how long it might, and what the kind of pool adds", async (clock) => {
  const pool = new ControlPool({ stopNote: "it may spin" });
  const named = pool.with({ timeLimit: 25.5 }, unknownFn("parse"), "a");
  pool.links[0].ready().start();
  await clock.pass(26);
  assertEquals(
    (await failure(named)).message,
    '"parse" did not end within its time limit of 25.5 ms: it may spin',
  );
  assertEquals(
    pool.links[0].asked[0].message,
    (await failure(named)).message,
  );
  await pool.finishAll();
});

test("a time limit that is over replaces a worker whose call goes on", async (clock) => {
  const pool = new ControlPool();
  const future = pool.with({ timeLimit: 50 }, unknownFn(), "a");
  pool.links[0].ready().start();
  await clock.pass(50);
  assertInstanceOf(await failure(future), TimeoutError);
  assertEquals(pool.links[0].ended, 0);
  await clock.pass(GRACE_MS);
  assertEquals(pool.links[0].killedBy, "SIGKILL");
  await assertGoesOn(pool);
});

test("a time limit is nothing once the call has ended", async (clock) => {
  const pool = new ControlPool();
  const future = pool.with({ timeLimit: 50 }, unknownFn(), "a");
  pool.links[0].ready().start();
  await clock.pass(49);
  pool.links[0].answer("fine");
  const next = pool.call(unknownFn(), "b");
  await clock.pass(1000);
  assertEquals(await future.result(), "fine");
  assertEquals([next.done(), pool.links[0].asked], [false, []]);
  await pool.finishAll();
});

test("a time limit counts anew for each call of a slot", async (clock) => {
  const pool = new ControlPool();
  pool.with({ timeLimit: 50 }, unknownFn(), "a");
  pool.links[0].ready().start();
  await clock.pass(40);
  pool.links[0].answer();
  const second = pool.with({ timeLimit: 50 }, unknownFn(), "b");
  pool.links[0].start();
  await clock.pass(40);
  assertEquals(second.done(), false);
  await clock.pass(10);
  assertInstanceOf(await failure(second), TimeoutError);
  await pool.finishAll();
});

test("a time limit may be as long as one likes", async (clock) => {
  for (const timeLimit of [LONGEST_TIMER_MS + 1000, Infinity]) {
    const pool = new ControlPool();
    const future = pool.with({ timeLimit }, unknownFn(), "a");
    pool.links[0].ready().start();
    await clock.pass(LONGEST_TIMER_MS);
    assertEquals(future.done(), false);
    await clock.pass(1000);
    assertEquals(future.done(), timeLimit !== Infinity);
    await pool.finishAll();
  }
});

test("a signal that aborts first takes the time limit's place, and the other way round", async (clock) => {
  for (const first of ["signal", "time"]) {
    const pool = new ControlPool();
    const controller = new CountingAbortController();
    const { signal } = controller;
    const future = pool.with({ signal, timeLimit: 50 }, unknownFn(), "a");
    pool.links[0].ready().start();
    if (first === "signal") controller.abort("enough");
    await clock.pass(50);
    if (first === "time") {
      assertEquals(controller.listeners, 0);
      controller.abort("enough");
    }
    const error = await failure(future);
    if (first === "signal") assertEquals(error, "enough");
    else assertInstanceOf(error, TimeoutError);
    assertEquals(pool.links[0].asked.length, 1);
    assertEquals(pool.stats().calls.failed, 1);
    await clock.pass(GRACE_MS);
    await assertGoesOn(pool);
  }
});

test("a start that is told after the call was stopped starts no clock", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const { signal } = controller;
  pool.with({ signal, timeLimit: 50 }, unknownFn(), "a");
  pool.links[0].ready().begin();
  controller.abort("enough");
  pool.links[0].deliver();
  await clock.pass(60);
  assertEquals(pool.links[0].asked.length, 1);
  // And it does not take the place of the grace.
  await clock.pass(40);
  assertEquals(pool.links[0].ended, 1);
  await assertGoesOn(pool);
});

test("a start of a call that was taken back meanwhile is no start", async (clock) => {
  const pool = new ControlChildPool();
  const controller = new AbortController();
  const { signal } = controller;
  pool.with({ signal, timeLimit: 50 }, unknownFn(), "a");
  controller.abort();
  pool.links[0].ready().answerFromMain();
  const [{ slot }] = pool.links[0].inbox;
  pool.links[0].events.onStarted(slot, pool.links[0].watched.get(slot)!);
  await clock.pass(1000);
  pool.links[0].skip();
  await assertGoesOn(pool);
});

test("a start that is heard after the call's end is not taken for one of the call that has its slot now", async (clock) => {
  const pool = new ControlPool();
  const [link, first] = [
    () => pool.links[0],
    pool.with({ timeLimit: 50 }, unknownFn(), "a"),
  ];
  link().ready().begin();
  link().finish(returned("fine"));
  // Results go a way of their own, and may come first.
  const [started, ended] = link().outbox.splice(0);
  ended();
  assertEquals(await first.result(), "fine");
  const second = pool.with({ timeLimit: 50 }, unknownFn(), "b");
  assertEquals(link().slots[0], link().slots[1]);
  started();
  await clock.pass(1000);
  assertEquals([second.done(), second.cancelled()], [false, false]);
  link().start();
  await clock.pass(49);
  assertEquals(second.done(), false);
  await clock.pass(1);
  assertInstanceOf(await failure(second), TimeoutError);
  await pool.finishAll();
});

/** A pool with room for a worker, since a call was stopped; the others have a call each, and the slow one another behind it. */
async function poolWithRoom(clock: FakeClock, maxWorkers: number) {
  const fn = await knownFn(0.001);
  const pool = new ControlPool({ maxWorkers });
  const controller = new AbortController();
  pool.with(controller, unknownFn(), "stopped");
  for (let i = 1; i < maxWorkers; i++) pool.call(unknownFn(), i);
  for (const link of pool.links) link.ready().start();
  controller.abort();
  await clock.pass(GRACE_MS - 2);
  const [, slow, ...others] = pool.links;
  for (const link of [slow, ...others]) link.answer();
  for (let i = 1; i < maxWorkers; i++) pool.call(fn, "runs");
  await callAll(pool, fn, Array(maxWorkers - 1).fill("behind"));
  for (const link of [slow, ...others]) link.begin();
  await clock.pass(2);
  for (const link of others) link.answer(undefined, 0.001);
  await clock.pass(1);
  // One millisecond before the pool itself would see that.
  assertEquals(slow.holds, ["runs", "behind"]);
  for (const link of others) assertEquals(link.holds, ["behind"]);
  return { pool, fn, others };
}

test("a pool sends the arguments of the time of submit though it took the call back from where it was sent at once", async (clock) => {
  const { pool, fn, others: [other] } = await poolWithRoom(clock, 3);
  const list = ["as it was"];
  pool.call(fn, list);
  assertEquals(other.holds, ["behind", list]);
  list[0] = "changed";
  other.begin();
  await clock.pass(5);
  assertEquals(other.holds, ["behind"]);
  await pool.finishAll();
  const started = pool.links.flatMap(({ started }) => started);
  assertEquals(started.filter(Array.isArray), [["as it was"]]);
  await pool.shutdown();
});

test("a pool counts a call once whose argument aborts it while it is copied late, and then can't be", async (clock) => {
  const { pool, fn } = await poolWithRoom(clock, 2);
  const before = pool.stats().calls;
  const controller = new AbortController();
  const future = pool.with(controller, fn, {
    get value() {
      controller.abort();
      throw new RangeError("not yet");
    },
  });
  assertEquals(future.cancelled(), true);
  const { calls } = pool.stats();
  assertEquals(calls, { ...before, cancelled: before.cancelled + 1 });
  await assertGoesOn(pool);
  await pool.shutdown();
});

// ---- Children: what was handed over counts as started ---------------------------

test("a child that has not begun the call that is stopped gives it back, and keeps its life", async (clock) => {
  for (const order of ["returned first", "passed over first"]) {
    const pool = new ControlChildPool();
    const controller = new AbortController();
    const future = pool.with(controller, unknownFn(), "a");
    controller.abort("enough");
    assertEquals(await failure(future), "enough");
    const [child] = pool.links;
    child.ready();
    const over = pool.shutdown();
    if (order === "returned first") {
      child.answerFromMain();
      child.skip();
    } else {
      child.skip();
      assertEquals(await stateOf(over), "pending");
      child.answerFromMain();
    }
    assertEquals([order, await stateOf(over)], [order, "fulfilled"]);
    await clock.pass(10 * GRACE_MS);
    assertEquals([child.started, child.asked], [[], []]);
    assertEquals(child.killedBy, undefined);
  }
});

test("a child that gave the stopped call back ends when it was idle for long", async (clock) => {
  for (const order of ["returned first", "passed over first"]) {
    const pool = new ControlChildPool({ idleTimeout: 200 });
    const controller = new AbortController();
    pool.with(controller, unknownFn(), "a");
    const [child] = pool.links;
    child.ready();
    controller.abort("enough");
    if (order === "returned first") child.answerFromMain();
    child.skip();
    child.answerFromMain();
    await clock.pass(200);
    assertEquals([order, child.ended], [order, 1]);
  }
});

test("a child that gives no call back in time is replaced, though it has begun none", async (clock) => {
  const pool = new ControlChildPool();
  const controller = new AbortController();
  pool.with(controller, unknownFn(), "a");
  const next = pool.call(unknownFn(), "b");
  controller.abort();
  await clock.pass(GRACE_MS);
  assertEquals([pool.links.length, pool.links[0].ended], [2, 1]);
  assertEquals(pool.held.slice(1), [["b"]]);
  pool.links[1].ready().answer("fine");
  assertEquals(await next.result(), "fine");
  await pool.shutdown();
});

test("a call that waits, and that somebody else's hand marked as running, fails with the reason", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  pool.call(unknownFn(), "runs");
  const marked = pool.with(controller, unknownFn(), "marked");
  const other = pool.with(controller, unknownFn(), "other");
  marked.setRunningOrNotifyCancel();
  controller.abort("enough");
  assertEquals(await failure(marked), "enough");
  assertEquals(other.cancelled(), true);
  await pool.finishAll();
  assertEquals(pool.links[0].started, ["runs"]);
  await pool.shutdown();
});

// ---- Shutdown, death and the like in between ---------------------------------------

test("shutdown() waits for the worker of a call that was stopped", async (clock) => {
  for (const end of ["soon", "late"]) {
    const pool = new ControlPool();
    const controller = new AbortController();
    const future = pool.with(controller, unknownFn(), "a");
    pool.links[0].ready().start();
    controller.abort();
    const over = pool.shutdown({ cancelFutures: true });
    assertEquals([future.done(), await stateOf(over)], [true, "pending"]);
    if (end === "soon") pool.links[0].answer();
    else await clock.pass(GRACE_MS);
    assertEquals(await stateOf(over), "fulfilled");
    assertEquals(
      pool.links[0].killedBy,
      end === "soon" ? undefined : "SIGKILL",
    );
  }
});

test("shutdown() waits until a worker that was replaced is gone", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  pool.with(controller, unknownFn(), "a");
  const gone = Promise.withResolvers<void>();
  pool.links[0].gone = gone.promise;
  pool.links[0].ready().start();
  controller.abort();
  await clock.pass(GRACE_MS);
  const over = pool.shutdown();
  assertEquals(await stateOf(over), "pending");
  gone.resolve();
  assertEquals(await stateOf(over), "fulfilled");
});

test("an abort during a shutdown stops what runs, and cancels what waits", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const runs = pool.with(controller, unknownFn(), "a");
  const waits = pool.with(controller, unknownFn(), "b");
  const other = pool.call(unknownFn(), "c");
  pool.links[0].ready().start();
  const over = pool.shutdown();
  controller.abort("enough");
  assertEquals(await failure(runs), "enough");
  assertEquals(await cancellation(waits), "enough");
  await pool.finishAll();
  assertEquals(await stateOf(other.result()), "fulfilled");
  await over;
});

test("killWorkers() while a stopped call's grace runs ends it, and tells nobody twice", async (clock) => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  const waits = pool.call(unknownFn(), "b");
  pool.links[0].ready().start();
  controller.abort("enough");
  pool.killWorkers("SIGTERM", "terminateWorkers()");
  assertEquals(await failure(future), "enough");
  assertEquals(waits.cancelled(), true);
  await clock.pass(10 * GRACE_MS);
  assertEquals([pool.links.length, pool.links[0].ended], [1, 1]);
  const { failed, cancelled } = pool.stats().calls;
  assertEquals([failed, cancelled], [1, 1]);
  await pool.shutdown();
});

test("killWorkers() ends a pool where a call that was stopped and given back waits behind another", async (clock) => {
  const pool = new ControlChildPool({ maxWorkers: 2 });
  const fn = await knownFn(0.001);
  pool.call(fn, "long");
  pool.call(unknownFn(), "short");
  const [one, other] = pool.links;
  for (const link of pool.links) link.ready().begin();
  const behind = pool.call(fn, "behind");
  await turn();
  assertEquals(pool.held, [["long", "behind"], ["short"]]);
  // It asks for what waits behind the long one, and is given another call first.
  other.answer();
  const controller = new AbortController();
  const stopped = pool.with(controller, unknownFn(), "stopped");
  await clock.pass(5);
  one.answerFromMain();
  controller.abort("enough");
  other.answerFromMain();
  assertEquals(pool.held, [["long"], []]);
  pool.killWorkers("SIGTERM", "terminateWorkers()");
  assertEquals(behind.cancelled(), true);
  assertEquals(await failure(stopped), "enough");
  assertEquals(await stateOf(pool.shutdown()), "fulfilled");
});

test("a worker that dies of being stopped breaks nothing: it was on its way out", async () => {
  for (const onWorkerLost of ["break", "replace"] as const) {
    const pool = new ControlPool({ onWorkerLost, maxWorkers: 2 });
    const controller = new AbortController();
    const future = pool.with(controller, unknownFn(), "a");
    const other = pool.call(unknownFn(), "b");
    const waits = pool.call(unknownFn(), "c");
    for (const link of pool.links) link.ready().start();
    controller.abort("enough");
    pool.links[0].die("ended by an unhandled rejection");
    assertEquals(await failure(future), "enough");
    assertEquals(pool.held.slice(1), [["b"], ["c"]]);
    await pool.finishAll();
    for (const each of [other, waits]) {
      assertEquals(await stateOf(each.result()), "fulfilled");
    }
    await assertGoesOn(pool);
    await pool.shutdown();
  }
});

test("a worker that dies while another's grace runs breaks the pool, and the timers end", async (clock) => {
  const pool = new ControlPool({ maxWorkers: 2 });
  const controller = new AbortController();
  const { signal } = controller;
  const future = pool.with({ signal, timeLimit: 500 }, unknownFn(), "a");
  const limited = pool.with({ timeLimit: 500 }, unknownFn(), "b");
  for (const link of pool.links) link.ready().start();
  controller.abort("enough");
  pool.links[1].die();
  assertEquals(await failure(future), "enough");
  assertInstanceOf(await failure(limited), BrokenThreadPool);
  await clock.pass(10_000);
  assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
  await pool.shutdown();
});

test("cancel() on a call that was stopped changes nothing", async () => {
  const pool = new ControlPool();
  const controller = new AbortController();
  const future = pool.with(controller, unknownFn(), "a");
  pool.links[0].ready().start();
  controller.abort("enough");
  assertEquals(future.cancel(), false);
  assertEquals(await failure(future), "enough");
  await pool.finishAll();
});

// ---- Many calls with one signal -----------------------------------------------------

test("a signal ends all calls that have it, started or not, and the pool goes on", async (clock) => {
  const pool = new ControlPool({ maxWorkers: 3 });
  const controller = new AbortController();
  const reason = new Error("all of it");
  const futures = Array.from(
    { length: 1000 },
    (_, i) => pool.with(controller, unknownFn("work"), i),
  );
  // One runs, one is in a worker and has not started, one is in a worker that has not.
  pool.links[0].ready().start();
  pool.links[1].ready();
  controller.abort(reason);
  assertEquals(futures.filter((future) => future.cancelled()).length, 999);
  assertStrictEquals(await failure(futures[0]), reason);
  assertStrictEquals(await cancellation(futures[1]), reason);
  await clock.pass(GRACE_MS);
  await assertGoesOn(pool);
  await pool.shutdown();
});

/** A pool that runs one call and has others waiting, all with one signal. */
function many(maxWorkers = 1) {
  const pool = new ControlPool({ maxWorkers });
  const controller = new CountingAbortController();
  const { signal } = controller;
  const futures = Array.from(
    { length: 10 },
    (_, i) => pool.with({ signal }, unknownFn(), i),
  );
  for (const link of pool.links) link.ready().start();
  return { pool, controller, signal, futures };
}

test("a callback that submits in the middle of an abort has its calls run; with the same signal, cancelled", async () => {
  const { pool, controller, signal, futures } = many();
  const plain: Future<Any>[] = [];
  const same: Future<Any>[] = [];
  for (const future of futures) {
    future.addDoneCallback(() => {
      plain.push(pool.call(unknownFn(), "plain"));
      same.push(pool.with({ signal }, unknownFn(), "same"));
    });
  }
  controller.abort("enough");
  assert(futures.every((future) => future.done()));
  assertEquals(same.map((future) => future.cancelled()), Array(10).fill(true));
  await pool.finishAll();
  for (const future of plain) {
    assertEquals(await stateOf(future.result()), "fulfilled");
  }
  await pool.shutdown();
});

test("a callback that cancels the others in the middle of an abort does no harm", async () => {
  const { pool, controller, futures } = many(2);
  for (const future of futures) {
    future.addDoneCallback(() => {
      for (const other of futures) other.cancel();
    });
  }
  controller.abort("enough");
  assertEquals(futures.map((future) => future.cancelled()), [
    false,
    false,
    ...Array(8).fill(true),
  ]);
  for (const future of futures.slice(0, 2)) {
    assertEquals(await failure(future), "enough");
  }
  assertEquals(pool.stats().calls.cancelled, 8);
  await assertGoesOn(pool);
});

test("a callback that shuts down in the middle of an abort leaves no call pending", async (clock) => {
  for (const cancelFutures of [true, false]) {
    const { pool, controller, futures } = many(2);
    let over: Promise<void> | undefined;
    futures[5].addDoneCallback(() => over = pool.shutdown({ cancelFutures }));
    controller.abort("enough");
    assert(futures.every((future) => future.done()));
    for (const future of futures.slice(0, 2)) {
      assertEquals(await failure(future), "enough");
    }
    await clock.pass(GRACE_MS);
    assertEquals(await stateOf(over!), "fulfilled");
    assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
  }
});

test("a callback that kills the workers in the middle of an abort leaves no call pending", async (clock) => {
  const { pool, controller, futures } = many(2);
  futures[5].addDoneCallback(() => pool.killWorkers("SIGKILL", "the test"));
  controller.abort("enough");
  assert(futures.every((future) => future.done()));
  assertInstanceOf(await failure(futures[0]), BrokenThreadPool);
  await clock.pass(10 * GRACE_MS);
  assertEquals(pool.links.map(({ ended }) => ended), [1, 1]);
  const { failed, cancelled } = pool.stats().calls;
  assertEquals([failed, cancelled], [2, 8]);
  await pool.shutdown();
});

test("a callback that aborts again, another signal of the same calls, ends each once", async () => {
  const pool = new ControlPool();
  const outer = new AbortController();
  const inner = new AbortController();
  let ends = 0;
  const futures = Array.from({ length: 10 }, (_, i) => {
    const future = pool.submit(unknownFn(), [i], {
      signals: [outer.signal, inner.signal],
      timeLimit: undefined,
      transfer: [],
    });
    future.addDoneCallback(() => {
      ends++;
      inner.abort("inner");
    });
    return future;
  });
  pool.links[0].ready().start();
  outer.abort("outer");
  assertEquals(ends, 10);
  assertEquals(await cancellation(futures[9]), "outer");
  assertEquals(await cancellation(futures[8]), "inner");
  assertEquals(await failure(futures[0]), "inner");
  await assertGoesOn(pool);
});

test("a callback that throws in the middle of an abort stops nothing", async () => {
  const { pool, controller, futures } = many();
  const { error } = console;
  let logged = 0;
  console.error = () => logged++;
  try {
    for (const future of futures) {
      future.addDoneCallback(() => {
        throw new Error("in a callback");
      });
    }
    controller.abort("enough");
  } finally {
    console.error = error;
  }
  assertEquals(logged, 10);
  assert(futures.every((future) => future.done()));
  await assertGoesOn(pool);
});

// ---- What is left on a signal ----------------------------------------------------------

test("no listener stays on a signal, however its calls end", async () => {
  const ends: Record<string, (pool: ControlPool, future: Future<Any>) => void> =
    {
      returned: (pool) => pool.last.ready().answer(),
      threw: (pool) => {
        pool.last.ready().finish(threw(record("TypeError", "own")));
        pool.last.deliver();
      },
      cancelled: (_, future) => assert(future.cancel()),
      "shut down": (pool) => void pool.shutdown({ cancelFutures: true }),
      "killed": (pool) => pool.killWorkers("SIGKILL", "the test"),
      "lost its worker": (pool) => {
        pool.last.ready().start();
        pool.last.die();
      },
      "lost, in a pool that goes on": (pool) => {
        pool.last.ready().start();
        pool.last.die();
      },
    };
  for (const [name, end] of Object.entries(ends)) {
    const counting = new CountingAbortController();
    const pool = new ControlPool({
      onWorkerLost: name.includes("goes on") ? "replace" : "break",
    });
    const future = pool.with({ signal: counting.signal }, unknownFn(), "a");
    assertEquals([name, counting.listeners], [name, 1]);
    end(pool, future);
    assertEquals([name, future.done()], [name, true]);
    assertEquals([name, counting.listeners], [name, 0]);
    if (pool.links[0].ended === 0) await pool.finishAll();
    await pool.shutdown();
  }
});

test("no listener stays on a signal whose calls could not travel", async () => {
  const counting = new CountingAbortController();
  const pool = new ControlPool({
    pack() {
      throw new TypeError("can't travel");
    },
  });
  await pool.with(counting, unknownFn(), "a").exception();
  const later = new ControlPool();
  later.call(unknownFn(), "first");
  later.links[0].check = () => {
    throw new TypeError("can't be sent");
  };
  const future = later.with(counting, unknownFn(), "a");
  later.links[0].ready().answer();
  assertInstanceOf(await failure(future), TypeError);
  assertEquals(counting.listeners, 0);
});

test("one listener is on a signal, however many calls have it", async () => {
  const { pool, controller } = many();
  assertEquals(controller.listeners, 1);
  await pool.finishAll();
  assertEquals(controller.listeners, 0);
});

test("a hundred thousand calls with one signal are not slow, one by one or at once", async () => {
  for (const end of ["one by one", "at once", "cancelled one by one"]) {
    const check = bound();
    const pool = new ControlPool();
    const controller = new CountingAbortController();
    const fn = unknownFn();
    const futures = Array.from(
      { length: 100_000 },
      (_, i) => pool.with(controller, fn, i),
    );
    pool.links[0].ready();
    if (end === "one by one") {
      const { slots } = pool.links[0];
      while (!futures.at(-1)!.done()) {
        check();
        pool.links[0].answer();
      }
      assertEquals(slots.length, 100_000);
    } else if (end === "at once") {
      controller.abort();
    } else {
      for (const future of futures) {
        check();
        future.cancel();
      }
    }
    check();
    assert(futures.every((future) => future.done()));
    await pool.finishAll();
    await pool.shutdown();
  }
});

test("a pool's message of a time limit starts with a capital where the function has no name", async (clock) => {
  const pool = new ControlPool();
  const future = pool.with({ timeLimit: 5 }, () => {}, "a");
  pool.links[0].ready().start();
  await clock.pass(5);
  assertMatch(
    (await failure(future)).message,
    /^An anonymous function did not/,
  );
  await pool.finishAll();
});
