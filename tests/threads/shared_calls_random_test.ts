/** Which function runs: sends of random shape, held against what was submitted. */

import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import type { CallMessage, FunctionRef } from "../../internal/call/protocol.ts";
import { makeCells } from "../../internal/threads/cells.ts";
import {
  FunctionNumbers,
  FUNCTIONS,
  makeWorkerSharedCalls,
  SharedCalls,
} from "../../internal/threads/shared_calls.ts";
import { type Future, ThreadPoolExecutor } from "../../mod.ts";
import { within } from "../_helpers.ts";

const numRuns = Number(Deno.env.get("FAST_CHECK_RUNS") ?? 300) / 3;
const SLOTS = 256;

/** A number, the same each time for the same two, below `most`. */
function scattered(seed: number, i: number, most: number): number {
  let x = Math.imul(seed ^ Math.imul(i + 1, 0x9e3779b1), 0x85ebca6b);
  x = Math.imul(x ^ x >>> 13, 0xc2b2ae35);
  return ((x ^ x >>> 16) >>> 0) % most;
}

/** Calls that are handed over together. */
interface Send {
  readonly is: "send";
  readonly seed: number;
  readonly count: number;
  /** Of ten calls, how many have an argument that is not plain. */
  readonly large: number;
  /** What is sent while the message is made, as a getter may do. */
  readonly inside: readonly Send[];
  /** Whether the message can't be sent after all. */
  readonly throws: boolean;
}

type Step = Send | { readonly is: "read"; readonly most: number };

const send: fc.Arbitrary<Send> = fc.letrec<{ send: Send }>((tie) => ({
  send: fc.record({
    is: fc.constant("send" as const),
    seed: fc.nat(),
    count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.nat(SLOTS)),
    large: fc.constantFrom(0, 0, 1, 5),
    inside: fc.oneof(
      { maxDepth: 2, depthIdentifier: "inside" },
      fc.constant<Send[]>([]),
      fc.array(tie("send"), {
        maxLength: 2,
        depthIdentifier: "inside",
      }),
    ),
    throws: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  }),
})).send;

const steps = fc.array(
  fc.oneof(
    send,
    fc.record({ is: fc.constant("read" as const), most: fc.nat(2 * SLOTS) }),
  ),
  { maxLength: 30, size: "max" },
);

/** Plays steps with both ends in one thread; the worker must get what was sent, in order. */
function play(functions: number, steps: readonly Step[]): void {
  const fns = Array.from({ length: functions }, (_, i): FunctionRef => ({
    by: "source",
    name: `f${i}`,
    source: `() => ${i}`,
  }));
  const posted: CallMessage[] = [];
  const pool = new SharedCalls(SLOTS, () => {});
  const worker = makeWorkerSharedCalls(makeCells, () => () => false);
  worker.open(pool.shared, () => {});
  const free = Array.from({ length: SLOTS }, (_, slot) => slot);
  const sent: CallMessage[] = [];

  function hand({ seed, count, large, inside, throws }: Send): void {
    const calls: CallMessage[] = [];
    for (let i = 0; i < count && free.length > 0; i++) {
      const fn = fns[scattered(seed, i, functions)];
      const isLarge = scattered(seed + 1, i, 10) < large;
      calls.push({ slot: free.pop()!, fn, args: isLarge ? [{}] : [i] });
    }
    if (calls.length === 0) return;
    const why = new Error("it can't be sent");
    let posts = 0;
    try {
      pool.send(calls, (messages) => {
        posts++;
        for (const each of inside) hand(each);
        if (throws) throw why;
        posted.push(...messages);
      });
    } catch (error) {
      assertEquals(error, why);
      free.push(...calls.map(({ slot }) => slot));
      return;
    }
    assert(posts < 2, "a send posts once at most");
    sent.push(...calls);
  }

  function read(most: number): void {
    for (let i = 0; i < most && sent.length > 0; i++) {
      const call = worker.next(() => posted.shift());
      const { slot, fn, args } = sent.shift()!;
      assertEquals([call?.slot, call?.fn, call?.args], [slot, fn, args]);
      free.push(slot);
    }
  }

  try {
    if (!pool.shared.calls) return;
    for (const step of steps) {
      if (step.is === "send") hand(step);
      else read(step.most);
    }
    read(Infinity);
    assertEquals(worker.next(() => posted.shift()), undefined);
  } finally {
    pool.close();
  }
}

Deno.test({
  name:
    "lanes: the function that comes out is the one that went in, of however many, in whatever order",
  permissions: { env: ["FAST_CHECK_RUNS"] },
  fn() {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), steps, play),
      { numRuns },
    );
  },
});

Deno.test("lanes: a send of more functions than have numbers, known and new, mistakes none", () => {
  const all: Step[] = [];
  for (const seed of [3, 5, 8]) {
    for (const large of [0, 5]) {
      const one: Send = {
        is: "send",
        seed,
        count: SLOTS,
        large,
        inside: [],
        throws: false,
      };
      all.push(one, { is: "read", most: SLOTS });
      const few = { ...one, count: SLOTS / 4 };
      all.push({ ...few, inside: [few, { ...few, inside: [few] }] });
      all.push({ is: "read", most: SLOTS });
    }
  }
  for (const functions of [FUNCTIONS - 1, FUNCTIONS + 1, 300, 700]) {
    play(functions, all);
  }
});

Deno.test("lanes: a number that is kept is given to no other function, and none is given where all are", () => {
  const numbers = new FunctionNumbers(3);
  const [a, b, c, d]: FunctionRef[] = [..."abcd"].map((name) => ({
    by: "source",
    name,
    source: name,
  }));
  assertEquals([a, b, c].map((fn) => numbers.give(fn)), [0, 1, 2]);
  numbers.keep(0);
  numbers.keep(0);
  numbers.keep(1);
  assertEquals(numbers.give(d), 2);
  assertEquals([a, b, c, d].map((fn) => numbers.of(fn)), [0, 1, undefined, 2]);
  numbers.keep(2);
  assertEquals(numbers.give(c), undefined);
  numbers.letGo(0);
  assertEquals(numbers.give(c), undefined, "it is kept for another entry");
  numbers.letGo(0);
  assertEquals(numbers.give(c), 0);
  assertEquals(numbers.of(a), undefined);
});

Deno.test("lanes: in a thread the function that was submitted is the one that runs, of however many, in whatever order", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1, closures: false });
  const fns = Array.from(
    { length: 1000 },
    (_, i): (_: unknown) => number => (0, eval)(`() => ${i}`),
  );
  // Known as short, they are handed over together.
  for (const fn of fns) for (let i = 0; i < 2; i++) pool.submit(fn, 0);
  await within(pool.submit(fns[0], 0).result());
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: fns.length }),
    fc.nat(),
    fc.integer({ min: 1, max: 1500 }),
    fc.constantFrom(0, 1, 5),
    async (functions, seed, count, large) => {
      const futures: [number, Future<number>][] = [];
      const submit = (i: number, depth: number) => {
        const which = scattered(seed, i, functions);
        const isLarge = scattered(seed + 1, i, 10) < large;
        // Reading it has another call submitted, in the middle of a send.
        const reads = {
          get again() {
            if (depth < 3) submit(i + 7, depth + 1);
            return 0;
          },
        };
        futures.push([which, pool.submit(fns[which], isLarge ? reads : i)]);
      };
      for (let i = 0; i < count; i++) {
        submit(i, 0);
        if (scattered(seed + 2, i, 300) === 0) {
          await futures.at(-1)![1].result();
        }
      }
      for (const [which, future] of futures) {
        assertEquals(await within(future.result()), which);
      }
    },
  );
  await fc.assert(property, { numRuns: numRuns / 10 });
});
