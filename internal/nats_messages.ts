/**
 * What goes over a connection to NATS: questions with their answers, by one inbox
 * and one timer for all of them; what is in no hurry; messages of several parts.
 */

import {
  createInbox,
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  NoRespondersError,
} from "@nats-io/nats-core/internal";
import { joined } from "./framing.ts";
import { ownClock, startTimer } from "./timer.ts";

/** A question without an answer so far. */
interface Question {
  readonly subject: string;
  /** When it is given up. */
  readonly end: number;
  readonly resolve: (msg: Msg) => void;
  readonly reject: (error: unknown) => void;
}

/** How often is looked for questions that are to be given up, in milliseconds. */
const LOOK = 250;
/** How long waits what is in no hurry, in milliseconds. */
const SOON = 2;
const NO_RESPONDERS = 503;

/** The messages of one connection. */
export class Messages {
  readonly #nc: NatsConnection;
  readonly #inbox = createInbox();
  readonly #questions = new Map<string, Question>();
  #count = 0;
  #isClosed = false;
  /** What goes with the next message, or soon. */
  #unhurried: { subject: string; data: Uint8Array | string }[] = [];
  #stopLooking: (() => void) | undefined;
  #stopWaiting: (() => void) | undefined;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, msg) => {
        if (!error) this.#onAnswer(msg);
      },
    });
  }

  publish(
    subject: string,
    data: Uint8Array | string,
    options?: { reply?: string; headers?: MsgHdrs },
  ): void {
    if (this.#nc.isClosed()) return;
    if (this.#unhurried.length > 0) this.#publishUnhurried();
    this.#nc.publish(subject, data, options);
  }

  /** Publishes something when something else is, or a little later. */
  publishSoon(subject: string, data: Uint8Array | string): void {
    // What was just read may have been the last that there was to wait for.
    if (this.#isClosed) return this.publish(subject, data);
    this.#unhurried.push({ subject, data });
    this.#stopWaiting ??= startTimer(SOON, () => {
      this.#stopWaiting = undefined;
      this.#publishUnhurried();
    });
  }

  #publishUnhurried(): void {
    const messages = this.#unhurried;
    this.#unhurried = [];
    for (const { subject, data } of messages) this.publish(subject, data);
  }

  /**
   * Asks, with so many milliseconds for an answer.
   *
   * @throws {NoRespondersError} when nobody is there.
   * @throws {errors.TimeoutError} when there is no answer.
   */
  ask(
    subject: string,
    data: Uint8Array | string,
    timeout: number,
    headers?: MsgHdrs,
  ): Promise<Msg> {
    if (this.#isClosed || this.#nc.isClosed()) {
      return Promise.reject(new errors.ClosedConnectionError());
    }
    const id = `${++this.#count}`;
    return new Promise((resolve, reject) => {
      const end = ownClock.now() + timeout;
      this.publish(subject, data, { reply: `${this.#inbox}.${id}`, headers });
      this.#questions.set(id, { subject, end, resolve, reject });
      this.#look();
    });
  }

  #onAnswer(msg: Msg): void {
    const id = msg.subject.slice(this.#inbox.length + 1);
    const question = this.#questions.get(id);
    if (!question) return;
    this.#questions.delete(id);
    const { subject, resolve, reject } = question;
    const isNobodyThere = msg.data.length === 0 &&
      msg.headers?.code === NO_RESPONDERS;
    if (isNobodyThere) reject(new NoRespondersError(subject));
    else resolve(msg);
  }

  #look(): void {
    this.#stopLooking ??= startTimer(LOOK, () => {
      this.#stopLooking = undefined;
      const now = ownClock.now();
      for (const [id, { end, reject }] of this.#questions) {
        if (now < end) continue;
        this.#questions.delete(id);
        reject(new errors.TimeoutError());
      }
      if (this.#questions.size > 0) this.#look();
    });
  }

  /** Gives up all questions: their answers may be lost. */
  giveUp(error: Error): void {
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    for (const { reject } of questions) reject(error);
  }

  /** Sends what is left, and leaves nothing behind. */
  close(error: Error): void {
    this.#isClosed = true;
    this.#publishUnhurried();
    this.#stopLooking?.();
    this.#stopWaiting?.();
    this.giveUp(error);
  }
}

// ---- Parts ---------------------------------------------------------------------

/** The header that says how long the parts of a payload are. */
export const PARTS = "cf-parts";

/** Parts as one payload, and how long they were, where there are several. */
export function packed(
  parts: readonly Uint8Array[],
): { payload: Uint8Array; lengths: string | undefined } {
  if (parts.length === 1) return { payload: parts[0], lengths: undefined };
  const lengths = parts.map(({ length }) => length).join();
  return { payload: joined(...parts), lengths };
}

/** The parts that a message was packed with. */
export function partsOf(msg: Msg): Uint8Array[] {
  const lengths = msg.headers?.get(PARTS);
  if (!lengths) return [msg.data];
  let at = 0;
  return lengths.split(",").map((length) =>
    msg.data.subarray(at, at += Number(length))
  );
}
