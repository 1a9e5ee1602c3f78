/** A queue with two ends, each step in constant time. */

export class Deque<T> {
  // A ring: `Array.prototype.shift` takes time in proportion to a long queue.
  #items: (T | undefined)[] = new Array(16);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  get last(): T | undefined {
    return this
      .#items[(this.#head + this.#size - 1) & (this.#items.length - 1)];
  }

  push(item: T): void {
    this.#growIfFull();
    this.#items[(this.#head + this.#size++) & (this.#items.length - 1)] = item;
  }

  unshift(item: T): void {
    this.#growIfFull();
    this.#head = (this.#head - 1) & (this.#items.length - 1);
    this.#items[this.#head] = item;
    this.#size++;
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    // What a long queue held is given back once it is short again.
    if (--this.#size < this.#items.length >> 3 && this.#items.length > 1024) {
      this.#resize(this.#items.length >> 2);
    }
    return item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#size; i++) {
      yield this.#items[(this.#head + i) & (this.#items.length - 1)]!;
    }
  }

  /** Keeps only the items that `keep` wants, in order. */
  filter(keep: (item: T) => boolean): void {
    for (let left = this.#size; left > 0; left--) {
      const item = this.shift()!;
      if (keep(item)) this.push(item);
    }
  }

  #growIfFull(): void {
    if (this.#size === this.#items.length) this.#resize(this.#size * 2);
  }

  /** `length` is a power of two. */
  #resize(length: number): void {
    const items = new Array<T | undefined>(length);
    for (let i = 0; i < this.#size; i++) {
      items[i] = this.#items[(this.#head + i) & (this.#items.length - 1)];
    }
    this.#items = items;
    this.#head = 0;
  }
}
