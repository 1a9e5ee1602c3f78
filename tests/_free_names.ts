/** The free names of functions, found by a real parser. */

import * as acorn from "npm:acorn@^8";

// deno-lint-ignore no-explicit-any -- nodes of ESTree, of whatever kind
type Node = any;

interface Scope {
  readonly parent: Scope | undefined;
  readonly isFunction: boolean;
  readonly names: Set<string>;
}

/** A function in a text, and what is expected of it. */
export interface Found {
  readonly source: string;
  readonly names: string[];
}

const isFunction = (node: Node) =>
  /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(
    node.type,
  );

function childrenOf(node: Node): Node[] {
  return Object.keys(node).flatMap((key) => node[key])
    .filter((child) => typeof child?.type === "string");
}

/** Calls `visit` for each name that a pattern binds. */
function eachBound(pattern: Node, visit: (name: string) => void): void {
  if (!pattern) return;
  switch (pattern.type) {
    case "Identifier":
      return visit(pattern.name);
    case "ObjectPattern":
      for (const property of pattern.properties) {
        eachBound(property.value ?? property.argument, visit);
      }
      return;
    case "ArrayPattern":
      for (const element of pattern.elements) eachBound(element, visit);
      return;
    case "AssignmentPattern":
      return eachBound(pattern.left, visit);
    case "RestElement":
      return eachBound(pattern.argument, visit);
  }
}

/** Declares what statements of a block declare, and `var`s in what is below. */
function hoist(nodes: readonly Node[], scope: Scope, direct: boolean): void {
  for (const node of nodes) {
    if (!node) continue;
    if (node.type === "VariableDeclaration") {
      if (node.kind === "var" || direct) {
        let target = scope;
        while (node.kind === "var" && !target.isFunction) {
          target = target.parent!;
        }
        for (const { id } of node.declarations) {
          eachBound(id, (name) => target.names.add(name));
        }
      }
    } else if (
      node.type === "FunctionDeclaration" || node.type === "ClassDeclaration"
    ) {
      if (direct && node.id) scope.names.add(node.id.name);
      continue;
    } else if (node.type === "LabeledStatement" && direct) {
      hoist([node.body], scope, true);
      continue;
    }
    if (isFunction(node) || /^Class|^StaticBlock$/.test(node.type)) continue;
    hoist(childrenOf(node), scope, false);
  }
}

/** The free names of a node that was parsed by acorn. */
export function freeNamesOf(node: Node): string[] {
  const free = new Set<string>();
  const inside = (
    parent: Scope | undefined,
    isFunction = false,
  ): Scope => ({ parent, isFunction, names: new Set() });

  function refer(name: string, scope: Scope): void {
    for (let at: Scope | undefined = scope; at; at = at.parent) {
      if (at.names.has(name)) return;
    }
    free.add(name);
  }

  function visitFunction(node: Node, outer: Scope): void {
    const named = inside(outer);
    if (node.type === "FunctionExpression" && node.id) {
      named.names.add(node.id.name);
    }
    const params = inside(named, true);
    if (node.type !== "ArrowFunctionExpression") params.names.add("arguments");
    for (const param of node.params) {
      eachBound(param, (name) => params.names.add(name));
    }
    for (const param of node.params) visit(param, params);
    const body = inside(params, true);
    if (node.body.type === "BlockStatement") {
      hoist(node.body.body, body, true);
      for (const statement of node.body.body) visit(statement, body);
    } else {
      visit(node.body, body);
    }
  }

  function visitBlock(nodes: readonly Node[], scope: Scope): void {
    hoist(nodes, scope, true);
    for (const node of nodes) visit(node, scope);
  }

  function visit(node: Node, scope: Scope): void {
    if (!node) return;
    if (isFunction(node)) return visitFunction(node, scope);
    switch (node.type) {
      case "Identifier":
        return refer(node.name, scope);
      case "MemberExpression":
        visit(node.object, scope);
        if (node.computed) visit(node.property, scope);
        return;
      case "MetaProperty":
        return;
      case "Property":
      case "MethodDefinition":
        if (node.computed) visit(node.key, scope);
        return visit(node.value, scope);
      case "PropertyDefinition": {
        if (node.computed) visit(node.key, scope);
        const field = inside(scope, true);
        field.names.add("arguments");
        return visit(node.value, field);
      }
      case "StaticBlock": {
        const block = inside(scope, true);
        block.names.add("arguments");
        return visitBlock(node.body, block);
      }
      case "ClassDeclaration":
      case "ClassExpression": {
        const own = inside(scope);
        if (node.id) own.names.add(node.id.name);
        visit(node.superClass, own);
        return visit(node.body, own);
      }
      case "BlockStatement":
        return visitBlock(node.body, inside(scope));
      case "ForStatement":
      case "ForInStatement":
      case "ForOfStatement": {
        const head = inside(scope);
        hoist([node.init ?? node.left], head, true);
        for (const child of childrenOf(node)) visit(child, head);
        return;
      }
      case "SwitchStatement": {
        visit(node.discriminant, scope);
        const cases = inside(scope);
        for (const { consequent } of node.cases) {
          hoist(consequent, cases, true);
        }
        for (const { test, consequent } of node.cases) {
          visit(test, cases);
          for (const statement of consequent) visit(statement, cases);
        }
        return;
      }
      case "CatchClause": {
        const own = inside(scope);
        eachBound(node.param, (name) => own.names.add(name));
        visit(node.param, own);
        return visit(node.body, own);
      }
      case "LabeledStatement":
        return visit(node.body, scope);
      case "BreakStatement":
      case "ContinueStatement":
        return;
      default:
        for (const child of childrenOf(node)) visit(child, scope);
    }
  }

  visit(node, inside(undefined, true));
  return [...free].sort();
}

/** All functions, methods and classes of a program, and their free names. */
export function functionsIn(
  code: string,
  sourceType: "module" | "script" = "module",
): Found[] {
  const found: Found[] = [];
  const add = (node: Node, of: Node) => {
    const names = freeNamesOf(of).filter((name) => name !== "arguments");
    found.push({ source: code.slice(node.start, node.end), names });
  };
  const look = (node: Node, parent: Node | undefined): void => {
    const member = parent !== undefined && parent.value === node &&
      (parent.method || parent.kind === "get" || parent.kind === "set" ||
        parent.type === "MethodDefinition");
    if (member) {
      const { start, end } = parent;
      const source = code.slice(start, end).replace(/^static\b\s*/, "");
      found.push({
        source,
        names: freeNamesOf(node).filter((name) => name !== "arguments"),
      });
    } else if (isFunction(node) || /^Class(Decl|Expr)/.test(node.type)) {
      add(
        node,
        // As a value, its own name is its own.
        {
          ...node,
          type: node.type.replace("Declaration", "Expression"),
          superClass: null,
        },
      );
    }
    for (const child of childrenOf(node)) look(child, node);
  };
  look(
    acorn.parse(code, {
      ecmaVersion: "latest",
      sourceType,
      allowHashBang: true,
    }),
    undefined,
  );
  return found;
}
