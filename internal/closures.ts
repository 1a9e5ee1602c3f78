/**
 * The caller's half of "closures travel": a function, and what it captured.
 *
 * A function whose source uses names that it does not declare is looked up by
 * the runtime's inspector (`scopes.ts`). Of the variables around it, those that
 * it names go along (`free_names.ts`):
 *
 * - values are copied, with the arguments of the call and as these are;
 * - functions and classes go as their source, with what they captured in turn;
 * - what was imported is imported by the worker, all but primitive values;
 * - built-ins are found there by their name.
 *
 * What goes is written down as a program that declares the same variables in
 * scopes that are nested in the same way: functions that share a variable here
 * share it there. The other half, `rebuild.ts`, runs that program anew for each
 * call.
 */

import { makeCloneChecker } from "./clonable.ts";
import {
  type OuterUse,
  readImports,
  readSource,
  type SourceFacts,
} from "./free_names.ts";
import type { Captured, ClosureRef, Find, FunctionRef } from "./protocol.ts";
import {
  canLook,
  FLAG,
  lookAround,
  mayLook,
  type Scope,
  scriptOf,
  type Surroundings,
} from "./scopes.ts";
import { describe, label, taskModules } from "./travel.ts";

// deno-lint-ignore no-explicit-any -- a caller's function, of any type
type Fn = (...args: any[]) => unknown;

/** A function as it is sent. */
export interface Closure {
  readonly ref: FunctionRef;
  /** What goes with it; `undefined`: nothing. */
  readonly captured: Captured | undefined;
}

/**
 * Names that nobody gives to something of their own, as far as can be guessed
 * for nothing: a function that uses no others is not looked at.
 */
const LANGUAGE = new Set(
  ("undefined NaN Infinity globalThis self console Deno Object Function Array " +
    "Number Boolean String Symbol BigInt Math JSON Reflect Proxy Date RegExp " +
    "Promise Map Set WeakMap WeakSet WeakRef FinalizationRegistry Iterator " +
    "Error AggregateError EvalError RangeError ReferenceError SyntaxError " +
    "TypeError URIError SuppressedError DisposableStack AsyncDisposableStack " +
    "ArrayBuffer SharedArrayBuffer Atomics DataView Int8Array Uint8Array " +
    "Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array " +
    "BigInt64Array BigUint64Array Float16Array Float32Array Float64Array " +
    "Intl Temporal WebAssembly parseInt parseFloat isNaN isFinite eval " +
    "encodeURI encodeURIComponent decodeURI decodeURIComponent escape unescape " +
    "structuredClone queueMicrotask fetch atob btoa TextEncoder TextDecoder " +
    "DOMException AbortController AbortSignal").split(" "),
);

const ADVICE: Record<OuterUse, string> = {
  "this": "put it, or what of it is needed, into a constant",
  "super": "call a function that is no method",
  "arguments": "name the parameters, or put it into a constant",
  "new.target": "put it into a constant",
  "import.meta":
    "put import.meta.url, or what of it is needed, into a constant",
  "a #private name": "call a method of the class",
};

/** What is known of functions by their source; of some, that it is not understood. */
const read = new WeakMap<
  FunctionRef,
  SourceFacts | { readonly error: Error }
>();
/** Functions of whose names none is found around them. */
const alone = new WeakSet<Fn>();
/** The scripts of functions. */
const scripts = new WeakMap<Fn, string>();
/** Functions with nothing but a module around them: its variables will do for all. */
const inModule = new WeakMap<Fn, { script: string; place: string }>();
const hinted = new WeakMap<FunctionRef, FunctionRef>();
const checker = makeCloneChecker();

/**
 * Finds what a function takes along.
 *
 * @throws {DOMException} `DataCloneError` when something of it can't travel.
 */
export function closureOf(fn: unknown, ref: FunctionRef): Closure | undefined {
  if (ref.by !== "source") return undefined;
  const facts = factsOf(ref);
  // What is not understood goes as it is. A class can't be called: the worker
  // says so.
  if ("error" in facts || facts.isClass || needsNothing(facts)) {
    return undefined;
  }
  if (alone.has(fn as Fn)) return undefined;
  if (!mayLook()) return { ref: withHint(ref), captured: undefined };
  if (!canLook()) return undefined;
  const closure = new Capture(ref).closure(fn as Fn, facts);
  if (!closure) alone.add(fn as Fn);
  return closure;
}

function factsOf(
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

/** Whether a function uses nothing but what the language has. */
function needsNothing({ names, outer }: SourceFacts): boolean {
  return outer.size === 0 && names.every((name) => LANGUAGE.has(name));
}

function isNative(source: string): boolean {
  return /\{\s*\[native code\]\s*\}\s*$/.test(source);
}

function withHint(ref: FunctionRef & { by: "source" }): FunctionRef {
  let other = hinted.get(ref);
  if (!other) {
    hinted.set(ref, other = { ...ref, hint: `run the program with ${FLAG}` });
  }
  return other;
}

/** A reference for each program, as there is one for each source. */
const refs = new Map<string, ClosureRef>();
const MOST_REFS = 500;

/** A scope around functions that go. */
interface Node {
  readonly parent: Node | undefined;
  readonly scope: Scope;
  readonly script: string;
  readonly children: Node[];
  readonly cells: Map<string, Cell>;
  readonly functions: Made[];
  /** Where the functions stand that stand right in it. */
  readonly places: Set<string>;
  /** Whether it may be two that have the same variables. */
  isUnsure: boolean;
}

/** A variable that goes. */
interface Cell {
  readonly name: string;
  readonly value: Value;
  /** The functions in its value. */
  readonly holds: Set<Made>;
  isAssigned: boolean;
}

type Value =
  | { readonly is: "data"; readonly index: number }
  | { readonly is: "function"; readonly made: Made }
  | { readonly is: "find"; readonly index: number };

/** A function or class that is made anew. */
interface Made {
  readonly index: number;
  readonly fn: Fn;
  readonly facts: SourceFacts;
  /** What a message calls it. */
  readonly path: string;
  readonly cells: Cell[];
}

/** An object on the way of looking through a value. */
interface Step {
  readonly value: object;
  readonly path: string;
}

/** Gathers what goes with one function. */
class Capture {
  readonly #ref: FunctionRef & { by: "source" };
  readonly #top: Node[] = [];
  /** Functions that stand in no scope but the global one. */
  readonly #loose: Made[] = [];
  readonly #made: Made[] = [];
  readonly #madeOf = new Map<Fn, Made>();
  /** Functions whose names are still to be looked up. */
  readonly #todo: Made[] = [];
  readonly #finds: Find[] = [];
  readonly #findOf = new Map<unknown, number>();
  readonly #names: string[] = [];
  readonly #values: unknown[] = [];
  readonly #around = new Map<Fn, Surroundings>();
  /** Objects that were looked through, with those that hold them. */
  readonly #holders = new Map<object, object[]>();
  /** What stands for functions, and other things that are not copied. */
  readonly #standIns = new Map<unknown, [object, number]>();
  readonly #instances: [object, number][] = [];
  readonly #properties: [Made, object][] = [];
  /** What the scripts import, by value, once that was asked for. */
  readonly #imported = new Map<unknown, Find>();
  readonly #withImports = new Set<Node>();

  constructor(ref: FunctionRef & { by: "source" }) {
    this.#ref = ref;
  }

  closure(fn: Fn, facts: SourceFacts): Closure | undefined {
    this.#make(fn, facts, "");
    for (let made; (made = this.#todo.pop());) this.#lookUp(made);
    if (this.#made[0].cells.length === 0) return undefined;
    this.#refuseUnsure();
    const captured = this.#captured();
    return { ref: this.#refOf(this.#program()), captured };
  }

  #refOf(code: string): ClosureRef {
    const { name, source } = this.#ref;
    const finds = this.#finds;
    const names = this.#names;
    const owners = this.#properties.map(([{ path }]) => path || name);
    const key = JSON.stringify([name, source, code, finds, names, owners]);
    let ref = refs.get(key);
    if (!ref) {
      const modules = new Set<string>();
      for (const find of finds) {
        if ("module" in find && !find.module.startsWith("node:")) {
          modules.add(find.module);
          taskModules.add(find.module);
        }
      }
      if (refs.size >= MOST_REFS) refs.clear();
      ref = {
        by: "closure",
        name,
        source,
        code,
        finds,
        names,
        owners,
        modules: [...modules],
      };
      refs.set(key, ref);
    }
    return ref;
  }

  #cannot(path: string, why: string, advice: string): DOMException {
    const what = path === "" ? why : `captured "${path}" ${why}`;
    return new DOMException(
      `Cannot send ${label(this.#ref)} to a worker: ${
        path === "" ? `it ${what}` : what
      }; ${advice}`,
      "DataCloneError",
    );
  }

  // ---- Functions -------------------------------------------------------------

  #make(fn: Fn, facts: SourceFacts, path: string): Made {
    for (const use of facts.outer) {
      throw this.#cannot(
        path,
        `uses ${use} of what is around it, which can't be read`,
        ADVICE[use],
      );
    }
    const made: Made = {
      index: this.#made.length,
      fn,
      facts,
      path,
      cells: [],
    };
    this.#made.push(made);
    this.#madeOf.set(fn, made);
    this.#todo.push(made);
    return made;
  }

  /** What is around a function, asked for once, or less where that will do. */
  #look(fn: Fn): Surroundings {
    const known = this.#around.get(fn);
    if (known) return known;
    const module = inModule.get(fn);
    const node = module &&
      this.#nodes().find(({ script }) => script === module.script);
    const around = node ? { ...module, scopes: [node.scope] } : lookAround(fn);
    this.#around.set(fn, around);
    const { script, place, scopes } = around;
    scripts.set(fn, script);
    if (scopes.length === 1 && scopes[0].kind === "Module") {
      inModule.set(fn, { script, place });
    }
    return around;
  }

  #scriptOf(fn: Fn): string {
    return scripts.get(fn) ?? this.#look(fn).script;
  }

  /** Finds the variables that a function names. */
  #lookUp(made: Made): void {
    const { fn, facts } = made;
    const around = this.#look(fn);
    const node = this.#nodeOf(around);
    (node?.functions ?? this.#loose).push(made);
    for (const name of facts.names) {
      let at = node;
      while (at && !Object.hasOwn(at.scope.variables, name)) at = at.parent;
      if (!at) continue;
      let cell = at.cells.get(name);
      if (!cell) {
        cell = this.#cell(at, name);
        at.cells.set(name, cell);
      }
      cell.isAssigned ||= facts.assigned.has(name);
      made.cells.push(cell);
    }
    const { path } = made;
    if (facts.isClass) {
      const parent = Object.getPrototypeOf(fn);
      if (parent !== Function.prototype && typeof parent === "function") {
        this.#reference(parent, path);
      }
    }
    // A class makes its static properties anew: those that can't go stay so.
    const keys = Object.keys(fn);
    if (keys.length === 0) return;
    const record: Record<string, unknown> = {};
    for (const key of keys) {
      const found = Object.getOwnPropertyDescriptor(fn, key)!;
      if (!("value" in found)) continue;
      if (facts.isClass && typeof found.value === "function") continue;
      record[key] = found.value;
    }
    this.#lookThrough(record, path || this.#ref.name, new Set());
    this.#properties.push([made, record]);
  }

  /** The scopes around a function, as nodes: those that are known are the same. */
  #nodeOf({ script, place, scopes }: Surroundings): Node | undefined {
    let node: Node | undefined;
    scopes.toReversed().forEach((scope, i) => {
      const siblings = node ? node.children : this.#top;
      let found = siblings.find((other) => isSame(other, scope, script));
      if (!found) {
        found = {
          parent: node,
          scope,
          script,
          children: [],
          cells: new Map(),
          functions: [],
          places: new Set(),
          isUnsure: false,
        };
        siblings.push(found);
      }
      node = found;
      if (i < scopes.length - 1) return;
      // Two functions of one place are as a rule of two calls of what is around
      // them; that these are one can be told by what only that call has made.
      if (
        node.places.has(place) && isCall(scope) &&
        Object.keys(scope.variables).every((name) =>
          isPrimitive(valueIn(scope, name))
        )
      ) node.isUnsure = true;
      node.places.add(place);
    });
    return node;
  }

  #refuseUnsure(): void {
    const todo = [...this.#top];
    for (const node of todo) {
      todo.push(...node.children);
      if (!node.isUnsure) continue;
      for (const { name, isAssigned } of node.cells.values()) {
        if (!isAssigned) continue;
        throw this.#cannot(
          name,
          "is assigned to by functions of which can't be told whether they share it",
          "put it into an object",
        );
      }
    }
  }

  // ---- Variables -------------------------------------------------------------

  #cell(node: Node, name: string): Cell {
    const { get, value } = Object.getOwnPropertyDescriptor(
      node.scope.variables,
      name,
    )!;
    if (get) {
      throw this.#cannot(
        name,
        "has no value yet",
        "submit the function after it was given one",
      );
    }
    const holds = new Set<Made>();
    return {
      name,
      value: this.#value(node, name, value, holds),
      holds,
      isAssigned: false,
    };
  }

  #value(node: Node, name: string, value: unknown, holds: Set<Made>): Value {
    if (typeof value === "function") {
      const reference = this.#reference(value as Fn, name);
      if (typeof reference === "number") {
        return { is: "find", index: reference };
      }
      holds.add(reference);
      return { is: "function", made: reference };
    }
    if (typeof value === "object" && value !== null) {
      this.#readImports(node);
      const find = this.#imported.get(value) ?? namespaceOf(value);
      if (find) return { is: "find", index: this.#find(value, find) };
      this.#lookThrough(value, name, holds);
    }
    if (typeof value === "symbol") {
      throw this.#cannot(
        name,
        "is a symbol, which can't be copied",
        "make it in the function",
      );
    }
    this.#names.push(name);
    return { is: "data", index: this.#values.push(value) - 1 };
  }

  #find(value: unknown, find: Find): number {
    let index = this.#findOf.get(value);
    if (index === undefined) {
      index = this.#finds.push(find) - 1;
      this.#findOf.set(value, index);
    }
    return index;
  }

  /** A function as what is made anew, or as the number of a find. */
  #reference(fn: Fn, path: string): Made | number {
    const known = this.#madeOf.get(fn) ?? this.#findOf.get(fn);
    if (known !== undefined) return known;
    const ref = describe(fn, "a captured function");
    if (ref.by === "name") return this.#find(fn, { path: ref.path });
    if (ref.by === "export") {
      return this.#find(fn, { module: ref.module, name: ref.name });
    }
    const source = ref as FunctionRef & { by: "source" };
    if (isNative(source.source)) {
      throw this.#cannot(
        path,
        "is a bound or native function, which has no source",
        "wrap it in a function of your own",
      );
    }
    const script = this.#scriptOf(fn);
    // What stands in the same script was not imported.
    if (!this.#nodes().some((node) => node.script === script)) {
      for (const node of this.#nodes()) this.#readImports(node);
      const find = this.#imported.get(fn);
      if (find) return this.#find(fn, find);
    }
    const facts = factsOf(source);
    if ("error" in facts) {
      throw this.#cannot(
        path,
        `has a source that is not understood (${facts.error.message})`,
        "pass what it needs as arguments",
      );
    }
    return this.#make(fn, facts, path);
  }

  /** All nodes of modules. */
  #nodes(): Node[] {
    return this.#top.filter(({ scope }) => scope.kind === "Module");
  }

  /** Takes note of what a module imports, if the node is one. */
  #readImports(node: Node): void {
    while (node.parent) node = node.parent;
    if (node.scope.kind !== "Module" || this.#withImports.has(node)) return;
    this.#withImports.add(node);
    for (const [name, find] of importsOf(node.script)) {
      if (!Object.hasOwn(node.scope.variables, name)) continue;
      const value = valueIn(node.scope, name);
      if (!isPrimitive(value)) this.#imported.set(value, find);
    }
  }

  // ---- Values ----------------------------------------------------------------

  /** Finds the functions in a value, and the objects of classes. */
  #lookThrough(root: object, rootPath: string, holds: Set<Made>): void {
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
          const reference = this.#reference(value as Fn, way);
          if (typeof reference !== "number") holds.add(reference);
          this.#standIn(value, reference);
        } else {
          const find = typeof value === "object" &&
            (this.#imported.get(value) ?? namespaceOf(value!));
          if (find) this.#standIn(value, this.#find(value, find));
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
      throw this.#cannot(
        path,
        `is a ${fn.name}, whose #private members can't be read`,
        "make it in the function",
      );
    }
    const reference = this.#reference(fn, path);
    if (typeof reference !== "number") holds.add(reference);
    this.#instances.push([object, indexOf(reference)]);
  }

  /** What was captured, with functions out of it. */
  #captured(): Captured {
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
        if (dirty.has(holder)) continue;
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

  // ---- The program -----------------------------------------------------------

  /** The program that `rebuild.ts` runs with a `Frame`. */
  #program(): string {
    // A name that nothing uses.
    let frame = "$";
    while (this.#made.some(({ facts }) => facts.text.includes(frame))) {
      frame += "$";
    }
    const order = this.#classes();
    const functionText = (made: Made): string => {
      const { index, fn, facts } = made;
      const name = Object.getOwnPropertyDescriptor(fn, "name")?.value;
      let text = facts.form === "member"
        ? `${frame}.m({${facts.text}\n})`
        : `(${this.#withParent(made, frame)}\n)`;
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
          }${frame}.k${made.index}?.forEach((f)=>f())};`;
        }
      }
      return text;
    };
    const scopeText = (node: Node): string => {
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
            `(${frame}.k${index}??=[]).push(()=>{${name}=${frame}.f[${index}]});`;
        }
      }
      if (set !== "") text += `${frame}.s.push(()=>{${set}});`;
      text += functionsText(node.functions);
      return `{${declared}${text}${inner}}`;
    };
    const loose = functionsText(this.#loose);
    return `(${frame})=>{${loose}${this.#top.map(scopeText).join("")}}`;
  }

  /** The text of a function; what a class extends is in the frame. */
  #withParent({ fn, facts: { text, heritage } }: Made, frame: string): string {
    if (!heritage) return text;
    const parent = Object.getPrototypeOf(fn);
    const made = this.#madeOf.get(parent);
    const what = parent === Function.prototype
      ? "null"
      : made
      ? `${frame}.f[${made.index}]`
      : `${frame}.r[${this.#findOf.get(parent)}]`;
    return `${text.slice(0, heritage[0])}${what} ${text.slice(heritage[1])}`;
  }

  /** Classes, each after those that it may need while it is made. */
  #classes(): Made[] {
    const order: Made[] = [];
    const seen = new Set<Made>();
    const visit = (made: Made) => {
      if (seen.has(made)) return;
      seen.add(made);
      const parent = this.#madeOf.get(Object.getPrototypeOf(made.fn));
      if (parent) visit(parent);
      for (const { holds } of made.cells) {
        for (const other of holds) visit(other);
      }
      if (made.facts.isClass) order.push(made);
    };
    for (const made of this.#made) visit(made);
    return order;
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
  try {
    return checker.find(Object.create(proto), "") !== undefined;
  } catch {
    // A class of the caller's that extends `Map` or `Set`.
    return false;
  }
}

function isPrimitive(value: unknown): boolean {
  return value === null ||
    typeof value !== "object" && typeof value !== "function";
}

/** Whether a scope is one of those that there may be many of. */
function isCall({ kind }: Scope): boolean {
  return kind !== "Module" && kind !== "Script";
}

function valueIn({ variables }: Scope, name: string): unknown {
  const found = Object.getOwnPropertyDescriptor(variables, name);
  // What has no value yet has a getter that throws.
  return found && "value" in found ? found.value : undefined;
}

function isSame(node: Node, scope: Scope, script: string): boolean {
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

// ---- What is found by the worker ---------------------------------------------

const importTables = new Map<string, ReadonlyMap<string, Find>>();

/** What a script imports, by the names that it has there. */
function importsOf(id: string): ReadonlyMap<string, Find> {
  let table = importTables.get(id);
  if (!table) {
    const found = new Map<string, Find>();
    const { url, source } = scriptOf(id);
    for (const { local, name, specifier } of readImports(source)) {
      const module = resolve(specifier, url);
      // The main module would run again.
      if (module !== undefined && module !== mainModule()) {
        found.set(local, { module, name });
      }
    }
    importTables.set(id, table = found);
  }
  return table;
}

function mainModule(): string | undefined {
  try {
    return Deno.mainModule;
  } catch {
    return undefined;
  }
}

function resolve(specifier: string, base: string): string | undefined {
  try {
    if (/^\.{0,2}\//.test(specifier)) return new URL(specifier, base).href;
    return URL.canParse(specifier) ? specifier : import.meta.resolve(specifier);
  } catch {
    return undefined;
  }
}

let namespaces: Map<object, Find> | undefined;

/** A built-in object such as `Math`, of which a copy would be empty. */
function namespaceOf(value: object): Find | undefined {
  if (!namespaces) {
    namespaces = new Map([[globalThis, { path: ["globalThis"] }]]);
    for (
      const name
        of ("Math JSON Reflect Atomics Intl Temporal WebAssembly Deno " +
          "console crypto performance navigator").split(" ")
    ) {
      const object = (globalThis as unknown as Record<string, unknown>)[name];
      if (typeof object === "object" && object !== null) {
        namespaces.set(object, { path: [name] });
      }
    }
  }
  return namespaces.get(value);
}

// ---- Containers --------------------------------------------------------------

/** Calls `visit` with what an object holds, and how one gets there. */
function eachIn(
  object: object,
  visit: (value: unknown, key: string) => void,
): void {
  if (ArrayBuffer.isView(object)) return;
  if (Array.isArray(object)) {
    for (let i = 0; i < object.length; i++) {
      if (!isPrimitive(object[i])) visit(object[i], `[${i}]`);
    }
  } else if (object instanceof Map) {
    for (const [key, item] of object) {
      visit(key, `.keys(${shown(key)})`);
      visit(item, `.get(${shown(key)})`);
    }
  } else if (object instanceof Set) {
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
