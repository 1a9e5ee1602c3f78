/** The words and signs that JavaScript is made of. */

export interface Token {
  readonly type: "name" | "private" | "number" | "string" | "punct" | "end";
  readonly value: string;
  readonly start: number;
  readonly end: number;
  /** Whether a line ends before it. */
  readonly newLine: boolean;
}

const ESCAPE = "\\\\u(?:[\\da-fA-F]{4}|\\{[\\da-fA-F]+\\})";
const SPACE = /(?:[\s\ufeff]|\/\/[^\n\r\u2028\u2029]*|\/\*[^]*?\*\/)*/y;
const NAME = new RegExp(
  `#?(?:[\\p{ID_Start}$_]|${ESCAPE})(?:[\\p{ID_Continue}$\\u200c\\u200d]|${ESCAPE})*`,
  "uy",
);
const NUMBER =
  /0[xXbBoO][\da-fA-F_]+n?|0[0-7]+(?!\d)|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?[\d_]+)?n?/y;
const STRING = /"(?:[^"\\]|\\[^])*"|'(?:[^'\\]|\\[^])*'/y;
const PUNCT =
  />>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?!\d)|\+\+|--|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|<<|>>|\*\*|[^]/y;
export const REGEX =
  /\/(?:[^\\/[\n\r]|\\[^\n\r]|\[(?:[^\\\]\n\r]|\\[^\n\r])*\])+\/[\p{ID_Continue}$]*/uy;
/** The text of a template up to what is put in, or its end. */
export const TEMPLATE = /(?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;

/** Words of the language that are never names. */
const RESERVED = new Set(
  (
    "break case catch class const continue debugger default delete do else " +
    "enum export extends false finally for function if import in instanceof " +
    "new null return super switch this throw true try typeof var void while with"
  ).split(" "),
);

/** Whether a word can't be a name. */
export function isReserved(word: string): boolean {
  return RESERVED.has(word);
}

/**
 * Reads a source from one token to the next.
 *
 * A `/` is read as a sign, a `` ` `` as one of its own: whether a regular
 * expression or a template begins there, the grammar knows.
 */
export class Tokens {
  readonly source: string;
  /** The token that comes next. */
  token!: Token;
  /** Where what was read last ends. */
  read = 0;

  constructor(source: string) {
    this.source = source;
    this.to(0);
  }

  match(pattern: RegExp, at: number): string | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.source)?.[0];
  }

  scan(at: number): Token {
    const space = this.match(SPACE, at)!;
    const start = at + space.length;
    const newLine = /[\n\r\u2028\u2029]/.test(space);
    const token = (type: Token["type"], text: string, value = text): Token => ({
      type,
      value,
      start,
      end: start + text.length,
      newLine,
    });
    if (start >= this.source.length) return token("end", "");
    const name = this.match(NAME, start);
    if (name !== undefined) {
      const value = name.includes("\\")
        ? name.replace(
          /\\u(?:\{([\da-fA-F]+)\}|([\da-fA-F]{4}))/g,
          (_, long, short) => String.fromCodePoint(parseInt(long ?? short, 16)),
        )
        : name;
      return token(name[0] === "#" ? "private" : "name", name, value);
    }
    const number = this.match(NUMBER, start);
    if (number) return token("number", number);
    const string = this.match(STRING, start);
    if (string !== undefined) return token("string", string);
    return token("punct", this.match(PUNCT, start)!);
  }

  to(position: number): void {
    this.read = position;
    this.token = this.scan(position);
  }

  next(): void {
    this.to(this.token.end);
  }

  after(): Token {
    return this.scan(this.token.end);
  }

  /** Whether a word or sign comes next. */
  is(value: string): boolean {
    const { type } = this.token;
    return this.token.value === value &&
      (type === "punct" || type === "name");
  }

  eat(value: string): boolean {
    if (!this.is(value)) return false;
    this.next();
    return true;
  }

  expect(value: string): void {
    if (!this.eat(value)) this.fail(value);
  }

  fail(expected: string): never {
    const { start, value } = this.token;
    throw new SyntaxError(
      `${expected} expected at ${start}: found ${value || "the end"}`,
    );
  }

  isName(): boolean {
    return this.token.type === "name" && !RESERVED.has(this.token.value);
  }

  isAsyncFunction(): boolean {
    if (!this.is("async")) return false;
    const { value, newLine } = this.after();
    return value === "function" && !newLine;
  }
}
