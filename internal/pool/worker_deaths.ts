/** What a pool that goes on makes of the deaths of its workers. */

import type { Call } from "../call/call.ts";

/** So many workers in a row that died with no call begun mean that none will live. */
export const HOPELESS = 3;
/** A call that so many workers died with before they ran any is not handed to another. */
const UNLUCKY = 2;
/** How much one counts that had run others: what these left behind may have ended it. */
const LESS = 1 / 4;

/** Keeps count of them. */
export class WorkerDeaths {
  /** How many workers in a row died with no call begun. */
  #deaths = 0;
  /** How many workers that died had a call that they did not begin, as they count. */
  readonly #of = new WeakMap<Call, number>();

  /** Whether more workers would fare no better. */
  get areHopeless(): boolean {
    return this.#deaths >= HOPELESS;
  }

  /** A worker has ended a call. */
  forget(): void {
    this.#deaths = 0;
  }

  /** A worker died: of its calls, which are lost, and which wait for another. */
  sort(
    { started, waiting }: {
      started: readonly Call[];
      waiting: readonly Call[];
    },
    hasWorked: boolean,
  ): { lost: Call[]; again: Call[] } {
    if (started.length > 0) this.#deaths = 0;
    // One that is killed from outside, idle or about to begin, is no bad sign.
    else if (waiting.length > 0 && !hasWorked) this.#deaths++;
    const lost = [...started];
    const again: Call[] = [];
    for (const call of waiting) {
      // Where another call ran, that one is to blame: it fails, so this has an end.
      const blame = started.length > 0 ? 0 : hasWorked ? LESS : 1;
      const losses = (this.#of.get(call) ?? 0) + blame;
      this.#of.set(call, losses);
      (losses >= UNLUCKY || call.limits?.once ? lost : again).push(call);
    }
    return { lost, again };
  }
}
