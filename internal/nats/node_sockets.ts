/** Sockets of `node:net`, for which TLS can begin later with a certificate of the client's. */

import { createConnection, isIP, type Socket } from "node:net";
import { connect as createTls } from "node:tls";
import type { Server } from "./servers.ts";
import type { Attempt, PlainWire, Wire } from "./wire.ts";

/** Connects, without TLS, which `secure` begins. */
export async function connect(
  server: Server,
  attempt: Attempt,
): Promise<PlainWire> {
  const { hostname, port } = server;
  const socket = createConnection(port, hostname);
  attempt.hold({ close: () => socket.destroy() });
  await until(socket, "connect");
  socket.setNoDelay(true);
  const wire = attempt.hold(new SocketWire(socket));
  return Object.assign(wire, {
    secure(attempt: Attempt): Promise<Wire> {
      wire.letGo();
      return begin(createTls({ socket, ...optionsOf(server) }), attempt);
    },
  });
}

/** Connects with TLS. */
export function connectTls(server: Server, attempt: Attempt): Promise<Wire> {
  return begin(createTls({ port: server.port, ...optionsOf(server) }), attempt);
}

function optionsOf({ hostname, tls }: Server) {
  return {
    ca: [...tls?.caCerts ?? []],
    cert: tls?.cert,
    key: tls?.key,
    host: hostname,
    servername: isIP(hostname) ? undefined : hostname,
  };
}

async function begin(secure: Socket, attempt: Attempt): Promise<Wire> {
  attempt.hold({ close: () => secure.destroy() });
  await until(secure, "secureConnect");
  secure.setNoDelay(true);
  return attempt.hold(new SocketWire(secure));
}

/** Waits for an event, or for an error. */
function until(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error) => {
      socket.off(event, end);
      socket.off("error", end);
      socket.off("close", onClose);
      // An error that comes late has no other listener, and would end the program.
      socket.on("error", () => {});
      if (error instanceof Error) reject(error);
      else resolve();
    };
    const onClose = () => end(new Error("the connection was closed"));
    socket.on(event, end);
    socket.on("error", end);
    socket.on("close", onClose);
  });
}

class SocketWire implements Wire {
  readonly #socket: Socket;
  #chunks: Uint8Array[] = [];
  #isAtEnd = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onData = (chunk: Uint8Array) => {
    this.#chunks.push(chunk);
    // One that is not read from sends no more than this.
    this.#socket.pause();
    this.#wake?.();
  };
  readonly #onEnd = () => {
    this.#isAtEnd = true;
    this.#wake?.();
  };
  readonly #onError = (error: Error) => {
    this.#error = error;
    this.#onEnd();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    socket.on("error", this.#onError);
  }

  /** Leaves the socket to somebody else. */
  letGo(): void {
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onEnd);
    this.#socket.off("error", this.#onError);
    // In Deno 2.5 TLS hears nothing of one that is paused.
    this.#socket.resume();
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#error) throw this.#error;
      if (this.#isAtEnd) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#socket.resume();
      });
      this.#wake = undefined;
    }
    const [chunk] = this.#chunks;
    const length = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, length));
    if (length < chunk.length) this.#chunks[0] = chunk.subarray(length);
    else this.#chunks.shift();
    return length;
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(
        bytes,
        (error) => error ? reject(error) : resolve(bytes.length),
      );
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#onEnd();
  }
}
