/**
 * The worker's half of "closures travel": makes a function anew, with what it
 * captured. The other half is in `closures.ts`, which writes the program that
 * is run here.
 */

import type { Captured, ClosureRef, Find } from "./protocol.ts";

// deno-lint-ignore no-explicit-any -- a caller's function, of any type
type Fn = (...args: any[]) => unknown;

/** A module, and what its name has led to. */
interface Loaded {
  readonly module: Readonly<Record<string, unknown>>;
  readonly url: string;
}

/** Imports a module; what it throws names who needs it. */
type Load = (name: string) => Promise<Loaded>;

/** Makes functions anew. */
export interface Rebuilder {
  /**
   * A function with what it captured; a promise where a module is still to be
   * imported. Each call makes all of it anew: none sees what another did.
   *
   * @throws {SyntaxError} when a source does not stand alone.
   */
  rebuild(ref: ClosureRef, captured: Captured, load: Load): Fn | Promise<Fn>;
  /** A `node:` module. */
  builtinModule(name: string): unknown;
  /** What was imported for functions, by what it is. */
  readonly found: { get(value: object): Find | undefined };
}

/** What the program of a closure works with; see `programOf` in `closures.ts`. */
export interface Frame {
  /** The captured values. */
  readonly v: readonly unknown[];
  /** The functions that the program makes, the submitted one first. */
  readonly f: Fn[];
  /** What was found here. */
  readonly r: readonly unknown[];
  /** Each gives the variables of one scope their values. */
  readonly s: (() => void)[];
  /** Each makes a class, which may need the values. */
  readonly c: (() => void)[];
  /** Gives a function its name. */
  n(fn: Fn, name: string): Fn;
  /** The function of an object's only member. */
  m(object: object): Fn;
}

/**
 * Makes a rebuilder.
 *
 * Self-contained: workers get it as its source.
 */
export function makeRebuilder(): Rebuilder {
  const makers = new Map<string, (frame: Frame) => void>();
  const loaded = new Map<string, Loaded>();
  // To ask for it takes a while, so only its getter is taken before tasks run.
  const processOf = Object.getOwnPropertyDescriptor(globalThis, "process")?.get;
  // Whatever a task does to the class.
  const { get, set } = WeakMap.prototype;
  const found = Object.assign(new WeakMap<object, Find>(), { get, set });

  function makerOf({ code, name }: ClosureRef): (frame: Frame) => void {
    let maker = makers.get(code);
    if (maker) return maker;
    const shown = name.replace(/[^\w$.]+/g, "_") || "anonymous";
    const program = `(${code})\n//# sourceURL=${shown}`;
    try {
      maker = (0, eval)(`"use strict";${program}`) as typeof maker;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      // Something of it may be sloppy code, of CommonJS or `new Function`.
      try {
        maker = (0, eval)(program) as typeof maker;
      } catch {
        throw error;
      }
    }
    if (makers.size >= 500) makers.clear();
    makers.set(code, maker!);
    return maker!;
  }

  function builtinModule(name: string): unknown {
    const { process } = globalThis as unknown as { process: unknown };
    const found = (processOf ? processOf.call(globalThis) : process) as
      | { getBuiltinModule?(name: string): unknown }
      | undefined;
    return found?.getBuiltinModule?.(name);
  }

  function lookUp(find: Find): unknown {
    if ("path" in find) {
      const isOfNode = find.path[0].startsWith("node:");
      let found: unknown = isOfNode ? builtinModule(find.path[0]) : globalThis;
      for (const step of isOfNode ? find.path.slice(1) : find.path) {
        found = (found as Record<string, unknown> | undefined)?.[step];
      }
      return found;
    }
    const { module, url } = loaded.get(find.module)!;
    if (find.url !== undefined && find.url !== url) {
      throw new DOMException(
        `Cannot find "${find.name}" of ${find.url}: ${find.module} is ${url} in the worker`,
        "DataCloneError",
      );
    }
    if (find.name !== "*" && !(find.name in module)) {
      throw new DOMException(
        `Cannot find "${find.name}" of ${find.module}: the module does not export it`,
        "DataCloneError",
      );
    }
    const value = find.name === "*" ? module : module[find.name];
    if (
      typeof value === "function" || typeof value === "object" && value !== null
    ) found.set(value, find);
    return value;
  }

  /** Puts what is meant in the place of what stands for it. */
  function replaceIn(
    roots: readonly unknown[],
    meant: Map<unknown, unknown>,
  ): void {
    const swap = (value: unknown) =>
      meant.has(value) ? meant.get(value) : value;
    const seen = new Set<unknown>();
    const todo: unknown[] = [...roots];
    while (todo.length > 0) {
      const value = todo.pop();
      if (typeof value !== "object" || value === null || seen.has(value)) {
        continue;
      }
      seen.add(value);
      if (value instanceof Map) {
        const entries = [...value];
        value.clear();
        for (const [key, item] of entries) {
          value.set(swap(key), swap(item));
          todo.push(key, item);
        }
      } else if (value instanceof Set) {
        const items = [...value];
        value.clear();
        for (const item of items) {
          value.add(swap(item));
          todo.push(item);
        }
      } else if (!ArrayBuffer.isView(value)) {
        const record = value as Record<string, unknown>;
        for (const key of Object.keys(record)) {
          const item = record[key];
          if (meant.has(item)) record[key] = meant.get(item);
          else todo.push(item);
        }
      }
    }
  }

  function build(ref: ClosureRef, captured: Captured): Fn {
    const { values, standIns = [], instances = [], properties = [] } = captured;
    const frame: Frame = {
      v: values,
      f: [],
      r: ref.finds.map(lookUp),
      s: [],
      c: [],
      n: (fn, name) => {
        if (fn.name !== name) {
          Object.defineProperty(fn, "name", {
            value: name,
            configurable: true,
          });
        }
        return fn;
      },
      m: (object) => {
        const [key] = Reflect.ownKeys(object);
        const found = Object.getOwnPropertyDescriptor(object, key)!;
        return found.value ?? found.get ?? found.set;
      },
    };
    makerOf(ref)(frame);
    /** Those of the functions that are there, and have not been put in yet. */
    const putIn = (left: typeof standIns) => {
      if (left.length === 0) return left;
      const meant = new Map<unknown, unknown>();
      const later = left.filter(([object, index]) => {
        const is = index < 0 ? frame.r[-1 - index] : frame.f[index];
        if (index >= 0 && is === undefined) return true;
        meant.set(object, is);
        return false;
      });
      replaceIn([values, properties], meant);
      return later;
    };
    // Values come before classes, which may use them while they are made.
    const left = putIn(standIns);
    for (const set of frame.s) set();
    for (const make of frame.c) make();
    putIn(left);
    for (const [object, index] of instances) {
      const made = index < 0 ? frame.r[-1 - index] as Fn : frame.f[index];
      Object.setPrototypeOf(object, made.prototype);
    }
    for (const [index, record] of properties) {
      for (const [key, value] of Object.entries(record)) {
        Object.defineProperty(frame.f[index], key, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
    }
    return frame.f[0];
  }

  return {
    builtinModule,
    found,
    rebuild: (ref, captured, load) => {
      const missing = new Set<string>();
      for (const find of ref.finds) {
        if ("module" in find && !loaded.has(find.module)) {
          missing.add(find.module);
        }
      }
      if (missing.size === 0) return build(ref, captured);
      return (async () => {
        for (const url of missing) loaded.set(url, await load(url));
        return build(ref, captured);
      })();
    },
  };
}
