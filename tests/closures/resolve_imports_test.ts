/** What was imported is imported by the worker: from the same module, whatever the project. */

import { assertSays, project, runIn } from "../_projects.ts";

const SHAPES = (who: string) => `
const seen = new WeakMap();
export function owner() { return seen.get({}) ?? ${JSON.stringify(who)}; }
export const arrow = () => owner();
export class Owner { name = owner(); }
export const facts = { name: ${JSON.stringify(who)}, of: { whom: owner } };
export let word = ${JSON.stringify(who)};
export default () => owner() + "!";
export * as again from "./${who}_more.js";
`;
const MORE = (who: string) =>
  `export const deep = { ${who}: () => Symbol.for("${who}").description };`;

const USES = `
import { compare } from "../compare.js";
import main, { again, arrow, facts, owner, Owner, owner as renamed, word } from "who";
import * as all from "who";
import { helper } from "./helper.js";
await compare({
  "a function": () => owner(),
  "an arrow": () => arrow(),
  "a class": () => new Owner().name,
  "an object": () => facts.name + facts.of.whom(),
  "a word": () => word,
  "the default": () => main(),
  "another name": () => renamed(),
  "all of it": () => all.owner() + Object.keys(all),
  "what is exported again": () => Object.keys(again.deep) + Object.values(again.deep)[0](),
  "in a function of another module": () => helper(),
  "in an object": (() => { const local = { owner, all, list: [facts] }; return () => local.owner() + local.all.word + (local.list[0] === facts); })(),
  "by a variable of a function": (() => { const own = facts; return () => own.of.whom(); })(),
  "itself": owner,
});
`;
const HELPER = `
import { owner, facts } from "who";
const inner = () => owner() + facts.name;
export const helper = () => inner();
`;

Deno.test("imports of a workspace member are those of its own import map", async () => {
  using made = project({
    "deno.json": {
      workspace: ["./member"],
      imports: { who: "./lib/root.js" },
      lock: false,
    },
    "lib/root.js": SHAPES("root"),
    "lib/root_more.js": MORE("root"),
    "lib/member.js": SHAPES("member"),
    "lib/member_more.js": MORE("member"),
    "member/deno.json": {
      name: "@example/member",
      version: "1.0.0",
      exports: "./main.js",
      imports: { who: "../lib/member.js" },
    },
    "member/main.js": USES,
    "member/helper.js": HELPER,
  });
  assertSays(await runIn(made, "member/main.js"), "26 compared");
});

/** A package in `node_modules`, of two versions. */
const VERSIONS = {
  "package.json": { name: "root", private: true, type: "module" },
  "node_modules/who/package.json": {
    name: "who",
    version: "1.0.0",
    type: "module",
    exports: "./root.js",
  },
  "node_modules/who/root.js": SHAPES("root"),
  "node_modules/who/root_more.js": MORE("root"),
  "app/node_modules/who/package.json": {
    name: "who",
    version: "2.0.0",
    type: "module",
    exports: "./app.js",
  },
  "app/node_modules/who/app.js": SHAPES("app"),
  "app/node_modules/who/app_more.js": MORE("app"),
  "app/package.json": { name: "app", version: "1.0.0", type: "module" },
  "app/main.js": USES,
  "app/helper.js": HELPER,
};

Deno.test("imports of a package are those of the version that is nearest to the script", async () => {
  using made = project(VERSIONS);
  assertSays(await runIn(made, "app/main.js"), "26 compared");
});

Deno.test("imports of an import map named on the command line are found in children, too", async () => {
  using made = project({
    "maps/map.json": { imports: { who: "../lib/mapped.js" } },
    "lib/mapped.js": SHAPES("mapped"),
    "lib/mapped_more.js": MORE("mapped"),
    "app/main.js": USES,
    "app/helper.js": HELPER,
    "app/by_module.js": `
import { kinds } from "../compare.js";
import { owner } from "who";
export const task = (n) => owner() + n;
if (import.meta.main) {
  for (const make of Object.values(kinds)) {
    const pool = make({ module: import.meta.url });
    console.log(await pool.submit(task, 1).result());
    await pool.shutdown();
  }
}`,
  });
  const flags = ["-A", "--import-map", "maps/map.json"];
  assertSays(await runIn(made, "app/main.js", { flags }), "26 compared");
  assertSays(
    await runIn(made, "app/by_module.js", { flags }),
    "mapped1\nmapped1",
  );
});

Deno.test("imports that a map has for this script alone are not taken for those of others", async () => {
  using made = project({
    "deno.json": {
      imports: { who: "./lib/others.js" },
      scopes: { "./app/main.js": { who: "./lib/own.js" } },
      lock: false,
    },
    "lib/others.js": SHAPES("others"),
    "lib/others_more.js": MORE("others"),
    "lib/own.js": SHAPES("own"),
    "lib/own_more.js": MORE("own"),
    "app/main.js": USES,
    "app/helper.js": HELPER,
  });
  assertSays(await runIn(made, "app/main.js"), "26 compared");
});

Deno.test("imports of which can't be told where they are from are refused by name", async () => {
  using made = project({
    "deno.json": {
      imports: { who: "./lib/others.js" },
      scopes: { "./app/main.js": { who: "./lib/own.js" } },
      lock: false,
    },
    "lib/others.js": SHAPES("others"),
    "lib/others_more.js": MORE("others"),
    // What waits while it is loaded can't be looked at.
    "lib/own.js": SHAPES("own") + "await 1;",
    "lib/own_more.js": MORE("own"),
    "app/main.js": `
import { kinds } from "../compare.js";
import { facts, owner } from "who";
import { others } from "./others.js";
for (const [kind, make] of Object.entries(kinds)) {
  const pool = make();
  for (const task of [() => owner(), () => facts.name, () => others()]) {
    console.log(kind, await pool.submit(task).result().catch((error) => \`\${error.name}: \${error.message}\`));
  }
  await pool.shutdown();
}`,
    "app/others.js": `
import { owner } from "who";
export const others = () => owner();`,
  });
  const refused = (kind: string, name: string) =>
    `${kind} DataCloneError: Cannot send an anonymous function to a worker: captured "${name}" is imported from "who", and whether a worker would get the same module can't be told; import it in the function, or name the function's module with the module option or taskModule()`;
  // An older runtime has a way to look at it.
  const runtime = Deno as unknown as Record<string | symbol, unknown>;
  const { core } = runtime[runtime.internal as symbol] as { core: object };
  const isOlder = "createLazyLoader" in core;
  assertSays(
    await runIn(made, "app/main.js"),
    ["thread", "process"].flatMap((kind) => [
      ...isOlder
        ? [`${kind} own`, `${kind} own`]
        : [refused(kind, "owner"), refused(kind, "facts")],
      `${kind} others`,
    ]).join("\n"),
  );
});

/** Packages as they come: of both kinds, with paths and packages of their own. */
const PACKAGES = {
  "package.json": { name: "app", private: true, type: "module" },
  "node_modules/plain/package.json": { name: "plain", version: "1.0.0" },
  "node_modules/plain/index.js": `
const own = new WeakMap();
module.exports = { twice: (n) => n * 2, own: () => typeof own.get, nested: { deep: () => require("./deep.js") } };`,
  "node_modules/plain/deep.js": `module.exports = "deep";`,
  "node_modules/callable/package.json": {
    name: "callable",
    version: "1.0.0",
    main: "lib/main.cjs",
  },
  "node_modules/callable/lib/main.cjs": `
const plain = require("plain");
function callable(n) { return plain.twice(n) + 1; }
callable.kind = Symbol("callable");
exports = module.exports = callable;`,
  "node_modules/named/package.json": { name: "named", version: "1.0.0" },
  "node_modules/named/index.js": `
exports.__esModule = true;
exports.first = () => "first";
exports.Second = class { constructor() { this.n = 2; } };`,
  "node_modules/modern/package.json": {
    name: "modern",
    version: "1.0.0",
    type: "module",
    imports: { "#inner": "./inner.js" },
    exports: {
      ".": "./index.js",
      "./sub": "./sub.js",
      "./jsx-runtime": "./jsx.js",
    },
  },
  "node_modules/modern/index.js": `
import inner from "#inner";
import callable from "callable";
export default { inner, call: (n) => callable(n), sign: Symbol("sign") };
export { deep as sub } from "./sub.js";`,
  "node_modules/modern/inner.js": `export default () => "inner";`,
  "node_modules/modern/sub.js": `
const secret = Symbol("secret");
export const deep = (value) => ({ [secret]: value })[secret];`,
  "node_modules/modern/jsx.js": `
const kinds = new WeakMap();
export const Fragment = Symbol("fragment");
export const jsx = (kind, props) => typeof kind === "function" ? kind(props) : \`<\${kind}>\${props.children}</\${kind}>\`;
export const jsxs = jsx;`,
};

Deno.test("imports of packages of every kind are imported where there is a package.json alone", async () => {
  using made = project({
    ...PACKAGES,
    "main.jsx": `/** @jsxImportSource modern */
import { compare } from "./compare.js";
import callable from "callable";
import modern, { sub } from "modern";
import * as path from "modern/sub";
import other, * as whole from "modern";
import named, { first, Second } from "named";
import plain, { twice } from "plain";
const Title = ({ children }) => <h1>{children}</h1>;
await compare({
  "what module.exports is": () => plain.twice(2) + plain.own() + plain.nested.deep(),
  "a name of it": () => twice(3),
  "a function": () => callable(3) + String(callable.kind),
  "names of exports": () => first() + new Second().n,
  "all of the exports": () => named.first(),
  "an object": () => modern.inner() + modern.call(1) + modern.sign.description,
  "what comes from elsewhere": () => sub("s"),
  "a path": () => path.deep("p"),
  "both at once": () => (other === whole.default) + whole.sub("w"),
  "what JSX stands for": () => <p><Title>one</Title>two</p>,
}, { permissions: "none" });`,
    "by_module.js": `
import { kinds } from "./compare.js";
import modern from "modern";
import { twice } from "plain";
export const task = (n) => modern.call(twice(n));
if (import.meta.main) {
  for (const make of Object.values(kinds)) {
    const pool = make({ module: import.meta.url });
    console.log(await pool.submit(task, 1).result());
    await pool.shutdown();
  }
}`,
  });
  assertSays(await runIn(made, "main.jsx"), "20 compared");
  // From any working directory, that of another project included.
  using elsewhere = project({
    "deno.json": { imports: { plain: "./wrong.js" }, lock: false },
    "wrong.js": "export const twice = () => 0;",
  });
  for (const cwd of [made.path, "/", elsewhere.path]) {
    const ended = await runIn(made, "by_module.js", { cwd });
    assertSays(ended, "5\n5");
  }
});

/** (module (func (export "mul") (param i64 i64) (result i64) local.get 0 local.get 1 i64.mul)) */
const MULTIPLIES = Uint8Array.from([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 126, 126, 1, 126, 3, 2, 1],
  ...[0, 7, 7, 1, 3, 109, 117, 108, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 126],
  11,
]);

Deno.test("imports without a source are imported: native and bound functions, exports of WebAssembly", async () => {
  using made = project({
    "deno.json": { lock: false },
    "mul.wasm": MULTIPLIES,
    "bound.js": `
const base = { ten: 10, plus(n) { return this.ten + n; } };
export const plus = base.plus.bind(base);
export const join = Array.prototype.join.bind(["a", "b"]);
export default Map.prototype.get.bind(new Map([["k", "v"]]));`,
    "again.js":
      `export { mul } from "./mul.wasm"; export { join as put } from "./bound.js";`,
    "main.js": `
import { isPromise } from "node:util/types";
import { compare } from "./compare.js";
import { mul } from "./mul.wasm";
import * as wasm from "./mul.wasm";
import lookUp, { join, plus } from "./bound.js";
import * as bound from "./bound.js";
import { mul as times, put } from "./again.js";
const all = { plus, list: [mul] };
const inner = (a) => mul(a, a) + BigInt(plus(1));
await compare({
  "WebAssembly": () => mul(2n, 3n),
  "WebAssembly, all": () => wasm.mul(2n, 3n),
  "WebAssembly, itself": [mul, 4n, 5n],
  "bound": () => plus(1),
  "bound, native": () => join("-"),
  "bound, default": () => lookUp("k"),
  "bound, all": () => bound.plus(2) + bound.default("k"),
  "bound, itself": [plus, 3],
  "bound and native, itself": [join, "+"],
  "exported again": () => times(3n, 3n) + put(""),
  "exported again, itself": [put, "/"],
  "native": () => isPromise(Promise.resolve()),
  "in an object": () => all.list[0](2n, 2n) + BigInt(all.plus(0)),
  "in a function": () => inner(3n),
});`,
  });
  assertSays(await runIn(made, "main.js"), "28 compared");
});

Deno.test("functions without a source that were not imported are refused by name", async () => {
  using made = project({
    "deno.json": { lock: false },
    "main.js": `
import { kinds } from "./compare.js";
const local = Math.max.bind(null, 1);
for (const make of Object.values(kinds)) {
  const pool = make();
  console.log((await pool.submit(() => local(2)).exception()).message);
  console.log((await pool.submit(local, 2).exception()).message);
  await pool.shutdown();
}`,
  });
  const said =
    `Cannot send an anonymous function to a worker: captured "local" is a bound or native function, which has no source; export it from a module and import it, or call what it calls
Cannot send "bound max" to a worker: a bound or native function has no source; pass a function that calls it on its object, such as (...args) => object.method(...args); export it from a module, and name that with the module option or taskModule()`;
  assertSays(await runIn(made, "main.js"), `${said}\n${said}`);
});

Deno.test("imports stay imports in functions that other modules made, and in what these hold", async () => {
  using made = project({
    "deno.json": { lock: false },
    "main.js": `
import { compare } from "./compare.js";
import { makeCounter, registry } from "./maker.js";
import { touch } from "./store.js";
const counter = makeCounter("main");
const later = await import("./store.js");
await compare({
  "a closure of a module": () => counter.name() + counter.name(),
  "an object of functions": () => registry.handlers.first("x"),
  "a module that was imported later": () => later.touch({}) + later.size,
  "itself, with what can't be copied": [touch, {}],
  "what a module hides behind an export": [registry.handlers.first, "y"],
});`,
    "maker.js": `
import { touch, size } from "./store.js";
import * as store from "./store.js";
export const makeCounter = (name) => {
  let last = "";
  return { name: () => last = \`\${name}\${touch({})}\${store.size}\` };
};
const first = (text) => text + touch({}) + size;
export const registry = { handlers: { first } };`,
    "store.js": `
const touched = new WeakSet();
const MARK = Symbol("mark");
export const size = 7;
export function touch(object) {
  object[MARK] = touched.add(object).has(object);
  return String(object[MARK]);
}`,
  });
  assertSays(await runIn(made, "main.js"), "10 compared");
});

Deno.test("imports stay imports in the pools of tasks, at any depth", async () => {
  using made = project({
    ...PACKAGES,
    "store.js": `
const own = new WeakMap();
export const keep = (key) => own.set(key, "kept").get(key);
export class Keeper { keep() { return keep(this); } }`,
    "main.js": `
import { ProcessPoolExecutor, ThreadPoolExecutor } from "${new URL(
      "../../mod.ts",
      import.meta.url,
    )}";
import callable from "callable";
import * as store from "./store.js";
import { Keeper } from "./store.js";
for (const Outer of [ThreadPoolExecutor, ProcessPoolExecutor]) {
  for (const Inner of [ThreadPoolExecutor, ProcessPoolExecutor]) {
    const options = (Pool) => ({ maxWorkers: 1, ...(Pool === ProcessPoolExecutor && { permissions: "inherit" }) });
    await using pool = new Outer(options(Outer));
    console.log(await pool.submit(async () => {
      await using inner = new Inner(options(Inner));
      const text = new Keeper().keep();
      return await inner.submit(async () => {
        await using innermost = new ThreadPoolExecutor({ maxWorkers: 1 });
        return await innermost.submit(() => text + store.keep({}) + new Keeper().keep() + callable(1)).result();
      }).result();
    }).result());
  }
}`,
  });
  const line = "keptkeptkept3";
  assertSays(await runIn(made, "main.js"), `${line}\n`.repeat(4));
});

Deno.test("imports that change are copied as they are at the call, if they hold no object", async () => {
  using made = project({
    "deno.json": { lock: false },
    "state.js": `
export let count = 0;
export let name = "none";
export let last;
export const next = (text) => { count++; last = name; name = text; };`,
    "main.js": `
import { kinds } from "./compare.js";
import { count, last, name, next } from "./state.js";
import * as state from "./state.js";
for (const make of Object.values(kinds)) {
  const pool = make();
  const task = () => [count, name, String(last)].join();
  const first = pool.submit(task);
  next("one");
  const second = pool.submit(task);
  next("two");
  const mapped = pool.map((n) => [n, count, name].join(), [1, 2]);
  next("three");
  const all = pool.submit(() => state.count);
  console.log(await first.result(), await second.result(), (await Array.fromAsync(mapped)).join(";"), await all.result());
  await pool.shutdown();
}`,
  });
  assertSays(
    await runIn(made, "main.js"),
    "0,none,undefined 1,one,none 1,2,two;2,2,two 0\n" +
      "3,three,two 4,one,three 1,5,two;2,5,two 0",
  );
});

Deno.test("imports that are deferred are imported, and not run here for that", async () => {
  using made = project({
    "deno.json": { lock: false },
    "late.js": `
console.log("runs");
const own = Symbol("late");
export const late = () => own.description;`,
    "main.js": `
import { kinds } from "./compare.js";
import defer * as all from "./late.js";
for (const make of Object.values(kinds)) {
  const pool = make();
  console.log(await pool.submit(() => all.late()).result());
  await pool.shutdown();
}
console.log("end");`,
  });
  const ended = await runIn(made, "main.js");
  // Not every runtime knows this.
  if (/SyntaxError|Expected|not supported/.test(ended.stderr)) return;
  assertSays(ended, "runs\nlate\nruns\nlate\nend");
});

Deno.test("what a script of CommonJS requires is imported by workers", async () => {
  using made = project({
    ...PACKAGES,
    "package.json": { name: "app", private: true },
    "helper.cjs": `
const own = new WeakMap();
module.exports = { hold: (key) => own.set(key, "held").get(key) };`,
    "main.cjs": `
const callable = require("callable");
const plain = require("plain");
const named = require("named");
const helper = require("./helper.cjs");
const { basename } = require("node:path");
const path = require("node:path");
const all = { helper };
import("./compare.js").then(({ compare }) => compare({
  "a function": () => callable(1) + String(callable.kind),
  "an object": () => plain.own() + plain.nested.deep(),
  "names": () => named.first() + new named.Second().n,
  "a file": () => helper.hold({}),
  "in an object": () => all.helper.hold({}),
  "of node:": () => basename("/a/b") + path.extname("c.txt"),
  "itself": [callable, 1],
}, { permissions: "none" }));`,
  });
  assertSays(await runIn(made, "main.cjs"), "14 compared");
});
