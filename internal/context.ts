/**
 * Async contexts: what `AsyncLocalStorage` has where a caller's code was given,
 * kept for when it runs.
 *
 * The runtime's own continuations (`await future.result()`) keep theirs by
 * themselves. What is called later by somebody else does not: a done callback, a
 * call of an `EventLoopExecutor`, the inputs of a `map`.
 *
 * Where there is no `node:async_hooks`, nobody can have a context, and there is
 * nothing to keep.
 */

/** Runs a function in a context that was kept, and gives what it returns. */
export type Context = <A extends unknown[], R>(
  fn: (...args: A) => R,
  ...args: A
) => R;

/** What is used of `AsyncLocalStorage`. */
export interface Storage<T> {
  run<A extends unknown[], R>(store: T, fn: (...args: A) => R, ...args: A): R;
  getStore(): T | undefined;
}

interface StorageClass {
  new <T>(): Storage<T>;
  snapshot?(): Context;
}

let looked = false;
let found: StorageClass | undefined;

/**
 * The runtime's `AsyncLocalStorage`, if it has one. Looked for when it is first
 * needed: in Deno it takes some 20 ms to load what it stands on.
 */
export function storageClass(): StorageClass | undefined {
  if (looked) return found;
  looked = true;
  try {
    const { process } = globalThis as unknown as {
      process?: {
        getBuiltinModule?(name: string):
          | { AsyncLocalStorage?: StorageClass }
          | undefined;
      };
    };
    found = process?.getBuiltinModule?.("node:async_hooks")?.AsyncLocalStorage;
  } catch {
    // Something else has that name here.
  }
  return found;
}

/** Keeps the context of who calls this; `undefined` where there can be none. */
export function keepContext(): Context | undefined {
  return storageClass()?.snapshot?.();
}

const contextless = new WeakSet<object>();

/** Marks a callback of this library's own, for which no context need be kept. */
export function needsNoContext<F extends object>(fn: F): F {
  contextless.add(fn);
  return fn;
}

/** Keeps the context for a callback, unless it needs none. */
export function contextFor(fn: object): Context | undefined {
  return contextless.has(fn) ? undefined : keepContext();
}
