/**
 * Calls on Web Workers: a {@linkcode PoolLink} over one, and the options.
 *
 * @module
 */

import { BrokenThreadPool } from "./errors.ts";
import { Executor, type ShutdownOptions } from "./executor.ts";
import type { Future } from "./future.ts";
import { checkCount, checkText, optionNames } from "./internal/base/checks.ts";
import { early } from "./internal/base/early.ts";
import { hearOfBars, printFor } from "./internal/base/printing.ts";
import { thrownBy } from "./internal/call/call.ts";
import { GARBLED, isFromWorker } from "./internal/call/check_message.ts";
import { setEngine, submitTo } from "./internal/call/engine.ts";
import type {
  CallMessage,
  Captured,
  Carried,
  FromWorker,
  FunctionRef,
  Outcome,
  StartMessage,
  ToWorker,
} from "./internal/call/protocol.ts";
import { mainModule } from "./internal/call/realm.ts";
import { textOf } from "./internal/call/revive_error.ts";
import { Deliveries } from "./internal/closures/carried.ts";
import { packCaptured } from "./internal/closures/pack_captured.ts";
import { Pool } from "./internal/pool/pool.ts";
import {
  type LinkEvents,
  type PoolKind,
  type PoolLink,
  tell,
} from "./internal/pool/pool_link.ts";
import {
  checkClosures,
  checkIdleTimeout,
  checkModules,
  checkOnWorkerLost,
  checkOptions,
  hasOwnModule,
  packInitializer,
} from "./internal/pool/pool_options.ts";
import { SharedCalls } from "./internal/threads/shared_calls.ts";
import { workerProgram } from "./internal/threads/thread_program.ts";
import {
  checkArguments,
  explained,
  isPrimitive,
  isSmall,
} from "./internal/values/arguments.ts";
import { makeCloneChecker } from "./internal/values/clone_checker.ts";

/**
 * The options of {@linkcode ThreadPoolExecutor}.
 *
 * @typeParam I The types of the initializer's arguments.
 */
// deno-lint-ignore no-explicit-any -- an initializer of whatever type
export interface ThreadPoolExecutorOptions<I extends unknown[] = any[]> {
  /**
   * How many workers may live at once. They start on demand.
   * @default {min(32, navigator.hardwareConcurrency + 4)}
   */
  maxWorkers?: number;
  /**
   * What the workers' names (`self.name`) start with: worker `n` is
   * `${threadNamePrefix}_${n}`.
   * @default {"ThreadPoolExecutor-" and the number of the pool}
   */
  threadNamePrefix?: string;
  /**
   * A function that each worker runs before its first call. If it throws, the
   * pool is broken. It travels as the function of a call does.
   * @default {undefined} none
   */
  initializer?: (...args: I) => unknown;
  /** The arguments of the initializer, copied at once. @default {[]} */
  initargs?: NoInfer<I>;
  /**
   * Modules whose exported functions are imported by the workers, with all that
   * stands around them, instead of being sent as source. In a worker the import
   * of a local file needs `--allow-read`.
   * @default {undefined} none
   */
  module?: string | URL | readonly (string | URL)[];
  /**
   * Whether a function takes along what is around it: the variables, functions
   * and classes that it uses. Needs `--allow-sys`; without it functions go as
   * their source alone.
   * @default {true} `false` where the `module` option is given: the functions of
   * these modules are imported
   */
  closures?: boolean;
  /**
   * How long the workers stay when there is nothing to do, in milliseconds. An
   * idle worker keeps the program alive, so this is also how long a program
   * that never calls `shutdown` lives on after its last call.
   * @default {200}
   */
  idleTimeout?: number;
  /**
   * What happens when a worker dies: `"break"` fails all calls and the pool, as
   * Python does; `"replace"` fails only the call that ran on it, and another
   * worker takes its place. A call that killed its worker is not run again. An
   * initializer that fails, and workers that die one after another before they
   * run anything, break the pool all the same.
   * @default {"break"}
   */
  onWorkerLost?: "break" | "replace";
}

const OPTIONS = optionNames<ThreadPoolExecutorOptions>({
  maxWorkers: true,
  threadNamePrefix: true,
  initializer: true,
  initargs: true,
  module: true,
  closures: true,
  idleTimeout: true,
  onWorkerLost: true,
});

/** How many calls a worker can hold at once. */
const SLOTS = 256;
const TAKEN_BACK = -1;
/** More than a chunk can have items, however many are claimed after it. */
const TAKEN_REST = 1 << 30;

let pools = 0;
let programUrl: string | undefined;
const checker = early(makeCloneChecker);

/**
 * Runs calls on Web Workers: threads with a heap of their own, between which
 * values are copied by structured clone. It is what Python 3.14 calls
 * `InterpreterPoolExecutor`, with the interface of its `ThreadPoolExecutor`.
 *
 * Needs no permission for a self-contained function.
 *
 * ### How a function travels
 *
 * 1. By value: a function travels as its source, and runs in the worker's
 *    global scope. What it uses from around it is copied and goes along, if the
 *    program has `--allow-sys`; see the `closures` option.
 * 2. By name: a built-in such as `Math.pow` or `Deno.copyFile`.
 * 3. By reference: a function that is exported by a module named in the
 *    `module` option is imported by the worker.
 * 4. By reference, unloaded: with {@linkcode taskModule}.
 *
 * ### What a thread cannot do
 *
 * A synchronous loop that never ends can't be stopped: its thread spins until
 * the program ends, and keeps it from ending by itself. Running out of memory
 * in a worker takes the whole program. A process can be stopped, and survived.
 *
 * ### What keeps the program alive
 *
 * Calls that are not done do; the workers do for `idleTimeout` milliseconds
 * more. After `shutdown()` nothing does.
 *
 * @example Prime numbers in parallel
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * function isPrime(n: number): boolean {
 *   if (n < 2) return false;
 *   if (n % 2 === 0) return n === 2;
 *   for (let i = 3; i * i <= n; i += 2) if (n % i === 0) return false;
 *   return true;
 * }
 *
 * const numbers = [1_000_003, 1_000_005, 1_000_007];
 * await using executor = new ThreadPoolExecutor();
 * const primes = await Array.fromAsync(executor.map(isPrime, numbers));
 * assert.deepEqual(primes, [true, false, false]);
 * ```
 *
 * @example What stands around a function goes along
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
 * let limit = 10;
 * const isLess = (n: number) => n < limit;
 *
 * const future = executor.submit((n: number) => isLess(n) && limit--, 5);
 * limit = 0; // all was copied at the call of submit ...
 * assert.equal(await future.result(), 10);
 * assert.equal(limit, 0); // ... and nothing comes back
 *
 * // Without the permission, or with `closures: false`, it is passed.
 * const passed = executor.submit((n: number, limit: number) => n < limit, 5, 10);
 * assert.equal(await passed.result(), true);
 * ```
 *
 * @example A worker that dies fails its call alone
 * ```ts
 * import { BrokenThreadPool, ThreadPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({
 *   maxWorkers: 1,
 *   onWorkerLost: "replace",
 * });
 * const fatal = executor.submit(() => Deno.exit(1));
 * const next = executor.submit(Math.sqrt, 9);
 * await assert.rejects(fatal.result(), BrokenThreadPool);
 * assert.equal(await next.result(), 3);
 * ```
 */
// deno-lint-ignore no-explicit-any -- an initializer of whatever type
export class ThreadPoolExecutor<I extends unknown[] = any[]> extends Executor {
  readonly #pool: Pool;

  /**
   * Makes a pool; no worker starts before the first call.
   *
   * @param options How many workers, and how they start.
   * @throws {RangeError} when `maxWorkers` is not greater than 0, or
   * `idleTimeout` is negative.
   * @throws {TypeError} when an option is of the wrong type, or `module` no
   * absolute URL.
   * @throws {DOMException} `DataCloneError` when `initargs` can't be copied.
   *
   * @example An initializer
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({
   *   maxWorkers: 1,
   *   threadNamePrefix: "greeter",
   *   initializer: (greeting: string) => {
   *     Object.assign(globalThis, { greeting });
   *   },
   *   initargs: ["Hello"],
   * });
   * const future = executor.submit(() => Reflect.get(globalThis, "greeting"));
   * assert.equal(await future.result(), "Hello");
   * assert.equal(await executor.submit(() => self.name).result(), "greeter_0");
   * ```
   */
  constructor(options: ThreadPoolExecutorOptions<I> = {}) {
    super();
    this.#pool = new Pool(threadKind(options));
    setEngine(this, this.#pool, ownSubmit);
  }

  /**
   * Has `fn(...args)` run on a worker. Arguments and result are copied; the
   * arguments as they are now, whatever the caller does to them later.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function, async or not.
   * @param args Its arguments.
   * @returns The future of the call. It fails with a `DataCloneError` when the
   * function, an argument or the result can't travel, and with
   * {@linkcode BrokenThreadPool} when a worker dies before the call is done.
   * @throws {RuntimeError} when the pool was shut down, or when a module that
   * a worker imports submits without being asked to.
   * @throws {BrokenThreadPool} when a worker has died.
   * @throws {TypeError} when `fn` is no function.
   *
   * @example A built-in, and a function with its arguments
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * assert.equal(await executor.submit(Math.pow, 323, 2).result(), 104329);
   *
   * const text = executor.submit(
   *   (counts: Map<string, number>) => [...counts.keys()].join(),
   *   new Map([["a", 1], ["b", 2]]),
   * );
   * assert.equal(await text.result(), "a,b");
   * ```
   */
  override submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    return submitTo(this, this.#pool, fn, args) as Future<Awaited<R>>;
  }

  /**
   * Takes no more calls, and ends the workers once the calls that there are
   * are done. It may be called again.
   *
   * @param options Whether to wait, and whether to cancel what has not started.
   * @returns A promise that resolves when all is done and no worker is left;
   * with `wait: false`, at once, and the work still completes.
   *
   * @example Leaving the work to end by itself
   * ```ts
   * import { ThreadPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const executor = new ThreadPoolExecutor({ maxWorkers: 1 });
   * const future = executor.submit(Math.sqrt, 9);
   * await executor.shutdown({ wait: false });
   * assert.equal(await future.result(), 3);
   * ```
   */
  override shutdown(options?: ShutdownOptions): Promise<void> {
    return this.#pool.shutdown(options);
  }
}

const ownSubmit = ThreadPoolExecutor.prototype.submit;

/** Checks the options. For what stands on the threads without being a pool. */
export function threadKind<I extends unknown[]>(
  options: ThreadPoolExecutorOptions<I>,
): PoolKind {
  options = checkOptions(options, OPTIONS, "ThreadPoolExecutor");
  const {
    maxWorkers = Math.min(32, navigator.hardwareConcurrency + 4),
    threadNamePrefix = `ThreadPoolExecutor-${pools}`,
    idleTimeout = 200,
    initializer,
    initargs = [],
    onWorkerLost = "break",
  } = options;
  checkCount(maxWorkers, "maxWorkers");
  checkText(threadNamePrefix, "threadNamePrefix");
  checkOnWorkerLost(onWorkerLost);
  const modules = checkModules(options.module);
  const closures = checkClosures(options.closures, modules);
  const start: Omit<StartMessage, "depth" | "flags" | "token"> = {
    mainModule: mainModule(),
    type: "start",
    modules,
    ownModule: hasOwnModule(modules),
    initializer: packInitializer(
      initializer,
      initargs,
      closures,
      (fn, args, root) => pack(fn, args, false, [], root) as readonly unknown[],
      carry,
    ),
  };
  const kind: PoolKind = {
    name: "ThreadPoolExecutor",
    maxWorkers,
    modules,
    preparesWorkers: modules.length > 0 || options.initializer !== undefined,
    closures,
    idleTimeout: checkIdleTimeout(idleTimeout),
    broken: BrokenThreadPool,
    slots: SLOTS,
    maxTasks: Infinity,
    onWorkerLost,
    stopNote:
      "if it is in a loop that never yields, its thread spins on, since a thread can't be stopped; ProcessPoolExecutor can stop it",
    pack: (fn, args, now, transfer) =>
      // Alone, a value that is no object takes no list: many calls may wait.
      args.length === 1 && isPrimitive(args[0]) && args[0] != null
        ? args[0]
        : pack(fn, args, now, transfer),
    ...(onWorkerLost === "break" &&
      { chunks: { isFlat, takes } }),
    carry,
    open: (index, depth, events) =>
      new ThreadLink(
        `${threadNamePrefix}_${index}`,
        { ...start, depth },
        events,
      ),
  };
  pools++;
  return kind;
}

function isFlat(value: unknown): boolean {
  return isPrimitive(value) && isSmall(value);
}

/** Whether arguments, as packed, are not too much to travel with others. */
function takes(packed: unknown): boolean {
  return Array.isArray(packed) ? packed.every(isSmall) : isSmall(packed);
}

/**
 * A chunk as it is sent: numbers alone as they lie in memory, which takes a tenth
 * of the time; and where not each item is one plain value, each as a list.
 */
function packedChunk(call: CallMessage): CallMessage {
  const args = call.args as readonly unknown[];
  if (!call.single) {
    const lists = args.map((item) => Array.isArray(item) ? item : [item]);
    return { ...call, args: lists };
  }
  return args.every((item) => typeof item === "number")
    ? { ...call, args: Float64Array.from(args) }
    : call;
}

/** Arguments on their way, of which something is moved. */
class Moving {
  readonly args: readonly unknown[];
  readonly transfer: readonly Transferable[];

  constructor(args: readonly unknown[], transfer: readonly Transferable[]) {
    this.args = args;
    this.transfer = transfer;
  }
}

/** A copy of what a function captured. */
function carry(fn: FunctionRef, captured: Captured): unknown {
  return packCaptured(checker(), fn, captured, () => structuredClone(captured));
}

/** Refuses arguments that can't be copied; copies them unless they are sent at once. */
function pack(
  fn: FunctionRef,
  args: readonly unknown[],
  now: boolean,
  transfer: readonly Transferable[] = [],
  root = "args",
): readonly unknown[] | Moving {
  if (args.every(isPrimitive)) return args;
  const moved = checkArguments(checker(), fn, args, root, transfer);
  if (moved.length === 0) {
    return now
      ? args
      : explained(checker(), fn, args, root, () => structuredClone(args));
  }
  if (now) return new Moving(args, moved);
  return explained(checker(), fn, args, root, () => {
    // It moves here first; what it is then comes along as a list.
    const [copy, list]: readonly (readonly unknown[])[] = structuredClone([
      args,
      moved,
    ], {
      transfer: [...moved],
    });
    return new Moving(copy, list as Transferable[]);
  });
}

/** One Web Worker. */
class ThreadLink implements PoolLink {
  readonly label: string;
  readonly #worker: Worker;
  readonly #events: LinkEvents;
  /** Whether each slot's call waits, has started, or was taken back. */
  readonly #flags: Int32Array<SharedArrayBuffer>;
  readonly #lanes: SharedCalls;
  readonly #deliveries = new Deliveries();
  #stopHearing: (() => void) | undefined;
  readonly #token: string = crypto.randomUUID();

  constructor(
    name: string,
    start: Omit<StartMessage, "flags" | "token">,
    events: LinkEvents,
  ) {
    this.label = `worker "${name}"`;
    this.#events = events;
    this.#flags = new Int32Array(new SharedArrayBuffer(SLOTS * 4));
    // A blob: URL needs no permission, where a file would. A data: URL needs none
    // either, but would stand as a whole in each frame of a stack: each exception
    // would take milliseconds.
    programUrl ??= URL.createObjectURL(
      new Blob([workerProgram()], { type: "text/javascript" }),
    );
    this.#worker = new Worker(programUrl, { type: "module", name });
    this.#worker.addEventListener("message", this.#onMessage);
    this.#worker.addEventListener("error", (event) => {
      // Without this the error would end the program.
      event.preventDefault();
      const error = event.error ?? new Error(event.message);
      // What it left before counts.
      this.#lanes.look();
      events.onDeath("ended by an error of its own", { error });
    });
    this.#worker.addEventListener("messageerror", () => {
      this.#lanes.look();
      events.onDeath("sent a message that could not be read");
    });
    this.#lanes = new SharedCalls(SLOTS, events.onOutcome, () => {
      const error = new TypeError("what it left in memory is no result");
      events.onDeath(GARBLED, { error });
    });
    const message: StartMessage = {
      ...start,
      flags: this.#flags.buffer,
      lanes: this.#lanes.shared,
      token: this.#token,
    };
    try {
      this.#worker.postMessage(message);
    } catch (error) {
      // Nobody else knows of it, and it would wait for ever.
      this.kill();
      throw error;
    }
    this.#stopHearing = hearOfBars((areThere) => {
      const printing: ToWorker = { type: "printing", isWatched: areThere };
      this.#worker.postMessage(printing);
    });
  }

  send(calls: readonly CallMessage[]): void {
    for (const { slot } of calls) Atomics.store(this.#flags, slot, 0);
    this.#lanes.send(calls, this.#post);
  }

  readonly #post = (calls: readonly CallMessage[]) => {
    const transfer: Transferable[] = [];
    const fresh: Carried[] = [];
    const messages = calls.map((given): CallMessage => {
      let call = given;
      if (given.carried) {
        const { carried, ...plain } = given;
        const captured = this.#deliveries.messageOf(carried, fresh);
        call = { ...plain, captured };
      }
      const { args } = call;
      if (given.count !== undefined) return packedChunk(call);
      if (Array.isArray(args)) return call;
      if (!(args instanceof Moving)) return { ...call, args: [args] };
      transfer.push(...args.transfer);
      return { ...call, args: args.args };
    });
    const [{ fn, args }] = messages;
    explained(checker(), fn, args as readonly unknown[], "args", () => {
      const message: ToWorker = { type: "calls", calls: messages };
      // With a list, be it empty, the runtime takes a longer way.
      if (transfer.length === 0) this.#worker.postMessage(message);
      else this.#worker.postMessage(message, transfer);
    });
    if (fresh.length > 0) this.#deliveries.sent(fresh);
  };

  hasStarted(slot: number): boolean {
    return Atomics.load(this.#flags, slot) > 0;
  }

  takeBack(slot: number): boolean {
    return Atomics.compareExchange(this.#flags, slot, 0, TAKEN_BACK) === 0;
  }

  takeRest(slot: number): number {
    return Atomics.exchange(this.#flags, slot, TAKEN_REST);
  }

  forget(carried: Carried): void {
    if (!this.#deliveries.forget(carried)) return;
    const forget: ToWorker = { type: "forget", ids: [carried.id!] };
    this.#worker.postMessage(forget);
  }

  abort(slot: number, call: number, name: string, message: string): void {
    const abort: ToWorker = { type: "abort", slot, call, name, message };
    this.#worker.postMessage(abort);
  }

  end(): Promise<void> {
    return this.kill();
  }

  kill(): Promise<void> {
    this.#stopHearing?.();
    this.#lanes.close();
    this.#worker.terminate();
    return Promise.resolve();
  }

  readonly #onMessage = (
    { data }: MessageEvent<FromWorker & { token?: string }>,
  ) => {
    // A task may post messages of its own.
    if (data?.token !== this.#token) return;
    if (!isFromWorker(data)) {
      const error = new TypeError(`${textOf(data)} is no message`);
      return this.#events.onDeath(GARBLED, { error });
    }
    // What it left before it said this comes first.
    this.#lanes.look();
    if (data.type === "look") return;
    if (data.type === "printed") return printFor(data.bytes, data.toStderr);
    if (data.type !== "died") {
      tell(this.#events, data);
      // The runtime may keep its last message for as long as no other comes.
      if (data.type === "outcome") {
        (data as { outcome: Outcome | undefined }).outcome = undefined;
      }
      return;
    }
    this.#events.onDeath(
      `ended by ${data.how}`,
      data.error && { error: thrownBy({ is: "threw", what: data.error }) },
    );
  };
}

// What a link leaves out, it has not: whatever a program gave to all objects.
Object.setPrototypeOf(ThreadLink.prototype, null);
