/**
 * Who may run which call, and what of what is said of it counts.
 *
 * ## The submitter is the arbiter
 *
 * A message server delivers at least once, to whom it likes. So a worker that
 * gets a call asks here, by a claim, before it starts it. The answer is given
 * from the future's state, synchronously, and that makes `cancel()` and
 * `running()` as true as those of a pool on this machine:
 *
 * - pending: "go", and the future is running from this moment on;
 * - cancelled or done: "no", and the worker drops the message;
 * - running, asked for the same run of the same worker: "go" once more, for the
 *   first answer may have been lost. A run starts once, so this is no second start;
 * - running, asked for another run: whoever has it may be gone, so that one is
 *   asked. If it has the call, or gives no answer, "later". If it says that it has
 *   it not, its attempt is lost: the next may start while there are attempts left,
 *   else the call is broken.
 *
 * It is the worker that tells its runs apart, not the server its deliveries: one
 * that was killed may have forgotten that it has delivered a message, and deliver
 * it as for the first time, even to the worker that has come to the end of it.
 * Nor is an outcome known that was stored while the server was away for this
 * program: until it is read, nobody is taken for lost.
 *
 * ## What comes is data
 *
 * A claim is for a message; only those that this program has published are its
 * calls, so that nobody else's has the answer that a call of this program waits for.
 * What is said of a call counts if it is said by who was given its "go", for that
 * run; or, that it may not run, of such a message. All else is passed over.
 */

import { BrokenExecutor, RuntimeError, TimeoutError } from "../../errors.ts";
import type { Outcome } from "../call/protocol.ts";
import { label } from "../functions/describe.ts";
import { type Codec, makeCodec } from "../values/codec.ts";
import {
  Malformed,
  readOutcome,
  readResult,
  type WireResult,
} from "./check_messages.ts";
import {
  type Answer,
  type Claim,
  type Presence,
  PROTOCOL,
} from "./envelope.ts";
import {
  hasStart,
  heldBy,
  type HeldStage,
  heldStage,
  type Holder,
  move,
  PUBLISHED,
  type RemoteCall,
} from "./remote_call.ts";

/** What is asked before, and told after, something is decided. */
export interface ArbiterEvents {
  isAway(): boolean;
  /** Whether a worker has a call; `undefined` where it can't be told now. */
  has(call: RemoteCall, stage: HeldStage): Promise<boolean | undefined>;
  /** A worker is there. */
  onWorker(presence: Presence): void;
  /** A call may be started once more. */
  onAgain(call: RemoteCall): void;
  /** A call has ended; `free` is the worker that had it, which is idle now. */
  onOutcome(call: RemoteCall, outcome: Outcome, free: Holder | undefined): void;
  /** A call has come to nothing. */
  onFailed(call: RemoteCall, error: unknown): void;
}

/** Decides for the calls of one program. */
export class Arbiter {
  readonly #calls: ReadonlyMap<number, RemoteCall>;
  readonly #maxAttempts: number;
  readonly #events: ArbiterEvents;
  readonly #codec: Codec = makeCodec();

  constructor(
    calls: ReadonlyMap<number, RemoteCall>,
    maxAttempts: number,
    events: ArbiterEvents,
  ) {
    this.#calls = calls;
    this.#maxAttempts = maxAttempts;
    this.#events = events;
  }

  /** A worker asks whether it may start a call. */
  onClaim(claim: Claim): Answer | Promise<Answer> {
    const call = this.#callOf(claim.id);
    if (!call || claim.v !== PROTOCOL) return "no";
    if (call.messages.includes(claim.message)) return this.#decide(call, claim);
    // The server's word that it is stored may come after the claim.
    const { storing } = call;
    if (!storing) return "no";
    return storing.then(() =>
      call.messages.includes(claim.message) ? this.#decide(call, claim) : "no"
    );
  }

  #callOf(id: string): RemoteCall | undefined {
    return /^[1-9]\d{0,14}$/.test(id) ? this.#calls.get(Number(id)) : undefined;
  }

  /** Whether a worker may start a call; see "The submitter is the arbiter" above. */
  #decide(call: RemoteCall, claim: Claim): Answer | Promise<Answer> {
    if (call.stage.is === "released" || call.future.done()) return "no";
    const stage = heldStage(call);
    if (!stage) return this.#start(call, claim);
    const { holder } = stage;
    if (claim.worker === holder.worker && claim.run === holder.run) return "go";
    const isSame = claim.message === holder.message;
    if (isSame && claim.delivery < holder.delivery) return "no";
    if (stage.doubted || this.#events.isAway()) return "later";
    return this.#doubt(call, stage, claim);
  }

  #start(call: RemoteCall, claim: Claim): Answer {
    const isFirst = call.starts.length === 0;
    if (isFirst && !call.future.setRunningOrNotifyCancel()) return "no";
    this.#events.onWorker(claim);
    call.starts.push(claim);
    move(call, heldBy(claim, "held"));
    return "go";
  }

  /** Another message of a call that somebody has. */
  async #doubt(
    call: RemoteCall,
    stage: HeldStage,
    claim: Claim,
  ): Promise<Answer> {
    const { holder } = stage;
    const has = await this.#events.has(call, stage);
    if (has) return claim.message === holder.message ? "later" : "no";
    // One that gives no answer may be about to reconnect, as this side was: a
    // lease without a word from it is what the watch waits for.
    if (has === undefined) return "later";
    if (this.#calls.get(call.id) !== call) return "no";
    if (call.stage !== stage) return "later";
    return this.#loseAttempt(call, `${holder.label} was lost`)
      ? this.#start(call, claim)
      : "no";
  }

  /** @throws {Malformed} where it is no word of a worker. */
  onResult(bytes: Uint8Array): void {
    const result = readResult(bytes);
    const call = this.#callOf(result.head.id);
    if (!call) return;
    if (this.#counts(call, result)) return this.#settle(call, result);
    // The server's word that it is stored may come after that of the worker.
    call.storing?.then(() => {
      if (this.#counts(call, result)) this.#settle(call, result);
    });
  }

  /** Whether somebody says that who can know; see "What comes is data" above. */
  #counts(call: RemoteCall, { head }: WireResult): boolean {
    if (call.stage.is === "released") return false;
    if (hasStart(call, head)) return true;
    return head.is === "refused" && call.stage.is === "published" &&
      call.messages.includes(head.of);
  }

  #settle(call: RemoteCall, { head, body }: WireResult): void {
    const { message = "" } = head;
    if (head.v !== PROTOCOL) {
      return this.#failReading(
        call,
        `the worker speaks version ${head.v} of the protocol, this program ${PROTOCOL}`,
      );
    }
    const stage = heldStage(call);
    switch (head.is) {
      case "outcome": {
        let outcome;
        try {
          outcome = readOutcome(this.#codec, body);
        } catch (error) {
          if (!(error instanceof Malformed)) throw error;
          return this.#failReading(call, error.message);
        }
        const holder = stage?.holder;
        const isFree = holder?.worker === head.worker;
        return this.#events.onOutcome(
          call,
          outcome,
          isFree ? holder : undefined,
        );
      }
      case "lost": {
        const holder = stage?.holder;
        if (holder?.worker === head.worker && holder.run === head.run) {
          this.loseAttempt(call, message);
        }
        return;
      }
      case "stopped":
        return this.#events.onFailed(call, new TimeoutError(message));
      case "refused":
        return this.#events.onFailed(
          call,
          new RuntimeError(`Cannot run ${label(call.fn)}: ${message}`),
        );
    }
  }

  #failReading(call: RemoteCall, why: string): void {
    this.#events.onFailed(
      call,
      new RuntimeError(`Cannot read what came of ${label(call.fn)}: ${why}`),
    );
  }

  /** The attempt of a call's holder is over: it is somebody else's, if there may be one. */
  loseAttempt(call: RemoteCall, who: string): void {
    // Its message may be gone: handed over, there was none, and an old delivery of
    // it is answered for by the worker that was refused. One too many does no harm.
    if (this.#loseAttempt(call, who)) this.#events.onAgain(call);
  }

  /**
   * The attempt of a call's holder is over, without an outcome.
   *
   * @returns Whether there may be another; if not, the call is broken.
   */
  #loseAttempt(call: RemoteCall, who: string): boolean {
    call.future.keepRunning();
    move(call, PUBLISHED);
    const maxAttempts = this.#maxAttempts;
    const attempts = call.starts.length;
    if (attempts < maxAttempts) return true;
    const times = maxAttempts === 1
      ? "it may or may not have had its effect"
      : `that was attempt ${attempts} of ${maxAttempts}`;
    this.#events.onFailed(
      call,
      new BrokenExecutor(
        `${who} while it ran ${label(call.fn)}: ${times}`,
      ),
    );
    return false;
  }
}
