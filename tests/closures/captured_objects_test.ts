/** What a function captured arrives as it was, in both pools, or the call is refused by name. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
} from "@std/assert";
import { Buffer } from "node:buffer";
import type { Executor } from "../../executor.ts";
import { ProcessPoolExecutor } from "../../process_pool.ts";
import { ThreadPoolExecutor } from "../../thread_pool.ts";
import { within } from "../_helpers.ts";
import { difference } from "../_same.ts";

// deno-lint-ignore no-explicit-any -- functions and values of whatever type
type Any = any;

const kinds: Record<string, () => Executor> = {
  thread: () => new ThreadPoolExecutor({ maxWorkers: 1 }),
  process: () => new ProcessPoolExecutor({ maxWorkers: 1 }),
};

/** Registers a test for each kind of pool. */
function test(
  sentence: string,
  fn: (pool: Executor) => void | Promise<void>,
): void {
  for (const [kind, make] of Object.entries(kinds)) {
    Deno.test(`${kind} pool: ${sentence}`, () =>
      within((async () => {
        await using pool = make();
        await fn(pool);
      })()));
  }
}

/** Has functions run in a pool and here: the same comes of them. */
async function assertSame(pool: Executor, ...fns: Any[]): Promise<void> {
  for (const fn of fns) {
    // There first: what is captured is copied, and what runs here may change it.
    const there = await pool.submit(fn).result();
    const here = await fn();
    const found = difference(there, structuredClone(here));
    assert(found === undefined, `${fn}: ${found}`);
  }
}

/** Why a call can't be sent. */
async function refusal(pool: Executor, fn: Any): Promise<string> {
  const error = await assertRejects(() => pool.submit(fn).result());
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "DataCloneError");
  return error.message;
}

const factor = 3;

// ---- Accessors and attributes ---------------------------------------------------

test("accessors arrive as what they are, and are not asked on the way", async (pool) => {
  let asked = 0;
  const account: Any = {
    cents: 250,
    get euros() {
      if (asked > -1) asked++;
      return this.cents / 100;
    },
    set euros(euros: number) {
      this.cents = euros * 100;
    },
  };
  const counter = Object.defineProperty(() => factor, "half", {
    get: () => factor / 2,
  });
  class Clock {
    static ticks = 4;
    static get doubled() {
      return this.ticks * 2;
    }
    static set doubled(n: number) {
      this.ticks = n / 2;
    }
    get now() {
      return Clock.ticks;
    }
  }
  const first = await pool.submit(() => {
    account.euros = 7;
    return [account.cents, account.euros];
  }).result();
  assertEquals([first, asked], [[700, 7], 0]);
  await assertSame(
    pool,
    () => (counter as Any).half,
    () => {
      Clock.doubled = 10;
      return [Clock.ticks, Clock.doubled, new Clock().now];
    },
  );
});

test("a getter that throws is no matter until it is called", async (pool) => {
  const lazy = {
    get value(): number {
      throw new RangeError("not yet");
    },
    other: 1,
  };
  await assertSame(pool, () => lazy.other);
  const error = await pool.submit(() => lazy.value).exception();
  assertInstanceOf(error, RangeError);
});

test("properties keep their attributes and their order", async (pool) => {
  const record: Any = { b: 1, a: 2 };
  Object.defineProperty(record, "hidden", { value: 3, writable: true });
  Object.defineProperty(record, "fixed", { value: 4, enumerable: true });
  Object.defineProperty(record, "z", { value: { deep: record } });
  record.last = undefined;
  const items = Object.assign(["a", , "c"], { note: "n", at: -0 });
  Object.defineProperty(items, "2", { value: "fixed" });
  await assertSame(
    pool,
    () => [
      Object.getOwnPropertyNames(record),
      Object.entries(Object.getOwnPropertyDescriptors(record)).map((
        [key, { value: _value, ...attributes }],
      ) => [key, attributes]),
      record.z.deep === record,
    ],
    () => [
      items.length,
      1 in items,
      Object.keys(items),
      Object.getOwnPropertyDescriptor(items, 2),
    ],
  );
});

test("members that symbols name arrive where the symbols have names everywhere", async (pool) => {
  const span = {
    from: 2,
    to: 5,
    *[Symbol.iterator]() {
      for (let i = this.from; i < this.to; i++) yield i;
    },
    [Symbol.toPrimitive]() {
      return this.to - this.from;
    },
    get [Symbol.toStringTag]() {
      return "Span";
    },
    [Symbol.for("unit")]: "days",
  };
  const unit = Symbol.for("unit");
  await assertSame(pool, () => [
    [...span],
    +(span as Any),
    Object.prototype.toString.call(span),
    span[unit as Any as typeof Symbol.iterator],
    unit.description,
  ]);
  const own = Symbol("own");
  const named = { deep: [{ [own]: 1 }] };
  assertMatch(
    await refusal(pool, () => named),
    /captured "named\.deep\[0\]\[Symbol\(own\)\]" is a symbol/,
  );
  const holds = { tag: own };
  assertMatch(
    await refusal(pool, () => holds),
    /captured "holds\.tag" is a symbol/,
  );
});

test("what is frozen, sealed or not extensible arrives so, however deep", async (pool) => {
  const inner = Object.freeze({ list: Object.freeze([1, [2]]) });
  const frozen = Object.freeze({ inner, open: { a: 1 } });
  const sealed = Object.seal({ a: 1, twice: () => factor * 2 });
  const closed = Object.preventExtensions(new Map([["a", 1]]));
  const fn = Object.freeze(Object.assign(() => factor, { a: 1 }));
  class Fixed {
    static a = 1;
  }
  Object.freeze(Fixed);
  Object.freeze(Fixed.prototype);
  const state = (object: object) => [
    Object.isFrozen(object),
    Object.isSealed(object),
    Object.isExtensible(object),
  ];
  await assertSame(pool, () =>
    [
      frozen,
      frozen.inner,
      frozen.inner.list,
      frozen.inner.list[1] as object,
      frozen.open,
      sealed,
      closed,
      fn,
      Fixed,
      Fixed.prototype,
    ].map(state), () => {
    // What is written to it fails, as here.
    try {
      (inner as Any).list = 1;
    } catch (error) {
      return (error as Error).name;
    }
  });
});

// ---- Prototypes ---------------------------------------------------------------

function Animal(this: Any, name: string) {
  this.name = name;
}
Animal.prototype.says = function () {
  return `${this.name}!`;
};
Animal.count = 2;
function Dog(this: Any, name: string) {
  (Animal as Any).call(this, name);
}
Dog.prototype = Object.create(Animal.prototype, {
  constructor: { value: Dog, writable: true, configurable: true },
});
Dog.prototype.barks = function () {
  return this.says() + factor;
};
Object.setPrototypeOf(Dog, Animal);
function Replaced(this: Any) {
  this.own = 1;
}
Replaced.prototype = {
  sum() {
    return (this as Any).own + factor;
  },
};

test("constructors of before classes arrive with their prototypes", async (pool) => {
  const rex = new (Dog as Any)("rex");
  const plain = new (Replaced as Any)();
  await assertSame(
    pool,
    () => [rex.barks(), rex.says(), Object.keys(rex), rex.constructor === Dog],
    () => [rex instanceof (Dog as Any), rex instanceof (Animal as Any)],
    () => [new (Dog as Any)("tim").barks(), (Dog as Any).count],
    () => [
      plain.sum(),
      plain instanceof (Replaced as Any),
      plain.constructor === Object,
    ],
  );
});

test("methods that a class got later, lost, or has no more as it had, are as they are", async (pool) => {
  class Path {
    at = 1;
    next() {
      return 1;
    }
    back() {
      return 2;
    }
    static home() {
      return "home";
    }
    static away() {
      return "away";
    }
  }
  const path: Any = new Path();
  const proto: Any = Path.prototype;
  proto.next = function () {
    return this.at * factor;
  };
  proto.later = () => "later";
  delete proto.back;
  (Path as Any).home = () => "moved";
  delete (Path as Any).away;
  Object.defineProperty(proto, "size", {
    get() {
      return this.at + 1;
    },
  });
  await assertSame(pool, () => [
    path.next(),
    new Path().next(),
    path.later(),
    path.size,
    "back" in path,
    Path.home(),
    "away" in Path,
    Object.getOwnPropertyNames(proto),
  ]);
});

test("objects keep the prototypes that they were given, and share them", async (pool) => {
  const base = {
    get label() {
      return `${(this as Any).name}/${factor}`;
    },
  };
  const [a, b]: Any[] = ["a", "b"].map((name) =>
    Object.assign(Object.create(base), { name })
  );
  const bare = Object.assign(Object.create(null), { a: 1 });
  const data = Object.setPrototypeOf({ own: 1 }, { inherited: 2 });
  const fn = Object.setPrototypeOf(() => factor, { tag: "t" });
  const list = Object.setPrototypeOf([1, 2], null);
  await assertSame(
    pool,
    () => [a.label, b.label],
    () => Object.getPrototypeOf(a) === Object.getPrototypeOf(b),
    () => [Object.getPrototypeOf(bare), bare.a, "toString" in bare],
    () => [data.own, data.inherited, Object.keys(data)],
    () => [fn(), fn.tag],
    () => [Array.isArray(list), Object.getPrototypeOf(list), list.length],
  );
});

class Stack extends Array<number> {
  get top() {
    return this.at(-1);
  }
}
class Registry extends Map<string, unknown> {
  limit = 2;
  get isFull() {
    return this.size >= this.limit;
  }
}
class Tags extends Set<string> {
  text() {
    return [...this].join();
  }
}
class Mishap extends RangeError {
  code = 7;
  get told() {
    return `${this.message} ${this.code}`;
  }
}
class Vector extends Float64Array {
  get size() {
    return Math.hypot(...this);
  }
}

test("objects of classes of one's own that extend built-in ones arrive as theirs", async (pool) => {
  const stack = Stack.from([1, 2, 3]) as Stack;
  const registry = new Registry([["a", 1], ["b", () => factor]]);
  const tags: Any = Object.assign(new Tags(["x", "y"]), { extra: 1 });
  const mishap = new Mishap("m", { cause: { undo: () => factor } });
  const vector = new Vector([3, 4]);
  await assertSame(
    pool,
    () => [stack.top, stack.length, stack instanceof Stack, [...stack]],
    () => [registry.isFull, (registry.get("b") as Any)(), registry.limit],
    () => [tags.text(), tags.extra, tags instanceof Tags],
    () => [
      mishap.told,
      mishap instanceof Mishap,
      (mishap as Any).cause.undo(),
      Object.keys(mishap),
      mishap.stack === undefined,
    ],
    () => [vector.size, vector instanceof Vector, vector.length],
  );
});

test("built-in objects arrive with all that they have", async (pool) => {
  const pattern: Any = Object.assign(/a/g, { hint: "h" });
  pattern.lastIndex = 2;
  const date = Object.assign(new Date(5), { zone: "utc" });
  const many = new AggregateError([new Error("one"), 2], "many");
  const bytes = Buffer.from("hi");
  const text: Any = Object.assign(new String("ab"), { y: 1 });
  const fault = Object.assign(new TypeError("t"), { status: 404 });
  const gone = new DOMException("gone", "NotFoundError");
  await assertSame(
    pool,
    () => [pattern.lastIndex, pattern.hint, pattern.source, pattern.flags],
    () => [date.getTime(), date.zone],
    () => [many.message, many.errors.length, many.errors[0].message],
    () => many instanceof AggregateError,
    () => [Buffer.isBuffer(bytes), bytes.toString()],
    () => [`${text}`, text.y, text.length],
    () => [fault.status, fault instanceof TypeError, Object.keys(fault)],
  );
  // Not every version of the runtime clones it as what it is.
  const isCloned = structuredClone(gone) instanceof DOMException;
  if (isCloned || pool instanceof ProcessPoolExecutor) {
    await assertSame(
      pool,
      () => [gone.name, gone.message, gone instanceof DOMException],
    );
  } else {
    assertMatch(
      await refusal(pool, () => gone),
      /captured "gone" is a DOMException/,
    );
  }
});

test("circles through functions, prototypes and objects arrive as circles", async (pool) => {
  const ring: Any = { list: [], map: new Map() };
  ring.self = () => ring;
  ring.list.push(ring);
  ring.map.set(ring, ring.self);
  ring.self.owner = ring;
  const proto: Any = {
    get me() {
      return this;
    },
  };
  proto.child = Object.create(proto);
  await assertSame(
    pool,
    () => [
      ring.self() === ring,
      ring.list[0] === ring,
      ring.map.get(ring) === ring.self,
      ring.self.owner === ring,
    ],
    () => [
      proto.child.me === proto.child,
      Object.getPrototypeOf(proto.child) === proto,
    ],
  );
});

// ---- Functions and classes ------------------------------------------------------

test("a function finds its own properties by its name, captured or submitted itself", async (pool) => {
  function memo(): Any {
    return [(memo as Any).cache?.get("a"), (memo as Any).hidden];
  }
  memo.cache = new Map([["a", 1]]);
  Object.defineProperty(memo, "hidden", { get: () => factor });
  await assertSame(pool, memo, () => memo());
  // One of the same source, which has none.
  const other = new Function(`return ${memo}`)();
  await assertSame(pool, other);
});

test("a class arrives as it is now, and runs nothing when it is made again", async (pool) => {
  let made = 0;
  class Meter {
    static count = ++made;
    static #secret = ++made;
    static list: number[] = [made];
    static self: Meter | undefined;
    static {
      made++;
      Meter.count = 40;
    }
    static twice = (n: number) => n * this.count;
    static bump() {
      Meter.list.push(Meter.#secret);
      return ++Meter.#secret;
    }
    static get secret() {
      return this.#secret;
    }
  }
  Meter.self = new Meter();
  Meter.bump();
  await assertSame(
    pool,
    () => [Meter.count, Meter.secret, Meter.list, Meter.twice(2), made],
    () => [Meter.self instanceof Meter, Object.getOwnPropertyNames(Meter)],
  );
  const there = await pool.submit(() => [Meter.bump(), Meter.secret]).result();
  assertEquals(there, [4, 4]);
});

test("decorated classes arrive, their static #private members with them", async (pool) => {
  const seen: string[] = [];
  function noted(value: Any, context: { name?: unknown }): Any {
    seen.push(String(context.name));
    return value;
  }
  @noted
  class Tally {
    static #start = 6;
    static step = 2;
    static next() {
      return Tally.#start += this.step;
    }
    @noted
    plus(n: number) {
      return n + factor;
    }
  }
  await assertSame(pool, () => [new Tally().plus(1), Tally.step, seen.length]);
  assertEquals(await pool.submit(() => Tally.next()).result(), 8);
});

test("classes of odd members, and what compilers make of TypeScript, arrive", async (pool) => {
  const key = "made";
  class Keyed {
    [key]() {
      return 6;
    }
  }
  class Odd {
    static get = 1;
    static async = 2;
    static static = 3;
    12() {
      return 5;
    }
    static async *flow() {
      yield factor;
    }
    value = factor;
    bound = () => this.value;
  }
  enum Level {
    Low,
    High = "high",
  }
  class Pair {
    constructor(readonly a: number, private b = factor) {}
    get sum() {
      return this.a + this.b;
    }
  }
  const pair = new Pair(1);
  await assertSame(
    pool,
    async () => {
      const odd: Any = new Odd();
      const { get, async, static: own } = Odd as Any;
      const flow = await Array.fromAsync(Odd.flow());
      return [get, async, own, odd[12](), odd.bound(), flow];
    },
    () => [new Keyed().made(), Level.Low, Level[0], Level.High, pair.sum],
  );
});

// ---- What can't arrive ------------------------------------------------------------

test("what belongs to its program is refused by the path to it, wherever it stands", async (pool) => {
  class Secret {
    #n = 1;
    get n() {
      return this.#n;
    }
  }
  function* numbers() {
    yield 1;
  }
  const file = await Deno.open(new URL(import.meta.url));
  const things: Record<string, unknown> = {
    "a URL": new URL("https://example.org"),
    "a Headers": new Headers(),
    "a TextEncoder": new TextEncoder(),
    "an AbortSignal": new AbortController().signal,
    "a Deno.FsFile": file,
    "a WeakMap": new WeakMap(),
    "a WeakRef": new WeakRef({}),
    "a Generator": numbers(),
    "an Array Iterator": [1].values(),
    "an Iterator Helper": [1].values().map((n) => n),
    "a Promise": Promise.resolve(),
    "a Proxy": new Proxy({}, {}),
    "an Intl.NumberFormat": new Intl.NumberFormat(),
    "an Arguments": (function () {
      return arguments;
    })(),
    "a Secret, whose #private": new Secret(),
    "a bound or native function": factor.toString.bind(factor),
  };
  try {
    for (const [words, thing] of Object.entries(things)) {
      const holder: Any = { deep: [new Map([["k", thing]])] };
      assertMatch(
        await refusal(pool, () => holder),
        new RegExp(
          `captured "holder\\.deep\\[0\\]\\.get\\("k"\\)" is ${words}`,
        ),
      );
      for (const length of [1, 20_000]) {
        const beside = Array.from({ length }, () => 1);
        Object.assign(beside, { deep: { thing } });
        assertMatch(
          await refusal(pool, () => beside),
          new RegExp(`captured "beside\\.deep\\.thing" is ${words}`),
        );
      }
      const inherited = Object.create({ thing });
      assertMatch(
        await refusal(pool, () => inherited.thing),
        new RegExp(`captured "inherited\\.__proto__\\.thing" is ${words}`),
      );
      const fn = Object.assign(() => factor, { thing });
      assertMatch(
        await refusal(pool, () => fn.thing),
        new RegExp(`captured "fn\\.thing" is ${words}`),
      );
    }
  } finally {
    file.close();
  }
});

test("what others put on the prototypes of all objects does not change what travels", async (pool) => {
  const proto: Any = Object.prototype;
  const own = {
    a: 1,
    get b() {
      return this.a + factor;
    },
  };
  const names = ["is", "of", "proto", "closed", "draft", "members", "entries"];
  if (pool instanceof ThreadPoolExecutor) names.push("toJSON");
  let future;
  try {
    for (const name of names) {
      Object.defineProperty(proto, name, {
        __proto__: null,
        value: name === "toJSON" ? () => 9 : name,
        enumerable: true,
        writable: true,
        configurable: true,
      } as PropertyDescriptor);
    }
    future = pool.submit(() => [own.a, own.b, Object.keys(own)]);
  } finally {
    for (const name of names) delete proto[name];
  }
  assertEquals(await future.result(), [1, 4, ["a", "b"]]);
});

test("a method that is submitted without its object says how to pass it", async (pool) => {
  const map = new Map([["a", 1]]);
  const { get } = map;
  const counter = {
    n: 1,
    next(step: number) {
      return this.n + step;
    },
    plus(step: number) {
      return this.n + step * factor;
    },
  };
  const { next, plus } = counter;
  const calls = [
    () => pool.submit(get as Any, "a"),
    () => pool.submit(next, 2),
    () => pool.submit(plus, 2),
    () => pool.submit(map.get.bind(map), "a"),
  ];
  const advice = [
    "such as () => object.get()",
    "such as () => object.next()",
    "such as () => object.plus()",
    "such as (...args) => object.method(...args)",
  ];
  for (const [i, call] of calls.entries()) {
    const error = await call().exception();
    assert(
      error instanceof Error && error.message.includes(advice[i]),
      `${error}`,
    );
  }
  // Followed, the advice helps; and what fails of itself says nothing of it.
  assertEquals(await pool.submit(() => counter.plus(2)).result(), 7);
  const other = await pool.submit((value: Any) => value.n, undefined)
    .exception();
  assertEquals(
    (other as Error).message,
    "Cannot read properties of undefined (reading 'n')",
  );
});
