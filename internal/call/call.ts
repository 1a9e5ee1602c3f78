/** A call in a pool, and its future. */

import { RuntimeError } from "../../errors.ts";
import { Future } from "../../future.ts";
import { ownClock } from "../base/timers.ts";
import type { Limits } from "./limits.ts";
import type { Carried, FunctionRef, Outcome } from "./protocol.ts";
import { reviveThrown } from "./revive_error.ts";

/** The slot of a call in the queue. */
export const WAITING = -1;
/** The slot of a call that has left the pool. */
export const RELEASED = -2;

/** A call in the pool. */
export interface Call {
  readonly future: PooledFuture<unknown>;
  readonly fn: FunctionRef;
  /** As packed; of a function that captured something, `WithCaptured`. */
  args: unknown;
  /** Who has it, where it was handed over. */
  worker: CallHolder | undefined;
  /** Its number there; or that it waits, or is released. */
  slot: number;
  // Whole numbers, which take no memory of their own: there are many calls.
  /** What its time was taken for when it was handed over, in microseconds. */
  cost: number;
  /** When it was submitted, by `clock()`. */
  readonly since: number;
  /** Which call it was, in the order of all; of a chunk that was split, each part has it. */
  readonly order: number;
  /** What may end it before its time; one with limits has a worker to itself. */
  limits: Limits | undefined;
  /** The items that it stands for, of a chunk; then it has no `args`. */
  readonly chunk: Chunk | undefined;
}

/** Part of the items of a `map`, as one call; see `pool/map_items.ts`. */
export interface Chunk {
  readonly items: ChunkedItems;
  /** The number of its first item. */
  first: number;
  count: number;
  /** How many of them are done. */
  done: number;
  /** Those of them that were done before one that stands before them. */
  early: Set<number> | undefined;
  /** Whether its worker will pass over what was cut off. */
  isCut: boolean;
}

/** The arguments of items. */
export interface ChunkArguments {
  /** As packed, or each one's only value. */
  readonly args: unknown[];
  readonly single: boolean;
  /** What the function captured. */
  readonly carried: Carried | undefined;
}

/** The items of one `map`, as those see them that have a part of them. */
export interface ChunkedItems {
  /** How many may travel together; fewer once some could not. */
  most: number;
  /** Whether nobody will read what is left. */
  readonly cancelled: boolean;
  /** A chunk of items, as a call that waits; it may be part of another. */
  chunk(first: number, count: number, of?: Call): Call;
  /** What a message has of a chunk's items. */
  argsOf(chunk: Chunk): ChunkArguments;
  /** An item has ended. */
  end(number: number, outcome: Outcome): void;
  /** All items of a chunk are done. */
  forget(future: Future<unknown>): void;
}

let submitted = 0;

/** A call that was just submitted. */
export function newCall(
  future: PooledFuture<unknown>,
  fn: FunctionRef,
  args: unknown,
  limits?: Limits,
): Call {
  return {
    future,
    fn,
    args,
    worker: undefined,
    slot: WAITING,
    cost: 0,
    since: clock(),
    order: submitted = (submitted + 1) | 0,
    limits,
    chunk: undefined,
  };
}

/** Whether a call was submitted before another. */
export function comesBefore(call: Call, other: Call): boolean {
  // It comes round after some thousand million calls.
  const apart = (call.order - other.order) | 0;
  return apart < 0 ||
    apart === 0 && call.chunk !== undefined &&
      call.chunk.first < other.chunk!.first;
}

/** A worker as a call's future sees it. */
export interface CallHolder {
  hasStarted(call: Call): boolean;
}

/** What a pool does for its futures. */
export interface CallOwner {
  /** Takes a call out of the pool; `false` if it has started. */
  takeBack(call: Call): boolean;
  /** A call's future was cancelled and everyone was told. */
  onCancelled(call: Call): void;
}

/** A future whose call is in a pool: it asks the pool what is true now. */
export class PooledFuture<T> extends Future<T> {
  #owner: CallOwner | undefined;
  #call: Call | undefined;

  /** Ties the future to its call, or, with nothing, unties it. */
  attach(owner?: CallOwner, call?: Call): void {
    this.#owner = owner;
    this.#call = call;
  }

  override cancel(): boolean {
    const owner = this.#owner;
    const call = this.#call;
    if (!owner || !call || super.done() || super.running()) {
      return super.cancel();
    }
    if (!owner.takeBack(call)) return false;
    super.cancel();
    owner.onCancelled(call);
    return true;
  }

  override running(): boolean {
    return super.running() || this.#hasStarted();
  }

  /** If its call has started: from here on it is running, whatever happens to its worker. */
  keepRunning(): void {
    if (!super.running() && this.#hasStarted()) {
      this.setRunningOrNotifyCancel();
    }
  }

  /** As its worker has it now: of what it was given ahead, a child may give back. */
  #hasStarted(): boolean {
    const call = this.#call;
    return call?.worker !== undefined && !super.done() &&
      call.worker.hasStarted(call);
  }
}

// Which class it is, is the pool's business: it shows as what it stands for.
Object.defineProperty(PooledFuture, "name", { value: "Future" });

/** Ends a future with what came of its call. */
export function settle(future: Future<unknown>, outcome: Outcome): void {
  if (outcome.is === "returned") future.setResult(outcome.value);
  else future.setException(thrownBy(outcome));
}

/** What a call threw; where that can't be made here, an error that says so. */
export function thrownBy(outcome: Outcome): unknown {
  try {
    return outcome.is === "raised"
      ? outcome.error
      : outcome.is === "threw"
      ? reviveThrown(outcome.what)
      : outcome.is === "unguarded"
      ? new RuntimeError(outcome.message)
      : undefined;
  } catch (cause) {
    return new RuntimeError("What the call threw can't be read", { cause });
  }
}

/** What a call is taken for whose time is not known: it may be long. */
export const UNKNOWN = 1;

/** What is known of a function's calls, in milliseconds. */
interface Times {
  /** Their mean time. */
  mean: number | undefined;
  /** The mean time that the ways there and back of their values take. */
  sending: number | undefined;
}

const times = new WeakMap<FunctionRef, Times>();
/** Those of the function that was asked for last: nearly always it is the same. */
let lastFn: FunctionRef | undefined;
let lastTimes: Times = { mean: undefined, sending: undefined };

function timesOf(fn: FunctionRef): Times {
  if (fn === lastFn) return lastTimes;
  let found = times.get(fn);
  if (!found) times.set(fn, found = { mean: undefined, sending: undefined });
  lastFn = fn;
  return lastTimes = found;
}

/** There are no calls: no function is to be kept for them. */
export function forgetLast(): void {
  lastFn = undefined;
}

/** More than any call may take that shares a worker with another, in microseconds. */
const TOO_LONG = 1e9;

/** How long a call will probably take, in microseconds. */
export function expected({ fn, limits }: Call): number {
  // What may be stopped, or can't be sent again, shares a worker with no other.
  if (limits) return TOO_LONG;
  const { mean = UNKNOWN, sending = 0 } = timesOf(fn);
  return Math.min((mean + sending) * 1000, TOO_LONG) | 0;
}

/** What a message takes of itself, amply, in milliseconds: more calls in it share that. */
const SWIFT = 0.05;
/** To be read over there takes as long as to be written; and a result may be as large. */
const WAYS = 3;

/** Takes note of how long it took to send some calls of a function, in milliseconds. */
export function learnSending(fn: FunctionRef, ms: number, calls: number): void {
  const known = timesOf(fn);
  const each = Math.max(ms - SWIFT, 0) * WAYS / calls;
  if (known.sending === undefined && each === 0) return;
  known.sending = adjusted(known.sending, each);
}

/** How much a millisecond is by `clock()`. */
const TICKS = 16;

/** A time as a whole number, which comes round after some days. */
export function clock(now: number = ownClock.now()): number {
  return (now * TICKS) | 0;
}

/** How long ago a time was, in milliseconds; right up to a day and a half. */
export function elapsed(since: number, now: number): number {
  return ((clock(now) - since) | 0) / TICKS;
}

/** Takes note of how long a call took, in milliseconds. */
export function learn(fn: FunctionRef, ms: number): void {
  const known = timesOf(fn);
  known.mean = adjusted(known.mean, ms);
}

/**
 * A mean that falls faster than it rises: a call whose thread had to wait for a
 * processor, or one of ten that is long, stands out, and is soon forgotten.
 */
function adjusted(mean: number | undefined, ms: number): number {
  if (mean === undefined) return ms;
  return mean + (ms - mean) / (ms < mean ? 2 : 8);
}
