/** JetStream, as far as queues need it: questions to a server about its streams. */

import { ApiError, Interrupted, NobodyThere } from "./errors.ts";
import type { Msg, MsgHdrs } from "./protocol.ts";

/** Asks, with so many milliseconds for an answer. */
export type Ask = (
  subject: string,
  data: Uint8Array | string,
  timeout: number,
  headers?: MsgHdrs,
) => Promise<Msg>;

/** What a stream is to be, as JetStream names it. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: "limits" | "workqueue";
  readonly storage: "file";
  readonly discard: "old" | "new";
  /** In nanoseconds. */
  readonly max_age?: number;
  readonly max_msgs_per_subject?: number;
  /** Whether a message can be read without a consumer. */
  readonly allow_direct?: boolean;
}

/** What a consumer is to be. Times are in nanoseconds. */
export interface ConsumerConfig {
  readonly durable_name: string;
  readonly ack_policy: "explicit";
  readonly ack_wait: number;
  readonly max_deliver: number;
  readonly max_ack_pending: number;
  readonly max_waiting: number;
}

/** What is known of a stream. */
export interface StreamInfo {
  readonly config: { readonly allow_direct?: boolean };
  readonly state: {
    readonly messages: number;
    readonly last_seq: number;
    readonly deleted?: readonly number[] | null;
    readonly subjects?: Readonly<Record<string, number>> | null;
  };
}

/** What is known of a consumer. */
export interface ConsumerInfo {
  readonly config: { readonly ack_wait?: number };
  readonly num_pending: number;
  readonly num_ack_pending: number;
}

/** How long an answer may take, in milliseconds. */
const REQUEST = 5000;
const NOT_FOUND = 404;

/** Milliseconds as JetStream counts time. */
export function nanos(ms: number): number {
  return ms * 1e6;
}

/** The streams of a server. */
export class JetStream {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** @throws {ApiError} what the server says against it. */
  async #request<R>(what: string, question: object = {}): Promise<R> {
    let msg: Msg;
    try {
      msg = await this.#ask(
        `$JS.API.${what}`,
        JSON.stringify(question),
        REQUEST,
      );
    } catch (error) {
      if (!(error instanceof NobodyThere)) throw error;
      throw new NoJetStream();
    }
    return answerOf<R>(msg);
  }

  async streamNames(subject: string): Promise<readonly string[]> {
    const { streams } = await this.#request<{ streams?: string[] | null }>(
      "STREAM.NAMES",
      { subject },
    );
    return streams ?? [];
  }

  streamInfo(name: string, question: object = {}): Promise<StreamInfo> {
    return this.#request(`STREAM.INFO.${name}`, question);
  }

  addStream(config: StreamConfig): Promise<unknown> {
    return this.#request(`STREAM.CREATE.${config.name}`, config);
  }

  deleteStream(name: string): Promise<unknown> {
    return this.#request(`STREAM.DELETE.${name}`);
  }

  consumerInfo(stream: string, name: string): Promise<ConsumerInfo> {
    return this.#request(`CONSUMER.INFO.${stream}.${name}`);
  }

  /** Makes a consumer, or makes one that is there another. */
  setConsumer(
    stream: string,
    config: ConsumerConfig,
  ): Promise<unknown> {
    return this.#request(
      `CONSUMER.DURABLE.CREATE.${stream}.${config.durable_name}`,
      { stream_name: stream, config },
    );
  }

  /** The first message with a subject from a number on; `undefined` where there is none. */
  nextMessage(
    stream: string,
    subject: string,
    seq: number,
  ): Promise<Msg | undefined> {
    return this.#message(
      stream,
      JSON.stringify({ seq, next_by_subj: subject }),
    );
  }

  /** The last message with a subject; `undefined` where there is none. */
  lastMessage(stream: string, subject: string): Promise<Msg | undefined> {
    // An account can be given the right to some subjects alone, since they stand here.
    return this.#message(`${stream}.${subject}`, "");
  }

  async #message(which: string, question: string): Promise<Msg | undefined> {
    const msg = await this.#ask(
      `$JS.API.DIRECT.GET.${which}`,
      question,
      REQUEST,
    );
    const code = msg.headers?.code ?? 0;
    if (code === NOT_FOUND) return undefined;
    if (code < 400) return msg;
    throw new ApiError(`a message can't be read (${code})`, 0);
  }
}

/** Nobody answers for streams: a server without them, or one that is about to have them. */
export class NoJetStream extends Interrupted {
  override name = "NoJetStream";

  constructor() {
    super("jetstream is not enabled: start nats-server with -js");
  }
}

/**
 * What JetStream answers.
 *
 * @throws {ApiError} what it says against what was asked.
 */
export function answerOf<R>(msg: Msg): R {
  const answer: unknown = msg.json();
  if (typeof answer !== "object" || answer === null) {
    throw new ApiError("the server's answer is none", 0);
  }
  const { error } = answer as {
    error?: { description?: string; code?: number; err_code?: number };
  };
  if (error) {
    throw new ApiError(
      String(error.description ?? "the server has an error without a name"),
      Number(error.err_code ?? error.code ?? 0),
    );
  }
  return answer as R;
}
