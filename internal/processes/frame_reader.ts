/**
 * How a child speaks on a stdout that it shares with whatever its tasks print.
 *
 * A task may print anything, start threads that do, or a program that inherits
 * stdout, or copy what it has seen of this protocol. So what the child itself
 * says comes in frames that begin with a secret, and all else is output. A short
 * frame is never longer than what a pipe takes in one piece (`PIPE_BUF`), so
 * nothing gets into the middle of one, whoever writes at the same time.
 *
 * ```text
 * frame   = 0x1E, secret (11 bytes), kind (1), length (3), payload, 0x0A
 * kind    = 0: of the thread that runs tasks; 1: of the one that watches stdin
 *           2: a large frame begins: all that the message has announced follows
 *           3: it ends here
 * message = a line of JSON; or {"v8":n,"buffers":[m,…], …} and a newline, n bytes
 *           of V8's serialiser, and the buffers that go apart from these
 * ```
 *
 * The newline at the end is there because the runtime's stdout is buffered by
 * lines: what comes after the last newline would leave in a write of its own, and
 * a program that a task started could print between the two.
 *
 * ## Large frames
 *
 * What is large would take a fifth longer in short frames. So it goes as it is,
 * and what others print may get into the middle of it. Who prints can't be known:
 * there are too many ways to start a thread.
 *
 * 1. The child writes the beginning, the bytes, and the end; and waits.
 * 2. The pool reads as many bytes as were announced. If the end follows, nothing
 *    got between: it says so, and the child goes on.
 * 3. If not, it reads on to the end, which nobody else can write, and asks for
 *    the bytes again. They come in short frames.
 * 4. What came before without being part of these is what others printed.
 *
 * The payloads of a channel are one stream of messages. `makeFrameWriter`
 * (`processes/frame_writer.ts`) and `FrameReader` are the two ends of it.
 */

import { joined } from "../base/bytes.ts";
import type { Codec } from "../values/codec.ts";
import { MessageReader } from "./child_messages.ts";

/** The length of a frame's head, in bytes. */
const HEAD = 16;
/** Where a frame begins, unless it is a byte of output. */
const MARK = 0x1e;
const NEWLINE = 0x0a;
const LARGE_BEGINS = 2;
const LARGE_ENDS = 3;

/** The pool's end: tells a child's messages from what its tasks print. */
export class FrameReader {
  readonly #secret: readonly number[];
  readonly #onOutput: (bytes: Uint8Array) => void;
  readonly #onLarge: (cameWhole: boolean) => void;
  readonly #channels: readonly MessageReader[];
  /** What a large frame ends with. */
  readonly #ending: Uint8Array;
  /** The head of a frame whose end has not come yet. */
  #rest: Uint8Array = new Uint8Array(0);
  /** The frame whose payload is coming, and how much of it is still to come. */
  #channel = 0;
  #left = 0;
  /** Whether the newline at the end of that frame is still to come. */
  #open = false;
  /** How much of a large frame is still to come; its end, then, too. */
  #large: number | undefined;
  /** What came after as many bytes as a large frame has, until its end is found. */
  #after: Uint8Array = new Uint8Array(0);

  /**
   * @param onMessage Told of each message, with the next of its channel if that
   * came along.
   * @param onOutput Told of what is no frame.
   * @param onLarge Told whether a large frame came whole: the child waits for it.
   */
  constructor(
    secret: readonly number[],
    codec: Codec,
    onMessage: (message: unknown, next?: unknown) => void,
    onOutput: (bytes: Uint8Array) => void,
    onLarge: (cameWhole: boolean) => void = () => {},
  ) {
    this.#secret = secret;
    this.#onOutput = onOutput;
    this.#onLarge = onLarge;
    this.#channels = [0, 1].map(() =>
      new MessageReader(codec, onMessage, onOutput)
    );
    this.#ending = new Uint8Array(
      [MARK, ...secret, LARGE_ENDS, 0, 0, 0, NEWLINE],
    );
  }

  push(bytes: Uint8Array): void {
    try {
      this.#takeApart(bytes);
    } finally {
      for (const channel of this.#channels) channel.flush();
    }
  }

  #takeApart(bytes: Uint8Array): void {
    let data = this.#rest.length === 0 ? bytes : joined(this.#rest, bytes);
    this.#rest = new Uint8Array(0);
    let at = this.#payload(data, 0);
    let output = at;
    const flush = (end: number) => {
      if (end > output) this.#onOutput(data.subarray(output, end));
    };
    while (true) {
      if (this.#large !== undefined) {
        const rest = this.#takeLarge(data.subarray(at));
        if (!rest) return;
        data = rest;
        output = at = 0;
      }
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
      this.#begin(head);
      output = at = this.#payload(data, at + HEAD);
    }
  }

  /** A frame begins. */
  #begin(head: Uint8Array): void {
    const kind = head[12];
    const length = head[13] << 16 | head[14] << 8 | head[15];
    const isLarge = kind === LARGE_BEGINS;
    if (kind > 1 && !isLarge || isLarge && length > 0) {
      throw new TypeError(`a frame of kind ${kind} in this place`);
    }
    this.#channel = isLarge ? 0 : kind;
    this.#left = length;
    this.#open = true;
    if (isLarge) this.#large = this.#channels[0].hold();
  }

  /**
   * Where to read on to, if what comes next is part of a large buffer: it need
   * not be copied then. Whoever reads to there says so with `filled`.
   */
  get target(): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#large || this.#open || this.#large < HEAD * HEAD) {
      return undefined;
    }
    return this.#channels[0].target?.subarray(0, this.#large);
  }

  /** What was read to the `target`, whose memory may have moved. */
  filled(bytes: Uint8Array<ArrayBuffer>): void {
    this.#large! -= bytes.length;
    this.#channels[0].filled(bytes);
  }

  /** Takes of a large frame what there is; gives what follows on its end. */
  #takeLarge(data: Uint8Array): Uint8Array | undefined {
    // The newline of its beginning may still be to come.
    if (this.#open) return undefined;
    const part = data.subarray(0, this.#large);
    this.#large! -= part.length;
    if (part.length > 0) this.#channels[0].push(part);
    const before = this.#after.length;
    const after = this.#after = joined(
      this.#after,
      data.subarray(part.length),
    );
    if (this.#large! > 0) return undefined;
    const ending = this.#ending;
    for (let at = Math.max(0, before - ending.length);; at++) {
      at = after.indexOf(MARK, at);
      if (at < 0 || at + ending.length > after.length) return undefined;
      if (!ending.every((byte, i) => after[at + i] === byte)) continue;
      this.#large = undefined;
      this.#after = new Uint8Array(0);
      if (at === 0) this.#channels[0].release();
      else this.#channels[0].restart(after.slice(0, at));
      this.#onLarge(at === 0);
      return after.subarray(at + ending.length);
    }
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
    if (part.length > 0) this.#channels[this.#channel].push(part);
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
