/** Nothing inside depends on what a program has put on prototypes that are not its own. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { jsonOf } from "../../internal/base/own_json.ts";
import { ProcessPoolExecutor, ThreadPoolExecutor } from "../../mod.ts";
import { within } from "../_helpers.ts";

const put: Record<string, [owner: object, key: PropertyKey, value: unknown]> = {
  "all arrays a toJSON": [Array.prototype, "toJSON", () => "changed"],
  "all objects a toJSON": [Object.prototype, "toJSON", () => "changed"],
  "all texts a toJSON": [String.prototype, "toJSON", () => "changed"],
};

for (
  const [kind, Pool] of Object.entries({
    thread: ThreadPoolExecutor,
    process: ProcessPoolExecutor,
  })
) {
  for (const [what, [owner, key, value]] of Object.entries(put)) {
    Deno.test(`${kind} pool: in a program that gives ${what}, calls give what they give elsewhere`, async () => {
      const one = 1;
      const captured = [one, { a: [one] }];
      const found: unknown[] = [];
      let error: Error | undefined;
      Object.defineProperty(owner, key, {
        value,
        configurable: true,
        writable: true,
      });
      try {
        const executor = new Pool({ maxWorkers: 1 });
        const calls = [
          executor.submit((n: number) => n + one, 1),
          executor.submit((list: unknown[]) => list, [1, "a"]),
          executor.submit((object: unknown) => object, { a: { b: [1] } }),
          executor.submit((map: unknown) => map, new Map([[1, [-0]]])),
          executor.submit(() => captured),
          executor.submit(() => ["another", captured]),
        ];
        for (const call of calls) found.push(await within(call.result()));
        for await (const n of executor.map((n: number) => [n * 2], [1, 2, 3])) {
          found.push(n);
        }
        error = await within(
          executor.submit(() => {
            throw new TypeError("wrong", { cause: [1] });
          }).exception(),
        ) as Error;
        await within(executor.shutdown());
      } finally {
        Reflect.deleteProperty(owner, key);
      }
      assertEquals(found, [
        2,
        [1, "a"],
        { a: { b: [1] } },
        new Map([[1, [-0]]]),
        [1, { a: [1] }],
        ["another", [1, { a: [1] }]],
        [2],
        [4],
        [6],
      ]);
      assertInstanceOf(error, TypeError);
      assertEquals([error.message, error.cause], ["wrong", [1]]);
    });
  }
}

Deno.test("jsonOf gives what JSON.stringify gives where nobody has a toJSON, and the same where all have", () => {
  const values = [
    1,
    "a\n",
    null,
    true,
    [],
    {},
    [1, [2, "b"]],
    { a: 1, "b c": [{ d: null }], e: undefined },
  ];
  const expected = values.map((value) => JSON.stringify(value));
  assertEquals(values.map(jsonOf), expected);
  for (const owner of [Array.prototype, Object.prototype]) {
    Object.defineProperty(owner, "toJSON", {
      value: () => "changed",
      configurable: true,
    });
    const found: string[] = [];
    try {
      for (const value of values) found.push(jsonOf(value));
    } finally {
      Reflect.deleteProperty(owner, "toJSON");
    }
    assertEquals(found, expected);
  }
});
