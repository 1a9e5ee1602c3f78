/** How many calls a worker may run at once, and when it asks for more. */

import { ownClock, startTimer } from "../base/timers.ts";

/** How long one that may run more waits for others, to ask together, in milliseconds. */
const TOGETHER = 2;
/** A call that is here for longer ends at whatever time, in milliseconds. */
const YOUNG = 10;

/**
 * The places of a worker. As soon as one is free, a call is asked for: soon, while
 * others are to come anyway, or will soon have ended. What is asked for together
 * comes together, which is half of the work for all who have to do with it.
 */
export class WorkerPlaces {
  readonly #ask: (count: number) => boolean;
  /** Those that are taken, and since when. */
  readonly #taken = new Set<{ readonly since: number }>();
  #free: number;
  /** How many calls were asked for and are still to come. */
  #asked = 0;
  #stopWaiting: (() => void) | undefined;
  #isStopped = false;

  /** @param ask Asks for calls, if that can be done. */
  constructor(count: number, ask: (count: number) => boolean) {
    this.#free = count;
    this.#ask = ask;
  }

  get areTaken(): boolean {
    return this.#free === 0;
  }

  /** Takes a place; gives what frees it, once. */
  take(): () => void {
    this.#free--;
    const place = { since: ownClock.now() };
    this.#taken.add(place);
    return () => {
      if (!this.#taken.delete(place)) return;
      this.#free++;
      this.want();
    };
  }

  /** A call has come that was asked for. */
  hasCome(): void {
    this.#asked = Math.max(0, this.#asked - 1);
  }

  /** Whoever was asked has forgotten it. */
  askAnew(): void {
    this.#asked = 0;
    this.want();
  }

  /** Asks for as many calls as there are places for, now or soon. */
  want(): void {
    if (this.#free <= this.#asked || this.#isStopped) return;
    if (this.#asked > 0 || this.#hasYoung()) {
      this.#stopWaiting ??= startTimer(TOGETHER, () => this.#askNow());
    } else {
      this.#askNow();
    }
  }

  #askNow(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
    const count = this.#free - this.#asked;
    if (count > 0 && this.#ask(count)) this.#asked += count;
  }

  /** Whether one was taken just now. */
  #hasYoung(): boolean {
    const since = ownClock.now() - YOUNG;
    for (const place of this.#taken) if (place.since > since) return true;
    return false;
  }

  /** Asks no more. */
  stop(): void {
    this.#isStopped = true;
    this.#stopWaiting?.();
  }
}
