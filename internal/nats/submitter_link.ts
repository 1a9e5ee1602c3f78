/** A submitter's connection to NATS. What a queue is there: `nats/connection.ts`. */

import { readClaims, readIds, readPresence } from "../remote/check_messages.ts";
import type { Answer, RunRef, Stop } from "../remote/envelope.ts";
import type { SubmitterEvents, SubmitterLink } from "../remote/transport.ts";
import {
  Connection,
  type QueueOptions,
  RECONNECT_WAIT,
  token,
} from "./connection.ts";
import { isNobodyThere, isNotFound } from "./errors.ts";
import { ANY, partsOf, replyOf, TAKEN } from "./messages.ts";
import type { Msg } from "./protocol.ts";

/** How long an answer may take, in milliseconds. */
const ASK = 1000;
const HAND = 1000;
/** How long the server may take over what is only tidiness. */
const TIDY = 500;

/** A submitter's link. */
export class NatsSubmitter implements SubmitterLink {
  readonly #id = token();
  readonly #events: SubmitterEvents;
  #connection!: Connection;
  /** How often the server was back. */
  #rounds = 0;
  /** The number of the last result that was read from the stream. */
  #last = 0;
  /** Where workers say that they are there. */
  #presence = "";
  /** How many results are being fetched. */
  #fetching = 0;

  constructor(events: SubmitterEvents) {
    this.#events = events;
  }

  get id(): string {
    return this.#id;
  }

  get lease(): number {
    return this.#connection.queue.lease;
  }

  get trouble(): unknown {
    return this.#connection.nc.trouble;
  }

  async open(options: QueueOptions): Promise<void> {
    await Connection.open(options, {
      role: "submitter",
      name: `futures ${this.#id}`,
      onAway: () => this.#events.onAway(),
      onLost: (why, cause) => this.#events.onLost(why, cause),
      onRefused: (why) => this.#events.onRefused(why),
      onBack: () => this.#onBack(),
      onFound: (connection) => this.#listen(connection),
    });
  }

  #listen(connection: Connection): void {
    this.#connection = connection;
    const { messages } = connection;
    messages.listen(
      this.#connection.subject("claim", this.#id),
      (msg) => this.#onClaims(msg),
    );
    messages.listen(
      this.#connection.subject("result", this.#id),
      (msg) => this.#onResult(msg),
    );
    this.#presence = this.#connection.nc.inbox();
    messages.listen(this.#presence, (msg) => {
      // Where nobody is there, the server says so.
      if (msg.data.length === 0) return;
      this.#events.onWorker(readPresence(msg.data));
    });
    messages.listen(this.#connection.subject("done", this.#id), (msg) => {
      this.#onResult(msg);
      // What there is to say next goes with it: the worker is in no hurry.
      const reply = replyOf(msg);
      if (reply !== undefined) messages.publishSoon(reply, "");
    });
  }

  /** What was on its way to here when the connection broke is read, and then it is back. */
  async #onBack(): Promise<void> {
    const round = ++this.#rounds;
    const isOver = () => round !== this.#rounds || this.#connection.isClosing;
    while (!isOver()) {
      try {
        await this.#catchUp();
        // One that is away again comes back again.
        if (!isOver() && !this.#connection.isAway) this.#events.onBack();
        return;
      } catch {
        await this.#connection.pause(RECONNECT_WAIT);
      }
    }
  }

  /** Answers claims; of those that nobody would hear the answer to, none has its "go". */
  #onClaims(msg: Msg): void {
    if (replyOf(msg) === undefined) return;
    const answers = readClaims(msg.data).map((claim) =>
      claim ? this.#events.onClaim(claim) : "no"
    );
    const answer = (given: readonly Answer[]) =>
      this.#connection.messages.answer(msg, JSON.stringify(given));
    // Nearly always all are there at once, and then are given at once.
    const isGiven = answers.every((answer) => typeof answer === "string");
    if (isGiven) return answer(answers as Answer[]);
    Promise.all(answers).then(answer).catch((error) =>
      this.#connection.messages.refuse(msg, error)
    );
  }

  /**
   * Reads what was stored and may not have come: while the connection is whole,
   * results come as they are published, which is quicker than from the stream.
   * What has come already is of calls that are done, and is passed over.
   *
   * @throws where not all has come, to be tried again from there.
   */
  async #catchUp(): Promise<void> {
    const { jsm, queue } = this.#connection;
    const subject = this.#connection.subject("result", this.#id);
    while (!this.#connection.isClosing) {
      const msg = await jsm.nextMessage(
        queue.results,
        subject,
        this.#last + 1,
      );
      if (!msg) return;
      const number = Number(msg.headers?.get("Nats-Sequence"));
      this.#last = Math.max(this.#last + 1, number || 0);
      this.#onResult(msg);
    }
  }

  #onResult(msg: Msg): void {
    if (msg.data.length === 0) {
      this.#fetch(msg);
      return;
    }
    for (const part of partsOf(msg)) {
      try {
        this.#events.onResult(part);
      } catch (error) {
        this.#connection.messages.refuse(msg, error);
      }
    }
  }

  async #fetch(msg: Msg): Promise<void> {
    this.#fetching++;
    try {
      this.#events.onResult(await this.#connection.read(msg));
      this.#connection.remove(msg);
    } catch (error) {
      // What is not there any more was fetched before. Whatever it is, the worker
      // that has, or had, the call is asked for it.
      const isGone = error instanceof Deno.errors.NotFound;
      if (!isGone && !this.#connection.isClosing) {
        this.#connection.messages.refuse(msg, error);
      }
    } finally {
      this.#fetching--;
    }
  }

  publish(key: string, bytes: Uint8Array): Promise<number> {
    // The server takes two messages of one key for one: nobody is to guess it.
    return this.#connection.store(
      "call",
      this.#id,
      `${key} ${token()}`,
      bytes,
    );
  }

  async hand(worker: string, bytes: Uint8Array): Promise<boolean> {
    if (bytes.length > this.#connection.limit) return false;
    const subject = this.#connection.subject("run", worker);
    try {
      const answer = await this.#connection.ask(subject, bytes, HAND);
      return answer.string() === TAKEN;
    } catch (error) {
      if (isNobodyThere(error)) return false;
      throw error;
    }
  }

  async ask(
    worker: string,
    runs: readonly RunRef[],
  ): Promise<ReadonlySet<string>> {
    const msg = await this.#connection.ask(
      this.#connection.subject("worker", worker),
      JSON.stringify({ from: this.#id, runs }),
      ASK,
    );
    return new Set(readIds(msg.data));
  }

  async stop(worker: string, stop: Stop): Promise<void> {
    const subject = this.#connection.subject("worker", worker);
    const question = JSON.stringify({ from: this.#id, stop });
    try {
      await this.#connection.ask(subject, question, ASK);
    } catch (error) {
      if (!isNobodyThere(error)) throw error;
    }
  }

  seek(): void {
    this.#connection.messages.publish(
      this.#connection.subject("worker", ANY),
      "",
      { reply: this.#presence },
    );
  }

  async isAttended(): Promise<boolean> {
    try {
      await this.#connection.ask(
        this.#connection.subject("worker", ANY),
        "",
        ASK,
      );
      return true;
    } catch (error) {
      return !isNobodyThere(error);
    }
  }

  async isEmpty(): Promise<boolean> {
    const { jsm, queue } = this.#connection;
    const subject = this.#connection.subject("call", this.#id);
    try {
      // A server that was killed may have messages that it will deliver to nobody.
      const { num_pending, num_ack_pending } = await jsm.consumerInfo(
        queue.calls,
        "workers",
      );
      if (num_pending + num_ack_pending === 0) return true;
      const { state } = await jsm.streamInfo(queue.calls, {
        subjects_filter: subject,
      });
      return !state.subjects?.[subject];
    } catch (error) {
      if (isNotFound(error)) await this.#connection.check();
      throw error;
    }
  }

  async drained(): Promise<void> {
    // What comes from one worker comes in order, its results before its answers.
    await this.#connection.nc.flush();
    while (this.#fetching > 0 && !this.#connection.isClosing) {
      await this.#connection.pause(20);
    }
  }

  async discard(messages: readonly number[]): Promise<void> {
    const { queue, isAway } = this.#connection;
    if (isAway) return;
    // One by one: when its subject is purged, a server of version 2.9 takes what
    // there is of others for answered for, and delivers it to nobody any more.
    const subject = `$JS.API.STREAM.MSG.DELETE.${queue.calls}`;
    await this.#tidily(Promise.all(
      messages.map((seq) =>
        this.#connection.ask(
          subject,
          JSON.stringify({ seq, no_erase: true }),
          TIDY,
        )
      ),
    ));
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** Waits for what is better done, but not for long. */
  async #tidily(done: Promise<unknown>): Promise<void> {
    await Promise.race([done, this.#connection.pause(TIDY)]).catch(() => {});
    done.catch(() => {});
  }
}
