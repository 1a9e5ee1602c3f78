/**
 * The child's end of its stdout: what sends packed messages, in frames. What
 * these look like, and why, is told in `processes/frame_reader.ts`.
 *
 * A task may replace what every object inherits, to read the secret of the
 * frames or to have them say something else. So what is used here was taken
 * before any task ran, and is called as it is; no list is iterated, and no view
 * is made by a method, which would ask its class for a class.
 */

import type { Packed } from "../values/codec.ts";

/** What the writers of a child have in common. */
export interface FrameSharing {
  /**
   * Two `Int32`: 1 while one of the threads writes; and what the pool says of the
   * large frame that it was sent: 1 if it came whole, 2 if it did not.
   */
  readonly lock: Int32Array<SharedArrayBuffer>;
  /** Whether large frames may be sent: whether this thread can wait for that. */
  readonly large: boolean;
}

/**
 * Sends a message.
 *
 * @param about More members for the head of one that is no text, such as `,"a":1`.
 */
export type FrameWriter = (message: Packed, about?: string) => void;

/**
 * Makes the child's end.
 *
 * Self-contained: children get it as its source.
 */
export function makeFrameWriter(
  secret: readonly number[],
  channel: number,
  sharing?: FrameSharing,
): FrameWriter {
  const HEAD = 16;
  // What POSIX promises to write in one piece; Linux and Windows keep to 4096.
  const SMALL = Deno.build.os === "darwin" ? 512 : 4096;
  /** How much a short frame carries. */
  const PART = SMALL - HEAD - 1;
  // Linux takes a write apart at the borders of its pages, so many whole frames
  // may go together there.
  const TOGETHER = Deno.build.os === "linux" ? 32 : 1;
  /** What is worth to be asked about, in bytes. */
  const LARGE = 1 << 20;
  const LARGE_BEGINS = 2;
  const LARGE_ENDS = 3;
  const { Uint8Array, ArrayBuffer } = globalThis;
  const { compareExchange, load, store, notify, wait } = Atomics;
  const { bind, call } = Function.prototype;
  const { getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Object;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const viewPrototype = getPrototypeOf(Uint8Array.prototype);
  const getter = (proto: object, key: string) =>
    uncurried(getOwnPropertyDescriptor(proto, key)!.get);
  const memoryOf: (bytes: Uint8Array) => ArrayBuffer = getter(
    viewPrototype,
    "buffer",
  );
  const beginOf: (bytes: Uint8Array) => number = getter(
    viewPrototype,
    "byteOffset",
  );
  const lengthOf: (bytes: Uint8Array) => number = getter(
    viewPrototype,
    "length",
  );
  const sizeOf: (buffer: ArrayBuffer) => number = getter(
    ArrayBuffer.prototype,
    "byteLength",
  );
  const setIn: (to: Uint8Array, from: Uint8Array, at: number) => void =
    uncurried(viewPrototype.set);
  const isIn: (proto: object, value: unknown) => boolean = uncurried(
    Object.prototype.isPrototypeOf,
  );
  const bytesPrototype = Uint8Array.prototype;
  const interruption = Deno.errors.Interrupted.prototype;
  const fullPipe = Deno.errors.WouldBlock.prototype;
  const writeSync = Deno.stdout.writeSync.bind(Deno.stdout);
  const encoder = new TextEncoder();
  const encode = encoder.encode.bind(encoder);
  const encodeInto = encoder.encodeInto.bind(encoder);
  const lock = sharing?.lock ?? new Int32Array(new SharedArrayBuffer(8));
  const never = new Int32Array(new SharedArrayBuffer(4));
  const memory = new ArrayBuffer(SMALL);
  const frame = new Uint8Array(memory);
  setIn(frame, new Uint8Array([0x1e, ...secret, channel]), 0);
  /** The payload of a short frame, and the newline at its end. */
  const room = new Uint8Array(memory, HEAD);
  /** Memory for short frames that go together. */
  let many: ArrayBuffer | undefined;

  function write(memory: ArrayBuffer, begin: number, length: number): void {
    const end = begin + length;
    for (let at = begin; at < end;) {
      try {
        at += writeSync(new Uint8Array(memory, at, end - at));
      } catch (error) {
        // By a signal, which somebody has handled.
        if (isIn(interruption, error)) continue;
        // A program that a task started may have made the pipe non-blocking.
        if (!isIn(fullPipe, error)) throw error;
        wait(never, 0, 0, 1);
      }
    }
  }

  function setLength(frame: Uint8Array, at: number, length: number): void {
    frame[at + 13] = length >> 16;
    frame[at + 14] = length >> 8;
    frame[at + 15] = length;
  }

  /** Sends bytes in short frames, which nothing gets into the middle of. */
  function send(bytes: Uint8Array): void {
    const from = memoryOf(bytes);
    let at = beginOf(bytes);
    const end = at + lengthOf(bytes);
    if (TOGETHER > 1 && end - at > 2 * PART) {
      many ??= new ArrayBuffer(TOGETHER * SMALL);
      const frames = new Uint8Array(many);
      setLength(frame, 0, PART);
      const head = new Uint8Array(memory, 0, HEAD);
      while (end - at >= PART) {
        let to = 0;
        for (; to < TOGETHER * SMALL && end - at >= PART; at += PART) {
          setIn(frames, head, to);
          setIn(frames, new Uint8Array(from, at, PART), to + HEAD);
          to += SMALL;
          frames[to - 1] = 0x0a;
        }
        write(many, 0, to);
      }
    }
    while (at < end) {
      const length = end - at < PART ? end - at : PART;
      setLength(frame, 0, length);
      setIn(room, new Uint8Array(from, at, length), 0);
      room[length] = 0x0a;
      write(memory, 0, HEAD + length + 1);
      at += length;
    }
  }

  /** A frame with no payload of its own. */
  function mark(kind: number): void {
    frame[12] = kind;
    setLength(frame, 0, 0);
    room[0] = 0x0a;
    write(memory, 0, HEAD + 1);
    frame[12] = channel;
  }

  /** Sends a message; gives what the pool is to be asked about. */
  function sendMessage(
    message: Packed,
    about: string,
  ): Uint8Array[] | undefined {
    const blocks: Uint8Array[] = setPrototypeOf([], null);
    let lengths = "";
    if (typeof message === "string") {
      // A letter takes three bytes at most.
      if (message.length <= (SMALL - HEAD - 2) / 3) {
        const { written } = encodeInto(`${message}\n\n`, room);
        setLength(frame, 0, written - 1);
        write(memory, 0, HEAD + written);
        return undefined;
      }
      if (!sharing?.large || message.length < LARGE) {
        send(encode(`${message}\n`));
        return undefined;
      }
      blocks[0] = encode(message);
      about = `,"is":"text"`;
    } else if (isIn(bytesPrototype, message)) {
      blocks[0] = message as Uint8Array;
    } else {
      const { bytes, buffers } = message as Exclude<
        Packed,
        string | Uint8Array
      >;
      blocks[0] = bytes;
      for (let i = 0; i < buffers.length; i++) {
        lengths += `${lengths && ","}${sizeOf(buffers[i])}`;
        blocks[i + 1] = new Uint8Array(buffers[i]);
      }
    }
    // Not by JSON.stringify, which asks objects for a toJSON of a task's making.
    const length = lengthOf(blocks[0]);
    send(encode(`{"v8":${length},"buffers":[${lengths}]${about}}\n`));
    let all = 0;
    for (let i = 0; i < blocks.length; i++) all += lengthOf(blocks[i]);
    if (!sharing?.large || all < LARGE) {
      for (let i = 0; i < blocks.length; i++) send(blocks[i]);
      return undefined;
    }
    store(lock, 1, 0);
    mark(LARGE_BEGINS);
    for (let i = 0; i < blocks.length; i++) {
      const block = blocks[i];
      write(memoryOf(block), beginOf(block), lengthOf(block));
    }
    mark(LARGE_ENDS);
    return blocks;
  }

  /** Whether the pool got what was sent, and nothing between it. */
  function cameWhole(): boolean {
    let said: number;
    while ((said = load(lock, 1)) === 0) wait(lock, 1, 0);
    return said === 1;
  }

  function acquire(): void {
    while (compareExchange(lock, 0, 0, 1) !== 0) wait(lock, 0, 1);
  }

  function release(): void {
    store(lock, 0, 0);
    notify(lock, 0);
  }

  return (message, about = "") => {
    let large: Uint8Array[] | undefined;
    acquire();
    try {
      large = sendMessage(message, about);
    } finally {
      release();
    }
    if (!large || cameWhole()) return;
    acquire();
    try {
      for (let i = 0; i < large.length; i++) send(large[i]);
    } finally {
      release();
    }
  };
}
