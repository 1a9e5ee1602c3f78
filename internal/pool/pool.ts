/**
 * What thread pool and process pool share: how a call gets in, how the pool
 * ends, and what happens when a worker dies. Who gets which call is told in
 * `pool/dispatcher.ts`; a worker is seen only as a `PoolLink` (`pool/pool_link.ts`). The whole
 * way of a call, with a picture, is in `docs/hand-off.md`.
 *
 * ## The pool's state, which only moves forward
 *
 * ```text
 * open ── shutdown() ──▶ draining ── last call done, workers ended ──▶ closed
 *   └──────── a worker died ─────┴──▶ broken
 * ```
 *
 * `#advance()` is the only way to change it; `#finishIfIdle()` runs after every
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
 * Checking and copying run getters of the caller's, which may submit calls and
 * shut the pool down: so what was found before is looked at again after.
 *
 * ## When an outcome comes
 *
 * 1. The worker's slot is freed, and the worker marked idle if that was its last:
 *    before the future is settled, so that a callback that submits finds it.
 * 2. The future is settled; its callbacks run.
 * 3. Calls are dispatched; the pool ends if that was the last and it drains.
 *
 * ## When a call is cancelled
 *
 * 1. It is taken back: out of the queue, or, by its flag, from its worker. If it
 *    has started, that is that, and the future is running.
 * 2. It leaves the pool, and what it held is given back.
 * 3. The future is settled; its callbacks run.
 *
 * ## When a call is stopped, by a signal or its time limit (`pool/stop_calls.ts`)
 *
 * 1. One that has not started is cancelled by its signal, as above.
 * 2. One that runs is asked to stop, by the signal of its `currentTask()`, and
 *    its future fails at once: whoever waits for it need not wait for its end.
 *    If the call does not end soon after, its worker is replaced.
 * 3. But a child whose call never asked for that signal is killed at once, and the
 *    future fails when the child is gone: nothing of the call comes after that.
 *
 * A call with limits has a worker to itself, so no other call suffers.
 *
 * The time limit counts from the start of the call, which the worker tells. Where
 * a worker is held up, by modules or an initializer that never end or by what an
 * earlier call left running, it can't tell. So there the time runs after a while,
 * though the call has not started (`pool/held_up.ts`). When it is over, the call leaves
 * the pool and fails, and never starts; and the worker is replaced, one that has
 * not started yet only after longer, since it may be slow.
 *
 * ## When a worker dies, and the pool goes on (`onWorkerLost: "replace"`)
 *
 * 1. What it had started is lost. What it had not goes back to the front of the
 *    queue, unless two workers that ran nothing have died with it, or more that
 *    had: then it is lost, too.
 * 2. The futures of what is lost fail.
 * 3. Calls are dispatched, to new workers if need be; but where three new workers
 *    in a row died with no call begun, the pool is broken.
 *
 * A worker that dies of a call that was stopped is replaced in any case.
 *
 * ## When a worker dies, and breaks the pool
 *
 * 1. Each call that has started is marked as running: nobody cancels it now.
 * 2. The pool is broken, its workers are ended, and all calls leave it, before
 * 3. any future is failed, since callbacks may ask anything of the pool.
 *
 * ## When a worker can't be started
 *
 * 1. Where there are others, or some are on their end, calls wait for these, and
 *    it is tried again later (`pool/crew.ts`).
 * 2. Where there is none, the pool is broken, as above.
 *
 * ## When all is done and the pool stays open
 *
 * An idle worker would keep the program alive. So the workers stay warm for
 * `idleTimeout` and end then; the next call starts a new one.
 */

import type { ShutdownOptions } from "../../executor.ts";
import type { Future } from "../../future.ts";
import { cancelReasons } from "../base/cancel_reasons.ts";
import { checkCount, refusedShutdown, shutdownOf } from "../base/checks.ts";
import {
  loadTimers,
  ownClock,
  planTimers,
  startQuietTimer,
} from "../base/timers.ts";
import {
  type Call,
  forgetLast,
  newCall,
  PooledFuture,
  WAITING,
} from "../call/call.ts";
import type { Engine, MapShape } from "../call/engine.ts";
import {
  type CheckedSubmitOptions,
  limitsOf,
  NO_OPTIONS,
} from "../call/limits.ts";
import { type Backlog, backlogOf } from "../call/map_backlog.ts";
import type { Carried, FunctionRef } from "../call/protocol.ts";
import { depthInside } from "../call/realm.ts";
import { type PoolStats, Statistics } from "../call/statistics.ts";
import { takesNothing } from "../closures/capture.ts";
import { isApart, Target, WithCaptured } from "../closures/carried.ts";
import { capitalize, describe, label } from "../functions/describe.ts";
import { isPrimitive } from "../values/arguments.ts";
import { transferablesOf } from "../values/transfer_marks.ts";
import { joinCaptured, packCall, targetOf } from "./call_arguments.ts";
import { Dispatcher } from "./dispatcher.ts";
import { MapItems, type MapItemsOwner, sizeOf } from "./map_items.ts";
import type { PoolKind } from "./pool_link.ts";
import { PoolState, type State } from "./pool_state.ts";
import { Room } from "./room.ts";
import { Stopping } from "./stop_calls.ts";

/** The engine of an executor that has workers. */
export class Pool implements Engine, MapItemsOwner {
  readonly #kind: PoolKind;
  readonly #dispatcher: Dispatcher;
  readonly #statistics = new Statistics();
  readonly #watch: Stopping;
  readonly #state: PoolState;
  readonly #room = new Room(() => this.#dispatcher.countWaiting());
  #stopIdleTimer: (() => void) | undefined;
  #idleSince = 0;
  /** How many workers are on their end. */
  #ending = 0;
  #closers: (() => void)[] = [];

  constructor(kind: PoolKind) {
    // What a kind leaves out, it has not: whatever a program gave to all objects.
    if (Object.getPrototypeOf(kind) === Object.prototype) {
      Object.setPrototypeOf(kind, null);
    }
    this.#kind = kind;
    this.#state = new PoolState(kind);
    this.#watch = new Stopping(
      kind,
      this.#statistics,
      () => this.#dispatcher,
      () => this.#finishIfIdle(),
    );
    this.#dispatcher = new Dispatcher(kind, this.#statistics, {
      onBroken: (message, cause) => this.#breakPool(message, cause),
      onLost: (calls, message, cause) => this.#fail(calls, message, cause),
      onStarted: (call) => this.#watch.started(call),
      onHeldUp: (call) => this.#watch.heldUp(call),
      onNotHeldUp: (call) => this.#watch.notHeldUp(call),
      onReleased: (call) => this.#watch.remove(call),
      onProgress: (now) => this.#finishIfIdle(now),
      onEnding: (ended) => {
        this.#ending++;
        ended.then(() => {
          this.#ending--;
          this.#finishIfIdle();
        });
      },
    });
  }

  /** Takes a call; see "To submit a call" above. */
  submit(
    fn: unknown,
    args: readonly unknown[],
    options: CheckedSubmitOptions = NO_OPTIONS,
  ): Future<unknown> {
    const ref = this.#enter(fn);
    let target: Target | undefined;
    if (this.#kind.closures && !takesNothing(ref)) {
      try {
        target = targetOf(this.#kind, fn, ref, args);
      } catch (error) {
        return this.#failed(error);
      }
    }
    return this.#submitAs(fn, target?.ref ?? ref, target, args, options);
  }

  /** Describes a function that is to be submitted, if the pool takes calls here. */
  #enter(fn: unknown): FunctionRef {
    const ref = this.check(fn, "submit");
    if (!this.#kind.describe) this.#dispatcher.depth = depthInside(this.#kind);
    return ref;
  }

  /** The future of a call that can't travel. */
  #failed(error: unknown, future = new PooledFuture()): Future<unknown> {
    this.#statistics.failed++;
    future.setException(error);
    return future;
  }

  #submitAs(
    given: unknown,
    ref: FunctionRef,
    target: Target | undefined,
    args: readonly unknown[],
    { signals, timeLimit, transfer: listed }: CheckedSubmitOptions,
  ): Future<unknown> {
    const dispatcher = this.#dispatcher;
    const future = new PooledFuture<unknown>();
    const transfer = args.length === 1 && isPrimitive(args[0])
      ? listed
      : transferablesOf(args, listed);
    const once = transfer.length > 0 && !this.#kind.packsForGood;
    const isPlain = signals.length === 0 && timeLimit === undefined && !once;
    const limits = isPlain ? undefined : limitsOf(signals, timeLimit, once);
    const call = newCall(future, ref, undefined, limits);
    if (this.#cancelIfAborted(future, signals)) return future;
    let now = dispatcher.isFree;
    // Where the pool goes on after a worker's death, another may be sent them.
    const asTheyAre = now && this.#kind.onWorkerLost === "break";
    try {
      if (target) args = joinCaptured(target, call, args);
      packCall(this.#kind, call, args, asTheyAre, transfer);
      if (this.#state.is !== "open") this.check(given, "submit");
      if (now && !dispatcher.isFree) {
        now = false;
        if (asTheyAre) this.#packLate(call, args, transfer);
      }
    } catch (error) {
      return this.#failed(error, future);
    }
    // Again: reading the arguments may have brought it about.
    if (this.#cancelIfAborted(future, signals)) return future;
    future.attach(this, call);
    dispatcher.add(call);
    if (call.limits) this.#watch.add(call);
    if (now) {
      dispatcher.dispatch();
      // Another call may have come first, one that was taken back.
      if (asTheyAre && dispatcher.mayMove(call)) {
        this.#copyLate(call, args, transfer);
      }
    } else {
      dispatcher.plan();
    }
    // Once a worker is on its way, which takes longer.
    if (this.#kind.idleTimeout !== Infinity) planTimers();
    return future;
  }

  /** Cancels a call that has not come into the pool, if a signal says so. */
  #cancelIfAborted(
    future: Future<unknown>,
    signals: readonly AbortSignal[],
  ): boolean {
    if (signals.length === 0) return false;
    const aborted = signals.find((signal) => signal.aborted);
    if (!aborted) return false;
    cancelReasons.set(future, aborted.reason);
    this.#statistics.cancelled++;
    future.cancel();
    return true;
  }

  /** Copies the arguments of a call that was to be sent at once, and may be sent later. */
  #copyLate(
    call: Call,
    args: readonly unknown[],
    transfer: readonly Transferable[],
  ): void {
    try {
      this.#packLate(call, args, transfer);
    } catch (error) {
      // Reading them may have had it cancelled; and what has started is sent.
      if (call.future.done() || !this.takeBack(call)) return;
      this.#failed(error, call.future);
    }
  }

  /** Packs arguments again, of a call that can't be sent at once after all. */
  #packLate(
    call: Call,
    args: readonly unknown[],
    transfer: readonly Transferable[],
  ): void {
    if (this.#kind.packsForGood) return;
    packCall(this.#kind, call, args, false, transfer);
  }

  /** What is known of workers, calls and times. */
  stats(): PoolStats {
    return this.#dispatcher.stats();
  }

  /** Starts workers, and waits until they are up. */
  warmUp(count: number = this.#kind.maxWorkers): Promise<void> {
    checkCount(count, "warmUp's count of workers");
    const { maxWorkers, name } = this.#kind;
    if (count > maxWorkers) {
      throw new RangeError(
        `warmUp can start ${maxWorkers} workers at most, which is maxWorkers: received ${count}`,
      );
    }
    this.#state.checkOpen(`Cannot warm up ${name}`);
    if (!this.#kind.describe) this.#dispatcher.depth = depthInside(this.#kind);
    loadTimers();
    return this.#dispatcher.warming.wait(count);
  }

  /** Waits until fewer calls wait. */
  room(limit: number): Promise<void> {
    checkCount(limit, "room's limit");
    this.#state.checkOpen(`Cannot wait for room in ${this.#kind.name}`);
    return this.#room.wait(limit);
  }

  takeBack(call: Call): boolean {
    return this.#dispatcher.takeBack(call);
  }

  onCancelled(call: Call): void {
    this.#statistics.cancelled += sizeOf(call);
    this.#dispatcher.compact();
    this.#dispatcher.plan();
    this.#finishIfIdle();
  }

  /** What submits the items of a `map`; what the function captured is read now. */
  map(
    fn: unknown,
    options: CheckedSubmitOptions,
    { most, unordered }: MapShape,
  ): Backlog {
    const ref = this.check(fn, "map");
    let target = new Target(fn, ref);
    if (this.#kind.closures && !takesNothing(ref)) {
      try {
        target = targetOf(this.#kind, fn, ref, undefined, this.#onUnused);
      } catch (error) {
        // Each item fails, in its turn.
        return backlogOf(() => {
          this.#enter(fn);
          return this.#failed(error);
        }, unordered);
      }
    }
    const { carried } = target;
    if (this.#kind.chunks && options === NO_OPTIONS) {
      return new MapItems(this, target, most, unordered);
    }
    return backlogOf(
      (args) => {
        this.#enter(fn);
        return this.#submitAs(fn, target.ref, target, args, options);
      },
      unordered,
      () => carried?.drop(),
    );
  }

  readonly #onUnused = (carried: Carried) => this.#dispatcher.forget(carried);

  /** Takes an item of a `map`, as `submit` takes a call. */
  submitItem(items: MapItems, args: readonly unknown[]): void {
    const dispatcher = this.#dispatcher;
    const { chunks, pack } = this.#kind;
    const { fn, target } = items;
    const { given } = target;
    if (this.#state.is !== "open") this.check(given, "submit");
    if (!items.last) dispatcher.depth = depthInside(this.#kind);
    let single: Call | undefined;
    const number = items.next;
    if (args.length === 1 && chunks!.isFlat(args[0])) {
      items.addValue(args[0]);
    } else {
      try {
        // What moves can't be sent again; and what is captured, too, needs to be
        // told of. They are sent by themselves.
        if (
          transferablesOf(args, []).length > 0 ||
          !isApart(target.sharing(args))
        ) {
          const future = this.#submitAs(given, fn, target, args, NO_OPTIONS);
          return items.addCall(future);
        }
        const packed = pack(fn, args, false, []);
        // Reading the arguments may have shut the pool down, or ended the iteration.
        if (this.#state.is !== "open") this.check(given, "submit");
        if (items.cancelled) {
          this.#statistics.cancelled++;
          return;
        }
        if (chunks!.takes(packed)) items.addPacked(packed);
        else {
          const { carried } = target;
          single = newCall(
            new PooledFuture<unknown>(),
            fn,
            carried ? new WithCaptured(packed, carried) : packed,
          );
        }
      } catch (error) {
        this.#statistics.failed++;
        return items.addFailed(error);
      }
    }
    const last = single ? undefined : items.lastBefore(number);
    if (last && dispatcher.join(last)) return;
    const now = dispatcher.isFree;
    if (single) {
      items.addCall(single.future);
      single.future.attach(this, single);
      dispatcher.add(single);
    } else {
      dispatcher.add(items.last = items.chunk(number, 1));
    }
    if (now) dispatcher.dispatch();
    else dispatcher.plan();
    if (this.#kind.idleTimeout !== Infinity) loadTimers();
  }

  packValue(fn: FunctionRef, value: unknown): unknown {
    return this.#kind.pack(fn, [value], false, []);
  }

  /** Describes a function that is to be submitted, if the pool takes calls. */
  check(value: unknown, caller: string): FunctionRef {
    const fn = (this.#kind.describe ?? describe)(value, caller);
    if (this.#state.is !== "open") {
      this.#state.checkOpen(`Cannot submit ${label(fn)} to ${this.#kind.name}`);
    }
    return fn;
  }

  // ---- The end -------------------------------------------------------------

  /** Takes no more calls, and ends when there are none. */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    const refused = refusedShutdown(options);
    if (refused) return Promise.reject(refused);
    const { wait = true, cancelFutures = false } = shutdownOf(options);
    if (this.#state.is === "open") this.#advance({ is: "draining" });
    if (cancelFutures) {
      for (const { future } of this.#dispatcher.allCalls()) future.cancel();
      if (this.#dispatcher.pending > 0) {
        this.#dispatcher.endings.askForUnwanted();
      }
    }
    this.#finishIfIdle();
    if (!wait || this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => this.#closers.push(resolve));
  }

  /** Ends all workers now, in the middle of whatever they run. */
  killWorkers(signal: Deno.Signal, caller: string): void {
    if (this.#state.isEnd) return;
    const waiting = this.#dispatcher.waiting();
    this.#advance({ is: "draining" });
    const held = this.#dispatcher.killAll(signal);
    for (const { call } of held) this.#dispatcher.release(call);
    for (const { call, wasSent, label, doing } of held) {
      if (call.future.done()) continue;
      if (!wasSent && call.future.cancel()) {
        this.#statistics.cancelled += sizeOf(call);
        continue;
      }
      this.#fail([call], `${label} was ended by ${caller} ${doing}`, undefined);
    }
    for (const call of waiting) {
      // It was stopped and given back, or somebody else's hand was on it.
      if (call.future.cancel() || call.slot !== WAITING) continue;
      this.#dispatcher.release(call);
      this.#fail(
        [call],
        `the call was ended by ${caller} before it ran`,
        undefined,
      );
    }
    this.#finishIfIdle();
  }

  /** See "When a worker dies" above. */
  #breakPool(message: string, cause: ErrorOptions | undefined): void {
    // Who heard of a call that was lost with it may have shut the pool down.
    if (this.#state.is === "closed") return;
    this.#advance({ is: "broken", message, cause });
    const held = this.#dispatcher.killAll("SIGKILL");
    const calls = [
      ...held.map(({ call }) => call),
      ...this.#dispatcher.waiting(),
    ];
    for (const call of calls) this.#dispatcher.release(call);
    this.#fail(calls, message, cause);
    this.#finishIfIdle();
  }

  /** Calls have lost their worker, and left the pool. */
  #fail(
    calls: readonly Call[],
    message: string,
    cause: ErrorOptions | undefined,
  ): void {
    for (const call of calls) {
      const { future, limits } = call;
      if (future.done()) continue;
      if (limits?.fail) {
        limits.fail();
        continue;
      }
      this.#statistics.failed += sizeOf(call);
      // Each has an error of its own: a stack, and whatever a caller adds to it.
      future.setException(new this.#kind.broken(capitalize(message), cause));
    }
  }

  #advance(to: State): void {
    this.#state.advance(to);
    const { name } = this.#kind;
    this.#room.close(() => this.#state.closedError(`No more room in ${name}`)!);
    this.#dispatcher.warming.end(() =>
      this.#state.closedError(`Cannot warm up ${name}`)!
    );
    this.#stopIdleTimer?.();
    this.#stopIdleTimer = undefined;
  }

  #isOver(): boolean {
    return this.#state.isEnd && this.#ending === 0;
  }

  /** Ends what can end: workers without calls, the pool that drains. */
  #finishIfIdle(now?: number): void {
    this.#room.look();
    if (this.#dispatcher.pending === 0) {
      forgetLast();
      if (this.#state.is === "draining") {
        this.#advance({ is: "closed" });
        this.#dispatcher.endAll();
      } else if (this.#state.is === "open") {
        if (this.#dispatcher.workers > 0) this.#planIdleEnd(now);
        // The last one was ended for its call: its end has no timer of its own.
        else this.#dispatcher.stopWatching();
      }
    }
    if (this.#isOver()) {
      const closers = this.#closers;
      this.#closers = [];
      for (const close of closers) close();
    }
  }

  /** Has idle workers end after a while, unless calls come before. */
  #planIdleEnd(now = ownClock.now()): void {
    if (this.#kind.idleTimeout === Infinity) return;
    this.#idleSince = now;
    loadTimers();
    // One timer for all: it looks again when it fires too early.
    if (!this.#stopIdleTimer) this.#armIdleTimer(this.#kind.idleTimeout);
  }

  #armIdleTimer(ms: number): void {
    this.#stopIdleTimer = startQuietTimer(ms, () => {
      this.#stopIdleTimer = undefined;
      if (this.#dispatcher.pending > 0) return;
      if (this.#dispatcher.warming.isAwaited) {
        return this.#armIdleTimer(this.#kind.idleTimeout);
      }
      const left = this.#idleSince + this.#kind.idleTimeout - ownClock.now();
      if (left > 1) this.#armIdleTimer(left);
      else this.#dispatcher.endAll();
    });
  }
}
