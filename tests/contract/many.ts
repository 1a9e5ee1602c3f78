/** The contract of many calls at once. */

import { assert, assertEquals } from "@std/assert";
import type { Future } from "../../future.ts";
import { bound, withoutGc } from "../_helpers.ts";
import { contractTest, type ExecutorKind } from "./kind.ts";

const MOST_CALLS = 100_000;
const WAITING = 300_000;
const MOST_BYTES = 1024;

export function testMany(kind: ExecutorKind): void {
  const test = contractTest(kind);
  const calls = kind.many ?? MOST_CALLS;

  test(`${calls.toLocaleString("en")} calls submitted at once give each its own result`, async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const futures: Future<number>[] = [];
    const inTime = bound();
    for (let i = 0; i < calls; i++) {
      futures.push(pool.submit((n: number) => n + 0.5, i));
      if (i % 100 === 0) inTime();
    }
    let wrong = 0;
    for (let i = 0; i < calls; i++) {
      if (await futures[i].result() !== i + 0.5) wrong++;
    }
    assertEquals(wrong, 0);
  });

  test("5,000 short calls, of which some throw and some reject, give each its own outcome", async () => {
    await using pool = kind.make({ maxWorkers: 2 });
    const futures = Array.from(
      { length: 5_000 },
      (_, i) =>
        pool.submit((i: number) => {
          if (i % 50 === 0) throw new RangeError(`thrown by ${i}`);
          if (i % 50 === 25) return Promise.reject(`rejected by ${i}`);
          return i;
        }, i),
    );
    for (const [i, future] of futures.entries()) {
      const outcome = await future.exception() ?? await future.result();
      const expected = i % 50 === 0
        ? `RangeError: thrown by ${i}`
        : i % 50 === 25
        ? `rejected by ${i}`
        : `${i}`;
      assertEquals(`${outcome}`, expected);
    }
  });

  test(
    "300,000 waiting calls cost less than 1 KiB each, and give it back when they are cancelled",
    async () => {
      await using pool = kind.make({ maxWorkers: 1 });
      await using gate = kind.makeGate();
      const held = pool.submit(gate.pass, gate.handle, 0);
      await gate.entered(0);
      const increment = (n: number) => n + 1;
      const before = heapUsed();
      // What one holds is freed for sure once the function that held it is left.
      const during = (() => {
        const futures: Future<number>[] = [];
        const inTime = bound();
        for (let i = 0; i < WAITING; i++) {
          futures.push(pool.submit(increment, i));
          if (i % 100 === 0) inTime();
        }
        const during = heapUsed();
        for (const [i, future] of futures.entries()) {
          future.cancel();
          if (i % 100 === 0) inTime();
        }
        return during;
      })();
      assertPerCall(during - before);
      await Promise.resolve();
      assertGivenBack(before, during);
      gate.open();
      assertEquals(await held.result(), 0);
    },
    { ignore: withoutGc },
  );

  test("calls that are done leave nothing behind", async () => {
    await using pool = kind.make({ maxWorkers: 1 });
    // One function: weak tables of what is known of each grow by large steps.
    const increment = (n: number) => n + 1;
    const run = async (count: number) => {
      const futures: Future<number>[] = [];
      for (let i = 0; i < count; i++) futures.push(pool.submit(increment, i));
      const during = heapUsed();
      for (const future of futures) await future.result();
      return during;
    };
    // Where many are fewer, what is kept for good weighs more: it is there from now on.
    await run(kind.many ?? 10_000);
    const before = heapUsed();
    const during = await run(calls);
    assertPerCall((during - before) * WAITING / calls);
    await Promise.resolve();
    assertGivenBack(before, during);
  }, { ignore: withoutGc });
}

function heapUsed(): number {
  (globalThis as unknown as { gc(): void }).gc();
  return Deno.memoryUsage().heapUsed;
}

function assertPerCall(bytes: number): void {
  const each = Math.round(bytes / WAITING);
  assert(each < MOST_BYTES, `${each} bytes for each waiting call`);
}

function assertGivenBack(before: number, during: number): void {
  const kept = heapUsed() - before;
  assert(
    kept < (during - before) / 10,
    `${kept} of ${during - before} bytes are kept`,
  );
}
