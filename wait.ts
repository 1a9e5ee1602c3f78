/**
 * Waiting for several futures, of whatever executors, through nothing but their
 * public methods.
 *
 * A future has no way to take a done callback back. So each future gets one
 * callback from this file, ever, and who waits for it stands in a set of its
 * own that can be left: polling a future with `wait` a million times leaves
 * nothing behind.
 *
 * @module
 */

import { TimeoutError } from "./errors.ts";
import { Future } from "./future.ts";
import { needsNoContext } from "./internal/base/async_context.ts";
import {
  checkNames,
  checkSignal,
  checkTimeout,
  optionNames,
  show,
} from "./internal/base/checks.ts";
import { stays } from "./internal/base/stays.ts";
import { programClock, startTimer } from "./internal/base/timers.ts";

/** `returnWhen`: wait until all futures are done. The default. */
export const ALL_COMPLETED = "ALL_COMPLETED" as const;
/** `returnWhen`: wait until one future is done. */
export const FIRST_COMPLETED = "FIRST_COMPLETED" as const;
/** `returnWhen`: wait until one future's call threw, or all are done. */
export const FIRST_EXCEPTION = "FIRST_EXCEPTION" as const;

/** When {@linkcode wait} has waited enough. */
export type ReturnWhen =
  | typeof ALL_COMPLETED
  | typeof FIRST_COMPLETED
  | typeof FIRST_EXCEPTION;

/** The options of {@linkcode wait}. */
export interface WaitOptions {
  /** How long to wait at most, in milliseconds. @default {undefined} no limit */
  timeout?: number;
  /** What to wait for. @default {"ALL_COMPLETED"} */
  returnWhen?: ReturnWhen;
  /** Stops the waiting, not the calls. @default {undefined} none */
  signal?: AbortSignal;
}

/** The options of {@linkcode asCompleted}. */
export interface AsCompletedOptions {
  /**
   * How long to wait for all futures at most, in milliseconds, counted from the
   * call of `asCompleted`. @default {undefined} no limit
   */
  timeout?: number;
  /** Stops the waiting, not the calls. @default {undefined} none */
  signal?: AbortSignal;
}

const WAIT_OPTIONS = optionNames<WaitOptions>({
  timeout: true,
  returnWhen: true,
  signal: true,
});

const AS_COMPLETED_OPTIONS = optionNames<AsCompletedOptions>({
  timeout: true,
  signal: true,
});

/**
 * What {@linkcode wait} gives: two sets by name, or in order as Python's named
 * tuple, `const [done, notDone] = await wait(futures)`.
 *
 * @typeParam F The type of the futures.
 */
export interface DoneAndNotDone<F> extends Iterable<Set<F>> {
  /** The futures that are done: finished or cancelled. */
  done: Set<F>;
  /** The futures that wait or run. */
  notDone: Set<F>;
  /** Gives `done`, then `notDone`. */
  [Symbol.iterator](): ArrayIterator<Set<F>>;
}

/** Who waits for each future, asked once it is done. */
const watchers = new WeakMap<
  Future<unknown>,
  Set<(future: Future<unknown>) => void>
>();

/** The one callback of each future that is waited for. It wakes promises, no more. */
const tellWatchers = needsNoContext((done: Future<unknown>) => {
  const watching = watchers.get(done);
  watchers.delete(done);
  for (const fn of watching ?? []) fn(done);
});

/** Has `fn` called when the future, which is not done yet, is. */
function watch(
  future: Future<unknown>,
  fn: (future: Future<unknown>) => void,
): void {
  let watching = watchers.get(future);
  if (watching === undefined) {
    watchers.set(future, watching = new Set());
    future.addDoneCallback(tellWatchers);
  }
  watching.add(fn);
}

function unwatch(
  future: Future<unknown>,
  fn: (future: Future<unknown>) => void,
): void {
  watchers.get(future)?.delete(fn);
}

/** The futures once each, in order. */
function unique<F extends Future<unknown>>(
  futures: Iterable<F>,
  caller: string,
): Set<F> {
  if (
    typeof (futures as Iterable<F> | undefined)?.[Symbol.iterator] !==
      "function"
  ) {
    throw new TypeError(
      `${caller} takes an iterable of futures: received ${show(futures)}`,
    );
  }
  const set = new Set<F>();
  for (const future of futures) {
    if (!(future instanceof Future)) {
      throw new TypeError(
        `${caller} takes an iterable of futures: received ${
          show(future)
        } among them`,
      );
    }
    set.add(future);
  }
  return set;
}

/** Whether the call of a future that is done threw, `undefined` included. */
function threw(future: Future<unknown>): Promise<boolean> {
  if (future.cancelled()) return Promise.resolve(false);
  return future.result(0).then(() => false, () => true);
}

/**
 * Waits for futures, of one executor or several: for all of them, for the first
 * that is done, or for the first whose call threw.
 *
 * The calls of futures that are not done go on. A timeout is no error: it shows
 * in `notDone`. The timer of a `timeout` keeps the program alive until it ends
 * or the waiting does.
 *
 * @typeParam F The type of the futures.
 * @param futures The futures; one that comes twice counts once.
 * @param options What to wait for, and how long.
 * @returns The futures that are done, and those that are not.
 * @throws {RangeError} when `returnWhen` is none of the three, or `timeout` is `NaN`.
 * @throws {TypeError} when `futures` holds something else, `timeout` is no
 * number, or `signal` no signal.
 *
 * Rejects with the signal's reason when `signal` aborts.
 *
 * @example Waiting for the first
 * ```ts
 * import { FIRST_COMPLETED, Future, wait } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * const [quick, slow] = [new Future<string>(), new Future<string>()];
 * quick.setResult("quick");
 * const { done, notDone } = await wait([quick, slow], {
 *   returnWhen: FIRST_COMPLETED,
 * });
 * assert.deepEqual([...done], [quick]);
 * assert.deepEqual([...notDone], [slow]);
 * ```
 */
export async function wait<F extends Future<unknown>>(
  futures: Iterable<F>,
  options: WaitOptions = {},
): Promise<DoneAndNotDone<F>> {
  options = checkNames(options, WAIT_OPTIONS, "wait");
  const { returnWhen = ALL_COMPLETED, signal } = options;
  if (
    returnWhen !== ALL_COMPLETED && returnWhen !== FIRST_COMPLETED &&
    returnWhen !== FIRST_EXCEPTION
  ) {
    throw new RangeError(
      `returnWhen must be "ALL_COMPLETED", "FIRST_COMPLETED" or "FIRST_EXCEPTION": received ${
        show(returnWhen)
      }`,
    );
  }
  const limit = checkTimeout(options.timeout);
  checkSignal(signal);
  const all = unique(futures, "wait");
  signal?.throwIfAborted();

  const pending = new Set<F>();
  for (const future of all) if (!future.done()) pending.add(future);
  const doneBefore = all.size - pending.size;
  const enough = pending.size === 0 ||
    (returnWhen === FIRST_COMPLETED && doneBefore > 0);
  if (!enough) await untilEnough();
  return partition(all);

  function untilEnough(): Promise<void> {
    return new Promise((resolve, reject) => {
      const onDone = (future: Future<unknown>) => {
        pending.delete(future as F);
        if (pending.size === 0 || returnWhen === FIRST_COMPLETED) end();
        else if (returnWhen === FIRST_EXCEPTION) endIfThrew(future);
      };
      const endIfThrew = (future: Future<unknown>) => {
        threw(future).then((threw) => threw && end());
      };
      const leave = () => {
        stop?.();
        signal?.removeEventListener("abort", onAbort);
        for (const future of pending) unwatch(future, onDone);
      };
      const end = () => {
        leave();
        resolve();
      };
      const onAbort = () => {
        leave();
        reject(signal!.reason);
      };
      const stop = limit === undefined || limit <= 0
        ? undefined
        : startTimer(limit, end, programClock);
      signal?.addEventListener("abort", onAbort);
      for (const future of pending) watch(future, onDone);
      if (returnWhen === FIRST_EXCEPTION) {
        for (const future of all) if (future.done()) endIfThrew(future);
      }
      // With no time to wait, what is there now decides.
      if (limit !== undefined && limit <= 0) end();
    });
  }
}

function partition<F extends Future<unknown>>(all: Set<F>): DoneAndNotDone<F> {
  const done = new Set<F>();
  const notDone = new Set<F>();
  for (const future of all) (future.done() ? done : notDone).add(future);
  const result = { done, notDone };
  Object.defineProperty(result, Symbol.iterator, {
    value: () => [done, notDone].values(),
  });
  return result as DoneAndNotDone<F>;
}

/**
 * Gives futures as they are done, those that were done at the call first.
 * Futures of different executors mix; one that comes twice is given once.
 *
 * A future that was given is not kept alive by the iterator. Leaving the loop
 * early is fine: it cancels nothing. The timer of a `timeout` keeps the program
 * alive until it ends or the iteration does.
 *
 * @typeParam F The type of the futures.
 * @param futures The futures.
 * @param options How long to wait.
 * @returns An iterator over the futures in the order in which they end. Its
 * `next()` rejects with {@linkcode TimeoutError} when not all are done in time,
 * and with the signal's reason when `signal` aborts.
 * @throws {RangeError} when `timeout` is `NaN`.
 * @throws {TypeError} when `futures` holds something else, `timeout` is no
 * number, or `signal` no signal.
 *
 * @example Results as they come
 * ```ts
 * import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 2 });
 * const futures = [1, 2, 3].map((n) => executor.submit(Math.sqrt, n * n));
 * const results: number[] = [];
 * for await (const future of asCompleted(futures)) {
 *   results.push(await future.result());
 * }
 * assert.deepEqual(results.sort(), [1, 2, 3]);
 * ```
 */
export function asCompleted<F extends Future<unknown>>(
  futures: Iterable<F>,
  options: AsCompletedOptions = {},
): AsyncIterableIterator<F> {
  options = checkNames(options, AS_COMPLETED_OPTIONS, "asCompleted");
  const limit = checkTimeout(options.timeout);
  checkSignal(options.signal);
  return new AsCompleted(
    unique(futures, "asCompleted"),
    limit,
    options.signal,
  );
}

/** The end of an iteration before its time. */
type Failure = { readonly error: unknown };

/** What a `next()` that found nothing waits with. */
interface Asker<F> {
  resolve(result: IteratorResult<F>): void;
  reject(error: unknown): void;
}

class AsCompleted<F extends Future<unknown>>
  implements AsyncIterableIterator<F> {
  static {
    stays(this.prototype, "iterator of asCompleted()");
  }

  readonly #total: number;
  readonly #pending = new Set<F>();
  /** Done and not given yet; a slot is emptied as its future is given. */
  #ready: (F | undefined)[] = [];
  #given = 0;
  #askers: Asker<F>[] = [];
  #failure: Failure | undefined;
  #stopTimer: (() => void) | undefined;
  #signal: AbortSignal | undefined;

  constructor(
    futures: Set<F>,
    limit: number | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#total = futures.size;
    for (const future of futures) {
      if (future.done()) this.#ready.push(future);
      else this.#pending.add(future);
    }
    if (this.#pending.size === 0) return;
    if (signal?.aborted) {
      this.#fail(signal.reason);
      return;
    }
    for (const future of this.#pending) watch(future, this.#onDone);
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
    if (limit !== undefined) {
      this.#stopTimer = startTimer(
        limit,
        () =>
          this.#fail(
            new TimeoutError(
              `${this.#pending.size} (of ${this.#total}) futures unfinished after ${limit} ms`,
            ),
          ),
        programClock,
      );
    }
  }

  readonly #onDone = (future: Future<unknown>) => {
    this.#pending.delete(future as F);
    const asker = this.#askers.shift();
    if (asker) asker.resolve({ done: false, value: future as F });
    else this.#ready.push(future as F);
    if (this.#pending.size === 0) this.#end();
  };

  readonly #onAbort = () => this.#fail(this.#signal!.reason);

  #fail(error: unknown): void {
    const asker = this.#askers.shift();
    if (asker) asker.reject(error);
    else this.#failure = { error };
    this.#end();
  }

  /** Waits for nothing any more; what is ready can still be asked for. */
  #end(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#signal = undefined;
    for (const future of this.#pending) unwatch(future, this.#onDone);
    this.#pending.clear();
    for (const asker of this.#askers.splice(0)) {
      asker.resolve({ done: true, value: undefined });
    }
  }

  next(): Promise<IteratorResult<F>> {
    if (this.#given < this.#ready.length) {
      const value = this.#ready[this.#given]!;
      this.#ready[this.#given++] = undefined;
      if (this.#given === this.#ready.length) {
        this.#ready = [];
        this.#given = 0;
      }
      return Promise.resolve({ done: false, value });
    }
    if (this.#failure) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#pending.size === 0) {
      return Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#askers.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<F>> {
    this.#ready = [];
    this.#given = 0;
    this.#failure = undefined;
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
