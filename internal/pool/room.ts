/** Those who wait until fewer calls wait. */

import { Deque } from "../base/deque.ts";
import { soon, startTimer } from "../base/timers.ts";

interface Waiter {
  readonly limit: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A thread starts calls and tells nobody: so often it is looked, in milliseconds. */
const OFTEN = 5;
/** How many microtasks whoever was answered may take until it has submitted. */
const TURN = 16;

/**
 * Answers one after the other, in the order in which they came: each has had its
 * turn to submit before the next is looked at.
 */
export class Room {
  readonly #countWaiting: () => number;
  readonly #waiters = new Deque<Waiter>();
  #inTurn = false;
  #stopTimer: (() => void) | undefined;

  /** @param countWaiting How many calls wait now. */
  constructor(countWaiting: () => number) {
    this.#countWaiting = countWaiting;
  }

  /** Resolves when fewer than so many calls wait. */
  wait(limit: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ limit, resolve, reject });
    this.look();
    return promise;
  }

  /** Something has changed. */
  look(): void {
    const first = this.#waiters.first;
    if (!first || this.#inTurn) return;
    if (this.#countWaiting() >= first.limit) {
      this.#stopTimer ??= startTimer(OFTEN, () => {
        this.#stopTimer = undefined;
        this.look();
      });
      return;
    }
    this.#waiters.shift();
    this.#inTurn = true;
    this.#endTurnAfter(TURN);
    first.resolve();
  }

  #endTurnAfter(microtasks: number): void {
    if (microtasks > 0) {
      soon(() => this.#endTurnAfter(microtasks - 1));
      return;
    }
    this.#inTurn = false;
    this.look();
  }

  /** There will be no more room. */
  close(errorOf: () => Error): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    for (let waiter; (waiter = this.#waiters.shift());) {
      waiter.reject(errorOf());
    }
  }
}
