/** The options that executors and workers of a queue have in common, checked. */

import { show } from "../base/checks.ts";

/** Shorter, and a worker that is busy for a moment would be taken for lost. */
const SHORTEST_LEASE = 1000;

/**
 * Checks the name of a queue.
 *
 * @throws {TypeError} when it is none.
 */
export function checkQueue(queue: unknown): string {
  if (typeof queue === "string" && /^[\w-]+$/.test(queue)) return queue;
  throw new TypeError(
    `queue must be a name of letters, digits, "-" and "_": received ${
      show(queue)
    }`,
  );
}

/**
 * Checks how long workers may not be heard of.
 *
 * @throws {TypeError} when it is no number.
 * @throws {RangeError} when it is too short, or endless.
 */
export function checkLease(lease: unknown): number | undefined {
  if (lease === undefined) return undefined;
  if (typeof lease !== "number") {
    throw new TypeError(
      `lease must be a number of milliseconds: received ${show(lease)}`,
    );
  }
  if (lease >= SHORTEST_LEASE && Number.isFinite(lease)) {
    return Math.ceil(lease);
  }
  throw new RangeError(
    `lease must be at least ${SHORTEST_LEASE} milliseconds: received ${lease}`,
  );
}
