/** What executors with workers are made with: options that several kinds share, checked. */

import { checkNames, show } from "../base/checks.ts";
import type { Captured, FunctionRef, Initializer } from "../call/protocol.ts";
import { closureOf } from "../closures/capture.ts";
import { describe, moduleUrl } from "../functions/describe.ts";

/**
 * Checks an initializer and its arguments, and packs them.
 *
 * @throws {TypeError} when it is no function, or the arguments no array.
 */
export function packInitializer(
  initializer: unknown,
  initargs: unknown,
  closures: boolean,
  pack: (
    fn: FunctionRef,
    args: readonly unknown[],
    root: string,
  ) => readonly unknown[],
  carry: (fn: FunctionRef, captured: Captured) => unknown,
): Initializer | undefined {
  if (!Array.isArray(initargs)) {
    throw new TypeError(
      `initargs must be an array: received ${show(initargs)}`,
    );
  }
  if (initializer === undefined) return undefined;
  if (typeof initializer !== "function") {
    throw new TypeError(
      `initializer must be a function: received ${show(initializer)}`,
    );
  }
  const described = describe(initializer, "initializer");
  const closure = closures ? closureOf(initializer, described) : undefined;
  const fn = closure?.ref ?? described;
  const captured = closure?.captured;
  return {
    fn,
    args: pack(fn, initargs, "initargs"),
    captured: captured &&
      { id: undefined, captured: carry(fn, captured) },
  };
}

/**
 * Checks the `closures` option.
 *
 * @throws {TypeError} when it is no boolean.
 */
export function checkClosures(
  option: boolean | undefined,
  modules: readonly string[],
): boolean {
  if (option !== undefined && typeof option !== "boolean") {
    throw new TypeError(`closures must be a boolean: received ${show(option)}`);
  }
  return option ?? modules.length === 0;
}

/**
 * Checks the `module` option.
 *
 * @throws {TypeError} when it is no absolute URL.
 */
export function checkModules(
  option: string | URL | readonly (string | URL)[] | undefined,
): string[] {
  return [option ?? []].flat().map((url) =>
    moduleUrl(url, "the module option")
  );
}

/**
 * Checks what is to happen when a worker dies.
 *
 * @throws {TypeError} when it is neither of the two.
 */
export function checkOnWorkerLost(value: unknown): void {
  if (value === "break" || value === "replace") return;
  throw new TypeError(
    `onWorkerLost must be "break" or "replace": received ${show(value)}`,
  );
}

/**
 * Checks what an executor was made with.
 *
 * @throws {TypeError} when it is no object.
 */
export function checkOptions<T>(
  options: T,
  names: readonly string[],
  executor: string,
): T & object {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `The options of an executor must be an object: received ${show(options)}`,
    );
  }
  return checkNames(options, names, executor);
}

/** Whether the program itself is among the modules that its workers import. */
export function hasOwnModule(modules: readonly string[]): boolean {
  try {
    return modules.includes(Deno.mainModule);
  } catch {
    // Where that can't be told, it may be.
    return true;
  }
}

/**
 * Checks how long idle workers stay.
 *
 * @throws {TypeError} when it is no number.
 * @throws {RangeError} when it is negative or `NaN`.
 */
export function checkIdleTimeout(ms: number): number {
  if (typeof ms !== "number") {
    throw new TypeError(
      `idleTimeout must be a number of milliseconds: received ${show(ms)}`,
    );
  }
  if (!(ms >= 0)) {
    throw new RangeError(`idleTimeout must not be negative: received ${ms}`);
  }
  return ms;
}
