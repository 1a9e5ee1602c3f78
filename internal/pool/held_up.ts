/**
 * Time limits of calls that can't start: their workers are held up by modules or
 * an initializer that never end, or by what an earlier call left running.
 *
 * A time limit counts from the start of its call. That of a call which has not
 * started begins to count once its worker is held up (`PoolWorker.stuckFrom`); or, in
 * the queue, once all workers are and no other may be started. Where the worker
 * goes on after all, what was counted is forgotten. A child does not say which call
 * it has started: one that seems to run for long is asked for it.
 */

import { ownClock, startTimer } from "../base/timers.ts";
import type { Call } from "../call/call.ts";
import type { Crew } from "./crew.ts";
import { DEAF, type PoolWorker } from "./pool_worker.ts";

/** A worker that has been starting for so long may be replaced, in milliseconds. */
const HOPELESS = 10_000;

/** What is told of calls that have not started. */
export interface HeldUpEvents {
  /** The time of a call is to run, though it has not started. */
  onHeldUp(call: Call): void;
  /** It is to run from its start after all. */
  onNotHeldUp(call: Call): void;
}

/** Watches the calls of a pool that have a time limit and have not started. */
export class HeldUpCalls {
  readonly #crew: Crew;
  readonly #events: HeldUpEvents;
  readonly #calls = new Set<Call>();
  /** Those of them whose time runs. */
  readonly #heldUp = new Set<Call>();
  /** Whether all workers are held up. */
  #isStuck = false;
  #stopTimer: (() => void) | undefined;
  /** When that fires, by `ownClock`. */
  #next = Infinity;
  #hopeless = HOPELESS;

  constructor(crew: Crew, events: HeldUpEvents) {
    this.#crew = crew;
    this.#events = events;
  }

  /** A call was added. */
  add(call: Call): void {
    if (call.limits?.timeLimit === undefined) return;
    this.#calls.add(call);
    if (this.#isStuck) this.#holdUp(call);
  }

  /** A call has started, or left the pool. */
  remove(call: Call): void {
    if (this.#calls.delete(call)) this.#heldUp.delete(call);
  }

  #holdUp(call: Call): void {
    if (this.#heldUp.has(call) || !this.#calls.has(call)) return;
    this.#heldUp.add(call);
    this.#events.onHeldUp(call);
  }

  /** Looks who is held up; to be called after whatever may have changed that. */
  check(): void {
    if (this.#calls.size === 0) {
      this.#isStuck = false;
      return;
    }
    const now = ownClock.now();
    // Nobody can be held up before the timer looks that is set.
    if (
      !this.#isStuck && this.#heldUp.size === 0 && this.#next > now &&
      this.#next <= now + DEAF
    ) return;
    const stuck = new Set<PoolWorker>();
    let next = Infinity;
    for (const member of this.#crew) {
      const { stuckFrom, askFrom } = member;
      if (stuckFrom <= now) stuck.add(member);
      else next = Math.min(next, stuckFrom);
      if (askFrom <= now) member.askForAll();
      else next = Math.min(next, askFrom);
    }
    const wasStuck = this.#isStuck;
    this.#isStuck = stuck.size > 0 && stuck.size === this.#crew.size &&
      !this.#crew.mayStart;
    for (const call of this.#heldUp) {
      const { worker } = call;
      if (worker ? stuck.has(worker as PoolWorker) : this.#isStuck) continue;
      this.#heldUp.delete(call);
      this.#events.onNotHeldUp(call);
    }
    for (const member of stuck) {
      for (const call of member.calls()) this.#holdUp(call);
    }
    if (this.#isStuck && !wasStuck) {
      for (const call of this.#calls) if (!call.worker) this.#holdUp(call);
    }
    // One that is armed for an earlier time looks again then.
    if (next < this.#next) this.#arm(next, now);
  }

  #arm(next: number, now: number): void {
    this.#stopTimer?.();
    this.#next = next;
    this.#stopTimer = startTimer(next - now, () => {
      this.stopWatching();
      this.check();
    });
  }

  /** No timer is left. */
  stopWatching(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#next = Infinity;
  }

  /**
   * The workers to replace, once a call was stopped that had not started: those
   * that are held up. One that starts has more time, and ever more as others had
   * too little: it may be slow. Nor is one that may run a call, unsaid.
   */
  toReplace(): PoolWorker[] {
    const now = ownClock.now();
    const found = [...this.#crew].filter((member) =>
      member.stuckFrom <= now && !member.mayHaveStarted &&
      (member.ready || now - member.opened >= this.#hopeless)
    );
    if (found.some(({ ready }) => !ready)) this.#hopeless *= 2;
    return found;
  }
}
