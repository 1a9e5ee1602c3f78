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
import { cancelReasons } from "./internal/reasons.ts";
import { checkTimeout, show, startTimer } from "./internal/timer.ts";

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

/** Who waits for a future: for its result, or for its exception alone. */
interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly forException: boolean;
  stopTimer: (() => void) | undefined;
}

// Shared by all futures: 300,000 waiting ones hold no state object of their own.
const PENDING = { is: "pending" } as const;
const RUNNING = { is: "running" } as const;

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
  #state: State<T> = PENDING;
  // Nearly always one: a set of its own would cost more than all the rest.
  #waiters: Waiter | Set<Waiter> | undefined;
  #callbacks: Callback<T>[] | undefined;

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
   * @throws {CancelledError} when the call was cancelled.
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
   * @throws {CancelledError} when the call was cancelled.
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
    if (this.done()) this.#call(fn);
    else (this.#callbacks ??= []).push(fn);
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
   * @throws {InvalidStateError} when the future is done.
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
   * @throws {InvalidStateError} when the future is done.
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
    if (this.done()) {
      throw new InvalidStateError(
        `Cannot set ${
          state.threw ? "an exception" : "a result"
        }: the future is ${this.#state.is} already`,
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
      for (const waiter of waiters) this.#answer(waiter);
    } else if (waiters) {
      this.#answer(waiters);
    }
    if (callbacks) { for (const fn of callbacks) this.#call(fn); }
  }

  #call(fn: Callback<T>): void {
    try {
      const returned = fn(this);
      if (typeof (returned as PromiseLike<unknown>)?.then === "function") {
        Promise.resolve(returned).catch((error) => this.#logCallback(error));
      }
    } catch (error) {
      this.#logCallback(error);
    }
  }

  #logCallback(error: unknown): void {
    try {
      console.error("exception calling callback for", this, error);
    } catch {
      // What was thrown can't be printed; that it was must still be told.
      console.error("exception calling callback, which can't be printed");
    }
  }

  #ask(
    forException: boolean,
    timeout: number | undefined,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const limit = checkTimeout(timeout);
      const waiter: Waiter = {
        resolve,
        reject,
        forException,
        stopTimer: undefined,
      };
      if (this.done()) return this.#answer(waiter);
      if (limit !== undefined) {
        if (limit <= 0) return this.#expire(waiter, limit);
        waiter.stopTimer = startTimer(limit, () => this.#expire(waiter, limit));
      }
      const others = this.#waiters;
      if (!others) this.#waiters = waiter;
      else if (others instanceof Set) others.add(waiter);
      else this.#waiters = new Set([others, waiter]);
    });
  }

  /** Tells what came of the call, which is known. */
  #answer({ resolve, reject, forException, stopTimer }: Waiter): void {
    stopTimer?.();
    const state = this.#state;
    if (state.is === "finished") {
      const { threw, value } = state;
      if (threw && !forException) reject(value);
      else resolve(threw || !forException ? value : undefined);
      return;
    }
    reject(
      new CancelledError(
        "The call was cancelled before it started",
        cancelReasons.has(this)
          ? { cause: cancelReasons.get(this) }
          : undefined,
      ),
    );
  }

  #expire(waiter: Waiter, limit: number): void {
    if (this.#waiters instanceof Set) this.#waiters.delete(waiter);
    else if (this.#waiters === waiter) this.#waiters = undefined;
    const is = this.running() ? "running" : this.#state.is;
    waiter.reject(
      new TimeoutError(
        `The future is unfinished after ${limit} ms: it is ${is}, and goes on`,
      ),
    );
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
