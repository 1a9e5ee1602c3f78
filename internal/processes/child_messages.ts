/**
 * The messages of one channel of a child, from the payloads of its frames.
 *
 * A child that tasks run in may send anything. What can't be read throws, and so
 * ends it; but a result that is whole and can't be made a value of, since it is
 * too large, is a failure of its own call. Nothing takes memory for being
 * announced.
 */

import { joined } from "../base/bytes.ts";
import type { Codec } from "../values/codec.ts";

/** In what announces bytes, `{"v8":`, and in no other message, this comes third. */
const LETTER_V = 0x76;
const OPENING = 0x5b;
const COMMA = 0x2c;
const NEWLINE = 0x0a;
/** How much memory there is at first for what was announced, in bytes. */
const MOST_AT_ONCE = 1 << 28;

/** What announces bytes. */
interface Head {
  readonly v8: number;
  readonly buffers: readonly number[];
  /** What they are: a line of JSON, or what came of a call; else a message. */
  readonly is?: "text" | "returned" | "threw";
  readonly slot?: number;
  readonly item?: number;
  readonly ms?: number;
}

/** The messages of one channel. */
export class MessageReader {
  readonly #codec: Codec;
  readonly #onMessage: (message: unknown, next?: unknown) => void;
  readonly #onOutput: (bytes: Uint8Array) => void;
  readonly #decoder = new TextDecoder();
  /** Lines that came together, to be read together: as the items of an array. */
  #lines = new Uint8Array(0);
  #linesEnd = 0;
  #lineCount = 0;
  /** The parts of a line whose end has not come yet. */
  #line: Uint8Array[] = [];
  /** What a line has announced, and the lengths of what follows on it. */
  #head: Head | undefined;
  #lengths: readonly number[] = [];
  /** The memory of these, up to the one that is being filled; how far that is. */
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  #filled = 0;
  /** Whether what is whole waits for `release` or `restart`. */
  #held = false;
  /** What came where something was printed in between. */
  #mixed: Uint8Array[] | undefined;

  constructor(
    codec: Codec,
    onMessage: (message: unknown, next?: unknown) => void,
    onOutput: (bytes: Uint8Array) => void,
  ) {
    this.#codec = codec;
    this.#onMessage = onMessage;
    this.#onOutput = onOutput;
  }

  // ---- Large frames ----------------------------------------------------------

  /** What was announced comes in one piece, and is not yet known to be whole. */
  hold(): number {
    if (!this.#head || this.#blocks.length !== 1 || this.#filled > 0) {
      throw new TypeError("a large frame of nothing that was announced");
    }
    this.#held = true;
    return sum(this.#lengths);
  }

  /** It is whole. */
  release(): void {
    this.#held = false;
    this.#deliver();
  }

  /** It is not, and will come again; `rest` is what came when it was to be over. */
  restart(rest: Uint8Array): void {
    this.#held = false;
    this.#mixed = [...this.#blocks, rest];
    this.#blocks = [];
    this.#nextBlock();
  }

  /** What is missing of the block that is being filled. */
  get target(): Uint8Array<ArrayBuffer> | undefined {
    return this.#blocks.at(-1)?.subarray(this.#filled);
  }

  filled(bytes: Uint8Array<ArrayBuffer>): void {
    // Reading moves the memory that it reads to: each block has one of its own.
    this.#blocks[this.#blocks.length - 1] = new Uint8Array(bytes.buffer);
    this.#advance(bytes.length);
  }

  // ---- Payloads --------------------------------------------------------------

  push(payload: Uint8Array): void {
    while (payload.length > 0) {
      payload = this.#head ? this.#fill(payload) : this.#readLine(payload);
    }
  }

  #fill(payload: Uint8Array): Uint8Array {
    const target = this.target!;
    const part = payload.subarray(0, target.length);
    target.set(part);
    this.#advance(part.length);
    return payload.subarray(part.length);
  }

  /** So much was filled: on to the next block, or to the message that is whole. */
  #advance(length: number): void {
    this.#filled += length;
    const at = this.#blocks.length - 1;
    const block = this.#blocks[at];
    if (this.#filled < block.length) return;
    const whole = this.#lengths[at];
    if (block.length < whole) {
      // Only for what has come is there more.
      const more = Math.min(whole, block.length * 2);
      this.#blocks[at] = new Uint8Array(block.buffer.transfer(more));
      return;
    }
    this.#nextBlock();
  }

  /** Makes room for the next block that is not empty, if there is one. */
  #nextBlock(): void {
    this.#filled = 0;
    while (this.#blocks.length < this.#lengths.length) {
      const length = this.#lengths[this.#blocks.length];
      this.#blocks.push(new Uint8Array(Math.min(length, MOST_AT_ONCE)));
      if (length > 0) return;
    }
    if (!this.#held) this.#deliver();
  }

  /** All that was announced is there. */
  #deliver(): void {
    const head = this.#head!;
    const blocks = this.#blocks;
    this.#head = undefined;
    this.#blocks = [];
    if (this.#mixed) this.#onOutput(printedBetween(this.#mixed, blocks));
    this.#mixed = undefined;
    this.#onMessage(this.#messageOf(head, blocks));
  }

  #messageOf(
    head: Head,
    [bytes, ...buffers]: readonly Uint8Array<ArrayBuffer>[],
  ): unknown {
    if (head.is === "text") return JSON.parse(this.#decoder.decode(bytes));
    const read = () =>
      this.#codec.decode({
        bytes,
        buffers: buffers.map(({ buffer }) => buffer),
      });
    if (head.is === undefined) return read();
    const { is, slot, item, ms } = head;
    const message = { type: "outcome", slot, item, ms };
    try {
      const value = read();
      const outcome = is === "returned" ? { is, value } : { is, what: value };
      return { ...message, outcome };
    } catch (cause) {
      const size = sum(head.buffers) + head.v8;
      const error = new DOMException(
        `Cannot read what a call ${is}, which is ${size} bytes: ${
          (cause as Error).message
        }; have it give less at a time`,
        "DataCloneError",
      );
      Object.defineProperty(error, "cause", { value: cause });
      return { ...message, outcome: { is: "raised", error } };
    }
  }

  #readLine(payload: Uint8Array): Uint8Array {
    const end = payload.indexOf(NEWLINE);
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
    if (Object.hasOwn(Object(message), "v8")) {
      this.#head = headOf(message);
      this.#lengths = [this.#head.v8, ...this.#head.buffers];
      this.#nextBlock();
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
    this.#lines[this.#linesEnd + 1] = NEWLINE;
    this.#lines.set(payload.subarray(0, length), this.#linesEnd + 2);
    this.#linesEnd = end;
    this.#lineCount++;
  }

  /** Reads the lines that came together, each with the next in view. */
  flush(): void {
    if (this.#linesEnd === 0) return;
    const text = this.#decoder.decode(this.#lines.subarray(0, this.#linesEnd));
    const count = this.#lineCount;
    this.#linesEnd = this.#lineCount = 0;
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
    if (messages.length !== count) {
      throw new TypeError("a line that is not one message");
    }
    for (let i = 0; i < count; i++) {
      this.#onMessage(messages[i], messages[i + 1]);
    }
  }
}

/**
 * Checks what announces bytes.
 *
 * @throws {TypeError} when it announces nothing that can come.
 */
function headOf(message: Record<string, unknown>): Head {
  // What it leaves out is not to be read from all objects' prototype.
  Object.setPrototypeOf(message, null);
  const { v8, buffers = [], is } = message;
  const isLength = (length: unknown) =>
    Number.isSafeInteger(length) && (length as number) >= 0;
  if (
    !isLength(v8) || !Array.isArray(buffers) || !buffers.every(isLength) ||
    ![undefined, "text", "returned", "threw"].includes(is as Head["is"])
  ) throw new TypeError("bytes were announced in a way that makes no sense");
  return Object.assign(message, { v8, buffers }) as unknown as Head;
}

/**
 * What is not of the blocks, and came between their bytes. If it begins with a
 * byte that was to come then, it can't be told which of the two it is: it may be
 * output as if it had come a byte later.
 */
function printedBetween(
  mixed: readonly Uint8Array[],
  blocks: readonly Uint8Array[],
): Uint8Array {
  const all = joined(...mixed);
  const printed: Uint8Array[] = [];
  let at = 0;
  let begin = 0;
  for (const block of blocks) {
    for (let i = 0; i < block.length && at < all.length; at++) {
      if (all[at] === block[i]) {
        if (at > begin) printed.push(all.subarray(begin, at));
        begin = at + 1;
        i++;
      }
    }
  }
  return joined(...printed, all.subarray(begin));
}

function sum(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0);
}
