/** A terminal of the simplest kind: what stands on it after all that was written to it. */

export class Terminal {
  #lines: string[][] = [[]];
  #row = 0;
  #column = 0;
  /** Control sequences that change how the terminal behaves, and so have to be undone. */
  readonly settings: string[] = [];

  /** The lines, the one that the cursor stands in included. */
  get lines(): string[] {
    return this.#lines.map((line) => line.join("").trimEnd());
  }

  /** Where the cursor stands: line and column, from 0. */
  get cursor(): [number, number] {
    return [this.#row, this.#column];
  }

  write(text: string): this {
    const parts = text.matchAll(
      // deno-lint-ignore no-control-regex
      /\x1b\[([?\d;]*)([A-Za-z])|\x1b[78]|[^]/gu,
    );
    for (const [part, args, command] of parts) {
      if (command) this.#obey(command, args, part);
      else if (part === "\r") this.#column = 0;
      else if (part === "\n") this.#newLine();
      else if (part.startsWith("\x1b")) this.settings.push(part);
      else this.#put(part);
    }
    return this;
  }

  #put(letter: string): void {
    const line = this.#lines[this.#row];
    while (line.length < this.#column) line.push(" ");
    line[this.#column++] = letter;
  }

  /** A terminal's driver has a line break go to the first column too. */
  #newLine(): void {
    this.#column = 0;
    this.#row++;
    this.#lines[this.#row] ??= [];
  }

  #obey(command: string, args: string, sequence: string): void {
    const n = Number(args || 0);
    const line = this.#lines[this.#row];
    if (command === "A") {
      this.#row -= n || 1;
      if (this.#row < 0) throw new Error("above the first line");
    } else if (command === "G") this.#column = (n || 1) - 1;
    else if (command === "K") {
      if (n === 2) line.length = 0;
      else if (n === 0) line.splice(this.#column);
      else throw new Error(`unknown: ${JSON.stringify(sequence)}`);
    } else if (command === "J" && n === 0) {
      line.splice(this.#column);
      this.#lines.splice(this.#row + 1);
    } else if (command !== "m") this.settings.push(sequence);
  }
}
