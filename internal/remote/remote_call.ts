/**
 * A call that workers elsewhere run, and where it is.
 *
 * `move()` is the only way to change what a call is:
 *
 * ```text
 *             published   handed    taken   not taken   "go"     attempt lost   last one lost,
 *                         over                                   and another    done, cancelled
 * queued    → published → handed      –         –         –           –          → released
 * published   published     –         –         –       → held        –          → released
 * handed          –         –       → held  → published   –      → published     → released
 * held            –         –         –         –         –      → published     → released
 * released        –         –         –         –         –           –              –
 * ```
 *
 * - queued: in this program.
 * - published: with the server, or on its way there; no worker has started it. It
 *   may be as several messages, of which the one that comes first counts.
 * - handed: a worker was given it past the queue, with its "go", and it is not
 *   known whether that has taken it: the future is running for as long.
 * - held: a worker has its "go", and runs it; the future is running for good.
 * - released: it has left the executor.
 */

import { ownClock } from "../base/timers.ts";
import type { Call, CallHolder } from "../call/call.ts";
import { HANDED } from "./envelope.ts";

/** Who runs a call. */
export interface Holder {
  readonly worker: string;
  readonly label: string;
  readonly run: number;
  readonly message: number;
  readonly delivery: number;
}

/** Where a call is that a worker has, as far as is known. */
export interface HeldStage {
  readonly is: "handed" | "held";
  readonly holder: Holder;
  /** Whether it is being found out if its holder still has it. */
  doubted: boolean;
  /** For how long its holder has not said that it has it, in milliseconds. */
  missed: number;
}

/** Where a call is. */
export type RemoteStage =
  | { readonly is: "queued" | "published" | "released" }
  | HeldStage;

/** A call and where it is. */
export interface RemoteCall extends Call {
  readonly id: number;
  stage: RemoteStage;
  /** Who was given its "go", in order: as many as its attempts. */
  readonly starts: Holder[];
  /** When it was started first. */
  started: number | undefined;
  /** The calls of its executor that a worker has. */
  readonly held: Set<RemoteCall>;
  /** What keeps what its function captured from travelling: it may be an export there. */
  readonly untravelled: { readonly error: unknown } | undefined;
  /** How often it was published. */
  rounds: number;
  /** The messages that it was published as: no other is this call, whatever it says. */
  readonly messages: number[];
  /** While it is being stored: resolves when it is known as which message. */
  storing: Promise<void> | undefined;
}

export const QUEUED: RemoteStage = { is: "queued" };
export const PUBLISHED: RemoteStage = { is: "published" };
export const RELEASED: RemoteStage = { is: "released" };

/** Who has a call that was handed over, as its future sees it. */
const STARTED: CallHolder = { hasStarted: () => true };

/** See the table above. */
export function move(call: RemoteCall, stage: RemoteStage): void {
  if (call.stage.is === "released") return;
  // From here on it is running, whatever becomes of the attempt.
  if (stage.is === "held") call.future.keepRunning();
  call.stage = stage;
  if (stage.is === "handed" || stage.is === "held") {
    call.started ??= ownClock.now();
    call.held.add(call);
  } else {
    call.held.delete(call);
  }
  call.worker = stage.is === "handed" ? STARTED : undefined;
  if (stage.is === "released") call.args = undefined;
}

/** What a call is whose worker was given its "go". */
export function heldBy(holder: Holder, is: HeldStage["is"]): HeldStage {
  return { is, holder, doubted: false, missed: 0 };
}

/** Where a call is, if a worker has it. */
export function heldStage({ stage }: RemoteCall): HeldStage | undefined {
  return stage.is === "handed" || stage.is === "held" ? stage : undefined;
}

/** The worker that is handed a call, as its holder. */
export function handedTo({ worker, label }: Holder): Holder {
  return { worker, label, run: HANDED, message: HANDED, delivery: HANDED };
}

/** Whether what is said of a run is said by who was given the "go" for it. */
export function hasStart(
  { starts }: RemoteCall,
  { worker, run }: { readonly worker: string; readonly run: number },
): boolean {
  return starts.some((start) => start.worker === worker && start.run === run);
}
