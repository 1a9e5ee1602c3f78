/**
 * Stands in for `@std/testing/time` where JSR is out of reach: its `FakeTime`,
 * over the clock of `@sinonjs/fake-timers`.
 *
 * Two things differ: when a callback throws, the others that are due run all
 * the same before the error is thrown; and a timer of 0 ms that is set in a
 * callback is due 1 ms later.
 *
 * @module
 */
import { withGlobal } from "npm:@sinonjs/fake-timers@15.5.0";

/** An error related to faking time. */
export class TimeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TimeError";
  }
}

/** Options for {@linkcode FakeTime}. */
export interface FakeTimeOptions {
  /** How fast time runs by itself, relative to real time; default 0. */
  advanceRate: number;
  /** How often it then moves, in milliseconds; default 10. */
  advanceFrequency?: number;
}

/** Options for {@linkcode FakeTime.prototype.delay}. */
export interface DelayOptions {
  /** Rejects the delay when it is aborted. */
  signal?: AbortSignal;
}

const real = {
  Date: globalThis.Date,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
};
const realAbortTimeout = AbortSignal.timeout;

// Timers are numbers, as in Deno: so says the setTimeout that it looks at.
const timers = withGlobal(
  {
    Date,
    setTimeout: () => 0,
    clearTimeout: () => {},
    setInterval: () => 0,
    clearInterval: () => {},
  } as unknown as typeof globalThis,
);

// deno-lint-ignore no-explicit-any
type Callback = (...args: any[]) => void;

let active: FakeTime | undefined;

/** Replaces `Date` and the timers with ones that the test moves by hand. */
export class FakeTime {
  #start: number;
  #clock: ReturnType<typeof timers.createClock>;
  #advancing: ReturnType<typeof setInterval> | undefined;
  /** What the globals are while time is fake. */
  #fakes: Record<string, unknown>;

  constructor(
    start?: number | string | Date | null,
    options?: FakeTimeOptions,
  ) {
    if (active) throw new TimeError("Cannot construct FakeTime: time is faked");
    this.#start = start === undefined || start === null
      ? real.Date.now()
      : Math.floor(new real.Date(start).valueOf());
    if (Number.isNaN(this.#start)) {
      throw new TimeError(
        `Cannot construct FakeTime: invalid start date: received ${start}`,
      );
    }
    const clock = timers.createClock(this.#start);
    this.#clock = clock;

    // The clock warns about a timer that is not its own; Deno ignores it.
    const own = new Set<unknown>();
    const add = (id: unknown) => (own.add(id), id);
    this.#fakes = {
      Date: clock.Date,
      setTimeout: (callback: Callback, ms?: number, ...args: unknown[]) =>
        add(clock.setTimeout(callback, ms, ...args)),
      setInterval: (callback: Callback, ms?: number, ...args: unknown[]) =>
        add(clock.setInterval(callback, Math.max(1, ms ?? 0), ...args)),
      clearTimeout: (id: number) => {
        if (own.delete(id)) clock.clearTimeout(id);
      },
      clearInterval: (id: number) => {
        if (own.delete(id)) clock.clearInterval(id);
      },
    };
    this.#replaceGlobals();
    active = this;

    const rate = Math.max(0, options?.advanceRate ?? 0);
    const every = Math.max(1, options?.advanceFrequency ?? 10);
    if (rate > 0) {
      this.#advancing = real.setInterval.call(
        globalThis,
        () => this.tick(rate * every),
        every,
      );
    }
  }

  /** Restores real time. */
  static restore(): void {
    if (!active) throw new TimeError("Cannot restore: time is not faked");
    active.restore();
  }

  /** Restores real time until the callback has returned and resolved. */
  static async restoreFor<T>(
    // deno-lint-ignore no-explicit-any
    callback: (...args: any[]) => Promise<T> | T,
    // deno-lint-ignore no-explicit-any
    ...args: any[]
  ): Promise<T> {
    const time = active;
    if (!time) throw new TimeError("Cannot restore: time is not faked");
    time.#restoreGlobals();
    try {
      return await callback(...args);
    } finally {
      if (active === time) time.#replaceGlobals();
    }
  }

  /** The fake time, in milliseconds since 1970; to set it is to tick. */
  get now(): number {
    return this.#clock.now;
  }
  set now(value: number) {
    if (value < this.now) {
      throw new RangeError(
        `Cannot set time in the past: ${value} is before ${this.now}`,
      );
    }
    this.#clock.tick(value - this.now);
  }

  /** The fake time at which this began. */
  get start(): number {
    return this.#start;
  }

  /** Resolves after so many milliseconds of real time. */
  delay(ms: number, options: DelayOptions = {}): Promise<void> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        real.clearTimeout.call(globalThis, timer);
        reject(signal?.reason);
      };
      const timer = real.setTimeout.call(globalThis, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Runs all pending microtasks. */
  async runMicrotasks(): Promise<void> {
    await this.delay(0);
  }

  /** Moves time on, and calls what is due. */
  tick(ms = 0): void {
    this.now += ms;
  }

  /** Runs all pending microtasks, then ticks. */
  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.tick(ms);
  }

  /** Moves time on to the next timer; `false` if there is none. */
  next(): boolean {
    if (this.#clock.countTimers() === 0) return false;
    this.#clock.next();
    this.#clock.tick(0); // the others of the same time
    return true;
  }

  /** Runs all pending microtasks, then moves on to the next timer. */
  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    return this.next();
  }

  /** Moves time on until no timer is left. */
  runAll(): void {
    while (this.next());
  }

  /** The same, with all pending microtasks run before each timer. */
  async runAllAsync(): Promise<void> {
    while (this.#clock.countTimers() > 0) await this.nextAsync();
  }

  /** Restores real time. */
  restore(): void {
    if (active !== this) {
      throw new TimeError("Cannot restore: time is already restored");
    }
    active = undefined;
    this.#restoreGlobals();
    if (this.#advancing !== undefined) clearInterval(this.#advancing);
  }

  [Symbol.dispose](): void {
    this.restore();
  }

  #replaceGlobals(): void {
    Object.assign(globalThis, this.#fakes);
    AbortSignal.timeout = (ms: number) => {
      const controller = new AbortController();
      setTimeout(() => {
        controller.abort(new DOMException("Signal timed out.", "TimeoutError"));
      }, ms);
      return controller.signal;
    };
  }

  #restoreGlobals(): void {
    Object.assign(globalThis, real);
    AbortSignal.timeout = realAbortTimeout;
  }
}
