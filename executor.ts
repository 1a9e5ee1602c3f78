/**
 * What all executors have in common: `submit` and `shutdown` are theirs to
 * supply, `map` and `await using` are written over these two.
 *
 * @module
 */

import type { Future } from "./future.ts";
import {
  type CheckedSubmitOptions,
  checkSubmitOptions,
  type SubmitOptions,
} from "./internal/limits.ts";
import {
  type Backlog,
  Calls,
  type Input,
  type Inputs,
  type MapOptions,
  Results,
  splitMapArguments,
} from "./internal/mapping.ts";

export type { CheckedSubmitOptions, Input, Inputs, MapOptions, SubmitOptions };

/** The options of {@linkcode Executor.shutdown}. */
export interface ShutdownOptions {
  /** Resolve only when all is done and nothing is left. @default {true} */
  wait?: boolean;
  /** Cancel the calls that have not started. @default {false} */
  cancelFutures?: boolean;
}

/**
 * An executor with other options, as {@linkcode Executor.with} gives it: the
 * same workers, the same queue.
 */
export type ExecutorView = Pick<Executor, "submit" | "map" | "with">;

// Set by the class itself, which alone may look at what is protected.
let behind: (executor: Executor) => Behind;

/**
 * Runs calls somewhere else, or later, and gives a {@linkcode Future} for each.
 *
 * The interface of `ThreadPoolExecutor` and its siblings. A subclass supplies
 * `submit` and `shutdown`.
 *
 * @example An executor of one's own
 * ```ts
 * import { Executor, Future, type ShutdownOptions } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * class Immediate extends Executor {
 *   submit<A extends unknown[], R>(
 *     fn: (...args: A) => R,
 *     ...args: A
 *   ): Future<Awaited<R>> {
 *     const future = new Future<Awaited<R>>();
 *     future.setRunningOrNotifyCancel();
 *     Promise.try(fn, ...args).then(
 *       (value) => future.setResult(value as Awaited<R>),
 *       (error) => future.setException(error),
 *     );
 *     return future;
 *   }
 *   shutdown(_options?: ShutdownOptions): Promise<void> {
 *     return Promise.resolve();
 *   }
 * }
 *
 * await using executor = new Immediate();
 * const results = await Array.fromAsync(executor.map((n) => n * 2, [1, 2, 3]));
 * assert.deepEqual(results, [2, 4, 6]);
 * ```
 */
export abstract class Executor implements AsyncDisposable {
  /**
   * Has `fn(...args)` run by the executor.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function, async or not.
   * @param args Its arguments.
   * @returns The future of the call.
   * @throws {RuntimeError} when the executor was shut down.
   * @throws {TypeError} when `fn` is no function.
   *
   * @example One call
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * const future = executor.submit((a: number, b: number) => a + b, 1, 2);
   * assert.equal(await future.result(), 3);
   * ```
   */
  abstract submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>>;

  /**
   * Calls `fn` with the first item of each iterable, with the second of each,
   * and so on until the shortest ends, and gives the results in that order.
   *
   * The calls are submitted at once, not as the results are asked for, unless
   * `buffersize` says otherwise. What a call threw is thrown when its result is
   * reached, and ends the iteration. Leaving the loop early cancels what has
   * not started.
   *
   * @typeParam A The types of the function's parameters.
   * @typeParam R What the function returns.
   * @param fn The function, async or not.
   * @param rest An iterable for each parameter, then the options.
   * @returns An iterator over the results. Its `next()` rejects with what a
   * call threw; with {@linkcode TimeoutError} when a result is not there in
   * time; with {@linkcode CancelledError} when a call was cancelled.
   * @throws {RuntimeError} when the executor was shut down.
   * @throws {RangeError} when `chunksize` or `buffersize` is less than 1, or
   * `timeout` is `NaN`.
   * @throws {TypeError} when `fn` is no function, an input no iterable,
   * `chunksize` or `buffersize` no integer, `signal` no signal, or an async
   * iterable comes without `buffersize`.
   *
   * @example Powers of two
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 2 });
   * const powers: number[] = [];
   * for await (const power of executor.map(Math.pow, [2, 2, 2], [1, 2, 3])) {
   *   powers.push(power);
   * }
   * assert.deepEqual(powers, [2, 4, 8]);
   * ```
   *
   * @example An endless input, read eight results ahead
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * function* naturals() {
   *   for (let n = 1;; n++) yield n;
   * }
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 2 });
   * let sum = 0;
   * for await (const n of executor.map((n) => n * n, naturals(), { buffersize: 8 })) {
   *   if (n > 100) break;
   *   sum += n;
   * }
   * assert.equal(sum, 385);
   * ```
   */
  map<A, R>(
    fn: (a: A) => R,
    a: Input<A>,
    options?: MapOptions,
  ): AsyncIterableIterator<Awaited<R>>;
  /** Over an iterable for each parameter. */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...Inputs<A>]
  ): AsyncIterableIterator<Awaited<R>>;
  /** Over an iterable for each parameter, with options. */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...rest: [...Inputs<A>, MapOptions | undefined]
  ): AsyncIterableIterator<Awaited<R>>;
  map(
    fn: (...args: unknown[]) => unknown,
    ...rest: unknown[]
  ): AsyncIterableIterator<unknown> {
    const { inputs, options } = splitMapArguments(fn, rest);
    const held = this.checkAccepts(fn) as typeof fn | undefined;
    const signals = this instanceof View
      ? [...this.signals, ...options.signals]
      : options.signals;
    const taken = held ?? fn;
    const together = this.gather(taken, options.chunksize ?? Infinity);
    const backlog = together as Backlog | undefined ??
      new Calls((args) => this.submit(taken, ...args));
    return new Results(backlog, inputs, { ...options, signals });
  }

  /**
   * Gives a view of this executor that submits with options: signals that end
   * its calls, a time limit for each of them, what their arguments are to move.
   * Views nest: signals add up, of the other options the inner one counts.
   *
   * When a signal aborts, or a call's time is over, the call rejects with the
   * signal's reason or a {@linkcode TimeoutError}. One that waits is cancelled.
   * One that runs fails at once; the signal of its `currentTask()` aborts, and if
   * it does not end soon after (100 milliseconds), its worker is replaced. A child
   * process is killed, whatever it does. A thread in a loop that never yields
   * can't be: its call fails, and it spins on until the program ends, which only
   * `Deno.exit()` then brings about. The other calls, and the pool, go on.
   *
   * A call with options has a worker to itself while it runs, so a great many
   * very short ones are slower with than without.
   *
   * @param options The options.
   * @returns The view. What keeps the program alive is the executor, as ever.
   * @throws {TypeError} when an option is of the wrong type, or this executor
   * takes none.
   * @throws {RangeError} when `timeLimit` is not greater than 0.
   *
   * @example A loop that would never end
   * ```ts
   * import { ProcessPoolExecutor, TimeoutError } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ProcessPoolExecutor({ maxWorkers: 1 });
   * const future = executor.with({ timeLimit: 100 }).submit(() => {
   *   for (;;);
   * });
   * await assert.rejects(future.result(), TimeoutError);
   * assert.equal(await executor.submit(Math.sqrt, 9).result(), 3);
   * ```
   *
   * @example One signal for many calls
   * ```ts
   * import { ThreadPoolExecutor, wait } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * const controller = new AbortController();
   * const { signal } = controller;
   * const futures = [1, 2, 3].map(() =>
   *   executor.with({ signal }).submit(() => new Promise(() => {}))
   * );
   * controller.abort();
   * const { done } = await wait(futures);
   * assert.equal(done.size, 3);
   * ```
   */
  with(options: SubmitOptions): ExecutorView {
    if (this.submitWith === Executor.prototype.submitWith) {
      throw new TypeError(
        `${this.constructor.name} takes no options of with(): its class has no submitWith()`,
      );
    }
    return new View(this, checkSubmitOptions(options));
  }

  /**
   * Submits with the options of a view. For subclasses; by default, an executor
   * takes none.
   *
   * @param _options The options, checked.
   * @param _fn The function.
   * @param _args Its arguments.
   */
  protected submitWith(
    _options: CheckedSubmitOptions,
    _fn: (...args: unknown[]) => unknown,
    _args: readonly unknown[],
  ): Future<unknown> {
    throw new TypeError("with() needs a submitWith() of the class's own");
  }

  static {
    behind = (executor) => ({
      submitWith: (...args) => executor.submitWith(...args),
      checkAccepts: (fn) => executor.checkAccepts(fn),
    });
  }

  /**
   * Throws what `submit` would throw, whatever the arguments. `map` asks before
   * it reads its inputs, which may be none. For subclasses; by default, nothing.
   *
   * @param _fn The function that is to be submitted.
   * @returns What to submit in its place, once for each item: for subclasses that
   * read what is around a function, and do so once. `undefined`: the function.
   */
  protected checkAccepts(_fn: unknown): unknown {
    return undefined;
  }

  /**
   * Takes the items of a `map` in its own way. For subclasses that have many
   * travel together; by default, each is submitted.
   *
   * @param _fn The function, or what `checkAccepts` gave.
   * @param _most How many items may travel together.
   * @returns What submits items and hands out their results, if there is such.
   */
  protected gather(_fn: unknown, _most: number): unknown {
    return undefined;
  }

  /**
   * Takes no more calls, and frees what the executor holds once the calls that
   * it has are done. It may be called again.
   *
   * @param options Whether to wait, and whether to cancel what has not started.
   * @returns A promise that resolves when all is done and nothing is left; with
   * `wait: false`, at once, and the work still completes.
   *
   * @example Without waiting for calls that have not started
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * const futures = [4, 9, 16].map((n) => executor.submit(Math.sqrt, n));
   * await executor.shutdown({ cancelFutures: true });
   * assert.ok(futures.every((future) => future.done()));
   * ```
   */
  abstract shutdown(options?: ShutdownOptions): Promise<void>;

  /**
   * Shuts the executor down and waits, at the end of an `await using` block.
   *
   * @returns What `shutdown()` returns.
   *
   * @example The block ends when its work is done
   * ```ts
   * import { type Future, ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * let future: Future<number>;
   * {
   *   await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   *   future = executor.submit(Math.sqrt, 4);
   * }
   * assert.equal(future.done(), true);
   * ```
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

/** What is protected of an executor, for its views. */
interface Behind {
  submitWith(
    options: CheckedSubmitOptions,
    fn: (...args: unknown[]) => unknown,
    args: readonly unknown[],
  ): Future<unknown>;
  checkAccepts(fn: unknown): unknown;
}

/** An executor with options. */
class View extends Executor {
  readonly #executor: Executor;
  readonly #behind: Behind;
  readonly #options: CheckedSubmitOptions;

  constructor(executor: Executor, options: CheckedSubmitOptions) {
    super();
    this.#executor = executor;
    this.#behind = behind(executor);
    this.#options = options;
  }

  /** They end an iteration of `map`, too. */
  get signals(): readonly AbortSignal[] {
    return this.#options.signals;
  }

  override submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    return this.submitWith(
      this.#options,
      fn as (...args: unknown[]) => unknown,
      args,
    ) as Future<Awaited<R>>;
  }

  override with(options: SubmitOptions): ExecutorView {
    return new View(this.#executor, checkSubmitOptions(options, this.#options));
  }

  protected override submitWith(
    ...args: Parameters<Behind["submitWith"]>
  ): Future<unknown> {
    return this.#behind.submitWith(...args);
  }

  protected override checkAccepts(fn: unknown): unknown {
    return this.#behind.checkAccepts(fn);
  }

  override shutdown(options?: ShutdownOptions): Promise<void> {
    return this.#executor.shutdown(options);
  }
}
