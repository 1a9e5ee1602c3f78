/**
 * How a child speaks on a stdout that it shares with whatever its tasks print.
 *
 * A task may print anything, start a program that inherits stdout, or copy what
 * it has seen of this protocol. So what the child itself says comes in frames
 * that begin with a secret, and all else is output. A frame is never longer
 * than what a pipe takes in one piece (`PIPE_BUF`), so nothing gets into the
 * middle of one, whoever writes at the same time. Only where nobody else can
 * write, since tasks may start no program and have started no worker, do large
 * results come in large frames; the child's own two threads take turns then.
 *
 * ```text
 * frame   = 0x1E, secret (11 bytes), channel (1), length (3), payload, 0x0A
 * channel = 0: the thread that runs tasks; 1: the thread that watches stdin
 * message = a line of JSON; or {"v8":n,"buffers":[m,…]} and a newline, n bytes
 *           of V8's serialiser, and the buffers that go apart from these
 * ```
 *
 * The newline at the end is there because the runtime's stdout is buffered by
 * lines: what comes after the last newline would leave in a write of its own, and
 * a program that a task started could print between the two.
 *
 * The payloads of a channel are one stream of messages. `makeFrameWriter` and
 * `FrameReader` are the two ends of it.
 */

import type { Codec, Packed } from "./codec.ts";

/** The length of a frame's head, in bytes. */
const HEAD = 16;
/** Where a frame begins, unless it is a byte of output. */
const MARK = 0x1e;

/** In what announces bytes, `{"v8":`, and in no other message, this comes third. */
const LETTER_V = 0x76;
const OPENING = 0x5b;
const COMMA = 0x2c;

/** What the writers of a child have in common. */
export interface FrameSharing {
  /** One `Int32`: 1 while one of the threads writes. */
  readonly lock: Int32Array<SharedArrayBuffer>;
  /** Whether nobody but these threads can write. */
  isAlone(): boolean;
}

/**
 * Makes the child's end: what sends a packed message.
 *
 * Self-contained: children get it as its source.
 */
export function makeFrameWriter(
  secret: readonly number[],
  channel: number,
  sharing?: FrameSharing,
): (message: Packed) => void {
  const HEAD = 16;
  // What POSIX promises to write in one piece; Linux and Windows keep to 4096.
  const SMALL = Deno.build.os === "darwin" ? 512 : 4096;
  const LARGE = 1 << 23;
  const writeSync = Deno.stdout.writeSync.bind(Deno.stdout);
  const { compareExchange, store, notify, wait } = Atomics;
  const frame = new Uint8Array(SMALL);
  const newline = new Uint8Array([0x0a]);
  const encoder = new TextEncoder();
  const encode = encoder.encode.bind(encoder);
  const encodeInto = encoder.encodeInto.bind(encoder);
  const lock = sharing?.lock ?? new Int32Array(new SharedArrayBuffer(4));
  frame.set([0x1e, ...secret, channel]);
  /** The payload of a short frame, and the newline at its end. */
  const room = frame.subarray(HEAD);

  function write(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0;) {
      try {
        const count = writeSync(rest);
        if (count === rest.length) return;
        rest = rest.subarray(count);
      } catch (error) {
        // By a signal, which somebody has handled.
        if (error instanceof Deno.errors.Interrupted) continue;
        // A program that a task started may have made the pipe non-blocking.
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  function setLength(length: number): void {
    frame[13] = length >> 16;
    frame[14] = length >> 8;
    frame[15] = length;
  }

  function send(bytes: Uint8Array): void {
    if (bytes.length > SMALL && sharing?.isAlone()) {
      for (let at = 0; at < bytes.length; at += LARGE) {
        const part = bytes.subarray(at, at + LARGE);
        setLength(part.length);
        write(frame.subarray(0, HEAD));
        write(part);
        write(newline);
      }
      return;
    }
    for (let at = 0; at < bytes.length; at += SMALL - HEAD - 1) {
      const part = bytes.subarray(at, at + SMALL - HEAD - 1);
      const end = HEAD + part.length;
      setLength(part.length);
      frame.set(part, HEAD);
      frame[end] = 0x0a;
      write(frame.subarray(0, end + 1));
    }
  }

  function sendMessage(message: Packed): void {
    if (typeof message === "string") {
      // A letter takes three bytes at most.
      if (message.length > (SMALL - HEAD - 2) / 3) {
        return send(encode(`${message}\n`));
      }
      const { written } = encodeInto(`${message}\n\n`, room);
      setLength(written - 1);
      return write(frame.subarray(0, HEAD + written));
    }
    const { bytes, buffers } = message instanceof Uint8Array
      ? { bytes: message, buffers: [] }
      : message;
    let lengths = "";
    for (const { byteLength } of buffers) {
      lengths += `${lengths && ","}${byteLength}`;
    }
    // Not by JSON.stringify, which asks objects for a toJSON of a task's making.
    send(encode(`{"v8":${bytes.length},"buffers":[${lengths}]}\n`));
    send(bytes);
    for (const buffer of buffers) send(new Uint8Array(buffer));
  }

  return (message) => {
    while (compareExchange(lock, 0, 0, 1) !== 0) wait(lock, 0, 1);
    try {
      sendMessage(message);
    } finally {
      store(lock, 0, 0);
      notify(lock, 0);
    }
  };
}

/** The pool's end: tells a child's messages from what its tasks print. */
export class FrameReader {
  readonly #secret: readonly number[];
  readonly #onOutput: (bytes: Uint8Array) => void;
  readonly #channels: readonly MessageReader[];
  /** The head of a frame whose end has not come yet. */
  #rest: Uint8Array = new Uint8Array(0);
  /** The frame whose payload is coming, and how much of it is still to come. */
  #channel = 0;
  #left = 0;
  /** Whether the newline at the end of that frame is still to come. */
  #open = false;

  constructor(
    secret: readonly number[],
    codec: Codec,
    onMessage: (message: unknown, next?: unknown) => void,
    onOutput: (bytes: Uint8Array) => void,
  ) {
    this.#secret = secret;
    this.#onOutput = onOutput;
    this.#channels = [0, 1].map(() => new MessageReader(codec, onMessage));
  }

  push(bytes: Uint8Array): void {
    try {
      this.#takeApart(bytes);
    } finally {
      for (const channel of this.#channels) channel.flush();
    }
  }

  #takeApart(bytes: Uint8Array): void {
    const data = this.#rest.length === 0 ? bytes : joined(this.#rest, bytes);
    this.#rest = new Uint8Array(0);
    let at = this.#payload(data, 0);
    let output = at;
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
      flush(at);
      if (head.length < HEAD) {
        this.#rest = data.slice(at);
        return;
      }
      this.#channel = head[12];
      this.#left = head[13] << 16 | head[14] << 8 | head[15];
      this.#open = true;
      output = at = this.#payload(data, at + HEAD);
    }
  }

  /**
   * Where to read on to, if what comes next is part of a large buffer: it need
   * not be copied then. Whoever reads to there says so with `filled`.
   */
  get target(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#left < HEAD * HEAD) return undefined;
    return this.#channels[this.#channel]?.target?.subarray(0, this.#left);
  }

  /** What was read to the `target`, whose memory may have moved. */
  filled(bytes: Uint8Array<ArrayBuffer>): void {
    this.#left -= bytes.length;
    this.#channels[this.#channel].filled(bytes);
  }

  /** Nothing more comes: what looked like a frame's beginning was output. */
  end(): void {
    if (this.#rest.length > 0) this.#onOutput(this.#rest);
    this.#rest = new Uint8Array(0);
  }

  /** Passes on what there is of a frame's payload; returns where the frame ends. */
  #payload(data: Uint8Array, at: number): number {
    const part = data.subarray(at, at + this.#left);
    this.#left -= part.length;
    if (part.length > 0) this.#channels[this.#channel]?.push(part);
    const end = at + part.length;
    if (!this.#open || this.#left > 0 || end === data.length) return end;
    this.#open = false;
    return end + 1;
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
  readonly #onMessage: (message: unknown, next?: unknown) => void;
  readonly #decoder = new TextDecoder();
  /** Lines that came together, to be read together: as the items of an array. */
  #lines = new Uint8Array(0);
  #linesEnd = 0;
  /** The parts of a line whose end has not come yet. */
  #line: Uint8Array[] = [];
  /** What a line has announced: bytes of V8's serialiser, then buffers. */
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  /** Which of these is being filled, and how far it is. */
  #block = 0;
  #filled = 0;

  constructor(
    codec: Codec,
    onMessage: (message: unknown, next?: unknown) => void,
  ) {
    this.#codec = codec;
    this.#onMessage = onMessage;
  }

  /** What is missing of the block that is being filled. */
  get target(): Uint8Array<ArrayBuffer> | undefined {
    return this.#blocks[this.#block]?.subarray(this.#filled);
  }

  filled(bytes: Uint8Array<ArrayBuffer>): void {
    // Reading moves the memory that it reads to: each block has one of its own.
    this.#blocks[this.#block] = new Uint8Array(bytes.buffer);
    this.#advance(bytes.length);
  }

  push(payload: Uint8Array): void {
    while (payload.length > 0) {
      payload = this.#blocks.length > 0
        ? this.#fill(payload)
        : this.#readLine(payload);
    }
  }

  #fill(payload: Uint8Array): Uint8Array {
    const part = payload.subarray(0, this.target!.length);
    this.target!.set(part);
    this.#advance(part.length);
    return payload.subarray(part.length);
  }

  /** So much was filled: on to the next block, or to the message that is whole. */
  #advance(length: number): void {
    this.#filled += length;
    while (this.#filled === this.#blocks[this.#block].length) {
      this.#filled = 0;
      if (++this.#block < this.#blocks.length) continue;
      const [bytes, ...buffers] = this.#blocks;
      this.#blocks = [];
      this.#block = 0;
      this.#onMessage(
        this.#codec.decode({
          bytes,
          buffers: buffers.map(({ buffer }) => buffer),
        }),
      );
      return;
    }
  }

  #readLine(payload: Uint8Array): Uint8Array {
    const end = payload.indexOf(10);
    if (end < 0) {
      // The pool reads on into the same memory.
      this.#line.push(payload.slice());
      return payload.subarray(payload.length);
    }
    if (this.#line.length === 0 && payload[2] !== LETTER_V) {
      this.#addLine(payload, end);
      return payload.subarray(end + 1);
    }
    this.flush();
    this.#line.push(payload.subarray(0, end));
    const text = this.#line.length === 1
      ? this.#decoder.decode(this.#line[0])
      : this.#decoder.decode(joined(...this.#line));
    this.#line = [];
    const message = JSON.parse(text);
    if (typeof message.v8 === "number") {
      const lengths: number[] = [message.v8, ...message.buffers ?? []];
      this.#blocks = lengths.map((length) => new Uint8Array(length));
    } else {
      this.#onMessage(message);
    }
    return payload.subarray(end + 1);
  }

  #addLine(payload: Uint8Array, length: number): void {
    const end = this.#linesEnd + length + 2;
    if (end > this.#lines.length) {
      const longer = new Uint8Array(Math.max(end * 2, 4096));
      longer.set(this.#lines);
      this.#lines = longer;
    }
    // No text of JSON has a comma before a newline in it.
    this.#lines[this.#linesEnd] = this.#linesEnd === 0 ? OPENING : COMMA;
    this.#lines[this.#linesEnd + 1] = 10;
    this.#lines.set(payload.subarray(0, length), this.#linesEnd + 2);
    this.#linesEnd = end;
  }

  /** Reads the lines that came together, each with the next in view. */
  flush(): void {
    if (this.#linesEnd === 0) return;
    const text = this.#decoder.decode(this.#lines.subarray(0, this.#linesEnd));
    this.#linesEnd = 0;
    let messages: unknown[];
    try {
      messages = JSON.parse(`${text}]`);
    } catch {
      // Those before the one that can't be read.
      for (const line of text.slice(2).split(",\n")) {
        this.#onMessage(JSON.parse(line));
      }
      return;
    }
    for (let i = 0; i < messages.length; i++) {
      this.#onMessage(messages[i], messages[i + 1]);
    }
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
