/**
 * What all executors have in common: `submit` and `shutdown` are theirs to
 * supply, `map` and `await using` are written over these two.
 *
 * @module
 */

import type { Future } from "./future.ts";
import { stays } from "./internal/base/stays.ts";
import {
  type Engine,
  engineForMap,
  engineOf,
  takingOptions,
  withOptions,
} from "./internal/call/engine.ts";
import {
  type CheckedSubmitOptions,
  checkSubmitOptions,
  NO_OPTIONS,
  type SubmitOptions,
} from "./internal/call/limits.ts";
import { type Backlog, backlogOf } from "./internal/call/map_backlog.ts";
import {
  type Input,
  type Inputs,
  type MapOptions,
  type MapOutcome,
  MapResults,
  splitMapArguments,
} from "./internal/call/map_results.ts";
import type { PoolStats } from "./internal/call/statistics.ts";

export type { Input, Inputs, MapOptions, MapOutcome, SubmitOptions };

/** The options of {@linkcode Executor.shutdown}. */
export interface ShutdownOptions {
  /** Resolve only when all is done and nothing is left. @default {true} */
  wait?: boolean;
  /** Cancel the calls that have not started. @default {false} */
  cancelFutures?: boolean;
}

/**
 * An executor with other options, as {@linkcode Executor.with} gives it: the
 * same workers, the same queue, and the same end. It can be used wherever an
 * executor is expected.
 */
export type ExecutorView = Executor;

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
  static {
    stays(this.prototype);
  }

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
   * With `settled`, gives what came of each item, returned or thrown, as `Promise.allSettled`
   * does: no call's failure ends the iteration. What ends a call, such as a view's
   * signal or time limit, a shutdown that cancels, or its worker's death, is that
   * call's outcome; a `timeout` or `signal` of the `map` itself ends the iteration.
   *
   * @example One of three fails
   * ```ts
   * import { EventLoopExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new EventLoopExecutor();
   * const texts = ["1", "{", "3"];
   * const failed: string[] = [];
   * const all = executor.map((text) => JSON.parse(text), texts, { settled: true });
   * for await (const outcome of all) {
   *   if (outcome.status === "rejected") failed.push(texts[outcome.index]);
   * }
   * assert.deepEqual(failed, ["{"]);
   * ```
   */
  map<A, R>(
    fn: (a: A) => R,
    a: Input<A>,
    options: MapOptions & { settled: true },
  ): AsyncIterableIterator<MapOutcome<Awaited<R>>>;
  /** With `settled`, for a function of several parameters: an iterable for each. */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...rest: [...Inputs<A>, MapOptions & { settled: true }]
  ): AsyncIterableIterator<MapOutcome<Awaited<R>>>;
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
  /**
   * The same for a function of several parameters: an iterable for each. The
   * shortest of them ends it.
   *
   * @example Two lists in step
   * ```ts
   * import { EventLoopExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new EventLoopExecutor();
   * const sums = executor.map((a: number, b: number) => a + b, [1, 2, 3], [4, 5]);
   * assert.deepEqual(await Array.fromAsync(sums), [5, 7]);
   * ```
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...inputs: [...Inputs<A>]
  ): AsyncIterableIterator<Awaited<R>>;
  /**
   * The same for a function of several parameters, with options.
   *
   * @example Results as they come
   * ```ts
   * import { EventLoopExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new EventLoopExecutor();
   * const gate = Promise.withResolvers<void>();
   * const fn = async (name: string, waits: boolean) => {
   *   if (waits) await gate.promise;
   *   return name;
   * };
   * const options = { unordered: true };
   * const names = executor.map(fn, ["slow", "fast"], [true, false], options);
   * assert.equal((await names.next()).value, "fast");
   * gate.resolve();
   * assert.equal((await names.next()).value, "slow");
   * ```
   */
  map<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...rest: [...Inputs<A>, MapOptions | undefined]
  ): AsyncIterableIterator<Awaited<R>>;
  map(
    fn: (...args: unknown[]) => unknown,
    ...rest: unknown[]
  ): AsyncIterableIterator<unknown> {
    const { inputs, options } = splitMapArguments(fn, rest);
    return takingOptions(this, (view) => {
      const { chunksize: most = Infinity, unordered, settled } = options;
      const backlog = engineForMap(this)?.map(fn, view, { most, unordered }) ??
        callsOf(this, fn, view, unordered);
      // With `settled`, a signal of the calls is their outcome.
      const signals = settled
        ? options.signals
        : [...view.signals, ...options.signals];
      return new MapResults(backlog, inputs, { ...options, signals });
    });
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
   * @throws {TypeError} when an option is of the wrong type, or the executor is of
   * a class of one's own that can't obey it.
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
    const checked = checkSubmitOptions(options);
    if (!engineOf(this)) {
      for (const [name, value] of Object.entries(options)) {
        if (value === undefined) continue;
        throw new TypeError(
          `${this.constructor.name} has no way to obey the option ${name} of with(): only executors of this library, and subclasses of these, do`,
        );
      }
    }
    return new View(this, checked);
  }

  /**
   * Tells what the executor does and has done: workers, calls, times.
   *
   * @returns Plain data, of this moment. All times are milliseconds.
   * @throws {TypeError} when the executor is of a class of one's own that is no
   * subclass of one of this library's.
   *
   * @example How many calls have returned
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * await executor.submit(Math.sqrt, 9).result();
   * const { workers, calls, times } = executor.stats();
   * assert.deepEqual([workers.live, workers.busy], [1, 0]);
   * assert.equal(calls.finished, 1);
   * assert.equal(times.running.count, 1);
   * ```
   */
  stats(): PoolStats {
    return engineFor(this, "stats").stats();
  }

  /**
   * Starts workers before there are calls for them, and waits until they are up:
   * until they have imported their modules and run the initializer. A worker that
   * is busy is up. Warm workers end after `idleTimeout`, as all do.
   *
   * @param count How many workers are to be up. Default: as many as there may be.
   * @returns A promise that resolves when they are; it rejects with what the
   * initializer threw, or the import of a module, and with
   * {@linkcode RuntimeError} when the executor is shut down before.
   * @throws {TypeError} when `count` is no integer, or the executor is of a class
   * of one's own that is no subclass of one of this library's.
   * @throws {RangeError} when `count` is less than 1, or more than there may be.
   *
   * @example A first call that need not wait for a worker to start
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 2 });
   * await executor.warmUp();
   * assert.equal(executor.stats().workers.live, 2);
   * ```
   */
  async warmUp(count?: number): Promise<void> {
    await engineFor(this, "warmUp").warmUp(count);
  }

  /**
   * Waits until fewer than so many calls wait, as {@linkcode Executor.stats}
   * counts them: for those who submit more than can be run, and must not get too
   * far ahead. Who asks first is answered first, and has had its turn to submit
   * before the next is looked at.
   *
   * @param limit How many calls wait when there is no room.
   * @returns A promise that resolves when there is room; it rejects with
   * {@linkcode RuntimeError} when the executor is shut down.
   * @throws {TypeError} when `limit` is no integer, or the executor is of a class
   * of one's own that is no subclass of one of this library's.
   * @throws {RangeError} when `limit` is less than 1.
   *
   * @example No more than ten calls ahead
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * for (let n = 0; n < 50; n++) {
   *   await executor.room(10);
   *   executor.submit(Math.sqrt, n);
   *   assert.ok(executor.stats().calls.waiting <= 10);
   * }
   * ```
   */
  async room(limit: number): Promise<void> {
    await engineFor(this, "room").room(limit);
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

/** What submits each item by the executor's own `submit`. It holds no inputs. */
function callsOf(
  executor: Executor,
  fn: (...args: unknown[]) => unknown,
  view: CheckedSubmitOptions,
  unordered: boolean,
): Backlog {
  return backlogOf(
    view === NO_OPTIONS
      ? (args) => executor.submit(fn, ...args)
      : (args) =>
        withOptions(executor, view, () => executor.submit(fn, ...args)),
    unordered,
  );
}

function engineFor(executor: Executor, method: string): Engine {
  const engine = engineOf(executor);
  if (engine) return engine;
  throw new TypeError(
    `${executor.constructor.name} has no ${method}(): only executors of this library, and subclasses of these, do`,
  );
}

/** An executor with options. */
class View extends Executor {
  static {
    stays(this.prototype, "ExecutorView");
  }

  readonly #executor: Executor;
  readonly #options: CheckedSubmitOptions;

  constructor(executor: Executor, options: CheckedSubmitOptions) {
    super();
    this.#executor = executor;
    this.#options = options;
  }

  override submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    const executor = this.#executor;
    return withOptions(
      executor,
      this.#options,
      () => executor.submit(fn, ...args),
    );
  }

  override map(
    fn: (...args: unknown[]) => unknown,
    ...rest: unknown[]
  ): AsyncIterableIterator<never> {
    const executor = this.#executor;
    return withOptions(
      executor,
      this.#options,
      () => executor.map(fn, ...rest as [Input<unknown>]),
    ) as AsyncIterableIterator<never>;
  }

  override with(options: SubmitOptions): ExecutorView {
    // Asked first: it may take no options at all.
    this.#executor.with(options);
    return new View(this.#executor, checkSubmitOptions(options, this.#options));
  }

  override stats(): PoolStats {
    return this.#executor.stats();
  }

  override warmUp(count?: number): Promise<void> {
    return this.#executor.warmUp(count);
  }

  override room(limit: number): Promise<void> {
    return this.#executor.room(limit);
  }

  override shutdown(options?: ShutdownOptions): Promise<void> {
    return this.#executor.shutdown(options);
  }
}
