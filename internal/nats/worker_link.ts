/** A worker's connection to NATS. What a queue is there: `nats/connection.ts`. */

import { soon } from "../base/timers.ts";
import { Batches } from "../remote/batches.ts";
import {
  MOST_CLAIMS,
  readAnswers,
  readQuestion,
} from "../remote/check_messages.ts";
import type { Answer, Claim } from "../remote/envelope.ts";
import type { Job, WorkerEvents, WorkerLink } from "../remote/transport.ts";
import { nanos } from "./api.ts";
import { Connection, type QueueOptions, token } from "./connection.ts";
import { isNobodyThere } from "./errors.ts";
import { ANY, replyOf, TAKEN } from "./messages.ts";
import type { Msg } from "./protocol.ts";
import { type Delivery, Puller } from "./puller.ts";

/** How long an answer may take, in milliseconds. */
const CLAIM = 5000;
/** How long the server may take over what is only tidiness. */
const TIDY = 500;
/** How many results go together. */
const RESULTS = 64;
/** How many messages that are gone are answered for. */
const MOST_GONE = 10_000;

const encoder = new TextEncoder();
const ACK = encoder.encode("+ACK");
const NAK = encoder.encode("-NAK");
const WORKING = encoder.encode("+WPI");

/** A worker's link. */
export class NatsWorker implements WorkerLink {
  readonly #claims = new Batches<Claim, Answer | undefined>(
    (from, claims) => this.#ask(from, claims),
    (claims) => Math.min(claims.length, MOST_CLAIMS),
    true,
  );
  readonly #results = new Batches<Uint8Array, void>(
    async (from, parts) => {
      if (!await this.#connection.deliver(from, parts)) {
        await this.#connection.store("result", from, token(), ...parts);
      }
      return parts.map(() => undefined);
    },
    (parts) => {
      // As many as have room in a message; what has none goes alone.
      let size = 0;
      const end = parts.findIndex(({ length }) =>
        (size += length) > this.#connection.limit
      );
      return end < 0 ? Math.min(parts.length, RESULTS) : Math.max(1, end);
    },
    false,
  );
  readonly #id: string;
  readonly #events: WorkerEvents;
  #connection!: Connection;
  #puller!: Puller;
  /** How many jobs are to be asked for at the end of this turn. */
  #wanted = 0;
  #resting = false;

  constructor(id: string, events: WorkerEvents) {
    this.#id = id;
    this.#events = events;
  }

  get isClosed(): boolean {
    return this.#connection.isClosing;
  }

  get lease(): number {
    return this.#connection.queue.lease;
  }

  async open(options: QueueOptions): Promise<void> {
    try {
      await Connection.open(options, {
        role: "worker",
        name: `worker ${this.#id}`,
        onAway: () => this.#events.onAway(),
        onLost: (why, cause) => this.#events.onLost(why, cause),
        onRefused: (why) => this.#events.onRefused(why),
        onBack: () => {
          this.#puller.renew();
          this.#events.onBack();
          this.#answerForGone().catch(() => {}); // It is away again, or closed.
        },
        onFound: (connection) => this.#listen(connection),
      });
    } catch (error) {
      // It may have been made, and has a timer.
      this.#puller?.stop();
      throw error;
    }
  }

  #listen(connection: Connection): void {
    this.#connection = connection;
    const { messages, queue } = connection;
    const subject = (kind: "worker" | "run", whose: string) =>
      this.#connection.subject(kind, whose);
    messages.listen(subject("worker", this.#id), (msg) => {
      if (replyOf(msg) === undefined) return;
      const { from, runs, stop } = readQuestion(msg.data);
      if (stop) this.#events.onStop(from, stop);
      messages.answer(msg, JSON.stringify(this.#events.onAsked(from, runs)));
    });
    messages.listen(subject("run", this.#id), (msg) => {
      // What nobody would hear that it was taken is not.
      const reply = replyOf(msg);
      if (reply === undefined) return;
      const isTaken = !this.#resting && this.#events.onHanded(msg.data);
      if (isTaken) messages.publishSoon(reply, TAKEN);
      else messages.publish(reply, "");
    });
    const presence = JSON.stringify({
      worker: this.#id,
      slots: this.#events.slots,
    });
    messages.listen(subject("worker", ANY), (msg) => {
      if (!this.#resting) messages.answer(msg, presence);
    });
    this.#puller = new Puller(
      this.#connection,
      queue.calls,
      "workers",
      (msg, delivery) =>
        this.#events.onJob(new NatsJob(this.#connection, msg, delivery)),
    );
  }

  /**
   * Answers for messages that are not there any more. A server that was killed may
   * have written down that they are gone, and not that they were answered for: one
   * of version 2.9 then tries to deliver them for ever, and comes to no others.
   */
  async #answerForGone(): Promise<void> {
    const { jsm, queue, messages } = this.#connection;
    const { state } = await jsm.streamInfo(queue.calls, {
      deleted_details: true,
    });
    for (const seq of (state.deleted ?? []).slice(-MOST_GONE)) {
      messages.publish(`$JS.ACK.${queue.calls}.workers.1.${seq}.1.0.0`, ACK);
    }
  }

  want(count: number): void {
    this.#wanted += count;
    if (this.#wanted > count) return;
    soon(() => {
      const wanted = this.#wanted;
      this.#wanted = 0;
      if (!this.#resting) this.#puller.ask(wanted);
    });
  }

  async claim(from: string, claim: Claim): Promise<Answer | undefined> {
    // The answer to a repeated one may take its time: it holds up no others.
    if (claim.delivery > 1) return (await this.#ask(from, [claim]))[0];
    return await this.#claims.add(from, claim);
  }

  async #ask(
    from: string,
    claims: readonly Claim[],
  ): Promise<(Answer | undefined)[]> {
    try {
      const msg = await this.#connection.ask(
        this.#connection.subject("claim", from),
        JSON.stringify(claims),
        CLAIM,
      );
      return readAnswers(msg.data, claims.length);
    } catch (error) {
      if (isNobodyThere(error)) return claims.map(() => undefined);
      throw error;
    }
  }

  async send(from: string, bytes: Uint8Array): Promise<void> {
    await this.#results.add(from, bytes);
  }

  async rest(): Promise<void> {
    this.#resting = true;
    const drained = this.#puller.drain();
    drained.catch(() => {});
    // A server that is away sends nothing any more.
    await (this.#connection.isAway
      ? this.#connection.pause(TIDY)
      : Promise.race([drained, this.#connection.pause(CLAIM)])).catch(() => {});
  }

  async close(): Promise<void> {
    this.#resting = true;
    this.#puller.stop();
    const { nc, isAway } = this.#connection;
    if (!isAway && !nc.isClosed()) {
      await Promise.race([nc.flush(), this.#connection.pause(TIDY)])
        .catch(() => {});
    }
    await this.#connection.close();
  }
}

class NatsJob implements Job {
  readonly from: string;
  readonly message: number;
  readonly delivery: number;
  readonly #connection: Connection;
  readonly #msg: Msg;

  constructor(
    connection: Connection,
    msg: Msg,
    { message, delivery }: Delivery,
  ) {
    this.#connection = connection;
    this.#msg = msg;
    this.from = msg.subject.slice(msg.subject.lastIndexOf(".") + 1);
    this.message = message;
    this.delivery = delivery;
  }

  bytes(): Promise<Uint8Array> {
    return this.#connection.read(this.#msg);
  }

  extend(): void {
    this.#answer(WORKING);
  }

  done(): void {
    this.#connection.messages.publishSoon(this.#msg.reply!, ACK);
    this.#connection.remove(this.#msg);
  }

  giveBack(ms?: number): void {
    this.#answer(
      ms ? encoder.encode(`-NAK ${JSON.stringify({ delay: nanos(ms) })}`) : NAK,
    );
  }

  #answer(text: Uint8Array): void {
    this.#connection.messages.publish(this.#msg.reply!, text);
  }
}
