/** Whether a pool takes calls, and what it says if it does not. */

import { RuntimeError } from "../../errors.ts";
import type { PoolKind } from "./pool_link.ts";

export type State =
  | { readonly is: "open" }
  | { readonly is: "draining" }
  | { readonly is: "closed" }
  | {
    readonly is: "broken";
    readonly message: string;
    readonly cause: ErrorOptions | undefined;
  };

/**
 * The state of a pool, which only moves forward:
 *
 * ```text
 * open ── shutdown() ──▶ draining ── last call done, workers ended ──▶ closed
 *   └──────── a worker died ─────┴──▶ broken
 * ```
 */
export class PoolState {
  readonly #kind: PoolKind;
  #now: State = { is: "open" };

  constructor(kind: PoolKind) {
    this.#kind = kind;
  }

  get is(): State["is"] {
    return this.#now.is;
  }

  /** Whether no call runs any more, nor ever will. */
  get isEnd(): boolean {
    return this.is === "closed" || this.is === "broken";
  }

  /** Moves on; the pool's `#advance()` alone calls this. */
  advance(to: State): void {
    this.#now = to;
  }

  /** Throws if the pool takes no calls any more. */
  checkOpen(cannot: string): void {
    const error = this.closedError(cannot);
    if (error) throw error;
  }

  /** Why something that needs an open pool can't be done; `undefined` in an open one. */
  closedError(cannot: string): Error | undefined {
    const now = this.#now;
    if (now.is === "open") return undefined;
    if (now.is === "broken") {
      return new this.#kind.broken(`${cannot}: ${now.message}`, now.cause);
    }
    return new RuntimeError(
      `${cannot}: cannot schedule new futures after shutdown`,
    );
  }
}
