/**
 * Calls on the event loop of their caller: a {@linkcode PoolLink} over none.
 *
 * @module
 */

import { currentTask } from "./current_task.ts";
import { BrokenExecutor } from "./errors.ts";
import { Executor, type ShutdownOptions } from "./executor.ts";
import type { Future } from "./future.ts";
import {
  type Context,
  keepContext,
  type Storage,
  storageClass,
} from "./internal/base/async_context.ts";
import { checkCount, optionNames, show } from "./internal/base/checks.ts";
import { ownClock, soon } from "./internal/base/timers.ts";
import { setEngine, submitTo } from "./internal/call/engine.ts";
import type {
  CallMessage,
  CurrentTask,
  FunctionRef,
  Outcome,
} from "./internal/call/protocol.ts";
import { localTask, workerMarker } from "./internal/call/realm.ts";
import { LoopCopies } from "./internal/event_loop/copies.ts";
import { describe, label } from "./internal/functions/describe.ts";
import { Pool } from "./internal/pool/pool.ts";
import type {
  LinkEvents,
  PoolKind,
  PoolLink,
} from "./internal/pool/pool_link.ts";
import { checkOptions } from "./internal/pool/pool_options.ts";
import { transfer } from "./transfer.ts";

/** The options of {@linkcode EventLoopExecutor}. */
export interface EventLoopExecutorOptions {
  /**
   * How many calls may run at once.
   * @default {min(32, navigator.hardwareConcurrency + 4)}
   */
  maxWorkers?: number;
  /**
   * Copies arguments and results, and refuses what a function captured and can't
   * travel, as a thread does: with the same errors. The function itself runs here,
   * so that a debugger stops in it. For tests. @default {false}
   */
  copy?: boolean;
}

const OPTIONS = optionNames<EventLoopExecutorOptions>({
  maxWorkers: true,
  copy: true,
});

/**
 * Runs calls on the current event loop, at most so many at a time: the
 * interface of the pools, with no worker at all.
 *
 * For calls that wait (for the network, for files, for timers), for runtimes
 * that have no workers, and for tests. Functions run where they are, closures
 * and all; arguments and results are not copied. It needs no permission.
 *
 * A call starts in a microtask after `submit`, never within it, and has the async
 * context (`AsyncLocalStorage`) of that `submit`. A call that
 * computes holds up everything else, as any code does: nothing runs in parallel
 * here, and no time limit can stop it.
 *
 * Calls that are not done keep the program alive as far as what they wait for
 * does; the executor itself does not.
 *
 * @example At most two requests at a time
 * ```ts
 * import { EventLoopExecutor } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * let running = 0;
 * let most = 0;
 * async function request(path: string): Promise<string> {
 *   most = Math.max(most, ++running);
 *   await new Promise((resolve) => setTimeout(resolve, 1));
 *   running--;
 *   return `the page of ${path}`;
 * }
 *
 * await using executor = new EventLoopExecutor({ maxWorkers: 2 });
 * const pages = await Array.fromAsync(executor.map(request, ["/a", "/b", "/c"]));
 * assert.equal(pages[2], "the page of /c");
 * assert.equal(most, 2);
 * ```
 */
export class EventLoopExecutor extends Executor {
  readonly #pool: Pool;

  /**
   * Makes an executor.
   *
   * @param options How many calls may run at once, and whether values are copied.
   * @throws {RangeError} when `maxWorkers` is not greater than 0.
   * @throws {TypeError} when `maxWorkers` is no integer, or `copy` no boolean.
   *
   * @example One call after another
   * ```ts
   * import { EventLoopExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new EventLoopExecutor({ maxWorkers: 1 });
   * const order: number[] = [];
   * for (const n of [1, 2, 3]) executor.submit(async () => order.push(await n));
   * await executor.shutdown();
   * assert.deepEqual(order, [1, 2, 3]);
   * ```
   *
   * @example What would not travel to a worker fails here, too
   * ```ts
   * import { EventLoopExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new EventLoopExecutor({ copy: true });
   * const config = { url: new URL("https://example.org/") };
   * const future = executor.submit(({ url }) => url.href, config);
   * await assert.rejects(future.result(), /args\[0\].url is a URL/);
   * ```
   */
  constructor(options: EventLoopExecutorOptions = {}) {
    super();
    options = checkOptions(options, OPTIONS, "EventLoopExecutor");
    const {
      maxWorkers = Math.min(
        32,
        (globalThis.navigator?.hardwareConcurrency ?? 1) + 4,
      ),
      copy = false,
    } = options;
    checkCount(maxWorkers, "maxWorkers");
    if (typeof copy !== "boolean") {
      throw new TypeError(`copy must be a boolean: received ${show(copy)}`);
    }
    const copies = copy ? new LoopCopies() : undefined;
    this.#pool = new Pool(loopKind(maxWorkers, copies));
    setEngine(this, this.#pool, ownSubmit);
  }

  /**
   * Has `fn(...args)` run on the event loop, soon. Nothing is copied, unless the
   * `copy` option says so.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function, async or not; one of `taskModule()` is imported.
   * @param args Its arguments.
   * @returns The future of the call.
   * @throws {RuntimeError} when the executor was shut down.
   * @throws {TypeError} when `fn` is no function.
   *
   * @example A closure
   * ```ts
   * import { EventLoopExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * await using executor = new EventLoopExecutor();
   * const limit = 10;
   * const future = executor.submit((n: number) => n < limit, 5);
   * assert.equal(await future.result(), true);
   * ```
   */
  override submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    return submitTo(this, this.#pool, fn, args) as Future<Awaited<R>>;
  }

  /**
   * Takes no more calls, and resolves once those that there are are done. It may
   * be called again.
   *
   * @param options Whether to wait, and whether to cancel what has not started.
   * @returns A promise that resolves when all is done; with `wait: false`, at
   * once, and the work still completes.
   *
   * @example Cancelling what has not started
   * ```ts
   * import { EventLoopExecutor } from "@concurrent/futures";
   * import assert from "node:assert/strict";
   *
   * const executor = new EventLoopExecutor({ maxWorkers: 1 });
   * const futures = [1, 2].map((n) => executor.submit(Math.sqrt, n));
   * await executor.shutdown({ cancelFutures: true });
   * assert.ok(futures.every((future) => future.cancelled()));
   * ```
   */
  override shutdown(options?: ShutdownOptions): Promise<void> {
    return this.#pool.shutdown(options);
  }
}

const ownSubmit = EventLoopExecutor.prototype.submit;

// deno-lint-ignore no-explicit-any -- a caller's function, of any type
type Fn = (...args: any[]) => unknown;

/** The functions behind the references: here they need not travel. */
const functions = new WeakMap<FunctionRef, Fn>();
const originals = new WeakMap<FunctionRef, Fn>();
const references = new WeakMap<Fn, FunctionRef>();

/** A reference to a function that stays where it is. */
function describeHere(fn: unknown, caller: string): FunctionRef {
  const known = references.get(fn as Fn);
  if (known) return known;
  const isBound = typeof fn === "function" && /^bound /.test(fn.name);
  const ref: FunctionRef = isBound
    ? { by: "source", name: fn.name, source: "" }
    : describe(fn, caller, true);
  if (ref.by === "export") return ref;
  // Of functions with the same source each is its own here.
  const own = { ...ref };
  const isGlobal = ref.by === "name" && !ref.path[0].startsWith("node:");
  functions.set(own, isGlobal ? onItsOwner(ref.path) : fn as Fn);
  originals.set(own, fn as Fn);
  references.set(fn as Fn, own);
  return own;
}

/** A built-in, called on what it was found on, as a worker calls it. */
function onItsOwner(path: readonly string[]): Fn {
  let owner: unknown;
  let found: unknown = globalThis;
  for (const step of path) {
    owner = found;
    found = (owner as Record<string, unknown>)[step];
  }
  const self = path.includes("prototype") ? undefined : owner;
  return (...args) => Reflect.apply(found as Fn, self, args);
}

function loopKind(
  maxWorkers: number,
  copies: LoopCopies | undefined,
): PoolKind {
  return {
    name: "EventLoopExecutor",
    maxWorkers,
    modules: [],
    // A worker that is no worker costs nothing.
    idleTimeout: Infinity,
    broken: BrokenExecutor,
    slots: 1,
    maxTasks: Infinity,
    onWorkerLost: "break",
    describe: describeHere,
    pack: (ref, args, _now, transfer) =>
      new Prepared(
        copies?.arguments(originals.get(ref), ref, args, transfer) ?? args,
      ),
    packsForGood: true,
    open: (index, _depth, events) => new LoopLink(index, events, copies),
  };
}

/**
 * What a call has from its `submit`: arguments, and the async context. The latter
 * stays with the continuation of a promise, as the runtime keeps it, where there
 * is an `AsyncLocalStorage` and where not; nothing else costs as little.
 */
class Prepared {
  readonly args: readonly unknown[];
  /** Has the call start on its place, in a microtask; once. */
  readonly start: (link: LoopLink) => void;

  constructor(args: readonly unknown[]) {
    this.args = args;
    const { promise, resolve } = Promise.withResolvers<LoopLink>();
    promise.then(startOn);
    this.start = resolve;
  }
}

function startOn(link: LoopLink): void {
  link.start();
}

/** A place for one call at a time. */
class LoopLink implements PoolLink {
  readonly label: string;
  readonly #events: LinkEvents;
  /** The call that is here, and whether it waits, has started, or was taken back. */
  #call: CallMessage | undefined;
  #is: "waiting" | "started" | "taken back" = "waiting";
  /** The call as it sees itself. */
  #task: LoopTask | undefined;

  readonly #copies: LoopCopies | undefined;

  constructor(
    index: number,
    events: LinkEvents,
    copies: LoopCopies | undefined,
  ) {
    this.#copies = copies;
    this.label = `EventLoopExecutor_${index}`;
    this.#events = events;
    soon(() => events.onReady());
  }

  send([call]: readonly CallMessage[]): void {
    this.#call = call;
    this.#is = "waiting";
    this.#task = undefined;
    (call.args as Prepared).start(this);
  }

  hasStarted(): boolean {
    return this.#is === "started";
  }

  takeBack(): boolean {
    if (this.#is === "waiting") this.#is = "taken back";
    return this.#is === "taken back";
  }

  abort(_slot: number, _call: number, name: string, message: string): void {
    const task = this.#task;
    // What listens is part of the call.
    task?.abort(new DOMException(message, name));
  }

  end(): Promise<void> {
    this.#call = undefined;
    return Promise.resolve();
  }

  kill(): Promise<void> {
    return this.end();
  }

  // Neither an async function nor one that captures the call: an exception keeps
  // the functions of its stack alive, and they would keep the arguments.
  start(): void {
    if (this.#call) this.#run(this.#call);
  }

  #run(call: CallMessage): void {
    const { slot, fn, watched } = call;
    if (this.#is === "taken back") {
      this.#call = undefined;
      return this.#events.onSkipped([slot]);
    }
    this.#is = "started";
    if (watched !== undefined) this.#events.onStarted(slot, watched);
    const { args } = call.args as Prepared;
    const task = this.#task = new LoopTask(
      this.label,
      watched === undefined ? undefined : keepContext(),
    );
    const begin = ownClock.now();
    const end = (outcome: Outcome) => {
      // A call whose time was over has lost its place to another.
      if (this.#call !== call) return;
      this.#call = undefined;
      this.#task = undefined;
      const ms = ownClock.now() - begin;
      const copied = this.#copies?.outcome(fn, outcome) ?? outcome;
      this.#events.onOutcome(slot, ms, copied);
    };
    const run = functions.get(fn);
    (run
      ? runAs(task, run, args)
      : imported(fn).then((run) => runAs(task, run, args))).then(
        (value) => end({ is: "returned", value }),
        (error) => end({ is: "raised", error }),
      );
  }
}

// What a link leaves out, it has not: whatever a program gave to all objects.
Object.setPrototypeOf(LoopLink.prototype, null);

/** A call, as it sees itself. */
class LoopTask implements CurrentTask {
  readonly workerName: string;
  /** That of its `submit`, of a call that may be aborted. */
  readonly #context: Context | undefined;
  /** Made when the call asks for its signal. */
  #aborter: AbortController | undefined;

  constructor(workerName: string, context: Context | undefined) {
    this.workerName = workerName;
    this.#context = context;
  }

  get signal(): AbortSignal {
    return (this.#aborter ??= new AbortController()).signal;
  }

  /** What listens to its signal is part of the call, and runs as it does. */
  abort(reason: unknown): void {
    const aborter = this.#aborter ??= new AbortController();
    const abort = () => runAs(this, () => aborter.abort(reason), []);
    if (this.#context) this.#context(abort);
    else abort();
  }
}

/** A function that a module exports which nobody here has loaded. */
async function imported(ref: FunctionRef): Promise<Fn> {
  const { name, module } = ref as FunctionRef & { by: "export" };
  // By a module that stands in for it: see `importModule` in the runtime.
  const standIn = `data:text/javascript,${
    encodeURIComponent(`export * as module from ${JSON.stringify(module)}`)
  }`;
  let exports: Record<string, unknown>;
  try {
    exports = (await import(standIn)).module;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    // Where the stand-in asked for it is of no use to anybody.
    const place = /\n\s+at [^\n]*data:text\/javascript,export[^\n]*/g;
    throw new Error(
      `Cannot import ${module}, which ${label(ref)} needs: ${
        why.replace(place, "")
      }`,
      { cause },
    );
  }
  const found = exports[name];
  if (typeof found === "function") return found as Fn;
  throw new DOMException(
    `Cannot call "${name}" of ${module}: ${
      found === undefined
        ? "the module does not export it"
        : "it is no function"
    }`,
    "DataCloneError",
  );
}

// ---- Which call runs ---------------------------------------------------------

let storage: Storage<CurrentTask> | undefined;

/** Follows what a call awaits, where the runtime can; else its first stretch alone. */
function makeStorage(): Storage<CurrentTask> {
  const AsyncLocalStorage = storageClass();
  if (AsyncLocalStorage) return new AsyncLocalStorage<CurrentTask>();
  let current: CurrentTask | undefined;
  return {
    run(task, fn, ...args) {
      const outer = current;
      current = task;
      try {
        return fn(...args);
      } finally {
        current = outer;
      }
    },
    getStore: () => current,
  };
}

function runAs(
  task: CurrentTask,
  fn: Fn,
  args: readonly unknown[],
): Promise<unknown> {
  if (!storage) {
    const made = storage = makeStorage();
    localTask.current = () => made.getStore();
    defineGlobals();
  }
  try {
    return Promise.resolve(storage.run(task, callWith, fn, args));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What a function finds on a worker, it finds here, too. */
function defineGlobals(): void {
  const globals = globalThis as unknown as Record<string | symbol, unknown>;
  for (const [name, fn] of Object.entries({ currentTask, transfer })) {
    // That of a worker knows nothing of calls in here; the program's own stays.
    if (name in globals && globals[name] !== workerMarker?.currentTask) {
      continue;
    }
    Object.defineProperty(globals, name, {
      value: fn,
      writable: true,
      configurable: true,
    });
  }
}

function callWith(fn: Fn, args: readonly unknown[]): unknown {
  return fn(...args);
}
