/**
 * The arguments of a call before they travel: refused with a reason where they
 * can't.
 */

import type { CloneChecker } from "./clonable.ts";
import { isAllPlain, nameOfCaptured } from "./captured_values.ts";
import { closureOf } from "./closures.ts";
import type { Captured, FunctionRef, Initializer } from "./protocol.ts";
import { checkNames } from "./option_names.ts";
import { show } from "./timer.ts";
import { describe, label, moduleUrl } from "./travel.ts";

/** What is known of classes that many a caller tries to send. */
const ADVICE: Record<string, string> = {
  "a URL": "pass its href",
  "a Headers": "pass [...headers]",
  "an AbortSignal": "what can be aborted stays with the caller",
  "a SharedArrayBuffer": "only threads share memory: pass a copy of its bytes",
  "a view of shared memory":
    "only threads share memory: pass a copy of what it shows",
  "a Future": "await its result() and pass that",
  "nested too deep": "pass it flat, as a list or as text",
};

/** How much of one argument travels with those of other calls, in bytes or code units. */
const SMALL = 16384;

/** Whether many values like this one can travel together. */
export function isSmall(value: unknown): boolean {
  if (typeof value === "string") return value.length <= SMALL;
  const bytes = value instanceof ArrayBuffer || ArrayBuffer.isView(value);
  return !bytes || value.byteLength <= SMALL;
}

/** Whether a value is copied by being sent, with nothing to look into. */
export function isPrimitive(value: unknown): boolean {
  const type = typeof value;
  return value === null ||
    (type !== "object" && type !== "function" && type !== "symbol");
}

/**
 * Refuses arguments that hold something known not to travel.
 *
 * @param transfer What may be moved and not copied.
 * @returns What of that the arguments hold.
 * @throws {DOMException} `DataCloneError`, which says what and where.
 */
export function checkArguments(
  checker: CloneChecker,
  fn: FunctionRef,
  args: readonly unknown[],
  root: string,
  transfer: readonly Transferable[] = [],
): readonly Transferable[] {
  const moved = transfer.length > 0 ? new Set<object>(transfer) : undefined;
  const met = new Set<object>();
  const found = checker.find(args, root, moved, met);
  if (found) throw cannotSend(fn, found.path, found.what);
  return [...met] as Transferable[];
}

/** Runs what copies arguments; a `DataCloneError` of it then says where it stumbled. */
export function explained<R>(
  checker: CloneChecker,
  fn: FunctionRef,
  args: readonly unknown[],
  root: string,
  copy: () => R,
): R {
  try {
    return copy();
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "DataCloneError")) {
      throw error;
    }
    const found = checker.locate(args, root);
    throw cannotSend(fn, found.path, found.what, error);
  }
}

function cannotSend(
  fn: FunctionRef,
  path: string,
  what: string,
  cause?: unknown,
): DOMException {
  // What is moved is told by its place in the list.
  const isListed = path.startsWith("transfer[");
  const advice = isListed
    ? "list what may be moved, such as the buffer of a view"
    : ADVICE[what] ??
      (what.endsWith("was moved before")
        ? "pass what came back, or a copy that was made before"
        : what.startsWith("a built-in object ")
        ? "the function has its own, by that name"
        : "pass the plain data that it is made from");
  const error = new DOMException(
    `Cannot send the arguments of ${
      label(fn)
    } to a worker: ${path} is ${what}, which can't be ${
      isListed ? "moved" : "copied"
    }; ${advice}`,
    "DataCloneError",
  );
  if (cause !== undefined) error.cause = cause;
  return error;
}

/**
 * Refuses what a function captured if it holds something known not to travel, and
 * copies it.
 *
 * @throws {DOMException} `DataCloneError`, which names the variable and the way.
 */
export function packCaptured<R>(
  checker: CloneChecker,
  fn: FunctionRef,
  captured: Captured,
  copy: () => R,
): R {
  const { values, ...more } = captured;
  // Numbers and texts are as they are.
  if (Object.keys(more).length === 0 && values.every(isPrimitive)) {
    return copy();
  }
  const found = isAllPlain(captured) ? undefined : checker.find(captured, "");
  if (found) throw cannotSendCaptured(fn, captured, found.path, found.what);
  try {
    return copy();
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "DataCloneError")) {
      throw error;
    }
    const found = checker.locate(captured, "");
    throw cannotSendCaptured(fn, captured, found.path, found.what, error);
  }
}

function cannotSendCaptured(
  fn: FunctionRef,
  captured: Captured,
  path: string,
  what: string,
  cause?: unknown,
): DOMException {
  const error = new DOMException(
    `Cannot send ${label(fn)} to a worker: captured "${
      nameOfCaptured(captured, path) ?? path
    }" is ${what}, which can't be copied; make it in the function, or pass the plain data that it is made from`,
    "DataCloneError",
  );
  if (cause !== undefined) error.cause = cause;
  return error;
}

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
 * Checks an option that is text, or, where it is so said, a URL.
 *
 * @throws {TypeError} when it is something else.
 */
export function checkText(value: unknown, name: string, orUrl = false): void {
  if (typeof value === "string" || orUrl && value instanceof URL) return;
  throw new TypeError(
    `${name} must be a string${orUrl ? " or a URL" : ""}: received ${
      show(value)
    }`,
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
 * Checks an option that counts something.
 *
 * @throws {TypeError} when it is no integer.
 * @throws {RangeError} when it is less than 1.
 */
export function checkCount(count: unknown, name: string): void {
  if (!Number.isInteger(count)) {
    throw new TypeError(`${name} must be an integer: received ${show(count)}`);
  }
  if ((count as number) <= 0) {
    throw new RangeError(`${name} must be greater than 0: received ${count}`);
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
