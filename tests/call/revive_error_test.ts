import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import type { ErrorRecord } from "../../internal/call/protocol.ts";
import { reviveThrown } from "../../internal/call/revive_error.ts";

// deno-lint-ignore no-explicit-any -- exceptions of whatever shape
type Any = any;

/** A record as a worker makes it. */
function record(
  path: string,
  message = "oops",
  more: Partial<ErrorRecord> = {},
): ErrorRecord {
  const steps = path.split(".");
  return {
    class: steps,
    name: steps.at(-1)!,
    message,
    stack: `${steps.at(-1)}: ${message}\n    at task (worker.ts:1:2)`,
    links: {},
    props: {},
    ...more,
  };
}

/** What the first of these records becomes. */
function revive(...errors: ErrorRecord[]): Any {
  return reviveThrown({ thrown: { error: 0 }, errors });
}

// ---- Values that are no exceptions -----------------------------------------

Deno.test("reviveThrown gives a thrown value back that is no exception", () => {
  const object = { code: 7 };
  for (const value of [undefined, null, 0, "text", NaN, object]) {
    assertStrictEquals(
      reviveThrown({ thrown: { value }, errors: [] }),
      value,
    );
  }
});

// ---- Classes ---------------------------------------------------------------

for (
  const path of [
    "Error",
    "TypeError",
    "RangeError",
    "SyntaxError",
    "ReferenceError",
    "EvalError",
    "URIError",
    "AggregateError",
    "DOMException",
    "SuppressedError",
    "WebAssembly.CompileError",
    "WebAssembly.RuntimeError",
    ...Object.keys(Deno.errors).map((name) => `Deno.errors.${name}`),
  ]
) {
  Deno.test(`reviveThrown makes a ${path} of a record of one`, () => {
    let expected: Any = globalThis;
    for (const step of path.split(".")) expected = expected[step];
    const error = revive(record(path));
    assertStrictEquals(Object.getPrototypeOf(error), expected.prototype);
    assertEquals(error.message, "oops");
    assertEquals(error.name, path.split(".").at(-1));
    // Deno's own have an enumerable name.
    assertEquals(Object.keys(error).filter((key) => key !== "name"), []);
    assert(error.stack.endsWith("    at task (worker.ts:1:2)"));
  });
}

for (
  const path of [
    "NoSuchError",
    "No.Such.Path",
    "Object",
    "Array",
    "Function",
    "eval",
    "Math",
    "Math.max",
    "Deno",
    "Deno.exit",
    "constructor",
    "__proto__",
  ]
) {
  Deno.test(`reviveThrown makes a plain Error where ${path} is no exception's class`, () => {
    const error = revive(record(path, "oops", { name: "Own" }));
    assertStrictEquals(Object.getPrototypeOf(error), Error.prototype);
    assertEquals([error.name, error.message], ["Own", "oops"]);
  });
}

Deno.test("reviveThrown makes an Error of an exception whose class takes more than a message", () => {
  const scope = globalThis as Any;
  scope.DemandingError = class DemandingError extends Error {
    constructor(message: string, options: { reason: string }) {
      super(`${message}, ${options.reason}`);
    }
  };
  try {
    for (const path of ["DemandingError", "GPUPipelineError"]) {
      const error = revive(record(path));
      assertInstanceOf(error, Error);
      assertEquals([error.name, error.message], [path, "oops"]);
    }
  } finally {
    delete scope.DemandingError;
  }
});

Deno.test("reviveThrown keeps the name of a class that only the worker knows", () => {
  const error = revive(record("Error", "oops", { name: "QuotaError" }));
  assertStrictEquals(Object.getPrototypeOf(error), Error.prototype);
  assertEquals(`${error}`, "QuotaError: oops");
  assertEquals(Object.keys(error), []);
});

Deno.test("reviveThrown keeps the name of a DOMException, and the code that goes with it", () => {
  const error = revive(record("DOMException", "gone", { name: "AbortError" }));
  assertInstanceOf(error, DOMException);
  assertEquals([error.name, error.message], ["AbortError", "gone"]);
  assertEquals(error.code, DOMException.ABORT_ERR);
});

Deno.test("reviveThrown keeps an empty message", () => {
  assertEquals(revive(record("TypeError", "")).message, "");
});

Deno.test("reviveThrown leaves an exception without a stack that the worker gave none", () => {
  const error = revive(record("TypeError", "oops", { stack: undefined }));
  assertEquals(error.message, "oops");
});

// ---- What hangs on an exception --------------------------------------------

Deno.test("reviveThrown keeps own enumerable properties, and the hidden hidden", () => {
  const error = revive(record("TypeError", "oops", {
    props: { code: { value: "E_OOPS" }, details: { value: [1, 2] } },
    links: { cause: { value: "why" } },
  }));
  assertEquals(Object.keys(error), ["code", "details"]);
  assertEquals([error.code, error.details], ["E_OOPS", [1, 2]]);
  assertEquals(error.cause, "why");
  for (const key of ["cause", "stack"]) {
    const found = Object.getOwnPropertyDescriptor(error, key)!;
    assertEquals(found.enumerable, false, key);
    assertEquals(found.configurable, true, key);
  }
});

Deno.test("reviveThrown has an undefined cause where there was one, and none where there was none", () => {
  const undefinedCause = record("Error", "oops", {
    links: { cause: { value: undefined } },
  });
  assertEquals(Object.hasOwn(revive(undefinedCause), "cause"), true);
  assertEquals(Object.hasOwn(revive(record("Error")), "cause"), false);
});

Deno.test("reviveThrown links causes by their numbers", () => {
  const error = revive(
    record("Error", "top", { links: { cause: { error: 1 } } }),
    record("RangeError", "middle", { links: { cause: { error: 2 } } }),
    record("Deno.errors.NotFound", "bottom"),
  );
  assertInstanceOf(error.cause, RangeError);
  assertInstanceOf(error.cause.cause, Deno.errors.NotFound);
  assertEquals(error.cause.cause.message, "bottom");
});

Deno.test("reviveThrown keeps an exception that is linked twice one exception", () => {
  const error = revive(
    record("AggregateError", "all", {
      links: {
        errors: [{ error: 1 }, { error: 1 }, { value: "text" }],
        cause: { error: 1 },
      },
      props: { first: { error: 1 } },
    }),
    record("TypeError", "one"),
  );
  assertInstanceOf(error, AggregateError);
  const [one, two, three] = error.errors;
  assertStrictEquals(one, two);
  assertStrictEquals(one, error.cause);
  assertStrictEquals(one, (error as Any).first);
  assertEquals(three, "text");
  assertEquals(Object.keys(error), ["first"]);
});

Deno.test("reviveThrown closes the circle of an exception that is its own cause", () => {
  const error = revive(
    record("Error", "a", { links: { cause: { error: 1 } } }),
    record("Error", "b", { links: { cause: { error: 0 } } }),
  );
  assertStrictEquals(error.cause.cause, error);
  assertNotStrictEquals(error.cause, error);
});

Deno.test("reviveThrown keeps both exceptions of a SuppressedError", () => {
  const error = revive(
    record("SuppressedError", "two at once", {
      links: { error: { error: 1 }, suppressed: { error: 2 } },
    }),
    record("TypeError", "late"),
    record("RangeError", "early"),
  );
  assertInstanceOf(error, SuppressedError);
  assertEquals(error.message, "two at once");
  assertInstanceOf(error.error, TypeError);
  assertInstanceOf(error.suppressed, RangeError);
});

Deno.test("reviveThrown takes properties by names that every object knows as properties", () => {
  const props = JSON.parse(
    '{"__proto__": {"value": 1}, "constructor": {"value": 2}, "toString": {"value": 3}}',
  );
  const error = revive(record("TypeError", "oops", { props }));
  assertInstanceOf(error, TypeError);
  assertEquals(Object.keys(error), ["__proto__", "constructor", "toString"]);
  assertEquals(Object.getOwnPropertyDescriptor(error, "__proto__")!.value, 1);
});

Deno.test("reviveThrown lets a property stand over what the class made", () => {
  const error = revive(record("TypeError", "oops", {
    props: { message: { value: "own" }, name: { value: "Own" } },
  }));
  assertEquals(Object.keys(error).sort(), ["message", "name"]);
  assertEquals(`${error}`, "Own: own");
});

Deno.test("reviveThrown links a chain of 50,000 causes", () => {
  const length = 50_000;
  let error = revive(
    ...Array.from({ length }, (_, i) =>
      record("Error", `${i}`, {
        links: i + 1 < length ? { cause: { error: i + 1 } } : {},
      })),
  );
  for (let i = 0; i < length; i++) {
    assertEquals(error.message, `${i}`);
    error = error.cause;
  }
  assertEquals(error, undefined);
});
