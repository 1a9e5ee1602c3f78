/** What the test files share. Nothing here is published. */

import { FakeTime } from "@std/testing/time";
import { Future } from "../future.ts";
import { ownClock, programClock } from "../internal/base/timers.ts";

/** The longest that anything may take before a test calls it a hang: a bound, never a wait. */
export const UPPER_BOUND_MS = 60_000;

/** What `setTimeout` can hold at most; anything longer it turns into 1. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

const { setTimeout, clearTimeout } = globalThis;

/** Lets everything happen that waits for no clock, no thread and no I/O. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout.call(globalThis, resolve, 0);
  });
}

/** What a promise has come to by now, without waiting for it. */
export async function stateOf(
  promise: Promise<unknown>,
): Promise<"pending" | "fulfilled" | "rejected"> {
  let state: "pending" | "fulfilled" | "rejected" = "pending";
  promise.then(() => state = "fulfilled", () => state = "rejected");
  await turn();
  return state;
}

/** Rejects where a promise would otherwise hang. */
export async function within<T>(
  promise: Promise<T>,
  ms = UPPER_BOUND_MS,
): Promise<T> {
  let timer: number | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout.call(
      globalThis,
      () => reject(new Error(`hangs: nothing after ${ms} ms`)),
      ms,
    ) as unknown as number;
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout.call(globalThis, timer);
  }
}

/** What a loop asks that never waits: throws where it would take for ever. */
export function bound(): () => void {
  const end = performance.now() + UPPER_BOUND_MS / 2;
  return () => {
    if (performance.now() > end) {
      throw new Error(`hangs: not over after ${UPPER_BOUND_MS / 2} ms`);
    }
  };
}

/**
 * A clock that stands still until the test moves it: the timers, `Date` and
 * `performance.now()`, for the program and for the library itself.
 */
export class FakeClock extends FakeTime {
  readonly #own = { ...ownClock };

  constructor() {
    super(0);
    Object.assign(ownClock, programClock);
    Object.defineProperty(performance, "now", {
      value: () => this.now,
      configurable: true,
    });
  }

  override restore(): void {
    // What is uncovered is the prototype's own.
    delete (performance as { now?: unknown }).now;
    Object.assign(ownClock, this.#own);
    super.restore();
  }

  /** Moves on, and lets everything happen that this caused. */
  async pass(ms: number): Promise<void> {
    await this.tickAsync(ms);
    await turn();
  }
}

const collectGarbage = (globalThis as { gc?: () => void }).gc;

/** For tests that need `--v8-flags=--expose-gc`. */
export const withoutGc = collectGarbage === undefined;

/** Whether nothing but the `WeakRef` holds its value any more. */
export async function isCollected(ref: WeakRef<object>): Promise<boolean> {
  for (let i = 0; i < 10; i++) {
    await turn(); // a WeakRef keeps what it gave until the end of the turn
    collectGarbage!();
    if (ref.deref() === undefined) return true;
  }
  return false;
}

/** How many bytes are in use once all that can be freed is. */
export async function heapUsed(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await turn();
    collectGarbage!();
  }
  return Deno.memoryUsage().heapUsed;
}

/** An `AbortController` that tells how many listen to its signal. */
export class CountingAbortController extends AbortController {
  readonly #listeners = new Set<unknown>();

  constructor() {
    super();
    const { signal } = this;
    const add = signal.addEventListener;
    const remove = signal.removeEventListener;
    const listeners = this.#listeners;
    Object.assign(signal, {
      addEventListener(...args: Parameters<typeof add>) {
        listeners.add(args[1]);
        return add.apply(signal, args);
      },
      removeEventListener(...args: Parameters<typeof remove>) {
        listeners.delete(args[1]);
        return remove.apply(signal, args);
      },
    });
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}

/** A future with a result. */
export function finished<T>(value: T): Future<T> {
  const future = new Future<T>();
  future.setResult(value);
  return future;
}

/** A future whose call threw. */
export function failed(error: unknown): Future<never> {
  const future = new Future<never>();
  future.setException(error);
  return future;
}

/** A future that was cancelled. */
export function cancelled(): Future<never> {
  const future = new Future<never>();
  future.cancel();
  return future;
}

/** A future whose call runs. */
export function running<T = never>(): Future<T> {
  const future = new Future<T>();
  future.setRunningOrNotifyCancel();
  return future;
}

/** A future that counts its callbacks, and forgets none. */
export class CountingFuture<T> extends Future<T> {
  callbacks = 0;

  override addDoneCallback(fn: (future: Future<T>) => void): void {
    this.callbacks++;
    super.addDoneCallback(fn);
  }
}
