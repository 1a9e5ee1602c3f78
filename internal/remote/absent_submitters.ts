/** Submitters whose calls have come to a worker, and that are not there themselves. */

import { ownClock } from "../base/timers.ts";

/** How many are kept. */
const MOST_ABSENT = 50_000;

/** Lets go of the oldest, where there are more. */
export function keepFew(
  all: Pick<Set<string>, "size" | "keys" | "delete">,
  most: number,
): void {
  if (all.size <= most) return;
  const [first] = all.keys();
  all.delete(first);
}

/** Knows since when each is not there. */
export class AbsentSubmitters {
  readonly #since = new Map<string, number>();

  /** Whether one that is not there is gone, and not about to be back. */
  isGone(from: string, lease: number): boolean {
    const now = ownClock.now();
    const since = this.#since.get(from) ?? now;
    this.#since.set(from, since);
    keepFew(this.#since, MOST_ABSENT);
    return now - since >= lease;
  }

  isBack(from: string): void {
    this.#since.delete(from);
  }
}
