/**
 * What thread pool and process pool share: the queue, the choice of a worker,
 * the lifecycle, and what happens when a worker dies. A worker is seen only as
 * a {@linkcode WorkerLink}.
 *
 * ## The pool's state, which only moves forward
 *
 * ```text
 * open ── shutdown() ──▶ draining ── last call done, workers ended ──▶ closed
 *   └──────── a worker died ─────┴──▶ broken
 * ```
 *
 * `#advance()` is the only way to change it; `#settleState()` runs after every
 * event that may end it.
 *
 * ## To submit a call
 *
 * 1. The function is described and the arguments are checked, so that what
 *    can't travel is told while the caller can still see why.
 * 2. If a worker is idle, or one more may start, the call is handed over at
 *    once: a caller that goes on to block the event loop still has it run.
 * 3. Else its arguments are copied, since the caller may change them before a
 *    worker is free, and it waits in the queue.
 *
 * ## To hand calls to workers, `#dispatch()`
 *
 * 1. A worker whose running call turned out long gives back the calls that wait
 *    behind it: to the front of the queue, where they were before.
 * 2. Each idle worker, the one used last first, then each worker that may still
 *    start, gets one call. One each comes first: calls may wait for each other,
 *    and must not wait behind each other while a worker has nothing to do.
 * 3. What is left in the queue is handed ahead to busy workers while their
 *    calls are known to be short, about a millisecond's worth for each worker,
 *    so that short calls do not pay for a round trip each.
 * 4. If nothing is left but a worker is idle, it gets what waits behind another
 *    worker's running call.
 *
 * A call that was handed over and has not started can be taken back: its flag
 * in shared memory goes from waiting to taken back by one atomic exchange, or
 * from waiting to started by the worker's. Whoever comes first has the call, so
 * `cancel()` and `running()` are right at the moment they are called. (A child
 * process shares no memory: there, what was handed over counts as started.)
 *
 * ## When an outcome comes
 *
 * 1. The worker's slot is freed, and the worker marked idle if that was its last:
 *    before the future is settled, so that a callback that submits finds it.
 * 2. The future is settled; its callbacks run.
 * 3. Calls are dispatched; the pool ends if that was the last and it drains.
 *
 * ## When a worker dies
 *
 * 1. The pool is broken: `submit` throws from here on.
 * 2. All calls leave the pool and all workers are ended, before
 * 3. any future is failed, since callbacks may ask anything of the pool.
 *
 * ## When all is done and the pool stays open
 *
 * An idle worker would keep the program alive. So the workers stay warm for
 * `idleTimeout` and end then; the next call starts a new one.
 */

import { RuntimeError } from "../errors.ts";
import type { ShutdownOptions } from "../executor.ts";
import { Future } from "../future.ts";
import { Deque } from "./deque.ts";
import { reviveThrown } from "./exception.ts";
import type {
  CallMessage,
  FromWorker,
  FunctionRef,
  Outcome,
  WorkerMarker,
} from "./protocol.ts";
import { describe, label } from "./travel.ts";

/** A worker as the pool sees it. */
export interface WorkerLink {
  /** Which worker it is, for messages: `Worker "prefix_0"`. */
  readonly label: string;
  /**
   * Hands calls over.
   *
   * @throws when the arguments of one can't be sent; none is then handed over.
   */
  send(calls: readonly CallMessage[]): void;
  /** Whether the worker has begun the call in this slot. */
  hasStarted(slot: number): boolean;
  /** Takes a call back that has not started; from then on it never will. */
  takeBack(slot: number): boolean;
  /**
   * Asks for calls back that may not have started: for links that can't
   * `takeBack` at once. Answered by `onReturned`.
   */
  recall?(slots: readonly number[]): void;
  /** Whether the worker can be given a call of this function. */
  accepts?(fn: FunctionRef): boolean;
  /** Ends the worker, which has no call; resolves when nothing of it is left. */
  end(): Promise<void>;
  /** Ends the worker, whatever it does; resolves when nothing of it is left. */
  kill(signal: Deno.Signal): Promise<void>;
}

/** What a link tells its pool. */
export interface LinkEvents {
  /** A call has ended; `ms` is how long it ran. */
  onOutcome(slot: number, ms: number, outcome: Outcome): void;
  /** Calls that were taken back are forgotten: their slots can be used again. */
  onSkipped(slots: readonly number[]): void;
  /** The answer to `recall`: those of the slots whose calls will not start. */
  onReturned(slots: readonly number[]): void;
  /** Modules are imported and the initializer has run. */
  onReady(): void;
  /** The initializer failed. */
  onInitializerFailed(outcome: Outcome): void;
  /**
   * The worker ended by itself. `how` follows its label: "was killed by
   * SIGKILL". `note` is what else may help.
   */
  onDeath(
    how: string,
    cause?: { readonly error: unknown },
    note?: string,
  ): void;
}

/** What makes a pool one of threads or of processes. */
export interface PoolKind {
  /** The class's name, for messages. */
  readonly name: string;
  readonly maxWorkers: number;
  /** How long idle workers stay, in milliseconds. */
  readonly idleTimeout: number;
  readonly broken: new (message: string, options?: ErrorOptions) => Error;
  /** How many calls a worker can hold at once. */
  readonly slots: number;
  /** How many calls a worker runs before another takes its place. */
  readonly maxTasks: number;
  /** Starts a worker; `index` is free among those that live. */
  open(index: number, depth: number, events: LinkEvents): WorkerLink;
  /**
   * Checks arguments, and copies them unless they are sent `now`. What it gives
   * is for the kind's links alone to understand.
   *
   * @throws what keeps them from travelling.
   */
  pack(fn: FunctionRef, args: readonly unknown[], now: boolean): unknown;
}

/** A call in the pool. */
interface Call {
  readonly future: PooledFuture<unknown>;
  readonly fn: FunctionRef;
  /** As packed. */
  args: unknown;
  worker: Worker | undefined;
  slot: number;
  /** What its time was taken for when it was handed over, in milliseconds. */
  cost: number;
}

/** A worker and what it holds. */
interface Worker {
  readonly index: number;
  readonly link: WorkerLink;
  /** The calls by slot; a hole is a call that was taken back and not yet skipped. */
  readonly calls: Map<number, Call | undefined>;
  readonly freeSlots: number[];
  /** How long its calls will take, as far as is known, in milliseconds. */
  load: number;
  /** When it last ended a call, or was given one with none to do. */
  progress: number;
  /** Whether it is past its start: until then nothing is handed to it ahead. */
  ready: boolean;
  /** How many calls it may still be given. */
  tasksLeft: number;
  /** Whether a `recall` is unanswered. */
  recalling: boolean;
}

/** The slot of a call in the queue. */
const WAITING = -1;
/** The slot of a call that has left the pool. */
const RELEASED = -2;

/** How much work is handed to a worker ahead, in milliseconds. */
const AHEAD = 1;
/** A call that has run for so long holds up those behind it, in milliseconds. */
const LONG = 3;
/** Pools inside of workers inside of pools: deeper is a mistake. */
const DEEPEST = 6;

/** The mean time of a function's calls, in milliseconds. */
const meanTimes = new WeakMap<FunctionRef, number>();

/** What a call will probably take; one that is not known may take long. */
function expected(fn: FunctionRef): number {
  return meanTimes.get(fn) ?? AHEAD;
}

function learn(fn: FunctionRef, ms: number): void {
  const mean = meanTimes.get(fn);
  meanTimes.set(fn, mean === undefined ? ms : mean + (ms - mean) / 8);
}

type State =
  | { readonly is: "open" }
  | { readonly is: "draining" }
  | { readonly is: "closed" }
  | {
    readonly is: "broken";
    readonly message: string;
    readonly cause: ErrorOptions | undefined;
  };

/** A future whose call is in a pool: it asks the pool what is true now. */
class PooledFuture<T> extends Future<T> {
  #pool: Pool | undefined;
  #call: Call | undefined;

  /** Ties the future to its call, or, with nothing, unties it. */
  attach(pool?: Pool, call?: Call): void {
    this.#pool = pool;
    this.#call = call;
  }

  override cancel(): boolean {
    const pool = this.#pool;
    const call = this.#call;
    if (!pool || !call || super.done() || super.running()) {
      return super.cancel();
    }
    if (!pool.takeBack(call)) {
      this.setRunningOrNotifyCancel();
      return false;
    }
    super.cancel();
    pool.onCancelled();
    return true;
  }

  override running(): boolean {
    const call = this.#call;
    if (call?.worker && !super.running() && !super.done()) {
      if (call.worker.link.hasStarted(call.slot)) {
        this.setRunningOrNotifyCancel();
      }
    }
    return super.running();
  }
}

// Which class it is, is the pool's business: it shows as what it stands for.
Object.defineProperty(PooledFuture, "name", { value: "Future" });

/** The engine of an executor that has workers. */
export class Pool {
  readonly #kind: PoolKind;
  readonly #queue = new Deque<Call>();
  /** Calls of the queue that were cancelled, and are passed over. */
  #dropped = 0;
  readonly #workers = new Set<Worker>();
  /** Those with nothing to do; the one used last is last. */
  readonly #idle: Worker[] = [];
  /** Calls that are not done. */
  #pending = 0;
  /** How many pools the workers of this one are inside of, this one included. */
  #depth = 1;
  #state: State = { is: "open" };
  #dispatchPlanned = false;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #idleSince = 0;
  /** Ends that are under way. */
  readonly #ending = new Set<Promise<void>>();
  #closers: (() => void)[] = [];

  constructor(kind: PoolKind) {
    this.#kind = kind;
  }

  /** Takes a call; see "To submit a call" above. */
  submit(fn: unknown, args: readonly unknown[]): Future<unknown> {
    const ref = this.check(fn, "submit");
    this.#depth = this.#checkDepth();
    const future = new PooledFuture<unknown>();
    const now = this.#queue.size === this.#dropped &&
      (this.#idle.length > 0 || this.#workers.size < this.#kind.maxWorkers);
    let packed;
    try {
      packed = this.#kind.pack(ref, args, now);
    } catch (error) {
      future.setException(error);
      return future;
    }
    const call: Call = {
      future,
      fn: ref,
      args: packed,
      worker: undefined,
      slot: WAITING,
      cost: 0,
    };
    future.attach(this, call);
    this.#pending++;
    this.#queue.push(call);
    if (now) this.#dispatch();
    else this.#planDispatch();
    // Another call may have come first, one that was taken back.
    if (now && call.slot === WAITING) this.#copyLate(call, args);
    return future;
  }

  /** Copies the arguments of a call that was to be sent at once, and was not. */
  #copyLate(call: Call, args: readonly unknown[]): void {
    try {
      call.args = this.#kind.pack(call.fn, args, false);
    } catch (error) {
      this.takeBack(call);
      call.future.setException(error);
    }
  }

  shutdown(options: ShutdownOptions = {}): Promise<void> {
    const { wait = true, cancelFutures = false } = options;
    if (this.#state.is === "open") this.#advance({ is: "draining" });
    if (cancelFutures) this.#cancelAll();
    this.#settleState();
    if (!wait) return Promise.resolve();
    if (this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => this.#closers.push(resolve));
  }

  /** Takes a call out of the pool; `false` if it has started. */
  takeBack(call: Call): boolean {
    const { worker, slot } = call;
    if (worker) {
      if (!worker.link.takeBack(slot)) return false;
      // The slot stays taken until the worker has passed the call over.
      worker.calls.set(slot, undefined);
      worker.load -= call.cost;
    } else {
      this.#dropped++;
    }
    this.#release(call);
    return true;
  }

  /** A future was cancelled and everyone was told. */
  onCancelled(): void {
    if (this.#dropped > 1000 && this.#dropped * 2 > this.#queue.size) {
      this.#queue.filter((call) => call.slot !== RELEASED);
      this.#dropped = 0;
    }
    this.#planDispatch();
    this.#settleState();
  }

  /** Describes a function that is to be submitted, if the pool takes calls. */
  check(value: unknown, caller: string): FunctionRef {
    const fn = describe(value, caller);
    const state = this.#state;
    if (state.is === "open") return fn;
    if (state.is === "broken") {
      throw new this.#kind.broken(
        `Cannot submit ${label(fn)} to ${this.#kind.name}: ${state.message}`,
        state.cause,
      );
    }
    throw new RuntimeError(
      `Cannot submit ${
        label(fn)
      } to ${this.#kind.name}: cannot schedule new futures after shutdown`,
    );
  }

  /** Keeps a module that workers import from starting workers that import it. */
  #checkDepth(): number {
    const marker = (globalThis as unknown as Record<symbol, WorkerMarker>)[
      Symbol.for("@concurrent/futures worker")
    ] as WorkerMarker | undefined;
    if (!marker) return 1;
    const module = marker.importing[0];
    if (module !== undefined) {
      marker.unguarded = new RuntimeError(
        `Cannot start workers of ${this.#kind.name} while ${module} is imported by a worker: put the main part of that module under "if (import.meta.main)"`,
      );
      throw marker.unguarded;
    }
    if (marker.depth >= DEEPEST) {
      throw new RuntimeError(
        `Cannot start workers of ${this.#kind.name} inside of ${DEEPEST} others: put the main part of a module that workers import under "if (import.meta.main)"`,
      );
    }
    return marker.depth + 1;
  }

  // ---- Handing calls to workers --------------------------------------------

  #planDispatch(): void {
    if (this.#dispatchPlanned || this.#queue.size === 0) return;
    this.#dispatchPlanned = true;
    queueMicrotask(() => {
      this.#dispatchPlanned = false;
      this.#dispatch();
    });
  }

  /** See "To hand calls to workers" above. */
  #dispatch(): void {
    if (this.#state.is === "broken" || this.#state.is === "closed") return;
    this.#takeBackFromLong();
    for (let call; (call = this.#nextCall());) {
      const worker = this.#takeIdle(call.fn) ?? this.#startWorker();
      if (worker) {
        this.#handOver(worker, [call]);
        continue;
      }
      // Where the pool broke over it, the call was not in the queue.
      if (this.#isBroken()) this.#failCalls([call]);
      else this.#queue.unshift(call);
      break;
    }
    if (this.#queue.size > 0) this.#handAhead();
    else this.#share();
  }

  /** The next call of the queue that nobody cancelled. */
  #nextCall(): Call | undefined {
    for (let call; (call = this.#queue.shift());) {
      if (!call.future.done()) return call;
      // Cancelled, and counted out then; or settled by somebody else's hand.
      if (call.slot === RELEASED) this.#dropped--;
      else this.#release(call);
    }
    return undefined;
  }

  /** An idle worker for a call of `fn`; those that can't run it make room. */
  #takeIdle(fn: FunctionRef): Worker | undefined {
    for (let worker; (worker = this.#idle.pop());) {
      if (worker.link.accepts?.(fn) ?? true) return worker;
      this.#endWorkers([worker]);
    }
    return undefined;
  }

  #startWorker(): Worker | undefined {
    if (this.#workers.size >= this.#kind.maxWorkers) return undefined;
    const taken = new Set<number>();
    for (const worker of this.#workers) taken.add(worker.index);
    let index = 0;
    while (taken.has(index)) index++;
    // Events come later than `open` returns, or are about a worker that is gone.
    const live = () => this.#workers.has(worker);
    const events: LinkEvents = {
      onReady: () => {
        if (live()) this.#onReady(worker);
      },
      onOutcome: (slot, ms, outcome) => {
        if (live()) this.#onOutcome(worker, slot, ms, outcome);
      },
      onSkipped: (slots) => {
        if (live()) this.#onSkipped(worker, slots);
      },
      onReturned: (slots) => {
        if (live()) this.#onReturned(worker, slots);
      },
      onInitializerFailed: (outcome) => {
        if (live()) this.#onInitializerFailed(worker, outcome);
      },
      onDeath: (how, cause, note) => {
        if (live()) this.#onDeath(worker, how, cause, note);
      },
    };
    let link: WorkerLink;
    try {
      link = this.#kind.open(index, this.#depth, events);
    } catch (error) {
      this.#breakPool(`no worker can be started (${error})`, { cause: error });
      return undefined;
    }
    const worker: Worker = {
      index,
      link,
      calls: new Map(),
      freeSlots: Array.from(
        { length: this.#kind.slots },
        (_, i) => this.#kind.slots - 1 - i,
      ),
      load: 0,
      progress: 0,
      ready: false,
      tasksLeft: this.#kind.maxTasks,
      recalling: false,
    };
    this.#workers.add(worker);
    return worker;
  }

  #handOver(worker: Worker, calls: readonly Call[]): void {
    const messages: CallMessage[] = [];
    if (worker.calls.size === 0) worker.progress = performance.now();
    for (const call of calls) {
      const slot = call.slot = worker.freeSlots.pop()!;
      call.worker = worker;
      worker.calls.set(slot, call);
      worker.load += call.cost = expected(call.fn);
      worker.tasksLeft--;
      messages.push({ slot, fn: call.fn, args: call.args });
    }
    try {
      worker.link.send(messages);
    } catch (error) {
      this.#unsent(worker, calls, error);
    }
  }

  /** Sends one by one what could not be sent together; fails what can't be sent at all. */
  #unsent(worker: Worker, calls: readonly Call[], error: unknown): void {
    for (const call of calls) {
      this.#freeSlot(worker, call.slot, call);
      worker.tasksLeft++;
    }
    if (calls.length > 1) {
      for (const call of calls) this.#handOver(worker, [call]);
      return;
    }
    this.#idleIfDone(worker);
    const [{ future }] = calls;
    this.#release(calls[0]);
    if (!future.done()) future.setException(error);
    this.#planDispatch();
    this.#settleState();
  }

  /** Hands short calls to workers that are busy, ahead of time. */
  #handAhead(): void {
    // Topped up at half, so that one message carries several calls.
    const now = performance.now();
    const hungry = [...this.#workers].filter((worker) =>
      worker.ready && worker.load < AHEAD / 2 &&
      worker.freeSlots.length > 0 && now - worker.progress < LONG
    );
    if (hungry.length === 0) return;
    const most = Math.ceil(
      (this.#queue.size - this.#dropped) / this.#workers.size,
    );
    for (const worker of hungry) {
      const calls: Call[] = [];
      let load = worker.load;
      const room = Math.min(most, worker.freeSlots.length, worker.tasksLeft);
      while (calls.length < room) {
        const call = this.#nextCall();
        if (!call) break;
        load += expected(call.fn);
        // Whatever may be long waits for a worker of its own.
        if (load > AHEAD || !(worker.link.accepts?.(call.fn) ?? true)) {
          this.#queue.unshift(call);
          break;
        }
        calls.push(call);
      }
      if (calls.length > 0) this.#handOver(worker, calls);
    }
  }

  /** Frees the calls that wait behind one that turned out long. */
  #takeBackFromLong(): void {
    let now: number | undefined;
    for (const worker of this.#workers) {
      if (worker.calls.size < 2) continue;
      now ??= performance.now();
      if (now - worker.progress < LONG) continue;
      this.#takeBackLast(worker, Infinity);
    }
  }

  /** Gives idle workers what waits behind others. */
  #share(): void {
    while (this.#idle.length > 0) {
      let richest: Worker | undefined;
      for (const worker of this.#workers) {
        if (worker.calls.size > (richest?.calls.size ?? 1)) richest = worker;
      }
      if (!richest) return;
      const half = Math.ceil((richest.calls.size - 1) / 2);
      if (!this.#takeBackLast(richest, half)) return;
      for (let call; (call = this.#nextCall());) {
        const worker = this.#takeIdle(call.fn);
        if (worker) {
          this.#handOver(worker, [call]);
          continue;
        }
        this.#queue.unshift(call);
        return;
      }
    }
  }

  /** Takes up to `most` of a worker's last calls back to the front of the queue. */
  #takeBackLast(worker: Worker, most: number): boolean {
    // The first runs, or is about to.
    const calls = [...worker.calls.values()].slice(1).reverse();
    if (worker.link.recall) {
      const slots = calls.flatMap((call) => call ? [call.slot] : []);
      if (slots.length === 0 || worker.recalling) return false;
      worker.recalling = true;
      worker.link.recall(slots.slice(0, most));
      return false;
    }
    let taken = 0;
    for (const call of calls) {
      if (taken === most) break;
      if (!call || call.future.done()) continue;
      if (!worker.link.takeBack(call.slot)) break;
      this.#requeue(worker, call);
      taken++;
    }
    return taken > 0;
  }

  /** Puts a call that a worker gave back where it was: first in the queue. */
  #requeue(worker: Worker, call: Call): void {
    // The slot stays taken until the worker has passed the call over.
    worker.calls.set(call.slot, undefined);
    worker.load -= call.cost;
    worker.tasksLeft++;
    call.worker = undefined;
    call.slot = WAITING;
    this.#queue.unshift(call);
  }

  // ---- What workers tell ---------------------------------------------------

  #onReady(worker: Worker): void {
    worker.ready = true;
    worker.progress = performance.now();
  }

  #onOutcome(worker: Worker, slot: number, ms: number, outcome: Outcome): void {
    const call = worker.calls.get(slot);
    this.#freeSlot(worker, slot, call);
    worker.progress = performance.now();
    this.#idleIfDone(worker);
    if (call) {
      learn(call.fn, ms);
      const { future } = call;
      this.#release(call);
      if (!future.done()) settle(future, outcome);
    }
    this.#dispatch();
    this.#settleState();
  }

  #onSkipped(worker: Worker, slots: readonly number[]): void {
    for (const slot of slots) this.#freeSlot(worker, slot, undefined);
    this.#idleIfDone(worker);
    this.#dispatch();
    this.#settleState();
  }

  #onReturned(worker: Worker, slots: readonly number[]): void {
    worker.recalling = false;
    const back = new Set(slots);
    for (const call of [...worker.calls.values()].reverse()) {
      if (call && back.has(call.slot)) this.#requeue(worker, call);
    }
    this.#dispatch();
  }

  #freeSlot(worker: Worker, slot: number, call: Call | undefined): void {
    worker.calls.delete(slot);
    worker.freeSlots.push(slot);
    if (call) worker.load -= call.cost;
    // Sums of fractions drift: with no calls there is no load.
    if (worker.calls.size === 0) worker.load = 0;
  }

  #idleIfDone(worker: Worker): void {
    if (worker.calls.size > 0) return;
    if (worker.tasksLeft > 0) this.#idle.push(worker);
    else this.#endWorkers([worker]);
  }

  #onInitializerFailed(worker: Worker, outcome: Outcome): void {
    const error = thrownBy(outcome);
    const why = error instanceof Error ? `${error}` : Deno.inspect(error);
    this.#breakPool(
      `the initializer failed in ${worker.link.label} with ${why}: create a new pool`,
      { cause: error },
    );
  }

  #onDeath(
    worker: Worker,
    how: string,
    cause: { readonly error: unknown } | undefined,
    note: string | undefined,
  ): void {
    this.#breakPool(
      `${worker.link.label} ${how} ${this.#doing(worker)}: create a new pool${
        note ? `; ${note}` : ""
      }`,
      cause && { cause: cause.error },
    );
  }

  /** What a worker does, as far as the pool knows. */
  #doing(worker: Worker): string {
    for (const [slot, call] of worker.calls) {
      if (call && worker.link.hasStarted(slot)) {
        return `while it ran ${label(call.fn)}`;
      }
    }
    return worker.calls.size > 0 ? "before it ran a call" : "while it was idle";
  }

  // ---- The end -------------------------------------------------------------

  /** See "When a worker dies" above. */
  #breakPool(message: string, cause: ErrorOptions | undefined): void {
    const calls = this.#removeAllCalls();
    this.#advance({ is: "broken", message, cause });
    this.#endWorkers([...this.#workers], "SIGKILL");
    this.#failCalls(calls);
  }

  /** Each call that broke with the pool gets an error of its own. */
  #failCalls(calls: readonly Call[]): void {
    const state = this.#state;
    if (state.is !== "broken") return;
    for (const call of calls) this.#release(call);
    for (const { future } of calls) {
      if (future.done()) continue;
      future.setException(
        new this.#kind.broken(capitalize(state.message), state.cause),
      );
    }
    this.#settleState();
  }

  /** Ends all workers now, in the middle of whatever they run. */
  killWorkers(signal: Deno.Signal, caller: string): void {
    if (this.#isOver() || this.#state.is === "broken") return;
    const failed = new Map<Call, string>();
    for (const worker of this.#workers) {
      const message = `${worker.link.label} was ended by ${caller} ${
        this.#doing(worker)
      }`;
      for (const call of worker.calls.values()) {
        if (call) failed.set(call, capitalize(message));
      }
      worker.calls.clear();
    }
    const waiting = [...this.#queue];
    this.#advance({ is: "draining" });
    this.#endWorkers([...this.#workers], signal);
    for (const call of failed.keys()) this.#release(call);
    for (const [{ future }, message] of failed) {
      if (!future.done()) future.setException(new this.#kind.broken(message));
    }
    for (const { future } of waiting) future.cancel();
    this.#settleState();
  }

  /** Takes every call that is not done out of the pool, those that run first. */
  #removeAllCalls(): Call[] {
    const calls: Call[] = [];
    for (const worker of this.#workers) {
      for (const call of worker.calls.values()) if (call) calls.push(call);
      worker.calls.clear();
    }
    for (let call; (call = this.#nextCall());) calls.push(call);
    return calls;
  }

  #cancelAll(): void {
    const calls: Call[] = [];
    for (const worker of this.#workers) {
      for (const call of worker.calls.values()) if (call) calls.push(call);
    }
    for (const call of this.#queue) calls.push(call);
    for (const { future } of calls) future.cancel();
  }

  /** A call leaves the pool: it holds nothing of it any more. */
  #release(call: Call): void {
    this.#pending--;
    call.args = undefined;
    call.worker = undefined;
    call.slot = RELEASED;
    call.future.attach();
  }

  #advance(to: State): void {
    this.#state = to;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
  }

  #isBroken(): boolean {
    return this.#state.is === "broken";
  }

  #isOver(): boolean {
    return (this.#state.is === "closed" || this.#state.is === "broken") &&
      this.#ending.size === 0;
  }

  /** Ends what can end: workers without calls, the pool that drains. */
  #settleState(): void {
    if (this.#pending === 0) {
      if (this.#state.is === "draining") {
        this.#advance({ is: "closed" });
        this.#endWorkers([...this.#workers]);
      } else if (this.#state.is === "open" && this.#workers.size > 0) {
        this.#planIdleEnd();
      }
    }
    if (this.#isOver()) {
      const closers = this.#closers;
      this.#closers = [];
      for (const close of closers) close();
    }
  }

  /** Has idle workers end after a while, unless calls come before. */
  #planIdleEnd(): void {
    this.#idleSince = performance.now();
    // One timer for all: it looks again when it fires too early.
    if (this.#idleTimer === undefined) {
      this.#armIdleTimer(this.#kind.idleTimeout);
    }
  }

  #armIdleTimer(ms: number): void {
    this.#idleTimer = setTimeout(() => {
      this.#idleTimer = undefined;
      if (this.#pending > 0) return;
      const left = this.#idleSince + this.#kind.idleTimeout - performance.now();
      if (left > 1) this.#armIdleTimer(left);
      else this.#endWorkers([...this.#workers]);
    }, ms);
  }

  #endWorkers(workers: readonly Worker[], signal?: Deno.Signal): void {
    for (const worker of workers) {
      this.#workers.delete(worker);
      const at = this.#idle.indexOf(worker);
      if (at >= 0) this.#idle.splice(at, 1);
      const ended = signal ? worker.link.kill(signal) : worker.link.end();
      const end = ended.then(() => {
        this.#ending.delete(end);
        this.#settleState();
      });
      this.#ending.add(end);
    }
  }
}

/** Passes on what a worker says; of its last words, links make more. */
export function tell(
  events: LinkEvents,
  message: Exclude<FromWorker, { type: "died" }>,
): void {
  switch (message.type) {
    case "ready":
      return events.onReady();
    case "outcome":
      return events.onOutcome(message.slot, message.ms, message.outcome);
    case "returned":
      return events.onReturned(message.slots);
    case "skipped":
      return events.onSkipped(message.slots);
    case "initializer failed":
      return events.onInitializerFailed(message.outcome);
  }
}

function settle(future: Future<unknown>, outcome: Outcome): void {
  if (outcome.is === "returned") future.setResult(outcome.value);
  else future.setException(thrownBy(outcome));
}

function thrownBy(outcome: Outcome): unknown {
  return outcome.is === "threw"
    ? reviveThrown(outcome.what)
    : outcome.is === "unguarded"
    ? new RuntimeError(outcome.message)
    : undefined;
}

function capitalize(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}
