/** What the scripts say around a function: what they import, what is declared where. */

import type { Find } from "../call/protocol.ts";
import { type Place, type Script, scriptOf } from "../platform/inspector.ts";
import {
  type Imported,
  type ProgramFacts,
  readProgram,
} from "../reader/expressions.ts";

/** What is known of a script. */
export interface ScriptFacts {
  /** Its address. */
  readonly url: string;
  /** What it imports. */
  readonly imports: readonly Imported[];
  /** Why it is not understood, and may import more. */
  readonly error?: Error;
  /** The scope of a name that a function uses: an object that stands for it. */
  scopeOf(place: Place, name: string): object | undefined;
  /** Whether that name can't be assigned to. */
  isConstant(place: Place, name: string): boolean;
}

const known = new Map<string, ScriptFacts>();

/**
 * Reads a script, once.
 *
 * @param script The script, if it was asked for already.
 */
export function scriptFacts(id: string, script?: Script): ScriptFacts {
  let facts = known.get(id);
  if (!facts) known.set(id, facts = read(script ?? scriptOf(id)));
  return facts;
}

function read({ url, source }: Script): ScriptFacts {
  let program: ProgramFacts;
  try {
    program = readProgram(source);
  } catch (error) {
    // What is not understood shows no scope.
    return {
      url,
      imports: [],
      error: error as Error,
      scopeOf: () => undefined,
      isConstant: () => false,
    };
  }
  const lines = [0];
  for (const { index, 0: end } of source.matchAll(/\r\n|[\n\r\u2028\u2029]/g)) {
    lines.push(index + end.length);
  }
  return {
    url,
    imports: program.imports,
    scopeOf: ({ line, column }, name) =>
      program.scopeOf(lines[line] + column, name),
    isConstant: ({ line, column }, name) =>
      program.isConstant(lines[line] + column, name),
  };
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
