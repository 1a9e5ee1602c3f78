/** One worker of a pool, and what it holds. */

import { ownClock } from "../base/timers.ts";
import {
  type Call,
  type CallHolder,
  type Chunk,
  expected,
  learnSending,
  WAITING,
} from "../call/call.ts";
import type { CallMessage, FunctionRef, Thrown } from "../call/protocol.ts";
import { WithCaptured } from "../closures/carried.ts";
import { label } from "../functions/describe.ts";
import { costOfItem, cutRest, sizeOf, WORTH } from "./map_items.ts";
import type { PoolKind, PoolLink } from "./pool_link.ts";

/** A ready worker that begins nothing that it has for so long is deaf, in milliseconds. */
export const DEAF = 1000;
/** One that takes so long for modules and initializer holds calls up, in milliseconds. */
const SLOW = 5000;
/** Where there are none it is the machine that is slow, and more so. */
const VERY_SLOW = 30_000;

/** A worker of a pool: its link, and the calls that were handed to it. */
export class PoolWorker implements CallHolder {
  readonly index: number;
  readonly link: PoolLink;
  /** By slot, in the order they came; a hole was taken back, and not skipped yet. */
  readonly #calls = new Map<number, Call | undefined>();
  readonly #freeSlots: number[];
  /** Passed over before the answer to the recall that brought it about came, or its last item's outcome. */
  readonly #skippedEarly = new Set<number>();
  /** How many calls there are, each item of a chunk by itself; holes are none. */
  #live = 0;
  #tasksLeft: number;
  readonly #onChunkDone: (call: Call) => void;
  /** When it was started. */
  readonly opened = ownClock.now();
  readonly #slow: number;
  /** The calls that are kept here until it is ready, in order; see `startsLate`. */
  #kept: Call[] = [];
  /** How long its calls will take, as far as is known, in microseconds. */
  load = 0;
  /** When it last ended a call, or was given one with none to do. */
  progress = 0;
  #ready = false;
  /** Which `progress` it was when it was asked for all that it has. */
  #asked = -1;
  /** Whether it has ended a call. */
  hasWorked = false;
  /** What the import of one of its modules threw. */
  importFailure: Thrown | undefined;
  /** What was asked for by a `recall` that is unanswered. */
  #recalled: readonly Call[] = [];

  /**
   * @param onChunkDone Told when nothing of a chunk is left to be done.
   */
  constructor(
    index: number,
    link: PoolLink,
    kind: PoolKind,
    onChunkDone: (call: Call) => void,
  ) {
    this.index = index;
    this.link = link;
    this.#onChunkDone = onChunkDone;
    this.#slow = kind.preparesWorkers ? SLOW : VERY_SLOW;
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

  /** Whether something waits in it that is worth to be given to another. */
  get canSpare(): boolean {
    if (this.#live < 2) return false;
    if (this.load > WORTH) return true;
    // Items that are that short are done before another has them; of calls that
    // wait for each other, none must wait behind another.
    for (const { chunk } of this.calls()) if (!chunk) return true;
    return false;
  }

  /** Whether it has nothing to do and nothing to pass over. */
  get isIdle(): boolean {
    return this.#calls.size === 0;
  }

  /** Whether it runs a call. */
  get isRunning(): boolean {
    for (const call of this.calls()) if (this.hasStarted(call)) return true;
    return false;
  }

  /** Whether it has run as many calls as it may. */
  get isRetired(): boolean {
    return this.#tasksLeft <= 0;
  }

  /** Whether it is past its start: until then nothing is handed to it ahead. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether the call that it runs was stopped; one with limits is its only one. */
  get wasStopped(): boolean {
    for (const { limits, future } of this.calls()) {
      return limits !== undefined &&
        (limits.fail !== undefined || future.done());
    }
    return false;
  }

  /**
   * From when on it counts as held up, unless something is heard of it before: by
   * modules or an initializer that never end, or by what an earlier call left
   * running. `Infinity` while it runs a call, or has none.
   */
  get stuckFrom(): number {
    if (!this.#ready) return this.opened + this.#slow;
    return this.isIdle || this.#runs ? Infinity : this.progress + DEAF;
  }

  /** Whether it runs a call, as far as is known here. */
  get #runs(): boolean {
    for (const call of this.calls()) {
      // What a child was handed counts as started, if it does not tell.
      return this.link.recall
        ? call.limits?.started ?? call.limits === undefined
        : this.hasStarted(call);
    }
    return false;
  }

  /**
   * From when on a child is to be asked for the call that it seems to run, once:
   * what has not started by then comes back. `Infinity` where nothing is to be asked.
   */
  get askFrom(): number {
    return this.link.recall && this.#ready && this.#live > 0 &&
        this.#asked !== this.progress && this.#runs
      ? this.progress + DEAF
      : Infinity;
  }

  /** Whether it has calls that may have started, as far as is known here. */
  get mayHaveStarted(): boolean {
    for (const call of this.calls()) if (this.hasStarted(call)) return true;
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

  /** Whether a `recall` is unanswered. */
  get recalling(): boolean {
    return this.#recalled.length > 0;
  }

  accepts(fn: FunctionRef): boolean {
    const { link } = this;
    return link.accepts === undefined || link.accepts(fn);
  }

  hasStarted(call: Call): boolean {
    return !this.#keeps(call) && this.link.hasStarted(call.slot);
  }

  /** Whether a call is kept here until the worker is ready. */
  #keeps(call: Call): boolean {
    return this.#kept.length > 0 && this.#kept.includes(call);
  }

  /** It is past its start; gives the calls that are to be sent now. */
  getReady(): readonly Call[] {
    this.#ready = true;
    this.progress = ownClock.now();
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }

  /**
   * Hands calls over.
   *
   * @throws what the link throws; the worker then has none of them.
   */
  take(calls: readonly Call[]): void {
    const now = ownClock.now();
    if (this.isIdle) this.progress = now;
    for (const call of calls) {
      const slot = call.slot = this.#freeSlots.pop()!;
      call.worker = this;
      this.#calls.set(slot, call);
      const size = sizeOf(call);
      this.#live += size;
      this.load += call.cost = costOf(call, size);
      this.#tasksLeft--;
    }
    if (this.link.startsLate && !this.#ready) this.#kept.push(...calls);
    else this.send(calls, now);
  }

  /**
   * Sends calls that it has.
   *
   * @throws what the link throws; the worker then has none of them.
   */
  send(calls: readonly Call[], begin: number = ownClock.now()): void {
    const messages: CallMessage[] = [];
    let count = 0;
    for (const call of calls) {
      messages.push(messageOf(call));
      count += sizeOf(call);
    }
    try {
      this.link.send(messages);
      const ms = ownClock.now() - begin;
      let last: FunctionRef | undefined;
      for (const { fn } of calls) {
        if (fn !== last) learnSending(fn, ms, count);
        last = fn;
      }
    } catch (error) {
      messages.forEach(({ slot }, i) => {
        // Reading its arguments may have had it cancelled.
        if (!this.free(slot)) return;
        this.#tasksLeft++;
        waits(calls[i]);
      });
      throw error;
    }
  }

  /** A slot's call has ended, or was passed over. */
  free(slot: number, call = this.#calls.get(slot)): Call | undefined {
    if (this.#calls.delete(slot)) this.#freeSlots.push(slot);
    if (call) {
      this.#live -= sizeOf(call);
      this.load -= call.cost;
    }
    return call;
  }

  /**
   * Whether an outcome can be one: of a call that is here, as `callIn` gave it, and
   * of an item that has had none. It is asked once for each.
   */
  canEnd(
    call: Call | undefined,
    slot: number,
    item: number,
    ms: number,
  ): boolean {
    if (typeof ms !== "number" || !(ms >= 0 && ms < Infinity)) return false;
    if (call?.chunk) return canEndItem(call.chunk, item);
    return item === 0 && (call !== undefined || this.#calls.has(slot));
  }

  /** An item of a chunk is done. */
  itemDone(call: Call): void {
    const chunk = call.chunk!;
    const cost = (call.cost / sizeOf(call)) | 0;
    call.cost -= cost;
    this.load -= cost;
    this.#live--;
    chunk.done++;
    this.#freeIfDone(call);
  }

  /** Frees the slot of a chunk whose items are all done. */
  #freeIfDone(call: Call): void {
    const { slot, chunk } = call;
    if (sizeOf(call) > 0) return;
    this.load -= call.cost;
    call.cost = 0;
    // What was cut off is passed over before the slot is free.
    if (!chunk!.isCut || this.#skippedEarly.delete(slot)) this.free(slot);
    else this.#calls.set(slot, undefined);
    this.#onChunkDone(call);
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
    if (this.#keeps(call)) {
      this.#unkeep(call);
      return true;
    }
    if (!this.link.takeBack(call.slot)) return false;
    this.#forget(call);
    return true;
  }

  /**
   * Takes what has not started of a chunk, if that can be done at once: the call
   * itself, if that is all of it. Else it asks for what nobody wants any more.
   */
  takeRest(call: Call): Call | undefined {
    if (this.#keeps(call)) {
      this.#unkeep(call);
      return call;
    }
    const started = this.link.takeRest?.(call.slot);
    if (started !== undefined) return this.#cut(call, started);
    if (call.chunk!.items.cancelled) this.#recallUnwanted();
    return undefined;
  }

  /** Asks for what nobody wants any more, unless all of it was `asked` for. */
  #recallUnwanted(asked: readonly Call[] = []): void {
    if (this.recalling) return;
    const unwanted = [...this.calls()].filter(({ chunk }) =>
      chunk?.items.cancelled
    );
    if (unwanted.some((call) => !asked.includes(call))) this.#recall(unwanted);
  }

  #recall(calls: readonly Call[]): void {
    this.#recalled = calls;
    const slots = (isChunk: boolean) =>
      calls.filter(({ chunk }) => isChunk === (chunk !== undefined))
        .map(({ slot }) => slot);
    this.link.recall?.(slots(false), slots(true));
  }

  /**
   * Takes up to `most` of its last calls back, or asks for them where that takes
   * time; of a chunk, all that has not started. The first runs, or is about to.
   */
  takeBackLast(most: number): Call[] {
    if (this.recalling) return [];
    const calls = [...this.calls()];
    if (calls.length > 0 && sizeOf(calls[0]) === 1) calls.shift();
    const last: Call[] = [];
    for (let i = calls.length - 1, size = 0; i >= 0 && size < most; i--) {
      last.push(calls[i]);
      size += sizeOf(calls[i]);
    }
    const back: Call[] = [];
    if (this.#kept.length > 0) {
      for (const call of last) this.#unkeep(call);
      return last;
    }
    if (this.link.recall) {
      if (last.length > 0) this.#recall(last);
      return back;
    }
    for (const call of last) {
      if (call.future.done()) continue;
      if (call.chunk) {
        const rest = this.takeRest(call);
        if (rest) back.push(rest);
        // It has started, and so has what stands before it.
        if (rest !== call) break;
      } else {
        if (!this.takeBack(call)) break;
        back.push(call);
      }
    }
    return back;
  }

  /** Asks for all that has not started, where that takes time. */
  askForAll(): void {
    this.#asked = this.progress;
    if (this.link.recall && !this.recalling && this.#kept.length === 0) {
      this.#recall([...this.calls()]);
    }
  }

  /** The answer to what was asked for: the calls, the last first. */
  returned(
    slots: readonly number[],
    chunks: readonly (readonly [slot: number, started: number])[] = [],
  ): Call[] {
    const starts = new Map<number, number>(chunks);
    const recalled = this.#recalled;
    this.#recalled = [];
    const back: Call[] = [];
    for (const call of [...this.calls()].reverse()) {
      const { slot, chunk } = call;
      // It may be another that came into the slot of a chunk that is done.
      const started = !chunk
        ? slots.includes(slot) ? 0 : undefined
        : recalled.includes(call)
        ? starts.get(slot)
        : undefined;
      if (started === undefined) continue;
      const rest = chunk ? this.#cut(call, started) : call;
      if (!chunk) this.#forget(call);
      if (rest === call && this.#skippedEarly.delete(slot)) this.free(slot);
      if (rest) back.push(rest);
    }
    // Nobody wants it since then, and it was not asked for while this was.
    this.#recallUnwanted(recalled);
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
        ? this.#ready && started.length === 0
        : !this.link.takeBack(call.slot);
      (ran ? started : waiting).push(call);
      if (!ran) waits(call);
    }
    this.#calls.clear();
    this.#kept = [];
    this.#live = 0;
    return { started, waiting };
  }

  /** Lets go of all its calls: it will end. Gives those, and which it was sent. */
  abandon(): { calls: Call[]; sent: Call[] } {
    const calls = [...this.calls()];
    const sent = calls.filter((call) => !this.#keeps(call));
    // What has started is running, whatever the pool does about it now.
    for (const { future } of calls) future.keepRunning();
    this.#calls.clear();
    this.#kept = [];
    this.#live = 0;
    return { calls, sent };
  }

  /** What it does, as far as is known here. */
  doing(): string {
    for (const call of this.calls()) {
      if (this.hasStarted(call) && (this.#ready || !this.link.recall)) {
        return `while it ran ${label(call.fn)}`;
      }
    }
    return this.live > 0 ? "before it ran a call" : "while it was idle";
  }

  /** Of a chunk, so many items have started: gives the rest, which never will. */
  #cut(call: Call, started: number): Call | undefined {
    if (started === 0) {
      this.#forget(call);
      return call;
    }
    if (started >= call.chunk!.count) return undefined;
    const size = sizeOf(call);
    const rest = cutRest(call, started);
    const cost = (call.cost / size * sizeOf(rest)) | 0;
    call.cost -= cost;
    this.load -= cost;
    this.#live -= sizeOf(rest);
    this.#freeIfDone(call);
    return rest;
  }

  /** A call is not to be sent after all. */
  #unkeep(call: Call): void {
    this.#kept.splice(this.#kept.indexOf(call), 1);
    this.free(call.slot);
    this.#tasksLeft++;
    waits(call);
  }

  #forget(call: Call): void {
    // The slot stays taken until the worker has passed the call over.
    this.#calls.set(call.slot, undefined);
    this.#live -= sizeOf(call);
    this.load -= call.cost;
    this.#tasksLeft++;
    waits(call);
  }
}

/**
 * A message that has nothing but what it was given: what a program puts on the
 * prototype of all objects is no part of it, where parts are left out.
 */
class Message implements CallMessage {
  readonly slot: number;
  readonly fn: FunctionRef;
  readonly args: unknown;
  constructor(slot: number, fn: FunctionRef, args: unknown) {
    this.slot = slot;
    this.fn = fn;
    this.args = args;
  }
}
Object.setPrototypeOf(Message.prototype, null);

function messageOf(call: Call): CallMessage {
  const { slot, fn, args, limits, chunk } = call;
  const message = new Message(slot, fn, args);
  if (typeof args === "object" && args instanceof WithCaptured) {
    const watched = limits ? call.order : undefined;
    return Object.assign(message, args, { watched });
  }
  if (limits) return Object.assign(message, { watched: call.order });
  if (!chunk) return message;
  return Object.assign(message, chunk.items.argsOf(chunk), {
    count: sizeOf(call),
  });
}

/** How many have calls, and how many of these run one: of what was handed to a child, all but one waits. */
export function countBusy(
  members: Iterable<PoolWorker>,
): { busy: number; running: number } {
  let busy = 0;
  let running = 0;
  for (const member of members) {
    if (member.live > 0) busy++;
    if (member.isRunning) running++;
  }
  return { busy, running };
}

/** Whether an item can be done now, which is taken note of. */
function canEndItem(chunk: Chunk, item: number): boolean {
  const { early, done, count } = chunk;
  const next = done - (early ? early.size : 0);
  if (item === next && item < count) {
    for (let i = next + 1; early?.delete(i); i++);
    return true;
  }
  // The two threads of a child speak independently.
  if (!(Number.isInteger(item) && item > next && item < count)) return false;
  if (early?.has(item)) return false;
  (chunk.early ??= new Set()).add(item);
  return true;
}

/** What a call is taken for, in microseconds; an integer. */
function costOf(call: Call, size: number): number {
  return call.chunk ? Math.ceil(costOfItem(call) * size) : expected(call);
}

function waits(call: Call): void {
  call.worker = undefined;
  call.slot = WAITING;
}
