/**
 * One call's state and outcome.
 *
 * ```text
 *             cancel()             setRunningOrNotifyCancel()   setResult / setException
 * pending     → cancelled, true    → running, true              → finished
 * running     false                throws                       → finished
 * cancelled   true                 false (the first time)       throws
 * finished    false                throws                       throws
 * ```
 *
 * `cancelled` and `finished` are done: `#settle()` is the only way into either.
 *
 * @module
 */

import { CancelledError, InvalidStateError, TimeoutError } from "./errors.ts";
import { contextFor, type Kept } from "./internal/base/async_context.ts";
import { cancelReasons } from "./internal/base/cancel_reasons.ts";
import { checkTimeout, show } from "./internal/base/checks.ts";
import { stays } from "./internal/base/stays.ts";
import { programClock, soon, startTimer } from "./internal/base/timers.ts";

type State<T> =
  | { readonly is: "pending" }
  | { readonly is: "running" }
  | { readonly is: "cancelled"; notified: boolean }
  | Finished<T>;

type Finished<T> =
  | { readonly is: "finished"; readonly threw: false; readonly value: T }
  | { readonly is: "finished"; readonly threw: true; readonly value: unknown };

type Done<T> = Extract<State<T>, { is: "cancelled" | "finished" }>;

// A method's type, so that a Future<number> can stand for a Future<unknown>.
type Callback<T> = { call(future: Future<T>): unknown }["call"];

/** A done callback, and the async context in which it was added. */
interface Added<T> {
  readonly fn: Callback<T>;
  readonly context: Kept | undefined;
}

/** The done callbacks of a future that is done, as far as they have not run. */
interface Round {
  readonly future: Future<unknown>;
  readonly callbacks: readonly Added<unknown>[];
  next: number;
}

/** Who waits for a future: nearly all for its result, for as long as it takes. */
interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Who waits for no longer than some time, or for the exception alone. */
class ChoosyWaiter implements Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly forException: boolean;
  stopTimer: (() => void) | undefined = undefined;

  constructor({ resolve, reject }: Waiter, forException: boolean) {
    this.resolve = resolve;
    this.reject = reject;
    this.forException = forException;
  }
}

// Shared by all futures: 300,000 waiting ones hold no state object of their own.
const PENDING = { is: "pending" } as const;
const RUNNING = { is: "running" } as const;
/** The state of a future that follows a promise: nobody else may finish it. */
const FOLLOWING = { is: "running" } as const;

/** What the done callback that runs at this moment has settled, in that order. */
let settledMeanwhile: Round[] | undefined;

/**
 * What will come of a call that was submitted to an executor.
 *
 * A future is *not* thenable, on purpose: `await future` gives the future
 * itself back, so it can be passed through async functions and yielded by async
 * generators. Ask it with {@linkcode Future.result}.
 *
 * A future that failed and that nobody asks is silent: it never becomes an
 * unhandled rejection. A future alone keeps no program alive; the executor that
 * runs its call does, until it is done.
 *
 * @typeParam T What the call returns, promises resolved.
 *
 * @example A call's life
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
 * const future = executor.submit(Math.pow, 323, 2);
 * assert.equal(await future.result(), 104329);
 * assert.equal(future.done(), true);
 * assert.equal(future.cancel(), false);
 * ```
 */
export class Future<T> {
  static {
    stays(this.prototype);
  }

  #state: State<T> = PENDING;
  // Nearly always one: a set of its own would cost more than all the rest.
  #waiters: Waiter | Set<Waiter> | undefined;
  #callbacks: Added<T>[] | undefined;

  /**
   * Makes a pending future that belongs to no executor: for tests, and for
   * authors of executors.
   *
   * @example A future settled by hand
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<string>();
   * future.setResult("ready");
   * assert.equal(await future.result(), "ready");
   * ```
   */
  constructor() {}

  /**
   * Gives a future that follows a promise, so that {@linkcode wait} and
   * {@linkcode asCompleted} take what is no call of an executor. It runs from the
   * start, and can't be cancelled: nothing here could stop what the promise
   * stands for. What that keeps alive is its own business.
   *
   * @typeParam T What the promise gives.
   * @param promise The promise, or whatever else has a `then()`.
   * @returns A future that finishes with what the promise gives, or fails with
   * what it rejects with; as any future, it does so silently.
   * @throws {TypeError} when `promise` has no `then()`.
   *
   * @example A call of a pool or a promise, whichever is first
   * ```ts
   * import {
   *   FIRST_COMPLETED,
   *   Future,
   *   ThreadPoolExecutor,
   *   wait,
   * } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * const sum = executor.submit((a: number, b: number) => a + b, 1, 2);
   * const page = Future.from(new Promise<string>(() => {}));
   * const { done } = await wait([sum, page], { returnWhen: FIRST_COMPLETED });
   * assert.deepEqual([...done], [sum]);
   * assert.equal(page.cancel(), false);
   * ```
   */
  static from<T>(promise: PromiseLike<T>): Future<Awaited<T>> {
    const then: unknown = Object(promise) === promise
      ? promise.then
      : undefined;
    if (typeof then !== "function") {
      throw new TypeError(
        `Future.from takes a promise: received ${show(promise)}`,
      );
    }
    const future = new Future<Awaited<T>>();
    future.#state = FOLLOWING;
    // The first answer counts: a promise of one's own keeps to that, whatever
    // somebody's then() does after it.
    new Promise<T>((resolve, reject) => {
      Reflect.apply(then, promise, [resolve, reject]);
    }).then(
      (value) =>
        future.#settle({
          is: "finished",
          threw: false,
          value: value as Awaited<T>,
        }),
      (value) => future.#settle({ is: "finished", threw: true, value }),
    );
    return future;
  }

  /**
   * Cancels the call if it has not started. Everyone who waits for this future
   * is woken at once.
   *
   * @returns `true` if the call is cancelled, now or before, and will never
   * start; `false` if it runs or has finished.
   *
   * @example Only what has not started can be cancelled
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const waiting = new Future<number>();
   * assert.equal(waiting.cancel(), true);
   * assert.equal(waiting.cancel(), true);
   *
   * const running = new Future<number>();
   * running.setRunningOrNotifyCancel();
   * assert.equal(running.cancel(), false);
   * ```
   */
  cancel(): boolean {
    switch (this.#state.is) {
      case "pending":
        this.#settle({ is: "cancelled", notified: false });
        return true;
      case "cancelled":
        return true;
      default:
        return false;
    }
  }

  /**
   * Tells whether the call was cancelled.
   *
   * @returns `true` after a `cancel()` that returned `true`.
   *
   * @example Cancelled is done
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<number>();
   * assert.equal(future.cancelled(), false);
   * future.cancel();
   * assert.equal(future.cancelled(), true);
   * assert.equal(future.done(), true);
   * ```
   */
  cancelled(): boolean {
    return this.#state.is === "cancelled";
  }

  /**
   * Tells whether the call runs at this moment and can no longer be cancelled.
   *
   * @returns `true` between the start of the call and its end.
   *
   * @example Between start and end
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<number>();
   * assert.equal(future.running(), false);
   * future.setRunningOrNotifyCancel();
   * assert.equal(future.running(), true);
   * future.setResult(1);
   * assert.equal(future.running(), false);
   * ```
   */
  running(): boolean {
    return this.#state.is === "running";
  }

  /**
   * Tells whether the call was cancelled or has finished.
   *
   * @returns `true` once there is an outcome.
   *
   * @example A call that threw is done too
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<number>();
   * assert.equal(future.done(), false);
   * future.setException(new Error("no"));
   * assert.equal(future.done(), true);
   * ```
   */
  done(): boolean {
    return this.#state.is === "cancelled" || this.#state.is === "finished";
  }

  /**
   * Waits for the call and gives what it returned.
   *
   * The timer of a `timeout` keeps the program alive until it ends or the
   * future is done, whichever comes first.
   *
   * @param timeout How long to wait, in milliseconds. Zero or less asks for
   * what is there now. Default: without limit.
   * @returns What the call returned. Rejects with what the call threw, which
   * may be `undefined`.
   * @throws {TimeoutError} when the call is not done in time; it goes on.
   * @throws {CancelledError} when the call was cancelled, by `cancel()` or a
   * shutdown. One that a signal ended rejects with the signal's reason instead.
   * @throws {TypeError} when `timeout` is no number.
   * @throws {RangeError} when `timeout` is `NaN`.
   *
   * @example What the call threw is thrown here
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * const future = executor.submit(JSON.parse, "{");
   * await assert.rejects(future.result(), SyntaxError);
   * ```
   */
  result(timeout?: number): Promise<T> {
    return this.#ask(false, timeout) as Promise<T>;
  }

  /**
   * Waits for the call and gives what it threw.
   *
   * A call that threw `undefined` can't be told from one that returned; ask
   * {@linkcode Future.result} where that matters.
   *
   * @param timeout How long to wait, in milliseconds. Zero or less asks for
   * what is there now. Default: without limit.
   * @returns What the call threw; `undefined` if it returned.
   * @throws {TimeoutError} when the call is not done in time; it goes on.
   * @throws {CancelledError} when the call was cancelled, by `cancel()` or a
   * shutdown. One that a signal ended rejects with the signal's reason instead.
   * @throws {TypeError} when `timeout` is no number.
   * @throws {RangeError} when `timeout` is `NaN`.
   *
   * @example Looking at the exception without a `try`
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * const future = executor.submit(JSON.parse, "{");
   * assert.ok(await future.exception() instanceof SyntaxError);
   * ```
   */
  exception(timeout?: number): Promise<unknown> {
    return this.#ask(true, timeout);
  }

  /**
   * Has `fn` called with this future once it is done: at once and synchronously
   * if it is done already. Callbacks run in the order they were added. What one
   * throws, or rejects with, is logged with `console.error` and stops nothing.
   *
   * A callback runs in the async context (`AsyncLocalStorage`) in which it was
   * added. If it settles other futures, their callbacks run right after it, and
   * before those of this future that are left: so futures may settle each other
   * in a row, however long.
   *
   * @param fn The callback.
   * @throws {TypeError} when `fn` is no function.
   *
   * @example Counting what is done
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const order: string[] = [];
   * const future = new Future<string>();
   * future.addDoneCallback(() => order.push("first"));
   * future.addDoneCallback(() => order.push("second"));
   * future.setResult("done");
   * assert.deepEqual(order, ["first", "second"]);
   * ```
   */
  addDoneCallback(fn: (future: Future<T>) => void): void {
    if (typeof fn !== "function") {
      throw new TypeError(
        `addDoneCallback takes a function: received ${show(fn)}`,
      );
    }
    if (this.done()) callBack(this, fn);
    else (this.#callbacks ??= []).push({ fn, context: contextFor(fn) });
  }

  /**
   * Marks the call as started, unless it was cancelled. For executors and
   * tests: an executor calls this before it runs the call.
   *
   * @returns `true` if the call may run now; `false` if it was cancelled.
   * @throws {InvalidStateError} when the future runs or has finished, or when
   * it was told of its cancellation before.
   *
   * @example What an executor does before it runs a call
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<number>();
   * if (future.setRunningOrNotifyCancel()) future.setResult(6 * 7);
   * assert.equal(await future.result(), 42);
   * ```
   */
  setRunningOrNotifyCancel(): boolean {
    const state = this.#state;
    if (state.is === "pending") {
      this.#state = RUNNING;
      return true;
    }
    if (state.is === "cancelled" && !state.notified) {
      state.notified = true;
      return false;
    }
    throw new InvalidStateError(
      `Cannot start a call: its future is ${state.is} already`,
    );
  }

  /**
   * Finishes the future with what the call returned. For executors and tests.
   *
   * @param result What the call returned.
   * @throws {InvalidStateError} when the future is done, or follows a promise.
   *
   * @example Finishing a future by hand
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<number>();
   * future.setResult(42);
   * assert.equal(await future.result(), 42);
   * ```
   */
  setResult(result: T): void {
    this.#finish({ is: "finished", threw: false, value: result });
  }

  /**
   * Finishes the future with what the call threw. For executors and tests.
   *
   * @param exception What the call threw: any value, as with `throw`.
   * @throws {InvalidStateError} when the future is done, or follows a promise.
   *
   * @example Failing a future by hand
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<number>();
   * future.setException(new RangeError("too far"));
   * await assert.rejects(future.result(), RangeError);
   * ```
   */
  setException(exception: unknown): void {
    this.#finish({ is: "finished", threw: true, value: exception });
  }

  /**
   * Shows class and state, and the type of what came of the call: as
   * `Deno.inspect` and `console.log` print it.
   *
   * @returns The line to print.
   *
   * @example Printing a future
   * ```ts
   * import { Future } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const future = new Future<number>();
   * assert.equal(Deno.inspect(future), "<Future state=pending>");
   * future.setResult(42);
   * assert.equal(Deno.inspect(future), "<Future state=finished returned number>");
   * ```
   */
  [Symbol.for("Deno.customInspect")](): string {
    // An executor's future learns here, as in running(), that its call started.
    const is = this.running() ? "running" : this.#state.is;
    const state = this.#state;
    const head = `<${this.constructor.name} state=${is}`;
    if (state.is !== "finished") return `${head}>`;
    return `${head} ${state.threw ? "raised" : "returned"} ${
      typeName(state.value)
    }>`;
  }

  #finish(state: Finished<T>): void {
    const follows = this.#state === FOLLOWING;
    if (follows || this.done()) {
      throw new InvalidStateError(
        `Cannot set ${state.threw ? "an exception" : "a result"}: the future ${
          follows ? "follows a promise" : `is ${this.#state.is} already`
        }`,
      );
    }
    this.#settle(state);
  }

  #settle(state: Done<T>): void {
    const waiters = this.#waiters;
    const callbacks = this.#callbacks;
    this.#state = state;
    this.#waiters = undefined;
    this.#callbacks = undefined;
    if (waiters instanceof Set) {
      for (const waiter of waiters) {
        if (waiter instanceof ChoosyWaiter) this.#answerChoosily(waiter);
        else this.#answer(waiter);
      }
    } else if (waiters) {
      this.#answer(waiters);
    }
    if (callbacks) runCallbacks({ future: this, callbacks, next: 0 });
  }

  #ask(
    forException: boolean,
    timeout: number | undefined,
  ): Promise<unknown> {
    // There may be very many: what stands for one is the runtime's own object.
    const waiter = Promise.withResolvers<unknown>();
    if (timeout !== undefined || forException) {
      this.#askChoosily(new ChoosyWaiter(waiter, forException), timeout);
    } else if (this.done()) {
      this.#answer(waiter);
    } else {
      this.#await(waiter);
    }
    return waiter.promise;
  }

  #askChoosily(waiter: ChoosyWaiter, timeout: number | undefined): void {
    try {
      const limit = checkTimeout(timeout);
      if (this.done()) return this.#answerChoosily(waiter);
      if (limit !== undefined) {
        if (limit <= 0) return this.#expire(waiter, limit);
        waiter.stopTimer = startTimer(
          limit,
          () => this.#expire(waiter, limit),
          programClock,
        );
      }
      // A set, whoever else waits: that one is choosy is not asked of nearly all.
      if (this.#waiters) this.#await(waiter);
      else this.#waiters = new Set([waiter]);
    } catch (error) {
      waiter.reject(error);
    }
  }

  #await(waiter: Waiter): void {
    const others = this.#waiters;
    if (!others) this.#waiters = waiter;
    else if (others instanceof Set) others.add(waiter);
    else this.#waiters = new Set([others, waiter]);
  }

  /** Tells what came of the call, which is known. */
  #answer(waiter: Waiter): void {
    const state = this.#state;
    if (state.is === "finished") {
      if (state.threw) waiter.reject(state.value);
      else waiter.resolve(state.value);
      return;
    }
    waiter.reject(
      cancelReasons.has(this)
        ? cancelReasons.get(this)
        : new CancelledError("The call was cancelled before it started"),
    );
  }

  #answerChoosily(waiter: ChoosyWaiter): void {
    waiter.stopTimer?.();
    const state = this.#state;
    if (!waiter.forException || state.is !== "finished") {
      return this.#answer(waiter);
    }
    waiter.resolve(state.threw ? state.value : undefined);
  }

  #expire(waiter: Waiter, limit: number): void {
    if (this.#waiters instanceof Set) this.#waiters.delete(waiter);
    const is = this.running() ? "running" : this.#state.is;
    waiter.reject(
      new TimeoutError(
        `The future is unfinished after ${limit} ms: it is ${is}, and goes on`,
      ),
    );
  }
}

/**
 * Runs the callbacks of a future that was settled. Where a callback settles
 * another future, it comes back here, and the outermost call runs these next: so
 * a long chain needs no deep stack.
 */
function runCallbacks(round: Round): void {
  if (settledMeanwhile) settledMeanwhile.push(round);
  else drain([round]);
}

/** Runs the callbacks of several rounds, the last round first. */
function drain(rounds: Round[]): void {
  const fresh: Round[] = [];
  // At the end of the stack even what stands in `finally` can be missed.
  soon(() => goOn(rounds, fresh));
  try {
    settledMeanwhile = fresh;
    while (rounds.length > 0) {
      const round = rounds[rounds.length - 1];
      const { fn, context } = round.callbacks[round.next++];
      if (round.next === round.callbacks.length) rounds.pop();
      if (context) {
        context.runInAsyncScope(callBack, undefined, round.future, fn);
        context.emitDestroy();
      } else callBack(round.future, fn);
      while (fresh.length > 0) rounds.push(fresh.pop()!);
    }
  } finally {
    settledMeanwhile = undefined;
  }
}

/**
 * What is left where the stack was at its end, as deep as the caller stood, runs
 * on a stack of its own.
 */
function goOn(rounds: Round[], fresh: Round[]): void {
  if (settledMeanwhile === fresh) settledMeanwhile = undefined;
  while (fresh.length > 0) rounds.push(fresh.pop()!);
  if (rounds.length > 0) drain(rounds);
}

function callBack<T>(future: Future<T>, fn: Callback<T>): void {
  try {
    const returned = fn(future);
    if (typeof (returned as PromiseLike<unknown>)?.then === "function") {
      Promise.resolve(returned).catch((error) => logCallback(future, error));
    }
  } catch (error) {
    logCallback(future, error);
  }
}

function logCallback(future: Future<unknown>, error: unknown): void {
  try {
    console.error("exception calling callback for", future, error);
  } catch {
    try {
      // What was thrown can't be printed; that it was must still be told.
      console.error("exception calling callback, which can't be printed");
    } catch {
      // The program's own console.error throws: there is nobody to tell.
    }
  }
}

/** The type of a value in one word: `number`, `null`, `Map`, `TypeError`. */
function typeName(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "function") return "Function";
  if (typeof value !== "object") return typeof value;
  try {
    const className = value.constructor?.name || "Object";
    if (!(value instanceof Error)) return className;
    // A class that sets no name has its parent's; one that travelled has no class.
    return value.name === "Error" ? className : String(value.name);
  } catch {
    // A proxy or a getter that throws: it is an object, whatever else it is.
    return "Object";
  }
}
