/** The calls of a pool that no worker has, in their order. */

import { Deque } from "../base/deque.ts";
import { ownClock } from "../base/timers.ts";
import {
  type Call,
  comesBefore,
  elapsed,
  expected,
  RELEASED,
  UNKNOWN,
  WAITING,
} from "../call/call.ts";
import type { FunctionRef } from "../call/protocol.ts";
import { costOfItem, rejoin, sizeOf, splitFirst, WORTH } from "./map_items.ts";

/** How much work a worker is given at once, and ahead, in microseconds. */
export const AHEAD = UNKNOWN * 1000;
/** How many items a worker can be given as one call: what a link can count. */
const MOST_ITEMS = 4096;
/** How long a chunk that waits takes more items in, in milliseconds. */
const FRESH = 1;

/** A queue whose calls may be cancelled where they stand. */
export class CallQueue {
  readonly #calls = new Deque<Call>();
  /** Calls that were cancelled, and are passed over. */
  #dropped = 0;
  readonly #onSettled: (call: Call) => void;

  /**
   * @param onSettled Told of a call that leaves the queue since somebody else's
   * hand has settled its future.
   */
  constructor(onSettled: (call: Call) => void) {
    this.#onSettled = onSettled;
  }

  /** How many calls wait, a chunk being one. */
  get size(): number {
    return this.#calls.size - this.#dropped;
  }

  *[Symbol.iterator](): Generator<Call> {
    for (const call of this.#calls) if (call.slot !== RELEASED) yield call;
  }

  push(call: Call): void {
    this.#calls.push(call);
  }

  /** Puts calls, the last first, back to where they were. */
  putBack(calls: readonly Call[]): void {
    for (const call of calls) {
      // Others may have been put back that came before it.
      const earlier: Call[] = [];
      for (let first; (first = this.#calls.first);) {
        if (comesBefore(call, first)) break;
        earlier.push(this.#calls.shift()!);
      }
      for (const each of [call, ...earlier.reverse()]) this.#putFirst(each);
    }
  }

  /**
   * Puts calls back that can't be sent, if chunks are among them: these then
   * travel in halves. It may be one item, or that they are too much together.
   *
   * @returns Whether it did.
   */
  putBackApart(calls: readonly Call[]): boolean {
    const chunks = calls.filter((call) => sizeOf(call) > 1);
    if (chunks.length === 0) return false;
    for (const call of chunks) {
      call.chunk!.items.most = Math.ceil(sizeOf(call) / 2);
    }
    this.putBack([...calls].reverse());
    return true;
  }

  #putFirst(call: Call): void {
    const { first } = this.#calls;
    // What was split off a chunk that still waits is a part of it again.
    const isPart = first?.slot === WAITING && call.slot === WAITING &&
      rejoin(call, first);
    if (!isPart) this.#calls.unshift(call);
  }

  /**
   * Has one more item join a chunk, if that was the last to come, and just now or
   * in this turn of the event loop.
   */
  join(call: Call, inTurn: boolean): boolean {
    if (call.slot !== WAITING || call !== this.#calls.last) return false;
    if (!inTurn && elapsed(call.since, ownClock.now()) > FRESH) return false;
    call.chunk!.count++;
    return true;
  }

  /** One of its calls was cancelled. */
  drop(): void {
    this.#dropped++;
  }

  /** Gives back what calls held that were cancelled. */
  compact(): void {
    if (this.#dropped > 1000 && this.#dropped * 2 > this.#calls.size) {
      this.#calls.filter((call) => call.slot !== RELEASED);
      this.#dropped = 0;
    }
  }

  /** The next call that nobody cancelled; it stays there. */
  get next(): Call | undefined {
    for (let call; (call = this.#calls.first);) {
      if (!call.future.done()) return call;
      this.#calls.shift();
      // Cancelled, and counted out then; or settled by somebody else's hand.
      if (call.slot === RELEASED) this.#dropped--;
      else this.#onSettled(call);
    }
    return undefined;
  }

  /**
   * Takes the next call out; of a chunk, as much as is done in a time, in
   * microseconds, and leaves enough for the other workers.
   */
  take(time: number, workers: number): Call {
    const call = this.#calls.first!;
    const { chunk } = call;
    if (chunk) {
      const cost = costOfItem(call);
      const share = Math.ceil(chunk.count / (2 * workers));
      const count = Math.min(
        Math.max(Math.floor(time / cost), 1),
        Math.max(share, Math.floor(WORTH / cost)),
        chunk.items.most,
        MOST_ITEMS,
      );
      if (count < chunk.count) return splitFirst(call, count);
    }
    this.#calls.shift();
    return call;
  }

  /**
   * Takes calls that are short, to be handed to a worker ahead.
   *
   * @param time How long they may take in all, in microseconds.
   * @param most How many there may be.
   * @param workers How many workers share what waits.
   */
  takeAhead(
    time: number,
    most: number,
    workers: number,
    worker: { accepts(fn: FunctionRef): boolean },
  ): Call[] {
    const calls: Call[] = [];
    while (calls.length < most) {
      const call = this.next;
      const cost = call && expected(call);
      // What may be long waits for a worker of its own, and so do those behind it.
      if (cost === undefined || cost >= AHEAD || cost > time) break;
      if (!worker.accepts(call!.fn)) break;
      const taken = this.take(time, workers);
      time -= taken.chunk ? costOfItem(taken) * sizeOf(taken) : cost;
      calls.push(taken);
    }
    return calls;
  }
}
