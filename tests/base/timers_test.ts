import { assert, assertEquals, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import { checkTimeout, show } from "../../internal/base/checks.ts";
import { startQuietTimer, startTimer } from "../../internal/base/timers.ts";
import { FakeClock, LONGEST_TIMER_MS } from "../_helpers.ts";

/** A test whose clock stands still until it moves it. */
function test(name: string, fn: (clock: FakeClock) => Promise<void>): void {
  Deno.test(name, async () => {
    const clock = new FakeClock();
    try {
      await fn(clock);
    } finally {
      clock.restore();
    }
  });
}

// ---- startTimer ------------------------------------------------------------

for (
  const ms of [
    1,
    1000,
    LONGEST_TIMER_MS - 1,
    LONGEST_TIMER_MS,
    LONGEST_TIMER_MS + 1,
    2 ** 32,
    10 * LONGEST_TIMER_MS + 12_345,
  ]
) {
  test(`startTimer calls after ${ms} ms, once, and not before`, async (clock) => {
    let calls = 0;
    startTimer(ms, () => calls++);
    // In steps: a fake clock runs only the timers that it knows when it is moved.
    let passed = 0;
    while (passed < ms - 1) {
      const step = Math.min(LONGEST_TIMER_MS, ms - 1 - passed);
      await clock.pass(step);
      passed += step;
      assertEquals(calls, 0, `after ${passed} ms`);
    }
    await clock.pass(1);
    assertEquals(calls, 1);
    await clock.pass(2 * LONGEST_TIMER_MS);
    assertEquals(calls, 1);
  });
}

for (const ms of [0, -0, -1, -Infinity]) {
  test(`startTimer calls on the next turn for ${ms} ms, never at once`, async (clock) => {
    let calls = 0;
    startTimer(ms, () => calls++);
    assertEquals(calls, 0);
    await clock.pass(0);
    assertEquals(calls, 1);
  });
}

for (const ms of [1000, 2 ** 33]) {
  test(`startTimer's stop keeps a timer of ${ms} ms from calling`, async (clock) => {
    let calls = 0;
    const stop = startTimer(ms, () => calls++);
    await clock.pass(999);
    stop();
    stop();
    for (let i = 0; i < 6; i++) await clock.pass(LONGEST_TIMER_MS);
    assertEquals(calls, 0);
    assertEquals(await clock.nextAsync(), false);
  });
}

test("startTimer's stop works after a long timer was armed again", async (clock) => {
  let calls = 0;
  const stop = startTimer(2 ** 33, () => calls++);
  await clock.pass(LONGEST_TIMER_MS);
  await clock.pass(LONGEST_TIMER_MS);
  stop();
  for (let i = 0; i < 6; i++) await clock.pass(LONGEST_TIMER_MS);
  assertEquals(calls, 0);
  assertEquals(await clock.nextAsync(), false);
});

test("startTimer's stop may be called by what the timer calls, and after it", async (clock) => {
  let calls = 0;
  const stop = startTimer(10, () => {
    calls++;
    stop();
  });
  await clock.pass(10);
  stop();
  assertEquals(calls, 1);
});

Deno.test("startTimer's stop leaves nothing that keeps a program alive", () => {
  // The sanitizers see a timer that is left.
  for (const ms of [1000, 2 ** 40]) startTimer(ms, () => {})();
});

// ---- checkTimeout ----------------------------------------------------------

test("startTimer's stop holds though the runtime fires the timer", async (clock) => {
  let calls = 0;
  using _clear = stub(globalThis, "clearTimeout", () => {});
  const stop = startTimer(5, () => calls++);
  stop();
  await clock.pass(5);
  assertEquals(calls, 0);
});

Deno.test("checkTimeout gives a number of milliseconds back", () => {
  for (const ms of [0, 1, 0.5, -1, 2 ** 40, Number.MAX_VALUE, -Infinity]) {
    assertEquals(checkTimeout(ms), ms);
  }
});

Deno.test("checkTimeout knows two ways to say that there is no limit", () => {
  assertEquals(checkTimeout(undefined), undefined);
  assertEquals(checkTimeout(Infinity), undefined);
});

Deno.test("checkTimeout throws a RangeError for NaN", () => {
  assertThrows(
    () => checkTimeout(NaN),
    RangeError,
    "timeout must be a number of milliseconds: received NaN",
  );
});

Deno.test("checkTimeout throws a TypeError that names the option and shows the value", () => {
  const cases: [unknown, string][] = [
    [null, "null"],
    ["100", '"100"'],
    [5n, "5n"],
    [true, "true"],
    [new Date(), "an object (Date)"],
    [{}, "an object (Object)"],
  ];
  for (const [value, shown] of cases) {
    assertThrows(
      () => checkTimeout(value as number, "idleTimeout"),
      TypeError,
      `idleTimeout must be a number of milliseconds: received ${shown}`,
    );
  }
});

// ---- show ------------------------------------------------------------------

Deno.test("show says what a value is, in a few words", () => {
  class Task {}
  const cases: [unknown, string][] = [
    [undefined, "undefined"],
    [null, "null"],
    ['it\'s "it"\n', '"it\'s \\"it\\"\\n"'],
    [-1.5, "-1.5"],
    [NaN, "NaN"],
    [2n, "2n"],
    [false, "false"],
    [Symbol("s"), "Symbol(s)"],
    [function isPrime() {}, 'function "isPrime"'],
    [() => {}, "a function"],
    [[1], "an object (Array)"],
    [new Task(), "an object (Task)"],
    [Object.create(null), "an object (no class)"],
    [{ constructor: undefined }, "an object (no class)"],
  ];
  for (const [value, shown] of cases) assertEquals(show(value), shown);
  assert(show({}).length < 30);
});

// ---- startQuietTimer ---------------------------------------------------------

Deno.test("a quiet timer of no time that is set again and again holds up no event", async () => {
  const many = 100_000;
  let calls = 0;
  let stop = () => {};
  const again = () => {
    if (++calls < many) stop = startQuietTimer(0, again);
  };
  again();
  await new Promise((resolve) => setTimeout(resolve, 0));
  stop();
  assert(calls < many, "they came in one turn");
});
