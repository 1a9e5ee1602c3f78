/**
 * Stands in for `@std/testing/mock` where JSR is out of reach: `spy`, `stub`
 * and what asserts on them, over `sinon`. The rest of that module is not here.
 *
 * @module
 */
import {
  assertEquals,
  AssertionError,
  assertIsError,
} from "../std_assert/mod.ts";
import { sinon, type SinonSpy } from "./sinon.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

/** An error related to spying on a function or method. */
export class MockError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MockError";
  }
}

/** One recorded call. */
export interface SpyCall<
  Self = Any,
  Args extends unknown[] = Any[],
  Return = Any,
> {
  /** The arguments of the call. */
  args: Args;
  /** What it returned. */
  returned?: Return;
  /** What it threw. */
  error?: Error;
  /** What `this` was. */
  self?: Self;
}

/** A function that records its calls. */
export interface Spy<
  Self = Any,
  Args extends unknown[] = Any[],
  Return = Any,
> {
  (this: Self, ...args: Args): Return;
  /** The function that is spied on. */
  original: (this: Self, ...args: Args) => Return;
  /** The calls so far. */
  calls: SpyCall<Self, Args, Return>[];
  /** Whether the original method is back in its place. */
  restored: boolean;
  /** Puts the original method back. */
  restore(): void;
}

/** A method that records its calls. */
export interface MethodSpy<
  Self = Any,
  Args extends unknown[] = Any[],
  Return = Any,
> extends Spy<Self, Args, Return>, Disposable {}

/** A method that was replaced, and records its calls. */
export interface Stub<
  Self = Any,
  Args extends unknown[] = Any[],
  Return = Any,
> extends MethodSpy<Self, Args, Return> {
  /** What runs in its place. */
  fake: (this: Self, ...args: Args) => Return;
}

/** The arguments of a method. */
export type GetParametersFromProp<Self, Prop extends keyof Self> =
  Self[Prop] extends (...args: infer Args) => unknown ? Args : unknown[];

/** What a method returns. */
export type GetReturnFromProp<Self, Prop extends keyof Self> =
  Self[Prop] extends (...args: Any[]) => infer Return ? Return : unknown;

/** Gives a spy of sinon's the members that std's has. */
function dress(recorder: SinonSpy, original: unknown, putBack?: () => void) {
  let restored = false;
  const restore = () => {
    if (!putBack) throw new MockError("Cannot restore: this is no method");
    if (restored) {
      throw new MockError("Cannot restore: the method is already restored");
    }
    putBack();
    restored = true;
  };
  return Object.defineProperties(recorder, {
    original: { value: original, configurable: true },
    calls: {
      get: () =>
        recorder.getCalls().map((call) => ({
          args: call.args,
          ...(call.exception === undefined
            ? { returned: call.returnValue }
            : { error: call.exception }),
          ...(call.thisValue ? { self: call.thisValue } : {}),
        })),
      configurable: true,
    },
    restored: { get: () => restored, configurable: true },
    restore: { value: restore, configurable: true, writable: true },
    [Symbol.dispose]: { value: restore, configurable: true },
  });
}

function checkMethod<Self>(self: Self, property: keyof Self): void {
  const method = self[property];
  if (typeof method !== "function") {
    throw new MockError(
      `Cannot spy: property "${String(property)}" is not a method`,
    );
  }
  if (Array.isArray((method as unknown as Spy).calls)) {
    throw new MockError(
      `Cannot spy: already spying on "${String(property)}"`,
    );
  }
}

/** Wraps a function, or a method in its place, so that calls are recorded. */
export function spy<Self = Any, Args extends unknown[] = Any[]>(): Spy<
  Self,
  Args,
  undefined
>;
export function spy<Self, Args extends unknown[], Return>(
  func: (this: Self, ...args: Args) => Return,
): Spy<Self, Args, Return>;
export function spy<Self, Prop extends keyof Self>(
  self: Self,
  property: Prop,
): MethodSpy<
  Self,
  GetParametersFromProp<Self, Prop>,
  GetReturnFromProp<Self, Prop>
>;
export function spy(target: Any = () => {}, property?: PropertyKey): Any {
  if (property === undefined) return dress(sinon.spy(target), target);
  checkMethod(target, property);
  const original = target[property];
  const recorder = sinon.spy(target, property);
  return dress(recorder, original, recorder.restore.bind(recorder));
}

/** Replaces a method, by default with one that returns `undefined`. */
export function stub<Self, Prop extends keyof Self>(
  self: Self,
  property: Prop,
): Stub<
  Self,
  GetParametersFromProp<Self, Prop>,
  GetReturnFromProp<Self, Prop>
>;
export function stub<Self, Prop extends keyof Self>(
  self: Self,
  property: Prop,
  func: (
    this: Self,
    ...args: GetParametersFromProp<Self, Prop>
  ) => GetReturnFromProp<Self, Prop>,
): Stub<
  Self,
  GetParametersFromProp<Self, Prop>,
  GetReturnFromProp<Self, Prop>
>;
export function stub(self: Any, property: PropertyKey, func?: Any): Any {
  checkMethod(self, property);
  const fake = func ?? (() => {});
  const original = self[property];
  const recorder = sinon.stub(self, property);
  const putBack = recorder.restore.bind(recorder);
  recorder.callsFake(fake);
  const dressed = dress(recorder, original, putBack);
  return Object.defineProperty(dressed, "fake", { value: fake });
}

/** Asserts that a spy was called so many times. */
export function assertSpyCalls<Self, Args extends unknown[], Return>(
  spy: Spy<Self, Args, Return>,
  expectedCalls: number,
): void {
  const actual = spy.calls.length;
  if (actual !== expectedCalls) {
    throw new AssertionError(
      actual < expectedCalls
        ? `Spy not called as much as expected: ${actual} of ${expectedCalls}`
        : `Spy called more than expected: ${actual}, not ${expectedCalls}`,
    );
  }
}

/** What {@linkcode assertSpyCall} looks at; what is left out is not compared. */
export interface ExpectedSpyCall<
  Self = Any,
  Args extends unknown[] = Any[],
  Return = Any,
> {
  /** The arguments of the call. */
  args?: [...Args, ...unknown[]];
  /** What `this` was. */
  self?: Self;
  /** What it returned. */
  returned?: Return;
  /** What it threw. */
  error?: {
    Class?: new (...args: Any[]) => Error;
    msgIncludes?: string;
  };
}

/** Asserts that the call with this index was made as expected. */
export function assertSpyCall<Self, Args extends unknown[], Return>(
  spy: Spy<Self, Args, Return>,
  callIndex: number,
  expected: ExpectedSpyCall<Self, Args, Return> = {},
): void {
  const call = spy.calls[callIndex];
  if (call === undefined) {
    throw new AssertionError(
      `Spy not called as much as expected: no call ${callIndex}`,
    );
  }
  if (expected.args) assertEquals<unknown>(call.args, expected.args);
  if ("self" in expected) assertEquals(call.self, expected.self);
  if ("returned" in expected) {
    if ("error" in call) {
      throw new AssertionError("Spy call did not return: an error was thrown");
    }
    assertEquals(call.returned, expected.returned);
  }
  if (expected.error) {
    if (!("error" in call)) {
      throw new AssertionError("Spy call did not throw: a value was returned");
    }
    assertIsError(call.error, expected.error.Class, expected.error.msgIncludes);
  }
}

/** Asserts that one argument of a call is as expected, and returns it. */
export function assertSpyCallArg<Self, Args extends unknown[], Return, Arg>(
  spy: Spy<Self, Args, Return>,
  callIndex: number,
  argIndex: number,
  expected: Arg,
): Arg {
  assertSpyCall(spy, callIndex);
  const actual = spy.calls[callIndex]!.args[argIndex] as Arg;
  assertEquals(actual, expected);
  return actual;
}

/** Makes a function that returns (or, for an error, throws) these in turn. */
export function returnsNext<
  Return,
  Self = Any,
  Args extends unknown[] = Any[],
>(
  values: Iterable<Return | Error>,
): (this: Self, ...args: Args) => Return {
  const iterator = values[Symbol.iterator]();
  let calls = 0;
  return () => {
    const next = iterator.next();
    if (next.done) {
      throw new MockError(`Not expected to be called more than ${calls} times`);
    }
    calls++;
    if (next.value instanceof Error) throw next.value;
    return next.value;
  };
}

/** Makes a function that resolves to (or rejects with) these in turn. */
export function resolvesNext<
  Return,
  Self = Any,
  Args extends unknown[] = Any[],
>(
  values:
    | Iterable<Return | Error | Promise<Return | Error>>
    | AsyncIterable<Return | Error | Promise<Return | Error>>,
): (this: Self, ...args: Args) => Promise<Return> {
  const iterator = Symbol.asyncIterator in values
    ? values[Symbol.asyncIterator]()
    : values[Symbol.iterator]();
  let calls = 0;
  return async () => {
    const next = await iterator.next();
    if (next.done) {
      throw new MockError(`Not expected to be called more than ${calls} times`);
    }
    calls++;
    const value = await next.value;
    if (value instanceof Error) throw value;
    return value;
  };
}
