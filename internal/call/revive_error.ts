/**
 * The caller's half of "how an exception travels": from plain records to
 * exceptions. The other half is in `inside/record_error.ts`.
 *
 * A record is data, of which a task, a child or a message server may have made
 * anything: it is checked, and nothing in here throws.
 */

import { type ErrorClass, listErrorClasses } from "./error_classes.ts";
import type { ErrorRecord, Slot, Thrown } from "./protocol.ts";

// Taken when the library loads: nothing of the program's own is read or run.
const { AggregateError, DOMException, Error } = globalThis;
const classes = new Map<string, ErrorClass["made"]>(
  listErrorClasses().map(({ path, made }) => [path.join("."), made]),
);
const { hasOwn, keys: keysOf, defineProperty } = Object;
const { isArray } = Array;

/** The links of an exception that are no enumerable properties. */
const LINKS = new Set(["cause", "errors", "error", "suppressed"]);
/** How much of a text there is room for in a message, in code units. */
const LONGEST = 10_000;

/** What a call threw, from its record. */
export function reviveThrown(thrown: unknown): unknown {
  try {
    if (isThrown(thrown)) return revive(thrown);
  } catch {
    // A property that can't be made, or the like: that is told below.
  }
  return new Error(
    "What the call threw can't be told: its record could not be read",
  );
}

/** Whether something that was sent is the record of what a call threw. */
export function isThrown(what: unknown): what is Thrown {
  if (!isRecord(what) || !isArray(what.errors)) return false;
  const errors: unknown[] = what.errors;
  const isSlot = (slot: unknown): boolean => {
    if (!isRecord(slot)) return false;
    if (!hasOwn(slot, "error")) return true;
    const { error } = slot;
    return Number.isInteger(error) && (error as number) >= 0 &&
      (error as number) < errors.length;
  };
  const areSlots = (record: unknown): boolean => {
    if (!isRecord(record)) return false;
    return keysOf(record).every((key) => {
      const link = record[key];
      return isArray(link) ? eachIs(link, isSlot) : isSlot(link);
    });
  };
  return isSlot(what.thrown) &&
    eachIs(errors, (record) =>
      isRecord(record) && isArray(record.class) &&
      eachIs(record.class, isText) && isText(record.name) &&
      isText(record.message) &&
      (record.stack === undefined || isText(record.stack)) &&
      areSlots(record.props) && areSlots(record.links) &&
      keysOf(record.links as object).every((key) => LINKS.has(key)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

/** A list that was sent may have an `every` of its own. */
function eachIs(
  list: readonly unknown[],
  holds: (item: unknown) => boolean,
): boolean {
  for (let i = 0; i < list.length; i++) if (!holds(list[i])) return false;
  return true;
}

function revive({ thrown, errors }: Thrown): unknown {
  const revived: Error[] = [];
  // The stack of the construction is of no interest; some versions of the
  // runtime print it all the same, in place of the worker's.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    for (let i = 0; i < errors.length; i++) revived.push(construct(errors[i]));
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  const valueOf = (slot: Slot): unknown =>
    hasOwn(slot, "error")
      ? revived[(slot as { error: number }).error]
      : (slot as { value: unknown }).value;
  for (let i = 0; i < errors.length; i++) fill(revived[i], errors[i], valueOf);
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
  const path = [...record.class].join(".");
  const found = classes.get(path) ?? Error;
  if (found === AggregateError) return new AggregateError([], message);
  if (found === DOMException) return new DOMException(message, name);
  if (path === "SuppressedError") {
    return new (found as unknown as new (
      error: unknown,
      suppressed: unknown,
      message: string,
    ) => Error)(undefined, undefined, message);
  }
  return new found(message);
}

function fill(
  error: Error,
  record: ErrorRecord,
  valueOf: (slot: Slot) => unknown,
): void {
  const define = (key: string, value: unknown, enumerable: boolean) =>
    defineProperty(error, key, {
      // Else what a program gives to all objects would count, too.
      __proto__: null,
      value,
      writable: true,
      configurable: true,
      enumerable,
    } as PropertyDescriptor);
  if (record.stack !== undefined) define("stack", record.stack, false);
  if (error.name !== record.name) define("name", record.name, false);
  if (error.message !== record.message) {
    define("message", record.message, false);
  }
  const valuesOf = (link: Slot | readonly Slot[]) =>
    isArray(link)
      ? Array.from({ length: link.length }, (_, i) => valueOf(link[i]))
      : valueOf(link as Slot);
  for (const key of keysOf(record.links)) {
    define(key, valuesOf(record.links[key]), false);
  }
  for (const key of keysOf(record.props)) {
    define(key, valuesOf(record.props[key]), true);
  }
}

/** What was thrown, in one line, whatever it is. */
export function textOf(error: unknown): string {
  const text = shown(error);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text;
}

function shown(error: unknown): string {
  try {
    return error instanceof Error ? `${error}` : Deno.inspect(error);
  } catch {
    // It has a `toString` of its own, or a message that is no text.
  }
  try {
    return Object.prototype.toString.call(error);
  } catch {
    return "something of which no text can be made";
  }
}
