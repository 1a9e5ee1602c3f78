/**
 * The names that a function uses and does not declare: what it may need from
 * around it.
 *
 * A parser of JavaScript that keeps no tree: it follows the grammar, declares
 * names in scopes, and resolves the others when a scope ends. It takes for
 * granted that the source is correct, since the runtime has read it before; so
 * it knows no precedence, and accepts more than the language does.
 */

import { type DeclarationKind, Names, type Ref } from "./declared_names.ts";
import { type Callee, Effects, UNKNOWN_CALLEE } from "./effects.ts";
import { type Imported, Statements } from "./statements.ts";
import { isReserved, REGEX, TEMPLATE, Tokens } from "./tokens.ts";

export type { Imported };

/** What a function is not able to take along, and what a message calls it. */
export type OuterUse =
  | "this"
  | "super"
  | "arguments"
  | "new.target"
  | "import.meta"
  | "a #private name";

/** A member of a class, as the class makes it. */
export interface ClassMember {
  /** Its name; `undefined` where that is computed. */
  readonly key: string | undefined;
  readonly isStatic: boolean;
  readonly is: "method" | "get" | "set" | "field";
  /** The source of the function that it is; of a field, of the value it begins with. */
  readonly text: string;
  /** Where its name stands in the class's text, of a method's that is computed. */
  readonly name?: readonly [start: number, end: number];
}

/** What a class runs when it is made: a static field's first value, a static block. */
export interface StaticPart {
  /** The field; `undefined`: a block, or a field whose name is computed. */
  readonly key: string | undefined;
  /** Where it stands in the text, the `=` included. */
  readonly range: readonly [start: number, end: number];
  /** The source of a function, if that is what it begins with. */
  readonly text: string | undefined;
}

/** What is known of a function by its source. */
export interface SourceFacts {
  /** How its source is made a value: as it is, or as a member of an object. */
  readonly form: "expression" | "member";
  readonly isClass: boolean;
  /** The name that it gives itself: what it is called if it has no other. */
  readonly ownName: string;
  /** The source in that form: a member has a name that needs nothing. */
  readonly text: string;
  /** The names that it uses and does not declare, sorted. */
  readonly names: readonly string[];
  /** Those of them that only what a class runs when it is made uses, names of methods included. */
  readonly atFirst: ReadonlySet<string>;
  /** Those of them that it assigns to. */
  readonly assigned: ReadonlySet<string>;
  /** What else it uses of what is around it. */
  readonly outer: ReadonlySet<OuterUse>;
  /** Those that only the computed names of a class's fields use. */
  readonly computed: readonly string[];
  /** Where the text says what a class extends. */
  readonly heritage: readonly [start: number, end: number] | undefined;
  /** Whether it is a class whose objects have private members. */
  readonly hasPrivate: boolean;
  /** Whether it changes no object, as long as nothing of what it calls by name does. */
  readonly changesNothing: boolean;
  /** What it calls by name. */
  readonly called: ReadonlySet<string>;
  /** How many arguments it says that it takes: its `length`. */
  readonly length: number;
  /** Whether it may use the name that it gives itself. */
  readonly usesOwnName: boolean;
  /** The members of a class that its source makes, private ones aside. */
  readonly members: readonly ClassMember[];
  /** What a class runs when it is made, in order. */
  readonly statics: readonly StaticPart[];
  /** The private names that it uses and does not declare. */
  readonly privates: readonly string[];
}

/**
 * Reads the source of a function, a method or a class.
 *
 * @throws {SyntaxError} where it does not understand the source.
 */
export function readSource(source: string): SourceFacts {
  return new Reader(source).read();
}

/** What is known of a program by its source. */
export interface ProgramFacts {
  /** What it imports, but for what needs attributes, such as JSON. */
  readonly imports: readonly Imported[];
  /**
   * The scope that a name is declared in which a function uses: the same object
   * for the same scope.
   *
   * @param start Where the function begins, as V8 counts: at its parameters, an
   * arrow at its `async`, a class without a constructor at its first word.
   */
  scopeOf(start: number, name: string): object | undefined;
  /** Whether that name can't be assigned to. */
  isConstant(start: number, name: string): boolean;
}

/** Reads a whole program. */
export function readProgram(source: string): ProgramFacts {
  return new Reader(source).program();
}

const words = (text: string) => new Set(text.split(" "));
const ASSIGN = words("= += -= *= /= %= **= <<= >>= >>>= &= |= ^= &&= ||= ??=");
const BINARY = words(
  "|| && ?? | ^ & == != === !== < > <= >= << >> >>> + - * / % ** in instanceof",
);
const UNARY = words("! ~ + - ++ -- typeof void delete");

class Reader {
  readonly #tokens: Tokens;
  readonly #statements: Statements;
  readonly #names = new Names();
  readonly #outer = new Set<OuterUse>();
  /** Whether `this` is a function's in the source; `super`, a member's. */
  #ownThis = false;
  #ownSuper = false;
  #inAsync = false;
  #inGenerator = false;
  /** Private names that were used and not yet declared. */
  #privates: string[] = [];
  /** Where parentheses are known to be an arrow's, or not. */
  readonly #arrows = new Map<number, boolean>();
  #hasPrivate = false;
  #ownName = "";
  /** Whether the next class is what is read, and not in it. */
  #isTop = false;
  #computed: Ref[] = [];
  #heritage: [number, number] | undefined;
  readonly #effects: Effects;
  readonly #members: ClassMember[] = [];
  readonly #statics: StaticPart[] = [];
  readonly #usedAtFirst: Ref[] = [];
  /** Of the function that is read, once its parameters were. */
  #length: number | undefined;
  #hasConstructor = false;

  constructor(source: string) {
    this.#tokens = new Tokens(source);
    this.#effects = new Effects(source);
    this.#statements = new Statements(this.#tokens, this.#names, {
      assign: (noIn) => this.#assign(noIn),
      expression: (noIn) => this.#expression(noIn),
      binding: (kind) => this.#binding(kind),
      function: (isDeclaration) => this.#function(isDeclaration),
      class: (isDeclaration) => this.#class(isDeclaration),
      object: () => this.#object(),
    });
  }

  read(): SourceFacts {
    let { form, text }: { form: SourceFacts["form"]; text: string } = {
      form: "expression",
      text: this.#tokens.source,
    };
    // A method may be called "class", too.
    const isClass = this.#tokens.is("class") &&
      this.#tokens.after().value !== "(";
    this.#isTop = isClass;
    if (isClass) this.#ownName = this.#class(false);
    else if (this.#tokens.is("function") || this.#tokens.isAsyncFunction()) {
      this.#ownName = this.#function(false);
    } else if (!this.#arrow(false)) {
      form = "member";
      text = this.#topMember();
    }
    if (this.#tokens.token.type !== "end") this.#tokens.fail("the end");
    const refs = new Map<string, boolean>();
    for (const { name, assigned } of this.#names.refs) {
      refs.set(name, assigned || (refs.get(name) ?? false));
    }
    const atFirst = new Set<string>();
    for (const { name } of this.#usedAtFirst) {
      if (refs.has(name) || name === this.#ownName) continue;
      refs.set(name, false);
      atFirst.add(name);
    }
    if (refs.delete("arguments")) this.#outer.add("arguments");
    if (this.#privates.length > 0) this.#outer.add("a #private name");
    const names = [...refs.keys()].sort();
    return {
      form,
      isClass,
      ownName: this.#ownName,
      text,
      names,
      atFirst,
      assigned: new Set(names.filter((name) => refs.get(name))),
      outer: this.#outer,
      computed: this.#computed.map(({ name }) => name),
      heritage: isClass ? this.#heritage : undefined,
      hasPrivate: isClass && this.#hasPrivate,
      changesNothing: !this.#effects.mayChange,
      called: this.#effects.called,
      length: isClass && !this.#hasConstructor ? 0 : this.#length ?? 0,
      usesOwnName: usesTwice(text, this.#ownName),
      members: this.#members,
      statics: this.#statics,
      privates: [...new Set(this.#privates)],
    };
  }

  program(): ProgramFacts {
    this.#inAsync = true;
    return {
      imports: this.#statements.imports(),
      scopeOf: (start, name) => this.#names.scopeOf(start, name),
      isConstant: (start, name) => this.#names.isConstant(start, name),
    };
  }

  /** A member without what is around it: its name, if computed, is another. */
  #topMember(): string {
    while (/^(?:async|get|set)$/.test(this.#tokens.token.value)) {
      const { end } = this.#tokens.token;
      const after = this.#tokens.after();
      if (after.value === "(" && after.type === "punct") break;
      this.#tokens.to(end);
    }
    this.#tokens.eat("*");
    const { start } = this.#tokens.token;
    let end = this.#tokens.token.end;
    let name = this.#tokens.token.value;
    if (this.#tokens.is("[")) {
      // What works the name out was run where the member was made.
      this.#passOver(() => {
        this.#tokens.next();
        this.#assign();
      });
      end = this.#tokens.token.end;
      name = "computed";
    } else if (
      this.#tokens.token.type !== "name" &&
      this.#tokens.token.type !== "private"
    ) {
      name = this.#tokens.source.slice(start, end);
    }
    const head = this.#tokens.source.slice(0, start);
    this.#tokens.to(end);
    this.#method(/^(?:async\b)/.test(head), head.includes("*"), false);
    return `${head}${name.replace("#", "")}${this.#tokens.source.slice(end)}`;
  }

  // ---- Names -----------------------------------------------------------------

  /** Reads what is not run again: nothing is to be found for it. */
  #passOver(read: () => void): void {
    const { length } = this.#names.refs;
    const privates = [...this.#privates];
    const outer = [...this.#outer];
    read();
    this.#names.refs.length = length;
    this.#privates = privates;
    this.#outer.clear();
    for (const use of outer) this.#outer.add(use);
  }

  /** Reads with other answers to what `this`, `await` and the like mean. */
  #inFunction(
    { isArrow, isAsync, isGenerator, isMember }: {
      isArrow?: boolean;
      isAsync?: boolean;
      isGenerator?: boolean;
      isMember?: boolean;
    },
    read: () => void,
  ): void {
    const before = [
      this.#ownThis,
      this.#ownSuper,
      this.#inAsync,
      this.#inGenerator,
    ];
    if (!isArrow) {
      this.#ownThis = true;
      this.#ownSuper = isMember ?? false;
    }
    this.#inAsync = isAsync ?? false;
    this.#inGenerator = isGenerator ?? false;
    this.#names.inScope(true, () => {
      if (!isArrow) this.#names.declare("arguments");
      read();
    });
    [this.#ownThis, this.#ownSuper, this.#inAsync, this.#inGenerator] = before;
  }

  // ---- Functions and classes -------------------------------------------------

  /** `function`, `async` and `*` included; gives the name. */
  #function(isDeclaration: boolean): string {
    const isAsync = this.#tokens.eat("async");
    this.#tokens.expect("function");
    const isGenerator = this.#tokens.eat("*");
    const name = this.#tokens.isName() ? this.#tokens.token.value : undefined;
    if (name !== undefined) this.#tokens.next();
    if (name !== undefined && isDeclaration) this.#names.declare(name);
    this.#names.inScope(false, () => {
      if (name !== undefined) this.#names.declare(name);
      this.#names.mark(this.#tokens.token.start);
      this.#inFunction({ isAsync, isGenerator }, () => this.#rest());
    });
    return name ?? "";
  }

  #method(isAsync: boolean, isGenerator: boolean, isMember = true): void {
    this.#names.mark(this.#tokens.token.start);
    this.#inFunction({ isAsync, isGenerator, isMember }, () => this.#rest());
  }

  /** Parameters in parentheses, and a body. */
  #rest(): void {
    this.#tokens.expect("(");
    this.#parameters();
    this.#body();
  }

  #parameters(): void {
    const isFirst = this.#length === undefined;
    if (isFirst) this.#length = 0;
    let count = 0;
    let isOver = false;
    while (!this.#tokens.eat(")")) {
      if (this.#tokens.eat("...")) isOver = true;
      this.#binding();
      if (this.#tokens.eat("=")) {
        isOver = true;
        this.#assign();
      }
      if (!isOver) count++;
      this.#tokens.eat(",");
    }
    if (isFirst) this.#length = count;
  }

  /** In a scope of its own: what it declares, defaults of parameters don't see. */
  #body(): void {
    this.#names.inScope(true, () => this.#statements.block());
  }

  /** An arrow, if there is one. */
  #arrow(noIn: boolean): boolean {
    const { value, type, start } = this.#tokens.token;
    const first = this.#tokens.token;
    if (type !== "name" && value !== "(") return false;
    let isAsync = false;
    if (type === "name") {
      if (isReserved(value)) return false;
      const after = this.#tokens.after();
      if (after.value === "=>") {
        this.#arrowFrom(start, false, noIn);
        return true;
      }
      if (value !== "async" || after.newLine) return false;
      if (after.type !== "name" && after.value !== "(") return false;
      isAsync = true;
      this.#tokens.next();
      if (after.type === "name") {
        if (!isReserved(after.value) && this.#tokens.after().value === "=>") {
          this.#arrowFrom(start, true, noIn);
          return true;
        }
        this.#tokens.token = first;
        return false;
      }
    }
    const known = this.#arrows.get(start) ?? this.#isArrowHere();
    this.#arrows.set(start, known);
    if (known) this.#arrowFrom(start, isAsync, noIn);
    else this.#tokens.token = first;
    return known;
  }

  /** Looks what comes after the parentheses. */
  #isArrowHere(): boolean {
    const token = this.#tokens.token;
    this.#passOver(() => this.#parentheses());
    const isArrow = this.#tokens.is("=>");
    this.#tokens.token = token;
    return isArrow;
  }

  #arrowFrom(start: number, isAsync: boolean, noIn: boolean): void {
    this.#names.mark(start);
    this.#inFunction({ isArrow: true, isAsync }, () => {
      if (this.#tokens.eat("(")) this.#parameters();
      else {
        this.#length ??= 1;
        this.#binding();
      }
      this.#tokens.expect("=>");
      if (this.#tokens.is("{")) this.#body();
      else this.#assign(noIn);
    });
  }

  #class(isDeclaration: boolean): string {
    const { start } = this.#tokens.token;
    const isTop = this.#isTop;
    this.#isTop = false;
    this.#tokens.expect("class");
    const name = this.#tokens.isName() ? this.#tokens.token.value : undefined;
    if (name !== undefined) this.#tokens.next();
    if (name !== undefined && isDeclaration) this.#names.declare(name);
    const outside = this.#privates;
    this.#privates = [];
    const declared = new Set<string>();
    this.#names.inScope(false, () => {
      if (name !== undefined) this.#names.declare(name);
      this.#names.mark(start);
      if (this.#tokens.eat("extends")) this.#extends(isTop);
      this.#tokens.expect("{");
      while (!this.#tokens.eat("}")) {
        if (!this.#tokens.eat(";")) this.#classMember(declared, isTop);
      }
    });
    const left = this.#privates.filter((name) => !declared.has(name));
    this.#privates = [...outside, ...left];
    return name ?? "";
  }

  #extends(isTop: boolean): void {
    const { start } = this.#tokens.token;
    const read = () => {
      while (this.#isNew()) this.#tokens.next();
      this.#operand();
    };
    if (!isTop) return read();
    // Of the class that is read, the parent is known.
    this.#passOver(read);
    this.#heritage = [start, this.#tokens.token.start];
  }

  #classMember(declared: Set<string>, isTop: boolean): void {
    const { start: first } = this.#tokens.token;
    const isStatic = this.#tokens.is("static") && this.#isModifier();
    if (isStatic) this.#tokens.next();
    const { start } = this.#tokens.token;
    if (isStatic && this.#tokens.is("{")) {
      const block = () =>
        this.#inFunction({ isMember: true }, () => this.#statements.block());
      if (!isTop) return block();
      this.#atFirst(block);
      this.#static(undefined, first, undefined);
      return;
    }
    let is: ClassMember["is"] = "method";
    let isAsync = false;
    while (
      ["async", "get", "set", "accessor"].some((word) =>
        this.#tokens.is(word)
      ) &&
      this.#isModifier()
    ) {
      isAsync ||= this.#tokens.is("async");
      if (this.#tokens.is("get")) is = "get";
      if (this.#tokens.is("set")) is = "set";
      this.#tokens.next();
    }
    const isGenerator = this.#tokens.eat("*");
    const { type, value } = this.#tokens.token;
    const isPrivate = type === "private";
    if (isPrivate) {
      declared.add(value);
      if (!isStatic && isTop) this.#hasPrivate = true;
    }
    const key = value === "[" && type === "punct"
      ? undefined
      : type === "string" || type === "number"
      ? keyOf(value)
      : value;
    const { length } = this.#names.refs;
    const { start: nameStart } = this.#tokens.token;
    this.#key();
    const name = [nameStart, this.#tokens.read] as const;
    if (isTop && key === undefined) {
      const refs = this.#names.refs.slice(length);
      if (this.#tokens.is("(")) {
        // The name that a method has got is known.
        this.#usedAtFirst.push(...refs);
        this.#names.refs.length = length;
      } else this.#computed.push(...refs);
    }
    const add = (is: ClassMember["is"], from: number) => {
      if (!isTop || isPrivate) return;
      const text = this.#tokens.source.slice(from, this.#tokens.read);
      const isNamed = key !== undefined || is === "field";
      this.#members.push({
        key,
        isStatic,
        is,
        text,
        ...(!isNamed && { name }),
      });
    };
    if (this.#tokens.is("(")) {
      const isConstructor = isTop && !isStatic && key === "constructor" &&
        is === "method";
      if (isConstructor) {
        this.#length = undefined;
        this.#hasConstructor = true;
      }
      this.#method(isAsync, isGenerator);
      if (!isConstructor) add(is, start);
      return;
    }
    const { start: equals, end } = this.#tokens.token;
    if (this.#tokens.eat("=")) {
      const assign = () =>
        this.#inFunction({ isMember: true }, () => this.#assign());
      const from = this.#tokens.token.start;
      if (isTop && isStatic) {
        const isFunction = this.#isFunction();
        if (isFunction) assign();
        else this.#atFirst(assign);
        this.#static(
          key,
          equals,
          isFunction
            ? this.#tokens.source.slice(from, this.#tokens.read)
            : undefined,
        );
      } else assign();
      add("field", from);
    } else {
      if (isTop && isStatic && isPrivate) this.#static(key, equals, undefined);
      add("field", end);
    }
    this.#tokens.eat(";");
  }

  /** Reads what the class runs once, when it is made. */
  #atFirst(read: () => void): void {
    this.#passOver(() => {
      const { length } = this.#names.refs;
      read();
      this.#usedAtFirst.push(...this.#names.refs.slice(length));
    });
  }

  /** Takes note of what the class runs, which was read just now. */
  #static(
    key: string | undefined,
    start: number,
    text: string | undefined,
  ): void {
    const end = Math.max(start, this.#tokens.read);
    this.#statics.push({ key, range: [start, end], text });
  }

  /** Whether a function or class comes next. */
  #isFunction(): boolean {
    const { type, value } = this.#tokens.token;
    const token = this.#tokens.token;
    if (
      value === "function" || value === "class" ||
      this.#tokens.isAsyncFunction()
    ) return true;
    if (this.#tokens.is("async") && !this.#tokens.after().newLine) {
      this.#tokens.next();
    }
    const is = this.#tokens.token.type === "name" &&
        this.#tokens.after().value === "=>" ||
      this.#tokens.is("(") && this.#isArrowHere();
    this.#tokens.token = token;
    return is && (type === "name" || value === "(");
  }

  /** Whether a word stands before a name, and is none itself. */
  #isModifier(): boolean {
    const word = this.#tokens.token.value;
    const { type, value, newLine } = this.#tokens.after();
    if (newLine && word !== "static" && word !== "get" && word !== "set") {
      return false;
    }
    return type !== "punct" && type !== "end" || value === "[" ||
      value === "{" && word === "static" || value === "*" && word !== "get";
  }

  /** The name of a member; a computed one is an expression. */
  #key(): void {
    if (this.#tokens.eat("[")) {
      this.#expression();
      this.#tokens.expect("]");
    } else {
      this.#tokens.next();
    }
  }

  // ---- Patterns --------------------------------------------------------------

  /** Declares the names of a pattern. */
  #binding(kind?: DeclarationKind): void {
    if (this.#tokens.eat("[")) {
      while (!this.#tokens.eat("]")) {
        if (this.#tokens.eat(",")) continue;
        this.#tokens.eat("...");
        this.#bindingWithDefault(kind);
      }
    } else if (this.#tokens.eat("{")) {
      while (!this.#tokens.eat("}")) {
        if (this.#tokens.eat("...")) this.#binding(kind);
        else {
          const { type, value } = this.#tokens.token;
          const isShort = type === "name" && this.#tokens.after().value !== ":";
          this.#key();
          if (isShort) {
            this.#names.declare(value, kind);
            if (this.#tokens.eat("=")) this.#assign();
          } else {
            this.#tokens.expect(":");
            this.#bindingWithDefault(kind);
          }
        }
        this.#tokens.eat(",");
      }
    } else {
      if (this.#tokens.token.type !== "name") this.#tokens.fail("a name");
      this.#names.declare(this.#tokens.token.value, kind);
      this.#tokens.next();
    }
  }

  #bindingWithDefault(kind?: DeclarationKind): void {
    this.#binding(kind);
    if (this.#tokens.eat("=")) this.#assign();
  }

  // ---- Expressions -----------------------------------------------------------

  #expression(noIn = false): void {
    do this.#assign(noIn); while (this.#tokens.eat(","));
  }

  #assign(noIn = false): void {
    if (this.#arrow(noIn)) return;
    if (this.#inGenerator && this.#tokens.is("yield")) {
      this.#tokens.next();
      if (this.#tokens.token.newLine || this.#isEnd()) return;
      this.#tokens.eat("*");
      return this.#assign(noIn);
    }
    while (true) {
      const first = this.#names.refs.length;
      let changes = false;
      while (
        UNARY.has(this.#tokens.token.value) || this.#isNew() ||
        this.#inAsync && this.#tokens.is("await")
      ) {
        changes = this.#tokens.is("++") || this.#tokens.is("--");
        if (this.#tokens.is("delete")) this.#effects.change();
        this.#tokens.next();
      }
      const isName = this.#tokens.isName();
      const isPlain = this.#operand();
      if (
        isPlain && (this.#tokens.is("++") || this.#tokens.is("--")) &&
        !this.#tokens.token.newLine
      ) {
        changes = true;
        this.#tokens.next();
      }
      if (changes && isPlain) this.#names.assignFrom(first);
      if (changes && !(isPlain && isName)) this.#effects.change();
      if (
        this.#tokens.token.type === "punct" &&
        ASSIGN.has(this.#tokens.token.value)
      ) {
        if (isPlain) this.#names.assignFrom(first);
        if (!(isPlain && isName)) this.#effects.change();
        this.#tokens.next();
        return this.#assign(noIn);
      }
      if (this.#tokens.eat("?")) {
        this.#assign();
        this.#tokens.expect(":");
        return this.#assign(noIn);
      }
      const { type, value } = this.#tokens.token;
      if (type !== "punct" && type !== "name" || !BINARY.has(value)) return;
      if (noIn && value === "in") return;
      this.#tokens.next();
    }
  }

  /** Whether `new` stands before what it makes, and is not in `new.target`. */
  #isNew(): boolean {
    return this.#tokens.is("new") && this.#tokens.after().value !== ".";
  }

  /** Whether an expression can't begin here. */
  #isEnd(): boolean {
    const { type, value } = this.#tokens.token;
    return type === "end" || type === "punct" && /^[)\]},;:]$/.test(value) ||
      this.#tokens.is("in");
  }

  /**
   * An operand and what follows on it. Whether it is a name or a pattern, to
   * which itself something may be assigned.
   */
  #operand(): boolean {
    const { start, value: first } = this.#tokens.token;
    let callee: Callee = this.#tokens.isName()
      ? { is: "name", name: first }
      : UNKNOWN_CALLEE;
    let isPlain = this.#primary();
    while (true) {
      const { type, value, newLine } = this.#tokens.token;
      if (type !== "punct") break;
      if (value === "." || value === "?.") {
        this.#tokens.next();
        const { value: name } = this.#tokens.token;
        if (this.#tokens.token.type === "name") {
          this.#effects.member(name);
          callee = { is: "member", name };
        } else {
          callee = UNKNOWN_CALLEE;
        }
        if (this.#tokens.token.type === "private") {
          this.#privates.push(this.#tokens.token.value);
        }
        if (
          this.#tokens.token.type === "name" ||
          this.#tokens.token.type === "private"
        ) {
          this.#tokens.next();
        }
      } else if (value === "[") {
        this.#tokens.next();
        this.#expression();
        this.#tokens.expect("]");
        callee = UNKNOWN_CALLEE;
      } else if (value === "(") {
        const { source, token } = this.#tokens;
        this.#effects.call(callee, source, token.start);
        this.#effects.callEnds(callee, this.#parentheses());
        callee = UNKNOWN_CALLEE;
      } else if (value === "`") {
        this.#effects.change();
        this.#template();
      } else {
        if ((value === "++" || value === "--") && !newLine && !isPlain) {
          this.#effects.change();
          this.#tokens.next();
        }
        break;
      }
      isPlain = false;
    }
    if (this.#tokens.token.start === start) this.#tokens.fail("an expression");
    return isPlain;
  }

  /** Items in parentheses; gives how many there are, one spread out counted as two. */
  #parentheses(): number {
    let count = 0;
    this.#tokens.expect("(");
    while (!this.#tokens.eat(")")) {
      count += this.#tokens.eat("...") ? 2 : 1;
      this.#assign();
      if (!this.#tokens.is(")")) this.#tokens.expect(",");
    }
    return count;
  }

  #primary(): boolean {
    const { type, value, start } = this.#tokens.token;
    if (type === "private") this.#privates.push(value);
    if (type === "private" || type === "number" || type === "string") {
      this.#tokens.next();
      return false;
    }
    if (type === "punct") return this.#punctuated(value, start);
    if (type === "end") this.#tokens.fail("an expression");
    if (value === "function" || this.#tokens.isAsyncFunction()) {
      this.#function(false);
      return false;
    }
    if (value === "class") {
      this.#class(false);
      return false;
    }
    this.#tokens.next();
    switch (value) {
      case "this":
        if (!this.#ownThis) this.#outer.add("this");
        return false;
      case "super":
        if (!this.#ownSuper) this.#outer.add("super");
        return false;
      case "new":
        this.#tokens.expect(".");
        this.#tokens.next();
        if (!this.#ownThis) this.#outer.add("new.target");
        return false;
      case "import":
        if (this.#tokens.is(".")) {
          this.#tokens.next();
          if (this.#tokens.is("meta")) this.#outer.add("import.meta");
          this.#tokens.next();
        }
        return false;
      case "null":
      case "true":
      case "false":
        return false;
    }
    if (isReserved(value)) this.#tokens.fail("an expression");
    this.#names.refer(value);
    return true;
  }

  #punctuated(value: string, start: number): boolean {
    switch (value) {
      case "(":
        this.#parentheses();
        // In parentheses, a name is still one.
        return true;
      case "[":
        this.#tokens.next();
        while (!this.#tokens.eat("]")) {
          if (this.#tokens.eat(",")) continue;
          this.#tokens.eat("...");
          this.#assign();
        }
        return true;
      case "{":
        this.#object();
        return true;
      case "`":
        this.#template();
        return false;
      case "/":
      case "/=": {
        const regex = this.#tokens.match(REGEX, start);
        if (regex === undefined) this.#tokens.fail("a regular expression");
        this.#tokens.to(start + regex.length);
        return false;
      }
    }
    this.#tokens.fail("an expression");
  }

  #template(): void {
    let at = this.#tokens.token.end;
    while (true) {
      const text = this.#tokens.match(TEMPLATE, at);
      if (text === undefined) this.#tokens.fail("the end of a template");
      at += text.length;
      if (text.endsWith("`")) return this.#tokens.to(at);
      this.#tokens.to(at);
      this.#expression();
      if (!this.#tokens.is("}")) this.#tokens.fail("}");
      at = this.#tokens.token.end;
    }
  }

  #object(): void {
    this.#tokens.expect("{");
    while (!this.#tokens.eat("}")) {
      if (this.#tokens.eat("...")) this.#assign();
      else this.#property();
      this.#tokens.eat(",");
    }
  }

  #property(): void {
    let isAsync = false;
    let isAccessor = false;
    while (
      ["async", "get", "set"].some((word) => this.#tokens.is(word)) &&
      this.#isModifier()
    ) {
      isAsync ||= this.#tokens.is("async");
      isAccessor = true;
      this.#tokens.next();
    }
    const isGenerator = this.#tokens.eat("*");
    const { type, value } = this.#tokens.token;
    this.#key();
    if (this.#tokens.is("(")) return this.#method(isAsync, isGenerator);
    if (this.#tokens.eat(":")) return this.#assign();
    if (type !== "name" || isAccessor) this.#tokens.fail(":");
    const ref = this.#names.refer(value);
    if (this.#tokens.eat("=")) {
      ref.assigned = true;
      this.#assign();
    }
  }
}

/** What a member is called whose name is written as a text, or as a number. */
function keyOf(text: string): string | undefined {
  if (!/^["']/.test(text)) {
    return text.endsWith("n") || text.includes("_") ? undefined : `${+text}`;
  }
  return text.includes("\\") ? undefined : text.slice(1, -1);
}

/** Whether a name stands in a text more than once. */
function usesTwice(text: string, name: string): boolean {
  if (name === "") return false;
  const first = text.indexOf(name);
  return text.indexOf(name, first + name.length) >= 0;
}
