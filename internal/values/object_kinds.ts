/**
 * What kinds of objects there are among what functions capture, told by what
 * they are inside, whatever their prototypes say.
 */

import { early } from "../base/early.ts";
import { makeCloneChecker } from "./clone_checker.ts";

/** `copy`: structured clone carries it, what is put on it besides aside. */
export type Kind = "plain" | "array" | "map" | "set" | "error" | "copy";

/** Why an object can't travel. */
export class Untravelable extends Error {
  readonly advice: string;

  constructor(
    message: string,
    advice =
      "make it in the function, or pass the plain data that it is made from",
  ) {
    super(message);
    this.advice = advice;
  }
}

// deno-lint-ignore no-explicit-any -- a caller's function, of any type
type Fn = (...args: any[]) => unknown;

type Is = (value: unknown) => boolean;

/** The part of `node:util/types` that is used. */
interface Types {
  readonly isProxy: Is;
  readonly isMap: Is;
  readonly isSet: Is;
  readonly isDate: Is;
  readonly isRegExp: Is;
  readonly isBoxedPrimitive: Is;
  readonly isSymbolObject: Is;
  readonly isAnyArrayBuffer: Is;
  readonly isNativeError: Is;
  readonly isArgumentsObject: Is;
  readonly isModuleNamespaceObject: Is;
}

let types: Types | undefined;

export function typesOf(): Types {
  return types ??= (globalThis as unknown as {
    process: { getBuiltinModule(name: string): Types };
  }).process.getBuiltinModule("node:util/types");
}

const checker = early(makeCloneChecker);

/** What the runtime has, and structured clone carries. */
const CARRIED = new Set([
  "DOMException",
  "Blob",
  "File",
  "WebAssembly.Module",
  "WebAssembly.Memory",
]);

/** Classes of which an object may be without being made by them. */
const NAMED = new Set([
  "Object",
  "Array",
  "Error",
  "AggregateError",
  "EvalError",
  "RangeError",
  "ReferenceError",
  "SyntaxError",
  "TypeError",
  "URIError",
  "SuppressedError",
  "Iterator",
]);

/** The errors that structured clone makes again. */
const ERRORS = new Set(
  [
    Error,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
  ].map(({ prototype }) => prototype as object),
);

/**
 * The kind of an object.
 *
 * @throws {Untravelable} when it can't travel.
 */
export function kindOf(object: object): Kind {
  const is = typesOf();
  // First, since a Proxy would be asked for what follows.
  if (is.isProxy(object)) throw cannotCopy("a Proxy or the like");
  const first = Object.getPrototypeOf(object);
  if (Array.isArray(object)) return "array";
  if (is.isMap(object)) return "map";
  if (is.isSet(object)) return "set";
  const isException = object instanceof DOMException;
  if (is.isNativeError(object) && !isException) return "error";
  if (
    is.isDate(object) || is.isRegExp(object) || is.isAnyArrayBuffer(object) ||
    ArrayBuffer.isView(object) ||
    is.isBoxedPrimitive(object) && !is.isSymbolObject(object)
  ) return "copy";
  if (
    is.isArgumentsObject(object) || is.isModuleNamespaceObject(object) ||
    is.isSymbolObject(object)
  ) throw cannotCopy(shown(brandOf(object)));
  for (
    let proto: object | null = first;
    proto !== null && proto !== Object.prototype;
    proto = Object.getPrototypeOf(proto)
  ) {
    if (is.isProxy(proto)) {
      throw cannotCopy("an object that a Proxy stands behind");
    }
    const owner = ownerOf(proto);
    const name = owner && platformName(owner);
    if (name !== undefined && NAMED.has(name)) break;
    if (name !== undefined && CARRIED.has(name)) {
      if (proto === first) return "copy";
      throw cannotCopy(shown(name));
    }
    // A class of the runtime, or of this library.
    const found = checker().find(Object.create(proto), "");
    if (found && found.what !== "a Proxy or the like") {
      throw cannotCopy(found.what);
    }
    if (name !== undefined) throw cannotCopy(shown(name));
    if (!owner && isNativeIterator(proto)) {
      throw cannotCopy(shown(brandOf(object)));
    }
  }
  return "plain";
}

/** Whether an object that is no Proxy is one of the simplest kind. */
export function isPlainObject(object: object): boolean {
  const is = typesOf();
  return Object.getPrototypeOf(object) === Object.prototype &&
    Object.prototype.toString.call(object) === "[object Object]" &&
    !is.isMap(object) && !is.isSet(object) && !is.isAnyArrayBuffer(object) &&
    !ArrayBuffer.isView(object);
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

function cannotCopy(what: string): Untravelable {
  return new Untravelable(`is ${what}, which can't be copied`);
}

function shown(what: string): string {
  return `${/^[AEIOaeio]/.test(what) ? "an" : "a"} ${what}`;
}

function brandOf(object: object): string {
  return Object.prototype.toString.call(object).slice(8, -1);
}

/** Whether a prototype is one of the language's iterators, which no name leads to. */
function isNativeIterator(proto: object): boolean {
  const next = Object.getOwnPropertyDescriptor(proto, "next")?.value;
  return typeof next === "function" &&
    Function.prototype.toString.call(next).includes("[native code]");
}

/** The function that has an object as its `prototype`. */
export function ownerOf(object: object): Fn | undefined {
  const owner = Object.getOwnPropertyDescriptor(object, "constructor")?.value;
  if (typeof owner !== "function") return undefined;
  const found = Object.getOwnPropertyDescriptor(owner, "prototype");
  return found?.value === object ? owner : undefined;
}

const SPACES = ["", "Deno", "WebAssembly", "Intl", "Temporal"];

/** The name that leads to a class from `globalThis`. */
function platformName(owner: Fn): string | undefined {
  const name = Object.getOwnPropertyDescriptor(owner, "name")?.value;
  if (typeof name !== "string" || name === "") return undefined;
  for (const space of SPACES) {
    const holder = space === ""
      ? globalThis
      : Object.getOwnPropertyDescriptor(globalThis, space)?.value;
    if (isObject(holder) && valueIn(holder, name) === owner) {
      return space === "" ? name : `${space}.${name}`;
    }
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null ||
    typeof value === "function";
}

function valueIn(holder: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(holder, name)?.value;
}

/** The prototype that the copy of an object has. */
export function baseOf(object: object, kind: Kind): object | null {
  switch (kind) {
    case "plain":
      return Object.prototype;
    case "array":
      return Array.prototype;
    case "map":
      return Map.prototype;
    case "set":
      return Set.prototype;
    case "error": {
      const proto = Object.getPrototypeOf(object);
      return ERRORS.has(proto) ? proto : Error.prototype;
    }
  }
  return baseOfCopy(object);
}

function baseOfCopy(object: object): object | null {
  if (ArrayBuffer.isView(object)) {
    const tag = tagOf.call(object);
    const { prototype } = (globalThis as unknown as Record<string, Fn>)[
      tag ?? "DataView"
    ];
    return prototype;
  }
  const is = typesOf();
  if (is.isDate(object)) return Date.prototype;
  if (is.isRegExp(object)) return RegExp.prototype;
  if (is.isAnyArrayBuffer(object)) {
    for (const { prototype } of [ArrayBuffer, SharedArrayBuffer]) {
      try {
        Reflect.get(prototype, "byteLength", object);
        return prototype;
      } catch {
        // Of the other kind.
      }
    }
  }
  if (is.isBoxedPrimitive(object)) {
    for (const { prototype } of [Number, String, Boolean, BigInt]) {
      try {
        Reflect.apply(prototype.valueOf, object, []);
        return prototype;
      } catch {
        // Of another kind.
      }
    }
  }
  // What the runtime carries arrives as what it is.
  return Object.getPrototypeOf(object);
}

/** Says what kind of typed array an object is, whatever its prototype. */
const tagOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get as (this: object) => string | undefined;

/** How many bytes or letters an object may have and still be looked at for more. */
const MOST_LOOKED_AT = 10_000;

/** What a `copy` has besides what structured clone carries. */
export function keysBeside(object: object): (string | symbol)[] {
  const is = typesOf();
  if (ArrayBuffer.isView(object)) {
    // Each item has a key.
    return (object as Uint8Array).length > MOST_LOOKED_AT
      ? Object.getOwnPropertySymbols(object)
      : Reflect.ownKeys(object).filter((key) => !isIndex(key));
  }
  if (is.isRegExp(object)) {
    return Reflect.ownKeys(object).filter((key) =>
      key !== "lastIndex" || (object as RegExp).lastIndex !== 0 ||
      !Object.getOwnPropertyDescriptor(object, key)!.writable
    );
  }
  if (is.isBoxedPrimitive(object)) {
    return Reflect.ownKeys(object).filter((key) =>
      key !== "length" && !isIndex(key)
    );
  }
  if (is.isDate(object) || is.isAnyArrayBuffer(object)) {
    return Reflect.ownKeys(object);
  }
  // The runtime's have keys of their own, nearly all of them symbols.
  return Object.getOwnPropertyNames(object).filter((key) =>
    !(object instanceof DOMException && OF_EXCEPTIONS.has(key))
  );
}

const OF_EXCEPTIONS = new Set(["stack", "name", "message", "code"]);

function isIndex(key: string | symbol): boolean {
  return typeof key === "string" && /^\d+$/.test(key);
}
