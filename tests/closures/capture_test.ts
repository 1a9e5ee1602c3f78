// deno-lint-ignore-file no-const-assign no-unused-vars -- what assigns so is refused
/** Functions take along what is around them: the same in both pools. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import * as fc from "fast-check";
import { basename } from "node:path";
import type { Executor } from "../../executor.ts";
import { ProcessPoolExecutor } from "../../process_pool.ts";
import { ThreadPoolExecutor } from "../../thread_pool.ts";
import { within } from "../_helpers.ts";
import { difference } from "../_same.ts";
import settings from "../modules/settings.json" with { type: "json" };
import times, { area, howOften, loads, Square } from "../modules/shapes.ts";
import * as shapes from "../modules/shapes.ts";

// deno-lint-ignore no-explicit-any -- functions and values of whatever type
type Any = any;

interface Options {
  maxWorkers?: number;
  closures?: boolean;
  initializer?: Any;
  initargs?: Any;
  module?: string;
}

const kinds: Record<string, (options?: Options) => Executor> = {
  thread: (options) => new ThreadPoolExecutor({ maxWorkers: 1, ...options }),
  process: (options) => new ProcessPoolExecutor({ maxWorkers: 1, ...options }),
};

/** Registers a test for each kind of pool. */
function test(
  sentence: string,
  fn: (
    pool: Executor,
    make: (options?: Options) => Executor,
  ) => void | Promise<void>,
): void {
  for (const [kind, make] of Object.entries(kinds)) {
    Deno.test(`${kind} pool: ${sentence}`, () =>
      within((async () => {
        await using pool = make();
        await fn(pool, make);
      })()));
  }
}

/** Has a function run in a pool and here: the same comes of it. */
async function assertSame(
  pool: Executor,
  fn: Any,
  ...args: unknown[]
): Promise<void> {
  const there = await pool.submit(fn, ...args).result();
  const here = await fn(...args);
  const found = difference(there, structuredClone(here));
  assert(found === undefined, `${fn}: ${found}`);
}

/** Why a call can't be sent. */
async function refusal(pool: Executor, fn: Any): Promise<string> {
  const error = await assertRejects(() => pool.submit(fn).result());
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "DataCloneError");
  return error.message;
}

// ---- What is around the functions ---------------------------------------------

const factor = 3;
let later = 1;
function helper(n: number): number {
  return n * 2 + later;
}
const factorial = (n: number): number => n <= 1 ? 1 : n * factorial(n - 1);
function isEven(n: number): boolean {
  return n === 0 || isOdd(n - 1);
}
function isOdd(n: number): boolean {
  return n !== 0 && isEven(n - 1);
}
function* countTo(n: number): Generator<number> {
  for (let i = 1; i <= n; i++) yield i * factor;
}
async function* lateTo(n: number): AsyncGenerator<number> {
  for (const i of countTo(n)) yield await Promise.resolve(i);
}

enum Color {
  Red = 1,
  Green,
}
// deno-lint-ignore no-namespace -- what it is transpiled to is to travel, too
namespace Geometry {
  export const scale = 2;
  export function grow(n: number): number {
    return n * scale;
  }
  export class Side {
    length = scale;
  }
}
class Point {
  static origin = new Point(0, 0);
  static count = 0;
  readonly parts = [factor];
  constructor(readonly x: number, readonly y: number) {}
  get length(): number {
    return Math.hypot(this.x, this.y);
  }
  static of(n: number): Point {
    Point.count++;
    return new Cube(n, n);
  }
}
class Cube extends Point {
  #hidden = helper(1);
  override get length(): number {
    return super.length * this.#hidden;
  }
}
class Vector extends Point {
  plus({ x, y }: Point): Vector {
    return new Vector(this.x + x, this.y + y);
  }
}
class Fault extends Error {
  override name = "Fault";
  told(): string {
    return `${this.message} of ${factor}`;
  }
}
class Bag extends Map<string, number> {
  sum(): number {
    return [...this.values()].reduce((a, b) => a + b, 0);
  }
}

// ---- What a function may use: the rows of README's table ------------------------

test("a function uses constants, variables and functions from around it", async (pool) => {
  await assertSame(pool, (n: number) => helper(n) * factor, 5);
  const local = 4;
  const nested = (n: number) => helper(n) + local;
  await assertSame(pool, (n: number) => nested(n) * factor, 5);
});

test("functions that call themselves and each other travel", async (pool) => {
  await assertSame(pool, factorial, 6);
  await assertSame(pool, (n: number) => [isEven(n), factorial(n)], 7);
  await assertSame(pool, function self(n: number): number {
    return n < 1 ? factor : self(n - 1) + 1;
  }, 4);
});

test("a function uses values of any kind that can be copied", async (pool) => {
  const map = new Map<unknown, unknown>([["a", { b: [1n, -0, NaN] }]]);
  const when = new Date(7);
  const bytes = new Uint8Array([1, 2, 3]);
  const cycle: Any = { list: [], nothing: undefined };
  cycle.list.push(cycle, new Set([map]));
  const pattern = /a(b)/gu;
  await assertSame(pool, () => [map, when, bytes, cycle, pattern]);
});

test("a function uses enums, namespaces and what they hold", async (pool) => {
  await assertSame(pool, () => [Color.Green, Color[1]]);
  await assertSame(
    pool,
    () => Geometry.grow(3) + new Geometry.Side().length + Geometry.scale,
  );
});

test("a function makes objects of classes, with fields, statics, #private and super", async (pool) => {
  await assertSame(pool, () => {
    const cube = new Cube(3, 4);
    return [cube.length, cube.parts, cube instanceof Point, Point.origin.x];
  });
  await assertSame(pool, () => Point.of(2).length);
});

test("a function finds the static properties of a class as they are", async (pool) => {
  Point.count = 41;
  await assertSame(pool, () => Point.count);
});

test("a function finds functions that a class was given later, or makes by itself", async (pool) => {
  class Tool {
    static base = 2;
    static twice = (n: number) => n * this.base;
  }
  const given: Any = Tool;
  given.plus = (n: number) => n + factor;
  await assertSame(pool, () => [Tool.twice(4), given.plus(4)]);
});

test("a captured class may extend what only its surroundings know", async (pool) => {
  const kinds = {
    Base: Point,
    make() {
      return class extends this.Base {
        area = this.x * this.y;
      };
    },
  };
  const Made = kinds.make();
  await assertSame(pool, () => new Made(2, 3).area);
});

test("dates and patterns arrive with functions of their own", async (pool) => {
  const date = Object.assign(new Date(7), { show: () => factor });
  const list = [Object.assign(/a/g, { show: () => factor }), () => factor];
  await assertSame(pool, () => {
    const [pattern, fn] = list as Any;
    return [date.getTime(), date.show(), pattern.test("a"), fn()];
  });
});

test("an error arrives with the functions in its cause, which an argument may not have", async (pool) => {
  const fault = new Error("told", { cause: { undo: () => factor } });
  await assertSame(pool, () => [fault.message, (fault as Any).cause.undo()]);
  const error = await pool.submit((fault: Error) => fault.message, fault)
    .exception();
  assertMatch(String(error), /args\[0\]\.cause\.undo is the function "undo"/);
});

test("a variable whose name is written with an escape is told from those of the library", async (pool) => {
  const make = new Function("const \\u0024 = 4; return () => \\u0024 * 2;");
  await assertSame(pool, make());
});

test("objects of the program's classes keep their class", async (pool) => {
  const vector = new Vector(1, 2);
  const inside = { list: [vector], bag: new Bag([["a", 1], ["b", factor]]) };
  const fault = new Fault("told");
  await assertSame(pool, () => {
    const [first] = inside.list;
    return [
      first === vector,
      first.plus(vector).length,
      vector instanceof Point,
      inside.bag.sum(),
      fault.told(),
      fault instanceof Fault,
    ];
  });
});

test("a function uses decorators as they are transpiled", async (pool) => {
  function double(value: Any, _context: unknown): Any {
    return function (this: unknown, ...args: unknown[]) {
      return value.apply(this, args) * factor;
    };
  }
  function init(_value: unknown, _context: unknown): Any {
    return (n: number) => n + factor;
  }
  class Decorated {
    @init
    field = 1;
    @double
    method(n: number): number {
      return n + this.field;
    }
  }
  await assertSame(pool, () => new Decorated().method(5));
});

test("what was imported is imported by the worker, where it has a state of its own", async (pool) => {
  area(1, 1);
  assert(loads.count > 0);
  const before = await pool.submit(() => howOften()).result();
  assertEquals(before, 0);
  const after = await pool.submit(() => area(1, 1) + howOften()).result();
  assertEquals(after, 11);
  // A module is loaded once: it keeps its state from call to call.
  assertEquals(await pool.submit(() => howOften()).result(), 1);
});

test("a function uses imports by their name, as default, and all of a module", async (pool) => {
  const { unit } = shapes;
  await assertSame(pool, () => [
    times(4),
    shapes.unit.length,
    shapes.default(2),
    new Square(3).area(),
    unit.length,
    basename("/a/b.ts"),
    settings.name,
  ]);
});

test("objects of an imported class are of the class that the worker imports", async (pool) => {
  const square = new Square(2);
  await assertSame(pool, () => [square.area(), square instanceof Square]);
});

test("a function that was imported takes its own module's variables along", async (pool) => {
  await assertSame(pool, times, 4);
  await assertSame(pool, shapes.area, 2, 3);
});

test("a function uses built-ins by their name, whatever they are called around it", async (pool) => {
  const { max } = Math;
  const math = Math;
  const error = TypeError;
  const tools = { parse: JSON.parse, own: { console } };
  await assertSame(pool, () => [
    max(1, factor),
    math.min(1, factor),
    new error("a").message,
    tools.parse("[1]"),
    typeof tools.own.console.log,
  ]);
});

test("a name of around the function comes before the built-in of that name", async (pool) => {
  const performance = { now: () => 42 };
  const name = "own";
  await assertSame(pool, () => performance.now() + name);
});

test("names of the language's own that a program gave to its own are its own, one alone in a function, too", async (pool) => {
  const self = { n: 5 };
  const console = { log: () => "kept" };
  const fetch = (text: string) => `no net for ${text}`;
  const parseInt = () => "own";
  const Map = (entries: unknown[]) => entries.length;
  class Promise {
    now = 7;
  }
  const Math = { max: () => "own" };
  const JSON = undefined;
  // Each by itself: a function that has one other name around it is looked at anyway.
  await assertSame(pool, () => self.n);
  await assertSame(pool, () => console.log());
  await assertSame(pool, () => fetch("a"));
  await assertSame(pool, () => parseInt());
  await assertSame(pool, () => Map([1, 2]));
  await assertSame(pool, () => new Promise().now);
  await assertSame(pool, function own(n = 2): unknown {
    return n > 0 ? own(n - 1) : Math.max();
  });
  await assertSame(pool, () => typeof JSON);
  await assertSame(pool, () => [Symbol.iterator].length + Number("4"));
});

test("functions travel in objects, arrays, maps and sets", async (pool) => {
  const table = {
    add: (a: number, b: number) => a + b,
    list: [helper, (n: number) => n * factor],
    map: new Map<string, Any>([["helper", helper], ["deep", { isEven }]]),
    set: new Set<unknown>([helper]),
  };
  await assertSame(pool, () => [
    table.add(1, 2),
    table.list.map((fn) => fn(4)),
    table.map.get("deep").isEven(3),
    table.map.get("helper") === helper,
    table.set.has(helper),
    Object.keys(table),
  ]);
});

test("functions keep their names and their properties", async (pool) => {
  function withCount(): number {
    return withCount.count;
  }
  withCount.count = 3;
  const named = () => factor;
  await assertSame(pool, () => [
    withCount() + withCount.count,
    named.name,
    helper.name,
    (() => 1).name,
  ]);
});

test("generators and async functions can be used", async (pool) => {
  await assertSame(pool, () => [...countTo(3)]);
  await assertSame(pool, () => Array.fromAsync(lateTo(3)));
  await assertSame(pool, async () => await Promise.resolve(helper(1)));
});

test("methods, accessors and statics take along what they use", async (pool) => {
  const object = {
    method(n: number) {
      return helper(n);
    },
    get got() {
      return factor;
    },
    ["com" + "puted"](n: number) {
      return n + factor;
    },
  };
  await assertSame(pool, object.method, 2);
  await assertSame(pool, object.computed, 2);
  await assertSame(
    pool,
    Object.getOwnPropertyDescriptor(object, "got")!.get,
  );
  const made: Any = await pool.submit(Point.of, 2).result();
  assertEquals(made.x, 2);
});

test("the functions of a loop each have their own variable", async (pool) => {
  const made: (() => number)[] = [];
  for (let i = 0; i < 3; i++) made.push(() => i * factor);
  await assertSame(pool, () => made.map((fn) => fn()));
});

test("an initializer takes along what it uses", async (_pool, make) => {
  const level = { deep: 5 };
  await using pool = make({
    initializer: (key: string) => {
      Reflect.set(globalThis, key, helper(level.deep));
    },
    initargs: ["level"],
  });
  assertEquals(
    await pool.submit(() => Reflect.get(globalThis, "level")).result(),
    helper(5),
  );
});

// ---- By value ----------------------------------------------------------------

test("what is captured is copied at the moment of submit", async (pool) => {
  later = 1;
  const list = [1];
  const future = pool.submit(() => [helper(0), list.length]);
  later = 100;
  list.push(2);
  assertEquals(await future.result(), [1, 1]);
  assertEquals(await pool.submit(() => helper(0)).result(), 100);
  later = 1;
});

test("assignments of a call don't come back, and are not seen by the next", async (pool) => {
  let count = 0;
  const list: number[] = [];
  const add = () => {
    count++;
    list.push(count);
    return [count, list.length];
  };
  for (let i = 0; i < 2; i++) {
    assertEquals(await pool.submit(add).result(), [1, 1]);
  }
  assertEquals([count, list], [0, []]);
});

test("functions share the variables and objects that they shared", async (pool) => {
  let count = 0;
  const increment = () => ++count;
  const counter = (() => {
    let hidden = 10;
    return { up: () => ++hidden, down: () => --hidden };
  })();
  const object = { n: 0 };
  const first = { object };
  const second = { object, touch: () => object.n++ };
  const both = () => {
    increment();
    increment();
    counter.up();
    second.touch();
    return [count, counter.up(), counter.down(), first.object.n];
  };
  assertEquals(await pool.submit(both).result(), [2, 12, 11, 1]);
  assertEquals([count, object.n], [0, 0]);
});

test("functions don't share variables that only have the same name and value", async (pool) => {
  const up = (() => {
    let n = 1;
    return () => ++n;
  })();
  const same = (() => {
    let n = 1;
    return () => n + (n = 0);
  })();
  await assertSame(pool, () => [up(), same(), up(), same()]);
});

test("an object that is captured and an argument, too, stays one", async (pool) => {
  const shared = { n: 1 };
  await assertSame(pool, (arg: unknown) => arg === shared, shared);
});

test("map reads what is captured once, before it reads its inputs", async (pool) => {
  const list = [1];
  let read = 0;
  const watched = {
    get now() {
      return ++read;
    },
  };
  function* inputs() {
    for (let i = 0; i < 5; i++) {
      list.push(i);
      yield i;
    }
  }
  const fn = (_: number) => [list.length, watched.now];
  const results = await Array.fromAsync(
    pool.map(fn, inputs(), { buffersize: 2 }),
  );
  assertEquals(new Set(results.map(String)).size, 1);
  assertEquals(results[0][0], 1);
});

test("each call of map has a copy of its own", async (pool) => {
  const list: number[] = [];
  const fn = (n: number) => {
    list.push(n);
    return list;
  };
  assertEquals(await Array.fromAsync(pool.map(fn, [1, 2, 3])), [[1], [2], [3]]);
});

// ---- What can't travel -------------------------------------------------------

test("what can't be copied fails the call, by its name and path", async (pool) => {
  const db = { socket: new AbortController().signal, name: "db" };
  assertMatch(
    await refusal(pool, function save() {
      return db.name;
    }),
    /^Cannot send "save" to a worker: captured "db.socket" is an AbortSignal, which can't be copied; make it in the function/,
  );
  const list = [{ deep: new WeakMap() }];
  assertMatch(
    await refusal(pool, () => list),
    /captured "list\[0\]\.deep" is a WeakMap/,
  );
  const symbol = Symbol("a");
  assertMatch(
    await refusal(pool, () => symbol),
    /captured "symbol" is a symbol/,
  );
  const watched = { map: new Proxy(new Map(), {}), set: new Set() };
  assertMatch(
    await refusal(pool, () => watched.map.size),
    /captured "watched\.map" is a Proxy/,
  );
  const holder = Object.assign(() => factor, { db });
  const one = 1;
  const argument = pool.submit(
    (arg: Any) => arg.values.length + one,
    { values: [{ signal: new AbortController().signal }] },
  );
  assertMatch(
    String(await argument.exception()),
    /args\[0\]\.values\[0\]\.signal is an AbortSignal/,
  );
  assertMatch(
    await refusal(pool, () => holder()),
    /captured "holder\.db\.socket" is an AbortSignal/,
  );
  assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
});

test(
  "an initializer that captures what can't be copied is refused by the constructor",
  (_pool, make) => {
    const db = { signal: new AbortController().signal };
    const error = assertThrows(
      () => make({ initializer: () => db }),
      DOMException,
      'captured "db.signal" is an AbortSignal',
    );
    assertEquals(error.name, "DataCloneError");
  },
);

test("what is around a function and not used by it does not travel", async (pool) => {
  const db = { signal: new AbortController().signal };
  const used = 1;
  const other = () => db;
  assert(other());
  await assertSame(pool, (name: { db: number }) => name.db + used, { db: 2 });
});

test("what can't be read is told by its name, and what to do", async (pool) => {
  class Sheet extends Object {
    #secret = 1;
    value = 2;
    arrow = () => this.value;
    override toString(): string {
      return super.toString();
    }
    peek(other: Sheet): number {
      return other.#secret;
    }
  }
  const key = "made" + 1;
  class Keyed {
    [key] = 1;
  }
  const sheet = new Sheet();
  const { arrow, toString: inherited, peek } = sheet;
  const ofArguments = (function () {
    return () => arguments.length;
  })();
  const bound = helper.bind(null, 1);
  const cases: [Any, string][] = [
    [arrow, 'it uses "this" from around it, which can\'t be read; put it'],
    [inherited, 'it uses "super" from around it'],
    [peek, "it uses a #private name from around it"],
    [ofArguments, 'it uses "arguments" from around it'],
    [() => import.meta.url, 'it uses "import.meta" from around it'],
    [() => new Keyed(), 'captured "Keyed" has a member whose name is computed'],
    [() => arrow(), 'captured "arrow" uses "this" from around it'],
    [
      () => sheet.value,
      'captured "sheet" is a Sheet, whose #private members can\'t be read',
    ],
    [() => bound(), 'captured "bound" is a bound or native function'],
    [
      () => unset,
      'captured "unset" has no value yet; submit the function after',
    ],
  ];
  for (const [fn, words] of cases) {
    const message = await refusal(pool, fn);
    assert(message.includes(words), message);
  }
  const unset = 1;
});

test("functions of which can't be told whether they share a variable are refused", async (pool) => {
  const make = () => {
    let n = 0;
    return () => ++n;
  };
  const [one, two] = [make(), make()];
  assertMatch(
    await refusal(pool, () => one() + two()),
    /captured "n" is assigned to by functions of which can't be told whether they share it/,
  );
  one();
  // Now it can.
  await assertSame(pool, () => one() + two());
});

test("eval finds what the function names, too, and a text alone does not bring it", async (pool) => {
  await assertSame(pool, () => [factor, eval("factor + 1")][1]);
  const error = await assertRejects(() =>
    pool.submit(() => eval("factor + 1")).result()
  );
  assertInstanceOf(error, ReferenceError);
  assertMatch(error.message, /^factor is not defined/);
});

test("an exception of a captured function arrives as that of any call", async (pool) => {
  const fails = () => {
    throw new Fault("no");
  };
  const error: Any = await assertRejects(() =>
    pool.submit(() => fails()).result()
  );
  assertEquals([error.name, error.message], ["Fault", "no"]);
  assertMatch(error.stack, /fails/);
});

// ---- The option, and what it costs ---------------------------------------------

test("a function that uses names of built-ins of which programs have their own takes these along", async (pool) => {
  const escape = (text: string) => text.replaceAll("<", "&lt;");
  const unescape = (text: string) => text.replaceAll("&lt;", "<");
  const Temporal = { now: 7 };
  const Iterator = class {
    next = 8;
  };
  await assertSame(pool, () => escape("<"));
  await assertSame(pool, () => unescape("&lt;"));
  await assertSame(pool, () => Temporal.now);
  await assertSame(pool, () => new Iterator().next);
});

test(
  "without closures, an arrow that hands on to a function of its name is told what is missing",
  async (_, make) => {
    await using pool = make({ closures: false });
    const hand = {
      helper: (n: number) => helper(n),
      later: async (n: number) => await later(n),
    };
    function later(n: number) {
      return Promise.resolve(helper(n));
    }
    for (const [name, fn] of Object.entries(hand)) {
      await assertRejects(
        () => pool.submit(fn as Any, 1).result(),
        ReferenceError,
        `${name} is not defined in the worker`,
      );
    }
  },
);

test(
  "closures: false leaves what is around a function behind",
  async (_pool, make) => {
    await using pool = make({ closures: false });
    const error = await assertRejects(() => pool.submit(() => factor).result());
    assertInstanceOf(error, ReferenceError);
    assert(!error.message.includes("--allow-sys"));
  },
);

test("the closures option takes nothing but a boolean", (_pool, make) => {
  assertThrows(
    () => make({ closures: "yes" as Any }),
    TypeError,
    'closures must be a boolean: received "yes"',
  );
});

test(
  "functions of the module option are imported, unless closures are asked for, too",
  async (_pool, make) => {
    const module = import.meta.resolve("../modules/shapes.ts");
    await using plain = make({ module });
    assertEquals(await plain.submit(howOften).result(), 0);
    await assertRejects(
      () => plain.submit(() => factor).result(),
      ReferenceError,
    );
    await using both = make({ module, closures: true });
    assertEquals(await both.submit(howOften).result(), 0);
    assertEquals(await both.submit(() => factor).result(), factor);
  },
);

Deno.test("a function that needs nothing from around it has no inspector opened", async () => {
  const code = `
    const { process } = globalThis;
    const { getBuiltinModule } = process;
    process.getBuiltinModule = (name) => {
      if (name === "node:inspector") console.log("opened");
      return getBuiltinModule.call(process, name);
    };
    const { ThreadPoolExecutor } = await import(${
    JSON.stringify(import.meta.resolve("../../mod.ts"))
  });
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    console.log(await pool.submit((n) => [n, undefined].length, 5).result());
    const two = 2;
    console.log(await pool.submit(() => two).result());
  `;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `data:text/javascript,${encodeURIComponent(code)}`],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout),
    "2\nopened\n2\n",
    new TextDecoder().decode(stderr),
  );
});

Deno.test("no inspector session stays open: workers would take longer to start", async () => {
  const { Session } = (globalThis as Any).process.getBuiltinModule(
    "node:inspector",
  );
  const { connect, disconnect } = Session.prototype;
  let open = 0;
  let most = 0;
  Session.prototype.connect = function () {
    most = Math.max(most, ++open);
    return connect.call(this);
  };
  Session.prototype.disconnect = function () {
    open--;
    return disconnect.call(this);
  };
  try {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    let asked = 0;
    const getters: Any = {
      get one() {
        asked++;
        return 1;
      },
    };
    const future = pool.submit(() => getters.one + factor);
    assertEquals([open, most, asked], [0, 1, 0]);
    assertEquals(await future.result(), 4);
    const none = new WeakMap();
    const failed = pool.submit(() => none);
    assertEquals(open, 0);
    assertInstanceOf(await failed.exception(), DOMException);
  } finally {
    Object.assign(Session.prototype, { connect, disconnect });
  }
});

Deno.test("a REPL has functions go as source alone, and lives on", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["repl", "-A"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`
    const { ThreadPoolExecutor } = await import(${
    JSON.stringify(import.meta.resolve("../../mod.ts"))
  });
    const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const two = 2;
    String(await pool.submit(() => two).exception());
    await pool.submit((n) => n + 40, 2).result();
  `));
  await writer.close();
  const { code, stdout } = await child.output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0);
  assertMatch(text, /ReferenceError: two is not defined/);
  assertMatch(text, /^42$/m);
});

Deno.test("closures are read while a debugger may connect, too", async () => {
  const code = `
    const { ThreadPoolExecutor } = await import(${
    JSON.stringify(import.meta.resolve("../../mod.ts"))
  });
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const two = 2;
    console.log(await pool.submit((n) => n + two, 40).result());
  `;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--inspect=127.0.0.1:0",
      `data:text/javascript,${encodeURIComponent(code)}`,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout),
    "42\n",
    new TextDecoder().decode(stderr),
  );
});

test("the same closure made anew counts as one function", async (pool) => {
  const make = (n: number) => () => n * factor;
  for (const n of [1, 2, 3]) await assertSame(pool, make(n));
});

Deno.test("process.nextTick is what it was after a closure was read", async () => {
  const { process } = globalThis as Any;
  const { nextTick } = process;
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  assertEquals(await pool.submit(() => factor).result(), factor);
  assertStrictEquals(process.nextTick, nextTick);
  await new Promise<void>((resolve) => nextTick(resolve));
});

Deno.test("a closure is read in a worker, too", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const url = import.meta.resolve("../../mod.ts");
  const inner = async (n: number) => {
    const { ThreadPoolExecutor } = await import(url);
    const own = n + factor;
    await using nested = new ThreadPoolExecutor({ maxWorkers: 1 });
    return await nested.submit((m: number) => m * own + helper(own), 2)
      .result();
  };
  assertEquals(await pool.submit(inner, 4).result(), 14 + helper(7));
});

// ---- Of any shape --------------------------------------------------------------

/** A program of nested functions that capture each other and values. */
const NAMES = ["a", "b", "c", "d"];

interface Scope {
  readonly values: readonly number[];
  readonly functions: readonly {
    readonly parts: readonly (readonly [number, number])[];
    readonly arrow: boolean;
    readonly inner: Scope | undefined;
  }[];
}

const scope: fc.Arbitrary<Scope> = fc.letrec<{ scope: Scope }>((tie) => ({
  scope: fc.record({
    values: fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }),
    functions: fc.array(
      fc.record({
        parts: fc.array(fc.tuple(fc.nat(4), fc.nat(20)), { maxLength: 4 }),
        arrow: fc.boolean(),
        inner: fc.option(tie("scope"), { nil: undefined, maxDepth: 2 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  }),
})).scope;

/** Writes a program that declares `values`, and functions named `f0`, `f1` … */
function programOf(root: Scope, count: number): string {
  const write = (
    { values, functions }: Scope,
    names: readonly string[],
    callable: readonly string[],
  ): string => {
    const declared = NAMES.slice(0, values.length);
    const visible = [...new Set([...names, ...declared])];
    const fns = functions.map((_, i) => `f${i}`);
    const calls = [...new Set([...callable, ...fns])];
    let text = "";
    declared.forEach((name, i) => {
      text += `let ${name} = V[${values[i] % count}];`;
    });
    functions.forEach(({ parts, arrow, inner }, i) => {
      const items = parts.map(([kind, pick]) => {
        const name = visible[pick % visible.length];
        const fn = calls[pick % calls.length];
        switch (kind) {
          case 0:
            return name;
          case 1:
            return `(depth > 0 ? ${fn}(depth - 1) : ${name})`;
          case 2:
            return `(${name} = [${name}, depth].flat().slice(-3))`;
          case 3:
            return `[${fn}].map((g) => g(0 * depth - 1)).length`;
          default:
            return `{ ${name} }.${name} === ${name}`.replace(/^/, "(") + ")";
        }
      });
      const body = `depth < 0 ? 0 : [${items}]`;
      const made = arrow
        ? `(depth) => ${body}`
        : `function (depth) { return ${body}; }`;
      text += inner
        ? `const f${i} = (() => { ${
          write(inner, visible, calls)
        } return (depth) => depth < 0 ? 0 : [f0(depth - 1), ...[${items}]]; })();`
        : `const f${i} = ${made};`;
    });
    return text;
  };
  return `${write(root, [], [])} return () => [${
    root.functions.map((_, i) => `f${i}(2)`)
  }];`;
}

for (const [kind, make] of Object.entries(kinds)) {
  Deno.test(`${kind} pool: functions of any nest give there what they give here`, async () => {
    await using pool = make();
    const values = fc.array(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        maxDepth: 2,
      }),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(scope, values, async (scope, values) => {
        const text = programOf(scope, values.length);
        const fn = new Function("V", text)(values);
        const there = await pool.submit(fn).result();
        const found = difference(there, structuredClone(fn()));
        assert(found === undefined, `${text}: ${found}`);
      }),
      { numRuns: Number(Deno.env.get("FAST_CHECK_RUNS") ?? 100) },
    );
  });
}

test("a constant that a function assigns to is refused by name, and a variable is not", async (pool) => {
  const fixed = 1;
  let free = 1;
  const nested = () => {
    // @ts-expect-error what fails here, too
    free > 5 ? fixed = 2 : free++;
    return free;
  };
  assertMatch(await refusal(pool, nested), /captured "fixed" is a constant/);
  assertMatch(
    await refusal(pool, () => nested()),
    /captured "fixed" is a constant/,
  );
  const { part = 1 } = { part: 2 };
  const destructures = () => {
    // @ts-expect-error the same
    ({ part } = { part: 3 });
  };
  assertMatch(
    await refusal(pool, destructures),
    /captured "part" is a constant/,
  );
  const own = () => {
    const fixed = [1];
    fixed[0]++;
    free += fixed[0];
    return free;
  };
  assertEquals(await pool.submit(own).result(), 3);
  free = 1;
});

test("a function that the program has put among the globals is that function there, too", async (pool) => {
  const { fetch } = globalThis;
  const prefix = "mine: ";
  const globals = globalThis as Any;
  globals.fetch = function fetch(url: string) {
    return prefix + url;
  };
  globals.greet = function greet(name: string) {
    return prefix + name;
  };
  try {
    const mine = globals.fetch;
    const { greet } = globals;
    await assertSame(pool, () => [mine("a"), greet("b")]);
    await assertSame(pool, () => typeof Deno.readTextFileSync);
    const { readTextFileSync } = Deno;
    await assertSame(pool, () => readTextFileSync === Deno.readTextFileSync);
  } finally {
    globals.fetch = fetch;
    delete globals.greet;
  }
});

test("functions that are captured keep being strict or sloppy, each as it is", async (pool) => {
  const text = "arguments[0] = 2; return [a, typeof this]";
  const sloppy = new Function("a", text);
  const strict = new Function("a", `"use strict"; ${text}`);
  const own = function (this: Any, a: number) {
    arguments[0] = sloppy(a)[0];
    return [a, typeof this];
  };
  const method = {
    named(a: number) {
      return (function (this: Any) {
        return [a, typeof this];
      })();
    },
  }.named;
  const arrow = (a: number) => method(a);
  let count = 0;
  const counts = () => ++count;
  class Holder {
    static of = sloppy;
    call(a: number) {
      return Holder.of.call(undefined, a);
    }
  }
  const results = await pool.submit((a: number) => [
    sloppy(a),
    strict(a),
    own(a),
    method(a),
    arrow(a),
    (function (this: Any) {
      return typeof this;
    })(),
    new Holder().call(a),
    [counts(), count],
  ], 1).result();
  assertEquals(results, [
    [2, "object"],
    [1, "undefined"],
    [1, "undefined"],
    [1, "undefined"],
    [1, "undefined"],
    "undefined",
    [2, "object"],
    [1, 1],
  ]);
});

test("a sloppy function shares the variables of its script with what is strict there", async (pool) => {
  // As a script of CommonJS is: a function in which others stand.
  const script = new Function(`
    let seen = [];
    function sloppy(a) { arguments[0] = a + 1; seen.push(typeof this); return a; }
    function strict(a) { "use strict"; arguments[0] = a + 1; seen.push(typeof this); return a; }
    return {
      sloppy,
      all: function () { return [sloppy(1), strict(1), typeof this, seen]; },
      later: async () => [sloppy(1), strict(1), seen],
      odd: () => { with ({ a: 5 }) return [sloppy(a), strict(a), seen]; },
    };
  `);
  const { all, later, sloppy } = script();
  assertEquals(await pool.submit(all).result(), [2, 1, "object", [
    "object",
    "undefined",
  ]]);
  assertEquals(await pool.submit(later).result(), [2, 1, [
    "object",
    "undefined",
  ]]);
  assertEquals(await pool.submit(script().odd).result(), [6, 5, [
    "object",
    "undefined",
  ]]);
  assertEquals(await pool.submit(sloppy, 1).result(), 2);
});

test("functions of one name and one source are told apart by their mode", async (pool) => {
  const text = "return function same(a) { arguments[0] = 2; return a }";
  const sloppy = new Function(text)();
  const strict = new Function(`"use strict"; ${text}`)();
  assertEquals(String(sloppy), String(strict));
  for (const [fn, expected] of [[sloppy, 2], [strict, 1], [sloppy, 2]]) {
    assertEquals(await pool.submit(fn, 1).result(), expected);
    assertEquals(await pool.submit((a: number) => fn(a), 1).result(), expected);
  }
});
