/**
 * How far a piece of work is: how many are done, how fast, how long still; and
 * that in words. It draws nothing and asks no clock: times are given to it, in
 * milliseconds.
 */

/** How far back the rate looks, in milliseconds, and as a part of the run. */
const SHORTEST_MEMORY = 10_000;
const MEMORY_OF_RUN = 1 / 5;

/** How a run is over. */
export type Ending = "done" | "stopped";

/** Draws a bar of so many columns, of which that fraction is full. */
export type DrawBar = (fraction: number, columns: number) => string;

/** The longest bar and the shortest that is worth its place, in columns. */
const LONGEST_BAR = 40;
const SHORTEST_BAR = 5;
/** How much of a label is worth more than the rate, in columns. */
const SHORT_LABEL = 6;
/** What stands before a note, and how much of one is worth its place. */
const NOTE = " | ";
const SHORTEST_NOTE = 4;
/** What a bar leaves for a note, in columns. */
const LONGEST_NOTE = 20;

export class Meter {
  readonly #label: string;
  readonly #unit: string;
  readonly #total: number | undefined;
  readonly #start: number;
  #count = 0;
  /** When the last one was done. */
  #last: number;
  /**
   * How many were done, and in how many milliseconds, both fading as time
   * passes: one divided by the other is the rate, smoothed. At the beginning,
   * when nothing has faded, it is the plain mean.
   */
  #recent = 0;
  #recentMs = 0;
  #ending: Ending | undefined;
  #end = 0;
  #note = "";
  /** Whether there was one ever: the bar then keeps its length. */
  #hasNotes = false;

  /** @param unit What is counted: `"B"`, of which there are KiB and MiB; or a word. */
  constructor(
    label: string,
    total: number | undefined,
    now: number,
    unit = "",
  ) {
    this.#label = inOneLine(label);
    this.#unit = inOneLine(unit);
    this.#total = total;
    this.#start = this.#last = now;
  }

  /** So many are done by now. */
  reach(count: number, now: number): void {
    if (count <= this.#count) return;
    const passed = Math.max(now - this.#last, 0);
    const left = this.#fading(passed, now);
    this.#recent = this.#recent * left + count - this.#count;
    this.#recentMs = this.#recentMs * left + passed;
    this.#count = count;
    this.#last = now;
  }

  /** How many are done. */
  get count(): number {
    return this.#count;
  }

  /** Whether there are as many as were to come. */
  get isWhole(): boolean {
    return this.#total === undefined || this.#count >= this.#total;
  }

  /** What stands behind the figures. */
  note(text: string): void {
    this.#hasNotes = true;
    this.#note = inOneLine(text);
  }

  end(ending: Ending, now: number): void {
    this.#ending = ending;
    this.#end = now;
  }

  /** What part of the past still counts after that time. */
  #fading(passed: number, now: number): number {
    const memory = Math.max(
      SHORTEST_MEMORY,
      (now - this.#start) * MEMORY_OF_RUN,
    );
    return Math.exp(-passed / memory);
  }

  /** How many are done in a second: lately, or of a run that is over in all. */
  rate(now: number): number | undefined {
    if (this.#count === 0) return undefined;
    if (this.#ending) return perSecond(this.#count, this.#end - this.#start);
    const lately = perSecond(this.#recent, this.#recentMs);
    // The time since the last one counts once it is too long for that rate:
    // were the next done now, how fast would it be?
    const waiting = Math.max(now - this.#last, 0);
    const left = this.#fading(waiting, now);
    const atBest = perSecond(
      this.#recent * left + 1,
      this.#recentMs * left + waiting,
    );
    return lately === undefined || atBest === undefined
      ? lately ?? atBest
      : Math.min(lately, atBest);
  }

  /** The total, unless there turned out to be more. */
  get #known(): number | undefined {
    return this.#total !== undefined && this.#count <= this.#total
      ? this.#total
      : undefined;
  }

  /** How much is done, from 0 to 1. */
  get #fraction(): number | undefined {
    const total = this.#known;
    if (total === undefined) return undefined;
    return total === 0 ? 1 : this.#count / total;
  }

  /** How far it is, in words: `["42/100", "8.3/s", "7s left"]`. */
  #words(now: number): string[] {
    const total = this.#known;
    const rate = this.rate(now);
    const words = [this.#countInWords(total)];
    if (rate !== undefined) {
      words.push(this.#unit === "B" ? `${bytes(rate)}/s` : inWords(rate));
    }
    if (this.#ending) {
      const time = duration(this.#end - this.#start);
      words.push(this.#ending === "done" ? `in ${time}` : `stopped at ${time}`);
    } else if (total === undefined) {
      words.push(duration(now - this.#start));
    } else if (rate !== undefined) {
      words.push(`${duration((total - this.#count) / rate * 1000)} left`);
    }
    return words;
  }

  #longestFigures(): number {
    const total = this.#total!;
    const count = this.#unit === "B"
      ? `999 KiB/${bytes(total)} | 9.9 MiB/s`
      : `${total}/${total}${this.#unit && ` ${this.#unit}`} | 9.9/min`;
    return ` 99% | ${count} | 59m 59s left`.length;
  }

  #countInWords(total: number | undefined): string {
    const unit = this.#unit;
    if (unit !== "B") {
      const of = total === undefined ? "" : `/${total}`;
      return `${this.#count}${of}${unit && ` ${unit}`}`;
    }
    const done = bytes(this.#count);
    return total === undefined ? done : `${done}/${bytes(total)}`;
  }

  /** A line for where no terminal is: `Pages: 42/100 (42%), 8.3/s, 7s left`. */
  plain(now: number): string {
    const [count, ...words] = this.#words(now);
    const fraction = this.#fraction;
    const label = this.#label && `${this.#label}: `;
    const part = fraction === undefined ? "" : ` (${percentage(fraction)})`;
    if (this.#note) words.push(this.#note);
    return label + [count + part, ...words].join(", ");
  }

  /** A line for a terminal of so many columns, with a bar if the total is known. */
  drawn(now: number, columns: number, drawBar: DrawBar): string {
    const fraction = this.#fraction;
    const words = this.#words(now);
    if (fraction !== undefined) words.unshift(percentage(fraction).padStart(4));
    // The last column stays free: some terminals wrap a line that fills it.
    const room = columns - 1;
    const noted = this.#hasNotes ? NOTE.length + LONGEST_NOTE : 0;
    const label = this.#label && `${this.#label} `;
    let figures = fitting(words, room, Math.min(width(label), SHORT_LABEL));
    if (fraction !== undefined) {
      const free = room - width(label) - width(figures) - 1;
      // As long as the longest figures leave it, so that it stays as it is.
      const steady = room - width(label) - this.#longestFigures() - 1 - noted;
      if (free >= SHORTEST_BAR) {
        const columns = Math.min(free, Math.max(steady, SHORTEST_BAR));
        const bar = drawBar(fraction, Math.min(columns, LONGEST_BAR));
        figures = `${bar} ${figures}`;
      }
    }
    // Where there is too little room for both, the figures tell more; and what was
    // noted stands in what both leave.
    const line = cutLabel(label, room - width(figures)) + figures;
    const left = room - width(line) - NOTE.length;
    const note = this.#note && left >= SHORTEST_NOTE
      ? NOTE + cut(this.#note, left)
      : "";
    return cut(line + note, room);
  }
}

/**
 * Those of the figures that fit: the rate is missed least, for the sake of a label,
 * too; then the time.
 */
function fitting(
  words: readonly string[],
  room: number,
  labelled: number,
): string {
  const left = [...words];
  const isTooLong = (most: number) => width(left.join(" | ")) > most;
  if (left.length > 2 && isTooLong(room - labelled)) left.splice(-2, 1);
  while (left.length > 1 && isTooLong(room)) left.pop();
  return left.join(" | ");
}

/** Cuts a label that doesn't fit; what follows it stands apart all the same. */
function cutLabel(label: string, columns: number): string {
  if (width(label) <= columns) return label;
  // Less of it tells nothing.
  return columns > 3 ? `${cut(label, columns - 1).trimEnd()} ` : "";
}

/** Cuts a text to so many columns. */
function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let short = "";
  let left = columns;
  for (const letter of text) {
    left -= width(letter);
    if (left < 0) break;
    short += letter;
  }
  return short;
}

/** A line break or an escape sequence would harm the terminal. */
function inOneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}

/** An amount of bytes: `512 B`, `1.5 KiB`, `20 MiB`. */
function bytes(amount: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  for (; amount >= 999.5 && i < units.length - 1; i++) amount /= 1024;
  const figures = i > 0 && amount < 9.95
    ? amount.toFixed(1)
    : `${Math.round(amount)}`;
  return `${figures} ${units[i]}`;
}

function perSecond(count: number, ms: number): number | undefined {
  return ms > 0 ? count / ms * 1000 : undefined;
}

function percentage(fraction: number): string {
  // 100% is said of what is complete, and of nothing else.
  return `${Math.floor(fraction * 100)}%`;
}

/** A rate in a unit that gives figures worth reading: `8.3/s`, `12/min`. */
function inWords(rate: number): string {
  const units: [number, string][] = [[1, "s"], [60, "min"], [3600, "h"]];
  const [factor, unit] = units.find(([factor]) => rate * factor >= 0.95) ??
    units[2];
  const value = rate * factor;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}/${unit}`;
}

/** Milliseconds as a reader wants them: `7s`, `3m 05s`, `2h 40m`, `5d 03h`. */
function duration(ms: number): string {
  const s = Math.round(ms / 1000);
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
  if (ms < 950) return `${(ms / 1000).toFixed(1)}s`;
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h ${two(s % 3600 / 60)}m`;
  return `${Math.floor(s / 86_400)}d ${two(s % 86_400 / 3600)}h`;
}

/** How many columns a text takes, at most: East Asian letters and emoji take two. */
export function width(text: string): number {
  let columns = 0;
  for (const letter of text) {
    const point = letter.codePointAt(0)!;
    // What the library draws bars with takes one.
    const wide = point >= 0x1100 && !(point >= 0x2000 && point < 0x2600);
    columns += wide ? 2 : 1;
  }
  return columns;
}
