/** What is measured, and in which figures. */

/** One line of a table. */
export interface Figure {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** Whether more is better; with all others, less is. */
  readonly more?: boolean;
}

/** What one program measures in one go. */
export interface Row {
  readonly id: string;
  /** Whether it is for those that run calls on other machines, and for them alone. */
  readonly queues?: boolean;
  readonly figures: readonly Figure[];
}

function row(id: string, title: string, unit: string, more = false): Row {
  return { id, figures: [{ id, title, unit, more }] };
}

const CALL = "µs a call";

/** All rows. `lib/harness.mjs` and `lib/harness.py` measure them. */
export const ROWS: readonly Row[] = [
  row("a", "20,000 calls of `(x) => x` submitted at once", CALL),
  row("b", "one call at a time, there and back, median", "µs"),
  row("c", "map over 100,000 numbers, default settings", "µs an item"),
  row("d", "six primes, warm, speed-up over inline", "times", true),
  row("e", "2,000 calls, 90 % of 0.05 ms, 10 % of 5 ms", "× ideal"),
  row("f", "64 MiB of bytes there and back", "ms"),
  row("g", "200 calls with an object of 100 KiB each way", "ms a call"),
  {
    id: "h",
    figures: [
      { id: "h1", title: "program start to first result", unit: "ms" },
      { id: "h2", title: "program start to its end", unit: "ms" },
    ],
  },
  {
    id: "i",
    figures: [
      { id: "i1", title: "memory (RSS) with two idle workers", unit: "MiB" },
      { id: "i2", title: "each of 200,000 waiting calls", unit: "bytes" },
    ],
  },
  {
    id: "j",
    queues: true,
    figures: [{
      id: "j",
      title: "one call at a time, there and back, median",
      unit: "ms",
    }],
  },
  {
    id: "k",
    queues: true,
    figures: [{
      id: "k",
      title: "2,000 calls submitted at once",
      unit: "calls/s",
      more: true,
    }],
  },
  {
    id: "l",
    queues: true,
    figures: [
      { id: "l1", title: "a result of 1 MiB", unit: "ms" },
      { id: "l2", title: "a result of 20 MiB", unit: "ms" },
    ],
  },
  {
    id: "m",
    figures: [
      { id: "m1", title: "1,000 waiting calls, all to their end", unit: CALL },
      { id: "m2", title: "10,000 of them", unit: CALL },
      { id: "m3", title: "100,000 of them", unit: CALL },
      { id: "m4", title: "1,000,000 of them", unit: CALL },
    ],
  },
];

/** How many calls wait in row i. */
export const WAITING = 200_000;
