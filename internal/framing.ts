/**
 * How a child speaks on a stdout that it shares with whatever its tasks print.
 *
 * A task may print anything, start a program that inherits stdout, or copy what
 * it has seen of this protocol. So what the child itself says comes in frames
 * that begin with a secret, and all else is output. A frame is never longer
 * than what a pipe takes in one piece (`PIPE_BUF`), so nothing gets into the
 * middle of one, whoever writes at the same time.
 *
 * ```text
 * frame   = 0x1E, secret (11 bytes), channel (1), 0 (1), length (2), payload
 * channel = 0: the thread that runs tasks; 1: the thread that watches stdin
 * message = a line of JSON, or {"v8":n} and a newline, and n bytes
 * ```
 *
 * The payloads of a channel are one stream of messages. `makeFrameWriter` and
 * `FrameReader` are the two ends of it.
 */

import type { Codec, Packed } from "./codec.ts";

/** The length of a frame's head, in bytes. */
const HEAD = 16;
/** Where a frame begins, unless it is a byte of output. */
const MARK = 0x1e;

/**
 * Makes the child's end: what sends a packed message.
 *
 * Self-contained: children get it as its source.
 */
export function makeFrameWriter(
  secret: readonly number[],
  channel: number,
): (message: Packed) => void {
  const HEAD = 16;
  // What POSIX promises to write in one piece; Linux and Windows keep to 4096.
  const LONGEST = Deno.build.os === "darwin" ? 512 : 4096;
  const { stdout } = Deno;
  const frame = new Uint8Array(LONGEST);
  const encoder = new TextEncoder();
  frame.set([0x1e, ...secret, channel, 0]);

  function write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      try {
        done += stdout.writeSync(bytes.subarray(done));
      } catch (error) {
        // A program that a task started may have made the pipe non-blocking.
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  function send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += LONGEST - HEAD) {
      const part = bytes.subarray(at, at + LONGEST - HEAD);
      frame[14] = part.length >> 8;
      frame[15] = part.length & 255;
      frame.set(part, HEAD);
      write(frame.subarray(0, HEAD + part.length));
    }
  }

  return (message) => {
    if (typeof message === "string") {
      send(encoder.encode(`${message}\n`));
    } else {
      send(encoder.encode(`{"v8":${message.length}}\n`));
      send(message);
    }
  };
}

/** The pool's end: tells a child's messages from what its tasks print. */
export class FrameReader {
  readonly #secret: readonly number[];
  readonly #onOutput: (bytes: Uint8Array) => void;
  readonly #channels: readonly MessageReader[];
  /** The beginning of a frame whose end has not come yet. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(
    secret: readonly number[],
    codec: Codec,
    onMessage: (message: unknown) => void,
    onOutput: (bytes: Uint8Array) => void,
  ) {
    this.#secret = secret;
    this.#onOutput = onOutput;
    this.#channels = [0, 1].map(() => new MessageReader(codec, onMessage));
  }

  push(bytes: Uint8Array): void {
    const data = this.#rest.length === 0 ? bytes : joined(this.#rest, bytes);
    this.#rest = new Uint8Array(0);
    let output = 0;
    let at = 0;
    const flush = (end: number) => {
      if (end > output) this.#onOutput(data.subarray(output, end));
    };
    while (true) {
      at = data.indexOf(MARK, at);
      if (at < 0) return flush(data.length);
      const head = data.subarray(at, at + HEAD);
      if (!this.#mayBeHead(head)) {
        at++;
        continue;
      }
      const end = at + HEAD + (head[14] << 8 | head[15]);
      if (head.length < HEAD || end > data.length) {
        flush(at);
        this.#rest = data.slice(at);
        return;
      }
      flush(at);
      this.#channels[head[12]]?.push(data.subarray(at + HEAD, end));
      output = at = end;
    }
  }

  /** Nothing more comes: what looked like a frame's beginning was output. */
  end(): void {
    if (this.#rest.length > 0) this.#onOutput(this.#rest);
    this.#rest = new Uint8Array(0);
  }

  #mayBeHead(head: Uint8Array): boolean {
    const length = Math.min(head.length - 1, this.#secret.length);
    for (let i = 0; i < length; i++) {
      if (head[i + 1] !== this.#secret[i]) return false;
    }
    return true;
  }
}

/** The messages of one channel. */
class MessageReader {
  readonly #codec: Codec;
  readonly #onMessage: (message: unknown) => void;
  readonly #decoder = new TextDecoder();
  /** The parts of a line whose end has not come yet. */
  #line: Uint8Array[] = [];
  /** The bytes that a line has announced, and how many of them are there. */
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;

  constructor(codec: Codec, onMessage: (message: unknown) => void) {
    this.#codec = codec;
    this.#onMessage = onMessage;
  }

  push(payload: Uint8Array): void {
    while (payload.length > 0) {
      payload = this.#bytes
        ? this.#fill(this.#bytes, payload)
        : this.#readLine(payload);
    }
  }

  #fill(bytes: Uint8Array<ArrayBuffer>, payload: Uint8Array): Uint8Array {
    const part = payload.subarray(0, bytes.length - this.#filled);
    bytes.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled === bytes.length) {
      this.#bytes = undefined;
      this.#onMessage(this.#codec.decode(bytes));
    }
    return payload.subarray(part.length);
  }

  #readLine(payload: Uint8Array): Uint8Array {
    const end = payload.indexOf(10);
    if (end < 0) {
      // The pool reads on into the same memory.
      this.#line.push(payload.slice());
      return payload.subarray(payload.length);
    }
    this.#line.push(payload.subarray(0, end));
    const text = this.#line.length === 1
      ? this.#decoder.decode(this.#line[0])
      : this.#decoder.decode(joined(...this.#line));
    this.#line = [];
    const message = JSON.parse(text);
    if (typeof message.v8 === "number") {
      this.#bytes = new Uint8Array(message.v8);
      this.#filled = 0;
    } else {
      this.#onMessage(message);
    }
    return payload.subarray(end + 1);
  }
}

/** Several pieces as one. */
export function joined(
  ...parts: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
