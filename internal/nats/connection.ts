/**
 * A connection to NATS, and what stands for a queue there.
 *
 * ## What a queue is made of
 *
 * - The stream of calls: `CF_<queue>_CALLS_<generation>`, subjects
 *   `cf.<queue>.call.<submitter>`, a work queue with one consumer, `workers`.
 * - The stream of results: `CF_<queue>_RESULTS_<generation>`, subjects
 *   `cf.<queue>.result.<generation>.<submitter>`, for those that their submitter
 *   did not say to have read, as it does when they come to it by
 *   `cf.<queue>.done.<submitter>`: it may be away. Submitters get them as they are
 *   published, and read the stream only after a connection was interrupted.
 * - The stream of what is too large for a message: `CF_<queue>_OBJECTS_<generation>`,
 *   see `nats/objects.ts`.
 *
 * The generation is made up by whoever finds no stream of calls. An answer to a
 * message names stream and number, so to a stream of the same name that was made
 * anew it would take away a message that nobody has seen. With a name of its
 * own, a stream that is gone stays gone, and everybody notices.
 */

import { startTimer } from "../base/timers.ts";
import type { LinkState } from "../remote/transport.ts";
import {
  answerOf,
  type Ask,
  JetStream,
  nanos,
  type StreamConfig,
} from "./api.ts";
import { Client } from "./client.ts";
import {
  cannot,
  codeOf,
  Denied,
  Interrupted,
  isNotFound,
  isTransient,
} from "./errors.ts";
import { headerOf, Messages, packed, PARTS } from "./messages.ts";
import { Objects } from "./objects.ts";
import { type Msg, MsgHdrs } from "./protocol.ts";
import { redacted } from "./redacted.ts";
import type { Server } from "./servers.ts";

/** Where a queue is. */
export interface QueueOptions {
  readonly servers: readonly Server[];
  readonly queue: string;
  /** In milliseconds; `undefined`: as the queue has it, or 10 seconds. */
  readonly lease: number | undefined;
}

/** How long a connection, or a request, may take, in milliseconds. */
const CONNECT = 5000;
const REQUEST = 5000;
/** How long a submitter may take to say that it has read results. */
const DELIVER = 1000;
export const RECONNECT_WAIT = 200;
/** How often the server is asked whether it is there; twice without an answer is away. */
const PING = 10_000;
const DEFAULT_LEASE = 10_000;
/** How long results are kept for submitters that are away. */
const RESULTS_AGE = 10 * 60_000;
/** How long what nobody has fetched stays in the bucket. */
const OBJECT_AGE = 24 * 60 * 60_000;
/** What a message has besides its payload: headers. */
const OVERHEAD = 1024;
/** The header that says where a payload is. */
const OBJECT = "cf-object";
/** Headers that the server knows. */
const MESSAGE_ID = "Nats-Msg-Id";
const EXPECTED_STREAM = "Nats-Expected-Stream";
/** What there is no use in going on without. */
const VITAL = /^\$JS\.(?:API\.(?:CONSUMER\.MSG\.NEXT|DIRECT\.GET)|ACK)\./;
const SUBJECTS_OVERLAP = 10065;
const WRONG_STREAM = 10060;

/** A name that nobody can guess. */
export function token(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** A queue's streams, as found. */
interface Queue {
  readonly generation: string;
  readonly calls: string;
  readonly results: string;
  readonly objects: string;
  readonly lease: number;
}

/** What a connection is for: its answers come by subjects that say so. */
export type Role = "submitter" | "worker" | "maker";

/** Whose a connection is. */
export interface ConnectionOwner extends LinkState {
  readonly role: Role;
  /** What the server calls it. */
  readonly name: string;
  /** The queue is there: what is subscribed to now is allowed when it is open. */
  onFound(connection: Connection): void;
}

/** A connection. */
export class Connection {
  readonly messages: Messages;
  readonly #jsm: JetStream;
  readonly #options: QueueOptions;
  readonly #state: LinkState;
  #nc!: Client;
  #queue!: Queue;
  #objects!: Objects;
  /** The number of the last call that is known to be stored. */
  #stored = 0;
  #closing = false;
  #away = false;
  /** What keeps this account from being of any use here. */
  #denied: Error | undefined;
  #isOpen = false;
  /** What waits for a time to pass, or for the server to be back. */
  readonly #waits = new Set<() => void>();

  private constructor(options: QueueOptions, state: LinkState, nc: Client) {
    this.#options = options;
    this.#state = state;
    this.#nc = nc;
    this.messages = new Messages(nc, (why) => state.onRefused(why));
    const ask: Ask = (...question) => this.ask(...question);
    this.#jsm = new JetStream(ask);
  }

  /** @throws {BrokenExecutor} where there is no such server, or it refuses. */
  static async open(
    options: QueueOptions,
    owner: ConnectionOwner,
  ): Promise<Connection> {
    const { servers, queue } = options;
    const { role, name } = owner;
    const where = servers.map(({ address }) => address).join();
    let nc: Client;
    try {
      nc = await Client.connect({
        servers,
        inboxes: `_INBOX.cf.${queue}.${role}`,
        name,
        timeout: CONNECT,
        wait: RECONNECT_WAIT,
        ping: PING,
      }, {
        // None of these comes before there is anything to be told.
        onAway: () => connection.#onAway(),
        onBack: () => void connection.#onReconnect(),
        onEnd: (error) => connection.#onEnd(error),
        onDenied: (...denial) => connection.#onDenied(...denial),
      });
    } catch (error) {
      throw cannot(`connect to NATS at ${where}`, servers, error);
    }
    const connection = new Connection(options, owner, nc);
    try {
      await connection.#findQueue();
      owner.onFound(connection);
      await connection.#settled();
      connection.#isOpen = true;
      return connection;
    } catch (error) {
      await connection.close();
      throw cannot(`use the queue "${queue}" at ${where}`, servers, error);
    }
  }

  get nc(): Client {
    return this.#nc;
  }

  /**
   * @throws when the connection ends: what is asked meanwhile would leave a timer.
   */
  get jsm(): JetStream {
    this.#checkOpen();
    return this.#jsm;
  }

  /** Asks somebody; rejects with what `isNobodyThere` knows, or when it takes too long. */
  async ask(
    subject: string,
    data: Uint8Array | string,
    timeout: number,
    headers?: MsgHdrs,
  ): Promise<Msg> {
    this.#checkOpen();
    return await this.messages.ask(subject, data, timeout, headers);
  }

  #checkOpen(): void {
    if (this.#closing) throw new Interrupted();
    if (this.#denied) throw this.#denied;
  }

  get queue(): Queue {
    return this.#queue;
  }

  get isAway(): boolean {
    return this.#away;
  }

  get isClosing(): boolean {
    return this.#closing;
  }

  /** A subject of the queue. */
  subject(
    kind: "call" | "result" | "claim" | "done" | "run" | "worker",
    whose: string,
  ): string {
    const { queue } = this.#options;
    return kind === "result"
      ? `cf.${queue}.result.${this.#queue.generation}.${whose}`
      : `cf.${queue}.${kind}.${whose}`;
  }

  // ---- The queue -------------------------------------------------------------

  /** Finds the streams, or makes them. */
  async #findQueue(): Promise<void> {
    const { queue, lease } = this.#options;
    let calls = await this.#findCalls();
    if (calls === undefined) {
      await this.#makeStreams();
      calls = await this.#findCalls();
    }
    if (calls === undefined) throw new Error("its stream can't be made");
    const generation = calls.slice(calls.lastIndexOf("_") + 1);
    const objects = `CF_${queue}_OBJECTS_${generation}`;
    this.#queue = {
      generation,
      calls,
      results: `CF_${queue}_RESULTS_${generation}`,
      objects,
      lease: await this.#agreeOnLease(calls, lease),
    };
    this.#objects = new Objects(
      this.#jsm,
      objects,
      `cf.${queue}.object.${generation}`,
      {
        store: (subject, bytes) =>
          this.#persistently(() => this.#put(subject, bytes, objects)),
        publish: (subject) => this.messages.publish(subject, ""),
        persistently: (attempt) => this.#persistently(attempt),
      },
    );
  }

  /** The stream of calls, if there is one. */
  async #findCalls(): Promise<string | undefined> {
    const subject = `cf.${this.#options.queue}.call.anybody`;
    const [name] = await this.jsm.streamNames(subject);
    return name;
  }

  async #makeStreams(): Promise<void> {
    const { queue } = this.#options;
    const generation = token();
    const stored = { storage: "file", allow_direct: true } as const;
    const others: StreamConfig[] = [
      {
        name: `CF_${queue}_RESULTS_${generation}`,
        subjects: [`cf.${queue}.result.${generation}.*`],
        retention: "limits",
        discard: "old",
        max_age: nanos(RESULTS_AGE),
        ...stored,
      },
      {
        name: `CF_${queue}_OBJECTS_${generation}`,
        subjects: [`cf.${queue}.object.${generation}.*.*`],
        retention: "limits",
        discard: "old",
        max_age: nanos(OBJECT_AGE),
        // An empty message in the place of another removes that one.
        max_msgs_per_subject: 1,
        ...stored,
      },
    ];
    try {
      for (const stream of others) await this.jsm.addStream(stream);
      await this.jsm.addStream({
        name: `CF_${queue}_CALLS_${generation}`,
        subjects: [`cf.${queue}.call.*`],
        retention: "workqueue",
        storage: "file",
        discard: "new",
      });
    } catch (error) {
      if (error instanceof Denied) {
        throw new Denied(
          `it is not there, and ${error.message}, which makes one: have it made by "worker --make-queue" with an account that may`,
          { cause: error },
        );
      }
      for (const { name } of others) {
        await this.jsm.deleteStream(name).catch(() => {});
      }
      // Somebody else came first: theirs it is.
      if (codeOf(error) !== SUBJECTS_OVERLAP) throw error;
    }
  }

  /** The lease is that of the queue: whoever names one sets it for all. */
  async #agreeOnLease(stream: string, lease: number | undefined) {
    const find = async () => {
      const { config } = await this.jsm.consumerInfo(stream, "workers");
      return (config.ack_wait ?? 0) / 1e6;
    };
    let known: number | undefined;
    try {
      known = await find();
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    if (known !== undefined && (lease === undefined || lease === known)) {
      return known;
    }
    await this.jsm.setConsumer(stream, {
      durable_name: "workers",
      ack_policy: "explicit",
      ack_wait: nanos(lease ?? DEFAULT_LEASE),
      // Attempts are counted where the futures are: here, the last would end in silence.
      max_deliver: -1,
      max_ack_pending: 65_536,
      max_waiting: 65_536,
    }).catch(async (error) => {
      // Somebody else may have come first.
      const found = await find().catch(() => undefined);
      if (found === undefined || lease !== undefined && lease !== found) {
        throw error;
      }
    });
    return await find();
  }

  // ---- The connection --------------------------------------------------------

  #onAway(): void {
    if (this.#closing || this.#away) return;
    this.#away = true;
    if (this.#isOpen) return this.#state.onAway();
    this.#denied = new Interrupted("the server has ended the connection");
    this.messages.giveUp(this.#denied);
  }

  #onEnd(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#lose(`the connection to NATS has ended: ${redacted(why)}`, error);
  }

  /** What the account may not do is of no use to be tried again. */
  #onDenied(
    error: Denied,
    operation: "publish" | "subscribe",
    subject: string,
  ): void {
    if (operation === "publish") {
      this.messages.deny(subject, error);
      // Of the rest, each question fails by itself, and late answers are no matter.
      if (!VITAL.test(subject)) return;
    }
    this.#denied ??= error;
    this.messages.giveUp(error);
    this.#lose(error.message, error);
  }

  /**
   * Resolves when the server has had what was said so far.
   *
   * @throws {Denied} where it did not allow it.
   */
  async #settled(): Promise<void> {
    await this.nc.flush();
    if (this.#denied) throw this.#denied;
  }

  async #onReconnect(): Promise<void> {
    while (!this.#closing && this.#isOpen) {
      try {
        // What was lost is told, and the end of it.
        if (!await this.check() || this.#closing) return;
        this.#away = false;
        // Requests that were under way are made again, after those that are made now.
        this.messages.giveUp(new Interrupted());
        this.#state.onBack();
        this.#wake();
        return;
      } catch (error) {
        if (this.nc.isClosed() || this.#closing) return;
        if (error instanceof Denied) return this.#lose(error.message, error);
        await this.pause(RECONNECT_WAIT);
      }
    }
  }

  /**
   * Looks whether the queue is still what it was; if it is not, the link is lost.
   *
   * @throws where that can't be told now.
   */
  async check(): Promise<boolean> {
    const { calls, results } = this.#queue;
    try {
      const { state } = await this.jsm.streamInfo(calls);
      await this.jsm.streamInfo(results);
      await this.jsm.consumerInfo(calls, "workers");
      if (state.last_seq >= this.#stored) return true;
      this.#lose("the server has lost calls that it had stored");
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#lose(
        `the server has lost the queue "${this.#options.queue}"`,
        error,
      );
    }
    return false;
  }

  #lose(why: string, cause?: unknown): void {
    if (this.#closing || !this.#isOpen) return;
    this.#state.onLost(why, cause);
  }

  /** Waits, but not beyond the end of the connection. */
  pause(ms: number): Promise<void> {
    if (this.#closing) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        stop();
        this.#waits.delete(end);
        resolve();
      };
      const stop = startTimer(ms, end);
      this.#waits.add(end);
    });
  }

  #wake(): void {
    for (const end of [...this.#waits]) end();
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#wake();
    this.messages.close(new Interrupted());
    await this.nc.close();
  }

  // ---- Messages --------------------------------------------------------------

  /** How many bytes a message can have; what is larger goes through the bucket. */
  get limit(): number {
    return this.nc.info.max_payload - OVERHEAD;
  }

  /**
   * Has a submitter say that it has read results, which takes no disk.
   *
   * @returns Whether it did.
   */
  async deliver(
    whose: string,
    parts: readonly Uint8Array[],
  ): Promise<boolean> {
    const { payload, lengths } = packed(parts);
    if (payload.length > this.limit) return false;
    let hdrs: MsgHdrs | undefined;
    if (lengths !== undefined) (hdrs = new MsgHdrs()).set(PARTS, lengths);
    try {
      await this.ask(this.subject("done", whose), payload, DELIVER, hdrs);
      return true;
    } catch {
      // It is away, or busy; or the connection is, and nobody knows.
      return false;
    }
  }

  /**
   * Has a message stored, however often that has to be tried. It may have several
   * parts, which `partsOf` tells apart again; what is too large has one.
   *
   * @returns The number that it has in its stream.
   */
  async store(
    kind: "call" | "result",
    whose: string,
    key: string,
    ...parts: readonly Uint8Array[]
  ): Promise<number> {
    const stream = kind === "call" ? this.#queue.calls : this.#queue.results;
    const hdrs = new MsgHdrs();
    hdrs.set(MESSAGE_ID, key);
    let { payload, lengths } = packed(parts);
    if (lengths !== undefined) hdrs.set(PARTS, lengths);
    if (payload.length > this.limit) {
      hdrs.set(OBJECT, await this.#objects.put(payload, this.limit));
      payload = new Uint8Array(0);
    }
    const subject = this.subject(kind, whose);
    const seq = await this.#persistently(() =>
      this.#put(subject, payload, stream, hdrs)
    );
    if (kind === "call") this.#stored = Math.max(this.#stored, seq);
    return seq;
  }

  /** Has a message stored, once. */
  async #put(
    subject: string,
    payload: Uint8Array,
    stream: string,
    hdrs: MsgHdrs = new MsgHdrs(),
  ): Promise<number> {
    hdrs.set(EXPECTED_STREAM, stream);
    const ack = await this.ask(subject, payload, REQUEST, hdrs);
    return Number(answerOf<{ seq: number }>(ack).seq);
  }

  /** Does something until it succeeds, or fails for another reason than the connection. */
  async #persistently<R>(attempt: () => Promise<R>): Promise<R> {
    while (true) {
      try {
        this.#checkOpen();
        return await attempt();
      } catch (error) {
        if (this.#closing || this.nc.isClosed()) throw error;
        if (codeOf(error) === WRONG_STREAM || isNotFound(error)) {
          this.#lose(
            `the server has lost the queue "${this.#options.queue}"`,
            error,
          );
          throw error;
        }
        if (!isTransient(error)) throw error;
        await this.pause(RECONNECT_WAIT);
        if (!this.#away) await this.check().catch(() => {});
      }
    }
  }

  /** All of a message, wherever it is; an object stays there until it is removed. */
  async read(msg: Msg): Promise<Uint8Array> {
    const name = objectOf(msg);
    if (name === undefined) return msg.data;
    const bytes = await this.#objects.get(name);
    if (bytes) return bytes;
    throw new Deno.errors.NotFound(
      `What a message refers to is not in the store any more: ${name}`,
    );
  }

  /** Removes what a message refers to. */
  remove(msg: Msg): void {
    const name = objectOf(msg);
    if (name !== undefined) this.#objects.remove(name);
  }
}

/** Where a message's payload is, if it is not in the message. */
function objectOf(msg: Msg): string | undefined {
  if (msg.data.length > 0) return undefined;
  return headerOf(msg, OBJECT);
}
