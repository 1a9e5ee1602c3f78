/** Pools that go on when a worker dies, event by event. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertThrows,
} from "@std/assert";
import { BrokenThreadPool, RuntimeError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import type { PoolKind } from "../../internal/pool/pool_link.ts";
import {
  type Any,
  callAll,
  knownFn,
  record,
  test,
  threw,
  unknownFn,
} from "../_hand.ts";
import { ControlChildPool, ControlPool } from "../_hand_control.ts";
import { bound, stateOf, turn } from "../_helpers.ts";

function replacing(options: Partial<PoolKind> = {}): ControlPool {
  return new ControlPool({ onWorkerLost: "replace", ...options });
}

/** What a call that went down with its worker fails with. */
async function lost(future: Future<unknown>): Promise<BrokenThreadPool> {
  assert(future.done(), "is done");
  const error = await future.exception();
  assertInstanceOf(error, BrokenThreadPool);
  return error;
}

/** A pool that goes on, whose worker runs "running" and has short calls behind it. */
async function withCallsBehind(pool: ControlPool, behind: string) {
  const fn = await knownFn(0.001);
  const futures = [pool.call(fn, "running")];
  pool.links[0].ready().start();
  futures.push(...await callAll(pool, fn, behind));
  assertEquals(pool.held, [["running", ...behind]]);
  return futures;
}

test("a pool that goes on sends the arguments of the time of submit to the worker after one that died", async () => {
  const pool = replacing();
  const list = ["as it was"];
  pool.call(unknownFn(), list);
  list[0] = "changed";
  pool.last.die();
  list[0] = "changed again";
  pool.last.ready().begin();
  assertEquals(pool.last.started, [["as it was"]]);
  await pool.finishAll();
  await pool.shutdown();
});

test("a pool that goes on fails the call that ran, alone, and says which worker, how, and what it ran", async () => {
  const pool = replacing({ maxWorkers: 2 });
  const fatal = pool.call(unknownFn("fatal"), "a");
  const other = pool.call(unknownFn(), "b");
  const waits = pool.call(unknownFn(), "c");
  for (const link of pool.links) link.ready().start();
  const cause = new RangeError("deep");
  pool.links[0].die("ended by an uncaught error", cause);
  const error = await lost(fatal);
  assertEquals(
    error.message,
    'Worker "hand_0" ended by an uncaught error (RangeError: deep) while it ran "fatal"',
  );
  assertEquals(error.cause, cause);
  assertEquals(pool.held.slice(1), [["b"], ["c"]]);
  await pool.finishAll();
  for (const future of [other, waits]) {
    assertEquals(await stateOf(future.result()), "fulfilled");
  }
  await pool.shutdown();
});

test("a pool that goes on adds what a link notes of a death", async () => {
  const pool = replacing();
  const fatal = pool.call(unknownFn("fatal"), "a");
  pool.links[0].ready().start();
  pool.links[0].events.onDeath("was killed", undefined, "the last it wrote");
  assertEquals(
    (await lost(fatal)).message,
    'Worker "hand_0" was killed while it ran "fatal"; the last it wrote',
  );
  await pool.shutdown();
});

test("a pool that goes on runs what waited behind the lost call once, in order, before what came later", async () => {
  const pool = replacing();
  const [running, ...behind] = await withCallsBehind(pool, "abc");
  const later = pool.call(unknownFn(), "later");
  await turn();
  pool.links[0].die();
  await lost(running);
  await pool.finishAll();
  assertEquals(pool.links.map(({ started }) => started), [
    ["running"],
    ["a", "b", "c", "later"],
  ]);
  for (const future of [...behind, later]) {
    assertEquals(await stateOf(future.result()), "fulfilled");
  }
});

test("a pool of children that goes on loses the first call of a child, and runs the rest once, in order", async () => {
  const fn = await knownFn(0.001);
  const pool = new ControlChildPool({ onWorkerLost: "replace" });
  const running = pool.call(fn, "running");
  pool.links[0].ready().start();
  const behind = await callAll(pool, fn, "abc");
  pool.links[0].die();
  await lost(running);
  await pool.finishAll();
  assertEquals(pool.links[1].started, ["a", "b", "c"]);
  assert(behind.every((future) => future.done()));
});

test("a pool that goes on loses nothing that was done and not yet told before the death", async () => {
  const pool = replacing();
  const [running, a] = await withCallsBehind(pool, "a");
  pool.links[0].finish();
  pool.links[0].begin();
  pool.links[0].deliver();
  assertEquals(running.done(), true);
  pool.links[0].die();
  await lost(a);
  await pool.shutdown();
});

test("a pool that goes on does not bring back calls that were cancelled", async () => {
  const pool = replacing();
  const [, a, b, c] = await withCallsBehind(pool, "abc");
  b.cancel();
  pool.links[0].die();
  a.cancel();
  await pool.finishAll();
  assertEquals(pool.links[1].started, ["c"]);
  assertEquals(c.done(), true);
  await pool.shutdown();
});

test("a pool that goes on gives each lost call an error of its own", async () => {
  const pool = replacing({ maxWorkers: 2 });
  const futures = [pool.call(unknownFn(), "a"), pool.call(unknownFn(), "b")];
  for (const link of pool.links) link.ready().start();
  for (const link of [...pool.links]) link.die();
  const [one, other] = await Promise.all(futures.map(lost));
  assertNotStrictEquals(one, other);
  await pool.shutdown();
});

test("a call that killed a worker is not run again", async () => {
  const pool = replacing();
  const fatal = pool.call(unknownFn(), "fatal");
  pool.links[0].ready().start();
  pool.links[0].die();
  await lost(fatal);
  await pool.finishAll();
  assertEquals(pool.links.length, 1);
  await pool.shutdown();
});

test("a hundred calls of which ten kill their worker: ninety results, ten errors, and the pool goes on", async () => {
  const pool = replacing({ maxWorkers: 4 });
  const futures = Array.from(
    { length: 100 },
    (_, i) => pool.call(unknownFn(), i),
  );
  for (let i = 0; i < 200 && futures.some((future) => !future.done()); i++) {
    for (const link of [...pool.links]) {
      if (link.ended > 0) continue;
      const got = link.ready().start().current;
      if (!got) continue;
      if (got.name % 10 === 3) link.die();
      else link.answer(got.name);
    }
    await turn();
  }
  const errors = futures.filter((_, i) => i % 10 === 3);
  for (const future of errors) await lost(future);
  for (const [i, future] of futures.entries()) {
    if (i % 10 !== 3) assertEquals(await future.result(), i);
  }
  const { calls } = pool.stats();
  assertEquals([calls.finished, calls.failed], [90, 10]);
  await pool.shutdown();
});

test("a call that two workers died with before they began it fails, and is not tried again", async () => {
  const pool = replacing();
  const unlucky = pool.call(unknownFn(), "unlucky");
  const next = pool.call(unknownFn(), "next");
  await turn();
  pool.links[0].die();
  assertEquals([unlucky.done(), pool.held.slice(1)], [false, [["unlucky"]]]);
  pool.links[1].die("was killed by a signal");
  assertEquals(
    (await lost(unlucky)).message,
    'Worker "hand_0" was killed by a signal before it ran a call',
  );
  assertEquals(pool.held.slice(2), [["next"]]);
  pool.links[2].ready().answer("fine");
  assertEquals(await next.result(), "fine");
  await pool.shutdown();
});

test("calls that wait behind one deadly call after another are all run, however often that happens", async () => {
  const deadly = await knownFn(0.001);
  const pool = replacing();
  const fatal = Array.from({ length: 5 }, (_, i) => pool.call(deadly, `x${i}`));
  const a = pool.call(deadly, "a");
  for (const future of fatal) {
    pool.last.ready().start();
    // Another submission has those behind it handed ahead.
    pool.call(deadly, "more").cancel();
    await turn();
    assertEquals(pool.last.holds.at(-1), "a");
    pool.last.die();
    await lost(future);
    assertEquals(a.done(), false);
  }
  await pool.finishAll();
  assertEquals(await stateOf(a.result()), "fulfilled");
  await pool.shutdown();
});

test("a call that moves what it holds is tried once, since it can't be sent twice", async () => {
  const buffer = new ArrayBuffer(8);
  const pool = replacing();
  const moving = pool.with({ transfer: [buffer] }, unknownFn(), "moving");
  pool.links[0].die();
  await lost(moving);
  assertEquals(pool.links.length, 1);
  await pool.shutdown();
});

test("three workers in a row that die before they begin a call break the pool, which says so", async () => {
  const pool = replacing();
  const futures = ["a", "b", "c", "d"].map((name) =>
    pool.call(unknownFn(), name)
  );
  await turn();
  for (let i = 0; i < 3; i++) pool.links[i].die("was killed");
  assertEquals(pool.links.length, 3);
  await lost(futures[0]);
  for (const future of futures.slice(1)) {
    assertMatch(
      (await lost(future)).message,
      /^3 workers in a row ended before they ran a call.*Worker "hand_0" was killed/i,
    );
  }
  const later = assertThrows(
    () => pool.call(unknownFn(), "e"),
    BrokenThreadPool,
  );
  assertMatch(later.message, /3 workers in a row/);
  assertMatch(later.message, /create a new pool/);
  await pool.shutdown();
});

test("two workers that die before they begin a call, and one that ends a call, are no row", async () => {
  const pool = replacing();
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 2; i++) {
      const future = pool.call(unknownFn(), "a");
      pool.last.die();
      // Tried again by a worker of its own, or not at all.
      if (i === 0) future.cancel();
      if (i === 0) pool.last.die();
      else pool.last.ready().answer();
    }
    // The next round needs one that has not started.
    pool.call(unknownFn(), "fatal");
    pool.last.start().die();
  }
  await pool.shutdown();
});

test("idle workers that are killed from outside are no row, however many", async () => {
  const pool = replacing({ maxWorkers: 8 });
  const futures = Array.from(
    { length: 8 },
    (_, i) => pool.call(unknownFn(), i),
  );
  for (const link of pool.links) link.ready().answer();
  assert(futures.every((future) => future.done()));
  for (const link of [...pool.links]) link.die();
  assertEquals(pool.stats().workers, { live: 0, busy: 0 });
  const next = pool.call(unknownFn(), "next");
  pool.last.ready().answer("fine");
  assertEquals(await next.result(), "fine");
  await pool.shutdown();
});

test("workers that have run calls and die before they begin the next are no row", async () => {
  const pool = replacing({ maxWorkers: 4 });
  for (let i = 0; i < 4; i++) pool.call(unknownFn(), i);
  for (const link of pool.links) link.ready().answer();
  const futures = [1, 2, 3, 4].map((i) => pool.call(unknownFn(), i));
  for (const link of pool.links.slice(0, 4)) link.die();
  await pool.finishAll();
  for (const future of futures) {
    assertEquals(await stateOf(future.result()), "fulfilled");
  }
  await pool.shutdown();
});

test("a call that one worker after another had when it died of what an earlier call left behind is run", async () => {
  const pool = replacing({ maxWorkers: 4 });
  for (let i = 0; i < 4; i++) pool.call(unknownFn(), i);
  for (const link of pool.links) link.ready().answer();
  const future = pool.call(unknownFn(), "unlucky");
  // The one that was used last has it, and then the one before.
  for (const link of pool.links.slice(0, 4).reverse()) {
    assertEquals(link.holds, ["unlucky"]);
    link.die("ended by an unhandled rejection");
  }
  pool.last.ready().answer("fine");
  assertEquals(await future.result(), "fine");
  await pool.shutdown();
});

test("a call that ends every worker before it begins is lost after a few, though they had run others", async () => {
  const pool = replacing({ maxWorkers: 20 });
  for (let i = 0; i < 20; i++) pool.call(unknownFn(), i);
  for (const link of pool.links) link.ready().answer();
  const deadly = pool.call(unknownFn(), "deadly");
  const check = bound();
  while (!deadly.done()) {
    check();
    pool.links.find(({ ended, holds }) => !ended && holds.length > 0)!.die();
  }
  await lost(deadly);
  assert(pool.stats().workers.live > 10);
  await pool.shutdown();
});

test("an initializer that fails breaks a pool that goes on otherwise", async () => {
  const pool = replacing({ maxWorkers: 2 });
  const futures = ["a", "b", "c"].map((name) => pool.call(unknownFn(), name));
  await turn();
  pool.links[0].events.onInitializerFailed(threw(record("TypeError", "bad")));
  for (const future of futures) {
    assertMatch(
      (await lost(future)).message,
      /^The initializer failed in worker "hand_0" with TypeError: bad/,
    );
  }
  assertThrows(() => pool.call(unknownFn()), BrokenThreadPool);
  await pool.shutdown();
});

test("a worker that can't be started breaks a pool that goes on otherwise", async () => {
  const pool = replacing({
    open() {
      throw new Error("no more threads");
    },
  });
  const future = pool.call(unknownFn(), "a");
  assertMatch((await lost(future)).message, /no more threads/);
  await pool.shutdown();
});

test("a shutdown goes on over the death of a worker, and waits for what is run again", async () => {
  const pool = replacing();
  const [running, a, b] = await withCallsBehind(pool, "ab");
  const over = pool.shutdown();
  pool.links[0].die();
  await lost(running);
  assertEquals([await stateOf(over), pool.links.length], ["pending", 2]);
  await pool.finishAll();
  assertEquals(await stateOf(over), "fulfilled");
  for (const future of [a, b]) {
    assertEquals(await stateOf(future.result()), "fulfilled");
  }
});

test("a shutdown is over when the last call went down with its worker, and that is gone", async () => {
  const pool = replacing();
  const fatal = pool.call(unknownFn(), "fatal");
  const gone = Promise.withResolvers<void>();
  pool.links[0].gone = gone.promise;
  pool.links[0].ready().start();
  const over = pool.shutdown();
  pool.links[0].die();
  await lost(fatal);
  assertEquals(await stateOf(over), "pending");
  gone.resolve();
  assertEquals(await stateOf(over), "fulfilled");
});

test("killWorkers() after a death, and from a callback of it, leaves no call pending and no worker", async () => {
  for (const from of ["after", "callback"]) {
    const pool = replacing({ maxWorkers: 2 });
    const futures = ["a", "b", "c", "d"].map((name) =>
      pool.call(unknownFn(), name)
    );
    const kill = () => pool.killWorkers("SIGKILL", "the test");
    if (from === "callback") futures[0].addDoneCallback(kill);
    for (const link of pool.links) link.ready().start();
    pool.links[0].die();
    if (from === "after") kill();
    await lost(futures[0]);
    assert(futures.every((future) => future.done()));
    await pool.shutdown();
    assert(pool.links.every(({ ended }) => ended === 1));
    assertThrows(() => pool.call(unknownFn()), RuntimeError);
  }
});

test("killWorkers() from a callback of the death that is one too many leaves a pool that was shut down", async () => {
  const pool = replacing({ maxWorkers: 2 });
  const [a, b] = ["a", "b"].map((name) => pool.call(unknownFn(), name));
  a.addDoneCallback(() => pool.killWorkers("SIGKILL", "the test"));
  for (const i of [0, 1, 2]) pool.links[i].die();
  await lost(a);
  assertMatch((await lost(b)).message, /was ended by the test/);
  assertThrows(() => pool.call(unknownFn()), RuntimeError, "after shutdown");
  await pool.shutdown();
  assert(pool.links.every(({ ended }) => ended === 1));
});

test("shutdown() from a callback of the death that is one too many leaves a pool that was shut down", async () => {
  const pool = replacing();
  pool.call(unknownFn(), "a");
  for (const i of [0, 1]) pool.links[i].die();
  const buffer = new ArrayBuffer(8);
  const future = pool.with({ transfer: [buffer] }, unknownFn(), buffer);
  future.addDoneCallback(() => pool.shutdown({ cancelFutures: true }));
  pool.last.die();
  await lost(future);
  assertThrows(() => pool.call(unknownFn()), RuntimeError, "after shutdown");
  await pool.shutdown();
});

test("a callback of a lost call that submits has its call run", async () => {
  const pool = replacing();
  const fatal = pool.call(unknownFn(), "fatal");
  const more: Future<Any>[] = [];
  fatal.addDoneCallback(() => more.push(pool.call(unknownFn(), "more")));
  pool.links[0].ready().start();
  pool.links[0].die();
  pool.last.ready().answer("fine");
  assertEquals(await more[0].result(), "fine");
  await pool.shutdown();
});

test("a worker that dies idle ends nothing, and the pool is idle", async (clock) => {
  const pool = replacing();
  pool.call(unknownFn(), "a");
  pool.links[0].ready().answer();
  pool.links[0].die();
  assertEquals(pool.stats().workers, { live: 0, busy: 0 });
  await clock.pass(1000);
  assertEquals(pool.links.length, 1);
  await pool.shutdown();
});

test("a worker that dies with only a cancelled call to pass over ends nothing", async () => {
  const pool = replacing();
  const future = pool.call(unknownFn(), "a");
  future.cancel();
  pool.links[0].die();
  const next = pool.call(unknownFn(), "b");
  pool.last.ready().answer("fine");
  assertEquals(await next.result(), "fine");
  await pool.shutdown();
});
