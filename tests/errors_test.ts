import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import * as errors from "../errors.ts";

type ErrorClass = new (message?: string, options?: ErrorOptions) => Error;

const CLASSES: Record<string, ErrorClass> = {
  RuntimeError: errors.RuntimeError,
  CancelledError: errors.CancelledError,
  TimeoutError: errors.TimeoutError,
  InvalidStateError: errors.InvalidStateError,
  BrokenExecutor: errors.BrokenExecutor,
  BrokenThreadPool: errors.BrokenThreadPool,
  BrokenProcessPool: errors.BrokenProcessPool,
};

for (const [name, Class] of Object.entries(CLASSES)) {
  Deno.test(`${name}: is an Error with the name of its class`, () => {
    const error = new Class("what happened");
    assert(error instanceof Error);
    assert(error instanceof Class);
    assertEquals(Class.name, name);
    assertEquals(error.name, name);
    assertEquals(error.message, "what happened");
    assertEquals(String(error), `${name}: what happened`);
    assertEquals(error.stack?.split("\n")[0], `${name}: what happened`);
    assertStringIncludes(Deno.inspect(error), `${name}: what happened`);
  });

  Deno.test(`${name}: carries a cause only where one is known`, () => {
    const cause = new TypeError("why");
    assertEquals(new Class("what", { cause }).cause, cause);
    assertEquals("cause" in new Class("what"), false);
    assert("cause" in new Class("what", { cause: undefined }));
  });

  Deno.test(`${name}: shows no enumerable property of its own`, () => {
    assertEquals(Object.keys(new Class("what")), []);
    const names: string[] = [];
    for (const key in new Class("what")) names.push(key);
    assertEquals(names, []);
  });

  Deno.test(`${name}: lets a subclass or an instance have another name`, () => {
    class Special extends Class {
      override name = "Special";
    }
    assertEquals(String(new Special("what")), "Special: what");
    const error = new Class("what");
    error.name = "Renamed";
    assertEquals(String(error), "Renamed: what");
    assertEquals(new Class("what").name, name);
  });
}

Deno.test("errors.ts: exports the seven classes and nothing else", () => {
  assertEquals(Object.keys(errors).sort(), Object.keys(CLASSES).sort());
});

Deno.test("BrokenExecutor: is a RuntimeError, and the broken pools are BrokenExecutors", () => {
  const parentOf = (Class: object) => Object.getPrototypeOf(Class);
  assertEquals(parentOf(errors.BrokenThreadPool), errors.BrokenExecutor);
  assertEquals(parentOf(errors.BrokenProcessPool), errors.BrokenExecutor);
  assertEquals(parentOf(errors.BrokenExecutor), errors.RuntimeError);
  assertEquals(parentOf(errors.RuntimeError), Error);
  assertEquals(parentOf(errors.CancelledError), Error);
  assertEquals(parentOf(errors.TimeoutError), Error);
  assertEquals(parentOf(errors.InvalidStateError), Error);
});
