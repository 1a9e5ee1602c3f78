/**
 * The names that a function uses and does not declare: what it may need from
 * around it.
 *
 * A parser of JavaScript that keeps no tree: it follows the grammar, declares
 * names in scopes, and resolves the others when a scope ends. It takes for
 * granted that the source is correct, since the runtime has read it before; so
 * it knows no precedence, and accepts more than the language does.
 */

/** What a function is not able to take along, and what a message calls it. */
export type OuterUse =
  | "this"
  | "super"
  | "arguments"
  | "new.target"
  | "import.meta"
  | "a #private name";

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
  /** Those of them that it assigns to. */
  readonly assigned: ReadonlySet<string>;
  /** What else it uses of what is around it. */
  readonly outer: ReadonlySet<OuterUse>;
  /** Where the text says what a class extends. */
  readonly heritage: readonly [start: number, end: number] | undefined;
  /** Whether it is a class whose objects have private members. */
  readonly hasPrivate: boolean;
}

/**
 * Reads the source of a function, a method or a class.
 *
 * @throws {SyntaxError} where it does not understand the source.
 */
export function readSource(source: string): SourceFacts {
  return new Reader(source).read();
}

/** What a module imports under a name of its own. */
export interface Imported {
  readonly local: string;
  /** The name of the export; "*" for all. */
  readonly name: string;
  readonly specifier: string;
}

/** Reads what a module imports, but for what needs attributes, such as JSON. */
export function readImports(source: string): Imported[] {
  return new Reader(source).imports();
}

interface Token {
  readonly type: "name" | "private" | "number" | "string" | "punct" | "end";
  readonly value: string;
  readonly start: number;
  readonly end: number;
  /** Whether a line ends before it. */
  readonly newLine: boolean;
}

interface Scope {
  readonly parent: Scope | undefined;
  /** Whether a `var` stays in it. */
  readonly isFunction: boolean;
  readonly names: Set<string>;
  refs: Ref[];
}

interface Ref {
  readonly name: string;
  assigned: boolean;
}

const ESCAPE = "\\\\u(?:[\\da-fA-F]{4}|\\{[\\da-fA-F]+\\})";
const SPACE = /(?:[\s\ufeff]|\/\/[^\n\r\u2028\u2029]*|\/\*[^]*?\*\/)*/y;
const NAME = new RegExp(
  `#?(?:[\\p{ID_Start}$_]|${ESCAPE})(?:[\\p{ID_Continue}$\\u200c\\u200d]|${ESCAPE})*`,
  "uy",
);
const NUMBER =
  /0[xXbBoO][\da-fA-F_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?[\d_]+)?n?/y;
const STRING = /"(?:[^"\\]|\\[^])*"|'(?:[^'\\]|\\[^])*'/y;
const PUNCT =
  />>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?!\d)|\+\+|--|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|<<|>>|\*\*|[^]/y;
const REGEX =
  /\/(?:[^\\/[\n\r]|\\[^\n\r]|\[(?:[^\\\]\n\r]|\\[^\n\r])*\])+\/[\p{ID_Continue}$]*/uy;
/** The text of a template up to what is put in, or its end. */
const TEMPLATE = /(?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;

const words = (text: string) => new Set(text.split(" "));
const ASSIGN = words("= += -= *= /= %= **= <<= >>= >>>= &= |= ^= &&= ||= ??=");
const BINARY = words(
  "|| && ?? | ^ & == != === !== < > <= >= << >> >>> + - * / % ** in instanceof",
);
const UNARY = words("! ~ + - ++ -- typeof void delete new");
/** Words of the language that are never names. */
const RESERVED = words(
  "break case catch class const continue debugger default delete do else " +
    "enum export extends false finally for function if import in instanceof " +
    "new null return super switch this throw true try typeof var void while with",
);

class Reader {
  readonly #source: string;
  #token!: Token;
  #scope: Scope = scopeIn(undefined, true);
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
  #heritage: [number, number] | undefined;

  constructor(source: string) {
    this.#source = source;
    this.#to(0);
  }

  read(): SourceFacts {
    let { form, text }: { form: SourceFacts["form"]; text: string } = {
      form: "expression",
      text: this.#source,
    };
    const isClass = this.#is("class");
    if (isClass) this.#ownName = this.#class(false);
    else if (this.#is("function") || this.#isAsyncFunction()) {
      this.#ownName = this.#function(false);
    } else if (!this.#arrow(false)) {
      form = "member";
      text = this.#topMember();
    }
    const refs = new Map<string, boolean>();
    for (const { name, assigned } of this.#scope.refs) {
      refs.set(name, assigned || (refs.get(name) ?? false));
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
      assigned: new Set(names.filter((name) => refs.get(name))),
      outer: this.#outer,
      heritage: isClass ? this.#heritage : undefined,
      hasPrivate: isClass && this.#hasPrivate,
    };
  }

  imports(): Imported[] {
    const found: Imported[] = [];
    this.#inAsync = true;
    if (this.#source.startsWith("#!")) this.#to(this.#source.indexOf("\n"));
    while (this.#token.type !== "end") {
      const { value } = this.#after();
      if (this.#is("import") && value !== "(" && value !== ".") {
        found.push(...this.#import());
      } else if (this.#eat("export")) this.#export();
      else this.#statement();
    }
    return found;
  }

  #import(): Imported[] {
    const names: { local: string; name: string }[] = [];
    this.#next();
    if (this.#isName()) {
      names.push({ local: this.#word(), name: "default" });
      this.#eat(",");
    }
    if (this.#eat("*")) {
      this.#expect("as");
      names.push({ local: this.#word(), name: "*" });
    } else if (this.#eat("{")) {
      while (!this.#eat("}")) {
        const name = this.#word();
        names.push({ local: this.#eat("as") ? this.#word() : name, name });
        this.#eat(",");
      }
    }
    if (names.length > 0) this.#expect("from");
    const { specifier, hasAttributes } = this.#from();
    return hasAttributes ? [] : names.map((one) => ({ ...one, specifier }));
  }

  #from(): { specifier: string; hasAttributes: boolean } {
    const specifier = this.#word();
    const hasAttributes = this.#eat("with");
    if (hasAttributes) this.#object();
    this.#eat(";");
    return { specifier, hasAttributes };
  }

  /** A name, or what a string says. */
  #word(): string {
    const { type, value } = this.#token;
    this.#next();
    return type === "string"
      ? value.slice(1, -1).replace(/\\(.)/g, "$1")
      : value;
  }

  #export(): void {
    if (this.#eat("default")) {
      if (this.#is("class")) this.#class(true);
      else if (this.#is("function") || this.#isAsyncFunction()) {
        this.#function(true);
      } else this.#expressionStatement();
    } else if (this.#eat("*")) {
      if (this.#eat("as")) this.#word();
      this.#expect("from");
      this.#from();
    } else if (this.#eat("{")) {
      while (!this.#eat("}")) this.#word();
      if (this.#eat("from")) this.#from();
      else this.#eat(";");
    } else {
      this.#statement();
    }
  }

  /** A member without what is around it: its name, if computed, is another. */
  #topMember(): string {
    while (/^(?:async|get|set)$/.test(this.#token.value)) {
      const { end } = this.#token;
      const after = this.#after();
      if (after.value === "(" && after.type === "punct") break;
      this.#to(end);
    }
    this.#eat("*");
    const { start } = this.#token;
    let end = this.#token.end;
    let name = this.#token.value;
    if (this.#is("[")) {
      // What works the name out was run where the member was made.
      const { refs } = this.#scope;
      this.#scope.refs = [];
      const before = new Set(this.#outer);
      this.#next();
      this.#assign();
      end = this.#token.end;
      this.#scope.refs = refs;
      this.#outer.clear();
      for (const use of before) this.#outer.add(use);
      this.#privates = [];
      name = "computed";
    } else if (this.#token.type !== "name" && this.#token.type !== "private") {
      name = this.#source.slice(start, end);
    }
    const head = this.#source.slice(0, start);
    this.#to(end);
    this.#method(/^(?:async\b)/.test(head), head.includes("*"), false);
    return `${head}${name.replace("#", "")}${this.#source.slice(end)}`;
  }

  // ---- Tokens ----------------------------------------------------------------

  #match(pattern: RegExp, at: number): string | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.#source)?.[0];
  }

  #scan(at: number): Token {
    const space = this.#match(SPACE, at)!;
    const start = at + space.length;
    const newLine = /[\n\r\u2028\u2029]/.test(space);
    const token = (type: Token["type"], text: string, value = text): Token => ({
      type,
      value,
      start,
      end: start + text.length,
      newLine,
    });
    if (start >= this.#source.length) return token("end", "");
    const name = this.#match(NAME, start);
    if (name !== undefined) {
      const value = name.includes("\\")
        ? name.replace(
          /\\u\{?([\da-fA-F]+)\}?/g,
          (_, code) => String.fromCodePoint(parseInt(code, 16)),
        )
        : name;
      return token(name[0] === "#" ? "private" : "name", name, value);
    }
    const number = this.#match(NUMBER, start);
    if (number) return token("number", number);
    const string = this.#match(STRING, start);
    if (string !== undefined) return token("string", string);
    return token("punct", this.#match(PUNCT, start)!);
  }

  #to(position: number): void {
    this.#token = this.#scan(position);
  }

  #next(): void {
    this.#to(this.#token.end);
  }

  #after(): Token {
    return this.#scan(this.#token.end);
  }

  /** Whether a word or sign comes next. */
  #is(value: string): boolean {
    const { type } = this.#token;
    return this.#token.value === value &&
      (type === "punct" || type === "name");
  }

  #eat(value: string): boolean {
    if (!this.#is(value)) return false;
    this.#next();
    return true;
  }

  #expect(value: string): void {
    if (!this.#eat(value)) this.#fail(value);
  }

  #fail(expected: string): never {
    const { start, value } = this.#token;
    throw new SyntaxError(
      `${expected} expected at ${start}: found ${value || "the end"}`,
    );
  }

  #isName(): boolean {
    return this.#token.type === "name" && !RESERVED.has(this.#token.value);
  }

  #isAsyncFunction(): boolean {
    if (!this.#is("async")) return false;
    const { value, newLine } = this.#after();
    return value === "function" && !newLine;
  }

  // ---- Names -----------------------------------------------------------------

  #refer(name: string): Ref {
    const ref = { name, assigned: false };
    this.#scope.refs.push(ref);
    return ref;
  }

  #declare(name: string, isVar = false): void {
    let scope = this.#scope;
    while (isVar && !scope.isFunction) scope = scope.parent!;
    scope.names.add(name);
  }

  #inScope(isFunction: boolean, read: () => void): void {
    const scope = this.#scope = scopeIn(this.#scope, isFunction);
    read();
    const { parent, names, refs } = scope;
    for (const ref of refs) if (!names.has(ref.name)) parent!.refs.push(ref);
    this.#scope = parent!;
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
    this.#inScope(true, () => {
      if (!isArrow) this.#declare("arguments");
      read();
    });
    [this.#ownThis, this.#ownSuper, this.#inAsync, this.#inGenerator] = before;
  }

  // ---- Functions and classes -------------------------------------------------

  /** `function`, `async` and `*` included; gives the name. */
  #function(isDeclaration: boolean): string {
    const isAsync = this.#eat("async");
    this.#expect("function");
    const isGenerator = this.#eat("*");
    const name = this.#isName() ? this.#token.value : undefined;
    if (name !== undefined) this.#next();
    if (name !== undefined && isDeclaration) this.#declare(name);
    this.#inScope(false, () => {
      if (name !== undefined) this.#declare(name);
      this.#inFunction({ isAsync, isGenerator }, () => this.#rest());
    });
    return name ?? "";
  }

  #method(isAsync: boolean, isGenerator: boolean, isMember = true): void {
    this.#inFunction({ isAsync, isGenerator, isMember }, () => this.#rest());
  }

  /** Parameters in parentheses, and a body. */
  #rest(): void {
    this.#expect("(");
    this.#parameters();
    this.#body();
  }

  #parameters(): void {
    while (!this.#eat(")")) {
      this.#eat("...");
      this.#bindingWithDefault(false);
      this.#eat(",");
    }
  }

  /** In a scope of its own: what it declares, defaults of parameters don't see. */
  #body(): void {
    this.#inScope(true, () => this.#block());
  }

  #block(): void {
    this.#expect("{");
    while (!this.#eat("}")) this.#statement();
  }

  /** An arrow, if there is one. */
  #arrow(noIn: boolean): boolean {
    const { value, type, start } = this.#token;
    const first = this.#token;
    if (type !== "name" && value !== "(") return false;
    let isAsync = false;
    if (type === "name") {
      if (RESERVED.has(value)) return false;
      const after = this.#after();
      if (after.value === "=>") {
        this.#arrowFrom(false, noIn);
        return true;
      }
      if (value !== "async" || after.newLine) return false;
      if (after.type !== "name" && after.value !== "(") return false;
      isAsync = true;
      this.#next();
      if (after.type === "name") {
        if (!RESERVED.has(after.value) && this.#after().value === "=>") {
          this.#arrowFrom(true, noIn);
          return true;
        }
        this.#token = first;
        return false;
      }
    }
    const known = this.#arrows.get(start) ?? this.#isArrowHere();
    this.#arrows.set(start, known);
    if (known) this.#arrowFrom(isAsync, noIn);
    else this.#token = first;
    return known;
  }

  /** Looks what comes after the parentheses. */
  #isArrowHere(): boolean {
    const token = this.#token;
    const { length } = this.#scope.refs;
    const privates = [...this.#privates];
    this.#parentheses();
    const isArrow = this.#is("=>");
    this.#token = token;
    this.#scope.refs.length = length;
    this.#privates = privates;
    return isArrow;
  }

  #arrowFrom(isAsync: boolean, noIn: boolean): void {
    this.#inFunction({ isArrow: true, isAsync }, () => {
      if (this.#eat("(")) this.#parameters();
      else this.#binding(false);
      this.#expect("=>");
      if (this.#is("{")) this.#body();
      else this.#assign(noIn);
    });
  }

  #class(isDeclaration: boolean): string {
    this.#expect("class");
    const name = this.#isName() ? this.#token.value : undefined;
    if (name !== undefined) this.#next();
    if (name !== undefined && isDeclaration) this.#declare(name);
    const outside = this.#privates;
    this.#privates = [];
    const declared = new Set<string>();
    this.#inScope(false, () => {
      if (name !== undefined) this.#declare(name);
      if (this.#eat("extends")) this.#extends();
      this.#expect("{");
      while (!this.#eat("}")) {
        if (!this.#eat(";")) this.#classMember(declared);
      }
    });
    const left = this.#privates.filter((name) => !declared.has(name));
    this.#privates = [...outside, ...left];
    return name ?? "";
  }

  #extends(): void {
    const { start } = this.#token;
    const { length } = this.#scope.refs;
    this.#operand();
    // Of the class that is read, the parent is known: nothing is to be found.
    if (this.#heritage || this.#ownThis) return;
    this.#scope.refs.length = length;
    this.#heritage = [start, this.#token.start];
  }

  #classMember(declared: Set<string>): void {
    const isStatic = this.#is("static") && this.#isModifier();
    if (isStatic) this.#next();
    if (isStatic && this.#is("{")) {
      this.#inFunction({ isMember: true }, () => this.#block());
      return;
    }
    let isAsync = false;
    while (
      ["async", "get", "set", "accessor"].some((word) => this.#is(word)) &&
      this.#isModifier()
    ) {
      isAsync ||= this.#is("async");
      this.#next();
    }
    const isGenerator = this.#eat("*");
    if (this.#token.type === "private") {
      declared.add(this.#token.value);
      if (!isStatic && !this.#ownThis) this.#hasPrivate = true;
    }
    this.#key();
    if (this.#is("(")) return this.#method(isAsync, isGenerator);
    if (this.#eat("=")) {
      this.#inFunction({ isMember: true }, () => this.#assign());
    }
    this.#eat(";");
  }

  /** Whether a word stands before a name, and is none itself. */
  #isModifier(): boolean {
    const word = this.#token.value;
    const { type, value, newLine } = this.#after();
    if (newLine && word !== "static" && word !== "get" && word !== "set") {
      return false;
    }
    return type !== "punct" && type !== "end" || value === "[" ||
      value === "{" && word === "static" || value === "*" && word !== "get";
  }

  /** The name of a member; a computed one is an expression. */
  #key(): void {
    if (this.#eat("[")) {
      this.#expression();
      this.#expect("]");
    } else {
      this.#next();
    }
  }

  // ---- Patterns --------------------------------------------------------------

  /** Declares the names of a pattern. */
  #binding(isVar: boolean): void {
    if (this.#eat("[")) {
      while (!this.#eat("]")) {
        if (this.#eat(",")) continue;
        this.#eat("...");
        this.#bindingWithDefault(isVar);
      }
    } else if (this.#eat("{")) {
      while (!this.#eat("}")) {
        if (this.#eat("...")) this.#binding(isVar);
        else {
          const { type, value } = this.#token;
          const isShort = type === "name" && this.#after().value !== ":";
          this.#key();
          if (isShort) {
            this.#declare(value, isVar);
            if (this.#eat("=")) this.#assign();
          } else {
            this.#expect(":");
            this.#bindingWithDefault(isVar);
          }
        }
        this.#eat(",");
      }
    } else {
      if (this.#token.type !== "name") this.#fail("a name");
      this.#declare(this.#token.value, isVar);
      this.#next();
    }
  }

  #bindingWithDefault(isVar: boolean): void {
    this.#binding(isVar);
    if (this.#eat("=")) this.#assign();
  }

  // ---- Expressions -----------------------------------------------------------

  #expression(noIn = false): void {
    do this.#assign(noIn); while (this.#eat(","));
  }

  /** Marks what was read since as assigned to. */
  #assignFrom(first: number): void {
    for (const ref of this.#scope.refs.slice(first)) ref.assigned = true;
  }

  #assign(noIn = false): void {
    if (this.#arrow(noIn)) return;
    if (this.#inGenerator && this.#is("yield")) {
      this.#next();
      if (this.#token.newLine || this.#isEnd()) return;
      this.#eat("*");
      return this.#assign(noIn);
    }
    while (true) {
      const first = this.#scope.refs.length;
      let changes = false;
      while (
        UNARY.has(this.#token.value) && this.#token.type !== "string" ||
        this.#inAsync && this.#is("await")
      ) {
        if (this.#is("new") && this.#after().value === ".") break;
        changes = this.#is("++") || this.#is("--");
        this.#next();
      }
      const isPlain = this.#operand();
      if (
        isPlain && (this.#is("++") || this.#is("--")) && !this.#token.newLine
      ) {
        changes = true;
        this.#next();
      }
      if (changes && isPlain) this.#assignFrom(first);
      if (this.#token.type === "punct" && ASSIGN.has(this.#token.value)) {
        if (isPlain) this.#assignFrom(first);
        this.#next();
        return this.#assign(noIn);
      }
      if (this.#eat("?")) {
        this.#assign();
        this.#expect(":");
        return this.#assign(noIn);
      }
      const { type, value } = this.#token;
      if (type !== "punct" && type !== "name" || !BINARY.has(value)) return;
      if (noIn && value === "in") return;
      this.#next();
    }
  }

  /** Whether an expression can't begin here. */
  #isEnd(): boolean {
    const { type, value } = this.#token;
    return type === "end" || type === "punct" && /^[)\]},;:]$/.test(value) ||
      this.#is("in") || this.#is("of");
  }

  /**
   * An operand and what follows on it. Whether it is a name or a pattern, to
   * which itself something may be assigned.
   */
  #operand(): boolean {
    const start = this.#token.start;
    let isPlain = this.#primary();
    while (true) {
      const { type, value, newLine } = this.#token;
      if (type !== "punct") break;
      if (value === "." || value === "?.") {
        this.#next();
        if (this.#token.type === "private") {
          this.#privates.push(this.#token.value);
        }
        if (this.#token.type === "name" || this.#token.type === "private") {
          this.#next();
        }
      } else if (value === "[") {
        this.#next();
        this.#expression();
        this.#expect("]");
      } else if (value === "(") {
        this.#parentheses();
      } else if (value === "`") {
        this.#template();
      } else {
        if ((value === "++" || value === "--") && !newLine && !isPlain) {
          this.#next();
        }
        break;
      }
      isPlain = false;
    }
    if (this.#token.start === start) this.#fail("an expression");
    return isPlain;
  }

  /** Items in parentheses, none included. */
  #parentheses(): void {
    this.#expect("(");
    while (!this.#eat(")")) {
      this.#eat("...");
      this.#assign();
      if (!this.#is(")")) this.#expect(",");
    }
  }

  #primary(): boolean {
    const { type, value, start } = this.#token;
    if (type === "private") this.#privates.push(value);
    if (type === "private" || type === "number" || type === "string") {
      this.#next();
      return false;
    }
    if (type === "punct") return this.#punctuated(value, start);
    if (type === "end") this.#fail("an expression");
    if (value === "function" || this.#isAsyncFunction()) {
      this.#function(false);
      return false;
    }
    if (value === "class") {
      this.#class(false);
      return false;
    }
    this.#next();
    switch (value) {
      case "this":
        if (!this.#ownThis) this.#outer.add("this");
        return false;
      case "super":
        if (!this.#ownSuper) this.#outer.add("super");
        return false;
      case "new":
        this.#expect(".");
        this.#next();
        if (!this.#ownThis) this.#outer.add("new.target");
        return false;
      case "import":
        if (this.#is(".")) {
          this.#next();
          if (this.#is("meta")) this.#outer.add("import.meta");
          this.#next();
        }
        return false;
      case "null":
      case "true":
      case "false":
        return false;
    }
    if (RESERVED.has(value)) this.#fail("an expression");
    this.#refer(value);
    return true;
  }

  #punctuated(value: string, start: number): boolean {
    switch (value) {
      case "(":
        this.#parentheses();
        // In parentheses, a name is still one.
        return true;
      case "[":
        this.#next();
        while (!this.#eat("]")) {
          if (this.#eat(",")) continue;
          this.#eat("...");
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
        const regex = this.#match(REGEX, start);
        if (regex === undefined) this.#fail("a regular expression");
        this.#to(start + regex.length);
        return false;
      }
    }
    this.#fail("an expression");
  }

  #template(): void {
    let at = this.#token.end;
    while (true) {
      const text = this.#match(TEMPLATE, at);
      if (text === undefined) this.#fail("the end of a template");
      at += text.length;
      if (text.endsWith("`")) return this.#to(at);
      this.#to(at);
      this.#expression();
      if (!this.#is("}")) this.#fail("}");
      at = this.#token.end;
    }
  }

  #object(): void {
    this.#expect("{");
    while (!this.#eat("}")) {
      if (this.#eat("...")) this.#assign();
      else this.#property();
      this.#eat(",");
    }
  }

  #property(): void {
    let isAsync = false;
    let isAccessor = false;
    while (
      ["async", "get", "set"].some((word) => this.#is(word)) &&
      this.#isModifier()
    ) {
      isAsync ||= this.#is("async");
      isAccessor = true;
      this.#next();
    }
    const isGenerator = this.#eat("*");
    const { type, value } = this.#token;
    this.#key();
    if (this.#is("(")) return this.#method(isAsync, isGenerator);
    if (this.#eat(":")) return this.#assign();
    if (type !== "name" || isAccessor) this.#fail(":");
    const ref = this.#refer(value);
    if (this.#eat("=")) {
      ref.assigned = true;
      this.#assign();
    }
  }

  // ---- Statements ------------------------------------------------------------

  #statement(): void {
    const { type, value } = this.#token;
    if (type === "punct") {
      if (value === "{") return this.#inScope(false, () => this.#block());
      if (this.#eat(";")) return;
    }
    if (type !== "name") return this.#expressionStatement();
    if (this.#declaration(false)) {
      this.#eat(";");
      return;
    }
    switch (value) {
      case "function":
        this.#function(true);
        return;
      case "class":
        this.#class(true);
        return;
      case "async":
        if (!this.#isAsyncFunction()) break;
        this.#function(true);
        return;
      case "if":
        this.#head();
        this.#statement();
        if (this.#eat("else")) this.#statement();
        return;
      case "while":
      case "with":
        this.#head();
        return this.#statement();
      case "do":
        this.#next();
        this.#statement();
        this.#head();
        this.#eat(";");
        return;
      case "for":
        return this.#inScope(false, () => this.#for());
      case "switch":
        return this.#switch();
      case "try":
        return this.#try();
      case "return":
      case "throw":
        this.#next();
        if (!this.#token.newLine && !this.#is(";") && !this.#is("}")) {
          this.#expression();
        }
        this.#eat(";");
        return;
      case "break":
      case "continue":
        this.#next();
        if (this.#isName() && !this.#token.newLine) this.#next();
        this.#eat(";");
        return;
      case "debugger":
        this.#next();
        this.#eat(";");
        return;
    }
    if (this.#isName() && this.#after().value === ":") {
      this.#next();
      this.#next();
      return this.#statement();
    }
    this.#expressionStatement();
  }

  #expressionStatement(): void {
    this.#expression();
    this.#eat(";");
  }

  /** A word, and an expression in parentheses. */
  #head(): void {
    this.#next();
    this.#expect("(");
    this.#expression();
    this.#expect(")");
  }

  /** `var`, `let`, `const`, `using` and `await using`, if it is one. */
  #declaration(noIn: boolean): boolean {
    const { value } = this.#token;
    let after = this.#after();
    switch (value) {
      case "var":
      case "const":
        break;
      case "let":
        if (
          after.type === "name"
            ? after.value === "in" || after.value === "instanceof" ||
              noIn && after.value === "of"
            : after.value !== "[" && after.value !== "{"
        ) return false;
        break;
      case "await":
        if (after.value !== "using" || after.newLine) return false;
        after = this.#scan(after.end);
        if (after.type !== "name" || after.newLine) return false;
        this.#next();
        break;
      case "using":
        if (
          after.type !== "name" || after.newLine || RESERVED.has(after.value) ||
          noIn && after.value === "of"
        ) return false;
        break;
      default:
        return false;
    }
    this.#next();
    do {
      this.#binding(value === "var");
      if (this.#eat("=")) this.#assign(noIn);
    } while (this.#eat(","));
    return true;
  }

  #for(): void {
    this.#next();
    this.#eat("await");
    this.#expect("(");
    const first = this.#scope.refs.length;
    if (!this.#is(";") && !this.#declaration(true)) {
      this.#expression(true);
      if (this.#is("of") || this.#is("in")) this.#assignFrom(first);
    }
    if (this.#eat("of")) this.#assign();
    else if (this.#eat("in")) this.#expression();
    else {
      this.#expect(";");
      if (!this.#is(";")) this.#expression();
      this.#expect(";");
      if (!this.#is(")")) this.#expression();
    }
    this.#expect(")");
    this.#statement();
  }

  #switch(): void {
    this.#head();
    this.#inScope(false, () => {
      this.#expect("{");
      while (!this.#eat("}")) {
        if (this.#eat("case")) this.#expression();
        else if (!this.#eat("default")) {
          this.#statement();
          continue;
        }
        this.#expect(":");
      }
    });
  }

  #try(): void {
    this.#next();
    this.#inScope(false, () => this.#block());
    if (this.#eat("catch")) {
      this.#inScope(false, () => {
        if (this.#eat("(")) {
          this.#binding(false);
          this.#expect(")");
        }
        this.#block();
      });
    }
    if (this.#eat("finally")) this.#inScope(false, () => this.#block());
  }
}

function scopeIn(parent: Scope | undefined, isFunction: boolean): Scope {
  return { parent, isFunction, names: new Set(), refs: [] };
}
