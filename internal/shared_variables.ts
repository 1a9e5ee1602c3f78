/** Which functions that go share the variables that they assign to. */

import type { Cell, Made } from "./closure_program.ts";
import { isCall } from "./scopes.ts";
import { scriptFacts } from "./scripts.ts";

/**
 * Whether it is sure who shares what. That the scopes of functions have the same
 * values may be chance: they have to stand in the same one, too.
 *
 * @param isExact Whether scopes are told apart by where they stand.
 * @throws {DOMException} `DataCloneError` where it can't be told.
 */
export function isSure(
  all: readonly Made[],
  isExact: boolean,
  cannot: (path: string, why: string, advice: string) => Error,
): boolean {
  const users = new Map<Cell, Made[]>();
  for (const made of all) {
    for (const cell of made.cells) {
      if (!cell.isAssigned || !isCall(cell.node.scope)) continue;
      const others = users.get(cell);
      if (others) others.push(made);
      else users.set(cell, [made]);
    }
  }
  for (const [{ name, node }, functions] of users) {
    if (functions.length < 2) continue;
    const scopes = new Set(
      functions.map(({ around }) =>
        scriptFacts(around!.script).scopeOf(around!.place, name)
      ),
    );
    if (scopes.size > 1 && !isExact) return false;
    if (scopes.size === 1 && !scopes.has(undefined) && !node.isUnsure) {
      continue;
    }
    throw cannot(
      name,
      "is assigned to by functions of which can't be told whether they share it",
      "put it into an object",
    );
  }
  return true;
}
