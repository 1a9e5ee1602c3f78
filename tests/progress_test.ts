/** Progress over made-up sources, on a made-up output, by a clock that the test moves. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Future } from "../future.ts";
import { progress, progressBar, type ProgressOptions } from "../progress.ts";
import { asCompleted } from "../wait.ts";
import { FakeClock, finished, stateOf } from "./_helpers.ts";
import { Terminal } from "./_terminal.ts";

/** An output that keeps what is written to it. */
class FakeOutput {
  columns = 60;
  readonly terminal = new Terminal();
  text = "";
  writes = 0;
  readonly #isTerminal: boolean;

  constructor(isTerminal: boolean) {
    this.#isTerminal = isTerminal;
  }

  isTerminal(): boolean {
    return this.#isTerminal;
  }

  writeSync(bytes: Uint8Array): number {
    // Less than all, as an output may.
    const some = bytes.subarray(0, 1000);
    this.writes++;
    const text = new TextDecoder().decode(some);
    this.text += text;
    this.terminal.write(text);
    return some.length;
  }

  /** The last line that was ended: the cursor stands below it. */
  get lastLine(): string | undefined {
    const { lines, cursor } = this.terminal;
    assertEquals(cursor, [lines.length - 1, 0]);
    return lines.at(-2);
  }

  get lines(): string[] {
    return this.text.trimEnd().split("\n");
  }
}

/** A source whose values the test gives, one at a time. */
class Source<T> implements AsyncIterableIterator<T> {
  #next = Promise.withResolvers<IteratorResult<T>>();
  asked = 0;
  closed = 0;

  give(value: T): void {
    this.#next.resolve({ done: false, value });
    this.#next = Promise.withResolvers();
  }

  end(): void {
    this.#next.resolve({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    this.#next.reject(error);
  }

  next(): Promise<IteratorResult<T>> {
    this.asked++;
    return this.#next.promise;
  }

  return(): Promise<IteratorResult<T>> {
    this.closed++;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

interface Scene {
  readonly clock: FakeClock;
  readonly output: FakeOutput;
  readonly options: ProgressOptions;
}

function test(
  sentence: string,
  isTerminal: boolean,
  fn: (scene: Scene) => Promise<void>,
): void {
  const where = isTerminal ? "on a terminal" : "where no terminal is";
  Deno.test(`progress: ${where}, ${sentence}`, async () => {
    // Loading takes real time, and only the first time.
    await import("../internal/progress/bars.ts");
    const clock = new FakeClock();
    const output = new FakeOutput(isTerminal);
    try {
      await fn({ clock, output, options: { output } });
      // Nothing is left that would be written later.
      const { writes } = output;
      await clock.pass(60_000);
      assertEquals(output.writes, writes);
    } finally {
      clock.restore();
    }
  });
}

/** Resolves when what was loaded before is there once more. */
async function loaded(): Promise<void> {
  await import("../internal/progress/bars.ts");
  for (let i = 0; i < 10; i++) await null;
}

const WORDS = ["a", "b", "c"];

// ---- The iterator, whatever is shown ---------------------------------------

for (const isTerminal of [false, true]) {
  test(
    "values pass through unchanged, in their order",
    isTerminal,
    async ({ options }) => {
      const objects = [{}, [], undefined, null, new Error(), finished(1)];
      async function* source() {
        yield* objects;
      }
      const given: unknown[] = [];
      for await (const value of progress(source(), options)) given.push(value);
      assertEquals(given.length, objects.length);
      given.forEach((value, i) => assertStrictEquals(value, objects[i]));
    },
  );

  test(
    "futures of asCompleted() pass through",
    isTerminal,
    async ({ output, options }) => {
      const futures = [finished(1), new Future<number>(), finished(3)];
      const given: Future<number>[] = [];
      const all = progress(asCompleted(futures), { ...options, total: 3 });
      for await (const future of all) {
        given.push(future);
        if (given.length === 2) futures[1].setResult(2);
      }
      assertEquals(given, [futures[0], futures[2], futures[1]]);
      assertMatch(output.text, /3\/3/);
    },
  );

  test(
    "a source is asked for no value before its turn",
    isTerminal,
    async ({ clock, options }) => {
      const source = new Source<string>();
      const values = progress(source, options);
      await clock.pass(1000);
      assertEquals(source.asked, 0);
      const first = values.next();
      await clock.pass(0);
      assertEquals(source.asked, 1);
      source.give("a");
      assertEquals(await first, { done: false, value: "a" });
      await clock.pass(1000);
      assertEquals(source.asked, 1);
      await values.return();
    },
  );

  test(
    "several next() at once get the values in order",
    isTerminal,
    async ({ options }) => {
      const values = progress(WORDS, options);
      const results = await Promise.all([1, 2, 3, 4].map(() => values.next()));
      assertEquals(results.map(({ value }) => value), [
        "a",
        "b",
        "c",
        undefined,
      ]);
      assertEquals(results.map(({ done }) => Boolean(done)), [
        false,
        false,
        false,
        true,
      ]);
    },
  );

  test(
    "an exception of the source is the loop's, and closes nothing",
    isTerminal,
    async ({ clock, output, options }) => {
      const source = new Source<string>();
      const error = new RangeError("of the source");
      const values = progress(source, { ...options, total: 9 });
      const first = values.next();
      await clock.pass(0);
      source.fail(error);
      assertStrictEquals(await assertRejects(() => first), error);
      assertEquals(source.closed, 0);
      assertMatch(output.lastLine!, /stopped at 0\.0s$/);
    },
  );

  test(
    "leaving the loop closes the source",
    isTerminal,
    async ({ clock, output, options }) => {
      const source = new Source<string>();
      const values = progress(source, { ...options, total: 9 });
      const loop = (async () => {
        for await (const _ of values) break;
      })();
      await clock.pass(0);
      source.give("a");
      await loop;
      assertEquals(source.closed, 1);
      assertMatch(output.lastLine!, /0\/9.* stopped at 0\.0s$/);
    },
  );

  test(
    "an exception of the loop's body closes the source and is not replaced",
    isTerminal,
    async ({ output, options }) => {
      const closed: string[] = [];
      async function* source() {
        try {
          yield* WORDS;
        } finally {
          // The display has ended by now.
          closed.push(output.text.endsWith("\n") ? "after" : "before");
        }
      }
      const error = new Error("of the body");
      const thrown = await assertRejects(async () => {
        for await (const value of progress(source(), options)) {
          if (value === "b") throw error;
        }
      });
      assertStrictEquals(thrown, error);
      assertEquals(closed, ["after"]);
    },
  );

  test(
    "await using closes the source",
    isTerminal,
    async ({ clock, output, options }) => {
      const source = new Source<string>();
      {
        await using values = progress(source, options);
        const first = values.next();
        await clock.pass(0);
        source.give("a");
        await first;
      }
      assertEquals(source.closed, 1);
      assertMatch(output.text, /stopped/);
    },
  );

  test(
    "return() before the first next() closes the source and shows nothing",
    isTerminal,
    async ({ output, options }) => {
      const source = new Source<string>();
      const values = progress(source, options);
      assertEquals(await values.return(), { done: true, value: undefined });
      assertEquals([source.asked, source.closed], [0, 1]);
      assertEquals(output.text, "");
    },
  );

  test(
    "return() while a value is awaited ends what is shown",
    isTerminal,
    async ({ clock, output, options }) => {
      const source = new Source<string>();
      const values = progress(source, { ...options, total: 2 });
      const first = values.next();
      await clock.pass(0);
      await values.return();
      const { text } = output;
      assertMatch(text, /stopped/);
      source.give("a");
      assertEquals((await first).value, "a");
      assertEquals(output.text, text);
    },
  );

  test("what is over stays over", isTerminal, async ({ output, options }) => {
    const values = progress([1], options);
    await values.next();
    assertEquals((await values.next()).done, true);
    const { text } = output;
    assertEquals((await values.next()).done, true);
    await values.return();
    assertEquals(output.text, text);
  });

  test("promises in an array are awaited", isTerminal, async ({ options }) => {
    const promises = WORDS.map((word) => Promise.resolve(word));
    assertEquals(await Array.fromAsync(progress(promises, options)), WORDS);
  });

  test(
    "a promise that is rejected closes its iterator, as for await does",
    isTerminal,
    async ({ options }) => {
      let closed = false;
      const error = new Error("of a promise");
      function* source() {
        try {
          yield Promise.resolve(1);
          yield Promise.reject(error);
        } finally {
          closed = true;
        }
      }
      const values = progress(source(), options);
      await values.next();
      assertStrictEquals(await assertRejects(() => values.next()), error);
      assert(closed);
    },
  );

  test(
    "an output that can't be written to does no harm",
    isTerminal,
    async ({ clock }) => {
      const output = {
        isTerminal: () => isTerminal,
        writeSync() {
          throw new Deno.errors.BrokenPipe();
        },
      };
      const values = progress(WORDS, { output, every: 10 });
      await values.next();
      await clock.pass(1000);
      assertEquals((await values.next()).value, "b");
      await values.return();
    },
  );

  for (const known of ["array", "set", "map", "bytes"] as const) {
    test(
      `the total of ${known} is known`,
      isTerminal,
      async ({ output, options }) => {
        const iterables = {
          array: WORDS,
          set: new Set(WORDS),
          map: new Map(WORDS.map((word) => [word, 1])),
          bytes: new Uint8Array(3),
        };
        for await (const _ of progress<unknown>(iterables[known], options));
        assertMatch(output.text, /3\/3/);
      },
    );
  }

  test(
    "a total that is given counts more than a length",
    isTerminal,
    async ({ output, options }) => {
      for await (const _ of progress(WORDS, { ...options, total: 12 }));
      assertMatch(output.text, /3\/12/);
    },
  );

  for (const total of [undefined, Infinity]) {
    test(
      `a total of ${total} is none`,
      isTerminal,
      async ({ output, options }) => {
        for await (const _ of progress(WORDS.values(), { ...options, total }));
        assert(!output.text.includes("/3"), output.text);
        assert(!output.text.includes("%"), output.text);
      },
    );
  }

  test(
    "nothing is shown when quiet",
    isTerminal,
    async ({ output, options }) => {
      const values = progress(WORDS, { ...options, quiet: true });
      assertEquals(await Array.fromAsync(values), WORDS);
      assertEquals(output.writes, 0);
    },
  );
}

// ---- Plain lines -----------------------------------------------------------

test(
  "a line is written every so often, and at the end",
  false,
  async ({ clock, output, options }) => {
    const source = new Source<string>();
    const values = progress(source, {
      ...options,
      every: 2000,
      total: 4,
      label: "Letters",
    });
    for (const word of WORDS) {
      const next = values.next();
      await clock.pass(1000);
      source.give(word);
      await next;
    }
    await clock.pass(1500);
    const last = values.next();
    await clock.pass(0);
    source.end();
    await last;
    assertEquals(output.lines, [
      "Letters: 1/4 (25%), 1.0/s, 3s left",
      "Letters: 2/4 (50%), 43/min, 3s left",
      "Letters: 3/4 (75%), 40/min, in 5s",
    ]);
  },
);

test(
  "lines come every five seconds if nothing else is said",
  false,
  async ({ clock, output, options }) => {
    const values = progress(new Source<string>(), options);
    values.next();
    await clock.pass(4999);
    assertEquals(output.text, "");
    await clock.pass(1);
    assertEquals(output.text, "0, 5s\n");
    await clock.pass(10_000);
    assertEquals(output.lines.length, 3);
    await values.return();
  },
);

test(
  "with every: Infinity there is one line, at the end",
  false,
  async ({ clock, output, options }) => {
    const source = new Source<string>();
    const values = progress(source, { ...options, every: Infinity });
    const next = values.next();
    await clock.pass(10_000_000);
    assertEquals(output.text, "");
    source.end();
    await next;
    assertEquals(output.text, "0, in 2h 46m\n");
  },
);

test(
  "a value counts as done when the next is asked for",
  false,
  async ({ clock, output, options }) => {
    const values = progress(WORDS, { ...options, every: 1000 });
    await values.next();
    await clock.pass(1000);
    await values.next();
    await clock.pass(1000);
    assertEquals(output.lines, ["0/3 (0%)", "1/3 (33%), 1.0/s, 2s left"]);
    await values.return();
  },
);

test("time counts from the call", false, async ({ clock, output, options }) => {
  const values = progress([], options);
  await clock.pass(3000);
  await values.next();
  assertEquals(output.text, "0/0 (100%), in 3s\n");
});

// ---- Bars ------------------------------------------------------------------

test(
  "a bar is drawn, and stays when it is full",
  true,
  async ({ clock, output, options }) => {
    const { terminal } = output;
    const source = new Source<string>();
    const values = progress(source, { ...options, total: 2, label: "Letters" });
    const first = values.next();
    await clock.pass(0);
    assertEquals(terminal.lines, [`Letters ${"░".repeat(15)}   0% | 0/2`]);
    source.give("a");
    await first;
    await clock.pass(5000);
    const second = values.next();
    await clock.pass(100);
    assertEquals(terminal.lines, [
      `Letters ${"█".repeat(8)}${"░".repeat(7)}  50% | 1/2 | 12/min | 5s left`,
    ]);
    source.give("b");
    await second;
    await clock.pass(4900);
    const third = values.next();
    source.end();
    await third;
    assertEquals(terminal.lines, [
      `Letters ${"█".repeat(15)} 100% | 2/2 | 12/min | in 10s`,
      "",
    ]);
    assertEquals(terminal.cursor, [1, 0]);
  },
);

test(
  "a bar is drawn anew ten times a second, without a sequence that must be undone",
  true,
  async ({ clock, output, options }) => {
    const values = progress(new Source<string>(), options);
    values.next();
    await clock.pass(0);
    const { writes } = output;
    for (let i = 0; i < 10; i++) await clock.pass(100);
    assertEquals(output.writes - writes, 10);
    assertEquals(output.terminal.lines, ["0 | 1s"]);
    await values.return();
    assertEquals(output.terminal.settings, []);
  },
);

test(
  "bars of several loops stand below each other, the ended ones above",
  true,
  async ({ clock, output, options }) => {
    const { terminal } = output;
    const sources = WORDS.map(() => new Source<string>());
    const loops = sources.map((source, i) =>
      progress(source, { ...options, label: WORDS[i] })
    );
    const nexts = loops.map((loop) => loop.next());
    await clock.pass(1000);
    assertEquals(terminal.lines, ["a 0 | 1s", "b 0 | 1s", "c 0 | 1s"]);
    sources[1].end();
    await nexts[1];
    await clock.pass(1000);
    assertEquals(terminal.lines.slice(0, 3), [
      "b 0 | in 1s",
      "a 0 | 2s",
      "c 0 | 2s",
    ]);
    sources[0].end();
    sources[2].end();
    await Promise.all(nexts);
    assertEquals(terminal.lines, [
      "b 0 | in 1s",
      "a 0 | in 2s",
      "c 0 | in 2s",
      "",
    ]);
    assertEquals(terminal.cursor, [3, 0]);
  },
);

test(
  "a new loop begins below what an earlier one has left",
  true,
  async ({ output, options }) => {
    for (const label of WORDS) {
      for await (const _ of progress([1].values(), { ...options, label }));
    }
    const { terminal } = output;
    assertEquals(terminal.lines.map((line) => line[0]), [
      "a",
      "b",
      "c",
      undefined,
    ]);
  },
);

// ---- What is wrong is said at once -----------------------------------------

Deno.test("progress: what can't be iterated is refused", () => {
  for (
    const [value, shown] of [
      [5, "5"],
      [null, "null"],
      [undefined, "undefined"],
      [{}, "an object (Object)"],
    ] as const
  ) {
    assertThrows(
      () => progress(value as unknown as string[], { quiet: true }),
      TypeError,
      `progress takes an iterable or an async iterable: received ${shown}`,
    );
  }
});

Deno.test("progress: a string can be iterated", async () => {
  const letters = await Array.fromAsync(progress("añ🙂", { quiet: true }));
  assertEquals(letters, ["a", "ñ", "🙂"]);
});

Deno.test("progress: options are checked, quiet or not", () => {
  const cases: [object, ErrorConstructor, string][] = [
    [{ total: "3" }, TypeError, 'total must be a number: received "3"'],
    [{ total: null }, TypeError, "total must be a number: received null"],
    [{ total: 1.5 }, TypeError, "total must be an integer: received 1.5"],
    [{ total: -1 }, RangeError, "total must not be negative: received -1"],
    [{ total: NaN }, RangeError, "total must not be negative: received NaN"],
    [{ label: 5 }, TypeError, "label must be a string: received 5"],
    [{ quiet: 1 }, TypeError, "quiet must be true or false: received 1"],
    [
      { every: "5" },
      TypeError,
      'every must be a number of milliseconds: received "5"',
    ],
    [
      { every: NaN },
      RangeError,
      "every must be a number of milliseconds: received NaN",
    ],
    [{ every: 0 }, RangeError, "every must be greater than 0: received 0"],
    [{ every: -1 }, RangeError, "every must be greater than 0: received -1"],
    [
      { output: {} },
      TypeError,
      "output must have isTerminal() and writeSync(), as Deno.stderr has: received an object (Object)",
    ],
    [
      { output: null },
      TypeError,
      "output must have isTerminal() and writeSync(), as Deno.stderr has: received null",
    ],
  ];
  for (const [options, errorClass, message] of cases) {
    for (const quiet of [{}, { quiet: true }]) {
      assertThrows(
        () => progress([1], { ...quiet, ...options }),
        errorClass,
        message,
      );
    }
  }
});

Deno.test("progress: what is left behind without an end is awaited by nobody", async () => {
  const source = new Source<string>();
  const output = new FakeOutput(false);
  const values = progress(source, { output });
  const first = values.next();
  assertEquals(await stateOf(first), "pending");
  await values.return();
  assertEquals(output.lines.length, 1);
});

// ---- A bar by hand ---------------------------------------------------------

test(
  "a bar by hand shows what the work says of itself",
  true,
  async ({ clock, output, options }) => {
    {
      using bar = progressBar({ ...options, total: 4, label: "By hand" });
      await loaded();
      await clock.pass(1000);
      bar.advance();
      await clock.pass(1000);
      assertMatch(output.terminal.lines[0], /^By hand █+░+ {2}25% \| 1\/4 /);
      bar.advance(2);
      bar.note("page 3");
      await clock.pass(1000);
      assertMatch(output.terminal.lines[0], / 75% \| 3\/4 .* \| page 3$/);
      bar.advance();
    }
    assertMatch(
      output.lastLine!,
      /^By hand █+ 100% \| 4\/4 .* in 3s \| page 3$/,
    );
  },
);

test(
  "a bar by hand that ends before all has come says so",
  false,
  async ({ clock, output, options }) => {
    const work = async () => {
      using bar = progressBar({ ...options, total: 4, unit: "files" });
      bar.advance();
      await clock.pass(2000);
      throw new RangeError("of the work");
    };
    await assertRejects(work, RangeError, "of the work");
    assertEquals(output.lines, ["1/4 files (25%), 30/min, stopped at 2s"]);
  },
);

test(
  "a bar by hand that is over before it could be drawn leaves a line, and one that is over stays over",
  true,
  async ({ output, options }) => {
    const bar = progressBar({ ...options, total: 1 });
    bar.advance();
    bar[Symbol.dispose]();
    bar[Symbol.dispose]();
    bar.advance();
    bar.note("late");
    await loaded();
    assertMatch(output.lines.join(), /^1\/1 \(100%\), .*in 0\.0s$/);
  },
);

test(
  "lines that a narrower terminal has broken are taken away",
  true,
  async ({ clock, output, options }) => {
    using bar = progressBar({ ...options, total: 4, label: "Narrow" });
    await loaded();
    await clock.pass(1000);
    const [before] = output.terminal.lines;
    assert(before.length > 25);
    output.columns = 25;
    output.text = "";
    bar.advance();
    await clock.pass(1000);
    // Up by as many lines as it takes now, but for the one that the cursor is in.
    assertStringIncludes(
      output.text,
      `\x1b[${Math.ceil(before.length / 25) - 1}A`,
    );
  },
);

Deno.test("progress: the options of a bar by hand are checked", () => {
  const refused = (options: unknown, message: string) =>
    assertThrows(
      () => progressBar(options as ProgressOptions),
      TypeError,
      message,
    );
  refused({ unit: 5 }, "unit must be a string: received 5");
  refused({ label: 5 }, "label must be a string: received 5");
  refused({ total: 1.5 }, "total must be an integer");
  assertThrows(() => progressBar({ total: -1 }), RangeError);
  using bar = progressBar({ quiet: true });
  assertThrows(() => bar.advance("1" as unknown as number), TypeError);
  assertThrows(() => bar.advance(-1), RangeError);
  assertThrows(() => bar.advance(NaN), RangeError);
});
