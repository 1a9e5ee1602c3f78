/**
 * What thread pool and process pool share: how a call gets in, how the pool
 * ends, and what happens when a worker dies. Who gets which call is told in
 * `dispatcher.ts`; a worker is seen only as a `WorkerLink` (`link.ts`).
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
 * ## When a worker dies
 *
 * 1. Each call that has started is marked as running: nobody cancels it now.
 * 2. The pool is broken, its workers are ended, and all calls leave it, before
 * 3. any future is failed, since callbacks may ask anything of the pool.
 *
 * ## When all is done and the pool stays open
 *
 * An idle worker would keep the program alive. So the workers stay warm for
 * `idleTimeout` and end then; the next call starts a new one.
 */

import { RuntimeError } from "../errors.ts";
import type { ShutdownOptions } from "../executor.ts";
import type { Future } from "../future.ts";
import { type Call, type CallOwner, PooledFuture, WAITING } from "./call.ts";
import { Dispatcher } from "./dispatcher.ts";
import { type Closure, closureOf } from "./closures.ts";
import type { PoolKind } from "./link.ts";
import type { Captured, FunctionRef, WorkerMarker } from "./protocol.ts";
import { startTimer } from "./timer.ts";
import { describe, label } from "./travel.ts";

/** Pools inside of workers inside of pools: deeper is a mistake. */
const DEEPEST = 6;

type State =
  | { readonly is: "open" }
  | { readonly is: "draining" }
  | { readonly is: "closed" }
  | {
    readonly is: "broken";
    readonly message: string;
    readonly cause: ErrorOptions | undefined;
  };

/** A function that is submitted many times, with what it captured. */
interface Held {
  readonly ref: FunctionRef;
  /** What keeps it from travelling. */
  readonly failure?: { readonly error: unknown };
  readonly closure?: Closure;
}

/** The engine of an executor that has workers. */
export class Pool implements CallOwner {
  readonly #kind: PoolKind;
  readonly #dispatcher: Dispatcher;
  /** What stands for functions of which `map` reads once what they capture. */
  #held: WeakMap<object, Held> | undefined;
  #state: State = { is: "open" };
  #stopIdleTimer: (() => void) | undefined;
  #idleSince = 0;
  /** How many workers are on their end. */
  #ending = 0;
  #closers: (() => void)[] = [];

  constructor(kind: PoolKind) {
    this.#kind = kind;
    this.#dispatcher = new Dispatcher(kind, {
      onBroken: (message, cause) => this.#breakPool(message, cause),
      onProgress: () => this.#finishIfIdle(),
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
  submit(fn: unknown, args: readonly unknown[]): Future<unknown> {
    const dispatcher = this.#dispatcher;
    let ref = this.check(fn, "submit");
    dispatcher.depth = this.#checkDepth();
    const future = new PooledFuture<unknown>();
    try {
      const closure = this.#closure(fn, ref);
      if (closure) ref = closure.ref;
      if (closure?.captured) args = [...args, closure.captured];
    } catch (error) {
      future.setException(error);
      return future;
    }
    const call: Call = {
      future,
      fn: ref,
      args: undefined,
      worker: undefined,
      slot: WAITING,
      cost: 0,
    };
    let now = dispatcher.isFree;
    try {
      call.args = this.#kind.pack(ref, args, now);
      this.check(fn, "submit");
      if (now && !dispatcher.isFree) {
        now = false;
        call.args = this.#kind.pack(ref, args, false);
      }
    } catch (error) {
      future.setException(error);
      return future;
    }
    future.attach(this, call);
    dispatcher.add(call);
    if (now) {
      dispatcher.dispatch();
      // Another call may have come first, one that was taken back.
      if (call.slot === WAITING) this.#copyLate(call, args);
    } else {
      dispatcher.plan();
    }
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

  takeBack(call: Call): boolean {
    return this.#dispatcher.takeBack(call);
  }

  onCancelled(): void {
    this.#dispatcher.compact();
    this.#dispatcher.plan();
    this.#finishIfIdle();
  }

  /** What a function takes along, read now unless it is held. */
  #closure(fn: unknown, ref: FunctionRef): Closure | undefined {
    if (!this.#kind.closures) return undefined;
    const held = this.#held?.get(fn as object);
    if (!held) return closureOf(fn, ref);
    if (held.failure) throw held.failure.error;
    return held.closure;
  }

  /**
   * Reads what a function takes along, once for many calls: submitted in its
   * place, what this gives is a call of the function as it is now.
   */
  hold(fn: unknown): unknown {
    const ref = this.check(fn, "map");
    let held: Held | undefined;
    try {
      const closure = this.#closure(fn, ref);
      if (!closure?.captured) return fn;
      const captured = (this.#kind.copy?.(closure.captured) ??
        closure.captured) as Captured;
      held = { ref, closure: { ref: closure.ref, captured } };
    } catch (error) {
      held = { ref, failure: { error } };
    }
    const standIn = () => {};
    this.#held ??= new WeakMap();
    this.#held.set(standIn, held);
    return standIn;
  }

  /** Describes a function that is to be submitted, if the pool takes calls. */
  check(value: unknown, caller: string): FunctionRef {
    const fn = this.#held?.get(value as object)?.ref ?? describe(value, caller);
    const state = this.#state;
    if (state.is === "open") return fn;
    const cannot = `Cannot submit ${label(fn)} to ${this.#kind.name}`;
    if (state.is === "broken") {
      throw new this.#kind.broken(`${cannot}: ${state.message}`, state.cause);
    }
    throw new RuntimeError(
      `${cannot}: cannot schedule new futures after shutdown`,
    );
  }

  /** Keeps a module that workers import from starting workers that import it. */
  #checkDepth(): number {
    const marker = (globalThis as unknown as Record<symbol, WorkerMarker>)[
      Symbol.for("@concurrent/futures worker")
    ] as WorkerMarker | undefined;
    if (!marker) return 1;
    // A module may also come to start workers when its import is over.
    const late = marker.inTask()
      ? undefined
      : marker.modules.find((module) => this.#kind.modules.includes(module));
    const module = marker.importing[0] ?? late;
    if (module !== undefined) {
      marker.unguarded = new RuntimeError(
        `Cannot start workers of ${this.#kind.name} from ${module} itself while a worker imports it: put the main part of that module under "if (import.meta.main)"`,
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

  // ---- The end -------------------------------------------------------------

  /** Takes no more calls, and ends when there are none. */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    const { wait = true, cancelFutures = false } = options;
    if (this.#state.is === "open") this.#advance({ is: "draining" });
    if (cancelFutures) {
      for (const { future } of this.#dispatcher.allCalls()) future.cancel();
    }
    this.#finishIfIdle();
    if (!wait || this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => this.#closers.push(resolve));
  }

  /** Ends all workers now, in the middle of whatever they run. */
  killWorkers(signal: Deno.Signal, caller: string): void {
    if (this.#state.is === "closed" || this.#state.is === "broken") return;
    const waiting = this.#dispatcher.waiting();
    this.#advance({ is: "draining" });
    const held = this.#dispatcher.killAll(signal);
    for (const { call } of held) this.#dispatcher.release(call);
    for (const { call: { future }, label, doing } of held) {
      if (future.done()) continue;
      const message = `${label} was ended by ${caller} ${doing}`;
      future.setException(new this.#kind.broken(capitalize(message)));
    }
    for (const { future } of waiting) future.cancel();
    this.#finishIfIdle();
  }

  /** See "When a worker dies" above. */
  #breakPool(message: string, cause: ErrorOptions | undefined): void {
    this.#advance({ is: "broken", message, cause });
    const held = this.#dispatcher.killAll("SIGKILL");
    const calls = [
      ...held.map(({ call }) => call),
      ...this.#dispatcher.waiting(),
    ];
    for (const call of calls) this.#dispatcher.release(call);
    for (const { future } of calls) {
      if (future.done()) continue;
      // Each has an error of its own: a stack, and whatever a caller adds to it.
      future.setException(new this.#kind.broken(capitalize(message), cause));
    }
    this.#finishIfIdle();
  }

  #advance(to: State): void {
    this.#state = to;
    this.#stopIdleTimer?.();
    this.#stopIdleTimer = undefined;
  }

  #isOver(): boolean {
    return (this.#state.is === "closed" || this.#state.is === "broken") &&
      this.#ending === 0;
  }

  /** Ends what can end: workers without calls, the pool that drains. */
  #finishIfIdle(): void {
    if (this.#dispatcher.pending === 0) {
      if (this.#state.is === "draining") {
        this.#advance({ is: "closed" });
        this.#dispatcher.endAll();
      } else if (this.#state.is === "open" && this.#dispatcher.workers > 0) {
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
    if (!this.#stopIdleTimer) this.#armIdleTimer(this.#kind.idleTimeout);
  }

  #armIdleTimer(ms: number): void {
    this.#stopIdleTimer = startTimer(ms, () => {
      this.#stopIdleTimer = undefined;
      if (this.#dispatcher.pending > 0) return;
      const left = this.#idleSince + this.#kind.idleTimeout - performance.now();
      if (left > 1) this.#armIdleTimer(left);
      else this.#dispatcher.endAll();
    });
  }
}

function capitalize(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}
