/** What the scripts say around a function: what they import, what is declared where. */

import { type ProgramFacts, readProgram } from "./free_names.ts";
import type { Find } from "./protocol.ts";
import { type Place, type Script, scriptOf } from "./scopes.ts";

/** What is known of a script. */
export interface ScriptFacts {
  /** What it imports, by the names that it has there. */
  readonly imports: ReadonlyMap<string, Find>;
  /** The scope of a name that a function uses: an object that stands for it. */
  scopeOf(place: Place, name: string): object | undefined;
}

const known = new Map<string, ScriptFacts>();

/** Reads a script, once. */
export function scriptFacts(id: string): ScriptFacts {
  let facts = known.get(id);
  if (!facts) known.set(id, facts = read(scriptOf(id)));
  return facts;
}

function read({ url, source }: Script): ScriptFacts {
  const imports = new Map<string, Find>();
  let program: ProgramFacts;
  try {
    program = readProgram(source);
  } catch {
    // What is not understood imports nothing, and shows no scope.
    return { imports, scopeOf: () => undefined };
  }
  for (const { local, name, specifier } of program.imports) {
    const module = resolve(specifier, url);
    // The main module would run again.
    if (module !== undefined && module !== mainModule()) {
      imports.set(local, { module, name });
    }
  }
  const lines = [0];
  for (const { index, 0: end } of source.matchAll(/\r\n|[\n\r\u2028\u2029]/g)) {
    lines.push(index + end.length);
  }
  return {
    imports,
    scopeOf: ({ line, column }, name) =>
      program.scopeOf(lines[line] + column, name),
  };
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
