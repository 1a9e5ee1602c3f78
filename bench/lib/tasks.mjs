/**
 * The work, the same for all subjects that run JavaScript. Each function uses
 * nothing from around it, so that it can travel as its source.
 */

/** What came in goes out. */
export function identity(x) {
  return x;
}

/** The function of Python's `ProcessPoolExecutor` example. */
export function isPrime(n) {
  if (n < 2) return false;
  if (n === 2) return true;
  if (n % 2 === 0) return false;

  const sqrt = Math.floor(Math.sqrt(n));
  for (let i = 3; i <= sqrt; i += 2) {
    if (n % i === 0) return false;
  }
  return true;
}

/** Busy for so many milliseconds. */
export function spin(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
}

/** Holds the worker for so many milliseconds, and the processor not at all. */
export function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return ms;
}

/** Text of so many characters. */
export function text(length) {
  return "x".repeat(length);
}
