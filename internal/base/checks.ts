/**
 * What callers give, checked: the names of options, and values of the types that
 * many of them have. Each function that takes options comes through this one door.
 *
 * A name that is none is most often a slip of the pen (`chunkSize` for
 * `chunksize`), which would otherwise change nothing in silence: so it is refused.
 */

import { loadTimers } from "./timers.ts";

/**
 * The names of an options object, as a list; the compiler sees to it that none of
 * the interface is missing.
 */
export function optionNames<T>(
  names: Readonly<Record<keyof T & string, true>>,
): readonly string[] {
  return Object.keys(names);
}

/**
 * Checks that options are an object, and all its names are names of options. Gives
 * the options without what a program put on the prototype of all objects, which is
 * said of none of them.
 *
 * @param owner What takes the options, for the message.
 * @throws {TypeError} when it is something else, such as a number: who knows
 * Python may pass a timeout so, which would change nothing in silence.
 * @throws {TypeError} when a name is none: with the one that was probably meant.
 */
export function checkNames<T extends object>(
  options: T,
  names: readonly string[],
  owner: string,
): T {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `${owner} takes an object of options ({ ${
        names.join(", ")
      } }): received ${show(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const meant = nearest(name, names);
    throw new TypeError(
      `${owner} has no option ${JSON.stringify(name)}: ${
        meant === undefined
          ? `it has ${names.join(", ")}`
          : `did you mean ${JSON.stringify(meant)}?`
      }`,
    );
  }
  return givenOf(options, names);
}

/** Options without those that all objects have by now. */
function givenOf<T extends object>(options: T, names: readonly string[]): T {
  let given: T | undefined;
  for (let i = 0; i < names.length; i++) {
    if (!Object.hasOwn(Object.prototype, names[i])) continue;
    let owner: object | null = options;
    while (owner && !Object.hasOwn(owner, names[i])) {
      owner = Object.getPrototypeOf(owner);
    }
    if (owner !== Object.prototype) continue;
    given ??= Object.create(options) as T;
    Object.defineProperty(
      given,
      names[i],
      Object.assign(Object.create(null), { value: undefined }),
    );
  }
  return given ?? options;
}

const SHUTDOWN = ["wait", "cancelFutures"];

/** Checks the options of `shutdown()`; gives what is wrong with their names. */
export function refusedShutdown(options: object): unknown {
  try {
    checkNames(options, SHUTDOWN, "shutdown");
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The options of `shutdown()` as they were given. */
export function shutdownOf<T extends object>(options: T): T {
  return givenOf(options, SHUTDOWN);
}

/** The name that is written most alike, if one is. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const written = plain(name);
  let best: string | undefined;
  // A third of the letters may be others.
  let least = written.length / 3;
  for (const known of names) {
    const letters = plain(known);
    // A part of the name, `workers` or `limit`, is no distance at all.
    const isPart = written.length > 2 &&
      (letters.includes(written) || written.includes(letters));
    const apart = letters === written
      ? -1
      : isPart
      ? 0
      : distance(written, letters);
    if (apart > least || apart === least && best !== undefined) continue;
    best = known;
    least = apart;
  }
  return best;
}

/** Letters and digits alone, small: `max_workers` and `maxWorkers` are one. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** How many letters are added, left out or replaced between two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

/**
 * Checks a timeout that a caller gave, and loads what is needed to keep it.
 *
 * @returns The milliseconds, or `undefined` where there is no limit.
 * @throws {TypeError} when it is no number.
 * @throws {RangeError} when it is `NaN`.
 */
export function checkTimeout(
  timeout: number | undefined,
  name = "timeout",
): number | undefined {
  if (timeout === undefined || timeout === Infinity) return undefined;
  if (typeof timeout !== "number") {
    throw new TypeError(
      `${name} must be a number of milliseconds: received ${show(timeout)}`,
    );
  }
  if (Number.isNaN(timeout)) {
    throw new RangeError(
      `${name} must be a number of milliseconds: received NaN`,
    );
  }
  loadTimers();
  return timeout;
}

/**
 * Checks a signal that a caller gave.
 *
 * @throws {TypeError} when it is none: a controller has one.
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new TypeError(
    `signal must be an AbortSignal: received ${show(signal)}`,
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
 * Checks an option that counts something.
 *
 * @param least How the message says that it is too small.
 * @throws {TypeError} when it is no integer.
 * @throws {RangeError} when it is less than 1.
 */
export function checkCount(
  count: unknown,
  name: string,
  least = "greater than 0",
): void {
  if (!Number.isInteger(count)) {
    throw new TypeError(`${name} must be an integer: received ${show(count)}`);
  }
  if ((count as number) <= 0) {
    throw new RangeError(`${name} must be ${least}: received ${count}`);
  }
}

/**
 * Checks an option that is a list of texts.
 *
 * @throws {TypeError} when it is something else; with the place in the list.
 */
export function checkTexts(list: unknown, name: string): void {
  if (!Array.isArray(list)) {
    throw new TypeError(
      `${name} must be an array of strings: received ${show(list)}`,
    );
  }
  list.forEach((item, i) => checkText(item, `${name}[${i}]`));
}

/**
 * Checks an option that is yes or no.
 *
 * @throws {TypeError} when it is something else.
 */
export function checkBoolean(value: unknown, name: string): void {
  if (typeof value === "boolean") return;
  throw new TypeError(`${name} must be a boolean: received ${show(value)}`);
}

/** A value as an error message shows it. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "function":
      return value.name ? `function "${value.name}"` : "a function";
    case "object":
      if (value === null) return "null";
      return `an object (${value.constructor?.name || "no class"})`;
    case "bigint":
      return `${value}n`;
    default:
      return String(value);
  }
}
