import { assert, assertEquals, assertThrows } from "@std/assert";
import { makeCloneChecker } from "../../internal/values/clone_checker.ts";

// deno-lint-ignore no-explicit-any -- values of whatever type
type Any = any;

const checker = makeCloneChecker();

/** What structured clone makes of a value. */
function fate(value: unknown): "same" | "changed" | "refused" {
  let copy: Any;
  try {
    copy = structuredClone(value);
  } catch {
    return "refused";
  }
  // An exception of a class that it does not know arrives as an `Error`.
  if (value instanceof Error && copy instanceof Error) return "same";
  const [mine, its] = [value, copy].map((v) => Object.getPrototypeOf(v));
  if (mine === its) return "same";
  // A Buffer is a Uint8Array, as any user's class that extends one.
  return its !== Object.prototype &&
      Object.prototype.isPrototypeOf.call(its, value as object)
    ? "same"
    : "changed";
}

/** Looks for what can't travel: at first by class, then as structured clone does. */
function where(value: unknown, path = "args"): string | undefined {
  return checker.find(value, path)?.path ??
    (fate(value) === "refused" ? checker.locate(value, path).path : undefined);
}

// ---- What travels ----------------------------------------------------------

class Point {
  constructor(readonly x: number, readonly y: number) {}
  get length() {
    return Math.hypot(this.x, this.y);
  }
}

class Bag extends Map<string, number> {}
class Group extends Set<number> {}
class List extends Array<number> {}
class Bytes extends Uint8Array {}
class Oops extends TypeError {}

const cycle: Any = { list: [new Map()] };
cycle.self = cycle;
cycle.list[0].set(cycle, cycle.list);

for (
  const [name, value] of Object.entries<unknown>({
    "undefined": undefined,
    "null": null,
    "a boolean": true,
    "a number": -0,
    "a bigint": 10n,
    "a string": "text",
    "a boxed boolean": Object(false),
    "a boxed number": Object(1),
    "a boxed string": Object("text"),
    "a boxed bigint": Object(1n),
    "an object": { a: { b: [1] } },
    "an object without a prototype": Object.assign(Object.create(null), {
      a: 1,
    }),
    "an object with a constructor of its own": { constructor: 1 },
    "an array": [1, [2, [3]]],
    "an array with holes": Object.assign([], { 0: 1, 2: 3 }),
    "an array of great length": new Array(2 ** 31),
    "an array with properties": Object.assign([1], { name: { a: 1 } }),
    "the match of a regular expression": /(?<a>b)/.exec("abc"),
    "a Map": new Map<Any, Any>([[{}, new Map([[1, []]])], [null, 1]]),
    "a Set": new Set([1, new Set([{}])]),
    "a Date": new Date(0),
    "an invalid Date": new Date(NaN),
    "a RegExp": /a/gi,
    "an Error": new Error("oops", { cause: new RangeError("why") }),
    "an AggregateError": new AggregateError([new Error("a")]),
    "an error of Deno's": new Deno.errors.NotFound("oops"),
    // Deno 2.5 clones one to an empty Error.
    ...(structuredClone(new DOMException()) instanceof DOMException && {
      "a DOMException": new DOMException("oops", "AbortError"),
    }),
    "an ArrayBuffer": new ArrayBuffer(8),
    "a SharedArrayBuffer": new SharedArrayBuffer(8),
    "a DataView": new DataView(new ArrayBuffer(8)),
    "a Float64Array": new Float64Array(2),
    "a BigUint64Array": new BigUint64Array(2),
    "a Uint8ClampedArray": new Uint8ClampedArray(2),
    "a WebAssembly.Module": new WebAssembly.Module(
      new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]),
    ),
    "an instance of a user's class": new Point(3, 4),
    "a user's Map": new Bag([["a", 1]]),
    "a user's Set": new Group([1]),
    "a user's array": List.of(1, 2),
    "a user's bytes": new Bytes(2),
    "a user's error": new Oops("oops"),
    "a frozen object": Object.freeze({ a: Object.freeze([1]) }),
    "an object with hidden functions": Object.defineProperties({}, {
      hidden: { value: () => {}, enumerable: false },
    }),
    "an object with functions under symbols": { [Symbol("s")]: () => {} },
    "an object with methods on its prototype": Object.create({ method() {} }),
    "a Map with properties": Object.assign(new Map(), { fn: () => {} }),
    "a Date with properties": Object.assign(new Date(0), { fn: () => {} }),
    "an object with a getter": {
      get a() {
        return { b: 1 };
      },
    },
    "a cycle": cycle,
  })
) {
  Deno.test(`the clone checker lets ${name} pass`, () => {
    structuredClone(value);
    assertEquals(checker.find(value, "args"), undefined);
    assertEquals(checker.find([[value]], "args"), undefined);
    assertEquals(checker.find({ a: new Map([[1, value]]) }, "args"), undefined);
  });
}

for (const Class of [Blob, File]) {
  Deno.test(`the clone checker lets a ${Class.name} pass where the runtime can clone it`, () => {
    const value = Class === File ? new File(["a"], "b") : new Blob(["a"]);
    assertEquals(
      where([value]),
      fate(value) === "same" ? undefined : "args[0]",
    );
  });
}

Deno.test("the clone checker takes a value that is shared for no cycle", () => {
  const shared = { a: 1 };
  const value = {
    list: Array(100).fill(shared),
    map: new Map([[shared, shared]]),
  };
  assertEquals(checker.find(value, "args"), undefined);
});

Deno.test("the clone checker goes through values that share others twice each, 60 levels deep", () => {
  let value: unknown = { a: 1 };
  for (let i = 0; i < 60; i++) value = [value, value];
  assertEquals(checker.find(value, "args"), undefined);
  let bad: unknown = { a: () => {} };
  for (let i = 0; i < 60; i++) bad = { left: bad, right: bad };
  assertEquals(checker.find(bad, "args")?.what, 'the function "a"');
});

Deno.test("the clone checker passes a getter's exception on", () => {
  const value = {
    get a() {
      throw new RangeError("read me not");
    },
  };
  assertThrows(() => checker.find([value], "args"), RangeError, "read me not");
});

// ---- What does not ---------------------------------------------------------

/** Instances of all classes of the platform that give one. */
async function platformObjects(): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  const attempts: unknown[][] = [
    [],
    ["a"],
    ["http://a.example"],
    [{}],
    [[], "a"],
    [{ a: 1 }],
    [1],
    ["en", { type: "region" }],
    [() => {}],
    [new ReadableStream()],
    [new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])],
    [{ initial: 1 }],
    [1970, 1, 1],
    ["gzip"],
    [0n],
    [0n, "UTC"],
    [1, 1],
    [{ highWaterMark: 1 }],
  ];
  // These start something, or say that one should not.
  const active =
    /^(Worker|WebSocket|EventSource|BroadcastChannel|Window|Buffer)/;
  const namespaces: [string, Any][] = [
    ["", globalThis],
    ["Deno.", Deno],
    ["Intl.", Intl],
    ["WebAssembly.", WebAssembly],
    ["Temporal.", (globalThis as Any).Temporal ?? {}],
  ];
  for (const [prefix, namespace] of namespaces) {
    for (const key of Object.getOwnPropertyNames(namespace)) {
      if (!/^[A-Z]/.test(key) || active.test(key)) continue;
      const Class = namespace[key];
      if (typeof Class !== "function" || !Class.prototype) continue;
      for (const args of attempts) {
        try {
          const made: unknown = new Class(...args);
          // Some make another thing than they are.
          if (made instanceof Class) found.set(prefix + key, made);
          break;
        } catch {
          // Not so, then.
        }
      }
    }
  }
  const response = new Response("body");
  for (
    const [name, value] of Object.entries<unknown>({
      AbortSignal: new AbortController().signal,
      Crypto: crypto,
      SubtleCrypto: crypto.subtle,
      Navigator: navigator,
      Performance: performance,
      Headers: new Headers({ a: "b" }),
      FormData: new FormData(),
      ReadableStream: response.body,
      Response: response,
      Promise: Promise.resolve(),
      WeakRef: new WeakRef({}),
      URL: new URL("http://a.example"),
      URLSearchParams: new URLSearchParams("a=b"),
      Event: new Event("a"),
      PermissionStatus: await Deno.permissions.query({ name: "read" }),
      CryptoKey: await crypto.subtle.generateKey(
        { name: "HMAC", hash: "SHA-256" },
        true,
        ["sign"],
      ),
    })
  ) found.set(name, value);
  return found;
}

Deno.test("the clone checker finds every platform object that structured clone changes or refuses", async () => {
  const objects = await platformObjects();
  const missed: string[] = [];
  let lost = 0;
  for (const [name, value] of objects) {
    const outcome = fate(value);
    if (outcome === "same") continue;
    lost++;
    const path = where([1, { headers: value }]);
    if (path !== "args[1].headers") missed.push(`${name} ${outcome}: ${path}`);
  }
  for (const value of objects.values()) {
    if (value instanceof MessageChannel) value.port1.close();
    if (value instanceof MessageChannel) value.port2.close();
  }
  assertEquals(missed, []);
  assert(lost > 40, `only ${lost} of ${objects.size} do not travel`);
});

Deno.test("the clone checker finds platform objects whose class has no name of its own", () => {
  const objects: Record<string, unknown> = {
    "Deno.stdin": Deno.stdin,
    "Deno.stdout": Deno.stdout,
  };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  objects["a listener"] = listener;
  try {
    for (const [name, value] of Object.entries(objects)) {
      assertEquals(fate(value), "changed", name);
      assertEquals(where([value]), "args[0]", name);
    }
  } finally {
    listener.close();
  }
});

Deno.test("the clone checker finds a platform object whatever it is in", () => {
  const url = new URL("http://a.example");
  const cases: [unknown, string][] = [
    [[url], "args[0]"],
    [[1, [2, [url]]], "args[1][1][0]"],
    [{ a: { b: url } }, "args.a.b"],
    [{ "not an identifier": url }, 'args["not an identifier"]'],
    [{ 7: url }, "args[7]"],
    [{ "": url }, 'args[""]'],
    [{ $a_1: url }, "args.$a_1"],
    [new Map([["a", url]]), 'args.get("a")'],
    [new Map([[7, url]]), "args.get(7)"],
    [new Map([[1, 1 as unknown], [{}, url] as Any]), "args.get(key 1)"],
    [new Map([[url, 1]]), "args.keys(key 0)"],
    [new Set([1, url]), "args.values(1)"],
    [new Map([["a", { b: [new Set([url])] }]]), 'args.get("a").b[0].values(0)'],
    [Object.assign(new Point(1, 2), { url }), "args.url"],
    [Object.assign(Object.create(null), { url }), "args.url"],
    [new Bag([["a", url as Any]]), 'args.get("a")'],
    [new Group([url as Any]), "args.values(0)"],
    [List.of(1, url as Any), "args[1]"],
    [{
      get a() {
        return url;
      },
    }, "args.a"],
    [Array(2 ** 31).fill(url, 5, 6), "args[5]"],
  ];
  for (const [value, path] of cases) {
    assertEquals(checker.find(value, "args"), { path, what: "a URL" });
  }
});

Deno.test("the clone checker finds a platform object in a property of an array", () => {
  const value = Object.assign([1], { url: new URL("http://a.example") });
  assertEquals((structuredClone(value) as Any).url, {});
  assertEquals(where([value]), "args[0].url");
});

Deno.test("the clone checker looks into a Map whose class has an iterator of its own", () => {
  class Odd extends Map<string, unknown> {
    override *[Symbol.iterator](): Any {
      yield 7;
    }
  }
  class OddSet extends Set<unknown> {
    override *[Symbol.iterator](): Any {}
  }
  const url = new URL("http://a.example");
  assertEquals(where(new Odd([["a", 1]])), undefined);
  assertEquals(where(new Odd([["a", url]])), 'args.get("a")');
  assertEquals(where(new OddSet([url])), "args.values(0)");
});

Deno.test("the clone checker takes a user's class for the platform's that it extends", () => {
  class MyUrl extends URL {}
  class MySignal extends EventTarget {}
  class Mine extends MySignal {}
  assertEquals(checker.find([new MyUrl("http://a.example")], "args"), {
    path: "args[0]",
    what: "a URL",
  });
  assertEquals(checker.find([new Mine()], "args"), {
    path: "args[0]",
    what: "an EventTarget",
  });
});

Deno.test("the clone checker takes no user's class for the platform's that has its name", () => {
  const Headers = class Headers {
    a = 1;
  };
  assertEquals(checker.find([new Headers()], "args"), undefined);
});

Deno.test("the clone checker says what it found", () => {
  function isPrime() {}
  const cases: [unknown, string][] = [
    [isPrime, 'the function "isPrime"'],
    [(() => () => {})(), "a function"],
    [class Task {}, 'the function "Task"'],
    [Symbol("s"), "a symbol"],
    [new Headers(), "a Headers"],
    [new AbortController().signal, "an AbortSignal"],
    [new EventTarget(), "an EventTarget"],
    [new URL("http://a.example"), "a URL"],
    [new WeakMap(), "a WeakMap"],
    [Promise.resolve(), "a Promise"],
    [new Deno.Command("a"), "a Deno.Command"],
  ];
  for (const [value, what] of cases) {
    assertEquals(checker.find([value], "args"), { path: "args[0]", what });
    assertEquals(checker.find(value, "result"), { path: "result", what });
  }
});

Deno.test("the clone checker knows what only seems to be a map, a set or a buffer", () => {
  for (
    const value of [
      new Proxy(new Map([[1, 2]]), {}),
      new Proxy(new Set([1]), {}),
      new Proxy(new ArrayBuffer(1), {}),
      Object.create(Map.prototype),
      Object.create(Set.prototype),
      Object.create(ArrayBuffer.prototype),
    ]
  ) {
    assertEquals(
      checker.find([{ a: value }], "args"),
      { path: "args[0].a", what: "a Proxy or the like" },
      Object.prototype.toString.call(value),
    );
  }
});

Deno.test("the clone checker knows views of shared memory, where none is shared", () => {
  const apart = makeCloneChecker(["SharedArrayBuffer"]);
  const shared = new SharedArrayBuffer(8);
  for (const view of [new Int32Array(shared), new DataView(shared, 1)]) {
    const value = { deep: [view] };
    assertEquals(apart.find(value, "result"), {
      path: "result.deep[0]",
      what: "a view of shared memory",
    });
    assertEquals(checker.find(value, "result"), undefined);
  }
  assertEquals(apart.find([new Int32Array(2)], "args"), undefined);
});

Deno.test("the clone checker locates what only structured clone knows to refuse", () => {
  function* generate() {}
  for (
    const value of [
      generate(),
      new Map().keys(),
      new Intl.NumberFormat(),
      new Proxy({}, {}),
    ]
  ) {
    const root = [{ ok: 1 }, { a: new Map([["b", [0, value]]]) }];
    assertEquals(
      checker.locate(root, "args").path,
      'args[1].a.get("b")[1]',
      Object.prototype.toString.call(value),
    );
  }
  assertEquals(checker.locate(generate(), "result"), {
    path: "result",
    what: "a Generator",
  });
  assertEquals(checker.locate(new Proxy([], {}), "result"), {
    path: "result",
    what: "a Proxy or the like",
  });
});

Deno.test("the clone checker locates a detached buffer", () => {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  assertEquals(checker.locate({ a: [buffer] }, "args").path, "args.a[0]");
});

// ---- Size and shape --------------------------------------------------------

Deno.test("the clone checker comes to an end in a cycle", () => {
  assertEquals(checker.find(cycle, "args"), undefined);
  const found = { ...cycle, zzz: () => {} };
  found.self = found;
  assertEquals(checker.find(found, "args")?.path, "args.zzz");
});

for (
  const [name, wrap] of Object.entries<(value: unknown) => unknown>({
    objects: (value) => ({ a: value }),
    arrays: (value) => [value],
    Maps: (value) => new Map([[0, value]]),
    Sets: (value) => new Set([value]),
  })
) {
  Deno.test(`the clone checker goes down 100,000 ${name}`, () => {
    let fine: unknown = 1;
    let bad: unknown = new Headers();
    for (let i = 0; i < 100_000; i++) {
      fine = wrap(fine);
      bad = wrap(bad);
    }
    // As structured clone, which gets no deeper than the stack.
    assertEquals(checker.find(fine, "args"), {
      path: "args",
      what: "nested too deep",
    });
    const found = checker.find(bad, "args");
    assertEquals(found?.what, "a Headers");
    assert(found!.path.length >= 200_000);
  });
}

Deno.test("the clone checker sees depth as structured clone meets it, in the first way that leads to an object", () => {
  const chain: { next?: unknown }[] = [];
  for (let i = 0; i < 20_000; i++) chain.push({ next: chain[i - 1] });
  // The last comes first, and leads to all others, one below another.
  const deep = chain.toReversed();
  assertThrows(() => structuredClone(deep), RangeError);
  assertEquals(checker.find(deep, "args")?.what, "nested too deep");
  // Here each is met at the top, before what leads to it.
  structuredClone(chain);
  assertEquals(checker.find(chain, "args"), undefined);
});

Deno.test("the clone checker goes through a million numbers, and finds what is last", () => {
  const list: unknown[] = Array.from({ length: 1_000_000 }, (_, i) => i);
  assertEquals(checker.find(list, "args"), undefined);
  list.push(() => {});
  assertEquals(checker.find(list, "args")?.path, "args[1000000]");
});

// ---- Self-contained --------------------------------------------------------

Deno.test("the clone checker works from its source alone", () => {
  const source = makeCloneChecker.toString();
  const other = new Function(`return (${source})()`)() as typeof checker;
  assertEquals(other.find([new Headers()], "args"), {
    path: "args[0]",
    what: "a Headers",
  });
  assertEquals(other.find([new Map([[1, [1n]]])], "args"), undefined);
});
