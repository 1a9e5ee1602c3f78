/**
 * Who gets which call: a pool's workers, and the steps by which the queue is
 * handed to them. `docs/hand-off.md` tells why each is in its place.
 *
 * 1. A worker whose running call turned out long gives back what waits behind it.
 * 2. Each idle worker, the one used last first, then each that may still start,
 *    gets one call, or a part of a chunk.
 * 3. If nothing is left but a worker is idle, it gets what waits behind another
 *    worker's running call.
 * 4. What is left is handed ahead to busy workers while it is known to be short.
 *
 * Where it is the waking of a worker that takes the time (`PoolKind.together`),
 * short calls of one turn go to one of them, and 3 is left out.
 */

import { ownClock, soon, startQuietTimer } from "../base/timers.ts";
import {
  type Call,
  elapsed,
  expected,
  learn,
  RELEASED,
  settle,
  thrownBy,
  WAITING,
} from "../call/call.ts";
import type { Carried, Outcome, Thrown } from "../call/protocol.ts";
import { textOf } from "../call/revive_error.ts";
import type { PoolStats, Statistics } from "../call/statistics.ts";
import { argsAlone, WithCaptured } from "../closures/carried.ts";
import { placeStacks } from "../closures/script_stacks.ts";
import { CallEndings } from "./call_endings.ts";
import { AHEAD, CallQueue } from "./call_queue.ts";
import { Crew } from "./crew.ts";
import { HeldUpCalls } from "./held_up.ts";
import { sizeOf } from "./map_items.ts";
import type { LinkEvents, PoolKind } from "./pool_link.ts";
import { countBusy, type PoolWorker } from "./pool_worker.ts";
import { Warming } from "./warm_up.ts";

/** How much goes to an idle worker at once, where short calls go together. */
const TOGETHER = AHEAD / 4;
/** A call that has run for so long holds up those behind it, in milliseconds. */
const LONG = 3;

/** A call that a worker had that was killed. */
export interface Held {
  readonly call: Call;
  /** Whether it was sent: it may have started. */
  readonly wasSent: boolean;
  /** The worker's, and what that was doing. */
  readonly label: string;
  readonly doing: string;
}

/** What the dispatcher tells its pool. */
export interface DispatcherEvents {
  /** No more can be done: `message` says why. */
  onBroken(message: string, cause: ErrorOptions | undefined): void;
  /** These calls went down with a worker, and the pool goes on. */
  onLost(
    calls: readonly Call[],
    message: string,
    cause: ErrorOptions | undefined,
  ): void;
  /** A call with limits has started. */
  onStarted(call: Call): void;
  /** A call with a time limit can't start: its time runs all the same. */
  onHeldUp(call: Call): void;
  /** It may after all. */
  onNotHeldUp(call: Call): void;
  /** A call leaves the pool. */
  onReleased(call: Call): void;
  /** Something has ended, at `now`: a call, or what a worker was still to pass over. */
  onProgress(now?: number): void;
  /** A worker is on its end, which `ended` waits for. */
  onEnding(ended: Promise<void>): void;
}

/** Queue and workers of a pool. */
export class Dispatcher {
  readonly #kind: PoolKind;
  readonly #events: DispatcherEvents;
  readonly #queue = new CallQueue((call) => this.release(call));
  readonly #crew: Crew;
  readonly #stalls: HeldUpCalls;
  /** How calls are stopped, and what becomes of those whose worker is lost. */
  readonly endings: CallEndings;
  #pending = 0;
  #planned = false;
  #stopped = false;
  #stopWatch: (() => void) | undefined;
  readonly #statistics: Statistics;
  /** Those who wait for workers that nobody has a call for yet. */
  readonly warming: Warming;
  /** How many pools the workers of this one are inside of, this one included. */
  depth = 1;

  constructor(
    kind: PoolKind,
    statistics: Statistics,
    events: DispatcherEvents,
  ) {
    this.#kind = kind;
    this.#statistics = statistics;
    this.#events = events;
    const { onBroken, onLost } = events;
    this.#crew = new Crew(kind, {
      onNone: onBroken,
      onEnding: (ended) => {
        this.warming.plan();
        events.onEnding(ended);
      },
      onRoom: () => this.plan(),
      onChunkDone: (call) => {
        call.chunk!.items.forget(call.future);
        this.release(call);
      },
    });
    this.warming = new Warming(
      this.#crew,
      () => this.#crew.startIdle(this.depth, this.#eventsOf),
    );
    this.#stalls = new HeldUpCalls(this.#crew, events);
    this.endings = new CallEndings(kind, this.#crew, this.#stalls, {
      release: (call) => this.release(call),
      requeue: (calls) => this.#requeue(calls),
      goOn: () => this.#goOn(),
      isStopped: () => this.#stopped,
      onBroken,
      onLost,
    });
  }

  /** How many calls are not done. */
  get pending(): number {
    return this.#pending;
  }

  /** How many workers live. */
  get workers(): number {
    return this.#crew.size;
  }

  /** What is true at this moment. */
  stats(): PoolStats {
    const { busy, running } = countBusy(this.#crew);
    return this.#statistics.snapshot(
      { live: this.#crew.size, busy },
      { waiting: this.#pending - running, running },
    );
  }

  /** How many calls wait, in the queue or behind another. */
  countWaiting(): number {
    return this.#pending - countBusy(this.#crew).running;
  }

  /** Whether a call that comes now can be sent at once. */
  get isFree(): boolean {
    return !this.#kind.together && this.#queue.size === 0 &&
      (this.#crew.hasIdle || this.#crew.mayStart);
  }

  /** Takes a call in, to be dispatched. */
  add(call: Call): void {
    this.#pending += sizeOf(call);
    this.#queue.push(call);
    // What holds the caller's own event loop up holds up all that could be done.
    if (call.limits && !this.#kind.describe) this.#stalls.add(call);
  }

  /** Has one more item join a chunk, if that was the last to come, just now. */
  join(call: Call): boolean {
    if (!this.#queue.join(call, this.#planned)) return false;
    this.#pending++;
    this.plan();
    return true;
  }

  /** Whether a call that was just added may be handed over yet, or to another worker. */
  mayMove({ worker, slot }: Call): boolean {
    return worker ? (worker as PoolWorker).live > 1 : slot === WAITING;
  }

  /** Takes a call out; `false` if it has started. */
  takeBack(call: Call): boolean {
    const member = call.worker as PoolWorker | undefined;
    if (member && call.chunk) {
      const rest = member.takeRest(call);
      if (rest !== call) {
        if (rest) this.#drop(rest);
        return false;
      }
    } else if (member) {
      if (!member.takeBack(call)) return false;
    } else {
      this.#queue.drop();
    }
    this.release(call);
    return true;
  }

  /** What was cut off a chunk is not to be run. */
  #drop(rest: Call): void {
    this.#statistics.cancelled += sizeOf(rest);
    this.release(rest);
    rest.future.cancel();
  }

  /** A call leaves the pool: it holds nothing of it any more. */
  release(call: Call): void {
    this.#pending -= sizeOf(call);
    if (call.limits) {
      this.#stalls.remove(call);
      this.#events.onReleased(call);
    }
    const { args } = call;
    if (typeof args === "object" && args instanceof WithCaptured) {
      args.carried?.drop();
    }
    call.args = undefined;
    call.worker = undefined;
    call.slot = RELEASED;
    call.future.attach();
  }

  /** Nobody needs any more what a function captured. */
  forget(carried: Carried): void {
    for (const { link } of this.#crew) link.forget?.(carried);
  }

  /** Calls were cancelled: gives back what they held. */
  compact(): void {
    this.#queue.compact();
  }

  /** All calls, those that run first. */
  allCalls(): Call[] {
    const calls = this.#crew.all.flatMap((member) => [...member.calls()]);
    return [...calls, ...this.waiting()];
  }

  /** The calls that wait in the queue. */
  waiting(): Call[] {
    return [...this.#queue];
  }

  // ---- Handing calls to workers --------------------------------------------

  /** Dispatches once for all that happens in this turn of the event loop. */
  plan(): void {
    if (this.#planned || this.#queue.size === 0) return;
    this.#planned = true;
    soon(() => {
      this.#planned = false;
      this.#goOn();
    });
  }

  /** Something has ended: hands out, and the pool may end. */
  #goOn(now?: number): void {
    this.dispatch();
    this.#events.onProgress(now);
  }

  /** See the head of this file. */
  dispatch(): void {
    if (this.#stopped) return;
    if (this.#crew.hasWaiting) this.#takeBackFromLong();
    // Nothing is to be handed out, nor taken back.
    else if (this.#queue.size === 0) return this.#stalls.check();
    do this.#handOut(); while (
      !this.#kind.together && this.#crew.hasIdle &&
      this.#queue.size === 0 &&
      this.#takeBackFromRichest()
    );
    if (this.#queue.size > 0) this.#handAhead();
    this.#watchForLong();
    this.#stalls.check();
  }

  /**
   * Looks again, while calls wait behind others: one that turns out long may
   * give no event for long, and those behind it must not pass for started.
   */
  #watchForLong(): void {
    if (this.#stopped || this.#stopWatch || !this.#crew.hasWaiting) return;
    this.#stopWatch = startQuietTimer(LONG + 1, () => {
      this.#stopWatch = undefined;
      this.dispatch();
    });
  }

  /** No timer is left: a program would not end before it. */
  stopWatching(): void {
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    this.#stalls.stopWatching();
    this.endings.stopWatching();
  }

  /** One call each for the workers that have none. */
  #handOut(): void {
    for (let call; (call = this.#queue.next);) {
      const member = this.#takeIdle(call) ??
        this.#crew.start(this.depth, this.#eventsOf);
      if (!member) return;
      const { maxWorkers, together } = this.#kind;
      const first = this.#queue.take(member.ready ? AHEAD : 0, maxWorkers);
      const more = together
        ? this.#takeAhead(member, TOGETHER - expected(first), member.room - 1)
        : [];
      this.#handOver(member, [first, ...more]);
    }
  }

  /** Calls that are short, for one worker, which take so many microseconds in all. */
  #takeAhead(member: PoolWorker, time: number, most: number): Call[] {
    return this.#queue.takeAhead(time, most, this.#crew.size, member);
  }

  /** An idle worker for a call; those that can't run it make room. */
  #takeIdle(call: Call): PoolWorker | undefined {
    for (let member; (member = this.#crew.takeIdle());) {
      if (member.accepts(call.fn)) return member;
      this.#crew.end(member);
    }
    return undefined;
  }

  #handOver(member: PoolWorker, calls: readonly Call[]): void {
    this.#send(member, calls, () => member.take(calls));
  }

  #send(member: PoolWorker, calls: readonly Call[], send: () => void): void {
    try {
      send();
    } catch (error) {
      // Reading its arguments may have had one cancelled, which is released.
      const left = calls.filter(({ slot }) => slot === WAITING);
      const isSplit = this.#queue.putBackApart(left);
      // One of them can't be sent: that one fails, alone.
      if (!isSplit && left.length > 1) {
        return left.forEach((call) => this.#handOver(member, [call]));
      }
      this.#crew.idleIfDone(member);
      if (!isSplit) { for (const call of left) this.#fail(call, error); }
      this.plan();
      this.#events.onProgress();
    }
  }

  /** A call that can't be sent leaves the pool. */
  #fail(call: Call, error: unknown): void {
    this.release(call);
    if (call.future.done()) return;
    this.#statistics.failed++;
    call.future.setException(error);
  }

  /** Hands short calls to workers that are busy, ahead of time. */
  #handAhead(): void {
    const now = ownClock.now();
    const most = Math.ceil(this.#queue.size / this.#crew.size);
    // Topped up at half, so that one message carries several calls; and not while
    // earlier calls are asked back, which would then come after these.
    for (const member of this.#crew.hungry(AHEAD / 2, now - LONG)) {
      const room = Math.min(most, member.room);
      const calls = this.#takeAhead(member, AHEAD - member.load, room);
      if (calls.length > 0) this.#handOver(member, calls);
    }
  }

  /** Frees the calls that wait behind one that turned out long. */
  #takeBackFromLong(): void {
    const now = ownClock.now();
    for (const member of this.#crew.all) {
      if (member.live < 2 || now - member.progress < LONG) continue;
      this.#requeue(member.takeBackLast(Infinity));
    }
  }

  /** Frees calls for idle workers, from whoever has the most. */
  #takeBackFromRichest(): boolean {
    if (!this.#crew.hasWaiting) return false;
    for (const member of this.#crew.richest) {
      const back = member.takeBackLast(Math.ceil((member.live - 1) / 2));
      this.#requeue(back);
      if (back.length > 0) return true;
    }
    return false;
  }

  /** Puts calls, the last first, back to the front of the queue. */
  #requeue(calls: readonly Call[]): void {
    const wanted = calls.filter(({ chunk, limits }) =>
      !chunk?.items.cancelled && !limits?.fail
    );
    this.#queue.putBack(wanted);
    if (wanted.length === calls.length) return;
    for (const call of calls) {
      if (call.chunk?.items.cancelled) this.#drop(call);
      else if (call.limits?.fail) this.endings.failStopped(call);
    }
  }

  // ---- Workers ---------------------------------------------------------------

  readonly #eventsOf = (memberOf: () => PoolWorker): LinkEvents => {
    // An event of a worker that is gone is about nothing any more.
    const whileLive = <E extends unknown[]>(
      handle: (member: PoolWorker, ...event: E) => void,
    ) =>
    (...event: E) => {
      const member = memberOf();
      if (!this.#crew.has(member)) return;
      try {
        handle(member, ...event);
      } catch (error) {
        this.#breakAfter(error);
      }
    };
    return {
      onReady: whileLive((member, failures?: readonly Thrown[]) => {
        member.importFailure = failures?.[0];
        const kept = member.getReady();
        if (kept.length > 0) this.#send(member, kept, () => member.send(kept));
        // What it had may have been taken back.
        this.#crew.idleIfDone(member);
        this.warming.look();
        this.#goOn();
      }),
      onStarted: whileLive((member, slot: number, order: number) => {
        const call = member.callIn(slot);
        // Its result may have overtaken this, and another call have its slot.
        if (call?.order !== order) return;
        this.#stalls.remove(call);
        this.#events.onStarted(call);
      }),
      onListens: whileLive(this.endings.onListens),
      onAborting: whileLive(this.endings.onAborting),
      // Written out: it comes more often than all others together.
      onOutcome: (slot, ms, outcome, more, item, now) => {
        const member = memberOf();
        if (!this.#crew.has(member)) return;
        try {
          this.#onOutcome(member, slot, ms, outcome, more, item, now);
        } catch (error) {
          this.#breakAfter(error);
        }
      },
      onSkipped: whileLive((member, slots: readonly number[]) => {
        member.skipped(slots);
        this.#crew.idleIfDone(member);
        this.#goOn();
      }),
      onReturned: whileLive((
        member,
        slots: readonly number[],
        chunks?: readonly (readonly [slot: number, started: number])[],
      ) => {
        const back = member.returned(slots, chunks);
        this.#requeue(back);
        if (this.endings.areUnwanted) {
          for (const { future } of this.waiting()) future.cancel();
        }
        this.#crew.idleIfDone(member);
        if (back.some(({ limits }) => limits?.fail)) {
          this.endings.replaceStuck();
        }
        // One that was stopped, and passed over before, ends with this.
        this.#goOn();
      }),
      onInitializerFailed: whileLive((member, outcome: Outcome) => {
        const error = thrownBy(outcome);
        this.warming.end(() => error);
        this.#events.onBroken(
          `the initializer failed in ${member.link.label} with ${
            textOf(error)
          }: create a new pool`,
          { cause: error },
        );
      }),
      onDeath: whileLive(this.endings.onDeath),
    };
  };

  readonly #onOutcome = (
    member: PoolWorker,
    slot: number,
    ms: number,
    outcome: Outcome,
    more = false,
    item = 0,
    now = ownClock.now(),
  ) => {
    const call = member.callIn(slot);
    if (!member.canEnd(call, slot, item, ms)) {
      const what = `an outcome of item ${item} of slot ${slot} after ${ms} ms`;
      return this.endings.onGarbled(member, what);
    }
    const chunk = call?.chunk;
    try {
      if (chunk) {
        this.#pending--;
        member.itemDone(call);
      } else {
        member.free(slot, call);
      }
      member.progress = now;
      member.hasWorked = true;
      this.endings.hasWorked();
      // Before its future is settled: a callback that submits must find it.
      this.#crew.idleIfDone(member);
      if (call) {
        if (outcome.is === "threw") placeStacks(outcome, call.fn);
        learn(call.fn, ms);
        if (!chunk) {
          this.#kind.recycle?.(argsAlone(call.args));
          this.release(call);
        }
        if (!call.future.done() && !call.limits?.fail) {
          const returned = outcome.is === "returned";
          this.#statistics.ended(elapsed(call.since, now) - ms, ms, returned);
        }
      }
    } finally {
      // Whatever else fails, nobody waits for what has ended.
      if (call && !call.future.done()) {
        if (call.limits?.fail) call.limits.fail();
        else if (chunk) chunk.items.end(chunk.first + item, outcome);
        else settle(call.future, outcome);
      }
    }
    if (more) return;
    this.#goOn(now);
  };

  /**
   * Handling an event failed, which must not happen. What the pool knows of its
   * workers may be wrong from here on: so it ends, and no call waits for ever.
   */
  #breakAfter(error: unknown): void {
    try {
      this.#events.onBroken(
        `the pool failed itself with ${textOf(error)}: create a new pool`,
        { cause: error },
      );
    } catch (another) {
      console.error("A pool that failed could not be ended:", another, error);
    }
  }

  /** Ends all workers, which have no calls. */
  endAll(): void {
    this.stopWatching();
    for (const member of this.#crew) this.#crew.end(member);
  }

  /**
   * Ends all workers now, and dispatches no more. Gives the calls that they had;
   * the others stay in the queue.
   */
  killAll(signal: Deno.Signal): Held[] {
    this.#stopped = true;
    this.stopWatching();
    const held: Held[] = [];
    for (const member of this.#crew) {
      const { label } = member.link;
      const doing = member.doing();
      const { calls, sent } = member.abandon();
      for (const call of calls) {
        held.push({ call, wasSent: sent.includes(call), label, doing });
      }
    }
    for (const member of this.#crew) this.#crew.end(member, signal);
    return held;
  }
}
