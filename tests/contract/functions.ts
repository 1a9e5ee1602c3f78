/** The contract of how a function travels by value and by name. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import process from "node:process";
import {
  type AnyFn,
  contractTest,
  type ExecutorKind,
  rejection,
} from "./kind.ts";

/** A way to write a function, its arguments and what it gives. */
type Shape = readonly [fn: AnyFn, args: readonly unknown[], expected: unknown];

const computed = "com]puted";

class Statics {
  static plain(n: number) {
    return n + 1;
  }
  static async later(n: number) {
    return await Promise.resolve(n + 1);
  }
  static async(n: number) {
    return n + 1;
  }
  static static(n: number) {
    return n + 1;
  }
  static get(n: number) {
    return n + 1;
  }
  static ["spelled" + "Out"](n: number) {
    return n + 1;
  }
  static field = (n: number) => n + 1;
  static #hidden(n: number) {
    return n + 1;
  }
  static get hidden() {
    return Statics.#hidden;
  }
  instance(n: number) {
    return n + 1;
  }
}

const methods = {
  plain(n: number) {
    return n + 1;
  },
  async later(n: number) {
    return await Promise.resolve(n + 1);
  },
  get(n: number) {
    return n + 1;
  },
  set(n: number) {
    return n + 1;
  },
  async(n: number) {
    return n + 1;
  },
  async async_(n: number) {
    return await Promise.resolve(n + 1);
  },
  static(n: number) {
    return n + 1;
  },
  function(n: number) {
    return n + 1;
  },
  class(n: number) {
    return n + 1;
  },
  constructor(n: number) {
    return n + 1;
  },
  new(n: number) {
    return n + 1;
  },
  "quoted name"(n: number) {
    return n + 1;
  },
  'with "quotes"'(n: number) {
    return n + 1;
  },
  "]("(n: number) {
    return n + 1;
  },
  42(n: number) {
    return n + 1;
  },
  $(n: number) {
    return n + 1;
  },
  größe(n: number) {
    return n + 1;
  },
  [computed](n: number) {
    return n + 1;
  },
  [`${computed}[0]`](n: number) {
    return n + 1;
  },
  [["a", "b"][0]](n: number) {
    return [n + 1][0];
  },
  async [["later", "b"][0] + "]"](n: number) {
    return await Promise.resolve([n + 1][0]);
  },
  async [`${computed}, later`](n: number) {
    return await Promise.resolve(n + 1);
  },
  [Symbol.iterator](n: number) {
    return n + 1;
  },
  [Symbol("a symbol")](n: number) {
    return n + 1;
  },
  arrow: (n: number) => n + 1,
  expression: function (n: number) {
    return n + 1;
  },
  get getter() {
    return 6;
  },
};

const fact = (n: number): number => n < 2 ? 1 : n * fact(n - 1);
const factLater = async (n: number): Promise<number> =>
  n < 2 ? 1 : n * await factLater(n - 1);
const $fact = (n: number): number => n < 2 ? 1 : n * $fact(n - 1);
const größer = (n: number): number => n < 2 ? 1 : n * größer(n - 1);
const factOfExpression = function (n: number): number {
  return n < 2 ? 1 : n * factOfExpression(n - 1);
};
function factDeclared(n: number): number {
  return n < 2 ? 1 : n * factDeclared(n - 1);
}
type Tree = { n: number; children?: Tree[] };
const sumTree = (tree: Tree): number =>
  (tree.children ?? []).map(sumTree).reduce((a, b) => a + b, tree.n);
const shadowed = (shadowed: number): number => shadowed + 1;

// deno-fmt-ignore
const oddlyWritten: AnyFn[] = [
  n=>n+1,
  (n) => (n + 1),
  (n) /* a comment */ => /* another */ n + 1 /* ) */,
  (n) => {
    // a comment with a ) and a } and a `
    return n + 1; // the last one
  },
  function(n){return n+1},
  function   spaced ( n )   {   return n + 1   },
  async n => await n + 1,
  async(n) => { return await n + 1 },
  async function(n) { return await n + 1 },
];

/** Every shape, by what it is called in a test's name. */
const shapes: Record<string, Shape> = {
  "arrow": [(n: number) => n + 1, [5], 6],
  "arrow with a block": [
    (n: number) => {
      const m = n;
      return m + 1;
    },
    [5],
    6,
  ],
  "arrow that gives an object": [(n: number) => ({ n }), [5], { n: 5 }],
  "async arrow": [async (n: number) => await n + 1, [5], 6],
  "function declaration": [declared, [5], 6],
  "async function declaration": [declaredAsync, [5], 6],
  "anonymous function": [
    function (n: number) {
      return n + 1;
    },
    [5],
    6,
  ],
  "named function expression": [
    function named(n: number): unknown {
      return n > 5 ? n : named(n + 1);
    },
    [5],
    6,
  ],
  "function that looks at its arguments": [
    function () {
      return arguments.length;
    },
    [1, 2, 3],
    3,
  ],
  "function of strict code": [
    function (this: unknown) {
      return this;
    },
    [],
    undefined,
  ],
  "defaults": [(a: number, b = a + 1, { c = b } = {}) => [a, b, c], [1], [
    1,
    2,
    2,
  ]],
  "destructuring": [
    ({ a, ...rest }: Record<string, number>, [b, , ...c]: number[]) => [
      a,
      rest,
      b,
      c,
    ],
    [{ a: 1, d: 2 }, [3, 4, 5, 6]],
    [1, { d: 2 }, 3, [5, 6]],
  ],
  "rest": [(first: number, ...rest: number[]) => [first, rest], [1, 2, 3], [
    1,
    [2, 3],
  ]],
  "template and regular expression": [
    (text: string) => `${text.replace(/[\]\/}`)]/g, "")}\${}`,
    ["a]/}`)b"],
    "ab${}",
  ],
  "functions inside": [
    (n: number) => {
      class Adder {
        static add(n: number) {
          return n + 1;
        }
      }
      const add = (n: number) => Adder.add(n);
      function* numbers() {
        yield add(n);
      }
      return [...numbers()][0];
    },
    [5],
    6,
  ],
  "recursion of a declared function": [factDeclared, [5], 120],
  "recursion of a const arrow": [fact, [5], 120],
  "recursion of an async const arrow": [factLater, [5], 120],
  "recursion of a const function expression": [factOfExpression, [5], 120],
  "recursion of a name with $": [$fact, [5], 120],
  "recursion of a name beyond ASCII": [größer, [5], 120],
  "recursion that hands the function on": [
    sumTree,
    [{ n: 1, children: [{ n: 2, children: [{ n: 3 }] }, { n: 4 }] }],
    10,
  ],
  "parameter of the function's own name": [shadowed, [5], 6],
  "function made by new Function": [
    new Function("n", "return n + 1") as AnyFn,
    [5],
    6,
  ],
  "sloppy function": [
    new Function("a", "a", "with ({ b: 1 }) return a + b") as AnyFn,
    [0, 5],
    6,
  ],
  "sloppy function whose arguments follow its parameters": [
    new Function("a", "arguments[0] = a + 1; return a") as AnyFn,
    [5],
    6,
  ],
  "sloppy function that looks at its object": [
    new Function("return [typeof this, this === globalThis]") as AnyFn,
    [],
    ["object", true],
  ],
  "sloppy function that declares one in a block": [
    new Function("{ function inner() {} } return typeof inner") as AnyFn,
    [],
    "function",
  ],
  "sloppy function that makes another one": [
    new Function("return (() => (function () { return !!this })())()") as AnyFn,
    [],
    true,
  ],
  "strict function made by new Function": [
    new Function(
      "a",
      '"use strict"; arguments[0] = 7; return [a, typeof this]',
    ) as AnyFn,
    [5],
    [5, "undefined"],
  ],
  "getter": [
    Object.getOwnPropertyDescriptor(methods, "getter")!.get!,
    [],
    6,
  ],
  "method of an instance": [new Statics().instance, [5], 6],
  "private static method": [Statics.hidden, [5], 6],
  "function with another name": [
    Object.defineProperty((n: number) => n + 1, "name", {
      value: "not an identifier",
    }),
    [5],
    6,
  ],
  "function whose name has line breaks": [
    Object.defineProperty((n: number) => n + 1, "name", {
      value: "one\ntwo\u2028three\r",
    }),
    [5],
    6,
  ],
  "function named get": [
    function get(n: number) {
      return n + 1;
    },
    [5],
    6,
  ],
  "function named async, that calls itself": [
    function async(n: number): number {
      return n > 5 ? n : async(n + 1);
    },
    [5],
    6,
  ],
  "function named static, which only sloppy code can be": [
    new Function("return function static(n) { return n + 1 }")() as AnyFn,
    [5],
    6,
  ],
  "function named of": [
    function of(n: number) {
      return n + 1;
    },
    [5],
    6,
  ],
  "function whose name is no string": [
    Object.defineProperty((n: number) => n + 1, "name", { value: 5 }),
    [5],
    6,
  ],
};

for (const key of Reflect.ownKeys(methods)) {
  const { value } = Object.getOwnPropertyDescriptor(methods, key)!;
  if (value) shapes[`method ${String(key)}`] = [value, [5], 6];
}
for (const key of Reflect.ownKeys(Statics)) {
  const { value } = Object.getOwnPropertyDescriptor(Statics, key)!;
  if (typeof value !== "function") continue;
  shapes[`static ${String(key)}`] = [value, [5], 6];
}
for (const [i, fn] of oddlyWritten.entries()) {
  shapes[`oddly written ${i}`] = [fn, [5], 6];
}

function declared(n: number): number {
  return n + 1;
}

async function declaredAsync(n: number): Promise<number> {
  return await n + 1;
}

export function testFunctions(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("a self-contained function of any shape runs as it would here", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    for (const [name, [fn, args, expected]] of Object.entries(shapes)) {
      await t.step(name, async () => {
        assertEquals(await pool.submit(fn, ...args).result(), expected);
      });
    }
  });

  test("functions with the same source and another name do not mix", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const make = (name: string) => ({
      [name]: (n: number): number => n < 2 ? 1 : n * Math.max(1, n - 1),
    }[name]);
    const futures = ["a", "b", "a"].map((name) => pool.submit(make(name), 3));
    for (const future of futures) assertEquals(await future.result(), 6);
  });

  test("built-ins run by their name", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    const cases: [string, AnyFn, unknown[], unknown][] = [
      ["parseInt", parseInt, ["2a", 16], 42],
      ["Number.parseFloat", Number.parseFloat, ["1.5x"], 1.5],
      ["Math.pow", Math.pow, [323, 2], 104329],
      ["Math.max", Math.max, [1, 5, 3], 5],
      ["structuredClone", structuredClone, [{ a: [1n] }], { a: [1n] }],
      ["JSON.parse", JSON.parse, ['{"a":1}'], { a: 1 }],
      ["JSON.stringify", JSON.stringify, [{ a: 1 }], '{"a":1}'],
      ["String.fromCharCode", String.fromCharCode, [72, 105], "Hi"],
      ["Object.entries", Object.entries, [{ a: 1 }], [["a", 1]]],
      ["Object.fromEntries", Object.fromEntries, [[["a", 1]]], { a: 1 }],
      ["Array.from", Array.from, ["ab"], ["a", "b"]],
      ["Array.of", Array.of, [1, 2], [1, 2]],
      ["Promise.all", Promise.all, [[1, 2]], [1, 2]],
      ["Date.UTC", Date.UTC, [1970, 0, 2], 86_400_000],
      ["encodeURIComponent", encodeURIComponent, ["ä b"], "%C3%A4%20b"],
      ["atob", atob, ["SGk="], "Hi"],
      ["btoa", btoa, ["Hi"], "SGk="],
      ["String", String, [5n], "5"],
      ["Number", Number, ["0x10"], 16],
      ["BigInt", BigInt, ["7"], 7n],
      ["Boolean", Boolean, [""], false],
      ["Reflect.has", Reflect.has, [{ a: 1 }, "a"], true],
      ["Atomics.isLockFree", Atomics.isLockFree, [4], true],
      ["Intl.getCanonicalLocales", Intl.getCanonicalLocales, ["EN-us"], [
        "en-US",
      ]],
      ["Deno.inspect", Deno.inspect, [{ a: 1 }], "{ a: 1 }"],
      ["Deno.cwd", Deno.cwd, [], Deno.cwd()],
      ["process.cwd", process.cwd, [], process.cwd()],
    ];
    for (const [name, fn, args, expected] of cases) {
      await t.step(name, async () => {
        assertEquals(await pool.submit(fn, ...args).result(), expected);
      });
    }
    await t.step("crypto.randomUUID", async () => {
      assertMatch(
        await pool.submit(crypto.randomUUID).result(),
        /^[\da-f-]{36}$/,
      );
    });
    await t.step("crypto.subtle.digest", async () => {
      const digest = await pool.submit(
        crypto.subtle.digest,
        "SHA-256",
        new Uint8Array([1]),
      ).result();
      assertEquals((digest as ArrayBuffer).byteLength, 32);
    });
    await t.step("performance.now", async () => {
      assert(await pool.submit(performance.now).result() > 0);
    });
  });

  test("a function of Deno's runs by its name, and its exception is its own", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const dir = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${dir}/a`, "copied");
      await pool.submit(Deno.copyFile, `${dir}/a`, `${dir}/b`).result();
      const text = pool.submit(Deno.readTextFile, `${dir}/b`);
      assertEquals(await text.result(), "copied");
      const missing = pool.submit(Deno.readTextFile, `${dir}/c`);
      await assertRejects(() => missing.result(), Deno.errors.NotFound);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });

  test("map() takes a built-in", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const powers = pool.map(Math.pow, [2, 3], [3, 2]);
    assertEquals(await Array.fromAsync(powers), [8, 9]);
  });

  if (!kind.can.travel) {
    test("a function brings what stands around it", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      let calls = 0;
      await pool.submit(() => calls++).result();
      await pool.submit(parseInt.bind(null, "5")).result();
      assertEquals(calls, 1);
    });
    return;
  }

  test("a function that a caller put on globalThis still goes by value", async () => {
    const scope = globalThis as unknown as { ownOfTheTest?: AnyFn };
    scope.ownOfTheTest = (n: number) => n + 1;
    // With the name of its place it could pass for a built-in.
    const named = function ownOfTheTest(n: number) {
      return n + 2;
    };
    try {
      await using pool = kind.make({ maxWorkers: 1 });
      assertEquals(await pool.submit(scope.ownOfTheTest, 5).result(), 6);
      scope.ownOfTheTest = named;
      assertEquals(await pool.submit(named, 5).result(), 7);
    } finally {
      delete scope.ownOfTheTest;
    }
  });

  test("a function runs in a global scope of its own, which stays", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    await pool.submit(() => {
      Reflect.set(globalThis, "leftByACall", 5);
    }).result();
    const left = pool.submit(() => Reflect.get(globalThis, "leftByACall"));
    assertEquals(await left.result(), 5);
    assertEquals(Reflect.get(globalThis, "leftByACall"), undefined);
  });

  test("bound functions and classes fail with a DataCloneError that names them", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    class Point {
      x = 1;
    }
    const cases: [AnyFn, string][] = [
      [parseInt.bind(null, "5"), '"bound parseInt"'],
      [((n: number) => n).bind(null, 5), '"bound"'],
      [Point as unknown as AnyFn, '"Point"'],
      [class extends Map {} as unknown as AnyFn, "anonymous"],
    ];
    for (const [fn, words] of cases) {
      await t.step(words, async () => {
        const error = await rejection(pool.submit(fn).result());
        assertInstanceOf(error, DOMException);
        assertEquals(error.name, "DataCloneError");
        assertStringIncludes(error.message, words);
        assertMatch(error.message, /module/);
      });
    }
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  test("a ReferenceError says what did not travel, and how to bring it", async (t) => {
    await using pool = kind.make({ maxWorkers: 1, closures: false });
    const limit = 5;
    const helper = (n: number) => n + limit;
    const cases: [AnyFn, string, string][] = [
      [
        function usesLimit(n: number) {
          return n < limit;
        },
        "limit",
        '"usesLimit"',
      ],
      [(n: number) => helper(n), "helper", "anonymous"],
      [
        async function later(n: number) {
          await Promise.resolve();
          return helper(n);
        },
        "helper",
        '"later"',
      ],
      [
        {
          method(n: number) {
            return new Statics().instance(n);
          },
        }.method,
        "Statics",
        '"method"',
      ],
    ];
    for (const [fn, missing, label] of cases) {
      await t.step(label, async () => {
        const error = await rejection(pool.submit(fn, 1).result());
        assertInstanceOf(error, ReferenceError);
        assertMatch(error.message, new RegExp(`^${missing} is not defined`));
        assertStringIncludes(error.message, label);
        for (
          const way of [
            `pass ${missing} as an argument`,
            "the module option (module: import.meta.url)",
            "taskModule()",
          ]
        ) {
          assertStringIncludes(error.message, way);
        }
      });
    }
  });

  test("a ReferenceError of a function's own keeps its message", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const early = () => late;
      early();
      const late = 5;
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, ReferenceError);
    assertEquals(error.message, "Cannot access 'late' before initialization");
  });

  test("a function that has been sent is not sent along with what a worker did to it", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    function tagged(): unknown {
      const own = tagged as unknown as { tag?: number };
      own.tag ??= 1;
      return own.tag;
    }
    assertEquals(await pool.submit(tagged).result(), 1);
    assertEquals((tagged as { tag?: number }).tag, undefined);
    assertNotStrictEquals(tagged, undefined);
  });
}
