/**
 * The caller's half of "how a function travels": says by what a worker will
 * find it. The other half is in `inside/runtime.ts`, `revive`.
 */

import { show } from "../base/checks.ts";
import type { FunctionRef } from "../call/protocol.ts";
import { mayBeOfNode, nodePath } from "./node_functions.ts";

// deno-lint-ignore no-explicit-any -- a caller's function, of any type
type Fn = (...args: any[]) => unknown;

/** The references that `taskModule` gave out. */
const taskReferences = new WeakMap<Fn, FunctionRef>();

/** The modules of these references: what children may have to import. */
export const taskModules: Set<string> = new Set();

/** What was described before: a function is examined once. */
const described = new WeakMap<Fn, FunctionRef>();
/** The same of functions that may be of a `node:` module, and count as others. */
const describedNear = new WeakMap<Fn, FunctionRef>();

/**
 * References by source, so that a literal that is made anew for each call gives
 * one: what is learned of a function's calls stays with its reference.
 */
const bySource = new Map<string, FunctionRef>();
const MOST_SOURCES = 500;
/** Those of functions that were looked for in the `node:` modules. */
const notOfNode = new WeakSet<FunctionRef>();

/** A function's name as a message shows it. */
export function label(fn: FunctionRef): string {
  // That of a bound anonymous function is "bound ".
  const name = fn.name.trim();
  return name ? `"${name}"` : "an anonymous function";
}

/** A message that stands alone. */
export function capitalize(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

/**
 * Says how a worker finds a function.
 *
 * @param isNear Whether what `node:` modules have need not be told from the rest:
 * the function stays here, or more is known of it.
 * @throws {TypeError} when it is no function.
 */
export function describe(
  fn: unknown,
  caller: string,
  isNear = false,
): FunctionRef {
  if (typeof fn !== "function") {
    throw new TypeError(
      `${caller} takes a function first: received ${show(fn)}`,
    );
  }
  const known = described.get(fn as Fn) ?? taskReferences.get(fn as Fn) ??
    (isNear ? describedNear.get(fn as Fn) : undefined);
  if (known) return known;
  const ref = describeNew(fn as Fn, isNear);
  (isNear ? describedNear : described).set(fn as Fn, ref);
  return ref;
}

function describeNew(fn: Fn, isNear: boolean): FunctionRef {
  // A function may have any value as its name.
  const name = typeof fn.name === "string" ? fn.name : "";
  const source = Function.prototype.toString.call(fn);
  const path = builtinPath(fn, name, source);
  if (path) return { by: "name", name: path.join("."), path, source };
  // The same text does other things as strict code.
  const sloppy = isSloppy(fn, source) ? { isSloppy: true } as const : undefined;
  const key = `${sloppy ? "sloppy" : "strict"} ${name} ${source}`;
  let ref = bySource.get(key);
  // All that have no source look alike.
  const isKnown = ref && notOfNode.has(ref) && !isNative(source);
  if (!isNear && !isKnown && mayBeOfNode(fn, source)) {
    const path = nodePath(fn);
    if (path) return { by: "name", name: path.join("."), path, source };
  }
  if (!ref) {
    if (bySource.size >= MOST_SOURCES) bySource.clear();
    bySource.set(key, ref = { by: "source", name, source, ...sloppy });
  }
  if (!isNear) notOfNode.add(ref);
  return ref;
}

const { get: argumentsOf } = Object.getOwnPropertyDescriptor(
  Function.prototype,
  "arguments",
)!;

/**
 * Whether a function is known to be no strict code, as those of CommonJS and
 * `new Function()` may be. The runtime tells the arguments of such a one, and
 * throws for all others: strict functions, and arrows, methods, generators and
 * async functions of whatever code.
 */
export function isSloppy(fn: Fn, source: string): boolean {
  // To throw takes a while, and no other source is of such a function.
  if (!source.startsWith("function")) return false;
  try {
    Reflect.apply(argumentsOf!, fn, []);
    return true;
  } catch {
    return false;
  }
}

/** A function that stands for one that is described already, in another program. */
export function standIn(ref: FunctionRef): Fn {
  const fn = () => {
    throw new TypeError(`${label(ref)} is elsewhere`);
  };
  taskReferences.set(fn, ref);
  return fn;
}

// ---- Built-ins -------------------------------------------------------------

/** Asking for these opens a database, or asks the user for permission. */
const UNTOUCHED = new Set(["localStorage", "sessionStorage", "process"]);

/**
 * The way to a built-in from `globalThis`. Identity is looked at before source:
 * that of `Deno.copyFile` is the runtime's own code, of no use elsewhere.
 */
function builtinPath(
  fn: Fn,
  name: string,
  source: string,
): string[] | undefined {
  // Nearly every built-in has the name that it is found under.
  for (const owner of builtinOwners()) {
    if (name !== "" && valueOf(owner.object, name) === fn) {
      return [...owner.path, name];
    }
  }
  const path = renamed.get(fn);
  if (path) return path;
  // What is loaded when it is first asked for.
  for (const { owners, names } of LATE) {
    if (!names.has(name)) continue;
    for (const owner of owners) {
      const value = (globalThis as Record<string, unknown>)[owner];
      if (
        isObject(value) &&
        Object.getOwnPropertyDescriptor(value, name)?.value === fn
      ) return [owner, name];
    }
  }
  // The rest is native code, all but bound functions: worth a longer look.
  return isNative(source) ? searchBuiltins(fn) : undefined;
}

function isNative(source: string): boolean {
  return source.includes("[native code]");
}

/** Classes and namespaces that are loaded late, and their functions. */
const LATE = [
  {
    owners: ["Response", "ReadableStream", "Buffer"],
    names: new Set(
      ("json error redirect from alloc allocUnsafe concat compare byteLength " +
        "isBuffer isEncoding").split(" "),
    ),
  },
  {
    owners: ["process"],
    names: new Set(
      ("abort chdir cpuUsage cwd emitWarning exit getBuiltinModule getegid " +
        "geteuid getgid getuid hrtime kill memoryUsage nextTick umask uptime")
        .split(" "),
    ),
  },
];

interface Owner {
  readonly object: object;
  readonly path: readonly string[];
}

let owners: Owner[] | undefined;
/** Built-ins whose own name is another than the one that leads to them. */
const renamed = new Map<Fn, string[]>();

/** A global, where the runtime has it, and lets it be looked at. */
function globalOf(name: string): unknown {
  try {
    return (globalThis as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

/** The global object, its namespaces and its classes. */
function builtinOwners(): Owner[] {
  if (owners) return owners;
  owners = [{ object: globalThis, path: [] }];
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = Object.getOwnPropertyDescriptor(globalThis, name)!.value;
    if (isObject(value) && value !== globalThis && !UNTOUCHED.has(name)) {
      owners.push({ object: value, path: [name] });
    }
  }
  // Namespaces that are no plain property in every version of the runtime.
  for (const name of ["console", "crypto", "performance", "navigator"]) {
    const value = globalOf(name);
    if (isObject(value)) owners.push({ object: value, path: [name] });
  }
  const subtle = (globalOf("crypto") as Crypto | undefined)?.subtle;
  if (subtle) owners.push({ object: subtle, path: ["crypto", "subtle"] });
  const deno = globalOf("Deno") as object | undefined;
  for (const name of deno ? Object.getOwnPropertyNames(deno) : []) {
    const value = Object.getOwnPropertyDescriptor(deno, name)!.value;
    if (!isObject(value)) continue;
    owners.push({ object: value, path: ["Deno", name] });
    if (typeof value !== "object") continue;
    for (const [key, fn] of Object.entries(value)) {
      if (typeof fn === "function" && fn.name !== key) {
        renamed.set(fn as Fn, ["Deno", name, key]);
      }
    }
  }
  return owners;
}

/** A property, inherited ones of an instance such as `crypto` included. */
function valueOf(object: object, name: string): unknown {
  if (UNTOUCHED.has(name)) return undefined;
  const isClass = typeof object === "function";
  for (let holder: object | null = object; holder !== null;) {
    const found = Object.getOwnPropertyDescriptor(holder, name);
    if (found) {
      // Deno loads some of its functions when they are first asked for.
      return Object.hasOwn(found, "value") || holder === globalThis ||
          holder === globalOf("Deno")
        ? (object as Record<string, unknown>)[name]
        : undefined;
    }
    // A class inherits from Function.prototype: nothing of its own.
    holder = isClass ? null : Object.getPrototypeOf(holder);
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null ||
    typeof value === "function";
}

/** Looks through all that can be reached without running a getter. */
function searchBuiltins(fn: Fn): string[] | undefined {
  const seen = new Set<object>();
  const todo: { object: object; path: string[] }[] = [
    { object: globalThis, path: [] },
  ];
  for (const { object, path } of todo) {
    if (seen.has(object) || path.length > 4) continue;
    seen.add(object);
    for (const key of Object.getOwnPropertyNames(object)) {
      if (UNTOUCHED.has(key)) continue;
      const value = Object.getOwnPropertyDescriptor(object, key)!.value;
      if (value === fn) return [...path, key];
      if (isObject(value)) todo.push({ object: value, path: [...path, key] });
    }
  }
  return undefined;
}

// ---- Modules ---------------------------------------------------------------

/**
 * The functions that a module exports, as references that an executor's
 * `submit` and `map` take.
 *
 * @typeParam M The module's type, `typeof import("./tasks.ts")`.
 */
export type TaskModule<M> = {
  readonly [
    // deno-lint-ignore no-explicit-any -- a function of whatever type
    K in keyof M as M[K] extends (...args: any[]) => unknown ? K : never
  ]: M[K];
};

/**
 * Refers to the functions of a module without loading it: a worker imports it
 * when it runs the first call.
 *
 * What it gives can be submitted, not called. In a thread the import needs
 * `--allow-read` for a local file, as any dynamic import does. A module that
 * can't be imported, or that does not export the function, fails the call.
 *
 * @typeParam M The module's type, `typeof import("./tasks.ts")`.
 * @param url The module's URL, from `import.meta.resolve("./tasks.ts")`.
 * @returns An object with a reference for each function of the module.
 * @throws {TypeError} when `url` is no absolute URL.
 *
 * @example A function of a module that only workers load
 * ```ts
 * import { taskModule, ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * // import.meta.resolve("./tasks.ts") in a program of files
 * const url = "data:text/javascript,export const half = (n) => n / 2";
 * const tasks = taskModule<{ half(n: number): number }>(url);
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
 * assert.equal(await executor.submit(tasks.half, 84).result(), 42);
 * ```
 */
export function taskModule<M>(url: string | URL): TaskModule<M> {
  const module = moduleUrl(url, "taskModule");
  const references = new Map<string, Fn>();
  taskModules.add(module);
  return new Proxy(Object.create(null), {
    get(_target, name) {
      // `then` would make an `await` of this object call it, and wait for ever.
      if (typeof name === "symbol" || name === "then") return undefined;
      let reference = references.get(name);
      if (!reference) {
        reference = () => {
          throw new TypeError(
            `"${name}" of ${module} is a reference that can only be submitted to an executor: import the module to call it here`,
          );
        };
        Object.defineProperty(reference, "name", { value: name });
        taskReferences.set(reference, { by: "export", name, module });
        references.set(name, reference);
      }
      return reference;
    },
  });
}

/**
 * Checks the URL of a module.
 *
 * @throws {TypeError} when it is not absolute.
 */
export function moduleUrl(url: string | URL, caller: string): string {
  const text = String(url);
  if (
    !(typeof url === "string" || url instanceof URL) || !URL.canParse(text)
  ) {
    throw new TypeError(
      `${caller} takes the absolute URL of a module, as import.meta.url or import.meta.resolve("./tasks.ts"): received ${
        show(url)
      }`,
    );
  }
  return text;
}
