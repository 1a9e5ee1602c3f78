/** The workers of a queue, as a submitter has heard of them. */

import { ownClock, startTimer } from "../base/timers.ts";
import type { Presence } from "./envelope.ts";

interface Waiter {
  readonly count: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** For how long a worker is taken to be there that was heard of, in milliseconds. */
const LASTING = 10_000;
/** How often the workers are asked whether they are there, at most, in milliseconds. */
const OFTEN = 250;
const SELDOM = 1000;

/** Knows which workers there are, and waits for some. */
export class KnownWorkers {
  readonly #seek: () => void;
  readonly #heard = new Map<string, { slots: number; at: number }>();
  #sought = -Infinity;
  #waiters: Waiter[] = [];
  #stopTimer: (() => void) | undefined;

  /** @param seek Asks all of them whether they are there, if there is a connection. */
  constructor(seek: () => void) {
    this.#seek = seek;
  }

  get areAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** A worker is there. */
  hear({ worker, slots }: Presence): void {
    this.#heard.delete(worker);
    this.#heard.set(worker, { slots, at: ownClock.now() });
    if (this.areAwaited) this.#answer();
  }

  /** How many calls all of them can run at once. */
  count(): number {
    const now = ownClock.now();
    let sum = 0;
    for (const [worker, { slots, at }] of this.#heard) {
      if (now - at > LASTING) this.#heard.delete(worker);
      else sum += slots;
    }
    // Who asks now knows more when asking again.
    if (now - this.#sought > SELDOM) this.seek();
    return sum;
  }

  seek(): void {
    this.#sought = ownClock.now();
    this.#seek();
  }

  /** Resolves when they can run so many calls at once. */
  wait(count: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ count, resolve, reject });
    this.#answer();
    this.#look();
    return promise;
  }

  #look(): void {
    if (this.#stopTimer || !this.areAwaited) return;
    this.seek();
    this.#stopTimer = startTimer(OFTEN, () => {
      this.#stopTimer = undefined;
      this.#look();
    });
  }

  #answer(): void {
    const there = this.count();
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({ count }) => count > there);
    for (const { count, resolve } of waiters) if (count <= there) resolve();
  }

  /** There is nobody to wait for any more, and nobody known. */
  end(errorOf: () => unknown): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#heard.clear();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(errorOf());
  }
}
