/** What is known of a function to change nothing: that must never be wrong. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { readSource } from "../../internal/reader/expressions.ts";

function changesNothing(source: string): boolean {
  return readSource(source).changesNothing;
}

const HARMLESS = [
  "(i) => table[i].id",
  "(i) => table?.[i]?.name ?? 0",
  "(i) => table.find((row) => row.id === i)?.name",
  "(text) => text.split(' ').filter((word) => words.has(word)).length",
  "function (i) { let sum = 0; for (const { id } of table) sum += id; return sum; }",
  "async (i) => { await null; return [...table[i].list, `${table.length}`]; }",
  "(i) => JSON.stringify(table[i])",
  "(i) => Math.max(...table.map((row) => row.id))",
  "(i) => { i++; i += table.length; return new Map(table).get(i); }",
];

for (const source of HARMLESS) {
  Deno.test(`a source that only reads is known to: ${source}`, () => {
    assertEquals(changesNothing(source), true);
  });
}

const CHANGING = [
  "(i) => table[i].id = 1",
  "(i) => table[i].id ||= 1",
  "(i) => table[i].id++",
  "(i) => --table[i].id",
  "(i) => delete table[i]",
  "(i) => { [table[i].id] = [1]; }",
  "(i) => { ({ id: table[i].id } = i); }",
  "(i) => { (table[i].id) = 1; }",
  "(i) => { for (table[i].id of [1]); }",
  "(i) => { for (table[i].id in { a: 1 }); }",
  "(i) => table.push(i)",
  "(i) => table['push'](i)",
  "(i) => [i].forEach(table.push, table)",
  "(i) => [i].map(change)",
  "(i) => table.sort((a, b) => a - b)",
  "(i) => table.at(i)(table)",
  "(i) => table.map.call(table, (row) => row)",
  "(i) => JSON.stringify(table, table.push)",
  "(i) => change`${table}`",
  "(i) => { const row = table[i]; row.id = 1; }",
  "(i) => map.set(i, 1)",
  "(i) => set.add(i)",
  "(i) => { function f() { this.id = 1; } return f; }",
  "(i) => import('./change.ts')",
];

for (const source of CHANGING) {
  Deno.test(`a source that may change something is not taken for one that reads: ${source}`, () => {
    assertEquals(changesNothing(source), false);
  });
}

Deno.test("a function that is known to change nothing changes nothing", () => {
  const leaf = fc.constantFrom(
    "t",
    "t.a",
    "t.list",
    "t.list[0]",
    "i",
    "1",
    "'k'",
    "t.map",
  );
  const { expression } = fc.letrec<{ expression: string }>((tie) => {
    const inner = tie("expression");
    const method = fc.constantFrom(
      ..."at concat push pop fill sort splice set get add has join map filter forEach reverse slice shift keys call apply assign find stringify"
        .split(" "),
    );
    return {
      expression: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.tuple(
          inner,
          fc.constantFrom("+", "=", "+=", "&&", "??", ",", "<"),
          inner,
        )
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc.tuple(inner, method, inner).map(([a, m, b]) => `${a}.${m}(${b})`),
        fc.tuple(inner, method, inner).map(([a, m, b]) =>
          `${a}.${m}((x) => ${b})`
        ),
        fc.tuple(inner, inner).map(([a, b]) => `${a}[${b}]`),
        fc.tuple(inner, inner).map(([a, b]) => `[${a}, ...[${b}]]`),
        fc.tuple(inner, inner).map(([a, b]) => `({ a: ${a}, [${b}]: 1 })`),
        inner.map((a) => `delete ${a}.a`),
        inner.map((a) => `${a}.a++`),
        fc.tuple(inner, inner).map(([a, b]) => `[${a}.a] = [${b}]`),
        fc.tuple(inner, inner).map(([a, b]) => `(${a} ? ${b} : ${a})`),
      ),
    };
  });
  let known = 0;
  fc.assert(
    fc.property(expression, (text) => {
      const source = `(i) => (${text})`;
      let fn: (i: number) => unknown;
      const make = () => ({
        a: 1,
        list: [{ a: 1 }, 2, [3]],
        map: new Map([[1, { a: 1 }]]),
      });
      const t = make();
      try {
        fn = new Function("t", `"use strict"; return ${source}`)(t);
      } catch {
        return; // It is no program at all.
      }
      const facts = readSource(source);
      if (!facts.changesNothing || facts.called.size > 0) return;
      known++;
      try {
        fn(1);
      } catch {
        // What it did before that counts.
      }
      assertEquals(t, make(), source);
    }),
    { numRuns: Number(Deno.env.get("FAST_CHECK_RUNS") ?? 2000) },
  );
  assertEquals(known > 100, true, `${known} are too few to tell`);
});
