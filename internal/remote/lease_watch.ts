/**
 * Watches over calls that are elsewhere: workers that run some, and the server
 * where others wait. `remote/submitter.ts` says what for.
 */

import { ownClock, startTimer } from "../base/timers.ts";
import type { RunRef } from "./envelope.ts";
import {
  heldBy,
  type HeldStage,
  heldStage,
  move,
  type RemoteCall,
} from "./remote_call.ts";
import type { SubmitterLink } from "./transport.ts";

/** A call, and where it was when that was asked. */
interface Held {
  readonly call: RemoteCall;
  readonly stage: HeldStage;
}

function runOf({ id }: RemoteCall, { holder }: HeldStage): RunRef {
  return { id: `${id}`, run: holder.run };
}

/** What is asked before, and told after, a look. */
export interface WatchEvents {
  isAway(): boolean;
  /** Whether calls are on their way to the server. */
  isPublishing(): boolean;
  /** The worker that a call was handed to has not taken it, and never will. */
  onNotTaken(call: RemoteCall): void;
  /** A call's holder does not run it any more; `how` begins with who that was. */
  onLostAttempt(call: RemoteCall, how: string): void;
  /** The server has no calls, though some should wait there. */
  onVanished(): void;
  /** For how long no worker may be there, in milliseconds. */
  readonly workerTimeout: number | undefined;
  onUnattended(ms: number): void;
}

/** How often is looked: within these, four times a lease, in milliseconds. */
const SOONEST = 250;
const LATEST = 1000;

/** Watches over the calls of one connection, until it is stopped. */
export class LeaseWatch {
  readonly #link: SubmitterLink;
  readonly #calls: ReadonlyMap<number, RemoteCall>;
  readonly #events: WatchEvents;
  readonly #period: number;
  #stopTimer: (() => void) | undefined;
  #stopped = false;
  #looked = 0;
  #unattendedSince: number | undefined;
  #wasEmpty = false;

  constructor(
    link: SubmitterLink,
    calls: ReadonlyMap<number, RemoteCall>,
    events: WatchEvents,
  ) {
    this.#link = link;
    this.#calls = calls;
    this.#events = events;
    this.#period = Math.min(Math.max(link.lease / 4, SOONEST), LATEST);
    this.#plan();
  }

  stop(): void {
    this.#stopped = true;
    this.#stopTimer?.();
  }

  #plan(): void {
    this.#stopTimer = startTimer(this.#period, () => {
      this.#plan();
      if (this.#events.isAway()) return;
      this.#askHolders();
      this.#lookForWorkers();
    });
  }

  // ---- Calls that run ----------------------------------------------------------

  #askHolders(): void {
    const held = new Map<string, Held[]>();
    for (const call of this.#calls.values()) {
      const stage = heldStage(call);
      if (!stage) continue;
      const { worker } = stage.holder;
      const calls = held.get(worker);
      if (calls) calls.push({ call, stage });
      else held.set(worker, [{ call, stage }]);
    }
    for (const [worker, calls] of held) this.#ask(worker, calls);
  }

  async #ask(worker: string, calls: readonly Held[]): Promise<void> {
    const runs = calls.map(({ call, stage }) => runOf(call, stage));
    const has = await this.#link.ask(worker, runs).catch(() => undefined);
    if (this.#stopped || this.#events.isAway()) return;
    for (const { call, stage } of calls) {
      if (call.stage !== stage) continue;
      if (has?.has(`${call.id}`)) {
        if (stage.is === "handed") move(call, heldBy(stage.holder, "held"));
        else stage.missed = 0;
        continue;
      }
      if (has && stage.is === "handed") this.#refuse(call, stage);
      // No answer is as good as none of them.
      // Each question counts for a period, however late it was asked: a program
      // that was busy itself has not waited for anybody.
      stage.missed += this.#period;
      if (stage.missed >= this.#link.lease) this.#miss(call, stage);
    }
  }

  /** Whether a worker has a call; `undefined` where it can't be told now. */
  async has(call: RemoteCall, stage: HeldStage): Promise<boolean | undefined> {
    stage.doubted = true;
    try {
      const { worker } = stage.holder;
      const has = await this.#link.ask(worker, [runOf(call, stage)]);
      if (has.has(`${call.id}`)) return true;
      return await this.#isDrained() ? false : undefined;
    } catch {
      return undefined;
    } finally {
      stage.doubted = false;
    }
  }

  async #miss(call: RemoteCall, stage: HeldStage): Promise<void> {
    if (!await this.#isGone(call, stage)) return;
    const { lease } = this.#link;
    this.#events.onLostAttempt(
      call,
      `${stage.holder.label} was not heard of for ${lease} ms`,
    );
  }

  async #refuse(call: RemoteCall, stage: HeldStage): Promise<void> {
    if (await this.#isGone(call, stage)) this.#events.onNotTaken(call);
  }

  /** Whether a call that its holder has not, or says nothing of, has not ended either. */
  async #isGone(call: RemoteCall, stage: HeldStage): Promise<boolean> {
    if (stage.doubted) return false;
    stage.doubted = true;
    try {
      if (!await this.#isDrained()) return false;
    } catch {
      return false;
    } finally {
      stage.doubted = false;
    }
    return !this.#stopped && call.stage === stage;
  }

  /**
   * Resolves when outcomes that were on the way have come; `false` where they may
   * have come to the server alone, while that was away.
   */
  async #isDrained(): Promise<boolean> {
    await this.#link.drained();
    return !this.#events.isAway();
  }

  // ---- Calls that wait ---------------------------------------------------------

  /** Whether calls wait at the server. */
  get #isWaiting(): boolean {
    if (this.#stopped || this.#events.isPublishing()) return false;
    for (const { stage } of this.#calls.values()) {
      if (stage.is === "published") return true;
    }
    return false;
  }

  async #lookForWorkers(): Promise<void> {
    const now = ownClock.now();
    if (now - this.#looked < LATEST * 0.9) return;
    this.#looked = now;
    if (!this.#isWaiting) {
      this.#unattendedSince = undefined;
      this.#wasEmpty = false;
      return;
    }
    try {
      await this.#lookForMessages();
      const { workerTimeout } = this.#events;
      if (workerTimeout === undefined) return;
      if (await this.#link.isAttended()) {
        this.#unattendedSince = undefined;
        return;
      }
      this.#unattendedSince ??= now;
      const ms = ownClock.now() - this.#unattendedSince;
      if (ms >= workerTimeout && this.#isWaiting) {
        this.#events.onUnattended(workerTimeout);
      }
    } catch {
      // The link tells when it is away, or lost.
    }
  }

  /** Messages may have been dropped: by hand, or since this program seemed gone. */
  async #lookForMessages(): Promise<void> {
    const isEmpty = await this.#link.isEmpty() && this.#isWaiting;
    // Looked at twice: one may have been taken, and not be asked for yet.
    if (isEmpty && this.#wasEmpty) this.#events.onVanished();
    this.#wasEmpty = isEmpty && !this.#wasEmpty;
  }
}

// ---- The server that is away -----------------------------------------------------

/** That the server is away, which must not go on without end. */
export class Absence {
  readonly #onTooLong: (ms: number) => void;
  #since: number | undefined;
  #stopTimer: (() => void) | undefined;

  constructor(onTooLong: (ms: number) => void) {
    this.#onTooLong = onTooLong;
  }

  get isNow(): boolean {
    return this.#since !== undefined;
  }

  begin(): void {
    this.#since ??= ownClock.now();
  }

  /** From now on it may last for so many milliseconds, if there is one. */
  limit(ms: number): void {
    if (this.#since === undefined) return;
    this.#stopTimer?.();
    this.#stopTimer = startTimer(ms, () => this.#onTooLong(ms));
  }

  /** For how many milliseconds it was away, if it was. */
  end(): number | undefined {
    const since = this.#since;
    this.#since = undefined;
    this.#stopTimer?.();
    return since === undefined ? undefined : ownClock.now() - since;
  }
}
