/**
 * Progress on long work: `for await (const page of progress(pages))` shows how
 * far the loop is.
 *
 * An entry point of its own, `@concurrent/futures/progress`, which knows
 * nothing of the executors: it works over whatever can be iterated. On a
 * terminal it draws a bar with the library `cli-progress`; the main entry point
 * has no dependency.
 *
 * @example Results of a pool
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { progress } from "@concurrent/futures/progress";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor();
 * const numbers = [1, 4, 9, 16];
 * const results = executor.map(Math.sqrt, numbers);
 * const roots: number[] = [];
 * for await (
 *   const root of progress(results, { total: numbers.length, quiet: true })
 * ) {
 *   roots.push(root);
 * }
 * assert.deepEqual(roots, [1, 2, 3, 4]);
 * ```
 *
 * @module
 */

import {
  checkNames,
  checkTimeout,
  optionNames,
  show,
} from "./internal/base/checks.ts";
import { stays } from "./internal/base/stays.ts";
import { Lines, type Output } from "./internal/progress/lines.ts";
import { type Ending, Meter } from "./internal/progress/meter.ts";

/** Where {@linkcode progress} is shown; `Deno.stderr` is one. */
export interface ProgressOutput {
  /** Whether bars can be drawn on it; plain lines are written if not. */
  isTerminal(): boolean;
  /** Writes some of the bytes, at least one, and returns how many. */
  writeSync(bytes: Uint8Array): number;
  /**
   * How wide the terminal is, in characters.
   *
   * @default {undefined} what `Deno.consoleSize()` says, else 80
   */
  readonly columns?: number;
}

/** The options of {@linkcode progress}. */
export interface ProgressOptions {
  /**
   * How many values will come. Without it there is no bar and no time left, but
   * a count, a rate, and the time that has passed.
   *
   * @default {undefined} the `length` or `size` of what is iterated, if it has one
   */
  total?: number;
  /** What the work is, in a word or two. @default {""} */
  label?: string;
  /**
   * Shows nothing. So does the environment variable `NO_PROGRESS`, if it is set
   * and not empty, and the program has the permission to read it.
   *
   * @default {false}
   */
  quiet?: boolean;
  /**
   * How often a plain line is written where no terminal is, in milliseconds.
   * With `Infinity` there is one, at the end.
   *
   * @default {5000}
   */
  every?: number;
  /** Where it is shown. @default {Deno.stderr} */
  output?: ProgressOutput;
}

const OPTIONS = optionNames<ProgressOptions>({
  total: true,
  label: true,
  quiet: true,
  every: true,
  output: true,
});

/**
 * What {@linkcode progress} returns: an iterator over the values.
 *
 * @typeParam T The type of the values.
 */
export interface ProgressIterator<T>
  extends AsyncIterableIterator<T>, AsyncDisposable {
  /** Waits for the next value. */
  next(): Promise<IteratorResult<T>>;
  /** Ends the iteration, that of the source too: leaving a loop calls it. */
  return(): Promise<IteratorResult<T>>;
  /** Gives the iterator itself. */
  [Symbol.asyncIterator](): ProgressIterator<T>;
  /** Ends the iteration as `return()` does: `await using` calls it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Shows how far the work is. */
interface View {
  /** One more is done. */
  tick(now: number): void;
  end(ending: Ending, now: number): void;
}

/**
 * Passes values on, and shows on stderr how many there were.
 *
 * On a terminal it draws a bar with a rate and the time left; bars of several
 * loops stand below each other. What the program prints meanwhile, through
 * `console`, `Deno.stdout` or `Deno.stderr`, comes to stand above the bars; for
 * that these methods are wrapped as long as a bar is there. What
 * threads of a pool print comes by this one meanwhile, and stands above the bars,
 * too; what another worker prints by itself can't be seen here. Where stderr is no
 * terminal, or the library that draws bars can't be loaded, plain lines are
 * written now and then, and one at the end.
 *
 * A value counts as done when the next one is asked for: at the end of a loop's
 * body. The rate is that of the last seconds of a short run, and of the last
 * fifth of a long one; time counts from the call.
 *
 * Values, their order and exceptions are those of the source. Leaving the loop
 * early, by `break` or by an exception, ends the source too. Nothing is ever
 * written to stdout, no permission is needed, and nothing here keeps the program
 * alive.
 *
 * @typeParam T The type of the values.
 * @param iterable What to iterate: `executor.map()`, `asCompleted()`, an array,
 * a stream. Promises in something that is not async are awaited, as `for await`
 * does.
 * @param options What to show.
 * @returns An iterator over the values.
 * @throws {TypeError} when `iterable` is none, or an option is of the wrong type.
 * @throws {RangeError} when `total` is negative, or `every` is not greater than 0.
 *
 * @example Calls as they end
 * ```ts
 * import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
 * import { progress } from "@concurrent/futures/progress";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 2 });
 * const futures = [10, 20, 30].map((n) => executor.submit(Math.log10, n));
 * let done = 0;
 * for await (
 *   const future of progress(asCompleted(futures), {
 *     total: futures.length,
 *     label: "Logarithms",
 *     quiet: true, // leave this out to see it
 *   })
 * ) {
 *   await future.result();
 *   done++;
 * }
 * assert.equal(done, 3);
 * ```
 *
 * @example Whatever has a length needs no total
 * ```ts
 * import { progress } from "@concurrent/futures/progress";
 * import assert from "node:assert/strict";
 *
 * // A stand-in for `Deno.stderr`, as one that is no terminal.
 * const lines: string[] = [];
 * const output = {
 *   isTerminal: () => false,
 *   writeSync(bytes: Uint8Array) {
 *     lines.push(new TextDecoder().decode(bytes));
 *     return bytes.length;
 *   },
 * };
 * let sum = 0;
 * for await (const n of progress([1, 2, 3], { label: "Adding", output })) {
 *   sum += n;
 * }
 * assert.equal(sum, 6);
 * assert.match(lines[0], /^Adding: 3\/3 \(100%\), .* in 0\.\ds\n$/);
 * ```
 */
export function progress<T>(
  iterable: AsyncIterable<T>,
  options?: ProgressOptions,
): ProgressIterator<T>;
/**
 * The same over what is not async.
 *
 * @typeParam T The type of the values, or of promises of them.
 * @param iterable What to iterate.
 * @param options What to show.
 * @returns An iterator over the values.
 * @throws {TypeError} when `iterable` is none, or an option is of the wrong type.
 * @throws {RangeError} when `total` is negative, or `every` is not greater than 0.
 *
 * @example Promises are awaited
 * ```ts
 * import { progress } from "@concurrent/futures/progress";
 * import assert from "node:assert/strict";
 *
 * const pages = ["/", "/news"].map((path) => Promise.resolve(path.length));
 * const sizes = await Array.fromAsync(progress(pages, { quiet: true }));
 * assert.deepEqual(sizes, [1, 5]);
 * ```
 */
export function progress<T>(
  iterable: Iterable<T>,
  options?: ProgressOptions,
): ProgressIterator<Awaited<T>>;
export function progress(
  iterable: AsyncIterable<unknown> | Iterable<unknown>,
  options: ProgressOptions = {},
): ProgressIterator<unknown> {
  const { label, quiet, output, every } = checkOptions(
    options,
    OPTIONS,
    "progress",
  );
  const total = checkTotal(options.total) ?? sizeOf(iterable);
  const source = iteratorOf(iterable);
  if (quiet || hushed()) return new Progress(source, undefined);
  const meter = new Meter(label, total, performance.now());
  return new Progress(source, { meter, output, every });
}

/** The options of {@linkcode progressBar}. */
export interface ProgressBarOptions extends ProgressOptions {
  /**
   * What is counted: a word that is shown behind the count; or `"B"` for bytes, of
   * which it shows KiB, MiB and so on. @default {""}
   */
  unit?: string;
}

const BAR_OPTIONS = optionNames<ProgressBarOptions>({
  total: true,
  label: true,
  quiet: true,
  every: true,
  output: true,
  unit: true,
});

/** What {@linkcode progressBar} returns: a bar that the work itself moves on. */
export interface ProgressBar extends Disposable {
  /**
   * So many more are done.
   *
   * @param n How many; a number of bytes need not be whole. @default {1}
   * @throws {TypeError} when it is no number.
   * @throws {RangeError} when it is negative or `NaN`.
   */
  advance(n?: number): void;
  /** Shows a few words behind the figures; an empty text takes them away. */
  note(text: string): void;
  /** Ends it: as done if all that was to come has come, else as stopped. */
  [Symbol.dispose](): void;
}

/**
 * Shows how far some work is that is no loop over values: the work says itself
 * what it has done. It is shown as {@linkcode progress} shows it, with a bar on a
 * terminal and plain lines where none is, and keeps nothing alive.
 *
 * @param options What to show.
 * @returns The bar; `using` ends it with its block.
 * @throws {TypeError} when an option is of the wrong type.
 * @throws {RangeError} when `total` is negative, or `every` is not greater than 0.
 *
 * @example A download
 * ```ts
 * import { progressBar } from "@concurrent/futures/progress";
 * import assert from "node:assert/strict";
 *
 * const lines: string[] = [];
 * const output = { // a stand-in for `Deno.stderr`, as one that is no terminal
 *   isTerminal: () => false,
 *   writeSync(bytes: Uint8Array) {
 *     lines.push(new TextDecoder().decode(bytes));
 *     return bytes.length;
 *   },
 * };
 * {
 *   using bar = progressBar({ label: "Loading", total: 3 << 20, unit: "B", output });
 *   for (const name of ["a", "b", "c"]) {
 *     bar.note(name);
 *     bar.advance(1 << 20);
 *   }
 * }
 * assert.match(lines[0], /^Loading: 3.0 MiB\/3.0 MiB \(100%\), .*, c\n$/);
 * ```
 */
export function progressBar(options: ProgressBarOptions = {}): ProgressBar {
  const { unit = "" } = options;
  const { label, quiet, output, every } = checkOptions(
    options,
    BAR_OPTIONS,
    "progressBar",
  );
  if (typeof unit !== "string") {
    throw new TypeError(`unit must be a string: received ${show(unit)}`);
  }
  const total = checkTotal(options.total);
  if (quiet || hushed()) return new ManualBar(undefined);
  const meter = new Meter(label, total, performance.now(), unit);
  return new ManualBar({ meter, output, every });
}

class ManualBar implements ProgressBar {
  #showing: Showing | undefined;
  #view: View | undefined;

  constructor(showing: Showing | undefined) {
    this.#showing = showing;
    if (showing) this.#open(showing);
  }

  async #open(showing: Showing): Promise<void> {
    const view = openView(showing, () => this.#showing !== undefined);
    this.#view = view instanceof Promise ? await view : view;
  }

  advance(n = 1): void {
    if (typeof n !== "number") {
      throw new TypeError(`advance takes a number: received ${show(n)}`);
    }
    if (!(n >= 0)) {
      throw new RangeError(`advance can't go back: received ${show(n)}`);
    }
    const showing = this.#showing;
    if (!showing) return;
    const now = performance.now();
    showing.meter.reach(showing.meter.count + n, now);
    this.#view?.tick(now);
  }

  note(text: string): void {
    this.#showing?.meter.note(String(text));
    this.#view?.tick(performance.now());
  }

  [Symbol.dispose](): void {
    const showing = this.#showing;
    if (!showing) return;
    this.#showing = undefined;
    const { meter, output, every } = showing;
    // What draws bars may not have come in time.
    const view = this.#view ?? new Lines(output, meter, every);
    this.#view = undefined;
    view.end(meter.isWhole ? "done" : "stopped", performance.now());
  }
}

/**
 * What shows progress on an output. What draws bars is loaded only where one is
 * drawn: it takes its time, and a dependency. Where that can't be had, there are
 * plain lines: the work goes on.
 *
 * @param isWanted Whether it still is, once it could be loaded.
 */
function openView(
  { output, meter, every }: Showing,
  isWanted: () => boolean,
): View | Promise<View | undefined> {
  if (!output.isTerminal()) return new Lines(output, meter, every);
  return import("./internal/progress/bars.ts").then(
    ({ Bar }) => isWanted() ? new Bar(output, meter) : undefined,
  ).catch(() => isWanted() ? new Lines(output, meter, every) : undefined);
}

/** What is shown, and where. */
interface Showing {
  readonly meter: Meter;
  readonly output: Output;
  readonly every: number;
}

class Progress<T> implements ProgressIterator<T> {
  static {
    stays(this.prototype, "iterator of progress()");
  }

  readonly #source: AsyncIterator<T>;
  #showing: Showing | undefined;
  /** There from the first `next()` on, and until the end. */
  #view: View | undefined;
  /** There while it is made. All that ask for a value meanwhile wait, and stay in order. */
  #opening: Promise<void> | undefined;
  /** How many values were passed on. */
  #given = 0;

  constructor(source: AsyncIterator<T>, showing: Showing | undefined) {
    this.#source = source;
    this.#showing = showing;
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#showing && !this.#view && !this.#opening) this.#open();
    if (this.#opening) {
      await this.#opening;
      this.#opening = undefined;
    }
    this.#count();
    let result: IteratorResult<T>;
    try {
      result = await this.#source.next();
    } catch (error) {
      this.#end("stopped");
      throw error;
    }
    if (result.done) this.#end("done");
    else this.#given++;
    return result;
  }

  async return(): Promise<IteratorResult<T>> {
    this.#end("stopped");
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #open(): void {
    const view = openView(this.#showing!, () => this.#showing !== undefined);
    if (view instanceof Promise) {
      this.#opening = view.then((view) => {
        this.#view = view;
      });
    } else this.#view = view;
  }

  /** All that were passed on are done. */
  #count(): void {
    if (!this.#view) return;
    const now = performance.now();
    this.#showing!.meter.reach(this.#given, now);
    this.#view.tick(now);
  }

  #end(ending: Ending): void {
    const view = this.#view;
    const showing = this.#showing;
    this.#view = this.#showing = undefined;
    if (!view) return;
    const now = performance.now();
    if (ending === "done") showing!.meter.reach(this.#given, now);
    view.end(ending, now);
  }
}

/** What iterates over a value, and awaits what it gives. */
function iteratorOf<T>(
  iterable: AsyncIterable<T> | Iterable<T>,
): AsyncIterator<T> {
  const either = iterable as
    | Partial<AsyncIterable<T> & Iterable<T>>
    | undefined
    | null;
  if (typeof either?.[Symbol.asyncIterator] === "function") {
    return either[Symbol.asyncIterator]!();
  }
  if (typeof either?.[Symbol.iterator] === "function") {
    return awaiting(either[Symbol.iterator]!());
  }
  throw new TypeError(
    `progress takes an iterable or an async iterable: received ${
      show(iterable)
    }`,
  );
}

/** An async iterator over an iterator that may give promises, closed if one fails. */
function awaiting<T>(iterator: Iterator<T>): AsyncIterator<T> {
  return {
    async next() {
      const { done, value } = iterator.next();
      if (done) return { done, value: undefined };
      try {
        return { done: false, value: await value };
      } catch (error) {
        iterator.return?.();
        throw error;
      }
    },
    return() {
      iterator.return?.();
      return Promise.resolve({ done: true, value: undefined });
    },
  };
}

/** How many values there will be, of what knows it. */
function sizeOf(iterable: unknown): number | undefined {
  // A string has more letters' parts than letters.
  if (typeof iterable !== "object" || iterable === null) return undefined;
  const { length, size } = iterable as { length?: unknown; size?: unknown };
  const known = length ?? size;
  return Number.isSafeInteger(known) && known as number >= 0
    ? known as number
    : undefined;
}

/** Checks what is the same for all that is shown. */
function checkOptions(
  options: ProgressOptions,
  names: readonly string[],
  owner: string,
): { label: string; quiet: boolean; output: ProgressOutput; every: number } {
  options = checkNames(options, names, owner);
  const { label = "", quiet = false, output = Deno.stderr } = options;
  if (typeof label !== "string") {
    throw new TypeError(`label must be a string: received ${show(label)}`);
  }
  if (typeof quiet !== "boolean") {
    throw new TypeError(`quiet must be true or false: received ${show(quiet)}`);
  }
  if (
    typeof output?.isTerminal !== "function" ||
    typeof output.writeSync !== "function"
  ) {
    throw new TypeError(
      `output must have isTerminal() and writeSync(), as Deno.stderr has: received ${
        show(output)
      }`,
    );
  }
  return { label, quiet, output, every: checkEvery(options.every) };
}

function checkTotal(total: number | undefined): number | undefined {
  if (total === undefined || total === Infinity) return undefined;
  if (typeof total !== "number") {
    throw new TypeError(`total must be a number: received ${show(total)}`);
  }
  if (!(total >= 0)) {
    throw new RangeError(`total must not be negative: received ${show(total)}`);
  }
  if (!Number.isInteger(total)) {
    throw new TypeError(`total must be an integer: received ${show(total)}`);
  }
  return total;
}

/** What a timer can hold at most, in milliseconds: more than three weeks. */
const LONGEST = 2 ** 31 - 1;

function checkEvery(every: number | undefined): number {
  const ms = every === undefined ? 5000 : checkTimeout(every, "every");
  if (ms === undefined) return LONGEST;
  if (ms <= 0) {
    throw new RangeError(`every must be greater than 0: received ${show(ms)}`);
  }
  return Math.min(ms, LONGEST);
}

/** Whether the environment wants to see no progress; where it may not be asked, it does not. */
function hushed(): boolean {
  const name = "NO_PROGRESS";
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" && Boolean(Deno.env.get(name));
}
