/** What `map` gives: calls submitted ahead, results read in order. */

import { TimeoutError } from "../../errors.ts";
import { type Context, keepContext } from "../base/async_context.ts";
import {
  checkBoolean,
  checkCount,
  checkNames,
  checkSignal,
  checkTimeout,
  optionNames,
  show,
} from "../base/checks.ts";
import { stays } from "../base/stays.ts";
import { programClock, startTimer } from "../base/timers.ts";
import type { Backlog } from "./map_backlog.ts";

/** The options of `Executor.map`. */
export interface MapOptions {
  /**
   * How long the results may take, in milliseconds, counted from the call of
   * `map`. @default {undefined} no limit
   */
  timeout?: number;
  /**
   * How many items may travel to a worker together. It changes the speed and
   * nothing else; an executor is free to group otherwise.
   * @default {"auto"}
   */
  chunksize?: number | "auto";
  /**
   * How many submitted results may wait for the reader. With it, inputs are
   * read as results are taken, so an endless or async iterable works; always in
   * the async context (`AsyncLocalStorage`) of the call of `map`, whoever reads.
   * @default {undefined} all inputs are read and submitted at the call
   */
  buffersize?: number;
  /**
   * Ends the iteration with the signal's reason, and cancels the calls that
   * have not started. @default {undefined} none
   */
  signal?: AbortSignal;
  /**
   * Gives what came of each item, returned or thrown, as `Promise.allSettled`
   * does, with the number of the item: see {@linkcode MapOutcome}. No call's
   * failure ends the iteration; a `timeout`, the `signal` and an input that throws
   * still do. @default {false}
   */
  settled?: boolean;
  /**
   * Gives each result as it comes, and not in the order of the inputs.
   * @default {false}
   */
  unordered?: boolean;
}

/**
 * What came of one item of a `map` with `settled`.
 *
 * @typeParam T What the call returns, promises resolved.
 */
export type MapOutcome<T> = PromiseSettledResult<T> & {
  /** Which item it is of: the first is 0. */
  readonly index: number;
};

/**
 * What `Executor.map` reads a parameter's values from. An async
 * iterable needs the `buffersize` option.
 *
 * @typeParam T The type of the parameter.
 */
export type Input<T> = Iterable<T> | AsyncIterable<T>;

/**
 * An {@linkcode Input} for each parameter of a function.
 *
 * @typeParam A The types of the parameters.
 */
export type Inputs<A extends unknown[]> = { [K in keyof A]: Input<A[K]> };

export interface CheckedMapOptions {
  readonly limit: number | undefined;
  readonly chunksize: number | undefined;
  readonly buffersize: number | undefined;
  readonly signals: readonly AbortSignal[];
  readonly settled: boolean;
  readonly unordered: boolean;
}

const OPTIONS = optionNames<MapOptions>({
  timeout: true,
  chunksize: true,
  buffersize: true,
  signal: true,
  settled: true,
  unordered: true,
});

/** Checks what `map` was called with, and tells inputs from options. */
export function splitMapArguments(
  fn: unknown,
  rest: readonly unknown[],
): { inputs: Input<unknown>[]; options: CheckedMapOptions } {
  if (typeof fn !== "function") {
    throw new TypeError(`map takes a function first: received ${show(fn)}`);
  }
  const inputs = [...rest];
  const last = inputs.at(-1);
  const hasOptions = inputs.length > 0 &&
    (last === undefined ||
      (typeof last === "object" && last !== null && !isIterable(last)));
  const given = (hasOptions ? inputs.pop() ?? {} : {}) as MapOptions;
  const options = checkNames(given, OPTIONS, "map");
  const { buffersize, signal, settled = false, unordered = false } = options;
  const chunksize = options.chunksize === "auto"
    ? undefined
    : options.chunksize;
  for (const [name, count] of Object.entries({ chunksize, buffersize })) {
    if (count !== undefined) checkCount(count, name, "at least 1");
  }
  const limit = checkTimeout(options.timeout);
  checkSignal(signal);
  checkBoolean(settled, "settled");
  checkBoolean(unordered, "unordered");
  inputs.forEach((input, i) => {
    if (!isIterable(input)) {
      throw new TypeError(
        `map takes an iterable for each parameter: received ${
          show(input)
        } as number ${i + 1}`,
      );
    }
    if (buffersize === undefined && !isSync(input)) {
      throw new TypeError(
        `map can't read an async iterable at the call: set buffersize to have number ${
          i + 1
        } read as results are taken`,
      );
    }
  });
  return {
    inputs: inputs as Input<unknown>[],
    options: {
      limit,
      chunksize,
      buffersize,
      signals: signal ? [signal] : [],
      settled,
      unordered,
    },
  };
}

function isSync(value: unknown): value is Iterable<unknown> {
  return typeof (value as Iterable<unknown> | undefined)?.[Symbol.iterator] ===
    "function";
}

function isIterable(value: unknown): boolean {
  return isSync(value) ||
    typeof (value as AsyncIterable<unknown> | undefined)
        ?.[Symbol.asyncIterator] === "function";
}

/** Refuses what would be taken for an item, again and again. */
function checkResult<R>(result: R): R {
  if (typeof result === "object" && result !== null) return result;
  throw new TypeError(
    `map takes iterators whose next() gives an object: received ${
      show(result)
    }`,
  );
}

/** Several inputs read in step, until the shortest ends. */
class Zip {
  readonly #iterators: (Iterator<unknown> | AsyncIterator<unknown>)[] = [];
  readonly sync: boolean;
  #open = true;

  constructor(inputs: readonly Input<unknown>[]) {
    this.sync = inputs.every(isSync);
    // None are exhausted before the first item, as those of zip() are.
    this.#open = inputs.length > 0;
    try {
      for (const input of inputs) {
        this.#iterators.push(
          isSync(input)
            ? input[Symbol.iterator]()
            : input[Symbol.asyncIterator](),
        );
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The next arguments; `undefined` at the end. Only if all inputs are `sync`. */
  read(): unknown[] | undefined {
    if (!this.#open) return undefined;
    const items: unknown[] = [];
    for (const iterator of this.#iterators as Iterator<unknown>[]) {
      let result;
      try {
        result = checkResult(iterator.next());
      } catch (error) {
        this.#closeAllBut(iterator);
        throw error;
      }
      if (result.done) return this.#closeAllBut(iterator);
      items.push(result.value);
    }
    return items;
  }

  /** The next arguments; `undefined` at the end. */
  async readAsync(): Promise<unknown[] | undefined> {
    if (this.sync) return this.read();
    const items: unknown[] = [];
    for (const iterator of this.#iterators) {
      let result;
      try {
        result = checkResult(await iterator.next());
      } catch (error) {
        this.#closeAllBut(iterator);
        throw error;
      }
      // Closed while it was waited for: the others are not to be asked any more.
      if (!this.#open) return undefined;
      if (result.done) return this.#closeAllBut(iterator);
      items.push(result.value);
    }
    return items;
  }

  /** Tells the inputs that no more is read. */
  close(): void {
    this.#closeAllBut(undefined);
  }

  #closeAllBut(ended: unknown): undefined {
    if (!this.#open) return;
    this.#open = false;
    for (const iterator of this.#iterators) {
      if (iterator === ended) continue;
      // The iteration has ended one way or another; what an input does on its
      // way out is told on the console, and stands in nobody's way.
      try {
        const closing = iterator.return?.();
        if (closing instanceof Promise) closing.catch(logClosing);
      } catch (error) {
        logClosing(error);
      }
    }
  }
}

function logClosing(error: unknown): void {
  console.error("exception closing an input of map", error);
}

/** What `map` comes to once all that was submitted before is read. */
type End =
  | { readonly failed: false }
  | { readonly failed: true; readonly error: unknown };

const RAN_OUT: End = { failed: false };

/**
 * What `map` gives: submits, and reads the results.
 *
 * A reader that finds nothing to give sleeps until `#wake()`, which whatever
 * may have changed that calls: the first result, an async input, the deadline,
 * an abort, a `return()`.
 */
export class MapResults<T> implements AsyncIterableIterator<T> {
  static {
    stays(this.prototype, "iterator of map()");
  }

  readonly #backlog: Backlog;
  readonly #limit: number | undefined;
  readonly #deadline: number;
  readonly #buffersize: number;
  /** Whether what a call threw is given, and not thrown. */
  readonly #settled: boolean;
  /** That of the call of `map`, where inputs are read after it. */
  readonly #context: Context | undefined;
  #inputs: Zip | undefined;
  #signals: readonly AbortSignal[] = [];
  /** Once set, no more is submitted. */
  #end: End | undefined;
  #reading = false;
  #wake: () => void = nothing;
  /** How many calls of `next()` have not given their result. */
  #asked = 0;
  /** Settles with the last `next()`: the one after it waits its turn. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    backlog: Backlog,
    inputs: readonly Input<unknown>[],
    { limit, buffersize, signals, settled }: CheckedMapOptions,
  ) {
    this.#settled = settled;
    this.#backlog = backlog;
    this.#limit = limit;
    this.#deadline = programClock.now() + (limit ?? Infinity);
    this.#buffersize = buffersize ?? Infinity;
    this.#context = buffersize === undefined ? undefined : keepContext();
    const aborted = signals.find((signal) => signal.aborted);
    if (aborted) {
      this.#end = { failed: true, error: aborted.reason };
      this.#backlog.close();
      return;
    }
    try {
      this.#inputs = new Zip(inputs);
    } catch (error) {
      this.#backlog.close();
      throw error;
    }
    this.#signals = signals;
    for (const signal of signals) {
      signal.addEventListener("abort", this.#onAbort);
    }
    try {
      this.#fill();
    } catch (error) {
      this.#stop(RAN_OUT);
      throw error;
    }
    this.#releaseIfRead();
  }

  /** Runs what reads or closes inputs, or submits, as `map` itself would have. */
  #inContext(fn: () => void): void {
    if (this.#context) this.#context(fn);
    else fn();
  }

  next(): Promise<IteratorResult<T>> {
    // Most of many results are there when they are asked for.
    if (this.#asked === 0 && this.#backlog.isReady) {
      try {
        const value = this.#settled ? this.#settle() : this.#backlog.take();
        if (!(value instanceof Promise)) {
          this.#refill();
          return Promise.resolve({ done: false, value: value as T });
        }
        return this.#queue(this.#given(value as Promise<T>));
      } catch (error) {
        this.#stop(RAN_OUT);
        return Promise.reject(error);
      }
    }
    return this.#queue(this.#turn.then(() => this.#next()));
  }

  /** Has the next `next()` wait for this one. */
  #queue(result: Promise<IteratorResult<T>>): Promise<IteratorResult<T>> {
    this.#asked++;
    const answered = () => {
      this.#asked--;
    };
    this.#turn = result.then(answered, answered);
    return result;
  }

  return(): Promise<IteratorResult<T>> {
    this.#stop(RAN_OUT);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #next(): Promise<IteratorResult<T>> {
    while (true) {
      if (this.#backlog.isReady) return await this.#given(this.#take());
      if (this.#backlog.size === 0 && this.#end) {
        const end = this.#end;
        this.#stop(RAN_OUT);
        if (end.failed) throw end.error;
        return { done: true, value: undefined };
      }
      if (programClock.now() >= this.#deadline) {
        this.#stop(RAN_OUT);
        throw new TimeoutError(
          `map has no result to give after ${this.#limit} ms: the calls that run go on, the others are cancelled`,
        );
      }
      await this.#change();
    }
  }

  async #take(): Promise<T> {
    return await (this.#settled ? this.#settle() : this.#backlog.take()) as T;
  }

  /** What came of the first; a promise where that is one. */
  #settle(): MapOutcome<unknown> | Promise<MapOutcome<unknown>> {
    const backlog = this.#backlog;
    let value: unknown;
    try {
      value = backlog.take();
    } catch (reason) {
      return { index: backlog.taken, status: "rejected", reason };
    }
    const index = backlog.taken;
    if (!(value instanceof Promise)) {
      return { index, status: "fulfilled", value };
    }
    return value.then(
      (value) => ({ index, status: "fulfilled", value }),
      (reason) => ({ index, status: "rejected", reason }),
    );
  }

  async #given(value: Promise<T>): Promise<IteratorResult<T>> {
    try {
      const result = { done: false, value: await value } as const;
      this.#refill();
      return result;
    } catch (error) {
      this.#stop(RAN_OUT);
      throw error;
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#limit === undefined ? undefined : startTimer(
        this.#deadline - programClock.now(),
        () => this.#wake(),
        programClock,
      );
      this.#wake = () => {
        this.#wake = nothing;
        stop?.();
        resolve();
      };
      this.#backlog.watch(() => this.#wake());
    });
  }

  /** Submits as much as there is room for. */
  #fill(): void {
    const inputs = this.#inputs;
    // What is read may itself ask for the next result.
    if (!inputs || this.#reading) return;
    if (!inputs.sync) {
      this.#fillAsync(inputs);
      return;
    }
    this.#reading = true;
    try {
      while (this.#hasRoom()) this.#submitNext(inputs.read());
    } finally {
      this.#reading = false;
    }
  }

  /** Makes up for a result that was taken; what fails is told in its turn. */
  #refill(): void {
    try {
      if (this.#hasRoom()) this.#inContext(() => this.#fill());
    } catch (error) {
      this.#endReading({ failed: true, error });
    }
    this.#releaseIfRead();
  }

  #releaseIfRead(): void {
    if (this.#end && this.#backlog.size === 0) this.#release();
  }

  async #fillAsync(inputs: Zip): Promise<void> {
    this.#reading = true;
    try {
      while (this.#hasRoom()) {
        const args = await inputs.readAsync();
        this.#submitNext(args);
        this.#wake();
      }
    } catch (error) {
      this.#endReading({ failed: true, error });
    }
    this.#reading = false;
    this.#wake();
  }

  #hasRoom(): boolean {
    return !this.#end && this.#backlog.size < this.#buffersize;
  }

  #submitNext(args: unknown[] | undefined): void {
    // Reading and submitting run code of others, which may end the iteration.
    if (this.#end) return;
    if (args === undefined) this.#endReading(RAN_OUT);
    else this.#backlog.push(args);
  }

  #endReading(end: End): void {
    this.#end ??= end;
    const inputs = this.#inputs;
    this.#inputs = undefined;
    if (inputs) this.#inContext(() => inputs.close());
    this.#backlog.close();
  }

  readonly #onAbort = ({ target }: Event) => {
    this.#stop({ failed: true, error: (target as AbortSignal).reason });
  };

  /** Cancels what has not started; `end` is all that is left to tell. */
  #stop(end: End): void {
    this.#endReading(end);
    this.#end = end;
    this.#release();
    this.#backlog.cancel();
    this.#wake();
  }

  #release(): void {
    for (const signal of this.#signals) {
      signal.removeEventListener("abort", this.#onAbort);
    }
    this.#signals = [];
  }
}

function nothing(): void {}
