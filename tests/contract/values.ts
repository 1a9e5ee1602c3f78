/** The contract of values: what crosses, what can't, and what is said of it. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { Future, ThreadPoolExecutor, wait } from "../../mod.ts";
import { contractTest, type ExecutorKind, rejection } from "./kind.ts";

/**
 * Draws a value so that two that differ in anything that structured clone
 * keeps, shared references included, differ in their portraits.
 *
 * Self-contained: workers draw what arrives there.
 */
export function portrait(root: unknown): string {
  const ids = new Map<object, number>();
  const draw = (value: unknown): string => {
    if (typeof value === "string") return JSON.stringify(value);
    if (typeof value === "bigint") return `${value}n`;
    if (Object.is(value, -0)) return "-0";
    if (typeof value === "function") return "a function";
    if (typeof value !== "object" || value === null) return String(value);
    const known = ids.get(value);
    if (known !== undefined) return `#${known}`;
    const id = ids.size;
    ids.set(value, id);
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    const proto = Object.getPrototypeOf(value);
    return `#${id} ${kind} of ${proto?.constructor?.name} {${inside(value)}}`;
  };
  const properties = (value: object): string =>
    Object.keys(value).map((key) =>
      `${JSON.stringify(key)}: ${draw(Reflect.get(value, key))}`
    ).join(", ");
  const inside = (value: object): string => {
    if (Array.isArray(value)) {
      return `length ${value.length}, ${properties(value)}`;
    }
    if (value instanceof Map) {
      return [...value].map(([key, item]) => `${draw(key)} => ${draw(item)}`)
        .join(", ");
    }
    if (value instanceof Set) return [...value].map(draw).join(", ");
    if (value instanceof Date) return String(value.getTime());
    if (value instanceof RegExp) {
      return `${value.source} ${value.flags} ${value.lastIndex}`;
    }
    if (value instanceof ArrayBuffer) {
      return `${value.resizable} ${value.maxByteLength} ${new Uint8Array(
        value,
      )}`;
    }
    if (ArrayBuffer.isView(value)) {
      const { byteOffset, byteLength, buffer } = value;
      return `at ${byteOffset}, ${byteLength} bytes of ${draw(buffer)}`;
    }
    if (value instanceof Error) {
      const cause = Object.hasOwn(value, "cause")
        ? `, cause ${draw(value.cause)}`
        : "";
      return `${value.name}: ${value.message}, ${typeof value.stack}${cause}`;
    }
    if (
      value instanceof Boolean || value instanceof Number ||
      value instanceof String || value instanceof BigInt
    ) return draw(value.valueOf());
    return properties(value);
  };
  return draw(root);
}

/** One of each kind that structured clone carries. */
const values: Record<string, () => unknown> = {
  "undefined": () => undefined,
  "null": () => null,
  "booleans": () => [true, false],
  "strings": () => ["", "text", "\0\n\u2028\u2029", "🦕", '"}]\\', "__proto__"],
  "lone surrogates": () => ["\ud800", "a\udc00b"],
  "a long string": () => "ab\n".repeat(100_000),
  "numbers": () => [
    0,
    1,
    -1.5,
    1e21,
    5e-324,
    Number.MAX_VALUE,
    Number.MAX_SAFE_INTEGER,
  ],
  "NaN": () => NaN,
  "negative zero": () => -0,
  "infinities": () => [Infinity, -Infinity],
  "numbers that are no JSON, deep inside": () => ({
    a: [NaN, -0, Infinity, undefined],
    b: new Map<unknown, unknown>([[NaN, -0], [-0, NaN]]),
    c: new Set([NaN, undefined, -Infinity]),
  }),
  "BigInts": () => [0n, -1n, 2n ** 64n, -(2n ** 200n)],
  "an object": () => ({ a: 1, b: { c: "2" }, d: undefined, e: null }),
  "an object with odd keys": () => ({
    "": 1,
    " ": 2,
    "2": 3,
    "-1": 4,
    "$": 5,
    "#": 6,
    "@": 7,
    "type": "Map",
    "value": [],
    "then": 8,
    "toJSON": 9,
    "constructor": 10,
  }),
  "an own property named __proto__": () => JSON.parse('{"__proto__":{"a":1}}'),
  "keys in their order": () => ({ z: 1, a: 2, 10: 3, 9: 4 }),
  "an array": () => [1, "2", [3, [4]]],
  "a sparse array": () => {
    const array = new Array(6);
    array[1] = undefined;
    array[3] = null;
    return array;
  },
  "a vast sparse array": () => {
    const array: number[] = [];
    array[4_000_000_000] = 1;
    return array;
  },
  "an array with a property": () => Object.assign([1, 2], { name: "two" }),
  "a Date": () => new Date(1_700_000_000_123),
  "an invalid Date": () => new Date(NaN),
  "a RegExp": () => /a(b)\/[\]\n]/giu,
  "a Map with keys of all kinds": () =>
    new Map<unknown, unknown>([
      ["a", 1],
      [1, "a"],
      [NaN, "nan"],
      [{ key: true }, new Map([[undefined, null]])],
      [5n, new Set()],
    ]),
  "a Set": () => new Set([1, "1", NaN, undefined, [1]]),
  "an ArrayBuffer": () => new Uint8Array([1, 2, 255, 0]).buffer,
  "an empty ArrayBuffer": () => new ArrayBuffer(0),
  "a resizable ArrayBuffer": () => new ArrayBuffer(3, { maxByteLength: 9 }),
  "a large Uint8Array": () =>
    Uint8Array.from({ length: 300_000 }, (_, i) => i * 7),
  "typed arrays of every class": () => [
    new Int8Array([-1, 127]),
    new Uint8Array([0, 255]),
    new Uint8ClampedArray([0, 255]),
    new Int16Array([-300, 300]),
    new Uint16Array([65535]),
    new Int32Array([-70_000]),
    new Uint32Array([4_000_000_000]),
    new BigInt64Array([-(2n ** 63n)]),
    new BigUint64Array([2n ** 64n - 1n]),
    new Float32Array([1.5, -0, NaN]),
    new Float64Array([Math.PI, -0, Infinity]),
    new DataView(new ArrayBuffer(4), 1, 2),
  ],
  "views of one buffer": () => {
    const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
    return [new Uint8Array(buffer, 2, 3), new Uint16Array(buffer, 4), buffer];
  },
  "a large resizable ArrayBuffer": () => {
    const buffer = new ArrayBuffer(70_000, { maxByteLength: 90_000 });
    new Uint8Array(buffer).fill(7);
    return [buffer, new Uint8Array(buffer), new Uint8Array(buffer, 5, 6)];
  },
  "views of one large buffer": () => {
    const { buffer } = Uint8Array.from({ length: 70_000 }, (_, i) => i);
    return [new Uint8Array(buffer, 2, 3), new Uint16Array(buffer, 4), buffer];
  },
  "several large buffers, here and there": () => {
    const large = (length: number) =>
      Uint8Array.from({ length }, (_, i) => i * length);
    return [
      large(70_000),
      new Map([[large(65_536), new Set([large(65_535).buffer])]]),
      new Error("large", { cause: new DataView(large(80_000).buffer, 7) }),
    ];
  },
  "boxed primitives": () => [
    Object(true),
    Object(-0),
    Object("text"),
    Object(7n),
  ],
  "an object that holds itself": () => {
    const object: Record<string, unknown> = { name: "ring" };
    object.self = object;
    object.list = [object, { object }];
    return object;
  },
  "a Map and a Set that hold themselves": () => {
    const map = new Map<unknown, unknown>();
    const set = new Set<unknown>([map]);
    map.set(map, set).set("set", set);
    return map;
  },
  "shared references": () => {
    const shared = { n: 1 };
    const date = new Date(0);
    return [shared, { shared }, new Map([[shared, shared]]), date, date];
  },
  "equal values that are not shared": () => [{ n: 1 }, { n: 1 }],
  "Errors": () => [
    new Error("plain"),
    new TypeError("type"),
    new RangeError("range", { cause: new SyntaxError("syntax") }),
    new EvalError("eval"),
    new ReferenceError("reference"),
    new URIError("uri", { cause: { code: 5 } }),
  ],
  "Errors of classes that structured clone does not know": () => [
    new AggregateError([1], "aggregate"),
    new Deno.errors.NotFound("not found"),
    new (class Own extends RangeError {})("own"),
  ],
  "what Promise.allSettled() gives": () => [
    { status: "fulfilled", value: 1 },
    { status: "rejected", reason: new TypeError("no") },
  ],
  "an Error that is its own cause": () => {
    const error = new Error("ring");
    error.cause = { error };
    return error;
  },
  "an object without prototype": () =>
    Object.assign(Object.create(null), { a: 1 }),
  "a deep list": () => {
    let list: unknown = null;
    for (let i = 0; i < 1_000; i++) list = { list };
    return list;
  },
  "a wide list": () => Array.from({ length: 50_000 }, (_, i) => ({ i })),
};

/** An object that holds an object, and so on. */
function nested(depth: number): object {
  let value: object = {};
  for (let i = 1; i < depth; i++) value = { value };
  return value;
}

function argumentsOf(..._args: unknown[]): unknown {
  return (function () {
    return arguments;
  })();
}

export function testValues(kind: ExecutorKind): void {
  const test = contractTest(kind);
  // Without a copy a value is what it was.
  const copy = kind.can.copy
    ? (value: unknown) => structuredClone(value)
    : (value: unknown) => value;

  test("a value arrives as structured clone has it, there and back", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    for (const [name, make] of Object.entries(values)) {
      await t.step(name, async () => {
        const expected = portrait(copy(make()));
        assertEquals(await pool.submit(portrait, make()).result(), expected);
        const back = await pool.submit((value: unknown) => value, make())
          .result();
        assertEquals(portrait(back), expected);
      });
    }
  });

  test("references that two arguments share are shared on arrival", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const shared = { n: 1 };
    const future = pool.submit(
      (a: object, b: object[], c: object) => [a === b[0], a === c],
      shared,
      [shared],
      { n: 1 },
    );
    assertEquals(await future.result(), [true, false]);
  });

  test("a value that map() passes arrives as one that submit() passes", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const inputs = Object.values(values).map((make) => make());
    const expected = inputs.map((value) => portrait(copy(value)));
    assertEquals(await Array.fromAsync(pool.map(portrait, inputs)), expected);
  });

  if (kind.can.shareMemory) {
    test("a SharedArrayBuffer is the caller's own memory, there and back", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      await using gate = kind.makeGate();
      const shared = new Int32Array(new SharedArrayBuffer(12));
      const add = (view: Int32Array<SharedArrayBuffer>, i: number) => {
        Atomics.add(view, i, 1);
        return view;
      };
      const idle = pool.submit(add, shared, 0);
      await idle.result();
      pool.submit(gate.pass, gate.handle, 0);
      const queued = pool.submit(add, shared, 1);
      gate.open();
      Atomics.add(await queued.result(), 2, 1);
      assertEquals([...shared], [1, 1, 1]);
    });
  }

  if (!kind.can.copy) {
    test("arguments and results are not copied", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const value = { headers: new Headers(), fn() {} };
      const future = pool.submit((value: object) => value, value);
      assertStrictEquals(await future.result(), value);
    });
    return;
  }

  test("a class is lost on the way, its own properties are not", async () => {
    class Point {
      #secret = 1;
      constructor(readonly x: number, readonly y: number) {}
      get secret() {
        return this.#secret;
      }
    }
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit((point: Point) => point, new Point(1, 2));
    const point = await future.result();
    assertEquals<unknown>({ ...point }, { x: 1, y: 2 });
    assert(!(point instanceof Point));
  });

  test("what can't travel fails the call with a DataCloneError that says where it is", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    const cases: [string, unknown[], ...string[]][] = [
      ["Headers", [{ headers: new Headers() }], "args[0].headers", "Headers"],
      ["URL", [1, [new URL("a:b")]], "args[1][0]", "URL"],
      ["URLSearchParams", [new URLSearchParams()], "args[0]"],
      ["Request", [new Request("http://a")], "args[0]", "Request"],
      ["Response", [{ a: { b: new Response() } }], "args[0].a.b", "Response"],
      ["FormData", [new Map([["form", new FormData()]])], "form", "FormData"],
      ["AbortSignal", [{ signal: new AbortController().signal }], ".signal"],
      ["AbortController", [new Set([new AbortController()])], "args[0]"],
      [
        "CryptoKey",
        [{
          key: await crypto.subtle.importKey(
            "raw",
            new Uint8Array(16),
            "AES-GCM",
            false,
            ["encrypt"],
          ),
        }],
        "args[0].key",
        "CryptoKey",
      ],
      ["TextEncoder", [new TextEncoder()], "args[0]"],
      ["EventTarget", [new EventTarget()], "args[0]"],
      ["Event", [new Event("a")], "args[0]"],
      [
        "function",
        [{ deep: [{ callback: () => 1 }] }],
        "args[0].deep[0].callback",
      ],
      ["method", [{ toJSON() {} }], "args[0].toJSON"],
      ["class", [class Point {}], "args[0]", "Point"],
      ["symbol", [{ id: Symbol("id") }], "args[0].id", "symbol"],
      ["function as Map key", [new Map([[parseInt, 1]])], "args[0]"],
      ["odd key", [{ "a-b": () => 1 }], 'args[0]["a-b"]'],
      ["WeakMap", [{ weak: new WeakMap() }], "args[0].weak", "WeakMap"],
      ["WeakRef", [[new WeakRef({})]], "args[0][0]", "WeakRef"],
      ["Promise", [{ later: Promise.resolve() }], "args[0].later", "Promise"],
      ["Proxy", [{ proxy: new Proxy({}, {}) }], "args[0].proxy", "a Proxy"],
      ["Proxy of an array", [new Proxy([], {})], "args[0]", "a Proxy"],
      ["Proxy of a Map", [[new Proxy(new Map(), {})]], "args[0][0]", "a Proxy"],
      ["Proxy of a buffer", [new Proxy(detached(), {})], "args[0]", "a Proxy"],
      ["Future", [[new Future()]], "args[0][0]", "a Future", "result()"],
      [
        "executor",
        [{ pool: new ThreadPoolExecutor() }],
        "args[0].pool",
        "ThreadPoolExecutor",
      ],
      ["arguments", [{ a: argumentsOf(1, 2) }], "args[0].a"],
      ["nesting too deep", [nested(20_000)], "args", "nested too deep"],
      ["generator", [{ lazy: (function* () {})() }], "args[0].lazy"],
      ["detached buffer", [{ gone: detached() }], "args[0].gone"],
      [
        "subclass of a platform's",
        [{ my: new (class extends Headers {})() }],
        "args[0].my",
      ],
    ];
    for (const [name, args, ...words] of cases) {
      await t.step(name, async () => {
        const future = pool.submit(function takes(...args: unknown[]) {
          return args.length;
        }, ...args);
        const error = await rejection(future.result());
        assertInstanceOf(error, DOMException);
        assertEquals(error.name, "DataCloneError");
        for (const word of [...words, '"takes"']) {
          assertStringIncludes(error.message, word);
        }
      });
    }
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  if (kind.can.copy) {
    test("a built-in object such as Math is no empty object there: it fails its call by its name, there and back", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const found = { Math, JSON, Reflect, Atomics, Intl };
      for (const [name, object] of Object.entries(found)) {
        const there = pool.submit((value: unknown) => value, [{ in: object }]);
        const back = pool.submit((name: string) => ({
          a: [(globalThis as unknown as Record<string, unknown>)[name]],
        }), name);
        const thrown = pool.submit((name: string) => {
          throw [(globalThis as unknown as Record<string, unknown>)[name]];
        }, name);
        for (
          const [future, path] of [
            [there, "args[0][0].in"],
            [back, "result.a[0]"],
            [thrown, "thrown[0]"],
          ] as [Future<unknown>, string][]
        ) {
          const error = await rejection(future.result());
          assertInstanceOf(error, DOMException);
          assertEquals(error.name, "DataCloneError");
          assertStringIncludes(
            error.message,
            `${path} is a built-in object (${name}), which can't be copied` +
              (future === there ? "; the function has its own" : ""),
          );
        }
      }
      // What is empty, or only calls itself so, is fine.
      const empty = { [Symbol.toStringTag]: "Math" };
      assertEquals(
        await pool.submit((...values: unknown[]) => values, {}, [empty])
          .result(),
        [{}, [{}]],
      );
    });
  }

  if (!kind.can.shareMemory) {
    test("a view of shared memory fails its call, there and back", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const shared = { deep: [new Int32Array(new SharedArrayBuffer(8))] };
      const there = pool.submit((value: unknown) => value, shared);
      const back = pool.submit(() => [new DataView(new SharedArrayBuffer(8))]);
      for (const [call, path] of [[there, "args[0].deep[0]"], [back, "[0]"]]) {
        const error = await rejection((call as Future<unknown>).result());
        assertInstanceOf(error, DOMException);
        assertEquals(error.name, "DataCloneError");
        assertStringIncludes(error.message, `${path} is a view of shared`);
      }
    });
  }

  test("a value that is nested too deep for the worker fails its call alone, however deep that is", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const depths = Array.from({ length: 24 }, (_, i) => 1_500 + i * 100);
    const futures = depths.map((depth) =>
      pool.submit((value: unknown) => {
        let depth = 0;
        for (let at = value; at; at = Object.values(at)[0]) depth++;
        return depth;
      }, nested(depth))
    );
    await wait(futures);
    const refused: number[] = [];
    for (const [i, future] of futures.entries()) {
      const error = await future.exception();
      if (error === undefined) assertEquals(await future.result(), depths[i]);
      else {
        assertMatch(`${error}`, /^DataCloneError: .*nested too deep/);
        refused.push(depths[i]);
      }
    }
    // Which are, is the runtime's to say; from one on, all of them.
    assertEquals(refused, depths.slice(depths.length - refused.length));
    assert(refused.length > 0 && refused.length < depths.length, `${refused}`);
  });

  test("a result that is nested too deep to be sent fails its call alone", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const futures = [1_000, 2_500, 2_800, 3_000, 3_500, 20_000].map((depth) =>
      pool.submit((depth: number) => {
        let value: unknown = null;
        for (let i = 0; i < depth; i++) value = { value };
        return value;
      }, depth)
    );
    await wait(futures);
    assertEquals(await futures[0].exception(), undefined);
    assertMatch(
      `${await futures.at(-1)!.exception()}`,
      /^DataCloneError: Cannot send back .* result is nested too deep/,
    );
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  test("a Blob and a File arrive with what is in them, or say that they can't", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    // Deno 2.5 would make an empty object of it without a word.
    const canBeCloned = structuredClone(new Blob(["a"])) instanceof Blob;
    const look = async (value: Blob) => [
      value.constructor.name,
      value.type,
      await value.text(),
      ...value instanceof File ? [value.name, value.lastModified] : [],
    ];
    for (
      const value of [
        new Blob(["té", "xt"], { type: "text/plain" }),
        new File([new Uint8Array(100_000)], "a.txt", { lastModified: 5 }),
        new Blob([]),
      ]
    ) {
      await t.step(Deno.inspect(value), async () => {
        const there = pool.submit(look, value);
        const andBack = pool.submit((list: Blob[]) => ({
          a: [list[0], new Map([[list[0], 1n]])],
        }), [value]);
        if (kind.can.copy && !canBeCloned) {
          for (const future of [there, andBack]) {
            const error = await rejection(future.result());
            assertInstanceOf(error, DOMException);
            assertEquals(error.name, "DataCloneError");
          }
          return;
        }
        assertEquals(await there.result(), await look(value));
        const [blob, map] = (await andBack.result()).a as [
          Blob,
          Map<Blob, bigint>,
        ];
        assertEquals(await look(blob), await look(value));
        assertEquals(map.get(blob), 1n);
      });
    }
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  test("a DOMException that is passed arrives with its name and message, or says that it can't", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const error = new DOMException("enough", "AbortError");
    // Deno 2.5 clones one to an Error without name and message, in silence.
    if (
      kind.can.shareMemory && !(structuredClone(error) instanceof DOMException)
    ) {
      const told = await rejection(pool.submit(String, error).result());
      assertInstanceOf(told, DOMException);
      assertStringIncludes(told.message, "args[0] is a DOMException");
      return;
    }
    const future = pool.submit(
      (error: DOMException) => ({ text: `${error}`, error }),
      error,
    );
    const back = await future.result();
    assertEquals([back.text, `${back.error}`], Array(2).fill(`${error}`));
    assertInstanceOf(back.error, Error);
  });

  test("an argument that can't travel is told as well when its call would have to wait", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await using gate = kind.makeGate();
    const held = pool.submit(gate.pass, gate.handle, 0);
    await gate.entered(0);
    const futures = [new Headers(), new Proxy({}, {})].map((arg) =>
      pool.submit((arg: object) => arg, { deep: [arg] })
    );
    gate.open();
    for (const future of futures) {
      const error = await rejection(future.result());
      assertInstanceOf(error, DOMException);
      assertStringIncludes(error.message, "args[0].deep[0]");
    }
    assertEquals(await held.result(), 0);
  });

  test("an argument that can't travel fails its own call alone", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const size = (value: unknown) => typeof value;
    const futures = [1, new Headers(), "a", new Proxy({}, {}), () => 1, 2n]
      .map((value) => pool.submit(size, value));
    const results = await Promise.allSettled(
      futures.map((future) => future.result()),
    );
    assertEquals(
      results.map((result) =>
        result.status === "fulfilled" ? result.value : result.reason.name
      ),
      [
        "number",
        "DataCloneError",
        "string",
        "DataCloneError",
        "DataCloneError",
        "bigint",
      ],
    );
  });

  test("a getter of an argument that throws gives its own error", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const error = new RangeError("not yet");
    const argument = {
      get value(): number {
        throw error;
      },
    };
    const future = pool.submit((arg: unknown) => typeof arg, argument);
    assertStrictEquals(await future.exception(), error);
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  test("a result that can't travel fails its call with a DataCloneError that says where it is", async (t) => {
    const cases: [string, () => unknown, ...string[]][] = [
      ["Headers", () => ({ a: [new Headers()] }), "result.a[0]", "Headers"],
      ["function", () => () => 1, "result", "function"],
      ["method", () => ({ method() {} }), "result.method"],
      ["symbol", () => Symbol("s"), "result", "symbol"],
      ["WeakMap", () => [new WeakMap()], "result[0]", "WeakMap"],
      ["generator", function* () {}, "result"],
      [
        "async function",
        () => Promise.resolve({ url: new URL("a:b") }),
        "result.url",
      ],
      [
        "promise inside",
        () => ({ promise: Promise.resolve() }),
        "result.promise",
      ],
      ["built-in", () => globalThis, "result"],
    ];
    await using pool = kind.make({ maxWorkers: 1 });
    for (const [name, fn, ...words] of cases) {
      await t.step(name, async () => {
        const error = await rejection(pool.submit(fn).result());
        assertInstanceOf(error, DOMException);
        assertEquals(error.name, "DataCloneError");
        for (const word of words) assertStringIncludes(error.message, word);
        assertEquals(await pool.submit(Math.sign, -3).result(), -1);
      });
    }
  });

  test("a DataCloneError of a result names the function", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(function makesHeaders() {
      return new Headers();
    });
    const error = await rejection(future.result());
    assertMatch(`${error}`, /^DataCloneError: .*"makesHeaders"/);
  });

  test("a getter of a result that throws gives its own error", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => ({
      get value(): number {
        throw new RangeError("not yet");
      },
    }));
    await assertRejects(() => future.result(), RangeError, "not yet");
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  test("a getter of a result that throws a DataCloneError of its own gives that", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => ({
      get value(): number {
        throw new DOMException("not yet", "DataCloneError");
      },
    }));
    await assertRejects(() => future.result(), DOMException);
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  test("a getter of a result ends its call, though it throws something to wait for or makes new Blobs", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const throws = pool.submit(() => ({
      get value(): number {
        const whenRead = Promise.resolve();
        throw Object.assign(new RangeError("not yet"), { whenRead });
      },
    }));
    const makes = pool.submit(() => ({
      get value(): Blob {
        return new Blob(["a"]);
      },
    }));
    if (kind.can.copy) await assertRejects(() => throws.result(), RangeError);
    await makes.exception();
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });
}

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(4);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}
