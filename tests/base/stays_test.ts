/** What belongs to its program is refused by the path to it, as argument, result or captured. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
} from "@std/assert";
import { createECDH, createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { EventLoopExecutor } from "../../event_loop_executor.ts";
import type { Executor } from "../../executor.ts";
import { Future } from "../../future.ts";
import { NatsExecutor } from "../../nats.ts";
import { ProcessPoolExecutor } from "../../process_pool.ts";
import { progress } from "../../progress.ts";
import { ThreadPoolExecutor } from "../../thread_pool.ts";
import { asCompleted } from "../../wait.ts";
import { within } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- values of whatever type
type Any = any;

const kinds: Record<string, () => Executor> = {
  thread: () => new ThreadPoolExecutor({ maxWorkers: 1 }),
  process: () =>
    new ProcessPoolExecutor({ maxWorkers: 1, permissions: { read: true } }),
  "event loop that copies": () => new EventLoopExecutor({ copy: true }),
};

function test(sentence: string, fn: (pool: Executor) => Promise<void>): void {
  for (const [kind, make] of Object.entries(kinds)) {
    Deno.test(`${kind}: ${sentence}`, () =>
      within((async () => {
        await using pool = make();
        await fn(pool);
      })()));
  }
}

function assertRefused(error: unknown, words: string): void {
  assertInstanceOf(error, DOMException, words);
  assertEquals(error.name, "DataCloneError");
  assert(error.message.includes(words), error.message);
}

class OwnExecutor extends EventLoopExecutor {}

test("executors, views, futures and iterators are refused by their path", async (pool) => {
  const loop = new EventLoopExecutor();
  const things: Record<string, unknown> = {
    "an EventLoopExecutor": loop,
    "a ThreadPoolExecutor": new ThreadPoolExecutor({ maxWorkers: 1 }),
    "a ProcessPoolExecutor": new ProcessPoolExecutor({ maxWorkers: 1 }),
    "a NatsExecutor": new NatsExecutor({
      servers: "nats://127.0.0.1:4222",
      queue: "none",
    }),
    "an OwnExecutor": new OwnExecutor(),
    "an ExecutorView": loop.with({ timeLimit: 1000 }).with({}),
    "a Future": new Future(),
    "an iterator of map()": loop.map(Math.abs, []),
    "an iterator of asCompleted()": asCompleted([]),
    "an iterator of progress()": progress([])[Symbol.asyncIterator](),
  };
  for (const [words, thing] of Object.entries(things)) {
    const holder = { deep: [thing] };
    const length = (value: Any) => Object.keys(value).length;
    assertRefused(
      await pool.submit(length, holder).exception(),
      `args[0].deep[0] is ${words}, which can't be copied`,
    );
    assertRefused(
      await pool.submit(() => Object.keys(holder).length).exception(),
      `captured "holder.deep[0]" is ${words}, which can't be copied`,
    );
    const results = pool.map(length, [holder]);
    assertRefused(
      await results.next().catch((error) => error),
      `args[0].deep[0] is ${words}`,
    );
  }
});

test("a future or a view in a result is refused by its path", async (pool) => {
  const url = import.meta.resolve("../../mod.ts");
  const make = async (url: string) => {
    const { EventLoopExecutor, Future } = await import(url);
    return { of: [new Future(), new EventLoopExecutor().with({})] };
  };
  assertRefused(
    await pool.submit(make, url).exception(),
    "result.of[0] is a Future, which can't be copied",
  );
});

test("what is of the runtime's modules is refused, and never arrives emptied", async (pool) => {
  class Bus extends EventEmitter {}
  const things: Record<string, unknown> = {
    "an EventEmitter": new Bus(),
    "a Readable": Readable.from([]),
    "a Transform": createHash("md5"),
    "ECDHImpl": createECDH("secp256k1"),
  };
  for (const [words, thing] of Object.entries(things)) {
    assertRefused(
      await pool.submit((value: unknown) => typeof value, [thing]).exception(),
      words,
    );
  }
  assertRefused(
    await pool.submit(async () => {
      const { createECDH } = await import("node:crypto");
      return [createECDH("secp256k1")];
    }).exception(),
    "ECDHImpl, which can't be copied",
  );
  // Plain facts that the runtime tells are copied as they are.
  const { size } = await pool.submit(
    Deno.statSync,
    new URL(import.meta.url).pathname,
  ).result();
  assert(size > 0);
});

test("what can't be moved is refused, and nothing of the list is gone", async (pool) => {
  const { transfer } = await import("../../transfer.ts");
  const view: Any = new Uint8Array([1, 2, 3]);
  const whole: Any = new Uint8Array([4]);
  const data: Any = new DataView(new ArrayBuffer(2));
  const plain: Any = { a: 1 };
  const list = [whole.buffer, view];
  const length = (value: Any) => value.length ?? 0;
  for (
    const [thing, index, words] of [
      [view, 0, "a Uint8Array"],
      [data, 0, "a DataView"],
      [plain, 0, "an Object"],
      [[whole, view], 1, "a Uint8Array"],
    ]
  ) {
    const listed = index === 1 ? list : [thing];
    const message = `transfer[${index}] is ${words}, which can't be moved`;
    const calls = [
      () => pool.submit(length, transfer(thing, listed)),
      () => pool.with({ transfer: listed }).submit(length, thing),
    ];
    for (const call of calls) assertRefused(await call().exception(), message);
  }
  assertEquals([view.length, whole.length, data.byteLength], [3, 1, 2]);
  const error = await pool.submit(() => {
    const bytes = new Uint8Array(3);
    return (globalThis as Any).transfer(bytes, [bytes]);
  }).exception();
  assertRefused(error, "transfer[0] is a Uint8Array, which can't be moved");
  assertMatch(String(error), /Cannot send back/);
});
