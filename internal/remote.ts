/**
 * Calls that workers on other machines run: where their futures live. Who may run
 * what is decided in `remote_arbiter.ts`; what a call is, in `remote_call.ts`.
 *
 * ## Past the queue
 *
 * A worker that has just ended a call is probably free. So the next call, if no
 * other waits, is handed to it, with the "go": half of the way. From here on the
 * future is running. A worker that is not free after all says so, and the call is
 * published, and pending as before. Where no word comes, the worker is asked; one
 * that has it not takes it no more, should it come after all.
 *
 * ## Workers are watched
 *
 * Each that runs something is asked every so often whether it still does. One
 * that is not heard of for a lease has lost its calls. So a lost worker is told
 * even where no other is left to get the call.
 *
 * ## A call's stages
 *
 * are in `remote_call.ts`. What was published is kept until it is released: the
 * server, or a worker that took this program for dead, may have dropped it, and
 * then it is published again.
 *
 * ## The connection
 *
 * is made for the first call, and ended when there was none for a while: an open
 * one keeps the program alive.
 */

import { BrokenExecutor } from "../errors.ts";
import type { ShutdownOptions } from "../executor.ts";
import type { Future } from "../future.ts";
import {
  type Call,
  type CallOwner,
  newCall,
  PooledFuture,
  settle,
} from "./call.ts";
import type { Packed } from "./codec.ts";
import { Deque } from "./deque.ts";
import { Complaints } from "./complaints.ts";
import { PROTOCOL, toBytes } from "./envelope.ts";
import { checkGuard } from "./guard.ts";
import type { FunctionRef } from "./protocol.ts";
import { Arbiter } from "./remote_arbiter.ts";
import {
  heldStage,
  type Holder,
  move,
  PUBLISHED,
  QUEUED,
  RELEASED,
  type RemoteCall,
} from "./remote_call.ts";
import { Handing } from "./remote_handing.ts";
import { Absence, Watch } from "./remote_watch.ts";
import { refusedShutdown } from "./option_names.ts";
import { startTimer } from "./timer.ts";
import { refusal, type RemoteState } from "./remote_state.ts";
import type { SubmitterLink, Transport } from "./transport.ts";
import { capitalize, describe, label } from "./travel.ts";

/** What makes an executor one of a kind of server. */
export interface RemoteKind {
  /** The class's name, for messages. */
  readonly name: string;
  readonly transport: Transport;
  readonly maxAttempts: number;
  /** In milliseconds; `undefined`: for ever. */
  readonly workerTimeout: number | undefined;
  /** How a worker finds a function. */
  refer(fn: FunctionRef): FunctionRef;
  /** @throws what keeps arguments from travelling. */
  pack(fn: FunctionRef, args: readonly unknown[]): Packed;
}

/** How many calls may be on their way to the server at once. */
const MOST_UNDER_WAY = 256;
/** How long the connection stays when there is nothing to do, in milliseconds. */
const IDLE = 200;
/** How long the server may be away: while calls run, and once they are only waited for. */
const LEAST_AWAY = 10_000;
const AWAY_AT_END = 1000;

/** The engine of an executor whose workers are elsewhere. */
export class Remote implements CallOwner {
  readonly #kind: RemoteKind;
  readonly #complaints: Complaints;
  #state: RemoteState = { is: "open" };
  /** All calls that are not released. */
  readonly #calls = new Map<number, RemoteCall>();
  /** Those that were not published; those that were released stay a while. */
  readonly #queue = new Deque<RemoteCall>();
  #dropped = 0;
  #ids = 0;
  #underWay = 0;
  readonly #handing = new Handing(this.#calls);
  readonly #arbiter: Arbiter;
  /** The messages of calls that nobody has taken, and that were cancelled. */
  #leftovers: number[] = [];
  #link: SubmitterLink | undefined;
  #opening = false;
  #closing: Promise<void> | undefined;
  #closers: (() => void)[] = [];
  #planned = false;
  readonly #absence = new Absence((ms) =>
    this.#break(`the server was away for ${ms} ms`, undefined)
  );
  #stopIdleTimer: (() => void) | undefined;
  #watch: Watch | undefined;

  constructor(kind: RemoteKind) {
    this.#kind = kind;
    this.#complaints = new Complaints((text) =>
      console.error(`${kind.name}: ${text}`)
    );
    this.#arbiter = new Arbiter(this.#calls, kind.maxAttempts, {
      isAway: () => this.#absence.isNow,
      has: async (call, stage) => await this.#watch?.has(call, stage),
      onAgain: (call) => this.#publish(call),
      onOutcome: (call, outcome, free) => {
        if (free) this.#handing.offer(free);
        this.#release(call);
        if (!call.future.done()) settle(call.future, outcome);
        this.#finishIfIdle();
      },
      onFailed: (call, error) => this.#fail(call, error),
    });
  }

  // ---- Submitting ------------------------------------------------------------

  submit(fn: unknown, args: readonly unknown[]): Future<unknown> {
    const ref = this.check(fn, "submit");
    checkGuard(this.#kind.name);
    const future = new PooledFuture<unknown>();
    let packed: Packed;
    try {
      packed = this.#kind.pack(ref, args);
      // Getters of the arguments may have shut this down.
      this.check(fn, "submit");
    } catch (error) {
      future.setException(error);
      return future;
    }
    const call: RemoteCall = {
      ...newCall(future, ref, packed),
      id: ++this.#ids,
      stage: QUEUED,
      starts: [],
      rounds: 0,
      messages: [],
      storing: undefined,
    };
    future.attach(this, call);
    this.#calls.set(call.id, call);
    this.#queue.push(call);
    this.#stopIdleTimer?.();
    this.#stopIdleTimer = undefined;
    this.#plan();
    return future;
  }

  /** Describes a function that is to be submitted, if calls are taken. */
  check(value: unknown, caller: string): FunctionRef {
    const fn = describe(value, caller);
    if (this.#state.is === "open") return fn;
    throw refusal(this.#kind.name, this.#state, fn);
  }

  /** Publishes once for all that is submitted in this turn of the event loop. */
  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#pump();
    });
  }

  #pump(): void {
    const link = this.#link;
    if (!link) return this.#open();
    // What comes behind a call that may have to be published stays behind it.
    while (this.#underWay < MOST_UNDER_WAY && !this.#handing.isUnderWay) {
      const call = this.#queue.shift();
      if (!call) return;
      if (call.stage.is === "released") this.#dropped--;
      else this.#send(link, call);
    }
  }

  #send(link: SubmitterLink, call: RemoteCall): void {
    const free = this.#handing.freeFor(call);
    if (free) this.#hand(link, call, free);
    else this.#publish(call);
  }

  #toBytes(link: SubmitterLink, call: RemoteCall): Uint8Array {
    return toBytes({
      v: PROTOCOL,
      id: `${call.id}`,
      from: link.id,
      lease: link.lease,
      fn: this.#kind.refer(call.fn),
    }, call.args as Packed);
  }

  /** Has a call wait for a worker, as one message more. */
  #publish(call: RemoteCall): void {
    const link = this.#link;
    if (!link) return;
    move(call, PUBLISHED);
    const storing = this.#store(link, call).finally(() => {
      if (call.storing === storing) call.storing = undefined;
      this.#underWay--;
      this.#pump();
    });
    call.storing = storing;
    this.#underWay++;
  }

  async #store(link: SubmitterLink, call: RemoteCall): Promise<void> {
    const { id } = call;
    try {
      const message = await link.publish(
        `${link.id} ${id} ${call.rounds++}`,
        this.#toBytes(link, call),
      );
      if (this.#calls.get(id) === call) call.messages.push(message);
      else if (call.future.cancelled()) this.#leftovers.push(message);
    } catch (error) {
      if (this.#calls.get(id) !== call) return;
      const why = error instanceof Error ? error.message : String(error);
      this.#fail(
        call,
        new BrokenExecutor(`Cannot send ${label(call.fn)}: ${why}`, {
          cause: error,
        }),
      );
    }
  }

  /** See "Past the queue" above. */
  async #hand(
    link: SubmitterLink,
    call: RemoteCall,
    free: Holder,
  ): Promise<void> {
    const bytes = this.#toBytes(link, call);
    const isTaken = await this.#handing.hand(link, call, free, bytes);
    if (isTaken === false) this.#onNotTaken(call);
    this.#pump();
  }

  #onNotTaken(call: RemoteCall): void {
    call.starts.pop();
    this.#publish(call);
  }

  /** Publishes again what may be lost on the way to its workers. */
  #publishAgain(): void {
    for (const call of this.#calls.values()) {
      // The worker that one was handed to is asked first, that holds one told.
      if (call.stage.is === "published") this.#publish(call);
    }
  }

  // ---- The connection ----------------------------------------------------------

  #open(): void {
    if (this.#opening || this.#queue.size === this.#dropped) return;
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
    this.#watch = new Watch(link, this.#calls, {
      isAway: () => this.#absence.isNow,
      isPublishing: () => this.#underWay > 0,
      onNotTaken: (call) => this.#onNotTaken(call),
      onLostAttempt: (call, how) => this.#arbiter.loseAttempt(call, how),
      onVanished: () => this.#publishAgain(),
      workerTimeout: this.#kind.workerTimeout,
      onUnattended: (ms) =>
        this.#break(`no worker was there for ${ms} ms`, undefined),
    });
    this.#pump();
    this.#finishIfIdle();
  }

  #isEnding(): boolean {
    return this.#state.is === "closed" || this.#state.is === "broken";
  }

  #close(): void {
    const link = this.#link;
    if (!link) return;
    this.#link = undefined;
    this.#handing.forget();
    this.#watch?.stop();
    this.#stopIdleTimer?.();
    this.#watch = this.#stopIdleTimer = undefined;
    this.#absence.end();
    this.#closing = (async () => {
      const leftovers = this.#leftovers.splice(0);
      if (leftovers.length > 0) await link.discard(leftovers).catch(() => {});
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
    if (ms > link.lease / 2) this.#publishAgain();
  }

  // ---- The end -------------------------------------------------------------------

  takeBack(call: Call): boolean {
    const mine = call as RemoteCall;
    if (mine.starts.length > 0) return false;
    if (mine.stage.is === "queued") this.#dropped++;
    else this.#leftovers.push(...mine.messages);
    this.#release(mine);
    return true;
  }

  onCancelled(): void {
    if (this.#dropped > 1000 && this.#dropped * 2 > this.#queue.size) {
      this.#queue.filter(({ stage }) => stage.is !== "released");
      this.#dropped = 0;
    }
    this.#finishIfIdle();
  }

  shutdown(options: ShutdownOptions = {}): Promise<void> {
    const refused = refusedShutdown(options);
    if (refused) return Promise.reject(refused);
    const { wait = true, cancelFutures = false } = options;
    if (this.#state.is === "open") this.#state = { is: "draining" };
    if (cancelFutures) {
      for (const { future } of [...this.#calls.values()]) future.cancel();
    }
    this.#limitAbsence();
    this.#finishIfIdle();
    if (!wait || this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => this.#closers.push(resolve));
  }

  #release(call: RemoteCall): void {
    this.#calls.delete(call.id);
    move(call, RELEASED);
    call.future.attach();
  }

  #fail(call: RemoteCall, error: unknown): void {
    this.#release(call);
    if (!call.future.done()) call.future.setException(error);
    this.#finishIfIdle();
  }

  #break(message: string, cause: unknown): void {
    if (this.#isEnding()) return;
    const options = cause === undefined ? undefined : { cause };
    this.#state = { is: "broken", message, cause: options };
    const calls = [...this.#calls.values()];
    for (const call of calls) this.#release(call);
    this.#queue.filter(() => false);
    this.#dropped = 0;
    this.#close();
    for (const { future } of calls) {
      if (future.done()) continue;
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
    if (this.#calls.size === 0) {
      if (this.#state.is === "draining") {
        this.#state = { is: "closed" };
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
      if (this.#calls.size === 0) this.#close();
    });
  }
}
