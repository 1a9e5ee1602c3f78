/** One worker of a pool, and what it holds. */

import {
  type Call,
  type CallHolder,
  expected,
  learnSending,
  WAITING,
} from "./call.ts";
import type { PoolKind, WorkerLink } from "./link.ts";
import type { CallMessage, FunctionRef } from "./protocol.ts";
import { label } from "./travel.ts";

/** A worker of a pool: its link, and the calls that were handed to it. */
export class Member implements CallHolder {
  readonly index: number;
  readonly link: WorkerLink;
  /** By slot, in the order they came; a hole was taken back, and not skipped yet. */
  readonly #calls = new Map<number, Call | undefined>();
  readonly #freeSlots: number[];
  /** Passed over before the answer to the recall that brought it about came. */
  readonly #skippedEarly = new Set<number>();
  /** How many of the calls are no holes. */
  #live = 0;
  #tasksLeft: number;
  /** How long its calls will take, as far as is known, in microseconds. */
  load = 0;
  /** When it last ended a call, or was given one with none to do. */
  progress = 0;
  /** Whether it is past its start: until then nothing is handed to it ahead. */
  ready = false;
  /** Whether it has ended a call. */
  hasWorked = false;
  /** Whether a `recall` is unanswered. */
  recalling = false;

  constructor(index: number, link: WorkerLink, kind: PoolKind) {
    this.index = index;
    this.link = link;
    this.#tasksLeft = kind.maxTasks;
    this.#freeSlots = Array.from(
      { length: kind.slots },
      (_, i) => kind.slots - 1 - i,
    );
  }

  /** The calls that it runs or will run, in order. */
  *calls(): Generator<Call> {
    for (const call of this.#calls.values()) if (call) yield call;
  }

  /** How many calls it runs or will run. */
  get live(): number {
    return this.#live;
  }

  /** Whether it has nothing to do and nothing to pass over. */
  get isIdle(): boolean {
    return this.#calls.size === 0;
  }

  /** Whether it has run as many calls as it may. */
  get isRetired(): boolean {
    return this.#tasksLeft <= 0;
  }

  /** Whether the call that it runs was stopped; one with limits is its only one. */
  get wasStopped(): boolean {
    for (const { limits, future } of this.calls()) {
      return limits !== undefined && future.done();
    }
    return false;
  }

  /** How many calls it can be given. */
  get room(): number {
    return Math.min(this.#freeSlots.length, this.#tasksLeft);
  }

  /** Whether it is worth a message to give it more. */
  get isHalfFree(): boolean {
    return this.#freeSlots.length >= this.#calls.size;
  }

  accepts(fn: FunctionRef): boolean {
    return this.link.accepts?.(fn) ?? true;
  }

  hasStarted(call: Call): boolean {
    return this.link.hasStarted(call.slot);
  }

  /**
   * Hands calls over.
   *
   * @throws what the link throws; the worker then has none of them.
   */
  take(calls: readonly Call[]): void {
    const messages: CallMessage[] = [];
    if (this.isIdle) this.progress = performance.now();
    for (const call of calls) {
      const slot = call.slot = this.#freeSlots.pop()!;
      call.worker = this;
      this.#calls.set(slot, call);
      this.#live++;
      this.load += call.cost = expected(call);
      this.#tasksLeft--;
      const { fn, args, limits } = call;
      messages.push(
        limits ? { slot, fn, args, watched: true } : { slot, fn, args },
      );
    }
    try {
      const begin = performance.now();
      this.link.send(messages);
      const ms = (performance.now() - begin) / calls.length;
      for (const { fn } of calls) learnSending(fn, ms);
    } catch (error) {
      for (const call of calls) {
        this.free(call.slot);
        this.#tasksLeft++;
        waits(call);
      }
      throw error;
    }
  }

  /** A slot's call has ended, or was passed over. */
  free(slot: number): Call | undefined {
    const call = this.#calls.get(slot);
    this.#calls.delete(slot);
    this.#freeSlots.push(slot);
    if (call) {
      this.#live--;
      this.load -= call.cost;
    }
    return call;
  }

  /** Calls that were taken back were passed over: their slots are free. */
  skipped(slots: readonly number[]): void {
    for (const slot of slots) {
      // A child's worker and its main thread speak independently: that a call
      // was passed over may be heard before that it will not start.
      if (this.#calls.get(slot)) this.#skippedEarly.add(slot);
      else this.free(slot);
    }
  }

  /** Takes a call back, if it has not started. */
  takeBack(call: Call): boolean {
    if (!this.link.takeBack(call.slot)) return false;
    this.#forget(call);
    return true;
  }

  /**
   * Takes up to `most` of its last calls back, or asks for them where that takes
   * time. The first runs, or is about to.
   */
  takeBackLast(most: number): Call[] {
    const calls = [...this.calls()].slice(1).reverse();
    const back: Call[] = [];
    if (this.link.recall) {
      if (calls.length === 0 || this.recalling) return back;
      this.recalling = true;
      this.link.recall(calls.slice(0, most).map(({ slot }) => slot));
      return back;
    }
    for (const call of calls) {
      if (back.length === most) break;
      if (call.future.done()) continue;
      if (!this.takeBack(call)) break;
      back.push(call);
    }
    return back;
  }

  /** The answer to what was asked for: the calls, the last first. */
  returned(slots: readonly number[]): Call[] {
    this.recalling = false;
    const asked = new Set(slots);
    const back = [...this.calls()].reverse().filter(({ slot }) =>
      asked.has(slot)
    );
    for (const call of back) {
      const { slot } = call;
      this.#forget(call);
      if (this.#skippedEarly.delete(slot)) this.free(slot);
    }
    return back;
  }

  /** The call in a slot. */
  callIn(slot: number): Call | undefined {
    return this.#calls.get(slot);
  }

  /**
   * It is dead: lets go of its calls, those that had started and those that had
   * not, which will start no more.
   */
  lose(): { started: Call[]; waiting: Call[] } {
    const started: Call[] = [];
    const waiting: Call[] = [];
    for (const call of this.calls()) {
      // A child says nothing of a call's start: it is the first that ran.
      const ran = this.link.recall
        ? this.ready && started.length === 0
        : !this.link.takeBack(call.slot);
      (ran ? started : waiting).push(call);
      if (!ran) waits(call);
    }
    this.#calls.clear();
    this.#live = 0;
    return { started, waiting };
  }

  /** Lets go of all its calls: it will end. */
  abandon(): Call[] {
    const calls = [...this.calls()];
    // What has started is running, whatever the pool does about it now.
    for (const { future } of calls) future.keepRunning();
    this.#calls.clear();
    this.#live = 0;
    return calls;
  }

  /** What it does, as far as is known here. */
  doing(): string {
    for (const call of this.calls()) {
      if (this.hasStarted(call) && (this.ready || !this.link.recall)) {
        return `while it ran ${label(call.fn)}`;
      }
    }
    return this.live > 0 ? "before it ran a call" : "while it was idle";
  }

  #forget(call: Call): void {
    // The slot stays taken until the worker has passed the call over.
    this.#calls.set(call.slot, undefined);
    this.#live--;
    this.load -= call.cost;
    this.#tasksLeft++;
    waits(call);
  }
}

function waits(call: Call): void {
  call.worker = undefined;
  call.slot = WAITING;
}
