/**
 * Times: timeouts as the contract knows them, any number of milliseconds, where
 * `setTimeout` turns what is over 2³¹ − 1 into 1; and by whose clock they count.
 *
 * There are two clocks. A time that a caller gave (the timeout of `result()`,
 * `wait()` and `map()`, a call's time limit) counts by the clock that the program
 * has at that moment: a test that fakes its timers can test those. What the
 * library does for itself (an idle worker ends, a call that was stopped has its
 * grace, calls are taken back from behind a long one) counts by the clock that
 * was there when this module was loaded: a test that fakes its timers neither
 * stops a pool nor keeps its own program alive with it.
 */

const LONGEST = 2 ** 31 - 1;

/** What tells the time. */
export interface Clock {
  /** Calls `fn` after `ms` milliseconds, by `setTimeout`; returns what stops that. */
  start(fn: () => void, ms: number): () => void;
  /** Milliseconds since some moment. */
  now(): number;
  /** What `startQuietTimer` starts, if the clock has such. */
  startQuiet?(fn: () => void, ms: number): () => void;
}

/** The clock that the program has now. */
export const programClock: Clock = {
  // Who stops it may have been given another clock since.
  start: (fn, ms) =>
    startBy(globalThis.setTimeout, globalThis.clearTimeout, fn, ms),
  // Some runtime may have none.
  now: () => globalThis.performance?.now() ?? Date.now(),
  startQuiet: undefined,
};

const DONE = Promise.resolve();

/**
 * Runs something at the end of what goes on now, as `queueMicrotask` does, which a
 * test of a program may have faked.
 *
 * @param fn It never throws.
 */
export function soon(fn: () => void): void {
  DONE.then(fn);
}

/** The clock of the library's own life. Tests, and they alone, put another there. */
export const ownClock: Clock = {
  start(fn, ms) {
    takeClock();
    return ownClock.start(fn, ms);
  },
  now() {
    takeClock();
    return ownClock.now();
  },
};

// Only found here, and read when they are needed: to read them has Deno load its
// timers, and a runtime may forbid it while modules load.
const own = {
  setTimeout: globalOf("setTimeout"),
  clearTimeout: globalOf("clearTimeout"),
  performance: globalOf("performance"),
};
// A test replaces the method, of an object that is often there already.
const ownNow = (own.performance.value as Performance | undefined)?.now;

/** Finds a global by its description, though another may be put in its place. */
function globalOf(name: string): PropertyDescriptor {
  for (let owner = globalThis; owner; owner = Object.getPrototypeOf(owner)) {
    const found = Object.getOwnPropertyDescriptor(owner, name);
    if (found) return found;
  }
  return {};
}

function read<T>({ get, value }: PropertyDescriptor): T {
  return get ? get.call(globalThis) : value;
}

function takeClock(): void {
  const setTimeout = read<typeof globalThis.setTimeout>(own.setTimeout);
  const clearTimeout = read<typeof globalThis.clearTimeout>(own.clearTimeout);
  const performance = read<Performance | undefined>(own.performance);
  ownClock.start = (fn, ms) => startBy(setTimeout, clearTimeout, fn, ms);
  ownClock.startQuiet = hearsNotify() ? startUnseen : undefined;
  ownClock.now = (ownNow ?? performance?.now)?.bind(performance!) ?? Date.now;
}

function startBy(
  setTimeout: (fn: () => void, ms: number) => unknown,
  clearTimeout: (timer: number) => void,
  fn: () => void,
  ms: number,
): () => void {
  const timer = setTimeout(fn, ms) as number;
  return () => clearTimeout(timer);
}

/**
 * Whether a runtime that has nothing to do hears `Atomics.notify`: Deno does since
 * 2.8 at the latest, and 2.6 is woken by nothing.
 */
export function hearsNotify(): boolean {
  const version = globalThis.Deno?.version.deno ?? "0.0";
  const [major, minor] = version.split(".").map(Number);
  return "waitAsync" in Atomics && (major > 2 || major === 2 && minor >= 8);
}

/**
 * A wait in vain: nothing that counts a program's timers sees it. A wait of no time
 * would be over at once, in no turn of its own: set again and again, it would let
 * no event be heard.
 */
function startUnseen(fn: () => void, ms: number): () => void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const { value } = Atomics.waitAsync(cell, 0, 0, Math.max(ms, 1)) as {
    value: Promise<string> | string;
  };
  Promise.resolve(value).then((how) => {
    if (how === "timed-out") fn();
  });
  return () => {
    Atomics.notify(cell, 0);
  };
}

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
  read(own.setTimeout);
}

let planned = false;

/** Has them loaded when what runs now is over. */
export function planTimers(): void {
  if (planned) return;
  planned = true;
  soon(loadTimers);
}

/**
 * Calls `fn` once `ms` milliseconds have passed, however many; returns what stops
 * that.
 */
export function startTimer(
  ms: number,
  fn: () => void,
  clock: Clock = ownClock,
): () => void {
  const end = clock.now() + ms;
  let stop: () => void;
  let stopped = false;
  const arm = (left: number) => {
    stop = clock.start(() => {
      // Deno 2.5 fires some that were cleared when they were about to.
      if (stopped) return;
      const still = end - clock.now();
      // A timer may fire a little early; only a long one is worth a second.
      if (left > LONGEST && still > 0) arm(still);
      else fn();
    }, Math.min(Math.max(left, 0), LONGEST));
  };
  arm(ms);
  return () => {
    stopped = true;
    stop();
  };
}

/**
 * Does the same for what a pool does a while after its last call, and what keeps
 * nothing alive by itself: for a test that counts its timers this is none, so a
 * pool may be shared by the tests of a file.
 */
export function startQuietTimer(ms: number, fn: () => void): () => void {
  const { startQuiet } = ownClock;
  if (!startQuiet || ms > LONGEST) return startTimer(ms, fn);
  let stopped = false;
  const stop = startQuiet(() => {
    if (!stopped) fn();
  }, ms);
  return () => {
    stopped = true;
    stop();
  };
}

/**
 * Does the same for what an event may forestall. Where this thread was busy, a timer
 * fires before those are heard that came meanwhile: so one that is late waits a turn.
 */
export function startLimit(
  ms: number,
  fn: () => void,
  clock: Clock = ownClock,
): () => void {
  const end = clock.now() + ms;
  let stop = startTimer(ms, () => {
    if (clock.now() > end) stop = startTimer(0, fn, clock);
    else fn();
  }, clock);
  return () => stop();
}
