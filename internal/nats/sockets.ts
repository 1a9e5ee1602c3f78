/**
 * The connections to NATS servers, as far as bytes are concerned: over TCP, TLS
 * or a WebSocket; and what a server says first of itself.
 *
 * ## TLS
 *
 * As a rule a server says who it is in the clear, and TLS begins then. From what
 * was said in the clear nothing is believed but that. Whether TLS has to begin is
 * not for the server to say: `Server.mustEncrypt`.
 */

import { joined } from "../base/bytes.ts";
import { Refused } from "./errors.ts";
import type { Server } from "./servers.ts";
import { upgrade } from "./websocket.ts";
import type { Attempt, PlainWire, ServerInfo, Wire } from "./wire.ts";

/** A connection that can be used. */
export interface Opened {
  readonly wire: Wire;
  readonly info: ServerInfo;
  /** What came behind the info. */
  readonly rest: Uint8Array;
}

/** How long a line may be that says what a server is, in bytes. */
const LONGEST_INFO = 1 << 20;
const LINE_END = 10;

const decoder = new TextDecoder();

/** Connects to a server, up to its info; nothing of the client was said by then. */
export async function open(server: Server, attempt: Attempt): Promise<Opened> {
  const { tls, address, isWebSocket, mustEncrypt } = server;
  // The runtime's own way to begin TLS knows no certificate of the client's.
  const { connect, connectTls } = tls?.cert === undefined
    ? RUNTIME
    : await import("./node_sockets.ts");
  if (server.beginsWithTls) {
    const wire = await secure(server, () => connectTls(server, attempt));
    return await readInfo(
      isWebSocket ? await upgrade(wire, address, server.path) : wire,
    );
  }
  const plain = await connect(server, attempt);
  if (isWebSocket) {
    return await readInfo(await upgrade(plain, address, server.path));
  }
  const opened = await readInfo(plain);
  const { tls_required, tls_available } = opened.info;
  if (!mustEncrypt && !tls_required && !tls_available) return opened;
  if (!tls_required && !tls_available) {
    throw new Refused(
      `${address} offers no TLS, without which it is told nothing`,
    );
  }
  if (opened.rest.length > 0) {
    throw new Refused(`${address} says more before TLS than who it is`);
  }
  const wire = await secure(server, () => plain.secure(attempt));
  return { ...opened, wire };
}

/** How connections are made by what the runtime has for that. */
const RUNTIME = {
  connect: connectByRuntime,
  async connectTls(server: Server, attempt: Attempt): Promise<Wire> {
    return await (await connectByRuntime(server, attempt)).secure(attempt);
  },
};

async function connectByRuntime(
  { hostname, port, tls }: Server,
  attempt: Attempt,
): Promise<PlainWire> {
  const { signal } = attempt;
  const conn = await Deno.connect({ hostname, port, signal });
  conn.setNoDelay(true);
  return attempt.hold({
    ...wireOf(conn),
    async secure(attempt: Attempt): Promise<Wire> {
      const secure = await Deno.startTls(conn, {
        hostname,
        caCerts: [...tls?.caCerts ?? []],
      });
      const wire = attempt.hold(wireOf(secure));
      await secure.handshake();
      return wire;
    },
  });
}

/** Has TLS begin; from now on the server is told nothing without. */
async function secure(
  server: Server,
  begin: () => Promise<Wire>,
): Promise<Wire> {
  try {
    const wire = await begin();
    server.mustEncrypt = true;
    return wire;
  } catch (error) {
    throw isAboutTls(error)
      ? new Refused(
        `TLS with ${server.address} fails: ${(error as Error).message}`,
        { cause: error },
      )
      : error;
  }
}

/** Whether an error is about certificates, and so not over soon. */
export function isAboutTls(error: unknown): boolean {
  return error instanceof Deno.errors.InvalidData ||
    error instanceof Error &&
      /certificate|fatal alert|cert_|self.signed|unable to verify/i.test(
        `${error.message} ${(error as { code?: string }).code}`,
      );
}

/** A connection of the runtime's, which may be closed twice. */
function wireOf(conn: Deno.TcpConn | Deno.TlsConn): Wire {
  return {
    read: (into) => conn.read(into),
    write: (bytes) => conn.write(bytes),
    close() {
      try {
        conn.close();
      } catch {
        // It is closed.
      }
    },
  };
}

/** What a server says first: who it is. */
async function readInfo(wire: Wire): Promise<Opened> {
  let read = new Uint8Array(0);
  const chunk = new Uint8Array(4096);
  while (true) {
    const length = await wire.read(chunk);
    if (length === null) throw new Error("it says nothing");
    read = joined(read, chunk.subarray(0, length));
    const end = read.indexOf(LINE_END);
    if (end >= 0) {
      const info = infoOf(decoder.decode(read.subarray(0, end)));
      return { wire, info, rest: read.slice(end + 1) };
    }
    if (read.length > LONGEST_INFO) throw new Error("it is no NATS server");
  }
}

/**
 * Reads a line of the protocol that says who a server is.
 *
 * @throws where it is none.
 */
export function infoOf(line: string): ServerInfo {
  const [, json] = /^INFO\s+(.*?)\s*$/i.exec(line) ?? [];
  let info: unknown;
  try {
    info = json && JSON.parse(json);
  } catch {
    // Said below.
  }
  if (typeof info !== "object" || info === null) {
    throw new Error("it is no NATS server");
  }
  const { max_payload, nonce } = info as Record<string, unknown>;
  const isSize = typeof max_payload === "number" && max_payload > 0;
  return {
    ...info,
    max_payload: isSize ? max_payload : 1 << 20,
    nonce: typeof nonce === "string" ? nonce : "",
  };
}
