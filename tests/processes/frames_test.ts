/** Messages and output come apart again, however they came together. */

import { assertEquals, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import * as fc from "fast-check";
import { joined } from "../../internal/base/bytes.ts";
import { FrameReader } from "../../internal/processes/frame_reader.ts";
import { makeFrameWriter } from "../../internal/processes/frame_writer.ts";
import { makeCodec, type Packed } from "../../internal/values/codec.ts";
import { property } from "../_checks.ts";

const codec = makeCodec();
const MARK = 0x1e;

/** What a channel writes for a message, a frame each. */
function framesOf(
  secret: readonly number[],
  channel: number,
  message: unknown,
): Uint8Array[] {
  return packedFramesOf(secret, channel, codec.encode(message));
}

function packedFramesOf(
  secret: readonly number[],
  channel: number,
  packed: Packed,
): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const { stdout } = Deno;
  const { writeSync } = stdout;
  stdout.writeSync = (bytes) => {
    frames.push(bytes.slice());
    return bytes.length;
  };
  try {
    makeFrameWriter(secret, channel)(packed);
  } finally {
    stdout.writeSync = writeSync;
  }
  return frames.flatMap(apart);
}

/** The frames that were written together, which are all whole. */
function apart(written: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < written.length;) {
    const length = written[at + 13] << 16 | written[at + 14] << 8 |
      written[at + 15];
    const end = at + 16 + length + 1;
    assertEquals(
      end <= written.length,
      true,
      "a frame is written in one piece",
    );
    frames.push(written.slice(at, end));
    at = end;
  }
  return frames;
}

/** What a reader makes of bytes that come in these parts. */
function read(
  secret: readonly number[],
  parts: Iterable<Uint8Array>,
): { messages: unknown[]; noise: number[] } {
  const messages: unknown[] = [];
  const noise: number[] = [];
  const reader = new FrameReader(
    secret,
    codec,
    (message) => messages.push(message),
    (bytes) => noise.push(...bytes),
  );
  for (const part of parts) reader.push(part);
  reader.end();
  return { messages, noise };
}

function* cut(
  bytes: Uint8Array,
  lengths: readonly number[],
): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length];
    // A pool reads on into the same memory.
    const part = bytes.slice(at, at + length);
    yield part;
    part.fill(MARK);
    at += length;
  }
}

const secrets = fc.array(fc.oneof(fc.constantFrom(MARK, 0, 10), fc.nat(255)), {
  minLength: 11,
  maxLength: 11,
});

const messages = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(new Map([[1, undefined]]), [NaN, -0], { v8: "text" }, {
    v8: undefined,
  }),
  fc.nat(3000).map((length) => ({ long: "\u20ac\n".repeat(length) })),
  fc.nat(9000).map((length) => ({
    bytes: new Uint8Array(length).fill(length),
  })),
).map((message) => ({ message }));

/** Output, of which much looks like the beginning of a frame. */
function noiseLike(secret: readonly number[]): fc.Arbitrary<Uint8Array> {
  const beginning = fc.nat(11).map((
    length,
  ) => [MARK, ...secret.slice(0, length)]);
  const wrong = fc.tuple(fc.nat(10), fc.integer({ min: 1, max: 255 })).map((
    [at, by],
  ) => [
    MARK,
    ...secret.map((byte, i) => i === at ? byte ^ by : byte),
    0,
    0,
    0,
    5,
    1,
    2,
  ]);
  const any = fc.array(fc.oneof(fc.constantFrom(MARK, 10), fc.nat(255)));
  return fc.array(fc.oneof(beginning, wrong, any), { maxLength: 4 })
    .map((pieces) => new Uint8Array(pieces.flat()));
}

/** How often a secret stands where a frame could begin. */
function headsIn(bytes: Uint8Array, secret: readonly number[]): number {
  const head = String.fromCharCode(MARK, ...secret);
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  let heads = 0;
  for (let at = -1; (at = text.indexOf(head, at + 1)) >= 0;) heads++;
  return heads;
}

property(
  "framing: messages of both channels and the noise between their frames come apart, wherever they are cut",
  secrets.chain((secret) =>
    fc.record({
      secret: fc.constant(secret),
      channels: fc.tuple(
        fc.array(messages, { maxLength: 5 }),
        fc.array(messages, { maxLength: 3 }),
      ),
      order: fc.infiniteStream(fc.boolean()),
      noises: fc.array(noiseLike(secret), { minLength: 1, maxLength: 8 }),
      lengths: fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }),
      short: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
      cutShort: fc.boolean(),
    })
  ),
  ({ secret, channels, order, noises, lengths, short, cutShort }) => {
    const queues = channels.map((list, channel) =>
      list.flatMap((message) =>
        framesOf(secret, channel, { channel, ...message })
      )
    );
    const frames = queues.flat().length;
    const pieces: Uint8Array[] = [];
    const noise: number[] = [];
    for (let i = 0;; i++) {
      const piece = noises[i % noises.length];
      pieces.push(piece);
      noise.push(...piece);
      const first = order.next().value ? 0 : 1;
      const frame = queues[first].shift() ?? queues[1 - first].shift();
      if (!frame) break;
      pieces.push(frame);
    }
    const whole = joined(...pieces);
    // What a task can't know, it can't write.
    fc.pre(headsIn(whole, secret) === frames);
    const parts = cut(whole, cutShort ? short : lengths);
    const found = read(secret, parts);
    assertEquals(found.noise, noise);
    // Each channel keeps its order; between them there is none.
    channels.forEach((list, channel) => {
      assertEquals(
        found.messages.filter((message) =>
          (message as { channel: number }).channel === channel
        ),
        list.map((message) => ({ channel, ...message })),
      );
    });
    assertEquals(found.messages.length, channels.flat().length);
  },
);

const SECRET = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

Deno.test("framing: no frame is longer than what a pipe takes in one piece", () => {
  const frames = framesOf(SECRET, 0, { text: "a".repeat(20_000) });
  const most = Deno.build.os === "darwin" ? 512 : 4096;
  assertEquals(frames.length, Math.ceil((20_000 + 12) / (most - 17)));
  for (const frame of frames) assertEquals(frame.length <= most, true);
});

Deno.test("framing: a frame is one write that ends with a newline, so that a stdout that is buffered by lines passes it on in one piece", () => {
  const secret = SECRET.map(() => 10);
  for (const message of [{ text: "\n" }, { bytes: new Uint8Array(300) }]) {
    for (const frame of framesOf(secret, 0, message)) {
      assertEquals([frame[0], frame.at(-1)], [MARK, 10]);
    }
  }
});

Deno.test("framing: a newline that a task prints after a frame is the task's", () => {
  const frames = framesOf(SECRET, 0, { a: 1 });
  const newline = new Uint8Array([10]);
  assertEquals(read(SECRET, [...frames, newline]).noise, [10]);
});

Deno.test("framing: a channel keeps the order of its messages", () => {
  const list = Array.from(
    { length: 50 },
    (_, i) => i % 2 ? { i } : { i, not: undefined },
  );
  const parts = list.flatMap((message) => framesOf(SECRET, 0, message));
  assertEquals(read(SECRET, parts).messages, list);
});

Deno.test("framing: messages that come together arrive each with the next of its channel in view", () => {
  const frames = [[0, 1], [1, 2], [0, { three: 3 }], [0, [4]]] as const;
  const seen: unknown[] = [];
  const reader = new FrameReader(
    SECRET,
    codec,
    (message, next) => seen.push([message, next]),
    () => {},
  );
  reader.push(joined(
    ...frames.flatMap(([channel, message]) =>
      framesOf(SECRET, channel, message)
    ),
  ));
  assertEquals(seen, [
    [1, { three: 3 }],
    [{ three: 3 }, [4]],
    [[4], undefined],
    [2, undefined],
  ]);
});

Deno.test("framing: what comes before a line that can't be read arrives", () => {
  const frames = ["1", "{}", "{", "2"].flatMap((text) =>
    packedFramesOf(SECRET, 0, text)
  );
  const messages: unknown[] = [];
  const reader = new FrameReader(
    SECRET,
    codec,
    (message) => messages.push(message),
    () => {},
  );
  assertThrows(() => reader.push(joined(...frames)), SyntaxError);
  assertEquals(messages, [1, {}]);
});

Deno.test("framing: a message that a channel is cut off in is none, and what follows on the other one is whole", () => {
  const long = framesOf(SECRET, 0, { text: "a".repeat(20_000) });
  const other = framesOf(SECRET, 1, { other: 1 });
  assertEquals(read(SECRET, [...long.slice(0, 2), ...other]), {
    messages: [{ other: 1 }],
    noise: [],
  });
});

Deno.test("framing: what looked like a frame's head is output once nothing more comes, and a frame cut off is none", () => {
  const [frame] = framesOf(SECRET, 0, { a: 1 });
  // The newline at its end is no part of what it says.
  for (let length = 1; length < frame.length - 1; length++) {
    const part = frame.slice(0, length);
    const noise = length < 16 ? [...part] : [];
    assertEquals(read(SECRET, [part]), { messages: [], noise });
  }
});

Deno.test("framing: a frame goes out whole though the pipe takes it in parts, or is full for a while", () => {
  const bytes: number[] = [];
  let writes = 0;
  {
    using _ = stub(Deno.stdout, "writeSync", (part) => {
      if (++writes % 3 === 0) throw new Deno.errors.WouldBlock();
      const taken = part.subarray(0, 7);
      bytes.push(...taken);
      return taken.length;
    });
    makeFrameWriter(SECRET, 0)('{"a":"' + "b".repeat(100) + '"}');
  }
  assertEquals(read(SECRET, [new Uint8Array(bytes)]), {
    messages: [{ a: "b".repeat(100) }],
    noise: [],
  });
});

Deno.test("framing: 4 MiB of bytes that each may begin a frame are read in linear time", () => {
  const noise = new Uint8Array(1 << 22).fill(MARK);
  let length = 0;
  const reader = new FrameReader(
    SECRET,
    codec,
    () => {},
    (bytes) => length += bytes.length,
  );
  for (let at = 0; at < noise.length; at += 65536) {
    reader.push(noise.subarray(at, at + 65536));
  }
  reader.end();
  assertEquals(length, noise.length);
});

// ---- Large frames ----------------------------------------------------------

const MIB = 1 << 20;

/**
 * What a reader makes of a large message, if `noise` gets into it at `places`,
 * each from 0 to 1; and what it told the child.
 */
function readLarge(
  packed: Packed,
  noise: readonly number[],
  places: readonly number[],
  step: number,
): { messages: unknown[]; noise: number[]; told: boolean[] } {
  const lock = new Int32Array(new SharedArrayBuffer(8));
  const messages: unknown[] = [];
  const output: number[] = [];
  const told: boolean[] = [];
  let written: Uint8Array[] = [];
  const reader = new FrameReader(
    SECRET,
    codec,
    (message) => messages.push(message),
    (bytes) => output.push(...bytes),
    (whole) => {
      told.push(whole);
      Atomics.store(lock, 1, whole ? 1 : 2);
    },
  );
  const deliver = (between: readonly number[]) => {
    const all = joined(...written);
    written = [];
    // Its beginning and its end are each written in one piece.
    const at = places.map((place) => 17 + Math.floor(place * (all.length - 34)))
      .sort((a, b) => a - b);
    const parts: Uint8Array[] = [];
    let from = 0;
    at.forEach((to, i) => {
      const begin = Math.floor(i * between.length / at.length);
      const end = Math.floor((i + 1) * between.length / at.length);
      parts.push(
        all.subarray(from, to),
        new Uint8Array(between.slice(begin, end)),
      );
      from = to;
    });
    const mixed = joined(...parts, all.subarray(from));
    for (let i = 0; i < mixed.length;) {
      const { target } = reader;
      const part = mixed.slice(i, i + Math.min(step, target?.length ?? step));
      i += part.length;
      if (target) {
        target.set(part);
        const { buffer, byteOffset } = target;
        reader.filled(new Uint8Array(buffer, byteOffset, part.length));
      } else {
        reader.push(part);
      }
    }
  };
  {
    using _ = stub(Deno.stdout, "writeSync", (part) => {
      const isEnd = part.length === 17 && part[0] === MARK && part[12] === 3;
      const isBegin = part.length === 17 && part[0] === MARK && part[12] === 2;
      if (isBegin) deliver([]);
      written.push(part.slice());
      if (isEnd) deliver(noise);
      return part.length;
    });
    makeFrameWriter(SECRET, 0, { lock, large: true })(packed);
  }
  deliver([]);
  reader.end();
  return { messages, noise: output, told };
}

Deno.test("framing: what is large comes as it is, and the child is told that it came whole", () => {
  for (
    const message of [
      new Uint8Array(3 * MIB).fill(7),
      [new Uint8Array(MIB).fill(1), new Uint8Array(0), new Map([[1, -0]])],
      "a".repeat(2 * MIB),
    ]
  ) {
    for (const step of [1 << 16, 1 << 22]) {
      const packed = codec.encode(message, 0, true);
      const found = readLarge(packed, [], [], step);
      assertEquals(found.messages.length, 1);
      assertEquals(same(found.messages[0], message), true);
      assertEquals([found.noise, found.told], [[], [true]]);
    }
  }
});

property(
  "framing: what is printed into a large message is output, and the message arrives as it was sent",
  fc.record({
    noise: fc.array(
      fc.oneof(fc.constantFrom(MARK, 10), fc.integer({ min: 160, max: 240 })),
      { minLength: 1, maxLength: 200 },
    ),
    places: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
      minLength: 1,
      maxLength: 5,
    }),
    step: fc.constantFrom(1 << 16, 1 << 17, 1 << 22),
  }),
  ({ noise, places, step }) => {
    const message = { bytes: new Uint8Array(MIB + 3).fill(7) };
    const packed = codec.encode(message, 0, true);
    const found = readLarge(packed, noise, places, step);
    assertEquals(found.messages.length, 1);
    assertEquals(same(found.messages[0], message), true);
    assertEquals(found.noise, noise);
    assertEquals(found.told.length, 1);
  },
  { runs: 25 },
);

/** Whether large values are equal, in a time that is not long. */
function same(value: unknown, other: unknown): boolean {
  const bytesOf = (value: unknown) => {
    // Twice, since there are two ways to write down a list.
    const packed = codec.encode(codec.decode(codec.encode(value)));
    return typeof packed === "string" ? packed : packed as Uint8Array;
  };
  const [a, b] = [bytesOf(value), bytesOf(other)];
  return a.length === b.length &&
    (typeof a === "string"
      ? a === b
      : (a as Uint8Array).every((byte, i) => byte === b[i]));
}

Deno.test("framing: what announces bytes that can't come is refused, and nothing takes memory for being announced", () => {
  for (
    const head of [
      `{"v8":-1}`,
      `{"v8":1.5}`,
      `{"v8":"1"}`,
      `{"v8":null}`,
      `{"v8":1e300}`,
      `{"v8":1,"buffers":5}`,
      `{"v8":1,"buffers":[-1]}`,
      `{"v8":1,"buffers":[1,null]}`,
      `{"v8":1,"is":"something"}`,
    ]
  ) {
    const frames = packedFramesOf(SECRET, 0, head);
    assertThrows(() => read(SECRET, frames), TypeError, "announced", head);
  }
  const many = Array.from({ length: 1000 }, () => 2 ** 50);
  for (const head of [`{"v8":${2 ** 52}}`, `{"v8":9,"buffers":[${many}]}`]) {
    const frames = packedFramesOf(SECRET, 0, head);
    assertEquals(read(SECRET, frames), { messages: [], noise: [] });
  }
});

Deno.test("framing: a frame of a kind that there is not, or a large one of nothing, is refused", () => {
  for (const kind of [2, 3, 4, 255]) {
    const frame = new Uint8Array([MARK, ...SECRET, kind, 0, 0, 0, 10]);
    assertThrows(() => read(SECRET, [frame]), TypeError);
  }
});

Deno.test("framing: a result that is whole and can't be read is a failure of its call, and the next message arrives", () => {
  const frames = [
    ...packedFramesOf(
      SECRET,
      0,
      `{"v8":4,"buffers":[],"is":"returned","slot":3,"item":1,"ms":2}`,
    ),
    new Uint8Array([MARK, ...SECRET, 0, 0, 0, 4, 255, 15, 1, 2, 10]),
    ...packedFramesOf(SECRET, 0, `{"next":1}`),
  ];
  const { messages: [first, next] } = read(SECRET, frames);
  const { outcome, ...about } = first as {
    outcome: { is: string; error: DOMException };
  };
  assertEquals(about, { type: "outcome", slot: 3, item: 1, ms: 2 });
  assertEquals([outcome.is, outcome.error.name], ["raised", "DataCloneError"]);
  assertEquals(outcome.error.message.includes("4 bytes"), true);
  assertEquals(next, { next: 1 });
});
