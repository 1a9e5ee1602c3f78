/**
 * Results that a child leaves in memory which its two threads share: of items of a
 * chunk, and of short calls where the next call is of the same function.
 *
 * A frame for each of many that are short would cost more than they do. So the worker
 * leaves plain results in a ring, and writes them out as one line when some time
 * has passed or nothing follows. Where the worker can't, in the middle of an item
 * that takes long, the main thread does when the pool asks for what waits behind
 * that: so a result may be late by milliseconds, and is never held back for good.
 */

/** What JSON can say of a plain result; text stands for what it can't. */
export type ResultText = number | boolean | null | string;

/** Plain results as a child tells them. */
export interface ResultsMessage {
  readonly type: "results";
  /** Four entries each: slot, item, milliseconds, and a `ResultText`. */
  readonly results: readonly unknown[];
}

/** The memory for it. */
export interface SharedResults {
  /** `Int32`: how many were left, how many were taken, and a ring of them. */
  readonly ring: SharedArrayBuffer;
  /** `Float64`, two for each place of it: the value, and how long the call took. */
  readonly values: SharedArrayBuffer;
}

/** One thread's end. */
export interface ItemResults {
  /** Leaves a result, if it is plain and there is room. */
  leave(slot: number, item: number, ms: number, value: unknown): boolean;
  /** Whether there are some that nobody has taken. */
  hasSome(): boolean;
  /**
   * Takes what has come since as a line of JSON, without its end; what one thread
   * has taken the other has not.
   */
  take(): string | undefined;
}

/** Self-contained: children get it as its source. */
export function makeItemResults(shared: SharedResults): ItemResults {
  const { compareExchange, load, store } = Atomics;
  const { round } = Math;
  const { is } = Object;
  const PLAIN = ['"undefined"', "null", "false", "true"];
  const NUMBER = 4;
  const ring = new Int32Array(shared.ring);
  const values = new Float64Array(shared.values);
  const size = ring.length - 2;

  function leave(
    slot: number,
    item: number,
    ms: number,
    value: unknown,
  ): boolean {
    const kind = value === undefined
      ? 0
      : value === null
      ? 1
      : value === false
      ? 2
      : value === true
      ? 3
      : typeof value === "number"
      ? NUMBER
      : undefined;
    const left = ring[0];
    if (kind === undefined || ((left - load(ring, 1)) | 0) >= size) {
      return false;
    }
    const at = left & (size - 1);
    if (kind === NUMBER) values[at * 2] = value as number;
    values[at * 2 + 1] = ms;
    ring[2 + at] = slot << 15 | kind << 12 | item;
    store(ring, 0, left + 1);
    return true;
  }

  function hasSome(): boolean {
    return load(ring, 1) !== load(ring, 0);
  }

  function take(): string | undefined {
    while (true) {
      const taken = load(ring, 1);
      const left = load(ring, 0);
      if (taken === left) return undefined;
      let text = "";
      for (let i = taken; i !== left; i = (i + 1) | 0) {
        const at = i & (size - 1);
        const entry = ring[2 + at];
        const kind = entry >> 12 & 7;
        const shown = kind < NUMBER ? PLAIN[kind] : textOf(values[at * 2]);
        const ms = round(values[at * 2 + 1] * 1e4) / 1e4;
        text += `,${entry >> 15},${entry & 0xfff},${ms},${shown}`;
      }
      // Only now are their places free; if the other thread was faster, it has them.
      if (compareExchange(ring, 1, taken, left) === taken) {
        return `{"type":"results","results":[${text.slice(1)}]}`;
      }
    }
  }

  function textOf(value: number): string {
    if (is(value, -0)) return '"-0"';
    return value - value === 0 ? `${value}` : `"${value}"`;
  }

  return { leave, hasSome, take };
}

/** The value that a text stands for. */
export function valueOf(text: ResultText): unknown {
  if (typeof text !== "string") return text;
  return text === "undefined" ? undefined : Number(text);
}
