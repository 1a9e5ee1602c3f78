/** What a function needs of what is around it, by its source alone. */

import type { FunctionRef } from "../call/protocol.ts";
import { helperNames } from "../functions/program_text.ts";
import { FLAG } from "../platform/inspector.ts";
import type { OuterUse, SourceFacts } from "../reader/expressions.ts";

/** Names that nobody gives to something of their own. */
const CONSTANTS = new Set(["undefined", "NaN", "Infinity", "globalThis"]);

/**
 * Names that few give to something of their own (`const self = this`, `Map` of
 * a library): a function that uses no others is looked at once for its source.
 */
const LANGUAGE = new Set(
  ("self console Deno Object Function Array " +
    "Number Boolean String Symbol BigInt Math JSON Reflect Proxy Date RegExp " +
    "Promise Map Set WeakMap WeakSet WeakRef FinalizationRegistry " +
    "Error AggregateError EvalError RangeError ReferenceError SyntaxError " +
    "TypeError URIError SuppressedError DisposableStack AsyncDisposableStack " +
    "ArrayBuffer SharedArrayBuffer Atomics DataView Int8Array Uint8Array " +
    "Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array " +
    "BigInt64Array BigUint64Array Float16Array Float32Array Float64Array " +
    "Intl WebAssembly parseInt parseFloat isNaN isFinite eval " +
    "encodeURI encodeURIComponent decodeURI decodeURIComponent " +
    "structuredClone queueMicrotask fetch atob btoa TextEncoder TextDecoder " +
    "DOMException AbortController AbortSignal").split(" "),
);

/** What to do about what can't be read around a function. */
export const OUTER_ADVICE: Record<OuterUse, string> = {
  "this": "put it, or what of it is needed, into a constant",
  "super": "call a function that is no method",
  "arguments": "name the parameters, or put it into a constant",
  "new.target": "put it into a constant",
  "import.meta":
    "put import.meta.url, or what of it is needed, into a constant",
  "a #private name": "call a method of the class",
};

/** Whether a function uses nothing but names that the language has. */
export function needsLanguage({ names, outer }: SourceFacts): boolean {
  return outer.size === 0 &&
    names.every((name) =>
      CONSTANTS.has(name) || LANGUAGE.has(name) || isHelper(name)
    );
}

/** Whether a function uses nothing that the program could have put around it. */
export function needsNothing({ names, outer }: SourceFacts): boolean {
  return outer.size === 0 &&
    names.every((name) => CONSTANTS.has(name) || isHelper(name));
}

function isHelper(name: string): boolean {
  return helperNames().includes(name);
}

const hinted = new WeakMap<FunctionRef, FunctionRef>();

/** The same, and what would have let it take along what is around it. */
export function withHint(ref: FunctionRef & { by: "source" }): FunctionRef {
  let other = hinted.get(ref);
  if (!other) {
    hinted.set(ref, other = { ...ref, hint: `run the program with ${FLAG}` });
  }
  return other;
}
