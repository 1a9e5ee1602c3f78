/**
 * A client of NATS servers: subscriptions, messages, and a connection that is made
 * again whenever it breaks. It has nothing in common with other clients in the
 * same program, and they notice nothing of it.
 *
 * ## When it is given up
 *
 * A server that is away is tried again without end. One that refuses, twice in a
 * row, is not; with none left, the connection has ended for good.
 */

import { startTimer } from "../base/timers.ts";
import { Link } from "./client_link.ts";
import { Denied, Interrupted, Refused } from "./errors.ts";
import { type Msg, type MsgHdrs, Parser } from "./protocol.ts";
import type { Server } from "./servers.ts";
import { infoOf, isAboutTls, open } from "./sockets.ts";
import { Attempt, type ServerInfo } from "./wire.ts";

/** What a client tells its owner. */
export interface ClientEvents {
  onAway(): void;
  onBack(): void;
  /** It has ended for good, and was not closed. */
  onEnd(error: unknown): void;
  /** The account may not do something, with a subject. */
  onDenied(
    error: Denied,
    operation: "publish" | "subscribe",
    subject: string,
  ): void;
}

/** How a client connects. */
export interface ClientOptions {
  /** What the subjects begin with that answers to it have. */
  readonly inboxes: string;
  readonly servers: readonly Server[];
  /** What the servers call it. */
  readonly name: string;
  /** How long a connection may take to be made, in milliseconds. */
  readonly timeout: number;
  /** How long is waited at least before a server is tried again, in milliseconds. */
  readonly wait: number;
  /** How often a server is asked if it is there, in milliseconds. */
  readonly ping: number;
}

/** How a message is published. */
export interface PublishOptions {
  readonly reply?: string;
  readonly headers?: MsgHdrs;
}

/** What hears of the messages of a subject. */
export type OnMessage = (error: Error | null, msg: Msg) => void;

/** How much is read at once, in bytes. */
const CHUNK = 65_536;
/** How long the end of the connection may take, in milliseconds. */
const SETTLE = 500;
/** How many questions whether it is there a server may leave without an answer. */
const MOST_PINGS = 2;
/** What each wait is longer by, at most, so that not all clients come back at once. */
const JITTER = 100;
/** How often in a row a server may refuse. */
const MOST_REFUSALS = 2;

const encoder = new TextEncoder();
const PING = encoder.encode("PING\r\n");
const PONG = encoder.encode("PONG\r\n");
const LINE_END = encoder.encode("\r\n");

/** What a client listens to. */
export class Subscription {
  readonly subject: string;
  readonly sid: number;
  readonly callback: OnMessage;
  readonly #client: Client;

  constructor(
    client: Client,
    subject: string,
    sid: number,
    callback: OnMessage,
  ) {
    this.#client = client;
    this.subject = subject;
    this.sid = sid;
    this.callback = callback;
  }

  /** Ends it at once. May be called again. */
  unsubscribe(): void {
    this.#client.unsubscribe(this);
  }

  /** Ends it; resolves when what was on its way has come. */
  async drain(): Promise<void> {
    await this.#client.drain(this);
  }
}

/** A client that is connected, or about to be again. */
export class Client {
  readonly #options: ClientOptions;
  readonly #events: ClientEvents;
  readonly #subscriptions = new Map<number, Subscription>();
  #sids = 0;
  #link: Link | undefined;
  #info!: ServerInfo;
  #attempt: Attempt | undefined;
  #isClosed = false;
  #ping: ReturnType<typeof setInterval> | undefined;
  #reading: Promise<void> = Promise.resolve();
  /** What ends a wait for the next attempt. */
  #endWait: (() => void) | undefined;
  #connecting: Promise<void> | undefined;
  #trouble: unknown;

  private constructor(options: ClientOptions, events: ClientEvents) {
    this.#options = options;
    this.#events = events;
  }

  /**
   * Connects to one of the servers.
   *
   * @throws what the last of them had to say, if none lets it in.
   */
  static async connect(
    options: ClientOptions,
    events: ClientEvents,
  ): Promise<Client> {
    const client = new Client(options, events);
    const errors: string[] = [];
    let last: unknown;
    for (const server of inAnyOrder(options.servers)) {
      try {
        client.#use(await client.#dial(server));
        return client;
      } catch (error) {
        last = error;
        const why = error instanceof Error ? error.message : String(error);
        errors.push(`${server.address}: ${why}`);
      }
    }
    if (errors.length === 1) throw last;
    throw new Error(errors.join("; "), { cause: last });
  }

  /** What the server says of itself, or has said when it was last there. */
  get info(): ServerInfo {
    return this.#info;
  }

  /** A subject for answers, which nobody else has. */
  inbox(): string {
    return `${this.#options.inboxes}.${
      crypto.randomUUID().replaceAll("-", "")
    }`;
  }

  /** What the last attempt to connect again came to, if it was in vain. */
  get trouble(): unknown {
    return this.#trouble;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  // ---- Messages ----------------------------------------------------------------

  /** What is published while there is no server is lost. */
  publish(
    subject: string,
    data: Uint8Array | string = "",
    { reply, headers }: PublishOptions = {},
  ): void {
    const link = this.#link;
    if (!link) return;
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const to = reply === undefined ? subject : `${subject} ${reply}`;
    if (headers) {
      const head = headers.encode();
      link.send(
        encoder.encode(
          `HPUB ${to} ${head.length} ${head.length + bytes.length}\r\n`,
        ),
        head,
        bytes,
        LINE_END,
      );
    } else {
      link.send(
        encoder.encode(`PUB ${to} ${bytes.length}\r\n`),
        bytes,
        LINE_END,
      );
    }
  }

  subscribe(
    subject: string,
    { callback }: { callback: OnMessage },
  ): Subscription {
    const subscription = new Subscription(
      this,
      subject,
      ++this.#sids,
      callback,
    );
    this.#subscriptions.set(subscription.sid, subscription);
    this.#sub(subscription);
    return subscription;
  }

  #sub({ subject, sid }: Subscription): void {
    this.#link?.send(encoder.encode(`SUB ${subject} ${sid}\r\n`));
  }

  /** For `Subscription` alone. */
  unsubscribe({ sid }: Subscription): void {
    if (!this.#subscriptions.delete(sid)) return;
    this.#link?.send(encoder.encode(`UNSUB ${sid}\r\n`));
  }

  /** For `Subscription` alone. */
  async drain(subscription: Subscription): Promise<void> {
    if (!this.#subscriptions.has(subscription.sid)) return;
    this.#link?.send(encoder.encode(`UNSUB ${subscription.sid}\r\n`));
    try {
      await this.flush();
    } finally {
      this.#subscriptions.delete(subscription.sid);
    }
  }

  /** Resolves when the server has had all that was said, and this client all that came before. */
  async flush(): Promise<void> {
    const link = this.#link;
    if (!link) throw new Interrupted("the server is away");
    await this.#askPong(link);
  }

  #askPong(link: Link): Promise<void> {
    const pong = Promise.withResolvers<void>();
    pong.promise.catch(() => {});
    link.pongs.push(pong);
    link.send(PING);
    return pong.promise;
  }

  /** Sends what is left, and ends; resolves when nothing is left. */
  async close(): Promise<void> {
    if (this.#isClosed) return await this.#ended();
    this.#isClosed = true;
    this.#subscriptions.clear();
    clearInterval(this.#ping);
    this.#attempt?.end();
    this.#endWait?.();
    const link = this.#link;
    await link?.settled();
    link?.end(new Interrupted("the connection was closed"));
    await this.#ended();
  }

  /** Resolves when nothing is under way any more, or that takes too long. */
  async #ended(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = startTimer(SETTLE, resolve);
    const ended = Promise.allSettled([this.#connecting, this.#reading]);
    await Promise.race([promise, ended]);
    stop();
  }

  // ---- The connection ------------------------------------------------------------

  /** Connects to a server, and has it let this client in. */
  async #dial(server: Server): Promise<Link> {
    server.tried = performance.now();
    const attempt = this.#attempt = new Attempt();
    const { timeout } = this.#options;
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {});
    const stop = startTimer(timeout, () => {
      late.reject(new Error(`no answer within ${timeout} ms`));
      attempt.end();
    });
    const dialing = this.#tryDial(server, attempt);
    dialing.catch(() => {});
    try {
      const link = await Promise.race([dialing, late.promise]);
      server.refusals = 0;
      return link;
    } catch (error) {
      attempt.end();
      if (error instanceof Refused) server.refusals++;
      else server.refusals = 0;
      throw error;
    } finally {
      stop();
      this.#attempt = undefined;
    }
  }

  async #tryDial(server: Server, attempt: Attempt): Promise<Link> {
    const { wire, info, rest } = await open(server, attempt);
    const proof = await server.prove(info.nonce ?? "");
    attempt.hold(wire);
    const link = new Link(wire, server, info);
    link.send(
      encoder.encode(
        `CONNECT ${
          JSON.stringify({
            ...{ verbose: false, pedantic: false, protocol: 1, echo: true },
            ...{ headers: true, no_responders: true },
            ...{ lang: "deno", version: "1", name: this.#options.name },
            tls_required: server.mustEncrypt,
            ...proof,
          })
        }\r\n`,
      ),
    );
    const isThere = this.#askPong(link);
    this.#reading = this.#read(link, rest);
    try {
      await isThere;
    } catch (error) {
      if (link.complaint !== undefined) throw refusalOf(link);
      throw isAboutTls(error)
        ? new Refused(
          `TLS with ${server.address} fails: ${(error as Error).message}`,
          { cause: error },
        )
        : error;
    }
    return link;
  }

  /** Has all go over a link from now on. */
  #use(link: Link): void {
    if (this.#isClosed || !link.isOpen) {
      link.end(new Interrupted());
      throw new Interrupted("the connection was closed");
    }
    this.#link = link;
    this.#info = link.info;
    for (const subscription of this.#subscriptions.values()) {
      this.#sub(subscription);
    }
    clearInterval(this.#ping);
    this.#ping = setInterval(() => {
      // One that says nothing to them is as good as away.
      if (++link.unanswered > MOST_PINGS) link.wire.close();
      else this.#askPong(link);
    }, this.#options.ping);
  }

  /** Reads until the end, whatever comes. */
  async #read(link: Link, first: Uint8Array): Promise<void> {
    const parser = new Parser({
      onMessage: (msg) => this.#onMessage(msg),
      onPing: () => link.send(PONG),
      onPong: () => link.pongs.shift()?.resolve(),
      onInfo: (line) => {
        link.info = infoOf(line);
        if (this.#link === link) this.#info = link.info;
      },
      onError: (text) => this.#onComplaint(link, text),
    });
    let why: unknown = new Interrupted("the connection was closed");
    try {
      parser.push(first);
      const chunk = new Uint8Array(CHUNK);
      while (link.isOpen) {
        const length = await link.wire.read(chunk);
        if (length === null) break;
        link.unanswered = 0;
        parser.push(chunk.slice(0, length));
      }
    } catch (error) {
      if (link.isOpen) why = error;
    }
    link.end(why);
    if (this.#link === link) this.#onEnd(link);
  }

  /** What goes wrong with one message is no matter of the others. */
  #onMessage(msg: Msg): void {
    try {
      this.#subscriptions.get(msg.sid)?.callback(null, msg);
    } catch (error) {
      console.error(`A message to "${msg.subject}" can't be read:`, error);
    }
  }

  #onComplaint(link: Link, text: string): void {
    const [, operation, subject] =
      /^permissions violation for (publish|subscription) to "(\S+)"/i
        .exec(text) ?? [];
    if (subject === undefined) {
      // The server ends the connection after any other, or is as good as none.
      link.complaint = text;
      return;
    }
    const isPublish = operation.toLowerCase() === "publish";
    const error = new Denied(
      `the account may not ${
        isPublish ? "publish to" : "subscribe to"
      } "${subject}"`,
    );
    this.#events.onDenied(error, isPublish ? "publish" : "subscribe", subject);
  }

  #onEnd(link: Link): void {
    this.#link = undefined;
    clearInterval(this.#ping);
    if (this.#isClosed) return;
    const refusal = link.complaint === undefined ? undefined : refusalOf(link);
    if (refusal instanceof Refused) link.server.refusals++;
    this.#events.onAway();
    this.#connecting = this.#connectAgain(refusal).catch((error) => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#events.onEnd(error);
    });
  }

  async #connectAgain(why: unknown): Promise<void> {
    const { servers, wait } = this.#options;
    while (!this.#isClosed) {
      const left = servers.filter(({ refusals }) => refusals < MOST_REFUSALS);
      if (left.length === 0) throw why;
      // The one that was tried longest ago is next.
      const server = left.reduce((a, b) => b.tried < a.tried ? b : a);
      const now = performance.now();
      const soon = server.tried + wait + Math.random() * JITTER - now;
      if (soon > 0) await this.#pause(soon);
      if (this.#isClosed) return;
      try {
        this.#use(await this.#dial(server));
        return this.#events.onBack();
      } catch (error) {
        why = this.#trouble = error;
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = startTimer(ms, resolve);
      this.#endWait = () => {
        stop();
        resolve();
      };
    });
  }
}

/** A cluster's servers are to share their clients. */
function inAnyOrder<T>(all: readonly T[]): T[] {
  return all.map((one) => [Math.random(), one] as const)
    .sort(([a], [b]) => a - b).map(([, one]) => one);
}

/** The error for what a server complained about before it ended the connection. */
function refusalOf({ complaint, server }: Link): Error {
  const text = `${server.address} says "${complaint}"`;
  if (
    !/auth(?:oriz|entic)ation|revoked|expired|tls required/i.test(complaint!)
  ) {
    return new Error(text);
  }
  const hint = server.hasCredentials
    ? ""
    : ": it was given no credentials, by its URL or the credentials option";
  return new Refused(`${text}${hint}`);
}
