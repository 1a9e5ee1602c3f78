/** Those who wait until workers are up, and the start of these. */

import { RuntimeError } from "../../errors.ts";
import { soon } from "../base/timers.ts";
import type { Thrown } from "../call/protocol.ts";
import { reviveThrown } from "../call/revive_error.ts";

/** A worker, as those see it who wait for it. */
interface Warm {
  /** Whether it is past its start. */
  readonly ready: boolean;
  readonly importFailure: Thrown | undefined;
}

type Workers = Iterable<Warm> & { readonly size: number };

interface Waiter {
  readonly count: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Starts workers that nobody has a call for yet. */
export class Warming {
  readonly #workers: Workers;
  readonly #start: () => boolean;
  #waiters: Waiter[] = [];
  #planned = false;

  /**
   * @param workers Those that live.
   * @param start Starts one more; `false` if there can be none now.
   */
  constructor(workers: Workers, start: () => boolean) {
    this.#workers = workers;
    this.#start = start;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Resolves when so many are up. */
  wait(count: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ count, resolve, reject });
    this.look();
    return promise;
  }

  /** A worker is up, or has ended. */
  look(): void {
    if (!this.isAwaited) return;
    let up = 0;
    let failure: Thrown | undefined;
    for (const { ready, importFailure } of this.#workers) {
      if (ready) up++;
      failure ??= importFailure;
    }
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({ count }) => count > up && !failure);
    for (const { count, resolve, reject } of waiters) {
      if (failure) reject(reviveThrown(failure));
      else if (count <= up) resolve();
    }
    let most = 0;
    for (const { count } of this.#waiters) most = Math.max(most, count);
    while (this.#workers.size < most) {
      if (this.#start()) continue;
      return this.#giveUp(this.#workers.size);
    }
  }

  /** No more can be started than there are. */
  #giveUp(size: number): void {
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({ count }) => count <= size);
    for (const { count, reject } of waiters) {
      if (count <= size) continue;
      reject(
        new RuntimeError(
          `Cannot have ${count} workers up: no more than ${size} could be started`,
        ),
      );
    }
  }

  /** Looks when what happens now is over. */
  plan(): void {
    if (this.#planned || !this.isAwaited) return;
    this.#planned = true;
    soon(() => {
      this.#planned = false;
      this.look();
    });
  }

  /** No worker comes up any more. */
  end(errorOf: () => unknown): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(errorOf());
  }
}
