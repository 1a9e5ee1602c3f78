/**
 * Programs that are made of this library's self-contained functions, by their
 * source.
 *
 * A bundler that is to keep the names of functions (`--keep-names`) puts calls of
 * a helper of its own into them, under whatever name it has given that. So the
 * helper goes along.
 */

import { readSource } from "../reader/expressions.ts";

// deno-lint-ignore no-explicit-any -- whatever function
type Fn = (...args: any[]) => unknown;

/** A function in which a bundler that keeps names calls its helper. */
const probe = () => {
  const inner = () => {};
  return inner;
};

/** What the helper does, as source. */
const HELPER =
  '(f,n)=>Object.defineProperty(f,"name",{__proto__:null,value:n,configurable:true})';

let found: readonly string[] | undefined;

/** The names that the helper has here: mostly none. */
export function helperNames(): readonly string[] {
  return found ??= namesIn(probe);
}

/** The names that a self-contained function uses and this library has not given it. */
function namesIn(fn: Fn): string[] {
  return readSource(String(fn)).names.filter((name) => !(name in globalThis));
}

/** A template of a program: functions in it stand for their source. */
export function program(
  texts: TemplateStringsArray,
  ...parts: (string | Fn)[]
): string {
  const isPlain = helperNames().length === 0;
  return texts.reduce((text, next, i) => {
    const part = parts[i - 1];
    if (typeof part === "string" || isPlain) return `${text}${part}${next}`;
    const names = namesIn(part);
    const given = names.map(() => HELPER);
    return `${text}((${names})=>(${part}\n))(${given})${next}`;
  });
}

/** The text that gives a worker the helper: functions of the program call it, too. */
export function nameHelpers(): string {
  return helperNames().map((name) =>
    `Object.defineProperty(globalThis,"${name}",{__proto__:null,value:${HELPER},writable:true,configurable:true});`
  ).join("");
}

/**
 * An expression that has a program as text: of a module, the runtime looks at
 * each word by itself before it runs it, which takes longer than all the rest.
 */
export function evaluating(program: string): string {
  // A short name, as it stands in each frame of each stack.
  const text = `"use strict";${program}\n//# sourceURL=@concurrent/futures`;
  return `(0, eval)(${JSON.stringify(text)})`;
}
