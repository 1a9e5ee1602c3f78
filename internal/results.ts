/**
 * Results of items that a child leaves in memory which its two threads share.
 *
 * A frame for each of many short items would cost more than they do. So the worker
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

/** Gives what has come to the ring since, as a line of JSON without its end. */
export type TakeResults = () => string | undefined;

/** Self-contained. What is taken by one thread is not by the other. */
export function makeTakeResults(
  ring: Int32Array<SharedArrayBuffer>,
  values: Float64Array<SharedArrayBuffer>,
): TakeResults {
  const { compareExchange, load } = Atomics;
  const { round } = Math;
  const { is } = Object;
  const PLAIN = ['"undefined"', "null", "false", "true"];
  const size = ring.length - 3;

  return () => {
    while (true) {
      const taken = load(ring, 2);
      const left = load(ring, 0);
      if (taken === left) return undefined;
      let text = "";
      for (let i = taken; i !== left; i = (i + 1) | 0) {
        const at = i & (size - 1);
        const entry = ring[3 + at];
        const kind = (entry >> 12) & 7;
        const value = values[at * 2];
        const shown = kind < PLAIN.length
          ? PLAIN[kind]
          : value - value === 0 && !is(value, -0)
          ? value
          : is(value, -0)
          ? '"-0"'
          : `"${value}"`;
        const ms = round(values[at * 2 + 1] * 1e4) / 1e4;
        text += `,${entry >> 15},${entry & 0xfff},${ms},${shown}`;
      }
      // Only now is its place free; if the other thread was faster, it has these.
      if (compareExchange(ring, 2, taken, left) === taken) {
        return `{"type":"results","results":[${text.slice(1)}]}`;
      }
    }
  };
}

/** The value that a text stands for. */
export function valueOf(text: ResultText): unknown {
  if (typeof text !== "string") return text;
  return text === "undefined" ? undefined : Number(text);
}
