/** What a function captured belongs to the function, whatever way its calls come. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import * as fc from "fast-check";
import { EventLoopExecutor } from "../../event_loop_executor.ts";
import type { Executor } from "../../executor.ts";
import { CarriedValues, Deliveries } from "../../internal/closures/carried.ts";
import { makeKeeper } from "../../internal/inside/keep_captured.ts";
import { objectsIn } from "../../internal/values/numbering.ts";
import { ProcessPoolExecutor } from "../../process_pool.ts";
import { ThreadPoolExecutor } from "../../thread_pool.ts";
import { within, withoutGc } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- functions and values of whatever type
type Any = any;

const kinds: Record<string, Any> = {
  thread: ThreadPoolExecutor,
  process: ProcessPoolExecutor,
};

function test(
  sentence: string,
  fn: (pool: Executor, Pool: Any) => Promise<void>,
): void {
  for (const [kind, Pool] of Object.entries(kinds)) {
    Deno.test(`${kind} pool: ${sentence}`, () =>
      within((async () => {
        await using pool = new Pool({ maxWorkers: 2 });
        await fn(pool, Pool);
      })()));
  }
}

/** Ways for a function to get to a worker, each with what comes of one call. */
function waysOf(
  Pool: Any,
): Record<string, (pool: Executor, fn: Any) => Promise<unknown>> {
  return {
    "submit": (pool, fn) => pool.submit(fn, 1).result(),
    "map": (pool, fn) => pool.map(fn, [1]).next().then(({ value }) => value),
    "map of two parameters": (pool, fn) =>
      pool.map(fn, [1], [{}]).next().then(({ value }) => value),
    "map with a buffer": (pool, fn) =>
      pool.map(fn, [1, 2], { buffersize: 1 }).next().then(({ value }) => value),
    "submit of a view": (pool, fn) =>
      pool.with({ timeLimit: 60_000 }).submit(fn, 1).result(),
    "map of a view": (pool, fn) =>
      pool.with({ timeLimit: 60_000 }).map(fn, [1]).next()
        .then(({ value }) => value),
    "a subclass": async (_pool, fn) => {
      class Own extends Pool {
        submit(fn: Any, ...args: Any[]): Any {
          return super.submit((...own: Any[]) => fn(...own), ...args);
        }
      }
      await using own = new (Own as Any)({ maxWorkers: 1 });
      return await own.submit(fn, 1).result();
    },
    "map of a subclass": async (_pool, fn) => {
      class Own extends Pool {
        submit(fn: Any, ...args: Any[]): Any {
          return super.submit((...own: Any[]) => fn(...own), ...args);
        }
      }
      await using own = new (Own as Any)({ maxWorkers: 1 });
      return (await own.map(fn, [1]).next()).value;
    },
    "an initializer": async (_pool, fn) => {
      await using own = new Pool({
        maxWorkers: 1,
        closures: true,
        initializer: async (n: number) => {
          Object.assign(globalThis, { outcome: await fn(n) });
        },
        initargs: [1],
      }) as Any;
      return await own.submit(() => Reflect.get(globalThis, "outcome"))
        .result();
    },
  };
}

const PLATFORM: Record<string, Any> = {
  URL: new URL("https://example.org/"),
  Headers: new Headers(),
  TextEncoder: new TextEncoder(),
  AbortSignal: new AbortController().signal,
  Request: new Request("https://example.org/"),
  URLSearchParams: new URLSearchParams("a=1"),
  WeakMap: new WeakMap(),
  Promise: Promise.resolve(1),
};

test(
  "what a function captured and can't be copied is refused by name, in every way to a worker",
  async (pool, Pool) => {
    for (const [name, object] of Object.entries(PLATFORM)) {
      const db = { deep: [{ held: object }] };
      const fn = (n: number) => [n, typeof db.deep[0].held];
      for (const [way, run] of Object.entries(waysOf(Pool))) {
        const error = await assertRejects(
          () => run(pool, fn),
          `${name} ${way}`,
        );
        assertInstanceOf(error, DOMException, `${name} ${way}: ${error}`);
        assertEquals(error.name, "DataCloneError");
        assert(
          error.message.includes(`"db.deep[0].held"`),
          `${name} ${way}: ${error.message}`,
        );
      }
    }
  },
);

test(
  "what a function captured arrives, in every way to a worker",
  async (pool, Pool) => {
    const table = { rows: [{ id: 1 }, { id: 2 }], at: new Date(5), big: 5n };
    let factor = 3;
    const times = (n: number) => n * factor;
    const fn = (
      n: number,
    ) => [times(n), table.rows[n].id, +table.at, table.big];
    const expected = fn(1);
    for (const [way, run] of Object.entries(waysOf(Pool))) {
      assertEquals(await run(pool, fn), expected, way);
    }
    factor++;
  },
);

test("an object that is captured and an item, too, is one object for the call", async (pool) => {
  const rows = [{ id: 1 }, { id: 2, more: { id: 3 } }, { id: 4 }];
  const place = (row: { id: number }) => {
    const at = rows.indexOf(row);
    if (at >= 0) rows[at].id *= 10;
    return [at, row.id];
  };
  const expected = [[0, 10], [1, 20], [2, 40]];
  for (const options of [{}, { chunksize: 1 }, { buffersize: 1 }]) {
    const places = pool.map(place, rows, options);
    assertEquals(await Array.fromAsync(places), expected);
  }
  const views = pool.with({ timeLimit: 60_000 }).map(place, rows);
  assertEquals(await Array.fromAsync(views), expected);
  const nested = (pair: [unknown, { row: Any }], other: Any) => [
    rows.indexOf(pair[1].row),
    pair[1].row === other,
    rows[1].more === other,
  ];
  assertEquals(
    await Array.fromAsync(
      pool.map(nested, rows.map((row) => [0, { row }] as Any), [
        rows[0],
        rows[1].more,
        {},
      ]),
    ),
    [[0, true, false], [1, false, true], [2, false, false]],
  );
});

test("an object that is captured as more than data, and an argument, too, is one object for the call", async (pool) => {
  class Point {
    constructor(public x: number) {}
    double() {
      return this.x * 2;
    }
  }
  const point = new Point(2);
  const frozen = Object.freeze({ n: 1, point });
  const counter = {
    raw: 1,
    get next() {
      return ++this.raw;
    },
  };
  const bare = Object.assign(Object.create(null), { a: 1 });
  const all = [point, frozen, counter, bare];
  const look = (one: Any, two: Any, n: number) => {
    if (one === counter) void one.next;
    return [
      all.indexOf(one),
      one === two,
      frozen.point === point,
      one instanceof Point && one.double(),
      Object.isFrozen(one),
      Object.getPrototypeOf(one) === null,
      counter.raw,
      n,
    ];
  };
  const expected = [
    [0, true, true, 4, false, false, 1, 0],
    [1, true, true, false, true, false, 1, 1],
    [2, true, true, false, false, false, 2, 2],
    [3, true, true, false, false, true, 1, 3],
  ];
  for (const options of [{}, { chunksize: 1 }, { buffersize: 1 }]) {
    assertEquals(
      await Array.fromAsync(pool.map(look, all, all, [0, 1, 2, 3], options)),
      expected,
    );
  }
  for (const [i, one] of all.entries()) {
    assertEquals(await pool.submit(look, one, one, i).result(), expected[i]);
  }
  // Held by another argument it would be two objects there: so it is refused.
  for (const holder of [{ point }, [frozen], new Map([[1, counter]])]) {
    const fn = (held: unknown) => [held, all.length, point.x];
    for (
      const call of [
        () => pool.submit(fn, holder).result(),
        () => pool.map(fn, [holder]).next(),
      ]
    ) {
      const error = await assertRejects(call) as Error;
      assertEquals(error.name, "DataCloneError");
      assert(
        error.message.includes("args[0] holds an object that"),
        error.message,
      );
    }
  }
});

test("each item finds what was captured as it was, whatever the ones before did to it", async (pool) => {
  const made = {
    plain: { a: 1, b: "two" },
    list: [1, { c: 2 }, [3]],
    map: new Map<Any, Any>([["k", { d: 4 }]]),
    set: new Set<Any>([1, "s"]),
    date: new Date(7),
    bytes: new Uint8Array([1, 2]),
    pattern: /x/g,
  };
  const changes: Record<string, Any> = {
    assigns: () => made.plain.a = 9,
    adds: () => (made.plain as Any).z = 9,
    deletes: () => delete (made.plain as Any).b,
    pushes: () => made.list.push(9),
    "changes deep": () => (made.list[1] as Any).c = 9,
    "names a member of a list": () => (made.list as Any).name = 9,
    "sets in a map": () => made.map.set("k", 9),
    "changes in a map": () => made.map.get("k").d = 9,
    "changes a map's order": () => {
      made.map.set("first", 1);
      made.map.delete("k");
    },
    "adds to a set": () => made.set.add(9),
    "sets a date": () => made.date.setTime(9),
    "writes bytes": () => made.bytes[0] = 9,
    "moves on in a pattern": () => made.pattern.test("xx"),
    freezes: () => Object.freeze(made.plain),
    "has a getter": () =>
      Object.defineProperty(made.plain, "a", { get: () => 9 }),
    "hides a member": () =>
      Object.defineProperty(made.plain, "hidden", { value: 9 }),
    "uses a symbol": () => (made.plain as Any)[Symbol.iterator] = 9,
    "changes a prototype": () => Object.setPrototypeOf(made.plain, { z: 9 }),
  };
  const names = Object.keys(changes);
  const look = () => [
    Object.entries(Object.getOwnPropertyDescriptors(made.plain)),
    Object.isFrozen(made.plain),
    Object.getPrototypeOf(made.plain) === Object.prototype,
    Object.getOwnPropertySymbols(made.plain).length,
    Object.entries(made.list),
    [...made.map],
    [...made.set],
    +made.date,
    [...made.bytes],
    made.pattern.lastIndex,
  ];
  const fn = (name: string) => {
    const seen = structuredClone(look());
    changes[name]();
    return seen;
  };
  const expected = structuredClone(look());
  for (const options of [{}, { chunksize: 1 }]) {
    const seen = await Array.fromAsync(
      pool.map(fn, [...names, ...names], options),
    );
    assertEquals(seen.length, names.length * 2);
    seen.forEach((each, i) =>
      assertEquals(
        each,
        expected,
        `after one that ${names[(i + names.length - 1) % names.length]}`,
      )
    );
  }
});

Deno.test("a keeper gives a copy again only as long as nothing has changed in it", () => {
  const leaf = fc.oneof(
    fc.integer(),
    fc.string(),
    fc.constant(null),
    fc.double(),
  );
  const { value } = fc.letrec<{ value: Any }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.string({ maxLength: 2 }), tie("value"), { maxKeys: 3 }),
      fc.array(fc.tuple(leaf, tie("value")), { maxLength: 2 })
        .map((entries) => new Map(entries as Any)),
      fc.array(tie("value"), { maxLength: 2 }).map((items) => new Set(items)),
      fc.integer().map((ms) => new Date(ms)),
    ),
  }));
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(6), (made: Any, which, how) => {
      const record = { values: [made] };
      const kept = makeKeeper(objectsIn).take({
        id: 1,
        captured: structuredClone(record),
      });
      const first = kept.fresh(false);
      assertEquals(first, record as Any);
      assertEquals(kept.fresh(false) === first, true);
      // The list of values itself can't be reached by a call.
      const objects = objectsIn(first.values).slice(1);
      if (objects.length === 0) return;
      const object = objects[which % objects.length] as Any;
      switch (how) {
        case 0:
          object.extra = 1;
          break;
        case 1:
          Object.preventExtensions(object);
          break;
        case 2:
          Object.setPrototypeOf(object, null);
          break;
        case 3:
          object[Symbol("own")] = "x";
          break;
        case 4:
          Object.defineProperty(object, "hidden", { value: 1 });
          break;
        case 5:
          if (object instanceof Map) object.set({}, 1);
          else if (object instanceof Set) object.add({});
          else if (object instanceof Date) object.setTime(+object + 1);
          else if (Array.isArray(object)) object.length++;
          else object.added = 1;
          break;
        default: {
          const [key] = Object.keys(object);
          if (key === undefined) object.first = 1;
          else delete object[key];
        }
      }
      const second = kept.fresh(false);
      assertEquals(second === first, false);
      assertEquals(second, record as Any);
    }),
  );
});

Deno.test("objects have the numbers in a copy that they have here", () => {
  const shared = { n: 1 };
  const root = {
    z: [shared, , { shared }],
    map: new Map<Any, Any>([[shared, new Set([[shared]])]]),
    error: new Error("x", { cause: { shared } }),
    bytes: new Uint8Array(new ArrayBuffer(8), 2, 2),
    10: "ten",
    date: new Date(),
    self: null as Any,
  };
  root.self = root;
  const here = objectsIn(root);
  const there = objectsIn(structuredClone(root));
  assertEquals(there.length, here.length);
  here.forEach((object, i) => {
    assertEquals(
      Object.prototype.toString.call(there[i]),
      Object.prototype.toString.call(object),
    );
    assertEquals(objectsIn(there[i]).length, objectsIn(object).length);
  });
});

Deno.test("a worker is sent what was captured once, and told when nobody needs it", () => {
  const told: unknown[] = [];
  const deliveries = new Deliveries();
  const carried = new CarriedValues("packed", (each) => told.push(each));
  const other = new CarriedValues("other", () => {});
  const single = new CarriedValues("single");
  assertEquals(single.id, undefined);
  const fresh: CarriedValues[] = [];
  assertEquals(deliveries.messageOf(carried, fresh).captured, "packed");
  assertEquals(deliveries.messageOf(carried, fresh).captured, undefined);
  // A message that came before this one's end must bring it, too.
  const nested: CarriedValues[] = [];
  assertEquals(deliveries.messageOf(carried, nested).captured, "packed");
  deliveries.sent(nested);
  deliveries.sent(fresh);
  assertEquals(deliveries.messageOf(carried, []).captured, undefined);
  assertEquals(deliveries.messageOf(other, []).captured, "other");
  assertEquals(deliveries.messageOf(single, []).captured, "single");
  carried.hold();
  carried.drop();
  assertEquals(told, []);
  carried.drop();
  assertEquals(told, [carried]);
  assertEquals(deliveries.forget(carried), true);
  assertEquals(deliveries.forget(carried), false);
});

test(
  "what a map's function captured is given up in the workers when the map is over",
  async (_pool, Pool) => {
    if (withoutGc) return;
    const flags = { execArgv: ["--v8-flags=--expose-gc"] };
    await using pool = new Pool({
      maxWorkers: 2,
      ...(Pool === ProcessPoolExecutor && flags),
    }) as Executor & AsyncDisposable;
    const bytes = new Uint8Array(20 << 20).fill(1);
    const fn = (n: number) => bytes[n];
    const used: number[] = [];
    for (let i = 0; i < 6; i++) {
      assertEquals(await Array.fromAsync(pool.map(fn, [1, 2, 3])), [1, 1, 1]);
      // What is forgotten is told of with, or before, the next calls.
      const held = await Promise.all(
        [1, 2, 3, 4].map((n) =>
          pool.submit(async (_: number) => {
            const { gc, process } = globalThis as Any;
            await new Promise((resolve) => setTimeout(resolve));
            gc();
            const { external, arrayBuffers } = process.memoryUsage();
            return external + arrayBuffers;
          }, n).result()
        ),
      );
      used.push(Math.max(...held));
    }
    // One map's at the most, which a worker may hold that has heard of no other.
    assert(
      used.at(-1)! - used[1] < 50 << 20,
      `six maps of 20 MiB leave ${used.map((n) => n >> 20).join()} MiB`,
    );
  },
);

Deno.test("a copying event loop refuses what a thread refuses, in the same words, and runs the function itself", async () => {
  await using thread = new ThreadPoolExecutor({ maxWorkers: 1 });
  await using loop = new EventLoopExecutor({ copy: true });
  for (const object of Object.values(PLATFORM)) {
    const db = { held: object };
    const calls: [Any, ...unknown[]][] = [
      [() => typeof db.held],
      [(arg: unknown) => typeof arg, [object]],
      [(n: number) => ({ items: [n, new URL("https://example.org/")] }), 1],
      [() => () => 1],
    ];
    for (const [fn, ...args] of calls) {
      const there = await thread.submit(fn, ...args).exception() as Error;
      const here = await loop.submit(fn, ...args).exception() as Error;
      assertEquals(here.name, "DataCloneError");
      assertEquals(here.message, there.message);
    }
  }
  let ran = 0;
  const argument = { n: 1 };
  const result = await loop.submit((arg: typeof argument) => {
    ran++;
    arg.n++;
    return arg;
  }, argument).result();
  assertEquals([ran, argument.n, result.n], [1, 1, 2]);
});
