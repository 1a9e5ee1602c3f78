/** Which objects structured clone copies as they are, and what is written down of the others. */

import {
  ACCESSOR,
  attributesOf,
  type Closed,
  closedness,
  CONFIGURABLE,
  entriesOf,
  isData,
  isFlat,
  itemsOf,
  MANY,
  mapStep,
  OBJECT,
  type Own,
  ownOf,
  PLAIN,
  propertiesOf,
  stepOf,
  WRITABLE,
} from "../base/own_properties.ts";
import type { ObjectRecord } from "../call/protocol.ts";
import { baseOf, keysBeside, type Kind } from "../values/object_kinds.ts";

/** What a record is made of; links are still objects here. */
export interface Draft {
  readonly is: ObjectRecord["is"];
  readonly of?: unknown;
  readonly proto?: object | null;
  readonly entries?: readonly unknown[];
  readonly own?: Own;
  readonly without?: readonly string[];
  readonly order?: readonly string[];
  readonly privates?: readonly unknown[];
  readonly closed?: Closed;
}

export function recordOf(
  { is, of, proto, entries, own, without, order, privates, closed }: Draft,
  numberOf: (value: unknown) => number | undefined,
): ObjectRecord {
  const item = (value: unknown): [number, unknown] => {
    const number = isFlat(value) ? undefined : numberOf(value);
    return number === undefined ? [0, value] : [OBJECT, number];
  };
  const members: unknown[] = [];
  for (const [key, found] of own ?? []) {
    const attributes = attributesOf(found);
    members.push(typeof key === "symbol" ? numberOf(key) : key);
    if (isData(found)) {
      const [kind, value] = item(found.value);
      members.push(attributes | kind, value);
    } else {
      const half = (fn: unknown) => fn === undefined ? -1 : numberOf(fn)!;
      members.push(attributes | ACCESSOR, [half(found.get), half(found.set)]);
    }
  }
  return {
    is,
    ...(of !== undefined && {
      of: is === "prototype" ? numberOf(of) : of,
    }),
    ...(proto !== undefined && {
      proto: proto === null ? null : numberOf(proto),
    }),
    ...(entries && { entries: entries.flatMap(item) }),
    ...(members.length > 0 && { members }),
    ...(without && without.length > 0 && { without }),
    ...(order && { order }),
    ...(privates && { privates: privates.flatMap(item) }),
    ...(closed && { closed }),
  };
}

/**
 * What an object's record is made of; `undefined` where structured clone makes
 * the same of it, unless it is to be written all the same.
 */
export function draftOf(
  object: object,
  kind: Kind,
  isForced: boolean,
): Draft | undefined {
  const proto = Object.getPrototypeOf(object);
  const base = baseOf(object, kind);
  const closed = closedness(object);
  if (!isForced && proto === base && !closed && isPlain(object, kind)) {
    return undefined;
  }
  // Of errors, the other side makes all alike.
  const isAsMade = proto === (kind === "error" ? Error.prototype : base);
  const entries = kind === "map"
    ? entriesOf(object as Map<unknown, unknown>)
    : kind === "set"
    ? itemsOf(object as Set<unknown>)
    : undefined;
  let own = kind === "copy"
    ? propertiesOf(object, keysBeside(object))
    : ownOf(object);
  if (kind === "error") own = own.map(withStack(object as Error));
  return {
    is: kind === "plain" ? "object" : kind,
    ...(kind === "copy" && { of: object }),
    ...(!isAsMade && { proto }),
    ...(entries && { entries }),
    own,
    ...(closed && { closed }),
  };
}

/** The stack as the text that it is, whatever way the runtime keeps it. */
export function withStack(error: Error): (entry: Own[number]) => Own[number] {
  return ([key, found]) =>
    key === "stack" && !isData(found)
      ? [key, {
        value: error.stack,
        writable: found.configurable,
        enumerable: false,
        configurable: found.configurable,
      }]
      : [key, found];
}

/** Whether structured clone makes the same of an object's properties. */
export function isPlain(object: object, kind: Kind): boolean {
  if (kind === "copy") return keysBeside(object).length === 0;
  if (kind === "array") return isPlainArray(object as unknown[]);
  if (kind === "plain") return isPlainRecord(object);
  const own = ownOf(object);
  if (kind === "error") {
    return own.every(([key, found]) =>
      key === "stack" ||
      (key === "message" || key === "cause") && isData(found) &&
        (key === "cause" || typeof found.value === "string") &&
        attributesOf(found) === (WRITABLE | CONFIGURABLE)
    ) && Object.hasOwn(object, "stack");
  }
  return own.length === 0;
}

/** The same of one with no insides: most are of this kind. */
function isPlainRecord(object: object): boolean {
  const keys = Reflect.ownKeys(object);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (typeof key !== "string") return false;
    const found = Object.getOwnPropertyDescriptor(object, key)!;
    if (!isData(found) || attributesOf(found) !== PLAIN) return false;
  }
  return true;
}

export function isPlainArray(array: unknown[]): boolean {
  const { length } = array;
  if (!Object.getOwnPropertyDescriptor(array, "length")!.writable) return false;
  if (length > MANY && isDense(array)) {
    const { __lookupGetter__: getterOf } = Object.prototype as unknown as {
      __lookupGetter__(key: number): unknown;
    };
    for (let i = 0; i < length; i++) {
      if (getterOf.call(array, i) !== undefined) return false;
    }
    return namesBeside(array).every((name) => {
      const found = Object.getOwnPropertyDescriptor(array, name)!;
      return isData(found) && attributesOf(found) === PLAIN;
    });
  }
  const keys = Reflect.ownKeys(array);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (key === "length") continue;
    if (typeof key !== "string") return false;
    const found = Object.getOwnPropertyDescriptor(array, key)!;
    if (!isData(found) || attributesOf(found) !== PLAIN) return false;
  }
  return true;
}

/** The names of what an array has besides its items, among those that structured clone copies. */
export function namesBeside(array: readonly unknown[]): string[] {
  const names = Object.keys(array);
  // They come last.
  let first = names.length;
  while (first > 0 && !isIndex(names[first - 1])) first--;
  return names.slice(first);
}

function isIndex(name: string): boolean {
  return String(Number(name) >>> 0) === name;
}

/** Whether an array seems to have its items side by side. */
export function isDense(array: unknown[]): boolean {
  for (let i = 0; i < 100; i++) {
    if (!Object.hasOwn(array, i * Math.floor(array.length / 100))) return false;
  }
  return true;
}

/** Calls `visit` with what an object holds that goes as it is, and the step there. */
export function eachIn(
  object: object,
  kind: Kind,
  visit: (value: unknown, step: string) => void,
): void {
  if (kind === "copy") return;
  if (kind === "map") {
    entriesOf(object as Map<unknown, unknown>).forEach((value, i, all) =>
      visit(value, mapStep(all, i))
    );
  } else if (kind === "set") {
    itemsOf(object as Set<unknown>).forEach((value, i) =>
      visit(value, `.values(${i})`)
    );
  } else if (kind === "array" && (object as unknown[]).length > MANY) {
    const array = object as unknown[];
    const step = (key: string | number) => `[${key}]`;
    if (isDense(array)) {
      for (let i = 0; i < array.length; i++) {
        if (!isFlat(array[i])) visit(array[i], step(i));
      }
      for (const name of namesBeside(array)) {
        const value = (array as unknown as Record<string, unknown>)[name];
        if (!isFlat(value)) visit(value, stepOf(name));
      }
    } else {
      for (const key of Object.keys(array)) {
        visit((array as unknown as Record<string, unknown>)[key], step(key));
      }
    }
  } else {
    // All are data here, but for the stack of an error, which is a text.
    const keys = kind === "error"
      ? Object.getOwnPropertyNames(object).filter((key) => key !== "stack")
      : Object.keys(object);
    for (const key of keys) {
      const value = (object as Record<string, unknown>)[key];
      if (!isFlat(value)) visit(value, stepOf(key));
    }
  }
}

/** The step to an entry of a Map, a Set or an array. */
export function entryStep({ is, entries }: Draft, i: number): string {
  return is === "map" ? mapStep(entries!, i) : `.values(${i})`;
}
