/**
 * Calls in child processes: a {@linkcode WorkerLink} over one, and the options.
 *
 * @module
 */

import { BrokenProcessPool, RuntimeError } from "./errors.ts";
import { Executor, type ShutdownOptions } from "./executor.ts";
import type { Future } from "./future.ts";
import { makeCloneChecker } from "./internal/clonable.ts";
import {
  makeCodec,
  type Packed,
  type PackedWithBuffers,
} from "./internal/codec.ts";
import { findConfig } from "./internal/config.ts";
import { reviveThrown } from "./internal/exception.ts";
import { FrameReader, joined } from "./internal/framing.ts";
import { LineForwarder } from "./internal/output.ts";
import {
  checkArguments,
  checkCount,
  checkIdleTimeout,
  checkModules,
  explained,
  hasOwnModule,
  packInitializer,
} from "./internal/packing.ts";
import {
  type ChildPermissions,
  childPermissions,
  pathOf,
} from "./internal/permissions.ts";
import { drained, readAll, readFrames } from "./internal/reading.ts";
import {
  type LinkEvents,
  type PoolKind,
  tell,
  type WorkerLink,
} from "./internal/link.ts";
import { Pool } from "./internal/pool.ts";
import {
  ALSO_BETWEEN_PROCESSES,
  BOOTSTRAP,
  childProgram,
  NOT_BETWEEN_PROCESSES,
  tasksProgram,
  type ToChild,
} from "./internal/process_worker.ts";
import type {
  CallMessage,
  FromWorker,
  FunctionRef,
  StartMessage,
} from "./internal/protocol.ts";
import { startTimer } from "./internal/timer.ts";
import { taskModules } from "./internal/travel.ts";

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
   * of `--allow-read=./data` a program can't know, so name them.
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
   * @default {undefined} the `deno.json` near the main module, where this program
   * may read it
   */
  config?: string | URL;
  /** Environment variables to add to this program's. @default {{}} */
  env?: Readonly<Record<string, string>>;
  /** The working directory of the children. @default {undefined} this program's */
  cwd?: string | URL;
  /**
   * How long children stay when there is nothing to do, in milliseconds. An idle
   * child keeps the program alive, so this is also how long a program that never
   * calls `shutdown` lives on after its last call.
   * @default {200}
   */
  idleTimeout?: number;
}

/** How many calls a child can hold at once. */
const SLOTS = 256;
/** As many handles as Windows waits for at once, less two. */
const MOST_ON_WINDOWS = 61;
/** How long a child that was asked to end may take, in milliseconds. */
const GRACE = 2000;

let pools = 0;
const checker = makeCloneChecker(NOT_BETWEEN_PROCESSES, ALSO_BETWEEN_PROCESSES);
const codec = makeCodec();
const encoder = new TextEncoder();

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
 * be cancelled, and shared memory, `Blob` and `WebAssembly.Module` do not cross.
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
    return this.#pool.submit(fn, args) as Future<Awaited<R>>;
  }

  /** Throws what `submit` would throw. */
  protected override checkAccepts(fn: unknown): void {
    this.#pool.check(fn, "map");
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

/** What all children of a pool have in common. */
interface ChildOptions {
  readonly name: string;
  readonly execPath: string | URL;
  readonly execArgv: readonly string[];
  readonly config: string | undefined;
  readonly permissions: ChildPermissions;
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly cwd: string | URL | undefined;
  readonly modules: readonly string[];
  readonly initializer: StartMessage["initializer"];
}

/** Checks the options. For what stands on the children without being a pool. */
export function processKind<I extends unknown[]>(
  options: ProcessPoolExecutorOptions<I>,
): PoolKind {
  const windows = Deno.build.os === "windows";
  const {
    maxWorkers = windows
      ? Math.min(MOST_ON_WINDOWS, navigator.hardwareConcurrency)
      : navigator.hardwareConcurrency,
    maxTasksPerChild,
    idleTimeout = 200,
    config,
  } = options;
  checkCount(maxWorkers, "maxWorkers");
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
  const child: ChildOptions = {
    name: `ProcessPoolExecutor-${pools}`,
    execPath: options.execPath ?? Deno.execPath(),
    execArgv: options.execArgv ?? [],
    config: config instanceof URL ? pathOf(config) : config ?? findConfig(),
    permissions: childPermissions(options.permissions),
    env: options.env,
    cwd: options.cwd,
    modules: checkModules(options.module),
    initializer: packInitializer(
      options.initializer,
      options.initargs ?? [],
      (fn, args, root) => {
        pack(fn, args, root);
        return structuredClone(args);
      },
    ),
  };
  pools++;
  return {
    name: "ProcessPoolExecutor",
    maxWorkers,
    modules: child.modules,
    idleTimeout: checkIdleTimeout(idleTimeout),
    broken: BrokenProcessPool,
    slots: SLOTS,
    maxTasks: maxTasksPerChild ?? Infinity,
    pack: (fn, args) => pack(fn, args, "args"),
    recycle,
    open: (index, depth, events) =>
      new ProcessLink(index, depth, child, events),
  };
}

/** Arguments as they are sent. */
function pack(fn: FunctionRef, args: readonly unknown[], root: string): Packed {
  checkArguments(checker, fn, args, root);
  return explained(checker, fn, args, root, () => {
    const packed = codec.encode(args, 1, true);
    if (typeof packed === "string" || packed instanceof Uint8Array) {
      return packed;
    }
    // As they are now, whatever the caller does to them before they are sent.
    return {
      bytes: packed.bytes,
      buffers: packed.buffers.map(copyOf),
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
  if (typeof args === "string" || args instanceof Uint8Array) return;
  const [buffer] = (args as PackedWithBuffers).buffers;
  if (buffer) spare = new WeakRef(buffer);
}

/** One child process. */
class ProcessLink implements WorkerLink {
  readonly label: string;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #events: LinkEvents;
  /** The modules that the child can import, `undefined` if it can all. */
  readonly #modules: ReadonlySet<string> | undefined;
  /** What is to be written in this turn of the event loop. */
  #unwritten: Uint8Array[] = [];
  /** What the child said of its death before it died. */
  #lastWords: (FromWorker & { type: "died" }) | undefined;
  /** Why what it said could not be read. */
  #garbled: { readonly error: unknown } | undefined;
  /** Resolves when the child is gone and all it has written is read. */
  readonly #gone: Promise<void>;

  constructor(
    index: number,
    depth: number,
    options: ChildOptions,
    events: LinkEvents,
  ) {
    const { config, permissions, cwd, env } = options;
    const modules = new Set([...options.modules, ...taskModules]);
    this.#modules = permissions.readAll ? undefined : modules;
    this.#events = events;
    this.#child = new Deno.Command(options.execPath, {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--unstable-worker-options",
        ...(config === undefined ? [] : ["--config", config]),
        ...permissions.flags,
        ...options.execArgv,
        BOOTSTRAP,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      ...(cwd !== undefined && { cwd }),
      ...(env !== undefined && { env }),
    }).spawn();
    this.label = `child ${index + 1} (pid ${this.#child.pid})`;
    this.#stdin = this.#child.stdin.getWriter();
    this.#stdin.closed.catch(() => {});

    const secret = [...crypto.getRandomValues(new Uint8Array(11))];
    const start: StartMessage & { secret: readonly number[] } = {
      type: "start",
      secret,
      // The child makes its own; this one stays here.
      flags: undefined as unknown as SharedArrayBuffer,
      modules: options.modules,
      ownModule: hasOwnModule(options.modules),
      initializer: options.initializer,
      depth,
    };
    const program = encoder.encode(childProgram());
    this.#write(encoder.encode(`${program.length}\n`), program);
    const packed = codec.encode(start) as string | Uint8Array<ArrayBuffer>;
    const bytes = typeof packed === "string" ? encoder.encode(packed) : packed;
    this.#writeLine({
      type: "start",
      secret,
      program: tasksProgram(modules),
      workerName: `${options.name}_${index}`,
      permissions: permissions.tasks,
      slots: SLOTS,
      alone: !permissions.startsOthers,
      bytes: bytes.length,
    }, bytes);

    const stdout = new LineForwarder(Deno.stdout);
    const stderr = new LineForwarder(Deno.stderr);
    const frames = new FrameReader(
      secret,
      codec,
      (message) => this.#onMessage(message as FromWorker),
      (output) => stdout.push(output),
    );
    const stops = [
      readFrames(this.#child.stdout, frames, (error) => {
        this.#garbled ??= { error };
        this.#signal("SIGKILL");
      }),
      readAll(this.#child.stderr, (part) => stderr.push(part)),
    ];
    this.#gone = this.#child.status.then(async (status) => {
      await drained(stops);
      frames.end();
      stdout.flush();
      stderr.flush();
      this.#stdin.abort().catch(() => {});
      this.#onExit(status, stderr.lastLines());
    });
  }

  send(calls: readonly CallMessage[]): void {
    const fns = new Map<FunctionRef, number>();
    const slots: number[] = [];
    const parts: Uint8Array[] = [];
    const buffers: ArrayBuffer[] = [];
    let text = "";
    for (const { slot, fn, args } of calls) {
      let id = fns.get(fn);
      if (id === undefined) fns.set(fn, id = fns.size);
      slots.push(slot);
      const packed = args as Packed;
      if (typeof packed === "string") {
        text += `,[${slot},${id},${packed}]`;
        continue;
      }
      const { bytes, buffers: apart } = packed instanceof Uint8Array
        ? { bytes: packed, buffers: [] }
        : packed;
      const lengths = apart.map(({ byteLength }) => byteLength);
      text += `,[${slot},${id},null,${bytes.length},[${lengths}]]`;
      parts.push(bytes);
      buffers.push(...apart);
    }
    const line = encoder.encode(
      `{"fns":${JSON.stringify([...fns.keys()])},"calls":[${text.slice(1)}]}\n`,
    );
    let bytes = line.length;
    for (const part of parts) bytes += part.length;
    this.#writeLine(
      {
        type: "calls",
        slots,
        bytes,
        buffers: buffers.map(({ byteLength }) => byteLength),
      },
      line,
      ...parts,
      ...buffers.map((buffer) => new Uint8Array(buffer)),
    );
  }

  /** A call that was handed to a child counts as started. */
  hasStarted(): boolean {
    return true;
  }

  takeBack(): boolean {
    return false;
  }

  recall(slots: readonly number[]): void {
    this.#writeLine({ type: "recall", slots });
  }

  accepts(fn: FunctionRef): boolean {
    return fn.by !== "export" || !this.#modules || this.#modules.has(fn.module);
  }

  async end(): Promise<void> {
    // The end of its stdin ends the child, with whatever it does at its end.
    this.#flush();
    this.#stdin.close().catch(() => {});
    const stop = startTimer(GRACE, () => this.#signal("SIGKILL"));
    await this.#gone;
    stop();
  }

  async kill(signal: Deno.Signal): Promise<void> {
    this.#signal(signal);
    const stop = startTimer(GRACE, () => this.#signal("SIGKILL"));
    await this.#gone;
    stop();
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It is gone already.
    }
  }

  #writeLine(message: ToChild, ...rest: readonly Uint8Array[]): void {
    this.#write(encoder.encode(`${JSON.stringify(message)}\n`), ...rest);
  }

  /** Writes all that one turn of the event loop has to say at once. */
  #write(...parts: readonly Uint8Array[]): void {
    if (this.#unwritten.length === 0) queueMicrotask(() => this.#flush());
    this.#unwritten.push(...parts);
  }

  #flush(): void {
    const parts = this.#unwritten;
    this.#unwritten = [];
    let small: Uint8Array[] = [];
    const write = (bytes: Uint8Array) => {
      // A child that is gone is told of by its status.
      this.#stdin.write(bytes).catch(() => {});
    };
    for (const part of parts) {
      // What is large is not copied for the sake of one write less.
      if (part.length > 65536) {
        if (small.length > 0) write(joined(...small));
        small = [];
        write(part);
      } else {
        small.push(part);
      }
    }
    if (small.length > 0) {
      write(small.length === 1 ? small[0] : joined(...small));
    }
  }

  #onMessage(message: FromWorker): void {
    if (message.type === "died") this.#lastWords = message;
    else if (message.type !== "look") tell(this.#events, message);
  }

  #onExit(status: Deno.CommandStatus, stderr: string): void {
    if (this.#garbled) {
      this.#events.onDeath("sent what could not be read", this.#garbled);
      return;
    }
    const { how, error } = this.#lastWords ?? {};
    const ended = status.signal
      ? `was killed by ${status.signal}`
      : `ended with exit code ${status.code}`;
    this.#events.onDeath(
      how === undefined ? ended : `${ended} after ${how}`,
      error && { error: reviveThrown(error) },
      stderr === "" ? undefined : `the last it wrote to stderr: ${stderr}`,
    );
  }
}
