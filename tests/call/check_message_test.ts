/** Whatever a worker says that is no message, or about no call of its, fails its calls, and hangs nobody. */

import {
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import * as fc from "fast-check";
import { isFromWorker } from "../../internal/call/check_message.ts";
import { reviveThrown } from "../../internal/call/revive_error.ts";
import { BrokenProcessPool, ProcessPoolExecutor } from "../../mod.ts";
import { property } from "../_checks.ts";
import { within } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- whatever is sent
type Any = any;

const record = {
  class: ["TypeError"],
  name: "TypeError",
  message: "no",
  stack: "TypeError: no",
  links: { cause: { error: 0 }, errors: [{ value: 1 }] },
  props: { code: { value: 5 } },
};
const thrown = { thrown: { error: 0 }, errors: [record] };

/** One of each kind. */
const messages: Any[] = [
  { type: "ready", failures: [thrown] },
  { type: "initializer failed", outcome: { is: "threw", what: thrown } },
  {
    type: "outcome",
    slot: 0,
    ms: 1,
    item: 0,
    outcome: { is: "returned", value: 1 },
  },
  { type: "outcome", slot: 0, ms: 1, outcome: { is: "threw", what: thrown } },
  {
    type: "outcome",
    slot: 0,
    ms: 1,
    outcome: { is: "unguarded", message: "no" },
  },
  { type: "returned", slots: [1], chunks: [[0, 1]] },
  { type: "started", slot: 0, call: 1 },
  { type: "listens", slot: 0, call: 1 },
  { type: "aborting", slot: 0, call: 1, listens: true },
  { type: "look" },
  { type: "printed", bytes: new Uint8Array(1), toStderr: false },
  { type: "skipped", slots: [0] },
  { type: "died", how: "an error", error: thrown },
];

Deno.test("arrivals: what a worker says is taken", () => {
  for (const message of messages) {
    assertEquals(isFromWorker(message), true, Deno.inspect(message));
  }
});

for (
  const message of [
    undefined,
    null,
    5,
    "ready",
    [],
    {},
    { type: "exit" },
    { type: "outcome" },
    { type: "outcome", slot: "0", ms: 1, outcome: { is: "returned" } },
    { type: "outcome", slot: -1, ms: 1, outcome: { is: "returned" } },
    { type: "outcome", slot: 0.5, ms: 1, outcome: { is: "returned" } },
    { type: "outcome", slot: 0, ms: null, outcome: { is: "returned" } },
    { type: "outcome", slot: 0, ms: 1, outcome: null },
    { type: "outcome", slot: 0, ms: 1, outcome: { is: "thrown" } },
    { type: "outcome", slot: 0, ms: 1, outcome: { is: "raised", error: {} } },
    { type: "outcome", slot: 0, ms: 1, item: -1, outcome: { is: "returned" } },
    { type: "outcome", slot: 0, ms: 1, outcome: { is: "threw", what: {} } },
    { type: "outcome", slot: 0, ms: 1, outcome: { is: "unguarded" } },
    { type: "returned", slots: 5 },
    { type: "returned", slots: [null] },
    { type: "returned", slots: [], chunks: [[1]] },
    { type: "returned", slots: [], chunks: [[1, -1]] },
    { type: "returned", slots: [], chunks: 5 },
    { type: "skipped", slots: ["0"] },
    { type: "started", slot: 0 },
    { type: "printed", bytes: [1], toStderr: true },
    { type: "died", how: 5 },
    { type: "died", how: "so", error: 5 },
    { type: "ready", failures: [5] },
  ]
) {
  Deno.test(`arrivals: ${Deno.inspect(message)} is no message`, () => {
    assertEquals(isFromWorker(message), false);
  });
}

/** A value with something else in one place of it. */
function changed(value: Any, way: readonly number[], other: unknown): Any {
  if (way.length === 0 || typeof value !== "object" || value === null) {
    return other;
  }
  const keys = Object.keys(value);
  if (keys.length === 0) return other;
  const key = keys[way[0] % keys.length];
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[key] = changed(value[key], way.slice(1), other);
  return copy;
}

property(
  "arrivals: with anything in any place, a message is one or is none, and its exception can be made",
  fc.tuple(
    fc.constantFrom(...messages),
    fc.array(fc.nat(9), { minLength: 1, maxLength: 7 }),
    fc.anything(),
  ),
  ([message, way, other]) => {
    const sent = changed(message, way, other);
    assertEquals(typeof isFromWorker(sent), "boolean");
    const what = sent?.error ?? sent?.outcome?.what;
    if (what !== undefined) reviveThrown(what);
  },
);

property(
  "arrivals: the record of an exception, with anything in any place, gives what it can, and throws nothing",
  fc.tuple(
    fc.array(fc.nat(9), { minLength: 1, maxLength: 6 }),
    fc.anything({ withBigInt: true, withNullPrototype: true }),
  ),
  ([way, other]) => {
    reviveThrown(changed(thrown, way, other));
  },
);

// ---- A child that was made by hand -------------------------------------------

const linux = Deno.build.os === "linux";

/** What came of calls in a pool whose only child says this once it has them. */
async function callsWith(says: readonly string[]): Promise<unknown[]> {
  const directory = await Deno.makeTempDir();
  const execPath = `${directory}/child`;
  const program = new URL("../programs/child_by_hand.ts", import.meta.url);
  await Deno.writeTextFile(
    execPath,
    `#!/bin/sh\nexec "${Deno.execPath()}" run --no-config --allow-env --no-check "${program.pathname}"\n`,
    { mode: 0o755 },
  );
  try {
    const executor = new ProcessPoolExecutor({
      maxWorkers: 1,
      execPath,
      closures: false,
      env: { SAYS: JSON.stringify(says) },
    });
    const calls = [1, 2, 3].map((n) => executor.submit((n: number) => n, n));
    const mapped = Array.fromAsync(executor.map((n: number) => n, [1, 2, 3]))
      .catch((error) => error);
    const errors = await within(
      Promise.all([...calls.map((call) => call.exception()), mapped]),
    );
    await within(executor.shutdown());
    return errors;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (
  const says of [
    [`5`],
    [`null`],
    [`"text"`],
    [`{}`],
    [`[]`],
    [`[null,0,1,2]`],
    [`[0,0,null,2]`],
    [`[0,0,"5",2]`],
    [`[0,7,5,2]`],
    [`[1000,0,5,2]`],
    [`[-1,0,5,2]`],
    [`[0.5,0,5,2]`],
    [`["0",0,5,2]`],
    [`[0,0,-5,2]`],
    [`[0,0,1e400,2]`],
    [`[0,0,5,2],[1,0,5,2]`],
    [`{"type":"results","results":5}`],
    [`{"type":"results","results":[0,0,1]}`],
    [`{"type":"results","results":[900,0,1,2]}`],
    [`{"type":"outcome"}`],
    [`{"type":"outcome","slot":0,"ms":1,"outcome":{"is":"threw","what":5}}`],
    [`{"type":"returned","slots":{}}`],
    [`{"type":"skipped","slots":[{}]}`],
    [`{"type":"died","how":5}`],
    [`{"type":"died","how":"so","error":{"thrown":{"error":7},"errors":[]}}`],
    [`{"v8":-1}`],
    [`{"v8":3,"buffers":{}}`],
    [`{"v8":0,"buffers":[],"is":"returned","slot":99,"item":0,"ms":1}`],
    [`{"v8":0}`],
    [`{`],
    [`[0,0,5,`],
    [``],
  ]
) {
  Deno.test({
    name: `process pool: a child that says ${
      says.join(" and ") || "nothing"
    } fails its calls as one that sent what could not be read`,
    ignore: !linux,
  }, async () => {
    const errors = await callsWith(says);
    const failed = errors.filter((error) => error instanceof Error) as Error[];
    for (const error of failed) {
      assertInstanceOf(error, BrokenProcessPool);
      assertStringIncludes(error.message, "sent what could not be read");
    }
    // The one that it did end, before it said too much, has a result.
    assertEquals(failed.length >= 3, true, Deno.inspect(errors));
  });
}
