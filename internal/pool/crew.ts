/** The workers of a pool that live: how they start, idle and end. */

import { ownClock } from "../base/timers.ts";
import type { Call } from "../call/call.ts";
import { textOf } from "../call/revive_error.ts";
import type { LinkEvents, PoolKind } from "./pool_link.ts";
import { PoolWorker } from "./pool_worker.ts";

/** Where one could not be started, no other is before so long, in milliseconds. */
const AGAIN = 1000;

/** What a crew tells. */
export interface CrewEvents {
  /** No worker can be started, and there is none: `message` says why. */
  onNone(message: string, cause: ErrorOptions): void;
  /** A worker is on its end, which `ended` waits for; it is never rejected. */
  onEnding(ended: Promise<void>): void;
  /** One more worker may be started after all. */
  onRoom(): void;
  /** Nothing of a chunk is left to be done. */
  onChunkDone(call: Call): void;
}

/** The workers of a pool. */
export class Crew {
  readonly #kind: PoolKind;
  readonly #events: CrewEvents;
  readonly #members = new Set<PoolWorker>();
  /** The same as a list, made anew when one comes or goes: each call looks there. */
  #all: readonly PoolWorker[] = [];
  /** Those with nothing to do; the one used last is last. */
  readonly #idle: PoolWorker[] = [];
  /** How many are on their end. */
  #ending = 0;
  /** When one could not be started, and others took its calls. */
  #failed: number | undefined;

  constructor(kind: PoolKind, events: CrewEvents) {
    this.#kind = kind;
    this.#events = events;
  }

  /** How many live. */
  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): Iterator<PoolWorker> {
    return this.#members[Symbol.iterator]();
  }

  has(member: PoolWorker): boolean {
    return this.#members.has(member);
  }

  /** Those who live now. */
  get all(): readonly PoolWorker[] {
    return this.#all;
  }

  /** Whether a call waits behind another that its worker has. */
  get hasWaiting(): boolean {
    const all = this.#all;
    for (let i = 0; i < all.length; i++) if (all[i].live > 1) return true;
    return false;
  }

  /**
   * Those that can be given calls ahead, the one with the least to do first.
   *
   * @param load How much they may have to do, in microseconds.
   * @param since When they ended their last call, at the latest.
   */
  hungry(load: number, since: number): PoolWorker[] {
    return this.#all.filter((member) =>
      member.ready && !member.isIdle && !member.recalling &&
      member.load < load && member.isHalfFree && member.progress > since
    ).sort((a, b) => a.load - b.load);
  }

  /** Those that have what another could have, the one with most calls first. */
  get richest(): PoolWorker[] {
    return this.#all.filter((member) => member.canSpare)
      .sort((a, b) => b.live - a.live);
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0;
  }

  /** The one used last of those that have nothing to do. */
  takeIdle(): PoolWorker | undefined {
    return this.#idle.pop();
  }

  /** A worker is idle if it has nothing to do any more; one that is retired ends. */
  idleIfDone(member: PoolWorker): void {
    if (!member.isIdle || !this.#members.has(member)) return;
    if (member.isRetired) this.end(member);
    else if (!this.#idle.includes(member)) this.#idle.push(member);
  }

  /** Whether one more may be started now. */
  get mayStart(): boolean {
    if (this.#members.size >= this.#kind.maxWorkers) return false;
    return this.#failed === undefined ||
      ownClock.now() - this.#failed >= AGAIN;
  }

  /**
   * Starts one more, if it may. It may be that none can be started, such as for
   * too many open files. Where there are others, calls wait for these; and it is
   * tried again when one of them is gone, or when calls are to be handed out and
   * some time has passed.
   *
   * @param depth How many pools it is inside of.
   */
  start(
    depth: number,
    eventsOf: (memberOf: () => PoolWorker) => LinkEvents,
  ): PoolWorker | undefined {
    if (!this.mayStart) return undefined;
    const taken = new Set<number>();
    for (const { index } of this.#members) taken.add(index);
    let index = 0;
    while (taken.has(index)) index++;
    try {
      const events = eventsOf(() => member);
      const link = this.#kind.open(index, depth, events, this.#kind);
      const member: PoolWorker = new PoolWorker(
        index,
        link,
        this.#kind,
        (call) => this.#events.onChunkDone(call),
      );
      this.#members.add(member);
      this.#all = [...this.#members];
      this.#failed = undefined;
      return member;
    } catch (error) {
      if (this.#members.size > 0 || this.#ending > 0) {
        this.#failed = ownClock.now();
      } else {
        const message = `no worker can be started (${textOf(error)})`;
        this.#events.onNone(message, { cause: error });
      }
      return undefined;
    }
  }

  /** Starts one that has nothing to do yet; `false` if none may be, or can. */
  startIdle(
    depth: number,
    eventsOf: (memberOf: () => PoolWorker) => LinkEvents,
  ): boolean {
    const member = this.start(depth, eventsOf);
    if (member) this.idleIfDone(member);
    return member !== undefined;
  }

  /**
   * Ends a worker: one that has no call, or, by a signal, whatever it does.
   *
   * @param whenGone Called when nothing of it is left.
   */
  end(member: PoolWorker, signal?: Deno.Signal, whenGone?: () => void): void {
    this.#members.delete(member);
    this.#all = [...this.#members];
    const at = this.#idle.indexOf(member);
    if (at >= 0) this.#idle.splice(at, 1);
    const { link } = member;
    this.#ending++;
    const ended = (signal ? link.kill(signal) : link.end()).catch((error) => {
      console.error(`The end of ${link.label} failed:`, error);
    }).then(() => {
      this.#ending--;
      whenGone?.();
      if (this.#failed === undefined) return;
      // What it held is free again.
      this.#failed = undefined;
      this.#events.onRoom();
    });
    this.#events.onEnding(ended);
  }
}
