/**
 * What goes over a connection to NATS: questions with their answers, by one inbox
 * and one timer for all of them; what is in no hurry; messages of several parts.
 *
 * All subscriptions are made by `listen`. What a handler throws would end the
 * client's loop that reads the connection, which hears nothing any more then: so
 * it is told as a message that was refused, and the next has its turn.
 */

import { joined } from "../base/bytes.ts";
import { ownClock, startTimer } from "../base/timers.ts";
import { Malformed, readLengths } from "../remote/check_messages.ts";
import type { Client, Subscription } from "./client.ts";
import { Interrupted, NoAnswer, NobodyThere } from "./errors.ts";
import type { Msg, MsgHdrs } from "./protocol.ts";

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

/** The name that every worker goes by. */
export const ANY = "any";
/** What a worker says that has taken a call which it was handed. */
export const TAKEN = "taken";
/** How long a subject may be that is answered on, or shown. */
const LONGEST_SUBJECT = 256;

/** The messages of one connection. */
export class Messages {
  readonly #nc: Client;
  readonly #onRefused: (why: string) => void;
  readonly #inbox: string;
  readonly #questions = new Map<string, Question>();
  #count = 0;
  #isClosed = false;
  /** What goes with the next message, or soon. */
  #unhurried: { subject: string; data: Uint8Array | string }[] = [];
  #stopLooking: (() => void) | undefined;
  #stopWaiting: (() => void) | undefined;

  /** @param onRefused Hears what is said of a message that was passed over. */
  constructor(nc: Client, onRefused: (why: string) => void) {
    this.#nc = nc;
    this.#inbox = nc.inbox();
    this.#onRefused = onRefused;
    this.listen(`${this.#inbox}.*`, (msg) => this.#onAnswer(msg));
  }

  /** Hears what is published on a subject; what the handler throws refuses that message alone. */
  listen(subject: string, handle: (msg: Msg) => void): Subscription {
    return this.#nc.subscribe(subject, {
      callback: (error, msg) => {
        if (error) return;
        try {
          handle(msg);
        } catch (error) {
          this.refuse(msg, error);
        }
      },
    });
  }

  /** Passes over a message, and says why. */
  refuse(msg: Msg, error: unknown): void {
    const why = error instanceof Malformed ? error.message : `${error}`;
    const subject = msg.subject.slice(0, LONGEST_SUBJECT);
    this.#onRefused(`a message on ${subject} was passed over: ${why}`);
  }

  /** Answers a message, if somebody can hear that. */
  answer(msg: Msg, data: string): void {
    const reply = replyOf(msg);
    if (reply !== undefined) this.publish(reply, data);
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
    for (const { subject, data } of messages) {
      try {
        this.publish(subject, data);
      } catch (error) {
        this.#onRefused(`an answer on ${subject} could not be sent: ${error}`);
      }
    }
  }

  /**
   * Asks, with so many milliseconds for an answer.
   *
   * @throws {NobodyThere} when nobody is there.
   * @throws {NoAnswer} when there is no answer.
   */
  ask(
    subject: string,
    data: Uint8Array | string,
    timeout: number,
    headers?: MsgHdrs,
  ): Promise<Msg> {
    if (this.#isClosed || this.#nc.isClosed()) {
      return Promise.reject(new Interrupted("the connection was closed"));
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
      statusOf(msg) === NO_RESPONDERS;
    if (isNobodyThere) {
      reject(new NobodyThere(`nobody listens to "${subject}"`));
    } else resolve(msg);
  }

  #look(): void {
    this.#stopLooking ??= startTimer(LOOK, () => {
      this.#stopLooking = undefined;
      const now = ownClock.now();
      for (const [id, { subject, end, reject }] of this.#questions) {
        if (now < end) continue;
        this.#questions.delete(id);
        reject(new NoAnswer(`timeout: no answer from "${subject}"`));
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

  /** Gives up the questions to a subject that nothing may be published to. */
  deny(subject: string, error: Error): void {
    for (const [id, question] of this.#questions) {
      if (question.subject !== subject) continue;
      this.#questions.delete(id);
      question.reject(error);
    }
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

// ---- What a message says of itself -------------------------------------------------

/** A subject to publish on: no white space, no wildcard, no empty part. */
const LITERAL = /^[^\s.*>]+(?:\.[^\s.*>]+)*$/;

/**
 * The subject that a message is to be answered on, if it names one that may be.
 * The answer is published with this program's rights: never to the server's own
 * subjects, which would take it for a command, nor to those of a queue.
 */
export function replyOf({ reply }: Msg): string | undefined {
  const isOpen = reply !== undefined && reply.length <= LONGEST_SUBJECT &&
    LITERAL.test(reply) && !reply.startsWith("$") && !reply.startsWith("cf.");
  return isOpen ? reply : undefined;
}

/** A header; where the headers can't be read, there is none. */
export function headerOf(msg: Msg, name: string): string | undefined {
  try {
    return msg.headers?.get(name) || undefined;
  } catch {
    return undefined;
  }
}

/** The number that the server says what happened by; 0 where it says nothing. */
export function statusOf(msg: Msg): number {
  try {
    return msg.headers?.code ?? 0;
  } catch {
    return 0;
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

/**
 * The parts that a message was packed with.
 *
 * @throws {Malformed} where they are not as long as the message.
 */
export function partsOf(msg: Msg): Uint8Array[] {
  const lengths = headerOf(msg, PARTS);
  const { data } = msg;
  if (!lengths) return [data];
  let at = 0;
  return readLengths(lengths, data.length).map((length) =>
    data.subarray(at, at += length)
  );
}
