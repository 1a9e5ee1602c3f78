/**
 * The values that a function captured: what of them structured clone copies,
 * and what is written down beside it, so that it arrives as it was.
 *
 * Nothing of the program runs while they are looked through: accessors are
 * read, not asked. An object goes as it is where structured clone makes the
 * same of it. Else it has a record in a list (`ObjectRecord`), and what holds
 * it has one, too; records name each other by number, so cycles and shared
 * objects are what they were. `inside/rebuild_closure.ts` makes the objects of the records.
 */

import {
  attributesOf,
  type Closed,
  closedness,
  CONFIGURABLE,
  isData,
  isFlat,
  isPrimitive,
  leftOf,
  nameOfSymbol,
  type Own,
  ownOf,
  stepOf,
  WRITABLE,
} from "../base/own_properties.ts";
import type { Captured, ObjectRecord } from "../call/protocol.ts";
import type { SourceFacts } from "../reader/expressions.ts";
import {
  type Kind,
  kindOf,
  ownerOf,
  Untravelable,
} from "../values/object_kinds.ts";
import {
  absent,
  hasPrivate,
  isBare,
  isMade,
  isOfGenerator,
  madeProto,
  nameOf,
  OF_KINDS,
  privateNames,
} from "./function_facts.ts";
import {
  type Draft,
  draftOf,
  eachIn,
  entryStep,
  recordOf,
} from "./object_records.ts";
import { isPlainData } from "./plain_data.ts";
import type { Fn, Made } from "./write_program.ts";

/** What is asked of whoever gathers the functions. */
export interface Gatherer {
  /** A function, or a number where the worker finds it. */
  reference(fn: Fn, path: string): Made | number;
  /** The number of an object that the worker finds. */
  find(object: object, path: string): number | undefined;
  /** Whether `find` may find an object. */
  mayFind(object: object): boolean;
  /** The private members that a class itself has, with their values. */
  privates(fn: Fn): ReadonlyMap<string, unknown>;
  cannot(path: string, why: string, advice: string): DOMException;
}

/** An object, function or symbol that was met. */
interface Met {
  readonly path: string;
  readonly kind: Kind | undefined;
  /** `undefined`: as structured clone copies it. */
  draft: Draft | undefined;
  readonly holders: object[];
}

/** An object on the way of looking through a value. */
interface Step {
  readonly value: object;
  readonly path: string;
}

/** What is plain data all through, which structured clone copies in any case. */
const plain = new WeakSet<Captured>();

/** Whether all that a function captured is known to be plain data. */
export function isAllPlain(captured: Captured): boolean {
  return plain.has(captured);
}

/** The ways to captured values, for messages. */
const ways = new WeakMap<Captured, { names: string[]; paths: string[] }>();

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The records of objects, by these. */
const records = new WeakMap<Captured, ReadonlyMap<unknown, number>>();

/**
 * The numbers of the objects that have a record, as more than structured clone
 * copies: of those that a function captured.
 */
export function recordsOf(
  captured: Captured,
): ReadonlyMap<unknown, number> | undefined {
  return records.get(captured);
}

/** What a caller calls a part of what a function captured. */
export function nameOfCaptured(
  captured: Captured,
  way: string,
): string | undefined {
  const known = ways.get(captured);
  const [, list, index, rest] = /^\.(\w+)\[(\d+)\](.*)$/s.exec(way) ?? [];
  if (!known || list === undefined) return undefined;
  if (list === "values") return `${known.names[+index]}${rest}`;
  const record = captured.objects?.[+index];
  const path = known.paths[+index];
  const [, part, item, more] = /^\.(\w+)\[(\d+)\](.*)$/s.exec(rest) ?? [];
  if (!record || part === undefined) return path + rest.replace(/^\.of/, "");
  const at = +item;
  return part === "members"
    ? `${path}${stepOf(record.members![at - at % 3] as string)}${more}`
    : `${path}${record.is === "array" ? `[${(at - 1) / 2}]` : ""}${more}`;
}

/** Values on their way. */
export class CapturedValues {
  readonly #source: Gatherer;
  readonly #values: unknown[] = [];
  readonly #names: string[] = [];
  readonly #met = new Map<unknown, Met>();
  /** Functions and prototypes that have something of their own, to be written in any case. */
  readonly #forced: object[] = [];
  /** Whether all values are plain data. */
  #isPlain = true;

  constructor(source: Gatherer) {
    this.#source = source;
  }

  /** Adds the value of a variable; gives its number. */
  add(name: string, value: unknown, holds: Set<Made>): number {
    if (
      !isFlat(value) &&
      !(isObject(value) && isPlainData(value, this.#source.mayFind))
    ) {
      this.#isPlain = false;
      this.#lookThrough(value as object, name, holds);
    }
    this.#names.push(name);
    return this.#values.push(value) - 1;
  }

  /** Adds what a function has besides what its source says. */
  addFunction(made: Made, name: string): void {
    const { fn } = made;
    const closed = closedness(fn);
    const { own, without, proto, privates } = this.#functionParts(
      made,
      name,
      closed,
    );
    if (
      own.length > 0 || without.length > 0 || proto !== undefined || closed ||
      privates !== undefined
    ) {
      const met = this.#note(fn, name, undefined, undefined);
      met.draft = {
        is: "function",
        of: made.index,
        own,
        without,
        ...(own.length > 0 && { order: Object.getOwnPropertyNames(fn) }),
        proto,
        privates,
        ...(closed && { closed }),
      };
      this.#forced.push(fn);
      const held = new Set<Made>();
      this.#follow(fn, met, held);
    }
    // What a class has as its prototype is looked at where nothing leads to it, too.
    const prototype = Object.getOwnPropertyDescriptor(fn, "prototype")?.value;
    if (isPrimitive(prototype) || ownerOf(prototype) !== fn) return;
    if (!made.facts.isClass && isBare(prototype)) return;
    this.#lookThrough(prototype, `${name}.prototype`, new Set());
  }

  // ---- Looking through ---------------------------------------------------------

  /** Finds what is in a value, and the functions among that. */
  #lookThrough(root: unknown, rootPath: string, holds: Set<Made>): void {
    if (this.#met.has(root)) return;
    const met = this.#meet(root, rootPath, holds);
    if (typeof root === "object") this.#follow(root as object, met, holds);
  }

  /** Looks at what an object holds, and on from there. */
  #follow(root: object, rootMet: Met, holds: Set<Made>): void {
    const todo: Step[] = [];
    const visit = (holder: object, value: unknown, path: string) => {
      const known = this.#met.get(value);
      if (known) {
        known.holders.push(holder);
        return;
      }
      const met = this.#meet(value, path, holds);
      met.holders.push(holder);
      if (typeof value === "object") {
        todo.push({ value: value as object, path });
      }
    };
    this.#visitAll(root, rootMet, visit);
    for (let step; (step = todo.pop());) {
      this.#visitAll(step.value, this.#met.get(step.value)!, visit);
    }
  }

  #visitAll(
    object: object,
    { draft, path, kind }: Met,
    visit: (holder: object, value: unknown, path: string) => void,
  ): void {
    const each = (value: unknown, step: string) => {
      if (!isFlat(value)) visit(object, value, path + step);
    };
    if (!draft) {
      eachIn(object, kind!, each);
      return;
    }
    if (draft.proto) {
      each(draft.proto, ".__proto__");
      // A prototype is named by its number.
      const met = this.#met.get(draft.proto)!;
      met.draft ??= draftOf(draft.proto, met.kind!, true);
    }
    draft.entries?.forEach((value, i) => each(value, entryStep(draft, i)));
    draft.privates?.forEach((value) => each(value, ".#private"));
    for (const [key, found] of draft.own ?? []) {
      const step = stepOf(key);
      if (typeof key === "symbol") each(key, step);
      if (isData(found)) each(found.value, step);
      else {
        each(found.get, step);
        each(found.set, step);
      }
    }
  }

  #note(
    value: unknown,
    path: string,
    kind: Kind | undefined,
    draft: Draft | undefined,
  ): Met {
    const known = this.#met.get(value);
    if (known) return known;
    const met: Met = { path, kind, draft, holders: [] };
    this.#met.set(value, met);
    return met;
  }

  /** What goes in the place of something that is met for the first time. */
  #meet(value: unknown, path: string, holds: Set<Made>): Met {
    if (typeof value === "symbol") {
      const of = nameOfSymbol(value);
      if (of) return this.#note(value, path, undefined, { is: "symbol", of });
      throw this.#source.cannot(
        path,
        `is a symbol, which can't be copied`,
        "make it in the function, or with Symbol.for()",
      );
    }
    if (typeof value === "function") {
      const reference = this.#source.reference(value as Fn, path);
      // Looking at it may have come by here.
      if (typeof reference === "number") {
        return this.#note(value, path, undefined, {
          is: "find",
          of: reference,
        });
      }
      holds.add(reference);
      return this.#note(value, path, undefined, {
        is: "function",
        of: reference.index,
      });
    }
    const object = value as object;
    const find = this.#source.find(object, path);
    if (find !== undefined) {
      return this.#note(object, path, undefined, { is: "find", of: find });
    }
    const owner = ownerOf(object);
    if (owner) return this.#meetPrototype(object, owner, path, holds);
    let kind: Kind;
    try {
      kind = kindOf(object);
      this.#checkPrivates(object);
    } catch (error) {
      if (!(error instanceof Untravelable)) throw error;
      throw this.#source.cannot(path, error.message, error.advice);
    }
    return this.#note(object, path, kind, draftOf(object, kind, false));
  }

  /** Refuses objects whose class has private members. */
  #checkPrivates(object: object): void {
    let proto: object | null = Object.getPrototypeOf(object);
    for (; proto; proto = Object.getPrototypeOf(proto)) {
      const owner = proto === Object.prototype ? undefined : ownerOf(proto);
      if (!owner || !hasPrivate(owner)) continue;
      throw new Untravelable(
        `is a ${nameOf(owner)}, whose #private members can't be read`,
        "make it in the function",
      );
    }
  }

  /** An object that a function has as its `prototype`. */
  #meetPrototype(
    object: object,
    owner: Fn,
    path: string,
    holds: Set<Made>,
  ): Met {
    const reference = this.#source.reference(owner, path);
    const known = this.#met.get(object);
    if (known) return known;
    if (typeof reference === "number") {
      this.#note(owner, path, undefined, { is: "find", of: reference });
      return this.#note(object, path, undefined, {
        is: "prototype",
        of: owner,
      });
    }
    holds.add(reference);
    const { members } = reference;
    this.#note(owner, path, undefined, {
      is: "function",
      of: reference.index,
    });
    const closed = closedness(object);
    const all = ownOf(object);
    const own = all.filter(([key, found]) =>
      !(key === "constructor" && isData(found) && found.value === owner &&
        attributesOf(found) === leftOf(WRITABLE | CONFIGURABLE, closed)) &&
      !isMade(members, key, found, false, closed)
    );
    const without = absent(members, object, false);
    const proto = Object.getPrototypeOf(object);
    const isAsMade = proto === madeProto(reference);
    const draft: Draft = {
      is: "prototype",
      of: owner,
      own,
      without,
      ...(own.length > 0 && { order: Object.getOwnPropertyNames(object) }),
      ...(!isAsMade && { proto }),
      ...(closed && { closed }),
    };
    if (own.length > 0 || without.length > 0 || !isAsMade || closed) {
      this.#forced.push(object);
    }
    return this.#note(object, path, undefined, draft);
  }

  /** What a function has that its source does not give it. */
  #functionParts(
    { fn, facts, members }: Made,
    path: string,
    closed: Closed | undefined,
  ): {
    own: Own;
    without: string[];
    proto: object | null | undefined;
    privates: unknown[] | undefined;
  } {
    const { isClass } = facts;
    const own = ownOf(fn).filter(([key, found]) => {
      if (isMade(members, key, found, true, closed)) return false;
      const { value } = found;
      switch (key) {
        case "length":
          return value !== facts.length ||
            attributesOf(found) !== leftOf(CONFIGURABLE, closed);
        case "name":
          return typeof value !== "string" ||
            attributesOf(found) !== leftOf(CONFIGURABLE, closed);
        case "arguments":
        case "caller":
          // Every function of sloppy code has them.
          return value !== null || attributesOf(found) !== 0;
        case "prototype":
          if (isClass || isPrimitive(value)) return false;
          if (attributesOf(found) !== leftOf(WRITABLE, closed)) return true;
          return ownerOf(value) !== fn && !isOfGenerator(value);
      }
      return true;
    });
    const without = isClass ? absent(members, fn, true) : [];
    for (const key of ["name", "length"]) {
      if (!Object.hasOwn(fn, key)) without.push(key);
    }
    const proto = Object.getPrototypeOf(fn);
    const isAsMade = OF_KINDS.has(proto) ||
      isClass && facts.heritage !== undefined && typeof proto === "function";
    return {
      own,
      without,
      proto: isAsMade ? undefined : proto,
      privates: this.#privatesOf(fn, facts, path),
    };
  }

  /** The values of the private fields that a class itself has. */
  #privatesOf(
    fn: Fn,
    facts: SourceFacts,
    path: string,
  ): unknown[] | undefined {
    const names = privateNames(facts, () => this.#source.privates(fn));
    if (names.length === 0) return undefined;
    const values = this.#source.privates(fn);
    return names.map((name) => {
      if (values.has(name)) return values.get(name);
      throw this.#source.cannot(
        path,
        facts.privates.includes(name)
          ? "uses a #private name from around it, which can't be read"
          : `has a static ${name}, which can't be read`,
        "call a method of the class",
      );
    });
  }

  // ---- Writing down --------------------------------------------------------------

  /** All of it as it is sent. */
  captured(early: boolean): Captured {
    const dirty = this.#dirty();
    const numbers = new Map<unknown, number>();
    const todo: unknown[] = [];
    /** The number of an object that has a record. */
    const numberOf = (value: unknown): number | undefined => {
      let number = numbers.get(value);
      if (number === undefined && dirty.has(value)) {
        number = todo.push(value) - 1;
        numbers.set(value, number);
      }
      return number;
    };
    const at: number[] = [];
    const values = this.#values.map((value, i) => {
      const number = isFlat(value) ? undefined : numberOf(value);
      if (number === undefined) return value;
      at.push(i, number);
      return null;
    });
    for (const object of this.#forced) numberOf(object);
    const objects: ObjectRecord[] = [];
    // The list grows while it is walked.
    for (let i = 0; i < todo.length; i++) {
      const { draft, kind } = this.#met.get(todo[i])!;
      const full = draft ?? draftOf(todo[i] as object, kind!, true)!;
      objects.push(recordOf(full, numberOf));
    }
    const captured: Captured = objects.length === 0 ? { values } : {
      values,
      at,
      objects,
      ...(early && { early }),
    };
    if (numbers.size > 0) records.set(captured, numbers);
    if (this.#isPlain && objects.length === 0) plain.add(captured);
    ways.set(captured, {
      names: this.#names,
      paths: todo.map((value) => this.#met.get(value)!.path),
    });
    return captured;
  }

  /** What structured clone does not copy as it is, and all that holds such. */
  #dirty(): Set<unknown> {
    const dirty = new Set<unknown>();
    for (const [value, { draft }] of this.#met) if (draft) dirty.add(value);
    for (const value of dirty) {
      for (const holder of this.#met.get(value)!.holders) dirty.add(holder);
    }
    return dirty;
  }
}
