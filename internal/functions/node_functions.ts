/**
 * The functions of `node:` modules, which are found by module and name: their
 * source is the runtime's own, of no use elsewhere. The other half is in
 * `inside/runtime.ts`, `findBuiltin`.
 */

import { looking, mayLook, scriptUrlOf } from "../platform/inspector.ts";
import { readSource } from "../reader/expressions.ts";

type Holder = Readonly<Record<string, unknown>>;

interface Process {
  getBuiltinModule?(name: string): Holder | undefined;
}

interface NodeModule extends Holder {
  readonly builtinModules: readonly string[];
}

interface Types {
  isProxy(value: unknown): boolean;
}

/** The ways to all functions of `node:` modules, once one was looked for. */
let paths: Map<unknown, readonly string[]> | undefined;

/**
 * The way to a function of a `node:` module: the module, and names.
 *
 * @returns `undefined` where it is of none.
 */
export function nodePath(fn: unknown): readonly string[] | undefined {
  return (paths ??= readModules()).get(fn);
}

/**
 * Whether a function may be one of a `node:` module. To read these takes some time,
 * so functions are let alone that need nothing from around them, and where that
 * may be looked at, such as the program has itself.
 */
export function mayBeOfNode(fn: unknown, source: string): boolean {
  if (source.includes("[native code]")) return true;
  if (isRuntimeDense() && !isDense(source)) return false;
  try {
    const { names } = readSource(source);
    if (names.every((name) => name in globalThis)) return false;
  } catch {
    return false;
  }
  const url = mayLook() ? looking(() => scriptUrlOf(fn)) : undefined;
  return url === undefined || isOfRuntime(url);
}

/** Whether the runtime's own source is so: since Deno 2.9. */
function isRuntimeDense(): boolean {
  return typeof fetch === "function" &&
    isDense(Function.prototype.toString.call(fetch));
}

/** Whether a source was made short, for nobody to read. */
function isDense(source: string): boolean {
  const spaces = source.match(/\s/g)?.length ?? 0;
  return spaces < source.length / 8;
}

/** Whether an address is that of a script of the runtime. */
export function isOfRuntime(url: string): boolean {
  return /^(?:ext|node):/.test(url);
}

function readModules(): Map<unknown, readonly string[]> {
  const found = new Map<unknown, readonly string[]>();
  const { process } = globalThis as unknown as { process?: Process };
  const get = (name: string) => {
    try {
      return process?.getBuiltinModule?.(`node:${name}`);
    } catch {
      // Not every runtime has all that it names.
      return undefined;
    }
  };
  const { builtinModules = [] } = (get("module") ?? {}) as Partial<NodeModule>;
  const { isProxy } = (get("util/types") ?? {}) as unknown as Types;
  const modules: (readonly [string, Holder])[] = [];
  const names = builtinModules.map((name) => name.replace(/^node:/, ""));
  // `path` before `path/posix`, which is the same.
  const depth = (name: string) => name.split("/").length;
  for (const name of names.sort((a, b) => depth(a) - depth(b))) {
    // Names that begin so are no part of what is documented.
    if (/^(?:_|internal\/)/.test(name)) continue;
    const module = get(name);
    if (module) modules.push([`node:${name}`, module]);
  }
  const add = (fn: unknown, path: readonly string[]) => {
    if (typeof fn === "function" && !found.has(fn)) found.set(fn, path);
  };
  // What a module exports comes before what is a part of that.
  for (const [name, module] of modules) {
    add(module, [name]);
    eachIn(module, (key, value) => add(value, [name, key]));
  }
  for (const [name, module] of modules) {
    eachIn(module, (key, value) => {
      // To look into a proxy, such as `process.env`, may need a permission.
      if (isHolder(value) && !isProxy(value)) {
        eachIn(value, (inner, one) => add(one, [name, key, inner]));
      }
    });
  }
  return found;
}

function isHolder(value: unknown): value is Holder {
  return typeof value === "object" && value !== null ||
    typeof value === "function";
}

/** Calls `visit` with what an object has, without running a getter. */
function eachIn(
  holder: Holder,
  visit: (key: string, value: unknown) => void,
): void {
  for (const key of Object.getOwnPropertyNames(holder)) {
    const found = Object.getOwnPropertyDescriptor(holder, key)!;
    if (Object.hasOwn(found, "value")) visit(key, found.value);
  }
}
