/**
 * What may end a call before its own end: signals, and a time limit that
 * counts from its start.
 */

import {
  checkNames,
  checkSignal,
  checkTimeout,
  optionNames,
  show,
} from "../base/checks.ts";
import { loadTimers, programClock, startLimit } from "../base/timers.ts";

/** How one call, or all of a view, are to be submitted. */
export interface SubmitOptions {
  /**
   * Ends the call when it aborts: one that waits is cancelled, one that runs
   * fails with the signal's reason. @default {undefined} none
   */
  signal?: AbortSignal;
  /**
   * How long the call may run, in milliseconds, counted from its start. One that
   * takes longer fails with a `TimeoutError`; so does one that can't start, for its
   * worker is held up by an initializer that never ends, or by what an earlier call
   * left running: there the time counts after a few seconds.
   * @default {undefined} no limit
   */
  timeLimit?: number;
  /**
   * What is moved and not copied, of what the arguments hold: the caller has it
   * no more. @default {[]}
   */
  transfer?: readonly Transferable[];
}

const OPTIONS = optionNames<SubmitOptions>({
  signal: true,
  timeLimit: true,
  transfer: true,
});

/** The options of a view, as they add up. */
export interface CheckedSubmitOptions {
  /** Those of all views around. */
  readonly signals: readonly AbortSignal[];
  /** In milliseconds. */
  readonly timeLimit: number | undefined;
  /** What is moved of what the arguments hold. */
  readonly transfer: readonly Transferable[];
}

export const NO_OPTIONS: CheckedSubmitOptions = {
  signals: [],
  timeLimit: undefined,
  transfer: [],
};

/**
 * Checks the options of a view, and adds them to those of the view around it:
 * signals add up, of the others the inner one counts.
 *
 * @throws {TypeError} when one is of the wrong type.
 * @throws {RangeError} when `timeLimit` is not greater than 0.
 */
export function checkSubmitOptions(
  options: SubmitOptions,
  outer: CheckedSubmitOptions = NO_OPTIONS,
): CheckedSubmitOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`with takes an object: received ${show(options)}`);
  }
  options = checkNames(options, OPTIONS, "with");
  const { signal, transfer } = options;
  checkSignal(signal);
  if (transfer !== undefined && !Array.isArray(transfer)) {
    throw new TypeError(
      `transfer must be an array: received ${show(transfer)}`,
    );
  }
  if (options.timeLimit !== undefined && !((options.timeLimit as number) > 0)) {
    checkTimeout(options.timeLimit, "timeLimit");
    throw new RangeError(
      `timeLimit must be greater than 0: received ${options.timeLimit}`,
    );
  }
  loadTimers();
  if (!signal && !transfer && options.timeLimit === undefined) return outer;
  return {
    signals: signal ? [...outer.signals, signal] : outer.signals,
    timeLimit: options.timeLimit === undefined
      ? outer.timeLimit
      : checkTimeout(options.timeLimit, "timeLimit"),
    transfer: transfer ? [...transfer] : outer.transfer,
  };
}

/** Why a call is stopped. */
export interface Stop {
  /** What its future fails with, if it runs. */
  readonly reason: unknown;
  readonly by: "signal" | "time limit";
}

/** A call with limits, as those who watch them see it. */
export interface Limited {
  limits: Limits | undefined;
}

/** What watches over one call. */
export interface Limits {
  readonly signals: readonly AbortSignal[];
  /** In milliseconds. */
  readonly timeLimit: number | undefined;
  /** Whether the call can be sent only once, since it moves what it holds. */
  readonly once: boolean;
  /** Stops the timer that runs: of the time limit, or of what follows a stop. */
  stopTimer: (() => void) | undefined;
  /** Whether its worker has told that it started. */
  started: boolean | undefined;
  /** Whether it has asked for its signal. */
  listens: boolean | undefined;
  /** Fails its future, unless that is done. There once the call was stopped. */
  fail: (() => void) | undefined;
}

/** The limits of a call that was just submitted. */
export function limitsOf(
  signals: readonly AbortSignal[],
  timeLimit: number | undefined,
  once: boolean,
): Limits {
  return {
    signals,
    timeLimit,
    once,
    stopTimer: undefined,
    started: undefined,
    listens: undefined,
    fail: undefined,
  };
}

/** Watches the limits of a pool's calls. */
export class LimitWatch<C extends Limited> {
  readonly #onStop: (call: C, stop: Stop) => void;
  readonly #timeout: (call: C, timeLimit: number) => unknown;
  // One listener for each signal, however many calls have it: to take a listener
  // off a signal takes as long as it has listeners.
  readonly #bySignal = new Map<
    AbortSignal,
    { calls: Set<C>; onAbort: () => void }
  >();

  /** @param timeout Makes what a call fails with that took too long. */
  constructor(
    onStop: (call: C, stop: Stop) => void,
    timeout: (call: C, timeLimit: number) => unknown,
  ) {
    this.#onStop = onStop;
    this.#timeout = timeout;
  }

  /** Listens to a call's signals. */
  add(call: C): void {
    for (const signal of call.limits?.signals ?? []) {
      let watched = this.#bySignal.get(signal);
      if (!watched) {
        const calls = new Set<C>();
        const onAbort = () => {
          this.#bySignal.delete(signal);
          // What waits first: else a call that is stopped makes room for one
          // that is to be cancelled.
          const stop: Stop = { reason: signal.reason, by: "signal" };
          for (const call of [...calls].reverse()) this.#onStop(call, stop);
        };
        watched = { calls, onAbort };
        this.#bySignal.set(signal, watched);
        signal.addEventListener("abort", onAbort, { once: true });
      }
      watched.calls.add(call);
    }
  }

  /** A call has started: its time runs. */
  started(call: C): void {
    const { limits } = call;
    if (!limits || limits.fail) return;
    limits.started = true;
    this.#count(call, limits);
  }

  /** A call can't start, for what holds its worker up: its time runs all the same. */
  heldUp(call: C): void {
    if (call.limits && !call.limits.fail) this.#count(call, call.limits);
  }

  /** A call that was held up is not any more: its time runs from its start. */
  notHeldUp({ limits }: C): void {
    if (!limits || limits.fail || limits.started) return;
    limits.stopTimer?.();
    limits.stopTimer = undefined;
  }

  #count(call: C, limits: Limits): void {
    const { timeLimit } = limits;
    if (timeLimit === undefined) return;
    limits.stopTimer?.();
    limits.stopTimer = startLimit(timeLimit, () => {
      limits.stopTimer = undefined;
      const reason = this.#timeout(call, timeLimit);
      this.#onStop(call, { reason, by: "time limit" });
    }, programClock);
  }

  /** A call was stopped, or has left the pool: nothing of its limits counts any more. */
  remove(call: C): void {
    const { limits } = call;
    if (!limits) return;
    limits.stopTimer?.();
    limits.stopTimer = undefined;
    for (const signal of limits.signals) {
      const watched = this.#bySignal.get(signal);
      if (!watched?.calls.delete(call) || watched.calls.size > 0) continue;
      this.#bySignal.delete(signal);
      signal.removeEventListener("abort", watched.onAbort);
    }
  }
}
