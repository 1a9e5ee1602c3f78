/** Tasks that take away what the runtime of their worker stands on. */

import { assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import {
  BrokenExecutor,
  type Future,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "../../mod.ts";
import { within } from "../_helpers.ts";

const hostile: Record<string, () => void> = {
  "gives all objects a toJSON": () => {
    Reflect.set(Object.prototype, "toJSON", () => "no");
  },
  "gives all arrays a toJSON": () => {
    Reflect.set(Array.prototype, "toJSON", () => "no");
  },
  "replaces JSON": () => {
    JSON.parse = () => 5;
    JSON.stringify = () => "5";
  },
  "takes away the methods of arrays": () => {
    for (const name of ["push", "shift", "pop", "map", "indexOf"]) {
      Reflect.set(Array.prototype, name, undefined);
    }
  },
  "takes away the methods of Map, Set and WeakMap": () => {
    for (const { prototype } of [Map, Set, WeakMap]) {
      for (const name of ["get", "set", "has", "add", "delete", "forEach"]) {
        Reflect.set(prototype, name, undefined);
      }
    }
  },
  "takes away what iterates": () => {
    Reflect.set(Array.prototype, Symbol.iterator, undefined);
    Reflect.set(Map.prototype, Symbol.iterator, undefined);
  },
  "replaces the functions of Object and Reflect": () => {
    for (const space of [Object, Reflect]) {
      for (const name of Object.getOwnPropertyNames(space)) {
        if (name !== "prototype") Reflect.set(space, name, () => 5);
      }
    }
  },
  "replaces encoders and decoders": () => {
    TextEncoder.prototype.encode = () => new Uint8Array(1);
    TextDecoder.prototype.decode = () => "5";
  },
  "takes away global functions": () => {
    for (
      const name of [
        "structuredClone",
        "queueMicrotask",
        "postMessage",
        "close",
      ]
    ) Reflect.set(globalThis, name, undefined);
  },
  "has the runtime's serializer write something else": () => {
    const { process } = globalThis as unknown as {
      process: { getBuiltinModule(name: string): object };
    };
    const v8 = process.getBuiltinModule("node:v8") as {
      Serializer: { prototype: { writeValue(value: unknown): void } };
    };
    const { writeValue } = v8.Serializer.prototype;
    v8.Serializer.prototype.writeValue = function () {
      return writeValue.call(this, ["something else"]);
    };
  },
  "has nothing look like a Map, nor like a Proxy": () => {
    const { process } = globalThis as unknown as {
      process: { getBuiltinModule(name: string): Record<string, unknown> };
    };
    const types = process.getBuiltinModule("node:util/types");
    for (const name of ["isMap", "isProxy"]) types[name] = () => false;
  },
  "replaces what reads Blobs": () => {
    const other = () => Promise.resolve(new ArrayBuffer(3));
    Reflect.set(Blob.prototype, "arrayBuffer", other);
    Reflect.set(Blob.prototype, "size", 3);
    Reflect.set(Promise, "all", () => Promise.resolve([]));
    Reflect.set(Array.prototype, "every", () => true);
  },
  "gives all objects the names that parts of records have": () => {
    const names = "path module url id at objects early proto entries members " +
      "without order privates closed is of";
    for (const name of names.split(" ")) {
      Object.defineProperty(Object.prototype, name, {
        value: [1],
        writable: true,
        configurable: true,
      });
    }
  },
  "takes away global classes": () => {
    const names = "Error DOMException Uint8Array Int32Array Map Set WeakMap " +
      "Promise Atomics performance console";
    for (const name of names.split(" ")) {
      Reflect.set(globalThis, name, undefined);
    }
  },
};

/** What no call below needs, nor the runtime: each gives what it gave. */
const unaffecting = {
  thread: [
    "takes away the methods of arrays",
    "takes away the methods of Map, Set and WeakMap",
    "gives all objects the names that parts of records have",
  ],
  process: ["gives all objects the names that parts of records have"],
};

const table = {
  list: [1, { a: -0 }],
  map: new Map([["a", new Set([1])]]),
};
const bare = Object.assign(Object.create(null), { seven: 7 });
const { accessor } = {
  accessor: {
    get five() {
      return 5;
    },
  },
};

for (
  const [kind, Pool] of Object.entries({
    thread: ThreadPoolExecutor,
    process: ProcessPoolExecutor,
  })
) {
  for (const [what, fn] of Object.entries(hostile)) {
    // There the runtime itself reads messages with what the task took away.
    const ignore = kind === "thread" && what === "takes away what iterates" &&
      Deno.version.deno.startsWith("2.5.");
    const name =
      `${kind} pool: a task that ${what} hangs nobody, and garbles no value`;
    Deno.test({ name, ignore }, async () => {
      const isUnaffected = unaffecting[kind as keyof typeof unaffecting]
        .includes(what);
      const executor = new Pool({ maxWorkers: 1 });
      const calls: [() => Future<unknown>, unknown][] = [
        [() => executor.submit(fn), undefined],
        [() => executor.submit((n: number) => ({ n: [n] }), 5), { n: [5] }],
        [
          () =>
            executor.submit(
              (map: Map<string, number>) => map,
              new Map([["a", -0]]),
            ),
          new Map([["a", -0]]),
        ],
        [() => executor.submit(Math.sqrt, 9), 3],
        [() => executor.submit(() => table), table],
        [
          () =>
            executor.submit((n: number) => bare.seven + accessor.five + n, 1),
          13,
        ],
      ];
      // Not every version of the runtime copies Blobs.
      if (structuredClone(new Blob()) instanceof Blob) {
        // Its text, which a prototype may have been given another for.
        calls.push([
          () => executor.submit((blob: unknown) => blob, new Blob(["four"])),
          "four",
        ]);
      }
      for (const [submit, expected] of calls) {
        let future: Future<unknown>;
        try {
          future = submit();
        } catch (error) {
          assertInstanceOf(error, BrokenExecutor);
          break;
        }
        const error = await within(future.exception());
        // What it stands on may be gone for the call itself, too.
        if (error && !isUnaffected) continue;
        const result = await future.result();
        assertEquals(
          result instanceof Blob ? await result.text() : result,
          expected,
        );
      }
      await within(executor.shutdown());
    });
  }
}

// ---- Each built-in in its turn -----------------------------------------------

/** Built-in methods and getters that a task can replace, each by an expression of its owner and its key. */
function builtins(): [owner: string, key: string][] {
  const owners = [
    ...("Object Function Array String Number Symbol Math JSON Reflect Atomics " +
      "Promise Map Set WeakMap WeakSet RegExp Date Error TypeError ArrayBuffer " +
      "SharedArrayBuffer DataView Uint8Array Int32Array Float64Array TextEncoder " +
      "TextDecoder Event EventTarget DOMException Blob console performance")
      .split(" ").flatMap((name) => [name, `${name}.prototype`]),
    ...[
      "Uint8Array",
      "Uint8Array.prototype",
      "[][Symbol.iterator]()",
      "new Map().entries()",
      "new Set().values()",
      "Deno.stdout",
    ]
      .map((of) => `Object.getPrototypeOf(${of})`),
  ];
  const found: [string, string][] = [];
  for (const owner of owners) {
    const object = (0, eval)(owner);
    if (object === undefined) continue;
    for (const key of Reflect.ownKeys(object)) {
      const there = Object.getOwnPropertyDescriptor(object, key)!;
      if (!there.configurable || key === "constructor") continue;
      if (typeof there.value !== "function" && !there.get) continue;
      if (typeof key === "string") found.push([owner, JSON.stringify(key)]);
      else if (key.description?.startsWith("Symbol.")) {
        found.push([owner, key.description]);
      }
    }
  }
  return found;
}

/** Has a method, or getter, do something else. Takes note of what looks like a frame's secret. */
function replaceBuiltin(owner: string, key: string, how: string): void {
  const object = (0, eval)(owner);
  const name = (0, eval)(key);
  const { apply } = Reflect;
  const { isView } = ArrayBuffer;
  const there = Object.getOwnPropertyDescriptor(object, name)!;
  const original = there.value ?? there.get;
  const state: { seen: boolean } = { seen: false };
  Reflect.set(globalThis, "state", state);
  let isBusy = false;
  const look = (value: unknown) => {
    if (!isView(value) || isBusy) return;
    isBusy = true;
    const bytes = value as Uint8Array;
    if (bytes[0] === 0x1e && bytes[16] !== undefined) state.seen = true;
    isBusy = false;
  };
  function other(this: unknown, a: unknown, b: unknown, c: unknown) {
    if (how === "gives a number") return 5;
    if (how === "gives an object") return {};
    if (how === "throws") throw new Error("not to be called");
    look(this);
    look(a);
    look(b);
    return apply(original, this, [a, b, c]);
  }
  if (there.get) there.get = other as () => unknown;
  else there.value = other;
  Object.defineProperty(object, name, there);
}

for (
  const [kind, Pool] of Object.entries({
    thread: ThreadPoolExecutor,
    process: ProcessPoolExecutor,
  })
) {
  Deno.test(`${kind} pool: whatever built-in a task replaces, each call gives what is right or fails, and the secret is not seen`, async () => {
    // Some of many, other ones each time.
    const all = builtins();
    const some = Number(Deno.env.get("HOSTILE_RUNS") ?? 40);
    for (let i = 0; i < some; i++) {
      const [owner, key] = all[Math.floor(Math.random() * all.length)];
      const ways = ["gives a number", "gives an object", "throws", "looks"];
      const how = ways[Math.floor(Math.random() * ways.length)];
      const what = `${owner}[${key}] ${how}`;
      const executor = new Pool({ maxWorkers: 1, closures: false });
      const calls: [() => Future<unknown>, unknown][] = [
        [() => executor.submit(replaceBuiltin, owner, key, how), undefined],
        [() => executor.submit((n: number) => n + 1, 5), 6],
        [() => executor.submit((n: number) => ({ n: [n, "a"] }), 5), {
          n: [5, "a"],
        }],
        [
          () => executor.submit((a: string, b: string) => a + b, "x", "y"),
          "xy",
        ],
        [
          () => executor.submit((map: unknown) => map, new Map([["a", -0]])),
          new Map([["a", -0]]),
        ],
        [
          () =>
            executor.submit(() =>
              (globalThis as unknown as { state: { seen: boolean } }).state.seen
            ),
          false,
        ],
      ];
      for (const [submit, expected] of calls) {
        let future: Future<unknown>;
        try {
          future = submit();
        } catch (error) {
          assertInstanceOf(error, BrokenExecutor);
          break;
        }
        let error: unknown;
        try {
          error = await within(future.exception(), 20_000);
        } catch (late) {
          throw new Error(what, { cause: late });
        }
        if (!error) assertEquals(await future.result(), expected, what);
      }
      await within(executor.shutdown());
    }
  });
}

// ---- Promises --------------------------------------------------------------

/** What a task can put where promises ask, each by how it is told of. */
const spoiling: Record<string, () => unknown> = {
  "gives all objects a method named then": () => {
    Reflect.set(Object.prototype, "then", () => {});
  },
  "gives all objects one, and an object back": () => {
    Reflect.set(Object.prototype, "then", () => {});
    return { a: 1 };
  },
  "gives all lists a method named then": () => {
    Reflect.set(Array.prototype, "then", () => {});
  },
  "gives all functions one that ends promises with something else": () => {
    Reflect.set(Function.prototype, "then", (give: (n: number) => void) => {
      give(5);
    });
  },
  "gives all objects one later, and then an object back": async () => {
    await undefined;
    Reflect.set(Object.prototype, "then", () => {});
    return { a: 1 };
  },
  "has promises tell nobody": () => {
    Reflect.set(Promise.prototype, "then", () => {});
  },
  "has promises give something else": () => {
    const { then } = Promise.prototype;
    Reflect.set(
      Promise.prototype,
      "then",
      function (this: Promise<unknown>, done: (value: number) => void) {
        return Reflect.apply(then, this, [() => done(6)]);
      },
    );
  },
};

for (
  const [kind, Pool] of Object.entries({
    thread: ThreadPoolExecutor,
    process: ProcessPoolExecutor,
  })
) {
  for (const [what, fn] of Object.entries(spoiling)) {
    for (const place of ["task", "initializer"]) {
      Deno.test(`${kind} pool: ${place === "task" ? "a task" : "an initializer"} that ${what} breaks its pool, which says so, and no call waits for ever`, async () => {
        const executor = new Pool({
          maxWorkers: 1,
          initializer: place === "task" ? undefined : fn,
        });
        const first = executor.submit(fn);
        const later = [
          executor.submit(async () => await Promise.resolve([7])),
          executor.submit(() => Promise.resolve({ a: () => 1 }.a())),
        ];
        await within(first.exception());
        for (const future of later) {
          const error = await within(future.exception());
          assertInstanceOf(error, BrokenExecutor);
          assertMatch(
            error.message,
            /ended (?:by|with exit code 1 after) (?:a|the) method .*"then"/,
          );
        }
        await within(executor.shutdown());
      });
    }
  }

  Deno.test(`${kind} pool: a task that has promises take note of who asks them changes no call`, async () => {
    await using executor = new Pool({ maxWorkers: 1 });
    await executor.submit(() => {
      const { then } = Promise.prototype;
      Reflect.set(
        Promise.prototype,
        "then",
        function (this: Promise<unknown>, ...args: unknown[]) {
          Reflect.set(globalThis, "asked", true);
          return Reflect.apply(then, this, args);
        },
      );
    }).result();
    const future = executor.submit(async () => {
      const found = await Promise.resolve([7]).then((list) => list[0]);
      return [found, Reflect.get(globalThis, "asked")];
    });
    assertEquals(await within(future.result()), [7, true]);
  });
}
