/** The doors for what comes over a network: a checked value, or a refusal of that message alone. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  Malformed,
  readAnswers,
  readArguments,
  readCall,
  readClaims,
  readIds,
  readLengths,
  readOutcome,
  readQuestion,
  readResult,
} from "../../internal/remote/check_messages.ts";
import { Complaints } from "../../internal/remote/complaints.ts";
import { PROTOCOL, toBytes } from "../../internal/remote/envelope.ts";
import { makeCodec } from "../../internal/values/codec.ts";
import { FakeClock } from "../_helpers.ts";

const codec = makeCodec();
const encoder = new TextEncoder();

const FN = { by: "export", name: "add", module: "tasks" };
const CALL = { v: PROTOCOL, id: "1", from: "me", lease: 2000, fn: FN };
const RESULT = {
  v: PROTOCOL,
  id: "1",
  worker: "w",
  run: 1,
  of: 1,
  is: "refused",
  message: "why",
};
const CLAIM = {
  v: PROTOCOL,
  id: "1",
  message: 1,
  delivery: 1,
  worker: "w",
  label: "Worker w",
  run: 1,
  slots: 2,
};
const QUESTION = { from: "me", runs: [{ id: "1", run: 1 }] };
const OUTCOMES = [
  { is: "returned", value: 5 },
  { is: "unguarded", message: "why" },
  {
    is: "threw",
    what: {
      thrown: { error: 0 },
      errors: [
        {
          class: ["TypeError"],
          name: "TypeError",
          message: "m",
          links: {},
          props: {},
        },
      ],
    },
  },
];

/** Values that no field takes, or that only some do. */
const ODD: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    -1,
    1.5,
    1e300,
    "",
    "a b",
    "a.b",
    "*",
    ">",
    "a\nb",
    "\0",
    "x".repeat(70_000),
    [],
    {},
    [[[]]],
    { constructor: { name: { toString: 1 } } },
    JSON.parse('{"__proto__":{"by":"source"}}'),
    { toString: 1, valueOf: 1, toJSON: 1 },
    { length: 3 },
  ),
  fc.jsonValue(),
);

/** A value with one of its fields, at any depth, missing or replaced. */
function mutationsOf(value: unknown): fc.Arbitrary<unknown> {
  const ways: (readonly string[])[] = [];
  const walk = (value: unknown, way: readonly string[]) => {
    ways.push(way);
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) {
      walk((value as Record<string, unknown>)[key], [...way, key]);
    }
  };
  walk(value, []);
  return fc.record({
    way: fc.constantFrom(...ways),
    odd: fc.option(ODD, { nil: undefined }),
  }).map(({ way, odd }) => {
    if (way.length === 0) return odd ?? null;
    const copy = structuredClone(value) as Record<string, unknown>;
    let at = copy;
    for (const key of way.slice(0, -1)) at = at[key] as typeof at;
    const last = way[way.length - 1];
    if (odd === undefined) delete at[last];
    else at[last] = odd;
    return copy;
  });
}

const json = (value: unknown) => encoder.encode(JSON.stringify(value));

/** Each door, with a message that it takes. */
const doors: {
  name: string;
  good: unknown;
  read: (bytes: Uint8Array) => unknown;
  bytes: (value: unknown) => Uint8Array;
}[] = [
  {
    name: "call",
    good: CALL,
    read: (bytes) => readCall(bytes),
    bytes: (value) => encoder.encode(`${JSON.stringify(value)}\n[1,2]`),
  },
  {
    name: "result",
    good: RESULT,
    read: readResult,
    bytes: (value) => encoder.encode(`${JSON.stringify(value)}\n`),
  },
  { name: "claims", good: [CLAIM, CLAIM], read: readClaims, bytes: json },
  {
    name: "answers",
    good: ["go", "no", "later"],
    read: (bytes) => readAnswers(bytes, 3),
    bytes: json,
  },
  { name: "question", good: QUESTION, read: readQuestion, bytes: json },
  { name: "ids", good: ["1", "2"], read: readIds, bytes: json },
  ...OUTCOMES.map((good) => ({
    name: `outcome that ${good.is}`,
    good,
    read: (bytes: Uint8Array) =>
      readOutcome(codec, {
        isText: true,
        bytes: bytes as Uint8Array<ArrayBuffer>,
      }),
    bytes: json,
  })),
  {
    name: "arguments",
    good: [1, 2],
    read: (bytes) =>
      readArguments(codec, {
        isText: true,
        bytes: bytes as Uint8Array<ArrayBuffer>,
      }),
    bytes: json,
  },
];

/** What a door makes of bytes: a value, or nothing where it refuses them in its own words. */
function through(
  read: (bytes: Uint8Array) => unknown,
  bytes: Uint8Array,
): unknown {
  try {
    return read(bytes);
  } catch (error) {
    assertInstanceOf(error, Malformed);
    assert(error.message.length < 300, error.message);
    return undefined;
  }
}

for (const { name, good, read, bytes } of doors) {
  Deno.test(`wire: the door for ${name} takes what is right, and refuses all else in its own words`, () => {
    assert(through(read, bytes(good)) !== undefined);
    fc.assert(
      fc.property(mutationsOf(good), (value) => {
        through(read, bytes(value));
      }),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(200),
        (noise, at) => {
          through(read, noise);
          const noisy = bytes(good);
          const begin = at % noisy.length;
          noisy.set(noise.subarray(0, noisy.length - begin), begin);
          through(read, noisy);
        },
      ),
      { numRuns: 1000 },
    );
  });
}

Deno.test("wire: what a door gives has the fields that were checked, and no other", () => {
  const more = JSON.parse('{"__proto__":{"x":1},"toJSON":1,"extra":[]}');
  const fn = { ...FN, ...more, exportedOnly: true, source: "x" };
  const call = readCall(toBytes({ ...CALL, ...more, fn }, "[]"));
  assert("head" in call);
  assertEquals(call.head, CALL as unknown as typeof call.head);
  assertEquals(Object.keys(call.head.fn), Object.keys(FN));
  const { head } = readResult(toBytes({ ...RESULT, ...more }));
  assertEquals(head, RESULT as unknown as typeof head);
  assertEquals(readClaims(json([{ ...CLAIM, ...more }])), [CLAIM]);
});

Deno.test("wire: a call that says whose it is, and can't be run, is refused to its submitter", () => {
  const refused: [object, RegExp][] = [
    [{ v: 2 }, /^speaks version 1 of the protocol, and was sent version 2:/],
    [{ v: "x".repeat(1000) }, /was sent version "x{10,100}/],
    [{ fn: undefined }, /^can't read the call: fn must be an object/],
    [{ fn: { ...FN, by: "magic" } }, /fn\.by .* received "magic"/],
    [{ fn: { ...FN, module: 5 } }, /module must be text: received 5/],
    [{ fn: { by: "name", name: "x", path: "x", source: "" } }, /path must be/],
    [{ lease: -1 }, /lease must be a number from 0/],
    [{ lease: null }, /lease must be .* received null/],
  ];
  for (const [change, why] of refused) {
    const call = readCall(toBytes({ ...CALL, ...change }, "[]"), "me");
    assert("why" in call);
    assertEquals([call.from, call.id], ["me", "1"]);
    assertMatch(call.why, why);
  }
  assertThrows(() => readCall(toBytes(CALL, "[]"), "you"), Malformed, "me");
});

Deno.test("wire: one claim that is none does not speak for those beside it", () => {
  const claims = [CLAIM, null, { ...CLAIM, id: "" }, { ...CLAIM, id: "2" }];
  assertEquals(
    readClaims(json(claims)).map((claim) => claim?.id),
    ["1", undefined, undefined, "2"],
  );
});

Deno.test("wire: the parts of a message are as long as it is", () => {
  assertEquals(readLengths("1,0,4", 5), [1, 0, 4]);
  for (const text of ["1,2", "-1,6", "1e0,4", "5,", " 5", "NaN", "0x5", "6"]) {
    assertThrows(() => readLengths(text, 5), Malformed);
  }
});

Deno.test("wire: bytes of V8's serialiser are arguments, or refused, whatever they hold", () => {
  const body = (bytes: Uint8Array) => ({
    isText: false,
    bytes: bytes as Uint8Array<ArrayBuffer>,
  });
  const values = [[new Map([[1, new Date(5)]]), -0, [undefined]], [
    new Uint16Array([1, 2, 3]),
    new DOMException("m", "AbortError"),
  ], [new Error("x"), /x/g, 10n ** 50n]];
  for (const value of values) {
    const good = codec.encode(value, 1) as Uint8Array;
    assertEquals(readArguments(codec, body(good)).length, value.length);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat(good.length),
        (changes, end) => {
          const bytes = good.slice();
          for (const [at, byte] of changes) bytes[at] = byte;
          through((bytes) => readArguments(codec, body(bytes)), bytes);
          through((bytes) => readOutcome(codec, body(bytes)), bytes);
          through(
            (bytes) => readArguments(codec, body(bytes)),
            good.slice(0, end),
          );
        },
      ),
      { numRuns: 2000 },
    );
  }
});

Deno.test("wire: of many complaints a few are told, and then how many there were", async () => {
  using clock = new FakeClock();
  const said: string[] = [];
  const complaints = new Complaints((text) => said.push(text));
  for (let i = 0; i < 1000; i++) complaints.add(`no. ${i}`);
  assertEquals(said.slice(0, 10), [...Array(10).keys()].map((i) => `no. ${i}`));
  assertEquals(said.length, 11);
  await clock.pass(10_000);
  complaints.add("one more");
  assertEquals(said.slice(11), [
    "990 more such messages were passed over",
    "one more",
  ]);
});
