/**
 * The arguments of a call before they travel: refused with a reason where they
 * can't.
 */

import type { FunctionRef } from "../call/protocol.ts";
import { label } from "../functions/describe.ts";
import type { CloneChecker } from "./clone_checker.ts";

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
