/**
 * Calls in child processes: a {@linkcode PoolLink} over one, and the options.
 *
 * @module
 */

import { BrokenProcessPool, RuntimeError } from "./errors.ts";
import { Executor, type ShutdownOptions } from "./executor.ts";
import type { Future } from "./future.ts";
import {
  checkCount,
  checkText,
  checkTexts,
  optionNames,
  show,
} from "./internal/base/checks.ts";
import { early } from "./internal/base/early.ts";
import { pathOf } from "./internal/base/file_path.ts";
import { setEngine, submitTo } from "./internal/call/engine.ts";
import type { Captured, FunctionRef } from "./internal/call/protocol.ts";
import { packCaptured } from "./internal/closures/pack_captured.ts";
import { Pool } from "./internal/pool/pool.ts";
import type { PoolKind } from "./internal/pool/pool_link.ts";
import {
  checkClosures,
  checkIdleTimeout,
  checkModules,
  checkOnWorkerLost,
  checkOptions,
  packInitializer,
} from "./internal/pool/pool_options.ts";
import {
  ALSO_BETWEEN_PROCESSES,
  NOT_BETWEEN_PROCESSES,
} from "./internal/processes/child_program.ts";
import { moduleFlags } from "./internal/processes/find_config.ts";
import { childPermissions } from "./internal/processes/permissions.ts";
import {
  type ChildOptions,
  type PackedArguments,
  ProcessLink,
} from "./internal/processes/process_link.ts";
import {
  checkArguments,
  explained,
  isSmall,
} from "./internal/values/arguments.ts";
import { makeCloneChecker } from "./internal/values/clone_checker.ts";
import { makeCodec, type PackedWithBuffers } from "./internal/values/codec.ts";

/**
 * The options of {@linkcode ProcessPoolExecutor}.
 *
 * @typeParam I The types of the initializer's arguments.
 */
// deno-lint-ignore no-explicit-any -- an initializer of whatever type
export interface ProcessPoolExecutorOptions<I extends unknown[] = any[]> {
  /**
   * How many children may live at once, at most 61 on Windows. They start on
   * demand.
   * @default {navigator.hardwareConcurrency}
   */
  maxWorkers?: number;
  /**
   * A function that each child runs before its first call. If it throws, the
   * pool is broken. It travels as the function of a call does.
   * @default {undefined} none
   */
  initializer?: (...args: I) => unknown;
  /** The arguments of the initializer, copied at once. @default {[]} */
  initargs?: NoInfer<I>;
  /**
   * How many calls a child runs before a new one takes its place.
   * @default {undefined} no limit
   */
  maxTasksPerChild?: number;
  /**
   * Modules whose exported functions are imported by the children, with all
   * that stands around them, instead of being sent as source.
   * @default {undefined} none
   */
  module?: string | URL | readonly (string | URL)[];
  /**
   * What tasks may do: of the same shape as a Worker's `deno.permissions`; keys
   * left out mean nothing. Modules are imported whatever it says.
   * `"inherit"` gives what this program has as a whole; of lists such as that
   * of `--allow-read=./data` a program can't know, so name them. Children never
   * get more than this program has, its `--deny-*` flags included, and what can't
   * be told is refused: where not all of a kind is granted, a prefix of variables
   * (`"APP_*"`), a pattern of hosts, and of a host without a port, if one is denied.
   * @default {"none"}
   */
  permissions?: Deno.PermissionOptions;
  /**
   * The `deno` to run children with.
   * @default {Deno.execPath()}
   */
  execPath?: string | URL;
  /**
   * Further flags for `deno run`, such as `--v8-flags=--max-old-space-size=512`.
   * @default {[]}
   */
  execArgv?: readonly string[];
  /**
   * The configuration file of the children, with their import map.
   * @default {undefined} what the program has: the flags that it was started
   * with, where it may read them, as on Linux with all permissions; else the
   * `deno.json` or `package.json` near the main module, where it may read that
   */
  config?: string | URL;
  /** Environment variables to add to this program's. @default {{}} */
  env?: Readonly<Record<string, string>>;
  /** The working directory of the children. @default {undefined} this program's */
  cwd?: string | URL;
  /**
   * Whether a function takes along what is around it: the variables, functions
   * and classes that it uses. Needs `--allow-sys`; without it functions go as
   * their source alone.
   * @default {true} `false` where the `module` option is given: the functions of
   * these modules are imported
   */
  closures?: boolean;
  /**
   * How long children stay when there is nothing to do, in milliseconds. An idle
   * child keeps the program alive, so this is also how long a program that never
   * calls `shutdown` lives on after its last call.
   * @default {200}
   */
  idleTimeout?: number;
  /**
   * What happens when a child dies: `"break"` fails all calls and the pool, as
   * Python does; `"replace"` fails only the call that ran on it, and another
   * child takes its place. A call that killed its child is not run again. An
   * initializer that fails, and children that die one after another before they
   * run anything, break the pool all the same.
   * @default {"break"}
   */
  onWorkerLost?: "break" | "replace";
}

/** How many calls a child can hold at once. */
const SLOTS = 256;
/** As many handles as Windows waits for at once, less two. */
const MOST_ON_WINDOWS = 61;

let pools = 0;
const OPTIONS = optionNames<ProcessPoolExecutorOptions>({
  maxWorkers: true,
  initializer: true,
  initargs: true,
  maxTasksPerChild: true,
  module: true,
  permissions: true,
  execPath: true,
  execArgv: true,
  config: true,
  env: true,
  cwd: true,
  closures: true,
  idleTimeout: true,
  onWorkerLost: true,
});

const checker = early(() =>
  makeCloneChecker(NOT_BETWEEN_PROCESSES, ALSO_BETWEEN_PROCESSES)
);
const codec = early(makeCodec);

/**
 * Runs calls in child processes, each a `deno run`. Values cross as structured
 * clone copies them, and nothing is shared.
 *
 * Needs `--allow-run`, and nothing else for a self-contained function. How a
 * function travels is told at `ThreadPoolExecutor`; it is the same here.
 *
 * ### What a process can do that a thread cannot
 *
 * It can be ended in the middle of a busy loop, and it takes nobody with it
 * when it runs out of memory or crashes. Tasks may do no more than
 * `permissions` says. In return, a call that was handed to a child can no longer
 * be cancelled, and shared memory and `WebAssembly.Module` do not cross, which
 * structured clone itself keeps within a process. A `Blob` crosses; to read it,
 * this program stands still for some 25 milliseconds.
 *
 * ### What tasks print
 *
 * It appears on this program's own stdout and stderr, whole lines whole. Tasks
 * find their stdin at its end.
 *
 * ### What keeps the program alive
 *
 * Calls that are not done do; the children do for `idleTimeout` milliseconds
 * more. After `shutdown()` nothing does. When this program dies, however it
 * does, its children end.
 *
 * @example Prime numbers in parallel
 * ```ts
 * import { ProcessPoolExecutor } from "@concurrent/futures";
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
 * await using executor = new ProcessPoolExecutor();
 * const primes = await Array.fromAsync(executor.map(isPrime, numbers));
 * assert.deepEqual(primes, [true, false, false]);
 * ```
 *
 * @example Tasks may do what they were given
 * ```ts
 * import { ProcessPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ProcessPoolExecutor({ maxWorkers: 1 });
 * const home = executor.submit(() => Deno.env.get("HOME"));
 * await assert.rejects(home.result(), Deno.errors.NotCapable);
 * ```
 *
 * @example A worker that dies fails its call alone
 * ```ts
 * import { BrokenProcessPool, ProcessPoolExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ProcessPoolExecutor({
 *   maxWorkers: 1,
 *   onWorkerLost: "replace",
 * });
 * const fatal = executor.submit(() => Deno.exit(1));
 * const next = executor.submit(Math.sqrt, 9);
 * await assert.rejects(fatal.result(), BrokenProcessPool);
 * assert.equal(await next.result(), 3);
 * ```
 */
// deno-lint-ignore no-explicit-any -- an initializer of whatever type
export class ProcessPoolExecutor<I extends unknown[] = any[]> extends Executor {
  readonly #pool: Pool;

  /**
   * Makes a pool; no child starts before the first call.
   *
   * @param options How many children, how they start, and what they may do.
   * @throws {RangeError} when `maxWorkers` or `maxTasksPerChild` is not greater
   * than 0, `maxWorkers` is more than 61 on Windows, or `idleTimeout` is negative.
   * @throws {TypeError} when an option is of the wrong type, or `module` no
   * absolute URL.
   * @throws {RuntimeError} in a program made by `deno compile`, without the
   * `execPath` option.
   * @throws {Deno.errors.NotCapable} when `permissions` asks for more than this
   * program has.
   * @throws {DOMException} `DataCloneError` when `initargs` can't be copied.
   *
   * @example Children that may read one folder
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ProcessPoolExecutor({
   *   maxWorkers: 1,
   *   permissions: { read: ["."] },
   * });
   * const folder = executor.submit(() => Deno.statSync(".").isDirectory);
   * assert.equal(await folder.result(), true);
   * ```
   */
  constructor(options: ProcessPoolExecutorOptions<I> = {}) {
    super();
    this.#pool = new Pool(processKind(options));
    setEngine(this, this.#pool, ownSubmit);
  }

  /**
   * Has `fn(...args)` run in a child. Arguments and result are copied; the
   * arguments as they are now, whatever the caller does to them later.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function, async or not.
   * @param args Its arguments.
   * @returns The future of the call. It fails with a `DataCloneError` when the
   * function, an argument or the result can't travel, and with
   * {@linkcode BrokenProcessPool} when a child dies before the call is done.
   * @throws {RuntimeError} when the pool was shut down, or when a module that
   * a child imports submits without being asked to.
   * @throws {BrokenProcessPool} when a child has died.
   * @throws {TypeError} when `fn` is no function.
   *
   * @example One call
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new ProcessPoolExecutor({ maxWorkers: 1 });
   * assert.equal(await executor.submit(Math.pow, 323, 2).result(), 104329);
   * ```
   */
  override submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    return submitTo(this, this.#pool, fn, args) as Future<Awaited<R>>;
  }

  /**
   * Takes no more calls, and ends the children once the calls that there are
   * are done. It may be called again.
   *
   * @param options Whether to wait, and whether to cancel what has not started.
   * @returns A promise that resolves when all is done and no child is left; with
   * `wait: false`, at once, and the work still completes.
   *
   * @example Leaving the work to end by itself
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const executor = new ProcessPoolExecutor({ maxWorkers: 1 });
   * const future = executor.submit(Math.sqrt, 9);
   * await executor.shutdown({ wait: false });
   * assert.equal(await future.result(), 3);
   * await executor.shutdown();
   * ```
   */
  override shutdown(options?: ShutdownOptions): Promise<void> {
    return this.#pool.shutdown(options);
  }

  /**
   * Signals all children to end now (`SIGTERM`), shuts the pool down, and
   * cancels the calls that wait. Calls in a child fail with
   * {@linkcode BrokenProcessPool}. Does not wait: `shutdown()` does.
   *
   * @example Stopping what would go on for ever
   * ```ts
   * import { BrokenProcessPool, ProcessPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const executor = new ProcessPoolExecutor({ maxWorkers: 1 });
   * const future = executor.submit(() => {
   *   for (;;);
   * });
   * executor.terminateWorkers();
   * await assert.rejects(future.result(), BrokenProcessPool);
   * await executor.shutdown();
   * ```
   */
  terminateWorkers(): void {
    this.#pool.killWorkers("SIGTERM", "terminateWorkers()");
  }

  /**
   * The same as {@linkcode ProcessPoolExecutor.terminateWorkers}, with a signal
   * that no child can handle (`SIGKILL`).
   *
   * @example Stopping at once
   * ```ts
   * import { ProcessPoolExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const executor = new ProcessPoolExecutor({ maxWorkers: 1 });
   * const futures = [1, 2, 3].map(() => executor.submit(() => new Promise(() => {})));
   * executor.killWorkers();
   * assert.ok(futures.every((future) => future.done()));
   * await executor.shutdown();
   * ```
   */
  killWorkers(): void {
    this.#pool.killWorkers("SIGKILL", "killWorkers()");
  }
}

const ownSubmit = ProcessPoolExecutor.prototype.submit;

/** Checks the options. For what stands on the children without being a pool. */
export function processKind<I extends unknown[]>(
  options: ProcessPoolExecutorOptions<I>,
  detached = false,
): PoolKind {
  options = checkOptions(options, OPTIONS, "ProcessPoolExecutor");
  const windows = Deno.build.os === "windows";
  const {
    maxWorkers = windows
      ? Math.min(MOST_ON_WINDOWS, navigator.hardwareConcurrency)
      : navigator.hardwareConcurrency,
    maxTasksPerChild,
    idleTimeout = 200,
    onWorkerLost = "break",
    config,
  } = options;
  checkCount(maxWorkers, "maxWorkers");
  checkOnWorkerLost(onWorkerLost);
  if (windows && maxWorkers > MOST_ON_WINDOWS) {
    throw new RangeError(
      `maxWorkers must be at most ${MOST_ON_WINDOWS} on Windows: received ${maxWorkers}`,
    );
  }
  if (maxTasksPerChild !== undefined) {
    checkCount(maxTasksPerChild, "maxTasksPerChild");
  }
  if (Deno.build.standalone && options.execPath === undefined) {
    throw new RuntimeError(
      "Cannot create ProcessPoolExecutor in a compiled program, whose Deno.execPath() is the program itself: name a deno with the execPath option, or use ThreadPoolExecutor",
    );
  }
  const { execPath, execArgv = [], cwd, env } = options;
  for (const [name, value] of Object.entries({ execPath, cwd, config })) {
    if (value !== undefined) checkText(value, name, true);
  }
  checkTexts(execArgv, "execArgv");
  if (env !== undefined) checkEnv(env);
  const modules = checkModules(options.module);
  const closures = checkClosures(options.closures, modules);
  const maxTasks = maxTasksPerChild ?? Infinity;
  const child: ChildOptions = {
    name: `ProcessPoolExecutor-${pools}`,
    codec: codec(),
    slots: SLOTS,
    execPath: execPath ?? Deno.execPath(),
    execArgv: [...execArgv],
    moduleFlags: moduleFlags(
      config instanceof URL ? pathOf(config) : config,
      execArgv,
    ),
    permissions: childPermissions(options.permissions, cwd, env),
    env: env && { ...env },
    cwd,
    detached,
    modules,
    initializer: packInitializer(
      options.initializer,
      options.initargs ?? [],
      closures,
      (fn, args, root) => {
        pack(fn, args, root);
        return structuredClone(args);
      },
      carry,
    ),
  };
  pools++;
  return {
    name: "ProcessPoolExecutor",
    maxWorkers,
    modules,
    preparesWorkers: modules.length > 0 || options.initializer !== undefined,
    closures,
    idleTimeout: checkIdleTimeout(idleTimeout),
    broken: BrokenProcessPool,
    slots: SLOTS,
    maxTasks,
    onWorkerLost,
    pack: (fn, args, _now, transfer) => pack(fn, args, "args", transfer),
    carry,
    packsForGood: true,
    ...(tellTogether({ onWorkerLost, maxTasks }) && {
      chunks: {
        isFlat,
        takes: (packed) =>
          typeof packed === "string" && isSmall(packed) ||
          typeof packed === "number",
      },
    }),
    recycle,
    open: (index, depth, events, pool) =>
      new ProcessLink(index, depth, child, events, tellTogether(pool)),
  };
}

/**
 * Whether the children of a pool may tell results together. Those that come and go
 * count their calls; and where one that dies is replaced, it must have been told
 * which of its calls had ended.
 */
function tellTogether(
  { onWorkerLost, maxTasks }: Pick<PoolKind, "onWorkerLost" | "maxTasks">,
): boolean {
  return onWorkerLost === "break" && maxTasks === Infinity;
}

/** What a function captured, as it is sent. */
function carry(fn: FunctionRef, captured: Captured): unknown {
  return packCaptured(
    checker(),
    fn,
    captured,
    () => codec().encode(captured, 2),
  );
}

function checkEnv(env: unknown): void {
  if (typeof env !== "object" || env === null || Array.isArray(env)) {
    throw new TypeError(
      `env must be an object of strings: received ${show(env)}`,
    );
  }
  for (const [name, value] of Object.entries(env)) {
    checkText(value, `env.${name}`);
  }
}

/** Whether JSON says all of a value. */
function isFlat(value: unknown): boolean {
  return typeof value === "number"
    ? Number.isFinite(value) && !Object.is(value, -0)
    : value === null || typeof value === "boolean" ||
      typeof value === "string" && isSmall(value);
}

/** Arguments as they are sent. */
function pack(
  fn: FunctionRef,
  args: readonly unknown[],
  root: string,
  transfer: readonly Transferable[] = [],
): PackedArguments {
  // One number, as it is: a text would take memory for as long as the call waits.
  const [only] = args;
  if (args.length === 1 && typeof only === "number" && isFlat(only)) {
    return only;
  }
  // There is nothing in plain values that can't travel, nor that could be moved.
  const text = transfer.length === 0 ? codec().text(args, 1) : undefined;
  if (text !== undefined) return text;
  const moved = checkArguments(checker(), fn, args, root, transfer);
  return explained(checker(), fn, args, root, () => {
    const packed = codec().encode(args, 1, true);
    if (typeof packed === "string") return packed;
    const { bytes, buffers } = packed instanceof Uint8Array
      ? { bytes: packed, buffers: [] }
      : packed;
    // Nothing is shared with a child. But who gave something away has it no more,
    // and is spared the copy.
    const kept = new Map<unknown, ArrayBuffer>();
    for (const item of moved) {
      if (item instanceof ArrayBuffer) kept.set(item, item.transfer());
    }
    if (buffers.length === 0) return bytes;
    return {
      bytes,
      // As they are now, whatever the caller does to them before they are sent.
      buffers: buffers.map((buffer) => kept.get(buffer) ?? copyOf(buffer)),
    };
  });
}

/**
 * A copy that is needed no more, if the garbage collector has not had it yet:
 * memory that was written to before takes a copy in a fraction of the time that
 * new memory takes, 5 ms instead of 30 for 64 MiB.
 */
let spare: WeakRef<ArrayBuffer> | undefined;

function copyOf(buffer: ArrayBuffer): ArrayBuffer {
  const copy = spare?.deref();
  if (copy?.byteLength !== buffer.byteLength) return buffer.slice();
  spare = undefined;
  new Uint8Array(copy).set(new Uint8Array(buffer));
  return copy;
}

/** The call is done, so nobody will send these any more. */
function recycle(args: unknown): void {
  if (typeof args !== "object" || args instanceof Uint8Array) return;
  const [buffer] = (args as Partial<PackedWithBuffers>).buffers ?? [];
  if (buffer) spare = new WeakRef(buffer);
}
