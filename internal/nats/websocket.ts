/**
 * WebSockets as a NATS server speaks them: a way for bytes, over a connection
 * that is encrypted, or not, as any other is. The runtime's own would tell
 * neither which certificates to trust nor what went wrong.
 */

import { joined } from "../base/bytes.ts";
import type { Wire } from "./wire.ts";

/** What the other side's key is signed with: RFC 6455 says so. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** How long the server's first words may be, in bytes. */
const LONGEST_HEAD = 16_384;
const CHUNK = 65_536;
const CONTINUED = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/**
 * Has a connection speak WebSocket from now on.
 *
 * @throws where the other side does not.
 */
export async function upgrade(
  wire: Wire,
  address: string,
  path: string,
): Promise<Wire> {
  const key = base64(crypto.getRandomValues(new Uint8Array(16)));
  await writeAll(
    wire,
    encoder.encode(
      `GET ${path} HTTP/1.1\r\nHost: ${address}\r\nUpgrade: websocket\r\n` +
        `Connection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\n` +
        "Sec-WebSocket-Version: 13\r\n\r\n",
    ),
  );
  let read = new Uint8Array(0);
  const chunk = new Uint8Array(4096);
  let end = -1;
  while (end < 0) {
    const length = await wire.read(chunk);
    if (length === null) throw new Error("it says nothing");
    read = joined(read, chunk.subarray(0, length));
    end = decoder.decode(read).indexOf("\r\n\r\n");
    if (end < 0 && read.length > LONGEST_HEAD) {
      throw new Error("it speaks no WebSocket");
    }
  }
  const head = decoder.decode(read.subarray(0, end));
  const digest = await crypto.subtle.digest(
    "SHA-1",
    encoder.encode(key + GUID),
  );
  const [, accept] = /^sec-websocket-accept:\s*(\S+)\s*$/im.exec(head) ?? [];
  if (
    !/^HTTP\/1\.1 101 /.test(head) || accept !== base64(new Uint8Array(digest))
  ) {
    throw new Error("it speaks no WebSocket");
  }
  return new WebSocketWire(wire, read.slice(end + 4));
}

async function writeAll(wire: Wire, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await wire.write(bytes.subarray(done));
  }
}

class WebSocketWire implements Wire {
  readonly #wire: Wire;
  readonly #chunk = new Uint8Array(CHUNK);
  /** What was read, and not yet understood. */
  #bytes: Uint8Array;
  /** How much is left of the frame that is read. */
  #left = 0;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(wire: Wire, first: Uint8Array) {
    this.#wire = wire;
    this.#bytes = first;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#left === 0) {
      if (!await this.#readHead()) return null;
    }
    if (this.#bytes.length === 0 && !await this.#readMore()) return null;
    const length = Math.min(this.#left, this.#bytes.length, into.length);
    into.set(this.#bytes.subarray(0, length));
    this.#bytes = this.#bytes.subarray(length);
    this.#left -= length;
    return length;
  }

  async #readMore(): Promise<boolean> {
    const length = await this.#wire.read(this.#chunk);
    if (length === null) return false;
    const more = this.#chunk.subarray(0, length);
    // What was read before is used up as a rule, and then the chunk is free.
    this.#bytes = joined(this.#bytes, more);
    return true;
  }

  async #need(length: number): Promise<boolean> {
    while (this.#bytes.length < length) {
      if (!await this.#readMore()) return false;
    }
    return true;
  }

  #take(length: number): Uint8Array {
    const taken = this.#bytes.slice(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  /** Reads up to the payload of the next frame of data; what is about the connection is answered. */
  async #readHead(): Promise<boolean> {
    if (!await this.#need(2)) return false;
    const [first, second] = this.#bytes;
    const code = first & 15;
    const isData = code === CONTINUED || code === BINARY;
    // Masked, or with what nobody agreed upon.
    if ((first & 0x70) !== 0 || (second & 0x80) !== 0) {
      throw new Error("it sends frames that are none");
    }
    const size = second & 127;
    const more = size === 127 ? 8 : size === 126 ? 2 : 0;
    if (!await this.#need(2 + more)) return false;
    const view = new DataView(this.#take(2 + more).buffer);
    const length = more === 8
      ? Number(view.getBigUint64(2))
      : more === 2
      ? view.getUint16(2)
      : size;
    if (isData) {
      this.#left = length;
      return true;
    }
    if (![CLOSE, PING, PONG].includes(code) || length > 125) {
      throw new Error("it sends frames that are none");
    }
    if (!await this.#need(length)) return false;
    const payload = this.#take(length);
    if (code === CLOSE) return false;
    if (code === PING) this.#send(PONG, payload).catch(() => {});
    return true;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#send(BINARY, bytes);
    return bytes.length;
  }

  /** Frames go one after the other. */
  #send(code: number, bytes: Uint8Array): Promise<void> {
    const sending = this.#writing.then(() =>
      writeAll(this.#wire, frame(code, bytes))
    );
    this.#writing = sending.catch(() => {});
    return sending;
  }

  close(): void {
    this.#wire.close();
  }
}

/** A frame of a client: masked, as servers want it. */
function frame(code: number, bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const more = length > 65_535 ? 8 : length > 125 ? 2 : 0;
  const all = new Uint8Array(6 + more + length);
  const view = new DataView(all.buffer);
  all[0] = 0x80 | code;
  all[1] = 0x80 | (more === 8 ? 127 : more === 2 ? 126 : length);
  if (more === 8) view.setBigUint64(2, BigInt(length));
  else if (more === 2) view.setUint16(2, length);
  const mask = all.subarray(2 + more, 6 + more);
  crypto.getRandomValues(mask);
  const from = 6 + more;
  for (let i = 0; i < length; i++) all[from + i] = bytes[i] ^ mask[i & 3];
  return all;
}
