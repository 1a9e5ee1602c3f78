/**
 * Calls that workers on other machines run: where their futures live. Who may run
 * what is decided in `remote/arbiter.ts`; what a call is, in `remote/remote_call.ts`.
 *
 * ## Workers are watched
 *
 * Each that runs something is asked every so often whether it still does. One
 * that is not heard of for a lease has lost its calls. So a lost worker is told
 * even where no other is left to get the call.
 *
 * ## A call's stages
 *
 * are in `remote/remote_call.ts`. What was published is kept until it is released: the
 * server, or a worker that took this program for dead, may have dropped it, and
 * then it is published again.
 *
 * ## The connection
 *
 * is made for the first call, and ended when there was none for a while: an open
 * one keeps the program alive.
 */

import { BrokenExecutor } from "../../errors.ts";
import type { ShutdownOptions } from "../../executor.ts";
import type { Future } from "../../future.ts";
import { cancelReasons } from "../base/cancel_reasons.ts";
import { checkCount, refusedShutdown, shutdownOf } from "../base/checks.ts";
import { ownClock, startTimer } from "../base/timers.ts";
import {
  type Call,
  type CallOwner,
  elapsed,
  newCall,
  PooledFuture,
  settle,
  thrownBy,
} from "../call/call.ts";
import type { Engine, MapShape } from "../call/engine.ts";
import {
  type CheckedSubmitOptions,
  LimitWatch,
  NO_OPTIONS,
} from "../call/limits.ts";
import { type Backlog, backlogOf } from "../call/map_backlog.ts";
import type { FunctionRef, Outcome } from "../call/protocol.ts";
import { checkGuard } from "../call/realm.ts";
import { type PoolStats, Statistics } from "../call/statistics.ts";
import { capitalize, describe } from "../functions/describe.ts";
import { Room } from "../pool/room.ts";
import { messageOf } from "../pool/stop_calls.ts";
import type { Packed } from "../values/codec.ts";
import { transferablesOf } from "../values/transfer_marks.ts";
import { Arbiter } from "./arbiter.ts";
import { Complaints } from "./complaints.ts";
import { KnownWorkers } from "./known_workers.ts";
import { Absence, LeaseWatch } from "./lease_watch.ts";
import { Publishing } from "./publishing.ts";
import {
  heldStage,
  move,
  QUEUED,
  RELEASED,
  type RemoteCall,
} from "./remote_call.ts";
import { Stops } from "./stops.ts";
import { closedError, refusal, type RemoteState } from "./submitter_state.ts";
import { type Packing, type Target, Targets } from "./targets.ts";
import type { SubmitterLink, Transport } from "./transport.ts";

/** What makes an executor one of a kind of server. */
export interface SubmitterKind extends Packing {
  /** The class's name, for messages. */
  readonly name: string;
  readonly transport: Transport;
  readonly maxAttempts: number;
  /** In milliseconds; `undefined`: for ever. */
  readonly workerTimeout: number | undefined;
  /** How a worker finds a function. */
  refer(fn: FunctionRef): FunctionRef;
}

/** How long the connection stays when there is nothing to do, in milliseconds. */
const IDLE = 200;
/** How long the server may be away: while calls run, and once they are only waited for. */
const LEAST_AWAY = 10_000;
const AWAY_AT_END = 1000;

/** The engine of an executor whose workers are elsewhere. */
export class Submitter implements CallOwner, Engine {
  readonly #kind: SubmitterKind;
  readonly #targets: Targets;
  readonly #complaints: Complaints;
  #state: RemoteState = { is: "open" };
  /** All calls that are not released. */
  readonly #calls = new Map<number, RemoteCall>();
  /** Those of them that a worker has. */
  readonly #held = new Set<RemoteCall>();
  readonly #statistics = new Statistics();
  readonly #room = new Room(() => this.#calls.size - this.#held.size);
  readonly #workers = new KnownWorkers(() => this.#link?.seek());
  readonly #stops = new Stops();
  readonly #limits = new LimitWatch<RemoteCall>(
    (call, { reason }) => this.#stop(call, reason),
    () => undefined,
  );
  #ids = 0;
  readonly #publishing: Publishing;
  readonly #arbiter: Arbiter;
  #link: SubmitterLink | undefined;
  #opening = false;
  #closing: Promise<void> | undefined;
  #closers: (() => void)[] = [];
  readonly #absence = new Absence((ms) =>
    this.#break(`the server was away for ${ms} ms`, this.#link?.trouble)
  );
  #stopIdleTimer: (() => void) | undefined;
  #watch: LeaseWatch | undefined;

  constructor(kind: SubmitterKind) {
    this.#kind = kind;
    this.#targets = new Targets(kind);
    this.#complaints = new Complaints((text) =>
      console.error(`${kind.name}: ${text}`)
    );
    this.#publishing = new Publishing(this.#calls, kind, {
      open: () => this.#open(),
      onFailed: (call, error) => this.#fail(call, error),
    });
    this.#arbiter = new Arbiter(this.#calls, kind.maxAttempts, {
      isAway: () => this.#absence.isNow,
      has: async (call, stage) => await this.#watch?.has(call, stage),
      onAgain: (call) => this.#publishing.publish(call),
      onOutcome: (call, outcome, free) => {
        if (free) this.#publishing.offer(free);
        this.#release(call);
        this.#settle(call, outcome);
        this.#finishIfIdle();
      },
      onWorker: (presence) => this.#workers.hear(presence),
      onFailed: (call, error) => this.#fail(call, error),
    });
  }

  // ---- Submitting ------------------------------------------------------------

  submit(
    fn: unknown,
    args: readonly unknown[],
    options: CheckedSubmitOptions = NO_OPTIONS,
  ): Future<unknown> {
    const ref = this.check(fn, "submit");
    checkGuard(this.#kind.name);
    return this.#submitAs(this.#targets.of(fn, ref, false), args, options);
  }

  map(
    fn: unknown,
    options: CheckedSubmitOptions,
    { unordered }: MapShape,
  ): Backlog {
    const ref = this.check(fn, "map");
    checkGuard(this.#kind.name);
    const target = this.#targets.of(fn, ref, true);
    return backlogOf((args) => {
      this.check(fn, "submit");
      return this.#submitAs(target, args, options);
    }, unordered);
  }

  #submitAs(
    target: Target,
    args: readonly unknown[],
    { signals, timeLimit, transfer: listed }: CheckedSubmitOptions,
  ): Future<unknown> {
    const future = new PooledFuture<unknown>();
    if (this.#cancelIfAborted(future, signals)) return future;
    let packed: Packed;
    try {
      const transfer = transferablesOf(args, listed);
      [target, packed] = this.#targets.pack(target, args, transfer);
      // Getters of the arguments may have shut this down.
      this.check(target.given, "submit");
    } catch (error) {
      this.#statistics.failed++;
      future.setException(error);
      return future;
    }
    if (this.#cancelIfAborted(future, signals)) return future;
    const isPlain = signals.length === 0 && timeLimit === undefined;
    const call: RemoteCall = {
      ...newCall(
        future,
        target.ref,
        packed,
        isPlain ? undefined : {
          signals,
          timeLimit,
          once: false,
          stopTimer: undefined,
          started: undefined,
          listens: undefined,
          fail: undefined,
        },
      ),
      id: ++this.#ids,
      stage: QUEUED,
      starts: [],
      started: undefined,
      held: this.#held,
      untravelled: target.untravelled,
      rounds: 0,
      messages: [],
      storing: undefined,
    };
    future.attach(this, call);
    this.#calls.set(call.id, call);
    if (call.limits) this.#limits.add(call);
    this.#stopIdleTimer?.();
    this.#stopIdleTimer = undefined;
    this.#publishing.add(call);
    return future;
  }

  /** Cancels a call that has not come in, if a signal says so. */
  #cancelIfAborted(
    future: Future<unknown>,
    signals: readonly AbortSignal[],
  ): boolean {
    const aborted = signals.find((signal) => signal.aborted);
    if (!aborted) return false;
    cancelReasons.set(future, aborted.reason);
    this.#statistics.cancelled++;
    future.cancel();
    return true;
  }

  /** A signal of a call has aborted: one that waits is cancelled, one that runs is ended. */
  #stop(call: RemoteCall, reason: unknown): void {
    const { future, id } = call;
    if (future.done()) return;
    cancelReasons.set(future, reason);
    if (future.cancel()) return;
    cancelReasons.delete(future);
    const stage = heldStage(call);
    if (stage && this.#link) {
      this.#stops.tell(this.#link, stage.holder, id, messageOf(reason));
    }
    this.#fail(call, reason);
  }

  // ---- What all executors tell -------------------------------------------------

  stats(): PoolStats {
    const running = this.#held.size;
    return this.#statistics.snapshot(
      { live: this.#workers.count(), busy: running },
      { waiting: this.#calls.size - running, running },
    );
  }

  /** Waits until the workers of the queue can run so many calls at once. */
  warmUp(count = 1): Promise<void> {
    checkCount(count, "warmUp's count of workers");
    this.#checkOpen("Cannot wait for workers of");
    const waiting = this.#workers.wait(count);
    this.#stopIdleTimer?.();
    this.#stopIdleTimer = undefined;
    this.#publishing.plan();
    return waiting.finally(() => this.#finishIfIdle());
  }

  /** Waits until fewer calls wait. */
  room(limit: number): Promise<void> {
    checkCount(limit, "room's limit");
    this.#checkOpen("Cannot wait for room in");
    return this.#room.wait(limit);
  }

  #checkOpen(cannot: string): void {
    const error = closedError(`${cannot} ${this.#kind.name}`, this.#state);
    if (error) throw error;
  }

  /** Describes a function that is to be submitted, if calls are taken. */
  check(value: unknown, caller: string): FunctionRef {
    const fn = describe(value, caller);
    if (this.#state.is === "open") return fn;
    throw refusal(this.#kind.name, this.#state, fn);
  }

  // ---- The connection ----------------------------------------------------------

  #open(): void {
    if (this.#opening) return;
    if (this.#publishing.isEmpty && !this.#workers.areAwaited) return;
    if (this.#state.is === "broken" || this.#state.is === "closed") return;
    this.#opening = true;
    this.#openLink().catch((error) => {
      this.#opening = false;
      const why = error instanceof Error ? error.message : String(error);
      this.#break(why, error);
      this.#finishIfIdle();
    });
  }

  async #openLink(): Promise<void> {
    await this.#closing;
    let isLost = false;
    const link: SubmitterLink = await this.#kind.transport.submitter({
      onClaim: (claim) =>
        this.#link === link ? this.#arbiter.onClaim(claim) : "no",
      onResult: (bytes) => {
        if (this.#link === link) this.#arbiter.onResult(bytes);
      },
      onWorker: (presence) => {
        if (this.#link === link) this.#workers.hear(presence);
      },
      onAway: () => this.#onAway(),
      onBack: () => this.#onBack(),
      onRefused: (why) => this.#complaints.add(why),
      onLost: (why, cause) => {
        isLost = true;
        this.#break(why, cause);
      },
    });
    this.#opening = false;
    this.#link = link;
    if (isLost || this.#isEnding()) {
      this.#close();
      return;
    }
    this.#watch = new LeaseWatch(link, this.#calls, {
      isAway: () => this.#absence.isNow,
      isPublishing: () => this.#publishing.isUnderWay,
      onNotTaken: (call) => this.#publishing.onNotTaken(call),
      onLostAttempt: (call, how) => this.#arbiter.loseAttempt(call, how),
      onVanished: () => this.#publishing.again(),
      workerTimeout: this.#kind.workerTimeout,
      onUnattended: (ms) =>
        this.#break(`no worker was there for ${ms} ms`, undefined),
    });
    this.#workers.seek();
    this.#publishing.start(link);
    this.#finishIfIdle();
  }

  #isEnding(): boolean {
    return this.#state.is === "closed" || this.#state.is === "broken";
  }

  #close(): void {
    const link = this.#link;
    if (!link) return;
    this.#link = undefined;
    this.#publishing.stop();
    this.#watch?.stop();
    this.#stopIdleTimer?.();
    this.#watch = this.#stopIdleTimer = undefined;
    this.#absence.end();
    this.#closing = (async () => {
      const leftovers = this.#publishing.takeLeftovers();
      if (leftovers.length > 0) await link.discard(leftovers).catch(() => {});
      await this.#stops.settled();
      await link.close();
    })().catch(() => {}).finally(() => {
      this.#closing = undefined;
      this.#finishIfIdle();
    });
  }

  #onAway(): void {
    // Whether an end is reached in time is the link's own business.
    if (!this.#link) return;
    this.#absence.begin();
    this.#limitAbsence();
  }

  /** Calls that nobody can answer for must not be waited for without end. */
  #limitAbsence(): void {
    this.#absence.limit(
      this.#state.is === "open"
        ? Math.max(LEAST_AWAY, 2 * (this.#link?.lease ?? 0))
        : AWAY_AT_END,
    );
  }

  #onBack(): void {
    const ms = this.#absence.end();
    const link = this.#link;
    if (ms === undefined || !link) return;
    for (const call of this.#calls.values()) {
      const stage = heldStage(call);
      if (stage) stage.missed = 0;
    }
    // Workers drop the calls of a submitter that is away for a lease.
    if (ms > link.lease / 2) this.#publishing.again();
  }

  // ---- The end -------------------------------------------------------------------

  takeBack(call: Call): boolean {
    const mine = call as RemoteCall;
    if (mine.starts.length > 0) return false;
    this.#publishing.drop(mine);
    this.#release(mine);
    return true;
  }

  onCancelled(): void {
    this.#statistics.cancelled++;
    this.#publishing.compact();
    this.#finishIfIdle();
  }

  shutdown(options: ShutdownOptions = {}): Promise<void> {
    const refused = refusedShutdown(options);
    if (refused) return Promise.reject(refused);
    const { wait = true, cancelFutures = false } = shutdownOf(options);
    if (this.#state.is === "open") this.#advance({ is: "draining" });
    if (cancelFutures) {
      for (const { future } of [...this.#calls.values()]) future.cancel();
    }
    this.#limitAbsence();
    this.#finishIfIdle();
    if (!wait || this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => this.#closers.push(resolve));
  }

  /** Nobody waits any more for what there will not be. */
  #advance(state: RemoteState): void {
    this.#state = state;
    const { name } = this.#kind;
    const errorOf = (what: string) => () =>
      closedError(`${what} ${name}`, state)!;
    this.#room.close(errorOf("Cannot wait for room in"));
    this.#workers.end(errorOf("Cannot wait for workers of"));
  }

  #release(call: RemoteCall): void {
    this.#calls.delete(call.id);
    if (call.limits) this.#limits.remove(call);
    move(call, RELEASED);
    call.future.attach();
  }

  /** A call has ended. */
  #settle(call: RemoteCall, outcome: Outcome): void {
    const { future, started } = call;
    const now = ownClock.now();
    const ran = now - (started ?? now);
    const waited = elapsed(call.since, now) - ran;
    const returned = outcome.is === "returned";
    this.#statistics.ended(waited, ran, returned);
    if (future.done()) return;
    if (call.untravelled && !returned && isCloneError(thrownBy(outcome))) {
      future.setException(call.untravelled.error);
    } else settle(future, outcome);
  }

  #fail(call: RemoteCall, error: unknown): void {
    this.#release(call);
    if (!call.future.done()) {
      this.#statistics.failed++;
      call.future.setException(error);
    }
    this.#finishIfIdle();
  }

  #break(message: string, cause: unknown): void {
    if (this.#isEnding()) return;
    const options = cause === undefined ? undefined : { cause };
    this.#advance({ is: "broken", message, cause: options });
    const calls = [...this.#calls.values()];
    for (const call of calls) this.#release(call);
    this.#publishing.clear();
    this.#close();
    for (const { future } of calls) {
      if (future.done()) continue;
      this.#statistics.failed++;
      // Each has an error of its own: a stack, and whatever a caller adds to it.
      future.setException(new BrokenExecutor(capitalize(message), options));
    }
    this.#finishIfIdle();
  }

  #isOver(): boolean {
    return this.#isEnding() && !this.#link && !this.#opening &&
      this.#closing === undefined;
  }

  /** Ends what can end. */
  #finishIfIdle(): void {
    this.#room.look();
    if (this.#calls.size === 0 && !this.#workers.areAwaited) {
      if (this.#state.is === "draining") {
        this.#advance({ is: "closed" });
        this.#close();
      } else if (this.#state.is === "open" && this.#link) {
        this.#planIdleEnd();
      }
    }
    if (this.#isOver()) {
      const closers = this.#closers;
      this.#closers = [];
      for (const close of closers) close();
    }
  }

  #planIdleEnd(): void {
    this.#stopIdleTimer?.();
    this.#stopIdleTimer = startTimer(IDLE, () => {
      this.#stopIdleTimer = undefined;
      if (this.#calls.size === 0 && !this.#workers.areAwaited) this.#close();
    });
  }
}

function isCloneError(error: unknown): boolean {
  return error instanceof DOMException && error.name === "DataCloneError";
}
