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
 * - A bucket for what is too large for a message: `CF_<queue>_<generation>`.
 *
 * The generation is made up by whoever finds no stream of calls. An answer to a
 * message names stream and number, so to a stream of the same name that was made
 * anew it would take away a message that nobody has seen. With a name of its
 * own, a stream that is gone stays gone, and everybody notices.
 */

import {
  AckPolicy,
  type ApiError,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import {
  headers,
  type Msg,
  type MsgHdrs,
  nanos,
  type NatsConnection,
  nuid,
} from "@nats-io/nats-core/internal";
import {
  cannot,
  codeOf,
  Interrupted,
  isNotFound,
  isTransient,
} from "./nats_errors.ts";
import { headerOf, Messages, packed, PARTS } from "./nats_messages.ts";
import { connect } from "./nats_sockets.ts";
import { addressOf, credentialsOf } from "./queue_options.ts";
import { startTimer } from "./timer.ts";
import type { LinkState } from "./transport.ts";

/** Where a queue is. */
export interface QueueOptions {
  readonly servers: readonly string[];
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
const CHUNK = 512 * 1024;
/** What a message has besides its payload: headers. */
const OVERHEAD = 1024;
/** The header that says where a payload is. */
const OBJECT = "cf-object";
/** Headers that the server knows. */
const MESSAGE_ID = "Nats-Msg-Id";
const EXPECTED_STREAM = "Nats-Expected-Stream";
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
  readonly lease: number;
}

/** A connection. */
export class Connection {
  readonly nc: NatsConnection;
  readonly messages: Messages;
  readonly #jsm: JetStreamManager;
  readonly #options: QueueOptions;
  readonly #state: LinkState;
  #queue!: Queue;
  #store: Promise<ObjectStore> | undefined;
  /** The number of the last call that is known to be stored. */
  #stored = 0;
  #closing = false;
  #away = false;
  /** What waits for a time to pass, or for the server to be back. */
  readonly #waits = new Set<() => void>();

  private constructor(
    nc: NatsConnection,
    jsm: JetStreamManager,
    options: QueueOptions,
    state: LinkState,
  ) {
    this.nc = nc;
    this.messages = new Messages(nc, (why) => state.onRefused(why));
    this.#jsm = jsm;
    this.#options = options;
    this.#state = state;
  }

  /** @throws {BrokenExecutor} where there is no such server, or it refuses. */
  static async open(
    options: QueueOptions,
    name: string,
    state: LinkState,
  ): Promise<Connection> {
    const { servers } = options;
    let nc: NatsConnection;
    try {
      nc = await connect({
        ...credentialsOf(servers[0]),
        servers: servers.map(addressOf),
        name,
        timeout: CONNECT,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_WAIT,
        pingInterval: PING,
        // Names are left to the system, which needs no permission of its own.
        resolve: false,
        noAsyncTraces: true,
      });
    } catch (error) {
      throw cannot(
        `connect to NATS at ${servers.map(addressOf)}`,
        servers,
        error,
      );
    }
    try {
      const jsm = await jetstreamManager(nc, { checkAPI: false });
      const connection = new Connection(nc, jsm, options, state);
      await connection.#findQueue();
      connection.#watch();
      return connection;
    } catch (error) {
      await nc.close();
      throw cannot(
        `use the queue "${options.queue}" at ${servers.map(addressOf)}`,
        servers,
        error,
      );
    }
  }

  /**
   * @throws when the connection ends: what is asked meanwhile would leave a timer.
   */
  get jsm(): JetStreamManager {
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
    this.#queue = {
      generation,
      calls,
      results: `CF_${queue}_RESULTS_${generation}`,
      lease: await this.#agreeOnLease(calls, lease),
    };
  }

  async #findCalls(): Promise<string | undefined> {
    try {
      return await this.jsm.streams.find(
        `cf.${this.#options.queue}.call.anybody`,
      );
    } catch (error) {
      // "no stream matches subject" has no code in all versions.
      if (isNotFound(error) || /no stream matches/.test(`${error}`)) {
        return undefined;
      }
      throw error;
    }
  }

  async #makeStreams(): Promise<void> {
    const { queue } = this.#options;
    const generation = nuid.next();
    const results = `CF_${queue}_RESULTS_${generation}`;
    await this.jsm.streams.add({
      name: results,
      subjects: [`cf.${queue}.result.${generation}.*`],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_age: nanos(RESULTS_AGE),
    });
    try {
      await this.jsm.streams.add({
        name: `CF_${queue}_CALLS_${generation}`,
        subjects: [`cf.${queue}.call.*`],
        retention: RetentionPolicy.Workqueue,
        storage: StorageType.File,
        discard: DiscardPolicy.New,
      });
    } catch (error) {
      await this.jsm.streams.delete(results);
      // Somebody else came first: theirs it is.
      if (codeOf(error) !== SUBJECTS_OVERLAP) throw error;
    }
  }

  /** The lease is that of the queue: whoever names one sets it for all. */
  async #agreeOnLease(stream: string, lease: number | undefined) {
    const agree = async () => {
      const { config } = await this.jsm.consumers.info(stream, "workers");
      const known = (config.ack_wait ?? 0) / 1e6;
      if (lease === undefined || lease === known) return known;
      await this.jsm.consumers.update(stream, "workers", {
        ack_wait: nanos(lease),
      });
      return lease;
    };
    try {
      return await agree();
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      await this.jsm.consumers.add(stream, {
        durable_name: "workers",
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(lease ?? DEFAULT_LEASE),
        // Attempts are counted where the futures are: here, the last would end in silence.
        max_deliver: -1,
        max_ack_pending: 65_536,
        max_waiting: 65_536,
      });
      return await agree();
    } catch (error) {
      // Somebody else may have come first.
      return await agree().catch(() => {
        throw error;
      });
    }
  }

  // ---- The connection --------------------------------------------------------

  #watch(): void {
    (async () => {
      for await (const { type } of this.nc.status()) {
        if (this.#closing) return;
        if (type === "disconnect" && !this.#away) {
          this.#away = true;
          this.#state.onAway();
        } else if (type === "reconnect") {
          await this.#onReconnect();
        }
      }
    })();
    this.nc.closed().then((error) => {
      if (!this.#closing) {
        this.#lose(`the connection to NATS was closed (${error})`, error);
      }
    });
  }

  async #onReconnect(): Promise<void> {
    while (!this.#closing) {
      try {
        // What was lost is told, and the end of it.
        if (!await this.check() || this.#closing) return;
        this.#away = false;
        this.#state.onBack();
        // Requests that were under way are made again.
        this.#wake();
        this.messages.giveUp(new Interrupted());
        return;
      } catch {
        if (this.nc.isClosed() || this.#closing) return;
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
      const { state } = await this.jsm.streams.info(calls);
      await this.jsm.streams.info(results);
      await this.jsm.consumers.info(calls, "workers");
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
    if (this.#closing) return;
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
    return (this.nc.info?.max_payload ?? 1 << 20) - OVERHEAD;
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
    if (lengths !== undefined) (hdrs = headers()).set(PARTS, lengths);
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
    const hdrs = headers();
    hdrs.set(MESSAGE_ID, key);
    hdrs.set(EXPECTED_STREAM, stream);
    let { payload, lengths } = packed(parts);
    if (lengths !== undefined) hdrs.set(PARTS, lengths);
    if (payload.length > this.limit) {
      const bytes = payload;
      hdrs.set(
        OBJECT,
        await this.#persistently(() => this.#untilBack(this.#put(bytes))),
      );
      payload = new Uint8Array(0);
    }
    const subject = this.subject(kind, whose);
    const { seq } = await this.#persistently(async () => {
      const ack = await this.ask(subject, payload, REQUEST, hdrs);
      const { error, seq } = ack.json<{ error?: ApiError; seq: number }>();
      if (error) throw new JetStreamApiError(error);
      return { seq };
    });
    if (kind === "call") this.#stored = Math.max(this.#stored, seq);
    return seq;
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

  /** What comes of a promise, but no later than the connection is back. */
  #untilBack<R>(promise: Promise<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      const again = () => reject(new Interrupted());
      this.#waits.add(again);
      promise.then(resolve, reject).finally(() => this.#waits.delete(again));
    });
  }

  /** All of a message, wherever it is; an object stays there until it is removed. */
  async read(msg: Msg): Promise<Uint8Array> {
    const name = objectOf(msg);
    if (name === undefined) return msg.data;
    const bytes = await this.#persistently(() =>
      this.#untilBack((async () => (await this.#objects()).getBlob(name))())
    );
    if (bytes) return bytes;
    throw new Deno.errors.NotFound(
      `What a message refers to is not in the store any more: ${name}`,
    );
  }

  /** Removes what a message refers to. */
  async remove(msg: Msg): Promise<void> {
    const name = objectOf(msg);
    if (name === undefined) return;
    try {
      await (await this.#objects()).delete(name);
    } catch {
      // Its age will.
    }
  }

  async #put(bytes: Uint8Array): Promise<string> {
    const name = nuid.next();
    await (await this.#objects()).putBlob({
      name,
      options: { max_chunk_size: CHUNK },
    }, bytes);
    return name;
  }

  #objects(): Promise<ObjectStore> {
    return this.#store ??= (async () => {
      setSha256Backend("native");
      return await new Objm(this.nc).create(
        `CF_${this.#options.queue}_${this.#queue.generation}`,
        { ttl: nanos(OBJECT_AGE), storage: StorageType.File },
      );
    })().catch((error) => {
      this.#store = undefined;
      throw error;
    });
  }
}

/** Where a message's payload is, if it is not in the message. */
function objectOf(msg: Msg): string | undefined {
  if (msg.data.length > 0) return undefined;
  return headerOf(msg, OBJECT);
}
