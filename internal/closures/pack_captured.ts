/** What functions captured, before it travels: refused with a reason where it can't. */

import type { Captured, FunctionRef } from "../call/protocol.ts";
import { label } from "../functions/describe.ts";
import { isPrimitive } from "../values/arguments.ts";
import type { CloneChecker } from "../values/clone_checker.ts";
import { isAllPlain, nameOfCaptured } from "./captured_values.ts";

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
