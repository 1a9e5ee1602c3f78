/** Timers that somebody has put in the place of the runtime's: which of the library's times heed them. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { stub } from "@std/testing/mock";
import { FakeTime } from "@std/testing/time";
import { programClock, startTimer } from "../../internal/base/timers.ts";
import {
  asCompleted,
  EventLoopExecutor,
  type Executor,
  Future,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
  TimeoutError,
  wait,
} from "../../mod.ts";
import { stateOf, within } from "../_helpers.ts";
import { deno } from "../_programs.ts";
import { rejection, until } from "../contract/kind.ts";

const program = import.meta.resolve("../programs/faked_timers.ts");

for (const kind of ["thread", "process", "event loop"]) {
  for (const then of ["give back", "keep", "throw"]) {
    Deno.test(`a program that leaves a ${kind} pool open ends by itself, whose timers are faked: ${then}`, async () => {
      const args = ["run", "-A", "--no-check", "--no-config", program];
      assertEquals(await deno([...args, kind, then]), {
        code: 0,
        stdout: "4\n[ 1, 2 ]\n",
        stderr: "",
      });
    });
  }
}

/** Never ends by itself, and never asks whether it should. */
function forEver(): Promise<never> {
  return new Promise(() => {});
}

Deno.test("a call that was stopped loses its worker though timers are faked", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const controller = new AbortController();
  const first = pool.with(controller).submit(forEver);
  using _time = new FakeTime();
  await until(() => first.running());
  controller.abort("enough");
  assertEquals(await rejection(first.result()), "enough");
  assertEquals(await within(pool.submit(Math.sqrt, 9).result()), 3);
});

Deno.test("a call that waits behind one that turned out long moves on though timers are faked", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
  const wait = (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
    return ms;
  };
  // Known to be short, so that calls are handed ahead behind the long ones.
  for (let i = 0; i < 20; i++) await pool.submit(wait, 0).result();
  using _time = new FakeTime();
  const futures = [300, 300, 0, 0, 0, 0].map((ms) => pool.submit(wait, ms));
  assertEquals(
    await within(Promise.all(futures.map((future) => future.result()))),
    [300, 300, 0, 0, 0, 0],
  );
});

const POOLS: Record<string, () => Executor> = {
  "a thread pool": () => new ThreadPoolExecutor({ maxWorkers: 1 }),
  "a process pool": () => new ProcessPoolExecutor({ maxWorkers: 1 }),
  "an event loop": () => new EventLoopExecutor(),
};

for (const [name, make] of Object.entries(POOLS)) {
  Deno.test(`${name} needs no queueMicrotask, which may be faked`, async () => {
    await using pool = make();
    const numbers = Array.from({ length: 50 }, (_, n) => n);
    const roots = numbers.map(Math.sqrt);
    // One after the other: known as short, and the worker is awake.
    for (const n of numbers) await pool.submit(Math.sqrt, n).result();
    using _faked = stub(globalThis, "queueMicrotask", () => {});
    for (const n of numbers) {
      assertEquals(await within(pool.submit(Math.sqrt, n).result()), roots[n]);
    }
    const futures = numbers.map((n) => pool.submit(Math.sqrt, n));
    const results = Promise.all(futures.map((future) => future.result()));
    assertEquals(await within(results), roots);
    const mapped = Array.fromAsync(pool.map(Math.sqrt, numbers));
    assertEquals(await within(mapped), roots);
    await within(pool.warmUp());
    await within(pool.room(1));
  });
}

const TIMES: Record<string, (ms: number) => Promise<unknown>> = {
  "result()": (ms) => new Future().result(ms),
  "exception()": (ms) => new Future().exception(ms),
  "wait()": (timeout) => wait([new Future()], { timeout }),
  "asCompleted()": (timeout) => asCompleted([new Future()], { timeout }).next(),
  "map()": async (timeout) => {
    await using pool: Executor = new EventLoopExecutor();
    const { promise, resolve } = Promise.withResolvers<void>();
    try {
      return await pool.map(() => promise, [1], { timeout }).next();
    } finally {
      resolve();
    }
  },
  "a time limit": async (timeLimit) => {
    await using pool: Executor = new EventLoopExecutor();
    return await pool.with({ timeLimit }).submit(forEver).result();
  },
};

for (const [name, act] of Object.entries(TIMES)) {
  Deno.test(`the time that a caller gives ${name} counts by the program's timers, faked ones too`, async () => {
    const hour = 3_600_000;
    const time = new FakeTime();
    const now = stub(performance, "now", () => time.now);
    let outcome: Promise<unknown>;
    try {
      outcome = act(hour).catch((error) => error);
      await time.tickAsync(hour - 1);
      assertEquals(await Promise.race([outcome, null]), null);
      for (let i = 0; i < 3; i++) await time.tickAsync(1);
    } finally {
      now.restore();
      time.restore();
    }
    const came = await within(outcome);
    if (name === "wait()") {
      assertEquals([...came as Iterable<Set<unknown>>][0].size, 0);
    } else assertInstanceOf(came, TimeoutError);
  });
}

Deno.test("a timer is stopped by the clock that it was set by", async () => {
  const calls: number[] = [];
  const stopReal = startTimer(5, () => calls.push(1), programClock);
  const time = new FakeTime();
  const stopFaked = startTimer(5, () => calls.push(2), programClock);
  stopReal();
  time.restore();
  stopFaked();
  // The sanitizers see a timer that is left.
  assertEquals(await stateOf(Promise.resolve()), "fulfilled");
  assertEquals(calls, []);
});
