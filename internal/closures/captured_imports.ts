/**
 * What of the captured values was imported: a worker imports it, too, from the
 * very module that the script got it from.
 */

import type { Find } from "../call/protocol.ts";
import { mainModule, workerMarker } from "../call/realm.ts";
import { isOfRuntime, nodePath } from "../functions/node_functions.ts";
import {
  type Scope,
  scriptsOf,
  scriptUrls,
  urlOf,
  valueIn,
} from "../platform/inspector.ts";
import type { Imported } from "../reader/expressions.ts";
import {
  commonModules,
  exportOf,
  originOf,
  originOfCommon,
  originOfNamespace,
} from "./resolve_imports.ts";
import { scriptFacts } from "./scripts.ts";

/** An import of a script. */
interface Import {
  /** The address of the script. */
  readonly script: string;
  readonly imported: Imported;
}

/** Makes the error for what can't be sent. */
type Cannot = (path: string, why: string, advice: string) => Error;

/** What scripts import, by value. */
export class CapturedImports {
  readonly #cannot: Cannot;
  readonly #imports = new Map<unknown, Import[]>();
  readonly #read = new Set<Scope>();
  /** What scripts that are no modules have by `require()`, once that was asked for. */
  #required: Map<unknown, string> | undefined;
  /** A script of which nobody knows what it imports. */
  #obscure: { readonly url: string; readonly error: Error } | undefined;

  constructor(cannot: Cannot) {
    this.#cannot = cannot;
  }

  /** Takes note of what a script imports, if the scope is that of a module. */
  read(script: string, scope: Scope): void {
    if (scope.kind !== "Module" || this.#read.has(scope)) return;
    this.#read.add(scope);
    const { url, imports, error } = scriptFacts(script);
    if (error) this.#obscure ??= { url, error };
    for (const imported of imports) {
      if (!Object.hasOwn(scope.variables, imported.local)) continue;
      const value = valueIn(scope, imported.local);
      const one = { script: url, imported };
      const others = this.#imports.get(value);
      if (others) others.push(one);
      else this.#imports.set(value, [one]);
    }
  }

  /** Whether a value may be one that was imported. */
  mayHave(value: object): boolean {
    return this.#imports.has(value) || foundHere(value) !== undefined ||
      (this.#read.size === 0 &&
        (this.#required ??= commonModules()).has(value));
  }

  /**
   * Says where a worker finds a value; `undefined` if it was not imported.
   *
   * @throws {DOMException} `DataCloneError` where a worker may import another module.
   */
  find(value: object, path: string): Find | undefined {
    const found = foundHere(value);
    if (found) return found;
    const imports = this.#imports.get(value);
    if (this.#read.size === 0) {
      const path = (this.#required ??= commonModules()).get(value);
      const origin = path === undefined ? undefined : originOfCommon(path);
      if (origin && origin.url !== mainModule()) return origin;
    }
    if (!imports) {
      if (typeof value === "function" && this.#obscure) {
        const { url, error } = this.#obscure;
        throw this.#cannot(
          path,
          `may be imported by ${url}, which is not understood (${error.message})`,
          "import it in the function",
        );
      }
      return isNamespace(value) ? this.#findNamespace(value, path) : undefined;
    }
    for (const { script, imported } of imports) {
      const origin = originOf(script, imported, value, scriptUrls);
      if (!origin) continue;
      // The main module would run again.
      if (origin.url === mainModule()) return undefined;
      return { ...origin, name: imported.name };
    }
    const { specifier } = imports[0].imported;
    throw this.#cannot(
      path,
      `is imported from "${specifier}", and whether a worker would get the same module can't be told`,
      "import it in the function, or name the function's module with the module option or taskModule()",
    );
  }

  #findNamespace(value: object, path: string): Find {
    const origin = originOfNamespace(value, scriptUrls);
    if (origin) return { ...origin, name: "*" };
    throw this.#cannot(
      path,
      "is all that a module exports, and which module that is can't be told",
      "import it in the function",
    );
  }
}

/**
 * Finds a function that its script exports: what it uses stays where it is.
 *
 * @param script The number of its script.
 */
export function findExport(fn: unknown, script: string): Find | undefined {
  const { url } = scriptFacts(script);
  if (url === "" || url === mainModule()) return undefined;
  const path = commonModules().get(fn);
  return path === undefined ? exportOf(url, fn) : originOfCommon(path);
}

const searched = new WeakMap<object, Find | undefined>();

/**
 * Finds a function of the runtime's own modules, or one that has no source.
 *
 * @param script The number of its script; `undefined` if it has none.
 */
export function findOfRuntime(fn: object, script?: string): Find | undefined {
  if (script !== undefined && !isOfRuntime(urlOf(script))) return undefined;
  const path = nodePath(fn);
  return path ? { path } : script === undefined ? searchImports(fn) : undefined;
}

/** Finds a function that has no source by the imports of all scripts. */
function searchImports(fn: object): Find | undefined {
  if (!searched.has(fn)) searched.set(fn, search(fn));
  return searched.get(fn);
}

function search(fn: object): Find | undefined {
  const found = foundHere(fn);
  if (found) return found;
  // What packages import, they export, and the program imports it from them.
  const scripts = scriptsOf((url) =>
    /^(?:file|https?|data|blob):/.test(url) &&
    !/\/node_modules\/|\/npm\//.test(url)
  );
  for (const [id, script] of scripts) {
    const { url, imports } = scriptFacts(id, script);
    for (const imported of imports) {
      const origin = originOf(url, imported, fn, () => [], true);
      if (origin && origin.url !== mainModule()) {
        return { ...origin, name: imported.name };
      }
    }
  }
  return undefined;
}

/** What a function that was made anew in this worker has of a module. */
function foundHere(value: object): Find | undefined {
  return workerMarker?.found?.get(value);
}

/** Whether an object is all that a module exports. */
function isNamespace(object: object): boolean {
  return Object.getPrototypeOf(object) === null &&
    Object.getOwnPropertyDescriptor(object, Symbol.toStringTag)?.value ===
      "Module";
}
