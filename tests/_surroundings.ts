/**
 * Random functions over random surroundings, as source text: each case makes
 * variables of all kinds, and a task that tells all that can be told of them.
 */

/** A stream of choices. When it is out, each is the first. */
export class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  below(count: number): number {
    return (this.#numbers[this.#at++] ?? 0) % count;
  }

  of<T>(...list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  get isOut(): boolean {
    return this.#at >= this.#numbers.length;
  }
}

/**
 * Tells all of a value: its properties with their attributes, what accessors and
 * functions give, its prototypes, whether it takes more, what is one object.
 *
 * A function of JavaScript alone, which travels with what uses it.
 */
export const TELL = `
const tell = (root) => {
  const known = new Map([
    [Object.prototype, "Object"], [Array.prototype, "Array"], [Function.prototype, "Function"],
    [Map.prototype, "Map"], [Set.prototype, "Set"], [Date.prototype, "Date"], [RegExp.prototype, "RegExp"],
    [Error.prototype, "Error"], [TypeError.prototype, "TypeError"], [RangeError.prototype, "RangeError"],
    [Uint8Array.prototype, "Uint8Array"], [Float64Array.prototype, "Float64Array"], [ArrayBuffer.prototype, "ArrayBuffer"],
    [String.prototype, "String"], [Number.prototype, "Number"], [AggregateError.prototype, "AggregateError"],
    [Object.getPrototypeOf(async () => {}), "AsyncFunction"],
    [Object.getPrototypeOf(function* () {}), "GeneratorFunction"],
    [Object.getPrototypeOf(Uint8Array.prototype), "TypedArray"],
  ]);
  const seen = new Map();
  let steps = 0;
  const attempt = (run) => {
    try {
      const value = run();
      if (value instanceof Promise) value.then(() => {}, () => {});
      return value;
    } catch (error) { return "threw " + (error && error.name); }
  };
  const go = (value, depth) => {
    if (++steps > 600) return "...";
    const type = typeof value;
    if (type === "symbol") return "symbol " + String(value) + (Symbol.keyFor(value) ?? "");
    if (type === "bigint") return value + "n";
    if (type === "number") return Object.is(value, -0) ? "-0" : String(value);
    if (value === null || type !== "object" && type !== "function") return type + " " + String(value);
    if (known.has(value)) return known.get(value);
    if (value instanceof Promise) return "promise";
    if (value instanceof Blob && type === "object" && Object.hasOwn(value, Object.getOwnPropertySymbols(value)[0] ?? "")) {
      return "blob " + attempt(() => value.size) + Object.isExtensible(value) + Object.getOwnPropertyNames(value);
    }
    if (type === "object" && Object.getOwnPropertyDescriptor(value, Symbol.toStringTag)?.value === "Module") {
      return "module " + Object.keys(value);
    }
    if (type === "object") {
      if (seen.has(value)) return "#" + seen.get(value);
      seen.set(value, seen.size);
    } else {
      if (seen.has(value)) return "fn";
      seen.set(value, -1);
    }
    if (/\\[native code\\]/.test(type === "function" ? Function.prototype.toString.call(value) : "")) {
      return "native " + value.name;
    }
    if (depth > 6) return "deep";
    const parts = [type === "function" ? "F" : Array.isArray(value) ? "A" : "O"];
    parts.push(Object.isExtensible(value) ? "" : Object.isFrozen(value) ? "frozen" : Object.isSealed(value) ? "sealed" : "closed");
    if (!ArrayBuffer.isView(value)) for (const key of Reflect.ownKeys(value)) {
      if (key === "stack") continue;
      const found = Object.getOwnPropertyDescriptor(value, key);
      if (type === "function" && (key === "arguments" || key === "caller")) continue;
      const flags = (found.enumerable ? "e" : "") + (found.configurable ? "c" : "") + (found.writable ? "w" : "");
      if (Object.hasOwn(found, "value")) parts.push(String(key) + flags + "=" + go(found.value, depth + 1));
      else {
        parts.push(String(key) + flags + (found.get ? " get " : "") + (found.set ? " set " : ""));
        if (found.get) parts.push(go(attempt(() => found.get.call(value)), depth + 1));
        if (found.set) parts.push(go(attempt(() => { found.set.call(value, 5); return "set"; }), depth + 1));
      }
    }
    if (type === "object") parts.push(attempt(() => {
      if (value instanceof Map) return "M" + [...Map.prototype.entries.call(value)].map(([a, b]) => go(a, depth + 1) + ">" + go(b, depth + 1));
      if (value instanceof Set) return "S" + [...Set.prototype.values.call(value)].map((a) => go(a, depth + 1));
      if (value instanceof Date) return "D" + Date.prototype.getTime.call(value);
      if (value instanceof RegExp) return "R" + RegExp.prototype.toString.call(value);
      if (ArrayBuffer.isView(value)) return "V" + value.byteOffset + ":" + [...new Uint8Array(value.buffer)] + "/" + Object.keys(value).length;
      return "";
    }));
    const proto = Object.getPrototypeOf(value);
    parts.push("^" + go(proto, depth + 1));
    if (type === "function") {
      const isClass = /^class\\b/.test(Function.prototype.toString.call(value));
      const made = attempt(() => isClass ? new value() : value.call({ own: 1, n: 2 }, 1, 2));
      parts.push("()" + (made && typeof made.then === "function" ? "promise" : go(made, depth + 1)));
    } else if (depth < 3) {
      for (const key of ["m", "up", "get1", "constructor"]) {
        const inherited = attempt(() => value[key]);
        if (typeof inherited === "function" && key !== "constructor") parts.push(key + "->" + go(attempt(() => value[key](3)), depth + 1));
        else if (key === "get1") parts.push("get1=" + go(inherited, depth + 1));
      }
      // How a class is written down is no matter: what it says is.
      const text = attempt(() => String(value));
      parts.push(/class|=>|function/.test(text) ? "source" : text.slice(0, 40), attempt(() => [...value].length) + "");
    }
    return "{" + parts.join(";") + "}";
  };
  return go(root, 0);
};
`;

/** What is refused, or does not do what it does here, without its object. */
const PLATFORM = [
  'new URL("https://example.org/")',
  "new Headers()",
  "new WeakMap()",
  "new AbortController().signal",
  "new TextEncoder()",
  "Promise.resolve(1)",
  "new Proxy({}, {})",
  "(function* () { yield 1; })()",
  "[1].values()",
  "new Intl.NumberFormat()",
  "new (class Secret { #x = 1; get x() { return this.#x; } })()",
  'Symbol("own")',
  "new WeakRef({})",
  "(function () { return arguments; })()",
  "new EventTarget()",
  "Math.max.bind(null, 1)",
  "new Blob([])",
];

/** Writes one case: an expression of a function that makes a task. */
export function writeCase(choices: Choices): string {
  const lines: string[] = [];
  const all: string[] = [];
  const objects: string[] = [];
  const classes: string[] = [];
  const functions: string[] = [];
  const name = () => `v${all.length}`;
  const declare = (text: string, ...lists: string[][]) => {
    const own = name();
    lines.push(`${choices.of("const", "let")} ${own} = ${text};`);
    all.push(own);
    for (const list of lists) list.push(own);
    return own;
  };
  const any = () => all.length === 0 ? "TOP" : all[choices.below(all.length)];
  const object = () =>
    objects.length === 0 ? "TOP" : objects[choices.below(objects.length)];
  const primitive = () =>
    choices.of(
      "1",
      '"text"',
      "-0",
      "NaN",
      "undefined",
      "null",
      "10n",
      "true",
      'Symbol.for("shared")',
      "Symbol.iterator",
      "NUMBER",
    );
  const value = (): string =>
    choices.of<() => string>(
      primitive,
      any,
      () => `{ a: ${any()}, b: [${primitive()}] }`,
      () => `[${any()}, , ${primitive()}]`,
      () => `() => ${any()}`,
      () => `new Map([["k", ${any()}]])`,
    )();
  const key = () =>
    choices.of(
      "a",
      "b",
      "m",
      "get1",
      "[Symbol.toPrimitive]",
      '"x y"',
      "7",
      '[Symbol.for("s")]',
      "__proto__x",
    );
  const member = (): string =>
    choices.of<() => string>(
      () => `${key()}: ${value()}`,
      () => `get ${key()}() { return ${any()}; }`,
      () => `get get1() { return this.n; }, n: ${primitive()}`,
      () => `set ${key()}(x) { this.last = x; }`,
      () => `m(x) { return [this.n, ${any()}, x]; }`,
      () => `async m() { return ${any()}; }`,
      () => `*[Symbol.iterator]() { yield ${primitive()}; yield 2; }`,
      () => `get [Symbol.toStringTag]() { return "Tag"; }`,
      () => `[Symbol.for("${choices.of("s", "t")}")]: ${value()}`,
    )();
  const members = () =>
    Array.from({ length: choices.below(4) }, member).join(", ");
  const classMember = (): string =>
    choices.of<() => string>(
      () => `f${choices.below(3)} = ${value()};`,
      () => `m(x) { return [this.n, ${any()}, x]; }`,
      () => `up() { return typeof super.m === "function" ? super.m(1) : 0; }`,
      () => `get get1() { return ${any()}; }`,
      () => `static s${choices.below(3)} = ${value()};`,
      () => `static #p = ${value()}; static peek() { return this.#p; }`,
      () => `static { this.b = ${value()}; }`,
      () => `static m() { return [this.name, ${any()}]; }`,
      () => `static twice = (n) => n * 2;`,
      () => `["c" + 1]() { return ${any()}; }`,
      () => `[Symbol.for("s")]() { return 1; }`,
      () => `static get get1() { return ${any()}; }`,
      () => `arrow = () => this.n;`,
      () => `constructor(...args) { ${"SUPER"} this.n = args.length; }`,
    )();
  const classText = (): string => {
    const parent = choices.of<() => string>(
      () => "",
      () => classes.length > 0 ? classes[choices.below(classes.length)] : "",
      () => choices.of("Array", "Map", "Error", "Object", "Set", "RangeError"),
    )();
    const body: string[] = [];
    let hasConstructor = false;
    for (let i = choices.below(4); i > 0; i--) {
      const text = classMember();
      if (text.startsWith("constructor")) {
        if (hasConstructor) continue;
        hasConstructor = true;
      }
      if (text.includes("#p") && body.some((other) => other.includes("#p"))) {
        continue;
      }
      body.push(text.replace("SUPER", parent ? "super();" : ""));
    }
    return `class ${choices.of("", "Named")} ${
      parent ? `extends ${parent}` : ""
    } { ${body.join(" ")} }`;
  };
  const statement = () => {
    choices.of<() => void>(
      () => declare(primitive()),
      () => declare(`{ ${members()} }`, objects),
      () => declare(`[${value()}, ${value()}]`, objects),
      () => declare(classText(), classes),
      () => {
        if (classes.length > 0) {
          declare(`new ${classes[choices.below(classes.length)]}()`, objects);
        }
      },
      () => {
        const own = declare(
          `function () { if (this) this.n = ${primitive()}; }`,
          functions,
        );
        lines.push(
          choices.of(
            `${own}.prototype.m = function () { return [this.n, ${any()}]; };`,
            `${own}.prototype = Object.create(${object()});`,
            `${own}.prototype = { ${members()} };`,
          ),
        );
        declare(`new ${own}()`, objects);
      },
      () =>
        declare(
          `Object.create(${choices.of(object(), "null", `{ ${members()} }`)})`,
          objects,
        ),
      () =>
        declare(
          choices.of(
            `() => ${any()}`,
            `async () => ${any()}`,
            `function* () { yield ${any()}; }`,
            `(a, b = ${any()}) => [a, ${any()}]`,
            `function named() { return typeof named.a + ${primitive()}?.toString(); }`,
          ),
          functions,
          objects,
        ),
      () =>
        lines.push(
          `Object.defineProperty(${object()}, ${
            choices.of('"a"', '"h"', 'Symbol.for("s")', "0")
          }, { ${
            choices.of(
              `value: ${value()}`,
              `value: ${value()}, enumerable: true`,
              `get: () => ${any()}`,
              `get() { return this.n; }, configurable: true`,
              `set(x) {}`,
            )
          } });`,
        ),
      () =>
        lines.push(
          `Object.${
            choices.of("freeze", "seal", "preventExtensions")
          }(${object()});`,
        ),
      () =>
        lines.push(
          `Object.setPrototypeOf(${object()}, ${
            choices.of(object(), "null")
          });`,
        ),
      () => {
        if (classes.length === 0) return;
        const own = classes[choices.below(classes.length)];
        lines.push(choices.of(
          `${own}.prototype.m = function () { return ${any()}; };`,
          `${own}.prototype.late = ${value()};`,
          `delete ${own}.prototype.m;`,
          `${own}.late = ${value()};`,
          `delete ${own}.m;`,
          `Object.freeze(${own});`,
          `Object.setPrototypeOf(${own}.prototype, ${object()});`,
        ));
      },
      () =>
        lines.push(`${object()}.${choices.of("self", "a", "m")} = ${any()};`),
      () => declare(choices.of(...PLATFORM), choices.below(2) ? objects : []),
      () =>
        lines.push(`${object()}.deep = { p: [${choices.of(...PLATFORM)}] };`),
      () =>
        declare(
          choices.of(
            `Object.assign(new Date(7), { x: ${value()} })`,
            "Object.assign(/a/g, { lastIndex: 3 })",
            "new Uint8Array([1, 2, 3]).subarray(1)",
            `new Error("m", { cause: ${any()} })`,
            `Object.assign(new TypeError("t"), { code: ${value()} })`,
            `new AggregateError([${any()}], "all")`,
            'new String("boxed")',
            `new Map([[${any()}, ${any()}], ["k", ${value()}]])`,
            `new Set([${any()}, ${any()}])`,
            "new ArrayBuffer(3)",
          ),
          objects,
        ),
      () => {
        const own = name();
        lines.push(`let ${own} = ${primitive()};`);
        all.push(own);
        declare(`() => { ${own} = 4; return ${own}; }`, functions);
        declare(`() => ${own}`, functions);
      },
      () =>
        declare(
          choices.of(
            "basename",
            "new Square(2)",
            "area",
            "Square",
            "shapes",
            "node",
            "times",
          ),
        ),
      () =>
        declare(
          `(() => { let own = ${value()}; const inner = { get own() { return own; }, set own(x) { own = x; } }; return ${
            choices.of(
              "inner",
              "() => own",
              "{ inner, change() { own = 1; return own; } }",
            )
          }; })()`,
          objects,
        ),
    )();
  };
  const count = 1 + choices.below(8);
  for (let i = 0; i < count; i++) statement();
  const before = lines.map((line) =>
    /^(?:const|let)/.test(line) ? line : `try { ${line} } catch {}`
  );
  if (all.length === 0) declare(primitive());
  const told = all.filter(() => choices.below(4) > 0 || all.length < 3);
  const body = `[${
    (told.length > 0 ? told : [all[0]]).map((one) => `tell(${one})`)
  }]`;
  const task = choices.of(
    `() => ${body}`,
    `function task() { return ${body}; }`,
    `async () => { await null; return ${body}; }`,
    `() => { const told = ${body}; if (told.length < 3) throw Object.assign(new RangeError(told.join()), { told }); return told; }`,
    `() => { throw ${body}; }`,
    `() => { ${object()}.a = 5; return ${body}; }`,
    `({ run() { return ${body}; } }).run`,
  );
  return `() => {
  const TOP = { n: 1, get get1() { return NUMBER; }, list: [1, { deep: true }] };
  ${before.join("\n  ")}
  return ${task};
}`;
}

/** The text of a module with many cases. */
export function writeModule(cases: readonly string[], shapes: string): string {
  return `
import * as node from "node:os";
import { basename } from "node:path";
import * as shapes from ${JSON.stringify(shapes)};
import times, { area, Square } from ${JSON.stringify(shapes)};
const NUMBER = 42;
${TELL}
export const cases = [
${cases.join(",\n")}
];
void [basename, node, shapes, times, area, Square, NUMBER];
`;
}
