/** The statements of JavaScript, and the imports of its modules. */

import type { DeclarationKind, Names } from "./declared_names.ts";
import { isReserved, type Tokens } from "./tokens.ts";

/** What a module imports under a name of its own. */
export interface Imported {
  readonly local: string;
  /** The name of the export; "*" for all. */
  readonly name: string;
  readonly specifier: string;
  /** Whether the module is not to run before something of it is used. */
  readonly isDeferred?: true;
}

/** What is in statements. */
export interface Grammar {
  assign(noIn?: boolean): void;
  expression(noIn?: boolean): void;
  /** A pattern that declares names. */
  binding(kind?: DeclarationKind): void;
  function(isDeclaration: boolean): void;
  class(isDeclaration: boolean): void;
  object(): void;
}

/** Reads statements. */
export class Statements {
  readonly #tokens: Tokens;
  readonly #names: Names;
  readonly #grammar: Grammar;

  constructor(tokens: Tokens, names: Names, grammar: Grammar) {
    this.#tokens = tokens;
    this.#names = names;
    this.#grammar = grammar;
  }

  /** The imports of a module. */
  imports(): Imported[] {
    const found: Imported[] = [];
    if (this.#tokens.source.startsWith("#!")) {
      this.#tokens.to(this.#tokens.source.indexOf("\n"));
    }
    while (this.#tokens.token.type !== "end") {
      const { value } = this.#tokens.after();
      if (this.#tokens.is("import") && value !== "(" && value !== ".") {
        found.push(...this.#import());
      } else if (this.#tokens.eat("export")) this.#export();
      else this.#statement();
    }
    return found;
  }

  #import(): Imported[] {
    const names: { local: string; name: string }[] = [];
    this.#tokens.next();
    const after = this.#tokens.after();
    const isDeferred = this.#tokens.is("defer") && after.value === "*";
    if (isDeferred) this.#tokens.next();
    // `import source from "…"` has the default export, by that name.
    const isSource = this.#tokens.is("source") && after.type === "name" &&
      (after.value !== "from" || this.#tokens.scan(after.end).value === "from");
    if (isSource) this.#tokens.next();
    if (this.#tokens.isName()) {
      names.push({ local: this.#word(), name: "default" });
      this.#tokens.eat(",");
    }
    if (this.#tokens.eat("*")) {
      this.#tokens.expect("as");
      names.push({ local: this.#word(), name: "*" });
    } else if (this.#tokens.eat("{")) {
      while (!this.#tokens.eat("}")) {
        const name = this.#word();
        names.push({
          local: this.#tokens.eat("as") ? this.#word() : name,
          name,
        });
        this.#tokens.eat(",");
      }
    }
    if (names.length > 0) this.#tokens.expect("from");
    const { specifier, hasAttributes } = this.#from();
    // These are no exports of a module: they are copied.
    if (hasAttributes || isSource) return [];
    return names.map((one) => ({
      ...one,
      specifier,
      ...(isDeferred && { isDeferred }),
    }));
  }

  #from(): { specifier: string; hasAttributes: boolean } {
    const specifier = this.#word();
    const hasAttributes = this.#tokens.eat("with");
    if (hasAttributes) this.#grammar.object();
    this.#tokens.eat(";");
    return { specifier, hasAttributes };
  }

  /** A name, or what a string says. */
  #word(): string {
    const { type, value } = this.#tokens.token;
    this.#tokens.next();
    return type === "string"
      ? value.slice(1, -1).replace(/\\(.)/g, "$1")
      : value;
  }

  #export(): void {
    if (this.#tokens.eat("default")) {
      if (this.#tokens.is("class")) this.#grammar.class(true);
      else if (this.#tokens.is("function") || this.#tokens.isAsyncFunction()) {
        this.#grammar.function(true);
      } else this.#expressionStatement();
    } else if (this.#tokens.eat("*")) {
      if (this.#tokens.eat("as")) this.#word();
      this.#tokens.expect("from");
      this.#from();
    } else if (this.#tokens.eat("{")) {
      while (!this.#tokens.eat("}")) this.#word();
      if (this.#tokens.eat("from")) this.#from();
      else this.#tokens.eat(";");
    } else {
      this.#statement();
    }
  }

  block(): void {
    this.#tokens.expect("{");
    while (!this.#tokens.eat("}")) this.#statement();
  }

  #statement(): void {
    const { type, value } = this.#tokens.token;
    if (type === "punct") {
      if (value === "{") return this.#names.inScope(false, () => this.block());
      if (this.#tokens.eat(";")) return;
    }
    if (type !== "name") return this.#expressionStatement();
    if (this.#declaration(false)) {
      this.#tokens.eat(";");
      return;
    }
    switch (value) {
      case "function":
        this.#grammar.function(true);
        return;
      case "class":
        this.#grammar.class(true);
        return;
      case "async":
        if (!this.#tokens.isAsyncFunction()) break;
        this.#grammar.function(true);
        return;
      case "if":
        this.#head();
        this.#statement();
        if (this.#tokens.eat("else")) this.#statement();
        return;
      case "while":
      case "with":
        this.#head();
        return this.#statement();
      case "do":
        this.#tokens.next();
        this.#statement();
        this.#head();
        this.#tokens.eat(";");
        return;
      case "for":
        return this.#names.inScope(false, () => this.#for());
      case "switch":
        return this.#switch();
      case "try":
        return this.#try();
      case "return":
      case "throw":
        this.#tokens.next();
        if (
          !this.#tokens.token.newLine && !this.#tokens.is(";") &&
          !this.#tokens.is("}")
        ) {
          this.#grammar.expression();
        }
        this.#tokens.eat(";");
        return;
      case "break":
      case "continue":
        this.#tokens.next();
        if (this.#tokens.isName() && !this.#tokens.token.newLine) {
          this.#tokens.next();
        }
        this.#tokens.eat(";");
        return;
      case "debugger":
        this.#tokens.next();
        this.#tokens.eat(";");
        return;
    }
    if (this.#tokens.isName() && this.#tokens.after().value === ":") {
      this.#tokens.next();
      this.#tokens.next();
      return this.#statement();
    }
    this.#expressionStatement();
  }

  #expressionStatement(): void {
    this.#grammar.expression();
    this.#tokens.eat(";");
  }

  /** A word, and an expression in parentheses. */
  #head(): void {
    this.#tokens.next();
    this.#tokens.expect("(");
    this.#grammar.expression();
    this.#tokens.expect(")");
  }

  /** `var`, `let`, `const`, `using` and `await using`, if it is one. */
  #declaration(noIn: boolean): boolean {
    const { value } = this.#tokens.token;
    let after = this.#tokens.after();
    switch (value) {
      case "var":
      case "const":
        break;
      case "let":
        if (
          after.type === "name"
            ? after.value === "in" || after.value === "instanceof"
            : after.value !== "[" && after.value !== "{"
        ) return false;
        break;
      case "await":
        if (after.value !== "using" || after.newLine) return false;
        after = this.#tokens.scan(after.end);
        if (after.type !== "name" || after.newLine) return false;
        this.#tokens.next();
        break;
      case "using":
        if (
          after.type !== "name" || after.newLine || isReserved(after.value) ||
          noIn && after.value === "of"
        ) return false;
        break;
      default:
        return false;
    }
    this.#tokens.next();
    do {
      this.#grammar.binding(
        value === "var"
          ? value
          : value === "const" || value === "using"
          ? "const"
          : undefined,
      );
      if (this.#tokens.eat("=")) this.#grammar.assign(noIn);
    } while (this.#tokens.eat(","));
    return true;
  }

  #for(): void {
    this.#tokens.next();
    this.#tokens.eat("await");
    this.#tokens.expect("(");
    const first = this.#names.refs.length;
    if (!this.#tokens.is(";") && !this.#declaration(true)) {
      this.#grammar.expression(true);
      if (this.#tokens.is("of") || this.#tokens.is("in")) {
        this.#names.assignFrom(first);
      }
    }
    if (this.#tokens.eat("of")) this.#grammar.assign();
    else if (this.#tokens.eat("in")) this.#grammar.expression();
    else {
      this.#tokens.expect(";");
      if (!this.#tokens.is(";")) this.#grammar.expression();
      this.#tokens.expect(";");
      if (!this.#tokens.is(")")) this.#grammar.expression();
    }
    this.#tokens.expect(")");
    this.#statement();
  }

  #switch(): void {
    this.#head();
    this.#names.inScope(false, () => {
      this.#tokens.expect("{");
      while (!this.#tokens.eat("}")) {
        if (this.#tokens.eat("case")) this.#grammar.expression();
        else if (!this.#tokens.eat("default")) {
          this.#statement();
          continue;
        }
        this.#tokens.expect(":");
      }
    });
  }

  #try(): void {
    this.#tokens.next();
    this.#names.inScope(false, () => this.block());
    if (this.#tokens.eat("catch")) {
      this.#names.inScope(false, () => {
        if (this.#tokens.eat("(")) {
          this.#grammar.binding();
          this.#tokens.expect(")");
        }
        this.block();
      });
    }
    if (this.#tokens.eat("finally")) {
      this.#names.inScope(false, () => this.block());
    }
  }
}
