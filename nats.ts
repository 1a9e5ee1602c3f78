/**
 * The same `Executor` on many machines: calls travel through a
 * [NATS](https://nats.io) server with JetStream to workers wherever they are.
 *
 * Start a server and workers, each with the modules whose functions it may run:
 *
 * ```sh
 * nats-server -js
 * deno run --allow-net=127.0.0.1:4222 --allow-run jsr:@concurrent/futures/worker \
 *   --servers nats://127.0.0.1:4222 --queue sums --module ./tasks.ts
 * ```
 *
 * and change one line of the program, the one that makes the executor.
 *
 * @example A program whose calls run wherever there are workers
 * ```ts ignore
 * // Not run as a test: it needs a server and a worker.
 * import { taskModule } from "@concurrent/futures";
 * import { NatsExecutor } from "@concurrent/futures/nats";
 *
 * const tasks = taskModule<typeof import("./tasks.ts")>(
 *   import.meta.resolve("./tasks.ts"),
 * );
 * await using executor = new NatsExecutor({
 *   servers: "nats://127.0.0.1:4222",
 *   queue: "sums",
 * });
 * for await (const sum of executor.map(tasks.sum, [[1, 2], [3, 4]])) {
 *   console.log(sum);
 * }
 * ```
 *
 * @module
 */

import { Executor, type ShutdownOptions } from "./executor.ts";
import type { Future } from "./future.ts";
import {
  checkCount,
  checkNames,
  checkTimeout,
  optionNames,
  show,
} from "./internal/base/checks.ts";
import { early } from "./internal/base/early.ts";
import { setEngine, submitTo } from "./internal/call/engine.ts";
import type { Captured, FunctionRef } from "./internal/call/protocol.ts";
import { packCaptured } from "./internal/closures/pack_captured.ts";
import type { NatsCredentials } from "./internal/nats/credentials.ts";
import { checkServers, type NatsTls } from "./internal/nats/servers.ts";
import { NatsTransport } from "./internal/nats/transport.ts";
import { checkClosures, checkModules } from "./internal/pool/pool_options.ts";
import {
  ALSO_BETWEEN_PROCESSES,
  NOT_BETWEEN_PROCESSES,
} from "./internal/processes/child_program.ts";
import { byName, nameOfModule } from "./internal/remote/module_names.ts";
import { checkLease, checkQueue } from "./internal/remote/queue_options.ts";
import { Submitter } from "./internal/remote/submitter.ts";
import { checkArguments, explained } from "./internal/values/arguments.ts";
import { makeCloneChecker } from "./internal/values/clone_checker.ts";
import { makeCodec } from "./internal/values/codec.ts";

export type { NatsCredentials, NatsTls };

/** The options of {@linkcode NatsExecutor}. */
export interface NatsExecutorOptions {
  /**
   * The server, or several of one cluster: `nats://host:4222`, `tls://`, `ws://` or
   * `wss://`, with `user:password@` or `token@` before the host where it asks for
   * them. What stands in a URL is for that server alone. Servers that are not named
   * are not connected to, whatever a cluster says of its others.
   *
   * To a `tls://` or `wss://` server nothing is said before the connection is
   * encrypted and its certificate is known to be good, for this host. A `nats://`
   * server may ask for TLS, and is told nothing without from then on.
   */
  servers: string | readonly string[];
  /**
   * What servers are shown whose URLs have nothing to show.
   * @default {undefined} nothing
   */
  credentials?: NatsCredentials;
  /**
   * Certificates, and the like. With this option `nats://` is `tls://`.
   * @default {undefined} what the runtime trusts, and no certificate of one's own
   */
  tls?: NatsTls;
  /**
   * The queue, which workers name too: letters, digits, `-` and `_`. It is made
   * when it is first used.
   */
  queue: string;
  /**
   * For how long a worker may not be heard of before its calls are lost, in
   * milliseconds, at least 1000. It is a property of the queue: the executor, or
   * worker, that names one sets it for all.
   * @default {undefined} as the queue has it, 10,000 for a new one
   */
  lease?: number;
  /**
   * How often a call may be started, if the workers that ran it were lost. With
   * more than 1, name only functions that may run twice: a worker that was taken
   * for lost may have come to the end of the call.
   * @default {1}
   */
  maxAttempts?: number;
  /**
   * How long calls may wait while no worker is there at all, in milliseconds,
   * before the executor is broken.
   * @default {undefined} no limit
   */
  workerTimeout?: number;
  /**
   * Modules whose exported functions workers run, or what workers call them:
   * `{ tasks: import.meta.resolve("./tasks.ts") }`. Without a name a module is
   * called what its file is, without the ending. A worker has the module from its
   * own `--module`; only the name travels.
   * @default {undefined} none
   */
  module?:
    | string
    | URL
    | readonly (string | URL)[]
    | Readonly<Record<string, string | URL>>;
  /**
   * Whether a function takes along what is around it: the variables, functions
   * and classes that it uses. Needs `--allow-sys`. Only a worker that was started
   * with `--allow-source` makes such a function anew; the others run the export of
   * the same name and source, with what is around it there.
   * @default {true} `false` where the `module` option is given
   */
  closures?: boolean;
}

const OPTIONS = optionNames<NatsExecutorOptions>({
  servers: true,
  queue: true,
  lease: true,
  maxAttempts: true,
  workerTimeout: true,
  module: true,
  closures: true,
  credentials: true,
  tls: true,
});

const checker = early(() =>
  makeCloneChecker(NOT_BETWEEN_PROCESSES, ALSO_BETWEEN_PROCESSES)
);
const codec = early(makeCodec);

/**
 * Runs calls on workers that are connected to the same NATS server, on this
 * machine or others. Values cross as structured clone copies them.
 *
 * Needs `--allow-net` for the server. A worker is started by
 * `deno run jsr:@concurrent/futures/worker`, whose `--help` says how.
 *
 * ### What workers run
 *
 * Functions that one of their own modules exports: those of `taskModule()` are
 * found by the names of module and export, others by name and source. Code
 * travels only to workers that were started with `--allow-source`, and with it what
 * a function captured, read anew for each call; see the `closures` option.
 *
 * ### What is promised
 *
 * A call starts at most `maxAttempts` times, and its result reaches the future
 * once. `cancel()` and `running()` are exact: a worker asks this program before
 * it starts a call, unless it was handed the call by this program, when it had
 * just ended another and none was waiting; such a call is running. A worker that
 * is lost breaks the calls that it ran, with {@linkcode BrokenExecutor}, and no
 * others; it may or may not have run them to their ends. A server that can't be reached when the first call is submitted,
 * that refuses, that stays away for two leases (at least 10 seconds), or that
 * has lost the queue, breaks the executor.
 *
 * Calls live as long as this program: when it is gone, those that wait are
 * dropped. They start in the order of their submission, and may end in any.
 *
 * ### Limits, and what there is to know
 *
 * With the signal or time limit of a view, a call ends wherever it runs: its child
 * is killed, whatever it does. When a signal aborts, the future fails at once, and
 * the worker is told: until it has heard, the call may go on. The time limit is
 * kept by the worker, from the start of the call.
 *
 * `stats()` counts the calls of this program. Its workers are those of the queue,
 * as they were last heard of: each counts for as many as it runs calls at once;
 * busy are those that run a call of this program. `warmUp(n)` starts none: it waits
 * until there are workers for `n` calls at once (default: 1).
 *
 * ### What keeps the program alive
 *
 * Calls that are not done do, and the connection for 200 milliseconds more.
 * After `shutdown()` nothing does.
 *
 * @example One call
 * ```ts ignore
 * // Not run as a test: it needs a server and a worker.
 * import { NatsExecutor } from "@concurrent/futures/nats";
 * import { isPrime } from "./tasks.ts";
 *
 * await using executor = new NatsExecutor({
 *   servers: "nats://127.0.0.1:4222",
 *   queue: "primes",
 *   workerTimeout: 5000,
 * });
 * console.log(await executor.submit(isPrime, 1_000_003).result());
 * ```
 */
export class NatsExecutor extends Executor {
  readonly #remote: Submitter;

  /**
   * Makes an executor; nothing is connected before the first call.
   *
   * @param options Where the server is, and which queue.
   * @throws {TypeError} when there are none, one is of the wrong type or has a name
   * that none has, `servers` is no URL, `queue` no name, or `module` no absolute URL.
   * @throws {RangeError} when `lease` is less than 1000, `maxAttempts` less than
   * 1, or `workerTimeout` negative.
   *
   * @example Making one takes no server
   * ```ts
   * import { NatsExecutor } from "@concurrent/futures/nats";
   * import assert from "node:assert/strict";
   *
   * await using _executor = new NatsExecutor({
   *   servers: "nats://127.0.0.1:4222",
   *   queue: "thumbnails",
   *   maxAttempts: 3,
   * });
   * assert.throws(
   *   () => new NatsExecutor({ servers: "nats://127.0.0.1:4222", queue: "a.b" }),
   *   TypeError,
   * );
   * ```
   */
  constructor(options: NatsExecutorOptions) {
    super();
    checkGiven(options);
    const { maxAttempts = 1, workerTimeout } = options;
    checkCount(maxAttempts, "maxAttempts");
    const patience = checkTimeout(workerTimeout, "workerTimeout");
    if (patience !== undefined && patience < 0) {
      throw new RangeError(
        `workerTimeout must not be negative: received ${patience}`,
      );
    }
    const names = namesOf(options.module);
    const references = new WeakMap<FunctionRef, FunctionRef>();
    this.#remote = new Submitter({
      name: "NatsExecutor",
      transport: new NatsTransport({
        servers: checkServers(
          options.servers,
          options.credentials,
          options.tls,
        ),
        queue: checkQueue(options.queue),
        lease: checkLease(options.lease),
      }),
      maxAttempts,
      workerTimeout: patience,
      refer(fn) {
        if (fn.by !== "export") return fn;
        let reference = references.get(fn);
        if (!reference) {
          const module = names.get(fn.module) ?? nameOfModule(fn.module);
          references.set(fn, reference = { ...fn, module });
        }
        return reference;
      },
      closures: checkClosures(options.closures, [...names.keys()]),
      pack(fn, args, transfer) {
        const moved = checkArguments(checker(), fn, args, "args", transfer);
        return explained(checker(), fn, args, "args", () => {
          const packed = codec().encode(args, 1);
          // Nothing is shared with others. But who gave something away has it no more.
          for (const item of moved) {
            if (item instanceof ArrayBuffer) item.transfer();
          }
          return packed;
        });
      },
      copy: (fn, captured) =>
        packCaptured(
          checker(),
          fn,
          captured,
          () => codec().decode(codec().encode(captured, 2)) as Captured,
        ),
    });
    setEngine(this, this.#remote, ownSubmit);
  }

  /**
   * Has `fn(...args)` run by a worker. Arguments and result are copied; the
   * arguments as they are now, whatever the caller does to them later.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function, async or not.
   * @param args Its arguments.
   * @returns The future of the call. It fails with a `DataCloneError` when the
   * function, an argument or the result can't travel, with
   * {@linkcode RuntimeError} when a worker may not run it, and with
   * {@linkcode BrokenExecutor} when the worker, or the server, is lost.
   * @throws {RuntimeError} when the executor was shut down.
   * @throws {BrokenExecutor} when it is broken.
   * @throws {TypeError} when `fn` is no function.
   *
   * @example A lost worker is told apart from a call that throws
   * ```ts ignore
   * // Not run as a test: it needs a server and a worker.
   * import { BrokenExecutor } from "@concurrent/futures";
   * import { NatsExecutor } from "@concurrent/futures/nats";
   * import { resize } from "./tasks.ts";
   *
   * await using executor = new NatsExecutor({
   *   servers: "nats://127.0.0.1:4222",
   *   queue: "thumbnails",
   * });
   * const error = await executor.submit(resize, "a.png").exception();
   * if (error instanceof BrokenExecutor) console.log("try again:", error.message);
   * ```
   */
  override submit<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    return submitTo(this, this.#remote, fn, args) as Future<Awaited<R>>;
  }

  /**
   * Takes no more calls, and ends the connection once the calls that there are
   * are done. It may be called again. Workers stay: they serve others too.
   *
   * @param options Whether to wait, and whether to cancel what has not started.
   * @returns A promise that resolves when all is done and nothing is left; with
   * `wait: false`, at once, and the work still completes. If the server is away,
   * the calls that are not done are broken after a second.
   *
   * @example Shutting down one that was never used
   * ```ts
   * import { NatsExecutor } from "@concurrent/futures/nats";
   *
   * const executor = new NatsExecutor({
   *   servers: "nats://127.0.0.1:4222",
   *   queue: "sums",
   * });
   * await executor.shutdown();
   * ```
   */
  override shutdown(options?: ShutdownOptions): Promise<void> {
    return this.#remote.shutdown(options);
  }
}

const ownSubmit = NatsExecutor.prototype.submit;

/** @throws {TypeError} when there are no options, or one that is none. */
function checkGiven(options: unknown): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `NatsExecutor needs options, such as { servers: "nats://127.0.0.1:4222", queue: "sums" }: received ${
        typeof options === "string" ? "a text" : show(options)
      }`,
    );
  }
  checkNames(options, OPTIONS, "NatsExecutor");
}

/** What the `module` option calls modules. */
function namesOf(option: NatsExecutorOptions["module"]): Map<string, string> {
  if (
    option !== undefined &&
    (typeof option !== "object" && typeof option !== "string" ||
      option === null)
  ) {
    throw new TypeError(
      `the module option takes the absolute URL of a module, several, or an object of them: received ${
        show(option)
      }`,
    );
  }
  const isRecord = typeof option === "object" && !Array.isArray(option) &&
    !(option instanceof URL);
  const entries = isRecord
    ? Object.entries(option as Record<string, string | URL>)
      .map(([name, url]) => [name, checkModules(url)[0]] as const)
    : checkModules(option as string | URL | undefined)
      .map((url) => [undefined, url] as const);
  return new Map([...byName(entries)].map(([name, url]) => [url, name]));
}
