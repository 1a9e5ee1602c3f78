/**
 * Marks what belongs to the program that made it, and arrives nowhere as what it
 * is: executors and their views, futures, iterators. The checker of what can be
 * copied (`values/clone_checker.ts`) knows them by this mark, whichever copy of the library
 * made them.
 */

const STAYS = Symbol.for("@concurrent/futures stays");

/**
 * Marks a class.
 *
 * @param what What a message calls its objects; left out: as their class is called.
 */
export function stays(prototype: object, what = ""): void {
  Object.defineProperty(prototype, STAYS, { value: what });
}
