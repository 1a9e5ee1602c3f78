/** What a pool asks of links that share no memory with it, event by event. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertThrows,
} from "@std/assert";
import { BrokenProcessPool, RuntimeError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import type { CallMessage, FunctionRef } from "../../internal/call/protocol.ts";
import type { PoolKind } from "../../internal/pool/pool_link.ts";
import {
  type Any,
  callAll,
  HandLink,
  HandPool,
  knownFn,
  test,
  unknownFn,
} from "../_hand.ts";
import { turn } from "../_helpers.ts";

/**
 * A child as `process_worker.ts` is one: its worker speaks by `deliver`, its
 * main thread by `answerRecalls` and `deliverReturned`, each in an order of its own.
 */
class HandChild extends HandLink {
  /** What was asked for back and is not answered yet, by slot. */
  readonly recalls: number[][] = [];
  /** All that was ever asked for back, by the calls' names. */
  readonly recalled: Any[][] = [];
  readonly #answers: (() => void)[] = [];
  /** Whether it can be given a call of this function. */
  can: (fn: FunctionRef) => boolean = () => true;

  override send(calls: readonly CallMessage[]): void {
    // A child reads what it is told in order.
    this.answerRecalls();
    super.send(calls);
  }

  override hasStarted(): boolean {
    return true;
  }

  override takeBack(): boolean {
    return false;
  }

  recall(slots: readonly number[]): void {
    assertEquals(this.ended, 0, "nothing is asked of a child that was ended");
    assert(slots.length > 0, "no recall is empty");
    this.recalls.push([...slots]);
    const names = new Map(this.inbox.map(({ slot, name }) => [slot, name]));
    this.recalled.push(slots.map((slot) => names.get(slot)));
  }

  accepts(fn: FunctionRef): boolean {
    return this.can(fn);
  }

  /** The main thread takes what it was asked for, where the worker has not begun it. */
  answerRecalls(): this {
    for (let slots; (slots = this.recalls.shift());) {
      const back = slots.filter((slot) => this.flags.get(slot) === "waiting");
      for (const slot of back) this.flags.set(slot, "taken back");
      this.#answers.push(() => this.events.onReturned(back));
    }
    return this;
  }

  /** The pool hears the main thread. */
  deliverReturned(): void {
    for (let tell; (tell = this.#answers.shift());) tell();
  }
}

/** A pool of children that the test plays. */
class ChildPool extends HandPool {
  declare readonly links: HandChild[];

  constructor(
    options: Partial<PoolKind> & { onOpen?: (link: HandLink) => void } = {},
  ) {
    super({ broken: BrokenProcessPool, Link: HandChild, ...options });
  }

  /** Has children run all calls that the test left. */
  async runAll(): Promise<void> {
    for (let busy = true; busy;) {
      await this.finishAll();
      busy = false;
      for (const link of this.links) {
        if (link.ended > 0) continue;
        busy ||= link.recalls.length > 0;
        link.answerRecalls().deliverReturned();
        busy ||= link.inbox.length > 0 || link.outbox.length > 0;
      }
    }
  }
}

/** A pool whose first child runs "running" and has calls waiting behind it. */
async function childWithCallsBehind(
  behind: Iterable<unknown>,
  options: Partial<PoolKind> = {},
): Promise<
  { pool: ChildPool; child: HandChild; fn: Any; futures: Future<Any>[] }
> {
  const fn = await knownFn(0.001);
  const pool = new ChildPool(options);
  const futures = [pool.call(fn, "running")];
  for (let i = 1; i < (options.maxWorkers ?? 1); i++) {
    pool.call(unknownFn(), `unknown ${i}`);
  }
  for (const link of pool.links) link.ready().begin();
  for (const name of behind) {
    futures.push(pool.call(fn, name));
    await turn();
  }
  return { pool, child: pool.links[0], fn, futures };
}

// ---- Calls that were handed over -------------------------------------------

test("a pool of children takes a call for started once it is handed over", async () => {
  const { pool, futures } = await childWithCallsBehind("a");
  for (const future of futures) {
    assertEquals(future.cancel(), false);
    assertEquals(future.running(), true);
  }
  await pool.runAll();
  for (const future of futures) assertEquals(future.cancelled(), false);
});

test("a pool of children cancels a call that waits in the queue", async () => {
  const pool = new ChildPool();
  const [running, waiting] = [
    pool.call(unknownFn(), 1),
    pool.call(unknownFn(), 2),
  ];
  await turn();
  assertEquals([running.cancel(), waiting.cancel()], [false, true]);
  await pool.runAll();
  assertEquals(pool.links[0].started, [1]);
});

// ---- Recall ----------------------------------------------------------------

test("a pool asks a child for what waits behind a call that turned out long, once", async (clock) => {
  const { pool, child, fn } = await childWithCallsBehind("abc");
  await clock.pass(3);
  await callAll(pool, fn, "d");
  await callAll(pool, fn, "e");
  assertEquals(child.recalled.map((names) => names.toSorted()), [[
    "a",
    "b",
    "c",
  ]]);
  await pool.runAll();
});

test("a pool runs calls that a child gave back before those submitted later", async (clock) => {
  const { pool, child, fn } = await childWithCallsBehind("abc");
  await clock.pass(3);
  await callAll(pool, fn, "de");
  child.answerRecalls().deliverReturned();
  assertEquals(child.holds, ["running"]);
  child.answer();
  await pool.runAll();
  assertEquals(child.started, ["running", "a", "b", "c", "d", "e"]);
});

test("a pool hands a child nothing while it asks calls back from it, which come before", async (clock) => {
  const { pool, child, fn } = await childWithCallsBehind("abc");
  await clock.pass(3);
  await callAll(pool, fn, "d");
  // The call that was long ends after the main thread took back what waited.
  child.answerRecalls();
  child.answer();
  await callAll(pool, fn, "ef");
  assertEquals(child.holds, []);
  child.deliverReturned();
  await pool.runAll();
  assertEquals(child.started, ["running", "a", "b", "c", "d", "e", "f"]);
});

test("a pool hands what a child gave back to another child that is idle", async () => {
  const { pool, child } = await childWithCallsBehind("abcd", { maxWorkers: 2 });
  pool.links[1].answer();
  assertEquals(child.recalled.length, 1);
  child.answerRecalls().deliverReturned();
  assert(pool.links[1].holds.length > 0);
  await pool.runAll();
  const all = [...child.started, ...pool.links[1].started];
  assertEquals(all.toSorted(), ["a", "b", "c", "d", "running", "unknown 1"]);
});

test("a call that a child gave back can be cancelled, and one that it did not cannot", async (clock) => {
  const { pool, child, fn, futures } = await childWithCallsBehind("abc");
  await clock.pass(3);
  await callAll(pool, fn, "d");
  // The worker is done with the long call and has begun "a" when it is asked.
  child.finish();
  child.begin();
  child.answerRecalls().deliverReturned();
  assertEquals(futures.map((future) => future.cancel()), [
    false,
    false,
    true,
    true,
  ]);
  await pool.runAll();
  assertEquals(child.started, ["running", "a", "d"]);
});

test("a call that a child gave back waits again, whatever was asked of it before", async (clock) => {
  const { pool, child, fn, futures } = await childWithCallsBehind("abc");
  const [, a, b, c] = futures;
  // As long as a child has it, a call counts as started.
  assertEquals([a.running(), b.cancel()], [true, false]);
  await clock.pass(3);
  await callAll(pool, fn, "d");
  child.answerRecalls().deliverReturned();
  assertEquals([a, b, c].map((future) => future.running()), [
    false,
    false,
    false,
  ]);
  assertEquals([a, b, c].map((future) => future.cancel()), [true, true, true]);
  await pool.runAll();
  assertEquals(child.started, ["running", "d"]);
});

for (const first of ["that they were skipped", "that they are given back"]) {
  test(`a pool of children runs each call once that is given back, if it hears ${first} first`, async (clock) => {
    const { pool, child, fn, futures } = await childWithCallsBehind("abc");
    await clock.pass(3);
    await callAll(pool, fn, "d");
    child.answerRecalls();
    child.finish();
    child.begin(); // passes them over, and has nothing left
    if (first === "that they were skipped") {
      child.deliver();
      assertEquals(futures.slice(1).map((future) => future.done()), [
        false,
        false,
        false,
      ]);
      child.deliverReturned();
    } else {
      child.deliverReturned();
      child.deliver();
    }
    await pool.runAll();
    assertEquals(child.started.toSorted(), ["a", "b", "c", "d", "running"]);
    assert(futures.every((future) => future.done()));
    // It has nothing left to pass over: it is there for the next call.
    const next = pool.call(unknownFn(), "next");
    assertEquals(child.holds, ["next"]);
    child.answer();
    assertEquals(next.done(), true);
    await pool.shutdown();
  });
}

test("a pool uses no slot of a call that is given back until it was skipped", async (clock) => {
  const { pool, child, fn } = await childWithCallsBehind("abc", { slots: 4 });
  await clock.pass(3);
  await callAll(pool, fn, "d");
  child.answerRecalls().deliverReturned();
  // HandLink fails the test when a slot is used that is not free.
  await callAll(pool, fn, "efgh");
  child.answer();
  await pool.runAll();
  assertEquals(child.started, ["running", ..."abcdefgh"]);
});

test("a pool goes on when a child has nothing to give back", async (clock) => {
  const { pool, child, fn } = await childWithCallsBehind("ab");
  await clock.pass(3);
  await callAll(pool, fn, "c");
  // All have begun, and ended, before the main thread looks.
  for (let i = 0; i < 3; i++) child.finish();
  child.answerRecalls().deliverReturned();
  child.deliver();
  await pool.runAll();
  assertEquals(child.started, ["running", "a", "b", "c"]);
});

test("a pool asks again after a child had nothing to give back", async (clock) => {
  const { pool, child, fn } = await childWithCallsBehind("ab");
  await clock.pass(3);
  await callAll(pool, fn, "c");
  for (let i = 0; i < 3; i++) child.finish();
  child.deliver();
  child.answerRecalls().deliverReturned();
  // "c" runs now, and others come behind it.
  child.begin();
  await callAll(pool, fn, "d");
  await callAll(pool, fn, "e");
  await clock.pass(3);
  await callAll(pool, fn, "f");
  assert(child.recalls.length > 0);
  await pool.runAll();
  assertEquals(child.started.toSorted(), [..."abcdef", "running"]);
});

test("a pool that drains waits for calls that a child is to give back and has passed over", async () => {
  const { pool, child, futures } = await childWithCallsBehind("a", {
    maxWorkers: 2,
  });
  pool.links[1].answer();
  assertEquals(child.recalled, [["a"]]);
  child.answerRecalls().finish();
  child.begin(); // passes "a" over, and has nothing left
  let over = false;
  const shutdown = pool.shutdown().then(() => over = true);
  child.deliver();
  await turn();
  assertEquals([over, futures[1].done()], [false, false]);
  child.deliverReturned();
  await pool.runAll();
  await shutdown;
  assertEquals(futures.map((future) => future.done()), [true, true]);
});

test("a pool that a child's death breaks fails what was given back, what was asked for, and what waits", async (clock) => {
  for (const answered of [true, false]) {
    const { pool, child, fn, futures } = await childWithCallsBehind("ab");
    await clock.pass(3);
    futures.push(...await callAll(pool, fn, "c"));
    if (answered) child.answerRecalls().deliverReturned();
    child.events.onDeath("was killed by SIGKILL");
    for (const future of futures) {
      assertInstanceOf(await future.exception(), BrokenProcessPool);
    }
    // What is told late is about nothing any more.
    child.answerRecalls().deliverReturned();
    await pool.shutdown();
  }
});

// ---- Children that can't run everything -------------------------------------

test("a pool ends an idle child that does not accept a call, and starts another", async () => {
  const pool = new ChildPool();
  pool.call(unknownFn(), 1);
  const [first] = pool.links;
  first.ready().answer();
  first.can = () => false;
  const future = pool.call(unknownFn(), 2);
  assertEquals(first.ended, 1);
  assertEquals(pool.links.length, 2);
  assertEquals(pool.links[1].index, 0);
  await pool.runAll();
  assertEquals(future.done(), true);
});

test("a pool hands a child nothing ahead that it does not accept, nor what comes after it", async () => {
  const { pool, child, fn } = await childWithCallsBehind("a");
  const other = await knownFn(0.001);
  const refs: FunctionRef[] = [];
  child.can = (ref) => {
    refs.push(ref);
    return refs[0] !== ref;
  };
  pool.call(other, "refused");
  await turn();
  await callAll(pool, fn, "bc");
  assertEquals(child.holds, ["running", "a"]);
  await pool.runAll();
  assertEquals(child.started, ["running", "a"]);
  assertEquals(pool.links[1].started, ["refused", "b", "c"]);
});

test("a pool whose busy child does not accept a call starts another when it may", () => {
  const pool = new ChildPool({
    maxWorkers: 2,
    onOpen: (link) => (link as HandChild).can = () => link.index === 1,
  });
  pool.call(unknownFn(), 1);
  pool.call(unknownFn(), 2);
  assertEquals(pool.held, [[1], [2]]);
});

// ---- A child's last task -----------------------------------------------------

for (const maxTasks of [1, 2, 3]) {
  test(`a pool replaces a child after ${maxTasks} calls, and starves nobody`, async () => {
    const fn = await knownFn(0.001);
    const pool = new ChildPool({ maxTasks });
    const futures = Array.from({ length: 10 }, (_, i) => pool.call(fn, i));
    await pool.runAll();
    for (const future of futures) assertEquals(future.done(), true);
    const runs = pool.links.map(({ started }) => started);
    assertEquals(runs.flat(), Array.from({ length: 10 }, (_, i) => i));
    for (const started of runs.slice(0, -1)) {
      assertEquals(started.length, maxTasks);
    }
    assertEquals(
      pool.links.filter(({ ended }) => ended === 0).length,
      10 % maxTasks === 0 ? 0 : 1,
    );
    await pool.shutdown();
  });
}

test("a pool hands a child no more ahead than it may run", async () => {
  const { child } = await childWithCallsBehind("abcdef", {
    maxTasks: 3,
    slots: 4,
  });
  assert(child.holds.length > 1);
  assert(child.holds.length <= 3);
});

test("a call that a child gave back does not count as one that it ran", async () => {
  const { pool, child } = await childWithCallsBehind("a", {
    maxWorkers: 2,
    maxTasks: 2,
    slots: 2,
  });
  pool.links[1].answer();
  child.answerRecalls().deliverReturned();
  assertEquals(pool.held, [["running"], ["a"]]);
  child.answer();
  child.begin(); // passes "a" over
  child.deliver();
  assertEquals(child.ended, 0);
  pool.call(unknownFn(), "b");
  assertEquals(child.holds, ["b"]);
  await pool.runAll();
  assertEquals(child.ended, 1);
});

test("a pool replaces a child that cannot be sent anything as seldom as one that can", async () => {
  const pool = new ChildPool({
    maxTasks: 1,
    onOpen: (link) => {
      link.check = ([call]) => {
        if ((call.args as unknown[])[0] === "unsendable") {
          throw new TypeError("no");
        }
      };
    },
  });
  const refused = pool.call(unknownFn(), "unsendable");
  assertInstanceOf(await refused.exception(), TypeError);
  pool.call(unknownFn(), "fine");
  assertEquals(pool.held, [["fine"]]);
  await pool.runAll();
});

test("a retired child is replaced before its end is over", async () => {
  const pool = new ChildPool({ maxTasks: 1 });
  pool.call(unknownFn(), 1);
  const { promise, resolve } = Promise.withResolvers<void>();
  pool.links[0].gone = promise;
  pool.call(unknownFn(), 2);
  await turn();
  pool.links[0].ready().answer();
  assertEquals(pool.links[0].ended, 1);
  assertEquals(pool.held, [[], [2]]);
  await pool.runAll();
  const shutdown = pool.shutdown();
  resolve();
  await shutdown;
});

// ---- killWorkers -------------------------------------------------------------

test("killWorkers() breaks what is in a child, cancels what waits, and shuts the pool down", async () => {
  const { pool, child, futures } = await childWithCallsBehind("ab");
  const waiting = pool.call(unknownFn(), "waits");
  await turn();
  pool.killWorkers("SIGTERM", "terminateWorkers()");
  assertEquals(child.killedBy, "SIGTERM");
  assertEquals(waiting.cancelled(), true);
  const errors = await Promise.all(futures.map((future) => future.exception()));
  for (const error of errors) {
    assertInstanceOf(error, BrokenProcessPool);
    assertMatch(
      error.message,
      /^Worker "hand_0" was ended by terminateWorkers\(\) while it ran "\w+"$/,
    );
  }
  assertEquals(new Set(errors).size, errors.length);
  assertThrows(
    () => pool.call(unknownFn()),
    RuntimeError,
    "cannot schedule new futures after shutdown",
  );
  await pool.shutdown();
});

test("killWorkers() a second time does nothing, nor does it to a pool that is closed or broken", async () => {
  const pool = new ChildPool();
  const future = pool.call(unknownFn());
  pool.killWorkers("SIGTERM", "terminateWorkers()");
  const error = await future.exception();
  pool.killWorkers("SIGKILL", "killWorkers()");
  assertEquals(await future.exception(), error);
  assertEquals(pool.links[0].ended, 1);
  await pool.shutdown();

  const broken = new ChildPool();
  broken.call(unknownFn());
  broken.links[0].events.onDeath("was killed by SIGKILL");
  broken.killWorkers("SIGKILL", "killWorkers()");
  assertThrows(() => broken.call(unknownFn()), BrokenProcessPool, "SIGKILL");
  await broken.shutdown();
});

test("killWorkers() on a pool that was never used shuts it down", async () => {
  const pool = new ChildPool();
  pool.killWorkers("SIGKILL", "killWorkers()");
  assertThrows(() => pool.call(unknownFn()), RuntimeError);
  await pool.shutdown();
  assertEquals(pool.links, []);
});

test("killWorkers() on idle children ends them", async () => {
  const pool = new ChildPool();
  pool.call(unknownFn());
  pool.links[0].ready().answer();
  pool.killWorkers("SIGKILL", "killWorkers()");
  assertEquals([pool.links[0].ended, pool.links[0].killedBy], [1, "SIGKILL"]);
  await pool.shutdown();
});

test("killWorkers() ends a shutdown that waits, once nothing of a child is left", async () => {
  const pool = new ChildPool();
  pool.call(unknownFn());
  const { promise, resolve } = Promise.withResolvers<void>();
  pool.links[0].gone = promise;
  let over = false;
  const shutdown = pool.shutdown().then(() => over = true);
  pool.killWorkers("SIGKILL", "killWorkers()");
  await turn();
  assertEquals(over, false);
  resolve();
  await shutdown;
});

test("killWorkers() has all children signalled before a callback runs, which may ask anything", async () => {
  const pool = new ChildPool({ maxWorkers: 2 });
  const futures = [1, 2, 3].map((name) => pool.call(unknownFn(), name));
  await turn();
  const seen: unknown[] = [];
  for (const future of futures) {
    future.addDoneCallback(() => {
      seen.push(pool.links.map(({ killedBy }) => killedBy));
      assertThrows(() => pool.call(unknownFn()), RuntimeError);
      for (const other of futures) other.cancel();
      pool.killWorkers("SIGKILL", "killWorkers()");
    });
  }
  pool.killWorkers("SIGTERM", "terminateWorkers()");
  assertEquals(seen, Array(3).fill(["SIGTERM", "SIGTERM"]));
  await pool.shutdown();
});

test("killWorkers() ends a pool where somebody else's hand was on a call that waits", async () => {
  const pool = new ChildPool();
  pool.call(unknownFn(), "runs");
  const [settled, marked] = [1, 2].map((name) => pool.call(unknownFn(), name));
  settled.setResult("by hand");
  marked.setRunningOrNotifyCancel();
  pool.killWorkers("SIGKILL", "killWorkers()");
  assertEquals(await settled.result(), "by hand");
  const error = await marked.exception();
  assertInstanceOf(error, BrokenProcessPool);
  assertEquals(
    error.message,
    "The call was ended by killWorkers() before it ran",
  );
  const { waiting, running, failed } = pool.stats().calls;
  assertEquals([waiting, running, failed], [0, 0, 2]);
  await pool.shutdown();
});

// ---- Whatever happens ----------------------------------------------------------

/** Numbers that look random, the same for each seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * below);
  };
}

test("a pool of children runs each call once, whatever is heard in whatever order", async (clock) => {
  const fns = [
    await knownFn(0.001),
    await knownFn(0.01),
    unknownFn(),
    unknownFn(),
  ];
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    const pool = new ChildPool({
      maxWorkers: 1 + random(3),
      slots: [2, 8, 256][random(3)],
      maxTasks: [Infinity, 1, 2, 5][random(4)],
      onOpen: (link) => {
        const picky = random(4) === 0;
        (link as HandChild).can = () => !picky || link.started.length === 0;
      },
    });
    const futures: Future<Any>[] = [];
    const cancelled = new Set<number>();
    for (let step = 0; step < 150; step++) {
      const alive = pool.links.filter(({ ended }) => ended === 0);
      const link = alive[random(alive.length)];
      switch (random(9)) {
        case 0:
        case 1:
          futures.push(pool.call(fns[random(fns.length)], futures.length));
          break;
        case 2: {
          const id = random(futures.length);
          if (futures[id]?.cancel()) cancelled.add(id);
          break;
        }
        case 3:
          link?.ready();
          break;
        case 4:
          if (link && !link.current) link.begin();
          break;
        case 5:
          if (link && (link.current || link.begin())) link.finish();
          break;
        case 6:
          link?.deliver();
          break;
        case 7:
          link?.answerRecalls();
          if (random(2) === 0) link?.deliverReturned();
          break;
        case 8:
          await (random(2) === 0 ? turn() : clock.pass(random(6)));
          break;
      }
    }
    const shutdown = pool.shutdown();
    await pool.runAll();
    await shutdown;
    const started = pool.links.flatMap(({ started }) => started);
    const expected = futures.map((_, id) => id).filter((id) =>
      !cancelled.has(id)
    );
    assertEquals(started.toSorted((a, b) => a - b), expected, `seed ${seed}`);
    for (const future of futures) assert(future.done(), `seed ${seed}`);
  }
});
