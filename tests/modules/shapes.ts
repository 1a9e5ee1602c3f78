/** What the tests of closures import, and have their functions use. */

export const unit = { length: 10 };

export function area(width: number, height: number): number {
  loads.count++;
  return width * height * unit.length;
}

export class Square {
  constructor(readonly side: number) {}

  area(): number {
    return area(this.side, this.side);
  }
}

/** How often `area` was called: a module keeps its state. */
export const loads = { count: 0 };

export function howOften(): number {
  return loads.count;
}

export default (n: number): number => n * unit.length;
