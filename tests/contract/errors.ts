/** The contract of what a call throws. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotMatch,
  assertStrictEquals,
} from "@std/assert";
import {
  type AnyFn,
  contractTest,
  type ExecutorKind,
  rejection,
} from "./kind.ts";
import { portrait } from "./values.ts";

type Props = Error & Record<string, unknown>;

export function testErrors(kind: ExecutorKind): void {
  const test = contractTest(kind);

  test("an exception of a built-in class arrives as that class", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    const classes: [new (message: string) => Error, AnyFn][] = [
      [Error, () => {
        throw new Error("why");
      }],
      [TypeError, () => {
        throw new TypeError("why");
      }],
      [RangeError, () => {
        throw new RangeError("why");
      }],
      [SyntaxError, () => {
        throw new SyntaxError("why");
      }],
      [ReferenceError, () => {
        throw new ReferenceError("why");
      }],
      [EvalError, () => {
        throw new EvalError("why");
      }],
      [URIError, () => {
        throw new URIError("why");
      }],
      [Deno.errors.NotFound, () => {
        throw new Deno.errors.NotFound("why");
      }],
      [Deno.errors.PermissionDenied, () => {
        throw new Deno.errors.PermissionDenied("why");
      }],
      [Deno.errors.BadResource, () => {
        throw new Deno.errors.BadResource("why");
      }],
      [WebAssembly.CompileError, () => {
        throw new WebAssembly.CompileError("why");
      }],
    ];
    for (const [Class, fn] of classes) {
      for (const throws of [fn, later]) {
        await t.step(
          `${Class.name} ${throws === later ? "later" : "at once"}`,
          async () => {
            const error = await rejection(
              pool.submit(throws, `${fn}`).result(),
            );
            assertInstanceOf(error, Class);
            assertStrictEquals(Object.getPrototypeOf(error), Class.prototype);
            assertEquals(error.name, new Class("").name);
            assertEquals(error.message, "why");
          },
        );
      }
    }
  });

  test("the runtime's own exceptions arrive as what they are", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    // deno-lint-ignore no-explicit-any -- fails on purpose
    const type = await rejection(pool.submit(() => (null as any).x).result());
    assertInstanceOf(type, TypeError);
    assertMatch(type.message, /null/);

    const syntax = await rejection(pool.submit(JSON.parse, "{").result());
    assertInstanceOf(syntax, SyntaxError);

    const deep = await rejection(
      pool.submit(() => {
        const forever = (): number => 1 + forever();
        return forever();
      }).result(),
    );
    assertInstanceOf(deep, RangeError);
  });

  test("an exception of Deno's own keeps its code", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      throw Object.assign(new Deno.errors.NotFound("no file"), {
        code: "ENOENT",
      });
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, Deno.errors.NotFound);
    assertEquals((error as Error & { code: string }).code, "ENOENT");
  });

  test("an AggregateError arrives with its errors, each as its class", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const shared = new TypeError("shared");
      throw new AggregateError(
        [shared, "a string", { n: NaN }, shared, new AggregateError([shared])],
        "several",
        { cause: shared },
      );
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, AggregateError);
    assertEquals([error.name, error.message], ["AggregateError", "several"]);
    const [first, second, third, fourth, fifth] = error.errors;
    assertInstanceOf(first, TypeError);
    assertEquals(first.message, "shared");
    assertEquals([second, third], ["a string", { n: NaN }]);
    assertStrictEquals(fourth, first);
    assertInstanceOf(fifth, AggregateError);
    assertStrictEquals(fifth.errors[0], first);
    assertStrictEquals(error.cause, first);
  });

  test("Promise.any() in a call rejects with an AggregateError as it would here", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() =>
      Promise.any([Promise.reject(new RangeError("a")), Promise.reject(2)])
    );
    const error = await rejection(future.result());
    assertInstanceOf(error, AggregateError);
    assertInstanceOf(error.errors[0], RangeError);
    assertEquals(error.errors[1], 2);
  });

  test("the errors that an exception of one's own has as a property arrive each as its class", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(function fails() {
      class SeveralErrors extends Error {
        constructor(readonly errors: unknown[]) {
          super("several");
        }
      }
      throw new SeveralErrors([
        Object.assign(new TypeError("first"), { code: 7 }),
        new Deno.errors.NotFound("second"),
        "third",
      ]);
    });
    const { errors } = await rejection(future.result()) as AggregateError;
    assertInstanceOf(errors[0], TypeError);
    assertEquals(errors[0].message, "first");
    assertEquals((errors[0] as unknown as Props).code, 7);
    if (kind.can.copy) assertNotMatch(errors[0].stack!, /data:|worker_runtime/);
    assertInstanceOf(errors[1], Deno.errors.NotFound);
    assertEquals(errors[2], "third");
  });

  test("a SuppressedError arrives with both of its errors", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      throw new SuppressedError(new TypeError("a"), new RangeError("b"), "c");
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, SuppressedError);
    assertEquals(error.message, "c");
    assertInstanceOf(error.error, TypeError);
    assertInstanceOf(error.suppressed, RangeError);
  });

  test("a DOMException arrives with name, message and code", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      throw new DOMException("enough", "AbortError");
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, DOMException);
    assertEquals(
      [error.name, error.message, error.code],
      ["AbortError", "enough", DOMException.ABORT_ERR],
    );
    const signal = await rejection(
      pool.submit(() => AbortSignal.abort().throwIfAborted()).result(),
    );
    assertInstanceOf(signal, DOMException);
    assertEquals(signal.name, "AbortError");
  });

  test("a DOMException arrives with its cause and its properties", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const error = new DOMException("enough", "AbortError");
      Object.defineProperty(error, "cause", { value: new TypeError("why") });
      throw Object.assign(error, { detail: { n: 1 } });
    });
    const error = await rejection(future.result()) as unknown as Props;
    assertInstanceOf(error, DOMException);
    assertInstanceOf(error.cause, TypeError);
    assertEquals(error.cause.message, "why");
    assertEquals((error as unknown as Props).detail, { n: 1 });
    assertEquals(Object.keys(error), ["detail"]);
  });

  test("an exception's message arrives whole, be it empty or long", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    for (const message of ["", "two\nlines", "ä".repeat(100_000)]) {
      const future = pool.submit((message: string) => {
        throw new TypeError(message);
      }, message);
      const error = await rejection(future.result());
      assertInstanceOf(error, TypeError);
      assertEquals(error.message, message);
    }
  });

  test("an exception of a class of one's own arrives as an Error with its name and properties", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      class HttpError extends Error {
        override name = "HttpError";
        readonly tags = new Map([["a", new Set([1])]]);
        constructor(readonly status: number, options: ErrorOptions) {
          super(`status ${status}`, options);
        }
      }
      throw new HttpError(404, { cause: new TypeError("inner") });
    });
    const error = await rejection(future.result()) as Props;
    assertInstanceOf(error, Error);
    if (kind.can.copy) assertStrictEquals(error.constructor, Error);
    assertEquals([error.name, error.message], ["HttpError", "status 404"]);
    assertEquals(error.status, 404);
    assertEquals(error.tags, new Map([["a", new Set([1])]]));
    assertInstanceOf(error.cause, TypeError);
    assertMatch(`${error}`, /^HttpError: status 404$/);
  });

  test("an exception arrives whose class takes more than a message", async () => {
    // Deno 2.9 has such a class.
    try {
      new (Reflect.get(globalThis, "GPUPipelineError"))("", {
        reason: "validation",
      });
    } catch {
      return;
    }
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const Class = Reflect.get(globalThis, "GPUPipelineError");
      throw new Class("no pipeline", { reason: "validation" });
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, Error);
    assertEquals(error.message, "no pipeline");
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });

  test("a subclass that only its prototype names keeps that name", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      class Odd extends RangeError {
        override get name() {
          return "OddError";
        }
      }
      throw new Odd("odd");
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, Error);
    assertEquals(`${error}`, "OddError: odd");
  });

  test("an exception arrives with its properties, shared and cyclic ones too", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const inner = new RangeError("inner");
      const detail: Record<string, unknown> = { n: -0, when: new Date(5) };
      detail.self = detail;
      throw Object.assign(new Error("outer"), {
        detail,
        inner,
        again: inner,
        nothing: undefined,
        message2: "second",
      });
    });
    const error = await rejection(future.result()) as Props;
    const detail: Record<string, unknown> = { n: -0, when: new Date(5) };
    detail.self = detail;
    assertEquals(portrait(error.detail), portrait(detail));
    assertInstanceOf(error.inner, RangeError);
    assertStrictEquals(error.again, error.inner);
    assert(Object.hasOwn(error, "nothing"));
    assertEquals(error.message2, "second");
  });

  test("a Blob that is thrown, or hangs on what is thrown, arrives and harms no other call", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    // Deno 2.5 would make an empty object of it without a word.
    const canBeCloned = structuredClone(new Blob(["a"])) instanceof Blob;
    const rejections: [AnyFn, (thrown: unknown) => unknown][] = [
      [() => {
        throw new Blob(["top"]);
      }, (thrown) => thrown],
      [
        // deno-lint-ignore require-await -- one that throws later
        async () => {
          throw new Map([["at", [new File(["in"], "a.txt")]]]);
        },
        (thrown) => (thrown as Map<string, Blob[]>).get("at")![0],
      ],
      [() => {
        throw new Error("outer", { cause: new Blob(["cause"]) });
      }, (thrown) => (thrown as Error).cause],
      [() => {
        throw Object.assign(new RangeError("r"), { body: new Blob(["prop"]) });
      }, (thrown) => (thrown as Props).body],
      [() => {
        throw new AggregateError([1, new Blob(["item"])]);
      }, (thrown) => (thrown as AggregateError).errors[1]],
      [() => ({
        get value(): unknown {
          throw new Blob(["getter"]);
        },
      }), (thrown) => thrown],
    ];
    const texts = ["top", "in", "cause", "prop", "item", "getter"];
    for (const [i, [fn, find]] of rejections.entries()) {
      const future = pool.submit(fn);
      const after = pool.submit(Math.sign, -3);
      // Where nothing is copied, nothing asks the getter.
      if (kind.can.copy || i < 5) {
        const thrown = await rejection(future.result());
        if (canBeCloned || !kind.can.copy) {
          const blob = find(thrown);
          assertInstanceOf(blob, Blob);
          assertEquals(await blob.text(), texts[i]);
        }
      }
      assertEquals(await after.result(), -1);
    }
  });

  test("a cause arrives, nested as deep as it is", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      let error: unknown = { code: 7n };
      for (let i = 0; i < 100; i++) {
        error = new (i % 2 ? TypeError : Error)(`level ${i}`, { cause: error });
      }
      throw error;
    });
    let error = await rejection(future.result());
    for (let i = 99; i >= 0; i--) {
      assertInstanceOf(error, i % 2 ? TypeError : Error);
      assertEquals(error.message, `level ${i}`);
      assertEquals(Object.keys(error), []);
      error = error.cause;
    }
    assertEquals(error, { code: 7n });
  });

  test("a cause of a class of one's own arrives with its name and properties, and as an Error", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      class LimitError extends RangeError {
        constructor(readonly limit: number) {
          super(`over ${limit}`);
        }
        // Not its own property, as where a class sets it on its prototype.
        override get name() {
          return "LimitError";
        }
      }
      class MissingError extends TypeError {
        constructor(readonly path: string, options: ErrorOptions) {
          super(path, options);
        }
      }
      throw new MissingError("a/b", { cause: new LimitError(5) });
    });
    const error = await rejection(future.result()) as Props;
    const cause = error.cause as Props;
    assertEquals([error.message, error.path], ["a/b", "a/b"]);
    assertEquals([cause.name, cause.message, cause.limit], [
      "LimitError",
      "over 5",
      5,
    ]);
    if (kind.can.copy) {
      for (const { constructor } of [error, cause]) {
        assertStrictEquals(constructor, Error);
      }
    }
  });

  test("an absent cause stays absent, one that is undefined is there", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const without = await rejection(
      pool.submit(() => {
        throw new Error("a");
      }).result(),
    ) as Error;
    const with_ = await rejection(
      pool.submit(() => {
        throw new Error("a", { cause: undefined });
      }).result(),
    ) as Error;
    assertEquals(
      [Object.hasOwn(without, "cause"), Object.hasOwn(with_, "cause")],
      [false, true],
    );
  });

  test("an exception that is its own cause arrives as such", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const error = new Error("ring");
      error.cause = error;
      throw error;
    });
    const error = await rejection(future.result());
    assertInstanceOf(error, Error);
    assertStrictEquals(error.cause, error);

    const wider = pool.submit(() => {
      const inner = new TypeError("inner");
      const outer = new AggregateError([inner], "outer", { cause: inner });
      inner.cause = outer;
      throw outer;
    });
    const outer = await rejection(wider.result());
    assertInstanceOf(outer, AggregateError);
    assertStrictEquals((outer.cause as Error).cause, outer);
    assertStrictEquals(outer.errors[0], outer.cause);
  });

  if (kind.can.copy) {
    test("a property of an exception that can't be copied is dropped, the others arrive", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const future = pool.submit(() => {
        throw Object.assign(new TypeError("half", { cause: () => 1 }), {
          retry() {},
          response: new Response(),
          deep: { ok: 1, fn: () => 1 },
          code: 7,
          get trap(): number {
            throw new Error("a trap");
          },
        });
      });
      // Object.assign runs the getter: this one is thrown in its place.
      const trap = await rejection(future.result()) as Error;
      assertEquals(trap.message, "a trap");

      const dropped = pool.submit(() => {
        const error = Object.assign(new TypeError("half", { cause: () => 1 }), {
          retry() {},
          response: new Response(),
          headers: new Headers(),
          nested: { list: [new FormData()] },
          deep: { ok: 1, fn: () => 1 },
          code: 7,
        });
        Object.defineProperty(error, "trap", {
          enumerable: true,
          get: () => {
            throw new Error("a trap");
          },
        });
        throw error;
      });
      const error = await rejection(dropped.result()) as Props;
      assertInstanceOf(error, TypeError);
      assertEquals(error.message, "half");
      assertEquals(error.code, 7);
      assertEquals(
        ["retry", "response", "headers", "nested", "deep", "trap"].filter((
          key,
        ) => key in error),
        [],
      );
      assertEquals(await pool.submit(Math.sign, -3).result(), -1);
    });

    test("a property of an exception that turns out not to be copied is dropped, the others arrive", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      const future = pool.submit(() => {
        const cause = {
          get value(): number {
            throw new Error("a trap");
          },
        };
        throw Object.assign(new TypeError("half", { cause }), {
          trap: cause,
          lazy: (function* () {})(),
          code: 7,
        });
      });
      const error = await rejection(future.result()) as Props;
      assertInstanceOf(error, TypeError);
      assertEquals([error.message, error.code], ["half", 7]);
      assertEquals(
        ["trap", "lazy", "cause"].filter((key) => Object.hasOwn(error, key)),
        [],
      );
    });

    test("a thrown value, or an exception's property, that throws while it is read fails its call alone", async (t) => {
      const thrown: [string, AnyFn, string][] = [
        ["a getter of a thrown object", () => {
          throw {
            get value(): number {
              throw new RangeError("not yet");
            },
          };
        }, "RangeError"],
        ["a getter of what a promise rejects with", () =>
          Promise.reject({
            get value(): number {
              throw new RangeError("not yet");
            },
          }), "RangeError"],
        ["a revoked proxy", () => {
          const { proxy, revoke } = Proxy.revocable({}, {});
          revoke();
          throw proxy;
        }, ""],
        ["a property that is a revoked proxy", () => {
          const { proxy, revoke } = Proxy.revocable({}, {});
          revoke();
          throw Object.assign(new SyntaxError("half"), { proxy });
        }, "SyntaxError"],
        ["an exception's proxy that can't be looked through", () => {
          throw new Proxy(new SyntaxError("half"), {
            ownKeys() {
              throw new RangeError("not yet");
            },
          });
        }, ""],
        ["a ReferenceError whose stack is no string", () => {
          throw Object.assign(new ReferenceError("a is not defined"), {
            stack: 5,
          });
        }, "ReferenceError"],
      ];
      for (const [name, fn, expected] of thrown) {
        await t.step(name, async () => {
          await using pool = kind.make({ maxWorkers: 1 });
          const who = kind.can.workers
            ? await pool.submit(kind.whoAmI).result()
            : undefined;
          const error = await rejection(pool.submit(fn).result());
          assertInstanceOf(error, Error);
          assertEquals(error instanceof kind.broken, false, `${error}`);
          if (expected) assertEquals((error as Error).name, expected);
          if (kind.can.workers) {
            assertEquals(await pool.submit(kind.whoAmI).result(), who);
          }
        });
      }
    });

    test("a value thrown that can't be copied gives a DataCloneError", async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      for (
        const throws of [
          () => {
            throw () => 1;
          },
          () => {
            throw { headers: new Headers() };
          },
          () => {
            throw Symbol("s");
          },
        ]
      ) {
        const error = await rejection(pool.submit(throws).result());
        assertInstanceOf(error, DOMException);
        assertEquals(error.name, "DataCloneError");
      }
      assertEquals(await pool.submit(Math.sign, -3).result(), -1);
    });
  }

  test("a thrown value that is no error arrives as the value it is", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    const thrown: [string, AnyFn, unknown][] = [
      ["undefined", () => {
        throw undefined;
      }, undefined],
      ["null", () => {
        throw null;
      }, null],
      ["a string", () => {
        throw "text";
      }, "text"],
      ["an empty string", () => {
        throw "";
      }, ""],
      ["0", () => {
        throw 0;
      }, 0],
      ["NaN", () => {
        throw NaN;
      }, NaN],
      ["false", () => {
        throw false;
      }, false],
      ["a BigInt", () => {
        throw 5n;
      }, 5n],
      ["an object", () => {
        throw { code: 1, list: [NaN] };
      }, {
        code: 1,
        list: [NaN],
      }],
      ["a Map", () => {
        throw new Map([[1, 2]]);
      }, new Map([[1, 2]])],
      ["a rejected undefined", () => Promise.reject(undefined), undefined],
      ["a rejected object", () => Promise.reject({ a: 1 }), { a: 1 }],
    ];
    for (const [name, fn, value] of thrown) {
      await t.step(name, async () => {
        const future = pool.submit(fn);
        assertEquals(
          portrait(await rejection(future.result())),
          portrait(value),
        );
        assertEquals(portrait(await future.exception()), portrait(value));
        assertEquals([future.done(), future.cancelled()], [true, false]);
      });
    }
  });

  test("an error inside of a thrown value keeps being an error", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      throw { error: new TypeError("inside"), code: 5 };
    });
    const thrown = await rejection(future.result()) as Props;
    assertEquals(thrown.code, 5);
    assertInstanceOf(thrown.error, TypeError);
  });

  test("an exception's stack shows where in the call it was thrown, and nothing below", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    function outermost() {
      function innermost(): never {
        throw new RangeError("deep");
      }
      innermost();
    }
    const error = await rejection(pool.submit(outermost).result()) as Error;
    assertMatch(error.stack!, /^RangeError: deep\n/);
    assertMatch(error.stack!, /at innermost .*\n\s+at outermost /);
    if (kind.can.copy) assertNotMatch(error.stack!, /data:|worker_runtime/);

    const later = await rejection(
      pool.submit(async function outermostLater() {
        await Promise.resolve();
        throw new TypeError("later");
      }).result(),
    ) as Error;
    assertMatch(later.stack!, /^TypeError: later\n/);
    assertMatch(later.stack!, /outermostLater/);
  });

  test("each of an exception's causes has its own stack", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(function wraps() {
      function fails(): never {
        throw new RangeError("cause");
      }
      try {
        fails();
      } catch (cause) {
        throw new Error("outer", { cause });
      }
    });
    const error = await rejection(future.result()) as Error;
    assertMatch(
      (error.cause as Error).stack!,
      /RangeError: cause\n\s+at fails /,
    );
  });

  test("an exception prints as one that was thrown here", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      throw Object.assign(new TypeError("shown", { cause: "because" }), {
        code: 7,
      });
    });
    const error = await rejection(future.result()) as Error;
    const own = Object.assign(new TypeError("shown", { cause: "because" }), {
      code: 7,
    });
    own.stack = error.stack;
    assertEquals(Deno.inspect(error), Deno.inspect(own));
  });

  test("a thrown exception with a bad toString, name or message harms nothing", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    const future = pool.submit(() => {
      const error = new Error("odd");
      for (const key of ["name", "message", "stack", "cause"]) {
        Object.defineProperty(error, key, {
          get: () => {
            throw new Error("a trap");
          },
        });
      }
      throw error;
    });
    const error = await rejection(future.result());
    if (kind.can.copy) assertInstanceOf(error, Error);
    assertEquals(await pool.submit(Math.sign, -3).result(), -1);
  });
}

/** Has a function, given as its source, throw later. */
const later: AnyFn = async (source: string) => {
  await Promise.resolve();
  (0, eval)(source)();
};
