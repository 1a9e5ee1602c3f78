/** What a function captured that a worker finds by itself, and where. */

import { readImports } from "./free_names.ts";
import type { Find } from "./protocol.ts";
import { scriptOf } from "./scopes.ts";

const importTables = new Map<string, ReadonlyMap<string, Find>>();

/** What a script imports, by the names that it has there. */
export function importsOf(id: string): ReadonlyMap<string, Find> {
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
export function namespaceOf(value: object): Find | undefined {
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
