import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { Statistics, Times } from "../../internal/call/statistics.ts";
import { property } from "../_checks.ts";

function timesOf(list: readonly number[]): Times {
  const times = new Times();
  for (const ms of list) times.add(ms);
  return times;
}

/** The time that no more than so many of all are longer than. */
function exact(list: readonly number[], part: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * part) - 1];
}

Deno.test("times of nothing are all zero", () => {
  assertEquals(new Times().stats(), {
    count: 0,
    mean: 0,
    p50: 0,
    p99: 0,
    max: 0,
  });
});

Deno.test("times of one are that one", () => {
  for (const ms of [0.5, 1, 1234.5, 1e9]) {
    const { count, mean, p50, p99, max } = timesOf([ms]).stats();
    assertEquals([count, mean, max], [1, ms, ms]);
    for (const middle of [p50, p99]) {
      assert(Math.abs(middle - ms) <= ms * 0.03, `${middle} for ${ms}`);
    }
  }
});

Deno.test("times of no time at all are zero, and what is shorter than a microsecond counts as such", () => {
  assertEquals(timesOf([0, 0, 0]).stats(), {
    count: 3,
    mean: 0,
    p50: 0,
    p99: 0,
    max: 0,
  });
  assertEquals(timesOf([0.0005]).stats().p50, 0);
});

Deno.test("times however long are counted", () => {
  const { count, max, p99 } = timesOf([1, 1e15]).stats();
  assertEquals([count, max], [2, 1e15]);
  assert(p99 > 1e9 && p99 <= 1e15);
});

Deno.test("the longest of a hundred is no p99, and two of a hundred are", () => {
  const hundred = Array<number>(100).fill(1);
  const one = timesOf([...hundred.slice(1), 1000]).stats();
  assertEquals([one.max, one.p99 < 1.1], [1000, true]);
  const two = timesOf([...hundred.slice(2), 1000, 1000]).stats();
  assertEquals(two.p99 > 900, true);
});

property(
  "percentiles are right to three in a hundred, whatever the times",
  fc.array(
    fc.oneof(
      fc.double({ min: 0.002, max: 1, noNaN: true }),
      fc.double({ min: 1, max: 1e7, noNaN: true }),
    ),
    { minLength: 1, maxLength: 300 },
  ),
  (list) => {
    const { count, mean, p50, p99, max } = timesOf(list).stats();
    assertEquals([count, max], [list.length, Math.max(...list)]);
    const sum = list.reduce((a, b) => a + b);
    assertAlmostEquals(mean, sum / list.length, sum * 1e-9);
    for (const [part, found] of [[0.5, p50], [0.99, p99]]) {
      const right = exact(list, part);
      assert(
        Math.abs(found - right) <= right * 0.03,
        `${found} where ${right} is right, for ${part}`,
      );
    }
    assert(p50 <= p99 && p99 <= max);
  },
);

Deno.test("a snapshot is plain, and stays as it is", () => {
  const statistics = new Statistics();
  statistics.finished = 3;
  statistics.running.add(5);
  const taken = statistics.snapshot(
    { live: 2, busy: 1 },
    { waiting: 4, running: 1 },
  );
  const copy = structuredClone(taken);
  statistics.finished++;
  statistics.running.add(50);
  assertEquals(taken, copy);
  assertEquals(taken.calls, {
    waiting: 4,
    running: 1,
    finished: 3,
    failed: 0,
    cancelled: 0,
  });
});
