/** Memory that threads share for plain values: numbers, short texts and the like. */

import type { SharedCells } from "../call/protocol.ts";

/** How long a text may be, in code units, to be plain; a result has twice the room. */
export const SHORT = 64;
/** The kind of a number in a cell; those below have no cell, of those above it is a text. */
export const NUMBER = 4;

/** Cells for plain values: `undefined`, `null`, booleans, numbers, short texts. */
export interface Cells {
  /** Writes a value down; gives its kind, or nothing if it is not plain. */
  write(cell: number, value: unknown, mostUnits: number): number | undefined;
  read(cell: number, kind: number): unknown;
  /** Whether a cell holds something of a kind; of a text, no more than so many units. */
  has(cell: number, kind: number, mostUnits: number): boolean;
}

/**
 * Makes what writes to cells, and reads them.
 *
 * Self-contained: workers get it as its source.
 */
export function makeCells(shared: SharedCells): Cells {
  const values = new Float64Array(shared.numbers);
  const texts = new Uint16Array(shared.texts);
  const PLAIN = [undefined, null, false, true];
  const NUMBER = 4;
  const TEXT = 5;
  const units = texts.length / values.length;
  // Taken before any task runs: one may put its own in their place.
  const { apply } = Reflect;
  const { fromCharCode } = String;
  const unitOf: (text: string, i: number) => number = Function.prototype.call
    .bind(String.prototype.charCodeAt);
  // It inherits nothing: a setter for its items would be met, too.
  const codes: number[] = Object.setPrototypeOf([], null);

  function write(
    cell: number,
    value: unknown,
    mostUnits: number,
  ): number | undefined {
    if (typeof value === "number") {
      values[cell] = value;
      return NUMBER;
    }
    if (typeof value === "string") {
      const { length } = value;
      if (length > mostUnits) return undefined;
      values[cell] = length;
      const at = cell * units;
      for (let i = 0; i < length; i++) texts[at + i] = unitOf(value, i);
      return TEXT;
    }
    return value === undefined
      ? 0
      : value === null
      ? 1
      : value === false
      ? 2
      : value === true
      ? 3
      : undefined;
  }

  function read(cell: number, kind: number): unknown {
    if (kind < NUMBER) return PLAIN[kind];
    if (kind === NUMBER) return values[cell];
    const length = values[cell];
    const at = cell * units;
    codes.length = 0;
    for (let i = 0; i < length; i++) codes[i] = texts[at + i];
    return apply(fromCharCode, undefined, codes);
  }

  function has(cell: number, kind: number, mostUnits: number): boolean {
    if (kind !== TEXT) return kind < TEXT;
    const length = values[cell];
    return length >= 0 && length <= mostUnits && length % 1 === 0;
  }

  return { write, read, has };
}

/** Makes the memory for so many cells. */
export function shareCells(count: number): SharedCells {
  return {
    numbers: new SharedArrayBuffer(count * 8),
    texts: new SharedArrayBuffer(count * SHORT * 2),
  };
}
