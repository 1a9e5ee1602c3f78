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

/** The context of a callback, to run it in once. */
export interface Kept {
  runInAsyncScope<A extends unknown[]>(
    fn: (...args: A) => void,
    thisArg: undefined,
    ...args: A
  ): void;
  /** It is needed no more: the runtime need not wait for the garbage collector. */
  emitDestroy(): unknown;
}

interface AsyncHooks {
  readonly AsyncLocalStorage?: StorageClass;
  readonly AsyncResource?: new (
    type: string,
    options: { requireManualDestroy: boolean },
  ) => Kept;
}

const MANUAL = { requireManualDestroy: true };
let looked = false;
let found: AsyncHooks | undefined;

/**
 * What the runtime has for async contexts, if it has it. Looked for when it is
 * first needed: in Deno it takes some 20 ms to load what it stands on.
 */
function asyncHooks(): AsyncHooks | undefined {
  if (looked) return found;
  looked = true;
  try {
    const { process } = globalThis as unknown as {
      process?: {
        getBuiltinModule?(name: string): AsyncHooks | undefined;
      };
    };
    found = process?.getBuiltinModule?.("node:async_hooks");
  } catch {
    // Something else has that name here.
  }
  return found;
}

/** The runtime's `AsyncLocalStorage`, if it has one. */
export function storageClass(): StorageClass | undefined {
  return asyncHooks()?.AsyncLocalStorage;
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

/**
 * Keeps the context for a callback, unless it needs none. Not by `snapshot()`: what
 * that gives can't be given up, and costs several times as much in Deno 2.9.
 */
export function contextFor(fn: object): Kept | undefined {
  if (contextless.has(fn)) return undefined;
  const AsyncResource = asyncHooks()?.AsyncResource;
  return AsyncResource && new AsyncResource("Future", MANUAL);
}
