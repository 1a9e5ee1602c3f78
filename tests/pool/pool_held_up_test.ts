/** Calls whose workers are held up, and children that are told to stop a call. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { BrokenThreadPool, TimeoutError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { type Any, knownFn, returned, test, unknownFn } from "../_hand.ts";
import {
  AnsweringPool,
  ControlChildPool,
  ControlPool,
  DEAF_MS,
  GRACE_MS,
  SLOW_MS,
} from "../_hand_control.ts";
import { stateOf, turn } from "../_helpers.ts";

/** What a future fails with that has failed already. */
function failure(future: Future<unknown>): Promise<Any> {
  assert(future.done() && !future.cancelled(), "has failed");
  return future.exception();
}

/** The longest that a worker may take to start before it is replaced. */
const HOPELESS_MS = 10_000;

// ---- A worker that does not get ready --------------------------------------------

for (const Pool of [ControlPool, AnsweringPool]) {
  const kind = Pool === ControlPool ? "a thread" : "a child";

  test(`the limit of a call counts that ${kind} which does not get ready holds up, and it never starts`, async (clock) => {
    const pool = new Pool({ preparesWorkers: true });
    const future = pool.with({ timeLimit: 50 }, unknownFn("parse"), "a");
    await clock.pass(SLOW_MS);
    await clock.pass(49);
    assertEquals([future.done(), future.running()], [false, false]);
    await clock.pass(1);
    const error = await failure(future);
    assertInstanceOf(error, TimeoutError);
    assertEquals(
      error.message,
      '"parse" did not end within its time limit of 50 ms: it could not begin, since its worker is held up by its modules, its initializer, or what an earlier call left running',
    );
    assertEquals(pool.stats().calls.failed, 1);
    // It may be slow: it is not replaced yet.
    assertEquals(pool.links.map(({ ended }) => ended), [0]);
    const next = pool.call(unknownFn(), "b");
    await pool.finishAll();
    assertEquals([next.done(), pool.links[0].started], [true, ["b"]]);
    await pool.shutdown();
  });

  test(`the limit of a call counts from its start where ${kind} is only slow to get ready`, async (clock) => {
    const pool = new Pool({ preparesWorkers: true });
    const future = pool.with({ timeLimit: 50 }, unknownFn(), "a");
    await clock.pass(SLOW_MS);
    await clock.pass(40);
    pool.links[0].ready();
    await clock.pass(40);
    assertEquals(future.done(), false);
    pool.links[0].start();
    await clock.pass(49);
    assertEquals(future.done(), false);
    await clock.pass(1);
    if (Pool === AnsweringPool) {
      // It can't hear of it.
      (pool as AnsweringPool).links[0].answerFromMain();
      await turn();
    }
    assertInstanceOf(await failure(future), TimeoutError);
    await pool.finishAll();
    await pool.shutdown();
  });

  test(`limits count in the queue, too, where ${kind} that does not get ready is all there is`, async (clock) => {
    const pool = new Pool({ preparesWorkers: true });
    const first = pool.call(unknownFn(), "first");
    const early = pool.with({ timeLimit: 50 }, unknownFn(), "early");
    await clock.pass(SLOW_MS);
    const late = pool.with({ timeLimit: 90 }, unknownFn(), "late");
    await clock.pass(50);
    assertInstanceOf(await failure(early), TimeoutError);
    assertEquals(late.done(), false);
    await clock.pass(40);
    assertInstanceOf(await failure(late), TimeoutError);
    assertEquals(first.done(), false);
    assertEquals(first.cancel(), true);
    await pool.shutdown();
  });

  test(`limits count no more in the queue once ${kind} gets ready after all`, async (clock) => {
    const pool = new Pool({ preparesWorkers: true });
    pool.call(unknownFn(), "first");
    const future = pool.with({ timeLimit: 500 }, unknownFn(), "a");
    await clock.pass(SLOW_MS + 400);
    pool.links[0].ready().begin();
    await clock.pass(700);
    assertEquals(future.done(), false);
    pool.links[0].answer();
    pool.links[0].start();
    await clock.pass(499);
    assertEquals(future.done(), false);
    pool.links[0].answer("fine");
    assertEquals(await future.result(), "fine");
    await pool.shutdown();
  });

  test(`${kind} that does not get ready for long is replaced when a limit is over, and the next has twice the time`, async (clock) => {
    const pool = new Pool({ preparesWorkers: true });
    const expire = async () => {
      const future = pool.with({ timeLimit: 50 }, unknownFn(), "limited");
      while (!future.done()) await clock.pass(50);
      assertInstanceOf(await failure(future), TimeoutError);
    };
    const waits = pool.call(unknownFn(), "waits");
    for (const [i, hopeless] of [HOPELESS_MS, 2 * HOPELESS_MS].entries()) {
      await clock.pass(hopeless - 500);
      await expire();
      assertEquals(pool.links.length, i + 1);
      await clock.pass(500);
      await expire();
      assertEquals(pool.links.length, i + 2);
      assertEquals(pool.links[i].ended, 1);
    }
    pool.links[2].ready().answer("fine");
    assertEquals(await waits.result(), "fine");
    await pool.shutdown();
  });
}

test("a worker that has nothing to prepare has longer to get ready, before limits count", async (clock) => {
  const pool = new ControlPool();
  const future = pool.with({ timeLimit: 50 }, unknownFn(), "a");
  await clock.pass(30_000);
  await clock.pass(49);
  assertEquals(future.done(), false);
  await clock.pass(1);
  assertInstanceOf(await failure(future), TimeoutError);
  await pool.shutdown();
});

test("a call that is kept from a child until that is ready waits, can be cancelled, and is sent in order", async () => {
  const fn = await knownFn(0.001);
  const pool = new AnsweringPool();
  const [a, b, c] = ["a", "b", "c"].map((name) => pool.call(fn, name));
  const [child] = pool.links;
  assertEquals([a.running(), pool.stats().calls.running], [false, 0]);
  assertEquals(child.messages, []);
  assertEquals([a.cancel(), a.cancelled()], [true, true]);
  child.ready();
  await turn();
  assertEquals(child.messages.flat(), ["b", "c"]);
  assertEquals([b.running(), b.cancel()], [true, false]);
  child.answer("b");
  child.answer("c");
  assertEquals([await b.result(), await c.result()], ["b", "c"]);
  await pool.shutdown();
});

test("killWorkers() cancels a call that is kept from a child, and breaks one that it was sent", async () => {
  const pool = new AnsweringPool({ maxWorkers: 2 });
  const sent = pool.call(unknownFn(), "sent");
  pool.links[0].ready().begin();
  const kept = pool.call(unknownFn(), "kept");
  pool.killWorkers("SIGTERM", "terminateWorkers()");
  assertInstanceOf(await failure(sent), BrokenThreadPool);
  assertEquals(kept.cancelled(), true);
  const { failed, cancelled } = pool.stats().calls;
  assertEquals([failed, cancelled], [1, 1]);
  await pool.shutdown();
});

test("a call that is kept from a child fails there where it can't be sent, alone", async () => {
  const pool = new AnsweringPool();
  const [a, b] = ["a", "b"].map((name) => pool.call(unknownFn(), name));
  const [child] = pool.links;
  const error = new TypeError("no");
  child.check = (calls) => {
    if ((calls[0].args as unknown[])[0] === "a") throw error;
  };
  child.ready();
  assertEquals(await failure(a), error);
  await turn();
  child.answer("b");
  assertEquals(await b.result(), "b");
  await pool.shutdown();
});

test("a shutdown that cancels ends a pool whose child does not get ready", async () => {
  const pool = new AnsweringPool();
  const futures = ["a", "b"].map((name) => pool.call(unknownFn(), name));
  const over = pool.shutdown({ cancelFutures: true });
  assertEquals(futures.map((future) => future.cancelled()), [true, true]);
  await over;
  assertEquals(pool.links[0].ended, 1);
});

// ---- A worker that begins nothing ------------------------------------------------

test("a thread that begins nothing is replaced once a limit there is over, and what else it had runs", async (clock) => {
  for (const onWorkerLost of ["break", "replace"] as const) {
    const pool = new ControlPool({ onWorkerLost });
    pool.call(unknownFn(), "leaves a loop");
    pool.links[0].ready().answer();
    const future = pool.with({ timeLimit: 200 }, unknownFn(), "a");
    const waits = pool.call(unknownFn(), "waits");
    await clock.pass(DEAF_MS);
    await clock.pass(199);
    assertEquals([future.done(), pool.links[0].ended], [false, 0]);
    await clock.pass(1);
    assertInstanceOf(await failure(future), TimeoutError);
    assertEquals([pool.links.length, pool.links[0].ended], [2, 1]);
    pool.links[1].ready().answer("fine");
    assertEquals(await waits.result(), "fine");
    assertEquals(pool.links[0].started, ["leaves a loop"]);
    await pool.shutdown();
  }
});

test("a limit counts in the queue where the only thread has begun nothing for long, and not where it runs a call", async (clock) => {
  for (const runs of [false, true]) {
    const pool = new ControlPool();
    const first = pool.call(unknownFn(), "first");
    const future = pool.with({ timeLimit: 200 }, unknownFn(), "a");
    pool.links[0].ready();
    if (runs) pool.links[0].begin();
    await clock.pass(DEAF_MS + 199);
    assertEquals(future.done(), false);
    await clock.pass(1);
    assertEquals(future.done(), !runs);
    if (runs) await clock.pass(10 * SLOW_MS);
    assertEquals(future.done(), !runs);
    await pool.finishAll();
    assertEquals([first.done(), future.done()], [true, true]);
    await pool.shutdown();
  }
});

test("a thread that has nothing to do, or only what was cancelled, is replaced for the sake of a limit alone", async (clock) => {
  const pool = new ControlPool({ idleTimeout: Infinity });
  const future = pool.call(unknownFn(), "cancelled");
  pool.links[0].ready();
  future.cancel();
  await clock.pass(10 * DEAF_MS);
  assertEquals(pool.links[0].ended, 0);
  const waits = pool.call(unknownFn(), "waits");
  await clock.pass(10 * DEAF_MS);
  assertEquals([pool.links[0].ended, waits.done()], [0, false]);
  const limited = pool.with({ timeLimit: 200 }, unknownFn(), "limited");
  await clock.pass(200);
  assertInstanceOf(await failure(limited), TimeoutError);
  assertEquals(pool.links[0].ended, 1);
  await pool.finishAll();
  assertEquals(waits.done(), true);
  await pool.shutdown();
});

test("a child that seems to run a call for long is asked for it, once, where a limit waits behind", async (clock) => {
  const pool = new ControlChildPool();
  const first = pool.call(unknownFn(), "first");
  const [child] = pool.links;
  child.ready();
  await clock.pass(10 * DEAF_MS);
  assertEquals(child.answers.length, 0, "nobody has a limit");
  const future = pool.with({ timeLimit: 200 }, unknownFn(), "a");
  await turn();
  assertEquals(child.answers.length, 1);
  child.answerFromMain();
  await clock.pass(200);
  assertInstanceOf(await failure(future), TimeoutError);
  assertEquals(child.ended, 1);
  await pool.finishAll();
  assertEquals(first.done(), true);
  await pool.shutdown();

  const other = new ControlChildPool();
  const runs = other.call(unknownFn(), "runs");
  other.links[0].ready().begin();
  const waits = other.with({ timeLimit: 200 }, unknownFn(), "waits");
  await clock.pass(10 * DEAF_MS);
  assertEquals(other.links[0].answers.length, 1);
  other.links[0].answerFromMain();
  await clock.pass(10 * DEAF_MS);
  assertEquals(other.links[0].answers.length, 0);
  assertEquals([runs.done(), waits.done()], [false, false]);
  await other.finishAll();
  assertEquals([runs.done(), waits.done()], [true, true]);
  await other.shutdown();
});

test("a child that begins a call with a limit and does not say so is killed once the limit is over", async (clock) => {
  for (const answers of [true, false]) {
    const pool = new AnsweringPool();
    pool.call(unknownFn(), "leaves a loop");
    const [child] = pool.links;
    child.ready().answer();
    const future = pool.with({ timeLimit: 200 }, unknownFn(), "a");
    await clock.pass(DEAF_MS + 200);
    assertEquals([future.done(), future.running()], [false, true]);
    // Its main thread takes the call back; or it is stopped as a whole.
    if (answers) child.answerFromMain();
    else await clock.pass(GRACE_MS);
    assertInstanceOf(await failure(future), TimeoutError);
    assertEquals(child.ended, 1);
    await pool.finishAll();
    await pool.shutdown();
  }
});

test("a shutdown that cancels has children give back what they do not begin, and lets finish what runs", async (clock) => {
  const pool = new ControlChildPool({ maxWorkers: 2 });
  const [deaf, runs] = ["deaf", "runs"].map((name) =>
    pool.call(unknownFn(), name)
  );
  for (const link of pool.links) link.ready();
  pool.links[1].begin();
  const over = pool.shutdown({ cancelFutures: true });
  await clock.pass(DEAF_MS - 1);
  assertEquals(pool.links.flatMap(({ answers }) => answers), []);
  await clock.pass(1);
  for (const link of pool.links) link.answerFromMain();
  assertEquals([deaf.cancelled(), runs.done()], [true, false]);
  pool.links[1].answer("fine");
  assertEquals(await runs.result(), "fine");
  pool.links[0].skip();
  await over;
});

// ---- A child that is told to stop a call -----------------------------------------

/** A pool whose child runs a call that a signal can stop. */
async function stoppable(timeLimit?: number) {
  const pool = new AnsweringPool({ idleTimeout: Infinity });
  const controller = new AbortController();
  const { signal } = controller;
  const future = pool.with({ signal, timeLimit }, unknownFn(), "a");
  const [child] = pool.links;
  const gone = Promise.withResolvers<void>();
  child.gone = gone.promise;
  child.ready().start();
  await turn();
  return { pool, controller, future, child, gone };
}

test("a child whose call never asked for its signal is killed at once, and the call fails when the child is gone", async () => {
  const { pool, controller, future, child, gone } = await stoppable();
  const next = pool.call(unknownFn(), "next");
  controller.abort("enough");
  child.answerFromMain();
  assertEquals(child.killedBy, "SIGKILL");
  // Another takes its place meanwhile.
  pool.links[1].ready().answer("fine");
  assertEquals(await next.result(), "fine");
  assertEquals([future.done(), future.running()], [false, true]);
  assertEquals(future.cancel(), false);
  const over = pool.shutdown();
  assertEquals(await stateOf(over), "pending");
  gone.resolve();
  await turn();
  assertEquals(await failure(future), "enough");
  await over;
  assertEquals(pool.stats().calls.failed, 1);
});

test("a child that does not answer is killed all the same, and the call fails when the child is gone", async (clock) => {
  const { pool, controller, future, child, gone } = await stoppable();
  controller.abort("enough");
  await clock.pass(GRACE_MS - 1);
  assertEquals([future.done(), child.ended], [false, 0]);
  await clock.pass(1);
  assertEquals([future.done(), child.killedBy], [false, "SIGKILL"]);
  gone.resolve();
  await turn();
  assertEquals(await failure(future), "enough");
  await pool.shutdown();
});

test("a child's call that has asked for its signal fails at once, and may end by itself", async (clock) => {
  for (const isKnown of [true, false]) {
    const { pool, controller, future, child } = await stoppable();
    child.listen();
    if (isKnown) child.deliver();
    controller.abort("enough");
    assertEquals(future.done(), isKnown);
    child.answerFromMain();
    assertEquals(await failure(future), "enough");
    child.answer("not heard by anyone");
    await clock.pass(10 * GRACE_MS);
    assertEquals(child.ended, 0);
    const next = pool.call(unknownFn(), "next");
    child.answer("fine");
    assertEquals(await next.result(), "fine");
    assertEquals(pool.stats().calls.failed, 1);
    child.gone = Promise.resolve();
    await pool.shutdown();
  }
});

test("a child's call that has asked for its signal and goes on loses its child after a grace", async (clock) => {
  const { pool, controller, future, child, gone } = await stoppable();
  child.listen().deliver();
  controller.abort("enough");
  child.answerFromMain();
  assertEquals(await failure(future), "enough");
  await clock.pass(GRACE_MS);
  assertEquals(child.killedBy, "SIGKILL");
  gone.resolve();
  await pool.shutdown();
});

test("a call that was stopped fails with the reason, whatever comes before the child's answer", async (clock) => {
  type Stoppable = Awaited<ReturnType<typeof stoppable>>;
  const whatever: Record<string, (it: Stoppable) => void> = {
    "its own end": ({ child }) => child.answer("an end of its own"),
    "its child's death": ({ child }) => child.die(),
    "killWorkers()": ({ pool }) => pool.killWorkers("SIGKILL", "killWorkers()"),
    "another worker's death": ({ pool }) => {
      pool.links[0].events.onInitializerFailed(returned(undefined));
    },
    "its limit": () => clock.tick(50),
  };
  for (const [what, happen] of Object.entries(whatever)) {
    const it = await stoppable(50);
    const { pool, controller, future, child, gone } = it;
    controller.abort("enough");
    happen(it);
    for (const link of pool.links) link.deliver();
    child.answerFromMain();
    gone.resolve();
    await turn();
    assertEquals([what, await failure(future)], [what, "enough"]);
    assertEquals([what, pool.stats().calls.failed], [what, 1]);
    await pool.shutdown();
  }
});

test("an answer that comes when another call has the slot stops nothing", async () => {
  const { pool, controller, child, gone } = await stoppable();
  controller.abort("enough");
  const [late] = child.answers.splice(0);
  child.answer("an end of its own");
  const next = pool.with({ timeLimit: 1000 }, unknownFn(), "next");
  child.start();
  assertEquals(child.slots[0], child.slots[1]);
  late();
  assertEquals([child.ended, next.done()], [0, false]);
  child.answer("fine");
  assertEquals(await next.result(), "fine");
  gone.resolve();
  await pool.shutdown();
});
