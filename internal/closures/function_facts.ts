/** What is known of functions by their source, and what they have besides that. */

import {
  attributesOf,
  type Closed,
  CONFIGURABLE,
  isData,
  leftOf,
  PLAIN,
  WRITABLE,
} from "../base/own_properties.ts";
import type { FunctionRef } from "../call/protocol.ts";
import { describe } from "../functions/describe.ts";
import {
  type ClassMember,
  readSource,
  type SourceFacts,
} from "../reader/expressions.ts";
import type { Fn, Made, MadeMember } from "./write_program.ts";

/** What is known of functions by their source; of some, that it is not understood. */
const read = new WeakMap<
  FunctionRef,
  SourceFacts | { readonly error: Error }
>();

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

/** Whether a function has properties besides those that every function has. */
export function hasOwnMembers(fn: Fn): boolean {
  return Reflect.ownKeys(fn).some((key) => !OF_FUNCTIONS.has(key));
}

const OF_FUNCTIONS = new Set<string | symbol>(
  ["length", "name", "prototype", "arguments", "caller"],
);

/** The members that a class makes, with the names that its methods have got. */
export function membersOf(fn: Fn, facts: SourceFacts): MadeMember[] {
  const taken = new Map<boolean, Set<string | symbol>>([
    [true, new Set()],
    [false, new Set()],
  ]);
  return facts.members.map((member) => {
    if (!member.name) return member;
    const { isStatic, is, text } = member;
    const object = isStatic
      ? fn
      : Object.getOwnPropertyDescriptor(fn, "prototype")?.value;
    const part = is === "method" ? "value" : is as "get" | "set";
    const found = Reflect.ownKeys(object).find((key) => {
      const own = Object.getOwnPropertyDescriptor(object, key)!;
      return Object.hasOwn(own, part) && !taken.get(isStatic)!.has(key) &&
        sameSource(own[part], text);
    });
    // Both halves of an accessor have one name.
    if (found !== undefined && is === "method") taken.get(isStatic)!.add(found);
    return { ...member, key: found };
  });
}

/** Whether a class makes a property as it is. */
export function isMade(
  members: readonly MadeMember[],
  name: string | symbol,
  found: PropertyDescriptor,
  isStatic: boolean,
  closed: Closed | undefined,
): boolean {
  if (members.length === 0) return false;
  const makes = (fn: unknown, is: ClassMember["is"]) =>
    typeof fn === "function" &&
    members.some((member) =>
      member.isStatic === isStatic && member.is === is &&
      member.key === name && member.text === sourceOf(fn)
    );
  const attributes = attributesOf(found);
  if (isData(found)) {
    const { value } = found;
    return attributes === leftOf(WRITABLE | CONFIGURABLE, closed) &&
        makes(value, "method") ||
      attributes === leftOf(PLAIN, closed) && isStatic &&
        makes(value, "field");
  }
  if (attributes !== leftOf(CONFIGURABLE, closed)) return false;
  const { get, set } = found;
  return (get ? makes(get, "get") : !declares("get")) &&
    (set ? makes(set, "set") : !declares("set"));

  function declares(is: ClassMember["is"]): boolean {
    return members.some((member) =>
      member.isStatic === isStatic && member.is === is && member.key === name
    );
  }
}

/** The members that a class makes and an object has no more. */
export function absent(
  members: readonly MadeMember[],
  object: object,
  isStatic: boolean,
): string[] {
  const keys = new Set<string>();
  for (const { key, is, isStatic: ofClass } of members) {
    if (ofClass !== isStatic || typeof key !== "string") continue;
    if (!isStatic && is === "field") continue;
    if (!Object.hasOwn(object, key)) keys.add(key);
  }
  return [...keys];
}

export function sourceOf(fn: unknown): string {
  return Function.prototype.toString.call(fn);
}

/** A function's name, where that is one. */
export function nameOf(fn: Fn): string {
  const name = Object.getOwnPropertyDescriptor(fn, "name")?.value;
  return typeof name === "string" ? name : "class";
}

export function hasPrivate(fn: Fn): boolean {
  const ref = describe(fn, "a class");
  if (ref.by !== "source") return false;
  const facts = factsOf(ref);
  return Object.hasOwn(facts, "hasPrivate") && "hasPrivate" in facts &&
    facts.hasPrivate;
}

/**
 * The private fields that are set where a class has been made: those that it
 * declares, and those of around it that are its own.
 */
export function privateNames(
  facts: SourceFacts,
  values: () => ReadonlyMap<string, unknown>,
): string[] {
  const declared = facts.statics.filter(({ key, text }) =>
    key?.startsWith("#") &&
    // What begins with a function and has it still makes that by itself.
    !(text !== undefined && sameSource(values().get(key), text))
  ).map(({ key }) => key!);
  return [...declared, ...(facts.isClass ? facts.privates : [])];
}

function sameSource(value: unknown, text: string): boolean {
  return typeof value === "function" && sourceOf(value) === text;
}

/** The kinds of functions that the language has, by their prototypes. */
export const OF_KINDS = new Set<unknown>([
  () => {},
  async () => {},
  function* () {},
  async function* () {},
].map((fn) => Object.getPrototypeOf(fn)));

/** What the prototypes of generators have as theirs. */
const OF_GENERATORS = new Set<unknown>(
  [function* () {}, async function* () {}].map((fn) =>
    Object.getPrototypeOf(fn.prototype)
  ),
);

export function isOfGenerator(prototype: object): boolean {
  return Reflect.ownKeys(prototype).length === 0 &&
    Object.isExtensible(prototype) &&
    OF_GENERATORS.has(Object.getPrototypeOf(prototype));
}

/** Whether a prototype is as functions are made with. */
export function isBare(prototype: object): boolean {
  const found = Object.getOwnPropertyDescriptor(prototype, "constructor")!;
  return Reflect.ownKeys(prototype).length === 1 &&
    attributesOf(found) === (WRITABLE | CONFIGURABLE) &&
    Object.isExtensible(prototype) &&
    Object.getPrototypeOf(prototype) === Object.prototype;
}

/** The prototype of a function's `prototype`, as its source makes it. */
export function madeProto({ fn, facts }: Made): object | null {
  if (!facts.isClass || !facts.heritage) return Object.prototype;
  const parent = Object.getPrototypeOf(fn);
  // Of a class that extends `null`.
  if (parent === Function.prototype) return null;
  return Object.getOwnPropertyDescriptor(parent, "prototype")?.value ?? null;
}

/** What a message calls a captured function: a class, not as a compiler does. */
export function pathOf(name: string, fn: Fn): string {
  const own = Object.getOwnPropertyDescriptor(fn, "name")?.value;
  return name === `_${own}` ? own : name;
}
