import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { FunctionRef } from "../../internal/call/protocol.ts";
import {
  describe,
  label,
  moduleUrl,
  taskModule,
} from "../../internal/functions/describe.ts";

// deno-lint-ignore no-explicit-any -- functions of whatever type
type Any = any;

type ByName = Extract<FunctionRef, { by: "name" }>;

/** What a worker finds at the end of a path. */
function follow(path: readonly string[]): unknown {
  let found: Any = globalThis;
  for (const step of path) found = found?.[step];
  return found;
}

/** Why a function is not found by its name; nothing if it is. */
function lost(fn: Any, shown: string): string[] {
  const ref = describe(fn, "submit");
  if (ref.by !== "name") return [`${shown} travels by ${ref.by}`];
  if (follow(ref.path) !== fn) return [`${shown} is not ${ref.name}`];
  if (ref.name !== ref.path.join(".")) {
    return [`${shown} is called ${ref.name}`];
  }
  return [];
}

/** Asking for these opens a database, or throws. */
const UNTOUCHED = ["localStorage", "sessionStorage", "jupyter"];

/** What no worker has, or has a function of its own for. */
const OF_THE_MAIN_PROGRAM = new RegExp(
  "^globalThis\\.(?:close$" +
    // Node's, and only there once a module of Node's was imported.
    "|process\\b|Buffer\\b|global\\b" +
    "|performance\\.(?:eventLoopUtilization|timerify|markResourceTiming)$" +
    // Of `deno test`, `deno bench`, `deno lint`, and OpenTelemetry.
    "|Deno\\.(?:test|bench|lint|telemetry)\\.)",
);

// ---- Built-ins -------------------------------------------------------------

Deno.test("describe finds every function that can be reached from globalThis by its name", () => {
  const seen = new Set<object>();
  const todo: { value: object; shown: string }[] = [
    { value: globalThis, shown: "globalThis" },
  ];
  const problems: string[] = [];
  let functions = 0;
  for (const { value, shown } of todo) {
    // A prototype's methods are called on an instance, which is not one.
    if (seen.has(value) || shown.endsWith(".prototype")) continue;
    if (OF_THE_MAIN_PROGRAM.test(shown)) continue;
    seen.add(value);
    if (typeof value === "function") {
      functions++;
      problems.push(...lost(value, shown));
    }
    for (const key of Object.getOwnPropertyNames(value)) {
      const found = Object.getOwnPropertyDescriptor(value, key)!.value;
      if (
        typeof found === "function" ||
        typeof found === "object" && found !== null
      ) todo.push({ value: found, shown: `${shown}.${key}` });
    }
  }
  assertEquals(problems, []);
  assert(functions > 300, `only ${functions} were looked at`);
});

for (
  const name of [
    "globalThis",
    "Math",
    "JSON",
    "Object",
    "Reflect",
    "Atomics",
    "Deno",
    "Deno.env",
    "Deno.errors",
    "Deno.permissions",
    "Array",
    "Number",
    "String",
    "Promise",
    "Date",
    "URL",
    "BigInt",
    "Intl",
    "WebAssembly",
    "console",
    "crypto",
    "crypto.subtle",
    "performance",
  ]
) {
  Deno.test(`describe finds every function of ${name} by its name, however it is kept`, () => {
    const owner = name === "globalThis" ? globalThis : follow(name.split("."));
    const problems: string[] = [];
    let functions = 0;
    const keys = new Set(Object.getOwnPropertyNames(owner as object));
    // The methods of an instance such as `crypto` are its prototype's.
    if (typeof owner !== "function" && owner !== globalThis) {
      const proto = Object.getPrototypeOf(owner);
      if (proto !== Object.prototype) {
        for (const key of Object.getOwnPropertyNames(proto)) keys.add(key);
      }
    }
    for (const key of keys) {
      if (UNTOUCHED.includes(key) || key === "constructor") continue;
      if (/^(prototype|arguments|caller)$/.test(key)) continue;
      const value = (owner as Any)[key];
      if (typeof value !== "function") continue;
      const shown = `globalThis.${name}.${key}`
        .replace("globalThis.globalThis", "globalThis");
      if (OF_THE_MAIN_PROGRAM.test(shown)) continue;
      functions++;
      problems.push(...lost(value, shown));
    }
    assertEquals(problems, []);
    assert(functions > 0, "there is one at least");
  });
}

Deno.test("describe finds a method of a prototype by a way that leads to it", () => {
  for (
    const fn of [
      Array.prototype.map,
      String.prototype.trim,
      Map.prototype.get,
      Object.prototype.hasOwnProperty,
      Function.prototype.call,
    ] as Any[]
  ) assertEquals(lost(fn, fn.name), []);
});

Deno.test("describe calls a built-in by its whole path", () => {
  const ref = describe(crypto.subtle.digest, "submit") as ByName;
  assertEquals(ref.path, ["crypto", "subtle", "digest"]);
  assertEquals(ref.name, "crypto.subtle.digest");
  assertEquals(
    ref.source,
    Function.prototype.toString.call(crypto.subtle.digest),
  );
});

Deno.test("describe finds a built-in that has two names by either", () => {
  assertEquals(lost(Number.parseFloat, "Number.parseFloat"), []);
  assertEquals(lost(globalThis.parseFloat, "parseFloat"), []);
});

Deno.test("describe takes no function of a caller's for the built-in whose name it has", () => {
  const fetch = (url: string) => url;
  assertEquals(describe(fetch, "submit"), {
    by: "source",
    name: "fetch",
    source: "(url)=>url",
  });
});

Deno.test("describe opens no database to look for a function", () => {
  // Without --location even the question would throw.
  const { localStorage } = {
    localStorage: function localStorage() {
      return 1;
    },
  };
  assertEquals(describe(localStorage, "submit").by, "source");
});

// ---- A caller's own functions ----------------------------------------------

Deno.test("describe sends a function, an arrow, a method and a static by their source", () => {
  const object = {
    method(n: number) {
      return n;
    },
  };
  class Class {
    static make(n: number) {
      return n;
    }
  }
  function declared(n: number) {
    return n;
  }
  for (const fn of [declared, (n: number) => n, object.method, Class.make]) {
    assertEquals(describe(fn, "submit"), {
      by: "source",
      name: fn.name,
      source: Function.prototype.toString.call(fn),
    });
  }
});

Deno.test("describe sends a function by its source though it has a toString of its own", () => {
  const fn = Object.assign(() => 1, { toString: () => "() => 2" });
  assertEquals(describe(fn, "submit"), {
    by: "source",
    name: "",
    source: "()=>1",
  });
});

Deno.test("describe gives one reference for the same function", () => {
  const fn = () => 1;
  assertStrictEquals(describe(fn, "submit"), describe(fn, "submit"));
});

Deno.test("describe gives one reference for functions of the same name and source", () => {
  const make = () => (n: number) => n * 12345;
  const [one, two] = [make(), make()];
  assertNotStrictEquals(one, two);
  assertStrictEquals(describe(one, "submit"), describe(two, "submit"));
});

Deno.test("describe tells functions of the same source and different names apart", () => {
  const one = (n: number) => n * 54321;
  const two = (n: number) => n * 54321;
  assertEquals([one.name, two.name], ["one", "two"]);
  assertNotStrictEquals(describe(one, "submit"), describe(two, "submit"));
});

Deno.test("describe keeps no more than some hundred sources", () => {
  const first = new Function("return 0");
  const ref = describe(first, "submit");
  for (let i = 1; i <= 1000; i++) {
    describe(new Function(`return ${i}`), "submit");
  }
  const again = describe(new Function("return 0"), "submit");
  assertNotStrictEquals(again, ref);
  assertEquals(again, ref);
  // The function itself is still known.
  assertStrictEquals(describe(first, "submit"), ref);
});

Deno.test("describe takes a function whose name is no string", () => {
  class Odd {
    static override = 1;
    static name = 7 as Any;
  }
  const ref = describe(Odd, "submit");
  assertEquals([ref.by, ref.name], ["source", ""]);
});

Deno.test("describe sends a bound function as what it is, for the worker to refuse", () => {
  const bound = ((n: number) => n).bind(null);
  const ref = describe(bound, "submit") as Any;
  assertEquals(ref.by, "source");
  assert(ref.source.includes("[native code]"));
});

Deno.test("describe throws a TypeError that shows what is no function", () => {
  const cases: [unknown, string][] = [
    [undefined, "undefined"],
    [null, "null"],
    ["print", '"print"'],
    [42, "42"],
    [7n, "7n"],
    [[], "an object (Array)"],
    [Object.create(null), "an object (no class)"],
  ];
  for (const [value, shown] of cases) {
    assertThrows(
      () => describe(value, "map"),
      TypeError,
      `map takes a function first: received ${shown}`,
    );
  }
});

Deno.test("label shows a name in quotes, and says when there is none", () => {
  assertEquals(label({ by: "source", name: "f", source: "" }), '"f"');
  assertEquals(
    label({ by: "source", name: "", source: "" }),
    "an anonymous function",
  );
});

// ---- Modules that are not loaded -------------------------------------------

const URL_OF_TASKS = "file:///of/nothing/tasks.ts";

Deno.test("taskModule gives references that describe knows as a module's exports", () => {
  const tasks = taskModule<Any>(URL_OF_TASKS);
  assertEquals(describe(tasks.isPrime, "submit"), {
    by: "export",
    name: "isPrime",
    module: URL_OF_TASKS,
  });
  assertEquals(tasks.isPrime.name, "isPrime");
  assertEquals((describe(tasks.default, "submit") as Any).name, "default");
});

Deno.test("taskModule gives the same reference each time", () => {
  const tasks = taskModule<Any>(URL_OF_TASKS);
  assertStrictEquals(tasks.isPrime, tasks.isPrime);
  assertNotStrictEquals(tasks.isPrime, tasks.isOdd);
});

Deno.test("taskModule takes a URL object", () => {
  const tasks = taskModule<Any>(new URL(URL_OF_TASKS));
  assertEquals((describe(tasks.f, "submit") as Any).module, URL_OF_TASKS);
});

Deno.test("taskModule's references throw a TypeError when they are called", () => {
  const tasks = taskModule<{ isPrime(n: number): boolean }>(URL_OF_TASKS);
  assertThrows(
    () => tasks.isPrime(7),
    TypeError,
    `"isPrime" of ${URL_OF_TASKS} is a reference that can only be submitted to an executor: import the module to call it here`,
  );
});

Deno.test("taskModule's object can be awaited, and passed through async functions", async () => {
  const tasks = taskModule<Any>(URL_OF_TASKS);
  assertEquals(tasks.then, undefined);
  assertStrictEquals(await Promise.resolve(tasks), tasks);
});

Deno.test("taskModule's object has nothing under a symbol", () => {
  const tasks = taskModule<Any>(URL_OF_TASKS);
  for (
    const symbol of [Symbol.iterator, Symbol.toPrimitive, Symbol.toStringTag]
  ) assertEquals(Reflect.get(tasks, symbol), undefined);
});

Deno.test("taskModule has references of names that every object knows", () => {
  const tasks = taskModule<Any>(URL_OF_TASKS);
  for (const name of ["constructor", "toString", "__proto__", "name"]) {
    assertEquals(describe(tasks[name], "submit"), {
      by: "export",
      name,
      module: URL_OF_TASKS,
    });
  }
});

Deno.test("taskModule's object can be shown", () => {
  Deno.inspect(taskModule<Any>(URL_OF_TASKS));
});

Deno.test("taskModule throws a TypeError for what is no absolute URL", () => {
  for (const url of ["./tasks.ts", "/tasks.ts", "tasks.ts", ""]) {
    assertThrows(
      () => taskModule(url),
      TypeError,
      `taskModule takes the absolute URL of a module, as import.meta.url or import.meta.resolve("./tasks.ts"): received ${
        JSON.stringify(url)
      }`,
    );
  }
  for (const url of [undefined, null, 7, {}, { href: URL_OF_TASKS }] as Any[]) {
    assertThrows(() => taskModule(url), TypeError, "the absolute URL");
  }
});

Deno.test("moduleUrl gives an absolute URL back as text", () => {
  for (
    const url of [
      "file:///tasks.ts",
      "https://example.com/tasks.ts",
      "data:text/javascript,export{}",
      "jsr:@std/assert",
      "npm:left-pad",
      import.meta.url,
    ]
  ) {
    assertEquals(moduleUrl(url, "the module option"), url);
    assertEquals(moduleUrl(new URL(url), "the module option"), url);
  }
});

Deno.test("moduleUrl says who got what is no absolute URL", () => {
  assertThrows(
    () => moduleUrl("tasks.ts", "the module option"),
    TypeError,
    'the module option takes the absolute URL of a module, as import.meta.url or import.meta.resolve("./tasks.ts"): received "tasks.ts"',
  );
});
