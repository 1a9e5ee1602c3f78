/**
 * The worker's half of "how an exception travels": from what a call threw to
 * plain records. The other half is in `call/revive_error.ts`.
 *
 * Whatever is read of an exception may be a getter of a task's, a proxy, or
 * something that no text can be made of. And a task may have replaced whatever
 * it can reach: so what is used here was taken before any task ran, nothing is
 * iterated, and what is made has no prototype that a task could have changed.
 */

import type { ErrorClass } from "../call/error_classes.ts";
import type { ErrorRecord, Slot, Thrown } from "../call/protocol.ts";
import type { CloneChecker } from "../values/clone_checker.ts";

/** Records exceptions. */
export interface Recorder {
  /** An exception, and all that hang on it, as plain data; never throws. */
  record(thrown: unknown): Thrown;
  /** Whether it is what structured clone throws. */
  isCloneError(error: unknown): error is DOMException;
  /** The message of an exception; of all else, its text. */
  messageOf(value: unknown): string;
  /** A text of whatever it is. */
  textOf(value: unknown): string;
}

/**
 * Makes a recorder.
 *
 * Self-contained: workers get it as its source.
 */
export function makeRecorder(
  checker: CloneChecker,
  classes: readonly ErrorClass[],
): Recorder {
  // Taken before any task runs: one may put its own in their place.
  const { structuredClone, DOMException, Error, String, Map } = globalThis;
  const { create, defineProperty, getPrototypeOf, keys, setPrototypeOf } =
    Object;
  const { isArray } = Array;
  const { bind, call } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const isIn: (proto: object, value: unknown) => boolean = uncurried(
    Object.prototype.isPrototypeOf,
  );
  const brandOf: (value: unknown) => string = uncurried(
    Object.prototype.toString,
  );
  const hasOwn: (value: object, key: string) => boolean = uncurried(
    Object.prototype.hasOwnProperty,
  );
  const isEnumerable: (value: object, key: string) => boolean = uncurried(
    Object.prototype.propertyIsEnumerable,
  );
  const getFrom: <K, V>(map: Map<K, V>, key: K) => V | undefined = uncurried(
    Map.prototype.get,
  );
  const setIn: <K, V>(map: Map<K, V>, key: K, value: V) => void = uncurried(
    Map.prototype.set,
  );
  const indexOf: (text: string, part: string, from: number) => number =
    uncurried(String.prototype.indexOf);
  const startsWith: (text: string, part: string, from: number) => boolean =
    uncurried(String.prototype.startsWith);
  const slice: (text: string, from: number, to: number) => string = uncurried(
    String.prototype.slice,
  );
  const unitAt: (text: string, i: number) => number = uncurried(
    String.prototype.charCodeAt,
  );
  const errorPrototype = Error.prototype;
  const exceptionPrototype = DOMException.prototype;
  const nameOfException: (error: DOMException) => string = uncurried(
    Object.getOwnPropertyDescriptor(exceptionPrototype, "name")!.get,
  );
  const ROOT = list(["Error"]);
  const paths = new Map<object, string[]>();
  for (const { path, made } of classes) {
    setIn(paths, made.prototype, list([...path]));
  }
  /** Links of an exception that may be no enumerable properties. */
  const LINKS = list(["cause", "errors", "error", "suppressed"]);
  /** A list of more is copied as it is, the exceptions in it with it. */
  const MOST = 100_000;

  /** A list that inherits nothing: a setter for its items would be met, too. */
  function list<T>(items: T[] = []): T[] {
    return setPrototypeOf(items, null) as T[];
  }

  function isError(value: unknown): value is Error {
    try {
      return typeof value === "object" && value !== null &&
        (isIn(errorPrototype, value) || brandOf(value) === "[object Error]");
    } catch {
      // A proxy, of no use any more.
      return false;
    }
  }

  function isCloneError(error: unknown): error is DOMException {
    try {
      return typeof error === "object" && error !== null &&
        isIn(exceptionPrototype, error) &&
        nameOfException(error as DOMException) === "DataCloneError";
    } catch {
      // It only looks like one.
      return false;
    }
  }

  function textOf(value: unknown): string {
    try {
      return String(value);
    } catch {
      // It has a `toString` that throws, or gives no text.
    }
    try {
      return brandOf(value);
    } catch {
      return "something of which no text can be made";
    }
  }

  function messageOf(value: unknown): string {
    try {
      if (isError(value)) return textOf(value.message);
    } catch {
      // A getter.
    }
    return textOf(value);
  }

  function dataCloneError(message: string): DOMException {
    return new DOMException(message, "DataCloneError");
  }

  /** Says what of a value can't be copied, and where that is. */
  function describe(value: unknown): string {
    try {
      const found = checker.find(value, "thrown") ??
        checker.locate(value, "thrown");
      return `${found.path} is ${found.what}, which can't be copied`;
    } catch {
      return "it can't be read";
    }
  }

  function record(thrown: unknown): Thrown {
    try {
      return recordAll(thrown);
    } catch (error) {
      // Reading it threw: then that is what there is to tell.
      try {
        return recordAll(error);
      } catch {
        return recordAll(new Error("What the call threw can't be read"));
      }
    }
  }

  function recordAll(thrown: unknown): Thrown {
    const found: Error[] = list();
    const ids = new Map<unknown, number>();
    const records: ErrorRecord[] = list();

    const slot = (value: unknown, isAll: boolean): Slot | undefined => {
      if (isError(value)) {
        let id = getFrom(ids, value);
        if (id === undefined) {
          id = found.length;
          found[id] = value;
          setIn(ids, value, id);
        }
        return { __proto__: null, error: id } as unknown as Slot;
      }
      // What can't be copied is left out: the exception still arrives.
      try {
        if (checker.find(value, "")) return undefined;
        return {
          __proto__: null,
          value: structuredClone(value),
        } as unknown as Slot;
      } catch (error) {
        if (isAll && !isCloneError(error)) throw error;
        return undefined;
      }
    };

    let top = slot(thrown, true);
    if (top === undefined) {
      const what = `Cannot send what the call threw: ${describe(thrown)}`;
      top = slot(dataCloneError(what), true)!;
    }
    // The list grows while it is walked: a cycle ends, and no depth is too much.
    for (let i = 0; i < found.length; i++) {
      records[i] = recordError(found[i], (value) => slot(value, false));
    }
    return { __proto__: null, thrown: top, errors: records } as Thrown;
  }

  function recordError(
    error: Error,
    slot: (value: unknown) => Slot | undefined,
  ): ErrorRecord {
    const read = (key: string): unknown => {
      try {
        return (error as unknown as Record<string, unknown>)[key];
      } catch {
        return undefined;
      }
    };
    const text = (key: string, otherwise: string): string => {
      const value = read(key);
      if (value === undefined) return otherwise;
      if (typeof value === "string") return value;
      try {
        return String(value);
      } catch {
        return otherwise;
      }
    };
    const links: Record<string, Slot | Slot[]> = create(null);
    const props: Record<string, Slot | Slot[]> = create(null);
    const slots = (key: string, value: unknown): Slot | Slot[] | undefined =>
      (key === "errors" ? eachSlot(value, slot) : undefined) ?? slot(value);
    for (let i = 0; i < LINKS.length; i++) {
      const key = LINKS[i];
      if (!hasOwn(error, key) || isEnumerable(error, key)) continue;
      const link = slots(key, read(key));
      if (link) links[key] = link;
    }
    const own = keys(error);
    for (let i = 0; i < own.length; i++) {
      const key = own[i];
      let value: unknown;
      try {
        value = (error as unknown as Record<string, unknown>)[key];
      } catch {
        continue;
      }
      const prop = slots(key, value);
      if (prop) put(props, key, prop);
    }
    const stack = text("stack", "");
    return {
      __proto__: null,
      class: classPath(error),
      name: text("name", "Error"),
      message: text("message", ""),
      stack: stack === "" ? undefined : trimmed(stack),
      links,
      props,
    } as unknown as ErrorRecord;
  }

  /** The items of a list of exceptions: by their indices, whatever methods it has. */
  function eachSlot(
    value: unknown,
    slot: (value: unknown) => Slot | undefined,
  ): Slot[] | undefined {
    try {
      if (!isArray(value) || value.length > MOST) return undefined;
      const slots: Slot[] = list();
      const { length } = value;
      for (let i = 0; i < length; i++) {
        slots[i] = slot(value[i]) ??
          ({ __proto__: null, value: undefined } as unknown as Slot);
      }
      return slots;
    } catch {
      // A proxy, or a getter in it.
      return undefined;
    }
  }

  /** Sets a property, whatever its name is. */
  function put(object: object, key: string, value: unknown): void {
    defineProperty(object, key, {
      __proto__: null,
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    } as PropertyDescriptor);
  }

  /** The way to an exception's class from `globalThis`, if it is a built-in one. */
  function classPath(error: Error): string[] {
    try {
      return getFrom(paths, getPrototypeOf(error)) ?? ROOT;
    } catch {
      return ROOT;
    }
  }

  /** Leaves the frames of the runtime, and what is below them, out. */
  function trimmed(stack: string): string {
    for (let end = 0; (end = indexOf(stack, "\n", end)) >= 0; end++) {
      let at = end + 1;
      while (unitAt(stack, at) === 0x20) at++;
      if (!startsWith(stack, "at ", at)) continue;
      at += 3;
      if (startsWith(stack, "async ", at)) at += 6;
      if (startsWith(stack, "concurrentFutures", at)) {
        return slice(stack, 0, end);
      }
    }
    return stack;
  }

  return { record, isCloneError, messageOf, textOf };
}
