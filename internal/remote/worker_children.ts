/**
 * The children, or threads, in which a worker runs calls of executors on other
 * machines.
 *
 * A child that dies takes along the call that it ran, and no other. Short calls
 * that came together go to one child together: to wake one costs more than they
 * do. Each could have a child of its own, and gets it when another turns out long.
 */

import { BrokenExecutor } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { thrownBy } from "../call/call.ts";
import type { CheckedSubmitOptions } from "../call/limits.ts";
import type { ErrorRecord, FunctionRef, Outcome } from "../call/protocol.ts";
import { label, standIn } from "../functions/describe.ts";
import { Pool } from "../pool/pool.ts";
import type { LinkEvents, PoolKind } from "../pool/pool_link.ts";
import {
  type Codec,
  makeCodec,
  type Packed,
  type UnreadText,
} from "../values/codec.ts";
import { Malformed, readArguments } from "./check_messages.ts";
import type { Body } from "./envelope.ts";

/** How many functions are kept. */
const MOST_FUNCTIONS = 500;

/** How they are started. */
export interface ChildrenOptions {
  /** How one starts. */
  readonly kind: PoolKind;
  /** Whether arguments reach them as they came: children read them themselves. */
  readonly packed: boolean;
  /** How many calls run at once. */
  readonly slots: number;
}

/** What stands for the function of a call. */
type StandIn = ReturnType<typeof standIn>;

/** The outcome of a call whose arguments can't be read, as a child tells it. */
function unreadable(fn: FunctionRef, { message }: Malformed): Outcome {
  const record: ErrorRecord = {
    class: ["DOMException"],
    name: "DataCloneError",
    message: `Cannot read the arguments of ${label(fn)}: ${message}`,
    stack: undefined,
    links: {},
    props: {},
  };
  return { is: "threw", what: { thrown: { error: 0 }, errors: [record] } };
}

/** The children of a worker. */
export class WorkerChildren {
  readonly #options: ChildrenOptions;
  readonly #codec: Codec = makeCodec();
  #pool: Pool;
  readonly #brokenPools: Promise<void>[] = [];
  readonly #standIns = new Map<string, StandIn>();

  constructor(options: ChildrenOptions) {
    this.#options = options;
    this.#pool = new Pool(this.#rawKind());
  }

  /**
   * Imports the modules in a child, which is then warm.
   *
   * @throws what keeps one from being imported.
   */
  async tryModules(modules: Iterable<string>): Promise<void> {
    for (const module of modules) {
      // No module has this: the error tells what came of the import.
      const nothing = standIn({ by: "export", name: "", module });
      const none = this.#options.packed ? ["[]"] : [];
      const probe = this.#submit(nothing, none);
      const error = thrownBy(await probe.result() as Outcome);
      if (error instanceof DOMException) continue;
      const why = error instanceof Error ? error.cause : error;
      throw new Error(
        `Cannot import ${module}: ${why instanceof Error ? why.message : why}`,
        { cause: why },
      );
    }
  }

  /**
   * Runs a call.
   *
   * @throws {TimeoutError} when its time limit has passed; the reason of a signal
   * that has aborted.
   * @throws {BrokenExecutor} when what ran it has died.
   */
  async run(
    fn: FunctionRef,
    body: Body,
    limits?: CheckedSubmitOptions,
  ): Promise<Outcome> {
    let args: readonly unknown[];
    try {
      args = this.#argumentsOf(body);
    } catch (error) {
      if (error instanceof Malformed) return unreadable(fn, error);
      throw error;
    }
    const future = this.#submit(this.#standInOf(fn), args, limits);
    return await future.result() as Outcome;
  }

  /** Resolves when none is left. */
  async end(): Promise<void> {
    await Promise.all([this.#pool.shutdown(), ...this.#brokenPools]);
  }

  /**
   * Arguments for a child, which reads them itself, as one: what it can't read fails
   * that call alone. Threads are given what was read here.
   */
  #argumentsOf(body: Body): readonly unknown[] {
    if (this.#options.packed) {
      const unread: Packed | UnreadText = body.isText
        ? { text: body.bytes }
        : body.bytes;
      return [unread];
    }
    return readArguments(this.#codec, body);
  }

  #submit(
    standIn: StandIn,
    args: readonly unknown[],
    limits?: CheckedSubmitOptions,
  ): Future<unknown> {
    try {
      return this.#pool.submit(standIn, args, limits);
    } catch (error) {
      if (!(error instanceof BrokenExecutor)) throw error;
      // Child after child has died before it ran a call: those to come may live.
      this.#brokenPools.push(this.#pool.shutdown());
      this.#pool = new Pool(this.#rawKind());
      return this.#pool.submit(standIn, args, limits);
    }
  }

  /** The same for all calls of a function: what is learned of one is of use to the next. */
  #standInOf(fn: FunctionRef): StandIn {
    const key = fn.by === "export"
      ? `export ${fn.module} ${fn.name}`
      : fn.by === "closure"
      // With all that tells apart two of the same source.
      ? `closure ${JSON.stringify(fn)}`
      : `${fn.by} ${fn.by === "source" && fn.exportedOnly} ${
        fn.by === "source" && fn.isSloppy
      } ${fn.name} ${fn.source}`;
    let found = this.#standIns.get(key);
    if (!found) {
      if (this.#standIns.size >= MOST_FUNCTIONS) this.#standIns.clear();
      this.#standIns.set(key, found = standIn(fn));
    }
    return found;
  }

  /** The kind of the children, with arguments as they came, and outcomes as they are sent. */
  #rawKind(): PoolKind {
    const { kind, packed, slots } = this.#options;
    return {
      ...kind,
      maxWorkers: slots,
      idleTimeout: Infinity,
      onWorkerLost: "replace",
      together: true,
      // What stands for a function has nothing around it: that came with the call.
      closures: false,
      // See `#argumentsOf`.
      pack: (_fn, args) => packed ? args[0] : args,
      open: (index, depth, events, pool) => {
        const raw: LinkEvents = {
          ...events,
          onOutcome: (slot, ms, outcome, more) =>
            events.onOutcome(
              slot,
              ms,
              { is: "returned", value: outcome },
              more,
            ),
        };
        return kind.open(index, depth, raw, pool);
      },
    };
  }
}
