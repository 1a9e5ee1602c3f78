/**
 * What a function takes along, written down as a program. `inside/rebuild_closure.ts` runs it,
 * with a `Frame` that has what is no text.
 *
 * The program declares variables in blocks that are nested as the scopes were,
 * so each function finds its own, and shares those that it shared.
 */

import { nameOfSymbol } from "../base/own_properties.ts";
import {
  type Scope,
  type Surroundings,
  valueIn,
} from "../platform/inspector.ts";
import type {
  ClassMember,
  SourceFacts,
  StaticPart,
} from "../reader/expressions.ts";

// deno-lint-ignore no-explicit-any -- a caller's function, of any type
export type Fn = (...args: any[]) => unknown;

/** A scope around functions that go. */
export interface ScopeNode {
  readonly parent: ScopeNode | undefined;
  readonly scope: Scope;
  readonly script: string;
  readonly children: ScopeNode[];
  readonly cells: Map<string, Cell>;
  readonly functions: Made[];
  /** Where the functions stand that stand right in it. */
  readonly places: Set<string>;
  /** Stands for the scope in the source, where that was asked for. */
  readonly scopeInSource: object | undefined;
  /** Whether it may be two that have the same variables. */
  isUnsure: boolean;
}

/** Whether a node stands for a scope of a script. */
export function isSame(node: ScopeNode, scope: Scope, script: string): boolean {
  if (node.scope.kind !== scope.kind) return false;
  if (scope.kind === "Script") return true;
  // Code that `eval` ran is a script of its own, in the scopes of another.
  if (scope.kind === "Module" && node.script === script) return true;
  const names = Object.keys(scope.variables);
  return names.length === Object.keys(node.scope.variables).length &&
    names.every((name) =>
      Object.hasOwn(node.scope.variables, name) &&
      Object.is(valueIn(node.scope, name), valueIn(scope, name))
    );
}

/** A variable that goes. */
export interface Cell {
  readonly name: string;
  readonly node: ScopeNode;
  readonly value: Value;
  /** The functions in its value. */
  readonly holds: Set<Made>;
  isAssigned: boolean;
}

export type Value =
  | { readonly is: "data"; readonly index: number }
  | { readonly is: "function"; readonly made: Made }
  | { readonly is: "find"; readonly index: number };

/** A member of a class whose name is known, whatever it was computed from. */
export interface MadeMember extends Omit<ClassMember, "key"> {
  /** Computed and not known, of a field. */
  readonly key: string | symbol | undefined;
}

/** A function or class that is made anew. */
export interface Made {
  readonly index: number;
  readonly fn: Fn;
  readonly facts: SourceFacts;
  /** Whether it is known to be no strict code. */
  readonly isSloppy: boolean;
  /** What a message calls it. */
  readonly path: string;
  readonly cells: Cell[];
  /** The members that a class makes. */
  readonly members: readonly MadeMember[];
  /** The static private fields of a class that are set when it has been made. */
  readonly privates: readonly string[];
  /** Where it stands, once that is known. */
  around?: Surroundings;
}

/** All that goes with a function. */
export interface Parts {
  /** The outermost scopes. */
  readonly top: readonly ScopeNode[];
  /** Functions that stand in no scope but the global one. */
  readonly loose: readonly Made[];
  /** All functions, in the order of their numbers. */
  readonly made: readonly Made[];
  readonly madeOf: ReadonlyMap<Fn, Made>;
  /** The numbers of what the worker finds. */
  readonly findOf: ReadonlyMap<unknown, number>;
}

/** The program that `inside/rebuild_closure.ts` runs with a `Frame`. */
export function programOf(parts: Parts): string {
  const { top, loose, made } = parts;
  // A name that nothing uses.
  let frame = "$";
  while (
    made.some(({ facts: { text, names } }) =>
      text.includes(frame) || names.includes(frame)
    )
  ) frame += "$";
  // The program is strict code, all of it or what is not known to be sloppy. With
  // what no function has in its text: `inside/rebuild_closure.ts` takes it out where it must.
  const strict = `"use strict";${frame};`;
  const isMixed = made.some(({ isSloppy }) => isSloppy);
  const order = classesIn(parts);
  const functionText = (made: Made): string => {
    const { index, fn, facts } = made;
    const name = Object.getOwnPropertyDescriptor(fn, "name")?.value;
    let text = facts.form === "member"
      ? `${frame}.m({${facts.text}\n})`
      : `(${textOf(made, parts, frame)}\n)`;
    if (isMixed && !made.isSloppy && !facts.isClass) {
      text = `(()=>{${strict}return ${text}})()`;
    }
    if (typeof name === "string" && name !== facts.ownName) {
      text = `${frame}.n(${text},${JSON.stringify(name)})`;
    }
    return `${frame}.f[${index}]=${text};`;
  };
  const functionsText = (list: readonly Made[]) => {
    let text = "";
    for (const made of list) {
      if (!made.facts.isClass) text += functionText(made);
      else {
        text += `${frame}.c[${order.indexOf(made)}]=()=>{${
          functionText(made)
        }${frame}.e(${frame}.k${made.index})};`;
      }
    }
    return text;
  };
  const scopeText = (node: ScopeNode): string => {
    const inner = node.children.map(scopeText).join("");
    const cells = [...node.cells.values()];
    if (cells.length === 0 && node.functions.length === 0) return inner;
    const declared = cells.length === 0
      ? ""
      : `let ${cells.map(({ name }) => name)};`;
    let set = "";
    let text = "";
    for (const { name, value } of cells) {
      if (value.is === "data") set += `${name}=${frame}.v[${value.index}];`;
      else if (value.is === "find") {
        set += `${name}=${frame}.r[${value.index}];`;
      } else if (!value.made.facts.isClass) {
        set += `${name}=${frame}.f[${value.made.index}];`;
      } else {
        const { index } = value.made;
        // Variables of a class are set where it is made, one after another.
        text +=
          `${frame}.k${index}=${frame}.a(()=>{${name}=${frame}.f[${index}]},${frame}.k${index});`;
      }
    }
    if (set !== "") text += `${frame}.a(()=>{${set}},${frame}.s);`;
    text += functionsText(node.functions);
    return `{${declared}${text}${inner}}`;
  };
  const first = functionsText(loose);
  const begin = isMixed ? "" : strict;
  return `(${frame})=>{${begin}${first}${top.map(scopeText).join("")}}`;
}

/**
 * The text of a function. What a class extends is in the frame; and it runs
 * nothing when it is made: its static fields have the values that they had.
 */
function textOf(made: Made, parts: Parts, frame: string): string {
  const { facts: { text, isClass, heritage } } = made;
  if (!isClass) return text;
  const edits: [start: number, end: number, text: string][] = [];
  if (heritage) {
    edits.push([...heritage, `${parentOf(made, parts, frame)} `]);
  }
  for (const part of made.facts.statics) {
    if (isKept(part, made)) continue;
    const [start, end] = part.range;
    // As many lines and columns: stacks tell the same places.
    // A semicolon keeps what stands before and behind apart.
    const blank = text.slice(start, end).replace(/[^\n\r]/g, " ");
    edits.push([start, end, blank.replace(/^ /, ";")]);
  }
  for (const { name, key } of made.members) {
    if (!name) continue;
    const found = typeof key === "symbol"
      ? `${frame}.w(${JSON.stringify(nameOfSymbol(key))})`
      : JSON.stringify(key);
    edits.push([...name, `[${found}]`]);
  }
  edits.sort(([a], [b]) => a - b);
  let edited = "";
  let at = 0;
  for (const [start, end, other] of edits) {
    edited += text.slice(at, start) + other;
    at = end;
  }
  return withPrivates(made, edited + text.slice(at), frame);
}

/** Whether a static field begins with a function of its class, which it still has. */
function isKept(
  { key, text }: StaticPart,
  { fn, privates }: Made,
): boolean {
  if (key === undefined || text === undefined) return false;
  if (key.startsWith("#")) return !privates.includes(key);
  const found = Object.getOwnPropertyDescriptor(fn, key)?.value;
  return typeof found === "function" &&
    Function.prototype.toString.call(found) === text;
}

/** A class that lets its private fields be set, once, from outside. */
function withPrivates(
  { index, privates, facts }: Made,
  text: string,
  frame: string,
): string {
  if (privates.length === 0) return text;
  const set = (of: string) =>
    `static{${frame}.p[${index}]=[${
      privates.map((name) => `(v)=>{${of}.${name}=v}`)
    }]}`;
  const end = text.lastIndexOf("}");
  if (facts.privates.length === 0) {
    return `${text.slice(0, end)}${set("this")}${text.slice(end)}`;
  }
  // Names of around it are declared around it, and given to the class as fields
  // are given to what a constructor makes.
  const own = facts.privates.join(";");
  const c = `${frame}c`;
  const setters = (names: readonly string[], of: string) =>
    names.map((name) => `(v)=>{${of}.${name}=v}`);
  const declared = privates.filter((name) => !facts.privates.includes(name));
  return `(()=>{let ${c};new class extends function(x){return x}{static{${c}=${
    text.slice(0, end)
  }static{${frame}.p[${index}]=[${setters(declared, "this")}]}${
    text.slice(end)
  };${frame}.p[${index}].push(${
    setters(facts.privates, c)
  })}${own};constructor(){super(${c})}};return ${c}})()`;
}

/** What a class extends, as the program finds it. */
function parentOf(
  { fn }: Made,
  { madeOf, findOf }: Parts,
  frame: string,
): string {
  const parent = Object.getPrototypeOf(fn);
  const made = madeOf.get(parent);
  return parent === Function.prototype
    ? "null"
    : made
    ? `${frame}.f[${made.index}]`
    : `${frame}.r[${findOf.get(parent)}]`;
}

/** Classes, each after those that it may need while it is made. */
function classesIn({ made: all, madeOf }: Parts): Made[] {
  const order: Made[] = [];
  const seen = new Set<Made>();
  const done = new Set<Made>();
  const parentOf = ({ fn }: Made) => madeOf.get(Object.getPrototypeOf(fn));
  const visit = (made: Made) => {
    if (seen.has(made)) return;
    // What extends a class that is on its turn has to wait for it.
    for (let at = parentOf(made); at; at = parentOf(at)) {
      if (seen.has(at) && !done.has(at)) return;
    }
    seen.add(made);
    const parent = parentOf(made);
    if (parent) visit(parent);
    for (const { holds } of made.cells) {
      for (const other of holds) visit(other);
    }
    done.add(made);
    if (made.facts.isClass) order.push(made);
  };
  for (const made of all) visit(made);
  return order;
}
