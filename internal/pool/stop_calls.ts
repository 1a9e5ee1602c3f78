/** What a pool does when the signal of a call aborts, or its time is over. */

import { TimeoutError } from "../../errors.ts";
import { cancelReasons } from "../base/cancel_reasons.ts";
import type { Call } from "../call/call.ts";
import { LimitWatch, type Stop } from "../call/limits.ts";
import type { Statistics } from "../call/statistics.ts";
import { capitalize, label } from "../functions/describe.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { PoolKind } from "./pool_link.ts";

/** Watches the limits of a pool's calls, and stops these. */
export class Stopping extends LimitWatch<Call> {
  /** @param onProgress Told when a call has left the pool that had not started. */
  constructor(
    { stopNote }: PoolKind,
    statistics: Statistics,
    dispatcher: () => Dispatcher,
    onProgress: () => void,
  ) {
    super(
      (call, stop) => {
        if (this.#end(call, stop, statistics, dispatcher())) onProgress();
      },
      (call, timeLimit) => timeoutOf(call, timeLimit, stopNote),
    );
  }

  /**
   * Ends a call before its time; see "When a call is stopped" in `pool/pool.ts`.
   *
   * @returns Whether it is out of the pool, out of its time before it started.
   */
  #end(
    call: Call,
    { reason, by }: Stop,
    statistics: Statistics,
    dispatcher: Dispatcher,
  ): boolean {
    const { future } = call;
    if (future.done() || call.limits?.fail) return false;
    const fail = () => {
      if (future.done()) return;
      statistics.failed++;
      future.setException(reason);
    };
    if (by === "time limit" && !call.limits?.started) {
      if (dispatcher.takeBack(call)) {
        fail();
        dispatcher.compact();
        // What held it up goes, where that may be.
        dispatcher.endings.replaceStuck();
        dispatcher.plan();
        return true;
      }
    } else {
      const wasHandedOver = call.worker !== undefined;
      cancelReasons.set(future, reason);
      if (future.cancel()) {
        if (wasHandedOver) dispatcher.endings.replaceStuck();
        return false;
      }
      cancelReasons.delete(future);
    }
    this.remove(call);
    const name = by === "signal" ? "AbortError" : "TimeoutError";
    dispatcher.endings.stop(call, name, messageOf(reason), fail);
    return false;
  }
}

function timeoutOf(
  { fn, limits }: Call,
  timeLimit: number,
  stopNote: string | undefined,
): TimeoutError {
  const note = limits?.started
    ? stopNote
    : "it could not begin, since its worker is held up by its modules, its initializer, or what an earlier call left running";
  return new TimeoutError(
    `${
      capitalize(label(fn))
    } did not end within its time limit of ${timeLimit} ms${
      note ? `: ${note}` : ""
    }`,
  );
}

/** What a reason says, whatever it is: an abort must not fail for one that can't be read. */
export function messageOf(reason: unknown): string {
  try {
    return String(reason instanceof Error ? reason.message : reason);
  } catch {
    return "The call was stopped";
  }
}
