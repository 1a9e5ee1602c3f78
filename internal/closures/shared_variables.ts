/** Which functions that go share the variables that they assign to. */

import { isPrimitive } from "../base/own_properties.ts";
import { isCall, type Surroundings, valueIn } from "../platform/inspector.ts";
import { scriptFacts } from "./scripts.ts";
import {
  type Cell,
  isSame,
  type Made,
  type ScopeNode,
} from "./write_program.ts";

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

/**
 * The scopes around a function, as nodes: those that are known are the same.
 *
 * @param isExact Whether scopes are told apart by where they stand.
 */
export function nodeOf(
  { script, place, scopes }: Surroundings,
  top: ScopeNode[],
  isExact: boolean,
): ScopeNode | undefined {
  let node: ScopeNode | undefined;
  const at = `${place.line}:${place.column}`;
  scopes.toReversed().forEach((scope, i) => {
    const siblings = node ? node.children : top;
    const [name] = Object.keys(scope.variables);
    const scopeInSource = isExact && isCall(scope) &&
        name !== undefined
      ? scriptFacts(script).scopeOf(place, name)
      : undefined;
    let found = siblings.find((other) =>
      isSame(other, scope, script) && other.scopeInSource === scopeInSource
    );
    if (!found) {
      found = {
        parent: node,
        scope,
        script,
        children: [],
        cells: new Map(),
        functions: [],
        places: new Set(),
        scopeInSource,
        isUnsure: false,
      };
      siblings.push(found);
    }
    node = found;
    if (i < scopes.length - 1) return;
    // Two functions of one place are as a rule of two calls of what is around
    // them; that these are one can be told by what only that call has made.
    if (
      node.places.has(at) && isCall(scope) &&
      Object.keys(scope.variables).every((name) =>
        isPrimitive(valueIn(scope, name))
      )
    ) node.isUnsure = true;
    node.places.add(at);
  });
  return node;
}
