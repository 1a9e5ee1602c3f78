/** The contract of `with()`, `transfer()`, `currentTask()` and `stats()`. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { currentTask } from "../../current_task.ts";
import { CancelledError, RuntimeError, TimeoutError } from "../../errors.ts";
import type { Executor, SubmitOptions } from "../../executor.ts";
import type { Future } from "../../future.ts";
import type { PoolStats } from "../../internal/call/statistics.ts";
import { transfer } from "../../transfer.ts";
import { asCompleted, wait } from "../../wait.ts";
import {
  CountingAbortController,
  FakeClock,
  stateOf,
  turn,
} from "../_helpers.ts";
import { contractTest, type ExecutorKind, rejection, until } from "./kind.ts";

/** How long a call that was asked to stop may take to end, in milliseconds. */
const GRACE_MS = 100;

/**
 * What is left behind by a call that was stopped, for a later one on the same
 * worker: its future has failed before it ends.
 */
interface Left {
  reason?: DOMException;
}

export function testControl(kind: ExecutorKind): void {
  if (!kind.can.control) return;
  testViews(kind);
  testSignals(kind);
  testTimeLimits(kind);
  testWorkersOfStopped(kind);
  testTransfer(kind);
  testCurrentTask(kind);
  testStats(kind);
}

function statsOf(pool: Executor): PoolStats {
  return (pool as Executor & { stats(): PoolStats }).stats();
}

/** Says that it is in, by an open gate, then waits to be asked to stop. */
async function untilAsked(
  pass: string,
  handle: unknown,
  id: number,
): Promise<string> {
  const { signal } = currentTask()!;
  await (0, eval)(`(${pass})`)(handle, id);
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
  Reflect.set(globalThis, "left", { reason: signal.reason });
  return "not heard by anyone";
}

/** Says that it is in, by an open gate, and never ends by itself. */
async function forEver(
  pass: string,
  handle: unknown,
  id: number,
): Promise<never> {
  Reflect.set(globalThis, "left", undefined);
  await (0, eval)(`(${pass})`)(handle, id);
  return await new Promise<never>(() => {});
}

/** What the last call that was stopped has left on this worker. */
function whatIsLeft() {
  const left: Left | undefined = Reflect.get(globalThis, "left");
  Reflect.set(globalThis, "left", undefined);
  const reason = left?.reason;
  return reason && {
    name: reason.name,
    message: reason.message,
    isDOMException: reason instanceof DOMException,
  };
}

/** Moves the clock on until a future is done, in steps of `ms`. */
async function passUntilDone(
  clock: FakeClock,
  ms: number,
  future: Future<unknown>,
): Promise<void> {
  await until(() => {
    clock.tick(ms);
    return future.done();
  });
}

// ---- Views -----------------------------------------------------------------

function testViews(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("a view of with() submits and maps as its executor does", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const view = pool.with({});
    assertEquals(await view.submit(Math.pow, 2, 5).result(), 32);
    assertEquals(await Array.fromAsync(view.map(Math.sqrt, [4, 9])), [2, 3]);
    const limited = view.with({ timeLimit: 60_000 });
    assertEquals(await limited.submit(Math.pow, 2, 6).result(), 64);
    assertEquals(
      await Array.fromAsync(limited.map(Math.pow, [2, 3], [2, 2])),
      [4, 9],
    );
  });

  test("with() refuses options of a wrong type, and says which", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const refused = (options: unknown, message: string) => {
      for (const view of [pool, pool.with({})]) {
        const error = assertThrows(() => view.with(options as SubmitOptions));
        assertInstanceOf(
          error,
          message.includes("greater") || message.includes("NaN")
            ? RangeError
            : TypeError,
        );
        assertEquals(error.message, message);
      }
    };
    refused(undefined, "with takes an object: received undefined");
    refused(null, "with takes an object: received null");
    refused(5, "with takes an object: received 5");
    refused({ signal: 5 }, "signal must be an AbortSignal: received 5");
    refused({ signal: null }, "signal must be an AbortSignal: received null");
    refused(
      { signal: new AbortController() },
      "signal must be an AbortSignal: received an object (AbortController)",
    );
    refused(
      { timeLimit: "5" },
      'timeLimit must be a number of milliseconds: received "5"',
    );
    refused(
      { timeLimit: null },
      "timeLimit must be a number of milliseconds: received null",
    );
    refused(
      { timeLimit: NaN },
      "timeLimit must be a number of milliseconds: received NaN",
    );
    for (const timeLimit of [0, -1, -Infinity]) {
      refused(
        { timeLimit },
        `timeLimit must be greater than 0: received ${timeLimit}`,
      );
    }
    refused(
      { transfer: new ArrayBuffer(8) },
      "transfer must be an array: received an object (ArrayBuffer)",
    );
  });

  test("a view throws what its executor throws: no function, after shutdown", async () => {
    const pool = kind.make({ maxWorkers: 1 });
    const view = pool.with({ timeLimit: 1000 });
    const none = 5 as unknown as () => void;
    assertThrows(() => view.submit(none), TypeError);
    assertThrows(() => view.map(none, []), TypeError);
    await pool.shutdown();
    assertThrows(() => view.submit(Math.sqrt, 4), RuntimeError);
    assertThrows(() => view.map(Math.sqrt, [4]), RuntimeError);
    assertThrows(() => view.map(Math.sqrt, []), RuntimeError);
  });

  test("views nest: the signals of all of them count", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const outer = new CountingAbortController();
    const inner = new CountingAbortController();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const view = pool.with({ signal: outer.signal });
    const both = view.with({ signal: inner.signal });
    const [one, two] = [both, both].map((v) => v.submit(Math.sqrt, 4));
    const plain = view.submit(Math.sqrt, 9);
    assertEquals([outer.listeners, inner.listeners], [1, 1]);
    one.cancel();
    inner.abort("inner");
    assertEquals(
      [two.cancelled(), plain.cancelled(), outer.listeners],
      [true, false, 1],
    );
    const third = both.submit(Math.sqrt, 4);
    assertEquals(third.cancelled(), true);
    outer.abort("outer");
    assertEquals(plain.cancelled(), true);
    const reasons = [two, plain, third].map((future) =>
      rejection(future.result())
    );
    assertEquals(await Promise.all(reasons), ["inner", "outer", "inner"]);
    gate.open();
    await held.result();
  });

  test("views nest: of two time limits the inner one counts, the longer one too", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    using clock = new FakeClock();
    const view = pool.with({ timeLimit: 10 });
    for (const [inner, ms] of [[50, 60], [5, 6]]) {
      const id = inner;
      const future = view.with({ timeLimit: inner })
        .submit(untilAsked, String(gate.pass), gate.handle, id);
      await gate.entered(id);
      await passUntilDone(clock, ms, future);
      assertMatch(
        (await future.exception() as Error).message,
        new RegExp(`its time limit of ${inner} ms`),
      );
    }
  });
}

// ---- Signals ---------------------------------------------------------------

function testSignals(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("a call whose signal has aborted at submit never starts, and is told why", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const reason = new Error("too late");
    const view = pool.with({ signal: AbortSignal.abort(reason) });
    const future = view.submit(Math.sqrt, 4);
    assertEquals([future.cancelled(), future.done()], [true, true]);
    for (const ask of [future.result(), future.exception()]) {
      assertStrictEquals(await rejection(ask), reason);
    }
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  });

  test("a signal cancels the calls that wait, and no others", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const controller = new CountingAbortController();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const view = pool.with(controller);
    const calls = [1, 2, 3].map((id) =>
      view.submit(gate.pass, gate.handle, id)
    );
    const other = pool.submit(gate.pass, gate.handle, 4);
    controller.abort();
    assertEquals(calls.map((future) => future.cancelled()), [true, true, true]);
    for (const future of calls) {
      for (const ask of [future.result(), future.exception()]) {
        assertStrictEquals(await rejection(ask), controller.signal.reason);
      }
    }
    gate.open();
    assertEquals([await held.result(), await other.result()], [0, 4]);
    assertEquals(
      [1, 2, 3].filter((id) => gate.ids.has(id)),
      [],
    );
  });

  test("a call that a signal ended before it started is cancelled, counted so, and no exception to wait()", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const controller = new AbortController();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const view = pool.with({}).with(controller);
    const calls = [1, 2].map((id) => view.submit(gate.pass, gate.handle, id));
    const first = wait([...calls, held], { returnWhen: "FIRST_EXCEPTION" });
    const ended = asCompleted(calls);
    const reason = new RangeError("enough");
    controller.abort(reason);
    assertEquals(await stateOf(first), "pending");
    for await (const future of ended) {
      assertEquals([future.cancelled(), future.running()], [true, false]);
      for (const ask of [future.result(5), future.exception()]) {
        assertStrictEquals(await rejection(ask), reason);
      }
      assertEquals(future.cancel(), true);
    }
    assertEquals(statsOf(pool).calls.cancelled, 2);
    gate.open();
    await held.result();
    assertEquals((await first).done.size, 3);
  });

  test("cancel() and cancelFutures give a CancelledError, whatever signal a call has", async () => {
    const pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const controller = new AbortController();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const view = pool.with(controller);
    const [one, two] = [1, 2].map((id) =>
      view.submit(gate.pass, gate.handle, id)
    );
    one.cancel();
    const over = pool.shutdown({ cancelFutures: true });
    controller.abort("too late");
    for (const future of [one, two]) {
      for (const ask of [future.result(), future.exception()]) {
        assertInstanceOf(await rejection(ask), CancelledError);
      }
    }
    gate.open();
    await held.result();
    await over;
  });

  test("a call that runs fails with the signal's reason itself", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    for (const [id, reason] of [{ any: "object" }, "text", null].entries()) {
      const controller = new AbortController();
      const future = pool.with(controller)
        .submit(untilAsked, String(gate.pass), gate.handle, id);
      await gate.entered(id);
      assertEquals(future.running(), true);
      controller.abort(reason);
      assertEquals([future.done(), future.cancelled()], [true, false]);
      assertStrictEquals(await rejection(future.result()), reason);
      assertStrictEquals(await future.exception(), reason);
    }
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  });

  test("the signal of currentTask() aborts with an AbortError that has the reason's message", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    // No time passes, so the call always ends soon enough.
    using _clock = new FakeClock();
    for (
      const [id, [reason, message]] of [
        [new Error("enough"), "enough"],
        ["text", "text"],
        [undefined, "The signal has been aborted"],
      ].entries()
    ) {
      const controller = new AbortController();
      pool.with(controller)
        .submit(untilAsked, String(gate.pass), gate.handle, id);
      await gate.entered(id);
      controller.abort(reason);
      assertEquals(await pool.submit(whatIsLeft).result(), {
        name: "AbortError",
        message: message as string,
        isDOMException: true,
      });
    }
  });

  test("a signal that aborts after its calls have ended changes nothing, and nobody listens to it", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const controller = new CountingAbortController();
    const view = pool.with(controller);
    const fine = view.submit(Math.sqrt, 4);
    const bad = view.submit(() => {
      throw new RangeError("own");
    });
    assertEquals(controller.listeners, 1);
    assertEquals(await fine.result(), 2);
    assertInstanceOf(await bad.exception(), RangeError);
    await until(() => controller.listeners === 0);
    controller.abort();
    assertEquals(await fine.result(), 2);
    assertInstanceOf(await bad.exception(), RangeError);
  });

  test("an argument that aborts its own call while it is read, and then can't be, does no harm", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const { finished } = statsOf(pool).calls;
    // Some kinds read it twice, some never.
    for (const last of [1, 2, 3]) {
      const controller = new AbortController();
      let reads = 0;
      const argument = {
        get value(): number {
          if (++reads < last) return reads;
          controller.abort();
          throw new RangeError("not yet");
        },
      };
      const future = pool.with(controller)
        .submit((arg: unknown) => typeof arg, argument);
      await wait([future]);
      assertEquals(await pool.submit(Math.sign, -3).result(), -1);
    }
    const { calls } = statsOf(pool);
    assertEquals([calls.waiting, calls.running], [0, 0]);
    assertEquals(calls.finished + calls.failed + calls.cancelled, finished + 6);
  });

  test("one signal shared by a thousand calls ends all of them, started or not, and the pool goes on", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    await using gate = kind.makeGate();
    gate.open();
    const controller = new AbortController();
    const reason = new Error("all of it");
    const view = pool.with(controller);
    const source = String(gate.pass);
    const futures = Array.from(
      { length: 1000 },
      (_, id) => view.submit(forEver, source, gate.handle, id),
    );
    await gate.entered(0, 1);
    controller.abort(reason);
    // A child whose call can't hear of it is killed, and the call fails with that.
    const isKilled = (future: Future<unknown>) =>
      !kind.can.cancelHandedOver && future.running();
    assert(futures.every((future) => future.done() || isKilled(future)));
    for (const [id, future] of futures.entries()) {
      const error = await rejection(future.result());
      assertStrictEquals(error, reason, `call ${id}`);
    }
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
    assertEquals([...gate.ids].filter((id) => id > 1), []);
  });

  test("map() through a view ends with the signal's reason", async () => {
    for (const buffersize of [undefined, 2]) {
      await using pool = kind.make({ maxWorkers: 1 });
      await using gate = kind.makeGate();
      const controller = new CountingAbortController();
      const results = pool.with(controller).map(
        gate.pass,
        Array(5).fill(gate.handle),
        [0, 1, 2, 3, 4],
        { buffersize },
      );
      await gate.entered(0);
      const first = rejection(results.next());
      const reason = new Error("enough");
      controller.abort(reason);
      assertStrictEquals(await first, reason);
      assertEquals(await results.next(), { done: true, value: undefined });
      gate.open();
      assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
      assertEquals([1, 2, 3, 4].filter((id) => gate.ids.has(id)), []);
    }
  });

  test("map() through a view whose signal has aborted reads nothing, and ends with its reason", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const view = pool.with({ signal: AbortSignal.abort("too late") });
    let reads = 0;
    const inputs = (function* () {
      reads++;
      yield 4;
    })();
    assertEquals(
      await rejection(view.map(Math.sqrt, inputs).next()),
      "too late",
    );
    assertEquals(reads, 0);
  });

  test("map() through a view heeds the signal of its own options, too", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const outer = new CountingAbortController();
    const own = new CountingAbortController();
    const results = pool.with(outer).map(Math.sqrt, [4, 9], {
      signal: own.signal,
    });
    own.abort("own");
    assertEquals(await rejection(results.next()), "own");
    await pool.shutdown();
    assertEquals(outer.listeners, 0);
  });

  test("map() through a view leaves no listener once it is read to its end", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const controller = new CountingAbortController();
    const view = pool.with(controller);
    assertEquals(await Array.fromAsync(view.map(Math.sqrt, [4, 9])), [2, 3]);
    for await (const _ of view.map(Math.sqrt, [4, 9, 16])) break;
    await pool.shutdown();
    assertEquals(controller.listeners, 0);
  });
}

// ---- Time limits -------------------------------------------------------------

function testTimeLimits(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("a time limit fails the call with a TimeoutError, and its currentTask() with one, too", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    using clock = new FakeClock();
    const future = pool.with({ timeLimit: 50 })
      .submit(untilAsked, String(gate.pass), gate.handle, 0);
    await gate.entered(0);
    await passUntilDone(clock, 50, future);
    const error = await future.exception();
    assertInstanceOf(error, TimeoutError);
    assertMatch(
      error.message,
      /^"untilAsked" did not end within its time limit of 50 ms/,
    );
    const left = await pool.submit(whatIsLeft).result();
    // The clock goes on while the word is on its way over a network: the call may
    // have been given no more time by then.
    if (!kind.can.ownWorkers && left === undefined) return;
    assertEquals(left, {
      name: "TimeoutError",
      message: error.message,
      isDOMException: true,
    });
  });

  test("a call that ends within its time limit has, however busy its caller is meanwhile", async () => {
    // Between machines it takes longer until its end is heard.
    if (!kind.can.die) return;
    await using pool = kind.make({ maxWorkers: 1 });
    await pool.submit(Math.sign, 1).result();
    for (const isPlain of [true, false]) {
      const future = pool.with({ timeLimit: 500 }).submit(
        async (isPlain: boolean) => {
          await new Promise((resolve) => setTimeout(resolve, 50));
          return isPlain ? 1 : {};
        },
        isPlain,
      );
      await until(() => future.running());
      await turn();
      // Nothing is heard until the time is over.
      const nothing = new Int32Array(new SharedArrayBuffer(4));
      Atomics.wait(nothing, 0, 0, 600);
      assertEquals(await future.result(), isPlain ? 1 : {});
    }
  });

  test("a time limit does not count while a call waits", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    using clock = new FakeClock();
    const held = pool.submit(gate.pass, gate.handle, 0);
    const future = pool.with({ timeLimit: 50 }).submit(Math.sqrt, 4);
    await gate.entered(0);
    clock.tick(1000);
    assertEquals(future.done(), false);
    gate.open();
    await held.result();
    assertEquals(await future.result(), 2);
  });

  test("a time limit that is long enough is not noticed, by a thousand calls", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const view = pool.with({ timeLimit: 60_000 });
    const roots = await Array.fromAsync(
      view.map(Math.sqrt, Array.from({ length: 1000 }, (_, i) => i * i)),
    );
    assertEquals(roots, Array.from({ length: 1000 }, (_, i) => i));
  });

  test("map() through a view with a time limit fails where the call took too long", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    using clock = new FakeClock();
    const results = pool.with({ timeLimit: 50 }).map(
      (n: number) => n === 2 ? new Promise<number>(() => {}) : n,
      [1, 2, 3],
    );
    assertEquals(await results.next(), { done: false, value: 1 });
    const second = rejection(results.next());
    let over = false;
    second.then(() => over = true);
    await until(() => {
      clock.tick(50);
      return over;
    });
    assertInstanceOf(await second, TimeoutError);
    assertEquals((await results.next()).done, true);
    // The call that hangs takes its worker along.
    clock.tick(GRACE_MS);
  });
}

// ---- The worker of a call that was stopped --------------------------------------

function testWorkersOfStopped(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("a call that ends soon after it was stopped keeps its worker", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    using _clock = new FakeClock();
    const who = await pool.submit(() => currentTask()!.workerName).result();
    for (let id = 0; id < 3; id++) {
      const controller = new AbortController();
      const future = pool.with(controller)
        .submit(untilAsked, String(gate.pass), gate.handle, id);
      await gate.entered(id);
      controller.abort();
      assertEquals(future.done(), true);
      // What it left is there: it is the same worker, not one of the same name.
      assert(await pool.submit(whatIsLeft).result() !== undefined);
    }
    assertEquals(
      await pool.submit(() => currentTask()!.workerName).result(),
      who,
    );
  });

  test("a call that does not end soon after it was stopped loses its worker, and the calls behind it run", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    using clock = new FakeClock();
    await pool.submit(() => {
      Reflect.set(globalThis, "mark", "first worker");
    }).result();
    const controller = new AbortController();
    const future = pool.with(controller)
      .submit(forEver, String(gate.pass), gate.handle, 0);
    await gate.entered(0);
    const next = pool.submit(() => Reflect.get(globalThis, "mark"));
    controller.abort();
    // A child whose call can't hear of it is killed at once: the call fails with that.
    if (kind.can.cancelHandedOver) {
      assertEquals([future.done(), next.done()], [true, false]);
      await turn();
      assertEquals(next.done(), false);
    } else {
      await future.exception();
    }
    await passUntilDone(clock, GRACE_MS, next);
    assertEquals(
      await next.result(),
      kind.can.travel ? undefined : "first worker",
    );
    Reflect.deleteProperty(globalThis, "mark");
  });

  test("a call that is stopped leaves the calls on other workers alone", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    await using gate = kind.makeGate();
    await using open = kind.makeGate();
    open.open();
    const other = pool.submit(gate.pass, gate.handle, 0);
    const controller = new AbortController();
    pool.with(controller).submit(forEver, String(open.pass), open.handle, 1);
    await gate.entered(0);
    await open.entered(1);
    controller.abort();
    const next = pool.submit(Math.sqrt, 4);
    assertEquals(await next.result(), 2);
    assertEquals(other.done(), false);
    gate.open();
    assertEquals(await other.result(), 0);
  });

  test("shutdown() of one whose call was stopped resolves, and leaves nothing", async () => {
    for (const options of [{}, { cancelFutures: true }]) {
      const pool = kind.make({ maxWorkers: 1 });
      await using gate = kind.makeGate();
      gate.open();
      const controller = new AbortController();
      const future = pool.with(controller)
        .submit(forEver, String(gate.pass), gate.handle, 0);
      const waits = pool.with(controller).submit(Math.sqrt, 4);
      await gate.entered(0);
      const over = pool.shutdown(options);
      controller.abort("enough");
      assertEquals(await future.exception(), "enough");
      assertEquals(waits.cancelled(), true);
      await over;
    }
  });
}

// ---- What is moved ----------------------------------------------------------------

function testTransfer(kind: ExecutorKind): void {
  const test = contractTest(kind);
  /** Nothing is copied on the event loop, and nothing moved. */
  const left = (length: number) => kind.can.copy ? 0 : length;

  test("transfer() moves an argument: it arrives equal, and the sender has it no more", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    // The larger one goes another way, where there is another way.
    for (const length of [8, 1_000_000]) {
      const bytes = new Uint8Array(length).fill(7);
      const future = pool.submit(
        (bytes: Uint8Array) => [bytes.length, bytes[0], bytes.at(-1)],
        transfer(bytes, [bytes.buffer]),
      );
      assertEquals(await future.result(), [length, 7, 7]);
      assertEquals(bytes.length, left(length));
      assertEquals(bytes.buffer.byteLength, left(length));
    }
  });

  test("transfer() moves the arguments of calls that wait at the time of submit", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const futures = [1, 2, 3].map((n) => {
      const bytes = new Uint8Array(100_000).fill(n);
      const future = pool.submit(
        (bytes: Uint8Array) => [bytes.length, bytes[0]],
        transfer(bytes, [bytes.buffer]),
      );
      assertEquals(bytes.length, left(100_000));
      return future;
    });
    gate.open();
    await held.result();
    for (const [i, future] of futures.entries()) {
      assertEquals(await future.result(), [100_000, i + 1]);
    }
  });

  test("transfer() moves what is inside of an argument, several views of one buffer as such", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const buffer = new ArrayBuffer(64);
    const value = {
      whole: buffer,
      map: new Map([["bytes", new Uint8Array(buffer, 8, 16)]]),
      list: [new Float64Array(buffer, 32, 2), new DataView(buffer, 1, 2)],
      kept: new Uint8Array([1, 2, 3]),
    };
    value.list[0] instanceof Float64Array && (value.list[0][1] = 1.5);
    const future = pool.submit((got: typeof value) => {
      const bytes = got.map.get("bytes")!;
      const [floats, view] = got.list as [Float64Array, DataView];
      return [
        bytes.buffer === got.whole && floats.buffer === got.whole &&
        view.buffer === got.whole,
        [bytes.byteOffset, bytes.length, floats[1], view.byteOffset],
        [...got.kept],
      ];
    }, transfer(value, [buffer]));
    assertEquals<unknown>(await future.result(), [
      true,
      [8, 16, 1.5, 1],
      [1, 2, 3],
    ]);
    assertEquals(buffer.byteLength, left(64));
    assertEquals(value.kept.length, 3);
  });

  test("transfer() moves a result", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const made = await pool.submit((length: number) => {
      const bytes = new Uint8Array(length).fill(7);
      Reflect.set(globalThis, "moved", bytes);
      return transfer({ bytes, length }, [bytes.buffer]);
    }, 100_000).result();
    assertEquals([made.bytes.length, made.bytes[99_999]], [100_000, 7]);
    const moved = await pool.submit(() => {
      const bytes: Uint8Array = Reflect.get(globalThis, "moved");
      Reflect.deleteProperty(globalThis, "moved");
      return bytes.length;
    }).result();
    // Between processes there is no moving; what is sent back was a copy.
    assertEquals(moved, kind.can.shareMemory ? left(100_000) : 100_000);
  });

  test("transfer() moves there and back", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    let bytes = new Uint8Array(1000);
    for (let i = 1; i <= 3; i++) {
      bytes = await pool.submit((bytes: Uint8Array<ArrayBuffer>) => {
        for (let i = 0; i < bytes.length; i++) bytes[i]++;
        return transfer(bytes, [bytes.buffer]);
      }, transfer(bytes, [bytes.buffer])).result();
      assertEquals([bytes.length, bytes[0], bytes[999]], [1000, i, i]);
    }
  });

  test("transfer() gives the value itself, and refuses what is no object, and what is no list", () => {
    const bytes = new Uint8Array(8);
    assertStrictEquals(transfer(bytes, [bytes.buffer]), bytes);
    for (const value of [5, "text", null, undefined, () => {}]) {
      assertThrows(
        () => transfer(value as unknown as object, []),
        TypeError,
        "transfer takes an object",
      );
    }
    assertThrows(
      () => transfer(bytes, bytes.buffer as unknown as ArrayBuffer[]),
      TypeError,
      "transfer takes an array",
    );
  });

  test("with({ transfer }) moves what the arguments hold of it, and nothing else", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const [held, other] = [new ArrayBuffer(8), new ArrayBuffer(8)];
    const view = pool.with({ transfer: [held, other] });
    const length = (buffer: ArrayBuffer) => buffer.byteLength;
    assertEquals(await view.submit(length, held).result(), 8);
    assertEquals([held.byteLength, other.byteLength], [left(8), 8]);
    assertEquals(await view.submit(Math.sqrt, 4).result(), 2);
    assertEquals(other.byteLength, 8);
    assertEquals(
      await view.with({ transfer: [] }).submit(length, other).result(),
      8,
    );
    assertEquals(other.byteLength, 8);
    assertEquals(await view.with({}).submit(length, other).result(), 8);
    assertEquals(other.byteLength, left(8));
  });

  test("map() through with({ transfer }) moves to each call what that call's arguments hold", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const parts = [1, 2, 3, 4, 5].map((n) => new Uint8Array(1000).fill(n));
    const view = pool.with({ transfer: parts.map(({ buffer }) => buffer) });
    const results = await Array.fromAsync(
      view.map((part: Uint8Array) => [part.length, part[0]], parts),
    );
    assertEquals(results, [1, 2, 3, 4, 5].map((n) => [1000, n]));
    assertEquals(parts.map(({ length }) => length), Array(5).fill(left(1000)));
  });

  test("arguments that can't travel are not moved", async () => {
    if (!kind.can.copy) return;
    await using pool = kind.make({ maxWorkers: 1 });
    const buffer = new ArrayBuffer(8);
    const future = pool.submit(
      (..._args: unknown[]) => 5,
      transfer({ buffer, fn: () => {} }, [buffer]),
    );
    assertEquals((await future.exception() as Error).name, "DataCloneError");
    assertEquals(buffer.byteLength, 8);
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  });

  test("what was moved before can't be moved again: a DataCloneError that says so, and the pool goes on", async () => {
    if (!kind.can.copy) return;
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const length = (bytes: Uint8Array | ArrayBuffer) => bytes.byteLength;
    const bytes = new Uint8Array(100_000);
    const first = pool.submit(length, transfer(bytes, [bytes.buffer]));
    assertEquals(await first.result(), 100_000);
    const held = pool.submit(gate.pass, gate.handle, 0);
    // At once, and where it has to wait.
    const again = [
      pool.submit(length, bytes),
      pool.submit(length, bytes.buffer),
      pool.with({ transfer: [bytes.buffer] }).submit(length, bytes.buffer),
    ];
    gate.open();
    await held.result();
    again.push(pool.submit(length, bytes), pool.submit(length, bytes.buffer));
    for (const future of again) {
      const error = await future.exception();
      assertInstanceOf(error, DOMException);
      assertEquals(error.name, "DataCloneError");
      assertMatch(
        error.message,
        /args\[0\] is (a Uint8Array whose buffer|an ArrayBuffer that) was moved before/,
      );
    }
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  });

  test("a result that was moved before fails its call alone", async () => {
    if (!kind.can.copy) return;
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const buffer = new ArrayBuffer(8);
      structuredClone(buffer, { transfer: [buffer] });
      return transfer({ buffer }, [buffer]);
    });
    const error = await future.exception() as Error;
    assertEquals(error.name, "DataCloneError");
    assertMatch(
      error.message,
      /result\.buffer is an ArrayBuffer that was moved/,
    );
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  });

  test("what is listed twice is moved once", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const buffer = new ArrayBuffer(8);
    const a = transfer(new Uint8Array(buffer), [buffer, buffer]);
    const b = transfer(new Uint8Array(buffer), [buffer]);
    const future = pool.with({ transfer: [buffer] }).submit(
      (a: Uint8Array, b: Uint8Array) => {
        const result = a.buffer === b.buffer;
        return transfer({ result, a }, [
          a.buffer as ArrayBuffer,
          b.buffer as ArrayBuffer,
        ]);
      },
      a,
      b,
    );
    assertEquals((await future.result()).result, true);
    assertEquals(buffer.byteLength, left(8));
  });
}

// ---- What a task knows of itself -----------------------------------------------------

function testCurrentTask(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("currentTask() gives a task its signal and its worker's name, and nobody else anything", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    assertEquals(currentTask(), undefined);
    const future = pool.submit(async () => {
      const { signal, workerName } = currentTask()!;
      await Promise.resolve();
      return {
        workerName,
        aborted: signal.aborted,
        isSignal: signal instanceof AbortSignal,
        same: currentTask()!.signal === signal,
      };
    });
    const { workerName, ...rest } = await future.result();
    assertEquals(rest, { aborted: false, isSignal: true, same: true });
    assertMatch(workerName, /Executor(-\d+)?_0$/);
    if (kind.can.workers) {
      assertEquals(await pool.submit(kind.whoAmI).result(), workerName);
    }
    assertEquals(currentTask(), undefined);
  });

  test("currentTask() gives each task a signal of its own", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    using _clock = new FakeClock();
    const controller = new AbortController();
    pool.with(controller)
      .submit(untilAsked, String(gate.pass), gate.handle, 0);
    await gate.entered(0);
    controller.abort();
    const aborted = await pool.submit(() => currentTask()!.signal.aborted)
      .result();
    assertEquals(aborted, false);
    await pool.submit(whatIsLeft).result();
  });
}

// ---- Statistics ------------------------------------------------------------------------

function testStats(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("stats() counts workers and calls as they are at the moment", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    await using gate = kind.makeGate();
    const zero = { count: 0, mean: 0, p50: 0, p99: 0, max: 0 };
    assertEquals(statsOf(pool), {
      workers: { live: 0, busy: 0 },
      calls: { waiting: 0, running: 0, finished: 0, failed: 0, cancelled: 0 },
      times: { waiting: zero, running: zero },
    });
    const futures = [0, 1, 2, 3].map((id) =>
      pool.submit(gate.pass, gate.handle, id)
    );
    await gate.entered(0, 1);
    assertEquals(statsOf(pool).workers, { live: 2, busy: 2 });
    assertEquals(statsOf(pool).calls, {
      waiting: 2,
      running: 2,
      finished: 0,
      failed: 0,
      cancelled: 0,
    });
    futures[3].cancel();
    gate.open();
    await futures[2].result();
    await Promise.all([futures[0].result(), futures[1].result()]);
    assertEquals(statsOf(pool).workers, { live: 2, busy: 0 });
    assertEquals(statsOf(pool).calls, {
      waiting: 0,
      running: 0,
      finished: 3,
      failed: 0,
      cancelled: 1,
    });
    await pool.shutdown();
    assertEquals(statsOf(pool).workers, { live: 0, busy: 0 });
  });

  test("stats() counts every kind of end once", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    gate.open();
    const { calls } = await count(async () => {
      await pool.submit(Math.sqrt, 4).result();
      await pool.submit(() => {
        throw new Error();
      }).exception();
    });
    assertEquals([calls.finished, calls.failed], [1, 1]);
    const stopped = await count(async () => {
      const controller = new AbortController();
      const future = pool.with(controller)
        .submit(untilAsked, String(gate.pass), gate.handle, 0);
      const waits = pool.with(controller).submit(Math.sqrt, 4);
      await gate.entered(0);
      controller.abort();
      pool.with(controller).submit(Math.sqrt, 4);
      assertEquals([future.done(), waits.cancelled()], [true, true]);
      await pool.submit(Math.sqrt, 4).result();
    });
    assertEquals(stopped.calls, { finished: 1, failed: 1, cancelled: 2 });
    assertEquals(stopped.times, [1, 1]);
    if (kind.can.copy) {
      const untravelled = await count(async () => {
        await pool.submit((_: unknown) => {}, new Headers()).exception();
        await pool.submit(() => Symbol()).exception();
      });
      assertEquals(untravelled.calls, { finished: 0, failed: 2, cancelled: 0 });
    }

    /** What `during` adds to the statistics. */
    async function count(during: () => Promise<void>) {
      const before = statsOf(pool);
      await during();
      const after = statsOf(pool);
      const added = (key: "finished" | "failed" | "cancelled") =>
        after.calls[key] - before.calls[key];
      return {
        calls: {
          finished: added("finished"),
          failed: added("failed"),
          cancelled: added("cancelled"),
        },
        times: (["waiting", "running"] as const).map((key) =>
          after.times[key].count - before.times[key].count
        ),
      };
    }
  });

  test("stats() measures how long calls wait and run", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    for (let i = 0; i < 10; i++) await pool.submit(Math.sqrt, i).result();
    const { waiting, running } = statsOf(pool).times;
    for (const times of [waiting, running]) {
      assertEquals(times.count, 10);
      for (const key of ["mean", "p50", "p99", "max"] as const) {
        assert(times[key] >= 0 && Number.isFinite(times[key]), key);
      }
      assert(times.p50 <= times.p99 && times.p99 <= times.max);
      assert(times.mean <= times.max);
    }
  });

  test("stats() is plain data that changes no more", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await pool.submit(Math.sqrt, 4).result();
    const stats = statsOf(pool);
    const copy = structuredClone(stats);
    assertEquals(JSON.parse(JSON.stringify(stats)), copy);
    await pool.submit(Math.sqrt, 4).result();
    assertEquals(stats, copy);
  });
}
