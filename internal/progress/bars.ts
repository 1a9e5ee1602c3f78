/**
 * Bars on a terminal. The library draws them; this file says when, and keeps
 * them apart from what the program prints meanwhile.
 *
 * All bars of a terminal stand below each other in its last lines, from the
 * first that is there to the last that ends. Whenever the program prints, they
 * are taken away, and drawn again below what it has printed. A bar that ends
 * leaves its last state behind, above those that go on.
 *
 * Neither the cursor is hidden nor any setting of the terminal changed, so a
 * program that is killed leaves nothing to be repaired.
 */

import cliProgress from "cli-progress";
import { watchWorkers } from "../base/printing.ts";
import { type Output, whileAlive, writeText } from "./lines.ts";
import { type DrawBar, type Ending, type Meter, width } from "./meter.ts";

/** How long a frame stands, in milliseconds. */
const FRAME = 100;
/** So few frames a second that the library never draws by itself: it is told to. */
const NEVER = 1e-6;
const FULL = "█";
const EMPTY = "░";
const NEWLINE = 10;
/** What comes before the program ends by an error. */
const FATAL = ["error", "unhandledrejection"];

/** What is used of the library's `MultiBar`. */
interface MultiBar {
  /** Set while it is active. A clock that a test made up may have no `unref()`. */
  timer?: { unref?(): void };
  readonly terminal: { cursorRelativeReset(): void; clearBottom(): void };
  create(
    total: number,
    value: number,
    payload: object,
    options: { format(options: object, params: { maxWidth: number }): string },
  ): object;
  remove(bar: object): void;
  update(): void;
  log(text: string): void;
  stop(): void;
}

const drawBar: DrawBar = (fraction, columns) =>
  cliProgress.Format.BarFormat(fraction, {
    barsize: columns,
    barCompleteString: FULL.repeat(columns),
    barIncompleteString: EMPTY.repeat(columns),
    barGlue: "",
  });

/** The bars of one terminal, while there are any. */
class Screen {
  readonly #output: Output;
  readonly #write: (text: string) => void;
  readonly #bars: MultiBar;
  #count = 0;
  /** What the library has written since the last flush. */
  #frame = "";
  #shown = false;
  /** The program has begun a line that it has not ended: it must not be drawn over. */
  #amidLine = false;
  #drawnAt = 0;
  /** How wide the lines are that stand there, and how wide the terminal was then. */
  #widths: number[] = [];
  #drawnColumns = 0;
  #stopTimer: (() => void) | undefined;
  #unwatch: (() => void) | undefined;

  constructor(output: Output) {
    this.#output = output;
    this.#write = writeText.bind(undefined, output, output.writeSync);
    const columns = () => this.columns;
    this.#bars = new cliProgress.MultiBar({
      stream: {
        isTTY: true,
        get columns() {
          return columns();
        },
        write: (text: string) => this.#frame += text,
      },
      fps: NEVER,
      // Leaves the terminal's own setting; the lines are never too long.
      linewrap: true,
      // They move, and so have to be drawn even if they stay the same.
      forceRedraw: true,
      gracefulExit: false,
    });
  }

  get columns(): number {
    const columns = this.#output.columns ?? terminalColumns();
    return columns > 0 ? columns : 80;
  }

  add(meter: Meter): object {
    if (this.#count++ === 0) {
      const unwatch = watchPrinting(this.#output, this);
      const isOwn = this.#output === Deno.stderr;
      const letWorkers = isOwn ? watchWorkers() : undefined;
      this.#unwatch = () => {
        unwatch();
        letWorkers?.();
      };
      addEventListener("unload", this.#onUnload);
      for (const type of FATAL) addEventListener(type, this.#onFatal);
    }
    const bar = this.#bars.create(1, 0, {}, {
      format: (_, { maxWidth }) => {
        const line = this.#line(meter, maxWidth);
        this.#widths.push(width(line));
        return line;
      },
    });
    this.#bars.timer?.unref?.();
    this.draw();
    return bar;
  }

  #line(meter: Meter, columns: number): string {
    return meter.drawn(performance.now(), columns, drawBar);
  }

  /** A bar has ended, and its meter knows how. */
  remove(bar: object, meter: Meter): void {
    this.#startLine();
    if (--this.#count > 0) {
      this.#bars.log(`${this.#line(meter, this.columns)}\n`);
      this.#bars.remove(bar);
      this.#flush();
      this.draw();
      return;
    }
    this.#bars.stop();
    this.#flush();
    this.#stopTimer?.();
    this.#unwatch?.();
    removeEventListener("unload", this.#onUnload);
    for (const type of FATAL) removeEventListener(type, this.#onFatal);
    screens.delete(this.#output);
  }

  /** The program ends, and nobody went on with these bars: they get their line's end. */
  readonly #onUnload = () => {
    this.#startLine();
    this.#bars.stop();
    this.#flush();
  };

  /**
   * The runtime is about to tell of an error that nobody caught, and to end the
   * program. The bars stay as they are, and what it tells begins a line.
   */
  readonly #onFatal = () => {
    if (!this.#shown) return;
    this.#shown = false;
    this.#write("\n");
  };

  tick(now: number): void {
    if (now - this.#drawnAt >= FRAME) this.draw();
  }

  draw(): void {
    this.#stopTimer?.();
    if (!this.#amidLine) {
      if (this.columns !== this.#drawnColumns) this.#hide();
      this.#widths = [];
      this.#drawnColumns = this.columns;
      this.#bars.update();
      // It has started its own timer anew.
      this.#bars.timer?.unref?.();
      this.#flush();
      this.#shown = true;
    }
    this.#drawnAt = performance.now();
    this.#stopTimer = whileAlive(FRAME, () => this.draw());
  }

  /** Makes room for what is going to be printed. */
  printing(): void {
    this.#hide();
    this.#amidLine = true;
  }

  /** It was printed. */
  printed(endsLine: boolean): void {
    this.#amidLine = !endsLine;
    this.draw();
  }

  #hide(): void {
    if (!this.#shown) return;
    this.#shown = false;
    const { terminal } = this.#bars;
    terminal.cursorRelativeReset();
    // In a terminal that got narrower the lines have been broken, and so are more.
    let more = 0;
    for (const width of this.#widths) {
      more += Math.max(Math.ceil(width / this.columns), 1) - 1;
    }
    if (more > 0) this.#frame += `\x1b[${more}A`;
    terminal.clearBottom();
    this.#flush();
  }

  /** Hides the bars; what is drawn next stands in a line of its own. */
  #startLine(): void {
    this.#hide();
    if (this.#amidLine) this.#frame += "\n";
    this.#amidLine = false;
  }

  /** A frame goes out at once: in pieces it would flicker. */
  #flush(): void {
    const frame = this.#frame;
    this.#frame = "";
    if (frame) this.#write(frame);
  }
}

function terminalColumns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    // There is no terminal: a program or a test says that its output is one.
    return 0;
  }
}

const screens = new Map<Output, Screen>();

/** One bar. */
export class Bar {
  readonly #meter: Meter;
  readonly #screen: Screen;
  readonly #bar: object;

  constructor(output: Output, meter: Meter) {
    this.#meter = meter;
    let screen = screens.get(output);
    if (!screen) screens.set(output, screen = new Screen(output));
    this.#screen = screen;
    this.#bar = screen.add(meter);
  }

  tick(now: number): void {
    this.#screen.tick(now);
  }

  end(ending: Ending, now: number): void {
    this.#meter.end(ending, now);
    this.#screen.remove(this.#bar, this.#meter);
  }
}

// ---- What the program prints -----------------------------------------------

const TO_STDOUT = [
  "log",
  "info",
  "debug",
  "dir",
  "dirxml",
  "table",
  "count",
  "timeLog",
  "timeEnd",
  "group",
  "groupCollapsed",
];
const TO_STDERR = ["warn", "error", "trace", "assert"];

/**
 * Has the bars make room for what is printed on this thread: through
 * `console`, and through `Deno.stdout` and `Deno.stderr`, as child processes of
 * a pool do, and threads as long as a bar is there (`base/printing.ts`).
 *
 * @returns What ends that.
 */
function watchPrinting(output: Output, screen: Screen): () => void {
  // A terminal that a test made up is not where the program prints.
  if (output !== Deno.stderr) return () => {};
  const undo: (() => void)[] = [];

  const wrap = (
    owner: object,
    name: string,
    endsLine: (args: unknown[]) => boolean,
  ) => {
    const methods = owner as Record<string, unknown>;
    const original = methods[name];
    if (typeof original !== "function") return;
    const own = Object.getOwnPropertyDescriptor(owner, name);
    const wrapped = function (this: unknown, ...args: unknown[]): unknown {
      screen.printing();
      let result: unknown;
      try {
        return result = original.apply(this, args);
      } finally {
        const printed = () => screen.printed(endsLine(args));
        if (result instanceof Promise) result.then(printed, printed);
        else printed();
      }
    };
    Object.defineProperty(owner, name, {
      value: wrapped,
      configurable: true,
      enumerable: own?.enumerable ?? false,
      writable: true,
    });
    undo.push(() => {
      // Whoever has replaced it since has a reason.
      if (methods[name] !== wrapped) return;
      if (own) Object.defineProperty(owner, name, own);
      else delete methods[name];
    });
  };
  const always = () => true;
  const bytesEndLine = ([bytes]: unknown[]) =>
    bytes instanceof Uint8Array &&
    (bytes.length === 0 || bytes[bytes.length - 1] === NEWLINE);

  if (Deno.stdout.isTerminal()) {
    for (const name of TO_STDOUT) wrap(console, name, always);
    wrap(Deno.stdout, "writeSync", bytesEndLine);
    wrap(Deno.stdout, "write", bytesEndLine);
  }
  for (const name of TO_STDERR) wrap(console, name, always);
  wrap(Deno.stderr, "writeSync", bytesEndLine);
  wrap(Deno.stderr, "write", bytesEndLine);
  return () => {
    for (const fn of undo) fn();
  };
}
