/**
 * The items of one `map`, of which many travel together.
 *
 * A pool of short calls spends its time on what surrounds a call: a future, an
 * entry of the queue, a place in a message. Of the calls of a `map` nobody has
 * the futures. So they need none: one call of the pool, a chunk, stands for a
 * row of items.
 *
 * ## The life of a chunk
 *
 * 1. Items that are submitted one after the other join one chunk, which waits in
 *    the queue like any other call.
 * 2. When a worker can be given something, as many items as make about a
 *    millisecond's work are split off, less towards the end, so that all workers
 *    end together. The rest keeps its place at the front.
 * 3. The worker claims one item after the other, by an atomic step on the flag
 *    of the chunk's slot, which so says how many have started. Each outcome comes
 *    by itself and at once: an item that takes long, or waits for what the reader
 *    does with an earlier one, holds none back.
 * 4. What has not started can be cut off, by an exchange of the flag: for a
 *    worker with nothing to do, from behind an item that turned out long, or for
 *    good, when the reader has left. What is cut off is a chunk again.
 *
 * Nothing of this shows but the speed. A pool in which more depends on the single
 * call than that, such as one that replaces workers and must know what each has
 * done, submits items one by one.
 */

import { CancelledError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { needsNoContext } from "../base/async_context.ts";
import { Deque } from "../base/deque.ts";
import {
  type Call,
  type CallOwner,
  type Chunk,
  type ChunkArguments,
  type ChunkedItems,
  expected,
  newCall,
  PooledFuture,
  thrownBy,
} from "../call/call.ts";
import type { Backlog } from "../call/map_backlog.ts";
import type { FunctionRef, Outcome } from "../call/protocol.ts";
import type { Target } from "../closures/carried.ts";

/** What came of an item. */
type End = Outcome | { readonly is: "cancelled" };

const CANCELLED: End = { is: "cancelled" };

/** In the place of a result: there is none yet. */
const PENDING = {};

/** In the place of a result: it was read before those that stand before it. */
const TAKEN = {};

/** In the place of a result: why there is none. */
class Failed {
  readonly end: End;

  constructor(end: End) {
    this.end = end;
  }
}

/** Arguments of an item as packed, where they are not one plain value as it is. */
class Packed {
  readonly args: unknown;

  constructor(args: unknown) {
    this.args = args;
  }
}

/** What the pool does for the items of a `map`. */
export interface MapItemsOwner extends CallOwner {
  /** Takes an item: has it join a chunk, or submits it by itself. */
  submitItem(items: MapItems, args: readonly unknown[]): void;
  /** Packs one plain value. */
  packValue(fn: FunctionRef, value: unknown): unknown;
}

/** The items of one `map`, from when they are submitted to when they are read. */
export class MapItems implements Backlog, ChunkedItems {
  /** What was mapped. */
  readonly target: Target;
  readonly fn: FunctionRef;
  readonly #owner: MapItemsOwner;
  most: number;
  /**
   * Of those that are not read yet, the arguments and what came of them; the first
   * has the number `#head`. There may be very many, so most are plain values.
   */
  #args: unknown[] = [];
  #results: unknown[] = [];
  #head = 0;
  /** How many places at the front of both were read. */
  #read = 0;
  /** Of chunks, and of items that were submitted by themselves. */
  readonly #futures = new Set<Future<unknown>>();
  #wake: (() => void) | undefined;
  /** The chunk that came last. */
  last: Call | undefined;
  /** Whether nobody will read what is left. */
  cancelled = false;
  taken = -1;
  /** The numbers of those that have ended, where they are read in that order. */
  readonly #ended: Deque<number> | undefined;
  /** How many behind the first were read. */
  #ahead = 0;
  /** How many have not ended; and whether no more will come. */
  #open = 0;
  #closed = false;

  constructor(
    owner: MapItemsOwner,
    target: Target,
    most: number,
    unordered = false,
  ) {
    this.#ended = unordered ? new Deque() : undefined;
    this.#owner = owner;
    this.target = target;
    this.fn = target.ref;
    this.most = most;
  }

  // ---- What the reader asks ------------------------------------------------

  get size(): number {
    return this.#results.length - this.#read - this.#ahead;
  }

  push(args: unknown[]): void {
    if (!this.cancelled) this.#owner.submitItem(this, args);
  }

  get isReady(): boolean {
    if (this.#ended) return this.#ended.size > 0;
    return this.size > 0 && this.#results[this.#read] !== PENDING;
  }

  take(): unknown {
    const number = this.taken = this.#ended?.shift() ?? this.#head;
    const at = number - this.#head + this.#read;
    const result = this.#results[at];
    if (at === this.#read) this.#goOn();
    else {
      this.#results[at] = TAKEN;
      this.#ahead++;
    }
    if (this.#read > 1000 && this.#read * 2 > this.#results.length) {
      this.#results.splice(0, this.#read);
      this.#args.splice(0, this.#read);
      this.#read = 0;
    }
    if (!(result instanceof Failed)) return result;
    if (result.end.is !== "cancelled") throw thrownBy(result.end);
    throw new CancelledError("The call was cancelled before it started");
  }

  /** The first is read, and so may be some behind it. */
  #goOn(): void {
    do {
      this.#results[this.#read++] = undefined;
      this.#head++;
      if (this.#results[this.#read] !== TAKEN) return;
      this.#ahead--;
    } while (this.#read < this.#results.length);
  }

  watch(wake: () => void): void {
    this.#wake = wake;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dropIfOver();
  }

  /** What the function captured is needed no more once all items have ended. */
  #dropIfOver(): void {
    if (this.#closed && this.#open === 0) this.target.carried?.drop();
  }

  cancel(): void {
    this.cancelled = true;
    const futures = [...this.#futures];
    for (const future of futures) future.cancel();
    this.#results = [];
    this.#args = [];
    this.#read = 0;
    this.#ahead = 0;
    while (this.#ended?.shift() !== undefined);
    // What runs has been sent what it needs.
    const wasOpen = this.#open > 0;
    this.#open = 0;
    if (wasOpen) this.#dropIfOver();
  }

  // ---- What the pool does --------------------------------------------------

  /** The number of the item that comes next. */
  get next(): number {
    return this.#head + this.#results.length - this.#read;
  }

  /** The chunk that came last, if it ends before an item. */
  lastBefore(number: number): Call | undefined {
    const chunk = this.last?.chunk;
    const end = chunk && chunk.first + chunk.count;
    return end === number ? this.last : undefined;
  }

  /** Takes an item in whose one argument travels as it is. */
  addValue(value: unknown): void {
    this.#open++;
    this.#args.push(value);
    this.#results.push(PENDING);
  }

  /** Takes an item in, as packed. */
  addPacked(args: unknown): void {
    this.addValue(new Packed(args));
  }

  /** Takes an item in that could not be packed. */
  addFailed(error: unknown): void {
    if (this.cancelled) return;
    this.#ended?.push(this.next);
    this.#args.push(undefined);
    this.#results.push(new Failed({ is: "raised", error }));
  }

  /** Takes an item in that is a call of its own. */
  addCall(future: Future<unknown>): void {
    if (this.cancelled) {
      future.cancel();
      return;
    }
    const number = this.next;
    this.addValue(undefined);
    this.#futures.add(future);
    const end = (end: End) => {
      this.#futures.delete(future);
      this.end(number, end);
    };
    future.result().then(
      (value) => end({ is: "returned", value }),
      (error) => end({ is: "raised", error }),
    );
  }

  /** A chunk of items, as a call that waits; it may be part of another. */
  chunk(first: number, count: number, of?: Call): Call {
    const chunk: Chunk = {
      items: this,
      first,
      count,
      done: 0,
      early: undefined,
      isCut: false,
    };
    const future = new ChunkFuture((end) => this.#endChunk(call, end));
    const fresh = newCall(future, this.fn, undefined);
    const { since, order } = of ?? fresh;
    const call: Call = { ...fresh, since, order, chunk };
    future.attach(this.#owner, call);
    this.#futures.add(future);
    return call;
  }

  /** The arguments of a chunk's items: as packed, or each one's only value. */
  argsOf({ first, count }: Chunk): ChunkArguments {
    const at = first - this.#head + this.#read;
    const args = this.#args.slice(at, at + count);
    const single = !args.some((item) => item instanceof Packed);
    const { carried } = this.target;
    if (single) return { args, single, carried };
    const packed = args.map((item) =>
      item instanceof Packed ? item.args : this.#owner.packValue(this.fn, item)
    );
    return { args: packed, single, carried };
  }

  /** An item has ended. */
  end(number: number, end: End): void {
    const at = number - this.#head + this.#read;
    // The reader may have left, and a chunk fails with some of its items read.
    if (at < this.#read || this.#results[at] !== PENDING) return;
    this.#results[at] = end.is === "returned" ? end.value : new Failed(end);
    this.#args[at] = undefined;
    this.#open--;
    if (this.#closed) this.#dropIfOver();
    if (this.#ended) this.#ended.push(number);
    else if (at !== this.#read) return;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** All items of a chunk are done. */
  forget(future: Future<unknown>): void {
    this.#futures.delete(future);
  }

  /** A chunk has ended, and with it whatever of it is not done. */
  #endChunk({ future, chunk }: Call, end: End): void {
    this.#futures.delete(future);
    const { first, count } = chunk!;
    for (let i = 0; i < count; i++) this.end(first + i, end);
  }
}

/** The future of a chunk, which nobody has but the pool: it ends the items. */
class ChunkFuture extends PooledFuture<unknown> {
  readonly #onEnd: (end: End) => void;

  constructor(onEnd: (end: End) => void) {
    super();
    this.#onEnd = onEnd;
    this.addDoneCallback(needsNoContext(() => {
      if (this.cancelled()) onEnd(CANCELLED);
    }));
  }

  override setException(error: unknown): void {
    super.setException(error);
    this.#onEnd({ is: "raised", error });
  }
}

/** How many calls, in the eyes of the caller, a call of the pool stands for. */
export function sizeOf({ chunk }: Call): number {
  return chunk ? chunk.count - chunk.done : 1;
}

/** Less work is not worth a message of its own, in microseconds. */
export const WORTH = 50;

/** What an item is taken for at least, with all that surrounds it, in microseconds. */
const LEAST = 0.5;

/** How long an item of a chunk will probably take, in microseconds. */
export function costOfItem(call: Call): number {
  return Math.max(expected(call), LEAST);
}

/** Splits the first items off a chunk that waits; the call keeps the rest. */
export function splitFirst(call: Call, count: number): Call {
  const chunk = call.chunk!;
  const { items, first } = chunk;
  chunk.first += count;
  chunk.count -= count;
  return items.chunk(first, count, call);
}

/**
 * Has two parts of a chunk, the first of which ends where the other begins, be
 * one again: the second.
 *
 * @returns Whether it does continue it.
 */
export function rejoin(call: Call, next: Call): boolean {
  const { chunk } = call;
  const then = next.chunk;
  if (!chunk || !then || call.order !== next.order) return false;
  if (chunk.first + chunk.count !== then.first) return false;
  then.first = chunk.first;
  then.count += chunk.count;
  chunk.items.forget(call.future);
  return true;
}

/** Cuts off what of a chunk has not started: all but the first so many. */
export function cutRest(call: Call, started: number): Call {
  const chunk = call.chunk!;
  const { items, first, count } = chunk;
  chunk.count = started;
  chunk.isCut = true;
  return items.chunk(first + started, count - started, call);
}
