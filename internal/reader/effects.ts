/**
 * Whether a function changes any object that it has not made itself, as far as its
 * source tells for sure. What is not known to be harmless counts as a change.
 *
 * Plain data has no functions of its own: so it is changed by an assignment to a
 * member, by a method of the language that changes what it is called on, or by
 * somebody it is handed to.
 */

const words = (text: string) => new Set(text.split(" "));

/** Names of the language by which nothing is changed. */
const HARMLESS_GLOBALS = words(
  "undefined NaN Infinity Math JSON Number String Boolean BigInt Date Map Set " +
    "Error TypeError RangeError SyntaxError isNaN isFinite parseInt parseFloat " +
    "encodeURI encodeURIComponent decodeURI decodeURIComponent",
);

/** Methods that change nothing, whatever they are called on and with. */
const HARMLESS_METHODS = words(
  "abs acos asin atan atan2 cbrt ceil clz32 cos cosh exp expm1 floor fround " +
    "hypot imul log log10 log1p log2 max min pow random round sign sin sinh sqrt " +
    "tan tanh trunc isFinite isInteger isNaN isSafeInteger now " +
    "at charAt charCodeAt codePointAt concat endsWith entries flat get has " +
    "includes indexOf isArray join keys lastIndexOf localeCompare normalize " +
    "padEnd padStart repeat slice split startsWith subarray substring toFixed " +
    "toISOString toLocaleString toLowerCase toPrecision toReversed toString " +
    "toUpperCase trim trimEnd trimStart valueOf values getDate getDay " +
    "getFullYear getHours getMilliseconds getMinutes getMonth getSeconds getTime " +
    "getTimezoneOffset getUTCDate getUTCDay getUTCFullYear getUTCHours " +
    "getUTCMilliseconds getUTCMinutes getUTCMonth getUTCSeconds",
);

/** Methods that call what they are given: harmless where that stands there. */
const CALLING_METHODS = words(
  "every filter find findIndex findLast findLastIndex flatMap forEach map reduce " +
    "reduceRight some",
);

/** Methods that are harmless with one argument. */
const PLAIN_METHODS = words("parse stringify");

/** An arrow with plain parameters, behind a parenthesis. */
const ARROW =
  /\(\s*(?:async\s*)?(?:\(\s*(?:[\w$]+\s*(?:,\s*[\w$]+\s*)*)?\)|[\w$]+)\s*=>/y;

/** What is called, or read: a name, a member, or something else. */
export interface Callee {
  readonly is: "name" | "member" | "other";
  readonly name: string;
}

export const UNKNOWN_CALLEE: Callee = { is: "other", name: "" };

/** What assigns to what is no plain name, in ways that a parser has no eye for. */
const ODD =
  /\bwith\s*\(|\bfor\s*(?:await\s*)?\(\s*(?!const\b|let\b|var\b|using\b|await\b|;)/;

/** Takes note of what a source does while it is read. */
export class Effects {
  /** Whether something may be changed. */
  mayChange = false;
  /** Names that are called. */
  readonly called = new Set<string>();

  constructor(source: string) {
    if (ODD.test(source)) this.change();
  }

  change(): void {
    this.mayChange = true;
  }

  /** A member is read, which may be a method that somebody calls. */
  member(name: string): void {
    if (
      /^(?:set|define|__|push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|add|delete|clear|call|apply|bind|constructor|prototype|transfer|lastIndex)/
        .test(name)
    ) this.change();
  }

  /** Something is called, in parentheses that begin at a place of the source. */
  call({ is, name }: Callee, source: string, at: number): void {
    if (is === "name") this.called.add(name);
    else if (is === "other") this.change();
    else if (CALLING_METHODS.has(name)) {
      ARROW.lastIndex = at;
      if (!ARROW.test(source)) this.change();
    } else if (!HARMLESS_METHODS.has(name) && !PLAIN_METHODS.has(name)) {
      this.change();
    }
  }

  /** The same call has so many arguments. */
  callEnds({ is, name }: Callee, count: number): void {
    if (is === "member" && PLAIN_METHODS.has(name) && count > 1) this.change();
  }
}

/** A function, as far as it matters here. */
interface Fn {
  readonly facts: {
    readonly changesNothing: boolean;
    readonly names: readonly string[];
    readonly called: ReadonlySet<string>;
  };
  /** What it captured; functions among that are looked at by themselves. */
  readonly cells: readonly {
    readonly name: string;
    readonly value: { readonly is: string };
  }[];
}

/** Whether a function is known to change nothing of what it captured. */
export function changesNothing({ facts, cells }: Fn): boolean {
  if (!facts.changesNothing) return false;
  const captured = new Map(cells.map(({ name, value }) => [name, value.is]));
  return facts.names.every((name) =>
    captured.has(name) || HARMLESS_GLOBALS.has(name)
  ) &&
    [...facts.called].every((name) =>
      captured.has(name)
        ? captured.get(name) === "function"
        : HARMLESS_GLOBALS.has(name)
    );
}
