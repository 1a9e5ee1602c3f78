/** Futures that follow promises. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  asCompleted,
  FIRST_EXCEPTION,
  Future,
  InvalidStateError,
  TimeoutError,
  wait,
} from "../mod.ts";
import { isCollected, stateOf, turn, within, withoutGc } from "./_helpers.ts";

Deno.test("Future.from: a future runs from the start, and finishes with what its promise gives", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const future: Future<number> = Future.from(promise);
  assertEquals(
    [future.running(), future.done(), future.cancelled()],
    [true, false, false],
  );
  let ended: Future<number> | undefined;
  future.addDoneCallback((done) => ended = done);
  await assertRejects(() => future.result(0), TimeoutError);
  resolve(5);
  assertEquals(await future.result(), 5);
  assertEquals(await future.exception(), undefined);
  assertEquals([future.running(), future.done()], [false, true]);
  assertStrictEquals(ended, future);
});

Deno.test("Future.from: a future fails with what its promise rejects with, silently", async () => {
  for (const reason of [new RangeError("no"), undefined, null, "text"]) {
    const future = Future.from(Promise.reject(reason));
    await turn(); // an unhandled rejection would end the test here
    assert(future.done());
    let caught: unknown = "nothing";
    await future.result().catch((error) => caught = error);
    assertStrictEquals(caught, reason);
    assertStrictEquals(await future.exception(), reason);
  }
});

Deno.test("Future.from: a future can be neither cancelled nor settled by hand", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const future = Future.from(promise);
  assertEquals(future.cancel(), false);
  for (
    const settle of [
      () => future.setResult("mine"),
      () => future.setException(new Error("mine")),
    ]
  ) {
    assertThrows(settle, InvalidStateError, "the future follows a promise");
  }
  assertThrows(() => future.setRunningOrNotifyCancel(), InvalidStateError);
  resolve("its own");
  assertEquals(await future.result(), "its own");
  assertThrows(() => future.setResult("late"), InvalidStateError, "finished");
  assertEquals(future.cancel(), false);
});

Deno.test("Future.from: what has no then() is a TypeError", () => {
  for (
    const value of [
      undefined,
      null,
      5,
      "text",
      {},
      [],
      { then: 5 },
      () => {},
      new Future(),
      Promise,
    ]
  ) {
    assertThrows(
      () => Future.from(value as unknown as Promise<never>),
      TypeError,
      "Future.from takes a promise: received",
    );
  }
});

Deno.test("Future.from: a then() that can't be read throws its own error", () => {
  const error = new Error("unreadable");
  const thenable = {
    get then(): never {
      throw error;
    },
  };
  const thrown = assertThrows(() => Future.from(thenable));
  assertStrictEquals(thrown, error);
});

Deno.test("Future.from: the first answer of a then() counts, whatever it does besides", async () => {
  type Then = (
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) => unknown;
  const outcomeOf = async (then: Then) => {
    const future = Future.from({ then } as PromiseLike<unknown>);
    assertEquals([future.running(), future.done()], [true, false]);
    await turn();
    if (!future.done()) return "pending";
    return await future.result().then(
      (value) => `returned ${value}`,
      (error) => `raised ${error}`,
    );
  };
  const thens: [string, Then][] = [
    ["returned 1", (resolve) => resolve(1)],
    ["raised 2", (_, reject) => reject(2)],
    ["returned 1", (resolve, reject) => (resolve(1), reject(2), resolve(3))],
    ["raised 2", (resolve, reject) => (reject(2), resolve(1))],
    ["raised 3", () => {
      throw 3;
    }],
    ["returned 1", (resolve) => {
      resolve(1);
      throw 3;
    }],
    ["pending", () => {}],
    ["pending", () => 5],
    ["returned 4", (resolve) => resolve(Promise.resolve(4))],
    ["raised 4", (resolve) => resolve(Promise.reject(4))],
    ["returned 5", (resolve) => void Promise.resolve().then(() => resolve(5))],
    ["raised TypeError: Chaining cycle detected for promise #<Promise>", () => {
      // A rejection with an error of the runtime's is an error as any.
      throw new TypeError("Chaining cycle detected for promise #<Promise>");
    }],
  ];
  for (const [expected, then] of thens) {
    assertEquals(await outcomeOf(then), expected, String(then));
  }
});

Deno.test("Future.from: then() is read once, and called on its own object", async () => {
  let reads = 0;
  const thenable = {
    value: 7,
    get then() {
      reads++;
      return function (this: { value: number }, resolve: (n: number) => void) {
        resolve(this.value);
      };
    },
  };
  const future = Future.from(thenable as unknown as PromiseLike<number>);
  assertEquals(await future.result(), 7);
  assertEquals(reads, 1);
});

Deno.test("Future.from: a promise with a then() of its own can't settle its future twice", async () => {
  class Twice<T> extends Promise<T> {
    // deno-lint-ignore no-explicit-any -- as the base class has it
    override then(resolve?: any, reject?: any): any {
      resolve?.("first");
      reject?.("second");
      return resolve?.("third");
    }
  }
  const future = Future.from(new Twice<string>(() => {}));
  let ends = 0;
  future.addDoneCallback(() => ends++);
  assertEquals(await within(future.result()), "first");
  await turn();
  assertEquals(ends, 1);
});

Deno.test("Future.from: wait() and asCompleted() take futures of promises beside others", async () => {
  const call = new Future<string>();
  const { promise, reject } = Promise.withResolvers<string>();
  const futures = [
    call,
    Future.from(promise),
    Future.from(Promise.resolve("a")),
  ];
  const failed = wait(futures, { returnWhen: FIRST_EXCEPTION });
  assertEquals(await stateOf(failed), "pending");
  const order: number[] = [];
  const each = (async () => {
    for await (const future of asCompleted(futures)) {
      order.push(futures.indexOf(future));
    }
  })();
  reject(new Error("no"));
  const { done, notDone } = await failed;
  assertEquals([done.size, [...notDone]], [2, [call]]);
  call.setResult("b");
  await each;
  assertEquals(order, [2, 1, 0]);
});

Deno.test("Future.from: prints as a future, with its state", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const future = Future.from(promise);
  assertEquals(Deno.inspect(future), "<Future state=running>");
  resolve(1);
  await future.result();
  assertEquals(
    Deno.inspect(future),
    "<Future state=finished returned number>",
  );
});

Deno.test("Future.from: its type is that of what the promise gives", () => {
  const text: Future<string> = Future.from(Promise.resolve("text"));
  const nested = (promise: PromiseLike<Promise<number>>): Future<number> =>
    Future.from(promise);
  // @ts-expect-error -- a number is no promise
  const wrong = () => Future.from(5);
  // @ts-expect-error -- of numbers, not of texts
  const other = (): Future<string> => Future.from(Promise.resolve(5));
  assertEquals([text, nested, wrong, other].length, 4);
});

Deno.test({
  name:
    "Future.from: a future that nobody holds is kept by nothing but its promise",
  ignore: withoutGc,
  async fn() {
    const { promise } = Promise.withResolvers<void>();
    let ref: WeakRef<object>;
    {
      let held: { promise?: Promise<void> } = { promise };
      ref = new WeakRef(Future.from(held.promise!));
      held = {};
    }
    // The promise is there still, and so is who follows it.
    await turn();
    assert(ref.deref() !== undefined);
    const gone = (() =>
      new WeakRef(Future.from(new Promise<void>(() => {}))))();
    assert(await isCollected(gone));
    void promise;
  },
});
