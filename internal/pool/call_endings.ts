/**
 * How calls end before their own end, and with them workers: those that are stopped,
 * those that can't start, and those whose worker died. `pool/pool.ts` tells the order.
 */

import { ownClock, startLimit, startTimer } from "../base/timers.ts";
import type { Call } from "../call/call.ts";
import { GARBLED } from "../call/check_message.ts";
import { textOf } from "../call/revive_error.ts";
import type { Crew } from "./crew.ts";
import type { HeldUpCalls } from "./held_up.ts";
import type { PoolKind } from "./pool_link.ts";
import type { PoolWorker } from "./pool_worker.ts";
import { HOPELESS, WorkerDeaths } from "./worker_deaths.ts";

/** How long a call that was asked to stop may take to end, in milliseconds. */
const GRACE = 100;
/** How long what was handed over may take to start, once it is not wanted, in milliseconds. */
const UNWANTED = 1000;

/** What is done where calls end so. */
export interface CallEndingsHost {
  /** A call leaves the pool. */
  release(call: Call): void;
  /** Calls that will not start wait again, the last first. */
  requeue(calls: readonly Call[]): void;
  /** Workers are gone, and calls wait again: hands these out. */
  goOn(): void;
  /** Whether the pool is at its end, and no more is done. */
  isStopped(): boolean;
  onBroken(message: string, cause: ErrorOptions | undefined): void;
  onLost(
    calls: readonly Call[],
    message: string,
    cause: ErrorOptions | undefined,
  ): void;
}

/** Ends calls and workers. */
export class CallEndings {
  readonly #kind: PoolKind;
  readonly #crew: Crew;
  readonly #stalls: HeldUpCalls;
  readonly #host: CallEndingsHost;
  readonly #losses = new WorkerDeaths();
  /** Stops the timer that asks children for what nobody wants; see `askForUnwanted`. */
  #stopAsking: (() => void) | undefined;

  constructor(
    kind: PoolKind,
    crew: Crew,
    stalls: HeldUpCalls,
    host: CallEndingsHost,
  ) {
    this.#kind = kind;
    this.#crew = crew;
    this.#stalls = stalls;
    this.#host = host;
  }

  /** A worker has ended a call: so new ones live. */
  hasWorked(): void {
    this.#losses.forget();
  }

  /**
   * Has a call end that runs. It is asked to; if it does not end soon, its worker
   * is replaced. A child whose call can't hear of it is killed at once.
   *
   * @param fail Fails its future, unless that is done: at once where the call may
   * go on until it has heard, else once nothing of it goes on.
   */
  stop(call: Call, name: string, message: string, fail: () => void): void {
    const member = call.worker as PoolWorker | undefined;
    // In the queue, where somebody else's hand marked it as running.
    if (!member) return fail();
    const limits = call.limits!;
    limits.fail = fail;
    call.future.keepRunning();
    const { link } = member;
    link.abort?.(call.slot, call.order, name, message);
    limits.stopTimer = startLimit(GRACE, () => {
      limits.stopTimer = undefined;
      if (call.worker === member && this.#crew.has(member)) {
        this.replace(member);
      }
    });
    if (!link.answersAbort || limits.listens) fail();
  }

  /** A call was stopped before it started: ends the workers that hold calls up. */
  replaceStuck(): void {
    for (const member of this.#stalls.toReplace()) {
      if (this.#crew.has(member)) this.replace(member);
    }
  }

  /** Nobody wants what has not started: asks children for it that do not come to it. */
  askForUnwanted(): void {
    if (this.#stopAsking) return;
    const ask = () => {
      this.#stopAsking = startTimer(UNWANTED, () => {
        const now = ownClock.now();
        for (const member of this.#crew) {
          if (now - member.progress >= UNWANTED) member.askForAll();
        }
        ask();
      });
    };
    if ([...this.#crew].some(({ link }) => link.recall)) ask();
  }

  /** Whether what children give back is not wanted. */
  get areUnwanted(): boolean {
    return this.#stopAsking !== undefined;
  }

  /** No timer is left. */
  stopWatching(): void {
    this.#stopAsking?.();
  }

  /** A call that was stopped will not start. */
  failStopped(call: Call): void {
    const { fail } = call.limits!;
    this.#host.release(call);
    fail!();
  }

  /** Ends a worker whatever it does, such as a call that was stopped; another takes its place. */
  replace(member: PoolWorker): void {
    const doing = member.doing();
    const { started, waiting } = member.lose();
    const stopped: Call[] = [];
    const lost: Call[] = [];
    for (const call of started) {
      if (call.limits?.fail) stopped.push(call);
      else if (!call.future.done()) lost.push(call);
    }
    // What it does has no effect once its calls have failed.
    this.#crew.end(member, "SIGKILL", () => {
      for (const { limits } of stopped) limits!.fail!();
    });
    for (const call of started) this.#host.release(call);
    const again: Call[] = [];
    for (const call of waiting.reverse()) {
      if (!call.limits?.fail) {
        again.push(call);
        continue;
      }
      // It may have started, unsaid.
      stopped.push(call);
      this.#host.release(call);
    }
    const { label } = member.link;
    this.#host.requeue(again);
    if (lost.length > 0) {
      this.#host.onLost(lost, `${label} was ended ${doing}`, undefined);
      // What heard of it may have ended all.
      if (this.#host.isStopped()) return;
    }
    this.#host.goOn();
  }

  /** A call has asked for its signal. */
  readonly onListens = (
    member: PoolWorker,
    slot: number,
    order: number,
  ): void => {
    const call = member.callIn(slot);
    if (call?.order === order && call.limits) call.limits.listens = true;
  };

  /** A child has been told to stop a call; see `LinkEvents.onAborting`. */
  readonly onAborting = (
    member: PoolWorker,
    slot: number,
    order: number,
    listens: boolean,
  ): void => {
    const call = member.callIn(slot);
    if (call?.order !== order || !call.limits?.fail) return;
    if (listens) call.limits.fail();
    else this.replace(member);
  };

  /** A worker said what doesn't fit what it was given. */
  onGarbled(member: PoolWorker, what: string): void {
    this.onDeath(member, GARBLED, { error: new TypeError(what) });
  }

  /** A worker died; see `LinkEvents.onDeath`. */
  readonly onDeath = (
    member: PoolWorker,
    how: string,
    cause?: { readonly error: unknown },
    note?: string,
  ): void => {
    // A call that was stopped took its worker along, which was to go anyway.
    if (member.wasStopped) return this.replace(member);
    const why = cause ? ` (${textOf(cause.error)})` : "";
    const what = `${member.link.label} ${how}${why} ${member.doing()}`;
    const more = note ? `; ${note}` : "";
    const options = cause && { cause: cause.error };
    if (this.#kind.onWorkerLost === "replace") {
      this.#carryOn(member, `${what}${more}`, options);
    } else {
      this.#host.onBroken(`${what}: create a new pool${more}`, options);
    }
  };

  /** A worker died, and the pool goes on: what it ran is lost, the rest is not. */
  #carryOn(
    member: PoolWorker,
    message: string,
    cause: ErrorOptions | undefined,
  ): void {
    const { lost, again } = this.#losses.sort(member.lose(), member.hasWorked);
    this.#crew.end(member, "SIGKILL");
    for (const call of lost) this.#host.release(call);
    this.#host.requeue(again.reverse());
    this.#host.onLost(lost, message, cause);
    // What heard of it may have ended all.
    if (this.#host.isStopped()) return;
    if (this.#losses.areHopeless) {
      this.#host.onBroken(
        `${HOPELESS} workers in a row ended before they ran a call: create a new pool; the last: ${message}`,
        cause,
      );
      return;
    }
    this.#host.goOn();
  }
}
