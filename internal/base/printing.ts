/**
 * Who stands on the terminal, and who has to know. While bars do, what workers
 * print must come by this thread, which alone can make room for it.
 *
 * The two entry points that this is between may be of two copies of the library:
 * so it hangs on the global scope, as an object of its own kind.
 */

const KEY = Symbol.for("@concurrent/futures printing");

interface Printing {
  /** How many screens of bars there are. */
  screens: number;
  readonly listeners: Set<(isWatched: boolean) => void>;
}

function printing(): Printing {
  const holder = globalThis as unknown as Record<symbol, Printing | undefined>;
  let found = holder[KEY];
  if (!found) {
    found = { screens: 0, listeners: new Set() };
    Object.defineProperty(holder, KEY, { value: found });
  }
  return found;
}

/** Bars have come; gives what is to be called when they have gone. */
export function watchWorkers(): () => void {
  const state = printing();
  if (state.screens++ === 0) tellAll(true);
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    if (--state.screens === 0) tellAll(false);
  };
}

function tellAll(isWatched: boolean): void {
  for (const listener of [...printing().listeners]) listener(isWatched);
}

/**
 * Has a worker hear whether bars are there: at once if they are, and whenever that
 * changes.
 *
 * @returns What ends that.
 */
export function hearOfBars(listener: (areThere: boolean) => void): () => void {
  const { screens, listeners } = printing();
  listeners.add(listener);
  if (screens > 0) listener(true);
  return () => {
    listeners.delete(listener);
  };
}

/** Prints what a worker has sent, by the methods that bars have wrapped. */
export function printFor(text: unknown, toStderr: boolean): void {
  if (!(text instanceof Uint8Array)) return;
  const stream = toStderr ? Deno.stderr : Deno.stdout;
  try {
    for (let done = 0; done < text.length;) {
      done += stream.writeSync(text.subarray(done));
    }
  } catch {
    // As with console.log: output that nobody reads any more is no error.
  }
}
