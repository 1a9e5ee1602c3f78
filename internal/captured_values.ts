/**
 * The values that a function captured: what of them is copied as it is, and
 * what functions and objects of the caller's classes are in them.
 */

import { makeCloneChecker } from "./clonable.ts";
import { early } from "./early.ts";
import type { Fn, Made } from "./closure_program.ts";
import { readSource, type SourceFacts } from "./free_names.ts";
import type { Captured, FunctionRef } from "./protocol.ts";
import { describe } from "./travel.ts";

/** What is asked of whoever gathers the functions. */
export interface Gatherer {
  /** A function, or a number where the worker finds it. */
  reference(fn: Fn, path: string): Made | number;
  /** The number of an object that the worker finds. */
  find(object: object, path: string): number | undefined;
  cannot(path: string, why: string, advice: string): DOMException;
}

/** An object on the way of looking through a value. */
interface Step {
  readonly value: object;
  readonly path: string;
}

/** What is known of functions by their source; of some, that it is not understood. */
const read = new WeakMap<
  FunctionRef,
  SourceFacts | { readonly error: Error }
>();
const checker = early(makeCloneChecker);

/** What the source of a function says, read once. */
export function factsOf(
  ref: FunctionRef & { by: "source" },
): SourceFacts | { readonly error: Error } {
  let facts = read.get(ref);
  if (!facts) {
    try {
      if (isNative(ref.source)) throw new SyntaxError("it is native code");
      facts = readSource(ref.source);
    } catch (error) {
      facts = { error: error as Error };
    }
    read.set(ref, facts);
  }
  return facts;
}

/** Whether a source is none. */
export function isNative(source: string): boolean {
  return /\{\s*\[native code\]\s*\}\s*$/.test(source);
}

/** Values on their way. */
export class CapturedValues {
  readonly #source: Gatherer;
  readonly #values: unknown[] = [];
  /** Objects that were looked through, with those that hold them. */
  readonly #holders = new Map<object, object[]>();
  /** What stands for functions, and other things that are not copied. */
  readonly #standIns = new Map<unknown, [object, number]>();
  readonly #instances: [object, number][] = [];
  readonly #properties: [Made, object][] = [];
  /** The names of the values. */
  readonly names: string[] = [];
  /** The names of the functions that have properties. */
  readonly owners: string[] = [];

  constructor(source: Gatherer) {
    this.#source = source;
  }

  /** Adds the value of a variable; gives its number. */
  add(name: string, value: unknown): number {
    this.names.push(name);
    return this.#values.push(value) - 1;
  }

  /** Adds what a function has as properties. */
  addProperties(made: Made, name: string): void {
    const { fn, facts: { isClass, text } } = made;
    const record: Record<string, unknown> = {};
    for (const key of Object.keys(fn)) {
      const found = Object.getOwnPropertyDescriptor(fn, key)!;
      if (!("value" in found)) continue;
      // The static functions that a class names, it makes by itself.
      if (
        isClass && typeof found.value === "function" && text.includes(key)
      ) continue;
      record[key] = found.value;
    }
    if (Object.keys(record).length === 0) return;
    this.lookThrough(record, name, new Set());
    this.owners.push(name);
    this.#properties.push([made, record]);
  }

  /** Finds the functions in a value, and the objects of classes. */
  lookThrough(root: object, rootPath: string, holds: Set<Made>): void {
    const todo: Step[] = [{ value: root, path: rootPath }];
    if (!this.#holders.has(root)) this.#holders.set(root, []);
    else return;
    for (let step; (step = todo.pop());) {
      const { value: holder, path } = step;
      this.#noteClass(holder, path, holds);
      eachIn(holder, (value, key) => {
        if (isPrimitive(value)) return;
        const way = path + key;
        if (typeof value === "function") {
          const reference = this.#source.reference(value as Fn, way);
          if (typeof reference !== "number") holds.add(reference);
          this.#standIn(value, reference);
        } else {
          const find = this.#source.find(value as object, way);
          if (find !== undefined) this.#standIn(value, find);
        }
        const object = value as object;
        const holders = this.#holders.get(object);
        if (holders) holders.push(holder);
        else {
          this.#holders.set(object, [holder]);
          if (!this.#standIns.has(object)) {
            todo.push({ value: object, path: way });
          }
        }
      });
    }
  }

  #standIn(value: unknown, reference: Made | number): void {
    if (this.#standIns.has(value)) return;
    this.#standIns.set(value, [{}, indexOf(reference)]);
  }

  /** Takes note of the class of an object, if that is the caller's. */
  #noteClass(object: object, path: string, holds: Set<Made>): void {
    const proto = Object.getPrototypeOf(object);
    if (proto === null || proto === Object.prototype) return;
    const fn = Object.getOwnPropertyDescriptor(proto, "constructor")?.value;
    if (typeof fn !== "function" || fn.prototype !== proto) return;
    if (describe(fn, "a class").by !== "source") return;
    // A class of the runtime, that no name leads to.
    if (isOfRuntime(proto)) return;
    for (
      let at = fn;
      typeof at === "function";
      at = Object.getPrototypeOf(at)
    ) {
      if (!hasPrivate(at)) continue;
      throw this.#source.cannot(
        path,
        `is a ${fn.name}, whose #private members can't be read`,
        "make it in the function",
      );
    }
    const reference = this.#source.reference(fn, path);
    if (typeof reference !== "number") holds.add(reference);
    this.#instances.push([object, indexOf(reference)]);
  }

  /** All of it as it is sent. */
  captured(): Captured {
    if (
      this.#standIns.size + this.#instances.length + this.#properties.length ===
        0
    ) return { values: this.#values };
    // What holds a function, however deep in it, can't go as it is: it is
    // copied here, with what stands for the function.
    const copies = new Map<unknown, unknown>();
    const dirty = new Set<object>();
    const todo = [...this.#standIns.keys()] as object[];
    for (const value of todo) {
      for (const holder of this.#holders.get(value) ?? []) {
        // An error goes as it is, or is refused.
        if (dirty.has(holder) || holder instanceof Error) continue;
        dirty.add(holder);
        todo.push(holder);
      }
    }
    for (const [value, [standIn]] of this.#standIns) copies.set(value, standIn);
    for (const holder of dirty) copies.set(holder, emptyLike(holder));
    const copyOf = (value: unknown) =>
      copies.has(value) ? copies.get(value) : value;
    for (const holder of dirty) fill(copyOf(holder) as object, holder, copyOf);
    return {
      values: this.#values.map(copyOf),
      standIns: [...this.#standIns.values()],
      instances: this.#instances.map((
        [object, index],
      ) => [copyOf(object) as object, index]),
      properties: this.#properties.map((
        [{ index }, record],
      ) => [index, copyOf(record) as object]),
    };
  }
}

/** The number of a function; below zero, of a find. */
function indexOf(reference: Made | number): number {
  return typeof reference === "number" ? -1 - reference : reference.index;
}

function hasPrivate(fn: Fn): boolean {
  const ref = describe(fn, "a class");
  if (ref.by !== "source") return false;
  const facts = factsOf(ref);
  return "hasPrivate" in facts && facts.hasPrivate;
}

function isOfRuntime(proto: object): boolean {
  const what = checker().find(Object.create(proto), "")?.what;
  // Of a class of the caller's that extends `Map` or `Set`, this is no genuine one.
  return what !== undefined && what !== "a Proxy or the like";
}

/** Whether a value can be copied, as far as can be told. */
export function isCopied(value: unknown): boolean {
  try {
    return checker().find(value, "") === undefined;
  } catch {
    // A getter throws: whoever copies it will say so.
    return true;
  }
}

/** Whether a value holds no other. */
export function isPrimitive(value: unknown): boolean {
  return value === null ||
    typeof value !== "object" && typeof value !== "function";
}

/** Calls `visit` with what an object holds, and how one gets there. */
function eachIn(
  object: object,
  visit: (value: unknown, key: string) => void,
): void {
  // What these have besides is not copied.
  if (
    ArrayBuffer.isView(object) || object instanceof Date ||
    object instanceof RegExp
  ) return;
  if (Array.isArray(object)) {
    for (let i = 0; i < object.length; i++) {
      if (!isPrimitive(object[i])) visit(object[i], `[${i}]`);
    }
  } else if (object instanceof Map && isGenuine(object)) {
    for (const [key, item] of object) {
      visit(key, `.keys(${shown(key)})`);
      visit(item, `.get(${shown(key)})`);
    }
  } else if (object instanceof Set && isGenuine(object)) {
    let i = 0;
    for (const item of object) visit(item, `.values(${i++})`);
  } else if (object instanceof Error) {
    if (Object.hasOwn(object, "cause")) visit(object.cause, ".cause");
  } else {
    for (const key of Object.keys(object)) {
      const item = (object as Record<string, unknown>)[key];
      if (isPrimitive(item)) continue;
      visit(
        item,
        /^[A-Za-z_$][\w$]*$/.test(key)
          ? `.${key}`
          : `[${/^\d+$/.test(key) ? key : JSON.stringify(key)}]`,
      );
    }
  }
}

/** Whether a Map or a Set can be read: a Proxy of one can't, and is refused later. */
function isGenuine(object: Map<unknown, unknown> | Set<unknown>): boolean {
  try {
    const { prototype } = object instanceof Map ? Map : Set;
    Reflect.get(prototype, "size", object);
    return true;
  } catch {
    return false;
  }
}

function shown(key: unknown): string {
  return typeof key === "string"
    ? JSON.stringify(key)
    : isPrimitive(key)
    ? String(key)
    : "…";
}

function emptyLike(object: object): object {
  if (object instanceof Map) return new Map();
  if (object instanceof Set) return new Set();
  if (Array.isArray(object)) return new Array(object.length);
  return {};
}

/** Fills what `emptyLike` made. */
function fill(
  copy: object,
  object: object,
  copyOf: (value: unknown) => unknown,
): void {
  if (object instanceof Map) {
    for (const [key, item] of object) {
      (copy as Map<unknown, unknown>).set(copyOf(key), copyOf(item));
    }
  } else if (object instanceof Set) {
    for (const item of object) (copy as Set<unknown>).add(copyOf(item));
  } else {
    for (const key of Object.keys(object)) {
      Object.defineProperty(copy, key, {
        value: copyOf((object as Record<string, unknown>)[key]),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
  }
}
