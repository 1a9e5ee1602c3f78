/** Progress where no terminal is: a plain line now and then, and one at the end. */

import type { Ending, Meter } from "./meter.ts";

/** Where progress is shown: `Deno.stderr` is one. */
export interface Output {
  /** Whether bars can be drawn on it. */
  isTerminal(): boolean;
  /** Writes some of the bytes, at least one, and says how many. */
  writeSync(bytes: Uint8Array): number;
  /** How wide a terminal is. @default {undefined} what `Deno.consoleSize()` says */
  readonly columns?: number;
}

/** Writes all of a text, by a method of the output that nobody has wrapped. */
export function writeText(
  output: Output,
  writeSync: Output["writeSync"],
  text: string,
): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let done = 0; done < bytes.length;) {
      done += writeSync.call(output, bytes.subarray(done));
    }
  } catch {
    // As with console.log: output that nobody reads any more is no error, and
    // the work must not fail because of it.
  }
}

/**
 * Calls `fn` after `ms` milliseconds if the program is still there: who waits
 * for the work keeps it alive, not who watches.
 *
 * @returns What stops that.
 */
export function whileAlive(ms: number, fn: () => void): () => void {
  const timer = setTimeout(fn, ms);
  Deno.unrefTimer(timer);
  return () => clearTimeout(timer);
}

/** The lines of one piece of work. */
export class Lines {
  readonly #output: Output;
  readonly #meter: Meter;
  readonly #every: number;
  #printedAt = performance.now();
  #stopTimer: (() => void) | undefined;

  constructor(output: Output, meter: Meter, every: number) {
    this.#output = output;
    this.#meter = meter;
    this.#every = every;
    this.#arm();
  }

  #arm(): void {
    this.#stopTimer?.();
    this.#stopTimer = whileAlive(this.#every, () => this.#print());
  }

  #print(): void {
    const now = performance.now();
    const { writeSync } = this.#output;
    writeText(this.#output, writeSync, `${this.#meter.plain(now)}\n`);
    this.#printedAt = now;
    this.#arm();
  }

  /** Also where the work never lets a timer fire. */
  tick(now: number): void {
    if (now - this.#printedAt >= this.#every) this.#print();
  }

  end(ending: Ending, now: number): void {
    this.#meter.end(ending, now);
    this.#print();
    this.#stopTimer?.();
  }
}
