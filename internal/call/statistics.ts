/** What a pool knows of its calls' number and times, at a cost that never shows. */

/** How long something took, over all calls so far, in milliseconds. */
export interface TimeStats {
  /** How many were measured. */
  readonly count: number;
  /** Their mean; 0 if there were none, as the others are. */
  readonly mean: number;
  /** Half of them took no longer than this; right to about 3 %. */
  readonly p50: number;
  /** 99 of 100 took no longer than this; right to about 3 %. */
  readonly p99: number;
  /** The longest. */
  readonly max: number;
}

/** A snapshot of what an executor does and has done: plain data. */
export interface PoolStats {
  /** The workers at this moment. */
  readonly workers: {
    /** Those that have started and not ended. */
    readonly live: number;
    /** Those of them that have a call. */
    readonly busy: number;
  };
  /** The calls: two numbers of this moment, three of all time. */
  readonly calls: {
    /** Those that have not started. */
    readonly waiting: number;
    /** Those that run. */
    readonly running: number;
    /** Those that returned. */
    readonly finished: number;
    /** Those that threw, were stopped, could not travel, or lost their worker. */
    readonly failed: number;
    /** Those that were cancelled before they started. */
    readonly cancelled: number;
  };
  /** Times of the calls that have returned or thrown. */
  readonly times: {
    /** From `submit` to the start of the call. */
    readonly waiting: TimeStats;
    /** From its start to its end. */
    readonly running: TimeStats;
  };
}

/** How many buckets an octave has, as a power of two: one is 1.6 to 3.2 % wide. */
const FINE = 5;
/** The shortest time that is told from none, in milliseconds; a power of two. */
const SHORTEST = 2 ** -10;
/** Up to 2³⁰ times a second and more. */
const BUCKETS = 50 << FINE;
/** A number, and the upper half of its bits: the exponent stands before the digits. */
const number = new Float64Array(1);
const bits = new Uint32Array(number.buffer);
/** What these are for 1, down to the digits that make a bucket. */
const SHIFT = 20 - FINE;
const ONE = 1023 << FINE;

/** Many times, in buckets whose width grows with the time. */
export class Times {
  #buckets: Uint32Array | undefined;
  #count = 0;
  #sum = 0;
  #max = 0;

  add(ms: number): void {
    this.#count++;
    this.#sum += ms;
    if (ms > this.#max) this.#max = ms;
    let bucket = 0;
    if (ms > SHORTEST) {
      // The bits say it as a logarithm would, in a tenth of the time.
      number[0] = ms / SHORTEST;
      bucket = Math.min((bits[1] >>> SHIFT) - ONE + 1, BUCKETS - 1);
    }
    (this.#buckets ??= new Uint32Array(BUCKETS))[bucket]++;
  }

  stats(): TimeStats {
    const count = this.#count;
    return {
      count,
      mean: count === 0 ? 0 : this.#sum / count,
      p50: this.#quantile(0.5),
      p99: this.#quantile(0.99),
      max: this.#max,
    };
  }

  #quantile(part: number): number {
    let left = Math.ceil(this.#count * part);
    if (left === 0) return 0;
    const buckets = this.#buckets!;
    let bucket = 0;
    while ((left -= buckets[bucket]) > 0) bucket++;
    // The middle of the bucket; nothing is longer than the longest.
    number[0] = 0;
    if (bucket > 0) bits[1] = ONE + bucket - 1 << SHIFT | 1 << SHIFT - 1;
    const middle = number[0] * SHORTEST;
    return Math.min(middle, this.#max);
  }
}

/** What has become of a pool's calls. */
export class Statistics {
  finished = 0;
  failed = 0;
  cancelled = 0;
  readonly waiting: Times = new Times();
  readonly running: Times = new Times();

  /** A call has ended: how long it waited and ran, in milliseconds. */
  ended(waited: number, ran: number, returned: boolean): void {
    this.waiting.add(Math.max(waited, 0));
    this.running.add(ran);
    if (returned) this.finished++;
    else this.failed++;
  }

  /** All of it, with what is true at this moment. */
  snapshot(
    workers: PoolStats["workers"],
    now: { readonly waiting: number; readonly running: number },
  ): PoolStats {
    const { finished, failed, cancelled } = this;
    return {
      workers,
      calls: { ...now, finished, failed, cancelled },
      times: { waiting: this.waiting.stats(), running: this.running.stats() },
    };
  }
}
