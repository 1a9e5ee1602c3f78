/**
 * The worker's half of "closures travel": makes a function anew, with what it
 * captured. The other half is in `closures/capture.ts`, which writes the program that
 * is run here.
 */

import type {
  Captured,
  ClosureRef,
  Find,
  ObjectRecord,
  SharedArguments,
} from "../call/protocol.ts";

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
   * @param args Arguments, of which some are objects of records: `shared` says which.
   * @throws {SyntaxError} when a source does not stand alone.
   */
  rebuild(
    ref: ClosureRef,
    captured: Captured,
    load: Load,
    args?: unknown[],
    shared?: SharedArguments,
  ): Fn | Promise<Fn>;
  /** A `node:` module. */
  builtinModule(name: string): unknown;
  /** What was imported for functions, by what it is. */
  readonly found: { get(value: object): Find | undefined };
}

/** What the program of a closure works with; see `programOf` in `closures/capture.ts`. */
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
  /** What sets the static private fields of a class, by its number. */
  readonly p: ((value: unknown) => void)[][];
  /** Adds what is to be run later to a list, that is made if there is none. */
  a(run: () => void, list?: (() => void)[]): (() => void)[];
  /** Runs all of a list. */
  e(list?: readonly (() => void)[]): void;
  /** A symbol, by its name. */
  w(name: [string, string]): symbol;
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
  // Taken before any task runs: one may put its own in their place.
  const {
    defineProperty,
    deleteProperty,
    getOwnPropertyDescriptor,
    ownKeys,
    preventExtensions,
    setPrototypeOf,
    apply,
  } = Reflect;
  const { freeze, hasOwn, seal } = Object;
  const closers = [preventExtensions, seal, freeze];
  const { Map: OwnMap, Set: OwnSet, Error: OwnError, Symbol: OwnSymbol } =
    globalThis;
  const { for: symbolFor } = OwnSymbol;
  const { eval: evaluate, DOMException } = globalThis;
  const syntaxError = SyntaxError.prototype;
  const { bind, call } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const exec = uncurried(RegExp.prototype.exec);
  const isIn = uncurried(Object.prototype.isPrototypeOf);
  const startsWith = uncurried(String.prototype.startsWith);
  const slice = uncurried(String.prototype.slice);
  const indexOf = uncurried(String.prototype.indexOf);
  const isKey = uncurried(OwnMap.prototype.has);
  const getFrom = uncurried(OwnMap.prototype.get);
  const setIn = uncurried(OwnMap.prototype.set);
  const clear = uncurried(OwnMap.prototype.clear);
  const sizeOf = uncurried(
    getOwnPropertyDescriptor(OwnMap.prototype, "size")!.get,
  );
  const addTo = uncurried(OwnSet.prototype.add);
  const setFound = uncurried(WeakMap.prototype.set);
  /** A list that inherits nothing: a setter for its items would be met, too. */
  const list = <T>(): T[] => own([]);
  /** Nothing that a task gave to all objects is read for a part of it. */
  function own<T extends object>(record: T): T {
    setPrototypeOf(record, null);
    return record;
  }
  const makers = new OwnMap<string, (frame: Frame) => void>();
  const loaded = new OwnMap<string, Loaded>();
  // To ask for it takes a while, so only its getter is taken before tasks run.
  const processOf = Object.getOwnPropertyDescriptor(globalThis, "process")?.get;
  // Whatever a task does to the class.
  const { get, set } = WeakMap.prototype;
  const found = Object.assign(new WeakMap<object, Find>(), { get, set });

  function makerOf({ code, name }: ClosureRef): (frame: Frame) => void {
    let maker: ((frame: Frame) => void) | undefined = getFrom(makers, code);
    if (maker) return maker;
    let shown = "";
    for (let i = 0; i < name.length; i++) {
      const isWord = exec(/[\w$.]/, name[i]) !== null;
      if (isWord || shown[shown.length - 1] !== "_") {
        shown += isWord ? name[i] : "_";
      }
    }
    shown ||= "anonymous";
    const end = `)\n//# sourceURL=${shown}`;
    try {
      maker = evaluate(`(${code}${end}`) as typeof maker;
    } catch (error) {
      if (!isIn(syntaxError, error)) throw error;
      // Something of it may be sloppy code and not be known as such: without
      // what `closures/write_program.ts` has put there to make it strict.
      const mark = `"use strict";${slice(code, 1, indexOf(code, ")"))};`;
      let program = "";
      let from = 0;
      for (let at; (at = indexOf(code, mark, from)) >= 0;) {
        program += slice(code, from, at);
        from = at + mark.length;
      }
      try {
        maker = evaluate(
          `(${program}${slice(code, from)}${end}`,
        ) as typeof maker;
      } catch {
        throw error;
      }
    }
    if (sizeOf(makers) >= 500) clear(makers);
    setIn(makers, code, maker);
    return maker!;
  }

  /** An address without the folder in which the runtime keeps packages. */
  function inCache(url: string): string {
    const folder = exec(
      /^file:.*(?=\/npm\/[^/]+\/(?:@[^/]+\/)?[^/]+\/\d+\.\d+\.\d[^/]*\/)/,
      url,
    ) as RegExpExecArray | null;
    return folder ? slice(url, folder[0].length) : url;
  }

  function builtinModule(name: string): unknown {
    const { process } = globalThis as unknown as { process: unknown };
    const found = (processOf ? apply(processOf, globalThis, []) : process) as
      | { getBuiltinModule?(name: string): unknown }
      | undefined;
    const get = found?.getBuiltinModule;
    return get && apply(get, found, [name]);
  }

  function isPath(find: Find): find is Extract<Find, { path: unknown }> {
    return hasOwn(find, "path");
  }

  function lookUp(find: Find): unknown {
    if (isPath(find)) {
      const { path } = find;
      const isOfNode: boolean = startsWith(path[0], "node:");
      let found: unknown = isOfNode ? builtinModule(path[0]) : globalThis;
      for (let i = isOfNode ? 1 : 0; i < path.length; i++) {
        found = (found as Record<string, unknown> | undefined)?.[path[i]];
      }
      return found;
    }
    const { module, url }: Loaded = getFrom(loaded, find.module);
    if (find.url !== undefined && inCache(find.url) !== inCache(url)) {
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
    ) setFound(found, value, find);
    return value;
  }

  // The bits of attributes, as `closures/captured_values.ts` writes them.
  const WRITABLE = 1;
  const ENUMERABLE = 2;
  const CONFIGURABLE = 4;
  const OBJECT = 8;
  const ACCESSOR = 16;

  function symbolOf({ 0: by, 1: name }: [string, string]): symbol {
    return by === "for"
      ? symbolFor(name)
      : (OwnSymbol as unknown as Record<string, symbol>)[name];
  }

  /** Makes the objects of records; those of classes are there only once these are. */
  class Objects {
    readonly #records: readonly ObjectRecord[];
    readonly #frame: Frame;
    readonly #made: unknown[];

    constructor(records: readonly ObjectRecord[], frame: Frame) {
      this.#records = records;
      this.#frame = frame;
      this.#made = list();
      for (let i = 0; i < records.length; i++) {
        own(records[i]);
        this.#made[i] = undefined;
      }
    }

    /** An object, empty at first; `undefined` for what is not there yet. */
    get(i: number): unknown {
      return this.#made[i] ??= this.#make(this.#records[i]);
    }

    #make({ is, of }: ObjectRecord): unknown {
      switch (is) {
        case "object":
          return {};
        case "array":
          return [];
        case "map":
          return new OwnMap();
        case "set":
          return new OwnSet();
        case "error":
          return new OwnError();
        case "copy":
          return of;
        case "function":
          return this.#frame.f[of as number];
        case "find":
          return this.#frame.r[of as number];
        case "prototype":
          return (this.get(of as number) as Fn | undefined)?.prototype;
        case "symbol":
          return symbolOf(of as [string, string]);
      }
    }

    /** Gives all of them what they had. */
    fill(): void {
      const records = this.#records;
      for (let i = 0; i < records.length; i++) this.#fillOne(i, records[i]);
      // Last, since it can't be undone.
      for (let i = 0; i < records.length; i++) {
        const { closed } = records[i];
        if (closed) closers[closed - 1](this.get(i) as object);
      }
    }

    /** Gives plain objects what they had and is there. */
    fillEarly(): void {
      const records = this.#records;
      for (let i = 0; i < records.length; i++) {
        const { is, members = [] } = records[i];
        if (is !== "object") continue;
        for (let j = 0; j < members.length; j += 3) {
          const bits = members[j + 1] as number;
          const key = this.#keyOf(members[j]);
          if (bits & ACCESSOR || key === undefined) continue;
          this.#define(this.get(i) as object, key, {
            value: this.#valueOf(bits, members[j + 2]),
            writable: true,
            enumerable: true,
            configurable: true,
          });
        }
      }
    }

    #fillOne(i: number, record: ObjectRecord): void {
      const { is, proto, entries = [], members = [], without = [] } = record;
      const object = this.get(i) as object;
      for (let j = 0; j < without.length; j++) {
        deleteProperty(object, without[j]);
      }
      if (is === "error") deleteProperty(object, "stack");
      if (is === "map") {
        for (let j = 0; j < entries.length; j += 4) {
          setIn(
            object,
            this.#valueOf(entries[j] as number, entries[j + 1]),
            this.#valueOf(entries[j + 2] as number, entries[j + 3]),
          );
        }
      } else if (is === "set") {
        for (let j = 0; j < entries.length; j += 2) {
          addTo(
            object,
            this.#valueOf(entries[j] as number, entries[j + 1]),
          );
        }
      }
      for (let j = 0; j < members.length; j += 3) {
        const key = this.#keyOf(members[j])!;
        const bits = members[j + 1] as number;
        const value = members[j + 2];
        const enumerable = (bits & ENUMERABLE) !== 0;
        const configurable = (bits & CONFIGURABLE) !== 0;
        if (bits & ACCESSOR) {
          const { 0: get, 1: set } = value as [number, number];
          this.#define(object, key, {
            get: get < 0 ? undefined : this.get(get) as () => unknown,
            set: set < 0 ? undefined : this.get(set) as () => unknown,
            enumerable,
            configurable,
          });
        } else {
          this.#define(object, key, {
            value: this.#valueOf(bits, value),
            writable: (bits & WRITABLE) !== 0,
            enumerable,
            configurable,
          });
        }
      }
      const { order = [] } = record;
      const keys = order.length > 0 ? ownKeys(object) : order;
      let first = 0;
      while (first < order.length && keys[first] === order[first]) first++;
      for (let j = first; j < order.length; j++) {
        const found = getOwnPropertyDescriptor(object, order[j]);
        // What was put behind it comes behind it.
        if (found && deleteProperty(object, order[j])) {
          this.#define(object, order[j], found);
        }
      }
      if (proto !== undefined) {
        setPrototypeOf(
          object,
          proto === null ? null : this.get(proto) as object,
        );
      }
      const { privates } = record;
      if (!privates) return;
      const setters = this.#frame.p[record.of as number];
      for (let j = 0; j < privates.length; j += 2) {
        setters[j / 2](this.#valueOf(privates[j] as number, privates[j + 1]));
      }
    }

    #keyOf(key: unknown): string | symbol | undefined {
      return typeof key === "number"
        ? this.get(key) as symbol | undefined
        : key as string;
    }

    #valueOf(bits: number, value: unknown): unknown {
      return bits & OBJECT ? this.get(value as number) : value;
    }

    #define(
      object: object,
      key: string | symbol,
      found: PropertyDescriptor,
    ): void {
      // Nothing that a task gave to all objects is read for an attribute.
      setPrototypeOf(found, null);
      defineProperty(object, key, found);
    }
  }

  function build(
    ref: ClosureRef,
    captured: Captured,
    args: unknown[] | undefined,
    shared: SharedArguments = [],
  ): Fn {
    const { at = [], objects: records = [], early } = own(captured);
    const values = captured.values as unknown[];
    const found = list<unknown>();
    for (let i = 0; i < ref.finds.length; i++) {
      found[i] = lookUp(own(ref.finds[i]));
    }
    const frame: Frame = own({
      v: values,
      f: list<Fn>(),
      r: found,
      s: list<() => void>(),
      c: list<() => void>(),
      p: list<((value: unknown) => void)[]>(),
      a: (run: () => void, runs: (() => void)[] = list()) => {
        runs[runs.length] = run;
        return runs;
      },
      e: (runs: readonly (() => void)[] = []) => {
        for (let i = 0; i < runs.length; i++) (0, runs[i])();
      },
      w: symbolOf,
      n: (fn: Fn, name: string) => {
        defineProperty(fn, "name", {
          __proto__: null,
          value: name,
          writable: false,
          enumerable: false,
          configurable: true,
        } as PropertyDescriptor);
        return fn;
      },
      m: (object: object) => {
        const found = getOwnPropertyDescriptor(object, ownKeys(object)[0])!;
        setPrototypeOf(found, null);
        return found.value ?? found.get ?? found.set;
      },
    });
    makerOf(ref)(frame);
    const objects = new Objects(records, frame);
    /** Gives variables their values; whether some were not there yet. */
    const setVariables = (): boolean => {
      let isLate = false;
      for (let i = 0; i < at.length; i += 2) {
        const value = objects.get(at[i + 1]);
        isLate ||= value === undefined;
        values[at[i]] = value;
      }
      for (let i = 0; i < frame.s.length; i++) frame.s[i]();
      return isLate;
    };
    if (early) objects.fillEarly();
    // Variables come before classes, which may be named, or name members, by them.
    const isLate = setVariables();
    for (let i = 0; i < frame.c.length; i++) frame.c[i]();
    if (isLate) setVariables();
    objects.fill();
    for (let i = 0; i < shared.length; i++) {
      const number = shared[i][1];
      if (number < 0) args![shared[i][0]] = objects.get(-1 - number);
    }
    return frame.f[0];
  }

  return {
    builtinModule,
    found,
    rebuild: (ref, captured, load, args, shared) => {
      const missing = list<string>();
      for (let i = 0; i < ref.finds.length; i++) {
        const find = ref.finds[i];
        if (!isPath(find) && !isKey(loaded, find.module)) {
          missing[missing.length] = find.module;
        }
      }
      if (missing.length === 0) return build(ref, captured, args, shared);
      return (async () => {
        for (let i = 0; i < missing.length; i++) {
          const url = missing[i];
          if (!isKey(loaded, url)) setIn(loaded, url, await load(url));
        }
        return build(ref, captured, args, shared);
      })();
    },
  };
}
