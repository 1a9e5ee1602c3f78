import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { TimeoutError } from "../errors.ts";
import { Future } from "../future.ts";
import {
  ALL_COMPLETED,
  asCompleted,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  type ReturnWhen,
  wait,
} from "../wait.ts";
import {
  bound,
  cancelled,
  CountingAbortController,
  CountingFuture,
  failed,
  FakeClock,
  finished,
  isCollected,
  LONGEST_TIMER_MS,
  running,
  stateOf,
  withoutGc,
} from "./_helpers.ts";

const pending = (count: number) =>
  Array.from({ length: count }, () => new Future<number>());

const SETTLE: Record<string, (future: Future<number>) => void> = {
  "has a result": (future) => future.setResult(1),
  "threw": (future) => future.setException(new Error("no")),
  "threw undefined": (future) => future.setException(undefined),
  "was cancelled": (future) => future.cancel(),
};

// ---------------------------------------------------------------------- wait

Deno.test("ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION: are strings equal to their names", () => {
  assertEquals(
    [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION],
    ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"],
  );
});

for (const [how, settle] of Object.entries(SETTLE)) {
  for (const returnWhen of [undefined, ALL_COMPLETED] as const) {
    Deno.test(`wait: with returnWhen ${returnWhen} waits for all, the last of which ${how}`, async () => {
      const futures = pending(3);
      const waiting = wait(futures, { returnWhen });
      settle(futures[2]);
      settle(futures[0]);
      assertEquals(await stateOf(waiting), "pending");
      settle(futures[1]);
      const { done, notDone } = await waiting;
      assertEquals([...done], futures);
      assertEquals([...notDone], []);
    });
  }

  Deno.test(`wait: with FIRST_COMPLETED returns with the first, which ${how}`, async () => {
    const futures = pending(3);
    futures[0].setRunningOrNotifyCancel();
    const waiting = wait(futures, { returnWhen: FIRST_COMPLETED });
    assertEquals(await stateOf(waiting), "pending");
    settle(futures[1]);
    const { done, notDone } = await waiting;
    assertEquals(done, new Set([futures[1]]));
    assertEquals(notDone, new Set([futures[0], futures[2]]));
  });

  Deno.test(`wait: with FIRST_COMPLETED returns at once if one ${how} already`, async () => {
    const futures = pending(3);
    settle(futures[2]);
    const { done, notDone } = await wait(futures, {
      returnWhen: FIRST_COMPLETED,
    });
    assertEquals(done, new Set([futures[2]]));
    assertEquals(notDone, new Set([futures[0], futures[1]]));
  });

  const isException = how.startsWith("threw");

  Deno.test(`wait: with FIRST_EXCEPTION ${isException ? "returns" : "goes on"} after a future that ${how}`, async () => {
    const futures = pending(3);
    const waiting = wait(futures, { returnWhen: FIRST_EXCEPTION });
    settle(futures[1]);
    assertEquals(
      await stateOf(waiting),
      isException ? "fulfilled" : "pending",
    );
    futures[0].setResult(1);
    futures[2].setResult(1);
    const { done, notDone } = await waiting;
    assertEquals(done.size + notDone.size, 3);
    assert(done.has(futures[1]));
    if (!isException) assertEquals(notDone.size, 0);
  });

  Deno.test(`wait: with FIRST_EXCEPTION ${isException ? "returns at once" : "waits"} if one ${how} already`, async () => {
    const futures = pending(3);
    settle(futures[1]);
    const waiting = wait(futures, { returnWhen: FIRST_EXCEPTION });
    assertEquals(
      await stateOf(waiting),
      isException ? "fulfilled" : "pending",
    );
    if (isException) {
      const { done, notDone } = await waiting;
      assertEquals(done, new Set([futures[1]]));
      assertEquals(notDone, new Set([futures[0], futures[2]]));
    }
    futures[0].setResult(1);
    futures[2].cancel();
    const { done } = await waiting;
    assertEquals(done.size, isException ? 1 : 3);
  });
}

Deno.test("wait: with FIRST_EXCEPTION returns when all are done and none threw", async () => {
  const futures = pending(3);
  const waiting = wait(futures, { returnWhen: FIRST_EXCEPTION });
  futures[0].setResult(1);
  futures[1].cancel();
  assertEquals(await stateOf(waiting), "pending");
  futures[2].setResult(1);
  const { done, notDone } = await waiting;
  assertEquals([done.size, notDone.size], [3, 0]);
});

for (
  const returnWhen of [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION] as const
) {
  Deno.test(`wait: with ${returnWhen} gives two empty sets for no futures`, async () => {
    for (const none of [[], new Set<Future<number>>(), (function* () {})()]) {
      const { done, notDone } = await wait(none, { returnWhen });
      assertEquals([done, notDone], [new Set(), new Set()]);
    }
  });

  Deno.test(`wait: with ${returnWhen} tells futures of all states apart`, async () => {
    using clock = new FakeClock();
    const done = [finished(1), cancelled(), finished(2)];
    const notDone = [running(), new Future()];
    const result = await wait<Future<unknown>>([...done, ...notDone], {
      returnWhen,
      timeout: 0,
    });
    assertEquals([...result.done], done);
    assertEquals([...result.notDone], notDone);
    assertEquals(clock.next(), false);
  });

  Deno.test(`wait: with ${returnWhen} returns when the time has passed, which is no error`, async () => {
    using clock = new FakeClock();
    const futures = pending(2);
    const waiting = wait(futures, { returnWhen, timeout: 100 });
    await clock.pass(99);
    assertEquals(await stateOf(waiting), "pending");
    await clock.pass(1);
    const { done, notDone } = await waiting;
    assertEquals([...done], []);
    assertEquals([...notDone], futures);
  });

  Deno.test(`wait: with ${returnWhen} leaves no timer when it ends before its time`, async () => {
    using clock = new FakeClock();
    const future = new Future<number>();
    const waiting = wait([future], { returnWhen, timeout: 100 });
    future.setException(new Error("no"));
    await waiting;
    await wait([future], { returnWhen, timeout: 100 });
    assertEquals(clock.next(), false);
  });
}

for (
  const [returnWhen, shown] of [
    ["first", '"first"'],
    ["", '""'],
    [null, "null"],
    [1, "1"],
    ["first_completed", '"first_completed"'],
  ]
) {
  Deno.test(`wait: rejects a returnWhen of ${shown} with RangeError, even for no futures`, async () => {
    for (const futures of [[], pending(1), [finished(1)]]) {
      const error = await assertRejects(
        () => wait(futures, { returnWhen: returnWhen as ReturnWhen }),
        RangeError,
      );
      assertEquals(
        error.message,
        `returnWhen must be "ALL_COMPLETED", "FIRST_COMPLETED" or "FIRST_EXCEPTION": received ${shown}`,
      );
    }
  });
}

Deno.test("wait: counts a future that comes twice once", async () => {
  const [a, b] = pending(2);
  a.setResult(1);
  const [done, notDone] = await wait([a, b, a, b, b], { timeout: 0 });
  assertEquals([[...done], [...notDone]], [[a], [b]]);
  const waiting = wait([b, b]);
  b.setResult(1);
  assertEquals((await waiting).done.size, 1);
});

Deno.test("wait: gives two sets by name and in order", async () => {
  const [a, b] = pending(2);
  a.setResult(1);
  const result = await wait([a, b], { returnWhen: FIRST_COMPLETED });
  const [done, notDone] = result;
  assertStrictEquals(done, result.done);
  assertStrictEquals(notDone, result.notDone);
  assertEquals([...result].length, 2);
  assertEquals([...result], [...result]);
  assertEquals(Object.keys(result), ["done", "notDone"]);
});

Deno.test("wait: reads any iterable of futures, at the call", async () => {
  let read = 0;
  function* futures() {
    for (const future of [finished(1), finished(2)]) {
      read++;
      yield future;
    }
  }
  const waiting = wait(futures());
  assertEquals(read, 2);
  assertEquals((await waiting).done.size, 2);
  assertEquals((await wait(new Map([[1, finished(1)]]).values())).done.size, 1);
});

Deno.test("wait: keeps the order of the futures in both sets", async () => {
  const futures = pending(6);
  for (const i of [4, 0, 2]) futures[i].setResult(i);
  const [done, notDone] = await wait(futures, { timeout: 0 });
  assertEquals([...done], [futures[0], futures[2], futures[4]]);
  assertEquals([...notDone], [futures[1], futures[3], futures[5]]);
});

for (
  const futures of [undefined, null, 5, new Future(), {}] as unknown[]
) {
  const shown = futures instanceof Future ? "a future" : Deno.inspect(futures);
  Deno.test(`wait, asCompleted: throw TypeError for ${shown} in place of futures`, async () => {
    await assertRejects(
      () => wait(futures as Iterable<Future<unknown>>),
      TypeError,
      "wait takes an iterable of futures: received",
    );
    assertThrows(
      () => asCompleted(futures as Iterable<Future<unknown>>),
      TypeError,
      "asCompleted takes an iterable of futures: received",
    );
  });
}

Deno.test("wait, asCompleted: throw TypeError for what is no future among the futures", async () => {
  for (const other of [Promise.resolve(), undefined, {}, 1]) {
    const futures = [finished(1), other] as Future<number>[];
    await assertRejects(
      () => wait(futures),
      TypeError,
      "wait takes an iterable of futures: received",
    );
    assertThrows(
      () => asCompleted(futures),
      TypeError,
      "asCompleted takes an iterable of futures: received",
    );
  }
});

Deno.test("wait, asCompleted: check the timeout, done futures or not", async () => {
  for (const futures of [[], [finished(1)], pending(1)]) {
    for (const timeout of ["5", null, 5n] as unknown as number[]) {
      await assertRejects(() => wait(futures, { timeout }), TypeError);
      assertThrows(() => asCompleted(futures, { timeout }), TypeError);
    }
    await assertRejects(() => wait(futures, { timeout: NaN }), RangeError);
    assertThrows(() => asCompleted(futures, { timeout: NaN }), RangeError);
  }
});

for (const timeout of [0, -1, -Infinity]) {
  Deno.test(`wait: with a timeout of ${timeout} tells what is there now, without a timer`, async () => {
    using clock = new FakeClock();
    const futures = [finished(1), new Future<number>()];
    const [done, notDone] = await wait(futures, { timeout });
    assertEquals([[...done], [...notDone]], [[futures[0]], [futures[1]]]);
    assertEquals(clock.next(), false);
  });
}

for (const timeout of [Infinity, undefined]) {
  Deno.test(`wait: with a timeout of ${timeout} waits without limit and without a timer`, async () => {
    using clock = new FakeClock();
    const future = new Future<number>();
    const waiting = wait([future], { timeout });
    assertEquals(await stateOf(waiting), "pending");
    assertEquals(clock.next(), false);
    future.setResult(1);
    assertEquals((await waiting).done.size, 1);
  });
}

Deno.test("wait: holds a timeout longer than a timer can", async () => {
  using clock = new FakeClock();
  const waiting = wait(pending(1), { timeout: LONGEST_TIMER_MS + 1_000 });
  await clock.pass(LONGEST_TIMER_MS);
  await clock.pass(999);
  assertEquals(await stateOf(waiting), "pending");
  await clock.pass(1);
  assertEquals((await waiting).notDone.size, 1);
  assertEquals(clock.next(), false);
});

Deno.test("wait, asCompleted: throw TypeError for a signal that is none", async () => {
  for (const futures of [[], pending(1), [finished(1)]]) {
    const options = { signal: new AbortController() as unknown as AbortSignal };
    const message =
      "signal must be an AbortSignal: received an object (AbortController)";
    await assertRejects(() => wait(futures, options), TypeError, message);
    assertThrows(() => asCompleted(futures, options), TypeError, message);
  }
});

Deno.test("wait: rejects with the reason of a signal that is aborted already", async () => {
  const reason = new Error("enough");
  const futures = pending(1).map((future) =>
    Object.assign(future, { unused: true })
  );
  for (const options of [{}, { timeout: 0 }, { timeout: 100 }]) {
    const outcome = await assertRejects(() =>
      wait(futures, { ...options, signal: AbortSignal.abort(reason) })
    );
    assertStrictEquals(outcome, reason);
  }
  assertEquals(futures[0].done(), false);
});

Deno.test("wait: rejects with the reason of a signal that aborts later, and leaves nothing behind", async () => {
  using clock = new FakeClock();
  const controller = new CountingAbortController();
  const { signal } = controller;
  const future = new Future<number>();
  const waiting = wait([future], { signal, timeout: 100 });
  assertEquals(await stateOf(waiting), "pending");
  controller.abort("enough");
  const [outcome] = await Promise.allSettled([waiting]);
  assertEquals(outcome, { status: "rejected", reason: "enough" });
  assertEquals(controller.listeners, 0);
  assertEquals(clock.next(), false);
  assertEquals(future.done(), false);
});

Deno.test("wait: listens to its signal no longer than it waits", async () => {
  using clock = new FakeClock();
  const controller = new CountingAbortController();
  const { signal } = controller;
  for (
    const returnWhen of [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION]
  ) {
    const future = new Future<number>();
    await wait([future, finished(1)], { signal, timeout: 0, returnWhen });
    const timedOut = wait([future], { signal, timeout: 5, returnWhen });
    await clock.pass(5);
    await timedOut;
    const waiting = wait([future], { signal, returnWhen });
    assertEquals(controller.listeners, 1);
    future.setException("no");
    await waiting;
    await wait([future], { signal, returnWhen });
    assertEquals(controller.listeners, 0);
  }
  controller.abort();
});

Deno.test("wait: an abort after the end changes nothing", async () => {
  const controller = new AbortController();
  const future = new Future<number>();
  const waiting = wait([future], { signal: controller.signal });
  future.setResult(1);
  controller.abort();
  assertEquals((await waiting).done.size, 1);
});

for (
  const returnWhen of [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION] as const
) {
  Deno.test(`wait: polled 10,000 times with ${returnWhen} leaves at most one callback on a pending future`, async () => {
    const future = new CountingFuture<number>();
    const first = new CountingFuture<number>();
    const signal = new AbortController().signal;
    for (let i = 0; i < 10_000; i++) {
      await wait([future, first], { timeout: 0, returnWhen, signal });
    }
    assert(future.callbacks <= 1, `${future.callbacks} callbacks`);
    assert(first.callbacks <= 1, `${first.callbacks} callbacks`);
  });
}

Deno.test(
  "wait, asCompleted: keep nothing on a pending future after they ended, whatever the end",
  {
    ignore: withoutGc,
  },
  async () => {
    using clock = new FakeClock();
    const future = new CountingFuture<number>();
    const run = async () => {
      const companion = new Future<number>();
      const controller = new AbortController();
      const { signal } = controller;
      const both = [future, companion];
      const first = wait(both, { returnWhen: FIRST_COMPLETED });
      const timedOut = wait(both, { timeout: 5 });
      const aborted = wait(both, { signal }).catch(() => {});
      const left = asCompleted(both);
      const late = asCompleted(both, { timeout: 5 });
      const stopped = asCompleted(both, { signal });
      await clock.pass(5);
      companion.setResult(1);
      controller.abort();
      await Promise.all([first, timedOut, aborted]);
      await left.next();
      await left.return!();
      await late.next().catch(() => {});
      await stopped.next().catch(() => {});
      return new WeakRef(companion);
    };
    const refs = [];
    for (let i = 0; i < 20; i++) refs.push(await run());
    for (const ref of refs) assert(await isCollected(ref));
    assertEquals(future.done(), false);
    assert(future.callbacks <= 1, `${future.callbacks} callbacks`);
  },
);

Deno.test("wait: is one of many that wait for the same future", async () => {
  const [a, b] = pending(2);
  const all = wait([a, b]);
  const first = wait([a, b], { returnWhen: FIRST_COMPLETED });
  const again = wait([a]);
  const iterator = asCompleted([a, b]);
  a.setResult(1);
  assertEquals((await first).done.size, 1);
  assertEquals((await again).done.size, 1);
  assertStrictEquals((await iterator.next()).value, a);
  assertEquals(await stateOf(all), "pending");
  b.setResult(1);
  assertEquals((await all).done.size, 2);
  assertStrictEquals((await iterator.next()).value, b);
});

Deno.test("wait: cancels nothing and settles nothing", async () => {
  using clock = new FakeClock();
  const futures = pending(2);
  const waiting = wait(futures, { timeout: 5 });
  await clock.pass(5);
  await waiting;
  assertEquals(futures.map((future) => future.done()), [false, false]);
  assertEquals(futures.map((future) => future.cancel()), [true, true]);
});

Deno.test("wait: a callback may wait for its own future", async () => {
  const future = new Future<number>();
  let inner: ReturnType<typeof wait> | undefined;
  const outer = wait([future]);
  future.addDoneCallback(() => inner = wait([future]));
  future.setResult(1);
  assertEquals((await outer).done.size, 1);
  assertEquals((await inner!).done.size, 1);
});

Deno.test("wait: is woken at once by a cancel that no executor has noticed", async () => {
  const futures = pending(2);
  const waiting = wait(futures);
  const iterator = asCompleted(futures);
  const next = iterator.next();
  futures[1].cancel();
  assertStrictEquals((await next).value, futures[1]);
  futures[0].cancel();
  assertEquals((await waiting).done.size, 2);
});

Deno.test("wait, asCompleted: a cancel ends their waiting at once, with no timer in between", async () => {
  using _clock = new FakeClock();
  for (const returnWhen of ["ALL_COMPLETED", "FIRST_COMPLETED"] as const) {
    const future = new Future<number>();
    const waiting = wait([future], { returnWhen });
    const next = asCompleted([future]).next();
    future.cancel();
    assertEquals(await stateOf(waiting), "fulfilled");
    assertEquals(await stateOf(next), "fulfilled");
  }
});

// --------------------------------------------------------------- asCompleted

Deno.test("asCompleted: gives those that are done at the call first, in their order, then the others as they end", async () => {
  const futures: Future<number>[] = pending(6);
  futures[3].setResult(3);
  futures[1].cancel();
  futures[5].setException(new Error("no"));
  const iterator = asCompleted(futures);
  futures[4].setResult(4);
  futures[0].setException(undefined);
  futures[2].cancel();
  const given = await Array.fromAsync(iterator);
  assertEquals(
    given.map((future) => futures.indexOf(future)),
    [1, 3, 5, 4, 0, 2],
  );
});

Deno.test("asCompleted: gives each future as it ends", async () => {
  const futures = pending(3);
  const iterator = asCompleted(futures);
  for (const i of [2, 0, 1]) {
    const next = iterator.next();
    assertEquals(await stateOf(next), "pending");
    futures[i].setResult(i);
    assertEquals(await next, { done: false, value: futures[i] });
  }
  assertEquals(await iterator.next(), { done: true, value: undefined });
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

Deno.test("asCompleted: gives a future that comes twice once", async () => {
  const [a, b] = pending(2);
  a.setResult(1);
  const iterator = asCompleted([a, b, b, a]);
  b.setResult(2);
  assertEquals(await Array.fromAsync(iterator), [a, b]);
});

Deno.test("asCompleted: ends at once for no futures", async () => {
  using clock = new FakeClock();
  const controller = new CountingAbortController();
  const iterator = asCompleted([], { timeout: 5, signal: controller.signal });
  assertEquals(await iterator.next(), { done: true, value: undefined });
  assertEquals(clock.next(), false);
  assertEquals(controller.listeners, 0);
});

Deno.test("asCompleted: is its own iterator", () => {
  const iterator = asCompleted([]);
  assertStrictEquals(iterator[Symbol.asyncIterator](), iterator);
});

Deno.test("asCompleted: counts its timeout from the call, and tells how many are unfinished", async () => {
  using clock = new FakeClock();
  const futures = pending(5);
  const iterator = asCompleted(futures, { timeout: 100 });
  await clock.pass(60); // before the first next()
  futures[0].setResult(0);
  futures[1].cancel();
  futures[4].setException(new Error("no"));
  for (const i of [0, 1, 4]) {
    assertStrictEquals((await iterator.next()).value, futures[i]);
  }
  const next = iterator.next();
  next.catch(() => {});
  await clock.pass(39);
  assertEquals(await stateOf(next), "pending");
  await clock.pass(1);
  const error = await assertRejects(() => next, TimeoutError);
  assertEquals(error.message, "2 (of 5) futures unfinished after 100 ms");
  assertEquals(await iterator.next(), { done: true, value: undefined });
  assertEquals(futures[2].done(), false);
  assertEquals(clock.next(), false);
});

Deno.test("asCompleted: gives what was done in time before it tells of the timeout", async () => {
  using clock = new FakeClock();
  const futures = pending(3);
  futures[1].setResult(1);
  const iterator = asCompleted(futures, { timeout: 100 });
  await clock.pass(50);
  futures[2].setResult(2);
  await clock.pass(1_000);
  assertStrictEquals((await iterator.next()).value, futures[1]);
  assertStrictEquals((await iterator.next()).value, futures[2]);
  await assertRejects(
    () => iterator.next(),
    TimeoutError,
    "1 (of 3) futures unfinished after 100 ms",
  );
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

for (const timeout of [0, -1]) {
  Deno.test(`asCompleted: with a timeout of ${timeout} gives what is done now, then throws`, async () => {
    using clock = new FakeClock();
    const futures = [new Future<number>(), finished(1)];
    const iterator = asCompleted(futures, { timeout });
    assertStrictEquals((await iterator.next()).value, futures[1]);
    const next = iterator.next();
    next.catch(() => {});
    await clock.pass(0);
    await assertRejects(
      () => next,
      TimeoutError,
      "1 (of 2) futures unfinished",
    );
    assertEquals(clock.next(), false);
  });

  Deno.test(`asCompleted: with a timeout of ${timeout} gives all if all are done`, async () => {
    const futures = [finished(1), finished(2)];
    assertEquals(
      await Array.fromAsync(asCompleted(futures, { timeout })),
      futures,
    );
  });
}

Deno.test("asCompleted: with an infinite timeout sets no timer", async () => {
  using clock = new FakeClock();
  const iterator = asCompleted(pending(1), { timeout: Infinity });
  assertEquals(clock.next(), false);
  await iterator.return!();
});

Deno.test("asCompleted: holds a timeout longer than a timer can", async () => {
  using clock = new FakeClock();
  const timeout = LONGEST_TIMER_MS + 1_000;
  const next = asCompleted(pending(1), { timeout }).next();
  next.catch(() => {});
  await clock.pass(LONGEST_TIMER_MS);
  await clock.pass(999);
  assertEquals(await stateOf(next), "pending");
  await clock.pass(1);
  await assertRejects(() => next, TimeoutError, `after ${timeout} ms`);
});

Deno.test("asCompleted: leaves no timer and no listener once all are done, read or not", async () => {
  using clock = new FakeClock();
  const controller = new CountingAbortController();
  const { signal } = controller;
  const futures = pending(2);
  const iterator = asCompleted(futures, { timeout: 100, signal });
  assertEquals(controller.listeners, 1);
  for (const future of futures) future.setResult(1);
  assertEquals(clock.next(), false);
  assertEquals(controller.listeners, 0);
  controller.abort();
  await clock.pass(1_000);
  assertEquals(await Array.fromAsync(iterator), futures);
});

Deno.test("asCompleted: rejects with the reason of a signal that is aborted already, after what is done", async () => {
  const reason = new Error("enough");
  const futures = [new Future<number>(), finished(1)];
  const signal = AbortSignal.abort(reason);
  const iterator = asCompleted(futures, { signal });
  const [a, b, c] = await Promise.allSettled([
    iterator.next(),
    iterator.next(),
    iterator.next(),
  ]);
  assertEquals(a, {
    status: "fulfilled",
    value: { done: false, value: futures[1] },
  });
  assertStrictEquals((b as PromiseRejectedResult).reason, reason);
  assertEquals(c, {
    status: "fulfilled",
    value: { done: true, value: undefined },
  });
});

Deno.test("asCompleted: rejects with the reason of a signal that aborts later, and leaves nothing behind", async () => {
  using clock = new FakeClock();
  const controller = new CountingAbortController();
  const { signal } = controller;
  const futures = pending(2);
  const iterator = asCompleted(futures, { signal, timeout: 100 });
  const next = Promise.allSettled([iterator.next(), iterator.next()]);
  controller.abort(undefined);
  const [first, second] = await next;
  assertStrictEquals((first as PromiseRejectedResult).reason, signal.reason);
  assertEquals(second, {
    status: "fulfilled",
    value: { done: true, value: undefined },
  });
  assertEquals(controller.listeners, 0);
  assertEquals(clock.next(), false);
  assertEquals(futures.map((future) => future.done()), [false, false]);
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

Deno.test("asCompleted: an abort or a timeout that nobody reads is no unhandled rejection", async () => {
  using clock = new FakeClock();
  const seen: unknown[] = [];
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    seen.push(event.reason);
  };
  addEventListener("unhandledrejection", onRejection);
  try {
    const controller = new AbortController();
    asCompleted(pending(1), { timeout: 5 });
    asCompleted(pending(1), { signal: controller.signal });
    asCompleted(pending(1), { signal: AbortSignal.abort() });
    controller.abort();
    await clock.pass(5);
    await clock.pass(5);
    assertEquals(seen, []);
  } finally {
    removeEventListener("unhandledrejection", onRejection);
  }
});

Deno.test("asCompleted: a loop left early cancels nothing and leaves nothing behind", async () => {
  using clock = new FakeClock();
  const controller = new CountingAbortController();
  const futures = pending(3);
  const iterator = asCompleted(futures, {
    timeout: 100,
    signal: controller.signal,
  });
  futures[1].setResult(1);
  for await (const future of iterator) {
    assertStrictEquals(future, futures[1]);
    break;
  }
  assertEquals(clock.next(), false);
  assertEquals(controller.listeners, 0);
  futures[0].setResult(0);
  assertEquals(await iterator.next(), { done: true, value: undefined });
  assertEquals(futures[2].done(), false);
});

Deno.test("asCompleted: return() before the first next() ends it, ready futures or not", async () => {
  const futures = [finished(1), new Future<number>()];
  const iterator = asCompleted(futures);
  assertEquals(await iterator.return!(), { done: true, value: undefined });
  assertEquals(await iterator.return!(), { done: true, value: undefined });
  futures[1].setResult(1);
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

Deno.test("asCompleted: return() ends every next() that waits", async () => {
  const iterator = asCompleted(pending(2));
  const waiting = Promise.all([iterator.next(), iterator.next()]);
  await iterator.return!();
  assertEquals(await waiting, Array(2).fill({ done: true, value: undefined }));
});

Deno.test("asCompleted: serves concurrent next() calls in order, each future once", async () => {
  const futures = pending(4);
  futures[3].setResult(3);
  const iterator = asCompleted(futures);
  const asked = Array.from({ length: 6 }, () => iterator.next());
  for (const i of [1, 0, 2]) futures[i].setResult(i);
  const given = await Promise.all(asked);
  assertEquals(
    given.map(({ done, value }) => done ? "end" : futures.indexOf(value)),
    [3, 1, 0, 2, "end", "end"],
  );
});

Deno.test("asCompleted: a timeout rejects the first of concurrent next() calls and ends the others", async () => {
  using clock = new FakeClock();
  const futures = pending(3);
  const iterator = asCompleted(futures, { timeout: 5 });
  const asked = Promise.allSettled([
    iterator.next(),
    iterator.next(),
    iterator.next(),
  ]);
  futures[2].setResult(2);
  await clock.pass(5);
  const outcomes = await asked;
  assertEquals(outcomes.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  assertEquals(
    (outcomes[2] as PromiseFulfilledResult<unknown>).value,
    { done: true, value: undefined },
  );
});

Deno.test("asCompleted: reads its futures at the call", async () => {
  const list = [finished(1)];
  const iterator = asCompleted(list);
  list.push(finished(2));
  assertEquals((await Array.fromAsync(iterator)).length, 1);
});

Deno.test("asCompleted: gives 100,000 futures, done before and after", async () => {
  const futures = pending(100_000);
  for (let i = 0; i < futures.length; i += 2) futures[i].setResult(i);
  const inTime = bound();
  const iterator = asCompleted(futures);
  for (let i = 1; i < futures.length; i += 2) {
    futures[i].setResult(i);
    inTime();
  }
  let count = 0;
  for await (const future of iterator) {
    assert(future.done());
    count++;
    inTime();
  }
  assertEquals(count, 100_000);
});

Deno.test("asCompleted: gives 100,000 futures each as it ends", async () => {
  const futures = pending(100_000);
  const inTime = bound();
  const iterator = asCompleted(futures);
  for (const future of futures) {
    const next = iterator.next();
    future.setResult(1);
    assertStrictEquals((await next).value, future);
    inTime();
  }
  assertEquals((await iterator.next()).done, true);
});

Deno.test("wait: waits for 100,000 futures", async () => {
  const futures = pending(100_000);
  const waiting = wait(futures);
  const inTime = bound();
  for (const future of futures.toReversed()) {
    future.setResult(1);
    inTime();
  }
  assertEquals((await waiting).done.size, 100_000);
});

Deno.test(
  "asCompleted: keeps no future alive that it gave, while others are pending",
  {
    ignore: withoutGc,
  },
  async () => {
    const last = new Future<number>();
    let waiting: Future<number> | undefined = new Future<number>();
    const refs = [new WeakRef(waiting)];
    const done = () => {
      const future = finished(1);
      refs.push(new WeakRef(future));
      return future;
    };
    const futures = [done(), waiting, last, done()];
    const iterator = asCompleted(futures);
    futures.length = 0;
    const take = async () => {
      const { value } = await iterator.next();
      assert(value.done());
    };
    await take();
    assert(await isCollected(refs[1]), "the first that was done at the call");
    assertEquals(await isCollected(refs[2]), false); // not given yet
    await take();
    assert(await isCollected(refs[2]), "the last that was done at the call");
    const asked = take();
    waiting.setResult(1);
    waiting = undefined;
    await asked;
    assert(await isCollected(refs[0]), "one that was given as it ended");
    last.setResult(1);
    await take();
    assertEquals((await iterator.next()).done, true);
  },
);

Deno.test(
  "asCompleted: keeps no failed or cancelled future alive that it gave",
  {
    ignore: withoutGc,
  },
  async () => {
    const iterator = asCompleted<Future<number>>([
      failed(new Error("no")),
      cancelled(),
      new Future<number>(),
    ]);
    const take = async () => new WeakRef((await iterator.next()).value);
    assert(await isCollected(await take()));
    assert(await isCollected(await take()));
    await iterator.return!();
  },
);
