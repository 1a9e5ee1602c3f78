/**
 * The error classes, named as Python names them.
 *
 * Where JavaScript has a built-in class for what went wrong, that one is used
 * instead: `TypeError` for a wrong type, `RangeError` for a value out of range
 * (Python's `ValueError`), `DataCloneError` (a `DOMException`) for what cannot
 * be copied to a worker.
 *
 * @module
 */

/** Gives a class's instances the class's name, without an own property each. */
function named(constructor: { prototype: Error }, name: string): void {
  Object.defineProperty(constructor.prototype, "name", {
    value: name,
    writable: true,
    configurable: true,
  });
}

/**
 * An operation came at a time at which it cannot be done: a call submitted
 * after `shutdown()`, or a pool started by a module that a worker is importing.
 *
 * @example Submitting after shutdown
 * ```ts
 * import { RuntimeError, ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * const executor = new ThreadPoolExecutor();
 * await executor.shutdown();
 * assert.throws(() => executor.submit(Math.pow, 2, 3), RuntimeError);
 * ```
 */
export class RuntimeError extends Error {
  static {
    named(this, "RuntimeError");
  }
}

/**
 * The call was cancelled before it started, so there is neither a result nor
 * an exception.
 *
 * @example Asking a cancelled future for its result
 * ```ts
 * import { CancelledError, Future } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * const future = new Future<number>();
 * future.cancel();
 * await assert.rejects(future.result(), CancelledError);
 * ```
 */
export class CancelledError extends Error {
  static {
    named(this, "CancelledError");
  }
}

/**
 * The time that the caller was ready to wait has passed. The call itself goes
 * on: running out of patience stops nothing.
 *
 * @example Waiting for at most 10 milliseconds
 * ```ts
 * import { Future, TimeoutError } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await assert.rejects(new Future<number>().result(10), TimeoutError);
 * ```
 */
export class TimeoutError extends Error {
  static {
    named(this, "TimeoutError");
  }
}

/**
 * A future was told something that its state rules out, such as a second
 * result.
 *
 * @example Setting a result twice
 * ```ts
 * import { Future, InvalidStateError } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * const future = new Future<number>();
 * future.setResult(1);
 * assert.throws(() => future.setResult(2), InvalidStateError);
 * ```
 */
export class InvalidStateError extends Error {
  static {
    named(this, "InvalidStateError");
  }
}

/**
 * An executor lost what it needs to run calls, and takes no more. Each call
 * that was pending gets an error of its own of this class.
 *
 * @example Catching the failure of any kind of executor
 * ```ts
 * import { BrokenExecutor, ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
 * const future = executor.submit(() => Deno.exit(3));
 * await assert.rejects(future.result(), BrokenExecutor);
 * ```
 */
export class BrokenExecutor extends RuntimeError {
  static {
    named(this, "BrokenExecutor");
  }
}

/**
 * A worker of a `ThreadPoolExecutor` died or its initializer failed. `cause`
 * holds the error that ended it, where there was one.
 *
 * @example An initializer that throws breaks the pool
 * ```ts
 * import { BrokenThreadPool, ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({
 *   initializer: () => {
 *     throw new Error("no database");
 *   },
 * });
 * await assert.rejects(executor.submit(Math.abs, -1).result(), BrokenThreadPool);
 * assert.throws(() => executor.submit(Math.abs, -1), BrokenThreadPool);
 * ```
 */
export class BrokenThreadPool extends BrokenExecutor {
  static {
    named(this, "BrokenThreadPool");
  }
}

/**
 * A child of a `ProcessPoolExecutor` died or its initializer failed. `cause`
 * holds the error that ended it, where there was one.
 *
 * @example Telling it apart
 * ```ts
 * import { BrokenExecutor, BrokenProcessPool } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * const error = new BrokenProcessPool("Child 1 (pid 4711) was killed by SIGKILL");
 * assert.ok(error instanceof BrokenExecutor);
 * assert.equal(error.name, "BrokenProcessPool");
 * ```
 */
export class BrokenProcessPool extends BrokenExecutor {
  static {
    named(this, "BrokenProcessPool");
  }
}
