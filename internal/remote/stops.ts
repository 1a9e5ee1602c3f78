/** How workers elsewhere are told to end calls that nobody wants any more. */

import { ownClock, startTimer } from "../base/timers.ts";
import type { Holder } from "./remote_call.ts";
import type { SubmitterLink } from "./transport.ts";

/** How soon is told again where no answer came, and for how long, in milliseconds. */
const RETRY = 100;
const LONGEST = 2000;

/** What is being told to workers. */
export class Stops {
  readonly #underWay = new Set<Promise<void>>();

  /** Has the worker of a call end it. */
  tell(
    link: SubmitterLink,
    { worker, run }: Holder,
    id: number,
    message: string,
  ): void {
    const telling = this.#tell(link, worker, { id: `${id}`, run, message })
      .finally(() => this.#underWay.delete(telling));
    this.#underWay.add(telling);
  }

  /** A worker that can't be reached for long has lost its call anyway, or will. */
  async #tell(
    link: SubmitterLink,
    worker: string,
    stop: Parameters<SubmitterLink["stop"]>[1],
  ): Promise<void> {
    const end = ownClock.now() + LONGEST;
    while (true) {
      try {
        return await link.stop(worker, stop);
      } catch {
        if (ownClock.now() >= end) return;
        await new Promise<void>((resolve) => startTimer(RETRY, resolve));
      }
    }
  }

  /** Resolves when all that was said is heard, or given up. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
