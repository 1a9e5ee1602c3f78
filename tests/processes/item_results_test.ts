/** Results of short calls that a child tells together: none comes too late, nor is lost. */

import { assertEquals, assertRejects } from "@std/assert";
import { BrokenProcessPool } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { make, test } from "../_children.ts";

/** A call that is short; but that of one number does what `odd` says. */
function oneOf(x: number, odd: number, how: string): number {
  if (x === odd) new Function(how)();
  return x;
}

/** A call that is short; but that of one number goes on once a file is gone. */
function oneWaits(x: number, odd: number, path: string): number {
  while (x === odd) {
    try {
      Deno.statSync(path);
    } catch {
      break;
    }
  }
  return x;
}

const CALLS = Array.from({ length: 200 }, (_, i) => i);

async function resultsOf(
  futures: readonly Future<number>[],
): Promise<unknown[]> {
  const settled = await Promise.allSettled(futures.map((one) => one.result()));
  return settled.map((one) =>
    one.status === "fulfilled" ? one.value : one.reason?.constructor
  );
}

test("results that wait for those of the next calls come in time, where one of these takes long", async () => {
  const path = await Deno.makeTempFile();
  await using pool = make({ maxWorkers: 1, permissions: { read: [path] } });
  const submit = (odd: number) =>
    CALLS.map((x) => pool.submit(oneWaits, x, odd, path));
  // Known as short, they are handed over together.
  await resultsOf(submit(-1));
  const futures = submit(100);
  try {
    // Nothing lets that call go on but the result of the one before.
    assertEquals(await futures[99].result(), 99);
  } finally {
    await Deno.remove(path);
  }
  assertEquals(await resultsOf(futures), CALLS);
});

test("results that wait for those of the next calls are told before a call ends its child", async () => {
  const pool = make({ maxWorkers: 1 });
  const submit = (odd: number) =>
    CALLS.map((x) => pool.submit(oneOf, x, odd, "Deno.exit(3)"));
  await resultsOf(submit(-1));
  const results = await resultsOf(submit(100));
  assertEquals(results.slice(0, 100), CALLS.slice(0, 100));
  assertEquals(
    results.slice(100),
    Array.from({ length: 100 }, () => BrokenProcessPool),
  );
});

test("a pool that replaces children knows of each call whether it had ended, however its child dies", async () => {
  await using pool = make({
    maxWorkers: 1,
    onWorkerLost: "replace",
    permissions: "inherit",
  });
  const submit = (odd: number) =>
    CALLS.map((x) =>
      pool.submit(oneOf, x, odd, 'Deno.kill(Deno.pid, "SIGKILL")')
    );
  await resultsOf(submit(-1));
  const futures = submit(100);
  await assertRejects(() => futures[100].result(), BrokenProcessPool);
  assertEquals(
    (await resultsOf(futures)).filter((_, i) => i !== 100),
    CALLS.filter((x) => x !== 100),
  );
});

test("results that wait for those of the next calls come with what these throw", async () => {
  await using pool = make({ maxWorkers: 1 });
  const submit = (odd: number) =>
    CALLS.map((x) => pool.submit(oneOf, x, odd, "throw new RangeError()"));
  await resultsOf(submit(-1));
  const results = await resultsOf(submit(100));
  assertEquals(results, CALLS.map((x) => x === 100 ? RangeError : x));
});
