/**
 * Values that are plain data all through: what most functions captured, and a
 * tenth of the time to tell. Structured clone copies them as they are.
 */

import { isData } from "../base/own_properties.ts";
import { isPlainObject, typesOf } from "../values/object_kinds.ts";
import { isPlainArray, namesBeside } from "./object_records.ts";

/**
 * Whether all that a value holds are plain objects, arrays and primitive values,
 * with nothing odd about them. Nothing of the program runs meanwhile.
 *
 * @param mayBeFound Whether a worker may find an object by itself.
 */
export function isPlainData(
  root: object,
  mayBeFound: (object: object) => boolean,
): boolean {
  const { isProxy } = typesOf();
  const { getOwnPropertyDescriptor, getPrototypeOf, isExtensible } = Object;
  const arrays = Array.prototype;
  const todo: object[] = [];
  const seen = new Set<object>();
  /** Takes note of what is held; `false` for what is no data. */
  const visit = (value: unknown): boolean => {
    if (typeof value === "object" && value !== null) {
      if (!seen.has(value)) {
        seen.add(value);
        todo.push(value);
      }
      return true;
    }
    return typeof value !== "function" && typeof value !== "symbol";
  };
  visit(root);
  for (let object; (object = todo.pop());) {
    if (isProxy(object) || !isExtensible(object) || mayBeFound(object)) {
      return false;
    }
    if (Array.isArray(object)) {
      if (getPrototypeOf(object) !== arrays || !isPlainArray(object)) {
        return false;
      }
      // A hole reads as what the prototype has, which is not this array's.
      for (let i = 0; i < object.length; i++) {
        if (!visit(object[i])) return false;
      }
      const beside = namesBeside(object) as unknown as number[];
      for (let i = 0; i < beside.length; i++) {
        if (!visit(object[beside[i]])) return false;
      }
      continue;
    }
    if (!isPlainObject(object)) return false;
    const keys = Reflect.ownKeys(object);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      // What some function has as its `prototype` is more than data.
      if (typeof key === "symbol" || key === "constructor") return false;
      const found = getOwnPropertyDescriptor(object, key)!;
      if (
        !isData(found) || !found.writable || !found.enumerable ||
        !found.configurable || !visit(found.value)
      ) return false;
    }
  }
  return true;
}
