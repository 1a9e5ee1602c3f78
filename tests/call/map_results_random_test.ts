/** Maps and submits of random shape, held against what a plain loop gives. */

import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import type { Executor } from "../../executor.ts";
import type { Input } from "../../internal/call/map_results.ts";
import { ProcessPoolExecutor } from "../../process_pool.ts";
import { ThreadPoolExecutor } from "../../thread_pool.ts";
import { within } from "../_helpers.ts";

/** How many programs each pool runs: a tenth of `FAST_CHECK_RUNS`, or 30. */
const runs = Number(Deno.env.get("FAST_CHECK_RUNS") ?? 300) / 10;

/** What an item is to do. */
interface Item {
  readonly n: number;
  /** How long it is busy, in milliseconds. */
  readonly ms: number;
  /** What it gives; see `kinds`. */
  readonly kind: number;
  /** Something that is not plain, for the item to travel otherwise. */
  readonly extra: unknown;
}

/** Self-contained. */
function perform({ n, ms, kind, extra }: Item): unknown {
  const end = performance.now() + ms;
  while (ms > 0 && performance.now() < end);
  const kinds = [
    () => n,
    () => `${n}`,
    () => ({ n, list: [n] }),
    () => undefined,
    () => [NaN, -0, Infinity, 1e21, null, true, false][n % 7],
    () => BigInt(n),
    () => Promise.resolve(n),
    () => new Map([[n, extra]]),
    () => {
      throw new RangeError(`item ${n}`);
    },
  ];
  return kinds[kind]();
}

/** What was done with a map or a submit. */
type Step =
  | {
    readonly is: "map";
    readonly items: readonly Omit<Item, "n">[];
    readonly options: {
      readonly chunksize?: number;
      readonly buffersize?: number;
    };
    readonly async: boolean;
    /** After how many results it is left. */
    readonly leave: number;
  }
  | { readonly is: "submit"; readonly item: Omit<Item, "n"> };

const item: fc.Arbitrary<Omit<Item, "n">> = fc.record({
  ms: fc.oneof(
    { weight: 300, arbitrary: fc.constant(0) },
    { weight: 10, arbitrary: fc.constant(0.05) },
    { weight: 1, arbitrary: fc.constant(5) },
  ),
  kind: fc.oneof(
    { weight: 10, arbitrary: fc.constant(0) },
    { weight: 10, arbitrary: fc.nat(7) },
  ),
  extra: fc.oneof(
    { weight: 40, arbitrary: fc.constant(0) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(new Map([[1, 2]]), 5n, undefined, new Date(0)),
    },
  ),
});

const items = fc.tuple(
  fc.oneof(
    fc.array(item, { maxLength: 5 }),
    fc.array(item, { minLength: 200, maxLength: 600, size: "max" }),
  ),
  fc.option(fc.nat(600), { freq: 3 }),
).map(([all, bad]) => {
  if (bad !== null && bad < all.length) all[bad] = { ...all[bad], kind: 8 };
  return all;
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant("map" as const),
      items,
      options: fc.record({
        chunksize: fc.constantFrom(1, 3, 50, 1000),
        buffersize: fc.constantFrom(1, 2, 10, 1000),
      }, { requiredKeys: [] }),
      async: fc.boolean(),
      leave: fc.oneof(fc.constant(Infinity), fc.nat(300)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ is: fc.constant("submit" as const), item }),
  },
);

/** What came of something, as text: a value of each kind has its own. */
function shown(value: unknown): string {
  return Object.is(value, -0) ? "-0" : Deno.inspect(value);
}

async function outcome(run: () => unknown): Promise<string> {
  try {
    return shown(await run());
  } catch (error) {
    return `${error}`;
  }
}

/** What a plain loop gives. */
async function plain(items: readonly Item[], leave: number): Promise<string[]> {
  const got: string[] = [];
  for (const item of items) {
    if (got.length >= leave) break;
    got.push(await outcome(() => perform(item)));
    if (item.kind === 8) break;
  }
  return got;
}

async function mapped(
  results: AsyncIterableIterator<unknown>,
  leave: number,
): Promise<string[]> {
  const got: string[] = [];
  if (leave === 0) await results.return!();
  try {
    for await (const value of results) {
      if (got.push(shown(value)) >= leave) break;
    }
  } catch (error) {
    got.push(`${error}`);
  }
  return got;
}

async function* later<T>(values: readonly T[]): AsyncGenerator<T> {
  for (const value of values) yield await Promise.resolve(value);
}

async function play(pool: Executor, steps: readonly Step[]): Promise<void> {
  let n = 0;
  const waits: Promise<void>[] = [];
  for (const [i, step] of steps.entries()) {
    if (step.is === "submit") {
      const item = { ...step.item, n: n++ };
      const future = pool.submit(perform, item);
      waits.push((async () => {
        assertEquals(
          await outcome(() => future.result()),
          await outcome(() => perform(item)),
          `submit ${i}`,
        );
      })());
    } else {
      const { options, leave } = step;
      const items = step.items.map((item) => ({ ...item, n: n++ }));
      const input: Input<Item> = step.async && options.buffersize
        ? later(items)
        : items;
      const results = pool.map(perform, input, options);
      waits.push((async () => {
        assertEquals(
          await mapped(results, leave),
          await plain(items.map((item) => ({ ...item, ms: 0 })), leave),
          `map ${i}`,
        );
      })());
    }
  }
  await Promise.all(waits);
}

for (const kind of ["thread", "process"] as const) {
  Deno.test(`${kind} pool: maps and submits of any shape give what a plain loop gives`, async () => {
    for (const maxWorkers of [1, 3]) {
      const pool: ThreadPoolExecutor | ProcessPoolExecutor = kind === "thread"
        ? new ThreadPoolExecutor({ maxWorkers })
        : new ProcessPoolExecutor({ maxWorkers });
      try {
        await fc.assert(
          fc.asyncProperty(
            fc.array(step, { minLength: 1, maxLength: 5 }),
            async (steps) => {
              await within(play(pool, steps));
            },
          ),
          { numRuns: Math.ceil(runs / 2), endOnFailure: true },
        );
      } finally {
        await within(pool.shutdown());
      }
      const { waiting, running } = pool.stats().calls;
      assertEquals([waiting, running], [0, 0]);
    }
  });
}
