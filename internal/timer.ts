/**
 * Timeouts as the contract knows them: any number of milliseconds, where
 * `setTimeout` turns what is over 2³¹ − 1 into 1.
 */

const LONGEST = 2 ** 31 - 1;

let loaded = false;

/**
 * Has the runtime load its timers, which it does when they are first asked for.
 *
 * While it does, Deno 2.9 runs microtasks: other code, in the middle of ours. So
 * this is called where nothing is half done, before a timer is first set.
 */
export function loadTimers(): void {
  if (loaded) return;
  loaded = true;
  void globalThis.setTimeout;
}

let planned = false;

/** Has them loaded when what runs now is over. */
export function planTimers(): void {
  if (planned) return;
  planned = true;
  queueMicrotask(loadTimers);
}

/**
 * Checks a timeout that a caller gave, and loads what is needed to keep it.
 *
 * @returns The milliseconds, or `undefined` where there is no limit.
 * @throws {TypeError} when it is no number.
 * @throws {RangeError} when it is `NaN`.
 */
export function checkTimeout(
  timeout: number | undefined,
  name = "timeout",
): number | undefined {
  if (timeout === undefined || timeout === Infinity) return undefined;
  if (typeof timeout !== "number") {
    throw new TypeError(
      `${name} must be a number of milliseconds: received ${show(timeout)}`,
    );
  }
  if (Number.isNaN(timeout)) {
    throw new RangeError(
      `${name} must be a number of milliseconds: received NaN`,
    );
  }
  loadTimers();
  return timeout;
}

/**
 * Checks a signal that a caller gave.
 *
 * @throws {TypeError} when it is none: a controller has one.
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new TypeError(
    `signal must be an AbortSignal: received ${show(signal)}`,
  );
}

/** A value as an error message shows it. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "function":
      return value.name ? `function "${value.name}"` : "a function";
    case "object":
      if (value === null) return "null";
      return `an object (${value.constructor?.name || "no class"})`;
    case "bigint":
      return `${value}n`;
    default:
      return String(value);
  }
}

/** Calls `fn` once `ms` milliseconds have passed, however many; returns what stops that. */
export function startTimer(ms: number, fn: () => void): () => void {
  const end = performance.now() + ms;
  let timer: ReturnType<typeof setTimeout>;
  let stopped = false;
  const arm = (left: number) => {
    timer = setTimeout(() => {
      // Deno 2.5 fires some that were cleared when they were about to.
      if (stopped) return;
      const still = end - performance.now();
      // A timer may fire a little early; only a long one is worth a second.
      if (left > LONGEST && still > 0) arm(still);
      else fn();
    }, Math.min(Math.max(left, 0), LONGEST));
  };
  arm(ms);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/**
 * Does the same for what an event may forestall. Where this thread was busy, a timer
 * fires before those are heard that came meanwhile: so one that is late waits a turn.
 */
export function startLimit(ms: number, fn: () => void): () => void {
  const end = performance.now() + ms;
  let stop = startTimer(ms, () => {
    if (performance.now() > end) stop = startTimer(0, fn);
    else fn();
  });
  return () => stop();
}
