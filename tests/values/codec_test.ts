/** Whatever structured clone carries arrives as structured clone has it. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "@std/assert";
import * as fc from "fast-check";
import { makeCodec } from "../../internal/values/codec.ts";
import { property } from "../_checks.ts";
import { difference } from "../_same.ts";

const codec = makeCodec();

function roundTrip(value: unknown): unknown {
  return codec.decode(codec.encode(value));
}

function assertCloned(value: unknown): void {
  const found = difference(roundTrip(value), structuredClone(value));
  assert(found === undefined, found);
}

// ---- Values of any shape ---------------------------------------------------

/** What a value is made of: an index into all of them, or a primitive. */
type Part = { readonly node: number } | { readonly primitive: unknown };

/** One object of a value: its kind, and what it holds of the others. */
interface Node {
  readonly kind: string;
  readonly keys: readonly string[];
  readonly parts: readonly Part[];
  readonly bytes: readonly number[];
  readonly text: string;
  readonly number: number;
}

const primitive = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    true,
    false,
    NaN,
    -0,
    0,
    Infinity,
    -Infinity,
  ),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
);

const plainPrimitive = fc.oneof(
  fc.constantFrom(null, true, false, 0),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  fc.string({ unit: "grapheme" }),
);

const key = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "__proto__",
    "constructor",
    "toString",
    "length",
    "0",
    "7",
    "v8",
    "",
  ),
  fc.string(),
).filter((key) => !/^["\\\p{Cc}\ud800-\udfff]/u.test(key)); // that has a test of its own

const views = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
  Float32Array,
  Float64Array,
];
const errors = [
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
];

class OfOnesOwn {
  own = 1;
}

/** Makes the objects of each kind, empty, and fills them: so they may be in each other. */
const kinds: Record<string, {
  make(node: Node, find: (part: Part) => unknown): object;
  fill?(object: object, node: Node, find: (part: Part) => unknown): void;
}> = {
  object: { make: () => ({}), fill: define },
  "object of no prototype": { make: () => Object.create(null), fill: define },
  "object of a class": { make: () => new OfOnesOwn(), fill: define },
  array: {
    make: () => [],
    fill: (array, { parts }, find) =>
      (array as unknown[]).push(...parts.map(find)),
  },
  "sparse array": {
    make: ({ number }) => new Array(Math.abs(number) % 10),
    fill: (array, { parts, number }, find) => {
      parts.forEach((part, i) => {
        (array as unknown[])[i * 2 + Math.abs(number) % 3] = find(part);
      });
    },
  },
  "array with more than items": {
    make: () => [1, 2],
    fill: (array, node, find) => {
      node.keys.forEach((key, i) => {
        if (node.parts[i] && key !== "length" && key !== "__proto__") {
          (array as unknown as Record<string, unknown>)[key] = find(
            node.parts[i],
          );
        }
      });
    },
  },
  map: {
    make: () => new Map(),
    fill: (map, { parts }, find) => {
      for (let i = 0; i + 1 < parts.length; i += 2) {
        (map as Map<unknown, unknown>).set(find(parts[i]), find(parts[i + 1]));
      }
    },
  },
  set: {
    make: () => new Set(),
    fill: (set, { parts }, find) => {
      for (const part of parts) (set as Set<unknown>).add(find(part));
    },
  },
  date: { make: ({ number }) => new Date(number) },
  regexp: {
    make: ({ number }) => {
      const found = /(a|b)+\/[^\n]\u{1F600}/dgu;
      found.lastIndex = Math.abs(number) % 5;
      return found;
    },
  },
  "boxed number": { make: ({ number }) => Object(number) },
  "boxed string": { make: ({ text }) => Object(text) },
  "boxed boolean": { make: ({ number }) => Object(number > 0) },
  "boxed bigint": { make: ({ bytes }) => Object(BigInt(bytes.length) << 70n) },
  buffer: { make: ({ bytes }) => new Uint8Array(bytes).buffer },
  "resizable buffer": {
    make: ({ bytes }) => new ArrayBuffer(bytes.length, { maxByteLength: 64 }),
  },
  error: {
    make: ({ number, text }) =>
      new errors[Math.abs(number) % errors.length](text),
    fill: (error, { parts }, find) => {
      if (parts.length > 0) {
        Object.defineProperty(error, "cause", {
          value: find(parts[0]),
          configurable: true,
          writable: true,
        });
      }
    },
  },
  view: {
    make: ({ number, bytes }) => {
      const View = views[Math.abs(number) % views.length];
      const size = View.BYTES_PER_ELEMENT;
      return new View(
        buffers[bytes.length % buffers.length],
        bytes.length % 3 * size,
        bytes.length % 2,
      );
    },
  },
  "data view": {
    make: ({ bytes }) =>
      new DataView(buffers[bytes.length % buffers.length], bytes.length % 5),
  },
};

/** What several views of a value are of. */
const buffers = [8, 32, 40].map((length, n) =>
  new Uint8Array(length + 24).fill(n + 1).buffer
);

function define(
  object: object,
  node: Node,
  find: (part: Part) => unknown,
): void {
  node.keys.forEach((key, i) => {
    if (!node.parts[i]) return;
    const value = find(node.parts[i]);
    Object.defineProperty(
      object,
      key,
      node.number % 4 === 0
        ? { get: () => value, enumerable: true, configurable: true }
        : {
          value,
          enumerable: node.number % 7 !== 0,
          configurable: true,
          writable: true,
        },
    );
  });
}

function build(nodes: readonly Node[]): unknown {
  const objects: object[] = [];
  const find = (part: Part) =>
    "node" in part ? objects[part.node % objects.length] : part.primitive;
  for (const node of nodes) objects.push(kinds[node.kind].make(node, find));
  nodes.forEach((node, i) => kinds[node.kind].fill?.(objects[i], node, find));
  return objects[0];
}

function valueOf(
  kind: fc.Arbitrary<string>,
  leaf: fc.Arbitrary<unknown>,
): fc.Arbitrary<Node[]> {
  const part: fc.Arbitrary<Part> = fc.oneof(
    fc.record({ node: fc.nat(30) }),
    fc.record({ primitive: leaf }),
  );
  const node: fc.Arbitrary<Node> = fc.record({
    kind,
    keys: fc.uniqueArray(key, { maxLength: 5 }),
    parts: fc.array(part, { maxLength: 6 }),
    bytes: fc.array(fc.nat(255), { maxLength: 20 }),
    text: fc.string({ unit: "grapheme" }),
    number: fc.integer({ min: -(10 ** 6), max: 10 ** 6 }),
  });
  return fc.array(node, { minLength: 1, maxLength: 12 });
}

property(
  "codec: a value of any shape arrives as structured clone has it",
  valueOf(fc.constantFrom(...Object.keys(kinds)), primitive),
  (nodes) => assertCloned(build(nodes)),
);

property(
  "codec: a value of objects and arrays alone arrives as structured clone has it",
  valueOf(
    fc.constantFrom("object", "array", "object of no prototype"),
    plainPrimitive,
  ),
  (nodes) => assertCloned(build(nodes)),
);

property(
  "codec: what JSON can say arrives as it was",
  fc.jsonValue({ maxDepth: 6 }),
  assertCloned,
);

property("codec: a primitive arrives as it was", primitive, assertCloned);

// ---- What is easily forgotten ----------------------------------------------

Deno.test("codec: plain values are sent as JSON, all others as bytes", () => {
  assertEquals(
    codec.encode({ a: [1, "b", null, true, { c: {} }] }),
    '{"a":[1,"b",null,true,{"c":{}}]}',
  );
  for (
    const value of [undefined, -0, NaN, [,], { a: undefined }, new Map(), 1n]
  ) {
    assertInstanceOf(codec.encode(value), Uint8Array);
  }
});

Deno.test("codec: a nest of 2,000 arrays, or objects, arrives", () => {
  for (
    const wrap of [(inner: unknown) => [inner], (inner: unknown) => ({ inner })]
  ) {
    let value: unknown = 1;
    for (let depth = 0; depth < 2000; depth++) value = wrap(value);
    assertCloned(value);
  }
});

Deno.test("codec: an object's own toJSON that structured clone does not see is not asked", () => {
  const value = Object.defineProperty({ a: 1 }, "toJSON", {
    value: () => "wrong",
  });
  assertCloned(value);
  assertCloned([value]);
});

Deno.test("codec: what has keys by symbol, or that are not enumerable, arrives without them", () => {
  assertCloned({ a: 1, [Symbol("s")]: 2 });
  assertCloned(Object.defineProperty([1, 2], "1", { enumerable: false }));
  assertCloned(Object.defineProperty({ a: 1 }, "b", { value: 2 }));
  assertCloned(Object.freeze({ a: Object.freeze([1]) }));
});

Deno.test("codec: a key that JSON escapes arrives as it was, whatever V8 has seen before", () => {
  // V8's JSON.parse takes an escape for the backslash that it expects.
  for (const seen of ["\\", "\n", '"', "\u0001", "n"]) {
    JSON.parse(JSON.stringify({ before: 0, [seen]: 0 }));
    for (const key of ['"', "\n", "\\", "\u0001", '"x', "n"]) {
      assertCloned({ before: 0, [key]: 0 });
    }
  }
});

Deno.test("codec: what the library itself leaves undefined stays plain, and what a caller does is kept", () => {
  const message = { slot: 1, outcome: { is: "returned", value: undefined } };
  assertEquals(
    codec.encode(message, 2),
    '{"slot":1,"outcome":{"is":"returned"}}',
  );
  for (const [value, own] of [[message, 1], [[undefined], 1]] as const) {
    const packed = codec.encode(value, own);
    assert(typeof packed !== "string");
    assertEquals(codec.decode(packed), value);
  }
});

Deno.test("codec: what a getter throws is thrown as it is", () => {
  for (const thrown of [new RangeError("mine"), undefined, "text"]) {
    for (const more of [{}, { map: new Map() }]) {
      let caught: unknown = "nothing";
      try {
        codec.encode(Object.defineProperty({ ...more }, "a", {
          get: () => {
            throw thrown;
          },
          enumerable: true,
        }));
      } catch (error) {
        caught = error;
      }
      assertEquals(caught, thrown);
    }
  }
});

Deno.test("codec: what structured clone refuses is a DataCloneError", () => {
  for (
    const value of [
      () => {},
      Symbol("s"),
      { a: () => {} },
      [Symbol.iterator],
      new WeakMap(),
      new WeakRef({}),
      Promise.resolve(),
      new Proxy({}, {}),
      { a: new Proxy([], {}) },
      (function* () {})(),
    ]
  ) {
    assertThrows(() => structuredClone(value), DOMException);
    const error = assertThrows(() => codec.encode(value), DOMException);
    assertEquals(error.name, "DataCloneError");
  }
});

Deno.test("codec: bytes are read wherever they stand in a larger buffer", () => {
  const value = {
    big: new Float64Array([1.5, -0]),
    map: new Map([[1n, "é€😀"]]),
  };
  const packed = codec.encode(value) as Uint8Array;
  for (let offset = 0; offset < 9; offset++) {
    const larger = new Uint8Array(packed.length + 20).fill(255);
    larger.set(packed, offset);
    const copy = codec.decode(
      larger.subarray(offset, offset + packed.length) as Uint8Array<
        ArrayBuffer
      >,
    );
    const found = difference(copy, value);
    assert(found === undefined, found);
  }
});

Deno.test("codec: a DOMException arrives wherever it is in a value", async (t) => {
  const make = () => new DOMException("why", "AbortError");
  const shared = make();
  const places: Record<string, unknown> = {
    alone: make(),
    "in an object": { a: make() },
    "in an array": [1, make()],
    "in a sparse array": [, make(), ,],
    "as an array's further property": Object.assign([1], { further: make() }),
    "as a key": new Map([[make(), 1]]),
    "as a value": new Map([[1, make()]]),
    "in a set": new Set([1, make(), 2]),
    "twice": [shared, { shared }, new Set([shared])],
    "as a cause": new Error("outer", { cause: make() }),
    "as a cause's cause": new Error("a", {
      cause: new TypeError("b", { cause: { c: make() } }),
    }),
    "under __proto__": JSON.parse(
      '{"__proto__":1}',
      (k, v) => k === "__proto__" ? make() : v,
    ),
  };
  for (const [place, value] of Object.entries(places)) {
    // Deno 2.5 has structured clone make `{}` of it.
    const expected = structuredClone(make()) instanceof DOMException
      ? structuredClone(value)
      : value;
    await t.step(place, () => {
      const found = difference(roundTrip(value), expected);
      assert(found === undefined, found);
    });
  }
});
