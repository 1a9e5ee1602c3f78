/** The names that a function needs, held against what a real parser finds. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { readProgram, readSource } from "../../internal/reader/expressions.ts";
import { property } from "../_checks.ts";
import { functionsIn } from "../_free_names.ts";

function names(source: string): string {
  return readSource(source).names.join(" ");
}

function assertAll(cases: Record<string, string>): void {
  const wrong: string[] = [];
  for (const [source, expected] of Object.entries(cases)) {
    const found = names(source);
    if (found !== expected) wrong.push(`${source}: ${found}`);
  }
  assertEquals(wrong, []);
}

Deno.test("readSource finds what functions of each shape use and do not declare", () => {
  assertAll({
    "(n) => helper(n) * factor": "factor helper",
    "n => n + a": "a",
    "async n => await a(n)": "a",
    "async (n) => await a(n)": "a",
    "function f(n) { return f(n - 1) + a; }": "a",
    "async function f() { for await (const x of a) b(x); }": "a b",
    "function* f() { yield a; yield* b; const c = yield; }": "a b",
    "function* f() { a(yield of(b)); yield\nof; }": "a b of",
    "method(n) { return n + a; }": "a",
    "async *method() { yield a; }": "a",
    "get size() { return a; }": "a",
    "set size(n) { a = n; }": "a",
    "async(n) { return n + a; }": "a",
    "get() { return a; }": "a",
    "static() { return a; }": "a",
    "class(n) { return n + a; }": "a",
    "async class() { return a; }": "a",
    '"a name"(n) { return n + a; }': "a",
    "7(n) { return n + a; }": "a",
    "[key + other](n) { return n + a; }": "a",
    "#hidden(n) { return n + a; }": "a",
    "class A extends B { m() { return new A(a); } }": "a",
    "class extends f(B) { x = a; static y = b; static { c; } }": "a b c",
    "() => class extends new a.B {}": "a",
    "class extends new (a()).B { x = new b.c; }": "b",
    "class { [key]() {} get [a.b]() { return 1; } }": "a key",
  });
});

Deno.test("readSource tells names from properties, labels and keys", () => {
  assertAll({
    "() => a.b.c?.d?.[e].f": "a e",
    "() => ({ a: 1, b, c() {}, get d() { return 1; }, [e]: f, 'g': 2 })":
      "b e f",
    "() => { a: for (;;) { continue a; } }": "",
    "() => { a: { break a; } b; }": "b",
    "() => ({ async: 1, get: 2, set: 3, static: 4, async a() {}, *b() {} })":
      "",
    "() => ({ get, set, async })": "async get set",
    "() => ({ ...a, ...{ b } })": "a b",
    "() => a.class + a.this + a.new": "a",
    "() => new a.b(c)": "a c",
    "() => a?.5:c": "a c",
    "() => 1_000.5e1_0.a + 0b1_0n + 1..b + 08.5 + 017.c + d": "d",
  });
});

Deno.test("readSource tells regular expressions from divisions", () => {
  assertAll({
    "() => a / b / c": "a b c",
    "() => /b/.test(a)": "a",
    "() => a + /[/]b\\/c/g.exec(d)": "a d",
    "() => { if (a) /b/.test(c); }": "a c",
    "() => { a++ / b; }": "a b",
    "() => [/a/, /b/u, c / d]": "c d",
    "(a) => a\n/b/c": "b c",
    "() => `${/}`/.source}${a}`": "a",
    "() => a.return / b / c": "a b c",
    "() => { return /a/; }": "",
    "() => typeof /a/ / b": "b",
    "() => ({}) / a / b": "a b",
  });
});

Deno.test("readSource looks into templates, and not into strings and comments", () => {
  assertAll({
    "() => `a ${b} c ${`d ${e}`} f`": "b e",
    "() => tag`a ${b}`": "b tag",
    "() => `\\${a} \\` $ ${b}`": "b",
    "() => 'a + b' + \"c\" /* d */ // e\n + f": "f",
    "() => /* ) => */ a": "a",
    "() => `${{ a: { b } }.a}`": "b",
  });
});

Deno.test("readSource knows what declares a name, and where", () => {
  assertAll({
    "(a, { b, c: d, e = f }, [g, , ...h], ...i) => [a, b, d, e, g, h, i]": "f",
    "(a = () => b) => { var b; return a; }": "b",
    "(a, b = a) => { const a2 = a; return a2 + b; }": "",
    "() => { { let a; } return a; }": "a",
    "() => { { var a; } return a; }": "",
    "() => { for (let a of b) a; return a; }": "a b",
    "() => { for (var a in b); return a; }": "b",
    "() => { for (const [a, { b }] of c) a + b; for (d of e); }": "c d e",
    "() => { try { a; } catch ({ message: b }) { b; } finally { c; } }": "a c",
    "() => { try { a; } catch { b; } }": "a b",
    "() => { return f(); function f() { return a; } }": "a",
    "() => { class A {} return new A(); }": "",
    "() => (function f() { return f; }) + f": "f",
    "() => (class A { m() { return A; } }) + A": "A",
    "() => { switch (a) { case b: let c; default: c; } return c; }": "a b c",
    "() => { const { a, ...b } = c, [d = e] = f; return a + b + d; }": "c e f",
    "() => { using a = b; return using + a; }": "b using",
    "async () => { await using a = b; using c = d; return a + c; }": "b d",
    "function () { return arguments; }": "",
    "function f(a) { { function g() { return h; } g(); } }": "h",
    "(a) => { a: 1; let let2; var of, get, async; of + get + async; }": "",
  });
});

Deno.test("readSource tells arrows from what stands in parentheses", () => {
  assertAll({
    "() => (a, b)": "a b",
    "() => ((a, b) => a + b + c)(d)": "c d",
    "() => (((a)))": "a",
    "() => ({ a: ({ b }) => b + c })": "c",
    "() => async (a) => a + b": "b",
    "() => async(a)": "a async",
    "() => async (a, ...b)": "a async b",
    "() => a(async b => b, (c) => { c; })": "a",
    "() => ((a = (b) => b + c) => a)": "c",
    "() => ([a, b] = c, { d: e } = f)": "a b c e f",
  });
});

Deno.test("readSource knows words that are names in some places", () => {
  assertAll({
    "() => { let yield_ = 1; var let2; return async + of + get + from; }":
      "async from get of",
    "(async) => async": "",
    "(of, get, set) => { for (of of get) set; }": "",
    "() => { for (const of of a) of; }": "a",
    "() => { await_ = a; }": "a await_",
    "async () => { await (a); await (b).c; }": "a b",
    "() => \\u0061bc + \\u{62}": "abc b",
    "() => ünïcode + $_a + ℮": "$_a ünïcode ℮",
  });
});

Deno.test("readSource tells which names are assigned to", () => {
  const cases: Record<string, string> = {
    "() => { a = b; c += d; e.f = g; }": "a c",
    "() => { a++; --b; c.d++; -e; }": "a b",
    "() => { [a, b] = c; ({ d, e: f, ...g } = h); }": "a b d f g",
    "() => { for (a of b); for (c in d); }": "a c",
    "() => { a ??= b; c ? d : e; c == d; }": "a",
    "() => { const a2 = b; let c = d; c = 1; }": "",
  };
  for (const [source, expected] of Object.entries(cases)) {
    assertEquals([...readSource(source).assigned].join(" "), expected, source);
  }
});

Deno.test("readSource tells what else a function uses of what is around it", () => {
  const cases: Record<string, string> = {
    "() => this.a": "this",
    "() => { function f() { return this; } }": "",
    "() => () => this": "this",
    "function () { return this; }": "",
    "method() { return this.a; }": "",
    "method() { return super.a; }": "super",
    "() => ({ m() { return super.a; } })": "",
    "() => class extends A { m() { return super.m(this); } }": "",
    "class A { x = this; static { this; } }": "",
    "() => arguments[0]": "arguments",
    "() => new.target": "new.target",
    "function () { return new.target; }": "",
    "() => import.meta.url": "import.meta",
    "() => import('a')": "",
    "method(o) { return o.#a; }": "a #private name",
    "method(o) { return #a in o; }": "a #private name",
    "() => class { #a; m(o) { return o.#a; } }": "",
    "class A { m() { return this.#a; } #a = 1; }": "",
    "class A extends this.#b(new.target, import.meta) { m() { super.m(); } }":
      "",
    "() => class extends this.B {}": "this",
  };
  for (const [source, expected] of Object.entries(cases)) {
    assertEquals([...readSource(source).outer].join(), expected, source);
  }
});

Deno.test("readSource makes of a member what stands in any object", () => {
  const cases: Record<string, string> = {
    "m() {}": "m() {}",
    "async *m() {}": "async *m() {}",
    "get m() { return 1; }": "get m() { return 1; }",
    "[a]() { return a; }": "computed() { return a; }",
    "async [a['b]'] + `]`](x) {}": "async computed(x) {}",
    "get [Symbol.toStringTag]() { return 1; }": "get computed() { return 1; }",
    "#m() {}": "m() {}",
    "async #m() {}": "async m() {}",
    "'a b'() {}": "'a b'() {}",
  };
  for (const [source, expected] of Object.entries(cases)) {
    const { form, text } = readSource(source);
    assertEquals([form, text], ["member", expected]);
    Reflect.ownKeys((0, eval)(`({${text}})`));
  }
});

Deno.test("readSource knows a class: its name, what it extends, its private members", () => {
  const facts = readSource("class A extends f(B, () => c) { #a = 1; m() {} }");
  assertEquals(facts.ownName, "A");
  assertEquals(facts.names, []);
  const [start, end] = facts.heritage!;
  assertEquals(facts.text.slice(start, end).trim(), "f(B, () => c)");
  assert(facts.isClass && facts.hasPrivate);
  assert(!readSource("class { static #a = 1; }").hasPrivate);
  assert(!readSource("class { m() { return class { #a; }; } }").hasPrivate);
});

Deno.test("readSource throws a SyntaxError for what it does not understand", () => {
  const sources = ["", "(", "() => ", "function f() {", "() => `", "}"];
  for (const source of [...sources, "() => a b", "() => {} + c", "m() {} n"]) {
    assertThrows(() => readSource(source), SyntaxError, "expected");
  }
});

Deno.test("readProgram finds what a module imports, under which names", () => {
  const { imports } = readProgram(`#!/usr/bin/env deno
import a, { b, c as d, default as e, "f g" as h } from "./one.ts";
import * as i from 'npm:two';
import j, * as k from "three"
import "four";
import l from "./l.json" with { type: "json" };
const text = \`
import m from "five";
\`;
export { a, b as "x y" } from "six";
export * as o from "seven";
export * from "eight" with { type: "json" }
export default class extends a {}
export async function p() { return await import("nine") + import.meta.url; }
export const q = 1, { r } = q;
// import s from "ten";
import { t } from "eleven";
await t;
`);
  assertEquals(imports.map((one) => Object.values(one).join(" ")), [
    "a default ./one.ts",
    "b b ./one.ts",
    "d c ./one.ts",
    "e default ./one.ts",
    "h f g ./one.ts",
    "i * npm:two",
    "j default three",
    "k * three",
    "t t eleven",
  ]);
});

Deno.test("readProgram tells imports that are deferred, or of a source, from names that are such words", () => {
  const { imports } = readProgram(`
import defer * as late from "a";
import source module from "b";
import source from from "c";
import defer, { source } from "d";
import source, * as all from "e";
import from from "f";
`);
  const shown = imports.map(({ local, name, specifier, isDeferred }) =>
    [local, name, specifier, ...isDeferred ? ["deferred"] : []].join()
  );
  assertEquals(shown, [
    "late,*,a,deferred",
    "defer,default,d",
    "source,source,d",
    "source,default,e",
    "all,*,e",
    "from,default,f",
  ]);
});

Deno.test("readProgram tells scopes of the same names apart", () => {
  const source = "const f = () => { let n; return [() => n, () => n++]; };" +
    "const g = (a, b = async () => n) => { let n; { let n; return (x) => n; } };";
  const { scopeOf } = readProgram(source);
  const at = (text: string) => scopeOf(source.indexOf(text), "n");
  assert(at("() => n,") !== undefined);
  assertEquals(at("() => n,") === at("() => n++"), true);
  assertEquals(at("() => n,") === at("(x) => n"), false);
  assertEquals(at("async () => n"), undefined);
  assertEquals(scopeOf(5, "n"), undefined);
});

// ---- Against a real parser -------------------------------------------------

function differences(
  code: string,
  sourceType: "module" | "script" = "module",
): string[] {
  const wrong: string[] = [];
  for (const { source, names: expected } of functionsIn(code, sourceType)) {
    let found: string;
    try {
      found = names(source);
    } catch (error) {
      found = `${error}`;
    }
    if (found !== expected.join(" ")) {
      wrong.push(`${source}\nhas ${expected.join(" ")}\nnot ${found}`);
    }
  }
  return wrong;
}

Deno.test("readSource agrees with a real parser about the functions of the runtime and of libraries", async () => {
  const roots: unknown[] = [await import("npm:acorn@^8"), fc];
  for (const name of "assert events fs http path stream url util".split(" ")) {
    roots.push(await import(`node:${name}`));
  }
  const sources = new Set<string>();
  const seen = new Set<unknown>();
  for (const value of roots) {
    if (seen.has(value) || seen.size > 5000) continue;
    seen.add(value);
    if (typeof value === "function") {
      sources.add(Function.prototype.toString.call(value));
    }
    for (const key of Reflect.ownKeys(value as object)) {
      const found = Object.getOwnPropertyDescriptor(value, key)!;
      for (const part of [found.value, found.get, found.set]) {
        if (
          typeof part === "function" ||
          typeof part === "object" && part !== null
        ) roots.push(part);
      }
    }
  }
  let functions = 0;
  const wrong: string[] = [];
  for (const source of sources) {
    if (source.includes("[native code]")) continue;
    for (const code of [`(${source})`, `({${source}})`]) {
      try {
        new Function(code);
      } catch {
        continue;
      }
      functions++;
      wrong.push(...differences(code, "script"));
      break;
    }
  }
  assertEquals(wrong, []);
  assert(functions > 1000, `only ${functions} were looked at`);
});

/** Sources of random functions, of few names, so that they get in each other's way. */
const name = fc.constantFrom("a", "b", "c", "async", "of", "get", "$", "ü");
const list = (part: fc.Arbitrary<string>, separator: string, minLength = 0) =>
  fc.array(part, { minLength, maxLength: 3 }).map((all) => all.join(separator));

const { functionSource } = fc.letrec<Record<string, string>>((tie) => {
  const fill = (
    template: TemplateStringsArray,
    ...parts: readonly fc.Arbitrary<string>[]
  ) => fc.tuple(...parts).map((all) => String.raw({ raw: template }, ...all));
  const expression = tie("expression");
  const block = tie("block");
  const pattern = tie("pattern");
  const operand = tie("operand");
  const params = list(
    fc.oneof(pattern, fill`${pattern} = ${expression}`),
    ", ",
  );
  return {
    pattern: fc.oneof(
      { maxDepth: 2 },
      name,
      fill`[${list(pattern, ", ")}]`,
      fill`{ ${name}: ${pattern}, [${expression}]: ${pattern} }`,
      fill`{ ...${name} }`,
      fill`[${pattern} = ${expression}, ...${pattern}]`,
    ),
    operand: fc.oneof(
      { maxDepth: 4, depthIdentifier: "expression" },
      name,
      fc.constantFrom("1", "'a'", "/[/]a/", "null", "`a`", "[]"),
      fill`(${expression})`,
      fill`${operand}.${name}`,
      fill`${operand}?.[${expression}]`,
      fill`(${operand})(${list(expression, ", ")})`,
      fill`\`a\${${expression}}b\``,
      fill`{ ${name}: ${expression}, [${expression}]: 1 }`.map((text) =>
        `(${text})`
      ),
      fill`({ ${name}(${params}) { ${block} }, get ${name}() { ${block} } })`,
      fill`({ async ${name}() { ${block} }, *${name}() { ${block} } })`,
      tie("functionSource").map((text) => `(${text})`),
    ),
    expression: fc.oneof(
      { maxDepth: 4, depthIdentifier: "expression" },
      operand,
      fill`${operand} / ${operand} / ${operand}`,
      fill`${operand} ? ${expression} : ${expression}`,
      fill`${name} = ${expression}`,
      fill`typeof ${operand} in ${operand}`,
      fill`(${params}) => ${operand}`,
      fill`async (${params}) => { ${block} }`,
      fill`[${list(expression, ", ")}]`,
    ),
    statement: fc.oneof(
      { maxDepth: 3, depthIdentifier: "statement" },
      fill`(${expression});`,
      fill`if (${expression}) { ${block} } else /a/.test(${expression});`,
      fill`for (const ${pattern} of ${operand}) { ${block} }`,
      fill`for (var ${name} in ${expression}) { ${block} }`,
      fill`for (let ${name} = (${expression}); ${operand}; ) { ${block} }`,
      fill`while (${expression}) { ${block} }`,
      fill`{ ${block} }`,
      fill`try { ${block} } catch (${pattern}) { ${block} } finally { ${block} }`,
      fill`switch (${expression}) { case ${expression}: ${block} default: ${block} }`,
      fill`label: { ${block}; break label; }`,
      fill`var ${pattern} = ${expression};`,
      fill`return ${expression};`,
      fill`let ${fc.constantFrom("l1", "l2")}${
        fc.nat().map(String)
      } = ${expression}`
        .map((text) => `{ ${text}; }`),
      fill`{ function ${name}(${params}) { ${block} } }`,
      fill`{ class ${name} extends (${operand}) { ${tie("members")} } }`,
    ),
    block: list(tie("statement"), "\n"),
    members: list(
      fc.oneof(
        fill`${name}(${params}) { ${block} }`,
        fill`static async *${name}() { ${block} }`,
        fill`[${expression}] = ${expression};`,
        fill`static ${name} = ${expression};`,
        fill`static { ${name}; }`,
        fill`get ${name}() { ${block} }`,
      ),
      "\n",
    ),
    functionSource: fc.oneof(
      { maxDepth: 3, depthIdentifier: "function" },
      fill`(${params}) => { ${block} }`,
      fill`${name} => ${operand}`,
      fill`function (${params}) { ${block} }`,
      fill`async function ${name}(${params}) { ${block} }`,
      fill`class ${name} { ${tie("members")} }`,
      fill`class extends (${operand}) { ${tie("members")} }`,
    ),
  };
});

const randomFunction = functionSource.map((source) => `(${source})`).filter(
  (code) => {
    try {
      // Parameters of one name, and the like, make it none.
      new Function(code);
      return true;
    } catch {
      return false;
    }
  },
);

property(
  "readSource agrees with a real parser about functions of any shape",
  randomFunction,
  (code) => {
    const wrong = differences(code, "script");
    assert(wrong.length === 0, wrong[0]);
  },
);
