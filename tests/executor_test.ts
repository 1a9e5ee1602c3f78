import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { assertSpyCalls, stub } from "@std/testing/mock";
import { CancelledError, RuntimeError, TimeoutError } from "../errors.ts";
import { EventLoopExecutor } from "../event_loop_executor.ts";
import {
  Executor,
  type MapOptions,
  type ShutdownOptions,
} from "../executor.ts";
import { Future } from "../future.ts";
import {
  CountingAbortController,
  FakeClock,
  isCollected,
  LONGEST_TIMER_MS,
  stateOf,
  turn,
  withoutGc,
} from "./_helpers.ts";

// deno-lint-ignore no-explicit-any -- calls of whatever type
type Any = any;

const END: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** An executor whose calls the test settles, in any order. */
class ByHand extends Executor {
  readonly calls: { args: Any[]; future: Future<Any> }[] = [];
  readonly shutdowns: (ShutdownOptions | undefined)[] = [];
  onSubmit = (_args: Any[]) => {};

  submit<A extends unknown[], R>(
    _fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    if (this.shutdowns.length > 0) {
      throw new RuntimeError("cannot schedule new futures after shutdown");
    }
    const future = new Future<Awaited<R>>();
    this.calls.push({ args, future });
    this.onSubmit(args);
    return future;
  }

  shutdown(options?: ShutdownOptions): Promise<void> {
    this.shutdowns.push(options);
    return Promise.resolve();
  }

  get inputs(): unknown[] {
    return this.calls.map(({ args }) => args[0]);
  }

  start(i: number): void {
    this.calls[i].future.setRunningOrNotifyCancel();
  }

  /** Ends a call with its first argument, or with `result`. */
  finish(i: number, result: unknown = this.calls[i].args[0]): void {
    this.calls[i].future.setResult(result);
  }

  fail(i: number, error: unknown): void {
    this.calls[i].future.setException(error);
  }
}

/** Runs each call where it is submitted, and remembers nothing. */
class AtOnce extends Executor {
  submitted = 0;

  submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    this.submitted++;
    const future = new Future<Awaited<R>>();
    try {
      future.setResult(fn(...args) as Awaited<R>);
    } catch (error) {
      future.setException(error);
    }
    return future;
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

const same = <T>(value: T) => value;

/** An input that tells what was done to it. */
class Watched<T> implements Iterable<T> {
  read = 0;
  opened = 0;
  returned = 0;
  ended = 0;

  constructor(readonly items: Iterable<T>) {}

  [Symbol.iterator](): Iterator<T> {
    this.opened++;
    const iterator = this.items[Symbol.iterator]();
    return {
      next: () => {
        this.read++;
        const result = iterator.next();
        if (result.done) this.ended++;
        return result;
      },
      return: () => {
        this.returned++;
        return { done: true, value: undefined };
      },
    };
  }
}

function* naturals() {
  for (let n = 0;; n++) yield n;
}

/** An async input whose items the test gives. */
class Pushed<T> implements AsyncIterable<T> {
  readonly #items: (IteratorResult<T> | { error: unknown })[] = [];
  #asker: (() => void) | undefined;
  asked = 0;
  returned = 0;
  /** How many next() wait for an item now, and did at most. */
  asking = 0;
  mostAsking = 0;

  #put(item: IteratorResult<T> | { error: unknown }): void {
    this.#items.push(item);
    this.#asker?.();
  }
  push(value: T): void {
    this.#put({ done: false, value });
  }
  end(): void {
    this.#put({ done: true, value: undefined });
  }
  fail(error: unknown): void {
    this.#put({ error });
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: async () => {
        this.asked++;
        this.mostAsking = Math.max(this.mostAsking, ++this.asking);
        while (this.#items.length === 0) {
          await new Promise<void>((resolve) => this.#asker = resolve);
        }
        this.asking--;
        const item = this.#items.shift()!;
        if ("error" in item) throw item.error;
        return item;
      },
      return: () => {
        this.returned++;
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}

// -------------------------------------------------------------------- submit

Deno.test("map: submits every call at the call, not at the first next()", () => {
  const executor = new ByHand();
  executor.map(same, [1, 2, 3]);
  assertEquals(executor.inputs, [1, 2, 3]);
});

Deno.test("map: submits at the call as many as buffersize lets it", () => {
  const executor = new ByHand();
  const input = new Watched(naturals());
  executor.map(same, input, { buffersize: 3 });
  assertEquals(executor.inputs, [0, 1, 2]);
  assertEquals(input.read, 3);
});

Deno.test("map: gives fn one item of each iterable, until the shortest ends", async () => {
  for (const buffersize of [undefined, 1, 2, 3, 10]) {
    const executor = new ByHand();
    executor.onSubmit = () => executor.finish(executor.calls.length - 1);
    const fn = (a: number, b: string, c: boolean) => [a, b, c];
    const iterator = executor.map(
      fn,
      naturals(),
      new Set(["a", "b"]),
      [true, false, true],
      { buffersize },
    );
    assertEquals((await Array.fromAsync(iterator)).length, 2);
    assertEquals(executor.calls.map(({ args }) => args), [
      [0, "a", true],
      [1, "b", false],
    ]);
  }
});

Deno.test("map: hands the function itself to submit", () => {
  class Seeing extends ByHand {
    fns: unknown[] = [];
    override submit<A extends unknown[], R>(
      fn: (...args: A) => R,
      ...args: A
    ): Future<Awaited<R>> {
      this.fns.push(fn);
      return super.submit(fn, ...args);
    }
  }
  const executor = new Seeing();
  executor.map(same, [1, 2]);
  executor.map(Math.pow, [1], [2], {});
  assertEquals(executor.fns, [same, same, Math.pow]);
});

Deno.test("map: takes an item that looks like options, an array or undefined as an item", () => {
  const executor = new ByHand();
  const items = [{ buffersize: 0 }, [1, 2], undefined, null];
  executor.map((item: unknown) => item, items);
  assertEquals(executor.inputs, items);
});

Deno.test("map: reads a string, a Map and a typed array as the iterables they are", () => {
  const executor = new ByHand();
  executor.map(
    (a: string, b: [string, number], c: number) => [a, b, c],
    "hey",
    new Map([["k", 1], ["l", 2]]),
    new Uint8Array([7, 8, 9]),
  );
  assertEquals(executor.calls.map(({ args }) => args), [
    ["h", ["k", 1], 7],
    ["e", ["l", 2], 8],
  ]);
});

Deno.test("map: takes undefined for its options", async () => {
  const executor = new AtOnce();
  assertEquals(
    await Array.fromAsync(executor.map(same, [1, 2], undefined)),
    [1, 2],
  );
});

Deno.test("map: ends at once for an empty iterable, with or without buffersize", async () => {
  for (const options of [{}, { buffersize: 1 }, { timeout: 0 }]) {
    const executor = new ByHand();
    const iterator = executor.map(same, [], options);
    assertEquals(await iterator.next(), END);
    assertEquals(await iterator.next(), END);
    assertEquals(executor.calls, []);
  }
});

// --------------------------------------------------------------------- order

Deno.test("map: gives results in the order of the input, whichever ends first", async () => {
  for (const buffersize of [undefined, 3, 10]) {
    const executor = new ByHand();
    const iterator = executor.map(same, ["a", "b", "c"], { buffersize });
    const first = iterator.next();
    executor.finish(2);
    executor.finish(1);
    assertEquals(await stateOf(first), "pending");
    executor.finish(0);
    assertEquals(await first, { done: false, value: "a" });
    assertEquals(await iterator.next(), { done: false, value: "b" });
    assertEquals(await iterator.next(), { done: false, value: "c" });
    assertEquals(await iterator.next(), END);
    assertEquals(await iterator.next(), END);
  }
});

Deno.test("map: gives a result of undefined as a value", async () => {
  const executor = new AtOnce();
  const iterator = executor.map(same, [undefined, undefined]);
  assertEquals(await iterator.next(), { done: false, value: undefined });
  assertEquals(await iterator.next(), { done: false, value: undefined });
  assertEquals(await iterator.next(), END);
});

Deno.test("map: is its own iterator, and one at a time", async () => {
  const executor = new AtOnce();
  const iterator = executor.map(same, [1, 2]);
  assertStrictEquals(iterator[Symbol.asyncIterator](), iterator);
  for await (const value of iterator) assert(value > 0);
  assertEquals(await Array.fromAsync(iterator), []);
});

Deno.test("map: serves concurrent next() calls in order", async () => {
  for (const buffersize of [undefined, 1, 2]) {
    const executor = new ByHand();
    executor.onSubmit = ([value]) => {
      const { future } = executor.calls.at(-1)!;
      queueMicrotask(() => future.setResult(value));
    };
    const iterator = executor.map(same, [1, 2, 3], { buffersize });
    const asked = Array.from({ length: 5 }, () => iterator.next());
    assertEquals(await Promise.all(asked), [
      { done: false, value: 1 },
      { done: false, value: 2 },
      { done: false, value: 3 },
      END,
      END,
    ]);
  }
});

Deno.test("map: an exception rejects one of several concurrent next() calls and ends the others", async () => {
  const executor = new ByHand();
  const iterator = executor.map(same, [1, 2, 3]);
  const asked = Promise.allSettled([1, 2, 3, 4].map(() => iterator.next()));
  executor.finish(2);
  executor.fail(1, "no");
  executor.finish(0);
  assertEquals(await asked, [
    { status: "fulfilled", value: { done: false, value: 1 } },
    { status: "rejected", reason: "no" },
    { status: "fulfilled", value: END },
    { status: "fulfilled", value: END },
  ]);
});

Deno.test("map: two iterations of one executor do not mix", async () => {
  const executor = new ByHand();
  const a = executor.map(same, [1, 2]);
  const b = executor.map(same, ["x", "y"]);
  for (const i of [3, 1, 2, 0]) executor.finish(i);
  assertEquals(await Array.fromAsync(b), ["x", "y"]);
  assertEquals(await Array.fromAsync(a), [1, 2]);
});

// ---------------------------------------------------------------- exceptions

for (const error of [new Error("no"), undefined, null, 0]) {
  Deno.test(`map: ${Deno.inspect(error).split("\n")[0].split(": ")[0]}, thrown by a call, surfaces when it is reached, ends the iteration and cancels the rest`, async () => {
    const executor = new ByHand();
    const iterator = executor.map(same, [0, 1, 2, 3, 4]);
    executor.start(2);
    executor.fail(1, error);
    executor.finish(4);
    const first = iterator.next();
    assertEquals(await stateOf(first), "pending");
    executor.finish(0);
    assertEquals(await first, { done: false, value: 0 });
    assertEquals(executor.calls[3].future.cancelled(), false);
    const [outcome] = await Promise.allSettled([iterator.next()]);
    assertEquals(outcome, { status: "rejected", reason: error });
    assertEquals(await iterator.next(), END);
    assertEquals(
      executor.calls.map(({ future }) => future.cancelled()),
      [false, false, false, true, false],
    );
    assertEquals(executor.calls[2].future.running(), true);
  });
}

Deno.test("map: an exception closes the inputs and submits no more, with buffersize", async () => {
  const executor = new ByHand();
  const input = new Watched(naturals());
  const iterator = executor.map(same, input, { buffersize: 2 });
  executor.fail(0, new Error("no"));
  await assertRejects(() => iterator.next(), Error, "no");
  assertEquals(input.returned, 1);
  assertEquals(executor.inputs, [0, 1]);
  assertEquals(executor.calls[1].future.cancelled(), true);
  assertEquals(await iterator.next(), END);
});

Deno.test("map: a call that is cancelled elsewhere gives CancelledError at once", async () => {
  const executor = new ByHand();
  const iterator = executor.map(same, [0, 1, 2]);
  const next = iterator.next();
  executor.calls[0].future.cancel();
  await assertRejects(() => next, CancelledError);
  assertEquals(await iterator.next(), END);
  assertEquals(executor.calls[1].future.cancelled(), true);
});

Deno.test("map: a next() that waits is woken at once by a cancel", async () => {
  using _clock = new FakeClock();
  const executor = new ByHand();
  const iterator = executor.map(same, [0, 1, 2]);
  const next = iterator.next();
  next.catch(() => {});
  assertEquals(await stateOf(next), "pending");
  executor.calls[0].future.cancel();
  assertEquals(await stateOf(next), "rejected");
  await assertRejects(() => next, CancelledError);
});

Deno.test("map: failures that nobody reaches are no unhandled rejections", async () => {
  const seen: unknown[] = [];
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    seen.push(event.reason);
  };
  addEventListener("unhandledrejection", onRejection);
  try {
    const executor = new ByHand();
    executor.onSubmit = () => {
      executor.fail(executor.calls.length - 1, new Error("no"));
    };
    executor.map(same, [1, 2, 3]);
    executor.map(same, naturals(), { buffersize: 2 });
    const left = executor.map(same, [1, 2, 3]);
    await left.next().catch(() => {});
    const input = new Pushed<number>();
    executor.map(same, input, { buffersize: 2 });
    input.fail(new Error("no"));
    await turn();
    await turn();
    assertEquals(seen, []);
  } finally {
    removeEventListener("unhandledrejection", onRejection);
  }
});

// ------------------------------------------------------------------- timeout

Deno.test("map: counts its timeout from the call, not from next()", async () => {
  using clock = new FakeClock();
  const executor = new ByHand();
  const iterator = executor.map(same, [0, 1, 2, 3], { timeout: 100 });
  executor.finish(0);
  executor.start(1);
  await clock.pass(60);
  assertEquals(await iterator.next(), { done: false, value: 0 });
  const next = iterator.next();
  next.catch(() => {});
  await clock.pass(39);
  assertEquals(await stateOf(next), "pending");
  await clock.pass(1);
  const error = await assertRejects(() => next, TimeoutError);
  assertStringIncludes(error.message, "after 100 ms");
  assertEquals(await iterator.next(), END);
  assertEquals(
    executor.calls.map(({ future }) => future.cancelled()),
    [false, false, true, true],
  );
  assertEquals(clock.next(), false);
});

Deno.test("map: gives what is done even after its time, and only then tells of the timeout", async () => {
  using clock = new FakeClock();
  const executor = new ByHand();
  const iterator = executor.map(same, [0, 1, 2], { timeout: 100 });
  executor.finish(0);
  await clock.pass(500);
  executor.finish(1);
  assertEquals(await iterator.next(), { done: false, value: 0 });
  assertEquals(await iterator.next(), { done: false, value: 1 });
  await assertRejects(() => iterator.next(), TimeoutError);
  assertEquals(await iterator.next(), END);
});

Deno.test("map: a timeout of 0 gives what is done at the call", async () => {
  using clock = new FakeClock();
  for (const timeout of [0, -1]) {
    const executor = new AtOnce();
    assertEquals(
      await Array.fromAsync(executor.map(same, [1, 2], { timeout })),
      [1, 2],
    );
    await assertRejects(
      () => new ByHand().map(same, [1, 2], { timeout }).next(),
      TimeoutError,
    );
  }
  assertEquals(clock.next(), false);
});

Deno.test("map: an infinite timeout is none", async () => {
  using clock = new FakeClock();
  const executor = new ByHand();
  const iterator = executor.map(same, [1], { timeout: Infinity });
  const next = iterator.next();
  assertEquals(await stateOf(next), "pending");
  assertEquals(clock.next(), false);
  executor.finish(0);
  assertEquals(await next, { done: false, value: 1 });
});

Deno.test("map: holds a timeout longer than a timer can", async () => {
  using clock = new FakeClock();
  const timeout = LONGEST_TIMER_MS + 1_000;
  const next = new ByHand().map(same, [1], { timeout }).next();
  next.catch(() => {});
  await clock.pass(LONGEST_TIMER_MS);
  await clock.pass(999);
  assertEquals(await stateOf(next), "pending");
  await clock.pass(1);
  await assertRejects(() => next, TimeoutError, `after ${timeout} ms`);
  assertEquals(clock.next(), false);
});

Deno.test("map: leaves no timer behind when it ends, is left, or nobody waits", async () => {
  using clock = new FakeClock();
  const timeout = 100;
  const left = new ByHand().map(same, [1, 2], { timeout });
  await left.return!();
  const ended = new AtOnce().map(same, [1, 2], { timeout });
  await Array.fromAsync(ended);
  const executor = new ByHand();
  const failed = executor.map(same, [1, 2], { timeout });
  const next = failed.next();
  await turn();
  executor.fail(0, new Error("no"));
  await assertRejects(() => next, Error, "no");
  const asked = new ByHand().map(same, [1, 2], { timeout });
  const waiting = asked.next();
  await turn();
  await asked.return!();
  assertEquals(await waiting, END);
  new ByHand().map(same, [1, 2], { timeout });
  assertEquals(clock.next(), false);
});

Deno.test("map: a stalled async input does not stop the timeout", async () => {
  using clock = new FakeClock();
  const executor = new ByHand();
  const input = new Pushed<number>();
  const iterator = executor.map(same, input, { buffersize: 2, timeout: 100 });
  const next = iterator.next();
  next.catch(() => {});
  await clock.pass(99);
  assertEquals(await stateOf(next), "pending");
  await clock.pass(1);
  await assertRejects(() => next, TimeoutError);
  assertEquals(input.returned, 1);
  assertEquals(await iterator.next(), END);
  input.push(1);
  await turn();
  assertEquals(executor.inputs, []);
});

// ------------------------------------------------------------- leaving early

Deno.test("map: a loop left early cancels what has not started", async () => {
  const executor = new ByHand();
  const iterator = executor.map(same, [0, 1, 2, 3]);
  executor.finish(0);
  executor.start(1);
  for await (const value of iterator) {
    assertEquals(value, 0);
    break;
  }
  assertEquals(
    executor.calls.map(({ future }) => future.cancelled()),
    [false, false, true, true],
  );
  assertEquals(await iterator.next(), END);
});

Deno.test("map: return() before the first next() cancels what has not started", async () => {
  for (const buffersize of [undefined, 2]) {
    const executor = new ByHand();
    const input = new Watched([0, 1, 2]);
    const iterator = executor.map(same, input, { buffersize });
    executor.start(0);
    assertEquals(await iterator.return!(), END);
    assertEquals(
      executor.calls.map(({ future }) => future.cancelled()),
      executor.calls.map((_, i) => i > 0),
    );
    assertEquals(input.returned, buffersize ? 1 : 0); // else it ended by itself
    assertEquals(await iterator.next(), END);
    assertEquals(await iterator.return!(), END);
  }
});

Deno.test("map: return() ends every next() that waits", async () => {
  for (const options of [{}, { buffersize: 1 }, { timeout: 1_000 }]) {
    const executor = new ByHand();
    const iterator = executor.map(same, [0, 1, 2], options);
    const asked = Promise.all([iterator.next(), iterator.next()]);
    await turn();
    await iterator.return!();
    assertEquals(await asked, [END, END]);
    assertEquals(executor.calls[0].future.cancelled(), true);
  }
});

Deno.test("map: results that come after return() are given to nobody", async () => {
  const executor = new ByHand();
  const iterator = executor.map(same, [0, 1]);
  executor.start(0);
  await iterator.return!();
  executor.finish(0);
  assertEquals(await iterator.next(), END);
});

// ---------------------------------------------------------------- buffersize

Deno.test("map: with buffersize has at most that many submitted results that were not read", async () => {
  for (const buffersize of [1, 2, 7]) {
    const executor = new ByHand();
    const input = new Watched(naturals());
    const iterator = executor.map(same, input, { buffersize });
    for (let given = 0; given < 20; given++) {
      assertEquals(executor.calls.length, given + buffersize);
      assertEquals(input.read, given + buffersize);
      executor.finish(given);
      await turn(); // a result that is there submits nothing, one that is read does
      assertEquals(executor.calls.length, given + buffersize);
      assertEquals(await iterator.next(), { done: false, value: given });
    }
    await iterator.return!();
    assertEquals(input.returned, 1);
  }
});

Deno.test("map: with buffersize does not read on while it waits for a result", async () => {
  const executor = new ByHand();
  const input = new Watched(naturals());
  const iterator = executor.map(same, input, { buffersize: 2 });
  const asked = [iterator.next(), iterator.next(), iterator.next()];
  executor.finish(1);
  await turn();
  assertEquals(input.read, 2);
  executor.finish(0);
  assertEquals(await asked[1], { done: false, value: 1 });
  await turn();
  assertEquals(input.read, 4);
  executor.finish(2);
  assertEquals(await asked[2], { done: false, value: 2 });
  await iterator.return!();
});

Deno.test("map: with buffersize reads an endless input", async () => {
  const executor = new AtOnce();
  let sum = 0;
  for await (const n of executor.map(same, naturals(), { buffersize: 3 })) {
    if (n === 10_000) break;
    sum += n;
  }
  assertEquals(sum, 49_995_000);
  assert(executor.submitted <= 10_001 + 3);
});

Deno.test("map: with a buffersize larger than the input gives all", async () => {
  const executor = new AtOnce();
  const iterator = executor.map(same, [1, 2, 3], { buffersize: 1_000 });
  assertEquals(await Array.fromAsync(iterator), [1, 2, 3]);
});

Deno.test("map: gives 100,000 results, with and without buffersize", async () => {
  for (const buffersize of [undefined, 1, 1_000]) {
    const executor = new AtOnce();
    const input = naturals().take(100_000);
    let expected = 0;
    for await (const n of executor.map(same, input, { buffersize })) {
      if (n !== expected++) throw new Error(`${n} out of order`);
    }
    assertEquals(expected, 100_000);
  }
});

Deno.test("map: read after a shutdown, gives what was submitted, then RuntimeError", async () => {
  for (const ended of [false, true]) {
    const executor = new ByHand();
    const input = new Watched(naturals());
    const iterator = executor.map(same, input, { buffersize: 3 });
    if (ended) executor.finish(0);
    await executor.shutdown();
    for (let i = ended ? 1 : 0; i < 3; i++) executor.finish(i);
    for (const value of [0, 1, 2]) {
      assertEquals(await iterator.next(), { done: false, value });
    }
    await assertRejects(
      () => iterator.next(),
      RuntimeError,
      "cannot schedule new futures after shutdown",
    );
    assertEquals(await iterator.next(), END);
    assertEquals(input.returned, 1);
  }
});

Deno.test("map: that has read all its input before a shutdown ends well after it", async () => {
  const executor = new ByHand();
  const iterator = executor.map(same, [0, 1], { buffersize: 3 });
  await executor.shutdown();
  executor.finish(0);
  executor.finish(1);
  assertEquals(await Array.fromAsync(iterator), [0, 1]);
});

Deno.test("map: over an async input, read after a shutdown, gives what was submitted, then RuntimeError", async () => {
  const executor = new ByHand();
  const input = new Pushed<number>();
  const iterator = executor.map(same, input, { buffersize: 2 });
  input.push(0);
  await turn();
  assertEquals(executor.inputs, [0]);
  await executor.shutdown();
  input.push(1);
  executor.finish(0);
  assertEquals(await iterator.next(), { done: false, value: 0 });
  await assertRejects(() => iterator.next(), RuntimeError);
  assertEquals(input.returned, 1);
  assertEquals(await iterator.next(), END);
});

Deno.test("map: after a shutdown throws RuntimeError at the call, and closes the input", () => {
  for (const buffersize of [undefined, 2]) {
    const executor = new ByHand();
    executor.shutdown();
    const input = new Watched([1, 2, 3]);
    assertThrows(
      () => executor.map(same, input, { buffersize }),
      RuntimeError,
    );
    assertEquals(input.returned, 1);
  }
});

// -------------------------------------------------------------- async inputs

Deno.test("map: reads an async iterable with buffersize", async () => {
  async function* input() {
    for (let n = 0; n < 10; n++) {
      if (n % 3 === 0) await turn();
      yield n;
    }
  }
  for (const buffersize of [1, 2, 20]) {
    const executor = new AtOnce();
    assertEquals(
      await Array.fromAsync(executor.map(same, input(), { buffersize })),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
  }
});

Deno.test("map: gives the results that are there while its async input stalls", async () => {
  const executor = new ByHand();
  const input = new Pushed<number>();
  const iterator = executor.map(same, input, { buffersize: 5 });
  input.push(0);
  input.push(1);
  await turn();
  assertEquals(executor.inputs, [0, 1]);
  executor.finish(1);
  executor.finish(0);
  assertEquals(await iterator.next(), { done: false, value: 0 });
  assertEquals(await iterator.next(), { done: false, value: 1 });
  const next = iterator.next();
  assertEquals(await stateOf(next), "pending");
  assertEquals([input.asked, input.mostAsking], [3, 1]);
  input.push(2);
  await turn();
  executor.finish(2);
  assertEquals(await next, { done: false, value: 2 });
  input.end();
  assertEquals(await iterator.next(), END);
  assertEquals(input.returned, 0); // it ended by itself
});

Deno.test("map: asks an async input for one item at a time, and not beyond buffersize", async () => {
  const executor = new ByHand();
  const input = new Pushed<number>();
  for (let n = 0; n < 10; n++) input.push(n);
  const iterator = executor.map(same, input, { buffersize: 3 });
  await turn();
  assertEquals([input.asked, executor.inputs], [3, [0, 1, 2]]);
  executor.finish(0);
  await turn();
  assertEquals(input.asked, 3);
  assertEquals(await iterator.next(), { done: false, value: 0 });
  await turn();
  assertEquals([input.asked, executor.inputs], [4, [0, 1, 2, 3]]);
  await iterator.return!();
  assertEquals(input.returned, 1);
});

Deno.test("map: starts to read an async input at the call", async () => {
  const executor = new ByHand();
  const input = new Pushed<number>();
  executor.map(same, input, { buffersize: 2 });
  input.push(7);
  await turn();
  assertEquals(executor.inputs, [7]);
});

Deno.test("map: reads async and plain iterables side by side, until the shortest ends", async () => {
  async function* letters() {
    yield* ["a", "b", "c"];
  }
  const plain = new Watched([1, 2]);
  const executor = new AtOnce();
  const iterator = executor.map(
    (a: string, n: number) => a.repeat(n),
    letters(),
    plain,
    { buffersize: 5 },
  );
  assertEquals(await Array.fromAsync(iterator), ["a", "bb"]);
});

Deno.test("map: return() does not wait for an async input that stalls", async () => {
  const executor = new ByHand();
  const input = new Pushed<number>();
  const iterator = executor.map(same, input, { buffersize: 2 });
  const next = iterator.next();
  await turn();
  assertEquals(await iterator.return!(), END);
  assertEquals(await next, END);
  assertEquals(input.returned, 1);
  input.push(1);
  await turn();
  assertEquals(executor.inputs, []);
});

Deno.test("map: reads no input any more after return(), though an async one stalled before it", async () => {
  const executor = new ByHand();
  const first = new Pushed<number>();
  const second = new Watched([1, 2, 3]);
  const iterator = executor.map(Math.pow, first, second, { buffersize: 2 });
  await turn();
  await iterator.return!();
  assertEquals(second.returned, 1);
  first.push(1);
  await turn();
  assertEquals(second.read, 0);
});

Deno.test("map: takes no async iterable without buffersize", () => {
  const executor = new ByHand();
  for (const inputs of [[new Pushed<number>()], [[1], new Pushed<number>()]]) {
    assertThrows(
      () => (executor.map as Any)(same, ...inputs),
      TypeError,
      "buffersize",
    );
  }
  assertEquals(executor.calls, []);
});

// -------------------------------------------------------- inputs that throw

Deno.test("map: an input that throws at the call makes map throw, cancels and closes", () => {
  for (const buffersize of [undefined, 5]) {
    const executor = new ByHand();
    const other = new Watched(naturals());
    const input = function* () {
      yield 1;
      yield 2;
      throw new Error("bad input");
    };
    assertThrows(
      () => executor.map(Math.pow, other, input(), { buffersize }),
      Error,
      "bad input",
    );
    assertEquals(other.returned, 1);
    assertEquals(
      executor.calls.map(({ future }) => future.cancelled()),
      [true, true],
    );
  }
});

Deno.test("map: an input that throws midway surfaces after what was submitted, with buffersize", async () => {
  const executor = new ByHand();
  const other = new Watched(naturals());
  function* input() {
    yield 1;
    yield 2;
    yield 3;
    throw new Error("bad input");
  }
  const iterator = executor.map(Math.pow, other, input(), { buffersize: 2 });
  executor.onSubmit = () => executor.finish(executor.calls.length - 1);
  executor.finish(0);
  executor.finish(1);
  assertEquals(await iterator.next(), { done: false, value: 0 });
  assertEquals(await iterator.next(), { done: false, value: 1 });
  assertEquals(await iterator.next(), { done: false, value: 2 });
  await assertRejects(() => iterator.next(), Error, "bad input");
  assertEquals(await iterator.next(), END);
  assertEquals(other.returned, 1);
});

Deno.test("map: an async input that throws surfaces after what was submitted", async () => {
  for (const error of [new Error("bad input"), undefined]) {
    const executor = new ByHand();
    const input = new Pushed<number>();
    const iterator = executor.map(same, input, { buffersize: 5 });
    input.push(0);
    input.fail(error);
    await turn();
    executor.finish(0);
    assertEquals(await iterator.next(), { done: false, value: 0 });
    const [outcome] = await Promise.allSettled([iterator.next()]);
    assertEquals(outcome, { status: "rejected", reason: error });
    assertEquals(await iterator.next(), END);
    assertEquals(input.returned, 0); // what threw has ended
  }
});

Deno.test("map: an input whose next() gives no object makes map throw, and closes the others", async () => {
  for (const odd of [5, undefined, null, "done"] as unknown as Any[]) {
    const executor = new ByHand();
    const other = new Watched(naturals());
    const results = [odd, END];
    const next = () => results.shift();
    const message = "map takes iterators whose next() gives an object";
    assertThrows(
      () =>
        executor.map(Math.pow, other, { [Symbol.iterator]: () => ({ next }) }),
      TypeError,
      message,
    );
    assertEquals([other.returned, executor.calls.length], [1, 0]);
    results.unshift(odd);
    const input = { [Symbol.asyncIterator]: () => ({ next }) };
    const iterator = executor.map(same, input, { buffersize: 1 });
    await assertRejects(() => iterator.next(), TypeError, message);
    assertEquals(executor.calls, []);
  }
});

Deno.test("map: an iterable that cannot be opened makes map throw, and closes those opened before it", () => {
  const executor = new ByHand();
  const first = new Watched([1]);
  const second = {
    [Symbol.iterator](): Iterator<number> {
      throw new Error("cannot be opened");
    },
  };
  assertThrows(
    () => executor.map(Math.pow, first, second),
    Error,
    "cannot be opened",
  );
  assertEquals([first.opened, first.returned], [1, 1]);
  assertEquals(executor.calls, []);
});

Deno.test("map: closes the inputs that are longer than the shortest", async () => {
  for (const buffersize of [undefined, 1, 10]) {
    const executor = new AtOnce();
    const [long, short, longest] = [
      new Watched([1, 2, 3]),
      new Watched([1, 2]),
      new Watched(naturals()),
    ];
    const fn = (a: number, b: number, c: number) => a + b + c;
    const iterator = executor.map(fn, long, short, longest, { buffersize });
    assertEquals(await Array.fromAsync(iterator), [2, 5]);
    assertEquals(
      [long.returned, short.returned, longest.returned],
      [1, 0, 1],
    );
    assertEquals([short.ended, longest.read], [1, 2]);
  }
});

Deno.test("map: an input that throws as it is closed stops nothing, and is logged", async () => {
  class Bad extends Watched<number> {
    override [Symbol.iterator]() {
      const iterator = super[Symbol.iterator]();
      return Object.assign(iterator, {
        return() {
          throw new Error("cannot be closed");
        },
      });
    }
  }
  const executor = new ByHand();
  const other = new Watched(naturals());
  const iterator = executor.map(Math.pow, new Bad(naturals()), other, {
    buffersize: 2,
  });
  using log = stub(console, "error");
  assertEquals(await iterator.return!(), END);
  assertSpyCalls(log, 1);
  assertEquals(other.returned, 1);
  assertEquals(
    executor.calls.map(({ future }) => future.cancelled()),
    [true, true],
  );
});

// ------------------------------------------------------------------- options

for (const name of ["chunksize", "buffersize"] as const) {
  Deno.test(`map: throws RangeError for a ${name} below 1, even for no items`, () => {
    for (const count of [0, -0, -1, -1e9]) {
      for (const input of [[], [1]]) {
        const executor = new ByHand();
        const error = assertThrows(
          () => executor.map(same, input, { [name]: count }),
          RangeError,
        );
        assertEquals(
          error.message,
          `${name} must be at least 1: received ${count}`,
        );
        assertEquals(executor.calls, []);
      }
    }
  });

  Deno.test(`map: throws TypeError for a ${name} that is no integer, even for no items`, () => {
    const values = [1.5, 0.5, NaN, Infinity, -Infinity, "2", 2n, null, {}];
    if (name === "buffersize") values.push("auto");
    for (const value of values) {
      for (const input of [[], [1]]) {
        const executor = new ByHand();
        const options = { [name]: value } as MapOptions;
        assertThrows(
          () => executor.map(same, input, options),
          TypeError,
          `${name} must be an integer: received `,
        );
        assertEquals(executor.calls, []);
      }
    }
  });

  Deno.test(`map: shows nothing of a valid ${name} in its results`, async () => {
    for (const count of [1, 2, 3, 1_000, undefined]) {
      const executor = new AtOnce();
      const iterator = executor.map(same, [1, 2, 3, 4, 5], { [name]: count });
      assertEquals(await Array.fromAsync(iterator), [1, 2, 3, 4, 5]);
    }
  });
}

Deno.test('map: takes a chunksize of "auto", and no other word', async () => {
  const executor = new AtOnce();
  const iterator = executor.map(same, [1, 2], { chunksize: "auto" });
  assertEquals(await Array.fromAsync(iterator), [1, 2]);
  assertThrows(
    () => executor.map(same, [1], { chunksize: "Auto" as "auto" }),
    TypeError,
    'chunksize must be an integer: received "Auto"',
  );
});

Deno.test("map: checks its timeout at the call", () => {
  const executor = new ByHand();
  for (const timeout of ["5", null, 5n] as unknown as number[]) {
    assertThrows(() => executor.map(same, [1], { timeout }), TypeError);
  }
  assertThrows(() => executor.map(same, [1], { timeout: NaN }), RangeError);
  assertEquals(executor.calls, []);
});

Deno.test("map: checks its signal at the call", () => {
  const executor = new ByHand();
  for (const signal of [new AbortController(), null, {}] as unknown as Any[]) {
    assertThrows(
      () => executor.map(same, [1], { signal }),
      TypeError,
      "signal must be an AbortSignal: received",
    );
  }
  assertEquals(executor.calls, []);
});

Deno.test("map: throws TypeError for what is no function", () => {
  const executor = new ByHand();
  for (const fn of [undefined, null, "fn", {}, 1]) {
    assertThrows(
      () => (executor.map as Any)(fn, [1]),
      TypeError,
      "map takes a function first: received",
    );
  }
});

Deno.test("map: throws TypeError for what is no iterable", () => {
  const executor = new ByHand();
  for (const input of [1, null, undefined, {}, () => {}]) {
    assertThrows(
      () => (executor.map as Any)(Math.pow, input, [1]),
      TypeError,
      "map takes an iterable for each parameter: received",
    );
  }
  assertEquals(executor.calls, []);
});

// -------------------------------------------------------------------- signal

Deno.test("map: with a signal that is aborted already submits nothing and rejects with its reason", async () => {
  const reason = new Error("enough");
  for (const buffersize of [undefined, 2]) {
    const executor = new ByHand();
    const input = new Watched([1, 2, 3]);
    const signal = AbortSignal.abort(reason);
    const iterator = executor.map(same, input, { buffersize, signal });
    assertEquals([executor.calls, input.read], [[], 0]);
    assertStrictEquals(await assertRejects(() => iterator.next()), reason);
    assertEquals(await iterator.next(), END);
  }
});

Deno.test("map: an abort rejects the next() that waits, and cancels what has not started", async () => {
  for (const buffersize of [undefined, 3]) {
    const executor = new ByHand();
    const controller = new CountingAbortController();
    const input = new Watched([0, 1, 2, 3, 4]);
    const iterator = executor.map(same, input, {
      buffersize,
      signal: controller.signal,
    });
    assertEquals(controller.listeners, 1);
    executor.start(0);
    const next = iterator.next();
    await turn();
    controller.abort("enough");
    const [outcome] = await Promise.allSettled([next]);
    assertEquals(outcome, { status: "rejected", reason: "enough" });
    assertEquals(
      executor.calls.map(({ future }) => future.cancelled()),
      executor.calls.map((_, i) => i > 0),
    );
    assertEquals(await iterator.next(), END);
    assertEquals(controller.listeners, 0);
    assertEquals(input.returned, buffersize ? 1 : 0);
  }
});

Deno.test("map: an abort wakes a next() that waits for an async input", async () => {
  const executor = new ByHand();
  const controller = new CountingAbortController();
  const { signal } = controller;
  const input = new Pushed<number>();
  const iterator = executor.map(same, input, { buffersize: 3, signal });
  const next = iterator.next();
  await turn();
  controller.abort("enough");
  const [outcome] = await Promise.allSettled([next]);
  assertEquals(outcome, { status: "rejected", reason: "enough" });
  assertEquals([input.returned, controller.listeners], [1, 0]);
});

Deno.test("map: listens to its signal no longer than it has something to end", async () => {
  const controller = new CountingAbortController();
  const { signal } = controller;
  await Array.fromAsync(new AtOnce().map(same, [1, 2], { signal }));
  await Array.fromAsync(
    new AtOnce().map(same, [1, 2], { signal, buffersize: 1 }),
  );
  await Array.fromAsync(new AtOnce().map(same, [], { signal }));
  await new ByHand().map(same, [1, 2], { signal }).return!();
  const executor = new ByHand();
  const failed = executor.map(same, [1, 2], { signal });
  executor.fail(0, "no");
  await failed.next().catch(() => {});
  executor.shutdown();
  assertThrows(() => executor.map(same, [1], { signal }), RuntimeError);
  const taken = new AtOnce().map(same, [1], { signal });
  await taken.next(); // the last result, though not the end
  new AtOnce().map(same, [], { signal });
  assertEquals(controller.listeners, 0);
});

Deno.test("map: an abort after the end changes nothing", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const iterator = new AtOnce().map(same, [1], { signal });
  assertEquals(await iterator.next(), { done: false, value: 1 });
  controller.abort();
  assertEquals(await iterator.next(), END);
});

Deno.test("map: an abort by an input that is read at the call submits no more, and is told by next()", async () => {
  for (const buffersize of [undefined, 5]) {
    const executor = new ByHand();
    const controller = new AbortController();
    const input = function* () {
      yield 1;
      controller.abort("enough");
      yield 2;
      yield 3;
    };
    using _log = stub(console, "error"); // a generator that runs can't be closed
    const iterator = executor.map(same, input(), {
      buffersize,
      signal: controller.signal,
    });
    assertEquals(executor.inputs, [1]);
    assertEquals(executor.calls[0].future.cancelled(), true);
    const next = iterator.next();
    next.catch(() => {});
    assertEquals(await stateOf(next), "rejected");
    const [outcome] = await Promise.allSettled([next]);
    assertEquals(outcome, { status: "rejected", reason: "enough" });
  }
});

Deno.test("map: a call whose submit aborts or leaves the iteration is cancelled", async () => {
  const executor = new ByHand();
  const controller = new AbortController();
  const iterator = executor.map(same, naturals(), {
    buffersize: 2,
    signal: controller.signal,
  });
  executor.onSubmit = () => controller.abort("enough");
  executor.finish(0);
  await iterator.next();
  assertEquals(
    executor.calls.map(({ future }) => future.cancelled()),
    [false, true, true],
  );
  const next = iterator.next();
  next.catch(() => {});
  assertEquals(await stateOf(next), "rejected");
});

// --------------------------------------------------------------------- leaks

Deno.test(
  "map: keeps no result alive that it gave",
  { ignore: withoutGc },
  async () => {
    for (const buffersize of [undefined, 1, 4]) {
      const executor = new AtOnce();
      const make = (n: number) => ({ n, bytes: new Uint8Array(1_000) });
      const iterator = executor.map(make, naturals().take(10), { buffersize });
      const take = async () => {
        const { value } = await iterator.next();
        return new WeakRef<object>(value);
      };
      for (let i = 0; i < 4; i++) {
        assert(await isCollected(await take()), `result ${i}`);
      }
      await iterator.return!();
    }
  },
);

Deno.test("map: keeps no result alive that it gave to one that waited", {
  ignore: withoutGc,
}, async () => {
  const executor = new ByHand();
  const iterator = executor.map(same, [1, 2]);
  const take = async () => {
    const next = iterator.next();
    await turn();
    executor.finish(0, { large: true });
    executor.calls.shift();
    return new WeakRef<object>((await next).value as unknown as object);
  };
  assert(await isCollected(await take()));
  await iterator.return!();
});

Deno.test("map: keeps no argument of a call alive that is done", {
  ignore: withoutGc,
}, async () => {
  for (const buffersize of [undefined, 4]) {
    const executor = new AtOnce();
    const refs: WeakRef<object>[] = [];
    const inputs = function* () {
      for (let n = 0; n < 3; n++) {
        const input = { n };
        refs.push(new WeakRef(input));
        yield input;
      }
    };
    const iterator = executor.map(({ n }) => n, inputs(), { buffersize });
    for (const ref of refs) assert(await isCollected(ref));
    assertEquals(await Array.fromAsync(iterator), [0, 1, 2]);
  }
});

Deno.test("map: once left, keeps neither its inputs nor unread results alive", {
  ignore: withoutGc,
}, async () => {
  const controller = new AbortController();
  const executor = new AtOnce();
  const refs: WeakRef<object>[] = [];
  const open = () => {
    const input = new Watched([{ a: 1 }, { a: 2 }, { a: 3 }]);
    refs.push(
      new WeakRef(input),
      ...[...input.items].map((i) => new WeakRef(i)),
    );
    return executor.map(same, input, {
      buffersize: 2,
      signal: controller.signal,
    });
  };
  const iterator = open();
  await iterator.return!();
  for (const ref of refs) assert(await isCollected(ref));
  assertEquals(await iterator.next(), END);
});

// --------------------------------------------------------------- await using

Deno.test("Executor: await using calls shutdown, and waits for it", async () => {
  const order: string[] = [];
  class Slow extends ByHand {
    override async shutdown(options?: ShutdownOptions) {
      super.shutdown(options);
      await turn();
      order.push("shut down");
    }
  }
  const executor = new Slow();
  {
    await using _executor = executor;
    order.push("in the block");
  }
  order.push("after");
  assertEquals(order, ["in the block", "shut down", "after"]);
  const [options] = executor.shutdowns;
  assertEquals(executor.shutdowns.length, 1);
  assertEquals(options?.wait ?? true, true);
  assertEquals(options?.cancelFutures ?? false, false);
});

Deno.test("Executor: await using calls shutdown when the block throws", async () => {
  const executor = new ByHand();
  await assertRejects(
    async () => {
      await using _executor = executor;
      throw new Error("in the block");
    },
    Error,
    "in the block",
  );
  assertEquals(executor.shutdowns.length, 1);
});

Deno.test("Executor: needs no more of a subclass than submit and shutdown", () => {
  assertEquals(
    Object.getOwnPropertyNames(Executor.prototype).sort(),
    ["constructor", "map", "room", "stats", "warmUp", "with"],
  );
  assert(new AtOnce() instanceof Executor);
});

// ---- Views -----------------------------------------------------------------

/** A pool's class that has what comes of each call doubled, and notes the calls. */
class Doubling extends EventLoopExecutor {
  readonly noted: string[] = [];

  override submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    this.noted.push(fn.name);
    const double = async (...args: A) => (await fn(...args) as number) * 2;
    return super.submit(double, ...args) as Future<Awaited<R>>;
  }
}

Deno.test("a subclass's submit() is what map(), views, and maps of views submit by", async () => {
  await using executor = new Doubling();
  const view = executor.with({ timeLimit: 60_000 });
  const inner = view.with({ signal: new AbortController().signal });
  for (const each of [executor, view, inner]) {
    assertEquals(await each.submit(Math.sqrt, 4).result(), 4);
    assertEquals(await Array.fromAsync(each.map(Math.abs, [1, -2])), [2, 4]);
    const one = { chunksize: 1, buffersize: 1 };
    assertEquals(await Array.fromAsync(each.map(Math.abs, [3, 4], one)), [
      6,
      8,
    ]);
  }
  const three = ["sqrt", "abs", "abs", "abs", "abs"];
  assertEquals(executor.noted, [...three, ...three, ...three]);
});

Deno.test("a method of one executor's own is obeyed as a subclass's is", async () => {
  await using executor = new EventLoopExecutor();
  const own = executor.submit.bind(executor);
  executor.submit =
    ((fn: () => unknown, ...args: []) =>
      own(async () => [await fn(...args)])) as typeof executor.submit;
  assertEquals(
    await Array.fromAsync(executor.map(Math.abs, [-1])),
    [[1]] as unknown,
  );
  const view = executor.with({ timeLimit: 60_000 });
  assertEquals(await view.submit(Math.abs, -1).result(), [1] as unknown);
});

Deno.test("the options of a view hold for what a subclass's submit() submits, and for no other executor", async () => {
  await using other = new EventLoopExecutor();
  const gate = Promise.withResolvers<number>();
  const besides: Future<number>[] = [];
  class Besides extends Doubling {
    override submit<A extends unknown[], R>(
      fn: (...args: A) => R,
      ...args: A
    ): Future<Awaited<R>> {
      besides.push(other.submit(() => gate.promise));
      return super.submit(fn, ...args);
    }
  }
  const controller = new AbortController();
  await using executor = new Besides({ maxWorkers: 8 });
  const view = executor.with({ signal: controller.signal });
  const through = view.submit(() => gate.promise);
  const first = view.map(() => gate.promise, [1, 2]).next();
  const plain = executor.submit(() => gate.promise);
  await turn();
  controller.abort(new Error("enough"));
  await assertRejects(() => through.result(), Error, "enough");
  await assertRejects(() => first, Error, "enough");
  gate.resolve(21);
  assertEquals(await plain.result(), 42);
  assertEquals(besides.length, 4);
  for (const future of besides) assertEquals(await future.result(), 21);
});

Deno.test("a view is an executor: what it tells and ends is the executor's", async () => {
  const executor = new EventLoopExecutor({ maxWorkers: 2 });
  const view: Executor = executor.with({ timeLimit: 60_000 });
  assert(view instanceof Executor);
  await view.warmUp();
  await view.room(1);
  assertEquals(view.stats(), executor.stats());
  assertEquals(view.stats().workers.live, 2);
  await view.shutdown();
  assertThrows(() => executor.submit(Math.sqrt, 4), RuntimeError);
});

Deno.test("an executor of one's own has views without options, and says by name what it can't do", async () => {
  const executor = new AtOnce();
  const view = executor.with({});
  assertEquals(await view.submit(Math.sqrt, 4).result(), 2);
  assertEquals(await Array.fromAsync(view.map(Math.sqrt, [9])), [3]);
  assertEquals(executor.submitted, 2);
  const cannot = (what: string) =>
    `AtOnce has no ${what}: only executors of this library, and subclasses of these, do`;
  const noOption = (name: string) =>
    `AtOnce has no way to obey the option ${name} of with(): only executors of this library, and subclasses of these, do`;
  assertThrows(
    () => executor.with({ timeLimit: 5 }),
    TypeError,
    noOption("timeLimit"),
  );
  assertThrows(
    () => view.with({ signal: new AbortController().signal }),
    TypeError,
    noOption("signal"),
  );
  assertThrows(() => executor.stats(), TypeError, cannot("stats()"));
  await assertRejects(() => view.warmUp(), TypeError, cannot("warmUp()"));
  await assertRejects(() => executor.room(1), TypeError, cannot("room()"));
});

Deno.test("map: says so at once where an executor's submit gives no future", () => {
  class Forgets extends Executor {
    submit(): Future<never> {
      return undefined as unknown as Future<never>;
    }
    override shutdown(): Promise<void> {
      return Promise.resolve();
    }
  }
  assertThrows(
    () => new Forgets().map(Math.sqrt, [4]),
    TypeError,
    "submit of an executor must return a Future: received undefined",
  );
});
