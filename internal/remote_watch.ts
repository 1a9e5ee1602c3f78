/**
 * Watches over calls that are elsewhere: workers that run some, and the server
 * where others wait. `remote.ts` says what for.
 */

import type { Call } from "./call.ts";
import type { RunRef } from "./envelope.ts";
import { ownClock, startTimer } from "./timer.ts";
import type { SubmitterLink } from "./transport.ts";

/** Who runs a call. */
export interface Holder {
  readonly worker: string;
  readonly label: string;
  readonly run: number;
  readonly message: number;
  readonly delivery: number;
}

/** A call and where it is. */
export interface RemoteCall extends Call {
  readonly id: number;
  /** How often it was started. */
  attempts: number;
  /** How often it was published. */
  rounds: number;
  /** The messages that it was published as. */
  readonly messages: number[];
  holder: Holder | undefined;
  /** Whether it was handed to its holder, and it is not known if that took it. */
  unsure: boolean;
  /** Whether it is being found out if its holder still has it. */
  doubted: boolean;
  /** For how long its holder has not said that it has it, in milliseconds. */
  missed: number;
}

/** A call, and who had it when that was asked. */
interface Held {
  readonly call: RemoteCall;
  readonly holder: Holder;
}

function runOf({ id }: RemoteCall, { run }: Holder): RunRef {
  return { id: `${id}`, run };
}

/** The slot of a call that was published. */
export const PUBLISHED = 0;

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
export class Watch {
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
      const { holder } = call;
      if (!holder) continue;
      const calls = held.get(holder.worker);
      if (calls) calls.push({ call, holder });
      else held.set(holder.worker, [{ call, holder }]);
    }
    for (const [worker, calls] of held) this.#ask(worker, calls);
  }

  async #ask(worker: string, calls: readonly Held[]): Promise<void> {
    const runs = calls.map(({ call, holder }) => runOf(call, holder));
    const has = await this.#link.ask(worker, runs).catch(() => undefined);
    if (this.#stopped || this.#events.isAway()) return;
    for (const { call, holder } of calls) {
      if (call.holder !== holder) continue;
      if (has?.has(`${call.id}`)) {
        call.missed = 0;
        call.unsure = false;
        continue;
      }
      if (has && call.unsure) this.#refuse(call, holder);
      // No answer is as good as none of them.
      // Each question counts for a period, however late it was asked: a program
      // that was busy itself has not waited for anybody.
      call.missed += this.#period;
      if (call.missed >= this.#link.lease) this.#miss(call, holder);
    }
  }

  /** Whether a worker has a call; `undefined` where it can't be told now. */
  async has(call: RemoteCall, holder: Holder): Promise<boolean | undefined> {
    call.doubted = true;
    try {
      const has = await this.#link.ask(holder.worker, [runOf(call, holder)]);
      if (has.has(`${call.id}`)) return true;
      return await this.#isDrained() ? false : undefined;
    } catch {
      return undefined;
    } finally {
      call.doubted = false;
    }
  }

  async #miss(call: RemoteCall, holder: Holder): Promise<void> {
    if (!await this.#isGone(call, holder)) return;
    const { lease } = this.#link;
    this.#events.onLostAttempt(
      call,
      `${holder.label} was not heard of for ${lease} ms`,
    );
  }

  async #refuse(call: RemoteCall, holder: Holder): Promise<void> {
    if (!await this.#isGone(call, holder)) return;
    if (call.unsure) this.#events.onNotTaken(call);
  }

  /** Whether a call that its holder has not, or says nothing of, has not ended either. */
  async #isGone(call: RemoteCall, holder: Holder): Promise<boolean> {
    if (call.doubted) return false;
    call.doubted = true;
    try {
      if (!await this.#isDrained()) return false;
    } catch {
      return false;
    } finally {
      call.doubted = false;
    }
    return !this.#stopped && call.holder === holder;
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
    for (const { slot, holder } of this.#calls.values()) {
      if (slot === PUBLISHED && !holder) return true;
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
