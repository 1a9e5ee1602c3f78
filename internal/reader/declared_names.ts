/** Names in scopes: which are declared, and which are not. */

interface Scope {
  readonly parent: Scope | undefined;
  /** Whether a `var` stays in it. */
  readonly isFunction: boolean;
  readonly names: Set<string>;
  /** Those of them that can't be assigned to. */
  constants: Set<string> | undefined;
  refs: Ref[];
}

export type DeclarationKind = "var" | "const" | undefined;

/** A name where it is used. */
export interface Ref {
  readonly name: string;
  assigned: boolean;
}

/** Resolves names while a source is read. */
export class Names {
  #scope = scopeIn(undefined, true);
  /** The scopes in which functions stand, by where these begin. */
  readonly #around = new Map<number, Scope>();

  /** The names that were used in this scope, and are not declared further in. */
  get refs(): Ref[] {
    return this.#scope.refs;
  }

  set refs(refs: Ref[]) {
    this.#scope.refs = refs;
  }

  refer(name: string): Ref {
    const ref = { name, assigned: false };
    this.#scope.refs.push(ref);
    return ref;
  }

  /** Marks what was referred to since as assigned to. */
  assignFrom(first: number): void {
    for (const ref of this.#scope.refs.slice(first)) ref.assigned = true;
  }

  /** @param kind What declares it: `var`, `const`, or else. */
  declare(name: string, kind?: DeclarationKind): void {
    let scope = this.#scope;
    while (kind === "var" && !scope.isFunction) scope = scope.parent!;
    scope.names.add(name);
    if (kind === "const") (scope.constants ??= new Set()).add(name);
  }

  /** Whether a name that a function uses can't be assigned to. */
  isConstant(start: number, name: string): boolean {
    const scope = this.scopeOf(start, name) as Scope | undefined;
    return scope?.constants?.has(name) ?? false;
  }

  /** Takes note that a function begins, in this scope. */
  mark(start: number): void {
    this.#around.set(start, this.#scope);
  }

  /** The scope that a name is declared in, which a function uses. */
  scopeOf(start: number, name: string): object | undefined {
    let scope = this.#around.get(start);
    while (scope && !scope.names.has(name)) scope = scope.parent;
    return scope;
  }

  /** Reads what is in a scope of its own; what it leaves open is the parent's. */
  inScope(isFunction: boolean, read: () => void): void {
    const scope = this.#scope = scopeIn(this.#scope, isFunction);
    read();
    const { parent, names, refs } = scope;
    for (const ref of refs) if (!names.has(ref.name)) parent!.refs.push(ref);
    this.#scope = parent!;
  }
}

function scopeIn(parent: Scope | undefined, isFunction: boolean): Scope {
  return {
    parent,
    isFunction,
    names: new Set(),
    constants: undefined,
    refs: [],
  };
}
