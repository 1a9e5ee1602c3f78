import { assert, assertEquals } from "@std/assert";
import { Deque } from "../../internal/base/deque.ts";
import { bound, isCollected, withoutGc } from "../_helpers.ts";

/** Numbers that look random, the same for each seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  return (below) => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * below);
  };
}

Deno.test("a deque is empty at first", () => {
  const deque = new Deque<number>();
  assertEquals(deque.size, 0);
  assertEquals(deque.shift(), undefined);
  assertEquals(deque.size, 0);
  assertEquals([...deque], []);
});

Deno.test("a deque gives back first what was pushed first", () => {
  const deque = new Deque<number>();
  for (let i = 0; i < 100; i++) deque.push(i);
  for (let i = 0; i < 100; i++) assertEquals(deque.shift(), i);
  assertEquals(deque.size, 0);
});

Deno.test("a deque gives back first what was put in front last", () => {
  const deque = new Deque<number>();
  for (let i = 0; i < 100; i++) deque.unshift(i);
  for (let i = 99; i >= 0; i--) assertEquals(deque.shift(), i);
  assertEquals(deque.size, 0);
});

Deno.test("a deque holds undefined as any other item", () => {
  const deque = new Deque<number | undefined>();
  deque.push(undefined);
  deque.push(1);
  assertEquals(deque.size, 2);
  assertEquals([...deque], [undefined, 1]);
  deque.filter(() => true);
  assertEquals([deque.shift(), deque.shift()], [undefined, 1]);
});

Deno.test("a deque's filter keeps the order, and asks once for each item", () => {
  const deque = new Deque<number>();
  for (let i = 0; i < 1000; i++) deque.push(i);
  const asked: number[] = [];
  deque.filter((item) => {
    asked.push(item);
    return item % 3 === 0;
  });
  const all = Array.from({ length: 1000 }, (_, i) => i);
  assertEquals(asked, all);
  assertEquals([...deque], all.filter((i) => i % 3 === 0));
});

Deno.test("a deque does what an array does, whatever the order of the steps", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    const deque = new Deque<number>();
    let array: number[] = [];
    // Some seeds fill, some empty, so that it grows and shrinks.
    const bias = 20 + random(60);
    for (let i = 0; i < 3000; i++) {
      const dice = random(100);
      if (dice === 0) {
        const [by, rest] = [2 + random(5), random(2)];
        const keep = (item: number) => item % by >= rest;
        deque.filter(keep);
        array = array.filter(keep);
      } else if (dice < bias) {
        for (let n = random(4); n > 0; n--) {
          deque.push(i);
          array.push(i);
        }
      } else if (dice < bias + 10) {
        deque.unshift(-i);
        array.unshift(-i);
      } else {
        assertEquals(deque.shift(), array.shift());
      }
      assertEquals(deque.size, array.length);
      if (i % 500 === 0) assertEquals([...deque], array, `seed ${seed}`);
    }
    assertEquals([...deque], array, `seed ${seed}`);
  }
});

Deno.test("a deque grows and shrinks by far, and loses nothing", () => {
  const deque = new Deque<number>();
  let [next, first] = [0, 0];
  for (const size of [5000, 100, 20_000, 1, 3000, 0]) {
    while (deque.size < size) deque.push(next++);
    while (deque.size > size) assertEquals(deque.shift(), first++);
    assertEquals([...deque].length, size);
  }
  assertEquals(first, next);
});

Deno.test("a deque of a million items gives each back in constant time", () => {
  const deque = new Deque<number>();
  for (let i = 0; i < 1_000_000; i++) deque.push(i);
  let sum = 0;
  // In proportion to the length, this would take minutes.
  const inTime = bound();
  for (let i = 0; i < 1_000_000; i++) {
    sum += deque.shift()!;
    if (i % 1_000 === 0) inTime();
  }
  assertEquals(sum, 499_999_500_000);
});

Deno.test({
  name: "a deque keeps nothing of what it gave back",
  ignore: withoutGc,
  async fn() {
    const deque = new Deque<object>();
    const refs: WeakRef<object>[] = [];
    (() => {
      for (let i = 0; i < 3000; i++) {
        const item = { i };
        refs.push(new WeakRef(item));
        deque.push(item);
      }
      for (let i = 0; i < 2000; i++) deque.shift();
      deque.filter((item) => (item as { i: number }).i % 2 === 0);
    })();
    assert(await isCollected(refs[0]));
    const alive = refs.filter((ref) => ref.deref() !== undefined).length;
    assertEquals([deque.size, alive], [500, 500]);
  },
});
