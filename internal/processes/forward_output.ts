/** What a child prints, on its way to this program's own output. */

import { joined } from "../base/bytes.ts";

const NEWLINE = 10;
/** A line longer than this is passed on in pieces, in bytes. */
const LONGEST_LINE = 1 << 20;
/** How much of what was printed last is kept, in bytes. */
const KEPT = 2000;

/** Passes lines on whole, so that those of several children do not mix. */
export class LineForwarder {
  readonly #target: { writeSync(bytes: Uint8Array): number };
  #parts: Uint8Array[] = [];
  #length = 0;
  #last: Uint8Array = new Uint8Array(0);

  constructor(target: { writeSync(bytes: Uint8Array): number }) {
    this.#target = target;
  }

  push(bytes: Uint8Array): void {
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      this.#parts.push(bytes.subarray(0, end));
      this.flush();
    }
    if (end < bytes.length) {
      // The reader reads on into the same memory.
      this.#parts.push(bytes.slice(end));
      this.#length += bytes.length - end;
      if (this.#length > LONGEST_LINE) this.flush();
    }
  }

  /** Passes on what there is of a line whose end will not come. */
  flush(): void {
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#length = 0;
    const bytes = parts.length === 1 ? parts[0] : joined(...parts);
    this.#last = joined(this.#last, bytes.subarray(-KEPT)).slice(-KEPT);
    try {
      for (let done = 0; done < bytes.length;) {
        done += this.#write(bytes.subarray(done));
      }
    } catch {
      // As with console.log: output that nobody reads any more is no error.
    }
  }

  #write(bytes: Uint8Array): number {
    try {
      return this.#target.writeSync(bytes);
    } catch (error) {
      // By a signal, which somebody has handled.
      if (error instanceof Deno.errors.Interrupted) return 0;
      // Somebody made the program's own output non-blocking, and it is full.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      return 0;
    }
  }

  /** The last lines that were passed on; if one of them tells an error, from there. */
  lastLines(): string {
    // A child colours what it prints.
    const plain = new TextDecoder().decode(this.#last).replace(
      new RegExp("\x1b\\[[0-9;]*m", "g"),
      "",
    );
    const lines = plain.trimEnd().split("\n");
    const error = lines.findLastIndex((line) =>
      /^(?:error|fatal)\b/i.test(line)
    );
    return lines.slice(error >= 0 && error < lines.length - 5 ? error : -5)
      .slice(0, 5).join("\n");
  }
}
