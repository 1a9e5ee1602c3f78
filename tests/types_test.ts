/**
 * What compiles and what does not. `deno check` holds each line; nothing here
 * runs but an empty test.
 */

import { assert } from "@std/assert";
import { type CurrentTask, currentTask } from "../current_task.ts";
import { EventLoopExecutor } from "../event_loop_executor.ts";
import {
  Executor,
  type MapOptions,
  type MapOutcome,
  type SubmitOptions,
} from "../executor.ts";
import { Future } from "../future.ts";
import type { PoolStats } from "../internal/call/statistics.ts";
import { taskModule } from "../internal/functions/describe.ts";
import { ProcessPoolExecutor } from "../process_pool.ts";
import { progress, type ProgressIterator } from "../progress.ts";
import { ThreadPoolExecutor } from "../thread_pool.ts";
import { transfer } from "../transfer.ts";
import {
  asCompleted,
  FIRST_COMPLETED,
  type ReturnWhen,
  wait,
} from "../wait.ts";

declare const executor: Executor;
declare const asyncNumbers: AsyncIterable<number>;
declare const options: MapOptions;

type Equal<X, Y> = (<T>() => T extends X ? 1 : 2) extends
  (<T>() => T extends Y ? 1 : 2) ? true : false;

/** Compiles only if the value has exactly the type `Expected`. */
function hasType<Expected>() {
  return <Actual>(
    _value: Actual,
    ..._proof: Equal<Actual, Expected> extends true ? [] : [never]
  ) => {};
}

const add = (a: number, b: number) => a + b;
const repeat = (text: string, times = 2) => text.repeat(times);
const fetchLength = (url: string) => Promise.resolve(url.length);
const identity = <T>(value: T) => value;
function sum(...numbers: number[]): number {
  return numbers.length;
}

/** Never called: what stands in here is for the compiler alone. */
export async function types() {
  // ------------------------------------------------------------------ submit
  hasType<Future<number>>()(executor.submit(add, 1, 2));
  hasType<Future<number>>()(executor.submit(Math.pow, 323, 2));
  hasType<Future<number>>()(executor.submit(fetchLength, "u"));
  hasType<Future<number>>()(
    executor.submit(async () => await fetchLength("u")),
  );
  hasType<Future<string>>()(
    executor.submit(() => Promise.resolve(Promise.resolve("a"))),
  );
  hasType<Future<void>>()(executor.submit(() => {}));
  hasType<Future<never>>()(executor.submit(() => {
    throw new Error();
  }));
  hasType<Future<undefined>>()(executor.submit(() => undefined));
  hasType<Future<string>>()(executor.submit(repeat, "a"));
  hasType<Future<string>>()(executor.submit(repeat, "a", 3));
  hasType<Future<number>>()(executor.submit(sum));
  hasType<Future<number>>()(executor.submit(sum, 1, 2, 3));
  hasType<Future<number>>()(executor.submit((a, b) => a.length + b, "a", 1));
  hasType<Future<number | string>>()(
    executor.submit((yes: boolean): number | string => yes ? 1 : "a", true),
  );
  hasType<number>()(await executor.submit(fetchLength, "u").result());
  hasType<unknown>()(await executor.submit(fetchLength, "u").exception());

  // @ts-expect-error an argument of the wrong type
  executor.submit(add, 1, "2");
  // @ts-expect-error too few arguments
  executor.submit(add, 1);
  // @ts-expect-error no arguments
  executor.submit(add);
  // @ts-expect-error too many arguments
  executor.submit(add, 1, 2, 3);
  // @ts-expect-error too many for an optional parameter
  executor.submit(repeat, "a", 1, 2);
  // @ts-expect-error an optional argument of the wrong type
  executor.submit(repeat, "a", "b");
  // @ts-expect-error a rest argument of the wrong type
  executor.submit(sum, 1, "2");
  // @ts-expect-error an argument of the wrong type, to an async function
  executor.submit(fetchLength, 1);
  // @ts-expect-error an argument that may be missing
  executor.submit(add, 1, undefined);
  // @ts-expect-error not a function
  executor.submit("add", 1, 2);
  // @ts-expect-error not a function
  executor.submit(undefined);
  // @ts-expect-error no function
  executor.submit();

  // -------------------------------------------------------------------- with
  const view: Pick<Executor, "submit" | "map"> = executor.with({
    signal: new AbortController().signal,
    timeLimit: 200,
    transfer: [new ArrayBuffer(8), new MessageChannel().port1],
  });
  hasType<Future<number>>()(view.submit(add, 1, 2));
  hasType<AsyncIterableIterator<number>>()(view.map(add, [1], [2], options));
  hasType<Future<number>>()(
    executor.with({}).with({ timeLimit: 5 }).submit(fetchLength, "u"),
  );
  const submitOptions: SubmitOptions = { signal: undefined };
  executor.with(submitOptions);

  // @ts-expect-error an argument of the wrong type, through a view
  view.submit(add, 1, "2");
  // A view can be used where an executor is expected.
  const asExecutor: Executor = executor.with({});
  hasType<Promise<void>>()(asExecutor.shutdown({ wait: false }));
  hasType<PoolStats>()(asExecutor.stats());
  hasType<Promise<void>>()(executor.with({}).warmUp());
  hasType<Promise<void>>()(executor.room(5));
  // @ts-expect-error how many calls may wait
  executor.room();
  // @ts-expect-error no options
  executor.with();
  // @ts-expect-error a controller is no signal
  executor.with({ signal: new AbortController() });
  // @ts-expect-error a time limit is a number
  executor.with({ timeLimit: "5" });
  // @ts-expect-error an option that there is not
  executor.with({ timeout: 5 });
  // @ts-expect-error what is moved comes as a list
  executor.with({ transfer: new ArrayBuffer(8) });
  // @ts-expect-error what can't be moved
  executor.with({ transfer: ["text"] });

  // ---------------------------------------- transfer, currentTask, stats and the like
  const bytes = new Uint8Array(8);
  hasType<Uint8Array<ArrayBuffer>>()(transfer(bytes, [bytes.buffer]));
  hasType<{ a: ArrayBuffer }>()(transfer({ a: bytes.buffer }, []));
  executor.submit((b: Uint8Array) => b.length, transfer(bytes, [bytes.buffer]));
  // @ts-expect-error only objects can be marked
  transfer(5, []);
  // @ts-expect-error what is moved comes as a list
  transfer(bytes, bytes.buffer);
  hasType<CurrentTask | undefined>()(currentTask());
  hasType<AbortSignal | undefined>()(currentTask()?.signal);
  hasType<string | undefined>()(currentTask()?.workerName);
  hasType<PoolStats>()(new EventLoopExecutor({ maxWorkers: 1 }).stats());
  hasType<number>()(new ThreadPoolExecutor().stats().times.waiting.p99);
  new ProcessPoolExecutor({ onWorkerLost: "replace" });
  new ThreadPoolExecutor({ onWorkerLost: "break" });
  // @ts-expect-error neither of the two
  new ThreadPoolExecutor({ onWorkerLost: "restart" });
  // @ts-expect-error a worker that is no worker is not lost
  new EventLoopExecutor({ onWorkerLost: "break" });

  // --------------------------------------------------------------------- map
  hasType<AsyncIterableIterator<number>>()(executor.map(add, [1], [2]));
  hasType<AsyncIterableIterator<number>>()(executor.map(fetchLength, ["u"]));
  hasType<AsyncIterableIterator<number>>()(
    executor.map(Math.sqrt, new Set([1, 2])),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(Math.sqrt, new Float64Array(2)),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(sum, [1], [2], [3], [4], [5], [6]),
  );
  hasType<AsyncIterableIterator<string>>()(executor.map(repeat, ["a"]));
  hasType<AsyncIterableIterator<string>>()(executor.map(repeat, ["a"], [1]));
  hasType<AsyncIterableIterator<string>>()(
    executor.map((c: string) => c, "text"),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(
      ([_key, value]: [string, number]) => value,
      new Map([["a", 1]]),
    ),
  );

  // with options
  hasType<AsyncIterableIterator<number>>()(
    executor.map(add, [1], [2], { timeout: 5, chunksize: "auto" }),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(add, [1], asyncNumbers, { buffersize: 5, chunksize: 2 }),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(sum, [1], [2], [3], { signal: new AbortController().signal }),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(add, [1], [2], options),
  );
  hasType<AsyncIterableIterator<number>>()(executor.map(add, [1], [2], {}));
  hasType<AsyncIterableIterator<number>>()(
    executor.map(add, [1], [2], undefined),
  );
  hasType<AsyncIterableIterator<string>>()(
    executor.map(repeat, ["a"], [1], { timeout: 1 }),
  );
  hasType<AsyncIterableIterator<string>>()(
    executor.map(repeat, ["a"], { timeout: 1 }),
  );

  // the parameters of an inline function come from the iterables
  hasType<AsyncIterableIterator<string>>()(
    executor.map((n) => n.toFixed(), [1, 2]),
  );
  hasType<AsyncIterableIterator<string>>()(
    executor.map((n) => n.toFixed(), [1, 2], { timeout: 1 }),
  );
  hasType<AsyncIterableIterator<string>>()(
    executor.map((n, text) => text.repeat(n), [1, 2], new Set(["a"])),
  );
  hasType<AsyncIterableIterator<string>>()(
    executor.map((n, text) => text.repeat(n), [1, 2], new Set(["a"]), {
      chunksize: 2,
    }),
  );
  hasType<AsyncIterableIterator<string>>()(
    executor.map((n) => n.toFixed(), asyncNumbers, { buffersize: 2 }),
  );
  hasType<AsyncIterableIterator<string>>()(
    executor.map((n) => Promise.resolve(n.toFixed()), [1, 2], options),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map((c) => c.length, "text", { timeout: 1 }),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(({ n }) => n, [{ n: 1 }], { timeout: 1 }),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(
      (a, b, c, d) => a + b.length + c.length + d,
      [1],
      ["a"],
      [[1]],
      asyncNumbers,
      { buffersize: 1 },
    ),
  );
  hasType<AsyncIterableIterator<number>>()(executor.map(identity, [1, 2]));
  hasType<AsyncIterableIterator<number>>()(
    executor.map(identity, [1, 2], { timeout: 1 }),
  );
  for await (const n of executor.map(add, [1], [2])) hasType<number>()(n);
  hasType<AsyncIterableIterator<MapOutcome<number>>>()(
    executor.map(add, [1], [2], { settled: true, unordered: true }),
  );
  hasType<AsyncIterableIterator<MapOutcome<string>>>()(
    executor.with({}).map((n) => n.toFixed(), [1], { settled: true }),
  );
  hasType<AsyncIterableIterator<number>>()(
    executor.map(Math.sqrt, [1], { settled: false, unordered: true }),
  );
  for await (
    const outcome of executor.map(Math.sqrt, [1], { settled: true })
  ) {
    hasType<number>()(outcome.index);
    if (outcome.status === "fulfilled") hasType<number>()(outcome.value);
  }
  // @ts-expect-error no boolean
  executor.map(Math.sqrt, [1], { unordered: "yes" });

  // @ts-expect-error items of the wrong type
  executor.map(add, [1], ["2"]);
  // @ts-expect-error items of the wrong type, with options
  executor.map(add, [1], ["2"], { timeout: 1 });
  // @ts-expect-error async items of the wrong type
  executor.map(fetchLength, asyncNumbers, { buffersize: 1 });
  // @ts-expect-error too few iterables
  executor.map(add, [1]);
  // @ts-expect-error too few iterables, with options
  executor.map(add, [1], { timeout: 1 });
  // @ts-expect-error too many iterables
  executor.map(add, [1], [2], [3]);
  // @ts-expect-error not an iterable
  executor.map(Math.sqrt, 1);
  // @ts-expect-error a string gives strings
  executor.map(Math.sqrt, "12");
  // @ts-expect-error an item may be missing
  executor.map(Math.sqrt, [1, undefined]);
  // @ts-expect-error an option that does not exist
  executor.map(Math.sqrt, [1], { timeoutt: 1 });
  // @ts-expect-error an option as Python spells it
  executor.map(Math.sqrt, [1], { chunk_size: 1 });
  // @ts-expect-error an option of the wrong type
  executor.map(Math.sqrt, [1], { timeout: "1" });
  // @ts-expect-error another word for chunksize
  executor.map(Math.sqrt, [1], { chunksize: "all" });
  // @ts-expect-error another word for buffersize
  executor.map(Math.sqrt, [1], { buffersize: "auto" });
  // @ts-expect-error options first
  executor.map(Math.sqrt, { timeout: 1 }, [1]);
  // @ts-expect-error options twice
  executor.map(Math.sqrt, [1], {}, {});
  // @ts-expect-error not a function
  executor.map("sqrt", [1]);
  // @ts-expect-error a number has no length
  executor.map((n) => n.length, [1, 2]);
  // @ts-expect-error a number has no length, with options
  executor.map((n) => n.length, [1, 2], { timeout: 1 });

  // -------------------------------------------------------------- taskModule
  const tasks = taskModule<typeof import("./modules/tasks.ts")>("file:///t.ts");
  hasType<Future<number>>()(executor.submit(tasks.usesHelper, 1));
  hasType<Future<number>>()(executor.submit(tasks.arrowUsesHelper, 1));
  hasType<Future<number>>()(executor.submit(tasks.default, 1));
  hasType<AsyncIterableIterator<number>>()(
    executor.map(tasks.arrowUsesHelper, [1, 2]),
  );
  // @ts-expect-error an argument of the wrong type
  executor.submit(tasks.usesHelper, "1");
  // @ts-expect-error too few arguments
  executor.submit(tasks.usesHelper);
  // @ts-expect-error items of the wrong type
  executor.map(tasks.usesHelper, ["1"]);
  // @ts-expect-error the module exports it under another name
  executor.submit(tasks.inner, 1);
  // @ts-expect-error the module exports no function of that name
  executor.submit(tasks.notAFunction);

  // ---------------------------------------------------------------- shutdown
  hasType<Promise<void>>()(executor.shutdown());
  hasType<Promise<void>>()(executor.shutdown({ wait: false }));
  hasType<Promise<void>>()(executor.shutdown({ cancelFutures: true }));
  executor satisfies AsyncDisposable;
  // @ts-expect-error an option as Python spells it
  executor.shutdown({ cancel_futures: true });
  // @ts-expect-error an option by itself
  executor.shutdown(true);
  // @ts-expect-error abstract
  new Executor();
  // @ts-expect-error neither submit nor shutdown
  class _Nothing extends Executor {}
  // @ts-expect-error no shutdown
  class _Half extends Executor {
    submit<A extends unknown[], R>(_fn: (...args: A) => R, ..._args: A) {
      return new Future<Awaited<R>>();
    }
  }

  // ------------------------------------------------------------------ Future
  const future = new Future<number>();
  future satisfies Future<unknown>;
  future satisfies Future<number | string>;
  const _futures: Future<unknown>[] = [future, new Future<string>()];
  hasType<Promise<number>>()(future.result());
  hasType<Promise<number>>()(future.result(5));
  hasType<Promise<unknown>>()(future.exception(5));
  hasType<boolean>()(future.cancel());
  hasType<boolean>()(future.cancelled());
  hasType<boolean>()(future.running());
  hasType<boolean>()(future.done());
  hasType<boolean>()(future.setRunningOrNotifyCancel());
  hasType<void>()(future.setResult(1));
  hasType<void>()(future.setException("anything"));
  hasType<void>()(future.addDoneCallback((given) => {
    hasType<Future<number>>()(given);
  }));
  hasType<Future<number>>()(await future); // not thenable
  future.addDoneCallback(() => 1);
  future.addDoneCallback(async () => await Promise.resolve());
  future.addDoneCallback((_given: Future<unknown>) => {});
  new Future<void>().setResult();
  // @ts-expect-error a result of the wrong type
  future.setResult("1");
  // @ts-expect-error no result
  future.setResult();
  // @ts-expect-error a timeout of the wrong type
  future.result("5");
  // @ts-expect-error an options object, where a timeout is a number
  future.result({ timeout: 5 });
  // @ts-expect-error not a function
  future.addDoneCallback(1);
  // @ts-expect-error a callback for another future
  future.addDoneCallback((_given: Future<string>) => {});
  // @ts-expect-error a future of another type
  future satisfies Future<string>;
  // @ts-expect-error no promise
  future.then(() => {});
  // @ts-expect-error no promise
  future satisfies PromiseLike<number>;

  // -------------------------------------------------------- wait, asCompleted
  const text = new Future<string>();
  const waited = await wait([future]);
  hasType<Set<Future<number>>>()(waited.done);
  hasType<Set<Future<number>>>()(waited.notDone);
  const [done, notDone] = waited;
  hasType<Set<Future<number>>>()(done);
  hasType<Set<Future<number>>>()(notDone);
  hasType<Set<Future<number> | Future<string>>>()(
    (await wait([future, text])).done,
  );
  await wait(new Set([future]), { timeout: 1, returnWhen: FIRST_COMPLETED });
  await wait([future], { returnWhen: "FIRST_EXCEPTION" });
  hasType<"FIRST_COMPLETED">()(FIRST_COMPLETED);
  hasType<"ALL_COMPLETED" | "FIRST_COMPLETED" | "FIRST_EXCEPTION">()(
    null as unknown as ReturnWhen,
  );
  for await (const given of asCompleted([future, text])) {
    hasType<Future<number> | Future<string>>()(given);
  }
  asCompleted([future], { timeout: 1, signal: new AbortController().signal });
  // @ts-expect-error promises are no futures
  wait([Promise.resolve(1)]);
  // @ts-expect-error a future is no list
  wait(future);
  // @ts-expect-error another word
  wait([future], { returnWhen: "FIRST" });
  // @ts-expect-error an option as Python spells it
  wait([future], { return_when: FIRST_COMPLETED });
  // @ts-expect-error a timeout by itself
  wait([future], 5);
  // @ts-expect-error promises are no futures
  asCompleted([Promise.resolve(1)]);
  // @ts-expect-error waits for each in turn
  asCompleted([future], { returnWhen: FIRST_COMPLETED });
  // @ts-expect-error an async iterable of futures is read by nobody
  wait(executor.map(identity, [future]));

  // ---------------------------------------------------------------- progress
  hasType<ProgressIterator<number>>()(progress(executor.map(add, [1], [2])));
  hasType<ProgressIterator<number>>()(progress(asyncNumbers));
  hasType<ProgressIterator<string>>()(progress(["a"], { total: 1 }));
  hasType<ProgressIterator<string>>()(progress([Promise.resolve("a")]));
  hasType<ProgressIterator<[string, number]>>()(
    progress(new Map([["a", 1]]), { label: "letters" }),
  );
  for await (const given of progress(asCompleted([future]), { total: 1 })) {
    hasType<Future<number>>()(given);
  }
  progress([1], { output: Deno.stderr, every: 1000, quiet: true });
  // @ts-expect-error nothing to iterate
  progress(5);
  // @ts-expect-error a future is no list
  progress(future);
  // @ts-expect-error a total is a number
  progress([1], { total: "1" });
  // @ts-expect-error an option as tqdm spells it
  progress([1], { desc: "letters" });
  // @ts-expect-error a total by itself
  progress([1], 1);
}

Deno.test("types: what must not compile does not", () => {
  assert(types instanceof Function); // the compiler has said the rest
});
