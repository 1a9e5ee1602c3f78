/** What of a class its source does not say: the names of its members, and private state. */

import { nameOfSymbol } from "../base/own_properties.ts";
import { privatesOf } from "../platform/inspector.ts";
import type { SourceFacts } from "../reader/expressions.ts";
import { membersOf } from "./function_facts.ts";
import type { Fn, MadeMember } from "./write_program.ts";

/** Makes the error for what can't be sent. */
type Cannot = (path: string, why: string, advice: string) => Error;

/** Looks at classes, at each once. */
export class ClassParts {
  readonly #cannot: Cannot;
  readonly #privates = new Map<Fn, ReadonlyMap<string, unknown>>();

  constructor(cannot: Cannot) {
    this.#cannot = cannot;
  }

  /** The members that a class makes, each with its name. */
  members(fn: Fn, facts: SourceFacts, path: string): MadeMember[] {
    const members = membersOf(fn, facts);
    for (const { name, key, text } of members) {
      if (
        !name || typeof key === "string" ||
        typeof key === "symbol" && nameOfSymbol(key)
      ) continue;
      throw this.#cannot(
        path,
        key === undefined
          ? `has no more the member that its source begins with ${
            JSON.stringify(text.slice(0, 30))
          }`
          : `has a member named ${String(key)}, which can't be copied`,
        "give it a plain name",
      );
    }
    return members;
  }

  /** Whether a class has itself the private members of around it that it uses. */
  hasPrivates(fn: Fn, { isClass, privates }: SourceFacts): boolean {
    if (!isClass) return false;
    const own = this.privates(fn);
    return privates.every((name) => own.has(name));
  }

  /** The private members that a class itself has, asked for once. */
  privates(fn: Fn): ReadonlyMap<string, unknown> {
    let own = this.#privates.get(fn);
    if (!own) this.#privates.set(fn, own = privatesOf(fn));
    return own;
  }
}
