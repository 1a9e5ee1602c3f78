/**
 * The sockets of connections to NATS: the runtime's own, written to once for all
 * that one turn of the event loop has to say.
 *
 * The client has something to write after each promise that leads to a message.
 * What a write costs, here and where it wakes somebody, is most of what a short
 * call costs; and that of `node:net` costs more, all the more while it is new.
 */

import {
  checkOptions,
  type ConnectionOptions,
  deferred,
  errors,
  extractProtocolMessage,
  INFO,
  type NatsConnection,
  NatsConnectionImpl,
  type ServerInfo,
  setTransportFactory,
  type Transport,
} from "@nats-io/nats-core/internal";
import { nextTick } from "node:process";
import { joined } from "./framing.ts";
import { startTimer } from "./timer.ts";

/** What is larger is not copied for the sake of a write less, in bytes. */
const LARGE = 65_536;

/** How long what is being written may take once the connection is closed, in milliseconds. */
const SETTLE = 500;

/** Where a server is, as the client says it. */
interface Address {
  readonly hostname: string;
  readonly port: number;
  readonly tlsName: string;
}

class DenoTransport implements Transport {
  readonly version = "1";
  readonly lang = "deno";
  closeError: Error | undefined;
  readonly #closed = deferred<void | Error>();
  #conn: Deno.TcpConn | Deno.TlsConn | undefined;
  #isEncrypted = false;
  #isConnected = false;
  #isDone = false;
  #chunk = new Uint8Array(LARGE);
  /** What was read before there was anybody to read it. */
  #first: Uint8Array | undefined;
  /** What is to be written at the end of this turn, or after what is being written. */
  #unwritten: Uint8Array[] = [];
  #writing: Promise<void> | undefined;
  #reading: Promise<unknown> | undefined;

  get isClosed(): boolean {
    return this.#isDone;
  }

  /** @throws where nobody is there, or it is no such server. */
  async connect(
    { hostname, port, tlsName }: Address,
    options: ConnectionOptions,
  ): Promise<void> {
    try {
      const conn = await Deno.connect({ hostname, port });
      this.#conn = conn;
      conn.setNoDelay(true);
      const info = await this.#readInfo();
      checkOptions(info, options);
      const wantsTls = info.tls_required ||
        (info.tls_available && options.tls !== null);
      if (wantsTls && !this.#isDone) {
        const secure = await Deno.startTls(conn, {
          hostname: tlsName || hostname,
        });
        this.#conn = secure;
        this.#isEncrypted = true;
        await secure.handshake();
      }
      if (this.#isDone) throw new errors.ConnectionError("closed");
      this.#isConnected = true;
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** What a server says first, who it is; it is for the client to read, too. */
  async #readInfo(): Promise<ServerInfo> {
    let read = new Uint8Array(0);
    while (true) {
      const bytes = await this.#read();
      if (!bytes) throw new errors.ConnectionError("it says nothing");
      read = joined(read, bytes);
      const line = extractProtocolMessage(read);
      if (line === "") continue;
      const [, json] = INFO.exec(line) ?? [];
      if (!json) throw new errors.ConnectionError("it is no NATS server");
      this.#first = read;
      return JSON.parse(json);
    }
  }

  async #read(): Promise<Uint8Array | undefined> {
    const reading = this.#conn!.read(this.#chunk);
    this.#reading = reading;
    const length = await reading;
    return length === null ? undefined : this.#chunk.slice(0, length);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return {
      next: async () => {
        let value: Uint8Array | undefined = this.#first;
        this.#first = undefined;
        try {
          if (!this.#isDone) value ??= await this.#read();
        } catch (error) {
          this.closeError ??= error as Error;
        }
        if (value && !this.#isDone) return { done: false, value };
        this.disconnect();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  isEncrypted(): boolean {
    return this.#isEncrypted;
  }

  send(frame: Uint8Array): void {
    // The next tick is after all that promises of this turn lead to.
    if (this.#unwritten.length === 0) nextTick(() => this.#write());
    this.#unwritten.push(frame);
  }

  /** Writes all, if it can: whoever reads hears of it if not. */
  #write(): void {
    if (this.#unwritten.length === 0) return;
    this.#writing ??= this.#writeAll().catch(() => {}).then(() => {
      this.#writing = undefined;
      // What was said after the last look for more.
      this.#write();
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#unwritten.length > 0) {
      for (const bytes of together(this.#unwritten.splice(0))) {
        for (let done = 0; done < bytes.length;) {
          done += await this.#conn!.write(bytes.subarray(done));
        }
      }
    }
  }

  async close(error?: Error): Promise<void> {
    // What was said is still sent; but a server that takes nothing is not waited for.
    this.#write();
    this.closeError ??= error;
    this.discard();
    await this.#settled();
    if (this.#isConnected) this.#closed.resolve(this.closeError);
  }

  /** Resolves when nothing is read or written any more. */
  #settled(): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    // Deno 2.5 ends no write whose connection is closed: it may take for ever.
    const stop = startTimer(SETTLE, () => resolve(undefined));
    Promise.allSettled([this.#writing, this.#reading]).then((settled) => {
      stop();
      resolve(settled);
    });
    return promise;
  }

  disconnect(): void {
    this.close();
  }

  closed(): Promise<void | Error> {
    return this.#closed;
  }

  discard(): void {
    this.#isDone = true;
    try {
      this.#conn?.close();
    } catch {
      // It is closed.
    }
  }
}

/** Small frames as one, large ones by themselves. */
function together(frames: readonly Uint8Array[]): Uint8Array[] {
  const all: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  const add = () => {
    if (small.length > 0) all.push(joined(...small));
    small = [];
  };
  for (const frame of frames) {
    if (frame.length < LARGE) {
      small.push(frame);
    } else {
      add();
      all.push(frame);
    }
  }
  add();
  return all;
}

/** Connects to a server, as the clients for other runtimes do. */
export function connect(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new DenoTransport() });
  return NatsConnectionImpl.connect(options);
}
