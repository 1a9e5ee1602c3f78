import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { assertSpyCalls, spy, stub } from "@std/testing/mock";
import { CancelledError, InvalidStateError, TimeoutError } from "../errors.ts";
import { Future } from "../future.ts";
import {
  cancelled,
  failed,
  FakeClock,
  finished,
  heapUsed,
  isCollected,
  LONGEST_TIMER_MS,
  running,
  stateOf,
  turn,
  within,
  withoutGc,
} from "./_helpers.ts";

type StateName = "pending" | "running" | "cancelled" | "finished";

const MAKE: Record<StateName | "failed", () => Future<unknown>> = {
  pending: () => new Future(),
  running: () => running(),
  cancelled: () => cancelled(),
  finished: () => finished("value"),
  failed: () => failed(new Error("no")),
};

function stateName(future: Future<unknown>): string {
  const flags = [
    future.running() && "running",
    future.cancelled() && "cancelled",
    future.done() && "done",
  ];
  return flags.filter(Boolean).join(" ") || "pending";
}

// ---------------------------------------------------------------- the states

Deno.test("Future: tells its state by running(), cancelled() and done()", () => {
  const states = Object.fromEntries(
    Object.entries(MAKE).map(([name, make]) => [name, stateName(make())]),
  );
  assertEquals(states, {
    pending: "pending",
    running: "running",
    cancelled: "cancelled done",
    finished: "done",
    failed: "done",
  });
});

const TABLE: [
  from: keyof typeof MAKE,
  does: string,
  act: (future: Future<unknown>) => unknown,
  gives: unknown,
  to: string,
][] = [
  ["pending", "cancel()", (f) => f.cancel(), true, "cancelled done"],
  ["running", "cancel()", (f) => f.cancel(), false, "running"],
  ["cancelled", "cancel()", (f) => f.cancel(), true, "cancelled done"],
  ["finished", "cancel()", (f) => f.cancel(), false, "done"],
  ["failed", "cancel()", (f) => f.cancel(), false, "done"],
  [
    "pending",
    "setRunningOrNotifyCancel()",
    (f) => f.setRunningOrNotifyCancel(),
    true,
    "running",
  ],
  [
    "cancelled",
    "setRunningOrNotifyCancel()",
    (f) => f.setRunningOrNotifyCancel(),
    false,
    "cancelled done",
  ],
  ["pending", "setResult()", (f) => f.setResult(1), undefined, "done"],
  ["running", "setResult()", (f) => f.setResult(1), undefined, "done"],
  ["pending", "setException()", (f) => f.setException(1), undefined, "done"],
  ["running", "setException()", (f) => f.setException(1), undefined, "done"],
];

for (const [from, does, act, gives, to] of TABLE) {
  Deno.test(`Future: ${does} on one that is ${from} gives ${gives} and leaves it ${to}`, () => {
    const future = MAKE[from]();
    assertStrictEquals(act(future), gives);
    assertEquals(stateName(future), to);
  });
}

const FORBIDDEN: [
  from: keyof typeof MAKE,
  does: string,
  act: (future: Future<unknown>) => unknown,
  message: string,
][] = [
  ...(["running", "finished", "failed"] as const).map((from) =>
    [
      from,
      "setRunningOrNotifyCancel()",
      (f: Future<unknown>) => f.setRunningOrNotifyCancel(),
      "Cannot start a call",
    ] as [typeof from, string, (f: Future<unknown>) => unknown, string]
  ),
  ...(["cancelled", "finished", "failed"] as const).flatMap((from) =>
    [
      [
        from,
        "setResult()",
        (f: Future<unknown>) => f.setResult(2),
        "Cannot set a result",
      ],
      [
        from,
        "setException()",
        (f: Future<unknown>) => f.setException(2),
        "Cannot set an exception",
      ],
    ] as [typeof from, string, (f: Future<unknown>) => unknown, string][]
  ),
];

for (const [from, does, act, message] of FORBIDDEN) {
  Deno.test(`Future: ${does} on one that is ${from} throws InvalidStateError and changes nothing`, async () => {
    const future = MAKE[from]();
    const before = [stateName(future), Deno.inspect(future)];
    const outcome = future.done()
      ? await Promise.allSettled([future.result()])
      : undefined;
    const error = assertThrows(() => act(future), InvalidStateError, message);
    assertStringIncludes(
      error.message,
      from === "failed" ? "finished" : from,
    );
    assertEquals([stateName(future), Deno.inspect(future)], before);
    if (outcome) {
      const after = await Promise.allSettled([future.result()]);
      // The error is made anew for each who asks a cancelled one.
      if (from !== "cancelled") assertEquals(after, outcome);
      else assertEquals(after[0].status, "rejected");
    }
  });
}

Deno.test("Future: setRunningOrNotifyCancel() tells of a cancellation once, then throws", () => {
  const future = cancelled();
  assertEquals(future.setRunningOrNotifyCancel(), false);
  assertThrows(() => future.setRunningOrNotifyCancel(), InvalidStateError);
  assertEquals(future.cancel(), true);
  assertEquals(future.cancelled(), true);
  assertThrows(() => future.setRunningOrNotifyCancel(), InvalidStateError);
});

// --------------------------------------------------------- result, exception

Deno.test("Future: result() gives what was set, before and after", async () => {
  const future = new Future<string>();
  const before = future.result();
  assertEquals(await stateOf(before), "pending");
  future.setResult("value");
  assertEquals(await before, "value");
  assertEquals(await future.result(), "value");
  assertEquals(await future.exception(), undefined);
});

Deno.test("Future: result() rejects with the very thing that was thrown", async () => {
  const error = new Error("no");
  const future = new Future<string>();
  const before = future.result();
  const exceptionBefore = future.exception();
  future.setException(error);
  assertStrictEquals(await assertRejects(() => before), error);
  assertStrictEquals(await assertRejects(() => future.result()), error);
  assertStrictEquals(await exceptionBefore, error);
  assertStrictEquals(await future.exception(), error);
});

for (
  const value of [undefined, null, false, 0, "", NaN, 0n] as const
) {
  const shown = Deno.inspect(value);
  Deno.test(`Future: result() rejects with a thrown ${shown}, and exception() gives it`, async () => {
    const future = new Future<number>();
    const before = future.result();
    future.setException(value);
    const outcomes = await Promise.allSettled([before, future.result()]);
    for (const outcome of outcomes) {
      assertEquals(outcome.status, "rejected");
      assertStrictEquals((outcome as PromiseRejectedResult).reason, value);
    }
    assertStrictEquals(await future.exception(), value);
    assertEquals(future.cancelled(), false);
  });

  Deno.test(`Future: result() gives a returned ${shown}`, async () => {
    const future = new Future<unknown>();
    const before = future.result();
    future.setResult(value);
    assertStrictEquals(await before, value);
    assertStrictEquals(await future.result(), value);
    assertStrictEquals(await future.exception(), undefined);
  });
}

Deno.test("Future: an Error that was returned is no exception", async () => {
  const error = new Error("returned");
  const future = finished(error);
  assertStrictEquals(await future.result(), error);
  assertStrictEquals(await future.exception(), undefined);
});

Deno.test("Future: result() and exception() of a cancelled one reject with CancelledError", async () => {
  const future = cancelled();
  for (const timeout of [undefined, 0, -1, 5]) {
    await assertRejects(() => future.result(timeout), CancelledError);
    await assertRejects(() => future.exception(timeout), CancelledError);
  }
  const error = await assertRejects(() => future.result());
  assertEquals(
    (error as Error).message,
    "The call was cancelled before it started",
  );
});

Deno.test("Future: cancel() wakes every waiter at once, with no executor to notice", async () => {
  using _clock = new FakeClock();
  const future = new Future<number>();
  const order: string[] = [];
  const waiting = [
    future.result(),
    future.result(1_000),
    future.exception(),
    future.exception(1_000),
  ];
  future.addDoneCallback(() => order.push("callback"));
  for (const promise of waiting) {
    promise.catch((error) => order.push(error.name));
  }
  assertEquals(future.cancel(), true);
  assertEquals(order, ["callback"]);
  await turn();
  assertEquals(order, ["callback", ...Array(4).fill("CancelledError")]);
});

Deno.test("Future: waiters and callbacks are told once, however often it is cancelled", async () => {
  const future = new Future<number>();
  const callback = spy();
  future.addDoneCallback(callback);
  future.cancel();
  future.cancel();
  future.setRunningOrNotifyCancel();
  await turn();
  assertSpyCalls(callback, 1);
});

// ------------------------------------------------------------------ timeouts

for (const method of ["result", "exception"] as const) {
  const states: [keyof typeof MAKE, string][] = [
    ["pending", "pending"],
    ["running", "running"],
  ];
  for (const [from, word] of states) {
    Deno.test(`Future: ${method}(timeout) of one that is ${from} rejects once the time has passed`, async () => {
      using clock = new FakeClock();
      const future = MAKE[from]();
      const promise = future[method](100);
      promise.catch(() => {});
      await clock.pass(99);
      assertEquals(await stateOf(promise), "pending");
      await clock.pass(1);
      assertEquals(await stateOf(promise), "rejected");
      const error = await assertRejects(() => promise, TimeoutError);
      assertEquals(
        error.message,
        `The future is unfinished after 100 ms: it is ${word}, and goes on`,
      );
      assertEquals(stateName(future), word);
    });
  }

  Deno.test(`Future: ${method}(timeout) leaves no timer once the future is done`, async () => {
    using clock = new FakeClock();
    for (const from of ["finished", "failed", "cancelled"] as const) {
      await Promise.allSettled([MAKE[from]()[method](50)]);
    }
    const settle: ((future: Future<unknown>) => void)[] = [
      (future) => future.setResult(1),
      (future) => future.setException(1),
      (future) => future.cancel(),
    ];
    for (const act of settle) {
      const future = new Future<unknown>();
      const promise = future[method](50);
      act(future);
      await Promise.allSettled([promise]);
    }
    assertEquals(clock.next(), false);
  });

  Deno.test(`Future: ${method}(timeout) is no matter to a later ${method}()`, async () => {
    using clock = new FakeClock();
    const future = new Future<number>();
    const short = future[method](10);
    const long = future[method](1_000);
    const endless = future[method]();
    short.catch(() => {});
    await clock.pass(10);
    await assertRejects(() => short, TimeoutError);
    assertEquals(await stateOf(long), "pending");
    future.setResult(1);
    const expected = method === "result" ? 1 : undefined;
    assertEquals(await long, expected);
    assertEquals(await endless, expected);
    assertEquals(await future[method](10), expected);
    assertEquals(clock.next(), false);
  });

  for (const timeout of [0, -0, -1, -0.5, -Infinity]) {
    const shown = Deno.inspect(timeout);
    Deno.test(`Future: ${method}(${shown}) asks for what is there now, without a timer`, async () => {
      using clock = new FakeClock();
      for (const from of ["pending", "running"] as const) {
        const promise = MAKE[from]()[method](timeout);
        await assertRejects(
          () => promise,
          TimeoutError,
          "The future is unfinished after",
        );
      }
      assertEquals(clock.next(), false);
      const expected = method === "result" ? "value" : undefined;
      assertEquals(await finished("value")[method](timeout), expected);
      const [asked] = await Promise.allSettled([
        failed("thrown")[method](timeout),
      ]);
      assertEquals(
        asked,
        method === "result"
          ? { status: "rejected", reason: "thrown" }
          : { status: "fulfilled", value: "thrown" },
      );
    });
  }

  for (const timeout of [Infinity, undefined]) {
    Deno.test(`Future: ${method}(${timeout}) waits without limit and without a timer`, async () => {
      using clock = new FakeClock();
      const future = new Future<number>();
      const promise = future[method](timeout);
      assertEquals(await stateOf(promise), "pending");
      assertEquals(clock.next(), false);
      future.setResult(1);
      assertEquals(await promise, method === "result" ? 1 : undefined);
    });
  }

  Deno.test(`Future: ${method}(timeout) holds a timeout longer than a timer can`, async () => {
    using clock = new FakeClock();
    const limit = 2 * LONGEST_TIMER_MS + 5_000;
    const future = new Future<number>();
    const promise = future[method](limit);
    promise.catch(() => {});
    await clock.pass(1);
    assertEquals(await stateOf(promise), "pending");
    await clock.pass(LONGEST_TIMER_MS);
    assertEquals(await stateOf(promise), "pending");
    await clock.pass(LONGEST_TIMER_MS + 4_998);
    assertEquals(await stateOf(promise), "pending");
    await clock.pass(1);
    await assertRejects(() => promise, TimeoutError, `after ${limit} ms`);
    assertEquals(clock.next(), false);
  });

  Deno.test(`Future: ${method}(timeout) stops the timer of a very long timeout too`, async () => {
    using clock = new FakeClock();
    const future = new Future<number>();
    const promise = future[method](Number.MAX_SAFE_INTEGER);
    await clock.pass(LONGEST_TIMER_MS);
    await clock.pass(LONGEST_TIMER_MS);
    assertEquals(await stateOf(promise), "pending");
    future.setResult(1);
    await promise;
    assertEquals(clock.next(), false);
  });

  for (
    const [timeout, shown] of [
      ["5", '"5"'],
      [null, "null"],
      [5n, "5n"],
      [{ timeout: 5 }, "an object (Object)"],
      [true, "true"],
    ]
  ) {
    Deno.test(`Future: ${method}(${shown}) rejects with TypeError, done or not`, async () => {
      for (const make of Object.values(MAKE)) {
        const promise = make()[method](timeout as unknown as number);
        const error = await assertRejects(() => promise, TypeError);
        assertEquals(
          error.message,
          `timeout must be a number of milliseconds: received ${shown}`,
        );
      }
    });
  }

  Deno.test(`Future: ${method}(NaN) rejects with RangeError, done or not`, async () => {
    for (const make of Object.values(MAKE)) {
      const promise = make()[method](NaN);
      const error = await assertRejects(() => promise, RangeError);
      assertEquals(
        error.message,
        "timeout must be a number of milliseconds: received NaN",
      );
    }
  });

  Deno.test(`Future: ${method}(timeout) keeps no waiter after it gave up`, {
    ignore: withoutGc,
  }, async () => {
    using clock = new FakeClock();
    const future = new Future<number>();
    const poll = async (times: number) => {
      for (let i = 0; i < times; i++) future[method](1).catch(() => {});
      await clock.pass(1);
      return heapUsed();
    };
    await poll(10_000);
    const before = await poll(10_000);
    const after = await poll(50_000);
    const kept = (after - before) / 50_000;
    // A waiter takes more than 1,000; the fake clock itself keeps some 60.
    assert(kept < 400, `${kept} bytes each`);
    assertEquals(future.cancel(), true);
  });
}

Deno.test("Future: a real timer of result(timeout) goes with the answer", async () => {
  const future = new Future<number>();
  const promise = future.result(LONGEST_TIMER_MS);
  future.setResult(1);
  assertEquals(await promise, 1);
  // The resource sanitizer would see a timer that is left.
});

// -------------------------------------------------------------- not thenable

Deno.test("Future: is not thenable, so await gives the future itself back", async () => {
  for (const make of Object.values(MAKE)) {
    const future = make();
    assertEquals("then" in future, false);
    assertStrictEquals(await future, future);
    assertStrictEquals(await Promise.resolve(future), future);
    assertStrictEquals(await (async () => await future)(), future);
  }
});

Deno.test("Future: can be yielded by an async generator", async () => {
  const future = new Future<number>();
  async function* give() {
    await turn();
    yield future;
  }
  for await (const given of give()) assertStrictEquals(given, future);
});

// ------------------------------------------------------------ silent failure

Deno.test("Future: a failure that nobody asks for is no unhandled rejection", async () => {
  const seen: unknown[] = [];
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    seen.push(event.reason);
  };
  addEventListener("unhandledrejection", onRejection);
  try {
    for (const error of [new Error("no"), undefined, Promise.reject]) {
      failed(error);
      const waited = new Future<number>();
      waited.addDoneCallback(() => {});
      waited.result().catch(() => {});
      waited.exception().catch(() => {});
      waited.setException(error);
      const ran = running();
      ran.setException(error);
      await assertRejects(() => new Future().result(0), TimeoutError);
    }
    cancelled();
    for (let i = 0; i < 3; i++) {
      await turn();
      (globalThis as { gc?: () => void }).gc?.();
    }
    assertEquals(seen, []);
  } finally {
    removeEventListener("unhandledrejection", onRejection);
  }
});

Deno.test("Future: a program full of failures that nobody asks for ends well and prints nothing", async () => {
  const source = (file: string) =>
    JSON.stringify(new URL(`../${file}`, import.meta.url).href);
  const program = `
    import { Future } from ${source("future.ts")};
    import { asCompleted, FIRST_EXCEPTION, wait } from ${source("wait.ts")};
    const futures = Array.from({ length: 20 }, () => new Future());
    const timedOut = wait(futures, { timeout: 1 });
    const first = wait(futures, { returnWhen: FIRST_EXCEPTION });
    const iterator = asCompleted(futures, { timeout: 1 });
    futures[0].addDoneCallback(() => {});
    await timedOut;
    futures.forEach((future, i) => {
      if (i % 3 === 0) future.cancel();
      else future.setException(i % 3 === 1 ? undefined : new Error("no"));
    });
    await first;
    asCompleted([new Future()], { timeout: 1 });
    await iterator.next();
  `;
  const { code, stdout, stderr } = await within(
    new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", program],
      env: { NO_COLOR: "1" },
    }).output(),
  );
  const text = new TextDecoder();
  assertEquals(
    { code, stdout: text.decode(stdout), stderr: text.decode(stderr) },
    { code: 0, stdout: "", stderr: "" },
  );
});

Deno.test("Future: waiting for a result keeps no program alive", async () => {
  const program = `
    import { Future } from ${
    JSON.stringify(new URL("../future.ts", import.meta.url).href)
  };
    new Future().result();
    console.log("end");
  `;
  const { code, stdout } = await within(
    new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", program],
      env: { NO_COLOR: "1" },
    }).output(),
  );
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "end\n"]);
});

// ----------------------------------------------------------------- callbacks

for (
  const [how, settle] of [
    ["setResult()", (f: Future<unknown>) => f.setResult(1)],
    ["setException()", (f: Future<unknown>) => f.setException(new Error("no"))],
    ["cancel()", (f: Future<unknown>) => f.cancel()],
  ] as const
) {
  Deno.test(`Future: ${how} runs the callbacks at once, in the order they were added`, () => {
    const future = new Future<unknown>();
    const order: number[] = [];
    for (let i = 0; i < 5; i++) {
      future.addDoneCallback((given) => {
        assertStrictEquals(given, future);
        assertEquals(given.done(), true);
        order.push(i);
      });
    }
    settle(future);
    assertEquals(order, [0, 1, 2, 3, 4]);
  });

  Deno.test(`Future: a callback added after ${how} runs at once and synchronously`, () => {
    const future = new Future<unknown>();
    settle(future);
    const callback = spy((_given: Future<unknown>) => {});
    future.addDoneCallback(callback);
    assertSpyCalls(callback, 1);
    assertStrictEquals(callback.calls[0].args[0], future);
  });

  Deno.test(`Future: a callback that throws is logged after ${how} and stops nothing`, async () => {
    const future = new Future<unknown>();
    const result = Promise.allSettled([future.result()]);
    const error = new Error("thrown by a callback");
    const after = spy();
    future.addDoneCallback(() => {
      throw error;
    });
    future.addDoneCallback(after);
    using log = stub(console, "error");
    settle(future);
    future.addDoneCallback(() => {
      throw error;
    });
    assertSpyCalls(after, 1);
    assertSpyCalls(log, 2);
    for (const { args } of log.calls) {
      assertEquals(args[0], "exception calling callback for");
      assertStrictEquals(args[1], future);
      assertStrictEquals(args[2], error);
    }
    await result;
    assertEquals(future.done(), true);
  });
}

Deno.test("Future: the start of a call runs no callback", () => {
  const future = new Future<number>();
  const callback = spy();
  future.addDoneCallback(callback);
  future.setRunningOrNotifyCancel();
  assertEquals(future.cancel(), false);
  assertSpyCalls(callback, 0);
});

Deno.test("Future: the same callback added twice runs twice", () => {
  const future = new Future<number>();
  const callback = spy();
  future.addDoneCallback(callback);
  future.addDoneCallback(callback);
  future.setResult(1);
  assertSpyCalls(callback, 2);
});

Deno.test("Future: what a callback rejects with is logged, whether it was added before or after", async () => {
  const error = new Error("rejected by a callback");
  const future = new Future<number>();
  const reject = () => Promise.reject(error);
  using log = stub(console, "error");
  future.addDoneCallback(reject);
  future.setResult(1);
  future.addDoneCallback(async () => {
    await turn();
    throw error;
  });
  await turn();
  await turn();
  assertSpyCalls(log, 2);
  for (const { args } of log.calls) assertStrictEquals(args[2], error);
});

Deno.test("Future: what a thenable that a callback returned rejects with is logged", async () => {
  const error = new Error("rejected by a thenable");
  const thenable = {
    then(_resolve: unknown, reject: (error: unknown) => void) {
      reject(error);
    },
  };
  using log = stub(console, "error");
  finished(1).addDoneCallback(() => thenable);
  await turn();
  assertSpyCalls(log, 1);
  assertStrictEquals(log.calls[0].args[2], error);
});

Deno.test("Future: a callback that throws undefined is logged too", async () => {
  using log = stub(console, "error");
  const future = finished(1);
  future.addDoneCallback(() => {
    throw undefined;
  });
  future.addDoneCallback(() => Promise.reject());
  await turn();
  assertSpyCalls(log, 2);
});

Deno.test("Future: a callback whose error cannot even be printed stops nothing", () => {
  const future = new Future<number>();
  const after = spy();
  future.addDoneCallback(() => {
    throw {
      [Symbol.for("Deno.customInspect")]() {
        throw new Error("prints badly");
      },
    };
  });
  future.addDoneCallback(after);
  using _log = stub(console, "error", (...args: unknown[]) => {
    for (const arg of args) Deno.inspect(arg);
  });
  future.setResult(1);
  assertSpyCalls(after, 1);
});

Deno.test("Future: a callback may add callbacks, which run at once", () => {
  const future = new Future<number>();
  const order: string[] = [];
  future.addDoneCallback((given) => {
    order.push("outer");
    given.addDoneCallback(() => order.push("inner"));
    order.push("outer ends");
  });
  future.addDoneCallback(() => order.push("next"));
  future.setResult(1);
  assertEquals(order, ["outer", "inner", "outer ends", "next"]);
});

Deno.test("Future: a callback cannot settle its future again", () => {
  const future = new Future<number>();
  using log = stub(console, "error");
  future.addDoneCallback((given) => {
    assertEquals(given.cancel(), false);
    given.setResult(2);
  });
  future.setResult(1);
  assertSpyCalls(log, 1);
  assertInstanceOf(log.calls[0].args[2], InvalidStateError);
});

Deno.test("Future: the callbacks are let go once they ran", {
  ignore: withoutGc,
}, async () => {
  const future = new Future<number>();
  const add = () => {
    const callback = () => {};
    future.addDoneCallback(callback);
    return new WeakRef(callback);
  };
  const held = add();
  assertEquals(await isCollected(held), false);
  future.setResult(1);
  assert(await isCollected(held));
  assertEquals(future.done(), true);
});

for (const fn of [undefined, null, {}, "fn"]) {
  Deno.test(`Future: addDoneCallback(${Deno.inspect(fn)}) throws TypeError, done or not`, () => {
    for (const make of Object.values(MAKE)) {
      const future = make();
      using log = stub(console, "error");
      assertThrows(
        () => future.addDoneCallback(fn as () => void),
        TypeError,
        "addDoneCallback takes a function: received",
      );
      assertSpyCalls(log, 0);
    }
  });
}

// ------------------------------------------------------------------- inspect

Deno.test("Deno.inspect: shows a future's class and state", () => {
  assertEquals(Deno.inspect(new Future()), "<Future state=pending>");
  assertEquals(Deno.inspect(running()), "<Future state=running>");
  assertEquals(Deno.inspect(cancelled()), "<Future state=cancelled>");
  const told = cancelled();
  told.setRunningOrNotifyCancel();
  assertEquals(Deno.inspect(told), "<Future state=cancelled>");
});

Deno.test("Deno.inspect: shows the class of a future's subclass, as Python's repr does", () => {
  class Promised extends Future<number> {}
  assertEquals(Deno.inspect(new Promised()), "<Promised state=pending>");
});

class Point {
  x = 1;
}
class HttpError extends Error {}
class Named extends Error {
  override name = "NamedError";
}

for (
  const [value, type, what = type] of [
    [1, "number"],
    ["a", "string"],
    [true, "boolean"],
    [1n, "bigint"],
    [Symbol("s"), "symbol"],
    [undefined, "undefined"],
    [null, "null"],
    [{}, "Object"],
    [Object.create(null), "Object", "object without a prototype"],
    [[], "Array"],
    [new Map(), "Map"],
    [new Uint8Array(1), "Uint8Array"],
    [new Point(), "Point"],
    [() => {}, "Function"],
    [new TypeError("no"), "TypeError"],
    [new HttpError("no"), "HttpError", "error of a class that sets no name"],
    [new Named("no"), "NamedError", "error with a name of its own"],
  ] as [unknown, string, string?][]
) {
  Deno.test(`Deno.inspect: shows that a future returned or raised a value of type ${what}`, () => {
    assertEquals(
      Deno.inspect(finished(value)),
      `<Future state=finished returned ${type}>`,
    );
    assertEquals(
      Deno.inspect(failed(value)),
      `<Future state=finished raised ${type}>`,
    );
  });
}

Deno.test("Deno.inspect: shows a future in every place it is printed", () => {
  const future = finished(1);
  assertEquals(
    Deno.inspect({ future }),
    "{ future: <Future state=finished returned number> }",
  );
  assertEquals(Deno.inspect([new Future()]), "[ <Future state=pending> ]");
});

Deno.test("Deno.inspect: of a future holds for values that throw when looked at", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const trap = {
    get constructor(): never {
      throw new Error("looked at");
    },
  };
  class Sly extends Error {
    override get name(): string {
      throw new Error("looked at");
    }
  }
  for (const value of [proxy, trap, new Sly()]) {
    assertStringIncludes(
      Deno.inspect(finished(value)),
      "<Future state=finished returned ",
    );
    assertStringIncludes(
      Deno.inspect(failed(value)),
      "<Future state=finished raised ",
    );
  }
});

Deno.test("Future: has no enumerable property that would be printed or copied", () => {
  assertEquals(Object.keys(finished(1)), []);
  assertEquals(JSON.stringify(finished(1)), "{}");
});

// -------------------------------------------------------------------- others

Deno.test("Future: result() makes a new promise for each who asks", async () => {
  const future = finished({});
  assertNotStrictEquals(future.result(), future.result());
  assertStrictEquals(await future.result(), await future.result());
});

Deno.test("Future: gives a result to 10,000 waiters in the order they asked", async () => {
  const future = new Future<number>();
  const order: number[] = [];
  const all = Array.from(
    { length: 10_000 },
    (_, i) => future.result().then(() => order.push(i)),
  );
  future.setResult(1);
  await Promise.all(all);
  assertEquals(order, all.map((_, i) => i));
});
