/**
 * The seam between the pool and a worker of whatever kind: what a pool can ask
 * of a worker, what a worker tells its pool, and what a kind of pool supplies.
 */

import type {
  CallMessage,
  Captured,
  Carried,
  FromWorker,
  FunctionRef,
  Outcome,
  Thrown,
} from "../call/protocol.ts";

/** A worker as the pool sees it. */
export interface PoolLink {
  /** Which worker it is, for messages: `Worker "prefix_0"`. */
  readonly label: string;
  /**
   * Hands calls over.
   *
   * @throws when the arguments of one can't be sent; none is then handed over.
   */
  send(calls: readonly CallMessage[]): void;
  /** Whether the worker has begun the call in this slot. */
  hasStarted(slot: number): boolean;
  /** Takes a call back that has not started; from then on it never will. */
  takeBack(slot: number): boolean;
  /**
   * Has no more items of a chunk start.
   *
   * @returns How many have started; may be more than there are.
   */
  takeRest?(slot: number): number;
  /**
   * Asks for calls back that may not have started, and for what has not of
   * chunks: for links that can't take it at once. Answered by `onReturned`.
   */
  recall?(slots: readonly number[], chunks: readonly number[]): void;
  /**
   * Whether calls are kept here until the worker is ready: where something of the
   * caller's may hold that up, and it could not be known what has started since.
   */
  readonly startsLate?: boolean;
  /** Asks a call that runs to stop, by the signal of its `currentTask()`. */
  abort?(slot: number, call: number, name: string, message: string): void;
  /** Nobody needs any more what a function captured: the worker may drop it. */
  forget?(carried: Carried): void;
  /**
   * Whether `abort` is answered, by `onAborting` or `onReturned`: a worker that can
   * be killed is killed at once where its call can't hear that it is to stop.
   */
  readonly answersAbort?: boolean;
  /** Whether the worker can be given a call of this function. */
  accepts?(fn: FunctionRef): boolean;
  /** Ends the worker, which has no call; resolves when nothing of it is left. */
  end(): Promise<void>;
  /** Ends the worker, whatever it does; resolves when nothing of it is left. */
  kill(signal: Deno.Signal): Promise<void>;
}

/** What a link tells its pool. */
export interface LinkEvents {
  /**
   * A call has ended, or the item of a chunk; `ms` is how long it ran. With
   * `more`, another outcome follows at once, and workers are given calls after
   * that one. `now`: the time at which this was heard.
   */
  onOutcome(
    slot: number,
    ms: number,
    outcome: Outcome,
    more?: boolean,
    item?: number,
    now?: number,
  ): void;
  /** Calls that were taken back are forgotten: their slots can be used again. */
  onSkipped(slots: readonly number[]): void;
  /**
   * The answer to `recall`: those of the slots whose calls will not start; and
   * for each chunk, how many of its items have.
   */
  onReturned(
    slots: readonly number[],
    chunks?: readonly (readonly [slot: number, started: number])[],
  ): void;
  /** A call that is watched has started; its slot may have another by now. */
  onStarted(slot: number, call: number): void;
  /** A call that is watched has asked for its signal. */
  onListens(slot: number, call: number): void;
  /** The answer to `abort`: whether the call listens, and so was told. */
  onAborting(slot: number, call: number, listens: boolean): void;
  /** Modules are imported, but for `failures`, and the initializer has run. */
  onReady(failures?: readonly Thrown[]): void;
  /** The initializer failed. */
  onInitializerFailed(outcome: Outcome): void;
  /**
   * The worker ended by itself. `how` follows its label: "was killed by
   * SIGKILL". `note` is what else may help.
   */
  onDeath(
    how: string,
    cause?: { readonly error: unknown },
    note?: string,
  ): void;
}

/** What makes a pool one of threads or of processes. */
export interface PoolKind {
  /** The class's name, for messages. */
  readonly name: string;
  readonly maxWorkers: number;
  /** The modules that its workers import when they start. */
  readonly modules: readonly string[];
  /** Whether a worker imports modules, or runs an initializer, before its first call. */
  readonly preparesWorkers?: boolean;
  /** Whether functions take along what is around them. */
  readonly closures?: boolean;
  /** How long idle workers stay, in milliseconds. */
  readonly idleTimeout: number;
  readonly broken: new (message: string, options?: ErrorOptions) => Error;
  /** How many calls a worker can hold at once. */
  readonly slots: number;
  /** How many calls a worker runs before another takes its place. */
  readonly maxTasks: number;
  /** For kinds whose links take chunks, and tell how much of one has started. */
  readonly chunks?: {
    /** Whether a value is sent as it is, with nothing to pack. */
    isFlat(value: unknown): boolean;
    /** Whether what `pack` gave can travel as one of many items. */
    takes(packed: unknown): boolean;
  };
  /** What the death of a worker means for the pool. */
  readonly onWorkerLost: "break" | "replace";
  /**
   * Whether short calls of one turn go to one worker, even if others are idle:
   * where what takes the time is to wake a worker. Those behind a call that turns
   * out long move on to the others.
   */
  readonly together?: boolean;
  /** What to say of a call that can't be stopped in a busy loop. */
  readonly stopNote?: string;
  /** How a function is found; by default, as it travels. With it, nothing travels. */
  describe?(fn: unknown, caller: string): FunctionRef;
  /** Starts a worker of a pool; `index` is free among those that live. */
  open(
    index: number,
    depth: number,
    events: LinkEvents,
    pool: Pick<PoolKind, "onWorkerLost" | "maxTasks">,
  ): PoolLink;
  /**
   * Checks arguments, and copies them unless they are sent `now`. What it gives
   * is for the kind's links alone to understand.
   *
   * @throws what keeps them from travelling.
   */
  pack(
    fn: FunctionRef,
    args: readonly unknown[],
    now: boolean,
    transfer: readonly Transferable[],
  ): unknown;
  /**
   * Checks and copies what a function captured, to be sent any number of times.
   * For kinds whose `closures` is true.
   *
   * @throws what keeps it from travelling, with the name of the variable.
   */
  carry?(fn: FunctionRef, captured: Captured): unknown;
  /** Whether what `pack` gives can be sent whenever that may be, and again. */
  readonly packsForGood?: boolean;
  /** Has what was packed back, of a call that has ended. */
  recycle?(args: unknown): void;
}

/** Passes on what a worker says; of its last words, links make more. */
export function tell(
  events: LinkEvents,
  message: Exclude<FromWorker, { type: "died" | "look" | "printed" }>,
  more = false,
): void {
  switch (message.type) {
    case "ready":
      return events.onReady(message.failures);
    case "outcome":
      return events.onOutcome(
        message.slot,
        message.ms,
        message.outcome,
        more,
        message.item,
      );
    case "started":
      return events.onStarted(message.slot, message.call);
    case "listens":
      return events.onListens(message.slot, message.call);
    case "aborting":
      return events.onAborting(message.slot, message.call, message.listens);
    case "returned":
      return events.onReturned(message.slots, message.chunks);
    case "skipped":
      return events.onSkipped(message.slots);
    case "initializer failed":
      return events.onInitializerFailed(message.outcome);
  }
}
