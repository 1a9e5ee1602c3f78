/**
 * What runs in a worker travels as its source: each such function uses nothing but
 * its parameters, what it declares, and globals.
 */

import { assert, assertEquals } from "@std/assert";
import { readSource } from "../../internal/reader/expressions.ts";

// deno-lint-ignore no-explicit-any -- whatever a module exports
type Any = any;

const INTERNAL = new URL("../../internal/", import.meta.url);

/** The functions whose documentation says that they are self-contained, by file. */
function* selfContained(): Generator<[file: string, name: string]> {
  for (const { name: wing } of Deno.readDirSync(INTERNAL)) {
    for (const { name } of Deno.readDirSync(new URL(`${wing}/`, INTERNAL))) {
      const file = `${wing}/${name}`;
      const text = Deno.readTextFileSync(new URL(file, INTERNAL));
      for (const { 0: docs, index } of text.matchAll(/\/\*\*.*?\*\//gs)) {
        if (!/\bSelf-contained\b/.test(docs)) continue;
        const declared = /^\s*export (?:async )?function (\w+)/
          .exec(text.slice(index + docs.length));
        if (declared) yield [file, declared[1]];
      }
    }
  }
}

/** The names that a function has from around it and that are no globals of the language or the web. */
function outerNames(fn: (...args: never[]) => unknown): string[] {
  return readSource(String(fn)).names.filter((name) => !(name in globalThis));
}

const all = [...selfContained()].sort();

Deno.test("what runs in a worker is found by what its documentation says", () => {
  assert(all.length >= 19, `${all}`);
  const wings = new Set(all.map(([file]) => file.split("/")[0]));
  for (const wing of ["inside", "threads", "processes", "values"]) {
    assert(wings.has(wing), wing);
  }
});

for (const [file, name] of all) {
  Deno.test(`${name} of ${file} uses nothing from around it`, async () => {
    const { [name]: fn }: Any = await import(new URL(file, INTERNAL).href);
    assertEquals(outerNames(fn), []);
  });
}

Deno.test("the wing of what runs in a worker has no file without such a function", () => {
  const files = [...Deno.readDirSync(new URL("inside/", INTERNAL))]
    .map(({ name }) => `inside/${name}`).sort();
  assertEquals(files, [
    ...new Set(
      all.map(([file]) => file).filter((file) => file.startsWith("inside/")),
    ),
  ]);
});
