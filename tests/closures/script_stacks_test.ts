/** Stacks of functions that went by their source tell where these stand here. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { FunctionRef } from "../../internal/call/protocol.ts";
import { placeStacks } from "../../internal/closures/script_stacks.ts";
import { ProcessPoolExecutor } from "../../process_pool.ts";
import { ThreadPoolExecutor } from "../../thread_pool.ts";
import { within } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- functions of whatever type
type Any = any;

// What has no place in the emitted code, so that its lines are others.
interface Point {
  readonly x: number;
  readonly y: number;
}

const limit = 3;

function declared(point: Point | undefined): number {
  const { x }: Point = point!;
  return x;
}

const check = (n: number): number => {
  if (n > limit) {
    throw new RangeError(`more than ${limit}`, {
      cause: new TypeError("the cause"),
    });
  }
  return n;
};

const capturing = (n: number): number => check(n + limit) * 2;

class Shape {
  constructor(readonly sides: number) {}

  area(): number {
    if (this.sides > limit) throw new Error("too many sides");
    return this.sides;
  }
}

const object = {
  method(n: number): number {
    return (null as Any).x + n;
  },
  async later(n: number): Promise<number> {
    await null;
    throw new Error(`later ${n}`);
  },
};

const FUNCTIONS: Record<string, [Any, ...unknown[]]> = {
  "a declaration": [declared, undefined],
  "an arrow": [(n: number) => {
    const list: number[] = [];
    return list[n].toFixed();
  }, 1],
  "a closure, and what it captured": [capturing, 5],
  "a method": [object.method, 1],
  "an async method": [object.later, 1],
  "a class that was captured": [(n: number) => new Shape(n).area(), 5],
};

/** The places of a stack that are in this file, but for those of the tests. */
function framesOf(error: unknown): string[] {
  return String((error as Error).stack).split("\n")
    .filter((line) => !/runHere/.test(line))
    .flatMap((line) => /file:\S+:\d+:\d+/.exec(line)?.[0] ?? [])
    .filter((place) => place.startsWith(import.meta.url));
}

async function runHere(fn: Any, args: unknown[]): Promise<unknown> {
  try {
    await fn(...args);
  } catch (error) {
    return error;
  }
}

for (const Pool of [ThreadPoolExecutor, ProcessPoolExecutor]) {
  Deno.test(`${Pool.name}: the stack of what a function threw names file and line of the caller's script`, () =>
    within((async () => {
      await using pool = new Pool({ maxWorkers: 1 });
      for (const [what, [fn, ...args]] of Object.entries(FUNCTIONS)) {
        const here = framesOf(await runHere(fn, args));
        for (let i = 0; i < 2; i++) {
          const error = await pool.submit(fn, ...args).exception() as Error;
          const there = framesOf(error);
          assert(there.length > 0, `${what}: ${error.stack}`);
          // Below these stand the tests, of which a worker knows nothing.
          assertEquals(there, here.slice(0, there.length), what);
          assert(!error.stack!.includes("<anonymous>:"), error.stack);
        }
      }
      const cause =
        (await pool.submit(capturing, 5).exception() as Error).cause;
      assertMatch((cause as Error).stack!, /^\s+at check \(file:/m);
      const [first] = await Array.fromAsync(
        pool.map(capturing, [5], { settled: true }),
      );
      assert(first.status === "rejected");
      assertMatch(first.reason.stack, /^\s+at check \(file:/m);
    })()));
}

Deno.test("a stack tells no place of a function whose text stands in several", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const one = (n: number) => {
    throw new Error(`twice ${n}`);
  };
  const two = (n: number) => {
    throw new Error(`twice ${n}`);
  };
  for (const fn of [one, two]) {
    const error = await pool.submit(fn, 1).exception() as Error;
    assertEquals(framesOf(error), []);
  }
});

Deno.test("what is no record of exceptions is left as it came", () => {
  const ref: FunctionRef = { by: "source", name: "f", source: "() => {}" };
  const odd = [
    undefined,
    5,
    { errors: 5 },
    { errors: [undefined] },
    { errors: [{ stack: 5 }, { stack: "f, <anonymous>:9:9" }] },
    { errors: [{ stack: "    at f (f, <anonymous>:99999999:1)" }] },
    {
      get errors() {
        throw new Error("a getter");
      },
    },
  ];
  for (const what of odd) placeStacks({ what }, ref);
  assertEquals(odd[5], {
    errors: [{ stack: "    at f (f, <anonymous>:99999999:1)" }],
  } as Any);
});
