/**
 * The caller's half of "how an exception travels": from plain records to
 * exceptions. The other half is in `worker_runtime.ts`, `recordThrown`.
 */

import type { ErrorRecord, Slot, Thrown } from "./protocol.ts";

/** What a call threw, from its record. */
export function reviveThrown({ thrown, errors }: Thrown): unknown {
  // The stack of the construction is of no interest; some versions of the
  // runtime print it all the same, in place of the worker's.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  let revived: Error[];
  try {
    revived = errors.map(construct);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  const valueOf = (slot: Slot): unknown =>
    "error" in slot ? revived[slot.error] : slot.value;
  errors.forEach((record, i) => fill(revived[i], record, valueOf));
  return valueOf(thrown);
}

function construct(record: ErrorRecord): Error {
  try {
    return constructAs(record);
  } catch {
    // Its class takes more than a message. `fill` gives it its name.
    return new Error(record.message);
  }
}

function constructAs(record: ErrorRecord): Error {
  const { message, name } = record;
  const found = classOf(record.class);
  if (found === AggregateError) return new AggregateError([], message);
  if (found === DOMException) return new DOMException(message, name);
  if (record.class[0] === "SuppressedError") {
    return new (found as unknown as new (
      error: unknown,
      suppressed: unknown,
      message: string,
    ) => Error)(undefined, undefined, message);
  }
  return new found(message);
}

/** The built-in class that a record names; `Error` where this runtime has none. */
function classOf(path: readonly string[]): new (message?: string) => Error {
  let found: unknown = globalThis;
  for (const step of path) {
    found = (found as Record<string, unknown> | undefined)?.[step];
  }
  return typeof found === "function" &&
      (found === Error || found.prototype instanceof Error)
    ? found as new (message?: string) => Error
    : Error;
}

function fill(
  error: Error,
  record: ErrorRecord,
  valueOf: (slot: Slot) => unknown,
): void {
  const hidden = (key: string, value: unknown) =>
    Object.defineProperty(error, key, {
      value,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  if (record.stack !== undefined) hidden("stack", record.stack);
  if (error.name !== record.name) hidden("name", record.name);
  if (error.message !== record.message) hidden("message", record.message);
  const valuesOf = (link: Slot | readonly Slot[]) =>
    Array.isArray(link) ? link.map(valueOf) : valueOf(link as Slot);
  for (const [key, link] of Object.entries(record.links)) {
    hidden(key, valuesOf(link));
  }
  for (const [key, link] of Object.entries(record.props)) {
    Object.defineProperty(error, key, {
      value: valuesOf(link),
      writable: true,
      configurable: true,
      enumerable: true,
    });
  }
}

/** What was thrown, in one line. */
export function textOf(error: unknown): string {
  return error instanceof Error ? `${error}` : Deno.inspect(error);
}
