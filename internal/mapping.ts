/** What `map` gives: calls submitted ahead, results read in order. */

import { TimeoutError } from "../errors.ts";
import type { Future } from "../future.ts";
import { checkTimeout, show, startTimer } from "./timer.ts";

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
   * read as results are taken, so an endless or async iterable works.
   * @default {undefined} all inputs are read and submitted at the call
   */
  buffersize?: number;
  /**
   * Ends the iteration with the signal's reason, and cancels the calls that
   * have not started. @default {undefined} none
   */
  signal?: AbortSignal;
}

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
  readonly buffersize: number | undefined;
  readonly signals: readonly AbortSignal[];
}

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
  const options = (hasOptions ? inputs.pop() ?? {} : {}) as MapOptions;
  const { buffersize, signal } = options;
  checkCount(
    options.chunksize === "auto" ? undefined : options.chunksize,
    "chunksize",
  );
  checkCount(buffersize, "buffersize");
  const limit = checkTimeout(options.timeout);
  if (inputs.length === 0) {
    throw new TypeError(
      "map takes an iterable for each parameter after the function: received none",
    );
  }
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
    options: { limit, buffersize, signals: signal ? [signal] : [] },
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

function checkCount(count: number | undefined, name: string): void {
  if (count === undefined) return;
  if (!Number.isInteger(count)) {
    throw new TypeError(`${name} must be an integer: received ${show(count)}`);
  }
  if (count < 1) {
    throw new RangeError(`${name} must be at least 1: received ${count}`);
  }
}

/** Several inputs read in step, until the shortest ends. */
class Zip {
  readonly #iterators: (Iterator<unknown> | AsyncIterator<unknown>)[] = [];
  readonly sync: boolean;
  #open = true;

  constructor(inputs: readonly Input<unknown>[]) {
    this.sync = inputs.every(isSync);
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
    const items: unknown[] = [];
    for (const iterator of this.#iterators as Iterator<unknown>[]) {
      const result = this.#guard(iterator, () => iterator.next());
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
        result = await iterator.next();
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

  #guard<R>(iterator: Iterator<unknown>, read: () => R): R {
    try {
      return read();
    } catch (error) {
      this.#closeAllBut(iterator);
      throw error;
    }
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
 * What `map` gives: submits, and reads the futures in order.
 *
 * A reader that finds nothing to give sleeps until `#wake()`, which whatever
 * may have changed that calls: the first future, an async input, the deadline,
 * an abort, a `return()`.
 */
export class Results<T> implements AsyncIterableIterator<T> {
  readonly #submit: (args: unknown[]) => Future<T>;
  readonly #limit: number | undefined;
  readonly #deadline: number;
  readonly #buffersize: number;
  #inputs: Zip | undefined;
  #signals: readonly AbortSignal[] = [];
  /** What was submitted; places before `#head` were read and are empty. */
  #futures: (Future<T> | undefined)[] = [];
  #head = 0;
  /** Once set, no more is submitted. */
  #end: End | undefined;
  #reading = false;
  #wake: () => void = nothing;
  /** The future that will wake the reader. */
  #watched: Future<T> | undefined;
  /** Settles with the last `next()`: the one after it waits its turn. */
  #turn: Promise<void> = Promise.resolve();

  constructor(
    submit: (args: unknown[]) => Future<T>,
    inputs: readonly Input<unknown>[],
    { limit, buffersize, signals }: CheckedMapOptions,
  ) {
    this.#submit = submit;
    this.#limit = limit;
    this.#deadline = performance.now() + (limit ?? Infinity);
    this.#buffersize = buffersize ?? Infinity;
    const aborted = signals.find((signal) => signal.aborted);
    if (aborted) {
      this.#end = { failed: true, error: aborted.reason };
      return;
    }
    this.#inputs = new Zip(inputs);
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

  next(): Promise<IteratorResult<T>> {
    const result = this.#turn.then(() => this.#next());
    this.#turn = result.then(nothing, nothing);
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
      const first = this.#futures[this.#head];
      if (first?.done()) return { done: false, value: await this.#take(first) };
      if (!first && this.#end) {
        const end = this.#end;
        this.#stop(RAN_OUT);
        if (end.failed) throw end.error;
        return { done: true, value: undefined };
      }
      if (performance.now() >= this.#deadline) {
        this.#stop(RAN_OUT);
        throw new TimeoutError(
          `map has no result to give after ${this.#limit} ms: the calls that run go on, the others are cancelled`,
        );
      }
      await this.#change(first);
    }
  }

  async #take(future: Future<T>): Promise<T> {
    this.#futures[this.#head++] = undefined;
    this.#watched = undefined;
    if (this.#head * 2 > this.#futures.length) {
      this.#futures.splice(0, this.#head);
      this.#head = 0;
    }
    try {
      const value = await future.result();
      this.#refill();
      return value;
    } catch (error) {
      this.#stop(RAN_OUT);
      throw error;
    }
  }

  #change(first: Future<T> | undefined): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#limit === undefined
        ? undefined
        : startTimer(this.#deadline - performance.now(), () => this.#wake());
      this.#wake = () => {
        this.#wake = nothing;
        stop?.();
        resolve();
      };
      if (first && first !== this.#watched) {
        this.#watched = first;
        first.addDoneCallback(() => this.#wake());
      }
    });
  }

  /** Submits as much as there is room for. */
  #fill(): void {
    const inputs = this.#inputs;
    if (!inputs) return;
    if (!inputs.sync) {
      this.#fillAsync(inputs);
      return;
    }
    while (this.#hasRoom()) this.#submitNext(inputs.read());
  }

  /** Makes up for a result that was taken; what fails is told in its turn. */
  #refill(): void {
    try {
      this.#fill();
    } catch (error) {
      this.#endReading({ failed: true, error });
    }
    this.#releaseIfRead();
  }

  #releaseIfRead(): void {
    if (this.#end && this.#head === this.#futures.length) this.#release();
  }

  async #fillAsync(inputs: Zip): Promise<void> {
    if (this.#reading) return;
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
    return !this.#end && this.#futures.length - this.#head < this.#buffersize;
  }

  #submitNext(args: unknown[] | undefined): void {
    // Reading and submitting run code of others, which may end the iteration.
    if (this.#end) return;
    if (args === undefined) return this.#endReading(RAN_OUT);
    const future = this.#submit(args);
    if (this.#end) future.cancel();
    else this.#futures.push(future);
  }

  #endReading(end: End): void {
    this.#end ??= end;
    this.#inputs?.close();
    this.#inputs = undefined;
  }

  readonly #onAbort = ({ target }: Event) => {
    this.#stop({ failed: true, error: (target as AbortSignal).reason });
  };

  /** Cancels what has not started; `end` is all that is left to tell. */
  #stop(end: End): void {
    this.#endReading(end);
    this.#end = end;
    this.#release();
    const left = this.#futures.slice(this.#head);
    this.#futures = [];
    this.#head = 0;
    this.#watched = undefined;
    for (const future of left) future!.cancel();
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
