/** What is said of messages that were refused, however many come. */

import { ownClock } from "../base/timers.ts";

/** How many are told one by one within a window. */
const MOST = 10;
/** How long a window is, in milliseconds. */
const WINDOW = 10_000;

/** Tells people of what was passed over: each that is rare, a number where it is not. */
export class Complaints {
  readonly #say: (text: string) => void;
  #end = 0;
  #count = 0;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  add(text: string): void {
    const now = ownClock.now();
    if (now >= this.#end) {
      const more = this.#count - MOST;
      if (more > 0) this.#say(`${more} more such messages were passed over`);
      this.#end = now + WINDOW;
      this.#count = 0;
    }
    this.#count++;
    if (this.#count > MOST) return;
    this.#say(text);
    if (this.#count === MOST) {
      this.#say("more such messages are counted, and not told one by one");
    }
  }
}
