/** Functions of `node:` modules: found by module and name, wherever they run. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import assertNode from "node:assert";
import { createHmac, getHashes, timingSafeEqual } from "node:crypto";
import fs from "node:fs";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { dirname, relative } from "node:path";
import { join as joinPosix } from "node:path/posix";
import { parse } from "node:querystring";
import { setTimeout as later } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { isMap, isSet } from "node:util/types";
import zlib, { inflateSync } from "node:zlib";
import { EventLoopExecutor } from "../../event_loop_executor.ts";
import { describe } from "../../internal/functions/describe.ts";
import { nodePath } from "../../internal/functions/node_functions.ts";
import { ProcessPoolExecutor, ThreadPoolExecutor } from "../../mod.ts";
import { assertSays, project, runIn } from "../_projects.ts";

// deno-lint-ignore no-explicit-any -- functions of any type
type Any = any;

const KINDS = {
  thread: (options: object) =>
    new ThreadPoolExecutor({ maxWorkers: 1, ...options }),
  process: (options: object) =>
    new ProcessPoolExecutor({
      maxWorkers: 1,
      permissions: "inherit",
      ...options,
    }),
  "event loop": () => new EventLoopExecutor({ maxWorkers: 1 }),
};

const here = new URL(import.meta.url).pathname;
const CALLS: readonly [fn: Any, ...args: Any[]][] = [
  [dirname, "/a/b/c"],
  [relative, "/a/b", "/a/c"],
  [joinPosix, "a", "..", "b"],
  [parse, "a=1&b=2"],
  [isIP, "127.0.0.1"],
  [isSet, new Set()],
  [isSet, new Map()],
  [stripVTControlCharacters, "\x1b[1mbold\x1b[0m"],
  [getHashes],
  [timingSafeEqual, new Uint8Array(4), new Uint8Array(4)],
  [fs.existsSync, here],
  [fs.promises.access, here],
  [readFile, here, "utf8"],
  [later, 1, "later"],
  [assertNode, true],
  [assertNode.strict.deepEqual, { a: [1] }, { a: [1] }],
];

for (const [kind, make] of Object.entries(KINDS)) {
  for (const closures of [true, false]) {
    Deno.test(
      `${kind} pool: functions of node: modules run as here${
        closures ? "" : ", with closures: false, too"
      }`,
      async () => {
        await using pool = make({ closures });
        for (const [fn, ...args] of CALLS) {
          assertEquals(
            await pool.submit(fn, ...args).result(),
            await fn(...args),
            fn.name,
          );
        }
        const packed = zlib.deflateSync("text");
        const text = await pool.submit(inflateSync as Any, packed).result();
        assertEquals(new TextDecoder().decode(text as Uint8Array), "text");
        assertEquals(
          await Array.fromAsync(pool.map(dirname, ["/x/y", "/z/y"])),
          ["/x", "/z"],
        );
      },
    );
  }

  Deno.test(`${kind} pool: functions of node: modules go along with functions that captured them`, async () => {
    await using pool = make({});
    assertEquals(await pool.submit(() => isMap(new Map())).result(), true);
    // The same one itself, after it was captured.
    assertEquals(await pool.submit(isMap, new Map()).result(), true);
    const all = { fns: [dirname] as const, zlib };
    const own = process.getBuiltinModule("node:path").basename;
    assertEquals(
      await pool.submit(() => [
        all.fns[0]("/a/b"),
        all.zlib.inflateSync(all.zlib.deflateSync("x")).length,
        own("/c/d"),
        createHmac("sha1", "k").update("x").digest("hex").length,
      ]).result(),
      ["/a", 1, "d", 40],
    );
  });
}

Deno.test("every function that a node: module exports is found by the way to it", () => {
  let count = 0;
  const missing: string[] = [];
  const { builtinModules } = process.getBuiltinModule("node:module");
  for (const listed of builtinModules) {
    if (/^(_|internal\/)/.test(listed)) continue;
    const name = `node:${listed.replace(/^node:/, "")}`;
    const module = process.getBuiltinModule(name) as Any;
    if (!module) continue;
    for (const key of ["", ...Object.getOwnPropertyNames(module)]) {
      const found = key === ""
        ? { value: module }
        : Object.getOwnPropertyDescriptor(module, key)!;
      const fn = found.value;
      if (typeof fn !== "function") continue;
      count++;
      const [first, ...rest] = nodePath(fn) ?? [""];
      let value: Any = process.getBuiltinModule(first);
      for (const step of rest) value = value?.[step];
      if (value !== fn) missing.push(`${name} ${key}`);
    }
  }
  assertEquals(missing, []);
  assert(count > 700, `${count}`);
});

Deno.test("a function of the program with the name of one of node: is no such function", () => {
  const text = "a helper";
  const own = { dirname: () => text };
  assertEquals(describe(own.dirname, "submit").by, "source");
  assertEquals(describe(dirname, "submit").name, "node:path.dirname");
  assertStrictEquals(describe(dirname, "submit"), describe(dirname, "submit"));
});

Deno.test("functions of node: modules are found without any permission", async () => {
  using made = project({
    "deno.json": { lock: false },
    "main.js": `
import { ThreadPoolExecutor } from "${new URL(
      "../../mod.ts",
      import.meta.url,
    )}";
import { extname } from "node:path";
import { isRegExp } from "node:util/types";
import { format } from "node:util";
await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
console.log(await pool.submit(extname, "a.txt").result(), await pool.submit(isRegExp, /a/).result());
console.log(await pool.submit(format, "%d", 1).result());`,
  });
  assertSays(await runIn(made, "main.js", { flags: [] }), ".txt true\n1");
});

Deno.test("thread pool: a function of a node: module that is not there any more is refused by name", async () => {
  await using pool = KINDS.thread({ closures: false });
  await pool.submit(() => {
    const fake = { getBuiltinModule: () => ({ dirname: () => "fake" }) };
    Object.defineProperty(globalThis, "process", { value: fake });
  }).result();
  const future = pool.submit(dirname, "/a/b");
  const error = await future.exception() as Error;
  // Where the runtime's own can still be had, it is the one that runs.
  if (error === undefined) assertEquals(await future.result(), "/a");
  else {
    assertEquals(
      [error.name, error.message],
      [
        "DataCloneError",
        'Cannot find "node:path.dirname" in the worker: a task may have replaced the process object, or its runtime is of another version',
      ],
    );
  }
});
