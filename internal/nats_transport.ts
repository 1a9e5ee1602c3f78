/** NATS JetStream as a `Transport`. What a queue is there: `nats_connection.ts`. */

import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { type Msg, nanos } from "@nats-io/nats-core/internal";
import { Batches } from "./batches.ts";
import type { Answer, Claim, RunRef } from "./envelope.ts";
import {
  Connection,
  type QueueOptions,
  RECONNECT_WAIT,
} from "./nats_connection.ts";
import { Interrupted, isNobodyThere, isNotFound } from "./nats_errors.ts";
import { partsOf } from "./nats_messages.ts";
import { deliveryOf, Puller } from "./nats_pulling.ts";
import type {
  Job,
  SubmitterEvents,
  SubmitterLink,
  Transport,
  WorkerEvents,
  WorkerLink,
} from "./transport.ts";

/** How long an answer may take, in milliseconds. */
const CLAIM = 5000;
const ASK = 1000;
const HAND = 1000;
/** How long results may take to come that were stored meanwhile. */
const CATCH_UP = 5000;
/** How long the server may take over what is only tidiness. */
const TIDY = 500;
/** How long a submitter that does not read is taken for away rather than gone. */
const INACTIVE = 60_000;
/** How many results are asked for at once, and how many claims. */
const RESULTS = 64;
const MOST_CLAIMS = 256;
/** How many messages that are gone are answered for. */
const MOST_GONE = 10_000;

/** The name that every worker goes by. */
const ANY = "any";
/** What a worker says that has taken a call which it was handed. */
const TAKEN = "taken";

const encoder = new TextEncoder();
const ACK = encoder.encode("+ACK");
const NAK = encoder.encode("-NAK");
const WORKING = encoder.encode("+WPI");

/** A NATS server, or several that are one. */
export class NatsTransport implements Transport {
  readonly #options: QueueOptions;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  async submitter(events: SubmitterEvents): Promise<SubmitterLink> {
    const link = new NatsSubmitter(events);
    await link.open(this.#options);
    return link;
  }

  async worker(id: string, events: WorkerEvents): Promise<WorkerLink> {
    const link = new NatsWorker(id, events);
    await link.open(this.#options);
    return link;
  }
}

function token(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

// ---- The submitter's side ------------------------------------------------------

class NatsSubmitter implements SubmitterLink {
  readonly #id = token();
  readonly #events: SubmitterEvents;
  #connection!: Connection;
  #puller: Puller | undefined;
  #consumers = 0;
  /** How often the server was back. */
  #rounds = 0;
  /** The number of the last result that was read from the stream. */
  #last = 0;
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

  async open(options: QueueOptions): Promise<void> {
    this.#connection = await Connection.open(options, `futures ${this.#id}`, {
      onAway: () => this.#events.onAway(),
      onLost: (why, cause) => this.#events.onLost(why, cause),
      onBack: () => this.#onBack(),
    });
    const { nc } = this.#connection;
    nc.subscribe(this.#connection.subject("claim", this.#id), {
      callback: (error, msg) => {
        if (!error) this.#onClaim(msg);
      },
    });
    nc.subscribe(this.#connection.subject("result", this.#id), {
      callback: (error, msg) => {
        if (!error) this.#onResult(msg);
      },
    });
    nc.subscribe(this.#connection.subject("done", this.#id), {
      callback: (error, msg) => {
        if (error) return;
        this.#onResult(msg);
        // What there is to say next goes with it: the worker is in no hurry.
        this.#connection.messages.publishSoon(msg.reply!, "");
      },
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

  async #onClaim(msg: Msg): Promise<void> {
    const answers = msg.json<Claim[]>().map(this.#events.onClaim);
    // Nearly always all are there at once, and then are given at once.
    const given = answers.every((answer) => typeof answer === "string")
      ? answers
      : await Promise.all(answers);
    this.#connection.messages.publish(msg.reply!, JSON.stringify(given));
  }

  /**
   * Reads what was stored and may not have come: while the connection is whole,
   * results come as they are published, which is quicker than from the stream.
   * What has come already is of calls that are done, and is passed over.
   *
   * @throws where not all has come in time, to be tried again from there.
   */
  async #catchUp(): Promise<void> {
    const { jsm, queue } = this.#connection;
    this.#puller?.stop();
    if (this.#connection.isClosing) return;
    const name = `${this.#id}_${this.#consumers++}`;
    const { num_pending } = await jsm.consumers.add(queue.results, {
      durable_name: name,
      filter_subject: this.#connection.subject("result", this.#id),
      ack_policy: AckPolicy.None,
      inactive_threshold: nanos(INACTIVE),
      ...(this.#last === 0 ? { deliver_policy: DeliverPolicy.All } : {
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: this.#last + 1,
      }),
    });
    if (this.#connection.isClosing) return;
    let left = num_pending;
    let asked = 0;
    let stop = () => {};
    const all = new Promise<void>((resolve) => {
      const next = () => {
        if (left === 0) return resolve();
        if (asked > 0) return;
        asked = Math.min(left, RESULTS);
        puller.ask(asked);
      };
      const puller = new Puller(
        this.#connection,
        queue.results,
        name,
        (msg) => {
          this.#last = deliveryOf(msg.reply!).message;
          this.#onResult(msg);
          left--;
          asked--;
          next();
        },
      );
      this.#puller = puller;
      stop = () => puller.stop();
      next();
    });
    // Some may be so old that they were dropped meanwhile.
    await Promise.race([all, this.#connection.pause(CATCH_UP)]);
    stop();
    await this.#connection.jsm.consumers.delete(queue.results, name);
    if (left > 0) throw new Interrupted();
  }

  #onResult(msg: Msg): void {
    if (msg.data.length === 0) this.#fetch(msg);
    else for (const part of partsOf(msg)) this.#events.onResult(part);
  }

  async #fetch(msg: Msg): Promise<void> {
    this.#fetching++;
    try {
      this.#events.onResult(await this.#connection.read(msg));
      await this.#connection.remove(msg);
    } catch (error) {
      // What is not there any more was fetched before, or its worker is asked for it.
      const isGone = error instanceof Deno.errors.NotFound;
      if (!isGone && !this.#connection.isClosing) {
        this.#events.onLost("a result can't be read", error);
      }
    } finally {
      this.#fetching--;
    }
  }

  publish(key: string, bytes: Uint8Array): Promise<number> {
    return this.#connection.store("call", this.#id, key, bytes);
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
    return new Set(msg.json<string[]>());
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
      const { num_pending, num_ack_pending } = await jsm.consumers.info(
        queue.calls,
        "workers",
      );
      if (num_pending + num_ack_pending === 0) return true;
      const { state } = await jsm.streams.info(queue.calls, {
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
    this.#puller?.stop();
    await this.#connection.close();
  }

  /** Waits for what is better done, but not for long. */
  async #tidily(done: Promise<unknown>): Promise<void> {
    await Promise.race([done, this.#connection.pause(TIDY)]).catch(() => {});
    done.catch(() => {});
  }
}

// ---- The worker's side ---------------------------------------------------------

class NatsWorker implements WorkerLink {
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

  async open(options: QueueOptions): Promise<void> {
    this.#connection = await Connection.open(options, `worker ${this.#id}`, {
      onAway: () => this.#events.onAway(),
      onLost: (why, cause) => this.#events.onLost(why, cause),
      onBack: () => {
        this.#puller.renew();
        this.#events.onBack();
        this.#answerForGone().catch(() => {}); // It is away again, or closed.
      },
    });
    const { nc, queue } = this.#connection;
    nc.subscribe(this.#connection.subject("worker", this.#id), {
      callback: (error, msg) => {
        if (error) return;
        const { from, runs } = msg.json<{ from: string; runs: RunRef[] }>();
        msg.respond(JSON.stringify(this.#events.onAsked(from, runs)));
      },
    });
    nc.subscribe(this.#connection.subject("run", this.#id), {
      callback: (error, msg) => {
        if (error) return;
        const { messages } = this.#connection;
        const isTaken = !this.#resting && this.#events.onHanded(msg.data);
        if (isTaken) messages.publishSoon(msg.reply!, TAKEN);
        else messages.publish(msg.reply!, "");
      },
    });
    nc.subscribe(this.#connection.subject("worker", ANY), {
      callback: (error, msg) => {
        if (!error && !this.#resting) msg.respond("");
      },
    });
    this.#puller = new Puller(
      this.#connection,
      queue.calls,
      "workers",
      (msg) => this.#events.onJob(new NatsJob(this.#connection, msg)),
    );
  }

  /**
   * Answers for messages that are not there any more. A server that was killed may
   * have written down that they are gone, and not that they were answered for: one
   * of version 2.9 then tries to deliver them for ever, and comes to no others.
   */
  async #answerForGone(): Promise<void> {
    const { jsm, queue, messages } = this.#connection;
    const { state } = await jsm.streams.info(queue.calls, {
      deleted_details: true,
    });
    for (const seq of (state.deleted ?? []).slice(-MOST_GONE)) {
      messages.publish(`$JS.ACK.${queue.calls}.workers.1.${seq}.1.0.0`, ACK);
    }
  }

  want(count: number): void {
    this.#wanted += count;
    if (this.#wanted > count) return;
    queueMicrotask(() => {
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
      return msg.json<Answer[]>();
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
  readonly message: number;
  readonly delivery: number;
  readonly #connection: Connection;
  readonly #msg: Msg;

  constructor(connection: Connection, msg: Msg) {
    this.#connection = connection;
    this.#msg = msg;
    const { message, delivery } = deliveryOf(msg.reply!);
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
