/** Whatever a task throws, wherever: it fails what it is to fail, and nothing else. */

import {
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import {
  BrokenExecutor,
  EventLoopExecutor,
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "../../mod.ts";
import { within } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- exceptions of whatever shape
type Any = any;

/** What the caller is to see of an exception: its class, or that it is none, and its text. */
type Seen = readonly [kind: string, text?: string];

const pools = {
  thread: () => new ThreadPoolExecutor({ maxWorkers: 1 }),
  process: () => new ProcessPoolExecutor({ maxWorkers: 1 }),
};
const executors: Record<string, () => Executor> = {
  ...pools,
  "event loop": () => new EventLoopExecutor(),
};

/** Makes an exception; what the caller is to see of it. */
const odd: Record<string, [make: () => unknown, seen: Seen]> = {
  // ---- Lists of exceptions
  "an AggregateError whose list has a map() of its own": [() => {
    const error = new AggregateError([1], "many");
    Object.assign(error.errors, { map: () => [1] });
    return error;
  }, ["AggregateError", "many"]],
  "an AggregateError whose list has every method of its own": [() => {
    const error = new AggregateError([new TypeError("one")], "many");
    for (const name of Object.getOwnPropertyNames(Array.prototype)) {
      if (name !== "length") {
        Object.assign(error.errors, { [name]: () => ["wrong"] });
      }
    }
    Object.assign(error.errors, { [Symbol.iterator]: 5 });
    return error;
  }, ["AggregateError", "many"]],
  "an AggregateError whose list is a number": [
    () => Object.assign(new AggregateError([], "many"), { errors: 5 }),
    ["AggregateError", "many"],
  ],
  "an AggregateError whose list is a proxy that throws": [() => {
    const errors = new Proxy([], {
      get: () => {
        throw new Error("not to be read");
      },
    });
    return Object.assign(new AggregateError([], "many"), { errors });
  }, ["AggregateError", "many"]],
  "an AggregateError whose list has a hole and a getter that throws": [() => {
    const error = new AggregateError([, 1], "many");
    Object.defineProperty(error.errors, 1, {
      get: () => {
        throw new Error("not to be read");
      },
    });
    return error;
  }, ["AggregateError", "many"]],
  "an AggregateError whose list is longer than any": [() => {
    const error = new AggregateError([], "many");
    error.errors.length = 2 ** 32 - 1;
    return error;
  }, ["AggregateError", "many"]],
  "an AggregateError that is in its own list": [() => {
    const error = new AggregateError([], "many");
    error.errors.push(error, [error]);
    return error;
  }, ["AggregateError", "many"]],
  "a SuppressedError of nothing": [
    () => new SuppressedError(undefined, undefined, "late"),
    ["SuppressedError", "late"],
  ],
};

// ---- Properties of all kinds of things

const keys = ["name", "message", "stack", "cause", "toString", "errors"];
const things: Record<string, () => unknown> = {
  "a number": () => 7,
  "null": () => null,
  "undefined": () => undefined,
  "a symbol": () => Symbol("odd"),
  "a BigInt": () => 7n,
  "a function": () => () => "odd",
  "an object": () => ({ a: { b: 1 } }),
  "an object without a prototype": () => Object.create(null),
  "an object whose toString throws": () => ({
    toString: () => {
      throw new Error("not to be called");
    },
  }),
  "a proxy": () => new Proxy({}, {}),
  "a proxy that was revoked": () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  "a thenable": () => ({ then: () => {} }),
  "an array of its own making": () =>
    Object.assign([1], { map: 5, toJSON: () => 5 }),
  "a class": () => class Odd {},
  "a Headers": () => new Headers(),
  "a text of a million letters": () => "x".repeat(1_000_000),
  "a getter that throws": () => undefined,
};

const everything = Object.entries(things).flatMap(([what, make]) =>
  keys.map((key) => ({ key, what, make }))
);

async function goesOn(executor: Executor, what: string): Promise<void> {
  const next = executor.submit((n: number) => ({ n: [n, -0] }), 7);
  assertEquals(await within(next.result()), { n: [7, -0] }, what);
}

async function thrownBy(
  executor: Executor,
  fn: (...args: Any[]) => unknown,
  ...args: unknown[]
): Promise<[error: Any]> {
  try {
    await within(executor.submit(fn, ...args).result());
  } catch (error) {
    // In a list: it may be a thenable.
    return [error];
  }
  throw new Error("the call did not fail");
}

for (const [kind, make] of Object.entries(executors)) {
  Deno.test(`${kind} executor: an odd exception fails its own call, as what it is`, async () => {
    await using executor = make();
    for (const [what, [fn, [name, text]]] of Object.entries(odd)) {
      const source = `${fn}`;
      const [error] = await thrownBy(
        executor,
        (source: string) => {
          throw (0, eval)(source)();
        },
        source,
      );
      assertEquals([error.constructor.name, error.message], [name, text], what);
      await goesOn(executor, what);
    }
  });

  Deno.test(`${kind} executor: an exception whose properties are whatever a task can make fails its own call`, async () => {
    await using executor = make();
    for (const { key, what, make } of everything) {
      const isGetter = what === "a getter that throws";
      const [error] = await thrownBy(
        executor,
        (source: string, key: string, isGetter: boolean) => {
          const error = new RangeError("odd");
          const value = isGetter ? undefined : (0, eval)(source)();
          Object.defineProperty(
            error,
            key,
            isGetter
              ? {
                get: () => {
                  throw new Error("not to be read");
                },
                configurable: true,
              }
              : { value, configurable: true, enumerable: false },
          );
          throw error;
        },
        `${make}`,
        key,
        isGetter,
      );
      assertInstanceOf(error, RangeError, `${key} is ${what}`);
      if (key !== "message") assertEquals(error.message, "odd");
      await goesOn(executor, `${key} is ${what}`);
    }
  });

  Deno.test(`${kind} executor: what is thrown and is no exception arrives, or is refused by name`, async () => {
    await using executor = make();
    for (const [what, make] of Object.entries(things)) {
      const [error] = await thrownBy(executor, (source: string) => {
        throw (0, eval)(source)();
      }, `${make}`);
      if (kind !== "event loop" && !isCopied(make)) {
        // To look at it throws an error, which then is what there is to tell.
        const name = what.includes("revoked") ? "TypeError" : "DataCloneError";
        assertEquals(error.name, name, what);
      }
      await goesOn(executor, what);
    }
  });
}

const isDeno25 = Deno.version.deno.startsWith("2.5.");

function isCopied(make: () => unknown): boolean {
  try {
    const value = make();
    structuredClone(value);
    return !(value instanceof Headers);
  } catch {
    return false;
  }
}

for (const [kind, make] of Object.entries(pools)) {
  for (
    const way of [
      "an unhandled rejection",
      "an uncaught error",
      "both at once",
    ] as const
  ) {
    Deno.test(`${kind} pool: ${way} breaks the pool alone, whatever it is`, async () => {
      for (
        const source of [
          `Object.assign(new Error("x"), { toString: 1 })`,
          `Object.assign(new Error("x"), { name: Symbol("x"), stack: 5 })`,
          `new Proxy(new Error("x"), { get() { throw 1; } })`,
          // Deno 2.5 itself panics where nobody catches this one.
          ...isDeno25 && way !== "an unhandled rejection" ? [] : [
            `Object.defineProperty(new Error("x"), "message", { get() { throw 1; } })`,
          ],
          `Object.create(null)`,
          `Symbol("x")`,
          `undefined`,
          `Object.assign(new AggregateError([], "x"), { errors: { map: 1 } })`,
        ]
      ) {
        const executor = make();
        const future = executor.submit(
          (source: string, way: string) => {
            const made = (0, eval)(source);
            if (way !== "an uncaught error") Promise.reject(made);
            if (way !== "an unhandled rejection") {
              setTimeout(() => {
                throw made;
              });
            }
            return new Promise(() => {});
          },
          source,
          way,
        );
        const error = await within(future.exception());
        assertInstanceOf(error, BrokenExecutor, source);
        assertEquals(typeof error.message, "string");
        await within(executor.shutdown());
      }
    });
  }

  Deno.test(`${kind} pool: an initializer that throws what no text can be made of breaks the pool`, async () => {
    for (
      const initializer of [
        () => {
          throw Object.assign(new Error("x"), { toString: 1 });
        },
        () => {
          throw Object.assign(new Error("x"), {
            name: { toString: () => ({}) },
          });
        },
        () => {
          throw { then: 1, toString: null };
        },
        () => {
          throw "x".repeat(5_000_000);
        },
      ]
    ) {
      const executor = kind === "thread"
        ? new ThreadPoolExecutor({ maxWorkers: 1, initializer })
        : new ProcessPoolExecutor({ maxWorkers: 1, initializer });
      const error = await within(executor.submit(Math.sqrt, 9).exception());
      assertInstanceOf(error, BrokenExecutor);
      assertEquals(error.message.length < 50_000, true);
      await within(executor.shutdown());
    }
  });

  Deno.test(`${kind} pool: an odd exception of a getter, met while a result is copied, fails its own call`, async () => {
    await using executor = make();
    for (
      const source of [
        `Object.assign(new AggregateError([], "x"), { errors: Object.assign([], { map: () => [1] }) })`,
        `Object.assign(new Error("x"), { toString: 1 })`,
        `new Proxy({}, { getPrototypeOf() { throw 1; } })`,
        `undefined`,
      ]
    ) {
      await thrownBy(executor, (source: string) => ({
        get odd() {
          throw (0, eval)(source);
        },
      }), source);
      await goesOn(executor, source);
    }
  });

  // Deno 2.5 itself panics where such a module is imported.
  Deno.test(
    `${kind} pool: a module that throws an odd exception while it is imported fails the calls that need it`,
    { ignore: isDeno25 },
    async () => {
      const source =
        `throw Object.assign(new Error("x"), { toString: 1, message: { toString: null } });`;
      const module = `data:text/javascript,${encodeURIComponent(source)}`;
      await using executor = kind === "thread"
        ? new ThreadPoolExecutor({ maxWorkers: 1, module })
        : new ProcessPoolExecutor({ maxWorkers: 1, module });
      function ofModule() {
        return 1;
      }
      await thrownBy(executor, ofModule);
      assertEquals(await within(executor.submit(Math.sqrt, 9).result()), 3);
    },
  );

  Deno.test(`${kind} pool: no class and no getter of the program's is used for an exception of a task`, async () => {
    const scope = globalThis as Any;
    let used = 0;
    Object.defineProperty(scope, "OwnFailure", {
      configurable: true,
      get() {
        used++;
        return class extends Error {};
      },
    });
    scope.OtherFailure = class OtherFailure extends Error {
      constructor(message: string) {
        super(message);
        used++;
      }
    };
    try {
      await using executor = make();
      for (const name of ["OwnFailure", "OtherFailure"]) {
        const [error] = await thrownBy(executor, (name: string) => {
          const Made = { [name]: class extends Error {} }[name];
          Object.assign(globalThis, { [name]: Made });
          throw new Made("from the task");
        }, name);
        assertStrictEquals(Object.getPrototypeOf(error), Error.prototype);
        assertEquals(error.message, "from the task");
      }
      assertEquals(used, 0);
    } finally {
      delete scope.OwnFailure;
      delete scope.OtherFailure;
    }
  });
}
